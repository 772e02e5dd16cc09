//! Mean functions that are linear in their coefficients: `f_t(x, u) = W φ(x, u, t)`.
//!
//! | name | φ(x, u, t) | coefficients |
//! |---|---|---|
//! | growth | `[x, x / (1 + x²), cos(1.2 t)]` | a, b, c |
//! | square | `[x²]` | d |
//! | formulas | the derivatives of formulas by their parameters, and what is left without parameters | the parameters |
//!
//! The first two together are the growth model of Netto, Gimeno & Mendes (1978) as in Schön, Wills & Ninness (2011, eq. 49).
//! To add a function, add a variant here and its line in the keys of the model.

use crate::math::formula::Formula;
use nalgebra::DMatrix;
use std::sync::Arc;

/// A function.
#[derive(Debug, Clone)]
pub enum Basis {
    /// `a x + b x / (1 + x²) + c cos(1.2 t)`, one-dimensional.
    Growth,
    /// `d x²`, one-dimensional.
    Square,
    /// Formulas of states, inputs and time.
    Formulas(Arc<Features>),
}

/// Formulas that are linear in their parameters, taken apart: `f_i = Σ_k p_k φ_k + φ_{P+i}`, where φ_k is the derivative of
/// the one formula that contains parameter k, and φ_{P+i} is formula i with all parameters 0.
#[derive(Debug)]
pub struct Features {
    states: usize,
    /// The formula that contains parameter k.
    owners: Vec<usize>,
    /// φ of `[x; u; t]` and parameters that are 0.
    features: Vec<Formula>,
    /// The numbers of parameters, which follow the states, the inputs and the time.
    parameters: usize,
}

/// Points at which derivatives by parameters are compared, to see whether a formula is linear in them.
const PROBES: usize = 24;

impl Features {
    /// The formulas `texts` of `names`: states, inputs, the time, then `parameters` names of parameters.
    ///
    /// # Errors
    /// The number of the formula, and a text that says what is wrong with it.
    pub fn new(texts: &[String], names: &[String], states: usize, parameters: usize) -> Result<Self, (usize, String)> {
        let first = names.len() - parameters;
        let parsed: Vec<Formula> = (texts.iter().enumerate())
            .map(|(i, text)| Formula::parse(text, names).map_err(|error| (i, error)))
            .collect::<Result<_, _>>()?;
        let (mut owners, mut features) = (Vec::new(), Vec::new());
        for at in first..names.len() {
            let own: Vec<usize> = (0..parsed.len()).filter(|&i| parsed[i].contains(at)).collect();
            let name = &names[at];
            let owner = match own[..] {
                [] => return Err((0, format!("no formula contains the parameter `{name}`"))),
                [owner] => owner,
                [_, second, ..] => {
                    return Err((
                        second,
                        format!("the parameter `{name}` is in a formula before, too, so EM has no closed form"),
                    ));
                }
            };
            let feature = parsed[owner].derived(at, names).map_err(|error| (owner, error))?;
            let feature = feature.ok_or_else(|| (owner, format!("it has no derivative by `{name}`")))?;
            if !is_constant(&feature, first, parameters) {
                return Err((owner, format!("it is not linear in `{name}`, so EM has no closed form")));
            }
            owners.push(owner);
            features.push(feature);
        }
        features.extend(parsed);
        Ok(Self {
            states,
            owners,
            features,
            parameters,
        })
    }

    /// The formula that contains each parameter.
    pub fn owners(&self) -> &[usize] {
        &self.owners
    }

    /// The number of formulas.
    pub fn outputs(&self) -> usize {
        self.features.len() - self.parameters
    }

    /// `[x; u; t; 0 …]` of column `column` of `x` `[X, n]`.
    fn arguments(&self, t: usize, x: &[f64], u: &[f64], column: usize) -> Vec<f64> {
        let n = x.len() / self.states;
        let states = (0..self.states).map(|i| x[i * n + column]);
        let zeros = std::iter::repeat_n(0.0, self.parameters);
        states.chain(u.iter().copied()).chain([t as f64]).chain(zeros).collect()
    }
}

/// Whether a formula has the same values for all values of the `parameters`, which follow `first` other numbers.
fn is_constant(formula: &Formula, first: usize, parameters: usize) -> bool {
    // Numbers between 0.1 and 2, spread evenly by the golden ratio.
    let number = |i: usize| 0.1 + 1.9 * (0.5 + i as f64 * 0.618_033_988_749_894_9).fract();
    (0..PROBES).all(|probe| {
        let at = |shift: usize| -> Vec<f64> {
            let own = |i: usize| number(probe * (first + parameters) + i);
            let shifted = |i: usize| number(probe * (first + parameters) + i + shift) - 1.0;
            (0..first)
                .map(own)
                .chain((first..first + parameters).map(shifted))
                .collect()
        };
        let [a, b] = [formula.value(&at(0)), formula.value(&at(7))];
        (a - b).abs() <= 1e-9 * a.abs().max(1.0) || (a.is_nan() && b.is_nan())
    })
}

impl Basis {
    /// The number of basis functions, F.
    pub fn count(&self) -> usize {
        match self {
            Self::Growth => 3,
            Self::Square => 1,
            Self::Formulas(formulas) => formulas.features.len(),
        }
    }

    /// X, the dimensions of the latent state that it is a function of.
    pub fn states(&self) -> usize {
        match self {
            Self::Growth | Self::Square => 1,
            Self::Formulas(formulas) => formulas.states,
        }
    }

    /// φ(x, u, t) of the columns of `x` `[X, n]`, into `to` `[F, n]`.
    pub fn features(&self, t: usize, x: &[f64], u: &[f64], to: &mut [f64]) {
        let n = x.len() / self.states();
        match self {
            Self::Growth => {
                let (linear, rest) = to.split_at_mut(n);
                let (ratio, wave) = rest.split_at_mut(n);
                linear.copy_from_slice(x);
                ratio.iter_mut().zip(x).for_each(|(to, x)| *to = x / (1.0 + x * x));
                wave.fill((1.2 * t as f64).cos());
            }
            Self::Square => to.iter_mut().zip(x).for_each(|(to, x)| *to = x * x),
            Self::Formulas(formulas) => {
                for column in 0..n {
                    let arguments = formulas.arguments(t, x, u, column);
                    for (row, feature) in formulas.features.iter().enumerate() {
                        to[row * n + column] = feature.value(&arguments);
                    }
                }
            }
        }
    }

    /// ∂φ/∂x at `x` `[X]`. `[F, X]`
    pub fn jacobian(&self, t: usize, x: &[f64], u: &[f64]) -> DMatrix<f64> {
        match self {
            Self::Growth => {
                let x = x[0];
                let ratio = (1.0 - x * x) / (1.0 + x * x).powi(2);
                DMatrix::from_column_slice(3, 1, &[1.0, ratio, 0.0])
            }
            Self::Square => DMatrix::from_element(1, 1, 2.0 * x[0]),
            Self::Formulas(formulas) => {
                let arguments = formulas.arguments(t, x, u, 0);
                DMatrix::from_fn(formulas.features.len(), x.len(), |row, state| {
                    formulas.features[row].derivative(state, &arguments)
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(texts: &[&str]) -> Result<Features, (usize, String)> {
        let names: Vec<String> = ["x1", "x2", "u1", "t", "a", "b"].map(str::to_owned).to_vec();
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        Features::new(&texts, &names, 2, 2)
    }

    #[test]
    fn formulas_that_are_linear_in_their_parameters_are_taken_apart() {
        let formulas = parsed(&["x1 + a * sin(x2) + 0.1 * t", "x2 + b * (u1 - x2^3)"]).expect("formulas");
        assert_eq!((formulas.owners(), formulas.outputs()), (&[0, 1][..], 2));
        let basis = Basis::Formulas(Arc::new(formulas));
        let (x, u) = ([0.3, -0.7, 0.5, 1.1], [2.0]); // two columns
        let mut features = vec![0.0; basis.count() * 2];
        basis.features(3, &x, &u, &mut features);
        let expected = [
            0.5f64.sin(),
            1.1f64.sin(),
            2.0 - 0.125,
            2.0 - 1.331,
            0.3 + 0.3,
            -0.7 + 0.3,
            0.5,
            1.1,
        ];
        assert!(
            features.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12),
            "{features:?}"
        );
        let jacobian = basis.jacobian(3, &[0.3, 0.5], &u);
        let expected = DMatrix::from_row_slice(4, 2, &[0.0, 0.5f64.cos(), 0.0, -0.75, 1.0, 0.0, 0.0, 1.0]);
        assert!((jacobian - expected).amax() < 1e-12);
    }

    #[test]
    fn what_em_cannot_maximise_in_closed_form_is_refused() {
        for texts in [
            &["x1 + sin(a * x2)", "b * x2"][..],
            &["a * b * x1", "x2"],
            &["a * x1", "a * x2 + b"],
            &["a^2 * x1", "b * x2"],
            &["x1", "a * x2"],
        ] {
            assert!(parsed(texts).is_err(), "{texts:?}");
        }
    }
}
