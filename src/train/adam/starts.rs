//! Several starts: each is trained for a share of the steps without a record; the one with the largest objective is then trained
//! from its beginning. The choice sees training rows alone.

use super::Run;
use crate::train::{AdamConfig, Job, Observer, State, fact};
use crate::{Error, Result};

/// The last part of a trial, of which the objective is averaged.
const SCORED: f64 = 0.2;

/// What is known of the starts so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Explored {
    /// Starts that have been tried.
    pub count: u64,
    /// The best of them and its objective.
    best: Option<(u64, f64)>,
}

impl Explored {
    /// What a checkpoint says.
    pub fn of(state: Option<&State>) -> Result<Self> {
        let Some(state) = state else { return Ok(Self::default()) };
        let start: Option<u64> = fact(state, "best_start")?;
        Ok(Self {
            count: fact(state, "explored_starts")?.unwrap_or(0),
            best: start.zip(fact(state, "best_objective")?),
        })
    }

    /// Writes it into a checkpoint.
    pub fn store(&self, state: &mut State) {
        state.facts.insert("explored_starts".into(), self.count.to_string());
        if let Some((start, value)) = self.best {
            state.facts.insert("best_start".into(), start.to_string());
            state.facts.insert("best_objective".into(), format!("{value:e}"));
        }
    }

    /// Whether a start is left to be tried.
    pub fn is_open(&self, config: &AdamConfig) -> bool {
        config.starts > 1 && self.count < config.starts
    }

    /// The start to train: the best one, or the first where there is no choice.
    pub fn start(&self) -> u64 {
        self.best.map_or(0, |(start, _)| start)
    }
}

/// The steps of a trial.
pub(super) fn trial(config: &AdamConfig) -> u64 {
    ((config.start_share * config.steps as f64).ceil() as u64).clamp(1, config.steps.max(1))
}

/// Tries the starts that have not been tried. One that turns non-finite is not chosen, unless all do.
///
/// # Errors
/// [`Error::Interrupted`] once the observer asks for it, after a checkpoint.
pub(super) fn explore(
    job: &Job,
    config: &AdamConfig,
    explored: &mut Explored,
    observer: &mut dyn Observer,
) -> Result<()> {
    let steps = trial(config);
    let of = config.starts * steps + config.steps;
    while explored.is_open(config) {
        let start = explored.count;
        let mut run = Run::new(job, config, explored.clone(), start, None)?;
        let from = steps - ((SCORED * steps as f64).ceil() as u64).clamp(1, steps);
        let mut sum = Some(0.0);
        for step in 0..steps {
            if observer.interrupted() {
                let fresh = Run::new(job, config, explored.clone(), 0, None)?;
                observer.checkpoint(true, &|| fresh.state())?;
                return Err(Error::Interrupted);
            }
            match run.advance() {
                Ok(()) if step >= from => sum = sum.map(|sum| sum + run.value),
                Ok(()) => {}
                Err(Error::NonFinite { .. }) => sum = None,
                Err(error) => return Err(error),
            }
            if sum.is_none() {
                break;
            }
            observer.progressed(start * steps + step + 1, of);
        }
        let value = sum.map_or(f64::NEG_INFINITY, |sum| sum / (steps - from) as f64);
        if explored.best.is_none_or(|(_, best)| value > best) {
            explored.best = Some((start, value));
        }
        explored.count += 1;
        observer.noted(0, &format!("start {start}: objective {value:.6} after {steps} steps"))?;
    }
    Ok(())
}
