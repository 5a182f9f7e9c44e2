//! From a row group to packed columns: decoding, sorting out the rows that cannot be used, vehicle indices, ticks,
//! codes. Only the columns that are needed are decoded, a batch at a time: from their pages where they suit
//! ([`super::pages`]), as Arrow arrays otherwise.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, NullArray};
use arrow::compute::filter;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::columns::FileColumns;
use super::dictionary::Dictionary;
use super::error::FleetError;
use super::guard::guarded;
use super::history_file::{Held, HistoryFile, RangedFile};
use super::ids::{IdReader, IdTable, NO_VEHICLE};
use super::pack::Filling;
use super::pages::{Coded, PageColumns};
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
    /// Row groups up to this size are read at once, because all of their bytes are hashed as well.
    pub hold_bytes: u64,
    pub control: &'a Control<'a>,
}

/// The usable rows of one decoded batch.
#[derive(Default)]
pub(crate) struct Batch {
    pub vehicle: Vec<u32>,
    pub tick: Vec<i32>,
    /// One a channel to fill, empty where it is not read from a column.
    pub columns: Vec<Coded>,
    faults: Vec<(usize, TickFault)>,
}

/// Reads one row group.
pub(crate) struct RowGroupReader<'a> {
    context: &'a Context<'a>,
    file: usize,
    row_group: &'a RowGroup,
    pages: PageColumns,
    /// Of the columns that are not read from their pages; `None` where all are.
    decoder: Option<ParquetRecordBatchReader>,
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
        let mut ranged = file.reopen()?;
        let range = file.range_of(row_group.index);
        if !range.is_empty() && range.end - range.start <= context.hold_bytes {
            ranged.hold(range).map_err(|source| FleetError::io(file.path(), source))?;
        }
        let build = || {
            let pages = PageColumns::open(context, file, columns, row_group, &ranged)?;
            if pages.are_all() {
                return Ok((pages, None));
            }
            let roots = columns.roots.iter().zip(&pages.others).filter(|(_, other)| **other).map(|(&root, _)| root);
            let decoder = ParquetRecordBatchReaderBuilder::new_with_metadata(ranged.share(), file.metadata.clone())
                .with_projection(ProjectionMask::roots(file.metadata.parquet_schema(), roots))
                .with_row_groups(vec![row_group.index])
                .with_batch_size(context.batch_rows)
                .build();
            Ok((pages, Some(decoder.map_err(|error| ReadError::Unreadable(error.to_string()))?)))
        };
        let (pages, decoder) = at_fault(file, &ranged, guarded(build))?;
        let column = &context.dictionary.histories.vehicle;
        let ids = context.ids.reader(&columns.vehicle_type, file.path(), column)?;
        Ok(Self { context, file: row_group.file, row_group, pages, decoder, ranged, ids, decoded_rows: 0 })
    }

    /// What is in memory of the file.
    pub fn held(&self) -> &Held {
        self.ranged.held()
    }

    /// Decodes the next batch and leaves its usable rows in `batch`; false at the end of the row group. A row group
    /// that holds another number of rows than its metadata says is unreadable.
    pub fn next(&mut self, batch: &mut Batch, tally: &mut Tally) -> Result<bool, ReadError> {
        let Some((columns, rows)) = self.decode()? else { return Ok(false) };
        self.context.control.emit(Event::Rows(rows as u64));
        let read = guarded(|| self.sort_out(&columns, rows, batch, tally));
        at_fault(&self.context.files[self.file], &self.ranged, read).map(|()| true)
    }

    /// Decodes what is left and does nothing with it, to learn whether it can be decoded.
    pub fn drain(&mut self) -> Result<(), ReadError> {
        while let Some((_, rows)) = self.decode()? {
            let read = guarded(|| self.pages.skip(rows));
            at_fault(&self.context.files[self.file], &self.ranged, read)?;
        }
        Ok(())
    }

    /// The next rows of the columns that come as arrays, by place among all; the others are yet to be read.
    fn decode(&mut self) -> Result<Option<(Vec<ArrayRef>, usize)>, ReadError> {
        self.context.control.check().map_err(|interrupted| ReadError::Stop(interrupted.into()))?;
        let (claimed, before, index) = (self.row_group.rows, self.decoded_rows, self.row_group.index);
        let next = guarded(|| {
            let (arrays, rows) = match self.decoder.as_mut().map(Iterator::next) {
                Some(Some(Ok(decoded))) => (decoded.columns().to_vec(), decoded.num_rows()),
                Some(Some(Err(error))) => return Err(ReadError::Unreadable(error.to_string())),
                Some(None) => (Vec::new(), 0),
                None => (Vec::new(), ((claimed - before) as usize).min(self.context.batch_rows)),
            };
            if before + rows as u64 > claimed {
                let problem = format!("row group {index} holds more than its {claimed} rows");
                return Err(ReadError::Unreadable(problem));
            }
            if rows == 0 && before < claimed {
                let problem = format!("row group {index} claims {claimed} rows and holds {before}");
                return Err(ReadError::Unreadable(problem));
            }
            if rows == 0 {
                return self.pages.end().map(|()| None);
            }
            let (mut arrays, absent) = (arrays.into_iter(), Arc::new(NullArray::new(0)));
            let by_place = self.pages.others.iter().map(|other| match other {
                true => arrays.next().unwrap_or_else(|| absent.clone()),
                false => absent.clone(),
            });
            Ok(Some((by_place.collect(), rows)))
        });
        let decoded = at_fault(&self.context.files[self.file], &self.ranged, next)?;
        self.decoded_rows += decoded.as_ref().map_or(0, |(_, rows)| *rows as u64);
        Ok(decoded)
    }

    fn sort_out(
        &mut self,
        decoded: &[ArrayRef],
        rows: usize,
        batch: &mut Batch,
        tally: &mut Tally,
    ) -> Result<(), ReadError> {
        let columns = &self.context.columns[self.file];
        let Batch { vehicle, tick, columns: codes, faults } = batch;
        vehicle.clear();
        tick.clear();
        faults.clear();
        codes.resize_with(columns.channels.len(), Coded::default);
        codes.iter_mut().for_each(Coded::clear);
        if !self.pages.ticks(self.context, rows, tick, faults)? {
            self.context.axis.ticks(&columns.time.array(decoded, rows)?, tick, faults)?;
        }
        for (channel, out) in codes.iter_mut().enumerate() {
            let by_pages = self.pages.codes(columns, channel, rows, out)?;
            if let (false, Some((place, quantiser))) = (by_pages, &columns.channels[channel]) {
                quantiser.codes(&place.array(decoded, rows)?, &mut out.codes, &mut out.faults)?;
            }
        }
        if !self.pages.vehicles(rows, &mut self.ids, vehicle)? {
            let mut vehicle = columns.vehicle.array(decoded, rows)?;
            if let Some(shard) = self.context.shard {
                let own = in_shard(&vehicle, shard).map_err(internal)?;
                let others = own.iter().filter(|own| !**own).count();
                if others > 0 {
                    tally.other_shard += others as u64;
                    vehicle = filter(vehicle.as_ref(), &BooleanArray::from(own.clone())).map_err(internal)?;
                    batch.keep(&own);
                }
            }
            self.ids.index(&vehicle, &mut batch.vehicle)?;
        }
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
        batch.keep(&usable);
        Ok(())
    }
}

/// What a guarded step of decoding gave. An error of the system stops the scan; anything else that the decoder could
/// not do is the file's fault.
fn at_fault<T>(
    file: &HistoryFile,
    ranged: &RangedFile,
    outcome: Result<Result<T, ReadError>, String>,
) -> Result<T, ReadError> {
    match outcome.unwrap_or_else(|panic| Err(ReadError::Unreadable(panic))) {
        Err(ReadError::Unreadable(problem)) => match ranged.take_io_error() {
            Some(source) => Err(FleetError::io(file.path(), source).into()),
            None => Err(ReadError::Unreadable(problem)),
        },
        decoded => decoded,
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
    fn keep(&mut self, kept: &[bool]) {
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
        for column in &mut self.columns {
            let mut rows = kept.iter();
            column.codes.retain(|_| rows.next().is_some_and(|kept| *kept));
            column.faults.retain(|(row, _)| kept[*row as usize]);
            column.faults.iter_mut().for_each(|(row, _)| *row = place[*row as usize] as u32);
        }
    }
}
