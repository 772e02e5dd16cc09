//! *latent-state*: from observations o and actions u, learn p(x_1), p(x_{t+1}|x_t,u_t) and p(o_t|x_t); then smooth and
//! forecast.
//!
//! The panels show the graphical model; the noise-free output `C x_t + D u_t + d` of a test sequence by the filter
//! (past only) and by the smoother (all observations), against the truth; a forecast with its 95 % interval; and the
//! prediction error against the horizon. The output is shown instead of x, because the model chooses its own latent
//! coordinates.

use super::shown::{Shown, log_likelihood, shown, what_nats_are};
use super::trajectory::{HALF_BAND, Model, path, ribbon};
use crate::data::Dataset;
use crate::figure::axis::Axis;
use crate::figure::chart::{Dot, Panel, Stroke};
use crate::figure::frame::Point;
use crate::figure::layout::Figure;
use crate::figure::sheet::Anchor;
use crate::figure::theme::{BLACK, MODEL, OBSERVED, ORACLE, QUIET, VARIANTS, WHITE};
use crate::math::kalman::{Filtered, Horizon, Sequences, System, squared_errors};
use crate::math::nonlinear::Predictor;
use crate::math::streams::{Stream, Streams};
use crate::runner::{Experiment, reload, summarize};
use crate::{Error, Result};
use latent_lab_envs::Lgssm;

/// Where the forecast begins, as a share of the sequence.
const SEEN: f64 = 0.7;
/// Horizons of the error curve, steps.
pub(super) const HORIZONS: usize = 20;

/// Draws the four panels of the first variant.
pub fn draw(experiment: &Experiment) -> Result<Figure> {
    let summary = summarize(experiment)?;
    let shown = shown(experiment, &summary)?;
    let Some(Shown { run, variant, .. }) = shown.first() else {
        return Err(Error::Data("no variant to draw: expected at least one".into()));
    };
    let loaded = reload(run)?;
    let Some(generator) = run.spec.data.source.get::<Lgssm>() else {
        return Err(Error::Data(
            "the figure compares with the true states: expected `data.source` = \"lgssm\"".into(),
        ));
    };
    if run.spec.data.standardize {
        return Err(Error::Data(
            "the true system is in the data's units: expected `standardize = false`".into(),
        ));
    }
    let (Some(test), Some(Predictor::Kalman(truth))) = (&loaded.splits.test, &loaded.splits.truth) else {
        return Err(Error::Data(
            "the figure shows a test sequence: expected test rows".into(),
        ));
    };
    let model = Model::new(&loaded)?;
    // The same rows again, with the states that generated them.
    let rows = test.observed.rows();
    let (_, states) = generator.draw_with_states(rows, &mut Streams::new(run.address.seed).named("data/test").at(0));
    let all = test.sequences()?;
    let (observed, inputs) = all.rows(0);
    let (length, x, o, u) = (all.lengths()[0], truth.states(), truth.outputs(), truth.inputs());
    let clean: Vec<Point> = (0..length)
        .map(|t| {
            let mut output = truth.emission_offset[0];
            output += (0..x).map(|j| truth.emission[(0, j)] * states[t * x + j]).sum::<f64>();
            output += (0..u)
                .map(|j| truth.emission_input[(0, j)] * inputs[t * u + j])
                .sum::<f64>();
            (t as f64, output)
        })
        .collect();
    let dots: Vec<Point> = (0..length)
        .map(|t| (t as f64, model.data_units(observed[t * o])))
        .filter(|dot| dot.1.is_finite())
        .collect();

    let sequence = all.select(&[0])?;
    let filtered = Filtered::new(&model.system, &sequence)?;
    let past = model.outputs(&filtered.beliefs(), &sequence, &inputs);
    let smooth = model.outputs(&filtered.smooth(), &sequence, &inputs);
    let axis = || Axis::linear("step");
    let mut back = Panel::new("Output C x, filtered and smoothed", axis(), Axis::linear("output"));
    back.key("observed", OBSERVED)
        .points(&dots, Dot::new(OBSERVED))
        .band(&ribbon(&smooth), MODEL.alpha(0.2))
        .named_line("filter", &path(&past), Stroke::solid(VARIANTS[1]).width(2.5))
        .named_line("smoother", &path(&smooth), Stroke::solid(MODEL))
        .line(&clean, Stroke::oracle())
        .end_label(clean[length - 1].1, "true", ORACLE);

    let seen = ((length as f64 * SEEN) as usize).clamp(1, length - 1);
    let head = Sequences::new(&observed[..seen * o], o, &inputs[..seen * u], u, &[seen])?;
    let head_filter = Filtered::new(&model.system, &head)?;
    let fan = model.forecast(&head_filter, seen, &inputs, length - seen);
    let mut ahead = Panel::new("Forecast of the observations", axis(), Axis::linear("observation"));
    let from = seen as f64;
    ahead
        .key("observed", OBSERVED)
        .points(&dots, Dot::new(OBSERVED))
        .line(&path(&past[..seen]), Stroke::solid(VARIANTS[1]).width(2.5))
        .band(&ribbon(&fan), MODEL.alpha(0.2))
        .named_line("forecast", &path(&fan), Stroke::solid(MODEL))
        .line(&clean, Stroke::oracle())
        .vertical_reference(from, "forecast from", Stroke::baseline());

    let numbers = &loaded.streams.named("figure/horizons");
    let errors = |system: &System| horizon_errors(&Predictor::Kalman(Box::new(system.clone())), test, numbers, 1.0);
    let mut horizon = Panel::new(
        "Prediction error by horizon",
        Axis::linear("steps ahead"),
        Axis::linear("root mean square error"),
    );
    horizon
        .include(None, Some(0.0))
        .named_line("fitted", &errors(&model.system)?, Stroke::solid(MODEL));
    let best = errors(truth)?;
    horizon
        .line(&best, Stroke::oracle())
        .end_label(best[HORIZONS - 1].1, "true system", ORACLE);
    let caption = format!(
        "Bands hold 95 %: of the output left, of the next observations right ({HALF_BAND:.2} standard \
         deviations). Dashed: the truth. The model scores {}: {}.",
        log_likelihood(variant),
        what_nats_are(&summary)
    );
    Ok(
        Figure::new(&experiment.loaded.question, 2, vec![graph(true), back, horizon, ahead])
            .caption(caption)
            .row_height(560.0),
    )
}

/// The prediction error of the first observed column, times `scale`, at every horizon.
pub(super) fn horizon_errors(
    predictor: &Predictor,
    test: &Dataset,
    numbers: &Stream,
    scale: f64,
) -> Result<Vec<Point>> {
    let sequences = test.sequences()?;
    let horizons: Vec<Horizon> = (1..=HORIZONS).map(Horizon::Steps).collect();
    let expected = predictor.expected(&sequences, &horizons, numbers)?;
    let error = |(k, expected): (usize, &Vec<Vec<f64>>)| {
        let (sums, counts) = squared_errors(&sequences, test.observed.values(), expected, HORIZONS);
        ((k + 1) as f64, scale * (sums[0] / counts[0] as f64).sqrt())
    };
    Ok(expected.iter().enumerate().map(error).collect())
}

/// The graphical model: inputs, where there are any, act on states, and states emit observations.
pub(super) fn graph(has_inputs: bool) -> Panel {
    const RADIUS: f64 = 0.22;
    let rows = [(1.6, "u", OBSERVED), (0.8, "x", WHITE), (0.0, "o", OBSERVED)];
    let (rows, title) = match has_inputs {
        true => (&rows[..], "Inputs u, states x, observations o"),
        false => (&rows[1..], "States x, observations o"),
    };
    let mut panel = Panel::new(
        title,
        Axis::linear("").limits(0.6, 3.4),
        Axis::linear("").limits(-0.4, 2.0),
    )
    .equal_units()
    .without_axes();
    let stroke = Stroke::solid(QUIET);
    for step in 1..=3 {
        let column = f64::from(step);
        if step < 3 {
            panel.arrow((column + RADIUS, 0.8), (column + 1.0 - RADIUS - 0.02, 0.8), stroke);
            if has_inputs {
                panel.arrow((column + 0.17, 1.46), (column + 1.0 - 0.19, 0.95), stroke);
            }
        }
        panel.arrow((column, 0.8 - RADIUS), (column, RADIUS + 0.02), stroke);
        for &(row, letter, fill) in rows {
            panel
                .circle((column, row), RADIUS, BLACK)
                .circle((column, row), 0.93 * RADIUS, fill)
                .text((column, row), format!("{letter}{step}"), Anchor::Middle, BLACK);
        }
    }
    panel
}
