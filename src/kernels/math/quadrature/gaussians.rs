//! The Gaussians that are compared with the true posterior of a grid.

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
