//! Standard normal numbers as a tensor.

use crate::Result;
use candle_core::{DType, Device, Shape, Tensor};
use rand::Rng;
use rand_distr::{Distribution, StandardNormal};

/// Independent N(0, 1) numbers of this shape, drawn in f64 in row-major order, then rounded to `dtype`: the same numbers
/// for every type and device.
pub fn normal(generator: impl Rng, shape: impl Into<Shape>, dtype: DType, device: &Device) -> Result<Tensor> {
    let shape = shape.into();
    let numbers: Vec<f64> = StandardNormal.sample_iter(generator).take(shape.elem_count()).collect();
    Ok(Tensor::from_vec(numbers, shape, &Device::Cpu)?
        .to_dtype(dtype)?
        .to_device(device)?)
}
