//! What can go wrong with a dataset. Every variant names the thing (file, line, column, vehicle) and says what to do;
//! exit codes and hints stand in `cli::exit` alone.

use std::path::{Path, PathBuf};

use crate::run::Interrupted;

/// Any failure of the `fleet` room.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// `dataset.toml` says something that cannot be meant.
    #[error("{}:{line}: `{key}`: {problem}; {remedy}", file.display())]
    Dictionary { file: PathBuf, line: usize, key: String, problem: String, remedy: String },
    #[error("no data dictionary at {}; write a dataset.toml or draft one with `fleetwear init`", path.display())]
    NoDictionary { path: PathBuf },
    #[error("{}: no column {column:?}{}", file.display(), nearest_hint(nearest))]
    MissingColumn { file: PathBuf, column: String, nearest: Option<String> },
    #[error("{}: column {column:?} is of type {got}; {accepted} is accepted here", file.display())]
    WrongType { file: PathBuf, column: String, got: String, accepted: &'static str },
    /// The same column has one type in one file and an incompatible one in another.
    #[error("{}: vehicle ids in {column:?} are of type {got}, but those of {} are of type {other}; \
             write both as integers or both as text", file.display(), other_file.display())]
    MixedIds { file: PathBuf, column: String, got: String, other_file: PathBuf, other: &'static str },
    #[error("{}: vehicle id {got} in column {column:?} is outside {limit}; write such ids as text", file.display())]
    IdOutOfRange { file: PathBuf, column: String, got: String, limit: &'static str },
    #[error("{} is a {format} table: reading its files directly would also read rows deleted long ago; list the \
             current files, one a line, in a file and write files = \"@list.txt\". {recipe}", folder.display())]
    Lakehouse { folder: PathBuf, format: &'static str, recipe: &'static str },
    #[error("no file matches {spec:?} below {}; check the path, or that the export has run", base.display())]
    NoFiles { spec: String, base: PathBuf },
    #[error("{}: {problem}", path.display())]
    BadPath { path: PathBuf, problem: String },
    #[error("{}: cannot be read as Parquet: {problem}; write the file again or leave it out", file.display())]
    Unreadable { file: PathBuf, problem: String },
    #[error("{}: changed while it was read; run again when nothing writes to it", file.display())]
    Changed { file: PathBuf },
    #[error("{}: partition value {got:?} of {column:?} is not {accepted}", file.display())]
    PartitionValue { file: PathBuf, column: String, got: String, accepted: &'static str },
    #[error("more than {limit} {what}; split the dataset")]
    TooMany { what: &'static str, limit: u64 },
    #[error("{what} needs {needed_bytes} bytes, --memory-limit leaves {limit_bytes}; raise the limit")]
    Memory { what: &'static str, needed_bytes: u64, limit_bytes: u64 },
    /// The disk is full, or the folder is not there.
    #[error("{}: cannot keep temporary files: {source}; name a folder with room with --spill", folder.display())]
    Spill { folder: PathBuf, source: std::io::Error },
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    /// Whoever took the records failed.
    #[error(transparent)]
    Sink(Box<dyn std::error::Error + Send + Sync>),
    /// A promise of the program itself is broken: a bug.
    #[error("internal: {what}; please report this")]
    Internal { what: String },
}

impl FleetError {
    pub fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io { path: path.to_path_buf(), source }
    }

    /// A column that `file` lacks; `columns` are those it has.
    pub fn missing_column<'a>(file: &Path, column: &str, columns: impl IntoIterator<Item = &'a str>) -> Self {
        let nearest = nearest(column, columns);
        Self::MissingColumn { file: file.to_path_buf(), column: column.to_string(), nearest }
    }

    pub fn unreadable(file: &Path, problem: impl std::fmt::Display) -> Self {
        Self::Unreadable { file: file.to_path_buf(), problem: problem.to_string() }
    }
}

/// The known name most like `wanted`, if any is like it at all. Letter case counts for little.
pub fn nearest<'a>(wanted: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let wanted_lower = wanted.to_lowercase();
    let mut best: Option<(f64, &str)> = None;
    for name in known {
        let likeness = strsim::normalized_damerau_levenshtein(&wanted_lower, &name.to_lowercase());
        // Below half the letters in common a suggestion puzzles more than it helps.
        if likeness >= 0.5 && best.is_none_or(|(most, held)| likeness > most || (likeness == most && name < held)) {
            best = Some((likeness, name));
        }
    }
    best.map(|(_, name)| name.to_string())
}

fn nearest_hint(nearest: &Option<String>) -> String {
    match nearest {
        Some(name) => format!("; did you mean {name:?}?"),
        None => "; name another in dataset.toml".to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_finds_typos_and_refuses_strangers() {
        assert_eq!(nearest("vehicel", ["time", "vehicle"]).as_deref(), Some("vehicle"));
        assert_eq!(nearest("VIN", ["vin", "day"]).as_deref(), Some("vin"));
        assert_eq!(nearest("zzz", ["vehicle", "time"]), None);
    }

    #[test]
    fn messages_name_thing_and_remedy() {
        let error = FleetError::missing_column(Path::new("a.parquet"), "vinn", ["vin"]);
        assert_eq!(error.to_string(), "a.parquet: no column \"vinn\"; did you mean \"vin\"?");
    }
}
