//! Numbers as readers expect them: few digits, a true minus sign, powers of ten with raised exponents.

/// A number of fixed decimals with a true minus sign, and commas between thousands.
pub(super) fn fixed(value: f64, decimals: usize) -> String {
    let text = format!("{:.decimals$}", value.abs());
    let (whole, fraction) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut grouped = String::new();
    for (i, digit) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let zero = text.bytes().all(|b| b == b'0' || b == b'.');
    format!("{}{grouped}{fraction}", if value < 0.0 && !zero { "−" } else { "" })
}

/// A power of ten.
pub(super) fn exponential(exponent: i64) -> String {
    let digits: String = exponent
        .to_string()
        .chars()
        .map(|c| match c.to_digit(10) {
            Some(d) => ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'][d as usize],
            None => '⁻',
        })
        .collect();
    format!("10{digits}")
}

/// A value in four significant digits, as short as they allow: `0.6553`, `−12.5`, `12,000`, `3.1×10⁻⁵`, `NaN`, `−∞`.
pub fn number(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_string();
    }
    if value.is_infinite() {
        return if value > 0.0 { "∞" } else { "−∞" }.to_string();
    }
    // Rounded by the formatter, so that 9.9999 has the exponent of 10.
    let text = format!("{value:.3e}");
    let (mantissa, exponent) = text.split_once('e').expect("the format has an exponent");
    let exponent: i64 = exponent.parse().expect("the exponent is a whole number");
    let trim = |text: String| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_string(),
        false => text,
    };
    if value == 0.0 || (-3..6).contains(&exponent) {
        let decimals = (3 - exponent).clamp(0, 6) as usize;
        return trim(fixed(value, if value == 0.0 { 0 } else { decimals }));
    }
    let mantissa: f64 = mantissa.parse().expect("the mantissa is a number");
    format!("{}×{}", trim(fixed(mantissa, 3)), exponential(exponent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        for (value, text) in [
            (0.655321, "0.6553"),
            (-12.5, "−12.5"),
            (12000.0, "12,000"),
            (3.1e-5, "3.1×10⁻⁵"),
            (-2.0e12, "−2×10¹²"),
            (0.0, "0"),
            (-0.0, "0"),
            (99.9999, "100"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "−∞"),
        ] {
            assert_eq!(number(value), text);
        }
    }
}
