//! The table of supported combinations against the program: each combination either trains, or is refused with the
//! supported ones named.

use crate::laboratory::Laboratory;
use latent_lab::model::ModelConfig;
use latent_lab::train::{Combination, supported_combinations};
use std::collections::BTreeSet;

/// Models with their data: a density and a conditional, with and without a closed form, every form of covariance and
/// every factorisation of p(y|x). Mixtures start from weights that are far from the shares of their clusters, so that
/// there is something to learn; `gaussian` and `line` start at their maximum.
const MODELS: [(&str, &str, &str); 16] = [
    ("gaussian", "three_clusters", "kind = \"gaussian\""),
    ("line", "linear_gaussian", "kind = \"linear_gaussian\""),
    (
        "full",
        "three_clusters",
        "kind = \"gaussian_mixture\", components = 2, logits = [1.5,-1.5]",
    ),
    (
        "tied",
        "three_clusters",
        "kind = \"gaussian_mixture\", components = 2, covariance = \"tied\", logits = [1.5,-1.5]",
    ),
    (
        "diagonal",
        "three_clusters",
        "kind = \"gaussian_mixture\", components = 2, covariance = \"diagonal\", logits = [1.5,-1.5]",
    ),
    (
        "spherical",
        "three_clusters",
        "kind = \"gaussian_mixture\", components = 2, covariance = \"spherical\", logits = [1.5,-1.5]",
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
    (
        "linear paths",
        "krishnan_linear",
        "kind = \"neural_ssm\", states = 1, transition = { kind = \"linear\" }, emission = { kind = \"linear\" }",
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

/// The names of this kind that the program lists.
fn listed(kind: &str) -> Vec<&'static str> {
    let json = Laboratory::new().say(&["list", kind, "--json"]).expect(0).json();
    let items = json.as_array().expect("a list").iter();
    items
        .map(|item| &*item["name"].as_str().expect("a name").to_owned().leak())
        .collect()
}

/// A short training by this optimizer.
fn training(optimizer: &str) -> &'static str {
    match optimizer {
        "adam" => "optimizer = \"adam\", steps = 60, batch_size = 64, learning_rate = 0.01, evaluate_every = 60",
        "em" => "optimizer = \"em\", steps = 8, evaluate_every = 8",
        other => panic!("how long does `{other}` train?"),
    }
}

/// Every objective × posterior × optimizer that the program lists.
fn combinations() -> Vec<Combination> {
    let (objectives, posteriors, optimizers) = (listed("objective"), listed("posterior"), listed("optimizer"));
    let mut all = Vec::new();
    for objective in objectives {
        for posterior in &posteriors {
            all.extend(optimizers.iter().map(|optimizer| Combination {
                objective,
                posterior,
                optimizer,
            }));
        }
    }
    all
}

/// A new kind is tried with a model that supports it, or fails here.
#[test]
fn every_listed_kind_is_in_some_supported_combination() {
    let all: Vec<Combination> = MODELS.iter().flat_map(|(_, _, model)| supported(model)).collect();
    let tried = |part: fn(&Combination) -> &'static str| all.iter().map(part).collect::<BTreeSet<_>>();
    let names = |kind| listed(kind).into_iter().collect::<BTreeSet<_>>();
    assert_eq!(tried(|c| c.objective), names("objective"));
    assert_eq!(tried(|c| c.posterior), names("posterior"));
    assert_eq!(tried(|c| c.optimizer), names("optimizer"));
    for kind in names("model") {
        let is_tried = |(_, _, model): &(_, _, &str)| model.split(", ").any(|key| key == format!("kind = {kind:?}"));
        assert!(MODELS.iter().any(is_tried), "no model of kind {kind}");
    }
}

#[test]
fn every_supported_combination_of_densities_learns() {
    learns(|source| source == "three_clusters");
}

#[test]
fn every_supported_combination_of_conditionals_learns() {
    learns(|source| ["linear_gaussian", "inverse_sinusoid"].contains(&source));
}

#[test]
fn every_supported_combination_of_decoders_and_state_spaces_learns() {
    learns(|source| ["ring", "lgssm", "growth", "krishnan_linear"].contains(&source));
}

/// What the combination must raise. True posteriors, drawn or not, raise the likelihood, which is evaluated without
/// draws. Others raise their own objective, which they can do at the expense of the likelihood. For the nonlinear state
/// space even approximate posteriors raise the likelihood, which particles estimate.
fn raised(name: &str, combination: &Combination) -> &'static str {
    let is_own = ["hard", "filter", "amortised", "prior", "locally_optimal"].contains(&combination.posterior);
    match name {
        "growth" => "train/log_likelihood_estimate",
        _ if is_own || combination.objective == "mean_squared_error" => "train/objective",
        "decoder" | "latent policy" => "train/log_likelihood_grid",
        _ => "train/log_likelihood",
    }
}

/// The rise of [`raised`] by training every supported combination of the model, and the standard errors of its two values,
/// where they are estimates, in nats per datum.
fn rises(name: &str, source: &str, model: &str) -> Vec<(Combination, f64, f64)> {
    let supported = supported(model);
    let variants: String = supported
        .iter()
        .enumerate()
        .map(|(number, c)| {
            let patch = variant(c.objective, c.posterior, training(c.optimizer));
            format!("[[variant]]\nname = \"v{number:02}\"\n{patch}")
        })
        .collect();
    let laboratory = Laboratory::with(&file(source, model, &variants));
    laboratory.say(&["run", "e.toml", "--quiet", "--json"]).expect(0);
    let mut files = laboratory.files("results");
    files.retain(|path, _| path.ends_with("metrics.jsonl"));
    assert_eq!(files.len(), supported.len(), "{name}: {files:?}");
    let rise = |(number, combination): (usize, Combination)| {
        let of_it = |path: &&String| path.contains(&format!("v{number:02}"));
        let path = files.keys().find(of_it).expect("a run of every variant");
        let lines: Vec<serde_json::Value> = std::str::from_utf8(&files[path])
            .expect("UTF-8")
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect();
        let [before, after] = &lines[..] else {
            panic!("{name} {combination:?}: {lines:?}");
        };
        let metric = raised(name, &combination);
        let value = |line: &serde_json::Value| line[metric].as_f64().unwrap_or_else(|| panic!("{name}: {line}"));
        let error = |line: &serde_json::Value| line["train/log_likelihood_standard_error"].as_f64().unwrap_or(0.0);
        let rise = value(after) - value(before);
        (combination, rise, error(before).hypot(error(after)))
    };
    supported.into_iter().enumerate().map(rise).collect()
}

/// One Gaussian starts at its maximum, so there training shows its own noise. What starts elsewhere must learn several
/// times more than that, beyond the error of an estimate.
fn learns(is_tried: impl Fn(&str) -> bool) {
    let starts_at_maximum = |name: &str| ["gaussian", "line"].contains(&name);
    let mut noise = 0.0f64;
    for (name, source, model) in MODELS.into_iter().filter(|(name, ..)| starts_at_maximum(name)) {
        for (combination, rise, _) in rises(name, source, model) {
            assert!(rise < 1e-9, "{name} {combination:?}: {rise} above the maximum");
            assert!(rise > -0.01, "{name} {combination:?}: {rise} from the maximum");
            noise = noise.max(-rise);
        }
    }
    assert!(noise > 0.0, "steps of Adam leave the maximum by a little");
    let others = MODELS.into_iter().filter(|(name, ..)| !starts_at_maximum(name));
    for (name, source, model) in others.filter(|(_, source, _)| is_tried(source)) {
        for (combination, rise, error) in rises(name, source, model) {
            assert!(
                rise > 5.0 * noise + 3.0 * error,
                "{name} {combination:?}: {rise} ± {error}, noise {noise}"
            );
        }
    }
}

#[test]
fn every_other_combination_is_refused_with_the_supported_ones_named() {
    let all = combinations();
    for (name, source, model) in MODELS {
        let supported = supported(model);
        let mut refused = 0;
        for combination in &all {
            let patch = variant(
                combination.objective,
                combination.posterior,
                training(combination.optimizer),
            );
            let text = file(source, model, &format!("[[variant]]\nname = \"v\"\n{patch}"));
            let laboratory = Laboratory::with(&text);
            let loaded = latent_lab::spec::load_experiment(&laboratory.path("e.toml"), &[]);
            match (loaded, supported.contains(combination)) {
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
        }
        assert_eq!(refused, all.len() - supported.len(), "{name}");
    }
}
