//! Taking stock of the history files: which are new tonight, and whether those of earlier nights still are what they
//! were.
//!
//! A file that an earlier night read is known by its path. Where its size or time of change differs it is hashed
//! again: touched is fine, changed is refused. One that is gone is fine until its records are needed again.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::error::StateError;
use super::record::{ConsumedFile, kept_path};

/// The history files as a night finds them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stock {
    /// Files that the state has no rows of, as the dataset names them.
    pub new: Vec<PathBuf>,
    /// Files that may hold rows after the state's as-of day.
    pub pending: Vec<PathBuf>,
    /// Files of earlier nights that are not there any more, as the state names them.
    pub gone: Vec<PathBuf>,
    /// All files of earlier nights, with their present time of change.
    pub consumed: Vec<ConsumedFile>,
}

impl Stock {
    /// Compares the dataset's files with those the state has read. `base` is the folder of `dataset.toml`.
    pub fn take(consumed: &[ConsumedFile], present: &[PathBuf], base: &Path) -> Result<Self, StateError> {
        let mut known: BTreeMap<&Path, &ConsumedFile> =
            consumed.iter().map(|file| (file.path.as_path(), file)).collect();
        let mut stock = Self::default();
        for path in present {
            let Some(file) = known.remove(kept_path(path, base).as_path()) else {
                stock.new.push(path.clone());
                continue;
            };
            let mut file = file.clone();
            let (bytes, modified_ns) = stamp(path)?;
            if (bytes, modified_ns) != (file.bytes, file.modified_ns) {
                if bytes != file.bytes || hash(path)? != file.blake3 {
                    return Err(StateError::FileChanged { path: path.clone() });
                }
                file.modified_ns = modified_ns;
            }
            if file.pending {
                stock.pending.push(path.clone());
            }
            stock.consumed.push(file);
        }
        for file in known.into_values() {
            if file.pending {
                return Err(StateError::FileNeeded { path: base.join(&file.path) });
            }
            stock.gone.push(file.path.clone());
            stock.consumed.push(file.clone());
        }
        stock.consumed.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(stock)
    }
}

/// Size and time of change of a file, nanoseconds since 1970 (kept within 1677 to 2262).
pub fn stamp(path: &Path) -> Result<(u64, i64), StateError> {
    let metadata = fs::metadata(path).map_err(|error| StateError::io(path, "look at", error))?;
    let modified = metadata.modified().map_err(|error| StateError::io(path, "look at", error))?;
    let nanoseconds = match modified.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |since| -since),
    };
    Ok((metadata.len(), nanoseconds))
}

/// BLAKE3 of a file, hex.
pub fn hash(path: &Path) -> Result<String, StateError> {
    let file = fs::File::open(path).map_err(|error| StateError::io(path, "open", error))?;
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(file).map_err(|error| StateError::io(path, "read", error))?;
    Ok(hasher.finalize().to_hex().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_touched_changed_and_gone() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path();
        let write = |name: &str, text: &str| {
            let path = base.join(name);
            fs::write(&path, text).unwrap();
            let (bytes, modified_ns) = stamp(&path).unwrap();
            let blake3 = hash(&path).unwrap();
            (path, ConsumedFile { path: name.into(), bytes, modified_ns, blake3, rows: 1, pending: false })
        };
        let (a, known_a) = write("a", "one");
        let (b, known_b) = write("b", "two");
        let stock = Stock::take(std::slice::from_ref(&known_a), &[a.clone(), b.clone()], base).unwrap();
        assert_eq!((stock.new, stock.gone.len(), stock.consumed), (vec![b.clone()], 0, vec![known_a.clone()]));

        let touched = ConsumedFile { modified_ns: known_a.modified_ns - 5, ..known_a.clone() };
        let stock = Stock::take(std::slice::from_ref(&touched), std::slice::from_ref(&a), base).unwrap();
        assert_eq!(stock.consumed, std::slice::from_ref(&known_a));
        fs::write(&a, "uno").unwrap();
        let changed = Stock::take(&[touched], std::slice::from_ref(&a), base).unwrap_err();
        assert!(matches!(&changed, StateError::FileChanged { path } if *path == a), "{changed}");

        let stock = Stock::take(&[known_a.clone(), known_b.clone()], std::slice::from_ref(&b), base).unwrap();
        assert_eq!((stock.gone, stock.consumed.len()), (vec![PathBuf::from("a")], 2));
        let pending = ConsumedFile { pending: true, ..known_b };
        assert_eq!(Stock::take(std::slice::from_ref(&pending), std::slice::from_ref(&b), base).unwrap().pending, [b]);
        assert!(matches!(Stock::take(&[pending], &[], base), Err(StateError::FileNeeded { .. })));
    }
}
