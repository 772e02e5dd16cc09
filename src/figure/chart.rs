//! A panel: two axes and the marks between them, in data units.
//!
//! Marks are drawn in the order in which they were added, clipped to the axes. Lines carry their names at their ends,
//! moved apart where they would overlap, so no figure needs a legend. Values that are not finite break lines, are left
//! out elsewhere, and are counted.

use super::axis::{Axis, Scale, Tick, number, spread};
use super::font::{self, Block, CAPITAL, LINE_HEIGHT, Weight, fit};
use super::sheet::{Anchor, Frame, Point, Sheet};
use super::theme::{
    BASELINE, BLACK, Color, ColorMap, Dash, GRID, GRID_LINE, LABEL, LINE, ORACLE, PANEL_TITLE, POINT, QUIET,
    REFERENCE_LINE, TICK, WHITE,
};

/// Points drawn by one call of [`Panel::points`]; of more, an even selection is drawn, which keeps SVGs small.
const MOST_POINTS: usize = 4000;
/// Shades of a heat map.
const SHADES: f64 = 40.0;
/// Distance between axes and labels, pixels.
const GAP: f64 = 12.0;

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stroke {
    /// Its colour.
    pub color: Color,
    /// Its width, pixels.
    pub width: f64,
    /// Its dashes.
    pub dash: Dash,
}

impl Stroke {
    /// A solid data line.
    pub const fn solid(color: Color) -> Self {
        Self {
            color,
            width: LINE,
            dash: Dash::Solid,
        }
    }

    /// The oracle's line.
    pub const fn oracle() -> Self {
        Self {
            color: ORACLE,
            width: REFERENCE_LINE,
            dash: Dash::Dashed,
        }
    }

    /// The baseline's line.
    pub const fn baseline() -> Self {
        Self {
            color: BASELINE,
            width: REFERENCE_LINE,
            dash: Dash::Dotted,
        }
    }

    /// The same line in another width, pixels.
    pub const fn width(self, width: f64) -> Self {
        Self { width, ..self }
    }

    /// The same line with other dashes.
    pub const fn dash(self, dash: Dash) -> Self {
        Self { dash, ..self }
    }
}

/// How points look.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dot {
    /// Their colour.
    pub color: Color,
    /// Their radius, pixels.
    pub radius: f64,
}

impl Dot {
    /// Points of the ordinary size.
    pub const fn new(color: Color) -> Self {
        Self { color, radius: POINT }
    }

    /// The same points with another radius, pixels.
    pub const fn radius(self, radius: f64) -> Self {
        Self { radius, ..self }
    }
}

/// What a panel holds, in data units.
#[derive(Debug, Clone)]
enum Mark {
    Line(Vec<Point>, Stroke),
    Area(Vec<Point>, Color),
    Points(Vec<(Point, Color)>, f64),
    Heat {
        x: (f64, f64),
        y: (f64, f64),
        columns: usize,
        values: Vec<f64>,
        top: f64,
        map: ColorMap,
    },
    Arrow(Point, Point, Stroke),
    Text(Point, String, Anchor, Color),
    Horizontal(f64, Stroke),
    Vertical(f64, String, Stroke),
}

/// Axes, marks and labels of one plot.
#[derive(Debug, Clone, Default)]
pub struct Panel {
    title: String,
    x: Axis,
    y: Axis,
    equal: bool,
    marks: Vec<Mark>,
    /// Labels in the right margin: height in data units, text, colour.
    ends: Vec<(f64, String, Color)>,
    extents: [Option<(f64, f64)>; 2],
    skipped: usize,
}

/// Room that a panel needs round its axes, pixels.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Insets {
    pub left: f64,
    pub top: f64,
    pub right: f64,
    pub bottom: f64,
}

impl Panel {
    /// An empty panel; the title may be empty.
    pub fn new(title: impl Into<String>, x: Axis, y: Axis) -> Self {
        Self {
            title: title.into(),
            x,
            y,
            ..Self::default()
        }
    }

    /// Draws one unit of x as long as one unit of y, by showing more of the roomier direction.
    pub fn equal_units(mut self) -> Self {
        self.equal = true;
        self
    }

    /// Values that were left out because they are not finite.
    pub fn skipped(&self) -> usize {
        self.skipped
    }

    /// Makes the axes reach to a place, without drawing anything.
    pub fn include(&mut self, x: Option<f64>, y: Option<f64>) -> &mut Self {
        for (extent, value, axis) in [(0, x, &self.x), (1, y, &self.y)] {
            if let Some(v) = value.filter(|v| v.is_finite() && (!axis.log || *v > 0.0)) {
                let (low, high) = self.extents[extent].unwrap_or((v, v));
                self.extents[extent] = Some((low.min(v), high.max(v)));
            }
        }
        self
    }

    /// Counts a place and makes the axes reach to it; false if it is not finite.
    fn admit(&mut self, p: Point) -> bool {
        let finite = p.0.is_finite() && p.1.is_finite();
        if finite {
            self.include(Some(p.0), Some(p.1));
        } else {
            self.skipped += 1;
        }
        finite
    }

    fn admitted(&mut self, points: &[Point]) -> Vec<Point> {
        points.iter().copied().filter(|p| self.admit(*p)).collect()
    }

    /// A line through points in their order, broken where they are not finite.
    pub fn line(&mut self, points: &[Point], stroke: Stroke) -> &mut Self {
        for part in points.split(|p| !(p.0.is_finite() && p.1.is_finite())) {
            if !part.is_empty() {
                let part = self.admitted(part);
                self.marks.push(Mark::Line(part, stroke));
            }
        }
        self.skipped += points.iter().filter(|p| !(p.0.is_finite() && p.1.is_finite())).count();
        self
    }

    /// A line that carries its name at its right end.
    pub fn named_line(&mut self, name: impl Into<String>, points: &[Point], stroke: Stroke) -> &mut Self {
        self.line(points, stroke);
        if let Some(end) = points.iter().rfind(|p| p.0.is_finite() && p.1.is_finite()) {
            self.end_label(end.1, name, stroke.color);
        }
        self
    }

    /// A name in the right margin at the height `y`, moved apart from others.
    pub fn end_label(&mut self, y: f64, name: impl Into<String>, color: Color) -> &mut Self {
        if y.is_finite() {
            self.ends.push((y, name.into(), color));
        }
        self
    }

    /// The area between `low` and `high` in rows (x, low, high): an interval along a line.
    pub fn band(&mut self, rows: &[(f64, f64, f64)], color: Color) -> &mut Self {
        for part in rows.split(|(x, low, high)| !(x.is_finite() && low.is_finite() && high.is_finite())) {
            let mut shape: Vec<Point> = part.iter().map(|r| (r.0, r.1)).collect();
            shape.extend(part.iter().rev().map(|r| (r.0, r.2)));
            self.area(&shape, color);
        }
        self
    }

    /// A filled polygon.
    pub fn area(&mut self, points: &[Point], color: Color) -> &mut Self {
        let points = self.admitted(points);
        self.marks.push(Mark::Area(points, color));
        self
    }

    /// Points of one colour.
    pub fn points(&mut self, points: &[Point], dot: Dot) -> &mut Self {
        let colored: Vec<_> = points.iter().map(|p| (*p, dot.color)).collect();
        self.colored_points(&colored, dot.radius)
    }

    /// Points with a colour each, as by responsibility (see [`super::theme::mix`]); the radius is in pixels.
    pub fn colored_points(&mut self, points: &[(Point, Color)], radius: f64) -> &mut Self {
        let kept: Vec<_> = points.iter().copied().filter(|(p, _)| self.admit(*p)).collect();
        let stride = kept.len().div_ceil(MOST_POINTS).max(1);
        self.marks
            .push(Mark::Points(kept.into_iter().step_by(stride).collect(), radius));
        self
    }

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
        (columns, rows): (usize, usize),
        map: ColorMap,
    ) -> &mut Self {
        let middle = |(from, to): (f64, f64), i: usize, n: usize| from + (to - from) * (i as f64 + 0.5) / n as f64;
        let values: Vec<f64> = (0..rows * columns)
            .map(|i| f(middle(x, i % columns, columns), middle(y, i / columns, rows)))
            .collect();
        self.skipped += values.iter().filter(|v| !v.is_finite()).count();
        let top = values.iter().copied().filter(|v| v.is_finite()).fold(0.0, f64::max);
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
        let [[a, b], [_, d]] = covariance;
        // Cholesky factor: x = μ + r L (cos t, sin t).
        let l11 = a.sqrt();
        let l21 = b / l11;
        let l22 = (d - l21 * l21).sqrt();
        if l11 > 0.0 && l22 > 0.0 {
            for r in deviations {
                let ellipse: Vec<Point> = (0..=96)
                    .map(|i| (f64::from(i) * std::f64::consts::TAU / 96.0).sin_cos())
                    .map(|(sin, cos)| (mean[0] + r * l11 * cos, mean[1] + r * (l21 * cos + l22 * sin)))
                    .collect();
                self.area(&ellipse, color.alpha(0.10));
                self.line(&ellipse, Stroke::solid(color).width(3.0));
            }
        }
        self.points(&[(mean[0], mean[1])], Dot::new(WHITE).radius(9.0));
        self.points(&[(mean[0], mean[1])], Dot::new(color).radius(6.5))
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

    /// An arrow from one place to another.
    pub fn arrow(&mut self, from: Point, to: Point, stroke: Stroke) -> &mut Self {
        let (start, end) = (self.admit(from), self.admit(to));
        if start && end {
            self.marks.push(Mark::Arrow(from, to, stroke));
        }
        self
    }

    /// A note inside the axes, on a light ground.
    pub fn text(&mut self, at: Point, text: impl Into<String>, anchor: Anchor, color: Color) -> &mut Self {
        if self.admit(at) {
            self.marks.push(Mark::Text(at, text.into(), anchor, color));
        }
        self
    }

    /// A horizontal line across the panel, named with its value in the right margin.
    pub fn reference(&mut self, y: f64, name: &str, stroke: Stroke) -> &mut Self {
        if y.is_finite() {
            self.include(None, Some(y));
            self.marks.push(Mark::Horizontal(y, stroke));
            self.end_label(y, format!("{name} {}", number(y)), stroke.color);
        } else {
            self.skipped += 1;
        }
        self
    }

    /// A vertical line through the panel, named with its value above.
    pub fn vertical_reference(&mut self, x: f64, name: &str, stroke: Stroke) -> &mut Self {
        if x.is_finite() {
            self.include(Some(x), None);
            self.marks
                .push(Mark::Vertical(x, format!("{name} {}", number(x)), stroke));
        } else {
            self.skipped += 1;
        }
        self
    }

    /// A dot with a vertical interval.
    pub fn error_bar(&mut self, x: f64, y: f64, interval: Option<(f64, f64)>, color: Color) -> &mut Self {
        if let Some((low, high)) = interval {
            self.line(&[(x, low), (x, high)], Stroke::solid(color));
        }
        self.points(&[(x, y)], Dot::new(color).radius(8.0))
    }

    /// Scales of both axes for a plot of the given size, pixels.
    fn scales(&self, width: f64, height: f64) -> [Scale; 2] {
        let [x, y] = [self.x.scale(self.extents[0]), self.y.scale(self.extents[1])];
        if !self.equal {
            return [x, y];
        }
        let (horizontal, vertical) = (x.span() / width.max(1.0), y.span() / height.max(1.0));
        [x.widened(vertical / horizontal), y.widened(horizontal / vertical)]
    }

    fn x_ticks(&self, scale: Scale, width: f64) -> Vec<Tick> {
        // Fewer ticks until no two labels touch.
        for most in (2..=7).rev() {
            let ticks = scale.ticks(most);
            let spans: Vec<(f64, f64)> = ticks
                .iter()
                .filter_map(|tick| {
                    let half = 0.5 * font::width(&tick.label, TICK, Weight::Regular) + 0.4 * TICK;
                    scale
                        .place(tick.value)
                        .map(|place| (place * width - half, place * width + half))
                })
                .collect();
            let apart = |pair: &[(f64, f64)]| pair[0].1 <= pair[1].0 || pair[1].1 <= pair[0].0;
            if most == 2 || spans.windows(2).all(apart) {
                return ticks;
            }
        }
        Vec::new()
    }

    fn y_ticks(&self, scale: Scale, height: f64) -> Vec<Tick> {
        scale.ticks(((height / (2.6 * TICK)) as usize).clamp(2, 6))
    }

    /// Names of the rows of a vertical axis of names.
    fn row_names(&self, width: f64, height: f64) -> Vec<Block> {
        let names = self.y.names.as_deref().unwrap_or_default();
        let room = height / names.len().max(1) as f64;
        let lines = ((room / (font_line(TICK))) as usize).clamp(1, 2);
        names
            .iter()
            .map(|name| fit(name, 0.30 * width, lines, TICK, Weight::Regular))
            .collect()
    }

    fn end_blocks(&self, width: f64) -> Vec<Block> {
        let lines = if self.y.names.is_some() { 1 } else { 2 };
        self.ends
            .iter()
            .map(|(_, text, _)| fit(text, 0.32 * width, lines, TICK, Weight::Regular))
            .collect()
    }

    fn title_block(&self, width: f64) -> Option<Block> {
        (!self.title.is_empty()).then(|| fit(&self.title, width, 2, PANEL_TITLE, Weight::Bold))
    }

    /// The room that this panel needs round its axes within an outer size, pixels.
    pub(super) fn insets(&self, width: f64, height: f64) -> Insets {
        let [x, y] = self.scales(width, height);
        let widest = |blocks: &[Block]| blocks.iter().map(Block::width).fold(0.0, f64::max);
        let mut left = if self.y.names.is_some() {
            widest(&self.row_names(width, height))
        } else {
            self.y_ticks(y, height)
                .iter()
                .map(|t| font::width(&t.label, TICK, Weight::Regular))
                .fold(0.0, f64::max)
        };
        left += GAP;
        if !self.y.label.is_empty() {
            left += font_line(LABEL) + GAP;
        }
        let mut right = widest(&self.end_blocks(width));
        right = if right > 0.0 { right + 2.0 * GAP } else { GAP };
        // The last label of the horizontal axis may reach beyond its end.
        let reach = self
            .x_ticks(x, width - left - right)
            .iter()
            .filter_map(|t| {
                let half = 0.5 * font::width(&t.label, TICK, Weight::Regular);
                x.place(t.value)
                    .map(|place| half - (1.0 - place) * (width - left - right))
            })
            .fold(0.0, f64::max);
        let bottom = GAP + font_line(TICK) + if self.x.label.is_empty() { 0.0 } else { font_line(LABEL) };
        let mut top = self.title_block(width).map_or(0.5 * TICK, |title| title.height() + GAP);
        if self.marks.iter().any(|mark| matches!(mark, Mark::Vertical(..))) {
            top += font_line(TICK) + 0.5 * GAP;
        }
        Insets {
            left,
            top,
            right: right.max(reach + 2.0),
            bottom,
        }
    }

    /// Draws the panel with its axes along `plot`, within `outer`.
    pub(super) fn draw(&self, sheet: &mut Sheet, outer: Frame, plot: Frame) {
        let [x, y] = self.scales(plot.width(), plot.height());
        let view = View { plot, x, y };
        if let Some(title) = self.title_block(outer.right - plot.left) {
            sheet.block(&title, (plot.left, outer.top), Anchor::Start, BLACK);
        }
        self.draw_axes(sheet, outer, &view);
        for mark in &self.marks {
            view.draw(sheet, mark);
        }
        self.draw_ends(sheet, &view, outer);
        self.draw_vertical_names(sheet, &view, outer);
    }

    fn draw_axes(&self, sheet: &mut Sheet, outer: Frame, view: &View) {
        let Frame {
            left,
            top,
            right,
            bottom,
        } = view.plot;
        for tick in self.x_ticks(view.x, view.plot.width()) {
            let Some(px) = view.x.place(tick.value).map(|place| left + place * (right - left)) else {
                continue;
            };
            sheet.stroke(&[(px, top), (px, bottom)], GRID_LINE, Dash::Solid, GRID);
            sheet.tick_label(&tick.label, (px, bottom + GAP + 0.5 * TICK), Anchor::Middle, QUIET);
        }
        if self.y.names.is_some() {
            let blocks = self.row_names(outer.width(), outer.height());
            for (row, block) in blocks.iter().enumerate() {
                let Some(py) = view.y.place(row as f64).map(|place| bottom - place * (bottom - top)) else {
                    continue;
                };
                sheet.stroke(&[(left, py), (right, py)], GRID_LINE, Dash::Solid, GRID);
                sheet.block(block, (left - GAP, py - 0.5 * block.height()), Anchor::End, BLACK);
            }
        } else {
            for tick in self.y_ticks(view.y, view.plot.height()) {
                let Some(py) = view.y.place(tick.value).map(|place| bottom - place * (bottom - top)) else {
                    continue;
                };
                sheet.stroke(&[(left, py), (right, py)], GRID_LINE, Dash::Solid, GRID);
                sheet.tick_label(&tick.label, (left - GAP, py), Anchor::End, QUIET);
            }
        }
        let axes: &[Point] = if self.y.names.is_some() {
            &[(left, bottom), (right, bottom)]
        } else {
            &[(left, top), (left, bottom), (right, bottom)]
        };
        sheet.stroke(axes, 2.0, Dash::Solid, QUIET);
        if !self.x.label.is_empty() {
            let label = fit(&self.x.label, outer.width(), 1, LABEL, Weight::Regular);
            let half = 0.5 * label.width();
            let middle = (0.5 * (left + right)).min(outer.right - half).max(outer.left + half);
            sheet.block(&label, (middle, bottom + GAP + font_line(TICK)), Anchor::Middle, BLACK);
        }
        if !self.y.label.is_empty() {
            let label = fit(&self.y.label, outer.height(), 1, LABEL, Weight::Regular);
            let half = 0.5 * label.width();
            let middle = (0.5 * (top + bottom)).min(outer.bottom - half).max(outer.top + half);
            let at = (outer.left + 0.9 * LABEL, middle);
            sheet.line_of_text(
                &label.lines[0],
                at,
                Anchor::Middle,
                label.size,
                Weight::Regular,
                BLACK,
                true,
            );
        }
    }

    /// The names of lines, each at its height or, if that is taken, near it with a thin leader.
    fn draw_ends(&self, sheet: &mut Sheet, view: &View, outer: Frame) {
        let blocks = self.end_blocks(outer.width());
        let Frame { top, bottom, right, .. } = view.plot;
        let (mut wished, mut sizes, mut shown) = (Vec::new(), Vec::new(), Vec::new());
        for ((y, _, color), block) in self.ends.iter().zip(&blocks) {
            if let Some(place) = view.y.place(*y) {
                wished.push((bottom - place * (bottom - top)).clamp(top, bottom));
                sizes.push(block.height());
                shown.push((block, color));
            }
        }
        let reach = 0.5 * font_line(TICK);
        let centres = spread(&wished, &sizes, top - reach, bottom + reach);
        for (((block, color), centre), wish) in shown.into_iter().zip(centres).zip(wished) {
            if (centre - wish).abs() > 4.0 {
                let leader = [(right + 2.0, wish), (right + 1.6 * GAP, centre)];
                sheet.stroke(&leader, GRID_LINE, Dash::Solid, color.alpha(0.6));
            }
            sheet.block(
                block,
                (right + 2.0 * GAP, centre - 0.5 * block.height()),
                Anchor::Start,
                color.text(),
            );
        }
    }

    /// The names of vertical references above the axes, moved apart.
    fn draw_vertical_names(&self, sheet: &mut Sheet, view: &View, outer: Frame) {
        let Frame { left, top, right, .. } = view.plot;
        let names: Vec<(f64, &String, Color)> = self
            .marks
            .iter()
            .filter_map(|mark| match mark {
                Mark::Vertical(x, name, stroke) => view
                    .x
                    .place(*x)
                    .map(|place| (left + place.clamp(0.0, 1.0) * (right - left), name, stroke.color)),
                _ => None,
            })
            .collect();
        let wished: Vec<f64> = names.iter().map(|n| n.0).collect();
        let sizes: Vec<f64> = names
            .iter()
            .map(|n| font::width(n.1, TICK, Weight::Regular) + TICK)
            .collect();
        for ((_, name, color), centre) in names.iter().zip(spread(&wished, &sizes, outer.left, outer.right)) {
            sheet.tick_label(
                name,
                (centre, top - 0.5 * GAP - 0.5 * TICK),
                Anchor::Middle,
                color.text(),
            );
        }
    }
}

/// Height of one line of text of a size, pixels.
pub(super) fn font_line(size: f64) -> f64 {
    size * LINE_HEIGHT
}

/// The map from data to the pixels of the axes.
struct View {
    plot: Frame,
    x: Scale,
    y: Scale,
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

    fn draw(&self, sheet: &mut Sheet, mark: &Mark) {
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
                sheet.fill(self.plot.clip_polygon(&shape), *color);
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
                if let Some(u) = self.x.place(*x) {
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
        if columns == 0 || !(top > 0.0) {
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
                        sheet.fill(self.plot.clip_polygon(&cell), color);
                    }
                }
                start = end;
            }
        }
    }

    fn draw_arrow(&self, sheet: &mut Sheet, p: Point, q: Point, stroke: Stroke) {
        let length = (q.0 - p.0).hypot(q.1 - p.1);
        if !(length > 1.0) || !self.plot.contains(p) || !self.plot.contains(q) {
            return;
        }
        let (ux, uy) = ((q.0 - p.0) / length, (q.1 - p.1) / length);
        let head = (4.5 * stroke.width).min(0.6 * length);
        let neck = (q.0 - ux * head, q.1 - uy * head);
        let half = 0.45 * head;
        sheet.stroke(&[p, neck], stroke.width, stroke.dash, stroke.color);
        sheet.fill(
            vec![
                q,
                (neck.0 - uy * half, neck.1 + ux * half),
                (neck.0 + uy * half, neck.1 - ux * half),
            ],
            stroke.color,
        );
    }
}
