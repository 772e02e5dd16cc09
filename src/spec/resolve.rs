//! The fully resolved spec as canonical TOML, and the hash that identifies it.
//!
//! Defaults are filled in and keys stand in the order of their declaration. The hash is taken over the same text with
//! its keys sorted, so moving a field in the source changes no hash.

use serde::Serialize;
use toml::{Table, Value};

/// The spec as TOML with every default filled in; parsing it gives an equal spec.
///
/// Fails for values that TOML cannot write, such as whole numbers above 2^63 − 1.
pub fn to_toml<T: Serialize>(spec: &T) -> Result<String, toml::ser::Error> {
    toml::to_string(spec)
}

/// The blake3 hash of the resolved spec, 64 hexadecimal digits.
pub fn hash<T: Serialize>(spec: &T) -> Result<String, toml::ser::Error> {
    let canonical = toml::to_string(&sorted(Value::try_from(spec)?))?;
    Ok(blake3::hash(canonical.as_bytes()).to_hex().to_string())
}

fn sorted(value: Value) -> Value {
    match value {
        Value::Table(table) => {
            let mut pairs: Vec<(String, Value)> = table.into_iter().map(|(key, value)| (key, sorted(value))).collect();
            pairs.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Table(pairs.into_iter().collect::<Table>())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        leaf => leaf,
    }
}
