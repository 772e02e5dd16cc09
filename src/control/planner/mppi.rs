//! Model-predictive path-integral control (Williams et al. 2017, equation 26 without the cost of control).
//!
//! u ← Σ_n w_n (u + ε_n), w_n ∝ exp(−J(u + ε_n)/λ), ε ~ N(0, s²), with u + ε clamped to the bounds. The plan itself is one
//! of the candidates.

use super::{Dynamics, Planned, Task, ordered};
use crate::Result;
use rand::RngExt;
use rand_distr::StandardNormal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Keys of path-integral control.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Mppi {
    /// Steps that are planned ahead, H.
    #[schemars(range(min = 1, max = 1000))]
    pub horizon: usize,
    /// Samples of each round, N.
    #[schemars(range(min = 2, max = 1_000_000))]
    pub candidates: usize,
    /// Rounds of every step.
    #[schemars(range(min = 1, max = 1000))]
    pub rounds: usize,
    /// λ, in units of the cost: the smaller, the closer to the best sample.
    #[schemars(range(min = 1e-9, max = 1e9))]
    pub temperature: f64,
    /// s, as a share of half the range of an action.
    #[schemars(range(min = 1e-6, max = 10.0))]
    pub noise: f64,
}

impl Default for Mppi {
    fn default() -> Self {
        Self {
            horizon: 15,
            candidates: 200,
            rounds: 5,
            temperature: 0.1,
            noise: 0.5,
        }
    }
}

impl Mppi {
    /// Improves the plans of `task` in all rounds.
    pub(super) fn plan(&self, dynamics: &dyn Dynamics, task: Task) -> Result<Planned> {
        let Task {
            controls,
            mut plans,
            mut generators,
        } = task;
        let size = self.horizon * controls.len(); // H U
        let count = self.candidates + 1;
        for _ in 0..self.rounds {
            let mut samples = Vec::with_capacity(plans.len() * count);
            for (plan, generator) in plans.chunks_exact(size).zip(&mut generators) {
                samples.extend_from_slice(plan);
                for _ in 0..self.candidates {
                    samples.extend(plan.iter().zip(controls.iter().cycle()).map(|(u, own)| {
                        let noise: f64 = generator.sample(StandardNormal);
                        let deviation = 0.5 * self.noise * (own.high - own.low);
                        (u + deviation * noise).clamp(own.low, own.high)
                    }));
                }
            }
            let costs = dynamics.costs(&samples, self.horizon)?; // [E, N + 1]
            let own = costs.chunks_exact(count).zip(samples.chunks_exact(count * size));
            for ((costs, samples), plan) in own.zip(plans.chunks_exact_mut(size)) {
                average(costs, samples, self.temperature, plan);
            }
        }
        let first = plans.chunks_exact(size).flat_map(|plan| &plan[..controls.len()]);
        Ok(Planned {
            actions: first.copied().collect(),
            plans,
        })
    }
}

/// The weighted mean of samples `[N, H U]` of these costs `[N]`; nothing changes if no cost is finite.
fn average(costs: &[f64], samples: &[f64], temperature: f64, plan: &mut [f64]) {
    let least = costs.iter().map(|cost| ordered(*cost)).fold(f64::INFINITY, f64::min);
    if !least.is_finite() {
        return;
    }
    let weights = costs.iter().map(|cost| (-(ordered(*cost) - least) / temperature).exp());
    let weights: Vec<f64> = weights.collect();
    let total: f64 = weights.iter().sum();
    let size = plan.len();
    plan.fill(0.0);
    for (weight, sample) in weights.iter().zip(samples.chunks_exact(size)) {
        for (u, own) in plan.iter_mut().zip(sample) {
            *u += weight / total * own;
        }
    }
}
