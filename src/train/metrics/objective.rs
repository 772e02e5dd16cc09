//! The training objective, the terms of the joint under the draws of the posterior, and how long training took.

use super::metric::{PER_DATUM, TRAIN};
use super::{Condition, Declared, Evaluator, Family, Tables};
use crate::Result;
use crate::data::Batch;
use crate::math::streams::Generator;
use crate::model::Joint;
use crate::train::evaluation::{Evaluation, Found, Part, scalar};
use crate::train::{Job, Trained};

/// A term of the log-joint, under the draws of the posterior.
const fn term(name: &'static str, title: &'static str, formula: &'static str, needs: &'static str) -> Declared {
    Declared {
        parts: &[],
        name,
        title,
        formula,
        needs,
        conditions: &[],
        unit: PER_DATUM,
        larger_is_better: None,
    }
}

const METRICS: &[Declared] = &[
    Declared {
        parts: &[],
        name: "train/objective",
        title: "training objective",
        formula: "mean over the training rows of `objective`, with samples of the current posterior; with its β, free nats and \
                  temperature of the step",
        needs: "every experiment has it",
        conditions: &[],
        unit: PER_DATUM,
        larger_is_better: Some(true),
    },
    term(
        "train/expected_log_prior",
        "expected log-prior",
        "mean over the training rows of Σ_s w_s log p_θ(z_s), z_s and w_s from the current posterior",
        "a model of independent rows",
    ),
    term(
        "train/expected_log_likelihood",
        "expected log-likelihood given z",
        "mean over the training rows of Σ_s w_s log p_θ(x|z_s), z_s and w_s from the current posterior",
        "a model of independent rows",
    ),
    term(
        "train/expected_log_initial",
        "expected log-density of the initial state",
        "Σ E_q[log p_θ(x_1)] over the training sequences / observed steps, q the current posterior",
        "a model of sequences",
    ),
    term(
        "train/expected_log_transition",
        "expected log-density of the transitions",
        "Σ_t E_q[log p_θ(x_{t+1} | x_t, u_t)] over the training sequences / observed steps, q the current posterior",
        "a model of sequences",
    ),
    term(
        "train/expected_log_emission",
        "expected log-density of the emissions",
        "Σ_t E_q[log p_θ(o_t | x_t, u_t)] over the training sequences / observed steps, q the current posterior",
        "a model of sequences",
    ),
    Declared {
        parts: &[],
        name: "posterior/acceptance_rate",
        title: "acceptance rate",
        formula: "accepted proposals / all proposals of the Markov chains, over the training rows",
        needs: "`posterior.kind = \"hamiltonian\"`",
        conditions: &[Condition {
            what: "Markov chains",
            write: "`posterior.kind = \"hamiltonian\"`",
            holds: |tables| tables.posterior.facts().has_acceptance_rate,
        }],
        unit: "fraction",
        larger_is_better: None,
    },
    Declared {
        parts: &[],
        name: "steps",
        title: "training steps",
        formula: "optimiser steps (`adam`) or sweeps over the data (`em`) that training took",
        needs: "every experiment has it",
        conditions: &[],
        unit: "steps",
        larger_is_better: None,
    },
];

/// The family.
pub(super) struct Objective;

impl Family for Objective {
    fn declared(&self) -> &'static [Declared] {
        METRICS
    }

    fn evaluator<'a>(&self, evaluation: Evaluation<'a>) -> Option<Box<dyn Evaluator + 'a>> {
        Some(Box::new(Computation {
            evaluation,
            generator: evaluation.job.streams.named("evaluation").at(evaluation.step),
            means: Vec::new(),
        }))
    }

    fn of_trained(&self, _job: &Job, trained: &Trained, _tables: &Tables) -> Result<Vec<(String, f64)>> {
        Ok(vec![("steps".to_owned(), trained.steps as f64)])
    }
}

struct Computation<'a> {
    evaluation: Evaluation<'a>,
    /// Draws of the posterior.
    generator: Generator,
    /// Means over the visited training rows, times their share of all training rows.
    means: Vec<(String, f64)>,
}

impl Evaluator for Computation<'_> {
    fn visits(&self, part: &Part) -> bool {
        part.name == TRAIN.name
    }

    fn visit(&mut self, part: &Part, joint: &dyn Joint, rows: &Batch) -> Result<()> {
        let Evaluation { job, theta, step, .. } = self.evaluation;
        let draws = job.posterior.draws(joint, theta, step, &mut self.generator)?;
        let share = rows.len() as f64 / part.data.len() as f64;
        let value = job.objective.value(joint, step, || Ok(draws.clone()))?;
        let mut all = vec![("train/objective".to_owned(), value)];
        for (name, term) in joint.terms(&draws.latents)? {
            all.push((format!("train/expected_log_{name}"), draws.expectation(&term)?));
        }
        let rate = draws.acceptance_rate;
        all.extend(rate.map(|rate| ("posterior/acceptance_rate".to_owned(), rate)));
        for (i, (name, values)) in all.into_iter().enumerate() {
            let mean = scalar(&rows.mean(&values)?)? * share;
            match self.means.get_mut(i) {
                Some((_, sum)) => *sum += mean,
                None => self.means.push((name, mean)),
            }
        }
        Ok(())
    }

    fn finish(&mut self, found: &mut Found) -> Result<()> {
        for (name, value) in self.means.drain(..) {
            found.push(name, value);
        }
        Ok(())
    }
}
