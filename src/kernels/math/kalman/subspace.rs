//! Initial values of a system by subspace identification from a long autoregression (Chiuso 2007; Jansson 2003).
//!
//! In innovation form, `o_t = Σ_k C Ā^{k−1} [K B̄] z_{t−k} + D u_t + d + e_t` with `z = [o; u]`. The coefficients φ_k of
//! this regression fill a matrix of blocks `H_{ij} = φ_{i+j+1}`, whose product with the past
//! `p_t = [z_{t−1}; z_{t−2}; …]` is `Γ x_t`. So `x_t` is the leading part of `H p_t`, in coordinates where its
//! covariance is I; and two regressions of `o_t` and `x_{t+1}` on `[x_t; u_t; 1]` give the rest. Missing values count
//! as their column's mean here.

use super::System;
use super::sequences::Sequences;
use crate::math::linear_algebra::{eigen, least_squares, symmetric};
use nalgebra::{DMatrix, DVector, SVD};

/// Least rows of a regression per unknown; with fewer, a shorter past is tried.
const ROWS_PER_UNKNOWN: usize = 5;

impl System {
    /// Initial values with `states` latent dimensions; none if the sequences are too short or not informative enough. The
    /// autoregression and the states look back further with each `attempt`, counted from 0: a slow system shows in a long past
    /// only, which more coefficients describe with more noise.
    pub fn by_subspace(
        sequences: &Sequences,
        observed: &[f64],
        inputs: &[f64],
        states: usize,
        attempt: u32,
    ) -> Option<Self> {
        let (o, u) = (sequences.outputs(), sequences.inputs());
        let width = o + u;
        let ahead = states.div_ceil(o) + 1;
        let ahead = ahead << (2 * attempt);
        let wanted = (2 * ahead).max(4);
        let rows = |past: usize| -> usize { sequences.lengths().iter().map(|n| n.saturating_sub(past)).sum() };
        let past = (ahead..=wanted)
            .rev()
            .find(|&past| rows(past) > ROWS_PER_UNKNOWN * (past * width + u + 1))?;
        let means: Vec<f64> = (0..o)
            .map(|j| mean_present(observed.iter().skip(j).step_by(o)))
            .collect();
        let value = |t: usize, j: usize| {
            let v = observed[t * o + j];
            if v.is_nan() { means[j] } else { v }
        };
        // Rows [p_t; u_t; 1] and targets o_t minus their means, for every t with a whole past, sequence after sequence.
        let count = rows(past);
        let mut regressors = DMatrix::zeros(past * width + u + 1, count);
        let mut targets = DMatrix::zeros(o, count);
        let mut continues = Vec::with_capacity(count);
        let mut start = 0;
        for &length in sequences.lengths() {
            for t in past..length {
                let (at, column) = (start + t, continues.len());
                for k in 0..past {
                    for j in 0..o {
                        regressors[(k * width + j, column)] = value(at - 1 - k, j) - means[j];
                    }
                    for j in 0..u {
                        regressors[(k * width + o + j, column)] = inputs[(at - 1 - k) * u + j];
                    }
                }
                for j in 0..u {
                    regressors[(past * width + j, column)] = inputs[at * u + j];
                }
                regressors[(past * width + u, column)] = 1.0;
                for j in 0..o {
                    targets[(j, column)] = value(at, j) - means[j];
                }
                continues.push(t + 1 < length);
            }
            start += length;
        }
        let phi = regress(&targets, &regressors).0; // [O, past·width + U + 1]
        let mut blocks = DMatrix::zeros(ahead * o, past * width);
        for i in 0..ahead {
            for j in 0..past - i {
                let block = phi.columns((i + j) * width, width);
                blocks.view_mut((i * o, j * width), (o, width)).copy_from(&block);
            }
        }
        let history = regressors.rows(0, past * width).into_owned();
        let centre = history.column_mean();
        let mut spread = &history * history.transpose() / count as f64;
        spread -= &centre * centre.transpose();
        let (v, e) = eigen(symmetric(spread));
        let largest = e.max();
        let root = |power: f64| {
            let scaled = e.map(|e| if e > 1e-10 * largest { e.powf(power) } else { 0.0 });
            &v * DMatrix::from_diagonal(&scaled) * v.transpose()
        };
        let weighted = blocks * root(0.5);
        if weighted.iter().any(|v| !v.is_finite()) {
            return None;
        }
        let svd = SVD::new(weighted, false, true);
        let right = svd.v_t?;
        if svd.singular_values.len() < states || svd.singular_values[states - 1] <= 0.0 {
            return None;
        }
        let map = right.rows(0, states) * root(-0.5); // [X, past·width]
        let mut x = &map * history;
        let shift = map * centre;
        x.column_iter_mut().for_each(|mut column| column -= &shift);
        // [x_t; u_t; 1].
        let mut state = DMatrix::zeros(states + u + 1, count);
        state.rows_mut(0, states).copy_from(&x);
        state
            .rows_mut(states, u + 1)
            .copy_from(&regressors.rows(past * width, u + 1));
        let (emission, emission_noise) = regress(&targets, &state);
        let from: Vec<usize> = (0..count).filter(|&i| continues[i]).collect();
        let to: Vec<usize> = from.iter().map(|i| i + 1).collect();
        let (transition, transition_noise) = regress(&x.select_columns(&to), &state.select_columns(&from));
        let floor = |noise: DMatrix<f64>, scale: f64| &noise + DMatrix::identity(noise.nrows(), noise.nrows()) * scale;
        let emission_scale = 1e-6 * emission_noise.trace().max(f64::MIN_POSITIVE) / o as f64;
        let mut system = Self {
            initial_mean: DVector::zeros(states),
            initial_covariance: DMatrix::identity(states, states),
            transition: transition.columns(0, states).into_owned(),
            transition_input: transition.columns(states, u).into_owned(),
            transition_offset: transition.column(states + u).into_owned(),
            transition_noise: floor(transition_noise, 1e-6),
            emission: emission.columns(0, states).into_owned(),
            emission_input: emission.columns(states, u).into_owned(),
            emission_offset: emission.column(states + u) + DVector::from_vec(means),
            emission_noise: floor(emission_noise, emission_scale),
        };
        system.shift_offset_away();
        system.check().is_ok().then_some(system)
    }

    /// Moves the latent origin to the fixed point of the dynamics without input, so that b = 0, and adjusts d. Nothing
    /// changes if there is no fixed point.
    fn shift_offset_away(&mut self) {
        let x = self.states();
        let rest = DMatrix::identity(x, x) - &self.transition;
        let Some(place) = rest.lu().solve(&self.transition_offset) else {
            return;
        };
        if place.iter().all(|v| v.abs() < 1e6) {
            self.transition_offset.fill(0.0);
            self.emission_offset += &self.emission * &place;
            self.initial_mean -= place;
        }
    }
}

/// Coefficients and residual covariance of targets `[Y, N]` on regressors `[Z, N]`.
fn regress(targets: &DMatrix<f64>, regressors: &DMatrix<f64>) -> (DMatrix<f64>, DMatrix<f64>) {
    let coefficients = least_squares(
        &(regressors * regressors.transpose()),
        &(regressors * targets.transpose()),
    );
    let residual = targets - &coefficients * regressors;
    let noise = symmetric(&residual * residual.transpose() / targets.ncols() as f64);
    (coefficients, noise)
}

fn mean_present<'a>(values: impl Iterator<Item = &'a f64>) -> f64 {
    let (sum, count) = values
        .filter(|v| !v.is_nan())
        .fold((0.0, 0), |(sum, n), v| (sum + v, n + 1));
    sum / f64::from(count.max(1))
}
