//! Regular grids over `[−R, R]^Z`, each node of which is also a node of the grid of half the spacing.

use crate::{Error, Result};

/// `points^Z` equally spaced nodes; the outermost lie at ±R.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Grid {
    latents: usize,
    half_width: f64,
    points: usize,
}

impl Grid {
    /// A grid of `points` nodes per axis over `[−half_width, half_width]`, in one or two dimensions.
    ///
    /// # Errors
    /// If Z is neither 1 nor 2, the width is not positive, or there are fewer than two points.
    pub fn new(latents: usize, half_width: f64, points: usize) -> Result<Self> {
        if !(1..=2).contains(&latents) {
            return Err(Error::Data(format!(
                "quadrature over {latents} latent dimensions: expected 1 or 2; bound the likelihood of larger ones by samples"
            )));
        }
        if !(half_width.is_finite() && half_width > 0.0 && points >= 2) {
            return Err(Error::Data(format!(
                "a grid of {points} points per axis over ±{half_width}: expected at least 2 points and a positive width"
            )));
        }
        Ok(Self {
            latents,
            half_width,
            points,
        })
    }

    /// Dimensions Z.
    pub fn latents(&self) -> usize {
        self.latents
    }

    /// Nodes per axis.
    pub fn points(&self) -> usize {
        self.points
    }

    /// All nodes, G.
    pub fn count(&self) -> usize {
        self.points.pow(self.latents as u32)
    }

    /// Distance h between neighbours on an axis, in units of z.
    pub fn spacing(&self) -> f64 {
        2.0 * self.half_width / (self.points - 1) as f64
    }

    /// `Z log h`, the logarithm of the volume that a node stands for.
    pub fn log_cell(&self) -> f64 {
        self.latents as f64 * self.spacing().ln()
    }

    /// Coordinates along one axis, `[points]`.
    pub fn axis(&self) -> Vec<f64> {
        let last = (self.points - 1) as f64;
        (0..self.points)
            .map(|i| self.half_width * (2.0 * i as f64 - last) / last)
            .collect()
    }

    /// All nodes, `[G, Z]`, the last coordinate fastest.
    pub fn nodes(&self) -> Vec<f64> {
        self.selected(|_| true)
    }

    /// The grid of half the spacing.
    pub fn finer(&self) -> Self {
        Self {
            points: 2 * self.points - 1,
            ..*self
        }
    }

    /// The nodes that the coarser grid, of every second point, does not have, `[·, Z]`. Needs an odd number of points.
    pub(super) fn added(&self) -> Vec<f64> {
        self.selected(|index| index.iter().any(|i| i % 2 == 1))
    }

    /// The outermost nodes, `[·, Z]`.
    pub(super) fn edge(&self) -> Vec<f64> {
        self.selected(|index| index.iter().any(|i| *i == 0 || *i == self.points - 1))
    }

    fn selected(&self, keep: impl Fn(&[usize]) -> bool) -> Vec<f64> {
        let axis = self.axis();
        let mut nodes = Vec::new();
        for at in 0..self.count() {
            let index = [at / self.points, at % self.points];
            let index = &index[2 - self.latents..];
            if keep(index) {
                nodes.extend(index.iter().map(|i| axis[*i]));
            }
        }
        nodes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finer_grid_is_the_old_one_and_what_is_added() {
        for latents in [1, 2] {
            let coarse = Grid::new(latents, 3.0, 5).unwrap();
            let sorted = |mut nodes: Vec<f64>| {
                let mut nodes: Vec<Vec<f64>> = nodes
                    .drain(..)
                    .as_slice()
                    .chunks(latents)
                    .map(<[f64]>::to_vec)
                    .collect();
                nodes.sort_by(|a, b| a.partial_cmp(b).unwrap());
                nodes
            };
            let both = [coarse.nodes(), coarse.finer().added()].concat();
            assert_eq!(sorted(both), sorted(coarse.finer().nodes()));
            assert_eq!(coarse.finer().nodes().len(), latents * coarse.finer().count());
        }
        let grid = Grid::new(2, 3.0, 4).unwrap();
        assert_eq!((grid.axis(), grid.spacing()), (vec![-3.0, -1.0, 1.0, 3.0], 2.0));
        assert_eq!(
            (grid.nodes()[2..4].to_vec(), grid.edge().len()),
            (vec![-3.0, -1.0], 2 * 12)
        );
    }

    #[test]
    fn faults_name_the_dimension_and_the_size() {
        assert!(
            Grid::new(3, 1.0, 9)
                .unwrap_err()
                .to_string()
                .contains("expected 1 or 2")
        );
        assert!(
            Grid::new(1, f64::NAN, 9)
                .unwrap_err()
                .to_string()
                .contains("positive width")
        );
        assert!(
            Grid::new(1, 1.0, 1)
                .unwrap_err()
                .to_string()
                .contains("at least 2 points")
        );
    }
}
