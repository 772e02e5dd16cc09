//! The latent states of every step of a data set under a posterior: means and one sample.

use crate::Result;
use crate::data::{Batch, Dataset};
use crate::error::provided;
use crate::math::streams::Generator;
use crate::model::{Joint, Latents, StateSpaceOf};
use crate::posterior::Draws;
use crate::train::evaluation::for_each_joint;
use crate::train::metrics::state::average;
use crate::train::{Job, Trained};
use candle_core::{DType, Device, Tensor};
use nalgebra::{DMatrix, DVector, SymmetricEigen};
use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};

/// Fewest draws that stand for a mean without a closed form.
const DRAWS: usize = 100;
/// Numbers of all draws, and of all observations, that are held at once.
const NUMBERS: usize = 1 << 22;

/// Latent states of all steps, one sequence after another, `[n, Z]` row-major.
#[derive(Debug, Clone, Default)]
pub(super) struct Inferred {
    /// E_q[x_t].
    pub means: Vec<f64>,
    /// x_t of one draw of q.
    pub samples: Vec<f64>,
}

/// Infers the latent states of `data`, batch by batch; only they are kept.
pub(super) fn infer(job: &Job, trained: &Trained, data: &Dataset) -> Result<Inferred> {
    let draws = job.evaluation.bounds.samples.max(DRAWS);
    let longest = data.lengths.iter().flatten().max().copied().unwrap_or(1).max(1);
    let columns = data.observed.columns().max(draws).max(1);
    let size = (NUMBERS / columns / longest).clamp(1, 1024);
    let generator = &mut job.streams.named("representation").at(0);
    let mut inferred = Inferred::default();
    for_each_joint(job.model, &trained.theta, data, size, |joint, rows| {
        let own = job.posterior.draws(joint, &trained.theta, trained.steps, generator)?;
        let means = match &own.q {
            Some(q) => match q.state_means()? {
                Some(means) => average(&Latents::Paths(means.unsqueeze(1)?), None, joint, rows)?,
                None => average(&q.draw(draws, generator)?, None, joint, rows)?,
            },
            None => average(&own.latents, Some(&own), joint, rows)?,
        };
        inferred.means.extend(means.into_iter().flatten());
        inferred
            .samples
            .extend(sample(&own, joint, rows, generator)?.into_iter().flatten());
        Ok(())
    })?;
    Ok(inferred)
}

/// The states of one draw of q of every step, sequence after sequence. One of several weighted draws is chosen by its
/// weight; of a Gaussian belief every step is drawn from its own marginal.
fn sample(draws: &Draws, joint: &dyn Joint, rows: &Batch, generator: &mut Generator) -> Result<Vec<Vec<f64>>> {
    if let Some(q) = &draws.q {
        return average(&q.draw(1, generator)?, None, joint, rows);
    }
    let weights: Vec<Vec<f64>> = draws.weights.to_dtype(DType::F64)?.to_vec2()?;
    let chosen: Vec<usize> = weights.iter().map(|weights| choose(weights, generator)).collect();
    let Latents::Trajectories(beliefs) = &draws.latents else {
        // All the weight on the chosen draw.
        let is_chosen = |(&chosen, weights): (&usize, &Vec<f64>)| -> Vec<f64> {
            (0..weights.len()).map(|s| f64::from(u8::from(s == chosen))).collect()
        };
        let one_hot: Vec<f64> = chosen.iter().zip(&weights).flat_map(is_chosen).collect();
        let weights = Tensor::from_vec(one_hot, draws.weights.dims2()?, &Device::Cpu)?;
        return average(
            &draws.latents,
            Some(&Draws {
                weights,
                ..draws.clone()
            }),
            joint,
            rows,
        );
    };
    let StateSpaceOf { sequences, .. } = provided(joint.state_space(), "a state space")?;
    let mut states = Vec::new();
    for (i, (&chosen, &length)) in chosen
        .iter()
        .zip(rows.lengths.iter().flat_map(|lengths| lengths.iter()))
        .enumerate()
    {
        let belief = provided(beliefs.get(chosen), "a belief")?;
        for t in 0..length {
            let (covariance, _) = belief.covariances(sequences, i, t);
            let noise = DVector::from_fn(covariance.nrows(), |_, _| StandardNormal.sample(generator));
            states.push(
                (belief.mean(sequences, i, t) + square_root(covariance) * noise)
                    .as_slice()
                    .to_vec(),
            );
        }
    }
    Ok(states)
}

/// F with F Fᵀ = `a`, which is positive semidefinite up to rounding; NaN if an entry is not finite.
fn square_root(a: DMatrix<f64>) -> DMatrix<f64> {
    if a.iter().any(|v| !v.is_finite()) {
        return a.map(|_| f64::NAN);
    }
    let SymmetricEigen {
        eigenvectors,
        eigenvalues,
    } = SymmetricEigen::new(a);
    eigenvectors * DMatrix::from_diagonal(&eigenvalues.map(|e| e.max(0.0).sqrt()))
}

/// A number below that of the weights, which sum to 1, with their probabilities.
fn choose(weights: &[f64], generator: &mut Generator) -> usize {
    let mut left: f64 = generator.random();
    let found = weights.iter().position(|weight| {
        left -= weight;
        left < 0.0
    });
    found.unwrap_or(weights.len().saturating_sub(1))
}
