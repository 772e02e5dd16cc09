//! Axes: the range of the data, its map to [0, 1], and few, round, short tick labels.

use super::number::{exponential, fixed, number};

/// Values further out are drawn at this distance from zero, so that differences of limits stay finite.
const LARGEST: f64 = 1e300;
/// Smallest width of a range relative to its magnitude: labels need at most seven digits.
pub(super) const NARROWEST: f64 = 1e-6;
/// Powers of ten with these exponents are written out, unless another one on the axis is not.
const PLAIN: std::ops::RangeInclusive<i64> = -3..=4;

/// The quantity and scale along one direction of a panel.
#[derive(Debug, Clone, Default)]
pub struct Axis {
    pub(super) label: String,
    pub(super) limits: Option<(f64, f64)>,
    pub(super) log: bool,
    pub(super) names: Option<Vec<String>>,
    pub(super) calendar: bool,
}

impl Axis {
    /// A linear axis; the label names the quantity and its unit.
    pub fn linear(label: impl Into<String>) -> Self {
        Self {
            label: label.into(),
            ..Self::default()
        }
    }

    /// An axis of calendar years, which have no commas.
    pub fn years(label: impl Into<String>) -> Self {
        Self {
            calendar: true,
            ..Self::linear(label)
        }
    }

    /// A logarithmic axis; values that are not positive are left out.
    pub fn log(label: impl Into<String>) -> Self {
        Self {
            log: true,
            ..Self::linear(label)
        }
    }

    /// An axis of named rows at 0, 1, 2, …, from the top downwards if it is vertical.
    pub fn names(names: Vec<String>) -> Self {
        Self {
            limits: Some((names.len() as f64 - 0.5, -0.5)),
            names: Some(names),
            ..Self::default()
        }
    }

    /// Fixes the limits instead of fitting them to the data; the second may be the smaller one.
    pub fn limits(self, from: f64, to: f64) -> Self {
        Self {
            limits: Some((from, to)),
            ..self
        }
    }

    /// The scale for data in `extent`, padded by a small share unless the limits are fixed.
    pub(super) fn scale(&self, extent: Option<(f64, f64)>) -> Scale {
        match self.limits {
            Some((from, to)) if from.is_finite() && to.is_finite() => Scale::between(from, to, self.log),
            _ => Scale::around(extent, self.log),
        }
    }
}

/// A map from data to [0, 1].
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scale {
    /// Value, or its decimal logarithm, at 0 and at 1.
    from: f64,
    to: f64,
    log: bool,
}

/// One tick: a value and its label.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tick {
    pub value: f64,
    pub label: String,
}

impl Scale {
    /// From one value to another; widened if they are nearly equal.
    pub fn between(from: f64, to: f64, log: bool) -> Self {
        let inner = |v: f64| {
            let v = if v.abs() < 1.0 / LARGEST {
                0.0
            } else {
                v.clamp(-LARGEST, LARGEST)
            };
            if log { v.max(1.0 / LARGEST).log10() } else { v }
        };
        let (a, b) = (inner(from), inner(to));
        let least = NARROWEST * a.abs().max(b.abs());
        let (from, to) = if (b - a).abs() > least {
            (a, b)
        } else {
            let middle = 0.5 * (a + b);
            let half = if log {
                0.5
            } else if middle == 0.0 {
                1.0
            } else {
                0.1 * middle.abs()
            };
            (middle - half, middle + half)
        };
        Self { from, to, log }
    }

    /// Around the data's extent, with a small margin on both sides.
    fn around(extent: Option<(f64, f64)>, log: bool) -> Self {
        let (low, high) = extent.unwrap_or(if log { (1.0, 10.0) } else { (0.0, 1.0) });
        let mut scale = Self::between(low, high, log);
        let room = 0.04 * (scale.to - scale.from);
        scale.from -= room;
        scale.to += room;
        scale
    }

    /// Widens the range about its middle by a factor of at least 1.
    pub fn widened(self, factor: f64) -> Self {
        let (middle, half) = (
            0.5 * (self.from + self.to),
            0.5 * factor.max(1.0) * (self.to - self.from),
        );
        Self {
            from: middle - half,
            to: middle + half,
            ..self
        }
    }

    /// Data units (or decades) from one end to the other.
    pub fn span(&self) -> f64 {
        (self.to - self.from).abs()
    }

    /// Place of a value: 0 at the start, 1 at the end. None if it is not finite or, on a logarithmic axis, not
    /// positive.
    pub fn place(&self, value: f64) -> Option<f64> {
        let inner = match self.log {
            false => value.clamp(-LARGEST, LARGEST),
            true if value > 0.0 => value.clamp(1.0 / LARGEST, LARGEST).log10(),
            true => return None,
        };
        value.is_finite().then(|| (inner - self.from) / (self.to - self.from))
    }

    /// Ticks within the range, in increasing order: at most `most`, or up to five if fewer would leave less than two.
    pub fn ticks(&self, most: usize) -> Vec<Tick> {
        let (low, high) = (self.from.min(self.to), self.from.max(self.to));
        let most = most.max(2);
        if !self.log {
            return linear_ticks(low, high, most);
        }
        // 1, 2 and 5 of each decade if they are few, else powers of ten, else round values of the linear range.
        let decades = if high - low < 4.0 {
            low.floor() as i32..high.ceil() as i32 + 1
        } else {
            0..0
        };
        let fine: Vec<Tick> = decades
            .flat_map(|e| [1.0, 2.0, 5.0].map(|m| m * 10f64.powi(e)))
            .filter(|v| (low..=high).contains(&v.log10()))
            .map(|value| Tick {
                value,
                label: number(value),
            })
            .collect();
        if (3..=most).contains(&fine.len()) {
            return fine;
        }
        let (first, last) = (low.ceil() as i64, high.floor() as i64);
        if last > first {
            let stride = ((last - first) as usize / most + 1) as i64;
            let start = first.div_euclid(stride) * stride;
            let shown: Vec<i64> = (start..=last)
                .step_by(stride as usize)
                .filter(|e| (first.max(-300)..=300).contains(e))
                .collect();
            // All labels of an axis have the same format.
            let plain = shown.iter().all(|e| PLAIN.contains(e));
            return shown
                .into_iter()
                .map(|e| Tick {
                    value: 10f64.powi(e as i32),
                    label: if plain {
                        number(10f64.powi(e as i32))
                    } else {
                        exponential(e)
                    },
                })
                .collect();
        }
        if (2..=most).contains(&fine.len()) {
            fine
        } else {
            linear_ticks(10f64.powf(low), 10f64.powf(high), most.min(4))
        }
    }
}

/// Multiples of 1, 2 or 5 times a power of ten.
fn linear_ticks(low: f64, high: f64, most: usize) -> Vec<Tick> {
    // Starts with steps that are too fine and takes the first with few enough ticks, but never fewer than two.
    let mut exponent = ((high - low) / most as f64).log10().floor() as i32 - 1;
    let mut digit = 1;
    let span_of = |digit: i32, exponent: i32| {
        let step = f64::from(digit) * 10f64.powi(exponent);
        let (first, last) = ((low / step - 1e-9).ceil(), (high / step + 1e-9).floor());
        (step, first, ((last - first).max(-1.0) + 1.0) as usize)
    };
    let (mut step, mut first, mut count) = span_of(digit, exponent);
    while count > most {
        let (next_digit, next_exponent) = match digit {
            1 => (2, exponent),
            2 => (5, exponent),
            _ => (1, exponent + 1),
        };
        let next = span_of(next_digit, next_exponent);
        if next.2 < 2 {
            break;
        }
        (digit, exponent) = (next_digit, next_exponent);
        (step, first, count) = next;
    }
    let values: Vec<f64> = (0..count).map(|i| (first + i as f64) * step).collect();
    let largest = values.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    let scientific = largest >= 1e6 || exponent < -5;
    let power = if scientific && largest > 0.0 {
        largest.log10().floor() as i32
    } else {
        0
    };
    let decimals = (power - exponent).clamp(0, 12) as usize;
    values
        .into_iter()
        .map(|value| {
            let mantissa = fixed(value / 10f64.powi(power), decimals);
            let label = if power == 0 || value == 0.0 {
                if value == 0.0 { "0".to_string() } else { mantissa }
            } else {
                format!("{mantissa}×{}", exponential(i64::from(power)))
            };
            Tick { value, label }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(scale: &Scale, most: usize) -> std::result::Result<(), TestCaseError> {
        let ticks = scale.ticks(most);
        prop_assert!(ticks.len() <= most.max(5) + 1, "{ticks:?}");
        for pair in ticks.windows(2) {
            prop_assert!(pair[0].value < pair[1].value, "{ticks:?}");
            prop_assert_ne!(&pair[0].label, &pair[1].label);
        }
        for tick in &ticks {
            let place = scale.place(tick.value).unwrap();
            prop_assert!((-1e-6..=1.0 + 1e-6).contains(&place), "{scale:?} {tick:?}");
            prop_assert!(
                tick.label.chars().count() <= 16 && !tick.label.contains('-'),
                "{tick:?}"
            );
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn ticks_of_any_range_are_few_distinct_and_inside(a in any::<f64>(), b in any::<f64>(), most in 2usize..9) {
            for log in [false, true] {
                check(&Scale::around(Some((a, b)).filter(|_| a.is_finite() && b.is_finite()), log), most)?;
            }
        }

        #[test]
        fn ordinary_ranges_have_two_ticks_or_more(a in -1e3..1e3f64, decades in -6.0..6.0f64, most in 3usize..9) {
            let width = 10f64.powf(decades);
            let scale = Scale::around(Some((a, a + width)), false);
            check(&scale, most)?;
            prop_assert!(scale.ticks(most).len() >= 2);
        }

        #[test]
        fn logarithmic_ranges_have_two_ticks_or_more(a in -8.0..8.0f64, decades in 0.01..12.0f64, most in 3usize..9) {
            let scale = Scale::around(Some((10f64.powf(a), 10f64.powf(a + decades))), true);
            check(&scale, most)?;
            prop_assert!(scale.ticks(most).len() >= 2, "{:?}", scale.ticks(most));
        }

    }

    #[test]
    fn familiar_ranges_have_familiar_ticks() {
        let labels = |from, to, log, most| -> Vec<String> {
            Scale::between(from, to, log)
                .ticks(most)
                .into_iter()
                .map(|tick| tick.label)
                .collect()
        };
        assert_eq!(labels(0.0, 1.0, false, 6), ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(labels(-3.0, 3.0, false, 5), ["−2", "0", "2"]);
        assert_eq!(
            labels(0.0, 5000.0, false, 6),
            ["0", "1,000", "2,000", "3,000", "4,000", "5,000"]
        );
        assert_eq!(
            labels(1e-5, 1.0, true, 6),
            ["10⁻⁵", "10⁻⁴", "10⁻³", "10⁻²", "10⁻¹", "10⁰"]
        );
        assert_eq!(labels(0.0, 3e7, false, 4), ["0", "1×10⁷", "2×10⁷", "3×10⁷"]);
        assert_eq!(labels(2.0, 30.0, true, 5), ["2", "5", "10", "20"]);
        assert_eq!(labels(1e3, 1e6, true, 5), ["10³", "10⁴", "10⁵", "10⁶"]);
        assert_eq!(labels(1e-3, 1e3, true, 7)[3], "1");
    }
}
