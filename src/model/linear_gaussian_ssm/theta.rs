//! Conversion between a [`System`] and θ, a row of real numbers, including gradients.
//!
//! Vectors and matrices are stored directly. A covariance is L Lᵀ with a logarithm on the diagonal of L (full), or the
//! exponential of its `log_variances` (diagonal, spherical). θ omits parameters that are entirely fixed. If only single
//! entries are fixed, θ holds unused numbers for them.

use super::field::Field;
use super::settings::Settings;
use super::settings::blank;
use crate::math::kalman::{NoiseForm, System};
use nalgebra::{DMatrix, DVector};

/// Learnt variances start and stay above this, so that their logarithm is finite.
const LEAST_VARIANCE: f64 = 1e-300;

/// One parameter of θ.
pub(super) struct Slot {
    pub name: String,
    pub shape: Vec<usize>,
    field: Field,
}

impl Settings {
    /// The parameters of θ, by name.
    pub(super) fn slots(&self) -> Vec<Slot> {
        let mut slots = Vec::new();
        for field in Field::ALL {
            let rule = self.rule(field);
            let (rows, columns) = rule.fixed.shape();
            if !rule.fixed.iter().any(|v| v.is_nan()) {
                continue;
            }
            let (suffix, shape) = match (field.is_covariance(), rule.form) {
                (true, NoiseForm::Full) => (".factor", vec![rows, rows]),
                (true, NoiseForm::Diagonal) => (".log_variances", vec![rows]),
                (true, NoiseForm::Spherical) => (".log_variances", vec![1]),
                (false, _) if field.is_vector() => ("", vec![rows]),
                (false, _) => ("", vec![rows, columns]),
            };
            slots.push(Slot {
                name: format!("{}{suffix}", field.name()),
                shape,
                field,
            });
        }
        slots.sort_by(|a, b| a.name.cmp(&b.name));
        slots
    }

    /// θ of `system`, row-major.
    pub(super) fn encode(&self, system: &System) -> Vec<(Slot, Vec<f64>)> {
        let log = |v: f64| v.max(LEAST_VARIANCE).ln();
        let encode = |slot: Slot| {
            let values = slot.field.get(system);
            let row_major = |m: &DMatrix<f64>| m.transpose().as_slice().to_vec();
            let values = match (slot.field.is_covariance(), self.rule(slot.field).form) {
                (false, _) => row_major(&values),
                (true, NoiseForm::Diagonal) => values.diagonal().iter().map(|v| log(*v)).collect(),
                (true, NoiseForm::Spherical) => vec![log(values[(0, 0)])],
                (true, NoiseForm::Full) => {
                    // Rounding may make a tiny eigenvalue negative; the diagonal alone is always a covariance.
                    let factor = values.clone().cholesky().map(|cholesky| cholesky.l());
                    let mut l =
                        factor.unwrap_or_else(|| DMatrix::from_diagonal(&values.diagonal().map(|v| v.max(0.0).sqrt())));
                    for i in 0..l.nrows() {
                        l[(i, i)] = 0.5 * log(l[(i, i)].powi(2));
                    }
                    row_major(&l)
                }
            };
            (slot, values)
        };
        self.slots().into_iter().map(encode).collect()
    }

    /// The system of θ in one row.
    pub(super) fn decode(&self, flat: &[f64]) -> System {
        let mut system = blank(self.states, self.outputs, self.inputs);
        for field in Field::ALL {
            if !self.rule(field).fixed.iter().any(|v| v.is_nan()) {
                field.set(&mut system, self.rule(field).fixed.clone());
            }
        }
        let mut at = 0;
        for slot in self.slots() {
            let rule = self.rule(slot.field);
            let (rows, columns) = rule.fixed.shape();
            let count: usize = slot.shape.iter().product();
            let own = &flat[at..at + count];
            at += count;
            let values = match (slot.field.is_covariance(), rule.form) {
                (false, _) => DMatrix::from_row_slice(rows, columns, own),
                (true, NoiseForm::Full) => {
                    let l = factor(own, rows);
                    &l * l.transpose()
                }
                (true, _) => DMatrix::from_diagonal(&DVector::from_fn(rows, |i, _| own[i.min(count - 1)].exp())),
            };
            let values = values.zip_map(&rule.fixed, |v, fixed| if fixed.is_nan() { v } else { fixed });
            slot.field.set(&mut system, values);
        }
        system
    }

    /// The gradient in θ, in one row, from the gradient in the entries of the system.
    pub(super) fn pull_back(&self, flat: &[f64], system: &System, gradient: &System) -> Vec<f64> {
        let mut all = Vec::with_capacity(flat.len());
        for slot in self.slots() {
            let rule = self.rule(slot.field);
            let own = &flat[all.len()..all.len() + slot.shape.iter().product::<usize>()];
            let learnt = slot
                .field
                .get(gradient)
                .zip_map(&rule.fixed, |g, fixed| if fixed.is_nan() { g } else { 0.0 });
            let n = learnt.nrows();
            match (slot.field.is_covariance(), rule.form) {
                (false, _) => all.extend_from_slice(learnt.transpose().as_slice()),
                (true, NoiseForm::Full) => {
                    // dΣ = dL Lᵀ + L dLᵀ, so dF = 2 ⟨G L, dL⟩ on the lower triangle.
                    let l = factor(own, n);
                    let gradient = learnt * &l * 2.0;
                    for i in 0..n {
                        all.extend((0..n).map(|j| match j.cmp(&i) {
                            std::cmp::Ordering::Less => gradient[(i, j)],
                            std::cmp::Ordering::Equal => gradient[(i, i)] * l[(i, i)],
                            std::cmp::Ordering::Greater => 0.0,
                        }));
                    }
                }
                (true, form) => {
                    let variances = slot.field.get(system).diagonal();
                    let gradients = learnt.diagonal().component_mul(&variances);
                    match form {
                        NoiseForm::Spherical => all.push(gradients.sum()),
                        _ => all.extend(gradients.iter()),
                    }
                }
            }
        }
        all
    }
}

/// L from its row-major form with logarithms on the diagonal; entries above it are not used.
fn factor(values: &[f64], n: usize) -> DMatrix<f64> {
    DMatrix::from_fn(n, n, |i, j| match j.cmp(&i) {
        std::cmp::Ordering::Less => values[i * n + j],
        std::cmp::Ordering::Equal => values[i * n + i].exp(),
        std::cmp::Ordering::Greater => 0.0,
    })
}
