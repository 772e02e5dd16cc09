//! The equation of each model, posterior, objective and optimizer.

use crate::cli::kind::Kind;

/// The equation of `name`; none where it has none.
pub(super) fn equation(kind: Kind, name: &str) -> Option<&'static str> {
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
        (Kind::Optimizer, "adam") => "θ ← θ + rate · m̂ / (√v̂ + ε), m and v the running means of g and g²",
        _ => return None,
    })
}
