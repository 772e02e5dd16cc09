//! Hamiltonian Monte Carlo (Neal 2011, section 5.3): Markov chains that converge to p(z|x), a reference for small
//! models.
//!
//! With U(z) = −log p_θ(x, z)/temperature and a momentum r ~ N(0, I), one transition follows the leapfrog equations
//!
//! `r ← r − ε/2 ∇U(z)`, then L times `z ← z + ε r`, `r ← r − ε ∇U(z)`, the last by ε/2,
//!
//! and is accepted with probability `min(1, exp[U(z) + ‖r‖²/2 − U(z') − ‖r'‖²/2])`, else z stays. Transitions leave
//! p(z|x) invariant for every ε; L = 1 is the Metropolis-adjusted Langevin algorithm (Roberts & Tweedie 1996).
//!
//! S chains per row start at draws from p(z) and run in parallel, one batch for all rows. The last state of each chain
//! is a sample, so samples are independent of each other. `burn_in` decides how close their distribution is to p(z|x),
//! and it has no tractable log q. Chains keep no state between training steps.

use super::{Common, Draws, DrawsOf, Facts, PosteriorKind};
use crate::kind::{Declared, Example};
use crate::math::streams::Generator;
use crate::model::Need;
use crate::model::{Joint, Latents};
use crate::nn::Parameters;
use crate::{Error, Result, nn};
use candle_core::{D, Tensor, Var};
use rand::RngExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Keys of `kind = "hamiltonian"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Hamiltonian {
    /// Chains per row, S; the last state of each is a sample.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub samples: usize,
    /// Transitions of each chain.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub burn_in: usize,
    /// Leapfrog steps of a transition, L, of one gradient each; 1 is the Langevin algorithm.
    #[schemars(range(min = 1, max = 10_000))]
    pub leapfrog_steps: usize,
    /// ε, in units of z: choose it for an acceptance rate of 0.6 to 0.9.
    #[schemars(range(min = 1e-6, max = 1e3))]
    pub step_size: f64,
    /// Options that every posterior has.
    #[serde(flatten)]
    pub common: Common,
}

impl Default for Hamiltonian {
    fn default() -> Self {
        Self {
            samples: 1,
            burn_in: 20,
            leapfrog_steps: 10,
            step_size: 0.1,
            common: Common::default(),
        }
    }
}

/// The states of all chains, with energies and gradients.
#[derive(Clone)]
struct Place {
    z: Tensor,        // [B, S, Z]
    value: Tensor,    // −U(z). [B, S]
    gradient: Tensor, // −∇U(z). [B, S, Z]
}

impl Place {
    fn at(joint: &dyn Joint, z: &Tensor, temperature: f64) -> Result<Self> {
        let z = Var::from_tensor(z)?;
        let value = (joint.log_joint(&Latents::Continuous(z.as_tensor().clone()))? / temperature)?;
        let gradients = nn::backward(&value.sum_all()?)?;
        Ok(Self {
            gradient: match gradients.get(&z) {
                Some(gradient) => gradient.clone(),
                None => z.zeros_like()?,
            },
            value: value.detach(),
            z: z.as_tensor().detach(),
        })
    }

    /// `other` where `accepted` `[B, S]` is 1, and `self` elsewhere.
    fn moved(&self, other: &Self, accepted: &Tensor) -> Result<Self> {
        let all = accepted.unsqueeze(2)?.broadcast_as(self.z.shape())?;
        Ok(Self {
            z: all.where_cond(&other.z, &self.z)?,
            value: accepted.where_cond(&other.value, &self.value)?,
            gradient: all.where_cond(&other.gradient, &self.gradient)?,
        })
    }
}

/// `‖r‖²/2`. `[B, S]`
fn kinetic(r: &Tensor) -> Result<Tensor> {
    Ok((r.sqr()?.sum(D::Minus1)? / 2.0)?)
}

impl Hamiltonian {
    /// S samples per row, equally weighted, and the acceptance rate of each row.
    fn chains(&self, joint: &dyn Joint, temperature: f64, generator: &mut Generator) -> Result<Draws> {
        let Latents::Continuous(start) = joint.sample_latents(self.samples, generator)? else {
            return Err(Error::Lacking("points of a continuous latent"));
        };
        let mut place = Place::at(joint, &start, temperature)?;
        let mut accepted = place.value.zeros_like()?; // [B, S]
        for _ in 0..self.burn_in {
            let (next, one) = self.transition(joint, &place, temperature, generator)?;
            place = next;
            accepted = (accepted + one.to_dtype(start.dtype())?)?;
        }
        let weights = (accepted.ones_like()? / self.samples as f64)?;
        Ok(Draws {
            latents: Latents::Continuous(place.z),
            weights,
            log_q: None,
            acceptance_rate: Some((accepted.mean(D::Minus1)? / self.burn_in as f64)?),
            q: None,
        })
    }

    /// One transition of every chain, and whether it was accepted (1 or 0). `[B, S]`
    fn transition(
        &self,
        joint: &dyn Joint,
        place: &Place,
        temperature: f64,
        generator: &mut Generator,
    ) -> Result<(Place, Tensor)> {
        let (shape, dtype, device) = (place.z.shape(), place.z.dtype(), place.z.device());
        let start = nn::normal(&mut *generator, shape, dtype, device)?; // [B, S, Z]
        let uniforms: Vec<f64> = (0..place.value.elem_count()).map(|_| generator.random()).collect();
        let epsilon = self.step_size;
        let mut r = (&start + (&place.gradient * (epsilon / 2.0))?)?;
        let mut next: Option<Place> = None;
        for step in 1..=self.leapfrog_steps {
            let from = next.as_ref().unwrap_or(place);
            let there = Place::at(joint, &(&from.z + (&r * epsilon)?)?, temperature)?;
            let share = if step == self.leapfrog_steps { 0.5 } else { 1.0 };
            r = (r + (&there.gradient * (share * epsilon))?)?;
            next = Some(there);
        }
        let Some(next) = next else {
            // Without leapfrog steps every proposal is the place itself.
            return Ok((place.clone(), place.value.ones_like()?));
        };
        let before = (&place.value - kinetic(&start)?)?;
        let after = (&next.value - kinetic(&r)?)?;
        let log_u: Vec<f64> = uniforms.iter().map(|u| u.ln()).collect();
        let log_u = Tensor::from_vec(log_u, before.shape(), device)?.to_dtype(dtype)?;
        // NaN energies compare false, so diverged proposals are rejected.
        let accepted = (after - before)?.gt(&log_u)?; // [B, S]
        Ok((place.moved(&next, &accepted)?, accepted))
    }
}

impl Declared for Hamiltonian {
    const NAME: &'static str = "hamiltonian";
    const SUMMARY: &'static str = "Hamiltonian Monte Carlo: Markov chains that converge to the true posterior. Slow; a reference for small models.";
    const EQUATION: &'static str = "z_s ~ p_θ(z|x)^(1/temperature) as burn_in grows, with weights 1/S";
    const EXAMPLE: Example<'static> = Example {
        model: "kind = \"latent_gaussian\"\nhidden = [8]",
        posterior: "kind = \"hamiltonian\"",
        objective: "kind = \"expected_log_likelihood\"",
        training: "optimizer = \"adam\"\nsteps = 20\nevaluate_every = 5",
        ..Example::AMORTISED
    };
}

impl PosteriorKind for Hamiltonian {
    fn common(&self) -> &Common {
        &self.common
    }

    fn needs(&self) -> &'static [Need] {
        &[Need::ContinuousLatent]
    }

    fn facts(&self) -> Facts {
        Facts {
            is_drawn: true,
            has_acceptance_rate: true,
            samples: Some(self.samples),
            draws: DrawsOf::Unknown("log q of the last state of a chain is unknown, so the entropy is unknown"),
            ..Facts::PLAIN
        }
    }

    fn draws(&self, joint: &dyn Joint, _phi: &Parameters, step: u64, generator: &mut Generator) -> Result<Draws> {
        self.chains(joint, self.common.temperature.at(step), generator)
    }
}
