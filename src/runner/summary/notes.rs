//! The lines below a table: warnings, failures, and where its numbers come from.

use super::Summary;
use std::collections::BTreeMap;
use std::fmt::Write;

impl Summary {
    /// The failures and the records that do not count, a line for each variant and reason; empty where there are none.
    pub fn failures(&self) -> String {
        let mut text = String::new();
        for variant in &self.variants {
            for seed in variant.seeds.iter().filter(|seed| seed.reason.is_some()) {
                let reason = seed.reason.as_deref().unwrap_or_default();
                let _ = writeln!(text, "{}: {}, seed {}: {reason}", seed.status, variant.name, seed.seed);
            }
        }
        text
    }

    /// What happened at the last step of finished runs, a line for each variant and event; empty where nothing did.
    pub fn warnings(&self) -> String {
        let mut text = String::new();
        for variant in &self.variants {
            let mut counts = BTreeMap::<&str, usize>::new();
            for note in variant.seeds.iter().flat_map(|seed| &seed.notes) {
                *counts.entry(note).or_default() += 1;
            }
            let done = variant.count("done");
            for (note, count) in counts {
                let _ = writeln!(text, "warning, {count}/{done} seeds: {}: {note}", variant.name);
            }
        }
        text
    }

    /// A line where the runs were made by several revisions of the program: then they may not be comparable.
    pub fn program_revisions(&self) -> Option<String> {
        let mut counts = BTreeMap::<&str, usize>::new();
        for seed in self.variants.iter().flat_map(|variant| &variant.seeds) {
            if let Some(program) = &seed.program {
                *counts.entry(program).or_default() += 1;
            }
        }
        let listed: Vec<String> = counts.iter().map(|(name, runs)| format!("{name} ({runs})")).collect();
        (counts.len() > 1).then(|| {
            format!(
                "the runs were made by {} revisions of the program: {}; `run --fresh=all` makes all of them with one",
                counts.len(),
                listed.join(", ")
            )
        })
    }

    /// Whether a run's record is of other settings or data, or cannot be read.
    pub fn has_unusable_records(&self) -> bool {
        let seeds = self.variants.iter().flat_map(|variant| &variant.seeds);
        seeds
            .into_iter()
            .any(|seed| ["stale", "damaged"].contains(&seed.status.as_str()))
    }
}
