//! What can be wrong with a model, and where: every error names file, line, key and what to do.

use std::fmt;

/// A spot in a model file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The path as the user gave it, or `<shipped name>.toml`.
    pub file: String,
    /// 1-based.
    pub line: usize,
    /// Path of keys, e.g. `failure_mode.motor_noise.running.terms[0].curve`.
    pub key: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.key)
    }
}

/// Where a table of a model file and each of its keys stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    pub own: Place,
    /// (key, 1-based line).
    pub lines: Vec<(String, usize)>,
}

impl Places {
    /// Where a key of the table stands; the table itself if the key is not there.
    pub fn of(&self, key: &str) -> Place {
        let line = self.lines.iter().find(|(known, _)| known == key).map_or(self.own.line, |(_, line)| *line);
        Place { line, key: format!("{}.{key}", self.own.key), file: self.own.file.clone() }
    }
}

/// Why a model was refused.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    #[error("no shipped model and no file is called {name:?}: give the path of a model.toml or one of {}", shipped.join(", "))]
    UnknownModel { name: String, shipped: Vec<String> },
    #[error("{file}: cannot be read: {source}")]
    Unreadable { file: String, source: std::io::Error },
    #[error("{place}: not valid TOML: {message}")]
    Syntax { place: Box<Place>, message: String },
    #[error("{place}: unknown key{}; allowed here: {}", did_you_mean(nearest), allowed.join(", "))]
    UnknownKey { place: Box<Place>, nearest: Option<String>, allowed: Vec<String> },
    #[error("{place}: missing; {remedy}")]
    MissingKey { place: Box<Place>, remedy: String },
    #[error("{place}: got {got}, wanted {wanted}")]
    WrongType { place: Box<Place>, got: String, wanted: &'static str },
    #[error("{place}: {problem}; {remedy}")]
    Value { place: Box<Place>, problem: String, remedy: String },
    #[error(
        "{place}: the dataset has no channel {channel:?}{}; declare it under [channels.{channel}] in dataset.toml or change the model",
        did_you_mean(nearest)
    )]
    UnknownChannel { place: Box<Place>, channel: String, nearest: Option<String> },
    #[error(
        "{place}: the dataset has no attribute {attribute:?}{}; list it in attributes under [vehicles] in dataset.toml or change the model",
        did_you_mean(nearest)
    )]
    UnknownAttribute { place: Box<Place>, attribute: String, nearest: Option<String> },
    #[error(
        "{place}: the ratio at {at} is {ratio}, not a positive finite number; limit the values with floor and ceiling, or correct the curve"
    )]
    NotFinite { place: Box<Place>, at: String, ratio: f64 },
    #[error(
        "{place}: one record uses {lives_per_record} lives or more at the reference conditions, and must use less than one; correct characteristic_life or its unit"
    )]
    ReferenceRate { place: Box<Place>, lives_per_record: f64 },
    #[error(
        "{place}: the largest rates of its terms multiply to 2^{octaves:.1} lives a record, and must stay below 2^{limit}; limit the curves with floor and ceiling"
    )]
    TooFast { place: Box<Place>, octaves: f64, limit: u32 },
    #[error(
        "{place}: the smallest rates of its terms multiply to 2^{octaves:.1} lives a record, below what a kernel can add up; limit the curves with floor and ceiling"
    )]
    TooSlow { place: Box<Place>, octaves: f64 },
    #[error(
        "{place}: even its largest rate is 2^{octaves:.0} lives a record, below the kernel's step of 2^-48, so its clock would never move; correct characteristic_life or its unit"
    )]
    NeverMoves { place: Box<Place>, octaves: f64 },
    #[error(
        "{place}: more than {limit} different interactions among eight mechanisms that share a table; merge interactions with the same conditions or drop some"
    )]
    TooManyInteractions { place: Box<Place>, limit: usize },
}

fn did_you_mean(nearest: &Option<String>) -> String {
    nearest.as_ref().map(|name| format!(" (did you mean {name:?}?)")).unwrap_or_default()
}

/// The candidate that reads most like `name`, if any does.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    /// Below this Jaro-Winkler similarity a suggestion would puzzle more than help.
    const ALIKE: f64 = 0.75;
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .filter(|(similarity, _)| *similarity >= ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0).then_with(|| b.1.cmp(a.1)))
        .map(|(_, candidate)| candidate.to_owned())
}
