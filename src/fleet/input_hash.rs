//! BLAKE3 hashes of the input files, each formed once a scan, by whichever thread reads the file's last row group.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::error::FleetError;
use super::pool::lock;
use crate::run::Control;

const BUFFER_BYTES: usize = 1 << 18;

/// The hashes so far, by path.
pub(crate) struct InputHashes {
    wanted: bool,
    hashes: Mutex<BTreeMap<PathBuf, String>>,
}

impl InputHashes {
    pub fn new(wanted: bool) -> Self {
        Self { wanted, hashes: Mutex::default() }
    }

    /// Hashes a file, if hashes are wanted and it has none.
    pub fn hash(&self, path: &Path, control: &Control) -> Result<(), FleetError> {
        if !self.wanted || lock(&self.hashes).contains_key(path) {
            return Ok(());
        }
        let fail = |source| FleetError::io(path, source);
        let mut file = File::open(path).map_err(fail)?;
        let mut hasher = blake3::Hasher::new();
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            control.check()?;
            match file.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => {
                    hasher.update(&buffer[..read]);
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(fail(error)),
            }
        }
        lock(&self.hashes).insert(path.to_path_buf(), hasher.finalize().to_hex().to_string());
        Ok(())
    }

    /// The hash of a file in hex; empty if it was not asked for.
    pub fn of(&self, path: &Path) -> String {
        lock(&self.hashes).get(path).cloned().unwrap_or_default()
    }
}
