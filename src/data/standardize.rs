//! Standardisation: columns shifted and scaled to mean 0 and standard deviation 1 over the training rows.
//!
//! A model then sees `u = (y − m)/s`. Log-densities are still reported in the data's units:
//! `log p(y) = log p(u) − Σ_j log s_j`. A constant column is not scaled (s = 1); a column without values is not shifted
//! either (m = 0).

use super::{Dataset, Field, Table};
use std::sync::Arc;

/// Shift and scale of every observed and given column.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Standardization {
    /// Of the observed columns.
    pub observed: Arc<Columns>,
    /// Of the given columns.
    pub given: Arc<Columns>,
}

/// Shift and scale of the columns of one table; empty means the identity.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Columns {
    shift: Vec<f64>,
    scale: Vec<f64>,
}

impl Columns {
    fn fit(field: &Field, data: &Dataset) -> Self {
        // Collected from borrows: what is kept has no spare capacity, which matters for the columns of images.
        let moments = data.moments(field);
        let deviation = |column: &Option<(f64, f64)>| column.map_or(0.0, |(_, variance)| variance.sqrt());
        let deviations = moments.iter().map(deviation);
        let scale = deviations.map(|s| if s > 0.0 { s } else { 1.0 }).collect();
        let shift = moments
            .iter()
            .map(|column| column.map_or(0.0, |(mean, _)| mean))
            .collect();
        Self { shift, scale }
    }

    /// The value `v` of column `j` in the model's units.
    pub(super) fn convert(&self, j: usize, v: f64) -> f64 {
        (v - self.shift[j]) / self.scale[j]
    }

    /// Into the model's units, in place.
    pub fn apply(&self, table: &mut Table) {
        if self.shift.is_empty() {
            return;
        }
        let columns = table.columns();
        for (at, value) in table.values_mut().iter_mut().enumerate() {
            *value = self.convert(at % columns, *value);
        }
    }

    /// Back into the data's units, in place; `row` holds whole rows.
    pub fn invert(&self, rows: &mut [f64]) {
        if self.shift.is_empty() {
            return;
        }
        for (at, value) in rows.iter_mut().enumerate() {
            let j = at % self.shift.len();
            *value = *value * self.scale[j] + self.shift[j];
        }
    }

    /// Σ log s_j in nats, over the observed entries of `data`, per datum: the same as [`Columns::log_scale`] where
    /// nothing is missing.
    pub fn log_scale_of(&self, data: &Dataset) -> f64 {
        if data.lengths.is_none() || self.scale.is_empty() {
            return self.log_scale();
        }
        let present = |j: usize| data.observed.column(j).filter(|v| !v.is_nan()).count() as f64;
        let sum: f64 = self.scale.iter().enumerate().map(|(j, s)| present(j) * s.ln()).sum();
        sum / data.total_weight()
    }

    /// Σ_j log s_j in nats: a log-density in the model's units exceeds that in the data's units by this.
    pub fn log_scale(&self) -> f64 {
        self.scale.iter().map(|s| s.ln()).sum()
    }

    /// The shifts m_j; empty for the identity.
    pub fn shift(&self) -> &[f64] {
        &self.shift
    }

    /// The scales s_j; empty for the identity.
    pub fn scale(&self) -> &[f64] {
        &self.scale
    }
}

impl Standardization {
    /// Fits shift and scale to `train`.
    pub fn fit(train: &Dataset) -> Self {
        Self {
            observed: Arc::new(Columns::fit(&train.observed, train)),
            given: train
                .given
                .as_ref()
                .map(|given| Arc::new(Columns::fit(given, train)))
                .unwrap_or_default(),
        }
    }

    /// `data` in the model's units; their numbers are converted where they are read.
    pub fn apply(&self, data: &mut Dataset) {
        let (observed, given) = (self.observed.clone(), self.given.clone());
        let mut rest = Some(data);
        while let Some(data) = rest {
            data.observed = data.observed.standardized(&observed);
            data.given = data.given.as_ref().map(|field| field.standardized(&given));
            rest = data.before.as_deref_mut();
        }
    }
}
