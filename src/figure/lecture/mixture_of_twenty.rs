//! The error of the weights of twenty Gaussians by kind of approximate posterior, against the number of data seen (Le, Kosiorek,
//! Siddharth, Teh & Wood 2019, "Revisiting reweighted wake-sleep", section 4.2).
//!
//! The floor is the error of maximum likelihood, √(tr I⁻¹/n), with I the Fisher information of the true weights,
//! `I = E[g gᵀ]`, `g_z = p(x|z)/p(x)` with the weights summing to 1. Here n counts *different* rows, so the floor stays
//! constant once all rows have been seen.

use super::unexpected;
use crate::Result;
use crate::figure::axis::Axis;
use crate::figure::chart::{Panel, Stroke};
use crate::figure::curves::Curve;
use crate::figure::experiment::{curve, interval};
use crate::figure::layout::Figure;
use crate::figure::theme::{BLACK, Color, ColorMap, Dash, FAILED};
use crate::model::gaussian_mixture::GaussianMixture;
use crate::posterior::Phase;
use crate::runner::{Experiment, summarize};
use crate::spec::Spec;
use crate::stats::mean;
use latent_lab_envs::{Generator, MixtureOfTwenty};
use nalgebra::{DMatrix, DVector};

const METRIC: &str = "prior_error";
/// Grid points in the sum for the Fisher information.
const GRID: usize = 20_001;

/// One variant and the style of its line.
struct Shown {
    kind: Kind,
    /// Its line's name and colour.
    name: String,
    stroke: Stroke,
    /// Data seen, and the error of every seed.
    rows: Vec<(f64, Vec<f64>)>,
}

/// The panel that a variant belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The exact posterior: drawn in every panel but the last.
    Exact,
    True,
    Reweighted,
    WakeSleep,
    FromEqualWeights,
}

/// Draws the figure from finished runs.
pub fn draw(experiment: &Experiment) -> Result<Figure> {
    let wrong = || {
        unexpected(
            "mixture_of_twenty",
            "data of `mixture_of_twenty`, Adam, and finished runs of exact, sampled, amortised and importance posteriors",
        )
    };
    let summary = summarize(experiment)?;
    let specs = experiment.loaded.variants.iter().map(|variant| &variant.spec);
    let mut all = Vec::new();
    for (spec, variant) in specs.clone().zip(&summary.variants) {
        all.push(shown(spec, &curve(variant, METRIC)).ok_or_else(wrong)?);
    }
    let first = specs.clone().next().ok_or_else(wrong)?;
    let Some(generator) = first.data.source.get::<MixtureOfTwenty>() else {
        return Err(wrong());
    };
    let seen = all.iter().flat_map(|shown| shown.rows.iter().map(|(seen, _)| *seen));
    let (least, most) = crate::figure::window::range(seen).ok_or_else(wrong)?;
    let distinct = first.data.train.unwrap_or(1000) as f64;
    let constant = constant(&generator);
    let floor: Vec<(f64, f64)> = [least, distinct.clamp(least, most), most]
        .map(|seen| (seen, constant / seen.min(distinct).sqrt()))
        .to_vec();
    let panels = [
        (Kind::True, "From the true posterior"),
        (Kind::Reweighted, "Reweighted wake-sleep"),
        (Kind::WakeSleep, "Wake-sleep"),
        (Kind::FromEqualWeights, "Wake-sleep from equal weights"),
    ]
    .map(|(kind, title)| {
        let mut panel = Panel::new(title, Axis::log("").limits(least, most), Axis::log(""));
        // The same height for all.
        panel
            .include(None, Some(1.0))
            .include(None, Some(0.6 * constant / distinct.sqrt()));
        let exact = |shown: &&Shown| shown.kind == Kind::Exact && kind != Kind::FromEqualWeights;
        let own = |shown: &&Shown| shown.kind == kind;
        for shown in all.iter().filter(|shown| exact(shown) || own(shown)) {
            draw_curve(&mut panel, shown);
        }
        panel.named_line("floor", &floor, Stroke::oracle());
        panel
    });
    Ok(Figure::new(&summary.question, 2, panels.to_vec())
        .caption(format!(
            "Distance of p(z) from the truth, mean over {} seeds with 95 % intervals, with S samples per datum. Floor: the error \
             of maximum likelihood, {constant:.3}/√n, n the different rows seen, of which there are {}.",
            experiment.loaded.seeds.len(),
            crate::figure::number(distinct)
        ))
        .shared_labels("data seen", "error of p(z), ‖p − p true‖")
        .row_height(520.0))
}

/// How a variant is shown, by its spec; none if it is not part of this figure.
fn shown(spec: &Spec, curve: &Curve) -> Option<Shown> {
    let adam = spec.training.adam()?;
    let sampled_look = |kind: Kind, samples: usize| {
        // From 1 to 20 on a logarithmic scale.
        let place = ((samples as f64).ln() / 20f64.ln()).min(1.0);
        let stroke = Stroke::solid(ColorMap::Viridis.at(0.9 - 0.9 * place));
        (kind, format!("S = {samples}"), stroke)
    };
    let mixture: GaussianMixture = spec.model.get()?;
    let equal = |logits: &Vec<f64>| logits.windows(2).all(|pair| pair[0] == pair[1]);
    let equal_weights = mixture.logits.as_ref().is_none_or(equal);
    let facts = spec.posterior.facts();
    let (kind, name, stroke) = match spec.posterior.network() {
        Some(network) if network.phase == Phase::Wake => sampled_look(Kind::Reweighted, facts.samples?),
        Some(_) if equal_weights => sampled_look(Kind::FromEqualWeights, facts.samples?),
        Some(_) => sampled_look(Kind::WakeSleep, facts.samples?),
        None if facts.is_exact => (Kind::Exact, "exact".to_owned(), line(BLACK)),
        None if facts.is_drawn => sampled_look(Kind::True, facts.samples?),
        None => (Kind::True, "hard".to_owned(), line(FAILED).dash(Dash::DashDot)),
    };
    let values = |i: usize| curve.values.iter().map(|seed| seed[i]).collect::<Vec<f64>>();
    let steps = curve.steps.iter().enumerate().filter(|(_, step)| **step > 0.0);
    let rows: Vec<_> = steps
        .map(|(i, step)| (step * adam.batch_size as f64, values(i)))
        .collect();
    (!curve.values.is_empty() && !rows.is_empty()).then_some(Shown {
        kind,
        name,
        stroke,
        rows,
    })
}

fn line(color: Color) -> Stroke {
    Stroke::solid(color).width(3.0)
}

/// Mean and interval over seeds.
fn draw_curve(panel: &mut Panel, shown: &Shown) {
    let band = shown.rows.iter().filter_map(|(seen, values)| {
        let (low, high) = interval(values)?;
        Some((*seen, low, high))
    });
    let line: Vec<_> = shown.rows.iter().map(|(seen, values)| (*seen, mean(values))).collect();
    panel
        .band(&band.collect::<Vec<_>>(), shown.stroke.color.alpha(0.2))
        .named_line(&shown.name, &line, shown.stroke);
}

/// √(tr I⁻¹): the error of maximum likelihood from one datum, in the limit of many.
fn constant(generator: &MixtureOfTwenty) -> f64 {
    const FREE: usize = MixtureOfTwenty::COMPONENTS - 1;
    let Some(grid) = generator.population(GRID) else {
        return f64::NAN;
    };
    let total: f64 = grid.weights.iter().sum();
    let log_normal = |x: f64, z: usize| -0.5 * ((x - generator.spacing * z as f64) / generator.deviation).powi(2);
    let prior = MixtureOfTwenty::prior();
    let mut information = DMatrix::<f64>::zeros(FREE, FREE);
    for (x, weight) in grid.observed.iter().zip(&grid.weights) {
        // Far from all means the densities underflow, but their ratios do not.
        let logs: Vec<f64> = (0..=FREE).map(|z| log_normal(*x, z)).collect();
        let largest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let densities: Vec<f64> = logs.iter().map(|log| (log - largest).exp()).collect();
        let density: f64 = densities.iter().zip(prior).map(|(density, p)| density * p).sum();
        // The last weight is 1 minus the others.
        let g = DVector::from_fn(FREE, |z, _| (densities[z] - densities[FREE]) / density);
        information.ger(weight / total, &g, &g, 1.0);
    }
    information
        .try_inverse()
        .map_or(f64::NAN, |covariance| (covariance.trace() + covariance.sum()).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The noise floor is the published one and does not depend on the unit of x.
    #[test]
    fn the_floor_is_fishers() {
        let usual = constant(&MixtureOfTwenty::default());
        assert!((usual - 1.535).abs() < 5e-4, "{usual}");
        let smaller = MixtureOfTwenty {
            spacing: 0.2,
            deviation: 0.1,
        };
        assert!((constant(&smaller) - usual).abs() < 1e-9);
    }

    /// Without overlap the estimates are relative frequencies, whose error is √(Σ p (1 − p) / n).
    #[test]
    fn without_overlap_the_floor_is_that_of_frequencies() {
        let apart = MixtureOfTwenty {
            spacing: 100.0,
            deviation: 1.0,
        };
        let p = MixtureOfTwenty::prior();
        let exact = p.iter().map(|p| p * (1.0 - p)).sum::<f64>().sqrt();
        assert!((constant(&apart) - exact).abs() < 1e-3, "{} {exact}", constant(&apart));
    }
}
