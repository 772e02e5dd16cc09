//! Exploration of any environment with images: random actions from scattered states.
//!
//! Observed is the image, as bytes; given is the action after it: the sequences to learn p(o_1, …, o_T | u_1, …, u_T) from.
//! The true states go along for scoring.

use super::GeneratorKind;
use crate::environment::EnvironmentConfig;
use crate::error::Fault;
use crate::kind::{Declared, Example};
use crate::math::streams::Streams;
use latent_lab_envs::{Collected, Control, Generator, ImageDeclaration, ImageShape, Points};
use rand::Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Sequences of images under random actions; learn their density given the actions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Exploration {
    /// The environment: its name, or a table with its `kind` and settings. It must have images.
    pub environment: EnvironmentConfig,
    /// Steps of each sequence; the last sequence may be shorter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 2, max = 100_000), extend("x-default" = "that of the environment"))]
    pub length: Option<usize>,
}

impl Exploration {
    fn images(&self) -> Option<ImageDeclaration> {
        self.environment.chosen.declaration().images
    }

    /// The steps of each sequence; 1 without images.
    fn length(&self) -> usize {
        let usual = || self.images().map_or(1, |images| images.budget.length);
        self.length.unwrap_or_else(usual)
    }

    fn collect(&self, steps: usize, rng: &mut dyn Rng) -> Option<Collected> {
        self.environment.chosen.collect(steps, self.length(), rng)
    }
}

impl Declared for Exploration {
    const NAME: &'static str = "exploration";
    const SUMMARY: &'static str = "Sequences of images of any environment that has them, under random actions.";
    const EQUATION: &'static str = "s_1 scattered, o_t = image of s_t, u_t random, s_{t+1} = f(s_t, u_t)";
    const EXAMPLE: Example<'static> = Example::IMAGES;
}

impl GeneratorKind for Exploration {
    /// Settings of the environment that data do not show, such as the start of an episode.
    fn unused(&self) -> Option<Fault> {
        let name = self.environment.chosen.name();
        let usual = EnvironmentConfig::named(name).ok()?;
        let first = |environment: &EnvironmentConfig| {
            let rng = &mut Streams::new(0).named("data/settings").at(0);
            environment.chosen.collect(3, 3, rng)
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

    /// A name for each pixel of each frame.
    fn observed(&self) -> Vec<String> {
        let Some(ImageShape { height, width, frames }) = self.image_shape() else {
            return vec![];
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
        let controls = self.images().map_or(vec![], |images| images.exploration);
        controls
            .into_iter()
            .map(|Control { name, .. }| name.to_owned())
            .collect()
    }

    fn check(&self) -> Result<(), String> {
        let (name, task) = (self.environment.chosen.name(), &self.environment.chosen);
        if let Some(fault) = task.fault() {
            return Err(format!("`environment`: {fault}"));
        }
        match self.images() {
            Some(_) => Ok(()),
            None => Err(format!(
                "`environment` should have images, and `{name}` has none: try \"pendulum_16\", or `source = \"demonstrations\"`"
            )),
        }
    }

    /// Draws `rows` steps of sequences. Without images there are none.
    fn draw(&self, rows: usize, rng: &mut dyn Rng) -> Points {
        let Some(collected) = self.collect(rows, rng) else {
            return Points::default();
        };
        Points {
            images: collected.frames.pixels,
            given: collected.actions,
            states: collected.states,
            lengths: collected.lengths,
            ..Points::default()
        }
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
    fn environments_without_images_and_too_many_images_are_refused() {
        let fault = |keys: &str| {
            let shared = SharedFile::default();
            let checked = data(keys).check(&shared, Path::new(""), Rows::Steps, Asked::Anything);
            checked.err().map(|fault| fault.to_string()).unwrap_or_default()
        };
        assert_eq!(fault("environment = \"planar\"\ntrain = 20"), "");
        let tree = fault("environment = \"tree\"\ntrain = 20");
        assert!(
            tree.contains("`tree` has none") && tree.contains("pendulum_16"),
            "{tree}"
        );
        let many = fault("environment = \"cartpole\"\ntrain = 20\ntest = 90_000_000");
        assert!(many.contains("1152 GB of memory"), "{many}");
    }
}
