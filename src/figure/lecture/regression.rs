//! *regression*: a line with Gaussian noise, `p(y|x) = N(y; w x + b, σ²)`, is a density of y for every x.
//!
//! Left: the points, the line of means, and the band that holds 95 % of y. Right: `p(y|x)` at three x, on the same
//! vertical axis. Dashed: the generator's own.

use super::shown::{Shown, log_likelihood, shown, what_nats_are};
use crate::data::{Source, Table};
use crate::figure::axis::Axis;
use crate::figure::chart::{Dot, Panel, Stroke};
use crate::figure::layout::Figure;
use crate::figure::number::number;
use crate::figure::sheet::Anchor;
use crate::figure::theme::{Color, MODEL, OBSERVED, ORACLE, VARIANTS};
use crate::figure::window::range;
use crate::runner::{Experiment, Reloaded, reload, summarize};
use crate::{Error, Result};
use latent_lab_envs::LinearGaussian;

/// The 97.5 % quantile of a Gaussian, in standard deviations.
const HALF_BAND: f64 = 1.959964;
/// Where the cuts are, as shares of the range of x.
const CUTS: [f64; 3] = [0.1, 0.5, 0.9];
const CUT_COLORS: [Color; 3] = [VARIANTS[1], VARIANTS[2], VARIANTS[3]];

/// `p(y|x)`: mean and standard deviation at some x, in the data's units.
#[derive(Debug, Clone, Copy)]
struct Normal {
    x: f64,
    mean: f64,
    deviation: f64,
}

impl Normal {
    fn density(&self, y: f64) -> f64 {
        let u = (y - self.mean) / self.deviation;
        (-0.5 * u * u).exp() / (self.deviation * std::f64::consts::TAU.sqrt())
    }

    fn at(&self, deviations: f64) -> f64 {
        self.mean + deviations * self.deviation
    }

    /// The density drawn sideways: (p(y|x), y).
    fn curve(&self) -> Vec<(f64, f64)> {
        let steps = (-150..=150).map(|i| self.at(f64::from(i) / 50.0));
        steps.map(|y| (self.density(y), y)).collect()
    }
}

/// Draws the two panels of the first variant.
pub fn draw(experiment: &Experiment) -> Result<Figure> {
    let summary = summarize(experiment)?;
    let shown = shown(experiment, &summary)?;
    let Some(Shown { run, variant, .. }) = shown.first() else {
        return Err(Error::Data("no variant to draw: expected at least one".into()));
    };
    let loaded = reload(run)?;
    let points = points(&loaded)?;
    let (from, to) = range(points.iter().map(|p| p.0)).unwrap_or((0.0, 1.0));
    let room = 0.04 * (to - from);
    let places: Vec<f64> = (0..=60)
        .map(|i| from - room + (to - from + 2.0 * room) * f64::from(i) / 60.0)
        .collect();
    let cuts = CUTS.map(|cut| short(from + cut * (to - from), to - from));
    let fitted = |places: &[f64]| fitted(&loaded, places);
    let truth = |places: &[f64]| truth(&run.spec.data.source, places);
    let (line, true_line) = (fitted(&places)?, truth(&places));
    let (at_cuts, true_at_cuts) = (fitted(&cuts)?, truth(&cuts));
    // One vertical axis for both panels.
    let edges = at_cuts
        .iter()
        .chain(&line)
        .flat_map(|normal| [normal.at(-3.0), normal.at(3.0)]);
    let (low, high) = range(points.iter().map(|p| p.1).chain(edges)).unwrap_or((0.0, 1.0));
    let vertical = || Axis::linear("y").limits(low, high);

    let title = format!("{} points, line and 95 % band", points.len());
    let mut plane = Panel::new(title, Axis::linear("x").limits(from - room, to + room), vertical());
    let band: Vec<_> = line.iter().map(|n| (n.x, n.at(-HALF_BAND), n.at(HALF_BAND))).collect();
    plane
        .band(&band, MODEL.alpha(0.15))
        .points(&points, Dot::new(OBSERVED))
        .named_line("fitted", &path(&line, 0.0), Stroke::solid(MODEL));
    for deviations in [-HALF_BAND, 0.0, HALF_BAND] {
        plane.line(&path(&true_line, deviations), Stroke::oracle());
    }
    if let Some(last) = true_line.last() {
        plane.end_label(last.mean, "true", ORACLE);
    }
    let title = format!("p(y|x): {}", log_likelihood(variant));
    let mut density = Panel::new(title, Axis::linear("density at three x (per unit of y)"), vertical());
    for (normal, color) in at_cuts.iter().zip(CUT_COLORS) {
        plane.line(
            &[(normal.x, normal.at(-3.0)), (normal.x, normal.at(3.0))],
            Stroke::solid(color),
        );
        density.line(&normal.curve(), Stroke::solid(color));
        let label = (1.04 * normal.density(normal.mean), normal.mean);
        density.text(label, format!("x = {}", number(normal.x)), Anchor::Start, color);
        density.include(Some(1.3 * label.0), None);
    }
    for normal in &true_at_cuts {
        density.line(&normal.curve(), Stroke::oracle());
    }
    let caption = format!(
        "Solid: fitted; dashed: the generator's own line, band and densities. Numbers: {}.",
        what_nats_are(&summary)
    );
    Ok(Figure::new(&experiment.loaded.question, 2, vec![plane, density])
        .caption(caption)
        .row_height(640.0))
}

/// The line at a number of standard deviations from the mean.
fn path(normals: &[Normal], deviations: f64) -> Vec<(f64, f64)> {
    normals.iter().map(|normal| (normal.x, normal.at(deviations))).collect()
}

/// `x` to about two digits of `span`.
fn short(x: f64, span: f64) -> f64 {
    let unit = 10f64.powf((0.1 * span).log10().floor());
    if unit > 0.0 { (x / unit).round() * unit } else { x }
}

/// The training points (x, y) in the data's units.
fn points(loaded: &Reloaded) -> Result<Vec<(f64, f64)>> {
    let (train, units) = (&loaded.splits.train, &loaded.splits.standardization);
    let given = train
        .given
        .as_ref()
        .filter(|given| given.columns() == 1 && train.observed.columns() == 1);
    let Some(given) = given else {
        return Err(Error::Data(format!(
            "the figure draws one y over one x: expected 1 given and 1 observed column, came {} and {}; try \
             `data.source` = \"linear_gaussian\"",
            train.given.as_ref().map_or(0, |given| given.columns()),
            train.observed.columns()
        )));
    };
    let (mut x, mut y) = (given.values().to_vec(), train.observed.values().to_vec());
    units.given.invert(&mut x);
    units.observed.invert(&mut y);
    Ok(x.into_iter().zip(y).collect())
}

/// The run's p(y|x) at each x.
fn fitted(loaded: &Reloaded, places: &[f64]) -> Result<Vec<Normal>> {
    let units = &loaded.splits.standardization;
    let mut given = Table::new(places.to_vec(), 1);
    units.given.apply(&mut given);
    let rows = loaded.model.predict(&loaded.theta, Some(&given))?;
    if rows.components() != 1 {
        return Err(Error::Data(format!(
            "the figure draws the band of one Gaussian: expected 1 component, came {}; try `model.kind` = \
             \"linear_gaussian\"",
            rows.components()
        )));
    }
    let scale = units.observed.scale().first().copied().unwrap_or(1.0);
    let normal = |(row, x): (usize, &f64)| {
        let mut mean = rows.mean(row);
        units.observed.invert(&mut mean);
        Normal {
            x: *x,
            mean: mean[0],
            deviation: scale * rows.covariance(row, 0)[0].sqrt(),
        }
    };
    Ok(places.iter().enumerate().map(normal).collect())
}

/// The generator's p(y|x) at each x; none if it is not a line.
fn truth(source: &Source, places: &[f64]) -> Vec<Normal> {
    let Some(line) = source.get::<LinearGaussian>() else {
        return Vec::new();
    };
    let normal = |x: &f64| Normal {
        x: *x,
        mean: line.slope * x + line.intercept,
        deviation: line.noise_deviation,
    };
    places.iter().map(normal).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::DataConfig;
    use crate::math::streams::Streams;
    use crate::model::{EStep, ModelConfig};
    use candle_core::{DType, Device};
    use std::path::Path;

    /// Least squares by hand (normal equations of one x, residual variance over N), standardised or not.
    #[test]
    fn the_line_and_its_standard_deviation_are_those_of_least_squares() {
        for standardize in [false, true] {
            let data: DataConfig = toml::from_str(&format!(
                "source = \"linear_gaussian\"\ntrain = 40\ninput_mean = 3.0\nstandardize = {standardize}"
            ))
            .unwrap();
            let streams = Streams::new(4);
            let splits = data.load(Path::new(""), &streams).unwrap();
            let model: ModelConfig = toml::from_str("kind = \"linear_gaussian\"").unwrap();
            let model = model.build(&splits.train).unwrap();
            let first = model
                .initial(&splits.train, &streams, 0, DType::F64, &Device::Cpu)
                .unwrap();
            let sweeps = model.closed_form().unwrap().sweeps(&splits.train).unwrap();
            let theta = sweeps.improve(&first, EStep::Exact, 1, None).unwrap().theta;
            drop(sweeps);
            let loaded = Reloaded {
                model,
                theta,
                splits,
                streams,
            };

            let points = points(&loaded).unwrap();
            let mean = |f: &dyn Fn(&(f64, f64)) -> f64| points.iter().map(f).sum::<f64>() / points.len() as f64;
            let (x, y) = (mean(&|p| p.0), mean(&|p| p.1));
            let slope = mean(&|p| (p.0 - x) * (p.1 - y)) / mean(&|p| (p.0 - x).powi(2));
            let deviation = mean(&|p| (p.1 - y - slope * (p.0 - x)).powi(2)).sqrt();
            for normal in fitted(&loaded, &[-1.0, 0.5, 7.0]).unwrap() {
                assert!((normal.mean - (y + slope * (normal.x - x))).abs() < 1e-9, "{normal:?}");
                assert!((normal.deviation - deviation).abs() < 1e-9, "{normal:?} {deviation}");
            }
        }
    }

    #[test]
    fn cuts_have_few_digits() {
        assert_eq!(short(1.2668, 3.0), 1.3);
        assert_eq!(short(0.07902, 3.0), 0.1);
        assert_eq!(short(1266.8, 3000.0), 1300.0);
        assert_eq!(short(5.0, 0.0), 5.0);
    }
}
