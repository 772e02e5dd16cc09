//! *clusters*: one Gaussian against a mixture `p(x) = Σ_z p(z) N(x; μ_z, Σ_z)` on the same points.
//!
//! Points are coloured by the responsibilities `p(z|x)`.

use super::plane::{Gaussian, Plane, colors, panels};
use super::shown::{Shown, log_likelihood, shown, what_nats_are};
use crate::Result;
use crate::figure::axis::Axis;
use crate::figure::chart::Panel;
use crate::figure::layout::Figure;
use crate::figure::number::fixed;
use crate::figure::sheet::Anchor;
use crate::runner::{Experiment, summarize};

/// Draws one panel per variant.
pub fn draw(experiment: &Experiment) -> Result<Figure> {
    let summary = summarize(experiment)?;
    let shown = shown(experiment, &summary)?;
    let panels = panels(&shown, panel)?;
    let caption = format!(
        "Training points of one seed, coloured by p(z|x); ellipses at 1 and 2 standard deviations, dashed: the \
         generator's own. Numbers: {}.",
        what_nats_are(&summary)
    );
    Ok(Figure::new(&experiment.loaded.question, 2, panels)
        .caption(caption)
        .row_height(700.0))
}

fn panel(shown: &Shown, plane: &Plane, truth: &[Gaussian], axes: [Axis; 2]) -> Panel {
    let title = format!("{}: {}", shown.variant.name, log_likelihood(shown.variant));
    let fitted = plane.gaussians();
    let colors = colors(fitted.len());
    let mut panel = plane.panel(title, truth, &colors, axes);
    if fitted.len() > 1 {
        for ((gaussian, partner), color) in fitted.iter().zip(nearest(&fitted, truth)).zip(&colors) {
            let own = partner.map_or(String::new(), |truth| format!(" (true {})", fixed(truth.weight, 2)));
            let text = format!("p(z) = {}{own}", fixed(gaussian.weight, 2));
            // Above nearly all of its points.
            let above = gaussian.mean[1] + 3.1 * gaussian.covariance[1][1].sqrt();
            panel.text((gaussian.mean[0], above), text, Anchor::Middle, *color);
        }
    }
    panel
}

/// Matches each fitted Gaussian to one of the generator's, nearest pairs first, if both have equally many.
fn nearest<'a>(fitted: &[Gaussian], truth: &'a [Gaussian]) -> Vec<Option<&'a Gaussian>> {
    let mut partners = vec![None; fitted.len()];
    if fitted.len() != truth.len() {
        return partners;
    }
    let distance = |a: &Gaussian, b: &Gaussian| (a.mean[0] - b.mean[0]).hypot(a.mean[1] - b.mean[1]);
    let mut pairs: Vec<(usize, usize)> = (0..fitted.len())
        .flat_map(|k| (0..truth.len()).map(move |t| (k, t)))
        .collect();
    pairs.sort_by(|a, b| distance(&fitted[a.0], &truth[a.1]).total_cmp(&distance(&fitted[b.0], &truth[b.1])));
    let mut taken = vec![false; truth.len()];
    for (k, t) in pairs {
        if partners[k].is_none() && !taken[t] {
            (partners[k], taken[t]) = (Some(&truth[t]), true);
        }
    }
    partners
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_component_finds_its_own_partner() {
        let at = |x: f64, weight: f64| Gaussian {
            weight,
            mean: [x, 0.0],
            covariance: [[1.0, 0.0], [0.0, 1.0]],
        };
        // Both fitted Gaussians are nearest to the true one at 1. The nearer of the two is matched to it.
        let truth = [at(1.0, 0.7), at(5.0, 0.3)];
        let weights = |fitted: &[Gaussian]| -> Vec<Option<f64>> {
            nearest(fitted, &truth)
                .iter()
                .map(|partner| partner.map(|truth| truth.weight))
                .collect()
        };
        assert_eq!(weights(&[at(2.0, 0.5), at(1.1, 0.5)]), [Some(0.3), Some(0.7)]);
        assert_eq!(weights(&[at(2.0, 1.0)]), [None]);
    }
}
