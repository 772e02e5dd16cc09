//! What newcomers type: overrides of the variants' keys, names from other programs, files that are too large.

use crate::laboratory::{Laboratory, SMALL};

fn refused(laboratory: &Laboratory, line: &[&str]) -> String {
    let said = laboratory.say(line).expect(2);
    assert!(
        laboratory.files("results").is_empty(),
        "a refused experiment wrote something"
    );
    said.err
}

/// What `check` says of the small experiment with a piece replaced.
#[track_caller]
fn of_slip(from: &str, to: &str) -> String {
    assert!(SMALL.contains(from), "{from}");
    let said = refused(&Laboratory::with(&SMALL.replace(from, to)), &["check", "e.toml"]);
    assert!(said.contains("e.toml:"), "no place in {said}");
    said
}

#[test]
fn no_row_is_named_by_a_value_that_it_does_not_have() {
    let laboratory = Laboratory::with(SMALL);
    let said = refused(&laboratory, &["run", "e.toml", "--set", "model.components = 8"]);
    for part in [
        "`model.components` is also set by the variant \"three\"",
        "e.toml:22:7",
        "--set 'variant.\"three\".model.components = 8'",
    ] {
        assert!(said.contains(part), "no {part} in {said}");
    }
    let set = "variant.\"three\".model.components = 8";
    laboratory.say(&["run", "e.toml", "--quiet", "--set", set]).expect(0);
    let summary = laboratory
        .files("results")
        .into_iter()
        .find(|(name, _)| name.ends_with("summary.json"));
    let json: serde_json::Value = serde_json::from_slice(&summary.expect("a summary").1).expect("JSON");
    let rows = json["variants"].as_array().expect("rows");
    let row = |index: usize| {
        (
            rows[index]["name"].as_str().expect("a name"),
            rows[index]["changes"].to_string(),
        )
    };
    assert_eq!(row(0), ("two", "[]".into()));
    assert_eq!(row(1), ("three · components=8", "[\"model.components = 8\"]".into()));
}

/// Overrides in the words of other programs reach the spec, and so the record.
#[test]
fn overrides_as_other_programs_take_them() {
    let laboratory = Laboratory::with(SMALL);
    let line = ["plan", "e.toml", "--set", "model.covariance=diagonal", "--seeds"];
    for (seeds, runs) in [
        ("0:3", 6),
        ("3-5", 6),
        ("0,1,2", 6),
        ("0..3", 6),
        ("[0,1]", 4),
        ("7,", 2),
        ("5", 10),
    ] {
        let said = laboratory.say(&[&line[..], &[seeds]].concat()).expect(0);
        let found = said.out.lines().filter(|line| line.contains("new")).count();
        assert!(found >= runs, "{seeds}: {}", said.out);
    }
    for seeds in [
        "2020-01-01",
        "07:32:00",
        "many",
        "",
        "-3",
        "5..3",
        "1:2:3",
        "0..1000000",
        "0,0",
    ] {
        let said = refused(&laboratory, &["plan", "e.toml", "--seeds", seeds]);
        assert!(
            said.contains("--seeds:1:") && said.contains("write 10 for 0 to 9"),
            "{seeds}: {said}"
        );
    }
    let said = refused(&laboratory, &["check", "e.toml", "model.components=3"]);
    assert!(said.contains("write --set model.components=3"), "{said}");
}

#[test]
fn a_variant_may_change_a_section_that_the_file_does_not_write() {
    let tempered = |name: &str| format!("\n[[variant]]\nname = \"{name}\"\nposterior.temperature = 2\n");
    let text = format!("{SMALL}{}", tempered("warm"));
    Laboratory::with(&text).say(&["check", "e.toml"]).expect(0);
    let names = ["a", "b", "c", "d"];
    let slips: String = names
        .iter()
        .map(|name| tempered(name).replace("temperature", "samples"))
        .collect();
    let said = refused(&Laboratory::with(&format!("{SMALL}{slips}")), &["check", "e.toml"]);
    assert_eq!(said.matches("error:").count(), 1, "{said}");
    assert!(said.contains("in the variants \"a\", \"b\", \"c\", \"d\""), "{said}");
}

#[test]
fn names_of_other_programs_get_a_hint() {
    let training = |key: &str| of_slip("steps = 3", &format!("steps = 3\n{key}")).replace("optimizer = \"em\"", "");
    let cases = [
        (training("lr = 3"), "`lr` is called `learning_rate` here"),
        (of_slip("steps = 3", "epochs = 3"), "steps = epochs × rows / batch_size"),
        (
            of_slip("\"em\"\nsteps", "\"adam\"\nbatch = 3\nsteps"),
            "`batch` is called `batch_size` here",
        ),
        (
            of_slip("\"em\"\nsteps", "\"adam\"\nbatchsize = 3\nsteps"),
            "did you mean `batch_size`?",
        ),
        (
            of_slip("\"em\"\nsteps", "\"adam\"\nlr_schedule = \"cosine\"\nsteps"),
            "`lr_schedule` is called `learning_rate_schedule` here",
        ),
        (
            of_slip("\"em\"\nsteps", "\"adam\"\ndevice = \"gpu\"\nsteps"),
            "use \"cuda\"",
        ),
        (
            of_slip("\"em\"", "\"sgd\""),
            "use \"adam\": there is no other gradient method",
        ),
        (
            of_slip("components = 2", "n_components = 2"),
            "did you mean `components`?",
        ),
        (
            of_slip(
                "\"gaussian_mixture\"\ncomponents = 2",
                "\"conditional_mixture\"\nhidden_dim = 2",
            ),
            "`hidden_dim` is called `hidden` here",
        ),
        (of_slip("\"gaussian_mixture\"", "\"gmm\""), "use \"gaussian_mixture\""),
        (
            of_slip("seeds = 2", "seeds = 2\nlr = 2"),
            "`lr` is called `learning_rate` here, in [training]",
        ),
        (
            of_slip("steps = 3", "steps = 3\nseed = 3"),
            "`seed` is called `seeds` here, at the top of the file",
        ),
        (
            of_slip("[[variant]]\nname = \"two\"", "[[variants]]\nname = \"two\""),
            "did you mean [[variant]]?",
        ),
    ];
    for (said, hint) in cases {
        assert!(said.contains(hint), "no {hint:?} in {said}");
    }
}

/// Files, values and lists that are far too large get a short answer at once.
#[test]
fn what_is_too_large_is_answered_in_brief() {
    let million = "x".repeat(1_000_000);
    let grid = |count: usize| {
        let list: Vec<String> = (1..=count).map(|value| value.to_string()).collect();
        format!(
            "[grid]\n\"training.steps\" = [{}]\n\"data.train\" = [{0}]\n",
            list.join(",")
        )
    };
    let variants: String = (0..100_000)
        .map(|number| format!("[[variant]]\nname = \"v{number}\"\n"))
        .collect();
    let base = SMALL.split("[[variant]]").next().expect("a base");
    let cases = [
        base.replace("gaussian_mixture", &million),
        base.replace("components", &million),
        base.replace("How many", &million),
        base.replace("[model]", &format!("[{million}]")),
        base.replace("seeds = 2", "seeds = 1000000"),
        base.replace("seeds = 2", &format!("seeds = {million:?}")),
        base.replace("seeds = 2", &format!("seeds = [{}]", "1,".repeat(300_000))),
        base.replace("components = 2", &format!("components = [{}]", "1,".repeat(300_000))),
        base.replace(
            "components = 2",
            &format!("components = {}1{}", "[".repeat(50), "]".repeat(50)),
        ),
        base.replace("seeds = 2", "seeds = 90000") + "[grid]\n\"data.train\" = [40, 41]\n",
        format!("{base}{}", grid(1000)),
        format!("{base}{variants}"),
        format!("{base}[[variant]]\nname = {million:?}\n"),
        format!("{base}# {}\n", million.repeat(6)),
        format!("{base}{}b = 1\n", "a.".repeat(100_000)),
    ];
    for (number, case) in cases.iter().enumerate() {
        let laboratory = Laboratory::with(case);
        let said = refused(&laboratory, &["check", "e.toml"]);
        let longest = said.lines().map(|line| line.chars().count()).max().unwrap_or(0);
        assert!(
            said.len() < 6000 && longest < 700,
            "case {number}: {} bytes, a line of {longest}",
            said.len()
        );
        assert!(said.contains("e.toml"), "case {number}: {said}");
    }
}
