//! The looks at the comparisons of an experiment, kept in `looks.json` in its folder.
//!
//! A test whose error is 5 % for one look errs more often if it is repeated while seeds are added. So each table of
//! results records the number of pairs of every comparison ([`UnplannedLooks`]). Looks that were planned before the
//! first seed ([`PlannedLooks`]) keep their error; they are those of `run --until-decided`. Neither is ever reset: the
//! file survives `--fresh`. A comparison of other settings or other data is another comparison, and starts without
//! looks.

use super::{Difference, PlannedRun, Summary};
use crate::stats::calibration::unplanned_false_positives;
use crate::stats::{Finding, Interval, IntervalMethod, Sequential, SequentialPlan, Verdict};
use crate::{Error, Result, record};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The name of the file.
const FILE: &str = "looks.json";
/// The layout of the file.
const FORMAT: u32 = 1;
/// A look with fewer pairs shows no interval and decides nothing.
const FEWEST: usize = 3;

/// The content of `looks.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Looks {
    format: u32,
    /// The looks that were planned, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlannedLooks>,
    /// The looks that were not.
    #[serde(default)]
    pub unplanned: Vec<UnplannedLooks>,
}

impl Default for Looks {
    fn default() -> Self {
        Self {
            format: FORMAT,
            plan: None,
            unplanned: Vec::new(),
        }
    }
}

/// A plan of looks and how far it has come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedLooks {
    /// The error, the smallest difference of interest and the most seeds.
    #[serde(flatten)]
    pub plan: SequentialPlan,
    /// The seeds that are added from one look to the next.
    pub look_every: usize,
    /// The metric.
    pub metric: String,
    /// The comparisons.
    pub tests: Vec<PlannedTest>,
}

/// One comparison of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedTest {
    /// The variant.
    pub variant: String,
    /// What it is compared with.
    pub against: String,
    /// The settings and data of both.
    pub settings: String,
    /// Its looks.
    #[serde(flatten)]
    pub test: Sequential,
}

/// The unplanned looks at one comparison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UnplannedLooks {
    /// The variant.
    pub variant: String,
    /// What it is compared with.
    pub against: String,
    /// The metric.
    pub metric: String,
    /// The settings and data of both.
    pub settings: String,
    /// The numbers of pairs that it was seen with, in the order of the looks.
    pub pairs: Vec<usize>,
}

impl Looks {
    /// The looks that are recorded in `folder`, an experiment's; none where there is no file.
    ///
    /// # Errors
    /// [`Error::Record`] if the file is damaged or of another version.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(Error::io(&path, error)),
        };
        let refuse = |why: String| {
            Error::Record(format!(
                "{}: {why}; the looks at this experiment are no longer known. Restore the file; or remove it, and do not \
                 take the error rates of further tests for what they promise",
                path.display()
            ))
        };
        let looks: Self = serde_json::from_str(&text).map_err(|error| refuse(error.to_string()))?;
        match looks.format {
            FORMAT => Ok(looks),
            other => Err(refuse(format!("layout {other}, where this program knows {FORMAT}"))),
        }
    }

    /// Writes them to `folder`, whole or not at all.
    ///
    /// # Errors
    /// The operating system's.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)
            .map_err(|error| Error::Other(format!("cannot write the looks: {error}")))?;
        record::write_atomically(&folder.join(FILE), (text + "\n").as_bytes())
    }

    /// Notes that the comparisons of `summary`, of `runs`, are being shown; returns whether this is a new look.
    /// Comparisons of the plan are looked at by the plan alone.
    pub fn note(&mut self, summary: &Summary, runs: &[PlannedRun]) -> bool {
        let mut news = false;
        for found in &summary.differences {
            let pairs = found.difference.pairs;
            if pairs < FEWEST || found.difference.p_value.is_none() || self.planned(found, summary, runs).is_some() {
                continue;
            }
            let settings = settings(&found.variant, &found.against, runs);
            let metric = &summary.metric.name;
            let known = self.unplanned.iter_mut().find(|looks| {
                (&looks.variant, &looks.against, &looks.metric) == (&found.variant, &found.against, metric)
            });
            match known {
                Some(looks) if looks.settings == settings => {
                    if !looks.pairs.contains(&pairs) {
                        looks.pairs.push(pairs);
                        news = true;
                    }
                }
                Some(looks) => {
                    (looks.settings, looks.pairs) = (settings, vec![pairs]);
                    news = true;
                }
                None => {
                    self.unplanned.push(UnplannedLooks {
                        variant: found.variant.clone(),
                        against: found.against.clone(),
                        metric: metric.clone(),
                        settings,
                        pairs: vec![pairs],
                    });
                    news = true;
                }
            }
        }
        news
    }

    /// Puts into `summary`, of `runs`, what is known of the looks at its comparisons: the finding of planned ones in
    /// place of the verdict of a single test, and a warning where a comparison was extended after it had been looked
    /// at.
    pub fn apply(&self, summary: &mut Summary, runs: &[PlannedRun]) {
        let larger_is_better = summary.metric.larger_is_better;
        let planned: Vec<Option<Sequential>> = summary
            .differences
            .iter()
            .map(|found| self.planned(found, summary, runs).cloned())
            .collect();
        let metric = summary.metric.name.clone();
        for (found, planned) in summary.differences.iter_mut().zip(planned) {
            let pairs = self.unplanned_pairs(found, &metric, runs);
            if let Some(test) = planned {
                decide(found, &test, larger_is_better);
                if !pairs.is_empty() {
                    found.decision.words += &format!(
                        "; before the plan was made it was looked at with {} seeds, which the error does not allow for",
                        listed(&pairs)
                    );
                }
            } else if pairs.len() > 1 {
                found.decision.words += &format!("; {}", warning(&pairs));
                found.looks = pairs;
            }
        }
    }

    /// The planned test of a comparison.
    fn planned(&self, found: &Difference, summary: &Summary, runs: &[PlannedRun]) -> Option<&Sequential> {
        let plan = self.plan.as_ref().filter(|plan| plan.metric == summary.metric.name)?;
        let same = |test: &&PlannedTest| test.variant == found.variant && test.against == found.against;
        let test = plan.tests.iter().find(same)?;
        let current = test.settings == settings(&found.variant, &found.against, runs);
        (current && !test.test.looks().is_empty()).then_some(&test.test)
    }

    /// The numbers of pairs that a comparison was seen with outside of a plan.
    fn unplanned_pairs(&self, found: &Difference, metric: &str, runs: &[PlannedRun]) -> Vec<usize> {
        let settings = settings(&found.variant, &found.against, runs);
        let looks = self.unplanned.iter().find(|looks| {
            (&looks.variant, &looks.against, looks.metric.as_str()) == (&found.variant, &found.against, metric)
                && looks.settings == settings
        });
        looks.map_or_else(Vec::new, |looks| looks.pairs.clone())
    }
}

/// Notes in `folder`, an experiment's, that the comparisons of `summary`, of all its finished `runs`, are being shown,
/// and puts into it what is known of the looks at them. Nothing is recorded in a folder that cannot be written.
///
/// # Errors
/// Those of [`Looks::read`].
pub fn show_looks(folder: &Path, summary: &mut Summary, runs: &[PlannedRun]) -> Result<()> {
    let mut looks = Looks::read(folder)?;
    if looks.note(summary, runs) {
        let _ = looks.write(folder);
    }
    looks.apply(summary, runs);
    Ok(())
}

/// The hash of settings and data of two variants, in the order of comparison; empty where a variant has no run.
pub(super) fn settings(variant: &str, against: &str, runs: &[PlannedRun]) -> String {
    let of = |name: &str| {
        runs.iter()
            .find(|run| run.address.variant == name)
            .map(|run| run.hash.as_str())
    };
    let (Some(ours), Some(theirs)) = (of(variant), of(against)) else {
        return String::new();
    };
    blake3::hash(format!("{ours}\n{theirs}").as_bytes()).to_hex()[..24].to_owned()
}

/// The finding of a planned test as the decision on a difference.
fn decide(found: &mut Difference, test: &Sequential, larger_is_better: Option<bool>) {
    found.decision.verdict = match (test.finding(), larger_is_better) {
        (Finding::Higher, None) => Verdict::Higher,
        (Finding::Lower, None) => Verdict::Lower,
        (Finding::Higher, Some(larger)) => {
            if larger {
                Verdict::Better
            } else {
                Verdict::Worse
            }
        }
        (Finding::Lower, Some(larger)) => {
            if larger {
                Verdict::Worse
            } else {
                Verdict::Better
            }
        }
        (Finding::Negligible, _) => Verdict::Negligible,
        (Finding::Same, _) => Verdict::Same,
        (Finding::Open | Finding::Undecided, _) => Verdict::Undecided,
    };
    found.decision.words = test.words(larger_is_better);
    // These belong to a test with a single look.
    (found.decision.adjusted_p_value, found.decision.smallest_possible_p) = (None, None);
    (found.difference.p_value, found.more_seeds) = (None, None);
    found.difference.interval = test.interval().map(|(low, high)| Interval {
        low,
        high,
        method: IntervalMethod::Repeated,
    });
    found.looks = test.looks().iter().map(|look| look.pairs).collect();
}

/// The effect of unplanned looks on the error.
fn warning(pairs: &[usize]) -> String {
    let rate = unplanned_false_positives().map_or_else(String::new, |(rare, often)| {
        format!(" to about {:.0}–{:.0} %", 100.0 * rare, 100.0 * often)
    });
    format!(
        "this comparison was looked at with {} seeds: unplanned looks from 5 to 30 seeds raise the false positives of a 5 % \
         test{rate}; plan them with `run --until-decided`",
        listed(pairs)
    )
}

fn listed(pairs: &[usize]) -> String {
    pairs.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")
}
