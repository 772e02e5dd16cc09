//! A set of rows: its fields by role, observed and given, and the weights of its rows.

use super::Field;
use crate::math::kalman::Sequences;
use crate::{Error, Result};
use std::borrow::Cow;
use std::ops::Range;

/// Observed rows, with their given columns and weights. A clone, a part or a split shares the numbers of its fields.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Dataset {
    /// The observed columns: x of p(x), y of p(y|x). `[N, D]`, or images `[N, H, W, C]`
    pub observed: Field,
    /// The given columns: x of p(y|x); none for densities. `[N, C]`
    pub given: Option<Field>,
    /// The weight of each row, ≥ 0; none if all weights are 1. `[N]`
    pub weights: Option<Vec<f64>>,
    /// The generator's component of each row: for scoring and plotting, never for training. `[N]`
    pub labels: Option<Vec<usize>>,
    /// The generator's latent state of each row: for scoring, never for training. `[N, X]`
    pub states: Option<Field>,
    /// The demonstration that each row is a step of, if rows are steps of demonstrations that a model takes for
    /// independent. `[N]`
    pub episodes: Option<Vec<usize>>,
    /// The number of steps of each sequence, if rows are the steps of sequences, one sequence after another; NaN is
    /// then a missing value. None if rows are independent.
    pub lengths: Option<Vec<usize>>,
    /// The preceding steps, if this part was cut from a single sequence.
    pub before: Option<Box<Self>>,
}

impl Dataset {
    /// The number of rows, or of sequences if rows are their steps.
    pub fn len(&self) -> usize {
        self.lengths.as_ref().map_or(self.observed.rows(), Vec::len)
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.observed.rows() == 0
    }

    /// The weight of row (or sequence) `i`.
    pub fn weight(&self, i: usize) -> f64 {
        self.weights.as_ref().map_or(1.0, |weights| weights[i])
    }

    /// The sum of all weights: the number of data that the rows represent. A datum of a sequence is a step with at
    /// least one observed value.
    pub fn total_weight(&self) -> f64 {
        if self.lengths.is_some() {
            return self.seen(0..self.observed.rows()) as f64;
        }
        self.weights
            .as_ref()
            .map_or(self.len() as f64, |weights| weights.iter().sum())
    }

    /// The steps of each sequence, if rows are the steps of sequences.
    pub fn ranges(&self) -> Option<Vec<Range<usize>>> {
        let lengths = self.lengths.as_ref()?;
        let starts = starts(lengths).into_iter().zip(lengths);
        Some(starts.map(|(start, length)| start..start + length).collect())
    }

    /// The number of these steps with at least one observed value.
    pub fn seen(&self, steps: Range<usize>) -> usize {
        let is_seen = |&t: &usize| (0..self.observed.columns()).any(|j| !self.observed.value(t, j).is_nan());
        steps.filter(is_seen).count()
    }

    /// Mean and variance of every column of `field`, which has these rows, over the numbers that are there: values of
    /// sequences can be missing, and their steps have no weights. None for a column without values. `[D]`
    pub fn moments(&self, field: &Field) -> Vec<Option<(f64, f64)>> {
        let term = |i: usize, v: f64, term: f64| match (v.is_nan(), self.lengths.is_some()) {
            (true, _) => 0.0,
            (false, true) => term,
            (false, false) => self.weight(i) * term,
        };
        let totals = field.sums(|i, _, v| term(i, v, 1.0));
        let mean = |sums: Vec<f64>| -> Vec<f64> { sums.iter().zip(&totals).map(|(sum, total)| sum / total).collect() };
        let means = mean(field.sums(|i, _, v| term(i, v, v)));
        let variances = mean(field.sums(|i, j, v| term(i, v, (v - means[j]).powi(2))));
        let both = means.into_iter().zip(variances).zip(&totals);
        both.map(|(moments, total)| Some(moments).filter(|_| *total > 0.0))
            .collect()
    }

    /// The rows (or sequences) at `indices`, in that order.
    pub fn select(&self, indices: &[usize]) -> Self {
        if let Some(lengths) = &self.lengths {
            let starts = starts(lengths);
            let steps: Vec<usize> = indices
                .iter()
                .flat_map(|&i| starts[i]..starts[i] + lengths[i])
                .collect();
            return Self {
                observed: self.observed.select(&steps),
                given: self.given.as_ref().map(|given| given.select(&steps)),
                states: self.states.as_ref().map(|states| states.select(&steps)),
                lengths: Some(indices.iter().map(|&i| lengths[i]).collect()),
                ..Self::default()
            };
        }
        Self {
            lengths: None,
            before: None,
            observed: self.observed.select(indices),
            given: self.given.as_ref().map(|given| given.select(indices)),
            weights: self.weights.as_ref().map(|w| indices.iter().map(|&i| w[i]).collect()),
            labels: self.labels.as_ref().map(|l| indices.iter().map(|&i| l[i]).collect()),
            states: self.states.as_ref().map(|states| states.select(indices)),
            episodes: self.episodes.as_ref().map(|e| indices.iter().map(|&i| e[i]).collect()),
        }
    }
}

impl Dataset {
    /// Sequences of these `lengths`, whose steps are the rows, one sequence after another.
    pub fn of_sequences(observed: Field, given: Option<Field>, lengths: Vec<usize>) -> Self {
        Self {
            observed,
            given,
            lengths: Some(lengths),
            ..Self::default()
        }
    }

    /// These sequences, followed by `more` of the same columns in the same units; for training, without true states.
    pub fn followed_by(&self, more: &Self) -> Self {
        let given = self.given.as_ref().zip(more.given.as_ref());
        let lengths = self.lengths.as_ref().zip(more.lengths.as_ref());
        Self {
            observed: self.observed.above(&more.observed),
            given: given.map(|(first, rest)| first.above(rest)),
            lengths: lengths.map(|(first, rest)| [&first[..], &rest[..]].concat()),
            ..Self::default()
        }
    }

    /// The sequences in the form that state-space models use; an error if rows are independent.
    pub fn sequences(&self) -> Result<Sequences> {
        let lengths = self
            .lengths
            .as_ref()
            .ok_or_else(|| Error::Data("these rows are independent, not the steps of sequences".into()))?;
        let (inputs, columns) = self.given.as_ref().map_or((&[][..], 0), |u| (u.values(), u.columns()));
        Sequences::new(
            self.observed.values(),
            self.observed.columns(),
            inputs,
            columns,
            lengths,
        )
    }

    /// The first `steps` steps of a single sequence, and the rest.
    pub(super) fn cut(&self, steps: usize) -> (Self, Self) {
        let part = |range: Range<usize>| Self {
            observed: self.observed.part(range.clone()),
            given: self.given.as_ref().map(|given| given.part(range.clone())),
            states: self.states.as_ref().map(|states| states.part(range.clone())),
            lengths: Some(vec![range.len()]),
            ..Self::default()
        };
        let (first, mut rest) = (part(0..steps), part(steps..self.observed.rows()));
        rest.before = Some(Box::new(first.clone()));
        (first, rest)
    }

    /// The preceding steps and this part as one sequence, and the number of preceding steps.
    pub fn with_before(&self) -> (Cow<'_, Self>, usize) {
        let Some(before) = &self.before else {
            return (Cow::Borrowed(self), 0);
        };
        let seen = before.observed.rows();
        let given = before.given.as_ref().zip(self.given.as_ref());
        let whole = Self {
            observed: before.observed.above(&self.observed),
            given: given.map(|(first, rest)| first.above(rest)),
            lengths: Some(vec![seen + self.observed.rows()]),
            ..Self::default()
        };
        (Cow::Owned(whole), seen)
    }
}

/// The first step of each sequence.
pub(super) fn starts(lengths: &[usize]) -> Vec<usize> {
    let mut sum = 0;
    let start = |length: &usize| {
        sum += length;
        sum - length
    };
    lengths.iter().map(start).collect()
}
