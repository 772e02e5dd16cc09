//! Experiment files: from TOML to a checked, typed specification, with every fault shown where it was written.
//!
//! Keys are declared once, as fields of option structs that derive `Deserialize` and `JsonSchema`. The derived schema
//! drives the checker ([`check`]), the help texts ([`describe`]) and the schema for editors ([`schema`]).
//!
//! file and `overrides` → [`tree`] with spans → [`merge`] of [`variants`] and grid, where no layer may replace a key of
//! another (`conflicts`) → [`check`] against the [`shape`] of the derived schema → typed spec ([`experiment`]) →
//! canonical text and hash ([`resolve`]).

pub mod check;
mod conflicts;
pub mod describe;
pub mod diagnostic;
pub mod experiment;
mod foreign;
mod grid;
mod header;
mod meaning;
pub mod merge;
mod overrides;
mod renamed;
pub mod resolve;
pub mod schema;
pub mod seeds;
pub mod shape;
mod shared;
pub mod suggestion;
mod suite;
mod text;
pub mod tree;
mod unused;
pub mod variants;

pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use experiment::{FILE_KEYS, Loaded, Variant, load};
pub use meaning::load_experiment;
pub use renamed::with_new_names;
pub use seeds::Seeds;
pub use suite::Spec;
