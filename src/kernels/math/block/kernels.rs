//! The loops over a block's points, in whole vectors: log joints, responsibilities, moments in register tiles.

use crate::math::elementary::{exp, ln};
use crate::math::linear_mixture::Whitened;
use pulp::{Simd, WithSimd};

/// Points per block.
pub(in crate::math) const BLOCK: usize = 256;
/// Log joints are clamped below at this value: a point that no component explains has equal responsibilities instead of
/// NaN.
pub(in crate::math) const LEAST: f64 = -1e300;
/// Vectors of points whose log joints are computed side by side, to hide the latency of multiply-add.
const ABREAST: usize = 4;

/// One number per point of a block.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
pub(super) struct Points(pub [f64; BLOCK]);

/// One running sum, spread over lanes.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
pub(super) struct Sum(pub [f64; 8]);

/// The second moments that a chunk accumulates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::math) enum Moments {
    /// All of `u uᵀ`.
    All,
    /// The first column and the diagonal.
    Diagonal,
    /// The first column.
    First,
}

/// Place of entry `(i, j)`, `j ≤ i`, in a packed lower triangle.
#[inline(always)]
pub(super) fn slot(i: usize, j: usize) -> usize {
    i * (i + 1) / 2 + j
}

/// A block row as vectors.
#[inline(always)]
fn vectors<S: Simd>(points: &Points) -> &[S::f64s] {
    &S::as_simd_f64s(&points.0).0[..BLOCK / S::F64_LANES]
}

/// Fills the log joints.
pub(super) struct LogJoint<'a> {
    pub whitened: &'a [Whitened],
    /// Whether row `j` of every map is zero except for its first entry and entry `1 + j`.
    pub sparse: bool,
    pub inputs: usize,
    pub u: &'a [Points],
    pub joint: &'a mut [Points],
}

impl WithSimd for LogJoint<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let p = self.u.len();
        let half = simd.splat_f64s(-0.5);
        let least = simd.splat_f64s(LEAST);
        for (component, joint) in self.whitened.iter().zip(self.joint) {
            let constant = simd.splat_f64s(component.constant);
            let (joint, _) = S::as_mut_simd_f64s(&mut joint.0);
            for (group, joint) in joint.chunks_exact_mut(ABREAST).enumerate() {
                let at = group * ABREAST;
                let quadratic = match self.sparse {
                    true => sparse_quadratic(simd, &component.map, self.u, at),
                    false => dense_quadratic(simd, &component.map, self.u, at, 2 + self.inputs),
                };
                debug_assert_eq!(component.map.len() % p, 0);
                for (joint, q) in joint.iter_mut().zip(quadratic) {
                    *joint = simd.max_f64s(simd.mul_add_f64s(half, q, constant), least);
                }
            }
        }
    }
}

/// `|map u|²` of the vectors `at..at + ABREAST`; row `j` of the map has `length + j` entries, then zeros.
#[inline(always)]
fn dense_quadratic<S: Simd>(simd: S, map: &[f64], u: &[Points], at: usize, length: usize) -> [S::f64s; ABREAST] {
    let zero = simd.splat_f64s(0.0);
    let mut quadratic = [zero; ABREAST];
    // Two rows at once share the loads of u.
    for (pair, rows) in map.chunks(2 * u.len()).enumerate() {
        let (even, odd) = rows.split_at(u.len());
        let length = length + 2 * pair;
        let (mut a, mut b) = ([zero; ABREAST], [zero; ABREAST]);
        if odd.is_empty() {
            for (m, u) in even[..length].iter().zip(u) {
                let m = simd.splat_f64s(*m);
                let u = &vectors::<S>(u)[at..at + ABREAST];
                for v in 0..ABREAST {
                    a[v] = simd.mul_add_f64s(m, u[v], a[v]);
                }
            }
        } else {
            for ((m, n), u) in even.iter().zip(odd).zip(u).take(length + 1) {
                let (m, n) = (simd.splat_f64s(*m), simd.splat_f64s(*n));
                let u = &vectors::<S>(u)[at..at + ABREAST];
                for v in 0..ABREAST {
                    a[v] = simd.mul_add_f64s(m, u[v], a[v]);
                    b[v] = simd.mul_add_f64s(n, u[v], b[v]);
                }
            }
        }
        for v in 0..ABREAST {
            quadratic[v] = simd.mul_add_f64s(a[v], a[v], quadratic[v]);
            quadratic[v] = simd.mul_add_f64s(b[v], b[v], quadratic[v]);
        }
    }
    quadratic
}

/// The same for a map `[offset | diagonal]`.
#[inline(always)]
fn sparse_quadratic<S: Simd>(simd: S, map: &[f64], u: &[Points], at: usize) -> [S::f64s; ABREAST] {
    let mut quadratic = [simd.splat_f64s(0.0); ABREAST];
    for (j, (row, u)) in map.chunks_exact(u.len()).zip(&u[1..]).enumerate() {
        let (offset, scale) = (simd.splat_f64s(row[0]), simd.splat_f64s(row[1 + j]));
        let u = &vectors::<S>(u)[at..at + ABREAST];
        for v in 0..ABREAST {
            let residual = simd.mul_add_f64s(scale, u[v], offset);
            quadratic[v] = simd.mul_add_f64s(residual, residual, quadratic[v]);
        }
    }
    quadratic
}

/// Turns log joints into weighted responsibilities; the weighted log-likelihood, nats.
pub(super) struct Normalise<'a> {
    pub joint: &'a mut [Points],
    pub weights: &'a Points,
}

impl WithSimd for Normalise<'_> {
    type Output = f64;

    /// Plain loops over points: compiled here for the chosen instructions, they become vector code.
    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> f64 {
        let mut max = Points([LEAST; BLOCK]);
        for joint in self.joint.iter() {
            for (max, j) in max.0.iter_mut().zip(&joint.0) {
                *max = if *j > *max { *j } else { *max };
            }
        }
        let mut sum = Points([0.0; BLOCK]);
        for joint in self.joint.iter_mut() {
            for ((j, max), sum) in joint.0.iter_mut().zip(&max.0).zip(&mut sum.0) {
                *j = exp(*j - max);
                *sum += *j;
            }
        }
        let mut total = [0.0; 8];
        for ((sum, max), w) in sum
            .0
            .chunks_exact_mut(8)
            .zip(max.0.chunks_exact(8))
            .zip(self.weights.0.chunks_exact(8))
        {
            for lane in 0..8 {
                total[lane] += w[lane] * (max[lane] + ln(sum[lane]));
                sum[lane] = w[lane] / sum[lane];
            }
        }
        for joint in self.joint.iter_mut() {
            for (j, scale) in joint.0.iter_mut().zip(&sum.0) {
                *j *= scale;
            }
        }
        total.iter().sum()
    }
}

/// Adds the weighted moments to the running sums.
pub(super) struct Accumulate<'a> {
    pub moments: Moments,
    pub u: &'a [Points],
    pub responsibilities: &'a [Points],
    pub sums: &'a mut [Sum],
}

impl WithSimd for Accumulate<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let p = self.u.len();
        let sums = self.sums.chunks_exact_mut(slot(p, 0));
        for (r, sums) in self.responsibilities.iter().zip(sums) {
            let r = vectors::<S>(r);
            match self.moments {
                Moments::All => {
                    for i in (0..p).step_by(4) {
                        match p - i {
                            1 => band::<S, 1>(simd, r, self.u, i, sums),
                            2 => band::<S, 2>(simd, r, self.u, i, sums),
                            3 => band::<S, 3>(simd, r, self.u, i, sums),
                            _ => band::<S, 4>(simd, r, self.u, i, sums),
                        }
                    }
                }
                Moments::First | Moments::Diagonal => {
                    for (i, u) in self.u.iter().enumerate() {
                        let (first, second) = line(simd, r, vectors::<S>(u));
                        add(simd, &mut sums[slot(i, 0)], first);
                        if self.moments == Moments::Diagonal && i > 0 {
                            add(simd, &mut sums[slot(i, i)], second);
                        }
                    }
                }
            }
        }
    }
}

/// Rows `i..i + R` of the lower triangle, in tiles of four columns.
#[inline(always)]
fn band<S: Simd, const R: usize>(simd: S, r: &[S::f64s], u: &[Points], i: usize, sums: &mut [Sum]) {
    for j in (0..i).step_by(4) {
        tile::<S, R, 4, false>(simd, r, u, i, j, sums);
    }
    tile::<S, R, R, true>(simd, r, u, i, i, sums);
}

/// `Σ r u_i u_j` for `R` rows from `i` and `C` columns from `j`, below the diagonal only if `LOWER`.
#[inline(always)]
fn tile<S: Simd, const R: usize, const C: usize, const LOWER: bool>(
    simd: S,
    r: &[S::f64s],
    u: &[Points],
    i: usize,
    j: usize,
    sums: &mut [Sum],
) {
    let rows: [&[S::f64s]; R] = std::array::from_fn(|a| vectors::<S>(&u[i + a]));
    let columns: [&[S::f64s]; C] = std::array::from_fn(|b| vectors::<S>(&u[j + b]));
    let mut total = [[simd.splat_f64s(0.0); C]; R];
    for v in 0..BLOCK / S::F64_LANES {
        for a in 0..R {
            let weighted = simd.mul_f64s(r[v], rows[a][v]);
            for b in 0..C {
                if !LOWER || b <= a {
                    total[a][b] = simd.mul_add_f64s(weighted, columns[b][v], total[a][b]);
                }
            }
        }
    }
    for a in 0..R {
        for b in 0..C {
            if !LOWER || b <= a {
                add(simd, &mut sums[slot(i + a, j + b)], total[a][b]);
            }
        }
    }
}

/// `Σ r u` and `Σ r u²`, in two chains each to hide the latency.
#[inline(always)]
fn line<S: Simd>(simd: S, r: &[S::f64s], u: &[S::f64s]) -> (S::f64s, S::f64s) {
    let zero = simd.splat_f64s(0.0);
    let (mut first, mut second) = ([zero; 2], [zero; 2]);
    for (r, u) in r.chunks_exact(2).zip(u.chunks_exact(2)) {
        for v in 0..2 {
            let weighted = simd.mul_f64s(r[v], u[v]);
            first[v] = simd.add_f64s(first[v], weighted);
            second[v] = simd.mul_add_f64s(weighted, u[v], second[v]);
        }
    }
    (simd.add_f64s(first[0], first[1]), simd.add_f64s(second[0], second[1]))
}

/// Adds a vector to a running sum, whose first lanes it uses.
#[inline(always)]
fn add<S: Simd>(simd: S, sum: &mut Sum, value: S::f64s) {
    let (lanes, _) = S::as_mut_simd_f64s(&mut sum.0);
    lanes[0] = simd.add_f64s(lanes[0], value);
}
