//! Kinds that an experiment file can name: generators of data, models, posteriors, objectives, environments.
//!
//! A kind is declared once, beside its options ([`Declared`]), and listed once, in the registry of its [`Family`]. The
//! reader of files, the checks of keys, `list`, `describe` and the table of supported combinations all go through the
//! registry. A program that uses latent-lab as a library adds kinds of its own with [`register`].

use crate::Error;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, PoisonError, RwLock};

/// The options of a kind, and what the kind says about itself.
pub trait Declared: Serialize + DeserializeOwned + JsonSchema + fmt::Debug + Send + Sync + 'static {
    /// Its name in experiment files.
    const NAME: &'static str;
    /// What it is. The first paragraph stands in lists.
    const SUMMARY: &'static str;
    /// Its equation, in one or a few lines.
    const EQUATION: &'static str;
    /// An experiment that runs it.
    const EXAMPLE: Example<'static>;
}

/// The tables of a small experiment file.
#[derive(Debug, Clone, Copy)]
pub struct Example<'a> {
    /// Keys of `[data]`.
    pub data: &'a str,
    /// Keys of `[model]`.
    pub model: &'a str,
    /// Keys of `[posterior]`.
    pub posterior: &'a str,
    /// Keys of `[objective]`.
    pub objective: &'a str,
    /// Keys of `[training]`.
    pub training: &'a str,
    /// Further tables.
    pub further: &'a str,
}

impl Example<'_> {
    /// A mixture of three Gaussians, by gradient ascent on the expected log-likelihood under its exact posterior.
    pub const USUAL: Example<'static> = Example {
        data: "source = \"three_clusters\"\ntrain = 200",
        model: "kind = \"gaussian_mixture\"\ncomponents = 3",
        posterior: "kind = \"exact\"",
        objective: "kind = \"expected_log_likelihood\"",
        training: "optimizer = \"adam\"\nsteps = 200\nevaluate_every = 50",
        further: "",
    };

    /// A decoder with a recognition network.
    pub const AMORTISED: Example<'static> = Example {
        data: "source = \"ring\"\ntrain = 200",
        model: "kind = \"latent_gaussian\"",
        posterior: "kind = \"amortised\"",
        objective: "kind = \"elbo\"",
        ..Self::USUAL
    };

    /// A state space learnt from images under random actions.
    pub const IMAGES: Example<'static> = Example {
        data: "source = \"exploration\"\nenvironment = \"pendulum_16\"\ntrain = 600\ntest = 150",
        model: "kind = \"neural_ssm\"\nstates = 3\nemission_deviation_floor = 0.1\nlikelihood_particles = 4",
        posterior: "kind = \"amortised\"\nhidden = [16]\nrecurrent_units = 16",
        objective: "kind = \"elbo\"",
        training: "optimizer = \"adam\"\nlearning_rate = 3e-4\nbatch_size = 10\nsteps = 20\nevaluate_every = 10",
        ..Self::USUAL
    };

    /// The file, which asks what `name` does.
    pub fn file(&self, name: &str) -> String {
        let Self {
            data,
            model,
            posterior,
            objective,
            training,
            further,
        } = self;
        format!(
            "question = \"What does {name} do?\"\nseeds = 3\n\n[data]\n{data}\n\n[model]\n{model}\n\n[posterior]\n{posterior}\n\n\
             [objective]\n{objective}\n\n[training]\n{training}\n{further}"
        )
    }
}

/// A trait of which kinds are the implementations, such as `dyn ModelKind`.
pub trait Family: Send + Sync + 'static {
    /// The key that names a kind.
    const TAG: &'static str = "kind";
    /// The name of its table in the JSON schema.
    const SCHEMA: &'static str;
    /// What the table is for.
    const SUMMARY: &'static str;

    /// The kinds of this crate, in the order in which they are listed.
    fn built_in() -> &'static [Entry<Self>];

    /// The kinds that were [`register`]ed.
    fn added() -> &'static Added<Self>;
}

/// Kinds from outside this crate.
pub type Added<F> = RwLock<Vec<Entry<F>>>;

/// A family that `T` is a kind of. Implemented once per family, for all its kinds.
pub trait Holds<T>: Family {
    /// The options as a member of the family.
    fn hold(options: T) -> Arc<Self>;
}

/// One line of a registry: a kind without options.
pub struct Entry<F: ?Sized> {
    /// [`Declared::NAME`].
    pub name: &'static str,
    /// [`Declared::SUMMARY`].
    pub summary: &'static str,
    /// [`Declared::EQUATION`].
    pub equation: &'static str,
    /// [`Declared::EXAMPLE`].
    pub example: Example<'static>,
    read: fn(toml::Table) -> Result<Kept<F>, toml::de::Error>,
    schema: fn(&mut SchemaGenerator) -> Schema,
}

impl<F: ?Sized> Clone for Entry<F> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<F: ?Sized> Copy for Entry<F> {}

/// Options as a member of the family, and as the keys that say the same.
type Kept<F> = (Arc<F>, toml::Table);

fn keep<F: Holds<T> + ?Sized, T: Declared>(options: T) -> Result<Kept<F>, toml::ser::Error> {
    let keys = toml::Table::try_from(&options)?;
    Ok((F::hold(options), keys))
}

impl<F: Family + ?Sized> Entry<F> {
    /// The entry of a kind.
    pub const fn of<T: Declared>() -> Self
    where
        F: Holds<T>,
    {
        Self {
            name: T::NAME,
            summary: T::SUMMARY,
            equation: T::EQUATION,
            example: T::EXAMPLE,
            read: |keys| keep(keys.try_into::<T>()?).map_err(toml::de::Error::custom),
            schema: |generator| generator.subschema_for::<T>(),
        }
    }

    /// The entry with a summary and an example of its own, for a type that is a kind of another family as well.
    #[must_use]
    pub const fn with_words(self, summary: &'static str, example: Example<'static>) -> Self {
        Self {
            summary,
            example,
            ..self
        }
    }

    /// The kind with default options.
    ///
    /// # Errors
    /// If a key has no default.
    pub fn default_options(&self) -> crate::Result<Chosen<F>> {
        self.with_options(toml::Table::new())
    }

    /// The kind with the options of these keys, without the key that names the kind.
    ///
    /// # Errors
    /// If the keys are not those of the kind.
    pub fn with_options(&self, keys: toml::Table) -> crate::Result<Chosen<F>> {
        self.options(keys)
            .map_err(|error| Error::Other(format!("`{}`: {error}", self.name)))
    }

    fn options(&self, keys: toml::Table) -> Result<Chosen<F>, toml::de::Error> {
        let (options, keys) = (self.read)(keys)?;
        Ok(Chosen {
            name: self.name,
            keys,
            options,
        })
    }
}

/// Every kind of a family: those of this crate, then those that were [`register`]ed.
pub fn entries<F: Family + ?Sized>() -> Vec<Entry<F>> {
    let added = F::added().read().unwrap_or_else(PoisonError::into_inner);
    F::built_in().iter().chain(added.iter()).copied().collect()
}

/// The kinds that with their default options are such, each in backquotes; not those of which a key has no default.
pub fn names_where<F: Family + ?Sized>(are_such: impl Fn(&F) -> bool) -> Vec<String> {
    let names = entries::<F>().into_iter().filter_map(|entry| {
        let options = entry.default_options().ok()?;
        are_such(&options).then(|| format!("`{}`", entry.name))
    });
    names.collect()
}

/// The kind of this name.
pub fn find<F: Family + ?Sized>(name: &str) -> Option<Entry<F>> {
    entries::<F>().into_iter().find(|entry| entry.name == name)
}

/// Adds a kind from outside this crate for the rest of the program. Call it before any file is read.
///
/// # Errors
/// If the family has a kind of this name.
pub fn register<F: Holds<T> + ?Sized, T: Declared>() -> crate::Result<()> {
    if find::<F>(T::NAME).is_some() {
        return Err(Error::Other(format!("there is a kind `{}` already", T::NAME)));
    }
    let mut added = F::added().write().unwrap_or_else(PoisonError::into_inner);
    added.push(Entry::of::<T>());
    Ok(())
}

/// A kind with its options: what stands in a table such as `[model]`. It derefs to the family's trait.
pub struct Chosen<F: ?Sized> {
    name: &'static str,
    keys: toml::Table,
    options: Arc<F>,
}

impl<F: ?Sized> Chosen<F> {
    /// A kind with these options.
    ///
    /// # Errors
    /// If the options cannot be written as TOML.
    pub fn new<T: Declared>(options: T) -> crate::Result<Self>
    where
        F: Holds<T>,
    {
        let (options, keys) = keep(options).map_err(|error| Error::Other(format!("`{}`: {error}", T::NAME)))?;
        Ok(Self {
            name: T::NAME,
            keys,
            options,
        })
    }

    /// A kind with its default options, which TOML can always hold.
    pub fn of_default<T: Declared + Default>() -> Self
    where
        F: Holds<T>,
    {
        let keys = toml::Table::try_from(T::default()).unwrap_or_default();
        Self {
            name: T::NAME,
            keys,
            options: F::hold(T::default()),
        }
    }

    /// The kind's name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The options, if this is the kind `T`.
    pub fn get<T: Declared>(&self) -> Option<T> {
        let is_it = self.name == T::NAME;
        is_it.then(|| self.keys.clone().try_into().ok()).flatten()
    }

    /// Its options as TOML, defaults included.
    pub fn keys(&self) -> &toml::Table {
        &self.keys
    }
}

impl<F: ?Sized> Clone for Chosen<F> {
    fn clone(&self) -> Self {
        Self {
            name: self.name,
            keys: self.keys.clone(),
            options: Arc::clone(&self.options),
        }
    }
}

impl<F: ?Sized> fmt::Debug for Chosen<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(self.name).field("keys", &self.keys).finish()
    }
}

impl<F: ?Sized> PartialEq for Chosen<F> {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.keys == other.keys
    }
}

impl<F: ?Sized> Deref for Chosen<F> {
    type Target = F;

    fn deref(&self) -> &F {
        &self.options
    }
}

impl<F: Family + ?Sized> Serialize for Chosen<F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let name = toml::Value::from(self.name);
        serializer.collect_map(
            std::iter::once((F::TAG, &name)).chain(self.keys.iter().map(|(key, value)| (key.as_str(), value))),
        )
    }
}

impl<'de, F: Family + ?Sized> Deserialize<'de> for Chosen<F> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut keys = toml::Table::deserialize(deserializer)?;
        let name = keys.remove(F::TAG).ok_or_else(|| D::Error::missing_field(F::TAG))?;
        let name = name.as_str().unwrap_or_default();
        let entry = find::<F>(name).ok_or_else(|| D::Error::custom(format!("there is no {} `{name}`", F::TAG)))?;
        entry.options(keys).map_err(D::Error::custom)
    }
}

impl<F: Family + ?Sized> JsonSchema for Chosen<F> {
    fn schema_name() -> Cow<'static, str> {
        F::SCHEMA.into()
    }

    /// As the derivation has it for an internally tagged enumeration.
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let variants: Vec<Schema> = entries::<F>()
            .iter()
            .map(|entry| {
                let mut schema = (entry.schema)(generator);
                schema.insert("type".into(), "object".into());
                schema.insert(
                    "properties".into(),
                    serde_json::json!({ F::TAG: { "type": "string", "const": entry.name } }),
                );
                schema.insert("required".into(), serde_json::json!([F::TAG]));
                schema.insert("description".into(), entry.summary.into());
                schema
            })
            .collect();
        json_schema!({ "oneOf": variants, "description": F::SUMMARY })
    }
}

/// Words with a final "or".
pub fn either(words: &[String]) -> String {
    match words {
        [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
        _ => words.concat(),
    }
}
