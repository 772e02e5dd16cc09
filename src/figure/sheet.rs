//! A page on which a figure is drawn: strokes, fills, discs and text in pixels.
//!
//! plotters draws every shape once, as SVG with quarters of a pixel. The image is made from that SVG: see
//! [`image`](super::image).

use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, IntoDrawingArea};
use plotters::element::{Circle, Drawable, PathElement, PointCollection, Polygon, Text as Words};
use plotters::prelude::SVGBackend;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{
    Color as _, FontDesc, FontFamily, FontStyle, FontTransform, RGBAColor, RGBColor, ShapeStyle, TextStyle,
};

use super::font::{Block, CAPITAL, FAMILIES, LINE_HEIGHT, Weight};
use super::frame::{Frame, Point};
use super::theme::{Color, Dash, TICK, WHITE};
use crate::{Error, Result};

/// Steps of the SVG's coordinates per pixel: plotters counts in whole numbers.
const STEPS: f64 = 4.0;
/// plotters takes the height of a line, and writes this share of it as the size of the font.
const LINE_OVER_SIZE: f64 = 1.24;
/// plotters places text by its top, which it takes to be this far above the baseline, over the size.
const ASCENT: f64 = 0.76;

/// Which part of a text lies at its place, along the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    /// Its start.
    Start,
    /// Its middle.
    Middle,
    /// Its end.
    End,
}

/// One line of text.
pub(super) struct Text {
    pub text: String,
    /// The place of the anchor on the baseline.
    pub at: Point,
    pub anchor: Anchor,
    pub size: f64,
    pub weight: Weight,
    pub color: Color,
    /// Read from bottom to top.
    pub upwards: bool,
}

/// Size and words of a page.
#[derive(Debug, Clone, Default)]
pub(super) struct Format {
    /// Whole pixels of the layout.
    pub width: u32,
    /// Whole pixels of the layout.
    pub height: u32,
    /// Its width in print, inches.
    pub inches: Option<f64>,
    /// What it shows, for readers who cannot see it: title and description.
    pub words: [String; 2],
}

/// Pixels per inch of images for print.
const RESOLUTION: f64 = 300.0;

impl Format {
    /// Width and height of the image, pixels: those of the layout on a screen, [`RESOLUTION`] in print.
    pub fn image(&self) -> (u32, u32) {
        let larger = self
            .inches
            .map_or(1.0, |inches| RESOLUTION * inches / f64::from(self.width));
        let length = |pixels: u32| (larger * f64::from(pixels)).round() as u32;
        (length(self.width), length(self.height))
    }

    /// A page as a document: as wide as in print, or half as wide as the image, with its words and round ends and joints
    /// of lines, which plotters does not write.
    fn document(&self, drawing: &str) -> String {
        let (width, height) = (f64::from(self.width), f64::from(self.height));
        let shown = match self.inches {
            Some(inches) => format!("width=\"{inches}in\" height=\"{:.5}in\"", inches * height / width),
            None => format!("width=\"{}\" height=\"{}\"", width / 2.0, height / 2.0),
        };
        let words: String = ["title", "desc"]
            .iter()
            .zip(&self.words)
            .filter(|(_, words)| !words.is_empty())
            .map(|(tag, words)| format!("<{tag}>{}</{tag}>\n", escaped(words)))
            .collect();
        format!(
            "<svg {shown} viewBox=\"0 0 {} {}\" stroke-linecap=\"round\" stroke-linejoin=\"round\" \
             xmlns=\"http://www.w3.org/2000/svg\">\n{words}{drawing}</svg>\n",
            width * STEPS,
            height * STEPS
        )
    }
}

/// A page under the pen.
pub(super) struct Sheet<'a> {
    area: DrawingArea<SVGBackend<'a>, Shift>,
    /// What went wrong first.
    fault: Option<Error>,
}

impl Sheet<'_> {
    /// The SVG of a white page of `format` with what `draw` puts on it.
    ///
    /// # Errors
    /// If plotters cannot draw a shape.
    pub fn svg(format: &Format, draw: impl FnOnce(&mut Sheet)) -> Result<String> {
        let mut drawing = String::new();
        let size = [format.width, format.height].map(|length| length * STEPS as u32);
        let mut sheet = Sheet {
            area: SVGBackend::with_string(&mut drawing, (size[0], size[1])).into_drawing_area(),
            fault: None,
        };
        let blank = sheet.area.fill(&rgba(WHITE));
        sheet.note(blank);
        draw(&mut sheet);
        let end = sheet.area.present();
        sheet.note(end);
        match sheet.fault.take() {
            Some(fault) => Err(fault),
            None => {
                drop(sheet);
                Ok(format.document(&drawing))
            }
        }
    }

    /// Keeps the first fault, so that drawing a shape needs no answer.
    fn note<E: std::error::Error>(&mut self, result: std::result::Result<(), E>) {
        if let (Err(error), None) = (result, &self.fault) {
            self.fault = Some(Error::Other(format!("the figure could not be drawn: {error}")));
        }
    }

    /// Draws one of plotters' elements.
    fn draw<E>(&mut self, element: &E)
    where
        for<'e> &'e E: PointCollection<'e, (i32, i32)>,
        for<'s> E: Drawable<SVGBackend<'s>>,
    {
        let drawn = self.area.draw(element);
        self.note(drawn);
    }

    /// A line along `points`, with round ends and joints.
    pub fn stroke(&mut self, points: &[Point], width: f64, dash: Dash, color: Color) {
        for piece in dashed(points, width, dash) {
            self.draw(&PathElement::new(steps(&piece), style(color, width)));
        }
    }

    /// A filled polygon.
    pub fn fill(&mut self, points: &[Point], color: Color) {
        if points.len() > 2 {
            self.draw(&Polygon::new(steps(points), style(color, 0.0)));
        }
    }

    /// A filled rectangle.
    pub fn fill_frame(&mut self, f: Frame, color: Color) {
        let corners = [
            (f.left, f.top),
            (f.right, f.top),
            (f.right, f.bottom),
            (f.left, f.bottom),
        ];
        self.fill(&corners, color);
    }

    /// A filled disc.
    pub fn disc(&mut self, center: Point, radius: f64, color: Color) {
        let radius = (radius * STEPS).round().max(1.0) as i32;
        self.draw(&Circle::new(step(center), radius, style(color, 0.0)));
    }

    /// One line of text.
    pub fn text(&mut self, text: Text) {
        if text.text.is_empty() {
            return;
        }
        let (horizontal, slant) = (
            match text.anchor {
                Anchor::Start => HPos::Left,
                Anchor::Middle => HPos::Center,
                Anchor::End => HPos::Right,
            },
            match text.weight {
                Weight::Regular => FontStyle::Normal,
                Weight::Bold => FontStyle::Bold,
            },
        );
        // Of text that reads upwards, the top is at the left.
        let (turn, top) = match text.upwards {
            true => (FontTransform::Rotate270, (text.at.0 - ASCENT * text.size, text.at.1)),
            false => (FontTransform::None, (text.at.0, text.at.1 - ASCENT * text.size)),
        };
        let font = FontDesc::new(FontFamily::Name(FAMILIES), text.size * STEPS * LINE_OVER_SIZE, slant).transform(turn);
        let color = rgba(text.color);
        let style = TextStyle::from(font).color(&color).pos(Pos::new(horizontal, VPos::Top));
        // XML has no control characters.
        let words = text.text.replace(char::is_control, " ");
        self.draw(&Words::new(words, step(top), style));
    }

    /// One horizontal line of tick-sized text whose capitals are centred on `at`.
    pub fn tick_label(&mut self, text: &str, at: Point, anchor: Anchor, color: Color) {
        self.text(Text {
            text: text.to_owned(),
            at: (at.0, at.1 + TICK * CAPITAL / 2.0),
            anchor,
            size: TICK,
            weight: Weight::Regular,
            color,
            upwards: false,
        });
    }

    /// Several lines of text, from the top downwards.
    pub fn block(&mut self, block: &Block, at: Point, anchor: Anchor, color: Color) {
        for (i, line) in block.lines.iter().enumerate() {
            let baseline = at.1 + block.size * (LINE_HEIGHT * i as f64 + 0.5 * LINE_HEIGHT + 0.5 * CAPITAL);
            self.text(Text {
                text: line.clone(),
                at: (at.0, baseline),
                anchor,
                size: block.size,
                weight: block.weight,
                color,
                upwards: false,
            });
        }
    }
}

/// Text of an XML element, which has no control characters but newlines.
fn escaped(text: &str) -> String {
    text.replace(|c: char| c.is_control() && c != '\n', " ")
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// Cuts a polyline into the inked pieces of a dash pattern.
fn dashed(points: &[Point], width: f64, dash: Dash) -> Vec<Vec<Point>> {
    let pattern = dash.pattern();
    if pattern.is_empty() || points.len() < 2 {
        return if points.is_empty() {
            Vec::new()
        } else {
            vec![points.to_vec()]
        };
    }
    let (mut pieces, mut piece) = (Vec::new(), vec![points[0]]);
    let (mut index, mut left) = (0, pattern[0] * width);
    for pair in points.windows(2) {
        let (p, q) = (pair[0], pair[1]);
        let length = (q.0 - p.0).hypot(q.1 - p.1);
        let mut walked = 0.0;
        while length - walked > left {
            walked += left;
            let cut = (p.0 + (q.0 - p.0) * walked / length, p.1 + (q.1 - p.1) * walked / length);
            if index % 2 == 0 {
                piece.push(cut);
                pieces.push(std::mem::take(&mut piece));
            } else {
                piece = vec![cut];
            }
            index = (index + 1) % pattern.len();
            left = pattern[index] * width;
        }
        left -= length - walked;
        if index % 2 == 0 {
            piece.push(q);
        }
    }
    if index % 2 == 0 && piece.len() > 1 {
        pieces.push(piece);
    }
    pieces
}

fn step(p: Point) -> (i32, i32) {
    ((p.0 * STEPS).round() as i32, (p.1 * STEPS).round() as i32)
}

/// Coordinates of an SVG path, without points that fall on the one before.
fn steps(points: &[Point]) -> Vec<(i32, i32)> {
    let mut path: Vec<_> = points.iter().map(|p| step(*p)).collect();
    path.dedup();
    if path.len() == 1 {
        path.push((path[0].0 + 1, path[0].1));
    }
    path
}

fn rgba(color: Color) -> RGBAColor {
    let [r, g, b] = color.rgb;
    RGBColor(r, g, b).mix(color.alpha)
}

fn style(color: Color, width: f64) -> ShapeStyle {
    ShapeStyle {
        color: rgba(color),
        filled: true,
        stroke_width: (width * STEPS).round() as u32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Dashes cover the share of the line that their pattern says.
        #[test]
        fn dashes_have_the_right_share(bends in prop::collection::vec(5.0..400.0f64, 20..40)) {
            let mut x = 0.0;
            let points: Vec<Point> = bends.iter().map(|step| { x += step; (x, 0.0) }).collect();
            let inked: f64 = dashed(&points, 1.0, Dash::Dashed)
                .iter().map(|piece| piece[piece.len() - 1].0 - piece[0].0).sum();
            prop_assert!((inked - (x - points[0].0) * 3.5 / 6.5).abs() < 6.5);
        }
    }

    #[test]
    fn svg_escapes_text_and_keeps_the_layout_size() {
        let format = Format {
            width: 100,
            height: 51,
            words: ["a < b".to_owned(), String::new()],
            ..Format::default()
        };
        let label = "p(x|z) < 1 & \"q\"\u{7}";
        let draw =
            |sheet: &mut Sheet| sheet.tick_label(label, (50.0, 25.0), Anchor::Middle, super::super::theme::BLACK);
        let svg = Sheet::svg(&format, draw).unwrap();
        assert!(
            svg.starts_with("<svg width=\"50\" height=\"25.5\" viewBox=\"0 0 400 204\""),
            "{svg}"
        );
        assert!(
            svg.contains("<title>a &lt; b</title>") && !svg.contains("<desc>"),
            "{svg}"
        );
        assert!(svg.contains("p(x|z) &lt; 1 &amp; &quot;q&quot;"), "{svg}");
    }
}
