//! Descriptions that are in no schema: variants, grids, seeds, initial values, and the columns of generated data.

use crate::data::{DataConfig, GeneratorKind};
use crate::environment::EnvironmentKind;
use crate::kind;
use latent_lab_envs::{Control, ImageDeclaration, ImageShape, Reference};

/// `[[variant]]`.
pub(super) const VARIANT: &str = "\
Each [[variant]] is one of the things that are compared: the keys of the file, with those that the variant sets. A file \
without variants is its own single variant.";

/// An example of variants.
pub(super) const VARIANT_EXAMPLE: &str = "\
[[variant]]
name = \"exact posterior\"

[[variant]]
name = \"8 samples\"
posterior = { kind = \"sampled\", samples = 8 }

[[variant]]
name = \"marginal likelihood\"
objective.kind = \"marginal_likelihood\"
";

/// `[grid]`.
pub(super) const GRID: &str = "\
Each key of [grid] is the quoted name of another key with a list of values. Each variant is run with each combination of the \
values. The values are added to the name of the variant, as in \"8 samples · learning_rate=0.001\".";

/// An example of a grid.
pub(super) const GRID_EXAMPLE: &str = "\
[grid]
\"training.learning_rate\" = [1e-3, 3e-4]
\"model.components\" = [2, 4, 8]
";

/// `seeds`.
pub(super) const SEEDS: &str = "\
Each variant is run once with each seed. For one seed all variants have the same data, splits, initial values and noise, so \
they are compared in pairs. The flag --seeds takes the place of the key.";

/// An example of seeds.
pub(super) const SEEDS_EXAMPLE: &str = "seeds = 10\n";

/// How initial values are chosen.
pub(super) const INITIAL_VALUES: [&str; 5] = [
    "Initial values depend on the seed and not on the variant, unless the variant changes the model or the data.",
    "`gaussian` and `linear_gaussian` with `optimizer = \"em\"`: the first sweep is already the maximum, so nothing depends \
     on them.",
    "`gaussian_mixture` and `conditional_mixture`: k-means++ centres of the training rows (Arthur & Vassilvitskii 2007), \
     then ten iterations of k-means. Each component begins with the share, the mean and the covariance of one cluster, so \
     the log-likelihood at step 0 is often close to that at the end. They cannot be given, but with `optimizer = \"em\"` \
     `training.starts` draws them several times and keeps the run with the largest training log-likelihood.",
    "`linear_gaussian_ssm` and `nonlinear_gaussian_ssm`: `model.initial_values` chooses between values that the file gives, \
     random values and, for the linear model, subspace identification.",
    "Networks: uniform weights in ±1/√(inputs), with biases of 0 or, for mixtures, of the clusters above.",
];

const OF_DEMONSTRATIONS: &str = "the steps of demonstrations; `train` and `test` count demonstrations";

/// The columns of the rows that a source of data makes, and what is known about their density.
pub(super) fn columns(source: &str) -> Vec<(&'static str, String)> {
    let Some(entry) = kind::find::<dyn GeneratorKind>(source) else {
        return vec![(
            "columns",
            "those that `observed`, `given` and the other keys name; the file has the rest as well".to_owned(),
        )];
    };
    let Ok(generator) = entry.default_options() else {
        // The columns depend on a key without a default, which the example has.
        let example = toml::from_str::<DataConfig>(entry.example.data).ok();
        let Some(generator) = example.as_ref().and_then(|data| data.source.generator()) else {
            return vec![("columns", "those that its keys say".to_owned())];
        };
        let (observed, given) = match (generator.environment(), generator.image_shape()) {
            (Some(_), _) => ("the action of the environment", "the observation of the environment"),
            (None, Some(_)) => (
                "the pixels of the environment's image, stored as bytes and read as 0 to 1",
                "the action after the image",
            ),
            (None, None) => return vec![("columns", "those that its keys say".to_owned())],
        };
        return vec![
            ("observed columns", observed.to_owned()),
            ("given columns", given.to_owned()),
            ("rows", rows(generator)),
        ];
    };
    let named = |names: Vec<String>| match names.len() {
        0 => "none, so the model is a density p(x)".to_owned(),
        count => format!("{} ({count})", names.join(", ")),
    };
    let mut facts = vec![
        ("observed columns", named(generator.observed())),
        ("given columns", named(generator.given())),
        ("rows", rows(&*generator)),
    ];
    if let Some(prior) = generator.prior() {
        facts.push(("components", prior.len().to_string()));
    }
    facts.extend(references(generator.references()));
    facts
}

/// Whether a generator has a grid in place of draws.
pub(super) fn has_population(source: &str) -> bool {
    let config = toml::from_str::<DataConfig>(&format!("source = {source:?}"));
    let generator = config.as_ref().ok().and_then(|config| config.source.generator());
    generator.is_some_and(|generator| generator.population(2).is_some())
}

fn rows(generator: &dyn GeneratorKind) -> String {
    if generator.longest_sequence(1).is_some() {
        "the steps of sequences; models of sequences take them".to_owned()
    } else if generator.environment().is_some() {
        OF_DEMONSTRATIONS.to_owned()
    } else if generator.population(2).is_some() {
        "independent draws, or a grid with `population = true`".to_owned()
    } else {
        "independent draws".to_owned()
    }
}

fn references(references: Vec<Reference>) -> impl Iterator<Item = (&'static str, String)> {
    references.into_iter().map(|reference| {
        let text = format!("{:.4}, {}", reference.value, reference.text);
        (reference.name, text)
    })
}

/// How many numbers there are, and which.
fn numbers(all: Vec<String>) -> String {
    let s = if all.len() == 1 { "" } else { "s" };
    format!("{} number{s}: {}", all.len(), all.join(", "))
}

/// The numbers of an action with their bounds.
fn bounds(controls: &[Control]) -> Vec<String> {
    let text = |control: &Control| format!("{} from {} to {}", control.name, control.low, control.high);
    controls.iter().map(text).collect()
}

/// The images of an environment, and how data are collected from it.
fn images(declared: &ImageDeclaration) -> [(&'static str, String); 3] {
    let ImageShape { height, width, frames } = declared.shape;
    let shown = match frames {
        1 => format!("{height}×{width} grey pixels"),
        _ => format!("{height}×{width} grey pixels, {frames} consecutive frames"),
    };
    let (budget, actions) = (declared.budget, bounds(&declared.exploration));
    let data = format!(
        "{} transitions with {}, in sequences of {} steps: `source = \"exploration\"` with `train = {}`",
        budget.transitions,
        actions.join(", "),
        budget.length,
        budget.steps(budget.length)
    );
    [
        ("image", shown),
        (
            "true state",
            format!("{}; for scoring only", declared.true_state.join(", ")),
        ),
        ("usual data", data),
    ]
}

/// What is observed and done in an environment, what ends an episode, and what scores are compared with.
pub(super) fn environment(environment: &dyn EnvironmentKind) -> Vec<(&'static str, String)> {
    let declared = environment.declaration();
    let names = declared.observation.iter().map(|name| (*name).to_owned());
    let mut facts = vec![
        ("observation", numbers(names.collect())),
        ("action", numbers(bounds(&declared.action))),
    ];
    facts.extend(declared.images.iter().flat_map(images));
    facts.extend([
        ("longest episode", format!("{} steps", declared.horizon)),
        ("return", format!("in {}", declared.reward_unit)),
        (
            "success",
            declared
                .success
                .unwrap_or("not declared: only the return counts")
                .to_owned(),
        ),
    ]);
    if !declared.routes.is_empty() {
        facts.push(("routes", declared.routes.join(", ")));
    }
    let expert = if declared.has_expert {
        "scripted; `source = \"demonstrations\"` shows it"
    } else {
        "none"
    };
    facts.push(("expert", expert.to_owned()));
    let yardsticks = declared.yardsticks;
    let scores = yardsticks
        .returns
        .into_iter()
        .chain(yardsticks.success_rates)
        .map(|known| {
            let name = if known.name == "expert" {
                "expert's score"
            } else {
                known.name
            };
            (name, format!("{:.4}, {}", known.value, known.text))
        });
    let mut known: Vec<(&str, String)> = Vec::new();
    for score in scores {
        if !known.contains(&score) {
            known.push(score);
        }
    }
    facts.extend(known);
    facts
}
