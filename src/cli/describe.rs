//! `latent-lab describe KIND NAME`: what a thing is, its keys, its supported partners, and an example that runs.

use super::list::Kind;
use super::{Stop, say};
use crate::figure::lecture;
use crate::model::{Abilities, ModelConfig};
use crate::spec::check::closest;
use crate::train::{Combination, metrics, supported_combinations};
use clap::Args;
use std::fmt::Write;

#[derive(Debug, Args)]
pub(super) struct Describe {
    /// What it is
    kind: Kind,
    /// Its name, as `list` prints it
    name: String,
}

impl Describe {
    pub(super) fn execute(&self) -> Result<(), Stop> {
        let names = self.kind.names();
        if !names.iter().any(|(name, _)| *name == self.name) {
            let known = names.iter().map(|(name, _)| name.as_str());
            let nearest = closest(&self.name, known.clone());
            let nearest = nearest.map_or(".".to_owned(), |name| format!("; did you mean `{name}`?"));
            let known = known.collect::<Vec<_>>().join(", ");
            return Err(Stop::Usage(format!(
                "there is no `{}`{nearest} There are: {known}",
                self.name
            )));
        }
        say(&match self.kind {
            Kind::Metric => metric(&self.name),
            Kind::Figure => figure(&self.name),
            kind => self.section(kind),
        });
        Ok(())
    }

    fn section(&self, kind: Kind) -> String {
        let descriptions = kind.descriptions().unwrap_or_default();
        let mut text = String::new();
        if let Some(description) = descriptions.iter().find(|description| description.name == self.name) {
            let _ = write!(text, "{description}");
        }
        if let Some(equation) = equation(kind, &self.name) {
            let _ = write!(text, "\nEquation:\n  {equation}\n");
        }
        let _ = write!(text, "\n{}", partners(kind, &self.name));
        let _ = write!(
            text,
            "\nAn example that runs:\n\n{}",
            indent(&example(kind, &self.name))
        );
        text
    }
}

fn metric(name: &str) -> String {
    let Some(metric) = metrics::find(name) else {
        return String::new();
    };
    let direction = match metric.larger_is_better {
        Some(true) => "larger is better",
        Some(false) => "smaller is better",
        None => "neither larger nor smaller is better",
    };
    format!(
        "{name}: {}\n\n  {}\n  needs: {}\n  unit: {}\n  {direction}\n",
        metric.title, metric.formula, metric.needs, metric.unit
    )
}

fn figure(name: &str) -> String {
    let Some(figure) = lecture::find(name) else {
        return String::new();
    };
    format!("{name}\n\n  {}\n  drawn from: {}\n", figure.summary, figure.experiment)
}

fn indent(text: &str) -> String {
    text.lines()
        .map(|line| {
            if line.is_empty() {
                "\n".to_owned()
            } else {
                format!("  {line}\n")
            }
        })
        .collect()
}

fn equation(kind: Kind, name: &str) -> Option<&'static str> {
    Some(match (kind, name) {
        (Kind::Model, "gaussian") => "log p(x) = log N(x; μ, Σ)",
        (Kind::Model, "linear_gaussian") => "log p(y|x) = log N(y; W x + b, Σ)",
        (Kind::Model, "gaussian_mixture") => "log p(x, z) = log softmax(logit_scale · logits)_z + log N(x; μ_z, Σ_z)",
        (Kind::Model, "conditional_mixture") => "log p(y, z | x) = log p(z|x) + log N(y; μ_z(x), Σ_z(x))",
        (Kind::Model, "linear_gaussian_ssm") => {
            "log p(o, x | u) = log N(x_1; m₁, P₁) + Σ_t log N(x_{t+1}; A x_t + B u_t + b, Q) + Σ_t log N(o_t; C x_t + D u_t + d, R)"
        }
        (Kind::Model, "nonlinear_gaussian_ssm") => {
            "log p(o, x) = log N(x_1; m₁, P₁) + Σ_t log N(x_{t+1}; W φ(x_t, t), Q) + Σ_t log N(o_t; V ψ(x_t), R)"
        }
        (Kind::Posterior, "extended_kalman") => {
            "N(x_1 … x_T) by the smoother's recursions with E[f(x)] = f(m), Cov(f(x)) = F P Fᵀ, F = ∂f/∂x at m"
        }
        (Kind::Posterior, "unscented_kalman") => {
            "N(x_1 … x_T) by the smoother's recursions with E[f(x)] = Σ_k w_k f(m ± √(X + λ) √P_k), likewise Cov(f(x))"
        }
        (Kind::Posterior, "particle") => {
            "x_T^s ~ w_T, then backwards x_t^s ~ w_t^i p_θ(x_{t+1}^s | x_t^i), w_t^i ∝ p_θ(o_t | x_t^i), with weights 1/S"
        }
        (Kind::Posterior, "filter") => "Π_t p_θ(x_t | o_1 … o_t): the past only, steps independent of each other",
        (Kind::Model, "latent_gaussian") => "log p(x, z) = log p(z) + log p(x|z), p(x) = ∫ p(x|z) p(z) dz",
        (Kind::Posterior, "amortised") => "z_1 … z_S ~ q_φ(z|x), with weights 1/S; or every z, with weight q_φ(z|x)",
        (Kind::Posterior, "importance") => "z_1 … z_S ~ q, with weights w_s ∝ p_θ(x, z_s) / q(z_s)",
        (Kind::Posterior, "hamiltonian") => "z_s ~ p_θ(z|x)^(1/temperature) as burn_in grows, with weights 1/S",
        (Kind::Posterior, "exact") => "every z, with weight w_z ∝ p_θ(z|x)^(1/temperature)",
        (Kind::Posterior, "sampled") => "z_1 … z_S ~ p_θ(z|x), with weights 1/S",
        (Kind::Posterior, "hard") => "z = argmax_z p_θ(z|x), with weight 1",
        (Kind::Objective, "marginal_likelihood") => "log Σ_z p_θ(x, z)",
        (Kind::Objective, "expected_log_likelihood") => "Σ_s w_s log p_θ(x, z_s)",
        (Kind::Objective, "elbo") => "Σ_s w_s [log p_θ(x, z_s) − β log q(z_s)]",
        (Kind::Objective, "iwae") => "log 1/S Σ_s exp[log p_θ(x, z_s) − log q(z_s)]",
        (Kind::Objective, "mean_squared_error") => "−‖y − E_θ[y|x]‖²",
        (Kind::Optimizer, "em") => "θ ← argmax_θ Σ_i w_i Σ_s w_is log p_θ(x_i, z_is)",
        (Kind::Optimizer, "adam") => {
            "θ ← θ + rate · m̂ / (√v̂ + ε), m and v running means of the gradient and its square"
        }
        _ => return None,
    })
}

/// The supported combinations, restricted to what is described.
fn partners(kind: Kind, name: &str) -> String {
    let abilities: Vec<(String, Abilities)> = Kind::Model
        .names()
        .into_iter()
        .filter_map(|(model, _)| {
            // The closed form of `conditional_mixture` needs settings; see its keys.
            let config: ModelConfig = toml::from_str(&format!("kind = {model:?}")).ok()?;
            Some((model, config.abilities()))
        })
        .collect();
    let mut text = String::from("Supported combinations, model × objective × posterior × optimizer:\n");
    for (model, abilities) in abilities {
        for supported in supported_combinations(abilities) {
            let shown = match kind {
                Kind::Model => model == name,
                Kind::Objective => supported.objective == name,
                Kind::Posterior => supported.posterior == name,
                Kind::Optimizer => supported.optimizer == name,
                _ => return String::new(),
            };
            if shown {
                let _ = writeln!(
                    text,
                    "  {model} × {} × {} × {}",
                    supported.objective, supported.posterior, supported.optimizer
                );
            }
        }
    }
    text
}

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
        "file" => {
            "source = \"file\"\npath = \"points.csv\"          # beside the experiment file\nobserved = [\"x\", \"y\"]"
                .to_owned()
        }
        source => format!("source = {source:?}\ntrain = 200"),
    };
    format!(
        "question = \"What does {name} do?\"\nseeds = 3\n\n[data]\n{data}\n\n[model]\n{model}\n\n[posterior]\n\
         kind = {posterior:?}\n\n[objective]\nkind = {objective:?}\n\n[training]\n{training}\n"
    )
}
