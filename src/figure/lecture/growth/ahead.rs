//! Predictions of a fitted model: a forecast of a test sequence with its interval, and the prediction error by horizon
//! beside that of the true system.

use super::{PARTICLES, belief, believed};
use crate::figure::axis::Axis;
use crate::figure::chart::{Dot, Panel, Stroke};
use crate::figure::frame::Point;
use crate::figure::theme::{MODEL, OBSERVED, ORACLE};
use crate::math::kalman::{Horizon, Sequences, squared_errors};
use crate::math::nonlinear::{BootstrapFilter, Dynamics, Predictor};
use crate::math::streams::Streams;
use crate::runner::Reloaded;
use crate::{Error, Result};
use latent_lab_envs::{Generator, Growth};
use std::sync::Arc;

/// Observed steps, the last of them that are shown, and forecast steps.
const SEEN: usize = 60;
const BEFORE: usize = 15;
const AHEAD: usize = 20;
/// Horizons of the error curve, steps. Its sequences have 100 steps, of which the first `HORIZONS` do not count.
const HORIZONS: usize = 10;
const SEQUENCES: usize = 10;

/// Both panels.
pub(super) fn panels(loaded: &Reloaded, generator: &Growth, streams: &Streams) -> Result<[Panel; 2]> {
    let expected = || Error::Data("the figure draws a nonlinear state space with a test sequence".into());
    let Some(Predictor::Particles(model, _)) = loaded.model.predictor(&loaded.theta)? else {
        return Err(expected());
    };
    let (Some(test), Some(Predictor::Particles(truth, _))) = (&loaded.splits.test, &loaded.splits.truth) else {
        return Err(expected());
    };
    let first = test.lengths.as_ref().map_or(test.observed.rows(), |lengths| lengths[0]);
    let observed = &test.observed.values()[..first];
    Ok([
        fan(model.as_ref(), observed, streams)?,
        errors(&model, truth, generator, streams)?,
    ])
}

/// The next observations of the test sequence `observed`.
fn fan(model: &dyn Dynamics, observed: &[f64], streams: &Streams) -> Result<Panel> {
    let seen = SEEN.min(observed.len() * 3 / 4).max(1);
    let ahead = AHEAD.min(observed.len() - seen);
    let head = Sequences::new(&observed[..seen], 1, &[], 0, &[seen])?;
    let filter = BootstrapFilter::new(model, &head, PARTICLES)?;
    let ensemble = filter.forecast(0, ahead, &[], &mut streams.named("figure").at(2))?;
    let weighted = |values: &Vec<f64>| values.iter().copied().zip(ensemble.weights.iter().copied()).collect();
    let beliefs: Vec<_> = (seen..)
        .zip(&ensemble.steps)
        .map(|(t, values)| belief(t, weighted(values)))
        .collect();
    let first = seen.saturating_sub(BEFORE);
    let dots: Vec<Point> = (first..seen + ahead)
        .map(|t| (t as f64 + 1.0, observed[t]))
        .filter(|dot| dot.1.is_finite())
        .collect();
    let mut panel = Panel::new(
        "Forecast of the observations",
        Axis::linear("step"),
        Axis::linear("observation"),
    );
    believed(&mut panel, &beliefs, MODEL);
    panel
        .key("observed", OBSERVED)
        .points(&dots, Dot::new(OBSERVED))
        .vertical_reference(seen as f64, "forecast from", Stroke::baseline());
    Ok(panel)
}

/// Root mean square errors of fresh sequences of `generator`.
fn errors(
    model: &Arc<dyn Dynamics>,
    truth: &Arc<dyn Dynamics>,
    generator: &Growth,
    streams: &Streams,
) -> Result<Panel> {
    let generator = Growth {
        length: Some(100),
        ..generator.clone()
    };
    let points = generator.draw(100 * SEQUENCES, &mut streams.named("figure").at(3));
    let sequences = Sequences::new(&points.observed, 1, &[], 0, &points.lengths)?;
    let horizons: Vec<Horizon> = (1..=HORIZONS).map(Horizon::Steps).collect();
    let curve = |system: &Arc<dyn Dynamics>| -> Result<Vec<Point>> {
        let predictor = Predictor::Particles(system.clone(), PARTICLES);
        let all = predictor.expected(&sequences, &horizons, &streams.named("figure/errors"))?;
        let error = |(k, expected): (usize, &Vec<Vec<f64>>)| {
            let (sums, counts) = squared_errors(&sequences, &points.observed, expected, HORIZONS);
            (k as f64, (sums[0] / counts[0] as f64).sqrt())
        };
        Ok((1..).zip(&all).map(error).collect())
    };
    let best = curve(truth)?;
    let mut panel = Panel::new(
        "Prediction error by horizon",
        Axis::linear("steps ahead"),
        Axis::linear("root mean square error"),
    );
    panel
        .include(None, Some(0.0))
        .named_line("fitted", &curve(model)?, Stroke::solid(MODEL))
        .line(&best, Stroke::oracle())
        .end_label(best[HORIZONS - 1].1, "true system", ORACLE);
    Ok(panel)
}
