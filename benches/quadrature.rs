//! The log evidence of many rows over one grid: 10,000 nodes of a two-dimensional latent, on one thread.
//!
//! `cargo bench --bench quadrature`. The Gaussian likelihood has a decoder to a ring, the Bernoulli likelihood has 64
//! columns. The grid is decoded beforehand, so that only products and sums are timed.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use latent_lab::math::quadrature::{Gaussians, Grid, Likelihood, Nodes, Refinement, log_evidence};
use latent_lab::math::rows::Rows;
use latent_lab::math::streams::Streams;
use rand_distr::{Distribution, StandardNormal};
use std::hint::black_box;

const ROWS: usize = 10_000;

fn normals(name: &str, count: usize) -> Vec<f64> {
    StandardNormal
        .sample_iter(Streams::new(0).named(name).at(0))
        .take(count)
        .collect()
}

fn log_prior(nodes: &[f64]) -> Vec<f64> {
    let log_prior = |z: &[f64]| -0.5 * (z[0] * z[0] + z[1] * z[1]) - (2.0 * std::f64::consts::PI).ln();
    nodes.chunks(2).map(log_prior).collect()
}

/// A ring of radius 1 in terms of an angle and a radius.
fn ring(nodes: &[f64]) -> Nodes {
    Nodes {
        log_prior: log_prior(nodes),
        likelihood: Likelihood::Gaussian {
            means: nodes
                .chunks(2)
                .flat_map(|z| [z[0].sin() + 0.1 * z[1], z[0].cos()])
                .collect(),
            deviations: vec![0.1; 2],
        },
    }
}

fn coins(nodes: &[f64]) -> Nodes {
    let logits = |z: &[f64]| {
        let (a, b) = (z[0], z[1]);
        (0..64).map(move |j| 3.0 * (f64::from(j) * a).sin() - b)
    };
    Nodes {
        log_prior: log_prior(nodes),
        likelihood: Likelihood::Bernoulli {
            logits: nodes.chunks(2).flat_map(logits).collect(),
        },
    }
}

fn evidence(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("quadrature");
    group.sample_size(10);
    // 51 points per axis are refined once, to 101² = 10,201 nodes.
    let refinement = Refinement {
        grid: Grid::new(2, 6.0, 51).expect("two dimensions"),
        most_points: 101,
        tolerance: 0.0,
    };
    let q = Gaussians {
        means: normals("means", ROWS * 2),
        deviations: vec![0.3; ROWS * 2],
    };
    let points = normals("points", ROWS * 2);
    let coin_rows: Vec<f64> = normals("coins", ROWS * 64)
        .iter()
        .map(|v| f64::from(u8::from(*v > 0.0)))
        .collect();
    type Case<'a> = (&'a str, &'a [f64], usize, fn(&[f64]) -> Nodes, Option<&'a Gaussians>);
    let cases: [Case; 3] = [
        ("gaussian, 2 columns", &points, 2, ring, None),
        ("gaussian, 2 columns, with divergence", &points, 2, ring, Some(&q)),
        ("bernoulli, 64 columns", &coin_rows, 64, coins, None),
    ];
    for (name, values, columns, decode, q) in cases {
        group.bench_function(BenchmarkId::new(name, ROWS), |bencher| {
            let x = Rows { values, columns };
            bencher.iter(|| black_box(log_evidence(x, q, &refinement, |nodes| Ok(decode(nodes))).expect("finite")));
        });
    }
    group.finish();
}

criterion_group!(benches, evidence);
criterion_main!(benches);
