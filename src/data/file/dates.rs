//! Dates and times in ISO 8601, counted in months, days or seconds since the first.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};

/// One point in time.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Stamp {
    /// A month, counted from year 0.
    Month(i64),
    Day(Date),
    /// A date and local time without an offset from UTC.
    Local(DateTime),
    /// A date and time with an offset from UTC.
    Instant(Timestamp),
}

/// Points in time, in the order of the file.
#[derive(Debug, Default)]
pub(super) struct Stamps(Vec<Stamp>);

/// The unit in which dates are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// Calendar months of any length.
    Months,
    Days,
    Seconds,
}

impl Unit {
    /// Its name, in the plural.
    pub fn name(self) -> &'static str {
        match self {
            Self::Months => "months",
            Self::Days => "days",
            Self::Seconds => "seconds",
        }
    }
}

impl Stamps {
    /// Takes `text`, if it is a date such as 2020-01-31 or 2020-01, or a date and time such as 2020-01-31T12:00:00,
    /// with or without an offset such as `Z` or +01:00.
    pub fn push(&mut self, text: &str) -> Option<()> {
        let stamp = month(text)
            .or_else(|| text.parse().map(Stamp::Instant).ok())
            .or_else(|| (text.len() <= 10).then(|| text.parse().map(Stamp::Day).ok()).flatten())
            .or_else(|| text.parse().map(Stamp::Local).ok())?;
        self.0.push(stamp);
        Some(())
    }

    /// Takes a count of NumPy's `datetime64[unit]` since 1970, if it is a valid date.
    pub fn push_ticks(&mut self, ticks: i64, unit: &str) -> Option<()> {
        let day = |days: i64| {
            Date::constant(1970, 1, 1)
                .checked_add(jiff::Span::new().try_days(days).ok()?)
                .ok()
        };
        let instant = |nanoseconds: i128| Timestamp::from_nanosecond(nanoseconds).ok();
        let ticks_of = |nanoseconds: i128| instant(i128::from(ticks).checked_mul(nanoseconds)?).map(Stamp::Instant);
        let stamp = match unit {
            "Y" => Stamp::Month(ticks.checked_add(1970)?.checked_mul(12)?),
            "M" => Stamp::Month(ticks.checked_add(1970 * 12)?),
            "W" => Stamp::Day(day(ticks.checked_mul(7)?)?),
            "D" => Stamp::Day(day(ticks)?),
            "h" => ticks_of(3_600_000_000_000)?,
            "m" => ticks_of(60_000_000_000)?,
            "s" => ticks_of(1_000_000_000)?,
            "ms" => ticks_of(1_000_000)?,
            "us" => ticks_of(1000)?,
            "ns" => ticks_of(1)?,
            _ => return None,
        };
        self.0.push(stamp);
        Some(())
    }

    /// The time since the first: in months if all are months or the same day of a month; in days if all are days; in
    /// seconds otherwise. The error is the first row that differs from the first in whether it has an offset from UTC.
    pub fn since_first(self) -> Result<(Vec<f64>, Unit), usize> {
        let Some(&first) = self.0.first() else {
            return Ok((Vec::new(), Unit::Days));
        };
        if let Some(months) = self.months() {
            let from_first = months.iter().map(|month| (month - months[0]) as f64);
            return Ok((from_first.collect(), Unit::Months));
        }
        let days: Option<Vec<Date>> = self.0.iter().map(|stamp| stamp.day()).collect();
        if let Some(days) = days {
            let from_first = days.iter().map(|day| f64::from((*day - days[0]).get_days()));
            return Ok((from_first.collect(), Unit::Days));
        }
        let origin = first.nanoseconds();
        let is_instant = |stamp: &Stamp| matches!(stamp, Stamp::Instant(_));
        if let Some(other) = self.0.iter().position(|stamp| is_instant(stamp) != is_instant(&first)) {
            return Err(other);
        }
        let from_first = self.0.iter().map(|stamp| (stamp.nanoseconds() - origin) as f64 / 1e9);
        Ok((from_first.collect(), Unit::Seconds))
    }

    /// The months, if all stamps are the same day of a month, or all its last day.
    fn months(&self) -> Option<Vec<i64>> {
        let is_last = |day: &Date| day.day() == day.days_in_month();
        let days: Vec<Date> = self.0.iter().filter_map(|stamp| stamp.day()).collect();
        let is_regular = days.iter().all(is_last) || days.iter().all(|day| day.day() == days[0].day());
        let month = |stamp: &Stamp| match stamp {
            Stamp::Month(month) => Some(*month),
            Stamp::Day(day) if is_regular => Some(i64::from(day.year()) * 12 + i64::from(day.month()) - 1),
            _ => None,
        };
        let months: Option<Vec<i64>> = self.0.iter().map(month).collect();
        // Days of a single month are counted in days.
        months.filter(|months| days.is_empty() || months.iter().any(|month| *month != months[0]))
    }
}

impl Stamp {
    fn day(&self) -> Option<Date> {
        match self {
            Self::Day(day) => Some(*day),
            _ => None,
        }
    }

    /// Nanoseconds since 1970; without an offset, in local time.
    fn nanoseconds(&self) -> i128 {
        let local = |time: DateTime| {
            let instant = jiff::tz::Offset::UTC.to_timestamp(time);
            instant.map_or(0, |instant| instant.as_nanosecond())
        };
        match self {
            Self::Month(month) => i128::from(*month) * 2_629_746_000_000_000,
            Self::Day(day) => local(day.to_datetime(jiff::civil::Time::midnight())),
            Self::Local(time) => local(*time),
            Self::Instant(instant) => instant.as_nanosecond(),
        }
    }
}

/// A year and a month, such as 2020-01.
fn month(text: &str) -> Option<Stamp> {
    let (year, month) = text.split_once('-')?;
    let are_digits = [year, month]
        .iter()
        .all(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
    if year.len() != 4 || month.len() != 2 || !are_digits {
        return None;
    }
    let month: i64 = month.parse().ok().filter(|month| (1..=12).contains(month))?;
    Some(Stamp::Month(year.parse::<i64>().ok()? * 12 + month - 1))
}

/// Whether `number` is a date written as digits only, such as 20200131.
pub(super) fn is_date_of_digits(number: f64) -> bool {
    let is_in_range = (18_000_101.0..=22_001_231.0).contains(&number) && number.fract() == 0.0;
    is_in_range && {
        let digits = number as i64;
        let (year, month, day) = (digits / 10_000, digits / 100 % 100, digits % 100);
        Date::new(year as i16, month as i8, day as i8).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn since_first(texts: &[&str]) -> Result<(Vec<f64>, Unit), usize> {
        let mut stamps = Stamps::default();
        for text in texts {
            stamps.push(text).unwrap_or_else(|| panic!("{text}"));
        }
        stamps.since_first()
    }

    #[test]
    fn dates_are_counted_in_the_unit_that_makes_them_regular() {
        let of = |texts: &[&str]| since_first(texts).expect("one clock");
        assert_eq!(
            of(&["2019-12-30", "2019-12-31", "2020-03-01"]),
            (vec![0.0, 1.0, 62.0], Unit::Days)
        );
        // Each month is one step, of 28 to 31 days.
        assert_eq!(
            of(&["2020-01-01", "2020-02-01", "2020-04-01"]),
            (vec![0.0, 1.0, 3.0], Unit::Months)
        );
        assert_eq!(
            of(&["2020-01-31", "2020-02-29", "2020-03-31"]),
            (vec![0.0, 1.0, 2.0], Unit::Months)
        );
        assert_eq!(of(&["1999-12", "2000-01"]), (vec![0.0, 1.0], Unit::Months));
        assert_eq!(of(&["1900-07-01", "1901-07-01"]), (vec![0.0, 12.0], Unit::Months));
        assert_eq!(
            of(&["2020-01-01 00:00", "2020-01-01T00:00:00.25"]),
            (vec![0.0, 0.25], Unit::Seconds)
        );
        // The second is half an hour before the first.
        assert_eq!(
            of(&["2020-01-01T12:00:00Z", "2020-01-01T13:30:00+02:00"]),
            (vec![0.0, -1800.0], Unit::Seconds)
        );
        // A century of nanoseconds is exact.
        assert_eq!(
            of(&["1920-01-01T00:00:00Z", "2020-01-01T00:00:01Z"]).0[1],
            36_525.0 * 86_400.0 + 1.0
        );
        assert_eq!(since_first(&["2020-01-01T12:00", "2020-01-01T13:00Z"]), Err(1));
    }

    #[test]
    fn other_texts_are_not_dates() {
        for text in [
            "",
            "soon",
            "2020-13-01",
            "2020-02-30",
            "31/12/2020",
            "12:00",
            "2020-1-1",
            "2020-00",
            "99999-01-01",
        ] {
            assert_eq!(Stamps::default().push(text), None, "{text}");
        }
        assert!(is_date_of_digits(20_200_229.0));
        assert!(![20_200_230.0, 20_200_129.5, 3.0].into_iter().any(is_date_of_digits));
    }

    #[test]
    fn ticks_of_numpy_count_from_1970() {
        let since = |ticks: [i64; 2], unit: &str| {
            let mut stamps = Stamps::default();
            ticks
                .iter()
                .for_each(|tick| stamps.push_ticks(*tick, unit).expect("a date"));
            stamps.since_first().expect("one clock")
        };
        assert_eq!(since([18_262, 18_264], "D"), (vec![0.0, 2.0], Unit::Days));
        assert_eq!(since([600, 603], "M"), (vec![0.0, 3.0], Unit::Months));
        assert_eq!(since([0, 1_500_000_000], "ns"), (vec![0.0, 1.5], Unit::Seconds));
        // Not a time.
        assert_eq!(Stamps::default().push_ticks(i64::MIN, "s"), None);
        assert_eq!(Stamps::default().push_ticks(i64::MIN, "D"), None);
    }
}
