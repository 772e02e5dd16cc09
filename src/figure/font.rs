//! The bundled font: measuring and wrapping.
//!
//! One font serves the layout and the PNG. The SVG names families of equal widths.

use ab_glyph::{Font, FontRef};
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

fn font(weight: Weight) -> &'static FontRef<'static> {
    static FONTS: OnceLock<[FontRef<'static>; 2]> = OnceLock::new();
    let fonts = FONTS
        .get_or_init(|| FILES.map(|file| FontRef::try_from_slice(file).expect("the bundled font is a valid font")));
    &fonts[weight as usize]
}

/// Width of one line of text, pixels.
pub(super) fn width(text: &str, size: f64, weight: Weight) -> f64 {
    let font = font(weight);
    let scale = size / f64::from(font.units_per_em().unwrap_or(2048.0));
    let (mut units, mut previous) = (0.0, None);
    for glyph in text.chars().map(|c| font.glyph_id(c)) {
        if let Some(previous) = previous {
            units += f64::from(font.kern_unscaled(previous, glyph));
        }
        units += f64::from(font.h_advance_unscaled(glyph));
        previous = Some(glyph);
    }
    scale * units
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
        let missing = font(Weight::Regular).glyph_id('\u{E000}');
        for c in "aZ0éαβγδεζηθικλμνξοπρστυφχψωΓΔΘΛΞΠΣΦΨΩ√∇∑∂∞≈≠±−·→←≤≥×⁰¹²³⁴⁵⁶⁷⁸⁹⁻₀₁₂₃₄₅₆₇₈₉|…–—∫‖ŷ".chars()
        {
            for weight in [Weight::Regular, Weight::Bold] {
                assert_ne!(font(weight).glyph_id(c), missing, "{c}");
            }
        }
    }

    #[test]
    fn capitals_have_the_stated_height() {
        let font = font(Weight::Regular);
        let outline = font.outline(font.glyph_id('H')).expect("a capital has an outline");
        let top = 1000.0 / 2048.0 * f64::from(outline.bounds.min.y.max(outline.bounds.max.y));
        assert!((top / 1000.0 - CAPITAL).abs() < 2e-3, "{top}");
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
