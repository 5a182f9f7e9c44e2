//! BLAKE3 hashes of the input files, each formed once a scan.
//!
//! A hash follows the reading. A row group that was read at once is hashed from memory, if all bytes before it are
//! hashed. Whoever is done with a row group sees to it that its share of the file is hashed, if need be by reading it
//! again, so that no thread is left with a whole file when all others are done.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};

use super::error::FleetError;
use super::history_file::Held;
use super::pool::lock;
use crate::run::Control;

const BUFFER_BYTES: usize = 1 << 18;

/// The hashes so far, by path.
pub(crate) struct InputHashes {
    wanted: bool,
    begun: Mutex<BTreeMap<PathBuf, Arc<Mutex<Begun>>>>,
    hashes: Mutex<BTreeMap<PathBuf, String>>,
}

/// A file of which the first bytes are hashed.
#[derive(Default)]
struct Begun {
    hasher: blake3::Hasher,
    hashed_bytes: u64,
}

impl InputHashes {
    pub fn new(wanted: bool) -> Self {
        Self { wanted, begun: Mutex::default(), hashes: Mutex::default() }
    }

    /// Hashes the bytes in memory that follow those hashed already; a small gap before them is read.
    pub fn take(&self, path: &Path, held: &Held, control: &Control) -> Result<(), FleetError> {
        if !self.wanted || held.bytes.is_empty() || lock(&self.hashes).contains_key(path) {
            return Ok(());
        }
        let begun = self.begun(path);
        let mut begun = begun.lock().unwrap_or_else(PoisonError::into_inner);
        if held.start.saturating_sub(begun.hashed_bytes) <= BUFFER_BYTES as u64 {
            begun.hash(path, held.start, control)?;
        }
        let next = held.since(begun.hashed_bytes);
        begun.hasher.update(&next);
        begun.hashed_bytes += next.len() as u64;
        Ok(())
    }

    /// Hashes a file up to this byte, unless another thread is about it.
    pub fn advance(&self, path: &Path, to_byte: u64, control: &Control) -> Result<(), FleetError> {
        if !self.wanted || lock(&self.hashes).contains_key(path) {
            return Ok(());
        }
        let begun = self.begun(path);
        let mut begun = match begun.try_lock() {
            Ok(begun) => begun,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Ok(()),
        };
        begun.hash(path, to_byte, control)
    }

    /// Hashes the rest of a file, if hashes are wanted and it has none.
    pub fn hash(&self, path: &Path, control: &Control) -> Result<(), FleetError> {
        if !self.wanted || lock(&self.hashes).contains_key(path) {
            return Ok(());
        }
        let begun = self.begun(path);
        let mut begun = begun.lock().unwrap_or_else(PoisonError::into_inner);
        begun.hash(path, u64::MAX, control)?;
        lock(&self.hashes).insert(path.to_path_buf(), begun.hasher.finalize().to_hex().to_string());
        lock(&self.begun).remove(path);
        Ok(())
    }

    fn begun(&self, path: &Path) -> Arc<Mutex<Begun>> {
        lock(&self.begun).entry(path.to_path_buf()).or_default().clone()
    }

    /// The hash of a file in hex; empty if it was not asked for.
    pub fn of(&self, path: &Path) -> String {
        lock(&self.hashes).get(path).cloned().unwrap_or_default()
    }
}

impl Begun {
    fn hash(&mut self, path: &Path, to_byte: u64, control: &Control) -> Result<(), FleetError> {
        if to_byte <= self.hashed_bytes {
            return Ok(());
        }
        let fail = |source| FleetError::io(path, source);
        let mut file = File::open(path).map_err(fail)?;
        file.seek(SeekFrom::Start(self.hashed_bytes)).map_err(fail)?;
        let mut buffer = vec![0; BUFFER_BYTES];
        while self.hashed_bytes < to_byte {
            control.check()?;
            let most = usize::try_from(to_byte - self.hashed_bytes).unwrap_or(BUFFER_BYTES).min(BUFFER_BYTES);
            match file.read(&mut buffer[..most]) {
                Ok(0) => break,
                Ok(read) => {
                    self.hasher.update(&buffer[..read]);
                    self.hashed_bytes += read as u64;
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(fail(error)),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_memory_is_hashed_where_it_follows() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let bytes: Vec<u8> = (0..4 * BUFFER_BYTES).map(|byte| (byte / 7) as u8).collect();
        // What is in memory is told apart from the file: only the hash of the former comes out.
        let file: Vec<u8> =
            bytes.iter().enumerate().map(|(at, byte)| byte ^ u8::from((9..5000).contains(&at))).collect();
        std::fs::write(&path, &file).unwrap();
        let held = |from: usize, to: usize| Held { start: from as u64, bytes: bytes[from..to].to_vec().into() };
        let control = Control::silent();
        let hashes = InputHashes::new(true);
        for held in [held(3 * BUFFER_BYTES, 4 * BUFFER_BYTES - 1), held(4, 5000), held(4, 6000), held(0, 10)] {
            hashes.take(&path, &held, &control).unwrap();
        }
        hashes.hash(&path, &control).unwrap();
        assert_eq!(hashes.of(&path), blake3::hash(&bytes).to_hex().to_string());
    }

    #[test]
    fn a_hash_in_steps_is_that_of_the_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let bytes: Vec<u8> = (0..3 * BUFFER_BYTES + 17).map(|byte| (byte / 7) as u8).collect();
        std::fs::write(&path, &bytes).unwrap();
        let control = Control::silent();
        let hashes = InputHashes::new(true);
        for to_byte in [0, 100, 50, BUFFER_BYTES as u64 + 1] {
            hashes.advance(&path, to_byte, &control).unwrap();
            assert_eq!(hashes.of(&path), "");
        }
        hashes.hash(&path, &control).unwrap();
        let wanted = blake3::hash(&bytes).to_hex().to_string();
        assert_eq!(hashes.of(&path), wanted);
        hashes.advance(&path, u64::MAX, &control).unwrap();
        hashes.hash(&path, &control).unwrap();
        assert_eq!(hashes.of(&path), wanted);
        let unwanted = InputHashes::new(false);
        unwanted.hash(&path, &control).unwrap();
        assert_eq!(unwanted.of(&path), "");
    }
}
