//! A drawn page: strokes, fills, discs and text in pixels, written as SVG and as an image.
//!
//! Figures are drawn once onto a [`Sheet`]; both files replay the same list, so their layouts are equal. The SVG keeps
//! quarters of a pixel, the image has exact-area anti-aliasing.

use plotters::backend::{BitMapBackend, DrawingBackend, SVGBackend};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{
    Color as _, FontDesc, FontFamily, FontStyle, FontTransform, RGBAColor, RGBColor, ShapeStyle, TextStyle,
};
use std::fmt::Display;
use std::path::Path;

use super::font::{self, Block, CAPITAL, FAMILIES, LINE_HEIGHT, Weight};
use super::frame::{Frame, Point};
use super::raster::{self, Raster};
use super::theme::{Color, Dash, TICK};
use crate::{Error, Result};

/// Steps of the SVG's coordinates per pixel.
const STEPS: f64 = 4.0;

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

/// One mark of ink.
enum Ink {
    Stroke {
        points: Vec<Point>,
        width: f64,
        color: Color,
    },
    Fill {
        points: Vec<Point>,
        color: Color,
    },
    Disc {
        center: Point,
        radius: f64,
        color: Color,
    },
    Text(Text),
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

/// A page of ink, in drawing order.
pub(super) struct Sheet {
    width: f64,
    height: f64,
    /// Its width in print, inches.
    inches: Option<f64>,
    /// What it shows, for readers who cannot see it: title and description.
    words: [String; 2],
    inks: Vec<Ink>,
}

/// Pixels per inch of images for print.
const RESOLUTION: f64 = 300.0;

impl Sheet {
    /// A blank page; for print, it is `inches` wide.
    pub fn new(width: f64, height: f64, inches: Option<f64>) -> Self {
        Self {
            width: width.round(),
            height: height.round(),
            inches,
            words: Default::default(),
            inks: Vec::new(),
        }
    }

    /// Says what the page shows.
    pub fn describe(&mut self, title: &str, description: &str) {
        self.words = [title.to_owned(), description.to_owned()];
    }

    /// Pixels of the image per pixel of the layout.
    fn magnification(&self) -> f64 {
        self.inches.map_or(1.0, |inches| RESOLUTION * inches / self.width)
    }

    /// A line along `points`, with round ends and joints.
    pub fn stroke(&mut self, points: &[Point], width: f64, dash: Dash, color: Color) {
        for points in dashed(points, width, dash) {
            self.inks.push(Ink::Stroke { points, width, color });
        }
    }

    /// A filled polygon.
    pub fn fill(&mut self, points: Vec<Point>, color: Color) {
        if points.len() > 2 {
            self.inks.push(Ink::Fill { points, color });
        }
    }

    /// A filled rectangle.
    pub fn fill_frame(&mut self, f: Frame, color: Color) {
        self.fill(
            vec![
                (f.left, f.top),
                (f.right, f.top),
                (f.right, f.bottom),
                (f.left, f.bottom),
            ],
            color,
        );
    }

    /// A filled disc.
    pub fn disc(&mut self, center: Point, radius: f64, color: Color) {
        self.inks.push(Ink::Disc { center, radius, color });
    }

    /// One line of text.
    pub fn text(&mut self, text: Text) {
        self.inks.push(Ink::Text(text));
    }

    /// One horizontal line of tick-sized text whose capitals are centred on `at`.
    pub fn tick_label(&mut self, text: &str, at: Point, anchor: Anchor, color: Color) {
        let at = (at.0, at.1 + TICK * CAPITAL / 2.0);
        self.text(Text {
            text: text.to_string(),
            at,
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
            let (text, at) = (line.clone(), (at.0, baseline));
            self.text(Text {
                text,
                at,
                anchor,
                size: block.size,
                weight: block.weight,
                color,
                upwards: false,
            });
        }
    }

    /// The page as SVG: as wide as in print, or half as wide as the image.
    pub fn svg(&self) -> Result<String> {
        let size = ((self.width * STEPS) as u32, (self.height * STEPS) as u32);
        let mut svg = String::new();
        let mut page = SVGBackend::with_string(&mut svg, size);
        page.draw_rect(
            (0, 0),
            (size.0 as i32, size.1 as i32),
            &style(super::theme::WHITE, 0.0),
            true,
        )
        .map_err(broken)?;
        for ink in &self.inks {
            match ink {
                Ink::Stroke { points, width, color } => {
                    page.draw_path(steps(points), &style(*color, *width)).map_err(broken)?;
                }
                Ink::Fill { points, color } => {
                    page.fill_polygon(steps(points), &style(*color, 0.0)).map_err(broken)?;
                }
                Ink::Disc { center, radius, color } => {
                    let radius = (radius * STEPS).round().max(1.0) as u32;
                    page.draw_circle(step(*center), radius, &style(*color, 0.0), true)
                        .map_err(broken)?;
                }
                Ink::Text(Text {
                    text,
                    at,
                    anchor,
                    size,
                    weight,
                    color,
                    upwards,
                }) => {
                    let slant = if *weight == Weight::Bold {
                        FontStyle::Bold
                    } else {
                        FontStyle::Normal
                    };
                    let turn = if *upwards {
                        FontTransform::Rotate270
                    } else {
                        FontTransform::None
                    };
                    let horizontal = match anchor {
                        Anchor::Start => HPos::Left,
                        Anchor::Middle => HPos::Center,
                        Anchor::End => HPos::Right,
                    };
                    // The back end divides by 1.24 to get from its line height to the size.
                    let font = FontDesc::new(FontFamily::Name(FAMILIES), size * STEPS * 1.24, slant).transform(turn);
                    let color = rgba(*color);
                    let style = TextStyle::from(font)
                        .color(&color)
                        .pos(Pos::new(horizontal, VPos::Bottom));
                    page.draw_text(text, &style, step(*at)).map_err(broken)?;
                }
            }
        }
        page.present().map_err(broken)?;
        drop(page);
        // Attribute values escape quotes, so these patterns are attributes. They set the baseline, and joints of lines
        // as in the image.
        let shown = match self.inches {
            Some(inches) => format!(
                "width=\"{inches}in\" height=\"{:.3}in\" viewBox",
                inches * self.height / self.width
            ),
            None => format!(
                "width=\"{}\" height=\"{}\" viewBox",
                (self.width / 2.0).floor(),
                (self.height / 2.0).ceil()
            ),
        };
        let words: String = ["title", "desc"]
            .iter()
            .zip(&self.words)
            .filter(|(_, words)| !words.is_empty())
            .map(|(tag, words)| format!("<{tag}>{}</{tag}>\n", escaped(words)))
            .collect();
        if let Some(end) = svg.find('>') {
            svg.insert_str(end + 1, &format!("\n{words}"));
        }
        Ok(svg
            .replacen(
                &format!("width=\"{}\" height=\"{}\" viewBox", size.0, size.1),
                &shown,
                1,
            )
            .replacen("xmlns", "stroke-linecap=\"round\" stroke-linejoin=\"round\" xmlns", 1)
            .replace(" dy=\"-0.5ex\"", "")
            .replace(" opacity=\"1\"", "")
            .replace(" stroke=\"none\"", "")
            .replace(" stroke-width=\"0\"", ""))
    }

    /// The page as an image: width, height, and three bytes per pixel.
    pub fn image(&self) -> (u32, u32, Vec<u8>) {
        let by = self.magnification();
        let size = [self.width, self.height].map(|length| (by * length).round() as usize);
        let mut image = Raster::new(size[0], size[1]);
        let larger = |p: &Point| (by * p.0, by * p.1);
        for ink in &self.inks {
            match ink {
                Ink::Stroke { points, width, color } => {
                    raster::stroke(&mut image, &points.iter().map(larger).collect::<Vec<_>>(), by * width);
                    image.paint(*color);
                }
                Ink::Fill { points, color } => {
                    image.polygon(&points.iter().map(larger).collect::<Vec<_>>());
                    image.paint(*color);
                }
                Ink::Disc { center, radius, color } => {
                    raster::disc(&mut image, larger(center), by * radius);
                    image.paint(*color);
                }
                Ink::Text(Text {
                    text,
                    at,
                    anchor,
                    size,
                    weight,
                    color,
                    upwards,
                }) => {
                    let along = match anchor {
                        Anchor::Start => 0.0,
                        Anchor::Middle => -0.5 * font::width(text, *size, *weight),
                        Anchor::End => -font::width(text, *size, *weight),
                    };
                    for contour in font::outlines(text, *size, *weight) {
                        let place = |&(x, y): &Point| {
                            let x = x + along;
                            larger(&match *upwards {
                                true => (at.0 + y, at.1 - x),
                                false => (at.0 + x, at.1 + y),
                            })
                        };
                        image.polygon(&contour.iter().map(place).collect::<Vec<_>>());
                    }
                    image.paint(*color);
                }
            }
        }
        (size[0] as u32, size[1] as u32, image.into_rgb())
    }

    /// Writes the page as a PNG image to `path`, which must end in `.png`.
    pub fn write_png(&self, path: &Path) -> Result<()> {
        let (width, height, rgb) = self.image();
        let mut file = BitMapBackend::new(path, (width, height));
        file.blit_bitmap((0, 0), (width, height), &rgb).map_err(broken)?;
        file.present().map_err(broken)
    }
}

/// Text of an XML element.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
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

fn broken(error: impl Display) -> Error {
    Error::Other(format!("the figure could not be written: {error}"))
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
        let mut sheet = Sheet::new(100.0, 50.0, None);
        sheet.tick_label(
            "p(x|z) < 1 & \"q\" dy=\"-0.5ex\"",
            (50.0, 25.0),
            Anchor::Middle,
            super::super::theme::BLACK,
        );
        let svg = sheet.svg().unwrap();
        assert!(
            svg.starts_with("<svg width=\"50\" height=\"25\" viewBox=\"0 0 400 200\""),
            "{svg}"
        );
        assert!(
            svg.contains("p(x|z) &lt; 1 &amp; &quot;q&quot; dy=&quot;-0.5ex&quot;"),
            "{svg}"
        );
    }
}
