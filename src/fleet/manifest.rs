//! `manifest.json`: what a result was made from, by whom, and what it holds. Readers may trust a folder whose manifest
//! lists its files; times and the device stand here and nowhere else.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::account::{Account, CellReason, Quarantine, Skip};
use super::scan::InputFile;
use super::tables::TableRows;

/// The manifest of one run. [`super::writer::OutputFolder::finish`] fills in `parts`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    pub program: Program,
    /// The subcommand, e.g. "score".
    pub command: String,
    /// The settled options of the run that bear on its content.
    pub options: serde_json::Map<String, serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub model: Option<ManifestModel>,
    /// BLAKE3 of `dataset.toml`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub dictionary_blake3: Option<String>,
    /// Last day that counts, ISO 8601, or an integer period as text.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub as_of: Option<String>,
    pub inputs: Vec<ManifestInput>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub account: Option<ManifestAccount>,
    /// Rows of the small tables, and how many of them cannot be used.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub table_rows: Vec<TableRows>,
    /// Every file of the folder but the manifest and `_SUCCESS`, sorted by path.
    pub parts: Vec<ManifestPart>,
    /// BLAKE3 over the rows in canonical order ([`super::writer::ContentHasher`]).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub content_hash: Option<String>,
    pub warnings: Vec<String>,
    /// What did the work, e.g. "cpu (avx2), 8 threads".
    pub device: String,
    /// Why this device and not another.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub device_reason: String,
    pub threads: usize,
    pub timings: Vec<StageTiming>,
    /// What else a command has to say.
    #[serde(skip_serializing_if = "serde_json::Map::is_empty", default)]
    pub details: serde_json::Map<String, serde_json::Value>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Program {
    pub name: String,
    pub version: String,
}

impl Default for Program {
    fn default() -> Self {
        Self { name: env!("CARGO_PKG_NAME").to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ManifestModel {
    pub name: String,
    pub version: String,
    pub blake3: String,
}

/// A file that a result was made from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ManifestInput {
    /// Which table of the dictionary: "histories", "vehicles", "events", "joins.weather".
    #[serde(default)]
    pub table: String,
    pub path: String,
    pub bytes: u64,
    pub rows: u64,
    /// Empty where hashing was switched off.
    pub blake3: String,
    /// By which run, if not by this one.
    #[serde(default, skip_serializing_if = "ReadBy::is_this_run")]
    pub read: ReadBy,
}

/// Who read an input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadBy {
    #[default]
    ThisRun,
    /// An earlier night, from which a state kept the sums.
    Earlier,
}

impl ReadBy {
    fn is_this_run(&self) -> bool {
        *self == Self::ThisRun
    }
}

/// A file that was written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ManifestPart {
    /// Relative to the output folder, with forward slashes.
    pub path: String,
    /// Of a table; `None` for other files.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rows: Option<u64>,
    pub bytes: u64,
    pub blake3: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StageTiming {
    pub stage: String,
    pub seconds: f64,
}

/// [`Account`] with its reasons as words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestAccount {
    pub rows_in: u64,
    pub scored: u64,
    pub quarantined: BTreeMap<String, u64>,
    pub skipped: BTreeMap<String, u64>,
    /// Cells, not rows: by channel, then by reason.
    pub not_available: BTreeMap<String, BTreeMap<String, u64>>,
}

impl From<&Account> for ManifestAccount {
    fn from(account: &Account) -> Self {
        let mut not_available: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
        for ((channel, reason), &cells) in &account.not_available {
            *not_available.entry(channel.clone()).or_default().entry(words(&format!("{reason:?}"))).or_default() +=
                cells;
        }
        let by_reason = |reason: String, rows: u64| (words(&reason), rows);
        Self {
            rows_in: account.rows_in,
            scored: account.scored,
            quarantined: account.quarantined.iter().map(|(r, &n)| by_reason(format!("{r:?}"), n)).collect(),
            skipped: account.skipped.iter().map(|(r, &n)| by_reason(format!("{r:?}"), n)).collect(),
            not_available,
        }
    }
}

impl From<&ManifestAccount> for Account {
    /// Names that no reason has are left out: another version wrote them.
    fn from(account: &ManifestAccount) -> Self {
        const QUARANTINED: [Quarantine; 4] =
            [Quarantine::NullVehicle, Quarantine::NullTime, Quarantine::TimeOutOfRange, Quarantine::UnreadableFile];
        const SKIPPED: [Skip; 4] = [Skip::Duplicate, Skip::AfterAsOf, Skip::TakenBefore, Skip::OtherShard];
        const CELLS: [CellReason; 4] =
            [CellReason::Missing, CellReason::NotFinite, CellReason::OutOfRange, CellReason::NoJoin];
        let rows = |counts: &BTreeMap<String, u64>, reason: String| counts.get(&words(&reason)).copied();
        let mut not_available = BTreeMap::new();
        for (channel, counts) in &account.not_available {
            for reason in CELLS {
                if let Some(cells) = rows(counts, format!("{reason:?}")) {
                    not_available.insert((channel.clone(), reason), cells);
                }
            }
        }
        Self {
            rows_in: account.rows_in,
            scored: account.scored,
            quarantined: QUARANTINED
                .into_iter()
                .filter_map(|reason| Some((reason, rows(&account.quarantined, format!("{reason:?}"))?)))
                .collect(),
            skipped: SKIPPED
                .into_iter()
                .filter_map(|reason| Some((reason, rows(&account.skipped, format!("{reason:?}"))?)))
                .collect(),
            not_available,
        }
    }
}

impl ManifestInput {
    pub fn new(table: &str, file: &InputFile) -> Self {
        Self {
            table: table.to_owned(),
            path: file.path.to_string_lossy().into_owned(),
            bytes: file.stamp.bytes,
            rows: file.rows,
            blake3: file.blake3.clone(),
            read: ReadBy::ThisRun,
        }
    }
}

/// `AfterAsOf` as `after_as_of`: the reasons' own names, spelled as keys.
fn words(variant: &str) -> String {
    let mut words = String::with_capacity(variant.len() + 4);
    for letter in variant.chars() {
        if letter.is_ascii_uppercase() && !words.is_empty() {
            words.push('_');
        }
        words.push(letter.to_ascii_lowercase());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_survives_its_words() {
        let account = Account {
            rows_in: 9,
            scored: 2,
            quarantined: [(Quarantine::UnreadableFile, 1), (Quarantine::NullTime, 2)].into(),
            skipped: [(Skip::TakenBefore, 3), (Skip::AfterAsOf, 1)].into(),
            not_available: [(("a".to_owned(), CellReason::NoJoin), 4), (("b".to_owned(), CellReason::Missing), 5)]
                .into(),
        };
        let words = ManifestAccount::from(&account);
        assert_eq!(words.skipped.keys().collect::<Vec<_>>(), ["after_as_of", "taken_before"]);
        assert_eq!(Account::from(&words), account);
    }
}
