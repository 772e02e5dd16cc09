//! The errors of tests that look several times, by simulation: planned looks of [`Sequential`], one look at all seeds,
//! and unplanned looks of a test that is valid for one look alone.
//!
//! Each simulated experiment has a reference and several variants, whose scores are independent given their common
//! seed. A comparison is the paired difference from the reference.

use crate::math::streams::{Generator, Streams};
use crate::stats::{Finding, LEVEL, Sequential, SequentialPlan, holm, look_together, mean_interval, sign_flip};
use rand::RngExt;
use rand_distr::{Distribution, Exp1, StandardNormal};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// The looks of a planned design: 5, 10, …, 30 seeds.
pub const LOOKS: [usize; 6] = [5, 10, 15, 20, 25, 30];
/// The most seeds.
pub const MOST: usize = 30;

/// How a comparison is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Design {
    /// Planned looks every 5 seeds, until decided.
    Planned,
    /// One look at 30 seeds with the sign-flip test and Holm's correction.
    Fixed,
    /// A sign-flip test every 5 seeds, until it is below 0.05.
    UnplannedSignFlip,
    /// A paired t test every 5 seeds, until it is below 0.05.
    UnplannedT,
    /// A paired t test after every seed from 5 to 30, until it is below 0.05.
    UnplannedTEverySeed,
}

/// The distribution of a variant's scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// Normal.
    Normal,
    /// Exponential; the differences are symmetric with heavier tails.
    Skewed,
    /// Student's t with two degrees of freedom: no variance.
    HeavyTailed,
    /// Normal with standard deviation 0.1, around 1, or in 30 % of runs around 0.
    Contaminated,
}

/// What one row of the table simulates.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// How the comparisons are looked at.
    pub design: Design,
    /// The scores.
    pub scores: Shape,
    /// How many variants are compared with the reference.
    pub comparisons: usize,
    /// The true difference of each variant, in standard deviations of a difference (normal scores).
    pub effect: f64,
    /// The smallest difference of interest, in the same unit; 0 for none.
    pub difference: f64,
}

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// How the comparisons are looked at.
    pub design: Design,
    /// The scores.
    pub scores: Shape,
    /// How many variants are compared with the reference.
    pub comparisons: usize,
    /// The true difference of each variant, in standard deviations of a difference.
    pub effect: f64,
    /// The smallest difference of interest, in the same unit; 0 for none.
    pub difference: f64,
    /// The share of experiments in which at least one comparison ended as better or worse: false positives where the
    /// effect is zero.
    pub any_decided: f64,
    /// The share of comparisons that ended as better or worse: power where there is an effect.
    pub decided: f64,
    /// The share of comparisons that ended as negligible.
    pub negligible: f64,
    /// The standard error of `any_decided`.
    pub standard_error: f64,
    /// The mean number of pairs per comparison.
    pub mean_pairs: f64,
    /// The number of simulated experiments.
    pub simulations: usize,
}

/// The rows of the committed table.
pub fn cases() -> Vec<Case> {
    let null = |design, scores, comparisons| Case {
        design,
        scores,
        comparisons,
        effect: 0.0,
        difference: 0.0,
    };
    let mut cases = Vec::new();
    for scores in [Shape::Normal, Shape::Skewed, Shape::HeavyTailed, Shape::Contaminated] {
        for comparisons in [1, 3] {
            cases.push(null(Design::Planned, scores, comparisons));
            cases.push(null(Design::Fixed, scores, comparisons));
        }
    }
    for design in [
        Design::UnplannedSignFlip,
        Design::UnplannedT,
        Design::UnplannedTEverySeed,
    ] {
        cases.push(null(design, Shape::Normal, 1));
    }
    for effect in [0.5, 0.75, 1.0, 1.5] {
        for (design, comparisons) in [
            (Design::Planned, 1),
            (Design::Fixed, 1),
            (Design::Planned, 3),
            (Design::Fixed, 3),
        ] {
            cases.push(Case {
                effect,
                ..null(design, Shape::Normal, comparisons)
            });
        }
    }
    for (effect, difference) in [(0.0, 0.75), (0.0, 1.0), (0.75, 0.75), (1.0, 1.0)] {
        cases.push(Case {
            effect,
            difference,
            ..null(Design::Planned, Shape::Normal, 1)
        });
    }
    cases
}

/// The table: each case with this many simulated experiments, from the stream "sequential tests" of `seed`.
pub fn table(simulations: usize, seed: u64) -> Vec<Row> {
    cases()
        .into_par_iter()
        .map(|case| measure(case, simulations, seed))
        .collect()
}

/// One row.
pub fn measure(case: Case, simulations: usize, seed: u64) -> Row {
    let stream = Streams::new(seed).named("sequential tests");
    let outcomes = (0..simulations).into_par_iter().map(|simulation| {
        let differences = simulate(case, &mut stream.at(simulation as u64));
        let ends = look(case, &differences);
        let count = |wanted: fn(Finding) -> bool| ends.iter().filter(|end| wanted(end.0)).count();
        let decided = count(|finding| matches!(finding, Finding::Higher | Finding::Lower));
        let negligible = count(|finding| finding == Finding::Negligible);
        let pairs: usize = ends.iter().map(|end| end.1).sum();
        (usize::from(decided > 0), decided, negligible, pairs)
    });
    let add =
        |a: (usize, usize, usize, usize), b: (usize, usize, usize, usize)| (a.0 + b.0, a.1 + b.1, a.2 + b.2, a.3 + b.3);
    let (any, decided, negligible, pairs) = outcomes.reduce(|| (0, 0, 0, 0), add);
    let round = |value: f64| (value * 1e4).round() / 1e4;
    let share = |count: usize, of: usize| count as f64 / of as f64;
    let comparisons = simulations * case.comparisons;
    let any_decided = share(any, simulations);
    Row {
        design: case.design,
        scores: case.scores,
        comparisons: case.comparisons,
        effect: case.effect,
        difference: case.difference,
        any_decided: round(any_decided),
        decided: round(share(decided, comparisons)),
        negligible: round(share(negligible, comparisons)),
        standard_error: round((any_decided * (1.0 - any_decided) / simulations as f64).sqrt()),
        mean_pairs: round(share(pairs, comparisons)),
        simulations,
    }
}

/// The differences of each comparison, `[comparisons][MOST]`.
fn simulate(case: Case, generator: &mut Generator) -> Vec<Vec<f64>> {
    let mut column = || -> Vec<f64> { (0..MOST).map(|_| score(case.scores, generator)).collect() };
    let reference = column();
    // A difference of two independent normal scores has standard deviation √2.
    let shift = case.effect * 2f64.sqrt();
    let columns = (0..case.comparisons).map(|_| column()).collect::<Vec<_>>();
    let differences = columns
        .into_iter()
        .map(|ours| ours.iter().zip(&reference).map(|(a, b)| a - b + shift).collect());
    differences.collect()
}

fn score(shape: Shape, generator: &mut Generator) -> f64 {
    let normal: f64 = StandardNormal.sample(generator);
    match shape {
        Shape::Normal => normal,
        Shape::Skewed => Exp1.sample(generator),
        Shape::HeavyTailed => {
            // χ² with two degrees of freedom is twice an exponential.
            let half_square: f64 = Exp1.sample(generator);
            normal / half_square.sqrt()
        }
        Shape::Contaminated => {
            let failed = generator.random::<f64>() < 0.3;
            0.1 * normal + if failed { 0.0 } else { 1.0 }
        }
    }
}

/// How each comparison ends, and with how many pairs.
fn look(case: Case, differences: &[Vec<f64>]) -> Vec<(Finding, usize)> {
    let signed = |values: &[f64], significant: bool| match (significant, values.iter().sum::<f64>() > 0.0) {
        (false, _) => Finding::Undecided,
        (true, true) => Finding::Higher,
        (true, false) => Finding::Lower,
    };
    // Looks with a test that is meant for one, until it is significant.
    let until = |looks: &[usize], significant: &dyn Fn(&[f64]) -> bool| {
        let ends = differences.iter().map(|values| {
            let end = looks
                .iter()
                .copied()
                .find(|&n| significant(&values[..n]))
                .unwrap_or(MOST);
            (signed(&values[..end], significant(&values[..end])), end)
        });
        ends.collect::<Vec<_>>()
    };
    let t_test = |values: &[f64]| mean_interval(values, LEVEL).is_some_and(|interval| !interval.contains(0.0));
    match case.design {
        Design::Planned => {
            let plan = SequentialPlan {
                level: LEVEL,
                difference: (case.difference > 0.0).then_some(case.difference * 2f64.sqrt()),
                max_pairs: MOST,
                comparisons: case.comparisons,
            };
            let mut tests = vec![Sequential::new(plan); differences.len()];
            let all = differences
                .iter()
                .map(|values| (0..).zip(values.iter().copied()).collect());
            let all: Vec<Vec<(u64, f64)>> = all.collect();
            for n in LOOKS {
                let seen: Vec<Vec<(u64, f64)>> = all.iter().map(|pairs| pairs[..n].to_vec()).collect();
                look_together(&mut tests, &seen, false);
            }
            let pairs = |test: &Sequential| test.looks().last().map_or(0, |look| look.pairs);
            tests.iter().map(|test| (test.finding(), pairs(test))).collect()
        }
        Design::Fixed => {
            let p: Vec<f64> = differences.iter().map(|values| sign_flip(values).p_value).collect();
            let ends = holm(&p).into_iter().zip(differences);
            ends.map(|(p, values)| (signed(values, p <= 0.05), MOST)).collect()
        }
        Design::UnplannedSignFlip => until(&LOOKS, &|values| sign_flip(values).p_value <= 0.05),
        Design::UnplannedT => until(&LOOKS, &t_test),
        Design::UnplannedTEverySeed => until(&(5..=MOST).collect::<Vec<_>>(), &t_test),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::calibration::sequential_table;

    /// The committed table: planned looks keep false positives at 5 %, unplanned ones do not.
    #[test]
    fn the_committed_table_keeps_the_error() {
        let rows = sequential_table();
        assert_eq!(rows.len(), cases().len());
        for row in rows {
            assert!(row.simulations >= 2000);
            let within = 3.0 * row.standard_error;
            match (row.design, row.effect, row.difference) {
                (Design::Planned | Design::Fixed, 0.0, _) => assert!(row.any_decided <= 0.05 + within, "{row:?}"),
                (Design::UnplannedT, ..) => assert!((0.13..0.19).contains(&row.any_decided), "{row:?}"),
                (Design::UnplannedTEverySeed, ..) => assert!((0.2..0.27).contains(&row.any_decided), "{row:?}"),
                (Design::Planned, effect, difference) if effect == difference => {
                    assert!(row.negligible <= 0.05 + within, "{row:?}");
                }
                _ => {}
            }
        }
    }

    /// Some rows again, with fewer experiments of another seed.
    #[test]
    fn the_committed_table_is_what_the_simulation_gives() {
        let chosen = |row: &&Row| match row.design {
            Design::Planned => row.scores == Shape::Contaminated || row.effect == 1.0,
            Design::UnplannedT => true,
            _ => false,
        };
        let rows: Vec<&Row> = sequential_table().iter().filter(chosen).collect();
        assert!(rows.len() >= 5);
        for row in rows {
            let case = Case {
                design: row.design,
                scores: row.scores,
                comparisons: row.comparisons,
                effect: row.effect,
                difference: row.difference,
            };
            let again = measure(case, 150, 1);
            let error = |p: f64| (p * (1.0 - p) / 150.0).sqrt().max(0.01);
            assert!(
                (again.any_decided - row.any_decided).abs() < 4.0 * error(row.any_decided),
                "{again:?}"
            );
            assert!(
                (again.negligible - row.negligible).abs() < 4.0 * error(row.negligible),
                "{again:?}"
            );
        }
    }
}
