//! Initial values of EM, and new initial values for a component that collapsed.
//!
//! k-means++ clusters of `[x; y]` in standardised columns give each component its share, its regression (or mean) and
//! its covariance. A cluster with too few points for a covariance gets the pooled one, and with inputs the pooled
//! regression slopes through its own centre. So no component starts from the near-zero covariance of one point.

use rand::{Rng, RngExt};

use super::k_means::{clusters, draw};
use super::linear_mixture::{Covariance, LinearMixture};
use super::m_step::{Event, Fixed, Floor, maximize};
use super::rows::{Observations, add_outer, mirror};
use super::sweep::Statistics;
use crate::{Error, Result};

/// Most rows that are clustered; larger tables are subsampled at random.
const ROWS: usize = 16_384;
/// Rows among which the worst explained one is chosen for a re-seeded component.
const CANDIDATES: usize = 16;

/// A mixture of `components` from k-means++ clusters, above the floor.
///
/// # Errors
/// If `components` is 0, or an observed column is constant and the floor not absolute.
pub fn initial(
    data: &Observations,
    components: usize,
    covariance: Covariance,
    floor: &Floor,
    rng: &mut dyn Rng,
) -> Result<LinearMixture> {
    if components == 0 {
        return Err(Error::Data("a mixture of 0 components: expected at least 1".into()));
    }
    let pooled = pooled(data, components, covariance, floor)?;
    if components == 1 {
        return Ok(pooled);
    }
    let chosen = thinned(data, rng);
    let p = 1 + data.shift.len();
    let mut rows = vec![0.0; chosen.len() * p];
    let weights: Vec<f64> = chosen.iter().map(|i| data.weight(*i)).collect();
    for (i, row) in chosen.iter().zip(rows.chunks_exact_mut(p)) {
        data.centred(*i, row);
    }
    let nearest = clusters(&standardised(data, &rows), p - 1, &weights, components, rng);
    let statistics = cluster_statistics(data, &rows, &weights, &nearest, components);
    let mut mixture = maximize(&statistics, &pooled, Fixed::default(), floor)?.mixture;
    for k in 0..components {
        if nearest
            .iter()
            .zip(&weights)
            .filter(|(c, w)| **c == k && **w > 0.0)
            .count()
            <= p
        {
            let m = &statistics.moments[k * p * p..(k + 1) * p * p];
            let centre: Vec<f64> = match m[0] > 0.0 {
                true => m[1..p].iter().map(|s| s / m[0]).collect(),
                false => rows[draw(&weights, rng) * p..][1..p].to_vec(),
            };
            place(&mut mixture, k, &pooled, data, &centre);
        }
    }
    // Every component starts with a positive weight: half its cluster's share plus half of 1/K.
    let share = 1.0 / components as f64;
    mixture.weights.iter_mut().for_each(|w| *w = 0.5 * (*w + share));
    Ok(mixture)
}

/// Re-initialises the collapsed and empty components of `events` at the worst explained of a few rows drawn by weight,
/// with pooled regression slopes and covariance and a weight of 1/K. This may lower the likelihood, so it is an event.
///
/// # Errors
/// As [`initial`]; also if the mixture does not fit the data.
pub fn reseed(
    data: &Observations,
    mixture: &mut LinearMixture,
    events: &[Event],
    floor: &Floor,
    rng: &mut dyn Rng,
) -> Result<()> {
    let dead: Vec<usize> = events
        .iter()
        .filter_map(|event| match event {
            Event::Collapsed { component } | Event::Empty { component } => Some(*component),
            Event::Floored { .. } => None,
        })
        .collect();
    if dead.is_empty() {
        return Ok(());
    }
    let pooled = pooled(data, mixture.components(), mixture.covariance, floor)?;
    let weights: Vec<f64> = (0..data.count()).map(|i| data.weight(i)).collect();
    let mut u = vec![0.0; 1 + data.shift.len()];
    for k in dead {
        let whitened = mixture.whiten(data)?;
        let mut worst = (f64::INFINITY, Vec::new());
        for _ in 0..CANDIDATES {
            data.centred(draw(&weights, rng), &mut u);
            let best = whitened
                .iter()
                .map(|w| w.log_joint(&u))
                .fold(f64::NEG_INFINITY, f64::max);
            if best < worst.0 || worst.1.is_empty() {
                worst = (best, u[1..].to_vec());
            }
        }
        place(mixture, k, &pooled, data, &worst.1);
        let share = 1.0 / mixture.components() as f64;
        mixture.weights[k] = 0.0;
        let others: f64 = mixture.weights.iter().sum();
        if others > 0.0 {
            mixture.weights.iter_mut().for_each(|w| *w *= (1.0 - share) / others);
            mixture.weights[k] = share;
        } else {
            mixture.weights.fill(share);
        }
    }
    Ok(())
}

/// Gives every component the regression of all data.
fn pooled(data: &Observations, components: usize, covariance: Covariance, floor: &Floor) -> Result<LinearMixture> {
    let (c, d) = data.columns();
    let blank = LinearMixture {
        inputs: c,
        outputs: d,
        covariance,
        weights: vec![1.0],
        coefficients: vec![0.0; d * (c + 1)],
        covariances: vec![0.0; d * d],
    };
    let statistics = statistics_of(data, data.moments.clone());
    let one = maximize(&statistics, &blank, Fixed::default(), floor)?.mixture;
    Ok(LinearMixture {
        weights: vec![1.0 / components as f64; components],
        coefficients: one.coefficients.repeat(components),
        covariances: one.covariances.repeat(components),
        ..one
    })
}

/// Gives component `k` the pooled regression slopes through `centre` (about the shift, `[C+D]`) and the pooled
/// covariance; a tied mixture keeps its one covariance.
fn place(mixture: &mut LinearMixture, k: usize, pooled: &LinearMixture, data: &Observations, centre: &[f64]) {
    let (c, d) = (mixture.inputs, mixture.outputs);
    let slopes = pooled.coefficient(k);
    let target = &mut mixture.coefficients[k * d * (c + 1)..(k + 1) * d * (c + 1)];
    target.copy_from_slice(slopes);
    for (j, row) in target.chunks_exact_mut(c + 1).enumerate() {
        row[c] = data.shift[c + j] + centre[c + j];
        for i in 0..c {
            row[c] -= row[i] * (data.shift[i] + centre[i]);
        }
    }
    if mixture.covariance != Covariance::Tied {
        mixture.covariances[k * d * d..(k + 1) * d * d].copy_from_slice(pooled.covariance(k));
    }
}

/// Rows of positive weight, at most [`ROWS`] of them, in order.
fn thinned(data: &Observations, rng: &mut dyn Rng) -> Vec<usize> {
    let mut rows: Vec<usize> = (0..data.count()).filter(|i| data.weight(*i) > 0.0).collect();
    if rows.len() > ROWS {
        for i in 0..ROWS {
            let other = rng.random_range(i..rows.len());
            rows.swap(i, other);
        }
        rows.truncate(ROWS);
        rows.sort_unstable();
    }
    rows
}

/// Centred rows `[N, P]` without the leading 1, every varying column scaled to unit variance, `[N, P−1]`.
fn standardised(data: &Observations, rows: &[f64]) -> Vec<f64> {
    let p = 1 + data.shift.len();
    let scale: Vec<f64> = (1..p)
        .map(|j| (data.moments[j * (p + 1)] / data.moments[0]).sqrt())
        .map(|deviation| if deviation > 0.0 { 1.0 / deviation } else { 0.0 })
        .collect();
    rows.chunks_exact(p)
        .flat_map(|row| row[1..].iter().zip(&scale).map(|(v, s)| v * s).collect::<Vec<_>>())
        .collect()
}

/// The statistics of a sweep with hard responsibilities: every row belongs to its cluster.
fn cluster_statistics(
    data: &Observations,
    rows: &[f64],
    weights: &[f64],
    nearest: &[usize],
    components: usize,
) -> Statistics {
    let p = 1 + data.shift.len();
    let mut moments = vec![0.0; components * p * p];
    for ((u, w), k) in rows.chunks_exact(p).zip(weights).zip(nearest) {
        add_outer(*w, u, &mut moments[k * p * p..(k + 1) * p * p]);
    }
    moments.chunks_exact_mut(p * p).for_each(|m| mirror(m, p));
    statistics_of(data, moments)
}

fn statistics_of(data: &Observations, moments: Vec<f64>) -> Statistics {
    let p = 1 + data.shift.len();
    Statistics {
        log_likelihood: f64::NEG_INFINITY,
        lower_bound: f64::NEG_INFINITY,
        total_weight: data.total_weight(),
        effective_rows: data.effective_rows,
        counts: moments.chunks_exact(p * p).map(|m| m[0]).collect(),
        shift: data.shift.clone(),
        moments,
        pooled: data.moments.clone(),
    }
}
