//! Against the dense Gaussian, finite differences, and each other.

use super::*;
use crate::math::rows::Observations;
use crate::math::streams::Streams;
use nalgebra::{DVector, SymmetricEigen};
use rand_distr::{Distribution, StandardNormal};

fn normals(name: &str, count: usize) -> Vec<f64> {
    StandardNormal
        .sample_iter(Streams::new(5).named(name).at(0))
        .take(count)
        .collect()
}

fn rows(values: &[f64], columns: usize) -> Rows<'_> {
    Rows { values, columns }
}

/// A model of Z = 2, D = 5 whose noise differs from column to column.
fn model(inputs: usize) -> LinearLatent {
    LinearLatent {
        latents: 2,
        inputs,
        outputs: 5,
        loadings: normals("loadings", 10),
        coefficients: normals("coefficients", 5 * (inputs + 1)),
        noise_variances: vec![0.5, 0.01, 0.2, 1.5, 0.3],
    }
}

/// `n` rows of c and of x from `model`.
fn data(model: &LinearLatent, n: usize) -> (Vec<f64>, Vec<f64>) {
    let (z, e) = (normals("z", n * model.latents), normals("noise", n * model.outputs));
    let c = normals("given", n * model.inputs);
    let x = (0..n * model.outputs).map(|at| {
        let (b, j) = (at / model.outputs, at % model.outputs);
        let a = &model.coefficients[j * (model.inputs + 1)..(j + 1) * (model.inputs + 1)];
        let w = &model.loadings[j * model.latents..(j + 1) * model.latents];
        let explained = dot(w, &z[b * model.latents..(b + 1) * model.latents]);
        let regressed = dot(&a[..model.inputs], &c[b * model.inputs..(b + 1) * model.inputs]) + a[model.inputs];
        explained + regressed + model.noise_variances[j].sqrt() * e[at]
    });
    (c.clone(), x.collect())
}

fn given(c: &[f64], columns: usize) -> Option<Rows<'_>> {
    (columns > 0).then(|| rows(c, columns))
}

/// `x − V c − b` of row `b`.
fn residual(model: &LinearLatent, x: &[f64], c: &[f64], b: usize) -> DVector<f64> {
    let i = model.inputs;
    DVector::from_fn(model.outputs, |j, _| {
        let a = &model.coefficients[j * (i + 1)..(j + 1) * (i + 1)];
        x[b * model.outputs + j] - dot(&a[..i], &c[b * i..(b + 1) * i]) - a[i]
    })
}

#[test]
fn density_and_posterior_are_those_of_the_dense_joint_gaussian() {
    for inputs in [0, 3] {
        let model = model(inputs);
        let (c, x) = data(&model, 4);
        let w = matrix(&model.loadings, 5, 2);
        let sigma = &w * w.transpose() + DMatrix::from_diagonal(&DVector::from_vec(model.noise_variances.clone()));
        let precision = sigma.clone().try_inverse().unwrap();
        let found = model.log_likelihood(rows(&x, 5), given(&c, inputs)).unwrap();
        let posterior = model.posterior(rows(&x, 5), given(&c, inputs)).unwrap();
        // [z; x] is Gaussian: E[z|x] = Wᵀ Σ⁻¹ e, Cov[z|x] = I − Wᵀ Σ⁻¹ W.
        let covariance = DMatrix::identity(2, 2) - w.transpose() * &precision * &w;
        approx::assert_relative_eq!(matrix(&posterior.covariance, 2, 2), covariance, epsilon = 1e-12);
        for (b, found) in found.iter().enumerate() {
            let e = residual(&model, &x, &c, b);
            let two_pi = std::f64::consts::TAU;
            let dense = -0.5 * ((&sigma * two_pi).determinant().ln() + e.dot(&(&precision * &e)));
            approx::assert_relative_eq!(*found, dense, epsilon = 1e-11);
            let mean = w.transpose() * &precision * e;
            approx::assert_relative_eq!(&posterior.means[2 * b..2 * b + 2], mean.as_slice(), epsilon = 1e-11);
        }
    }
}

#[test]
fn small_noise_loses_no_digits() {
    // One column, one latent: p(x) = N(0, w² + ψ), for any ratio of the two.
    let model = LinearLatent {
        latents: 1,
        inputs: 0,
        outputs: 1,
        loadings: vec![1.0],
        coefficients: vec![0.0],
        noise_variances: vec![1e-12],
    };
    let found = model.log_likelihood(rows(&[3.0], 1), None).unwrap()[0];
    let want = -0.5 * (LN_2PI + 9.0);
    approx::assert_relative_eq!(found, want, epsilon = 1e-11);
}

#[test]
fn the_gradient_is_that_of_finite_differences() {
    let model = model(2);
    let (c, x) = data(&model, 6);
    let (x, c) = (rows(&x, 5), Some(rows(&c, 2)));
    let weights = [1.0, -0.5, 0.0, 2.0, 0.3, -1.2];
    let value = |model: &LinearLatent| dot(&model.log_likelihood(x, c).unwrap(), &weights);
    let gradient = model.gradient(x, c, &weights).unwrap();
    let check = |found: &[f64], shifted: &dyn Fn(&mut LinearLatent, usize, f64)| {
        for (at, found) in found.iter().enumerate() {
            let at_distance = |h: f64| {
                let mut other = model.clone();
                shifted(&mut other, at, h);
                value(&other)
            };
            let slope = |h: f64| (at_distance(h) - at_distance(-h)) / (2.0 * h);
            let want = (4.0 * slope(5e-4) - slope(1e-3)) / 3.0; // Richardson: error O(h⁴)
            approx::assert_relative_eq!(*found, want, epsilon = 1e-6, max_relative = 1e-7);
        }
    };
    check(&gradient.loadings, &|m, at, h| m.loadings[at] += h);
    check(&gradient.coefficients, &|m, at, h| m.coefficients[at] += h);
    check(&gradient.log_deviations, &|m, at, h| {
        m.noise_variances[at] *= (2.0 * h).exp()
    });
}

/// Initial values away from the truth.
fn start(model: &LinearLatent) -> LinearLatent {
    LinearLatent {
        loadings: normals("start", model.loadings.len()),
        coefficients: vec![0.0; model.coefficients.len()],
        noise_variances: vec![2.0; model.outputs],
        ..model.clone()
    }
}

const ALL: Learning = Learning {
    loadings: true,
    coefficients: true,
    noise: Noise::Diagonal,
};

#[test]
fn moments_give_the_mean_over_weighted_rows() {
    let model = model(2);
    let (c, x) = data(&model, 50);
    let weights: Vec<f64> = (0..50).map(|b| f64::from(b % 4)).collect();
    let observations = Observations::new(rows(&x, 5), given(&c, 2), Some(&weights)).unwrap();
    let each = start(&model).log_likelihood(rows(&x, 5), given(&c, 2)).unwrap();
    let want = dot(&each, &weights) / weights.iter().sum::<f64>();
    let found = start(&model).mean_log_likelihood(&observations).unwrap();
    approx::assert_relative_eq!(found, want, max_relative = 1e-12);
}

#[test]
fn an_iteration_is_the_regression_on_inferred_latents() {
    // The same step row by row: moments of [z; c; 1] under the posterior, then least squares and mean squares.
    let truth = model(1);
    let (c, x) = data(&truth, 40);
    let old = start(&truth);
    let new = old
        .em_step(&Observations::new(rows(&x, 5), given(&c, 1), None).unwrap(), &ALL)
        .unwrap();
    let posterior = old.posterior(rows(&x, 5), given(&c, 1)).unwrap();
    let (mut a, mut r) = (DMatrix::zeros(4, 4), DMatrix::zeros(4, 5));
    a.view_mut((0, 0), (2, 2))
        .copy_from(&(matrix(&posterior.covariance, 2, 2) * 40.0));
    let regressors = |b: usize| DVector::from_vec(vec![posterior.means[2 * b], posterior.means[2 * b + 1], c[b], 1.0]);
    for b in 0..40 {
        a += regressors(b) * regressors(b).transpose();
        r += regressors(b) * DVector::from_row_slice(&x[5 * b..5 * b + 5]).transpose();
    }
    let lambda = a.clone().try_inverse().unwrap() * r; // [4, 5]
    for j in 0..5 {
        let column: Vec<f64> = lambda.column(j).iter().copied().collect();
        approx::assert_relative_eq!(&new.loadings[2 * j..2 * j + 2], &column[..2], epsilon = 1e-10);
        approx::assert_relative_eq!(&new.coefficients[2 * j..2 * j + 2], &column[2..], epsilon = 1e-10);
        let w = lambda.fixed_view::<2, 1>(0, j);
        let spread = (w.transpose() * matrix(&posterior.covariance, 2, 2) * w)[(0, 0)];
        let square: f64 = (0..40)
            .map(|b| (x[5 * b + j] - lambda.column(j).dot(&regressors(b))).powi(2))
            .sum();
        approx::assert_relative_eq!(new.noise_variances[j], square / 40.0 + spread, epsilon = 1e-10);
    }
}

#[test]
fn fixed_parameters_stay_and_em_never_lowers_the_likelihood() {
    let truth = model(2);
    let (c, x) = data(&truth, 200);
    let observations = Observations::new(rows(&x, 5), given(&c, 2), None).unwrap();
    for (loadings, coefficients, noise) in [
        (true, true, Noise::Diagonal),
        (true, true, Noise::Spherical),
        (true, true, Noise::Fixed),
        (true, false, Noise::Diagonal),
        (false, true, Noise::Spherical),
        (false, false, Noise::Diagonal),
    ] {
        let learning = Learning {
            loadings,
            coefficients,
            noise,
        };
        let (first, mut model) = (start(&truth), start(&truth));
        let mut last = model.mean_log_likelihood(&observations).unwrap();
        let before = last;
        for _ in 0..50 {
            model = model.em_step(&observations, &learning).unwrap();
            let next = model.mean_log_likelihood(&observations).unwrap();
            assert!(next >= last - 1e-13, "{learning:?}: {last} then {next}");
            last = next;
        }
        assert!(last > before + 0.1, "{learning:?} learnt nothing: {before} then {last}");
        assert_eq!(model.loadings == first.loadings, !loadings);
        assert_eq!(model.coefficients == first.coefficients, !coefficients);
        assert_eq!(model.noise_variances == first.noise_variances, noise == Noise::Fixed);
        let equal = model.noise_variances.iter().all(|v| *v == model.noise_variances[0]);
        assert_eq!(equal, noise != Noise::Diagonal);
    }
}

#[test]
fn the_optimum_of_principal_components_is_where_em_arrives() {
    // With known noise EM is slow where that noise is small, so no noise is small here.
    let truth = LinearLatent {
        noise_variances: vec![0.5, 0.3, 0.2, 1.5, 0.3],
        ..model(1)
    };
    let (c, x) = data(&truth, 300);
    for (inputs, known) in [(0, None), (1, None), (1, Some(&truth.noise_variances[..]))] {
        let observations = Observations::new(rows(&x, 5), given(&c, inputs), None).unwrap();
        let optimum = LinearLatent::optimum(&observations, 2, known).unwrap();
        let best = optimum.mean_log_likelihood(&observations).unwrap();
        let learning = Learning {
            noise: if known.is_none() {
                Noise::Spherical
            } else {
                Noise::Fixed
            },
            ..ALL
        };
        let mut model = LinearLatent {
            inputs,
            coefficients: vec![0.0; 5 * (inputs + 1)],
            ..start(&truth)
        };
        if let Some(known) = known {
            model.noise_variances = known.to_vec();
        }
        for _ in 0..3000 {
            model = model.em_step(&observations, &learning).unwrap();
            assert!(model.mean_log_likelihood(&observations).unwrap() <= best + 1e-12);
        }
        approx::assert_relative_eq!(model.mean_log_likelihood(&observations).unwrap(), best, epsilon = 1e-10);
        let square = |model: &LinearLatent| {
            let w = matrix(&model.loadings, 5, 2);
            &w * w.transpose()
        };
        approx::assert_relative_eq!(square(&model), square(&optimum), epsilon = 1e-4);
        approx::assert_relative_eq!(
            model.coefficients.as_slice(),
            optimum.coefficients.as_slice(),
            epsilon = 1e-4
        );
        // At the optimum the gradient with respect to every learnt parameter is 0.
        let gradient = optimum.gradient(rows(&x, 5), given(&c, inputs), &[1.0; 300]).unwrap();
        let noise: f64 = gradient.log_deviations.iter().sum();
        let learnt = gradient
            .loadings
            .iter()
            .chain(&gradient.coefficients)
            .chain(known.is_none().then_some(&noise));
        assert!(learnt.into_iter().all(|g| g.abs() < 1e-9 * 300.0));
    }
}

#[test]
fn the_maximal_likelihood_is_that_of_the_eigenvalues() {
    let (_, x) = data(&model(0), 300);
    let observations = Observations::new(rows(&x, 5), None, None).unwrap();
    let covariance = matrix(&observations.covariance(), 5, 5);
    let mut lambda: Vec<f64> = SymmetricEigen::new(covariance).eigenvalues.iter().copied().collect();
    lambda.sort_by(f64::total_cmp);
    for z in 1..5 {
        let optimum = LinearLatent::optimum(&observations, z, None).unwrap();
        let variance = lambda[..5 - z].iter().sum::<f64>() / (5 - z) as f64;
        approx::assert_relative_eq!(optimum.noise_variances[0], variance, max_relative = 1e-12);
        let kept: f64 = lambda[5 - z..].iter().map(|l| l.ln()).sum();
        let constant = 5.0 * (LN_2PI + 1.0);
        let want = -0.5 * (constant + kept + (5 - z) as f64 * variance.ln());
        approx::assert_relative_eq!(
            optimum.mean_log_likelihood(&observations).unwrap(),
            want,
            epsilon = 1e-12
        );
    }
}

#[test]
fn factor_analysis_arrives_at_a_stationary_point() {
    let truth = LinearLatent {
        noise_variances: vec![0.5, 0.3, 0.2, 1.5, 0.3],
        latents: 1,
        loadings: vec![1.0, -0.8, 0.5, 2.0, 0.7],
        ..model(0)
    };
    let (_, x) = data(&truth, 500);
    let observations = Observations::new(rows(&x, 5), None, None).unwrap();
    let mut model = start(&truth);
    for _ in 0..2000 {
        model = model.em_step(&observations, &ALL).unwrap();
    }
    let gradient = model.gradient(rows(&x, 5), None, &[1.0 / 500.0; 500]).unwrap();
    let all = [gradient.loadings, gradient.coefficients, gradient.log_deviations].concat();
    assert!(all.iter().all(|g| g.abs() < 1e-8), "{all:?}");
    // The variance of every column is explained exactly: diag(W Wᵀ + Ψ) = diag S (Lawley 1940).
    for (j, psi) in model.noise_variances.iter().enumerate() {
        let variance = observations.covariance()[6 * j];
        approx::assert_relative_eq!(model.loadings[j].powi(2) + psi, variance, max_relative = 1e-8);
    }
    let spherical = LinearLatent::optimum(&observations, 1, None).unwrap();
    assert!(
        model.mean_log_likelihood(&observations).unwrap()
            > spherical.mean_log_likelihood(&observations).unwrap() + 0.01
    );
}

#[test]
fn faults_say_what_was_expected() {
    let model = model(0);
    let text = |result: Result<Vec<f64>>| result.unwrap_err().to_string();
    assert!(text(model.log_likelihood(rows(&[0.0; 6], 3), None)).contains("2 rows of 3 columns"));
    assert!(
        text(model.log_likelihood(rows(&[0.0; 5], 5), Some(rows(&[0.0], 1)))).contains("explains 5 columns given 0")
    );
    let mut bad = model.clone();
    bad.noise_variances[1] = 0.0;
    assert!(text(bad.log_likelihood(rows(&[0.0; 5], 5), None)).contains("noise variance of column 1 is 0"));
    bad.loadings.pop();
    assert!(text(bad.log_likelihood(rows(&[0.0; 5], 5), None)).contains("10 loadings, not 9"));
    let (_, x) = data(&model, 10);
    let observations = Observations::new(rows(&x, 5), None, None).unwrap();
    let fault = LinearLatent::optimum(&observations, 5, None).unwrap_err().to_string();
    assert!(fault.contains("5 latents leave no noise in 5 columns"), "{fault}");
    let fault = model.gradient(rows(&x, 5), None, &[1.0]).unwrap_err().to_string();
    assert!(fault.contains("1 weights for 10 rows"), "{fault}");
}
