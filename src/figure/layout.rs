//! A figure: a title, panels in a grid with aligned axes, and notes; written as SVG and PNG.
//!
//! For print ([`Page::Column`], [`Page::Text`]) the panels are laid out anew: text keeps its size, panels that would become
//! too narrow move into rows of their own, and title, caption and notes go into a text file, for the paper's caption.

use std::borrow::Cow;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::chart::Panel;
use super::draw::{Insets, font_line};
use super::font::{Block, Weight, fit};
use super::frame::Frame;
use super::image;
use super::sheet::{Anchor, Format, Sheet, Text};
use super::theme::{BLACK, LABEL, Page, QUIET, TICK, TITLE, WIDTH};
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
    shares: Vec<f64>,
    fixed_rows: bool,
    page: Page,
}

/// Space between neighbouring panels, pixels.
const BETWEEN: f64 = 30.0;
/// A panel may shrink to this share of its width on the screen before fewer stand side by side in print.
const SHRINKAGE: f64 = 0.66;
/// The narrowest panel with space for its ticks, pixels.
const NARROWEST: f64 = 330.0;
/// The lowest row of panels with space for its ticks, pixels.
const LOWEST: f64 = 330.0;

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
            shares: Vec::new(),
            fixed_rows: false,
            page: Page::Screen,
        }
    }

    /// Where the figure will stand.
    pub fn page(mut self, page: Page) -> Self {
        self.page = page;
        self
    }

    /// How the width is shared out between the columns of panels; equally if not given.
    pub fn shares(mut self, shares: &[f64]) -> Self {
        self.shares = shares.to_vec();
        self
    }

    /// Rows of panels keep their height on narrow pages, as where every line of a panel is a line of text.
    pub fn fixed_rows(mut self) -> Self {
        self.fixed_rows = true;
        self
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

    /// Writes `path.svg` and `path.png` of the same layout, and for print `path.txt` with the text for a caption; each
    /// appears whole or not at all, and the same figure gives the same bytes. `path` names the files without an extension;
    /// its folder is made.
    ///
    /// # Errors
    /// If the figure has no panel, or a file cannot be written.
    pub fn write(&self, path: &Path) -> Result<Vec<PathBuf>> {
        let (format, svg) = self.drawn()?;
        let image = image::png(&svg, format.image())?;
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
        let words = self.words();
        let mut parts = vec![(".svg", svg.as_bytes()), (".png", &image)];
        if self.page != Page::Screen {
            parts.push((".txt", words.as_bytes()));
        }
        let mut drafts = Vec::new();
        for (extension, bytes) in parts {
            let mut file = name.to_os_string();
            file.push(extension);
            let file = folder.join(file);
            let mut draft = tempfile::NamedTempFile::new_in(folder).map_err(|e| Error::io(folder, e))?;
            draft.write_all(bytes).map_err(|error| Error::io(&file, error))?;
            drafts.push((draft, file));
        }
        let mut files = Vec::new();
        for (draft, file) in drafts {
            share(draft.as_file()).map_err(|error| Error::io(&file, error))?;
            draft.persist(&file).map_err(|error| Error::io(&file, error.error))?;
            files.push(file);
        }
        Ok(files)
    }

    /// Title, caption and notes, as the caption of a figure in print.
    fn words(&self) -> String {
        let mut text = String::new();
        for part in [&self.title, &self.caption].into_iter().chain(&self.notes) {
            let part = part.trim();
            if !part.is_empty() {
                let stop = if part.ends_with(['.', '?', '!', ':']) { "" } else { "." };
                text += &format!("{part}{stop}\n");
            }
        }
        text
    }

    /// The figure as SVG text, for embedding in a report.
    ///
    /// # Errors
    /// If the figure has no panel.
    pub fn svg(&self) -> Result<String> {
        Ok(self.drawn()?.1)
    }

    /// The page and its SVG.
    fn drawn(&self) -> Result<(Format, String)> {
        if self.panels.is_empty() {
            return Err(Error::Data(format!(
                "the figure \"{}\" has nothing to draw: expected at least one panel",
                self.title
            )));
        }
        let (width, margin, screen) = (self.page.width(), self.page.margin(), self.page == Page::Screen);
        let inner = width - 2.0 * margin;
        let mut head: Vec<(Block, _)> = Vec::new();
        if screen && !self.title.is_empty() {
            head.push((fit(&self.title, inner, 2, TITLE, Weight::Bold), BLACK));
        }
        if screen && !self.caption.is_empty() {
            head.push((fit(&self.caption, inner, 3, TICK, Weight::Regular), QUIET));
        }
        let mut notes = self.notes.clone();
        let skipped: usize = self.panels.iter().map(Panel::skipped).sum();
        if skipped > 0 {
            notes.push(left_out(skipped));
        }
        if !screen {
            notes.clear();
        }
        let foot: Vec<Block> = notes
            .iter()
            .map(|note| fit(note, inner, 4, TICK, Weight::Regular))
            .collect();

        let (columns, row_height) = self.arrangement();
        let rows = self.panels.len().div_ceil(columns);
        let head_height: f64 = head.iter().map(|(block, _)| block.height() + 6.0).sum();
        let foot_space = if foot.is_empty() { 0.0 } else { 16.0 };
        let foot_height = foot_space + foot.iter().map(Block::height).sum::<f64>();
        let space = if head.is_empty() { 0.0 } else { 14.0 };
        let panels_height = rows as f64 * row_height + (rows - 1) as f64 * BETWEEN;
        let strip = |label: &String| if label.is_empty() { 0.0 } else { font_line(LABEL) + 8.0 };
        let height = margin + head_height + space + panels_height + strip(&self.shared[0]) + foot_height + margin;
        let format = Format {
            width: width.round() as u32,
            height: height.round() as u32,
            inches: self.page.inches(),
            words: [self.title.clone(), self.words().trim_end().to_owned()],
        };
        let svg = Sheet::svg(&format, |sheet| {
            let mut y = margin;
            for (block, color) in &head {
                sheet.block(block, (margin, y), Anchor::Start, *color);
                y += block.height() + 6.0;
            }
            let area = Frame {
                left: margin + strip(&self.shared[1]),
                top: y + space,
                right: width - margin,
                bottom: y + space + panels_height,
            };
            self.draw_panels(sheet, area, columns, row_height);
            self.draw_shared_labels(sheet, area);
            y += strip(&self.shared[0]);
            y += space + panels_height + foot_space;
            for block in &foot {
                sheet.block(block, (margin, y), Anchor::Start, QUIET);
                y += block.height();
            }
        })?;
        Ok((format, svg))
    }

    /// Columns of panels and the height of a row on this page: as given on the screen, as many columns as keep panels
    /// readable in print, where rows become lower with their panels' width.
    fn arrangement(&self) -> (usize, f64) {
        let given = self.columns.min(self.panels.len()).max(1);
        let wide = |page: f64, columns: usize| (page - (columns - 1) as f64 * BETWEEN) / columns as f64;
        let designed = wide(WIDTH, given);
        let least = (SHRINKAGE * designed).max(NARROWEST);
        let columns = (1..=given)
            .rev()
            .find(|columns| wide(self.page.width(), *columns) >= least)
            .unwrap_or(1);
        let shrunk = (wide(self.page.width(), columns) / designed).min(1.0);
        let height = match self.fixed_rows || self.page == Page::Screen {
            true => self.row_height,
            false => (shrunk * self.row_height).max(LOWEST.min(self.row_height)),
        };
        (columns, height)
    }

    /// Panels in their cells; those of a column share left and right ends of their axes, those of a row top and bottom.
    fn draw_panels(&self, sheet: &mut Sheet, area: Frame, columns: usize, row_height: f64) {
        let panels: Vec<Cow<Panel>> = self
            .panels
            .iter()
            .enumerate()
            .map(|(i, panel)| panel.beside_another(i % columns > 0))
            .collect();
        let room = area.width() - (columns - 1) as f64 * BETWEEN;
        let shares = match self.shares.len() == columns {
            true => self.shares.clone(),
            false => vec![1.0; columns],
        };
        let total: f64 = shares.iter().sum();
        let widths: Vec<f64> = shares.iter().map(|share| room * share / total).collect();
        let lefts: Vec<f64> = (0..columns)
            .map(|column| area.left + widths[..column].iter().sum::<f64>() + column as f64 * BETWEEN)
            .collect();
        let insets: Vec<Insets> = panels
            .iter()
            .enumerate()
            .map(|(i, panel)| panel.insets(widths[i % columns], row_height))
            .collect();
        let sides: Vec<(f64, f64)> = (0..columns)
            .map(|column| insets.iter().skip(column).step_by(columns))
            .map(|same| {
                same.fold((0.0, 0.0), |(left, right): (f64, f64), i| {
                    (left.max(i.left), right.max(i.right))
                })
            })
            .collect();
        for (row, panels) in panels.chunks(columns).enumerate() {
            let top = area.top + row as f64 * (row_height + BETWEEN);
            let insets = &insets[row * columns..row * columns + panels.len()];
            let bottom = top + row_height - insets.iter().map(|inset| inset.bottom).fold(0.0, f64::max);
            let headroom = |(column, panel): (usize, &Cow<Panel>)| panel.headroom(widths[column] - sides[column].0);
            let axes_top = top + panels.iter().enumerate().map(headroom).fold(0.0, f64::max);
            for (column, panel) in panels.iter().enumerate() {
                let (left, (inset_left, inset_right)) = (lefts[column], sides[column]);
                let outer = Frame {
                    left,
                    top,
                    right: left + widths[column],
                    bottom: top + row_height,
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
        let at = (self.page.margin() + 0.9 * LABEL, middle.1);
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

/// Temporary files are private to their owner, but figures must be readable by others.
#[cfg(unix)]
fn share(file: &std::fs::File) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn share(_: &std::fs::File) -> std::io::Result<()> {
    Ok(())
}
