//! Parameters of a model or posterior, ordered by name.
//!
//! The order is alphabetical, so sums over all parameters (a gradient norm) round the same way in every process, and a
//! checkpoint has one byte form. Values are [`Var`]s: the leaves of candle's graph.

use crate::Result;
use candle_core::{DType, Device, Tensor, Var};
use std::collections::BTreeMap;

/// Named arrays that an optimiser may change.
#[derive(Debug, Clone, Default)]
pub struct Parameters {
    by_name: BTreeMap<String, Parameter>,
}

#[derive(Debug, Clone)]
struct Parameter {
    var: Var,
    /// The tensor that functions of the parameter use: the variable itself, or its detached value.
    value: Tensor,
}

impl Parameter {
    fn new(value: &Tensor) -> Result<Self> {
        let var = Var::from_tensor(value)?;
        let value = var.as_tensor().clone();
        Ok(Self { var, value })
    }
}

impl Parameters {
    /// No parameters yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds or replaces the parameter `name`, with a copy of `value`'s storage.
    pub fn insert(&mut self, name: impl Into<String>, value: &Tensor) -> Result<()> {
        self.by_name.insert(name.into(), Parameter::new(&value.contiguous()?)?);
        Ok(())
    }

    /// The parameter `name`; an error that lists the known names otherwise.
    pub fn get(&self, name: &str) -> Result<&Tensor> {
        self.by_name
            .get(name)
            .map(|parameter| &parameter.value)
            .ok_or_else(|| crate::Error::Other(format!("no parameter {name:?} among {:?}", self.names())))
    }

    /// Overwrites every entry of the parameter `name` with `value`, in place.
    ///
    /// # Errors
    /// If there is no such parameter.
    pub fn fill(&self, name: &str, value: f64) -> Result<()> {
        let known = self.get(name)?;
        if let Some(parameter) = self.by_name.get(name) {
            let filled = Tensor::full(value, known.shape(), known.device())?;
            parameter.var.set(&filled.to_dtype(known.dtype())?)?;
        }
        Ok(())
    }

    /// All names, in order.
    pub fn names(&self) -> Vec<&str> {
        self.by_name.keys().map(String::as_str).collect()
    }

    /// All parameters with their names, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Var)> {
        self.by_name
            .iter()
            .map(|(name, parameter)| (name.as_str(), &parameter.var))
    }

    /// How many numbers there are in all.
    pub fn count(&self) -> usize {
        self.by_name.values().map(|parameter| parameter.var.elem_count()).sum()
    }

    /// The parameters whose names do not begin with `prefix`; storage is shared.
    pub fn without(&self, prefix: &str) -> Self {
        let kept = self.by_name.iter().filter(|(name, _)| !name.starts_with(prefix));
        Self {
            by_name: kept
                .map(|(name, parameter)| (name.clone(), parameter.clone()))
                .collect(),
        }
    }

    /// The same values, detached: no graph is built from them, and no gradient reaches them.
    pub fn constant(&self) -> Self {
        let constant = |parameter: &Parameter| Parameter {
            value: parameter.var.as_tensor().detach(),
            ..parameter.clone()
        };
        let by_name = self.by_name.iter();
        Self {
            by_name: by_name
                .map(|(name, parameter)| (name.clone(), constant(parameter)))
                .collect(),
        }
    }

    /// An independent copy: later steps on `self` do not reach it.
    pub fn snapshot(&self) -> Result<Self> {
        let mut copy = Self::new();
        for (name, var) in self.iter() {
            copy.by_name
                .insert(name.to_owned(), Parameter::new(&var.as_tensor().copy()?.detach())?);
        }
        Ok(copy)
    }

    /// Overwrites every value in place with the value of the same name in `other`.
    pub fn assign(&self, other: &Self) -> Result<()> {
        for (name, var) in self.iter() {
            var.set(other.get(name)?)?;
        }
        Ok(())
    }

    /// The device of the values; the CPU if there are none.
    pub fn device(&self) -> Device {
        let first = self.iter().next();
        first.map_or(Device::Cpu, |(_, var)| var.device().clone())
    }

    /// The type of the values; f64 if there are none.
    pub fn dtype(&self) -> DType {
        self.iter().next().map_or(DType::F64, |(_, var)| var.dtype())
    }
}
