//! Oracles: the dense joint Gaussian of a whole sequence, with missing entries removed; finite differences; moments of
//! draws; the plain recursion without sharing.

mod inference;
mod learning;

use super::*;
use crate::math::LN_2PI;
use crate::math::linear_algebra::{cholesky, inverse_lower};
use crate::math::streams::Streams;
use nalgebra::{DMatrix, DVector};
use rand::{Rng, RngExt};
use rand_distr::{Distribution, StandardNormal};

pub(in crate::math) fn normal(rng: &mut dyn Rng) -> f64 {
    StandardNormal.sample(rng)
}

fn random_matrix(rows: usize, columns: usize, scale: f64, rng: &mut dyn Rng) -> DMatrix<f64> {
    DMatrix::from_fn(rows, columns, |_, _| scale * normal(rng))
}

fn random_covariance(size: usize, scale: f64, rng: &mut dyn Rng) -> DMatrix<f64> {
    let root = random_matrix(size, size, scale, rng);
    &root * root.transpose() + DMatrix::identity(size, size) * (0.3 * scale * scale)
}

pub(in crate::math) fn random_system(x: usize, o: usize, u: usize, rng: &mut dyn Rng) -> System {
    let a = random_matrix(x, x, 1.0, rng);
    let system = System {
        initial_mean: random_matrix(x, 1, 1.0, rng).column(0).into_owned(),
        initial_covariance: random_covariance(x, 1.0, rng),
        transition: a,
        transition_input: random_matrix(x, u, 0.7, rng),
        transition_offset: random_matrix(x, 1, 0.3, rng).column(0).into_owned(),
        transition_noise: random_covariance(x, 0.5, rng),
        emission: random_matrix(o, x, 1.0, rng),
        emission_input: random_matrix(o, u, 0.5, rng),
        emission_offset: random_matrix(o, 1, 1.0, rng).column(0).into_owned(),
        emission_noise: random_covariance(o, 0.6, rng),
    };
    let radius = system.spectral_radius();
    System {
        transition: &system.transition * (0.9 / radius),
        ..system
    }
}

/// Observations and inputs of one draw, row-major over all sequences.
pub(in crate::math) struct Data {
    observed: Vec<f64>,
    inputs: Vec<f64>,
    lengths: Vec<usize>,
}

impl Data {
    pub fn sequences(&self, system: &System) -> Sequences {
        Sequences::new(
            &self.observed,
            system.outputs(),
            &self.inputs,
            system.inputs(),
            &self.lengths,
        )
        .expect("sequences")
    }
}

pub(in crate::math) fn simulate(system: &System, lengths: &[usize], missing: f64, rng: &mut dyn Rng) -> Data {
    let (mut observed, mut inputs) = (Vec::new(), Vec::new());
    let draw = |covariance: &DMatrix<f64>, rng: &mut dyn Rng| {
        let l = cholesky(covariance.clone()).expect("positive definite");
        l * DVector::from_fn(covariance.nrows(), |_, _| normal(rng))
    };
    for &length in lengths {
        let mut x = &system.initial_mean + draw(&system.initial_covariance, rng);
        for _ in 0..length {
            let u = DVector::from_fn(system.inputs(), |_, _| normal(rng));
            let noise = draw(&system.emission_noise, rng);
            let o = &system.emission * &x + &system.emission_input * &u + &system.emission_offset + noise;
            let whole = rng.random::<f64>() < missing / 2.0;
            observed.extend(o.iter().map(|o| {
                if whole || rng.random::<f64>() < missing {
                    f64::NAN
                } else {
                    *o
                }
            }));
            inputs.extend(u.iter());
            let noise = draw(&system.transition_noise, rng);
            x = &system.transition * &x + &system.transition_input * &u + &system.transition_offset + noise;
        }
    }
    Data {
        observed,
        inputs,
        lengths: lengths.to_vec(),
    }
}

/// Mean and covariance of x_1 … x_T and the observed entries of o_1 … o_T, stacked: `x = F⁻¹ (drive + noise)`,
/// `o = C x + …`.
struct Dense {
    mean: DVector<f64>,
    covariance: DMatrix<f64>,
    values: DVector<f64>,
    latent: usize,
}

fn dense(system: &System, observed: &[f64], inputs: &[f64]) -> Dense {
    let (x, o, u) = (system.states(), system.outputs(), system.inputs());
    let steps = observed.len() / o;
    let n = steps * x;
    let mut shift = DMatrix::identity(n, n);
    let mut drive = DVector::zeros(n);
    let mut noise = DMatrix::zeros(n, n);
    drive.rows_mut(0, x).copy_from(&system.initial_mean);
    noise.view_mut((0, 0), (x, x)).copy_from(&system.initial_covariance);
    for t in 1..steps {
        let input = DVector::from_column_slice(&inputs[(t - 1) * u..t * u]);
        shift
            .view_mut((t * x, (t - 1) * x), (x, x))
            .copy_from(&-&system.transition);
        let push = &system.transition_input * input + &system.transition_offset;
        drive.rows_mut(t * x, x).copy_from(&push);
        noise
            .view_mut((t * x, t * x), (x, x))
            .copy_from(&system.transition_noise);
    }
    let inverse = shift.try_inverse().expect("unit lower triangular");
    let mean = &inverse * drive;
    let covariance = &inverse * noise * inverse.transpose();
    let mut emission = DMatrix::zeros(steps * o, n);
    let mut extra = DMatrix::zeros(steps * o, steps * o);
    let mut offset = DVector::zeros(steps * o);
    for t in 0..steps {
        let input = DVector::from_column_slice(&inputs[t * u..(t + 1) * u]);
        emission.view_mut((t * o, t * x), (o, x)).copy_from(&system.emission);
        extra.view_mut((t * o, t * o), (o, o)).copy_from(&system.emission_noise);
        offset
            .rows_mut(t * o, o)
            .copy_from(&(&system.emission_input * input + &system.emission_offset));
    }
    let present: Vec<usize> = (0..steps * o).filter(|&i| !observed[i].is_nan()).collect();
    let (emission, extra) = (
        emission.select_rows(&present),
        extra.select_rows(&present).select_columns(&present),
    );
    let (k, cross) = (present.len(), &emission * &covariance);
    let mut all = DMatrix::zeros(n + k, n + k);
    all.view_mut((0, 0), (n, n)).copy_from(&covariance);
    all.view_mut((n, 0), (k, n)).copy_from(&cross);
    all.view_mut((0, n), (n, k)).copy_from(&cross.transpose());
    all.view_mut((n, n), (k, k))
        .copy_from(&(&cross * emission.transpose() + extra));
    let mut means = DVector::zeros(n + k);
    means.rows_mut(0, n).copy_from(&mean);
    means
        .rows_mut(n, k)
        .copy_from(&(&emission * &mean + offset.select_rows(&present)));
    Dense {
        mean: means,
        covariance: all,
        values: DVector::from_iterator(k, present.iter().map(|&i| observed[i])),
        latent: n,
    }
}

impl Dense {
    fn log_likelihood(&self) -> f64 {
        let (n, k) = (self.latent, self.values.len());
        let l = cholesky(self.covariance.view((n, n), (k, k)).into_owned()).expect("positive definite");
        let e = inverse_lower(&l) * (&self.values - self.mean.rows(n, k));
        -0.5 * (e.norm_squared() + k as f64 * LN_2PI) - l.diagonal().map(f64::ln).sum()
    }

    /// Mean and covariance of all latents given the observed.
    fn posterior(&self) -> (DVector<f64>, DMatrix<f64>) {
        let (n, k) = (self.latent, self.values.len());
        let l = cholesky(self.covariance.view((n, n), (k, k)).into_owned()).expect("positive definite");
        let half = inverse_lower(&l) * self.covariance.view((n, 0), (k, n)); // [k, n]
        let e = inverse_lower(&l) * (&self.values - self.mean.rows(n, k));
        (
            self.mean.rows(0, n) + half.transpose() * e,
            self.covariance.view((0, 0), (n, n)) - half.transpose() * &half,
        )
    }
}

const SIZES: [(usize, usize, usize); 6] = [(1, 1, 0), (2, 1, 1), (3, 2, 2), (2, 4, 0), (4, 3, 1), (1, 3, 2)];
/// Beyond one vector.
const LARGE: (usize, usize, usize) = (9, 10, 1);

/// All `targets` × `regressors` entries and the whole noise are learnt.
pub fn everything(targets: usize, regressors: usize, form: NoiseForm) -> Regression {
    Regression {
        free: DMatrix::from_element(targets, regressors, true),
        noise: Noise {
            form,
            free: vec![true; targets],
        },
    }
}

fn expected_log_at(system: &System, sequences: &Sequences) -> Statistics {
    let filtered = Filtered::new(system, sequences).expect("a filter");
    Statistics::new(sequences, &filtered.smooth(), None).expect("statistics")
}
