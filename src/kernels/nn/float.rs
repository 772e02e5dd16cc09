//! Elementary functions that the compiler can vectorise, and the dispatch to instruction sets.
//!
//! A loop over `libm`'s `expf` or `tanhf` stays scalar and takes half of a training step. The functions here are
//! branch-free sequences of multiplications, additions and selections:
//!
//! - `exp x = 2^n e^r` with `n = round(x / ln 2)` and the Taylor polynomial of `e^r - 1` on `|r| <= ln 2 / 2`;
//! - `tanh x`: in f32 a quotient of polynomials, the best of its degrees; in f64 `t / (t + 2)` with `t = e^{2x} - 1`,
//!   which keeps its relative accuracy at 0;
//! - `ln x = n ln 2 + 2 artanh s` with `s = (m - 1) / (m + 1)` and `x = 2^n m`, `m` in `[sqrt(1/2), sqrt 2)`.
//!
//! All are within 4 units in the last place. `exp` gives 0 instead of a denormal number: microcode handles denormals a
//! hundred times slower, which would slow down every later matrix product.
//!
//! [`vectorised!`] wraps such a loop so that it is compiled for AVX-512, AVX2, NEON and the baseline, and the best one
//! the machine has is chosen at run time. No fused multiply-add is used, so these versions agree bit for bit.

use super::quads;
pub(crate) use super::quads::{LANES, Lanes};
use crate::math::elementary;
use candle_core::{CpuStorage, Layout, Tensor, WithDType};
use std::mem::MaybeUninit;
use std::ops::Neg;
use std::sync::atomic::{Ordering, compiler_fence};

/// Responsibilities and other probabilities below this count as 0.
pub(crate) const NEGLIGIBLE_PROBABILITY: f64 = 1e-12;

/// f32 or f64, the types that the fused kernels know.
pub(crate) trait Float: WithDType + Neg<Output = Self> {
    /// Minus infinity.
    const NEGATIVE_INFINITY: Self;
    /// Plus infinity.
    const INFINITY: Self;
    /// Rounds `x` to this type.
    fn of(x: f64) -> Self;
    /// Widens to f64.
    fn wide(self) -> f64;
    /// Natural exponential; 0 where the result would be denormal.
    fn exp(self) -> Self;
    /// Natural logarithm.
    fn ln(self) -> Self;
    /// `e^x - 1`, where neither `e^x` nor `e^{-x}` overflows.
    fn expm1(self) -> Self;
    /// Hyperbolic tangent.
    fn tanh(self) -> Self;
    /// Square root.
    fn root(self) -> Self;
    /// Reads as many columns of `tile` as can be read by quads, column c of row l from `starts[l] + c`; returns how
    /// many.
    #[inline(always)]
    fn load_quads(_tile: &mut [Lanes<Self>], _data: &[Self], _starts: &[usize; LANES]) -> usize {
        0
    }
    /// The same for writing, or with `ADD` for adding columns.
    #[inline(always)]
    fn store_quads<const ADD: bool>(_tile: &[Lanes<Self>], _data: &mut [Self], _starts: &[usize; LANES]) -> usize {
        0
    }
}

/// Horner's rule, highest coefficient first.
macro_rules! horner {
    ($x:expr, $first:expr, $($coefficient:expr),+) => {{
        let x = $x;
        let sum = $first;
        $(let sum = sum * x + $coefficient;)+
        sum
    }};
}

macro_rules! float {
    ($type:ident, $bits:ident, $signed:ident, mantissa: $mantissa:literal, bias: $bias:literal,
     magic: $magic:expr, ln2: ($ln2_high:expr, $ln2_low:expr), exp_range: ($lowest:expr, $highest:expr),
     tanh: $tanh:ident, subnormal: ($tiny_scale:expr, $tiny_exponent:expr),
     expm1: [$($e:expr),+], artanh: [$($a:expr),+], $($more:tt)*) => {
        impl Float for $type {
            const NEGATIVE_INFINITY: Self = $type::NEG_INFINITY;
            const INFINITY: Self = $type::INFINITY;

            #[inline(always)]
            fn of(x: f64) -> Self {
                x as $type
            }

            #[inline(always)]
            fn wide(self) -> f64 {
                f64::from(self)
            }

            #[inline(always)]
            fn exp(self) -> Self {
                // The comparisons are false for NaN, which thus passes through.
                let x = if self > $highest { $highest } else { self };
                let x = if x < $lowest { $lowest } else { x };
                let shifted = x * std::$type::consts::LOG2_E + $magic;
                let n = shifted - $magic;
                let r = (x - n * $ln2_high) - n * $ln2_low;
                // 2^(n-1): its exponent stays in range up to the overflow of the final doubling.
                let power = shifted.to_bits().wrapping_sub(<$type>::to_bits($magic)).wrapping_add($bias - 1) << $mantissa;
                let p = horner!(r, $($e),+, 1.0, 1.0);
                let value = p * $type::from_bits(power) * 2.0;
                if self < $lowest { 0.0 } else { value }
            }

            #[inline(always)]
            fn expm1(self) -> Self {
                let shifted = self * std::$type::consts::LOG2_E + $magic;
                let n = shifted - $magic;
                let r = (self - n * $ln2_high) - n * $ln2_low;
                let power = shifted.to_bits().wrapping_sub(<$type>::to_bits($magic)).wrapping_add($bias) << $mantissa;
                let power = $type::from_bits(power);
                let p = horner!(r, $($e),+, 1.0) * r;
                power * p + (power - 1.0)
            }

            #[inline(always)]
            fn tanh(self) -> Self {
                $tanh(self)
            }

            #[inline(always)]
            fn ln(self) -> Self {
                let tiny = self < $type::MIN_POSITIVE;
                let x = if tiny { self * $tiny_scale } else { self };
                let offset = if tiny { $tiny_exponent } else { 0.0 };
                let bits = x.to_bits() as $signed;
                let n = bits.wrapping_sub(std::$type::consts::FRAC_1_SQRT_2.to_bits() as $signed) >> $mantissa;
                let m = $type::from_bits(bits.wrapping_sub(n << $mantissa) as $bits);
                let s = (m - 1.0) / (m + 1.0);
                let n = n as $type - offset;
                let series = horner!(s * s, $($a),+, 1.0);
                let value = n * $ln2_high + (2.0 * s * series + n * $ln2_low);
                let value = if self == 0.0 { $type::NEG_INFINITY } else { value };
                let value = if self == $type::INFINITY { self } else { value };
                if self >= 0.0 { value } else { $type::NAN }
            }

            #[inline(always)]
            fn root(self) -> Self {
                self.sqrt()
            }

            $($more)*
        }
    };
}

float!(
    f32, u32, i32, mantissa: 23, bias: 127,
    magic: 12_582_912.0, // 1.5 * 2^23: adding it rounds to an integer, which then lies in the low bits
    ln2: (0.693_359_4, -2.121_944_4e-4), // 355/512, exact times any n, and the rest of ln 2
    exp_range: (-86.5, 89.0),
    tanh: tanh_quotient,
    subnormal: (33_554_432.0, 25.0),
    expm1: [1.0 / 5040.0, 1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 1.0 / 2.0],
    artanh: [1.0 / 9.0, 1.0 / 7.0, 1.0 / 5.0, 1.0 / 3.0],
    #[inline(always)]
    fn load_quads(tile: &mut [Lanes<f32>], data: &[f32], starts: &[usize; LANES]) -> usize {
        quads::load(tile, data, starts)
    }

    #[inline(always)]
    fn store_quads<const ADD: bool>(tile: &[Lanes<f32>], data: &mut [f32], starts: &[usize; LANES]) -> usize {
        quads::store::<ADD>(tile, data, starts)
    }
);

float!(
    f64, u64, i64, mantissa: 52, bias: 1023,
    magic: elementary::ROUND,
    ln2: (elementary::LN_2_HIGH, elementary::LN_2_LOW),
    exp_range: (-707.0, 710.0),
    tanh: tanh_by_expm1,
    subnormal: (18_014_398_509_481_984.0, 54.0),
    expm1: [
        1.0 / 6_227_020_800.0, 1.0 / 479_001_600.0, 1.0 / 39_916_800.0, 1.0 / 3_628_800.0, 1.0 / 362_880.0,
        1.0 / 40_320.0, 1.0 / 5040.0, 1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 1.0 / 2.0
    ],
    artanh: [
        1.0 / 23.0, 1.0 / 21.0, 1.0 / 19.0, 1.0 / 17.0, 1.0 / 15.0, 1.0 / 13.0, 1.0 / 11.0, 1.0 / 9.0, 1.0 / 7.0,
        1.0 / 5.0, 1.0 / 3.0
    ],
);

/// `x P(x²) / Q(x²)` with quartic P and Q, of least relative error (2.1e-8) up to 9.02; beyond that, tanh rounds to 1
/// in f32. Coefficients by Lawson's (1961) iteration on the linearised error, in 60 digits.
#[inline(always)]
fn tanh_quotient(x: f32) -> f32 {
    const LIMIT: f32 = 9.02;
    let x = x.clamp(-LIMIT, LIMIT); // NaN stays NaN
    let y = x * x;
    let p = horner!(y, 1.331_787e-8, 2.058_263_8e-5, 3.493_985_4e-3, 0.133_796_78, 1.0);
    let q = horner!(y, 7.761_533_4e-7, 3.283_010_7e-4, 2.587_089e-2, 0.467_129_92, 1.0);
    (x * p / q).clamp(-1.0, 1.0)
}

#[inline(always)]
fn tanh_by_expm1(x: f64) -> f64 {
    let t = (2.0 * x.clamp(-20.0, 20.0)).expm1(); // NaN stays NaN
    t / (t + 2.0)
}

/// The larger of two numbers; the first where the second is NaN.
#[inline(always)]
pub(crate) fn larger<T: Float>(a: T, b: T) -> T {
    if b > a { b } else { a }
}

/// Keeps the compiler from interleaving the iterations of a loop over columns. A column's lanes already fill a vector,
/// and short iterations would be gathered and scattered across columns instead. It emits no instruction.
#[inline(always)]
pub(crate) fn turn_by_turn() {
    compiler_fence(Ordering::AcqRel);
}

/// Defines a function whose body is compiled once per instruction set and dispatched at run time.
macro_rules! vectorised {
    ($(#[$meta:meta])* $vis:vis fn $name:ident<$life:lifetime, $T:ident>($($arg:ident: $type:ty),* $(,)?)
     $(-> $output:ty)? $body:block) => {
        $(#[$meta])*
        $vis fn $name<$life, $T: $crate::nn::float::Float>($($arg: $type),*) $(-> $output)? {
            struct Arguments<$life, $T> {
                $($arg: $type),*
            }
            impl<$life, $T: $crate::nn::float::Float> pulp::NullaryFnOnce for Arguments<$life, $T> {
                #[allow(unused_parens)]
                type Output = ($($output)?);
                #[inline(always)]
                fn call(self) -> Self::Output {
                    let Self { $($arg),* } = self;
                    $body
                }
            }
            $crate::math::vectors::arch().dispatch(Arguments { $($arg),* })
        }
    };
}
pub(crate) use vectorised;

/// A vector whose every element `write` has written, without the cost of clearing it first.
///
/// # Safety
/// `write` must initialise every element.
pub(crate) unsafe fn written<T: Copy>(len: usize, write: impl FnOnce(&mut [MaybeUninit<T>])) -> Vec<T> {
    let mut values = Vec::with_capacity(len);
    write(&mut values.spare_capacity_mut()[..len]);
    // SAFETY: the capacity is `len`, and the caller promises that all of it has been written.
    unsafe { values.set_len(len) };
    values
}

/// The elements behind a contiguous argument of a custom operation.
pub(crate) fn elements<'a, T: Float>(storage: &'a CpuStorage, layout: &Layout) -> candle_core::Result<&'a [T]> {
    let all = storage.as_slice::<T>()?;
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&all[start..end]),
        None => candle_core::bail!("a fused kernel expects contiguous arguments; call contiguous() first"),
    }
}

/// Calls `read` with the elements of a contiguous CPU tensor.
pub(crate) fn with_elements<T: Float, R>(
    tensor: &Tensor,
    read: impl FnOnce(&[T]) -> candle_core::Result<R>,
) -> candle_core::Result<R> {
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        candle_core::Storage::Cpu(storage) => read(elements(storage, layout)?),
        _ => candle_core::bail!("a fused kernel expects tensors on the CPU"),
    }
}

/// Runs `$body` with `$T` set to the Rust type of a [`candle_core::DType`].
macro_rules! with_float {
    ($dtype:expr, $name:expr, $T:ident => $body:expr) => {
        match $dtype {
            candle_core::DType::F32 => {
                type $T = f32;
                $body
            }
            candle_core::DType::F64 => {
                type $T = f64;
                $body
            }
            other => candle_core::bail!("{} expects f32 or f64, got {other:?}", $name),
        }
    };
}
pub(crate) use with_float;

#[cfg(test)]
mod tests {
    use super::*;

    fn distance_in_last_places<T: Float>(got: T, want: f64, epsilon: f64) -> f64 {
        if got.wide() == T::of(want).wide() {
            return 0.0;
        }
        (got.wide() - want).abs() / (want.abs().max(f64::MIN_POSITIVE) * epsilon)
    }

    fn sweep(low: f64, high: f64) -> impl Iterator<Item = f64> {
        (0..=20_000).map(move |i| low + (high - low) * f64::from(i) / 20_000.0)
    }

    fn close_to_the_standard_library<T: Float>(epsilon: f64, lowest: f64, highest: f64) {
        for x in sweep(lowest, highest) {
            let x = T::of(x).wide();
            assert!(
                distance_in_last_places(T::of(x).exp(), x.exp(), epsilon) < 4.0,
                "exp {x}"
            );
        }
        for x in sweep(-25.0, 25.0).chain(sweep(-1e-3, 1e-3)) {
            let x = T::of(x).wide();
            assert!(
                distance_in_last_places(T::of(x).tanh(), x.tanh(), epsilon) < 4.0,
                "tanh {x}"
            );
        }
        for x in sweep(lowest, highest).map(f64::exp).chain(sweep(0.5, 2.0)) {
            let x = T::of(x).wide();
            assert!(distance_in_last_places(T::of(x).ln(), x.ln(), epsilon) < 4.0, "ln {x}");
        }
    }

    #[test]
    fn exp_tanh_and_ln_are_those_of_the_standard_library() {
        close_to_the_standard_library::<f32>(f64::from(f32::EPSILON), -86.4, 88.6);
        close_to_the_standard_library::<f64>(f64::EPSILON, -706.9, 709.0);
    }

    fn edges<T: Float>() {
        let (inf, nan, zero, one) = (T::INFINITY, T::of(f64::NAN), T::zero(), T::one());
        assert!(inf.exp() == inf && (-inf).exp() == zero && nan.exp().wide().is_nan());
        assert!(T::of(1e30).exp() == inf && T::of(-1e30).exp() == zero && zero.exp() == one);
        assert!(inf.tanh() == one && (-inf).tanh() == -one && zero.tanh() == zero && nan.tanh().wide().is_nan());
        assert!(inf.ln() == inf && zero.ln() == -inf && one.ln() == zero);
        assert!((-one).ln().wide().is_nan() && nan.ln().wide().is_nan());
    }

    #[test]
    fn edges_are_exact() {
        edges::<f32>();
        edges::<f64>();
        assert!((f32::from_bits(1).ln() + 103.278_93).abs() < 1e-4);
        assert!((Float::ln(f32::from_bits(1)) + 103.278_93).abs() < 1e-4);
        assert!((Float::ln(f64::from_bits(1)) + 744.440_071_921_381_3).abs() < 1e-9);
    }
}
