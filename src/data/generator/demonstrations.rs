//! Demonstrations of any environment: its expert acts, and its observations and actions are the rows.
//!
//! Given is the observation, observed is the action: the rows to learn p(action | observation) from. For `tree` the rows
//! are those of the source of that name, from the same random numbers.

use super::GeneratorKind;
use crate::environment::{EnvironmentConfig, EnvironmentKind};
use crate::kind::{Chosen, Declared, Example};
use latent_lab_envs::{Generator, Observations, Points, Reference};
use rand::Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Demonstrations by the expert of an environment; learn p(action | observation).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Demonstrations {
    /// The environment: its name, or a table with its `kind` and settings.
    pub environment: EnvironmentConfig,
}

impl Declared for Demonstrations {
    const NAME: &'static str = "demonstrations";
    const SUMMARY: &'static str = "Demonstrations of any environment by its expert.";
    const EQUATION: &'static str = "p(action | observation) of the expert";
    const EXAMPLE: Example<'static> = Example {
        data: "source = \"demonstrations\"\nenvironment = \"pendulum_v1\"\ntrain = 10\ntest = 5",
        model: "kind = \"conditional_mixture\"\ncomponents = 3",
        ..Example::USUAL
    };
}

impl GeneratorKind for Demonstrations {
    fn environment(&self) -> Option<Chosen<dyn EnvironmentKind>> {
        Some(self.environment.chosen.clone())
    }

    fn try_draw(&self, rows: usize, mut rng: &mut dyn Rng) -> Result<Points, String> {
        let task = &self.environment.chosen;
        let mut points = Points::default();
        let Some(expert) = task.scripted() else {
            return Ok(points);
        };
        for episode in 0..rows {
            let mut controller = expert.begin(rng);
            let mut running = task.begin(&mut [&mut rng])?;
            while !running.over() {
                let Observations::Vectors { values, .. } = running.observe();
                let action = controller(&values, rng);
                running.step(&action)?;
                points.given.extend(values);
                points.observed.extend(action);
                points.episodes.push(episode);
            }
        }
        Ok(points)
    }
}

impl Generator for Demonstrations {
    fn name(&self) -> &'static str {
        "demonstrations"
    }

    fn observed(&self) -> Vec<String> {
        let controls = self.environment.chosen.declaration().action.into_iter();
        controls.map(|control| control.name.to_owned()).collect()
    }

    fn given(&self) -> Vec<String> {
        let names = self.environment.chosen.declaration().observation.into_iter();
        names.map(str::to_owned).collect()
    }

    fn check(&self) -> Result<(), String> {
        let (name, task) = (self.environment.chosen.name(), &self.environment.chosen);
        if let Some(fault) = task.fault() {
            return Err(format!("`environment`: {fault}"));
        }
        match task.scripted() {
            Some(_) => Ok(()),
            None => Err(format!(
                "`environment` should have an expert to demonstrate it, and `{name}` has none: try a file of demonstrations"
            )),
        }
    }

    /// Draws `rows` episodes: a row per step of each. Without an expert, or if the environment fails, there are none.
    fn draw(&self, rows: usize, rng: &mut dyn Rng) -> Points {
        self.try_draw(rows, rng).unwrap_or_default()
    }

    /// None: what an expert decides once per episode is hidden.
    fn log_prob(&self, _observed: &[f64], _given: &[f64]) -> Option<f64> {
        None
    }

    fn references(&self) -> Vec<Reference> {
        vec![]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::streams::Streams;
    use latent_lab_envs::Tree;

    #[test]
    fn demonstrations_of_the_tree_are_those_of_its_own_source() {
        let environment = EnvironmentConfig::named("tree").unwrap();
        let draw = |generator: &dyn Generator| generator.draw(20, &mut Streams::new(3).named("data/train").at(0));
        let (mut own, general) = (draw(&Tree::default()), draw(&Demonstrations { environment }));
        assert_eq!(own.labels.len(), own.episodes.len());
        own.labels.clear(); // Only the tree's own source knows the sides.
        assert_eq!(own, general);
        assert_eq!(own.episodes.iter().max(), Some(&19));
        assert!(own.episodes.is_sorted());
    }
}
