//! The loops of [`super::mixture`]: values and gradients of the log joint and of its sum over components, [`LANES`]
//! rows at a time.
//!
//! Notation as there: `e = y - μ`, `u = (e + L e) / σ`, `σ = floor + exp r`. Per component and row
//! `∂/∂μ_i = u_i/σ_i + Σ_{m>i} L_mi u_m/σ_m`, `∂/∂r_i = (u_i² - 1) exp(r_i)/σ_i`, `∂/∂L_ij = -e_j u_i/σ_i`.
//! The gradient of `log Σ_k exp joint_k` weights these with the responsibilities `exp(joint_k - log Σ)`, which one pass
//! computes together with the value. The other gradients recompute values of their forward pass: an exponential is
//! cheaper than storing it.

use super::arguments::MixtureShape;
use super::float::{Float, LANES, Lanes, vectorised};
use super::log_sum_exp::{log_sum_exp_lanes, normalize, probability, softmax_gradient};
use super::mixture_tile::{Columns, Innovations, Tile, sizes};
use super::tile::{accumulate, load, store};

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
