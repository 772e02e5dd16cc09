//! Adam with decoupled weight decay (Kingma & Ba 2015, algorithm 1; Loshchilov & Hutter 2019, algorithm 2), in place.
//!
//! With gradient `g`, clipped to a global norm, and rates `β₁, β₂, ε, λ, η`:
//! `m ← β₁ m + (1-β₁) g`, `v ← β₂ v + (1-β₂) g²`,
//! `θ ← θ - η [ (m / (1-β₁ᵗ)) / (sqrt(v / (1-β₂ᵗ)) + ε) + λ θ ]`.
//! Moments below 1e-30 become 0; otherwise they would decay into denormal numbers. A parameter without gradient has
//! gradient 0.
//! Parameters are visited in the order of their names, so that the norm rounds the same way every time.

use super::Parameters;
use super::composed;
use super::float::{LANES, elements, vectorised, with_elements};
use crate::{Error, Result};
use candle_core::backend::BackendStorage;
use candle_core::backprop::GradStore;
use candle_core::{CpuStorage, DType, Device, InplaceOp2, Layout, Shape, Tensor};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// Moments smaller than this are 0.
const NEGLIGIBLE_MOMENT: f64 = 1e-30;

/// Parameters whose names end like this decay.
const DECAYED: &str = ".weight";

/// The constants of [`Adam`]; the learning rate is given at each step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamSettings {
    /// β₁, the memory of the mean gradient.
    pub first_decay: f64,
    /// β₂, the memory of the mean squared gradient.
    pub second_decay: f64,
    /// ε, added to the root of the mean squared gradient.
    pub epsilon: f64,
    /// λ, the fraction of a layer's weights that a step of learning rate 1 would remove; biases and parameters outside
    /// layers do not decay.
    pub weight_decay: f64,
}

impl Default for AdamSettings {
    /// The values of Kingma & Ba (2015), without weight decay.
    fn default() -> Self {
        Self {
            first_decay: 0.9,
            second_decay: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.0,
        }
    }
}

/// The optimiser: settings, step count, and two moments for each parameter.
#[derive(Debug)]
pub struct Adam {
    settings: AdamSettings,
    steps: u64,
    moments: BTreeMap<String, (Shape, Moments)>,
}

/// The mean and the mean squared gradient of one parameter.
#[derive(Debug)]
enum Moments {
    F32([Vec<f32>; 2]),
    F64([Vec<f64>; 2]),
    Device([Tensor; 2]),
}

impl Adam {
    /// An optimiser of `parameters` that has not yet made a step.
    pub fn new(parameters: &Parameters, settings: AdamSettings) -> Result<Self> {
        let mut moments = BTreeMap::new();
        for (name, var) in parameters.iter() {
            let n = var.elem_count();
            let zeros = match var.dtype() {
                DType::F32 if !composed::wanted(var) => Moments::F32([vec![0.0; n], vec![0.0; n]]),
                DType::F64 if !composed::wanted(var) => Moments::F64([vec![0.0; n], vec![0.0; n]]),
                _ => Moments::Device([var.zeros_like()?, var.zeros_like()?]),
            };
            moments.insert(name.to_owned(), (var.shape().clone(), zeros));
        }
        Ok(Self {
            settings,
            steps: 0,
            moments,
        })
    }

    /// One step. Returns the norm of all gradients together, before they were clipped to `max_norm`; where it is not
    /// finite, nothing has been changed.
    pub fn step(
        &mut self,
        parameters: &Parameters,
        gradients: &GradStore,
        learning_rate: f64,
        max_norm: Option<f64>,
    ) -> Result<f64> {
        let mut sum = 0.0;
        for (_, var) in parameters.iter() {
            if let Some(gradient) = gradients.get(var) {
                sum += sum_of_squares(gradient)?;
            }
        }
        let norm = sum.sqrt();
        if !norm.is_finite() {
            return Ok(norm);
        }
        self.steps += 1;
        let AdamSettings {
            first_decay: b1,
            second_decay: b2,
            epsilon,
            weight_decay,
        } = self.settings;
        let t = self.steps as f64;
        let step = Step {
            clip: max_norm.map_or(1.0, |limit| if norm > limit { limit / norm } else { 1.0 }),
            decays: [b1, b2],
            scales: [1.0 / (1.0 - b1.powf(t)), 1.0 / (1.0 - b2.powf(t))],
            epsilon,
            learning_rate,
            keep: 1.0,
        };
        for (name, var) in parameters.iter() {
            let decay = if name.ends_with(DECAYED) { weight_decay } else { 0.0 };
            let step = Step {
                keep: 1.0 - learning_rate * decay,
                ..step
            };
            let (_, moments) = self.moments.get_mut(name).ok_or_else(|| unknown(name))?;
            let gradient = gradients.get(var);
            match moments {
                Moments::Device(moments) => var.set(&step.composed(var, gradient, moments)?)?,
                fused => {
                    let update = Update {
                        step,
                        moments: RefCell::new(fused),
                    };
                    match gradient {
                        Some(gradient) => var.inplace_op2(&gradient.contiguous()?, &update)?,
                        None => var.inplace_op2(&var.zeros_like()?, &update)?,
                    }
                }
            }
        }
        Ok(norm)
    }

    /// How many steps have been made.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The moments, as `first/NAME` and `second/NAME`: with [`Adam::steps`], all that a continuation needs.
    pub fn state(&self) -> Result<BTreeMap<String, Tensor>> {
        let mut state = BTreeMap::new();
        for (name, (shape, moments)) in &self.moments {
            let [first, second] = match moments {
                Moments::F32([a, b]) => [
                    Tensor::from_slice(a, shape, &Device::Cpu)?,
                    Tensor::from_slice(b, shape, &Device::Cpu)?,
                ],
                Moments::F64([a, b]) => [
                    Tensor::from_slice(a, shape, &Device::Cpu)?,
                    Tensor::from_slice(b, shape, &Device::Cpu)?,
                ],
                Moments::Device(moments) => moments.clone(),
            };
            state.insert(format!("first/{name}"), first);
            state.insert(format!("second/{name}"), second);
        }
        Ok(state)
    }

    /// Continues from what [`Adam::state`] and [`Adam::steps`] gave.
    pub fn restore(&mut self, state: &BTreeMap<String, Tensor>, steps: u64) -> Result<()> {
        for (name, (shape, moments)) in &mut self.moments {
            let get = |kind: &str| {
                let key = format!("{kind}/{name}");
                let tensor = state
                    .get(&key)
                    .ok_or_else(|| Error::Record(format!("no moments {key:?} in the checkpoint")))?;
                if tensor.shape() != shape {
                    return Err(Error::Record(format!(
                        "moments {key:?}: expected shape {:?}, got {:?}",
                        shape.dims(),
                        tensor.dims()
                    )));
                }
                Ok(tensor)
            };
            match moments {
                Moments::F32([a, b]) => {
                    *a = get("first")?.flatten_all()?.to_vec1()?;
                    *b = get("second")?.flatten_all()?.to_vec1()?;
                }
                Moments::F64([a, b]) => {
                    *a = get("first")?.flatten_all()?.to_vec1()?;
                    *b = get("second")?.flatten_all()?.to_vec1()?;
                }
                Moments::Device([a, b]) => {
                    *a = get("first")?.to_device(a.device())?;
                    *b = get("second")?.to_device(b.device())?;
                }
            }
        }
        self.steps = steps;
        Ok(())
    }
}

fn unknown(name: &str) -> Error {
    Error::Other(format!(
        "the optimiser was made without parameter {name:?}; make it after all parameters"
    ))
}

/// `Σ g²`, in f64.
fn sum_of_squares(gradient: &Tensor) -> Result<f64> {
    let gradient = gradient.contiguous()?;
    Ok(match (gradient.device(), gradient.dtype()) {
        (Device::Cpu, DType::F32) => with_elements::<f32, _>(&gradient, |g| Ok(squares(g)))?,
        (Device::Cpu, DType::F64) => with_elements::<f64, _>(&gradient, |g| Ok(squares(g)))?,
        _ => gradient.sqr()?.sum_all()?.to_dtype(DType::F64)?.to_scalar()?,
    })
}

vectorised! {
    fn squares<'a, T>(g: &'a [T]) -> f64 {
        let mut sums = [0.0; LANES];
        let (tiles, rest) = g.as_chunks::<LANES>();
        for g in tiles {
            for l in 0..LANES {
                sums[l] += g[l].wide() * g[l].wide();
            }
        }
        sums.iter_mut().zip(rest).for_each(|(sum, g)| *sum += g.wide() * g.wide());
        sums.iter().sum()
    }
}

/// The constants of one step.
#[derive(Debug, Clone, Copy)]
struct Step {
    clip: f64,
    decays: [f64; 2],
    scales: [f64; 2],
    epsilon: f64,
    learning_rate: f64,
    keep: f64,
}

impl Step {
    /// The same step of plain tensor operations: the new value of `var`, and new moments.
    fn composed(
        &self,
        var: &Tensor,
        gradient: Option<&Tensor>,
        moments: &mut [Tensor; 2],
    ) -> candle_core::Result<Tensor> {
        let [b1, b2] = self.decays;
        let flushed = |moment: Tensor| {
            let kept = moment.abs()?.ge(NEGLIGIBLE_MOMENT)?;
            kept.where_cond(&moment, &moment.zeros_like()?)
        };
        let g = match gradient {
            Some(gradient) => (gradient * self.clip)?,
            None => var.zeros_like()?,
        };
        moments[0] = flushed(((&moments[0] * b1)? + (&g * (1.0 - b1))?)?)?;
        moments[1] = flushed(((&moments[1] * b2)? + (g.sqr()? * (1.0 - b2))?)?)?;
        let root = ((&moments[1] * self.scales[1])?.sqrt()? + self.epsilon)?;
        let direction = ((&moments[0] * self.scales[0])? / root)?;
        (var.detach() * self.keep)? - (direction * self.learning_rate)?
    }
}

/// One step of one parameter.
struct Update<'a> {
    step: Step,
    moments: RefCell<&'a mut Moments>,
}

impl InplaceOp2 for Update<'_> {
    fn name(&self) -> &'static str {
        "adam"
    }

    fn cpu_fwd(
        &self,
        parameter: &mut CpuStorage,
        layout: &Layout,
        gradient: &CpuStorage,
        gradient_layout: &Layout,
    ) -> candle_core::Result<()> {
        let Some((start, end)) = layout.contiguous_offsets() else {
            candle_core::bail!("Adam expects contiguous parameters")
        };
        match (parameter, &mut **self.moments.borrow_mut()) {
            (CpuStorage::F32(p), Moments::F32([m, v])) => {
                update(
                    &mut p[start..end],
                    elements(gradient, gradient_layout)?,
                    m,
                    v,
                    self.step,
                );
            }
            (CpuStorage::F64(p), Moments::F64([m, v])) => {
                update(
                    &mut p[start..end],
                    elements(gradient, gradient_layout)?,
                    m,
                    v,
                    self.step,
                );
            }
            (other, _) => candle_core::bail!("Adam was made for another type than {:?}", other.dtype()),
        }
        Ok(())
    }
}

vectorised! {
    /// All slices have one length.
    fn update<'a, T>(p: &'a mut [T], g: &'a [T], m: &'a mut [T], v: &'a mut [T], step: Step) {
        let [b1, b2] = step.decays.map(T::of);
        let [a1, a2] = step.decays.map(|decay| T::of(1.0 - decay));
        let [c1, c2] = [step.learning_rate * step.scales[0], step.scales[1]].map(T::of);
        let (clip, epsilon, keep) = (T::of(step.clip), T::of(step.epsilon), T::of(step.keep));
        let (tiny, zero) = (T::of(NEGLIGIBLE_MOMENT), T::zero());
        for (((p, m), v), &g) in p.iter_mut().zip(m).zip(v).zip(g) {
            let g = clip * g;
            let first = b1 * *m + a1 * g;
            let second = b2 * *v + a2 * (g * g);
            *m = if first > tiny || first < -tiny { first } else { zero };
            *v = if second > tiny { second } else { zero };
            *p = *p * keep - c1 * *m / ((*v * c2).root() + epsilon);
        }
    }
}
