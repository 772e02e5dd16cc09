//! The element-wise parts of one step of a Gaussian recursion, on flat arrays of all rows.

use super::arguments::{RAW_LIMIT, Saturation};
use super::density::deviation;
use super::float::{LANES, vectorised};
use super::lanes::{flushed, load, store};
use crate::math::LN_2PI;

vectorised! {
    /// `x = f(x)` in the first `h` columns of `layer` `[R, stride]`.
    pub(crate) fn activate<'a, T>(layer: &'a mut [T], h: usize, stride: usize, f: Saturation) {
        let zero = T::zero();
        for row in layer.chunks_exact_mut(stride) {
            let row = row[..h].iter_mut();
            match f {
                Saturation::Identity => {}
                Saturation::Tanh => row.for_each(|x| *x = x.tanh()),
                Saturation::Relu => row.for_each(|x| *x = if *x < zero { zero } else { *x }),
            }
        }
    }
}

vectorised! {
    /// `gradient *= f'` in the first `h` columns of `gradient` `[R, stride]`, from the values of f in those of `layer`.
    pub(crate) fn activate_back<'a, T>(gradient: &'a mut [T], layer: &'a [T], h: usize, stride: usize, f: Saturation) {
        let (zero, one) = (T::zero(), T::one());
        for (gradient, layer) in gradient.chunks_exact_mut(stride).zip(layer.chunks_exact(stride)) {
            let cells = gradient[..h].iter_mut().zip(&layer[..h]);
            match f {
                Saturation::Identity => {}
                Saturation::Tanh => cells.for_each(|(d, &h)| *d *= one - h * h),
                Saturation::Relu => cells.for_each(|(d, &h)| *d = if h > zero { *d } else { zero }),
            }
        }
    }
}

vectorised! {
    /// `next = mean + σ noise` with `σ = floor + exp raw`, and in place of the mean the log-density of each number.
    /// In place of the raw number its derivatives: `raw` becomes that of σ, which is `exp raw`, or 0 beyond the limits of
    /// raw numbers; `relative` becomes that of `ln σ`.
    pub(crate) fn draw<'a, T>(
        mean: &'a mut [T], raw: &'a mut [T], relative: &'a mut [T], next: &'a mut [T], noise: &'a [T], floor: T,
    ) {
        let (zero, limit) = (T::zero(), T::of(RAW_LIMIT));
        let (half, constant) = (T::of(0.5), T::of(0.5 * LN_2PI));
        for at in (0..mean.len()).step_by(LANES) {
            let width = LANES.min(mean.len() - at);
            let (mut m, mut r, e) = (load(mean, at, width), load(raw, at, width), load(noise, at, width));
            let (mut ratio, mut x) = (e, m);
            for l in 0..LANES {
                let (excess, sigma) = deviation(r[l], floor);
                let slope = if r[l] > limit || r[l] < -limit { zero } else { excess };
                x[l] = m[l] + sigma * e[l];
                m[l] = -half * e[l] * e[l] - sigma.ln() - constant;
                r[l] = slope;
                ratio[l] = slope / sigma;
            }
            store(mean, at, width, &m);
            store(raw, at, width, &r);
            store(relative, at, width, &ratio);
            store(next, at, width, &x);
        }
    }
}

vectorised! {
    /// Gradients of `mean` and `raw` in [`draw`], from those of the state by later steps, of the state itself, and of the
    /// log-density. The first becomes that of the mean, the last that of the raw number.
    pub(crate) fn draw_back<'a, T>(
        carried: &'a mut [T], of_state: &'a [T], of_density: &'a mut [T], noise: &'a [T], slopes: &'a [T], relative: &'a [T],
    ) {
        for at in (0..carried.len()).step_by(LANES) {
            let width = LANES.min(carried.len() - at);
            let (mut d, x, mut s) = (load(carried, at, width), load(of_state, at, width), load(of_density, at, width));
            let (e, slope, ratio) = (load(noise, at, width), load(slopes, at, width), load(relative, at, width));
            for l in 0..LANES {
                d[l] = flushed(d[l] + x[l]);
                s[l] = flushed(d[l] * e[l] * slope[l] - s[l] * ratio[l]);
            }
            store(carried, at, width, &d);
            store(of_density, at, width, &s);
        }
    }
}
