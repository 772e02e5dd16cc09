//! The fused kernel of a sweep: one block of points, lanes are points.
//!
//! A block holds the transposed, centred rows `u = [1; x − x̄; y − ȳ]`, `[P, BLOCK]`, and has three phases in cache:
//! the log joints `constant_k − ½ |map_k u|²`, `[K, BLOCK]`; their softmax (or the given responsibilities), times the
//! row weights; and the moments `Σ r u uᵀ` in register tiles. Missing points of the last block have weight 0.

use pulp::{Arch, Simd, WithSimd};

use super::elementary::{exp, ln};
use super::linear_mixture::Whitened;
use super::rows::Observations;
use super::sweep::{Moments, Rule};
use crate::math::vectors::arch;

/// Points per block.
pub(super) const BLOCK: usize = 256;
/// Log joints are clamped below at this value: a point that no component explains has equal responsibilities instead of
/// NaN.
pub(super) const LEAST: f64 = -1e300;
/// Vectors of points whose log joints are computed side by side, to hide the latency of multiply-add.
const ABREAST: usize = 4;

/// One number per point of a block.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
struct Points([f64; BLOCK]);

/// One running sum, spread over lanes.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
struct Sum([f64; 8]);

/// Scratch memory and running sums of one thread.
pub(super) struct Block<'a> {
    arch: Arch,
    whitened: &'a [Whitened],
    moments: Moments,
    inputs: usize,
    /// `u`, `[P, BLOCK]`.
    u: Vec<Points>,
    /// Log joints, then responsibilities times row weights, `[K, BLOCK]`.
    joint: Vec<Points>,
    weights: Points,
    /// Row-major copy of the log joints for a rule, `[b, K]`, and a second copy that the rule does not overwrite.
    rows: Vec<f64>,
    before: Vec<f64>,
    /// Lower triangles, packed, `[K, P (P+1) / 2]`.
    sums: Vec<Sum>,
}

impl<'a> Block<'a> {
    pub(super) fn new(data: &Observations, whitened: &'a [Whitened], moments: Moments) -> Self {
        let (p, k) = (1 + data.shift.len(), whitened.len());
        let mut u = vec![Points([0.0; BLOCK]); p];
        u[0] = Points([1.0; BLOCK]);
        Self {
            arch: arch(),
            whitened,
            moments,
            inputs: data.columns().0,
            u,
            joint: vec![Points([0.0; BLOCK]); k],
            weights: Points([0.0; BLOCK]),
            rows: Vec::new(),
            before: Vec::new(),
            sums: vec![Sum([0.0; 8]); k * p * (p + 1) / 2],
        }
    }

    /// Transposes and centres rows `first..first + count`, `count ≤ BLOCK`.
    pub(super) fn load(&mut self, data: &Observations, first: usize, count: usize) {
        let tables = data.given.iter().chain([&data.observed]);
        let (mut u, mut shift) = (&mut self.u[1..], &data.shift[..]);
        for table in tables {
            let values = &table.values[first * table.columns..(first + count) * table.columns];
            let (columns, later) = u.split_at_mut(table.columns);
            for (j, (column, mean)) in columns.iter_mut().zip(shift).enumerate() {
                for (u, row) in column.0.iter_mut().zip(values.chunks_exact(table.columns)) {
                    *u = row[j] - mean;
                }
                column.0[count..].fill(0.0);
            }
            (u, shift) = (later, &shift[table.columns..]);
        }
        match data.weights {
            Some(weights) => self.weights.0[..count].copy_from_slice(&weights[first..first + count]),
            None => self.weights.0[..count].fill(1.0),
        }
        self.weights.0[count..].fill(0.0);
    }

    /// Fills the log joints.
    pub(super) fn log_joint(&mut self) {
        self.arch.dispatch(LogJoint {
            whitened: self.whitened,
            sparse: self.moments == Moments::Diagonal,
            inputs: self.inputs,
            u: &self.u,
            joint: &mut self.joint,
        });
    }

    /// Turns log joints into weighted exact responsibilities; returns the weighted log-likelihood, nats.
    pub(super) fn normalise(&mut self) -> f64 {
        self.arch.dispatch(Normalise {
            joint: &mut self.joint,
            weights: &self.weights,
        })
    }

    /// Turns log joints into weighted responsibilities by a rule. Returns log-likelihood and lower bound in nats, or
    /// the row whose responsibilities do not sum to 1, with their sum.
    pub(super) fn given(&mut self, rule: &Rule, first: usize, count: usize) -> Result<(f64, f64), (usize, f64)> {
        let k = self.joint.len();
        self.rows.resize(count * k, 0.0);
        for (i, row) in self.rows.chunks_exact_mut(k).enumerate() {
            for (value, joint) in row.iter_mut().zip(&self.joint) {
                *value = if joint.0[i] > LEAST {
                    joint.0[i]
                } else {
                    f64::NEG_INFINITY
                };
            }
        }
        self.before.clone_from(&self.rows);
        rule(first, &mut self.rows);
        let (mut log_likelihood, mut bound) = (0.0, 0.0);
        for (i, (r, log_joint)) in self.rows.chunks_exact(k).zip(self.before.chunks_exact(k)).enumerate() {
            let sum: f64 = r.iter().sum();
            if (sum - 1.0).abs() > 1e-6 || sum.is_nan() || r.iter().any(|r| *r < 0.0) {
                return Err((first + i, sum));
            }
            let w = self.weights.0[i];
            for (joint, r) in self.joint.iter_mut().zip(r) {
                joint.0[i] = w * r;
            }
            if w > 0.0 {
                log_likelihood += w * log_sum_exp(log_joint);
                let terms = r.iter().zip(log_joint).filter(|(r, _)| **r > 0.0);
                bound += w * terms.map(|(r, j)| r * (j - r.ln())).sum::<f64>();
            }
        }
        self.joint.iter_mut().for_each(|joint| joint.0[count..].fill(0.0));
        Ok((log_likelihood, bound))
    }

    /// Adds the block's weighted moments to the running sums.
    pub(super) fn accumulate(&mut self) {
        self.arch.dispatch(Accumulate {
            moments: self.moments,
            u: &self.u,
            responsibilities: &self.joint,
            sums: &mut self.sums,
        });
    }

    /// Writes the running sums as lower triangles, `[K, P, P]`.
    pub(super) fn store(&self, moments: &mut [f64]) {
        let p = self.u.len();
        let packed = p * (p + 1) / 2;
        for (m, sums) in moments.chunks_exact_mut(p * p).zip(self.sums.chunks_exact(packed)) {
            for i in 0..p {
                for j in 0..=i {
                    m[i * p + j] = sums[slot(i, j)].0.iter().sum();
                }
            }
        }
    }
}

/// `log Σ_k exp`, −∞ if every term is.
fn log_sum_exp(terms: &[f64]) -> f64 {
    let max = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    match max.is_finite() {
        true => max + terms.iter().map(|t| (t - max).exp()).sum::<f64>().ln(),
        false => max,
    }
}

/// Place of entry `(i, j)`, `j ≤ i`, in a packed lower triangle.
#[inline(always)]
fn slot(i: usize, j: usize) -> usize {
    i * (i + 1) / 2 + j
}

/// A block row as vectors.
#[inline(always)]
fn vectors<S: Simd>(points: &Points) -> &[S::f64s] {
    &S::as_simd_f64s(&points.0).0[..BLOCK / S::F64_LANES]
}

struct LogJoint<'a> {
    whitened: &'a [Whitened],
    /// Whether row `j` of every map is zero except for its first entry and entry `1 + j`.
    sparse: bool,
    inputs: usize,
    u: &'a [Points],
    joint: &'a mut [Points],
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

struct Normalise<'a> {
    joint: &'a mut [Points],
    weights: &'a Points,
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

struct Accumulate<'a> {
    moments: Moments,
    u: &'a [Points],
    responsibilities: &'a [Points],
    sums: &'a mut [Sum],
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

#[cfg(test)]
mod tests {
    use super::super::linear_mixture::{Covariance, LinearMixture};
    use super::super::rows::Rows;
    use super::*;
    use crate::math::vectors::tests::on_every_set;

    /// Log-likelihood and moments of one block of 100 points in four columns, two components.
    fn one_block(covariance: Covariance, kind: Moments) -> Vec<f64> {
        let values: Vec<f64> = (0..400)
            .map(|i| (f64::from(i) * 0.7).sin() * f64::from(1 + i % 4))
            .collect();
        let data = Observations::new(
            Rows {
                values: &values,
                columns: 4,
            },
            None,
            None,
        )
        .unwrap();
        let mixture = LinearMixture {
            inputs: 0,
            outputs: 4,
            covariance,
            weights: vec![0.3, 0.7],
            coefficients: vec![0.0, 0.5, 1.0, -1.0, 1.0, 0.0, -0.5, 0.5],
            covariances: (0..32).map(|i| if i % 16 % 5 == 0 { 1.5 } else { 0.0 }).collect(),
        };
        let whitened = mixture.whiten(&data).unwrap();
        let mut block = Block::new(&data, &whitened, kind);
        block.load(&data, 0, 100);
        block.log_joint();
        let mut found = vec![block.normalise()];
        block.accumulate();
        let mut moments = vec![0.0; 50];
        block.store(&mut moments);
        found.extend(moments);
        found
    }

    #[test]
    fn every_instruction_set_computes_the_same() {
        for (covariance, kind) in [
            (Covariance::Full, Moments::All),
            (Covariance::Tied, Moments::First),
            (Covariance::Diagonal, Moments::Diagonal),
        ] {
            let sets = on_every_set(|| one_block(covariance, kind));
            let scalar = &sets[0].1;
            assert!(scalar[0] < 0.0 && scalar[1] > 0.0);
            for (_, found) in &sets {
                approx::assert_relative_eq!(found[..], scalar[..], epsilon = 1e-11);
            }
        }
    }
}
