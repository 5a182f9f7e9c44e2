//! Vehicles by dense index, their attributes, and the events table. No result depends on the index.

/// The vehicle ids of a dataset, in index order. One dataset has ids of one type.
#[derive(Clone, Debug, PartialEq)]
pub enum Ids {
    Integer(Vec<i64>),
    Text(Vec<String>),
}

impl Ids {
    pub fn len(&self) -> usize {
        match self {
            Ids::Integer(ids) => ids.len(),
            Ids::Text(ids) => ids.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A vehicle attribute, dictionary-encoded.
#[derive(Clone, Debug, PartialEq)]
pub struct Attribute {
    pub name: String,
    pub values: Vec<String>,
    /// Index into `values` by vehicle index; `u32::MAX`: missing.
    pub code: Vec<u32>,
}

/// The vehicles and events tables, read whole before the histories. Vehicles that only the histories know get
/// indices from `known` on, without attributes or events.
#[derive(Clone, Debug, Default)]
pub struct Vehicles {
    /// Number of vehicles in the vehicles and events tables.
    pub known: usize,
    pub attributes: Vec<Attribute>,
    /// Days (see [`super::time`]) by vehicle index; `None`: missing.
    pub build_day: Vec<Option<i32>>,
    pub sale_day: Vec<Option<i32>>,
    pub end_day: Vec<Option<i32>>,
    /// Sorted by (vehicle, occurred day, component, position, kind).
    pub events: Vec<FleetEvent>,
    /// What each of the events cost, in the table's own money; NaN: not stated. Empty where none states it.
    pub event_costs: Vec<f64>,
    /// Names that [`FleetEvent::component`] and [`FleetEvent::position`] index.
    pub components: Vec<String>,
    pub positions: Vec<String>,
}

impl Vehicles {
    /// The day on which a vehicle was sold, or built where that is all that is known.
    pub fn in_service_day(&self, vehicle: usize) -> Option<i32> {
        day_of(&self.sale_day, vehicle).or(day_of(&self.build_day, vehicle))
    }
}

/// A vehicle's day in one of the columns of [`Vehicles`]; `None` also for a vehicle that only the histories know.
pub fn day_of(days: &[Option<i32>], vehicle: usize) -> Option<i32> {
    days.get(vehicle).copied().flatten()
}

/// One row of the events table, duplicates removed.
#[derive(Clone, Debug, PartialEq)]
pub struct FleetEvent {
    pub vehicle: u32,
    pub component: u32,
    pub position: Option<u32>,
    pub kind: EventKind,
    pub occurred_day: i32,
    pub reported_day: Option<i32>,
    pub finding: Option<Finding>,
}

#[cfg(test)]
impl FleetEvent {
    /// An event of which nothing is known but what it was and when.
    pub fn bare(vehicle: u32, component: u32, kind: EventKind, occurred_day: i32) -> Self {
        Self { vehicle, component, position: None, kind, occurred_day, reported_day: None, finding: None }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EventKind {
    Failure,
    Replacement,
    Inspection,
    Outcome,
}

/// What the workshop found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    Confirmed,
    NotFound,
}
