//! `gymnasium`: any environment that Gymnasium can make, stepped by a Python process (Towers et al. 2024).
//!
//! The process runs `scripts/gymnasium_worker.py`, which this program holds as text. Observations are a `Box` of any shape,
//! flattened, `[O]`. Actions are a bounded `Box` of real numbers in one dimension, `[A]`, clamped to its bounds, or `Discrete`:
//! one number, rounded to a whole one. Every episode is reset with a seed from its own stream, so a run is reproducible to the
//! byte if the environment draws its random numbers from that seed.
//!
//! There is no expert, no image and no declared success. The true state cannot be copied, so no planner knows it.

mod description;
mod episodes;
mod process;

use crate::kind::{Declared, Example};
use description::Description;
pub use episodes::GymnasiumEpisodes;
use latent_lab_envs::{Collected, Control, Declaration, Episodes, Expert, Task, Yardsticks};
use process::Process;
use rand::{Rng, RngExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Any environment of Gymnasium, in a Python process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Gymnasium {
    /// The name that `gymnasium.make` takes, such as `Pendulum-v1`; `module:Name-v0` imports `module` first, which may be a
    /// file of the working folder.
    #[schemars(length(min = 1))]
    pub id: String,
    /// The Python interpreter: a name on the search path, or the path of one, such as `venv/bin/python`.
    #[serde(default = "python")]
    #[schemars(length(min = 1))]
    pub python: String,
    /// Further arguments of `gymnasium.make`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("x-default" = "none"))]
    pub arguments: BTreeMap<String, Value>,
    /// Steps after which an episode is truncated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000_000), extend("x-default" = "that of the environment"))]
    pub episode_length: Option<u32>,
    /// Seconds after which the process has failed, if it has answered nothing: for its start, and for the reset and each step
    /// of one episode.
    #[serde(default = "timeout")]
    #[schemars(range(min = 1, max = 86_400))]
    pub timeout: u32,
    #[serde(skip)]
    #[schemars(skip)]
    idle: Idle,
}

fn python() -> String {
    "python3".to_owned()
}

fn timeout() -> u32 {
    60
}

/// Processes that wait for their next episodes. They end with the environment that started them; a copy starts its own.
#[derive(Debug, Default)]
struct Idle(Mutex<Vec<Process>>);

impl Idle {
    fn take(&self) -> Option<Process> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn put(&self, process: Process) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(process);
    }
}

impl Clone for Idle {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl PartialEq for Idle {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Gymnasium {
    /// The environment called `id`, with default settings.
    pub fn new(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            python: python(),
            arguments: BTreeMap::new(),
            episode_length: None,
            timeout: timeout(),
            idle: Idle::default(),
        }
    }

    /// A process for new episodes.
    fn process(&self) -> Result<Process, String> {
        match self.idle.take() {
            Some(process) => Ok(process),
            None => Ok(Process::start(self)?.0),
        }
    }

    /// Episodes from these seeds.
    ///
    /// # Errors
    /// If the environment cannot be made or reset.
    pub fn reset(&self, seeds: &[u32]) -> Result<GymnasiumEpisodes<'_>, String> {
        let description = Description::of(self)?;
        GymnasiumEpisodes::new(self, description, seeds)
    }
}

impl Declared for Gymnasium {
    const NAME: &'static str = "gymnasium";
    const SUMMARY: &'static str = "Any environment of Gymnasium, also your own, in a Python process.";
    const EQUATION: &'static str = "o_1 = env.reset(seed), (o_{t+1}, r_t) = env.step(u_t)";
    const EXAMPLE: Example<'static> = Example {
        data: "source = \"exploration\"\nenvironment = { kind = \"gymnasium\", id = \"Pendulum-v1\" }\ntrain = 400\ntest = 200\n\
               length = 20",
        model: "kind = \"neural_ssm\"\nstates = 3",
        ..Example::IMAGES
    };
}

impl Task for Gymnasium {
    /// Why the environment cannot be used, if it cannot: known by starting Python once for each setting.
    fn fault(&self) -> Option<String> {
        Description::of(self).err()
    }

    fn declaration(&self) -> Declaration {
        let known = Description::of(self).ok();
        Declaration {
            observation: known.map_or(vec![], |known| description::names("observation", known.observation)),
            action: known.map_or(vec![], Description::controls),
            horizon: known.map_or(0, |known| known.horizon),
            reward_unit: "reward of the environment",
            success: None,
            routes: vec![],
            has_expert: false,
            can_be_simulated: false,
            images: None,
            yardsticks: Yardsticks::default(),
            software: known.map_or(vec![], |known| known.software.clone().into_iter().collect()),
        }
    }

    fn begin<'a>(&'a self, starts: &mut [&mut dyn Rng]) -> Result<Box<dyn Episodes + 'a>, String> {
        let seeds: Vec<u32> = starts.iter_mut().map(|rng| rng.random()).collect();
        Ok(Box::new(self.reset(&seeds)?))
    }

    fn scripted(&self) -> Option<&dyn Expert> {
        None
    }

    fn collect(&self, _steps: usize, _length: usize, _rng: &mut dyn Rng) -> Option<Collected> {
        None
    }
}
