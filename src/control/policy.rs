//! A conditional model as a policy: p(a|s), and the rule that picks one action from it.

use super::{Acting, Agent};
use crate::data::{Standardization, Table};
use crate::math::latin_hypercube;
use crate::math::streams::{Generator, Stream, Streams};
use crate::model::{Decoder, Latents, MixtureRows, Model};
use crate::nn::Parameters;
use crate::{Error, Result};
use candle_core::{Device, Tensor};
use latent_lab_envs::{Episodes, Observations};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How an action is picked from p(a|s).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ActionRule {
    /// A sample: z from p(z|s), then a from p(a|s,z).
    Sample,
    /// E[a|s], as in regression. For a continuous latent, the mean over 256 evenly spread points of p(z|s).
    Mean,
    /// The mean of the component with the largest weight, for a finite latent.
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

/// A trained conditional model as a policy.
#[derive(Debug, Clone, Copy)]
pub struct Policy<'a> {
    /// p(a|s).
    pub model: &'a dyn Model,
    /// Its parameters.
    pub theta: &'a Parameters,
    /// Conversion between the units of the environment and of the model.
    pub standardization: &'a Standardization,
    /// How an action is picked.
    pub action: ActionRule,
    /// How long a drawn latent lasts.
    pub latent: LatentRule,
}

/// The number of points of a continuous latent that [`ActionRule::Mean`] averages over.
const MEAN_POINTS: usize = 256;

/// A policy in the middle of E episodes.
struct PolicyActing<'a> {
    policy: Policy<'a>,
    /// The latents of all episodes; none before their first action.
    kept: Option<Latents>,
    /// Spreads new latents evenly over the episodes, by decision.
    strata: Stream,
    decision: u64,
    /// Each episode's own generator, for all other randomness.
    rngs: Vec<Generator>,
}

impl Agent for Policy<'_> {
    fn begin<'a>(&'a self, episodes: usize, streams: &Streams) -> Box<dyn Acting + 'a> {
        let actions = streams.named("rollout/action");
        Box::new(PolicyActing {
            policy: *self,
            kept: None,
            strata: streams.named("rollout/latent"),
            decision: 0,
            rngs: (0..episodes as u64).map(|episode| actions.at(episode)).collect(),
        })
    }
}

impl Acting for PolicyActing<'_> {
    fn act(&mut self, episodes: &dyn Episodes) -> Result<Vec<f64>> {
        let Observations::Vectors { values, size } = episodes.observe();
        let mut strata = self.strata.at(self.decision);
        self.decision += 1;
        let observations = Table::new(values, size);
        self.policy
            .actions(observations, &mut self.kept, &mut strata, &mut self.rngs)
    }
}

impl Policy<'_> {
    /// Actions for the observations of E episodes at once, `[E, A]`, in the environment's units.
    fn actions(
        &self,
        mut observations: Table,
        kept: &mut Option<Latents>,
        strata: &mut Generator,
        rngs: &mut [Generator],
    ) -> Result<Vec<f64>> {
        self.standardization.given.apply(&mut observations);
        let kept = if self.latent == LatentRule::PerEpisode {
            kept
        } else {
            &mut None
        };
        let (rows, components) = match self.model.decoder() {
            Some(decoder) => (self.decoded(decoder, &observations, kept, strata)?, vec![0; rngs.len()]),
            None => {
                let rows = self.model.predict(self.theta, Some(&observations))?;
                let components = match self.action {
                    ActionRule::Sample => self.components(&rows, rngs.len(), kept, strata)?,
                    _ => Vec::new(),
                };
                (rows, components)
            }
        };
        let mut actions = Vec::new();
        for (row, rng) in rngs.iter_mut().enumerate() {
            let mut action = match self.action {
                ActionRule::Mean => rows.mean(row),
                ActionRule::MostLikelyComponent => rows.component_mean(row, rows.most_likely_component(row)).to_vec(),
                ActionRule::Sample => rows.sample_from(row, components[row], rng),
            };
            self.standardization.observed.invert(&mut action);
            actions.extend(action);
        }
        Ok(actions)
    }

    /// The component of each episode: the kept one, or one chosen by its stratum. `[E]`
    fn components(
        &self,
        rows: &MixtureRows,
        episodes: usize,
        kept: &mut Option<Latents>,
        strata: &mut Generator,
    ) -> Result<Vec<usize>> {
        if let Some(Latents::Index(index)) = kept {
            let index = index.flatten_all()?.to_vec1::<u32>()?;
            return Ok(index.into_iter().map(|z| z as usize).collect());
        }
        let uniforms = latin_hypercube(episodes, 1, strata);
        let chosen = uniforms.iter().enumerate();
        let chosen: Vec<usize> = chosen.map(|(row, u)| rows.component_at(row, *u)).collect();
        let index: Vec<u32> = chosen.iter().map(|z| *z as u32).collect();
        *kept = Some(Latents::Index(Tensor::from_vec(index, (episodes, 1), &Device::Cpu)?));
        Ok(chosen)
    }

    /// p(a|s) at the points that the rule needs: one for each episode, or many to average over.
    fn decoded(
        &self,
        decoder: &dyn Decoder,
        observations: &Table,
        kept: &mut Option<Latents>,
        strata: &mut Generator,
    ) -> Result<MixtureRows> {
        let (episodes, dimensions) = (observations.rows(), decoder.uniforms());
        let points = match (self.action, kept.take()) {
            (ActionRule::MostLikelyComponent, _) => {
                return Err(Error::Lacking("a most likely component"));
            }
            (ActionRule::Sample, Some(Latents::Continuous(points))) => points,
            (rule, _) => {
                let uniforms = match rule {
                    ActionRule::Mean => (0..episodes)
                        .flat_map(|_| latin_hypercube(MEAN_POINTS, dimensions, strata))
                        .collect(),
                    _ => latin_hypercube(episodes, dimensions, strata),
                };
                decoder.points(self.theta, Some(observations), &uniforms)?
            }
        };
        let rows = decoder.predict_at(self.theta, Some(observations), &points)?;
        *kept = Some(Latents::Continuous(points));
        Ok(rows)
    }
}
