//! `log p(x) = log ∫ p(x|z) p(z) dz` by the trapezoidal rule, for one or two latent dimensions: the reference for
//! bounds.
//!
//! On a regular grid of spacing h over `[−R, R]^Z`,
//! - `log p(x) ≈ log Σ_g exp(log p(z_g) + log p(x|z_g)) + Z log h`;
//! - `KL(q‖p(z|x)) ≈ h^Z Σ_g q(z_g) [log q(z_g) − log p(x, z_g)] + log p(x)`, so that `log p(x) − KL` is the exact
//!   ELBO.
//!
//! For integrands that are analytic and vanish at the edge the error falls geometrically with 1/h (Trefethen & Weideman
//! 2014, theorem 5.1); with kinks, as of rectified linear decoders, like h². Halving h keeps all nodes, so each
//! refinement only adds to the sums, and the last change estimates the error of the grid *before*. For smooth
//! integrands this overestimates the error. With kinks it has the size of the error, and may be smaller by chance where
//! a kink falls between two nodes. Refinement cannot detect mass beyond ±R; the share of the posterior on the outermost
//! nodes indicates it.
//!
//! [`log_evidence`] takes a decoder that depends on z alone, and is one matrix product and a log-sum-exp;
//! [`log_evidence_by_row`] takes any log joint, at the cost of one evaluation per row and node.

mod gaussians;
mod grid;
mod nodes;
mod sums;
#[cfg(test)]
mod tests;

use super::rows::Rows;
use crate::{Error, Result};
pub use gaussians::Gaussians;
pub use grid::Grid;
use nodes::Tile;
pub use nodes::{Likelihood, Nodes, log_joint};
use std::ops::Range;
use sums::{Divergences, LogSums};

/// Nodes decoded at once, which bounds the memory of a decoder.
const DECODED: usize = 16_384;
/// Rows and nodes of one call of a log joint that depends on the row.
const BLOCK: (usize, usize) = (64, 1024);

/// Where to start and when to stop.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Refinement {
    /// The coarsest grid; it is refined at least once.
    pub grid: Grid,
    /// No grid has more nodes per axis than this, except after the first refinement.
    pub most_points: usize,
    /// Mean error estimate over rows at which to stop, nats.
    pub tolerance: f64,
}

/// `log p(x_b)` of every row, with error estimates.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// The finest grid.
    pub grid: Grid,
    /// `log p(x_b)`, `[B]`, nats.
    pub log_evidence: Vec<f64>,
    /// Its change from the grid of twice the spacing, `[B]`, nats.
    pub error: Vec<f64>,
    /// The share of the posterior on the outermost nodes, `[B]`: widen the grid where it is not small.
    pub edge: Vec<f64>,
    /// How far q is from the true posterior, where q was given.
    pub divergence: Option<Divergence>,
}

/// `KL(q_b ‖ p(z|x_b))` of every row.
#[derive(Debug, Clone, PartialEq)]
pub struct Divergence {
    /// `[B]`, nats.
    pub kl: Vec<f64>,
    /// Its change from the grid of twice the spacing, `[B]`, nats.
    pub error: Vec<f64>,
    /// `∫ q` on the grid, `[B]`: 1, unless q is narrower than the spacing or reaches beyond the grid.
    pub mass: Vec<f64>,
}

impl Evidence {
    /// The mean over rows of the error estimate, nats; of the divergence's as well where that is larger.
    pub fn mean_error(&self) -> f64 {
        let divergence = self.divergence.as_ref().map_or(0.0, |d| mean(&d.error));
        mean(&self.error).max(divergence)
    }
}

/// `log p(x)` of every row, where `decode` maps nodes `[G, Z]` to the prior and the parameters of `p(x|z)`.
///
/// # Errors
/// If sizes do not fit, a number is not finite, or `decode` fails.
pub fn log_evidence(
    x: Rows,
    q: Option<&Gaussians>,
    refinement: &Refinement,
    mut decode: impl FnMut(&[f64]) -> Result<Nodes>,
) -> Result<Evidence> {
    if let Some(at) = x.values.iter().position(|v| !v.is_finite()) {
        return Err(Error::Data(format!(
            "row {}, column {} is {}: expected a finite number",
            at / x.columns,
            at % x.columns,
            x.values[at]
        )));
    }
    let z = refinement.grid.latents();
    integrate(x.count(), q, refinement, |all, visit| {
        for at in all.chunks(DECODED * z) {
            let nodes = decode(at)?;
            if nodes.log_prior.len() * z != at.len() {
                return Err(Error::Data(format!(
                    "{} log priors at {} nodes: expected one each",
                    nodes.log_prior.len(),
                    at.len() / z
                )));
            }
            nodes::each_tile(x, at, &nodes, visit)?;
        }
        Ok(())
    })
}

/// `log p(x)` of every row, where `log_joint` writes `log p(x_b, z_g)` of a range of rows at nodes `[g, Z]` into
/// `[r, g]`.
///
/// # Errors
/// If a log joint is NaN or +∞, or `log_joint` fails.
pub fn log_evidence_by_row(
    rows: usize,
    q: Option<&Gaussians>,
    refinement: &Refinement,
    mut log_joint: impl FnMut(Range<usize>, &[f64], &mut [f64]) -> Result<()>,
) -> Result<Evidence> {
    let z = refinement.grid.latents();
    integrate(rows, q, refinement, |all, visit| {
        for nodes in all.chunks(BLOCK.1 * z) {
            for first_row in (0..rows).step_by(BLOCK.0) {
                let block = first_row..rows.min(first_row + BLOCK.0);
                let width = nodes.len() / z;
                let mut values = vec![f64::NAN; block.len() * width];
                log_joint(block, nodes, &mut values)?;
                if let Some(at) = values.iter().position(|v| v.is_nan() || *v == f64::INFINITY) {
                    return Err(Error::Data(format!(
                        "log p(x, z) of row {} at z = {:?} is {}: expected a number below infinity",
                        first_row + at / width,
                        &nodes[at % width * z..(at % width + 1) * z],
                        values[at]
                    )));
                }
                visit(Tile {
                    first_row,
                    nodes,
                    log_joint: &values,
                });
            }
        }
        Ok(())
    })
}

/// Refines until the estimates are within the tolerance. `tiles` visits all rows at all nodes `[G, Z]` it is given.
fn integrate(
    rows: usize,
    q: Option<&Gaussians>,
    refinement: &Refinement,
    mut tiles: impl FnMut(&[f64], &mut dyn FnMut(Tile)) -> Result<()>,
) -> Result<Evidence> {
    let mut grid = refinement.grid;
    let z = grid.latents();
    if let Some(q) = q {
        q.check(rows, z)?;
    }
    let mut evidence = LogSums::new(rows);
    let mut divergences = q.map(|q| Divergences::new(q, rows));
    let mut add = |nodes: &[f64], evidence: &mut LogSums, divergences: Option<&mut Divergences>| {
        let mut divergences = divergences;
        tiles(nodes, &mut |tile| {
            evidence.add(&tile, tile.nodes.len() / z);
            if let Some(divergences) = &mut divergences {
                divergences.add(&tile, z);
            }
        })
    };
    add(&grid.nodes(), &mut evidence, divergences.as_mut())?;
    let mut last = estimate(grid, &evidence, divergences.as_ref());
    loop {
        grid = grid.finer();
        add(&grid.added(), &mut evidence, divergences.as_mut())?;
        let mut next = estimate(grid, &evidence, divergences.as_ref());
        next.error = change(&last.log_evidence, &next.log_evidence);
        if let (Some(next), Some(last)) = (&mut next.divergence, &last.divergence) {
            next.error = change(&last.kl, &next.kl);
        }
        if next.mean_error() <= refinement.tolerance || grid.finer().points() > refinement.most_points {
            let mut edge = LogSums::new(rows);
            add(&grid.edge(), &mut edge, None)?;
            next.edge = edge
                .logs()
                .zip(evidence.logs())
                .map(|(edge, all)| (edge - all).exp())
                .collect();
            return Ok(next);
        }
        last = next;
    }
}

/// The results of one grid, without errors and edge.
fn estimate(grid: Grid, evidence: &LogSums, divergences: Option<&Divergences>) -> Evidence {
    let log_evidence: Vec<f64> = evidence.logs().map(|sum| sum + grid.log_cell()).collect();
    let cell = grid.log_cell().exp();
    let divergence = divergences.map(|d| Divergence {
        kl: d
            .sum
            .iter()
            .zip(&log_evidence)
            .map(|(sum, log)| cell * sum + log)
            .collect(),
        error: Vec::new(),
        mass: d.mass.iter().map(|mass| cell * mass).collect(),
    });
    Evidence {
        grid,
        log_evidence,
        error: Vec::new(),
        edge: Vec::new(),
        divergence,
    }
}

fn change(before: &[f64], after: &[f64]) -> Vec<f64> {
    let distance = |(a, b): (&f64, &f64)| if a == b { 0.0 } else { (a - b).abs() };
    before.iter().zip(after).map(distance).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}
