//! One night: the files that are new are read, their records become a run, and the generation with it counts at once.
//!
//! Nothing of it depends on what is made of the records afterwards, so the pointer does not wait for it: a run that is
//! killed later finds its reading done, and other questions of the same night read no file at all.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int64Array, LargeStringArray};

use super::gather::Gather;
use super::merge;
use super::read::KeptHistories;
use super::record::KeptRecord;
use super::refill::from_columns;
use super::run::{self, Run, RunRecord};
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
use crate::fleet::writer::{OutputFolder, WriteError};
use crate::run::Control;

/// No ordinal yet.
const NONE: u32 = u32::MAX;

/// How to read tonight's files.
#[derive(Clone, Debug)]
pub struct Taking<'a> {
    /// Channels that will be asked for, in the order by which repeated records are settled.
    pub channels: &'a [usize],
    /// As for a scan; channels, order, day and files are the night's own.
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
        let text_ids = dataset.ids.kind() == IdKind::Text;
        let names = |channels: &[usize]| -> Vec<String> {
            channels.iter().map(|&channel| dataset.dictionary.channels[channel].channel.name.clone()).collect()
        };
        let asked = names(taking.channels);
        let before = match before {
            Some(record) => refuse_other(record, dataset, &asked)?,
            None => KeptRecord::nothing(dataset.dictionary.blake3.clone(), dataset.axis, asked, text_ids),
        };
        let channels: Vec<usize> =
            before.channels.iter().filter_map(|name| dataset.dictionary.channel_index(name)).collect();
        let columns = from_columns(&dataset.dictionary, &channels);
        let present: Vec<_> = dataset.files.iter().map(|file| file.path.clone()).collect();
        let base = dataset.dictionary.histories.files.base.clone();
        let stock = Stock::take(&before.consumed, &present, &base, control)?;
        let mut index = indices(&folder, &before, dataset)?;
        let mut runs = open(&folder, &before.runs)?;
        let files: BTreeMap<_, _> = stock.new.iter().map(|path| (path.clone(), None)).collect();
        let nothing_new = files.is_empty() && stock.consumed == before.consumed && !begun;
        let mut request = ScanRequest {
            channels: channels.clone(),
            as_of_day: None,
            hash_inputs: true,
            shard: None,
            files: Some(files),
            ..taking.request.clone()
        };
        request.channels.extend(columns.iter().filter(|column| !channels.contains(column)));
        let places: Vec<usize> =
            columns.iter().filter_map(|column| request.channels.iter().position(|asked| asked == column)).collect();
        let ordinals = ordinals(&index, dataset.kept_ids);
        let temporary = tempfile::tempdir_in(&dataset.spill_folder)
            .map_err(|source| FleetError::Spill { folder: dataset.spill_folder.clone(), source })?;
        let memory_bytes = request.memory_limit_bytes / 4;
        let gather = Gather::new(&ordinals, &places, temporary.path(), request.threads, memory_bytes);
        let report = scan(dataset, &request, control, &gather)?;
        let mut tonight = gather.finish()?;
        dataset.kept_ids = dataset.ids.len();
        let rows_gone = stock.gone.iter().filter_map(|path| stock.consumed.iter().find(|file| file.path == *path));
        let rows_gone = rows_gone.map(|file| file.rows).sum();
        let mut record = before;
        if !nothing_new {
            let vehicles = dataset.ids.len();
            index.resize(ordinals.next as usize + vehicles - ordinals.of_index.len(), NONE);
            (0..vehicles as u32).for_each(|vehicle| index[ordinals.of(vehicle) as usize] = vehicle);
            let rows: u64 = tonight.iter().map(Run::rows).sum();
            let generation = folder.next();
            if rows > 0 {
                let (joined, level) = merge::joined(&record.runs, merge::level_of(rows, vehicles));
                tonight.extend(joined.iter().map(|&run| runs[run].clone()));
                let path = log_name(generation);
                let output = OutputFolder::create(&folder.path().join(&path)).map_err(StateError::from)?;
                let put = |name: &str, bytes: &[u8]| Ok(output.write_file(name, bytes)?);
                tonight.sort_by_key(|run| (run.from_tick, run.to_tick));
                let whole = merge::put_together(&tonight, columns.len(), folder.path().join(&path), &put, control)?;
                let added = run::place(&whole, output, path, level)?;
                keep(&mut record.runs, &mut runs, &joined, (added, whole));
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
        Ok(Self { record, runs, channels, columns, index, tonight: report, rows_gone, begun, _folder: folder })
    }
}

/// The same dictionary and kind of time as ever, and no channel beyond those that the state has.
fn refuse_other(record: KeptRecord, dataset: &Dataset, asked: &[String]) -> Result<KeptRecord, StateError> {
    let differ = |what, stored: String, now: String| Err(StateError::OtherInput { what, stored, now });
    if record.dictionary_blake3 != dataset.dictionary.blake3 {
        return differ("dataset.toml", record.dictionary_blake3, dataset.dictionary.blake3.clone());
    }
    if record.axis != dataset.axis {
        return differ("kind of time", format!("{:?}", record.axis), format!("{:?}", dataset.axis));
    }
    if !record.channels.starts_with(asked) {
        return differ("set of channels", record.channels.join(", "), asked.join(", "));
    }
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

fn open(folder: &StateFolder<KeptRecord>, runs: &[RunRecord]) -> Result<Vec<Run>, StateError> {
    runs.iter().map(|run| Run::open(folder.path(), run)).collect()
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
    let mut text = serde_json::to_string_pretty(record)
        .map_err(|source| WriteError::Json { path: path.join(STATE_JSON), source })?;
    text.push('\n');
    output.write_file(STATE_JSON, text.as_bytes())?;
    output.finish(Manifest { command: "simulate --state".to_owned(), ..Manifest::default() })?;
    Ok(())
}
