//! As many small square matrices as a vector has lanes, one per lane, and the same arithmetic on all of them.
//!
//! Entry (i, j) of a matrix of n rows is the vector at `i · n + j`; no lane ever sees another.

use pulp::{NullaryFnOnce, Simd, bytemuck};

use super::lanes::LANES as MOST_LANES;

/// Puts column-major matrices, of columns `stride` apart, into the lanes of `to`.
#[inline(always)]
pub(super) fn put<'a, S: Simd>(to: &mut [S::f64s], n: usize, stride: usize, from: impl Fn(usize) -> &'a [f64]) {
    let mut lanes = [&[][..]; MOST_LANES];
    (0..S::F64_LANES).for_each(|lane| lanes[lane] = from(lane));
    let mut vectors = bytemuck::cast_slice_mut::<_, f64>(to).chunks_exact_mut(S::F64_LANES);
    for i in 0..n {
        for (j, vector) in (0..n).zip(&mut vectors) {
            for (to, from) in vector.iter_mut().zip(lanes) {
                *to = from[j * stride + i];
            }
        }
    }
}

/// Takes the lanes of `from` out into column-major matrices, of columns `stride` apart.
#[inline(always)]
pub(super) fn take<S: Simd>(from: &[S::f64s], n: usize, stride: usize, to: &mut [&mut [f64]]) {
    let mut vectors = bytemuck::cast_slice::<_, f64>(from).chunks_exact(S::F64_LANES);
    for i in 0..n {
        for (j, vector) in (0..n).zip(&mut vectors) {
            for (to, from) in to.iter_mut().zip(vector) {
                to[j * stride + i] = *from;
            }
        }
    }
}

/// The right-hand side of a product.
#[derive(Clone, Copy)]
pub(super) enum Factor<'a, V> {
    /// b.
    Plain(&'a [V]),
    /// bᵀ.
    Transposed(&'a [V]),
    /// bᵀ, where the product is symmetric.
    ToSymmetric(&'a [V]),
}

/// `out += factor · a b`.
#[inline(always)]
pub(super) fn add_product<S: Simd>(
    simd: S,
    n: usize,
    out: &mut [S::f64s],
    (factor, a): (f64, &[S::f64s]),
    b: Factor<S::f64s>,
) {
    simd.vectorize(Product {
        simd,
        n,
        out,
        factor,
        a,
        b,
    });
}

struct Product<'a, S: Simd> {
    simd: S,
    n: usize,
    out: &'a mut [S::f64s],
    factor: f64,
    a: &'a [S::f64s],
    b: Factor<'a, S::f64s>,
}

impl<S: Simd> Product<'_, S> {
    /// Rows from `i` on, H of them; of a symmetric product up to the diagonal.
    #[inline(always)]
    fn rows<const H: usize>(&mut self, i: usize) {
        let (n, mut j) = (self.n, 0);
        let last = match self.b {
            Factor::ToSymmetric(_) => i + H,
            _ => n,
        };
        while j < last {
            j += match n - j {
                4.. => self.tile::<H, 4>(i, j),
                2.. => self.tile::<H, 2>(i, j),
                _ => self.tile::<H, 1>(i, j),
            };
        }
    }

    /// H rows from `i` on and W columns from `j` on; W.
    #[inline(always)]
    fn tile<const H: usize, const W: usize>(&mut self, i: usize, j: usize) -> usize {
        let (simd, n) = (self.simd, self.n);
        let mut a = [&self.a[..0]; H];
        (0..H).for_each(|h| a[h] = &self.a[(i + h) * n..][..n]);
        let mut sums = [[simd.splat_f64s(0.0); W]; H];
        match self.b {
            Factor::Plain(b) => {
                for k in 0..n {
                    let b = &b[k * n + j..][..W];
                    for h in 0..H {
                        for w in 0..W {
                            sums[h][w] = simd.mul_add_f64s(a[h][k], b[w], sums[h][w]);
                        }
                    }
                }
            }
            Factor::Transposed(all) | Factor::ToSymmetric(all) => {
                let mut b = [&all[..0]; W];
                (0..W).for_each(|w| b[w] = &all[(j + w) * n..][..n]);
                for k in 0..n {
                    for h in 0..H {
                        for w in 0..W {
                            sums[h][w] = simd.mul_add_f64s(a[h][k], b[w][k], sums[h][w]);
                        }
                    }
                }
            }
        }
        let factor = simd.splat_f64s(self.factor);
        for (h, sums) in sums.into_iter().enumerate() {
            let out = &mut self.out[(i + h) * n + j..][..W];
            for w in 0..W {
                out[w] = simd.mul_add_f64s(factor, sums[w], out[w]);
            }
        }
        W
    }
}

impl<S: Simd> NullaryFnOnce for Product<'_, S> {
    type Output = ();

    #[inline(always)]
    fn call(mut self) {
        let n = self.n;
        (0..n - n % 2).step_by(2).for_each(|i| self.rows::<2>(i));
        if n % 2 == 1 {
            self.rows::<1>(n - 1);
        }
        if let Factor::ToSymmetric(_) = self.b {
            for i in 0..n {
                for j in 0..i {
                    self.out[j * n + i] = self.out[i * n + j];
                }
            }
        }
    }
}

/// Solves `x s = b` for symmetric `s`, by `s = L D Lᵀ`; b becomes x, and `s` is used up. Answers with the least entry of D
/// relative to the diagonal of `s`: not above 0, or NaN, where `s` is not positive definite.
#[inline(always)]
pub(super) fn solve<S: Simd>(simd: S, n: usize, s: &mut [S::f64s], b: &mut [S::f64s]) -> S::f64s {
    simd.vectorize(Solve { simd, n, s, b })
}

struct Solve<'a, S: Simd> {
    simd: S,
    n: usize,
    s: &'a mut [S::f64s],
    b: &'a mut [S::f64s],
}

impl<S: Simd> Solve<'_, S> {
    /// L below the diagonal, D⁻¹ on it.
    #[inline(always)]
    fn factorise(&mut self) -> S::f64s {
        let (simd, n, s) = (self.simd, self.n, &mut *self.s);
        let one = simd.splat_f64s(1.0);
        let mut least = one;
        for j in 0..n {
            // Row j becomes L, its pivot what is left of the variance.
            let mut pivot = s[j * n + j];
            let variance = simd.max_f64s(pivot, simd.splat_f64s(f64::MIN_POSITIVE));
            for k in 0..j {
                let mut sum = s[j * n + k];
                for m in 0..k {
                    // s[j, m] is still L D here, s[k, m] is L.
                    sum = simd.mul_add_f64s(simd.neg_f64s(s[j * n + m]), s[k * n + m], sum);
                }
                s[j * n + k] = sum;
            }
            for k in 0..j {
                let scaled = s[j * n + k];
                let l = simd.mul_f64s(scaled, s[k * n + k]);
                pivot = simd.mul_add_f64s(simd.neg_f64s(scaled), l, pivot);
                s[j * n + k] = l;
            }
            s[j * n + j] = simd.div_f64s(one, pivot);
            least = simd.min_f64s(simd.div_f64s(pivot, variance), least);
        }
        least
    }

    /// H rows of x from `i` on.
    #[inline(always)]
    fn rows<const H: usize>(&mut self, i: usize) {
        let (simd, n, s) = (self.simd, self.n, &*self.s);
        let x = &mut self.b[i * n..][..H * n];
        for j in 0..n {
            let mut sums = [simd.splat_f64s(0.0); H];
            (0..H).for_each(|h| sums[h] = x[h * n + j]);
            for k in 0..j {
                let l = simd.neg_f64s(s[j * n + k]);
                for h in 0..H {
                    sums[h] = simd.mul_add_f64s(l, x[h * n + k], sums[h]);
                }
            }
            (0..H).for_each(|h| x[h * n + j] = sums[h]);
        }
        for j in (0..n).rev() {
            let mut sums = [simd.splat_f64s(0.0); H];
            for h in 0..H {
                sums[h] = simd.mul_f64s(x[h * n + j], s[j * n + j]);
            }
            for k in j + 1..n {
                let l = simd.neg_f64s(s[k * n + j]);
                for h in 0..H {
                    sums[h] = simd.mul_add_f64s(l, x[h * n + k], sums[h]);
                }
            }
            (0..H).for_each(|h| x[h * n + j] = sums[h]);
        }
    }
}

impl<S: Simd> NullaryFnOnce for Solve<'_, S> {
    type Output = S::f64s;

    #[inline(always)]
    fn call(mut self) -> S::f64s {
        let (n, least) = (self.n, self.factorise());
        (0..n - n % 4).step_by(4).for_each(|i| self.rows::<4>(i));
        (n - n % 4..n).for_each(|i| self.rows::<1>(i));
        least
    }
}
