//! *density*: points of the plane and the maximum-likelihood Gaussian `p(x) = N(x; μ, Σ)`.
//!
//! One variant has few points, another has many points of the same generator. The fit to few points differs from the
//! generator's Gaussian. On fresh points its log-likelihood is lower by `P/(2N)` nats for P free parameters and large
//! N.

use super::plane::{DEVIATIONS, Gaussian, Plane, draw_truth, panels};
use super::shown::{Shown, log_likelihood, shown, what_nats_are};
use crate::Result;
use crate::figure::axis::Axis;
use crate::figure::chart::{Dot, Panel};
use crate::figure::layout::Figure;
use crate::figure::sheet::Anchor;
use crate::figure::theme::{Color, ColorMap, MODEL, OBSERVED, ORACLE};
use crate::runner::{Experiment, summarize};
use std::f64::consts::TAU;

/// Draws one panel per variant.
pub fn draw(experiment: &Experiment) -> Result<Figure> {
    let summary = summarize(experiment)?;
    let shown = shown(experiment, &summary)?;
    let panels = panels(&shown, panel)?;
    let caption = format!(
        "Orange: training points of one seed. Blue: density of the fitted Gaussian, its ellipses at 1 and 2 standard \
         deviations. Dashed: the generator's own. Numbers: {}.",
        what_nats_are(&summary)
    );
    Ok(Figure::new(&experiment.loaded.question, 2, panels)
        .caption(caption)
        .row_height(640.0))
}

fn panel(shown: &Shown, plane: &Plane, truth: &[Gaussian], [x, y]: [Axis; 2]) -> Panel {
    let title = format!("{}: {}", shown.variant.name, log_likelihood(shown.variant));
    let mut panel = Panel::new(title, x, y).equal_units();
    let fitted = plane.gaussians();
    for gaussian in &fitted {
        // Beyond three standard deviations the density is invisible.
        let range = |i: usize| {
            let reach = 3.0 * gaussian.covariance[i][i].sqrt();
            (gaussian.mean[i] - reach, gaussian.mean[i] + reach)
        };
        let density = |x, y| plane.density([x, y]);
        panel.heat(density, range(0), range(1), (120, 120), ColorMap::Density);
    }
    let points: Vec<_> = plane.points.iter().map(|x| (x[0], x[1])).collect();
    panel.points(&points, Dot::new(OBSERVED.alpha(0.75)));
    for gaussian in &fitted {
        panel.gaussian(gaussian.mean, gaussian.covariance, &DEVIATIONS, MODEL);
    }
    draw_truth(&mut panel, truth);
    if let ([fitted], [truth]) = (&fitted[..], truth) {
        name(&mut panel, "fitted", fitted, truth, MODEL);
        name(&mut panel, "true", truth, fitted, ORACLE);
    }
    panel
}

/// Labels the outer ellipse of `gaussian` at its point furthest outside `other`'s.
fn name(panel: &mut Panel, text: &str, gaussian: &Gaussian, other: &Gaussian, color: Color) {
    let angles = (0..180).map(|i| f64::from(i) * TAU / 180.0);
    let outside = |angle: &f64| other.deviations_to(gaussian.at(DEVIATIONS[1], *angle));
    let Some(angle) = angles.max_by(|a, b| outside(a).total_cmp(&outside(b))) else {
        return;
    };
    let ([x, y], [u, v]) = (
        gaussian.at(DEVIATIONS[1], angle),
        gaussian.outwards(gaussian.at(DEVIATIONS[1], angle)),
    );
    let away = 0.15 * (gaussian.covariance[0][0] + gaussian.covariance[1][1]).sqrt();
    let anchor = if u < 0.0 { Anchor::End } else { Anchor::Start };
    panel.text((x + away * u, y + away * v), text, anchor, color);
}
