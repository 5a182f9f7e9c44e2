//! One night: yesterday's state and tonight's files to the sums that a run over everything would give.
//!
//! 1. Stored segments are laid over tonight's slots ([`super::cells`]); the cells that this cuts off are summed from
//!    the log.
//! 2. Tonight's files are read; records that may have come before are looked up in the log ([`super::repeats`]).
//! 3. Yesterday's sums are added to tonight's ([`super::merge`]).
//! 4. Vehicles that neither log nor presence can settle, and those whose traits changed, are formed anew from all
//!    their records ([`super::reform`]).
//!
//! Where more would have to be looked up or formed anew than reading everything once costs, everything is read once.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use arrow::array::{Array, AsArray, BooleanArray};
use arrow::datatypes::Int64Type;

use super::cells::ABSENT;
use super::incremental::incremental;
use super::log_write::LogWriter;
use super::merge::Widths;
use super::presence::{PRESENCE_DAYS, Presence};
use super::record::StateRecord;
use super::sink::{NightSink, TooManyRepeats};
use super::stored::Stored;
use crate::backend::{BackendError, DamageBackend, SlotMasks};
use crate::fleet::dataset::Dataset;
use crate::fleet::error::FleetError;
use crate::fleet::joins::JoinTable;
use crate::fleet::scan::{ChunkSink, ScanReport, ScanRequest, SinkError};
use crate::fleet::state::error::{StateError, StockError};
use crate::fleet::state::folder::StateFolder;
use crate::fleet::state::ids::Ordinals;
use crate::fleet::state::stock::Stock;
use crate::fleet::vehicles::Ids;
use crate::model::compiled::CompiledModel;
use crate::run::{Control, Event};
use crate::score::pack::{ExposureColumn, OpenBackend, PackTimes, Packer};
use crate::score::slots::SlotPlan;
use crate::score::sums::FleetSums;

/// Days that the log reaches back from the as-of day: the recent window, and a month for late records and events.
pub const LOG_DAYS: i32 = 120;
const _: () = assert!(LOG_DAYS < PRESENCE_DAYS, "what is split from the log must have its days in the presence");

/// A fleet as tonight's tables and model see it.
#[derive(Clone, Copy)]
pub struct NightFleet<'a> {
    pub dataset: &'a Dataset,
    pub model: &'a CompiledModel,
    pub plan: &'a SlotPlan,
    pub masks: &'a SlotMasks,
    pub exposures: &'a [ExposureColumn],
    /// Side tables that supply channels of the model.
    pub joins: &'a [&'a JoinTable],
    pub drivers: bool,
    pub folder: &'a StateFolder<StateRecord>,
}

/// What a night needs beside the state.
#[derive(Clone, Copy)]
pub struct NightContext<'a> {
    pub fleet: NightFleet<'a>,
    /// For all files; the night picks those that it reads.
    pub request: &'a ScanRequest,
    /// Reads the histories: [`crate::fleet::scan::scan`], unless somebody wants to see what happens if it differed.
    pub read: &'a ReadHistories<'a>,
    /// Opens the backend for the slots of the fleet's masks.
    pub open_backend: &'a OpenBackend<'a>,
    /// Opens one for other cells: their masks, and whether drivers are summed.
    pub open_cells: &'a OpenCells<'a>,
    pub control: &'a Control<'a>,
}

pub type ReadHistories<'a> = dyn Fn(&ScanRequest, &dyn ChunkSink) -> Result<ScanReport, FleetError> + Sync + 'a;

pub type OpenCells<'a> = dyn Fn(&SlotMasks, bool) -> Result<Box<dyn DamageBackend>, BackendError> + Sync + 'a;

/// The state as the night found it.
pub struct Before {
    pub record: StateRecord,
    pub stored: Stored,
    /// Tonight's index of each ordinal, [`ABSENT`] where the vehicle is not in tonight's fleet.
    pub index: Vec<u32>,
}

/// Where a night's time went.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct NightTimes {
    /// Reading the state.
    pub load: Duration,
    /// Cells from the log.
    pub log: Duration,
    /// Tonight's files.
    pub scan: Duration,
    /// Looking up repeats.
    pub repeats: Duration,
    /// Adding yesterday's sums.
    pub merge: Duration,
    /// Forming vehicles anew.
    pub reform: Duration,
    /// Collecting and writing the next generation.
    pub store: Duration,
}

/// What a night did beside summing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NightCounts {
    /// Rows read from the log for cells.
    pub log_rows: u64,
    /// Rows looked up one by one.
    pub looked_up: u64,
    /// Of these: rows that took the place of another.
    pub replaced: u64,
    /// Vehicles formed anew.
    pub reformed: u64,
    /// Whether everything was read.
    pub everything: bool,
}

/// A night's sums, and what is needed to keep them.
pub struct NightSums<'a> {
    pub sums: FleetSums,
    /// Of tonight's files; its ids have moved to the sums.
    pub report: ScanReport,
    pub times: NightTimes,
    pub pack_times: PackTimes,
    pub counts: NightCounts,
    /// What did the work.
    pub device: String,
    /// Waiting for the backend to hand out its sums.
    pub readback_time: Duration,
    pub next: Next<'a>,
}

/// What the next generation is made from, beside the sums.
pub struct Next<'a> {
    /// `None` where everything was read.
    pub before: Option<&'a Before>,
    pub(super) log: LogWriter,
    pub(super) presence: Vec<Presence>,
    pub(super) ordinals: Ordinals,
}

/// Why a night stopped.
#[derive(Debug, thiserror::Error)]
pub enum NightError {
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Fleet(FleetError),
    #[error(transparent)]
    Backend(#[from] BackendError),
    #[error(transparent)]
    Sink(SinkError),
}

impl From<StockError> for NightError {
    fn from(error: StockError) -> Self {
        match error {
            StockError::State(error) => Self::State(error),
            StockError::Fleet(error) => error.into(),
        }
    }
}

impl From<FleetError> for NightError {
    fn from(error: FleetError) -> Self {
        match error {
            FleetError::Sink(error) => error.into(),
            other => Self::Fleet(other),
        }
    }
}

impl From<SinkError> for NightError {
    fn from(error: SinkError) -> Self {
        match error.downcast::<StateError>() {
            Ok(error) => Self::State(*error),
            Err(error) => match error.downcast::<BackendError>() {
                Ok(error) => Self::Backend(*error),
                Err(error) => Self::Sink(error),
            },
        }
    }
}

impl Before {
    /// Reads a generation's arrays and makes its vehicles known to the dataset's ids, where a scan leaves them.
    pub fn load(
        folder: &StateFolder<StateRecord>,
        record: StateRecord,
        dataset: &mut Dataset,
    ) -> Result<Self, NightError> {
        let path = folder.generation(record.generation);
        let stored = Stored::read(&path, &record)?;
        // A vehicle that only the tables knew, and that has no records, is in tonight's fleet only if tonight's tables
        // name it.
        dataset.ids.truncate(dataset.vehicles.known);
        let stays = |ordinal: usize| stored.presence[ordinal].mask != 0 || stored.unlisted[ordinal] != 0;
        let staying: BooleanArray = (0..stored.presence.len()).map(|ordinal| Some(stays(ordinal))).collect();
        let ids = arrow::compute::filter(&stored.ids, &staying).map_err(|error| StateError::damaged(&path, error))?;
        let mut indices = Vec::with_capacity(ids.len());
        dataset.ids.reader(ids.data_type(), &path, "id")?.index(&ids, &mut indices)?;
        let mut indices = indices.into_iter();
        let known = |ordinal: usize| match stored.ids.as_primitive_opt::<Int64Type>() {
            Some(ids) => dataset.ids.index_of_integer(ids.value(ordinal)),
            None => dataset.ids.index_of(stored.ids.as_string::<i64>().value(ordinal)),
        };
        let index = staying.values().iter().enumerate();
        let index = index.map(|(ordinal, stays)| if stays { indices.next() } else { known(ordinal) }.unwrap_or(ABSENT));
        let index = index.collect();
        dataset.kept_ids = dataset.ids.len();
        Ok(Self { record, stored, index })
    }

    /// The ids of some ordinals, for people.
    pub(super) fn names(&self, ordinals: impl Iterator<Item = usize>) -> Vec<String> {
        let ids = &self.stored.ids;
        ordinals
            .map(|ordinal| match ids.as_primitive_opt::<Int64Type>() {
                Some(ids) => ids.value(ordinal).to_string(),
                None => ids.as_string::<i64>().value(ordinal).to_owned(),
            })
            .collect()
    }
}

impl NightFleet<'_> {
    /// The first tick of the log that this night leaves behind.
    pub fn log_from_tick(&self) -> i32 {
        self.plan.axis.last_tick_of(self.plan.as_of_day.saturating_sub(LOG_DAYS)).saturating_add(1)
    }

    /// The widths of the night's sums.
    pub(super) fn widths(&self) -> Widths {
        Widths::new(self.model.mechanisms.len(), self.driver_columns(), self.exposures.len())
    }

    /// Columns of the driver sums: none if drivers are not asked for.
    pub(super) fn driver_columns(&self) -> usize {
        if self.drivers { self.model.drivers.len() } else { 0 }
    }
}

impl<'a> NightContext<'a> {
    /// Sums tonight's fleet. Runs on the current rayon pool.
    ///
    /// # Errors
    ///
    /// Whatever is wrong with the state or tonight's files; vehicles that have to be formed anew from files that are
    /// gone; a failure of the backend.
    pub fn sum<'b>(&self, before: Option<&'b Before>, stock: &Stock) -> Result<NightSums<'b>, NightError> {
        let Some(before) = before else { return self.everything() };
        match incremental(self, before, stock) {
            Err(NightError::Sink(error)) if error.is::<TooManyRepeats>() => {
                let vehicles = before.stored.presence.len();
                refuse_gone(stock, vehicles, || before.names(0..vehicles.min(5)))?;
                self.control.emit(Event::Warning(error.to_string()));
                self.everything()
            }
            other => other,
        }
    }

    /// Rows that may be kept aside, for tonight's repeats or for all replaced rows of the log.
    pub(super) fn most_repeats(&self) -> usize {
        /// A row's place in a hash table, beside its codes twice.
        const KEY_BYTES: usize = 64;
        self.request.memory_limit_bytes / 4 / (KEY_BYTES + 4 * self.request.channels.len())
    }

    pub(super) fn create_log(&self) -> Result<LogWriter, StateError> {
        let fleet = &self.fleet;
        LogWriter::create(
            fleet.folder.path(),
            fleet.folder.next(),
            fleet.plan.axis,
            fleet.log_from_tick(),
            self.request.channels.len(),
            self.request.memory_limit_bytes / 4,
        )
    }

    pub(super) fn packer(&self) -> Result<Packer<'a>, BackendError> {
        let fleet = &self.fleet;
        Packer::new(fleet.plan, &fleet.model.inputs, fleet.exposures, self.request.threads, self.open_backend)
    }

    /// Reads all files, as on the first night.
    fn everything<'b>(&self) -> Result<NightSums<'b>, NightError> {
        let fleet = &self.fleet;
        let kept = fleet.dataset.kept_ids as u32;
        let ordinals = Ordinals { of_index: (0..kept).collect(), next: kept };
        let open_log = || self.create_log();
        let mut times = NightTimes::default();
        let began = Instant::now();
        let request = ScanRequest { hash_inputs: true, files: None, ..self.request.clone() };
        let sink = NightSink::new(
            self.packer()?,
            fleet.plan.axis,
            &ordinals,
            None,
            fleet.log_from_tick(),
            &open_log,
            request.threads,
            self.most_repeats(),
        )?;
        let mut report = (self.read)(&request, &sink)?;
        times.scan = began.elapsed();
        let gathered = sink.finish()?;
        let pack_times = gathered.packer.times();
        let device = gathered.packer.description();
        let began = Instant::now();
        let sums = gathered.packer.finish(std::mem::replace(&mut report.ids, Ids::Integer(Vec::new())))?;
        let readback_time = began.elapsed();
        let counts = NightCounts { everything: true, ..NightCounts::default() };
        let (log, presence) = (gathered.log, gathered.presence);
        let next = Next { before: None, log, presence, ordinals };
        Ok(NightSums { sums, report, times, pack_times, counts, device, readback_time, next })
    }
}

/// Vehicles are to be formed anew: all their files must still be there.
pub(super) fn refuse_gone(
    stock: &Stock,
    vehicles: usize,
    example_vehicles: impl FnOnce() -> Vec<String>,
) -> Result<(), StateError> {
    if stock.gone.is_empty() {
        return Ok(());
    }
    let files = stock.gone.iter().map(|path| path.display().to_string()).collect();
    Err(StateError::HistoriesGone { vehicles, example_vehicles: example_vehicles(), files })
}

/// Files to read: those of tonight, and those that may hold rows after the state's as-of day.
pub(super) fn files_to_read(stock: &Stock, as_of_day: i32) -> BTreeMap<std::path::PathBuf, Option<i32>> {
    let new = stock.new.iter().map(|path| (path.clone(), None));
    new.chain(stock.pending.iter().map(|path| (path.clone(), Some(as_of_day)))).collect()
}
