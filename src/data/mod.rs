//! The data a model is trained on: fields that all runs share, batches as tensors, sources (generators and files),
//! splits, standardisation.

pub mod batch;
pub mod batches;
pub mod dataset;
mod episodes;
pub mod field;
pub mod file;
pub mod generator;
mod oracle;
pub mod source;
mod split;
mod splits;
pub mod standardize;
mod steps;
mod stored;
pub mod table;

pub use batch::Batch;
pub use batches::Batches;
pub use dataset::Dataset;
pub use field::Field;
pub use file::{Rows, SharedFile};
pub use generator::{Demonstrations, GeneratorKind};
pub use source::{DataConfig, Source};
pub use splits::Splits;
pub use standardize::Standardization;
pub use steps::{Steps, repeated};
pub use table::Table;
