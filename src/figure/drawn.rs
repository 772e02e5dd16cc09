//! Reads a figure back from its SVG, for tests: texts and shapes in pixels of the layout, and the data at their places.

use resvg::usvg::roxmltree::{Document, Node};

use super::font::{CAPITAL, Weight, width};
use super::frame::Point;
use super::theme::{Color, QUIET, TICK};

/// Steps of the SVG's coordinates per pixel.
const STEPS: f64 = 4.0;
/// plotters writes the place of a text's top, this far above the baseline over the size.
const ASCENT: f64 = 0.76;

/// A text with its anchor on the baseline.
#[derive(Debug)]
pub(super) struct Label {
    pub text: String,
    pub at: Point,
    pub size: f64,
    /// `start`, `middle` or `end`.
    pub anchor: String,
    pub fill: String,
    pub bold: bool,
    pub upwards: bool,
}

/// A filled circle, a filled polygon (no radius), or a line with its width as the radius.
#[derive(Debug)]
pub(super) struct Shape {
    pub points: Vec<Point>,
    pub radius: f64,
    pub color: String,
    pub opacity: f64,
}

/// Everything on a page, in drawing order.
#[derive(Debug, Default)]
pub(super) struct Drawn {
    pub labels: Vec<Label>,
    pub discs: Vec<Shape>,
    pub areas: Vec<Shape>,
    pub lines: Vec<Shape>,
}

impl Drawn {
    /// Reads an SVG; panics if it is not one that the figures write, or a number in it is not finite.
    pub fn read(svg: &str) -> Self {
        let document = Document::parse(svg).unwrap_or_else(|error| panic!("{error}: {svg}"));
        let mut drawn = Self::default();
        for node in document.descendants().filter(Node::is_element) {
            let text = |name: &str| node.attribute(name).unwrap_or_default().to_owned();
            let number = |name: &str| -> f64 {
                let number = text(name).parse().unwrap_or(f64::NAN);
                assert!(number.is_finite(), "{name} of {node:?}");
                number
            };
            let shape = |points: Vec<Point>, radius: f64, color: &str| Shape {
                points,
                radius: radius / STEPS,
                color: text(color),
                opacity: number("opacity"),
            };
            match node.tag_name().name() {
                "text" => drawn
                    .labels
                    .push(label(node, number("x"), number("y"), number("font-size"))),
                "circle" => {
                    let center = vec![(number("cx") / STEPS, number("cy") / STEPS)];
                    drawn.discs.push(shape(center, number("r"), "fill"));
                }
                "polygon" => drawn.areas.push(shape(points(node), 0.0, "fill")),
                "polyline" => drawn.lines.push(shape(points(node), number("stroke-width"), "stroke")),
                "svg" | "title" | "desc" | "rect" => {}
                other => panic!("figures write no <{other}>"),
            }
        }
        drawn
    }

    /// Whether a label says this.
    pub fn says(&self, text: &str) -> bool {
        self.labels.iter().any(|label| label.text == text)
    }

    /// All labels, one a line: the size, `b` for bold, `^` for upwards, and the text.
    pub fn words(&self) -> String {
        let line = |label: &Label| {
            let bold = if label.bold { "b" } else { "" };
            let upwards = if label.upwards { "^" } else { "" };
            format!("{}{bold}{upwards} {}\n", label.size.round(), label.text)
        };
        self.labels.iter().map(line).collect()
    }

    /// The axes of the panel whose tick labels lie between `left` and `right`, pixels.
    pub fn axes<'a>(&'a self, left: f64, right: f64) -> Axes {
        let ticks = || {
            let is_tick = |label: &&Label| label.fill == hex(QUIET) && label.size == TICK && !label.upwards;
            let inside = |label: &&Label| (left..right).contains(&label.at.0);
            let valued = |label: &'a Label| Some((label, value(&label.text)?));
            self.labels.iter().filter(is_tick).filter(inside).filter_map(valued)
        };
        let of = |anchor: &'static str| ticks().filter(move |(label, _): &(&Label, f64)| label.anchor == anchor);
        let x: Vec<Point> = of("middle").map(|(label, value)| (label.at.0, value)).collect();
        // Capitals of a tick label are centred on its height.
        let height = |label: &Label| label.at.1 - 0.5 * CAPITAL * TICK;
        let y: Vec<Point> = of("end").map(|(label, value)| (height(label), value)).collect();
        Axes { ticks: [x, y] }
    }
}

/// The tick labels of a panel: (pixel, value), horizontal and vertical.
#[derive(Debug)]
pub(super) struct Axes {
    ticks: [Vec<Point>; 2],
}

impl Axes {
    /// The datum at a pixel along an axis (0 is horizontal, 1 vertical), read between the outermost ticks; on a
    /// logarithmic axis, its decimal logarithm. Panics where another tick disagrees.
    pub fn read(&self, axis: usize, log: bool, pixel: f64) -> f64 {
        let scaled: Vec<Point> = self.ticks[axis]
            .iter()
            .map(|(pixel, value)| (*pixel, if log { value.log10() } else { *value }))
            .collect();
        let [(p, v), .., (q, w)] = scaled[..] else {
            panic!("one tick or none: {self:?}");
        };
        let at = |pixel: f64| v + (w - v) * (pixel - p) / (q - p);
        for (pixel, value) in &scaled {
            // A quarter of a pixel, and half of the label's last digit.
            assert!((at(*pixel) - value).abs() < 0.004 * (w - v).abs(), "{scaled:?}");
        }
        at(pixel)
    }

    /// A place in data units of linear axes.
    pub fn data(&self, (x, y): Point) -> Point {
        (self.read(0, false, x), self.read(1, false, y))
    }
}

fn label(node: Node, x: f64, y: f64, size: f64) -> Label {
    let attribute = |name: &str| node.attribute(name).unwrap_or_default().to_owned();
    assert_eq!(attribute("dy"), "0.76em");
    let upwards = attribute("transform").starts_with("rotate(270");
    let at = match upwards {
        true => (x / STEPS + ASCENT * size / STEPS, y / STEPS),
        false => (x / STEPS, y / STEPS + ASCENT * size / STEPS),
    };
    Label {
        text: node.text().unwrap_or_default().trim().to_owned(),
        at,
        size: size / STEPS,
        anchor: attribute("text-anchor"),
        fill: attribute("fill"),
        bold: attribute("font-weight") == "bold",
        upwards,
    }
}

fn points(node: Node) -> Vec<Point> {
    let number = |text: &str| text.parse::<f64>().expect("a coordinate") / STEPS;
    let pair = |text: &str| {
        let (x, y) = text.split_once(',').expect("a pair");
        (number(x), number(y))
    };
    node.attribute("points")
        .unwrap_or_default()
        .split_whitespace()
        .map(pair)
        .collect()
}

/// A colour as SVG writes it.
pub(super) fn hex(color: Color) -> String {
    let [r, g, b] = color.rgb;
    format!("#{r:02X}{g:02X}{b:02X}")
}

/// The value of a tick label; none where it is a word.
fn value(text: &str) -> Option<f64> {
    let raised = "⁰¹²³⁴⁵⁶⁷⁸⁹";
    let digit = |c: char| match raised.chars().position(|other| other == c) {
        Some(digit) => char::from_digit(digit as u32, 10),
        None => Some(c).map(|c| if c == '⁻' { '-' } else { c }),
    };
    if let Some(exponent) = text
        .strip_prefix("10")
        .filter(|exponent| exponent.contains(|c| "⁻⁰¹²³⁴⁵⁶⁷⁸⁹".contains(c)))
    {
        let exponent: String = exponent.chars().filter_map(digit).collect();
        return Some(10f64.powi(exponent.parse().ok()?));
    }
    text.replace(',', "").replace('−', "-").parse().ok()
}

impl Label {
    /// From where to where it reaches along its line, pixels.
    pub fn reach(&self) -> (f64, f64) {
        let weight = if self.bold { Weight::Bold } else { Weight::Regular };
        let width = width(&self.text, self.size, weight);
        match self.anchor.as_str() {
            "start" => (self.at.0, self.at.0 + width),
            "middle" => (self.at.0 - 0.5 * width, self.at.0 + 0.5 * width),
            _ => (self.at.0 - width, self.at.0),
        }
    }
}
