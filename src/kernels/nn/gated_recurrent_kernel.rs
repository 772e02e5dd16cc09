//! One step of gated recurrent units for a whole batch, forward and backward, in place.
//!
//! A row of `gates` has four blocks of H numbers, in the order candidate, reset, update, recurrent part of the
//! candidate: `[n, r, z, c]`. The columns from 0 to 3H are what the inputs reach, the columns from H to 4H what the
//! previous state reaches, so that either is one matrix product into neighbouring columns, and either gradient another.

use super::float::{Float, LANES, vectorised};
use super::lanes::{flushed, load, store};

/// How many steps each sequence has, if not all, and the step at hand.
pub(crate) type Step<'a> = (Option<&'a [usize]>, usize);

/// `1 / (1 + exp(-x))`.
#[inline(always)]
fn sigmoid<T: Float>(x: T) -> T {
    let half = T::of(0.5);
    (x * half).tanh() * half + half
}

#[inline(always)]
fn is_padding((lengths, step): Step, row: usize) -> bool {
    lengths.is_some_and(|lengths| step >= lengths[row])
}

vectorised! {
    /// `n, r, z` from what precedes their activations, and the state `next = (1 - z) n + z previous`: `gates` `[B, 4H]`,
    /// states `[B, H]`. A row of padding keeps its state, and its gates become 0.
    pub(crate) fn step<'a, T>(gates: &'a mut [T], previous: &'a [T], next: &'a mut [T], h: usize, step: Step<'a>) {
        let one = T::one();
        for at in (0..h).step_by(LANES) {
            let width = LANES.min(h - at);
            for row in 0..next.len() / h {
                let (state, first) = (h * row + at, 4 * h * row + at);
                let before = load(previous, state, width);
                if is_padding(step, row) {
                    for block in 0..4 {
                        store(gates, first + block * h, width, &[T::zero(); LANES]);
                    }
                    store(next, state, width, &before);
                    continue;
                }
                let (mut n, mut r) = (load(gates, first, width), load(gates, first + h, width));
                let (mut z, c) = (load(gates, first + 2 * h, width), load(gates, first + 3 * h, width));
                let mut after = before;
                for l in 0..LANES {
                    r[l] = sigmoid(r[l]);
                    z[l] = sigmoid(z[l]);
                    n[l] = (n[l] + r[l] * c[l]).tanh();
                    after[l] = (one - z[l]) * n[l] + z[l] * before[l];
                }
                store(gates, first, width, &n);
                store(gates, first + h, width, &r);
                store(gates, first + 2 * h, width, &z);
                store(next, state, width, &after);
            }
        }
    }
}

vectorised! {
    /// Turns the gates `[B, 4H]` of one step into gradients of what precedes their activations, and adds those to
    /// `sums` `[4H]`.
    ///
    /// `carried` `[B, H]` is the gradient of the state from later steps. It becomes the part of the previous state's
    /// gradient that bypasses the gates. `g` has the gradient of the step's output, in rows that begin `stride` apart.
    pub(crate) fn step_back<'a, T>(
        gates: &'a mut [T], previous: &'a [T], carried: &'a mut [T], g: (&'a [T], usize), sums: &'a mut [T], h: usize,
        step: Step<'a>,
    ) {
        let (one, (g, stride)) = (T::one(), g);
        for at in (0..h).step_by(LANES) {
            let width = LANES.min(h - at);
            let mut totals = [[T::zero(); LANES]; 4];
            for row in 0..carried.len() / h {
                let (state, first) = (h * row + at, 4 * h * row + at);
                let (mut d, g) = (load(carried, state, width), load(g, stride * row + at, width));
                if is_padding(step, row) {
                    for l in 0..LANES {
                        d[l] += g[l];
                    }
                    store(carried, state, width, &d);
                    continue;
                }
                let before = load(previous, state, width);
                let (mut n, mut r) = (load(gates, first, width), load(gates, first + h, width));
                let (mut z, mut c) = (load(gates, first + 2 * h, width), load(gates, first + 3 * h, width));
                for l in 0..LANES {
                    let total = flushed(d[l] + g[l]);
                    d[l] = total * z[l];
                    let rest = one - z[l];
                    let dn = total * rest * (one - n[l] * n[l]);
                    z[l] = d[l] * rest * (before[l] - n[l]);
                    n[l] = dn;
                    let dc = dn * r[l];
                    r[l] = dc * c[l] * (one - r[l]);
                    c[l] = dc;
                }
                store(carried, state, width, &d);
                for l in 0..LANES {
                    totals[0][l] += n[l];
                    totals[1][l] += r[l];
                    totals[2][l] += z[l];
                    totals[3][l] += c[l];
                }
                store(gates, first, width, &n);
                store(gates, first + h, width, &r);
                store(gates, first + 2 * h, width, &z);
                store(gates, first + 3 * h, width, &c);
            }
            for (block, total) in totals.iter().enumerate() {
                for (sum, total) in sums[at + block * h..][..width].iter_mut().zip(total) {
                    *sum += *total;
                }
            }
        }
    }
}
