//! The tables of the simulations as Markdown.

use super::intervals;
use super::sequential::{Design, Row};
use crate::stats::{Coverage, Estimand, IntervalMethod, ScoreKind};
use std::fmt::Write;

/// The coverage of intervals: one table per estimand, methods as rows, numbers of runs as columns.
pub fn coverage(table: &[Coverage], provenance: &str) -> String {
    let simulations = table.first().map_or(0, |row| row.simulations);
    let mut text = format!(
        "# What 95 % intervals really cover\n\n{} {simulations} simulated experiments per cell; a standard error is at most \
         {:.1} points. Cells are in percent; in brackets the median width in standard deviations of a score. The file \
         `intervals.csv` beside this one holds the same numbers; the program quotes them.\n\n",
        provenance,
        100.0 * table.iter().map(|row| row.standard_error).fold(0.0, f64::max)
    );
    text += "Scores are normal; skewed (exponential); bounded (success rates of 480 roll-outs, probability of success from \
             Beta(18, 2)); contaminated (normal with standard deviation 0.1 around 1, or around 0 in the 30 % of \
             runs that fail). Paired differences are of two variants with different distributions of that kind.\n";
    let estimands = [
        (Estimand::Mean, "The mean over seeds"),
        (Estimand::TrimmedMean, "The 25 % trimmed mean over seeds"),
        (Estimand::PairedDifference, "The mean difference, paired by seed"),
    ];
    for (estimand, title) in estimands {
        let runs = intervals::RUNS.map(|runs| format!("n = {runs}")).join(" | ");
        let _ = write!(
            text,
            "\n## {title}\n\n| scores | interval | {runs} |\n|---|---|---|---|---|---|---|\n"
        );
        for scores in ScoreKind::ALL {
            for method in IntervalMethod::ALL {
                let cell = |runs: usize| {
                    let same = |row: &&Coverage| {
                        (row.estimand, row.scores, row.runs, row.method) == (estimand, scores, runs, method)
                    };
                    table.iter().find(same).map(|row| match row.median_width.is_finite() {
                        true => format!("{:.1} ({:.2})", 100.0 * row.coverage, row.median_width),
                        false => format!("{:.1}", 100.0 * row.coverage),
                    })
                };
                let cells = intervals::RUNS.map(cell);
                if cells.iter().any(Option::is_some) {
                    let cells = cells.map(|cell| cell.unwrap_or_else(|| "–".to_owned())).join(" | ");
                    let _ = writeln!(text, "| {} | {} | {cells} |", scores.name(), method.title());
                }
            }
        }
    }
    text += "\nThe program gives the bootstrap-t interval from 5 runs on, BCa and the percentile bootstrap from 20 on; \
             with fewer it is measured here only to show why. An interval that does not exist does not cover: all scores of \
             a few runs can be equal.\n\nWith 30 % failed runs no interval reaches its level at 3 to 5 seeds: most such \
             samples hold no failure, or one, so they do not show how often runs fail. The interval of the trimmed mean does \
             not reach its level at any number of seeds there: its cut falls between failed and other runs.\n";
    text
}

/// The errors of sequential tests: false positives, power, negligible differences.
pub fn sequential(table: &[Row], provenance: &str) -> String {
    let simulations = table.first().map_or(0, |row| row.simulations);
    let mut text = format!(
        "# Error rates of tests that look while seeds are added\n\n{} {simulations} simulated experiments per row, from 5 to \
         30 seeds, at an error of 5 % for all comparisons together. Planned: the sequential sign-flip test, a look every 5 seeds. \
         Fixed: one sign-flip test at 30 seeds, with Holm's correction. Unplanned: looks with a test that is valid for a \
         single look, until it finds something. The file `sequential.csv` beside this one holds the same numbers.\n",
        provenance
    );
    let percent = |share: f64| format!("{:.1}", 100.0 * share);
    let name = |value: &dyn std::fmt::Debug| format!("{value:?}");
    text += "\n## False positives: no variant differs from the reference\n\n| design | scores | comparisons | any false positive, % | standard \
             error | mean pairs |\n|---|---|---|---|---|---|\n";
    let null = |row: &&Row| row.effect == 0.0 && row.difference == 0.0;
    for row in table.iter().filter(null) {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {:.1} |",
            design_title(row.design),
            words(&name(&row.scores)),
            row.comparisons,
            percent(row.any_decided),
            percent(row.standard_error),
            row.mean_pairs
        );
    }
    text += "\n## Power: every variant differs, normal scores\n\nThe effect is in standard deviations of a paired \
             difference.\n\n| design | comparisons | effect | decided, % of comparisons | mean pairs |\n|---|---|---|---|---|\n";
    for row in table.iter().filter(|row| row.effect > 0.0 && row.difference == 0.0) {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {:.1} |",
            design_title(row.design),
            row.comparisons,
            row.effect,
            percent(row.decided),
            row.mean_pairs
        );
    }
    text += "\n## A smallest difference of interest δ\n\nWhere the effect is δ, \"negligible\" is an error.\n\n| design | effect | δ | \
             negligible, % | better or worse, % | mean pairs |\n|---|---|---|---|---|---|\n";
    for row in table.iter().filter(|row| row.difference > 0.0) {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {:.1} |",
            design_title(row.design),
            row.effect,
            row.difference,
            percent(row.negligible),
            percent(row.decided),
            row.mean_pairs
        );
    }
    text
}

fn design_title(design: Design) -> &'static str {
    match design {
        Design::Planned => "planned looks every 5 seeds",
        Design::Fixed => "fixed at 30 seeds",
        Design::UnplannedSignFlip => "unplanned sign-flip tests every 5 seeds",
        Design::UnplannedT => "unplanned t tests every 5 seeds",
        Design::UnplannedTEverySeed => "unplanned t tests after every seed",
    }
}

/// `HeavyTailed` as `heavy tailed`.
fn words(name: &str) -> String {
    let mut text = String::new();
    for (i, c) in name.chars().enumerate() {
        if c.is_uppercase() && i > 0 {
            text.push(' ');
        }
        text.extend(c.to_lowercase());
    }
    text
}
