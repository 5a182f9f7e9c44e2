//! Side tables: channels that hang on attributes of the vehicle and on time, such as the weather of a climate zone.
//!
//! Key idea: the side table is held once, as codes sorted by (group, tick), where a group is one combination of key
//! attributes; a vehicle knows its group. Rows of one vehicle come in rising time, so the row behind the last hit is
//! tried first, then the place that a table without gaps would have, then a binary search.
//!
//! Of side rows with equal keys the lexicographically smallest codes count (columns in dictionary order).

use std::collections::HashMap;
use std::path::Path;

use arrow::array::{Array, ArrayRef, StringArray};
use serde::Serialize;

use super::dictionary::{ChannelSource, Dictionary, Join};
use super::error::FleetError;
use super::partition::PartitionUse;
use super::quantise::{CellCounts, Quantiser};
use super::scan::InputFile;
use super::table_file::{Names, Wanted, read, texts};
use super::tables::{NO_VALUE, TableRows, day_use};
use super::time::TimeAxis;
use super::vehicles::Vehicles;
use crate::run::Control;

/// A row of the side table that does not exist.
pub const NO_ROW: u32 = u32::MAX;
/// The tick of all rows of a side table without time.
const TIMELESS: i32 = 0;

/// A side table, ready to supply codes.
#[derive(Clone, Debug)]
pub struct JoinTable {
    /// Codes by side row, one column a channel of `channels`.
    codes: Vec<Vec<u16>>,
    /// Dictionary indices of the channels that the table supplies.
    channels: Vec<usize>,
    /// "Not available" of each.
    not_available: Vec<u16>,
    /// Tick or day of each side row, rising within a group.
    ticks: Vec<i32>,
    /// Side rows of each group: from its entry to the next one.
    first_row: Vec<u32>,
    /// Group by vehicle index, [`NO_ROW`] if the side table has none; vehicles beyond have `default_group`.
    group_of_vehicle: Vec<u32>,
    default_group: u32,
    key: TimeKey,
    axis: TimeAxis,
    pub account: JoinAccount,
    pub files: Vec<InputFile>,
}

/// What of a record's time is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TimeKey {
    None,
    Day,
    Tick,
}

/// What became of the rows of a side table: rows in = taken + repeated + without key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct JoinAccount {
    pub name: String,
    pub rows_in: u64,
    pub taken: u64,
    /// Rows whose key another row has.
    pub repeated: u64,
    /// Rows that lack a key, or whose time is out of range.
    pub no_key: u64,
    /// Vehicles of the vehicles table whose attributes the side table knows, and all of them.
    pub vehicles_matched: u64,
    pub vehicles: u64,
}

impl JoinAccount {
    pub fn balances(&self) -> bool {
        self.rows_in == self.taken + self.repeated + self.no_key
    }

    /// Its rows, and how many of them cannot be used.
    pub fn rows(&self) -> TableRows {
        TableRows { table: format!("joins.{}", self.name), rows_in: self.rows_in, quarantined: self.no_key }
    }

    /// What a user must know where a side table is finer than the histories, hourly weather beside days for instance:
    /// of the rows with one key only the smallest codes count.
    pub fn warning(&self) -> Option<String> {
        let Self { name, rows_in, repeated, .. } = self;
        (*repeated > 0).then(|| {
            format!(
                "{repeated} of {rows_in} rows of the side table {name:?} repeat another's key, and of those only the \
                 smallest values count: bring it to one row a key"
            )
        })
    }
}

/// Rows as they come from the files.
#[derive(Default)]
struct Loaded {
    /// (group, tick) of each row.
    keys: Vec<(u32, i32)>,
    codes: Vec<Vec<u16>>,
    groups: HashMap<Vec<u32>, u32>,
    names: Vec<Names>,
}

impl JoinTable {
    /// Reads the side table of this index in [`Dictionary::joins`].
    pub fn load(
        dictionary: &Dictionary,
        join_index: usize,
        vehicles: &Vehicles,
        axis: TimeAxis,
        control: &Control,
    ) -> Result<Self, FleetError> {
        let join = dictionary
            .joins
            .get(join_index)
            .ok_or_else(|| FleetError::Internal { what: format!("there is no join {join_index}") })?;
        let supplied: Vec<(usize, &str)> = dictionary
            .channels
            .iter()
            .enumerate()
            .filter_map(|(index, definition)| match &definition.source {
                ChannelSource::Join { join, column, .. } if *join == join_index => Some((index, column.as_str())),
                _ => None,
            })
            .collect();
        let mut account = JoinAccount { name: join.name.clone(), ..JoinAccount::default() };
        let mut loaded = Loaded {
            codes: vec![Vec::new(); supplied.len()],
            names: join.attributes.iter().map(|_| Names::default()).collect(),
            ..Loaded::default()
        };
        let mut key = None;
        let files = read(&join.files, &wanted(join, axis, &supplied), control, |file, columns| {
            loaded.take(dictionary, join, axis, &supplied, file, columns, &mut key, &mut account)
        })?;
        let order = loaded.order(&mut account);
        let (group_of_vehicle, default_group) = loaded.match_vehicles(join, vehicles, &mut account)?;
        let groups = loaded.groups.len() as u32;
        let group_starts = order.iter().map(|&row| loaded.keys[row as usize].0).collect::<Vec<_>>();
        Ok(Self {
            codes: loaded.codes.iter().map(|codes| order.iter().map(|&row| codes[row as usize]).collect()).collect(),
            channels: supplied.iter().map(|(index, _)| *index).collect(),
            not_available: supplied
                .iter()
                .map(|(index, _)| dictionary.channels[*index].channel.not_available())
                .collect(),
            ticks: order.iter().map(|&row| loaded.keys[row as usize].1).collect(),
            first_row: (0..=groups).map(|group| group_starts.partition_point(|&other| other < group) as u32).collect(),
            group_of_vehicle,
            default_group,
            key: key.unwrap_or(TimeKey::None),
            axis,
            account,
            files,
        })
    }

    /// Dictionary indices of the channels that the table supplies.
    pub fn channels(&self) -> &[usize] {
        &self.channels
    }

    /// Appends the side row of each record to `out`, [`NO_ROW`] where there is none. Both slices are equally long;
    /// fast where rows of a vehicle stand together.
    pub fn rows(&self, vehicle: &[u32], tick: &[i32], out: &mut Vec<u32>) {
        out.reserve(vehicle.len());
        let mut held_vehicle = None;
        let (mut first, mut ticks, mut next): (usize, &[i32], usize) = (0, &[], 0);
        for (&vehicle, &tick) in vehicle.iter().zip(tick) {
            if held_vehicle != Some(vehicle) {
                held_vehicle = Some(vehicle);
                (first, ticks) = self.group(vehicle);
                next = 0;
            }
            let wanted = match self.key {
                TimeKey::None => TIMELESS,
                TimeKey::Day => self.axis.day(tick),
                TimeKey::Tick => tick,
            };
            let found = if ticks.get(next) == Some(&wanted) { Some(next) } else { position(ticks, wanted) };
            out.push(found.map_or(NO_ROW, |place| (first + place) as u32));
            next = found.map_or(next, |place| place + 1);
        }
    }

    fn group(&self, vehicle: u32) -> (usize, &[i32]) {
        let group = self.group_of_vehicle.get(vehicle as usize).copied().unwrap_or(self.default_group) as usize;
        match (self.first_row.get(group), self.first_row.get(group + 1)) {
            (Some(&first), Some(&behind)) => (first as usize, &self.ticks[first as usize..behind as usize]),
            _ => (0, &[]),
        }
    }

    /// A hash of all that records up to the end of `through_day` can find here, for each of the `known` vehicles and
    /// for those beyond: while it stays the same, so do the codes of such records.
    pub fn content_hashes(&self, known: usize, through_day: i32) -> (Vec<u64>, u64) {
        let through_tick = match self.key {
            TimeKey::None => i32::MAX,
            TimeKey::Day => through_day,
            TimeKey::Tick => self.axis.last_tick_of(through_day),
        };
        let hash = |rows: std::ops::Range<usize>| {
            let mut hasher = blake3::Hasher::new();
            for row in rows.filter(|&row| self.ticks[row] <= through_tick) {
                hasher.update(&self.ticks[row].to_le_bytes());
                for codes in &self.codes {
                    hasher.update(&codes[row].to_le_bytes());
                }
            }
            let hash = hasher.finalize();
            hash.as_bytes().iter().take(8).fold(0u64, |number, &byte| number << 8 | u64::from(byte))
        };
        let of_group: Vec<u64> =
            self.first_row.windows(2).map(|rows| hash(rows[0] as usize..rows[1] as usize)).collect();
        // A vehicle without a group finds nothing, like one whose group has no rows.
        let nothing = hash(0..0);
        let of = |group: u32| of_group.get(group as usize).copied().unwrap_or(nothing);
        let default = of(self.default_group);
        let of_vehicle = |vehicle: usize| self.group_of_vehicle.get(vehicle).map_or(default, |&group| of(group));
        ((0..known).map(of_vehicle).collect(), default)
    }

    /// Appends the codes of a channel (its dictionary index) at the side rows that [`Self::rows`] found.
    pub fn codes(&self, channel: usize, rows: &[u32], out: &mut Vec<u16>, cells: &mut CellCounts) {
        let Some(place) = self.channels.iter().position(|&index| index == channel) else { return };
        let (codes, not_available) = (&self.codes[place], self.not_available[place]);
        let mut missing = 0;
        let mut no_join = 0;
        out.extend(rows.iter().map(|&row| match codes.get(row as usize) {
            Some(&code) => {
                missing += u64::from(code == not_available);
                code
            }
            None => {
                no_join += 1;
                not_available
            }
        }));
        cells.missing += missing;
        cells.no_join += no_join;
    }
}

/// The place of a value among rising ones: where it would be without gaps, else by halving.
fn position(ticks: &[i32], wanted: i32) -> Option<usize> {
    let first = *ticks.first()?;
    let guess = usize::try_from(i64::from(wanted) - i64::from(first)).ok()?;
    if ticks.get(guess) == Some(&wanted) { Some(guess) } else { ticks.binary_search(&wanted).ok() }
}

fn wanted<'a>(join: &'a Join, axis: TimeAxis, supplied: &[(usize, &'a str)]) -> Vec<Wanted<'a>> {
    let mut wanted: Vec<Wanted> =
        join.attributes.iter().map(|(_, column)| Wanted { column, used_as: PartitionUse::Text }).collect();
    wanted.extend(join.time.as_ref().map(|column| Wanted { column, used_as: day_use(axis) }));
    wanted.extend(supplied.iter().map(|&(_, column)| Wanted { column, used_as: PartitionUse::Channel }));
    wanted
}

impl Loaded {
    #[expect(clippy::too_many_arguments, reason = "one batch of a side table, with all that says what it means")]
    fn take(
        &mut self,
        dictionary: &Dictionary,
        join: &Join,
        axis: TimeAxis,
        supplied: &[(usize, &str)],
        file: &Path,
        columns: &[ArrayRef],
        key: &mut Option<TimeKey>,
        account: &mut JoinAccount,
    ) -> Result<(), FleetError> {
        let rows = columns.first().map_or(0, |column| column.len());
        let (attributes, rest) = columns.split_at(join.attributes.len());
        let attributes: Vec<StringArray> = attributes
            .iter()
            .zip(&join.attributes)
            .map(|(array, (_, column))| texts(array, file, column))
            .collect::<Result<_, _>>()?;
        let (times, channels) = rest.split_at(usize::from(join.time.is_some()));
        let mut ticks = vec![TIMELESS; rows];
        let mut faults = Vec::new();
        let mut found = TimeKey::None;
        if let (Some(column), Some(times)) = (&join.time, times.first()) {
            let wrong = |accepted| FleetError::WrongType {
                file: file.to_path_buf(),
                column: column.clone(),
                got: times.data_type().to_string(),
                accepted,
            };
            let own = TimeAxis::of(times.data_type())
                .filter(|_| axis.takes_days_of(times.data_type()))
                .ok_or_else(|| wrong("a time like that of the histories"))?;
            ticks.clear();
            own.ticks_of_any_year(times, &mut ticks, &mut faults)?;
            found = if own == axis { TimeKey::Tick } else { TimeKey::Day };
            if own == TimeAxis::SecondsSince2000 && axis == TimeAxis::Days {
                ticks.iter_mut().for_each(|tick| *tick = own.day(*tick));
            }
            if key.is_some_and(|key| key != found) {
                return Err(wrong("the type of the table's other files"));
            }
        }
        *key = Some(found);
        for ((codes, (channel, column)), array) in self.codes.iter_mut().zip(supplied).zip(channels) {
            let definition = &dictionary.channels[*channel];
            let quantiser = Quantiser::new(definition, array.data_type(), file, column)?;
            quantiser.quantise(array, codes, &mut CellCounts::default())?;
        }
        let mut faults = faults.iter().map(|(row, _)| *row).peekable();
        for (row, &tick) in ticks.iter().enumerate() {
            account.rows_in += 1;
            let faulty = faults.next_if_eq(&row).is_some();
            let combination: Vec<u32> = attributes
                .iter()
                .zip(&mut self.names)
                .filter(|(texts, _)| texts.is_valid(row))
                .map(|(texts, names)| names.code(texts.value(row)))
                .collect();
            let group = if faulty || combination.len() < attributes.len() {
                account.no_key += 1;
                NO_ROW
            } else {
                let next = self.groups.len() as u32;
                *self.groups.entry(combination).or_insert(next)
            };
            self.keys.push((group, tick));
        }
        if self.keys.len() >= NO_ROW as usize {
            return Err(FleetError::TooMany { what: "rows of a side table", limit: u64::from(NO_ROW) });
        }
        Ok(())
    }

    /// The rows that count, sorted by key.
    fn order(&self, account: &mut JoinAccount) -> Vec<u32> {
        let key = |row: u32| self.keys[row as usize];
        let codes = |row: u32| self.codes.iter().map(move |codes| codes[row as usize]);
        let mut order: Vec<u32> = (0..self.keys.len() as u32).filter(|&row| key(row).0 != NO_ROW).collect();
        order.sort_by(|&a, &b| key(a).cmp(&key(b)).then_with(|| codes(a).cmp(codes(b))));
        let before = order.len();
        order.dedup_by_key(|row| key(*row));
        account.taken = order.len() as u64;
        account.repeated = (before - order.len()) as u64;
        order
    }

    /// The group of each known vehicle, and that of vehicles without attributes.
    fn match_vehicles(
        &self,
        join: &Join,
        vehicles: &Vehicles,
        account: &mut JoinAccount,
    ) -> Result<(Vec<u32>, u32), FleetError> {
        if join.attributes.is_empty() {
            let group = if self.groups.is_empty() { NO_ROW } else { 0 };
            account.vehicles = vehicles.known as u64;
            account.vehicles_matched = if group == 0 { account.vehicles } else { 0 };
            return Ok((Vec::new(), group));
        }
        // Per key attribute: the vehicles' codes, and the side table's code of each of their values.
        let mut keys = Vec::with_capacity(join.attributes.len());
        for ((name, _), names) in join.attributes.iter().zip(&self.names) {
            let attribute = vehicles.attributes.iter().find(|attribute| attribute.name == *name).ok_or_else(|| {
                FleetError::Internal { what: format!("join {:?} lacks the attribute {name:?}", join.name) }
            })?;
            let side: Vec<Option<u32>> = attribute.values.iter().map(|value| names.find(value)).collect();
            keys.push((&attribute.code, side));
        }
        let mut combination = Vec::with_capacity(keys.len());
        let mut groups = Vec::with_capacity(vehicles.known);
        for vehicle in 0..vehicles.known {
            combination.clear();
            combination.extend(keys.iter().filter_map(|(code, side)| {
                let code = code.get(vehicle).copied().unwrap_or(NO_VALUE);
                side.get(code as usize).copied().flatten()
            }));
            let complete = combination.len() == keys.len();
            groups.push(if complete { self.groups.get(&combination).copied().unwrap_or(NO_ROW) } else { NO_ROW });
        }
        account.vehicles = groups.len() as u64;
        account.vehicles_matched = groups.iter().filter(|&&group| group != NO_ROW).count() as u64;
        Ok((groups, NO_ROW))
    }
}
