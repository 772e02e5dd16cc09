//! Paths of a neural state space: padding, cuts, densities of draws, and one operation against one state after another.

use crate::sequences::case::{distance, norm};
use crate::sequences::neural_case::{FAMILIES, LINEAR, MODELS, Neural, amortised, numbers};
use candle_core::{DType, Device, Tensor};
use latent_lab::math::streams::Streams;
use latent_lab::model::{Carried, Latents, Normal, Span};
use latent_lab::nn::{self, backward};
use latent_lab::posterior::{Distribution, PosteriorConfig};

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

/// Means in closed form are those of draws, within six standard errors; families whose steps depend on each other have none,
/// but for the one whose posterior is that of a linear model.
#[test]
fn means_of_states_in_closed_form_are_those_of_draws() {
    const DRAWS: usize = 4000;
    for family in FAMILIES.iter().chain(&["family = 'conjugate'"]) {
        let case = Neural::new(LINEAR, amortised(family));
        let batch = case.batch();
        let joint = case.model.joint(&case.theta, &batch).expect("a joint");
        let network = case.posterior.network().expect("a network");
        let q = network.recognition.apply(joint.as_ref(), &case.theta).expect("q");
        let is_known = ["single_step", "mean_field", "conjugate"]
            .iter()
            .any(|name| family.contains(name));
        let means = q.state_means().expect("means");
        assert_eq!(means.is_some(), is_known, "{family}");
        let Some(means) = means else { continue };
        let Latents::Paths(paths) = q.draw(DRAWS, &mut Streams::new(9).named("draws").at(0)).expect("draws") else {
            panic!("paths")
        };
        let lengths = batch.lengths.as_deref().expect("sequences");
        for (b, length) in lengths.iter().enumerate() {
            let own = |tensor: &Tensor, axis: usize| {
                tensor
                    .get(b)
                    .and_then(|own| own.narrow(axis, 0, *length))
                    .expect("steps")
            };
            let (exact, draws) = (numbers(&own(&means, 0)), numbers(&own(&paths, 1)));
            for (at, exact) in exact.iter().enumerate() {
                let column: Vec<f64> = draws.iter().copied().skip(at).step_by(length * 2).collect();
                let mean = column.iter().sum::<f64>() / DRAWS as f64;
                let variance = column.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / DRAWS as f64;
                let error = 6.0 * (variance / DRAWS as f64).sqrt();
                assert!(
                    (exact - mean).abs() < error,
                    "{family}, sequence {b}, number {at}: {exact} {mean} ± {error}"
                );
            }
        }
    }
}
