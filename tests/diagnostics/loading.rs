//! What files load to: defaults, patches, grids, overrides, resolved text, schema and descriptions.

use latent_lab::spec::check::check;
use latent_lab::spec::shape::Shape;
use latent_lab::spec::tree::{self, Sources};
use latent_lab::spec::{Loaded, describe, resolve, schema};

use crate::stand_in::{ConditionalMixture, Data, Model, Posterior, Spec, Training, VALID, load_bytes, with};

fn loaded(text: &str, overrides: &[&str]) -> Loaded<Spec> {
    load_bytes(text.as_bytes(), overrides).unwrap_or_else(|faults| panic!("{faults}"))
}

fn names(loaded: &Loaded<Spec>) -> Vec<&str> {
    loaded.variants.iter().map(|variant| variant.name.as_str()).collect()
}

fn components(spec: &Spec) -> usize {
    match &spec.model {
        Model::ConditionalMixture(options) => options.components,
        Model::Gaussian => 1,
    }
}

#[test]
fn a_file_gives_its_name_seeds_variants_and_changes() {
    let experiment = loaded(VALID, &[]);
    assert_eq!(experiment.name, "bends");
    assert_eq!(experiment.question, "Which posterior?");
    assert_eq!(experiment.seeds, (0..10).collect::<Vec<_>>());
    assert_eq!(names(&experiment), ["exact", "sampled"]);
    assert_eq!(experiment.variants[0].changes, [""; 0]);
    let changes = ["posterior.kind = \"sampled\"", "posterior.samples = 8"];
    assert_eq!(experiment.variants[1].changes, changes);
    assert_eq!(experiment.variants[1].spec.posterior, Posterior::Sampled { samples: 8 });
    assert!(experiment.warnings.is_empty());
}

#[test]
fn a_file_without_variants_is_the_one_variant() {
    let text = VALID.split("[[variant]]").next().unwrap();
    let experiment = loaded(text, &["name = \"other\""]);
    assert_eq!(names(&experiment), ["other"]);
    assert_eq!(experiment.variants[0].spec.training.steps, 100);
    assert!(!experiment.variants[0].spec.training.early_stopping, "the default");
}

#[test]
fn a_patch_of_a_kind_replaces_the_table_and_any_other_changes_single_keys() {
    let text = format!(
        "{VALID}\n[[variant]]\nname = \"dotted\"\nmodel.components = 2\n\n[[variant]]\nname = \"nested\"\n\
         [variant.model]\nhidden = [8]\n\n[[variant]]\nname = \"kind\"\ndata = {{ source = \"file\", path = \"x.csv\" }}\n"
    );
    let experiment = loaded(&text, &[]);
    let options = |index: usize| match &experiment.variants[index].spec.model {
        Model::ConditionalMixture(options) => (options.components, options.hidden.clone()),
        Model::Gaussian => panic!("no patch says so"),
    };
    assert_eq!(options(2), (2, vec![64, 64]));
    assert_eq!(options(3), (5, vec![8]));
    let data = |index: usize| experiment.variants[index].spec.data.train;
    assert_eq!(
        (data(0), data(4)),
        (500, 1000),
        "the file's `train` went with its `source`"
    );
}

#[test]
fn the_grid_is_the_product_with_the_variants() {
    let text = format!("{VALID}\n[grid]\n\"training.learning_rate\" = [1e-3, 3e-4]\n\"model.components\" = [2, 3]\n");
    let experiment = loaded(&text, &[]);
    assert_eq!(experiment.variants.len(), 8);
    assert_eq!(names(&experiment)[1], "exact · learning_rate=0.001 · components=3");
    assert_eq!(names(&experiment)[6], "sampled · learning_rate=0.0003 · components=2");
    let spec = &experiment.variants[6].spec;
    assert_eq!((spec.training.learning_rate, components(spec)), (3e-4, 2));
}

#[test]
fn keys_with_the_same_last_part_are_named_in_full() {
    let base = VALID.split("[[variant]]").next().unwrap();
    let text = format!("{base}\n[grid]\n\"posterior.kind\" = [\"exact\"]\n\"model.kind\" = [\"gaussian\"]\n");
    assert_eq!(
        names(&loaded(&text, &[])),
        ["posterior.kind=exact · model.kind=gaussian"]
    );
}

#[test]
fn a_later_override_wins_over_an_earlier_one() {
    let overrides = [
        "model.components = 3",
        "training.steps = 9\nseeds = \"4..6\"",
        "model.components = 4",
    ];
    let experiment = loaded(VALID, &overrides);
    assert_eq!(experiment.seeds, [4, 5]);
    for variant in &experiment.variants {
        assert_eq!((components(&variant.spec), variant.spec.training.steps), (4, 9));
    }
}

#[test]
fn whole_numbers_pass_where_numbers_are_expected() {
    let experiment = loaded(
        &with("learning_rate = 1e-3", "learning_rate = 1"),
        &["model.bounds = [0, 2]"],
    );
    assert_eq!(experiment.variants[0].spec.training.learning_rate, 1.0);
}

#[test]
fn resolved_text_reads_back_and_only_content_changes_the_hash() {
    let experiment = loaded(VALID, &[]);
    for variant in &experiment.variants {
        let text = resolve::to_toml(&variant.spec).unwrap();
        assert_eq!(toml::from_str::<Spec>(&text).unwrap(), variant.spec, "{text}");
    }
    let hash = |text: &str| resolve::hash(&loaded(text, &[]).variants[0].spec).unwrap();
    assert_eq!(
        hash(VALID),
        hash(&with(
            "components = 5\nhidden = [64, 64]",
            "hidden = [64, 64]\ncomponents = 5"
        ))
    );
    assert_eq!(hash(VALID), hash(&with("components = 5\n", "")), "5 is the default");
    assert_ne!(hash(VALID), hash(&with("components = 5", "components = 6")));
}

/// The schema for editors must agree with the loader; it is read here by the same checker.
#[test]
fn the_schema_of_files_accepts_what_loads_and_refuses_slips() {
    let schema = schema::of_files::<Spec>();
    let count = |text: &str| {
        let mut sources = Sources::default();
        let source = sources.add("file", text);
        let (root, faults) = tree::parse(&sources, source);
        assert_eq!(faults, []);
        check(&root, &Shape::new(&schema, &schema), &[], false).len()
    };
    assert_eq!(count(VALID), 0);
    assert_eq!(
        count(&format!(
            "{VALID}\nmodel.components = 3\n[grid]\n\"training.steps\" = [1, 2]\n"
        )),
        0
    );
    assert_eq!(count(&with("samples = 8", "sample = 8")), 1);
    assert_eq!(count(&with("samples = 8", "samples = 0")), 1);
    assert_eq!(count(&with("components = 5", "components = 0")), 1);
    assert_eq!(count(&with("seeds = 10", "seeds = 0")), 1);
    assert_eq!(schema["properties"]["model"]["unevaluatedProperties"], false);
}

#[test]
fn descriptions_come_from_the_option_structs() {
    let text = |descriptions: Vec<describe::Description>| {
        descriptions
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n")
    };
    insta::assert_snapshot!("describe_model", text(describe::kinds::<Model>()));
    insta::assert_snapshot!("describe_data", text(describe::kinds::<Data>()));
    insta::assert_snapshot!("describe_training", describe::section::<Training>().to_string());
    let key = &describe::section::<ConditionalMixture>().keys[0];
    assert_eq!((key.name.as_str(), key.default.as_deref()), ("components", Some("5")));
}
