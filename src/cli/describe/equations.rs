//! The equation of each generator, model, posterior, objective and optimizer.

use crate::cli::kind::Kind;
use crate::data::GeneratorKind;
use crate::kind;
use crate::model::ModelKind;
use crate::objective::ObjectiveKind;
use crate::posterior::PosteriorKind;
use crate::train::TrainingConfig;

/// The equation of `name`; none if it has none.
pub(super) fn equation(kind: Kind, name: &str) -> Option<&'static str> {
    match kind {
        Kind::Data => kind::find::<dyn GeneratorKind>(name).map(|entry| entry.equation),
        Kind::Model => kind::find::<dyn ModelKind>(name).map(|entry| entry.equation),
        Kind::Posterior => kind::find::<dyn PosteriorKind>(name).map(|entry| entry.equation),
        Kind::Objective => kind::find::<dyn ObjectiveKind>(name).map(|entry| entry.equation),
        Kind::Optimizer => TrainingConfig::equation(name),
        _ => None,
    }
}
