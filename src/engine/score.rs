//! The scoring run, from plan to folder.

use std::time::{Duration, Instant};

use super::accumulate::{Accumulated, Way, accumulate};
use super::error::EngineError;
use super::plan::ScorePlan;
use super::prepare::{Cut, Prepared};
use super::report::{ScoreReport, Timings};
use super::write_scores::{table, write_scores};
use crate::fleet::manifest::{Manifest, ManifestAccount, ManifestModel, StageTiming};
use crate::fleet::writer::OutputFolder;
use crate::run::{Control, Event};
use crate::score::fleet::Fleet;
use crate::score::output::ScoreRows;
use crate::score::row::Scorer;

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
    let folder = OutputFolder::create(&plan.out)?;
    let prepared = Prepared::open(&plan.data, &plan.model, plan.threads, control)?;
    let keep = prepared.keep(&plan.keep)?;
    let mut warnings = Vec::new();
    let mut as_of_day = match plan.as_of_day {
        Some(day) => day,
        None => prepared.latest_day(control)?,
    };
    let mut cut = prepared.cut(as_of_day)?;
    let mut timings = Timings { plan: began.elapsed(), ..Timings::default() };

    let way = way(plan);
    let mut done = accumulate(&prepared, &cut, &way, control)?;
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
            done = accumulate(&prepared, &cut, &way, control)?;
        }
    }
    timings.add_scan(&done, plan.threads);
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
    let fleet = Fleet {
        model: &prepared.model,
        plan: &cut.slots,
        exposures: &prepared.exposures,
        sums: &sums,
        period_days: prepared.period_days,
    };
    let vehicle_column = &prepared.dataset.dictionary.histories.vehicle;
    let scorer = pool.install(|| Scorer::new(fleet, &prepared.dataset.vehicles, &prepared.parts, &cut.starts));
    let rows = pool.install(|| ScoreRows::new(&scorer, vehicle_column, keep));
    timings.finish += stage.elapsed();

    let stage = Instant::now();
    let as_of = super::report::day_text(scan.axis, as_of_day);
    let spec = table(rows.schema(), provenance(&prepared, &as_of), rows.rows());
    let content_hash = pool.install(|| write_scores(&rows, Some((&folder, &spec)), control))?;
    timings.write = stage.elapsed();
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
        inputs: scan.inputs.iter().map(Into::into).collect(),
        account: Some(ManifestAccount::from(&scan.account)),
        content_hash: Some(content_hash.clone()),
        warnings: warnings.clone(),
        device: device.clone(),
        device_reason: device_reason.clone(),
        threads: plan.threads,
        timings: timings.stages(),
        ..Manifest::default()
    };
    let manifest = folder.finish(manifest)?;
    Ok(ScoreReport {
        out: plan.out.clone(),
        vehicles: sums.vehicles as u64,
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

fn warn(warnings: &mut Vec<String>, control: &Control, text: String) {
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
