//! Parts whose failure is reported and that were not replaced yet: they have failed, no chance is left to say.
//!
//! A failure known today (reported, or where the report has no day, occurred, on or before it; not found to be none)
//! ends its part until a replacement of that part on the failure's day or later is on record. Like a replacement
//! ([`crate::score::parts`]) it ends the part at its position and every part of the component that has no position;
//! one that names none of several positions ends none. A failure known for more than [`STANDS_DAYS`] does not stand: the
//! vehicle has long been repaired, and nobody wrote down with what. The part goes on as if nothing had been reported and
//! is flagged. Components of which failures but no replacement are on record at all are named in a warning and in the
//! manifest: such events may say when parts failed and never when they were replaced, and all their failures of a year
//! stand. A finding counts with the failure's report, for events do not say on which day it was made.
//!
//! Units: days of the dataset's axis ([`crate::fleet::time`]).

use super::report_delay::MOST_DAYS;
use super::weeks::WeekAxis;
use crate::fleet::vehicles::{EventKind, Finding, Vehicles};
use crate::score::parts::{PartStarts, Parts};

/// Days for which a failure without a replacement stands: as long as a report may be late.
pub const STANDS_DAYS: u32 = MOST_DAYS as u32;

/// The parts of known vehicles that have failed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FailedParts {
    /// (vehicle, part), sorted.
    failed: Vec<(u32, u32)>,
    /// Those whose failure is too old to stand, sorted.
    long_ago: Vec<(u32, u32)>,
    /// Components with failures and without any replacement on record, with the number of those failures.
    pub never_replaced: Vec<(String, u64)>,
}

impl FailedParts {
    pub fn new(parts: &Parts, vehicles: &Vehicles, starts: &PartStarts, axis: WeekAxis, as_of_day: i32) -> Self {
        let by_component = parts.by_component(vehicles);
        let mut replaced = vec![false; by_component.len()];
        let so_far = || vehicles.events.iter().filter(|event| event.occurred_day <= as_of_day);
        for event in so_far().filter(|event| event.kind == EventKind::Replacement) {
            if let Some(replaced) = replaced.get_mut(event.component as usize) {
                *replaced = true;
            }
        }
        let mut never_replaced = vec![0; by_component.len()];
        let mut all = Self::default();
        let failure = |kind: EventKind, finding: Option<Finding>| {
            kind == EventKind::Failure && finding != Some(Finding::NotFound)
        };
        for event in so_far().filter(|event| failure(event.kind, event.finding)) {
            let known_day = event.reported_day.unwrap_or(event.occurred_day);
            let component = event.component as usize;
            let candidates = by_component.get(component).map(Vec::as_slice).unwrap_or_default();
            if known_day > as_of_day || candidates.is_empty() {
                continue;
            }
            if !replaced[component] {
                never_replaced[component] += 1;
            }
            let stands = axis.calendar_day(as_of_day).abs_diff(axis.calendar_day(known_day)) <= STANDS_DAYS;
            for &(part, position) in candidates {
                let start = starts.day(event.vehicle as usize, part as usize);
                if (position.is_none() || position == event.position)
                    && start.is_none_or(|day| event.occurred_day > day)
                {
                    if stands { &mut all.failed } else { &mut all.long_ago }.push((event.vehicle, part));
                }
            }
        }
        for list in [&mut all.failed, &mut all.long_ago] {
            list.sort_unstable();
            list.dedup();
        }
        let named = vehicles.components.iter().cloned().zip(never_replaced);
        all.never_replaced = named.filter(|(_, failures)| *failures > 0).collect();
        all
    }

    /// Whether this part of this vehicle has failed and waits for its replacement.
    pub fn has(&self, vehicle: u32, part: usize) -> bool {
        self.failed.binary_search(&(vehicle, part as u32)).is_ok()
    }

    /// Whether a failure of it is on record that is too old to stand.
    pub fn is_doubtful(&self, vehicle: u32, part: usize) -> bool {
        self.long_ago.binary_search(&(vehicle, part as u32)).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::time::TimeAxis;
    use crate::fleet::vehicles::FleetEvent;
    use crate::score::parts::ModeParts;

    const TODAY: i32 = 1_000;

    /// Of (vehicle, part): pads are part 0; the bearing's left and right 1 and 2; the horn 3, never replaced.
    fn found(events: Vec<FleetEvent>) -> FailedParts {
        let positions = ["left".to_owned(), "right".to_owned()];
        let parts = Parts::new(&[
            ModeParts { id: "wear", component: "a_pads", positions: &[] },
            ModeParts { id: "noise", component: "bearing", positions: &positions },
            ModeParts { id: "mute", component: "horn", positions: &[] },
        ]);
        let vehicles = Vehicles {
            known: 9,
            components: vec!["a_pads".into(), "bearing".into(), "horn".into(), "unknown".into()],
            positions: vec!["right".into()],
            events,
            ..Vehicles::default()
        };
        let starts = PartStarts::new(&parts, &vehicles, TODAY);
        let axis = WeekAxis { axis: TimeAxis::Days, ticks_are_weeks: false };
        FailedParts::new(&parts, &vehicles, &starts, axis, TODAY)
    }

    #[test]
    fn a_reported_failure_stands_until_its_part_is_replaced() {
        use EventKind::{Failure, Replacement};
        let placed = |event: FleetEvent| FleetEvent { position: Some(0), ..event };
        let reported = |event: FleetEvent, day: i32| FleetEvent { reported_day: Some(day), ..event };
        let failed = found(vec![
            FleetEvent::bare(0, 0, Failure, 990),
            // Replaced on the day of the failure, after it, before it.
            FleetEvent::bare(1, 0, Failure, 990),
            FleetEvent::bare(1, 0, Replacement, 990),
            FleetEvent::bare(2, 0, Failure, 980),
            FleetEvent::bare(2, 0, Replacement, 990),
            FleetEvent::bare(3, 0, Replacement, 980),
            FleetEvent::bare(3, 0, Failure, 990),
            // Not known yet; known since today; found to be none; to come.
            reported(FleetEvent::bare(4, 0, Failure, 990), TODAY + 1),
            reported(FleetEvent::bare(5, 0, Failure, 990), TODAY),
            FleetEvent { finding: Some(Finding::NotFound), ..FleetEvent::bare(6, 0, Failure, 990) },
            FleetEvent::bare(7, 0, Failure, TODAY + 1),
            // At a position, and at none of several.
            placed(FleetEvent::bare(8, 1, Failure, 995)),
            placed(FleetEvent::bare(8, 1, Replacement, 900)),
            FleetEvent::bare(7, 1, Failure, 995),
        ]);
        let of_pads: Vec<u32> = (0..9).filter(|&vehicle| failed.has(vehicle, 0)).collect();
        assert_eq!(of_pads, [0, 3, 5]);
        assert!(failed.has(8, 2) && !failed.has(8, 1) && !failed.has(7, 1) && !failed.has(7, 2));
        assert!(!failed.is_doubtful(0, 0) && failed.never_replaced.is_empty());
    }

    #[test]
    fn what_nobody_wrote_down_does_not_stand_for_ever() {
        use EventKind::{Failure, Replacement};
        let failed = found(vec![
            FleetEvent::bare(0, 0, Failure, TODAY - 364),
            FleetEvent::bare(1, 0, Failure, TODAY - 365),
            FleetEvent::bare(2, 0, Replacement, 1),
            FleetEvent::bare(3, 2, Failure, 990),
            FleetEvent::bare(4, 2, Failure, 400),
            FleetEvent::bare(4, 3, Failure, 990),
        ]);
        assert!(failed.has(0, 0) && !failed.is_doubtful(0, 0));
        assert!(!failed.has(1, 0) && failed.is_doubtful(1, 0));
        // Of a component that nobody ever replaced, too.
        assert!(failed.has(3, 3) && failed.is_doubtful(4, 3) && !failed.has(4, 3));
        assert_eq!(failed.never_replaced, [("horn".to_owned(), 2)], "of the model's components alone");
    }
}
