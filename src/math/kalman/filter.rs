//! The half of the filter that sees the data (Kalman 1960): means and log-likelihoods, many sequences side by side.
//!
//! With the whitened innovation `e = L⁻¹ (o − C m' − D u − d)` a step is `m = m' + P' Cᵀ L⁻ᵀ e`, and adds
//! `−½ (eᵀe + log det 2πS)` to the log-likelihood; then `m' = A m + B u + b`.

use super::covariance::{EDGE, Gain, Gains, row_major};
use super::lanes::combine;
use super::sequences::{Block, Sequences};
use super::statistics::precision;
use super::{Beliefs, System};
use crate::Result;
use pulp::{Arch, Simd, WithSimd};

/// What the filter says of every sequence under one system.
#[derive(Debug)]
pub struct Filtered<'a> {
    pub(super) system: &'a System,
    pub(super) sequences: &'a Sequences,
    pub(super) gains: Gains,
    pub(super) blocks: Vec<FilteredBlock>,
    log_likelihood: Vec<f64>,
}

/// Of one block.
#[derive(Debug)]
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

    /// Without `share`, every covariance is computed afresh.
    pub(super) fn with_sharing(system: &'a System, sequences: &'a Sequences, share: bool) -> Result<Self> {
        if (system.outputs(), system.inputs()) != (sequences.outputs(), sequences.inputs()) {
            return Err(crate::Error::Other(format!(
                "the system has {} outputs and {} inputs, the sequences {} and {}",
                system.outputs(),
                system.inputs(),
                sequences.outputs(),
                sequences.inputs()
            )));
        }
        let mut gains = Gains::new(share);
        let mut log_likelihood = vec![0.0; sequences.count()];
        let mut blocks = Vec::with_capacity(sequences.blocks.len());
        let linear = Linear::new(system);
        for block in &sequences.blocks {
            let mut steps = Vec::with_capacity(block.masks.len());
            let mut step = EDGE;
            for &mask in &block.masks {
                step = gains.after(system, step, mask, &sequences.masks[mask as usize])?;
                steps.push(step);
            }
            let mut own = vec![0.0; block.members.len()];
            let filtered = linear.filter(sequences, block, &gains.steps, steps, &mut own);
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

    /// What the past alone says: independent beliefs N(m_t, P_t) given o_1 … o_t at every step.
    pub fn beliefs(&self) -> Beliefs {
        Beliefs::filtered(self)
    }

    /// The entropy of [`Filtered::beliefs`] of each sequence, in nats.
    pub fn entropy(&self) -> Vec<f64> {
        let entropy = |gain: &Gain| {
            let (_, log_det, directions) = precision(&gain.covariance);
            0.5 * (directions as f64 + log_det)
        };
        let each: Vec<f64> = self.gains.steps.iter().map(entropy).collect();
        let mut all = vec![0.0; self.sequences.count()];
        for (own, block) in self.blocks.iter().zip(&self.sequences.blocks) {
            for (&i, &length) in block.members.iter().zip(&block.lengths) {
                all[i] = own.steps[..length].iter().map(|&step| each[step as usize]).sum();
            }
        }
        all
    }

    /// What all observations say: the smoother (Rauch, Tung & Striebel 1965), with lag-one covariances.
    pub fn smooth(&self) -> Beliefs {
        Beliefs::smoothed(self)
    }
}

/// The system's matrices, row-major.
struct Linear {
    states: usize,
    inputs: usize,
    initial_mean: Vec<f64>,
    transition: Vec<f64>,
    transition_input: Vec<f64>,
    transition_offset: Vec<f64>,
    /// −D.
    emission_input: Vec<f64>,
    emission_offset: Vec<f64>,
}

impl Linear {
    fn new(system: &System) -> Self {
        Self {
            states: system.states(),
            inputs: system.inputs(),
            initial_mean: system.initial_mean.as_slice().to_vec(),
            transition: row_major(&system.transition),
            transition_input: row_major(&system.transition_input),
            transition_offset: system.transition_offset.as_slice().to_vec(),
            emission_input: row_major(&-&system.emission_input),
            emission_offset: system.emission_offset.as_slice().to_vec(),
        }
    }

    fn filter(
        &self,
        sequences: &Sequences,
        block: &Block,
        gains: &[Gain],
        steps: Vec<u32>,
        log_likelihood: &mut [f64],
    ) -> FilteredBlock {
        let stride = block.stride();
        let mut filtered = FilteredBlock {
            steps,
            predicted: vec![0.0; self.states * stride],
            means: vec![0.0; self.states * stride],
        };
        Arch::new().dispatch(Pass {
            linear: self,
            sequences,
            block,
            gains,
            filtered: &mut filtered,
            log_likelihood,
        });
        filtered
    }
}

/// The filter over one block.
struct Pass<'a> {
    linear: &'a Linear,
    sequences: &'a Sequences,
    block: &'a Block,
    gains: &'a [Gain],
    filtered: &'a mut FilteredBlock,
    log_likelihood: &'a mut [f64],
}

impl WithSimd for Pass<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self {
            linear,
            sequences,
            block,
            gains,
            filtered,
            log_likelihood,
        } = self;
        let FilteredBlock {
            steps,
            predicted,
            means,
        } = filtered;
        let (x, u, width, stride) = (linear.states, linear.inputs, block.members.len(), block.stride());
        // o − D u − d, for all steps at once.
        let mut centred = block.observed.clone();
        for (j, row) in centred.chunks_exact_mut(stride).enumerate() {
            row.iter_mut().for_each(|o| *o -= linear.emission_offset[j]);
            let d = &linear.emission_input[j * u..(j + 1) * u];
            combine(simd, row, d, &block.inputs, stride, 0);
        }
        let mut innovation = vec![0.0; sequences.outputs() * width]; // [k, B]
        for (t, &step) in steps.iter().enumerate() {
            let (gain, at, active) = (&gains[step as usize], t * width, block.active[t]);
            let entries = &sequences.masks[gain.mask as usize];
            let k = entries.len();
            for i in 0..x {
                let to = &mut predicted[i * stride + at..][..active];
                if t == 0 {
                    to.fill(linear.initial_mean[i]);
                } else {
                    to.fill(linear.transition_offset[i]);
                    let before = at - width;
                    combine(simd, to, &linear.transition[i * x..(i + 1) * x], means, stride, before);
                    combine(
                        simd,
                        to,
                        &linear.transition_input[i * u..(i + 1) * u],
                        &block.inputs,
                        stride,
                        before,
                    );
                }
            }
            for r in 0..k {
                let e = &mut innovation[r * width..][..active];
                e.fill(0.0);
                combine(simd, e, &gain.projection[r * x..(r + 1) * x], predicted, stride, at);
                for (s, &j) in entries[..=r].iter().enumerate() {
                    combine(
                        simd,
                        e,
                        &gain.whitening[r * k + s..=r * k + s],
                        &centred[j * stride..],
                        stride,
                        at,
                    );
                }
                for (sum, e) in log_likelihood.iter_mut().zip(&*e) {
                    *sum -= 0.5 * e * e;
                }
            }
            log_likelihood[..active]
                .iter_mut()
                .for_each(|sum| *sum -= gain.log_norm);
            for i in 0..x {
                let to = &mut means[i * stride + at..][..active];
                to.copy_from_slice(&predicted[i * stride + at..][..active]);
                combine(simd, to, &gain.gain[i * k..(i + 1) * k], &innovation, width, 0);
            }
        }
    }
}
