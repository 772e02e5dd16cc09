//! What a data generator is: rows to learn from, the true density of a row, and values to hold a model against.

use rand::Rng;

/// Rows drawn from a generator, row-major: n rows, D observed columns, C given ones.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Points {
    /// The columns to model, `[n, D]`.
    pub observed: Vec<f64>,
    /// The columns to condition on, `[n, C]`; empty where nothing is given.
    pub given: Vec<f64>,
    /// The true component of each row, `[n]`, for scoring and never for training; empty where there is none.
    pub labels: Vec<usize>,
    /// The weight of each row, `[n]`, one on average; empty where all are one.
    pub weights: Vec<f64>,
    /// Steps of each sequence, where rows are the steps of sequences one after another; empty where rows are independent.
    pub lengths: Vec<usize>,
}

/// A value that a learnt model is compared with.
#[derive(Debug, Clone, PartialEq)]
pub struct Reference {
    /// A name in snake case. `oracle` is the best that any model can expect; others are named baselines.
    pub name: &'static str,
    /// For a [`Generator`] the expected log-likelihood, nats per datum; for an
    /// [`Environment`](crate::Environment) the unit that `text` states.
    pub value: f64,
    /// What attains the value.
    pub text: &'static str,
}

/// A source of data whose density is known, or at least its process.
pub trait Generator: Send + Sync {
    /// The name in snake case, as an experiment file spells it.
    fn name(&self) -> &'static str;

    /// Names of the D columns to model.
    fn observed(&self) -> Vec<String>;

    /// Names of the C columns to condition on; empty for densities.
    fn given(&self) -> Vec<String>;

    /// The first fault that single ranges cannot state: the key, what is expected, what came, what to try. The other
    /// methods are meaningful only where this is `Ok`; they never panic.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    /// Draws `rows` independent rows, or trajectories of several rows each where the generator says so.
    fn draw(&self, rows: usize, rng: &mut dyn Rng) -> Points;

    /// The true log-density of one row, nats: log p(observed) or log p(observed | given). −∞ for a row that cannot
    /// occur, `None` where the density has no computable form.
    fn log_prob(&self, observed: &[f64], given: &[f64]) -> Option<f64>;

    /// The oracle, where it is known, then baselines: exact expectations, closed-form or by quadrature.
    fn references(&self) -> Vec<Reference>;

    /// The true probabilities of the components that [`Points::labels`] number, where there are components.
    fn prior(&self) -> Option<Vec<f64>> {
        None
    }

    /// A fine grid of `rows` points weighted by the true density, the data set of infinite size; `None` where the
    /// generator has no grid.
    fn population(&self, _rows: usize) -> Option<Points> {
        None
    }
}
