//! Images of an environment's state, and sequences of images with actions to learn from.
//!
//! An environment that can be seen hands out [`Images`]: how a state is rendered to grey bytes, and how data are
//! collected. [`collect`] draws sequences
//!
//! s₁ from a wide distribution, o_t = image of s_t, u_t at random, s_{t+1} = f(s_t, u_t),
//!
//! which are data for p(o_1, …, o_T | u_1, …, u_T). The true states go along for scoring and never for training.

use rand::Rng;

use crate::{Control, Environment};

/// The shape of an image observation: `[H, W, F]`, with the frames of each pixel next to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageShape {
    /// Rows of pixels, H.
    pub height: usize,
    /// Columns of pixels, W.
    pub width: usize,
    /// Consecutive grey frames, F, the oldest first.
    pub frames: usize,
}

impl ImageShape {
    /// The bytes of one observation, H W F.
    pub fn len(&self) -> usize {
        self.height * self.width * self.frames
    }

    /// Whether an observation has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Which numbers of the true state are drawn as a trajectory; they are counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Portrait {
    /// A place in the image, in pixels.
    Pixels {
        /// The number of its row.
        row: usize,
        /// The number of its column.
        column: usize,
    },
    /// An angle against its velocity: a phase portrait.
    Phase {
        /// The sine of the angle.
        sine: usize,
        /// The cosine of the angle.
        cosine: usize,
        /// Its velocity, rad/s.
        velocity: usize,
    },
}

impl Portrait {
    /// Where a state with these numbers is drawn: column and row in pixels, or an angle in rad and its velocity in rad/s.
    pub fn place(self, numbers: &[f64]) -> (f64, f64) {
        let at = |index: usize| numbers.get(index).copied().unwrap_or(f64::NAN);
        match self {
            Self::Pixels { row, column } => (at(column), at(row)),
            Self::Phase { sine, cosine, velocity } => (at(sine).atan2(at(cosine)), at(velocity)),
        }
    }
}

/// How data are collected by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Steps of each sequence.
    pub length: usize,
    /// The usual number of transitions from one step of a sequence to the next.
    pub transitions: usize,
}

impl Budget {
    /// The steps of sequences of `length` steps, at least 2, which have these transitions in all.
    pub fn steps(&self, length: usize) -> usize {
        let per_sequence = length.max(2) - 1;
        self.transitions + self.transitions.div_ceil(per_sequence)
    }
}

/// The capability of an environment to be seen, and to be explored for data.
pub trait Images: Send + Sync {
    /// The state of the environment.
    type State;

    /// The shape of an observation.
    fn shape(&self) -> ImageShape;

    /// Renders the observation of `state`, `[H, W, F]`: bytes from black, 0, to white, 255.
    fn render(&self, state: &Self::State, into: &mut [u8]);

    /// Renders an observation at the goal of `state`, `[H, W, F]`.
    fn render_goal(&self, state: &Self::State, into: &mut [u8]);

    /// How many of the first numbers of [`Environment::observation`] are the true state. Those that follow are the goal.
    fn true_state(&self) -> usize;

    /// How a trajectory of true states is drawn.
    fn portrait(&self) -> Portrait;

    /// How data are collected by default.
    fn budget(&self) -> Budget;

    /// The numbers of an action in data. Their bounds may differ from those of [`Environment::action`].
    fn exploration(&self) -> Vec<Control>;

    /// A state for the first step of a sequence.
    fn scatter(&self, rng: &mut dyn Rng) -> Self::State;

    /// Draws an action of [`exploration`](Self::exploration) and moves `state` by it. Never ends an episode.
    fn explore(&self, state: &mut Self::State, rng: &mut dyn Rng) -> Vec<f64>;
}

/// Images of N states.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frames {
    /// The bytes, `[N, H, W, F]`.
    pub pixels: Vec<u8>,
    /// The shape of each image.
    pub shape: ImageShape,
}

/// Sequences of images with actions: n steps of all sequences, one sequence after another.
#[derive(Debug, Clone, PartialEq)]
pub struct Collected {
    /// The images, `[n, H, W, F]`.
    pub frames: Frames,
    /// The action after each image, `[n, A]`. The image after the last one of a sequence is not part of the data.
    pub actions: Vec<f64>,
    /// The true state of each image, `[n, X]`: for scoring, never for training.
    pub states: Vec<f64>,
    /// The steps of each sequence.
    pub lengths: Vec<usize>,
}

/// Collects `steps` steps in sequences of `length`; the last sequence may be shorter. None if the environment has no
/// images.
pub fn collect<E: Environment>(environment: &E, steps: usize, length: usize, rng: &mut dyn Rng) -> Option<Collected> {
    let images = environment.images()?;
    let shape = images.shape();
    let mut pixels = vec![0; steps * shape.len()];
    let mut rows = pixels.chunks_exact_mut(shape.len().max(1));
    let mut numbers = vec![0.0; environment.observation_size()];
    let (mut actions, mut states, mut lengths) = (vec![], vec![], vec![]);
    let mut left = steps;
    while left > 0 {
        let own = left.min(length.max(1));
        let mut state = images.scatter(rng);
        for row in rows.by_ref().take(own) {
            images.render(&state, row);
            environment.observe(&state, &mut numbers);
            states.extend(&numbers[..images.true_state().min(numbers.len())]);
            actions.extend(images.explore(&mut state, rng));
        }
        lengths.push(own);
        left -= own;
    }
    let frames = Frames { pixels, shape };
    Some(Collected {
        frames,
        actions,
        states,
        lengths,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_portrait_is_a_place_or_a_phase() {
        let pixels = Portrait::Pixels { row: 0, column: 1 };
        assert_eq!(pixels.place(&[3.0, 4.0, 9.0]), (4.0, 3.0));
        let phase = Portrait::Phase {
            sine: 0,
            cosine: 1,
            velocity: 2,
        };
        let (angle, velocity) = phase.place(&[1.0, 0.0, -2.0]);
        assert!((angle - std::f64::consts::FRAC_PI_2).abs() < 1e-15 && velocity == -2.0);
        assert!(phase.place(&[1.0, 0.0]).1.is_nan());
    }

    #[test]
    fn a_budget_counts_transitions_and_not_steps() {
        let budget = Budget {
            length: 10,
            transitions: 5000,
        };
        for length in [2, 3, 10, 15, 5001, 9000] {
            let steps = budget.steps(length);
            let transitions = steps - steps.div_ceil(length);
            assert_eq!(transitions, 5000, "{length}");
        }
    }
}
