//! Running sums over nodes, per row: `log Σ_g exp(log p(x, z_g))` and, for a Gaussian q,
//! `Σ_g q (log q − log p(x, z_g))`.
//!
//! The log-sum-exp is online: each row keeps the largest term m and `Σ exp(· − m)`, and a tile that beats m rescales
//! the sum. A tile whose best term is 60 nats below m adds less than 1e-26 of it per node, and is left out.

use super::gaussians::Gaussians;
use super::nodes::Tile;
use crate::math::LN_2PI;
use crate::math::elementary::exp;
use crate::math::vectors::arch;
use pulp::{Simd, WithSimd};

/// Terms this far below the largest, nats, do not show in f64 sums.
const NEGLIGIBLE: f64 = 60.0;
/// Terms treated at once; two AVX-512 registers.
const LANES: usize = 16;

/// `log Σ exp` of every row.
#[derive(Debug, Clone)]
pub(super) struct LogSums {
    max: Vec<f64>,
    sum: Vec<f64>,
}

impl LogSums {
    pub(super) fn new(rows: usize) -> Self {
        Self {
            max: vec![f64::NEG_INFINITY; rows],
            sum: vec![0.0; rows],
        }
    }

    /// Adds a tile's terms.
    pub(super) fn add(&mut self, tile: &Tile, width: usize) {
        let rows = tile.first_row..tile.first_row + tile.log_joint.len() / width;
        arch().dispatch(Add {
            log_joint: tile.log_joint,
            width,
            max: &mut self.max[rows.clone()],
            sum: &mut self.sum[rows],
        });
    }

    /// The logarithms, `[B]`; −∞ where every term was.
    pub(super) fn logs(&self) -> impl Iterator<Item = f64> {
        self.max.iter().zip(&self.sum).map(|(max, sum)| max + sum.ln())
    }
}

struct Add<'a> {
    log_joint: &'a [f64],
    width: usize,
    max: &'a mut [f64],
    sum: &'a mut [f64],
}

impl WithSimd for Add<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let sums = self.max.iter_mut().zip(self.sum);
        for (terms, (max, sum)) in self.log_joint.chunks_exact(self.width).zip(sums) {
            let best = largest(terms);
            if best > *max {
                *sum *= exp(*max - best);
                *max = best;
            }
            if best > *max - NEGLIGIBLE {
                *sum += sum_of_exponentials(terms, *max);
            }
        }
    }
}

#[inline(always)]
fn largest(terms: &[f64]) -> f64 {
    let (lanes, rest) = terms.as_chunks::<LANES>();
    let mut max = [f64::NEG_INFINITY; LANES];
    for terms in lanes {
        for (max, t) in max.iter_mut().zip(terms) {
            *max = if *t > *max { *t } else { *max };
        }
    }
    max.iter().chain(rest).copied().fold(f64::NEG_INFINITY, f64::max)
}

#[inline(always)]
fn sum_of_exponentials(terms: &[f64], max: f64) -> f64 {
    let (lanes, rest) = terms.as_chunks::<LANES>();
    let mut sum = [0.0; LANES];
    for terms in lanes {
        for (sum, t) in sum.iter_mut().zip(terms) {
            *sum += exp(*t - max);
        }
    }
    sum.iter().sum::<f64>() + rest.iter().map(|t| exp(*t - max)).sum::<f64>()
}

/// `Σ_g q` and `Σ_g q (log q − log p(x, z_g))` of every row.
#[derive(Debug, Clone)]
pub(super) struct Divergences<'a> {
    q: &'a Gaussians,
    pub mass: Vec<f64>,
    pub sum: Vec<f64>,
    /// Coordinates of a tile's nodes, `[Z, g]`.
    coordinates: Vec<f64>,
}

impl<'a> Divergences<'a> {
    pub(super) fn new(q: &'a Gaussians, rows: usize) -> Self {
        Self {
            q,
            mass: vec![0.0; rows],
            sum: vec![0.0; rows],
            coordinates: Vec::new(),
        }
    }

    /// Adds a tile's terms.
    pub(super) fn add(&mut self, tile: &Tile, latents: usize) {
        self.coordinates.clear();
        for k in 0..latents {
            self.coordinates.extend(tile.nodes.iter().skip(k).step_by(latents));
        }
        let width = tile.nodes.len() / latents;
        let rows = tile.first_row..tile.first_row + tile.log_joint.len() / width;
        let each = rows.start * latents..rows.end * latents;
        arch().dispatch(AddDivergence {
            log_joint: tile.log_joint,
            coordinates: &self.coordinates,
            latents,
            means: &self.q.means[each.clone()],
            deviations: &self.q.deviations[each],
            mass: &mut self.mass[rows.clone()],
            sum: &mut self.sum[rows],
        });
    }
}

struct AddDivergence<'a> {
    log_joint: &'a [f64],
    coordinates: &'a [f64],
    latents: usize,
    means: &'a [f64],
    deviations: &'a [f64],
    mass: &'a mut [f64],
    sum: &'a mut [f64],
}

impl WithSimd for AddDivergence<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let (z, width) = (self.latents, self.coordinates.len() / self.latents);
        let mut log_q = vec![0.0; width];
        let q = self.means.chunks_exact(z).zip(self.deviations.chunks_exact(z));
        let sums = self.mass.iter_mut().zip(self.sum);
        for ((log_joint, (mu, sigma)), (mass, sum)) in self.log_joint.chunks_exact(width).zip(q).zip(sums) {
            log_q.fill(sigma.iter().map(|s| -s.ln() - 0.5 * LN_2PI).sum());
            for ((z, mu), sigma) in self.coordinates.chunks_exact(width).zip(mu).zip(sigma) {
                let precision = sigma.recip();
                for (log_q, z) in log_q.iter_mut().zip(z) {
                    let deviation = (z - mu) * precision;
                    *log_q -= 0.5 * deviation * deviation;
                }
            }
            let (mut q_sum, mut ratio_sum) = ([0.0; LANES], [0.0; LANES]);
            for (log_q, log_joint) in log_q.chunks(LANES).zip(log_joint.chunks(LANES)) {
                let lanes = q_sum.iter_mut().zip(&mut ratio_sum);
                for ((log_q, log_joint), (q_sum, ratio_sum)) in log_q.iter().zip(log_joint).zip(lanes) {
                    let q = exp(*log_q);
                    *q_sum += q;
                    // Where q is 0, so is its term, even if log p(x, z) is −∞.
                    *ratio_sum += if q > 0.0 { q * (log_q - log_joint) } else { 0.0 };
                }
            }
            *mass += q_sum.iter().sum::<f64>();
            *sum += ratio_sum.iter().sum::<f64>();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::vectors::tests::on_every_set;

    #[test]
    fn every_instruction_set_computes_the_same() {
        // 3 rows of 37 terms; the second row has nothing, the third one term that dwarfs what came before.
        let mut log_joint: Vec<f64> = (0..111).map(|i| (f64::from(i) * 0.7).sin() * 30.0).collect();
        log_joint[37..74].fill(f64::NEG_INFINITY);
        log_joint[80] = 900.0;
        let coordinates: Vec<f64> = (0..74).map(|i| (f64::from(i) * 0.3).cos()).collect();
        let both = || {
            let (mut max, mut sum) = ([-10.0, f64::NEG_INFINITY, 0.0], [2.0, 0.0, 1.0]);
            arch().dispatch(Add {
                log_joint: &log_joint,
                width: 37,
                max: &mut max,
                sum: &mut sum,
            });
            let (mut mass, mut divergence) = ([0.0; 2], [0.0; 2]);
            arch().dispatch(AddDivergence {
                log_joint: &[&log_joint[..37], &log_joint[74..]].concat(),
                coordinates: &coordinates,
                latents: 2,
                means: &[0.1, 0.2, -0.3, 0.5],
                deviations: &[0.5, 0.2, 1.0, 0.1],
                mass: &mut mass,
                sum: &mut divergence,
            });
            let logs: Vec<f64> = max.iter().zip(sum).map(|(max, sum)| max + sum.ln()).collect();
            [&logs[..], &mass, &divergence].concat()
        };
        let sets = on_every_set(both);
        let scalar = &sets[0].1;
        let terms = log_joint[..37].iter().copied().chain([-10.0 + 2f64.ln()]);
        let direct = terms.map(f64::exp).sum::<f64>().ln();
        approx::assert_relative_eq!(scalar[0], direct, epsilon = 1e-13);
        assert_eq!((scalar[1], scalar[2]), (f64::NEG_INFINITY, 900.0));
        for (_, found) in &sets {
            approx::assert_relative_eq!(found[..], scalar[..], max_relative = 1e-12);
        }
    }
}
