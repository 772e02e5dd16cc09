//! The comparison as a text for people: scores, differences, verdicts, and the limits of the numbers.

use super::verdicts;
use crate::cli::number::number;
use crate::cli::table::Table;
use crate::runner::{Best, MetricDocument, Summary, VariantSummary};
use crate::stats::{self, Estimand, IntervalMethod};
use std::collections::BTreeSet;
use std::fmt::Write;

/// Text is wrapped at this width.
const WIDTH: usize = 80;

/// The comparison as a text that a person can read.
pub(in crate::cli) fn render(summary: &Summary) -> String {
    let mut text = wrapped(&summary.question, 0);
    if let Some(best) = &summary.best {
        text.push_str(&choices(best));
    }
    let _ = write!(text, "\n{}\n", heading(&summary.metric));
    let mut table = scores(summary, &summary.metric);
    for (name, value) in [("oracle", summary.oracle), ("baseline", summary.baseline)] {
        if let Some(value) = value {
            let cells = [
                name.to_owned(),
                String::new(),
                number(value),
                String::new(),
                String::new(),
            ];
            table.row(&cells);
        }
    }
    text.push_str(&table.render());
    text.push('\n');
    text.push_str(&explanations(summary));
    text.push_str(&verdicts::differences(summary));
    text.push_str(&single_runs(summary));
    for metric in &summary.also {
        let _ = write!(text, "\n{}\n{}", heading(metric), scores(summary, metric).render());
    }
    for lines in [summary.warnings(), summary.failures()] {
        if !lines.is_empty() {
            let _ = write!(text, "\n{lines}");
        }
    }
    if let Some(line) = summary.program_revisions() {
        let _ = write!(text, "\n{}", wrapped(&line, 0));
    }
    text
}

/// How the settings were chosen.
fn choices(best: &Best) -> String {
    let on = match &best.tuning_seeds {
        Some(seeds) => {
            let words = crate::cli::left_alone::seed_words(seeds);
            format!("on {words}, which the comparison leaves out")
        }
        None => "on the validation rows of every seed".to_owned(),
    };
    let mut text = format!(
        "\n{}",
        wrapped(
            &format!("best setting of each variant, chosen by {} {on}:", best.metric),
            0
        )
    );
    for choice in &best.choices {
        let left_out = match choice.left_out {
            0 => String::new(),
            n => format!("; {n} more could not be chosen, since not all of their runs finished"),
        };
        let line = format!(
            "{}: {}, with {}, the best of {} settings ({} tuning runs){left_out}",
            choice.variant,
            choice.point,
            number(choice.score),
            choice.settings - choice.left_out,
            choice.runs
        );
        text.push_str(&wrapped(&line, 2));
    }
    text
}

/// The heading of a table: the metric, its unit, its direction.
fn heading(metric: &MetricDocument) -> String {
    let direction = match metric.larger_is_better {
        Some(true) => ", larger is better",
        Some(false) => ", smaller is better",
        None => "",
    };
    let MetricDocument { title, name, unit, .. } = metric;
    wrapped(&format!("{title} ({name}) in {unit}{direction}"), 0)
}

/// Variants as rows: how many seeds finished, the mean of `metric` with its interval, the standard deviation over
/// seeds.
fn scores(summary: &Summary, metric: &MetricDocument) -> Table {
    let mut table = Table::new(&["variant", "seeds", "mean", "95 % interval", "std. dev."]);
    for variant in &summary.variants {
        let blank = || "–".to_owned();
        let numbers = match variant.summary.get(&metric.name) {
            Some(scores) => [
                scores.mean.map_or_else(blank, number),
                match scores.identical {
                    true => "same in all seeds".to_owned(),
                    false => interval(scores.bounds().map(|found| metric.clip(found))),
                },
                scores.standard_deviation.map_or_else(blank, number),
            ],
            None => [(); 3].map(|()| blank()),
        };
        let cells: Vec<String> = [variant.name.clone(), seeds(variant)]
            .into_iter()
            .chain(numbers)
            .collect();
        table.row(&cells);
    }
    table
}

/// How many seeds finished, of how many, and the status of the others: `2/4, 2 failed`.
fn seeds(variant: &VariantSummary) -> String {
    let mut text = format!("{}/{}", variant.count("done"), variant.seeds.len());
    for status in ["failed", "damaged", "stale", "partial", "running"] {
        match variant.count(status) {
            0 => {}
            n => _ = write!(text, ", {n} {status}"),
        }
    }
    text
}

/// An interval from its lower to its upper end.
pub(super) fn interval(bounds: Option<(f64, f64)>) -> String {
    bounds.map_or("–".to_owned(), |(low, high)| {
        format!("[{}, {}]", number(low), number(high))
    })
}

/// The lines below the table of scores: what oracle and baseline are, how intervals are made and what they cover.
fn explanations(summary: &Summary) -> String {
    let mut text = String::new();
    let mut line = |words: &str| text.push_str(&wrapped(words, 0));
    for (name, value, meaning) in [
        ("oracle", summary.oracle, &summary.oracle_meaning),
        ("baseline", summary.baseline, &summary.baseline_meaning),
    ] {
        if let (Some(_), Some(meaning)) = (value, meaning) {
            line(&format!("{name}: {meaning}"));
        }
    }
    match summary
        .variants
        .iter()
        .map(|variant| variant.count("new"))
        .sum::<usize>()
    {
        0 => {}
        1 => line("1 run has not been made yet"),
        n => line(&format!("{n} runs have not been made yet")),
    }
    let metric = &summary.metric.name;
    let measured = || {
        summary
            .variants
            .iter()
            .filter_map(|variant| Some((variant, variant.summary.get(metric)?)))
    };
    let with_interval = || measured().filter(|(_, scores)| scores.mean_interval.is_some());
    let method = with_interval().find_map(|(_, scores)| Some(scores.mean_interval?.method));
    let method = method.unwrap_or(IntervalMethod::StudentT);
    if with_interval().next().is_some() {
        let mut bounds = with_interval().filter_map(|(_, scores)| scores.bounds());
        let clipped = match summary.metric.range() {
            Some((least, largest)) if bounds.any(|found| summary.metric.clip(found) != found) => match largest {
                f64::INFINITY => format!(", clipped at {least}"),
                _ => format!(", clipped to [{least}, {largest}]"),
            },
            _ => String::new(),
        };
        line(&format!(
            "intervals: {}, for the mean over seeds{clipped}; std. dev.: over seeds",
            method.title()
        ));
    }
    if measured().any(|(_, scores)| scores.count < stats::SMALLEST_INTERVAL) {
        line(&format!("fewer than {} seeds: no interval", stats::SMALLEST_INTERVAL));
    }
    let counts: BTreeSet<usize> = with_interval().map(|(_, scores)| scores.count).collect();
    if let Some(words) = counts
        .first()
        .and_then(|&n| stats::coverage_words(Estimand::Mean, method, n))
    {
        line(&words);
    }
    if let Some(words) = within_a_run(summary) {
        line(&words);
    }
    let same: Vec<&str> = measured()
        .filter(|(_, scores)| scores.identical)
        .map(|(v, _)| v.name.as_str())
        .collect();
    if !same.is_empty() {
        line(&format!(
            "{}: the same in all seeds; this measures no uncertainty",
            if same.len() == measured().count() {
                "all".to_owned()
            } else {
                same.join("; ")
            }
        ));
    }
    let survivors = measured().filter(|(variant, _)| variant.failed() > 0);
    let survivors: Vec<&str> = survivors.map(|(variant, _)| variant.name.as_str()).collect();
    if !survivors.is_empty() {
        line(&format!(
            "{}: some runs failed, so the numbers are those of the runs that finished",
            survivors.join("; ")
        ));
    }
    text
}

/// How accurate the value of a single run is, where it is an estimate: an error that more seeds do not reveal.
fn within_a_run(summary: &Summary) -> Option<String> {
    let metric = &summary.metric.name;
    let stem = metric.strip_suffix("_estimate").unwrap_or(metric);
    let largest = |suffix: &str| {
        let name = format!("{stem}_{suffix}");
        let means = summary
            .variants
            .iter()
            .filter_map(|variant| variant.summary.get(&name)?.mean);
        means.reduce(|a, b| if b.abs() > a.abs() { b } else { a })
    };
    let error = largest("standard_error")?;
    let mut words = format!(
        "the value of each run is an estimate with a standard error of up to {} (mean over seeds)",
        number(error)
    );
    if let Some(bias) = largest("bias") {
        let _ = write!(words, " and a bias of up to {}", number(bias));
    }
    Some(words)
}

/// The range of single runs, which an interval of the mean does not give.
fn single_runs(summary: &Summary) -> String {
    let metric = &summary.metric.name;
    let scores = summary
        .variants
        .iter()
        .filter_map(|variant| Some((variant, variant.summary.get(metric)?)));
    let spread: Vec<_> = scores
        .filter(|(_, scores)| scores.count > 1 && !scores.identical)
        .collect();
    if spread.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&["variant", "min", "median", "max"]);
    for (variant, scores) in &spread {
        let cell = |value: Option<f64>| value.map_or("–".to_owned(), number);
        table.row(&[
            variant.name.clone(),
            cell(scores.minimum),
            cell(scores.median),
            cell(scores.maximum),
        ]);
    }
    let mut text = format!("\nsingle runs\n\n{}\n", table.render());
    let counts: BTreeSet<usize> = spread.iter().map(|(_, scores)| scores.count).collect();
    for words in counts.iter().filter_map(|&n| stats::tolerance_words(n)) {
        text.push_str(&wrapped(&words, 0));
    }
    if spread.iter().any(|(variant, _)| variant.failed() > 0) {
        text.push_str(&wrapped("this applies to runs that finish; some failed", 0));
    }
    text
}

/// `words` in lines that end before [`WIDTH`], the first one indented by `indent` spaces and the others by two more.
pub(super) fn wrapped(words: &str, indent: usize) -> String {
    let mut lines = vec![" ".repeat(indent)];
    let mut is_first_word = true;
    for word in words.split_whitespace() {
        let line = lines.last_mut().map_or(0, |line| line.chars().count());
        if !is_first_word && line + 1 + word.chars().count() > WIDTH {
            lines.push(" ".repeat(indent + 2));
            is_first_word = true;
        }
        if let Some(line) = lines.last_mut() {
            if !is_first_word {
                line.push(' ');
            }
            line.push_str(word);
        }
        is_first_word = false;
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A comparison of success rates, one variant near 1 and one near 0.
    fn rates() -> Summary {
        let variant = |name: &str, rates: [f64; 3]| {
            let seeds = (0..).zip(rates);
            let seeds = seeds.map(
                |(seed, rate)| serde_json::json!({"seed": seed, "status": "done", "metrics": {"rollout/success_rate": rate}}),
            );
            serde_json::json!({
                "name": name, "variant": name, "point": "", "changes": [], "settings": {}, "seeds": seeds.collect::<Vec<_>>(),
                "summary": {"rollout/success_rate": stats::Summary::new(&rates, 0).unwrap()},
            })
        };
        let metric = MetricDocument::from(crate::train::metrics::find("rollout/success_rate").unwrap());
        let summary = serde_json::json!({
            "format": 2, "experiment": "e", "question": "Which arrives?", "metric": metric, "also": [], "level": 0.95,
            "oracle": null, "baseline": null, "reference": null, "differences": [],
            "variants": [variant("high", [1.0, 1.0, 0.9]), variant("low", [0.0, 0.1, 0.0])],
        });
        serde_json::from_value(summary).unwrap()
    }

    #[test]
    fn intervals_of_rates_end_where_rates_end_and_the_note_says_so() {
        let text = render(&rates());
        assert!(text.contains(", 1.0000]") && text.contains("[0, "), "{text}");
        assert!(text.contains("clipped to [0, 1]"), "{text}");
        let mut inside = rates();
        inside.metric.unit = "bits".to_owned();
        let text = render(&inside);
        assert!(text.contains(", 1.1") && !text.contains("clipped"), "{text}");
    }

    #[test]
    fn words_are_wrapped_and_none_is_lost() {
        let words = "word ".repeat(60);
        let text = wrapped(&words, 2);
        assert!(
            text.lines()
                .all(|line| line.len() <= WIDTH && line.starts_with("  w") || line.starts_with("    w"))
        );
        assert_eq!(text.split_whitespace().count(), 60);
        assert_eq!(wrapped(&"x".repeat(100), 0), "x".repeat(100) + "\n");
    }
}
