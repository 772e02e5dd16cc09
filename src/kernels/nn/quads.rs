//! Tiles of f32 under AVX-512: four columns of sixteen rows at a time, by shuffles.
//!
//! The compiler moves numbers between rows and a tile one by one, which takes longer than a mixture's arithmetic. Here
//! four neighbours in a row are a quarter of a vector, the rows `i, 4 + i, 8 + i, 12 + i` are the quarters of vector
//! `i`, and eight shuffles within quarters make four such vectors four columns, or four columns such vectors.

#[cfg(target_arch = "x86_64")]
use crate::math::vectors::arch;
#[cfg(target_arch = "x86_64")]
use pulp::{Arch, x86::V4};

/// How many rows the kernels treat at once: one AVX-512 register of f32, or two of f64.
pub(crate) const LANES: usize = 16;

/// [`LANES`] rows of one column.
pub(crate) type Lanes<T> = [T; LANES];

/// Reads columns of `tile`, of which column c of row l is at `starts[l] + c`; returns how many it has read.
#[inline(always)]
pub(super) fn load(tile: &mut [Lanes<f32>], data: &[f32], starts: &[usize; LANES]) -> usize {
    #[cfg(target_arch = "x86_64")]
    if let Arch::V4(simd) = arch() {
        return wide::load(simd, tile, data, starts);
    }
    let _ = (tile, data, starts);
    0
}

/// Writes, or with `ADD` adds, columns of `tile` where [`load`] would read them; returns how many.
#[inline(always)]
pub(super) fn store<const ADD: bool>(tile: &[Lanes<f32>], data: &mut [f32], starts: &[usize; LANES]) -> usize {
    #[cfg(target_arch = "x86_64")]
    if let Arch::V4(simd) = arch() {
        return wide::store::<ADD>(simd, tile, data, starts);
    }
    let _ = (tile, data, starts);
    0
}

#[cfg(target_arch = "x86_64")]
mod wide {
    use super::*;
    use std::arch::x86_64::{__m512, __m512d};

    const QUAD: usize = 4;

    #[inline(always)]
    fn last(starts: &[usize; LANES]) -> usize {
        starts.iter().copied().fold(0, usize::max)
    }

    /// Four columns from the vectors of their quarters, or the other way round.
    #[inline(always)]
    fn turned(simd: V4, v: [__m512; QUAD]) -> [__m512; QUAD] {
        let avx = simd.avx512f;
        let pairs = |x: __m512| avx._mm512_castps_pd(x);
        let single = |x: __m512d| avx._mm512_castpd_ps(x);
        let [a, b] = [avx._mm512_unpacklo_ps(v[0], v[1]), avx._mm512_unpackhi_ps(v[0], v[1])].map(pairs);
        let [c, d] = [avx._mm512_unpacklo_ps(v[2], v[3]), avx._mm512_unpackhi_ps(v[2], v[3])].map(pairs);
        let [low, high] = [[a, b], [c, d]];
        [
            avx._mm512_unpacklo_pd(low[0], high[0]),
            avx._mm512_unpackhi_pd(low[0], high[0]),
            avx._mm512_unpacklo_pd(low[1], high[1]),
            avx._mm512_unpackhi_pd(low[1], high[1]),
        ]
        .map(single)
    }

    #[inline(always)]
    pub(super) fn load(simd: V4, tile: &mut [Lanes<f32>], data: &[f32], starts: &[usize; LANES]) -> usize {
        let (sse, avx) = (simd.sse, simd.avx512f);
        // Whole quads, and one that reads on beyond the tile where there is something to read.
        let beyond = data.len().saturating_sub(last(starts));
        let quads = tile.len().div_ceil(QUAD).min(beyond / QUAD);
        for (q, columns) in tile.chunks_mut(QUAD).take(quads).enumerate() {
            // SAFETY: from the last start on there are `quads` quads.
            let quarter = |l: usize| unsafe { sse._mm_loadu_ps(data.as_ptr().add(starts[l] + QUAD * q)) };
            let vector = |i: usize| {
                let v = avx._mm512_castps128_ps512(quarter(i));
                let v = avx._mm512_insertf32x4::<1>(v, quarter(4 + i));
                let v = avx._mm512_insertf32x4::<2>(v, quarter(8 + i));
                avx._mm512_insertf32x4::<3>(v, quarter(12 + i))
            };
            let turned = turned(simd, [vector(0), vector(1), vector(2), vector(3)]);
            for (column, v) in columns.iter_mut().zip(turned) {
                // SAFETY: a column is as long as a vector.
                unsafe { avx._mm512_storeu_ps(column.as_mut_ptr(), v) };
            }
        }
        tile.len().min(QUAD * quads)
    }

    #[inline(always)]
    pub(super) fn store<const ADD: bool>(
        simd: V4,
        tile: &[Lanes<f32>],
        data: &mut [f32],
        starts: &[usize; LANES],
    ) -> usize {
        let (sse, avx) = (simd.sse, simd.avx512f);
        let (quads, _) = tile.as_chunks::<QUAD>();
        assert!(
            last(starts) + QUAD * quads.len() <= data.len(),
            "a tile within its matrix"
        );
        for (q, columns) in quads.iter().enumerate() {
            // SAFETY: a column is as long as a vector.
            let column = |c: usize| unsafe { avx._mm512_loadu_ps(columns[c].as_ptr()) };
            let turned = turned(simd, [column(0), column(1), column(2), column(3)]);
            for (i, v) in turned.into_iter().enumerate() {
                let quarters = [
                    avx._mm512_castps512_ps128(v),
                    avx._mm512_extractf32x4_ps::<1>(v),
                    avx._mm512_extractf32x4_ps::<2>(v),
                    avx._mm512_extractf32x4_ps::<3>(v),
                ];
                for (j, quarter) in quarters.into_iter().enumerate() {
                    // SAFETY: from the last start on there are all quads.
                    unsafe {
                        let to = data.as_mut_ptr().add(starts[4 * j + i] + QUAD * q);
                        let sum = if ADD {
                            sse._mm_add_ps(sse._mm_loadu_ps(to), quarter)
                        } else {
                            quarter
                        };
                        sse._mm_storeu_ps(to, sum);
                    }
                }
            }
        }
        QUAD * quads.len()
    }
}
