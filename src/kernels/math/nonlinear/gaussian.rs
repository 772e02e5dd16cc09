//! Gaussian filters and smoothers of nonlinear systems: the recursions of Kalman with approximate moments.
//!
//! For a function y = f(x) + noise of x ~ N(m, P), a step uses only E[y], Cov(y) and D = Cov(x, y). Linearised at m
//! (extended Kalman; Jazwinski 1970) these are `f(m)`, `F P Fᵀ` and `P Fᵀ`; or they are sums over sigma points
//! (unscented Kalman; Julier & Uhlmann 1997, smoother: Särkkä 2008). Then
//!
//! - update: `K = D S⁻¹`, `m + K (o − E[o])`, `P − K S Kᵀ`, with `S = Cov(o)`;
//! - smooth: `J = D P'⁻¹`, `m + J (m̂_{t+1} − m'_{t+1})`, `P + J (P̂_{t+1} − P'_{t+1}) Jᵀ`.
//!
//! On a linear system both are exact. On others, the log-likelihood `Σ_t log N(o_t; E[o_t], S_t)` is an approximation
//! that may be above or below the true one.

use super::Dynamics;
use super::sigma::SigmaPoints;
use crate::math::LN_2PI;
use crate::math::kalman::{Beliefs, Sequences, Spread};
use crate::math::linear_algebra::{cholesky, clip_eigenvalues, eigen, inverse_lower, least_squares, symmetric};
use crate::{Error, Result};
use nalgebra::{DMatrix, DVector};
use std::f64::consts::{E, PI};

/// How moments are propagated through a function.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Approximation {
    /// By linearisation at the mean.
    Linearised,
    /// By sigma points.
    Unscented(SigmaPoints),
}

/// A mean function, its value at columns of states and its jacobian at one.
struct Function<'a> {
    outputs: usize,
    value: &'a dyn Fn(&[f64], &mut [f64]),
    jacobian: &'a dyn Fn(&[f64]) -> DMatrix<f64>,
}

/// E[y], Cov(y) without noise, and Cov(x, y).
struct Pushed {
    mean: DVector<f64>,
    covariance: DMatrix<f64>,
    cross: DMatrix<f64>,
}

impl Approximation {
    fn push(&self, mean: &DVector<f64>, covariance: &DMatrix<f64>, function: &Function) -> Pushed {
        let y = function.outputs;
        match self {
            Self::Linearised => {
                let mut value = DVector::zeros(y);
                (function.value)(mean.as_slice(), value.as_mut_slice());
                let cross = covariance * (function.jacobian)(mean.as_slice()).transpose();
                Pushed {
                    mean: value,
                    covariance: symmetric((function.jacobian)(mean.as_slice()) * &cross),
                    cross,
                }
            }
            Self::Unscented(rule) => {
                let points = rule.of(mean, covariance);
                let count = points.weights.len();
                let mut values = vec![0.0; y * count];
                (function.value)(&points.values, &mut values);
                let of = |table: &[f64], i: usize, k: usize| table[i * count + k];
                let sum = |f: &dyn Fn(usize) -> f64| (0..count).map(|k| points.weights[k] * f(k)).sum::<f64>();
                let pushed = DVector::from_fn(y, |i, _| sum(&|k| of(&values, i, k)));
                let off = |i: usize, k: usize| of(&values, i, k) - pushed[i];
                let second =
                    |i: usize, j: usize| sum(&|k| off(i, k) * off(j, k)) + points.surplus * off(i, 0) * off(j, 0);
                Pushed {
                    covariance: DMatrix::from_fn(y, y, second),
                    // At the central point x is at its mean.
                    cross: DMatrix::from_fn(mean.len(), y, |i, j| {
                        sum(&|k| (of(&points.values, i, k) - mean[i]) * off(j, k))
                    }),
                    mean: pushed,
                }
            }
        }
    }
}

/// One step of the filter.
#[derive(Debug)]
struct Step {
    /// E and Cov of x_t given o_1 … o_t.
    mean: DVector<f64>,
    covariance: DMatrix<f64>,
    /// E and Cov of x_{t+1} given o_1 … o_t, and Cov(x_t, x_{t+1}); none at the last step.
    next: Option<Pushed>,
}

impl std::fmt::Debug for Pushed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ± {}", self.mean, self.covariance)
    }
}

/// The results of a Gaussian filter for every sequence.
#[derive(Debug)]
pub struct GaussianFiltered<'a> {
    sequences: &'a Sequences,
    states: usize,
    /// By sequence.
    steps: Vec<Vec<Step>>,
    log_likelihood: Vec<f64>,
}

impl<'a> GaussianFiltered<'a> {
    /// Runs the filter.
    ///
    /// # Errors
    /// If the covariance of an observation is not positive definite, or a number is not finite.
    pub fn new(system: &dyn Dynamics, sequences: &'a Sequences, approximation: Approximation) -> Result<Self> {
        let mut all = Vec::with_capacity(sequences.count());
        let mut log_likelihood = Vec::with_capacity(sequences.count());
        for i in 0..sequences.count() {
            let (observed, inputs) = sequences.rows(i);
            let (steps, value) = filter(system, &observed, &inputs, sequences.lengths()[i], approximation)?;
            all.push(steps);
            log_likelihood.push(value);
        }
        Ok(Self {
            sequences,
            states: system.states(),
            steps: all,
            log_likelihood,
        })
    }

    /// The approximate log p(o_1 … o_T), of each sequence, in nats.
    pub fn log_likelihood(&self) -> &[f64] {
        &self.log_likelihood
    }

    /// E and Cov of x_t (from 0) of sequence `i`, given o_1 … o_t.
    pub fn filtered(&self, i: usize, t: usize) -> (&DVector<f64>, &DMatrix<f64>) {
        let step = &self.steps[i][t];
        (&step.mean, &step.covariance)
    }

    /// The smoother's beliefs, and their entropy by sequence, in nats. Deterministic directions are left out.
    pub fn smooth(&self) -> (Beliefs, Vec<f64>) {
        let mut means = Vec::with_capacity(self.steps.len());
        let mut spreads = Vec::with_capacity(self.steps.len());
        let mut entropies = Vec::with_capacity(self.steps.len());
        for steps in &self.steps {
            let x = self.states;
            let mut own = vec![0.0; steps.len() * x];
            let mut covariances = Vec::with_capacity(steps.len());
            let mut entropy = 0.0;
            let mut later: Option<(DVector<f64>, DMatrix<f64>)> = None;
            for (t, step) in steps.iter().enumerate().rev() {
                let (mean, covariance, lag) = match (&later, &step.next) {
                    (Some((mean, covariance)), Some(next)) => {
                        let j = gain(&next.cross, &next.covariance); // [X, X]
                        // Of x_t given x_{t+1}.
                        let rest = symmetric(&step.covariance - &j * &next.covariance * j.transpose());
                        let (rest, _) = clip_eigenvalues(rest, 0.0);
                        entropy += gaussian_entropy(&rest, &step.covariance);
                        let lag = covariance * j.transpose(); // Cov(x_{t+1}, x_t)
                        let spread = symmetric(rest + &j * &lag);
                        (&step.mean + &j * (mean - &next.mean), spread, lag)
                    }
                    _ => {
                        entropy += gaussian_entropy(&step.covariance, &step.covariance);
                        (step.mean.clone(), step.covariance.clone(), DMatrix::zeros(x, x))
                    }
                };
                own[t * x..(t + 1) * x].copy_from_slice(mean.as_slice());
                covariances.push(Spread {
                    covariance: covariance.clone(),
                    lag,
                });
                later = Some((mean, covariance));
            }
            covariances.reverse();
            means.push(own);
            spreads.push(covariances);
            entropies.push(entropy);
        }
        let beliefs = Beliefs::from_steps(self.sequences, self.states, &means, Some(spreads));
        (beliefs, entropies)
    }
}

fn filter(
    system: &dyn Dynamics,
    observed: &[f64],
    inputs: &[f64],
    length: usize,
    approximation: Approximation,
) -> Result<(Vec<Step>, f64)> {
    let (x, o, u) = (system.states(), system.outputs(), inputs.len() / length);
    let (mut mean, mut covariance) = (system.initial_mean(), system.initial_covariance().clone());
    let mut steps = Vec::with_capacity(length);
    let mut log_likelihood = 0.0;
    for t in 0..length {
        let (row, input) = (&observed[t * o..(t + 1) * o], &inputs[t * u..(t + 1) * u]);
        let present: Vec<usize> = (0..o).filter(|&j| !row[j].is_nan()).collect();
        if !present.is_empty() {
            let emission = Function {
                outputs: o,
                value: &|x, to| system.emission(t + 1, x, input, to),
                jacobian: &|x| system.emission_jacobian(t + 1, x, input),
            };
            let pushed = approximation.push(&mean, &covariance, &emission);
            let s = (pushed.covariance + system.emission_noise())
                .select_rows(&present)
                .select_columns(&present);
            let l = cholesky(s).ok_or_else(|| unusable(t))?;
            let whitening = inverse_lower(&l);
            let error = &whitening * DVector::from_fn(present.len(), |i, _| row[present[i]] - pushed.mean[present[i]]);
            let gain = pushed.cross.select_columns(&present) * whitening.transpose(); // D L⁻ᵀ
            mean += &gain * &error;
            let rest = symmetric(covariance - &gain * gain.transpose());
            covariance = clip_eigenvalues(rest, 0.0).0;
            let half_log_det: f64 = l.diagonal().iter().map(|d| d.ln()).sum();
            log_likelihood -= 0.5 * (error.norm_squared() + present.len() as f64 * LN_2PI) + half_log_det;
        }
        if !(log_likelihood.is_finite() && mean.iter().chain(covariance.iter()).all(|v| v.is_finite())) {
            return Err(unusable(t));
        }
        let next = (t + 1 < length).then(|| {
            let transition = Function {
                outputs: x,
                value: &|x, to| system.transition(t + 1, x, input, to),
                jacobian: &|x| system.transition_jacobian(t + 1, x, input),
            };
            let mut pushed = approximation.push(&mean, &covariance, &transition);
            pushed.covariance += system.transition_noise();
            pushed
        });
        let (after, spread) = match &next {
            Some(next) => (next.mean.clone(), next.covariance.clone()),
            None => (DVector::zeros(0), DMatrix::zeros(0, 0)),
        };
        steps.push(Step { mean, covariance, next });
        (mean, covariance) = (after, spread);
    }
    Ok((steps, log_likelihood))
}

fn unusable(t: usize) -> Error {
    Error::Other(format!(
        "step {} (from 1): the Gaussian approximation of the state broke down, its covariance is not positive definite or not \
         finite; start from other values, or choose the posterior `particle`",
        t + 1
    ))
}

/// `D P⁻¹`.
fn gain(cross: &DMatrix<f64>, covariance: &DMatrix<f64>) -> DMatrix<f64> {
    let factor =
        cholesky(covariance.clone()).filter(|l| (0..l.nrows()).all(|i| l[(i, i)].powi(2) > 1e-12 * covariance[(i, i)]));
    match factor {
        Some(l) => {
            let inverse = inverse_lower(&l);
            cross * inverse.transpose() * inverse
        }
        // Some direction of x_{t+1} is deterministic and carries no information.
        None => least_squares(covariance, &cross.transpose()),
    }
}

/// ½ log det 2πe Σ over the directions whose variance exceeds the rounding of `whole`.
fn gaussian_entropy(covariance: &DMatrix<f64>, whole: &DMatrix<f64>) -> f64 {
    let least = 1e-13 * whole.amax();
    let (_, eigenvalues) = eigen(covariance.clone());
    let spread = eigenvalues.iter().filter(|e| **e > least);
    spread.map(|e| 0.5 * (2.0 * PI * E * e).ln()).sum()
}
