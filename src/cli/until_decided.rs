//! The flags of `run --until-decided`.

use super::Stop;
use crate::runner::UntilDecided;
use clap::Args;

#[derive(Debug, Args)]
pub(super) struct Flags {
    /// Add seeds until every comparison with the reference is decided, by planned looks that keep the error of all
    /// looks together
    #[arg(long)]
    until_decided: bool,
    /// With --until-decided: the smallest difference that matters, in the metric's unit; a comparison also ends when
    /// the difference is shown to be smaller
    #[arg(
        long,
        value_name = "NUMBER",
        requires = "until_decided",
        allow_negative_numbers = true
    )]
    difference: Option<f64>,
    /// With --until-decided: the level of all comparisons together; 0.95 without this flag
    #[arg(long, value_name = "SHARE", requires = "until_decided")]
    level: Option<f64>,
    /// With --until-decided: the most seeds of each variant; 50 without this flag
    #[arg(long, value_name = "N", requires = "until_decided", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    max_seeds: Option<u32>,
    /// With --until-decided: the seeds that are added from one look to the next; 5 without this flag
    #[arg(long, value_name = "N", requires = "until_decided", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    look_every: Option<u32>,
}

impl Flags {
    /// The request that they make; `None` without `--until-decided`.
    pub(super) fn wanted(&self) -> Result<Option<UntilDecided>, Stop> {
        if !self.until_decided {
            return Ok(None);
        }
        let level = self.level.unwrap_or(0.95);
        if !(0.5..1.0).contains(&level) {
            return Err(Stop::Usage(format!(
                "--level {level}: expected a share from 0.5 to below 1, such as 0.95"
            )));
        }
        if let Some(difference) = self.difference.filter(|d| !(d.is_finite() && *d > 0.0)) {
            return Err(Stop::Usage(format!(
                "--difference {difference}: expected a positive number in the metric's unit; either sign counts"
            )));
        }
        Ok(Some(UntilDecided {
            level,
            difference: self.difference,
            max_seeds: self.max_seeds.unwrap_or(50) as usize,
            look_every: self.look_every.unwrap_or(5) as usize,
        }))
    }
}
