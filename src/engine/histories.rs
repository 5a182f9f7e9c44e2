//! Where a simulation's records come from: the history files, or a state that has taken them up. Both hand out the same.

use std::sync::atomic::{AtomicI32, Ordering};

use crate::fleet::chunk::{Chunk, Order};
use crate::fleet::dataset::Dataset;
use crate::fleet::error::FleetError;
use crate::fleet::kept::read::KeptHistories;
use crate::fleet::scan::{ChunkSink, ScanReport, ScanRequest, SinkError, scan};
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

    /// The day of the latest record that can be used: of rows that cannot, statistics of files say nothing. The files'
    /// times are read, and no channel.
    pub fn latest_used_day(&self, request: &ScanRequest, control: &Control) -> Result<Option<i32>, FleetError> {
        if let Some(kept) = self.kept {
            return Ok(kept.latest_day());
        }
        let latest = Latest(AtomicI32::new(i32::MIN));
        let request =
            ScanRequest { channels: Vec::new(), order: Order::Any, as_of_day: None, shard: None, ..request.clone() };
        scan(self.dataset, &request, control, &latest)?;
        let tick = latest.0.into_inner();
        Ok((tick > i32::MIN).then(|| self.dataset.axis.day(tick)))
    }

    /// Rows of the files, by their metadata.
    pub fn rows(&self) -> u64 {
        match self.kept {
            Some(kept) => kept.history_rows(self.dataset),
            None => self.dataset.history_rows(),
        }
    }
}

/// Keeps the latest tick alone.
struct Latest(AtomicI32);

impl ChunkSink for Latest {
    fn push(&self, _: usize, chunk: &Chunk) -> Result<(), SinkError> {
        if let Some(&tick) = chunk.tick.iter().max() {
            self.0.fetch_max(tick, Ordering::Relaxed);
        }
        Ok(())
    }

    fn restart(&self) -> Result<(), SinkError> {
        self.0.store(i32::MIN, Ordering::Relaxed);
        Ok(())
    }
}
