//! A mixture's numbers for [`LANES`] rows at a time: columns of logits, means and scales, and the innovations
//! `u = (e + L e) / σ`, `e = y - μ`, with the log-densities and gradients that follow from them.

use super::arguments::{ConditionalCovariance, MixtureShape, RAW_LIMIT};
use super::density::deviation;
use super::float::{Float, LANES, Lanes};
use super::tile::load;
use crate::math::LN_2PI;

/// Columns `offset..` of a `[B, width]` matrix, or of one row that all share.
#[derive(Clone, Copy)]
pub(crate) struct Columns<'a, T> {
    /// Which argument of the operation the matrix is.
    pub(crate) argument: usize,
    pub(crate) data: &'a [T],
    pub(crate) width: usize,
    pub(crate) offset: usize,
    pub(crate) broadcast: bool,
}

impl<T: Float> Columns<'_, T> {
    #[inline(always)]
    pub(super) fn load(&self, tile: &mut [Lanes<T>], row: usize, rows: usize) {
        if self.broadcast {
            load(tile, self.data, self.width, self.offset, 1);
        } else {
            load(tile, &self.data[row * self.width..], self.width, self.offset, rows);
        }
    }
}

/// One tile of rows: the mixture's numbers, column by column.
pub(super) struct Tile<T> {
    pub(super) y: Vec<Lanes<T>>,     // [D]
    pub(super) heads: Vec<Lanes<T>>, // [K], [K D] and [K F]: logits, means and scales
    pub(super) k: usize,
    pub(super) means: usize, // K D
}

impl<T: Float> Tile<T> {
    pub(super) fn new(shape: &MixtureShape) -> Self {
        let (k, d, f) = sizes(shape);
        let zeros = |n| vec![[T::zero(); LANES]; n];
        Self {
            y: zeros(d),
            heads: zeros(k + k * d + k * f),
            k,
            means: k * d,
        }
    }

    #[inline(always)]
    pub(super) fn load(&mut self, y: &[T], heads: &[Columns<T>; 3], row: usize, rows: usize) {
        let d = self.y.len();
        load(&mut self.y, &y[row * d..], d, 0, rows);
        if self.are_neighbours(heads) {
            return heads[0].load(&mut self.heads, row, rows);
        }
        let [logits, means, scales] = self.parts_mut();
        heads[0].load(logits, row, rows);
        heads[1].load(means, row, rows);
        heads[2].load(scales, row, rows);
    }

    /// Whether the heads lie side by side in one argument, as a network returns them.
    #[inline(always)]
    pub(super) fn are_neighbours(&self, heads: &[Columns<T>; 3]) -> bool {
        let [logits, means, scales] = heads;
        logits.argument == means.argument
            && means.argument == scales.argument
            && logits.offset + self.k == means.offset
            && means.offset + self.means == scales.offset
    }

    /// Logits `[K]`, means `[K D]` and scales `[K F]`.
    #[inline(always)]
    pub(super) fn parts(&self) -> [&[Lanes<T>]; 3] {
        let (logits, rest) = self.heads.split_at(self.k);
        let (means, scales) = rest.split_at(self.means);
        [logits, means, scales]
    }

    #[inline(always)]
    pub(super) fn parts_mut(&mut self) -> [&mut [Lanes<T>]; 3] {
        let (logits, rest) = self.heads.split_at_mut(self.k);
        let (means, scales) = rest.split_at_mut(self.means);
        [logits, means, scales]
    }

    #[inline(always)]
    pub(super) fn logits(&self) -> &[Lanes<T>] {
        &self.heads[..self.k]
    }

    #[inline(always)]
    pub(super) fn logits_mut(&mut self) -> &mut [Lanes<T>] {
        &mut self.heads[..self.k]
    }
}

#[inline(always)]
pub(super) fn sizes(shape: &MixtureShape) -> (usize, usize, usize) {
    let d = shape.dimension;
    (shape.components, d, shape.covariance.raw_count(d))
}

/// The index of dimension `i`'s raw standard deviation, and of the first number of row `i` of `L` if there is one.
#[inline(always)]
fn places(covariance: ConditionalCovariance, d: usize, i: usize) -> (usize, Option<usize>) {
    match covariance {
        ConditionalCovariance::Spherical => (0, None),
        ConditionalCovariance::Diagonal => (i, None),
        ConditionalCovariance::Full => (i, Some(d + i * i.saturating_sub(1) / 2)),
    }
}

/// `e_i + Σ_{j<i} L_ij e_j`, given the row `i` of `L`.
#[inline(always)]
fn innovation<T: Float>(e: &[Lanes<T>], i: usize, row: Option<&[Lanes<T>]>) -> Lanes<T> {
    let mut s = e[i];
    for (c, e) in row.unwrap_or_default().iter().zip(&e[..i]) {
        for l in 0..LANES {
            s[l] += c[l] * e[l];
        }
    }
    s
}

/// The quantities of a tile of rows for every component and dimension. `[K D]`
pub(super) struct Innovations<T> {
    pub(super) e: Vec<Lanes<T>>, // y - μ
    pub(super) u: Vec<Lanes<T>>, // (e + L e) / σ
    precision: Vec<Lanes<T>>,    // 1 / σ
    share: Vec<Lanes<T>>,        // exp(r) / σ
}

impl<T: Float> Innovations<T> {
    pub(super) fn new(shape: &MixtureShape) -> Self {
        let zeros = || vec![[T::zero(); LANES]; shape.components * shape.dimension];
        Self {
            e: zeros(),
            u: zeros(),
            precision: zeros(),
            share: zeros(),
        }
    }

    #[inline(always)]
    pub(super) fn find(&mut self, tile: &Tile<T>, shape: &MixtureShape) {
        let (k, d, f) = sizes(shape);
        let (floor, one) = (T::of(shape.deviation_floor), T::one());
        let [_, means, scales] = tile.parts();
        for c in 0..k {
            let (mean, scale) = (&means[c * d..][..d], &scales[c * f..][..f]);
            let (e, u) = (&mut self.e[c * d..][..d], &mut self.u[c * d..][..d]);
            let (precision, share) = (&mut self.precision[c * d..][..d], &mut self.share[c * d..][..d]);
            let differences = tile.y.as_flattened().iter().zip(mean.as_flattened());
            for (e, (y, mean)) in e.as_flattened_mut().iter_mut().zip(differences) {
                *e = *y - *mean;
            }
            for i in 0..d {
                let (raw, row) = places(shape.covariance, d, i);
                let s = innovation(e, i, row.map(|start| &scale[start..start + i]));
                let (raw, mut p, mut shares, mut quotients) = (scale[raw], s, s, s);
                for l in 0..LANES {
                    let (excess, sigma) = deviation(raw[l], floor);
                    p[l] = one / sigma;
                    shares[l] = excess * p[l];
                    quotients[l] = s[l] * p[l];
                }
                (precision[i], share[i], u[i]) = (p, shares, quotients);
            }
        }
    }

    /// `log N(y; μ_k, Σ_k)`, and with logits that are normalised, `+ log π_k`: `[K]` lanes.
    #[inline(always)]
    pub(super) fn log_joint(&self, log_prior: Option<&[Lanes<T>]>, d: usize, joint: &mut [Lanes<T>]) {
        let constant = T::of(-0.5 * (d as f64) * LN_2PI);
        let half = T::of(0.5);
        for (c, joint) in joint.iter_mut().enumerate() {
            let mut sum = [constant; LANES];
            if let Some(log_prior) = log_prior {
                for l in 0..LANES {
                    sum[l] += log_prior[c][l];
                }
            }
            for (u, precision) in self.u[c * d..][..d].iter().zip(&self.precision[c * d..][..d]) {
                for l in 0..LANES {
                    sum[l] -= half * u[l] * u[l] - precision[l].ln();
                }
            }
            *joint = sum;
        }
    }

    /// The gradient of `Σ_k g_k log N_k`, with `g` in the logits of `gradient`: its means and scales.
    #[inline(always)]
    pub(super) fn gradients(&self, tile: &Tile<T>, shape: &MixtureShape, gradient: &mut Tile<T>) {
        let (k, d, f) = sizes(shape);
        let limit = T::of(RAW_LIMIT);
        let (zero, one) = (T::zero(), T::one());
        let [_, _, scales] = tile.parts();
        let [logits, d_means, d_scales] = gradient.parts_mut();
        for c in 0..k {
            let g = logits[c];
            let (e, u) = (&self.e[c * d..][..d], &self.u[c * d..][..d]);
            let (precision, share) = (&self.precision[c * d..][..d], &self.share[c * d..][..d]);
            let scale = &scales[c * f..][..f];
            let (d_mean, d_scale) = (&mut d_means[c * d..][..d], &mut d_scales[c * f..][..f]);
            d_mean.fill([zero; LANES]);
            d_scale.fill([zero; LANES]);
            for i in 0..d {
                let (raw, start) = places(shape.covariance, d, i);
                let (r, u, precision, share) = (scale[raw], u[i], precision[i], share[i]);
                let mut ds = [zero; LANES]; // g u / σ = -∂/∂s
                let (mut mean, mut deviation) = (d_mean[i], d_scale[raw]);
                for l in 0..LANES {
                    let inside = g[l] != zero;
                    ds[l] = if inside { g[l] * u[l] * precision[l] } else { zero };
                    let inside = inside && r[l] >= -limit && r[l] <= limit;
                    let dr = g[l] * (u[l] * u[l] - one) * share[l];
                    deviation[l] += if inside { dr } else { zero };
                    mean[l] += ds[l];
                }
                (d_mean[i], d_scale[raw]) = (mean, deviation);
                if let Some(start) = start {
                    for j in 0..i {
                        for l in 0..LANES {
                            let product = ds[l] * e[j][l];
                            d_scale[start + j][l] = if g[l] == zero { zero } else { -product };
                            let product = ds[l] * scale[start + j][l];
                            d_mean[j][l] += if g[l] == zero { zero } else { product };
                        }
                    }
                }
            }
        }
    }
}
