//! Probability models `log p_θ(x, z)` with a latent variable z, as named terms, and samples from them.
//!
//! A [`Model`] is an architecture. Its parameters θ are a separate argument, so that one model can be evaluated under two
//! θ (a stale posterior). Conditioned on rows it is a [`Joint`]: `log p_θ(x, z)` as a function of z. Posteriors and
//! objectives use nothing else. A model is added by a file with its options, which say what the kind is ([`ModelKind`]),
//! and its `Model`; and by a line in [`KINDS`].

mod closed_form;
pub mod conditional_mixture;
pub mod gaussian;
pub mod gaussian_mixture;
mod joint;
mod kind;
pub mod latent_gaussian;
pub mod linear_gaussian;
pub mod linear_gaussian_ssm;
pub mod mixture;
pub mod neural_ssm;
pub mod nonlinear_gaussian_ssm;
mod normal;
mod particle_filter;
mod predictive;
mod sequential;
mod sequential_paths;

pub use closed_form::{ClosedForm, EStep, ExactSweep, Improvement, ResponsibilitySweep, Sweeps, TrajectorySweep};
pub use joint::{
    Ancestral, Decoding, Estimates, ExactPosterior, GaussianLatent, GaussianPosterior, Joint, Latent, Latents,
    LikelihoodKind, Marginal, Regression, StateSpaceOf, Trajectories, TrajectoryPosterior,
};
pub use kind::{Abilities, KINDS, LatentKind, MStep, ModelConfig, ModelKind, Need, row_models_that};
pub use normal::Normal;
pub use particle_filter::{Bootstrap, Filter, Filtered, Proposal, Resampling};
pub use predictive::{Decoder, MixtureRows};
pub use sequential_paths::{Carried, LinearEmission, MeanNetwork, Sequential, Span, TransitionRecursion};

use crate::Result;
use crate::data::{Batch, Dataset, Table};
use crate::error::provided;
use crate::math::kalman::System;
use crate::math::nonlinear::Predictor;
use crate::math::streams::Streams;
use crate::nn::Parameters;
use candle_core::{DType, Device, Tensor};
use std::collections::BTreeMap;

/// A probability model with a latent variable.
pub trait Model: Send + Sync + std::fmt::Debug {
    /// Which values its latent variable takes.
    fn latent(&self) -> Latent;

    /// How log p_θ(x) can be computed.
    fn likelihood(&self) -> LikelihoodKind;

    /// The rows as it takes them, if that is less than their observed columns: what its likelihood needs of them.
    fn reduced(&self, _rows: &Dataset) -> Result<Option<Dataset>> {
        Ok(None)
    }

    /// Observations in the form of [`Model::reduced`] as whole ones, without what that left out; none if it leaves out nothing.
    /// `[N, D]`
    fn expanded(&self, _observed: &Tensor) -> Result<Option<Tensor>> {
        Ok(None)
    }

    /// Initial parameters for `data`, for the start number `start`. Networks draw from the streams `initial/…`.
    fn initial(
        &self,
        data: &Dataset,
        streams: &Streams,
        start: u64,
        dtype: DType,
        device: &Device,
    ) -> Result<Parameters>;

    /// Sets the entries of θ that follow a schedule to their values after this share of training, from 0 to 1. They are no
    /// part of the gradient.
    fn schedule(&self, _theta: &Parameters, _share: f64) -> Result<()> {
        Ok(())
    }

    /// The share of training after which those entries are constant; 0 if there are none.
    fn schedule_ends(&self) -> f64 {
        0.0
    }

    /// The joint of the rows of `batch` with their latents.
    fn joint<'a>(&'a self, theta: &'a Parameters, batch: &'a Batch) -> Result<Box<dyn Joint + 'a>>;

    /// θ in standard terms (`weights` `[K]`, `means` `[K, D]`, `covariances` `[K, D, D]`, …), in f64; empty if θ is
    /// already in these terms.
    fn natural(&self, theta: &Parameters) -> Result<BTreeMap<String, Tensor>>;

    /// Scalars of θ with a name, reported as metrics `parameter/NAME`.
    fn named(&self, _theta: &Parameters) -> Result<Vec<(String, f64)>> {
        Ok(Vec::new())
    }

    /// The distribution of the observed columns, row by row, if it is a mixture; see also [`Model::decoder`].
    fn row_density(&self) -> Option<&dyn RowDensity> {
        None
    }

    /// The same for a continuous latent, point by point.
    fn decoder(&self) -> Option<&dyn Decoder> {
        None
    }

    /// θ as a linear-Gaussian state space, in the units that the model sees, if it is one.
    fn state_space(&self, _theta: &Parameters) -> Result<Option<System>> {
        Ok(None)
    }

    /// θ as a state space that can predict, in the units that the model sees, if it is one.
    fn predictor(&self, theta: &Parameters) -> Result<Option<Predictor>> {
        Ok(self
            .state_space(theta)?
            .map(|system| Predictor::Kalman(Box::new(system))))
    }

    /// The number of free parameters; K mixture weights count as K − 1.
    fn free_parameters(&self, theta: &Parameters) -> usize;

    /// `p_θ(z)`, if its components are fixed, so that they can be matched with a generator's. `[K]`
    fn identified_prior(&self, _theta: &Parameters) -> Result<Option<Vec<f64>>> {
        Ok(None)
    }

    /// The closed-form M-step, if there is one.
    fn closed_form(&self) -> Option<&dyn ClosedForm> {
        None
    }
}

/// The capability of a model with a finite latent to give the distribution of the observed columns.
pub trait RowDensity {
    /// p(y | row) for each row of `given` (one row without `given`), for sampling, densities and policies.
    fn predict(&self, theta: &Parameters, given: Option<&Table>) -> Result<MixtureRows>;
}

impl dyn Model + '_ {
    /// [`RowDensity::predict`], for callers that know that the latent is finite.
    ///
    /// # Errors
    /// [`crate::Error::Lacking`] if it is not.
    pub fn predict(&self, theta: &Parameters, given: Option<&Table>) -> Result<MixtureRows> {
        provided(self.row_density(), "a mixture of rows")?.predict(theta, given)
    }
}
