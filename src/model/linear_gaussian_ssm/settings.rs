//! Fixed and starting values of a system, and the faults of those that are not supported.

use super::field::Field;
use crate::data::Dataset;
use crate::error::Fault;
use crate::math::kalman::{Learning, Noise, NoiseForm, Regression, System, without_variance};
use crate::math::streams::Generator;
use nalgebra::{Cholesky, DMatrix, DVector};
use rand_distr::{Distribution, StandardNormal};

/// The settings of one parameter.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    /// Fixed values; NaN for learnt entries.
    pub fixed: DMatrix<f64>,
    start: Option<DMatrix<f64>>,
    pub form: NoiseForm,
}

/// The settings of every parameter, for X states, O outputs and U inputs.
#[derive(Debug, Clone)]
pub struct Settings {
    pub(super) states: usize,
    pub(super) outputs: usize,
    pub(super) inputs: usize,
    rules: Vec<Rule>,
}

impl Settings {
    /// Everything is learnt.
    pub fn new(states: usize, outputs: usize, inputs: usize) -> Self {
        let rule = |field: Field| {
            let (rows, columns) = field.shape(states, outputs, inputs);
            Rule {
                fixed: DMatrix::from_element(rows, columns, f64::NAN),
                start: None,
                form: NoiseForm::Full,
            }
        };
        Self {
            states,
            outputs,
            inputs,
            rules: Field::ALL.into_iter().map(rule).collect(),
        }
    }

    pub(super) fn rule(&self, field: Field) -> &Rule {
        &self.rules[field as usize]
    }

    /// Fixes the entries of `values` that are not NaN.
    pub fn fix(&mut self, field: Field, values: DMatrix<f64>) {
        self.rules[field as usize].fixed = values;
    }

    /// Sets the initial values.
    pub fn start(&mut self, field: Field, values: DMatrix<f64>) {
        self.rules[field as usize].start = Some(values);
    }

    /// Sets the form of a covariance.
    pub fn form(&mut self, field: Field, form: NoiseForm) {
        self.rules[field as usize].form = form;
    }

    /// A system that is valid except for `field`.
    pub fn probe(&self, field: Field, values: &DMatrix<f64>) -> System {
        let mut system = blank(self.states, self.outputs, self.inputs);
        field.set(&mut system, values.clone());
        system
    }

    /// The faults of covariances, at their keys.
    pub fn unsupported_noise(&self) -> Option<Fault> {
        let unsupported = |field: Field, message: String| {
            let expected = "values of the covariance's form, all or none of them fixed";
            let help = "single entries can be fixed (the others `nan`, 0 off the diagonal) with `form = \"diagonal\"`";
            Some(Fault::new(field.name(), message, expected, help))
        };
        for field in Field::ALL.into_iter().filter(|field| field.is_covariance()) {
            let Rule { fixed, start, form } = self.rule(field);
            let n = fixed.nrows();
            let learnt = fixed.iter().filter(|v| v.is_nan()).count();
            let all = |f: &dyn Fn(usize, usize) -> bool| (0..n).all(|i| (0..n).all(|j| f(i, j)));
            if learnt > 0 && learnt < n * n && *form != NoiseForm::Diagonal {
                return unsupported(field, "only some of its entries are fixed".into());
            }
            for values in std::iter::once(fixed).filter(|_| learnt < n * n).chain(start) {
                let fits = match form {
                    NoiseForm::Full => true,
                    NoiseForm::Diagonal => all(&|i, j| i == j || values[(i, j)] == 0.0),
                    NoiseForm::Spherical => all(&|i, j| {
                        if i == j {
                            values[(i, i)] == values[(0, 0)]
                        } else {
                            values[(i, j)] == 0.0
                        }
                    }),
                };
                if !fits {
                    return unsupported(field, format!("its values are not {form:?}").to_lowercase());
                }
            }
            let least = if field == Field::EmissionNoise {
                f64::MIN_POSITIVE
            } else {
                0.0
            };
            if fixed.diagonal().iter().any(|v| *v < least) {
                let message = "a variance is too small".to_owned();
                let expected = format!("variances {} 0", if least > 0.0 { "above" } else { "of at least" });
                return Some(Fault::new(field.name(), message, expected, "fix it at a larger value"));
            }
            if start
                .as_ref()
                .is_some_and(|start| Cholesky::new(start.clone()).is_none())
            {
                return Some(Fault::new(
                    format!("{}.start", field.name()),
                    "a learnt covariance must start positive definite",
                    "a positive definite matrix",
                    "start from larger variances or weaker correlations, or fix the entries without variance",
                ));
            }
        }
        None
    }

    /// The faults of learnt coefficients in directions without noise. There samples of the latents satisfy the
    /// equations of the old coefficients exactly, so neither an M-step nor the gradient of an expected log joint moves
    /// them.
    pub fn without_noise(&self) -> Option<Fault> {
        use Field::{InitialCovariance, InitialMean, Transition, TransitionInput, TransitionNoise, TransitionOffset};
        let regressions = [
            (InitialCovariance, &[InitialMean][..]),
            (TransitionNoise, &[Transition, TransitionInput, TransitionOffset]),
        ];
        for (noise, coefficients) in regressions {
            let certain = without_variance(&self.rule(noise).fixed);
            let is_learnt = |field: &Field, i: usize| self.rule(*field).fixed.row(i).iter().any(|v| v.is_nan());
            for field in coefficients {
                if let Some(i) = (0..self.states).find(|&i| certain[i] && is_learnt(field, i)) {
                    let (noise, name) = (noise.name(), field.name());
                    return Some(Fault::new(
                        format!("{noise}.fixed"),
                        format!(
                            "row {} (from 1) of `{name}` is learnt, but `{noise}` is zero in its direction",
                            i + 1
                        ),
                        "noise in every direction whose coefficients are learnt",
                        format!("fix this row of `{name}`, or give `{noise}` a small variance"),
                    ));
                }
            }
        }
        None
    }

    /// Whether the file says nothing of this parameter.
    pub(super) fn is_free(&self, field: Field) -> bool {
        let rule = self.rule(field);
        rule.start.is_none() && rule.form == NoiseForm::Full && rule.fixed.iter().all(|v| v.is_nan())
    }

    /// The dimensions of the changes of latent coordinates that give another valid θ: all invertible ones, or rotations where
    /// P₁ is fixed at a multiple of the identity.
    pub(super) fn free_coordinates(&self) -> usize {
        let fields = [
            Field::InitialMean,
            Field::Transition,
            Field::TransitionInput,
            Field::TransitionNoise,
            Field::Emission,
        ];
        let free = |field: Field| {
            let rule = self.rule(field);
            rule.fixed.iter().all(|v| v.is_nan()) && (!field.is_covariance() || rule.form == NoiseForm::Full)
        };
        let x = self.states;
        let initial = &self.rule(Field::InitialCovariance).fixed;
        match fields.into_iter().all(free) {
            true if free(Field::InitialCovariance) => x * x,
            true if *initial == DMatrix::identity(x, x) * initial[(0, 0)] => x * (x - 1) / 2,
            _ => 0,
        }
    }

    /// The parameters that the M-step may change.
    pub fn learning(&self) -> Learning {
        let free = |field: Field| self.rule(field).fixed.map(f64::is_nan);
        let noise = |field: Field| Noise {
            form: self.rule(field).form,
            free: free(field).diagonal().as_slice().to_vec(),
        };
        let beside = |fields: [Field; 3]| {
            let parts = fields.map(free);
            let columns = parts.iter().map(DMatrix::ncols).sum();
            let flat = parts.iter().flat_map(|part| part.as_slice().to_vec());
            DMatrix::from_iterator(parts[0].nrows(), columns, flat)
        };
        Learning {
            initial: Regression {
                free: free(Field::InitialMean),
                noise: noise(Field::InitialCovariance),
            },
            transition: Regression {
                free: beside([Field::Transition, Field::TransitionInput, Field::TransitionOffset]),
                noise: noise(Field::TransitionNoise),
            },
            emission: Regression {
                free: beside([Field::Emission, Field::EmissionInput, Field::EmissionOffset]),
                noise: noise(Field::EmissionNoise),
            },
        }
    }

    /// About the variance of the states: 1 where C is learnt, and that of the data in its units where it is fixed.
    pub(super) fn scale(&self, data: &Dataset) -> f64 {
        let fixed = &self.rule(Field::Emission).fixed;
        match fixed.iter().any(|v| v.is_nan()) {
            true => 1.0,
            false => scale(fixed, &moments(data)),
        }
    }

    /// Slow random dynamics that explain half of the variance of `data`.
    pub(super) fn random(&self, data: &Dataset, rng: &mut Generator) -> System {
        let (x, o, u) = (self.states, self.outputs, self.inputs);
        let mut normal = || -> f64 { StandardNormal.sample(rng) };
        let moments = moments(data);
        let mut system = blank(x, o, u);
        let rule = self.rule(Field::Emission);
        let emission = DMatrix::from_fn(o, x, |i, _| normal() * (moments[i].1 / x as f64).sqrt());
        system.emission = emission.zip_map(&rule.fixed, |random, fixed| if fixed.is_nan() { random } else { fixed });
        let scale = scale(&system.emission, &moments);
        let a = DMatrix::identity(x, x) + DMatrix::from_fn(x, x, |_, _| 0.3 * normal());
        system.transition = a;
        system.transition *= 0.95 / system.spectral_radius().max(1e-3);
        system.transition_input = DMatrix::from_fn(x, u, |_, _| 0.1 * scale.sqrt() * normal());
        system.transition_noise *= 0.1 * scale;
        system.initial_covariance *= scale;
        system.emission_offset = DVector::from_iterator(o, moments.iter().map(|m| m.0));
        system.emission_noise = DMatrix::from_diagonal(&DVector::from_iterator(o, moments.iter().map(|m| 0.5 * m.1)));
        system
    }

    /// Overwrites starting and fixed values in `system`, and brings its covariances into their forms.
    pub(super) fn overlay(&self, system: &mut System) {
        for field in Field::ALL {
            let rule = self.rule(field);
            let mut values = rule.start.clone().unwrap_or_else(|| field.get(system));
            if field.is_covariance() {
                let n = values.nrows();
                values = match rule.form {
                    NoiseForm::Full => values,
                    NoiseForm::Diagonal => DMatrix::from_diagonal(&values.diagonal()),
                    NoiseForm::Spherical => DMatrix::identity(n, n) * (values.trace() / n as f64),
                };
            }
            let values = values.zip_map(&rule.fixed, |v, fixed| if fixed.is_nan() { v } else { fixed });
            field.set(system, values);
        }
    }
}

/// Mean and variance of each observed column; 1 for one without variance.
fn moments(data: &Dataset) -> Vec<(f64, f64)> {
    let columns = data.moments(&data.observed).into_iter();
    columns
        .map(|column| column.unwrap_or((0.0, 0.0)))
        .map(|(mean, variance)| (mean, if variance > 0.0 { variance } else { 1.0 }))
        .collect()
}

/// The variance of the states for which `emission` explains the variance of the data.
fn scale(emission: &DMatrix<f64>, moments: &[(f64, f64)]) -> f64 {
    let square = emission.norm_squared();
    match square > 0.0 {
        true => moments.iter().map(|m| m.1).sum::<f64>() / square,
        false => 1.0,
    }
}

/// The default system: the identity for covariances, zero for the rest.
pub(super) fn blank(x: usize, o: usize, u: usize) -> System {
    System {
        initial_mean: DVector::zeros(x),
        initial_covariance: DMatrix::identity(x, x),
        transition: DMatrix::zeros(x, x),
        transition_input: DMatrix::zeros(x, u),
        transition_offset: DVector::zeros(x),
        transition_noise: DMatrix::identity(x, x),
        emission: DMatrix::zeros(o, x),
        emission_input: DMatrix::zeros(o, u),
        emission_offset: DVector::zeros(o),
        emission_noise: DMatrix::identity(o, o),
    }
}
