//! From a batch of whole vehicles to forecasts: profiles, gaps filled, parts along all paths.
//!
//! A batch is worked on by one thread at a time; several batches run at once. What a batch leaves behind is one
//! compact row a part ([`PartForecast`]) and the survival backend's sums over groups, which commute: results depend
//! neither on the cut into batches nor on the order of threads.
//!
//! Units: clocks and increments in Q48 lives, chances in Q48 summed over paths, lives left in tenths of a day.

use std::sync::{Mutex, PoisonError, RwLock};

use super::cohort::Cohorts;
use super::course::{CourseLaw, Courses};
use super::earlier_use::EarlierUse;
use super::expected::{CountKind, ExpectedSums, FleetSums};
use super::failed_parts::FailedParts;
use super::flags::{Flag, Flags, STALE_DAYS};
use super::future::{Coverage, fill};
use super::part_use::{Use, earlier_share, part_use};
use super::profile::{BatchSlots, Calendar, Kernel, OpenDamage, Profiles};
use super::settle::{MeanUse, Pushed, PushedMode, RowSet, Settled};
use super::successors::Successors;
use super::weeks::DAYS_PER_WEEK;
use crate::backend::BackendError;
use crate::backend::survival::{PART_BITS, PathPlan, SurvivalBackend, SurvivalBatch, pack_increments};
use crate::fleet::chunk::Chunk;
use crate::fleet::vehicles::{Vehicles, day_of};
use crate::score::parts::Parts;

/// Days of the chances that every forecast names.
pub const FORECAST_DAYS: [u32; 3] = [30, 60, 90];
/// Chances at which the life left is named.
pub const LIFE_LEVELS: [f64; 3] = [0.1, 0.5, 0.9];
/// A life left beyond the horizon.
pub const BEYOND: u32 = u32::MAX;

/// What a survival run needs besides a kernel.
#[derive(Debug)]
pub struct World<'a> {
    pub calendar: Calendar<'a>,
    pub parts: &'a Parts,
    pub failed: &'a FailedParts,
    pub vehicles: &'a Vehicles,
    pub plan: &'a PathPlan,
    /// Column of the plan for each of [`FORECAST_DAYS`]; `None`: beyond the horizon.
    pub forecast_columns: [Option<usize>; 3],
    /// Of each mode: column and level of its alert.
    pub alerts: Vec<Option<(usize, f64)>>,
    /// Group cell of each known vehicle, and of the others.
    pub cell_of: Vec<u32>,
    pub unlisted_cell: u32,
    /// End dates after today and up to this day of the calendar are hindsight: the records go on to it, and nobody
    /// could know them today. Later ones were announced.
    pub hindsight_until_day: i32,
    pub season_missing: Vec<bool>,
    /// Of each mode.
    pub earlier_use: Vec<EarlierUse>,
    /// Of each mode.
    pub laws: Vec<CourseLaw>,
    pub courses: Courses,
    pub ahead: MeanUse,
    /// The rows of a vehicle, those that compete together.
    pub sets: Vec<RowSet>,
    pub count: CountKind,
    /// Whole weeks on record in each zone.
    pub weeks_on_record: Vec<usize>,
}

/// One model's future: the model itself, or under a scenario.
pub struct Side<'a> {
    pub kernel: Kernel<'a>,
    /// [`super::cohort::CohortSums::means_q48`] of this model.
    pub means_q48: Vec<u64>,
    pub open: &'a (dyn Fn() -> Result<Box<dyn SurvivalBackend>, BackendError> + Sync),
    pub backend: RwLock<Box<dyn SurvivalBackend>>,
    /// One a group cell and mode.
    pub expected: ExpectedSums,
}

/// What is known of one part's future.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PartForecast {
    /// The chance to have failed already, unreported or, of a part whose failure is reported and that was not replaced,
    /// by this mode; times the paths, as all that follow.
    pub failed_already_q48: u64,
    /// To fail from today on, summed over paths, by [`FORECAST_DAYS`].
    pub failed_q48: [Option<u64>; 3],
    /// By [`LIFE_LEVELS`], in tenths of a day from today until the chance to have failed, already or since, reaches
    /// the level; [`BEYOND`] the horizon.
    pub life_left_tenths: [u32; 3],
    /// Chance to have failed by the mode's alert horizon, already or since, and when it reaches the alert's level.
    pub alert_q48: Option<u64>,
    pub alert_tenths: u32,
    pub flags: Flags,
}

/// A vehicle whose parts stand in [`Forecasts::parts`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VehicleForecast {
    pub vehicle: u32,
    pub km_per_day: Option<f64>,
    /// Index of its first part; it has as many as [`Parts::rows`].
    pub first: usize,
}

/// All rows so far, in the order in which batches were done.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Forecasts {
    pub vehicles: Vec<VehicleForecast>,
    pub parts: Vec<PartForecast>,
    /// Vehicles that left service, or are not sold yet, and have no future.
    pub retired: u64,
}

/// What the vehicles of a batch did until today: the past is that of the model as it is, whatever a scenario changes.
pub struct Past<'p> {
    pub side: &'p Side<'p>,
    pub profiles: Profiles,
    pub filled: Futures,
}

/// Takes batches and gathers what comes of them.
pub struct Survivor<'a> {
    pub world: World<'a>,
    /// The model, and after it the scenario, if there is one.
    pub sides: Vec<Side<'a>>,
    pub open_damage: &'a OpenDamage<'a>,
    pub done: Mutex<Forecasts>,
}

impl Forecasts {
    /// With room for so many vehicles of so many parts each: growing by doubling would hold every row thrice.
    pub fn with_room(vehicles: usize, rows: usize) -> Self {
        let parts = Vec::with_capacity(vehicles.saturating_mul(rows));
        Self { vehicles: Vec::with_capacity(vehicles), parts, retired: 0 }
    }

    fn clear(&mut self) {
        self.vehicles.clear();
        self.parts.clear();
        self.retired = 0;
    }
}

impl World<'_> {
    /// Days until a vehicle's last in service, if that is announced.
    fn days_left(&self, vehicle: usize) -> Option<u32> {
        let end = self.calendar.axis.calendar_day(day_of(&self.vehicles.end_day, vehicle)?);
        let announced = end > self.hindsight_until_day;
        u32::try_from(i64::from(end) - i64::from(self.calendar.as_of_day)).ok().filter(|_| announced)
    }

    /// Days that the futures last.
    pub fn horizon_days(&self) -> u32 {
        self.plan.weeks as u32 * DAYS_PER_WEEK as u32
    }
}

impl Side<'_> {
    /// Forgets the sums.
    pub fn restart(&self) -> Result<(), BackendError> {
        *self.backend.write().unwrap_or_else(PoisonError::into_inner) = (self.open)()?;
        self.expected.restart();
        Ok(())
    }

    /// What did the work.
    pub fn description(&self) -> String {
        self.backend.read().unwrap_or_else(PoisonError::into_inner).description()
    }

    /// Hands out the sums.
    pub fn finish(self) -> Result<FleetSums, BackendError> {
        let survival = self.backend.into_inner().unwrap_or_else(PoisonError::into_inner).finish()?;
        Ok(FleetSums { survival, expected: self.expected.finish(), successors: Successors::default() })
    }
}

impl Survivor<'_> {
    /// Forecasts the vehicles of a batch.
    pub fn take(&self, chunk: &Chunk) -> Result<(), BackendError> {
        self.follow(&BatchSlots::new(chunk, &self.world.calendar), chunk)
    }

    /// Forecasts known vehicles that have no record.
    pub fn take_without_records(&self, vehicles: &[u32]) -> Result<(), BackendError> {
        self.follow(&BatchSlots::without_records(vehicles, &self.world.calendar), &Chunk::default())
    }

    /// Forgets everything.
    pub fn restart(&self) -> Result<(), BackendError> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.sides.iter().try_for_each(Side::restart)
    }

    fn follow(&self, batch: &BatchSlots, chunk: &Chunk) -> Result<(), BackendError> {
        let world = &self.world;
        let out_of_service = |vehicle: u32| {
            let day =
                |of: &[Option<i32>]| day_of(of, vehicle as usize).map(|day| world.calendar.axis.calendar_day(day));
            let today = world.calendar.as_of_day;
            let not_sold = || day(&world.vehicles.sale_day).is_some_and(|sold| sold > today);
            day(&world.vehicles.end_day).is_some_and(|end| end <= today) || not_sold()
        };
        let alive: Vec<usize> =
            (0..batch.vehicles.len()).filter(|&at| !out_of_service(batch.vehicles[at].vehicle)).collect();
        let mut own = Forecasts { retired: (batch.vehicles.len() - alive.len()) as u64, ..Forecasts::default() };
        // Clocks are the past's, so they come from the model as it is.
        let Some(first) = self.sides.first() else { return Ok(()) };
        let profiles = batch.sum(chunk, &first.kernel, &world.calendar, self.open_damage)?;
        let filled = Futures::new(batch, &profiles, &alive, first, world);
        let past = Past { side: first, profiles, filled };
        let mut unreported = None;
        for (number, side) in self.sides.iter().enumerate() {
            let changed = match number {
                0 => None,
                _ => {
                    let profiles = batch.sum(chunk, &side.kernel, &world.calendar, self.open_damage)?;
                    Some(Futures::new(batch, &profiles, &alive, side, world))
                }
            };
            let futures = changed.as_ref().unwrap_or(&past.filled);
            let (mut rows, pushed) = futures.parts(batch, &past, &alive, side, world)?;
            let settled = Settled { world, model: side.kernel.model, increments_q48: &futures.increments_q48 };
            let unreported = unreported.get_or_insert_with(|| settled.unreported(&pushed));
            settled.settle(&pushed, unreported, &mut rows, &side.expected);
            if number == 0 {
                own.parts = rows;
            }
        }
        let rows = world.parts.rows.len();
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        let base = done.parts.len();
        done.vehicles.extend(alive.iter().enumerate().map(|(place, &at)| VehicleForecast {
            vehicle: batch.vehicles[at].vehicle,
            km_per_day: batch.vehicles[at].km_per_day,
            first: base + place * rows,
        }));
        done.parts.append(&mut own.parts);
        done.retired += own.retired;
        Ok(())
    }
}

/// The filled weeks of the vehicles of a batch that are in service.
pub struct Futures {
    mechanisms: usize,
    weeks: usize,
    /// `[(vehicle * mechanisms + mechanism) * weeks + week]`.
    increments_q48: Vec<u64>,
    coverage: Vec<Coverage>,
}

impl Futures {
    fn new(batch: &BatchSlots, profiles: &Profiles, alive: &[usize], side: &Side, world: &World) -> Self {
        let weeks = world.calendar.weeks;
        let mechanisms = side.kernel.model.mechanisms.len();
        let mut futures = Self {
            mechanisms,
            weeks,
            increments_q48: Vec::with_capacity(alive.len() * mechanisms * weeks),
            coverage: Vec::with_capacity(alive.len()),
        };
        for &at in alive {
            let covered = &batch.covered[at * weeks..(at + 1) * weeks];
            let coverage = Coverage::of(covered);
            let cohort = side.kernel.cohorts.of(batch.vehicles[at].vehicle);
            for mechanism in 0..mechanisms {
                let own = &profiles.increments_q48[(at * mechanisms + mechanism) * weeks..][..weeks];
                let means = &side.means_q48[(cohort * mechanisms + mechanism) * weeks..][..weeks];
                let from = futures.increments_q48.len();
                futures.increments_q48.extend_from_slice(own);
                fill(covered, coverage.weeks, &mut futures.increments_q48[from..], means);
            }
            futures.coverage.push(coverage);
        }
        futures
    }

    /// What a mechanism of a vehicle used up, or will where its week comes again, by week.
    pub fn weeks(&self, place: usize, mechanism: usize) -> &[u64] {
        &self.increments_q48[(place * self.mechanisms + mechanism) * self.weeks..][..self.weeks]
    }

    /// Follows the parts of all modes; rows in the order of vehicles, then of [`Parts::rows`].
    fn parts(
        &self,
        batch: &BatchSlots,
        past: &Past,
        alive: &[usize],
        side: &Side,
        world: &World,
    ) -> Result<(Vec<PartForecast>, Pushed), BackendError> {
        let model = side.kernel.model;
        let (weeks, columns) = (world.calendar.weeks, world.plan.columns());
        let templates = &world.parts.rows;
        let zones: Vec<u32> =
            alive.iter().map(|&at| zone_of(side.kernel.cohorts, batch.vehicles[at].vehicle)).collect();
        let empty = PartForecast {
            failed_already_q48: 0,
            failed_q48: [None; 3],
            life_left_tenths: [BEYOND; 3],
            alert_q48: None,
            alert_tenths: BEYOND,
            flags: Flags::default(),
        };
        let mut rows = vec![empty; alive.len() * templates.len()];
        let cell = |&at: &usize| {
            let vehicle = batch.vehicles[at].vehicle;
            world.cell_of.get(vehicle as usize).copied().unwrap_or(world.unlisted_cell)
        };
        let vehicle_rows =
            alive.iter().flat_map(|&at| templates.iter().map(move |row| (batch.vehicles[at].vehicle, row.part)));
        let failed = vehicle_rows.map(|(vehicle, part)| world.failed.has(vehicle, part)).collect();
        let days_left: Vec<Option<u32>> =
            alive.iter().map(|&at| world.days_left(batch.vehicles[at].vehicle as usize)).collect();
        let cells = alive.iter().map(cell).collect();
        let mut pushed = Pushed { cells, zones, failed, days_left, modes: Vec::new() };
        for (mode, law) in model.modes.iter().enumerate() {
            let own: Vec<usize> = (0..templates.len()).filter(|&row| templates[row].mode == mode).collect();
            let mechanisms = law.mechanisms.len();
            let mut packed = vec![0_u32; alive.len() * mechanisms * weeks];
            let mut shifts = vec![0_u8; alive.len() * mechanisms];
            for place in 0..alive.len() {
                for (lane, mechanism) in law.mechanisms.clone().enumerate() {
                    let from = self.weeks(place, mechanism);
                    let to = place * mechanisms + lane;
                    shifts[to] = pack_increments(from, world.plan.weeks, &mut packed[to * weeks..][..weeks]);
                }
            }
            let parts = alive.len() * own.len();
            let (mut group, mut profile) = (Vec::with_capacity(parts), Vec::with_capacity(parts));
            let mut clocks = Vec::with_capacity(parts * mechanisms);
            // What has failed has no chance to fail: the kernel sees the others alone.
            let (mut working, mut working_clocks) = (Vec::with_capacity(parts), Vec::with_capacity(parts * mechanisms));
            for (place, &at) in alive.iter().enumerate() {
                let vehicle = batch.vehicles[at].vehicle;
                for &row in &own {
                    let failed = pushed.failed[place * templates.len() + row];
                    let mut flags = self.flags(place, batch, at, &pushed.zones, world);
                    let uses = law.mechanisms.clone().map(|mechanism| {
                        part_use(batch, past, (at, place), mechanism, &templates[row], world, &mut flags)
                    });
                    let uses: Vec<Use> = uses.collect();
                    let replaced = world.calendar.starts.day(vehicle as usize, templates[row].part).is_some();
                    let share = if replaced { 1.0 } else { earlier_share(&uses, mode, world) };
                    clocks.extend(uses.iter().map(|one| {
                        let earlier = (one.earlier_q48 as f64 * share) as u64;
                        one.since_q48.saturating_add(earlier).min(i64::MAX as u64)
                    }));
                    let leaves = pushed.days_left[place].is_some_and(|days| days < world.horizon_days());
                    flags.raise(Flag::LeavesService, leaves);
                    flags.raise(Flag::FailedNotReplaced, failed);
                    let part = templates[row].part;
                    flags.raise(Flag::OldFailureNotReplaced, !failed && world.failed.is_doubtful(vehicle, part));
                    if !failed {
                        working.push(clocks.len() / mechanisms - 1);
                        group.push(pushed.cells[place]);
                        profile.push(place as u32);
                        working_clocks.extend_from_slice(&clocks[clocks.len() - mechanisms..]);
                    }
                    rows[place * templates.len() + row].flags = flags;
                }
            }
            let mut failed = vec![0_u64; parts * columns];
            let batch = SurvivalBatch {
                mode,
                group: &group,
                profile: &profile,
                clocks_q48: &working_clocks,
                zone: &pushed.zones,
                increments: &packed,
                shifts: &shifts,
            };
            side.backend
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .push(&batch, &mut failed[..working.len() * columns])?;
            spread_out(&mut failed, columns, &working);
            pushed.modes.push(PushedMode { rows: own, clocks_q48: clocks, failed_q48: failed });
        }
        Ok((rows, pushed))
    }

    fn flags(&self, place: usize, batch: &BatchSlots, at: usize, zones: &[u32], world: &World) -> Flags {
        let one = &batch.vehicles[at];
        let mut flags = Flags::default();
        let stale = one.records > 0 && world.calendar.as_of_day - one.days.1 > STALE_DAYS;
        flags.raise(Flag::NoRecords, one.records == 0);
        if one.records > 0 {
            self.coverage[place].raise(&mut flags, world.plan.weeks);
        }
        flags.raise(Flag::NoRecentRecords, stale);
        flags.raise(Flag::LongSilent, one.is_long_silent);
        flags.raise(Flag::SeasonNotOnRecord, world.season_missing[zones[place] as usize]);
        flags.raise(Flag::HorizonBeyondRecords, world.plan.weeks > world.weeks_on_record[zones[place] as usize]);
        flags.raise(Flag::UnlistedVehicle, one.vehicle as usize >= world.vehicles.known);
        flags
    }
}

fn zone_of(cohorts: &Cohorts, vehicle: u32) -> u32 {
    cohorts.zone_of[cohorts.of(vehicle)]
}

impl PartForecast {
    /// Of a part that has failed, by this mode with such a chance (summed over paths): no mode of it has a life left.
    pub fn fill_in_failed(&mut self, failed_q48: u64, world: &World, has_alert: bool) {
        self.failed_already_q48 = failed_q48;
        self.failed_q48 = world.forecast_columns.map(|column| column.map(|_| 0));
        self.life_left_tenths = [0; 3];
        if has_alert {
            (self.alert_q48, self.alert_tenths) = (Some(failed_q48), 0);
        }
    }

    /// From the chances of the columns from today on, and the chance to have failed already, summed over paths.
    pub fn fill_in(&mut self, failed_q48: &[u64], already_q48: u64, world: &World, alert: Option<(usize, f64)>) {
        let weeks = &failed_q48[..world.plan.weeks];
        let paths = world.plan.paths as u64;
        let reaches = |level: f64| {
            let level = (level * paths as f64 * (1_u64 << PART_BITS) as f64) as u64;
            tenths_until(weeks, level.saturating_sub(already_q48))
        };
        self.failed_already_q48 = already_q48;
        self.failed_q48 = world.forecast_columns.map(|column| column.map(|column| failed_q48[column]));
        self.life_left_tenths = LIFE_LEVELS.map(reaches);
        if let Some((column, level)) = alert {
            self.alert_q48 = Some(failed_q48[column].saturating_add(already_q48));
            self.alert_tenths = reaches(level);
        }
    }
}

/// Puts rows that stand close together where they belong, zeros in the others; `rows` rise.
fn spread_out(values: &mut [u64], columns: usize, rows: &[usize]) {
    let mut next = rows.len();
    for row in (0..values.len() / columns.max(1)).rev() {
        if next > 0 && rows[next - 1] == row {
            next -= 1;
            values.copy_within(next * columns..(next + 1) * columns, row * columns);
        } else {
            values[row * columns..(row + 1) * columns].fill(0);
        }
    }
}

/// Tenths of a day until a sum over paths that rises from week to week reaches a level.
fn tenths_until(weeks: &[u64], level: u64) -> u32 {
    const TENTHS_PER_WEEK: u128 = 10 * DAYS_PER_WEEK as u128;
    let week = weeks.partition_point(|&failed| failed < level);
    let Some(&reached) = weeks.get(week) else { return BEYOND };
    let before = if week > 0 { weeks[week - 1] } else { 0 };
    let inside = TENTHS_PER_WEEK * u128::from(level.saturating_sub(before)) / u128::from(reached - before).max(1);
    (week as u128 * TENTHS_PER_WEEK + inside.min(TENTHS_PER_WEEK)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_spread_out_over_zeros() {
        for rows in [&[][..], &[0], &[3], &[0, 1, 2, 3], &[1, 3], &[0, 2], &[0, 1]] {
            let mut values: Vec<u64> = (0..rows.len() as u64 * 2).map(|value| value + 1).collect();
            values.resize(8, 77);
            spread_out(&mut values, 2, rows);
            let expected = (0..4).flat_map(|row| match rows.iter().position(|&one| one == row) {
                Some(place) => [2 * place as u64 + 1, 2 * place as u64 + 2],
                None => [0, 0],
            });
            assert_eq!(values, expected.collect::<Vec<u64>>(), "{rows:?}");
        }
    }

    #[test]
    fn levels_are_reached_within_their_week() {
        let weeks = [0, 10, 10, 30];
        assert_eq!(tenths_until(&weeks, 5), 70 + 35);
        assert_eq!(tenths_until(&weeks, 10), 140);
        assert_eq!(tenths_until(&weeks, 20), 210 + 35);
        assert_eq!(tenths_until(&weeks, 31), BEYOND);
        assert_eq!(tenths_until(&[], 1), BEYOND);
    }
}
