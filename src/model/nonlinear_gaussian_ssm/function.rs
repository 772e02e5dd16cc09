//! A mean function of the model: its basis, and the names and values of its coefficients.

use super::super::linear_gaussian_ssm::VectorKeys;
use super::model::Entries;
use super::{Formulas, entries};
use crate::error::Fault;
use crate::math::formula::{FUNCTIONS, is_name};
use crate::math::nonlinear::{Basis, Features};
use std::sync::Arc;

/// A function of the state, the input and the time.
pub(super) struct Function {
    pub basis: Basis,
    /// The names of the parameters.
    parameters: Vec<String>,
    /// Where they start without a key.
    starts: Vec<f64>,
}

/// Whether learnt variances are reported by this name.
fn is_variance(name: &str) -> bool {
    let number = name.strip_prefix(['q', 'r']);
    number.is_some_and(|number| number.chars().all(|c| c.is_ascii_digit()))
}

impl Function {
    /// A function with a name, beside which formulas have no effect.
    pub fn named(table: &str, given: &Formulas, basis: Basis, coefficients: &[(&str, f64)]) -> Result<Self, Fault> {
        for (key, is_given) in [
            ("formulas", !given.formulas.is_empty()),
            ("parameters", !given.parameters.is_empty()),
        ] {
            if is_given {
                let acts = "`function = \"formulas\"`";
                return Err(Fault::unused(
                    &format!("{table}.{key}"),
                    "the function has a name",
                    acts,
                ));
            }
        }
        Ok(Self {
            basis,
            parameters: coefficients.iter().map(|(name, _)| (*name).to_owned()).collect(),
            starts: coefficients.iter().map(|(_, start)| *start).collect(),
        })
    }

    /// Formulas of these numbers of states and inputs.
    pub fn of_formulas(table: &str, given: &Formulas, states: usize, inputs: usize) -> Result<Self, Fault> {
        if given.formulas.is_empty() {
            return Err(Fault::new(
                format!("{table}.formulas"),
                "there is no formula",
                "a formula for each number that the function returns",
                "such as `formulas = [\"x1 + 0.1 * x2\", \"x2 - g * sin(x1)\"]`",
            ));
        }
        let numbered = |letter: char, count: usize| (1..=count).map(move |i| format!("{letter}{i}"));
        let mut names: Vec<String> = numbered('x', states).chain(numbered('u', inputs)).collect();
        names.push("t".to_owned());
        for (i, parameter) in given.parameters.iter().enumerate() {
            if !is_name(parameter) || is_variance(parameter) || names.contains(parameter) {
                return Err(Fault::new(
                    format!("{table}.parameters.{i}"),
                    format!("`{parameter}` cannot be the name of a parameter"),
                    "letters, digits and _, a letter first; no state, no input, not t, no name twice, and not q or r, which are the \
                     variances",
                    "choose another name",
                ));
            }
            names.push(parameter.clone());
        }
        let features = Features::new(&given.formulas, &names, states, given.parameters.len());
        let features = features.map_err(|(i, error)| {
            Fault::new(
                format!("{table}.formulas.{i}"),
                format!("this formula cannot be used: {error}"),
                format!("a formula of {}, linear in its parameters", names.join(", ")),
                format!("it may use {FUNCTIONS}; `neural_ssm` learns parameters of other formulas by gradients"),
            )
        })?;
        Ok(Self {
            basis: Basis::Formulas(Arc::new(features)),
            starts: vec![1.0; given.parameters.len()],
            parameters: given.parameters.clone(),
        })
    }

    /// The number of values that it returns.
    pub fn outputs(&self) -> usize {
        match &self.basis {
            Basis::Formulas(formulas) => formulas.outputs(),
            Basis::Growth | Basis::Square => 1,
        }
    }

    /// W in rows, from the parameters of the table `key`.
    pub fn coefficients(&self, key: &str, keys: &VectorKeys) -> Result<Entries, Fault> {
        let own = entries(key, keys, &self.starts, None)?;
        let Basis::Formulas(formulas) = &self.basis else {
            return Ok(own);
        };
        let (rows, columns) = (formulas.outputs(), self.basis.count());
        let mut all = Entries {
            fixed: vec![0.0; rows * columns],
            start: vec![0.0; rows * columns],
        };
        for (k, row) in formulas.owners().iter().enumerate() {
            all.fixed[row * columns + k] = own.fixed[k];
            all.start[row * columns + k] = own.start[k];
        }
        // What is left without parameters.
        for row in 0..rows {
            let at = row * columns + self.parameters.len() + row;
            (all.fixed[at], all.start[at]) = (1.0, 1.0);
        }
        Ok(all)
    }

    /// The names of the entries of W in rows; none for entries that are no parameter.
    pub fn names(&self) -> Vec<Option<String>> {
        let Basis::Formulas(formulas) = &self.basis else {
            return self.parameters.iter().cloned().map(Some).collect();
        };
        let columns = self.basis.count();
        let mut names = vec![None; formulas.outputs() * columns];
        for (k, row) in formulas.owners().iter().enumerate() {
            names[row * columns + k] = Some(self.parameters[k].clone());
        }
        names
    }
}
