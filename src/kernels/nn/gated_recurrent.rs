//! Gated recurrent units (Cho et al. 2014), in the variant whose reset gate acts after the recurrent product, as in
//! cuDNN, PyTorch and flax, so that one matrix product per step is enough:
//!
//! ```text
//! r_t = σ(x_t W_r + b_r + h_{t-1} U_r)        reset gate
//! z_t = σ(x_t W_z + b_z + h_{t-1} U_z)        update gate
//! n_t = tanh(x_t W_n + b_n + r_t * (h_{t-1} U_n + c))
//! h_t = (1 - z_t) * n_t + z_t * h_{t-1}
//! ```
//!
//! Parameters, gates side by side in the order r, z, n: `{prefix}.input.weight` `[I, 3H]`, `{prefix}.input.bias` `[3H]`,
//! `{prefix}.recurrent.weight` `[H, 3H]`, and `{prefix}.recurrent.bias` `[H]`, the `c` above. The other two gates need
//! no second bias.
//!
//! A sequence shorter than its batch is padded at its end. A step of padding hands on the state that it receives, its
//! input is never read, and its gradient is 0.

use super::gated_recurrent_operation::Sweep;
use super::{Direction, Parameters, composed, composed_sequences, normal};
use crate::math::streams::Stream;
use crate::{Error, Result};
use candle_core::{DType, Device, Tensor};

/// The sizes of a recurrent network; its weights and biases are in [`Parameters`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GatedRecurrent {
    inputs: usize,
    units: usize,
}

impl GatedRecurrent {
    /// A network of `units` state numbers H that reads `inputs` numbers I per step.
    pub fn new(inputs: usize, units: usize) -> Result<Self> {
        if inputs == 0 || units == 0 {
            return Err(Error::Other(format!(
                "a recurrent network expects at least one input and one unit, got {inputs} and {units}"
            )));
        }
        Ok(Self { inputs, units })
    }

    /// H, how many numbers a state has.
    pub fn units(&self) -> usize {
        self.units
    }

    /// Adds initial parameters: weights of the inputs normal with variance `1 / I` (LeCun et al. 1998), recurrent
    /// weights of each gate a random orthogonal matrix (Saxe et al. 2014), biases 0.
    ///
    /// The weights of the inputs draw from the generator `stream.at(0)`, the recurrent ones from `stream.at(1)`, in f64,
    /// so that networks of the same sizes start from the same numbers for every type.
    pub fn initial(
        &self,
        prefix: &str,
        parameters: &mut Parameters,
        dtype: DType,
        device: &Device,
        stream: &Stream,
    ) -> Result<()> {
        let (i, h) = (self.inputs, self.units);
        let input = normal(stream.at(0), (i, 3 * h), DType::F64, &Device::Cpu)?;
        let numbers = normal(stream.at(1), (3, h, h), DType::F64, &Device::Cpu)?.to_vec3()?;
        let gates = numbers.into_iter().map(|rows| {
            let rows = orthonormal(rows).concat();
            Ok(Tensor::from_vec(rows, (h, h), &Device::Cpu)?)
        });
        let recurrent = Tensor::cat(&gates.collect::<Result<Vec<_>>>()?, 1)?; // [H, 3H]
        let mut insert = |name: &str, value: Tensor| {
            parameters.insert(format!("{prefix}.{name}"), &value.to_dtype(dtype)?.to_device(device)?)
        };
        insert("input.weight", (input / (i as f64).sqrt())?)?;
        insert("input.bias", Tensor::zeros(3 * h, DType::F64, &Device::Cpu)?)?;
        insert("recurrent.weight", recurrent)?;
        insert("recurrent.bias", Tensor::zeros(h, DType::F64, &Device::Cpu)?)
    }

    /// All states: `inputs` `[B, T, I]`, `initial` `[B, H]` (0 if absent), result `[B, T, H]`, in the order of time in
    /// both directions. `lengths` says how many steps each sequence has, at most T; all have T if it is absent.
    ///
    /// Sweeping forward, the state at step T - 1 is that after each sequence's last step, and padding holds copies of it.
    /// Handing it as `initial` to the next window continues the sweep. Sweeping backward, padding is visited first and
    /// holds copies of the initial state, and the state at step 0 is the last one.
    ///
    /// Gradients come from [`super::backward()`].
    ///
    /// # Errors
    /// If sizes disagree, or a length exceeds T.
    pub fn sweep(
        &self,
        parameters: &Parameters,
        prefix: &str,
        inputs: &Tensor,
        initial: Option<&Tensor>,
        lengths: Option<&[usize]>,
        direction: Direction,
    ) -> Result<Tensor> {
        let get = |name: &str| parameters.get(&format!("{prefix}.{name}"));
        let (input_weight, input_bias) = (get("input.weight")?, get("input.bias")?);
        let (recurrent_weight, recurrent_bias) = (get("recurrent.weight")?, get("recurrent.bias")?);
        let weights = [input_weight, input_bias, recurrent_weight, recurrent_bias];
        self.check(inputs, initial, lengths, weights)?;
        let initial = match initial {
            Some(initial) => initial.contiguous()?,
            None => Tensor::zeros((inputs.dim(0)?, self.units), inputs.dtype(), inputs.device())?,
        };
        if composed::wanted(inputs) {
            return composed_sequences::gated_recurrent(inputs, &initial, lengths, direction, weights);
        }
        let others = [input_weight, recurrent_weight, recurrent_bias].map(Tensor::clone);
        let sweep = Sweep::new(others, lengths, direction);
        Ok(inputs.contiguous()?.apply_op3(input_bias, &initial, sweep)?) // [B, T, H]
    }

    fn check(
        &self,
        inputs: &Tensor,
        initial: Option<&Tensor>,
        lengths: Option<&[usize]>,
        weights: [&Tensor; 4],
    ) -> Result<()> {
        let (i, h) = (self.inputs, self.units);
        let of_weights: [&[usize]; 4] = [&[i, 3 * h], &[3 * h], &[h, 3 * h], &[h]];
        let fits = match *inputs.dims() {
            [b, t, columns] => {
                b > 0
                    && t > 0
                    && columns == i
                    && initial.is_none_or(|initial| initial.dims() == [b, h])
                    && lengths.is_none_or(|lengths| lengths.len() == b && lengths.iter().all(|&length| length <= t))
                    && weights
                        .iter()
                        .zip(of_weights)
                        .all(|(weight, dims)| weight.dims() == dims)
            }
            _ => false,
        };
        if fits {
            return Ok(());
        }
        Err(Error::Other(format!(
            "a recurrent network of {i} inputs and {h} units expects inputs [B, T, {i}] with B, T > 0, an initial state \
             [B, {h}], B lengths of at most T and its own parameters; got inputs {:?}, initial {:?}, lengths {lengths:?}, \
             parameters {:?}",
            inputs.dims(),
            initial.map(Tensor::dims),
            weights.map(Tensor::dims)
        )))
    }
}

/// The rows made orthonormal, one after another (Gram-Schmidt). Each is orthogonalised twice, so that rounding does not
/// add up. Of independent normal numbers this makes a uniformly distributed orthogonal matrix.
fn orthonormal(mut rows: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    for i in 0..rows.len() {
        let (before, rest) = rows.split_at_mut(i);
        let row = &mut rest[0];
        for other in before.iter().chain(before.iter()) {
            let share = dot(row, other);
            row.iter_mut().zip(other).for_each(|(x, other)| *x -= share * other);
        }
        let norm = dot(row, row).sqrt();
        row.iter_mut().for_each(|x| *x /= norm);
    }
    rows
}
