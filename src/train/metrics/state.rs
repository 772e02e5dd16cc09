//! The states that a posterior infers, against those that the generator drew.

use super::forecast::SEQUENCES;
use super::metric::TEST_ROWS;
use super::{Condition, Declared, Family, Tables};
use crate::Result;
use crate::data::{Batch, Source};
use crate::error::provided;
use crate::model::{Joint, Latents, StateSpaceOf};
use crate::posterior::Draws;
use crate::train::evaluation::for_each_joint;
use crate::train::{Job, Trained};
use candle_core::{DType, Tensor};

const KNOWN_STATES: Condition = Condition {
    what: "a generator that knows its states, as many as `model.states`",
    write: "such a generator as `data.source`, and its number of states",
    holds: |tables| match &tables.data.source {
        Source::Generator(generator) => Some(generator.states()) == tables.model.abilities().states,
        Source::File(_) => false,
    },
};

const METRICS: &[Declared] = &[Declared {
    parts: &[],
    name: "test/state_error",
    title: "error of the inferred states",
    formula: "root mean square of x_t − E_q[x_t] over all steps of the test sequences and all dimensions, x_t the state from \
              which the generator drew o_t. Paths of a network are averaged over evaluation.bounds.samples draws, or 100 \
              if there are fewer. It means something only where the model's states are those of the generator, as with its \
              true parameters",
    needs: "`data.source` `lgssm`, `growth`, `krishnan_linear`, `krishnan_nonlinear` or `lorenz`, a model of sequences with as \
            many states, a posterior",
    conditions: &[TEST_ROWS, SEQUENCES, KNOWN_STATES],
    unit: "units of the states",
    larger_is_better: Some(false),
}];

/// Fewest draws of a network's paths.
const DRAWS: usize = 100;
/// Steps of all draws that are held at once.
const STEPS: usize = 1 << 20;

/// The family.
pub(super) struct State;

impl Family for State {
    fn declared(&self) -> &'static [Declared] {
        METRICS
    }

    fn of_trained(&self, job: &Job, trained: &Trained, tables: &Tables) -> Result<Vec<(String, f64)>> {
        let test = job.splits.test.as_ref();
        let known = test.and_then(|test| Some((test, test.states.as_ref()?, test.lengths.as_ref()?)));
        let Some((test, states, lengths)) = known else {
            return Ok(Vec::new());
        };
        if !(KNOWN_STATES.holds)(tables) || !job.objective.needs_posterior() {
            return Ok(Vec::new());
        }
        let samples = job.evaluation.bounds.samples.max(DRAWS);
        let longest = lengths.iter().max().copied().unwrap_or(1);
        let generator = &mut job.streams.named("states").at(0);
        let (mut at, mut sum) = (0, 0.0);
        let size = (STEPS / (samples * longest)).clamp(1, 1024);
        for_each_joint(job.model, &trained.theta, test, size, |joint, rows| {
            let draws = job.posterior.draws(joint, &trained.theta, trained.steps, generator)?;
            let means = match &draws.q {
                Some(q) => average(&q.draw(samples, generator)?, None, joint, rows)?,
                None => average(&draws.latents, Some(&draws), joint, rows)?,
            };
            for mean in means {
                let own = (0..states.columns()).map(|j| (states.value(at, j) - mean[j]).powi(2));
                sum += own.sum::<f64>();
                at += 1;
            }
            Ok(())
        })?;
        let count = (states.rows() * states.columns()).max(1);
        Ok(vec![("test/state_error".to_owned(), (sum / count as f64).sqrt())])
    }
}

/// The weighted mean of the states of every step, sequence after sequence; `weighted` gives the weights, which are equal
/// without it.
pub(super) fn average(
    latents: &Latents,
    weighted: Option<&Draws>,
    joint: &dyn Joint,
    rows: &Batch,
) -> Result<Vec<Vec<f64>>> {
    let lengths = rows.lengths.clone().unwrap_or_default();
    let weights = weighted.map(|draws| draws.weights.to_dtype(DType::F64)).transpose()?;
    match latents {
        Latents::Paths(paths) => {
            let paths = paths.to_dtype(DType::F64)?;
            let mean = match weights {
                Some(weights) => paths.broadcast_mul(&weights.unsqueeze(2)?.unsqueeze(3)?)?.sum(1)?,
                None => paths.mean(1)?,
            };
            let mean: Vec<Vec<Vec<f64>>> = mean.to_vec3()?;
            let own = mean.into_iter().zip(lengths.iter());
            Ok(own
                .flat_map(|(steps, &length)| steps.into_iter().take(length))
                .collect())
        }
        Latents::Trajectories(beliefs) => {
            let StateSpaceOf { sequences, .. } = provided(joint.state_space(), "a state space")?;
            let even = || {
                Tensor::full(
                    1.0 / beliefs.len() as f64,
                    (lengths.len(), beliefs.len()),
                    &candle_core::Device::Cpu,
                )
            };
            let weights: Vec<Vec<f64>> = weights.map_or_else(even, Ok)?.to_vec2()?;
            let step = |i: usize, t: usize| -> Vec<f64> {
                let own = beliefs.iter().zip(&weights[i]);
                let mean = own.map(|(belief, weight)| belief.mean(sequences, i, t) * *weight);
                let mean = mean.reduce(|sum, own| sum + own);
                mean.map_or_else(Vec::new, |mean| mean.as_slice().to_vec())
            };
            let steps = lengths
                .iter()
                .enumerate()
                .flat_map(|(i, &length)| (0..length).map(move |t| (i, t)));
            Ok(steps.map(|(i, t)| step(i, t)).collect())
        }
        other => Err(other.unexpected("paths of states")),
    }
}
