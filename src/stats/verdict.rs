//! The verdict of each comparison in words: better, worse, or undecided at the stated level.
//!
//! A comparison is decided if the p-value of its sign-flip test, after Holm's correction (1979) for all comparisons
//! made together, is at most 1 − level. Holm: sort the m p-values; the adjusted one of rank r is the largest of
//! `(m − s + 1) p₍s₎` over s ≤ r, at most 1. The chance that any of several true nulls is rejected is then at most 1 −
//! level, for any dependence between them.

use super::paired::PairedDifference;
use super::sign_flip::{fewest_pairs, smallest_p_value};
use serde::{Deserialize, Serialize};

/// What a comparison shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Better than the reference.
    Better,
    /// Worse than the reference.
    Worse,
    /// Higher, for a metric where neither direction is better.
    Higher,
    /// Lower, for such a metric.
    Lower,
    /// Smaller than the smallest difference of interest either way; only from planned looks.
    Negligible,
    /// Neither, at this level and with these seeds.
    Undecided,
    /// The difference is the same in all seeds, as between deterministic fits; seeds measure no uncertainty.
    Same,
    /// Fewer than two seeds finished both variants.
    NotMeasured,
}

/// The verdict of one comparison and what it rests on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// The verdict.
    pub verdict: Verdict,
    /// The p-value after Holm's correction; `None` where the test does not apply.
    pub adjusted_p_value: Option<f64>,
    /// The smallest adjusted p-value that these numbers of seeds could have given; `None` where the test does not
    /// apply.
    pub smallest_possible_p: Option<f64>,
    /// Whether any outcome with these numbers of seeds could have been decided.
    pub can_decide: bool,
    /// The number of comparisons that the p-value is corrected for.
    pub comparisons: usize,
    /// The verdict in words, without the difference and its interval.
    pub words: String,
}

/// Holm's adjusted p-values, in the order of `p`.
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    let mut adjusted = vec![0.0; p.len()];
    let mut largest: f64 = 0.0;
    for (rank, &i) in order.iter().enumerate() {
        largest = largest.max((p.len() - rank) as f64 * p[i]).min(1.0);
        adjusted[i] = largest;
    }
    adjusted
}

/// The verdicts of comparisons that are read together, each a variant's score minus the reference's, at `level` such as
/// 0.95. Where the difference is the same in all seeds there is no test, and it does not count as a comparison.
pub fn verdicts(differences: &[&PairedDifference], larger_is_better: Option<bool>, level: f64) -> Vec<Decision> {
    let tested = || differences.iter().filter(|difference| difference.p_value.is_some());
    let adjusted = holm(&tested().filter_map(|difference| difference.p_value).collect::<Vec<_>>());
    let smallest = holm(
        &tested()
            .map(|difference| smallest_p_value(difference.pairs))
            .collect::<Vec<_>>(),
    );
    let mut numbers = adjusted.into_iter().zip(smallest);
    let comparisons = numbers.len();
    let decide = |difference: &&PairedDifference| match difference.p_value.and_then(|_| numbers.next()) {
        Some((p, smallest)) => tested_decision(difference, (p, smallest), comparisons, larger_is_better, level),
        None => untested_decision(difference, comparisons),
    };
    differences.iter().map(decide).collect()
}

/// The decision of a comparison that has a p-value: `p` after correction, which cannot be below `smallest`.
fn tested_decision(
    difference: &PairedDifference,
    (p, smallest): (f64, f64),
    comparisons: usize,
    larger_is_better: Option<bool>,
    level: f64,
) -> Decision {
    // 1 − 0.95 in f64 is above 0.05 by rounding, and 0.05 is what is meant.
    let error = round_to_ppm(1.0 - level);
    let can_decide = smallest <= error;
    let verdict = match (p <= error, larger_is_better) {
        (false, _) => Verdict::Undecided,
        (true, None) if difference.mean > 0.0 => Verdict::Higher,
        (true, None) => Verdict::Lower,
        (true, Some(larger)) if larger == (difference.mean > 0.0) => Verdict::Better,
        (true, Some(_)) => Verdict::Worse,
    };
    let title = match verdict {
        Verdict::Better => "better",
        Verdict::Worse => "worse",
        Verdict::Higher => "higher",
        Verdict::Lower => "lower",
        _ => "undecided",
    };
    let mut words = format!("{title}: {} of {} seeds agree", difference.agree, difference.pairs);
    if difference.zeros > 0 {
        words += &format!(", {} without a difference", difference.zeros);
    }
    words += &format!(", p = {}", p_value_text(p));
    let approximate = if difference.p_value_is_exact {
        ""
    } else {
        ", Monte Carlo"
    };
    words += &match comparisons {
        0 | 1 => format!(" (sign-flip test{approximate})"),
        _ => format!(" (sign-flip test{approximate}, Holm's correction for {comparisons} comparisons)"),
    };
    if !can_decide {
        words += &format!(
            "; {} seeds cannot decide at {} %, however they turn out: p is at least {}; {} seeds could",
            difference.pairs,
            percent(error),
            p_value_text(smallest),
            fewest_pairs(error / comparisons.max(1) as f64),
        );
    }
    Decision {
        verdict,
        adjusted_p_value: Some(p),
        smallest_possible_p: Some(smallest),
        can_decide,
        comparisons,
        words,
    }
}

/// The decision of a comparison that the test does not apply to.
fn untested_decision(difference: &PairedDifference, comparisons: usize) -> Decision {
    let (verdict, words) = match (difference.identical, difference.zeros == difference.pairs) {
        (true, true) => (
            Verdict::Same,
            format!(
                "no difference in any of {} seeds; this measures no uncertainty",
                difference.pairs
            ),
        ),
        (true, false) => (
            Verdict::Same,
            format!(
                "the difference is the same in all {} seeds; this measures no uncertainty",
                difference.pairs
            ),
        ),
        (false, _) => (
            Verdict::NotMeasured,
            match difference.pairs {
                0 => "not measured: no seed finished both variants".to_owned(),
                _ => "not measured: only one seed finished both variants".to_owned(),
            },
        ),
    };
    Decision {
        verdict,
        adjusted_p_value: None,
        smallest_possible_p: None,
        can_decide: false,
        comparisons,
        words,
    }
}

/// `value` to six decimals, as levels are written.
pub(super) fn round_to_ppm(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

/// A share as a percentage without needless decimals, such as `5` or `2.5`.
pub(super) fn percent(share: f64) -> String {
    let text = format!("{:.2}", 100.0 * share);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A p-value with two significant digits.
pub(super) fn p_value_text(p: f64) -> String {
    match p {
        p if p >= 0.0995 => format!("{p:.2}"),
        p if p >= 0.00995 => format!("{p:.3}"),
        p if p >= 0.0001 => format!("{p:.4}"),
        _ => format!("{p:.1e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::paired_difference;
    use approx::assert_relative_eq;

    /// Differences of the given values, one per seed.
    fn difference(values: &[f64]) -> PairedDifference {
        let ours = (0..).zip(values.iter().copied()).collect();
        let theirs = (0..).zip(values.iter().map(|_| 0.0)).collect();
        paired_difference(&ours, &theirs, 0.95).unwrap().unwrap()
    }

    /// n positive differences, not all the same.
    fn agreeing(n: usize) -> PairedDifference {
        difference(&(0..n).map(|i| 1.0 + i as f64 / 10.0).collect::<Vec<_>>())
    }

    #[test]
    fn holm_agrees_with_a_worked_example() {
        // Holm (1979), by hand: 4·0.005, 3·0.01, then max(0.03, 2·0.03), max(0.06, 0.04).
        let adjusted = holm(&[0.01, 0.04, 0.03, 0.005]);
        for (adjusted, expected) in adjusted.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            assert_relative_eq!(*adjusted, expected, epsilon = 1e-15);
        }
        assert_eq!(holm(&[0.7, 0.9]), [1.0, 1.0]);
        assert!(holm(&[]).is_empty());
    }

    /// Five seeds never decide at 0.05; six do for one comparison, seven for two or three, eight for four to six.
    #[test]
    fn too_few_seeds_cannot_decide_and_it_says_how_many_could() {
        let decide = |n: usize, comparisons: usize| {
            let one = agreeing(n);
            verdicts(&vec![&one; comparisons], Some(true), 0.95).remove(0)
        };
        for (n, comparisons, decided) in [
            (5, 1, false),
            (6, 1, true),
            (6, 2, false),
            (7, 3, true),
            (7, 4, false),
            (8, 6, true),
            (8, 7, false),
        ] {
            let decision = decide(n, comparisons);
            assert_eq!(decision.can_decide, decided, "{n} seeds, {comparisons} comparisons");
            let expected = if decided { Verdict::Better } else { Verdict::Undecided };
            assert_eq!(decision.verdict, expected);
        }
        let words = decide(5, 1).words;
        assert!(
            words.contains("5 seeds cannot decide at 5 %") && words.contains("6 seeds could"),
            "{words}"
        );
        assert!(decide(7, 4).words.contains("8 seeds could"));
    }

    #[test]
    fn direction_comes_from_the_metric() {
        let up = agreeing(8);
        let verdict = |larger| verdicts(&[&up], larger, 0.95)[0].verdict;
        assert_eq!(verdict(Some(true)), Verdict::Better);
        assert_eq!(verdict(Some(false)), Verdict::Worse);
        assert_eq!(verdict(None), Verdict::Higher);
    }

    #[test]
    fn equal_differences_and_single_seeds_have_no_verdict() {
        let (same, zero, one) = (difference(&[3.0; 10]), difference(&[0.0; 10]), difference(&[3.0]));
        let mixed = difference(&[1.0, -0.8, 0.7, -0.2, 0.1, -0.6]);
        let decisions = verdicts(&[&same, &zero, &one, &mixed], Some(true), 0.95);
        let seen: Vec<Verdict> = decisions.iter().map(|decision| decision.verdict).collect();
        assert_eq!(
            seen,
            [Verdict::Same, Verdict::Same, Verdict::NotMeasured, Verdict::Undecided]
        );
        assert!(
            decisions[0].words.contains("same in all 10 seeds"),
            "{}",
            decisions[0].words
        );
        assert!(decisions[1].words.contains("no difference in any of 10 seeds"));
        // Only one of the four is a test, so nothing is corrected.
        assert_eq!(decisions[3].adjusted_p_value, mixed.p_value);
        assert!(decisions[3].can_decide && decisions[3].words.starts_with("undecided: 3 of 6 seeds agree"));
    }
}
