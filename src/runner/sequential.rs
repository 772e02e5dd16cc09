//! `run --until-decided`: add seeds until each comparison is decided, with error rates that hold for all looks
//! together.
//!
//! The plan is made before the first look and kept in `looks.json`: the error, the smallest difference of interest, the
//! most seeds, and how many seeds are added from one look to the next. Each look then runs the missing seeds of the
//! open comparisons, tests them, and records the look. A variant whose comparison is decided gets no further seeds; the
//! reference gets them as long as any comparison needs it. The test is [`Sequential`].
//!
//! Seeds are those of the file, or of `--seeds`, and then the numbers that follow the largest of them.

use super::looks::{Looks, PlannedLooks, PlannedTest, settings};
use super::{Curves, Experiment, Outcome, PlannedRun, Summary, summarize_runs};
use crate::stats::{Sequential, SequentialPlan, fewest_pairs, look_together};
use crate::{Error, Result};
use std::path::Path;

/// The request of the user, and its limits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct UntilDecided {
    /// The level of all comparisons together, such as 0.95.
    pub level: f64,
    /// The smallest difference of interest, in the metric's unit.
    pub difference: Option<f64>,
    /// The most seeds of each variant.
    pub max_seeds: usize,
    /// The seeds that are added from one look to the next.
    pub look_every: usize,
}

/// Runs `experiment` until each comparison with the reference is decided, or `max_seeds` seeds are used. `run` runs
/// what is missing of some runs and says how each ended. Returns all runs that were asked for and how they ended.
///
/// # Errors
/// [`Error::Other`] if the plan does not fit the experiment or the plan that is recorded; those of `run` and of the
/// records.
pub fn until_decided(
    experiment: &Experiment,
    wanted: UntilDecided,
    run: &mut dyn FnMut(&[PlannedRun]) -> Result<Vec<Outcome>>,
) -> Result<(Vec<PlannedRun>, Vec<Outcome>)> {
    let seeds = seeds(&experiment.loaded.seeds, wanted.max_seeds)?;
    let templates = experiment.runs()?;
    let dir = experiment.dir();
    let mut looks = Looks::read(&dir)?;
    let before = summarize_runs(experiment, &[], Curves::Leave)?;
    let mut plan = plan(&before, &templates, wanted, &dir, looks.plan.take())?;
    let first = experiment.loaded.seeds.len();
    let (mut asked, mut outcomes): (Vec<PlannedRun>, Vec<Outcome>) = (Vec::new(), Vec::new());
    let mut used = first;
    loop {
        let open = |test: &PlannedTest| !test.test.finding().is_final();
        let wants = |name: &str| {
            let of = |test: &PlannedTest| test.variant == name || test.against == name;
            // At the first look even the decided comparisons of an earlier command are asked for.
            plan.tests.iter().any(|test| of(test) && (open(test) || used == first))
        };
        let mut runs = Vec::new();
        for variant in &experiment.loaded.variants {
            let template = templates.iter().find(|run| run.address.variant == variant.name);
            if let Some(template) = template.filter(|_| wants(&variant.name)) {
                runs.extend(seeds[..used].iter().map(|&seed| template.with_seed(seed)));
            }
        }
        let missing = runs
            .iter()
            .filter(|run| !asked.iter().any(|other| other.address == run.address));
        let missing: Vec<PlannedRun> = missing.cloned().collect();
        outcomes.extend(run(&missing)?);
        asked.extend(missing);
        // A look is at all runs that were planned for it: none may be missing, running in another process, or stale.
        if !outcomes
            .iter()
            .all(|outcome| matches!(outcome, Outcome::Done | Outcome::Failed(_)))
        {
            return Ok((asked, outcomes));
        }
        let summary = summarize_runs(experiment, &runs, Curves::Leave)?;
        let last = used >= wanted.max_seeds;
        let seen = plan
            .tests
            .iter()
            .map(|planned| pairs(&summary, planned, &seeds[..used]));
        let seen: Vec<_> = seen.collect();
        let mut tests: Vec<Sequential> = plan.tests.iter().map(|planned| planned.test.clone()).collect();
        look_together(&mut tests, &seen, last);
        for (planned, test) in plan.tests.iter_mut().zip(tests) {
            planned.test = test;
        }
        looks.plan = Some(plan.clone());
        looks.write(&dir)?;
        let done = plan.tests.iter().all(|test| test.test.finding().is_final());
        if done || last {
            return Ok((asked, outcomes));
        }
        used = (used + wanted.look_every).min(wanted.max_seeds);
    }
}

/// The seeds of a plan: those asked for, then the numbers after the largest.
fn seeds(asked: &[u64], most: usize) -> Result<Vec<u64>> {
    if asked.len() > most {
        return Err(Error::Other(format!(
            "the first look is at {} seeds, more than --max-seeds {most}: name fewer seeds with --seeds, or raise --max-seeds",
            asked.len()
        )));
    }
    let next = asked.iter().max().map_or(0, |seed| seed + 1);
    Ok(asked.iter().copied().chain(next..).take(most).collect())
}

/// The plan: the recorded one where it is the same, otherwise a new one.
fn plan(
    summary: &Summary,
    runs: &[PlannedRun],
    wanted: UntilDecided,
    dir: &Path,
    recorded: Option<PlannedLooks>,
) -> Result<PlannedLooks> {
    let reference = summary.variant_names().first().map(|name| (*name).to_owned());
    let mut tests = Vec::new();
    for ours in &summary.variants {
        let same_point = |other: &&super::VariantSummary| {
            Some(&other.variant) == reference.as_ref() && other.point == ours.point && other.variant != ours.variant
        };
        if let Some(theirs) = summary.variants.iter().find(same_point) {
            tests.push((ours.name.clone(), theirs.name.clone()));
        }
    }
    if tests.is_empty() {
        return Err(Error::Other(
            "--until-decided compares variants, and this experiment has one: add a [[variant]]".to_owned(),
        ));
    }
    let plan = SequentialPlan {
        level: wanted.level,
        difference: wanted.difference,
        max_pairs: wanted.max_seeds,
        comparisons: tests.len(),
    };
    let fewest = fewest_pairs(plan.error_of_one());
    if wanted.max_seeds < fewest {
        return Err(Error::Other(format!(
            "with --max-seeds {} nothing can be decided at level {} over {} comparisons: at least {fewest} seeds are needed",
            wanted.max_seeds, wanted.level, plan.comparisons
        )));
    }
    let metric = summary.metric.name.clone();
    let tests: Vec<PlannedTest> = tests
        .into_iter()
        .map(|(variant, against)| PlannedTest {
            settings: settings(&variant, &against, runs),
            test: Sequential::new(plan),
            variant,
            against,
        })
        .collect();
    let Some(mut recorded) = recorded else {
        return Ok(PlannedLooks {
            plan,
            look_every: wanted.look_every,
            metric,
            tests,
        });
    };
    let names = |tests: &[PlannedTest]| -> Vec<(String, String)> {
        tests
            .iter()
            .map(|test| (test.variant.clone(), test.against.clone()))
            .collect()
    };
    let same = recorded.plan == plan && recorded.look_every == wanted.look_every && recorded.metric == metric;
    if !same || names(&recorded.tests) != names(&tests) {
        let difference = recorded
            .plan
            .difference
            .map_or(String::new(), |d| format!(" --difference {d}"));
        return Err(Error::Other(format!(
            "{} holds another plan, whose looks count: {} of {} by {}, made with --level {}{difference} --max-seeds {} \
             --look-every {}. Use these flags to go on with it. A new plan on the same seeds would look again at results that \
             are known: give it seeds of its own with --seeds, and another folder with --results",
            dir.display(),
            match recorded.tests.len() {
                1 => "1 comparison".to_owned(),
                n => format!("{n} comparisons"),
            },
            names(&recorded.tests)
                .iter()
                .map(|(variant, against)| format!("{variant:?} against {against:?}"))
                .collect::<Vec<_>>()
                .join(", "),
            recorded.metric,
            recorded.plan.level,
            recorded.plan.max_pairs,
            recorded.look_every,
        )));
    }
    // Other settings or other data are another comparison.
    for (old, new) in recorded.tests.iter_mut().zip(tests) {
        if old.settings != new.settings {
            *old = new;
        }
    }
    Ok(recorded)
}

/// The differences of one comparison over the seeds that both variants finished, in the order of the plan.
fn pairs(summary: &Summary, planned: &PlannedTest, seeds: &[u64]) -> Vec<(u64, f64)> {
    let scores = |name: &str| {
        let variant = summary.variants.iter().find(|variant| variant.name == name);
        variant
            .map(|variant| variant.scores(&summary.metric.name))
            .unwrap_or_default()
    };
    let (ours, theirs) = (scores(&planned.variant), scores(&planned.against));
    let pair = |seed: &u64| {
        let (a, b) = (ours.get(seed)?, theirs.get(seed)?);
        // Rounding between two scores does not count as a difference.
        let rounding = (a - b).abs() <= 1e-9 * a.abs().max(b.abs());
        Some((*seed, if rounding { 0.0 } else { a - b }))
    };
    seeds.iter().filter_map(pair).collect()
}
