//! *posterior*: the true posterior p(z|x) of single points against the approximate posterior q(z|x), for differently trained
//! models with a latent of one dimension.
//!
//! The decoder maps the line of z to a curve in the plane. Where two distant parts of the curve meet, p(z|x) has two
//! modes, and a Gaussian q that minimises KL(q ‖ p(z|x)) covers one of them. Points are chosen by that divergence, by
//! the trapezoidal rule on a grid of spacing h: `KL = h Σ_g q(z_g) [log q(z_g) − log p(x, z_g)] + log p(x)`,
//! `p(x) = h Σ_g p(x, z_g)`.

use super::continuous::{Continuous, Place, limits, plane};
use super::shown::shown;
use super::{sentence_case, unexpected};
use crate::Result;
use crate::figure::axis::Axis;
use crate::figure::chart::{Dot, Panel, Stroke};
use crate::figure::layout::Figure;
use crate::figure::number::fixed;
use crate::figure::sheet::Anchor;
use crate::figure::theme::{BLACK, ColorMap, FAILED, MODEL, OBSERVED, WHITE};
use crate::math::log_sum_exp;
use crate::runner::{Experiment, summarize};

/// How far the grid of z reaches, and its spacing.
const REACH: f64 = 6.0;
const SPACING: f64 = 0.005;
/// How far z is drawn.
const DRAWN: f64 = 3.5;
/// Test points that are ranked by their divergence.
const RANKED: usize = 200;
/// The points shown: letter, description, and place in the ranking.
const SHOWN: [(&str, &str, f64); 3] = [
    ("a", "median", 0.5),
    ("b", "90th percentile", 0.9),
    ("c", "largest", 1.0),
];

/// Draws one row per variant: the decoder in the plane, then the posteriors of its points.
pub fn draw(experiment: &Experiment) -> Result<Figure> {
    let summary = summarize(experiment)?;
    let mut panels = Vec::new();
    for shown in shown(experiment, &summary)? {
        let trained = Continuous::of(&shown.run)?;
        if trained.dimensions != 1 {
            return Err(unexpected(
                "posterior",
                "`model.latent_dimensions = 1` in every variant",
            ));
        }
        panels.extend(row(&trained, &shown.variant.name)?);
    }
    Ok(Figure::new(&summary.question, 1 + SHOWN.len(), panels)
        .caption(format!(
            "Left: test points and the decoder's E[x|z] for z from −{DRAWN} (violet) to {DRAWN} (yellow). Right: the true \
             posterior p(z|x) (blue) and the approximate posterior q(z|x) (red) of three of {RANKED} test points: those with the \
             median, the 90th percentile and the largest of KL(q ‖ p(z|x)), in nats."
        ))
        .row_height(410.0))
}

/// One test point with its exact and its approximate posterior over the grid.
struct Ranked {
    at: Place,
    /// log p(z|x) and log q(z|x), nats. `[G]` each
    posterior: Vec<f64>,
    approximate: Vec<f64>,
    /// KL(q ‖ p(z|x)), nats.
    divergence: f64,
}

/// The nodes of the grid of z.
fn grid() -> Vec<f64> {
    let half = (REACH / SPACING).round() as i32;
    (-half..=half).map(|i| f64::from(i) * SPACING).collect()
}

/// Every point with its posterior, in the order of their divergence.
fn ranked(trained: &Continuous, grid: &[f64]) -> Result<Vec<Ranked>> {
    let points = trained.test_points(RANKED);
    let [joint, approximate] = trained.joint_and_approximate(&points, grid)?;
    let rows = joint.chunks_exact(grid.len()).zip(approximate.chunks_exact(grid.len()));
    let ranked_points = points.iter().zip(rows).map(|(at, (joint, approximate))| {
        let evidence = log_sum_exp(joint) + SPACING.ln();
        let posterior: Vec<f64> = joint.iter().map(|value| value - evidence).collect();
        Ranked {
            at: *at,
            divergence: divergence(approximate, &posterior),
            posterior,
            approximate: approximate.to_vec(),
        }
    });
    let mut ranked_points: Vec<Ranked> = ranked_points.collect();
    ranked_points.sort_by(|a, b| a.divergence.total_cmp(&b.divergence));
    Ok(ranked_points)
}

/// KL(q ‖ p) in nats of two log-densities on the grid.
fn divergence(log_q: &[f64], log_p: &[f64]) -> f64 {
    let terms = log_q.iter().zip(log_p).map(|(q, p)| match q.exp() {
        0.0 => 0.0,
        weight => weight * (q - p),
    });
    SPACING * terms.sum::<f64>()
}

fn row(trained: &Continuous, name: &str) -> Result<Vec<Panel>> {
    let grid = grid();
    let ranked_points = ranked(trained, &grid)?;
    let last = ranked_points.len().saturating_sub(1);
    let chosen =
        SHOWN.map(|(letter, what, rank)| (letter, what, &ranked_points[(rank * last as f64).round() as usize]));
    let mut panels = vec![line_of_z(
        trained,
        name,
        &chosen.map(|(letter, _, point)| (letter, point.at)),
    )?];
    for (letter, what, point) in chosen {
        let title = format!("{letter}, {what}: KL {}", fixed(point.divergence, 2));
        let mut panel = Panel::new(
            title,
            Axis::linear("z").limits(-DRAWN, DRAWN),
            Axis::linear("density of z"),
        );
        let drawn = |log_density: &[f64]| -> Vec<Place> {
            let inside = grid.iter().zip(log_density).filter(|(z, _)| z.abs() <= DRAWN);
            inside.map(|(z, value)| (*z, value.exp())).collect()
        };
        let (posterior, approximate) = (drawn(&point.posterior), drawn(&point.approximate));
        let area: Vec<_> = posterior.iter().map(|(z, value)| (*z, 0.0, *value)).collect();
        panel
            .band(&area, MODEL.alpha(0.3))
            .line(&posterior, Stroke::solid(MODEL).width(3.0))
            .line(&approximate, Stroke::solid(FAILED).width(3.0));
        panels.push(panel);
    }
    Ok(panels)
}

/// The line of z in the plane, and where the shown points lie.
fn line_of_z(trained: &Continuous, name: &str, shown: &[(&str, Place)]) -> Result<Panel> {
    let points = trained.test_points(500);
    let mut panel = plane(sentence_case(name), limits(points.iter()));
    panel.points(&points, Dot::new(OBSERVED.alpha(0.5)).radius(3.0));
    let latents: Vec<f64> = (0..=140).map(|i| DRAWN * (f64::from(i) / 70.0 - 1.0)).collect();
    let line = trained.decoded(&latents)?;
    for (i, part) in line.windows(2).enumerate() {
        let color = ColorMap::Viridis.at(i as f64 / 139.0);
        panel.line(part, Stroke::solid(color).width(5.0));
    }
    // Neighbours on the ring are labelled on opposite sides of it.
    for ((letter, at), away) in shown.iter().zip([0.72, 0.72, 1.25]) {
        panel
            .points(&[*at], Dot::new(WHITE).radius(9.0))
            .points(&[*at], Dot::new(BLACK).radius(6.5))
            .text((at.0 * away, at.1 * away), *letter, Anchor::Middle, BLACK);
    }
    Ok(panel)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// KL(N(m, s²) ‖ N(0, 1)) = (s² + m² − 1)/2 − log s.
    #[test]
    fn the_divergence_of_gaussians_is_that_of_the_closed_form() {
        let normal = |m: f64, s: f64| -> Vec<f64> {
            let constant = 0.5 * std::f64::consts::TAU.ln() + s.ln();
            grid().iter().map(|z| -0.5 * ((z - m) / s).powi(2) - constant).collect()
        };
        for (m, s) in [(0.0f64, 1.0f64), (0.7, 0.3), (-1.2, 0.05)] {
            let closed = 0.5 * (s * s + m * m - 1.0) - s.ln();
            assert!(
                (divergence(&normal(m, s), &normal(0.0, 1.0)) - closed).abs() < 1e-6,
                "{m} {s}"
            );
        }
    }
}
