//! Parts: what a replacement restarts, and since when each part of each vehicle runs.
//!
//! A part is a component at a position of a vehicle, as the model names them. A failure mode with positions has one
//! part a position, one without has a single part. Several modes of one component share its parts.
//!
//! A part runs since its last replacement on or before the as-of day. A replacement of a component restarts the part
//! at the event's position and every part of the component that has no position. A replacement that does not say
//! which of several positions it concerns restarts none of them: taking a worn part for a new one would hide a
//! warning, the other way round only costs one. It is counted and the vehicle's parts in question are flagged.
//!
//! Units: days of the dataset's axis ([`crate::fleet::time`]).

use crate::fleet::vehicles::{EventKind, Vehicles};
use crate::model::spec::Model;

/// What a replacement restarts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Part {
    pub component: String,
    pub position: Option<String>,
}

/// One row that every vehicle has in the scores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScoreRow {
    /// Index into the model's failure modes.
    pub mode: usize,
    /// Index into [`Parts::parts`].
    pub part: usize,
}

/// The parts of a model and the rows of a vehicle.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parts {
    /// Sorted by (component, position), each once.
    pub parts: Vec<Part>,
    /// Sorted by (id of the mode, position), the order of the scores.
    pub rows: Vec<ScoreRow>,
}

/// What is needed of a failure mode to know its parts.
#[derive(Clone, Copy, Debug)]
pub struct ModeParts<'a> {
    pub id: &'a str,
    pub component: &'a str,
    pub positions: &'a [String],
}

impl Parts {
    /// Those of a model's failure modes.
    pub fn of(model: &Model) -> Self {
        let modes = model.modes.iter();
        let modes =
            modes.map(|mode| ModeParts { id: &mode.id, component: &mode.component, positions: &mode.positions });
        Self::new(&modes.collect::<Vec<_>>())
    }

    pub fn new(modes: &[ModeParts]) -> Self {
        let mut named: Vec<(&str, Option<&str>, usize, Part)> = Vec::new();
        for (index, mode) in modes.iter().enumerate() {
            let part = |position: Option<&String>| Part {
                component: mode.component.to_owned(),
                position: position.map(String::to_owned),
            };
            if mode.positions.is_empty() {
                named.push((mode.id, None, index, part(None)));
            }
            for position in mode.positions {
                named.push((mode.id, Some(position), index, part(Some(position))));
            }
        }
        named.sort();
        let mut parts: Vec<Part> = named.iter().map(|(_, _, _, part)| part.clone()).collect();
        parts.sort();
        parts.dedup();
        let rows = named
            .iter()
            .map(|(_, _, mode, part)| ScoreRow { mode: *mode, part: parts.binary_search(part).unwrap_or(0) })
            .collect();
        Self { parts, rows }
    }

    /// By component of the events table: its parts, each with the code of its position there. A position that no event
    /// names gets a code of its own.
    pub fn by_component(&self, vehicles: &Vehicles) -> Vec<Vec<(u32, Option<u32>)>> {
        let of_component = |component: &String| {
            let own = self.parts.iter().enumerate().filter(|(_, part)| &part.component == component);
            own.map(|(index, part)| (index as u32, position_code(part, vehicles))).collect()
        };
        vehicles.components.iter().map(of_component).collect()
    }
}

/// When a part was last replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartStart {
    /// Index into [`Parts::parts`].
    pub part: u32,
    /// Day of the replacement: records with a later time count for the new part.
    pub day: i32,
}

/// Since when the parts of the known vehicles run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PartStarts {
    /// `starts[first[v] .. first[v + 1]]` are those of vehicle `v`, by rising part. Parts without one are original
    /// or unknown.
    first: Vec<u32>,
    starts: Vec<PartStart>,
    /// (vehicle, part) where a later replacement did not say whether it was this part, sorted.
    not_placed: Vec<(u32, u32)>,
    /// Replacement events of the model's components that name no position, or one that the model does not know.
    pub events_not_placed: u64,
    /// Replacement events on or before the as-of day that restarted a part.
    pub events_placed: u64,
}

impl PartStarts {
    /// Reads the events table once. Events after `as_of_day` do not count.
    pub fn new(parts: &Parts, vehicles: &Vehicles, as_of_day: i32) -> Self {
        let by_component = parts.by_component(vehicles);
        let mut result = Self { first: Vec::with_capacity(vehicles.known + 1), ..Self::default() };
        let mut latest: Vec<Option<i32>> = vec![None; parts.parts.len()];
        let mut latest_not_placed = latest.clone();
        let mut events = vehicles.events.iter().peekable();
        for vehicle in 0..vehicles.known as u32 {
            result.first.push(result.starts.len() as u32);
            latest.fill(None);
            latest_not_placed.fill(None);
            while let Some(event) = events.next_if(|event| event.vehicle <= vehicle) {
                if event.vehicle != vehicle || event.kind != EventKind::Replacement || event.occurred_day > as_of_day {
                    continue;
                }
                let Some(candidates) = by_component.get(event.component as usize) else { continue };
                let mut placed = false;
                for &(part, position) in candidates {
                    if position.is_none() || position == event.position {
                        latest[part as usize] = latest[part as usize].max(Some(event.occurred_day));
                        placed = true;
                    }
                }
                if placed {
                    result.events_placed += 1;
                } else if !candidates.is_empty() {
                    result.events_not_placed += 1;
                    for &(part, _) in candidates {
                        latest_not_placed[part as usize] =
                            latest_not_placed[part as usize].max(Some(event.occurred_day));
                    }
                }
            }
            for (part, day) in latest.iter().enumerate() {
                if let Some(day) = *day {
                    result.starts.push(PartStart { part: part as u32, day });
                }
                if latest_not_placed[part] > *day {
                    result.not_placed.push((vehicle, part as u32));
                }
            }
        }
        result.first.push(result.starts.len() as u32);
        result
    }

    /// Starts of one vehicle, by rising part; none for a vehicle that only the histories know.
    pub fn of(&self, vehicle: usize) -> &[PartStart] {
        match (self.first.get(vehicle), self.first.get(vehicle + 1)) {
            (Some(&from), Some(&to)) => &self.starts[from as usize..to as usize],
            _ => &[],
        }
    }

    /// The day on which this part of this vehicle was put in, if the events say.
    pub fn day(&self, vehicle: usize, part: usize) -> Option<i32> {
        self.of(vehicle).iter().find(|start| start.part as usize == part).map(|start| start.day)
    }

    /// Whether a replacement later than the part's start may have been of this part.
    pub fn is_doubtful(&self, vehicle: usize, part: usize) -> bool {
        self.not_placed.binary_search(&(vehicle as u32, part as u32)).is_ok()
    }
}

fn position_code(part: &Part, vehicles: &Vehicles) -> Option<u32> {
    let position = part.position.as_ref()?;
    let code = vehicles.positions.iter().position(|name| name == position);
    Some(code.map_or(u32::MAX, |code| code as u32))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::vehicles::FleetEvent;

    fn event(vehicle: u32, component: u32, position: Option<u32>, kind: EventKind, occurred_day: i32) -> FleetEvent {
        FleetEvent { position, ..FleetEvent::bare(vehicle, component, kind, occurred_day) }
    }

    fn bearing_and_pads() -> Parts {
        let positions = ["front_right".to_owned(), "front_left".to_owned()];
        Parts::new(&[
            ModeParts { id: "wear", component: "pads", positions: &[] },
            ModeParts { id: "noise", component: "bearing", positions: &positions },
            ModeParts { id: "crack", component: "bearing", positions: &[] },
        ])
    }

    #[test]
    fn rows_stand_in_the_order_of_the_scores() {
        let parts = bearing_and_pads();
        let named: Vec<_> = parts
            .rows
            .iter()
            .map(|row| (row.mode, parts.parts[row.part].component.as_str(), parts.parts[row.part].position.as_deref()))
            .collect();
        assert_eq!(
            named,
            [
                (2, "bearing", None),
                (1, "bearing", Some("front_left")),
                (1, "bearing", Some("front_right")),
                (0, "pads", None)
            ]
        );
    }

    #[test]
    fn the_last_replacement_on_or_before_as_of_starts_a_part() {
        let parts = bearing_and_pads();
        let vehicles = Vehicles {
            known: 3,
            components: vec!["bearing".into(), "horn".into(), "pads".into()],
            positions: vec!["rear".into(), "front_left".into()],
            events: vec![
                event(0, 2, None, EventKind::Replacement, 10),
                event(0, 2, Some(0), EventKind::Replacement, 20),
                event(0, 2, None, EventKind::Failure, 25),
                event(0, 2, None, EventKind::Replacement, 31),
                event(2, 0, Some(1), EventKind::Replacement, 30),
                event(2, 1, None, EventKind::Replacement, 30),
            ],
            ..Vehicles::default()
        };
        let starts = PartStarts::new(&parts, &vehicles, 30);
        let index = |component: &str, position: Option<&str>| {
            let part = Part { component: component.into(), position: position.map(str::to_owned) };
            parts.parts.binary_search(&part).unwrap()
        };
        assert_eq!(starts.day(0, index("pads", None)), Some(20), "position is ignored where the mode has none");
        assert_eq!(starts.of(1), &[]);
        assert_eq!(starts.day(2, index("bearing", Some("front_left"))), Some(30));
        assert_eq!(starts.day(2, index("bearing", Some("front_right"))), None);
        assert_eq!(starts.day(2, index("bearing", None)), Some(30));
        assert_eq!(starts.of(7), &[]);
        assert_eq!((starts.events_placed, starts.events_not_placed), (3, 0));
    }

    #[test]
    fn a_replacement_without_a_position_restarts_nothing_and_is_flagged() {
        let positions = ["left".to_owned(), "right".to_owned()];
        let parts = Parts::new(&[ModeParts { id: "noise", component: "bearing", positions: &positions }]);
        let vehicles = Vehicles {
            known: 2,
            components: vec!["bearing".into()],
            positions: vec!["left".into(), "roof".into()],
            events: vec![
                event(0, 0, None, EventKind::Replacement, 10),
                event(0, 0, Some(1), EventKind::Replacement, 12),
                event(0, 0, Some(0), EventKind::Replacement, 12),
            ],
            ..Vehicles::default()
        };
        let starts = PartStarts::new(&parts, &vehicles, 99);
        assert_eq!(starts.of(0), &[PartStart { part: 0, day: 12 }]);
        assert!(!starts.is_doubtful(0, 0), "the left one was replaced for sure on the same day");
        assert!(starts.is_doubtful(0, 1));
        assert!(!starts.is_doubtful(1, 1));
        assert_eq!(starts.events_not_placed, 2);
    }
}
