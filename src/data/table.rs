//! Small tables in f64: rows to predict for, observations of a policy, columns of a text file.

use crate::math::rows::Rows;

/// A dense table of f64, row-major.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Table {
    values: Vec<f64>,
    columns: usize,
}

impl Table {
    /// A table of `columns` columns from row-major `values`, whose number must be a multiple of `columns`.
    pub fn new(values: Vec<f64>, columns: usize) -> Self {
        assert!(columns > 0 && values.len().is_multiple_of(columns), "whole rows");
        Self { values, columns }
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.values.len() / self.columns
    }

    /// The number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// All values, row-major.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// All values, row-major, without the table.
    pub(super) fn into_values(self) -> Vec<f64> {
        self.values
    }

    /// All values, row-major, mutable.
    pub fn values_mut(&mut self) -> &mut [f64] {
        &mut self.values
    }

    /// Row `i`.
    pub fn row(&self, i: usize) -> &[f64] {
        &self.values[i * self.columns..(i + 1) * self.columns]
    }

    /// Column `j`, from the first row on.
    pub fn column(&self, j: usize) -> impl Iterator<Item = f64> + '_ {
        self.values.iter().skip(j).step_by(self.columns).copied()
    }

    /// A view for the closed-form kernels.
    pub fn view(&self) -> Rows<'_> {
        Rows {
            values: &self.values,
            columns: self.columns,
        }
    }
}
