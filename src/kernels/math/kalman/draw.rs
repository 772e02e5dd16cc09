//! Whole trajectories drawn from the smoother's posterior: forward filtering, backward sampling (Frühwirth-Schnatter
//! 1994).
//!
//! `x_T ~ N(μ_T, P_T)`, then backwards `x_t | x_{t+1} ~ N(μ_t + J_t (x_{t+1} − A μ_t − B u_t − b), G_t)`.

use super::beliefs::{BeliefBlock, reverses};
use super::spreads::Spreads;
use super::{Beliefs, Filtered};
use crate::math::linear_algebra::square_root;
use nalgebra::DMatrix;
use rand::Rng;
use rand_distr::{Distribution, StandardNormal};

impl Filtered<'_> {
    /// One trajectory of every sequence, drawn from p(x_1 … x_T | o_1 … o_T).
    pub fn draw(&self, rng: &mut dyn Rng) -> Beliefs {
        let x = self.system.states();
        let reverses = reverses(self.system, &self.gains, self.blocks.iter().map(|own| &*own.steps));
        let mut inner: Vec<Option<Vec<f64>>> = vec![None; self.gains.steps.len()];
        let mut last = inner.clone();
        let mut blocks = Vec::with_capacity(self.blocks.len());
        let (mut noise, mut surprise) = (vec![0.0; x], vec![0.0; x]);
        for (own, block) in self.blocks.iter().zip(&self.sequences.blocks) {
            let (width, stride) = (block.members.len(), block.stride());
            let mut paths = own.means.clone();
            for (c, &length) in block.lengths.iter().enumerate() {
                for t in (0..length).rev() {
                    let (step, at) = (own.steps[t], t * width + c);
                    noise.iter_mut().for_each(|e| *e = StandardNormal.sample(rng));
                    let spread = if t + 1 < length {
                        for (i, s) in surprise.iter_mut().enumerate() {
                            let later = i * stride + at + width;
                            *s = paths[later] - own.predicted[later];
                        }
                        let gain = reverses.gain(step);
                        for (j, s) in surprise.iter().enumerate() {
                            let column = &gain.values[j * gain.stride..][..x];
                            (0..x).for_each(|i| paths[i * stride + at] += column[i] * s);
                        }
                        inner[step as usize].get_or_insert_with(|| root(&reverses.covariance(step)))
                    } else {
                        last[step as usize].get_or_insert_with(|| root(&self.gains.covariance(step)))
                    };
                    for i in 0..x {
                        paths[i * stride + at] += dot(&spread[i * x..(i + 1) * x], &noise);
                    }
                }
            }
            blocks.push(BeliefBlock {
                means: paths,
                chains: Vec::new(),
            });
        }
        Beliefs {
            states: x,
            blocks,
            spreads: Spreads::new(x),
        }
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Some `F` with `F Fᵀ = a` for positive semidefinite `a`, row-major.
fn root(a: &DMatrix<f64>) -> Vec<f64> {
    square_root(a).transpose().as_slice().to_vec()
}
