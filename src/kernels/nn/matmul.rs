//! Matrix products on one thread, with AVX-512 kernels where the machine has them.
//!
//! candle's own product is built without AVX-512 and may start threads. A run must use one thread, because the runs
//! themselves are parallel. Strides express transposition: nothing is copied.

use super::float::{Float, written};
use gemm::Parallelism;

/// A matrix in a slice: element `(i, j)` is `data[i * row_stride + j * column_stride]`.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a, T> {
    data: &'a [T],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a, T> Matrix<'a, T> {
    /// A row-major matrix.
    pub(crate) fn new(data: &'a [T], rows: usize, columns: usize) -> Self {
        assert_eq!(data.len(), rows * columns);
        Self {
            data,
            rows,
            columns,
            row_stride: columns,
            column_stride: 1,
        }
    }

    /// A row-major matrix whose rows begin `row_stride` elements apart.
    pub(crate) fn strided(data: &'a [T], rows: usize, columns: usize, row_stride: usize) -> Self {
        assert_fits(data.len(), rows, columns, row_stride);
        Self {
            data,
            rows,
            columns,
            row_stride,
            column_stride: 1,
        }
    }

    /// The elements of the transpose, row-major.
    pub(crate) fn to_transposed(self) -> Vec<T>
    where
        T: Copy,
    {
        let mut elements = Vec::with_capacity(self.rows * self.columns);
        for j in 0..self.columns {
            for i in 0..self.rows {
                elements.push(self.data[i * self.row_stride + j * self.column_stride]);
            }
        }
        elements
    }

    /// The transpose, a view.
    pub(crate) fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }
}

/// Whether a slice of `len` elements holds these rows, which must not overlap.
fn assert_fits(len: usize, rows: usize, columns: usize, row_stride: usize) {
    assert!(columns <= row_stride && (rows == 0 || (rows - 1) * row_stride + columns <= len));
}

/// `out += a b`: `[M, K] [K, N]`; the rows of `out` `[M, N]` begin `row_stride` elements apart.
pub(crate) fn add_product<T: Float>(out: &mut [T], row_stride: usize, a: Matrix<T>, b: Matrix<T>) {
    assert_eq!(a.columns, b.rows);
    let (m, n, k) = (a.rows, b.columns, a.columns);
    assert_fits(out.len(), m, n, row_stride);
    // SAFETY: the sizes checked here and by the constructors of `Matrix` keep all accesses inside the slices.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            row_stride as isize,
            true,
            a.data.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.data.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            T::one(),
            T::one(),
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

/// `a b`, row-major: `[M, K] [K, N] -> [M, N]`.
pub(crate) fn product<T: Float>(a: Matrix<T>, b: Matrix<T>) -> Vec<T> {
    assert_eq!(a.columns, b.rows);
    let (m, n, k) = (a.rows, b.columns, a.columns);
    if k == 0 {
        return vec![T::zero(); m * n];
    }
    // SAFETY: the sizes of `Matrix::new` keep all reads inside the slices; the product writes every element of an m by
    // n matrix, since it does not read the destination.
    unsafe {
        written(m * n, |out| {
            gemm::gemm(
                m,
                n,
                k,
                out.as_mut_ptr().cast::<T>(),
                1,
                n as isize,
                false,
                a.data.as_ptr(),
                a.column_stride as isize,
                a.row_stride as isize,
                b.data.as_ptr(),
                b.column_stride as isize,
                b.row_stride as isize,
                T::zero(),
                T::one(),
                false,
                false,
                false,
                Parallelism::None,
            );
        })
    }
}
