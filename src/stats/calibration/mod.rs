//! Simulations of the statistics of this module: what intervals cover, and how often sequential tests err.
//!
//! Each is a function of its numbers and a seed. The verb `calibrate` writes their tables to `results/statistics`.

pub mod intervals;
pub mod sequential;

use std::sync::OnceLock;

/// The committed table of the errors of sequential tests, made by `latent-lab calibrate sequential`.
pub fn sequential_table() -> &'static [sequential::Row] {
    static ROWS: OnceLock<Vec<sequential::Row>> = OnceLock::new();
    ROWS.get_or_init(|| {
        let table = include_str!("../../../results/statistics/sequential.csv");
        // A test reads every row; a damaged table has no rows rather than wrong ones.
        let mut reader = csv::Reader::from_reader(table.as_bytes());
        reader.deserialize().collect::<Result<_, _>>().unwrap_or_default()
    })
}

/// The false positives of unplanned looks from 5 to 30 seeds at an error of 5 %: every 5 seeds, and after every seed.
pub fn unplanned_false_positives() -> Option<(f64, f64)> {
    use sequential::Design::{UnplannedT, UnplannedTEverySeed};
    let rate = |design| {
        sequential_table()
            .iter()
            .find(|row| row.design == design)
            .map(|row| row.any_decided)
    };
    Some((rate(UnplannedT)?, rate(UnplannedTEverySeed)?))
}
