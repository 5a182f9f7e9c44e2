//! One table of a model file, read key by key: knows where it stands, refuses what it does not know.

use std::borrow::Cow;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::model::error::{ModelError, Place, Places, nearest};

type Value<'i> = Spanned<DeValue<'i>>;

/// The text being read and its name.
#[derive(Clone, Copy)]
pub(super) struct Document<'d> {
    pub file: &'d str,
    pub text: &'d str,
}

impl Document<'_> {
    /// `offset` in bytes from the start of the text.
    pub fn place(&self, offset: usize, key: String) -> Box<Place> {
        let before = self.text.as_bytes().iter().take(offset);
        let line = 1 + before.filter(|byte| **byte == b'\n').count();
        Box::new(Place { file: self.file.to_owned(), line, key })
    }
}

/// A table whose keys are all known.
pub(super) struct Section<'d> {
    document: Document<'d>,
    table: &'d DeTable<'d>,
    /// Byte offset of the table itself, for keys that are missing.
    offset: usize,
    path: Cow<'d, str>,
}

impl<'d> Section<'d> {
    pub fn new(document: Document<'d>, table: &'d DeTable<'d>, offset: usize, path: impl Into<Cow<'d, str>>) -> Self {
        Self { document, table, offset, path: path.into() }
    }

    /// A table value.
    pub fn of_value(
        document: Document<'d>,
        value: &'d Value<'d>,
        path: impl Into<Cow<'d, str>>,
    ) -> Result<Self, ModelError> {
        let path = path.into();
        match value.get_ref() {
            DeValue::Table(table) => Ok(Self::new(document, table, value.span().start, path)),
            other => Err(ModelError::WrongType {
                place: document.place(value.span().start, path.into_owned()),
                got: described(other),
                wanted: "a table",
            }),
        }
    }

    /// Refuses any key not in `allowed`, naming the nearest that is.
    pub fn only(&self, allowed: &[&str]) -> Result<(), ModelError> {
        let mut unknown: Vec<_> = self.table.keys().filter(|key| !allowed.contains(&key.get_ref().as_ref())).collect();
        unknown.sort_by_key(|key| key.span().start);
        match unknown.first() {
            None => Ok(()),
            Some(key) => Err(ModelError::UnknownKey {
                place: self.document.place(key.span().start, self.key(key.get_ref())),
                nearest: nearest(key.get_ref(), allowed.iter().copied()),
                allowed: allowed.iter().map(|key| (*key).to_owned()).collect(),
            }),
        }
    }

    pub fn path(&self) -> &str {
        &self.path
    }

    /// Names the section after its id once that is known.
    pub fn rename(&mut self, path: String) {
        self.path = path.into();
    }

    /// Keys in the order of the file.
    pub fn keys(&self) -> Vec<&'d str> {
        let mut keys: Vec<_> = self.table.keys().collect();
        keys.sort_by_key(|key| key.span().start);
        keys.into_iter().map(|key| key.get_ref().as_ref()).collect()
    }

    fn key(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Where the section and its keys stand, for errors that are found later.
    pub fn places(&self) -> Places {
        let own = *self.document.place(self.offset, self.path.clone().into_owned());
        let line = |key: &str| (key.to_owned(), self.place(key).line);
        Places { own, lines: self.keys().into_iter().map(line).collect() }
    }

    /// Where `key` stands, or the section where it is missing.
    pub fn place(&self, key: &str) -> Box<Place> {
        let offset = self.table.get_key_value(key).map_or(self.offset, |(key, _)| key.span().start);
        self.document.place(offset, self.key(key))
    }

    pub fn get(&self, key: &str) -> Option<&'d Value<'d>> {
        self.table.get(key)
    }

    pub fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    pub fn missing(&self, key: &str, remedy: &str) -> ModelError {
        ModelError::MissingKey { place: self.place(key), remedy: remedy.to_owned() }
    }

    pub fn value_error(&self, key: &str, problem: impl Into<String>, remedy: impl Into<String>) -> ModelError {
        ModelError::Value { place: self.place(key), problem: problem.into(), remedy: remedy.into() }
    }

    pub fn wrong_type(&self, key: &str, got: &DeValue, wanted: &'static str) -> ModelError {
        ModelError::WrongType { place: self.place(key), got: described(got), wanted }
    }

    pub fn text(&self, key: &str) -> Result<Option<&'d str>, ModelError> {
        match self.get(key).map(Spanned::get_ref) {
            None => Ok(None),
            Some(DeValue::String(text)) if text.trim().is_empty() => {
                Err(self.value_error(key, "empty", "give it a value or drop the key"))
            }
            Some(DeValue::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.wrong_type(key, other, "a string")),
        }
    }

    pub fn required_text(&self, key: &str, remedy: &str) -> Result<&'d str, ModelError> {
        self.text(key)?.ok_or_else(|| self.missing(key, remedy))
    }

    /// A finite number.
    pub fn number(&self, key: &str) -> Result<Option<f64>, ModelError> {
        self.get(key).map(|value| self.finite(key, value)).transpose()
    }

    pub fn required_number(&self, key: &str, remedy: &str) -> Result<f64, ModelError> {
        self.number(key)?.ok_or_else(|| self.missing(key, remedy))
    }

    /// A finite number above zero.
    pub fn positive(&self, key: &str) -> Result<Option<f64>, ModelError> {
        match self.number(key)? {
            Some(number) if number <= 0.0 => {
                Err(self.value_error(key, format!("{number} is not above zero"), "give a number above zero"))
            }
            other => Ok(other),
        }
    }

    pub fn required_positive(&self, key: &str, remedy: &str) -> Result<f64, ModelError> {
        self.positive(key)?.ok_or_else(|| self.missing(key, remedy))
    }

    pub fn boolean(&self, key: &str) -> Result<Option<bool>, ModelError> {
        match self.get(key).map(Spanned::get_ref) {
            None => Ok(None),
            Some(DeValue::Boolean(truth)) => Ok(Some(*truth)),
            Some(other) => Err(self.wrong_type(key, other, "true or false")),
        }
    }

    /// Elements of an array; nothing where the key is missing.
    pub fn array(&self, key: &str, wanted: &'static str) -> Result<Vec<&'d Value<'d>>, ModelError> {
        match self.get(key).map(Spanned::get_ref) {
            None => Ok(Vec::new()),
            Some(DeValue::Array(items)) => Ok(items.iter().collect()),
            Some(other) => Err(self.wrong_type(key, other, wanted)),
        }
    }

    pub fn texts(&self, key: &str) -> Result<Vec<&'d str>, ModelError> {
        let wanted = "an array of strings";
        let text = |value: &'d Value<'d>| match value.get_ref() {
            DeValue::String(text) if !text.trim().is_empty() => Ok(text.as_ref()),
            other => Err(self.wrong_type(key, other, wanted)),
        };
        self.array(key, wanted)?.into_iter().map(text).collect()
    }

    pub fn numbers(&self, key: &str) -> Result<Vec<f64>, ModelError> {
        self.array(key, "an array of numbers")?.into_iter().map(|value| self.finite(key, value)).collect()
    }

    /// Exactly two finite numbers.
    pub fn two_numbers(&self, key: &str, remedy: &str) -> Result<[f64; 2], ModelError> {
        match (self.has(key), self.numbers(key)?.as_slice()) {
            (false, _) => Err(self.missing(key, remedy)),
            (true, [a, b]) => Ok([*a, *b]),
            (true, other) => Err(self.value_error(key, format!("{} numbers instead of two", other.len()), remedy)),
        }
    }

    /// Arrays of numbers in an array.
    pub fn number_rows(&self, key: &str) -> Result<Vec<Vec<f64>>, ModelError> {
        let wanted = "an array of arrays of numbers";
        let row = |value: &'d Value<'d>| match value.get_ref() {
            DeValue::Array(items) => items.iter().map(|item| self.finite(key, item)).collect(),
            other => Err(self.wrong_type(key, other, wanted)),
        };
        self.array(key, wanted)?.into_iter().map(row).collect()
    }

    /// Tables of an array, named `<path><name>[i]`.
    pub fn sections(&self, key: &str) -> Result<Vec<Section<'d>>, ModelError> {
        let open = |(index, value)| Section::of_value(self.document, value, format!("{}[{index}]", self.key(key)));
        self.array(key, "an array of tables")?.into_iter().enumerate().map(open).collect()
    }

    pub fn section(&self, key: &str) -> Result<Option<Section<'d>>, ModelError> {
        self.get(key).map(|value| Section::of_value(self.document, value, self.key(key))).transpose()
    }

    fn finite(&self, key: &str, value: &Value) -> Result<f64, ModelError> {
        match number_of(value.get_ref()) {
            Some(number) if number.is_finite() => Ok(number),
            Some(number) => Err(self.value_error(key, format!("{number} is not finite"), "give a finite number")),
            None => Err(self.wrong_type(key, value.get_ref(), "a number")),
        }
    }
}

/// The number that a value holds.
pub(super) fn number_of(value: &DeValue) -> Option<f64> {
    match value {
        DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix()).ok().map(|n| n as f64),
        DeValue::Float(float) => float.as_str().parse().ok(),
        _ => None,
    }
}

/// What a value is, for messages.
pub(super) fn described(value: &DeValue) -> String {
    match value {
        DeValue::String(text) => format!("the string {text:?}"),
        DeValue::Integer(integer) => format!("the integer {integer}"),
        DeValue::Float(float) => format!("the number {float}"),
        DeValue::Boolean(truth) => format!("{truth}"),
        DeValue::Datetime(date) => format!("the date {date}"),
        DeValue::Array(_) => "an array".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}
