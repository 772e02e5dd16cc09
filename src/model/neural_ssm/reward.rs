//! The network of the means of rewards, p(r_t | x_t, u_t).

use super::emission::{Cause, Emission};
use super::{EmissionNoise, Likelihood, NeuralSsm};
use crate::Result;
use crate::error::Fault;
use crate::nn::{Parameters, Perceptron};
use candle_core::Tensor;

/// The prefix of its parameters.
pub(super) const REWARD: &str = "reward";

/// The network of the means of rewards, which sees this many numbers.
pub(super) fn reward(keys: &NeuralSsm, observed: usize, seen: usize) -> std::result::Result<Option<Perceptron>, Fault> {
    let Some(own) = &keys.reward else { return Ok(None) };
    if keys.likelihood != Likelihood::Gaussian || keys.emission_noise != EmissionNoise::Constant {
        return Err(Fault::new(
            "reward",
            "rewards are Gaussians with constant noise, and these observations are not",
            "`likelihood = \"gaussian\"` and `emission_noise = \"constant\"`",
            "change them, or remove `reward`",
        ));
    }
    if keys.principal_components.is_some() {
        return Err(Fault::unused(
            "reward",
            "with `principal_components` every column is a mixture of all",
            "a model without them",
        ));
    }
    if own.columns >= observed {
        return Err(Fault::new(
            "reward.columns",
            format!(
                "{} of {observed} observed columns are rewards: none is left to observe the state by",
                own.columns
            ),
            format!("at least {} observed columns", own.columns + 1),
            "name more of them, with the rewards last",
        ));
    }
    let network = Perceptron::new(seen, &own.hidden, own.columns, own.activation);
    let network =
        network.map_err(|error| Fault::new("reward.hidden", error.to_string(), "layers of units", "list them"))?;
    Ok(Some(network))
}

impl Emission {
    /// E[r | x, u] of standardised rewards; none without rewards. `[N, R]`
    pub(super) fn standardized_rewards(&self, theta: &Parameters, cause: Cause<'_>) -> Result<Option<Tensor>> {
        let rewards = |network: &Perceptron| network.forward(theta, REWARD, &cause.seen(true)?);
        self.reward.as_ref().map(rewards).transpose()
    }

    /// E[r | x, u], in the data's units; none without rewards. `[N, R]`
    pub(super) fn rewards(&self, theta: &Parameters, cause: Cause<'_>) -> Result<Option<Tensor>> {
        let Some(rewards) = self.standardized_rewards(theta, cause)? else {
            return Ok(None);
        };
        let [shift, scale] = self.shift_and_scale(rewards.dtype())?;
        let own = |row: Tensor| row.narrow(1, self.columns(), rewards.dim(1)?);
        Ok(Some(rewards.broadcast_mul(&own(scale)?)?.broadcast_add(&own(shift)?)?))
    }
}
