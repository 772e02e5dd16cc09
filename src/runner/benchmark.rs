//! Several experiments together: one score per variant over runs × tasks (Agarwal et al. 2021).
//!
//! Each experiment is a task. Variants are matched by name. A score x is normalised within its task to
//! `(x − baseline)/(oracle − baseline)`: the baseline is 0, the oracle is 1, and larger is better, also for metrics
//! where smaller is better. Metrics without both references are refused: they have no common scale.
//!
//! A failed run counts as the baseline, 0. Leaving it out would reward a variant for failing where it is bad.
//!
//! Intervals are of the percentile bootstrap, stratified by task: runs are resampled within each task. They apply to
//! other seeds on these tasks, not to other tasks.

use super::Summary;
use crate::stats::{
    Bootstrap, Scores, interquartile_mean, mean, mean_probability_of_improvement, optimality_gap, performance_profile,
};
use crate::{Error, Result};
use serde::Serialize;
use std::collections::BTreeSet;

/// The normalised score that the optimality gap is measured from: the oracle's.
const TARGET: f64 = 1.0;
/// Points of a performance profile.
const THRESHOLDS: usize = 41;

/// The comparison of variants over several experiments.
#[derive(Debug, Clone, Serialize)]
pub struct Benchmark {
    /// The tasks.
    pub tasks: Vec<Task>,
    /// The variants that every task has, in the first one's order.
    pub variants: Vec<VariantBenchmark>,
    /// Each variant against the first one.
    pub improvements: Vec<Improvement>,
    /// Variants that some task lacks.
    pub left_out: Vec<String>,
    /// The normalised scores τ that performance profiles are given at, in rising order.
    pub thresholds: Vec<f64>,
    /// How intervals are made, in words.
    pub method: String,
}

/// One experiment and its scale.
#[derive(Debug, Clone, Serialize)]
pub struct Task {
    /// The experiment.
    pub experiment: String,
    /// What its variants are compared by.
    pub metric: String,
    /// The value that becomes 0.
    pub baseline: f64,
    /// The value that becomes 1.
    pub oracle: f64,
}

/// A statistic with its 95 % interval; none where a task has fewer than three runs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// The value.
    pub value: f64,
    /// The lower and the upper end.
    pub interval: Option<(f64, f64)>,
}

/// One variant over all tasks, in normalised scores.
#[derive(Debug, Clone, Serialize)]
pub struct VariantBenchmark {
    /// Its name.
    pub name: String,
    /// The runs of all tasks, failed ones included.
    pub runs: usize,
    /// The runs that failed, and count as 0.
    pub failed: usize,
    /// The interquartile mean over runs × tasks.
    pub interquartile_mean: Estimate,
    /// The mean.
    pub mean: Estimate,
    /// How far below the oracle runs are on average, no run counted as better than it. Smaller is better.
    pub optimality_gap: Estimate,
    /// The share of runs above each threshold, with equal weight for every task. `[thresholds]`
    pub performance_profile: Vec<Estimate>,
}

/// The probability that a run of one variant beats a run of another on the same task.
#[derive(Debug, Clone, Serialize)]
pub struct Improvement {
    /// The first variant.
    pub variant: String,
    /// The second variant.
    pub against: String,
    /// The probability, averaged over tasks; a tie counts one half.
    pub probability: Estimate,
}

impl Benchmark {
    /// Compares the variants of several experiments.
    ///
    /// # Errors
    /// [`Error::Other`] if there are fewer than two experiments, one has no scale, or no variant is in all of them with
    /// a run that has ended.
    pub fn new(summaries: &[Summary]) -> Result<Self> {
        if summaries.len() < 2 {
            return Err(Error::Other(
                "an aggregate is over several experiments: name two files or more".to_owned(),
            ));
        }
        let tasks = summaries.iter().map(task).collect::<Result<Vec<_>>>()?;
        let names: Vec<&String> = summaries[0].variants.iter().map(|variant| &variant.name).collect();
        let everywhere = |name: &String| summaries.iter().all(|summary| runs_of(summary, name).is_some());
        let all: BTreeSet<&String> = summaries
            .iter()
            .flat_map(|s| s.variants.iter().map(|v| &v.name))
            .collect();
        let left_out = all.into_iter().filter(|name| !everywhere(name)).cloned().collect();
        let common: Vec<&String> = names.into_iter().filter(|name| everywhere(name)).collect();
        if common.is_empty() {
            return Err(Error::Other(
                "no variant has finished or failed runs in all of these experiments: variants are matched by name, and \
                 must be run first"
                    .to_owned(),
            ));
        }
        let scores = common
            .iter()
            .map(|name| normalized(summaries, &tasks, name))
            .collect::<Result<Vec<_>>>()?;
        let thresholds = thresholds(&scores);
        let variants = common.iter().zip(&scores).map(|(name, scores)| {
            let failed = summaries
                .iter()
                .filter_map(|s| runs_of(s, name))
                .map(|(_, failed)| failed)
                .sum();
            variant(name, scores, failed, &thresholds)
        });
        let variants = variants.collect();
        let improvements = common.iter().zip(&scores).skip(1).filter_map(|(name, ours)| {
            let theirs = &scores[0];
            let probability = Estimate {
                value: mean_probability_of_improvement(ours, theirs)?,
                interval: Bootstrap::default()
                    .intervals([ours, theirs], |[ours, theirs]| {
                        [mean_probability_of_improvement(ours, theirs).unwrap_or(f64::NAN)]
                    })
                    .and_then(|mut intervals| intervals.pop()),
            };
            Some(Improvement {
                variant: (*name).clone(),
                against: common[0].clone(),
                probability,
            })
        });
        Ok(Self {
            improvements: improvements.collect(),
            tasks,
            variants,
            left_out,
            thresholds,
            method: "percentile bootstrap over runs, stratified by task, 10,000 resamples, 95 %".to_owned(),
        })
    }
}

/// The scores of the finished runs of `name` and the number of failed ones; none where no run has ended.
fn runs_of(summary: &Summary, name: &str) -> Option<(Vec<f64>, usize)> {
    let variant = summary.variants.iter().find(|variant| variant.name == *name)?;
    let scores: Vec<f64> = variant.scores(&summary.metric.name).into_values().collect();
    let failed = variant.failed();
    (scores.len() + failed > 0).then_some((scores, failed))
}

/// The scale of an experiment.
fn task(summary: &Summary) -> Result<Task> {
    let metric = &summary.metric.name;
    let refuse = |what: &str| {
        Error::Other(format!(
            "experiment {:?}: {what} for {metric}, so its scores have no common scale with those of other experiments; \
             compare it alone, or by a metric that has a baseline and an oracle (such as test/log_likelihood of generated \
             data, or rollout/success_rate)",
            summary.experiment
        ))
    };
    let (baseline, oracle) = match (summary.baseline, summary.oracle) {
        (Some(baseline), Some(oracle)) => (baseline, oracle),
        (None, Some(_)) => return Err(refuse("no baseline is known")),
        (Some(_), None) => return Err(refuse("no oracle is known")),
        (None, None) => return Err(refuse("neither baseline nor oracle is known")),
    };
    let above = match summary.metric.larger_is_better {
        Some(true) => oracle > baseline,
        Some(false) => oracle < baseline,
        None => return Err(refuse("neither direction is better")),
    };
    match above && (oracle - baseline).abs().is_finite() {
        true => Ok(Task {
            experiment: summary.experiment.clone(),
            metric: metric.clone(),
            baseline,
            oracle,
        }),
        false => Err(refuse(&format!(
            "the oracle ({oracle}) is not better than the baseline ({baseline})"
        ))),
    }
}

/// The normalised scores of one variant, failed runs as 0.
fn normalized(summaries: &[Summary], tasks: &[Task], name: &str) -> Result<Scores> {
    let of_task = |(summary, task): (&Summary, &Task)| {
        let (scores, failed) = runs_of(summary, name).unwrap_or_default();
        let scaled = scores
            .into_iter()
            .map(|x| (x - task.baseline) / (task.oracle - task.baseline));
        scaled.chain(std::iter::repeat_n(0.0, failed)).collect()
    };
    Scores::new(&summaries.iter().zip(tasks).map(of_task).collect::<Vec<Vec<f64>>>())
}

/// Evenly spaced from the lowest score (at most 0, at least −1) to the highest (at least 1, at most 2).
fn thresholds(scores: &[Scores]) -> Vec<f64> {
    let all = || scores.iter().flat_map(|scores| scores.pooled().iter().copied());
    let low = all().fold(0.0, f64::min).max(-1.0);
    let high = all().fold(1.0, f64::max).min(2.0);
    let at = |i: usize| low + (high - low) * i as f64 / (THRESHOLDS - 1) as f64;
    (0..THRESHOLDS).map(at).collect()
}

fn variant(name: &str, scores: &Scores, failed: usize, thresholds: &[f64]) -> VariantBenchmark {
    let statistics = |scores: &Scores| -> Vec<f64> {
        let pooled = scores.pooled();
        let head = [interquartile_mean(scores), mean(pooled), optimality_gap(pooled, TARGET)];
        head.into_iter()
            .chain(performance_profile(scores, thresholds))
            .collect()
    };
    let intervals = Bootstrap::default().intervals([scores], |[scores]| statistics(scores));
    let estimates: Vec<Estimate> = statistics(scores)
        .into_iter()
        .enumerate()
        .map(|(i, value)| Estimate {
            value,
            interval: intervals.as_ref().map(|intervals| intervals[i]),
        })
        .collect();
    VariantBenchmark {
        name: name.to_owned(),
        runs: scores.pooled().len(),
        failed,
        interquartile_mean: estimates[0],
        mean: estimates[1],
        optimality_gap: estimates[2],
        performance_profile: estimates[3..].to_vec(),
    }
}
