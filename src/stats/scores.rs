//! The final scores of one variant: runs × tasks. Tasks may have different numbers of runs, because runs can fail.

use crate::error::{Error, Result};

/// Finite scores, task by task. A comparison within one experiment has a single task.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    /// All scores, the runs of one task side by side.
    values: Vec<f64>,
    /// Where each task ends in `values`; the last end is the number of scores.
    ends: Vec<usize>,
}

impl Scores {
    /// The scores of several tasks, `tasks[task][run]`.
    ///
    /// # Errors
    /// [`Error::Data`] if there is no task, a task has no score, or a score is not finite.
    pub fn new(tasks: &[Vec<f64>]) -> Result<Self> {
        if tasks.is_empty() {
            return Err(Error::Data("no scores: expected at least one task".to_owned()));
        }
        let (mut values, mut ends) = (Vec::new(), Vec::new());
        for (task, scores) in tasks.iter().enumerate() {
            if scores.is_empty() {
                return Err(Error::Data(format!(
                    "task {task} has no scores: expected at least one finished run of every task"
                )));
            }
            if let Some((run, score)) = scores.iter().enumerate().find(|(_, score)| !score.is_finite()) {
                return Err(Error::Data(format!(
                    "the score of run {run} of task {task} is {score}: expected a finite number; count the run as failed"
                )));
            }
            values.extend(scores);
            ends.push(values.len());
        }
        Ok(Self { values, ends })
    }

    /// The scores of a single task.
    ///
    /// # Errors
    /// Those of [`Scores::new`].
    pub fn of_one_task(scores: &[f64]) -> Result<Self> {
        Self::new(&[scores.to_vec()])
    }

    /// The runs of all tasks together.
    pub fn pooled(&self) -> &[f64] {
        &self.values
    }

    /// The runs of each task.
    pub fn tasks(&self) -> impl ExactSizeIterator<Item = &[f64]> {
        (0..self.ends.len()).map(|task| &self.values[self.start(task)..self.ends[task]])
    }

    /// The number of runs of the task that has the fewest.
    pub fn fewest_runs(&self) -> usize {
        self.tasks().map(<[f64]>::len).min().unwrap_or(0)
    }

    /// Overwrites `self` with runs of `original` drawn with replacement, each task from its own runs. Both have the
    /// same numbers of runs.
    pub(super) fn resample(&mut self, original: &Self, generator: &mut impl rand::Rng) {
        use rand::RngExt;
        for task in 0..original.ends.len() {
            let runs = original.start(task)..original.ends[task];
            for slot in runs.clone() {
                self.values[slot] = original.values[generator.random_range(runs.clone())];
            }
        }
    }

    fn start(&self, task: usize) -> usize {
        if task == 0 { 0 } else { self.ends[task - 1] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::streams::Streams;

    #[test]
    fn a_score_that_is_no_number_is_refused_not_dropped() {
        for bad in [f64::NAN, f64::INFINITY] {
            let error = Scores::new(&[vec![1.0], vec![2.0, bad]]).unwrap_err().to_string();
            assert!(error.contains("run 1 of task 1") && error.contains("failed"), "{error}");
        }
        assert!(Scores::new(&[]).is_err());
        assert!(Scores::new(&[vec![1.0], vec![]]).is_err());
    }

    #[test]
    fn resampling_stays_within_the_task_and_reaches_every_run() {
        let scores = Scores::new(&[vec![1.0, 2.0, 3.0], vec![10.0, 20.0]]).unwrap();
        let mut resampled = scores.clone();
        let mut generator = Streams::new(0).named("test").at(0);
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..100 {
            resampled.resample(&scores, &mut generator);
            let tasks: Vec<_> = resampled.tasks().collect();
            assert!(tasks[0].iter().all(|x| [1.0, 2.0, 3.0].contains(x)));
            assert!(tasks[1].iter().all(|x| [10.0, 20.0].contains(x)));
            seen.extend(resampled.pooled().iter().map(|&x| x as u64));
        }
        assert_eq!(seen.len(), 5);
    }
}
