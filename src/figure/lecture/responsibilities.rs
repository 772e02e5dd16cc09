//! *responsibilities*: EM stopped after different numbers of sweeps from one start, and the lower bound that a sweep
//! maximises.
//!
//! Points are coloured by the posterior p(z|x) under the current θ, which the ellipses show. Below, the log-likelihood
//! over the sweeps, and the lower bound of one sweep: [`super::lower_bound`].

use super::lower_bound::{Place, along, next};
use super::plane::{Plane, axes, colors, truth};
use super::shown::{Shown, shown};
use crate::data::Source;
use crate::figure::axis::Axis;
use crate::figure::chart::{Dot, Panel, Stroke};
use crate::figure::layout::Figure;
use crate::figure::number::fixed;
use crate::figure::sheet::Anchor;
use crate::figure::theme::{BLACK, FAILED, MODEL, ORACLE, WHITE};
use crate::figure::window::range;
use crate::runner::{Experiment, Reloaded, SeedSummary, reload, summarize};
use crate::{Error, Result};

/// The variant whose next sweep is shown with its lower bound: the second, after one M-step.
const FROM_THE_SIDE: usize = 1;
const LOG_LIKELIHOOD: &str = "train/log_likelihood";

/// Draws one panel per variant, the log-likelihood of the longest run, and the bound of one sweep.
pub fn draw(experiment: &Experiment) -> Result<Figure> {
    let summary = summarize(experiment)?;
    let shown = shown(experiment, &summary)?;
    let runs = shown.iter().map(Stopped::of).collect::<Result<Vec<_>>>()?;
    let Some(longest) = runs.iter().max_by_key(|run| run.sweeps) else {
        return Err(Error::Data("no variant to draw: expected at least one".into()));
    };
    let planes = runs
        .iter()
        .map(|run| Plane::of(&run.loaded))
        .collect::<Result<Vec<_>>>()?;
    let truth = truth(&longest.source);
    let axes = axes(&planes, &truth);
    let mut panels: Vec<Panel> = runs
        .iter()
        .zip(&planes)
        .map(|(run, plane)| {
            let colors = colors(plane.gaussians().len());
            plane.panel(run.title(), &truth, &colors, axes.clone())
        })
        .collect();
    panels.push(learning(longest, &runs));
    panels.push(from_the_side(runs.get(FROM_THE_SIDE).unwrap_or(longest))?);
    let caption = "Points coloured by the posterior p(z|x), ellipses at 1 and 2 standard deviations of the Gaussians so far, \
                   dashed: the generator's own. Log-likelihoods in nats per datum, on the training points of one seed, \
                   where a fit may exceed the generator itself.";
    Ok(Figure::new(&experiment.loaded.question, 2, panels)
        .caption(caption)
        .row_height(540.0))
}

/// EM stopped after some sweeps.
struct Stopped<'a> {
    loaded: Reloaded,
    source: Source,
    seed: &'a SeedSummary,
    sweeps: u64,
    log_likelihood: f64,
}

impl<'a> Stopped<'a> {
    fn of(shown: &Shown<'a>) -> Result<Self> {
        let find = |seed: &&SeedSummary| seed.seed == shown.run.address.seed;
        let last = |seed: &'a SeedSummary| seed.curve.last().map(|line| (seed, line));
        let found = shown.variant.seeds.iter().find(find).and_then(last);
        let (seed, line) = found.ok_or_else(|| Error::Record("a finished run has no metrics".into()))?;
        Ok(Self {
            loaded: reload(&shown.run)?,
            source: shown.run.spec.data.source.clone(),
            seed,
            sweeps: line.step,
            log_likelihood: line.values.get(LOG_LIKELIHOOD).copied().unwrap_or(f64::NAN),
        })
    }

    fn title(&self) -> String {
        let when = match self.sweeps {
            0 => "Start".to_owned(),
            1 => "After 1 sweep".to_owned(),
            sweeps => format!("After {sweeps} sweeps"),
        };
        format!("{when}: {}", fixed(self.log_likelihood, 3))
    }
}

/// The log-likelihood of the longest run over its sweeps, with a dot where each of `runs` stopped.
fn learning(longest: &Stopped, runs: &[Stopped]) -> Panel {
    let y = Axis::linear("nats per datum");
    let mut panel = Panel::new("The log-likelihood never falls", Axis::linear("sweeps"), y);
    let at = |line: &crate::record::MetricsLine| Some((line.step as f64, *line.values.get(LOG_LIKELIHOOD)?));
    let line: Vec<_> = longest.seed.curve.iter().filter_map(at).collect();
    if let Some(oracle) = oracle(longest) {
        let below = oracle - 0.07 * range(line.iter().map(|p| p.1)).map_or(0.0, |(low, high)| high - low);
        panel.horizontal(oracle, Stroke::oracle()).text(
            (longest.sweeps as f64, below),
            format!("oracle {}", fixed(oracle, 3)),
            Anchor::End,
            ORACLE,
        );
    }
    panel.line(&line, Stroke::solid(MODEL));
    for run in runs {
        panel.points(&[(run.sweeps as f64, run.log_likelihood)], Dot::new(MODEL).radius(9.0));
    }
    panel
}

/// The generator's own mean log-density of the training points, in nats per datum.
fn oracle(run: &Stopped) -> Option<f64> {
    let (generator, splits) = (run.source.generator()?, &run.loaded.splits);
    let mut values = splits.train.observed.values().to_vec();
    splits.standardization.observed.invert(&mut values);
    let mut sum = 0.0;
    for (i, row) in values.chunks_exact(splits.train.observed.columns()).enumerate() {
        sum += splits.train.weight(i) * generator.log_prob(row, &[])?;
    }
    Some(sum / splits.train.total_weight())
}

/// Log-likelihood and lower bound along the line from where `run` stopped to where one more sweep leads.
fn from_the_side(run: &Stopped) -> Result<Panel> {
    let Reloaded {
        model, theta, splits, ..
    } = &run.loaded;
    let following = next(model.as_ref(), theta, &splits.train)?;
    let places: Vec<f64> = (-40..=110).map(|i| f64::from(i) / 50.0).collect();
    let units = splits.standardization.observed.log_scale();
    let line = along(model.as_ref(), &splits.train, (theta, &following), &places)?;
    let (t, next) = (run.sweeps, run.sweeps + 1);
    let x = Axis::linear(format!("s along θ({t}) + s [θ({next}) − θ({t})]"));
    let title = format!("Sweep {next} maximises a lower bound");
    let mut panel = Panel::new(title, x, Axis::linear("nats per datum"));
    let curve = |value: fn(&Place) -> f64| -> Vec<(f64, f64)> {
        line.iter().map(|place| (place.s, value(place) - units)).collect()
    };
    let (above, below) = (curve(|place| place.log_likelihood), curve(|place| place.lower_bound));
    panel
        .line(&above, Stroke::solid(MODEL))
        .line(&below, Stroke::solid(FAILED));
    let at = |curve: &[(f64, f64)], s: f64| curve.iter().copied().find(|p| p.0 == s);
    for p in [at(&below, 0.0), at(&below, 1.0), at(&above, 1.0)]
        .into_iter()
        .flatten()
    {
        panel
            .points(&[p], Dot::new(BLACK).radius(8.0))
            .points(&[p], Dot::new(WHITE).radius(5.0));
    }
    let all = || above.iter().chain(&below).map(|p| p.1);
    let (low, high) = range(all()).unwrap_or((0.0, 1.0));
    // Labels are placed beside their points, offset by shares of the height.
    let mut label = |p: Option<(f64, f64)>, dx: f64, dy: f64, text: &str, anchor, color| {
        if let Some((x, y)) = p {
            panel.text((x + dx, y + dy * (high - low)), text, anchor, color);
        }
    };
    label(
        at(&above, 0.0),
        0.08,
        -0.07,
        &format!("they touch at θ({t})"),
        Anchor::Start,
        BLACK,
    );
    label(
        at(&below, 1.0),
        0.0,
        -0.08,
        &format!("largest at θ({next})"),
        Anchor::Middle,
        BLACK,
    );
    label(at(&above, 1.8), -0.08, 0.04, "log-likelihood", Anchor::End, MODEL);
    label(at(&below, 1.8), 0.04, 0.09, "lower bound", Anchor::Start, FAILED);
    Ok(panel)
}
