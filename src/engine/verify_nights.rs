//! The last way that `verify` tries: the last days night by night, with one record and one replacement that come late.
//!
//! The files stay as they are. Each night is told to read them up to its own day, so every file is one that the nights
//! before have read in part; the late record is held back from what the reader hands out, the late replacement from the
//! events, until the last night but one.

use std::sync::{Mutex, PoisonError};

use super::accumulate::Way;
use super::error::EngineError;
use super::night::Night;
use super::prepare::{Cut, Prepared};
use crate::fleet::chunk::{Chunk, Order};
use crate::fleet::dataset::Dataset;
use crate::fleet::error::FleetError;
use crate::fleet::scan::{ChunkSink, ScanReport, ScanRequest, SinkError, scan};
use crate::fleet::state::folder::StateFolder;
use crate::fleet::vehicles::{EventKind, FleetEvent, Ids, Vehicles};
use crate::run::Control;
use crate::score::state::record::ScoresOfState;
use crate::score::sums::FleetSums;

/// Days that are added one by one.
const NIGHTS: i32 = 7;

/// The sums on the day of `cut`, formed night by night in a state that vanishes afterwards. `prepared` is left as it
/// was but for the ids that its dataset knows.
pub(super) fn night_by_night(
    prepared: &mut Prepared,
    cut: &Cut,
    way: &Way,
    pool: &rayon::ThreadPool,
    late: &mut Vec<String>,
    control: &Control,
) -> Result<(FleetSums, String), EngineError> {
    let folder = tempfile::tempdir_in(&prepared.dataset.spill_folder)
        .map_err(|source| FleetError::Spill { folder: prepared.dataset.spill_folder.clone(), source })?;
    let late_record = find_record(prepared, cut.as_of_day.saturating_sub(NIGHTS), way, control)?;
    let late_event = take_event(prepared, cut.as_of_day.saturating_sub(NIGHTS + 1));
    late.push(match &late_record {
        Some((id, record)) => format!("a record of {id}, tick {}", record.tick[0]),
        None => format!("no record: there is none {NIGHTS} days before the last"),
    });
    late.push(match &late_event {
        Some((_, event)) => {
            let components = &prepared.dataset.vehicles.components;
            let component = components.get(event.component as usize).map_or("part", String::as_str);
            format!("a replacement ({component}, day {})", event.occurred_day)
        }
        None => format!("no replacement: there is none of the model's parts {NIGHTS} days before the last"),
    });
    let way = Way { skip_later: true, ..way.clone() };
    for night in 0..=NIGHTS {
        let delivery = NIGHTS - 1;
        if night == delivery
            && let Some((place, event)) = &late_event
        {
            prepared.dataset.vehicles.events.insert(*place, event.clone());
        }
        let tonight = prepared.cut(cut.as_of_day.saturating_sub(NIGHTS - night))?;
        let state = Night::begin(StateFolder::open(folder.path())?, false, way.drivers, prepared, control)?;
        let read = |dataset: &Dataset, request: &ScanRequest, sink: &dyn ChunkSink| -> Result<ScanReport, FleetError> {
            let Some((id, record)) = &late_record else { return scan(dataset, request, control, sink) };
            let hidden = (night < delivery).then_some((id.as_str(), record.tick[0]));
            let report = scan(dataset, request, control, &Withholding { dataset, sink, hidden })?;
            // A night that reads everything finds it by itself.
            if night == delivery
                && request.files.is_some()
                && let Some(vehicle) = dataset.ids.index_of(id)
            {
                let record = Chunk { vehicle: vec![vehicle], ..record.clone() };
                sink.push(0, &record).map_err(FleetError::Sink)?;
            }
            Ok(report)
        };
        let (done, kept) = pool.install(|| state.accumulate_once(prepared, &tonight, &way, control, &read))?;
        let staged = || {
            let scores = ScoresOfState::default();
            state.stage(kept, prepared, &tonight, &done.sums, &done.scan, scores, control)
        };
        pool.install(staged)?;
        state.commit()?;
        if night == NIGHTS {
            return Ok((done.sums, done.device));
        }
    }
    Err(EngineError::Internal { what: "the last night did not come".to_owned() })
}

/// The latest record on or before a day, of the first of its vehicles in the reader's order, and that vehicle's id.
fn find_record(
    prepared: &Prepared,
    day: i32,
    way: &Way,
    control: &Control,
) -> Result<Option<(String, Chunk)>, EngineError> {
    let request = ScanRequest {
        channels: prepared.channels.clone(),
        order: Order::Any,
        as_of_day: Some(day),
        threads: 1,
        memory_limit_bytes: way.memory_limit_bytes,
        chunk_rows: way.chunk_rows,
        reversed: false,
        shard: None,
        kind: way.scan_kind,
        hash_inputs: false,
        files: None,
    };
    let latest = Latest(Mutex::default());
    let report = scan(&prepared.dataset, &request, control, &latest)?;
    let record = latest.0.into_inner().unwrap_or_else(PoisonError::into_inner);
    let Some(&vehicle) = record.vehicle.first() else { return Ok(None) };
    let id = match &report.ids {
        Ids::Integer(ids) => ids.get(vehicle as usize).map(i64::to_string),
        Ids::Text(ids) => ids.get(vehicle as usize).cloned(),
    };
    Ok(id.map(|id| (id, record)))
}

/// Takes the latest replacement of one of the model's parts on or before a day, which all nights before its delivery
/// lack, out of the events; its place comes with it.
fn take_event(prepared: &mut Prepared, day: i32) -> Option<(usize, FleetEvent)> {
    let Vehicles { events, components, positions, .. } = &mut prepared.dataset.vehicles;
    let parts = &prepared.parts.parts;
    let restarts = |event: &FleetEvent| {
        let component = components.get(event.component as usize);
        let position = event.position.and_then(|position| positions.get(position as usize));
        parts.iter().any(|part| {
            Some(&part.component) == component && (part.position.is_none() || part.position.as_ref() == position)
        })
    };
    let counts =
        |event: &FleetEvent| event.kind == EventKind::Replacement && event.occurred_day <= day && restarts(event);
    let candidates = events.iter().enumerate().filter(|(_, event)| counts(event));
    let (place, _) = candidates.max_by_key(|(place, event)| (event.occurred_day, *place))?;
    Some((place, events.remove(place)))
}

/// Keeps the latest record.
struct Latest(Mutex<Chunk>);

impl ChunkSink for Latest {
    fn push(&self, _lane: usize, chunk: &Chunk) -> Result<(), SinkError> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (row, &tick) in chunk.tick.iter().enumerate() {
            if held.tick.first().is_none_or(|&held| tick > held) {
                held.clear();
                held.codes.resize_with(chunk.codes.len(), Vec::new);
                held.append_range(chunk, row, row + 1);
            }
        }
        Ok(())
    }

    fn restart(&self) -> Result<(), SinkError> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Chunk::default();
        Ok(())
    }
}

/// Hands everything on but one record.
struct Withholding<'a> {
    dataset: &'a Dataset,
    sink: &'a dyn ChunkSink,
    /// Vehicle and tick.
    hidden: Option<(&'a str, i32)>,
}

impl ChunkSink for Withholding<'_> {
    fn push(&self, lane: usize, chunk: &Chunk) -> Result<(), SinkError> {
        let hidden = self.hidden.and_then(|(id, tick)| Some((self.dataset.ids.index_of(id)?, tick)));
        let mut keys = chunk.vehicle.iter().copied().zip(chunk.tick.iter().copied());
        let Some(row) = hidden.and_then(|hidden| keys.position(|key| key == hidden)) else {
            return self.sink.push(lane, chunk);
        };
        let mut rest = Chunk { codes: vec![Vec::new(); chunk.codes.len()], ..Chunk::default() };
        rest.append_range(chunk, 0, row);
        rest.append_range(chunk, row + 1, chunk.len());
        if rest.is_empty() { Ok(()) } else { self.sink.push(lane, &rest) }
    }

    fn restart(&self) -> Result<(), SinkError> {
        self.sink.restart()
    }
}
