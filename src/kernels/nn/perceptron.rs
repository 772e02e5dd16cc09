//! Multi-layer perceptrons: dense layers with one activation between them, none after the last.
//!
//! `h_0 = x`, `h_{i+1} = f(h_i W_i + b_i)`, the last layer linear. Without hidden layers this is the linear function
//! `x W + b`. Parameters are `{prefix}.{i}.weight` `[I, O]` and `{prefix}.{i}.bias` `[O]`.
//!
//! Where the gradient of `f` follows from its value, the whole network is one operation; otherwise a chain of dense
//! layers.

use super::layers::Layers;
use super::{Activation, Parameters, composed, dense, normal};
use crate::math::streams::Stream;
use crate::{Error, Result};
use candle_core::{DType, Device, Tensor};

/// The sizes of a network; its weights and biases are in [`Parameters`].
#[derive(Debug, Clone, PartialEq)]
pub struct Perceptron {
    sizes: Vec<usize>,
    activation: Activation,
    output_scale: f64,
}

impl Perceptron {
    /// A network from `inputs` through the `hidden` layers to `outputs` numbers.
    pub fn new(inputs: usize, hidden: &[usize], outputs: usize, activation: Activation) -> Result<Self> {
        let sizes = [&[inputs], hidden, &[outputs]].concat();
        if sizes.contains(&0) {
            return Err(Error::Other(format!(
                "a network expects layers of at least one unit, got {sizes:?}"
            )));
        }
        Ok(Self {
            sizes,
            activation,
            output_scale: 1.0,
        })
    }

    /// The same network, the initial weights of its last layer multiplied by `scale`: small values make the initial
    /// output nearly constant.
    pub fn with_output_scale(self, scale: f64) -> Self {
        Self {
            output_scale: scale,
            ..self
        }
    }

    /// How many numbers the network returns.
    pub fn outputs(&self) -> usize {
        self.sizes[self.layers()]
    }

    /// How many dense layers there are.
    pub fn layers(&self) -> usize {
        self.sizes.len() - 1
    }

    /// The non-linearity between hidden layers.
    pub fn activation(&self) -> Activation {
        self.activation
    }

    /// Weight `[I, O]` and bias `[O]` of dense layer `i`.
    pub fn layer<'a>(&self, parameters: &'a Parameters, prefix: &str, i: usize) -> Result<(&'a Tensor, &'a Tensor)> {
        let get = |kind: &str| parameters.get(&format!("{prefix}.{i}.{kind}"));
        Ok((get("weight")?, get("bias")?))
    }

    /// Adds initial parameters: weights normal with variance `1 / I` (LeCun et al. 1998), biases 0.
    ///
    /// Layer `i` draws from the generator `stream.at(i)` in f64, row by row, so that networks of the same sizes start
    /// from the same numbers for every type.
    pub fn initial(
        &self,
        prefix: &str,
        parameters: &mut Parameters,
        dtype: DType,
        device: &Device,
        stream: &Stream,
    ) -> Result<()> {
        for (i, size) in self.sizes.windows(2).enumerate() {
            let (inputs, outputs) = (size[0], size[1]);
            let last = i + 1 == self.layers();
            let scale = if last { self.output_scale } else { 1.0 } / (inputs as f64).sqrt();
            let weight = (normal(stream.at(i as u64), (inputs, outputs), DType::F64, &Device::Cpu)? * scale)?;
            parameters.insert(
                format!("{prefix}.{i}.weight"),
                &weight.to_dtype(dtype)?.to_device(device)?,
            )?;
            parameters.insert(format!("{prefix}.{i}.bias"), &Tensor::zeros(outputs, dtype, device)?)?;
        }
        Ok(())
    }

    /// The network's value: `x` `[B, I] -> [B, O]`. Gradients come from [`super::backward()`].
    pub fn forward(&self, parameters: &Parameters, prefix: &str, x: &Tensor) -> Result<Tensor> {
        let get = |kind: &str, i: usize| parameters.get(&format!("{prefix}.{i}.{kind}")).cloned();
        let all = |kind| {
            (0..self.layers())
                .map(move |i| get(kind, i))
                .collect::<Result<Vec<_>>>()
        };
        let (weights, mut biases) = (all("weight")?, all("bias")?);
        match self.activation.saturation() {
            Some(f) if !composed::wanted(x) => {
                self.check(x, &weights, &biases)?;
                let last = biases.remove(biases.len() - 1);
                Ok(x.contiguous()?.apply_op2(&last, Layers::new(weights, biases, f))?) // [B, O]
            }
            _ => {
                let mut h = x.clone();
                for (i, (weight, bias)) in weights.iter().zip(&biases).enumerate() {
                    let last = i + 1 == self.layers();
                    let f = if last { Activation::Identity } else { self.activation };
                    h = dense(&h, weight, bias, f)?;
                }
                Ok(h) // [B, O]
            }
        }
    }

    /// Faults of shape, which would otherwise only fail deep inside a product.
    fn check(&self, x: &Tensor, weights: &[Tensor], biases: &[Tensor]) -> Result<()> {
        let fits =
            |i: usize| weights[i].dims() == &self.sizes[i..i + 2] && biases[i].dims() == &self.sizes[i + 1..i + 2];
        if x.rank() == 2 && x.dims()[1] == self.sizes[0] && (0..self.layers()).all(fits) {
            return Ok(());
        }
        let dims = |tensors: &[Tensor]| tensors.iter().map(|t| t.dims().to_vec()).collect::<Vec<_>>();
        Err(Error::Other(format!(
            "a perceptron of sizes {:?} expects x [B, {}] and its own parameters; got x {:?}, weights {:?}, biases {:?}",
            self.sizes,
            self.sizes[0],
            x.dims(),
            dims(weights),
            dims(biases)
        )))
    }
}
