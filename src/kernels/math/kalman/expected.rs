//! The expected log joint of each sequence by itself, term by term; at a point, the log joint.
//!
//! `E[log N(y; W z, Σ)] = −½ (log det 2πΣ + |L⁻¹ (E[y] − W E[z])|² + tr Σ⁻¹ Cov(y − W z))`, summed over steps.

use super::sequences::{Block, Sequences};
use super::spreads::Spreads;
use super::statistics::precision;
use super::{Beliefs, Conditional, ExpectedLog, System};
use nalgebra::{DMatrix, DVector};

/// The expected log joint of every sequence.
pub fn expected_logs(system: &System, sequences: &Sequences, beliefs: &Beliefs) -> Vec<ExpectedLog> {
    let initial = Density::new(&system.initial_conditional());
    let transition = Density::new(&system.transition_conditional());
    let emission = system.emission_conditional();
    let emissions: Vec<Density> = sequences
        .masks
        .iter()
        .map(|mask| Density::new(&emission.rows(mask)))
        .collect();
    let x = system.states();
    let mut all = vec![ExpectedLog::default(); sequences.count()];
    let (mut y, mut z) = (
        vec![0.0; sequences.outputs().max(x)],
        vec![0.0; x + sequences.inputs() + 1],
    );
    for (block, own) in sequences.blocks.iter().zip(&beliefs.blocks) {
        let (width, stride) = (block.members.len(), block.stride());
        let load = |to: &mut [f64], table: &[f64], at: usize| {
            to.iter_mut().enumerate().for_each(|(i, v)| *v = table[i * stride + at]);
        };
        for (c, (&i, &length)) in block.members.iter().zip(&block.lengths).enumerate() {
            let sum = &mut all[i];
            load(&mut y[..x], &own.means, c);
            sum.initial += initial.at(&y[..x], &[1.0]);
            for t in 0..length {
                let at = t * width + c;
                load(&mut z[..x], &own.means, at);
                load(&mut z[x..x + sequences.inputs()], &block.inputs, at);
                z[x + sequences.inputs()] = 1.0;
                if t + 1 < length {
                    load(&mut y[..x], &own.means, at + width);
                    sum.transition += transition.at(&y[..x], &z);
                }
                let mask = block.masks[t] as usize;
                let entries = &sequences.masks[mask];
                for (to, &j) in y.iter_mut().zip(entries) {
                    *to = block.observed[j * stride + at];
                }
                sum.emission += emissions[mask].at(&y[..entries.len()], &z);
            }
        }
        for chain in &own.chains {
            let lost = spread_out(block, &beliefs.spreads, &chain.steps, &initial, &transition, &emissions);
            for &i in &block.members[chain.columns.clone()] {
                all[i].initial -= lost.initial;
                all[i].transition -= lost.transition;
                all[i].emission -= lost.emission;
            }
        }
    }
    all
}

/// The covariance part of a chain: `½ tr Σ⁻¹ Cov(y − W z)` of each term; steps with the same covariances are counted
/// together.
fn spread_out(
    block: &Block,
    spreads: &Spreads,
    steps: &[u32],
    initial: &Density,
    transition: &Density,
    emissions: &[Density],
) -> ExpectedLog {
    let first = &spreads.covariance(steps[0]);
    let mut lost = ExpectedLog {
        initial: 0.5 * initial.inverse.dot(first),
        ..ExpectedLog::default()
    };
    let x = first.nrows();
    let a = transition.coefficients.columns(0, x);
    let mut t = 0;
    while t < steps.len() {
        let (now, next, mask) = (steps[t], steps.get(t + 1).copied(), block.masks[t] as usize);
        let same =
            |s: &usize| steps[*s] == now && steps.get(*s + 1).copied() == next && block.masks[*s] as usize == mask;
        let run = (t..steps.len()).take_while(same).count();
        let (covariance, lag) = (&spreads.covariance(now), spreads.lag(now));
        if let Some(next) = next {
            let al = a * lag.transpose(); // A Cov(x_t, x_{t+1})
            let spread = spreads.covariance(next) + a * covariance * a.transpose() - &al - al.transpose();
            lost.transition += 0.5 * run as f64 * transition.inverse.dot(&spread);
        }
        let emission = &emissions[mask];
        let c = emission.coefficients.columns(0, x);
        lost.emission += 0.5 * run as f64 * emission.inverse.dot(&(c * covariance * c.transpose()));
        t += run;
    }
    lost
}

/// A conditional Gaussian, prepared for evaluation.
#[derive(Debug, Clone)]
pub(in crate::math) struct Density {
    coefficients: DMatrix<f64>,
    inverse: DMatrix<f64>,
    /// ½ log det 2πΣ.
    log_norm: f64,
}

impl Density {
    pub fn new(conditional: &Conditional) -> Self {
        let (inverse, log_det, _) = precision(&conditional.noise);
        Self {
            coefficients: conditional.coefficients.clone(),
            inverse,
            log_norm: 0.5 * log_det,
        }
    }

    /// `log N(y; W z, Σ)`.
    fn at(&self, y: &[f64], z: &[f64]) -> f64 {
        let error = DVector::from_fn(y.len(), |i, _| {
            y[i] - z
                .iter()
                .enumerate()
                .map(|(j, z)| self.coefficients[(i, j)] * z)
                .sum::<f64>()
        });
        -0.5 * error.dot(&(&self.inverse * &error)) - self.log_norm
    }

    /// The same of every column of `[y; z]` `[Y + Z, K]`, feature-major, into `logs` `[K]`.
    pub fn columns(&self, table: &[f64], logs: &mut Vec<f64>) {
        let (y, z) = self.coefficients.shape();
        let count = table.len() / (y + z);
        let row = |i: usize| &table[i * count..][..count];
        let mut errors = table[..y * count].to_vec();
        for (i, error) in errors.chunks_exact_mut(count).enumerate() {
            for j in 0..z {
                let w = self.coefficients[(i, j)];
                error.iter_mut().zip(row(y + j)).for_each(|(e, z)| *e -= w * z);
            }
        }
        logs.clear();
        logs.resize(count, -self.log_norm);
        for (i, a) in errors.chunks_exact(count).enumerate() {
            for (j, b) in errors.chunks_exact(count).enumerate() {
                let half = 0.5 * self.inverse[(i, j)];
                let pairs = logs.iter_mut().zip(a.iter().zip(b));
                pairs.for_each(|(log, (a, b))| *log -= half * a * b);
            }
        }
    }
}
