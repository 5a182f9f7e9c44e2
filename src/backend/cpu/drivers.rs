//! Driver sums on the host: per vehicle and (group, input), the sum of the driver rows of its records. Only the lanes
//! that the model uses have a column ([`GroupInput::driver_lanes`]): of eight lanes hardly two are in use, and these
//! sums are most of what a fleet takes in memory.
//!
//! A run of one vehicle's records is summed in `i32` lanes for at most [`DRIVER_RECORDS`] records (they cannot
//! overflow: an entry is at most 2^24, checked when the backend is opened), then widened to `i64`.
//! Twin: `shaders/drivers.wgsl`.

use super::damage::Stretch;
use super::ranges::RANGE_ROWS;
use super::tables::{Group, Input};
use crate::backend::gate::DRIVER_RECORDS;
use crate::model::tables::GROUP_LANES;
#[cfg(doc)]
use crate::model::tables::GroupInput;
use crate::model::tables::Lanes;

/// Sums of the vehicles of one range: for every vehicle, groups in order, inputs in order, the lanes in use.
pub struct VehicleSums {
    width: usize,
    pub sums: Vec<i64>,
}

impl VehicleSums {
    pub fn new(width: usize) -> Self {
        Self { width, sums: vec![0; RANGE_ROWS * width] }
    }

    /// Adds what was summed aside for the same range.
    pub fn merge(&mut self, other: &Self) {
        self.sums.iter_mut().zip(&other.sums).for_each(|(sum, other)| *sum = sum.wrapping_add(*other));
    }
}

/// Adds the driver rows of the stretch (rows whose vehicles share a range) for all groups.
pub fn add_driver_rows(groups: &[Group], stretch: &Stretch, sums: &mut VehicleSums) {
    add_runs(groups, stretch, sums, |input, codes| {
        let mut run = [0i32; GROUP_LANES];
        for code in codes {
            for (sum, entry) in run.iter_mut().zip(&input.driver_row(*code).0) {
                *sum += entry;
            }
        }
        run
    });
}

/// Cuts the stretch into runs of one vehicle, at most [`DRIVER_RECORDS`] long, and adds what `sum_rows` makes of each
/// run and input.
#[inline(always)]
pub fn add_runs(
    groups: &[Group],
    stretch: &Stretch,
    sums: &mut VehicleSums,
    sum_rows: impl Fn(&Input, &[u16]) -> Lanes,
) {
    let vehicles = &stretch.batch.vehicle()[..stretch.rows.end];
    let columns = stretch.batch.codes();
    let mut start = stretch.rows.start;
    while start < vehicles.len() {
        let vehicle = vehicles[start];
        let limit = vehicles.len().min(start + DRIVER_RECORDS);
        let run = vehicles[start..limit].iter().position(|other| *other != vehicle).unwrap_or(limit - start);
        let first = (vehicle as usize & (RANGE_ROWS - 1)) * sums.width;
        let mut totals = sums.sums[first..first + sums.width].iter_mut();
        for input in groups.iter().flat_map(|group| &group.inputs) {
            let run_sums = sum_rows(input, &columns[input.column][start..start + run]);
            for (&lane, total) in input.driver_lanes.iter().zip(totals.by_ref()) {
                *total = total.wrapping_add(i64::from(run_sums[lane]));
            }
        }
        start += run;
    }
}
