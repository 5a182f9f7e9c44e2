//! The output folder: staged in a hidden sibling, fsynced, renamed into place.
//!
//! For a target `out/scores` the run holds a lock on `out/.scores.fleetwear-lock` and writes into
//! `out/.scores.fleetwear-staging`. Who holds the lock owns the staging folder, so one found there was left by a
//! killed run and is removed. The commit is one `rename` of the staging folder onto the target, which the operating
//! system refuses if the target has meanwhile become a non-empty folder: of two runs exactly one commits.

use std::fs::{self, File, TryLockError};
use std::io::Write;
use std::path::{Component, Path, PathBuf};
use std::sync::Mutex;

use arrow::datatypes::SchemaRef;
use parquet::file::properties::WriterProperties;
use serde::Serialize;

use super::error::WriteError;
use super::part::{PartWriter, TableSpec, TableWriter};
use crate::fleet::manifest::{Manifest, ManifestPart};

/// Name of the manifest inside an output folder.
pub const MANIFEST: &str = "manifest.json";
/// Empty file that says: this folder is complete.
pub const SUCCESS: &str = "_SUCCESS";

/// A result in the making. Dropped without [`OutputFolder::finish`], it leaves nothing behind.
#[derive(Debug)]
pub struct OutputFolder {
    target: PathBuf,
    staging: PathBuf,
    lock_path: PathBuf,
    /// Held until the folder is dropped.
    _lock: File,
    /// Ancestors of the target that this run made, outermost first.
    made_parents: Vec<PathBuf>,
    files: Mutex<Vec<ManifestPart>>,
    committed: bool,
}

impl OutputFolder {
    /// Begins a result at `target`, which must not exist or be an empty folder. Missing parents are made.
    pub fn create(target: &Path) -> Result<Self, WriteError> {
        let target = resolve(target)?;
        refuse_used(&target)?;
        let invalid = |problem| WriteError::InvalidPath { path: target.clone(), problem };
        let parent = target.parent().ok_or_else(|| invalid("it has no parent folder"))?.to_path_buf();
        let name = target.file_name().ok_or_else(|| invalid("it names no folder"))?;
        let hidden = |suffix: &str| {
            let mut hidden = std::ffi::OsString::from(".");
            hidden.push(name);
            hidden.push(suffix);
            parent.join(hidden)
        };
        let made_parents =
            make_folders(&parent, entries_to_disk).map_err(|error| WriteError::io(&parent, "make folder", error))?;
        let (staging, lock_path) = (hidden(".fleetwear-staging"), hidden(".fleetwear-lock"));
        let lock = match take_lock(&lock_path, &target) {
            Ok(lock) => lock,
            Err(error) => {
                remove_made(&made_parents);
                return Err(error);
            }
        };
        // From here on, dropping the folder cleans up.
        let folder = Self {
            target,
            staging,
            lock_path,
            _lock: lock,
            made_parents,
            files: Mutex::new(Vec::new()),
            committed: false,
        };
        // Another run may have committed between the first look and the lock.
        refuse_used(&folder.target)?;
        if folder.staging.symlink_metadata().is_ok() {
            fs::remove_dir_all(&folder.staging)
                .map_err(|error| WriteError::io(&folder.staging, "remove the leftover of a killed run in", error))?;
        }
        fs::create_dir(&folder.staging).map_err(|error| WriteError::io(&folder.staging, "make folder", error))?;
        Ok(folder)
    }

    /// Where the result will appear.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Where the result waits until it is complete: what is made and removed again meanwhile has room here.
    pub fn staging(&self) -> &Path {
        &self.staging
    }

    /// Opens the Parquet file `relative` (such as `scores/part-00003.parquet`). Several may be open at once, in
    /// several threads: whoever owns a range of rows writes its part.
    pub fn part_writer(&self, relative: &str, spec: &TableSpec) -> Result<PartWriter<'_>, WriteError> {
        PartWriter::open(self, relative, spec)
    }

    /// As [`Self::part_writer`] for a file whose storage the caller settles itself.
    pub fn part_writer_with(
        &self,
        relative: &str,
        schema: &SchemaRef,
        properties: WriterProperties,
    ) -> Result<PartWriter<'_>, WriteError> {
        PartWriter::open_with(self, relative, schema, properties)
    }

    /// Writes a table in row order, cut into `<table>/part-NNNNN.parquet` of [`TableSpec::rows_per_part`] rows.
    pub fn table_writer(&self, spec: TableSpec) -> TableWriter<'_> {
        TableWriter::new(self, spec)
    }

    /// Writes a small file whole.
    pub fn write_file(&self, relative: &str, bytes: &[u8]) -> Result<(), WriteError> {
        let (path, mut file) = self.create_file(relative)?;
        file.write_all(bytes).map_err(|error| WriteError::io(&path, "write", error))?;
        file.sync_all().map_err(|error| WriteError::io(&path, "sync", error))?;
        self.record(ManifestPart {
            path: relative.to_owned(),
            rows: None,
            bytes: bytes.len() as u64,
            blake3: blake3::hash(bytes).to_hex().to_string(),
        });
        Ok(())
    }

    /// Writes a value as JSON that people can read.
    pub fn write_json(&self, relative: &str, value: &impl Serialize) -> Result<(), WriteError> {
        let mut json = serde_json::to_vec_pretty(value)
            .map_err(|source| WriteError::Json { path: self.target.join(relative), source })?;
        json.push(b'\n');
        self.write_file(relative, &json)
    }

    /// The files written so far, sorted by path.
    pub fn files(&self) -> Vec<ManifestPart> {
        let mut files = match self.files.lock() {
            Ok(files) => files.clone(),
            Err(poisoned) => poisoned.into_inner().clone(),
        };
        files.sort_by(|a, b| a.path.cmp(&b.path));
        files
    }

    /// Writes the manifest with the list of files, makes everything durable, and renames it into place. The manifest
    /// is handed back as written.
    pub fn finish(mut self, mut manifest: Manifest) -> Result<Manifest, WriteError> {
        manifest.parts = self.files();
        let manifest_path = self.staging.join(MANIFEST);
        let mut text = serde_json::to_string_pretty(&manifest)
            .map_err(|source| WriteError::Json { path: manifest_path.clone(), source })?;
        text.push('\n');
        for (name, bytes) in [(MANIFEST, text.as_bytes()), (SUCCESS, &[][..])] {
            let (path, mut file) = self.create_file(name)?;
            file.write_all(bytes).map_err(|error| WriteError::io(&path, "write", error))?;
            file.sync_all().map_err(|error| WriteError::io(&path, "sync", error))?;
        }
        sync_folders(&self.staging)?;
        refuse_used(&self.target)?;
        // Only POSIX lets a rename replace an empty folder.
        #[cfg(not(unix))]
        if self.target.exists() {
            fs::remove_dir(&self.target).map_err(|error| WriteError::io(&self.target, "replace", error))?;
        }
        fs::rename(&self.staging, &self.target).map_err(|error| match error.kind() {
            std::io::ErrorKind::DirectoryNotEmpty
            | std::io::ErrorKind::AlreadyExists
            | std::io::ErrorKind::NotADirectory => WriteError::Conflict { path: self.target.clone() },
            _ => WriteError::io(&self.target, "rename the staged result to", error),
        })?;
        self.committed = true;
        if let Some(parent) = self.target.parent() {
            sync_folder(parent)?;
        }
        Ok(manifest)
    }

    /// Makes a new file of the staging folder, with the folders it needs.
    pub(super) fn create_file(&self, relative: &str) -> Result<(PathBuf, File), WriteError> {
        let inside = Path::new(relative);
        // A name from data must not lead out of the folder.
        let confined = !relative.is_empty()
            && inside.components().all(|component| matches!(component, Component::Normal(_)))
            && !relative.contains(['\\', '\0']);
        if !confined {
            return Err(WriteError::InvalidPath {
                path: inside.to_path_buf(),
                problem: "it must be a plain relative path below the output folder",
            });
        }
        let path = self.staging.join(inside);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(|error| WriteError::io(folder, "make folder", error))?;
        }
        let file = File::create_new(&path).map_err(|error| WriteError::io(&path, "make file", error))?;
        Ok((path, file))
    }

    /// Lists a finished file in the manifest.
    pub(super) fn record(&self, part: ManifestPart) {
        match self.files.lock() {
            Ok(mut files) => files.push(part),
            Err(poisoned) => poisoned.into_inner().push(part),
        }
    }
}

impl Drop for OutputFolder {
    fn drop(&mut self) {
        // Best effort: nobody is left to hear about a failure, and the next run removes what remains.
        if !self.committed {
            let _ = fs::remove_dir_all(&self.staging);
        }
        // Unlinked while still locked; `take_lock` notices that its file is no longer the one by that name.
        let _ = fs::remove_file(&self.lock_path);
        if !self.committed {
            remove_made(&self.made_parents);
        }
    }
}

/// An absolute path with the links of an existing target followed, so that the rename replaces the folder itself.
fn resolve(target: &Path) -> Result<PathBuf, WriteError> {
    if target.symlink_metadata().is_ok() {
        return fs::canonicalize(target).map_err(|error| WriteError::io(target, "follow", error));
    }
    std::path::absolute(target).map_err(|error| WriteError::io(target, "locate", error))
}

/// Refuses a target that holds anything.
fn refuse_used(target: &Path) -> Result<(), WriteError> {
    match fs::read_dir(target) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(WriteError::Conflict { path: target.to_path_buf() }),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => {
            Err(WriteError::InvalidPath { path: target.to_path_buf(), problem: "it, or a parent of it, is a file" })
        }
        Err(error) => Err(WriteError::io(target, "look into", error)),
    }
}

/// Makes a folder and its missing ancestors, durably: `sync` is given every folder that got a new entry. Says which were
/// made, outermost first; on failure none remains. The path must be absolute.
pub(crate) fn make_folders(
    folder: &Path,
    sync: impl Fn(&Path) -> std::io::Result<()>,
) -> std::io::Result<Vec<PathBuf>> {
    let mut missing: Vec<PathBuf> =
        folder.ancestors().take_while(|ancestor| !ancestor.exists()).map(Path::to_path_buf).collect();
    missing.reverse();
    let synced = || missing.iter().filter_map(|made| made.parent()).try_for_each(&sync);
    match fs::create_dir_all(folder).and_then(|()| synced()) {
        Ok(()) => Ok(missing),
        Err(error) => {
            remove_made(&missing);
            Err(error)
        }
    }
}

/// Removes folders that this run made, as far as they are empty.
fn remove_made(made: &[PathBuf]) {
    for folder in made.iter().rev() {
        let _ = fs::remove_dir(folder);
    }
}

/// Locks `lock_path`, or says that another run holds it.
fn take_lock(lock_path: &Path, target: &Path) -> Result<File, WriteError> {
    loop {
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(lock_path)
            .map_err(|error| WriteError::io(lock_path, "make lock file", error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(WriteError::InUse { path: target.to_path_buf() }),
            Err(TryLockError::Error(error)) => return Err(WriteError::io(lock_path, "lock", error)),
        }
        // The previous owner may have unlinked this very file between our opening and locking it.
        if is_same_file(&lock, lock_path)? {
            return Ok(lock);
        }
    }
}

#[cfg(unix)]
fn is_same_file(open: &File, path: &Path) -> Result<bool, WriteError> {
    use std::os::unix::fs::MetadataExt;
    let ours = open.metadata().map_err(|error| WriteError::io(path, "look at", error))?;
    match fs::symlink_metadata(path) {
        Ok(named) => Ok(named.dev() == ours.dev() && named.ino() == ours.ino()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(WriteError::io(path, "look at", error)),
    }
}

/// Elsewhere an open file keeps its name, so whoever has it locked owns the name.
#[cfg(not(unix))]
fn is_same_file(_open: &File, _path: &Path) -> Result<bool, WriteError> {
    Ok(true)
}

/// Makes the entries of a folder and of all folders below it durable.
fn sync_folders(folder: &Path) -> Result<(), WriteError> {
    for entry in fs::read_dir(folder).map_err(|error| WriteError::io(folder, "list", error))? {
        let entry = entry.map_err(|error| WriteError::io(folder, "list", error))?;
        if entry.file_type().map_err(|error| WriteError::io(folder, "list", error))?.is_dir() {
            sync_folders(&entry.path())?;
        }
    }
    sync_folder(folder)
}

fn sync_folder(folder: &Path) -> Result<(), WriteError> {
    entries_to_disk(folder).map_err(|error| WriteError::io(folder, "sync folder", error))
}

/// Makes the entries of a folder durable. One that may be written but not read is left to the system.
#[cfg(unix)]
pub(crate) fn entries_to_disk(folder: &Path) -> std::io::Result<()> {
    match File::open(folder) {
        Ok(handle) => handle.sync_all(),
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Ok(()),
        Err(error) => Err(error),
    }
}

/// Folders cannot be opened for syncing elsewhere; the file system journals their entries.
#[cfg(not(unix))]
pub(crate) fn entries_to_disk(_folder: &Path) -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn every_folder_with_a_new_entry_is_synced() {
        let place = tempfile::tempdir().unwrap();
        let base = fs::canonicalize(place.path()).unwrap();
        let synced = RefCell::new(Vec::new());
        let sync = |folder: &Path| {
            synced.borrow_mut().push(folder.to_path_buf());
            entries_to_disk(folder)
        };
        let (a, b) = (base.join("a"), base.join("a/b"));
        assert_eq!(make_folders(&b.join("c"), sync).unwrap(), [a.clone(), b.clone(), b.join("c")]);
        assert_eq!(synced.take(), [base.clone(), a, b.clone()]);
        assert!(make_folders(&b, sync).unwrap().is_empty());
        assert!(synced.take().is_empty(), "nothing is new");

        let full = |_: &Path| Err(std::io::Error::from(std::io::ErrorKind::StorageFull));
        let error = make_folders(&base.join("x/y"), full).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
        assert!(!base.join("x").exists());
    }
}
