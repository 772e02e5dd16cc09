//! Images from the state by convolutions.
//!
//! Dense layers give a small image of many channels; each further layer doubles its rows and columns and convolves 3×3 pixels
//! ([`nn::convolution()`]); the last one gives the frames, in standardised units or as logits.

use super::keys::EmissionConvolutions;
use crate::Result;
use crate::error::Fault;
use crate::math::streams::Stream;
use crate::nn::{self, Activation, Parameters, Perceptron, normal};
use candle_core::{DType, Device, Tensor};

/// The layers.
#[derive(Debug, Clone)]
pub(super) struct Convolutions {
    dense: Perceptron,
    /// Rows and columns of the smallest image.
    small: [usize; 2],
    /// Channels before each convolution, then the frames.
    channels: Vec<usize>,
    activation: Activation,
}

/// The prefix of the dense layers.
const DENSE: &str = "emission.dense";

impl Convolutions {
    /// The layers of a table, from `seen` numbers to images of this shape, `[H, W, F]`.
    pub fn new(
        keys: &EmissionConvolutions,
        seen: usize,
        image: Option<[usize; 3]>,
    ) -> std::result::Result<Self, Fault> {
        let Some([height, width, frames]) = image else {
            return Err(Fault::new(
                "emission.kind",
                "convolutions give images, and the observations are none",
                "images, such as those of `data.source = \"exploration\"`, or arrays `[N, H, W]` of a file",
                "choose another emission, such as `perceptron`",
            ));
        };
        let factor = 1usize.checked_shl(keys.channels.len() as u32).unwrap_or(usize::MAX);
        if keys.channels.is_empty() || !height.is_multiple_of(factor) || !width.is_multiple_of(factor) {
            let most = height.trailing_zeros().min(width.trailing_zeros());
            return Err(Fault::new(
                "emission.channels",
                format!(
                    "images of {height}×{width} pixels cannot be halved {} times",
                    keys.channels.len()
                ),
                format!("from 1 to {most} layers"),
                "one number of channels for each doubling of rows and columns",
            ));
        }
        let small = [height / factor, width / factor];
        let first = small[0] * small[1] * keys.channels[0];
        let dense = Perceptron::new(seen, &keys.hidden, first, keys.activation);
        let dense =
            dense.map_err(|error| Fault::new("emission.hidden", error.to_string(), "layers of units", "list them"))?;
        Ok(Self {
            dense,
            small,
            channels: [&keys.channels[..], &[frames]].concat(),
            activation: keys.activation,
        })
    }

    /// Adds initial parameters; `bias` is that of the frames, which all their pixels share.
    pub fn initial(
        &self,
        theta: &mut Parameters,
        (dtype, device): (DType, &Device),
        bias: &[f64],
        stream: &Stream,
    ) -> Result<()> {
        self.dense.initial(DENSE, theta, dtype, device, stream)?;
        let before = self.dense.layers() as u64;
        for (i, pair) in self.channels.windows(2).enumerate() {
            let taps = 9 * pair[0];
            let weight = normal(stream.at(before + i as u64), (taps, pair[1]), DType::F64, &Device::Cpu)?;
            let weight = (weight / (taps as f64).sqrt())?;
            theta.insert(name(i, "weight"), &weight.to_dtype(dtype)?.to_device(device)?)?;
            let is_last = i + 2 == self.channels.len();
            let bias = match is_last {
                true => Tensor::new(bias, device)?.to_dtype(dtype)?,
                false => Tensor::zeros(pair[1], dtype, device)?,
            };
            theta.insert(name(i, "bias"), &bias)?;
        }
        Ok(())
    }

    /// F.
    pub fn frames(&self) -> usize {
        self.channels.last().copied().unwrap_or(1)
    }

    /// Its value at states (and h) `[N, S]`. `[N, H · W · F]`
    pub fn forward(&self, theta: &Parameters, seen: &Tensor) -> Result<Tensor> {
        let n = seen.dim(0)?;
        let flat = nn::activated(&self.dense.forward(theta, DENSE, seen)?, self.activation)?;
        let mut image = flat.reshape((n, self.small[0], self.small[1], self.channels[0]))?;
        let layers = self.channels.len() - 1;
        for i in 0..layers {
            image = nn::convolution(
                &image,
                theta.get(&name(i, "weight"))?,
                theta.get(&name(i, "bias"))?,
                true,
            )?;
            if i + 1 < layers {
                image = nn::activated(&image, self.activation)?;
            }
        }
        Ok(image.flatten_from(1)?)
    }
}

/// The name of a parameter of convolution `i`.
fn name(i: usize, kind: &str) -> String {
    format!("emission.convolution.{i}.{kind}")
}
