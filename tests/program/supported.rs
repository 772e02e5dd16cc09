//! The table of supported combinations against the program: each combination either trains, or is refused with the
//! supported ones named.

use crate::laboratory::Laboratory;
use latent_lab::model::ModelConfig;
use latent_lab::train::{Combination, supported_combinations};

const OBJECTIVES: [&str; 5] = [
    "marginal_likelihood",
    "expected_log_likelihood",
    "elbo",
    "iwae",
    "mean_squared_error",
];
const POSTERIORS: [&str; 10] = [
    "exact",
    "sampled",
    "hard",
    "amortised",
    "importance",
    "hamiltonian",
    "filter",
    "extended_kalman",
    "unscented_kalman",
    "particle",
];
const OPTIMIZERS: [(&str, &str); 2] = [
    (
        "adam",
        "optimizer = \"adam\", steps = 60, batch_size = 64, learning_rate = 0.01, evaluate_every = 60",
    ),
    ("em", "optimizer = \"em\", steps = 4"),
];

/// Models with their data: a density and a conditional, with and without a closed form, every form of covariance and
/// every factorisation of p(y|x).
const MODELS: [(&str, &str, &str); 15] = [
    ("gaussian", "three_clusters", "kind = \"gaussian\""),
    ("line", "linear_gaussian", "kind = \"linear_gaussian\""),
    ("full", "three_clusters", "kind = \"gaussian_mixture\", components = 2"),
    (
        "tied",
        "three_clusters",
        "kind = \"gaussian_mixture\", components = 2, covariance = \"tied\"",
    ),
    (
        "diagonal",
        "three_clusters",
        "kind = \"gaussian_mixture\", components = 2, covariance = \"diagonal\"",
    ),
    (
        "spherical",
        "three_clusters",
        "kind = \"gaussian_mixture\", components = 2, covariance = \"spherical\"",
    ),
    (
        "lines",
        "inverse_sinusoid",
        "kind = \"conditional_mixture\", components = 2, hidden = [], prior = \"marginal\", deviation = \"constant\"",
    ),
    (
        "network",
        "inverse_sinusoid",
        "kind = \"conditional_mixture\", components = 2, hidden = [6]",
    ),
    (
        "policy",
        "inverse_sinusoid",
        "kind = \"conditional_mixture\", components = 1, hidden = [6], covariance = \"full\"",
    ),
    (
        "places",
        "inverse_sinusoid",
        "kind = \"conditional_mixture\", components = 3, hidden = [6], likelihood = \"latent_only\"",
    ),
    (
        "marginal",
        "inverse_sinusoid",
        "kind = \"conditional_mixture\", components = 2, hidden = [6], prior = \"marginal\"",
    ),
    ("decoder", "ring", "kind = \"latent_gaussian\", hidden = [6]"),
    (
        "latent policy",
        "inverse_sinusoid",
        "kind = \"latent_gaussian\", hidden = [6], latent_dimensions = 1, prior = \"given_x\"",
    ),
    ("states", "lgssm", "kind = \"linear_gaussian_ssm\", states = 2"),
    (
        "growth",
        "growth",
        "kind = \"nonlinear_gaussian_ssm\", likelihood_particles = 200",
    ),
];

fn supported(model: &str) -> Vec<Combination> {
    let config: ModelConfig = toml::from_str(&model.replace(", ", "\n")).expect("a model");
    supported_combinations(config.abilities())
}

fn file(source: &str, model: &str, variants: &str) -> String {
    format!(
        "question = \"Supported?\"\nseeds = 1\n[data]\nsource = {source:?}\ntrain = 120\ntest = 30\nstandardize = true\n\
         [model]\n{}\n[training]\noptimizer = \"adam\"\n{variants}",
        model.replace(", ", "\n")
    )
}

fn variant(objective: &str, posterior: &str, training: &str) -> String {
    format!("objective.kind = {objective:?}\nposterior.kind = {posterior:?}\ntraining = {{ {training} }}\n")
}

fn each(mut visit: impl FnMut(Combination, &str)) {
    for objective in OBJECTIVES {
        for posterior in POSTERIORS {
            for (optimizer, training) in OPTIMIZERS {
                visit(
                    Combination {
                        objective,
                        posterior,
                        optimizer,
                    },
                    training,
                );
            }
        }
    }
}

#[test]
fn every_supported_combination_of_densities_raises_its_objective() {
    trains(40, |source| source == "three_clusters");
}

#[test]
fn every_supported_combination_of_conditionals_raises_its_objective() {
    trains(40, |source| source != "three_clusters");
}

fn trains(least: usize, is_tried: impl Fn(&str) -> bool) {
    let mut trained = 0;
    for (name, source, model) in MODELS.into_iter().filter(|(_, source, _)| is_tried(source)) {
        let supported = supported(model);
        let mut variants = String::new();
        each(|combination, training| {
            if supported.contains(&combination) {
                let Combination {
                    objective,
                    posterior,
                    optimizer,
                } = combination;
                let patch = variant(objective, posterior, training);
                variants.push_str(&format!(
                    "[[variant]]\nname = \"{objective} {posterior} {optimizer}\"\n{patch}"
                ));
            }
        });
        let laboratory = Laboratory::with(&file(source, model, &variants));
        let said = laboratory.say(&["run", "e.toml", "--quiet", "--json"]).expect(0);
        assert_eq!(
            said.json()["variants"].as_array().map(Vec::len),
            Some(supported.len()),
            "{name}"
        );
        for (path, bytes) in laboratory.files("results") {
            if path.ends_with("metrics.jsonl") {
                let text = String::from_utf8(bytes).expect("UTF-8");
                // The expected log-likelihood of real numbers lacks the entropy of q, which falls as the noise is
                // learnt. Exact posteriors raise the likelihood nevertheless.
                let metric = match name {
                    "states" => "train/log_likelihood",
                    "decoder" | "latent policy" => "train/log_likelihood_grid",
                    "growth" => "train/log_likelihood_estimate",
                    _ => "train/objective",
                };
                let value =
                    |line: &str| serde_json::from_str::<serde_json::Value>(line).expect("JSON")[metric].as_f64();
                let values: Vec<f64> = text.lines().map(|line| value(line).expect("an objective")).collect();
                let (first, last) = (values[0], values[values.len() - 1]);
                // Sampled posteriors show this only up to their noise; one Gaussian may begin at its optimum.
                let is_shortcut =
                    name == "states" && !path.contains("exact") || name == "growth" && path.contains("kalman");
                let rises = last > first - 0.02 * first.abs().max(1.0);
                assert!(rises || is_shortcut, "{name}: {path}: {values:?}");
                trained += 1;
            }
        }
    }
    assert!(trained >= least, "only {trained} combinations trained");
}

#[test]
fn every_other_combination_is_refused_with_the_supported_ones_named() {
    let mut refused = 0;
    for (name, source, model) in MODELS {
        let supported = supported(model);
        each(|combination, training| {
            let Combination {
                objective, posterior, ..
            } = &combination;
            let text = file(
                source,
                model,
                &format!("[[variant]]\nname = \"v\"\n{}", variant(objective, posterior, training)),
            );
            let laboratory = Laboratory::with(&text);
            let loaded = latent_lab::spec::load_experiment(&laboratory.path("e.toml"), &[]);
            match (loaded, supported.contains(&combination)) {
                (Ok(_), true) => {}
                (Err(faults), false) => {
                    let text = faults.render(false);
                    let partner = &supported[0];
                    let partner = format!("{} × {} × {}", partner.objective, partner.posterior, partner.optimizer);
                    assert!(text.contains("e.toml:") && text.contains(&partner), "{name}: {text}");
                    assert_eq!(faults.to_json().as_array().map(Vec::len), Some(1), "{name}: {text}");
                    refused += 1;
                }
                (Ok(_), false) => panic!("{name} accepts {combination:?}"),
                (Err(faults), true) => panic!("{name} refuses {combination:?}: {}", faults.render(false)),
            }
        });
    }
    assert!(refused >= 60, "only {refused} combinations were refused");
}
