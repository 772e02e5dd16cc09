//! A linear-Gaussian state space (Kalman 1960; learning: Shumway & Stoffer 1982), for sequences with inputs and missing
//! values: `x_1 ~ N(m₁, P₁)`, `x_{t+1} = A x_t + B u_t + b + w`, `o_t = C x_t + D u_t + d + v`, `w ~ N(0, Q)`,
//! `v ~ N(0, R)`. This file is its table in an experiment file; the model is in `model`.
//!
//! Every parameter can have a starting value, be fixed, or be fixed entry by entry. The latent coordinates are free: a
//! system and its similarity transforms have the same likelihood.

mod field;
mod joint;
mod keys;
mod model;
mod settings;
mod theta;

pub(super) use joint::{Parametrisation, StateSpaceJoint, finite};
pub use keys::{CovarianceKeys, Entry, Form, MatrixKeys, VectorKeys};

use super::kind::{Abilities, LatentKind, MStep, ModelKind};
use super::{LikelihoodKind, Model};
use crate::data::file::Asked;
use crate::error::Fault;
use crate::kind::{Declared, Example};
use crate::math::kalman::NoiseForm;
use crate::{Error, Result, data::Dataset, data::source::Widths};
use field::Field;
use model::StateSpace;
use nalgebra::DMatrix;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use settings::Settings;

/// Where initial values come from, unless `start` or `fixed` gives them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InitialValues {
    /// Subspace identification from a long autoregression, in the second start from one four times as long; later starts are
    /// random.
    Subspace,
    /// Slow random dynamics that explain half of the data's variance.
    Random,
    /// The file gives all initial values.
    Given,
}

/// Keys of `kind = "linear_gaussian_ssm"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct LinearGaussianSsm {
    /// Dimensions of the latent state, X.
    #[schemars(range(min = 1, max = 256))]
    pub states: usize,
    /// Where initial values come from, unless `start` or `fixed` gives them. Without this key: `subspace`, or `random`
    /// if A, B, b or C has fixed or starting values (the latent coordinates are then not free) or the sequences are too
    /// short to identify a system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initial_values: Option<InitialValues>,
    /// m₁, `[X]`: `fixed` values are not learnt, except entries `nan`; `start` is the initial value.
    pub initial_mean: VectorKeys,
    /// P₁, `[X, X]`: `fixed` and `start` as lists of rows, `form` is `full`, `diagonal` or `spherical`. With one training
    /// sequence and none of these keys it is not learnt but held wide, at 10 times the variance of the states,
    /// because the likelihood of one first state is largest without any variance.
    pub initial_covariance: CovarianceKeys,
    /// A, `[X, X]`: `fixed` and `start` as lists of rows; entries `nan` of `fixed` are learnt.
    pub transition: MatrixKeys,
    /// B, `[X, U]`: `fixed` and `start` as lists of rows; entries `nan` of `fixed` are learnt.
    pub transition_input: MatrixKeys,
    /// b; fixed at zero without this key, because d has the same effect unless a latent drifts. `[X]`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transition_offset: Option<VectorKeys>,
    /// Q, `[X, X]`: `fixed`, `start` and `form`.
    pub transition_noise: CovarianceKeys,
    /// C, `[O, X]`: `fixed` and `start` as lists of rows; entries `nan` of `fixed` are learnt.
    pub emission: MatrixKeys,
    /// D, `[O, U]`: `fixed` and `start` as lists of rows; entries `nan` of `fixed` are learnt.
    pub emission_input: MatrixKeys,
    /// d, `[O]`: `fixed` and `start`.
    pub emission_offset: VectorKeys,
    /// R, `[O, O]`: `fixed`, `start` and `form`.
    pub emission_noise: CovarianceKeys,
}

impl Default for LinearGaussianSsm {
    fn default() -> Self {
        Self {
            states: 2,
            initial_values: None,
            initial_mean: VectorKeys::default(),
            initial_covariance: CovarianceKeys::default(),
            transition: MatrixKeys::default(),
            transition_input: MatrixKeys::default(),
            transition_offset: None,
            transition_noise: CovarianceKeys::default(),
            emission: MatrixKeys::default(),
            emission_input: MatrixKeys::default(),
            emission_offset: VectorKeys::default(),
            emission_noise: CovarianceKeys::default(),
        }
    }
}

/// One parameter of the file, as a matrix.
struct Given {
    field: Field,
    form: Option<Form>,
    fixed: Option<Vec<Vec<f64>>>,
    start: Option<Vec<Vec<f64>>>,
}

impl Given {
    /// Whether no entry is learnt.
    fn is_fixed(&self) -> bool {
        let fixed = self.fixed.as_ref();
        fixed.is_some_and(|rows| rows.iter().flatten().all(|v| !v.is_nan()))
    }

    /// The fault of a `start` that differs from a fixed entry.
    fn contradiction(&self) -> Option<Fault> {
        let (fixed, start) = (self.fixed.as_ref()?, self.start.as_ref()?);
        let mut pairs = fixed.iter().flatten().zip(start.iter().flatten());
        let (fixed, start) = pairs.find(|(fixed, start)| !fixed.is_nan() && fixed != start)?;
        Some(Fault::new(
            format!("{}.start", self.field.name()),
            format!("an entry that is fixed at {fixed} would start at {start}"),
            "the same values where both are given",
            "remove `start`, or write `nan` in `fixed` for learnt entries",
        ))
    }
}

impl LinearGaussianSsm {
    fn given(&self) -> [Given; 10] {
        let unwrap = |rows: &Option<Vec<Vec<Entry>>>| -> Option<Vec<Vec<f64>>> {
            let rows = rows.as_ref()?;
            Some(
                rows.iter()
                    .map(|row| row.iter().map(|entry| entry.0).collect())
                    .collect(),
            )
        };
        let vector = |field, keys: &VectorKeys| Given {
            field,
            form: None,
            fixed: keys
                .fixed
                .as_ref()
                .map(|fixed| fixed.iter().map(|v| vec![v.0]).collect()),
            start: keys
                .start
                .as_ref()
                .map(|start| start.iter().map(|v| vec![*v]).collect()),
        };
        let matrix = |field, keys: &MatrixKeys| Given {
            field,
            form: None,
            fixed: unwrap(&keys.fixed),
            start: keys.start.clone(),
        };
        let covariance = |field, keys: &CovarianceKeys| Given {
            field,
            form: Some(keys.form),
            fixed: unwrap(&keys.fixed),
            start: keys.start.clone(),
        };
        let zero = VectorKeys {
            fixed: Some(vec![Entry(0.0); self.states]),
            start: None,
        };
        [
            vector(Field::InitialMean, &self.initial_mean),
            covariance(Field::InitialCovariance, &self.initial_covariance),
            matrix(Field::Transition, &self.transition),
            matrix(Field::TransitionInput, &self.transition_input),
            vector(
                Field::TransitionOffset,
                self.transition_offset.as_ref().unwrap_or(&zero),
            ),
            covariance(Field::TransitionNoise, &self.transition_noise),
            matrix(Field::Emission, &self.emission),
            matrix(Field::EmissionInput, &self.emission_input),
            vector(Field::EmissionOffset, &self.emission_offset),
            covariance(Field::EmissionNoise, &self.emission_noise),
        ]
    }

    /// Where initial values come from.
    fn source(&self) -> InitialValues {
        self.initial_values.unwrap_or(if self.has_coordinates() {
            InitialValues::Random
        } else {
            InitialValues::Subspace
        })
    }

    /// Whether the file gives values in latent coordinates, which subspace identification cannot use.
    fn has_coordinates(&self) -> bool {
        let offset = self.transition_offset.as_ref();
        [&self.transition, &self.transition_input, &self.emission]
            .iter()
            .any(|keys| keys.fixed.is_some() || keys.start.is_some())
            || offset.is_some_and(|keys| keys.fixed.is_some() || keys.start.is_some())
    }

    /// Whether every learnt value has a start in the file.
    pub fn gives_all_initial_values(&self) -> bool {
        let all = || {
            let mut given = self.given().into_iter();
            given.all(|given| given.start.is_some() || given.is_fixed())
        };
        self.initial_values == Some(InitialValues::Given) || all()
    }

    /// Whether any parameter of p(x_1) and p(x_{t+1} | x_t, u_t) is learnt.
    pub fn learns_dynamics(&self) -> bool {
        // The first six parameters are those of the initial state and of the transition.
        self.given()[..6].iter().any(|given| !given.is_fixed())
    }

    /// Whether R is fixed.
    pub fn knows_emission_noise(&self) -> bool {
        let fixed = self.emission_noise.fixed.as_ref();
        fixed.is_some_and(|rows| rows.iter().flatten().all(|entry| !entry.0.is_nan()))
    }

    /// The faults for data with these numbers of columns.
    pub fn check(&self, widths: Widths) -> Vec<Fault> {
        let mut faults = Vec::new();
        let settings = match self.settings(widths) {
            Ok(settings) => settings,
            Err(fault) => return vec![fault],
        };
        if self.initial_values == Some(InitialValues::Subspace) && self.has_coordinates() {
            faults.push(Fault::new(
                "initial_values",
                "subspace identification chooses its own latent coordinates: fixed or starting values of A, B, b \
                 and C do not apply to them",
                "`initial_values = \"random\"` or `\"given\"`",
                "or leave these values out",
            ));
        }
        if self.source() == InitialValues::Given {
            for given in self.given() {
                let (rows, columns) = given.field.shape(self.states, widths.observed, widths.given);
                let learnt = given
                    .fixed
                    .as_ref()
                    .is_none_or(|f| f.iter().flatten().any(|v| v.is_nan()));
                if learnt && given.start.is_none() && rows * columns > 0 {
                    faults.push(Fault::new(
                        given.field.name(),
                        format!("`{}` is learnt and has no initial value", given.field.name()),
                        "`start` beside `initial_values = \"given\"`",
                        format!("add `{}.start = …`, or fix it", given.field.name()),
                    ));
                }
            }
        }
        faults.extend(self.given().iter().filter_map(Given::contradiction));
        faults.extend(settings.unsupported_noise().or_else(|| settings.without_noise()));
        faults
    }

    /// Fixed and starting values, for data with these numbers of columns.
    fn settings(&self, widths: Widths) -> std::result::Result<Settings, Fault> {
        let (x, o, u) = (self.states, widths.observed, widths.given);
        let mut settings = Settings::new(x, o, u);
        for given in self.given() {
            let (rows, columns) = given.field.shape(x, o, u);
            for (key, values) in [("fixed", &given.fixed), ("start", &given.start)] {
                let Some(values) = values else { continue };
                if values.len() != rows || values.iter().any(|row| row.len() != columns) {
                    let came: Vec<usize> = values.iter().map(Vec::len).collect();
                    return Err(Fault::new(
                        format!("{}.{key}", given.field.name()),
                        format!("rows of {came:?} numbers do not fit {x} states, {o} observed columns and {u} inputs"),
                        format!("{rows} rows of {columns}"),
                        "a matrix is a list of rows, a vector a list of numbers",
                    ));
                }
                let matrix = DMatrix::from_fn(rows, columns, |i, j| values[i][j]);
                if let Some(bad) = matrix
                    .iter()
                    .find(|v| v.is_infinite() || (key == "start" && v.is_nan()))
                {
                    return Err(Fault::new(
                        format!("{}.{key}", given.field.name()),
                        format!("it holds {bad}"),
                        "finite numbers (`nan` in `fixed` for learnt entries)",
                        "check the values",
                    ));
                }
                let whole = !matrix.iter().any(|v| v.is_nan());
                if given.form.is_some() && whole {
                    let probe = settings.probe(given.field, &matrix);
                    probe.check().map_err(|error| {
                        Fault::new(
                            format!("{}.{key}", given.field.name()),
                            error.to_string(),
                            "a covariance",
                            "covariances are symmetric, and no direction has a negative variance",
                        )
                    })?;
                }
                match key {
                    "fixed" => settings.fix(given.field, matrix),
                    _ => settings.start(given.field, matrix),
                }
            }
            if let Some(form) = given.form {
                let form = match form {
                    Form::Full => NoiseForm::Full,
                    Form::Diagonal => NoiseForm::Diagonal,
                    Form::Spherical => NoiseForm::Spherical,
                };
                settings.form(given.field, form);
            }
        }
        Ok(settings)
    }

    /// The model for sequences like `train`.
    pub fn build(&self, train: &Dataset) -> Result<StateSpace> {
        let widths = Widths {
            observed: train.observed.columns(),
            given: train.given.as_ref().map_or(0, |inputs| inputs.columns()),
            image: None,
        };
        let settings = self.settings(widths).map_err(|fault| Error::Other(fault.to_string()))?;
        StateSpace::new(settings, self.source(), self.initial_values.is_some(), train)
    }
}

impl Declared for LinearGaussianSsm {
    const NAME: &'static str = "linear_gaussian_ssm";
    const SUMMARY: &'static str = "A linear-Gaussian state space: x_{t+1} = A x_t + B u_t + b + w, o_t = C x_t + D u_t + d + v, for sequences with \
         missing values.";
    const EQUATION: &'static str = "log p(o, x | u) = log N(x_1; m₁, P₁) + Σ_t log N(x_{t+1}; A x_t + B u_t + b, Q) \
         + Σ_t log N(o_t; C x_t + D u_t + d, R)";
    const EXAMPLE: Example<'static> = Example {
        data: "source = \"lgssm\"\ntrain = 200",
        model: "kind = \"linear_gaussian_ssm\"",
        ..Example::USUAL
    };
}

impl ModelKind for LinearGaussianSsm {
    fn abilities(&self) -> Abilities {
        let asked = match self.knows_emission_noise() {
            true => Asked::Anything,
            false => Asked::Varying,
        };
        Abilities {
            density: true,
            states: Some(self.states),
            exact_likelihood: true,
            exact_posterior: true,
            state_space: true,
            m_step: MStep::AnyPosterior,
            has_one_start: self.gives_all_initial_values(),
            learns_prior: self.learns_dynamics(),
            ..Abilities::none(LatentKind::Trajectory, asked)
        }
    }

    fn likelihood(&self, _is_given: bool) -> LikelihoodKind {
        LikelihoodKind::Exact
    }

    fn check(&self, widths: Widths) -> Vec<Fault> {
        Self::check(self, widths)
    }

    fn build(&self, train: &Dataset) -> Result<Box<dyn Model>> {
        Ok(Box::new(Self::build(self, train)?))
    }
}
