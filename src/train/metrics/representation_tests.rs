use super::*;
use crate::data::{Dataset, Table};
use crate::math::streams::Streams;
use crate::train::metrics::find;
use crate::train::metrics::latents::Inferred;
use crate::train::metrics::regression::{NEIGHBOURS, Rows, linear, nearest, r_squared};
use crate::train::metrics::testing::{AUTOREGRESSION, Keys};
use rand::RngExt;
use std::f64::consts::TAU;

/// Uniform numbers in ±1.
fn uniform(count: usize, name: &str) -> Vec<f64> {
    let rng = &mut Streams::new(3).named(name).at(0);
    (0..count).map(|_| rng.random_range(-1.0..1.0)).collect()
}

fn near(a: f64, b: f64, tolerance: f64) {
    assert!((a - b).abs() < tolerance, "{a} is not {b} ± {tolerance}");
}

fn at(metrics: &[(String, f64)], name: &str) -> f64 {
    let found = metrics.iter().find(|(own, _)| own == name);
    found.unwrap_or_else(|| panic!("no {name} in {metrics:?}")).1
}

/// Every variant.
fn all() -> Vec<&'static Variant> {
    VARIANTS.iter().collect()
}

#[test]
fn a_search_for_neighbours_is_made_where_the_comparison_asks_for_one() {
    let asked = |metrics: &[&str]| -> Vec<&str> {
        let evaluation = EvaluationConfig {
            metrics: metrics.iter().map(|name| (*name).to_owned()).collect(),
            ..EvaluationConfig::default()
        };
        let own = VARIANTS.iter().filter(|variant| variant.is_asked(&evaluation));
        own.map(|variant| variant.name).collect()
    };
    assert_eq!(asked(&[]).len(), VARIANTS.len());
    assert_eq!(asked(&["test/elbo", "linear_r2[x1]"]), ["test/linear_r2"]);
    assert_eq!(asked(&["test/nearest_r2_smallest"]), ["test/nearest_r2"]);
    assert!(asked(&["test/elbo"]).is_empty());
}

/// Slope and intercept of one latent dimension: cov(x, y) / var(x), ȳ − slope x̄.
#[test]
fn a_linear_fit_of_one_dimension_has_the_textbook_slope_and_intercept() {
    let (x, noise) = (uniform(50, "x"), uniform(50, "noise"));
    let y: Vec<f64> = x.iter().zip(&noise).map(|(x, e)| 5.0 - 3.0 * x + e).collect();
    let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
    let covariance = |a: &[f64], b: &[f64]| {
        let (m, n) = (mean(a), mean(b));
        a.iter().zip(b).map(|(a, b)| (a - m) * (b - n)).sum::<f64>()
    };
    let slope = covariance(&x, &y) / covariance(&x, &x);
    let intercept = mean(&y) - slope * mean(&x);
    let fitted = Rows { latents: x, targets: y };
    for (query, predicted) in [-2.0, 0.0, 7.0].iter().zip(linear(&fitted, &[-2.0, 0.0, 7.0], (1, 1))) {
        near(predicted, intercept + slope * query, 1e-12);
    }
}

/// Four latent dimensions of which one is constant and one a copy: affine functions are found exactly.
#[test]
fn affine_functions_of_redundant_dimensions_are_found_to_rounding() {
    let latents = |name: &str| -> Vec<f64> {
        let pairs = uniform(80, name);
        let row = |pair: &[f64]| [1e6 * pair[0], pair[1], 4.0, 2.0 - pair[1]];
        pairs.chunks(2).flat_map(row).collect()
    };
    let targets = |latents: &[f64]| -> Vec<f64> {
        let row = |z: &[f64]| [3.0 + 2e-6 * z[0] - z[1], 7.0 * z[3]];
        latents.chunks(4).flat_map(row).collect()
    };
    let (own, others) = (latents("own"), latents("others"));
    let fitted = Rows {
        targets: targets(&own),
        latents: own,
    };
    for (predicted, target) in linear(&fitted, &others, (4, 2)).into_iter().zip(targets(&others)) {
        near(predicted, target, 1e-9);
    }
}

#[test]
fn neighbours_are_those_of_a_search_through_all_rows() {
    let (latents, targets) = (uniform(3 * 200, "rows"), uniform(200, "targets"));
    let queries = uniform(3 * 40, "queries");
    // The search scales every dimension by its standard deviation.
    let deviation = |j: usize| {
        let column: Vec<f64> = latents.iter().copied().skip(j).step_by(3).collect();
        let mean = column.iter().sum::<f64>() / 200.0;
        (column.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 200.0).sqrt()
    };
    let scale: Vec<f64> = (0..3).map(deviation).collect();
    let brute = |query: &[f64]| {
        let distance = |row: &[f64]| -> f64 { (0..3).map(|j| ((row[j] - query[j]) / scale[j]).powi(2)).sum() };
        let mut all: Vec<(f64, f64)> = latents.chunks(3).map(distance).zip(targets.iter().copied()).collect();
        all.sort_by(|a, b| a.0.total_cmp(&b.0));
        all.iter().take(NEIGHBOURS).map(|(_, y)| y).sum::<f64>() / NEIGHBOURS as f64
    };
    let expected: Vec<f64> = queries.chunks(3).map(brute).collect();
    let fitted = Rows { latents, targets };
    for (predicted, expected) in nearest(&fitted, &queries, (3, 1)).into_iter().zip(expected) {
        near(predicted, expected, 1e-12);
    }
    // Fewer rows than neighbours: the mean of all.
    let few = Rows {
        latents: vec![0.0, 1.0],
        targets: vec![2.0, 4.0],
    };
    assert_eq!(nearest(&few, &[0.9], (1, 1)), [3.0]);
}

#[test]
fn shares_of_known_predictions() {
    // Σ(y − ȳ)² = 2 in the first column; the second is constant.
    let targets = [0.0, 5.0, 1.0, 5.0, 2.0, 5.0];
    let predicted = [0.0, 5.0, 1.0, 5.0, 1.0, 5.0];
    assert_eq!(r_squared(&targets, &predicted, 2), [Some(0.5), None]);
}

/// Sequences of these lengths with this true state of one column.
fn test_rows(states: Vec<f64>, lengths: Vec<usize>) -> Dataset {
    Dataset {
        observed: Table::new(vec![0.0; states.len()], 1).into(),
        states: Some(Table::new(states, 1).into()),
        lengths: Some(lengths),
        ..Dataset::default()
    }
}

fn columns_of(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// An angle on a circle of two latent dimensions determines cos 3φ, which no linear function does.
#[test]
fn a_twisted_state_has_a_low_linear_and_a_high_nearest_share() {
    let angles: Vec<f64> = uniform(2000, "angles").into_iter().map(|v| v * TAU / 2.0).collect();
    let circle: Vec<f64> = angles.iter().flat_map(|angle| [angle.cos(), angle.sin()]).collect();
    let test = test_rows(angles.iter().map(|angle| (3.0 * angle).cos()).collect(), vec![20; 100]);
    let inferred = Inferred {
        means: circle.clone(),
        samples: circle,
    };
    let metrics = shares(&test, &inferred, &columns_of(&["twisted"]), &all()).expect("shares");
    near(at(&metrics, "test/linear_r2"), 0.0, 0.02);
    near(at(&metrics, "test/nearest_r2"), 1.0, 0.002);
    assert_eq!(
        at(&metrics, "test/nearest_r2[twisted]"),
        at(&metrics, "test/nearest_r2")
    );
}

/// The second half of the sequences has the opposite sign: a fit to the first half predicts −y, so that R² = 1 − Σ(2y)² / Σy²
/// = −3. Fitted to the scored half it would be 1.
#[test]
fn what_is_scored_is_never_fitted() {
    let half = [1.0, -1.0, 2.0, -2.0, 3.0, -3.0];
    let latents: Vec<f64> = [half, half].concat();
    let states = half.iter().copied().chain(half.iter().map(|v| -v)).collect();
    let test = test_rows(states, vec![2, 4, 4, 2]);
    let inferred = Inferred {
        means: latents.clone(),
        samples: latents,
    };
    let metrics = shares(&test, &inferred, &columns_of(&["x1"]), &all()).expect("shares");
    near(at(&metrics, "test/linear_r2"), -3.0, 1e-12);
    near(at(&metrics, "test/linear_r2_smallest"), -3.0, 1e-12);
}

/// The latent states of the first three steps of each sequence say nothing, and samples say it with half the information.
#[test]
fn first_steps_and_samples_have_shares_of_their_own() {
    let (count, length) = (400, 9);
    let states = uniform(count * length, "states");
    let noise = uniform(count * length, "latents");
    let early = |t: usize| t % length < 3;
    let means: Vec<f64> = (0..count * length)
        .map(|t| if early(t) { noise[t] } else { states[t] })
        .collect();
    let samples = states.iter().zip(&noise).map(|(a, b)| a + b).collect();
    let test = test_rows(states, vec![length; count]);
    let metrics = shares(&test, &Inferred { means, samples }, &columns_of(&["x1"]), &all()).expect("shares");
    near(at(&metrics, "test/linear_r2_after_three_steps"), 1.0, 1e-12);
    // ŷ = (6/9) z: the share of (2/3)² of the variance.
    near(at(&metrics, "test/linear_r2"), 4.0 / 9.0, 0.05);
    near(at(&metrics, "test/linear_r2_of_samples"), 0.5, 0.05);
    near(at(&metrics, "test/linear_r2_of_samples_after_three_steps"), 0.5, 0.05);
}

#[test]
fn latents_that_are_not_finite_and_halves_without_steps_have_no_shares() {
    let test = test_rows(vec![1.0, 2.0, 3.0, 4.0], vec![2, 2]);
    let inferred = |v: f64| Inferred {
        means: vec![v, 2.0, 3.0, 5.0],
        samples: vec![1.0, 2.0, 3.0, 5.0],
    };
    let names = |inferred: &Inferred| -> Vec<String> {
        let metrics = shares(&test, inferred, &columns_of(&["x1"]), &all()).expect("shares");
        metrics
            .into_iter()
            .map(|(name, _)| name)
            .filter(|name| !name.contains("nearest"))
            .collect()
    };
    // No sequence has a fourth step.
    let of_samples = ["test/linear_r2_of_samples", "test/linear_r2_of_samples[x1]"];
    assert_eq!(names(&inferred(f64::NAN)), of_samples);
    let all = [
        "test/linear_r2",
        "test/linear_r2_smallest",
        "test/linear_r2[x1]",
        of_samples[0],
        of_samples[1],
    ];
    assert_eq!(names(&inferred(1.0)), all);
}

#[test]
fn a_column_is_a_metric_with_texts_of_its_own() {
    let metric = |name: &str| find(name).unwrap_or_else(|| panic!("no {name}"));
    for name in ["test/nearest_r2[theta_dot]", "nearest_r2[theta_dot]"] {
        let own = metric(name);
        assert_eq!(own.name, "test/nearest_r2[theta_dot]");
        assert_eq!(own.title, "nearest neighbours' R² of theta_dot");
        assert!(
            own.formula.contains("`theta_dot`") && own.conditions.len() == 4,
            "{own:?}"
        );
    }
    for name in [
        "test/linear_r2[]",
        "test/linear_r2[a",
        "test/linear_r2[a]b]",
        "test/linear_r2_smallest[a]",
        "test/elbo[a]",
    ] {
        assert!(find(name).is_none(), "{name}");
    }
    // What is computed is declared.
    for Variant { name, smallest, .. } in &VARIANTS {
        assert!(METRICS.iter().any(|metric| metric.name == *name), "{name}");
        assert!(smallest.is_none_or(|name| METRICS.iter().any(|metric| metric.name == name)));
    }
}

const LINEAR: &str = "kind = 'linear_gaussian_ssm'\nstates = 1\ninitial_values = 'given'\ninitial_mean.start = [0.0]\n\
                      initial_covariance.start = [[1.0]]\ntransition.start = [[0.9]]\ntransition_noise.start = [[0.19]]\n\
                      emission.start = [[1.0]]\nemission_offset.start = [0.0]\nemission_noise.start = [[0.5]]";
/// x' = 0.9 x + w of variance 1, o = x + v of variance 1/2. The past and the future predict x_t with the same variance p,
/// which solves the Riccati equation. Far from the ends Var(x | o) = s, 1/s = 2/p + 1/R − 1/Var(x), since both count the
/// prior. Then R² of means is 1 − s. A draw has the variance of x and the covariance 1 − s with it, hence R² = (1 − s)².
#[test]
fn shares_of_a_linear_model_follow_from_its_riccati_equation() {
    let keys = Keys::new(AUTOREGRESSION, LINEAR, "");
    let shares = || {
        keys.with_job(5, |job, trained| {
            Representation.of_trained(job, trained, &keys.tables())
        })
    };
    let metrics = shares().expect("shares");
    let p = (0..1000).fold(1.0, |p: f64, _| 0.81 * (p * 0.5 / (p + 0.5)) + 0.19);
    let s = (2.0 / p + 2.0 - 1.0).recip();
    near(at(&metrics, "test/linear_r2"), 1.0 - s, 0.01);
    near(at(&metrics, "test/linear_r2_of_samples"), (1.0 - s).powi(2), 0.01);
    // The mean of 8 neighbours adds an eighth of the variance that is left.
    near(at(&metrics, "test/nearest_r2"), 1.0 - s * 9.0 / 8.0, 0.02);
    assert_eq!(at(&metrics, "test/linear_r2[x1]"), at(&metrics, "test/linear_r2"));
    assert_eq!(shares().expect("shares"), metrics);
}

#[test]
fn columns_that_are_not_there_and_single_sequences_are_faults() {
    let fault = |data: &str, metrics: &str| {
        let keys = Keys::new(data, LINEAR, &format!("metrics = [{metrics}]"));
        let faults = Representation.faults(&keys.tables(), None);
        let texts = faults
            .iter()
            .map(|fault| format!("{} {fault} {}", fault.key, fault.expected));
        texts.collect::<Vec<_>>().join("\n")
    };
    assert_eq!(
        fault(AUTOREGRESSION, "'test/linear_r2[x1]', 'nearest_r2', 'test/elbo'"),
        ""
    );
    let column = fault(AUTOREGRESSION, "'linear_r2', 'linear_r2[theta]'");
    assert!(
        column.starts_with("evaluation.metrics.1") && column.contains("no column `theta`") && column.ends_with("x1"),
        "{column}"
    );
    let single = fault("source = 'lgssm'", "'test/state_error', 'linear_r2_smallest'");
    assert!(
        single.starts_with("evaluation.metrics.1") && single.contains("there is one"),
        "{single}"
    );
    // A generator that knows no states: the condition of the metric says it.
    assert_eq!(fault("source = 'ring'", "'linear_r2[x1]'"), "");
    let keys = Keys::new("source = 'ring'", LINEAR, "");
    let metric = find("linear_r2[x1]").expect("a metric");
    let mut unmet = metric
        .conditions
        .iter()
        .filter(|condition| !(condition.holds)(&keys.tables()));
    assert_eq!(unmet.next().map(|condition| condition.what), Some(TRUE_STATES.what));
}
