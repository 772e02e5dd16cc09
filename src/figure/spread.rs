//! Moving labels apart.

/// Centres of labels along a line, as near as possible (in least squares) to their wished places without overlap:
/// isotonic regression after taking away the cumulated sizes (pool adjacent violators, Ayer et al. 1955). Labels stay
/// within `low..high` if their sizes allow; the result has the order of the input.
pub(super) fn spread(wished: &[f64], sizes: &[f64], low: f64, high: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..wished.len()).collect();
    order.sort_by(|a, b| wished[*a].total_cmp(&wished[*b]));
    let mut offsets = vec![0.0; order.len()];
    for i in 1..order.len() {
        offsets[i] = offsets[i - 1] + 0.5 * (sizes[order[i - 1]] + sizes[order[i]]);
    }
    // Pools of neighbours that share one level: (sum of wishes, members).
    let mut pools: Vec<(f64, usize)> = Vec::new();
    for (i, label) in order.iter().enumerate() {
        pools.push((wished[*label] - offsets[i], 1));
        while let [.., (a, n), (b, m)] = pools[..] {
            if a / n as f64 <= b / m as f64 {
                break;
            }
            pools.truncate(pools.len() - 2);
            pools.push((a + b, n + m));
        }
    }
    let mut centres = vec![0.0; wished.len()];
    if let (Some(&first), Some(&last)) = (order.first(), order.last()) {
        let bottom = low + 0.5 * sizes[first];
        let top = (high - 0.5 * sizes[last] - offsets[order.len() - 1]).max(bottom);
        let levels = pools
            .iter()
            .flat_map(|&(sum, n)| std::iter::repeat_n((sum / n as f64).clamp(bottom, top), n));
        for ((label, level), offset) in order.iter().zip(levels).zip(&offsets) {
            centres[*label] = level + offset;
        }
    }
    centres
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn spread_labels_keep_order_and_distance(labels in prop::collection::vec((0.0..300.0f64, 5.0..20.0f64), 0..16)) {
            let (wished, sizes): (Vec<f64>, Vec<f64>) = labels.into_iter().unzip();
            let centres = spread(&wished, &sizes, 0.0, 320.0);
            for i in 0..centres.len() {
                prop_assert!(centres[i] - sizes[i] / 2.0 > -1e-9 && centres[i] + sizes[i] / 2.0 < 320.0 + 1e-9);
                for j in 0..i {
                    let room = (sizes[i] + sizes[j]) / 2.0;
                    prop_assert!((centres[i] - centres[j]).abs() > room - 1e-9);
                    prop_assert!(wished[i] == wished[j] || (wished[i] < wished[j]) == (centres[i] < centres[j]));
                }
            }
        }
    }

    #[test]
    fn labels_with_enough_space_stay_where_they_are() {
        assert_eq!(spread(&[50.0, 10.0, 30.0], &[10.0; 3], 0.0, 100.0), [50.0, 10.0, 30.0]);
        assert_eq!(spread(&[50.0, 50.0], &[10.0; 2], 0.0, 100.0), [45.0, 55.0]);
    }
}
