//! A trained model of sequences as a controller: it encodes what it sees, plans in latent space, and acts.
//!
//! In every step, the posterior encodes the last W observations of each episode with the actions between them
//! ([`Encoder`](super::encoder::Encoder)); a planner minimises Σ_h c(x_{h+1}) under the learnt transition
//! ([`Latent`](super::latent::Latent)). The goal is an image, encoded once as W equal images under actions of 0: a system at
//! rest, so that a family that sees velocities sees that there is none. The cost `reward` has no goal; what is observed then
//! ends with the reward of each step, which is missing in the last one.
//!
//! With `remembers_refused`, an action is called refused if the encoded observation did not move although the model said it
//! would: by less than a twentieth of the predicted distance, after an action of at least 0.3 of half its range. For the rest
//! of the episode, first actions near it are excluded wherever the state is within half the predicted distance of where it was
//! refused.

use super::encoder::Encoder;
use super::latent::{Cost, Goal, Latent};
use super::transitions::Transitions;
use super::{Planner, Plans};
use crate::Result;
use crate::control::{Acting, Agent};
use crate::error::provided;
use crate::math::streams::{Generator, Stream, Streams};
use latent_lab_envs::{Control, Episodes, Frames, Observations};
use rand::RngExt;
use rand_distr::StandardNormal;
use std::collections::VecDeque;

/// The share of the predicted distance below which an observation did not move.
const UNMOVED: f64 = 0.05;
/// The share of the predicted distance within which a state is where an action was refused.
const REACH: f64 = 0.5;
/// The smallest action, in units of half the range, that can be refused.
const SMALLEST: f64 = 0.3;

/// A trained model with a planner.
#[derive(Debug)]
pub struct LatentAgent<'a> {
    /// The posterior with its model.
    pub encoder: Encoder<'a>,
    /// f.
    pub transitions: Transitions,
    /// The planner.
    pub planner: Planner,
    /// c.
    pub cost: Cost,
    /// W.
    pub window: usize,
    /// Whether refused actions are remembered.
    pub remembers_refused: bool,
    /// The numbers of an action.
    pub controls: Vec<Control>,
    /// The columns of an observation in the data: what the environment shows, and the reward if the data have it.
    pub observed: usize,
    /// The standard deviation of Gaussian noise that is added to every action, in units of half its range.
    pub noise: f64,
}

impl<'a> LatentAgent<'a> {
    /// An agent for observations of this many numbers.
    ///
    /// # Errors
    /// If the model has no states as tensors.
    pub fn new(
        encoder: Encoder<'a>,
        observed: usize,
        controls: Vec<Control>,
        planner: Planner,
        (cost, window, remembers_refused): (Cost, usize, bool),
    ) -> Result<Self> {
        let model = encoder.sequence(&vec![0.0; observed], observed, &vec![0.0; controls.len()])?;
        Ok(Self {
            transitions: Transitions::new(model, encoder.standardization, controls.len())?,
            encoder,
            planner,
            cost,
            window: window.max(1),
            remembers_refused,
            controls,
            observed,
            noise: 0.0,
        })
    }

    /// The same with Gaussian noise of this standard deviation, in units of half the range, added to every action: it explores.
    #[must_use]
    pub fn with_noise(self, noise: f64) -> Self {
        Self { noise, ..self }
    }

    /// One action `[U]` with its noise, between its bounds.
    fn explored(&self, action: &[f64], generator: &mut Generator) -> Vec<f64> {
        let pairs = action.iter().zip(&self.controls);
        let noisy = |(u, own): (&f64, &Control)| {
            let noise: f64 = generator.sample(StandardNormal);
            (u + 0.5 * self.noise * (own.high - own.low) * noise).clamp(own.low, own.high)
        };
        pairs.map(noisy).collect()
    }

    /// The encoded goals of E episodes, from their images `[E, H, W, F]`.
    fn goals(&self, images: &[Vec<f64>], streams: &[Stream]) -> Result<Vec<Goal>> {
        let goals = images.iter().zip(streams).map(|(image, stream)| {
            let (columns, u) = (image.len(), self.controls.len());
            let still = vec![0.0; u * self.window];
            let repeated = image.repeat(self.window);
            // Random numbers that no step of the episode takes.
            let generator = &mut stream.at(u64::MAX);
            let state = self.encoder.encode(&repeated, columns, &still, generator)?;
            Ok(Goal {
                weight: self.cost.weight(&state, &self.transitions, &self.controls)?,
                seen: self.encoder.sequence(image, columns, &vec![0.0; u])?,
                state,
            })
        });
        goals.collect()
    }
}

/// One row of numbers per episode: bytes of images from 0 to 1.
fn rows(frames: &Frames) -> Vec<Vec<f64>> {
    let row = |pixels: &[u8]| pixels.iter().map(|byte| f64::from(*byte) / 255.0).collect();
    frames.pixels.chunks_exact(frames.shape.len().max(1)).map(row).collect()
}

/// What each episode shows: its image if it has one, else its numbers.
fn seen(episodes: &dyn Episodes) -> Vec<Vec<f64>> {
    match episodes.images() {
        Some(frames) => rows(&frames),
        None => {
            let Observations::Vectors { values, size } = episodes.observe();
            values.chunks_exact(size.max(1)).map(<[f64]>::to_vec).collect()
        }
    }
}

/// What the agent remembers of one episode.
#[derive(Debug, Default)]
struct Memory {
    /// The last W observations.
    observations: VecDeque<Vec<f64>>,
    /// The actions after all of them but the last.
    actions: VecDeque<Vec<f64>>,
    /// The encoded state before the last action, and where the action should have led.
    expected: Option<(Vec<f64>, Vec<f64>)>,
    /// Actions that were refused.
    refused: Vec<Refused>,
}

/// An action that was refused, and where: within `reach` of `state`.
#[derive(Debug, Clone, PartialEq)]
struct Refused {
    state: Vec<f64>,
    reach: f64,
    action: Vec<f64>,
}

struct LatentActing<'a> {
    agent: &'a LatentAgent<'a>,
    plans: Plans<'a>,
    goals: Option<Vec<Goal>>,
    memories: Vec<Memory>,
    streams: Vec<Stream>,
    noise: Vec<Stream>,
    step: u64,
}

impl Agent for LatentAgent<'_> {
    fn begin<'a>(&'a self, episodes: usize, streams: &Streams) -> Box<dyn Acting + 'a> {
        Box::new(LatentActing {
            agent: self,
            plans: Plans::new(&self.planner, &self.controls, episodes, streams),
            goals: None,
            memories: (0..episodes).map(|_| Memory::default()).collect(),
            streams: (0..episodes).map(|e| streams.named(&format!("encode/{e}"))).collect(),
            noise: (0..episodes).map(|e| streams.named(&format!("explore/{e}"))).collect(),
            step: 0,
        })
    }
}

impl Acting for LatentActing<'_> {
    fn act(&mut self, episodes: &dyn Episodes) -> Result<Vec<f64>> {
        let agent = self.agent;
        let goals = match self.goals.take() {
            Some(goals) => goals,
            None if !agent.cost.needs_goal() => Vec::new(),
            None => {
                let frames = provided(episodes.goals(), "an image of the goal")?;
                agent.goals(&rows(&frames), &self.streams)?
            }
        };
        let mut states = Vec::new();
        let shown = seen(episodes).into_iter().zip(episodes.episodes());
        for ((memory, (seen, episode)), stream) in self.memories.iter_mut().zip(shown).zip(&self.streams) {
            let seen = memory.completed(agent.observed, seen, episode.reward);
            states.push(memory.encoded(agent, seen, stream, self.step)?);
        }
        let at = self.memories.iter().zip(&states);
        let refused: Vec<Vec<Vec<f64>>> = at.map(|(memory, state)| memory.refused_at(state)).collect();
        let latent = Latent {
            transitions: &agent.transitions,
            controls: &agent.controls,
            cost: agent.cost,
            states: &states,
            goals: &goals,
            refused: &refused,
        };
        let mut actions = self.plans.act(&latent)?;
        if agent.noise > 0.0 {
            let own = actions.chunks_exact(agent.controls.len().max(1)).zip(&self.noise);
            actions = own
                .flat_map(|(action, stream)| agent.explored(action, &mut stream.at(self.step)))
                .collect();
        }
        let expected = match agent.remembers_refused {
            true => agent.transitions.next(&states.concat(), &actions)?,
            false => Vec::new(),
        };
        let mut expected = expected.chunks_exact(agent.transitions.width());
        let own = actions.chunks_exact(agent.controls.len().max(1));
        for ((memory, state), action) in self.memories.iter_mut().zip(states).zip(own) {
            memory.actions.push_back(action.to_vec());
            memory.expected = expected.next().map(|expected| (state, expected.to_vec()));
        }
        self.goals = Some(goals);
        self.step += 1;
        Ok(actions)
    }
}

impl Memory {
    /// What an episode shows now as a row of `columns` numbers, the reward of the coming action missing. The row before gets
    /// the `reward` of the last action.
    fn completed(&mut self, columns: usize, mut seen: Vec<f64>, reward: f64) -> Vec<f64> {
        let shown = seen.len();
        if let Some(rewards) = self.observations.back_mut().and_then(|row| row.get_mut(shown..)) {
            rewards.fill(reward);
        }
        seen.resize(columns.max(shown), f64::NAN);
        seen
    }

    /// The encoded present, with this observation; remembers the last action if it was refused.
    fn encoded(&mut self, agent: &LatentAgent, seen: Vec<f64>, stream: &Stream, step: u64) -> Result<Vec<f64>> {
        let columns = seen.len();
        // A window of one observation has no action in it.
        let last = self.actions.back().cloned();
        self.observations.push_back(seen);
        while self.observations.len() > agent.window {
            self.observations.pop_front();
        }
        while self.actions.len() + 1 > self.observations.len() {
            self.actions.pop_front();
        }
        let observed: Vec<f64> = self.observations.iter().flatten().copied().collect();
        let mut actions: Vec<f64> = self.actions.iter().flatten().copied().collect();
        actions.extend(agent.controls.iter().map(|own| 0.5 * (own.low + own.high)));
        let state = agent
            .encoder
            .encode(&observed, columns, &actions, &mut stream.at(step))?;
        if let (Some((before, expected)), Some(action)) = (self.expected.take(), last) {
            let x = agent.transitions.states;
            self.remember(&agent.controls, [&before[..x], &expected[..x], &state[..x]], action);
        }
        Ok(state)
    }

    /// Adds `action` to the refused ones if the state did not move from `before` although it was expected to.
    fn remember(&mut self, controls: &[Control], [before, expected, now]: [&[f64]; 3], action: Vec<f64>) {
        let units = action
            .iter()
            .zip(controls)
            .map(|(u, own)| u / (0.5 * (own.high - own.low)));
        let is_action = units.map(|u| u * u).sum::<f64>().sqrt() >= SMALLEST;
        let predicted = distance(expected, before);
        if is_action && distance(now, before) < UNMOVED * predicted {
            self.refused.push(Refused {
                state: before.to_vec(),
                reach: REACH * predicted,
                action,
            });
        }
    }

    /// The actions that were refused at this state, or near it.
    fn refused_at(&self, state: &[f64]) -> Vec<Vec<f64>> {
        let here = self
            .refused
            .iter()
            .filter(|own| distance(&own.state, state) < own.reach);
        here.map(|own| own.action.clone()).collect()
    }
}

/// The Euclidean distance over the numbers that both have.
fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
}

#[cfg(test)]
#[path = "latent_agent_tests.rs"]
mod tests;
