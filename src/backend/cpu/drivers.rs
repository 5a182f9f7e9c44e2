//! Driver sums on the host: per vehicle and (group, input), the sum of the driver rows of its records.
//!
//! A run of one vehicle's records is summed in `i32` lanes for at most [`DRIVER_RECORDS`] records (they cannot
//! overflow: an entry is at most 2^24, checked when the backend is opened), then widened to `i64`.
//! Twin: `shaders/drivers.wgsl`.

use super::damage::{Group, Stretch};
use super::ranges::{RANGE_BITS, RANGE_ROWS};
use crate::backend::gate::DRIVER_RECORDS;
use crate::model::tables::GROUP_LANES;

/// Sums of the vehicles of one range: for every vehicle, groups in order, inputs in order, eight lanes.
pub struct VehicleSums {
    pub width: usize,
    pub lanes: Vec<i64>,
}

impl VehicleSums {
    pub fn new(width: usize) -> Self {
        Self { width, lanes: vec![0; RANGE_ROWS * width] }
    }
}

/// Adds the driver rows of the stretch (rows whose vehicles share a range) for all groups.
#[inline(always)]
pub fn add_driver_rows(groups: &[Group], stretch: &Stretch, sums: &mut VehicleSums) {
    let vehicles = stretch.batch.vehicle();
    let mut start = stretch.rows.start;
    while start < stretch.rows.end {
        let vehicle = vehicles[start];
        let limit = stretch.rows.end.min(start + DRIVER_RECORDS);
        let mut end = start + 1;
        while end < limit && vehicles[end] == vehicle {
            end += 1;
        }
        let first = (vehicle as usize & ((1 << RANGE_BITS) - 1)) * sums.width;
        let places = sums.lanes[first..first + sums.width].chunks_exact_mut(GROUP_LANES);
        for (input, place) in groups.iter().flat_map(|group| &group.inputs).zip(places) {
            let mut run = [0i32; GROUP_LANES];
            for code in &stretch.batch.codes()[input.column][start..end] {
                let entries = &input.driver_rows[usize::from(*code)].0;
                for (sum, entry) in run.iter_mut().zip(entries) {
                    *sum += entry;
                }
            }
            for (total, sum) in place.iter_mut().zip(run) {
                *total = total.wrapping_add(i64::from(sum));
            }
        }
        start = end;
    }
}
