//! What other programs call a key or a value, and what it is called here. A hint beside the suggestion by spelling.
//!
//! A test holds every name of this table against the schema of the real spec.

/// Another program's name for a key.
#[derive(Debug)]
pub struct Key {
    /// The other names, in lower case with underscores.
    others: &'static [&'static str],
    /// The section of our key; empty for keys of the whole file.
    pub section: &'static str,
    /// Our key; with dots where it is inside a table.
    pub key: &'static str,
    /// What differs besides the name; empty if nothing does.
    remark: &'static str,
}

impl Key {
    /// The part of our key before the first dot.
    pub fn first_key(&self) -> &'static str {
        self.key.split('.').next().unwrap_or(self.key)
    }

    /// Whether our key belongs to the section.
    pub fn is_in(&self, section: &str) -> bool {
        self.section == section
    }

    /// The hint for somebody who wrote `written` in the section `section`.
    pub fn text(&self, written: &str, section: &str) -> String {
        let place = match self.section {
            _ if self.section == section => String::new(),
            "" => ", at the top of the file".to_owned(),
            other => format!(", in [{other}]"),
        };
        let colon = if self.remark.is_empty() { "" } else { ": " };
        format!("`{written}` is called `{}` here{place}{colon}{}", self.key, self.remark)
    }
}

const fn key(section: &'static str, key: &'static str, others: &'static [&'static str], remark: &'static str) -> Key {
    Key {
        others,
        section,
        key,
        remark,
    }
}

/// The keys, by section.
pub const KEYS: &[Key] = &[
    key(
        "",
        "seeds",
        &[
            "seed",
            "random_state",
            "random_seed",
            "rng",
            "num_seeds",
            "n_seeds",
            "runs",
            "n_runs",
        ],
        "",
    ),
    key("", "question", &["title", "description", "goal", "hypothesis"], ""),
    key(
        "",
        "variant",
        &["variants", "methods", "algorithms", "models"],
        "each variant has its own header [[variant]]",
    ),
    key(
        "",
        "grid",
        &[
            "sweep",
            "sweeper",
            "search",
            "params",
            "hyperparameters",
            "parameter_grid",
            "param_grid",
        ],
        "",
    ),
    key("data", "source", &["dataset", "generator", "kind", "type", "name"], ""),
    key(
        "data",
        "path",
        &["file", "filename", "file_name", "csv", "data_path", "input_file"],
        "",
    ),
    key(
        "data",
        "train",
        &[
            "n_train",
            "num_train",
            "train_size",
            "n_samples",
            "num_samples",
            "samples",
            "n",
            "size",
            "rows",
        ],
        "",
    ),
    key("data", "test", &["n_test", "num_test", "test_size", "n_eval"], ""),
    key("data", "test_fraction", &["test_size", "test_split", "test_ratio"], ""),
    key(
        "data",
        "validation_fraction",
        &[
            "val_fraction",
            "val_split",
            "validation_split",
            "validation_size",
            "val_size",
            "valid_fraction",
            "n_validation",
        ],
        "",
    ),
    key(
        "data",
        "standardize",
        &[
            "normalize",
            "normalise",
            "normalise_data",
            "standardise",
            "scale",
            "scaler",
            "whiten",
        ],
        "",
    ),
    key(
        "data",
        "observed",
        &[
            "target", "targets", "labels", "outputs", "columns", "features", "output",
        ],
        "",
    ),
    key(
        "data",
        "given",
        &[
            "inputs",
            "features",
            "covariates",
            "predictors",
            "conditioning",
            "context",
        ],
        "",
    ),
    key("data", "weight", &["weights", "sample_weight", "sample_weights"], ""),
    key(
        "model",
        "kind",
        &["type", "name", "model", "class", "target", "_target_"],
        "",
    ),
    key(
        "model",
        "components",
        &[
            "n_components",
            "num_components",
            "k",
            "n_clusters",
            "num_mixtures",
            "n_mixtures",
            "mixtures",
            "clusters",
        ],
        "",
    ),
    key(
        "model",
        "hidden",
        &[
            "hidden_dim",
            "hidden_dims",
            "hidden_size",
            "hidden_sizes",
            "hidden_units",
            "hidden_layers",
            "hidden_layer_sizes",
            "layers",
            "n_hidden",
            "num_hidden",
            "units",
            "width",
            "net_arch",
            "num_layers",
            "n_layers",
        ],
        "a list with the units of each hidden layer, such as [64, 64]",
    ),
    key(
        "model",
        "activation",
        &["nonlinearity", "act", "activation_fn", "activation_function"],
        "",
    ),
    key(
        "model",
        "covariance",
        &["covariance_type", "cov", "cov_type", "covariance_structure"],
        "",
    ),
    key(
        "model",
        "deviation_floor",
        &[
            "reg_covar",
            "min_std",
            "std_min",
            "min_sigma",
            "jitter",
            "covariance_floor",
            "min_scale",
        ],
        "the smallest standard deviation",
    ),
    key(
        "model",
        "latent_dimensions",
        &[
            "latent_dim",
            "latent_dims",
            "latent_size",
            "z_dim",
            "n_latent",
            "num_latents",
            "latents",
            "zdim",
            "latent_dimension",
        ],
        "",
    ),
    key(
        "model",
        "states",
        &["state_dim", "n_states", "num_states", "dim_state", "state_size"],
        "",
    ),
    key("model", "likelihood_particles", &["num_particles", "n_particles"], ""),
    key("posterior", "kind", &["type", "inference", "guide", "encoder"], ""),
    key("posterior", "temperature", &["temp", "tau", "annealing"], ""),
    key(
        "posterior",
        "samples",
        &[
            "n_samples",
            "num_samples",
            "mc_samples",
            "k",
            "num_draws",
            "draws",
            "iwae_samples",
        ],
        "",
    ),
    key("posterior", "particles", &["n_particles", "num_particles"], ""),
    key(
        "posterior",
        "burn_in",
        &["warmup", "warm_up", "n_warmup", "num_warmup", "tune", "burnin"],
        "",
    ),
    key(
        "posterior",
        "leapfrog_steps",
        &["num_leapfrog_steps", "n_leapfrog", "trajectory_length"],
        "",
    ),
    key("objective", "kind", &["loss", "type", "loss_fn", "criterion"], ""),
    key(
        "objective",
        "beta",
        &["kl_weight", "kl_beta", "beta_kl", "kl_coef", "kl_coeff"],
        "",
    ),
    key(
        "objective",
        "warm_up_steps",
        &[
            "kl_annealing",
            "kl_warmup",
            "beta_warmup",
            "kl_anneal_steps",
            "annealing_steps",
        ],
        "",
    ),
    key(
        "objective",
        "free_nats",
        &["free_bits", "kl_free", "kl_min"],
        "in nats; a bit is 0.693 nats",
    ),
    key(
        "training",
        "optimizer",
        &["optimiser", "optim", "algorithm", "solver", "kind", "method"],
        "",
    ),
    key(
        "training",
        "learning_rate",
        &[
            "lr",
            "step_size",
            "alpha",
            "eta",
            "learningrate",
            "base_lr",
            "max_lr",
            "lr0",
        ],
        "",
    ),
    key(
        "training",
        "learning_rate_schedule",
        &[
            "lr_schedule",
            "lr_scheduler",
            "scheduler",
            "schedule",
            "decay",
            "lr_decay",
            "annealing",
        ],
        "",
    ),
    key(
        "training",
        "warm_up_steps",
        &[
            "warmup",
            "warmup_steps",
            "warm_up",
            "num_warmup_steps",
            "lr_warmup",
            "warmup_iters",
        ],
        "",
    ),
    key(
        "training",
        "batch_size",
        &[
            "batch",
            "bs",
            "batchsize",
            "minibatch",
            "minibatch_size",
            "mini_batch_size",
            "train_batch_size",
        ],
        "",
    ),
    key(
        "training",
        "steps",
        &["epochs", "n_epochs", "num_epochs", "max_epochs", "epoch"],
        "steps = epochs × rows / batch_size for adam; for em a step is one pass over all rows",
    ),
    key(
        "training",
        "steps",
        &[
            "iterations",
            "n_iter",
            "max_iter",
            "num_iterations",
            "iters",
            "num_steps",
            "max_steps",
            "n_steps",
            "total_steps",
            "total_timesteps",
            "train_steps",
            "updates",
            "sweeps",
        ],
        "",
    ),
    key(
        "training",
        "evaluate_every",
        &[
            "eval_every",
            "eval_interval",
            "log_every",
            "log_interval",
            "eval_freq",
            "checkpoint_every",
        ],
        "in steps",
    ),
    key(
        "training",
        "gradient_clip",
        &[
            "grad_clip",
            "clip",
            "max_grad_norm",
            "clip_norm",
            "gradient_clipping",
            "clipnorm",
            "clip_grad",
        ],
        "",
    ),
    key(
        "training",
        "weight_decay",
        &["l2", "wd", "l2_penalty", "regularization", "decay_rate"],
        "",
    ),
    key(
        "training",
        "averaging",
        &["ema", "ema_decay", "polyak", "swa", "moving_average"],
        "",
    ),
    key(
        "training",
        "early_stopping.patience",
        &["patience", "n_iter_no_change", "early_stop"],
        "write early_stopping = { patience = 10 }",
    ),
    key(
        "training",
        "precision",
        &["dtype", "floatx", "fp16", "float_type", "precision_type"],
        "",
    ),
    key(
        "training",
        "device",
        &["gpu", "use_gpu", "cuda", "accelerator", "use_cuda"],
        "\"cpu\" or \"cuda\"",
    ),
    key(
        "training",
        "tolerance",
        &["tol", "atol", "rtol", "eps", "convergence_tol", "conv_threshold"],
        "",
    ),
    key(
        "training",
        "starts",
        &[
            "n_init",
            "n_starts",
            "restarts",
            "num_restarts",
            "n_restarts",
            "random_restarts",
        ],
        "",
    ),
    key(
        "evaluation",
        "environment",
        &["env", "env_id", "gym_env", "environment_id"],
        "",
    ),
    key(
        "evaluation",
        "rollouts",
        &[
            "episodes",
            "n_episodes",
            "num_episodes",
            "n_rollouts",
            "eval_episodes",
            "num_rollouts",
        ],
        "",
    ),
    key(
        "evaluation",
        "metrics",
        &["metric", "scores", "scoring", "measures"],
        "",
    ),
    key(
        "evaluation",
        "bound_samples",
        &[
            "eval_samples",
            "iwae_samples",
            "num_eval_samples",
            "n_importance_samples",
        ],
        "",
    ),
];

/// Other programs' words for a value; the last is a remark.
pub const VALUES: &[(&[&str], &str, &str)] = &[
    (&["gpu", "cuda:0", "nvidia"], "cuda", ""),
    (&["float32", "fp32", "single", "float"], "f32", ""),
    (&["float64", "fp64", "double"], "f64", ""),
    (&["adamw"], "adam", "with weight_decay above 0 it is AdamW"),
    (
        &[
            "sgd",
            "momentum",
            "rmsprop",
            "adagrad",
            "nadam",
            "lion",
            "lbfgs",
            "gradient_descent",
        ],
        "adam",
        "there is no other gradient method",
    ),
    (
        &[
            "expectation_maximization",
            "expectation_maximisation",
            "expectationmaximization",
        ],
        "em",
        "",
    ),
    (
        &[
            "cosine_annealing",
            "cos",
            "cosineannealinglr",
            "cosine_decay",
            "one_cycle",
        ],
        "cosine",
        "",
    ),
    (&["linear_decay", "polynomial"], "linear", ""),
    (&["none", "fixed", "off"], "constant", ""),
    (&["diag", "independent", "mean_field"], "diagonal", ""),
    (&["iso", "isotropic", "spherical"], "spherical", ""),
    (&["shared"], "tied", ""),
    (
        &["gmm", "mog", "mixture_of_gaussians", "mixture", "gaussianmixture"],
        "gaussian_mixture",
        "",
    ),
    (
        &["mdn", "mixture_density_network", "mixture_density", "cgmm"],
        "conditional_mixture",
        "",
    ),
    (
        &["linear_regression", "regression", "linear", "ols"],
        "linear_gaussian",
        "",
    ),
    (
        &[
            "vae",
            "ppca",
            "pca",
            "factor_analysis",
            "fa",
            "autoencoder",
            "latent_variable",
        ],
        "latent_gaussian",
        "",
    ),
    (
        &[
            "lds",
            "lgssm",
            "kalman",
            "kalman_filter",
            "linear_dynamical_system",
            "dlm",
            "ssm",
        ],
        "linear_gaussian_ssm",
        "",
    ),
    (
        &["nonlinear_ssm", "nlssm", "particle_filter"],
        "nonlinear_gaussian_ssm",
        "",
    ),
    (
        &[
            "mle",
            "ml",
            "maximum_likelihood",
            "log_likelihood",
            "nll",
            "negative_log_likelihood",
        ],
        "marginal_likelihood",
        "",
    ),
    (
        &["q_function", "ell", "expected_loglik", "complete_data"],
        "expected_log_likelihood",
        "",
    ),
    (&["mse", "l2", "squared_error", "mse_loss"], "mean_squared_error", ""),
    (
        &[
            "vae",
            "vi",
            "variational",
            "evidence_lower_bound",
            "free_energy",
            "svi",
            "beta_vae",
        ],
        "elbo",
        "",
    ),
    (
        &["iw_elbo", "importance_weighted", "iwelbo", "multi_sample"],
        "iwae",
        "",
    ),
    (
        &["vi", "variational", "encoder", "q_net", "network", "recognition"],
        "amortised",
        "",
    ),
    (&["hmc", "mcmc", "nuts", "langevin"], "hamiltonian", ""),
    (
        &["map", "argmax", "viterbi", "k_means", "kmeans", "hard_em"],
        "hard",
        "",
    ),
    (&["mc", "monte_carlo", "samples", "stochastic", "mcem"], "sampled", ""),
    (
        &["is", "importance_sampling", "snis", "rws", "reweighted_wake_sleep"],
        "importance",
        "",
    ),
    (&["ekf"], "extended_kalman", ""),
    (&["ukf"], "unscented_kalman", ""),
    (
        &["smc", "pf", "particle_filter", "bootstrap_filter", "particle_smoother"],
        "particle",
        "",
    ),
    (&["full_batch", "soft", "analytic", "true", "closed_form"], "exact", ""),
    (
        &["csv", "npz", "table", "custom"],
        "file",
        "then path = \"…\" names the file",
    ),
    (&["moons", "make_moons"], "two_moons", ""),
    (&["blobs", "make_blobs", "clusters"], "three_clusters", ""),
    (&["circle", "circles", "make_circles"], "ring", ""),
];

fn normal(text: &str) -> String {
    text.trim().to_lowercase().replace(['-', ' '], "_")
}

/// What is known of a foreign key.
pub fn keys(written: &str) -> impl Iterator<Item = &'static Key> {
    let written = if written.len() <= 64 {
        normal(written)
    } else {
        String::new()
    };
    KEYS.iter().filter(move |key| key.others.contains(&written.as_str()))
}

/// The hint for a foreign value, where our name for it `is_allowed`.
pub fn value(written: &str, is_allowed: impl Fn(&str) -> bool) -> Option<String> {
    if written.len() > 64 {
        return None;
    }
    let written_normal = normal(written);
    let known = VALUES
        .iter()
        .find(|(others, ours, _)| others.contains(&written_normal.as_str()) && is_allowed(ours))?;
    let (_, ours, remark) = known;
    let colon = if remark.is_empty() { "" } else { ": " };
    Some(format!("use {ours:?}{colon}{remark}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::shape::Shape;
    use crate::spec::{FILE_KEYS, Spec};

    #[test]
    fn every_hint_names_a_key_that_there_is() {
        let schema = schemars::schema_for!(Spec).to_value();
        let top = Shape::new(&schema, &schema);
        for key in KEYS {
            let found = match key.section {
                "" => FILE_KEYS.contains(&key.key),
                section => {
                    let mut shape = top.property(section);
                    for name in key.key.split('.') {
                        shape = shape
                            .filter(|shape| shape.all_keys().contains(&name))
                            .and_then(|shape| shape.property(name));
                    }
                    shape.is_some()
                }
            };
            assert!(found, "there is no `{}` in [{}]", key.key, key.section);
            let ours = top
                .property(key.section)
                .map_or_else(|| FILE_KEYS.to_vec(), |section| section.all_keys());
            for other in key.others {
                assert_eq!(*other, normal(other), "{other} can never be found");
                let is_ours = ours.contains(other)
                    && key.section != "data"
                    && key.section != "model"
                    && key.section != "posterior";
                assert!(!is_ours, "{other} is a key of [{}]", key.section);
            }
        }
    }

    #[test]
    fn every_hint_names_a_value_that_there_is() {
        fn collect(shape: &Shape, names: &mut Vec<String>, depth: usize) {
            names.extend(shape.choices.iter().map(|choice| choice.name.to_owned()));
            for tagged in shape.tags() {
                for (name, variant) in &tagged.variants {
                    names.push((*name).to_owned());
                    if depth > 0 {
                        collect(variant, names, depth);
                    }
                }
            }
            for (_, schema) in shape.properties().filter(|_| depth > 0) {
                collect(&shape.inner(schema), names, depth - 1);
            }
        }
        let schema = schemars::schema_for!(Spec).to_value();
        let mut names = Vec::new();
        collect(&Shape::new(&schema, &schema), &mut names, 3);
        for (others, ours, _) in VALUES {
            assert!(names.iter().any(|name| name == ours), "there is no value {ours:?}");
            assert!(others.iter().all(|other| *other == normal(other)), "{others:?}");
        }
    }
}
