//! `log p_θ(o, x)` of a batch of sequences as a function of paths x, with gradients of θ and x; in a model that is linear
//! everywhere also at Gaussian beliefs, with log p_θ(o) and the true posterior in closed form.

use super::dynamics::NeuralDynamics;
use super::linear::flat;
use super::model::Core;
use super::transition::Condition;
use crate::data::{Batch, Steps};
use crate::error::provided;
use crate::math::kalman::Sequences;
use crate::math::streams::Generator;
use crate::model::linear_gaussian_ssm::StateSpaceJoint;
use crate::model::sequential::sequences;
use crate::model::{
    Ancestral, Carried, Estimates, ExactPosterior, Joint, Latent, Latents, LinearEmission, Marginal, Normal,
    Sequential, StateSpaceOf, repeated,
};
use crate::nn::{self, GatedRecurrent, Parameters};
use crate::{Error, Result};
use candle_core::{D, DType, Tensor};
use rand::RngExt;
use std::cell::OnceCell;
use std::sync::Arc;

/// The sequences of one batch under one θ.
#[derive(Debug)]
pub(super) struct Conditioned {
    pub core: Arc<Core>,
    theta: Parameters,
    steps: Steps,
    /// What the emission is evaluated at: standardised or binary observations. `[B, T, O]`
    target: Tensor,
    /// `[B, T, F]`
    features: Tensor,
    /// `[B, T, U]`
    standardized_inputs: Option<Tensor>,
}

impl Conditioned {
    pub fn new(core: Arc<Core>, theta: Parameters, batch: &Batch) -> Result<Self> {
        let dtype = theta.dtype();
        Self::of_steps(core, theta, Steps::new(batch, dtype)?)
    }

    fn of_steps(core: Arc<Core>, theta: Parameters, steps: Steps) -> Result<Self> {
        let dtype = steps.observed.dtype();
        let row =
            |values: &[f64]| -> Result<Tensor> { Ok(Tensor::new(values, steps.observed.device())?.to_dtype(dtype)?) };
        let moments = &core.emission.moments;
        let centred = steps.observed.broadcast_sub(&row(&moments.means)?)?;
        let mut standardized = centred.broadcast_div(&row(&moments.deviations)?)?;
        if let Some(present) = &steps.present {
            standardized = (standardized * present)?;
        }
        let features = match core.is_missing {
            true => {
                let present = steps.present.clone().map_or_else(|| steps.observed.ones_like(), Ok)?;
                Tensor::cat(&[&standardized, &present], D::Minus1)?
            }
            false => standardized.clone(),
        };
        let standardized_inputs = steps.inputs.as_ref().map(|inputs| -> Result<Tensor> {
            let centred = inputs.broadcast_sub(&row(&core.inputs.means)?)?;
            Ok(centred.broadcast_div(&row(&core.inputs.deviations)?)?)
        });
        Ok(Self {
            target: match core.is_binary() {
                true => steps.observed.clone(),
                false => standardized,
            },
            features,
            standardized_inputs: standardized_inputs.transpose()?,
            core,
            theta,
            steps,
        })
    }

    /// Sequences `start..start + count`.
    pub fn narrow(&self, start: usize, count: usize) -> Result<Self> {
        Self::of_steps(self.core.clone(), self.theta.clone(), self.steps.narrow(start, count)?)
    }

    /// Rows `[B, T, D]` of steps `from..from + count`, for S samples: `[B·S·count, D]`.
    fn rows(&self, tensor: &Tensor, from: usize, count: usize, samples: usize) -> Result<Tensor> {
        let part = repeated(&tensor.narrow(1, from, count)?.contiguous()?, samples)?;
        Ok(part.flatten_to(1)?)
    }

    /// The transition of states `[N, X]` whose inputs are the rows of `from..from + count`, with h of the steps after them
    /// `[N, H]`.
    fn moved(
        &self,
        states: &Tensor,
        deterministic: Option<&Tensor>,
        (from, count, samples): (usize, usize, usize),
    ) -> Result<Normal> {
        let rows = |tensor: &Option<Tensor>| tensor.as_ref().map(|u| self.rows(u, from, count, samples)).transpose();
        let (inputs, standardized) = (rows(&self.steps.inputs)?, rows(&self.standardized_inputs)?);
        let condition = Condition {
            state: states,
            inputs: inputs.as_ref(),
            standardized: standardized.as_ref(),
            deterministic,
        };
        self.core.transition.apply(&self.theta, &condition)
    }

    /// h of the steps after `from..from + count`, from x of these steps `[N, count, X]` and h of step `from`, which is 0 if
    /// absent. `[N, count, H]`
    fn deterministic(
        &self,
        states: &Tensor,
        initial: Option<&Tensor>,
        (from, count, samples): (usize, usize, usize),
    ) -> Result<Option<Tensor>> {
        if self.core.transition.cell().is_none() {
            return Ok(None);
        }
        let inputs = match &self.standardized_inputs {
            Some(inputs) => {
                let own = repeated(&inputs.narrow(1, from, count)?.contiguous()?, samples)?;
                Tensor::cat(&[states, &own], D::Minus1)?
            }
            None => states.clone(),
        };
        self.core.transition.deterministic(&self.theta, &inputs, initial)
    }

    /// h of all steps of paths `[N, T, X]`: 0 at the first. `[N, T, H]`
    fn deterministic_path(&self, paths: &Tensor, samples: usize) -> Result<Option<Tensor>> {
        let (n, steps, _) = paths.dims3()?;
        let Some(cell) = self.core.transition.cell() else {
            return Ok(None);
        };
        let first = Tensor::zeros((n, 1, cell.units()), paths.dtype(), paths.device())?;
        if steps == 1 {
            return Ok(Some(first));
        }
        let before = paths.narrow(1, 0, steps - 1)?.contiguous()?;
        let later = provided(
            self.deterministic(&before, None, (0, steps - 1, samples))?,
            "a recurrent network",
        )?;
        Ok(Some(Tensor::cat(&[first, later], 1)?))
    }

    /// What is there at steps `from..from + count`; none if nothing is missing there. `[B·S·count, O]`
    fn present(&self, from: usize, count: usize, samples: usize) -> Result<Option<Tensor>> {
        if let Some(present) = &self.steps.present {
            return Ok(Some(self.rows(present, from, count, samples)?));
        }
        let Some(mask) = &self.steps.mask else { return Ok(None) };
        let wide = mask.unsqueeze(D::Minus1)?.broadcast_as(self.target.shape())?;
        Ok(Some(self.rows(&wide.contiguous()?, from, count, samples)?))
    }

    /// log p(o_t | x_t) of these steps. States: `[B·S·count, X]` with h `[B·S·count, H]`; result `[B·S·count]`
    fn emitted(
        &self,
        states: (&Tensor, Option<&Tensor>),
        (from, count, samples): (usize, usize, usize),
    ) -> Result<Tensor> {
        let target = self.rows(&self.target, from, count, samples)?;
        let present = self.present(from, count, samples)?;
        self.core
            .emission
            .log_density(&self.theta, states, &target, present.as_ref())
    }

    /// The terms `initial`, `transition` and, if it is asked for, `emission` at paths `[B, S, T, X]`. Each `[B, S]`
    fn terms(&self, paths: &Tensor, with_emission: bool) -> Result<[Option<Tensor>; 3]> {
        let (b, s, t, x) = paths.dims4()?;
        let first = paths.narrow(2, 0, 1)?.reshape((b * s, x))?;
        let initial = self.initial()?.log_density(&first)?.reshape((b, s))?;
        let h = self.deterministic_path(&paths.contiguous()?.reshape((b * s, t, x))?, s)?; // [B·S, T, H]
        let transition = match t {
            1 => initial.zeros_like()?,
            _ => {
                let flat = |from| {
                    paths
                        .narrow(2, from, t - 1)?
                        .contiguous()?
                        .reshape((b * s * (t - 1), x))
                };
                let later = h
                    .as_ref()
                    .map(|h| h.narrow(1, 1, t - 1)?.contiguous()?.flatten_to(1))
                    .transpose()?;
                let normal = self.moved(&flat(0)?, later.as_ref(), (0, t - 1, s))?;
                let density = normal.log_density(&flat(1)?)?;
                let density = density.reshape((b, s, t - 1))?;
                let density = match &self.steps.mask {
                    Some(mask) => density.broadcast_mul(&mask.narrow(1, 1, t - 1)?.unsqueeze(1)?)?,
                    None => density,
                };
                density.sum(D::Minus1)?
            }
        };
        let emission = with_emission.then(|| -> Result<Tensor> {
            let states = paths.contiguous()?.reshape((b * s * t, x))?;
            let h = h.as_ref().map(|h| h.flatten_to(1)).transpose()?;
            let density = self.emitted((&states, h.as_ref()), (0, t, s))?;
            Ok(density.reshape((b, s, t))?.sum(D::Minus1)?)
        });
        Ok([Some(initial), Some(transition), emission.transpose()?])
    }
}

impl Sequential for Conditioned {
    fn states(&self) -> usize {
        self.core.sizes.states
    }

    fn steps(&self) -> &Steps {
        &self.steps
    }

    fn features(&self) -> &Tensor {
        &self.features
    }

    fn standardized_inputs(&self) -> Option<&Tensor> {
        self.standardized_inputs.as_ref()
    }

    fn initial(&self) -> Result<Normal> {
        self.core.initial(&self.theta)
    }

    fn begin(&self, states: Tensor) -> Result<Carried> {
        let cell = self.core.transition.cell();
        let zeros =
            |cell: &GatedRecurrent| Tensor::zeros((states.dim(0)?, cell.units()), states.dtype(), states.device());
        Ok(Carried {
            deterministic: cell.map(zeros).transpose()?,
            state: states,
        })
    }

    fn transition(&self, t: usize, carried: &Carried) -> Result<(Normal, Option<Tensor>)> {
        let samples = carried.state.dim(0)? / self.steps.dims().0;
        let rows = carried.state.dim(0)?;
        let h = self.deterministic(
            &carried.state.unsqueeze(1)?,
            carried.deterministic.as_ref(),
            (t, 1, samples),
        )?;
        let h = h.map(|h| h.squeeze(1)).transpose()?;
        let normal = self.moved(&carried.state, h.as_ref(), (t, 1, samples))?;
        Ok((normal.broadcast(rows)?, h))
    }

    fn emission(&self, t: usize, carried: &Carried) -> Result<Tensor> {
        let samples = carried.state.dim(0)? / self.steps.dims().0;
        self.emitted((&carried.state, carried.deterministic.as_ref()), (t, 1, samples))
    }

    fn linear_emission(&self) -> Result<Option<LinearEmission>> {
        self.core.emission.linear(&self.theta)
    }
}

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
