//! Level curves of a function on a grid, by marching squares with linear interpolation along the cells' sides; in a cell
//! whose diagonals disagree, the mean of its corners decides (Lorensen and Cline 1987, in two dimensions).

use std::collections::BTreeMap;

use super::chart::{Panel, Stroke};
use super::frame::Point;

/// A side of a cell that a level curve crosses: row and column of its lower left node, and whether it is upright.
type Side = (usize, usize, bool);

impl Panel {
    /// The curves where `f` is `level`, found on a grid of `columns` × `rows` cells over `x` and `y`.
    pub fn contour(
        &mut self,
        f: impl Fn(f64, f64) -> f64,
        x: (f64, f64),
        y: (f64, f64),
        (columns, rows): (usize, usize),
        level: f64,
        stroke: Stroke,
    ) -> &mut Self {
        for curve in level_curves(f, x, y, (columns, rows), level) {
            self.line(&curve, stroke);
        }
        self
    }
}

fn level_curves(
    f: impl Fn(f64, f64) -> f64,
    x: (f64, f64),
    y: (f64, f64),
    (columns, rows): (usize, usize),
    level: f64,
) -> Vec<Vec<Point>> {
    let node = |row: usize, column: usize| -> Point {
        let along = |(from, to): (f64, f64), i: usize, n: usize| from + (to - from) * i as f64 / n as f64;
        (along(x, column, columns), along(y, row, rows))
    };
    // How far each node lies above the level, row by row; values that are not finite count as below.
    let height: Vec<f64> = (0..(rows + 1) * (columns + 1))
        .map(|i| node(i / (columns + 1), i % (columns + 1)))
        .map(|(x, y)| f(x, y) - level)
        .map(|h| if h.is_finite() { h } else { -f64::MIN_POSITIVE })
        .collect();
    let at = |row: usize, column: usize| height[row * (columns + 1) + column];

    let mut neighbours: BTreeMap<Side, Vec<Side>> = BTreeMap::new();
    for row in 0..rows {
        for column in 0..columns {
            let corners = [
                at(row, column),
                at(row, column + 1),
                at(row + 1, column + 1),
                at(row + 1, column),
            ];
            let sides = [
                (row, column, false),
                (row, column + 1, true),
                (row + 1, column, false),
                (row, column, true),
            ];
            let crossed: Vec<usize> = (0..4)
                .filter(|i| (corners[*i] >= 0.0) != (corners[(i + 1) % 4] >= 0.0))
                .collect();
            let pairs: &[(usize, usize)] = match crossed[..] {
                [a, b] => &[(a, b)],
                // Around the corners that differ from the centre.
                [_, _, _, _] if (corners.iter().sum::<f64>() >= 0.0) == (corners[0] >= 0.0) => &[(0, 1), (2, 3)],
                [_, _, _, _] => &[(3, 0), (1, 2)],
                _ => &[],
            };
            for &(a, b) in pairs {
                neighbours.entry(sides[a]).or_default().push(sides[b]);
                neighbours.entry(sides[b]).or_default().push(sides[a]);
            }
        }
    }
    let crossing = |(row, column, upright): Side| -> Point {
        let (next_row, next_column) = if upright { (row + 1, column) } else { (row, column + 1) };
        let (p, q) = (node(row, column), node(next_row, next_column));
        let (a, b) = (at(row, column), at(next_row, next_column));
        let t = a / (a - b);
        (p.0 + t * (q.0 - p.0), p.1 + t * (q.1 - p.1))
    };
    // Open curves from their ends first, then closed ones from anywhere.
    let mut starts: Vec<Side> = neighbours
        .iter()
        .filter(|(_, next)| next.len() == 1)
        .map(|(side, _)| *side)
        .collect();
    starts.extend(neighbours.keys().copied());
    let mut curves = Vec::new();
    for start in starts {
        let mut curve = Vec::new();
        let mut side = start;
        while let Some(next) = neighbours.get_mut(&side).and_then(Vec::pop) {
            if curve.is_empty() {
                curve.push(crossing(side));
            }
            if let Some(back) = neighbours.get_mut(&next)
                && let Some(i) = back.iter().position(|s| *s == side)
            {
                back.swap_remove(i);
            }
            curve.push(crossing(next));
            side = next;
        }
        if !curve.is_empty() {
            curves.push(curve);
        }
    }
    curves
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_circle_is_one_closed_curve_of_its_radius() {
        let curves = level_curves(|x, y| -(x * x + y * y), (-2.0, 2.0), (-2.0, 2.0), (80, 80), -1.0);
        assert_eq!(curves.len(), 1);
        let curve = &curves[0];
        assert_eq!(curve.first(), curve.last());
        // Linear interpolation of a parabola errs by at most (cell/2)² over twice the radius.
        assert!(
            curve
                .iter()
                .all(|p| (p.0.hypot(p.1) - 1.0).abs() < 0.05f64.powi(2) / 2.0)
        );
        let length: f64 = curve.windows(2).map(|p| (p[0].0 - p[1].0).hypot(p[0].1 - p[1].1)).sum();
        assert!((length / std::f64::consts::TAU - 1.0).abs() < 1e-3);
    }

    #[test]
    fn two_bumps_have_two_curves_and_a_saddle_none_that_cross() {
        let bumps = |x: f64, y: f64| (-(x - 2.0).powi(2) - y * y).exp() + (-(x + 2.0).powi(2) - y * y).exp();
        assert_eq!(level_curves(bumps, (-4.0, 4.0), (-3.0, 3.0), (60, 40), 0.5).len(), 2);
        // x y = 0.001 has two branches, which one cell round the origin must not join.
        assert_eq!(
            level_curves(|x, y| x * y, (-1.0, 1.0), (-1.0, 1.0), (7, 7), 0.001).len(),
            2
        );
        assert!(level_curves(|_, _| f64::NAN, (0.0, 1.0), (0.0, 1.0), (4, 4), 0.0).is_empty());
        assert!(level_curves(bumps, (0.0, 1.0), (0.0, 1.0), (0, 0), 0.0).is_empty());
    }
}
