//! The data a model is trained on: tables in memory, batches as tensors, sources (generators and files), splits,
//! standardisation.

pub mod batch;
pub mod dataset;
mod demonstrations;
mod episodes;
pub mod file;
mod oracle;
pub mod source;
mod split;
pub mod standardize;

pub use batch::Batch;
pub use dataset::{Dataset, Table};
pub use demonstrations::Demonstrations;
pub use file::{Rows, SharedFile};
pub use source::{DataConfig, Source, Splits};
pub use standardize::Standardization;
