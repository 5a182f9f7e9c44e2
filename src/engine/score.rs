//! The scoring run, from plan to folder.

use std::time::{Duration, Instant};

use super::accumulate::{Accumulated, Way, accumulate};
use super::error::EngineError;
use super::night::{self, Kept, Night, NightReport};
use super::plan::ScorePlan;
use super::prepare::{Cut, Prepared};
use super::report::{ScoreReport, Timings};
use super::write_scores::{table, write_scores};
use crate::fleet::account::Account;
use crate::fleet::dictionary::Dictionary;
use crate::fleet::manifest::{Manifest, ManifestAccount, ManifestModel, StageTiming};
use crate::fleet::state::folder::StateFolder;
use crate::fleet::writer::OutputFolder;
use crate::model::spec::Model;
use crate::run::{Control, Event};
use crate::score::output::ScoreRows;
use crate::score::row::Scorer;
use crate::score::state::record::{ScoresOfState, StateRecord};

/// Scores a fleet: reads the histories of `plan.data`, sums clocks under `plan.model`, and writes the folder
/// `plan.out` with the table `scores`, a manifest and `_SUCCESS`, all at once or not at all.
///
/// # Errors
///
/// Whatever is wrong with dictionary, tables, histories, model or output folder; a device that is required but not
/// there, or that failed where no fallback is allowed; interruption. Nothing is visible at `plan.out` then.
pub fn score(plan: &ScorePlan, control: &Control) -> Result<ScoreReport, EngineError> {
    let began = Instant::now();
    control.emit(Event::Stage { name: "plan", total_rows: None });
    let pool = thread_pool(plan.threads)?;
    let mut state = plan.state.as_deref().map(StateFolder::open).transpose()?;
    if let Some(state) = &mut state
        && !plan.rebuild_state
        && was_asked_before(plan)?
        && let Some(record) = night::resume(state, &plan.out)?
    {
        return resumed(plan, record, began);
    }
    let folder = OutputFolder::create(&plan.out)?;
    let mut prepared = Prepared::open(&plan.data, &plan.model, plan.threads, control)?;
    prepared.keep_replacements();
    prepared.dataset.spill_to(plan.spill_folder.as_deref().or(Some(folder.staging())));
    let night = match state {
        Some(state) => {
            let begin = || Night::begin(state, plan.rebuild_state, plan.drivers, &mut prepared, control);
            Some(pool.install(begin)?)
        }
        None => None,
    };
    let prepared = prepared;
    let keep = prepared.keep(&plan.keep)?;
    let mut warnings = Vec::new();
    let mut as_of_day = match plan.as_of_day {
        Some(day) => day,
        None => {
            let earlier = night.as_ref().and_then(Night::latest_day);
            prepared.dataset.latest_day(control)?.max(earlier).ok_or(EngineError::NoRecords)?
        }
    };
    if let Some(night) = &night {
        night.refuse_going_back(as_of_day)?;
    }
    let mut cut = prepared.cut(as_of_day)?;
    let mut timings = Timings { plan: began.elapsed(), ..Timings::default() };

    let way = way(plan);
    let sum = |cut: &Cut| -> Result<(Accumulated, Option<Kept>), EngineError> {
        match &night {
            Some(night) => {
                let (done, kept) = night.accumulate(&prepared, cut, &way, control, &pool)?;
                Ok((done, Some(kept)))
            }
            None => Ok((accumulate(&prepared, cut, &way, control)?, None)),
        }
    };
    let (mut done, mut kept) = sum(&cut)?;
    if plan.as_of_day.is_none() {
        let found = latest_day(&cut, &done).ok_or(EngineError::NoRecords)?;
        if found != as_of_day {
            warn(
                &mut warnings,
                control,
                "the latest row cannot be used, or the files' statistics are wrong: reading again as of the latest record that counts".to_owned(),
            );
            as_of_day = found;
            cut = prepared.cut(as_of_day)?;
            // The first attempt's log must be gone before another one is begun.
            drop(kept.take());
            (done, kept) = sum(&cut)?;
        }
    }
    timings.add_scan(&done, plan.threads);
    if plan.as_of_day.is_none()
        && let Some(text) = alone_on_its_day(&done, &cut)
    {
        warn(&mut warnings, control, text);
    }
    for text in prepared.dataset.warnings() {
        warn(&mut warnings, control, text);
    }
    if cut.starts.events_not_placed > 0 {
        let events = cut.starts.events_not_placed;
        warn(
            &mut warnings,
            control,
            format!(
                "{events} replacements name no position, or one that the model does not know, and restart no clock: \
             the vehicles' scores are flagged replacement_not_placed"
            ),
        );
    }

    let stage = Instant::now();
    control.emit(Event::Stage { name: "finish", total_rows: None });
    let Accumulated { sums, scan, device, device_reason, .. } = done;
    let fleet = prepared.fleet(&cut, &sums);
    let vehicle_column = &prepared.dataset.dictionary.histories.vehicle;
    let scorer = pool.install(|| Scorer::new(fleet, &prepared.dataset.vehicles, &prepared.parts, &cut.starts));
    let rows = pool.install(|| ScoreRows::new(&scorer, vehicle_column, keep));
    timings.finish += stage.elapsed();

    let stage = Instant::now();
    let as_of = super::report::day_text(scan.axis, as_of_day);
    let spec = table(rows.schema(), provenance(&prepared, &as_of), rows.rows());
    let content_hash = pool.install(|| write_scores(&rows, Some((&folder, &spec)), control))?;
    timings.write = stage.elapsed();
    let mut night_report = None;
    let earlier = night.as_ref().map(|night| night.earlier_inputs(&prepared, &scan)).unwrap_or_default();
    if let (Some(night), Some(kept)) = (&night, kept) {
        control.emit(Event::Stage { name: "store", total_rows: None });
        let scores = ScoresOfState {
            out: night::absolute(&plan.out),
            content_hash: content_hash.clone(),
            vehicles: rows.vehicles() as u64,
            rows: rows.rows() as u64,
            scan_kind: scan.kind,
        };
        let stage = || night.stage(kept, &prepared, &cut, &sums, &scan, scores, control);
        night_report = Some(pool.install(stage)?);
    }
    timings.total = began.elapsed();
    let manifest = Manifest {
        command: "score".to_owned(),
        options: options(plan),
        model: Some(ManifestModel {
            name: prepared.model.name.clone(),
            version: prepared.model.version.clone(),
            blake3: prepared.model.hash.clone(),
        }),
        dictionary_blake3: Some(prepared.dictionary_blake3.clone()),
        as_of: Some(as_of),
        inputs: earlier.into_iter().chain(prepared.dataset.manifest_inputs(&scan.inputs)).collect(),
        table_rows: prepared.dataset.table_rows(),
        account: Some(ManifestAccount::from(&scan.account)),
        content_hash: Some(content_hash.clone()),
        warnings: warnings.clone(),
        device: device.clone(),
        device_reason: device_reason.clone(),
        threads: plan.threads,
        timings: timings.stages().into_iter().chain(night_report.iter().flat_map(NightReport::stages)).collect(),
        details: details(&prepared, night_report.as_ref()),
        ..Manifest::default()
    };
    let manifest = folder.finish(manifest)?;
    if let Some(night) = night {
        night.commit()?;
    }
    Ok(ScoreReport {
        out: plan.out.clone(),
        vehicles: rows.vehicles() as u64,
        rows: rows.rows() as u64,
        account: scan.account,
        unreadable: scan.unreadable,
        scan_kind: scan.kind,
        axis: scan.axis,
        as_of_day,
        content_hash,
        timings: Timings { total: began.elapsed(), ..timings },
        device,
        device_reason,
        warnings,
        manifest,
        night: night_report,
    })
}

/// Whether the scores that stand at `plan.out` answer this very question: same model, dictionary and options.
fn was_asked_before(plan: &ScorePlan) -> Result<bool, EngineError> {
    let Some(manifest) = super::report::read_manifest(&plan.out) else { return Ok(false) };
    let dictionary = Dictionary::load(&plan.data)?;
    Ok(manifest.options == options(plan)
        && manifest.dictionary_blake3 == Some(dictionary.blake3)
        && manifest.model.map(|model| model.blake3) == Some(Model::load(&plan.model)?.hash))
}

/// The report of a run that was killed when its scores were in place and its state did not count yet.
fn resumed(plan: &ScorePlan, record: StateRecord, began: Instant) -> Result<ScoreReport, EngineError> {
    let lost = || EngineError::Internal { what: "scores were there and have no manifest now".to_owned() };
    let manifest = super::report::read_manifest(&plan.out).ok_or_else(lost)?;
    Ok(ScoreReport {
        out: plan.out.clone(),
        vehicles: record.scores.vehicles,
        rows: record.scores.rows,
        account: manifest.account.as_ref().map(Account::from).unwrap_or_default(),
        unreadable: Vec::new(),
        scan_kind: record.scores.scan_kind,
        axis: record.made_from.axis,
        as_of_day: record.as_of_day,
        content_hash: record.scores.content_hash,
        timings: Timings { total: began.elapsed(), ..Timings::default() },
        device: manifest.device.clone(),
        device_reason: manifest.device_reason.clone(),
        warnings: vec![
            "an earlier run of this command had placed these scores and was stopped before its state counted: now it does; files that came since count next time".to_owned(),
        ],
        manifest,
        night: None,
    })
}

/// The threads that make and write rows.
pub(super) fn thread_pool(threads: usize) -> Result<rayon::ThreadPool, EngineError> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads.max(1))
        .build()
        .map_err(|error| EngineError::Threads { threads, problem: error.to_string() })
}

/// How the plan wants its records read.
pub(super) fn way(plan: &ScorePlan) -> Way {
    Way {
        backend: plan.backend,
        device: plan.device.clone(),
        device_share: plan.device_share,
        fallback: plan.fallback,
        threads: plan.threads,
        memory_limit_bytes: plan.memory_limit_bytes,
        chunk_rows: plan.chunk_rows,
        reversed: plan.reversed,
        shard: None,
        scan_kind: plan.scan_kind,
        hash_inputs: plan.hash_inputs,
        drivers: plan.drivers,
        skip_later: plan.as_of_day.is_some(),
    }
}

/// The day of the latest record that was summed.
pub(super) fn latest_day(cut: &Cut, done: &Accumulated) -> Option<i32> {
    let slots = done.sums.tally.slots.iter().filter(|slot| slot.records > 0);
    slots.map(|slot| slot.last_tick).max().map(|tick| cut.slots.axis.day(tick))
}

/// A warning where hardly any vehicle has a record near the latest: as a rule a clock that ran ahead, and then the
/// whole fleet would be judged as of a day that has not come.
fn alone_on_its_day(done: &Accumulated, cut: &Cut) -> Option<String> {
    const NEAR_DAYS: i32 = 31;
    const FEW: f64 = 0.01;
    let axis = cut.slots.axis;
    let (mut all, mut near) = (0, 0);
    for vehicle in 0..done.sums.vehicles {
        let slots = done.sums.tally.slots.get(cut.slots.of(vehicle)).unwrap_or_default();
        let last = slots.iter().filter(|tally| tally.records > 0).map(|tally| axis.day(tally.last_tick)).max();
        all += usize::from(last.is_some());
        near += usize::from(last.is_some_and(|day| day >= cut.as_of_day.saturating_sub(NEAR_DAYS)));
    }
    let few = (near as f64) < FEW * all as f64;
    few.then(|| {
        let day = super::report::day_text(axis, cut.as_of_day);
        format!(
            "only {near} of {all} vehicles have a record within {NEAR_DAYS} days of {day}, the latest: if a clock ran \
             ahead, give the day that counts with --as-of"
        )
    })
}

pub(super) fn warn(warnings: &mut Vec<String>, control: &Control, text: String) {
    control.emit(Event::Warning(text.clone()));
    warnings.push(text);
}

/// What a reader of one file should know of its origin: the same for the same content.
fn provenance(prepared: &Prepared, as_of: &str) -> Vec<(String, String)> {
    vec![
        ("fleetwear.as_of".to_owned(), as_of.to_owned()),
        ("fleetwear.dictionary_blake3".to_owned(), prepared.dictionary_blake3.clone()),
        ("fleetwear.model".to_owned(), format!("{} {}", prepared.model.name, prepared.model.version)),
        ("fleetwear.model_blake3".to_owned(), prepared.model.hash.clone()),
    ]
}

/// What became of the small tables, and of a night.
fn details(prepared: &Prepared, night: Option<&NightReport>) -> serde_json::Map<String, serde_json::Value> {
    let mut details = night.map(NightReport::details).unwrap_or_default();
    if let Ok(tables) = serde_json::to_value(&prepared.dataset.tables_account) {
        details.insert("tables".to_owned(), tables);
    }
    details
}

/// The options that bear on the content.
fn options(plan: &ScorePlan) -> serde_json::Map<String, serde_json::Value> {
    let mut options = serde_json::Map::new();
    options.insert("model".to_owned(), plan.model.clone().into());
    options.insert("as_of_day".to_owned(), plan.as_of_day.into());
    options.insert("keep".to_owned(), plan.keep.clone().into());
    options.insert("drivers".to_owned(), plan.drivers.into());
    options
}

impl Timings {
    /// Splits the scan's wall time by thread time.
    fn add_scan(&mut self, done: &Accumulated, threads: usize) {
        let threads = threads.max(1) as u32;
        self.scan = done.scan_time;
        self.pack = done.times.pack / threads;
        self.kernel = done.times.kernel / threads;
        self.read = self.scan.saturating_sub(self.pack + self.kernel);
        self.finish = done.readback_time;
    }

    fn stages(&self) -> Vec<StageTiming> {
        let stage = |stage: &str, time: Duration| StageTiming { stage: stage.to_owned(), seconds: time.as_secs_f64() };
        vec![
            stage("plan", self.plan),
            stage("scan", self.scan),
            stage("scan.read", self.read),
            stage("scan.pack", self.pack),
            stage("scan.kernel", self.kernel),
            stage("finish", self.finish),
            stage("write", self.write),
        ]
    }
}
