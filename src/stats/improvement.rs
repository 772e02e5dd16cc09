//! The probability that a run of one variant beats a run of another: the Mann–Whitney statistic `U/(n m)`, where a tie
//! counts one half (Agarwal et al. 2021, section 4.3). It measures how often, not by how much.

use super::aggregate::mean;
use super::scores::Scores;

/// `P(X > Y) + ½ P(X = Y)` over all pairs of a score of `x` and one of `y`. NaN if either is empty.
pub fn probability_of_improvement(x: &[f64], y: &[f64]) -> f64 {
    let mut wins = 0.0;
    for x in x {
        for y in y {
            wins += if x > y { 1.0 } else { f64::from(x == y) / 2.0 };
        }
    }
    wins / (x.len() * y.len()) as f64
}

/// The mean of [`probability_of_improvement`] over the tasks, which are the same and in the same order in both; `None`
/// if their numbers differ.
pub fn mean_probability_of_improvement(x: &Scores, y: &Scores) -> Option<f64> {
    let (x, y) = (x.tasks(), y.tasks());
    if x.len() != y.len() {
        return None;
    }
    let each: Vec<f64> = x.zip(y).map(|(x, y)| probability_of_improvement(x, y)).collect();
    Some(mean(&each))
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    #[test]
    fn agrees_with_scipy() {
        // x = [(7 * i * i) % 23 / 4 for i in range(20)]; a, b = x[:9], x[9:]
        // scipy.stats.mannwhitneyu(a, b).statistic / (9 * 11)   # scipy 1.17.1; there are ties
        let x: Vec<f64> = (0..20).map(|i| f64::from(7 * i * i % 23) / 4.0).collect();
        assert_relative_eq!(
            probability_of_improvement(&x[..9], &x[9..]),
            0.4090909090909091,
            max_relative = 1e-14
        );
    }

    #[test]
    fn tasks_weigh_the_same_for_any_number_of_runs() {
        let x = Scores::new(&[vec![2.0; 8], vec![0.0]]).unwrap();
        let y = Scores::new(&[vec![1.0; 3], vec![0.0, 1.0]]).unwrap();
        assert_eq!(mean_probability_of_improvement(&x, &y), Some((1.0 + 0.25) / 2.0));
        assert_eq!(mean_probability_of_improvement(&y, &x), Some((0.0 + 0.75) / 2.0));
        assert_eq!(
            mean_probability_of_improvement(&x, &Scores::of_one_task(&[1.0]).unwrap()),
            None
        );
    }
}
