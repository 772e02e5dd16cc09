//! *control*: the way that a planner takes in the true state, which it does not know: of each variant's trained model, of the
//! same planner with the true state, and of random actions.
//!
//! Where the true state is a place in the image, the goals stand behind; otherwise the panels are phase portraits, an angle
//! against its velocity. All agents start from the same states.

use super::shown::{Shown, shown};
use super::{sentence_case, unexpected};
use crate::control::planner::{Encoder, LatentAgent, TrueStatePlanner};
use crate::control::{Agent, UniformlyRandom, play, starts};
use crate::environment::EnvironmentKind;
use crate::error::provided;
use crate::figure::axis::Axis;
use crate::figure::chart::{Dot, Panel, Stroke};
use crate::figure::layout::Figure;
use crate::figure::number::fixed;
use crate::figure::theme::{self, ColorMap};
use crate::kind::Chosen;
use crate::math::streams::Streams;
use crate::runner::{Experiment, reload, summarize};
use crate::train::metrics::ControlConfig;
use crate::{Error, Result};
use latent_lab_envs::{Control, Episode, Episodes, Frames, Observations, Portrait, STEPS_IN_GOAL};
use rand::Rng;
use std::f64::consts::PI;

/// The figure's name.
const NAME: &str = "control";
/// Variants that are drawn, at most.
const VARIANTS: usize = 4;
/// How dark a goal or an obstacle is drawn behind a trajectory.
const FAINT: f64 = 0.35;

/// Draws a panel for each agent.
pub fn draw(experiment: &Experiment) -> Result<Figure> {
    let summary = summarize(experiment)?;
    let shown = shown(experiment, &summary)?;
    let mut panels = Vec::new();
    let first = shown.first().ok_or_else(|| unexpected(NAME, "a variant"))?;
    for (index, own) in shown.iter().take(VARIANTS).enumerate() {
        let (color, _) = theme::variant(index);
        panels.push(Played::by_model(own)?.panel(&sentence_case(&own.variant.name), color)?);
    }
    let oracle = Played::without_model(first, |control, controls| {
        let planner = control.planner.by_costs();
        Box::new(TrueStatePlanner { planner, controls })
    })?;
    let random = Played::without_model(first, |_, controls| Box::new(UniformlyRandom { controls }))?;
    panels.push(oracle.panel("True state", theme::ORACLE)?);
    panels.push(random.panel("Random actions", theme::BASELINE)?);
    let columns = panels.len();
    Ok(Figure::new(&summary.question, columns, panels).caption(format!(
        "The true states of all tasks; a dot marks each start. Each model plans in its own latent space and never sees the true \
         state. \"True state\" is the same planner with the simulator. Beside each name stands the percentage of steps in the goal, \
         or the mean return. Seed {}.",
        first.run.address.seed
    )))
}

/// The true states of all steps of all tasks of one agent.
struct Played {
    portrait: Portrait,
    /// `[task][step]`
    paths: Vec<Vec<(f64, f64)>>,
    /// The score in words.
    score: String,
    /// An image of each task's goal.
    goals: Frames,
}

impl Played {
    fn by_model(shown: &Shown) -> Result<Self> {
        let run = &shown.run;
        let loaded = reload(run)?;
        let observed = run.load_data(&loaded.streams)?.train.observed.columns();
        let (control, environment) = Self::task(shown)?;
        let controls = environment.declaration().action;
        let encoder = Encoder {
            model: loaded.model.as_ref(),
            theta: loaded.theta.constant(),
            posterior: &run.spec.posterior,
            steps: run.spec.training.steps(),
            standardization: &loaded.splits.standardization,
        };
        let keys = (control.cost, control.window, control.remembers_refused);
        let agent = LatentAgent::new(encoder, observed, controls, control.planner.clone(), keys)?;
        Self::of(&*environment, &agent, control.tasks, &loaded.streams)
    }

    /// Of an agent that no model is part of.
    fn without_model(shown: &Shown, agent: impl Fn(&ControlConfig, Vec<Control>) -> Box<dyn Agent>) -> Result<Self> {
        let (control, environment) = Self::task(shown)?;
        let agent = agent(&control, environment.declaration().action);
        Self::of(
            &*environment,
            agent.as_ref(),
            control.tasks,
            &Streams::new(shown.run.address.seed),
        )
    }

    /// `[evaluation.control]` with its environment.
    fn task(shown: &Shown) -> Result<(ControlConfig, Chosen<dyn EnvironmentKind>)> {
        let spec = &shown.run.spec;
        let needs = || unexpected(NAME, "a table `[evaluation.control]`");
        let control = spec.evaluation.control.clone().ok_or_else(needs)?;
        let environment = spec.tables().controlled().ok_or_else(needs)?;
        Ok((control, environment))
    }

    fn of(environment: &dyn EnvironmentKind, agent: &dyn Agent, tasks: usize, streams: &Streams) -> Result<Self> {
        let declaration = environment.declaration();
        let images = declaration
            .images
            .ok_or_else(|| unexpected(NAME, "an environment with images"))?;
        let mut generators = starts(tasks, streams);
        let mut generators: Vec<&mut dyn Rng> = generators.iter_mut().map(|rng| rng as &mut dyn Rng).collect();
        let mut episodes = environment.begin(&mut generators).map_err(Error::Other)?;
        let goals = provided(episodes.goals(), "images of goals")?;
        let mut paths = vec![Vec::new(); tasks];
        let mut note = |episodes: &dyn Episodes| {
            let Observations::Vectors { values, size } = episodes.observe();
            for (path, numbers) in paths.iter_mut().zip(values.chunks_exact(size.max(1))) {
                path.push(images.portrait.place(numbers));
            }
        };
        note(episodes.as_ref());
        play(episodes.as_mut(), agent, streams, &mut |episodes, _| note(episodes))?;
        let ends = episodes.episodes();
        let count = ends.len().max(1) as f64;
        let mean = |value: fn(&Episode) -> f64| ends.iter().map(value).sum::<f64>() / count;
        let score = match declaration.reward_unit == STEPS_IN_GOAL {
            true => {
                let share = mean(|end| 100.0 * end.total_reward / end.length.max(1) as f64);
                format!("{}\u{a0}%", fixed(share, 1))
            }
            false => format!("return {}", fixed(mean(|end| end.total_reward), 1)),
        };
        Ok(Self {
            portrait: images.portrait,
            score,
            paths,
            goals,
        })
    }

    fn panel(&self, name: &str, color: theme::Color) -> Result<Panel> {
        let title = format!("{name}: {}", self.score);
        let mut panel = match self.portrait {
            Portrait::Pixels { .. } => {
                let shape = self.goals.shape;
                let (width, height) = (shape.width as f64, shape.height as f64);
                let mut panel = Panel::new(
                    title,
                    Axis::linear("column in pixels").limits(0.0, width),
                    Axis::linear("row in pixels").limits(height, 0.0),
                )
                .equal_units();
                // The brightest of all tasks' goals.
                let bytes = shape.len().max(1);
                let brightest = |at: usize| self.goals.pixels.chunks_exact(bytes).map(|image| image[at]).max();
                let ink = |x: f64, y: f64| {
                    let (row, column) = ((y as usize).min(shape.height - 1), (x as usize).min(shape.width - 1));
                    f64::from(brightest((row * shape.width + column) * shape.frames).unwrap_or(0)) / 255.0 * FAINT
                };
                let cells = (shape.width, shape.height);
                panel.heat_to(ink, (0.0, width), (0.0, height), cells, 1.0, ColorMap::Density);
                panel
            }
            Portrait::Phase { .. } => Panel::new(
                title,
                Axis::linear("angle in rad").limits(-PI, PI),
                Axis::linear("velocity in rad/s"),
            ),
        };
        for path in &self.paths {
            // An angle that passes ±π begins a new line.
            for part in path.chunk_by(|a, b| (a.0 - b.0).abs() < PI || matches!(self.portrait, Portrait::Pixels { .. }))
            {
                panel.line(part, Stroke::solid(color).width(1.2));
            }
        }
        let begun: Vec<(f64, f64)> = self.paths.iter().filter_map(|path| path.first().copied()).collect();
        panel.points(&begun, Dot { color, radius: 3.0 });
        Ok(panel)
    }
}
