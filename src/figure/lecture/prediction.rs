//! Predictions of a trained conditional model of one number y, in the data's units.

use crate::Result;
use crate::data::{Standardization, Table};
use crate::math::latin_hypercube;
use crate::model::MixtureRows;
use crate::runner::Reloaded;

/// Points of the average over a continuous latent: enough for smooth curves.
const POINTS: usize = 1000;

/// `p(y | row) = Σ_k π_k N(y; μ_k, σ_k²)` for each of R rows. For a continuous latent, `∫ p(y | row, z) p(z | row) dz`
/// is the mean over [`POINTS`] points, with one component for each.
pub(super) struct Prediction {
    rows: MixtureRows,
    shift: f64,
    scale: f64,
}

impl Prediction {
    /// The predictions of the model of `run` for the rows of `given`.
    pub fn new(run: &Reloaded, mut given: Table) -> Result<Self> {
        let Standardization {
            observed,
            given: columns,
        } = &run.splits.standardization;
        columns.apply(&mut given);
        let rows = match run.model.decoder() {
            None => run.model.predict(&run.theta, Some(&given))?,
            Some(decoder) => {
                // The same uniform numbers for all rows, so that neighbouring rows differ only by their given values.
                let cube = latin_hypercube(POINTS, decoder.uniforms(), &mut run.streams.named("figure").at(0));
                let points = decoder.points(&run.theta, Some(&given), &cube.repeat(given.rows()))?;
                decoder.predict_at(&run.theta, Some(&given), &points)?
            }
        };
        Ok(Self {
            rows,
            shift: observed.shift().first().copied().unwrap_or(0.0),
            scale: observed.scale().first().copied().unwrap_or(1.0),
        })
    }

    /// The number of components K.
    pub fn components(&self) -> usize {
        self.rows.components()
    }

    /// `p(y | row)`, per unit of y.
    pub fn density(&self, row: usize, y: f64) -> f64 {
        self.rows.log_prob(row, &[(y - self.shift) / self.scale]).exp() / self.scale
    }

    /// `E[y | row]`.
    pub fn mean(&self, row: usize) -> f64 {
        self.shift + self.scale * self.rows.mean(row)[0]
    }

    /// π_k.
    pub fn weight(&self, row: usize, k: usize) -> f64 {
        self.rows.log_weights(row)[k].exp()
    }

    /// μ_k.
    pub fn component_mean(&self, row: usize, k: usize) -> f64 {
        self.shift + self.scale * self.rows.component_mean(row, k)[0]
    }

    /// σ_k.
    pub fn deviation(&self, row: usize, k: usize) -> f64 {
        self.scale * self.rows.deviation(row, k, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Dataset;
    use crate::math::streams::Streams;
    use crate::model::ModelConfig;
    use crate::train::evaluation::mean_log_likelihood;
    use approx::assert_relative_eq;
    use candle_core::{DType, Device};

    /// Predictions of a model of standardised rows agree with the metric, which is in the data's units.
    #[test]
    fn densities_are_in_the_units_of_the_data() {
        let given: Vec<f64> = (0..40).map(|i| 100.0 + f64::from(i)).collect();
        let observed: Vec<f64> = (0..40).map(|i| 3.0 + 0.01 * f64::from(i * i % 17)).collect();
        let mut train = Dataset {
            observed: Table::new(observed.clone(), 1).into(),
            given: Some(Table::new(given.clone(), 1).into()),
            ..Dataset::default()
        };
        let standardization = Standardization::fit(&train);
        standardization.apply(&mut train);
        let config: ModelConfig = toml::from_str("kind = 'conditional_mixture'\ncomponents = 3\nhidden = [4]").unwrap();
        let model = config.build(&train).unwrap();
        let streams = Streams::new(0);
        let theta = model.initial(&train, &streams, 0, DType::F64, &Device::Cpu).unwrap();
        let reported =
            mean_log_likelihood(model.as_ref(), &theta, &train).unwrap() - standardization.observed.log_scale();
        let run = Reloaded {
            model,
            theta,
            splits: crate::data::Splits {
                train,
                validation: None,
                test: None,
                standardization,
                true_prior: None,
                truth: None,
                oracle: None,
                oracle_standard_error: None,
            },
            streams,
        };
        let rows = Prediction::new(&run, Table::new(given, 1)).unwrap();
        let log = |(i, y): (usize, &f64)| rows.density(i, *y).ln();
        assert_relative_eq!(
            observed.iter().enumerate().map(log).sum::<f64>() / 40.0,
            reported,
            max_relative = 1e-9
        );
        // By quadrature: mass 1, and the mean of the components.
        let (step, from) = (1e-3, 2.0);
        let moment = |power: i32| -> f64 {
            let y = (0..3000).map(|i| from + step * f64::from(i));
            y.map(|y| y.powi(power) * rows.density(0, y) * step).sum()
        };
        assert_relative_eq!(moment(0), 1.0, max_relative = 1e-6);
        assert_relative_eq!(moment(1), rows.mean(0), max_relative = 1e-6);
        let parts = 0..rows.components();
        let mean: f64 = parts
            .clone()
            .map(|k| rows.weight(0, k) * rows.component_mean(0, k))
            .sum();
        let square = |k| rows.deviation(0, k).powi(2) + rows.component_mean(0, k).powi(2);
        let second: f64 = parts.map(|k| rows.weight(0, k) * square(k)).sum();
        assert_relative_eq!(moment(1), mean, max_relative = 1e-6);
        assert_relative_eq!(moment(2), second, max_relative = 1e-6);
    }
}
