//! From whole vehicles' records to what was expected of each, and where the failures fell.
//!
//! Key idea: lives are told as in a fit ([`crate::fit::history::lives`]), so what a fit leaves out is left out here. While a
//! part is at risk, each record is expected to see as many failures as the cumulative hazard grows on it by the life
//! law from the part's own clocks, times the chance that such a failure would have been reported by now. A failure
//! belongs to the record of its day, or to the nearest one of the part's use within a window of days; farther away, it
//! is dropped and counted.
//!
//! Units: hazards in expected failures; clocks in lives; days of the dataset's axis.

#![allow(clippy::needless_range_loop, reason = "records index several columns at once")]

use chrono::{Datelike, NaiveDate, TimeDelta};

use super::error::DiscoverError;
use super::request::DiscoverRequest;
use super::survey::{Block, EventRow, LATE_DAYS, NO_VALUE};
use crate::fit::history::build::{Calendar, FixedRates, Increments, event_codes, is_constant, report_delays};
use crate::fit::history::likelihood::{Delays, End, Life};
use crate::fit::history::lives::{Dates, LifeCounts, Position, Records, is_failure, known_on, lives};
use crate::fit::history::sample::Kept;
use crate::fleet::chunk::Chunk;
use crate::fleet::dataset::Dataset;
use crate::fleet::shard::shard_of;
use crate::fleet::time::TimeAxis;
use crate::fleet::vehicles::{Attribute, FleetEvent, Ids, day_of};
use crate::model::channel::Channel;
use crate::model::compile::compile;
use crate::model::life::cumulative_hazard;
use crate::model::spec::Model;
use crate::simulate::weeks::span;

/// Months of a zone's keys: more than five thousand years.
const MONTHS: u32 = 1 << 16;

/// A failure mode's law: shape, and its mechanisms with their clock exponents.
struct ModeLaw {
    weibull_shape: f64,
    mechanisms: Vec<(usize, f64)>,
}

/// What turns records into expectations.
pub struct Histories<'a> {
    dataset: &'a Dataset,
    ids: Ids,
    request: &'a DiscoverRequest,
    rates: FixedRates,
    laws: Vec<ModeLaw>,
    component: Option<u32>,
    positions: Vec<u32>,
    constant_rates: bool,
    calendar: Calendar,
    delays: Delays,
    zone: Option<&'a Attribute>,
    crossed: Vec<&'a Attribute>,
    /// Indices into the dictionary's channels, to be read in this order.
    pub channels: Vec<usize>,
    /// Which of them are looked at.
    looked_at: Vec<usize>,
}

/// What became of some vehicles.
#[derive(Clone, Debug, Default)]
pub struct Walked {
    pub block: Block,
    pub events: Vec<EventRow>,
    pub counts: LifeCounts,
    /// Failures on days without use on record: placed at the nearest record, or dropped because none is near.
    pub without_record: u64,
    pub dropped: u64,
    /// Day of the latest record.
    pub latest_day: Option<i32>,
    /// Vehicles that neither the vehicles table nor the events know.
    pub unknown_vehicles: u64,
}

impl<'a> Histories<'a> {
    /// # Errors
    ///
    /// A model that the dataset does not serve; unknown channels or attributes.
    pub fn new(dataset: &'a Dataset, given: &Model, request: &'a DiscoverRequest) -> Result<Self, DiscoverError> {
        let model = request.model(given)?;
        let schema = dataset.dictionary.schema();
        let compiled = compile(&model, &schema)?;
        let looked_at = request.channels(dataset)?;
        let mut channels = compiled.channels.clone();
        channels.extend(looked_at.iter().filter(|channel| !compiled.channels.contains(channel)));
        let place = |channel: &usize| channels.iter().position(|one| one == channel).unwrap_or(0);
        let looked_at = looked_at.iter().map(place).collect();
        let rates = FixedRates::new(&model, &[], &schema, &channels)?;
        let laws = (compiled.modes.iter())
            .map(|mode| ModeLaw {
                weibull_shape: mode.weibull_shape,
                mechanisms: (mode.mechanisms.clone())
                    .map(|mechanism| (mechanism, compiled.mechanisms[mechanism].clock_exponent))
                    .collect(),
            })
            .collect();
        let (component, positions) = event_codes(&dataset.vehicles, &model.modes[0]);
        let (_, delays) = report_delays(dataset, &model, request.as_of_day);
        let zone = request.zone(dataset)?;
        let mechanisms = || model.modes.iter().flat_map(|mode| &mode.mechanisms);
        Ok(Self {
            ids: dataset.ids.ids(),
            component,
            positions,
            constant_rates: mechanisms().all(is_constant),
            calendar: Calendar::of(dataset),
            delays,
            crossed: request.crossed(dataset, zone)?,
            zone,
            dataset,
            request,
            rates,
            laws,
            channels,
            looked_at,
        })
    }

    /// The channels that are looked at.
    pub fn looked_at(&self) -> Vec<Channel> {
        let of = |place: &usize| self.dataset.dictionary.channels[self.channels[*place]].channel.clone();
        self.looked_at.iter().map(of).collect()
    }

    /// The attributes that are crossed, with their values.
    pub fn attributes(&self) -> Vec<(String, Vec<String>)> {
        self.crossed.iter().map(|one| (one.name.clone(), one.values.clone())).collect()
    }

    /// Zone and year of a stratum, by its key; the zone is empty for vehicles without one.
    pub fn stratum_name(&self, key: u32) -> (String, Option<i32>) {
        let zone = self.zone.and_then(|zone| zone.values.get((key / MONTHS) as usize)).cloned();
        let year = (self.dataset.axis != TimeAxis::Integer).then_some((key % MONTHS / 12) as i32);
        (zone.unwrap_or_default(), year)
    }

    /// What keeps zones and months from being told apart, in words.
    pub fn what_strata_lack(&self) -> Option<&'static str> {
        match (self.zone.is_some(), self.dataset.axis == TimeAxis::Integer) {
            (true, false) => None,
            (false, false) => Some("the vehicles have no zones: what is expected is rescaled by month alone"),
            (true, true) => Some("times are no dates: what is expected is rescaled by zone alone, not by month"),
            (false, true) => Some("neither zones nor dates: what is expected is rescaled as a whole alone"),
        }
    }

    /// The key of a vehicle's stratum: its zone and the month since the year 0.
    fn stratum(&self, vehicle: usize, day: i32) -> u32 {
        let zones = self.zone.map_or(0, |zone| zone.values.len()) as u32;
        let own = self.zone.and_then(|zone| zone.code.get(vehicle)).map_or(zones, |code| (*code).min(zones));
        let month = month(self.dataset.axis, day).unwrap_or(0);
        own * MONTHS + month.clamp(0, MONTHS as i32 - 1) as u32
    }

    /// Walks through whole vehicles.
    pub fn walk(&self, chunk: &Chunk) -> Walked {
        let mut walked = Walked { block: Block::new(self.looked_at.len(), self.crossed.len()), ..Walked::default() };
        let mut from = 0;
        while from < chunk.len() {
            let vehicle = chunk.vehicle[from];
            let to = from + chunk.vehicle[from..].iter().take_while(|other| **other == vehicle).count();
            if (vehicle as usize) < self.dataset.vehicles.known {
                self.vehicle(vehicle, chunk, from..to, &mut walked);
            } else {
                walked.unknown_vehicles += 1;
            }
            from = to;
        }
        walked
    }

    fn vehicle(&self, vehicle: u32, chunk: &Chunk, rows: std::ops::Range<usize>, walked: &mut Walked) {
        let index = vehicle as usize;
        let vehicles = &self.dataset.vehicles;
        let as_of = self.request.as_of_day;
        let events: Vec<&FleetEvent> = vehicles.events
            [vehicles.events.partition_point(|event| event.vehicle < vehicle)..]
            .iter()
            .take_while(|event| event.vehicle == vehicle)
            .filter(|event| known_on(event, as_of) && Some(event.component) == self.component)
            .collect();
        let mut kept = Kept { ticks: chunk.tick[rows.clone()].to_vec(), codes: Vec::new() };
        for row in rows.clone() {
            kept.codes.extend(chunk.codes.iter().map(|codes| codes[row]));
        }
        let increments = self.rates.increments(&kept, self.channels.len(), &self.rates.masks(vehicles, index));
        let days = |tick: i32| match self.calendar.axis {
            TimeAxis::Integer => (tick, tick),
            TimeAxis::Days | TimeAxis::SecondsSince2000 => {
                span(self.calendar.length, self.calendar.axis.day(tick), self.calendar.record_days)
            }
        };
        let last_days: Vec<i32> = kept.ticks.iter().map(|&tick| days(tick).1).collect();
        let mut used = vec![0_u32];
        for row in 0..kept.ticks.len() {
            let moved = self.mechanisms().any(|mechanism| increments.of(mechanism)[row] > 0.0);
            used.push(if moved { row as u32 + 1 } else { used[row] });
        }
        let records = Records {
            axis: self.calendar.axis,
            ticks: &kept.ticks,
            last_days: &last_days,
            first_day: kept.ticks.first().map_or(i32::MAX, |&tick| days(tick).0),
            used: &used,
        };
        let dates = Dates {
            in_service_day: vehicles.in_service_day(index).filter(|&day| day <= as_of),
            last_day: day_of(&vehicles.end_day, index).map_or(as_of, |day| day.min(as_of)),
            record_days: self.calendar.record_days,
            events_since: self.request.events_since,
            prior_use_days: self.request.prior_use_days as i32,
            constant_rates: self.constant_rates,
        };
        let mut found: Vec<Life> = Vec::new();
        if self.positions.is_empty() {
            found = lives(&records, &dates, &events, None, &self.delays, &mut walked.counts);
        }
        for &code in &self.positions {
            let position = Position { code, all: &self.positions };
            found.extend(lives(&records, &dates, &events, Some(position), &self.delays, &mut walked.counts));
        }
        let reported = self.reported(&last_days, dates.last_day);
        let mut expected = vec![0.0; kept.ticks.len()];
        for life in &found {
            self.expect(life, &increments, &reported, &mut expected);
        }
        let id = match &self.ids {
            Ids::Integer(ids) => shard_of(&ids[index].to_le_bytes(), u32::MAX),
            Ids::Text(ids) => shard_of(ids[index].as_bytes(), u32::MAX),
        };
        let values: Vec<u32> =
            self.crossed.iter().map(|one| one.code.get(index).copied().unwrap_or(NO_VALUE)).collect();
        let width = self.channels.len();
        let codes_of =
            |row: usize| -> Vec<u16> { self.looked_at.iter().map(|place| kept.codes[row * width + place]).collect() };
        for life in &found {
            let End::Failed { by, .. } = life.end else { continue };
            let Some((row, distance_days)) = row_of(life.start, by, &records, &events, &days) else { continue };
            walked.without_record += u64::from(distance_days > 0);
            if distance_days > self.request.event_window_days as i32 {
                walked.dropped += 1;
                continue;
            }
            let earlier = LATE_DAYS.map(|late| {
                let before = last_days.partition_point(|&last| last < last_days[row] - late);
                (before < row && before as u32 >= life.start).then(|| codes_of(before))
            });
            let stratum = self.stratum(index, self.calendar.axis.day(kept.ticks[row]));
            walked.events.push(EventRow { id, stratum, codes: codes_of(row), earlier, values: values.clone() });
        }
        walked.latest_day = walked.latest_day.max(kept.ticks.last().map(|&tick| self.calendar.axis.day(tick)));
        let block = &mut walked.block;
        for (row, expected) in expected.iter().enumerate().filter(|(_, expected)| **expected > 0.0) {
            block.id.push(id);
            block.tick.push(kept.ticks[row]);
            block.stratum.push(self.stratum(index, self.calendar.axis.day(kept.ticks[row])));
            block.expected.push(*expected);
            for (column, place) in block.codes.iter_mut().zip(&self.looked_at) {
                column.push(kept.codes[row * width + place]);
            }
            for (column, value) in block.values.iter_mut().zip(&values) {
                column.push(*value);
            }
        }
    }

    fn mechanisms(&self) -> impl Iterator<Item = usize> {
        self.laws.iter().flat_map(|law| law.mechanisms.iter().map(|(mechanism, _)| *mechanism))
    }

    /// By record: the chance that a failure on it would have been reported by the last day.
    fn reported(&self, last_days: &[i32], last_day: i32) -> Vec<f64> {
        let chance = |day: &i32| {
            let known = self.delays.days.iter().zip(&self.delays.chances);
            known.filter(|(delay, _)| day.saturating_add(**delay) <= last_day).map(|(_, chance)| chance).sum()
        };
        last_days.iter().map(chance).collect()
    }

    /// Adds what a life's records were expected to see.
    fn expect(&self, life: &Life, increments: &Increments, reported: &[f64], expected: &mut [f64]) {
        let end = match &life.end {
            End::Failed { by, .. } => *by,
            End::Working { at } => *at,
            End::Unreported { at } => at.iter().copied().max().unwrap_or(life.start),
        } as usize;
        let start = life.start as usize;
        for law in &self.laws {
            let mut clocks: Vec<f64> = (law.mechanisms.iter())
                .map(|(mechanism, _)| match life.before {
                    None => 0.0,
                    Some((until, times)) => {
                        f64::from(times) * increments.of(*mechanism)[start..until as usize].iter().sum::<f64>()
                    }
                })
                .collect();
            let hazard = |clocks: &[f64]| {
                let share = |(clock, (_, exponent)): (&f64, &(usize, f64))| {
                    if *exponent == 1.0 { *clock } else { libm::pow(*clock, *exponent) }
                };
                cumulative_hazard(clocks.iter().zip(&law.mechanisms).map(share).sum(), law.weibull_shape)
            };
            let mut before = hazard(&clocks);
            for row in start..end {
                for (clock, (mechanism, _)) in clocks.iter_mut().zip(&law.mechanisms) {
                    *clock += increments.of(*mechanism)[row];
                }
                let after = hazard(&clocks);
                expected[row] += (after - before) * reported[row];
                before = after;
            }
        }
    }
}

/// Months since the year 0 of the calendar; `None` where days are no dates.
fn month(axis: TimeAxis, day: i32) -> Option<i32> {
    if axis == TimeAxis::Integer {
        return None;
    }
    let date = NaiveDate::default().checked_add_signed(TimeDelta::days(i64::from(day)))?;
    Some(date.year() * 12 + date.month0() as i32)
}

/// The record of a life at which it failed, and how many days lie between them: 0 where the day is on record and
/// something was used. `by`: records by which it had failed.
fn row_of(
    start: u32,
    by: u32,
    records: &Records,
    events: &[&FleetEvent],
    days: &dyn Fn(i32) -> (i32, i32),
) -> Option<(usize, i32)> {
    let Records { ticks, last_days, used, .. } = *records;
    // The failure that ended at this record, as the lives are told.
    let ends_here = |event: &&&FleetEvent| {
        let place = last_days.partition_point(|&last| last < event.occurred_day).min(last_days.len() - 1);
        let reached = last_days.partition_point(|&last| last <= last_days[place]);
        is_failure(event) && used[reached] == by
    };
    let day = events.iter().find(ends_here)?.occurred_day;
    let distance_days = |row: usize| {
        let (first, last) = days(ticks[row]);
        (first - day).max(day - last).max(0)
    };
    let row = by as usize - 1;
    let before = used[row] as usize;
    let nearer = before > start as usize && distance_days(before - 1) < distance_days(row);
    let row = if nearer { before - 1 } else { row };
    Some((row, distance_days(row)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::vehicles::EventKind;

    /// Days 0 to 9 and 30 to 39 are on record; nothing is used on day 5.
    fn placed(day: i32, start: u32, by: u32) -> Option<(usize, i32)> {
        let ticks: Vec<i32> = (0..10).chain(30..40).collect();
        let mut used: Vec<u32> = (0..=20).collect();
        used[6] = 5;
        let records = Records { axis: TimeAxis::Days, ticks: &ticks, last_days: &ticks, first_day: 0, used: &used };
        let event = FleetEvent {
            vehicle: 0,
            component: 0,
            position: None,
            kind: EventKind::Failure,
            occurred_day: day,
            reported_day: None,
            finding: None,
        };
        row_of(start, by, &records, &[&event], &|tick| (tick, tick))
    }

    #[test]
    fn a_failure_belongs_to_the_nearest_record_of_its_part() {
        assert_eq!(placed(3, 0, 4), Some((3, 0)), "on record");
        assert_eq!(placed(5, 0, 5), Some((4, 1)), "an idle day: the use before it");
        // In the gap the lives end at the record that follows; the one before may be nearer.
        assert_eq!(placed(12, 0, 11), Some((9, 3)));
        assert_eq!(placed(27, 0, 11), Some((10, 3)));
        assert_eq!(placed(12, 10, 11), Some((10, 18)), "the one before is of another part");
        assert_eq!(placed(3, 0, 9), None, "another failure's");
    }
}
