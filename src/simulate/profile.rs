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
use super::gaps::{OnRecord, Weeks};
use super::weeks::{RecordLength, WeekAxis, first_day, span, spread, week_of};
use crate::backend::{BackendError, DamageBackend, DamageBatch, DamageRequest, SlotMasks};
use crate::fleet::chunk::Chunk;
use crate::fleet::vehicles::{Vehicles, day_of};
use crate::model::channel::Channel;
use crate::model::compiled::CompiledModel;
use crate::score::pack::table_columns;
use crate::score::parts::PartStarts;

/// Rows of one push to a backend.
const PUSH_ROWS: usize = 1 << 16;
/// Records of weeks may lie so many days nearer to or farther from each other.
const WEEK_JITTER_DAYS: i32 = 3;
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
    pub vehicles: &'a Vehicles,
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
    /// Over the days of [`DISTANCE_DAYS`] that are not lost, on record or rest.
    pub km_per_day: Option<f64>,
    /// As in [`Weeks`]: what is missing after the last whole week, the last day that counts, and whether it is long gone.
    pub missing_after: u8,
    pub until_day: i32,
    pub is_long_silent: bool,
    slots: Range<usize>,
}

/// The records of a batch by slot; the same for every kernel.
#[derive(Clone, Debug)]
pub struct BatchSlots {
    pub vehicles: Vec<VehicleHistory>,
    /// `[vehicle * weeks + week]`: [`Weeks::covered`].
    pub covered: Vec<bool>,
    /// The same places: [`Weeks::missing_days`].
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
        let one = |&vehicle: &u32| VehicleHistory {
            vehicle,
            records: 0,
            days: (day, day),
            km_per_day: None,
            missing_after: 0,
            until_day: day,
            is_long_silent: false,
            slots: 0..0,
        };
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
        let spans = match calendar.length {
            RecordLength::Day => self.cut_into_weeks(&chunk.tick[rows.clone()], vehicle, calendar),
            _ => self.cut_into_records(chunk, rows.clone(), calendar),
        };
        let sold_day = day_of(&calendar.vehicles.sale_day, vehicle as usize).map(|day| calendar.axis.calendar_day(day));
        let on_record = OnRecord { spans: &spans, sold_day };
        let weeks = Weeks::of(&on_record, calendar);
        let km_per_day = self.km_per_day(chunk, rows.clone(), &on_record, &weeks, calendar);
        self.covered.extend_from_slice(&weeks.covered);
        self.missing_days.extend_from_slice(&weeks.missing_days);
        self.vehicles.push(VehicleHistory {
            vehicle,
            records: rows.len() as u32,
            days: (spans[0].0, spans[spans.len() - 1].1),
            km_per_day,
            missing_after: weeks.missing_after,
            until_day: weeks.until_day,
            is_long_silent: weeks.is_long_silent,
            slots: first_slot..self.spans.len(),
        });
    }

    /// A slot a week, one more for every part's start. Ticks rise, so weeks and starts passed rise together and their
    /// sum is a slot of its own. Gives the days with a record.
    fn cut_into_weeks(&mut self, ticks: &[i32], vehicle: u32, calendar: &Calendar) -> Vec<(i32, i32)> {
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
        let days = ticks.chunk_by(|&a, &b| axis.day(a) == axis.day(b)).map(|of_day| axis.day(of_day[0]));
        days.map(|day| (day, day)).collect()
    }

    /// A slot a record. Gives the days that they cover, each once.
    fn cut_into_records(&mut self, chunk: &Chunk, rows: Range<usize>, calendar: &Calendar) -> Vec<(i32, i32)> {
        let mut days: Vec<(i32, i32)> = Vec::with_capacity(rows.len());
        let mut longest_days = None;
        for row in rows {
            let tick = chunk.tick[row];
            let day = calendar.axis.day(tick);
            let before = days.last().map(|last| last.1);
            let length_days = match (calendar.length, calendar.length_channel) {
                (RecordLength::Column(column), Some(channel)) => {
                    let code = chunk.codes[column][row];
                    let read = (code != channel.not_available()).then(|| libm::ceil(channel.value(code.into())) as i32);
                    longest_days = longest_days.max(read);
                    // A length that cannot be read: since the record before, but no longer than any so far, for records
                    // may be missing between the two.
                    let since = before.map_or(1, |before| day.saturating_sub(before));
                    read.unwrap_or(since.min(longest_days.unwrap_or(since)))
                }
                _ => 1,
            };
            let mut covers = span(calendar.length, day, length_days);
            // Weeks do not always end on the same day.
            if let (RecordLength::Week, Some(before)) = (calendar.length, before)
                && covers.0.abs_diff(before.saturating_add(1)) <= WEEK_JITTER_DAYS.unsigned_abs()
            {
                covers.0 = before.saturating_add(1);
            }
            let new = (before.map_or(covers.0, |before| covers.0.max(before.saturating_add(1))), covers.1);
            if new.0 <= new.1 {
                days.push(new);
            }
            self.slot.push(self.spans.len() as u32);
            self.spans.push(covers);
            self.first_tick.push(tick);
        }
        days
    }

    /// Kilometres a day: those of a day whose distance was read, times the share of days on record among those that
    /// are not lost.
    fn km_per_day(
        &self,
        chunk: &Chunk,
        rows: Range<usize>,
        on_record: &OnRecord,
        weeks: &Weeks,
        calendar: &Calendar,
    ) -> Option<f64> {
        let (column, channel) = calendar.distance?;
        let since = calendar.as_of_day.saturating_sub(DISTANCE_DAYS);
        let day = |row: usize| calendar.axis.day(chunk.tick[row]);
        let rows: Vec<usize> = rows.filter(|&row| day(row) > since).collect();
        let (mut count, mut codes, mut days) = (0_i64, 0_i64, 0_i64);
        for of_day in rows.chunk_by(|&a, &b| day(a) == day(b)) {
            let readings = || of_day.iter().map(|&row| (row, chunk.codes[column][row]));
            let mut last = None;
            for (row, code) in readings().filter(|(_, code)| *code != channel.not_available()) {
                (count, codes, last) = (count + 1, codes + channel.first + i64::from(code), Some(row));
            }
            days += last.map_or(0, |row| match calendar.length {
                RecordLength::Day => 1,
                _ => {
                    let (first, last) = self.spans[self.slot[row] as usize];
                    i64::from(last) - i64::from(first) + 1
                }
            });
        }
        let from = on_record.spans.first()?.0.max(since.saturating_add(1));
        let from = Some(on_record.in_service_from().max(from)).filter(|&day| day <= calendar.as_of_day).unwrap_or(from);
        let on_record_days = on_record.days(from, calendar.as_of_day) as f64;
        let known = f64::from(weeks.days_known(from, calendar.as_of_day, calendar));
        let km = channel.offset * count as f64 + channel.factor * codes as f64;
        (days > 0 && known > 0.0).then(|| km / days as f64 * (on_record_days / known).min(1.0))
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
