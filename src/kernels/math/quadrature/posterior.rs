//! The true posterior on a grid, and Gaussians to compare with it.

use crate::{Error, Result};

/// One diagonal Gaussian `q_b(z)` per row: the output of an amortised posterior.
#[derive(Debug, Clone, PartialEq)]
pub struct Gaussians {
    /// `[B, Z]`.
    pub means: Vec<f64>,
    /// `[B, Z]`.
    pub deviations: Vec<f64>,
}

impl Gaussians {
    pub(super) fn check(&self, rows: usize, latents: usize) -> Result<()> {
        let sizes = [self.means.len(), self.deviations.len()];
        if sizes != [rows * latents; 2] {
            return Err(Error::Data(format!(
                "{} means and {} standard deviations of q for {rows} rows of {latents} latents: expected {} of each",
                sizes[0],
                sizes[1],
                rows * latents
            )));
        }
        let good = |(mean, deviation): (&f64, &f64)| mean.is_finite() && deviation.is_normal() && *deviation > 0.0;
        match self.means.iter().zip(&self.deviations).position(|pair| !good(pair)) {
            None => Ok(()),
            Some(at) => Err(Error::Data(format!(
                "q of row {} has mean {} and standard deviation {}: expected a finite mean and a positive standard \
                 deviation",
                at / latents,
                self.means[at],
                self.deviations[at]
            ))),
        }
    }
}

/// Turns log joints `[B, G]` of a regular grid into `p(z_g | x_b)`, which sum to 1 over the nodes; divided by the
/// volume of a cell they are the density. A row that no node explains keeps zeros.
pub fn posterior_weights(mut log_joint: Vec<f64>, nodes: usize) -> Vec<f64> {
    for row in log_joint.chunks_exact_mut(nodes) {
        let max = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if max == f64::NEG_INFINITY {
            row.fill(0.0);
            continue;
        }
        row.iter_mut().for_each(|t| *t = (*t - max).exp());
        let sum: f64 = row.iter().sum();
        row.iter_mut().for_each(|t| *t /= sum);
    }
    log_joint
}
