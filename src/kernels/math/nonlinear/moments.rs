//! The expected log joint of a [`BasisSystem`] under beliefs over trajectories, and the expected second moments of
//! `[x_1; 1]`, `[x_{t+1}; φ]` and `[o_t; ψ]`, from which the M-step and gradients follow as for a linear system.
//!
//! Both are weighted sums over points. A sampled trajectory consists of points already. Under a Gaussian belief,
//! expectations of φ and its products have no closed form in general: they are taken over sigma points of the pair
//! (x_t, x_{t+1}), and of x_t alone for ψ, which is exact where φ and ψ are linear.

use super::sigma::SigmaPoints;
use super::{Basis, BasisSystem};
use crate::math::kalman::{Beliefs, Density, ExpectedLog, Moments, Sequences, Statistics};
use nalgebra::{DMatrix, DVector};

/// The moments of all sequences under `beliefs`; sequence i under belief s counts `weight(i, s)` times.
pub fn statistics(
    system: &BasisSystem,
    sequences: &Sequences,
    beliefs: &[Beliefs],
    weight: impl Fn(usize, usize) -> f64,
) -> Statistics {
    let [initial, transition, emission] = &system.conditionals;
    let zeros = |y: usize, z: usize| Moments::zeros(y + z);
    let mut statistics = Statistics {
        initial: zeros(initial.coefficients.nrows(), 1),
        transition: zeros(initial.coefficients.nrows(), transition.coefficients.ncols()),
        emission: Default::default(),
    };
    for i in 0..sequences.count() {
        let weights: Vec<f64> = (0..beliefs.len()).map(|s| weight(i, s)).collect();
        visit(system, sequences, i, beliefs, |term, table, points| {
            let moments = match term {
                Term::Initial => &mut statistics.initial,
                Term::Transition => &mut statistics.transition,
                Term::Emission(mask) => statistics
                    .emission
                    .entry(sequences.masks()[mask].clone())
                    .or_insert_with(|| zeros(sequences.masks()[mask].len(), emission.coefficients.ncols())),
            };
            accumulate(moments, table, points, &weights);
        });
    }
    statistics
}

/// The expected log joint of each sequence under each of `beliefs`, `[B][S]`.
pub fn expected_logs(system: &BasisSystem, sequences: &Sequences, beliefs: &[Beliefs]) -> Vec<Vec<ExpectedLog>> {
    let [initial, transition, emission] = &system.conditionals;
    let (initial, transition) = (Density::new(initial), Density::new(transition));
    let emissions: Vec<Density> = sequences
        .masks()
        .iter()
        .map(|mask| Density::new(&emission.rows(mask)))
        .collect();
    let mut logs = Vec::new();
    let mut of_sequence = |i: usize| {
        let mut sums = vec![ExpectedLog::default(); beliefs.len()];
        visit(system, sequences, i, beliefs, |term, table, points| {
            let (density, pick): (_, fn(&mut ExpectedLog) -> &mut f64) = match term {
                Term::Initial => (&initial, |sum| &mut sum.initial),
                Term::Transition => (&transition, |sum| &mut sum.transition),
                Term::Emission(mask) => (&emissions[mask], |sum| &mut sum.emission),
            };
            density.columns(table, &mut logs);
            for ((log, weight), s) in logs.iter().zip(&points.weights).zip(&points.beliefs) {
                *pick(&mut sums[*s]) += weight * log;
            }
        });
        sums
    };
    (0..sequences.count()).map(&mut of_sequence).collect()
}

/// Points that represent beliefs over paths of at most `longest` steps, for expectations of functions of x_t, or with
/// `pair` of `[x_t; x_{t+1}]`: the values `[B, S, K, T, X]` (or `[B, S, K, T − 1, 2X]`), which are 0 after the end of a
/// sequence, and the weights `[K]` of each belief. K is 1 where the beliefs are points.
pub fn points_of_paths(sequences: &Sequences, beliefs: &[Beliefs], longest: usize, pair: bool) -> (Vec<f64>, Vec<f64>) {
    let ahead = usize::from(pair);
    let (steps, size) = (longest.saturating_sub(ahead), beliefs[0].states() * (1 + ahead));
    let mut values = Vec::new();
    let mut points = Points::default();
    for i in 0..sequences.count() {
        for t in 0..sequences.lengths()[i].saturating_sub(ahead) {
            points.gather(sequences, i, t, beliefs, pair);
            let columns = points.weights.len(); // S·K
            values.resize(sequences.count() * columns * steps * size, 0.0);
            for (axis, row) in points.values.chunks_exact(columns).enumerate() {
                for (column, value) in row.iter().enumerate() {
                    values[((i * columns + column) * steps + t) * size + axis] = *value;
                }
            }
        }
    }
    points.weights.truncate(points.weights.len() / beliefs.len());
    (values, points.weights)
}

/// A conditional Gaussian of the model.
enum Term {
    Initial,
    Transition,
    /// By mask.
    Emission(usize),
}

/// Points that represent beliefs, side by side.
#[derive(Default)]
struct Points {
    /// Feature-major. `[X, K]`, or `[2X, K]` for pairs.
    values: Vec<f64>,
    /// Those of one belief sum to 1. `[K]`
    weights: Vec<f64>,
    /// Which belief. `[K]`
    beliefs: Vec<usize>,
}

/// Calls `each` with the table `[y; z]` `[Y + Z, K]` of every term of sequence `i` and the points behind it.
fn visit(
    system: &BasisSystem,
    sequences: &Sequences,
    i: usize,
    beliefs: &[Beliefs],
    mut each: impl FnMut(Term, &[f64], &Points),
) {
    let [transition, emission] = &system.functions;
    let x = system.conditionals[0].coefficients.nrows();
    let (length, o) = (sequences.lengths()[i], sequences.outputs());
    let (observed, inputs) = sequences.rows(i);
    let input = |t: usize| &inputs[t * sequences.inputs()..][..sequences.inputs()];
    let (mut points, mut table) = (Points::default(), Vec::new());
    for t in 0..length {
        points.gather(sequences, i, t, beliefs, false);
        let count = points.weights.len();
        if t == 0 {
            table.clone_from(&points.values);
            table.resize((x + 1) * count, 1.0);
            each(Term::Initial, &table, &points);
        }
        let mask = sequences.mask(i, t);
        let present = &sequences.masks()[mask];
        if !present.is_empty() {
            table.clear();
            table.extend(
                present
                    .iter()
                    .flat_map(|j| std::iter::repeat_n(observed[t * o + j], count)),
            );
            append_features(&mut table, emission, t + 1, &points.values, input(t));
            each(Term::Emission(mask), &table, &points);
        }
        if t + 1 < length {
            points.gather(sequences, i, t, beliefs, true);
            let (now, next) = points.values.split_at(x * points.weights.len());
            table.clear();
            table.extend_from_slice(next);
            append_features(&mut table, transition, t + 1, now, input(t));
            each(Term::Transition, &table, &points);
        }
    }
}

fn append_features(table: &mut Vec<f64>, function: &Basis, t: usize, x: &[f64], u: &[f64]) {
    let count = x.len() / function.states();
    let start = table.len();
    table.resize(start + function.count() * count, 0.0);
    function.features(t, x, u, &mut table[start..]);
}

impl Points {
    /// The points of step `t` of sequence `i`, or of the pair of steps t and t + 1.
    fn gather(&mut self, sequences: &Sequences, i: usize, t: usize, beliefs: &[Beliefs], pair: bool) {
        let rule = SigmaPoints::default();
        let mut parts = Vec::new(); // of beliefs with a covariance
        let size = beliefs[0].states() * if pair { 2 } else { 1 };
        self.weights.clear();
        self.beliefs.clear();
        for (s, belief) in beliefs.iter().enumerate() {
            if belief.is_point() {
                self.weights.push(1.0);
            } else {
                let (mean, covariance) = moments(belief, sequences, i, t, pair);
                let own = rule.of(&mean, &covariance);
                self.weights.extend(&own.weights);
                parts.push(own.values);
            }
            self.beliefs.resize(self.weights.len(), s);
        }
        let count = self.weights.len();
        self.values.clear();
        self.values.resize(size * count, 0.0);
        let (mut column, mut parts) = (0, parts.into_iter());
        for belief in beliefs {
            if belief.is_point() {
                belief.place(sequences, i, t, &mut self.values[column..], count);
                if pair {
                    belief.place(
                        sequences,
                        i,
                        t + 1,
                        &mut self.values[size / 2 * count + column..],
                        count,
                    );
                }
                column += 1;
            } else if let Some(values) = parts.next() {
                let width = values.len() / size;
                for (row, own) in values.chunks_exact(width).enumerate() {
                    self.values[row * count + column..][..width].copy_from_slice(own);
                }
                column += width;
            }
        }
    }
}

/// Mean and covariance of x_t, or of `[x_t; x_{t+1}]`.
fn moments(belief: &Beliefs, sequences: &Sequences, i: usize, t: usize, pair: bool) -> (DVector<f64>, DMatrix<f64>) {
    let mean = belief.mean(sequences, i, t);
    let (covariance, lag) = belief.covariances(sequences, i, t);
    if !pair {
        return (mean, covariance);
    }
    let x = mean.len();
    let next = belief.mean(sequences, i, t + 1);
    let (after, _) = belief.covariances(sequences, i, t + 1);
    let mut both = DMatrix::zeros(2 * x, 2 * x);
    both.view_mut((0, 0), (x, x)).copy_from(&covariance);
    both.view_mut((x, 0), (x, x)).copy_from(&lag);
    both.view_mut((0, x), (x, x)).copy_from(&lag.transpose());
    both.view_mut((x, x), (x, x)).copy_from(&after);
    (
        DVector::from_iterator(2 * x, mean.iter().chain(next.iter()).copied()),
        both,
    )
}

/// Adds `Σ_k w_k v_k v_kᵀ` for the columns of `table`, each weighted as its belief.
fn accumulate(moments: &mut Moments, table: &[f64], points: &Points, weights: &[f64]) {
    let weights: Vec<f64> = points
        .weights
        .iter()
        .zip(&points.beliefs)
        .map(|(w, s)| w * weights[*s])
        .collect();
    let count = weights.len();
    let rows: Vec<&[f64]> = table.chunks_exact(count).collect();
    for (i, a) in rows.iter().enumerate() {
        let weighted: Vec<f64> = a.iter().zip(&weights).map(|(a, w)| a * w).collect();
        for (j, b) in rows.iter().enumerate().take(i + 1) {
            let sum: f64 = weighted.iter().zip(*b).map(|(a, b)| a * b).sum();
            moments.second[(i, j)] += sum;
            if i != j {
                moments.second[(j, i)] += sum;
            }
        }
    }
    moments.count += weights.iter().sum::<f64>();
}
