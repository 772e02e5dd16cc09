//! Keys of one parameter: its starting value, and what of it is fixed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The keys of a vector.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct VectorKeys {
    /// Values that are not learnt; an entry `nan` is learnt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fixed: Option<Vec<Entry>>,
    /// Where learning starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<Vec<f64>>,
}

/// A number; `nan` if it is to be learnt.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(transparent, extend("nonFinite" = true))]
pub struct Entry(pub f64);

impl PartialEq for Entry {
    /// Two learnt entries are equal.
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0 || (self.0.is_nan() && other.0.is_nan())
    }
}

/// The keys of a matrix, as a list of rows.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct MatrixKeys {
    /// Values that are not learnt; an entry `nan` is learnt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fixed: Option<Vec<Vec<Entry>>>,
    /// Where learning starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<Vec<Vec<f64>>>,
}

/// The form of a covariance in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// Any covariance.
    Full,
    /// Independent entries.
    Diagonal,
    /// Independent entries with one variance.
    Spherical,
}

/// The keys of a covariance, as a list of rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct CovarianceKeys {
    /// Its form.
    pub form: Form,
    /// Values that are not learnt. Single entries can be learnt (`nan`) only on the diagonal of the diagonal form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fixed: Option<Vec<Vec<Entry>>>,
    /// Where learning starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<Vec<Vec<f64>>>,
}

impl Default for CovarianceKeys {
    fn default() -> Self {
        Self {
            form: Form::Full,
            fixed: None,
            start: None,
        }
    }
}
