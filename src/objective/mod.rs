//! Training objectives: one number per row from a joint and weighted draws, to be maximised, in nats per datum.
//!
//! | objective | value |
//! |---|---|
//! | marginal_likelihood | `log Σ_z p_θ(x, z)`, exact |
//! | expected_log_likelihood | `Σ_s w_s log p_θ(x, z_s)` |
//! | elbo | `Σ_s w_s [log p_θ(x given z_s) − β (log q(z_s) − log p_θ(z_s))]` |
//! | iwae | `log 1/S Σ_s exp[log p_θ(x, z_s) − log q(z_s)]` |
//! | fivo | `log p̂(o_1 … o_T)` of a particle filter |
//! | mean_squared_error | `−‖y − E[y|x]‖²`, in squared units of y |
//!
//! An objective is added by a file with its options, which say what the kind needs of a model and of a posterior
//! ([`ObjectiveKind`]), and by a line in [`KINDS`].

mod additions;
pub mod elbo;
pub mod expected_log_likelihood;
pub mod fivo;
pub mod iwae;
mod kind;
pub mod marginal_likelihood;
pub mod mean_squared_error;

pub use additions::{Additions, Curvature, Overshooting};
pub use elbo::Elbo;
pub use iwae::{Gradient, Iwae};
pub use kind::{KINDS, ObjectiveConfig, ObjectiveKind, PosteriorUse, Setting, Surrogate};
