//! Environments as kinds of the registry: what an experiment file can name, with its settings.
//!
//! The simulators are structs of `envs/`. A file here declares each of them ([`Declared`]), and one
//! line of the registry lists it. Everything else asks the registry.

mod cart_pole_v1;
mod cartpole;
mod gymnasium;
mod mountain_car_continuous_v0;
mod pendulum;
mod pendulum_16;
mod pendulum_v1;
mod planar;
mod tree;

pub use gymnasium::{Gymnasium, GymnasiumEpisodes};

use crate::Result;
use crate::kind::{self, Added, Chosen, Declared, Entry, Family, Holds};
use latent_lab_envs::{
    CartPoleV1, Cartpole, MountainCarContinuousV0, Pendulum, Pendulum16, PendulumV1, Planar, Task, Tree,
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, RwLock};

/// An environment with its settings. Every [`Environment`](latent_lab_envs::Environment) is one.
pub trait EnvironmentKind: Task + fmt::Debug {}

impl<T: Task + fmt::Debug> EnvironmentKind for T {}

/// The environments of this crate, in the order in which they are listed.
static BUILT_IN: [Entry<dyn EnvironmentKind>; 9] = [
    Entry::of::<Tree>(),
    Entry::of::<CartPoleV1>(),
    Entry::of::<PendulumV1>(),
    Entry::of::<MountainCarContinuousV0>(),
    Entry::of::<Planar>(),
    Entry::of::<Pendulum>(),
    Entry::of::<Cartpole>(),
    Entry::of::<Pendulum16>(),
    Entry::of::<Gymnasium>(),
];

static ADDED: Added<dyn EnvironmentKind> = RwLock::new(Vec::new());

impl Family for dyn EnvironmentKind {
    const SCHEMA: &'static str = "EnvironmentSettings";
    const SUMMARY: &'static str = "An environment with its settings.";

    fn built_in() -> &'static [Entry<Self>] {
        &BUILT_IN
    }

    fn added() -> &'static Added<Self> {
        &ADDED
    }
}

impl<T: Declared + Task> Holds<T> for dyn EnvironmentKind {
    fn hold(options: T) -> Arc<Self> {
        Arc::new(options)
    }
}

/// An environment as an experiment file names it: `"tree"`, or `{ kind = "tree", control_interval = 0.1 }`.
#[derive(Debug, Clone, PartialEq)]
pub struct EnvironmentConfig {
    /// The environment; of a bare name with default settings.
    pub chosen: Chosen<dyn EnvironmentKind>,
    /// Whether the file gives the name alone.
    pub is_named: bool,
}

impl EnvironmentConfig {
    /// The environment called `name`, with default settings.
    ///
    /// # Errors
    /// If there is none, or one of its keys has no default.
    pub fn named(name: &str) -> Result<Self> {
        let entry = kind::find::<dyn EnvironmentKind>(name);
        let entry = entry.ok_or_else(|| crate::Error::Other(format!("there is no environment `{name}`")))?;
        let chosen = entry.default_options().map_err(|error| {
            let text = format!("{error}; a table gives its keys: `{{ kind = {name:?}, … }}`");
            crate::Error::Other(text)
        })?;
        let is_named = true;
        Ok(Self { chosen, is_named })
    }

    /// The environment with the settings in `elsewhere` where the file gives a bare name and both are of one kind.
    pub fn with_settings_of(&self, elsewhere: Option<Chosen<dyn EnvironmentKind>>) -> Chosen<dyn EnvironmentKind> {
        let same = elsewhere.filter(|other| self.is_named && other.name() == self.chosen.name());
        same.unwrap_or_else(|| self.chosen.clone())
    }
}

impl Serialize for EnvironmentConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        match self.is_named {
            true => self.chosen.name().serialize(serializer),
            false => self.chosen.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for EnvironmentConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        match toml::Value::deserialize(deserializer)? {
            toml::Value::String(name) => Self::named(&name).map_err(D::Error::custom),
            settings => Ok(Self {
                chosen: Chosen::deserialize(settings).map_err(D::Error::custom)?,
                is_named: false,
            }),
        }
    }
}

impl JsonSchema for EnvironmentConfig {
    fn schema_name() -> Cow<'static, str> {
        "EnvironmentConfig".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let settings = generator.subschema_for::<Chosen<dyn EnvironmentKind>>();
        let names: Vec<_> = kind::entries::<dyn EnvironmentKind>()
            .iter()
            .map(|entry| serde_json::json!({ "type": "string", "const": entry.name, "description": entry.summary }))
            .collect();
        json_schema!({ "anyOf": [{ "oneOf": names }, settings] })
    }
}
