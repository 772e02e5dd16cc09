//! The network of the means of rewards, p(r_t | x_t, u_t).

use super::{EmissionNoise, Likelihood, NeuralSsm};
use crate::error::Fault;
use crate::nn::Perceptron;

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
