//! Estimates of log p(o) by bootstrap filters of the model's own transition.

use super::joint::NeuralJoint;
use crate::Result;
use crate::math::nonlinear::FILTERS;
use crate::math::streams::Stream;
use crate::model::{Bootstrap, Estimates, Filter, Resampling, Sequential};
use candle_core::DType;

/// The share of effective particles below which a sequence is resampled.
const RESAMPLE_BELOW: f64 = 0.5;
/// Particles that are moved at once: enough for efficient products, few enough to stay in cache.
const ROWS: usize = 16_384;

impl Estimates for NeuralJoint<'_> {
    fn log_prob_estimates(&self, numbers: &Stream) -> Result<Vec<Vec<f64>>> {
        let filter = Filter {
            particles: self.conditioned.core.likelihood_particles,
            resample_below: RESAMPLE_BELOW,
            resampling: Resampling::Systematic,
        };
        let sequences = self.conditioned.steps().lengths.len();
        let size = (ROWS / filter.particles).max(1);
        let mut all = vec![Vec::new(); FILTERS];
        for (part, start) in (0..sequences).step_by(size).enumerate() {
            let model = self.conditioned.narrow(start, size.min(sequences - start))?;
            for (m, logs) in all.iter_mut().enumerate() {
                let generator = &mut numbers.at((part * FILTERS + m) as u64);
                let found = filter.run(&model, &Bootstrap, false, generator)?;
                logs.extend(found.log_estimate.to_dtype(DType::F64)?.to_vec1::<f64>()?);
            }
        }
        Ok(all)
    }
}
