//! Clusters for the initial values of a mixture: k-means++ (Arthur & Vassilvitskii 2007) with row weights, then Lloyd's
//! iterations.
//!
//! The first centre is drawn in proportion to the weights, each later one in proportion to weight times squared
//! distance to the nearest centre so far.

use super::probability::index_at;
use rand::{Rng, RngExt};

/// Lloyd's iterations; enough for initial values.
const ITERATIONS: usize = 10;

/// The nearest centre of each row after k-means++ and a few of Lloyd's iterations, `[N]`.
///
/// `rows` is `[N, P]` row-major and `weights` `[N]` with a positive sum.
pub(super) fn clusters(rows: &[f64], p: usize, weights: &[f64], count: usize, rng: &mut dyn Rng) -> Vec<usize> {
    let mut centres = plus_plus(rows, p, weights, count, rng); // [K, P]
    let mut nearest = assign(rows, p, &centres);
    for _ in 0..ITERATIONS {
        update(rows, p, weights, &nearest, &mut centres);
        let next = assign(rows, p, &centres);
        if next == nearest {
            break;
        }
        nearest = next;
    }
    nearest
}

fn plus_plus(rows: &[f64], p: usize, weights: &[f64], count: usize, rng: &mut dyn Rng) -> Vec<f64> {
    let first = draw(weights, rng);
    let mut centres = rows[first * p..(first + 1) * p].to_vec();
    let mut distance = vec![f64::INFINITY; weights.len()];
    for k in 1..count {
        let latest = &centres[(k - 1) * p..];
        for ((distance, row), w) in distance.iter_mut().zip(rows.chunks_exact(p)).zip(weights) {
            *distance = if *w > 0.0 {
                distance.min(w * squared_distance(row, latest))
            } else {
                0.0
            };
        }
        let next = draw(&distance, rng);
        centres.extend_from_slice(&rows[next * p..(next + 1) * p]);
    }
    centres
}

/// An index in proportion to `masses`; where all are 0 (every row is a centre already), any.
pub(super) fn draw(masses: &[f64], rng: &mut dyn Rng) -> usize {
    let total: f64 = masses.iter().sum();
    if total <= 0.0 {
        return rng.random_range(0..masses.len());
    }
    index_at(masses, rng.random::<f64>() * total)
}

fn assign(rows: &[f64], p: usize, centres: &[f64]) -> Vec<usize> {
    let nearest = |row: &[f64]| {
        let mut best = (f64::INFINITY, 0);
        for (k, centre) in centres.chunks_exact(p).enumerate() {
            let distance = squared_distance(row, centre);
            if distance < best.0 {
                best = (distance, k);
            }
        }
        best.1
    };
    rows.chunks_exact(p).map(nearest).collect()
}

/// Moves every centre to its cluster's mean; a cluster without weight keeps its centre.
fn update(rows: &[f64], p: usize, weights: &[f64], nearest: &[usize], centres: &mut [f64]) {
    let mut mass = vec![0.0; centres.len() / p];
    let mut sum = vec![0.0; centres.len()];
    for ((row, w), k) in rows.chunks_exact(p).zip(weights).zip(nearest) {
        mass[*k] += w;
        for (s, v) in sum[k * p..(k + 1) * p].iter_mut().zip(row) {
            *s += w * v;
        }
    }
    for ((centre, sum), mass) in centres.chunks_exact_mut(p).zip(sum.chunks_exact(p)).zip(mass) {
        if mass > 0.0 {
            for (c, s) in centre.iter_mut().zip(sum) {
                *c = s / mass;
            }
        }
    }
}

fn squared_distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::streams::Streams;

    #[test]
    fn separated_groups_are_found_from_every_seed() {
        let rows: Vec<f64> = (0..60).map(|i| f64::from(i % 3) * 100.0 + f64::from(i)).collect();
        for seed in 0..50 {
            let mut rng = Streams::new(seed).named("initial").at(0);
            let found = clusters(&rows, 1, &[1.0; 60], 3, &mut rng);
            assert!((3..60).all(|i| found[i] == found[i % 3]), "seed {seed}: {found:?}");
            assert!(found[0] != found[1] && found[1] != found[2] && found[0] != found[2]);
        }
    }

    #[test]
    fn draws_follow_the_masses() {
        let mut rng = Streams::new(0).named("draw").at(0);
        let mut counts = [0.0f64; 4];
        for _ in 0..40_000 {
            counts[draw(&[0.0, 1.0, 0.0, 3.0], &mut rng)] += 1.0;
        }
        assert_eq!((counts[0], counts[2]), (0.0, 0.0));
        let deviation = (40_000.0f64 * 0.25 * 0.75).sqrt();
        assert!((counts[3] - 30_000.0).abs() < 6.0 * deviation, "{counts:?}");
    }
}
