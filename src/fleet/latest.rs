//! The day of the latest record, which stands for today where nobody names a day, and that of the earliest.

use std::path::Path;

use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::columns::FileColumns;
use super::dataset::Dataset;
use super::error::FleetError;
use super::guard::guarded;
use super::history_file::HistoryFile;
use super::plan::{Bounds, RowGroup};
use super::row_groups::row_groups;
use crate::run::Control;

const BATCH_ROWS: usize = 1 << 16;

impl Dataset {
    /// The latest day (or integer period) of any row, by the files' statistics; where a file has none, its times are
    /// read. `None` if no row has a time. Rows of vehicles and files that later turn out to be unusable count too.
    pub fn latest_day(&self, control: &Control) -> Result<Option<i32>, FleetError> {
        Ok(self.latest_days(control)?.into_iter().filter_map(|(_, day)| day).max())
    }

    /// The earliest day (or integer period) of any row, by the files' statistics; `None` where a file has none.
    pub fn earliest_day(&self) -> Option<i32> {
        let mut earliest: Option<i32> = None;
        for (position, file) in self.histories.iter().enumerate() {
            let columns = FileColumns::find(file, &self.dictionary, &[], self.ids.kind()).ok()?;
            for row_group in row_groups(position, file, &columns, &self.dictionary) {
                match row_group.ticks {
                    Bounds::Within(first, _) => earliest = Some(earliest.map_or(first, |tick| tick.min(first))),
                    Bounds::Empty => {}
                    Bounds::Unknown => return None,
                }
            }
        }
        earliest.map(|tick| self.axis.day(tick))
    }

    /// As [`Self::latest_day`], file by file.
    pub fn latest_days(&self, control: &Control) -> Result<Vec<(&Path, Option<i32>)>, FleetError> {
        let mut days = Vec::with_capacity(self.histories.len());
        for (position, file) in self.histories.iter().enumerate() {
            let columns = FileColumns::find(file, &self.dictionary, &[], self.ids.kind())?;
            let mut latest: Option<i32> = None;
            for row_group in row_groups(position, file, &columns, &self.dictionary) {
                control.check()?;
                let last = match row_group.ticks {
                    Bounds::Within(_, last) => Some(last),
                    Bounds::Empty => None,
                    Bounds::Unknown => read_latest(file, &row_group, self, control)?,
                };
                latest = latest.max(last);
            }
            days.push((file.path().as_path(), latest.map(|tick| self.axis.day(tick))));
        }
        Ok(days)
    }
}

/// The latest tick of a row group. One that cannot be decoded has none: a scan will leave its file out.
fn read_latest(
    file: &HistoryFile,
    row_group: &RowGroup,
    dataset: &Dataset,
    control: &Control,
) -> Result<Option<i32>, FleetError> {
    let schema = file.metadata.schema();
    let root = schema.column_with_name(&dataset.dictionary.histories.time).map(|(root, _)| root);
    let mask = ProjectionMask::roots(file.metadata.parquet_schema(), root);
    let ranged = file.reopen()?;
    let build = || {
        ParquetRecordBatchReaderBuilder::new_with_metadata(ranged.share(), file.metadata.clone())
            .with_projection(mask)
            .with_row_groups(vec![row_group.index])
            .with_batch_size(BATCH_ROWS)
            .build()
    };
    let Ok(Ok(mut decoder)) = guarded(build) else { return Ok(None) };
    let (mut ticks, mut faults) = (Vec::new(), Vec::new());
    let mut latest = None;
    loop {
        control.check()?;
        let batch = match guarded(|| decoder.next()) {
            Ok(Some(Ok(batch))) => batch,
            Ok(None) => return Ok(latest),
            _ => return Ok(None),
        };
        ticks.clear();
        faults.clear();
        // A partition's time has bounds, so the column that is read here is the file's own.
        let Some(time) = batch.columns().first() else { return Ok(None) };
        dataset.axis.ticks(time, &mut ticks, &mut faults)?;
        let mut fault = faults.iter().peekable();
        let usable = ticks.iter().enumerate().filter(|(row, _)| fault.next_if(|(at, _)| at == row).is_none());
        latest = latest.max(usable.map(|(_, tick)| *tick).max());
    }
}
