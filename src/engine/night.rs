//! Scoring night by night: the state folder around a scoring run.
//!
//! The run's own steps stay as they are; only the sums come from yesterday's state and tonight's files, and what is
//! left behind is staged before the scores are placed and counts from when they are
//! ([`crate::fleet::state::folder`]).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::accumulate::{Accumulated, Way, with_fallback};
use super::error::EngineError;
use super::prepare::{Cut, Prepared};
use super::report::day_text;
use crate::backend::{self, BackendError, Choice, DamageBackend, DamageRequest, SlotMasks};
use crate::fleet::account::Skip;
use crate::fleet::dataset::Dataset;
use crate::fleet::dictionary::ChannelSource;
use crate::fleet::error::FleetError;
use crate::fleet::joins::JoinTable;
use crate::fleet::manifest::{ManifestAccount, ManifestInput, StageTiming};
use crate::fleet::scan::{ChunkSink, ScanReport, ScanRequest, scan};
use crate::fleet::state::consumed;
use crate::fleet::state::error::StateError;
use crate::fleet::state::folder::StateFolder;
use crate::fleet::state::stock::Stock;
use crate::fleet::time::TimeAxis;
use crate::run::Control;
use crate::score::state::night::{Before, Next, NightContext, NightCounts, NightFleet, NightTimes};
use crate::score::state::record::{MadeFrom, ScoresOfState, StateRecord};
use crate::score::state::store::Keeping;
use crate::score::sums::FleetSums;

/// A state in use by this run.
pub(super) struct Night {
    folder: StateFolder<StateRecord>,
    before: Option<Before>,
    stock: Stock,
    made_from: MadeFrom,
    axis: TimeAxis,
    drivers: bool,
    load_time: Duration,
}

/// What a night did, for reports.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NightReport {
    pub times: NightTimes,
    pub counts: NightCounts,
    /// History files read tonight, and since the state began.
    pub files: usize,
    pub files_of_state: usize,
    /// Rows of all nights since then: a row that several nights looked at counts each time.
    pub account_of_state: ManifestAccount,
}

/// Reads the histories of a dataset.
pub(super) type Read<'a> = dyn Fn(&Dataset, &ScanRequest, &dyn ChunkSink) -> Result<ScanReport, FleetError> + Sync + 'a;

/// What the next night is to have of this one, beside the sums.
pub(super) struct Kept<'b> {
    next: Next<'b>,
    pub times: NightTimes,
    pub counts: NightCounts,
}

impl NightReport {
    /// Times by stage, for manifests.
    pub(super) fn stages(&self) -> Vec<StageTiming> {
        let stage = |name: &str, time: Duration| StageTiming { stage: name.to_owned(), seconds: time.as_secs_f64() };
        vec![
            stage("state.load", self.times.load),
            stage("state.log", self.times.log),
            stage("state.repeats", self.times.repeats),
            stage("state.merge", self.times.merge),
            stage("state.reform", self.times.reform),
            stage("state.store", self.times.store),
        ]
    }

    /// What else manifests say of a night.
    pub(super) fn details(&self) -> serde_json::Map<String, serde_json::Value> {
        let state = serde_json::json!({
            "files": self.files,
            "files_since_the_state_began": self.files_of_state,
            "log_rows": self.counts.log_rows,
            "rows_looked_up": self.counts.looked_up,
            "rows_replaced": self.counts.replaced,
            "vehicles_formed_anew": self.counts.reformed,
            "everything_was_read": self.counts.everything,
            "account_since_the_state_began": self.account_of_state,
        });
        std::iter::once(("state".to_owned(), state)).collect()
    }
}

impl Night {
    /// Takes up a state: the same model, dictionary and kind of time as ever, and history files that are still what
    /// they were. `rebuild`: begins anew, whatever the folder holds.
    pub fn begin(
        mut folder: StateFolder<StateRecord>,
        rebuild: bool,
        drivers: bool,
        prepared: &mut Prepared,
        control: &Control,
    ) -> Result<Self, EngineError> {
        let began = Instant::now();
        let axis = prepared.dataset.axis;
        let made_from = made_from(prepared, drivers);
        let record = match rebuild {
            true => {
                folder.begin_anew()?;
                None
            }
            false => folder.current()?,
        };
        folder.discard_unfinished();
        let mut stock = Stock::default();
        let mut before = None;
        if let Some(record) = record {
            refuse_other(&record.made_from, &made_from)?;
            let present: Vec<PathBuf> = prepared.dataset.files.iter().map(|file| file.path.clone()).collect();
            let base = &prepared.dataset.dictionary.histories.files.base;
            stock = Stock::take(&record.consumed, &present, base, control)?;
            before = Some(Before::load(&folder, record, &mut prepared.dataset)?);
        }
        Ok(Self { folder, before, stock, made_from, axis, drivers, load_time: began.elapsed() })
    }

    /// The day of the latest record that the state has seen.
    pub fn latest_day(&self) -> Option<i32> {
        self.before.as_ref().and_then(|before| before.record.latest_day)
    }

    /// A state only goes forward.
    pub fn refuse_going_back(&self, as_of_day: i32) -> Result<(), EngineError> {
        match &self.before {
            Some(before) if as_of_day < before.record.as_of_day => Err(EngineError::State(StateError::AsOfBack {
                stored: day_text(self.axis, before.record.as_of_day),
                now: day_text(self.axis, as_of_day),
            })),
            _ => Ok(()),
        }
    }

    /// As [`super::accumulate::accumulate`], from yesterday's sums and tonight's files.
    pub fn accumulate<'b>(
        &'b self,
        prepared: &Prepared,
        cut: &Cut,
        way: &Way,
        control: &Control,
        pool: &rayon::ThreadPool,
    ) -> Result<(Accumulated, Kept<'b>), EngineError> {
        let read =
            |dataset: &Dataset, request: &ScanRequest, sink: &dyn ChunkSink| scan(dataset, request, control, sink);
        let once = |way: &Way| pool.install(|| self.accumulate_once(prepared, cut, way, control, &read));
        with_fallback(way, control, once, |(done, _)| &mut done.device_reason)
    }

    /// One attempt, with the reader to use.
    pub fn accumulate_once<'b>(
        &'b self,
        prepared: &Prepared,
        cut: &Cut,
        way: &Way,
        control: &Control,
        read: &Read,
    ) -> Result<(Accumulated, Kept<'b>), EngineError> {
        let tables = &prepared.model.tables;
        let why = Mutex::new(String::new());
        let records = match self.before {
            Some(_) => {
                let tonight = self.stock.new.iter().chain(&self.stock.pending).map(PathBuf::as_path);
                let tonight: BTreeSet<&Path> = tonight.collect();
                prepared.dataset.rows_of(|path| tonight.contains(path))
            }
            None => prepared.dataset.history_rows(),
        };
        let open_backend = || way.open(records, prepared, cut, &why, control);
        // A few days of some vehicles: not worth a device, and the sums are the same.
        let open_cells = |masks: &SlotMasks, drivers: bool| -> Result<Box<dyn DamageBackend>, BackendError> {
            let request = DamageRequest { tables, masks, drivers };
            Ok(backend::open(Choice::Cpu, None, way.threads, &request)?.backend)
        };
        let request = ScanRequest { hash_inputs: true, ..way.scan_request(prepared, cut) };
        let joins = used_joins(prepared);
        let context = NightContext {
            fleet: self.fleet(prepared, cut, &joins),
            request: &request,
            open_backend: &open_backend,
            open_cells: &open_cells,
            control,
            read: &|request, sink| read(&prepared.dataset, request, sink),
        };
        let night = context.sum(self.before.as_ref(), &self.stock)?;
        let done = Accumulated {
            sums: night.sums,
            scan: night.report,
            scan_time: night.times.scan,
            times: night.pack_times,
            readback_time: night.readback_time,
            device: night.device,
            device_reason: why.into_inner().unwrap_or_else(PoisonError::into_inner),
        };
        let times = NightTimes { load: self.load_time, ..night.times };
        Ok((done, Kept { next: night.next, times, counts: night.counts }))
    }

    /// The history files that earlier nights read and this one did not: the sums hold their rows too.
    pub fn earlier_inputs(&self, prepared: &Prepared, scan: &ScanReport) -> Vec<ManifestInput> {
        consumed::earlier_inputs(&self.stock.consumed, scan, &prepared.dataset.dictionary.histories.files.base)
    }

    /// Stages the next generation. The scores that belong to it are complete but not yet placed.
    #[expect(clippy::too_many_arguments, reason = "the one place where a night's results meet")]
    pub fn stage(
        &self,
        kept: Kept,
        prepared: &Prepared,
        cut: &Cut,
        sums: &FleetSums,
        scan: &ScanReport,
        scores: ScoresOfState,
        control: &Control,
    ) -> Result<NightReport, EngineError> {
        let began = Instant::now();
        let joins = used_joins(prepared);
        let latest = sums.tally.slots.iter().filter(|slot| slot.records > 0).map(|slot| slot.last_tick).max();
        let mut pending = BTreeSet::new();
        if scan.account.skipped.contains_key(&Skip::AfterAsOf) {
            let latest_days = prepared.dataset.latest_days(control)?;
            let later = latest_days.into_iter().filter(|(_, day)| day.is_some_and(|day| day > cut.as_of_day));
            pending.extend(later.map(|(path, _)| path.to_path_buf()));
        }
        let keeping = Keeping {
            made_from: self.made_from.clone(),
            latest_day: latest.map(|tick| self.axis.day(tick)),
            report: scan,
            pending: &pending,
            scores,
        };
        let fleet = self.fleet(prepared, cut, &joins);
        let record = kept.next.stage(&fleet, prepared.channels.len(), &self.stock, sums, keeping, control)?;
        Ok(NightReport {
            times: NightTimes { store: began.elapsed(), ..kept.times },
            counts: kept.counts,
            files: scan.inputs.len(),
            files_of_state: record.consumed.len(),
            account_of_state: record.account,
        })
    }

    /// The scores are in place: the staged generation counts from now on.
    pub fn commit(mut self) -> Result<(), EngineError> {
        Ok(self.folder.commit()?)
    }

    fn fleet<'a>(&'a self, prepared: &'a Prepared, cut: &'a Cut, joins: &'a [&'a JoinTable]) -> NightFleet<'a> {
        NightFleet {
            dataset: &prepared.dataset,
            model: &prepared.model,
            plan: &cut.slots,
            masks: &cut.masks,
            exposures: &prepared.exposures,
            joins,
            drivers: self.drivers,
            folder: &self.folder,
        }
    }
}

/// Makes the state's pointer follow scores that an earlier run of the same command had placed when it was killed.
/// Returns that run's record.
pub(super) fn resume(folder: &mut StateFolder<StateRecord>, out: &Path) -> Result<Option<StateRecord>, EngineError> {
    let Some(pending) = folder.pending() else { return Ok(None) };
    let placed = super::report::content_hash_of(out);
    if pending.scores.out != absolute(out) || placed.as_deref() != Some(pending.scores.content_hash.as_str()) {
        return Ok(None);
    }
    folder.commit()?;
    Ok(Some(pending))
}

/// A path as the state remembers it.
pub(super) fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}

fn made_from(prepared: &Prepared, drivers: bool) -> MadeFrom {
    MadeFrom {
        model: format!("{} {}", prepared.model.name, prepared.model.version),
        model_blake3: prepared.model.hash.clone(),
        dictionary_blake3: prepared.dictionary_blake3.clone(),
        axis: prepared.dataset.axis,
        drivers,
    }
}

fn refuse_other(stored: &MadeFrom, now: &MadeFrom) -> Result<(), StateError> {
    let differ = |what, stored: &str, now: &str| {
        if stored == now {
            Ok(())
        } else {
            Err(StateError::OtherInput { what, stored: stored.to_owned(), now: now.to_owned() })
        }
    };
    let named = |made: &MadeFrom| format!("{}, BLAKE3 {}", made.model, made.model_blake3);
    differ("model", &named(stored), &named(now))?;
    differ("dataset.toml", &stored.dictionary_blake3, &now.dictionary_blake3)?;
    differ("kind of time", &format!("{:?}", stored.axis), &format!("{:?}", now.axis))?;
    differ("choice of drivers", &stored.drivers.to_string(), &now.drivers.to_string())
}

/// Side tables that supply channels of the model, or operands of such.
fn used_joins(prepared: &Prepared) -> Vec<&JoinTable> {
    let dictionary = &prepared.dataset.dictionary;
    let used: BTreeSet<usize> = dictionary
        .with_operands(&prepared.channels)
        .into_iter()
        .filter_map(|channel| match dictionary.channels[channel].source {
            ChannelSource::Join { join, .. } => Some(join),
            _ => None,
        })
        .collect();
    used.into_iter().filter_map(|join| prepared.dataset.joins.get(join)).collect()
}
