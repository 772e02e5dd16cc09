//! The coverage of intervals by simulation: draw the scores of n runs, make the interval, check whether it contains the
//! truth.
//!
//! Every method sees the same scores. The truth is in closed form, or a sum over the distribution. Paired differences
//! are of two variants with different distributions, independent except for normal scores (correlation ½): the
//! differences of skewed scores are skewed, and variants fail with different probabilities.

use crate::math::streams::{Generator, Streams};
use crate::stats::coverage::{Coverage, Estimand, ScoreKind};
use crate::stats::interval::{IntervalMethod, mean_interval, trimmed_mean_interval};
use crate::stats::quantile;
use crate::stats::resampled::Resampled;
use rand::RngExt;
use rand_distr::{Beta, Binomial, Distribution, Exp1, StandardNormal};
use rayon::prelude::*;

/// The numbers of runs that are measured.
pub const RUNS: [usize; 5] = [3, 5, 10, 20, 50];
/// The level of the intervals.
const LEVEL: f64 = 0.95;
/// The roll-outs of a success rate.
const ROLLOUTS: u64 = 480;

/// How much to simulate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Simulated experiments per cell.
    pub simulations: usize,
    /// Resamples of each bootstrap interval.
    pub resamples: usize,
    /// The seed of the stream "interval coverage".
    pub seed: u64,
}

/// The whole table: every estimand, kind of scores, number of runs and method. Cells are simulated in parallel; the
/// result does not depend on the number of threads.
pub fn table(settings: Settings) -> Vec<Coverage> {
    let kinds = ScoreKind::ALL.into_iter();
    let cells: Vec<(bool, ScoreKind, usize)> = [false, true]
        .into_iter()
        .flat_map(|paired| {
            kinds
                .clone()
                .flat_map(move |kind| RUNS.map(|runs| (paired, kind, runs)))
        })
        .collect();
    let mut rows: Vec<Coverage> = cells
        .into_par_iter()
        .flat_map_iter(|(paired, kind, runs)| measure(paired, kind, runs, settings))
        .collect();
    rows.sort_by_key(|row| (row.estimand, row.scores, row.runs, row.method));
    rows
}

/// The rows of one number of runs of one kind: of paired differences, or of the mean and the trimmed mean.
pub fn measure(paired: bool, kind: ScoreKind, runs: usize, settings: Settings) -> Vec<Coverage> {
    let stream = Streams::new(settings.seed).named("interval coverage");
    let bounded = Bounded::new();
    let estimand = if paired {
        Estimand::PairedDifference
    } else {
        Estimand::Mean
    };
    let truth = match paired {
        true => paired_truth(kind),
        false => bounded.mean(kind),
    };
    let trimmed = bounded.trimmed_mean(kind);
    let mut tallies: Vec<Tally> = vec![Tally::new(estimand, IntervalMethod::StudentT)];
    if !paired {
        tallies.push(Tally::new(Estimand::TrimmedMean, IntervalMethod::TrimmedT));
    }
    if settings.resamples > 0 {
        // With three scores every ninth resample repeats one of them: the bootstrap-t is unbounded.
        let methods = [
            IntervalMethod::BootstrapT,
            IntervalMethod::Bca,
            IntervalMethod::Percentile,
        ];
        let offered = methods
            .into_iter()
            .filter(|m| runs >= 5 || *m != IntervalMethod::BootstrapT);
        tallies.extend(offered.map(|method| Tally::new(estimand, method)));
    }
    for simulation in 0..settings.simulations {
        let generator = &mut stream.at(simulation as u64);
        let scores: Vec<f64> = (0..runs)
            .map(|_| {
                if paired {
                    difference(kind, generator)
                } else {
                    bounded.draw(kind, generator)
                }
            })
            .collect();
        let mut resampled = (settings.resamples > 0).then(|| Resampled::new(&scores, settings.resamples, generator));
        for tally in &mut tallies {
            let (interval, truth) = match tally.method {
                IntervalMethod::StudentT => (mean_interval(&scores, LEVEL), truth),
                IntervalMethod::TrimmedT => (trimmed_mean_interval(&scores, LEVEL), trimmed),
                method => (resampled.as_mut().and_then(|r| r.interval(method, LEVEL)), truth),
            };
            // A missing interval does not cover.
            tally.covered += usize::from(interval.is_some_and(|interval| interval.contains(truth)));
            tally
                .widths
                .extend(interval.map(|interval| interval.high - interval.low));
        }
    }
    let deviation = if paired {
        paired_deviation(kind)
    } else {
        bounded.deviation(kind)
    };
    let rows = tallies.into_iter().map(|tally| {
        let coverage = tally.covered as f64 / settings.simulations as f64;
        let round = |value: f64, digits: i32| (value * 10f64.powi(digits)).round() / 10f64.powi(digits);
        Coverage {
            estimand: tally.estimand,
            scores: kind,
            runs,
            method: tally.method,
            level: LEVEL,
            coverage: round(coverage, 4),
            standard_error: round((coverage * (1.0 - coverage) / settings.simulations as f64).sqrt(), 4),
            median_width: round(quantile(&tally.widths, 0.5) / deviation, 3),
            simulations: settings.simulations,
        }
    });
    rows.collect()
}

/// The results of one method so far.
struct Tally {
    estimand: Estimand,
    method: IntervalMethod,
    covered: usize,
    widths: Vec<f64>,
}

impl Tally {
    fn new(estimand: Estimand, method: IntervalMethod) -> Self {
        Self {
            estimand,
            method,
            covered: 0,
            widths: Vec::new(),
        }
    }
}

/// The scores of one variant, with their truth.
struct Bounded {
    /// The probability of each number of successes, `[ROLLOUTS + 1]`: beta-binomial.
    rates: Vec<f64>,
}

impl Bounded {
    fn new() -> Self {
        let (n, a, b) = (ROLLOUTS as f64, 18.0, 2.0);
        let mut rates = vec![1.0];
        for k in 0..ROLLOUTS {
            let k = k as f64;
            let last = rates[rates.len() - 1];
            rates.push(last * (n - k) * (k + a) / ((k + 1.0) * (n - k - 1.0 + b)));
        }
        let total: f64 = rates.iter().sum();
        rates.iter_mut().for_each(|rate| *rate /= total);
        Self { rates }
    }

    /// One score.
    fn draw(&self, kind: ScoreKind, generator: &mut Generator) -> f64 {
        match kind {
            ScoreKind::Normal => StandardNormal.sample(generator),
            ScoreKind::Skewed => Exp1.sample(generator),
            ScoreKind::Bounded => success_rate(18.0, generator),
            ScoreKind::Contaminated => or_failed(0.3, generator),
        }
    }

    fn mean(&self, kind: ScoreKind) -> f64 {
        match kind {
            ScoreKind::Normal => 0.0,
            ScoreKind::Skewed => 1.0,
            ScoreKind::Bounded => 0.9,
            ScoreKind::Contaminated => 0.7,
        }
    }

    fn deviation(&self, kind: ScoreKind) -> f64 {
        match kind {
            ScoreKind::Normal | ScoreKind::Skewed => 1.0,
            ScoreKind::Bounded => {
                let deviations = (0..).zip(&self.rates).map(|(k, p)| p * (rate(k) - 0.9).powi(2));
                deviations.sum::<f64>().sqrt()
            }
            ScoreKind::Contaminated => (0.3f64 * 0.7 + 0.01).sqrt(),
        }
    }

    /// `2 ∫ Q(u) du` over u from ¼ to ¾, Q the quantile function.
    fn trimmed_mean(&self, kind: ScoreKind) -> f64 {
        match kind {
            ScoreKind::Normal => 0.0,
            // −ln(1 − u) has the integral v − v ln v, v = 1 − u.
            ScoreKind::Skewed => {
                let integral = |v: f64| v - v * v.ln();
                2.0 * (integral(0.75) - integral(0.25))
            }
            ScoreKind::Bounded => {
                let (mut sum, mut before) = (0.0, 0.0);
                for (k, p) in (0..).zip(&self.rates) {
                    let within = |u: f64| u.clamp(0.25, 0.75);
                    sum += rate(k) * (within(before + p) - within(before));
                    before += p;
                }
                2.0 * sum
            }
            ScoreKind::Contaminated => {
                // The quantile by bisection of the mixture's distribution function, the integral by the midpoint rule.
                let below = |x: f64| {
                    let normal = |centre: f64| crate::stats::normal_probability((x - centre) / 0.1);
                    0.3 * normal(0.0) + 0.7 * normal(1.0)
                };
                let quantile = |u: f64| {
                    let (mut low, mut high) = (-2.0, 3.0);
                    for _ in 0..60 {
                        let middle = 0.5 * (low + high);
                        match below(middle) < u {
                            true => low = middle,
                            false => high = middle,
                        }
                    }
                    low
                };
                const POINTS: usize = 2000;
                let at = |i: usize| quantile(0.25 + 0.5 * (i as f64 + 0.5) / POINTS as f64);
                (0..POINTS).map(at).sum::<f64>() / POINTS as f64
            }
        }
    }
}

fn rate(successes: u32) -> f64 {
    f64::from(successes) / ROLLOUTS as f64
}

/// The success rate of one run, whose own probability of success is of Beta(a, 2).
fn success_rate(a: f64, generator: &mut Generator) -> f64 {
    let p = Beta::new(a, 2.0).map_or(0.5, |beta| beta.sample(generator));
    let successes = Binomial::new(ROLLOUTS, p.clamp(0.0, 1.0)).map_or(0, |binomial| binomial.sample(generator));
    successes as f64 / ROLLOUTS as f64
}

/// The score of a run that fails with this probability.
fn or_failed(probability: f64, generator: &mut Generator) -> f64 {
    let centre = if generator.random::<f64>() < probability {
        0.0
    } else {
        1.0
    };
    let noise: f64 = StandardNormal.sample(generator);
    centre + 0.1 * noise
}

/// One paired difference: ours as [`Bounded::draw`], theirs from a wider or worse distribution of the same kind.
fn difference(kind: ScoreKind, generator: &mut Generator) -> f64 {
    match kind {
        ScoreKind::Normal => {
            // Standard deviations 1 and 2, correlation ½.
            let (ours, own): (f64, f64) = (StandardNormal.sample(generator), StandardNormal.sample(generator));
            ours - (ours + 3f64.sqrt() * own)
        }
        ScoreKind::Skewed => {
            let (ours, theirs): (f64, f64) = (Exp1.sample(generator), Exp1.sample(generator));
            ours - 2.0 * theirs
        }
        ScoreKind::Bounded => success_rate(18.0, generator) - success_rate(8.0, generator),
        ScoreKind::Contaminated => or_failed(0.1, generator) - or_failed(0.3, generator),
    }
}

fn paired_truth(kind: ScoreKind) -> f64 {
    match kind {
        ScoreKind::Normal => 0.0,
        ScoreKind::Skewed => -1.0,
        ScoreKind::Bounded => 0.1,
        ScoreKind::Contaminated => 0.2,
    }
}

fn paired_deviation(kind: ScoreKind) -> f64 {
    // A success rate has the variance of Beta(a, 2), and that of its roll-outs, E[p (1 − p)]/480.
    let variance = |a: f64| {
        let (mean, sum) = (a / (a + 2.0), a + 2.0);
        let beta = mean * (1.0 - mean) / (sum + 1.0);
        beta + (mean * (1.0 - mean) - beta) / ROLLOUTS as f64
    };
    match kind {
        ScoreKind::Normal => 3f64.sqrt(),
        ScoreKind::Skewed => 5f64.sqrt(),
        ScoreKind::Bounded => (variance(18.0) + variance(8.0)).sqrt(),
        ScoreKind::Contaminated => (0.1f64 * 0.9 + 0.3 * 0.7 + 0.02).sqrt(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::{mean, standard_deviation, trimmed_mean};
    use approx::assert_relative_eq;

    /// The truth agrees with means and standard deviations of many draws.
    #[test]
    fn the_truth_is_that_of_the_draws() {
        let (bounded, draws) = (Bounded::new(), 60_000);
        for kind in ScoreKind::ALL {
            let generator = &mut Streams::new(0).named("truth").at(0);
            let scores: Vec<f64> = (0..draws).map(|_| bounded.draw(kind, generator)).collect();
            let deviation = standard_deviation(&scores).unwrap();
            let error = 4.0 * deviation / f64::from(draws).sqrt();
            assert_relative_eq!(mean(&scores), bounded.mean(kind), epsilon = error);
            // The trimmed mean of failures falls among few scores, and is noisier than the mean.
            assert_relative_eq!(trimmed_mean(&scores), bounded.trimmed_mean(kind), epsilon = 1.5 * error);
            assert_relative_eq!(deviation, bounded.deviation(kind), max_relative = 0.03);
            let pairs: Vec<f64> = (0..draws).map(|_| difference(kind, generator)).collect();
            let deviation = standard_deviation(&pairs).unwrap();
            let error = 4.0 * deviation / f64::from(draws).sqrt();
            assert_relative_eq!(mean(&pairs), paired_truth(kind), epsilon = error);
            assert_relative_eq!(deviation, paired_deviation(kind), max_relative = 0.03);
        }
    }

    /// Some cells of the committed table, again with fewer simulations of another seed.
    #[test]
    fn the_committed_table_is_what_the_simulation_gives() {
        let settings = |resamples| Settings {
            simulations: 1500,
            resamples,
            seed: 1,
        };
        let cells = [
            (false, ScoreKind::Normal, 3, 200),
            (false, ScoreKind::Skewed, 10, 0),
            (false, ScoreKind::Bounded, 5, 200),
            (false, ScoreKind::Contaminated, 5, 0),
            (true, ScoreKind::Contaminated, 10, 0),
            (true, ScoreKind::Skewed, 5, 0),
        ];
        for (paired, kind, runs, resamples) in cells {
            for row in measure(paired, kind, runs, settings(resamples)) {
                let committed = Coverage::of(row.estimand, row.method, kind, runs).expect("a measured cell");
                // Fewer resamples make a bootstrap interval a little shorter.
                let within = 4.0 * row.standard_error.max(0.005)
                    + if row.method > IntervalMethod::StudentT {
                        0.01
                    } else {
                        0.0
                    };
                assert!((row.coverage - committed).abs() < within, "{row:?} against {committed}");
            }
        }
    }

    #[test]
    fn is_a_function_of_its_settings() {
        let settings = Settings {
            simulations: 20,
            resamples: 50,
            seed: 5,
        };
        assert_eq!(table(settings), table(settings));
        assert_eq!(table(settings).len(), 4 * (5 * 4 + 4) + 4 * (5 * 3 + 4));
    }
}
