//! One night: the files that are new are read, their records become a run, and the generation with it counts at once.
//!
//! Nothing of it depends on what is made of the records afterwards, so the pointer does not wait for it: a run that is
//! killed later finds its reading done, and other questions of the same night read no file at all.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int64Array, LargeStringArray};

use super::gather::Gather;
use super::merge::{self, Together};
use super::read::{Held, KeptHistories};
use super::record::KeptRecord;
use super::refill::from_columns;
use super::run::{self, Run, RunRecord};
use crate::fleet::chunk::Order;
use crate::fleet::dataset::Dataset;
use crate::fleet::error::FleetError;
use crate::fleet::ids::IdKind;
use crate::fleet::manifest::{Manifest, ManifestAccount};
use crate::fleet::scan::{ScanReport, ScanRequest, scan};
use crate::fleet::state::arrays::Arrays;
use crate::fleet::state::consumed::{added, consumed};
use crate::fleet::state::error::{StateError, StockError};
use crate::fleet::state::folder::{STATE_JSON, StateFolder, log_name};
use crate::fleet::state::ids::{self, Ordinals};
use crate::fleet::state::stock::Stock;
use crate::fleet::vehicles::Ids;
use crate::fleet::writer::OutputFolder;
use crate::run::Control;

/// As accounts name [`crate::fleet::account::Skip::Duplicate`].
const REPEATED: &str = "duplicate";
/// No ordinal yet.
const NONE: u32 = u32::MAX;

/// How to read tonight's files.
#[derive(Clone, Debug)]
pub struct Taking<'a> {
    /// Channels that will be asked for, in the order by which repeated records are settled.
    pub channels: &'a [usize],
    /// As for a scan; channels and order are the night's own, and for a state day and files too.
    pub request: &'a ScanRequest,
    /// Begin anew from the files that are there, whatever the folder holds.
    pub rebuild: bool,
}

impl KeptHistories {
    /// Takes up the files of `dataset` that the state in the folder `state` does not have. Vehicles that only the state
    /// knows become known to the dataset's ids. Runs on the current rayon pool.
    ///
    /// # Errors
    ///
    /// A state that is damaged, in use, or was made from another dictionary or other channels; files that are not what
    /// they were; whatever is wrong with the histories; interruption. The state is as it was then.
    pub fn take(state: &Path, taking: &Taking, dataset: &mut Dataset, control: &Control) -> Result<Self, StockError> {
        let mut folder = StateFolder::open_records(state)?;
        let before: Option<KeptRecord> = match taking.rebuild {
            true => {
                folder.begin_anew()?;
                None
            }
            false => folder.current()?,
        };
        folder.discard_unfinished();
        let begun = before.is_none();
        let before = match before {
            Some(record) => refuse_other(record, dataset, taking)?,
            None => taking.nothing(dataset),
        };
        let base = dataset.dictionary.histories.files.base.clone();
        let present: Vec<_> = dataset.files.iter().map(|file| file.path.clone()).collect();
        let stock = Stock::take(&before.consumed, &present, &base, control)?;
        let mut index = indices(&folder, &before, dataset)?;
        let mut runs = before.runs.iter().map(|run| Run::open(folder.path(), run)).collect::<Result<Vec<_>, _>>()?;
        let read = Read::new(&before, &index, dataset)?;
        let request = ScanRequest {
            as_of_day: None,
            files: Some(stock.new.iter().map(|path| (path.clone(), None)).collect()),
            hash_inputs: true,
            ..taking.request.clone()
        };
        let (mut tonight, report) = read.files(&request, dataset, control)?;
        read.name_vehicles(dataset, &mut index);
        let gone = stock.consumed.iter().filter(|file| stock.gone.contains(&file.path));
        let rows_gone = gone.map(|file| file.rows).sum();
        let is_as_it_was = stock.new.is_empty() && stock.consumed == before.consumed && !begun;
        let mut record = before;
        if !is_as_it_was {
            let rows: u64 = tonight.iter().map(Run::rows).sum();
            let generation = folder.next();
            if rows > 0 {
                let (joined, level) = merge::joined(&record.runs, merge::level_of(rows, index.len()));
                tonight.extend(joined.iter().map(|&run| runs[run].clone()));
                tonight.sort_by_key(|run| (run.from_tick, run.to_tick));
                let path = log_name(generation);
                let target = folder.path().join(&path);
                let output = OutputFolder::create(&target).map_err(StateError::from)?;
                let put = |name: &str, bytes: &[u8]| Ok(output.write_file(name, bytes)?);
                let whole = together(&read, &request, control).put(&tonight, target, &put)?;
                keep(&mut record.runs, &mut runs, &joined, (run::place(&whole, output, path, level)?, whole));
            }
            let account = ManifestAccount::from(&report.account);
            record = KeptRecord {
                generation,
                vehicles: index.len(),
                consumed: consumed(&stock.consumed, &report, &BTreeSet::new(), &base),
                account: if begun { account } else { added(&record.account, &account) },
                ..record
            };
            stage(&folder, &record, &index, &report)?;
            folder.commit()?;
        }
        let Read { channels, columns, .. } = read;
        let held = Held::State { _folder: folder };
        Ok(Self { record, runs, channels, columns, index, tonight: report, rows_gone, begun, _held: held })
    }

    /// Packs the files up to the request's day for this run alone: they are read once, and nothing is left.
    ///
    /// # Errors
    ///
    /// Whatever is wrong with the histories; interruption.
    pub fn pack(taking: &Taking, dataset: &mut Dataset, control: &Control) -> Result<Self, FleetError> {
        dataset.ids.truncate(dataset.kept_ids);
        let record = taking.nothing(dataset);
        let mut index = Vec::new();
        let read = Read::new(&record, &index, dataset)?;
        let (runs, tonight) = read.files(taking.request, dataset, control)?;
        read.name_vehicles(dataset, &mut index);
        let Read { channels, columns, temporary, .. } = read;
        let held = Held::Temporary { _folder: temporary };
        Ok(Self { record, runs, channels, columns, index, tonight, rows_gone: 0, begun: true, _held: held })
    }
}

impl Taking<'_> {
    /// What stands before the first night.
    fn nothing(&self, dataset: &Dataset) -> KeptRecord {
        let [channels, columns] =
            [self.channels, &from_columns(&dataset.dictionary, self.channels)].map(|channels| names(channels, dataset));
        let is_text = dataset.ids.kind() == IdKind::Text;
        KeptRecord::nothing(dataset.dictionary.blake3.clone(), dataset.axis, channels, columns, is_text)
    }
}

fn names(channels: &[usize], dataset: &Dataset) -> Vec<String> {
    channels.iter().map(|&channel| dataset.dictionary.channels[channel].channel.name.clone()).collect()
}

/// How tonight's files are read.
struct Read {
    channels: Vec<usize>,
    columns: Vec<usize>,
    ordinals: Ordinals,
    /// Where runs lie until they are put together.
    temporary: tempfile::TempDir,
}

impl Read {
    fn new(record: &KeptRecord, index: &[u32], dataset: &Dataset) -> Result<Self, FleetError> {
        let of_names = |names: &[String]| -> Vec<usize> {
            names.iter().filter_map(|name| dataset.dictionary.channel_index(name)).collect()
        };
        let folder = &dataset.spill_folder;
        Ok(Self {
            columns: of_names(&record.columns),
            channels: of_names(&record.channels),
            ordinals: ordinals(index, dataset.kept_ids),
            temporary: tempfile::tempdir_in(folder)
                .map_err(|source| FleetError::Spill { folder: folder.clone(), source })?,
        })
    }

    /// Reads files into runs, earliest first.
    fn files(
        &self,
        request: &ScanRequest,
        dataset: &Dataset,
        control: &Control,
    ) -> Result<(Vec<Run>, ScanReport), FleetError> {
        // Repeated rows are settled by the channels; columns that only others are derived from come after them.
        let more = self.columns.iter().filter(|column| !self.channels.contains(column));
        let channels: Vec<usize> = self.channels.iter().chain(more).copied().collect();
        let place = |column: &usize| channels.iter().position(|asked| asked == column);
        let places: Vec<usize> = self.columns.iter().filter_map(place).collect();
        let request = ScanRequest { channels, order: Order::Any, shard: None, ..request.clone() };
        let (threads, memory_bytes) = (request.threads, request.memory_limit_bytes / 4);
        let gather = Gather::new(&self.ordinals, &places, self.temporary.path(), threads, memory_bytes, control);
        let report = scan(dataset, &request, control, &gather)?;
        Ok((gather.finish()?, report))
    }

    /// Completes the index of each ordinal by the vehicles that the files brought, and lets the dataset keep them.
    fn name_vehicles(&self, dataset: &mut Dataset, index: &mut Vec<u32>) {
        let vehicles = dataset.ids.len();
        dataset.kept_ids = vehicles;
        index.resize(self.ordinals.next as usize + vehicles - self.ordinals.of_index.len(), NONE);
        (0..vehicles as u32).for_each(|vehicle| index[self.ordinals.of(vehicle) as usize] = vehicle);
    }
}

fn together<'a>(read: &Read, request: &ScanRequest, control: &'a Control<'a>) -> Together<'a> {
    let (columns, memory_bytes) = (read.columns.len(), request.memory_limit_bytes / 4);
    Together { columns, threads: request.threads, memory_bytes, control }
}

/// The same dictionary and kind of time as ever, and no channel beyond those that the state has. They may stand in another
/// order, by which repeated records are settled from now on, unless some were already: then by the first of theirs.
fn refuse_other(mut record: KeptRecord, dataset: &Dataset, taking: &Taking) -> Result<KeptRecord, StateError> {
    let differ = |what, stored: String, now: String| Err(StateError::OtherInput { what, stored, now });
    if record.dictionary_blake3 != dataset.dictionary.blake3 {
        return differ("dataset.toml", record.dictionary_blake3, dataset.dictionary.blake3.clone());
    }
    if record.axis != dataset.axis {
        return differ("kind of time", format!("{:?}", record.axis), format!("{:?}", dataset.axis));
    }
    let asked = names(taking.channels, dataset);
    if record.channels.starts_with(&asked) {
        return Ok(record);
    }
    if !asked.iter().all(|name| record.channels.contains(name)) {
        return differ("set of channels", record.channels.join(", "), asked.join(", "));
    }
    if record.account.skipped.get(REPEATED).is_some_and(|&rows| rows > 0) {
        let what = "order of channels, by which repeated records were settled";
        return differ(what, record.channels.join(", "), asked.join(", "));
    }
    let others = record.channels.iter().filter(|name| !asked.contains(name)).cloned();
    record.channels = asked.iter().cloned().chain(others).collect();
    Ok(record)
}

/// Makes the state's vehicles known to the dataset, where a scan leaves them, and gives the index of each.
fn indices(
    folder: &StateFolder<KeptRecord>,
    record: &KeptRecord,
    dataset: &mut Dataset,
) -> Result<Vec<u32>, StockError> {
    dataset.ids.truncate(dataset.vehicles.known);
    let mut indices = Vec::with_capacity(record.vehicles);
    if record.generation > 0 {
        let path = folder.generation(record.generation);
        let ids = ids::read(&Arrays::open(&path)?, &path, record.text_ids, record.vehicles)?;
        dataset.ids.reader(ids.data_type(), &path, "id")?.index(&ids, &mut indices)?;
    }
    dataset.kept_ids = dataset.ids.len();
    Ok(indices)
}

/// The ordinals of all vehicles that are known before the scan: those that have none get one.
fn ordinals(index: &[u32], vehicles: usize) -> Ordinals {
    let mut of_index = vec![NONE; vehicles];
    index.iter().zip(0..).for_each(|(&vehicle, ordinal)| of_index[vehicle as usize] = ordinal);
    let mut next = index.len() as u32;
    for ordinal in of_index.iter_mut().filter(|ordinal| **ordinal == NONE) {
        (*ordinal, next) = (next, next + 1);
    }
    Ordinals { of_index, next }
}

/// Replaces the runs that were put together by what came of them.
fn keep(records: &mut Vec<RunRecord>, runs: &mut Vec<Run>, joined: &BTreeSet<usize>, added: (RunRecord, Run)) {
    let old = std::mem::take(records).into_iter().zip(std::mem::take(runs)).enumerate();
    let mut all: Vec<(RunRecord, Run)> =
        old.filter(|(run, _)| !joined.contains(run)).map(|(_, run)| run).chain([added]).collect();
    all.sort_by_key(|(record, _)| (record.from_tick, record.to_tick));
    (*records, *runs) = all.into_iter().unzip();
}

/// Writes and places a generation.
fn stage(
    folder: &StateFolder<KeptRecord>,
    record: &KeptRecord,
    index: &[u32],
    report: &ScanReport,
) -> Result<(), StateError> {
    let path = folder.generation(record.generation);
    let output = OutputFolder::create(&path)?;
    let ids: ArrayRef = match &report.ids {
        Ids::Integer(ids) => Arc::new(Int64Array::from_iter_values(index.iter().map(|&vehicle| ids[vehicle as usize]))),
        Ids::Text(ids) => {
            Arc::new(LargeStringArray::from_iter_values(index.iter().map(|&vehicle| ids[vehicle as usize].as_str())))
        }
    };
    ids::write(&output, &ids)?;
    output.write_json(STATE_JSON, record)?;
    output.finish(Manifest { command: "simulate --state".to_owned(), ..Manifest::default() })?;
    Ok(())
}
