//! Runs that `run` does not touch, in words: those of another process, of other settings, or with a record that cannot
//! be read; and records that belong to no variant of the file.

use crate::runner::{Outcome, PlannedRun, Renamed, Unlisted};
use std::fmt::Write;

/// What to do about records of other settings or data.
const ADVICE: &str = "Make them again with --fresh, which deletes these records and no other; or keep them, and give the \
                      experiment another `name` or another --results folder.";

/// The runs of one experiment that were left alone.
#[derive(Debug, Default)]
pub(super) struct LeftAlone {
    /// How many another process is running.
    pub elsewhere: usize,
    /// Those whose record is of other settings or data: variant, seed, what differs.
    pub stale: Vec<(String, u64, String)>,
    /// Those whose record cannot be read: variant, seed, why not.
    pub damaged: Vec<(String, u64, String)>,
}

impl LeftAlone {
    /// Reads how `runs` ended.
    pub(super) fn of(runs: &[PlannedRun], outcomes: &[Outcome]) -> Self {
        let mut found = Self::default();
        for (run, outcome) in runs.iter().zip(outcomes) {
            let named = |reason: String| (run.address.variant.clone(), run.address.seed, reason);
            match outcome {
                Outcome::Elsewhere => found.elsewhere += 1,
                Outcome::Stale(differences) => found.stale.push(named(differences.join("; "))),
                Outcome::Damaged(reason) => found.damaged.push(named(reason.clone())),
                Outcome::Done | Outcome::Interrupted | Outcome::Failed(_) => {}
            }
        }
        found
    }

    /// The note on runs of another process, which are no fault.
    pub(super) fn note(&self) -> Option<String> {
        let belong = match self.elsewhere {
            0 => return None,
            1 => "1 run belongs".to_owned(),
            n => format!("{n} runs belong"),
        };
        Some(format!(
            "{belong} to another process; run the command again for the table of all runs"
        ))
    }

    /// The message on records of other settings and on damaged ones; `None` where there are none.
    pub(super) fn fault(&self) -> Option<String> {
        let mut text = String::new();
        if !self.stale.is_empty() {
            let _ = writeln!(
                text,
                "{} already recorded with other settings or other data, and left alone:\n{}{ADVICE}",
                count(self.stale.len()),
                listed(&self.stale)
            );
        }
        if !self.damaged.is_empty() {
            let _ = writeln!(
                text,
                "{} a record that cannot be used, and left alone:\n{}Make them again with --fresh.",
                match self.damaged.len() {
                    1 => "1 run has".to_owned(),
                    n => format!("{n} runs have"),
                },
                listed(&self.damaged)
            );
        }
        let text = text.trim_end();
        (!text.is_empty()).then(|| text.to_owned())
    }
}

fn count(runs: usize) -> String {
    match runs {
        1 => "1 run is".to_owned(),
        n => format!("{n} runs are"),
    }
}

/// A line for each variant and reason, with its seeds.
pub(super) fn listed(runs: &[(String, u64, String)]) -> String {
    let mut groups: Vec<(&str, &str, Vec<u64>)> = Vec::new();
    for (variant, seed, reason) in runs {
        match groups.iter_mut().find(|(v, r, _)| v == variant && r == reason) {
            Some((_, _, seeds)) => seeds.push(*seed),
            None => groups.push((variant, reason, vec![*seed])),
        }
    }
    let mut text = String::new();
    for (variant, reason, seeds) in groups {
        let _ = writeln!(text, "  {variant}, {}: {reason}", seed_words(&seeds));
    }
    text
}

/// Seeds in words: `seed 3`, `seeds 0, 2`, `seeds 0 to 9`.
pub(super) fn seed_words(seeds: &[u64]) -> String {
    let is_run = seeds.windows(2).all(|pair| pair[1] == pair[0] + 1);
    match seeds {
        [one] => format!("seed {one}"),
        [first, .., last] if is_run && seeds.len() > 2 => format!("seeds {first} to {last}"),
        several => {
            let texts: Vec<String> = several.iter().map(u64::to_string).collect();
            format!("seeds {}", texts.join(", "))
        }
    }
}

/// The message of `run` on runs that it took over from a variant's old name.
pub(super) fn renamed(renamed: &Renamed) -> String {
    let Renamed { from, to, runs } = renamed;
    format!("reused {runs} recorded runs of {from:?} for {to:?}: the settings are the same")
}

/// A line on a folder of records that belongs to no variant of the file.
pub(super) fn unlisted(unlisted: &Unlisted) -> String {
    let Unlisted {
        folder, runs, variant, ..
    } = unlisted;
    let folder = folder.display();
    let plural = if *runs == 1 { "" } else { "s" };
    match &unlisted.same_as {
        Some(same) => format!(
            "{folder}: {runs} run{plural} of {variant:?}, which has the settings of {same:?}; `run` reuses them where {same:?} \
             has none"
        ),
        None => format!("{folder}: {runs} run{plural} of {variant:?}, which is no variant of this file"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_runs_left_alone_are_listed_by_what_differs() {
        let stale = |seed| {
            (
                "two".to_owned(),
                seed,
                "training.steps: 3 in the record, 4 now".to_owned(),
            )
        };
        let other = (
            "three".to_owned(),
            7,
            "the data file p.csv has changed since".to_owned(),
        );
        let left = LeftAlone {
            elsewhere: 1,
            stale: vec![stale(0), stale(1), stale(2), other],
            damaged: Vec::new(),
        };
        let text = left.fault().unwrap();
        assert!(
            text.starts_with("4 runs are already recorded with other settings"),
            "{text}"
        );
        assert!(
            text.contains("\n  two, seeds 0 to 2: training.steps: 3 in the record, 4 now\n"),
            "{text}"
        );
        assert!(text.contains("\n  three, seed 7: the data file p.csv"), "{text}");
        assert!(left.note().unwrap().starts_with("1 run belongs to another process"));
        assert_eq!(
            (LeftAlone::default().fault(), LeftAlone::default().note()),
            (None, None)
        );
    }

    #[test]
    fn seeds_in_words() {
        assert_eq!(seed_words(&[4]), "seed 4");
        assert_eq!(seed_words(&[4, 5]), "seeds 4, 5");
        assert_eq!(seed_words(&[4, 5, 6]), "seeds 4 to 6");
        assert_eq!(seed_words(&[4, 5, 7]), "seeds 4, 5, 7");
    }
}
