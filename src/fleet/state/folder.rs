//! The state folder: complete generations side by side, and a pointer to the one that counts.
//!
//! ```text
//! DIR/CURRENT          name of the generation that counts, "none" before the first; swapped by rename
//! DIR/gen-00000012/    state.json and the arrays of one generation
//! DIR/log-00000012/    packed records that this night added; later generations refer to them
//! DIR/lock             held by the run that uses the state
//! DIR/records/         the same once more, of the packed histories ([`crate::fleet::kept`])
//! ```
//!
//! A night of `score` places its log folder, then its generation, then its scores, and last swaps the pointer. Whatever a killed
//! run leaves beside the pointer's generation is removed by the next one, unless that run had placed its scores and
//! only the pointer is missing ([`StateFolder::pending`]). Each folder appears by one rename
//! ([`crate::fleet::writer`]).
//!
//! The pointer is there before anything else is: where it is missing and generations or logs are not, it was lost, and
//! nothing says which of them count.

use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::io::Write;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use super::error::StateError;
use crate::fleet::writer::folder::{SUCCESS, entries_to_disk, make_folders};
use serde::de::DeserializeOwned;

const CURRENT: &str = "CURRENT";
const CURRENT_STAGED: &str = "CURRENT.staged";
/// What was found in the pointer's place and cannot be replaced by a rename.
const CURRENT_ASIDE: &str = ".CURRENT";
/// What the pointer says before the first generation.
const NONE: &str = "none";
const LOCK: &str = "lock";
const GENERATION: &str = "gen-";
const LOG: &str = "log-";
/// The packed histories within a state folder: a state folder themselves, with a lock and a pointer of their own.
const RECORDS: &str = "records";
pub const STATE_JSON: &str = "state.json";

/// What `state.json` says of a generation.
pub trait Generation: DeserializeOwned {
    /// Of the layout, and of the arithmetic of what is kept: states of another version are refused.
    const VERSION: u32;

    fn number(&self) -> u64;

    /// The files in log folders that belong to it, relative to the state folder, with forward slashes.
    fn log_files(&self) -> impl Iterator<Item = &str>;
}

/// A state folder in use by this run.
#[derive(Debug)]
pub struct StateFolder<G> {
    path: PathBuf,
    generation: PhantomData<fn() -> G>,
    /// Held until dropped.
    _lock: File,
    /// As this run found it, or left it.
    pointer: Pointer,
    /// Number of the generation that this run may make: none that stands in the folder has it, but for one that a
    /// killed run left.
    next: u64,
}

/// What `CURRENT` says.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Pointer {
    /// No generation counts yet.
    Nothing,
    Names(u64),
    /// It cannot be read, or names no generation: only a run that begins anew can use the folder.
    Damaged(String),
}

impl<G: Generation> StateFolder<G> {
    /// Locks the folder, making it if it is not there. A damaged pointer is no error here: [`Self::current`] says so to
    /// whoever wants what it points at.
    pub fn open(path: &Path) -> Result<Self, StateError> {
        refuse_foreign(path)?;
        let whole = std::path::absolute(path).map_err(|error| StateError::io(path, "locate", error))?;
        make_folders(&whole, entries_to_disk).map_err(|error| StateError::io(path, "make folder", error))?;
        let path = fs::canonicalize(path).map_err(|error| StateError::io(path, "locate", error))?;
        let lock_path = path.join(LOCK);
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(|error| StateError::io(&lock_path, "make lock file", error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StateError::InUse { path }),
            Err(TryLockError::Error(error)) => return Err(StateError::io(&lock_path, "lock", error)),
        }
        let highest = highest_number(&path)?;
        if highest == 0 && fs::exists(path.join(CURRENT)).is_ok_and(|exists| !exists) {
            write_pointer(&path, NONE)?;
        }
        let pointer = read_pointer(&path);
        let next = match pointer {
            Pointer::Nothing => 1,
            Pointer::Names(generation) => generation + 1,
            Pointer::Damaged(_) => highest + 1,
        };
        Ok(Self { path, generation: PhantomData, _lock: lock, pointer, next })
    }

    /// Locks the packed histories of the state folder `path`.
    pub fn open_records(path: &Path) -> Result<Self, StateError> {
        refuse_foreign(path)?;
        Self::open(&path.join(RECORDS))
    }

    /// For a run that begins anew, whatever the folder holds: its generation and log get a number that nothing has,
    /// so that all that is there stays until that generation counts.
    pub fn begin_anew(&mut self) -> Result<(), StateError> {
        self.next = highest_number(&self.path)? + 1;
        Ok(())
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The generation that counts, if there is any.
    pub fn current(&self) -> Result<Option<G>, StateError> {
        match &self.pointer {
            Pointer::Nothing => Ok(None),
            Pointer::Names(generation) => self.record(*generation).map(Some),
            Pointer::Damaged(problem) => Err(StateError::damaged(&self.path.join(CURRENT), problem)),
        }
    }

    /// The generation after the current one, if a run completed it but was killed before it counted. One that cannot
    /// be read never counted and is none. Where the current one is gone, nothing is.
    pub fn pending(&self) -> Option<G> {
        let next = self.next();
        if let Pointer::Names(generation) = self.pointer
            && !self.generation(generation).exists()
        {
            return None;
        }
        let complete = self.generation(next).join(SUCCESS).exists();
        if complete { self.record(next).ok() } else { None }
    }

    /// Number of the generation that this run may make.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Folder of a generation.
    pub fn generation(&self, generation: u64) -> PathBuf {
        self.path.join(format!("{GENERATION}{generation:08}"))
    }

    /// Makes the next generation the one that counts, and removes what nobody refers to any more.
    pub fn commit(&mut self) -> Result<(), StateError> {
        let next = self.next();
        let record = self.record(next)?;
        if read_pointer(&self.path) != self.pointer {
            return Err(StateError::InUse { path: self.path.clone() });
        }
        write_pointer(&self.path, &format!("{GENERATION}{next:08}"))?;
        self.pointer = Pointer::Names(next);
        self.next = next + 1;
        self.clean(Some(&record));
        Ok(())
    }

    /// Removes what a killed run left of a generation that never counted, so that this run can make it.
    pub fn discard_unfinished(&self) {
        let next = self.next();
        for path in [self.generation(next), self.path.join(log_name(next))] {
            let _ = fs::remove_dir_all(path);
        }
    }

    /// Removes what killed runs left, and generations and logs that `record`, the current one, does not refer to.
    /// Best effort: what remains is tried again next time and is never read.
    pub fn clean(&self, record: Option<&G>) {
        let kept_logs: BTreeSet<&str> = record.iter().flat_map(|record| record.log_files()).collect();
        let kept_folders: BTreeSet<&str> = kept_logs.iter().filter_map(|path| path.split('/').next()).collect();
        let kept_generation = record.map(|record| format!("{GENERATION}{:08}", record.number()));
        for name in entries(&self.path).unwrap_or_default() {
            let path = self.path.join(&name);
            let log_in_use = kept_folders.contains(name.as_str());
            if [LOCK, CURRENT, RECORDS].contains(&name.as_str()) || Some(&name) == kept_generation.as_ref() {
                continue;
            }
            if log_in_use {
                remove_unreferenced(&path, &name, &kept_logs);
            } else if path.is_dir() {
                let _ = fs::remove_dir_all(&path);
            } else {
                let _ = fs::remove_file(&path);
            }
        }
    }

    fn record(&self, generation: u64) -> Result<G, StateError> {
        let path = self.generation(generation).join(STATE_JSON);
        let text = fs::read_to_string(&path).map_err(|error| StateError::damaged(&path, error))?;
        // The version comes first: another one may hold anything else.
        #[derive(serde::Deserialize)]
        struct Versioned {
            version: u32,
        }
        let Versioned { version } = serde_json::from_str(&text).map_err(|error| StateError::damaged(&path, error))?;
        if version != G::VERSION {
            return Err(StateError::Version { path, got: version, expected: G::VERSION });
        }
        serde_json::from_str(&text).map_err(|error| StateError::damaged(&path, error))
    }
}

fn entries(path: &Path) -> Result<Vec<String>, StateError> {
    let listed = fs::read_dir(path).map_err(|error| StateError::io(path, "list", error))?;
    listed
        .map(|entry| match entry {
            Ok(entry) => Ok(entry.file_name().to_string_lossy().into_owned()),
            Err(error) => Err(StateError::io(path, "list", error)),
        })
        .collect()
}

/// Name of the folder of the packed records that a generation added.
pub fn log_name(generation: u64) -> String {
    format!("{LOG}{generation:08}")
}

/// Refuses a folder that holds something else; one that is not there is fine.
fn refuse_foreign(path: &Path) -> Result<(), StateError> {
    if fs::exists(path).is_ok_and(|exists| !exists) {
        return Ok(());
    }
    match entries(path)?.into_iter().find(|name| !is_ours(name)) {
        Some(found) => Err(StateError::Foreign { path: path.to_path_buf(), found }),
        None => Ok(()),
    }
}

fn is_ours(name: &str) -> bool {
    // The writer stages and locks by hidden siblings of its target.
    let name = name.strip_prefix('.').unwrap_or(name);
    [CURRENT, CURRENT_STAGED, LOCK, RECORDS].contains(&name) || name.starts_with(GENERATION) || name.starts_with(LOG)
}

fn read_pointer(folder: &Path) -> Pointer {
    const SHOWN: usize = 40;
    match fs::read_to_string(folder.join(CURRENT)) {
        Ok(text) if text.trim() == NONE => Pointer::Nothing,
        Ok(text) => match number(text.trim(), GENERATION) {
            Some(generation) => Pointer::Names(generation),
            None => {
                let shown: String = text.trim().chars().take(SHOWN).collect();
                Pointer::Damaged(format!("it says {shown:?} and names no generation"))
            }
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Pointer::Damaged("it is missing, and generations or logs are there".to_owned())
        }
        Err(error) => Pointer::Damaged(error.to_string()),
    }
}

/// Swaps the pointer.
fn write_pointer(folder: &Path, text: &str) -> Result<(), StateError> {
    let (staged, pointer) = (folder.join(CURRENT_STAGED), folder.join(CURRENT));
    File::create(&staged)
        .and_then(|mut file| {
            file.write_all(format!("{text}\n").as_bytes())?;
            file.sync_all()
        })
        .map_err(|error| StateError::io(&staged, "write", error))?;
    if pointer.is_dir() {
        // Somebody's mistake, and damaged therefore: a rename does not replace it.
        let aside = folder.join(CURRENT_ASIDE);
        let _ = fs::remove_dir_all(&aside);
        fs::rename(&pointer, &aside).map_err(|error| StateError::io(&pointer, "move", error))?;
    }
    fs::rename(&staged, &pointer).map_err(|error| StateError::io(&pointer, "swap", error))?;
    entries_to_disk(folder).map_err(|error| StateError::io(folder, "sync folder", error))
}

/// The highest number of a generation or log; 0 where there is none.
fn highest_number(folder: &Path) -> Result<u64, StateError> {
    let names = entries(folder)?;
    let numbers = names.iter().filter_map(|name| number(name, GENERATION).or_else(|| number(name, LOG)));
    Ok(numbers.max().unwrap_or(0))
}

/// The number in the whole name of a generation or log: a name cut short has none.
fn number(name: &str, prefix: &str) -> Option<u64> {
    let number = name.strip_prefix(prefix)?.parse().ok()?;
    (number < u64::MAX && name == format!("{prefix}{number:08}")).then_some(number)
}

fn remove_unreferenced(folder: &Path, name: &str, kept: &BTreeSet<&str>) {
    for file in entries(folder).unwrap_or_default() {
        if file.ends_with(".parquet") && !kept.contains(format!("{name}/{file}").as_str()) {
            let _ = fs::remove_file(folder.join(file));
        }
    }
}
