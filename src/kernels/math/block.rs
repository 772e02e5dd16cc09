//! One block of points of a sweep: its scratch memory, and its phases.
//!
//! A block holds the transposed, centred rows `u = [1; x − x̄; y − ȳ]`, `[P, BLOCK]`, and has three phases in cache:
//! the log joints `constant_k − ½ |map_k u|²`, `[K, BLOCK]`; their softmax (or the given responsibilities), times the
//! row weights; and the moments `Σ r u uᵀ` in register tiles. Missing points of the last block have weight 0.

mod kernels;

use super::linear_mixture::Whitened;
use super::probability::log_sum_exp;
use super::rows::Observations;
use crate::math::vectors::arch;
use kernels::{Accumulate, LogJoint, Normalise, Points, Sum, slot};
pub(super) use kernels::{BLOCK, LEAST, Moments};
use pulp::Arch;

/// Turns one block's log joints `[b, K]`, whose first row is the given one, into responsibilities in place.
pub type Rule<'a> = dyn Fn(usize, &mut [f64]) + Sync + 'a;

/// Scratch memory and running sums of one thread.
pub(super) struct Block<'a> {
    arch: Arch,
    whitened: &'a [Whitened],
    moments: Moments,
    inputs: usize,
    /// `u`, `[P, BLOCK]`.
    u: Vec<Points>,
    /// Log joints, then responsibilities times row weights, `[K, BLOCK]`.
    joint: Vec<Points>,
    weights: Points,
    /// Row-major copy of the log joints for a rule, `[b, K]`, and a second copy that the rule does not overwrite.
    rows: Vec<f64>,
    before: Vec<f64>,
    /// Lower triangles, packed, `[K, P (P+1) / 2]`.
    sums: Vec<Sum>,
}

impl<'a> Block<'a> {
    pub(super) fn new(data: &Observations, whitened: &'a [Whitened], moments: Moments) -> Self {
        let (p, k) = (1 + data.shift.len(), whitened.len());
        let mut u = vec![Points([0.0; BLOCK]); p];
        u[0] = Points([1.0; BLOCK]);
        Self {
            arch: arch(),
            whitened,
            moments,
            inputs: data.columns().0,
            u,
            joint: vec![Points([0.0; BLOCK]); k],
            weights: Points([0.0; BLOCK]),
            rows: Vec::new(),
            before: Vec::new(),
            sums: vec![Sum([0.0; 8]); k * p * (p + 1) / 2],
        }
    }

    /// Transposes and centres rows `first..first + count`, `count ≤ BLOCK`.
    pub(super) fn load(&mut self, data: &Observations, first: usize, count: usize) {
        let tables = data.given.iter().chain([&data.observed]);
        let (mut u, mut shift) = (&mut self.u[1..], &data.shift[..]);
        for table in tables {
            let values = &table.values[first * table.columns..(first + count) * table.columns];
            let (columns, later) = u.split_at_mut(table.columns);
            for (j, (column, mean)) in columns.iter_mut().zip(shift).enumerate() {
                for (u, row) in column.0.iter_mut().zip(values.chunks_exact(table.columns)) {
                    *u = row[j] - mean;
                }
                column.0[count..].fill(0.0);
            }
            (u, shift) = (later, &shift[table.columns..]);
        }
        match data.weights {
            Some(weights) => self.weights.0[..count].copy_from_slice(&weights[first..first + count]),
            None => self.weights.0[..count].fill(1.0),
        }
        self.weights.0[count..].fill(0.0);
    }

    /// Fills the log joints.
    pub(super) fn log_joint(&mut self) {
        self.arch.dispatch(LogJoint {
            whitened: self.whitened,
            sparse: self.moments == Moments::Diagonal,
            inputs: self.inputs,
            u: &self.u,
            joint: &mut self.joint,
        });
    }

    /// Turns log joints into weighted exact responsibilities; returns the weighted log-likelihood, nats.
    pub(super) fn normalise(&mut self) -> f64 {
        self.arch.dispatch(Normalise {
            joint: &mut self.joint,
            weights: &self.weights,
        })
    }

    /// Turns log joints into weighted responsibilities by a rule. Returns log-likelihood and lower bound in nats, or
    /// the row whose responsibilities do not sum to 1, with their sum.
    pub(super) fn given(&mut self, rule: &Rule, first: usize, count: usize) -> Result<(f64, f64), (usize, f64)> {
        let k = self.joint.len();
        self.rows.resize(count * k, 0.0);
        for (i, row) in self.rows.chunks_exact_mut(k).enumerate() {
            for (value, joint) in row.iter_mut().zip(&self.joint) {
                *value = if joint.0[i] > LEAST {
                    joint.0[i]
                } else {
                    f64::NEG_INFINITY
                };
            }
        }
        self.before.clone_from(&self.rows);
        rule(first, &mut self.rows);
        let (mut log_likelihood, mut bound) = (0.0, 0.0);
        for (i, (r, log_joint)) in self.rows.chunks_exact(k).zip(self.before.chunks_exact(k)).enumerate() {
            let sum: f64 = r.iter().sum();
            if (sum - 1.0).abs() > 1e-6 || sum.is_nan() || r.iter().any(|r| *r < 0.0) {
                return Err((first + i, sum));
            }
            let w = self.weights.0[i];
            for (joint, r) in self.joint.iter_mut().zip(r) {
                joint.0[i] = w * r;
            }
            if w > 0.0 {
                log_likelihood += w * log_sum_exp(log_joint);
                let terms = r.iter().zip(log_joint).filter(|(r, _)| **r > 0.0);
                bound += w * terms.map(|(r, j)| r * (j - r.ln())).sum::<f64>();
            }
        }
        self.joint.iter_mut().for_each(|joint| joint.0[count..].fill(0.0));
        Ok((log_likelihood, bound))
    }

    /// Adds the block's weighted moments to the running sums.
    pub(super) fn accumulate(&mut self) {
        self.arch.dispatch(Accumulate {
            moments: self.moments,
            u: &self.u,
            responsibilities: &self.joint,
            sums: &mut self.sums,
        });
    }

    /// Writes the running sums as lower triangles, `[K, P, P]`.
    pub(super) fn store(&self, moments: &mut [f64]) {
        let p = self.u.len();
        let packed = p * (p + 1) / 2;
        for (m, sums) in moments.chunks_exact_mut(p * p).zip(self.sums.chunks_exact(packed)) {
            for i in 0..p {
                for j in 0..=i {
                    m[i * p + j] = sums[slot(i, j)].0.iter().sum();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::linear_mixture::{Covariance, LinearMixture};
    use super::super::rows::Rows;
    use super::*;
    use crate::math::vectors::tests::on_every_set;

    /// Log-likelihood and moments of one block of 100 points in four columns, two components.
    fn one_block(covariance: Covariance, kind: Moments) -> Vec<f64> {
        let values: Vec<f64> = (0..400)
            .map(|i| (f64::from(i) * 0.7).sin() * f64::from(1 + i % 4))
            .collect();
        let data = Observations::new(
            Rows {
                values: &values,
                columns: 4,
            },
            None,
            None,
        )
        .unwrap();
        let mixture = LinearMixture {
            inputs: 0,
            outputs: 4,
            covariance,
            weights: vec![0.3, 0.7],
            coefficients: vec![0.0, 0.5, 1.0, -1.0, 1.0, 0.0, -0.5, 0.5],
            covariances: (0..32).map(|i| if i % 16 % 5 == 0 { 1.5 } else { 0.0 }).collect(),
        };
        let whitened = mixture.whiten(&data).unwrap();
        let mut block = Block::new(&data, &whitened, kind);
        block.load(&data, 0, 100);
        block.log_joint();
        let mut found = vec![block.normalise()];
        block.accumulate();
        let mut moments = vec![0.0; 50];
        block.store(&mut moments);
        found.extend(moments);
        found
    }

    #[test]
    fn every_instruction_set_computes_the_same() {
        for (covariance, kind) in [
            (Covariance::Full, Moments::All),
            (Covariance::Tied, Moments::First),
            (Covariance::Diagonal, Moments::Diagonal),
        ] {
            let sets = on_every_set(|| one_block(covariance, kind));
            let scalar = &sets[0].1;
            assert!(scalar[0] < 0.0 && scalar[1] > 0.0);
            for (_, found) in &sets {
                approx::assert_relative_eq!(found[..], scalar[..], epsilon = 1e-11);
            }
        }
    }
}
