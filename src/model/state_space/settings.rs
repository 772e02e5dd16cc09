//! What of a system is fixed, where the rest starts, and how θ says it: between [`System`] and a row of real numbers.

use crate::data::Dataset;
use crate::error::Fault;
use crate::math::kalman::{Learning, Noise, NoiseForm, Regression, System, without_variance};
use crate::math::streams::Generator;
use crate::model::linear_gaussian_ssm::blank;
use nalgebra::{Cholesky, DMatrix, DVector};
use rand_distr::{Distribution, StandardNormal};

/// Learnt variances start and stay above this, so that their logarithm is finite.
const LEAST_VARIANCE: f64 = 1e-300;

/// One parameter of a system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// m₁.
    InitialMean,
    /// P₁.
    InitialCovariance,
    /// A.
    Transition,
    /// B.
    TransitionInput,
    /// b.
    TransitionOffset,
    /// Q.
    TransitionNoise,
    /// C.
    Emission,
    /// D.
    EmissionInput,
    /// d.
    EmissionOffset,
    /// R.
    EmissionNoise,
}

impl Field {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::InitialMean,
        Self::InitialCovariance,
        Self::Transition,
        Self::TransitionInput,
        Self::TransitionOffset,
        Self::TransitionNoise,
        Self::Emission,
        Self::EmissionInput,
        Self::EmissionOffset,
        Self::EmissionNoise,
    ];

    /// Its name in files and records.
    pub fn name(self) -> &'static str {
        match self {
            Self::InitialMean => "initial_mean",
            Self::InitialCovariance => "initial_covariance",
            Self::Transition => "transition",
            Self::TransitionInput => "transition_input",
            Self::TransitionOffset => "transition_offset",
            Self::TransitionNoise => "transition_noise",
            Self::Emission => "emission",
            Self::EmissionInput => "emission_input",
            Self::EmissionOffset => "emission_offset",
            Self::EmissionNoise => "emission_noise",
        }
    }

    /// Rows and columns with these numbers of states, outputs and inputs.
    pub fn shape(self, x: usize, o: usize, u: usize) -> (usize, usize) {
        match self {
            Self::InitialMean | Self::TransitionOffset => (x, 1),
            Self::InitialCovariance | Self::Transition | Self::TransitionNoise => (x, x),
            Self::TransitionInput => (x, u),
            Self::Emission => (o, x),
            Self::EmissionInput => (o, u),
            Self::EmissionOffset => (o, 1),
            Self::EmissionNoise => (o, o),
        }
    }

    pub(super) fn is_vector(self) -> bool {
        matches!(self, Self::InitialMean | Self::TransitionOffset | Self::EmissionOffset)
    }

    fn is_covariance(self) -> bool {
        matches!(
            self,
            Self::InitialCovariance | Self::TransitionNoise | Self::EmissionNoise
        )
    }

    /// Its values; a vector as a column.
    pub(super) fn get(self, system: &System) -> DMatrix<f64> {
        let column = |vector: &DVector<f64>| DMatrix::from_column_slice(vector.len(), 1, vector.as_slice());
        match self {
            Self::InitialMean => column(&system.initial_mean),
            Self::InitialCovariance => system.initial_covariance.clone(),
            Self::Transition => system.transition.clone(),
            Self::TransitionInput => system.transition_input.clone(),
            Self::TransitionOffset => column(&system.transition_offset),
            Self::TransitionNoise => system.transition_noise.clone(),
            Self::Emission => system.emission.clone(),
            Self::EmissionInput => system.emission_input.clone(),
            Self::EmissionOffset => column(&system.emission_offset),
            Self::EmissionNoise => system.emission_noise.clone(),
        }
    }

    fn set(self, system: &mut System, values: DMatrix<f64>) {
        let vector = |values: DMatrix<f64>| values.column(0).into_owned();
        match self {
            Self::InitialMean => system.initial_mean = vector(values),
            Self::InitialCovariance => system.initial_covariance = values,
            Self::Transition => system.transition = values,
            Self::TransitionInput => system.transition_input = values,
            Self::TransitionOffset => system.transition_offset = vector(values),
            Self::TransitionNoise => system.transition_noise = values,
            Self::Emission => system.emission = values,
            Self::EmissionInput => system.emission_input = values,
            Self::EmissionOffset => system.emission_offset = vector(values),
            Self::EmissionNoise => system.emission_noise = values,
        }
    }
}

/// What is said of one parameter.
#[derive(Debug, Clone)]
struct Rule {
    /// What is not learnt; NaN where it is.
    fixed: DMatrix<f64>,
    start: Option<DMatrix<f64>>,
    form: NoiseForm,
}

/// What is said of every parameter, for X states, O outputs and U inputs.
#[derive(Debug, Clone)]
pub struct Settings {
    pub(super) states: usize,
    outputs: usize,
    inputs: usize,
    rules: Vec<Rule>,
}

/// One parameter of θ.
pub(super) struct Slot {
    pub name: String,
    pub shape: Vec<usize>,
    field: Field,
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

    fn rule(&self, field: Field) -> &Rule {
        &self.rules[field as usize]
    }

    /// Fixes the entries of `values` that are not NaN.
    pub fn fix(&mut self, field: Field, values: DMatrix<f64>) {
        self.rules[field as usize].fixed = values;
    }

    /// Learning starts here.
    pub fn start(&mut self, field: Field, values: DMatrix<f64>) {
        self.rules[field as usize].start = Some(values);
    }

    /// The form of a covariance.
    pub fn form(&mut self, field: Field, form: NoiseForm) {
        self.rules[field as usize].form = form;
    }

    /// A lawful system but for `field`.
    pub fn probe(&self, field: Field, values: &DMatrix<f64>) -> System {
        let mut system = blank(self.states, self.outputs, self.inputs);
        field.set(&mut system, values.clone());
        system
    }

    /// What is said of a covariance that cannot be honoured: a fault at its key.
    pub fn unlawful_noise(&self) -> Option<Fault> {
        let unlawful = |field: Field, message: String| {
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
                return unlawful(field, "only some of its entries are fixed".into());
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
                    return unlawful(field, format!("its values are not {form:?}").to_lowercase());
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
                    "a learnt covariance starts positive in every direction",
                    "a positive definite matrix",
                    "start from larger variances or weaker correlations, or fix what has no variance",
                ));
            }
        }
        None
    }

    /// Coefficients to be learnt in directions that have no noise. There a guess of the latents holds for the old
    /// coefficients alone, so neither an M-step nor the gradient of an expected log joint moves them.
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
                            "row {} (from 1) of `{name}` is learnt, but `{noise}` leaves its direction no noise",
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

    /// Whether any invertible change of latent coordinates leads to another θ.
    pub(super) fn has_free_coordinates(&self) -> bool {
        let fields = [
            Field::InitialMean,
            Field::InitialCovariance,
            Field::Transition,
            Field::TransitionInput,
            Field::TransitionNoise,
            Field::Emission,
        ];
        let free = |field: Field| {
            let rule = self.rule(field);
            rule.fixed.iter().all(|v| v.is_nan()) && (!field.is_covariance() || rule.form == NoiseForm::Full)
        };
        fields.into_iter().all(free)
    }

    /// What the M-step may change.
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

    /// Slow random dynamics that explain half of the variance of `data`.
    pub(super) fn random(&self, data: &Dataset, rng: &mut Generator) -> System {
        let (x, o, u) = (self.states, self.outputs, self.inputs);
        let mut normal = || -> f64 { StandardNormal.sample(rng) };
        let moments: Vec<(f64, f64)> = (0..o)
            .map(|j| {
                let present: Vec<f64> = data.observed.column(j).filter(|v| !v.is_nan()).collect();
                let n = present.len().max(1) as f64;
                let mean = present.iter().sum::<f64>() / n;
                let variance = present.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
                (mean, if variance > 0.0 { variance } else { 1.0 })
            })
            .collect();
        let mut system = blank(x, o, u);
        let rule = self.rule(Field::Emission);
        let emission = DMatrix::from_fn(o, x, |i, _| normal() * (moments[i].1 / x as f64).sqrt());
        system.emission = emission.zip_map(&rule.fixed, |random, fixed| if fixed.is_nan() { random } else { fixed });
        // Where C is fixed, the latent has the data's scale.
        let variance = moments.iter().map(|m| m.1).sum::<f64>() / o as f64;
        let square = system.emission.norm_squared() / o as f64;
        let scale = if square > 0.0 { variance / square } else { 1.0 };
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

    /// Writes over `system` what starts elsewhere or is fixed, and brings its covariances into their forms.
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
                    // Rounding may have taken a tiny eigenvalue: the diagonal alone is a covariance in any case.
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

    /// The system that θ, in one row, says.
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

    /// The gradient in θ, in one row, of what has the gradient `gradient` in the entries of the system.
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
                    let slope = learnt * &l * 2.0;
                    for i in 0..n {
                        all.extend((0..n).map(|j| match j.cmp(&i) {
                            std::cmp::Ordering::Less => slope[(i, j)],
                            std::cmp::Ordering::Equal => slope[(i, i)] * l[(i, i)],
                            std::cmp::Ordering::Greater => 0.0,
                        }));
                    }
                }
                (true, form) => {
                    let variances = slot.field.get(system).diagonal();
                    let slopes = learnt.diagonal().component_mul(&variances);
                    match form {
                        NoiseForm::Spherical => all.push(slopes.sum()),
                        _ => all.extend(slopes.iter()),
                    }
                }
            }
        }
        all
    }
}

/// L from its row-major form with logarithms on the diagonal; what stands above it is not used.
fn factor(values: &[f64], n: usize) -> DMatrix<f64> {
    DMatrix::from_fn(n, n, |i, j| match j.cmp(&i) {
        std::cmp::Ordering::Less => values[i * n + j],
        std::cmp::Ordering::Equal => values[i * n + i].exp(),
        std::cmp::Ordering::Greater => 0.0,
    })
}
