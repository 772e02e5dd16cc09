//! The differences between variants as a table, and the verdict on each in words.

use super::render::{interval, wrapped};
use crate::cli::number::number;
use crate::cli::table::Table;
use crate::runner::{Difference, Summary};
use crate::stats::{self, Estimand, IntervalMethod, Verdict};
use std::fmt::Write;

/// The table of differences, and the verdict on each in words; empty where there is nothing to compare.
pub(super) fn differences(summary: &Summary) -> String {
    let (found, unmeasured) = (&summary.differences, summary.unmeasured());
    let Some(reference) = summary
        .reference
        .as_ref()
        .filter(|_| !found.is_empty() || !unmeasured.is_empty())
    else {
        return String::new();
    };
    let is_grid = found.iter().any(|difference| difference.against != found[0].against);
    let point = if is_grid { " at the same grid point" } else { "" };
    let against = found
        .first()
        .filter(|_| !is_grid)
        .map_or(reference, |first| &first.against);
    let mut text = format!("\ndifference from {against:?}{point}, paired by seed\n");
    if !found.is_empty() {
        let mut table = Table::new(&["variant", "pairs", "difference", "95 % interval", "verdict"]);
        for found in found {
            let paired = &found.difference;
            let interval = match paired.identical {
                true => "same in all seeds".to_owned(),
                false => interval(
                    paired
                        .interval
                        .map(|found| summary.metric.clip_difference(found.bounds())),
                ),
            };
            table.row(&[
                found.variant.clone(),
                paired.pairs.to_string(),
                number(paired.mean),
                interval,
                title(found.decision.verdict).to_owned(),
            ]);
        }
        let _ = write!(text, "\n{}", table.render());
    }
    let _ = writeln!(text, "\nverdicts at {} %", number_of_percent(summary.level));
    let nothing = "not measured: no seed finished both variants";
    let unmeasured = unmeasured
        .into_iter()
        .map(|variant| (&variant.name, nothing.to_owned()));
    let all = found
        .iter()
        .map(|found| (&found.variant, verdict(found)))
        .chain(unmeasured);
    // Variants with the same text share a line.
    let mut groups: Vec<(String, Vec<&str>)> = Vec::new();
    for (name, words) in all {
        match groups.iter_mut().find(|(known, _)| *known == words) {
            Some((_, names)) => names.push(name),
            None => groups.push((words, vec![name])),
        }
    }
    for (words, names) in groups {
        text.push_str(&wrapped(&format!("{}: {words}", names.join("; ")), 2));
    }
    let method = |found: &&Difference| found.difference.interval.map(|interval| interval.method);
    if found
        .iter()
        .any(|found| method(&found) == Some(IntervalMethod::Repeated))
    {
        let words = "intervals of planned looks: repeated sign-flip intervals, which hold at all looks of a comparison together";
        text.push_str(&wrapped(words, 0));
    }
    if found.iter().any(disagrees) {
        let words = "a verdict rests on the sign-flip test, which assumes no distribution; the interval assumes normal scores and \
                     may include 0 where the test decides, or leave 0 out where it does not";
        text.push_str(&wrapped(words, 0));
    }
    let single = found
        .iter()
        .filter_map(|found| Some((found.difference.pairs, method(&found)?)));
    let fewest = single.filter(|(_, method)| *method != IntervalMethod::Repeated).min();
    let coverage = |(n, method)| stats::coverage_words(Estimand::PairedDifference, method, n);
    if let Some(words) = fewest.and_then(coverage) {
        text.push_str(&wrapped(&words, 0));
    }
    text
}

/// Whether the verdict and the interval answer differently whether the difference is 0.
fn disagrees(found: &Difference) -> bool {
    let is_decided = match found.decision.verdict {
        Verdict::Better | Verdict::Worse | Verdict::Higher | Verdict::Lower => true,
        Verdict::Undecided => false,
        Verdict::Negligible | Verdict::Same | Verdict::NotMeasured => return false,
    };
    let interval = found.difference.interval;
    let interval = interval.filter(|interval| interval.method != IntervalMethod::Repeated);
    interval.is_some_and(|interval| (interval.low <= 0.0 && 0.0 <= interval.high) == is_decided)
}

fn title(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Better => "better",
        Verdict::Worse => "worse",
        Verdict::Higher => "higher",
        Verdict::Lower => "lower",
        Verdict::Negligible => "negligible",
        Verdict::Undecided => "undecided",
        Verdict::Same => "no test",
        Verdict::NotMeasured => "not measured",
    }
}

/// The verdict on one difference in a sentence or two.
fn verdict(found: &Difference) -> String {
    let paired = &found.difference;
    let mut words = found.decision.words.clone();
    if paired.unpaired > 0 {
        let _ = write!(words, "; over the {} seeds that both finished", paired.pairs);
    }
    match found.share_of_gap {
        Some(share) if share >= 0.0005 => {
            _ = write!(words, "; closes {:.3} % of the gap to the oracle", Percent(share))
        }
        Some(share) if share <= -0.0005 => {
            _ = write!(words, "; widens the gap to the oracle by {:.3} %", Percent(-share));
        }
        _ => {}
    }
    match &found.more_seeds {
        Some(more) => {
            let _ = write!(
                words,
                "; about {} more seed{} of both would decide a difference of this size with {} % power",
                more.seeds,
                if more.seeds == 1 { "" } else { "s" },
                number_of_percent(more.power)
            );
            if let Some(seconds) = more.seconds_per_seed {
                let jobs = std::thread::available_parallelism().map_or(1, usize::from);
                let duration = duration(seconds * more.seeds as f64 / jobs as f64);
                let _ = write!(words, ": {duration} on this machine, {jobs} runs at a time");
            }
        }
        None if found.decision.verdict == Verdict::Undecided && paired.mean != 0.0 => {
            let _ = write!(
                words,
                "; a difference of this size needs more than {} seeds",
                stats::MOST_SEEDS
            );
        }
        None => {}
    }
    words
}

/// A share that is written as a percentage with one digit after the point where it is small.
struct Percent(f64);

impl std::fmt::Display for Percent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let percent = 100.0 * self.0;
        match percent < 10.0 {
            true => write!(f, "{percent:.1}"),
            false => write!(f, "{percent:.0}"),
        }
    }
}

fn number_of_percent(share: f64) -> String {
    let text = format!("{:.2}", 100.0 * share);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A duration in words, to one or two digits.
fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 1.0 => "less than a second".to_owned(),
        s if s < 90.0 => format!("{s:.0} s"),
        s if s < 90.0 * 60.0 => format!("{:.0} min", s / 60.0),
        s if s < 48.0 * 3600.0 => format!("{:.0} h", s / 3600.0),
        s => format!("{:.0} days", s / 86_400.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_in_words() {
        let said = [0.2, 5.0, 89.0, 600.0, 7200.0, 400_000.0].map(duration);
        assert_eq!(said, ["less than a second", "5 s", "89 s", "10 min", "2 h", "5 days"]);
    }
}
