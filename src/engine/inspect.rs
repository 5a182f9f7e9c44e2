//! One vehicle's scores explained: since when each part runs, and which ratios made its clocks what they are.

use std::path::PathBuf;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use super::error::EngineError;
use super::prepare::Prepared;
use super::report::day_text;
use crate::fleet::chunk::{Chunk, Order};
use crate::fleet::dataset::Dataset;
use crate::fleet::ids::IdKind;
use crate::fleet::scan::{ChunkSink, ScanRequest, SinkError, UnreadableFile, scan};
use crate::model::life;
use crate::model::waterfall::{MechanismWaterfall, Waterfall};
use crate::run::{Control, Event};

/// Rows of a chunk: only the vehicle's own are kept.
const CHUNK_ROWS: usize = 1 << 14;

/// Which vehicle to explain.
#[derive(Clone, Debug)]
pub struct InspectPlan {
    /// `dataset.toml`, or the folder that holds it.
    pub data: PathBuf,
    /// A model file, or the name of a shipped model.
    pub model: String,
    /// The vehicle's id as text.
    pub vehicle: String,
    pub threads: usize,
    pub memory_limit_bytes: usize,
    /// Where rows go that do not fit; `None`: the system's folder for temporary files.
    pub spill_folder: Option<PathBuf>,
    /// Last day that counts; `None`: the day of the fleet's latest record.
    pub as_of_day: Option<i32>,
}

/// A vehicle's scores, explained.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Inspection {
    pub vehicle: String,
    pub as_of: String,
    /// Of its whole history on or before that day.
    pub records: u64,
    /// (name, value) of the attributes that it has.
    pub attributes: Vec<(String, String)>,
    /// In the order of the scores.
    pub parts: Vec<PartInspection>,
    /// History files that could not be read: records of the vehicle may be missing.
    pub unreadable: Vec<UnreadableFile>,
}

/// One row of the scores, explained.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PartInspection {
    pub failure_mode: String,
    pub component: String,
    pub position: Option<String>,
    /// Day of the part's last replacement; `None`: the clock runs since the first record.
    pub clock_start: Option<String>,
    pub damage: f64,
    pub cumulative_hazard: f64,
    /// One a mechanism, over the records since the start.
    pub mechanisms: Vec<MechanismWaterfall>,
}

/// Explains the scores of one vehicle. Reads the histories once; clocks are those that [`super::score()`] writes.
///
/// # Errors
///
/// As [`super::score()`], and a vehicle that the dataset does not know.
pub fn inspect_vehicle(plan: &InspectPlan, control: &Control) -> Result<Inspection, EngineError> {
    let mut prepared = Prepared::open(&plan.data, &plan.model, plan.threads, control)?;
    prepared.dataset.spill_to(plan.spill_folder.as_deref());
    let dataset = &prepared.dataset;
    let request = ScanRequest {
        channels: prepared.channels.clone(),
        order: Order::Any,
        as_of_day: plan.as_of_day,
        threads: plan.threads,
        memory_limit_bytes: plan.memory_limit_bytes,
        chunk_rows: CHUNK_ROWS,
        reversed: false,
        shard: None,
        kind: None,
        hash_inputs: false,
        files: None,
    };
    let latest = AtomicI32::new(i32::MIN);
    let records = OneVehicle { dataset, id: &plan.vehicle, records: Mutex::default(), latest: &latest };
    let report = scan(dataset, &request, control, &records)?;
    // As of the latest record that counts, as for scores: files' statistics may tell of rows that cannot be used.
    let latest = latest.load(Ordering::Relaxed);
    let found = (latest != i32::MIN).then(|| dataset.axis.day(latest));
    // What follows may fail for want of them.
    let say_left_out = || {
        for UnreadableFile { path, problem, .. } in &report.unreadable {
            control.emit(Event::Warning(format!("{}: left out: {problem}", path.display())));
        }
    };
    let as_of_day = plan.as_of_day.or(found).ok_or(EngineError::NoRecords).inspect_err(|_| say_left_out())?;
    let cut = prepared.cut(as_of_day)?;
    let mut records = records.records.into_inner().unwrap_or_else(PoisonError::into_inner);
    records.sort_unstable();
    // A name that stands in nothing but unusable rows is no vehicle, as for scores.
    let index = dataset.ids.index_of(&plan.vehicle);
    let Some(vehicle) = index.filter(|&index| (index as usize) < dataset.vehicles.known || !records.is_empty()) else {
        let kind = match dataset.ids.kind() {
            IdKind::Integer => "integers",
            IdKind::Text => "text, compared letter by letter",
        };
        say_left_out();
        return Err(EngineError::UnknownVehicle { id: plan.vehicle.clone(), kind });
    };
    let vehicle = vehicle as usize;
    let attributes: Vec<(String, String)> = dataset
        .vehicles
        .attributes
        .iter()
        .filter_map(|attribute| {
            let code = *attribute.code.get(vehicle)?;
            Some((attribute.name.clone(), attribute.values.get(code as usize)?.clone()))
        })
        .collect();
    let value = |name: &str| attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let masks = prepared.model.masks(&value);

    let parts = prepared.parts.rows.iter().map(|row| {
        let mode = &prepared.model.modes[row.mode];
        let part = &prepared.parts.parts[row.part];
        let start_day = cut.starts.day(vehicle, row.part);
        let start_tick = start_day.map(|day| dataset.axis.last_tick_of(day));
        let mut waterfall = Waterfall::new(&prepared.model, masks.clone());
        for (_, codes) in records.iter().filter(|(tick, _)| start_tick.is_none_or(|start| *tick > start)) {
            waterfall.push(codes);
        }
        let mechanisms: Vec<MechanismWaterfall> =
            waterfall.finish().into_iter().filter(|mechanism| mechanism.failure_mode == mode.id).collect();
        let exponents = prepared.model.mechanisms[mode.mechanisms.clone()].iter().map(|one| one.clock_exponent);
        let damage = life::damage(mechanisms.iter().map(|one| one.clock_q48).zip(exponents));
        PartInspection {
            failure_mode: mode.id.clone(),
            component: part.component.clone(),
            position: part.position.clone(),
            clock_start: start_day.map(|day| day_text(dataset.axis, day)),
            damage,
            cumulative_hazard: life::cumulative_hazard(damage, mode.weibull_shape),
            mechanisms,
        }
    });
    let parts = parts.collect();
    Ok(Inspection {
        vehicle: plan.vehicle.clone(),
        as_of: day_text(dataset.axis, as_of_day),
        records: records.len() as u64,
        attributes,
        parts,
        unreadable: report.unreadable,
    })
}

/// Keeps the records of one vehicle: (tick, codes).
struct OneVehicle<'a> {
    dataset: &'a Dataset,
    id: &'a str,
    records: Mutex<Vec<(i32, Vec<u16>)>>,
    /// Tick of the latest record of any vehicle.
    latest: &'a AtomicI32,
}

impl ChunkSink for OneVehicle<'_> {
    fn push(&self, _lane: usize, chunk: &Chunk) -> Result<(), SinkError> {
        self.latest.fetch_max(chunk.tick.iter().copied().max().unwrap_or(i32::MIN), Ordering::Relaxed);
        // A vehicle that only the histories know has no index before its first record is read.
        let Some(vehicle) = self.dataset.ids.index_of(self.id) else { return Ok(()) };
        let own = chunk.vehicle.iter().enumerate().filter(|(_, other)| **other == vehicle);
        let mut found: Vec<(i32, Vec<u16>)> =
            own.map(|(row, _)| (chunk.tick[row], chunk.codes.iter().map(|column| column[row]).collect())).collect();
        if !found.is_empty() {
            self.records.lock().unwrap_or_else(PoisonError::into_inner).append(&mut found);
        }
        Ok(())
    }

    fn restart(&self) -> Result<(), SinkError> {
        self.latest.store(i32::MIN, Ordering::Relaxed);
        self.records.lock().unwrap_or_else(PoisonError::into_inner).clear();
        Ok(())
    }
}
