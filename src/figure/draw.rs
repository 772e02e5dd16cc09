//! Drawing a panel: its space, title, ticks, labels, and names at the ends of lines.

use super::axis::{Scale, Tick};
use super::chart::{Mark, Panel};
use super::font::{self, Block, LINE_HEIGHT, Weight, fit};
use super::frame::{Frame, Point};
use super::marks::View;
use super::sheet::{Anchor, Sheet, Text};
use super::spread::spread;
use super::theme::{BLACK, Color, Dash, GRID, GRID_LINE, LABEL, PANEL_TITLE, QUIET, TICK};

/// Distance between axes and labels, pixels.
const GAP: f64 = 12.0;
/// Length of the piece of line before its name, pixels.
const SAMPLE: f64 = 36.0;

/// Space that a panel needs beside and below its axes, pixels.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Insets {
    pub left: f64,
    pub right: f64,
    pub bottom: f64,
}

impl Panel {
    /// Scales of both axes for a plot of the given size, pixels.
    fn scales(&self, width: f64, height: f64) -> [Scale; 2] {
        let [x, y] = [self.x.scale(self.extents[0]), self.y.scale(self.extents[1])];
        if !self.equal {
            return [x, y];
        }
        let (horizontal, vertical) = (x.span() / width.max(1.0), y.span() / height.max(1.0));
        [x.widened(vertical / horizontal), y.widened(horizontal / vertical)]
    }

    fn x_ticks(&self, scale: Scale, width: f64) -> Vec<Tick> {
        if self.x.names.is_some() || self.bare {
            return Vec::new(); // Only rows are named.
        }
        // Fewer ticks until no two labels touch.
        for most in (2..=7).rev() {
            let mut ticks = scale.ticks(most);
            if self.x.calendar {
                ticks.iter_mut().for_each(|tick| tick.label.retain(|c| c != ','));
            }
            let spans: Vec<(f64, f64)> = ticks
                .iter()
                .filter_map(|tick| {
                    let half = 0.5 * font::width(&tick.label, TICK, Weight::Regular) + 0.6 * TICK;
                    scale
                        .place(tick.value)
                        .map(|place| (place * width - half, place * width + half))
                })
                .collect();
            let apart = |pair: &[(f64, f64)]| pair[0].1 <= pair[1].0 || pair[1].1 <= pair[0].0;
            if most == 2 || spans.windows(2).all(apart) {
                return ticks;
            }
        }
        Vec::new()
    }

    fn y_ticks(&self, scale: Scale, height: f64) -> Vec<Tick> {
        scale.ticks(((height / (2.6 * TICK)) as usize).clamp(2, 6))
    }

    /// Names of the rows of a vertical axis of names.
    fn row_names(&self, width: f64, height: f64) -> Vec<Block> {
        let names = self.y.names.as_deref().unwrap_or_default();
        let room = height / names.len().max(1) as f64;
        let lines = ((room / (font_line(TICK))) as usize).clamp(1, 3);
        names
            .iter()
            .map(|name| fit(name, 0.30 * width, lines, TICK, Weight::Regular))
            .collect()
    }

    fn end_blocks(&self, width: f64, height: f64) -> Vec<Block> {
        let lines = match &self.y.names {
            Some(names) => ((height / names.len().max(1) as f64 / font_line(TICK)) as usize).clamp(1, 4),
            None => 2,
        };
        self.ends
            .iter()
            .map(|end| fit(&end.text, 0.32 * width, lines, TICK, Weight::Regular))
            .collect()
    }

    /// Space for a piece of line before the labels in the right margin, pixels.
    fn sample(&self) -> f64 {
        match self.ends.iter().any(|end| end.line.is_some()) {
            true => SAMPLE + GAP,
            false => 0.0,
        }
    }

    fn title_block(&self, width: f64) -> Option<Block> {
        (!self.title.is_empty()).then(|| fit(&self.title, width, 2, PANEL_TITLE, Weight::Bold))
    }

    /// The space that this panel needs beside and below its axes within an outer size, pixels.
    pub(super) fn insets(&self, width: f64, height: f64) -> Insets {
        let [x, y] = self.scales(width, height);
        let widest = |blocks: &[Block]| blocks.iter().map(Block::width).fold(0.0, f64::max);
        let mut left = if self.y.names.is_some() {
            widest(&self.row_names(width, height))
        } else {
            self.y_ticks(y, height)
                .iter()
                .map(|t| font::width(&t.label, TICK, Weight::Regular))
                .fold(0.0, f64::max)
        };
        left += GAP;
        if !self.y.label.is_empty() {
            left += font_line(LABEL) + GAP;
        }
        let mut right = widest(&self.end_blocks(width, height));
        right = if right > 0.0 {
            right + 2.0 * GAP + self.sample()
        } else {
            GAP
        };
        // The last label of the horizontal axis may reach beyond its end.
        let reach = self
            .x_ticks(x, width - left - right)
            .iter()
            .filter_map(|t| {
                let half = 0.5 * font::width(&t.label, TICK, Weight::Regular);
                x.place(t.value)
                    .map(|place| half - (1.0 - place) * (width - left - right))
            })
            .fold(0.0, f64::max);
        let bottom = GAP + font_line(TICK) + if self.x.label.is_empty() { 0.0 } else { font_line(LABEL) };
        Insets {
            left,
            right: right.max(reach + 2.0),
            bottom,
        }
    }

    /// The space above the axes, whose title starts at their left end and has `width` pixels.
    pub(super) fn headroom(&self, width: f64) -> f64 {
        let title = self.title_block(width).map_or(0.5 * TICK, |title| title.height() + GAP);
        let named = self.marks.iter().any(|mark| matches!(mark, Mark::Vertical(..)));
        let lines = usize::from(named) + self.key_rows(width).last().map_or(0, |(row, ..)| row + 1);
        title + lines as f64 * (font_line(TICK) + 0.5 * GAP)
    }

    /// The keys in rows of at most `width` pixels: row, start, text, colour.
    fn key_rows(&self, width: f64) -> Vec<(usize, f64, Block, Color)> {
        let (mut row, mut x) = (0, 0.0);
        let mut placed = Vec::new();
        for (name, color) in &self.keys {
            let block = fit(name, width - 2.0 * TICK, 1, TICK, Weight::Regular);
            let length = block.width() + 2.0 * TICK;
            if x > 0.0 && x + length > width {
                (row, x) = (row + 1, 0.0);
            }
            placed.push((row, x, block, *color));
            x += length;
        }
        placed
    }

    /// The keys in rows under the title.
    fn draw_keys(&self, sheet: &mut Sheet, outer: Frame, plot: Frame) {
        let title = self
            .title_block(outer.right - plot.left)
            .map_or(0.5 * TICK, |title| title.height());
        for (row, x, block, color) in self.key_rows(outer.right - plot.left) {
            let middle = outer.top + title + (row as f64 + 0.5) * (font_line(TICK) + 0.5 * GAP);
            sheet.disc((plot.left + x + 0.3 * TICK, middle), 0.3 * TICK, color);
            sheet.block(
                &block,
                (plot.left + x + 0.9 * TICK, middle - 0.5 * block.height()),
                Anchor::Start,
                color.text(),
            );
        }
    }

    /// Draws the panel with its axes along `plot`, within `outer`.
    pub(super) fn draw(&self, sheet: &mut Sheet, outer: Frame, plot: Frame) {
        let [x, y] = self.scales(plot.width(), plot.height());
        let view = View { plot, x, y };
        if let Some(title) = self.title_block(outer.right - plot.left) {
            sheet.block(&title, (plot.left, outer.top), Anchor::Start, BLACK);
        }
        self.draw_keys(sheet, outer, plot);
        self.draw_axes(sheet, outer, &view);
        for mark in &self.marks {
            view.draw(sheet, mark);
        }
        self.draw_ends(sheet, &view, outer);
        self.draw_vertical_names(sheet, &view, outer);
    }

    fn draw_axes(&self, sheet: &mut Sheet, outer: Frame, view: &View) {
        if self.bare {
            return;
        }
        let Frame {
            left,
            top,
            right,
            bottom,
        } = view.plot;
        for tick in self.x_ticks(view.x, view.plot.width()) {
            let Some(px) = view.x.place(tick.value).map(|place| left + place * (right - left)) else {
                continue;
            };
            sheet.stroke(&[(px, top), (px, bottom)], GRID_LINE, Dash::Solid, GRID);
            sheet.tick_label(&tick.label, (px, bottom + GAP + 0.5 * TICK), Anchor::Middle, QUIET);
        }
        if self.y.names.is_some() {
            let blocks = self.row_names(outer.width(), outer.height());
            for (row, block) in blocks.iter().enumerate() {
                let Some(py) = view.y.place(row as f64).map(|place| bottom - place * (bottom - top)) else {
                    continue;
                };
                sheet.stroke(&[(left, py), (right, py)], GRID_LINE, Dash::Solid, GRID);
                sheet.block(block, (left - GAP, py - 0.5 * block.height()), Anchor::End, BLACK);
            }
        } else {
            for tick in self.y_ticks(view.y, view.plot.height()) {
                let Some(py) = view.y.place(tick.value).map(|place| bottom - place * (bottom - top)) else {
                    continue;
                };
                sheet.stroke(&[(left, py), (right, py)], GRID_LINE, Dash::Solid, GRID);
                sheet.tick_label(&tick.label, (left - GAP, py), Anchor::End, QUIET);
            }
        }
        let axes: &[Point] = if self.y.names.is_some() {
            &[(left, bottom), (right, bottom)]
        } else {
            &[(left, top), (left, bottom), (right, bottom)]
        };
        sheet.stroke(axes, 2.0, Dash::Solid, QUIET);
        if !self.x.label.is_empty() {
            let label = fit(&self.x.label, outer.width(), 1, LABEL, Weight::Regular);
            let half = 0.5 * label.width();
            let middle = (0.5 * (left + right)).min(outer.right - half).max(outer.left + half);
            sheet.block(&label, (middle, bottom + GAP + font_line(TICK)), Anchor::Middle, BLACK);
        }
        if !self.y.label.is_empty() {
            let label = fit(&self.y.label, outer.height(), 1, LABEL, Weight::Regular);
            let half = 0.5 * label.width();
            let middle = (0.5 * (top + bottom)).min(outer.bottom - half).max(outer.top + half);
            let at = (outer.left + 0.9 * LABEL, middle);
            let (text, size, weight) = (label.lines[0].clone(), label.size, label.weight);
            sheet.text(Text {
                text,
                at,
                anchor: Anchor::Middle,
                size,
                weight,
                color: BLACK,
                upwards: true,
            });
        }
    }

    /// The names of lines, each at its height or, if that is taken, near it with a thin leader.
    fn draw_ends(&self, sheet: &mut Sheet, view: &View, outer: Frame) {
        let blocks = self.end_blocks(outer.width(), outer.height());
        let Frame { top, bottom, right, .. } = view.plot;
        let (mut wished, mut sizes, mut shown) = (Vec::new(), Vec::new(), Vec::new());
        for (end, block) in self.ends.iter().zip(&blocks) {
            if let Some(place) = view.y.place(end.y) {
                wished.push((bottom - place * (bottom - top)).clamp(top, bottom));
                sizes.push(block.height());
                shown.push((block, end));
            }
        }
        let reach = 0.5 * font_line(TICK);
        let centres = spread(&wished, &sizes, top - reach, bottom + reach);
        let start = right + 2.0 * GAP;
        for (((block, end), centre), wish) in shown.into_iter().zip(centres).zip(wished) {
            if (centre - wish).abs() > 4.0 {
                let leader = [(right + 2.0, wish), (right + 1.6 * GAP, centre)];
                let color = end.line.map_or(end.color, |line| line.color);
                sheet.stroke(&leader, GRID_LINE, Dash::Solid, color.alpha(0.6));
            }
            if let Some(line) = end.line {
                let piece = [(start, centre), (start + SAMPLE, centre)];
                sheet.stroke(&piece, line.width, line.dash, line.color);
            }
            let at = (start + self.sample(), centre - 0.5 * block.height());
            sheet.block(block, at, Anchor::Start, end.color.text());
        }
    }

    /// The names of vertical references above the axes, moved apart.
    fn draw_vertical_names(&self, sheet: &mut Sheet, view: &View, outer: Frame) {
        let Frame { left, top, right, .. } = view.plot;
        let names: Vec<(f64, &String, Color)> = self
            .marks
            .iter()
            .filter_map(|mark| match mark {
                Mark::Vertical(x, name, stroke) => view
                    .x
                    .place(*x)
                    .map(|place| (left + place.clamp(0.0, 1.0) * (right - left), name, stroke.color)),
                _ => None,
            })
            .collect();
        let wished: Vec<f64> = names.iter().map(|n| n.0).collect();
        let sizes: Vec<f64> = names
            .iter()
            .map(|n| font::width(n.1, TICK, Weight::Regular) + TICK)
            .collect();
        for ((_, name, color), centre) in names.iter().zip(spread(&wished, &sizes, outer.left, outer.right)) {
            sheet.tick_label(
                name,
                (centre, top - 0.5 * GAP - 0.5 * TICK),
                Anchor::Middle,
                color.text(),
            );
        }
    }
}

/// Height of one line of text of a size, pixels.
pub(super) fn font_line(size: f64) -> f64 {
    size * LINE_HEIGHT
}
