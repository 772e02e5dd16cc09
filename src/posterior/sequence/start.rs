//! Where the mean of q starts: a linear map of the observation that makes the inputs visible as steps of the state.
//!
//! Of all linear maps W, `min_W Σ_t |u_t − W (o_{t+1} − o_t)|² + λ |W|²` is the one under which the state moves by the input,
//! x_{t+1} ≈ x_t + u_t: the encoder of a model whose transition is that. It needs one solve and no labels. A network that
//! starts at random folds a plane of images; one that starts here does not.
//!
//! A pixel that is hardly ever lit in the data has a weight near 0 by the ridge alone, and what is seen there is placed far
//! off. The penalty μ Σ |w_{i−1} − 2 w_i + w_{i+1}|² along the rows and columns of an image lets its weight continue those of
//! its neighbours.

use super::SequenceKeys;
use super::networks::{GATE, START};
use crate::data::{Batches, Dataset};
use crate::error::provided;
use crate::math::ridge_regression;
use crate::model::Model;
use crate::nn::Parameters;
use crate::{Error, Result};
use candle_core::{D, DType, Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The initial mean of q.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum InitialValues {
    /// x_t = W (o_t − ō), W the least-squares map from differences of observations to inputs. The network is added to it. There
    /// must be as many states as inputs.
    LeastSquares(LeastSquaresKeys),
}

/// Keys of the least-squares start.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct LeastSquaresKeys {
    /// λ, relative to the mean eigenvalue of Σ_t (o_{t+1} − o_t) (o_{t+1} − o_t)ᵀ.
    #[schemars(range(min = 1e-9, max = 1e3))]
    pub ridge: f64,
    /// μ, relative to the same: of the squared second differences of W along the rows and columns of each frame. Only of
    /// images.
    #[schemars(range(min = 0, max = 1e3))]
    pub roughness: f64,
    /// The root mean square of the states at the start, over steps and dimensions. W is scaled to it.
    #[schemars(range(min = 1e-6, max = 1e6))]
    pub deviation: f64,
    /// The share of training in which the mean of q stays W (o_t − ō), while everything else learns.
    #[schemars(range(min = 0, max = 1))]
    pub frozen: f64,
}

impl Default for LeastSquaresKeys {
    fn default() -> Self {
        Self {
            ridge: 2e-3,
            roughness: 0.0,
            deviation: 4.0,
            frozen: 0.3,
        }
    }
}

/// Observations of more numbers are not solved for: their squares are a matrix.
const WIDEST: usize = 6000;
/// Sequences that are read at once.
const SEQUENCES: usize = 64;

impl LeastSquaresKeys {
    /// Pixels next to each other, as numbers of `width` features; none if W may be rough.
    fn triples(&self, train: &Dataset, width: usize) -> Result<Vec<[usize; 3]>> {
        if self.roughness == 0.0 {
            return Ok(Vec::new());
        }
        let image = train
            .observed
            .image()
            .filter(|shape| shape.iter().product::<usize>() == width);
        let [rows, columns, frames] = image.ok_or_else(|| {
            Error::Data(
                "`posterior.initial_values.roughness` is of the weights of neighbouring pixels, and q does not see the pixels of \
                 an image: remove it, or `model.principal_components`"
                    .into(),
            )
        })?;
        let at = |row: usize, column: usize, frame: usize| (row * columns + column) * frames + frame;
        let mut triples = Vec::new();
        for (row, column) in (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column))) {
            for frame in 0..frames {
                if row + 2 < rows {
                    triples.push([0, 1, 2].map(|step| at(row + step, column, frame)));
                }
                if column + 2 < columns {
                    triples.push([0, 1, 2].map(|step| at(row, column + step, frame)));
                }
            }
        }
        Ok(triples)
    }
}

impl InitialValues {
    fn keys(&self) -> &LeastSquaresKeys {
        let Self::LeastSquares(keys) = self;
        keys
    }

    /// The share of training after which the mean learns.
    pub fn frozen(&self) -> f64 {
        self.keys().frozen
    }

    /// Sets W and the gate among `parameters`, from the sequences of `train`.
    pub fn initial(&self, model: &dyn Model, train: &Dataset, parameters: &mut Parameters) -> Result<()> {
        let keys = self.keys();
        let (dtype, device) = (parameters.dtype(), parameters.device());
        let sums = Sums::of(model, train, parameters)?;
        let x = parameters.get(START)?.dim(1)?;
        let (width, inputs) = sums.with_inputs.dims2()?;
        if inputs != x {
            return Err(Error::Data(format!(
                "`posterior.initial_values` of kind `least_squares` gives one state for each input, and there are {inputs} inputs \
                 and {x} states: set `model.states = {inputs}`, or remove it"
            )));
        }
        let flat = |tensor: &Tensor| tensor.flatten_all()?.to_vec1::<f64>();
        let solved = ridge_regression(
            &flat(&sums.of_differences)?,
            &flat(&sums.with_inputs)?,
            width,
            keys.ridge,
            (keys.roughness, &keys.triples(train, width)?),
        );
        let weight = solved.ok_or_else(|| {
            Error::Data(
                "`posterior.initial_values`: the differences of observations say nothing about the inputs".into(),
            )
        })?;
        let weight = Tensor::from_vec(weight, (width, x), &Device::Cpu)?;
        // Moments of W o over all steps.
        let mean = sums.mean.unsqueeze(0)?.matmul(&weight)?; // [1, X]
        let second = (weight.t()?.matmul(&sums.of_observations)? * weight.t()?)?.sum(1)?; // [X]
        let variance = (second - mean.squeeze(0)?.sqr()?)?.mean_all()?.to_scalar::<f64>()?;
        let scale = keys.deviation / variance.max(f64::MIN_POSITIVE).sqrt();
        let placed = |tensor: Tensor| -> Result<Tensor> { Ok(tensor.to_dtype(dtype)?.to_device(&device)?) };
        parameters.insert(START, &placed((&weight * scale)?)?)?;
        parameters.insert(format!("{START}.bias"), &placed((mean * -scale)?)?)?;
        parameters.fill(GATE, self.gate(0.0))
    }

    /// The gate of the mean after this share of training: 0 while it is frozen, then 1.
    pub fn gate(&self, share: f64) -> f64 {
        f64::from(u8::from(share >= self.frozen()))
    }
}

impl SequenceKeys {
    /// Sets what changes during training to its value after this share of it.
    pub fn schedule(&self, parameters: &Parameters, share: f64) -> Result<()> {
        match &self.initial_values {
            Some(values) => parameters.fill(GATE, values.gate(share)),
            None => Ok(()),
        }
    }

    /// The share of training after which that is constant.
    pub fn schedule_ends(&self) -> f64 {
        self.initial_values.map_or(0.0, |values| values.frozen())
    }
}

/// Sums over the steps of all sequences, of features f and inputs u, in f64.
struct Sums {
    /// Σ d dᵀ of differences d = f_{t+1} − f_t. `[F, F]`
    of_differences: Tensor,
    /// Σ d uᵀ. `[F, U]`
    with_inputs: Tensor,
    /// Mean of f. `[F]`
    mean: Tensor,
    /// Mean of f fᵀ. `[F, F]`
    of_observations: Tensor,
}

impl Sums {
    fn of(model: &dyn Model, train: &Dataset, parameters: &Parameters) -> Result<Self> {
        let theta = parameters.constant();
        let mut sums: Option<[Tensor; 4]> = None;
        let mut rows = 0.0;
        for batch in Batches::new(train, theta.dtype(), &theta.device()).parts(SEQUENCES) {
            let batch = batch?;
            let joint = model.joint(&theta, &batch)?;
            let model = provided(joint.sequential(), "paths of states")?;
            let features = model.features().to_dtype(DType::F64)?;
            let width = features.dim(D::Minus1)?;
            if width > WIDEST {
                return Err(Error::Data(format!(
                    "`posterior.initial_values`: an observation of {width} numbers is too wide for least squares (at most {WIDEST})"
                )));
            }
            let inputs = model.steps().inputs.as_ref();
            let inputs = provided(inputs, "inputs, which `posterior.initial_values` explains")?.to_dtype(DType::F64)?;
            let mask = match &model.steps().mask {
                Some(mask) => mask.to_dtype(DType::F64)?,
                None => Tensor::ones(features.dims3().map(|(b, t, _)| (b, t))?, DType::F64, &Device::Cpu)?,
            };
            let mask = mask.unsqueeze(2)?; // [B, T, 1]
            let steps = mask.dim(1)?;
            let seen = features.broadcast_mul(&mask)?.flatten_to(1)?;
            let mut own = vec![seen.sum(0)?, seen.t()?.matmul(&seen)?];
            rows += mask.sum_all()?.to_scalar::<f64>()?;
            let later = |tensor: &Tensor| tensor.narrow(1, 1, steps.max(1) - 1);
            let before = |tensor: &Tensor| tensor.narrow(1, 0, steps.max(1) - 1);
            let both = later(&mask)?; // The last step that is there has one before it.
            let difference = (later(&features)? - before(&features)?)?
                .broadcast_mul(&both)?
                .flatten_to(1)?;
            let inputs = before(&inputs)?.broadcast_mul(&both)?.flatten_to(1)?;
            own.push(difference.t()?.matmul(&difference)?);
            own.push(difference.t()?.matmul(&inputs)?);
            let own: [Tensor; 4] = own.try_into().map_err(|_| Error::Lacking("four sums"))?;
            sums = Some(match sums {
                None => own,
                Some([a, b, c, d]) => {
                    let [e, f, g, h] = own;
                    [(a + e)?, (b + f)?, (c + g)?, (d + h)?]
                }
            });
        }
        let [sum, second, of_differences, with_inputs] = provided(sums, "sequences to learn from")?;
        Ok(Self {
            of_differences,
            with_inputs,
            mean: (sum / rows)?,
            of_observations: (second / rows)?,
        })
    }
}
