//! *growth*: a state that jumps between two wells and is observed through its square (Schön, Wills & Ninness 2011,
//! section 9.2). The panels show a fitted model's particles of the state, filtered and smoothed, its predictions of
//! test observations, and every run's estimates of the six parameters.

mod ahead;
mod estimates;

use super::shown::{Shown, shown};
use super::unexpected;
use crate::Result;
use crate::data::Batch;
use crate::error::provided;
use crate::figure::axis::Axis;
use crate::figure::chart::{Panel, Stroke};
use crate::figure::frame::Point;
use crate::figure::layout::Figure;
use crate::figure::theme::{Color, MODEL, VARIANTS};
use crate::math::nonlinear::BootstrapFilter;
use crate::math::streams::Streams;
use crate::model::StateSpaceOf;
use crate::runner::{Experiment, PlannedRun, reload, summarize};
use candle_core::{DType, Device};
use latent_lab_envs::Growth;

/// Number of particles, and of trajectories sampled backwards through them.
const PARTICLES: usize = 2000;
/// Largest number of steps shown.
const STEPS: usize = 50;

/// Draws two panels of states of the first variant, two of its predictions, and one of parameters for each variant.
pub fn draw(experiment: &Experiment) -> Result<Figure> {
    let summary = summarize(experiment)?;
    let shown = shown(experiment, &summary)?;
    let Some(Shown { run, .. }) = shown.first() else {
        return Err(unexpected("growth", "a variant"));
    };
    let generator = generator_of(run)?;
    if run.spec.data.standardize {
        return Err(unexpected(
            "growth",
            "`standardize = false`: the truth is in the data's units",
        ));
    }
    let loaded = reload(run)?;
    // The same rows again, with the states that generated them.
    let streams = Streams::new(run.address.seed);
    let rows = run.spec.data.train.unwrap_or(1000);
    let (_, states) = generator.draw_with_states(rows, &mut streams.named("data/train").at(0));
    let batch = Batch::whole(&loaded.splits.train, DType::F64, &Device::Cpu)?;
    let joint = loaded.model.joint(&loaded.theta, &batch)?;
    let StateSpaceOf { dynamics, sequences } = provided(joint.state_space(), "a state space")?;
    let filter = BootstrapFilter::new(dynamics, sequences, PARTICLES)?;
    let numbers = streams.named("figure");
    let cloud = filter.cloud(0, &mut numbers.at(0))?;
    let (paths, _) = filter.trajectories(PARTICLES, &mut numbers.at(1))?;
    let steps = sequences.lengths()[0].min(STEPS);
    let past = (0..steps).map(|t| {
        let (states, weights) = cloud.step(t);
        belief(t, states.iter().copied().zip(weights.iter().copied()).collect())
    });
    let all = (0..steps).map(|t| {
        let drawn = paths
            .iter()
            .map(|path| (path.mean(sequences, 0, t)[0], 1.0 / PARTICLES as f64));
        belief(t, drawn.collect())
    });
    let truth: Vec<Point> = (0..steps).map(|t| (t as f64 + 1.0, states[t])).collect();
    let mut panels = vec![
        trajectory(
            "State, filtered (past observations)",
            past.collect(),
            &truth,
            VARIANTS[1],
        ),
        trajectory("State, smoothed (all observations)", all.collect(), &truth, MODEL),
    ];
    panels.extend(ahead::panels(&loaded, &generator, &streams)?);
    let mut beyond = Vec::new();
    for shown in &shown {
        let (panel, outside) = estimates::panel(shown.variant, &generator_of(&shown.run)?.parameters());
        panels.push(panel);
        if outside > 0 {
            beyond.push(format!("{outside} of “{}”", shown.variant.name));
        }
    }
    let seeds = summary
        .variants
        .iter()
        .map(|variant| variant.seeds.len())
        .max()
        .unwrap_or(0);
    let caption = format!(
        "Above, seed {} of “{}”: mean and central 95 % of {PARTICLES} particles, of training states and of the next test \
         observations; dashed, the truth. Below, estimates of {seeds} runs (grey), their mean and standard deviation (blue), and \
         those of Schön, Wills & Ninness (2011; 104 runs) for a to d (orange).",
        run.address.seed, run.address.variant
    );
    let mut figure = Figure::new(&experiment.loaded.question, 3, panels)
        .caption(caption)
        .row_height(470.0);
    if !beyond.is_empty() {
        figure = figure.note(format!(
            "Not shown, further than {} % from the truth: {} estimates.",
            estimates::REACH,
            beyond.join(", ")
        ));
    }
    Ok(figure)
}

/// The generator of the data of `run`.
fn generator_of(run: &PlannedRun) -> Result<Growth> {
    let generator = run.spec.data.source.get::<Growth>();
    generator.ok_or_else(|| unexpected("growth", "`data.source` = \"growth\""))
}

/// The distribution at one step: time from 1, lower end, mean, upper end.
type Belief = (f64, f64, f64, f64);

/// Mean and central 95 % of weighted states.
fn belief(t: usize, mut states: Vec<(f64, f64)>) -> Belief {
    states.sort_by(|a, b| a.0.total_cmp(&b.0));
    let quantile = |level: f64| {
        let mut sum = 0.0;
        let reached = states.iter().find(|(_, weight)| {
            sum += weight;
            sum >= level
        });
        reached.or(states.last()).map_or(f64::NAN, |state| state.0)
    };
    let mean = states.iter().map(|(x, weight)| x * weight).sum();
    (t as f64 + 1.0, quantile(0.025), mean, quantile(0.975))
}

fn trajectory(title: &str, beliefs: Vec<Belief>, truth: &[Point], color: Color) -> Panel {
    let mut panel = Panel::new(title, Axis::linear("step"), Axis::linear("state"));
    believed(&mut panel, &beliefs, color);
    panel.line(truth, Stroke::oracle());
    panel
}

/// The band and the line of means of `beliefs`.
fn believed(panel: &mut Panel, beliefs: &[Belief], color: Color) {
    let band: Vec<_> = beliefs.iter().map(|b| (b.0, b.1, b.3)).collect();
    let middle: Vec<Point> = beliefs.iter().map(|b| (b.0, b.2)).collect();
    panel
        .band(&band, color.alpha(0.25))
        .line(&middle, Stroke::solid(color).width(3.0));
}
