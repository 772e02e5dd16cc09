//! Predictions of observations: k steps ahead, in simulation, and beyond the last step.

use super::sequences::Sequences;
use super::{Filtered, System};
use crate::math::linear_algebra::symmetric;
use nalgebra::{DMatrix, DVector};

/// How far ahead to predict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Horizon {
    /// k ≥ 1: o_t from o_1 … o_{t−k} and all inputs.
    Steps(usize),
    /// o_t from o_1 … o_w for `warm_up` = w, and all inputs: simulation.
    FreeRun {
        /// Observations that the model may see first.
        warm_up: usize,
    },
}

/// Mean and covariance of one future observation.
#[derive(Debug, Clone, PartialEq)]
pub struct Forecast {
    /// `E[o]`. `[O]`
    pub mean: DVector<f64>,
    /// Cov(o). `[O, O]`
    pub covariance: DMatrix<f64>,
}

impl Filtered<'_> {
    /// Expected observations of every sequence, each row-major `[T, O]`; for t < k, o_t is predicted from no
    /// observation.
    pub fn expected(&self, horizon: Horizon) -> Vec<Vec<f64>> {
        let (system, sequences) = (self.system, self.sequences);
        let mut all = vec![Vec::new(); sequences.count()];
        for (own, block) in self.blocks.iter().zip(&sequences.blocks) {
            let (width, stride) = (block.members.len(), block.stride());
            let column = |table: &[f64], rows: usize, at: usize| {
                DVector::from_iterator(rows, (0..rows).map(|i| table[i * stride + at]))
            };
            for (c, (&i, &length)) in block.members.iter().zip(&block.lengths).enumerate() {
                let inputs = |t: usize| column(&block.inputs, system.inputs(), t * width + c);
                let predicted = |t: usize| column(&own.predicted, system.states(), t * width + c);
                let mut state = system.initial_mean.clone();
                for t in 0..length {
                    match horizon {
                        Horizon::Steps(k) => {
                            // predicted(s) is given o_1 … o_{s−1}: it is one step ahead of s − 1.
                            let start = (t + 1).saturating_sub(k);
                            state = predicted(start);
                            for s in start..t {
                                state = system.advance(&state, &inputs(s));
                            }
                        }
                        Horizon::FreeRun { warm_up } if t <= warm_up => state = predicted(t),
                        Horizon::FreeRun { .. } => state = system.advance(&state, &inputs(t - 1)),
                    }
                    all[i].extend(system.observe(&state, &inputs(t)).iter());
                }
            }
        }
        all
    }

    /// Forecasts beyond the last step of sequence `i`, one for each row of `inputs` (the first is at the step after the
    /// last). `last_input` is u at the last step. Intervals at 95 % are ± 1.96 standard deviations.
    pub fn forecast(&self, i: usize, last_input: &[f64], inputs: &[DVector<f64>]) -> Vec<Forecast> {
        let system = self.system;
        let length = self.sequences.lengths()[i];
        let (block, stride, at) = self.sequences.place(i, length - 1);
        let own = &self.blocks[block];
        let means = (0..system.states()).map(|j| own.means[j * stride + at]);
        let mut state = DVector::from_iterator(system.states(), means);
        let mut spread = self.gains.covariance(own.steps[length - 1]);
        let mut input = DVector::from_column_slice(last_input);
        let mut forecasts = Vec::with_capacity(inputs.len());
        for next in inputs {
            state = system.advance(&state, &input);
            let a = &system.transition;
            spread = symmetric(a * spread * a.transpose() + &system.transition_noise);
            let c = &system.emission;
            forecasts.push(Forecast {
                mean: system.observe(&state, next),
                covariance: symmetric(c * &spread * c.transpose() + &system.emission_noise),
            });
            input = next.clone();
        }
        forecasts
    }
}

impl System {
    /// `A x + B u + b`.
    fn advance(&self, x: &DVector<f64>, u: &DVector<f64>) -> DVector<f64> {
        &self.transition * x + &self.transition_input * u + &self.transition_offset
    }

    /// `C x + D u + d`.
    fn observe(&self, x: &DVector<f64>, u: &DVector<f64>) -> DVector<f64> {
        &self.emission * x + &self.emission_input * u + &self.emission_offset
    }
}

/// Squared errors of `expected` (see [`Filtered::expected`]) from step `warm_up` on, summed over what is observed:
/// `[O]` sums and `[O]` counts. `observed` is row-major `[N, O]`, NaN where missing.
pub fn squared_errors(
    sequences: &Sequences,
    observed: &[f64],
    expected: &[Vec<f64>],
    warm_up: usize,
) -> (Vec<f64>, Vec<usize>) {
    let o = sequences.outputs();
    let (mut sums, mut counts) = (vec![0.0; o], vec![0; o]);
    let mut start = 0;
    for (&length, own) in sequences.lengths().iter().zip(expected) {
        for at in warm_up * o..length * o {
            let error = observed[start * o + at] - own[at];
            if !observed[start * o + at].is_nan() {
                sums[at % o] += error * error;
                counts[at % o] += 1;
            }
        }
        start += length;
    }
    (sums, counts)
}
