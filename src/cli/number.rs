//! Numbers as tables of the terminal write them.

/// Whether a cell is a number, an interval, a share such as 2/3, or missing.
pub(super) fn is_number(cell: &str) -> bool {
    cell.is_empty() || cell.starts_with(|c: char| c.is_ascii_digit() || "-±+[–".contains(c))
}

/// The numbers of a cell: one, or the two ends of an interval; none where it is anything else.
fn numbers(cell: &str) -> Option<Vec<&str>> {
    let inner = cell.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let parts: Vec<&str> = inner.map_or_else(|| vec![cell], |inner| inner.split(", ").collect());
    let is_written_by_number = |part: &&str| part.contains(['.', 'e']) && part.parse::<f64>().is_ok();
    parts.iter().all(is_written_by_number).then_some(parts)
}

/// Gives the numbers of a column, as [`number`] writes them, the same number of decimals: a tenth of a millionth beside
/// numbers of four decimals is 0.0000. Numbers from 1e9 on keep their exponent, and so does a column of numbers that
/// are all below 1e-9.
pub(super) fn align_decimals(cells: &mut [String]) {
    const HUGE: f64 = 1e9;
    let values: Vec<f64> = cells
        .iter()
        .flat_map(|cell| numbers(cell).unwrap_or_default())
        .filter_map(|part| part.parse().ok())
        .filter(|value: &f64| value.abs() < HUGE)
        .collect();
    let largest = values.iter().fold(0.0, |largest: f64, value| largest.max(value.abs()));
    if largest > 0.0 && largest < 1e-9 {
        return;
    }
    let decimals = match largest {
        0.0 => 4,
        v if v >= 1e6 => 0,
        v if v >= 1e5 => 2,
        v if v >= 0.01 => 4,
        v => (2.0 - v.log10().floor()) as usize,
    };
    for cell in cells {
        let Some(parts) = numbers(cell) else { continue };
        let aligned = parts.iter().map(|part| match part.parse::<f64>() {
            Ok(value) if value.abs() < HUGE => {
                let text = format!("{value:.decimals$}");
                let is_zero = !text.contains(|c: char| ('1'..='9').contains(&c));
                if is_zero { text.replace('-', "") } else { text }
            }
            _ => (*part).to_owned(),
        });
        let aligned: Vec<String> = aligned.collect();
        *cell = match aligned.as_slice() {
            [one] if !cell.starts_with('[') => one.clone(),
            several => format!("[{}]", several.join(", ")),
        };
    }
}

/// A number with enough digits to compare. The minus sign is ASCII, so that other programs can read it.
pub(super) fn number(value: f64) -> String {
    let digits = match value.abs() {
        v if v >= 1e9 => return format!("{value:.4e}"),
        v if v >= 1e6 => 0,
        v if v >= 1e5 => 2,
        v if v >= 0.01 || v == 0.0 => 4,
        _ => return format!("{value:.2e}"),
    };
    format!("{value:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_of_a_column_have_the_same_decimals() {
        let aligned = |values: &[f64]| {
            let mut cells: Vec<String> = values.iter().map(|value| number(*value)).collect();
            align_decimals(&mut cells);
            cells
        };
        assert_eq!(aligned(&[-2.574, 8.93e-3, -2.4e-13]), ["-2.5740", "0.0089", "0.0000"]);
        assert_eq!(aligned(&[8.93e-3, 1.2e-4]), ["0.00893", "0.00012"]);
        assert_eq!(aligned(&[2.4e-13]), ["2.40e-13"]);
        assert_eq!(aligned(&[-2e31, -2.574]), ["-2.0000e31", "-2.5740"]);
        assert_eq!(aligned(&[123_456.7, 2.5]), ["123456.70", "2.50"]);
        let mut cells = vec!["[-0.00123, 0.5]".to_owned(), "3/3".into(), "12".into(), "–".into()];
        align_decimals(&mut cells);
        assert_eq!(cells, ["[-0.0012, 0.5000]", "3/3", "12", "–"]);
    }

    #[test]
    fn numbers_can_be_parsed() {
        for value in [-2.574, -9.53e-11, -2e31, 0.0, -123_456.789, 1e6] {
            let parsed: f64 = number(value).parse().expect("a number");
            assert!((parsed - value).abs() <= 1e-2 * value.abs(), "{value}");
        }
    }
}
