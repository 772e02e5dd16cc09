//! Against closed forms (linear-Gaussian, mixtures), enumeration of all x, and direct sums.

mod refinement;

use super::*;
use crate::math::linear_algebra::matrix;
use crate::math::linear_latent::LinearLatent;
use crate::math::streams::Streams;
use crate::math::{LN_2PI, softmax};
use nalgebra::DMatrix;
use rand_distr::{Distribution, StandardNormal};

fn normals(name: &str, count: usize) -> Vec<f64> {
    StandardNormal
        .sample_iter(Streams::new(8).named(name).at(0))
        .take(count)
        .collect()
}

fn log_normal(x: f64, mean: f64, deviation: f64) -> f64 {
    -0.5 * ((x - mean) / deviation).powi(2) - deviation.ln() - 0.5 * LN_2PI
}

fn rows(values: &[f64], columns: usize) -> Rows<'_> {
    Rows { values, columns }
}

fn standard_normal(nodes: &[f64], latents: usize) -> Vec<f64> {
    let log_prior = |z: &[f64]| z.iter().map(|z| log_normal(*z, 0.0, 1.0)).sum();
    nodes.chunks(latents).map(log_prior).collect()
}

fn refinement(latents: usize, half_width: f64, points: usize, most_points: usize) -> Refinement {
    Refinement {
        grid: Grid::new(latents, half_width, points).unwrap(),
        most_points,
        tolerance: 1e-6,
    }
}

/// D = 4, with noise that is a third of the columns' standard deviation.
fn linear(latents: usize) -> LinearLatent {
    LinearLatent {
        latents,
        inputs: 0,
        outputs: 4,
        loadings: normals("loadings", 4 * latents),
        coefficients: vec![0.3, -100.0, 2.0, 0.0],
        noise_variances: vec![0.2, 0.1, 0.4, 0.3],
    }
}

fn samples(model: &LinearLatent, count: usize) -> Vec<f64> {
    let (z, e) = (normals("z", count * model.latents), normals("e", count * 4));
    let decoded = decode_linear(model, &z);
    (0..count * 4)
        .map(|at| decoded[at] + model.noise_variances[at % 4].sqrt() * e[at])
        .collect()
}

/// `W z + b`, `[G, D]`.
fn decode_linear(model: &LinearLatent, nodes: &[f64]) -> Vec<f64> {
    let each = |z: &[f64]| {
        let w = model.loadings.chunks(model.latents);
        let means = w.map(|w| w.iter().zip(z).map(|(w, z)| w * z).sum::<f64>());
        means.zip(&model.coefficients).map(|(m, b)| m + b).collect::<Vec<f64>>()
    };
    nodes.chunks(model.latents).flat_map(each).collect()
}

fn linear_nodes(model: &LinearLatent, nodes: &[f64]) -> Nodes {
    Nodes {
        log_prior: standard_normal(nodes, model.latents),
        likelihood: Likelihood::Gaussian {
            means: decode_linear(model, nodes),
            deviations: model.noise_variances.iter().map(|v| v.sqrt()).collect(),
        },
    }
}

#[test]
fn the_linear_gaussian_model_has_its_closed_form() {
    for latents in [1, 2] {
        let model = linear(latents);
        let x = samples(&model, 150);
        let exact = model.log_likelihood(rows(&x, 4), None).unwrap();
        let found = log_evidence(rows(&x, 4), None, &refinement(latents, 8.0, 33, 1025), |nodes| {
            Ok(linear_nodes(&model, nodes))
        })
        .unwrap();
        assert!(found.mean_error() <= 1e-6);
        for ((found, exact), edge) in found.log_evidence.iter().zip(&exact).zip(&found.edge) {
            assert!((found - exact).abs() < 1e-9, "{found} and {exact}");
            assert!(*edge < 1e-9);
        }
        // The estimate is that of the grid before, whose error is larger.
        let coarse = Refinement {
            tolerance: 1.0,
            ..refinement(latents, 8.0, 17, 33)
        };
        let found = log_evidence(rows(&x, 4), None, &coarse, |nodes| Ok(linear_nodes(&model, nodes))).unwrap();
        let errors = found.log_evidence.iter().zip(&exact).map(|(a, b)| (a - b).abs());
        let (error, estimate) = (errors.sum::<f64>() / 150.0, found.mean_error());
        assert!(estimate > 1e-4 && error < 0.1 * estimate, "{error}, {estimate}");
    }
}

#[test]
fn the_expected_log_joint_and_the_entropy_are_the_evidence_less_the_divergence() {
    // Every term but the divergence is closed for a Gaussian q: E_q[log p(x, z)] is a quadratic form's expectation.
    for latents in [1, 2] {
        let model = linear(latents);
        let x = samples(&model, 70);
        let q = Gaussians {
            means: normals("means of q", 70 * latents),
            deviations: normals("deviations of q", 70 * latents)
                .iter()
                .map(|d| 0.2 + 0.5 * d.abs())
                .collect(),
        };
        let narrow = Refinement {
            tolerance: 1e-8,
            ..refinement(latents, 18.0, 65, 1025)
        };
        let found = log_evidence(rows(&x, 4), Some(&q), &narrow, |nodes| Ok(linear_nodes(&model, nodes))).unwrap();
        let divergence = found.divergence.as_ref().unwrap();
        let exact = model.log_likelihood(rows(&x, 4), None).unwrap();
        for b in 0..70 {
            let (mu, s) = (
                &q.means[b * latents..][..latents],
                &q.deviations[b * latents..][..latents],
            );
            let decoded = decode_linear(&model, mu);
            let mut bound: f64 = mu
                .iter()
                .zip(s)
                .map(|(m, s)| log_normal(*m, 0.0, 1.0) - 0.5 * s * s)
                .sum();
            for j in 0..4 {
                let psi = model.noise_variances[j];
                let w = &model.loadings[j * latents..][..latents];
                let spread: f64 = w.iter().zip(s).map(|(w, s)| (w * s).powi(2)).sum();
                bound += log_normal(x[4 * b + j], decoded[j], psi.sqrt()) - 0.5 * spread / psi;
            }
            let entropy = |s: &f64| 0.5 + 0.5 * LN_2PI + s.ln();
            bound += s.iter().map(entropy).sum::<f64>();
            let kl = divergence.kl[b];
            assert!(
                (exact[b] - kl - bound).abs() < 1e-9,
                "row {b}: {} − {kl} and {bound}",
                exact[b]
            );
            assert!(kl > 0.0 && (divergence.mass[b] - 1.0).abs() < 1e-12);
        }
    }
}

#[test]
fn a_q_that_the_grid_cannot_see_shows_in_its_mass() {
    let model = linear(1);
    let x = samples(&model, 2);
    let q = Gaussians {
        means: vec![0.03, 12.0],
        deviations: vec![1e-4, 0.5],
    };
    let found = log_evidence(rows(&x, 4), Some(&q), &refinement(1, 8.0, 33, 65), |nodes| {
        Ok(linear_nodes(&model, nodes))
    });
    let mass = found.unwrap().divergence.unwrap().mass;
    assert!(mass.iter().all(|m| *m < 0.5), "{mass:?}");
}

#[test]
fn the_shares_of_the_nodes_are_the_gaussian_posterior() {
    let model = linear(2);
    let x = samples(&model, 3);
    let grid = Grid::new(2, 6.0, 121).unwrap();
    let nodes = linear_nodes(&model, &grid.nodes());
    let log_joint = log_joint(rows(&x, 4), &nodes).unwrap();
    let posterior = model.posterior(rows(&x, 4), None).unwrap();
    let precision = matrix(&posterior.covariance, 2, 2).try_inverse().unwrap();
    let scale = (precision.determinant().sqrt() / (2.0 * std::f64::consts::PI)) * grid.log_cell().exp();
    for (b, log_joint) in log_joint.chunks(grid.count()).enumerate() {
        for (z, weight) in grid.nodes().chunks(2).zip(softmax(log_joint)) {
            let e = DMatrix::from_fn(2, 1, |k, _| z[k] - posterior.means[2 * b + k]);
            let density = scale * (-0.5 * (e.transpose() * &precision * e)[(0, 0)]).exp();
            assert!((weight - density).abs() < 1e-12, "{weight} and {density}");
        }
    }
}

#[test]
fn a_mixture_prior_gives_a_mixture() {
    // z ~ Σ w_k N(m_k, s_k²), x | z ~ N(z, σ²): x ~ Σ w_k N(m_k, s_k² + σ²).
    let components = [(0.5, -2.0, 0.3), (0.2, 0.1, 0.1), (0.3, 3.0, 0.7)];
    let mixture = |x: f64, noise: f64| {
        let density = |(w, m, s): &(f64, f64, f64)| w * log_normal(x, *m, (s * s + noise * noise).sqrt()).exp();
        components.iter().map(density).sum::<f64>().ln()
    };
    let x: Vec<f64> = (-30..=30).map(|i| f64::from(i) * 0.2).collect();
    let found = log_evidence(rows(&x, 1), None, &refinement(1, 12.0, 33, 4097), |nodes| {
        Ok(Nodes {
            log_prior: nodes.iter().map(|z| mixture(*z, 0.0)).collect(),
            likelihood: Likelihood::Gaussian {
                means: nodes.to_vec(),
                deviations: vec![0.2; nodes.len()],
            },
        })
    })
    .unwrap();
    for (x, found) in x.iter().zip(&found.log_evidence) {
        assert!((found - mixture(*x, 0.2)).abs() < 1e-9, "at {x}: {found}");
    }
}

/// Logits of D = 6 coins, nonlinear in z.
fn coins(nodes: &[f64]) -> Nodes {
    let logits = |z: &[f64]| {
        let (a, b) = (z[0], z[1]);
        [3.0 * a, 40.0 * b.tanh(), a * b, (2.0 * a).sin() - 1.0, -b, 5.0 - a * a]
    };
    Nodes {
        log_prior: standard_normal(nodes, 2),
        likelihood: Likelihood::Bernoulli {
            logits: nodes.chunks(2).flat_map(logits).collect(),
        },
    }
}

#[test]
fn coins_have_their_brute_force_sum_and_all_of_them_have_probability_one() {
    let x: Vec<f64> = (0..64)
        .flat_map(|n| (0..6).map(move |j| f64::from(n >> j & 1)))
        .collect();
    let found = log_evidence(rows(&x, 6), None, &refinement(2, 9.0, 33, 129), |nodes| {
        Ok(coins(nodes))
    })
    .unwrap();
    let total: f64 = found.log_evidence.iter().map(|l| l.exp()).sum();
    assert!((total - 1.0).abs() < 1e-12, "{total}");
    let nodes = found.grid.nodes();
    let Nodes {
        log_prior,
        likelihood: Likelihood::Bernoulli { logits },
    } = coins(&nodes)
    else {
        panic!("coins are Bernoulli")
    };
    for (x, found) in x.chunks(6).zip(&found.log_evidence) {
        let sum: f64 = log_prior
            .iter()
            .zip(logits.chunks(6))
            .map(|(log_prior, logits)| {
                let coin = |(x, l): (&f64, &f64)| 1.0 / (1.0 + if *x == 1.0 { (-l).exp() } else { l.exp() });
                log_prior.exp() * x.iter().zip(logits).map(coin).product::<f64>()
            })
            .sum();
        let direct = sum.ln() + 2.0 * (18.0f64 / 128.0).ln();
        assert!((found - direct).abs() < 1e-13, "{found} and {direct}");
    }
}

#[test]
fn squares_of_narrow_likelihoods_far_from_the_origin_keep_their_digits() {
    // Ten columns of standard deviation 1 about 10⁴, noise 0.01.
    let x: Vec<f64> = normals("x", 50 * 10).iter().map(|x| 1e4 + x).collect();
    let means: Vec<f64> = normals("means", 70 * 10).iter().map(|x| 1e4 + x).collect();
    let nodes = Nodes {
        log_prior: normals("prior", 70),
        likelihood: Likelihood::Gaussian {
            means: [&x[..10], &means[10..]].concat(), // the first node explains the first row
            deviations: vec![0.01; 10],
        },
    };
    let found = log_joint(rows(&x, 10), &nodes).unwrap();
    let Likelihood::Gaussian { means, deviations } = &nodes.likelihood else {
        panic!("a Gaussian")
    };
    for (at, found) in found.iter().enumerate() {
        let (b, g) = (at / 70, at % 70);
        let direct = (0..10)
            .map(|j| log_normal(x[b * 10 + j], means[g * 10 + j], deviations[j]))
            .sum::<f64>();
        assert!(
            (found - nodes.log_prior[g] - direct).abs() < 1e-9,
            "{found} and {direct}"
        );
    }
}
