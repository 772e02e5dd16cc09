//! Drawing the marks of a panel in pixels.

use super::axis::Scale;
use super::chart::{Mark, Stroke};
use super::font::{self, CAPITAL, Weight};
use super::frame::{Frame, Point};
use super::sheet::{Anchor, Sheet};
use super::theme::{ColorMap, TICK, WHITE};

/// Shades of a heat map.
const SHADES: f64 = 40.0;

/// The map from data to the pixels of the axes.
pub(super) struct View {
    pub plot: Frame,
    pub x: Scale,
    pub y: Scale,
}

impl View {
    fn place(&self, p: Point) -> Option<Point> {
        let (u, v) = (self.x.place(p.0)?, self.y.place(p.1)?);
        // Far outside, the exact place no longer matters.
        let (u, v) = (u.clamp(-1e4, 1e4), v.clamp(-1e4, 1e4));
        Some((
            self.plot.left + u * self.plot.width(),
            self.plot.bottom - v * self.plot.height(),
        ))
    }

    /// Draws one mark, clipped to the axes.
    pub fn draw(&self, sheet: &mut Sheet, mark: &Mark) {
        match mark {
            Mark::Line(points, stroke) => {
                for part in points
                    .iter()
                    .map(|p| self.place(*p))
                    .collect::<Vec<_>>()
                    .split(Option::is_none)
                {
                    let part: Vec<Point> = part.iter().flatten().copied().collect();
                    if let [p] = part[..]
                        && self.plot.contains(p)
                    {
                        sheet.disc(p, stroke.width, stroke.color);
                    }
                    for piece in self.plot.clip_line(&part) {
                        sheet.stroke(&piece, stroke.width, stroke.dash, stroke.color);
                    }
                }
            }
            Mark::Area(points, color) => {
                let shape: Vec<Point> = points.iter().filter_map(|p| self.place(*p)).collect();
                sheet.fill(&self.plot.clip_polygon(&shape), *color);
            }
            Mark::Points(points, radius) => {
                for (p, color) in points {
                    if let Some(p) = self.place(*p).filter(|p| self.plot.contains(*p)) {
                        sheet.disc(p, *radius, *color);
                    }
                }
            }
            Mark::Heat {
                x,
                y,
                columns,
                values,
                top,
                map,
            } => self.draw_heat(sheet, (*x, *y), *columns, values, *top, *map),
            Mark::Arrow(from, to, stroke) => {
                if let (Some(p), Some(q)) = (self.place(*from), self.place(*to)) {
                    self.draw_arrow(sheet, p, q, *stroke);
                }
            }
            Mark::Text(at, text, anchor, color) => {
                if let Some(p) = self.place(*at) {
                    let width = font::width(text, TICK, Weight::Regular);
                    let left = match anchor {
                        Anchor::Start => p.0,
                        Anchor::Middle => p.0 - 0.5 * width,
                        Anchor::End => p.0 - width,
                    };
                    // Kept inside the axes.
                    let left = left.min(self.plot.right - width - 4.0).max(self.plot.left + 4.0);
                    let half = 0.5 * TICK * CAPITAL + 5.0;
                    let ground = Frame {
                        left: left - 5.0,
                        top: p.1 - half,
                        right: left + width + 5.0,
                        bottom: p.1 + half,
                    };
                    sheet.fill_frame(ground, WHITE.alpha(0.75));
                    sheet.tick_label(text, (left, p.1), Anchor::Start, color.text());
                }
            }
            Mark::Horizontal(y, stroke) => {
                if let Some(v) = self.y.place(*y) {
                    let py = self.plot.bottom - v * self.plot.height();
                    for piece in self.plot.clip_line(&[(self.plot.left, py), (self.plot.right, py)]) {
                        sheet.stroke(&piece, stroke.width, stroke.dash, stroke.color);
                    }
                }
            }
            Mark::Vertical(x, _, stroke) => {
                if let Some(u) = self.x.place(*x).filter(|_| stroke.width > 0.0) {
                    let px = self.plot.left + u * self.plot.width();
                    for piece in self.plot.clip_line(&[(px, self.plot.bottom), (px, self.plot.top)]) {
                        sheet.stroke(&piece, stroke.width, stroke.dash, stroke.color);
                    }
                }
            }
        }
    }

    /// Rows of cells; neighbours of one shade become one rectangle, and each reaches a little under the next.
    fn draw_heat(
        &self,
        sheet: &mut Sheet,
        (x, y): ((f64, f64), (f64, f64)),
        columns: usize,
        values: &[f64],
        top: f64,
        map: ColorMap,
    ) {
        if columns == 0 || top <= 0.0 {
            return;
        }
        let rows = values.len() / columns;
        let shade = |v: f64| {
            if v.is_finite() {
                (SHADES * v.max(0.0) / top).round()
            } else {
                f64::NAN
            }
        };
        let at = |(from, to): (f64, f64), i: usize, n: usize| from + (to - from) * i as f64 / n as f64;
        for row in 0..rows {
            let cells = &values[row * columns..(row + 1) * columns];
            let mut start = 0;
            for end in 1..=columns {
                let level = shade(cells[start]);
                if end < columns && shade(cells[end]).to_bits() == level.to_bits() {
                    continue;
                }
                let corner = |column, row| self.place((at(x, column, columns), at(y, row, rows)));
                if let (Some(p), Some(q)) = (corner(start, row), corner(end, row + 1)) {
                    let color = map.at(level / SHADES);
                    let (left, right) = (p.0.min(q.0), p.0.max(q.0) + if end < columns { 0.7 } else { 0.0 });
                    let (top, bottom) = (p.1.min(q.1) - if row + 1 < rows { 0.7 } else { 0.0 }, p.1.max(q.1));
                    if color != WHITE {
                        let cell = [(left, top), (right, top), (right, bottom), (left, bottom)];
                        sheet.fill(&self.plot.clip_polygon(&cell), color);
                    }
                }
                start = end;
            }
        }
    }

    fn draw_arrow(&self, sheet: &mut Sheet, p: Point, q: Point, stroke: Stroke) {
        let length = (q.0 - p.0).hypot(q.1 - p.1);
        if length <= 1.0 || !self.plot.contains(p) || !self.plot.contains(q) {
            return;
        }
        let (ux, uy) = ((q.0 - p.0) / length, (q.1 - p.1) / length);
        let head = (4.5 * stroke.width).min(0.6 * length);
        let neck = (q.0 - ux * head, q.1 - uy * head);
        let half = 0.45 * head;
        sheet.stroke(&[p, neck], stroke.width, stroke.dash, stroke.color);
        sheet.fill(
            &[
                q,
                (neck.0 - uy * half, neck.1 + ux * half),
                (neck.0 + uy * half, neck.1 - ux * half),
            ],
            stroke.color,
        );
    }
}
