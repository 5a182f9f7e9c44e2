//! Where a simulation's records come from: the history files, or a state that has taken them up. Both hand out the same.

use crate::fleet::dataset::Dataset;
use crate::fleet::error::FleetError;
use crate::fleet::kept::read::KeptHistories;
use crate::fleet::scan::{ChunkSink, ScanReport, ScanRequest, scan};
use crate::run::Control;

/// The histories of a dataset.
#[derive(Clone, Copy, Debug)]
pub struct Histories<'a> {
    pub dataset: &'a Dataset,
    /// `None`: as they stand in the files.
    pub kept: Option<&'a KeptHistories>,
}

impl Histories<'_> {
    /// As [`scan`]. Out of a state the account is that of tonight's files.
    pub fn scan(
        &self,
        request: &ScanRequest,
        control: &Control,
        sink: &dyn ChunkSink,
    ) -> Result<ScanReport, FleetError> {
        match self.kept {
            Some(kept) => kept.scan(self.dataset, request, control, sink),
            None => scan(self.dataset, request, control, sink),
        }
    }

    /// The day of the latest record, by the files' statistics or as it was taken up; `None` without records.
    pub fn latest_day(&self, control: &Control) -> Result<Option<i32>, FleetError> {
        match self.kept {
            Some(kept) => Ok(kept.latest_day()),
            None => self.dataset.latest_day(control),
        }
    }

    /// Rows of the files, by their metadata.
    pub fn rows(&self) -> u64 {
        match self.kept {
            Some(kept) => kept.history_rows(self.dataset),
            None => self.dataset.history_rows(),
        }
    }
}
