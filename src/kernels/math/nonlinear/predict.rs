//! Predictions of observations by particles: k steps ahead, in simulation, and beyond the last step.
//!
//! The particles `x_s^i` of the bootstrap filter, with weights `w_s^i` given o_1 … o_s, are simulated further with
//! noise and without further observations: `E[o_t | o_1 … o_s] ≈ Σ_i w_s^i g_t(x_t^i)`. The noise of the observation
//! has mean 0 and drops out. Nothing is linearised; the error falls as 1/√N.

use super::particle::{Cloud, disturb, fill_normal};
use super::{BootstrapFilter, Dynamics, LogLikelihood, ScalarSystem, filter_repeatedly};
use crate::Result;
use crate::math::kalman::{Filtered, Horizon, Sequences, System};
use crate::math::linear_algebra::square_root;
use crate::math::streams::{Generator, Stream};
use rand::Rng;
use std::ops::Range;
use std::sync::Arc;

/// A state space and the method that predicts with it.
#[derive(Debug, Clone)]
pub enum Predictor {
    /// The Kalman filter: exact.
    Kalman(Box<System>),
    /// A bootstrap filter of this many particles: without bias in p(o_1 … o_T), and with errors of order 1/√N.
    Particles(Arc<dyn Dynamics>, usize),
    /// A sum over a grid of the state, refined until it changes by less than [`TOLERANCE`](super::TOLERANCE).
    Grid(ScalarSystem),
}

impl Predictor {
    /// Σ log p(o_1 … o_T) over all sequences, in nats: exact by the Kalman filter, summed over a grid, or
    /// estimated by several particle filters, each with a quarter of the particles, that draw from `numbers`.
    pub fn log_likelihood(&self, sequences: &Sequences, numbers: &Stream) -> Result<LogLikelihood> {
        match self {
            Self::Kalman(system) => Ok(LogLikelihood {
                value: Filtered::new(system, sequences)?.log_likelihood().iter().sum(),
                ..LogLikelihood::default()
            }),
            Self::Particles(system, count) => {
                let logs = filter_repeatedly(system.as_ref(), sequences, (count / 4).max(1), numbers)?;
                Ok(LogLikelihood::of_filters(&logs))
            }
            Self::Grid(system) => Ok(LogLikelihood {
                value: system.log_likelihood(sequences)?.iter().sum(),
                ..LogLikelihood::default()
            }),
        }
    }

    /// Expected observations of every sequence at each horizon, `[H][B]`, each row-major `[T, O]`; particles of
    /// sequence i draw from `numbers` at i.
    pub fn expected(
        &self,
        sequences: &Sequences,
        horizons: &[Horizon],
        numbers: &Stream,
    ) -> Result<Vec<Vec<Vec<f64>>>> {
        match self {
            Self::Kalman(system) => {
                let filtered = Filtered::new(system, sequences)?;
                Ok(horizons.iter().map(|horizon| filtered.expected(*horizon)).collect())
            }
            Self::Particles(system, count) => {
                let filter = BootstrapFilter::new(system.as_ref(), sequences, *count)?;
                let one = |horizon: &Horizon| filter.expected(*horizon, |i| numbers.at(i));
                horizons.iter().map(one).collect()
            }
            Self::Grid(system) => system.expected(sequences, horizons),
        }
    }
}

/// Weighted draws of the observations of some steps.
#[derive(Debug, Clone, PartialEq)]
pub struct Ensemble {
    /// Of each step, feature-major `[O, N]`.
    pub steps: Vec<Vec<f64>>,
    /// The same at all steps; they sum to 1. `[N]`
    pub weights: Vec<f64>,
}

/// Particles that are simulated forward.
struct RollOut<'a> {
    filter: &'a BootstrapFilter<'a>,
    /// u of every step. `[T, U]`
    inputs: &'a [f64],
    /// U.
    width: usize,
    /// `[X, N]`
    states: Vec<f64>,
    /// Their next states, and the noise. Each `[X, N]`
    next: Vec<f64>,
    noise: Vec<f64>,
}

impl<'a> RollOut<'a> {
    fn new(filter: &'a BootstrapFilter<'a>, inputs: &'a [f64], width: usize) -> Self {
        let empty = vec![0.0; filter.system.states() * filter.count];
        Self {
            filter,
            inputs,
            width,
            states: empty.clone(),
            next: empty.clone(),
            noise: empty,
        }
    }

    /// Draws first states.
    fn begin(&mut self, rng: &mut dyn Rng) {
        fill_normal(&mut self.noise, rng);
        self.filter.begin(&self.noise, &mut self.states);
    }

    /// From step t (from 0) to the next.
    fn advance(&mut self, t: usize, rng: &mut dyn Rng) {
        fill_normal(&mut self.noise, rng);
        let u = &self.inputs[t * self.width..][..self.width];
        self.filter.system.transition(t + 1, &self.states, u, &mut self.next);
        disturb(&mut self.next, &self.filter.roots[1], &self.noise);
        std::mem::swap(&mut self.states, &mut self.next);
    }

    /// `g_t(x^i)` at step t (from 0). `[O, N]`
    fn outputs(&self, t: usize) -> Vec<f64> {
        let system = self.filter.system;
        let mut outputs = vec![0.0; system.outputs() * self.filter.count];
        let u = &self.inputs[t * self.width..][..self.width];
        system.emission(t + 1, &self.states, u, &mut outputs);
        outputs
    }
}

impl BootstrapFilter<'_> {
    /// Expected observations of every sequence, each row-major `[T, O]`; for t < k, o_t is predicted from no
    /// observation. Sequence i draws from `generators(i)`.
    ///
    /// # Errors
    /// If no particle is anywhere near an observation.
    pub fn expected(&self, horizon: Horizon, generators: impl Fn(u64) -> Generator) -> Result<Vec<Vec<f64>>> {
        let o = self.system.outputs();
        let one = |i: usize| {
            let rng = &mut generators(i as u64);
            let length = self.sequences.lengths()[i];
            let (_, inputs) = self.sequences.rows(i);
            let mut expected = vec![0.0; length * o];
            let mut ahead = RollOut::new(self, &inputs, inputs.len() / length);
            ahead.begin(rng);
            let even = vec![1.0 / self.count as f64; self.count];
            let mut fill = |ahead: &mut RollOut, seen: usize, weights: &[f64], rng: &mut dyn Rng| {
                let steps = reached(horizon, seen, length);
                for t in seen..steps.end {
                    if t > 0 {
                        ahead.advance(t - 1, rng);
                    }
                    if steps.contains(&t) {
                        let row = expected[t * o..][..o].iter_mut();
                        row.zip(ahead.outputs(t).chunks_exact(self.count))
                            .for_each(|(to, g)| *to = g.iter().zip(weights).map(|(g, w)| g * w).sum());
                    }
                }
            };
            fill(&mut ahead, 0, &even, rng);
            self.run(i, false, rng, &mut Cloud::default(), |t, states, weights, rng| {
                ahead.states.copy_from_slice(states);
                fill(&mut ahead, t + 1, weights, rng);
            })?;
            Ok(expected)
        };
        (0..self.sequences.count()).map(one).collect()
    }

    /// Draws of the next `steps` observations after the last step of sequence `i`, noise included; `inputs` are those
    /// of these steps. `[steps, U]`
    ///
    /// # Errors
    /// If no particle is anywhere near an observation.
    pub fn forecast(&self, i: usize, steps: usize, inputs: &[f64], rng: &mut dyn Rng) -> Result<Ensemble> {
        let length = self.sequences.lengths()[i];
        let (_, mut all) = self.sequences.rows(i);
        all.extend_from_slice(inputs);
        let mut cloud = Cloud::default();
        self.run(i, false, rng, &mut cloud, |_, _, _, _| {})?;
        let mut ahead = RollOut::new(self, &all, all.len() / (length + steps));
        ahead.states.copy_from_slice(&cloud.states);
        let root = square_root(self.system.emission_noise());
        let mut noise = vec![0.0; self.system.outputs() * self.count];
        let draw = |t: usize| {
            ahead.advance(t - 1, rng);
            let mut outputs = ahead.outputs(t);
            fill_normal(&mut noise, rng);
            disturb(&mut outputs, &root, &noise);
            outputs
        };
        Ok(Ensemble {
            steps: (length..length + steps).map(draw).collect(),
            weights: cloud.weights,
        })
    }
}

/// The steps (from 0) whose observations are predicted from the first `seen`.
pub(super) fn reached(horizon: Horizon, seen: usize, length: usize) -> Range<usize> {
    let steps = match horizon {
        Horizon::Steps(k) if seen == 0 => 0..k,
        Horizon::Steps(k) => seen + k - 1..seen + k,
        Horizon::FreeRun { warm_up } if seen < warm_up => seen..seen + 1,
        Horizon::FreeRun { warm_up } if seen == warm_up => seen..length,
        Horizon::FreeRun { .. } => 0..0,
    };
    match steps.start < length {
        true => steps.start..steps.end.min(length),
        false => 0..0,
    }
}
