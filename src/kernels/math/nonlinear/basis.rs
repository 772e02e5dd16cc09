//! Named mean functions that are linear in their coefficients: `f_t(x) = W φ(x, t)`.
//!
//! | name | φ(x, t) | coefficients |
//! |---|---|---|
//! | growth | `[x, x / (1 + x²), cos(1.2 t)]` | a, b, c |
//! | square | `[x²]` | d |
//!
//! Together they are the growth model of Netto, Gimeno & Mendes (1978) as in Schön, Wills & Ninness (2011, eq. 49).
//! To add a function, add a variant here and its line in the keys of the model.

use nalgebra::DMatrix;

/// A named function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    /// `a x + b x / (1 + x²) + c cos(1.2 t)`, one-dimensional.
    Growth,
    /// `d x²`, one-dimensional.
    Square,
}

impl Basis {
    /// The names of the coefficients, one per basis function.
    pub fn coefficients(self) -> &'static [&'static str] {
        match self {
            Self::Growth => &["a", "b", "c"],
            Self::Square => &["d"],
        }
    }

    /// The dimensions of its input, the latent state, and of its value.
    pub fn sizes(self) -> (usize, usize) {
        match self {
            Self::Growth | Self::Square => (1, 1),
        }
    }

    /// φ(x, t) of the columns of `x` `[X, n]`, into `to` `[F, n]`.
    pub fn features(self, t: usize, x: &[f64], to: &mut [f64]) {
        let n = x.len();
        match self {
            Self::Growth => {
                let (linear, rest) = to.split_at_mut(n);
                let (ratio, wave) = rest.split_at_mut(n);
                linear.copy_from_slice(x);
                ratio.iter_mut().zip(x).for_each(|(to, x)| *to = x / (1.0 + x * x));
                wave.fill((1.2 * t as f64).cos());
            }
            Self::Square => to.iter_mut().zip(x).for_each(|(to, x)| *to = x * x),
        }
    }

    /// ∂φ/∂x at `x` `[X]`. `[F, X]`
    pub fn jacobian(self, x: &[f64]) -> DMatrix<f64> {
        let x = x[0];
        match self {
            Self::Growth => {
                let ratio = (1.0 - x * x) / (1.0 + x * x).powi(2);
                DMatrix::from_column_slice(3, 1, &[1.0, ratio, 0.0])
            }
            Self::Square => DMatrix::from_element(1, 1, 2.0 * x),
        }
    }
}
