//! Which part of an axis shows the values, if a few of them are far from all others.

/// Scores further from the quartiles than this many times their distance are far. (The outer fences of Tukey,
/// "Exploratory Data Analysis", 1977, are 3 of them away.)
pub(super) const FENCE: f64 = 4.0;
/// Without any distance between the quartiles, values further from them than this share of their size are far.
const SHARE: f64 = 4.0;
/// How far beyond the values, as a share of their range, a reference still counts as near.
const NEAR: f64 = 0.5;
/// Errors spread by this factor or more are shown on a logarithmic axis.
const DECADES: f64 = 100.0;
/// Blank space on both sides of the values, as a share of their range.
const ROOM: f64 = 0.05;

/// Smallest and largest finite value.
pub(super) fn range(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    values
        .into_iter()
        .filter(|value| value.is_finite())
        .fold(None, |range, value| {
            let (low, high) = range.unwrap_or((value, value));
            Some((low.min(value), high.max(value)))
        })
}

/// Smallest and largest value without those that are far from the others: `fence` times the distance of the quartiles.
pub(super) fn fenced(values: &[f64], fence: f64) -> Option<(f64, f64)> {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    // Halved first: the distance of the largest numbers overflows.
    let distance = |(low, high): (f64, f64)| 2.0 * (0.5 * high - 0.5 * low);
    let quartiles = (*sorted.get(n / 4)?, *sorted.get(3 * n / 4)?);
    // The quartiles may be equal: then the spread is that of wider quantiles.
    let trimmed = (n / 10).max(1).min((n - 1) / 2);
    let most = (sorted[trimmed], sorted[n - 1 - trimmed]);
    let spread = match (distance(quartiles), distance(most)) {
        (spread, _) if spread > 0.0 => fence * spread,
        (_, spread) if spread > 0.0 => 10.0 * fence * spread,
        _ => SHARE * quartiles.0.abs(),
    };
    let (from, to) = (quartiles.0 - spread, quartiles.1 + spread);
    range(sorted.into_iter().filter(|value| (from..=to).contains(value)))
}

/// The limits of an axis that shows `values`, without those far from all others, and every reference that is near.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Window {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
    /// Whether the axis is logarithmic.
    pub log: bool,
}

impl Window {
    /// The window of `values`; `positive` says that they are errors, for which factors count.
    pub fn new(values: &[f64], references: &[f64], positive: bool) -> Option<Self> {
        let above_zero = |value: &f64| *value > 0.0;
        let (smallest, largest) = range(values.iter().copied())?;
        let log = positive && values.iter().all(above_zero) && largest / smallest >= DECADES;
        let inner = |value: f64| if log { value.log10() } else { value };
        let inside: Vec<f64> = values.iter().map(|value| inner(*value)).collect();
        let (mut low, mut high) = fenced(&inside, FENCE)?;
        let reach = NEAR * (high - low);
        let (near_low, near_high) = (low - reach, high + reach);
        // Equal values have no differences that a far reference could compress.
        let still = high == low;
        for reference in references.iter().filter(|value| !log || above_zero(value)) {
            let reference = inner(*reference);
            if still || (near_low..=near_high).contains(&reference) {
                (low, high) = (low.min(reference), high.max(reference));
            }
        }
        let room = match high - low {
            0.0 if low == 0.0 => 1.0,
            0.0 => 0.05 * low.abs(),
            span => ROOM * span,
        };
        let outer = |value: f64| if log { 10f64.powf(value) } else { value };
        let window = Self {
            low: outer(low - room),
            high: outer(high + room),
            log,
        };
        (window.low < window.high).then_some(window)
    }

    /// The same window, reaching to `value`.
    pub fn reaching(mut self, value: f64) -> Self {
        let room = ROOM * (self.high - self.low);
        if value < self.low {
            self.low = value - room;
        }
        if value > self.high {
            self.high = value + room;
        }
        self
    }

    /// Whether it shows `value`.
    pub fn contains(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }

    /// The place at this share of the way from the lower end to the upper.
    pub fn at(&self, share: f64) -> f64 {
        match self.log {
            true => self.low * (self.high / self.low).powf(share),
            false => self.low + share * (self.high - self.low),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_diverged_value_is_far_and_ordinary_ones_are_not() {
        assert_eq!(
            fenced(&[1.0, 1.1, 1.2, 1.3, 1.0, 1.2, 1.1, -2e31], FENCE),
            Some((1.0, 1.3))
        );
        assert_eq!(fenced(&[1.0, 1.0, 1.0, 1.0, 1.0, 1.0, -2e31], FENCE), Some((1.0, 1.0)));
        // Success rates, most of them perfect.
        assert_eq!(
            fenced(&[1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.3, 0.98], FENCE),
            Some((0.3, 1.0))
        );
        // Two groups.
        assert_eq!(fenced(&[0.0, 0.0, 0.0, 1.0, 1.0, 1.0], FENCE), Some((0.0, 1.0)));
        assert_eq!(fenced(&[], FENCE), None);
        assert_eq!(fenced(&[f64::MAX, -f64::MAX], FENCE), Some((-f64::MAX, f64::MAX)));
    }

    #[test]
    fn far_references_do_not_squeeze_the_values() {
        let values = [1.20, 1.22, 1.24, 1.26];
        let window = Window::new(&values, &[0.1, 1.28], false).unwrap();
        assert!(window.contains(1.28) && !window.contains(0.1), "{window:?}");
        // No differences to compress: all are shown.
        let same = Window::new(&[2.0, 2.0], &[0.0, 3.0], false).unwrap();
        assert!(same.contains(0.0) && same.contains(3.0), "{same:?}");
    }

    #[test]
    fn errors_over_decades_are_logarithmic_and_scores_never() {
        let values = [0.001, 0.01, 0.1, 1.0];
        assert!(Window::new(&values, &[0.0], true).unwrap().log);
        assert!(!Window::new(&values, &[], false).unwrap().log);
        assert!(!Window::new(&[0.0, 0.1, 1.0], &[], true).unwrap().log);
    }
}
