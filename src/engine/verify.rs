//! Shows on the user's own data and device that the way of computing does not matter: one thread, all threads, the
//! GPU, files reversed, other chunk sizes, disk instead of memory, shards merged, night by night. One content hash, or
//! the first place where two runs differ.

use std::path::PathBuf;
use std::time::Instant;

use arrow::array::{Array, RecordBatch};
use arrow::util::display::array_value_to_string;

use super::accumulate::{Way, accumulate};
use super::error::EngineError;
use super::plan::CHUNK_ROWS;
use super::prepare::{Cut, Prepared};
use super::score::{latest_day, thread_pool};
use super::verify_futures::futures;
use super::verify_nights::night_by_night;
use super::write_scores::write_scores;
use crate::backend::{BackendError, Choice, DeviceShare};
use crate::fleet::scan::{ScanKind, UnreadableFile};
use crate::run::{Control, Event};
use crate::score::output::ScoreRows;
use crate::score::row::Scorer;
use crate::score::sums::FleetSums;

/// What to verify, settled.
#[derive(Clone, Debug)]
pub struct VerifyPlan {
    /// `dataset.toml`, or the folder that holds it.
    pub data: PathBuf,
    /// A model file, or the name of a shipped model.
    pub model: String,
    /// `Gpu`: a GPU is required. `Auto`: a GPU is used if there is one. `Cpu`: none.
    pub backend: Choice,
    /// Part of an adapter's name, or its PCI id: then that device is required.
    pub device: Option<String>,
    pub threads: usize,
    pub memory_limit_bytes: usize,
    /// Where rows go that do not fit; `None`: the system's folder for temporary files.
    pub spill_folder: Option<PathBuf>,
    pub as_of_day: Option<i32>,
}

/// One way of computing, and what came out.
#[derive(Clone, Debug)]
pub struct VerifyRun {
    pub name: &'static str,
    pub device: String,
    pub content_hash: String,
    pub seconds: f64,
}

/// Where two runs differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    pub runs: (String, String),
    /// As text; of the first differing row in canonical order.
    pub vehicle: String,
    pub failure_mode: String,
    pub position: String,
    pub column: String,
    pub values: (String, String),
}

/// What was shown.
#[derive(Clone, Debug)]
pub struct VerifyReport {
    pub vehicles: u64,
    pub rows: u64,
    pub runs: Vec<VerifyRun>,
    /// (run, why it was not made).
    pub skipped: Vec<(&'static str, String)>,
    /// What was held back from the nights and came late, in words; what there was none of is said too.
    pub late: Vec<String>,
    /// `None`: all runs agree, or the hashes differ and no row of the tables does, which is a bug of ours.
    pub difference: Option<Difference>,
    /// A short simulation by several ways; run if the scores agree.
    pub futures: Vec<VerifyRun>,
    /// History files that could not be read, and of which nothing was shown.
    pub unreadable: Vec<UnreadableFile>,
}

impl VerifyReport {
    /// All runs made gave one content hash.
    pub fn agrees(&self) -> bool {
        let one_hash = |runs: &[VerifyRun]| runs.windows(2).all(|pair| pair[0].content_hash == pair[1].content_hash);
        one_hash(&self.runs) && one_hash(&self.futures)
    }
}

const FIRST: &str = "cpu, one thread";
const GPU: &str = "gpu";
const NIGHTS: &str = "the last 7 days night by night";
const MERGED: &str = "two shards, merged";
/// Rows of a chunk that divide nothing.
const PRIME_ROWS: usize = 7_919;

/// Computes the scores in every way and compares.
///
/// # Errors
///
/// As [`super::score()`]; a difference is not an error but part of the report.
pub fn verify(plan: &VerifyPlan, control: &Control) -> Result<VerifyReport, EngineError> {
    let pool = thread_pool(plan.threads)?;
    let mut prepared = Prepared::open(&plan.data, &plan.model, plan.threads, control)?;
    prepared.dataset.spill_to(plan.spill_folder.as_deref());
    let first_way = Way {
        backend: Choice::Cpu,
        device: None,
        device_share: DeviceShare::default(),
        fallback: false,
        threads: 1,
        memory_limit_bytes: plan.memory_limit_bytes,
        chunk_rows: CHUNK_ROWS,
        reversed: false,
        shard: None,
        scan_kind: None,
        hash_inputs: false,
        drivers: true,
        skip_later: plan.as_of_day.is_some(),
    };
    let (cut, first, mut runs, unreadable) = first_run(plan, &prepared, &first_way, &pool, control)?;
    let (mut skipped, mut late) = (Vec::new(), Vec::new());
    for (name, way) in ways(plan, &first_way) {
        if name == GPU && plan.backend == Choice::Cpu {
            skipped.push((name, "only the processor was asked for".to_owned()));
            continue;
        }
        let required = plan.backend == Choice::Gpu || plan.device.is_some();
        let began = Instant::now();
        control.emit(Event::Stage { name, total_rows: None });
        let summed = match name {
            NIGHTS => night_by_night(&mut prepared, &cut, &way, &pool, &mut late, control),
            _ => sums_of(&prepared, &cut, name, &way, control),
        };
        let (sums, device) = match summed {
            Err(EngineError::Backend(error @ BackendError::NoDevice { .. })) if !required => {
                skipped.push((name, error.to_string()));
                continue;
            }
            other => other?,
        };
        let hash = content_hash(&prepared, &cut, &sums, &pool, control)?;
        let agrees = hash == runs[0].content_hash;
        runs.push(VerifyRun { name, device, content_hash: hash, seconds: began.elapsed().as_secs_f64() });
        if !agrees {
            let difference = pool.install(|| {
                let scorers = (scorer(&prepared, &cut, &first), scorer(&prepared, &cut, &sums));
                let rows = (rows(&prepared, &scorers.0), rows(&prepared, &scorers.1));
                first_difference((FIRST, &rows.0), (name, &rows.1))
            })?;
            return Ok(VerifyReport { unreadable, ..report(&first, &prepared, runs, skipped, late, difference) });
        }
    }
    let (futures, not_run) = futures(plan, control)?;
    skipped.extend(not_run);
    Ok(VerifyReport { futures, unreadable, ..report(&first, &prepared, runs, skipped, late, None) })
}

/// The run that the others are compared with, on the day that it finds to be the latest.
fn first_run(
    plan: &VerifyPlan,
    prepared: &Prepared,
    way: &Way,
    pool: &rayon::ThreadPool,
    control: &Control,
) -> Result<(Cut, FleetSums, Vec<VerifyRun>, Vec<UnreadableFile>), EngineError> {
    let began = Instant::now();
    control.emit(Event::Stage { name: FIRST, total_rows: None });
    let guess = match plan.as_of_day {
        Some(day) => day,
        None => prepared.latest_day(control)?,
    };
    let mut cut = prepared.cut(guess)?;
    let mut done = accumulate(prepared, &cut, way, control)?;
    if plan.as_of_day.is_none() {
        let found = latest_day(&cut, &done).ok_or(EngineError::NoRecords)?;
        if found != guess {
            cut = prepared.cut(found)?;
            done = accumulate(prepared, &cut, way, control)?;
        }
    }
    let content_hash = content_hash(prepared, &cut, &done.sums, pool, control)?;
    let run = VerifyRun { name: FIRST, device: done.device, content_hash, seconds: began.elapsed().as_secs_f64() };
    Ok((cut, done.sums, vec![run], done.scan.unreadable))
}

/// All other ways, the likeliest to differ first.
fn ways(plan: &VerifyPlan, first: &Way) -> Vec<(&'static str, Way)> {
    let all = Way { threads: plan.threads.max(2), ..first.clone() };
    vec![
        ("cpu, all threads", all.clone()),
        (GPU, Way { backend: Choice::Gpu, device: plan.device.clone(), ..all.clone() }),
        ("files reversed", Way { reversed: true, ..all.clone() }),
        ("chunks of 1,000 rows", Way { chunk_rows: 1_000, ..all.clone() }),
        ("chunks of 65,536 rows", Way { chunk_rows: 65_536, ..all.clone() }),
        ("chunks of 7,919 rows", Way { chunk_rows: PRIME_ROWS, ..all.clone() }),
        ("sorted on disk", Way { scan_kind: Some(ScanKind::Spill), ..all.clone() }),
        (MERGED, all.clone()),
        (NIGHTS, all),
    ]
}

fn sums_of(
    prepared: &Prepared,
    cut: &Cut,
    name: &'static str,
    way: &Way,
    control: &Control,
) -> Result<(FleetSums, String), EngineError> {
    if name != MERGED {
        let done = accumulate(prepared, cut, way, control)?;
        return Ok((done.sums, done.device));
    }
    let second = accumulate(prepared, cut, &Way { shard: Some((1, 2)), ..way.clone() }, control)?;
    let mut first = accumulate(prepared, cut, &Way { shard: Some((0, 2)), ..way.clone() }, control)?;
    let merged = first.sums.merge(&second.sums, &cut.slots);
    merged.map_err(|error| EngineError::Internal { what: format!("shards of one dataset do not merge: {error}") })?;
    Ok((first.sums, first.device))
}

fn scorer<'a>(prepared: &'a Prepared, cut: &'a Cut, sums: &'a FleetSums) -> Scorer<'a> {
    let fleet = prepared.fleet(cut, sums);
    Scorer::new(fleet, &prepared.dataset.vehicles, &prepared.parts, &cut.starts)
}

fn rows<'a>(prepared: &'a Prepared, scorer: &'a Scorer<'a>) -> ScoreRows<'a> {
    ScoreRows::new(scorer, &prepared.dataset.dictionary.histories.vehicle, Vec::new())
}

fn content_hash(
    prepared: &Prepared,
    cut: &Cut,
    sums: &FleetSums,
    pool: &rayon::ThreadPool,
    control: &Control,
) -> Result<String, EngineError> {
    pool.install(|| {
        let scorer = scorer(prepared, cut, sums);
        write_scores(&rows(prepared, &scorer), None, control)
    })
}

fn report(
    first: &FleetSums,
    prepared: &Prepared,
    runs: Vec<VerifyRun>,
    skipped: Vec<(&'static str, String)>,
    late: Vec<String>,
    difference: Option<Difference>,
) -> VerifyReport {
    VerifyReport {
        vehicles: first.vehicles as u64,
        rows: (first.vehicles * prepared.parts.rows.len()) as u64,
        runs,
        skipped,
        late,
        difference,
        futures: Vec::new(),
        unreadable: Vec::new(),
    }
}

/// The first row, in canonical order, in which two runs differ, with the first such column; `None` if there is none.
pub fn first_difference(
    (first_name, first): (&str, &ScoreRows),
    (other_name, other): (&str, &ScoreRows),
) -> Result<Option<Difference>, EngineError> {
    const STEP_ROWS: usize = 1 << 13;
    let shorter = first.rows().min(other.rows());
    for start in (0..shorter).step_by(STEP_ROWS) {
        let range = start..shorter.min(start + STEP_ROWS);
        let (a, b) = (first.batch(range.clone())?, other.batch(range.clone())?);
        if a == b {
            continue;
        }
        for row in 0..a.num_rows() {
            let differs =
                |&column: &usize| a.column(column).slice(row, 1).to_data() != b.column(column).slice(row, 1).to_data();
            let Some(column) = (0..a.num_columns()).find(differs) else { continue };
            let text = |batch: &RecordBatch, column: usize| array_value_to_string(batch.column(column), row);
            return Ok(Some(Difference {
                runs: (first_name.to_owned(), other_name.to_owned()),
                vehicle: text(&a, 0)?,
                failure_mode: text(&a, 1)?,
                position: text(&a, 3)?,
                column: a.schema().field(column).name().clone(),
                values: (text(&a, column)?, text(&b, column)?),
            }));
        }
    }
    if first.rows() == other.rows() {
        return Ok(None);
    }
    let longer = if first.rows() > other.rows() { first } else { other };
    let extra = longer.batch(shorter..shorter + 1)?;
    let text = |column: usize| array_value_to_string(extra.column(column), 0);
    Ok(Some(Difference {
        runs: (first_name.to_owned(), other_name.to_owned()),
        vehicle: text(0)?,
        failure_mode: text(1)?,
        position: text(3)?,
        column: "rows of the table".to_owned(),
        values: (first.rows().to_string(), other.rows().to_string()),
    }))
}
