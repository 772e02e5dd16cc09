//! The look of every figure: sizes, colours by role, colour maps.
//!
//! Sizes are pixels of a figure 1600 wide, which stays readable at half that width; [`Page`] says how wide a figure is
//! laid out for print. The palette is that of Okabe and Ito ("Color Universal Design", 2008) with wine and indigo of Tol
//! ("Colour schemes", 2021), told apart by readers with any common colour-vision deficiency; roles are
//! fixed, so that a colour means the same thing in every figure. Densities use a sequential map of monotone lightness.

/// Width of a figure for the screen, pixels.
pub const WIDTH: f64 = 1600.0;
/// Text of a figure's title, pixels.
pub const TITLE: f64 = 36.0;
/// Text of panel titles, pixels.
pub const PANEL_TITLE: f64 = 30.0;
/// Text of axis labels and direct labels, pixels.
pub const LABEL: f64 = 26.0;
/// Text of tick labels and notes, pixels.
pub const TICK: f64 = 24.0;
/// The smallest text that is ever drawn, pixels.
pub const SMALLEST: f64 = 22.0;
/// Width of data lines, pixels.
pub const LINE: f64 = 4.0;
/// Width of reference lines, pixels.
pub const REFERENCE_LINE: f64 = 3.0;
/// Width of grid lines, pixels.
pub const GRID_LINE: f64 = 1.5;
/// Radius of a data point, pixels.
pub const POINT: f64 = 5.0;

/// Where a figure will stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Page {
    /// On a screen: 1600 pixels wide, with its title and caption in the picture.
    #[default]
    Screen,
    /// In one column of a paper of two: 3.3 inches wide, without title and caption, which stand in a text file beside it.
    Column,
    /// Over the full text width of a paper: 6.75 inches wide, otherwise as `Column`.
    Text,
}

impl Page {
    /// The width in print, inches; none on a screen.
    pub fn inches(self) -> Option<f64> {
        match self {
            Self::Screen => None,
            Self::Column => Some(3.3),
            Self::Text => Some(6.75),
        }
    }

    /// The width that figures are laid out in, pixels: in print the smallest text has 7 points.
    pub fn width(self) -> f64 {
        const PIXELS_PER_POINT: f64 = SMALLEST / 7.0;
        self.inches().map_or(WIDTH, |inches| 72.0 * inches * PIXELS_PER_POINT)
    }

    /// The blank margin round a figure, pixels.
    pub fn margin(self) -> f64 {
        match self {
            Self::Screen => 28.0,
            Self::Column | Self::Text => 4.0,
        }
    }
}

/// An sRGB colour with an opacity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Color {
    /// Red, green, blue.
    pub rgb: [u8; 3],
    /// Opacity from 0 to 1.
    pub alpha: f64,
}

impl Color {
    /// An opaque colour from `0xRRGGBB`.
    pub const fn hex(rgb: u32) -> Self {
        Self {
            rgb: [(rgb >> 16) as u8, (rgb >> 8) as u8, rgb as u8],
            alpha: 1.0,
        }
    }

    /// The same colour with another opacity.
    pub const fn alpha(self, alpha: f64) -> Self {
        Self { alpha, ..self }
    }

    /// Relative luminance (WCAG 2.1), from 0 for black to 1 for white.
    pub fn luminance(self) -> f64 {
        let [r, g, b] = self.rgb.map(linear);
        0.2126 * r + 0.7152 * g + 0.0722 * b
    }

    /// Contrast ratio against white (WCAG 2.1), from 1 to 21.
    pub fn contrast_on_white(self) -> f64 {
        1.05 / (self.luminance() + 0.05)
    }

    /// The nearest darker shade that reads as text on white: contrast 4.5 or more.
    pub fn text(self) -> Self {
        (0..=50)
            .map(|step| mix(&[self, BLACK], &[1.0 - f64::from(step) / 50.0, f64::from(step) / 50.0]))
            .find(|shade| shade.contrast_on_white() >= 4.5)
            .unwrap_or(BLACK)
    }
}

/// Paper.
pub const WHITE: Color = Color::hex(0xFFFFFF);
/// Text and axes.
pub const BLACK: Color = Color::hex(0x1A1A1A);
/// Secondary text: notes, captions.
pub const QUIET: Color = Color::hex(0x5A5A5A);
/// Grid lines.
pub const GRID: Color = Color::hex(0xE4E4E4);

/// Data points, as the lecture draws them.
pub const OBSERVED: Color = Color::hex(0xE69F00);
/// The generator's own, true value: a black dashed line.
pub const ORACLE: Color = BLACK;
/// A trivial method's value: a grey dotted line.
pub const BASELINE: Color = Color::hex(0x6E6E6E);
/// The model that a figure is about.
pub const MODEL: Color = Color::hex(0x0072B2);
/// Failures: crashes, failed runs.
pub const FAILED: Color = Color::hex(0xD55E00);

/// Colours of variants or components, in the order of their use.
pub const VARIANTS: [Color; 8] = [
    Color::hex(0x0072B2), // blue
    Color::hex(0xD55E00), // vermillion
    Color::hex(0x009E73), // bluish green
    Color::hex(0xCC79A7), // reddish purple
    Color::hex(0xE69F00), // orange
    Color::hex(0x56B4E9), // sky blue
    Color::hex(0x882255), // wine
    Color::hex(0x332288), // indigo
];

/// How a line is drawn along its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dash {
    /// Without gaps.
    Solid,
    /// Long strokes: the oracle.
    Dashed,
    /// Dots: the baseline.
    Dotted,
    /// A long stroke and a dot in turn.
    DashDot,
}

impl Dash {
    /// Lengths of ink and gap in turn, in multiples of the line width; empty for a solid line.
    pub(super) fn pattern(self) -> &'static [f64] {
        match self {
            Self::Solid => &[],
            Self::Dashed => &[3.5, 3.0],
            Self::Dotted => &[0.01, 2.4],
            Self::DashDot => &[4.0, 2.6, 0.01, 2.6],
        }
    }
}

/// Colour and dash of variant `index`: the palette solid first, then again dashed, and so on.
pub fn variant(index: usize) -> (Color, Dash) {
    let dashes = [Dash::Solid, Dash::Dashed, Dash::Dotted, Dash::DashDot];
    let (round, color) = (index / VARIANTS.len(), index % VARIANTS.len());
    (VARIANTS[color], dashes[round % dashes.len()])
}

/// Weighted mixture of colours in linear light, as of components by responsibility; weights need not sum to 1.
/// Without any positive weight the result is grey.
pub fn mix(colors: &[Color], weights: &[f64]) -> Color {
    let total: f64 = weights.iter().filter(|w| **w > 0.0).sum();
    if !(total > 0.0 && total.is_finite()) {
        return BASELINE;
    }
    let (mut light, mut alpha) = ([0.0; 3], 0.0);
    for (color, weight) in colors.iter().zip(weights).filter(|(_, w)| **w > 0.0) {
        let w = weight / total;
        for (sum, channel) in light.iter_mut().zip(color.rgb) {
            *sum += w * linear(channel);
        }
        alpha += w * color.alpha;
    }
    Color {
        rgb: light.map(encoded),
        alpha,
    }
}

/// Stops of a sequential map at equal distances: white, then the single-hue blues up to the palette's blue and beyond.
/// Interpolated in linear light; lightness falls monotonically, so that it also prints in grey.
const DENSITY: [Color; 5] = [
    Color::hex(0xFFFFFF),
    Color::hex(0xCDE3F2),
    Color::hex(0x7FB8DC),
    Color::hex(0x0072B2),
    Color::hex(0x003A63),
];

/// Viridis at nine equal distances (Smith and van der Walt, matplotlib 2.0, 2015; CC0): perceptually uniform.
const VIRIDIS: [Color; 9] = [
    Color::hex(0x440154),
    Color::hex(0x472D7B),
    Color::hex(0x3B528B),
    Color::hex(0x2C728E),
    Color::hex(0x21918C),
    Color::hex(0x28AE80),
    Color::hex(0x5EC962),
    Color::hex(0xADDC30),
    Color::hex(0xFDE725),
];

/// A map from [0, 1] to colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColorMap {
    /// From white (0) to dark blue: for densities, which vanish into the paper.
    Density,
    /// From dark violet to yellow: for ordered quantities without a natural zero, as time or iterations.
    Viridis,
}

impl ColorMap {
    /// The colour at `t`, clamped to [0, 1]; grey for NaN.
    pub fn at(self, t: f64) -> Color {
        let stops: &[Color] = match self {
            Self::Density => &DENSITY,
            Self::Viridis => &VIRIDIS,
        };
        if t.is_nan() {
            return BASELINE;
        }
        let position = t.clamp(0.0, 1.0) * (stops.len() - 1) as f64;
        let low = (position as usize).min(stops.len() - 2);
        let fraction = position - low as f64;
        mix(&stops[low..low + 2], &[1.0 - fraction, fraction])
    }
}

/// sRGB channel to linear light (IEC 61966-2-1).
fn linear(channel: u8) -> f64 {
    let c = f64::from(channel) / 255.0;
    if c <= 0.04045 {
        c / 12.92
    } else {
        ((c + 0.055) / 1.055).powf(2.4)
    }
}

/// Linear light to an sRGB channel (IEC 61966-2-1).
fn encoded(light: f64) -> u8 {
    let c = if light <= 0.0031308 {
        12.92 * light
    } else {
        1.055 * light.powf(1.0 / 2.4) - 0.055
    };
    (c.clamp(0.0, 1.0) * 255.0).round() as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_stand_out_and_text_is_readable() {
        for color in VARIANTS.iter().chain([&ORACLE, &BASELINE, &OBSERVED, &MODEL, &FAILED]) {
            assert!(color.contrast_on_white() >= 2.2, "{color:?}");
            assert!(color.text().contrast_on_white() >= 4.5, "{color:?}");
        }
        assert!(QUIET.contrast_on_white() >= 4.5);
        assert_eq!(BLACK.text(), BLACK);
    }

    /// Simulated deuteranopia and protanopia (Viénot, Brettel and Mollon 1999): variants stay apart.
    #[test]
    fn variants_stay_apart_for_colour_blind_readers() {
        let protanopia = [
            [0.11238, 0.88762, 0.0],
            [0.11238, 0.88762, 0.0],
            [0.00401, -0.00401, 1.0],
        ];
        let deuteranopia = [
            [0.29275, 0.70725, 0.0],
            [0.29275, 0.70725, 0.0],
            [-0.02234, 0.02234, 1.0],
        ];
        for matrix in [protanopia, deuteranopia] {
            let seen = VARIANTS.map(|color| {
                let light = color.rgb.map(linear);
                matrix.map(|row| f64::from(encoded(row.iter().zip(light).map(|(m, c)| m * c).sum())))
            });
            for i in 0..seen.len() {
                for j in 0..i {
                    let distance = (0..3).map(|c| (seen[i][c] - seen[j][c]).powi(2)).sum::<f64>().sqrt();
                    assert!(distance > 20.0, "variants {i} and {j}: {distance}");
                }
            }
        }
    }

    #[test]
    fn mixing_follows_the_weights() {
        let (a, b) = (VARIANTS[0], VARIANTS[1]);
        assert_eq!(mix(&[a, b], &[1.0, 0.0]), a);
        assert_eq!(mix(&[a, b], &[0.0, 3.0]), b);
        // Half the light of white and black: luminance 1/2 up to the rounding of 8 bits.
        let half = mix(&[WHITE, Color::hex(0)], &[2.0, 2.0]);
        assert!((half.luminance() - 0.5).abs() < 0.005);
        assert_eq!(mix(&[a, b], &[f64::NAN, 0.0]), BASELINE);
    }

    #[test]
    fn colour_maps_are_monotone_in_luminance() {
        for (map, sign) in [(ColorMap::Density, -1.0), (ColorMap::Viridis, 1.0)] {
            let light: Vec<f64> = (0..=100).map(|i| map.at(f64::from(i) / 100.0).luminance()).collect();
            assert!(
                light.windows(2).all(|pair| sign * (pair[1] - pair[0]) >= -1e-3),
                "{map:?}"
            );
        }
        assert_eq!(ColorMap::Density.at(-1.0), WHITE);
        assert_eq!(ColorMap::Viridis.at(f64::INFINITY), VIRIDIS[8]);
    }

    #[test]
    fn two_dozen_variants_look_different() {
        let looks: Vec<_> = (0..24).map(variant).collect();
        for i in 0..looks.len() {
            assert!(looks[..i].iter().all(|other| *other != looks[i]), "variant {i}");
        }
    }
}
