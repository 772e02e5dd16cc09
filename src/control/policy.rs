//! A conditional model as a policy: p(a|s), and the rule that picks one action from it.

use crate::Result;
use crate::data::{Standardization, Table};
use crate::model::{MixtureRows, Model};
use crate::nn::Parameters;
use rand::Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How an action is picked from p(a|s).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ActionRule {
    /// A draw: z from p(z|s), then a from p(a|s,z).
    Sample,
    /// E[a|s]: what a regression would do.
    Mean,
    /// The mean of the component with the largest weight.
    MostLikelyComponent,
}

/// How long a drawn latent lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LatentRule {
    /// A new z for every action.
    PerStep,
    /// One z for the whole episode, drawn at its first state.
    PerEpisode,
}

/// A trained conditional model that acts.
#[derive(Debug, Clone, Copy)]
pub struct Policy<'a> {
    /// p(a|s).
    pub model: &'a dyn Model,
    /// Its parameters.
    pub theta: &'a Parameters,
    /// From the environment's units to the model's and back.
    pub standardization: &'a Standardization,
    /// How an action is picked.
    pub action: ActionRule,
    /// How long a drawn latent lasts.
    pub latent: LatentRule,
}

impl Policy<'_> {
    /// Actions for the observations of several episodes at once, row by row, in the environment's units. `memory` holds
    /// each episode's latent (none before its first action), `uniforms` a uniform number that chooses it, `rngs` a generator.
    pub fn act<R: Rng>(
        &self,
        mut observations: Table,
        memory: &mut [Option<usize>],
        uniforms: &[f64],
        rngs: &mut [R],
    ) -> Result<Vec<Vec<f64>>> {
        self.standardization.given.apply(&mut observations);
        let rows = self.model.predict(self.theta, Some(&observations))?;
        let mut actions = Vec::with_capacity(memory.len());
        for (row, ((latent, uniform), rng)) in memory.iter_mut().zip(uniforms).zip(rngs).enumerate() {
            let mut action = self.pick(&rows, row, latent, *uniform, rng);
            self.standardization.observed.invert(&mut action);
            actions.push(action);
        }
        Ok(actions)
    }

    fn pick(
        &self,
        rows: &MixtureRows,
        row: usize,
        latent: &mut Option<usize>,
        uniform: f64,
        rng: &mut dyn Rng,
    ) -> Vec<f64> {
        match self.action {
            ActionRule::Mean => rows.mean(row),
            ActionRule::MostLikelyComponent => rows.component_mean(row, rows.most_likely_component(row)).to_vec(),
            ActionRule::Sample => {
                let kept = latent.filter(|_| self.latent == LatentRule::PerEpisode);
                let z = kept.unwrap_or_else(|| rows.component_at(row, uniform));
                *latent = Some(z);
                rows.sample_from(row, z, rng)
            }
        }
    }
}
