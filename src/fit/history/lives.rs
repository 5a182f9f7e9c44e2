//! From a vehicle's dates, events and records to the lives of its parts.
//!
//! Key idea: a place of a vehicle (a component, at a position) is walked through in time. It holds the original part
//! since the vehicle's first day in service, a new one since each replacement, or a part that nobody knows: before the
//! first replacement of a vehicle that was in service before its records, after an order that does not say which
//! position it concerns, after a failure until its replacement. Only what is known is a life; the rest is counted by
//! its reason. Nothing later than the as-of day is looked at: neither an event that was reported after it nor an end of
//! service after it.
//!
//! Units: days of the dataset's axis; points of a history are numbers of records.

use std::collections::BTreeMap;

use serde::Serialize;

use super::likelihood::{Delays, End, Life};
use crate::fleet::time::TimeAxis;
use crate::fleet::vehicles::{EventKind, Finding, FleetEvent};

/// A failure so many days after the last record still belongs to it: the vehicle stands.
const STANDS_DAYS: i32 = 30;
/// The first record of a part may come so many days after its start, besides the length of a record.
pub const LATE_DAYS: i32 = 14;

/// What became of the parts: each life is used or left out for one reason.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LifeCounts {
    /// Lives that count, and those of them that ended in a failure.
    pub lives: u64,
    pub failures: u64,
    /// Lives left out, by reason, and how many of them ended in a failure.
    pub left_out: BTreeMap<&'static str, LeftOut>,
    /// Work orders that say nothing new or contradict the rest, by reason.
    pub orders: BTreeMap<&'static str, u64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    pub lives: u64,
    pub failures: u64,
}

impl LifeCounts {
    pub fn add(&mut self, other: &Self) {
        self.lives += other.lives;
        self.failures += other.failures;
        for (reason, own) in &other.left_out {
            let sum = self.left_out.entry(reason).or_default();
            sum.lives += own.lives;
            sum.failures += own.failures;
        }
        for (reason, orders) in &other.orders {
            *self.orders.entry(reason).or_default() += orders;
        }
    }

    fn leave_out(&mut self, reason: &'static str, failed: bool) {
        let sum = self.left_out.entry(reason).or_default();
        sum.lives += 1;
        sum.failures += u64::from(failed);
    }

    fn order(&mut self, reason: &'static str) {
        *self.orders.entry(reason).or_default() += 1;
    }
}

pub const UNKNOWN_START: &str = "in service before the records, replacements unknown";
pub const UNKNOWN_USE: &str = "use before the records unknown";
pub const NO_RECORDS: &str = "no records";
pub const NO_USE: &str = "failed without use on record";
pub const REPORTED_BEFORE: &str = "reported before it occurred";
pub const BEFORE_SERVICE: &str = "failed before service began";
pub const REPEATED: &str = "failure of a part that had failed already";
pub const NOT_PLACED: &str = "position not named";

/// One vehicle's records, as the lives need them.
#[derive(Clone, Copy, Debug)]
pub struct Records<'a> {
    pub axis: TimeAxis,
    pub ticks: &'a [i32],
    /// The last day that each record covers, not falling.
    pub last_days: &'a [i32],
    /// The first day that the first one covers.
    pub first_day: i32,
    /// `used[n]`: the first number of records by which as much was used as by `n`; falls only where days are idle.
    pub used: &'a [u32],
}

/// One vehicle's dates.
#[derive(Clone, Copy, Debug)]
pub struct Dates {
    /// `None`: unknown.
    pub in_service_day: Option<i32>,
    /// Up to which day failures would have been seen: the as-of day, or the end of service before it.
    pub last_day: i32,
    /// Days that a record covers, usually.
    pub record_days: i32,
    /// Replacements are on record from this day on, if that is earlier than the vehicle's records.
    pub events_since: Option<i32>,
    /// Take the use before the records to have been as on the first so many days on record; 0: leave such parts out,
    /// except where all rates are constant.
    pub prior_use_days: i32,
    /// All rates of the group are constant in time.
    pub constant_rates: bool,
}

/// A position, by the codes that the events use.
#[derive(Clone, Copy, Debug)]
pub struct Position<'a> {
    pub code: u32,
    /// Those of all of the mode's positions.
    pub all: &'a [u32],
}

/// What a work order says of one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Failed,
    FailedDoubtfully,
    Replaced,
    /// One of several places, nobody knows which.
    Something,
}

/// Whether an event was known on a day.
pub fn known_on(event: &FleetEvent, day: i32) -> bool {
    event.occurred_day.max(event.reported_day.unwrap_or(event.occurred_day)) <= day
}

/// Whether an event is a failure that the workshop did not deny.
pub fn is_failure(event: &FleetEvent) -> bool {
    event.kind == EventKind::Failure && event.finding != Some(Finding::NotFound)
}

/// Walks through one place. `events`: those of the vehicle and component known on the as-of day, in time; `position`:
/// `None` where the mode has none.
pub fn lives(
    records: &Records,
    dates: &Dates,
    events: &[&FleetEvent],
    position: Option<Position>,
    delays: &Delays,
    counts: &mut LifeCounts,
) -> Vec<Life> {
    let mut walk = Walk { records, dates, delays, counts, lives: Vec::new() };
    let mut place = match dates.in_service_day {
        Some(day) => Place::Holds { since: day, original: true },
        None => Place::Unknown { counted: false },
    };
    for event in events {
        let said = match (event.kind, position) {
            (EventKind::Failure, _) if !is_failure(event) => continue,
            (EventKind::Failure | EventKind::Replacement, Some(own)) if event.position != Some(own.code) => {
                if event.position.is_some_and(|other| own.all.contains(&other)) {
                    continue;
                }
                Said::Something
            }
            (EventKind::Failure, _) if event.reported_day.is_some_and(|reported| reported < event.occurred_day) => {
                Said::FailedDoubtfully
            }
            (EventKind::Failure, _) => Said::Failed,
            (EventKind::Replacement, _) => Said::Replaced,
            _ => continue,
        };
        place = walk.step(place, said, event.occurred_day);
    }
    match place {
        Place::Holds { since, original } => walk.end(since, original, Ended::Unreported),
        Place::Unknown { counted: false } => walk.counts.leave_out(UNKNOWN_START, false),
        Place::Unknown { counted: true } | Place::Failed => {}
    }
    walk.lives
}

/// What a place holds.
#[derive(Clone, Copy, Debug)]
enum Place {
    Holds {
        since: i32,
        original: bool,
    },
    Failed,
    /// `counted`: what is there has been counted as left out.
    Unknown {
        counted: bool,
    },
}

/// How a life ended.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Ended {
    Failed(i32),
    Working(i32),
    Unreported,
}

struct Walk<'a> {
    records: &'a Records<'a>,
    dates: &'a Dates,
    delays: &'a Delays,
    counts: &'a mut LifeCounts,
    lives: Vec<Life>,
}

impl Walk<'_> {
    fn step(&mut self, place: Place, said: Said, day: i32) -> Place {
        match (place, said) {
            (Place::Holds { since, original: true }, Said::Failed | Said::FailedDoubtfully) if day < since => {
                self.counts.order(BEFORE_SERVICE);
                place
            }
            (Place::Holds { since, original }, Said::Failed) => {
                self.end(since, original, Ended::Failed(day));
                Place::Failed
            }
            (Place::Holds { .. }, Said::FailedDoubtfully) => {
                self.counts.leave_out(REPORTED_BEFORE, true);
                Place::Failed
            }
            (Place::Holds { since, original }, Said::Replaced) => {
                if day >= since {
                    self.end(since, original, Ended::Working(day));
                }
                Place::Holds { since: day.max(since), original: original && day < since }
            }
            (Place::Holds { since, original }, Said::Something) => {
                self.counts.order(NOT_PLACED);
                self.end(since, original, Ended::Working(day));
                Place::Unknown { counted: true }
            }
            (Place::Failed, Said::Failed | Said::FailedDoubtfully) => {
                self.counts.order(REPEATED);
                Place::Failed
            }
            (Place::Failed, Said::Replaced) => Place::Holds { since: day, original: false },
            (Place::Failed, Said::Something) => {
                self.counts.order(NOT_PLACED);
                Place::Failed
            }
            (Place::Unknown { counted }, Said::Failed | Said::FailedDoubtfully) => {
                if !counted {
                    self.counts.leave_out(UNKNOWN_START, true);
                }
                Place::Failed
            }
            (Place::Unknown { counted }, Said::Replaced) => {
                if !counted {
                    self.counts.leave_out(UNKNOWN_START, false);
                }
                Place::Holds { since: day, original: false }
            }
            (Place::Unknown { .. }, Said::Something) => {
                self.counts.order(NOT_PLACED);
                place
            }
        }
    }

    /// Ends the life of a part that began on a day, and keeps it if its use is known.
    fn end(&mut self, since: i32, original: bool, ended: Ended) {
        let failed = matches!(ended, Ended::Failed(_));
        match self.life(since, original, ended) {
            Ok(life) => {
                self.counts.lives += 1;
                self.counts.failures += u64::from(matches!(life.end, End::Failed { .. }));
                self.lives.push(life);
            }
            Err(reason) => self.counts.leave_out(reason, failed),
        }
    }

    fn life(&self, since: i32, original: bool, ended: Ended) -> Result<Life, &'static str> {
        let Records { ticks, last_days, first_day, used, axis } = *self.records;
        let (Some(&last_record_day), records) = (last_days.last(), ticks.len() as u32) else { return Err(NO_RECORDS) };
        let late = first_day.saturating_sub(since) - LATE_DAYS - self.dates.record_days;
        let mut before = None;
        if late > 0 {
            // The records begin when the part is in use already.
            let known = self.dates.events_since.is_some_and(|known| known <= since);
            if original && !known {
                return Err(UNKNOWN_START);
            }
            let days = match self.dates.prior_use_days {
                0 if self.dates.constant_rates => last_record_day - first_day + 1,
                0 => return Err(UNKNOWN_USE),
                days => days,
            };
            let until = self.by_day(first_day.saturating_add(days - 1)).max(1);
            let spanned = (last_days[until as usize - 1] - first_day + 1).max(1);
            before = Some((until, (f64::from(first_day - since) / f64::from(spanned)) as f32));
        }
        let start = match original {
            true => 0,
            false => ticks.partition_point(|&tick| tick <= axis.last_tick_of(since)) as u32,
        };
        let at = |day: i32| self.by_day(day).max(start);
        let end = match ended {
            Ended::Working(day) => End::Working { at: at(day) },
            Ended::Failed(day) if day > last_record_day.saturating_add(STANDS_DAYS) => {
                End::Working { at: records.max(start) }
            }
            Ended::Failed(day) => {
                // The record that the day falls into, or the next one, or the last.
                let place = last_days.partition_point(|&last| last < day).min(last_days.len() - 1);
                let by = self.by_day(last_days[place]);
                if by <= start {
                    return Err(NO_USE);
                }
                // Failures come of use: idle days at the end did not do it.
                let by = used[by as usize];
                let day_of_use = last_days[(by as usize).saturating_sub(1)];
                let after = (last_days.partition_point(|&last| last < day_of_use) as u32).max(start);
                if by <= start || by <= after {
                    return Err(NO_USE);
                }
                End::Failed { after, by }
            }
            Ended::Unreported => {
                let last = self.dates.last_day;
                End::Unreported { at: self.delays.days.iter().map(|delay| at(last.saturating_sub(*delay))).collect() }
            }
        };
        Ok(Life { start, before, end })
    }

    /// Records up to the end of a day.
    fn by_day(&self, day: i32) -> u32 {
        self.records.last_days.partition_point(|&last| last <= day) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: EventKind, occurred_day: i32, reported_day: Option<i32>) -> FleetEvent {
        FleetEvent { vehicle: 0, component: 0, position: None, kind, occurred_day, reported_day, finding: None }
    }

    /// A hundred days from day 100 on; nothing is used on days divisible by ten.
    fn walked(dates: Dates, events: &[FleetEvent], position: Option<Position>) -> (Vec<Life>, LifeCounts) {
        let days: Vec<i32> = (100..200).collect();
        let mut used = vec![0];
        for (place, day) in days.iter().enumerate() {
            used.push(if day % 10 == 0 { used[place] } else { place as u32 + 1 });
        }
        let records = Records { axis: TimeAxis::Days, ticks: &days, last_days: &days, first_day: 100, used: &used };
        let delays = Delays { days: vec![0, 20], chances: vec![0.5, 0.5] };
        let mut counts = LifeCounts::default();
        let events: Vec<&FleetEvent> = events.iter().collect();
        let lives = lives(&records, &dates, &events, position, &delays, &mut counts);
        (lives, counts)
    }

    const NEW: Dates = Dates {
        in_service_day: Some(98),
        last_day: 199,
        record_days: 1,
        events_since: None,
        prior_use_days: 0,
        constant_rates: false,
    };

    #[test]
    fn a_part_fails_is_replaced_and_its_successor_lives() {
        let events = [event(EventKind::Failure, 131, Some(140)), event(EventKind::Replacement, 140, Some(140))];
        let (lives, counts) = walked(NEW, &events, None);
        assert_eq!(lives[0], Life { start: 0, before: None, end: End::Failed { after: 31, by: 32 } });
        assert_eq!(lives[1], Life { start: 41, before: None, end: End::Unreported { at: [100, 80].into() } });
        assert_eq!((counts.lives, counts.failures, counts.left_out.len()), (2, 1, 0));
        // On an idle day, the last use did it; a false alarm is nothing; what stands idle from the start cannot fail.
        let idle = walked(NEW, &[event(EventKind::Failure, 150, None)], None).0;
        assert_eq!(idle[0].end, End::Failed { after: 49, by: 50 });
        let denied = FleetEvent { finding: Some(Finding::NotFound), ..event(EventKind::Failure, 150, None) };
        assert!(matches!(walked(NEW, &[denied], None).0[0].end, End::Unreported { .. }));
        let idle = [event(EventKind::Replacement, 129, None), event(EventKind::Failure, 130, None)];
        let (lives, counts) = walked(NEW, &idle, None);
        assert_eq!((lives.len(), counts.left_out[NO_USE]), (1, LeftOut { lives: 1, failures: 1 }));
    }

    #[test]
    fn what_is_unknown_is_left_out_and_counted() {
        let old = Dates { in_service_day: Some(10), ..NEW };
        let failed = [event(EventKind::Failure, 131, None), event(EventKind::Replacement, 140, None)];
        for dates in [old, Dates { in_service_day: None, ..NEW }] {
            let (lives, counts) = walked(dates, &failed, None);
            assert_eq!((lives.len(), counts.failures), (1, 0), "the successor is known");
            assert_eq!(counts.left_out[UNKNOWN_START], LeftOut { lives: 1, failures: 1 });
        }
        // Replacements are on record since before the sale: the part is the original, and its use must be known.
        let known = Dates { events_since: Some(0), ..old };
        assert_eq!(walked(known, &failed, None).1.left_out[UNKNOWN_USE], LeftOut { lives: 1, failures: 1 });
        let lives = walked(Dates { constant_rates: true, ..known }, &failed, None).0;
        assert_eq!(lives[0].before, Some((100, 0.9)), "90 days of age, 100 on record");
        let lives = walked(Dates { prior_use_days: 30, ..known }, &failed, None).0;
        assert_eq!(lives[0].before, Some((30, 3.0)));
    }

    #[test]
    fn orders_that_contradict_are_counted() {
        let orders = |events: &[FleetEvent]| walked(NEW, events, None).1;
        assert_eq!(orders(&[event(EventKind::Failure, 90, None)]).orders[BEFORE_SERVICE], 1);
        let twice = [event(EventKind::Failure, 131, None), event(EventKind::Failure, 135, None)];
        assert_eq!(orders(&twice).orders[REPEATED], 1);
        let early = orders(&[event(EventKind::Failure, 131, Some(120))]);
        assert_eq!((early.left_out[REPORTED_BEFORE].failures, early.lives), (1, 0));
        let late = [event(EventKind::Failure, 260, None)];
        assert_eq!(walked(NEW, &late, None).0[0].end, End::Working { at: 100 }, "long after the last record");
        let stands = [event(EventKind::Failure, 220, None)];
        assert_eq!(walked(NEW, &stands, None).0[0].end, End::Failed { after: 99, by: 100 });
        // Nobody says which of several positions: all are unknown from there on.
        let (lives, counts) =
            walked(NEW, &[event(EventKind::Replacement, 150, None)], Some(Position { code: 1, all: &[1, 2] }));
        assert_eq!((lives[0].end.clone(), counts.orders[NOT_PLACED]), (End::Working { at: 51 }, 1));
    }
}
