//! The vehicles table, and what became of the rows of both tables.
//!
//! Key idea: nothing depends on the order of files or rows. Of two rows of one vehicle the lexicographically smaller
//! counts (dates first, then attributes in declared order; missing before any value), attribute values are sorted.

use std::cmp::Ordering;
use std::path::Path;

use arrow::array::{Array, ArrayRef, StringArray};
use serde::{Deserialize, Serialize};

use super::dictionary::{Dictionary, VehiclesTable};
use super::error::FleetError;
use super::events::{self, EventsAccount};
use super::ids::{IdTable, NO_VEHICLE};
use super::known::{Known, days_or_none, kept};
use super::partition::PartitionUse;
use super::scan::InputFile;
use super::table_file::{Names, Wanted, days, read, texts};
use super::time::TimeAxis;
use super::vehicles::{Attribute, Vehicles};
use crate::run::Control;

/// A missing attribute in [`Attribute::code`].
pub const NO_VALUE: u32 = u32::MAX;

/// The files of a small table.
#[derive(Clone, Debug, PartialEq)]
pub struct TableInputs {
    /// As the dictionary calls it: "vehicles", "events", "joins.weather".
    pub table: String,
    pub files: Vec<InputFile>,
}

/// Rows of a small table, and how many of them cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableRows {
    /// As [`TableInputs::table`].
    pub table: String,
    pub rows_in: u64,
    pub quarantined: u64,
}

/// What became of the rows of the vehicles and events tables.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TablesAccount {
    pub vehicles: Option<VehiclesAccount>,
    pub events: Option<EventsAccount>,
}

impl TablesAccount {
    /// Rows of each table that is there, and how many of them cannot be used.
    pub fn rows(&self) -> impl Iterator<Item = TableRows> {
        let rows = |table: &str, rows_in, quarantined| TableRows { table: table.to_owned(), rows_in, quarantined };
        let vehicles = self.vehicles.as_ref().map(|account| rows("vehicles", account.rows_in, account.no_vehicle));
        let events = self.events.as_ref().map(|account| rows("events", account.rows_in, account.quarantined()));
        vehicles.into_iter().chain(events)
    }

    /// What a user must know where rows of the small tables could not be used: replacements that restart no clock,
    /// vehicles without attributes.
    pub fn warning(&self) -> Option<String> {
        let events = self.events.as_ref().filter(|events| events.quarantined() > 0).map(|events| {
            let strange: Vec<String> = events.unknown_kind.values.keys().map(|value| format!("{value:?}")).collect();
            let kinds = match strange.is_empty() {
                true => String::new(),
                false => format!(
                    " (kinds that no list of `kind` names: {}; those to pass over belong in `other`)",
                    strange.join(", ")
                ),
            };
            format!("{} of {} events{kinds}", events.quarantined(), events.rows_in)
        });
        let vehicles = self.vehicles.as_ref().filter(|vehicles| vehicles.no_vehicle > 0);
        let vehicles = vehicles.map(|rows| format!("{} of {} vehicles", rows.no_vehicle, rows.rows_in));
        let unusable: Vec<String> = events.into_iter().chain(vehicles).collect();
        (!unusable.is_empty()).then(|| format!("{} cannot be used: `fleetwear check` says why", unusable.join(" and ")))
    }
}

/// Rows in = vehicles + repeated + without vehicle.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct VehiclesAccount {
    pub rows_in: u64,
    /// Distinct vehicles.
    pub vehicles: u64,
    /// Rows of vehicles that another row describes.
    pub repeated: u64,
    /// Rows without a vehicle id.
    pub no_vehicle: u64,
    /// Vehicles without this date, null or unreadable.
    pub no_build_date: u64,
    pub no_sale_date: u64,
}

impl VehiclesAccount {
    pub fn balances(&self) -> bool {
        self.rows_in == self.vehicles + self.repeated + self.no_vehicle
    }
}

/// Reads what counts of the vehicles and events tables, as far as the dictionary names them. Their vehicles are added to
/// `ids`.
pub fn load(
    dictionary: &Dictionary,
    axis: TimeAxis,
    ids: &IdTable,
    known: Known,
    control: &Control,
) -> Result<(Vehicles, TablesAccount, Vec<TableInputs>), FleetError> {
    let mut vehicles = Vehicles::default();
    let mut account = TablesAccount::default();
    let mut inputs = Vec::new();
    if let Some(table) = &dictionary.vehicles {
        let (rows, files) = load_vehicles(table, axis, ids, known, control, &mut vehicles)?;
        account.vehicles = Some(rows);
        inputs.push(TableInputs { table: "vehicles".to_owned(), files });
    }
    if let Some(table) = &dictionary.events {
        let (rows, files) = events::load(table, axis, ids, known, control, &mut vehicles)?;
        account.events = Some(rows);
        inputs.push(TableInputs { table: "events".to_owned(), files });
    }
    vehicles.known = ids.len();
    // Vehicles that only the events table knows have no dates and no attributes.
    for days in [&mut vehicles.build_day, &mut vehicles.sale_day, &mut vehicles.end_day] {
        days.resize(vehicles.known, None);
    }
    for attribute in &mut vehicles.attributes {
        attribute.code.resize(vehicles.known, NO_VALUE);
    }
    Ok((vehicles, account, inputs))
}

/// One row while it is compared with another of the same vehicle.
struct Row<'a> {
    days: [Option<i32>; 3],
    attributes: Vec<Option<&'a str>>,
}

impl Row<'_> {
    fn compare(&self, other: &Row) -> Ordering {
        self.days.cmp(&other.days).then_with(|| self.attributes.cmp(&other.attributes))
    }
}

fn load_vehicles(
    table: &VehiclesTable,
    axis: TimeAxis,
    ids: &IdTable,
    known: Known,
    control: &Control,
    vehicles: &mut Vehicles,
) -> Result<(VehiclesAccount, Vec<InputFile>), FleetError> {
    let date_columns = [&table.build_date, &table.sale_date, &table.end_date];
    let mut wanted = vec![Wanted { column: &table.vehicle, used_as: PartitionUse::Id(ids.kind()) }];
    wanted.extend(date_columns.into_iter().flatten().map(|column| Wanted { column, used_as: day_use(axis) }));
    wanted.extend(table.attributes.iter().map(|column| Wanted { column, used_as: PartitionUse::Text }));
    let mut account = VehiclesAccount::default();
    let mut day_of: [Vec<Option<i32>>; 3] = Default::default();
    let mut names: Vec<Names> = table.attributes.iter().map(|_| Names::default()).collect();
    let mut codes: Vec<Vec<u32>> = vec![Vec::new(); table.attributes.len()];
    let mut seen: Vec<bool> = Vec::new();
    let mut indices = Vec::new();
    let files = read(&table.files, &wanted, control, |file: &Path, columns: &[ArrayRef]| {
        let columns = kept(columns, counting(table, axis, known, file, columns)?.as_ref())?;
        let Some((id_column, rest)) = columns.split_first() else { return Ok(()) };
        indices.clear();
        ids.reader(id_column.data_type(), file, &table.vehicle)?.index(id_column, &mut indices)?;
        let mut rest = rest.iter();
        let mut dates: [Vec<Option<i32>>; 3] = Default::default();
        for (dates, column) in dates.iter_mut().zip(date_columns) {
            *dates = match (column, column.as_ref().and_then(|_| rest.next())) {
                (Some(name), Some(array)) => days(array, axis, file, name)?,
                _ => vec![None; indices.len()],
            };
        }
        dates[2].iter_mut().for_each(|end| *end = known.day(*end));
        let attributes: Vec<StringArray> =
            rest.zip(&table.attributes).map(|(array, name)| texts(array, file, name)).collect::<Result<_, _>>()?;
        let known = ids.len();
        seen.resize(known, false);
        day_of.iter_mut().for_each(|days| days.resize(known, None));
        codes.iter_mut().for_each(|codes| codes.resize(known, NO_VALUE));
        for (row, &vehicle) in indices.iter().enumerate() {
            account.rows_in += 1;
            if vehicle == NO_VEHICLE {
                account.no_vehicle += 1;
                continue;
            }
            let vehicle = vehicle as usize;
            if seen[vehicle] {
                account.repeated += 1;
                let held = Row {
                    days: [day_of[0][vehicle], day_of[1][vehicle], day_of[2][vehicle]],
                    attributes: codes.iter().zip(&names).map(|(codes, names)| names.name(codes[vehicle])).collect(),
                };
                let offered = Row {
                    days: [dates[0][row], dates[1][row], dates[2][row]],
                    attributes: attributes.iter().map(|texts| texts.is_valid(row).then(|| texts.value(row))).collect(),
                };
                if offered.compare(&held) != Ordering::Less {
                    continue;
                }
            } else {
                account.vehicles += 1;
                seen[vehicle] = true;
            }
            for (days, dates) in day_of.iter_mut().zip(&dates) {
                days[vehicle] = dates[row];
            }
            for ((codes, names), texts) in codes.iter_mut().zip(&mut names).zip(&attributes) {
                codes[vehicle] = if texts.is_valid(row) { names.code(texts.value(row)) } else { NO_VALUE };
            }
        }
        Ok(())
    })?;
    let missing = |days: &[Option<i32>]| days.iter().filter(|day| day.is_none()).count() as u64;
    account.no_build_date = missing(&day_of[0]);
    account.no_sale_date = missing(&day_of[1]);
    [vehicles.build_day, vehicles.sale_day, vehicles.end_day] = day_of;
    for ((name, names), mut code) in table.attributes.iter().zip(names).zip(codes) {
        let (values, place) = names.sorted(code.iter().copied());
        code.iter_mut().for_each(|code| *code = place.get(*code as usize).copied().unwrap_or(NO_VALUE));
        vehicles.attributes.push(Attribute { name: name.clone(), values, code });
    }
    Ok((account, files))
}

/// The rows of a batch that count: vehicles that were in service.
fn counting(
    table: &VehiclesTable,
    axis: TimeAxis,
    known: Known,
    file: &Path,
    columns: &[ArrayRef],
) -> Result<Option<arrow::array::BooleanArray>, FleetError> {
    let Some((ids, rest)) = columns.split_first() else { return Ok(None) };
    let mut rest = rest.iter();
    let mut next = |name: &'_ Option<String>| match name {
        Some(name) => days_or_none(rest.next().map(|array| (name, array)), axis, file),
        None => Ok(None),
    };
    let (built, sold) = (next(&table.build_date)?, next(&table.sale_date)?);
    let of = |days: &Option<Vec<Option<i32>>>, row: usize| days.as_ref().and_then(|days| days[row]);
    known.rows(ids, &|row| of(&sold, row).or(of(&built, row)))
}

/// A date in a partition is a day, however fine the histories' time is.
pub(super) fn day_use(axis: TimeAxis) -> PartitionUse {
    match axis {
        TimeAxis::Integer => PartitionUse::Time(TimeAxis::Integer),
        TimeAxis::Days | TimeAxis::SecondsSince2000 => PartitionUse::Time(TimeAxis::Days),
    }
}
