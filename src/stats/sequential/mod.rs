//! A sequential paired sign-flip test: look at a comparison several times while seeds are added, and stop when it is
//! decided, with error rates that hold for any number of looks.
//!
//! If two variants do not differ, each seed's difference d_i is as likely to be +|d_i| as −|d_i|. Given the sizes
//! |d_i|, the sum after n seeds is then a random walk whose distribution is known exactly, for scores of any shape.
//! Look k, at n_k of at most N seeds, rejects if |Σ d_i| ≥ c_k, where c_k is the smallest threshold with
//!
//! `P(rejected at a look up to k) ≤ α n_k/N`
//!
//! under that distribution (error spending: Lan and DeMets 1983; linear, the power family with exponent 1 of Kim and
//! DeMets 1987). Over all looks the false positives are at most α. A look with few seeds has few patterns of signs and
//! may spend less than its share; the next look can spend the rest. The thresholds depend on sizes and numbers of seeds
//! alone, never on signs, and so the test is exact (the randomisation test of Fisher 1935, repeated).
//!
//! Sizes are counted in cells of 1/[`CELLS`] of the largest |d| of the first look. The counted sum is the statistic, so
//! this rounding costs a little power and no validity.
//!
//! With a smallest difference of interest δ, a comparison can also end as *negligible*: one test rejects that the
//! difference is −δ or below, and another that it is δ or above (two one-sided tests: Schuirmann 1987), each with its
//! own sequence of looks and total error α. "Better or worse" is wrong only if the difference is zero, "negligible"
//! only if it is δ or more, so that at most one of the two claims can be wrong.
//!
//! Several comparisons are decided together by closed testing (Marcus, Peritz and Gabriel 1976), as Holm's correction
//! is for a single look: a comparison is decided as soon as every set of s comparisons that contains it has a
//! comparison that rejects with error α/s. The chance of any false "better or worse" is then at most α; "negligible" is
//! tested with error α/m for each of m comparisons. A comparison that is decided is never reopened.

use super::aggregate::mean;
use super::interval::identical_at;
use super::verdict::{percent, round_to_ppm};
use serde::{Deserialize, Serialize};
use walk::{Sides, reject};

#[cfg(test)]
mod tests;
mod walk;

pub use walk::CELLS;

/// What was planned before the first look.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SequentialPlan {
    /// The level of the whole family of comparisons, such as 0.95: the error is 1 − level.
    pub level: f64,
    /// The smallest difference of interest δ > 0, in the metric's unit; without it nothing ends as negligible.
    pub difference: Option<f64>,
    /// The most pairs of runs that each comparison may use.
    pub max_pairs: usize,
    /// The comparisons that share the error.
    pub comparisons: usize,
}

impl SequentialPlan {
    /// The error α of all comparisons together.
    pub fn error(&self) -> f64 {
        round_to_ppm(1.0 - self.level)
    }

    /// The error of one comparison by itself, α over the number of comparisons.
    pub fn error_of_one(&self) -> f64 {
        self.error() / self.comparisons.max(1) as f64
    }
}

/// The state of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// More seeds may decide it.
    Open,
    /// The difference is above zero.
    Higher,
    /// The difference is below zero.
    Lower,
    /// The difference is smaller than δ either way.
    Negligible,
    /// The difference is the same at all seeds; more of them measure nothing new.
    Same,
    /// All planned seeds are used, and nothing is decided.
    Undecided,
}

impl Finding {
    /// Whether no further seed is needed.
    pub fn is_final(self) -> bool {
        self != Self::Open
    }
}

/// One look at a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Look {
    /// The pairs of runs seen by then.
    pub pairs: usize,
    /// Their mean difference.
    pub mean: f64,
    /// The share of the error that may be spent up to this look.
    pub share: f64,
    /// The finding after it.
    pub finding: Finding,
}

/// A comparison under a plan: the differences it was given, in the order it was given them, and its looks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sequential {
    plan: SequentialPlan,
    seeds: Vec<u64>,
    differences: Vec<f64>,
    looks: Vec<Look>,
}

impl Sequential {
    /// A comparison without looks.
    pub fn new(plan: SequentialPlan) -> Self {
        Self {
            plan,
            seeds: Vec::new(),
            differences: Vec::new(),
            looks: Vec::new(),
        }
    }

    /// The plan.
    pub fn plan(&self) -> &SequentialPlan {
        &self.plan
    }

    /// The looks so far.
    pub fn looks(&self) -> &[Look] {
        &self.looks
    }

    /// The state of the comparison after its last look.
    pub fn finding(&self) -> Finding {
        self.looks.last().map_or(Finding::Open, |look| look.finding)
    }

    /// Looks at a single comparison: [`look_together`] of one.
    pub fn look(&mut self, pairs: &[(u64, f64)], last: bool) -> Finding {
        look_together(std::slice::from_mut(self), &[pairs.to_vec()], last);
        self.finding()
    }

    /// Adds the pairs that are new; returns whether there is something new to test.
    fn take(&mut self, pairs: &[(u64, f64)], last: bool) -> bool {
        if self.finding().is_final() {
            return false;
        }
        let before = self.seeds.len();
        for (seed, difference) in pairs {
            if self.seeds.len() < self.plan.max_pairs && difference.is_finite() && !self.seeds.contains(seed) {
                self.seeds.push(*seed);
                self.differences.push(*difference);
            }
        }
        let n = self.seeds.len();
        let last = last || n >= self.plan.max_pairs;
        if (n == before || n == 0) && !last {
            return false;
        }
        // A last look without a new pair takes the place of the one before.
        if n == before {
            self.looks.pop();
        }
        self.looks.push(Look {
            pairs: n,
            mean: if n == 0 { 0.0 } else { mean(&self.differences) },
            share: if last {
                1.0
            } else {
                n as f64 / self.plan.max_pairs as f64
            },
            finding: Finding::Open,
        });
        true
    }

    /// The pairs and the share of the error of each look, with this total error.
    fn spending(&self, error: f64) -> Vec<(usize, f64)> {
        self.looks.iter().map(|look| (look.pairs, error * look.share)).collect()
    }

    /// Whether the looks so far reject that there is no difference, with this error; whether it is positive if so.
    fn rejects(&self, error: f64) -> Option<bool> {
        reject(&self.differences, &self.spending(error), Sides::Both)
    }

    /// Whether the difference is the same at all seeds.
    fn is_same(&self) -> bool {
        let magnitude = self
            .differences
            .iter()
            .fold(0.0, |largest: f64, d| largest.max(d.abs()));
        self.differences.len() >= 3 && identical_at(&self.differences, magnitude)
    }

    /// Whether both one-sided tests reject a difference of δ.
    fn is_negligible(&self) -> bool {
        let spending = self.spending(self.plan.error_of_one());
        self.plan.difference.is_some_and(|delta| {
            let beyond = |sign: f64| {
                let shifted: Vec<f64> = self.differences.iter().map(|d| delta + sign * d).collect();
                reject(&shifted, &spending, Sides::Upper).is_some()
            };
            beyond(1.0) && beyond(-1.0)
        })
    }

    /// The repeated confidence interval of the difference (Jennison and Turnbull 1989): all differences that the looks
    /// so far do not reject with the error α. It holds at all looks together, unlike an interval made as if there had
    /// been one look; like other intervals it is not corrected for the number of comparisons. `None` where it is
    /// unbounded, as with few seeds.
    pub fn interval(&self) -> Option<(f64, f64)> {
        let centre = mean(&self.differences);
        let widest = self
            .differences
            .iter()
            .fold(0.0, |widest: f64, d| widest.max((d - centre).abs()));
        if self.looks.is_empty() || widest == 0.0 {
            return None;
        }
        let spending = self.spending(self.plan.error());
        let rejected = |shift: f64| {
            let shifted: Vec<f64> = self.differences.iter().map(|d| d - shift).collect();
            reject(&shifted, &spending, Sides::Both).is_some()
        };
        let end = |direction: f64| {
            let (mut inside, mut outside) = (0.0, 2.0 * widest);
            if !rejected(centre + direction * outside) {
                return None;
            }
            for _ in 0..16 {
                let middle = 0.5 * (inside + outside);
                match rejected(centre + direction * middle) {
                    true => outside = middle,
                    false => inside = middle,
                }
            }
            Some(centre + direction * outside)
        };
        Some((end(-1.0)?, end(1.0)?))
    }

    /// The finding in words, where `larger_is_better` is the metric's direction.
    pub fn words(&self, larger_is_better: Option<bool>) -> String {
        let looked: Vec<String> = self.looks.iter().map(|look| look.pairs.to_string()).collect();
        let title = match (self.finding(), larger_is_better) {
            (Finding::Higher, None) => "higher".to_owned(),
            (Finding::Lower, None) => "lower".to_owned(),
            (Finding::Higher, Some(larger)) => if larger { "better" } else { "worse" }.to_owned(),
            (Finding::Lower, Some(larger)) => if larger { "worse" } else { "better" }.to_owned(),
            (Finding::Negligible, _) => match self.plan.difference {
                Some(delta) => format!("negligible: smaller than {delta} either way"),
                None => "negligible".to_owned(),
            },
            (Finding::Same, _) => "the difference is the same in all seeds; this measures no uncertainty".to_owned(),
            (Finding::Undecided, _) => format!("undecided with all {} planned seeds", self.plan.max_pairs),
            (Finding::Open, _) => "open: more seeds are planned".to_owned(),
        };
        let comparisons = match self.plan.comparisons {
            0 | 1 => String::new(),
            n => format!(" of {n} comparisons"),
        };
        let looked = match looked.is_empty() {
            true => "no".to_owned(),
            false => looked.join(", "),
        };
        format!(
            "{title}, after planned looks with {looked} seeds (sequential sign-flip test, error {} % over all looks{comparisons})",
            percent(self.plan.error())
        )
    }
}

/// Looks at all comparisons of one plan together, given for each (seed, difference) of the pairs finished so far. Seeds
/// seen at earlier looks keep their place and value. A look without a new pair changes nothing, unless it is the
/// `last`; nor does a look after a comparison is decided.
pub fn look_together(tests: &mut [Sequential], pairs: &[Vec<(u64, f64)>], last: bool) {
    let is_new: Vec<bool> = tests
        .iter_mut()
        .zip(pairs)
        .map(|(test, pairs)| test.take(pairs, last))
        .collect();
    let count = tests
        .iter()
        .map(|test| test.plan.comparisons)
        .max()
        .unwrap_or(1)
        .max(tests.len());
    // rejects[s − 1][j]: what comparison j rejects with error α/s.
    let rejects: Vec<Vec<Option<bool>>> = (1..=count)
        .map(|size| {
            tests
                .iter()
                .map(|test| test.rejects(test.plan.error() / size as f64))
                .collect()
        })
        .collect();
    let decided = |i: usize| {
        // A set of s comparisons with i is not rejected if i is not, and s − 1 others are not.
        let all_sets = rejects.iter().enumerate().all(|(smaller, rejects)| {
            let silent = rejects.iter().filter(|rejects| rejects.is_none()).count();
            rejects[i].is_some() || silent <= smaller
        });
        rejects[0][i].filter(|_| all_sets)
    };
    let decided: Vec<Option<bool>> = (0..tests.len()).map(decided).collect();
    for ((test, is_new), decided) in tests.iter_mut().zip(is_new).zip(decided) {
        if test.looks.is_empty() || test.finding().is_final() {
            continue;
        }
        let at_end = test.looks.last().is_some_and(|look| look.share >= 1.0);
        let finding = match decided {
            _ if is_new && test.is_same() => Finding::Same,
            Some(true) => Finding::Higher,
            Some(false) => Finding::Lower,
            None if is_new && test.is_negligible() => Finding::Negligible,
            None if at_end => Finding::Undecided,
            None => Finding::Open,
        };
        if let Some(look) = test.looks.last_mut() {
            look.finding = finding;
        }
    }
}
