//! What is asked of a table of lives, settled once.

use std::path::PathBuf;

/// Which column is what; those not named are looked for by their usual names.
#[derive(Clone, Debug, Default)]
pub struct ColumnNames {
    /// The age at failure or at the last look; with `upper` the lower end of an interval.
    pub time: Option<String>,
    /// The age by which a failure had happened.
    pub upper: Option<String>,
    pub event: Option<String>,
    /// The age from which a life was watched.
    pub entry: Option<String>,
    /// How many lives a row stands for.
    pub count: Option<String>,
    /// What it failed of, where several modes compete. Never guessed.
    pub mode: Option<String>,
    /// What splits the table into fits of their own. Never guessed.
    pub by: Option<String>,
}

/// Codes of the event column that are not self-evident.
#[derive(Clone, Debug, Default)]
pub struct EventCodes {
    pub failed: Vec<String>,
    pub censored: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct LivesPlan {
    pub file: PathBuf,
    /// Of a workbook; the first otherwise.
    pub sheet: Option<String>,
    pub names: ColumnNames,
    pub codes: EventCodes,
}

impl LivesPlan {
    pub fn new(file: PathBuf) -> Self {
        Self { file, sheet: None, names: ColumnNames::default(), codes: EventCodes::default() }
    }
}
