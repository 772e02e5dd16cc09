//! E episodes in one process.

use super::description::Description;
use super::{Gymnasium, Process};
use latent_lab_envs::{Episode, Episodes, Frames, Observations};

/// The most bytes of a request: less than any pipe holds, so that sending one never waits for the process.
const REQUEST: usize = 32_768;

/// Episodes of an environment of Gymnasium.
#[derive(Debug)]
pub struct GymnasiumEpisodes<'a> {
    environment: &'a Gymnasium,
    description: &'static Description,
    /// None once it has failed.
    process: Option<Process>,
    /// The latest observations, `[E, O]`.
    observations: Vec<f64>,
    episodes: Vec<Episode>,
}

impl<'a> GymnasiumEpisodes<'a> {
    pub(super) fn new(
        environment: &'a Gymnasium,
        description: &'static Description,
        seeds: &[u32],
    ) -> Result<Self, String> {
        let mut own = Self {
            environment,
            description,
            process: Some(environment.process()?),
            observations: vec![0.0; seeds.len() * description.observation],
            episodes: vec![Episode::default(); seeds.len()],
        };
        let rows: Vec<(usize, u32)> = seeds.iter().copied().enumerate().collect();
        own.exchange(|own, process| {
            for some in rows.chunks(REQUEST / 8) {
                let mut request = b"R".to_vec();
                request.extend((some.len() as u32).to_le_bytes());
                let words = some.iter().flat_map(|(episode, seed)| [*episode as u32, *seed]);
                request.extend(words.flat_map(u32::to_le_bytes));
                process.send(&request).map_err(|reason| (some[0].0, reason))?;
                for (episode, _) in some {
                    own.observed(process, *episode, 0)?;
                }
            }
            Ok(())
        })?;
        Ok(own)
    }

    /// `env.unwrapped.state` of an episode; empty if the environment has no such numbers.
    ///
    /// # Errors
    /// If the process fails.
    pub fn state(&mut self, episode: usize) -> Result<Vec<f64>, String> {
        let mut state = Vec::new();
        self.exchange(|_, process| {
            let mut request = b"Q".to_vec();
            request.extend((episode as u32).to_le_bytes());
            let mut answer = || {
                process.send(&request)?;
                let count = process.answer(4)?;
                process.take(8 * count.try_into().map_or(0, u32::from_le_bytes) as usize)
            };
            state = numbers(&answer().map_err(|reason| (episode, reason))?);
            Ok(())
        })?;
        Ok(state)
    }

    /// Talks to the process. After a failure, which names the episode, the process has ended.
    fn exchange(
        &mut self,
        talk: impl FnOnce(&mut Self, &mut Process) -> Result<(), (usize, String)>,
    ) -> Result<(), String> {
        let id = &self.environment.id;
        let Some(mut process) = self.process.take() else {
            return Err(format!("`{id}` has failed before"));
        };
        match talk(self, &mut process) {
            Ok(()) => {
                self.process = Some(process);
                Ok(())
            }
            Err((episode, reason)) => {
                let of = match self.episodes.len() {
                    1 => String::new(),
                    all => format!(" of episode {} of {all}", episode + 1),
                };
                let at = match self.episodes.get(episode).map_or(0, |own| own.length) {
                    0 => format!("at the start{of}"),
                    steps => format!("at step {steps}{of}"),
                };
                Err(format!("`{id}` failed {at}: {reason}"))
            }
        }
    }

    /// Reads the next observation of an episode, and `further` bytes.
    fn observed(&mut self, process: &mut Process, episode: usize, further: usize) -> Result<Vec<u8>, (usize, String)> {
        let size = self.description.observation;
        let answer = process.answer(8 * size + further).map_err(|reason| (episode, reason))?;
        let (observation, rest) = answer.split_at(8 * size);
        let values = numbers(observation);
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            return Err((episode, format!("number {at} of the observation is {}", values[at])));
        }
        self.observations[episode * size..][..size].copy_from_slice(&values);
        Ok(rest.to_vec())
    }

    /// Steps these episodes by their actions, which one request can hold.
    fn step_some(&mut self, process: &mut Process, some: &[(usize, Vec<f64>)]) -> Result<(), (usize, String)> {
        let mut request = b"S".to_vec();
        request.extend((some.len() as u32).to_le_bytes());
        for (episode, action) in some {
            request.extend((*episode as u32).to_le_bytes());
            request.extend(action.iter().flat_map(|value| value.to_le_bytes()));
            self.episodes[*episode].length += 1;
        }
        process.send(&request).map_err(|reason| (some[0].0, reason))?;
        for (number, _) in some {
            let rest = self.observed(process, *number, 9)?;
            let (reward, ends) = (numbers(&rest[..8])[0], rest[8]);
            if !reward.is_finite() {
                return Err((*number, format!("the reward is {reward}")));
            }
            let episode = &mut self.episodes[*number];
            episode.reward = reward;
            episode.total_reward += reward;
            episode.terminated = ends == 1;
            episode.truncated = ends == 2;
        }
        Ok(())
    }
}

/// Little-endian numbers.
fn numbers(bytes: &[u8]) -> Vec<f64> {
    bytes
        .as_chunks()
        .0
        .iter()
        .map(|eight| f64::from_le_bytes(*eight))
        .collect()
}

impl Episodes for GymnasiumEpisodes<'_> {
    fn observe(&self) -> Observations {
        Observations::Vectors {
            values: self.observations.clone(),
            size: self.description.observation,
        }
    }

    fn images(&self) -> Option<Frames> {
        None
    }

    fn goals(&self) -> Option<Frames> {
        None
    }

    fn simulate(&self, _actions: &[f64], _steps: usize) -> Option<Vec<f64>> {
        None
    }

    fn step(&mut self, actions: &[f64]) -> Result<(), String> {
        let size = self.description.action.low.len().max(1);
        let rows = actions.chunks_exact(size).enumerate();
        let running = rows.filter(|(episode, _)| !self.episodes[*episode].over());
        let running: Vec<(usize, Vec<f64>)> = running
            .map(|(episode, action)| (episode, self.description.admissible(action)))
            .collect();
        self.exchange(|own, process| {
            if let Some((episode, _)) = running
                .iter()
                .find(|(_, action)| action.iter().any(|value| value.is_nan()))
            {
                own.episodes[*episode].length += 1;
                return Err((*episode, "the action is NaN".to_owned()));
            }
            let most = (REQUEST / (4 + 8 * size)).max(1);
            running.chunks(most).try_for_each(|some| own.step_some(process, some))
        })
    }

    fn episodes(&self) -> Vec<Episode> {
        self.episodes.clone()
    }

    fn over(&self) -> bool {
        self.episodes.iter().all(Episode::over)
    }
}

impl Drop for GymnasiumEpisodes<'_> {
    fn drop(&mut self) {
        if let Some(process) = self.process.take() {
            self.environment.idle.put(process);
        }
    }
}
