//! One table of a TOML file, read key by key: whatever nobody asked for is refused with its line and the nearest key
//! that would have been understood. Keys keep the order of the file by their byte positions.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{FleetError, nearest};

/// The file a section belongs to, for messages.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    pub file: &'a Path,
    pub text: &'a str,
}

impl Source<'_> {
    /// An error at a byte position.
    pub fn error(&self, at: usize, key: &str, problem: impl Into<String>, remedy: impl Into<String>) -> FleetError {
        let before = self.text.as_bytes().get(..at).unwrap_or(self.text.as_bytes());
        FleetError::Dictionary {
            file: self.file.to_path_buf(),
            line: 1 + before.iter().filter(|&&byte| byte == b'\n').count(),
            key: key.to_string(),
            problem: problem.into(),
            remedy: remedy.into(),
        }
    }
}

/// A table and the keys asked for so far.
pub struct Section<'a> {
    source: Source<'a>,
    /// Dotted name for messages; empty at the top.
    name: String,
    at: usize,
    entries: BTreeMap<&'a str, (usize, &'a Spanned<DeValue<'a>>)>,
    asked: RefCell<Vec<&'static str>>,
}

/// A value with its place.
#[derive(Clone, Copy)]
pub struct Entry<'a> {
    source: Source<'a>,
    value: &'a Spanned<DeValue<'a>>,
    pub at: usize,
}

impl<'a> Section<'a> {
    pub fn new(source: Source<'a>, name: impl Into<String>, at: usize, table: &'a DeTable<'a>) -> Self {
        let entries = table.iter().map(|(key, value)| (key.get_ref().as_ref(), (key.span().start, value))).collect();
        Self { source, name: name.into(), at, entries, asked: RefCell::default() }
    }

    pub fn at(&self) -> usize {
        self.at
    }

    /// The dotted name of a key of this section.
    pub fn dotted(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_string() } else { format!("{}.{key}", self.name) }
    }

    /// An error about a key of this section.
    pub fn error(&self, at: usize, key: &str, problem: impl Into<String>, remedy: impl Into<String>) -> FleetError {
        self.source.error(at, &self.dotted(key), problem, remedy)
    }

    pub fn get(&self, key: &'static str) -> Option<Entry<'a>> {
        self.asked.borrow_mut().push(key);
        self.entries.get(key).map(|&(at, value)| Entry { source: self.source, value, at })
    }

    /// All keys with their values, in the order of the file; for tables whose keys are names.
    pub fn named(&self) -> Vec<(&'a str, Entry<'a>)> {
        let entry = |value: &'a Spanned<DeValue<'a>>, at| Entry { source: self.source, value, at };
        let mut all: Vec<_> = self.entries.iter().map(|(&name, &(at, value))| (name, entry(value, at))).collect();
        all.sort_by_key(|(_, entry)| entry.at);
        all
    }

    pub fn text(&self, key: &'static str) -> Result<Option<String>, FleetError> {
        self.get(key).map(|entry| entry.text(&self.dotted(key))).transpose()
    }

    pub fn required_text(&self, key: &'static str, remedy: &str) -> Result<String, FleetError> {
        self.text(key)?.ok_or_else(|| match self.misspelt(key) {
            Some((typed, at)) => self.error(at, typed, "is not a known key", format!("did you mean `{key}`?")),
            None => self.error(self.at, key, "is missing", remedy),
        })
    }

    /// A key that is there and was probably meant to be `wanted`, which is not.
    fn misspelt(&self, wanted: &str) -> Option<(&'a str, usize)> {
        let asked = self.asked.borrow();
        let unasked = self.entries.iter().filter(|(typed, _)| !asked.contains(typed));
        unasked.filter(|(typed, _)| nearest(typed, [wanted]).is_some()).map(|(&typed, &(at, _))| (typed, at)).next()
    }

    pub fn number(&self, key: &'static str) -> Result<Option<f64>, FleetError> {
        self.get(key).map(|entry| entry.number(&self.dotted(key))).transpose()
    }

    pub fn numbers(&self, key: &'static str) -> Result<Option<Vec<f64>>, FleetError> {
        let Some(entry) = self.get(key) else { return Ok(None) };
        entry
            .list(&self.dotted(key))?
            .iter()
            .map(|one| one.number(&self.dotted(key)))
            .collect::<Result<_, _>>()
            .map(Some)
    }

    /// A list of texts; integers and booleans stand for themselves as text.
    pub fn texts(&self, key: &'static str) -> Result<Option<Vec<String>>, FleetError> {
        let Some(entry) = self.get(key) else { return Ok(None) };
        entry.list(&self.dotted(key))?.iter().map(|one| one.raw(&self.dotted(key))).collect::<Result<_, _>>().map(Some)
    }

    pub fn section(&self, key: &'static str) -> Result<Option<Section<'a>>, FleetError> {
        self.get(key).map(|entry| entry.section(&self.dotted(key))).transpose()
    }

    /// Refuses keys that nobody asked for. Called once everything known was asked for.
    pub fn finish(self) -> Result<(), FleetError> {
        let asked = self.asked.borrow();
        let unknown = self.entries.iter().filter(|(key, _)| !asked.contains(key)).min_by_key(|(_, (at, _))| *at);
        let Some((key, &(at, _))) = unknown else { return Ok(()) };
        let remedy = match nearest(key, asked.iter().copied()) {
            Some(known) => format!("did you mean `{known}`?"),
            None => format!("known here: {}", asked.join(", ")),
        };
        Err(self.error(at, key, "is not a known key", remedy))
    }
}

impl<'a> Entry<'a> {
    fn wrong(&self, key: &str, wanted: &str) -> FleetError {
        let got = match self.value.get_ref() {
            DeValue::String(_) => "a text",
            DeValue::Integer(_) | DeValue::Float(_) => "a number",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.source.error(self.at, key, format!("is {got}"), format!("write {wanted}"))
    }

    pub fn text(&self, key: &str) -> Result<String, FleetError> {
        match self.value.get_ref() {
            DeValue::String(text) => Ok(text.to_string()),
            _ => Err(self.wrong(key, "a text in quotes")),
        }
    }

    /// A text, or a number or boolean as text: a raw value of a column.
    fn raw(&self, key: &str) -> Result<String, FleetError> {
        match self.value.get_ref() {
            DeValue::String(text) => Ok(text.to_string()),
            DeValue::Integer(number) => Ok(number.to_string()),
            DeValue::Boolean(truth) => Ok(truth.to_string()),
            _ => Err(self.wrong(key, "texts, whole numbers or booleans")),
        }
    }

    pub fn number(&self, key: &str) -> Result<f64, FleetError> {
        let parsed = match self.value.get_ref() {
            DeValue::Integer(number) => {
                i64::from_str_radix(number.as_str(), number.radix()).ok().map(|number| number as f64)
            }
            DeValue::Float(number) => number.as_str().parse().ok(),
            _ => return Err(self.wrong(key, "a number")),
        };
        parsed.ok_or_else(|| self.source.error(self.at, key, "is not a number that fits", "write a plain number"))
    }

    pub fn list(&self, key: &str) -> Result<Vec<Entry<'a>>, FleetError> {
        match self.value.get_ref() {
            DeValue::Array(array) => Ok(array
                .iter()
                .map(|value| Entry { source: self.source, value, at: value.span().start.max(self.at) })
                .collect()),
            _ => Err(self.wrong(key, "a list in brackets")),
        }
    }

    pub fn section(&self, key: &str) -> Result<Section<'a>, FleetError> {
        match self.value.get_ref() {
            DeValue::Table(table) => Ok(Section::new(self.source, key, self.at, table)),
            _ => Err(self.wrong(key, "a table")),
        }
    }
}

/// Parses a document; a syntax error carries its line.
pub fn parse<'a>(source: Source<'a>) -> Result<(Range<usize>, DeTable<'a>), FleetError> {
    let table = DeTable::parse(source.text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        source.error(at, "TOML", error.message().to_string(), "mend the syntax")
    })?;
    Ok((table.span(), table.into_inner()))
}
