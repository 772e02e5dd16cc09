//! Every kind of fault, as its reader sees it.

use std::path::Path;

use latent_lab::spec::load;

use crate::stand_in::{Spec, VALID, load_bytes, semantic, with};

/// What the reader sees, without the folder, which is another one in every run.
fn shown(text: &str, overrides: &[&str]) -> String {
    let faults = load_bytes(text.as_bytes(), overrides).expect_err("the file is at fault");
    let path = faults.sources.name(0).to_owned();
    faults.render(false).replace(&path, "bends.toml")
}

macro_rules! shows {
    ($name:ident, $text:expr $(, $set:expr)*) => {
        #[test]
        fn $name() {
            insta::assert_snapshot!(shown(&$text, &[$($set),*]));
        }
    };
}

shows!(syntax_error, with("seeds = 10", "seeds = ten\ntrain = = 3"));
shows!(duplicate_key, with("components = 5", "components = 5\ncomponents = 6"));
shows!(number_overflow, with("steps = 100", "steps = 99999999999999999999"));
shows!(empty_file, "# nothing yet\n");
shows!(empty_override, VALID, "");
shows!(override_syntax, VALID, "model.components = ");
shows!(override_unknown_key, VALID, "training.seteps = 3");
shows!(override_variant, VALID, "variant = []");
shows!(unknown_key_with_suggestion, with("components = 5", "compoments = 5"));
shows!(
    unknown_key_of_another_section,
    with("components = 5", "learning_rate = 0.1")
);
shows!(
    unknown_key_of_another_kind,
    with("kind = \"exact\"", "kind = \"exact\"\nsamples = 3")
);
shows!(unknown_key_lists_the_known, with("components = 5", "colour = 5"));
shows!(unknown_section, with("[training]", "[traning]"));
shows!(unknown_file_key, with("seeds = 10", "seed = 10"));
shows!(wrong_form_text_for_number, with("components = 5", "components = \"5\""));
shows!(wrong_form_float_for_integer, with("steps = 100", "steps = 1e2"));
shows!(wrong_form_number_for_list, with("hidden = [64, 64]", "hidden = 64"));
shows!(wrong_form_in_list, with("hidden = [64, 64]", "hidden = [64, \"64\"]"));
shows!(wrong_form_boolean, with("steps = 100", "early_stopping = \"true\""));
shows!(
    wrong_form_section,
    with("[training]\nlearning_rate = 1e-3\nsteps = 100", "[[training]]")
);
shows!(out_of_range, with("components = 5", "components = 0"));
shows!(out_of_open_range, with("learning_rate = 1e-3", "learning_rate = 0"));
shows!(out_of_32_bits, with("hidden = [64, 64]", "hidden = [64, 5000000000]"));
shows!(not_finite, with("learning_rate = 1e-3", "learning_rate = nan"));
shows!(wrong_length, with("components = 5", "bounds = [0, 1, 2]"));
shows!(unknown_choice, with("components = 5", "prior = \"given_z\""));
shows!(
    unknown_kind,
    with("\"conditional_mixture\"", "\"conditional_mixtures\"")
);
shows!(missing_kind, with("kind = \"conditional_mixture\"\n", ""));
shows!(missing_key, with("\"inverse_sinusoid\"", "\"file\""));
shows!(missing_key_in_patch, with(", samples = 8", ""));
shows!(
    missing_section,
    with("[data]\nsource = \"inverse_sinusoid\"\ntrain = 500\n", "")
);
shows!(missing_question, with("question = \"Which posterior?\"\n", ""));
shows!(empty_question, with("Which posterior?", ""));
shows!(missing_seeds, with("seeds = 10\n", ""));
shows!(seeds_negative, with("seeds = 10", "seeds = -3"));
shows!(seeds_backwards, with("seeds = 10", "seeds = \"30..20\""));
shows!(seeds_twice, with("seeds = 10", "seeds = [3, 5, 3]"));
shows!(seeds_of_wrong_form, with("seeds = 10", "seeds = true"));
shows!(variant_without_name, with("name = \"sampled\"\n", ""));
shows!(variant_name_empty, with("name = \"sampled\"", "name = \" \""));
shows!(variant_name_twice, with("name = \"sampled\"", "name = \"exact\""));
shows!(
    variant_changes_seeds,
    with("name = \"sampled\"", "name = \"sampled\"\nseeds = 3")
);
shows!(
    variant_single_brackets,
    with("[[variant]]\nname = \"exact\"\n\n[[variant]]", "[variant]")
);
shows!(variant_patch_at_its_line, with("samples = 8", "samples = 0"));
shows!(
    variants_empty,
    format!("variant = []\n{}", VALID.split("[[variant]]").next().unwrap())
);
shows!(variant_meets_base, with("components = 5", "components = 1"));
shows!(grid_not_a_list, format!("{VALID}\n[grid]\n\"training.steps\" = 3"));
shows!(grid_empty_list, format!("{VALID}\n[grid]\n\"training.steps\" = []"));
shows!(
    grid_value_twice,
    format!("{VALID}\n[grid]\n\"training.steps\" = [1, 2, 1]")
);
shows!(
    grid_unknown_key,
    format!("{VALID}\n[grid]\n\"training.stepz\" = [1, 2]")
);
shows!(
    grid_value_out_of_range,
    format!("{VALID}\n[grid]\n\"model.components\" = [2, 101]")
);
shows!(grid_varies_seeds, format!("{VALID}\n[grid]\nseeds = [1, 2]"));
shows!(
    all_faults_at_once,
    with("components = 5", "components = 0")
        .replace("steps = 100", "stepps = 100")
        .replace("seeds = 10", "seeds = 0")
);
shows!(unknown_key_in_plain_section, with("steps = 100", "colour = 100"));
shows!(
    refused_by_its_type,
    with("[training]", "[evaluation]\nmetrics = [\"likelihood\"]\n\n[training]")
);
shows!(seeds_none, with("seeds = 10", "seeds = 0"));
shows!(seeds_item, with("seeds = 10", "seeds = [1, \"2\"]"));

#[test]
fn files_that_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let message = |path: &Path| {
        let faults = load::<Spec>(path, &[], semantic).expect_err("the file is at fault");
        faults
            .render(false)
            .replace(&folder.path().display().to_string(), "FOLDER")
    };
    std::fs::write(
        folder.path().join("latin1.toml"),
        b"seeds = 3\nquestion = \"M\xfcnchen?\"",
    )
    .unwrap();
    let paths = ["missing.toml", "", "latin1.toml"].map(|name| folder.path().join(name));
    insta::assert_snapshot!(paths.map(|path| message(&path)).join("\n\n"));
}

#[test]
fn duplicate_variants_are_a_warning() {
    let text = with(
        "posterior = { kind = \"sampled\", samples = 8 }",
        "training.steps = 100",
    );
    let loaded = load_bytes(text.as_bytes(), &[]).unwrap();
    insta::assert_snapshot!(loaded.warnings.render(false));
}

#[test]
fn json_names_file_line_and_column() {
    let faults = load_bytes(with("components = 5", "components = 0").as_bytes(), &[]).unwrap_err();
    let json = faults.to_json();
    assert_eq!(json[0]["severity"], "error");
    assert_eq!(json[0]["at"]["line"], 10);
    assert_eq!(json[0]["at"]["column"], 14);
    assert_eq!(json[0]["at"]["expected"], "expected a whole number from 1 to 100");
}
