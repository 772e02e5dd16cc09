//! Rectangles on the page, and the parts of lines and polygons inside them.

/// A place in pixels from the top left corner.
pub(super) type Point = (f64, f64);

/// An axis-parallel rectangle in pixels; y grows downwards.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Frame {
    pub left: f64,
    pub top: f64,
    pub right: f64,
    pub bottom: f64,
}

impl Frame {
    pub fn width(&self) -> f64 {
        self.right - self.left
    }

    pub fn height(&self) -> f64 {
        self.bottom - self.top
    }

    pub fn contains(&self, p: Point) -> bool {
        (self.left..=self.right).contains(&p.0) && (self.top..=self.bottom).contains(&p.1)
    }

    /// The parts of a polyline inside the frame (Liang and Barsky 1984, segment by segment).
    pub fn clip_line(&self, points: &[Point]) -> Vec<Vec<Point>> {
        let mut parts: Vec<Vec<Point>> = Vec::new();
        for pair in points.windows(2) {
            let (p, q) = (pair[0], pair[1]);
            let (dx, dy) = (q.0 - p.0, q.1 - p.1);
            let (mut enter, mut leave) = (0.0f64, 1.0f64);
            for (along, room) in [
                (-dx, p.0 - self.left),
                (dx, self.right - p.0),
                (-dy, p.1 - self.top),
                (dy, self.bottom - p.1),
            ] {
                if along < 0.0 {
                    enter = enter.max(room / along);
                } else if along > 0.0 {
                    leave = leave.min(room / along);
                } else if room < 0.0 {
                    leave = -1.0;
                }
            }
            if enter > leave {
                continue;
            }
            let a = (p.0 + enter * dx, p.1 + enter * dy);
            let b = (p.0 + leave * dx, p.1 + leave * dy);
            match parts.last_mut() {
                Some(part) if enter == 0.0 && part.last() == Some(&a) => part.push(b),
                _ => parts.push(vec![a, b]),
            }
        }
        parts
    }

    /// The part of a polygon inside the frame (Sutherland and Hodgman 1974).
    pub fn clip_polygon(&self, points: &[Point]) -> Vec<Point> {
        let mut shape = points.to_vec();
        for side in 0..4 {
            // How far inside this side a point lies.
            let inside = |p: Point| match side {
                0 => p.0 - self.left,
                1 => self.right - p.0,
                2 => p.1 - self.top,
                _ => self.bottom - p.1,
            };
            let mut kept = Vec::with_capacity(shape.len() + 4);
            for (i, &p) in shape.iter().enumerate() {
                let q = shape[(i + 1) % shape.len()];
                let (a, b) = (inside(p), inside(q));
                if a >= 0.0 {
                    kept.push(p);
                }
                if (a >= 0.0) != (b >= 0.0) {
                    let t = a / (a - b);
                    kept.push((p.0 + t * (q.0 - p.0), p.1 + t * (q.1 - p.1)));
                }
            }
            shape = kept;
        }
        shape
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FRAME: Frame = Frame {
        left: 0.0,
        top: 0.0,
        right: 10.0,
        bottom: 10.0,
    };

    proptest! {
        #[test]
        fn clipped_lines_and_polygons_stay_inside(points in prop::collection::vec((-30.0..30.0f64, -30.0..30.0f64), 2..9)) {
            let slack = Frame { left: -1e-9, top: -1e-9, right: 10.0 + 1e-9, bottom: 10.0 + 1e-9 };
            for p in FRAME.clip_line(&points).iter().flatten().chain(&FRAME.clip_polygon(&points)) {
                prop_assert!(slack.contains(*p), "{p:?}");
            }
        }
    }

    #[test]
    fn a_line_through_the_frame_is_cut_at_its_sides() {
        assert_eq!(
            FRAME.clip_line(&[(-5.0, 5.0), (15.0, 5.0)]),
            [[(0.0, 5.0), (10.0, 5.0)]]
        );
        assert_eq!(
            FRAME
                .clip_line(&[(2.0, 2.0), (2.0, 20.0), (8.0, 20.0), (8.0, 2.0)])
                .len(),
            2
        );
        assert!(FRAME.clip_line(&[(-5.0, -1.0), (15.0, -1.0)]).is_empty());
    }
}
