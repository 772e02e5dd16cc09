//! A renderer of grey images: rectangles, thick lines and discs in white, with smooth edges.
//!
//! The value of a pixel is the share of its area that a shape covers, so an image changes smoothly with the shape.
//! Coordinates are in pixels: x to the right, y down, and pixel (row i, column j) is the square [j, j+1] × [i, i+1]. A
//! shape of coverage c turns a pixel of value v, from 0 to 1, into v + (1 − v) c: the operator `over` of Porter and Duff
//! (1984).
//!
//! The coverage of a rectangle is exact. That of a thick line is exact at its long edges and at its ends; within 0.03 at
//! its corners. That of a disc is averaged over 16 lines per pixel.

use crate::ImageShape;

/// Lines per pixel over which the coverage of a disc is averaged.
const LINES: u32 = 16;

/// One frame of an image in memory.
#[derive(Debug)]
pub struct Canvas<'a> {
    /// All frames, `[H, W, F]`.
    pixels: &'a mut [u8],
    shape: ImageShape,
    frame: usize,
}

/// The share of [low, high] in the unit interval that begins at `start`.
fn overlap(start: f64, low: f64, high: f64) -> f64 {
    ((start + 1.0).min(high) - start.max(low)).clamp(0.0, 1.0)
}

/// The pixels that touch [low, high], of `count` pixels.
fn touched(low: f64, high: f64, count: usize) -> std::ops::Range<usize> {
    // The conversion saturates, and turns NaN into 0.
    low.floor() as usize..(high.ceil() as usize).min(count)
}

/// How a unit square is distributed along a direction: the density of its projection is a trapezoid.
#[derive(Clone, Copy)]
struct Projection {
    /// The larger of |cos| and |sin| of the direction.
    wide: f64,
    /// The smaller of them.
    narrow: f64,
}

impl Projection {
    fn new(sin: f64, cos: f64) -> Self {
        let (sin, cos) = (sin.abs(), cos.abs());
        Self {
            wide: sin.max(cos),
            narrow: sin.min(cos),
        }
    }

    /// Half the length of the projection.
    fn reach(self) -> f64 {
        0.5 * (self.wide + self.narrow)
    }

    /// The share of the square that lies below `t`, measured from its centre.
    fn below(self, t: f64) -> f64 {
        let flat = 0.5 * (self.wide - self.narrow);
        let tail = |t: f64| (self.reach() - t).powi(2) / (2.0 * self.wide * self.narrow);
        match t.abs() {
            far if far >= self.reach() => f64::from(u8::from(t > 0.0)),
            near if near <= flat => 0.5 + t / self.wide,
            between if t > 0.0 => 1.0 - tail(between),
            between => tail(between),
        }
    }
}

impl<'a> Canvas<'a> {
    /// Frame `frame` of an image of this shape.
    pub fn new(pixels: &'a mut [u8], shape: ImageShape, frame: usize) -> Self {
        Self { pixels, shape, frame }
    }

    /// Covers the share `coverage` of a pixel in white. Pixels outside the memory are left out.
    fn cover(&mut self, row: usize, column: usize, coverage: f64) {
        let at = (row * self.shape.width + column) * self.shape.frames + self.frame;
        if let Some(pixel) = self.pixels.get_mut(at) {
            *pixel = pixel.saturating_add((f64::from(255 - *pixel) * coverage + 0.5) as u8);
        }
    }

    /// An upright rectangle with half sides `half`, both as (x, y).
    pub fn rectangle(&mut self, centre: [f64; 2], half: [f64; 2]) {
        let [left, top] = [0, 1].map(|k| centre[k] - half[k]);
        let [right, bottom] = [0, 1].map(|k| centre[k] + half[k]);
        for row in touched(top, bottom, self.shape.height) {
            let of_row = overlap(row as f64, top, bottom);
            for column in touched(left, right, self.shape.width) {
                self.cover(row, column, of_row * overlap(column as f64, left, right));
            }
        }
    }

    /// A thick line with square ends from `start`, turned clockwise by `angle` (rad) from straight up.
    pub fn line(&mut self, start: [f64; 2], angle: f64, length: f64, width: f64) {
        let (sin, cos) = angle.sin_cos();
        let (half, square) = (0.5 * width, Projection::new(sin, cos));
        let (side, end) = (
            [half * cos.abs(), half * sin.abs()],
            [start[0] + length * sin, start[1] - length * cos],
        );
        let low = |k: usize| start[k].min(end[k]) - side[k];
        let high = |k: usize| start[k].max(end[k]) + side[k];
        for row in touched(low(1), high(1), self.shape.height) {
            let y = row as f64 + 0.5 - start[1];
            for column in touched(low(0), high(0), self.shape.width) {
                let x = column as f64 + 0.5 - start[0];
                // The centre of the pixel along the line, and its distance from the axis.
                let (along, across) = (x * sin - y * cos, (x * cos + y * sin).abs());
                if across >= half + square.reach() {
                    continue;
                }
                let across = square.below(half - across) - square.below(-half - across);
                let along = square.below(length - along) - square.below(-along);
                self.cover(row, column, across * along);
            }
        }
    }

    /// A disc.
    pub fn disc(&mut self, [x, y]: [f64; 2], radius: f64) {
        for row in touched(y - radius, y + radius, self.shape.height) {
            for column in touched(x - radius, x + radius, self.shape.width) {
                let of_line = |line: u32| {
                    let height = row as f64 + (f64::from(line) + 0.5) / f64::from(LINES) - y;
                    let half = (radius * radius - height * height).max(0.0).sqrt();
                    overlap(column as f64, x - half, x + half)
                };
                let coverage = (0..LINES).map(of_line).sum::<f64>() / f64::from(LINES);
                self.cover(row, column, coverage);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: ImageShape = ImageShape {
        height: 20,
        width: 24,
        frames: 1,
    };
    /// Points per side of a pixel in the reference.
    const POINTS: usize = 64;

    /// The largest difference to the share of 64 × 64 points per pixel that lie inside, as a share of white.
    fn largest_error(draw: impl Fn(&mut Canvas), inside: impl Fn(f64, f64) -> bool) -> f64 {
        let mut pixels = vec![0; SHAPE.len()];
        draw(&mut Canvas::new(&mut pixels, SHAPE, 0));
        assert!(pixels.iter().any(|&pixel| pixel > 0), "nothing was drawn");
        let point = |of: usize, k: usize| of as f64 + (k as f64 + 0.5) / POINTS as f64;
        let error = |at: usize| {
            let (row, column) = (at / SHAPE.width, at % SHAPE.width);
            let all = (0..POINTS * POINTS).map(|k| (point(column, k % POINTS), point(row, k / POINTS)));
            let count = all.filter(|&(x, y)| inside(x, y)).count();
            (count as f64 / (POINTS * POINTS) as f64 - f64::from(pixels[at]) / 255.0).abs()
        };
        (0..pixels.len()).map(error).fold(0.0, f64::max)
    }

    #[test]
    fn a_rectangle_equals_its_supersampled_image() {
        for (x, y) in [(5.0, 7.0), (3.3, 9.71), (0.4, 19.6), (23.9, 10.0)] {
            let inside = |a: f64, b: f64| (a - x).abs() < 2.3 && (b - y).abs() < 1.7;
            let error = largest_error(|canvas| canvas.rectangle([x, y], [2.3, 1.7]), inside);
            // Half a grey value, and a row of points on each of two edges.
            assert!(error < 0.5 / 255.0 + 2.0 / POINTS as f64, "({x}, {y}): {error}");
        }
    }

    #[test]
    fn a_disc_equals_its_supersampled_image() {
        for (x, y, radius) in [(10.5, 9.5, 2.0), (12.2, 8.9, 2.0), (7.0, 7.0, 5.3), (23.5, 19.0, 3.0)] {
            let inside = |a: f64, b: f64| (a - x).hypot(b - y) < radius;
            let error = largest_error(|canvas| canvas.disc([x, y], radius), inside);
            assert!(error < 0.012, "({x}, {y}), {radius}: {error}");
        }
    }

    #[test]
    fn a_line_equals_its_supersampled_image_up_to_its_corners() {
        for k in 0..48 {
            let (angle, (x, y)) = (f64::from(k) * 0.1311, (11.8, 10.3));
            let (sin, cos) = angle.sin_cos();
            let inside = |a: f64, b: f64| {
                let (a, b) = (a - x, b - y);
                (0.0..8.3).contains(&(a * sin - b * cos)) && (a * cos + b * sin).abs() < 1.0
            };
            let error = largest_error(|canvas| canvas.line([x, y], angle, 8.3, 2.0), inside);
            assert!(error < 0.03, "{angle}: {error}");
        }
    }

    /// Overlapping shapes and shapes outside the image change no pixel twice, and nothing else.
    #[test]
    fn white_stays_white_and_what_is_outside_is_left_out() {
        let mut pixels = vec![0; SHAPE.len()];
        let mut canvas = Canvas::new(&mut pixels, SHAPE, 0);
        for centre in [[-50.0, 3.0], [3.0, 1e300], [f64::NAN, 2.0], [2.0, f64::NEG_INFINITY]] {
            canvas.rectangle(centre, [1.0, 1.0]);
            canvas.disc(centre, 2.0);
            canvas.line(centre, 0.3, 4.0, 2.0);
        }
        assert!(pixels.iter().all(|&pixel| pixel == 0), "{pixels:?}");
        let mut canvas = Canvas::new(&mut pixels, SHAPE, 0);
        canvas.rectangle([12.0, 10.0], [12.0, 10.0]);
        canvas.disc([4.2, 5.1], 3.0);
        assert!(pixels.iter().all(|&pixel| pixel == 255));
        // Memory that is too short keeps what fits.
        Canvas::new(&mut pixels[..30], SHAPE, 0).rectangle([12.0, 10.0], [12.0, 10.0]);
    }

    #[test]
    fn frames_are_interleaved() {
        let shape = ImageShape { frames: 2, ..SHAPE };
        let mut pixels = vec![0; shape.len()];
        Canvas::new(&mut pixels, shape, 1).rectangle([12.0, 10.0], [12.0, 10.0]);
        assert!(pixels.chunks(2).all(|pair| pair == [0, 255]));
    }
}
