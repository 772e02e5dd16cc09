//! For the figures of sequences: the output of a fitted state space over time, with its standard deviation, in the
//! data's units.

use crate::figure::frame::Point;
use crate::math::kalman::{Beliefs, Filtered, Sequences, System};
use crate::runner::Reloaded;
use crate::{Error, Result};
use nalgebra::DVector;

/// The 97.5 % quantile of a Gaussian, in standard deviations.
pub(super) const HALF_BAND: f64 = 1.959964;

/// Mean and standard deviation of one number at one time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub time: f64,
    pub mean: f64,
    pub deviation: f64,
}

/// The line of means.
pub(super) fn path(moments: &[Moment]) -> Vec<Point> {
    moments.iter().map(|m| (m.time, m.mean)).collect()
}

/// The band that holds 95 %.
pub(super) fn ribbon(moments: &[Moment]) -> Vec<(f64, f64, f64)> {
    let edge = |m: &Moment, sign: f64| m.mean + sign * HALF_BAND * m.deviation;
    moments.iter().map(|m| (m.time, edge(m, -1.0), edge(m, 1.0))).collect()
}

/// A fitted state space and the units of its first output.
pub(super) struct Model {
    pub system: System,
    shift: f64,
    scale: f64,
}

impl Model {
    pub fn new(loaded: &Reloaded) -> Result<Self> {
        let system = loaded.model.state_space(&loaded.theta)?;
        let units = &loaded.splits.standardization.observed;
        Ok(Self {
            system: system.ok_or_else(|| {
                Error::Data("the figure draws a state space: expected `model.kind` = \"linear_gaussian_ssm\"".into())
            })?,
            shift: units.shift().first().copied().unwrap_or(0.0),
            scale: units.scale().first().copied().unwrap_or(1.0),
        })
    }

    pub fn data_units(&self, value: f64) -> f64 {
        self.shift + self.scale * value
    }

    /// `C x_t + D u_t + d`, without the noise of the observation, of the first sequence.
    pub fn outputs(&self, beliefs: &Beliefs, sequences: &Sequences, inputs: &[f64]) -> Vec<Moment> {
        let (s, u) = (&self.system, self.system.inputs());
        let c = s.emission.row(0);
        let one = |t: usize| {
            let (p, _) = beliefs.covariances(sequences, 0, t);
            let pushed: f64 = (0..u).map(|j| s.emission_input[(0, j)] * inputs[t * u + j]).sum();
            let mean = (c * beliefs.mean(sequences, 0, t))[0] + pushed + s.emission_offset[0];
            Moment {
                time: t as f64,
                mean: self.data_units(mean),
                deviation: self.scale * (c * p * c.transpose())[0].max(0.0).sqrt(),
            }
        };
        (0..sequences.lengths()[0]).map(one).collect()
    }

    /// Forecasts of `steps` observations after the first `seen`, noise included; `inputs` `[≥ seen + steps, U]`.
    pub fn forecast(&self, filtered: &Filtered, seen: usize, inputs: &[f64], steps: usize) -> Vec<Moment> {
        let u = self.system.inputs();
        let at = |t: usize| DVector::from_column_slice(&inputs[t * u..(t + 1) * u]);
        let ahead: Vec<_> = (seen..seen + steps).map(at).collect();
        let forecasts = filtered.forecast(0, at(seen - 1).as_slice(), &ahead);
        let moment = |(i, forecast): (usize, crate::math::kalman::Forecast)| Moment {
            time: (seen + i) as f64,
            mean: self.data_units(forecast.mean[0]),
            deviation: self.scale * forecast.covariance[(0, 0)].sqrt(),
        };
        forecasts.into_iter().enumerate().map(moment).collect()
    }
}
