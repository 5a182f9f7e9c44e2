//! Workbooks: one sheet's cells, read as they come, so that a stray cell far out costs nothing.

use std::io::Cursor;
use std::path::Path;

use calamine::{DataRef, Reader, Xlsx};

use super::{Cell, Content, Rows};
use crate::fit::lives::error::LivesError;
use crate::fleet::error::nearest;
use crate::fleet::guard::guarded;

/// Columns beyond this are a slip of somebody's hand.
const MOST_COLUMNS: u32 = 1 << 10;

/// The header and the rows below it: the first row with any cell names the columns.
pub(super) fn open(path: &Path, bytes: Vec<u8>, sheet: Option<&str>) -> Result<(Vec<String>, Content), LivesError> {
    let unreadable = |problem: String| LivesError::Unreadable { file: path.to_path_buf(), problem };
    let mut rows = guarded(|| sheet_rows(bytes, sheet)).map_err(unreadable)?.map_err(unreadable)?;
    if rows.is_empty() {
        return Err(unreadable("the sheet is empty".to_owned()));
    }
    let (_, header) = rows.remove(0);
    let columns = header.iter().map(Cell::shown).collect();
    Ok((columns, Content::Sheet(rows)))
}

pub(super) fn cells(sheet: &[(u64, Vec<Cell>)], wanted: &[usize]) -> Rows {
    let mut rows = Rows::new(wanted.len());
    for (number, cells) in sheet.iter().filter(|(_, cells)| cells.iter().any(|cell| !cell.is_empty())) {
        rows.numbers.push(*number);
        for (column, &at) in rows.cells.iter_mut().zip(wanted) {
            column.push(cells.get(at).cloned().unwrap_or(Cell::Empty));
        }
    }
    rows
}

fn sheet_rows(bytes: Vec<u8>, sheet: Option<&str>) -> Result<Vec<(u64, Vec<Cell>)>, String> {
    let mut book: Xlsx<_> = Xlsx::new(Cursor::new(bytes)).map_err(|error| format!("no xlsx workbook: {error}"))?;
    let names = book.sheet_names();
    let name = match sheet {
        None => names.first().ok_or("the workbook has no sheet")?,
        Some(wanted) => names.iter().find(|name| *name == wanted).ok_or_else(|| {
            let like = nearest(wanted, names.iter().map(String::as_str));
            let like = like.map(|name| format!("; did you mean {name:?}?")).unwrap_or_default();
            format!("no sheet {wanted:?} among {names:?}{like}")
        })?,
    };
    let mut reader = book.worksheet_cells_reader(name).map_err(|error| error.to_string())?;
    let mut rows: Vec<(u64, Vec<Cell>)> = Vec::new();
    while let Some(found) = reader.next_cell().map_err(|error| error.to_string())? {
        let (row, column) = found.get_position();
        let cell = match found.get_value() {
            DataRef::Empty => continue,
            DataRef::Int(number) => Cell::Number(*number as f64),
            DataRef::Float(number) if number.is_finite() => Cell::Number(*number),
            DataRef::Float(_) => continue,
            DataRef::Bool(yes) => Cell::Number(f64::from(u8::from(*yes))),
            DataRef::String(text) => Cell::of_text(text),
            DataRef::SharedString(text) => Cell::of_text(text),
            DataRef::DateTime(date) => Cell::of_text(&day(date)),
            DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => Cell::of_text(text),
            DataRef::Error(error) => Cell::of_text(&error.to_string()),
        };
        if cell.is_empty() {
            continue;
        }
        if column >= MOST_COLUMNS {
            return Err(format!("row {}: a cell in column {}; {MOST_COLUMNS} are read", row + 1, column + 1));
        }
        if rows.last().is_none_or(|(last, _)| *last != u64::from(row) + 1) {
            rows.push((u64::from(row) + 1, Vec::new()));
        }
        if let Some((_, cells)) = rows.last_mut() {
            cells.resize(cells.len().max(column as usize + 1), Cell::Empty);
            cells[column as usize] = cell;
        }
    }
    Ok(rows)
}

/// A date cell as ISO text.
fn day(date: &calamine::ExcelDateTime) -> String {
    let (year, month, day, hour, minute, second, _) = date.to_ymd_hms_milli();
    if date.is_duration() {
        return date.as_f64().to_string();
    }
    if (hour, minute, second) == (0, 0, 0) {
        return format!("{year:04}-{month:02}-{day:02}");
    }
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
}
