//! Exploration of any environment by random actions.
//!
//! Given is the action, observed is what the environment shows before it: the sequences to learn
//! p(o_1, …, o_T | u_1, …, u_T) from.
//!
//! - An environment with images shows its image, as bytes. Sequences start at scattered states and never end early. The true
//!   states go along for scoring.
//! - Any other environment shows the numbers of its observation, and with `reward = true` the reward r_t of the action u_t as
//!   well. Sequences are episodes: they start as the environment starts, and end with the episode at the latest. Actions are
//!   uniform between their bounds; an environment with discrete actions rounds them.

use super::GeneratorKind;
use crate::environment::{EnvironmentConfig, EnvironmentKind};
use crate::error::Fault;
use crate::kind::{Chosen, Declared, Example};
use crate::math::streams::Streams;
use latent_lab_envs::{Control, Declaration, Generator, ImageDeclaration, ImageShape, Observations, Points};
use rand::{Rng, RngExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Sequences of images, or of observed numbers, under random actions; learn their density given the actions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Exploration {
    /// The environment: its name, or a table with its `kind` and settings. What is observed are its images if it has any,
    /// else the numbers of its observation.
    pub environment: EnvironmentConfig,
    /// Steps of each sequence. Without images these are the most steps: a sequence ends with its episode. The last sequence
    /// may be shorter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 2, max = 100_000), extend("x-default" = "that of the environment"))]
    pub length: Option<usize>,
    /// Whether the reward of each action is the last observed column. Not for images.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[schemars(extend("x-default" = "false"))]
    pub reward: bool,
}

/// The name of the column of rewards.
const REWARD: &str = "reward";

impl Exploration {
    fn declaration(&self) -> Declaration {
        self.environment.chosen.declaration()
    }

    fn images(&self) -> Option<ImageDeclaration> {
        self.declaration().images
    }

    /// The most steps of a sequence.
    fn length(&self) -> usize {
        let usual = || {
            let declared = self.declaration();
            declared.images.map_or(declared.horizon, |images| images.budget.length)
        };
        self.length.unwrap_or_else(usual).max(1)
    }

    /// The numbers of an action in data.
    fn controls(&self) -> Vec<Control> {
        let declared = self.declaration();
        declared.images.map_or(declared.action, |images| images.exploration)
    }

    /// Episodes under random actions, `rows` steps in all.
    fn episodes(&self, rows: usize, mut rng: &mut dyn Rng) -> Result<Points, String> {
        let (task, controls, length) = (&self.environment.chosen, self.controls(), self.length());
        let mut points = Points::default();
        let mut left = rows;
        while left > 0 {
            let mut running = task.begin(&mut [&mut rng])?;
            let mut steps = 0;
            while steps < length.min(left) && !running.over() {
                let Observations::Vectors { values, .. } = running.observe();
                let action: Vec<f64> = controls
                    .iter()
                    .map(|own| rng.random_range(own.low..=own.high))
                    .collect();
                running.step(&action)?;
                points.observed.extend(values);
                if self.reward {
                    points
                        .observed
                        .extend(running.episodes().iter().map(|episode| episode.reward));
                }
                points.given.extend(action);
                steps += 1;
            }
            if steps == 0 {
                break; // An episode that is over before its first step: another one may be, too.
            }
            points.lengths.push(steps);
            left -= steps;
        }
        Ok(points)
    }
}

impl Declared for Exploration {
    const NAME: &'static str = "exploration";
    const SUMMARY: &'static str = "Sequences of images or numbers of any environment, under random actions.";
    const EQUATION: &'static str = "s_1 random, o_t = image or numbers of s_t, u_t random, s_{t+1} = f(s_t, u_t)";
    const EXAMPLE: Example<'static> = Example::IMAGES;
}

impl GeneratorKind for Exploration {
    fn explored(&self) -> Option<Chosen<dyn EnvironmentKind>> {
        Some(self.environment.chosen.clone())
    }

    fn try_draw(&self, rows: usize, rng: &mut dyn Rng) -> Result<Points, String> {
        if self.images().is_none() {
            return self.episodes(rows, rng);
        }
        let Some(collected) = self.environment.chosen.collect(rows, self.length(), rng) else {
            return Ok(Points::default());
        };
        Ok(Points {
            images: collected.frames.pixels,
            given: collected.actions,
            states: collected.states,
            lengths: collected.lengths,
            ..Points::default()
        })
    }

    /// Settings of the environment that data do not show, such as the start of an episode.
    fn unused(&self) -> Option<Fault> {
        let name = self.environment.chosen.name();
        let usual = EnvironmentConfig::named(name).ok()?;
        let first = |environment: &EnvironmentConfig| {
            let rng = &mut Streams::new(0).named("data/settings").at(0);
            let environment = environment.clone();
            Self {
                environment,
                ..self.clone()
            }
            .draw(3, rng)
        };
        let is_same = !self.environment.is_named
            && self.environment.chosen != usual.chosen
            && first(&self.environment) == first(&usual);
        let mut settings = self.environment.chosen.keys().iter();
        let (key, _) = settings.find(|(key, value)| usual.chosen.keys().get(*key) != Some(value))?;
        is_same.then(|| {
            Fault::unused(
                &format!("environment.{key}"),
                "exploration shows the same for every value",
                "a source that plays episodes, such as `demonstrations`",
            )
        })
    }
}

impl Generator for Exploration {
    fn name(&self) -> &'static str {
        "exploration"
    }

    /// A name for each pixel of each frame, or those of the numbers of an observation.
    fn observed(&self) -> Vec<String> {
        let Some(ImageShape { height, width, frames }) = self.image_shape() else {
            let names = self.declaration().observation.into_iter().map(str::to_owned);
            return names.chain(self.reward.then(|| REWARD.to_owned())).collect();
        };
        let name = |at: usize| {
            format!(
                "pixel[{}, {}, {}]",
                at / frames / width,
                at / frames % width,
                at % frames
            )
        };
        (0..height * width * frames).map(name).collect()
    }

    fn given(&self) -> Vec<String> {
        self.controls()
            .into_iter()
            .map(|Control { name, .. }| name.to_owned())
            .collect()
    }

    fn check(&self) -> Result<(), String> {
        let (name, task) = (self.environment.chosen.name(), &self.environment.chosen);
        if let Some(fault) = task.fault() {
            return Err(format!("`environment`: {fault}"));
        }
        if self.reward && self.images().is_some() {
            return Err(format!(
                "`reward` is for environments without images, and `{name}` has images: remove it"
            ));
        }
        let is_endless = |own: &Control| !(own.low.is_finite() && own.high.is_finite() && own.low <= own.high);
        match self.controls().iter().find(|own| is_endless(own)) {
            Some(Control { name, low, high }) => Err(format!(
                "`environment` should bound its actions, and `{name}` is from {low} to {high}: no action can be drawn uniformly"
            )),
            None => Ok(()),
        }
    }

    /// Draws `rows` steps of sequences; none if the environment fails.
    fn draw(&self, rows: usize, rng: &mut dyn Rng) -> Points {
        self.try_draw(rows, rng).unwrap_or_default()
    }

    fn states(&self) -> usize {
        self.images().map_or(0, |images| images.true_state.len())
    }

    fn state_names(&self) -> Vec<String> {
        let names = self.images().map_or(vec![], |images| images.true_state);
        names.into_iter().map(str::to_owned).collect()
    }

    fn image_shape(&self) -> Option<ImageShape> {
        self.images().map(|images| images.shape)
    }

    fn longest_sequence(&self, rows: usize) -> Option<usize> {
        Some(self.length().min(rows))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::file::Asked;
    use crate::data::{DataConfig, Rows, SharedFile};
    use std::path::Path;

    fn data(keys: &str) -> DataConfig {
        toml::from_str(&format!("source = \"exploration\"\n{keys}")).expect("keys")
    }

    #[test]
    fn images_are_kept_as_bytes_with_actions_and_true_states() {
        let data = data("environment = \"pendulum\"\ntrain = 50\ntest = 23\nlength = 5");
        let load = |seed| data.load(Path::new(""), &Streams::new(seed)).expect("rows");
        let splits = load(0);
        let (train, test) = (&splits.train, splits.test.as_ref().expect("rows"));
        assert_eq!(train.observed.event(), [48, 48, 2]);
        assert!(train.observed.are_bytes() && train.observed.is_images());
        assert_eq!(train.lengths, Some(vec![5; 10]));
        assert_eq!(test.lengths, Some(vec![5, 5, 5, 5, 3]));
        assert_eq!(
            train.given.as_ref().map(|given| (given.rows(), given.columns())),
            Some((50, 1))
        );
        assert_eq!(
            train.states.as_ref().map(|states| (states.rows(), states.columns())),
            Some((50, 3))
        );
        // White is 1.
        assert!(train.observed.iter().all(|v| (0.0..=1.0).contains(&v)) && train.observed.iter().any(|v| v == 1.0));
        assert_eq!(train, &load(0).train);
        assert!(train.observed != load(1).train.observed);
        assert_eq!(splits.oracle, None);
    }

    #[test]
    fn names_say_row_column_and_frame() {
        let environment = EnvironmentConfig::named("cartpole").expect("an environment");
        let names = Exploration {
            environment,
            length: None,
            reward: false,
        }
        .observed();
        assert_eq!(names.len(), 80 * 80 * 2);
        assert_eq!(
            [&names[0], &names[1], &names[2]],
            ["pixel[0, 0, 0]", "pixel[0, 0, 1]", "pixel[0, 1, 0]"]
        );
        assert_eq!(names[80 * 80 * 2 - 1], "pixel[79, 79, 1]");
    }

    #[test]
    fn too_many_images_and_rewards_beside_images_are_refused() {
        let fault = |keys: &str| {
            let shared = SharedFile::default();
            let checked = data(keys).check(&shared, Path::new(""), Rows::Steps, Asked::Anything);
            checked.err().map(|fault| fault.to_string()).unwrap_or_default()
        };
        assert_eq!(fault("environment = \"planar\"\ntrain = 20"), "");
        assert_eq!(fault("environment = \"tree\"\ntrain = 20\nreward = true"), "");
        let rewards = fault("environment = \"planar\"\ntrain = 20\nreward = true");
        assert!(
            rewards.contains("`reward` is for environments without images") && rewards.contains("`planar`"),
            "{rewards}"
        );
        let many = fault("environment = \"cartpole\"\ntrain = 20\ntest = 90_000_000");
        assert!(many.contains("1152 GB of memory"), "{many}");
    }

    /// Every environment without images: its numbers follow each other as the simulator moves them, and the reward of a step is
    /// the one that the simulator gives for the action beside it.
    #[test]
    fn episodes_are_those_of_the_simulator_under_the_given_actions() {
        for name in ["tree", "cart_pole_v1", "pendulum_v1", "mountain_car_continuous_v0"] {
            let data = data(&format!(
                "environment = {name:?}\ntrain = 150\ntest = 2\nlength = 40\nreward = true"
            ));
            let train = data.load(Path::new(""), &Streams::new(2)).expect("rows").train;
            let (given, lengths) = (
                train.given.as_ref().expect("actions"),
                train.lengths.clone().expect("sequences"),
            );
            assert!(lengths.iter().sum::<usize>() == 150 && lengths.iter().all(|length| (1..=40).contains(length)));
            assert!(train.states.is_none() && lengths.len() > 3, "{name}: {lengths:?}");
            let task = EnvironmentConfig::named(name).expect("an environment").chosen;
            let columns = task.declaration().observation.len();
            assert_eq!(train.observed.columns(), columns + 1);
            // The first episode starts from the stream's first numbers.
            let rng = &mut Streams::new(2).named("data/train").at(0);
            let mut running = task.begin(&mut [rng]).expect("an episode");
            let mut total = 0.0;
            for t in 0..lengths[0] {
                let Observations::Vectors { values, .. } = running.observe();
                let row: Vec<f64> = (0..columns).map(|j| train.observed.value(t, j)).collect();
                assert_eq!(row, values, "{name} at step {t}");
                let action: Vec<f64> = (0..given.columns()).map(|j| given.value(t, j)).collect();
                running.step(&action).expect("a step");
                total += train.observed.value(t, columns);
                assert_eq!(running.episodes()[0].total_reward, total, "{name} at step {t}");
            }
            assert!(running.over() || lengths[0] == 40);
        }
        let loaded = |keys: &str| data(keys).load(Path::new(""), &Streams::new(2)).expect("rows").train;
        let keys = "environment = \"pendulum_v1\"\ntrain = 30";
        assert_eq!(loaded(keys).observed.columns(), 3);
        // Without `length` an episode is as long as the time limit allows.
        assert_eq!(loaded(&keys.replace("30", "450")).lengths, Some(vec![200, 200, 50]));
    }
}
