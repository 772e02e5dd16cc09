//! Reloads a finished run from its record: for figures and for evaluation on other data.

use super::PlannedRun;
use crate::data::Splits;
use crate::math::streams::Streams;
use crate::model::Model;
use crate::nn::Parameters;
use crate::train::{State, stored};
use crate::{Error, Result, record};
use candle_core::Device;

/// A trained model with the rows it was trained on.
#[derive(Debug)]
pub struct Reloaded {
    /// The model.
    pub model: Box<dyn Model>,
    /// Its trained parameters.
    pub theta: Parameters,
    /// The rows as the model takes them ([`Model::reduced`]).
    pub splits: Splits,
    /// The randomness of the run.
    pub streams: Streams,
}

/// Reads the trained parameters of `run` from its checkpoint and its rows from their source.
pub fn reload(run: &PlannedRun) -> Result<Reloaded> {
    let streams = Streams::new(run.address.seed);
    let original = run.load_data(&streams)?;
    let model = run.spec.model.build(&original.train)?;
    let dir = run.address.dir();
    let checkpoint = record::read_checkpoint(&dir)?;
    let state = State {
        step: checkpoint.step,
        tensors: checkpoint.tensors,
        facts: checkpoint.metadata,
    };
    let theta = stored(&state, "theta", &Device::Cpu)?
        .ok_or_else(|| Error::Record(format!("{}: the checkpoint has no parameters", dir.display())))?;
    Ok(Reloaded {
        splits: original.in_form(|rows| model.reduced(rows))?,
        model,
        theta,
        streams,
    })
}
