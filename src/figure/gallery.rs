//! Synthetic figures of every kind, drawn into `target/gallery`: to look at, and for edge cases.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::path::PathBuf;

use super::axis::Axis;
use super::chart::{Dot, Panel, Stroke};
use super::comparison::{BySeed, Comparison, Difference, Row};
use super::curves::{Curve, Labels, learning_curves};
use super::drawn::Drawn;
use super::layout::Figure;
use super::sheet::Anchor;
use super::theme::{BASELINE, BLACK, ColorMap, FAILED, MODEL, OBSERVED, Page, VARIANTS, mix};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/gallery")
}

/// Mean ± 2.26 standard errors from 3 scores on: good enough to look at.
pub(super) fn interval(values: &[f64]) -> Option<(f64, f64)> {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (n >= 3.0).then(|| (mean - 2.26 * (variance / n).sqrt(), mean + 2.26 * (variance / n).sqrt()))
}

fn normal(rng: &mut ChaCha8Rng) -> f64 {
    (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0
}

pub(super) fn labels(title: &str) -> Labels {
    Labels {
        title: title.into(),
        caption: "Test log-likelihood over optimiser steps: mean over 10 seeds and 95 % interval.".into(),
        x: "optimiser steps".into(),
        y: "log-likelihood (nats per datum)".into(),
    }
}

pub(super) const NAMES: [&str; 8] = [
    "exact posterior",
    "marginal likelihood",
    "8 posterior samples",
    "1 posterior sample",
    "64 posterior samples",
    "hard",
    "stale posterior, refreshed every 200 steps",
    "posterior={kind=\"sampled\",samples=128},training.learning_rate=3e-4",
];

pub(super) fn curves(count: usize, seeds: usize, start: f64) -> Vec<Curve> {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    (0..count)
        .map(|i| {
            let goal = 1.22 - 0.035 * i as f64;
            let steps: Vec<f64> = (0..=40).map(|s| f64::from(s) * 125.0).collect();
            let values = (0..seeds)
                .map(|_| {
                    let shift = 0.02 * normal(&mut rng);
                    let curve = |s: &f64| goal + shift + (start - goal) * (-s / (300.0 + 60.0 * i as f64)).exp();
                    steps.iter().map(|s| curve(s) + 0.01 * normal(&mut rng)).collect()
                })
                .collect();
            let name = if i < 8 {
                NAMES[i].to_string()
            } else {
                format!("{} · {}", NAMES[i % 6], i / 6)
            };
            Curve {
                name,
                steps,
                values,
                failed: usize::from(i == 2),
            }
        })
        .collect()
}

pub(super) fn row(name: &str, values: &[f64], failed: usize) -> Row {
    let mean = (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64);
    Row {
        name: name.to_owned(),
        interval: interval(values),
        scores: (0..).zip(values.iter().copied()).collect(),
        finished: values.len(),
        failed,
        mean,
        difference: None,
    }
}

/// A comparison of rows with the first of them.
pub(super) fn comparison(mut rows: Vec<Row>, oracle: Option<f64>, baseline: Option<f64>) -> Comparison {
    if let Some((first, others)) = rows.split_first_mut() {
        for other in others {
            let pairs = other.scores.iter().zip(&first.scores);
            let values: BySeed = pairs.map(|((seed, a), (_, b))| (*seed, a - b)).collect();
            let alone: Vec<f64> = values.iter().map(|(_, value)| *value).collect();
            if !values.is_empty() {
                other.difference = Some(Difference {
                    against: first.name.clone(),
                    mean: alone.iter().sum::<f64>() / alone.len() as f64,
                    interval: interval(&alone),
                    values,
                });
            }
        }
    }
    Comparison {
        title: TITLE.to_owned(),
        caption: "Test log-likelihood, nats per datum (higher is better). Points and bars: mean with 95 % interval."
            .to_owned(),
        quantity: "test log-likelihood (nats per datum)".to_owned(),
        unit: "nats per datum".to_owned(),
        larger_is_better: Some(true),
        oracle,
        baseline,
        rows,
    }
}

pub(super) const TITLE: &str = "How close does each objective bring a mixture density network to the oracle?";

pub(super) fn rows(curves: &[Curve]) -> Vec<Row> {
    let last = |curve: &Curve| -> Vec<f64> { curve.values.iter().filter_map(|seed| seed.last().copied()).collect() };
    curves
        .iter()
        .map(|curve| row(&curve.name, &last(curve), curve.failed))
        .collect()
}

/// Lecture-like panels with every kind of mark.
fn primitives() -> Figure {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let means = [[-2.0, 0.5], [1.2, 1.6], [1.0, -1.6]];
    let covariances = [
        [[0.5, 0.2], [0.2, 0.4]],
        [[0.6, -0.35], [-0.35, 0.5]],
        [[0.3, 0.0], [0.0, 0.3]],
    ];
    let colors = &VARIANTS[..3];

    let mut clusters = Panel::new("Three components", Axis::linear("x₁"), Axis::linear("x₂")).equal_units();
    let points: Vec<_> = (0..600)
        .map(|i| {
            let k = i % 3;
            let [[a, b], [_, d]]: [[f64; 2]; 2] = covariances[k];
            let (u, v) = (normal(&mut rng), normal(&mut rng));
            let p = (
                means[k][0] + a.sqrt() * u,
                means[k][1] + b / a.sqrt() * u + (d - b * b / a).sqrt() * v,
            );
            let weights: Vec<f64> = means
                .iter()
                .map(|m| (-1.2 * ((p.0 - m[0]).powi(2) + (p.1 - m[1]).powi(2))).exp())
                .collect();
            (p, mix(colors, &weights).alpha(0.8))
        })
        .collect();
    clusters.colored_points(&points, 5.0);
    let mixture = |x: f64, y: f64| {
        means
            .iter()
            .map(|m| (-((x - m[0]).powi(2) + (y - m[1]).powi(2))).exp())
            .sum()
    };
    clusters.contour(
        mixture,
        (-4.5, 4.0),
        (-4.0, 4.0),
        (80, 80),
        0.05,
        Stroke::solid(BLACK).width(2.0),
    );
    for k in 0..3 {
        clusters.gaussian(means[k], covariances[k], &[1.0, 2.0], colors[k]);
    }

    let mut density = Panel::new("Conditional density p(y|x)", Axis::linear("x"), Axis::linear("y"));
    let center = |t: f64| t + 0.3 * (std::f64::consts::TAU * t).sin();
    density.heat(
        |x, t| (-((x - center(t)) / 0.06).powi(2) / 2.0).exp(),
        (0.0, 1.0),
        (0.0, 1.0),
        (160, 120),
        ColorMap::Density,
    );
    let observed: Vec<_> = (0..250)
        .map(|_| {
            let t = rng.random::<f64>();
            (center(t) + 0.06 * normal(&mut rng), t)
        })
        .collect();
    density.points(&observed, Dot::new(OBSERVED.alpha(0.8)).radius(4.0));
    density.text(
        (0.05, 0.9),
        "log p(y|x) = log Σ_z p(z|x) p(y|x, z)",
        Anchor::Start,
        BLACK,
    );

    let mut road = Panel::new("Round the tree", Axis::linear("x (m)"), Axis::linear("y (m)")).equal_units();
    road.key("demonstrations", OBSERVED)
        .key("crash of the mean-acting Gaussian", FAILED)
        .key("mixture", MODEL);
    road.rectangle((-3.0, -0.5), (3.0, 10.5), BASELINE.alpha(0.10))
        .circle((0.0, 5.0), 1.4, VARIANTS[2].alpha(0.5));
    for i in 0..40 {
        let side = if i % 2 == 0 { 2.2 } else { -2.2 } + 0.15 * normal(&mut rng);
        let path: Vec<_> = (0..=50)
            .map(|s| f64::from(s) * 0.2)
            .map(|y| (side * (-((y - 5.0) / 2.0).powi(4)).exp(), y))
            .collect();
        road.line(&path, Stroke::solid(OBSERVED.alpha(0.35)).width(2.5));
    }
    road.line(&[(0.0, 0.0), (0.05, 3.6)], Stroke::solid(FAILED))
        .points(&[(0.05, 3.6)], Dot::new(FAILED).radius(9.0));
    road.arrow((0.3, 1.2), (1.8, 3.2), Stroke::solid(MODEL));
    road.text((0.0, 5.0), "tree", Anchor::Middle, VARIANTS[2]);

    let mut spread = Panel::new(
        "Spread of the sampled estimate",
        Axis::log("samples S"),
        Axis::log("standard error (nats)"),
    );
    let truth: Vec<_> = (0..=10).map(|i| 2f64.powi(i)).map(|s| (s, 0.4 / s.sqrt())).collect();
    spread.named_line("σ/√S", &truth, Stroke::oracle());
    for (x, y) in truth.iter().step_by(2) {
        let y = y * (1.0 + 0.08 * normal(&mut rng));
        spread.error_bar(*x, y, Some((0.85 * y, 1.18 * y)), MODEL);
    }

    let mut histogram = Panel::new(
        "Action density at the fork",
        Axis::linear("heading ψ (rad)"),
        Axis::linear("density"),
    );
    let edges: Vec<f64> = (0..=28).map(|i| -1.4 + 0.1 * f64::from(i)).collect();
    let bump = |x: f64| {
        0.5 * ((-((x - 0.8) / 0.15).powi(2) / 2.0).exp() + (-((x + 0.8) / 0.15).powi(2) / 2.0).exp()) / (0.15 * 2.5066)
    };
    let heights: Vec<f64> = edges
        .windows(2)
        .map(|e| bump(0.5 * (e[0] + e[1])) * (1.0 + 0.1 * normal(&mut rng)))
        .collect();
    histogram
        .bars(&edges, &heights, OBSERVED.alpha(0.5))
        .steps(&edges, &heights, Stroke::solid(OBSERVED).width(2.0));
    let curve: Vec<_> = (0..=280)
        .map(|i| -1.4 + 0.01 * f64::from(i))
        .map(|x| (x, bump(x)))
        .collect();
    histogram.named_line("mixture", &curve, Stroke::solid(MODEL));
    let flat: Vec<_> = curve
        .iter()
        .map(|(x, _)| (*x, 0.47 * (-(x / 0.85f64).powi(2) / 2.0).exp()))
        .collect();
    histogram.named_line("Gaussian", &flat, Stroke::solid(VARIANTS[1]));

    let mut regression = Panel::new("Regression", Axis::linear("x"), Axis::linear("y"));
    let line = |x: f64| 0.8 * x - 0.3;
    let band: Vec<_> = (0..=20)
        .map(|i| f64::from(i) * 0.2 - 2.0)
        .map(|x| (x, line(x) - 0.8, line(x) + 0.8))
        .collect();
    regression.band(&band, MODEL.alpha(0.18));
    let data: Vec<_> = (0..120)
        .map(|_| {
            let x = 4.0 * rng.random::<f64>() - 2.0;
            (x, line(x) + 0.4 * normal(&mut rng))
        })
        .collect();
    regression
        .points(&data, Dot::new(OBSERVED))
        .line(&[(-2.0, line(-2.0)), (2.0, line(2.0))], Stroke::solid(MODEL));

    Figure::new(
        "Every kind of mark",
        2,
        vec![clusters, density, road, spread, histogram, regression],
    )
    .caption("Synthetic data. Points coloured by responsibility, ellipses at one and two standard deviations.")
    .row_height(560.0)
}

#[test]
fn the_gallery_is_drawn() {
    let oracle = Some(1.28236);
    let mut failed = curves(3, 1, 0.2);
    failed[1].values.clear();
    failed[1].failed = 10;
    failed[2].values[0][5] = f64::NAN;
    let mut diverged = curves(4, 5, 0.2);
    let explosion = diverged[1]
        .steps
        .iter()
        .map(|step| -(10f64.powf(step / 160.0)))
        .collect();
    diverged[1].values[2] = explosion;
    let mut hidden = curves(3, 5, 0.2);
    hidden[2].name = "another metric".into();
    let mut unmeasured = rows(&hidden);
    unmeasured[2] = Row {
        name: "another metric".into(),
        finished: 5,
        ..Row::default()
    };
    let constant = vec![row("constant", &[3.0; 5], 0), row("the same", &[3.5; 5], 0)];
    let errors = [0.0012, 0.0013, 0.2, 1.1].map(|size: f64| [1.0, 1.1, 0.9, 1.05, 0.95].map(|factor| size * factor));
    let errors = errors
        .iter()
        .zip(NAMES)
        .map(|(values, name)| row(name, values, 0))
        .collect();
    let errors = Comparison {
        quantity: "prior error (total variation)".to_owned(),
        unit: "total variation".to_owned(),
        larger_is_better: Some(false),
        ..comparison(errors, Some(0.0), Some(0.9))
    };
    let curves_of =
        |list: &[Curve], oracle| learning_curves(list, oracle, Some(0.655), &interval, &labels(TITLE)).unwrap();
    let compared = |rows, oracle, baseline| comparison(rows, oracle, baseline).draw().unwrap();
    let figures = [
        ("primitives", primitives()),
        ("curves_8", curves_of(&curves(8, 10, 0.2), oracle)),
        ("curves_24", curves_of(&curves(24, 10, -30.0), oracle)),
        ("curves_failed", curves_of(&failed, oracle)),
        ("curves_diverged", curves_of(&diverged, Some(1e4))),
        ("comparison_1", compared(rows(&curves(1, 1, 0.2)), None, None)),
        ("comparison_2", compared(rows(&curves(2, 2, 0.2)), oracle, Some(0.655))),
        ("comparison_8", compared(rows(&curves(8, 10, 0.2)), oracle, Some(0.655))),
        (
            "comparison_24",
            compared(rows(&curves(24, 10, 0.2)), oracle, Some(0.655)),
        ),
        ("comparison_failed", compared(rows(&failed), oracle, None)),
        ("comparison_diverged", compared(rows(&diverged), oracle, Some(0.655))),
        ("comparison_unmeasured", compared(unmeasured, oracle, None)),
        ("comparison_constant", compared(constant, Some(9.0), None)),
        ("comparison_errors", errors.draw().unwrap()),
    ];
    for (name, figure) in figures {
        for (page, suffix) in [(Page::Screen, ""), (Page::Column, "_column")] {
            let figure = figure.clone().page(page);
            let path = folder().join(format!("{name}{suffix}"));
            let written = || -> Vec<Vec<u8>> {
                let files = figure.write(&path).unwrap();
                files.iter().map(|file| std::fs::read(file).unwrap()).collect()
            };
            let bytes = written();
            assert!(bytes[0].len() < 1_000_000, "{name}: {} bytes of SVG", bytes[0].len());
            if name == "primitives" {
                assert_eq!(bytes, written(), "{name}: the same figure gives the same bytes");
            }
            Drawn::read(std::str::from_utf8(&bytes[0]).unwrap());
        }
    }
}

#[test]
fn nothing_to_draw_is_an_error() {
    assert!(learning_curves(&[], None, None, &interval, &Labels::default()).is_err());
    assert!(Comparison::default().draw().is_err());
    assert!(Figure::new("empty", 2, Vec::new()).svg().is_err());
}

#[test]
fn ten_thousand_points_stay_small() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let points: Vec<_> = (0..10_000).map(|_| (normal(&mut rng), normal(&mut rng))).collect();
    let mut panel = Panel::new("", Axis::linear("x"), Axis::linear("y"));
    panel.points(&points, Dot::new(OBSERVED.alpha(0.5)));
    let svg = Figure::new("", 1, vec![panel]).svg().unwrap();
    assert!(svg.len() < 600_000, "{}", svg.len());
}
