//! The history files whose rows a state has, and what became of those rows.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::fleet::manifest::{ManifestAccount, ManifestInput, ReadBy};
use crate::fleet::scan::ScanReport;
use crate::fleet::stamp::Stamp;

/// A history file whose rows the state has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsumedFile {
    /// Relative to the folder of `dataset.toml` where it lies below it.
    pub path: PathBuf,
    #[serde(flatten)]
    pub stamp: Stamp,
    pub blake3: String,
    pub rows: u64,
    /// It may hold rows after the as-of day of that night: they are looked for again.
    pub pending: bool,
}

/// A path as the state keeps it: relative to `base` where it lies below, so that a dataset may move as a whole.
pub fn kept_path(path: &Path, base: &Path) -> PathBuf {
    path.strip_prefix(base).unwrap_or(path).to_path_buf()
}

/// The files of earlier nights and tonight's, by path.
pub fn consumed(
    earlier: &[ConsumedFile],
    report: &ScanReport,
    pending: &BTreeSet<PathBuf>,
    base: &Path,
) -> Vec<ConsumedFile> {
    let mut files: BTreeMap<PathBuf, ConsumedFile> =
        earlier.iter().map(|file| (file.path.clone(), file.clone())).collect();
    // A file that could not be read has no rows in the sums; should it be mended, it is new.
    let unreadable: BTreeSet<&Path> = report.unreadable.iter().map(|file| file.path.as_path()).collect();
    for input in report.inputs.iter().filter(|input| !unreadable.contains(input.path.as_path())) {
        let path = kept_path(&input.path, base);
        let file = ConsumedFile {
            path: path.clone(),
            stamp: input.stamp,
            blake3: input.blake3.clone(),
            rows: input.rows,
            pending: pending.contains(&input.path),
        };
        files.insert(path, file);
    }
    files.into_values().collect()
}

/// Rows of all nights: a row that several nights looked at counts each time.
pub fn added(earlier: &ManifestAccount, tonight: &ManifestAccount) -> ManifestAccount {
    let mut sum = earlier.clone();
    sum.rows_in += tonight.rows_in;
    sum.scored += tonight.scored;
    for (sums, counts) in [(&mut sum.quarantined, &tonight.quarantined), (&mut sum.skipped, &tonight.skipped)] {
        for (reason, rows) in counts {
            *sums.entry(reason.clone()).or_default() += rows;
        }
    }
    for (channel, reasons) in &tonight.not_available {
        let sums = sum.not_available.entry(channel.clone()).or_default();
        for (reason, cells) in reasons {
            *sums.entry(reason.clone()).or_default() += cells;
        }
    }
    sum
}

/// The history files that earlier nights read and this one did not: a result has their rows too.
pub fn earlier_inputs(consumed: &[ConsumedFile], tonight: &ScanReport, base: &Path) -> Vec<ManifestInput> {
    let read: BTreeSet<&Path> = tonight.inputs.iter().map(|file| file.path.as_path()).collect();
    let earlier = consumed.iter().map(|file| (base.join(&file.path), file));
    earlier
        .filter(|(path, _)| !read.contains(path.as_path()))
        .map(|(path, file)| ManifestInput {
            table: "histories".to_owned(),
            path: path.to_string_lossy().into_owned(),
            bytes: file.stamp.bytes,
            rows: file.rows,
            blake3: file.blake3.clone(),
            read: ReadBy::Earlier,
        })
        .collect()
}
