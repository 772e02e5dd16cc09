//! Exponential and logarithm in f64 as branch-free polynomials, so that loops over them become vector instructions.
//!
//! - `exp`: `x = n ln 2 + r` with `|r| ≤ ln 2 / 2`, Taylor polynomial in `r` of degree 13 (error 4e-18), times `2ⁿ`.
//! - `ln`: `x = 2ⁿ m` with `m ∈ [√½, √2)`, `ln m = 2 artanh f`, `f = (m − 1)/(m + 1)`, odd series to `f²¹` (2e-18).
//!
//! Their relative errors are below 1e-15. They are meant to be inlined into functions compiled for vectors with fused
//! multiply-add. The functions of `nn::float` reduce their argument in the same way, but for f32 as well and without fused
//! multiply-add, so that gradient training has the same bytes under every instruction set.

use std::f64::consts::{LN_2, LOG2_E, SQRT_2};

/// Adding `1.5 · 2⁵²` rounds to an integer and leaves it in the low bits.
pub(crate) const ROUND: f64 = 6_755_399_441_055_744.0;
/// ln 2 in two parts, the first with 32 significant bits so that `n · LN_2_HIGH` is exact.
pub(crate) const LN_2_HIGH: f64 = f64::from_bits(LN_2.to_bits() & !0x1f_ffff);
/// ln 2 − LN_2_HIGH: the difference in f64, plus the rounding error 2.3190468138462996e-17 of ln 2 in f64.
pub(crate) const LN_2_LOW: f64 = (LN_2 - LN_2_HIGH) + 2.319_046_813_846_299_6e-17;

/// 1/k! for k = 13 down to 2.
const INVERSE_FACTORIALS: [f64; 12] = [
    1.0 / 6_227_020_800.0,
    1.0 / 479_001_600.0,
    1.0 / 39_916_800.0,
    1.0 / 3_628_800.0,
    1.0 / 362_880.0,
    1.0 / 40_320.0,
    1.0 / 5_040.0,
    1.0 / 720.0,
    1.0 / 120.0,
    1.0 / 24.0,
    1.0 / 6.0,
    1.0 / 2.0,
];

/// `eˣ` for `x ≤ 700`; exactly 0 below −700, so that no denormal number arises.
#[inline(always)]
pub(super) fn exp(x: f64) -> f64 {
    let t = x.mul_add(LOG2_E, ROUND);
    let n = t - ROUND;
    let r = n.mul_add(-LN_2_LOW, n.mul_add(-LN_2_HIGH, x));
    let mut p = INVERSE_FACTORIALS[0];
    for c in &INVERSE_FACTORIALS[1..] {
        p = p.mul_add(r, *c);
    }
    let p = (p * r).mul_add(r, r) + 1.0;
    let power = f64::from_bits((t.to_bits() << 52).wrapping_add(1023 << 52));
    if x < -700.0 { 0.0 } else { p * power }
}

/// `ln x` for normal positive `x`.
#[inline(always)]
pub(super) fn ln(x: f64) -> f64 {
    // Adding the distance of √½ from ½ carries m over √2 into the next power.
    let bits = x.to_bits().wrapping_add((1.0f64).to_bits() - (SQRT_2 * 0.5).to_bits());
    let n = f64::from_bits((bits >> 52) | 0x4330_0000_0000_0000) - (4_503_599_627_370_496.0 + 1023.0);
    let m = f64::from_bits((bits & 0x000f_ffff_ffff_ffff).wrapping_add((SQRT_2 * 0.5).to_bits()));
    let f = (m - 1.0) / (m + 1.0);
    let s = f * f;
    let mut p = 1.0 / 21.0;
    for k in (1..10).rev() {
        p = s.mul_add(p, 1.0 / f64::from(2 * k + 1));
    }
    let tail = 2.0 * f * s * p;
    n.mul_add(LN_2_HIGH, n.mul_add(LN_2_LOW, 2.0f64.mul_add(f, tail)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agree_with_the_standard_library() {
        for i in 0..200_000 {
            let x = -700.0 + f64::from(i) * 0.003_5;
            assert!((exp(x) / x.exp() - 1.0).abs() < 1e-15, "exp({x})");
            let y = 1.0 + (x + 700.0) * 0.1;
            assert!(
                (ln(y) - y.ln()).abs() <= 1e-15 * y.ln(),
                "ln({y}): {} and {}",
                ln(y),
                y.ln()
            );
        }
        for x in [1e-300, 1e-9, 0.3, 0.999_999_999, 1e9, 1e300] {
            assert!((ln(x) / x.ln() - 1.0).abs() < 1e-15, "ln({x})");
        }
    }

    #[test]
    fn the_ends() {
        assert_eq!((exp(0.0), ln(1.0)), (1.0, 0.0));
        assert_eq!((exp(-701.0), exp(f64::NEG_INFINITY)), (0.0, 0.0));
        assert!(exp(f64::NAN).is_nan());
    }
}
