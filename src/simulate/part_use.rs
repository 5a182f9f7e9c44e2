//! What a part's mechanisms have used up until today: since the part's start, and before the first record.
//!
//! Days whose records were lost since ([`super::gaps`]) count as the futures count them: the cohort's mean at the
//! vehicle's own pace ([`super::future`]).
//!
//! Units: Q48 lives; days since 1970-01-01.

use super::flags::{Flag, Flags};
use super::profile::{BatchSlots, Calendar};
use super::survive::{Past, World};
use super::weeks::{DAYS_PER_WEEK, first_day};
use crate::model::life;
use crate::score::flags::LATE_DAYS;
use crate::score::parts::ScoreRow;

/// What a mechanism used up in a part's place: since the part's start or the first record, and before the first record.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Use {
    pub since_q48: u64,
    pub earlier_q48: u64,
}

/// How much of the earlier use of a place belongs to the part that stands there now, where no start is on record.
pub fn earlier_share(uses: &[Use], mode: usize, world: &World) -> f64 {
    if uses.iter().all(|one| one.earlier_q48 == 0) {
        return 1.0;
    }
    let lives = |of: fn(&Use) -> u64| -> Vec<f64> { uses.iter().map(|one| life::lives(of(one))).collect() };
    world.earlier_use[mode].share(&lives(|one| one.earlier_q48), &lives(|one| one.since_q48))
}

/// A part's use. What its place used up before the first record is estimated from the mean since, or where there is no
/// record at all, from the cohort's mean.
///
/// `at` and `place`: the vehicle's among those of the batch, and among those in service.
pub fn part_use(
    batch: &BatchSlots,
    past: &Past,
    (at, place): (usize, usize),
    mechanism: usize,
    row: &ScoreRow,
    world: &World,
    flags: &mut Flags,
) -> Use {
    let side = past.side;
    let one = &batch.vehicles[at];
    let calendar = &world.calendar;
    let start = calendar.starts.day(one.vehicle as usize, row.part);
    flags.raise(Flag::ReplacementNotPlaced, calendar.starts.is_doubtful(one.vehicle as usize, row.part));
    let in_service = start.or(world.vehicles.in_service_day(one.vehicle as usize));
    flags.raise(Flag::StartUnknown, in_service.is_none());
    let in_service = in_service.map(|day| calendar.axis.calendar_day(day));
    let first = one.days.0;
    if one.records == 0 {
        let Some(days) = in_service.map(|day| calendar.as_of_day.saturating_sub(day)).filter(|&days| days > 0) else {
            return Use { since_q48: 0, earlier_q48: 0 };
        };
        flags.raise(Flag::EarlierUseEstimated, true);
        let cohort = side.kernel.cohorts.of(one.vehicle);
        let mechanisms = side.kernel.model.mechanisms.len();
        let weeks = &side.means_q48[(cohort * mechanisms + mechanism) * calendar.weeks..][..calendar.weeks];
        let sum: u128 = weeks.iter().map(|&week| u128::from(week)).sum();
        let on_record = weeks.len().max(1) as u128 * DAYS_PER_WEEK as u128;
        let earlier_q48 = (sum * u128::from(days.unsigned_abs()) / on_record) as u64;
        return Use { since_q48: 0, earlier_q48 };
    }
    let on_record_q48 = batch.clock_q48(&past.profiles, at, mechanism, start, calendar);
    let filled = past.filled.weeks(place, mechanism);
    let since_q48 = on_record_q48.saturating_add(missing_q48(batch, at, filled, start, calendar));
    let earlier_q48 = match in_service {
        Some(day) if first > day.saturating_add(LATE_DAYS) => {
            flags.raise(Flag::EarlierUseEstimated, true);
            let missing = u128::from((i64::from(first) - i64::from(day) - 1).unsigned_abs());
            let observed = u128::from((i64::from(one.until_day.max(one.days.1)) - i64::from(first) + 1).unsigned_abs());
            u64::try_from(u128::from(since_q48) * missing / observed.max(1)).unwrap_or(u64::MAX)
        }
        _ => 0,
    };
    Use { since_q48, earlier_q48 }
}

/// What a mechanism used up on days that are missing after a part's start (`None`: after the first record), given the
/// vehicle's weeks with their gaps filled.
fn missing_q48(batch: &BatchSlots, at: usize, filled: &[u64], start: Option<i32>, calendar: &Calendar) -> u64 {
    let start = start.map_or(i64::MIN, |day| i64::from(calendar.axis.calendar_day(day)));
    let week_days = i64::from(DAYS_PER_WEEK);
    let use_of = |week: u64, days: i64| u128::from(week) * u128::from(days.unsigned_abs()) / week_days as u128;
    let missing = &batch.missing_days[at * calendar.weeks..][..calendar.weeks];
    let mut sum = 0_u128;
    let mut sunday = i64::from(first_day(calendar.first_week)) - 1;
    for (&week, &days) in filled.iter().zip(missing) {
        sunday += week_days;
        sum += use_of(week, i64::from(days).min(sunday.saturating_sub(start.min(sunday))));
    }
    let after = i64::from(batch.vehicles[at].missing_after);
    let days = after.min((i64::from(calendar.as_of_day) - start).max(0));
    sum += filled.last().map_or(0, |&week| use_of(week, days));
    u64::try_from(sum).unwrap_or(u64::MAX)
}
