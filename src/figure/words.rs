//! Names of metrics in figures: words, unit, and which direction is better.

use crate::runner::MetricDocument;
use crate::train::metrics;

/// The metric's title, with its unit, such as "test log-likelihood (nats per datum)"; a name that is not in the table of
/// metrics stands for itself.
pub fn quantity(name: &str) -> String {
    with_unit(&title(name), metrics::find(name).map_or("", |metric| metric.unit))
}

/// The metric's title, its unit, and which direction is better, such as "test log-likelihood, nats per datum (higher is
/// better)".
pub fn quantity_and_direction(metric: &MetricDocument) -> String {
    let mut text = title(&metric.name);
    if !metric.unit.is_empty() {
        text += &format!(", {}", metric.unit);
    }
    text + match metric.larger_is_better {
        Some(true) => " (higher is better)",
        Some(false) => " (lower is better)",
        None => "",
    }
}

/// A quantity with its unit in brackets.
pub fn with_unit(quantity: &str, unit: &str) -> String {
    match unit {
        "" => quantity.to_owned(),
        unit => format!("{quantity} ({unit})"),
    }
}

/// The metric called `name` in words, as in "test log-likelihood".
pub fn title(name: &str) -> String {
    match metrics::find(name) {
        Some(metric) => metric.title.clone(),
        None => spelled_out(name),
    }
}

/// A name that is not in the table of metrics, in words.
fn spelled_out(name: &str) -> String {
    let words = |text: &str| text.replace('_', " ").replace("log likelihood", "log-likelihood");
    match name.split_once('/') {
        Some((family, rest)) => format!("{} {}", words(family), words(rest)),
        None => words(name),
    }
}

/// The first letter as a capital.
pub fn sentence_case(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_title_is_an_identifier() {
        for metric in metrics::METRICS.iter() {
            let title = title(&metric.name);
            assert!(!title.contains(['_', '/']), "{title}");
        }
        assert_eq!(title("test/log_likelihood"), "test log-likelihood");
        assert_eq!(quantity("test/log_likelihood"), "test log-likelihood (nats per datum)");
        assert_eq!(spelled_out("test/other_log_likelihood"), "test other log-likelihood");
    }
}
