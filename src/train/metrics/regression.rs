//! Regressions from latent states to a number: linear least squares and the mean of the nearest neighbours, in f64.
//!
//! Both standardise the latent states by mean and standard deviation of the fitted rows, so that the scale of a latent
//! dimension does not matter. A dimension that is constant on the fitted rows has no effect on a linear fit.

use nalgebra::{DMatrix, SVD};

/// Neighbours whose mean predicts.
pub(super) const NEIGHBOURS: usize = 8;
/// Directions of the latent space whose singular value is below this share of the largest get coefficient 0.
const RANK: f64 = 1e-10;

/// Rows of latent states `[n, Z]` and of targets `[n, Y]`, row-major.
#[derive(Debug, Clone, Default)]
pub(super) struct Rows {
    /// The latent states.
    pub latents: Vec<f64>,
    /// The numbers to predict.
    pub targets: Vec<f64>,
}

/// Predicts the targets of rows of latent states: `[m, Z] → [m, Y]`.
pub(super) type Predictor = fn(fitted: &Rows, latents: &[f64], widths: (usize, usize)) -> Vec<f64>;

/// Mean and standard deviation of each column of rows of `width` numbers; a constant column has deviation 1.
fn moments(values: &[f64], width: usize) -> Vec<(f64, f64)> {
    let count = (values.len() / width.max(1)).max(1) as f64;
    let column = |j: usize| values.iter().skip(j).step_by(width.max(1));
    let moments = |j: usize| {
        let mean = column(j).sum::<f64>() / count;
        let deviation = (column(j).map(|v| (v - mean).powi(2)).sum::<f64>() / count).sqrt();
        (mean, if deviation > 0.0 { deviation } else { 1.0 })
    };
    (0..width).map(moments).collect()
}

fn standardised(values: &[f64], moments: &[(f64, f64)]) -> Vec<f64> {
    let own = values.iter().zip(moments.iter().cycle());
    own.map(|(v, (mean, deviation))| (v - mean) / deviation).collect()
}

/// Linear least squares with an intercept; the solution of least norm in standardised latents where several are best.
pub(super) fn linear(fitted: &Rows, latents: &[f64], (z, y): (usize, usize)) -> Vec<f64> {
    let scale = moments(&fitted.latents, z);
    let means: Vec<f64> = moments(&fitted.targets, y).into_iter().map(|(mean, _)| mean).collect();
    let rows = |values: &[f64], width: usize| DMatrix::from_row_slice(values.len() / width.max(1), width, values);
    let inputs = rows(&standardised(&fitted.latents, &scale), z); // [n, Z]
    let mut targets = rows(&fitted.targets, y); // [n, Y]
    for (mut column, mean) in targets.column_iter_mut().zip(&means) {
        column.add_scalar_mut(-mean);
    }
    let svd = SVD::new(inputs, true, true);
    let least = RANK * svd.singular_values.max();
    // Only a matrix without factors is an error, and both were asked for.
    let weights = svd
        .solve(&targets, least.max(f64::MIN_POSITIVE))
        .unwrap_or_else(|_| DMatrix::zeros(z, y));
    let predicted = rows(&standardised(latents, &scale), z) * weights; // [m, Y]
    let predicted = predicted.row_iter().flat_map(|row| {
        let values: Vec<f64> = row.iter().zip(&means).map(|(v, mean)| v + mean).collect();
        values
    });
    predicted.collect()
}

/// The mean of the targets of the [`NEIGHBOURS`] nearest fitted rows in Euclidean distance of standardised latents; of
/// rows at the same distance those that come first.
pub(super) fn nearest(fitted: &Rows, latents: &[f64], (z, y): (usize, usize)) -> Vec<f64> {
    let scale = moments(&fitted.latents, z);
    let inputs = standardised(&fitted.latents, &scale);
    // In the order of their first dimension, so that a search ends where that dimension alone is too far away.
    let mut points: Vec<(usize, &[f64])> = inputs.chunks_exact(z.max(1)).enumerate().collect();
    points.sort_by(|(_, a), (_, b)| a[0].total_cmp(&b[0]));
    let queries = standardised(latents, &scale);
    let mean = |query: &[f64]| -> Vec<f64> {
        let found = neighbours(&points, query);
        let count = found.len().max(1) as f64;
        let column = |j: usize| found.iter().map(|&(_, i)| fitted.targets[i * y + j]).sum::<f64>() / count;
        (0..y).map(column).collect()
    };
    queries.chunks_exact(z.max(1)).flat_map(mean).collect()
}

/// Squared distances and numbers of the nearest of `points`, which are in the order of their first dimension.
fn neighbours(points: &[(usize, &[f64])], query: &[f64]) -> Vec<(f64, usize)> {
    let mut found: Vec<(f64, usize)> = Vec::with_capacity(NEIGHBOURS + 1);
    let middle = points.partition_point(|(_, point)| point[0] < query[0]);
    let (before, after) = points.split_at(middle);
    // True if this point and all beyond it are too far away.
    let mut visit = |&(i, point): &(usize, &[f64])| -> bool {
        let furthest = found
            .get(NEIGHBOURS - 1)
            .map_or(f64::INFINITY, |(distance, _)| *distance);
        if (point[0] - query[0]).powi(2) > furthest {
            return true;
        }
        let distance = point.iter().zip(query).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
        let at = found.partition_point(|other| (other.0, other.1) < (distance, i));
        found.insert(at, (distance, i));
        found.truncate(NEIGHBOURS);
        false
    };
    let (mut before, mut after) = (before.iter().rev(), after.iter());
    let (mut is_open_before, mut is_open_after) = (true, true);
    while is_open_before || is_open_after {
        is_open_before = is_open_before && before.next().is_some_and(|point| !visit(point));
        is_open_after = is_open_after && after.next().is_some_and(|point| !visit(point));
    }
    found
}

/// 1 − Σ(y − ŷ)² / Σ(y − ȳ)² of each column of `targets` `[m, Y]`; none for a column that is constant.
pub(super) fn r_squared(targets: &[f64], predicted: &[f64], columns: usize) -> Vec<Option<f64>> {
    let means: Vec<f64> = moments(targets, columns).into_iter().map(|(mean, _)| mean).collect();
    let score = |j: usize| {
        let pairs = || targets.iter().zip(predicted).skip(j).step_by(columns.max(1));
        let residual: f64 = pairs().map(|(y, own)| (y - own).powi(2)).sum();
        let total: f64 = pairs().map(|(y, _)| (y - means[j]).powi(2)).sum();
        (total > 0.0).then(|| 1.0 - residual / total)
    };
    (0..columns).map(score).collect()
}
