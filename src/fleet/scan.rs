//! Reading the histories: what a consumer asks for, and what it gets back.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::account::{Account, Quarantine};
use super::chunk::{Chunk, Order};
use super::columns::FileColumns;
use super::dataset::Dataset;
use super::decode::Context;
use super::error::FleetError;
use super::input_hash::InputHashes;
use super::pack::Filling;
use super::plan::{Plan, RowGroup};
use super::pool::{Halt, Stop, lock, run};
use super::row_groups::row_groups;
use super::rows_file::row_bytes;
use super::spill::SORT_BYTES;
use super::stamp::Stamp;
use super::tally::Tally;
use super::time::TimeAxis;
use super::vehicles::Ids;
use super::worker::Pass;
use super::{by_time, by_vehicle, spill};
use crate::run::{Control, Event};

/// What a consumer wants to read.
#[derive(Clone, Debug)]
pub struct ScanRequest {
    /// Indices into the dictionary's channels; a chunk's columns stand in this order.
    pub channels: Vec<usize>,
    pub order: Order,
    /// Records later than this day are skipped and counted.
    pub as_of_day: Option<i32>,
    pub threads: usize,
    /// Bytes the reader may hold at a time: chunks, decode buffers, sort buffers.
    pub memory_limit_bytes: usize,
    /// Rows a chunk holds at most, unless one vehicle alone has more.
    pub chunk_rows: usize,
    /// Take files and row groups in reverse: nothing may depend on it.
    pub reversed: bool,
    /// Only vehicles whose id hashes to shard `.0` of `.1`.
    pub shard: Option<(u32, u32)>,
    /// Force a scan kind instead of the planner's pick.
    pub kind: Option<ScanKind>,
    /// Compute the BLAKE3 hash of every input file while reading.
    pub hash_inputs: bool,
    /// Read only these files, by path as the dataset names them; where a day is given, records up to its end are
    /// skipped and counted. `None`: all files.
    pub files: Option<BTreeMap<PathBuf, Option<i32>>>,
}

/// The planner's three ways to read a dataset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScanKind {
    /// Row groups cover disjoint ranges of vehicles (they may share the vehicle at a boundary).
    ByVehicle,
    /// Row groups fall into slices of disjoint time, each small enough to hold.
    ByTime,
    /// Anything else: packed rows partitioned by vehicle hash into temporary files, each sorted.
    #[default]
    Spill,
}

/// Takes chunks. Called from several threads at once, but never twice at once with the same `lane` (below
/// `threads`). With [`Order::TimeOrderedPerVehicle`] and [`Order::WholeVehicles`] all chunks of a vehicle come with the same lane, one after the
/// other, in rising time.
pub trait ChunkSink: Sync {
    fn push(&self, lane: usize, chunk: &Chunk) -> Result<(), SinkError>;

    /// Everything pushed so far is void: forget it, the scan starts over. This happens when rows turn out not to be
    /// ordered as the files' statistics promised, or when a file turns out to be unreadable after some of its rows
    /// were pushed (none of its rows may count then). Vehicle indices are handed out anew. No push is under way.
    fn restart(&self) -> Result<(), SinkError>;
}

/// Whatever stopped a consumer.
pub type SinkError = Box<dyn std::error::Error + Send + Sync>;

/// What came of a scan.
#[derive(Clone, Debug)]
pub struct ScanReport {
    pub kind: ScanKind,
    pub axis: TimeAxis,
    pub account: Account,
    /// Every vehicle that has an index: the known ones first.
    pub ids: Ids,
    /// All files that were to be read, in path order, whether or not they could be.
    pub inputs: Vec<InputFile>,
    /// Files of which no row counts, in path order.
    pub unreadable: Vec<UnreadableFile>,
    /// How often the scan started over, see [`ChunkSink::restart`].
    pub restarts: u32,
}

/// A file that cannot be decoded. Its rows are quarantined as a whole, so that no result depends on how far a reader
/// got.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnreadableFile {
    #[serde(serialize_with = "as_text")]
    pub path: PathBuf,
    /// Rows by its metadata; `None` where the metadata itself cannot be read, and then the account lacks them.
    pub rows: Option<u64>,
    pub problem: String,
}

/// A path whose name need not be UTF-8.
fn as_text<S: serde::Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

/// A file that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct InputFile {
    pub path: PathBuf,
    pub stamp: Stamp,
    pub rows: u64,
    /// BLAKE3 of the whole file, hex; empty if not asked for.
    pub blake3: String,
}

/// What a scan does, settled before it begins.
struct Settled<'a> {
    dataset: &'a Dataset,
    request: &'a ScanRequest,
    control: &'a Control<'a>,
    sink: &'a dyn ChunkSink,
    hashes: InputHashes,
    columns: Vec<FileColumns>,
    /// By file: last tick that an earlier scan has taken.
    taken_to_tick: Vec<Option<i32>>,
    row_groups: Vec<RowGroup>,
    fill: Vec<usize>,
    fillings: Vec<Filling<'a>>,
    wanted: Vec<usize>,
    threads: usize,
    chunk_rows: usize,
}

/// How a pass over the data ended.
enum PassEnd {
    Done(Tally),
    /// With the files that cannot be read, and why to read by spilling, if so.
    Again(BTreeMap<usize, String>, Option<&'static str>),
}

/// Reads the histories and hands their records to `sink`, each once.
///
/// Every row is accounted for: rows in = scored + quarantined + skipped. Cells without a code are counted over the
/// rows that were scored or are duplicates. A file that cannot be decoded is quarantined as a whole; if that shows
/// only when some of its rows were handed out, the scan starts over without it ([`ChunkSink::restart`]), and so it
/// does, by spilling, when rows do not stand where the statistics promised. What comes out depends on neither
/// threads, chunk size, files' order or split, nor on the way of reading.
///
/// # Errors
///
/// A column that a file lacks or of a wrong type, ids or times of different kinds, a file that changed meanwhile,
/// failures of the system (a full disk) and of the sink, and interruption.
pub fn scan(
    dataset: &Dataset,
    request: &ScanRequest,
    control: &Control,
    sink: &dyn ChunkSink,
) -> Result<ScanReport, FleetError> {
    let settled = Settled::new(dataset, request, control, sink)?;
    control.emit(Event::Stage { name: "read", total_rows: Some(settled.rows()) });
    let mut failed: BTreeMap<usize, String> = BTreeMap::new();
    let mut wanted_kind = request.kind;
    let mut restarts = 0;
    let (kind, tally) = loop {
        dataset.ids.truncate(dataset.kept_ids);
        let plan = settled.plan(&failed, wanted_kind);
        match settled.pass(&plan)? {
            PassEnd::Done(tally) => break (plan.kind(), tally),
            PassEnd::Again(more, by_spilling) => {
                for (&file, problem) in &more {
                    let path = dataset.histories[file].path().display();
                    control.emit(Event::Warning(format!("{path}: left out: {problem}")));
                }
                failed.extend(more);
                if let Some(reason) = by_spilling {
                    control.emit(Event::Warning(format!("{reason}: reading again by spilling")));
                    wanted_kind = Some(ScanKind::Spill);
                }
                restarts += 1;
                sink.restart().map_err(FleetError::Sink)?;
            }
        }
    };
    settled.report(kind, &tally, &failed, restarts)
}

/// Takes chunks and drops them.
pub struct Nowhere;

impl ChunkSink for Nowhere {
    fn push(&self, _lane: usize, _chunk: &Chunk) -> Result<(), SinkError> {
        Ok(())
    }

    fn restart(&self) -> Result<(), SinkError> {
        Ok(())
    }
}

/// The way in which a request would be read, as the files' statistics have it.
pub fn kind_of(dataset: &Dataset, request: &ScanRequest) -> Result<ScanKind, FleetError> {
    let control = Control::silent();
    let settled = Settled::new(dataset, request, &control, &Nowhere)?;
    Ok(settled.plan(&BTreeMap::new(), request.kind).kind())
}

impl ScanRequest {
    fn reads(&self, path: &Path) -> bool {
        self.files.as_ref().is_none_or(|files| files.contains_key(path))
    }

    /// Last tick of a file that an earlier scan has taken.
    fn taken_to_tick(&self, path: &Path, axis: TimeAxis) -> Option<i32> {
        self.files.as_ref()?.get(path).copied().flatten().map(|day| axis.last_tick_of(day))
    }
}

impl<'a> Settled<'a> {
    fn new(
        dataset: &'a Dataset,
        request: &'a ScanRequest,
        control: &'a Control<'a>,
        sink: &'a dyn ChunkSink,
    ) -> Result<Self, FleetError> {
        let dictionary = &dataset.dictionary;
        let fill = dictionary.with_operands(&request.channels);
        let wanted = request.channels.iter().filter_map(|channel| fill.iter().position(|other| other == channel));
        let wanted: Vec<usize> = wanted.collect();
        let ids = dataset.ids.kind();
        let mut columns = Vec::with_capacity(dataset.histories.len());
        let mut all_row_groups = Vec::new();
        for (position, file) in dataset.histories.iter().enumerate() {
            let found = FileColumns::find(file, dictionary, &fill, ids)?;
            if request.reads(file.path()) {
                all_row_groups.extend(row_groups(position, file, &found, dictionary));
            }
            columns.push(found);
        }
        let threads = request.threads.max(1);
        // A chunk on its way takes its decoded columns, its packed ones and their turn in sorting: three eighths of the
        // memory, since half of it holds rows that wait, and an eighth row groups that are read at once.
        let bytes = threads.saturating_mul(8 * row_bytes(fill.len()));
        let most_rows = (request.memory_limit_bytes / 8 * 3 / bytes).max(1);
        Ok(Self {
            dataset,
            request,
            control,
            sink,
            hashes: InputHashes::new(request.hash_inputs),
            columns,
            taken_to_tick: dataset
                .histories
                .iter()
                .map(|file| request.taken_to_tick(file.path(), dataset.axis))
                .collect(),
            row_groups: all_row_groups,
            fillings: Filling::of(dictionary, &fill, &dataset.joins)?,
            fill,
            wanted,
            threads,
            chunk_rows: request.chunk_rows.clamp(1, most_rows),
        })
    }

    fn rows(&self) -> u64 {
        self.row_groups.iter().map(|row_group| row_group.rows).sum()
    }

    /// Bytes that a row of a slice takes: as it came, put together with the others, and its key.
    fn slice_row_bytes(&self) -> usize {
        2 * row_bytes(self.wanted.len()) + SORT_BYTES
    }

    fn rows_memory_bytes(&self) -> usize {
        self.request.memory_limit_bytes / 2
    }

    fn plan(&self, failed: &BTreeMap<usize, String>, kind: Option<ScanKind>) -> Plan {
        let readable = self.row_groups.iter().filter(|row_group| !failed.contains_key(&row_group.file));
        let slice_rows = (self.rows_memory_bytes() / self.slice_row_bytes()) as u64;
        let row_groups = readable.cloned().collect();
        Plan::pick(row_groups, kind, self.request.order, slice_rows, self.request.reversed)
    }

    fn pass(&self, plan: &Plan) -> Result<PassEnd, FleetError> {
        let axis = self.dataset.axis;
        let context = Context {
            dictionary: &self.dataset.dictionary,
            files: &self.dataset.histories,
            columns: &self.columns,
            ids: &self.dataset.ids,
            axis,
            fill: &self.fill,
            fillings: &self.fillings,
            wanted: &self.wanted,
            taken_to_tick: &self.taken_to_tick,
            last_tick: self.request.as_of_day.map_or(i32::MAX, |day| axis.last_tick_of(day)),
            shard: self.request.shard,
            batch_rows: self.chunk_rows,
            hold_bytes: match self.request.hash_inputs {
                true => (self.request.memory_limit_bytes / (8 * self.threads)) as u64,
                false => 0,
            },
            control: self.control,
        };
        let sizes = (self.threads, self.chunk_rows, self.rows_memory_bytes() / self.threads);
        let pass = Pass::new(context, self.sink, self.request.order, sizes, &self.hashes);
        let read = match plan {
            Plan::ByVehicle { row_groups, seams } => by_vehicle::read(&pass, row_groups, seams),
            Plan::ByTime { slices } => {
                let largest = slices.iter().map(|slice| slice.rows).max().unwrap_or(0) as usize;
                let room = self.rows_memory_bytes() / (largest * self.slice_row_bytes()).max(1);
                by_time::read(&pass, slices, room)
            }
            Plan::Spill { row_groups } => {
                spill::read(&pass, row_groups, &self.dataset.spill_folder, self.rows_memory_bytes())
            }
        };
        let ended = read.map(|workers| {
            let mut tally = Tally::default();
            workers.iter().for_each(|worker| tally.add(&worker.tally));
            tally
        });
        let failed = std::mem::take(&mut *lock(&pass.failed));
        match ended {
            Ok(tally) if failed.is_empty() => Ok(PassEnd::Done(tally)),
            Ok(_) => Ok(PassEnd::Again(failed, None)),
            Err(Stop::Spill(reason)) if plan.kind() != ScanKind::Spill => Ok(PassEnd::Again(failed, Some(reason))),
            Err(stop) => Err(stop.into_error()),
        }
    }

    fn report(
        &self,
        kind: ScanKind,
        tally: &Tally,
        failed: &BTreeMap<usize, String>,
        restarts: u32,
    ) -> Result<ScanReport, FleetError> {
        let dataset = self.dataset;
        let not_opened: Vec<&(UnreadableFile, Stamp)> =
            dataset.unreadable.iter().filter(|(file, _)| self.request.reads(&file.path)).collect();
        let mut unreadable: Vec<UnreadableFile> = not_opened.iter().map(|(file, _)| file.clone()).collect();
        let mut inputs = Vec::with_capacity(dataset.files.len());
        for (position, file) in dataset.histories.iter().enumerate() {
            if !self.request.reads(file.path()) {
                continue;
            }
            let (path, rows) = (file.path().clone(), file.rows);
            if let Some(problem) = failed.get(&position) {
                unreadable.push(UnreadableFile { path: path.clone(), rows: Some(rows), problem: problem.clone() });
            }
            inputs.push((path, file.stamp, rows));
        }
        inputs.extend(not_opened.iter().map(|(file, stamp)| (file.path.clone(), *stamp, file.rows.unwrap_or(0))));
        inputs.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        unreadable.sort_unstable_by(|a, b| a.path.cmp(&b.path));

        let mut account = tally.account(&self.dataset.dictionary, &self.fill);
        let lost: u64 = unreadable.iter().filter_map(|file| file.rows).sum();
        if lost > 0 {
            account.quarantined.insert(Quarantine::UnreadableFile, lost);
        }
        account.rows_in = inputs.iter().map(|(_, _, rows)| rows).sum();
        if !account.balances() {
            return Err(FleetError::Internal { what: format!("the row account does not balance: {account:?}") });
        }
        let rest = run(vec![(); self.threads], inputs.len(), &Halt::default(), |(), input| {
            let (path, stamp, _) = &inputs[input];
            self.hashes.hash(path, self.control)?;
            // Checked last, so that whatever was read and hashed is what the footer described.
            match Stamp::of(path)?.is_as_written(stamp) {
                true => Ok(()),
                false => Err(Stop::Error(FleetError::Changed { file: path.clone() })),
            }
        });
        rest.map_err(Stop::into_error)?;
        let input =
            |(path, stamp, rows): (PathBuf, Stamp, u64)| InputFile { blake3: self.hashes.of(&path), path, stamp, rows };
        Ok(ScanReport {
            kind,
            axis: dataset.axis,
            account,
            ids: dataset.ids.ids(),
            inputs: inputs.into_iter().map(input).collect(),
            unreadable,
            restarts,
        })
    }
}
