//! Shapes of a panel that are made of its marks: histograms, functions on a grid, Gaussians, circles, intervals.

use super::chart::{Dot, Mark, Panel, Stroke};
use super::frame::Point;
use super::theme::{Color, ColorMap, WHITE};

impl Panel {
    /// Bars of a histogram: `heights[i]` from `edges[i]` to `edges[i + 1]`.
    pub fn bars(&mut self, edges: &[f64], heights: &[f64], color: Color) -> &mut Self {
        for (edge, height) in edges.windows(2).zip(heights) {
            self.rectangle((edge[0], 0.0), (edge[1], *height), color);
        }
        self
    }

    /// The outline of a histogram: `heights[i]` from `edges[i]` to `edges[i + 1]`.
    pub fn steps(&mut self, edges: &[f64], heights: &[f64], stroke: Stroke) -> &mut Self {
        let outline: Vec<Point> = edges
            .windows(2)
            .zip(heights)
            .flat_map(|(e, h)| [(e[0], *h), (e[1], *h)])
            .collect();
        self.line(&outline, stroke)
    }

    /// A function on a grid of `columns` × `rows` cells, from 0 to its largest finite value.
    pub fn heat(
        &mut self,
        f: impl Fn(f64, f64) -> f64,
        x: (f64, f64),
        y: (f64, f64),
        cells: (usize, usize),
        map: ColorMap,
    ) -> &mut Self {
        self.heat_of(f, x, y, cells, None, map)
    }

    /// The same from 0 to `top`, so that several panels share one scale; higher values have the same colour.
    pub fn heat_to(
        &mut self,
        f: impl Fn(f64, f64) -> f64,
        x: (f64, f64),
        y: (f64, f64),
        cells: (usize, usize),
        top: f64,
        map: ColorMap,
    ) -> &mut Self {
        self.heat_of(f, x, y, cells, Some(top), map)
    }

    fn heat_of(
        &mut self,
        f: impl Fn(f64, f64) -> f64,
        x: (f64, f64),
        y: (f64, f64),
        (columns, rows): (usize, usize),
        top: Option<f64>,
        map: ColorMap,
    ) -> &mut Self {
        let middle = |(from, to): (f64, f64), i: usize, n: usize| from + (to - from) * (i as f64 + 0.5) / n as f64;
        let mut values: Vec<f64> = (0..rows * columns)
            .map(|i| f(middle(x, i % columns, columns), middle(y, i / columns, rows)))
            .collect();
        self.skipped += values.iter().filter(|v| !v.is_finite()).count();
        if let Some(top) = top {
            values.iter_mut().filter(|v| **v > top).for_each(|v| *v = top);
        }
        let top = top.unwrap_or_else(|| values.iter().copied().filter(|v| v.is_finite()).fold(0.0, f64::max));
        self.include(Some(x.0), Some(y.0)).include(Some(x.1), Some(y.1));
        self.marks.push(Mark::Heat {
            x,
            y,
            columns,
            values,
            top,
            map,
        });
        self
    }

    /// The ellipses of a Gaussian at the given numbers of standard deviations, lightly filled, with its mean.
    /// A covariance that is not positive definite draws its mean alone.
    pub fn gaussian(
        &mut self,
        mean: [f64; 2],
        covariance: [[f64; 2]; 2],
        deviations: &[f64],
        color: Color,
    ) -> &mut Self {
        for r in deviations {
            let shape = ellipse(mean, covariance, *r);
            if !shape.is_empty() {
                self.area(&shape, color.alpha(0.10));
                self.line(&shape, Stroke::solid(color).width(3.0));
            }
        }
        self.points(&[(mean[0], mean[1])], Dot::new(WHITE).radius(9.0));
        self.points(&[(mean[0], mean[1])], Dot::new(color).radius(6.5))
    }

    /// The outlines alone of [`Panel::gaussian`], as for the oracle's.
    pub fn ellipses(
        &mut self,
        mean: [f64; 2],
        covariance: [[f64; 2]; 2],
        deviations: &[f64],
        stroke: Stroke,
    ) -> &mut Self {
        for r in deviations {
            self.line(&ellipse(mean, covariance, *r), stroke);
        }
        self
    }

    /// A filled circle; the radius is in data units of both axes.
    pub fn circle(&mut self, center: Point, radius: f64, color: Color) -> &mut Self {
        let turn = |i: i32| (f64::from(i) * std::f64::consts::TAU / 72.0).sin_cos();
        let shape: Vec<Point> = (0..72)
            .map(turn)
            .map(|(s, c)| (center.0 + radius * c, center.1 + radius * s))
            .collect();
        self.area(&shape, color)
    }

    /// A filled rectangle between two opposite corners.
    pub fn rectangle(&mut self, p: Point, q: Point, color: Color) -> &mut Self {
        self.area(&[p, (q.0, p.1), q, (p.0, q.1)], color)
    }

    /// A dot with a vertical interval.
    pub fn error_bar(&mut self, x: f64, y: f64, interval: Option<(f64, f64)>, color: Color) -> &mut Self {
        if let Some((low, high)) = interval {
            self.line(&[(x, low), (x, high)], Stroke::solid(color));
        }
        self.points(&[(x, y)], Dot::new(color).radius(8.0))
    }
}

/// The closed curve `r` standard deviations round a mean; empty if the covariance is not positive definite.
fn ellipse(mean: [f64; 2], [[a, b], [_, d]]: [[f64; 2]; 2], r: f64) -> Vec<Point> {
    // Cholesky factor: x = μ + r L (cos t, sin t).
    let l11 = a.sqrt();
    let l21 = b / l11;
    let l22 = (d - l21 * l21).sqrt();
    if !(l11 > 0.0 && l22 > 0.0) {
        return Vec::new();
    }
    (0..=96)
        .map(|i| (f64::from(i) * std::f64::consts::TAU / 96.0).sin_cos())
        .map(|(sin, cos)| (mean[0] + r * l11 * cos, mean[1] + r * (l21 * cos + l22 * sin)))
        .collect()
}
