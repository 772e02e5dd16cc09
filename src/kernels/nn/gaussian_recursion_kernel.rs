//! The element-wise parts of one step of a Gaussian recursion, on flat arrays of all rows.

use super::arguments::RAW_LIMIT;
use super::density::deviation;
use super::float::{LANES, vectorised};
use super::lanes::{flushed, load, store};

vectorised! {
    /// `x = tanh x`.
    pub(crate) fn tanh_in_place<'a, T>(x: &'a mut [T]) {
        x.iter_mut().for_each(|x| *x = x.tanh());
    }
}

vectorised! {
    /// `gradient *= 1 - h²`, from the values `h` of tanh.
    pub(crate) fn tanh_back<'a, T>(gradient: &'a mut [T], h: &'a [T]) {
        gradient.iter_mut().zip(h).for_each(|(d, &h)| *d *= T::one() - h * h);
    }
}

vectorised! {
    /// `mean += shift`, and `next = mean + σ noise` with `σ = floor + exp raw`, which replaces `raw`. `slopes` is the
    /// derivative of σ: `exp raw`, or 0 beyond the limits of raw numbers.
    pub(crate) fn draw<'a, T>(
        mean: &'a mut [T], raw: &'a mut [T], slopes: &'a mut [T], next: &'a mut [T], shift: Option<&'a [T]>,
        noise: &'a [T], floor: T,
    ) {
        let (zero, limit) = (T::zero(), T::of(RAW_LIMIT));
        for at in (0..mean.len()).step_by(LANES) {
            let width = LANES.min(mean.len() - at);
            let (mut m, mut r, e) = (load(mean, at, width), load(raw, at, width), load(noise, at, width));
            if let Some(shift) = shift {
                let shift = load(shift, at, width);
                for l in 0..LANES {
                    m[l] += shift[l];
                }
            }
            let (mut slope, mut x) = (e, m);
            for l in 0..LANES {
                let (excess, sigma) = deviation(r[l], floor);
                slope[l] = if r[l] > limit || r[l] < -limit { zero } else { excess };
                r[l] = sigma;
                x[l] = m[l] + sigma * e[l];
            }
            store(mean, at, width, &m);
            store(raw, at, width, &r);
            store(slopes, at, width, &slope);
            store(next, at, width, &x);
        }
    }
}

vectorised! {
    /// Gradients of `mean` and `raw` in [`draw`], from `g`: those of the state by later steps, and those of the results
    /// state, mean and σ. The first becomes that of the mean, the last that of the raw number.
    pub(crate) fn draw_back<'a, T>(g: [&'a mut [T]; 4], noise: &'a [T], slopes: &'a [T]) {
        let [carried, of_state, of_mean, of_deviation] = g;
        for at in (0..carried.len()).step_by(LANES) {
            let width = LANES.min(carried.len() - at);
            let (mut d, x, m) = (load(carried, at, width), load(of_state, at, width), load(of_mean, at, width));
            let (mut s, e, slope) = (load(of_deviation, at, width), load(noise, at, width), load(slopes, at, width));
            for l in 0..LANES {
                let state = d[l] + x[l];
                d[l] = flushed(state + m[l]);
                s[l] = flushed((state * e[l] + s[l]) * slope[l]);
            }
            store(carried, at, width, &d);
            store(of_deviation, at, width, &s);
        }
    }
}
