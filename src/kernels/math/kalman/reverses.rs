//! The coefficients of the smoother's backward pass, which do not depend on the data:
//! `x_t | x_{t+1}, o_1 … o_t ~ N(m + J (x_{t+1} − m'), G)` with `J = P Aᵀ P'⁻¹`, `G = (I − J A) P (I − J A)ᵀ + J Q Jᵀ`.
//!
//! The steps are independent. A few are interleaved, since solving for J is a long chain of operations.

use super::System;
use super::gains::Gains;
use super::lanes::{LANES, Matrix};
use super::small::{coefficients, factorise, identity, matrix, padded, parts, parts_mut, product, solve, table, term};
use crate::math::linear_algebra::least_squares;
use crate::math::vectors::arch;
use nalgebra::DMatrix;
use pulp::{Simd, WithSimd};

/// An entry of x_{t+1} is deterministic if its variance given the entries before it is below this fraction of its own
/// variance.
const CERTAIN: f64 = 1e-12;

/// Steps whose systems of equations are solved interleaved.
const TOGETHER: usize = 4;

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
        arch().dispatch(Steps {
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

/// Steps, a few at a time.
struct Steps<'a> {
    system: &'a System,
    gains: &'a Gains,
    /// Filter steps, and where J and G go.
    steps: Vec<(u32, &'a mut [f64])>,
}

impl WithSimd for Steps<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match self.system.states() {
            ..=LANES => self.run::<S, true>(simd),
            _ => self.run::<S, false>(simd),
        }
    }
}

impl Steps<'_> {
    #[inline(always)]
    fn run<S: Simd, const ONE: bool>(mut self, simd: S) {
        let (x, gains) = (self.system.states(), self.gains);
        let size = padded(x) * x;
        let (a, negative) = (
            table(&self.system.transition),
            table(&-self.system.transition.transpose()),
        );
        let (q, identity) = (table(&self.system.transition_noise), identity(x));
        let mut scratch = vec![0.0; (3 + 2 * TOGETHER) * size];
        let [rest, half, jq, factors, solutions] =
            parts_mut(&mut scratch, [size, size, size, TOGETHER * size, TOGETHER * size]);
        for steps in self.steps.chunks_mut(TOGETHER) {
            let mut predicted = [&[][..]; TOGETHER];
            for n in 0..TOGETHER {
                // Places beyond the last step repeat it.
                let [p, next] = gains.covariances(steps[n.min(steps.len() - 1)].0);
                predicted[n] = next;
                // J P' = P Aᵀ.
                let solution = &mut solutions[n * size..][..size];
                product::<S, ONE, _>(simd, (x, x), solution, None, [term(x, p, &a)]);
            }
            let definite = factorise::<S, ONE, TOGETHER>(simd, x, predicted, factors, CERTAIN);
            solve::<S, ONE, TOGETHER>(simd, x, solutions, factors);
            for (n, (id, own)) in steps.iter_mut().enumerate() {
                let ([p, next], (gain, covariance)) = (gains.covariances(*id), own.split_at_mut(size));
                gain.copy_from_slice(&solutions[n * size..][..size]);
                if !definite[n] {
                    // Some direction of x_{t+1} is deterministic and carries no information.
                    let product = &self.system.transition * gains.covariance(*id);
                    gain.copy_from_slice(&table(&least_squares(&matrix(next, x, x), &product).transpose()));
                }
                // G = (I − J A) P (I − J A)ᵀ + J Q Jᵀ.
                product::<S, ONE, _>(simd, (x, x), rest, Some(&identity), [term(x, gain, &negative)]);
                product::<S, ONE, _>(simd, (x, x), half, None, [term(x, rest, p)]);
                product::<S, ONE, _>(simd, (x, x), jq, None, [term(x, gain, &q)]);
                product::<S, ONE, _>(simd, (x, x), covariance, None, [term(x, half, rest), term(x, jq, gain)]);
            }
        }
    }
}
