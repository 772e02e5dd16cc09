//! Draws of a diagonal Gaussian through which a gradient flows: `z = μ + σ ε` with `σ = floor + exp(raw)`, raw clamped
//! to ±80 (Kingma & Welling 2014, section 2.4).
//!
//! Backward, from `g = ∂L/∂z`: `∂L/∂μ = Σ_s g`, `∂L/∂raw = exp(raw) Σ_s g ε`.

use super::arguments::RAW_LIMIT;
use super::composed;
use super::density::deviation;
use super::float::{Float, elements, vectorised, with_elements, with_float};
use crate::{Error, Result};
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp2, Layout, Shape, Tensor, WithDType};

/// `mean + (floor + exp raw) noise`: `mean` and `raw` `[B, Z]`, `noise` `[B, S, Z]`, result `[B, S, Z]`. The noise is a
/// constant: no gradient reaches it.
pub fn reparameterised(mean: &Tensor, raw: &Tensor, noise: &Tensor, floor: f64) -> Result<Tensor> {
    let fits = match (mean.dims(), noise.dims()) {
        (&[b, z], &[rows, _, columns]) => b == rows && z == columns && z > 0 && mean.dims() == raw.dims(),
        _ => false,
    };
    if !fits {
        return Err(Error::Other(format!(
            "draws of a Gaussian expect mean and raw [B, Z] and noise [B, S, Z] with Z > 0, got {:?}, {:?} and {:?}",
            mean.dims(),
            raw.dims(),
            noise.dims()
        )));
    }
    if composed::wanted(mean) {
        return composed::reparameterised(mean, raw, &noise.detach(), floor);
    }
    let noise = noise.contiguous()?.detach();
    Ok(mean
        .contiguous()?
        .apply_op2(&raw.contiguous()?, Reparameterised { noise, floor })?) // [B, S, Z]
}

struct Reparameterised {
    noise: Tensor, // [B, S, Z]
    floor: f64,
}

impl CustomOp2 for Reparameterised {
    fn name(&self) -> &'static str {
        "reparameterised"
    }

    fn cpu_fwd(
        &self,
        mean: &CpuStorage,
        mean_layout: &Layout,
        raw: &CpuStorage,
        raw_layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let (_, samples, z) = self.noise.dims3()?;
        with_float!(mean.dtype(), self.name(), T => {
            let (mean, raw) = (elements::<T>(mean, mean_layout)?, elements::<T>(raw, raw_layout)?);
            let mut out = vec![T::of(0.0); self.noise.elem_count()];
            with_elements::<T, _>(&self.noise, |noise| {
                draws((mean, raw, noise), T::of(self.floor), (samples, z), &mut out);
                Ok(())
            })?;
            Ok((T::to_cpu_storage_owned(out), self.noise.shape().clone()))
        })
    }

    fn bwd(
        &self,
        mean: &Tensor,
        raw: &Tensor,
        _: &Tensor,
        g: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        let (g, (_, samples, z)) = (g.contiguous()?, self.noise.dims3()?);
        with_float!(mean.dtype(), self.name(), T => {
            let mut gradients = [0; 2].map(|_| vec![T::of(0.0); mean.elem_count()]);
            with_elements::<T, _>(raw, |raw| with_elements::<T, _>(&self.noise, |noise| {
                with_elements::<T, _>(&g, |g| {
                    let [d_mean, d_raw] = &mut gradients;
                    pull(raw, (noise, g), (samples, z), (d_mean, d_raw));
                    Ok(())
                })
            }))?;
            let [d_mean, d_raw] = gradients.map(|gradient| Tensor::from_vec(gradient, mean.shape(), mean.device()));
            Ok((Some(d_mean?), Some(d_raw?)))
        })
    }
}

vectorised! {
    /// `arguments` are mean and raw `[B, Z]` and noise `[B, S, Z]`, `sizes` S and Z.
    fn draws<'a, T>(arguments: (&'a [T], &'a [T], &'a [T]), floor: T, sizes: (usize, usize), out: &'a mut [T]) {
        let ((mean, raw, noise), (samples, z)) = (arguments, sizes);
        let sigma: Vec<T> = raw.iter().map(|&raw| deviation(raw, floor).1).collect();
        let rows = out.chunks_exact_mut(z).zip(noise.chunks_exact(z));
        for (i, (out, noise)) in rows.enumerate() {
            let row = i / samples * z..(i / samples + 1) * z;
            let parameters = mean[row.clone()].iter().zip(&sigma[row]);
            for ((out, &noise), (&mean, &sigma)) in out.iter_mut().zip(noise).zip(parameters) {
                *out = mean + sigma * noise;
            }
        }
    }
}

vectorised! {
    /// Adds the gradients of mean and raw to `gradients`; those of a raw number beyond its limits are 0.
    fn pull<'a, T>(raw: &'a [T], noise_and_g: (&'a [T], &'a [T]), sizes: (usize, usize), gradients: (&'a mut [T], &'a mut [T])) {
        let ((noise, g), (samples, z), (d_mean, d_raw)) = (noise_and_g, sizes, gradients);
        for (i, (noise, g)) in noise.chunks_exact(z).zip(g.chunks_exact(z)).enumerate() {
            let row = i / samples * z..(i / samples + 1) * z;
            let sums = d_mean[row.clone()].iter_mut().zip(&mut d_raw[row]);
            for ((d_mean, d_raw), (&noise, &g)) in sums.zip(noise.iter().zip(g)) {
                *d_mean += g;
                *d_raw += g * noise;
            }
        }
        let (zero, limit) = (T::zero(), T::of(RAW_LIMIT));
        for (gradient, &raw) in d_raw.iter_mut().zip(raw) {
            let (excess, _) = deviation(raw, zero);
            let scaled = *gradient * excess;
            *gradient = if raw > limit || raw < -limit { zero } else { scaled };
        }
    }
}
