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
