//! From a row group to packed columns: decoding, sorting out the rows that cannot be used, vehicle indices, ticks,
//! codes. Only the columns that are needed are decoded, a batch at a time.

use arrow::array::{ArrayRef, BooleanArray};
use arrow::compute::filter;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::columns::FileColumns;
use super::dictionary::Dictionary;
use super::error::FleetError;
use super::guard::guarded;
use super::history_file::{HistoryFile, RangedFile};
use super::ids::{IdReader, IdTable, NO_VEHICLE};
use super::pack::Filling;
use super::plan::RowGroup;
use super::pool::Stop;
use super::shard::in_shard;
use super::tally::Tally;
use super::time::{TickFault, TimeAxis};
use crate::run::{Control, Event};

/// What all threads of a pass know.
pub(crate) struct Context<'a> {
    pub dictionary: &'a Dictionary,
    pub files: &'a [HistoryFile],
    pub columns: &'a [FileColumns],
    pub ids: &'a IdTable,
    pub axis: TimeAxis,
    /// Channels to fill (indices into the dictionary's), operands of derived ones before them.
    pub fill: &'a [usize],
    /// How each of them is filled.
    pub fillings: &'a [Filling<'a>],
    /// Where each requested channel stands in `fill`.
    pub wanted: &'a [usize],
    /// By file: ticks up to this one were taken by an earlier scan and are skipped.
    pub taken_to_tick: &'a [Option<i32>],
    /// Later ticks are skipped.
    pub last_tick: i32,
    pub shard: Option<(u32, u32)>,
    pub batch_rows: usize,
    pub control: &'a Control<'a>,
}

/// The usable rows of one decoded batch. Codes are formed when the rows are packed.
#[derive(Default)]
pub(crate) struct Batch {
    pub vehicle: Vec<u32>,
    pub tick: Vec<i32>,
    /// One a channel to fill, `None` where it is not read from a column.
    pub columns: Vec<Option<ArrayRef>>,
    faults: Vec<(usize, TickFault)>,
}

/// Reads one row group.
pub(crate) struct RowGroupReader<'a> {
    context: &'a Context<'a>,
    file: usize,
    row_group: &'a RowGroup,
    decoder: ParquetRecordBatchReader,
    ranged: RangedFile,
    ids: IdReader<'a>,
    decoded_rows: u64,
}

/// Why a row group gave no more rows.
pub(crate) enum ReadError {
    /// The file cannot be decoded.
    Unreadable(String),
    Stop(Stop),
}

impl From<FleetError> for ReadError {
    fn from(error: FleetError) -> Self {
        ReadError::Stop(Stop::Error(error))
    }
}

impl<'a> RowGroupReader<'a> {
    pub fn open(context: &'a Context<'a>, row_group: &'a RowGroup) -> Result<Self, ReadError> {
        let internal = || FleetError::Internal { what: format!("no file {}", row_group.file) };
        let file = context.files.get(row_group.file).ok_or_else(internal)?;
        let columns = context.columns.get(row_group.file).ok_or_else(internal)?;
        let ranged = file.reopen()?;
        let build = || {
            ParquetRecordBatchReaderBuilder::new_with_metadata(ranged.share(), file.metadata.clone())
                .with_projection(columns.mask.clone())
                .with_row_groups(vec![row_group.index])
                .with_batch_size(context.batch_rows)
                .build()
        };
        let decoder = match guarded(build) {
            Ok(Ok(decoder)) => decoder,
            Ok(Err(error)) => return Err(failure(file, &ranged, error.to_string())),
            Err(problem) => return Err(failure(file, &ranged, problem)),
        };
        let column = &context.dictionary.histories.vehicle;
        let ids = context.ids.reader(&columns.vehicle_type, file.path(), column)?;
        Ok(Self { context, file: row_group.file, row_group, decoder, ranged, ids, decoded_rows: 0 })
    }

    /// Decodes the next batch and leaves its usable rows in `batch`; false at the end of the row group. A row group
    /// that holds another number of rows than its metadata says is unreadable.
    pub fn next(&mut self, batch: &mut Batch, tally: &mut Tally) -> Result<bool, ReadError> {
        let Some((columns, rows)) = self.decode()? else { return Ok(false) };
        self.context.control.emit(Event::Rows(rows as u64));
        self.sort_out(columns, rows, batch, tally)?;
        Ok(true)
    }

    /// Decodes what is left and does nothing with it, to learn whether it can be decoded.
    pub fn drain(&mut self) -> Result<(), ReadError> {
        while self.decode()?.is_some() {}
        Ok(())
    }

    fn decode(&mut self) -> Result<Option<(Vec<ArrayRef>, usize)>, ReadError> {
        self.context.control.check().map_err(|interrupted| ReadError::Stop(interrupted.into()))?;
        let file = &self.context.files[self.file];
        let next = guarded(|| self.decoder.next());
        let claimed = self.row_group.rows;
        let fail = |problem| Err(failure(file, &self.ranged, problem));
        match next {
            Ok(Some(Ok(decoded))) => {
                let rows = decoded.num_rows();
                self.decoded_rows += rows as u64;
                if self.decoded_rows > claimed {
                    return fail(format!("row group {} holds more than its {claimed} rows", self.row_group.index));
                }
                Ok(Some((decoded.columns().to_vec(), rows)))
            }
            Ok(None) if self.decoded_rows == claimed => Ok(None),
            Ok(None) => {
                let held = self.decoded_rows;
                fail(format!("row group {} claims {claimed} rows and holds {held}", self.row_group.index))
            }
            Ok(Some(Err(error))) => fail(error.to_string()),
            Err(problem) => fail(problem),
        }
    }

    fn sort_out(
        &mut self,
        decoded: Vec<ArrayRef>,
        rows: usize,
        batch: &mut Batch,
        tally: &mut Tally,
    ) -> Result<(), FleetError> {
        let columns = &self.context.columns[self.file];
        batch.vehicle.clear();
        batch.tick.clear();
        batch.faults.clear();
        let mut vehicle = columns.vehicle.array(&decoded, rows)?;
        let time = columns.time.array(&decoded, rows)?;
        self.context.axis.ticks(&time, &mut batch.tick, &mut batch.faults)?;
        let channels = columns.channels.iter().map(|channel| match channel {
            Some((place, _)) => place.array(&decoded, rows).map(Some),
            None => Ok(None),
        });
        batch.columns = channels.collect::<Result<_, _>>()?;

        if let Some(shard) = self.context.shard {
            let own = in_shard(&vehicle, shard).map_err(internal)?;
            let others = own.iter().filter(|own| !**own).count();
            if others > 0 {
                tally.other_shard += others as u64;
                vehicle = filter(vehicle.as_ref(), &BooleanArray::from(own.clone())).map_err(internal)?;
                batch.keep(&own)?;
            }
        }
        self.ids.index(&vehicle, &mut batch.vehicle)?;
        let last_tick = self.context.last_tick;
        let taken_to_tick = self.context.taken_to_tick.get(self.file).copied().flatten();
        let all_usable = batch.faults.is_empty()
            && taken_to_tick.is_none()
            && batch.tick.iter().fold(true, |fine, &tick| fine & (tick <= last_tick))
            && batch.vehicle.iter().fold(true, |fine, &vehicle| fine & (vehicle != NO_VEHICLE));
        if all_usable {
            return Ok(());
        }
        let mut faults = batch.faults.iter().peekable();
        let mut usable = Vec::with_capacity(batch.vehicle.len());
        for (row, (&vehicle, &tick)) in batch.vehicle.iter().zip(&batch.tick).enumerate() {
            let fault = faults.next_if(|(at, _)| *at == row).map(|(_, fault)| *fault);
            let reason = match (vehicle, fault) {
                (NO_VEHICLE, _) => Some(&mut tally.null_vehicle),
                (_, Some(TickFault::Null)) => Some(&mut tally.null_time),
                (_, Some(TickFault::OutOfRange)) => Some(&mut tally.time_out_of_range),
                _ if tick > last_tick => Some(&mut tally.after_as_of),
                _ if taken_to_tick.is_some_and(|taken| tick <= taken) => Some(&mut tally.taken_before),
                _ => None,
            };
            usable.push(reason.is_none());
            if let Some(count) = reason {
                *count += 1;
            }
        }
        batch.keep(&usable)
    }
}

/// An error of the system stops the scan; anything else is the file's fault.
fn failure(file: &HistoryFile, ranged: &RangedFile, problem: String) -> ReadError {
    match ranged.take_io_error() {
        Some(source) => FleetError::io(file.path(), source).into(),
        None => ReadError::Unreadable(problem),
    }
}

fn internal(error: impl std::fmt::Display) -> FleetError {
    FleetError::Internal { what: error.to_string() }
}

impl Batch {
    pub fn rows(&self) -> usize {
        self.vehicle.len()
    }

    /// Keeps some rows of everything there is.
    fn keep(&mut self, kept: &[bool]) -> Result<(), FleetError> {
        let mask = BooleanArray::from(kept.to_vec());
        let mut rows = kept.iter();
        self.vehicle.retain(|_| rows.next().is_some_and(|kept| *kept));
        let mut rows = kept.iter();
        self.tick.retain(|_| rows.next().is_some_and(|kept| *kept));
        let mut place = vec![0; kept.len()];
        let mut next = 0;
        for (place, &kept) in place.iter_mut().zip(kept) {
            *place = next;
            next += usize::from(kept);
        }
        self.faults.retain(|(row, _)| kept[*row]);
        self.faults.iter_mut().for_each(|(row, _)| *row = place[*row]);
        for column in self.columns.iter_mut().flatten() {
            *column = filter(column.as_ref(), &mask).map_err(internal)?;
        }
        Ok(())
    }
}
