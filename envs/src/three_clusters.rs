//! Three axis-aligned Gaussians in the plane with unequal weights: p(x) = Σ_k w_k N(x; m_k, diag d_k²).

use rand::Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::numeric::{
    categorical, expect_normal_2d, gaussian_reference_2d, log_sum_exp, normal_log_density, standard_normal,
};
use crate::{Generator, Points, Reference, check};

/// Three Gaussian clusters in the plane; labels are only for scoring, never for training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ThreeClusters {
    /// Relative weight of each cluster; the weights need not sum to one.
    #[schemars(inner(range(min = 0.0, max = 1e6)))]
    pub weights: [f64; 3],
    /// Mean (x1, x2) of each cluster.
    pub means: [[f64; 2]; 3],
    /// Standard deviations along (x1, x2) of each cluster.
    #[schemars(inner(inner(range(min = 1e-6, max = 1e6))))]
    pub deviations: [[f64; 2]; 3],
}

impl Default for ThreeClusters {
    fn default() -> Self {
        Self {
            weights: [0.5, 0.3, 0.2],
            means: [[-2.0, -1.0], [2.0, -1.5], [0.5, 2.5]],
            deviations: [[0.6, 0.4], [0.4, 0.7], [0.8, 0.4]],
        }
    }
}

impl ThreeClusters {
    /// The weights scaled to sum to one.
    fn proportions(&self) -> [f64; 3] {
        let total: f64 = self.weights.iter().sum();
        self.weights.map(|weight| weight / total)
    }

    /// log p(x).
    fn log_density(&self, x: f64, y: f64) -> f64 {
        let w = self.proportions();
        let joint: [f64; 3] = std::array::from_fn(|k| {
            let ([m, n], [d, e]) = (self.means[k], self.deviations[k]);
            w[k].ln() + normal_log_density(x, m, d) + normal_log_density(y, n, e)
        });
        log_sum_exp(&joint)
    }

    /// The covariance of the whole mixture: covariance within the clusters plus covariance of their means.
    fn covariance(&self) -> [[f64; 2]; 2] {
        let w = self.proportions();
        let centre: [f64; 2] = std::array::from_fn(|i| (0..3).map(|k| w[k] * self.means[k][i]).sum());
        let entry = |i: usize, j: usize| {
            let within = |k: usize| if i == j { self.deviations[k][i].powi(2) } else { 0.0 };
            let between = |k: usize| (self.means[k][i] - centre[i]) * (self.means[k][j] - centre[j]);
            (0..3).map(|k| w[k] * (within(k) + between(k))).sum()
        };
        [[entry(0, 0), entry(0, 1)], [entry(1, 0), entry(1, 1)]]
    }
}

impl Generator for ThreeClusters {
    fn name(&self) -> &'static str {
        "three_clusters"
    }

    fn observed(&self) -> Vec<String> {
        vec!["x1".into(), "x2".into()]
    }

    fn check(&self) -> Result<(), String> {
        let w = self.weights;
        let total: f64 = w.iter().sum();
        if w.iter().any(|&weight| weight.is_nan() || weight < 0.0) || !total.is_finite() || total <= 0.0 {
            return Err(format!(
                "`weights` should be three finite numbers of at least 0 with a sum above 0, got {w:?}: try [0.5, 0.3, 0.2]"
            ));
        }
        self.means
            .iter()
            .flatten()
            .try_for_each(|&m| check::finite("means", m))?;
        self.deviations
            .iter()
            .flatten()
            .try_for_each(|&d| check::positive("deviations", d, 0.5))
    }

    fn draw(&self, rows: usize, rng: &mut dyn Rng) -> Points {
        let mut points = Points::default();
        for _ in 0..rows {
            let k = categorical(&self.weights, rng);
            points.labels.push(k); // [n]
            for i in 0..2 {
                points
                    .observed
                    .push(self.means[k][i] + self.deviations[k][i] * standard_normal(rng)); // [n, 2]
            }
        }
        points
    }

    fn log_prob(&self, observed: &[f64], _given: &[f64]) -> Option<f64> {
        Some(self.log_density(observed[0], observed[1]))
    }

    fn references(&self) -> Vec<Reference> {
        let of_cluster = |k: usize| {
            let ([m, n], [d, e]) = (self.means[k], self.deviations[k]);
            expect_normal_2d(|a, b| self.log_density(m + d * a, n + e * b))
        };
        let w = self.proportions();
        vec![
            Reference {
                name: "oracle",
                value: (0..3).filter(|&k| w[k] > 0.0).map(|k| w[k] * of_cluster(k)).sum(),
                text: "the true mixture, by quadrature over each cluster",
            },
            Reference {
                name: "gaussian",
                value: gaussian_reference_2d(self.covariance()),
                text: "the best single Gaussian with full covariance",
            },
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numeric::integrate;
    use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

    #[test]
    fn density_integrates_to_one() {
        let clusters = ThreeClusters::default();
        let mass = integrate(-8.0, 8.0, 100, |x| {
            integrate(-8.0, 8.0, 100, |y| clusters.log_density(x, y).exp())
        });
        assert!((mass - 1.0).abs() < 1e-9, "{mass}");
    }

    #[test]
    fn labels_occur_in_proportion_and_rows_lie_around_their_mean() {
        let clusters = ThreeClusters::default();
        let n = 100_000;
        let points = clusters.draw(n, &mut ChaCha8Rng::seed_from_u64(3));
        for k in 0..3 {
            let members: Vec<&[f64]> = points
                .observed
                .chunks(2)
                .zip(&points.labels)
                .filter(|(_, l)| **l == k)
                .map(|(x, _)| x)
                .collect();
            let w = clusters.weights[k];
            let share = members.len() as f64 / n as f64;
            assert!(
                (share - w).abs() < 6.0 * (w * (1.0 - w) / n as f64).sqrt(),
                "cluster {k}: {share}"
            );
            for i in 0..2 {
                let mean = members.iter().map(|x| x[i]).sum::<f64>() / members.len() as f64;
                let error = 6.0 * clusters.deviations[k][i] / (members.len() as f64).sqrt();
                assert!(
                    (mean - clusters.means[k][i]).abs() < error,
                    "cluster {k}, axis {i}: {mean}"
                );
            }
        }
    }

    #[test]
    fn one_cluster_alone_is_a_gaussian() {
        let alone = ThreeClusters {
            weights: [0.0, 2.0, 0.0],
            ..ThreeClusters::default()
        };
        let [oracle, gaussian] = &alone.references()[..] else {
            panic!("two references")
        };
        assert!((oracle.value - gaussian.value).abs() < 1e-10);
        assert!(
            alone
                .draw(50, &mut ChaCha8Rng::seed_from_u64(0))
                .labels
                .iter()
                .all(|&k| k == 1)
        );
    }

    #[test]
    fn faults_name_the_key() {
        let fault = ThreeClusters {
            weights: [0.0; 3],
            ..ThreeClusters::default()
        }
        .check()
        .unwrap_err();
        assert!(fault.contains("`weights`") && fault.contains("sum above 0"), "{fault}");
        let fault = ThreeClusters {
            deviations: [[0.5, -0.5]; 3],
            ..ThreeClusters::default()
        }
        .check()
        .unwrap_err();
        assert!(fault.contains("`deviations`"), "{fault}");
    }
}
