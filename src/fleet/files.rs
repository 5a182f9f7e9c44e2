//! From `files = "…"` to a list of files: one file, a glob, a folder (Hive-partitioned or not), or `@list.txt`.
//!
//! Hidden files and folders (a leading `.` or `_`, unless it is a partition such as `_zone=3`) are left out, as Spark
//! does. `key=value` folders become partition columns. A folder that is a table of a lakehouse is refused.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use super::dictionary::Files;
use super::error::FleetError;
use super::lakehouse;

/// One file of a table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SourceFile {
    pub path: PathBuf,
    /// Partition columns from `key=value` folders, outermost first; `None` stands for null.
    pub partitions: Vec<(String, Option<String>)>,
}

impl SourceFile {
    /// A plain file.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        Self { partitions: partitions(&path), path }
    }

    pub fn partition(&self, column: &str) -> Option<&Option<String>> {
        self.partitions.iter().find(|(key, _)| key == column).map(|(_, value)| value)
    }
}

/// What a partition without a value is called by Hive and Spark.
const HIVE_NULL: &str = "__HIVE_DEFAULT_PARTITION__";

/// All files that the specification names, sorted by path, each once. An empty match is an error.
pub fn resolve(files: &Files) -> Result<Vec<SourceFile>, FleetError> {
    let mut found = BTreeSet::new();
    if let Some(list) = files.spec.strip_prefix('@') {
        from_list(&files.base.join(list), &mut found)?;
    } else {
        let path = files.base.join(&files.spec);
        if path.is_dir() {
            refuse_table_around(&path)?;
            walk(&path, &mut found)?;
        } else if path.is_file() {
            found.insert(path);
        } else if files.spec.contains(['*', '?', '[']) {
            from_glob(files, &mut found)?;
        }
    }
    if found.is_empty() {
        return Err(FleetError::NoFiles { spec: files.spec.clone(), base: files.base.clone() });
    }
    // Folders above the dataset are not part of it, whatever they are called.
    let below = |path: &Path| partitions(path.strip_prefix(&files.base).unwrap_or(path));
    Ok(found.into_iter().map(|path| SourceFile { partitions: below(&path), path }).collect())
}

/// A table of a lakehouse may keep its data in a folder below its own.
fn refuse_table_around(folder: &Path) -> Result<(), FleetError> {
    let whole = std::path::absolute(folder).map_err(|source| FleetError::io(folder, source))?;
    whole.ancestors().try_for_each(lakehouse::refuse)
}

/// Lines of paths, relative to the list's folder; empty lines and lines with `#` in front are comments.
fn from_list(list: &Path, found: &mut BTreeSet<PathBuf>) -> Result<(), FleetError> {
    let text = std::fs::read_to_string(list).map_err(|source| FleetError::io(list, source))?;
    let folder = list.parent().unwrap_or(Path::new(""));
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let path = folder.join(line.strip_prefix("file://").unwrap_or(line));
        if !path.is_file() {
            let problem = format!("is not a file, though {} lists it; write the list again", list.display());
            return Err(FleetError::BadPath { path, problem });
        }
        found.insert(path);
    }
    Ok(())
}

fn from_glob(files: &Files, found: &mut BTreeSet<PathBuf>) -> Result<(), FleetError> {
    let base = files.base.to_string_lossy();
    let pattern = Path::new(&glob::Pattern::escape(&base)).join(&files.spec);
    let bad = |problem: String| FleetError::BadPath { path: PathBuf::from(&files.spec), problem };
    let options = glob::MatchOptions { require_literal_leading_dot: true, ..Default::default() };
    let paths = glob::glob_with(&pattern.to_string_lossy(), options)
        .map_err(|error| bad(format!("is not a glob: {error}; quote [ ] * ? as [[] []] [*] [?]")))?;
    // The folder in front of the first wildcard; what lies above it was named on purpose.
    let literal = Path::new(&files.spec)
        .components()
        .take_while(|part| !part.as_os_str().to_string_lossy().contains(['*', '?', '[']))
        .fold(files.base.clone(), |folder, part| folder.join(part));
    refuse_table_around(&literal)?;
    let mut checked = BTreeSet::new();
    for path in paths {
        let path = path.map_err(|error| FleetError::io(error.path(), std::io::Error::from(error.error().kind())))?;
        let below = path.strip_prefix(&literal).unwrap_or(&path);
        let hidden = below.components().any(|part| is_hidden(&part.as_os_str().to_string_lossy()));
        if hidden || !path.is_file() {
            continue;
        }
        for folder in path.ancestors().skip(1).take_while(|folder| *folder != literal) {
            if !checked.insert(folder.to_path_buf()) {
                break;
            }
            lakehouse::refuse(folder)?;
        }
        found.insert(path);
    }
    Ok(())
}

/// Files of a folder and its subfolders. Linked files are taken; linked folders are refused, since they could lead
/// out of the dataset or around in a circle.
fn walk(folder: &Path, found: &mut BTreeSet<PathBuf>) -> Result<(), FleetError> {
    let mut pending = vec![folder.to_path_buf()];
    while let Some(folder) = pending.pop() {
        lakehouse::refuse(&folder)?;
        let entries = std::fs::read_dir(&folder).map_err(|source| FleetError::io(&folder, source))?;
        for entry in entries {
            let entry = entry.map_err(|source| FleetError::io(&folder, source))?;
            let path = entry.path();
            if is_hidden(&entry.file_name().to_string_lossy()) {
                continue;
            }
            let kind = entry.file_type().map_err(|source| FleetError::io(&path, source))?;
            if kind.is_symlink() && path.is_dir() {
                let problem = "is a link to a folder; name its files in an \"@list.txt\" instead".to_string();
                return Err(FleetError::BadPath { path, problem });
            }
            if kind.is_dir() {
                pending.push(path);
            } else if is_table_file(&path) {
                found.insert(path);
            }
        }
    }
    Ok(())
}

fn is_hidden(name: &str) -> bool {
    name.starts_with('.') || (name.starts_with('_') && !name.contains('='))
}

/// Parquet by its ending, or without one, as Hive names its files.
fn is_table_file(path: &Path) -> bool {
    match path.extension() {
        None => true,
        Some(ending) => ["parquet", "parq", "pq"].iter().any(|known| ending.eq_ignore_ascii_case(known)),
    }
}

/// The `key=value` folders of a path. Values are percent-decoded, as Spark and Hive write them; they name data and
/// are never used as a path.
fn partitions(path: &Path) -> Vec<(String, Option<String>)> {
    let folders = path.parent().into_iter().flat_map(Path::components);
    folders
        .filter_map(|part| match part {
            Component::Normal(name) => name.to_str()?.split_once('='),
            _ => None,
        })
        .filter(|(key, _)| !key.is_empty())
        .map(|(key, value)| (percent_decoded(key), (value != HIVE_NULL).then(|| percent_decoded(value))))
        .collect()
}

fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let pair = bytes.get(at + 1..at + 3).and_then(|pair| std::str::from_utf8(pair).ok());
        match pair.filter(|_| bytes[at] == b'%').and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(byte) => {
                decoded.push(byte);
                at += 3;
            }
            None => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8(decoded).unwrap_or_else(|_| text.to_string())
}
