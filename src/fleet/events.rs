//! The events table: work orders and faults as [`FleetEvent`]s, every row accounted for.
//!
//! A row that lacks its vehicle, component or day, or whose kind the dictionary does not know, is quarantined and
//! counted. Rows that agree in vehicle, component, position, kind and day are one event: work orders are reopened and
//! copied. Of them the smallest counts, by reported day, odometer, finding and cost (a missing one last). Events after
//! the as-of day are kept; consumers decide.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::path::Path;

use arrow::array::{Array, ArrayRef, StringArray};
use serde::Serialize;

use super::dictionary::EventsTable;
use super::error::FleetError;
use super::ids::{IdTable, NO_VEHICLE};
use super::known::{Known, days_or_none, kept};
use super::partition::PartitionUse;
use super::scan::InputFile;
use super::table_file::{Names, Wanted, days, numbers, read, texts};
use super::tables::day_use;
use super::time::TimeAxis;
use super::vehicles::{EventKind, Finding, FleetEvent, Vehicles};
use crate::run::Control;

/// Rows in = taken + duplicates + other kinds + quarantined. Reasons are asked in the order of the fields; the first counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct EventsAccount {
    pub rows_in: u64,
    pub taken: u64,
    /// Rows that repeat another's vehicle, component, position, kind and day.
    pub duplicates: u64,
    /// Rows of kinds that the dictionary says to pass over.
    pub other_kind: u64,
    pub no_vehicle: u64,
    /// Without the day it occurred, or with one out of range.
    pub no_date: u64,
    pub no_component: u64,
    pub unknown_kind: Strange,
    /// Rows whose finding the dictionary does not know: taken as without finding.
    pub unknown_finding: Strange,
    /// Events taken though reported before they occurred.
    pub reported_before_occurred: u64,
}

impl EventsAccount {
    pub fn quarantined(&self) -> u64 {
        self.no_vehicle + self.no_date + self.no_component + self.unknown_kind.rows
    }

    pub fn balances(&self) -> bool {
        self.rows_in == self.taken + self.duplicates + self.other_kind + self.quarantined()
    }
}

/// Raw values that the dictionary does not know, with their rows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Strange {
    pub rows: u64,
    /// The alphabetically first values; null stands as the empty text.
    pub values: BTreeMap<String, u64>,
}

/// Values shown at most. Those beyond are only counted, so that a column of a million texts stays small.
const STRANGE_VALUES: usize = 20;

impl Strange {
    fn add(&mut self, value: &str) {
        self.rows += 1;
        *self.values.entry(value.to_string()).or_default() += 1;
        if self.values.len() > STRANGE_VALUES {
            // Once a value is out it can never come back, since the largest kept only falls: counts are exact.
            self.values.pop_last();
        }
    }
}

/// Columns of one batch.
struct Batch {
    vehicle: Vec<u32>,
    occurred: Vec<Option<i32>>,
    reported: Option<Vec<Option<i32>>>,
    component: StringArray,
    position: Option<StringArray>,
    kind: Option<StringArray>,
    finding: Option<StringArray>,
    odometer_km: Option<Vec<Option<f64>>>,
    cost: Option<Vec<Option<f64>>>,
}

/// Reads what counts of the table into `vehicles`; vehicles that only events know are added to `ids`.
pub(super) fn load(
    table: &EventsTable,
    axis: TimeAxis,
    ids: &IdTable,
    known: Known,
    control: &Control,
    vehicles: &mut Vehicles,
) -> Result<(EventsAccount, Vec<InputFile>), FleetError> {
    let kinds = kinds(table);
    let findings = findings(table);
    let mut account = EventsAccount::default();
    let mut rows = Vec::new();
    let (mut components, mut positions) = (Names::default(), Names::default());
    let files = read(&table.files, &wanted(table, axis, ids), control, |file: &Path, columns: &[ArrayRef]| {
        let columns = kept(columns, counting(table, axis, known, file, columns)?.as_ref())?;
        let batch = batch(table, axis, ids, file, &columns)?;
        for row in 0..batch.vehicle.len() {
            account.rows_in += 1;
            let vehicle = batch.vehicle[row];
            if vehicle == NO_VEHICLE {
                account.no_vehicle += 1;
                continue;
            }
            let Some(occurred_day) = batch.occurred[row] else {
                account.no_date += 1;
                continue;
            };
            let Some(component) = text(&batch.component, row) else {
                account.no_component += 1;
                continue;
            };
            let kind = match &batch.kind {
                None => EventKind::Replacement,
                Some(raw) => {
                    let raw = text(raw, row).unwrap_or_default();
                    match kinds.get(raw) {
                        Some(Some(kind)) => *kind,
                        Some(None) => {
                            account.other_kind += 1;
                            continue;
                        }
                        None => {
                            account.unknown_kind.add(raw);
                            continue;
                        }
                    }
                }
            };
            let finding = batch.finding.as_ref().and_then(|raw| text(raw, row)).and_then(|raw| {
                let known = findings.get(raw).copied();
                if known.is_none() {
                    account.unknown_finding.add(raw);
                }
                known
            });
            let event = FleetEvent {
                vehicle,
                component: components.code(component),
                position: batch.position.as_ref().and_then(|raw| text(raw, row)).map(|name| positions.code(name)),
                kind,
                occurred_day,
                reported_day: batch.reported.as_ref().and_then(|days| days[row]),
                finding,
            };
            rows.push(Row {
                event,
                odometer_km: batch.odometer_km.as_ref().and_then(|numbers| numbers[row]),
                cost: batch.cost.as_ref().and_then(|numbers| numbers[row]),
            });
        }
        Ok(())
    })?;
    let (components, component_place) = components.sorted(rows.iter().map(|row: &Row| row.event.component));
    let (positions, position_place) = positions.sorted(rows.iter().filter_map(|row| row.event.position));
    for Row { event, .. } in &mut rows {
        event.component = component_place[event.component as usize];
        event.position = event.position.map(|position| position_place[position as usize]);
    }
    // Rows that compare as equal are equal.
    rows.sort_unstable_by(|a, b| key(&a.event).cmp(&key(&b.event)).then_with(|| compare_rest(a, b)));
    let before = rows.len();
    rows.dedup_by(|later, kept| key(&later.event) == key(&kept.event));
    account.duplicates = (before - rows.len()) as u64;
    account.taken = rows.len() as u64;
    // Their own allocation: that of the rows is twice as large, and larger again by what it grew in advance.
    vehicles.event_costs = match rows.iter().any(|row| row.cost.is_some()) {
        true => rows.iter().map(|row| row.cost.unwrap_or(f64::NAN)).collect(),
        false => Vec::new(),
    };
    let mut events = Vec::with_capacity(rows.len());
    events.extend(rows.into_iter().map(|row| row.event));
    let early = |event: &&FleetEvent| event.reported_day.is_some_and(|reported| reported < event.occurred_day);
    account.reported_before_occurred = events.iter().filter(early).count() as u64;
    (vehicles.events, vehicles.components, vehicles.positions) = (events, components, positions);
    Ok((account, files))
}

/// An event with what only decides which of its rows counts.
struct Row {
    event: FleetEvent,
    odometer_km: Option<f64>,
    cost: Option<f64>,
}

/// What makes two rows one event.
fn key(event: &FleetEvent) -> (u32, i32, u32, Option<u32>, EventKind) {
    (event.vehicle, event.occurred_day, event.component, event.position, event.kind)
}

fn compare_rest(a: &Row, b: &Row) -> Ordering {
    let known_first = |a: Option<f64>, b: Option<f64>| match (a, b) {
        (Some(a), Some(b)) => a.total_cmp(&b),
        (a, b) => b.is_some().cmp(&a.is_some()),
    };
    let reported = |row: &Row| (row.event.reported_day.is_none(), row.event.reported_day);
    let finding = |row: &Row| match row.event.finding {
        Some(Finding::Confirmed) => 0,
        Some(Finding::NotFound) => 1,
        None => 2,
    };
    reported(a)
        .cmp(&reported(b))
        .then_with(|| known_first(a.odometer_km, b.odometer_km))
        .then_with(|| finding(a).cmp(&finding(b)))
        .then_with(|| known_first(a.cost, b.cost))
}

/// The wanted columns, in the order in which [`batch`] takes them.
fn wanted<'a>(table: &'a EventsTable, axis: TimeAxis, ids: &IdTable) -> Vec<Wanted<'a>> {
    let column = |column: &'a String, used_as| Wanted { column: column.as_str(), used_as };
    let mut wanted = vec![
        column(&table.vehicle, PartitionUse::Id(ids.kind())),
        column(&table.occurred_on, day_use(axis)),
        column(&table.component, PartitionUse::Text),
    ];
    wanted.extend(table.reported_on.as_ref().map(|name| column(name, day_use(axis))));
    wanted.extend(table.position.as_ref().map(|name| column(name, PartitionUse::Text)));
    wanted.extend(table.kind.as_ref().map(|kind| column(&kind.column, PartitionUse::Text)));
    wanted.extend(table.finding.as_ref().map(|finding| column(&finding.column, PartitionUse::Text)));
    wanted.extend(table.odometer_km.as_ref().map(|name| column(name, PartitionUse::Channel)));
    wanted.extend(table.cost.as_ref().map(|name| column(name, PartitionUse::Channel)));
    wanted
}

fn batch<'t>(
    table: &'t EventsTable,
    axis: TimeAxis,
    ids: &IdTable,
    file: &Path,
    columns: &[ArrayRef],
) -> Result<Batch, FleetError> {
    let [vehicle, occurred, component, rest @ ..] = columns else {
        return Err(FleetError::Internal { what: "an events batch without its columns".to_string() });
    };
    let mut indices = Vec::with_capacity(vehicle.len());
    ids.reader(vehicle.data_type(), file, &table.vehicle)?.index(vehicle, &mut indices)?;
    let mut rest = rest.iter();
    // Columns stand in the order of `wanted`, and only those that the dictionary names.
    let mut next = |name: Option<&'t String>| name.and_then(|name| rest.next().map(|array| (name, array)));
    let reported = next(table.reported_on.as_ref());
    let position = next(table.position.as_ref());
    let kind = next(table.kind.as_ref().map(|kind| &kind.column));
    let finding = next(table.finding.as_ref().map(|finding| &finding.column));
    let odometer_km = next(table.odometer_km.as_ref());
    let cost = next(table.cost.as_ref());
    let mut occurred_days = days(occurred, axis, file, &table.occurred_on)?;
    for day in &mut occurred_days {
        *day = day.filter(|day| !axis.is_before_1970(*day));
    }
    Ok(Batch {
        vehicle: indices,
        occurred: occurred_days,
        reported: reported.map(|(name, array)| days(array, axis, file, name)).transpose()?,
        component: texts(component, file, &table.component)?,
        position: position.map(|(name, array)| texts(array, file, name)).transpose()?,
        kind: kind.map(|(name, array)| texts(array, file, name)).transpose()?,
        finding: finding.map(|(name, array)| texts(array, file, name)).transpose()?,
        odometer_km: odometer_km.map(|(name, array)| numbers(array, file, name)).transpose()?,
        cost: cost.map(|(name, array)| numbers(array, file, name)).transpose()?,
    })
}

/// The rows of a batch that count: events that had occurred and were reported.
fn counting(
    table: &EventsTable,
    axis: TimeAxis,
    known: Known,
    file: &Path,
    columns: &[ArrayRef],
) -> Result<Option<arrow::array::BooleanArray>, FleetError> {
    let [vehicle, occurred, _, rest @ ..] = columns else { return Ok(None) };
    let occurred = days(occurred, axis, file, &table.occurred_on)?;
    let reported = days_or_none(table.reported_on.as_ref().zip(rest.first()), axis, file)?;
    known.rows(vehicle, &|row| occurred[row].max(reported.as_ref().and_then(|days| days[row])))
}

/// The text of a row; null and the empty text are none.
fn text(texts: &StringArray, row: usize) -> Option<&str> {
    Some(texts).filter(|texts| texts.is_valid(row)).map(|texts| texts.value(row)).filter(|text| !text.is_empty())
}

/// What each raw value means; `None`: to be passed over.
fn kinds(table: &EventsTable) -> BTreeMap<&str, Option<EventKind>> {
    let Some(kind) = &table.kind else { return BTreeMap::new() };
    let meanings = [
        (&kind.failure, Some(EventKind::Failure)),
        (&kind.replacement, Some(EventKind::Replacement)),
        (&kind.inspection, Some(EventKind::Inspection)),
        (&kind.outcome, Some(EventKind::Outcome)),
        (&kind.other, None),
    ];
    meanings.into_iter().flat_map(|(raw, kind)| raw.iter().map(move |raw| (raw.as_str(), kind))).collect()
}

fn findings(table: &EventsTable) -> BTreeMap<&str, Finding> {
    let Some(finding) = &table.finding else { return BTreeMap::new() };
    let meanings = [(&finding.confirmed, Finding::Confirmed), (&finding.not_found, Finding::NotFound)];
    meanings.into_iter().flat_map(|(raw, finding)| raw.iter().map(move |raw| (raw.as_str(), finding))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_repeated_rows_the_smallest_counts() {
        let row = |reported_day, odometer_km, finding, cost| {
            let event = FleetEvent::bare(0, 0, EventKind::Failure, 10);
            Row { event: FleetEvent { reported_day, finding, ..event }, odometer_km, cost }
        };
        // Each is smaller than those behind it.
        let rising = [
            row(Some(11), None, None, None),
            row(Some(12), Some(5.0), None, None),
            row(Some(12), Some(6.0), Some(Finding::Confirmed), Some(2.0)),
            row(Some(12), Some(6.0), Some(Finding::NotFound), Some(1.0)),
            row(Some(12), Some(6.0), Some(Finding::NotFound), None),
            row(Some(12), None, Some(Finding::Confirmed), None),
            row(None, Some(1.0), Some(Finding::Confirmed), Some(1.0)),
        ];
        for (place, small) in rising.iter().enumerate() {
            assert_eq!(compare_rest(small, small), Ordering::Equal);
            for large in &rising[place + 1..] {
                assert_eq!(
                    (compare_rest(small, large), compare_rest(large, small)),
                    (Ordering::Less, Ordering::Greater)
                );
            }
        }
    }
}
