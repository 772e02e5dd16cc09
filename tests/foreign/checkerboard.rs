//! Points of the plane, uniform on the dark squares of a board: p(x) = 1 / (squares² / 2) on them, with squares of side 1.

use latent_lab::data::GeneratorKind;
use latent_lab::kind::{Declared, Example};
use latent_lab_envs::{Generator, Points};
use rand::{Rng, RngExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Keys of `source = "checkerboard"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Checkerboard {
    /// Squares along each side of the board, an even number.
    #[schemars(range(min = 2, max = 100))]
    pub squares: usize,
}

impl Default for Checkerboard {
    fn default() -> Self {
        Self { squares: 4 }
    }
}

impl Declared for Checkerboard {
    const NAME: &'static str = "checkerboard";
    const SUMMARY: &'static str = "Points of the plane, uniform on the dark squares of a board.";
    const EQUATION: &'static str = "p(x) = 2 / squares² where ⌊x_1⌋ + ⌊x_2⌋ is even";
    const EXAMPLE: Example<'static> = Example {
        data: "source = \"checkerboard\"\ntrain = 200",
        ..Example::USUAL
    };
}

impl GeneratorKind for Checkerboard {}

impl Generator for Checkerboard {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn observed(&self) -> Vec<String> {
        vec!["x".into(), "y".into()]
    }

    fn check(&self) -> Result<(), String> {
        match self.squares % 2 {
            0 => Ok(()),
            _ => Err(format!("`squares` should be even, and is {}", self.squares)),
        }
    }

    fn draw(&self, rows: usize, rng: &mut dyn Rng) -> Points {
        let mut observed = Vec::with_capacity(2 * rows);
        for _ in 0..rows {
            let row = rng.random_range(0..self.squares);
            let column = 2 * rng.random_range(0..self.squares / 2) + row % 2;
            observed.push(column as f64 + rng.random::<f64>());
            observed.push(row as f64 + rng.random::<f64>());
        }
        Points {
            observed,
            ..Points::default()
        }
    }

    fn log_prob(&self, observed: &[f64], _given: &[f64]) -> Option<f64> {
        let squares = self.squares as f64;
        let is_inside = observed.iter().all(|x| (0.0..squares).contains(x));
        let is_dark = observed.iter().map(|x| x.floor()).sum::<f64>() % 2.0 == 0.0;
        Some(if is_inside && is_dark {
            (2.0 / (squares * squares)).ln()
        } else {
            f64::NEG_INFINITY
        })
    }
}
