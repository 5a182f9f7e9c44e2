//! What became of the parts that were in service on a cut day, read off the events table with hindsight.
//!
//! A part's fate is the first event after what was known on the cut day that ends it:
//!
//! - a *failure* that was not found to be none;
//! - a *replacement* without one before it. Its finding decides: confirmed, the defect was there and the part counts as
//!   failed; not found, it was sound; without a finding nobody knows. The finding may stand on the replacement itself or on
//!   an inspection or outcome of the part between the cut day and its own day;
//! - the end of the vehicle's service.
//!
//! A failure that had occurred by the cut day and was reported later counts too: whoever acts on a forecast wants to hear
//! of it, and chances to have failed already are part of what is stated.
//!
//! An event ends the parts that a replacement restarts ([`crate::score::parts`]): the one at its position, and those
//! without position. One that names none of the model's positions leaves open which part it was: all of them are lost
//! from sight that day.
//!
//! Units: days of the dataset's axis.

use crate::fleet::vehicles::{EventKind, Finding, FleetEvent, Vehicles, day_of};
use crate::score::parts::{PartStarts, Parts};

/// What counts as the end of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutcomeKind {
    Failures,
    /// For tables that hold replacements alone: each is taken for the failure of its part.
    Replacements,
}

/// How a part ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Failed,
    /// Replaced, and the workshop found the defect.
    FoundDefective,
    /// Replaced, and the workshop found none.
    FoundSound,
    /// Replaced without a finding.
    Replaced,
    /// An event of the component that does not say which part it was.
    NotPlaced,
    LeftService,
}

impl End {
    pub fn name(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::FoundDefective => "replaced_defective",
            Self::FoundSound => "replaced_sound",
            Self::Replaced => "replaced_without_finding",
            Self::NotPlaced => "event_not_placed",
            Self::LeftService => "left_service",
        }
    }

    pub fn is_failure(self) -> bool {
        matches!(self, Self::Failed | Self::FoundDefective)
    }
}

/// A part's end and its day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fate {
    pub day: i32,
    pub end: End,
}

/// The day from which an event is known: that of its report, where it says one.
pub fn known_day(event: &FleetEvent) -> i32 {
    event.reported_day.map_or(event.occurred_day, |reported| reported.max(event.occurred_day))
}

/// Events by vehicle, read for fates.
#[derive(Debug)]
pub struct Outcomes<'a> {
    vehicles: &'a Vehicles,
    /// By component of the events: its parts with the codes of their positions.
    by_component: Vec<Vec<(u32, Option<u32>)>>,
    parts: usize,
    kind: OutcomeKind,
}

impl<'a> Outcomes<'a> {
    pub fn new(vehicles: &'a Vehicles, parts: &Parts, kind: OutcomeKind) -> Self {
        Self { vehicles, by_component: parts.by_component(vehicles), parts: parts.parts.len(), kind }
    }

    /// All events of a vehicle, in order.
    fn of(&self, vehicle: u32) -> &'a [FleetEvent] {
        let events = &self.vehicles.events;
        let from = events.partition_point(|event| event.vehicle < vehicle);
        let count = events[from..].partition_point(|event| event.vehicle == vehicle);
        &events[from..from + count]
    }

    /// Whether any event of the model's components counts as a failure.
    pub fn any(&self) -> bool {
        let modelled =
            |event: &&FleetEvent| self.by_component.get(event.component as usize).is_some_and(|p| !p.is_empty());
        self.vehicles.events.iter().filter(modelled).any(|event| match self.kind {
            OutcomeKind::Failures => is_failure(event),
            OutcomeKind::Replacements => event.kind == EventKind::Replacement,
        })
    }

    /// The fate of every part of a vehicle after a cut day, in the order of [`Parts::parts`]; `None`: it goes on. `starts`
    /// are those that were known on the cut day, with the vehicle's index there.
    pub fn fates(&self, vehicle: u32, cut_day: i32, (starts, there): (&PartStarts, usize)) -> Vec<Option<Fate>> {
        let mut fates: Vec<Option<Fate>> = vec![None; self.parts];
        let mut found: Vec<Option<Finding>> = vec![None; self.parts];
        let events = self.of(vehicle);
        for (place, event) in events.iter().enumerate().filter(|(_, event)| known_day(event) > cut_day) {
            let Some(candidates) = self.by_component.get(event.component as usize) else { continue };
            let placed = candidates.iter().any(|(_, position)| position.is_none() || *position == event.position);
            for &(part, position) in candidates {
                let (own, part) = (position.is_none() || position == event.position, part as usize);
                // What occurred before the part was put in was its predecessor's.
                if fates[part].is_some() || starts.day(there, part).is_some_and(|start| event.occurred_day <= start) {
                    continue;
                }
                let end = match event.kind {
                    EventKind::Inspection | EventKind::Outcome => {
                        if own {
                            found[part] = event.finding.or(found[part]);
                        }
                        continue;
                    }
                    EventKind::Failure if self.kind == OutcomeKind::Replacements || !is_failure(event) => continue,
                    _ if !placed => End::NotPlaced,
                    _ if !own => continue,
                    EventKind::Failure => End::Failed,
                    EventKind::Replacement => match (
                        self.kind,
                        event.finding.or(found[part]).or_else(|| later_that_day(event, &events[place + 1..])),
                    ) {
                        (OutcomeKind::Replacements, _) => End::Failed,
                        (OutcomeKind::Failures, Some(Finding::Confirmed)) => End::FoundDefective,
                        (OutcomeKind::Failures, Some(Finding::NotFound)) => End::FoundSound,
                        (OutcomeKind::Failures, None) => End::Replaced,
                    },
                };
                fates[part] = Some(Fate { day: event.occurred_day, end });
            }
        }
        if let Some(day) = day_of(&self.vehicles.end_day, vehicle as usize).filter(|&day| day > cut_day) {
            for fate in &mut fates {
                // A failure on the last day was still seen.
                if fate.is_none_or(|fate| fate.day > day) {
                    *fate = Some(Fate { day, end: End::LeftService });
                }
            }
        }
        fates
    }

    /// Days of the failures of a vehicle's parts from `from` to `to`, both included, with the part: those of a part put in
    /// after the cut day too. A part fails once: what is written of it until it is replaced is the same failure. Events
    /// that are not placed count for none.
    pub fn failures(&self, vehicle: u32, (from, to): (i32, i32)) -> Vec<(i32, u32)> {
        let mut failures = Vec::new();
        let mut failed = vec![false; self.parts];
        let last = day_of(&self.vehicles.end_day, vehicle as usize).map_or(to, |end| end.min(to));
        for event in self.of(vehicle).iter().take_while(|event| event.occurred_day <= last) {
            let Some(candidates) = self.by_component.get(event.component as usize) else { continue };
            let own = candidates.iter().filter(|(_, position)| position.is_none() || *position == event.position);
            for &(part, _) in own {
                let failed = &mut failed[part as usize];
                let fails = match (self.kind, event.kind) {
                    (OutcomeKind::Failures, EventKind::Failure) => {
                        is_failure(event) && !std::mem::replace(failed, true)
                    }
                    (OutcomeKind::Failures, EventKind::Replacement) => {
                        !std::mem::replace(failed, false) && event.finding == Some(Finding::Confirmed)
                    }
                    (OutcomeKind::Replacements, kind) => kind == EventKind::Replacement,
                    (OutcomeKind::Failures, EventKind::Inspection | EventKind::Outcome) => false,
                };
                if fails && event.occurred_day >= from {
                    failures.push((event.occurred_day, part));
                }
            }
        }
        failures
    }
}

/// The finding of an inspection or outcome on the day of a replacement, which stands behind it in `events`.
fn later_that_day(replacement: &FleetEvent, events: &[FleetEvent]) -> Option<Finding> {
    let same = |event: &&FleetEvent| {
        (event.component, event.position) == (replacement.component, replacement.position)
            && matches!(event.kind, EventKind::Inspection | EventKind::Outcome)
    };
    let that_day = events.iter().take_while(|event| event.occurred_day == replacement.occurred_day);
    that_day.filter(same).find_map(|event| event.finding)
}

fn is_failure(event: &FleetEvent) -> bool {
    event.kind == EventKind::Failure && event.finding != Some(Finding::NotFound)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::parts::ModeParts;

    const CUT: i32 = 100;

    /// Part 0: the bearing, left; 1: right; 2: the pads.
    fn parts() -> Parts {
        let positions = ["left".to_owned(), "right".to_owned()];
        Parts::new(&[
            ModeParts { id: "noise", component: "bearing", positions: &positions },
            ModeParts { id: "wear", component: "pads", positions: &[] },
        ])
    }

    fn event(component: u32, kind: EventKind, occurred_day: i32) -> FleetEvent {
        FleetEvent::bare(0, component, kind, occurred_day)
    }

    fn vehicles(mut events: Vec<FleetEvent>) -> Vehicles {
        events.sort_by_key(|event| (event.occurred_day, event.component, event.position, event.kind));
        Vehicles {
            known: 1,
            components: vec!["bearing".into(), "pads".into(), "horn".into()],
            positions: vec!["left".into(), "right".into()],
            events,
            end_day: vec![None],
            ..Vehicles::default()
        }
    }

    fn fates(events: Vec<FleetEvent>, kind: OutcomeKind) -> Vec<Option<(i32, End)>> {
        let (vehicles, parts) = (vehicles(events), parts());
        // What was known on the cut day.
        let mut before = vehicles.clone();
        before.events.retain(|event| known_day(event) <= CUT);
        let starts = PartStarts::new(&parts, &before, CUT);
        let found = Outcomes::new(&vehicles, &parts, kind).fates(0, CUT, (&starts, 0));
        found.into_iter().map(|fate| fate.map(|fate| (fate.day, fate.end))).collect()
    }

    #[test]
    fn the_first_end_counts_and_a_finding_decides() {
        use EventKind::{Failure, Inspection, Outcome, Replacement};
        let found = |event: FleetEvent, finding| FleetEvent { finding: Some(finding), ..event };
        let at = |event: FleetEvent, position| FleetEvent { position: Some(position), ..event };
        let seen = fates(
            vec![
                event(1, Failure, 90),
                event(1, Replacement, 95),
                found(event(1, Failure, 110), Finding::NotFound),
                event(1, Failure, 120),
                event(1, Replacement, 121),
                found(at(event(0, Replacement, 130), 0), Finding::Confirmed),
                found(at(event(0, Replacement, 140), 1), Finding::NotFound),
                event(2, Failure, 105),
            ],
            OutcomeKind::Failures,
        );
        assert_eq!(seen, [Some((130, End::FoundDefective)), Some((140, End::FoundSound)), Some((120, End::Failed))]);
        let seen = fates(
            vec![
                at(event(0, Replacement, 130), 0),
                found(at(event(0, Outcome, 135), 1), Finding::Confirmed),
                at(event(0, Replacement, 140), 1),
                found(event(1, Inspection, 90), Finding::Confirmed),
                event(1, Replacement, 150),
            ],
            OutcomeKind::Failures,
        );
        let without = Some((150, End::Replaced));
        assert_eq!(
            seen,
            [Some((130, End::Replaced)), Some((140, End::FoundDefective)), without],
            "an old look says nothing"
        );
    }

    #[test]
    fn what_was_reported_late_is_still_to_come_and_what_was_known_is_not() {
        use EventKind::{Failure, Replacement};
        let reported = |event: FleetEvent, day| FleetEvent { reported_day: Some(day), ..event };
        let late = fates(vec![reported(event(1, Failure, 98), 120), event(1, Replacement, 121)], OutcomeKind::Failures);
        assert_eq!(late[2], Some((98, End::Failed)));
        let known = fates(vec![reported(event(1, Failure, 98), 100)], OutcomeKind::Failures);
        assert_eq!(known[2], None);
        // A failure reported after its part was replaced was the predecessor's.
        let gone = fates(vec![reported(event(1, Failure, 80), 120), event(1, Replacement, 90)], OutcomeKind::Failures);
        assert_eq!(gone[2], None);
    }

    #[test]
    fn an_event_that_is_not_placed_hides_the_parts_it_may_have_been() {
        use EventKind::{Failure, Replacement};
        let seen = fates(vec![event(0, Failure, 120), event(1, Replacement, 110)], OutcomeKind::Failures);
        let hidden = Some((120, End::NotPlaced));
        assert_eq!(seen, [hidden, hidden, Some((110, End::Replaced))]);
        let seen = fates(vec![event(1, Failure, 105), event(1, Replacement, 110)], OutcomeKind::Replacements);
        assert_eq!(seen, [None, None, Some((110, End::Failed))]);
    }

    #[test]
    fn a_finding_of_the_same_day_decides_too() {
        use EventKind::{Inspection, Outcome, Replacement};
        let found = |kind, day, finding| FleetEvent { finding: Some(finding), ..event(1, kind, day) };
        for kind in [Inspection, Outcome] {
            let same =
                fates(vec![event(1, Replacement, 150), found(kind, 150, Finding::NotFound)], OutcomeKind::Failures);
            assert_eq!(same[2], Some((150, End::FoundSound)));
            let later =
                fates(vec![event(1, Replacement, 150), found(kind, 151, Finding::NotFound)], OutcomeKind::Failures);
            assert_eq!(later[2], Some((150, End::Replaced)), "it may be the next part's");
        }
    }

    #[test]
    fn a_part_fails_once_until_it_is_replaced() {
        use EventKind::{Failure, Replacement};
        let confirmed = |day| FleetEvent { finding: Some(Finding::Confirmed), ..event(1, Replacement, day) };
        let failures = |events: Vec<FleetEvent>, from| {
            let (vehicles, parts) = (vehicles(events), parts());
            Outcomes::new(&vehicles, &parts, OutcomeKind::Failures).failures(0, (from, 200))
        };
        let written_twice =
            vec![event(1, Failure, 110), event(1, Failure, 112), confirmed(112), event(1, Failure, 150)];
        assert_eq!(failures(written_twice.clone(), 101), [(110, 2), (150, 2)]);
        assert_eq!(failures(written_twice, 111), [(150, 2)], "the failure was before");
        assert_eq!(failures(vec![confirmed(120), confirmed(130)], 101), [(120, 2), (130, 2)]);
    }

    #[test]
    fn service_ends_what_has_not_ended() {
        let (mut vehicles, parts) = (vehicles(vec![event(1, EventKind::Failure, 120)]), parts());
        vehicles.end_day = vec![Some(120)];
        let starts = PartStarts::new(&parts, &Vehicles { events: Vec::new(), ..vehicles.clone() }, CUT);
        let fates =
            |vehicles: &Vehicles| Outcomes::new(vehicles, &parts, OutcomeKind::Failures).fates(0, CUT, (&starts, 0));
        let left = |day| Some(Fate { day, end: End::LeftService });
        assert_eq!(fates(&vehicles), [left(120), left(120), Some(Fate { day: 120, end: End::Failed })]);
        let outcomes = Outcomes::new(&vehicles, &parts, OutcomeKind::Failures);
        assert!(outcomes.any() && outcomes.failures(0, (101, 200)) == [(120, 2)]);
        vehicles.end_day = vec![Some(119)];
        assert_eq!(fates(&vehicles), [left(119); 3]);
        let outcomes = Outcomes::new(&vehicles, &parts, OutcomeKind::Replacements);
        assert!(!outcomes.any() && outcomes.failures(0, (101, 200)).is_empty());
    }
}
