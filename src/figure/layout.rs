//! A figure: a title, panels in a grid with aligned axes, and notes; written as SVG and PNG.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::chart::Panel;
use super::draw::{Insets, font_line};
use super::font::{Block, Weight, fit};
use super::frame::Frame;
use super::sheet::{Anchor, Sheet, Text};
use super::theme::{BLACK, LABEL, MARGIN, QUIET, TICK, TITLE, WIDTH};
use crate::{Error, Result};

/// Panels on a page.
#[derive(Debug, Clone)]
pub struct Figure {
    title: String,
    caption: String,
    notes: Vec<String>,
    columns: usize,
    row_height: f64,
    panels: Vec<Panel>,
    shared: [String; 2],
}

impl Figure {
    /// A figure of panels in rows of `columns`.
    pub fn new(title: impl Into<String>, columns: usize, panels: Vec<Panel>) -> Self {
        Self {
            title: title.into(),
            caption: String::new(),
            notes: Vec::new(),
            columns: columns.max(1),
            row_height: 620.0,
            panels,
            shared: Default::default(),
        }
    }

    /// Labels of the horizontal and the vertical axes of all panels, written once.
    pub fn shared_labels(mut self, x: impl Into<String>, y: impl Into<String>) -> Self {
        self.shared = [x.into(), y.into()];
        self
    }

    /// One or two sentences under the title: what to see.
    pub fn caption(mut self, caption: impl Into<String>) -> Self {
        self.caption = caption.into();
        self
    }

    /// The height of each row of panels, pixels of a figure 1600 wide; 620 if not given.
    pub fn row_height(mut self, pixels: f64) -> Self {
        self.row_height = pixels.clamp(200.0, 4000.0);
        self
    }

    /// A line under the panels: failures, what was left out.
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Writes `path.svg` and `path.png` of the same layout; each appears whole or not at all, and the same figure gives
    /// the same bytes. `path` names both files without an extension; its folder is made.
    ///
    /// # Errors
    /// If the figure has no panel, or a file cannot be written.
    pub fn write(&self, path: &Path) -> Result<[PathBuf; 2]> {
        let sheet = self.sheet()?;
        let folder = path
            .parent()
            .filter(|p| !p.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
        let name = path.file_name().ok_or_else(|| {
            Error::Other(format!(
                "expected the name of a figure, came {}: try figures/comparison",
                path.display()
            ))
        })?;
        let file = |extension: &str| {
            let mut name = name.to_os_string();
            name.push(extension);
            folder.join(name)
        };
        let (svg, png) = (file(".svg"), file(".png"));
        let draft = |extension: &str| {
            tempfile::Builder::new()
                .suffix(extension)
                .tempfile_in(folder)
                .map_err(|e| Error::io(folder, e))
        };
        let mut text = draft(".svg")?;
        text.write_all(sheet.svg()?.as_bytes())
            .map_err(|e| Error::io(&svg, e))?;
        let image = draft(".png")?;
        sheet.write_png(image.path())?;
        for (draft, file) in [(text, &svg), (image, &png)] {
            share(draft.as_file()).map_err(|e| Error::io(file, e))?;
            draft.persist(file).map_err(|e| Error::io(file, e.error))?;
        }
        Ok([svg, png])
    }

    /// The figure as SVG text, for embedding in a report.
    ///
    /// # Errors
    /// If the figure has no panel.
    pub fn svg(&self) -> Result<String> {
        self.sheet()?.svg()
    }

    fn sheet(&self) -> Result<Sheet> {
        if self.panels.is_empty() {
            return Err(Error::Data(format!(
                "the figure \"{}\" has nothing to draw: expected at least one panel",
                self.title
            )));
        }
        let inner = WIDTH - 2.0 * MARGIN;
        let mut head: Vec<(Block, _)> = Vec::new();
        if !self.title.is_empty() {
            head.push((fit(&self.title, inner, 2, TITLE, Weight::Bold), BLACK));
        }
        if !self.caption.is_empty() {
            head.push((fit(&self.caption, inner, 3, TICK, Weight::Regular), QUIET));
        }
        let mut notes = self.notes.clone();
        let skipped: usize = self.panels.iter().map(Panel::skipped).sum();
        if skipped > 0 {
            notes.push(left_out(skipped));
        }
        let foot: Vec<Block> = notes
            .iter()
            .map(|note| fit(note, inner, 4, TICK, Weight::Regular))
            .collect();

        let rows = self.panels.len().div_ceil(self.columns);
        let head_height: f64 = head.iter().map(|(block, _)| block.height() + 6.0).sum();
        let foot_space = if foot.is_empty() { 0.0 } else { 16.0 };
        let foot_height = foot_space + foot.iter().map(Block::height).sum::<f64>();
        let space = if head.is_empty() { 0.0 } else { 14.0 };
        let between = 30.0;
        let panels_height = rows as f64 * self.row_height + (rows - 1) as f64 * between;
        let shared = if self.shared[0].is_empty() {
            0.0
        } else {
            font_line(LABEL) + 8.0
        };
        let height = MARGIN + head_height + space + panels_height + shared + foot_height + MARGIN;
        let mut sheet = Sheet::new(WIDTH, height);

        let mut y = MARGIN;
        for (block, color) in &head {
            sheet.block(block, (MARGIN, y), Anchor::Start, *color);
            y += block.height() + 6.0;
        }
        let strip = |label: &String| if label.is_empty() { 0.0 } else { font_line(LABEL) + 8.0 };
        let area = Frame {
            left: MARGIN + strip(&self.shared[1]),
            top: y + space,
            right: WIDTH - MARGIN,
            bottom: y + space + panels_height,
        };
        self.draw_panels(&mut sheet, area, between);
        self.draw_shared_labels(&mut sheet, area);
        y += strip(&self.shared[0]);
        y += space + panels_height + foot_space;
        for block in &foot {
            sheet.block(block, (MARGIN, y), Anchor::Start, QUIET);
            y += block.height();
        }
        Ok(sheet)
    }

    /// Panels in their cells; those of a column share left and right ends of their axes, those of a row top and bottom.
    fn draw_panels(&self, sheet: &mut Sheet, area: Frame, between: f64) {
        let columns = self.columns.min(self.panels.len());
        let width = (area.width() - (columns - 1) as f64 * between) / columns as f64;
        let insets: Vec<Insets> = self
            .panels
            .iter()
            .map(|panel| panel.insets(width, self.row_height))
            .collect();
        let sides: Vec<(f64, f64)> = (0..columns)
            .map(|column| insets.iter().skip(column).step_by(columns))
            .map(|same| {
                same.fold((0.0, 0.0), |(left, right): (f64, f64), i| {
                    (left.max(i.left), right.max(i.right))
                })
            })
            .collect();
        for (row, panels) in self.panels.chunks(columns).enumerate() {
            let top = area.top + row as f64 * (self.row_height + between);
            let insets = &insets[row * columns..row * columns + panels.len()];
            let bottom = top + self.row_height - insets.iter().map(|inset| inset.bottom).fold(0.0, f64::max);
            let headroom = |(panel, (left, _)): (&Panel, &(f64, f64))| panel.headroom(width - left);
            let axes_top = top + panels.iter().zip(&sides).map(headroom).fold(0.0, f64::max);
            for (column, (panel, (inset_left, inset_right))) in panels.iter().zip(&sides).enumerate() {
                let left = area.left + column as f64 * (width + between);
                let outer = Frame {
                    left,
                    top,
                    right: left + width,
                    bottom: top + self.row_height,
                };
                let plot = Frame {
                    left: left + inset_left,
                    top: axes_top,
                    right: outer.right - inset_right,
                    bottom,
                };
                panel.draw(sheet, outer, plot);
            }
        }
    }

    fn draw_shared_labels(&self, sheet: &mut Sheet, area: Frame) {
        let [x, y] = &self.shared;
        let middle = (0.5 * (area.left + area.right), 0.5 * (area.top + area.bottom));
        let x = fit(x, area.width(), 1, LABEL, Weight::Regular);
        sheet.block(&x, (middle.0, area.bottom + 4.0), Anchor::Middle, BLACK);
        let y = fit(y, area.height(), 1, LABEL, Weight::Regular);
        let at = (MARGIN + 0.9 * LABEL, middle.1);
        let text = y.lines[0].clone();
        sheet.text(Text {
            text,
            at,
            anchor: Anchor::Middle,
            size: y.size,
            weight: y.weight,
            color: BLACK,
            upwards: true,
        });
    }
}

/// The note on values that could not be drawn.
pub(super) fn left_out(count: usize) -> String {
    match count {
        1 => "1 value is not finite and left out.".to_string(),
        _ => format!("{count} values are not finite and left out."),
    }
}

/// Temporary files are private to their owner; figures are to be read by others.
#[cfg(unix)]
fn share(file: &std::fs::File) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn share(_: &std::fs::File) -> std::io::Result<()> {
    Ok(())
}
