//! The maximisation step of closed-form EM, with covariances that are bounded below by a floor.
//!
//! With the moments of a sweep, `B_k` is weighted least squares and `Σ_k` the weighted covariance `E_k` of its
//! residuals. Every `Σ_k` is kept above a floor `F`, a small multiple of the data's covariance. The constrained
//! maximiser of `−½ n (log |Σ| + tr Σ⁻¹ E)` over `Σ ⪰ F` has a closed form: with `F = L Lᵀ`, raise the eigenvalues of
//! `L⁻¹ E L⁻ᵀ` to 1 and map back; for a diagonal or spherical Σ, take the larger of the two variances. So EM never
//! lowers the likelihood, with or without a floor, provided that it starts above the floor.

use nalgebra::DMatrix;

use super::linear_algebra::{cholesky, clip_eigenvalues, inverse_lower, least_squares, matrix, symmetric, values};
use super::linear_mixture::{Covariance, LinearMixture};
use super::sweep::Statistics;
use crate::{Error, Result};

/// A component holding less than this fraction of the total weight keeps its regression and covariance.
const EMPTY: f64 = 1e-8;
/// Directions of the data with less variance than this, in standardised columns, are floored as if they had it.
const DEPENDENT: f64 = 1e-6;
/// A column whose standard deviation is below this fraction of its mean is constant up to rounding.
const CONSTANT: f64 = 1e-13;

/// The least covariance a component may have: `relative · S + absolute · I`, S the covariance of the observed columns.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Floor {
    /// Fraction of the data's covariance; 1e-6 by default.
    pub relative: f64,
    /// Variance in squared units of the data; 0 by default. Constant columns need it.
    pub absolute: f64,
}

impl Default for Floor {
    fn default() -> Self {
        Self {
            relative: 1e-6,
            absolute: 0.0,
        }
    }
}

/// Parameters that the maximisation step keeps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fixed {
    /// Keep the mixture weights.
    pub weights: bool,
    /// Keep the regressions or means.
    pub coefficients: bool,
    /// Keep the covariances.
    pub covariances: bool,
}

/// Events of the maximisation step that a user may want to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The component shrank to the floor on too few points to have a covariance of its own.
    Collapsed {
        /// Its index.
        component: usize,
    },
    /// The component has almost no weight; its regression and covariance were kept.
    Empty {
        /// Its index.
        component: usize,
    },
    /// The covariance reached the floor in some direction although there are enough points. A tied mixture reports its
    /// one covariance for component 0.
    Floored {
        /// Its index.
        component: usize,
    },
}

/// The result of a maximisation step.
#[derive(Debug, Clone, PartialEq)]
pub struct Update {
    /// The new parameters.
    pub mixture: LinearMixture,
    /// In order of components.
    pub events: Vec<Event>,
}

/// The parameters that maximise `Σ_i w_i Σ_k r_ik log p(y_i, k | x_i)` above the floor.
///
/// # Errors
/// If sizes do not fit, the statistics are not finite, or an observed column is constant and the floor not absolute.
pub fn maximize(statistics: &Statistics, previous: &LinearMixture, fixed: Fixed, floor: &Floor) -> Result<Update> {
    previous.check()?;
    let bound = LeastCovariance::new(statistics, previous, floor)?;
    let (components, d, p) = (previous.components(), previous.outputs, 1 + statistics.shift.len());
    let total: f64 = statistics.counts.iter().sum();
    if statistics.counts.len() != components || statistics.moments.len() != components * p * p || !total.is_finite() {
        return Err(Error::Data(format!(
            "statistics of {} components with total count {total} for a mixture of {components}: \
             expected a finite sweep of the same mixture",
            statistics.counts.len()
        )));
    }
    let mut mixture = previous.clone();
    let mut events = Vec::new();
    let mut tied = (previous.covariance == Covariance::Tied).then(|| DMatrix::zeros(d, d));
    for k in 0..components {
        let n = statistics.counts[k];
        let m = &statistics.moments[k * p * p..(k + 1) * p * p];
        if !fixed.weights {
            mixture.weights[k] = n / total;
        }
        let empty = n <= EMPTY * total;
        if empty {
            events.push(Event::Empty { component: k });
        }
        if !fixed.coefficients && !empty {
            let size = d * (mixture.inputs + 1);
            mixture.coefficients[k * size..(k + 1) * size].copy_from_slice(&regress(m, &statistics.shift, d));
        }
        if fixed.covariances {
            continue;
        }
        let map = matrix(&mixture.residual_map(k, &statistics.shift), d, p);
        let scatter = &map * matrix(m, p, p) * map.transpose(); // [D, D]
        if let Some(sum) = &mut tied {
            *sum += scatter;
        } else if !empty {
            let (covariance, raised) = bound.shape(scatter / n, mixture.covariance);
            mixture.covariances[k * d * d..(k + 1) * d * d].copy_from_slice(&covariance);
            let few = n / total * statistics.effective_rows < p as f64;
            match (raised, few) {
                (true, true) => events.push(Event::Collapsed { component: k }),
                (true, false) => events.push(Event::Floored { component: k }),
                (false, _) => {}
            }
        }
    }
    if let Some(sum) = tied.filter(|_| !fixed.covariances) {
        let (covariance, raised) = bound.shape(sum / total, Covariance::Tied);
        mixture.covariances = covariance.repeat(components);
        if raised {
            events.push(Event::Floored { component: 0 });
        }
    }
    Ok(Update { mixture, events })
}

/// `B = [slopes, intercept]`, `[D, C+1]`, by least squares on one component's moments `[P, P]`.
fn regress(m: &[f64], shift: &[f64], d: usize) -> Vec<f64> {
    let p = 1 + shift.len();
    let c = p - 1 - d;
    let n = m[0];
    let mean: Vec<f64> = m[1..p].iter().map(|s| s / n).collect(); // about the shift
    let centred = |i: usize, j: usize| m[(1 + i) * p + 1 + j] - n * mean[i] * mean[j];
    // A column that is constant among the component's points, up to rounding, gets coefficient 0.
    let varies: Vec<bool> = (0..c)
        .map(|i| centred(i, i) > CONSTANT * m[(1 + i) * (p + 1)] + n * (CONSTANT * shift[i]).powi(2))
        .collect();
    let xx = DMatrix::from_fn(c, c, |i, j| if varies[i] && varies[j] { centred(i, j) } else { 0.0 });
    let xy = DMatrix::from_fn(c, d, |i, j| if varies[i] { centred(i, c + j) } else { 0.0 });
    let slopes = if c > 0 {
        least_squares(&xx, &xy)
    } else {
        DMatrix::zeros(d, 0)
    };
    let mut coefficients = Vec::with_capacity(d * (c + 1));
    for j in 0..d {
        let mut intercept = shift[c + j] + mean[c + j];
        for i in 0..c {
            intercept -= slopes[(j, i)] * (shift[i] + mean[i]);
            coefficients.push(slopes[(j, i)]);
        }
        coefficients.push(intercept);
    }
    coefficients
}

/// A number as people write it, at any magnitude, without the last digit's rounding.
fn shortest(value: f64) -> String {
    let rounded: f64 = format!("{value:.14e}").parse().unwrap_or(value);
    match rounded.abs() {
        size if size == 0.0 || (1e-6..1e15).contains(&size) => rounded.to_string(),
        _ => format!("{rounded:e}"),
    }
}

fn block(m: &[f64], p: usize, rows: std::ops::Range<usize>, columns: std::ops::Range<usize>) -> Vec<f64> {
    rows.flat_map(|i| m[i * p..][columns.clone()].to_vec()).collect()
}

/// The floor `F = L Lᵀ` with its factors.
pub(super) struct LeastCovariance {
    floor: DMatrix<f64>,
    factor: DMatrix<f64>,
    inverse: DMatrix<f64>,
}

impl LeastCovariance {
    /// The floor for these data, `[D, D]`.
    pub(super) fn new(statistics: &Statistics, mixture: &LinearMixture, floor: &Floor) -> Result<Self> {
        let (c, d, p) = (mixture.inputs, mixture.outputs, 1 + statistics.shift.len());
        if p != 1 + c + d {
            return Err(Error::Data(format!(
                "statistics of {p} columns for a mixture of {}",
                1 + c + d
            )));
        }
        let covariance = pooled_covariance(statistics, d);
        let deviation = DMatrix::from_fn(d, 1, |j, _| match covariance[(j, j)].sqrt() {
            deviation if deviation > CONSTANT * statistics.shift[c + j].abs() => deviation,
            _ => 0.0,
        });
        if let Some(column) = (0..d).find(|j| floor.relative * deviation[*j].powi(2) + floor.absolute <= 1e-290) {
            return Err(Error::Data(format!(
                "observed column {column} is constant at {} in the training rows (as far as f64 can tell), so its density \
                 has no maximum: drop the column, or give rows that differ",
                shortest(statistics.shift[c + column])
            )));
        }
        let scaled = DMatrix::from_fn(d, d, |i, j| match deviation[i] * deviation[j] {
            0.0 => f64::from(u8::from(i == j)),
            scale => covariance[(i, j)] / scale,
        });
        let scale = DMatrix::from_diagonal(&deviation.column(0));
        let (correlation, _) = clip_eigenvalues(scaled, DEPENDENT);
        let floor = &scale * correlation * &scale * floor.relative + DMatrix::identity(d, d) * floor.absolute;
        let factor = cholesky(floor.clone())
            .ok_or_else(|| Error::Data("the floor on the covariance is not positive definite: raise it".into()))?;
        Ok(Self {
            inverse: inverse_lower(&factor),
            floor,
            factor,
        })
    }

    /// The constrained maximiser for residual covariance `e`, row-major `[D, D]`, and whether the floor was reached.
    pub(super) fn shape(&self, e: DMatrix<f64>, covariance: Covariance) -> (Vec<f64>, bool) {
        let d = e.nrows();
        let raise = |e: f64, floor: f64| (e.max(floor), e < floor);
        match covariance {
            Covariance::Full | Covariance::Tied => {
                let e = symmetric(e);
                let (clipped, raised) = clip_eigenvalues(&self.inverse * &e * self.inverse.transpose(), 1.0);
                match raised {
                    false => (values(&e), false),
                    true => (
                        values(&symmetric(&self.factor * clipped * self.factor.transpose())),
                        true,
                    ),
                }
            }
            Covariance::Diagonal => {
                let each: Vec<_> = (0..d).map(|j| raise(e[(j, j)], self.floor[(j, j)])).collect();
                let diagonal = DMatrix::from_fn(d, d, |i, j| if i == j { each[i].0 } else { 0.0 });
                (values(&diagonal), each.iter().any(|(_, raised)| *raised))
            }
            Covariance::Spherical => {
                let (variance, raised) = raise(e.trace() / d as f64, self.floor.trace() / d as f64);
                (values(&(DMatrix::identity(d, d) * variance)), raised)
            }
        }
    }
}

/// The covariance of the observed columns, `[D, D]`.
pub(super) fn pooled_covariance(statistics: &Statistics, d: usize) -> DMatrix<f64> {
    let p = 1 + statistics.shift.len();
    matrix(&block(&statistics.pooled, p, p - d..p, p - d..p), d, d) / statistics.pooled[0]
}
