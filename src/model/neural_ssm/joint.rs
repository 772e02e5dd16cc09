//! `log p_θ(o, x)` of a batch of sequences as a function of paths x, with gradients of θ and x; in a model that is linear
//! everywhere also at Gaussian beliefs, with log p_θ(o) and the true posterior in closed form.

use super::conditioned::Conditioned;
use super::dynamics::NeuralDynamics;
use super::emission::Cause;
use super::linear::flat;
use crate::data::{Batch, repeated};
use crate::error::provided;
use crate::math::kalman::{Beliefs, Sequences};
use crate::math::nonlinear::points_of_paths;
use crate::math::streams::Generator;
use crate::model::linear_gaussian_ssm::StateSpaceJoint;
use crate::model::sequential::sequences;
use crate::model::{
    Ancestral, Carried, Decoding, Estimates, ExactPosterior, Joint, Latent, Latents, Marginal, Sequential, StateSpaceOf,
};
use crate::nn;
use crate::{Error, Result};
use candle_core::{D, DType, Tensor};
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

    /// The terms at these latents, those at beliefs in f64; none at beliefs of a linear model, which are evaluated in closed
    /// form.
    fn own_terms(&self, latents: &Latents, with_emission: bool) -> Result<Option<[Option<Tensor>; 3]>> {
        match latents {
            Latents::Paths(paths) => self.conditioned.terms(paths, with_emission).map(Some),
            Latents::Trajectories(beliefs) if !self.conditioned.core.is_linear => {
                self.expected_terms(beliefs, with_emission).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// The expected terms under beliefs, over the sigma points of each state and of each pair of states that follow each
    /// other (Julier & Uhlmann 1997); exact where a belief is a point. Each `[B, S]`
    fn expected_terms(&self, beliefs: &[Beliefs], with_emission: bool) -> Result<[Option<Tensor>; 3]> {
        let model = &self.conditioned;
        let sequences = sequences(self.batch)?;
        let ((b, t), s) = (model.steps.dims(), beliefs.len());
        let (dtype, device) = (model.target.dtype(), model.target.device());
        let points = |steps: usize, is_pair| -> Result<[Tensor; 2]> {
            let (values, weights) = points_of_paths(&sequences, beliefs, t, is_pair);
            let shape = (b, s * weights.len(), steps, ());
            let values = Tensor::from_vec(values, shape, device)?.to_dtype(dtype)?;
            Ok([values, Tensor::new(weights, device)?])
        };
        let expected = |term: Tensor, weights: &Tensor| -> Result<Tensor> {
            let term = term.to_dtype(DType::F64)?.reshape((b, s, ()))?;
            Ok(term.broadcast_mul(weights)?.sum(D::Minus1)?)
        };
        let [states, weights] = points(t, false)?;
        let initial = expected(model.initial_at(&states)?, &weights)?;
        let transition = match t {
            1 => initial.zeros_like()?,
            _ => {
                let [pairs, weights] = points(t - 1, true)?;
                let x = model.core.sizes.states;
                let [now, next] = [pairs.narrow(3, 0, x)?, pairs.narrow(3, x, x)?];
                expected(model.transition_at(&now, &next, None)?, &weights)?
            }
        };
        let emission = with_emission.then(|| expected(model.emission_at(&states, None)?, &weights));
        Ok([Some(initial), Some(transition), emission.transpose()?])
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
        match self.own_terms(latents, true)? {
            Some(terms) => self.sum(terms),
            None => self.linear()?.log_joint(latents),
        }
    }

    fn terms(&self, latents: &Latents) -> Result<Vec<(&'static str, Tensor)>> {
        match self.own_terms(latents, true)? {
            Some(terms) => {
                let terms = ["initial", "transition", "emission"].into_iter().zip(terms);
                Ok(terms.filter_map(|(name, term)| Some((name, term?))).collect())
            }
            None => self.linear()?.terms(latents),
        }
    }

    fn log_prior(&self, latents: &Latents) -> Result<Tensor> {
        match self.own_terms(latents, false)? {
            Some(terms) => self.sum(terms),
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

    fn decoding(&self) -> Option<&dyn Decoding> {
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

impl Decoding for NeuralJoint<'_> {
    fn decoded_mean(&self, latents: &Latents) -> Result<Tensor> {
        let Latents::Paths(paths) = latents else {
            return Err(latents.unexpected("paths of states"));
        };
        let model = &self.conditioned;
        let (b, s, t, _) = paths.dims4()?;
        let carried = model.carried(paths)?;
        let inputs = model.standardized_inputs();
        let inputs = inputs.map(|inputs| Ok::<_, Error>(repeated(inputs, s)?.flatten_to(1)?));
        let inputs = inputs.transpose()?;
        let cause = Cause {
            state: &carried.state,
            deterministic: carried.deterministic.as_ref(),
            inputs: inputs.as_ref(),
        };
        let mean = model.core.emission.mean(&model.theta, cause)?;
        let mean = match &model.core.principal {
            Some(principal) => principal.expanded(&mean)?,
            None => mean,
        };
        Ok(mean.reshape((b, s, t, ()))?)
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
        let inputs = model
            .standardized_inputs()
            .map(|inputs| inputs.flatten_to(1))
            .transpose()?;
        let cause = Cause {
            state: &states.detach(),
            deterministic: h.as_ref(),
            inputs: inputs.as_ref(),
        };
        let observed = model.core.emission.sample(&theta, cause, &noise)?;
        let observed = observed.to_dtype(DType::F64)?.reshape((b, t, outputs))?;
        model.steps.packed(&observed)
    }
}
