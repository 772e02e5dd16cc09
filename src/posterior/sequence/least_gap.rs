//! The best value that a family of q can reach in a linear-Gaussian model with one state: the least mean over sequences of
//! KL(q ‖ p(x_1 … x_T | o_1 … o_T)), where q is Gaussian with any functions of what it is given.
//!
//! Means of the states and of the observations, and inputs, are known to q and change no divergence, so everything here is
//! centred. The observations of a step enter by their sufficient statistic, x_t + N(0, r) with 1/r = Cᵀ R⁻¹ C.
//!
//! - A chain that is given the future is the true posterior.
//! - Independent steps have the precisions of the true posterior, Λ_tt (Bishop 2006, section 10.1.2); their means are the
//!   linear functions m of what they are given that minimise E (m − μ)ᵀ Λ (m − μ), with μ the true posterior's.
//! - A chain that is given the past solves a linear-quadratic control problem with an entropy (Todorov 2009), backwards in
//!   time. Its value is quadratic in x_t and in the filter's mean, all that the past says of the future.
//! - With the first state alone guessed, log p(o) is that of a model without noise in its transition, less
//!   Σ_t v_t / 2r, where v_t is the variance that the noise would have added.

use super::{Sees, SequenceFamily, SequenceKeys};
use crate::math::kalman::System;
use nalgebra::{DMatrix, DVector, Matrix4, Vector4};
use std::f64::consts::{PI, TAU};

/// Unknown coefficients of independent steps that are solved for at most.
const MOST: usize = 2000;

impl SequenceKeys {
    /// The least mean of KL(q ‖ p(x | o)) that this family can reach in `system`, over sequences of `steps` steps that it
    /// generates, in nats per sequence. None if the system has several states, if paths of the family have no density, if
    /// each step is given its own observation but not its number, or if the sequences are too long to solve for.
    pub fn least_gap(&self, system: &System, steps: usize) -> Option<f64> {
        let line = Line::new(system, steps)?;
        let sees = self.sees();
        match self.family() {
            SequenceFamily::Deterministic => None,
            SequenceFamily::SingleStep if self.sees_step != Some(true) => None,
            SequenceFamily::SingleStep => line.independent(|t, s| t == s),
            SequenceFamily::MeanField => line.independent(|t, s| match sees {
                Some(Sees::Past) => s <= t,
                Some(Sees::Future) => s >= t,
                _ => true,
            }),
            SequenceFamily::Filtering => Some(line.of_the_past()),
            SequenceFamily::TransitionNoise if sees == Some(Sees::Past) => Some(line.of_the_past()),
            SequenceFamily::Smoothing | SequenceFamily::TransitionNoise | SequenceFamily::Conjugate => Some(0.0),
            SequenceFamily::InitialOnly => line.of_the_first(),
        }
    }
}

/// A linear-Gaussian model of one state, centred.
struct Line {
    steps: usize,
    /// A.
    slope: f64,
    /// P₁ and Q.
    initial: f64,
    noise: f64,
    /// r.
    observed: f64,
}

impl Line {
    fn new(system: &System, steps: usize) -> Option<Self> {
        if system.states() != 1 || steps == 0 {
            return None;
        }
        let emission = system.emission.column(0).into_owned();
        let weighted = system.emission_noise.clone().cholesky()?.solve(&emission);
        let line = Self {
            steps,
            slope: system.transition[(0, 0)],
            initial: system.initial_covariance[(0, 0)],
            noise: system.transition_noise[(0, 0)],
            observed: emission.dot(&weighted).recip(),
        };
        let numbers = [line.initial, line.noise, line.observed];
        (numbers.iter().all(|v| v.is_finite() && *v > 0.0) && line.slope.is_finite()).then_some(line)
    }

    /// The variance of the new noise at step t.
    fn added(&self, t: usize) -> f64 {
        if t == 0 { self.initial } else { self.noise }
    }

    /// The variances of the states before they are observed, given the past, and the filter's gains.
    fn filtered(&self) -> (Vec<f64>, Vec<f64>) {
        let mut variance = 0.0;
        let step = |t| {
            let predicted = self.slope.powi(2) * variance + self.added(t);
            let gain = predicted / (predicted + self.observed);
            variance = (1.0 - gain) * predicted;
            (predicted, gain)
        };
        (0..self.steps).map(step).unzip()
    }

    /// E log p(o_1 … o_T).
    fn log_likelihood(&self) -> f64 {
        let (predicted, _) = self.filtered();
        let entropies = predicted.iter().map(|p| ((p + self.observed) * TAU).ln() + 1.0);
        -0.5 * entropies.sum::<f64>()
    }

    /// The precision of the states given all observations, Λ.
    fn precision(&self) -> DMatrix<f64> {
        DMatrix::from_fn(self.steps, self.steps, |t, s| match t.abs_diff(s) {
            0 => {
                let next = if t + 1 < self.steps {
                    self.slope.powi(2) / self.noise
                } else {
                    0.0
                };
                self.observed.recip() + self.added(t).recip() + next
            }
            1 => -self.slope / self.noise,
            _ => 0.0,
        })
    }

    /// The covariance of the observations.
    fn covariance(&self) -> DMatrix<f64> {
        let mut variances = vec![self.initial];
        for t in 1..self.steps {
            variances.push(self.slope.powi(2) * variances[t - 1] + self.noise);
        }
        DMatrix::from_fn(self.steps, self.steps, |t, s| {
            let (first, last) = (t.min(s), t.max(s));
            let own = if t == s { self.observed } else { 0.0 };
            self.slope.powi((last - first) as i32) * variances[first] + own
        })
    }

    /// Of independent steps, of which step t is given o_s where `is_given(t, s)`.
    fn independent(&self, is_given: impl Fn(usize, usize) -> bool) -> Option<f64> {
        let (precision, covariance) = (self.precision(), self.covariance());
        let pairs = (0..self.steps).flat_map(|t| (0..self.steps).map(move |s| (t, s)));
        let given: Vec<(usize, usize)> = pairs.filter(|&(t, s)| is_given(t, s)).collect();
        if given.len() > MOST {
            return None;
        }
        // E μ oᵀ Λ = Cov(o) / r, and m = Σ w o.
        let target = DVector::from_iterator(given.len(), given.iter().map(|&at| covariance[at] / self.observed));
        let normal = DMatrix::from_fn(given.len(), given.len(), |i, j| {
            let ((t, s), (other, seen)) = (given[i], given[j]);
            precision[(t, other)] * covariance[(seen, s)]
        });
        let weights = normal.cholesky()?.solve(&target);
        let inverse = precision.clone().cholesky()?;
        let of_posterior = (inverse.inverse() * &covariance).trace() / self.observed.powi(2);
        let apart = of_posterior - target.dot(&weights);
        let own: f64 = precision.diagonal().iter().map(|v| v.ln()).sum();
        let whole: f64 = inverse.l_dirty().diagonal().iter().map(|v| 2.0 * v.ln()).sum();
        Some(0.5 * (own - whole + apart))
    }

    /// Of a chain that is given o_1 … o_t.
    fn of_the_past(&self) -> f64 {
        let (predicted, gains) = self.filtered();
        // The value of x_t and the filter's mean m_t is −½ yᵀ P y − k with y = (x_t, m_t).
        let (mut p, mut k) = (nalgebra::Matrix2::zeros(), 0.0);
        for t in (0..self.steps).rev() {
            // Of x_t, x_{t−1}, m_{t−1} and the filter's error e = o_t − A m_{t−1}.
            let slope = if t == 0 { 0.0 } else { self.slope };
            let moved = Vector4::new(1.0, -slope, 0.0, 0.0);
            let observed = Vector4::new(-1.0, 0.0, slope, 1.0);
            let later = nalgebra::Matrix2x4::new(1.0, 0.0, 0.0, 0.0, 0.0, 0.0, slope, gains[t]);
            let form: Matrix4<f64> = moved * moved.transpose() / self.added(t)
                + observed * observed.transpose() / self.observed
                + later.transpose() * p * later;
            let own = form[(0, 0)];
            let rest = form - form.column(0) * form.row(0) / own;
            p = rest.fixed_view::<2, 2>(1, 1).into_owned();
            let error = predicted[t] + self.observed;
            k += 0.5 * (rest[(3, 3)] * error + (TAU * self.added(t) * self.observed * own).ln());
        }
        self.log_likelihood() + k
    }

    /// Of the first state alone, with the model's own transition after it.
    fn of_the_first(&self) -> Option<f64> {
        let direction = DVector::from_fn(self.steps, |t, _| self.slope.powi(t as i32));
        let still = &direction * direction.transpose() * self.initial
            + DMatrix::identity(self.steps, self.steps) * self.observed;
        let still = still.cholesky()?;
        let log_determinant: f64 = still.l_dirty().diagonal().iter().map(|v| 2.0 * v.ln()).sum();
        let fit = still.solve(&self.covariance()).trace();
        let (mut added, mut lost) = (0.0, 0.0);
        for _ in 1..self.steps {
            added = self.slope.powi(2) * added + self.noise;
            lost += 0.5 * added / self.observed;
        }
        let bound = -0.5 * (self.steps as f64 * (2.0 * PI).ln() + log_determinant + fit) - lost;
        Some(self.log_likelihood() - bound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The linear system of Krishnan, Shalit & Sontag (2017, section 5.1).
    fn twin() -> System {
        let one = |value| DMatrix::from_element(1, 1, value);
        System {
            initial_mean: DVector::from_element(1, 0.05),
            initial_covariance: one(10.0),
            transition: one(1.0),
            transition_input: DMatrix::zeros(1, 0),
            transition_offset: DVector::from_element(1, 0.05),
            transition_noise: one(10.0),
            emission: one(0.5),
            emission_input: DMatrix::zeros(1, 0),
            emission_offset: DVector::zeros(1),
            emission_noise: one(20.0),
        }
    }

    fn gap(keys: &str, system: &System, steps: usize) -> Option<f64> {
        let keys: SequenceKeys = toml::from_str(keys).expect("keys");
        keys.least_gap(system, steps)
    }

    /// −log p is 3.08202 nats per step; a program in another language found the best of each family.
    #[test]
    fn the_least_gaps_of_a_known_system() {
        let known = [
            ("family = 'smoothing'", 3.08202),
            ("family = 'filtering'", 3.23759),
            ("family = 'mean_field'", 3.28097),
            ("family = 'mean_field'\nsees = 'past'", 3.43654),
            ("family = 'single_step'\nsees_step = true", 3.89485),
        ];
        for (keys, bound) in known {
            let gap = gap(keys, &twin(), 25).expect("a gap") / 25.0;
            assert!((gap - (bound - 3.08202)).abs() < 2e-5, "{keys}: {gap}");
        }
    }

    /// With one step every family is the true posterior, and with less to see a family is never nearer to it.
    #[test]
    fn families_that_see_more_are_nearer() {
        let families = [
            "family = 'smoothing'",
            "family = 'mean_field'",
            "family = 'mean_field'\nsees = 'past'",
            "family = 'single_step'\nsees_step = true",
        ];
        let mut system = twin();
        for slope in [1.0, -0.4, 1.3] {
            system.transition[(0, 0)] = slope;
            let gaps: Vec<f64> = families
                .iter()
                .map(|keys| gap(keys, &system, 12).expect("a gap"))
                .collect();
            assert!(gaps.windows(2).all(|pair| pair[0] + 1e-9 < pair[1]), "{gaps:?}");
            let past = gap("family = 'filtering'", &system, 12).expect("a gap");
            assert!(0.0 < past && past < gaps[2], "{past} {gaps:?}");
        }
        for keys in families
            .iter()
            .chain(&["family = 'filtering'", "family = 'initial_only'"])
        {
            let gap = gap(keys, &system, 1).expect("a gap");
            assert!(gap.abs() < 1e-12, "{keys}: {gap}");
        }
    }

    /// Where the transition has hardly any noise, the first state is the whole path.
    #[test]
    fn the_first_state_is_enough_without_noise() {
        let mut system = twin();
        let with_noise = gap("family = 'initial_only'", &system, 10).expect("a gap");
        system.transition_noise[(0, 0)] = 1e-9;
        let without = gap("family = 'initial_only'", &system, 10).expect("a gap");
        assert!(without.abs() < 1e-6 && with_noise > 1.0, "{without} {with_noise}");
    }

    /// Two outputs enter by their sufficient statistic; a system of two states has no known best value.
    #[test]
    fn several_outputs_and_several_states() {
        let one = twin();
        let two = System {
            emission: DMatrix::from_vec(2, 1, vec![0.3, -0.4]),
            emission_offset: DVector::zeros(2),
            emission_input: DMatrix::zeros(2, 0),
            emission_noise: DMatrix::identity(2, 2) * 20.0,
            ..one.clone()
        };
        let keys = "family = 'filtering'";
        let [a, b] = [&one, &two].map(|system| gap(keys, system, 8).expect("a gap"));
        assert!((a - b).abs() < 1e-10, "{a} {b}");
        let wide = System {
            transition: DMatrix::identity(2, 2),
            ..one
        };
        assert_eq!(gap(keys, &wide, 8), None);
        assert_eq!(gap("family = 'single_step'", &two, 8), None);
    }
}
