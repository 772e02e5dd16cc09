//! Rounds of collection: the model so far plans in the environment, and its episodes join the training data.
//!
//! Round k follows the gradient step k · `every`, unless that is the last one. Its random numbers come from a seed that the
//! stream `collect` gives at k. Episodes are kept in the units of the environment, and a checkpoint holds them; their
//! standardisation is that of the initial data.

use crate::control::collect;
use crate::data::{Dataset, Table};
use crate::error::provided;
use crate::math::streams::Streams;
use crate::nn::Parameters;
use crate::train::metrics::planning;
use crate::train::{CollectionConfig, Job, State};
use crate::{Error, Result};
use candle_core::{Device, Tensor};
use latent_lab_envs::Points;
use rand::RngExt;

/// The episodes that have been collected, in the order of the rounds.
#[derive(Debug, Clone, Default)]
pub(super) struct Collected {
    episodes: Points,
}

/// What a checkpoint calls the columns and the lengths of the episodes.
const NAMES: [&str; 3] = ["collected/observed", "collected/given", "collected/lengths"];

impl Collected {
    /// Those of a checkpoint.
    pub fn of(state: &State) -> Result<Self> {
        let [observed, given, lengths] = NAMES.map(|name| state.tensors.get(name));
        let (Some(observed), Some(given), Some(lengths)) = (observed, given, lengths) else {
            return Ok(Self::default());
        };
        let lengths: Vec<i64> = lengths.to_vec1()?;
        let length = |length: i64| usize::try_from(length).map_err(|_| Error::Record("a length below 0".into()));
        Ok(Self {
            episodes: Points {
                observed: observed.flatten_all()?.to_vec1()?,
                given: given.flatten_all()?.to_vec1()?,
                lengths: lengths.into_iter().map(length).collect::<Result<_>>()?,
                ..Points::default()
            },
        })
    }

    /// Writes them into a checkpoint.
    pub fn store(&self, state: &mut State) -> Result<()> {
        if self.is_empty() {
            return Ok(());
        }
        let rows: usize = self.episodes.lengths.iter().sum();
        let table = |values: &[f64]| Tensor::from_slice(values, (rows, values.len() / rows), &Device::Cpu);
        let lengths: Vec<i64> = self.episodes.lengths.iter().map(|length| *length as i64).collect();
        let tensors = [
            table(&self.episodes.observed)?,
            table(&self.episodes.given)?,
            Tensor::new(lengths, &Device::Cpu)?,
        ];
        state.tensors.extend(NAMES.map(str::to_owned).into_iter().zip(tensors));
        Ok(())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.episodes.lengths.is_empty()
    }

    /// Collects the episodes of one round with θ after `step` steps.
    pub fn extend(&mut self, job: &Job, config: &CollectionConfig, theta: &Parameters, step: u64) -> Result<()> {
        let control = provided(job.evaluation.control.as_ref(), "a planner")?;
        let environment = provided(job.controlled, "an environment")?;
        let agent = planning(job, control, &environment.declaration(), theta, step)?.with_noise(config.noise);
        let seed = job.streams.named("collect").at(step / config.every).random();
        let more = collect(environment, &agent, config.episodes, &Streams::new(seed))?;
        self.episodes.observed.extend(more.observed);
        self.episodes.given.extend(more.given);
        self.episodes.lengths.extend(more.lengths);
        Ok(())
    }

    /// The initial training rows of `job`, followed by these episodes.
    pub fn with_initial(&self, job: &Job) -> Result<Dataset> {
        let initial = &job.original.train;
        let table = |values: &[f64], columns| Table::new(values.to_vec(), columns).into();
        let given = initial.given.as_ref();
        let mut more = Dataset::of_sequences(
            table(&self.episodes.observed, initial.observed.columns()),
            given.map(|given| table(&self.episodes.given, given.columns())),
            self.episodes.lengths.clone(),
        );
        job.splits.standardization.apply(&mut more);
        let more = job.model.reduced(&more)?.unwrap_or(more);
        Ok(job.splits.train.followed_by(&more))
    }

    /// The metrics of the last round, of which there was one.
    pub fn metrics(&self, job: &Job, config: &CollectionConfig) -> Vec<(String, f64)> {
        let lengths = &self.episodes.lengths;
        let collected: usize = lengths.iter().sum();
        let first = lengths.len().saturating_sub(config.episodes);
        let from: usize = lengths[..first].iter().sum();
        let columns = job.original.train.observed.columns();
        let rewards = self.episodes.observed.chunks_exact(columns).skip(from);
        let total: f64 = rewards.filter_map(|row| row.last()).sum();
        let steps = job.original.train.observed.rows() + collected;
        vec![
            (
                "control/round_return".to_owned(),
                total / (lengths.len() - first).max(1) as f64,
            ),
            ("control/collected_steps".to_owned(), steps as f64),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::DType;

    #[test]
    fn a_checkpoint_holds_every_bit_of_the_episodes() {
        let episodes = Points {
            observed: vec![0.1, -0.0, 1e-300, 0.1 + 0.2, 5.0, 6.0],
            given: vec![7.0, -1.0 / 3.0, 9.0],
            lengths: vec![1, 2],
            ..Points::default()
        };
        let mut state = State::default();
        assert!(Collected::of(&state).expect("none").is_empty());
        Collected {
            episodes: episodes.clone(),
        }
        .store(&mut state)
        .expect("tensors");
        assert_eq!(state.tensors[NAMES[0]].dims(), [3, 2]);
        assert!(state.tensors[NAMES[1]].dtype() == DType::F64 && state.tensors[NAMES[2]].dtype() == DType::I64);
        let read = Collected::of(&state).expect("episodes").episodes;
        let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&read.observed), bits(&episodes.observed));
        assert_eq!(bits(&read.given), bits(&episodes.given));
        assert_eq!(read.lengths, episodes.lengths);
    }
}
