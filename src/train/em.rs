//! Expectation–maximisation: the E-step computes the posterior of all rows, the M-step maximises in closed form, and
//! both repeat.
//!
//! A run has converged when a sweep raises the lower bound by less than `tolerance`. There are two exceptions. Bounds
//! under different temperatures are different functions, so only bounds under the final temperature are compared. Near
//! a saddle point, such as coinciding components, the bound hardly changes while θ moves away at a growing rate, so a
//! sweep that moves θ further than the sweep before does not end the run.
//!
//! With several starts, each is first run to its end without a record. The one with the largest training likelihood is
//! then run again with a record. A run that is interrupted before that continues with the first unexplored start.

use super::{
    EmConfig, Job, Observer, State, Trained, evaluation, fact, metrics, note_instability, note_schedules, store, stored,
};
use crate::data::Batch;
use crate::model::{EStep, Improvement, Latent, Latents, Sweeps};
use crate::nn::Parameters;
use crate::{Error, Result};
use candle_core::{DType, Device};
use std::collections::BTreeMap;

/// Empty and collapsed components are reset only in the first sweeps: with more components than clusters in the data,
/// resets would never end.
const MENDING_SWEEPS: u64 = 50;

/// Trains by EM; see [`super::train`].
pub(super) fn train(
    job: &Job,
    config: &EmConfig,
    resume: Option<State>,
    observer: &mut dyn Observer,
) -> Result<Trained> {
    let closed_form = job.model.closed_form().ok_or(Error::Lacking("a closed-form M-step"))?;
    let has_draws = !job.posterior.is_exact_and_fresh();
    let rows = has_draws.then(|| Batch::whole(&job.splits.train, DType::F64, &Device::Cpu));
    let sweeps = closed_form.sweeps(&job.splits.train)?;
    let run = Run {
        job,
        config,
        sweeps,
        rows: rows.transpose()?,
    };
    let mut progress = Progress::read(resume.as_ref())?;
    run.explore(&mut progress, observer)?;
    run.record(progress, resume, observer)
}

/// The progress of exploring the starts.
#[derive(Debug, Clone, Copy)]
struct Progress {
    explored: u64,
    best_start: u64,
    best_value: f64,
}

impl Progress {
    fn read(state: Option<&State>) -> Result<Self> {
        let empty = State::default();
        let state = state.unwrap_or(&empty);
        Ok(Self {
            explored: fact(state, "explored_starts")?.unwrap_or(0),
            best_start: fact(state, "best_start")?.unwrap_or(0),
            best_value: fact(state, "best_start_value")?.unwrap_or(f64::NEG_INFINITY),
        })
    }

    fn write(&self, state: &mut State) {
        state.facts.insert("explored_starts".into(), self.explored.to_string());
        state.facts.insert("best_start".into(), self.best_start.to_string());
        state
            .facts
            .insert("best_start_value".into(), format!("{:e}", self.best_value));
    }
}

struct Run<'a> {
    job: &'a Job<'a>,
    config: &'a EmConfig,
    sweeps: Box<dyn Sweeps + 'a>,
    /// All rows, if the posterior draws from their joint.
    rows: Option<Batch>,
}

impl Run<'_> {
    fn first(&self, start: u64) -> Result<Parameters> {
        self.job.model.initial(
            &self.job.splits.train,
            self.job.streams,
            start,
            DType::F64,
            &Device::Cpu,
        )
    }

    /// One sweep from `theta`; a stale posterior uses `older`.
    fn sweep(&self, theta: &Parameters, older: &Parameters, start: u64, sweep: u64) -> Result<Improvement> {
        let job = self.job;
        let mut rng = job.streams.named(&format!("reseed/{start}")).at(sweep);
        let rng = (sweep < MENDING_SWEEPS).then_some(&mut rng);
        let Some(rows) = &self.rows else {
            return self.sweeps.improve(theta, EStep::Exact, job.threads, rng);
        };
        let joint = job.model.joint(older, rows)?;
        let numbers = &mut job.streams.named(&format!("posterior/{start}")).at(sweep);
        let draws = job.posterior.draws(joint.as_ref(), older, sweep, numbers)?;
        let responsibilities;
        let e_step = match (&draws.latents, job.model.latent()) {
            (Latents::Trajectories(beliefs), _) => EStep::Trajectories {
                beliefs,
                log_q: draws.total_log_q()?,
            },
            (_, Latent::Finite(components)) => {
                responsibilities = draws.responsibilities(components)?;
                EStep::Responsibilities(&responsibilities)
            }
            (other, _) => return Err(other.unexpected("responsibilities or trajectories")),
        };
        self.sweeps.improve(theta, e_step, job.threads, rng)
    }

    /// Runs one start from `theta`, after `done` sweeps, until it converges or ends. `each` gets every state when it is
    /// reached, and again once the next sweep has not ended the run.
    fn climb(
        &self,
        start: u64,
        mut theta: Parameters,
        done: u64,
        older: Option<Parameters>,
        mut previous: Option<Previous>,
        mut each: impl FnMut(&Climb, Stage) -> Result<()>,
    ) -> Result<Climb> {
        let refresh = self.job.posterior.common().refresh_every;
        let mut older = older.unwrap_or(theta.snapshot()?);
        let total = self.job.splits.train.total_weight();
        let scheduled = self.job.posterior.common().temperature.ends_at();
        let mut sweep = done;
        while sweep < self.config.steps {
            if sweep.is_multiple_of(refresh) {
                older = theta.snapshot()?;
            }
            let improvement = self.sweep(&theta, &older, start, sweep)?;
            let bound = improvement.lower_bound / total;
            if !bound.is_finite() {
                let seed = self.job.streams.seed();
                return Err(Error::NonFinite {
                    term: "the lower bound".into(),
                    value: bound,
                    step: sweep,
                    seed,
                });
            }
            let mended = !improvement.events.is_empty();
            let now = Previous {
                bound,
                moved: distance(&theta, &improvement.theta)?,
            };
            // A stale posterior must have been refreshed once before a small gain can mean convergence.
            let settled = refresh == 1 || sweep.is_multiple_of(refresh);
            let converged = previous.is_some_and(|previous| {
                let gain = (now.bound - previous.bound).abs();
                gain < self.config.tolerance && now.moved <= previous.moved.max(ROUNDING)
            });
            let mut climb = Climb {
                theta,
                older,
                sweep,
                previous,
                events: Vec::new(),
                converged: settled && !mended && converged,
            };
            if climb.converged {
                return Ok(climb);
            }
            if sweep > done {
                each(&climb, Stage::Passed)?;
            }
            previous = (!mended && sweep >= scheduled).then_some(now);
            sweep += 1;
            climb = Climb {
                theta: improvement.theta,
                sweep,
                previous,
                events: improvement.events,
                ..climb
            };
            each(&climb, Stage::Reached)?;
            (theta, older) = (climb.theta, climb.older);
        }
        Ok(Climb {
            theta,
            older,
            sweep,
            previous,
            events: Vec::new(),
            converged: false,
        })
    }

    /// Runs the unexplored starts without a record and keeps the best.
    fn explore(&self, progress: &mut Progress, observer: &mut dyn Observer) -> Result<()> {
        if self.config.starts == 1 {
            return Ok(());
        }
        while progress.explored < self.config.starts {
            let start = progress.explored;
            let end = self.climb(start, self.first(start)?, 0, None, None, |_, _| Ok(()))?;
            let value = metrics::score(self.job, &end.theta)?;
            if value > progress.best_value {
                (progress.best_start, progress.best_value) = (start, value);
            }
            progress.explored += 1;
            observer.progressed(progress.explored, self.config.starts + 1);
            let stop = observer.interrupted();
            observer.checkpoint(stop, &|| {
                let mut state = State::default();
                progress.write(&mut state);
                Ok(state)
            })?;
            if stop {
                return Err(Error::Interrupted);
            }
        }
        Ok(())
    }

    /// Runs the best start with evaluations and checkpoints.
    fn record(&self, progress: Progress, resume: Option<State>, observer: &mut dyn Observer) -> Result<Trained> {
        let start = progress.best_start;
        let resumed = match &resume {
            // The run stopped between its last checkpoint and its end; all lines have been written.
            Some(state) if state.facts.contains_key(ENDED) => {
                let theta = stored(state, "theta", &Device::Cpu)?;
                return Ok(Trained {
                    round: Vec::new(),
                    theta: theta.ok_or_else(|| Error::Record("the checkpoint has no parameters".into()))?,
                    steps: state.step,
                    metrics: None,
                });
            }
            Some(state) => stored(state, "theta", &Device::Cpu)?.map(|theta| (theta, state)),
            None => None,
        };
        let (theta, done, older, previous) = match resumed {
            Some((theta, state)) => (
                theta,
                state.step,
                stored(state, "stale", &Device::Cpu)?,
                Previous::read(state)?,
            ),
            None => {
                let theta = self.first(start)?;
                // With several starts the record begins after the choice; a checkpoint of step 0 ends step 0.
                if self.config.starts == 1 {
                    observer.evaluated(0, &evaluation::evaluate(self.job, &theta, 0)?)?;
                }
                (theta, 0, None, None)
            }
        };
        let state = |climb: &Climb, standing: &BTreeMap<String, u64>| -> Result<State> {
            let mut state = State {
                step: climb.sweep,
                ..State::default()
            };
            progress.write(&mut state);
            if let Some(Previous { bound, moved }) = climb.previous {
                state.facts.insert("previous_bound".into(), format!("{bound:e}"));
                state.facts.insert("previous_move".into(), format!("{moved:e}"));
            }
            if !standing.is_empty() {
                let texts = standing.iter().map(|(text, since)| format!("{since} {text}"));
                let texts: Vec<String> = texts.collect();
                state.facts.insert("standing_events".into(), texts.join("\n"));
            }
            store(&mut state.tensors, "theta", &climb.theta)?;
            if self.job.posterior.common().refresh_every > 1 {
                store(&mut state.tensors, "stale", &climb.older)?;
            }
            state.tensors.extend(self.job.model.natural(&climb.theta)?);
            Ok(state)
        };
        let mut evaluated = done;
        let mut standing = resume.as_ref().map(standing_events).unwrap_or_default();
        let end = self.climb(start, theta, done, older, previous, |climb, stage| {
            if stage == Stage::Passed {
                // The lines of a step are written before its checkpoint, because only now is it known that this is not
                // the last step.
                let stop = observer.interrupted();
                if stop || evaluated == climb.sweep {
                    observer.checkpoint(stop, &|| state(climb, &standing))?;
                }
                return if stop { Err(Error::Interrupted) } else { Ok(()) };
            }
            // An event that lasts for many sweeps is noted when it begins, and at the end.
            standing.retain(|text, _| climb.events.contains(text));
            for event in &climb.events {
                if !standing.contains_key(event) {
                    observer.noted(climb.sweep, event)?;
                    standing.insert(event.clone(), climb.sweep);
                }
            }
            observer.progressed(climb.sweep, self.config.steps);
            if climb.sweep.is_multiple_of(self.config.evaluate_every) {
                observer.evaluated(climb.sweep, &evaluation::evaluate(self.job, &climb.theta, climb.sweep)?)?;
                evaluated = climb.sweep;
            }
            Ok(())
        })?;
        for text in standing
            .iter()
            .filter(|(_, since)| **since < end.sweep)
            .map(|(text, _)| text)
        {
            observer.noted(end.sweep, text)?;
        }
        match end.converged {
            true => observer.noted(end.sweep, "converged")?,
            false => note_schedules(self.job, end.sweep, observer)?,
        }
        note_instability(self.job, &end.theta, end.sweep, observer)?;
        let mut metrics = None;
        if end.sweep > evaluated {
            let last = metrics.insert(evaluation::evaluate(self.job, &end.theta, end.sweep)?);
            observer.evaluated(end.sweep, last)?;
        }
        observer.checkpoint(true, &|| {
            let mut state = state(&end, &standing)?;
            state.facts.insert(ENDED.into(), "yes".into());
            Ok(state)
        })?;
        Ok(Trained {
            round: Vec::new(),
            theta: end.theta,
            steps: end.sweep,
            metrics,
        })
    }
}

/// The checkpoint's fact that training has ended.
const ENDED: &str = "ended";

/// When a state is passed to `each`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// A sweep has reached it.
    Reached,
    /// The next sweep is done and has not ended the run.
    Passed,
}

/// Distances in θ below this are rounding errors.
const ROUNDING: f64 = 1e-12;

/// The sweep before, for comparison.
#[derive(Debug, Clone, Copy)]
struct Previous {
    /// The lower bound before the sweep, in nats per datum.
    bound: f64,
    /// How far the sweep moved θ.
    moved: f64,
}

impl Previous {
    fn read(state: &State) -> Result<Option<Self>> {
        let (bound, moved) = (fact(state, "previous_bound")?, fact(state, "previous_move")?);
        Ok(bound.zip(moved).map(|(bound, moved)| Self { bound, moved }))
    }
}

/// ‖θ' − θ‖, the Euclidean distance of two parameter sets.
fn distance(theta: &Parameters, other: &Parameters) -> Result<f64> {
    let mut sum = 0.0;
    for ((_, a), (_, b)) in theta.iter().zip(other.iter()) {
        sum += evaluation::scalar(&(a.as_tensor() - b.as_tensor())?.sqr()?.sum_all()?)?;
    }
    Ok(sum.sqrt())
}

/// The lasting events of a checkpoint, with the sweep at which each began.
fn standing_events(state: &State) -> BTreeMap<String, u64> {
    let lines = state.facts.get("standing_events").map_or("", String::as_str).lines();
    let parsed = lines.filter_map(|line| {
        let (since, text) = line.split_once(' ')?;
        Some((text.to_owned(), since.parse().ok()?))
    });
    parsed.collect()
}

/// The state of one start.
struct Climb {
    theta: Parameters,
    older: Parameters,
    sweep: u64,
    /// The last sweep that the next one may be compared with; none after a component was reset, and while the
    /// temperature changes.
    previous: Option<Previous>,
    events: Vec<String>,
    converged: bool,
}
