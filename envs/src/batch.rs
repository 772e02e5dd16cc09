//! Many episodes of one environment side by side, behind an object-safe trait.
//!
//! [`Task`] is what an [`Environment`] is to a caller that does not know its type; every environment is one. A program
//! outside this one, such as a simulator in another process, can be a task as well. [`Batch`] keeps the states of E
//! episodes and the sums over their steps:
//!
//! return of episode e = Σ_t r_{e,t}, over the steps until it terminates or is truncated.

use rand::Rng;

use crate::{
    Budget, Collected, Control, Environment, Expert, Frames, ImageShape, Images, Portrait, Yardsticks, collect,
};

/// What E episodes show as numbers. Their images are [`Episodes::images`].
#[derive(Debug, Clone, PartialEq)]
pub enum Observations {
    /// A vector of numbers per episode, `[E, O]`, row-major.
    Vectors {
        /// The numbers, one episode after another.
        values: Vec<f64>,
        /// The length O of an observation.
        size: usize,
    },
}

/// What an environment declares.
#[derive(Debug, Clone, PartialEq)]
pub struct Declaration {
    /// The names of the numbers of an observation.
    pub observation: Vec<&'static str>,
    /// The numbers of an action.
    pub action: Vec<Control>,
    /// Steps after which an episode is truncated.
    pub horizon: usize,
    /// The unit of the reward.
    pub reward_unit: &'static str,
    /// What a successful episode is, in words; none if there are only rewards.
    pub success: Option<&'static str>,
    /// The names of the ways to solve the task; empty if they are not told apart.
    pub routes: Vec<&'static str>,
    /// Whether there is a scripted controller that solves the task.
    pub has_expert: bool,
    /// Whether [`Episodes::simulate`] can copy the states of its episodes.
    pub can_be_simulated: bool,
    /// What its images are; none if it has none.
    pub images: Option<ImageDeclaration>,
    /// Scores to compare with.
    pub yardsticks: Yardsticks,
    /// The programs outside this one that it runs in, each with its version: `("gymnasium", "1.4.0")`.
    pub software: Vec<(String, String)>,
}

/// What the images of an environment are, and how data are collected: see [`Images`].
#[derive(Debug, Clone, PartialEq)]
pub struct ImageDeclaration {
    /// The shape of an observation.
    pub shape: ImageShape,
    /// The names of the numbers of the true state.
    pub true_state: Vec<&'static str>,
    /// The numbers of an action in data.
    pub exploration: Vec<Control>,
    /// How a trajectory of true states is drawn.
    pub portrait: Portrait,
    /// How data are collected by default.
    pub budget: Budget,
}

/// How one episode stands.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Episode {
    /// The sum of its rewards so far.
    pub total_reward: f64,
    /// The reward of its last step; 0 before the first.
    pub reward: f64,
    /// Steps taken.
    pub length: usize,
    /// The task ended, in success or failure.
    pub terminated: bool,
    /// The time limit ended it.
    pub truncated: bool,
    /// Whether it succeeded; none if the environment declares no success.
    pub success: Option<bool>,
    /// The way that it took, if the environment declares ways and one was taken.
    pub route: Option<usize>,
}

impl Episode {
    /// Whether it is over.
    pub fn over(&self) -> bool {
        self.terminated || self.truncated
    }
}

/// E episodes that are stepped together.
pub trait Episodes {
    /// What every episode shows now, `[E, O]`. A finished episode shows its last state.
    fn observe(&self) -> Observations;

    /// The image of every episode now, `[E, H, W, F]`; none if the environment has no images.
    fn images(&self) -> Option<Frames>;

    /// An image at the goal of every episode, `[E, H, W, F]`; none if the environment has no images.
    fn goals(&self) -> Option<Frames>;

    /// The sum of [`Environment::planning_cost`] over the steps of N sequences of `steps` actions from the present state of
    /// every episode, `[E, N]`; `actions` are `[E, N, steps, A]`, row-major. The episodes do not change. None if states
    /// cannot be copied.
    fn simulate(&self, actions: &[f64], steps: usize) -> Option<Vec<f64>>;

    /// Steps every episode by its row of `actions`, `[E, A]`, row-major. A finished episode does not change.
    ///
    /// # Errors
    /// Why the environment cannot go on. An [`Environment`] always can.
    fn step(&mut self, actions: &[f64]) -> Result<(), String>;

    /// How each episode stands, `[E]`.
    fn episodes(&self) -> Vec<Episode>;

    /// Whether every episode is over.
    fn over(&self) -> bool;
}

/// An environment of any kind.
pub trait Task: Send + Sync {
    /// The first fault of its keys; see [`Environment::fault`].
    fn fault(&self) -> Option<String>;

    /// What it declares; without meaning if there is a fault.
    fn declaration(&self) -> Declaration;

    /// A fresh episode for each generator.
    ///
    /// # Errors
    /// Why the environment cannot begin. An [`Environment`] always can.
    fn begin<'a>(&'a self, starts: &mut [&mut dyn Rng]) -> Result<Box<dyn Episodes + 'a>, String>;

    /// Its scripted controller; none if there is none.
    fn scripted(&self) -> Option<&dyn Expert>;

    /// Sequences of images with actions; see [`collect`].
    fn collect(&self, steps: usize, length: usize, rng: &mut dyn Rng) -> Option<Collected>;
}

/// E episodes of an environment of a known type.
#[derive(Debug)]
pub struct Batch<'a, E: Environment> {
    environment: &'a E,
    states: Vec<E::State>,
    episodes: Vec<Episode>,
}

impl<'a, E: Environment> Batch<'a, E> {
    /// A fresh episode for each generator.
    pub fn new(environment: &'a E, starts: &mut [&mut dyn Rng]) -> Self {
        let states: Vec<E::State> = starts.iter_mut().map(|rng| environment.reset(*rng)).collect();
        let mut batch = Self {
            environment,
            episodes: vec![Episode::default(); states.len()],
            states,
        };
        for (state, episode) in batch.states.iter().zip(&mut batch.episodes) {
            episode.success = environment.success(state);
            episode.route = environment.route(state);
        }
        batch
    }

    /// An image of every state by `render`.
    fn frames(&self, render: impl Fn(&dyn Images<State = E::State>, &E::State, &mut [u8])) -> Option<Frames> {
        let images = self.environment.images()?;
        let shape = images.shape();
        let mut pixels = vec![0; self.states.len() * shape.len()];
        for (state, into) in self.states.iter().zip(pixels.chunks_mut(shape.len().max(1))) {
            render(images, state, into);
        }
        Some(Frames { pixels, shape })
    }

    /// The states of the episodes, `[E]`.
    pub fn into_states(self) -> Vec<E::State> {
        self.states
    }
}

impl<E: Environment> Episodes for Batch<'_, E> {
    fn observe(&self) -> Observations {
        let size = self.environment.observation_size();
        let mut values = vec![0.0; self.states.len() * size];
        for (state, into) in self.states.iter().zip(values.chunks_mut(size.max(1))) {
            self.environment.observe(state, into);
        }
        Observations::Vectors { values, size }
    }

    fn images(&self) -> Option<Frames> {
        self.frames(|images, state, into| images.render(state, into))
    }

    fn goals(&self) -> Option<Frames> {
        self.frames(|images, state, into| images.render_goal(state, into))
    }

    fn simulate(&self, actions: &[f64], steps: usize) -> Option<Vec<f64>> {
        let size = self.environment.action_size().max(1);
        let per_episode = (actions.len() / self.states.len().max(1)).max(1);
        let sequences = |(state, own): (&E::State, &[f64])| -> Vec<f64> {
            let cost = |sequence: &[f64]| {
                let mut state = state.clone();
                let costs = sequence.chunks_exact(size).map(|action| {
                    let step = self.environment.step(&mut state, action);
                    self.environment.planning_cost(&state, step)
                });
                costs.sum()
            };
            own.chunks_exact((steps * size).max(1)).map(cost).collect()
        };
        let own = actions.chunks_exact(per_episode);
        Some(self.states.iter().zip(own).flat_map(sequences).collect())
    }

    fn step(&mut self, actions: &[f64]) -> Result<(), String> {
        let actions = actions.chunks(self.environment.action_size().max(1));
        for ((state, episode), action) in self.states.iter_mut().zip(&mut self.episodes).zip(actions) {
            if episode.over() {
                continue;
            }
            let step = self.environment.step(state, action);
            episode.total_reward += step.reward;
            episode.reward = step.reward;
            episode.length += 1;
            episode.terminated = step.terminated;
            episode.truncated = step.truncated;
            episode.success = self.environment.success(state);
            episode.route = self.environment.route(state);
        }
        Ok(())
    }

    fn episodes(&self) -> Vec<Episode> {
        self.episodes.clone()
    }

    fn over(&self) -> bool {
        self.episodes.iter().all(Episode::over)
    }
}

impl<E: Environment> Task for E {
    fn fault(&self) -> Option<String> {
        Environment::fault(self)
    }

    fn declaration(&self) -> Declaration {
        let observation = self.observation();
        let images = self.images().map(|images| ImageDeclaration {
            shape: images.shape(),
            true_state: observation.iter().copied().take(images.true_state()).collect(),
            exploration: images.exploration(),
            portrait: images.portrait(),
            budget: images.budget(),
        });
        Declaration {
            observation,
            action: self.action(),
            horizon: self.horizon(),
            reward_unit: self.reward_unit(),
            success: self.success_rule(),
            routes: self.routes(),
            has_expert: self.expert().is_some(),
            can_be_simulated: true,
            images,
            yardsticks: self.yardsticks(),
            software: vec![],
        }
    }

    fn begin<'a>(&'a self, starts: &mut [&mut dyn Rng]) -> Result<Box<dyn Episodes + 'a>, String> {
        Ok(Box::new(Batch::new(self, starts)))
    }

    fn scripted(&self) -> Option<&dyn Expert> {
        self.expert()
    }

    fn collect(&self, steps: usize, length: usize, rng: &mut dyn Rng) -> Option<Collected> {
        collect(self, steps, length, rng)
    }
}
