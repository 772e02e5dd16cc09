//! The point-mass filter: inference on a grid for states of one dimension (Bucy & Senne 1971).
//!
//! `x_1 ~ N(m_1, v_1)`, `x_{t+1} ~ N(m(x_t), v(x_t))`, `o_t ~ N(g(x_t), r(x_t))`. A belief is a probability for each
//! point `m_1 + k h` of a grid, and integrals are sums:
//!
//! `p(x_{t+1} = x'|o_1 … o_t) ≈ h Σ_x N(x'; m(x), v(x)) p(x|o_1 … o_t)`.
//!
//! For smooth densities the error of such sums falls faster than any power of h (Trefethen & Weideman 2014). h is halved
//! until the log-likelihood changes by less than [`TOLERANCE`] per step. The grid has no fixed ends: a belief covers the
//! points whose probability matters.

use super::predict::reached;
use crate::math::LN_2PI;
use crate::math::kalman::{Horizon, Sequences};
use crate::{Error, Result};
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

/// The largest change of the log-likelihood by the last halving of h, nats per step.
pub const TOLERANCE: f64 = 1e-5;
/// Halvings of h before giving up.
const HALVINGS: usize = 9;
/// The standard deviations to either side of a mean that a Gaussian covers.
const REACH: f64 = 12.0;
/// Points with a smaller share of the largest probability are left out.
const SHARE: f64 = 1e-30;
/// Points of the grid before giving up.
const POINTS: f64 = 1e6;

/// Mean and variance of a Gaussian of one dimension.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moments {
    /// The mean.
    pub mean: f64,
    /// The variance.
    pub variance: f64,
}

/// Mean and variance as functions of the state.
pub type MomentFunction = Arc<dyn Fn(f64) -> Moments + Send + Sync>;

/// A state space with one state and one observed column, no inputs, and functions that are the same at all steps.
#[derive(Clone)]
pub struct ScalarSystem {
    /// m_1 and v_1; v_1 may be 0.
    pub initial: Moments,
    /// m and v; v is positive.
    pub transition: MomentFunction,
    /// g and r; r is positive.
    pub emission: MomentFunction,
}

impl fmt::Debug for ScalarSystem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut system = formatter.debug_struct("ScalarSystem");
        system.field("initial", &self.initial).finish_non_exhaustive()
    }
}

/// Probabilities of the points `first`, `first + 1`, …
#[derive(Debug, Clone)]
struct Belief {
    first: i64,
    masses: Vec<f64>,
}

impl Belief {
    /// The number after that of the last point.
    fn end(&self) -> i64 {
        self.first + self.masses.len() as i64
    }
}

/// A grid with the transitions and emissions of the points that were needed so far.
struct Grid<'a> {
    system: &'a ScalarSystem,
    /// h.
    width: f64,
    /// The number of the first of `points`.
    first: i64,
    points: VecDeque<Point>,
}

/// A point of the grid.
#[derive(Debug, Default, Clone)]
struct Point {
    /// The belief about the next state; none until it is needed.
    transition: Option<Belief>,
    /// Mean and variance of the observation.
    emission: Option<Moments>,
}

impl ScalarSystem {
    /// log p(o_1 … o_T) of every sequence, nats.
    ///
    /// # Errors
    /// If sequences have inputs or several observed columns, if a variance is not positive, if observations are too
    /// unlikely for f64, or if the finest grid is not fine enough.
    pub fn log_likelihood(&self, sequences: &Sequences) -> Result<Vec<f64>> {
        Ok(self.converged(sequences)?.1)
    }

    /// Expected observations of every sequence at each horizon, `[H][B]`, each `[T]`; for t < k, o_t is predicted from
    /// no observation.
    ///
    /// # Errors
    /// Those of [`ScalarSystem::log_likelihood`].
    pub fn expected(&self, sequences: &Sequences, horizons: &[Horizon]) -> Result<Vec<Vec<Vec<f64>>>> {
        // A grid that is fine enough where observations are may be too coarse far ahead of them.
        let mut width = self.converged(sequences)?.0;
        let mut coarse = self.expected_on(width, sequences, horizons)?;
        for _ in 0..HALVINGS {
            width *= 0.5;
            let fine = self.expected_on(width, sequences, horizons)?;
            let pairs = || coarse.iter().flatten().flatten().zip(fine.iter().flatten().flatten());
            let largest = pairs().fold(1.0, |largest: f64, (_, fine)| largest.max(fine.abs()));
            if pairs().all(|(coarse, fine)| (coarse - fine).abs() < TOLERANCE * largest) {
                return Ok(fine);
            }
            coarse = fine;
        }
        Err(Error::Other(format!(
            "predictions on a grid of width {width} of the state still change with the width"
        )))
    }

    /// The same on a grid of this width.
    fn expected_on(&self, width: f64, sequences: &Sequences, horizons: &[Horizon]) -> Result<Vec<Vec<Vec<f64>>>> {
        let mut grid = Grid::new(self, width);
        let mut one = |horizon: &Horizon, i: usize| {
            let (observed, _) = sequences.rows(i);
            let mut expected = vec![0.0; observed.len()];
            let mut belief = None;
            // Predictions from no observation, then from one more each time.
            grid.predict(*horizon, 0, None, &mut expected)?;
            for (t, o) in observed.iter().enumerate() {
                let mut next = grid.next(belief.as_ref())?;
                grid.condition(&mut next, *o)?;
                grid.predict(*horizon, t + 1, Some(&next), &mut expected)?;
                belief = Some(next);
            }
            Ok(expected)
        };
        let all = horizons.iter();
        all.map(|horizon| (0..sequences.count()).map(|i| one(horizon, i)).collect())
            .collect()
    }

    /// A width of the grid that is fine enough, and the log-likelihoods on the grid of half that width.
    fn converged(&self, sequences: &Sequences) -> Result<(f64, Vec<f64>)> {
        if sequences.inputs() > 0 || sequences.outputs() != 1 {
            return Err(Error::Other(format!(
                "a grid of the state takes 1 observed column and no inputs, got {} and {}",
                sequences.outputs(),
                sequences.inputs()
            )));
        }
        let first = (self.transition)(self.initial.mean).variance;
        let narrowest = [first, self.initial.variance].into_iter().filter(|v| *v > 0.0);
        let mut width = 0.5 * narrowest.fold(f64::INFINITY, f64::min).sqrt();
        let mut coarse: Option<Vec<f64>> = None;
        for _ in 0..=HALVINGS {
            let fine = Grid::new(self, width).log_likelihoods(sequences)?;
            let is_near = |coarse: &Vec<f64>| {
                let pairs = coarse.iter().zip(&fine).zip(sequences.lengths());
                pairs
                    .into_iter()
                    .all(|((a, b), steps)| (a - b).abs() < TOLERANCE * *steps as f64)
            };
            if coarse.as_ref().is_some_and(is_near) {
                return Ok((2.0 * width, fine));
            }
            coarse = Some(fine);
            width *= 0.5;
        }
        Err(Error::Other(format!(
            "log p(o) on a grid of width {width} of the state still changes with the width: the densities are too narrow"
        )))
    }
}

impl<'a> Grid<'a> {
    fn new(system: &'a ScalarSystem, width: f64) -> Self {
        Self {
            system,
            width,
            first: 0,
            points: VecDeque::new(),
        }
    }

    /// The state at point k.
    fn state(&self, k: i64) -> f64 {
        self.system.initial.mean + k as f64 * self.width
    }

    /// Makes the grid cover the points from `first` to before `end`.
    fn cover(&mut self, first: i64, end: i64) -> Result<()> {
        if self.points.is_empty() {
            self.first = first;
        }
        let last = end.max(self.first + self.points.len() as i64);
        if (last - first.min(self.first)) as f64 > POINTS {
            return Err(Error::Other("a grid of the state would have too many points".into()));
        }
        while self.first > first {
            self.points.push_front(Point::default());
            self.first -= 1;
        }
        let count = usize::try_from(last - self.first).unwrap_or(0);
        self.points.resize(count, Point::default());
        Ok(())
    }

    fn log_likelihoods(&mut self, sequences: &Sequences) -> Result<Vec<f64>> {
        let mut one = |i: usize| {
            let mut belief = None;
            let mut sum = 0.0;
            for o in sequences.rows(i).0 {
                let mut next = self.next(belief.as_ref())?;
                sum += self.condition(&mut next, o)?;
                belief = Some(next);
            }
            Ok(sum)
        };
        (0..sequences.count()).map(&mut one).collect()
    }

    /// The Gaussian of these moments, up to the error of the sum.
    fn gaussian(&self, Moments { mean, variance }: Moments) -> Result<Belief> {
        let deviation = variance.sqrt();
        let centre = (mean - self.system.initial.mean) / self.width;
        let reach = REACH * deviation / self.width;
        let is_proper = variance > 0.0 && reach < POINTS && centre.abs() < 1e15;
        if !is_proper {
            return Err(Error::Other(format!(
                "a grid of the state needs a positive variance and a finite mean, got N({mean}, {variance})"
            )));
        }
        let (first, last) = ((centre - reach).floor() as i64, (centre + reach).ceil() as i64);
        let scale = self.width / (deviation * LN_2PI.exp().sqrt());
        let mass = |k: i64| scale * (-0.5 * ((self.state(k) - mean) / deviation).powi(2)).exp();
        Ok(Belief {
            first,
            masses: (first..=last).map(mass).collect(),
        })
    }

    /// The belief about the first state, or about the state one step after `belief`.
    fn next(&mut self, belief: Option<&Belief>) -> Result<Belief> {
        let Some(belief) = belief else {
            let first = match self.system.initial.variance {
                0.0 => Belief {
                    first: 0,
                    masses: vec![1.0],
                },
                _ => self.gaussian(self.system.initial)?,
            };
            self.cover(first.first, first.end())?;
            return Ok(first);
        };
        let least = SHARE * belief.masses.iter().copied().fold(0.0, f64::max);
        let places = || (belief.first..).zip(&belief.masses).filter(|(_, mass)| **mass > least);
        self.cover(belief.first, belief.end())?;
        let (mut first, mut end) = (i64::MAX, i64::MIN);
        for (k, _) in places() {
            let place = (k - self.first) as usize;
            if self.points[place].transition.is_none() {
                self.points[place].transition = Some(self.gaussian((self.system.transition)(self.state(k)))?);
            }
            if let Some(next) = &self.points[place].transition {
                (first, end) = (first.min(next.first), end.max(next.end()));
            }
        }
        self.cover(first, end)?;
        let mut masses = vec![0.0; usize::try_from(end - first).unwrap_or(0)];
        for (k, mass) in places() {
            if let Some(next) = &self.points[(k - self.first) as usize].transition {
                let to = masses[(next.first - first) as usize..].iter_mut();
                to.zip(&next.masses).for_each(|(to, p)| *to += mass * p);
            }
        }
        Ok(Belief { first, masses })
    }

    /// Conditions `belief` on the observation `o`, NaN where missing, and returns its log-density.
    fn condition(&mut self, belief: &mut Belief, o: f64) -> Result<f64> {
        if o.is_nan() {
            return Ok(0.0);
        }
        let logs: Vec<f64> = (belief.first..)
            .zip(&belief.masses)
            .map(|(k, mass)| {
                let Moments { mean, variance } = self.emission(k);
                mass.ln() - 0.5 * (LN_2PI + variance.ln() + (o - mean).powi(2) / variance)
            })
            .collect();
        let top = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        belief.masses.clear();
        belief.masses.extend(logs.iter().map(|log| (log - top).exp()));
        let total: f64 = belief.masses.iter().sum();
        if !(total.is_finite() && top.is_finite()) {
            return Err(Error::Other(format!(
                "the observation {o} has no density on the grid of the state"
            )));
        }
        belief.masses.iter_mut().for_each(|mass| *mass /= total);
        Ok(top + total.ln())
    }

    /// Mean and variance of the observation at point k, which the grid covers.
    fn emission(&mut self, k: i64) -> Moments {
        let x = self.state(k);
        let point = &mut self.points[(k - self.first) as usize];
        *point.emission.get_or_insert_with(|| (self.system.emission)(x))
    }

    /// Writes the expectations of the steps that `horizon` predicts from the first `seen` observations, which gave
    /// `belief`.
    fn predict(&mut self, horizon: Horizon, seen: usize, belief: Option<&Belief>, expected: &mut [f64]) -> Result<()> {
        let steps = reached(horizon, seen, expected.len());
        let mut belief = belief.cloned();
        for (t, expected) in expected.iter_mut().enumerate().take(steps.end).skip(seen) {
            let next = self.next(belief.as_ref())?;
            if steps.contains(&t) {
                let masses = (next.first..).zip(&next.masses);
                let (sum, total) = masses.fold((0.0, 0.0), |(sum, total), (k, mass)| {
                    (sum + mass * self.emission(k).mean, total + mass)
                });
                *expected = sum / total;
            }
            belief = Some(next);
        }
        Ok(())
    }
}
