//! The baseline that every likelihood is held against: one Gaussian (linear in x, where x is given), fitted in closed form.

use crate::Result;
use crate::data::Splits;
use crate::math::streams::Streams;
use crate::model::{Guess, ModelConfig, gaussian::Gaussian, linear_gaussian::LinearGaussian};
use crate::train::evaluation::mean_log_likelihood;
use candle_core::{DType, Device};

/// `log_likelihood` of the baseline on the test rows (the training rows where there is no test), in nats per datum in the
/// data's units.
pub(super) fn log_likelihood(splits: &Splits, streams: &Streams) -> Result<(String, f64)> {
    let config = match splits.train.given {
        Some(_) => ModelConfig::LinearGaussian(LinearGaussian::default()),
        None => ModelConfig::Gaussian(Gaussian::default()),
    };
    let model = config.build(&splits.train)?;
    let first = model.initial(&splits.train, streams, 0, DType::F64, &Device::Cpu)?;
    let theta = match model.closed_form() {
        Some(closed_form) => {
            let rng = &mut streams.named("reseed").at(0);
            closed_form
                .sweeps(&splits.train)?
                .improve(&first, Guess::Exact, 1, Some(rng))?
                .theta
        }
        None => first,
    };
    let (part, rows) = match &splits.test {
        Some(test) => ("test", test),
        None => ("train", &splits.train),
    };
    let value = mean_log_likelihood(model.as_ref(), &theta, rows)? - splits.standardization.observed.log_scale();
    Ok((format!("{part}/baseline"), value))
}
