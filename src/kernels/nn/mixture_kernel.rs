//! The loops of [`super::mixture`]: values and gradients of the log joint and of its sum over components, [`LANES`]
//! rows at a time.
//!
//! Notation as there: `e = y - μ`, `u = (e + L e) / σ`, `σ = floor + exp r`. Per component and row
//! `∂/∂μ_i = u_i/σ_i + Σ_{m>i} L_mi u_m/σ_m`, `∂/∂r_i = (u_i² - 1) exp(r_i)/σ_i`, `∂/∂L_ij = -e_j u_i/σ_i`.
//! The gradient of `log Σ_k exp joint_k` weights these with the responsibilities `exp(joint_k - log Σ)`, which one pass
//! computes together with the value. The other gradients recompute values of their forward pass: an exponential is
//! cheaper than storing it.

use super::arguments::{ConditionalCovariance, MixtureShape, RAW_LIMIT};
use super::density::deviation;
use super::float::{Float, LANES, Lanes, vectorised};
use super::log_sum_exp::{log_sum_exp_lanes, normalize, probability, softmax_gradient};
use super::tile::{accumulate, load, store};
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
    y: Vec<Lanes<T>>,     // [D]
    heads: Vec<Lanes<T>>, // [K], [K D] and [K F]: logits, means and scales
    k: usize,
    means: usize, // K D
}

impl<T: Float> Tile<T> {
    fn new(shape: &MixtureShape) -> Self {
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
    fn load(&mut self, y: &[T], heads: &[Columns<T>; 3], row: usize, rows: usize) {
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
    fn are_neighbours(&self, heads: &[Columns<T>; 3]) -> bool {
        let [logits, means, scales] = heads;
        logits.argument == means.argument
            && means.argument == scales.argument
            && logits.offset + self.k == means.offset
            && means.offset + self.means == scales.offset
    }

    /// Logits `[K]`, means `[K D]` and scales `[K F]`.
    #[inline(always)]
    fn parts(&self) -> [&[Lanes<T>]; 3] {
        let (logits, rest) = self.heads.split_at(self.k);
        let (means, scales) = rest.split_at(self.means);
        [logits, means, scales]
    }

    #[inline(always)]
    fn parts_mut(&mut self) -> [&mut [Lanes<T>]; 3] {
        let (logits, rest) = self.heads.split_at_mut(self.k);
        let (means, scales) = rest.split_at_mut(self.means);
        [logits, means, scales]
    }

    #[inline(always)]
    fn logits(&self) -> &[Lanes<T>] {
        &self.heads[..self.k]
    }

    #[inline(always)]
    fn logits_mut(&mut self) -> &mut [Lanes<T>] {
        &mut self.heads[..self.k]
    }
}

#[inline(always)]
fn sizes(shape: &MixtureShape) -> (usize, usize, usize) {
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
    fn log_joint(&self, log_prior: Option<&[Lanes<T>]>, d: usize, joint: &mut [Lanes<T>]) {
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
    fn gradients(&self, tile: &Tile<T>, shape: &MixtureShape, gradient: &mut Tile<T>) {
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

/// Turns logits into probabilities. `[K]` lanes
#[inline(always)]
fn probabilities<T: Float>(logits: &mut [Lanes<T>]) {
    normalize(logits);
    logits.as_flattened_mut().iter_mut().for_each(|p| *p = p.exp());
}

/// Where gradients are added: one matrix per argument.
pub(crate) struct Gradients<'a, T>(pub(crate) &'a mut [Vec<T>]);

impl<T: Float> Gradients<'_, T> {
    /// Adds the gradients of `rows` rows from `row` on.
    #[inline(always)]
    fn add(&mut self, gradient: &Tile<T>, heads: &[Columns<T>; 3], row: usize, rows: usize) {
        if gradient.are_neighbours(heads) {
            return self.add_columns(&gradient.heads, &heads[0], row, rows);
        }
        for (tile, head) in gradient.parts().into_iter().zip(heads) {
            self.add_columns(tile, head, row, rows);
        }
    }

    #[inline(always)]
    fn add_columns(&mut self, tile: &[Lanes<T>], head: &Columns<T>, row: usize, rows: usize) {
        let start = if head.broadcast { 0 } else { row * head.width };
        let data = &mut self.0[head.argument][start..];
        accumulate(tile, data, head.width, head.offset, rows, head.broadcast);
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
                normalize(tile.logits_mut());
            }
            innovations.log_joint(prior.then_some(tile.logits()), d, &mut joint);
            store(&joint, out, k, 0, rows);
        }
    }
}

vectorised! {
    /// Adds to `gradients` the gradient of `Σ_bk g_bk out_bk` for the `out` of [`forward`].
    pub(crate) fn backward<'a, T>(
        y: &'a [T],
        heads: [Columns<'a, T>; 3],
        shape: &'a MixtureShape,
        prior: bool,
        g: &'a [T],
        gradients: Gradients<'a, T>,
    ) {
        let k = shape.components;
        let mut gradients = gradients;
        let (mut tile, mut gradient) = (Tile::new(shape), Tile::new(shape));
        let mut innovations = Innovations::new(shape);
        for (index, g) in g.chunks(LANES * k).enumerate() {
            let (row, rows) = (index * LANES, g.len() / k);
            tile.load(y, &heads, row, rows);
            innovations.find(&tile, shape);
            load(gradient.logits_mut(), g, k, 0, rows);
            innovations.gradients(&tile, shape, &mut gradient);
            if prior {
                normalize(tile.logits_mut());
                softmax_gradient(tile.logits(), gradient.logits_mut());
            } else {
                gradient.logits_mut().fill([T::zero(); LANES]);
            }
            gradients.add(&gradient, &heads, row, rows);
        }
    }
}

vectorised! {
    /// `out` `[B]`, the log-sum-exp over components of the log joint; adds to `gradients` the gradient of
    /// `Σ_b g_b out_b`, or of `Σ_b out_b` if there is no `g`.
    pub(crate) fn log_prob<'a, T>(
        y: &'a [T],
        heads: [Columns<'a, T>; 3],
        shape: &'a MixtureShape,
        g: Option<&'a [T]>,
        out: &'a mut [T],
        gradients: Option<Gradients<'a, T>>,
    ) {
        let (k, d, _) = sizes(shape);
        let mut gradients = gradients;
        let (mut tile, mut gradient) = (Tile::new(shape), Tile::new(shape));
        let mut innovations = Innovations::new(shape);
        let mut joint = vec![[T::zero(); LANES]; k];
        let mut weight = [[T::one(); LANES]];
        for (index, out) in out.chunks_mut(LANES).enumerate() {
            let (row, rows) = (index * LANES, out.len());
            tile.load(y, &heads, row, rows);
            innovations.find(&tile, shape);
            normalize(tile.logits_mut());
            innovations.log_joint(Some(tile.logits()), d, &mut joint);
            let total = log_sum_exp_lanes(&joint);
            out.copy_from_slice(&total[..rows]);
            let Some(gradients) = &mut gradients else { continue };
            if let Some(g) = g {
                load(&mut weight, &g[row..], 1, 0, rows);
            }
            for (gradient, joint) in gradient.logits_mut().iter_mut().zip(&joint) {
                for l in 0..LANES {
                    gradient[l] = weight[0][l] * probability(joint[l] - total[l]);
                }
            }
            innovations.gradients(&tile, shape, &mut gradient);
            softmax_gradient(tile.logits(), gradient.logits_mut());
            gradients.add(&gradient, &heads, row, rows);
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
            probabilities(tile.logits_mut());
            mean.fill([T::zero(); LANES]);
            let [logits, means, _] = tile.parts();
            for (p, means) in logits.iter().zip(means.chunks_exact(d)) {
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
    /// Adds to `gradients` the gradient of `Σ_bi g_bi m_bi`: with `s_k = Σ_i g_i μ_ki`, that of `μ_ki` is `π_k g_i`,
    /// that of logit k `π_k (s_k - Σ_j π_j s_j)`.
    pub(crate) fn mean_backward<'a, T>(
        y: &'a [T],
        heads: [Columns<'a, T>; 3],
        shape: &'a MixtureShape,
        g: &'a [T],
        gradients: Gradients<'a, T>,
    ) {
        let d = shape.dimension;
        let mut gradients = gradients;
        let (mut tile, mut gradient) = (Tile::new(shape), Tile::new(shape));
        let mut own = vec![[T::zero(); LANES]; d]; // of g
        for (index, g) in g.chunks(LANES * d).enumerate() {
            let (row, rows) = (index * LANES, g.len() / d);
            tile.load(y, &heads, row, rows);
            probabilities(tile.logits_mut());
            load(&mut own, g, d, 0, rows);
            let mut average = [T::zero(); LANES];
            let ([logits, means, _], [d_logits, d_means, _]) = (tile.parts(), gradient.parts_mut());
            for (c, (p, s)) in logits.iter().zip(&mut *d_logits).enumerate() {
                *s = [T::zero(); LANES];
                let means = means[c * d..][..d].iter().zip(&mut d_means[c * d..][..d]);
                for ((mean, d_mean), g) in means.zip(&own) {
                    for l in 0..LANES {
                        d_mean[l] = p[l] * g[l];
                        s[l] += g[l] * mean[l];
                    }
                }
                for l in 0..LANES {
                    average[l] += p[l] * s[l];
                }
            }
            for (p, s) in logits.iter().zip(d_logits) {
                for l in 0..LANES {
                    s[l] = p[l] * (s[l] - average[l]);
                }
            }
            gradients.add(&gradient, &heads, row, rows);
        }
    }
}

vectorised! {
    /// Multiplies every row of `x` `[B, columns]` by its number in `g` `[B]`; a factor of 0 gives 0 even for an
    /// infinity.
    pub(crate) fn scale_rows<'a, T>(x: &'a mut [T], g: &'a [T], columns: usize) {
        for (row, &g) in x.chunks_exact_mut(columns).zip(g) {
            for x in row {
                let product = g * *x;
                *x = if g == T::zero() { g } else { product };
            }
        }
    }
}
