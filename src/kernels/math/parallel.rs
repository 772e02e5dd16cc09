//! Work shared between threads, with results that do not depend on the number of threads.

use rayon::prelude::*;

/// `f` of every item, in order, by up to `threads` threads of the current rayon pool, each of which takes a run of
/// neighbouring items.
pub(super) fn map<T: Send, U: Send>(items: Vec<T>, threads: usize, f: impl Fn(T) -> U + Sync) -> Vec<U> {
    let (count, threads) = (items.len(), threads.max(1));
    if threads == 1 || count < 2 {
        return items.into_iter().map(f).collect();
    }
    let mut items = items.into_iter();
    let runs: Vec<Vec<T>> = (0..threads)
        .map(|t| {
            items
                .by_ref()
                .take((t + 1) * count / threads - t * count / threads)
                .collect()
        })
        .collect();
    let results: Vec<Vec<U>> = runs
        .into_par_iter()
        .with_max_len(1)
        .map(|run| run.into_iter().map(&f).collect())
        .collect();
    results.into_iter().flatten().collect()
}

/// Runs both, in parallel if `threads` allows it.
pub(super) fn both<A: Send, B: Send>(
    threads: usize,
    a: impl FnOnce() -> A + Send,
    b: impl FnOnce() -> B + Send,
) -> (A, B) {
    match threads {
        ..2 => (a(), b()),
        _ => rayon::join(a, b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Items come out in order, for any numbers of items and threads.
    #[test]
    fn order_is_kept() {
        for count in [0, 1, 2, 7, 64] {
            for threads in [0, 1, 2, 3, 100] {
                let squares = map((0..count).collect(), threads, |i: usize| i * i);
                assert_eq!(squares, (0..count).map(|i| i * i).collect::<Vec<_>>());
            }
        }
    }
}
