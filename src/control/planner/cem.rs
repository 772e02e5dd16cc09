//! The cross-entropy method (Rubinstein 1999, for control Chua et al. 2018).
//!
//! In every round, N sequences are drawn from independent Gaussians N(m_h, s_h²) and clamped to the bounds; m and s become
//! the mean and the standard deviation of the K best of all candidates. Candidates are, beside the samples, m itself and
//! the [`extremes`]: where full force is best, as in a swing-up, samples rarely come near it. s starts at half the range of
//! the action.

use super::{Dynamics, Planned, Task, ordered};
use crate::Result;
use crate::error::Fault;
use latent_lab_envs::Control;
use rand::RngExt;
use rand_distr::StandardNormal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Keys of the cross-entropy method.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Cem {
    /// Steps that are planned ahead, H.
    #[schemars(range(min = 1, max = 1000))]
    pub horizon: usize,
    /// Samples of each round, N.
    #[schemars(range(min = 2, max = 1_000_000))]
    pub candidates: usize,
    /// Candidates that the next round's distribution is fitted to, K.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub elites: usize,
    /// Rounds of every step.
    #[schemars(range(min = 1, max = 1000))]
    pub rounds: usize,
    /// The action that is taken.
    pub action: CemAction,
}

/// The action that the cross-entropy method takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CemAction {
    /// The first action of the best candidate of all rounds.
    Best,
    /// The first mean of the last round.
    Mean,
}

impl Default for Cem {
    fn default() -> Self {
        Self {
            horizon: 15,
            candidates: 200,
            elites: 20,
            rounds: 5,
            action: CemAction::Best,
        }
    }
}

/// The most numbers of an action whose extremes are tried: 2^U of them.
const EXTREME_CONTROLS: usize = 4;

/// Sequences of extreme actions, `[·, H, U]`: every vertex of the bounds held throughout, and switched once to the opposite
/// vertex, after 1 … H − 1 steps. None for more than 4 numbers.
pub fn extremes(controls: &[Control], horizon: usize) -> Vec<f64> {
    if controls.len() > EXTREME_CONTROLS {
        return Vec::new();
    }
    let mut sequences = Vec::new();
    for vertex in 0..1_usize << controls.len() {
        let corner = |is_opposite: bool| {
            let ends = controls.iter().enumerate();
            ends.map(move |(at, own)| match (vertex >> at & 1 == 1) != is_opposite {
                true => own.high,
                false => own.low,
            })
        };
        for switch in 1..=horizon {
            sequences.extend((0..horizon).flat_map(|h| corner(h >= switch)));
        }
    }
    sequences
}

/// A candidate: its cost, and where it is among the actions of its task.
#[derive(Clone, Copy)]
struct Candidate<'a> {
    cost: f64,
    actions: &'a [f64],
}

impl Cem {
    /// More elites than candidates.
    pub(super) fn fault(&self) -> Option<Fault> {
        (self.elites > self.candidates).then(|| {
            Fault::new(
                "elites",
                format!("{} elites of {} candidates", self.elites, self.candidates),
                "at most as many as `candidates`",
                "lower it, or raise `candidates`",
            )
        })
    }

    /// Improves the plans of `task` in all rounds.
    pub(super) fn plan(&self, dynamics: &dyn Dynamics, task: Task) -> Result<Planned> {
        let Task {
            controls,
            mut plans,
            mut generators,
        } = task;
        let (tasks, horizon) = (dynamics.tasks(), self.horizon);
        let size = horizon * controls.len(); // H U
        let fixed = extremes(controls, horizon);
        let all = fixed.repeat(tasks);
        let fixed_costs = match all.is_empty() {
            true => Vec::new(),
            false => dynamics.costs(&all, horizon)?, // [E, ·]
        };
        let spread = controls.iter().map(|own| 0.5 * (own.high - own.low));
        let spread: Vec<f64> = spread.cycle().take(size * tasks).collect();
        let mut deviations = spread; // [E, H, U]
        let mut best: Vec<(f64, Vec<f64>)> = plans.chunks_exact(size).map(|m| (f64::INFINITY, m.to_vec())).collect();
        for _ in 0..self.rounds {
            let mut samples = Vec::with_capacity(tasks * (self.candidates + 1) * size);
            let distributions = plans.chunks_exact(size).zip(deviations.chunks_exact(size));
            for ((mean, deviation), generator) in distributions.zip(&mut generators) {
                samples.extend_from_slice(mean);
                for _ in 0..self.candidates {
                    let numbers = mean.iter().zip(deviation).zip(controls.iter().cycle());
                    samples.extend(numbers.map(|((m, s), own)| {
                        let noise: f64 = generator.sample(StandardNormal);
                        (m + s * noise).clamp(own.low, own.high)
                    }));
                }
            }
            let costs = dynamics.costs(&samples, horizon)?; // [E, N + 1]
            let sampled = self.candidates + 1;
            for (e, best) in best.iter_mut().enumerate() {
                let drawn = candidates(&costs, &samples, e * sampled..(e + 1) * sampled, 0, size);
                let count = fixed.len() / size;
                let extreme = candidates(&fixed_costs, &fixed, e * count..(e + 1) * count, e * count, size);
                let mut ranked: Vec<Candidate> = drawn.chain(extreme).collect();
                ranked.sort_by(|a, b| a.cost.total_cmp(&b.cost));
                let Some(first) = ranked.first() else { continue };
                if first.cost < best.0 {
                    *best = (first.cost, first.actions.to_vec());
                }
                // Excluded candidates cost ∞.
                ranked.truncate(self.elites);
                ranked.retain(|candidate| candidate.cost < f64::INFINITY);
                let (mean, deviation) = (&mut plans[e * size..][..size], &mut deviations[e * size..][..size]);
                fit(&ranked, mean, deviation);
            }
        }
        let chosen = match self.action {
            CemAction::Best => best.into_iter().flat_map(|(_, plan)| plan).collect(),
            CemAction::Mean => plans,
        };
        let first = chosen.chunks_exact(size).flat_map(|plan| &plan[..controls.len()]);
        Ok(Planned {
            actions: first.copied().collect(),
            plans: chosen,
        })
    }
}

/// Candidates whose costs are at `range`; the actions of the first are those of candidate `range.start − offset`.
fn candidates<'a>(
    costs: &'a [f64],
    actions: &'a [f64],
    range: std::ops::Range<usize>,
    offset: usize,
    size: usize,
) -> impl Iterator<Item = Candidate<'a>> {
    let actions = actions.chunks_exact(size).skip(range.start - offset);
    let costs = costs.iter().skip(range.start).take(range.len());
    costs.zip(actions).map(|(cost, actions)| Candidate {
        cost: ordered(*cost),
        actions,
    })
}

/// The mean and the standard deviation of every number over the elites; without elites nothing changes.
fn fit(elites: &[Candidate], mean: &mut [f64], deviation: &mut [f64]) {
    let count = elites.len() as f64;
    if elites.is_empty() {
        return;
    }
    for (at, (m, s)) in mean.iter_mut().zip(deviation).enumerate() {
        let values = || elites.iter().map(|elite| elite.actions[at]);
        *m = values().sum::<f64>() / count;
        *s = (values().map(|v| (v - *m).powi(2)).sum::<f64>() / count).sqrt();
    }
}
