//! The family `conjugate`: exact where its potentials are those of the emission, with draws of its density, and gradients.

use crate::sequences::case::{distance, norm};
use crate::sequences::neural_case::{LINEAR, Neural, amortised, everything, numbers};
use candle_core::{DType, Device, Tensor};
use latent_lab::math::streams::Streams;
use latent_lab::model::Latents;
use latent_lab::nn::Parameters;
use latent_lab::posterior::PosteriorConfig;

const CONJUGATE: &str = "family = 'conjugate'";

/// A network for the emission, and inputs in the transition.
const NONLINEAR: &str = "kind = 'neural_ssm'\nstates = 2\ntransition = { kind = 'linear' }\nemission = { kind = 'perceptron', hidden = [3] }";

/// log p of every sequence, by the Kalman filter.
fn exact(case: &Neural) -> Vec<f64> {
    let batch = case.batch();
    let joint = case.model.joint(&case.theta, &batch);
    numbers(&joint.and_then(|joint| joint.log_prob()).expect("values"))
}

/// With the potentials p(o_t | x_t) the bound is log p, sequence by sequence, without noise. Missing values and short
/// sequences have no such potential by a network, so all values are there.
#[test]
fn the_bound_is_exact_where_the_potentials_are_those_of_the_emission() {
    let model = LINEAR.replace("states = 2", "states = 1");
    let posterior: PosteriorConfig =
        toml::from_str("kind = 'amortised'\nhidden = []\nfamily = 'conjugate'").expect("a posterior");
    let data = "source = 'lgssm'\nlength = 6\ntrain = 40";
    let case = Neural::of_data(&model, posterior, data);
    let system = case.model.state_space(&case.theta).expect("numbers").expect("a system");
    let (slope, offset) = (system.emission[(0, 0)], system.emission_offset[0]);
    let deviation = system.emission_noise[(0, 0)].sqrt() / slope.abs();
    let observed: Vec<f64> = case.train.observed.column(0).collect();
    let mean = observed.iter().sum::<f64>() / observed.len() as f64;
    let scale = (observed.iter().map(|o| (o - mean).powi(2)).sum::<f64>() / observed.len() as f64).sqrt();
    let set = |name: &str, values: &[f64]| {
        let (_, var) = case
            .theta
            .iter()
            .find(|(other, _)| *other == name)
            .expect("a parameter");
        let values = Tensor::from_slice(values, var.shape(), &Device::Cpu).expect("a tensor");
        var.set(&values).expect("the same shape");
    };
    // m_t = (o_t − d) / c, and the floor of q's deviations is 10⁻⁴.
    set("posterior.log_scale", &[0.0]);
    set("posterior.head.0.weight", &[scale / slope, 0.0]);
    set(
        "posterior.head.0.bias",
        &[(mean - offset) / slope, (deviation - 1e-4).ln()],
    );
    let (exact, bound) = (exact(&case), numbers(&case.values(&case.theta, "kind = 'elbo'", 1)));
    assert!(distance(&exact, &bound) < 1e-8 * norm(&exact), "{exact:?} {bound:?}");
}

/// Draws have the density that is said of them, with values missing and sequences of several lengths: they are Gaussian,
/// and the divergence of the Gaussian with their moments from q is 0, for D numbers of a path up to √(D / 2S) of S draws.
#[test]
fn draws_have_the_density_of_the_distribution() {
    const DRAWS: usize = 20_000;
    let case = Neural::new(LINEAR, amortised(CONJUGATE));
    let batch = case.batch();
    let joint = case.model.joint(&case.theta, &batch).expect("a joint");
    let network = case.posterior.network().expect("a network");
    let q = network.recognition.apply(joint.as_ref(), &case.theta).expect("q");
    let generator = &mut Streams::new(9).named("draws").at(0);
    let (latents, log_q) = q.draw_with_log_prob(DRAWS, generator).expect("draws");
    let Latents::Paths(paths) = latents else {
        panic!("paths")
    };
    let log_q = log_q.expect("a density").to_vec2::<f64>().expect("numbers");
    let lengths = batch.lengths.as_deref().expect("sequences");
    assert!(lengths.iter().any(|length| *length != lengths[0]));
    for (b, length) in lengths.iter().enumerate() {
        let own = paths.get(b).and_then(|own| own.narrow(1, 0, *length));
        let own = numbers(&own.expect("paths of the sequence"));
        let dimensions = own.len() / DRAWS;
        let own = nalgebra::DMatrix::from_row_slice(DRAWS, dimensions, &own);
        let mean = own.row_mean();
        let centred = nalgebra::DMatrix::from_fn(DRAWS, dimensions, |i, j| own[(i, j)] - mean[j]);
        let covariance = centred.transpose() * &centred / DRAWS as f64;
        let factor = covariance.cholesky().expect("a covariance").l();
        let log_determinant: f64 = 2.0 * factor.diagonal().iter().map(|v| v.ln()).sum::<f64>();
        let entropy = 0.5 * (dimensions as f64 * (1.0 + (2.0 * std::f64::consts::PI).ln()) + log_determinant);
        let divergence = -entropy - log_q[b].iter().sum::<f64>() / DRAWS as f64;
        let error = (dimensions as f64 / (2.0 * DRAWS as f64)).sqrt();
        assert!(divergence.abs() < 5.0 * error, "{b}: {divergence} ± {error}");
    }
}

#[test]
fn its_gradients_are_those_of_finite_differences() {
    for model in [LINEAR, NONLINEAR] {
        let case = Neural::new(model, amortised(CONJUGATE));
        let (exact, differences) = (
            case.gradient("kind = 'elbo'", 1, everything),
            case.differences("kind = 'elbo'", 1),
        );
        let error = distance(&exact, &differences) / norm(&differences);
        assert!(error < 1e-6, "{model}: {error:e}");
    }
}

/// In single precision, where a first variance is large against the rest, a filter's differences would lose every digit.
#[test]
fn a_wide_first_state_keeps_single_precision_finite() {
    let model = LINEAR.replace("states = 2", "states = 2\ninitial_variances = { fixed = [1e7, 1e7] }");
    let case = Neural::new(&model, amortised(CONJUGATE));
    let mut theta = Parameters::new();
    for (name, var) in case.theta.iter() {
        let narrow = var.to_dtype(DType::F32).expect("single precision");
        theta.insert(name, &narrow).expect("a parameter");
    }
    let batch = latent_lab::data::Batch::whole(&case.train, DType::F32, &Device::Cpu).expect("a batch");
    let joint = case.model.joint(&theta, &batch).expect("a joint");
    let generator = &mut Streams::new(9).named("draws").at(0);
    let draws = case
        .posterior
        .draws(joint.as_ref(), &theta, 0, generator)
        .expect("draws");
    let log_q = numbers(draws.log_q().expect("a density"));
    let wide = numbers(&{
        let batch = case.batch();
        let joint = case.model.joint(&case.theta, &batch).expect("a joint");
        let generator = &mut Streams::new(9).named("draws").at(0);
        let draws = case
            .posterior
            .draws(joint.as_ref(), &case.theta, 0, generator)
            .expect("draws");
        draws.log_q().expect("a density").clone()
    });
    assert!(distance(&log_q, &wide) < 1e-4 * norm(&wide), "{log_q:?} {wide:?}");
}
