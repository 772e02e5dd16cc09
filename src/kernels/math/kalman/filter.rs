//! The data-dependent half of the filter (Kalman 1960): means and log-likelihoods, many sequences side by side.
//!
//! With the whitened innovation `e = L⁻¹ (o − C m' − D u − d)` a step is `m = m' + P' Cᵀ L⁻ᵀ e`, and adds
//! `−½ (eᵀe + log det 2πS)` to the log-likelihood; then `m' = A m + B u + b`.

use super::System;
use super::gains::{Gains, Update};
use super::lanes::{Place, Start, apply};
use super::sequences::{Block, Sequences};
use super::settling::EDGE;
use super::small::{coefficients, table};
use super::statistics::precision;
use crate::Result;
use crate::math::vectors::arch;
use pulp::{Scalar, Simd, WithSimd};

/// The filter's results for every sequence under one system.
#[derive(Debug)]
pub struct Filtered<'a> {
    pub(super) system: &'a System,
    pub(super) sequences: &'a Sequences,
    pub(super) gains: Gains,
    pub(super) blocks: Vec<FilteredBlock>,
    log_likelihood: Vec<f64>,
}

/// The filter's results for one block.
#[derive(Debug, Clone)]
pub(super) struct FilteredBlock {
    /// The filter step of each time. `[T]`
    pub steps: Vec<u32>,
    /// E[x_t | o_1 … o_{t−1}]. `[X, T·B]`
    pub predicted: Vec<f64>,
    /// E[x_t | o_1 … o_t]. `[X, T·B]`
    pub means: Vec<f64>,
}

impl<'a> Filtered<'a> {
    /// Runs the filter.
    ///
    /// # Errors
    /// If sizes do not fit or an innovation's covariance is not positive definite.
    pub fn new(system: &'a System, sequences: &'a Sequences) -> Result<Self> {
        Self::with_sharing(system, sequences, true)
    }

    /// Without `share`, every covariance is computed separately.
    pub(super) fn with_sharing(system: &'a System, sequences: &'a Sequences, share: bool) -> Result<Self> {
        let Schedule { gains, steps } = Schedule::new(system, sequences, share)?;
        let linear = Linear::new(system);
        let mut log_likelihood = vec![0.0; sequences.count()];
        let mut blocks = Vec::with_capacity(sequences.blocks.len());
        for (block, steps) in sequences.blocks.iter().zip(steps) {
            let (filtered, own) = linear.filter(sequences, block, &gains, steps, linear.tables(block));
            for (&i, value) in block.members.iter().zip(own) {
                log_likelihood[i] = value;
            }
            blocks.push(filtered);
        }
        Ok(Self {
            system,
            sequences,
            gains,
            blocks,
            log_likelihood,
        })
    }

    /// log p(o_1 … o_T | u), of each sequence, in nats.
    pub fn log_likelihood(&self) -> &[f64] {
        &self.log_likelihood
    }

    /// The entropy of [`Filtered::beliefs`] of each sequence, in nats.
    pub fn entropy(&self) -> Vec<f64> {
        let entropy = |id: u32| {
            let (_, log_det, directions) = precision(&self.gains.covariance(id));
            0.5 * (directions as f64 + log_det)
        };
        let each: Vec<f64> = (0..self.gains.steps.len() as u32).map(entropy).collect();
        let mut all = vec![0.0; self.sequences.count()];
        for (own, block) in self.blocks.iter().zip(&self.sequences.blocks) {
            for (&i, &length) in block.members.iter().zip(&block.lengths) {
                all[i] = own.steps[..length].iter().map(|&step| each[step as usize]).sum();
            }
        }
        all
    }
}

/// The data-independent part of the filter at every time.
pub(super) struct Schedule {
    pub gains: Gains,
    /// The filter step of each time, by block.
    pub steps: Vec<Vec<u32>>,
}

impl Schedule {
    /// Without `share`, every covariance is computed separately.
    pub fn new(system: &System, sequences: &Sequences, share: bool) -> Result<Self> {
        if (system.outputs(), system.inputs()) != (sequences.outputs(), sequences.inputs()) {
            return Err(crate::Error::Other(format!(
                "the system has {} outputs and {} inputs, the sequences {} and {}",
                system.outputs(),
                system.inputs(),
                sequences.outputs(),
                sequences.inputs()
            )));
        }
        let mut gains = Gains::new(system, share);
        let mut steps = Vec::with_capacity(sequences.blocks.len());
        for block in &sequences.blocks {
            let mut own = Vec::with_capacity(block.masks.len());
            let mut step = EDGE;
            for &mask in &block.masks {
                step = gains.after(system, step, mask, &sequences.masks[mask as usize])?;
                own.push(step);
            }
            steps.push(own);
        }
        Ok(Self { gains, steps })
    }
}

/// The coefficients of the recursion of means.
pub(super) struct Linear {
    states: usize,
    inputs: usize,
    initial_mean: Vec<f64>,
    /// A.
    transition: Vec<f64>,
    /// B.
    transition_input: Vec<f64>,
    /// b.
    transition_offset: Vec<f64>,
}

impl Linear {
    pub fn new(system: &System) -> Self {
        Self {
            states: system.states(),
            inputs: system.inputs(),
            initial_mean: system.initial_mean.as_slice().to_vec(),
            transition: table(&system.transition),
            transition_input: table(&system.transition_input),
            transition_offset: system.transition_offset.as_slice().to_vec(),
        }
    }

    /// Tables for the means of one block, before and after each observation.
    pub fn tables(&self, block: &Block) -> [Vec<f64>; 2] {
        let size = self.states * block.stride();
        [vec![0.0; size], vec![0.0; size]]
    }

    /// The filter over one block, which writes its means to `tables`, and the log-likelihoods of its columns.
    pub fn filter(
        &self,
        sequences: &Sequences,
        block: &Block,
        gains: &Gains,
        steps: Vec<u32>,
        [mut predicted, mut means]: [Vec<f64>; 2],
    ) -> (FilteredBlock, Vec<f64>) {
        let mut log_likelihood = vec![0.0; block.members.len()];
        arch().dispatch(Pass {
            linear: self,
            sequences,
            block,
            gains,
            steps: &steps,
            predicted: &mut predicted,
            means: &mut means,
            innovation: vec![0.0; sequences.outputs() * block.members.len()],
            present: vec![0.0; sequences.outputs() * block.members.len()],
            log_likelihood: &mut log_likelihood,
        });
        let filtered = FilteredBlock {
            steps,
            predicted,
            means,
        };
        (filtered, log_likelihood)
    }
}

/// The filter over one block.
struct Pass<'a> {
    linear: &'a Linear,
    sequences: &'a Sequences,
    block: &'a Block,
    gains: &'a Gains,
    steps: &'a [u32],
    predicted: &'a mut [f64],
    means: &'a mut [f64],
    /// The whitened innovation of a step. `[k, B]`
    innovation: Vec<f64>,
    /// The observed entries of a step with missing ones. `[k, B]`
    present: Vec<f64>,
    log_likelihood: &'a mut [f64],
}

impl WithSimd for Pass<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        for (t, &step) in self.steps.iter().enumerate() {
            let (active, update) = (self.block.active[t], self.gains.update(step));
            let mut column = 0;
            while column + 2 * S::F64_LANES <= active {
                self.step::<S, 2>(simd, t, &update, column);
                column += 2 * S::F64_LANES;
            }
            while column + S::F64_LANES <= active {
                self.step::<S, 1>(simd, t, &update, column);
                column += S::F64_LANES;
            }
            for column in column..active {
                self.step::<Scalar, 1>(Scalar::new(), t, &update, column);
            }
        }
    }
}

impl Pass<'_> {
    /// Step t of V vectors from `column` on.
    #[inline(always)]
    fn step<S: Simd, const V: usize>(&mut self, simd: S, t: usize, update: &Update, column: usize) {
        let (linear, block) = (self.linear, self.block);
        let (x, u, width, stride) = (linear.states, linear.inputs, block.members.len(), block.stride());
        let at = t * width + column;
        let (now, scratch) = (Place::new(stride, at), Place::new(width, column));
        // m' = A m + B u + b.
        if t == 0 {
            for (i, &mean) in linear.initial_mean.iter().enumerate() {
                now.of_mut(self.predicted).store(simd, i, [simd.splat_f64s(mean); V]);
            }
        } else {
            let before = Place::new(stride, at - width);
            let start = Start::Constants(&linear.transition_offset);
            let a = coefficients(&linear.transition, x, x);
            let b = coefficients(&linear.transition_input, x, u);
            let terms = [(a, before.of(self.means)), (b, before.of(&block.inputs))];
            apply::<S, V, 2>(simd, now.of_mut(self.predicted), start, terms);
        }
        // e = L⁻¹ (o − C m' − D u − d).
        let mut observed = now.of(&block.observed);
        let k = update.gain.columns;
        if k < self.sequences.outputs() {
            for (i, &entry) in self.sequences.masks[update.mask as usize].iter().enumerate() {
                let value: [_; V] = observed.load(simd, entry);
                scratch.of_mut(&mut self.present).store(simd, i, value);
            }
            observed = scratch.of(&self.present);
        }
        let terms = [
            (update.whitening, observed),
            (update.input, now.of(&block.inputs)),
            (update.projection, now.of(self.predicted)),
        ];
        let start = Start::Constants(update.offset);
        apply::<S, V, 3>(simd, scratch.of_mut(&mut self.innovation), start, terms);
        let e = scratch.of(&self.innovation);
        // −½ (eᵀe + log det 2πS).
        let mut cost = [simd.splat_f64s(2.0 * update.log_norm); V];
        for r in 0..k {
            let e: [_; V] = e.load(simd, r);
            for v in 0..V {
                cost[v] = simd.mul_add_e_f64s(e[v], e[v], cost[v]);
            }
        }
        let mut total = scratch.of_mut(self.log_likelihood);
        let mut sum: [_; V] = total.load(simd, 0);
        for v in 0..V {
            sum[v] = simd.mul_add_e_f64s(simd.splat_f64s(-0.5), cost[v], sum[v]);
        }
        total.store(simd, 0, sum);
        // m = m' + P' Cᵀ L⁻ᵀ e.
        let start = Start::Column(now.of(self.predicted));
        apply::<S, V, 1>(simd, now.of_mut(self.means), start, [(update.gain, e)]);
    }
}
