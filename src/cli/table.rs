//! Aligned columns of text that fit the terminal.
//!
//! On a terminal a table is never wider than the terminal: long cells are wrapped at words, and columns that fit in no
//! way beside each other are set below each other, with the first column repeated. Where the output is piped, each row
//! is one line and everything except the texts themselves is ASCII, so that other programs can read it.

use super::number::{align_decimals, is_number};
use super::screen::Screen;
use unicode_width::UnicodeWidthStr;

/// Blanks between columns.
const GAP: usize = 2;

/// A rule where the output is piped, and so has no width, is no longer than this.
const LONGEST_RULE: usize = 100;

/// A column of prose is at least this wide, unless all of its words are shorter.
const NARROWEST_PROSE: usize = 16;

/// A table for the terminal: the first column and texts to the left, numbers to the right. The numbers of a column have
/// the same number of decimals.
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

/// A column that is being laid out.
struct Column {
    /// Its cells, the heading first.
    cells: Vec<String>,
    /// Whether it is set to the right and its cells are never wrapped.
    is_numeric: bool,
    /// The columns of the terminal that it takes.
    width: usize,
    /// The fewest that it can take.
    least: usize,
}

impl Table {
    /// A table with these headings.
    pub(super) fn new(headings: &[&str]) -> Self {
        Self {
            rows: vec![headings.iter().map(|heading| (*heading).to_owned()).collect()],
        }
    }

    /// Adds a row.
    pub(super) fn row(&mut self, cells: &[String]) {
        self.rows.push(cells.to_vec());
    }

    /// The table as standard output can show it, with a rule under the headings.
    pub(super) fn render(&self) -> String {
        self.render_on(&Screen::stdout())
    }

    /// The table as `screen` can show it.
    pub(super) fn render_on(&self, screen: &Screen) -> String {
        let column = |j: usize| {
            let cells = self.rows.iter().map(|row| row.get(j).cloned().unwrap_or_default());
            Column::new(cells.collect(), j == 0, screen)
        };
        let columns: Vec<Column> = (0..self.rows[0].len()).map(column).collect();
        let mut columns = columns.into_iter();
        let Some(first) = columns.next() else {
            return String::new();
        };
        // The columns beside each other, as many as fit.
        let mut blocks: Vec<Vec<Column>> = vec![Vec::new()];
        let mut used = first.least;
        for column in columns {
            let block = blocks.last_mut().expect("one block at least");
            if screen.width.is_some_and(|width| used + GAP + column.least > width) && !block.is_empty() {
                used = first.least + GAP + column.least;
                blocks.push(vec![column]);
            } else {
                used += GAP + column.least;
                block.push(column);
            }
        }
        let texts = blocks.into_iter().map(|block| {
            let mut columns = vec![first.copied()];
            columns.extend(block);
            fit(&mut columns, screen.width);
            block_text(&columns, screen)
        });
        texts.collect::<Vec<_>>().join("\n")
    }
}

impl Column {
    fn new(mut cells: Vec<String>, is_first: bool, screen: &Screen) -> Self {
        let is_numeric = !is_first && cells[1..].iter().all(|cell| is_number(cell));
        if is_numeric {
            align_decimals(&mut cells[1..]);
        }
        if !screen.is_terminal {
            for cell in cells.iter_mut().filter(|cell| *cell == "–") {
                "-".clone_into(cell);
            }
        }
        let width = cells.iter().map(|cell| cell.width()).max().unwrap_or(0);
        let longest_word = |cell: &String| cell.split(' ').map(UnicodeWidthStr::width).max().unwrap_or(0);
        let words = cells.iter().map(longest_word).max().unwrap_or(0);
        let least = if is_numeric {
            let whole = cells[1..].iter().map(|cell| cell.width()).max().unwrap_or(0);
            whole.max(longest_word(&cells[0]))
        } else {
            // Names are broken only where one of them takes half of the width.
            let half = screen.width.map_or(usize::MAX, |width| width / 2);
            words.min(if is_first {
                half
            } else {
                NARROWEST_PROSE.max(longest_word(&cells[0]))
            })
        };
        Self {
            cells,
            is_numeric,
            width,
            least,
        }
    }

    fn copied(&self) -> Self {
        Self {
            cells: self.cells.clone(),
            ..*self
        }
    }
}

/// Makes the widest columns narrower until all fit.
fn fit(columns: &mut [Column], width: Option<usize>) {
    let Some(width) = width else { return };
    let gaps = GAP * (columns.len() - 1);
    while columns.iter().map(|column| column.width).sum::<usize>() + gaps > width {
        let shrinkable = columns.iter_mut().filter(|column| column.width > column.least.max(1));
        let Some(widest) = shrinkable.max_by_key(|column| column.width) else {
            // Not even the narrowest form fits: words are broken.
            if let Some(widest) = columns
                .iter_mut()
                .filter(|column| column.width > 1)
                .max_by_key(|column| column.width)
            {
                widest.width -= 1;
                continue;
            }
            return;
        };
        widest.width -= 1;
    }
}

fn block_text(columns: &[Column], screen: &Screen) -> String {
    let mut text = String::new();
    let full = columns.iter().map(|column| column.width).sum::<usize>() + GAP * (columns.len() - 1);
    let rule = if screen.is_terminal { "─" } else { "-" };
    let wrapped = |i: usize| {
        let cells = columns.iter().map(|column| wrap(&column.cells[i], column.width));
        cells.collect::<Vec<_>>()
    };
    let rows: Vec<Vec<Vec<String>>> = (0..columns[0].cells.len()).map(wrapped).collect();
    for (i, cells) in rows.iter().enumerate() {
        let height = cells.iter().map(Vec::len).max().unwrap_or(1);
        for line in 0..height {
            let parts = columns.iter().zip(cells).map(|(column, cell)| {
                let part = cell.get(line).map_or("", String::as_str);
                let space = " ".repeat(column.width.saturating_sub(part.width()));
                if column.is_numeric {
                    format!("{space}{part}")
                } else {
                    format!("{part}{space}")
                }
            });
            let line = parts.collect::<Vec<_>>().join(&" ".repeat(GAP));
            text.push_str(line.trim_end());
            text.push('\n');
        }
        if i == 0 {
            text.push_str(&rule.repeat(full.min(screen.width.unwrap_or(LONGEST_RULE))));
            text.push('\n');
        }
    }
    text
}

/// The lines of `text` at most `width` columns wide, at least one. They are broken at blanks, and inside words only
/// where a word is wider, then after a slash, hyphen or underscore where there is one.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("one line at least");
        let gap = usize::from(!line.is_empty());
        if line.width() + gap + word.width() <= width {
            if gap == 1 {
                line.push(' ');
            }
            line.push_str(word);
            continue;
        }
        if !line.is_empty() {
            lines.push(String::new());
        }
        for letter in word.chars() {
            let line = lines.last_mut().expect("one line at least");
            let mut longer = line.clone();
            longer.push(letter);
            if longer.width() <= width || line.is_empty() {
                *line = longer;
                continue;
            }
            let joint = line.rfind(['/', '-', '_']).map_or(line.len(), |joint| joint + 1);
            let mut rest = line.split_off(joint);
            rest.push(letter);
            lines.push(rest);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::number::number;

    fn screen(width: Option<usize>) -> Screen {
        Screen {
            width,
            is_terminal: width.is_some(),
            colour: false,
            can_redraw: false,
        }
    }

    fn comparison() -> Table {
        let mut table = Table::new(&[
            "variant",
            "seeds",
            "mean",
            "95 % interval",
            "trimmed mean",
            "95 % interval",
        ]);
        for (name, mean) in [
            ("a mixture of eight components with tied covariances", -2.574),
            ("b", 8.93e-3),
        ] {
            let interval = format!("[{}, {}]", number(mean - 0.1), number(mean + 0.1));
            table.row(&[
                name.into(),
                "10/10".into(),
                number(mean),
                interval.clone(),
                number(mean),
                interval,
            ]);
        }
        table
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let mut prose = Table::new(&["name", "summary"]);
        prose.row(&[
            "train/akaike_information_criterion".into(),
            "2 m − 2 Σ_i w_i log p_θ(x_i) ".repeat(12),
        ]);
        for width in [20, 40, 60, 80, 100, 200] {
            for table in [&comparison(), &prose] {
                let text = table.render_on(&screen(Some(width)));
                let widest = text.lines().map(UnicodeWidthStr::width).max();
                assert!(widest <= Some(width), "{width}:\n{text}");
                assert!(text.contains("──"), "{text}");
            }
        }
    }

    #[test]
    fn columns_that_do_not_fit_beside_each_other_come_below() {
        let text = comparison().render_on(&screen(Some(50)));
        assert!(text.contains("\n\n"), "{text}");
        assert_eq!(
            text.matches("a mixture of").count(),
            2,
            "the first column is repeated: {text}"
        );
        for number in ["-2.5740", "0.0089", "[-2.6740, -2.4740]"] {
            assert!(text.contains(number), "numbers are never broken: {text}");
        }
    }

    #[test]
    fn a_piped_table_has_one_ascii_line_per_row() {
        let mut table = comparison();
        table.row(&[
            "c".into(),
            "0/10".into(),
            "–".into(),
            "–".into(),
            "–".into(),
            "–".into(),
        ]);
        let text = table.render_on(&screen(None));
        assert_eq!(text.lines().count(), 5, "{text}");
        assert!(text.is_ascii(), "{text}");
    }

    #[test]
    fn words_are_broken_only_where_they_are_too_wide() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("a extraordinary b", 6), ["a", "extrao", "rdinar", "y b"]);
        assert_eq!(wrap("results/tree/seed-000", 14), ["results/tree/", "seed-000"]);
        assert_eq!(wrap("", 5), [""]);
    }
}
