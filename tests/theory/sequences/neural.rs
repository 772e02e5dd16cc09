//! Neural state spaces: paths against the linear oracle, the families of q, filters, and gradients against differences.

use crate::sequences::case::{Case, assert_unbiased, distance, norm, splits};
use candle_core::{DType, Device, Tensor};
use latent_lab::data::{Batch, Dataset};
use latent_lab::math::streams::Streams;
use latent_lab::model::{Carried, Latents, Model, ModelConfig, Normal, Span};
use latent_lab::nn::{self, Parameters, backward};
use latent_lab::objective::ObjectiveConfig;
use latent_lab::posterior::{Distribution, PosteriorConfig};

const DATA: &str = "source = 'lgssm'\nlength = 6\ntrain = 40\nmissing = 0.2";

const LINEAR: &str =
    "kind = 'neural_ssm'\nstates = 2\ntransition = { kind = 'linear' }\nemission = { kind = 'linear' }";

/// Every form of transition and emission.
const MODELS: &[&str] = &[
    LINEAR,
    "kind = 'neural_ssm'\nstates = 2\ntransition = { kind = 'perceptron', hidden = [3] }\nemission = { kind = 'perceptron', \
     hidden = [3] }",
    "kind = 'neural_ssm'\nstates = 2\ntransition = { kind = 'perceptron', hidden = [3], residual = false }\n\
     transition_noise = 'state_dependent'\nemission_noise = 'state_dependent'",
    "kind = 'neural_ssm'\nstates = 2\ntransition = { kind = 'gated', hidden = [3], activation = 'tanh' }\nemission = { kind = 'linear' }",
    "kind = 'neural_ssm'\nstates = 2\ntransition = { kind = 'gated', hidden = [3], activation = 'tanh' }\ntransition_noise = 'state_dependent'",
    "kind = 'neural_ssm'\nstates = 2\ntransition = { kind = 'locally_linear', matrices = 3, hidden = [3] }",
    "kind = 'neural_ssm'\nstates = 2\ntransition = { kind = 'recurrent', units = 3, hidden = [3] }",
    "kind = 'neural_ssm'\nstates = 2\ntransition = { kind = 'recurrent', units = 3, hidden = [] }\n\
     transition_noise = 'state_dependent'\nemission.kind = 'linear'",
    "kind = 'neural_ssm'\nstates = 2\ntransition = { kind = 'formula', formulas = ['a * sin(x1) + u1', 'x2 * b + tanh(x1)'], \
     parameters = ['a', 'b'] }\nemission = { kind = 'formula', formulas = ['c * x1^2 + x2'], parameters = ['c'] }",
    "kind = 'neural_ssm'\nstates = 2\ntransition = { kind = 'locally_linear', matrices = 3, hidden = [3] }\n\
     transition_noise = 'state_dependent'",
];

/// Every family with what it may see.
const FAMILIES: &[&str] = &[
    "family = 'single_step'",
    "family = 'mean_field'\nsees = 'all'",
    "family = 'mean_field'\nsees = 'past'",
    "family = 'filtering'",
    "family = 'smoothing'\nsees = 'future'",
    "family = 'smoothing'\nsees = 'all'",
    "family = 'initial_only'",
    "family = 'transition_noise'",
    "family = 'transition_noise'\nsees = 'past'",
];

/// A model with initial values of θ and φ that are moved by noise, so that no gradient is zero by accident.
struct Neural {
    model: Box<dyn Model>,
    posterior: PosteriorConfig,
    train: Dataset,
    theta: Parameters,
}

fn amortised(family: &str) -> PosteriorConfig {
    let text = format!("kind = 'amortised'\nhidden = [3]\nrecurrent_units = 3\n{family}");
    toml::from_str(&text).expect("a posterior")
}

impl Neural {
    fn new(model: &str, posterior: PosteriorConfig) -> Self {
        let (train, streams) = (splits(DATA).train, Streams::new(3));
        let config: ModelConfig = toml::from_str(model).expect("a model");
        let model = config.build(&train).expect("a model");
        let (dtype, device) = (DType::F64, Device::Cpu);
        let mut theta = model
            .initial(&train, &streams, 0, dtype, &device)
            .expect("initial values");
        posterior
            .initial(model.as_ref(), &train, &streams, &mut theta)
            .expect("initial values");
        for (number, (_, var)) in theta.iter().enumerate() {
            let noise = latent_lab::nn::normal(streams.named("noise").at(number as u64), var.shape(), dtype, &device);
            let moved = (var.as_tensor() + (noise.expect("noise") * 0.1).expect("noise")).expect("a sum");
            var.set(&moved).expect("the same shape");
        }
        Self {
            model,
            posterior,
            train,
            theta,
        }
    }

    fn batch(&self) -> Batch {
        Batch::whole(&self.train, DType::F64, &Device::Cpu).expect("a batch")
    }

    /// The objective of every sequence, with the random numbers of `index`.
    fn values(&self, theta: &Parameters, objective: &str, index: u64) -> Tensor {
        let objective: ObjectiveConfig = toml::from_str(objective).expect("an objective");
        let batch = self.batch();
        let joint = self.model.joint(theta, &batch).expect("a joint");
        let generator = &mut Streams::new(9).named("draws").at(index);
        let draws = || self.posterior.draws(joint.as_ref(), theta, 0, generator);
        objective.value(joint.as_ref(), 0, draws).expect("values")
    }

    fn mean(&self, theta: &Parameters, objective: &str, index: u64) -> f64 {
        let values = self.values(theta, objective, index).to_vec1::<f64>().expect("numbers");
        values.iter().sum::<f64>() / values.len() as f64
    }

    /// The gradient of the mean in all parameters of which `is_asked`.
    fn gradient(&self, objective: &str, index: u64, is_asked: fn(&str) -> bool) -> Vec<f64> {
        let mean = self.values(&self.theta, objective, index).mean(0).expect("a mean");
        let gradients = backward(&mean).expect("gradients");
        let asked = self.theta.iter().filter(|(name, _)| is_asked(name));
        asked
            .flat_map(|(_, var)| match gradients.get(var) {
                Some(gradient) => gradient
                    .flatten_all()
                    .and_then(|g| g.to_vec1::<f64>())
                    .expect("numbers"),
                None => vec![0.0; var.elem_count()],
            })
            .collect()
    }

    /// The same by central differences.
    fn differences(&self, objective: &str, index: u64) -> Vec<f64> {
        let mut all = Vec::new();
        for (name, var) in self.theta.iter() {
            for i in 0..var.elem_count() {
                let nudged = |amount: f64| {
                    let theta = self.theta.snapshot().expect("a copy");
                    let (_, var) = theta.iter().find(|(other, _)| *other == name).expect("a parameter");
                    let mut values = var.flatten_all().and_then(|v| v.to_vec1::<f64>()).expect("numbers");
                    values[i] += amount;
                    var.set(&Tensor::from_vec(values, var.shape(), &Device::Cpu).expect("a tensor"))
                        .expect("the same shape");
                    self.mean(&theta, objective, index)
                };
                all.push((nudged(1e-6) - nudged(-1e-6)) / 2e-6);
            }
        }
        all
    }
}

fn numbers(tensor: &Tensor) -> Vec<f64> {
    let flat = tensor.to_dtype(DType::F64).and_then(|tensor| tensor.flatten_all());
    flat.and_then(|flat| flat.to_vec1()).expect("numbers")
}

fn everything(_: &str) -> bool {
    true
}

fn is_of_the_model(name: &str) -> bool {
    !name.starts_with("posterior.")
}

#[test]
fn gradients_of_every_family_are_those_of_finite_differences() {
    for family in FAMILIES {
        let case = Neural::new(MODELS[1], amortised(family));
        let (exact, differences) = (
            case.gradient("kind = 'elbo'", 1, everything),
            case.differences("kind = 'elbo'", 1),
        );
        let error = distance(&exact, &differences) / norm(&differences);
        assert!(error < 1e-6, "{family}: {error:e}");
    }
}

#[test]
fn gradients_of_every_transition_are_those_of_finite_differences() {
    for model in MODELS {
        let case = Neural::new(model, amortised("family = 'transition_noise'"));
        let (exact, differences) = (
            case.gradient("kind = 'elbo'", 1, everything),
            case.differences("kind = 'elbo'", 1),
        );
        let error = distance(&exact, &differences) / norm(&differences);
        assert!(error < 1e-6, "{model}: {error:e}");
    }
}

/// The linear model's joint at a path, drawn by the exact posterior, is that of the closed form at the same path.
#[test]
fn paths_and_beliefs_have_the_same_density_in_a_linear_model() {
    let case = Neural::new(
        LINEAR,
        toml::from_str("kind = 'sampled'\nsamples = 3").expect("a posterior"),
    );
    let batch = case.batch();
    let joint = case.model.joint(&case.theta, &batch).expect("a joint");
    let generator = &mut Streams::new(4).named("paths").at(0);
    let paths = joint.sample_latents(1, generator).expect("paths");
    let Latents::Paths(x) = &paths else { panic!("paths") };
    let system = case.model.state_space(&case.theta).expect("numbers").expect("a system");
    let values = numbers(&joint.log_joint(&paths).expect("values"));
    let (x, lengths) = (
        x.squeeze(1).expect("one sample").to_vec3::<f64>().expect("numbers"),
        &case.train.lengths,
    );
    let lengths = lengths.as_ref().expect("sequences");
    let inputs = case.train.given.as_ref().expect("inputs");
    let gauss =
        |error: f64, variance: f64| -0.5 * (error * error / variance + (2.0 * std::f64::consts::PI * variance).ln());
    let mut row = 0;
    for (b, length) in lengths.iter().enumerate() {
        let mut sum = 0.0;
        for t in 0..*length {
            let now = nalgebra::DVector::from_row_slice(&x[b][t]);
            let (mean, covariance) = match t {
                0 => (system.initial_mean.clone(), &system.initial_covariance),
                _ => {
                    let before = nalgebra::DVector::from_row_slice(&x[b][t - 1]);
                    let u = nalgebra::DVector::from_element(1, inputs.value(row - 1, 0));
                    let mean = &system.transition * before + &system.transition_input * u + &system.transition_offset;
                    (mean, &system.transition_noise)
                }
            };
            sum += (0..2).map(|d| gauss(now[d] - mean[d], covariance[(d, d)])).sum::<f64>();
            let observed = case.train.observed.value(row, 0);
            if !observed.is_nan() {
                let mean = (&system.emission * &now + &system.emission_offset)[0];
                sum += gauss(observed - mean, system.emission_noise[(0, 0)]);
            }
            row += 1;
        }
        assert!((sum - values[b]).abs() < 1e-8, "sequence {b}: {sum} {}", values[b]);
    }
}

#[test]
fn the_bound_of_the_exact_smoother_is_the_log_likelihood() {
    let case = Neural::new(LINEAR, toml::from_str("kind = 'exact'").expect("a posterior"));
    let batch = case.batch();
    let exact = numbers(
        &case
            .model
            .joint(&case.theta, &batch)
            .and_then(|joint| joint.log_prob())
            .expect("values"),
    );
    let bound = numbers(&case.values(&case.theta, "kind = 'elbo'", 0));
    assert!(distance(&exact, &bound) < 1e-8, "{exact:?} {bound:?}");
    let gradients =
        ["elbo", "marginal_likelihood"].map(|kind| case.gradient(&format!("kind = '{kind}'"), 0, everything));
    assert!(distance(&gradients[0], &gradients[1]) < 1e-8 * norm(&gradients[1]));
}

#[test]
fn the_bounds_of_every_family_lie_below_the_log_likelihood() {
    for family in FAMILIES {
        let case = Neural::new(LINEAR, amortised(family));
        let batch = case.batch();
        let exact = numbers(
            &case
                .model
                .joint(&case.theta, &batch)
                .and_then(|joint| joint.log_prob())
                .expect("values"),
        );
        let exact = exact.iter().sum::<f64>() / exact.len() as f64;
        let estimates: Vec<f64> = (0..200)
            .map(|index| case.mean(&case.theta, "kind = 'elbo'", index))
            .collect();
        let mean = estimates.iter().sum::<f64>() / 200.0;
        let variance = estimates.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 199.0;
        let error = (variance / 200.0).sqrt();
        assert!(mean < exact + 6.0 * error, "{family}: {mean} ± {error} {exact}");
        assert!(mean.is_finite() && error > 0.0);
    }
}

#[test]
fn the_importance_weighted_bound_of_one_path_is_the_lower_bound() {
    for family in FAMILIES {
        let case = Neural::new(MODELS[1], amortised(family));
        let [iwae, elbo] =
            ["iwae", "elbo"].map(|kind| numbers(&case.values(&case.theta, &format!("kind = '{kind}'"), 2)));
        assert!(distance(&iwae, &elbo) < 1e-9, "{family}: {iwae:?} {elbo:?}");
    }
}

#[test]
fn the_gradient_of_theta_is_that_of_the_lower_bound() {
    // Of families whose q has no parameter of the model.
    for family in &FAMILIES[..6] {
        let case = Neural::new(MODELS[1], amortised(family));
        let [joint, bound] = ["expected_log_likelihood", "elbo"]
            .map(|kind| case.gradient(&format!("kind = '{kind}'"), 2, is_of_the_model));
        // The reparameterised path depends on φ alone, so θ has the same gradient.
        assert!(distance(&joint, &bound) < 1e-9 * norm(&bound), "{family}");
    }
}

/// log p̂ of the particle filter: without resampling the bound of as many paths, and unbiased with it.
#[test]
fn filters_without_resampling_are_importance_weighted_bounds() {
    let never = "kind = 'fivo'\nparticles = 50\nresample_below = 0.0";
    for family in [
        "family = 'filtering'",
        "family = 'smoothing'",
        "family = 'transition_noise'",
    ] {
        let case = Neural::new(LINEAR, amortised(family));
        let posterior = format!("kind = 'amortised'\nhidden = [3]\nrecurrent_units = 3\nsamples = 50\n{family}");
        let many = Neural {
            posterior: toml::from_str(&posterior).expect("a posterior"),
            ..Neural::new(LINEAR, amortised(family))
        };
        let estimates = |case: &Neural, objective: &str| -> Vec<Vec<f64>> {
            let one = |index| numbers(&case.values(&case.theta, objective, index));
            (0..300).map(one).collect()
        };
        let mean = |all: &[Vec<f64>]| -> Vec<f64> {
            let sequences = all[0].len();
            (0..sequences)
                .map(|b| all.iter().map(|one| one[b]).sum::<f64>() / all.len() as f64)
                .collect()
        };
        let (filters, bounds) = (estimates(&case, never), estimates(&many, "kind = 'iwae'"));
        // Both means have errors: √2 of one.
        assert_unbiased(&filters, &mean(&bounds), 0.01, family);
    }
}

#[test]
fn the_estimates_of_filters_are_unbiased_on_the_scale_of_the_likelihood() {
    let one = LINEAR.replace("states = 2", "states = 1");
    let proposals = [
        (LINEAR, "kind = 'prior'", 0.5),
        (LINEAR, "kind = 'prior'", 1.0),
        (one.as_str(), "kind = 'locally_optimal'", 0.5),
        (
            LINEAR,
            "kind = 'amortised'\nfamily = 'transition_noise'\nhidden = []\nrecurrent_units = 2",
            0.5,
        ),
    ];
    for (model, posterior, below) in proposals {
        let case = Neural::new(model, toml::from_str(posterior).expect("a posterior"));
        let batch = case.batch();
        let exact = numbers(
            &case
                .model
                .joint(&case.theta, &batch)
                .and_then(|joint| joint.log_prob())
                .expect("values"),
        );
        let objective = format!("kind = 'fivo'\nparticles = 64\nresample_below = {below}");
        let ratios: Vec<Vec<f64>> = (0..300)
            .map(|index| {
                let logs = numbers(&case.values(&case.theta, &objective, index));
                logs.iter()
                    .zip(&exact)
                    .map(|(log, exact)| (log - exact).exp())
                    .collect()
            })
            .collect();
        assert_unbiased(&ratios, &vec![1.0; exact.len()], 0.0, posterior);
    }
}

#[test]
fn the_gradient_of_a_filter_is_that_of_finite_differences() {
    // Of a filter that never resamples: ancestors jump with the parameters.
    let objective = "kind = 'fivo'\nparticles = 3\nresample_below = 0.0";
    let case = Neural::new(MODELS[1], amortised("family = 'filtering'"));
    let (exact, differences) = (case.gradient(objective, 1, everything), case.differences(objective, 1));
    assert!(distance(&exact, &differences) < 1e-6 * norm(&differences));
}

/// The score of the ancestors makes the gradient that of the expected value.
#[test]
fn the_score_of_the_ancestors_removes_the_bias_of_the_gradient() {
    let case = Neural::new(
        LINEAR,
        toml::from_str("kind = 'prior'\nsamples = 1").expect("a posterior"),
    );
    let objective = |gradient: &str| {
        format!("kind = 'fivo'\nparticles = 2\nresample_below = 1.0\nancestor_gradient = '{gradient}'")
    };
    let name = "emission.raw";
    let is_asked: fn(&str) -> bool = |other| other == "emission.raw";
    let step = 0.05;
    let count = 1000;
    let difference = |index: u64| {
        let nudged = |amount: f64| {
            let theta = case.theta.snapshot().expect("a copy");
            let (_, var) = theta.iter().find(|(other, _)| *other == name).expect("a parameter");
            var.set(&(var.as_tensor() + amount).expect("a sum"))
                .expect("the same shape");
            case.mean(&theta, &objective("none"), index)
        };
        (nudged(step) - nudged(-step)) / (2.0 * step)
    };
    let differences: Vec<f64> = (0..count).map(difference).collect();
    let exact = differences.iter().sum::<f64>() / f64::from(count as u32);
    let scored: Vec<Vec<f64>> = (count..3 * count)
        .map(|index| case.gradient(&objective("score"), index, is_asked))
        .collect();
    assert_unbiased(&scored, &[exact], 0.03, "with the score");
}

/// Beside longer sequences a sequence is padded, which changes nothing of its density.
#[test]
fn padding_changes_no_density() {
    for model in [LINEAR, MODELS[1]] {
        let case = Neural::new(model, amortised("family = 'smoothing'"));
        let both = case
            .batch()
            .select(&Tensor::new(&[6u32, 0], &Device::Cpu).expect("numbers"));
        let both = both.expect("a shorter and a longer sequence");
        assert_eq!(both.lengths.as_deref(), Some(&[4, 6][..]));
        let among = case.model.joint(&case.theta, &both).expect("a joint");
        let one = both.narrow(0, 1).expect("the shorter sequence");
        let alone = case.model.joint(&case.theta, &one).expect("a joint");
        let generator = &mut Streams::new(2).named("paths").at(0);
        let Latents::Paths(paths) = among.sample_latents(1, generator).expect("paths") else {
            panic!("paths")
        };
        let own = paths
            .narrow(0, 0, 1)
            .and_then(|path| path.narrow(2, 0, 4)?.contiguous());
        let own = Latents::Paths(own.expect("the path of the shorter sequence"));
        let alone = numbers(&alone.log_joint(&own).expect("values"))[0];
        let among = numbers(&among.log_joint(&Latents::Paths(paths)).expect("values"))[0];
        assert!((alone - among).abs() < 1e-9, "{model}: {alone} {among}");
    }
}

#[test]
fn the_density_of_draws_is_that_of_the_distribution_that_they_carry() {
    for family in FAMILIES {
        let case = Neural::new(LINEAR, amortised(family));
        let batch = case.batch();
        let joint = case.model.joint(&case.theta, &batch).expect("a joint");
        let posterior = format!("kind = 'amortised'\nhidden = [3]\nrecurrent_units = 3\nsamples = 5\n{family}");
        let posterior: PosteriorConfig = toml::from_str(&posterior).expect("a posterior");
        let generator = &mut Streams::new(5).named("draws").at(0);
        let draws = posterior
            .draws(joint.as_ref(), &case.theta, 0, generator)
            .expect("draws");
        let q: &dyn Distribution = draws.q.as_deref().expect("a distribution");
        let again = q.log_prob(&draws.latents).expect("values").expect("a density");
        assert!(distance(&numbers(&again), &numbers(draws.log_q().expect("values"))) < 1e-6);
    }
}

#[test]
fn a_case_of_sequences_is_trained_by_the_objectives_without_a_change() {
    // The same objectives as for rows, on the same joint: their values differ as the theory says.
    let case = Neural::new(LINEAR, amortised("family = 'smoothing'"));
    let mean = |objective: &str| {
        (0..50)
            .map(|index| case.mean(&case.theta, objective, index))
            .sum::<f64>()
            / 50.0
    };
    let (plain, weighted) = (mean("kind = 'elbo'"), mean("kind = 'elbo'\nbeta = 2.0"));
    assert!(weighted < plain, "KL(q ‖ p) is positive: {plain} {weighted}");
    let exact = Case::new((LINEAR, DATA));
    let batch = exact.batch();
    let likelihood = |theta: &Parameters| {
        let joint = exact.model.joint(theta, &batch).expect("a joint");
        let mean = batch.mean(&joint.log_prob().expect("values")).expect("a mean");
        mean.to_scalar::<f64>().expect("a number")
    };
    let slopes = exact.slopes(1e-5, &likelihood);
    let gradient = &exact.ascend("marginal_likelihood", "'exact'", 0)[1..];
    assert!(
        distance(gradient, &slopes) < 1e-6 * norm(&slopes),
        "{gradient:?} {slopes:?}"
    );
}

/// A linear system written as formulas is the same state space: its particles come to the exact log-likelihood, and its
/// one-step predictions to the Kalman filter's.
#[test]
fn formulas_of_a_linear_system_have_its_likelihood_and_its_predictions() {
    let fixed = "initial_variances = { fixed = [2.0] }\ntransition_variances = { fixed = [2.0] }\nemission_variances = { fixed = [4.0] }";
    let linear = format!(
        "kind = 'neural_ssm'\nstates = 1\n{fixed}\ntransition = {{ kind = 'linear', matrix = {{ fixed = [[0.8]] }}, \
         input = {{ fixed = [[0.5]] }}, offset = {{ fixed = [0.1]}} }}\n\
         emission = {{ kind = 'linear', matrix = {{ fixed = [[1.5]] }}, offset = {{ fixed = [0.2] }} }}\n\
         initial_mean = {{ fixed = [0.0] }}"
    );
    let formulas = format!(
        "kind = 'neural_ssm'\nstates = 1\nlikelihood_particles = 4000\n{fixed}\ninitial_mean = {{ fixed = [0.0] }}\n\
         transition = {{ kind = 'formula', formulas = ['a * x1 + 0.5 * u1 + 0.1'], parameters = ['a'], values = {{ fixed = [0.8] }} }}\n\
         emission = {{ kind = 'formula', formulas = ['1.5 * x1 + 0.2'] }}"
    );
    let posterior = || toml::from_str::<PosteriorConfig>("kind = 'prior'").expect("a posterior");
    let (exact, particles) = (Neural::new(&linear, posterior()), Neural::new(&formulas, posterior()));
    let numbers_of = Streams::new(7).named("likelihood");
    let batch = exact.batch();
    let joint = exact.model.joint(&exact.theta, &batch).expect("a joint");
    let exact_values = numbers(&joint.log_prob().expect("values"));
    let joint = particles.model.joint(&particles.theta, &batch).expect("a joint");
    let estimates = joint
        .estimates()
        .expect("estimates")
        .log_prob_estimates(&numbers_of)
        .expect("estimates");
    for (b, exact) in exact_values.iter().enumerate() {
        let mean = estimates.iter().map(|one| one[b]).sum::<f64>() / estimates.len() as f64;
        assert!((mean - exact).abs() < 0.05, "sequence {b}: {mean} {exact}");
    }
    let sequences = particles.train.sequences().expect("sequences");
    let expected = |case: &Neural| {
        let predictor = case
            .model
            .predictor(&case.theta)
            .expect("a predictor")
            .expect("a predictor");
        let horizons = [latent_lab::math::kalman::Horizon::Steps(1)];
        predictor
            .expected(&sequences, &horizons, &numbers_of)
            .expect("predictions")
            .remove(0)
    };
    for (exact, estimate) in expected(&exact).concat().iter().zip(expected(&particles).concat()) {
        assert!((exact - estimate).abs() < 0.1, "{exact} {estimate}");
    }
}

/// Simulated trajectories of a nonlinear model: their expected log-density has the gradient of finite differences.
#[test]
fn particles_of_a_nonlinear_model_are_evaluated_as_paths() {
    let posterior = "kind = 'particle'\nparticles = 30\nsamples = 2";
    let case = Neural::new(MODELS[1], toml::from_str(posterior).expect("a posterior"));
    let batch = case.batch();
    let joint = case.model.joint(&case.theta, &batch).expect("a joint");
    let generator = &mut Streams::new(9).named("draws").at(0);
    let draws = case
        .posterior
        .draws(joint.as_ref(), &case.theta, 0, generator)
        .expect("draws");
    let Latents::Trajectories(beliefs) = &draws.latents else {
        panic!("trajectories")
    };
    let values = numbers(&joint.log_joint(&draws.latents).expect("values"));
    let sequences = case.train.sequences().expect("sequences");
    let longest = sequences.lengths().iter().max().copied().expect("sequences");
    let mut paths = vec![0.0; sequences.count() * 2 * longest * 2];
    for i in 0..sequences.count() {
        for s in 0..2 {
            for t in 0..sequences.lengths()[i] {
                let at = ((i * 2 + s) * longest + t) * 2;
                paths[at..at + 2].copy_from_slice(beliefs[s].mean(&sequences, i, t).as_slice());
            }
        }
    }
    let paths = Tensor::from_vec(paths, (sequences.count(), 2, longest, 2), &Device::Cpu).expect("paths");
    let again = numbers(&joint.log_joint(&Latents::Paths(paths)).expect("values"));
    assert!(distance(&values, &again) < 1e-9 && values.iter().all(|v| v.is_finite()));
}

/// A linear system written as formulas is not known to be linear: the approximate smoothers linearise it without an error,
/// so that their bounds are its exact log-likelihood, with the gradient of it.
#[test]
fn approximate_smoothers_of_linear_formulas_are_exact() {
    let given = |formulas: bool| {
        let [transition, emission] = match formulas {
            true => [
                "{ kind = 'formula', formulas = ['0.8 * x1 + 0.3 * x2 + 0.5 * u1 + 0.1', '0.6 * x2 - 0.2 * x1'] }",
                "{ kind = 'formula', formulas = ['1.5 * x1 - 0.4 * x2 + 0.2'] }",
            ],
            false => [
                "{ kind = 'linear', matrix = { fixed = [[0.8, 0.3], [-0.2, 0.6]] }, input = { fixed = [[0.5], [0.0]] }, \
                 offset = { fixed = [0.1, 0.0] } }",
                "{ kind = 'linear', matrix = { fixed = [[1.5, -0.4]] }, offset = { fixed = [0.2] } }",
            ],
        };
        format!("kind = 'neural_ssm'\nstates = 2\ntransition = {transition}\nemission = {emission}")
    };
    let exact = Neural::new(&given(false), toml::from_str("kind = 'exact'").expect("a posterior"));
    let bound = exact.mean(&exact.theta, "kind = 'elbo'", 0);
    let gradient = exact.gradient("kind = 'elbo'", 0, everything);
    for kind in ["extended_kalman", "unscented_kalman"] {
        let posterior = toml::from_str(&format!("kind = '{kind}'")).expect("a posterior");
        let own = Neural::new(&given(true), posterior);
        let value = own.mean(&own.theta, "kind = 'elbo'", 0);
        assert!((value - bound).abs() < 1e-7 * bound.abs(), "{kind}: {value} {bound}");
        let own = own.gradient("kind = 'elbo'", 0, everything);
        assert!(
            distance(&own, &gradient) < 1e-6 * norm(&gradient),
            "{kind}: {own:?} {gradient:?}"
        );
    }
}

/// The additions to the bound are differentiable, with and without a deterministic part, and for chains and independent steps.
#[test]
fn gradients_of_additions_are_those_of_finite_differences() {
    let objectives = [
        "kind = 'elbo'\nconsistency = 0.7",
        "kind = 'elbo'\ncurvature = { weight = 2.0, deviation = 0.5 }\nfree_nats_per_step = 0.05",
    ];
    let pairs = [
        (1, "family = 'smoothing'"),
        (6, "family = 'mean_field'"),
        (3, "family = 'transition_noise'"),
    ];
    for (model, family) in pairs {
        let case = Neural::new(MODELS[model], amortised(family));
        for objective in objectives {
            let (exact, differences) = (case.gradient(objective, 0, everything), case.differences(objective, 0));
            let apart = distance(&exact, &differences) / norm(&differences);
            assert!(apart < 1e-6, "{model} {family} {objective}: {apart}");
        }
    }
}

/// Overshooting gives q no gradient as a target: its gradient of θ alone is that of finite differences in a chain whose q does
/// not depend on the states.
#[test]
fn overshooting_trains_the_transition() {
    let case = Neural::new(MODELS[1], amortised("family = 'single_step'"));
    let (plain, over) = (
        "kind = 'elbo'",
        "kind = 'elbo'\novershooting = { steps = 4, weight = 1.5 }",
    );
    let penalty = case.mean(&case.theta, plain, 0) - case.mean(&case.theta, over, 0);
    assert!(penalty > 0.0, "{penalty}");
    let exact = case.gradient(over, 0, is_of_the_model);
    let own: Vec<bool> = case
        .theta
        .iter()
        .flat_map(|(name, var)| std::iter::repeat_n(is_of_the_model(name), var.elem_count()))
        .collect();
    let differences = case.differences(over, 0).into_iter().zip(own);
    let differences: Vec<f64> = differences.filter(|(_, own)| *own).map(|(slope, _)| slope).collect();
    let apart = distance(&exact, &differences) / norm(&differences);
    assert!(apart < 1e-6, "{apart}");
}

/// Where an addition has nothing to correct, it is 0.
#[test]
fn additions_are_zero_where_they_should_be() {
    let same = |model: &str, family: &str, addition: &str| {
        let case = Neural::new(model, amortised(family));
        let bounds = ["kind = 'elbo'".to_owned(), format!("kind = 'elbo'\n{addition}")]
            .map(|objective| case.mean(&case.theta, &objective, 0));
        assert!((bounds[0] - bounds[1]).abs() < 1e-9, "{family} {addition}: {bounds:?}");
    };
    same(
        LINEAR,
        "family = 'smoothing'",
        "curvature = { weight = 3.0, deviation = 0.5 }",
    );
    same(MODELS[1], "family = 'initial_only'", "consistency = 2.0");
}

/// The divergences of single steps, in closed form, have the mean of log q − log p over draws.
#[test]
fn divergences_of_steps_sum_to_the_divergence_of_paths() {
    for (model, family) in [(1, "family = 'smoothing'"), (6, "family = 'mean_field'")] {
        let case = Neural::new(MODELS[model], amortised(family));
        // With free nats below every divergence, the bound is the same but for its noise.
        let means = [
            "kind = 'elbo'\nbeta = 0.999999",
            "kind = 'elbo'\nbeta = 0.999999\nfree_nats_per_step = 1e-9",
            "kind = 'elbo'\nbeta = 0.0",
        ]
        .map(|objective| {
            (0..200)
                .map(|index| case.mean(&case.theta, objective, index))
                .collect::<Vec<f64>>()
        });
        let apart: Vec<f64> = means[0].iter().zip(&means[1]).map(|(a, b)| a - b).collect();
        let mean = apart.iter().sum::<f64>() / 200.0;
        let error = (apart.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 199.0 / 200.0).sqrt();
        let divergence = means[2].iter().zip(&means[0]).map(|(a, b)| a - b).sum::<f64>() / 200.0;
        let is_same = mean.abs() < 4.0 * error && error < 0.05 * divergence;
        assert!(is_same, "{family}: {mean} ± {error} of {divergence}");
    }
}

/// What is carried from step to step is all that the later steps need: two halves, the second begun with what the first
/// carried, have together the density of the whole.
#[test]
fn a_sequence_cut_in_two_is_the_whole() {
    for model in MODELS {
        let case = Neural::new(model, amortised("family = 'smoothing'"));
        let batch = case.batch();
        let joint = case.model.joint(&case.theta, &batch).expect("a joint");
        let generator = &mut Streams::new(5).named("paths").at(0);
        let ancestral = joint.ancestral().expect("samples");
        let latents = ancestral.sample_latents(1, generator).expect("paths");
        let Latents::Paths(paths) = &latents else {
            panic!("paths")
        };
        let whole = numbers(&joint.log_joint(&latents).expect("values"));
        let chain = joint.sequential().expect("paths of states");
        let (b, steps) = chain.steps().dims();
        let state = |t: usize| {
            let state = paths.narrow(2, t, 1).and_then(|state| state.reshape((b, 2)));
            state.and_then(|state| state.contiguous()).expect("states")
        };
        let is_there = |t: usize| {
            chain
                .steps()
                .lengths
                .iter()
                .map(move |&length| f64::from(u8::from(t < length)))
        };
        let mut sums = vec![0.0; b];
        let mut add = |values: Vec<f64>, t: usize| {
            let own = values.into_iter().zip(is_there(t));
            sums.iter_mut()
                .zip(own)
                .for_each(|(sum, (value, there))| *sum += value * there);
        };
        let mut carried = chain.begin(state(0)).expect("the first step");
        let initial = chain.initial().and_then(|normal| normal.log_prob(&state(0)));
        add(numbers(&initial.expect("values")), 0);
        add(numbers(&chain.emission(0, &carried).expect("values")), 0);
        for half in [1..steps / 2, steps / 2..steps] {
            for t in half {
                let (next, deterministic) = chain.transition(t - 1, &carried).expect("a transition");
                add(numbers(&next.log_prob(&state(t)).expect("values")), t);
                carried.state = state(t);
                carried.deterministic = deterministic;
                add(numbers(&chain.emission(t, &carried).expect("values")), t);
            }
        }
        assert!(
            distance(&sums, &whole) < 1e-9 * norm(&whole),
            "{model}: {sums:?} {whole:?}"
        );
    }
}

/// Paths `[B, S, T, X]` and log q `[B, S]` of draws.
fn drawn(case: &Neural, samples: usize) -> (Tensor, Tensor) {
    let batch = case.batch();
    let joint = case.model.joint(&case.theta, &batch).expect("a joint");
    let network = case.posterior.network().expect("a network");
    let q = network.recognition.apply(joint.as_ref(), &case.theta).expect("q");
    let generator = &mut Streams::new(5).named("draws").at(0);
    let (latents, log_q) = q.draw_with_log_prob(samples, generator).expect("draws");
    let Latents::Paths(paths) = latents else {
        panic!("paths")
    };
    (paths, log_q.expect("a density"))
}

/// The same, one state after another, as a particle filter moves its particles.
fn stepwise(case: &Neural, samples: usize) -> latent_lab::Result<(Tensor, Tensor)> {
    let batch = case.batch();
    let joint = case.model.joint(&case.theta, &batch)?;
    let network = case.posterior.network().expect("a network");
    let q = network.recognition.apply(joint.as_ref(), &case.theta)?;
    let (model, proposal) = (joint.sequential().expect("states"), q.proposal().expect("a proposal"));
    let ((b, steps), x) = (model.steps().dims(), model.states());
    let rows = b * samples;
    let generator = &mut Streams::new(5).named("draws").at(0);
    let mut carried: Option<Carried> = None;
    let (mut path, mut logs) = (Vec::new(), Vec::new());
    for t in 0..steps {
        let (prior, deterministic): (Normal, _) = match &carried {
            None => (model.initial()?.broadcast(rows)?, None),
            Some(before) => model.transition(t - 1, before)?,
        };
        let before = carried.as_ref().map(|before| &before.state);
        let q = proposal.propose(Span::step(t, samples), before, Some(&prior))?;
        let q = q.unwrap_or(prior);
        let state = q.draw(&nn::normal(&mut *generator, (rows, x), DType::F64, &Device::Cpu)?)?;
        logs.push(q.log_prob(&state)?);
        path.push(state.clone());
        carried = Some(match t {
            0 => model.begin(state)?,
            _ => Carried { state, deterministic },
        });
    }
    let mut logs = Tensor::stack(&logs, 1)?.reshape((b, samples, steps))?;
    if let Some(mask) = &model.steps().mask {
        logs = logs.broadcast_mul(&mask.unsqueeze(1)?)?;
    }
    Ok((Tensor::stack(&path, 1)?.reshape((b, samples, steps, x))?, logs.sum(2)?))
}

/// Paths and log q of sequences of several lengths, and their gradients, are those of one state after another, whether all
/// steps are one operation or not.
#[test]
fn paths_are_those_of_one_state_after_another() {
    let posterior = |hidden: &str, family: &str| {
        let text = format!("kind = 'amortised'\nhidden = {hidden}\nrecurrent_units = 3\n{family}");
        toml::from_str::<PosteriorConfig>(&text).expect("a posterior")
    };
    // Independent steps draw sequence by sequence, so their numbers are others.
    let families = &FAMILIES[3..];
    let mut cases: Vec<(&str, &str, &str)> = Vec::new();
    for family in families {
        cases.extend(["[]", "[3]\nactivation = 'relu'", "[3, 2]"].map(|hidden| (MODELS[1], hidden, *family)));
        cases.extend(MODELS.iter().map(|model| (*model, "[3]", *family)));
        cases.push((LINEAR, "[]", family));
    }
    for (model, hidden, family) in cases {
        let case = Neural::new(model, posterior(hidden, family));
        assert!(
            case.batch()
                .lengths
                .is_some_and(|lengths| lengths.iter().any(|l| *l != lengths[0]))
        );
        let weigh = |(paths, log_q): (Tensor, Tensor)| -> latent_lab::Result<(Vec<f64>, Vec<f64>)> {
            let weights = nn::normal(
                Streams::new(6).named("weights").at(0),
                paths.shape(),
                DType::F64,
                &Device::Cpu,
            )?;
            let gradients = backward(&((&paths * weights)?.sum_all()? + log_q.sum_all()?)?)?;
            let gradients = case.theta.iter().flat_map(|(_, var)| match gradients.get(var) {
                Some(gradient) => numbers(gradient),
                None => vec![0.0; var.elem_count()],
            });
            Ok(([numbers(&paths), numbers(&log_q)].concat(), gradients.collect()))
        };
        let fused = weigh(drawn(&case, 2)).expect("gradients");
        let composed = weigh(stepwise(&case, 2).expect("paths")).expect("gradients");
        let what = format!("{model}\n{family}, hidden {hidden}");
        assert!(distance(&fused.0, &composed.0) < 1e-10 * norm(&composed.0), "{what}");
        assert!(
            distance(&fused.1, &composed.1) < 1e-9 * norm(&composed.1),
            "{what}, gradients"
        );
        let batch = case.batch();
        let joint = case.model.joint(&case.theta, &batch).expect("a joint");
        let (paths, log_q) = drawn(&case, 2);
        let again = case
            .posterior
            .log_q(joint.as_ref(), &case.theta, &Latents::Paths(paths))
            .expect("a density");
        assert!(
            distance(&numbers(&again), &numbers(&log_q)) < 1e-8 * norm(&numbers(&log_q)),
            "{what}, log q"
        );
    }
}
