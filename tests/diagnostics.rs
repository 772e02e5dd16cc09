//! Every kind of fault in an experiment file, as its reader sees it, on a small stand-in for the real spec.

use std::path::Path;

use latent_lab::spec::{Diagnostics, Fault, Loaded, load};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One variant of a small experiment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Spec {
    data: Data,
    model: Model,
    posterior: Posterior,
    #[serde(default)]
    training: Training,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    evaluation: Option<Evaluation>,
}

/// Where the data come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Data {
    #[serde(flatten)]
    source: Source,
    /// Data to train on.
    #[serde(default = "thousand")]
    #[schemars(range(min = 1))]
    train: u64,
}

fn thousand() -> u64 {
    1000
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "source", rename_all = "snake_case")]
enum Source {
    /// Bishop's many-valued inverse problem.
    InverseSinusoid,
    /// The user's own table.
    File {
        /// Relative to the experiment file.
        path: String,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Model {
    /// One Gaussian.
    Gaussian,
    /// A mixture whose parts depend on the input.
    ConditionalMixture(ConditionalMixture),
}

/// Options of the conditional mixture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
struct ConditionalMixture {
    /// Number of components.
    #[schemars(range(min = 1, max = 100))]
    components: usize,
    /// Units of each hidden layer.
    hidden: Vec<u32>,
    /// What the weights depend on.
    prior: Prior,
    /// Smallest and largest value.
    bounds: [f64; 2],
}

impl Default for ConditionalMixture {
    fn default() -> Self {
        Self {
            components: 5,
            hidden: vec![64, 64],
            prior: Prior::GivenX,
            bounds: [0.0, 1.0],
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Prior {
    /// p(z|x).
    GivenX,
    /// p(z).
    Marginal,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Posterior {
    /// Every latent value, weighted.
    Exact,
    /// Draws from the exact posterior.
    Sampled {
        /// Draws per datum.
        #[schemars(range(min = 1))]
        samples: u32,
    },
}

/// How to train.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
struct Training {
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    learning_rate: f64,
    steps: u64,
    early_stopping: bool,
}

impl Default for Training {
    fn default() -> Self {
        Self {
            learning_rate: 1e-3,
            steps: 5000,
            early_stopping: false,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Evaluation {
    metrics: Vec<String>,
}

const VALID: &str = r#"question = "Which posterior?"
seeds = 10

[data]
source = "inverse_sinusoid"
train = 500

[model]
kind = "conditional_mixture"
components = 5
hidden = [64, 64]

[posterior]
kind = "exact"

[training]
learning_rate = 1e-3
steps = 100

[[variant]]
name = "exact"

[[variant]]
name = "sampled"
posterior = { kind = "sampled", samples = 8 }
"#;

/// One component has only one latent value, so there is nothing to sample.
fn semantic(spec: &Spec, _folder: &Path) -> Vec<Fault> {
    match (&spec.model, &spec.posterior) {
        (Model::ConditionalMixture(model), Posterior::Sampled { .. }) if model.components == 1 => {
            let message = "one component leaves nothing to sample";
            let fault = Fault::new("model.components", message, "expected at least 2");
            vec![fault.help("or take the posterior \"exact\"")]
        }
        _ => Vec::new(),
    }
}

fn load_bytes(bytes: &[u8], overrides: &[&str]) -> Result<Loaded<Spec>, Diagnostics> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bends.toml");
    std::fs::write(&path, bytes).unwrap();
    let overrides: Vec<String> = overrides.iter().map(|text| text.to_string()).collect();
    load(&path, &overrides, semantic)
}

/// What the reader sees, without the folder, which is another one in every run.
fn shown(text: &str, overrides: &[&str]) -> String {
    let faults = load_bytes(text.as_bytes(), overrides).expect_err("the file is at fault");
    let path = faults.sources.name(0).to_owned();
    faults.render(false).replace(&path, "bends.toml")
}

/// The valid file with one piece replaced.
fn with(old: &str, new: &str) -> String {
    assert!(VALID.contains(old), "{old:?} is not in the valid file");
    VALID.replacen(old, new, 1)
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
shows!(seeds_none, with("seeds = 10", "seeds = 0"));
shows!(seeds_item, with("seeds = 10", "seeds = [1, \"2\"]"));

#[test]
fn files_that_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let message = |path: &Path| {
        let faults = load(path, &[], semantic).expect_err("the file is at fault");
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
fn twins_are_a_warning() {
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
