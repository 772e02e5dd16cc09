//! The values that a metric can have, and intervals as tables and figures show them: clipped to these values.
//!
//! Student's t interval of a share near 1 reaches above 1, where no mean can lie. `summary.json` keeps it as it was made.

use super::MetricDocument;

impl MetricDocument {
    /// The least and the largest value that the metric can have: shares, named `…_rate` or `…_fraction`, lie in [0, 1]
    /// and ratios of errors above 0. `None` where neither is known.
    pub fn range(&self) -> Option<(f64, f64)> {
        match self.unit.as_str() {
            "fraction" if self.name.ends_with("_ratio") => Some((0.0, f64::INFINITY)),
            "fraction" => Some((0.0, 1.0)),
            _ => None,
        }
    }

    /// The part of an interval of the mean that the metric can reach.
    pub fn clip(&self, interval: (f64, f64)) -> (f64, f64) {
        self.range().map_or(interval, |range| clipped(interval, range))
    }

    /// The part of an interval of a difference of two means that the metric can reach.
    pub fn clip_difference(&self, interval: (f64, f64)) -> (f64, f64) {
        let reach = |(least, largest): (f64, f64)| (least - largest, largest - least);
        self.range().map_or(interval, |range| clipped(interval, reach(range)))
    }
}

fn clipped((low, high): (f64, f64), (least, largest): (f64, f64)) -> (f64, f64) {
    (low.clamp(least, largest), high.clamp(least, largest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::metrics::{METRICS, find};

    fn document(name: &str) -> MetricDocument {
        find(name).expect("the metric is in the table").into()
    }

    #[test]
    fn intervals_of_shares_stay_between_0_and_1_and_others_are_kept() {
        let rate = document("rollout/success_rate");
        assert_eq!(rate.clip((0.93, 1.07)), (0.93, 1.0));
        assert_eq!(rate.clip((-0.1, 0.2)), (0.0, 0.2));
        assert_eq!(rate.clip_difference((-1.2, 0.4)), (-1.0, 0.4));
        let ratio = document("test/one_step_error_ratio");
        assert_eq!(ratio.clip((-0.2, 1.4)), (0.0, 1.4));
        assert_eq!(ratio.clip_difference((-0.2, 1.4)), (-0.2, 1.4));
        let likelihood = document("test/log_likelihood");
        assert_eq!(likelihood.clip((-3.0, 7.0)), (-3.0, 7.0));
        assert_eq!(likelihood.clip_difference((-3.0, 7.0)), (-3.0, 7.0));
    }

    /// The names say which shares there are: a metric of another kind of name and this unit must be a ratio.
    #[test]
    fn every_metric_that_is_a_fraction_is_named_as_a_share_or_a_ratio() {
        for metric in METRICS.iter().filter(|metric| metric.unit == "fraction") {
            let ends = ["_rate", "_fraction", "_ratio"];
            assert!(ends.iter().any(|end| metric.name.ends_with(end)), "{}", metric.name);
        }
    }
}
