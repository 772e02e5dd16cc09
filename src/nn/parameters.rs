//! Parameters of a model or posterior, ordered by name.
//!
//! The order is the alphabet's, so sums over all parameters (a gradient norm) round the same way in every process, and a
//! checkpoint has one byte form. Values are [`Var`]s: the leaves of candle's graph.

use crate::Result;
use candle_core::{DType, Device, Tensor, Var};
use std::collections::BTreeMap;

/// Named arrays that an optimiser may change.
#[derive(Debug, Clone, Default)]
pub struct Parameters {
    by_name: BTreeMap<String, Var>,
}

impl Parameters {
    /// No parameters yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds or replaces the parameter `name`, with a copy of `value`'s storage.
    pub fn insert(&mut self, name: impl Into<String>, value: &Tensor) -> Result<()> {
        self.by_name
            .insert(name.into(), Var::from_tensor(&value.contiguous()?)?);
        Ok(())
    }

    /// The parameter `name`; an error that lists the known names otherwise.
    pub fn get(&self, name: &str) -> Result<&Tensor> {
        self.by_name
            .get(name)
            .map(Var::as_tensor)
            .ok_or_else(|| crate::Error::Other(format!("no parameter {name:?} among {:?}", self.names())))
    }

    /// All names, in order.
    pub fn names(&self) -> Vec<&str> {
        self.by_name.keys().map(String::as_str).collect()
    }

    /// All parameters with their names, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Var)> {
        self.by_name.iter().map(|(name, var)| (name.as_str(), var))
    }

    /// How many numbers there are in all.
    pub fn count(&self) -> usize {
        self.by_name.values().map(|var| var.elem_count()).sum()
    }

    /// Those whose names do not begin with `prefix`; the numbers are shared.
    pub fn without(&self, prefix: &str) -> Self {
        let kept = self.by_name.iter().filter(|(name, _)| !name.starts_with(prefix));
        Self {
            by_name: kept.map(|(name, var)| (name.clone(), var.clone())).collect(),
        }
    }

    /// An independent copy: later steps on `self` do not reach it.
    pub fn snapshot(&self) -> Result<Self> {
        let mut copy = Self::new();
        for (name, var) in &self.by_name {
            copy.by_name
                .insert(name.clone(), Var::from_tensor(&var.as_tensor().copy()?.detach())?);
        }
        Ok(copy)
    }

    /// Overwrites every value in place with the value of the same name in `other`.
    pub fn assign(&self, other: &Self) -> Result<()> {
        for (name, var) in &self.by_name {
            var.set(other.get(name)?)?;
        }
        Ok(())
    }

    /// Where the numbers live; the CPU where there are none.
    pub fn device(&self) -> Device {
        let first = self.by_name.values().next();
        first.map_or(Device::Cpu, |var| var.device().clone())
    }

    /// The type of the numbers; f64 where there are none.
    pub fn dtype(&self) -> DType {
        self.by_name.values().next().map_or(DType::F64, |var| var.dtype())
    }
}
