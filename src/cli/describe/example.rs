//! A small experiment file around each model, posterior, objective, optimizer, source of data and environment; a test
//! runs every one of them.

use crate::cli::kind::Kind;
use crate::model::ModelConfig;
use crate::train::{Combination, supported_combinations};

/// A supported combination with `model` that shows what is described: the usual ones where they are supported.
fn combination(kind: Kind, name: &str, model: &str) -> Combination {
    let usual = [
        ("expected_log_likelihood", "exact"),
        ("elbo", "amortised"),
        ("expected_log_likelihood", "particle"),
    ];
    let rank = |supported: &Combination| {
        let place = usual
            .iter()
            .position(|pair| *pair == (supported.objective, supported.posterior));
        place.unwrap_or(usual.len())
    };
    let config: Option<ModelConfig> = toml::from_str(model).ok();
    let supported = config.map_or_else(Vec::new, |config| supported_combinations(config.abilities()));
    let shows = |supported: &Combination| match kind {
        Kind::Objective => supported.objective == name,
        Kind::Posterior => supported.posterior == name,
        Kind::Optimizer => supported.optimizer == name,
        _ => supported.optimizer == "adam",
    };
    let fallback = Combination {
        objective: usual[0].0,
        posterior: usual[0].1,
        optimizer: "adam",
    };
    supported.into_iter().filter(shows).min_by_key(rank).unwrap_or(fallback)
}

/// A small experiment file around `name`; a test runs every one of them.
pub(super) fn example(kind: Kind, name: &str) -> String {
    let mut model = "kind = \"gaussian_mixture\"\ncomponents = 3".to_owned();
    let mut source = "three_clusters".to_owned();
    let mut training = "optimizer = \"adam\"\nsteps = 200\nevaluate_every = 50";
    match (kind, name) {
        (Kind::Model, name) => {
            model = format!("kind = {name:?}");
            source = match name {
                "linear_gaussian" | "conditional_mixture" => "inverse_sinusoid",
                "linear_gaussian_ssm" => "lgssm",
                "nonlinear_gaussian_ssm" => "growth",
                _ => "ring",
            }
            .into();
        }
        (Kind::Posterior, "extended_kalman" | "unscented_kalman" | "particle") => {
            (model, source) = ("kind = \"nonlinear_gaussian_ssm\"".into(), "growth".into());
        }
        (Kind::Posterior, "filter") => (model, source) = ("kind = \"linear_gaussian_ssm\"".into(), "lgssm".into()),
        (Kind::Posterior, "hamiltonian") => {
            (model, source) = ("kind = \"latent_gaussian\"\nhidden = [8]".into(), "ring".into());
            training = "optimizer = \"adam\"\nsteps = 20\nevaluate_every = 5";
        }
        (Kind::Posterior, "amortised" | "importance") | (Kind::Objective, "elbo" | "iwae") => {
            (model, source) = ("kind = \"latent_gaussian\"".into(), "ring".into());
        }
        (Kind::Objective, "mean_squared_error") => {
            (model, source) = ("kind = \"conditional_mixture\"\ncomponents = 1".into(), "tree".into());
        }
        (Kind::Optimizer, "em") => training = "optimizer = \"em\"\nsteps = 50",
        (Kind::Environment, name) => {
            (model, source) = ("kind = \"conditional_mixture\"\ncomponents = 3".into(), name.into());
        }
        (Kind::Data, name) => {
            source = name.to_owned();
            if matches!(name, "linear_gaussian" | "inverse_sinusoid" | "tree") {
                model = "kind = \"conditional_mixture\"\ncomponents = 3".into();
            }
            if name == "lgssm" {
                model = "kind = \"linear_gaussian_ssm\"".into();
            }
            if name == "growth" {
                model = "kind = \"nonlinear_gaussian_ssm\"".into();
            }
        }
        _ => {}
    }
    let Combination {
        posterior, objective, ..
    } = combination(kind, name, &model);
    let data = match source.as_str() {
        "file" => "source = \"file\"\npath = \"points.csv\"          # beside the experiment file\nobserved = [\"x\", \"y\"]\n\
                   test_fraction = 0.25"
            .to_owned(),
        source => format!("source = {source:?}\ntrain = 200"),
    };
    let before = if source == "file" { points() } else { String::new() };
    let after = match kind {
        Kind::Environment => "\n[evaluation]\nenvironment = \"tree\"\nrollouts = 50\n",
        _ => "",
    };
    format!(
        "{before}question = \"What does {name} do?\"\nseeds = 3\n\n[data]\n{data}\n\n[model]\n{model}\n\n[posterior]\n\
         kind = {posterior:?}\n\n[objective]\nkind = {objective:?}\n\n[training]\n{training}\n{after}"
    )
}

/// A comment with the command that makes the file of the example.
fn points() -> String {
    let rows = (0..24).map(|i| format!("{}.{},{}", i / 4, i * 7 % 10, i * 5 % 11));
    let rows: Vec<String> = rows.collect();
    let lines = rows.chunks(8).map(|rows| format!("# {}", rows.join(" ")));
    let lines: Vec<String> = lines.collect();
    format!(
        "# This command makes the file of the example:\n# printf '%s\\n' x,y \\\n{} > points.csv\n\n",
        lines.join(" \\\n")
    )
}
