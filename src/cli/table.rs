//! Aligned columns of text.

/// A table for the terminal: the first column and texts to the left, numbers to the right.
pub(super) struct Table {
    rows: Vec<Vec<String>>,
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

    /// The table, a line per row, with a rule under the headings.
    pub(super) fn render(&self) -> String {
        let columns = self.rows[0].len();
        let width = |j: usize| self.rows.iter().map(|row| row[j].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let is_number =
            |cell: &str| cell.is_empty() || cell.starts_with(|c: char| c.is_ascii_digit() || "−-±+[–".contains(c));
        let numeric: Vec<bool> = (0..columns)
            .map(|j| self.rows[1..].iter().all(|row| is_number(&row[j])))
            .collect();
        let mut text = String::new();
        for (i, row) in self.rows.iter().enumerate() {
            let cells = row.iter().enumerate().map(|(j, cell)| {
                let space = " ".repeat(widths[j] - cell.chars().count());
                if numeric[j] && j > 0 {
                    format!("{space}{cell}")
                } else {
                    format!("{cell}{space}")
                }
            });
            let line = cells.collect::<Vec<_>>().join("  ");
            text.push_str(line.trim_end());
            text.push('\n');
            if i == 0 {
                text.push_str(&"─".repeat(widths.iter().sum::<usize>() + 2 * (columns - 1)));
                text.push('\n');
            }
        }
        text
    }
}

/// A number with enough digits to compare, and a true minus sign.
pub(super) fn number(value: f64) -> String {
    let digits = match value.abs() {
        v if v >= 1e9 => return format!("{value:.4e}").replace('-', "−"),
        v if v >= 1e6 => 0,
        v if v >= 1e5 => 2,
        v if v >= 0.01 || v == 0.0 => 4,
        _ => return format!("{value:.2e}").replace('-', "−"),
    };
    format!("{value:.digits$}").replace('-', "−")
}
