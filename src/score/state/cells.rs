//! Moving boundaries: from the stretches of time that the state holds sums of to tonight's slots.
//!
//! A stored *segment* is a vehicle's time between two boundaries of the night it was stored. Where a boundary is gone,
//! segments fall into one slot and add up. Where a new one cuts a segment, its sums are known only as a whole: all
//! but one of the pieces become *cells*, which are summed anew from packed records, and the piece left over, the
//! *rest*, is the segment less its cells (clocks wrap, so this is exact). A cell must lie where every record is still
//! in the log; where two pieces reach further back, the vehicle is formed anew from its histories.
//!
//! The rest is the piece that would be the longest to sum: as the recent window moves by a day, one day is summed and
//! ninety are not. Units: ticks of the dataset's axis; a vehicle's number in the state is its *ordinal*.

use std::ops::Range;

use crate::score::slots::SlotPlan;
use crate::score::tally::SlotTally;

/// The stored segments of all vehicles, by ordinal.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Segments {
    /// First segment of each vehicle, and the number of all segments.
    pub base: Vec<u32>,
    /// Last tick of each boundary, rising; those of vehicle `v` begin at `base[v] - v`.
    pub boundary_ticks: Vec<i32>,
}

impl Segments {
    pub fn vehicles(&self) -> usize {
        self.base.len().saturating_sub(1)
    }

    pub fn of(&self, ordinal: usize) -> Range<usize> {
        self.base[ordinal] as usize..self.base[ordinal + 1] as usize
    }

    /// Boundaries between the segments of a vehicle.
    pub fn boundaries(&self, ordinal: usize) -> &[i32] {
        let segments = self.of(ordinal);
        &self.boundary_ticks[segments.start - ordinal..segments.end - ordinal - 1]
    }

    /// Appends a vehicle with these boundaries.
    pub fn push(&mut self, boundaries: &[i32]) {
        let first = self.base.last().copied().unwrap_or_else(|| {
            self.base.push(0);
            0
        });
        self.base.push(first + boundaries.len() as u32 + 1);
        self.boundary_ticks.extend_from_slice(boundaries);
    }
}

/// A piece of a stored segment that is summed from packed records and moved from the slot of the rest to its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    /// First and last tick, both included.
    pub from_tick: i32,
    pub to_tick: i32,
    /// The segment it is cut from.
    pub segment: u32,
    /// Tonight's slot of its records.
    pub slot: u32,
}

/// What is to be done to lay stored segments over tonight's slots.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mapping {
    /// Tonight's slot of each stored segment, or of its rest. `u32::MAX`: the vehicle is not in tonight's fleet.
    pub slot_of_segment: Vec<u32>,
    /// Sorted by (ordinal, from tick); disjoint.
    pub cells: Vec<Cell>,
    /// First cell of each vehicle, and the number of all cells.
    pub first_cell: Vec<u32>,
    /// Ordinals of vehicles that must be formed anew from their histories.
    pub uncovered: Vec<u32>,
}

/// No vehicle index.
pub const ABSENT: u32 = u32::MAX;

impl Mapping {
    /// `index[ordinal]` is tonight's vehicle index ([`ABSENT`] if it has none), `tally` that of the stored segments.
    /// Every stored record with a tick of `covered_from` or later is in the log.
    pub fn new(segments: &Segments, tally: &[SlotTally], index: &[u32], plan: &SlotPlan, covered_from: i32) -> Self {
        let mut mapping = Self {
            slot_of_segment: vec![ABSENT; tally.len()],
            first_cell: Vec::with_capacity(segments.vehicles() + 1),
            ..Self::default()
        };
        mapping.first_cell.push(0);
        for (ordinal, &vehicle) in index.iter().enumerate().take(segments.vehicles()) {
            if vehicle != ABSENT {
                mapping.add_vehicle(ordinal, segments, tally, plan.boundaries(vehicle as usize), covered_from);
            }
            mapping.first_cell.push(mapping.cells.len() as u32);
        }
        mapping
    }

    /// The cells of a vehicle, by rising time.
    pub fn cells_of(&self, ordinal: usize) -> Range<usize> {
        self.first_cell[ordinal] as usize..self.first_cell[ordinal + 1] as usize
    }

    /// Those cut from one of its segments.
    pub fn cells_of_segment(&self, ordinal: usize, segment: usize) -> impl Iterator<Item = usize> {
        self.cells_of(ordinal).filter(move |&cell| self.cells[cell].segment as usize == segment)
    }

    /// The cell that a record of a vehicle falls into.
    #[inline]
    pub fn cell_at(&self, ordinal: usize, tick: i32) -> Option<u32> {
        let mut cells = self.cells_of(ordinal);
        cells
            .find(|&cell| self.cells[cell].from_tick <= tick && tick <= self.cells[cell].to_tick)
            .map(|cell| cell as u32)
    }

    fn add_vehicle(
        &mut self,
        ordinal: usize,
        segments: &Segments,
        tally: &[SlotTally],
        (first_slot, boundaries): (u32, &[i32]),
        covered_from: i32,
    ) {
        let cells_before = self.cells.len();
        for segment in segments.of(ordinal) {
            let held = &tally[segment];
            if held.records == 0 {
                self.slot_of_segment[segment] = first_slot;
                continue;
            }
            let lowest = boundaries.partition_point(|&boundary| boundary < held.first_tick);
            let highest = boundaries.partition_point(|&boundary| boundary < held.last_tick);
            self.slot_of_segment[segment] = first_slot + lowest as u32;
            if lowest == highest {
                continue;
            }
            let piece = |slot: usize| {
                let from = if slot == lowest { held.first_tick } else { boundaries[slot - 1].saturating_add(1) };
                let to = if slot == highest { held.last_tick } else { boundaries[slot] };
                (from, to)
            };
            let uncovered = (lowest..=highest).filter(|&slot| piece(slot).0 < covered_from).count();
            let rest = match uncovered {
                0 => (lowest..=highest).max_by_key(|&slot| {
                    let (from, to) = piece(slot);
                    i64::from(to) - i64::from(from)
                }),
                1 => Some(lowest),
                _ => {
                    self.uncovered.push(ordinal as u32);
                    self.cells.truncate(cells_before);
                    break;
                }
            };
            for slot in lowest..=highest {
                if Some(slot) == rest {
                    self.slot_of_segment[segment] = first_slot + slot as u32;
                } else {
                    let (from_tick, to_tick) = piece(slot);
                    let slot = first_slot + slot as u32;
                    self.cells.push(Cell { from_tick, to_tick, segment: segment as u32, slot });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::time::TimeAxis;
    use crate::score::parts::PartStarts;

    const COVERED_FROM: i32 = 880;

    /// A plan of vehicles without parts: one boundary, the recent day.
    fn plan(recent_day: i32) -> SlotPlan {
        SlotPlan::new(TimeAxis::Days, recent_day + 90, 1, &PartStarts::default()).unwrap()
    }

    fn held(first_tick: i32, last_tick: i32) -> SlotTally {
        SlotTally { records: 2, first_tick, last_tick }
    }

    fn map(boundaries: &[i32], tally: &[SlotTally], recent_day: i32) -> Mapping {
        let mut segments = Segments::default();
        segments.push(boundaries);
        Mapping::new(&segments, tally, &[0], &plan(recent_day), COVERED_FROM)
    }

    #[test]
    fn the_window_moves_by_the_days_it_leaves() {
        let mapping = map(&[900], &[held(100, 900), held(901, 990)], 901);
        assert_eq!(mapping.slot_of_segment, [0, 1]);
        assert_eq!(mapping.cells, [Cell { from_tick: 901, to_tick: 901, segment: 1, slot: 0 }]);
        assert_eq!((mapping.cell_at(0, 900), mapping.cell_at(0, 901), mapping.cell_at(0, 902)), (None, Some(0), None));
        let mapping = map(&[900], &[held(100, 900), held(901, 990)], 985);
        assert_eq!(mapping.slot_of_segment, [0, 0], "the longer piece is the rest");
        assert_eq!(mapping.cells, [Cell { from_tick: 986, to_tick: 990, segment: 1, slot: 1 }]);
    }

    #[test]
    fn boundaries_that_cut_nothing_need_no_cells() {
        for (recent, slots) in [(900, [0, 1]), (990, [0, 0]), (1200, [0, 0]), (99, [1, 1])] {
            let mapping = map(&[900], &[held(100, 900), held(901, 990)], recent);
            assert_eq!((mapping.slot_of_segment, mapping.cells), (slots.to_vec(), vec![]), "recent day {recent}");
        }
        let mapping = map(&[900], &[held(100, 900), SlotTally::EMPTY], 901);
        assert_eq!((mapping.slot_of_segment[0], mapping.cells.len()), (0, 0));
    }

    #[test]
    fn what_is_older_than_the_log_can_only_be_the_rest() {
        let mapping = map(&[950], &[held(100, 940), held(951, 990)], 900);
        assert_eq!(mapping.cells, [Cell { from_tick: 901, to_tick: 940, segment: 0, slot: 1 }]);
        assert_eq!(mapping.slot_of_segment, [0, 1]);
        let mapping = map(&[950], &[held(878, 940), held(951, 990)], 879);
        assert_eq!((mapping.uncovered.len(), mapping.cells[0].from_tick), (0, 880));
        let mapping = map(&[950], &[held(878, 940), held(951, 990)], 878);
        assert_eq!((mapping.uncovered, mapping.cells), (vec![0], vec![]), "both pieces reach behind the log");
    }

    #[test]
    fn absent_vehicles_and_vehicles_behind_them() {
        let mut segments = Segments::default();
        segments.push(&[]);
        segments.push(&[900]);
        let mapping = Mapping::new(&segments, &[held(1, 2), held(3, 4), held(901, 990)], &[ABSENT, 0], &plan(901), 0);
        assert_eq!(mapping.slot_of_segment, [ABSENT, 0, 1]);
        assert_eq!((mapping.cells_of(0), mapping.cells_of(1)), (0..0, 0..1));
        assert_eq!(segments.boundaries(0), &[] as &[i32]);
        assert_eq!(segments.boundaries(1), &[900]);
        assert_eq!(Segments::default().vehicles(), 0);
    }

    /// Every stored record lies in exactly one of: the rest's slot, one cell. Tried on all small layouts.
    #[test]
    fn pieces_cover_each_record_once() {
        for stored in 1..12 {
            for recent in 0..12 {
                for last in stored + 1..12 {
                    let mut segments = Segments::default();
                    segments.push(&[stored]);
                    let tally = [held(0, stored), held(stored + 1, last)];
                    let plan = plan(recent);
                    let mapping = Mapping::new(&segments, &tally, &[0], &plan, 0);
                    for tick in 0..=last {
                        let segment = usize::from(tick > stored);
                        let slot = u32::from(tick > recent);
                        let in_cells: Vec<&Cell> = mapping
                            .cells
                            .iter()
                            .filter(|cell| (cell.from_tick..=cell.to_tick).contains(&tick))
                            .collect();
                        match in_cells[..] {
                            [] => assert_eq!(mapping.slot_of_segment[segment], slot),
                            [cell] => assert_eq!((cell.slot, cell.segment as usize), (slot, segment)),
                            _ => panic!("cells overlap at {tick}"),
                        }
                    }
                }
            }
        }
    }
}
