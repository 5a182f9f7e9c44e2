//! Taking stock of the history files: which are new tonight, and whether those of earlier nights still are what they
//! were.
//!
//! Key idea: what a state has the rows of is a content, not a name. A file under a known name whose length and times
//! are as they were is taken as known; where they differ it is hashed. A content that is not found under its name is
//! looked for under the names that are new or hold something else now: touched, copied, moved and renamed is fine.
//! A name that holds something else while its content is nowhere is refused. A content that is gone together with its
//! name is fine until its records are needed again.
//!
//! `key=value` folders are part of a content: columns may come from them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::consumed::{ConsumedFile, kept_path};
use super::error::{StateError, StockError};
use crate::fleet::error::FleetError;
use crate::fleet::files::SourceFile;
use crate::fleet::input_hash::InputHashes;
use crate::fleet::stamp::Stamp;
use crate::run::{Control, Event};

/// The history files as a night finds them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stock {
    /// Files that the state has no rows of, as the dataset names them.
    pub new: Vec<PathBuf>,
    /// Files that may hold rows after the state's as-of day.
    pub pending: Vec<PathBuf>,
    /// Files of earlier nights that are not there any more, as the state names them.
    pub gone: Vec<PathBuf>,
    /// All files of earlier nights, with their present names and times.
    pub consumed: Vec<ConsumedFile>,
}

impl Stock {
    /// Compares the dataset's files with those the state has read. `base` is the folder of `dataset.toml`. Runs on the
    /// current rayon pool; hashing can take as long as reading everything, and is told and stopped.
    pub fn take(
        consumed: &[ConsumedFile],
        present: &[PathBuf],
        base: &Path,
        control: &Control,
    ) -> Result<Self, StockError> {
        let mut sought: BTreeMap<&Path, &ConsumedFile> =
            consumed.iter().map(|file| (file.path.as_path(), file)).collect();
        let mut stock = Self::default();
        let mut open = Vec::new();
        for path in present {
            let stamp = stamp(path)?;
            let name = kept_path(path, base);
            match sought.get(name.as_path()) {
                Some(file) if file.stamp == stamp => {
                    stock.know(file, path, name.clone(), stamp);
                    sought.remove(name.as_path());
                }
                _ => open.push((path, name, stamp)),
            }
        }
        let lengths: BTreeSet<u64> = sought.values().map(|file| file.stamp.bytes).collect();
        let touched = open.iter().filter(|(_, name, _)| sought.contains_key(name.as_path())).count();
        if touched > 0 {
            control.emit(Event::Warning(format!(
                "{touched} history files have other times than when the state read them: comparing their content"
            )));
        }
        let hashing = InputHashes::new(true);
        let hash = |(path, _, stamp): &(&PathBuf, PathBuf, Stamp)| -> Result<Option<String>, FleetError> {
            if !lengths.contains(&stamp.bytes) {
                return Ok(None);
            }
            hashing.hash(path, control)?;
            Ok(Some(hashing.of(path)))
        };
        let hashes: Vec<Option<String>> = open.par_iter().map(hash).collect::<Result<_, _>>()?;
        // First those that still have their name, so that of equal files each keeps its own.
        let mut moved = Vec::new();
        for (file, hash) in open.into_iter().zip(hashes) {
            let (path, name, stamp) = &file;
            match sought.get(name.as_path()).filter(|known| Some(&known.blake3) == hash.as_ref()) {
                Some(known) => {
                    stock.know(known, path, name.clone(), *stamp);
                    sought.remove(name.as_path());
                }
                None => moved.push((file, hash)),
            }
        }
        let names: BTreeSet<PathBuf> = moved.iter().map(|((_, name, _), _)| name.clone()).collect();
        let mut by_content: HashMap<(String, Partitions), Vec<&ConsumedFile>> = HashMap::new();
        for file in sought.values().rev() {
            by_content.entry((file.blake3.clone(), partitions(&file.path))).or_default().push(file);
        }
        for ((path, name, stamp), hash) in moved {
            let content = hash.map(|hash| (hash, partitions(&name)));
            match content.and_then(|content| by_content.get_mut(&content)?.pop()) {
                Some(file) => {
                    sought.remove(file.path.as_path());
                    stock.know(file, path, name, stamp);
                }
                None => stock.new.push(path.clone()),
            }
        }
        stock.lose(sought.into_values(), &names, base)?;
        stock.consumed.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(stock)
    }

    /// Files whose content is nowhere.
    fn lose<'a>(
        &mut self,
        files: impl Iterator<Item = &'a ConsumedFile>,
        names: &BTreeSet<PathBuf>,
        base: &Path,
    ) -> Result<(), StateError> {
        let (mut changed, mut needed) = (Vec::new(), Vec::new());
        for file in files {
            let shown = || base.join(&file.path).display().to_string();
            if names.contains(&file.path) {
                changed.push(shown());
            } else if file.pending {
                needed.push(shown());
            }
            self.gone.push(file.path.clone());
            self.consumed.push(file.clone());
        }
        if !changed.is_empty() {
            return Err(StateError::FilesChanged { files: changed });
        }
        if !needed.is_empty() {
            return Err(StateError::FilesNeeded { files: needed });
        }
        Ok(())
    }

    /// Takes a file of an earlier night as known, under the name and with the times that it has now.
    fn know(&mut self, file: &ConsumedFile, path: &Path, name: PathBuf, stamp: Stamp) {
        if file.pending {
            self.pending.push(path.to_path_buf());
        }
        self.consumed.push(ConsumedFile { path: name, stamp, ..file.clone() });
    }
}

type Partitions = Vec<(String, Option<String>)>;

fn partitions(kept_path: &Path) -> Partitions {
    SourceFile::new(kept_path).partitions
}

fn stamp(path: &Path) -> Result<Stamp, StateError> {
    let metadata = fs::metadata(path).map_err(|error| StateError::io(path, "look at", error))?;
    Ok(Stamp::from(&metadata))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::run::Stop;

    /// Writes a file below `base` and says how a state remembers it.
    fn consumed(base: &Path, name: &str, text: &str) -> ConsumedFile {
        let path = base.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        let (stamp, blake3) = (stamp(&path).unwrap(), blake3::hash(text.as_bytes()).to_hex().to_string());
        ConsumedFile { path: name.into(), stamp, blake3, rows: 1, pending: false }
    }

    fn take(known: &[&ConsumedFile], present: &[&str], base: &Path) -> Result<Stock, StateError> {
        let known: Vec<ConsumedFile> = known.iter().copied().cloned().collect();
        let present: Vec<PathBuf> = present.iter().map(|name| base.join(name)).collect();
        Stock::take(&known, &present, base, &Control::silent()).map_err(|error| match error {
            StockError::State(error) => error,
            other => panic!("{other}"),
        })
    }

    /// A backup that links every file changes all their times: then everything is hashed.
    #[test]
    fn comparing_contents_is_told_and_can_be_stopped() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path();
        let known: Vec<ConsumedFile> = ["a", "b"].map(|name| consumed(base, name, name)).into();
        let present = [base.join("a"), base.join("b"), base.join("c")];
        fs::write(&present[2], "other").unwrap();
        let (told, stop) = (Mutex::new(Vec::new()), Stop::default());
        stop.raise();
        let listen = |event| told.lock().unwrap().push(format!("{event:?}"));
        let control = Control::new(&stop, &listen);
        // Nothing to be compared: nothing is told, and nothing takes long.
        assert_eq!(Stock::take(&known, &present, base, &control).unwrap().new, [present[2].clone()]);
        assert!(told.lock().unwrap().is_empty());
        let touched: Vec<ConsumedFile> = known
            .iter()
            .map(|file| ConsumedFile {
                stamp: Stamp { changed_ns: file.stamp.changed_ns - 1, ..file.stamp },
                ..file.clone()
            })
            .collect();
        let stopped = Stock::take(&touched, &present, base, &control);
        assert!(matches!(stopped, Err(StockError::Fleet(FleetError::Interrupted(_)))), "{stopped:?}");
        assert!(told.lock().unwrap().concat().contains("2 history files have other times"), "{told:?}");
        let control = Control::silent();
        assert_eq!(Stock::take(&touched, &present, base, &control).unwrap().consumed, known);
    }

    fn names(files: &[ConsumedFile]) -> Vec<&str> {
        files.iter().map(|file| file.path.to_str().unwrap()).collect()
    }

    #[test]
    fn new_touched_changed_and_gone() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path();
        let (a, b) = (consumed(base, "a", "one"), consumed(base, "b", "two"));
        let stock = take(&[&a], &["a", "b"], base).unwrap();
        assert_eq!(
            (stock.new, stock.gone.len(), stock.consumed),
            (vec![base.join("b")], 0, std::slice::from_ref(&a).to_vec())
        );

        let touched = ConsumedFile { stamp: Stamp { modified_ns: a.stamp.modified_ns - 5, ..a.stamp }, ..a.clone() };
        assert_eq!(take(&[&touched], &["a"], base).unwrap().consumed, std::slice::from_ref(&a));
        fs::write(base.join("a"), "uno").unwrap();
        let changed = take(&[&touched], &["a"], base).unwrap_err();
        let expected = base.join("a").display().to_string();
        assert!(matches!(&changed, StateError::FilesChanged { files } if *files == [expected]), "{changed}");

        let stock = take(&[&a, &b], &["b"], base).unwrap();
        assert_eq!((stock.gone, stock.consumed.len()), (vec![PathBuf::from("a")], 2));
        let pending = ConsumedFile { pending: true, ..b };
        assert_eq!(take(&[&pending], &["b"], base).unwrap().pending, [base.join("b")]);
        assert!(matches!(take(&[&pending], &[], base), Err(StateError::FilesNeeded { .. })));
    }

    /// Length and time of modification can be put back; the inode's own time cannot.
    #[test]
    #[cfg(unix)]
    fn changed_with_length_and_time_kept() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path();
        let a = consumed(base, "a", "one");
        let modified = fs::metadata(base.join("a")).unwrap().modified().unwrap();
        let put_back = |text: &str| {
            // The clock of a file system ticks in milliseconds.
            std::thread::sleep(std::time::Duration::from_millis(20));
            fs::write(base.join("a"), text).unwrap();
            let file = fs::File::options().write(true).open(base.join("a")).unwrap();
            file.set_modified(modified).unwrap();
            assert!(stamp(&base.join("a")).unwrap().is_as_written(&a.stamp));
        };
        put_back("uno");
        assert!(matches!(take(&[&a], &["a"], base), Err(StateError::FilesChanged { .. })));
        put_back("one");
        let stock = take(&[&a], &["a"], base).unwrap();
        assert_eq!(names(&stock.consumed), ["a"]);
        assert_ne!(stock.consumed[0].stamp, a.stamp, "so that it need not be hashed again");
        // Noted by a version that did not know the inode's time.
        let older = ConsumedFile { stamp: Stamp { changed_ns: 0, ..a.stamp }, ..a };
        assert_eq!(take(&[&older], &["a"], base).unwrap().consumed, stock.consumed);
    }

    #[test]
    fn renamed_rotated_swapped_and_doubled() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path();
        let (a, b) = (consumed(base, "a", "one"), consumed(base, "b", "two"));
        fs::rename(base.join("a"), base.join("old-a")).unwrap();
        let pending = ConsumedFile { pending: true, ..a.clone() };
        let stock = take(&[&pending, &b], &["b", "old-a"], base).unwrap();
        assert_eq!((names(&stock.consumed), stock.gone.len(), stock.new.len()), (vec!["b", "old-a"], 0, 0));
        assert_eq!(stock.pending, [base.join("old-a")]);

        // Another file took the name: that one is new.
        fs::write(base.join("a"), "new").unwrap();
        let stock = take(&[&a, &b], &["a", "b", "old-a"], base).unwrap();
        assert_eq!((names(&stock.consumed), stock.new), (vec!["b", "old-a"], vec![base.join("a")]));

        fs::write(base.join("a"), "two").unwrap();
        fs::write(base.join("b"), "one").unwrap();
        let stock = take(&[&a, &b], &["a", "b"], base).unwrap();
        assert_eq!((names(&stock.consumed), stock.new.len(), stock.gone.len()), (vec!["a", "b"], 0, 0));
        assert_eq!(stock.consumed[0].blake3, b.blake3);

        // One content under two names, of which one was known: the other one is new.
        let stock = take(&[&a], &["b", "old-a"], base).unwrap();
        assert_eq!((names(&stock.consumed), stock.new.len()), (vec!["b"], 1));
    }

    /// What a folder's name says belongs to the content.
    #[test]
    fn moved_to_another_partition() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path();
        let a = consumed(base, "h/zone=1/a", "one");
        consumed(base, "h/zone=1/b", "one");
        consumed(base, "h/zone=2/a", "one");
        let stock = take(&[&a], &["h/zone=2/a"], base).unwrap();
        assert_eq!((stock.gone.len(), stock.new), (1, vec![base.join("h/zone=2/a")]));
        assert_eq!(names(&take(&[&a], &["h/zone=1/b"], base).unwrap().consumed), ["h/zone=1/b"]);
    }
}
