//! *bounds*: the importance-weighted bound against its number of samples S, at trained models, and log p(x) itself.
//!
//! `L_S = E[log 1/S Σ_s w_s]`, `w_s = p(x, z_s) / q(z_s)`, rises with S to log p(x) (Burda, Grosse & Salakhutdinov
//! 2016, theorem 1), and rises faster if the proposal q is closer to p(z|x). The gap falls like 1/S if w has a finite
//! variance. All S reuse one set of draws, cut into disjoint groups. Every group of 2S consists of two groups of S, so
//! by Jensen's inequality the estimates themselves rise with S, not only their means.

use super::continuous::Continuous;
use super::shown::shown;
use crate::Result;
use crate::figure::axis::Axis;
use crate::figure::chart::{Dot, Panel, Stroke};
use crate::figure::layout::Figure;
use crate::figure::theme::{Color, FAILED, MODEL};
use crate::posterior::PosteriorConfig;
use crate::posterior::importance::{Importance, Proposal};
use crate::runner::{Experiment, summarize};
use crate::stats::mean;

/// Draws per point, a power of two.
const DRAWS: usize = 1024;
/// Test points.
const POINTS: usize = 1000;
/// How far below log p(x) the linear axis reaches, nats.
const DEPTH: f64 = 0.5;

/// The bound at S = 1, 2, 4, …, [`DRAWS`], in nats per datum: (S, L_S).
type Bound = Vec<(f64, f64)>;

/// The bounds by samples of one proposal.
struct Bounds {
    name: &'static str,
    color: Color,
    /// One bound per seed.
    seeds: Vec<Bound>,
}

impl Bounds {
    fn new(name: &'static str, color: Color) -> Self {
        Self {
            name,
            color,
            seeds: Vec::new(),
        }
    }

    /// The mean over seeds.
    fn mean(&self) -> Bound {
        let at = |i: usize| -> Vec<f64> { self.seeds.iter().map(|bound| bound[i].1).collect() };
        let steps = self.seeds.first().map_or(0, Vec::len);
        (0..steps).map(|i| (self.seeds[0][i].0, mean(&at(i)))).collect()
    }
}

/// Draws one row per variant: the bounds, and their gaps.
pub fn draw(experiment: &Experiment) -> Result<Figure> {
    let summary = summarize(experiment)?;
    let mut panels = Vec::new();
    let mut seeds = 0;
    for shown in shown(experiment, &summary)? {
        let from_prior = PosteriorConfig::new(Importance {
            proposal: Proposal::Prior,
            ..Importance::default()
        })?;
        let mut proposals = [
            Bounds::new("samples of q(z|x)", MODEL),
            Bounds::new("samples of p(z)", FAILED),
        ];
        let mut exact = Vec::new();
        for run in &shown.runs {
            let trained = Continuous::of(run)?;
            let points = trained.test_points(POINTS);
            exact.push(mean(&trained.log_prob(&points)?));
            for (bounds, proposal) in proposals.iter_mut().zip([&trained.posterior, &from_prior]) {
                let generator = &mut trained.run.streams.named("figure/bounds").at(0);
                let log_weights = trained.log_weights(proposal, &points, DRAWS, generator)?;
                bounds.seeds.push(bound(&log_weights));
            }
        }
        seeds = seeds.max(exact.len());
        let title = |what| format!("{what}, trained by {}", shown.variant.name);
        panels.push(values(title("Bounds"), &exact, &proposals));
        panels.push(gaps(title("Gaps"), &exact, &proposals));
    }
    Ok(Figure::new(&summary.question, 2, panels)
        .caption(format!(
            "The importance-weighted bound of {POINTS} test points from S samples of q(z|x) (blue) or of p(z) (red): mean over \
             {seeds} seeds (thick) and every seed (thin). At S = 1 it is the evidence lower bound. Dashed: log p(x), by \
             quadrature. Dotted: gaps that fall as 1/S."
        ))
        .row_height(560.0))
}

/// The mean over points of `log 1/S Σ_s w_s`, over all disjoint groups of S neighbours. `log_weights`: `[B, DRAWS]`
fn bound(log_weights: &[f64]) -> Bound {
    // Halved at every step: the logarithm of the mean weight of each group.
    let mut groups = log_weights.to_vec();
    let mut bound = vec![(1.0, mean(&groups))];
    while bound.len() <= DRAWS.ilog2() as usize {
        let both = groups.chunks_exact(2).map(|pair| {
            let (high, low) = (pair[0].max(pair[1]), pair[0].min(pair[1]));
            high + (low - high).exp().ln_1p() - std::f64::consts::LN_2
        });
        groups = both.collect();
        bound.push((f64::from(1 << bound.len()), mean(&groups)));
    }
    bound
}

fn samples_axis() -> Axis {
    Axis::log("samples S").limits(0.8, 1.25 * DRAWS as f64)
}

/// The bounds near log p(x), `exact` for every seed.
fn values(title: String, exact: &[f64], proposals: &[Bounds]) -> Panel {
    let exact = mean(exact);
    let y = Axis::linear("nats per datum").limits(exact - DEPTH, exact + 0.1 * DEPTH);
    let mut panel = Panel::new(title, samples_axis(), y);
    panel.reference(exact, "log p(x)", Stroke::oracle());
    for proposal in proposals {
        for bound in proposal.seeds.iter().filter(|_| proposal.seeds.len() > 1) {
            panel.line(bound, Stroke::solid(proposal.color.alpha(0.4)).width(1.5));
        }
        let bound = proposal.mean();
        panel.line(&bound, Stroke::solid(proposal.color));
        let inside: Vec<_> = bound.iter().copied().filter(|p| p.1 > exact - DEPTH).collect();
        panel.points(&inside, Dot::new(proposal.color).radius(7.0));
    }
    panel
}

/// The gaps log p(x) − bound on logarithmic axes. Gaps that are negative by chance are left out.
fn gaps(title: String, exact: &[f64], proposals: &[Bounds]) -> Panel {
    let mut panel = Panel::new(title, samples_axis(), Axis::log("log p(x) − bound (nats)"));
    let positive = |exact: f64, bound: &Bound| -> Bound {
        let gap = bound.iter().map(|(s, value)| (*s, exact - value));
        gap.filter(|point| point.1 > 0.0).collect()
    };
    for (number, proposal) in proposals.iter().enumerate() {
        for (bound, exact) in proposal.seeds.iter().zip(exact).filter(|_| exact.len() > 1) {
            panel.line(
                &positive(*exact, bound),
                Stroke::solid(proposal.color.alpha(0.4)).width(1.5),
            );
        }
        let gap = positive(mean(exact), &proposal.mean());
        if let Some((s, last)) = gap.last() {
            let slope: Bound = [1.0, *s].map(|at| (at, last * s / at)).to_vec();
            panel.line(&slope, Stroke::baseline().width(2.0));
            if number == 0 {
                panel.line_label(*last, "proportional to 1/S", Stroke::baseline().width(2.0));
            }
        }
        panel.points(&gap, Dot::new(proposal.color).radius(7.0));
        panel.named_line(proposal.name, &gap, Stroke::solid(proposal.color));
    }
    panel
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With equal weights every bound is their logarithm. Otherwise the bounds rise to the logarithm of the mean.
    #[test]
    fn bounds_rise_from_the_mean_logarithm_to_the_logarithm_of_the_mean() {
        assert!(
            bound(&[-3.0; 2 * DRAWS])
                .iter()
                .all(|(_, value)| (value + 3.0).abs() < 1e-12)
        );
        let logs: Vec<f64> = (0..DRAWS).map(|i| (i as f64 * 0.37).sin() * 3.0).collect();
        let bounds = bound(&logs);
        assert_eq!(bounds[0].1, mean(&logs));
        assert!(bounds.windows(2).all(|pair| pair[0].1 <= pair[1].1 + 1e-12));
        let weights: Vec<f64> = logs.iter().map(|log| log.exp()).collect();
        let (samples, last) = *bounds.last().unwrap();
        assert_eq!(samples, DRAWS as f64);
        assert!((last - mean(&weights).ln()).abs() < 1e-12);
    }
}
