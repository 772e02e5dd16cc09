//! A Gaussian recursion over all steps as one operation, with back-propagation through time.
//!
//! Inside, steps come first, and R = B S rows. What the outputs of a step are linear in lies side by side, the hidden
//! values and the state before: layers `[T, R, H + X]`. So `[V; A]` `[H + X, 2X]` is one weight. Means and raw numbers are
//! two products into flat arrays, so that the passes between them vectorise for any X. The first backward pass consumes
//! the values; another pass computes them again.
//!
//! The result is one vector: states `[R, T, X]`, then log-densities `[R, T]`. The weights are one vector: `W` `[X, H]`,
//! `V` `[H, 2X]`, `A` `[X, 2X]`.

use super::activation::sum_rows;
use super::arguments::Saturation;
use super::float::{Float, elements, with_elements, with_float};
use super::gaussian_recursion_kernel::{activate, activate_back, draw, draw_back};
use super::matmul::{Matrix, add_product};
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp3, Layout, Shape, Tensor, WithDType};
use std::sync::Mutex;

#[derive(Clone, Copy)]
pub(crate) struct Sizes {
    pub b: usize,
    pub s: usize,
    pub t: usize,
    pub x: usize,
    /// H, 0 for a linear recursion.
    pub hidden: usize,
}

impl Sizes {
    pub(crate) fn rows(&self) -> usize {
        self.b * self.s
    }

    /// How many numbers all states of one step have.
    fn step(&self) -> usize {
        self.rows() * self.x
    }

    /// The columns of a layer.
    fn layer(&self) -> usize {
        self.hidden + self.x
    }

    /// The context of row `row` at `step`, as a range of all of them.
    fn context(&self, row: usize, step: usize) -> std::ops::Range<usize> {
        let width = self.hidden + 2 * self.x;
        let at = (row / self.s * self.t + step) * width;
        at..at + width
    }
}

/// The constants of the operation.
pub(crate) struct Recursion {
    sizes: Sizes,
    f: Saturation,
    floor: f64,
    noise: Tensor, // [T, R, X]
    kept: Mutex<Option<[CpuStorage; 3]>>,
}

/// What one pass computes, besides its result.
struct Values<T> {
    layers: Vec<T>,   // [T, R, H + X]
    slopes: Vec<T>,   // [T, R, X]
    relative: Vec<T>, // [T, R, X]
}

impl Recursion {
    pub(crate) fn new(sizes: Sizes, f: Saturation, floor: f64, noise: Tensor) -> Self {
        Self {
            sizes,
            f,
            floor,
            noise,
            kept: Mutex::new(None),
        }
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Option<[CpuStorage; 3]>> {
        self.kept.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The result and the values behind it.
    fn values<T: Float>(&self, context: &[T], initial: &[T], weights: &[T], noise: &[T]) -> (Vec<T>, Values<T>) {
        let s = self.sizes;
        let (rows, x, h, n, width) = (s.rows(), s.x, s.hidden, s.step(), s.layer());
        let (state_weight, output_weight) = weights.split_at(x * h);
        let mut layers = Vec::with_capacity(s.t * rows * width);
        let mut slopes = vec![T::zero(); s.t * n];
        let mut relative = vec![T::zero(); s.t * n];
        let mut out = vec![T::zero(); s.t * (n + rows)];
        let (states, densities) = out.split_at_mut(s.t * n);
        let mut state = initial.to_vec(); // [R, X]
        let (mut mean, mut sums) = (Vec::with_capacity(n), vec![T::zero(); rows]);
        for step in 0..s.t {
            let (raw, relative) = (&mut slopes[step * n..][..n], &mut relative[step * n..][..n]);
            let start = layers.len();
            mean.clear();
            for (row, (state, raw)) in state.chunks_exact(x).zip(raw.chunks_exact_mut(x)).enumerate() {
                let context = &context[s.context(row, step)];
                layers.extend_from_slice(&context[..h]);
                layers.extend_from_slice(state);
                mean.extend_from_slice(&context[h..h + x]);
                raw.copy_from_slice(&context[h + x..]);
            }
            let layer = &mut layers[start..];
            if h > 0 {
                add_product(
                    layer,
                    width,
                    Matrix::new(&state, rows, x),
                    Matrix::new(state_weight, x, h),
                );
                activate(layer, h, width, self.f);
            }
            let layer = Matrix::new(layer, rows, width);
            add_product(&mut mean, x, layer, Matrix::strided(output_weight, width, x, 2 * x));
            add_product(raw, x, layer, Matrix::strided(&output_weight[x..], width, x, 2 * x));
            let noise = &noise[step * n..][..n];
            draw(&mut mean, raw, relative, &mut state, noise, T::of(self.floor));
            sum_rows(&mean, x, &mut sums);
            let all = states.chunks_exact_mut(s.t * x).zip(state.chunks_exact(x));
            all.for_each(|(all, state)| all[step * x..][..x].copy_from_slice(state));
            let all = densities.chunks_exact_mut(s.t).zip(&sums);
            all.for_each(|(all, sum)| all[step] = *sum);
        }
        let values = Values {
            layers,
            slopes,
            relative,
        };
        (out, values)
    }

    /// Gradients of context, initial state and weights, from that of the result.
    fn gradients<T: Float>(&self, values: &Values<T>, weights: &[T], noise: &[T], g: &[T]) -> [Vec<T>; 3] {
        let s = self.sizes;
        let (rows, x, h, n, width) = (s.rows(), s.x, s.hidden, s.step(), s.layer());
        let (state_weight, output_weight) = weights.split_at(x * h);
        let (g_states, g_densities) = g.split_at(s.t * n);
        let to_state = Matrix::new(state_weight, x, h).to_transposed(); // [H, X]
        // Rows for the means, then for the raw numbers. [2X, H + X]
        let to_layer = Matrix::new(output_weight, width, 2 * x).to_transposed();
        let (by_mean, by_raw) = to_layer.split_at(x * width);
        let mut of_context = vec![T::zero(); s.b * s.t * (h + 2 * x)];
        let mut of_outputs = [0; 2].map(|_| vec![T::zero(); s.t * n]);
        let mut of_layers = vec![T::zero(); s.t * rows * width];
        let [mut carried, mut of_state] = [0; 2].map(|_| vec![T::zero(); n]);
        for step in (0..s.t).rev() {
            let range = step * n..(step + 1) * n;
            let [of_mean, of_raw] = of_outputs.each_mut().map(|all| &mut all[range.clone()]);
            for (to, all) in of_state.chunks_exact_mut(x).zip(g_states.chunks_exact(s.t * x)) {
                to.copy_from_slice(&all[step * x..][..x]);
            }
            for (to, all) in of_raw.chunks_exact_mut(x).zip(g_densities.chunks_exact(s.t)) {
                to.fill(all[step]);
            }
            let (noise, slopes) = (&noise[range.clone()], &values.slopes[range.clone()]);
            draw_back(&mut carried, &of_state, of_raw, noise, slopes, &values.relative[range]);
            of_mean.copy_from_slice(&carried);
            let range = step * rows * width..(step + 1) * rows * width;
            let of_layer = &mut of_layers[range.clone()];
            add_product(
                of_layer,
                width,
                Matrix::new(of_mean, rows, x),
                Matrix::new(by_mean, x, width),
            );
            add_product(
                of_layer,
                width,
                Matrix::new(of_raw, rows, x),
                Matrix::new(by_raw, x, width),
            );
            if h > 0 {
                activate_back(of_layer, &values.layers[range], h, width, self.f);
            }
            let outputs = of_mean.chunks_exact(x).zip(of_raw.chunks_exact(x));
            let both = of_layer
                .chunks_exact(width)
                .zip(carried.chunks_exact_mut(x))
                .zip(outputs);
            for (row, ((of_layer, carried), (of_mean, of_raw))) in both.enumerate() {
                let of_context = &mut of_context[s.context(row, step)];
                add(of_context, &of_layer[..h]);
                add(&mut of_context[h..], of_mean);
                add(&mut of_context[h + x..], of_raw);
                carried.copy_from_slice(&of_layer[h..]);
            }
            if h > 0 {
                let of_layer = Matrix::strided(of_layer, rows, h, width);
                add_product(&mut carried, x, of_layer, Matrix::new(&to_state, h, x));
            }
        }
        let all = s.t * rows;
        let mut of_weights = vec![T::zero(); weights.len()];
        let (of_state_weight, of_output_weight) = of_weights.split_at_mut(x * h);
        if h > 0 {
            let previous = Matrix::strided(&values.layers[h..], all, x, width).transposed();
            add_product(of_state_weight, h, previous, Matrix::strided(&of_layers, all, h, width));
        }
        let layers = Matrix::new(&values.layers, all, width).transposed();
        for (at, of_output) in of_outputs.iter().enumerate() {
            add_product(
                &mut of_output_weight[at * x..],
                2 * x,
                layers,
                Matrix::new(of_output, all, x),
            );
        }
        [of_context, carried, of_weights]
    }
}

/// `to += x`, as far as `x` reaches.
fn add<T: Float>(to: &mut [T], x: &[T]) {
    to.iter_mut().zip(x).for_each(|(to, &x)| *to += x);
}

impl CustomOp3 for Recursion {
    fn name(&self) -> &'static str {
        "gaussian_recursion"
    }

    fn cpu_fwd(
        &self,
        context: &CpuStorage,
        context_layout: &Layout,
        initial: &CpuStorage,
        initial_layout: &Layout,
        weights: &CpuStorage,
        weights_layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        with_float!(context.dtype(), self.name(), T => {
            let (context, initial) = (elements::<T>(context, context_layout)?, elements::<T>(initial, initial_layout)?);
            let weights = elements::<T>(weights, weights_layout)?;
            let (out, values) =
                with_elements::<T, _>(&self.noise, |noise| Ok(self.values(context, initial, weights, noise)))?;
            let Values { layers, slopes, relative } = values;
            *self.kept() = Some([layers, slopes, relative].map(T::to_cpu_storage_owned));
            let shape = out.len().into();
            Ok((T::to_cpu_storage_owned(out), shape))
        })
    }

    fn bwd(
        &self,
        context: &Tensor,
        initial: &Tensor,
        weights: &Tensor,
        _: &Tensor,
        g: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let g = g.contiguous()?;
        let kept = self.kept().take();
        with_float!(context.dtype(), self.name(), T => {
            let [of_context, of_initial, of_weights] = with_elements::<T, _>(weights, |weights| {
                with_elements::<T, _>(&self.noise, |noise| with_elements::<T, _>(&g, |g| {
                    let values = match kept {
                        Some([layers, slopes, relative]) => Values {
                            layers: T::cpu_storage_data(layers)?,
                            slopes: T::cpu_storage_data(slopes)?,
                            relative: T::cpu_storage_data(relative)?,
                        },
                        None => with_elements::<T, _>(context, |context| {
                            with_elements::<T, _>(initial, |initial| {
                                Ok(self.values(context, initial, weights, noise).1)
                            })
                        })?,
                    };
                    Ok(self.gradients(&values, weights, noise, g))
                }))
            })?;
            let shaped = |numbers, of: &Tensor| {
                of.track_op().then(|| Tensor::from_vec(numbers, of.shape(), of.device())).transpose()
            };
            Ok((shaped(of_context, context)?, shaped(of_initial, initial)?, shaped(of_weights, weights)?))
        })
    }
}
