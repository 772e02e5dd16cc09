//! `latent-lab schema`: the JSON Schema of experiment files.

use super::{Stop, say};
use crate::spec::{Spec, schema};

pub(super) fn execute() -> Result<(), Stop> {
    let schema = schema::of_files::<Spec>();
    say(&format!(
        "{}\n",
        serde_json::to_string_pretty(&schema).unwrap_or_default()
    ));
    Ok(())
}
