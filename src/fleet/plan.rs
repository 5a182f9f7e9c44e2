//! The planner: from the statistics of row groups to one of three ways to read.
//!
//! Statistics only decide how to read, never what comes out: each way notices rows that are not where the statistics
//! promised them, and then the scan starts over by spilling, which assumes nothing.

use super::chunk::Order;
use super::scan::ScanKind;

/// A vehicle id as statistics hold it. Text compares bytewise, as Parquet's statistics do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum VehicleId {
    Integer(i64),
    Text(Vec<u8>),
}

/// What statistics say about a column of a row group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Bounds<T> {
    Unknown,
    /// Nothing but nulls.
    Empty,
    /// Every value lies between these; they need not occur.
    Within(T, T),
}

/// A row group that has rows.
#[derive(Clone, Debug)]
pub(crate) struct RowGroup {
    /// Index into the scan's files.
    pub file: usize,
    pub index: usize,
    pub rows: u64,
    pub vehicles: Bounds<VehicleId>,
    pub ticks: Bounds<i32>,
}

/// How to read, with the row groups in the order to read them.
#[derive(Clone, Debug)]
pub(crate) enum Plan {
    ByVehicle { row_groups: Vec<RowGroup>, seams: Vec<Seam> },
    ByTime { slices: Vec<Slice> },
    Spill { row_groups: Vec<RowGroup> },
}

/// A vehicle at the boundary of neighbouring row groups, which may all have rows of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seam {
    pub vehicle: VehicleId,
    /// Positions in the plan's row groups.
    pub row_groups: Vec<usize>,
}

/// Row groups whose times overlap one another but no other slice's.
#[derive(Clone, Debug)]
pub(crate) struct Slice {
    pub row_groups: Vec<RowGroup>,
    pub first_tick: i32,
    pub last_tick: i32,
    pub rows: u64,
}

impl Slice {
    /// Whether all its rows have the same time, so that a vehicle has one that counts.
    pub fn is_one_tick(&self) -> bool {
        self.first_tick == self.last_tick
    }
}

impl Plan {
    pub fn kind(&self) -> ScanKind {
        match self {
            Plan::ByVehicle { .. } => ScanKind::ByVehicle,
            Plan::ByTime { .. } => ScanKind::ByTime,
            Plan::Spill { .. } => ScanKind::Spill,
        }
    }

    /// Picks the cheapest way that the statistics allow, or the one that is asked for if it can work at all.
    /// `slice_rows` is what fits into memory at once; nothing is read by time for a consumer of whole vehicles.
    pub fn pick(
        row_groups: Vec<RowGroup>,
        wanted: Option<ScanKind>,
        order: Order,
        slice_rows: u64,
        reversed: bool,
    ) -> Self {
        let disjoint = in_vehicle_order(&row_groups);
        let slices = in_time_slices(&row_groups).filter(|_| order != Order::WholeVehicles);
        let slices = slices.filter(|slices| slices.iter().all(|slice| slice.rows <= slice_rows));
        // One slice of many times would be sorted by one thread; partitions are sorted by all.
        let slices =
            slices.filter(|slices| wanted.is_some() || slices.len() != 1 || slices.iter().all(Slice::is_one_tick));
        // A single row group of unknown order is tried as clustered: if it is not, little was done in vain.
        let hopeful = row_groups.len() <= 1 || wanted == Some(ScanKind::ByVehicle);
        let mut plan = match (wanted, disjoint, slices) {
            (None | Some(ScanKind::ByVehicle), Some(order), _) => {
                let row_groups: Vec<RowGroup> =
                    order.into_iter().map(|position| row_groups[position].clone()).collect();
                Plan::ByVehicle { seams: Vec::new(), row_groups }
            }
            (None | Some(ScanKind::ByVehicle), None, _) if hopeful => Plan::ByVehicle { row_groups, seams: Vec::new() },
            (None | Some(ScanKind::ByTime), _, Some(slices)) => Plan::ByTime { slices },
            _ => Plan::Spill { row_groups },
        };
        if reversed {
            plan.reverse();
        }
        if let Plan::ByVehicle { row_groups, seams } = &mut plan {
            *seams = find_seams(row_groups);
        }
        plan
    }

    fn reverse(&mut self) {
        match self {
            Plan::ByVehicle { row_groups, .. } | Plan::Spill { row_groups } => row_groups.reverse(),
            // Slices stay in the order of time, which a consumer may have asked for.
            Plan::ByTime { slices } => slices.iter_mut().for_each(|slice| slice.row_groups.reverse()),
        }
    }
}

/// Positions of the row groups in the order of their vehicles, if no two share more than a vehicle at the boundary.
fn in_vehicle_order(row_groups: &[RowGroup]) -> Option<Vec<usize>> {
    let mut ranges = Vec::with_capacity(row_groups.len());
    let mut without = Vec::new();
    for (position, row_group) in row_groups.iter().enumerate() {
        match &row_group.vehicles {
            Bounds::Within(low, high) => ranges.push((low, high, position)),
            Bounds::Empty => without.push(position),
            Bounds::Unknown => return None,
        }
    }
    ranges.sort_unstable();
    let disjoint = ranges.windows(2).all(|pair| pair[0].1 <= pair[1].0);
    disjoint.then(|| ranges.iter().map(|range| range.2).chain(without).collect())
}

/// The vehicles that bound more than one row group.
fn find_seams(row_groups: &[RowGroup]) -> Vec<Seam> {
    let mut touches: std::collections::BTreeMap<&VehicleId, Vec<usize>> = std::collections::BTreeMap::new();
    for (position, row_group) in row_groups.iter().enumerate() {
        if let Bounds::Within(low, high) = &row_group.vehicles {
            touches.entry(low).or_default().push(position);
            if high != low {
                touches.entry(high).or_default().push(position);
            }
        }
    }
    let shared = touches.into_iter().filter(|(_, row_groups)| row_groups.len() > 1);
    shared.map(|(vehicle, row_groups)| Seam { vehicle: vehicle.clone(), row_groups }).collect()
}

/// Slices in the order of time, if all times are known.
fn in_time_slices(row_groups: &[RowGroup]) -> Option<Vec<Slice>> {
    let mut timed = Vec::with_capacity(row_groups.len());
    let mut slices: Vec<Slice> = Vec::new();
    for (position, row_group) in row_groups.iter().enumerate() {
        match row_group.ticks {
            Bounds::Within(first, last) => timed.push((first, last, position)),
            // Its rows are counted, and that is all.
            Bounds::Empty => slices.push(Slice {
                row_groups: vec![row_group.clone()],
                first_tick: i32::MIN,
                last_tick: i32::MIN,
                rows: row_group.rows,
            }),
            Bounds::Unknown => return None,
        }
    }
    timed.sort_unstable();
    let before = slices.len();
    for (first, last, position) in timed {
        let row_group = row_groups[position].clone();
        match slices[before..].last_mut() {
            Some(slice) if first <= slice.last_tick => {
                slice.last_tick = slice.last_tick.max(last);
                slice.rows += row_group.rows;
                slice.row_groups.push(row_group);
            }
            _ => slices.push(Slice {
                rows: row_group.rows,
                row_groups: vec![row_group],
                first_tick: first,
                last_tick: last,
            }),
        }
    }
    Some(slices)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row_group(index: usize, vehicles: (i64, i64), ticks: (i32, i32)) -> RowGroup {
        let vehicles = Bounds::Within(VehicleId::Integer(vehicles.0), VehicleId::Integer(vehicles.1));
        RowGroup { file: 0, index, rows: 10, vehicles, ticks: Bounds::Within(ticks.0, ticks.1) }
    }

    fn order(plan: &Plan) -> Vec<usize> {
        match plan {
            Plan::ByVehicle { row_groups, .. } | Plan::Spill { row_groups } => {
                row_groups.iter().map(|row_group| row_group.index).collect()
            }
            Plan::ByTime { slices } => {
                slices.iter().flat_map(|slice| &slice.row_groups).map(|row_group| row_group.index).collect()
            }
        }
    }

    #[test]
    fn neighbours_may_share_the_vehicle_at_their_boundary() {
        let row_groups = vec![
            row_group(0, (7, 9), (0, 9)),
            row_group(1, (1, 4), (0, 9)),
            row_group(2, (4, 4), (0, 9)),
            row_group(3, (4, 7), (0, 9)),
        ];
        let plan = Plan::pick(row_groups.clone(), None, Order::Any, 1000, false);
        assert_eq!(plan.kind(), ScanKind::ByVehicle);
        assert_eq!(order(&plan), [1, 2, 3, 0]);
        let Plan::ByVehicle { seams, .. } = plan else { panic!("by vehicle") };
        let expected = [(4, vec![0, 1, 2]), (7, vec![2, 3])]
            .map(|(vehicle, row_groups)| Seam { vehicle: VehicleId::Integer(vehicle), row_groups });
        assert_eq!(seams, expected);
        assert_eq!(order(&Plan::pick(row_groups, None, Order::Any, 1000, true)), [0, 3, 2, 1]);
    }

    #[test]
    fn overlapping_vehicles_are_read_by_time_and_overlapping_times_in_one_slice() {
        let row_groups = vec![
            row_group(0, (1, 9), (5, 6)),
            row_group(1, (1, 9), (0, 1)),
            row_group(2, (1, 9), (6, 8)),
            row_group(3, (1, 9), (2, 2)),
        ];
        let plan = Plan::pick(row_groups.clone(), None, Order::Any, 1000, false);
        let Plan::ByTime { slices } = &plan else { panic!("by time") };
        assert_eq!(order(&plan), [1, 3, 0, 2]);
        assert_eq!(slices.iter().map(|slice| slice.rows).collect::<Vec<_>>(), [10, 10, 20]);
        assert_eq!((slices[2].first_tick, slices[2].last_tick), (5, 8));
        let whole = Plan::pick(row_groups.clone(), Some(ScanKind::ByTime), Order::WholeVehicles, 1000, false);
        assert_eq!(whole.kind(), ScanKind::Spill, "whole vehicles cannot be read by time");
        // One row more than fits at once.
        assert_eq!(Plan::pick(row_groups, None, Order::Any, 19, false).kind(), ScanKind::Spill);
    }

    #[test]
    fn without_statistics_only_a_single_row_group_is_trusted_for_a_try() {
        let unknown =
            |index| RowGroup { vehicles: Bounds::Unknown, ticks: Bounds::Unknown, ..row_group(index, (0, 0), (0, 0)) };
        assert_eq!(Plan::pick(vec![unknown(0)], None, Order::Any, 1000, false).kind(), ScanKind::ByVehicle);
        assert_eq!(Plan::pick(vec![unknown(0), unknown(1)], None, Order::Any, 1000, false).kind(), ScanKind::Spill);
        assert_eq!(Plan::pick(Vec::new(), None, Order::Any, 1000, false).kind(), ScanKind::ByVehicle);
    }
}
