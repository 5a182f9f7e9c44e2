//! What tells, without reading a file, that it may have changed: length, time of modification, and the time of change
//! of its inode, which no program can set back.
//!
//! Units: nanoseconds since 1970, kept within 1677 to 2262.

use std::fs::Metadata;
use std::path::Path;
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use super::error::FleetError;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    pub bytes: u64,
    pub modified_ns: i64,
    /// Of the inode: content, name or rights. Zero where the system has no such time, or nobody noted it.
    #[serde(default)]
    pub changed_ns: i64,
}

impl Stamp {
    pub fn of(path: &Path) -> Result<Self, FleetError> {
        std::fs::metadata(path).map(|metadata| Self::from(&metadata)).map_err(|source| FleetError::io(path, source))
    }

    /// Whether a file is as it was some moments ago, as far as its length and time of modification tell. A backup that
    /// links to it, or new rights, do not matter while it is read.
    pub fn is_as_written(&self, other: &Self) -> bool {
        (self.bytes, self.modified_ns) == (other.bytes, other.modified_ns)
    }
}

impl From<&Metadata> for Stamp {
    fn from(metadata: &Metadata) -> Self {
        let modified = metadata.modified().unwrap_or(UNIX_EPOCH);
        let modified_ns = match modified.duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |since| -since),
        };
        Self { bytes: metadata.len(), modified_ns, changed_ns: changed_ns(metadata) }
    }
}

#[cfg(unix)]
fn changed_ns(metadata: &Metadata) -> i64 {
    use std::os::unix::fs::MetadataExt;
    metadata.ctime().saturating_mul(1_000_000_000).saturating_add(metadata.ctime_nsec())
}

#[cfg(not(unix))]
fn changed_ns(_metadata: &Metadata) -> i64 {
    0
}
