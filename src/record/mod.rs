//! The record of a run: one folder with its specification, its machine, its progress and its measurements.
//!
//! ```text
//! results/<experiment>/<variant>/seed-003/
//!   spec.toml                         what ran, fully resolved
//!   run.json                          status, provenance, costs, final metrics          ([`Manifest`])
//!   metrics.jsonl                     one object of numbers per evaluation, no clock     ([`MetricsLine`])
//!   events.jsonl                      what happened in words, no clock                   ([`Event`])
//!   checkpoint.safetensors            the newest state to go on from                     ([`Checkpoint`])
//!   checkpoint.previous.safetensors   the one before it
//!   .lock                             held by the process that runs it, and removed by it at the end
//! ```
//!
//! `metrics.jsonl`, `events.jsonl` and `checkpoint.safetensors` depend only on specification and seed, so their bytes
//! are the same after any number of kills and resumptions: on resuming, [`Run::resume`] cuts both line files back to
//! the step of the checkpoint it found. Everything that depends on the machine or the clock is in `run.json`. Files
//! appear whole or not at all ([`write_atomically`]).
//!
//! This module handles files: strings, hashes, tensors. It does not depend on models or specifications.

mod address;
mod atomic;
mod checkpoint;
mod cost;
mod difference;
mod identity;
mod lines;
mod lock;
mod manifest;
mod moved;
mod provenance;
mod reader;
mod run;
#[cfg(test)]
mod tests;

pub use address::{RunAddress, experiment_dir};
pub use atomic::write_atomically;
pub use checkpoint::Checkpoint;
pub use cost::{Clock, Cost};
pub use difference::setting_differences;
pub use identity::Identity;
pub use lock::Lock;
pub use manifest::{Manifest, Status};
pub use moved::move_run;
pub use provenance::{Hardware, Revision, now, program_revision};
pub use reader::{
    Event, ListedRun, MetricsLine, RunRecord, State, folders, list_runs, read_checkpoint, read_last_events,
    read_manifest, read_metrics, read_run, read_spec, read_state, recorded_seeds, state_of,
};
pub use run::Run;

/// The file names inside a run directory.
mod file {
    pub const SPEC: &str = "spec.toml";
    pub const MANIFEST: &str = "run.json";
    pub const METRICS: &str = "metrics.jsonl";
    pub const EVENTS: &str = "events.jsonl";
    pub const CHECKPOINT: &str = "checkpoint.safetensors";
    pub const PREVIOUS: &str = "checkpoint.previous.safetensors";
    pub const LOCK: &str = ".lock";
}
