//! Numbers in groups as wide as a vector. A kernel that reads and writes many slices loads a group of each, computes on
//! the groups, and stores them: the compiler need not prove that no two slices overlap.

use super::float::{Float, LANES, Lanes};

/// Gradients of a smaller size become 0. They would turn denormal on their way back through many steps, and denormal
/// numbers slow down every product.
const NEGLIGIBLE_GRADIENT: f64 = 1e-30;

/// `x`, or 0 where it is negligible; NaN stays NaN.
#[inline(always)]
pub(crate) fn flushed<T: Float>(x: T) -> T {
    let limit = T::of(NEGLIGIBLE_GRADIENT);
    if x < limit && x > -limit { T::zero() } else { x }
}

/// `width` numbers of `from`, then zeros.
#[inline(always)]
pub(crate) fn load<T: Float>(from: &[T], at: usize, width: usize) -> Lanes<T> {
    let mut lanes = [T::zero(); LANES];
    if width == LANES {
        lanes.copy_from_slice(&from[at..at + LANES]);
    } else {
        lanes[..width].copy_from_slice(&from[at..at + width]);
    }
    lanes
}

/// Writes the first `width` numbers of `lanes`.
#[inline(always)]
pub(crate) fn store<T: Float>(to: &mut [T], at: usize, width: usize, lanes: &Lanes<T>) {
    if width == LANES {
        to[at..at + LANES].copy_from_slice(lanes);
    } else {
        to[at..at + width].copy_from_slice(&lanes[..width]);
    }
}
