//! A panel: two axes and the marks between them, in data units.
//!
//! Marks are drawn in the order in which they were added, clipped to the axes. Lines carry their names at their ends,
//! moved apart where they would overlap, so no figure needs a legend. Values that are not finite break lines, are left
//! out elsewhere, and are counted.

use std::borrow::Cow;

use super::axis::Axis;
use super::frame::Point;
use super::number::number;
use super::sheet::Anchor;
use super::theme::{BASELINE, BLACK, Color, ColorMap, Dash, LINE, ORACLE, POINT, REFERENCE_LINE};

/// Points drawn by one call of [`Panel::points`]; of more, an even selection is drawn, which keeps SVGs small.
const MOST_POINTS: usize = 4000;

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

    /// No line at all, where only its name is wanted.
    pub const fn invisible(self) -> Self {
        Self { width: 0.0, ..self }
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
pub(super) enum Mark {
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
    pub(super) title: String,
    pub(super) x: Axis,
    pub(super) y: Axis,
    pub(super) equal: bool,
    pub(super) marks: Vec<Mark>,
    /// Labels in the right margin.
    pub(super) ends: Vec<End>,
    /// Colours and what they mean, in a row above the axes.
    pub(super) keys: Vec<(String, Color)>,
    pub(super) extents: [Option<(f64, f64)>; 2],
    /// Whether its rows are those of the panel to the left, whose names serve both.
    shares_names: bool,
    /// Whether there are no axes to draw, as for a diagram.
    pub(super) bare: bool,
    pub(super) skipped: usize,
}

/// A label in the right margin.
#[derive(Debug, Clone)]
pub(super) struct End {
    /// Its height, data units.
    pub y: f64,
    /// What it says.
    pub text: String,
    /// Its colour.
    pub color: Color,
    /// The line that it names, shown before the text.
    pub line: Option<Stroke>,
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

    /// Draws one unit of x as long as one unit of y, by widening the range of one axis.
    pub fn equal_units(mut self) -> Self {
        self.equal = true;
        self
    }

    /// Leaves out axes, ticks and grid, as for a diagram.
    pub fn without_axes(mut self) -> Self {
        self.bare = true;
        self
    }

    /// Leaves the names of its rows to the panel at its left, where there is one.
    pub fn share_names(mut self) -> Self {
        self.shares_names = true;
        self
    }

    /// The panel as it looks at the right of another: its rows may have lost their names.
    pub(super) fn beside_another(&self, beside: bool) -> Cow<'_, Self> {
        if !(beside && self.shares_names) {
            return Cow::Borrowed(self);
        }
        let mut panel = self.clone();
        if let Some(names) = &mut panel.y.names {
            names.iter_mut().for_each(String::clear);
        }
        Cow::Owned(panel)
    }

    /// Lines of text that the label at the end of each row has.
    pub(super) fn lines_of_rows(&self) -> impl Iterator<Item = usize> + '_ {
        self.ends.iter().map(|end| end.text.lines().count())
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
        match points.iter().rfind(|p| p.0.is_finite() && p.1.is_finite()) {
            Some(end) => self.line_label(end.1, name, stroke),
            None => self,
        }
    }

    /// The name of a line in the right margin at the height `y`, behind a piece of the line.
    pub fn line_label(&mut self, y: f64, name: impl Into<String>, stroke: Stroke) -> &mut Self {
        self.end(y, name.into(), BLACK, Some(stroke))
    }

    /// A name in the right margin at the height `y`, moved apart from others.
    pub fn end_label(&mut self, y: f64, name: impl Into<String>, color: Color) -> &mut Self {
        self.end(y, name.into(), color, None)
    }

    fn end(&mut self, y: f64, text: String, color: Color, line: Option<Stroke>) -> &mut Self {
        if y.is_finite() {
            self.ends.push(End { y, text, color, line });
        }
        self
    }

    /// Adds a key above the axes for a colour of points or areas.
    pub fn key(&mut self, name: impl Into<String>, color: Color) -> &mut Self {
        self.keys.push((name.into(), color.alpha(1.0)));
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

    /// A horizontal line across the panel.
    pub fn horizontal(&mut self, y: f64, stroke: Stroke) -> &mut Self {
        if y.is_finite() {
            self.include(None, Some(y));
            self.marks.push(Mark::Horizontal(y, stroke));
        } else {
            self.skipped += 1;
        }
        self
    }

    /// A horizontal line across the panel, named with its value in the right margin.
    pub fn reference(&mut self, y: f64, name: &str, stroke: Stroke) -> &mut Self {
        self.horizontal(y, stroke)
            .line_label(y, format!("{name} {}", number(y)), stroke)
    }

    /// A vertical line through the panel, named with its value above.
    pub fn vertical_reference(&mut self, x: f64, name: &str, stroke: Stroke) -> &mut Self {
        self.include(Some(x), None)
            .vertical_line(x, format!("{name} {}", number(x)), stroke)
    }

    /// A vertical line with a name above; beyond the end of the axis, the name alone stands there.
    pub fn vertical_line(&mut self, x: f64, name: impl Into<String>, stroke: Stroke) -> &mut Self {
        if x.is_finite() {
            self.marks.push(Mark::Vertical(x, name.into(), stroke));
        } else {
            self.skipped += 1;
        }
        self
    }
}
