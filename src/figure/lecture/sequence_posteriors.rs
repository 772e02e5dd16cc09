//! *sequence posteriors*: families of q(x_1 … x_T | o_1 … o_T) of a linear state space, one row each: what the distribution of
//! one state is conditioned on, what it believes about the state in the middle of a test sequence beside the true
//! posterior, and how far its bound stays below log p, beside the least gap that the family can reach.

use super::shown::{Shown, shown};
use super::trajectory::{HALF_BAND, Model};
use super::unexpected;
use crate::Result;
use crate::data::Batch;
use crate::figure::axis::Axis;
use crate::figure::chart::{Dot, Panel, Stroke};
use crate::figure::experiment::bounds;
use crate::figure::layout::Figure;
use crate::figure::number::fixed;
use crate::figure::sheet::Anchor;
use crate::figure::theme::{BLACK, Color, MODEL, OBSERVED, ORACLE, QUIET, WHITE};
use crate::math::kalman::{Filtered, Sequences};
use crate::math::nonlinear::Predictor;
use crate::model::Latents;
use crate::posterior::sequence::Sight;
use crate::runner::{Experiment, Reloaded, reload, summarize};
use candle_core::DType;

/// The figure's name.
const NAME: &str = "sequence_posteriors";
/// Paths of q for the moments of one state.
const PATHS: usize = 4000;
/// Height of a row, and of the space for titles and axes, pixels.
const ROW: f64 = 74.0;
const AROUND: f64 = 210.0;

/// What is drawn of one variant.
struct Row {
    name: String,
    sight: Sight,
    /// Mean and standard deviation of the output in the middle: of q and of the true posterior.
    beliefs: [(f64, f64); 2],
    /// log p − bound, nats per step, with its interval.
    gap: Option<(f64, Option<(f64, f64)>)>,
    /// The least gap of the family.
    least: Option<f64>,
}

/// Draws the figure from finished runs.
pub fn draw(experiment: &Experiment) -> Result<Figure> {
    let summary = summarize(experiment)?;
    let shown = shown(experiment, &summary)?;
    let rows: Vec<Row> = shown.iter().map(row).collect::<Result<_>>()?;
    let seeds = shown.iter().map(|shown| shown.runs.len()).max().unwrap_or(0);
    let height = AROUND + ROW * rows.len() as f64;
    Ok(
        Figure::new(&summary.question, 3, vec![sights(&rows), beliefs(&rows), gaps(&rows)])
            .shares(&[0.44, 0.25, 0.31])
            .caption(format!(
                "Left: filled where q of the state x_t is given an observation or the state before. Middle: the output C x_t in the \
                 middle of the first test sequence, 95\u{a0}% of q (blue) and of the true posterior (grey). Right: mean over {seeds} \
                 seeds with 95\u{a0}% intervals, and the least gap that the family can reach in the true system (dashed), computed in \
                 closed form."
            ))
            .row_height(height)
            .fixed_rows(),
    )
}

fn row(shown: &Shown) -> Result<Row> {
    let needs = || unexpected(NAME, "variants with a recognition network of sequences");
    let keys = shown
        .run
        .spec
        .posterior
        .network()
        .ok_or_else(needs)?
        .recognition
        .sequence;
    let loaded = reload(&shown.run)?;
    let test = loaded.splits.test.as_ref();
    let lengths = test.and_then(|test| test.lengths.as_deref()).ok_or_else(needs)?;
    let steps = lengths.first().copied().unwrap_or(0);
    let truth = match &loaded.splits.truth {
        Some(Predictor::Kalman(system)) if lengths.iter().all(|length| *length == steps) => Some(system),
        _ => None,
    };
    let metric = "test/posterior_gap";
    let mean = shown.variant.summary.get(metric).and_then(|summary| summary.mean);
    Ok(Row {
        name: shown.variant.name.clone(),
        sight: keys.sight(),
        beliefs: moments(shown, &loaded, steps / 2)?,
        gap: mean.map(|mean| (mean, bounds(shown.variant, metric))),
        least: truth.and_then(|system| Some(keys.least_gap(system, steps)? / steps as f64)),
    })
}

/// Mean and standard deviation of the output of step `at` of the first test sequence: of q and of the true posterior.
fn moments(shown: &Shown, loaded: &Reloaded, at: usize) -> Result<[(f64, f64); 2]> {
    let model = Model::new(loaded)?;
    let test = loaded
        .splits
        .test
        .as_ref()
        .ok_or_else(|| unexpected(NAME, "test sequences"))?;
    let sequences: Sequences = test.sequences()?.select(&[0])?;
    let (_, inputs) = sequences.rows(0);
    let exact = model.outputs(&Filtered::new(&model.system, &sequences)?.smooth(), &sequences, &inputs);
    let exact = exact
        .get(at)
        .ok_or_else(|| unexpected(NAME, "sequences of several steps"))?;
    let precision = loaded.theta.dtype();
    let batch = Batch::whole(test, precision, &candle_core::Device::Cpu)?.narrow(0, 1)?;
    let joint = loaded.model.joint(&loaded.theta, &batch)?;
    let generator = &mut loaded.streams.named("figure/paths").at(0);
    let draws = shown
        .run
        .spec
        .posterior
        .draws(joint.as_ref(), &loaded.theta, 0, generator)?;
    let q = draws.q.ok_or_else(|| unexpected(NAME, "posteriors by a network"))?;
    let Latents::Paths(paths) = q.draw(PATHS, generator)? else {
        return Err(unexpected(NAME, "a model with paths of states"));
    };
    let states = paths
        .narrow(2, at, 1)?
        .to_dtype(DType::F64)?
        .flatten_all()?
        .to_vec1::<f64>()?;
    let (x, u) = (model.system.states(), model.system.inputs());
    let system = &model.system;
    let pushed: f64 = (0..u).map(|j| system.emission_input[(0, j)] * inputs[at * u + j]).sum();
    let outputs: Vec<f64> = states
        .chunks_exact(x)
        .map(|state| {
            let linear: f64 = state.iter().enumerate().map(|(j, v)| system.emission[(0, j)] * v).sum();
            model.data_units(linear + pushed + system.emission_offset[0])
        })
        .collect();
    let count = outputs.len() as f64;
    let mean = outputs.iter().sum::<f64>() / count;
    let variance = outputs.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count;
    Ok([(mean, variance.sqrt()), (exact.mean, exact.deviation)])
}

/// Named rows, below the space of a header.
fn names(rows: &[Row]) -> Axis {
    let names: Vec<String> = rows.iter().map(|row| row.name.clone()).collect();
    let last = names.len() as f64 - 0.5;
    Axis::names(names).limits(last, -1.0)
}

/// What each family is given.
fn sights(rows: &[Row]) -> Panel {
    let columns = ["x(t−1)", "o(t−2)", "o(t−1)", "o(t)", "o(t+1)", "o(t+2)"];
    let unmarked = Axis::names(Vec::new()).limits(-0.6, columns.len() as f64 - 0.4);
    let mut panel = Panel::new("What q of x(t) is given", unmarked, names(rows));
    for (column, name) in columns.into_iter().enumerate() {
        panel.text((column as f64, -0.72), name, Anchor::Middle, BLACK);
    }
    for (at, row) in rows.iter().enumerate() {
        let Sight {
            past,
            own,
            future,
            before,
        } = row.sight;
        let given = [before, past, past, own, future, future];
        for (column, is_given) in given.into_iter().enumerate() {
            let place = [(column as f64, at as f64)];
            let fill = match (is_given, column) {
                (false, _) => WHITE,
                (true, 0) => MODEL,
                (true, _) => OBSERVED,
            };
            panel
                .points(&place, Dot::new(QUIET).radius(11.0))
                .points(&place, Dot::new(fill).radius(9.5));
        }
    }
    panel
}

/// A horizontal interval with its middle.
fn bar(panel: &mut Panel, (low, middle, high): (f64, f64, f64), at: f64, stroke: Stroke, color: Color) {
    panel
        .line(&[(low, at), (high, at)], stroke)
        .points(&[(middle, at)], Dot::new(color).radius(6.5));
}

/// What each family believes about one state.
fn beliefs(rows: &[Row]) -> Panel {
    let mut panel = Panel::new("Its belief about one state", Axis::linear("output C x(t)"), names(rows)).share_names();
    for (at, row) in rows.iter().enumerate() {
        let ends = |(mean, deviation): (f64, f64)| (mean - HALF_BAND * deviation, mean, mean + HALF_BAND * deviation);
        let [own, exact] = row.beliefs;
        let at = at as f64;
        bar(
            &mut panel,
            ends(exact),
            at + 0.16,
            Stroke::solid(ORACLE.alpha(0.55)).width(7.0),
            ORACLE,
        );
        bar(&mut panel, ends(own), at - 0.12, Stroke::solid(MODEL).width(3.0), MODEL);
    }
    panel
}

/// What each family costs.
fn gaps(rows: &[Row]) -> Panel {
    let axis = Axis::linear("log p(o) − bound (nats per step)");
    let mut panel = Panel::new("What it costs", axis, names(rows)).share_names();
    panel.include(Some(0.0), None);
    for (at, row) in rows.iter().enumerate() {
        let place = at as f64;
        if let Some(least) = row.least {
            panel.line(&[(least, place - 0.36), (least, place + 0.36)], Stroke::oracle());
        }
        let mut text = String::from("not measured");
        if let Some((mean, interval)) = row.gap {
            let (low, high) = interval.unwrap_or((mean, mean));
            bar(
                &mut panel,
                (low, mean, high),
                place,
                Stroke::solid(BLACK).width(3.0),
                BLACK,
            );
            text = fixed(mean, 4);
        }
        if let Some(least) = row.least {
            text += &format!("\nleast {}", fixed(least, 4));
        }
        panel.end_label(place, text, QUIET);
    }
    panel
}
