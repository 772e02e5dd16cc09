//! Intervals by another method than Student's t.

use super::Summary;
use crate::stats::{IntervalMethod, mean_interval_by};

impl Summary {
    /// Recomputes the intervals of the means and of the paired differences by `method`, for the metrics that are shown;
    /// none where there are too few runs for it.
    pub fn use_intervals(&mut self, method: IntervalMethod) {
        let level = self.level;
        let shown: Vec<String> = std::iter::once(&self.metric)
            .chain(&self.also)
            .map(|metric| metric.name.clone())
            .collect();
        for variant in &mut self.variants {
            for metric in &shown {
                let scores: Vec<f64> = variant.scores(metric).into_values().collect();
                if let Some(summary) = variant.summary.get_mut(metric) {
                    summary.mean_interval = mean_interval_by(method, &scores, level);
                }
            }
        }
        let scores = |name: &str| {
            let variant = self.variants.iter().find(|variant| variant.name == name);
            variant.map(|variant| variant.scores(&shown[0])).unwrap_or_default()
        };
        for found in &mut self.differences {
            let (ours, theirs) = (scores(&found.variant), scores(&found.against));
            let differences = ours.iter().filter_map(|(seed, ours)| Some(ours - theirs.get(seed)?));
            let differences: Vec<f64> = differences.collect();
            if !found.difference.identical {
                found.difference.interval = mean_interval_by(method, &differences, level);
            }
        }
    }
}
