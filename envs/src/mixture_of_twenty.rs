//! Twenty evenly spaced Gaussians on a line, of which only the weights are to be learnt: p(z) ∝ z + 5,
//! x|z ~ N(s z, σ²), z = 0, …, 19 (Le, Kosiorek, Siddharth, Teh and Wood 2019, section 4.2).
//!
//! Neighbours overlap, so one sweep of EM moves the weights only part of the way: initial values matter here.

use rand::Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::numeric::{categorical, gaussian_reference, integrate, log_sum_exp, normal_log_density, standard_normal};
use crate::{Generator, Points, Reference, check};

/// Twenty overlapping Gaussians on a line, with weights that grow with the position.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MixtureOfTwenty {
    /// Distance s between neighbouring means, unit of x.
    #[schemars(range(min = 1e-3, max = 1e6))]
    pub spacing: f64,
    /// Standard deviation σ of each component, unit of x.
    #[schemars(range(min = 1e-3, max = 1e6))]
    pub deviation: f64,
}

impl Default for MixtureOfTwenty {
    fn default() -> Self {
        Self {
            spacing: 10.0,
            deviation: 5.0,
        }
    }
}

impl MixtureOfTwenty {
    /// Number of components.
    pub const COMPONENTS: usize = 20;

    /// Distance of the grid's ends from the outermost means, in standard deviations.
    const REACH: f64 = 8.0;

    /// The true weights p(z), `[20]`, which sum to one.
    pub fn prior() -> [f64; Self::COMPONENTS] {
        let total: f64 = (0..Self::COMPONENTS).map(|z| z as f64 + 5.0).sum();
        std::array::from_fn(|z| (z as f64 + 5.0) / total)
    }

    /// log p(x).
    fn log_density(&self, x: f64) -> f64 {
        let prior = Self::prior();
        let joint: [f64; Self::COMPONENTS] =
            std::array::from_fn(|z| prior[z].ln() + normal_log_density(x, self.spacing * z as f64, self.deviation));
        log_sum_exp(&joint)
    }

    /// The interval that holds all but a negligible part (1e-15) of the probability.
    fn support(&self) -> (f64, f64) {
        let margin = Self::REACH * self.deviation;
        (-margin, self.spacing * (Self::COMPONENTS - 1) as f64 + margin)
    }
}

impl Generator for MixtureOfTwenty {
    fn name(&self) -> &'static str {
        "mixture_of_twenty"
    }

    fn observed(&self) -> Vec<String> {
        vec!["x".into()]
    }

    fn check(&self) -> Result<(), String> {
        check::positive("spacing", self.spacing, 10.0)?;
        check::positive("deviation", self.deviation, 5.0)
    }

    fn draw(&self, rows: usize, rng: &mut dyn Rng) -> Points {
        let prior = Self::prior();
        let mut points = Points::default();
        for _ in 0..rows {
            let z = categorical(&prior, rng);
            points.labels.push(z); // [n]
            points
                .observed
                .push(self.spacing * z as f64 + self.deviation * standard_normal(rng)); // [n, 1]
        }
        points
    }

    fn log_prob(&self, observed: &[f64], _given: &[f64]) -> Option<f64> {
        Some(self.log_density(observed[0]))
    }

    fn references(&self) -> Vec<Reference> {
        let (low, high) = self.support();
        // Five nodes on each panel of about one standard deviation.
        let panels = ((high - low) / self.deviation).ceil().clamp(1.0, 1e5) as usize;
        let oracle = integrate(low, high, panels, |x| {
            let log_density = self.log_density(x);
            log_density.exp() * log_density
        });
        let mean: f64 = Self::prior().iter().zip(0..).map(|(p, z)| p * f64::from(z)).sum();
        let spread: f64 = Self::prior()
            .iter()
            .zip(0..)
            .map(|(p, z)| p * (f64::from(z) - mean).powi(2))
            .sum();
        vec![
            Reference {
                name: "oracle",
                value: oracle,
                text: "the true mixture, by quadrature",
            },
            Reference {
                name: "gaussian",
                value: gaussian_reference(self.spacing.powi(2) * spread + self.deviation.powi(2)),
                text: "the best single Gaussian",
            },
        ]
    }

    fn prior(&self) -> Option<Vec<f64>> {
        Some(Self::prior().to_vec())
    }

    fn population(&self, rows: usize) -> Option<Points> {
        let (low, high) = self.support();
        let step = (high - low) / rows as f64;
        let observed: Vec<f64> = (0..rows).map(|i| low + (i as f64 + 0.5) * step).collect(); // [n, 1]
        let density: Vec<f64> = observed.iter().map(|&x| self.log_density(x).exp()).collect();
        let mean = density.iter().sum::<f64>() / rows as f64;
        let weights = density.iter().map(|p| p / mean).collect(); // [n]
        Some(Points {
            observed,
            weights,
            ..Points::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

    #[test]
    fn density_integrates_to_one() {
        let mixture = MixtureOfTwenty::default();
        let (low, high) = mixture.support();
        let mass = integrate(low, high, 60, |x| mixture.log_density(x).exp());
        assert!((mass - 1.0).abs() < 1e-9, "{mass}");
    }

    #[test]
    fn labels_occur_in_proportion() {
        let n = 100_000;
        let points = MixtureOfTwenty::default().draw(n, &mut ChaCha8Rng::seed_from_u64(4));
        for (z, p) in MixtureOfTwenty::prior().into_iter().enumerate() {
            let share = points.labels.iter().filter(|&&label| label == z).count() as f64 / n as f64;
            assert!(
                (share - p).abs() < 6.0 * (p * (1.0 - p) / n as f64).sqrt(),
                "component {z}: {share}"
            );
        }
    }

    #[test]
    fn the_population_has_the_moments_of_the_density() {
        let population = MixtureOfTwenty::default().population(4000).unwrap();
        let total: f64 = population.weights.iter().sum();
        let rows = || population.observed.iter().zip(&population.weights);
        let mean = rows().map(|(x, w)| w * x).sum::<f64>() / total;
        let variance = rows().map(|(x, w)| w * (x - mean).powi(2)).sum::<f64>() / total;
        // Σ (z+5) = 290, Σ z (z+5) = 3420, Σ z² (z+5) = 48450, over z = 0..19.
        let z = 3420.0 / 290.0;
        assert!((total - 4000.0).abs() < 1e-9);
        assert!((mean - 10.0 * z).abs() < 1e-9, "{mean}");
        assert!(
            (variance - (100.0 * (48450.0 / 290.0 - z * z) + 25.0)).abs() < 1e-8,
            "{variance}"
        );
    }

    #[test]
    fn em_on_the_population_converges_as_published() {
        // Starts from softmax(½·(38, 36, …, 0)); the Euclidean error of p(z) after 1, 2, 5 and 10 sweeps.
        let mixture = MixtureOfTwenty::default();
        let population = mixture.population(4000).unwrap();
        let truth = MixtureOfTwenty::prior();
        let mut p: [f64; 20] = std::array::from_fn(|z| (-(z as f64)).exp());
        let mut errors = vec![];
        for _ in 0..10 {
            let mut mass = [0.0; 20];
            for (&x, &weight) in population.observed.iter().zip(&population.weights) {
                let joint: [f64; 20] = std::array::from_fn(|z| p[z].ln() + normal_log_density(x, 10.0 * z as f64, 5.0));
                let evidence = log_sum_exp(&joint);
                (0..20).for_each(|z| mass[z] += weight * (joint[z] - evidence).exp());
            }
            p = mass.map(|m| m / mass.iter().sum::<f64>());
            errors.push(p.iter().zip(truth).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt());
        }
        for (sweep, expected) in [(1, 0.0207), (2, 0.0065), (5, 0.0015), (10, 3.2e-4)] {
            assert!(
                (errors[sweep - 1] / expected - 1.0).abs() < 0.03,
                "sweep {sweep}: {}",
                errors[sweep - 1]
            );
        }
    }
}
