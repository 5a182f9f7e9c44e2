//! Text tables: columns line up by display width, so Chinese headings do too; numbers stand right.

use unicode_width::UnicodeWidthStr;

use super::console::shown;

/// A table under construction: rows of cells under headings.
pub struct Table {
    headings: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new(headings: &[&str]) -> Self {
        Self { headings: headings.iter().map(|&heading| heading.to_owned()).collect(), rows: Vec::new() }
    }

    /// Adds a row; cells missing at its end are empty. Line ends inside a cell are escaped like other controls.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|cell| shown(&cell).replace('\n', "\\n")).collect());
    }

    /// Its rows alone.
    pub fn lines(&self) -> String {
        self.text().split_once('\n').map(|(_, rows)| rows.to_owned()).unwrap_or_default()
    }

    /// The table as lines.
    pub fn text(&self) -> String {
        let columns = self.headings.len();
        let cell = |row: &'_ [String], column: usize| row.get(column).cloned().unwrap_or_default();
        let layout: Vec<(usize, bool)> = (0..columns)
            .map(|column| {
                let cells = || self.rows.iter().map(|row| cell(row, column));
                let width = cells().map(|text| text.width()).max().unwrap_or(0).max(self.headings[column].width());
                let mut filled = cells().filter(|text| !text.is_empty()).peekable();
                (width, filled.peek().is_some() && filled.all(|text| is_number(&text)))
            })
            .collect();
        let mut text = String::new();
        for row in std::iter::once(&self.headings).chain(&self.rows) {
            let mut line = String::new();
            for (column, &(width, right)) in layout.iter().enumerate() {
                let content = cell(row, column);
                let padding = " ".repeat(width.saturating_sub(content.width()));
                let separator = if column == 0 { "" } else { "  " };
                if right {
                    line.extend([separator, &padding, &content]);
                } else {
                    line.extend([separator, &content, &padding]);
                }
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// A number, perhaps with a sign or a factor before it and a unit behind: counts, times, shares, ratios.
fn is_number(text: &str) -> bool {
    // A number that there is not.
    if text == "–" {
        return true;
    }
    let text = text.trim_start_matches(['×', '<', '≥', ' ']);
    text.split(' ').next().is_some_and(|number| number.replace(',', "").parse::<f64>().is_ok())
}

/// A whole number with its thousands apart: `7_855` as "7,855".
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A time span in a unit that fits it.
pub fn seconds(seconds: f64) -> String {
    if seconds >= 1.0 { format!("{seconds:.2} s") } else { format!("{:.1} ms", seconds * 1e3) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_by_display_width() {
        let mut table = Table::new(&["车辆", "rows"]);
        table.row(["V1".into(), count(1_234_567)]);
        table.row(["a\nb".into(), count(5)]);
        // A vehicle's id that begins with digits is no number.
        assert!(!is_number("0FW000915LB200298") && is_number("1.5 ×") && is_number("-40.1") && is_number("12 MiB"));
        assert_eq!(table.text(), "车辆       rows\nV1    1,234,567\na\\nb          5\n");
    }

    #[test]
    fn thousands() {
        assert_eq!([0, 999, 1000, 100_000].map(count), ["0", "999", "1,000", "100,000"]);
    }
}
