//! A Gaussian recursion over all steps as one operation, with back-propagation through time.
//!
//! Inside, steps come first, and R = B S rows: states `[T + 1, R, X]`, hidden values `[T, R, H]`, slopes (the
//! derivatives of σ) and noise `[T, R, X]`. Means and raw numbers are two products into flat arrays, so that the passes
//! between them vectorise for any X. The first backward pass consumes the values; another pass computes them again.
//!
//! The result `[3, B, S, T, X]` has states, means and standard deviations, one after another. The weights are one vector:
//! `W` `[X, H]`, `[V U]` `[H, 2X]`, `[b d]` `[2X]`, or without a hidden layer `A` `[X, X]`.

use super::activation::sum_columns;
use super::float::{Float, elements, with_elements, with_float};
use super::gaussian_recursion_kernel::{draw, draw_back, tanh_back, tanh_in_place};
use super::matmul::{Matrix, add_product, product};
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp3, Layout, Shape, Tensor, WithDType};
use std::sync::Mutex;

#[derive(Clone, Copy)]
pub(crate) struct Sizes {
    pub b: usize,
    pub s: usize,
    pub t: usize,
    pub x: usize,
    /// H, or none for a linear recursion.
    pub hidden: Option<usize>,
}

impl Sizes {
    fn rows(&self) -> usize {
        self.b * self.s
    }

    /// How many numbers all states of one step have.
    fn step(&self) -> usize {
        self.rows() * self.x
    }

    /// Where row `row` of the context begins at `step`; it has `width` numbers per step.
    fn context(&self, row: usize, step: usize, width: usize) -> usize {
        (row / self.s * self.t + step) * width
    }

    /// Copies the rows `[R, X]` of one step into `all` `[R, T, X]`.
    fn put<T: Copy>(&self, all: &mut [T], step: usize, rows: &[T]) {
        for (all, row) in all.chunks_exact_mut(self.t * self.x).zip(rows.chunks_exact(self.x)) {
            all[step * self.x..(step + 1) * self.x].copy_from_slice(row);
        }
    }

    /// Copies the rows of one step out of `all` `[R, T, X]` into `rows` `[R, X]`.
    fn take<T: Copy>(&self, all: &[T], step: usize, rows: &mut [T]) {
        for (all, row) in all.chunks_exact(self.t * self.x).zip(rows.chunks_exact_mut(self.x)) {
            row.copy_from_slice(&all[step * self.x..(step + 1) * self.x]);
        }
    }
}

/// The constants of the operation.
pub(crate) struct Recursion {
    sizes: Sizes,
    is_residual: bool,
    floor: f64,
    noise: Tensor, // [B, S, T, X]
    kept: Mutex<Option<[CpuStorage; 4]>>,
}

/// What one pass computes, besides its result.
struct Values<T> {
    states: Vec<T>, // [T + 1, R, X]
    hidden: Vec<T>, // [T, R, H]
    slopes: Vec<T>, // [T, R, X]
    noise: Vec<T>,  // [T, R, X]
}

impl Recursion {
    pub(crate) fn new(sizes: Sizes, is_residual: bool, floor: f64, noise: Tensor) -> Self {
        Self {
            sizes,
            is_residual,
            floor,
            noise,
            kept: Mutex::new(None),
        }
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Option<[CpuStorage; 4]>> {
        self.kept.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The result and the values behind it.
    fn values<T: Float>(
        &self,
        context: &[T],
        initial: &[T],
        weights: &[T],
    ) -> candle_core::Result<(Vec<T>, Values<T>)> {
        let s = self.sizes;
        let (rows, x, n) = (s.rows(), s.x, s.step());
        let mut states = vec![T::zero(); (s.t + 1) * n];
        states[..n].copy_from_slice(initial);
        let mut hidden = Vec::with_capacity(s.t * rows * s.hidden.unwrap_or(0));
        let mut slopes = vec![T::zero(); s.t * n];
        let mut noise = vec![T::zero(); s.t * n];
        with_elements::<T, _>(&self.noise, |all| {
            let steps = noise.chunks_exact_mut(n).enumerate();
            steps.for_each(|(step, rows)| s.take(all, step, rows));
            Ok(())
        })?;
        let mut out = vec![T::zero(); 3 * s.t * n];
        let (mut mean, mut raw) = (Vec::with_capacity(n), Vec::with_capacity(n));
        for step in 0..s.t {
            let (previous, next) = states[step * n..].split_at_mut(n);
            let from = Matrix::new(previous, rows, x);
            mean.clear();
            raw.clear();
            match s.hidden {
                Some(h) => {
                    let (state_weight, rest) = weights.split_at(x * h);
                    let (output_weight, bias) = rest.split_at(2 * h * x);
                    let start = hidden.len();
                    for row in 0..rows {
                        let at = s.context(row, step, h);
                        hidden.extend_from_slice(&context[at..at + h]);
                        mean.extend_from_slice(&bias[..x]);
                        raw.extend_from_slice(&bias[x..]);
                    }
                    let layer = &mut hidden[start..];
                    add_product(layer, h, from, Matrix::new(state_weight, x, h));
                    tanh_in_place(layer);
                    let layer = Matrix::new(layer, rows, h);
                    add_product(&mut mean, x, layer, Matrix::strided(output_weight, h, x, 2 * x));
                    add_product(&mut raw, x, layer, Matrix::strided(&output_weight[x..], h, x, 2 * x));
                }
                None => {
                    for row in 0..rows {
                        let at = s.context(row, step, 2 * x);
                        mean.extend_from_slice(&context[at..at + x]);
                        raw.extend_from_slice(&context[at + x..at + 2 * x]);
                    }
                    add_product(&mut mean, x, from, Matrix::new(weights, x, x));
                }
            }
            let (next, range) = (&mut next[..n], step * n..(step + 1) * n);
            let shift = self.is_residual.then_some(&*previous);
            draw(
                &mut mean,
                &mut raw,
                &mut slopes[range.clone()],
                next,
                shift,
                &noise[range],
                T::of(self.floor),
            );
            for (all, rows) in out.chunks_exact_mut(s.t * n).zip([&*next, &mean, &raw]) {
                s.put(all, step, rows);
            }
        }
        let values = Values {
            states,
            hidden,
            slopes,
            noise,
        };
        Ok((out, values))
    }

    /// Gradients of context, initial state and weights, from that of the result.
    fn gradients<T: Float>(&self, values: &Values<T>, weights: &[T], g: &[T]) -> [Vec<T>; 3] {
        let s = self.sizes;
        let (rows, x, n) = (s.rows(), s.x, s.step());
        let width = s.hidden.unwrap_or(x);
        let (state_weight, rest) = weights.split_at(x * width);
        let from_layer = Matrix::new(state_weight, x, width).to_transposed();
        let from_layer = Matrix::new(&from_layer, width, x);
        // Rows for the means, then for the raw numbers; none in a linear recursion.
        let from_output = s
            .hidden
            .map(|h| Matrix::new(&rest[..2 * h * x], h, 2 * x).to_transposed());
        let per_step = s.hidden.unwrap_or(2 * x);
        let mut of_context = vec![T::zero(); s.b * s.t * per_step];
        let mut of_means = vec![T::zero(); s.t * n];
        let mut of_raws = vec![T::zero(); s.t * n];
        let mut of_layers = vec![T::zero(); s.t * rows * s.hidden.unwrap_or(0)];
        let [mut carried, mut g_state, mut g_mean] = [0; 3].map(|_| vec![T::zero(); n]);
        for step in (0..s.t).rev() {
            let range = step * n..(step + 1) * n;
            let (of_mean, of_raw) = (&mut of_means[range.clone()], &mut of_raws[range.clone()]);
            let results = [&mut g_state[..], &mut g_mean[..], &mut of_raw[..]];
            for (all, rows) in g.chunks_exact(s.t * n).zip(results) {
                s.take(all, step, rows);
            }
            let (noise, slopes) = (&values.noise[range.clone()], &values.slopes[range]);
            draw_back([&mut carried, &mut g_state, &mut g_mean, of_raw], noise, slopes);
            of_mean.copy_from_slice(&carried);
            if !self.is_residual {
                carried.fill(T::zero());
            }
            match (s.hidden, &from_output) {
                (Some(h), Some(from_output)) => {
                    let (range, (by_mean, by_raw)) =
                        (step * rows * h..(step + 1) * rows * h, from_output.split_at(x * h));
                    let of_layer = &mut of_layers[range.clone()];
                    add_product(of_layer, h, Matrix::new(of_mean, rows, x), Matrix::new(by_mean, x, h));
                    add_product(of_layer, h, Matrix::new(of_raw, rows, x), Matrix::new(by_raw, x, h));
                    tanh_back(of_layer, &values.hidden[range]);
                    add_product(&mut carried, x, Matrix::new(of_layer, rows, h), from_layer);
                    for (row, of_layer) in of_layer.chunks_exact(h).enumerate() {
                        add(&mut of_context[s.context(row, step, h)..], of_layer);
                    }
                }
                _ => {
                    add_product(&mut carried, x, Matrix::new(of_mean, rows, x), from_layer);
                    for (row, (of_mean, of_raw)) in of_mean.chunks_exact(x).zip(of_raw.chunks_exact(x)).enumerate() {
                        let of_context = &mut of_context[s.context(row, step, 2 * x)..];
                        add(of_context, of_mean);
                        add(&mut of_context[x..], of_raw);
                    }
                }
            }
        }
        let all = s.t * rows;
        let bias = [sum_columns(&of_means, x), sum_columns(&of_raws, x)].concat();
        let previous = Matrix::new(&values.states[..all * x], all, x).transposed();
        let (of_means, of_raws) = (Matrix::new(&of_means, all, x), Matrix::new(&of_raws, all, x));
        let of_weights = match s.hidden {
            Some(h) => {
                let mut of_weights = product(previous, Matrix::new(&of_layers, all, h)); // [X, H]
                let hidden = Matrix::new(&values.hidden, all, h).transposed();
                let mut of_output = vec![T::zero(); 2 * h * x]; // [H, 2X]
                add_product(&mut of_output, 2 * x, hidden, of_means);
                add_product(&mut of_output[x..], 2 * x, hidden, of_raws);
                of_weights.extend(of_output);
                of_weights.extend(bias);
                of_weights
            }
            None => product(previous, of_means), // [X, X]
        };
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
        let Sizes { b, s, t, x, .. } = self.sizes;
        with_float!(context.dtype(), self.name(), T => {
            let (context, initial) = (elements::<T>(context, context_layout)?, elements::<T>(initial, initial_layout)?);
            let (out, values) = self.values(context, initial, elements::<T>(weights, weights_layout)?)?;
            let Values { states, hidden, slopes, noise } = values;
            *self.kept() = Some([states, hidden, slopes, noise].map(T::to_cpu_storage_owned));
            Ok((T::to_cpu_storage_owned(out), (3, b, s, t, x).into()))
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
            let gradients = with_elements::<T, _>(weights, |weights| with_elements::<T, _>(&g, |g| {
                let values = match kept {
                    Some([states, hidden, slopes, noise]) => Values {
                        states: T::cpu_storage_data(states)?,
                        hidden: T::cpu_storage_data(hidden)?,
                        slopes: T::cpu_storage_data(slopes)?,
                        noise: T::cpu_storage_data(noise)?,
                    },
                    None => with_elements::<T, _>(context, |context| {
                        with_elements::<T, _>(initial, |initial| Ok(self.values(context, initial, weights)?.1))
                    })?,
                };
                Ok(self.gradients(&values, weights, g))
            }))?;
            let shaped = |numbers, of: &Tensor| {
                of.track_op().then(|| Tensor::from_vec(numbers, of.shape(), of.device())).transpose()
            };
            let [of_context, of_initial, of_weights] = gradients;
            Ok((shaped(of_context, context)?, shaped(of_initial, initial)?, shaped(of_weights, weights)?))
        })
    }
}
