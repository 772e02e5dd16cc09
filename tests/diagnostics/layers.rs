//! The layers of a row: the file, its overrides, its variant, its point of the grid. No layer replaces a key of another
//! silently, so that every row has the settings in its name.

use crate::stand_in::{Model, Posterior, Spec, VALID, load_bytes, with};
use latent_lab::spec::Loaded;

/// The valid file with variants that set `model.components`, and one with a name that needs quotes.
fn sizes() -> String {
    let base = VALID.split("[[variant]]").next().expect("a base");
    format!(
        "{base}\n[[variant]]\nname = \"mixture of 2\"\nmodel.components = 2\n\n[[variant]]\nname = \"mixture of 5.5, \
         \\\"wide\\\"\"\nmodel.components = 5\n\n[[variant]]\nname = \"one Gaussian\"\nmodel.kind = \"gaussian\"\n"
    )
}

fn loaded(text: &str, overrides: &[&str]) -> Loaded<Spec> {
    load_bytes(text.as_bytes(), overrides).unwrap_or_else(|faults| panic!("{faults}"))
}

fn refused(text: &str, overrides: &[&str]) -> String {
    let faults = load_bytes(text.as_bytes(), overrides).expect_err("a key would be lost");
    let path = faults.sources.name(0).to_owned();
    faults.render(false).replace(&path, "bends.toml")
}

fn rows(loaded: &Loaded<Spec>) -> Vec<(&str, usize)> {
    let components = |spec: &Spec| match &spec.model {
        Model::ConditionalMixture(options) => options.components,
        Model::Gaussian => 0,
    };
    let row = |variant: &'_ latent_lab::spec::Variant<Spec>| components(&variant.spec);
    let names = loaded.variants.iter().map(|variant| variant.name.as_str());
    names.zip(loaded.variants.iter().map(row)).collect()
}

#[test]
fn an_override_of_a_key_that_variants_set_is_refused() {
    insta::assert_snapshot!(refused(&sizes(), &["model.components = 8"]));
}

#[test]
fn an_override_that_a_variant_of_another_kind_would_lose_is_refused() {
    insta::assert_snapshot!(refused(VALID, &["posterior = { kind = \"sampled\", samples = 3 }"]));
    let said = refused(&sizes(), &["model.hidden = [3]"]);
    assert!(said.contains("replaced by the variant \"one Gaussian\""), "{said}");
}

#[test]
fn an_override_of_an_axis_is_refused() {
    let text = format!("{VALID}\n[grid]\n\"training.steps\" = [1, 2]\n");
    insta::assert_snapshot!(refused(&text, &["training.steps = 9"]));
}

#[test]
fn a_grid_over_a_key_that_variants_set_is_refused() {
    let text = format!("{}\n[grid]\n\"model.components\" = [3, 4]\n", sizes());
    insta::assert_snapshot!(refused(&text, &[]));
    let text =
        format!("{VALID}\n[grid]\n\"posterior.samples\" = [3, 4]\n\"posterior.kind\" = [\"exact\", \"sampled\"]\n");
    assert!(refused(&text, &[]).contains("`posterior.samples`"));
}

/// Every key of the file that no variant sets may be overridden, and reaches all rows under their own names.
#[test]
fn an_override_changes_the_file_below_its_variants() {
    let experiment = loaded(
        VALID,
        &["training.steps = 7", "training.steps = 9", "model.components = 3"],
    );
    assert_eq!(rows(&experiment), [("exact", 3), ("sampled", 3)]);
    assert!(
        experiment
            .variants
            .iter()
            .all(|variant| variant.spec.training.steps == 9)
    );
}

#[test]
fn the_help_of_a_refusal_works_as_it_stands() {
    for name in ["mixture of 2", "mixture of 5.5, \\\"wide\\\""] {
        let text = format!("variant.\"{name}\".model.components = 8");
        let experiment = loaded(&sizes(), &[&text]);
        let changed: Vec<_> = rows(&experiment).into_iter().filter(|(_, count)| *count == 8).collect();
        let expected = format!("{} · components=8", name.replace('\\', ""));
        assert_eq!(changed, [(expected.as_str(), 8)]);
    }
    let text = format!("{VALID}\n[grid]\n\"training.steps\" = [1, 2]\n");
    for axis in ["grid.\"training.steps\" = [9]", "grid.training.steps=[9]"] {
        let experiment = loaded(&text, &[axis]);
        assert_eq!(rows(&experiment), [("exact · steps=9", 5), ("sampled · steps=9", 5)]);
        assert!(
            experiment
                .variants
                .iter()
                .all(|variant| variant.spec.training.steps == 9)
        );
    }
    // An axis that the file has not is added.
    let experiment = loaded(&text, &["grid.\"model.components\" = [2, 3]"]);
    assert_eq!(experiment.variants.len(), 8);
}

#[test]
fn an_override_of_a_variant_may_change_its_kind_and_its_name() {
    let keys = "variant.exact = { name = \"3 samples\", posterior.kind = \"sampled\", posterior.samples = 3 }";
    let experiment = loaded(VALID, &[keys]);
    assert_eq!(rows(&experiment)[0].0, "3 samples");
    assert_eq!(experiment.variants[0].spec.posterior, Posterior::Sampled { samples: 3 });
    let experiment = loaded(VALID, &["variant.sampled.posterior.kind = \"exact\""]);
    assert_eq!(rows(&experiment)[1].0, "sampled · kind=exact");
    assert_eq!(experiment.variants[1].spec.posterior, Posterior::Exact);
}

#[test]
fn an_override_of_no_variant_is_refused() {
    let cases = [
        "variant.exacct.model.components = 3",
        "variant.exact = 3",
        "variant.exact = { name = \"sampled\" }",
        "variant.\"exact · steps=2\".model.components = 3",
        "variant.exact.seeds = 3",
        "posterior = {}",
        "variant = []",
    ];
    let shown = cases.map(|case| format!("# {case}\n{}\n", refused(VALID, &[case])));
    insta::assert_snapshot!(shown.concat());
    let single = VALID.split("[[variant]]").next().expect("a base");
    let said = refused(single, &["variant.exact.model.components = 3"]);
    assert!(said.contains("the file has no variants"), "{said}");
}

/// A section that is not written has its default's kind in every layer: see the real spec in `tests/program`.
#[test]
fn faults_that_several_variants_share_are_one() {
    let text = with("samples = 8", "samples = 0").replace(
        "[[variant]]\nname = \"exact\"",
        "[[variant]]\nname = \"exact\"\nmodel.components = 0",
    ) + "model.components = 0\n";
    insta::assert_snapshot!(refused(&text, &[]));
}

#[test]
fn a_header_in_single_brackets_is_one_fault() {
    let text = format!(
        "{}{}",
        VALID.replace("[[variant]]", "[variant]"),
        "[variant]\nname = \"a third\"\nmodel.components = 3\n"
    );
    insta::assert_snapshot!(refused(&text, &[]));
}
