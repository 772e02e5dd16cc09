//! State spaces as tensors with gradients: what posteriors of paths need of a model.

use super::Normal;
use crate::Result;
use crate::data::{Steps, repeated};
use crate::nn::{Activation, GaussianRecursion};
use candle_core::Tensor;
use std::fmt::Debug;

/// What a state space carries from step to step, for N = B·S rows: the state and, where the transition has one, its
/// deterministic part.
#[derive(Debug, Clone)]
pub struct Carried {
    /// x_t. `[N, X]`
    pub state: Tensor,
    /// h_t, a function of x_1 … x_{t−1} and the inputs. `[N, H]`
    pub deterministic: Option<Tensor>,
}

/// Consecutive steps of all sequences, for S samples of each: N = B·S·count rows, ordered by sequence, then by sample,
/// then by step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first step, from 0.
    pub from: usize,
    /// How many steps.
    pub count: usize,
    /// S.
    pub samples: usize,
}

impl Span {
    /// Step `t` alone.
    pub fn step(t: usize, samples: usize) -> Self {
        Self {
            from: t,
            count: 1,
            samples,
        }
    }

    /// These steps of a tensor, for all samples. `[B, T, D] → [N, D]`
    pub fn rows(&self, tensor: &Tensor) -> Result<Tensor> {
        let part = repeated(&tensor.narrow(1, self.from, self.count)?.contiguous()?, self.samples)?;
        Ok(part.flatten_to(1)?)
    }
}

/// p(x_2 … x_T | x_1, u) as one operation.
#[derive(Debug, Clone)]
pub struct TransitionRecursion {
    /// x_2 … x_T.
    pub steps: GaussianRecursion,
    /// Raw standard deviations, if they are the same everywhere. `[1, X]`
    pub raw: Option<Tensor>,
}

/// The mean of p(x_{t+1} | x_t, u_t) as dense layers of `[x, u]`, u in the units of the sequences' inputs.
#[derive(Debug, Clone)]
pub struct MeanNetwork {
    /// Weights `[I, O]` and biases `[O]`, from X + U numbers to X.
    pub layers: Vec<(Tensor, Tensor)>,
    /// The function between layers.
    pub activation: Activation,
    /// Whether the result is added to x.
    pub is_residual: bool,
}

/// p(x_1), p(x_{t+1} | x_t, u_t) and p(o_t | x_t) of the sequences of one batch under one θ. Steps count from 0. Rows are
/// ordered by sequence, then by sample.
pub trait Sequential: Debug + Send + Sync {
    /// X.
    fn states(&self) -> usize;

    /// The sequences.
    fn steps(&self) -> &Steps;

    /// What networks see of the observations: o_t without rewards, standardised over the training steps, missing values as 0;
    /// where the training steps have missing values, followed by 1 for each value that is there. `[B, T, F]`
    fn features(&self) -> &Tensor;

    /// The inputs u_t, standardised over the training steps. `[B, T, U]`
    fn standardized_inputs(&self) -> Option<&Tensor>;

    /// p(x_1). `[1, X]`
    fn initial(&self) -> Result<Normal>;

    /// What is carried at step 0 with these states `[N, X]`.
    fn begin(&self, states: Tensor) -> Result<Carried>;

    /// p(x_{t+1} | x_t, u_t), and the deterministic part at t + 1.
    fn transition(&self, t: usize, carried: &Carried) -> Result<(Normal, Option<Tensor>)> {
        let samples = carried.state.dim(0)? / self.steps().dims().0;
        self.transitions(Span::step(t, samples), carried)
    }

    /// The same for these steps side by side, each with what it carries. N rows
    fn transitions(&self, steps: Span, carried: &Carried) -> Result<(Normal, Option<Tensor>)>;

    /// p(x_{t+1} | x_t, u) under other inputs than those of the sequences, in their units `[N, U]`, and the deterministic
    /// part after it. N rows
    fn transitions_under(&self, inputs: Option<&Tensor>, carried: &Carried) -> Result<(Normal, Option<Tensor>)>;

    /// The mean of the transition as dense layers, if it is linear or a perceptron.
    fn mean_network(&self) -> Result<Option<MeanNetwork>>;

    /// p(x_{t+1} | x_t, u_t) of t = 0 … T − 2 at paths `[B·S, T, X]`. `[B·S·(T − 1), X]`
    fn transitions_along(&self, paths: &Tensor) -> Result<Normal>;

    /// What is carried at every step of paths `[B, S, T, X]`. N = B·S·T rows
    fn carried(&self, paths: &Tensor) -> Result<Carried>;

    /// The transition as a recursion, if it is linear or has one hidden layer.
    fn recursion(&self) -> Result<Option<TransitionRecursion>>;

    /// log p(o_t | x_t), in nats; 0 beyond the end of a sequence and where nothing is observed. `[N]`
    fn emission(&self, t: usize, carried: &Carried) -> Result<Tensor>;

    /// E[r_t | x_t, u] of the observed columns that are rewards, in their units, under inputs in theirs `[N, U]`; none if no
    /// column is a reward. `[N, R]`
    fn rewards_under(&self, inputs: Option<&Tensor>, carried: &Carried) -> Result<Option<Tensor>>;

    /// p(o_t | x_t) = N(C x_t + d, diag r), if it is that.
    fn linear_emission(&self) -> Result<Option<LinearEmission>>;
}

/// A linear Gaussian emission, in the units of the observations.
#[derive(Debug, Clone)]
pub struct LinearEmission {
    /// C. `[O, X]`
    pub matrix: Tensor,
    /// d. `[1, O]`
    pub offset: Tensor,
    /// r. `[1, O]`
    pub variances: Tensor,
}

impl LinearEmission {
    /// The same numbers, detached.
    pub fn detached(&self) -> Self {
        Self {
            matrix: self.matrix.detach(),
            offset: self.offset.detach(),
            variances: self.variances.detach(),
        }
    }
}
