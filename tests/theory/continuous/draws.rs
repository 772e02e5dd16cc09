//! Samples against their distributions: ancestral samples against the joint by quadrature, importance samples against
//! the posterior in closed form, and a decoder's points against both.

use crate::continuous::case::{Case, agrees, close, numbers, rows};
use crate::continuous::gradients::settings;
use candle_core::{DType, Device, Tensor};
use latent_lab::data::{Batch, Dataset, Field, Table};
use latent_lab::math::latin_hypercube;
use latent_lab::math::streams::Streams;
use latent_lab::model::Latents;

/// The rows of `observed` (one column), each beside the same given columns.
fn beside(observed: Vec<f64>, given: &[f64]) -> Batch {
    let rows = observed.len();
    let data = Dataset {
        observed: Table::new(observed, 1).into(),
        given: (!given.is_empty()).then(|| Table::new(given.repeat(rows), given.len()).into()),
        ..Dataset::default()
    };
    Batch::whole(&data, DType::F64, &Device::Cpu).expect("rows")
}

/// 1, and moments of z and x up to the second, x clipped to ±3, because a standard deviation that depends on z gives
/// long tails.
fn moments(z: f64, x: f64) -> [f64; 6] {
    let x = x.clamp(-3.0, 3.0);
    [1.0, z, z * z, x, x * x, x * z]
}

#[test]
fn ancestral_samples_have_the_moments_of_the_joint() {
    const COUNT: usize = 20_000;
    for (seed, (model, columns, binary)) in settings(1, 1).into_iter().enumerate() {
        let streams = Streams::new(seed as u64);
        let case = Case::new(
            &model,
            "kind = 'importance'",
            rows(50, 1, columns, binary, &streams),
            seed as u64,
        );
        let given = [0.4, -0.7][..columns].to_vec();

        // Σ or ∫ over x, ∫ over z.
        let (step, width) = (0.0125, 0.04);
        let t: Vec<f64> = (-760..=760).map(|i| step * f64::from(i)).collect();
        // Fine where most of x is, and coarse far out: dx = 0.1 cosh t dt.
        let (xs, dx): (Vec<f64>, Vec<f64>) = match binary {
            true => (vec![0.0, 1.0], vec![1.0; 2]),
            false => t.iter().map(|t| (0.1 * t.sinh(), 0.1 * t.cosh() * step)).unzip(),
        };
        let zs: Vec<f64> = (-200..=200).map(|i| width * f64::from(i)).collect();
        let batch = beside(xs.clone(), &given);
        let joint = case.model.joint(&case.theta, &batch).expect("a joint");
        let grid = Tensor::from_slice(&zs, (1, zs.len(), 1), &Device::Cpu).expect("points");
        let grid = grid
            .broadcast_as((xs.len(), zs.len(), 1))
            .and_then(|grid| grid.contiguous());
        let log = joint
            .log_joint(&Latents::Continuous(grid.expect("points")))
            .expect("values");
        let log = numbers(&log);
        let mut expected = [0.0; 6];
        for (i, x) in xs.iter().enumerate() {
            for (j, z) in zs.iter().enumerate() {
                let mass = dx[i] * width * log[i * zs.len() + j].exp();
                for (sum, moment) in expected.iter_mut().zip(moments(*z, *x)) {
                    *sum += mass * moment;
                }
            }
        }
        assert!((expected[0] - 1.0).abs() < 1e-4, "{}: mass {}", case.name, expected[0]);

        let batch = beside(vec![0.0; COUNT], &given);
        let joint = case.model.joint(&case.theta, &batch).expect("a joint");
        let rng = &mut streams.named("ancestral").at(0);
        let latents = joint.sample_latents(1, rng).expect("latents");
        let x = numbers(&joint.sample_observed(&latents, rng).expect("rows"));
        let Latents::Continuous(z) = latents else {
            panic!("a continuous latent")
        };
        let all: Vec<[f64; 6]> = numbers(&z).iter().zip(&x).map(|(z, x)| moments(*z, *x)).collect();
        for (i, expected) in expected.into_iter().enumerate().skip(1) {
            let values: Vec<f64> = all.iter().map(|m| m[i]).collect();
            agrees(&values, expected, &format!("{}: moment {i}", case.name));
        }
    }
}

#[test]
fn samples_of_a_linear_model_have_its_gaussian_distribution() {
    const COUNT: usize = 40_000;
    let model = "kind = 'latent_gaussian'\nlatent_dimensions = 2\nhidden = []\nfixed_deviation = 0.5";
    let streams = Streams::new(5);
    let case = Case::new(model, "kind = 'importance'", rows(COUNT, 3, 0, false, &streams), 5);
    let linear = case.linear(0.5);
    let batch = case.batch();
    let joint = case.model.joint(&case.theta, &batch).expect("a joint");
    let rng = &mut streams.named("ancestral").at(0);
    let latents = joint.sample_latents(1, rng).expect("latents");
    let x = numbers(&joint.sample_observed(&latents, rng).expect("rows"));
    for i in 0..3 {
        let column: Vec<f64> = x.chunks(3).map(|x| x[i]).collect();
        agrees(&column, linear.b[i], "mean");
        for j in 0..=i {
            let products: Vec<f64> = x
                .chunks(3)
                .map(|x| (x[i] - linear.b[i]) * (x[j] - linear.b[j]))
                .collect();
            agrees(&products, linear.covariance[(i, j)], "covariance");
        }
    }
}

/// With either proposal, weighted samples agree with p(z|x).
#[test]
fn importance_samples_from_the_prior_and_from_a_network_agree_with_the_posterior() {
    const SAMPLES: usize = 200_000;
    let model = "kind = 'latent_gaussian'\nlatent_dimensions = 2\nhidden = []\nfixed_deviation = 1.5";
    for proposal in ["prior", "amortised"] {
        let posterior = format!("kind = 'importance'\nsamples = {SAMPLES}\nproposal = '{proposal}'\nhidden = []");
        let case = Case::new(model, &posterior, rows(3, 3, 0, false, &Streams::new(6)), 6).with_wide_network();
        let linear = case.linear(1.5);
        let batch = case.batch();
        let joint = case.model.joint(&case.theta, &batch).expect("a joint");
        let draws = case.draws(joint.as_ref(), 0);
        let Latents::Continuous(z) = &draws.latents else {
            panic!("a continuous latent")
        };
        let (z, weights) = (numbers(z), numbers(&draws.weights));
        for row in 0..3 {
            let mean = linear.posterior_mean(case.data.observed.row(row));
            let part = row * SAMPLES..(row + 1) * SAMPLES;
            let (z, w) = (&z[2 * part.start..2 * part.end], &weights[part]);
            assert!((w.iter().sum::<f64>() - 1.0).abs() < 1e-9);
            let compare = |f: &dyn Fn(&[f64]) -> f64, expected: f64, what: &str| {
                let found: f64 = z.chunks(2).zip(w).map(|(z, w)| w * f(z)).sum();
                // The delta method (Owen 2013, equation 9.8).
                let error = z
                    .chunks(2)
                    .zip(w)
                    .map(|(z, w)| (w * (f(z) - found)).powi(2))
                    .sum::<f64>()
                    .sqrt();
                assert!(
                    error < 0.05,
                    "{proposal}: too few useful draws to tell anything: {error}"
                );
                assert!(
                    (found - expected).abs() < 6.0 * error,
                    "{proposal}: {what}: {found} ± {error}, {expected}"
                );
            };
            for i in 0..2 {
                compare(&|z| z[i], mean[i], "mean");
                let square = linear.posterior[(i, i)] + mean[i].powi(2);
                compare(&|z| z[i].powi(2), square, "square");
            }
            compare(
                &|z| z[0] * z[1],
                linear.posterior[(0, 1)] + mean[0] * mean[1],
                "product",
            );
        }
    }
}

/// The decoded values that policies and figures use agree with the joint.
#[test]
fn a_decoder_agrees_with_the_joint() {
    for (seed, (model, columns, binary)) in settings(2, 2).into_iter().enumerate() {
        let streams = Streams::new(seed as u64);
        let case = Case::new(
            &model,
            "kind = 'importance'",
            rows(6, 2, columns, binary, &streams),
            seed as u64,
        );
        let decoder = case.model.decoder().expect("a decoder");
        let given = case.data.given.as_ref().map(Field::table);
        let given = given.as_ref();
        let count = given.map_or(1, Table::rows);
        let samples = 5;
        let cube = latin_hypercube(count * samples, decoder.uniforms(), &mut streams.named("cube").at(0));
        let points = decoder.points(&case.theta, given, &cube).expect("points");
        assert_eq!(points.dims(), [count, samples, 2]);
        let predicted = decoder.predict_at(&case.theta, given, &points);
        if binary {
            assert!(predicted.unwrap_err().to_string().contains("a Gaussian p(y|z)"));
            continue;
        }
        let predicted = predicted.expect("a mixture");
        let batch = case.batch().narrow(0, count).expect("rows");
        let joint = case.model.joint(&case.theta, &batch).expect("a joint");
        let terms = joint.terms(&Latents::Continuous(points)).expect("terms");
        let log: Vec<f64> = (0..count)
            .flat_map(|row| {
                let y = case.data.observed.row(row);
                let of = |k| predicted.component_log_prob(row, k, y);
                (0..samples).map(of).collect::<Vec<_>>()
            })
            .collect();
        close(&log, &numbers(&terms[1].1), 1e-9, &case.name);
        assert!((predicted.log_weights(0)[0] + (samples as f64).ln()).abs() < 1e-12);

        // Points at uniform numbers are draws from p(z).
        let many = 4000;
        let given = given.map(|given| Table::new(given.row(0).repeat(many), given.columns()));
        let batch = Batch {
            observed: Tensor::zeros((many, 2), DType::F64, &Device::Cpu).expect("rows"),
            ..case.batch().narrow(0, 1).expect("a row")
        };
        let batch = Batch {
            given: given
                .as_ref()
                .map(|given| Tensor::from_slice(given.values(), (many, given.columns()), &Device::Cpu).expect("rows")),
            ..batch
        };
        let joint = case.model.joint(&case.theta, &batch).expect("a joint");
        let latents = joint.sample_latents(20, &mut streams.named("z").at(0)).expect("draws");
        let Latents::Continuous(drawn) = latents else {
            panic!("a continuous latent")
        };
        let cube = latin_hypercube(many, decoder.uniforms(), &mut streams.named("cube").at(1));
        let placed = decoder.points(&case.theta, given.as_ref(), &cube).expect("points");
        let placed = numbers(&placed);
        for power in [1, 2] {
            for i in 0..2 {
                // Stratified points vary less than independent ones, so their mean counts as known.
                let mean = placed.chunks(2).map(|z| z[i].powi(power)).sum::<f64>() / (placed.len() / 2) as f64;
                let values: Vec<f64> = numbers(&drawn).chunks(2).map(|z| z[i].powi(power)).collect();
                let (found, error) = crate::continuous::case::mean_and_error(&values);
                let of_points = error * (values.len() as f64 / (placed.len() / 2) as f64).sqrt();
                assert!(
                    (found - mean).abs() < 6.0 * (error.hypot(of_points)),
                    "{}: {found} {mean}",
                    case.name
                );
            }
        }
    }
}
