//! Training by gradient steps on batches.
//!
//! Rows are shuffled once per pass (stream `batches`, one index per pass) and split into batches; left-over rows are
//! not used in that pass. Windows of sequences are drawn anew in each pass, by the same stream. Draws of the posterior at step t
//! come from stream `posterior`, index t. So the only state of a run is its step, its parameters, the optimiser's moments, and the
//! episodes that it has collected. Passes begin anew after each round of collection k (stream `batches/k`).

mod collection;
mod starts;
mod state;

use super::{AdamConfig, Job, Observer, State, Trained, evaluation, fit, metrics, note_instability, note_schedules};
use crate::data::{Batch, Batches};
use crate::math::streams::Stream;
use crate::model::Joint;
use crate::nn::{Adam, AdamSettings, Parameters, backward, normal};
use crate::{Error, Result};
use candle_core::{DType, Device, Tensor};
use collection::Collected;
use rand::seq::SliceRandom;
use starts::{Explored, explore};

/// Trains by Adam; see [`super::train`].
pub(super) fn train(
    job: &Job,
    config: &AdamConfig,
    resume: Option<State>,
    observer: &mut dyn Observer,
) -> Result<Trained> {
    let mut explored = Explored::of(resume.as_ref())?;
    // A record begins after the choice of a start.
    let resume = resume.filter(|_| !explored.is_open(config));
    let fresh = resume.is_none();
    if fresh {
        explore(job, config, &mut explored, observer)?;
    }
    let before = match config.starts {
        1 => 0,
        starts => starts * starts::trial(config),
    };
    let start = explored.start();
    let mut run = Run::new(job, config, explored, start, resume)?;
    let mut metrics = None; // of the current step
    if fresh {
        metrics = Some(run.evaluate(&[], observer)?);
    }
    while run.step < config.steps && !run.out_of_patience() {
        run.advance()?;
        metrics = None;
        observer.progressed(before + run.step, before + config.steps);
        let stop = observer.interrupted() && run.step < config.steps;
        let round = run.collect()?;
        if run.step.is_multiple_of(config.evaluate_every) || run.step == config.steps {
            metrics = Some(run.evaluate(&round, observer)?);
        } else if !round.is_empty() {
            observer.evaluated(run.step, &round)?;
            observer.checkpoint(false, &|| run.state())?;
        }
        if stop {
            observer.checkpoint(true, &|| run.state())?;
            return Err(Error::Interrupted);
        }
    }
    observer.checkpoint(true, &|| run.state())?;
    Ok(Trained {
        steps: run.step,
        // With early stopping, the parameters to use may be older than the last evaluation.
        metrics: metrics.filter(|_| run.best.is_none()),
        round: run.last_round(),
        theta: run.into_theta(),
    })
}

/// The best evaluation so far, by validation log-likelihood.
struct Best {
    theta: Parameters,
    value: f64,
    evaluations_since: u64,
}

struct Run<'a> {
    job: &'a Job<'a>,
    config: &'a AdamConfig,
    explored: Explored,
    device: Device,
    step: u64,
    /// The objective of the last step's batch.
    value: f64,
    theta: Parameters,
    adam: Adam,
    average: Option<Parameters>,
    stale: Option<Parameters>,
    best: Option<Best>,
    /// The training rows now.
    rows: Batches<'a>,
    collected: Collected,
    /// The step since which they are these.
    since: u64,
    shuffled: Option<(u64, Batches<'a>)>,
    shuffles: Stream,
    draws: Stream,
    model_samples: Stream,
    /// Noise of the given and of the observed columns.
    noise: [Stream; 2],
}

impl<'a> Run<'a> {
    fn new(
        job: &'a Job,
        config: &'a AdamConfig,
        explored: Explored,
        start: u64,
        resume: Option<State>,
    ) -> Result<Self> {
        let (dtype, device) = job.training.placement()?;
        let train = &job.splits.train;
        let mut theta = job.model.initial(train, job.streams, start, dtype, &device)?;
        job.posterior
            .initial(job.model, train, &job.streams.of_start(start), &mut theta)?;
        let settings = AdamSettings {
            weight_decay: config.weight_decay,
            ..AdamSettings::default()
        };
        let adam = Adam::new(&theta, settings)?;
        let average = (config.averaging > 0.0).then(|| theta.snapshot()).transpose()?;
        let mut run = Self {
            job,
            config,
            explored,
            step: 0,
            value: f64::NAN,
            theta,
            adam,
            average,
            stale: None,
            best: None,
            rows: Batches::new(&job.splits.train, dtype, &device).repeated(config.batch_size)?,
            collected: Collected::default(),
            since: 0,
            shuffled: None,
            shuffles: job.streams.named("batches"),
            draws: job.streams.named("posterior"),
            model_samples: job.streams.named("dreams"),
            noise: [job.streams.named("noise/given"), job.streams.named("noise/observed")],
            device,
        };
        if let Some(state) = resume {
            run.restore(&state)?;
        }
        run.follow_schedules()?;
        Ok(run)
    }

    /// Sets what follows a schedule to its values at this step.
    fn follow_schedules(&self) -> Result<()> {
        let share = self.step as f64 / self.config.steps.max(1) as f64;
        let all = [Some(&self.theta), self.average.as_ref()];
        all.into_iter()
            .flatten()
            .try_for_each(|theta| self.job.schedule(theta, share))
    }

    /// Collects the episodes of a round if one is due after this step; its metrics, none if none is.
    fn collect(&mut self) -> Result<Vec<(String, f64)>> {
        let Some(config) = &self.config.collection else {
            return Ok(Vec::new());
        };
        if !self.step.is_multiple_of(config.every) || self.step == self.config.steps {
            return Ok(Vec::new());
        }
        let theta = self.average.as_ref().unwrap_or(&self.theta);
        self.collected.extend(self.job, config, theta, self.step)?;
        self.take_collected()?;
        Ok(self.last_round())
    }

    /// Trains on the episodes that have been collected, too.
    fn take_collected(&mut self) -> Result<()> {
        let Some(config) = self.config.collection.as_ref().filter(|_| !self.collected.is_empty()) else {
            return Ok(());
        };
        let round = (self.step / config.every).min((self.config.steps - 1) / config.every);
        let rows = Batches::owning(self.collected.with_initial(self.job)?, self.theta.dtype(), &self.device);
        self.rows = rows.repeated(self.config.batch_size)?;
        self.since = round * config.every;
        self.shuffles = self.job.streams.named(&format!("batches/{round}"));
        self.shuffled = None;
        Ok(())
    }

    /// The metrics of the last round of collection; none without one.
    fn last_round(&self) -> Vec<(String, f64)> {
        let config = self.config.collection.as_ref().filter(|_| !self.collected.is_empty());
        config.map_or_else(Vec::new, |config| self.collected.metrics(self.job, config))
    }

    /// One step of the optimiser.
    fn advance(&mut self) -> Result<()> {
        if self.job.posterior.common().refresh_every > 1
            && self.step.is_multiple_of(self.job.posterior.common().refresh_every)
        {
            self.stale = Some(self.theta.snapshot()?);
        }
        let mut batch = self.next_batch()?;
        self.add_noise(&mut batch)?;
        let loss = self.loss(&batch)?;
        self.value = -evaluation::scalar(&loss)?;
        let gradients = backward(&loss)?;
        let rate = self.config.learning_rate_at(self.step);
        let norm = self
            .adam
            .step(&self.theta, &gradients, rate, self.config.gradient_clip)?;
        if !norm.is_finite() {
            return Err(self.non_finite("the gradient's norm", norm));
        }
        if let Some(average) = &self.average {
            // The decay rate is smaller in the first steps, so the average forgets the initial values.
            let keep = self
                .config
                .averaging
                .min((1.0 + self.step as f64) / (10.0 + self.step as f64));
            for ((_, mean), (_, now)) in average.iter().zip(self.theta.iter()) {
                mean.set(&((mean.as_tensor() * keep)? + (now.as_tensor() * (1.0 - keep))?)?)?;
            }
        }
        self.step += 1;
        self.follow_schedules()
    }

    /// Minus the objective's mean over `batch`, a scalar.
    fn loss(&self, batch: &Batch) -> Result<Tensor> {
        let joint = self.job.model.joint(&self.theta, batch)?;
        let draws = |joint: &dyn Joint| {
            let generator = &mut self.draws.at(self.step);
            match &self.stale {
                Some(stale) => {
                    let older = self.job.model.joint(stale, batch)?;
                    (self.job.posterior).draws(older.as_ref(), &self.theta, self.step, generator)
                }
                None => (self.job.posterior).draws(joint, &self.theta, self.step, generator),
            }
        };
        let samples = &mut self.model_samples.at(self.step);
        let rows = (batch, joint.as_ref());
        let values = fit::objective(self.job, &self.theta, rows, self.step, samples, draws)?;
        let mean = batch.mean(&values)?;
        let value = evaluation::scalar(&mean)?;
        if !value.is_finite() {
            // Only a finite latent can be evaluated at all its values.
            let terms = joint.terms(&crate::model::Latents::All).unwrap_or_default();
            let broken = terms.iter().find(|(_, term)| evaluation::is_broken(term));
            let term = broken.map_or("the objective".to_owned(), |(name, _)| format!("the term `{name}`"));
            return Err(self.non_finite(&term, value));
        }
        Ok(mean.neg()?)
    }

    fn non_finite(&self, term: &str, value: f64) -> Error {
        Error::NonFinite {
            term: term.to_owned(),
            value,
            step: self.step,
            seed: self.job.streams.seed(),
        }
    }

    /// The rows of this step.
    fn next_batch(&mut self) -> Result<Batch> {
        let size = self.config.batch_size;
        let rows = match self.config.window {
            Some(window) => self.rows.windows(window),
            None => self.rows.len(),
        };
        let size = size.min(rows);
        if size == rows && self.config.window.is_none() {
            return self.rows.narrow(0, rows);
        }
        let batches_per_pass = (rows / size) as u64;
        let since = self.step - self.since;
        let (pass, batch) = (since / batches_per_pass, since % batches_per_pass);
        let shuffled = match self.shuffled.take().filter(|(of, _)| *of == pass) {
            Some(shuffled) => shuffled,
            None => {
                let numbers = &mut self.shuffles.at(pass);
                let mut order: Vec<u32> = (0..rows as u32).collect();
                order.shuffle(numbers);
                let all = match self.config.window {
                    Some(window) => &self.rows.in_windows(window, numbers),
                    None => &self.rows,
                };
                (pass, all.ordered(order)?)
            }
        };
        let part = shuffled.1.narrow(batch as usize * size, size)?;
        self.shuffled = Some(shuffled);
        Ok(part)
    }

    /// Adds the noise of this step to the rows of `batch`, if there is any.
    fn add_noise(&self, batch: &mut Batch) -> Result<()> {
        let AdamConfig {
            given_noise,
            observed_noise,
            ..
        } = *self.config;
        let noisy = |rows: &Tensor, deviation: f64, stream: &Stream| -> Result<Tensor> {
            let noise = normal(stream.at(self.step), rows.shape(), DType::F64, &Device::Cpu)?;
            let noise = (noise * deviation)?.to_dtype(rows.dtype())?;
            Ok((rows + noise.to_device(&self.device)?)?)
        };
        if let Some(given) = batch.given.as_mut().filter(|_| given_noise > 0.0) {
            *given = noisy(given, given_noise, &self.noise[0])?;
        }
        if observed_noise > 0.0 {
            batch.observed = noisy(&batch.observed, observed_noise, &self.noise[1])?;
        }
        Ok(())
    }

    /// The parameters that are evaluated and kept: the average if there is one.
    fn current(&self) -> &Parameters {
        self.average.as_ref().unwrap_or(&self.theta)
    }

    /// Evaluates the current parameters, and reports their metrics beside those of a `round` of collection after this step.
    fn evaluate(&mut self, round: &[(String, f64)], observer: &mut dyn Observer) -> Result<Vec<(String, f64)>> {
        let metrics = evaluation::evaluate(self.job, self.current(), self.step)?;
        // While a schedule changes the objective, evaluations cannot be compared, so none of them is the best so far.
        if self.config.early_stopping.is_some() && self.step >= self.job.schedules_end() {
            let value = metrics::validation(self.job, &metrics)?;
            match &mut self.best {
                Some(best) if value <= best.value || value.is_nan() => best.evaluations_since += 1,
                _ => {
                    self.best = Some(Best {
                        theta: self.current().snapshot()?,
                        value,
                        evaluations_since: 0,
                    })
                }
            }
            if self.out_of_patience() {
                observer.noted(
                    self.step,
                    &format!("stopped early: validation has not improved since step {}", {
                        let since = self.best.as_ref().map_or(0, |best| best.evaluations_since);
                        self.step.saturating_sub(since * self.config.evaluate_every)
                    }),
                )?;
            }
        }
        if self.step == self.config.steps {
            note_schedules(self.job, self.step, observer)?;
            note_instability(self.job, self.current(), self.step, observer)?;
        }
        observer.evaluated(self.step, &[&metrics[..], round].concat())?;
        observer.checkpoint(false, &|| self.state())?;
        Ok(metrics)
    }

    fn out_of_patience(&self) -> bool {
        match (&self.config.early_stopping, &self.best) {
            (Some(stopping), Some(best)) => best.evaluations_since >= stopping.patience,
            _ => false,
        }
    }

    fn into_theta(self) -> Parameters {
        match (self.best, self.average) {
            (Some(best), _) => best.theta,
            (None, Some(average)) => average,
            (None, None) => self.theta,
        }
    }
}
