//! What a vehicle has to replay: its own weeks, and its cohort's where it has none.
//!
//! A week without record takes the cohort's mean week times the vehicle's *pace*: its own sum over its weeks with
//! records against the cohort's over the same weeks, per mechanism, in integers, between an eighth and eight. With
//! fewer than [`SHORT_WEEKS`] weeks of records the pace is one.
//!
//! Units: Q48 lives; pace in 2^-16.

use super::flags::{Flag, Flags, GAP_SHARE, SHORT_WEEKS, YEAR_WEEKS};

const PACE_BITS: u32 = 16;
/// Between an eighth and eight.
const PACE_RANGE: std::ops::RangeInclusive<u128> = 1 << (PACE_BITS - 3)..=1 << (PACE_BITS + 3);

/// Weeks with records, and how many of the weeks between the first and the last of them have none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coverage {
    pub weeks: u32,
    pub gaps: u32,
}

impl Coverage {
    pub fn of(covered: &[bool]) -> Self {
        let first = covered.iter().position(|&week| week);
        let last = covered.iter().rposition(|&week| week);
        let weeks = covered.iter().filter(|&&week| week).count() as u32;
        let between = first.zip(last).map_or(0, |(first, last)| (last - first + 1) as u32);
        Self { weeks, gaps: between - weeks }
    }

    /// What a reader should know.
    pub fn raise(self, flags: &mut Flags, horizon_weeks: usize) {
        let needs_year = self.weeks < YEAR_WEEKS.min(horizon_weeks.try_into().unwrap_or(u32::MAX));
        flags.raise(Flag::ShortHistory, self.weeks < SHORT_WEEKS);
        flags.raise(Flag::SeasonsFromCohort, self.weeks >= SHORT_WEEKS && needs_year);
        flags.raise(Flag::GapsFromCohort, self.gaps * GAP_SHARE > self.weeks + self.gaps);
    }
}

/// Fills the weeks of one mechanism in which a vehicle has no record.
pub fn fill(covered: &[bool], weeks: u32, increments_q48: &mut [u64], means_q48: &[u64]) {
    let pace = if weeks < SHORT_WEEKS { 1 << PACE_BITS } else { pace(covered, increments_q48, means_q48) };
    for ((increment, &mean), _) in increments_q48.iter_mut().zip(means_q48).zip(covered).filter(|(_, week)| !**week) {
        *increment = ((u128::from(mean) * pace) >> PACE_BITS) as u64;
    }
}

fn pace(covered: &[bool], increments_q48: &[u64], means_q48: &[u64]) -> u128 {
    let weeks = || covered.iter().enumerate().filter(|(_, week)| **week).map(|(week, _)| week);
    let own: u128 = weeks().map(|week| u128::from(increments_q48[week])).sum();
    let cohort: u128 = weeks().map(|week| u128::from(means_q48[week])).sum();
    if cohort == 0 {
        return 1 << PACE_BITS;
    }
    ((own << PACE_BITS) / cohort).clamp(*PACE_RANGE.start(), *PACE_RANGE.end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_weeks_go_at_the_vehicles_own_pace() {
        let covered: Vec<bool> = (0..20).map(|week| week % 2 == 0).collect();
        let means: Vec<u64> = (0..20).map(|week| 1000 + week).collect();
        let mut own: Vec<u64> = means.iter().map(|mean| mean * 3).collect();
        let expected = own.clone();
        own.iter_mut().zip(&covered).filter(|(_, week)| !**week).for_each(|(own, _)| *own = 7);
        fill(&covered, 10, &mut own, &means);
        assert_eq!(own, expected);
        let mut short = vec![9_000_u64; 20];
        fill(&covered, 7, &mut short, &means);
        assert_eq!(short[..4], [9_000, 1_001, 9_000, 1_003], "too short a history has no pace");
    }

    #[test]
    fn a_pace_has_limits_and_nothing_divides_by_zero() {
        let covered = [true, true, false];
        let mut idle = [0, 0, 5];
        fill(&covered, 50, &mut idle, &[800, 800, 800]);
        assert_eq!(idle[2], 100);
        let mut busy = [u64::MAX >> 1; 3];
        fill(&covered, 50, &mut busy, &[1, 1, 10]);
        assert_eq!(busy[2], 80);
        let mut first_of_its_kind = [4, 4, 0];
        fill(&covered, 50, &mut first_of_its_kind, &[0, 0, 6]);
        assert_eq!(first_of_its_kind[2], 6);
    }

    #[test]
    fn coverage_counts_weeks_and_gaps() {
        assert_eq!(Coverage::of(&[]), Coverage { weeks: 0, gaps: 0 });
        assert_eq!(Coverage::of(&[false, true, false, false, true, false]), Coverage { weeks: 2, gaps: 2 });
        let flags = |covered: &[bool]| {
            let mut flags = Flags::default();
            Coverage::of(covered).raise(&mut flags, 104);
            flags.to_string()
        };
        assert_eq!(flags(&[true; 60]), "");
        assert_eq!(flags(&[true; 30]), "seasons_from_cohort");
        assert_eq!(flags(&[true; 3]), "short_history");
        let gaps: Vec<bool> = (0..120).map(|week| week % 10 > 0).collect();
        assert_eq!(flags(&gaps), "gaps_from_cohort");
    }
}
