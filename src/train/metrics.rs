//! What every metric means: one table, printed by `describe metric NAME`.

/// One metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Its name in records, tables and figures.
    pub name: &'static str,
    /// How it is computed.
    pub formula: &'static str,
    /// Its unit.
    pub unit: &'static str,
    /// Whether larger is better; none where neither is.
    pub larger_is_better: Option<bool>,
}

const fn metric(name: &'static str, formula: &'static str, unit: &'static str, larger: Option<bool>) -> Metric {
    Metric {
        name,
        formula,
        unit,
        larger_is_better: larger,
    }
}

/// Every metric.
pub const METRICS: &[Metric] = &[
    metric(
        "train/log_likelihood",
        "Σ_i w_i log p_θ(x_i) / Σ_i w_i over the training rows, in the data's own units; of sequences, a datum is a step \
         at which anything is observed. Of `nonlinear_gaussian_ssm` it is the logarithm of the bootstrap filter's estimate, \
         with `model.likelihood_particles` particles: the likelihood without bias, its logarithm a little low",
        "nats per datum",
        Some(true),
    ),
    metric(
        "train/approximate_log_likelihood",
        "the same as the extended or unscented Kalman filter of the posterior approximates it, on either side of the true \
         one; equal to it where the model is linear",
        "nats per datum",
        None,
    ),
    metric(
        "validation/log_likelihood",
        "Σ_i w_i log p_θ(x_i) / Σ_i w_i over the validation rows, in the data's own units; estimated where \
         train/log_likelihood is",
        "nats per datum",
        Some(true),
    ),
    metric(
        "test/log_likelihood",
        "Σ_i w_i log p_θ(x_i) / Σ_i w_i over the test rows, in the data's own units; estimated where train/log_likelihood is",
        "nats per datum",
        Some(true),
    ),
    metric(
        "validation/log_likelihood_bound",
        "test/log_likelihood_bound over the validation rows",
        "nats per datum",
        Some(true),
    ),
    metric(
        "test/log_likelihood_bound",
        "Σ_i w_i log 1/S Σ_s p_θ(x_i, z_s) / q(z_s | x_i) / Σ_i w_i over the test rows, z_s ~ q, S = evaluation.bound_samples: \
         at most log p(x) in expectation (Burda et al. 2016); q is the recognition network, or p(z)",
        "nats per datum",
        Some(true),
    ),
    metric(
        "train/log_likelihood_bound",
        "the same over the training rows, where there is no test",
        "nats per datum",
        Some(true),
    ),
    metric(
        "test/elbo",
        "Σ_i w_i E_q[log p_θ(x_i, z) − log q(z | x_i)] / Σ_i w_i over the test rows, q the recognition network, by \
         evaluation.bound_samples draws (a finite latent is enumerated)",
        "nats per datum",
        Some(true),
    ),
    metric(
        "train/elbo",
        "the same over the training rows, where there is no test",
        "nats per datum",
        Some(true),
    ),
    metric(
        "test/posterior_entropy",
        "−Σ_i w_i E_q[log q(z | x_i)] / Σ_i w_i over the test rows, q the recognition network, by evaluation.bound_samples \
         draws (a finite latent is enumerated); what the evidence lower bound adds to the expected log-likelihood",
        "nats per datum",
        None,
    ),
    metric(
        "train/posterior_entropy",
        "the same over the training rows, where there is no test",
        "nats per datum",
        None,
    ),
    metric(
        "test/posterior_gap",
        "test/log_likelihood − test/elbo = mean KL(q(z | x) ‖ p_θ(z | x)) over the test rows",
        "nats per datum",
        Some(false),
    ),
    metric(
        "test/quadrature_error",
        "mean over the test rows of how far log p(x) moved when its grid over z was last refined, and the share of p(z|x) at \
         the grid's edge: what test/log_likelihood may be off by, where it is an integral",
        "nats per datum",
        Some(false),
    ),
    metric(
        "train/total_log_likelihood",
        "Σ_i w_i log p_θ(x_i) over the training rows; estimated where train/log_likelihood is",
        "nats",
        Some(true),
    ),
    metric(
        "test/oracle",
        "mean log-density of the test rows under the generator that made them; of `growth`, the bootstrap filter's estimate \
         with 10,000 particles",
        "nats per datum",
        None,
    ),
    metric(
        "test/oracle_gap",
        "test/oracle − test/log_likelihood, on the same rows",
        "nats per datum",
        Some(false),
    ),
    metric(
        "test/mean_squared_error",
        "weighted mean of ‖y − E_θ[y|x]‖² over the test rows",
        "squared units of the data",
        Some(false),
    ),
    metric(
        "train/objective",
        "the objective's mean over all training rows, with fresh guesses",
        "nats per datum",
        Some(true),
    ),
    metric(
        "train/expected_log_prior",
        "mean of Σ_s w_s log p_θ(z_s) over the training rows, with fresh guesses",
        "nats per datum",
        None,
    ),
    metric(
        "train/expected_log_likelihood",
        "mean of Σ_s w_s log p_θ(x|z_s) over the training rows, with fresh guesses",
        "nats per datum",
        None,
    ),
    metric(
        "posterior/acceptance_rate",
        "accepted proposals / all proposals of the chains of a `hamiltonian` posterior, over the training rows",
        "fraction",
        None,
    ),
    metric(
        "train/akaike_information_criterion",
        "2 m − 2 Σ_i w_i log p_θ(x_i), m the number of free parameters (Akaike 1974)",
        "nats × 2",
        Some(false),
    ),
    metric(
        "train/bayesian_information_criterion",
        "m log Σ_i w_i − 2 Σ_i w_i log p_θ(x_i) (Schwarz 1978)",
        "nats × 2",
        Some(false),
    ),
    metric(
        "prior_error",
        "‖p_θ(z) − p(z)‖₂ against the generator's weights",
        "probability",
        Some(false),
    ),
    metric(
        "parameter/a",
        "the learnt a of x' = a x + b x / (1 + x²) + c cos(1.2 t) + w, in the units that the model sees",
        "units of the model",
        None,
    ),
    metric("parameter/b", "the learnt b of the same", "units of the model", None),
    metric("parameter/c", "the learnt c of the same", "units of the model", None),
    metric(
        "parameter/d",
        "the learnt d of o = d x² + v, in the units that the model sees",
        "units of the model",
        None,
    ),
    metric(
        "parameter/q",
        "the learnt variance of w, in the units that the model sees",
        "squared units of the state",
        None,
    ),
    metric(
        "parameter/r",
        "the learnt variance of v, in the units that the model sees",
        "squared units of the data",
        None,
    ),
    metric(
        "train/expected_log_initial",
        "Σ E_q[log p_θ(x_1)] over the training sequences / observed steps, with fresh guesses",
        "nats per datum",
        None,
    ),
    metric(
        "train/expected_log_transition",
        "Σ_t E_q[log p_θ(x_{t+1} | x_t, u_t)] over the training sequences / observed steps, with fresh guesses",
        "nats per datum",
        None,
    ),
    metric(
        "train/expected_log_emission",
        "Σ_t E_q[log p_θ(o_t | x_t, u_t)] over the training sequences / observed steps, with fresh guesses",
        "nats per datum",
        None,
    ),
    metric(
        "test/one_step_error",
        "root mean square of o_t − E[o_t | o_1 … o_{t−1}, u] over observed test entries after the warm-up; E by the Kalman \
         filter, or by `model.likelihood_particles` particles",
        "units of the data",
        Some(false),
    ),
    metric(
        "test/k_step_error",
        "the same with E[o_t | o_1 … o_{t−k}, u], k = evaluation.horizon",
        "units of the data",
        Some(false),
    ),
    metric(
        "test/free_run_error",
        "the same with E[o_t | o_1 … o_w, u], w = evaluation.warm_up: simulation from inputs alone",
        "units of the data",
        Some(false),
    ),
    metric(
        "test/one_step_error_ratio",
        "test/one_step_error / that of the generator's own state space, by the Kalman filter or by 10,000 particles, on the \
         same steps",
        "fraction",
        Some(false),
    ),
    metric(
        "test/k_step_error_ratio",
        "test/k_step_error / that of the generator's own state space, by the Kalman filter or by 10,000 particles, on the \
         same steps",
        "fraction",
        Some(false),
    ),
    metric(
        "test/free_run_error_ratio",
        "test/free_run_error / that of the generator's own state space, by the Kalman filter or by 10,000 particles, on \
         the same steps",
        "fraction",
        Some(false),
    ),
    metric(
        "rollout/success_rate",
        "successful roll-outs / all roll-outs",
        "fraction",
        Some(true),
    ),
    metric(
        "rollout/left_fraction",
        "successful roll-outs that passed on the left / successful roll-outs; 0.5 where none succeeded",
        "fraction",
        None,
    ),
    metric(
        "rollout/route_entropy",
        "entropy of left and right among successful roll-outs, in units of log 2",
        "fraction",
        Some(true),
    ),
    metric(
        "estimator/value_bias",
        "(mean of the estimated objectives − exact value) / standard error of that mean, over repeated guesses at the \
         final θ; within ±1.96 in 95 % of cases where there is no bias",
        "standard errors",
        None,
    ),
    metric(
        "estimator/value_deviation",
        "standard deviation of the estimated objective",
        "nats per datum",
        Some(false),
    ),
    metric(
        "estimator/gradient_bias",
        "‖mean of the estimated gradients − exact gradient‖ / standard error of that mean, the root of the summed \
         variances over the number of estimates; 1 in root mean square where there is no bias",
        "standard errors",
        Some(false),
    ),
    metric(
        "estimator/gradient_deviation",
        "root of the summed variances of the estimated gradient",
        "nats per datum and unit of θ",
        Some(false),
    ),
    metric(
        "estimator/gradient_norm",
        "Euclidean norm of the exact gradient at the final θ",
        "nats per datum and unit of θ",
        None,
    ),
];

/// The metric called `name`; without the part before the slash, the first of test, roll-out, training, estimator and
/// posterior metrics that is called so.
pub fn find(name: &str) -> Option<&'static Metric> {
    let called = |name: &str| METRICS.iter().find(|metric| metric.name == name);
    let families = ["test", "rollout", "train", "estimator", "posterior"];
    called(name).or_else(|| families.iter().find_map(|family| called(&format!("{family}/{name}"))))
}
