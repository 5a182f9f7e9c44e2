//! What a part's mechanisms have used up until today: on record since the part's start, and before the first record.
//!
//! Units: Q48 lives; days since 1970-01-01.

use super::flags::{Flag, Flags};
use super::profile::{BatchSlots, Profiles};
use super::survive::{Side, World};
use super::weeks::DAYS_PER_WEEK;
use crate::model::life;
use crate::score::flags::LATE_DAYS;
use crate::score::parts::ScoreRow;

/// What a mechanism used up in a part's place: on record since the part's start, and before the first record.
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
#[expect(clippy::too_many_arguments, reason = "one part of one vehicle in one world")]
pub fn part_use(
    batch: &BatchSlots,
    past: &Profiles,
    at: usize,
    mechanism: usize,
    row: &ScoreRow,
    side: &Side,
    world: &World,
    flags: &mut Flags,
) -> Use {
    let one = &batch.vehicles[at];
    let calendar = &world.calendar;
    let start = calendar.starts.day(one.vehicle as usize, row.part);
    flags.raise(Flag::ReplacementNotPlaced, calendar.starts.is_doubtful(one.vehicle as usize, row.part));
    let in_service = start.or(world.vehicles.in_service_day(one.vehicle as usize));
    flags.raise(Flag::StartUnknown, in_service.is_none());
    let in_service = in_service.map(|day| calendar.axis.calendar_day(day));
    let (first, last) = one.days;
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
    let since_q48 = batch.clock_q48(past, at, mechanism, start, calendar);
    let earlier_q48 = match in_service {
        Some(day) if first > day.saturating_add(LATE_DAYS) => {
            flags.raise(Flag::EarlierUseEstimated, true);
            let missing = u128::from((i64::from(first) - i64::from(day) - 1).unsigned_abs());
            let observed = u128::from((i64::from(last) - i64::from(first) + 1).unsigned_abs());
            u64::try_from(u128::from(since_q48) * missing / observed.max(1)).unwrap_or(u64::MAX)
        }
        _ => 0,
    };
    Use { since_q48, earlier_q48 }
}
