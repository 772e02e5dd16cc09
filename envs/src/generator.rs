//! The trait of data generators: rows to train on, the true density of a row, and reference values to compare a model
//! with.

use rand::Rng;

use crate::ImageShape;

/// Rows drawn from a generator, row-major: n rows, D observed columns, C given columns.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Points {
    /// The columns to model, `[n, D]`; empty if there are images.
    pub observed: Vec<f64>,
    /// The images to model, `[n, H, W, F]`, bytes from black, 0, to white, 255; empty without
    /// [`Generator::image_shape`].
    pub images: Vec<u8>,
    /// The columns to condition on, `[n, C]`; empty without given columns.
    pub given: Vec<f64>,
    /// The true component of each row, `[n]`, for scoring and never for training; empty without components.
    pub labels: Vec<usize>,
    /// The weight of each row, `[n]`, one on average; empty if all weights are one.
    pub weights: Vec<f64>,
    /// The number of the demonstration that each row is a step of, `[n]`, if rows are steps of demonstrations that a model
    /// takes for independent; empty otherwise.
    pub episodes: Vec<usize>,
    /// The number of steps of each sequence, if rows are the steps of sequences, one sequence after another; empty if
    /// rows are independent.
    pub lengths: Vec<usize>,
    /// The latent state from which each row was drawn, `[n, X]`, for scoring and never for training; empty without
    /// [`Generator::states`].
    pub states: Vec<f64>,
}

/// A value that a learnt model is compared with.
#[derive(Debug, Clone, PartialEq)]
pub struct Reference {
    /// A name in snake case. `oracle` is the best that any model can expect; others are named baselines.
    pub name: &'static str,
    /// For a [`Generator`] the expected log-likelihood, nats per datum; for an [`Environment`](crate::Environment) a mean
    /// return in its unit, or a success rate.
    pub value: f64,
    /// The model or controller that attains the value.
    pub text: &'static str,
}

/// A source of data with a known process, and in most cases a known density.
pub trait Generator: Send + Sync {
    /// The name in snake case, as in an experiment file.
    fn name(&self) -> &'static str;

    /// Names of the D columns to model.
    fn observed(&self) -> Vec<String>;

    /// The shape of an observed row, if it is an image. [`Generator::observed`] then names its bytes.
    fn image_shape(&self) -> Option<ImageShape> {
        None
    }

    /// Names of the C columns to condition on; empty for densities.
    fn given(&self) -> Vec<String> {
        Vec::new()
    }

    /// The first fault that the ranges of single keys do not cover: the key, what is expected, what came, what to try.
    /// The other methods are meaningful only if this is `Ok`; they never panic.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    /// Draws `rows` independent rows, or trajectories of several rows each if the generator's documentation says so.
    fn draw(&self, rows: usize, rng: &mut dyn Rng) -> Points;

    /// The true log-density of one row, nats: log p(observed) or log p(observed | given). −∞ for a row that cannot
    /// occur, `None` if the density cannot be computed: one row of a sequence has none of its own.
    fn log_prob(&self, _observed: &[f64], _given: &[f64]) -> Option<f64> {
        None
    }

    /// The dimensions X of the latent state that [`Points::states`] tells; 0 if it tells none.
    fn states(&self) -> usize {
        0
    }

    /// The names of these dimensions, `[X]`: x1, x2, … unless the generator has its own.
    fn state_names(&self) -> Vec<String> {
        (1..=self.states()).map(|number| format!("x{number}")).collect()
    }

    /// The steps of the longest sequence among `rows` rows, if rows are the steps of sequences; `None` if rows are
    /// independent, or steps of demonstrations.
    fn longest_sequence(&self, _rows: usize) -> Option<usize> {
        None
    }

    /// The true log-density of all steps of one sequence, nats; `None` if this crate cannot compute it.
    fn sequence_log_prob(&self, _observed: &[f64], _given: &[f64]) -> Option<f64> {
        None
    }

    /// The oracle, if it is known, then baselines: exact expectations, closed-form or by quadrature.
    fn references(&self) -> Vec<Reference> {
        Vec::new()
    }

    /// The true probabilities of the components that [`Points::labels`] number, if there are components.
    fn prior(&self) -> Option<Vec<f64>> {
        None
    }

    /// A fine grid of `rows` points weighted by the true density, the limit of a data set of infinite size; `None` if
    /// the generator has no grid.
    fn population(&self, _rows: usize) -> Option<Points> {
        None
    }
}
