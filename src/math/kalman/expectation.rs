//! The expectation step of learning as one pass: what [`Filtered`](super::Filtered), its smoother and [`Statistics`] say,
//! without keeping the beliefs.

use super::beliefs::Backward;
use super::filter::{Linear, Schedule};
use super::sums::Sums;
use super::{Sequences, Statistics, System};
use crate::Result;
use crate::math::parallel;

/// `log p(o | u)` of every sequence, and the moments of learning under the smoother's beliefs. Up to `threads` threads of the
/// current rayon pool share the work; the numbers do not depend on how many.
///
/// # Errors
/// If sizes do not fit, an innovation's covariance is not positive definite, or there are too many patterns of missing
/// entries.
pub fn expectation(system: &System, sequences: &Sequences, threads: usize) -> Result<(Vec<f64>, Statistics)> {
    let states = system.states();
    let mut sums = Sums::new(sequences, states)?;
    let linear = Linear::new(system);
    // No thread can help another through the schedule; meanwhile the others wake up and make room for the means.
    let schedule = || Schedule::new(system, sequences, true);
    let tables = || parallel::map(sequences.blocks.iter().collect(), threads, |block| linear.tables(block));
    let (schedule, tables) = parallel::both(threads, schedule, tables);
    let Schedule { gains, steps } = schedule?;
    let backward = || Backward::new(system, sequences, &gains, &steps);
    let filter = || {
        let blocks = sequences.blocks.iter().zip(&steps).zip(tables).collect();
        parallel::map(blocks, threads, |((block, steps), tables): ((_, &Vec<u32>), _)| {
            linear.filter(sequences, block, &gains, steps.clone(), tables)
        })
    };
    let (backward, filtered) = parallel::both(threads, backward, filter);

    let mut log_likelihood = vec![0.0; sequences.count()];
    for (block, (_, own)) in sequences.blocks.iter().zip(&filtered) {
        block
            .members
            .iter()
            .zip(own)
            .for_each(|(&i, value)| log_likelihood[i] = *value);
    }
    let weights: Vec<Vec<f64>> = sequences
        .blocks
        .iter()
        .map(|block| vec![1.0; block.members.len()])
        .collect();
    let filtered = filtered.into_iter().map(|(filtered, _)| filtered);
    let blocks = sequences.blocks.iter().zip(filtered).zip(&weights).collect();
    let means = || {
        parallel::map(blocks, threads, |((block, filtered), weights)| {
            let means = filtered.smoothed(block, &backward.reverses);
            Sums::of_means(sequences, block, states, &means, weights)
        })
    };
    let spreads = || {
        let chains = sequences.blocks.iter().zip(&backward.chains).zip(&weights);
        let chains = chains.map(|((block, chains), weights)| (block, &**chains, &**weights));
        sums.add_chains(sequences, &backward.spreads, chains);
    };
    let (parts, ()) = parallel::both(threads, means, spreads);
    parts.into_iter().for_each(|part| sums.add(part));
    Ok((log_likelihood, sums.finish(sequences)))
}
