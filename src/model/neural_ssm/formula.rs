//! Functions that a file writes as formulas of named states, inputs and parameters.

use super::FormulaKeys;
use super::entries::Entries;
use crate::Result;
use crate::error::Fault;
use crate::math::formula::{FUNCTIONS, Formula, is_name};
use crate::nn::Parameters;
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp2, DType, Device, Layout, Shape, Tensor, WithDType};
use std::sync::Arc;

/// Formulas of the same names: x1 … xX, u1 … uU, then the parameters.
#[derive(Debug, Clone)]
pub(super) struct Formulas {
    formulas: Arc<Vec<Formula>>,
    /// States and inputs.
    arguments: usize,
    /// Values of the parameters. `[1, P]`
    pub parameters: Option<Entries>,
}

impl Formulas {
    /// The formulas of a table: `outputs` of them, for these numbers of states and inputs.
    pub fn new(
        name: &'static str,
        table: &str,
        keys: &FormulaKeys,
        (states, inputs, outputs): (usize, usize, usize),
    ) -> std::result::Result<Self, Fault> {
        let at = |key: &str| format!("{table}.{key}");
        if keys.formulas.len() != outputs {
            return Err(Fault::new(
                at("formulas"),
                format!("{} formulas do not fit", keys.formulas.len()),
                format!("{outputs} formulas"),
                "one for each number that the function returns",
            ));
        }
        let numbered = |letter: char, count: usize| (1..=count).map(move |i| format!("{letter}{i}"));
        let mut names: Vec<String> = numbered('x', states).chain(numbered('u', inputs)).collect();
        let arguments = names.len();
        for (i, parameter) in keys.parameters.iter().enumerate() {
            if !is_name(parameter) || names.contains(parameter) {
                return Err(Fault::new(
                    at(&format!("parameters.{i}")),
                    format!("`{parameter}` cannot be the name of a parameter"),
                    "letters, digits and _, a letter first; no state, no input, and no name twice",
                    "choose another name",
                ));
            }
            names.push(parameter.clone());
        }
        let parse = |(i, text): (usize, &String)| {
            Formula::parse(text, &names).map_err(|error| {
                Fault::new(
                    at(&format!("formulas.{i}")),
                    format!("this is no formula: {error}"),
                    format!("a formula of {}", names.join(", ")),
                    format!("it may use {FUNCTIONS}"),
                )
            })
        };
        let formulas: Vec<Formula> = keys
            .formulas
            .iter()
            .enumerate()
            .map(parse)
            .collect::<std::result::Result<_, _>>()?;
        let unused = |at: usize| !formulas.iter().any(|formula| formula.contains(at));
        if let Some(i) = (arguments..names.len()).find(|&at| unused(at)) {
            return Err(Fault::unused(
                &at(&format!("parameters.{}", i - arguments)),
                "no formula contains this parameter",
                "a formula with it",
            ));
        }
        let ones = vec![1.0; keys.parameters.len()];
        let values = Entries::vector(name, &at("values"), &keys.values, &ones)?;
        Ok(Self {
            formulas: Arc::new(formulas),
            arguments,
            parameters: (!ones.is_empty()).then_some(values),
        })
    }

    /// Their values at rows of states and inputs. Rows: `[N, X + U]`, result `[N, F]`
    pub fn apply(&self, theta: &Parameters, rows: &Tensor) -> Result<Tensor> {
        let parameters = match &self.parameters {
            Some(parameters) => parameters.value(theta)?,
            None => Tensor::zeros((1, 1), rows.dtype(), rows.device())?,
        };
        Ok(rows
            .contiguous()?
            .apply_op2(&parameters.contiguous()?, Values { formulas: self.clone() })?)
    }
}

/// The formulas as one operation: rows `[N, C]` and parameters `[1, P]` to values `[N, F]`.
struct Values {
    formulas: Formulas,
}

impl Values {
    /// The numbers of each row, followed by the parameters.
    fn arguments(&self, rows: &[f64], parameters: &[f64]) -> Vec<Vec<f64>> {
        let rows = rows.chunks_exact(self.formulas.arguments);
        rows.map(|row| [row, parameters].concat()).collect()
    }
}

fn wide(storage: &CpuStorage, layout: &Layout) -> candle_core::Result<Vec<f64>> {
    let Some((start, end)) = layout.contiguous_offsets() else {
        candle_core::bail!("formulas take contiguous rows");
    };
    match storage {
        CpuStorage::F32(values) => Ok(values[start..end].iter().map(|v| v.to_f64()).collect()),
        CpuStorage::F64(values) => Ok(values[start..end].to_vec()),
        _ => candle_core::bail!("formulas take numbers of type f32 or f64"),
    }
}

impl CustomOp2 for Values {
    fn name(&self) -> &'static str {
        "formulas"
    }

    fn cpu_fwd(
        &self,
        rows: &CpuStorage,
        rows_layout: &Layout,
        parameters: &CpuStorage,
        parameters_layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let arguments = self.arguments(&wide(rows, rows_layout)?, &wide(parameters, parameters_layout)?);
        let formulas = &self.formulas.formulas;
        let values = arguments
            .iter()
            .flat_map(|row| formulas.iter().map(|formula| formula.value(row)));
        let shape = Shape::from((arguments.len(), formulas.len()));
        Ok(match rows.dtype() {
            DType::F32 => (CpuStorage::F32(values.map(|v| v as f32).collect()), shape),
            _ => (CpuStorage::F64(values.collect()), shape),
        })
    }

    fn bwd(
        &self,
        rows: &Tensor,
        parameters: &Tensor,
        _values: &Tensor,
        gradient: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        let numbers = |tensor: &Tensor| tensor.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>();
        let arguments = self.arguments(&numbers(rows)?, &numbers(parameters)?);
        let formulas = &self.formulas.formulas;
        let columns = self.formulas.arguments;
        let own = self.formulas.parameters.as_ref().map_or(0, |_| parameters.elem_count());
        let mut of_rows = Vec::with_capacity(arguments.len() * columns);
        let mut of_parameters = vec![0.0; parameters.elem_count()];
        for (row, gradients) in arguments.iter().zip(numbers(gradient)?.chunks_exact(formulas.len())) {
            let sum = |name: usize| -> f64 {
                let terms = formulas.iter().zip(gradients);
                terms
                    .map(|(formula, gradient)| gradient * formula.derivative(name, row))
                    .sum()
            };
            of_rows.extend((0..columns).map(sum));
            for (name, total) in of_parameters.iter_mut().enumerate().take(own) {
                *total += sum(columns + name);
            }
        }
        let back = |values: Vec<f64>, like: &Tensor| {
            Tensor::from_vec(values, like.shape(), &Device::Cpu)?.to_dtype(like.dtype())
        };
        Ok((Some(back(of_rows, rows)?), Some(back(of_parameters, parameters)?)))
    }
}
