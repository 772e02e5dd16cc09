//! *latent*: how a simple p(z) and a simple p(x|z) make a complicated `p(x) = ∫ p(x|z) p(z) dz`.
//!
//! Samples of z are coloured by position. They keep their colour at the decoder's E[x|z] and at a sample of p(x|z).
//! Contours hold 50 % and 90 % of the mass: they lie at the density that this share of samples exceeds.

use super::continuous::{Continuous, Limits, Place, limits, plane};
use super::shown::{log_likelihood, shown, what_nats_are};
use super::unexpected;
use crate::Result;
use crate::figure::axis::Axis;
use crate::figure::chart::{Dot, Panel, Stroke};
use crate::figure::layout::Figure;
use crate::figure::theme::{BLACK, Color, MODEL, OBSERVED, VARIANTS, mix};
use crate::runner::{Experiment, summarize};

/// Numbers of samples of z and of data points.
const POINTS: usize = 2000;
/// How far p(z) and the lines of its grid are drawn.
const REACH: f64 = 3.2;
/// Cells of the grid on which p(x) is drawn.
const CELLS: (usize, usize) = (90, 90);
/// Shares of the mass within the contours.
const SHARES: [f64; 2] = [0.5, 0.9];

/// Draws the first variant.
pub fn draw(experiment: &Experiment) -> Result<Figure> {
    let summary = summarize(experiment)?;
    let shown = shown(experiment, &summary)?;
    let first = shown.first().ok_or_else(|| unexpected("latent", "a variant"))?;
    let trained = Continuous::of(&first.run)?;
    if trained.dimensions != 2 {
        return Err(unexpected("latent", "`model.latent_dimensions = 2`"));
    }
    let generator = &mut trained.run.streams.named("figure/samples").at(0);
    let (z, samples) = trained.samples(POINTS, generator)?;
    let colors: Vec<Color> = z.chunks_exact(2).map(color).collect();
    let data = trained.test_points(POINTS);
    let limits = limits(data.iter().chain(&samples));
    let places: Vec<Place> = z.chunks_exact(2).map(|z| (z[0], z[1])).collect();
    let [z1, z2] = ["z₁", "z₂"].map(|name| Axis::linear(name).limits(-REACH, REACH));

    let mut prior = Panel::new("p(z): simple", z1, z2).equal_units();
    scatter(&mut prior, &places, &colors);
    let mut decoder = plane("E[x|z]: decoded by the network", limits);
    scatter(&mut decoder, &trained.decoded(&z)?, &colors);
    for line in grid_lines() {
        let latents: Vec<f64> = line.iter().flat_map(|z| [z.0, z.1]).collect();
        let thin = Stroke::solid(BLACK.alpha(0.45)).width(1.5);
        prior.line(&line, thin);
        decoder.line(&trained.decoded(&latents)?, thin);
    }
    let title = format!("p(x): {}", log_likelihood(first.variant));
    let mut model = plane(title, limits);
    scatter(&mut model, &samples, &colors);
    let mut observed = plane("The data, and their true density", limits);
    observed.points(&data, Dot::new(OBSERVED.alpha(0.7)).radius(4.0));
    contours(
        &mut model,
        |points| trained.log_prob(points),
        &samples,
        limits,
        Stroke::solid(MODEL).width(3.0),
    )?;
    let truth = |points: &[Place]| -> Result<Vec<f64>> {
        Ok(points
            .iter()
            .map(|x| trained.true_log_prob(*x).unwrap_or(f64::NAN))
            .collect())
    };
    contours(&mut observed, truth, &data, limits, Stroke::oracle())?;
    Ok(Figure::new(&summary.question, 2, vec![prior, decoder, model, observed])
        .caption(format!(
            "A point of p(z), E[x|z] or p(x) has the colour of its z. Contours hold 50 % and 90 % of p(x), \
             and, dashed, of the generator's own density. Number: {}.",
            what_nats_are(&summary)
        ))
        .row_height(620.0))
}

/// A colour for every place of the latent plane: a mixture of four corner colours, weighted by the mass of p(z) on
/// either side.
fn color(z: &[f64]) -> Color {
    // The logistic function of 1.702 z is the normal distribution function to a hundredth (Johnson & Kotz 1970).
    let below = |z: f64| 1.0 / (1.0 + (-1.702 * z).exp());
    let (u, v) = (below(z[0]), below(z[1]));
    let corners = [VARIANTS[0], VARIANTS[1], VARIANTS[2], VARIANTS[4]];
    mix(&corners, &[(1.0 - u) * (1.0 - v), u * (1.0 - v), (1.0 - u) * v, u * v])
}

/// Lines of constant z₁ and of constant z₂.
fn grid_lines() -> Vec<Vec<Place>> {
    let along = || (0..=120).map(|i| REACH * (f64::from(i) / 60.0 - 1.0));
    (-3..=3)
        .map(f64::from)
        .flat_map(|at| [along().map(|t| (at, t)).collect(), along().map(|t| (t, at)).collect()])
        .collect()
}

fn scatter(panel: &mut Panel, places: &[Place], colors: &[Color]) {
    let points: Vec<_> = places
        .iter()
        .zip(colors)
        .map(|(at, color)| (*at, color.alpha(0.7)))
        .collect();
    panel.colored_points(&points, 4.0);
}

/// The level curves of the log-density that hold [`SHARES`] of `draws`.
fn contours(
    panel: &mut Panel,
    log_density: impl Fn(&[Place]) -> Result<Vec<f64>>,
    draws: &[Place],
    [x, y]: Limits,
    stroke: Stroke,
) -> Result<()> {
    let (columns, rows) = CELLS;
    let along = |(from, to): (f64, f64), i: usize, n: usize| from + (to - from) * i as f64 / n as f64;
    let nodes: Vec<Place> = (0..(rows + 1) * (columns + 1))
        .map(|i| (along(x, i % (columns + 1), columns), along(y, i / (columns + 1), rows)))
        .collect();
    let values = log_density(&nodes)?;
    let number = |(from, to): (f64, f64), at: f64, n: usize| ((at - from) / (to - from) * n as f64).round() as usize;
    let at_node = |px, py| values[number(y, py, rows) * (columns + 1) + number(x, px, columns)];
    let mut own = log_density(draws)?;
    own.sort_by(f64::total_cmp);
    for share in SHARES {
        let below = ((1.0 - share) * own.len() as f64) as usize;
        if let Some(level) = own.get(below) {
            panel.contour(at_node, x, y, CELLS, *level, stroke);
        }
    }
    Ok(())
}
