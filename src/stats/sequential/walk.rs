//! The random walk of a sum of differences with random signs, tested at several looks.
//!
//! With the sizes of the differences given, the distribution of the sum is known exactly: each difference moves it by
//! its size up or down with probability ½. A look removes the walks that it rejects. Sums are counted in cells, so that
//! the distribution is a table.

/// The size of the largest difference of the first look, in cells.
pub const CELLS: f64 = 128.0;
/// A difference counts as at most this many cells: one huge difference must not make the table huge.
const MOST_CELLS: f64 = 16.0 * CELLS;

/// Which sums are evidence against the null hypothesis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sides {
    /// Large and small ones.
    Both,
    /// Large ones.
    Upper,
}

/// Replays all looks, each given by its number of values and the error that may be spent up to it: whether one of them
/// rejected that `values` are symmetric about zero, and if so, whether their sum was positive. For [`Sides::Upper`] the
/// null hypothesis is that they are symmetric about zero or a negative number.
pub(super) fn reject(values: &[f64], looks: &[(usize, f64)], sides: Sides) -> Option<bool> {
    // The first look with a difference sets the cell.
    let largest = looks.iter().find_map(|(pairs, _)| {
        let seen = values.get(..*pairs)?;
        let largest = seen.iter().fold(0.0, |largest: f64, d| largest.max(d.abs()));
        (largest > 0.0).then_some(largest)
    })?;
    let mut walk = Walk::default();
    let mut seen = 0;
    for &(pairs, allotted) in looks {
        for value in values.get(seen..pairs)? {
            walk.step((value / largest * CELLS).clamp(-MOST_CELLS, MOST_CELLS).round() as i64);
        }
        seen = pairs;
        if let Some(positive) = walk.look(allotted, sides) {
            return Some(positive);
        }
    }
    None
}

/// The random walk of the counted sum under the null hypothesis, and the observed sum.
#[derive(Debug)]
struct Walk {
    /// The probability of each sum from −reach to reach, of the walks that no look has rejected. `[2 reach + 1]`
    alive: Vec<f64>,
    reach: usize,
    /// The probability of the walks that a look has rejected.
    spent: f64,
    sum: i64,
}

impl Default for Walk {
    fn default() -> Self {
        Self {
            alive: vec![1.0],
            reach: 0,
            spent: 0.0,
            sum: 0,
        }
    }
}

impl Walk {
    /// One more difference, in cells.
    fn step(&mut self, cells: i64) {
        self.sum += cells;
        let size = cells.unsigned_abs() as usize;
        if size == 0 {
            return;
        }
        let mut next = vec![0.0; self.alive.len() + 2 * size];
        for (next, alive) in next.iter_mut().zip(&self.alive) {
            *next = 0.5 * alive;
        }
        for (next, alive) in next[2 * size..].iter_mut().zip(&self.alive) {
            *next += 0.5 * alive;
        }
        (self.alive, self.reach) = (next, self.reach + size);
    }

    /// Spends at most the rest of `allotted`; returns whether the observed sum is rejected and, if so, whether it is
    /// positive.
    fn look(&mut self, allotted: f64, sides: Sides) -> Option<bool> {
        let budget = allotted - self.spent + 1e-12;
        let top = self.alive.len() - 1;
        let (mut taken, mut threshold) = (0.0, self.reach as i64 + 1);
        // From the largest |sum| inwards, as long as the budget lasts; a sum of zero is never rejected.
        for far in 0..self.reach {
            let here = match sides {
                Sides::Both => self.alive[far] + self.alive[top - far],
                Sides::Upper => self.alive[top - far],
            };
            if taken + here > budget {
                break;
            }
            taken += here;
            threshold = (self.reach - far) as i64;
        }
        for far in 0..=(self.reach as i64 - threshold).max(-1) {
            self.alive[top - far as usize] = 0.0;
            if sides == Sides::Both {
                self.alive[far as usize] = 0.0;
            }
        }
        self.spent += taken;
        let beyond = match sides {
            Sides::Both => self.sum.abs() >= threshold,
            Sides::Upper => self.sum >= threshold,
        };
        beyond.then_some(self.sum > 0)
    }
}
