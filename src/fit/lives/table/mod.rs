//! A table as people keep it: a header and rows, in CSV, xlsx or Parquet, told apart by their first bytes.
//!
//! The header is known at once ([`Source::open`]); only the columns that are wanted become cells ([`Source::cells`]).
//! A row keeps the number by which its reader knows it: the line of a text file, the row of a sheet.

mod parquet;
mod text;
mod xlsx;

use std::io::Read;
use std::path::{Path, PathBuf};

use super::error::LivesError;
use crate::fleet::manifest::{ManifestInput, ReadBy};

/// Files beyond this are no table that a person keeps.
const LARGEST_BYTES: u64 = 1 << 30;

/// One cell.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    Empty,
    Number(f64),
    Text(Box<str>),
}

impl Cell {
    /// The cell of a text; surrounding space does not count.
    pub fn of_text(text: &str) -> Self {
        let text = text.trim_matches(|letter: char| letter.is_whitespace() || letter == '\u{feff}');
        if text.is_empty() { Self::Empty } else { Self::Text(text.into()) }
    }

    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Empty)
    }

    /// As a person would write it.
    pub fn shown(&self) -> String {
        match self {
            Self::Empty => String::new(),
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text.to_string(),
        }
    }
}

/// An opened file.
#[derive(Debug)]
pub struct Source {
    pub path: PathBuf,
    pub bytes: u64,
    pub blake3: String,
    /// The header, in the file's order.
    pub columns: Vec<String>,
    /// What a row's number counts: "line" or "row".
    pub row_word: &'static str,
    /// Whether a comma in a number is its decimal sign.
    pub decimal_comma: bool,
    content: Content,
}

#[derive(Debug)]
enum Content {
    /// Text decoded to UTF-8, and its delimiter.
    Text(String, u8),
    /// Rows below the header, with their numbers.
    Sheet(Vec<(u64, Vec<Cell>)>),
    Parquet(bytes::Bytes),
}

/// Wanted columns, row by row.
#[derive(Debug)]
pub struct Rows {
    /// The reader's number of each row.
    pub numbers: Vec<u64>,
    /// By wanted column, then by row.
    pub cells: Vec<Vec<Cell>>,
}

impl Rows {
    fn new(columns: usize) -> Self {
        Self { numbers: Vec::new(), cells: vec![Vec::new(); columns] }
    }
}

impl Source {
    /// What a manifest says of the file.
    pub fn manifest_input(&self, rows: u64) -> ManifestInput {
        ManifestInput {
            table: "lifetimes".to_owned(),
            path: self.path.to_string_lossy().into_owned(),
            bytes: self.bytes,
            rows,
            blake3: self.blake3.clone(),
            read: ReadBy::ThisRun,
        }
    }

    /// Reads a file and its header. `sheet` names a sheet of a workbook; the first is taken otherwise.
    pub fn open(path: &Path, sheet: Option<&str>) -> Result<Self, LivesError> {
        let io = |source| LivesError::Io { file: path.to_path_buf(), source };
        let mut file = std::fs::File::open(path).map_err(io)?;
        let bytes = file.metadata().map_err(io)?.len();
        if bytes > LARGEST_BYTES {
            return Err(LivesError::TooLarge { file: path.to_path_buf(), bytes, limit: LARGEST_BYTES });
        }
        let mut content = Vec::new();
        file.read_to_end(&mut content).map_err(io)?;
        let blake3 = blake3::hash(&content).to_hex().to_string();
        let is_workbook = content.starts_with(b"PK\x03\x04");
        if sheet.is_some() && !is_workbook {
            return Err(LivesError::Option { option: "--sheet", problem: format!("{path:?} is no xlsx workbook") });
        }
        let mut source = Self {
            path: path.to_path_buf(),
            bytes: content.len() as u64,
            blake3,
            columns: Vec::new(),
            row_word: "row",
            decimal_comma: false,
            content: Content::Sheet(Vec::new()),
        };
        if is_workbook {
            (source.columns, source.content) = xlsx::open(path, content, sheet)?;
        } else if content.starts_with(b"PAR1") {
            (source.columns, source.content) = parquet::open(path, content)?;
        } else {
            let (columns, text, delimiter) = text::open(path, &content)?;
            source.columns = columns;
            source.content = Content::Text(text, delimiter);
            source.row_word = "line";
            source.decimal_comma = delimiter == b';';
        }
        if source.columns.iter().all(String::is_empty) {
            return Err(source.unreadable("it has no header: its first row must name the columns"));
        }
        Ok(source)
    }

    /// The cells of these columns of the header, in this order. Rows without any cell are passed over.
    pub fn cells(&self, wanted: &[usize]) -> Result<Rows, LivesError> {
        match &self.content {
            Content::Text(text, delimiter) => text::cells(self, text, *delimiter, wanted),
            Content::Sheet(rows) => Ok(xlsx::cells(rows, wanted)),
            Content::Parquet(bytes) => parquet::cells(self, bytes, wanted),
        }
    }

    /// A cell as a number, if it is one.
    pub fn number(&self, cell: &Cell) -> Option<f64> {
        match cell {
            Cell::Number(number) => Some(*number),
            Cell::Empty => None,
            Cell::Text(text) => {
                let number = match text.parse::<f64>() {
                    Ok(number) => Some(number),
                    // "12,5" of a European export.
                    Err(_) if self.decimal_comma && text.matches(',').count() == 1 && !text.contains('.') => {
                        text.replace(',', ".").parse::<f64>().ok()
                    }
                    // "12,500" in quotes.
                    Err(_) if !self.decimal_comma && has_thousands(text) => text.replace(',', "").parse::<f64>().ok(),
                    Err(_) => None,
                };
                number.filter(|number| number.is_finite())
            }
        }
    }

    pub(super) fn unreadable(&self, problem: impl Into<String>) -> LivesError {
        LivesError::Unreadable { file: self.path.clone(), problem: problem.into() }
    }

    pub(super) fn cell_error(&self, row: u64, column: usize, problem: String) -> LivesError {
        LivesError::Cell {
            file: self.path.clone(),
            row_word: self.row_word,
            row,
            column: self.columns.get(column).cloned().unwrap_or_default(),
            problem,
        }
    }

    /// The header as a list for messages.
    pub fn known(&self) -> String {
        let shown: Vec<String> = self.columns.iter().take(30).map(|name| format!("{name:?}")).collect();
        let more = self.columns.len().saturating_sub(shown.len());
        if more > 0 { format!("{} and {more} more", shown.join(", ")) } else { shown.join(", ") }
    }
}

/// Whether commas stand where thousands end, and nowhere else: "1,234,567.5".
fn has_thousands(text: &str) -> bool {
    let whole = text.split_once('.').map_or(text, |(whole, _)| whole);
    let mut parts = whole.split(',');
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let first = parts.next().unwrap_or_default();
    (1..=3).contains(&first.len())
        && digits(first)
        && whole.contains(',')
        && parts.all(|part| part.len() == 3 && digits(part))
}
