//! *neural latent state*: p(x_1), p(x_{t+1} | x_t, u_t) and p(o_t | x_t) with networks, learnt from partial and noisy
//! observations of a system whose states are known to the figure alone.
//!
//! The panels show the graphical model; the true states of a test sequence and the path that q believes in, in the latent
//! coordinates that the model chose; observations replicated from q, which sees the whole sequence; a forecast from q of the
//! first steps by the model's own transition; and the prediction error against the horizon.

use super::latent_state::{HORIZONS, graph, horizon_errors};
use super::shown::{Shown, log_likelihood, shown, what_nats_are};
use super::unexpected;
use crate::Result;
use crate::data::{Batch, Dataset};
use crate::error::provided;
use crate::figure::axis::Axis;
use crate::figure::chart::{Dot, Panel, Stroke};
use crate::figure::frame::Point;
use crate::figure::layout::Figure;
use crate::figure::theme::{ColorMap, MODEL, OBSERVED, ORACLE};
use crate::math::streams::{Generator, Stream};
use crate::model::Latents;
use crate::nn;
use crate::posterior::PosteriorConfig;
use crate::runner::{Experiment, Reloaded, reload, summarize};
use candle_core::{DType, Device, Tensor};
use std::sync::Arc;

/// The figure's name.
const NAME: &str = "neural_latent_state";
/// Where the forecast begins, as a share of the sequence.
const SEEN: f64 = 0.5;
/// Paths that are drawn.
const PATHS: usize = 400;
/// The share of values on each side of a band of 95 %.
const TAIL: f64 = 0.025;

/// Draws the six panels of the first variant.
pub fn draw(experiment: &Experiment) -> Result<Figure> {
    let summary = summarize(experiment)?;
    let shown = shown(experiment, &summary)?;
    let needs = || unexpected(NAME, "a model of paths with a recognition network, and test sequences");
    let Some(Shown { run, variant, .. }) = shown.first() else {
        return Err(needs());
    };
    let loaded = reload(run)?;
    let test = loaded.splits.test.as_ref().ok_or_else(needs)?;
    let length = test
        .lengths
        .as_deref()
        .and_then(|all| all.first())
        .copied()
        .ok_or_else(needs)?;
    let seen = ((length as f64 * SEEN) as usize).clamp(1, length.saturating_sub(1).max(1));
    let sequence = Sequence {
        loaded: &loaded,
        posterior: &run.spec.posterior,
        test,
        length,
        numbers: loaded.streams.named("figure/paths"),
    };
    let (whole, ahead) = (sequence.paths(length)?, sequence.paths(seen)?);
    let dots: Vec<Point> = (0..length)
        .map(|t| {
            (
                t as f64,
                sequence.data_units(test.observed.values()[t * test.observed.columns()]),
            )
        })
        .filter(|dot| dot.1.is_finite())
        .collect();
    let band = |title: &str, values: &[f64]| {
        let mut panel = Panel::new(title, Axis::linear("step"), Axis::linear("observation"));
        let (ribbon, middle) = sequence.quantiles(values);
        panel
            .key("observed", OBSERVED)
            .key("median and 95\u{a0}%", MODEL)
            .band(&ribbon, MODEL.alpha(0.2))
            .line(&middle, Stroke::solid(MODEL))
            .points(&dots, Dot::new(OBSERVED));
        panel
    };
    let replicated = band("Given the whole sequence", &sequence.observed(&whole)?);
    let mut forecast = band("Given its first half", &sequence.observed(&ahead)?);
    forecast.vertical_reference(seen as f64, "forecast from", Stroke::baseline());
    let caption = format!(
        "Colours count the steps. Bands hold 95\u{a0}% of {PATHS} sequences of observations drawn from q and the model; q sees all \
         observations, or the first half. The latent coordinates are the model's choice. The model scores {}: {}.",
        log_likelihood(variant),
        what_nats_are(&summary)
    );
    let panels = vec![
        graph(test.given.is_some()),
        true_states(test, length)?,
        believed(&whole, length)?,
        replicated,
        forecast,
        by_horizon(&loaded, test)?,
    ];
    Ok(Figure::new(&experiment.loaded.question, 3, panels)
        .caption(caption)
        .row_height(520.0))
}

/// The first test sequence, and what the trained model draws for it.
struct Sequence<'a> {
    loaded: &'a Reloaded,
    posterior: &'a PosteriorConfig,
    test: &'a Dataset,
    length: usize,
    numbers: Stream,
}

impl Sequence<'_> {
    fn data_units(&self, value: f64) -> f64 {
        let units = &self.loaded.splits.standardization.observed;
        let first = |values: &[f64], none| values.first().copied().unwrap_or(none);
        first(units.shift(), 0.0) + first(units.scale(), 1.0) * value
    }

    /// The first `steps` steps, as many times as there are paths.
    fn copies(&self, steps: usize) -> Result<Batch> {
        let whole = Batch::whole(self.test, self.loaded.theta.dtype(), &Device::Cpu)?.narrow(0, 1)?;
        let part = |tensor: &Tensor| -> Result<Tensor> {
            let rows = vec![tensor.narrow(0, 0, steps)?; PATHS];
            Ok(Tensor::cat(&rows, 0)?)
        };
        Ok(Batch {
            observed: part(&whole.observed)?,
            given: whole.given.as_ref().map(part).transpose()?,
            weights: None,
            lengths: Some(Arc::from(vec![steps; PATHS])),
        })
    }

    /// Paths of q given the first `seen` steps, and of the model's own transition after them. `[P, 1, T, X]`
    fn paths(&self, seen: usize) -> Result<Tensor> {
        let theta = &self.loaded.theta;
        let head = self.copies(seen)?;
        let joint = self.loaded.model.joint(theta, &head)?;
        let generator = &mut self.numbers.at(seen as u64);
        let draws = self.posterior.draws(joint.as_ref(), theta, 0, generator)?;
        let q = provided(draws.q, "a recognition network")?;
        let Latents::Paths(paths) = q.draw(1, generator)? else {
            return Err(unexpected(NAME, "paths of states"));
        };
        let before = provided(joint.sequential(), "paths of states")?.carried(&paths)?;
        let all = self.copies(self.length)?;
        let joint = self.loaded.model.joint(theta, &all)?;
        let model = provided(joint.sequential(), "paths of states")?;
        // The last step of every path.
        let last = |rows: &Tensor| -> Result<Tensor> {
            let width = rows.dim(1)?;
            Ok(rows
                .reshape((PATHS, seen, width))?
                .narrow(1, seen - 1, 1)?
                .squeeze(1)?
                .contiguous()?)
        };
        let mut carried = crate::model::Carried {
            state: last(&before.state)?,
            deterministic: before.deterministic.as_ref().map(last).transpose()?,
        };
        let mut states = vec![paths.squeeze(1)?.detach()];
        for t in seen..self.length {
            let (next, deterministic) = model.transition(t - 1, &carried)?;
            let noise = nn::normal(&mut *generator, next.mean.shape(), next.mean.dtype(), &Device::Cpu)?;
            carried = crate::model::Carried {
                state: next.draw(&noise)?.detach(),
                deterministic: deterministic.map(|h| h.detach()),
            };
            states.push(carried.state.unsqueeze(1)?);
        }
        Ok(Tensor::cat(&states, 1)?.unsqueeze(1)?)
    }

    /// The first observed column along paths, in the data's units. `[P·T]`
    fn observed(&self, paths: &Tensor) -> Result<Vec<f64>> {
        let all = self.copies(self.length)?;
        let joint = self.loaded.model.joint(&self.loaded.theta, &all)?;
        let ancestral = provided(joint.ancestral(), "samples of observations")?;
        let generator: &mut Generator = &mut self.numbers.at(u64::MAX);
        let observed = ancestral.sample_observed(&Latents::Paths(paths.clone()), generator)?;
        let first = observed
            .narrow(1, 0, 1)?
            .flatten_all()?
            .to_dtype(DType::F64)?
            .to_vec1::<f64>()?;
        Ok(first.into_iter().map(|value| self.data_units(value)).collect())
    }

    /// The band of 95 % and the median of every step.
    fn quantiles(&self, values: &[f64]) -> (Vec<(f64, f64, f64)>, Vec<Point>) {
        let step = |t: usize| {
            let mut at: Vec<f64> = values.iter().skip(t).step_by(self.length).copied().collect();
            at.sort_by(f64::total_cmp);
            let quantile = |share: f64| at[(share * (at.len() - 1) as f64).round() as usize];
            (t as f64, quantile(TAIL), quantile(0.5), quantile(1.0 - TAIL))
        };
        let steps: Vec<_> = (0..self.length).map(step).collect();
        (
            steps.iter().map(|&(t, low, _, high)| (t, low, high)).collect(),
            steps.iter().map(|&(t, _, middle, _)| (t, middle)).collect(),
        )
    }
}

/// A path over the plane of two coordinates, coloured by the step.
fn plane(title: &str, [x, y]: [&str; 2], points: &[Point]) -> Panel {
    let mut panel = Panel::new(title, Axis::linear(x), Axis::linear(y));
    let last = (points.len().max(2) - 1) as f64;
    for (t, pair) in points.windows(2).enumerate() {
        panel.line(pair, Stroke::solid(ColorMap::Viridis.at(t as f64 / last)).width(3.0));
    }
    panel
}

/// The first and the last coordinate of rows of states; the step and the only one, where there is one.
fn coordinates(states: &[f64], columns: usize) -> (Vec<Point>, [String; 2]) {
    let rows = states.chunks_exact(columns);
    match columns {
        1 => (
            states.iter().enumerate().map(|(t, x)| (t as f64, *x)).collect(),
            ["step".to_owned(), "x1".to_owned()],
        ),
        _ => (
            rows.map(|row| (row[0], row[columns - 1])).collect(),
            ["x1".to_owned(), format!("x{columns}")],
        ),
    }
}

/// The true states of the first test sequence.
fn true_states(test: &Dataset, length: usize) -> Result<Panel> {
    let needs = || unexpected(NAME, "a generator whose states are known");
    let states = test.states.as_ref().ok_or_else(needs)?;
    let columns = states.columns();
    let (points, names) = coordinates(&states.values()[..length * columns], columns);
    Ok(plane("True states", names.each_ref().map(String::as_str), &points))
}

/// The mean path of q.
fn believed(paths: &Tensor, length: usize) -> Result<Panel> {
    let mean = paths.to_dtype(DType::F64)?.mean(0)?.squeeze(0)?; // [T, X]
    let columns = mean.dim(1)?;
    let mean = mean.flatten_all()?.to_vec1::<f64>()?;
    let (points, names) = coordinates(&mean[..length * columns], columns);
    Ok(plane(
        "Latent states, mean of q",
        names.each_ref().map(String::as_str),
        &points,
    ))
}

/// Prediction errors of the model and of the generator.
fn by_horizon(loaded: &Reloaded, test: &Dataset) -> Result<Panel> {
    let mut panel = Panel::new(
        "Prediction error by horizon",
        Axis::linear("steps ahead"),
        Axis::linear("root mean square error"),
    );
    panel.include(None, Some(0.0));
    let scale = loaded
        .splits
        .standardization
        .observed
        .scale()
        .first()
        .copied()
        .unwrap_or(1.0);
    let numbers = &loaded.streams.named("figure/horizons");
    let predictor = provided(loaded.model.predictor(&loaded.theta)?, "predictions")?;
    let fitted = horizon_errors(&predictor, test, numbers, scale)?;
    panel.named_line("fitted", &fitted, Stroke::solid(MODEL));
    let mean_alone = test.moments(&test.observed).first().copied().flatten();
    if let Some((_, variance)) = mean_alone {
        panel.reference(scale * variance.sqrt(), "by the mean", Stroke::baseline());
    }
    if let Some(truth) = &loaded.splits.truth {
        let mut raw = test.clone();
        loaded.splits.standardization.observed.invert(raw.observed.values_mut());
        let best = horizon_errors(truth, &raw, numbers, 1.0)?;
        panel
            .line(&best, Stroke::oracle())
            .end_label(best[HORIZONS - 1].1, "true system", ORACLE);
    }
    Ok(panel)
}
