//! The lower bound that a sweep of EM maximises, beside the log-likelihood above it.
//!
//! For fixed q(z) = p(z | x, θ_t),
//!
//! `L(θ) = Σ_i E_q [log p_θ(x_i, z) − log q(z)] = Σ_i log p_θ(x_i) − KL(q ‖ p_θ(z|x_i))`  (Bishop 2006, eqs. 9.70–9.72)
//!
//! lies below the log-likelihood everywhere, touches it at θ_t, and is largest at θ_{t+1}. Here both are evaluated along
//! the line `θ_t + s (θ_{t+1} − θ_t)` through the parameters, all of them at once.

use crate::Result;
use crate::data::{Batch, Dataset};
use crate::error::provided;
use crate::math::streams::Streams;
use crate::model::{EStep, Model};
use crate::nn::Parameters;
use crate::objective::Elbo;
use crate::posterior::PosteriorConfig;

/// One place on the line, in nats per datum.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Place {
    /// 0 at θ_t, 1 at θ_{t+1}.
    pub s: f64,
    pub log_likelihood: f64,
    pub lower_bound: f64,
}

/// θ_{t+1}: the maximiser of the bound that touches the log-likelihood at `theta`.
///
/// # Errors
/// If the model has no closed-form M-step.
pub(super) fn next(model: &dyn Model, theta: &Parameters, data: &Dataset) -> Result<Parameters> {
    let closed_form = provided(model.closed_form(), "a closed-form M-step")?;
    Ok(closed_form.sweeps(data)?.improve(theta, EStep::Exact, 1, None)?.theta)
}

/// Log-likelihood, and the bound whose posterior is that of `from`, at each s on the line from `from` to `to`.
pub(super) fn along(
    model: &dyn Model,
    data: &Dataset,
    (from, to): (&Parameters, &Parameters),
    places: &[f64],
) -> Result<Vec<Place>> {
    let rows = Batch::whole(data, from.dtype(), &from.device())?;
    // The exact posterior uses no random numbers: it enumerates all values of z.
    let none = &mut Streams::new(0).named("posterior").at(0);
    let draws = PosteriorConfig::default().draws(model.joint(from, &rows)?.as_ref(), from, 0, none)?;
    let bound = Elbo::default();
    let place = |s: &f64| -> Result<Place> {
        let theta = between(from, to, *s)?;
        let joint = model.joint(&theta, &rows)?;
        let log_likelihood = rows.mean(&joint.log_prob()?)?.to_scalar()?;
        let lower_bound = rows.mean(&bound.value(joint.as_ref(), &draws, 0)?)?.to_scalar()?;
        Ok(Place {
            s: *s,
            log_likelihood,
            lower_bound,
        })
    };
    places.iter().map(place).collect()
}

/// `from + s (to − from)`, every parameter.
fn between(from: &Parameters, to: &Parameters, s: f64) -> Result<Parameters> {
    let mut theta = Parameters::new();
    for (name, start) in from.iter() {
        let step = (to.get(name)? - start.as_tensor())?;
        theta.insert(name, &(start.as_tensor() + (step * s)?)?)?;
    }
    Ok(theta)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::DataConfig;
    use crate::model::ModelConfig;
    use candle_core::{DType, Device};
    use std::path::Path;

    #[test]
    fn the_bound_touches_lies_below_and_is_largest_at_the_next_parameters() {
        for (seed, covariance) in [(0, "full"), (1, "tied"), (2, "diagonal"), (3, "spherical")] {
            let data: DataConfig = toml::from_str(
                "source = \"three_clusters\"\ntrain = 120\ndeviations = [[2.0, 0.8], [1.0, 0.9], [1.0, 1.5]]",
            )
            .unwrap();
            let streams = Streams::new(seed);
            let splits = data.load(Path::new(""), &streams).unwrap();
            let model: ModelConfig = toml::from_str(&format!(
                "kind = \"gaussian_mixture\"\ncomponents = 3\ncovariance = \"{covariance}\""
            ))
            .unwrap();
            let model = model.build(&splits.train).unwrap();
            let theta = model
                .initial(&splits.train, &streams, 0, DType::F64, &Device::Cpu)
                .unwrap();
            let next = next(model.as_ref(), &theta, &splits.train).unwrap();
            let places: Vec<f64> = (-20..=60).map(|i| f64::from(i) / 20.0).collect();
            let line = along(model.as_ref(), &splits.train, (&theta, &next), &places).unwrap();
            let at = |s: f64| line.iter().find(|place| place.s == s).unwrap();

            let start = at(0.0);
            assert!(
                (start.log_likelihood - start.lower_bound).abs() < 1e-10,
                "{covariance}: {start:?}"
            );
            // To first order as well: the gap grows like s².
            let [near, far] = [0.05, 0.1].map(|s| at(s).log_likelihood - at(s).lower_bound);
            assert!((3.0..5.0).contains(&(far / near)), "{covariance}: {near} {far}");
            for place in line.iter().filter(|place| place.s != 0.0) {
                assert!(place.lower_bound < place.log_likelihood, "{covariance}: {place:?}");
                assert!(
                    place.s == 1.0 || place.lower_bound < at(1.0).lower_bound,
                    "{covariance}: {place:?}"
                );
            }
            assert!(at(1.0).log_likelihood > start.log_likelihood, "{covariance}");
        }
    }
}
