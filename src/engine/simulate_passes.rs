//! The passes over the histories: what cohorts do, and every vehicle as a whole.

use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Mutex, PoisonError};

use super::error::EngineError;
use super::histories::Histories;
use super::prepare::Prepared;
use super::simulate_memory::{batch_bytes, batch_rows, check_cohorts, vehicle_bytes};
use super::simulate_plan::SimulatePlan;
use super::simulate_setup::Setup;
use crate::fleet::chunk::{Chunk, Order};
use crate::fleet::scan::{ScanReport, ScanRequest, SinkError};
use crate::run::Control;
use crate::score::parts::PartStarts;
use crate::simulate::cohort::CohortSums;
use crate::simulate::profile::{BatchSlots, Calendar, Kernel, OpenDamage};
use crate::simulate::weeks::last_whole_week;
use crate::simulate::whole::{BatchSize, WholeVehicles};

/// Weeks of the past that futures may repeat: ten years.
pub const MOST_SOURCE_WEEKS: usize = 522;

/// What the first pass found.
pub struct Seen {
    pub sums: Vec<CohortSums>,
    /// Known vehicles with records.
    pub known: Vec<bool>,
    /// All vehicles with records.
    pub vehicles: u64,
}

/// All channels of the simulation up to a day, in any order.
pub fn request(plan: &SimulatePlan, setup: &Setup, as_of_day: Option<i32>) -> ScanRequest {
    ScanRequest {
        channels: setup.columns.channels.clone(),
        order: Order::Any,
        as_of_day,
        threads: plan.threads,
        memory_limit_bytes: plan.memory_limit_bytes / 2,
        chunk_rows: plan.chunk_rows,
        reversed: plan.reversed,
        shard: plan.shard,
        kind: plan.scan_kind,
        hash_inputs: plan.hash_inputs,
        files: None,
    }
}

/// What both passes read by.
pub struct Reader<'a> {
    pub plan: &'a SimulatePlan,
    pub prepared: &'a Prepared,
    pub setup: &'a Setup,
    pub histories: Histories<'a>,
    pub control: &'a Control<'a>,
}

pub type Take<'a> = dyn Fn(&Chunk) -> Result<(), SinkError> + Sync + 'a;
pub type Void<'a> = dyn Fn() -> Result<(), SinkError> + Sync + 'a;

impl Reader<'_> {
    /// The calendar whose profiles are so many weeks long and end with the last whole week before the future.
    pub fn calendar<'s>(&'s self, starts: &'s PartStarts, as_of_day: i32, weeks: usize) -> Calendar<'s> {
        let Setup { axis, columns, .. } = self.setup;
        let today = axis.calendar_day(as_of_day);
        Calendar {
            axis: *axis,
            length: columns.length,
            length_channel: columns.length_channel.map(|channel| self.setup.channel(channel)),
            distance: columns.distance.map(|(column, channel)| (column, self.setup.channel(channel))),
            starts,
            vehicles: &self.prepared.dataset.vehicles,
            as_of_day: today,
            first_week: last_whole_week(today) + 1 - weeks as i32,
            weeks,
        }
    }

    /// The last day of what end dates could not be known on the as-of day: that of the records, where they go on
    /// after it. Looked up only where there is an end date to come.
    pub fn hindsight_until_day(&self, as_of_day: i32) -> Result<i32, EngineError> {
        let to_come = self.histories.dataset.vehicles.end_day.iter().flatten().any(|&day| day > as_of_day);
        match self.plan.as_of_day {
            // By the statistics of the files no record is later, most often; else they are looked at one by one.
            Some(_) if to_come && self.histories.latest_day(self.control)? > Some(as_of_day) => {
                let request = request(self.plan, self.setup, None);
                Ok(self.histories.latest_used_day(&request, self.control)?.unwrap_or(as_of_day).max(as_of_day))
            }
            _ => Ok(as_of_day),
        }
    }

    /// The first pass.
    pub fn cohorts(
        &self,
        starts: &PartStarts,
        as_of_day: i32,
        kernels: &[Kernel],
        open: &OpenDamage,
        latest: &AtomicI32,
    ) -> Result<Seen, EngineError> {
        let calendar = self.calendar(starts, as_of_day, MOST_SOURCE_WEEKS);
        let no_sums = || -> Vec<CohortSums> {
            kernels.iter().map(|kernel| CohortSums::new(kernel.model.mechanisms.len(), calendar.weeks)).collect()
        };
        let nothing =
            || Seen { sums: no_sums(), known: vec![false; self.prepared.dataset.vehicles.known], vehicles: 0 };
        let (plan, seen) = (self.plan, Mutex::new(nothing()));
        let take = |chunk: &Chunk| -> Result<(), SinkError> {
            let batch = BatchSlots::new(chunk, &calendar);
            let mut own = no_sums();
            for (kernel, own) in kernels.iter().zip(&mut own) {
                let profiles = batch.sum(chunk, kernel, &calendar, open)?;
                let length = kernel.model.mechanisms.len() * calendar.weeks;
                for (at, one) in batch.vehicles.iter().enumerate() {
                    let covered = &batch.covered[at * calendar.weeks..(at + 1) * calendar.weeks];
                    let increments = &profiles.increments_q48[at * length..(at + 1) * length];
                    own.add(kernel.cohorts.of(one.vehicle), covered, increments);
                }
            }
            let last = chunk.tick.iter().map(|&tick| self.setup.axis.axis.day(tick)).max();
            latest.fetch_max(last.unwrap_or(i32::MIN), Ordering::Relaxed);
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.sums.iter_mut().zip(own).for_each(|(sums, own)| sums.merge(own));
            check_cohorts(plan, kernels, &seen.sums)?;
            seen.vehicles += batch.vehicles.len() as u64;
            for one in &batch.vehicles {
                if let Some(known) = seen.known.get_mut(one.vehicle as usize) {
                    *known = true;
                }
            }
            Ok(())
        };
        let void = || -> Result<(), SinkError> {
            latest.store(i32::MIN, Ordering::Relaxed);
            *seen.lock().unwrap_or_else(PoisonError::into_inner) = nothing();
            Ok(())
        };
        self.vehicles(as_of_day, &calendar, 0, &take, &void)?;
        Ok(seen.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads all histories up to a day, whole vehicles at a time; of every part so many past weeks are looked at for
    /// failures that are not reported.
    pub fn vehicles(
        &self,
        as_of_day: i32,
        calendar: &Calendar,
        lags: usize,
        take: &Take,
        void: &Void,
    ) -> Result<ScanReport, EngineError> {
        let plan = self.plan;
        let request = ScanRequest { order: Order::WholeVehicles, ..request(plan, self.setup, Some(as_of_day)) };
        let (mechanisms, rows) = (self.prepared.model.mechanisms.len(), self.prepared.parts.rows.len());
        let vehicle_bytes = vehicle_bytes(calendar.weeks, mechanisms, rows, plan.horizon_weeks, lags);
        let share = batch_bytes(plan);
        let size = BatchSize {
            rows: batch_rows(plan, self.setup),
            vehicles: (share / vehicle_bytes.max(1)).clamp(1, plan.batch_vehicles.max(1)),
        };
        let sink = WholeVehicles::new(plan.threads, size, take, void);
        let report = self.histories.scan(&request, self.control, &sink)?;
        sink.finish().map_err(EngineError::from)?;
        Ok(report)
    }
}
