//! A sweep of gated recurrent units over all steps as one operation, with back-propagation through time.
//!
//! Forward, for every step: the gates `[B, 4H]` start at the biases, and two matrix products add what the inputs and the
//! previous state contribute; one pass applies the activations. Backward, from the last step visited: one pass turns the
//! gates into gradients, two products carry these to the previous state and to the inputs. The gradients of the weights
//! are one product each over all steps.
//!
//! Inside, steps come first and in the order of the visits: gates `[T, B, 4H]`, states `[T + 1, B, H]`. The first
//! backward pass consumes them; another pass computes them again.
//!
//! Arguments in candle's sense are the inputs, the bias of the inputs and the initial state: the other gradients go
//! straight to [`super::backward()`].

use super::arguments::Direction;
use super::float::{Float, elements, with_elements, with_float};
use super::gated_recurrent_kernel::{step, step_back};
use super::gradients::hand_over;
use super::matmul::{Matrix, add_product, product};
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp3, Layout, Shape, Tensor, WithDType};
use std::sync::Mutex;

/// The parameters other than the bias of the inputs, and the form of the sequences.
pub(crate) struct Sweep {
    input_weight: Tensor,     // [I, 3H]
    recurrent_weight: Tensor, // [H, 3H]
    recurrent_bias: Tensor,   // [H]
    lengths: Option<Vec<usize>>,
    direction: Direction,
    kept: Mutex<Option<[CpuStorage; 2]>>, // gates, states
}

#[derive(Clone, Copy)]
struct Sizes {
    b: usize,
    t: usize,
    i: usize,
    h: usize,
}

/// What one sweep computes: gates `[T, B, 4H]` and states `[T + 1, B, H]`.
struct Values<T> {
    gates: Vec<T>,
    states: Vec<T>,
}

/// Gradients of a sweep; those of the inputs only where wanted.
struct Gradients<T> {
    inputs: Option<Vec<T>>,
    initial: Vec<T>,
    input_weight: Vec<T>,
    recurrent_weight: Vec<T>,
    biases: Vec<T>, // [4H]
}

/// The columns `[r, z, n]` of a weight or bias as `[n, r, z]`.
fn candidate_first<T: Float>(weight: &[T], h: usize) -> Vec<T> {
    let mut turned = weight.to_vec();
    turned.chunks_exact_mut(3 * h).for_each(|row| row.rotate_right(h));
    turned
}

impl Sweep {
    pub(crate) fn new(
        [input_weight, recurrent_weight, recurrent_bias]: [Tensor; 3],
        lengths: Option<&[usize]>,
        direction: Direction,
    ) -> Self {
        Self {
            input_weight,
            recurrent_weight,
            recurrent_bias,
            lengths: lengths.map(<[usize]>::to_vec),
            direction,
            kept: Mutex::new(None),
        }
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Option<[CpuStorage; 2]>> {
        self.kept.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn sizes(&self, inputs: &Shape) -> candle_core::Result<Sizes> {
        let (b, t, i) = inputs.dims3()?;
        let h = self.recurrent_bias.elem_count();
        Ok(Sizes { b, t, i, h })
    }

    /// The values of a sweep: `x` `[B, T, I]`, `bias` `[3H]`, `initial` `[B, H]`.
    fn values<T: Float>(&self, x: &[T], bias: &[T], initial: &[T], s: Sizes) -> candle_core::Result<Values<T>> {
        let Sizes { b, t, i, h } = s;
        let input_weight = with_elements::<T, _>(&self.input_weight, |w| Ok(candidate_first(w, h)))?;
        let input_weight = Matrix::new(&input_weight, i, 3 * h);
        let mut biases = candidate_first(bias, h);
        with_elements::<T, _>(&self.recurrent_bias, |bias| {
            biases.extend_from_slice(bias); // [4H]
            Ok(())
        })?;
        let mut gates = Vec::with_capacity(t * b * 4 * h);
        (0..t * b).for_each(|_| gates.extend_from_slice(&biases));
        let mut states = vec![T::zero(); (t + 1) * b * h];
        states[..b * h].copy_from_slice(initial);
        with_elements::<T, _>(&self.recurrent_weight, |recurrent_weight| {
            let recurrent_weight = Matrix::new(recurrent_weight, h, 3 * h);
            for (visit, gates) in gates.chunks_exact_mut(b * 4 * h).enumerate() {
                let at = self.direction.step(visit, t);
                let (previous, next) = states[visit * b * h..].split_at_mut(b * h);
                let inputs = Matrix::strided(&x[at * i..], b, i, t * i);
                add_product(gates, 4 * h, inputs, input_weight);
                add_product(&mut gates[h..], 4 * h, Matrix::new(previous, b, h), recurrent_weight);
                step(gates, previous, &mut next[..b * h], h, (self.lengths.as_deref(), at));
            }
            Ok(Values { gates, states })
        })
    }

    /// The states `[T + 1, B, H]` in the order of time, `[B, T, H]`, without the initial one.
    fn output<T: Float>(&self, states: &[T], s: Sizes) -> Vec<T> {
        let Sizes { b, t, h, .. } = s;
        let mut out = Vec::with_capacity(b * t * h);
        for row in 0..b {
            for at in 0..t {
                let visit = self.direction.step(at, t); // its own inverse
                let start = ((visit + 1) * b + row) * h;
                out.extend_from_slice(&states[start..start + h]);
            }
        }
        out
    }

    /// The inputs in the order of the visits, `[T, B, I]`, 0 in place of padding.
    fn visited<T: Float>(&self, x: &[T], s: Sizes) -> Vec<T> {
        let Sizes { b, t, i, .. } = s;
        let mut visited = Vec::with_capacity(x.len());
        for visit in 0..t {
            let at = self.direction.step(visit, t);
            for row in 0..b {
                let start = (row * t + at) * i;
                match &self.lengths {
                    Some(lengths) if at >= lengths[row] => visited.resize(visited.len() + i, T::zero()),
                    _ => visited.extend_from_slice(&x[start..start + i]),
                }
            }
        }
        visited
    }

    /// Gradients from `g` `[B, T, H]`; those of the inputs where `to_inputs`.
    fn gradients<T: Float>(
        &self,
        values: Values<T>,
        x: &[T],
        g: &[T],
        s: Sizes,
        to_inputs: bool,
    ) -> candle_core::Result<Gradients<T>> {
        let Sizes { b, t, i, h } = s;
        let Values { mut gates, states } = values;
        let transposed = |w: &[T], rows| Ok(Matrix::new(w, rows, 3 * h).to_transposed());
        let input_weight = with_elements::<T, _>(&self.input_weight, |w| transposed(&candidate_first(w, h), i))?;
        let recurrent_weight = with_elements::<T, _>(&self.recurrent_weight, |w| transposed(w, h))?;
        let mut inputs = to_inputs.then(|| vec![T::zero(); x.len()]);
        let (mut carried, mut biases) = (vec![T::zero(); b * h], vec![T::zero(); 4 * h]);
        for visit in (0..t).rev() {
            let at = self.direction.step(visit, t);
            let gates = &mut gates[visit * b * 4 * h..(visit + 1) * b * 4 * h];
            let previous = &states[visit * b * h..(visit + 1) * b * h];
            let (g, step) = ((&g[at * h..], t * h), (self.lengths.as_deref(), at));
            step_back(gates, previous, &mut carried, g, &mut biases, h, step);
            let from_gates = Matrix::strided(&gates[h..], b, 3 * h, 4 * h);
            add_product(&mut carried, h, from_gates, Matrix::new(&recurrent_weight, 3 * h, h));
            if let Some(inputs) = &mut inputs {
                let from_gates = Matrix::strided(gates, b, 3 * h, 4 * h);
                add_product(
                    &mut inputs[at * i..],
                    t * i,
                    from_gates,
                    Matrix::new(&input_weight, 3 * h, i),
                );
            }
        }
        let visited = self.visited(x, s);
        let of_inputs = Matrix::strided(&gates, t * b, 3 * h, 4 * h);
        let mut input_weight = product(Matrix::new(&visited, t * b, i).transposed(), of_inputs); // [I, 3H]
        input_weight.chunks_exact_mut(3 * h).for_each(|row| row.rotate_left(h));
        let of_states = Matrix::strided(&gates[h..], t * b, 3 * h, 4 * h);
        let previous = Matrix::new(&states[..t * b * h], t * b, h);
        Ok(Gradients {
            inputs,
            initial: carried,
            input_weight,
            recurrent_weight: product(previous.transposed(), of_states), // [H, 3H]
            biases,
        })
    }
}

impl CustomOp3 for Sweep {
    fn name(&self) -> &'static str {
        "gated_recurrent"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
        initial: &CpuStorage,
        initial_layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let s = self.sizes(x_layout.shape())?;
        with_float!(x.dtype(), self.name(), T => {
            let (x, bias) = (elements::<T>(x, x_layout)?, elements::<T>(bias, bias_layout)?);
            let values = self.values(x, bias, elements::<T>(initial, initial_layout)?, s)?;
            let out = self.output(&values.states, s);
            *self.kept() = Some([values.gates, values.states].map(T::to_cpu_storage_owned));
            Ok((T::to_cpu_storage_owned(out), (s.b, s.t, s.h).into()))
        })
    }

    fn bwd(
        &self,
        x: &Tensor,
        bias: &Tensor,
        initial: &Tensor,
        _: &Tensor,
        g: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (g, s) = (g.contiguous()?, self.sizes(x.shape())?);
        let kept = self.kept().take();
        with_float!(x.dtype(), self.name(), T => {
            let Gradients { inputs, initial: of_initial, input_weight, recurrent_weight, mut biases } =
                with_elements::<T, _>(x, |values_of_x| with_elements::<T, _>(&g, |g| {
                    let values = match kept {
                        Some([gates, states]) => Values {
                            gates: T::cpu_storage_data(gates)?,
                            states: T::cpu_storage_data(states)?,
                        },
                        None => with_elements::<T, _>(bias, |bias| {
                            with_elements::<T, _>(initial, |initial| self.values(values_of_x, bias, initial, s))
                        })?,
                    };
                    self.gradients(values, values_of_x, g, s, x.track_op())
                }))?;
            let recurrent_bias = biases.split_off(3 * s.h);
            biases.rotate_left(s.h);
            let shaped = |numbers, of: &Tensor| Tensor::from_vec(numbers, of.shape(), of.device());
            let parameters = [
                (&self.input_weight, input_weight),
                (&self.recurrent_weight, recurrent_weight),
                (&self.recurrent_bias, recurrent_bias),
            ];
            let tracked = parameters.into_iter().filter(|(parameter, _)| parameter.track_op());
            let tracked = tracked.map(|(parameter, numbers)| Ok((parameter.clone(), shaped(numbers, parameter)?)));
            let tracked = tracked.collect::<candle_core::Result<Vec<_>>>()?;
            if !tracked.is_empty() {
                hand_over(tracked)?;
            }
            let inputs = inputs.map(|inputs| shaped(inputs, x)).transpose()?;
            let of_bias = bias.track_op().then(|| shaped(biases, bias)).transpose()?;
            let of_initial = initial.track_op().then(|| shaped(of_initial, initial)).transpose()?;
            Ok((inputs, of_bias, of_initial))
        })
    }
}
