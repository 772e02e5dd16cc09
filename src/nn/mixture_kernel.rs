//! The loops of [`super::mixture`]: values and gradients of the log joint, [`LANES`] rows at a time.
//!
//! Notation as there: `e = y - μ`, `u = (e + L e) / σ`, `σ = floor + exp r`. Per component and row
//! `∂/∂μ_i = u_i/σ_i + Σ_{m>i} L_mi u_m/σ_m`, `∂/∂r_i = (u_i² - 1) exp(r_i)/σ_i`, `∂/∂L_ij = -e_j u_i/σ_i`.
//! Gradients recompute what the forward pass knew: an exponential is cheaper than remembering it.

use super::density::{RAW_LIMIT, deviation};
use super::float::{Float, LANES, Lanes, vectorised};
use super::log_sum_exp::{log_share, log_sum_exp_lanes, softmax_slope};
use super::mixture::{ConditionalCovariance, MixtureShape};
use super::tile::{accumulate, load, store};

/// Columns `offset..` of a `[B, width]` matrix, or of one row that stands for all.
#[derive(Clone, Copy)]
pub(crate) struct Columns<'a, T> {
    pub(crate) data: &'a [T],
    pub(crate) width: usize,
    pub(crate) offset: usize,
    pub(crate) broadcast: bool,
}

impl<T: Float> Columns<'_, T> {
    #[inline(always)]
    fn load(&self, tile: &mut [Lanes<T>], row: usize, rows: usize) {
        if self.broadcast {
            load(tile, self.data, self.width, self.offset, 1);
        } else {
            load(tile, &self.data[row * self.width..], self.width, self.offset, rows);
        }
    }
}

/// One tile of rows: the mixture's numbers, column by column.
struct Tile<T> {
    y: Vec<Lanes<T>>,      // [D]
    logits: Vec<Lanes<T>>, // [K]
    means: Vec<Lanes<T>>,  // [K D]
    scales: Vec<Lanes<T>>, // [K F]
}

impl<T: Float> Tile<T> {
    fn new(shape: &MixtureShape) -> Self {
        let (k, d, f) = sizes(shape);
        let zeros = |n| vec![[T::zero(); LANES]; n];
        Self {
            y: zeros(d),
            logits: zeros(k),
            means: zeros(k * d),
            scales: zeros(k * f),
        }
    }

    #[inline(always)]
    fn load(&mut self, y: &[T], heads: &[Columns<T>; 3], row: usize, rows: usize) {
        let d = self.y.len();
        load(&mut self.y, &y[row * d..], d, 0, rows);
        heads[0].load(&mut self.logits, row, rows);
        heads[1].load(&mut self.means, row, rows);
        heads[2].load(&mut self.scales, row, rows);
    }
}

#[inline(always)]
fn sizes(shape: &MixtureShape) -> (usize, usize, usize) {
    let d = shape.dimension;
    (shape.components, d, shape.covariance.raw_count(d))
}

/// The index of dimension `i`'s raw deviation, and of the first number of row `i` of `L` if there is one.
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

vectorised! {
    /// `out` `[B, K]` from `y` `[B, D]` and the three heads.
    pub(crate) fn forward<'a, T>(y: &'a [T], heads: [Columns<'a, T>; 3], shape: &'a MixtureShape, out: &'a mut [T]) {
        let (k, d, f) = sizes(shape);
        let floor = T::of(shape.deviation_floor);
        let constant = T::of(-0.5 * (d as f64) * (2.0 * std::f64::consts::PI).ln());
        let half = T::of(0.5);
        let mut tile = Tile::new(shape);
        let mut e = vec![[T::zero(); LANES]; d];
        let mut joint = vec![[T::zero(); LANES]; k];
        for (index, out) in out.chunks_mut(LANES * k).enumerate() {
            let rows = out.len() / k;
            tile.load(y, &heads, index * LANES, rows);
            let total = log_sum_exp_lanes(&tile.logits);
            for (c, joint) in joint.iter_mut().enumerate() {
                let (mean, scale) = (&tile.means[c * d..][..d], &tile.scales[c * f..][..f]);
                for l in 0..LANES {
                    joint[l] = constant + log_share(tile.logits[c][l], total[l]);
                }
                for i in 0..d {
                    for l in 0..LANES {
                        e[i][l] = tile.y[i][l] - mean[i][l];
                    }
                    let (raw, row) = places(shape.covariance, d, i);
                    let s = innovation(&e, i, row.map(|start| &scale[start..start + i]));
                    for l in 0..LANES {
                        let (_, sigma) = deviation(scale[raw][l], floor);
                        let u = s[l] / sigma;
                        joint[l] -= half * u * u + sigma.ln();
                    }
                }
            }
            store(&joint, out, k, 0, rows);
        }
    }
}

vectorised! {
    /// Adds to `slopes[arguments[h]]`, shaped like the tensor of head `h`, the gradient of `Σ_bk g_bk out_bk`.
    pub(crate) fn backward<'a, T>(
        y: &'a [T],
        heads: [Columns<'a, T>; 3],
        shape: &'a MixtureShape,
        g: &'a [T],
        slopes: &'a mut [Vec<T>],
        arguments: [usize; 3],
    ) {
        let (k, d, f) = sizes(shape);
        let (floor, limit) = (T::of(shape.deviation_floor), T::of(RAW_LIMIT));
        let (zero, one) = (T::zero(), T::one());
        let mut tile = Tile::new(shape);
        let mut slope = Tile::new(shape);
        let mut e = vec![[zero; LANES]; d];
        for (index, g) in g.chunks(LANES * k).enumerate() {
            let (row, rows) = (index * LANES, g.len() / k);
            tile.load(y, &heads, row, rows);
            load(&mut slope.logits, g, k, 0, rows);
            for c in 0..k {
                let g = slope.logits[c]; // still the gradient of component c
                let (mean, scale) = (&tile.means[c * d..][..d], &tile.scales[c * f..][..f]);
                let (d_mean, d_scale) = (&mut slope.means[c * d..][..d], &mut slope.scales[c * f..][..f]);
                d_mean.fill([zero; LANES]);
                d_scale.fill([zero; LANES]);
                for i in 0..d {
                    for l in 0..LANES {
                        e[i][l] = tile.y[i][l] - mean[i][l];
                    }
                    let (raw, start) = places(shape.covariance, d, i);
                    let below = start.map(|start| &scale[start..start + i]);
                    let s = innovation(&e, i, below);
                    let mut ds = [zero; LANES]; // g u / σ = -∂/∂s
                    for l in 0..LANES {
                        let r = scale[raw][l];
                        let (excess, sigma) = deviation(r, floor);
                        let precision = one / sigma;
                        let u = s[l] * precision;
                        let inside = g[l] != zero;
                        ds[l] = if inside { g[l] * u * precision } else { zero };
                        let inside = inside && r >= -limit && r <= limit;
                        let dr = g[l] * (u * u - one) * (excess * precision);
                        d_scale[raw][l] += if inside { dr } else { zero };
                        d_mean[i][l] += ds[l];
                    }
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
            let total = log_sum_exp_lanes(&tile.logits);
            for logits in &mut tile.logits {
                for l in 0..LANES {
                    logits[l] = log_share(logits[l], total[l]);
                }
            }
            softmax_slope(&tile.logits, &mut slope.logits);
            let tiles = [&slope.logits, &slope.means, &slope.scales];
            for ((tile, head), argument) in tiles.into_iter().zip(&heads).zip(arguments) {
                let start = if head.broadcast { 0 } else { row * head.width };
                accumulate(tile, &mut slopes[argument][start..], head.width, head.offset, rows, head.broadcast);
            }
        }
    }
}
