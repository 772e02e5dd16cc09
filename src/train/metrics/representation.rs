//! How well the inferred latent states represent the true ones: regressions from the former to each column of the latter.
//!
//! Regressions are fitted on the first half of the test sequences and scored on the second half:
//!
//! R² = 1 − Σ(y − ŷ)² / Σ(y − ȳ)², for each column y of the true state.
//!
//! Least squares asks whether the true state is a *linear* function of the latent state (Karl et al. 2017, table 1). The
//! mean of the nearest neighbours asks whether it is a function of it at all: a model may hold the complete state in a
//! twisted form. A latent space has no axes of its own, so these scores do not change under an invertible linear map of it
//! (the neighbours' only under a shift and a scale of each dimension). Families of q condition x_t on different
//! observations, often on all of its sequence: these are scores of what was inferred, not predictions.

#[cfg(test)]
#[path = "representation_tests.rs"]
mod tests;

use super::forecast::SEQUENCES;
use super::latents::{self, Inferred};
use super::metric::TEST_ROWS;
use super::open_loop;
use super::regression::{self, Predictor, Rows, r_squared};
use super::{Condition, Declared, EvaluationConfig, Family, Metric, Tables};
use crate::Result;
use crate::data::source::Shape;
use crate::data::{Dataset, GeneratorKind};
use crate::error::Fault;
use crate::train::{Job, Trained};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Steps at the start of each sequence that the metrics `…_after_three_steps` leave out.
const FIRST_STEPS: usize = 3;
/// Steps of either half that a search for neighbours takes.
const MOST_STEPS: usize = 10_000;

pub(super) const TRUE_STATES: Condition = Condition {
    what: "a generator that knows its states",
    write: "such a generator as `data.source`, for example `exploration` or `lgssm`",
    holds: |tables| !state_columns(tables).is_empty(),
};

pub(super) const POSTERIOR: Condition = Condition {
    what: "an objective that uses a posterior",
    write: "such an objective, for example `elbo`",
    holds: |tables| tables.objective.needs_posterior(),
};

/// A mean or the smallest of the shares of all columns.
const fn share(name: &'static str, title: &'static str, formula: &'static str) -> Declared {
    Declared {
        parts: &[],
        name,
        title,
        formula,
        needs: "`data.source` `exploration` or another generator that knows its states, at least two test sequences, a model \
                of sequences, a posterior",
        conditions: &[TEST_ROWS, SEQUENCES, TRUE_STATES, POSTERIOR],
        unit: "share of variance",
        larger_is_better: Some(true),
    }
}

const METRICS: &[Declared] = &[
    share(
        "test/linear_r2",
        "linear R² of the true state",
        "mean over the columns y of the true state of 1 − Σ(y − ŷ)² / Σ(y − ȳ)² over all steps of the second half of the test \
         sequences; ŷ is a linear function with intercept of E_q[x_t], by least squares over the first half. A mean without a \
         closed form is one of evaluation.bounds.samples draws, or of 100 if those are fewer. `test/linear_r2[NAME]` is the \
         share of the column NAME alone. A column that is constant in the second half is left out",
    ),
    share(
        "test/linear_r2_smallest",
        "smallest linear R² of a column",
        "the smallest share among the columns of test/linear_r2",
    ),
    share(
        "test/linear_r2_after_three_steps",
        "linear R² after three steps",
        "test/linear_r2 where the first three steps of every sequence are left out, in both halves",
    ),
    share(
        "test/linear_r2_of_samples",
        "linear R² by samples",
        "test/linear_r2 with one draw of x_t from q in place of E_q[x_t], in both halves",
    ),
    share(
        "test/linear_r2_of_samples_after_three_steps",
        "linear R² by samples after three steps",
        "test/linear_r2_of_samples where the first three steps of every sequence are left out, in both halves",
    ),
    share(
        "test/nearest_r2",
        "nearest neighbours' R² of the true state",
        "test/linear_r2 where ŷ is the mean of y over the 8 steps of the first half whose E_q[x] is nearest, by Euclidean \
         distance after every latent dimension was scaled to standard deviation 1. It is near 1 where the latent state \
         determines the true one, by whatever function. Of more than 10,000 steps of a half it takes every second, third, … one. \
         `test/nearest_r2[NAME]` is the share of the column NAME alone",
    ),
    share(
        "test/nearest_r2_smallest",
        "smallest nearest neighbours' R² of a column",
        "the smallest share among the columns of test/nearest_r2",
    ),
    share(
        "test/nearest_r2_after_three_steps",
        "nearest neighbours' R² after three steps",
        "test/nearest_r2 where the first three steps of every sequence are left out, in both halves",
    ),
    share(
        "test/nearest_r2_of_samples",
        "nearest neighbours' R² by samples",
        "test/nearest_r2 with one draw of x_t from q in place of E_q[x_t], in both halves",
    ),
    share(
        "test/nearest_r2_of_samples_after_three_steps",
        "nearest neighbours' R² by samples after three steps",
        "test/nearest_r2_of_samples where the first three steps of every sequence are left out, in both halves",
    ),
];

/// What a metric of all columns and those of single columns are computed from.
struct Variant {
    name: &'static str,
    smallest: Option<&'static str>,
    predictor: Predictor,
    of_samples: bool,
    skipped: usize,
    most: usize,
}

/// The metric called `name` of posterior means over all steps.
const fn variant(name: &'static str, predictor: Predictor) -> Variant {
    Variant {
        name,
        smallest: None,
        predictor,
        of_samples: false,
        skipped: 0,
        most: usize::MAX,
    }
}

/// The same by nearest neighbours, whose search takes a time that grows with the square of the steps.
const fn of_neighbours(name: &'static str) -> Variant {
    Variant {
        most: MOST_STEPS,
        ..variant(name, regression::nearest)
    }
}

impl Variant {
    /// Whether the comparison names one of its metrics.
    fn is_asked(&self, evaluation: &EvaluationConfig) -> bool {
        let is_own = |name: &str| {
            let whole = split(name).map_or(name, |(whole, _)| whole);
            whole == self.name || Some(whole) == self.smallest
        };
        evaluation.asks_for(is_own)
    }
}

static VARIANTS: [Variant; 8] = [
    Variant {
        smallest: Some("test/linear_r2_smallest"),
        ..variant("test/linear_r2", regression::linear)
    },
    Variant {
        skipped: FIRST_STEPS,
        ..variant("test/linear_r2_after_three_steps", regression::linear)
    },
    Variant {
        of_samples: true,
        ..variant("test/linear_r2_of_samples", regression::linear)
    },
    Variant {
        of_samples: true,
        skipped: FIRST_STEPS,
        ..variant("test/linear_r2_of_samples_after_three_steps", regression::linear)
    },
    Variant {
        smallest: Some("test/nearest_r2_smallest"),
        ..of_neighbours("test/nearest_r2")
    },
    Variant {
        skipped: FIRST_STEPS,
        ..of_neighbours("test/nearest_r2_after_three_steps")
    },
    Variant {
        of_samples: true,
        ..of_neighbours("test/nearest_r2_of_samples")
    },
    Variant {
        of_samples: true,
        skipped: FIRST_STEPS,
        ..of_neighbours("test/nearest_r2_of_samples_after_three_steps")
    },
];

/// The names of the columns of the true state; none if the data do not know it.
pub(super) fn state_columns(tables: &Tables) -> Vec<String> {
    let generator = tables.data.source.generator();
    generator.map_or(vec![], |generator: &dyn GeneratorKind| generator.state_names())
}

/// `test/linear_r2[NAME]` as the name of a metric of all columns, with the part before the slash, and the column.
fn split(name: &str) -> Option<(&'static str, &str)> {
    let (whole, column) = name.strip_suffix(']')?.split_once('[')?;
    let is_called = |name: &&str| *name == whole || name.strip_prefix("test/") == Some(whole);
    let mut names = VARIANTS.iter().map(|variant| variant.name).chain([open_loop::STATE]);
    let of_all = names.find(is_called)?;
    (!column.is_empty() && !column.contains(['[', ']'])).then_some((of_all, column))
}

/// The metric `test/linear_r2[NAME]` of one column of the true state, whose names are those of the data. It is made when it
/// is asked for, and then kept.
pub(super) fn of_column(name: &str) -> Option<&'static Metric> {
    static ASKED: Mutex<BTreeMap<String, &'static Metric>> = Mutex::new(BTreeMap::new());
    let (whole, column) = split(name)?;
    let mut all = METRICS.iter().chain(open_loop::METRICS);
    let declared = all.find(|metric| metric.name == whole)?;
    let of_all = declared.metrics().pop()?;
    let mut asked = ASKED.lock().unwrap_or_else(PoisonError::into_inner);
    let make = || {
        let metric: &'static Metric = Box::leak(Box::new(Metric {
            name: format!("{whole}[{column}]"),
            title: format!("{} of {column}", of_all.title.replace(" of the true state", "")),
            formula: format!("the share of `{column}`, a column of the true state, in the mean {whole}"),
            ..of_all
        }));
        metric
    };
    Some(asked.entry(format!("{whole}[{column}]")).or_insert_with(make))
}

/// The family.
pub(super) struct Representation;

impl Family for Representation {
    fn declared(&self) -> &'static [Declared] {
        METRICS
    }

    /// Metrics of columns that the true state does not have, and of a single test sequence.
    fn faults(&self, tables: &Tables, _shape: Option<&Shape>) -> Vec<Fault> {
        let known = state_columns(tables);
        if known.is_empty() {
            return Vec::new(); // The conditions of the metrics say so.
        }
        let is_of_all = |name: &str| {
            let is_called = |metric: &Declared| metric.name == name || metric.name.strip_prefix("test/") == Some(name);
            METRICS.iter().any(is_called)
        };
        let fault = |(number, name): (usize, &String)| {
            let key = format!("evaluation.metrics.{number}");
            let column = split(name).map(|(_, column)| column);
            if let Some(column) = column.filter(|column| !known.iter().any(|own| own == column)) {
                let message = format!("the true state has no column `{column}`");
                return Some(Fault::new(key, message, known.join(", "), "name one of its columns"));
            }
            ((column.is_some() || is_of_all(name)) && has_one_sequence(tables)).then(|| {
                let message = format!("`{name}` is fitted and scored on different test sequences, and there is one");
                Fault::new(
                    key,
                    message,
                    "at least two test sequences",
                    "draw more test steps, or shorter sequences",
                )
            })
        };
        let names = tables.evaluation.metrics.iter().enumerate();
        names.filter_map(fault).collect()
    }

    fn of_trained(&self, job: &Job, trained: &Trained, tables: &Tables) -> Result<Vec<(String, f64)>> {
        let known = job
            .splits
            .test
            .as_ref()
            .filter(|test| test.states.is_some() && test.len() > 1);
        let Some(test) = known.filter(|test| test.lengths.is_some() && job.objective.needs_posterior()) else {
            return Ok(Vec::new());
        };
        let variants: Vec<&Variant> = VARIANTS.iter().filter(|own| own.is_asked(job.evaluation)).collect();
        if variants.is_empty() {
            return Ok(Vec::new());
        }
        shares(
            test,
            &latents::infer(job, trained, test)?,
            &state_columns(tables),
            &variants,
        )
    }
}

/// Whether all test steps of the generator are one sequence.
fn has_one_sequence(tables: &Tables) -> bool {
    let steps = tables.data.test.or(tables.data.train).unwrap_or(1000);
    let longest = |generator: &dyn GeneratorKind| generator.longest_sequence(steps);
    let longest = tables.data.source.generator().and_then(longest);
    longest.is_some_and(|longest| longest >= steps)
}

/// The metrics of the latent states of `test`, whose true state has these columns. A variant whose latent states are not
/// all finite, or that has no step left to fit or to score, has none.
fn shares(
    test: &Dataset,
    inferred: &Inferred,
    columns: &[String],
    variants: &[&Variant],
) -> Result<Vec<(String, f64)>> {
    let (lengths, states) = (test.lengths.as_deref().unwrap_or_default(), test.states.as_ref());
    let (Some(states), false) = (states, test.is_empty()) else {
        return Ok(Vec::new());
    };
    let widths = (inferred.means.len() / test.observed.rows(), states.columns());
    let mut metrics = Vec::new();
    for &&Variant {
        name,
        smallest,
        predictor,
        of_samples,
        skipped,
        most,
    } in variants
    {
        let latents = if of_samples { &inferred.samples } else { &inferred.means };
        let [fitted, scored] = halves(lengths, skipped).map(|steps| {
            let steps = thinned(&steps, most);
            Rows {
                latents: picked(&steps, widths.0, |t, j| latents[t * widths.0 + j]),
                targets: picked(&steps, widths.1, |t, j| states.value(t, j)),
            }
        });
        let is_finite = latents.iter().all(|v| v.is_finite()) && widths.0 > 0;
        if !is_finite || fitted.targets.is_empty() || scored.targets.is_empty() {
            continue;
        }
        let predicted = predictor(&fitted, &scored.latents, widths);
        let own = r_squared(&scored.targets, &predicted, widths.1);
        let present: Vec<f64> = own.iter().flatten().copied().collect();
        if present.is_empty() {
            continue;
        }
        metrics.push((name.to_owned(), present.iter().sum::<f64>() / present.len() as f64));
        if let Some(smallest) = smallest {
            let least = present.iter().copied().fold(f64::INFINITY, f64::min);
            metrics.push((smallest.to_owned(), least));
        }
        let of_columns = columns.iter().zip(own);
        metrics.extend(of_columns.filter_map(|(column, share)| Some((format!("{name}[{column}]"), share?))));
    }
    Ok(metrics)
}

/// The steps of the first and of the second half of the sequences, without the first `skipped` steps of each sequence. Of an
/// odd number of sequences the second half has one more.
fn halves(lengths: &[usize], skipped: usize) -> [Vec<usize>; 2] {
    let mut halves = [Vec::new(), Vec::new()];
    let mut start = 0;
    for (i, length) in lengths.iter().enumerate() {
        let half = usize::from(i >= lengths.len() / 2);
        halves[half].extend((start + skipped)..(start + length).max(start + skipped));
        start += length;
    }
    halves
}

/// At most `most` of these steps, evenly spaced.
fn thinned(steps: &[usize], most: usize) -> Vec<usize> {
    let every = steps.len().div_ceil(most).max(1);
    steps.iter().copied().step_by(every).collect()
}

/// The values of these rows, row-major.
fn picked(rows: &[usize], width: usize, value: impl Fn(usize, usize) -> f64) -> Vec<f64> {
    let own = rows.iter().flat_map(|&row| (0..width).map(move |j| (row, j)));
    own.map(|(row, j)| value(row, j)).collect()
}
