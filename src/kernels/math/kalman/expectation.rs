//! The expectation step of learning in one pass: the results of [`Filtered`](super::Filtered), its smoother and
//! [`Statistics`], without storing the beliefs; or the statistics of stored beliefs.

use super::beliefs::{Beliefs, Chains, reverses};
use super::filter::{FilteredBlock, Linear, Schedule};
use super::sequences::Block;
use super::sums::Sums;
use super::{Sequences, Statistics, System};
use crate::Result;
use crate::math::parallel;

/// `log p(o | u)` of every sequence, and the moments of learning under the smoother's beliefs. Up to `threads` threads
/// of the current rayon pool share the work; the numbers do not depend on how many.
///
/// # Errors
/// If sizes do not fit, an innovation's covariance is not positive definite, or there are too many patterns of missing
/// entries.
pub fn expectation(system: &System, sequences: &Sequences, threads: usize) -> Result<(Vec<f64>, Statistics)> {
    let (states, linear) = (system.states(), Linear::new(system));
    let mut sums = Sums::new(sequences, states)?;
    // While one thread computes the data-independent part, another filters the second half of the blocks. The thread
    // that smooths a block has just filtered it.
    let early = match threads {
        ..2 => sequences.blocks.len(),
        _ => sequences.blocks.len() / 2,
    };
    let (early, late) = sequences.blocks.split_at(early);
    // The schedule runs on one thread. Meanwhile the other threads start and allocate the means.
    let schedule = || Schedule::new(system, sequences, true);
    let tables = || parallel::map(late.iter().collect(), threads, |block| linear.tables(block));
    let (schedule, tables) = parallel::both(threads, schedule, tables);
    let Schedule { gains, steps } = schedule?;
    let (early_steps, late_steps) = steps.split_at(early.len());
    let reverses = || reverses(system, &gains, steps.iter().map(Vec::as_slice));
    let filter = || {
        let late = late.iter().zip(late_steps).zip(tables).collect();
        parallel::map(late, threads, |((block, steps), tables): ((_, &Vec<u32>), _)| {
            linear.filter(sequences, block, &gains, steps.clone(), tables)
        })
    };
    let (reverses, filtered) = parallel::both(threads, reverses, filter);

    let moments = |block: &Block, filtered: FilteredBlock| {
        let means = filtered.smoothed(block, &reverses);
        Sums::of_means(sequences, block, states, &means, &vec![1.0; block.members.len()])
    };
    let whole = || {
        parallel::map(early.iter().zip(early_steps).collect(), threads, |(block, steps)| {
            let (filtered, own) = linear.filter(sequences, block, &gains, steps.clone(), linear.tables(block));
            (moments(block, filtered), own)
        })
    };
    let rest = || {
        parallel::map(
            late.iter().zip(filtered).collect(),
            threads,
            |(block, (filtered, own))| (moments(block, filtered), own),
        )
    };
    let spreads = || {
        let Chains { spreads, chains } = Chains::new(sequences, &gains, &reverses, &steps);
        let weights: Vec<Vec<f64>> = sequences
            .blocks
            .iter()
            .map(|block| vec![1.0; block.members.len()])
            .collect();
        let chains = sequences.blocks.iter().zip(&chains).zip(&weights);
        let chains = chains.map(|((block, chains), weights)| (block, &**chains, &**weights));
        sums.add_chains(sequences, &spreads, chains);
    };
    let (whole, (rest, ())) = parallel::both(threads, whole, || parallel::both(threads, rest, spreads));

    let mut log_likelihood = vec![0.0; sequences.count()];
    for (block, (part, own)) in sequences.blocks.iter().zip(whole.into_iter().chain(rest)) {
        for (&i, value) in block.members.iter().zip(own) {
            log_likelihood[i] = value;
        }
        sums.add(part);
    }
    Ok((log_likelihood, sums.finish(sequences)))
}

impl Statistics {
    /// The moments of `sequences` under `beliefs`; where `weights` (≥ 0, one per sequence) are given, each sequence
    /// counts that often.
    pub fn new(sequences: &Sequences, beliefs: &Beliefs, weights: Option<&[f64]>) -> Result<Self> {
        let mut sums = Sums::new(sequences, beliefs.states)?;
        let weights: Vec<Vec<f64>> = sequences
            .blocks
            .iter()
            .map(|block| block.members.iter().map(|&i| weights.map_or(1.0, |w| w[i])).collect())
            .collect();
        let blocks = || sequences.blocks.iter().zip(&beliefs.blocks).zip(&weights);
        for ((block, own), weights) in blocks() {
            sums.add(Sums::of_means(sequences, block, beliefs.states, &own.means, weights));
        }
        let chains = blocks().map(|((block, own), weights)| (block, &*own.chains, &**weights));
        sums.add_chains(sequences, &beliefs.spreads, chains);
        Ok(sums.finish(sequences))
    }
}
