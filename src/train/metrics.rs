//! The definition of every metric: one table, printed by `describe metric NAME`.
//!
//! The log-likelihood of a model has four names, so that no table can mix them:
//!
//! | name | value |
//! |---|---|
//! | `log_likelihood` | exact: a finite sum, or a Gaussian integral in closed form |
//! | `log_likelihood_grid` | a sum over a grid of the latent variable, with `quadrature_error` |
//! | `log_likelihood_estimate` | a particle estimate, with its standard error and its bias |
//! | `log_likelihood_bound` | a lower bound (in expectation), with its standard error |

/// One metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Its name in records, tables and figures.
    pub name: &'static str,
    /// Its name in words, for titles, axes and column heads: "test log-likelihood".
    pub title: &'static str,
    /// How it is computed. Each text can be read on its own.
    pub formula: &'static str,
    /// What an experiment needs for a run to report it.
    pub needs: &'static str,
    /// Its unit.
    pub unit: &'static str,
    /// Whether larger is better; none if neither is.
    pub larger_is_better: Option<bool>,
}

const fn metric(
    [name, title]: [&'static str; 2],
    formula: &'static str,
    needs: &'static str,
    unit: &'static str,
    larger: Option<bool>,
) -> Metric {
    Metric {
        name,
        title,
        formula,
        needs,
        unit,
        larger_is_better: larger,
    }
}

const PER_DATUM: &str = "nats per datum";
const STANDARD_ERRORS: &str = "standard errors";

/// A metric that is computed in the same way on the training, the validation and the test rows. `$rows` names them.
macro_rules! exact {
    ($part:literal, $rows:literal, $needs:literal) => {
        metric(
            [concat!($part, "/log_likelihood"), concat!($rows, " log-likelihood")],
            concat!(
                "Σ_i w_i log p_θ(x_i) / Σ_i w_i over the ",
                $rows,
                " rows, exact, in the units of the data. For sequences a datum is a step with at least one observed value"
            ),
            concat!(
                "a model whose likelihood is exact: any but `nonlinear_gaussian_ssm` and a `latent_gaussian` that is \
                 not linear",
                $needs
            ),
            PER_DATUM,
            Some(true),
        )
    };
}
macro_rules! grid {
    ($part:literal, $rows:literal, $needs:literal) => {
        metric(
            [concat!($part, "/log_likelihood_grid"), concat!($rows, " log-likelihood (grid)")],
            concat!(
                "Σ_i w_i log p_θ(x_i) / Σ_i w_i over the ",
                $rows,
                " rows, in the units of the data, with p_θ(x) = ∫ p_θ(x|z) p_θ(z) dz summed over a grid of z. The grid is \
                 refined until the mean changes by less than 1e-4 nats, or has 513 points per axis; `quadrature_error` \
                 says how accurate it is"
            ),
            concat!(
                "a `latent_gaussian` that is not linear, with at most 2 latent dimensions (1 where x is given)",
                $needs
            ),
            PER_DATUM,
            Some(true),
        )
    };
}
macro_rules! quadrature_error {
    ($part:literal, $rows:literal, $needs:literal) => {
        metric(
            [concat!($part, "/quadrature_error"), concat!($rows, " quadrature error")],
            concat!(
                "estimated error of ",
                $part,
                "/log_likelihood_grid: the mean absolute change of log p_θ(x) over the ",
                $rows,
                " rows by the last refinement of the grid, plus the share of p(z|x) at the edge of the grid"
            ),
            concat!(
                "a `latent_gaussian` that is not linear, with at most 2 latent dimensions (1 where x is given)",
                $needs
            ),
            PER_DATUM,
            Some(false),
        )
    };
}
macro_rules! estimate {
    ($part:literal, $rows:literal, $needs:literal) => {
        metric(
            [
                concat!($part, "/log_likelihood_estimate"),
                concat!($rows, " log-likelihood (particle estimate)"),
            ],
            concat!(
                "Monte-Carlo estimate of the log-likelihood of the ",
                $rows,
                " sequences per observed step: Σ_n log (1/M Σ_m p̂_nm) / steps, p̂_nm the estimate of p(o) of sequence n by \
                 the m-th of M = 8 independent bootstrap particle filters, each with `model.likelihood_particles` particles. \
                 p̂ is unbiased, its logarithm is not: E[log p̂] ≤ log p. `log_likelihood_standard_error` and \
                 `log_likelihood_bias` say how accurate it is"
            ),
            concat!("`nonlinear_gaussian_ssm`", $needs),
            PER_DATUM,
            Some(true),
        )
    };
}
macro_rules! standard_error {
    ($part:literal, $rows:literal, $needs:literal) => {
        metric(
            [
                concat!($part, "/log_likelihood_standard_error"),
                concat!("standard error of the ", $rows, " log-likelihood"),
            ],
            concat!(
                "standard error of ",
                $part,
                "/log_likelihood_estimate over repeated particle filters: √(Σ_n s_n²) / steps, s_n² = log (1 + (exp σ_n² − \
                 1) / M), σ_n² the sample variance of log p̂_nm over the M = 8 filters of sequence n (log-normal \
                 approximation). Where s_n is above about 1 nat the estimate cannot be trusted: use more particles"
            ),
            concat!("`nonlinear_gaussian_ssm`", $needs),
            PER_DATUM,
            Some(false),
        )
    };
}
macro_rules! bias {
    ($part:literal, $rows:literal, $needs:literal) => {
        metric(
            [
                concat!($part, "/log_likelihood_bias"),
                concat!("bias of the ", $rows, " log-likelihood"),
            ],
            concat!(
                "estimated bias of ",
                $part,
                "/log_likelihood_estimate, E[log p̂] − log p, negative as a rule: −Σ_n s_n² / 2 / steps, s_n the \
                 standard error of sequence n in nats. The true value is about \
                 estimate − bias"
            ),
            concat!("`nonlinear_gaussian_ssm`", $needs),
            PER_DATUM,
            None,
        )
    };
}
macro_rules! bound {
    ($part:literal, $rows:literal, $needs:literal) => {
        metric(
            [
                concat!($part, "/log_likelihood_bound"),
                concat!($rows, " log-likelihood (lower bound)"),
            ],
            concat!(
                "Σ_i w_i log (1/S Σ_s p_θ(x_i, z_s) / q(z_s | x_i)) / Σ_i w_i over the ",
                $rows,
                " rows, z_s drawn from q, S = evaluation.bound_samples; q is the recognition network, or p(z) without one. \
                 Its expectation is at most the log-likelihood (Burda et al. 2016)"
            ),
            concat!(
                "a `latent_gaussian` with a recognition network, or with more latent dimensions than a grid can cover",
                $needs
            ),
            PER_DATUM,
            Some(true),
        )
    };
}
macro_rules! bound_error {
    ($part:literal, $rows:literal, $needs:literal) => {
        metric(
            [
                concat!($part, "/log_likelihood_bound_standard_error"),
                concat!("standard error of the ", $rows, " lower bound"),
            ],
            concat!(
                "standard error of ",
                $part,
                "/log_likelihood_bound over repeated draws of z: √(Σ_i w_i² Var_i / S) / Σ_i w_i, Var_i the sample variance \
                 of p_θ(x_i, z_s) / q(z_s | x_i) over its squared mean (delta method)"
            ),
            concat!(
                "a `latent_gaussian` with a recognition network, or with more latent dimensions than a grid can cover",
                $needs
            ),
            PER_DATUM,
            Some(false),
        )
    };
}
macro_rules! elbo_error {
    ($part:literal, $rows:literal, $needs:literal) => {
        metric(
            [
                concat!($part, "/elbo_standard_error"),
                concat!("standard error of the ", $rows, " evidence lower bound"),
            ],
            concat!(
                "standard error of ",
                $part,
                "/elbo over repeated draws of z: √(Σ_i w_i² Var_i / S) / Σ_i w_i, Var_i the sample variance of log p_θ(x_i, z_s) \
                 − log q(z_s | x_i), S = evaluation.bound_samples"
            ),
            concat!("a posterior with a recognition network, a continuous latent variable", $needs),
            PER_DATUM,
            Some(false),
        )
    };
}
macro_rules! elbo {
    ($part:literal, $rows:literal, $needs:literal) => {
        metric(
            [concat!($part, "/elbo"), concat!($rows, " evidence lower bound")],
            concat!(
                "Σ_i w_i E_q[log p_θ(x_i, z) − log q(z | x_i)] / Σ_i w_i over the ",
                $rows,
                " rows, q the recognition network, at β = 1 whatever `objective.beta` is. The expectation is a mean of \
                 evaluation.bound_samples draws; a finite latent variable is enumerated"
            ),
            concat!("a posterior with a recognition network", $needs),
            PER_DATUM,
            Some(true),
        )
    };
}
macro_rules! entropy {
    ($part:literal, $rows:literal, $needs:literal) => {
        metric(
            [concat!($part, "/posterior_entropy"), concat!("entropy of q, ", $rows, " rows")],
            concat!(
                "−Σ_i w_i E_q[log q(z | x_i)] / Σ_i w_i over the ",
                $rows,
                " rows, q the recognition network. The expectation is a mean of evaluation.bound_samples draws; a finite \
                 latent variable is enumerated"
            ),
            concat!("a posterior with a recognition network", $needs),
            PER_DATUM,
            None,
        )
    };
}

/// Every metric.
pub const METRICS: &[Metric] = &[
    exact!("train", "training", ""),
    exact!("validation", "validation", ", `data.validation_fraction`"),
    exact!("test", "test", ", test rows"),
    grid!("train", "training", ""),
    grid!("validation", "validation", ", `data.validation_fraction`"),
    grid!("test", "test", ", test rows"),
    quadrature_error!("train", "training", ""),
    quadrature_error!("validation", "validation", ", `data.validation_fraction`"),
    quadrature_error!("test", "test", ", test rows"),
    estimate!("train", "training", ""),
    estimate!("validation", "validation", ", `data.validation_fraction`"),
    estimate!("test", "test", ", test rows"),
    standard_error!("train", "training", ""),
    standard_error!("validation", "validation", ", `data.validation_fraction`"),
    standard_error!("test", "test", ", test rows"),
    bias!("train", "training", ""),
    bias!("validation", "validation", ", `data.validation_fraction`"),
    bias!("test", "test", ", test rows"),
    bound!("train", "training", ", and no test rows"),
    bound!("validation", "validation", ", `data.validation_fraction`"),
    bound!("test", "test", ", test rows"),
    bound_error!("train", "training", ", and no test rows"),
    bound_error!("validation", "validation", ", `data.validation_fraction`"),
    bound_error!("test", "test", ", test rows"),
    elbo!("train", "training", ", and no test rows"),
    elbo!("test", "test", ", test rows"),
    elbo_error!("train", "training", ", and no test rows"),
    elbo_error!("test", "test", ", test rows"),
    entropy!("train", "training", ", and no test rows"),
    entropy!("test", "test", ", test rows"),
    metric(
        [
            "train/approximate_log_likelihood",
            "training log-likelihood (Kalman approximation)",
        ],
        "log-likelihood of the training sequences per observed step as the extended or unscented Kalman filter of the \
         posterior approximates it. The error has either sign and is not known; it is 0 where the model is linear",
        "`posterior.kind` `extended_kalman` or `unscented_kalman`",
        PER_DATUM,
        None,
    ),
    metric(
        ["train/total_log_likelihood", "total training log-likelihood"],
        "Σ_i w_i log p_θ(x_i) over the training rows, exact, in the units of the data",
        "a model whose likelihood is exact: any but `nonlinear_gaussian_ssm` and a `latent_gaussian` that is not \
         linear",
        "nats",
        Some(true),
    ),
    metric(
        ["train/akaike_information_criterion", "Akaike information criterion"],
        "2 m − 2 Σ_i w_i log p_θ(x_i) over the training rows, m the number of free parameters (Akaike 1974). Only \
         from an exact likelihood: the error of a grid, an estimate or a bound is multiplied by the number of rows",
        "a model whose likelihood is exact: any but `nonlinear_gaussian_ssm` and a `latent_gaussian` that is not \
         linear",
        "nats",
        Some(false),
    ),
    metric(
        ["train/bayesian_information_criterion", "Bayesian information criterion"],
        "m log Σ_i w_i − 2 Σ_i w_i log p_θ(x_i) over the training rows, m the number of free parameters (Schwarz \
         1978). Only from an exact likelihood: the error of a grid, an estimate or a bound is multiplied by the \
         number of rows",
        "a model whose likelihood is exact: any but `nonlinear_gaussian_ssm` and a `latent_gaussian` that is not \
         linear",
        "nats",
        Some(false),
    ),
    metric(
        ["test/posterior_gap", "gap of the evidence lower bound"],
        "log-likelihood − evidence lower bound on the test rows = mean KL(q(z|x) ‖ p_θ(z|x)), q the recognition \
         network. The log-likelihood is exact or summed over a grid",
        "a posterior with a recognition network, a likelihood that is exact or summed over a grid, test rows",
        PER_DATUM,
        Some(false),
    ),
    metric(
        ["test/baseline", "baseline (test log-likelihood)"],
        "log-likelihood of a simple model on the test rows. One Gaussian fitted to the training rows in closed form \
         (linear in x where x is given); for sequences one Gaussian per column, independent over time; for binary \
         columns independent Bernoulli variables with a count of 1 added to either value. In roll-outs the baseline \
         is the success rate of uniformly random actions",
        "test rows",
        PER_DATUM,
        None,
    ),
    metric(
        ["train/baseline", "baseline (training log-likelihood)"],
        "log-likelihood of a simple model on the training rows. One Gaussian fitted to the training rows in closed \
         form (linear in x where x is given); for sequences one Gaussian per column, independent over time; for \
         binary columns independent Bernoulli variables with a count of 1 added to either value. In roll-outs the \
         baseline is the success rate of uniformly random actions",
        "no test rows",
        PER_DATUM,
        None,
    ),
    metric(
        ["test/oracle", "oracle (test log-likelihood)"],
        "mean log-density of the test rows under the generator that made them. For `growth` it is the estimate by 8 \
         bootstrap particle filters of 2,500 particles each, with test/oracle_standard_error. In roll-outs the \
         oracle is the success rate of the expert",
        "a generator with a known density as `data.source`",
        PER_DATUM,
        None,
    ),
    metric(
        ["test/oracle_standard_error", "standard error of the oracle"],
        "standard error of test/oracle over repeated particle filters: that of test/log_likelihood_estimate, for the generator's own state space",
        "`data.source = \"growth\"`",
        PER_DATUM,
        None,
    ),
    metric(
        ["test/oracle_gap", "gap to the oracle"],
        "test/oracle − the log-likelihood of the test rows, which is exact or summed over a grid",
        "a generator with a known density as `data.source`, a likelihood that is exact or summed over a grid",
        PER_DATUM,
        Some(false),
    ),
    metric(
        ["test/mean_squared_error", "test mean squared error"],
        "Σ_i w_i ‖y_i − E_θ[y|x_i]‖² / Σ_i w_i over the test rows",
        "a conditional model with a finite latent variable (`linear_gaussian`, `conditional_mixture`), test rows",
        "squared units of the data",
        Some(false),
    ),
    metric(
        ["train/objective", "training objective"],
        "mean over the training rows of `objective`, with samples of the current posterior; with its β, free nats and \
         temperature of the step",
        "every experiment has it",
        PER_DATUM,
        Some(true),
    ),
    metric(
        ["train/expected_log_prior", "expected log-prior"],
        "mean over the training rows of Σ_s w_s log p_θ(z_s), z_s and w_s from the current posterior",
        "a model of independent rows",
        PER_DATUM,
        None,
    ),
    metric(
        ["train/expected_log_likelihood", "expected log-likelihood given z"],
        "mean over the training rows of Σ_s w_s log p_θ(x|z_s), z_s and w_s from the current posterior",
        "a model of independent rows",
        PER_DATUM,
        None,
    ),
    metric(
        [
            "train/expected_log_initial",
            "expected log-density of the initial state",
        ],
        "Σ E_q[log p_θ(x_1)] over the training sequences / observed steps, q the current posterior",
        "a model of sequences",
        PER_DATUM,
        None,
    ),
    metric(
        [
            "train/expected_log_transition",
            "expected log-density of the transitions",
        ],
        "Σ_t E_q[log p_θ(x_{t+1} | x_t, u_t)] over the training sequences / observed steps, q the current posterior",
        "a model of sequences",
        PER_DATUM,
        None,
    ),
    metric(
        ["train/expected_log_emission", "expected log-density of the emissions"],
        "Σ_t E_q[log p_θ(o_t | x_t, u_t)] over the training sequences / observed steps, q the current posterior",
        "a model of sequences",
        PER_DATUM,
        None,
    ),
    metric(
        ["posterior/acceptance_rate", "acceptance rate"],
        "accepted proposals / all proposals of the Markov chains, over the training rows",
        "`posterior.kind = \"hamiltonian\"`",
        "fraction",
        None,
    ),
    metric(
        ["prior_error", "error of the component weights"],
        "‖p_θ(z) − p(z)‖₂, p(z) the component weights of the generator",
        "`data.source = \"mixture_of_twenty\"` and a mixture with its fixed components",
        "probability",
        Some(false),
    ),
    metric(
        ["parameter/a", "estimated a"],
        "the learnt a of x' = a x + b x / (1 + x²) + c cos(1.2 t) + w, after standardisation",
        "`nonlinear_gaussian_ssm` with this coefficient learnt",
        "units of the model",
        None,
    ),
    metric(
        ["parameter/b", "estimated b"],
        "the learnt b of x' = a x + b x / (1 + x²) + c cos(1.2 t) + w, after standardisation",
        "`nonlinear_gaussian_ssm` with this coefficient learnt",
        "units of the model",
        None,
    ),
    metric(
        ["parameter/c", "estimated c"],
        "the learnt c of x' = a x + b x / (1 + x²) + c cos(1.2 t) + w, after standardisation",
        "`nonlinear_gaussian_ssm` with this coefficient learnt",
        "units of the model",
        None,
    ),
    metric(
        ["parameter/d", "estimated d"],
        "the learnt d of o = d x² + v, after standardisation",
        "`nonlinear_gaussian_ssm` with this coefficient learnt",
        "units of the model",
        None,
    ),
    metric(
        ["parameter/q", "estimated q"],
        "the learnt variance of w in x' = a x + b x / (1 + x²) + c cos(1.2 t) + w, after standardisation",
        "`nonlinear_gaussian_ssm` with its transition variance learnt",
        "squared units of the state",
        None,
    ),
    metric(
        ["parameter/r", "estimated r"],
        "the learnt variance of v in o = d x² + v, after standardisation",
        "`nonlinear_gaussian_ssm` with its emission variance learnt",
        "squared units of the data",
        None,
    ),
    metric(
        ["test/one_step_error", "one-step prediction error"],
        "root mean square of o_t − E[o_t | o_1 … o_{t−1}, u] over the observed test entries after the first \
         evaluation.warm_up steps. The expectation is the Kalman filter's, or a mean of `model.likelihood_particles` \
         particles",
        "a model of sequences, test sequences longer than evaluation.warm_up",
        "units of the data",
        Some(false),
    ),
    metric(
        ["test/k_step_error", "k-step prediction error"],
        "root mean square of o_t − E[o_t | o_1 … o_{t−k}, u], k = evaluation.horizon, over the observed test entries \
         after the first evaluation.warm_up steps. The expectation is the Kalman filter's, or a mean of \
         `model.likelihood_particles` particles",
        "a model of sequences, test sequences longer than evaluation.warm_up",
        "units of the data",
        Some(false),
    ),
    metric(
        ["test/free_run_error", "free-run prediction error"],
        "root mean square of o_t − E[o_t | o_1 … o_w, u], w = evaluation.warm_up (simulation from inputs alone), over \
         the observed test entries after the first evaluation.warm_up steps. The expectation is the Kalman filter's, \
         or a mean of `model.likelihood_particles` particles",
        "a model of sequences, test sequences longer than evaluation.warm_up",
        "units of the data",
        Some(false),
    ),
    metric(
        [
            "test/one_step_error_ratio",
            "one-step prediction error, relative to the generator's",
        ],
        "test/one_step_error of the model / test/one_step_error of the generator's own state space on the same steps, \
         by the Kalman filter or by 10,000 particles",
        "`data.source` `lgssm` or `growth`, a model of sequences",
        "fraction",
        Some(false),
    ),
    metric(
        [
            "test/k_step_error_ratio",
            "k-step prediction error, relative to the generator's",
        ],
        "test/k_step_error of the model / test/k_step_error of the generator's own state space on the same steps, by \
         the Kalman filter or by 10,000 particles",
        "`data.source` `lgssm` or `growth`, a model of sequences",
        "fraction",
        Some(false),
    ),
    metric(
        [
            "test/free_run_error_ratio",
            "free-run prediction error, relative to the generator's",
        ],
        "test/free_run_error of the model / test/free_run_error of the generator's own state space on the same steps, \
         by the Kalman filter or by 10,000 particles",
        "`data.source` `lgssm` or `growth`, a model of sequences",
        "fraction",
        Some(false),
    ),
    metric(
        ["rollout/success_rate", "success rate"],
        "successful roll-outs / all roll-outs. The environment says what a success is; running out of time is none",
        "`evaluation.rollout`, an environment that says what a success is: `tree`, `mountain_car_continuous_v0`",
        "fraction",
        Some(true),
    ),
    metric(
        ["rollout/return", "return"],
        "mean over the roll-outs of Σ_t r_t, the rewards of an episode until it terminates or is truncated. The baseline is \
         the mean return of uniformly random actions, the oracle that of the best known controller or of the expert",
        "`evaluation.rollout`",
        "reward of the environment",
        Some(true),
    ),
    metric(
        ["rollout/length", "episode length"],
        "mean over the roll-outs of the number of steps until an episode terminates or is truncated",
        "`evaluation.rollout`",
        "steps",
        None,
    ),
    metric(
        ["rollout/truncated_fraction", "share of truncated episodes"],
        "roll-outs that the time limit ended / all roll-outs",
        "`evaluation.rollout`",
        "fraction",
        None,
    ),
    metric(
        ["rollout/random_return", "return of random actions"],
        "rollout/return of uniformly random actions, from the same starts as the roll-outs of the policy",
        "`evaluation.rollout`",
        "reward of the environment",
        None,
    ),
    metric(
        ["rollout/expert_return", "return of the expert"],
        "rollout/return of the environment's expert, from the same starts as the roll-outs of the policy",
        "`evaluation.rollout` in an environment with an expert",
        "reward of the environment",
        None,
    ),
    metric(
        ["rollout/left_fraction", "share of successes on the left"],
        "successful roll-outs that passed on the left / successful roll-outs",
        "`evaluation.rollout` in an environment with a route that is called `left`: `tree`; at least one success",
        "fraction",
        None,
    ),
    metric(
        ["rollout/route_entropy", "route entropy"],
        "−Σ_r p_r log₂ p_r, p_r = the share of successful roll-outs that took route r of the environment: for `tree` left \
         and right",
        "`evaluation.rollout` in an environment that tells routes apart: `tree`; at least one success",
        "bits",
        Some(true),
    ),
    metric(
        ["estimator/value_bias", "bias of the estimated objective"],
        "(mean of the estimated objectives − exact value) / standard error of that mean, over repeated draws from the \
         posterior at the final θ. Within ±1.96 in 95 % of cases where there is no bias",
        "`evaluation.estimator_repeats` above 0",
        STANDARD_ERRORS,
        None,
    ),
    metric(
        [
            "estimator/value_deviation",
            "standard deviation of the estimated objective",
        ],
        "standard deviation of the estimated objective over repeated draws from the posterior at the final θ",
        "`evaluation.estimator_repeats` above 0",
        PER_DATUM,
        Some(false),
    ),
    metric(
        ["estimator/gradient_bias", "bias of the estimated gradient"],
        "‖mean of the estimated gradients − exact gradient‖ / standard error of that mean, over repeated draws from \
         the posterior at the final θ; the standard error is the root of the summed variances over the number of \
         estimates. 1 in root mean square where there is no bias",
        "`evaluation.estimator_repeats` above 0",
        STANDARD_ERRORS,
        Some(false),
    ),
    metric(
        [
            "estimator/gradient_deviation",
            "standard deviation of the estimated gradient",
        ],
        "root of the summed variances of the estimated gradient over repeated draws from the posterior at the final θ",
        "`evaluation.estimator_repeats` above 0",
        "nats per datum and unit of θ",
        Some(false),
    ),
    metric(
        ["estimator/gradient_norm", "norm of the exact gradient"],
        "Euclidean norm of the exact gradient at the final θ",
        "`evaluation.estimator_repeats` above 0",
        "nats per datum and unit of θ",
        None,
    ),
    metric(
        ["steps", "training steps"],
        "optimiser steps (`adam`) or sweeps over the data (`em`) that training took",
        "every experiment has it",
        "steps",
        None,
    ),
];

/// The metric called `name`; without the part before the slash, the first match among test, roll-out, training,
/// estimator and posterior metrics.
pub fn find(name: &str) -> Option<&'static Metric> {
    let called = |name: &str| METRICS.iter().find(|metric| metric.name == name);
    let families = ["test", "rollout", "train", "estimator", "posterior"];
    called(name).or_else(|| families.iter().find_map(|family| called(&format!("{family}/{name}"))))
}
