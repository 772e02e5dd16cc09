//! The expectation step of closed-form EM: one pass over the data that stores nothing of size N × K.
//!
//! Per block of points: log joints `log w_k N(y; B_k [x; 1], Σ_k)`, responsibilities `r`, and the weighted moments
//! `Σ_i w_i r_ik u_i u_iᵀ` of `u = [1; x − x̄; y − ȳ]`, all in cache. Blocks form chunks whose size depends on N alone,
//! and chunks are added in order, so the bytes of the result do not depend on the number of threads.

pub use super::block::Rule;
use super::block::{BLOCK, Block, LEAST, Moments};
use super::linear_mixture::{Covariance, LinearMixture, Whitened};
use super::parallel;
use super::rows::{Observations, mirror};
use crate::{Error, Result};

/// Where the responsibilities come from.
#[derive(Clone, Copy)]
pub enum EStep<'a> {
    /// The exact posterior `r = softmax(log joint)`.
    Exact,
    /// Any rule: sampled, hard, tempered or stale posteriors. Every row must come back as weights that sum to 1.
    Given(&'a Rule<'a>),
}

/// The statistics of the data for the maximisation step, and the objective before it.
#[derive(Debug, Clone, PartialEq)]
pub struct Statistics {
    /// `Σ_i w_i log p(y_i | x_i)`, nats; −∞ if a row has probability 0 under every component.
    pub log_likelihood: f64,
    /// `Σ_i w_i Σ_k r_ik (log p(y_i, k | x_i) − log r_ik)`, nats; the log-likelihood if the responsibilities are exact.
    pub lower_bound: f64,
    /// `Σ_i w_i`.
    pub total_weight: f64,
    /// Number of equally weighted rows that would be as informative.
    pub effective_rows: f64,
    /// `Σ_i w_i r_ik`, `[K]`.
    pub counts: Vec<f64>,
    /// `[x̄; ȳ]`, the point the moments are about, `[C+D]`.
    pub shift: Vec<f64>,
    /// `Σ_i w_i r_ik u uᵀ`, `[K, P, P]`. Without inputs, diagonal and spherical mixtures fill the first row, the first
    /// column and the diagonal only. For a tied mixture, the other entries are right only in the sum over k. The M-step
    /// needs no more.
    pub moments: Vec<f64>,
    /// `Σ_i w_i u uᵀ`, `[P, P]`, for any mixture.
    pub pooled: Vec<f64>,
}

/// One expectation step under `mixture`; up to `threads` threads of the current rayon pool share the work.
///
/// # Errors
/// If sizes do not fit, a covariance is not positive definite, or a rule's row does not sum to 1.
pub fn sweep(data: &Observations, mixture: &LinearMixture, e_step: EStep, threads: usize) -> Result<Statistics> {
    let whitened = mixture.whiten(data)?;
    let moments = match mixture.covariance {
        _ if mixture.inputs > 0 => Moments::All,
        Covariance::Full => Moments::All,
        Covariance::Tied => Moments::First,
        Covariance::Diagonal | Covariance::Spherical => Moments::Diagonal,
    };
    let (n, size) = (data.count(), chunk_size(data.count()));
    let chunks = n.div_ceil(size);
    let chunk = |i: usize| sweep_chunk(data, &whitened, moments, e_step, i * size..n.min((i + 1) * size));
    let partial = parallel::map((0..chunks).collect(), threads, chunk);
    let p = 1 + data.shift.len();
    let mut total = Partial::new(mixture.components(), p);
    for chunk in partial {
        total.add(&chunk?);
    }
    if moments == Moments::First {
        share_second_moments(&mut total.moments, &data.moments, p);
    }
    total.moments.chunks_exact_mut(p * p).for_each(|m| mirror(m, p));
    let honest = |value: f64| if value < LEAST / 2.0 { f64::NEG_INFINITY } else { value };
    Ok(Statistics {
        log_likelihood: honest(total.log_likelihood),
        lower_bound: honest(total.lower_bound),
        total_weight: data.total_weight(),
        effective_rows: data.effective_rows,
        counts: total.moments.chunks_exact(p * p).map(|m| m[0]).collect(),
        shift: data.shift.clone(),
        moments: total.moments,
        pooled: data.moments.clone(),
    })
}

/// Gives every component its share of the data's second moments. Their sum over components is right, since
/// responsibilities sum to 1, and a tied covariance needs only the sum.
fn share_second_moments(moments: &mut [f64], pooled: &[f64], p: usize) {
    for m in moments.chunks_exact_mut(p * p) {
        let share = m[0] / pooled[0];
        for i in 1..p {
            for j in 1..=i {
                m[i * p + j] = share * pooled[i * p + j];
            }
        }
    }
}

/// Rows per chunk: whole blocks, enough chunks for many threads, and never more than 256 partial sums.
fn chunk_size(n: usize) -> usize {
    n.div_ceil(256).next_multiple_of(BLOCK).max(32 * BLOCK)
}

/// The sums over one chunk.
#[derive(Debug, Clone)]
pub(super) struct Partial {
    pub log_likelihood: f64,
    pub lower_bound: f64,
    /// Lower triangles, `[K, P, P]`.
    pub moments: Vec<f64>,
}

impl Partial {
    fn new(components: usize, p: usize) -> Self {
        Self {
            log_likelihood: 0.0,
            lower_bound: 0.0,
            moments: vec![0.0; components * p * p],
        }
    }

    fn add(&mut self, other: &Self) {
        self.log_likelihood += other.log_likelihood;
        self.lower_bound += other.lower_bound;
        for (a, b) in self.moments.iter_mut().zip(&other.moments) {
            *a += b;
        }
    }
}

fn sweep_chunk(
    data: &Observations,
    whitened: &[Whitened],
    moments: Moments,
    e_step: EStep,
    rows: std::ops::Range<usize>,
) -> Result<Partial> {
    let mut sums = Partial::new(whitened.len(), 1 + data.shift.len());
    let mut block = Block::new(data, whitened, moments);
    for first in rows.clone().step_by(BLOCK) {
        let count = BLOCK.min(rows.end - first);
        block.load(data, first, count);
        block.log_joint();
        match e_step {
            EStep::Exact => {
                let value = block.normalise();
                sums.log_likelihood += value;
                sums.lower_bound += value;
            }
            EStep::Given(rule) => {
                let (log_likelihood, lower_bound) = block.given(rule, first, count).map_err(bad_row)?;
                sums.log_likelihood += log_likelihood;
                sums.lower_bound += lower_bound;
            }
        }
        block.accumulate();
    }
    block.store(&mut sums.moments);
    Ok(sums)
}

fn bad_row((row, sum): (usize, f64)) -> Error {
    Error::Data(format!(
        "the responsibilities of row {row} sum to {sum}: expected weights that sum to 1"
    ))
}
