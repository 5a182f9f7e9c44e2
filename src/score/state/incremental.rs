//! The night that reads only what is new: the steps of [`super::night`], one function each.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::capped;
use super::cell_sums::{CellRows, CellSummer, CellSums};
use super::cells::{ABSENT, Mapping};
use super::log_read::LogReader;
use super::log_write::LogWriter;
use super::merge::{Overlay, Widths};
use super::night::{
    Before, Next, NightContext, NightCounts, NightError, NightSums, NightTimes, files_to_read, refuse_gone,
};
use super::reform::{Chosen, ReformSink, put_in_place};
use super::repeats;
use super::sink::{NightSink, TooManyRepeats};
use super::traits::FleetTraits;
use crate::backend::SlotMasks;
use crate::fleet::account::{Account, Skip};
use crate::fleet::chunk::Chunk;
use crate::fleet::scan::{ScanRequest, SinkError};
use crate::fleet::state::ids::Ordinals;
use crate::fleet::state::stock::Stock;
use crate::fleet::vehicles::Ids;
use crate::run::Event;
use crate::score::sums::FleetSums;

/// Yesterday's sums and tonight's new records.
pub(super) fn incremental<'b>(
    night: &NightContext,
    before: &'b Before,
    stock: &Stock,
) -> Result<NightSums<'b>, NightError> {
    let Before { record, stored, index } = before;
    let fleet = &night.fleet;
    let (plan, channels) = (fleet.plan, night.request.channels.len());
    let mut times = NightTimes::default();
    let mut counts = NightCounts::default();
    let widths = fleet.widths();

    let began = Instant::now();
    night.control.emit(Event::Stage { name: "log", total_rows: None });
    let mapping = Mapping::new(&stored.segments, &stored.tally, index, plan, record.covered_from_tick);
    let log = LogReader::open(fleet.folder.path(), &record.log, channels, record.covered_from_tick)?;
    if log.overrides() > night.most_repeats() {
        let error: SinkError = Box::new(TooManyRepeats { limit: night.most_repeats() });
        return Err(NightError::Sink(error));
    }
    let cells = sum_cells(night, before, &mapping, &log, &mut counts)?;
    let open_rests = |vehicles: &[u32]| summer(night, vehicles.iter().copied(), false);
    let capped = capped::resolve(before, &mapping, &cells, plan, &log, &open_rests, night.control)?;
    times.log = began.elapsed();

    let began = Instant::now();
    let ordinals = ordinals(night, before);
    let open_log = || night.create_log();
    let files = files_to_read(stock, record.as_of_day);
    let request = ScanRequest { hash_inputs: true, files: Some(files), ..night.request.clone() };
    let sink = NightSink::new(
        night.packer()?,
        plan.axis,
        &ordinals,
        Some(stored),
        record.covered_from_tick,
        &open_log,
        request.threads,
        night.most_repeats(),
    )?;
    let mut report = (night.read)(&request, &sink)?;
    let mut gathered = sink.finish()?;
    times.scan = began.elapsed();

    let began = Instant::now();
    counts.looked_up = gathered.perhaps.len() as u64;
    let settled = repeats::settle(&gathered.perhaps, &ordinals, &log, night.control)?;
    settled.push(&gathered.packer, &gathered.log, &ordinals, &mut gathered.presence, plan.axis)?;
    counts.replaced = settled.replaced.len() as u64;
    move_to_duplicates(&mut report.account, settled.duplicates);
    let replaced = match settled.replaced.is_empty() {
        true => CellSums::default(),
        false => settled.sum_replaced(summer(night, settled.replaced.vehicle.iter().copied(), night.fleet.drivers)?)?,
    };
    times.repeats = began.elapsed();

    let began = Instant::now();
    let (pack_times, device) = (gathered.packer.times(), gathered.packer.description());
    let mut sums = gathered.packer.finish(std::mem::replace(&mut report.ids, Ids::Integer(Vec::new())))?;
    let readback_time = began.elapsed();

    let began = Instant::now();
    night.control.emit(Event::Stage { name: "merge", total_rows: None });
    let overlay = Overlay { stored, mapping: &mapping, cells: &cells, rest_capped: &capped.words, index };
    overlay.apply(&mut sums, plan, widths, night.control)?;
    let mut doubtful = settled.take_out(&replaced, &mut sums, plan, widths);
    times.merge = began.elapsed();

    let began = Instant::now();
    let changed = changed_traits(night, before);
    doubtful.extend(gathered.untold.keys());
    let by_ordinal =
        mapping.uncovered.iter().chain(&capped.unresolved).chain(&changed.masks).chain(&changed.side_tables);
    doubtful.extend(by_ordinal.map(|&ordinal| index[ordinal as usize]).filter(|&vehicle| vehicle != ABSENT));
    let chosen = Chosen::new(doubtful, plan);
    counts.reformed = chosen.vehicles.len() as u64;
    if !chosen.vehicles.is_empty() {
        refuse_gone(stock, chosen.vehicles.len(), || {
            before.names(chosen.vehicles.iter().take(5).map(|&vehicle| ordinals.of(vehicle) as usize))
        })?;
        let mut rewritten: Vec<u32> = changed.side_tables.iter().map(|&ordinal| index[ordinal as usize]).collect();
        rewritten.sort_unstable();
        let untold = Reform { night, chosen: &chosen, rewritten: &rewritten, untold: &gathered.untold };
        let duplicates = untold.form(&mut sums, widths, &gathered.log, &ordinals)?;
        move_to_duplicates(&mut report.account, duplicates);
    }
    times.reform = began.elapsed();
    let next = Next { before: Some(before), log: gathered.log, presence: gathered.presence, ordinals };
    Ok(NightSums { sums, report, times, pack_times, counts, device, readback_time, next })
}

/// Ordinals of the vehicles that are known before the scan: the state's own, and new ones behind them.
fn ordinals(night: &NightContext, before: &Before) -> Ordinals {
    let mut of_index = vec![ABSENT; night.fleet.dataset.kept_ids];
    for (ordinal, &vehicle) in before.index.iter().enumerate() {
        if vehicle != ABSENT {
            of_index[vehicle as usize] = ordinal as u32;
        }
    }
    let mut next = before.index.len() as u32;
    for ordinal in of_index.iter_mut().filter(|ordinal| **ordinal == ABSENT) {
        *ordinal = next;
        next += 1;
    }
    Ordinals { of_index, next }
}

/// Opens a summer whose cells have the masks of these vehicles.
fn summer<'a>(
    night: &NightContext<'a>,
    vehicle_of_cell: impl Iterator<Item = u32>,
    drivers: bool,
) -> Result<CellSummer<'a>, NightError> {
    let groups = night.fleet.masks.default.len();
    let mut masks = SlotMasks { masks: Vec::new(), default: night.fleet.masks.default.clone() };
    if !night.fleet.masks.masks.is_empty() {
        for vehicle in vehicle_of_cell {
            let first = night.fleet.plan.of(vehicle as usize).start * groups;
            masks.masks.extend_from_slice(
                night.fleet.masks.masks.get(first..first + groups).unwrap_or(&night.fleet.masks.default),
            );
        }
    }
    let backend = (night.open_cells)(&masks, drivers)?;
    Ok(CellSummer::new(&night.fleet.model.inputs, night.fleet.exposures, backend, night.request.threads))
}

/// Sums the mapping's cells from the log.
fn sum_cells(
    night: &NightContext,
    before: &Before,
    mapping: &Mapping,
    log: &LogReader,
    counts: &mut NightCounts,
) -> Result<CellSums, NightError> {
    if mapping.cells.is_empty() {
        return Ok(CellSums::default());
    }
    let vehicles = (0..before.index.len()).flat_map(|ordinal| {
        let vehicle = before.index[ordinal];
        mapping.cells_of(ordinal).map(move |_| vehicle)
    });
    let summer = summer(night, vehicles, false)?;
    // Most cells are the same few days of all vehicles.
    let mut ticks: Vec<(i32, i32)> = mapping.cells.iter().map(|cell| (cell.from_tick, cell.to_tick)).collect();
    ticks.dedup();
    ticks.sort_unstable();
    ticks.dedup();
    let vehicles = before.index.len();
    let wanted =
        |ordinal: u32, tick: i32| (ordinal as usize) < vehicles && mapping.cell_at(ordinal as usize, tick).is_some();
    let lanes: Vec<Mutex<Vec<u32>>> = (0..rayon::current_num_threads().max(1)).map(|_| Mutex::default()).collect();
    let take = |lane: usize, rows: &Chunk| -> Result<(), SinkError> {
        let mut cell = lanes[lane % lanes.len()].lock().unwrap_or_else(PoisonError::into_inner);
        cell.clear();
        let of_row = rows.vehicle.iter().zip(&rows.tick);
        cell.extend(of_row.map(|(&ordinal, &tick)| mapping.cell_at(ordinal as usize, tick).unwrap_or(0)));
        summer.push(lane, &CellRows { cell: &cell, vehicle: &cell, tick: &rows.tick, codes: &rows.codes })
    };
    counts.log_rows = log.find(&ticks, &wanted, &take, night.control)?;
    Ok(summer.finish(mapping.cells.len(), 0)?)
}

/// Ordinals of vehicles with records whose traits are not those that the state was made with.
#[derive(Default)]
struct ChangedTraits {
    masks: Vec<u32>,
    side_tables: Vec<u32>,
}

fn changed_traits(night: &NightContext, before: &Before) -> ChangedTraits {
    let Before { record, stored, index } = before;
    let now = FleetTraits::new(night.fleet.masks, night.fleet.plan, night.fleet.joins, record.as_of_day);
    let mut changed = ChangedTraits::default();
    for (ordinal, &vehicle) in index.iter().enumerate() {
        if vehicle == ABSENT || stored.presence[ordinal].mask == 0 {
            continue;
        }
        let (then, now) = (stored.traits[ordinal], now.of(vehicle as usize));
        if then.side_tables != now.side_tables {
            changed.side_tables.push(ordinal as u32);
        } else if then.masks != now.masks {
            changed.masks.push(ordinal as u32);
        }
    }
    changed
}

/// Counts rows as duplicates that the reader took for scored.
fn move_to_duplicates(account: &mut Account, rows: u64) {
    if rows > 0 {
        account.scored = account.scored.saturating_sub(rows);
        *account.skipped.entry(Skip::Duplicate).or_default() += rows;
    }
}

/// Forming some vehicles anew.
struct Reform<'r, 'a> {
    night: &'r NightContext<'a>,
    chosen: &'r Chosen,
    /// Vehicles whose codes in the log are no longer right, sorted.
    rewritten: &'r [u32],
    /// Tonight's rows of which it could not be told whether they are new.
    untold: &'r BTreeMap<u32, u64>,
}

impl Reform<'_, '_> {
    /// Returns how many of the untold rows were duplicates.
    fn form(
        &self,
        sums: &mut FleetSums,
        widths: Widths,
        log: &LogWriter,
        ordinals: &Ordinals,
    ) -> Result<u64, NightError> {
        let Self { night, chosen, .. } = *self;
        night.control.emit(Event::Stage { name: "form anew", total_rows: None });
        let vehicle_of_cell =
            || chosen.vehicles.iter().flat_map(|&vehicle| night.fleet.plan.of(vehicle as usize).map(move |_| vehicle));
        let open = || -> Result<CellSummer, SinkError> {
            summer(night, vehicle_of_cell(), night.fleet.drivers).map_err(|error| Box::new(error) as SinkError)
        };
        let request = ScanRequest { hash_inputs: false, files: None, ..night.request.clone() };
        let most_rows = night.most_repeats();
        let sink = ReformSink::new(
            chosen,
            night.fleet.plan,
            &open,
            request.threads,
            night.fleet.log_from_tick(),
            self.rewritten,
            most_rows,
        )?;
        (night.read)(&request, &sink)?;
        let (formed, rows) = sink.finish()?;
        let records = |sums: &FleetSums, vehicle: u32| -> u64 {
            night.fleet.plan.of(vehicle as usize).map(|slot| u64::from(sums.tally.slots[slot].records)).sum()
        };
        let told: u64 = self.untold.keys().map(|&vehicle| records(sums, vehicle)).sum();
        put_in_place(chosen, &formed, sums, night.fleet.plan, widths);
        let all: u64 = self.untold.keys().map(|&vehicle| records(sums, vehicle)).sum();
        let numbers: Vec<u32> = rows.vehicle.iter().map(|&vehicle| ordinals.of(vehicle)).collect();
        log.push(&numbers, &rows.tick, &rows.codes, true)?;
        Ok(self.untold.values().sum::<u64>().saturating_sub(all.saturating_sub(told)))
    }
}
