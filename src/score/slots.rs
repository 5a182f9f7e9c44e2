//! Slots: one vehicle between two of its boundary days.
//!
//! A part's clock since its start is a sum over the vehicle's time. The boundaries of a known vehicle are the distinct
//! days of its parts' starts and the fleet's *recent day* (as-of less [`RECENT_DAYS`]). A record's segment is the
//! number of boundary days that lie wholly before it, its slot `base[vehicle] + segment`, and the clock of a part the
//! wrapping sum of the slots behind its start. Vehicles that only the histories know have no events: two slots each,
//! before and after the recent day, behind those of the known vehicles.
//!
//! Units: ticks and days of the dataset's axis ([`crate::fleet::time`]).

use std::ops::Range;

use super::parts::PartStarts;
use crate::fleet::time::TimeAxis;

/// Length of the recent window, in days (in periods, where time is an integer).
pub const RECENT_DAYS: i32 = 90;

/// Slots of a vehicle that only the histories know.
const SLOTS_OF_UNLISTED: usize = 2;

/// Which slots there are, for the known vehicles and any number of others.
#[derive(Clone, Debug, PartialEq)]
pub struct SlotPlan {
    pub axis: TimeAxis,
    /// Scores speak of the end of this day.
    pub as_of_day: i32,
    /// First slot of each known vehicle, and the number of slots of all of them.
    base: Vec<u32>,
    /// Last tick of each boundary day, rising; those of vehicle `v` begin at `base[v] - v`.
    boundary_ticks: Vec<i32>,
    recent_tick: i32,
}

/// More slots than the kernels can address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{vehicles} vehicles need {slots} slots, at most {} fit: score the fleet in shards", u32::MAX)]
pub struct TooManySlots {
    pub vehicles: usize,
    pub slots: u64,
}

impl SlotPlan {
    /// Slots of `known` vehicles whose parts started as `starts` says.
    pub fn new(axis: TimeAxis, as_of_day: i32, known: usize, starts: &PartStarts) -> Result<Self, TooManySlots> {
        let recent_day = as_of_day.saturating_sub(RECENT_DAYS);
        let recent_tick = axis.last_tick_of(recent_day);
        let mut base = Vec::with_capacity(known + 1);
        let mut boundary_ticks = Vec::with_capacity(known);
        let mut days: Vec<i32> = Vec::new();
        for vehicle in 0..known {
            base.push((boundary_ticks.len() + vehicle) as u32);
            days.clear();
            days.extend(starts.of(vehicle).iter().map(|start| start.day));
            days.push(recent_day);
            days.sort_unstable();
            days.dedup();
            boundary_ticks.extend(days.iter().map(|&day| axis.last_tick_of(day)));
        }
        let slots = (boundary_ticks.len() + known) as u64;
        base.push(u32::try_from(slots).map_err(|_| TooManySlots { vehicles: known, slots })?);
        Ok(Self { axis, as_of_day, base, boundary_ticks, recent_tick })
    }

    /// Vehicles with slots of their own.
    pub fn known(&self) -> usize {
        self.base.len() - 1
    }

    /// Slots of the known vehicles.
    pub fn known_slots(&self) -> usize {
        self.base[self.known()] as usize
    }

    /// Slots of this many vehicles, the known ones first.
    pub fn slots(&self, vehicles: usize) -> Result<usize, TooManySlots> {
        let unlisted = vehicles.saturating_sub(self.known()) as u64;
        let slots = self.known_slots() as u64 + unlisted * SLOTS_OF_UNLISTED as u64;
        if slots > u64::from(u32::MAX) { Err(TooManySlots { vehicles, slots }) } else { Ok(slots as usize) }
    }

    /// First slot of a vehicle, and the last ticks of its boundary days, rising. A record later than `n` of them
    /// falls into slot `first + n`. The vehicle must be one that [`SlotPlan::slots`] accepted.
    #[inline]
    pub fn boundaries(&self, vehicle: usize) -> (u32, &[i32]) {
        match self.base.get(vehicle + 1) {
            Some(&next) => {
                let first = self.base[vehicle];
                (first, &self.boundary_ticks[first as usize - vehicle..next as usize - vehicle - 1])
            }
            None => {
                let unlisted = vehicle - self.known();
                let first = self.known_slots() + unlisted * SLOTS_OF_UNLISTED;
                (first as u32, std::slice::from_ref(&self.recent_tick))
            }
        }
    }

    /// The slots of a vehicle.
    pub fn of(&self, vehicle: usize) -> Range<usize> {
        let (first, boundaries) = self.boundaries(vehicle);
        first as usize..first as usize + boundaries.len() + 1
    }

    /// The slots that count for a part put in on `day` (`None`: for the vehicle's whole history).
    pub fn since(&self, vehicle: usize, day: Option<i32>) -> Range<usize> {
        let all = self.of(vehicle);
        let Some(day) = day else { return all };
        let (_, boundaries) = self.boundaries(vehicle);
        let tick = self.axis.last_tick_of(day);
        all.start + boundaries.partition_point(|&boundary| boundary < tick) + 1..all.end
    }

    /// The slots of the recent window.
    pub fn recent(&self, vehicle: usize) -> Range<usize> {
        let all = self.of(vehicle);
        let (_, boundaries) = self.boundaries(vehicle);
        all.start + boundaries.partition_point(|&boundary| boundary < self.recent_tick) + 1..all.end
    }

    /// The day before the recent window.
    pub fn recent_day(&self) -> i32 {
        self.as_of_day.saturating_sub(RECENT_DAYS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::time::{DAYS_TO_2000, SECONDS_PER_DAY};
    use crate::fleet::vehicles::{EventKind, FleetEvent, Vehicles};
    use crate::score::parts::{ModeParts, Parts};

    fn fleet(axis: TimeAxis, replacements: &[(u32, u32, i32)], known: usize, as_of_day: i32) -> (PartStarts, SlotPlan) {
        let parts = Parts::new(&[
            ModeParts { id: "a", component: "pads", positions: &[] },
            ModeParts { id: "b", component: "tyre", positions: &[] },
        ]);
        let event = |&(vehicle, component, occurred_day): &(u32, u32, i32)| {
            FleetEvent::bare(vehicle, component, EventKind::Replacement, occurred_day)
        };
        let vehicles = Vehicles {
            known,
            components: vec!["pads".into(), "tyre".into()],
            events: replacements.iter().map(event).collect(),
            ..Vehicles::default()
        };
        let starts = PartStarts::new(&parts, &vehicles, as_of_day);
        let plan = SlotPlan::new(axis, as_of_day, known, &starts).unwrap();
        (starts, plan)
    }

    fn slot(plan: &SlotPlan, vehicle: usize, tick: i32) -> usize {
        let (first, boundaries) = plan.boundaries(vehicle);
        first as usize + boundaries.iter().filter(|&&boundary| tick > boundary).count()
    }

    #[test]
    fn a_record_on_the_day_counts_for_the_old_part() {
        let (starts, plan) = fleet(TimeAxis::Days, &[(1, 0, 500), (1, 1, 500)], 3, 1000);
        assert_eq!([plan.of(0), plan.of(1), plan.of(2)], [0..2, 2..5, 5..7]);
        assert_eq!(plan.known_slots(), 7);
        assert_eq!((slot(&plan, 1, 500), slot(&plan, 1, 501)), (2, 3));
        assert_eq!(plan.since(1, starts.day(1, 0)), 3..5, "two parts replaced on one day share a boundary");
        assert_eq!(plan.since(1, None), 2..5);
        assert_eq!((slot(&plan, 1, 910), slot(&plan, 1, 911)), (3, 4), "the recent window is 90 days");
        assert_eq!(plan.recent(1), 4..5);
    }

    #[test]
    fn a_start_on_the_recent_day_or_inside_the_window() {
        let (starts, plan) = fleet(TimeAxis::Days, &[(0, 0, 910), (0, 1, 950)], 1, 1000);
        assert_eq!(plan.of(0), 0..3);
        assert_eq!(plan.since(0, starts.day(0, 0)), 1..3);
        assert_eq!(plan.since(0, starts.day(0, 1)), 2..3);
        assert_eq!(plan.recent(0), 1..3);
        let (starts, plan) = fleet(TimeAxis::Days, &[(0, 0, 1000)], 1, 1000);
        assert_eq!(plan.since(0, starts.day(0, 0)), 2..3, "replaced today: no record yet");
    }

    #[test]
    fn vehicles_that_only_the_histories_know_stand_behind() {
        let (_, plan) = fleet(TimeAxis::Days, &[(0, 0, 500)], 1, 1000);
        assert_eq!([plan.of(0), plan.of(1), plan.of(2)], [0..3, 3..5, 5..7]);
        assert_eq!((slot(&plan, 2, 910), slot(&plan, 2, 911)), (5, 6));
        assert_eq!(plan.slots(3), Ok(7));
        assert_eq!(plan.since(2, None), 5..7);
        assert!(plan.slots(1 + (1 << 31)).is_err());
        let (_, none) = fleet(TimeAxis::Integer, &[], 0, 5);
        assert_eq!((none.known_slots(), none.of(0)), (0, 0..2));
    }

    #[test]
    fn timestamps_of_the_day_itself_are_before_the_boundary() {
        let day = DAYS_TO_2000 + 10;
        let (starts, plan) = fleet(TimeAxis::SecondsSince2000, &[(0, 0, day)], 1, day + 400);
        let midnight_after = 11 * SECONDS_PER_DAY;
        assert_eq!((slot(&plan, 0, midnight_after - 1), slot(&plan, 0, midnight_after)), (0, 1));
        assert_eq!(plan.since(0, starts.day(0, 0)), 1..3);
    }
}
