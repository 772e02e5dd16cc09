//! The state of a run with Adam as tensors and facts of a checkpoint.

use super::collection::Collected;
use super::{Best, Run};
use crate::train::{State, fact, store, stored};
use crate::{Error, Result};

impl Run<'_> {
    /// The state after this step.
    pub(super) fn state(&self) -> Result<State> {
        let mut state = State {
            step: self.step,
            ..State::default()
        };
        store(&mut state.tensors, "last", &self.theta)?;
        let kept = self.best.as_ref().map_or(self.current(), |best| &best.theta);
        store(&mut state.tensors, "theta", kept)?;
        if let Some(average) = &self.average {
            store(&mut state.tensors, "average", average)?;
        }
        if let Some(stale) = &self.stale {
            store(&mut state.tensors, "stale", stale)?;
        }
        if let Some(best) = &self.best {
            state
                .facts
                .insert("best_validation".into(), format!("{:e}", best.value));
            state
                .facts
                .insert("evaluations_since_best".into(), best.evaluations_since.to_string());
        }
        if self.config.starts > 1 {
            self.explored.store(&mut state);
        }
        for (name, tensor) in self.adam.state()? {
            state.tensors.insert(format!("adam/{name}"), tensor);
        }
        self.collected.store(&mut state)?;
        state.tensors.extend(self.job.model.natural(kept)?);
        Ok(state)
    }

    /// Goes on from `state`.
    pub(super) fn restore(&mut self, state: &State) -> Result<()> {
        let missing = |what: &str| Error::Record(format!("the checkpoint has no `{what}`; rerun with --fresh"));
        let last = stored(state, "last", &self.device)?.ok_or_else(|| missing("last"))?;
        self.theta.assign(&last)?;
        self.step = state.step;
        let moments = state.tensors.iter();
        let moments =
            moments.filter_map(|(name, tensor)| Some((name.strip_prefix("adam/")?.to_owned(), tensor.clone())));
        self.adam.restore(&moments.collect(), state.step)?;
        if let Some(average) = &self.average {
            average.assign(&stored(state, "average", &self.device)?.ok_or_else(|| missing("average"))?)?;
        }
        self.stale = stored(state, "stale", &self.device)?;
        self.collected = Collected::of(state)?;
        self.take_collected()?;
        if let Some(value) = fact::<f64>(state, "best_validation")? {
            let theta = stored(state, "theta", &self.device)?.ok_or_else(|| missing("theta"))?;
            let evaluations_since = fact(state, "evaluations_since_best")?.unwrap_or(0);
            self.best = Some(Best {
                theta,
                value,
                evaluations_since,
            });
        }
        Ok(())
    }
}
