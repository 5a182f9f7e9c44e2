//! Week profiles: what each vehicle of a batch used up in each calendar week, and its parts' clocks today, from one
//! pass of the damage kernel.
//!
//! Key idea: no kernel of its own. A slot is a vehicle's week (cut where a part starts within it), or, where records
//! are longer than a day, a record; the damage backend sums slots as it does for scores, on any device, and the host
//! adds slots up to weeks (spreading long records, [`super::weeks`]) and to clocks since any part's start.
//!
//! Units: Q48 lives; days since 1970-01-01; weeks as in [`super::weeks`].

use std::borrow::Cow;
use std::ops::Range;

use super::cohort::Cohorts;
use super::weeks::{DAYS_PER_WEEK, RecordLength, WeekAxis, first_day, span, spread, week_of};
use crate::backend::{BackendError, DamageBackend, DamageBatch, DamageRequest, SlotMasks};
use crate::fleet::chunk::Chunk;
use crate::model::channel::Channel;
use crate::model::compiled::CompiledModel;
use crate::score::pack::table_columns;
use crate::score::parts::PartStarts;

/// Rows of one push to a backend.
const PUSH_ROWS: usize = 1 << 16;
/// Days over which a vehicle's kilometres a day are taken.
pub const DISTANCE_DAYS: i32 = 365;

/// Opens a damage backend.
pub type OpenDamage<'a> = dyn Fn(&DamageRequest) -> Result<Box<dyn DamageBackend>, BackendError> + Sync + 'a;

/// A model as it reads the columns of a chunk.
#[derive(Debug)]
pub struct Kernel<'a> {
    pub model: &'a CompiledModel,
    pub cohorts: &'a Cohorts,
    /// Of each of the model's channels: the chunk's column, and a new code for every code.
    pub columns: Vec<(usize, Option<Vec<u16>>)>,
}

/// What is the same for all batches.
#[derive(Clone, Copy, Debug)]
pub struct Calendar<'a> {
    pub axis: WeekAxis,
    pub length: RecordLength,
    /// The channel that holds records' lengths in days, where there is one.
    pub length_channel: Option<&'a Channel>,
    /// The channel of the distance and its column.
    pub distance: Option<(usize, &'a Channel)>,
    pub starts: &'a PartStarts,
    /// Last calendar day that counts.
    pub as_of_day: i32,
    /// First week of the profiles, and how many.
    pub first_week: i32,
    pub weeks: usize,
}

/// One vehicle of a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct VehicleHistory {
    pub vehicle: u32,
    pub records: u32,
    /// First and last calendar day that its records cover.
    pub days: (i32, i32),
    /// Over the days of [`DISTANCE_DAYS`] whose distance was read.
    pub km_per_day: Option<f64>,
    slots: Range<usize>,
}

/// The records of a batch by slot; the same for every kernel.
#[derive(Clone, Debug)]
pub struct BatchSlots {
    pub vehicles: Vec<VehicleHistory>,
    /// `[vehicle * weeks + week]`: whether the week has records.
    pub covered: Vec<bool>,
    /// The same places: days since the first record that no record covers, in weeks that are not covered.
    pub missing_days: Vec<u8>,
    slot: Vec<u32>,
    local: Vec<u32>,
    /// Days that a slot's records cover, for spreading, and the first of their ticks (`i32::MAX`: no record).
    spans: Vec<(i32, i32)>,
    first_tick: Vec<i32>,
}

/// What a kernel summed over the slots of a batch.
#[derive(Clone, Debug)]
pub struct Profiles {
    mechanisms: usize,
    clocks_q48: Vec<u64>,
    /// `[(vehicle * mechanisms + mechanism) * weeks + week]`.
    pub increments_q48: Vec<u64>,
}

impl BatchSlots {
    /// Cuts the records of whole vehicles into slots.
    pub fn new(chunk: &Chunk, calendar: &Calendar) -> Self {
        let mut batch = Self {
            vehicles: Vec::new(),
            covered: Vec::new(),
            missing_days: Vec::new(),
            slot: Vec::with_capacity(chunk.len()),
            local: Vec::with_capacity(chunk.len()),
            spans: Vec::new(),
            first_tick: Vec::new(),
        };
        let mut from = 0;
        for rows in chunk.vehicle.chunk_by(|a, b| a == b) {
            let to = from + rows.len();
            batch.local.resize(to, batch.vehicles.len() as u32);
            batch.add_vehicle(chunk, from..to, calendar);
            from = to;
        }
        batch
    }

    /// Vehicles of which there is no record.
    pub fn without_records(vehicles: &[u32], calendar: &Calendar) -> Self {
        let day = calendar.as_of_day;
        let one =
            |&vehicle: &u32| VehicleHistory { vehicle, records: 0, days: (day, day), km_per_day: None, slots: 0..0 };
        Self {
            vehicles: vehicles.iter().map(one).collect(),
            covered: vec![false; vehicles.len() * calendar.weeks],
            missing_days: vec![0; vehicles.len() * calendar.weeks],
            slot: Vec::new(),
            local: Vec::new(),
            spans: Vec::new(),
            first_tick: Vec::new(),
        }
    }

    fn add_vehicle(&mut self, chunk: &Chunk, rows: Range<usize>, calendar: &Calendar) {
        let vehicle = chunk.vehicle[rows.start];
        let first_slot = self.spans.len();
        let days = match calendar.length {
            RecordLength::Day => self.cut_into_weeks(&chunk.tick[rows.clone()], vehicle, calendar),
            _ => self.cut_into_records(chunk, rows.clone(), calendar),
        };
        let covered = self.covered.len();
        self.covered.resize(covered + calendar.weeks, false);
        self.missing_days.resize(covered + calendar.weeks, 0);
        self.cover(first_slot, days, covered, calendar);
        let km_per_day = km_per_day(chunk, rows.clone(), &self.spans, &self.slot, calendar);
        self.vehicles.push(VehicleHistory {
            vehicle,
            records: rows.len() as u32,
            days,
            km_per_day,
            slots: first_slot..self.spans.len(),
        });
    }

    /// A slot a week, one more for every part's start. Ticks rise, so weeks and starts passed rise together and their
    /// sum is a slot of its own.
    fn cut_into_weeks(&mut self, ticks: &[i32], vehicle: u32, calendar: &Calendar) -> (i32, i32) {
        let axis = calendar.axis;
        let mut boundaries: Vec<i32> =
            calendar.starts.of(vehicle as usize).iter().map(|start| axis.axis.last_tick_of(start.day)).collect();
        boundaries.sort_unstable();
        boundaries.dedup();
        let first_slot = self.spans.len();
        let first_week = week_of(axis.day(ticks[0]));
        let mut passed = 0;
        for &tick in ticks {
            while boundaries.get(passed).is_some_and(|&boundary| tick > boundary) {
                passed += 1;
            }
            let week = week_of(axis.day(tick));
            let slot = first_slot + (week - first_week) as usize + passed;
            if slot >= self.spans.len() {
                self.spans.resize(slot + 1, (0, 0));
                self.first_tick.resize(slot + 1, i32::MAX);
            }
            self.spans[slot] = (first_day(week), first_day(week));
            self.first_tick[slot] = self.first_tick[slot].min(tick);
            self.slot.push(slot as u32);
        }
        (axis.day(ticks[0]), axis.day(ticks[ticks.len() - 1]))
    }

    fn cut_into_records(&mut self, chunk: &Chunk, rows: Range<usize>, calendar: &Calendar) -> (i32, i32) {
        let mut days = (i32::MAX, i32::MIN);
        for row in rows {
            let tick = chunk.tick[row];
            let length_days = match (calendar.length, calendar.length_channel) {
                (RecordLength::Column(column), Some(channel)) => {
                    let code = chunk.codes[column][row];
                    if code == channel.not_available() { 1 } else { libm::ceil(channel.value(code.into())) as i32 }
                }
                _ => 1,
            };
            let covers = span(calendar.length, calendar.axis.day(tick), length_days);
            days = (days.0.min(covers.0), days.1.max(covers.1));
            self.slot.push(self.spans.len() as u32);
            self.spans.push(covers);
            self.first_tick.push(tick);
        }
        days
    }

    /// Marks the weeks that have records: for days any, for longer records those wholly covered. The week in which a
    /// history begins counts if it begins on Monday; what of a later week is not covered is missing.
    fn cover(&mut self, first_slot: usize, (first, _): (i32, i32), covered: usize, calendar: &Calendar) {
        let place = |week: i32| usize::try_from(week - calendar.first_week).ok().filter(|&week| week < calendar.weeks);
        let mut days = vec![0_i32; calendar.weeks];
        for (&(from, to), &tick) in self.spans[first_slot..].iter().zip(&self.first_tick[first_slot..]) {
            if calendar.length == RecordLength::Day {
                // A day without a record in a week with one is a day of rest.
                if let Some(place) = place(week_of(from)).filter(|_| tick != i32::MAX) {
                    days[place] = DAYS_PER_WEEK - (first - from).max(0);
                }
                continue;
            }
            for week in week_of(from)..=week_of(to) {
                if let Some(place) = place(week) {
                    let monday = first_day(week);
                    days[place] += (monday + DAYS_PER_WEEK).min(to + 1) - monday.max(from);
                }
            }
        }
        for (place, days) in days.into_iter().enumerate() {
            let monday = first_day(calendar.first_week + place as i32);
            let since_first = (monday + DAYS_PER_WEEK - first.max(monday)).max(0);
            self.covered[covered + place] = days >= DAYS_PER_WEEK;
            self.missing_days[covered + place] = (since_first - days).clamp(0, DAYS_PER_WEEK) as u8;
        }
    }

    /// A kernel's sums over the slots.
    pub fn sum(
        &self,
        chunk: &Chunk,
        kernel: &Kernel,
        calendar: &Calendar,
        open: &OpenDamage,
    ) -> Result<Profiles, BackendError> {
        let model = kernel.model;
        let mechanisms = model.mechanisms.len();
        if self.slot.is_empty() {
            let increments_q48 = vec![0; self.vehicles.len() * mechanisms * calendar.weeks];
            return Ok(Profiles { mechanisms, clocks_q48: Vec::new(), increments_q48 });
        }
        let default = model.masks(&|_| None);
        let mut masks = Vec::with_capacity(self.spans.len() * default.len());
        for one in &self.vehicles {
            for _ in one.slots.clone() {
                masks.extend_from_slice(&kernel.cohorts.masks[kernel.cohorts.of(one.vehicle)]);
            }
        }
        let masks = SlotMasks { masks, default };
        let backend = open(&DamageRequest { tables: &model.tables, masks: &masks, drivers: false })?;
        let codes = kernel.codes(chunk);
        let mut pairs = Vec::new();
        let columns = table_columns(&model.inputs, &codes, &mut pairs);
        for from in (0..chunk.len()).step_by(PUSH_ROWS) {
            let rows = from..chunk.len().min(from + PUSH_ROWS);
            let codes: Vec<&[u16]> = columns.iter().map(|column| &column[rows.clone()]).collect();
            let (slot, vehicle) = (&self.slot[rows.clone()], &self.local[rows]);
            backend.push(&DamageBatch { slot, vehicle, codes: &codes })?;
        }
        let clocks_q48 = backend.finish(self.spans.len(), self.vehicles.len())?.clocks_q48;
        let mut increments_q48 = vec![0_u64; self.vehicles.len() * mechanisms * calendar.weeks];
        for (local, one) in self.vehicles.iter().enumerate() {
            for slot in one.slots.clone() {
                for mechanism in 0..mechanisms {
                    let weeks = &mut increments_q48[(local * mechanisms + mechanism) * calendar.weeks..];
                    spread(clocks_q48[slot * mechanisms + mechanism], self.spans[slot], |week, part| {
                        let place = usize::try_from(week - calendar.first_week).ok();
                        if let Some(week) = place.filter(|&week| week < calendar.weeks) {
                            weeks[week] = weeks[week].wrapping_add(part);
                        }
                    });
                }
            }
        }
        Ok(Profiles { mechanisms, clocks_q48, increments_q48 })
    }

    /// What a mechanism used up in the records later than the day of a part's start (`None`: in all of them).
    pub fn clock_q48(
        &self,
        profiles: &Profiles,
        local: usize,
        mechanism: usize,
        start: Option<i32>,
        calendar: &Calendar,
    ) -> u64 {
        let boundary = start.map_or(i64::MIN, |day| i64::from(calendar.axis.axis.last_tick_of(day)));
        let slots = self.vehicles[local].slots.clone().filter(|&slot| i64::from(self.first_tick[slot]) > boundary);
        slots.fold(0_u64, |sum, slot| sum.wrapping_add(profiles.clocks_q48[slot * profiles.mechanisms + mechanism]))
    }
}

/// Kilometres a day over the days whose distance was read: those of the records themselves where records are longer
/// than a day; else the days of weeks with a reading, without the days on record that have none.
fn km_per_day(
    chunk: &Chunk,
    rows: Range<usize>,
    spans: &[(i32, i32)],
    slot: &[u32],
    calendar: &Calendar,
) -> Option<f64> {
    let (column, channel) = calendar.distance?;
    let day = |row: usize| calendar.axis.day(chunk.tick[row]);
    let since = calendar.as_of_day.saturating_sub(DISTANCE_DAYS).max(day(rows.start) - 1);
    let (mut count, mut codes, mut days) = (0_i64, 0_i64, 0_i32);
    let mut is_read = |row: usize| {
        let code = chunk.codes[column][row];
        let is_read = code != channel.not_available();
        if is_read {
            (count, codes) = (count + 1, codes + channel.first + i64::from(code));
        }
        is_read
    };
    let rows: Vec<usize> = rows.filter(|&row| day(row) > since).collect();
    if calendar.length == RecordLength::Day {
        for week in rows.chunk_by(|&a, &b| week_of(day(a)) == week_of(day(b))) {
            let monday = first_day(week_of(day(week[0])));
            let whole = (monday + DAYS_PER_WEEK - 1).min(calendar.as_of_day) - monday.max(since + 1) + 1;
            let (mut read, mut unread) = (0, 0);
            for of_day in week.chunk_by(|&a, &b| day(a) == day(b)) {
                let readings = of_day.iter().filter(|&&row| is_read(row)).count();
                if readings > 0 { read += 1 } else { unread += 1 }
            }
            days += if read > 0 { whole - unread } else { 0 };
        }
    } else {
        for row in rows {
            let (first, last) = spans[slot[row] as usize];
            days += if is_read(row) { last - first + 1 } else { 0 };
        }
    }
    let km = channel.offset * count as f64 + channel.factor * codes as f64;
    (count > 0 && days > 0).then(|| km / f64::from(days))
}

impl Kernel<'_> {
    /// The chunk's codes in the order of the model's channels.
    fn codes<'c>(&self, chunk: &'c Chunk) -> Cow<'c, [Vec<u16>]> {
        let as_they_are = self.columns.iter().enumerate().all(|(at, (column, new))| at == *column && new.is_none());
        if as_they_are {
            return Cow::Borrowed(&chunk.codes[..self.columns.len()]);
        }
        let column = |(column, new): &(usize, Option<Vec<u16>>)| match new {
            None => chunk.codes[*column].clone(),
            Some(new) => chunk.codes[*column].iter().map(|&code| new[usize::from(code)]).collect(),
        };
        Cow::Owned(self.columns.iter().map(column).collect())
    }
}
