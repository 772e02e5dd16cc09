//! Images as observed rows.

use crate::laboratory::Laboratory;
use std::fs;

/// The array `kind` of this `shape` with `bytes` behind its header.
fn npy(kind: &str, shape: &str, bytes: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}\n");
    let length = u16::try_from(header.len()).expect("a short header").to_le_bytes();
    [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), bytes].concat()
}

/// Sixty images of 4×3 pixels and two channels: a bright spot on a gradient, and, with `margin`, a black first row.
fn pixels(margin: bool) -> Vec<u8> {
    let pixel = |i: usize, y: usize, x: usize, c: usize| match (y, x) {
        (0, _) if margin => 0,
        _ if (y + 2 * x + i).is_multiple_of(5) => 255 - i as u8,
        _ => (17 * y + 5 * x + 90 * c + i) as u8,
    };
    let mut all = Vec::new();
    for i in 0..60 {
        for (y, x, c) in (0..24).map(|at| (at / 6, at / 2 % 3, at % 2)) {
            all.push(pixel(i, y, x, c));
        }
    }
    all
}

fn experiment(path: &str) -> String {
    format!(
        "question = \"Do images train?\"\nseeds = 1\n[data]\nsource = \"file\"\npath = {path:?}\nobserved = [\"array\"]\n\
         test_fraction = 0.2\n[model]\nkind = \"latent_gaussian\"\nlatent_dimensions = 2\nhidden = [8]\n[posterior]\n\
         kind = \"amortised\"\nhidden = [8]\n[objective]\nkind = \"elbo\"\n[training]\noptimizer = \"adam\"\n\
         batch_size = 16\nsteps = 20\nevaluate_every = 10\n[evaluation]\nbound_samples = 5\n"
    )
}

/// The metrics but the baseline, and the checkpoint, of a run on `array`.
fn trained(name: &str, array: &[u8]) -> (Vec<String>, Vec<u8>) {
    let laboratory = Laboratory::with(&experiment(name)).and(name, array);
    laboratory.say(&["run", "e.toml", "--quiet"]).expect(0);
    let run = laboratory.path("results/e/e/seed-000");
    let metrics = fs::read_to_string(run.join("metrics.jsonl")).expect("metrics");
    let lines = metrics.lines().filter(|line| !line.contains("/baseline"));
    let checkpoint = fs::read(run.join("checkpoint.safetensors")).expect("a checkpoint");
    (lines.map(str::to_owned).collect(), checkpoint)
}

/// Images of bytes train in batches, margins of one colour and all, to the same model as their pixels divided by 255 in
/// columns of f64.
#[test]
fn images_train_to_the_same_bytes_as_their_pixels_in_columns() {
    let bytes = pixels(false);
    let scaled: Vec<u8> = bytes
        .iter()
        .flat_map(|b| (f64::from(*b) / 255.0).to_le_bytes())
        .collect();
    let images = trained("images.npy", &npy("|u1", "(60, 4, 3, 2)", &bytes));
    let columns = trained("columns.npy", &npy("<f8", "(60, 24)", &scaled));
    assert!(images.0.iter().any(|line| line.contains("test/elbo")), "{:?}", images.0);
    assert_eq!(images.0, columns.0);
    trained("margin.npy", &npy("|u1", "(60, 4, 3, 2)", &pixels(true)));
}

#[test]
fn images_that_are_all_the_same_or_not_binary_are_refused() {
    let fault = |array: Vec<u8>, text: String| {
        let said = Laboratory::with(&text).and("p.npy", array).say(&["check", "e.toml"]);
        said.expect(2).err
    };
    let same = fault(npy("|u1", "(60, 4, 3, 2)", &[7; 60 * 24]), experiment("p.npy"));
    assert!(
        same.contains("all images of") && same.contains("are the same"),
        "{same}"
    );
    let bernoulli = experiment("p.npy").replace("hidden = [8]\n[posterior]", "likelihood = \"bernoulli\"\n[posterior]");
    let grey = fault(npy("|u1", "(60, 4, 3, 2)", &pixels(true)), bernoulli);
    assert!(
        grey.contains("row 1") && grey.contains("column `array[:, 1, 0, 0]` holds 0."),
        "{grey}"
    );
}
