//! `log p_θ(o, x)` of a batch of sequences as a function of paths x, with gradients of θ and x; in a model that is linear
//! everywhere also at Gaussian beliefs, with log p_θ(o) and the true posterior in closed form.

use super::conditioned::Conditioned;
use super::dynamics::NeuralDynamics;
use super::linear::flat;
use crate::data::Batch;
use crate::error::provided;
use crate::math::kalman::Sequences;
use crate::math::streams::Generator;
use crate::model::linear_gaussian_ssm::StateSpaceJoint;
use crate::model::sequential::sequences;
use crate::model::{
    Ancestral, Carried, Estimates, ExactPosterior, Joint, Latent, Latents, Marginal, Sequential, StateSpaceOf,
};
use crate::nn;
use crate::{Error, Result};
use candle_core::{DType, Tensor};
use rand::RngExt;
use std::cell::OnceCell;
use std::sync::Arc;

/// The joint of a batch.
pub(super) struct NeuralJoint<'a> {
    pub conditioned: Arc<Conditioned>,
    batch: &'a Batch,
    /// The same as a linear-Gaussian state space, if it is one.
    linear: OnceCell<StateSpaceJoint<'a>>,
    /// The same for particles, if its noise is constant and Gaussian.
    simulated: OnceCell<Option<(NeuralDynamics, Arc<Sequences>)>>,
}

impl<'a> NeuralJoint<'a> {
    pub fn new(conditioned: Conditioned, batch: &'a Batch) -> Self {
        Self {
            conditioned: Arc::new(conditioned),
            batch,
            linear: OnceCell::new(),
            simulated: OnceCell::new(),
        }
    }

    /// The linear-Gaussian state space, if the model is one and its numbers are finite.
    fn linear(&self) -> Result<&StateSpaceJoint<'a>> {
        if let Some(linear) = self.linear.get() {
            return Ok(linear);
        }
        let core = &self.conditioned.core;
        if !core.is_linear {
            return Err(Error::Lacking("a linear state space"));
        }
        let flat = flat(core, &self.conditioned.theta)?;
        let joint = StateSpaceJoint::new(Arc::new(core.sizes), flat, sequences(self.batch)?, &self.batch.observed)?;
        Ok(self.linear.get_or_init(|| joint))
    }

    /// The paths of latents: tensors, or, where the model is not linear, simulated trajectories. None for beliefs of a
    /// linear model, which are evaluated in closed form.
    fn paths(&self, latents: &Latents) -> Result<Option<Tensor>> {
        let beliefs = match latents {
            Latents::Paths(paths) => return Ok(Some(paths.clone())),
            Latents::Trajectories(beliefs) if !self.conditioned.core.is_linear => beliefs,
            _ => return Ok(None),
        };
        let sequences = sequences(self.batch)?;
        let (b, longest) = self.conditioned.steps.dims();
        let x = self.conditioned.core.sizes.states;
        let mut values = vec![0.0; b * beliefs.len() * longest * x];
        for i in 0..b {
            for (s, belief) in beliefs.iter().enumerate() {
                for t in 0..sequences.lengths()[i] {
                    let at = ((i * beliefs.len() + s) * longest + t) * x;
                    values[at..at + x].copy_from_slice(belief.mean(&sequences, i, t).as_slice());
                }
            }
        }
        let paths = Tensor::from_vec(values, (b, beliefs.len(), longest, x), self.conditioned.target.device())?;
        Ok(Some(paths.to_dtype(self.conditioned.target.dtype())?))
    }

    /// The terms at paths, in the type of their weights: f64 for trajectories.
    fn terms_at(&self, paths: &Tensor, latents: &Latents, with_emission: bool) -> Result<[Option<Tensor>; 3]> {
        let [initial, transition, emission] = self.conditioned.terms(paths, with_emission)?;
        let wide = |term: Option<Tensor>| match latents {
            Latents::Trajectories(_) => term.map(|term| term.to_dtype(DType::F64)).transpose(),
            _ => Ok(term),
        };
        Ok([wide(initial)?, wide(transition)?, wide(emission)?])
    }

    /// The sum of terms, each `[B, S]`.
    fn sum(&self, terms: [Option<Tensor>; 3]) -> Result<Tensor> {
        let mut terms = terms.into_iter().flatten();
        let first = provided(terms.next(), "a term of the joint")?;
        terms.try_fold(first, |sum, term| Ok((sum + term)?))
    }
}

impl Joint for NeuralJoint<'_> {
    fn latent(&self) -> Latent {
        Latent::Trajectory(self.conditioned.core.sizes.states)
    }

    fn log_joint(&self, latents: &Latents) -> Result<Tensor> {
        match self.paths(latents)? {
            Some(paths) => self.sum(self.terms_at(&paths, latents, true)?),
            None => self.linear()?.log_joint(latents),
        }
    }

    fn terms(&self, latents: &Latents) -> Result<Vec<(&'static str, Tensor)>> {
        match self.paths(latents)? {
            Some(paths) => {
                let names = ["initial", "transition", "emission"];
                let terms = names.into_iter().zip(self.terms_at(&paths, latents, true)?);
                Ok(terms.filter_map(|(name, term)| Some((name, term?))).collect())
            }
            None => self.linear()?.terms(latents),
        }
    }

    fn log_prior(&self, latents: &Latents) -> Result<Tensor> {
        match self.paths(latents)? {
            Some(paths) => self.sum(self.terms_at(&paths, latents, false)?),
            None => self.linear()?.log_prior(latents),
        }
    }

    fn observed(&self) -> &Tensor {
        &self.batch.observed
    }

    fn given(&self) -> Option<&Tensor> {
        self.batch.given.as_ref()
    }

    fn marginal(&self) -> Option<&dyn Marginal> {
        self.linear().ok()?.marginal()
    }

    fn estimates(&self) -> Option<&dyn Estimates> {
        Some(self)
    }

    fn ancestral(&self) -> Option<&dyn Ancestral> {
        Some(self)
    }

    fn exact_posterior(&self) -> Option<ExactPosterior<'_>> {
        self.linear().ok()?.exact_posterior()
    }

    fn state_space(&self) -> Option<StateSpaceOf<'_>> {
        if let Ok(linear) = self.linear() {
            return linear.state_space();
        }
        let simulated = self.simulated.get_or_init(|| {
            let dynamics = NeuralDynamics::new(&self.conditioned.core, &self.conditioned.theta).ok()??;
            Some((dynamics, sequences(self.batch).ok()?))
        });
        let (dynamics, sequences) = simulated.as_ref()?;
        Some(StateSpaceOf { dynamics, sequences })
    }

    fn sequential(&self) -> Option<Arc<dyn Sequential>> {
        Some(self.conditioned.clone())
    }
}

impl Ancestral for NeuralJoint<'_> {
    fn sample_latents(&self, samples: usize, generator: &mut Generator) -> Result<Latents> {
        let model = Conditioned::of_steps(
            self.conditioned.core.clone(),
            self.conditioned.theta.constant(),
            self.conditioned.steps.clone(),
        )?;
        let (b, t) = model.steps.dims();
        let (rows, x) = (b * samples, model.states());
        let dtype = model.target.dtype();
        let mut noise = || nn::normal(&mut *generator, (rows, x), dtype, model.target.device());
        let mut carried = model.begin(model.initial()?.broadcast(rows)?.draw(&noise()?)?)?;
        let mut path = vec![carried.state.clone()];
        for step in 1..t {
            let (next, deterministic) = model.transition(step - 1, &carried)?;
            carried = Carried {
                state: next.draw(&noise()?)?,
                deterministic,
            };
            path.push(carried.state.clone());
        }
        let paths = Tensor::stack(&path, 1)?; // [B·S, T, X]
        Ok(Latents::Paths(paths.reshape((b, samples, t, x))?))
    }

    fn sample_observed(&self, latents: &Latents, generator: &mut Generator) -> Result<Tensor> {
        let Latents::Paths(paths) = latents else {
            return Err(latents.unexpected("paths of states"));
        };
        let model = &self.conditioned;
        let (b, _, t, x) = paths.dims4()?;
        let outputs = model.core.sizes.outputs;
        let shape = (b * t, outputs);
        let (dtype, device) = (paths.dtype(), paths.device());
        let noise = match model.core.is_binary() {
            false => nn::normal(&mut *generator, shape, dtype, device)?,
            true => {
                let uniform: Vec<f64> = (0..b * t * outputs).map(|_| generator.random()).collect();
                Tensor::from_vec(uniform, shape, device)?.to_dtype(dtype)?
            }
        };
        let states = paths.contiguous()?.reshape((b * t, x))?;
        let theta = model.theta.constant();
        let paths = paths.detach().contiguous()?.reshape((b, t, x))?;
        let h = model
            .deterministic_path(&paths, 1)?
            .map(|h| h.flatten_to(1))
            .transpose()?;
        let h = h.map(|h| h.detach());
        let observed = model
            .core
            .emission
            .sample(&theta, (&states.detach(), h.as_ref()), &noise)?;
        let observed = observed.to_dtype(DType::F64)?.reshape((b, t, outputs))?;
        model.steps.packed(&observed)
    }
}
