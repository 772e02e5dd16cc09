//! The bundled font: measuring and wrapping.
//!
//! One font serves the layout and the PNG. The SVG names families of equal widths.

use harfrust::{FontRef, GlyphBuffer, ShapeOptions, ShaperData, UnicodeBuffer};
use std::sync::OnceLock;

use super::theme::SMALLEST;

/// Families for SVG, all with the bundled font's widths.
pub(super) const FAMILIES: &str = "Lab Sans, Liberation Sans, Arimo, Arial, Helvetica, sans-serif";
/// Height of capitals over the size.
pub(super) const CAPITAL: f64 = 0.688;
/// Distance between the baselines of two lines over the size.
pub(super) const LINE_HEIGHT: f64 = 1.22;

/// The files of the bundled font, by [`Weight`].
pub(super) const FILES: [&[u8]; 2] = [
    include_bytes!("font/LabSans-Regular.ttf"),
    include_bytes!("font/LabSans-Bold.ttf"),
];

/// The weight of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// Ordinary text.
    Regular,
    /// Titles.
    Bold,
}

/// A font with what its shaper derives from it.
struct Face {
    font: FontRef<'static>,
    tables: ShaperData,
    units_per_em: f64,
}

impl Face {
    fn read(file: &'static [u8]) -> Self {
        let font = FontRef::new(file).expect("the bundled font is a valid font");
        let tables = ShaperData::new(&font);
        let units_per_em = f64::from(tables.shaper(&font).build().units_per_em());
        Self {
            font,
            tables,
            units_per_em,
        }
    }

    fn of(weight: Weight) -> &'static Self {
        static FACES: OnceLock<[Face; 2]> = OnceLock::new();
        &FACES.get_or_init(|| FILES.map(Self::read))[weight as usize]
    }

    /// The glyphs of one line of text, with their advances in units of the font.
    fn glyphs(&self, text: &str) -> GlyphBuffer {
        let mut letters = UnicodeBuffer::new();
        letters.push_str(text);
        letters.guess_segment_properties();
        self.tables
            .shaper(&self.font)
            .build()
            .shape(letters, ShapeOptions::new())
    }
}

/// Width of one line of text, pixels.
pub(super) fn width(text: &str, size: f64, weight: Weight) -> f64 {
    let face = Face::of(weight);
    let glyphs = face.glyphs(text);
    let units: f64 = glyphs
        .glyph_positions()
        .iter()
        .map(|glyph| f64::from(glyph.x_advance))
        .sum();
    size / face.units_per_em * units
}

/// Lines of text that fit a width, at a common size.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Block {
    pub lines: Vec<String>,
    pub size: f64,
    pub weight: Weight,
}

impl Block {
    /// Width of the widest line, pixels.
    pub fn width(&self) -> f64 {
        self.lines
            .iter()
            .map(|line| width(line, self.size, self.weight))
            .fold(0.0, f64::max)
    }

    /// Height from the top of the first line's capitals to below the last baseline, pixels.
    pub fn height(&self) -> f64 {
        self.lines.len() as f64 * self.size * LINE_HEIGHT
    }
}

/// Wraps `text` into at most `lines` lines of at most `limit` pixels: first at the wished size, then smaller down to
/// [`SMALLEST`], and at last shortened with an ellipsis.
pub(super) fn fit(text: &str, limit: f64, lines: usize, size: f64, weight: Weight) -> Block {
    let lines = lines.max(1);
    let mut size = size;
    loop {
        let mut wrapped = wrap(text, limit, size, weight);
        let fits = wrapped.len() <= lines;
        if fits || size <= SMALLEST {
            if !fits {
                wrapped.truncate(lines);
                let last = wrapped.last_mut().expect("there is at least one line");
                while !last.is_empty() && width(&format!("{last}…"), size, weight) > limit {
                    last.pop();
                }
                last.push('…');
            }
            return Block {
                lines: wrapped,
                size,
                weight,
            };
        }
        size = (size - 1.0).max(SMALLEST);
    }
}

/// Greedy wrapping of every line of `text` after spaces and after the joints of names (`_ / , = -`); a longer piece breaks
/// anywhere.
fn wrap(text: &str, limit: f64, size: f64, weight: Weight) -> Vec<String> {
    text.split('\n')
        .flat_map(|line| wrap_line(line, limit, size, weight))
        .collect()
}

fn wrap_line(text: &str, limit: f64, size: f64, weight: Weight) -> Vec<String> {
    let mut lines = vec![String::new()];
    for piece in text.split_inclusive([' ', '_', '/', ',', '=', '-', '·']) {
        let line = lines.last_mut().expect("there is always a line");
        if width(format!("{line}{piece}").trim_end(), size, weight) <= limit {
            line.push_str(piece);
            continue;
        }
        if !line.is_empty() {
            lines.push(String::new());
        }
        for c in piece.chars() {
            let line = lines.last_mut().expect("there is always a line");
            if !line.is_empty() && width(format!("{line}{c}").trim_end(), size, weight) > limit {
                lines.push(c.to_string());
            } else {
                line.push(c);
            }
        }
    }
    let mut lines: Vec<String> = lines.into_iter().map(|line| line.trim().to_string()).collect();
    lines.retain(|line| !line.is_empty());
    if lines.is_empty() {
        lines.push(String::new());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Advance widths of Liberation Sans and Arial in 1/2048 em: H 1479, o 1139, digit 1139, minus sign 1196.
    #[test]
    fn widths_are_those_of_arial() {
        for (text, units) in [("H", 1479.0), ("o", 1139.0), ("7", 1139.0), ("−", 1196.0)] {
            assert!((width(text, 2048.0, Weight::Regular) - units).abs() < 1e-6, "{text}");
        }
    }

    #[test]
    fn the_glyphs_of_figures_exist() {
        let glyph = |c: char, weight| Face::of(weight).glyphs(&c.to_string()).glyph_infos()[0].glyph_id;
        let missing = glyph('\u{E000}', Weight::Regular);
        for c in "aZ0éαβγδεζηθικλμνξοπρστυφχψωΓΔΘΛΞΠΣΦΨΩ√∇∑∂∞≈≠±−·→←≤≥×⁰¹²³⁴⁵⁶⁷⁸⁹⁻₀₁₂₃₄₅₆₇₈₉|…–—∫‖ŷ".chars()
        {
            for weight in [Weight::Regular, Weight::Bold] {
                assert_ne!(glyph(c, weight), missing, "{c}");
            }
        }
    }

    proptest! {
        #[test]
        fn what_fits_is_within_its_limits(text in "\\PC{0,80}", limit in 60.0..600.0f64, lines in 1usize..4) {
            let block = fit(&text, limit, lines, 28.0, Weight::Regular);
            prop_assert!((1..=lines).contains(&block.lines.len()));
            prop_assert!(block.width() <= limit + 1e-9);
            prop_assert!((SMALLEST..=28.0).contains(&block.size));
        }
    }
}
