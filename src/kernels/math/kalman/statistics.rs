//! Expected second moments of targets and regressors under the beliefs, for each of the three conditional Gaussians of
//! the model; and, from these, the expected log joint and its gradient.
//!
//! `E[log N(y; W z, Σ)]` summed over data is `−½ (n log det 2πΣ + tr Σ⁻¹ E)` with
//! `E = Σ_i E[(y − W z)(y − W z)ᵀ]`; its gradient is `Σ⁻¹ (S_yz − W S_zz)` in W and `−½ (n Σ⁻¹ − Σ⁻¹ E Σ⁻¹)` in Σ.
//! At the exact posterior of the same θ this is the gradient of `log p_θ(o)` (Fisher's identity).

use super::sequences::Sequences;
use super::{Conditional, System};
use crate::math::LN_2PI;
use crate::math::linear_algebra::{cholesky, eigen, inverse_lower, symmetric};
use nalgebra::DMatrix;
use std::collections::BTreeMap;

/// `Σ_i E[v vᵀ]` of `v = [y; z]`, and the number of summands.
#[derive(Debug, Clone)]
pub struct Moments {
    /// n: the weight of all summands.
    pub count: f64,
    /// Symmetric. `[Y + Z, Y + Z]`
    pub second: DMatrix<f64>,
}

impl Moments {
    /// No moments, of vectors of `size` numbers.
    pub(in crate::math) fn zeros(size: usize) -> Self {
        Self {
            count: 0.0,
            second: DMatrix::zeros(size, size),
        }
    }
}

/// Expected second moments of all sequences.
#[derive(Debug, Clone)]
pub struct Statistics {
    /// Of `[x_1; 1]`.
    pub initial: Moments,
    /// Of `[x_{t+1}; x_t; u_t; 1]`.
    pub transition: Moments,
    /// Of `[o_t; x_t; u_t; 1]` by which entries of o_t are observed; others and wholly missing steps are left out.
    pub emission: BTreeMap<Vec<usize>, Moments>,
}

/// Expected log joint by term, in nats.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ExpectedLog {
    /// E[log p(x_1)].
    pub initial: f64,
    /// Σ_t E[log p(x_{t+1} | x_t, u_t)].
    pub transition: f64,
    /// Σ_t E[log p(o_t | x_t, u_t)].
    pub emission: f64,
}

impl ExpectedLog {
    /// The sum of the terms.
    pub fn total(&self) -> f64 {
        self.initial + self.transition + self.emission
    }

    /// The terms of the prior p(x_1 … x_T): initial + transition.
    pub fn prior(&self) -> f64 {
        self.initial + self.transition
    }
}

impl Statistics {
    /// Adds `factor` times the moments of `other`, which are of sequences of the same widths.
    pub fn add(&mut self, other: &Self, factor: f64) {
        let add = |to: &mut Moments, from: &Moments| {
            to.count += factor * from.count;
            to.second += &from.second * factor;
        };
        add(&mut self.initial, &other.initial);
        add(&mut self.transition, &other.transition);
        for (mask, moments) in &other.emission {
            let size = moments.second.nrows();
            add(
                self.emission
                    .entry(mask.clone())
                    .or_insert_with(|| Moments::zeros(size)),
                moments,
            );
        }
    }

    /// No moments, of `states` latent dimensions.
    pub fn none(sequences: &Sequences, states: usize) -> Self {
        Self {
            initial: Moments::zeros(states + 1),
            transition: Moments::zeros(2 * states + sequences.inputs() + 1),
            emission: BTreeMap::new(),
        }
    }

    /// The expected log joint under `system`.
    pub fn expected_log(&self, system: &System) -> ExpectedLog {
        self.expected_log_of(&system.conditionals())
    }

    /// The same for three conditional Gaussians: `x_1`, `x_{t+1}` and `o_t`, each given its regressors.
    pub fn expected_log_of(&self, [initial, transition, emission]: &[Conditional; 3]) -> ExpectedLog {
        let emissions = self.emission.iter();
        ExpectedLog {
            initial: expected_log(initial, &self.initial),
            transition: expected_log(transition, &self.transition),
            emission: emissions
                .map(|(mask, moments)| expected_log(&emission.rows(mask), moments))
                .sum(),
        }
    }

    /// The gradient of [`Statistics::expected_log`] in every entry of the system (both halves of a covariance count).
    pub fn gradient(&self, system: &System) -> System {
        System::from_conditionals(self.gradient_of(&system.conditionals()))
    }

    /// The gradient of [`Statistics::expected_log_of`].
    pub fn gradient_of(&self, [initial, transition, emission]: &[Conditional; 3]) -> [Conditional; 3] {
        let mut sum = Conditional {
            coefficients: emission.coefficients.map(|_| 0.0),
            noise: emission.noise.map(|_| 0.0),
        };
        for (mask, moments) in &self.emission {
            let part = gradient(&emission.rows(mask), moments);
            for (i, &row) in mask.iter().enumerate() {
                for j in 0..sum.coefficients.ncols() {
                    sum.coefficients[(row, j)] += part.coefficients[(i, j)];
                }
                for (j, &column) in mask.iter().enumerate() {
                    sum.noise[(row, column)] += part.noise[(i, j)];
                }
            }
        }
        [
            gradient(initial, &self.initial),
            gradient(transition, &self.transition),
            sum,
        ]
    }
}

impl Conditional {
    /// The same for the targets `rows` only.
    pub(in crate::math) fn rows(&self, rows: &[usize]) -> Self {
        Self {
            coefficients: self.coefficients.select_rows(rows),
            noise: self.noise.select_rows(rows).select_columns(rows),
        }
    }

    /// `Σ_i E[(y − W z)(y − W z)ᵀ]`.
    pub(super) fn residual(&self, moments: &Moments) -> DMatrix<f64> {
        let y = self.noise.nrows();
        // [I −W] M [I −W]ᵀ.
        let mut map = DMatrix::zeros(y, moments.second.nrows());
        map.columns_mut(0, y).fill_with_identity();
        map.columns_mut(y, self.coefficients.ncols())
            .copy_from(&-&self.coefficients);
        symmetric(&map * &moments.second * map.transpose())
    }
}

/// Σ⁻¹, log det 2πΣ, and the number of directions with noise. A direction without noise is deterministic: it has no
/// density and is left out.
pub(super) fn precision(noise: &DMatrix<f64>) -> (DMatrix<f64>, f64, usize) {
    if let Some(l) = cholesky(noise.clone()) {
        let inverse = inverse_lower(&l);
        let log_det = l.diagonal().iter().map(|d| 2.0 * d.ln() + LN_2PI).sum();
        return (inverse.transpose() * inverse, log_det, noise.nrows());
    }
    let (eigenvectors, eigenvalues) = eigen(noise.clone());
    let least = 1e-12 * eigenvalues.max();
    let kept = |e: f64| e > least;
    let inverse = DMatrix::from_diagonal(&eigenvalues.map(|e| if kept(e) { e.recip() } else { 0.0 }));
    let spread = || eigenvalues.iter().filter(|e| kept(**e));
    let log_det = spread().map(|e| e.ln() + LN_2PI).sum();
    (
        &eigenvectors * inverse * eigenvectors.transpose(),
        log_det,
        spread().count(),
    )
}

fn expected_log(conditional: &Conditional, moments: &Moments) -> f64 {
    let (inverse, log_det, _) = precision(&conditional.noise);
    -0.5 * (moments.count * log_det + inverse.dot(&conditional.residual(moments)))
}

fn gradient(conditional: &Conditional, moments: &Moments) -> Conditional {
    let (y, z) = conditional.coefficients.shape();
    let (inverse, ..) = precision(&conditional.noise);
    let yz = moments.second.view((0, y), (y, z));
    let zz = moments.second.view((y, y), (z, z));
    let residual = conditional.residual(moments);
    Conditional {
        coefficients: &inverse * (yz - &conditional.coefficients * zz),
        noise: (&inverse * residual * &inverse - &inverse * moments.count) * 0.5,
    }
}
