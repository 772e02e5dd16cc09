//! Images of sequences in principal components: the likelihood stays that of the whole images.

use crate::sequences::case::{distance, norm, splits};
use crate::sequences::neural_case::{FAMILIES, Neural, amortised, everything, numbers};
use candle_core::{DType, Device, Tensor};
use latent_lab::data::source::Widths;
use latent_lab::data::{Batch, Dataset};
use latent_lab::math::streams::Streams;
use latent_lab::model::{Latents, Model, ModelConfig};
use latent_lab::nn::{Parameters, normal};

const IMAGES: &str = "source = 'exploration'\nenvironment = 'pendulum_16'\ntrain = 40\nlength = 5";

const WHOLE: &str = "kind = 'neural_ssm'\nstates = 2\nlikelihood_particles = 4\nemission_noise = 'spherical'\nemission.kind = \
                     'linear'\ntransition.kind = 'linear'";

fn built(keys: &str, train: &Dataset) -> (Box<dyn Model>, Parameters, Dataset) {
    let config: ModelConfig = toml::from_str(keys).expect("a model");
    let model = config.build(train).expect("a model");
    let rows = model.reduced(train).expect("rows").unwrap_or_else(|| train.clone());
    let theta = model.initial(&rows, &Streams::new(1), 0, DType::F64, &Device::Cpu);
    (model, theta.expect("parameters"), rows)
}

fn log_joint(model: &dyn Model, theta: &Parameters, rows: &Dataset, paths: &Tensor) -> Vec<f64> {
    let batch = Batch::whole(rows, DType::F64, &Device::Cpu).expect("a batch");
    let joint = model.joint(theta, &batch).expect("a joint");
    numbers(&joint.log_joint(&Latents::Paths(paths.clone())).expect("values"))
}

/// A linear emission in K components is one of all pixels with the matrix V C and the offset ō + V d.
#[test]
fn principal_components_lose_no_likelihood() {
    lose_no_likelihood(IMAGES, 256, 1);
    lose_no_likelihood(
        "source = 'exploration'\nenvironment = 'pendulum'\ntrain = 40\nlength = 5",
        4608,
        2,
    );
}

/// The same for images of this many numbers and frames.
fn lose_no_likelihood(data: &str, width: usize, frames: usize) {
    let train = splits(data).train;
    let (reduced, own, components) = built(&format!("{WHOLE}\nprincipal_components = 3"), &train);
    let (whole, other, pixels) = built(WHOLE, &train);
    let count = 3 * frames;
    assert_eq!(
        [components.observed.columns(), pixels.observed.columns()],
        [count + 1, width]
    );
    let expanded = |rows: Tensor| reduced.expanded(&rows).expect("images").expect("a basis");
    let mean = expanded(Tensor::zeros((1, count + 1), DType::F64, &Device::Cpu).expect("a row")); // ō [1, D]
    let units = Tensor::eye(count, DType::F64, &Device::Cpu).and_then(|own| own.pad_with_zeros(1, 0, 1));
    let basis = expanded(units.expect("rows"));
    let basis = basis.broadcast_sub(&mean).expect("V"); // Vᵀ [3, D]
    let product = |matrix: &Tensor| basis.t().and_then(|v| v.matmul(matrix)).expect("a product");
    let own_offset = own.get("emission.offset").expect("d");
    // Equal deviations, in units of the coefficients and in those of the pixels: each in that of the data over its raw one.
    let raw = own.get("emission.raw").expect("a deviation").clone();
    let unit = |model: &dyn Model, theta: &Parameters| {
        let variances = &model.natural(theta).expect("parameters")["emission_variances"];
        numbers(variances)[0].sqrt()
    };
    let whole_raw = |name: &str| other.iter().find(|(own, _)| *own == name).map(|(_, var)| var.clone());
    whole_raw("emission.raw")
        .expect("a deviation")
        .set(&raw)
        .expect("the same shape");
    let ratio = unit(reduced.as_ref(), &own) / unit(whole.as_ref(), &other);
    let floor = 1e-3;
    let raw = ((raw.exp().expect("a deviation") + floor)
        .and_then(|own| own * ratio)
        .and_then(|own| own - floor))
    .and_then(|own| own.log());
    let moved = [
        ("emission.raw", raw.expect("a raw deviation")),
        ("emission.matrix", product(own.get("emission.matrix").expect("C"))),
        (
            "emission.offset",
            (product(&own_offset.t().expect("d")).t().expect("V d") + &mean).expect("an offset"),
        ),
    ];
    for (name, var) in other.iter() {
        let given = moved.iter().find(|(moved, _)| *moved == name);
        let value = given.map_or_else(
            || own.get(name).expect("a parameter").clone(),
            |(_, value)| value.clone(),
        );
        var.set(&value.contiguous().expect("a value")).expect("the same shape");
    }
    let paths = normal(
        Streams::new(2).named("paths").at(0),
        (8, 3, 5, 2),
        DType::F64,
        &Device::Cpu,
    )
    .expect("paths");
    let (left, right) = (
        log_joint(reduced.as_ref(), &own, &components, &paths),
        log_joint(whole.as_ref(), &other, &pixels, &paths),
    );
    for (left, right) in left.iter().zip(&right) {
        assert!((left - right).abs() < 1e-8 * right.abs(), "{left} {right}");
    }
}

/// A sampled residual has the mean and the variance of σ² χ² of D − K degrees of freedom.
#[test]
fn sampled_residuals_are_those_of_the_noise() {
    let train = splits(IMAGES).train;
    let keys = format!("{WHOLE}\nprincipal_components = 3\nemission_variances = {{ fixed = [0.25] }}");
    let (model, theta, rows) = built(&keys, &train);
    let batch = Batch::whole(&rows, DType::F64, &Device::Cpu).expect("a batch");
    let joint = model.joint(&theta, &batch).expect("a joint");
    let ancestral = joint.ancestral().expect("samples");
    let generator = &mut Streams::new(5).named("samples").at(0);
    let mut residuals = Vec::new();
    for _ in 0..100 {
        let paths = ancestral.sample_latents(1, generator).expect("paths");
        let observed = ancestral.sample_observed(&paths, generator).expect("observations");
        residuals.extend(numbers(&observed.narrow(1, 3, 1).expect("residuals")));
    }
    let variance = rows
        .moments(&rows.observed)
        .into_iter()
        .take(3)
        .flatten()
        .map(|(_, v)| v)
        .sum::<f64>()
        / 3.0;
    let scale = 0.25 * variance;
    let n = residuals.len() as f64;
    let mean = residuals.iter().sum::<f64>() / n;
    let spread = residuals.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
    // Five standard errors; the variance of a sample variance of a normal number is 2 σ⁴ / n.
    assert!(
        (mean / scale - 253.0).abs() < 5.0 * (506.0 / n).sqrt(),
        "{}",
        mean / scale
    );
    assert!(
        (spread / scale.powi(2) / 506.0 - 1.0).abs() < 5.0 * (2.0 / n).sqrt(),
        "{}",
        spread / scale.powi(2)
    );
}

#[test]
fn gradients_in_principal_components_are_those_of_finite_differences() {
    let model = "kind = 'neural_ssm'\nstates = 2\nprincipal_components = 2\nemission_noise = 'spherical'\nemission = { kind = \
                 'perceptron', hidden = [3] }";
    let data = "source = 'lgssm'\nlength = 6\ntrain = 40\nemission = [[1.0, 0.4], [-0.3, 2.0], [0.5, -0.5]]\nemission_noise = [[1.0, \
                0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]";
    for family in FAMILIES.iter().step_by(3) {
        let case = Neural::of_data(model, amortised(family), data);
        let objective = "kind = 'elbo'";
        let (exact, differences) = (case.gradient(objective, 0, everything), case.differences(objective, 0));
        let apart = distance(&exact, &differences) / norm(&differences);
        assert!(apart < 1e-6, "{family}: {apart}");
    }
}

#[test]
fn gradients_through_convolutions_are_those_of_finite_differences() {
    for likelihood in ["gaussian", "bernoulli"] {
        let model = format!(
            "kind = 'neural_ssm'\nstates = 2\nlikelihood = '{likelihood}'\nemission = {{ kind = 'convolutional', hidden = [], channels \
             = [1, 2, 1], activation = 'tanh' }}"
        );
        let case = Neural::of_data(&model, amortised("family = 'single_step'"), IMAGES);
        let objective = "kind = 'elbo'";
        let of_emission = |name: &str| name.starts_with("emission.");
        let exact = case.gradient(objective, 0, of_emission);
        let differences = case.differences_of(objective, 0, of_emission);
        let apart = distance(&exact, &differences) / norm(&differences);
        assert!(apart < 1e-6, "{likelihood}: {apart}");
    }
}

/// What cannot be: convolutions of no images, or of sides that are not halved so often; components without spherical noise.
#[test]
fn faults_of_images_name_their_key() {
    let images = Widths {
        observed: 24 * 40,
        given: 1,
        image: Some([24, 40, 1]),
    };
    let numbers = Widths { image: None, ..images };
    let model = |keys: &str| -> ModelConfig {
        toml::from_str(&format!("kind = 'neural_ssm'\nstates = 2\n{keys}")).expect("a model")
    };
    let cases = [
        (
            "emission = { kind = 'convolutional', channels = [4, 4, 4] }",
            images,
            None,
        ),
        (
            "emission = { kind = 'convolutional', channels = [4, 4, 4, 4] }",
            images,
            Some("emission.channels"),
        ),
        (
            "emission = { kind = 'convolutional', channels = [4] }",
            numbers,
            Some("emission.kind"),
        ),
        ("principal_components = 8", images, Some("emission_noise")),
        ("principal_components = 8\nemission_noise = 'spherical'", images, None),
        (
            "principal_components = 960\nemission_noise = 'spherical'",
            images,
            Some("principal_components"),
        ),
        (
            "principal_components = 8\nemission_noise = 'spherical'\nemission = { kind = 'convolutional', channels = [4] }",
            images,
            Some("emission.kind"),
        ),
        (
            "emission = { kind = 'perceptron', skip = { alone = 0.7, ramp = 0.4 } }",
            numbers,
            Some("emission.skip.ramp"),
        ),
        (
            "emission_deviation_floor_schedule = { from = 1.0, until = 0.5 }\nlikelihood = 'bernoulli'",
            numbers,
            Some("emission_deviation_floor_schedule"),
        ),
    ];
    for (keys, widths, expected) in cases {
        let faults: Vec<String> = model(keys).check(widths).into_iter().map(|fault| fault.key).collect();
        assert_eq!(
            faults,
            expected.map(str::to_owned).into_iter().collect::<Vec<_>>(),
            "{keys}"
        );
    }
}
