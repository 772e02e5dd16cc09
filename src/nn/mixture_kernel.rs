//! The loops of [`super::mixture`]: values and gradients of the log joint and of its sum over components, [`LANES`] rows
//! at a time.
//!
//! Notation as there: `e = y - μ`, `u = (e + L e) / σ`, `σ = floor + exp r`. Per component and row
//! `∂/∂μ_i = u_i/σ_i + Σ_{m>i} L_mi u_m/σ_m`, `∂/∂r_i = (u_i² - 1) exp(r_i)/σ_i`, `∂/∂L_ij = -e_j u_i/σ_i`.
//! The gradient of `log Σ_k exp joint_k` weighs these with the responsibilities `exp(joint_k - log Σ)`, which one pass
//! knows as soon as it has the value. The others recompute what their forward pass knew: an exponential is cheaper than
//! remembering it.

use super::density::{RAW_LIMIT, deviation};
use super::float::{Float, LANES, Lanes, vectorised};
use super::log_sum_exp::{log_share, log_sum_exp_lanes, probability, softmax_slope};
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

/// What a tile of rows has for every component and dimension. `[K D]`
struct Innovations<T> {
    e: Vec<Lanes<T>>,         // y - μ
    u: Vec<Lanes<T>>,         // (e + L e) / σ
    precision: Vec<Lanes<T>>, // 1 / σ
    share: Vec<Lanes<T>>,     // exp(r) / σ
}

impl<T: Float> Innovations<T> {
    fn new(shape: &MixtureShape) -> Self {
        let zeros = || vec![[T::zero(); LANES]; shape.components * shape.dimension];
        Self {
            e: zeros(),
            u: zeros(),
            precision: zeros(),
            share: zeros(),
        }
    }

    #[inline(always)]
    fn find(&mut self, tile: &Tile<T>, shape: &MixtureShape) {
        let (k, d, f) = sizes(shape);
        let (floor, one) = (T::of(shape.deviation_floor), T::one());
        for c in 0..k {
            let (mean, scale) = (&tile.means[c * d..][..d], &tile.scales[c * f..][..f]);
            let (e, u) = (&mut self.e[c * d..][..d], &mut self.u[c * d..][..d]);
            let (precision, share) = (&mut self.precision[c * d..][..d], &mut self.share[c * d..][..d]);
            for i in 0..d {
                for l in 0..LANES {
                    e[i][l] = tile.y[i][l] - mean[i][l];
                }
                let (raw, row) = places(shape.covariance, d, i);
                let s = innovation(e, i, row.map(|start| &scale[start..start + i]));
                for l in 0..LANES {
                    let (excess, sigma) = deviation(scale[raw][l], floor);
                    let p = one / sigma;
                    precision[i][l] = p;
                    share[i][l] = excess * p;
                    u[i][l] = s[l] * p;
                }
            }
        }
    }

    /// `log N(y; μ_k, Σ_k)`, and with logits that are normalised, `+ log π_k`: `[K]` lanes.
    #[inline(always)]
    fn log_joint(&self, log_prior: Option<&[Lanes<T>]>, d: usize, joint: &mut [Lanes<T>]) {
        let constant = T::of(-0.5 * (d as f64) * (2.0 * std::f64::consts::PI).ln());
        let half = T::of(0.5);
        for (c, joint) in joint.iter_mut().enumerate() {
            *joint = [constant; LANES];
            if let Some(log_prior) = log_prior {
                for l in 0..LANES {
                    joint[l] += log_prior[c][l];
                }
            }
            for (u, precision) in self.u[c * d..][..d].iter().zip(&self.precision[c * d..][..d]) {
                for l in 0..LANES {
                    joint[l] -= half * u[l] * u[l] - precision[l].ln();
                }
            }
        }
    }

    /// The gradient of `Σ_k g_k log N_k`, with `g` in the logits of `slope`: its means and scales.
    #[inline(always)]
    fn gradients(&self, tile: &Tile<T>, shape: &MixtureShape, slope: &mut Tile<T>) {
        let (k, d, f) = sizes(shape);
        let limit = T::of(RAW_LIMIT);
        let (zero, one) = (T::zero(), T::one());
        for c in 0..k {
            let g = &slope.logits[c];
            let (e, u) = (&self.e[c * d..][..d], &self.u[c * d..][..d]);
            let (precision, share) = (&self.precision[c * d..][..d], &self.share[c * d..][..d]);
            let scale = &tile.scales[c * f..][..f];
            let (d_mean, d_scale) = (&mut slope.means[c * d..][..d], &mut slope.scales[c * f..][..f]);
            d_mean.fill([zero; LANES]);
            d_scale.fill([zero; LANES]);
            for i in 0..d {
                let (raw, start) = places(shape.covariance, d, i);
                let mut ds = [zero; LANES]; // g u / σ = -∂/∂s
                for l in 0..LANES {
                    let (r, u) = (scale[raw][l], u[i][l]);
                    let inside = g[l] != zero;
                    ds[l] = if inside { g[l] * u * precision[i][l] } else { zero };
                    let inside = inside && r >= -limit && r <= limit;
                    let dr = g[l] * (u * u - one) * share[i][l];
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
    }
}

/// Turns logits into log-probabilities. `[K]` lanes
#[inline(always)]
fn normalize<T: Float>(logits: &mut [Lanes<T>]) {
    let total = log_sum_exp_lanes(logits);
    for logits in logits {
        for l in 0..LANES {
            logits[l] = log_share(logits[l], total[l]);
        }
    }
}

/// Turns logits into probabilities. `[K]` lanes
#[inline(always)]
fn probabilities<T: Float>(logits: &mut [Lanes<T>]) {
    normalize(logits);
    logits.as_flattened_mut().iter_mut().for_each(|p| *p = p.exp());
}

/// Where gradients go: to that of each argument, and which argument each head is in.
pub(crate) struct Slopes<'a, T> {
    pub(crate) of: &'a mut [Vec<T>],
    pub(crate) arguments: [usize; 3],
}

impl<T: Float> Slopes<'_, T> {
    /// Adds the gradients of `rows` rows from `row` on.
    #[inline(always)]
    fn add(&mut self, slope: &Tile<T>, heads: &[Columns<T>; 3], row: usize, rows: usize) {
        let tiles = [&slope.logits, &slope.means, &slope.scales];
        for ((tile, head), argument) in tiles.into_iter().zip(heads).zip(self.arguments) {
            let start = if head.broadcast { 0 } else { row * head.width };
            let data = &mut self.of[argument][start..];
            accumulate(tile, data, head.width, head.offset, rows, head.broadcast);
        }
    }
}

vectorised! {
    /// `out` `[B, K]` from `y` `[B, D]` and the three heads: the log joint, without `prior` the log-likelihood.
    pub(crate) fn forward<'a, T>(
        y: &'a [T],
        heads: [Columns<'a, T>; 3],
        shape: &'a MixtureShape,
        prior: bool,
        out: &'a mut [T],
    ) {
        let (k, d, _) = sizes(shape);
        let mut tile = Tile::new(shape);
        let mut innovations = Innovations::new(shape);
        let mut joint = vec![[T::zero(); LANES]; k];
        for (index, out) in out.chunks_mut(LANES * k).enumerate() {
            let rows = out.len() / k;
            tile.load(y, &heads, index * LANES, rows);
            innovations.find(&tile, shape);
            if prior {
                normalize(&mut tile.logits);
            }
            innovations.log_joint(prior.then_some(&tile.logits), d, &mut joint);
            store(&joint, out, k, 0, rows);
        }
    }
}

vectorised! {
    /// Adds to `slopes` the gradient of `Σ_bk g_bk out_bk` for the `out` of [`forward`].
    pub(crate) fn backward<'a, T>(
        y: &'a [T],
        heads: [Columns<'a, T>; 3],
        shape: &'a MixtureShape,
        prior: bool,
        g: &'a [T],
        slopes: Slopes<'a, T>,
    ) {
        let k = shape.components;
        let mut slopes = slopes;
        let (mut tile, mut slope) = (Tile::new(shape), Tile::new(shape));
        let mut innovations = Innovations::new(shape);
        for (index, g) in g.chunks(LANES * k).enumerate() {
            let (row, rows) = (index * LANES, g.len() / k);
            tile.load(y, &heads, row, rows);
            innovations.find(&tile, shape);
            load(&mut slope.logits, g, k, 0, rows);
            innovations.gradients(&tile, shape, &mut slope);
            if prior {
                normalize(&mut tile.logits);
                softmax_slope(&tile.logits, &mut slope.logits);
            } else {
                slope.logits.fill([T::zero(); LANES]);
            }
            slopes.add(&slope, &heads, row, rows);
        }
    }
}

vectorised! {
    /// `out` `[B]`, the log-sum-exp over components of the log joint; adds to `slopes` the gradient of `Σ_b g_b out_b`, of
    /// `Σ_b out_b` where there is no `g`.
    pub(crate) fn log_prob<'a, T>(
        y: &'a [T],
        heads: [Columns<'a, T>; 3],
        shape: &'a MixtureShape,
        g: Option<&'a [T]>,
        out: &'a mut [T],
        slopes: Option<Slopes<'a, T>>,
    ) {
        let (k, d, _) = sizes(shape);
        let mut slopes = slopes;
        let (mut tile, mut slope) = (Tile::new(shape), Tile::new(shape));
        let mut innovations = Innovations::new(shape);
        let mut joint = vec![[T::zero(); LANES]; k];
        let mut weight = [[T::one(); LANES]];
        for (index, out) in out.chunks_mut(LANES).enumerate() {
            let (row, rows) = (index * LANES, out.len());
            tile.load(y, &heads, row, rows);
            innovations.find(&tile, shape);
            normalize(&mut tile.logits);
            innovations.log_joint(Some(&tile.logits), d, &mut joint);
            let total = log_sum_exp_lanes(&joint);
            out.copy_from_slice(&total[..rows]);
            let Some(slopes) = &mut slopes else { continue };
            if let Some(g) = g {
                load(&mut weight, &g[row..], 1, 0, rows);
            }
            for (slope, joint) in slope.logits.iter_mut().zip(&joint) {
                for l in 0..LANES {
                    slope[l] = weight[0][l] * probability(joint[l] - total[l]);
                }
            }
            innovations.gradients(&tile, shape, &mut slope);
            softmax_slope(&tile.logits, &mut slope.logits);
            slopes.add(&slope, &heads, row, rows);
        }
    }
}

vectorised! {
    /// `out` `[B, D]`, the mean `m = Σ_k π_k μ_k` of each row.
    pub(crate) fn mean<'a, T>(y: &'a [T], heads: [Columns<'a, T>; 3], shape: &'a MixtureShape, out: &'a mut [T]) {
        let d = shape.dimension;
        let mut tile = Tile::new(shape);
        let mut mean = vec![[T::zero(); LANES]; d];
        for (index, out) in out.chunks_mut(LANES * d).enumerate() {
            tile.load(y, &heads, index * LANES, out.len() / d);
            probabilities(&mut tile.logits);
            mean.fill([T::zero(); LANES]);
            for (p, means) in tile.logits.iter().zip(tile.means.chunks_exact(d)) {
                for (sum, mean) in mean.iter_mut().zip(means) {
                    for l in 0..LANES {
                        sum[l] += p[l] * mean[l];
                    }
                }
            }
            store(&mean, out, d, 0, out.len() / d);
        }
    }
}

vectorised! {
    /// Adds to `slopes` the gradient of `Σ_bi g_bi m_bi`: with `s_k = Σ_i g_i μ_ki`, that of `μ_ki` is `π_k g_i`, that of
    /// logit k `π_k (s_k - Σ_j π_j s_j)`.
    pub(crate) fn mean_backward<'a, T>(
        y: &'a [T],
        heads: [Columns<'a, T>; 3],
        shape: &'a MixtureShape,
        g: &'a [T],
        slopes: Slopes<'a, T>,
    ) {
        let d = shape.dimension;
        let mut slopes = slopes;
        let (mut tile, mut slope) = (Tile::new(shape), Tile::new(shape));
        for (index, g) in g.chunks(LANES * d).enumerate() {
            let (row, rows) = (index * LANES, g.len() / d);
            tile.load(y, &heads, row, rows);
            probabilities(&mut tile.logits);
            load(&mut slope.y, g, d, 0, rows);
            let mut average = [T::zero(); LANES];
            for (c, (p, s)) in tile.logits.iter().zip(&mut slope.logits).enumerate() {
                *s = [T::zero(); LANES];
                let means = tile.means[c * d..][..d].iter().zip(&mut slope.means[c * d..][..d]);
                for ((mean, d_mean), g) in means.zip(&slope.y) {
                    for l in 0..LANES {
                        d_mean[l] = p[l] * g[l];
                        s[l] += g[l] * mean[l];
                    }
                }
                for l in 0..LANES {
                    average[l] += p[l] * s[l];
                }
            }
            for (p, s) in tile.logits.iter().zip(&mut slope.logits) {
                for l in 0..LANES {
                    s[l] = p[l] * (s[l] - average[l]);
                }
            }
            slopes.add(&slope, &heads, row, rows);
        }
    }
}

vectorised! {
    /// Multiplies every row of `x` `[B, columns]` by its number in `g` `[B]`; 0 silences even an infinity.
    pub(crate) fn scale_rows<'a, T>(x: &'a mut [T], g: &'a [T], columns: usize) {
        for (row, &g) in x.chunks_exact_mut(columns).zip(g) {
            for x in row {
                let product = g * *x;
                *x = if g == T::zero() { g } else { product };
            }
        }
    }
}
