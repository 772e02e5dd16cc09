//! A 3×3 convolution of images with zeros around them, channels last, after an optional doubling of rows and columns:
//!
//! `y[i, j, o] = b_o + Σ_{a, b ∈ {−1, 0, 1}} Σ_c x[(i + a) / s, (j + b) / s, c] W[(a, b, c), o]`, `s` 1 or 2, division rounded down.
//!
//! Doubling and convolution in place of a transposed convolution leave no checkerboard (Odena, Dumoulin & Olah 2016). Image by
//! image, the neighbourhoods are the rows of a matrix, and the convolution is one product; they are gathered again in the
//! backward pass, which costs less than to keep them.

use super::composed;
use super::float::{Float, elements, with_elements, with_float};
use super::matmul::{Matrix, add_product, product};
use crate::{Error, Result};
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp3, Layout, Shape, Tensor, WithDType};

/// The convolution of `x` `[N, H, W, C]` with `weight` `[9 C, O]` and `bias` `[O]`. `[N, s H, s W, O]`
///
/// # Errors
/// If the shapes do not fit.
pub fn convolution(x: &Tensor, weight: &Tensor, bias: &Tensor, is_doubled: bool) -> Result<Tensor> {
    let (_, _, _, channels) = x.dims4()?;
    if weight.dims() != [9 * channels, bias.elem_count()] || bias.rank() != 1 {
        return Err(Error::Other(format!(
            "a convolution of images {:?} expects a weight [{}, O] and a bias [O]; got {:?} and {:?}",
            x.dims(),
            9 * channels,
            weight.dims(),
            bias.dims()
        )));
    }
    if composed::wanted(x) {
        return composed::convolution(x, weight, bias, is_doubled);
    }
    let operation = Convolution {
        scale: if is_doubled { 2 } else { 1 },
    };
    Ok(x.contiguous()?
        .apply_op3(&weight.contiguous()?, &bias.contiguous()?, operation)?)
}

struct Convolution {
    scale: usize,
}

/// The sizes of one image: rows, columns and channels before doubling, and the scale.
#[derive(Clone, Copy)]
struct Image {
    height: usize,
    width: usize,
    channels: usize,
    scale: usize,
}

impl Image {
    fn of(dims: &[usize], scale: usize) -> candle_core::Result<(usize, Self)> {
        let [images, height, width, channels] = *dims else {
            candle_core::bail!("a convolution expects images [N, H, W, C], got {dims:?}")
        };
        Ok((
            images,
            Self {
                height,
                width,
                channels,
                scale,
            },
        ))
    }

    /// Numbers of one image.
    fn len(&self) -> usize {
        self.height * self.width * self.channels
    }

    /// Pixels after doubling.
    fn pixels(&self) -> usize {
        self.height * self.width * self.scale * self.scale
    }

    /// Calls `each` with every place of a neighbour that is inside: where its channels are in the row of neighbourhoods, and
    /// in the image.
    fn neighbours(&self, mut each: impl FnMut(usize, usize)) {
        let (rows, columns, c) = (self.height * self.scale, self.width * self.scale, self.channels);
        for i in 0..rows {
            for j in 0..columns {
                let at = (i * columns + j) * 9 * c;
                for place in 0..9 {
                    // One more than the neighbour's row and column, so that none is below 0.
                    let (row, column) = (i + place / 3, j + place % 3);
                    if (1..=rows).contains(&row) && (1..=columns).contains(&column) {
                        let pixel = (row - 1) / self.scale * self.width + (column - 1) / self.scale;
                        each(at + place * c, pixel * c);
                    }
                }
            }
        }
    }

    /// The neighbourhoods of every pixel of `x`, into rows that hold 0 outside. `[s H · s W, 9 C]`
    fn gather<T: Float>(&self, x: &[T], into: &mut [T]) {
        let c = self.channels;
        self.neighbours(|to, from| into[to..to + c].copy_from_slice(&x[from..from + c]));
    }

    /// Adds every neighbourhood to the pixels that it was gathered from.
    fn scatter<T: Float>(&self, rows: &[T], into: &mut [T]) {
        let c = self.channels;
        self.neighbours(|from, to| {
            for (sum, value) in into[to..to + c].iter_mut().zip(&rows[from..from + c]) {
                *sum += *value;
            }
        });
    }
}

impl CustomOp3 for Convolution {
    fn name(&self) -> &'static str {
        "convolution"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let (images, image) = Image::of(x_layout.dims(), self.scale)?;
        let (taps, outputs) = weight_layout.shape().dims2()?;
        let (height, width) = (image.height * self.scale, image.width * self.scale);
        with_float!(x.dtype(), self.name(), T => {
            let (x, weight) = (elements::<T>(x, x_layout)?, elements::<T>(weight, weight_layout)?);
            let bias = elements::<T>(bias, bias_layout)?;
            let pixels = image.pixels();
            let mut out = bias.repeat(images * pixels);
            let mut rows = vec![T::of(0.0); pixels * taps];
            for (x, out) in x.chunks_exact(image.len().max(1)).zip(out.chunks_exact_mut((pixels * outputs).max(1))) {
                image.gather(x, &mut rows);
                let (rows, weight) = (Matrix::new(&rows, pixels, taps), Matrix::new(weight, taps, outputs));
                add_product(out, outputs, rows, weight);
            }
            Ok((T::to_cpu_storage_owned(out), (images, height, width, outputs).into()))
        })
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _: &Tensor,
        g: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (_, image) = Image::of(x.dims(), self.scale)?;
        let (taps, outputs) = weight.dims2()?;
        let (x, weight) = (x.contiguous()?, weight.contiguous()?);
        let g = g.contiguous()?;
        let of_bias = g.reshape(((), outputs))?.sum(0)?.reshape(bias.shape())?;
        with_float!(x.dtype(), self.name(), T => {
            let (of_x, of_weight) = with_elements::<T, _>(&x, |values| with_elements::<T, _>(&weight, |w| with_elements::<T, _>(&g, |g| {
                let pixels = image.pixels();
                let mut of_x = vec![T::of(0.0); if x.track_op() { values.len() } else { 0 }];
                let mut of_weight = vec![T::of(0.0); taps * outputs];
                let mut rows = vec![T::of(0.0); pixels * taps];
                let each = values.chunks_exact(image.len().max(1)).zip(g.chunks_exact((pixels * outputs).max(1)));
                for (n, (values, g)) in each.enumerate() {
                    image.gather(values, &mut rows);
                    let g = Matrix::new(g, pixels, outputs);
                    add_product(&mut of_weight, outputs, Matrix::new(&rows, pixels, taps).transposed(), g);
                    if x.track_op() {
                        let back = product(g, Matrix::new(w, taps, outputs).transposed());
                        image.scatter(&back, &mut of_x[n * image.len()..][..image.len()]);
                    }
                }
                Ok((of_x, of_weight))
            })))?;
            let of_x = x.track_op().then(|| Tensor::from_vec(of_x, x.shape(), x.device())).transpose()?;
            Ok((of_x, Some(Tensor::from_vec(of_weight, weight.shape(), weight.device())?), Some(of_bias)))
        })
    }
}
