//! The image of a page, made from its SVG by resvg with the bundled font alone, so that SVG and PNG always agree.

use resvg::tiny_skia::{Color, Pixmap, Transform};
use resvg::usvg::roxmltree::Document;
use resvg::usvg::{Options, Tree, fontdb};
use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use super::font::FILES;
use crate::{Error, Result};

/// The bundled fonts; fonts of the system are not read, so every machine makes the same image.
fn fonts() -> Arc<fontdb::Database> {
    static FONTS: OnceLock<Arc<fontdb::Database>> = OnceLock::new();
    let load = || {
        let mut fonts = fontdb::Database::new();
        for file in FILES {
            fonts.load_font_data(file.to_vec());
        }
        Arc::new(fonts)
    };
    FONTS.get_or_init(load).clone()
}

/// Rules under which resvg draws the same picture without a layer of pixels for every shape: what plotters writes as the
/// opacity of an element, whose shape is either filled or stroked, becomes that of its fill or stroke; and plotters'
/// drawing, which fills the page, is not clipped to it.
fn rules(svg: &Document) -> String {
    let opacities: BTreeSet<&str> = svg.descendants().filter_map(|node| node.attribute("opacity")).collect();
    let translucent = opacities.into_iter().filter(|opacity| *opacity != "1");
    let rules = translucent.map(|opacity| {
        format!("[opacity=\"{opacity}\"] {{ opacity: 1; fill-opacity: {opacity}; stroke-opacity: {opacity} }}\n")
    });
    "svg { overflow: visible }\n".to_owned() + &rules.collect::<String>()
}

/// The PNG file of `svg`, `width` × `height` pixels.
///
/// # Errors
/// If resvg cannot read the SVG, or the size is 0.
pub(super) fn png(svg: &str, (width, height): (u32, u32)) -> Result<Vec<u8>> {
    let document = Document::parse(svg).map_err(broken)?;
    let options = Options {
        fontdb: fonts(),
        style_sheet: Some(rules(&document)),
        ..Options::default()
    };
    let tree = Tree::from_xmltree(&document, &options).map_err(broken)?;
    let mut page = Pixmap::new(width, height).ok_or_else(|| broken(format!("{width} × {height} pixels")))?;
    page.fill(Color::WHITE);
    let larger = Transform::from_scale(width as f32 / tree.size().width(), height as f32 / tree.size().height());
    resvg::render(&tree, larger, &mut page.as_mut());
    // Every pixel is opaque.
    let rgb: Vec<u8> = page
        .pixels()
        .iter()
        .flat_map(|pixel| [pixel.red(), pixel.green(), pixel.blue()])
        .collect();
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_compression(png::Compression::Fast);
    let mut writer = encoder.write_header().map_err(broken)?;
    writer.write_image_data(&rgb).map_err(broken)?;
    writer.finish().map_err(broken)?;
    Ok(file)
}

fn broken(error: impl std::fmt::Display) -> Error {
    Error::Other(format!("the figure's image could not be made: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::font::{CAPITAL, Weight, width};
    use crate::figure::frame::Frame;
    use crate::figure::sheet::{Anchor, Format, Sheet, Text};
    use crate::figure::theme::{Dash, FAILED, MODEL, WHITE};

    /// Width of the image, and its pixels.
    fn pixels(png: &[u8]) -> (usize, Vec<[u8; 3]>) {
        let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
        let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut bytes).unwrap();
        assert_eq!(
            (info.color_type, info.bit_depth),
            (png::ColorType::Rgb, png::BitDepth::Eight)
        );
        let pixels = bytes
            .chunks_exact(3)
            .map(|pixel| [pixel[0], pixel[1], pixel[2]])
            .collect();
        (info.width as usize, pixels)
    }

    fn format(inches: Option<f64>) -> Format {
        Format {
            width: 600,
            height: 200,
            inches,
            ..Format::default()
        }
    }

    fn words(text: &str, weight: Weight, upwards: bool) -> Text {
        Text {
            text: text.to_owned(),
            at: if upwards { (300.0, 150.0) } else { (50.0, 150.0) },
            anchor: Anchor::Start,
            size: 40.0,
            weight,
            color: MODEL,
            upwards,
        }
    }

    /// The smallest frame around all pixels that are not white.
    fn ink(png: &[u8]) -> Frame {
        let (width, pixels) = pixels(png);
        let inked = pixels.iter().enumerate().filter(|(_, pixel)| **pixel != WHITE.rgb);
        let places = inked.map(|(i, _)| ((i % width) as f64, (i / width) as f64));
        let none = Frame {
            left: f64::MAX,
            top: f64::MAX,
            right: 0.0,
            bottom: 0.0,
        };
        places.fold(none, |frame, (x, y)| Frame {
            left: frame.left.min(x),
            top: frame.top.min(y),
            right: frame.right.max(x + 1.0),
            bottom: frame.bottom.max(y + 1.0),
        })
    }

    /// At the size for the screen and in print.
    #[test]
    fn shapes_have_their_places_colours_and_opacity() {
        for inches in [None, Some(4.0)] {
            let format = format(inches);
            let svg = Sheet::svg(&format, |sheet| {
                sheet.fill(&[(100.0, 50.0), (200.0, 50.0), (200.0, 150.0), (100.0, 150.0)], MODEL);
                sheet.disc((300.0, 100.0), 40.0, FAILED.alpha(0.5));
                sheet.stroke(&[(400.0, 100.0), (500.0, 100.0)], 20.0, Dash::Solid, MODEL);
            });
            let (width, pixels) = pixels(&png(&svg.unwrap(), format.image()).unwrap());
            let larger = width as f64 / 600.0;
            assert_eq!(width, if inches.is_some() { 1200 } else { 600 });
            let at = |x: f64, y: f64| pixels[(larger * y) as usize * width + (larger * x) as usize];
            let half = FAILED.rgb.map(|channel| ((u16::from(channel) + 255) / 2) as i16);
            for (x, y) in [
                (102.0, 52.0),
                (197.0, 147.0),
                (405.0, 95.0),
                (392.5, 100.0),
                (507.5, 100.0),
            ] {
                assert_eq!(at(x, y), MODEL.rgb, "{x} {y}");
            }
            for (x, y) in [(262.0, 100.0), (300.0, 137.0)] {
                let near = at(x, y)
                    .iter()
                    .zip(half)
                    .all(|(shown, half)| (i16::from(*shown) - half).abs() <= 1);
                assert!(near, "{:?}", at(x, y));
            }
            // Outside, and in the corners that round ends leave white.
            for (x, y) in [
                (97.0, 100.0),
                (203.0, 100.0),
                (300.0, 55.0),
                (391.0, 91.0),
                (512.0, 100.0),
            ] {
                assert_eq!(at(x, y), WHITE.rgb, "{x} {y}");
            }
        }
    }

    /// The layout leaves as much space for a text as the image draws, up to the blank at the sides of its letters.
    #[test]
    fn texts_are_as_wide_as_the_layout_measures() {
        for (text, weight) in [
            ("HAVE TAWNY fifty Wales", Weight::Regular),
            ("HAVE TAWNY fifty Wales", Weight::Bold),
            ("log p(x|z) = Σ_z −1.5×10⁻³ θ→φ", Weight::Regular),
        ] {
            let measured = width(text, 40.0, weight);
            for upwards in [false, true] {
                let format = Format {
                    height: 600,
                    ..format(None)
                };
                let mut line = words(text, weight, upwards);
                line.at = if upwards { (300.0, 590.0) } else { (5.0, 300.0) };
                let svg = Sheet::svg(&format, |sheet| sheet.text(line)).unwrap();
                let ink = ink(&png(&svg, format.image()).unwrap());
                let (long, baseline) = match upwards {
                    true => (ink.height(), ink.right),
                    false => (ink.width(), ink.bottom),
                };
                assert!((measured - long).abs() < 8.0, "{text}: {measured} {long}");
                // Descenders reach a quarter of the size below the baseline.
                assert!((300.0..312.0).contains(&baseline), "{text}: {baseline}");
            }
        }
    }

    #[test]
    fn capitals_have_the_stated_height() {
        let mut line = words("H", Weight::Regular, false);
        (line.size, line.at) = (250.0, (50.0, 190.0));
        let svg = Sheet::svg(&format(None), |sheet| sheet.text(line)).unwrap();
        let ink = ink(&png(&svg, format(None).image()).unwrap());
        // The edges of the ink are whole pixels.
        assert!((ink.height() - 250.0 * CAPITAL).abs() < 1.5, "{}", ink.height());
        assert!((190.0..=191.0).contains(&ink.bottom), "{}", ink.bottom);
    }

    #[test]
    fn the_same_page_is_the_same_file_on_every_thread() {
        let draw = || {
            let svg = Sheet::svg(&format(None), |sheet| {
                sheet.text(words("the same", Weight::Bold, false));
                (0..200).for_each(|i| sheet.disc((3.0 * f64::from(i), 100.0), 20.0, FAILED.alpha(0.1)));
            });
            png(&svg.unwrap(), (600, 200)).unwrap()
        };
        let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(draw)).collect();
        let files: Vec<Vec<u8>> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert!(files.windows(2).all(|pair| pair[0] == pair[1]));
    }

    /// The rules change how fast a page is drawn, not how it looks.
    #[test]
    fn rules_keep_the_picture() {
        let format = format(None);
        let svg = Sheet::svg(&format, |sheet| {
            for (i, opacity) in [0.1, 1.0 / 3.0, 0.5, 0.75].into_iter().enumerate() {
                let x = 100.0 * (i + 1) as f64;
                sheet.disc((x, 80.0), 60.0, FAILED.alpha(opacity));
                // A line that crosses itself is as faint there as elsewhere.
                let knot = [(x - 40.0, 20.0), (x + 40.0, 150.0), (x + 40.0, 20.0), (x - 40.0, 150.0)];
                sheet.stroke(&knot, 12.0, Dash::Solid, MODEL.alpha(opacity));
            }
        });
        let svg = svg.unwrap();
        let plain = Tree::from_str(&svg, &Options::default()).unwrap();
        let mut page = Pixmap::new(600, 200).unwrap();
        let shown = Transform::from_scale(600.0 / plain.size().width(), 200.0 / plain.size().height());
        resvg::render(&plain, shown, &mut page.as_mut());
        let (_, pixels) = pixels(&png(&svg, format.image()).unwrap());
        assert!(pixels.iter().any(|pixel| *pixel != WHITE.rgb));
        for (drawn, plain) in pixels.iter().zip(page.pixels()) {
            // Two shapes on each other, and each layer rounds to 8 bits.
            let plain = [plain.red(), plain.green(), plain.blue()];
            let near = drawn.iter().zip(plain).all(|(a, b)| a.abs_diff(b) <= 4);
            assert!(near, "{drawn:?} {plain:?}");
        }
    }

    #[test]
    fn what_is_no_figure_is_an_error() {
        assert!(png("<svg", (10, 10)).unwrap_err().to_string().contains("image"));
        let svg = Sheet::svg(&format(None), |_| ()).unwrap();
        assert!(png(&svg, (0, 10)).unwrap_err().to_string().contains("0 × 10"));
    }
}
