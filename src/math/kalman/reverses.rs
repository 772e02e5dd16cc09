//! How the filter's steps are walked backwards, without a look at the data:
//! `x_t | x_{t+1}, o_1 … o_t ~ N(m + J (x_{t+1} − m'), G)` with `J = P Aᵀ P'⁻¹`, `G = (I − J A) P (I − J A)ᵀ + J Q Jᵀ`.
//!
//! No step waits for another: as many as a vector has lanes are computed at once, lane by lane the same operations.

use super::System;
use super::batch::{Factor, add_product, put, solve, take};
use super::gains::Gains;
use super::lanes::Matrix;
use super::small::{coefficients, matrix, padded, parts, parts_mut, table};
use crate::math::linear_algebra::least_squares;
use crate::math::vectors::arch;
use nalgebra::DMatrix;
use pulp::{Simd, WithSimd, bytemuck};

/// A variance of x_{t+1} given the entries before it, relative to its variance by itself, below which it is known for
/// certain.
const CERTAIN: f64 = 1e-12;

/// J and G of every filter step.
#[derive(Debug)]
pub(super) struct Reverses {
    states: usize,
    /// Of each step, side by side; zeros where not wanted.
    values: Vec<f64>,
}

impl Reverses {
    /// Of the filter steps that are `wanted`.
    pub fn new(system: &System, gains: &Gains, wanted: &[bool]) -> Self {
        let x = system.states();
        let mut values = vec![0.0; 2 * padded(x) * x * wanted.len()];
        let steps = (0..).zip(values.chunks_exact_mut(2 * padded(x) * x));
        arch().dispatch(Batches {
            system,
            gains,
            steps: steps.filter(|(id, _)| wanted[*id as usize]).collect(),
        });
        Self { states: x, values }
    }

    /// J and G of filter step `id`, as tables.
    pub fn tables(&self, id: u32) -> [&[f64]; 2] {
        let size = padded(self.states) * self.states;
        parts(&self.values[2 * size * id as usize..], [size; 2])
    }

    /// J of filter step `id`. `[X, X]`
    pub fn gain(&self, id: u32) -> Matrix<'_> {
        coefficients(self.tables(id)[0], self.states, self.states)
    }

    /// G of filter step `id`. `[X, X]`
    pub fn covariance(&self, id: u32) -> DMatrix<f64> {
        matrix(self.tables(id)[1], self.states, self.states)
    }
}

/// Steps by the vector.
struct Batches<'a> {
    system: &'a System,
    gains: &'a Gains,
    /// Filter steps, and where J and G go.
    steps: Vec<(u32, &'a mut [f64])>,
}

impl WithSimd for Batches<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let (x, gains) = (self.system.states(), self.gains);
        let (n, stride) = (x * x, padded(x));
        let zero = simd.splat_f64s(0.0);
        let mut scratch = vec![zero; 8 * n];
        let [a, q, p, next, gain, rest, half, covariance] = parts_mut(&mut scratch, [n; 8]);
        let transition = table(&self.system.transition);
        let noise = table(&self.system.transition_noise);
        put::<S>(a, x, stride, |_| &transition);
        put::<S>(q, x, stride, |_| &noise);
        for steps in self.steps.chunks_mut(S::F64_LANES) {
            // Lanes beyond the last step repeat it.
            let step = |lane: usize| steps[lane.min(steps.len() - 1)].0;
            put::<S>(p, x, stride, |lane| gains.covariances(step(lane))[0]);
            put::<S>(next, x, stride, |lane| gains.covariances(step(lane))[1]);
            // J P' = P Aᵀ.
            gain.fill(zero);
            add_product(simd, x, gain, (1.0, p), Factor::Transposed(a));
            let least = solve(simd, x, next, gain);
            for (lane, least) in bytemuck::cast_slice::<_, f64>(&[least]).iter().enumerate() {
                if least.is_nan() || *least <= CERTAIN {
                    // Some direction of x_{t+1} is known for certain and says nothing.
                    let after = matrix(gains.covariances(step(lane))[1], x, x);
                    let product = &self.system.transition * gains.covariance(step(lane));
                    let solution = least_squares(&after, &product);
                    let lanes = bytemuck::cast_slice_mut::<_, f64>(&mut *gain).chunks_exact_mut(S::F64_LANES);
                    lanes
                        .zip(solution.transpose().iter())
                        .for_each(|(to, from)| to[lane] = *from);
                }
            }
            // G = (I − J A) P (I − J A)ᵀ + J Q Jᵀ.
            rest.fill(zero);
            (0..x).for_each(|i| rest[i * x + i] = simd.splat_f64s(1.0));
            add_product(simd, x, rest, (-1.0, gain), Factor::Plain(a));
            half.fill(zero);
            add_product(simd, x, half, (1.0, rest), Factor::Plain(p));
            covariance.fill(zero);
            add_product(simd, x, covariance, (1.0, half), Factor::ToSymmetric(rest));
            half.fill(zero);
            add_product(simd, x, half, (1.0, gain), Factor::Plain(q));
            add_product(simd, x, covariance, (1.0, half), Factor::ToSymmetric(gain));
            let tables = steps.iter_mut().map(|(_, own)| own.split_at_mut(stride * x));
            let (mut to_gain, mut to_covariance): (Vec<_>, Vec<_>) = tables.unzip();
            take::<S>(gain, x, stride, &mut to_gain);
            take::<S>(covariance, x, stride, &mut to_covariance);
        }
    }
}
