//! Overrides as people type them: TOML, and the `key=value` of other programs.

use crate::stand_in::{Model, Posterior, Prior, Spec, VALID, load_bytes};
use latent_lab::spec::Loaded;

/// The valid file without its variants.
fn single(overrides: &[&str]) -> Loaded<Spec> {
    let text = VALID.split("[[variant]]").next().expect("a base");
    load_bytes(text.as_bytes(), overrides).unwrap_or_else(|faults| panic!("{overrides:?}: {faults}"))
}

fn refused(text: &str) -> String {
    let base = VALID.split("[[variant]]").next().expect("a base");
    let faults = load_bytes(base.as_bytes(), &[text]).expect_err(text);
    assert_eq!(faults.list.len(), 1, "{faults}");
    let path = faults.sources.name(0).to_owned();
    faults.render(false).replace(&path, "bends.toml")
}

fn hidden(text: &str) -> Vec<u32> {
    match &single(&[text]).variants[0].spec.model {
        Model::ConditionalMixture(options) => options.hidden.clone(),
        Model::Gaussian => panic!("{text} changed the kind"),
    }
}

#[test]
fn text_needs_no_quotes_and_lists_need_no_brackets() {
    for text in [
        "model.prior=marginal",
        "model.prior = marginal",
        " model . prior= 'marginal'",
        "+model.prior=marginal",
    ] {
        let Model::ConditionalMixture(options) = &single(&[text]).variants[0].spec.model else {
            panic!("{text}")
        };
        assert_eq!(options.prior, Prior::Marginal, "{text}");
    }
    for text in [
        "model.hidden=3,4",
        "model.hidden=[3,4]",
        "model.hidden = 3, 4",
        "model.hidden=[3, 4,]",
    ] {
        assert_eq!(hidden(text), [3, 4], "{text}");
    }
    assert_eq!(hidden("model.hidden=7,"), [7]);
    for text in ["training.early_stopping=true", "training.early_stopping=True"] {
        assert!(single(&[text]).variants[0].spec.training.early_stopping, "{text}");
    }
    for text in [
        "posterior={kind=sampled,samples=3}",
        "posterior={kind: sampled, samples: 3}",
        "posterior.kind=sampled posterior.samples=3",
    ] {
        assert_eq!(
            single(&[text]).variants[0].spec.posterior,
            Posterior::Sampled { samples: 3 },
            "{text}"
        );
    }
    assert_eq!(single(&["question=Which one wins?"]).question, "Which one wins?");
}

#[test]
fn several_keys_fit_into_one_override() {
    for text in [
        "training.steps=3 model.components=2",
        "training.steps=3;model.components=2",
        "training.steps = 3\nmodel.components = 2",
        "training.steps=3\nname=other run model.components=2",
    ] {
        let experiment = single(&[text]);
        let spec = &experiment.variants[0].spec;
        let Model::ConditionalMixture(options) = &spec.model else {
            panic!("{text}")
        };
        assert_eq!((spec.training.steps, options.components), (3, 2), "{text}");
    }
}

#[test]
fn seeds_as_people_write_them() {
    let of = |text: &str| single(&[text]).seeds;
    for text in [
        "seeds=0:3",
        "seeds=0..3",
        "seeds=3",
        "seeds=0,1,2",
        "seeds=[0,1,2]",
        "seeds=0-2",
        "seeds = \"0..=2\"",
        "seeds = \"0, 1-2\"",
    ] {
        assert_eq!(of(text), [0, 1, 2], "{text}");
    }
    assert_eq!(of("seeds=3-5"), [3, 4, 5]);
    assert_eq!(of("seeds=\"[7]\""), [7]);
}

/// What TOML would read as a date or time is text, whose fault is that of the key.
#[test]
fn no_override_is_a_date() {
    for text in [
        "seeds=2020-01-01",
        "seeds=07:32:00",
        "model.kind=2020-01-01",
        "training.steps=12:30:00",
        "seeds=3-5-7",
        "seeds=1:2:3:4",
    ] {
        let said = refused(text);
        for word in ["date", "time"] {
            assert!(
                !said.contains(&format!("{word} ")) && !said.contains(&format!("invalid {word}")),
                "{text}: {said}"
            );
        }
    }
    let base = VALID.split("[[variant]]").next().expect("a base");
    let experiment = load_bytes(base.as_bytes(), &["data.source=file data.path=2020-01-01"]).expect("a path");
    assert!(format!("{:?}", experiment.variants[0].spec.data).contains("\"2020-01-01\""));
}

#[test]
fn overrides_that_mean_nothing() {
    let cases = [
        "model.components",
        "model.components =",
        "8",
        "--model.components=8",
        "model.components=8 model.components=9",
        "model.prior=\"marginal",
        "model.hidden=[64,64",
        "model.prior=marginall",
        "model.hidden=64",
        "variant.mixture of 5.model.components=8",
        "variant.exact model.components=8",
        "a..b=3",
    ];
    insta::assert_snapshot!(cases.map(|case| format!("# {case}\n{}\n", refused(case))).concat());
}

/// Very long or deeply nested overrides get a short answer without delay.
#[test]
fn long_overrides_have_short_answers() {
    let long = "x".repeat(100_000);
    let brackets = format!("model.hidden={}", "[".repeat(50_000));
    let cases = [
        format!("model.prior={long}"),
        format!("model.{long}=3"),
        format!("variant.{long}.model=3"),
        format!("grid.{long}=[3]"),
        long.clone(),
        brackets,
        format!("training.steps={}", "1,".repeat(50_000)),
        format!("seeds={long}"),
        format!("model.{}=3", "a.".repeat(50_000)),
    ];
    for case in cases {
        let said = refused(&case);
        assert!(
            said.len() < 3000 && said.lines().all(|line| line.chars().count() < 600),
            "{} bytes",
            said.len()
        );
    }
}
