//! `log p(x) = log ∫ p(x|z) p(z) dz` by quadrature, for latents of one or two dimensions.
//!
//! Without x, the decoder is evaluated once per node for all rows. With x, it is evaluated once per row and node, which
//! is affordable in one dimension only.

use super::joint::{LatentGaussianJoint, plain};
use super::model::PRIOR_FLOOR;
use super::{LatentGaussianModel, Prior};
use crate::Result;
use crate::math::quadrature::{self, Evidence, Grid, Likelihood, Nodes, Refinement};
use crate::math::rows::Rows;
use crate::nn;
use candle_core::Tensor;
use std::cell::OnceCell;

/// A standard normal prior has less mass than 1e-10 beyond ± this, in standard deviations.
const REACH: f64 = 6.5;
/// Nodes per axis of the coarsest and the finest grid.
const POINTS: (usize, usize) = (33, 513);
/// Refinement stops once the mean change of log p(x) is below this, in nats.
const TOLERANCE: f64 = 1e-4;

impl LatentGaussianModel {
    /// Whether a grid over z is affordable.
    pub(super) fn is_integrable(&self) -> bool {
        self.config.is_integrable(self.given > 0)
    }
}

impl LatentGaussianJoint<'_> {
    /// `log p(x)` of every row, with an estimate of its error.
    pub(super) fn integrate(&self) -> Result<Evidence> {
        let dims = self.model.config.latent_dimensions;
        let refinement = Refinement {
            grid: Grid::new(dims, self.half_width()?, POINTS.0)?,
            most_points: POINTS.1,
            tolerance: TOLERANCE,
        };
        let points = |nodes: &[f64]| -> Result<Tensor> {
            let z = Tensor::from_slice(nodes, (1, nodes.len() / dims, dims), &self.theta.device())?;
            Ok(z.to_dtype(self.theta.dtype())?)
        };
        if self.model.given > 0 {
            return quadrature::log_evidence_by_row(self.batch.len(), None, &refinement, |rows, nodes, values| {
                let batch = &self.batch.narrow(rows.start, rows.len())?;
                let z = points(nodes)?; // [1, G, Z]
                let z = z.broadcast_as((rows.len(), nodes.len() / dims, dims))?.contiguous()?;
                let joint = LatentGaussianJoint {
                    model: self.model,
                    theta: self.theta,
                    batch,
                    integral: OnceCell::new(),
                };
                values.copy_from_slice(&plain(&(joint.log_prior_at(&z)? + joint.log_likelihood(&z)?)?)?);
                Ok(())
            });
        }
        let rows = plain(&self.batch.observed)?;
        let rows = Rows {
            values: &rows,
            columns: self.model.columns,
        };
        quadrature::log_evidence(rows, None, &refinement, |nodes| self.nodes(&points(nodes)?))
    }

    /// The prior and the decoder's output at nodes `[1, G, Z]`.
    fn nodes(&self, z: &Tensor) -> Result<Nodes> {
        let decoded = self.model.decode(self.theta, None, z)?;
        let location = plain(&decoded.location)?;
        let likelihood = match &decoded.raw {
            None => Likelihood::Bernoulli { logits: location },
            Some(raw) => {
                let deviation = |raw: f64| self.model.deviation_floor + raw.clamp(-nn::RAW_LIMIT, nn::RAW_LIMIT).exp();
                Likelihood::Gaussian {
                    means: location,
                    deviations: plain(raw)?.into_iter().map(deviation).collect(),
                }
            }
        };
        Ok(Nodes {
            log_prior: plain(&self.log_prior_at(z)?)?,
            likelihood,
        })
    }

    /// The largest distance from 0 on any axis that the grid must cover.
    fn half_width(&self) -> Result<f64> {
        let (means, raw) = match self.model.config.prior {
            Prior::StandardNormal => return Ok(REACH),
            Prior::Mixture => {
                let get = |name| self.theta.get(name).cloned();
                (get("prior_means")?, get("prior_deviations")?)
            }
            Prior::GivenX => self.model.prior_given(self.theta, self.batch.given.as_ref())?,
        };
        let reach = |(mean, raw): (f64, f64)| mean.abs() + REACH * (PRIOR_FLOOR + raw.exp());
        let parts = plain(&means)?.into_iter().zip(plain(&raw)?);
        Ok(parts.map(reach).fold(REACH, f64::max))
    }
}
