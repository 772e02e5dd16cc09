//! Filling shapes with exact-area anti-aliasing.
//!
//! Every directed edge adds, to the cells of its rows, the change of covered area that it causes to its right; a running
//! sum along the row is then the coverage of each pixel (Levien, "Inside the fastest font renderer in the world", 2016).
//! Shapes that share an edge meet without a seam, and overlapping shapes of one turning sense saturate at full coverage.

use super::theme::Color;
use crate::math::vectors::arch;

/// Subdivisions of one step of a channel.
const FINENESS: u16 = 256;

/// An RGB image under construction, with the coverage of the shape being drawn.
pub(super) struct Raster {
    width: usize,
    height: usize,
    /// sRGB channels in 256ths of [0, 255], row by row, three per pixel: fine enough for many faint shapes in one place.
    pixels: Vec<u16>,
    /// Changes of coverage, `width + 2` per row.
    changes: Vec<f32>,
    /// First and past-the-last cell changed in each row.
    touched: Vec<(usize, usize)>,
}

impl Raster {
    /// A white image.
    pub fn new(width: usize, height: usize) -> Self {
        Self {
            width,
            height,
            pixels: vec![255 * FINENESS; 3 * width * height],
            changes: vec![0.0; (width + 2) * height],
            touched: vec![(usize::MAX, 0); height],
        }
    }

    /// Adds a closed polygon, of either turning sense, to the shape being drawn.
    pub fn polygon(&mut self, points: &[(f64, f64)]) {
        for (i, &p) in points.iter().enumerate() {
            self.edge(p, points[(i + 1) % points.len()]);
        }
    }

    /// Adds a closed polygon turned so that it never cancels the others of its shape.
    pub fn patch(&mut self, points: &[(f64, f64)]) {
        let area: f64 = (0..points.len())
            .map(|i| {
                let (p, q) = (points[i], points[(i + 1) % points.len()]);
                p.0 * q.1 - q.0 * p.1
            })
            .sum();
        for (i, &p) in points.iter().enumerate() {
            let q = points[(i + 1) % points.len()];
            if area >= 0.0 { self.edge(p, q) } else { self.edge(q, p) }
        }
    }

    fn edge(&mut self, p: (f64, f64), q: (f64, f64)) {
        let (sign, (x0, y0), (x1, y1)) = if p.1 <= q.1 { (1.0, p, q) } else { (-1.0, q, p) };
        let (top, bottom) = (y0.max(0.0), y1.min(self.height as f64));
        if !(top < bottom && x0.is_finite() && x1.is_finite()) {
            return;
        }
        let slope = (x1 - x0) / (y1 - y0);
        let right = self.width as f64;
        for row in top as usize..(bottom.ceil() as usize).min(self.height) {
            let from = top.max(row as f64);
            let to = bottom.min(row as f64 + 1.0);
            let x = (x0 + (from - y0) * slope).clamp(0.0, right);
            let x_next = (x0 + (to - y0) * slope).clamp(0.0, right);
            self.slice(row, x.min(x_next), x.max(x_next), sign * (to - from));
        }
    }

    /// One edge within one row: from `left` to `right`, over the signed height `d`.
    fn slice(&mut self, row: usize, left: f64, right: f64, d: f64) {
        let (first, last) = (left as usize, right.ceil() as usize);
        let cells = &mut self.changes[row * (self.width + 2)..(row + 1) * (self.width + 2)];
        let end = if last <= first + 1 {
            let inside = 0.5 * (left + right) - first as f64;
            cells[first] += (d * (1.0 - inside)) as f32;
            cells[first + 1] += (d * inside) as f32;
            first + 2
        } else {
            // Area to the right of the edge within the cells up to each boundary; its differences are the changes.
            let area = |boundary: f64| {
                let covered = (boundary - left).clamp(0.0, right - left);
                covered * covered / (2.0 * (right - left)) + (boundary - right).max(0.0)
            };
            let (mut before, mut filled) = (0.0, 0.0);
            for (cell, change) in cells[first..=last].iter_mut().enumerate() {
                let now = area((first + cell + 1) as f64);
                *change += (d * (now - before - filled)) as f32;
                filled = now - before;
                before = now;
            }
            last + 1
        };
        let touched = &mut self.touched[row];
        *touched = (touched.0.min(first), touched.1.max(end));
    }

    /// Paints the shape added since the last call.
    pub fn paint(&mut self, color: Color) {
        for row in 0..self.height {
            let (first, end) = std::mem::replace(&mut self.touched[row], (usize::MAX, 0));
            if first >= end {
                continue;
            }
            let cells = &mut self.changes[row * (self.width + 2)..(row + 1) * (self.width + 2)];
            let mut sum = 0.0f32;
            for (x, cell) in cells[..end].iter_mut().enumerate().skip(first) {
                sum += std::mem::take(cell);
                if x < self.width {
                    let cover = sum.abs().min(1.0) * color.alpha as f32;
                    let at = 3 * (row * self.width + x);
                    for (pixel, ink) in self.pixels[at..at + 3].iter_mut().zip(color.rgb) {
                        let now = f32::from(*pixel);
                        *pixel = (now + cover * (f32::from(FINENESS) * f32::from(ink) - now) + 0.5) as u16;
                    }
                }
            }
        }
    }

    /// The image: three bytes per pixel, row by row.
    pub fn into_rgb(self) -> Vec<u8> {
        let byte = |channel: &u16| ((channel + FINENESS / 2) / FINENESS) as u8;
        arch().dispatch(|| self.pixels.iter().map(byte).collect())
    }
}

/// Adds a polyline of the given width with round ends and joints to the shape being drawn.
pub(super) fn stroke(raster: &mut Raster, points: &[(f64, f64)], width: f64) {
    let mut path: Vec<(f64, f64)> = Vec::with_capacity(points.len());
    for &p in points {
        if path.last().is_none_or(|last| (last.0 - p.0).hypot(last.1 - p.1) > 0.3) {
            path.push(p);
        }
    }
    let r = width / 2.0;
    if path.len() < 2 {
        if let Some(&p) = path.first() {
            disc(raster, p, r);
        }
        return;
    }
    // Unit normals of the segments.
    let normals: Vec<(f64, f64)> = path
        .windows(2)
        .map(|pair| {
            let (dx, dy) = (pair[1].0 - pair[0].0, pair[1].1 - pair[0].1);
            let length = dx.hypot(dy);
            (-dy / length, dx / length)
        })
        .collect();
    for (i, n) in normals.iter().enumerate() {
        // Gentle turns share their mitred corner, so neighbours meet without overlap; sharp ones get a disc.
        let corner = |other: Option<&(f64, f64)>| {
            let cosine = other.map_or(-1.0, |m| n.0 * m.0 + n.1 * m.1);
            match other {
                Some(m) if cosine > 0.8 => ((n.0 + m.0) * r / (1.0 + cosine), (n.1 + m.1) * r / (1.0 + cosine)),
                _ => (n.0 * r, n.1 * r),
            }
        };
        let (a, b) = (path[i], path[i + 1]);
        let before = i.checked_sub(1).map(|j| &normals[j]);
        let (u, v) = (corner(before), corner(normals.get(i + 1)));
        raster.patch(&[
            (a.0 + u.0, a.1 + u.1),
            (b.0 + v.0, b.1 + v.1),
            (b.0 - v.0, b.1 - v.1),
            (a.0 - u.0, a.1 - u.1),
        ]);
        if before.is_some_and(|m| n.0 * m.0 + n.1 * m.1 <= 0.8) {
            disc(raster, a, r);
        }
    }
    half_disc(raster, path[0], normals[0], r);
    let last = normals[normals.len() - 1];
    half_disc(raster, path[path.len() - 1], (-last.0, -last.1), r);
}

/// Adds a disc to the shape being drawn.
pub(super) fn disc(raster: &mut Raster, center: (f64, f64), radius: f64) {
    raster.patch(&arc(center, radius, 0.0, std::f64::consts::TAU));
}

/// The half of a disc behind the direction whose left normal is `n`.
fn half_disc(raster: &mut Raster, center: (f64, f64), n: (f64, f64), radius: f64) {
    let start = n.1.atan2(n.0);
    raster.patch(&arc(center, radius, start, start + std::f64::consts::PI));
}

fn arc(center: (f64, f64), radius: f64, start: f64, end: f64) -> Vec<(f64, f64)> {
    let steps = (8.0 + 2.0 * radius).min(96.0) as usize;
    (0..=steps)
        .map(|i| {
            let angle = start + (end - start) * i as f64 / steps as f64;
            (center.0 + radius * angle.cos(), center.1 + radius * angle.sin())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::theme::BLACK;
    use proptest::prelude::*;

    /// Ink in the image, in units of fully black pixels.
    fn ink(raster: Raster) -> f64 {
        let dark = 255.0 - f64::from(BLACK.rgb[0]);
        raster
            .pixels
            .iter()
            .step_by(3)
            .map(|c| (255.0 - f64::from(*c) / f64::from(FINENESS)) / dark)
            .sum()
    }

    proptest! {
        /// The painted area of a triangle is its area, by the shoelace formula.
        #[test]
        fn a_polygon_paints_its_area(p in prop::array::uniform6(0.0..40.0f64)) {
            let mut raster = Raster::new(40, 40);
            raster.polygon(&[(p[0], p[1]), (p[2], p[3]), (p[4], p[5])]);
            raster.paint(BLACK);
            let area = ((p[2] - p[0]) * (p[5] - p[1]) - (p[4] - p[0]) * (p[3] - p[1])).abs() / 2.0;
            prop_assert!((ink(raster) - area).abs() < 1e-2);
        }

        /// Shapes outside the image and coordinates that are not finite are left out without a panic.
        #[test]
        fn nothing_panics(points in prop::collection::vec((any::<f64>(), any::<f64>()), 0..6), width in 0.0..9.0f64) {
            let mut raster = Raster::new(16, 9);
            stroke(&mut raster, &points, width);
            raster.polygon(&points);
            raster.paint(BLACK);
        }
    }

    #[test]
    fn a_stroke_paints_length_times_width_and_round_ends() {
        let mut raster = Raster::new(60, 60);
        stroke(&mut raster, &[(10.0, 12.0), (30.0, 25.0), (48.0, 40.0)], 6.0);
        raster.paint(BLACK);
        let length = 20f64.hypot(13.0) + 18f64.hypot(15.0);
        let expected = length * 6.0 + std::f64::consts::PI * 9.0;
        assert!((ink(raster) / expected - 1.0).abs() < 0.01);
    }

    #[test]
    fn abutting_patches_leave_no_seam() {
        let mut raster = Raster::new(10, 10);
        raster.patch(&[(0.0, 0.0), (4.3, 0.0), (5.1, 10.0), (0.0, 10.0)]);
        raster.patch(&[(4.3, 0.0), (10.0, 0.0), (10.0, 10.0), (5.1, 10.0)]);
        raster.paint(BLACK);
        assert!((ink(raster) - 100.0).abs() < 1e-3);
    }
}
