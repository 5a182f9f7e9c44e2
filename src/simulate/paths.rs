//! Paths: which past weeks each climate zone lives through again, in every future.
//!
//! Key idea: historical simulation in blocks of [`BLOCK_WEEKS`] weeks. For every path, zone and future block a source
//! block is drawn whose first day lies within [`SEASON_DAYS`] of the future block's in the year, from all years on
//! record; every vehicle of the zone replays its own increments of that block, so the zone's weather hits them all at
//! once. Where no block of the season is on record, any block of the zone stands in, then any of the fleet.
//! A draw depends on the seed, the zone's name, the weather's number and the block alone: two models, or any number
//! of threads and paths, meet the same futures.
//!
//! Units: weeks as in [`super::weeks`], source weeks counted from a profile's first. Four-week blocks from ± 3 weeks
//! kept 90 % of 13-week totals inside a 90 % interval where single weeks from ± 2 kept 74–77 %.

use super::weeks::first_day;
use crate::fixed::threefry::threefry2x32;

pub const BLOCK_WEEKS: usize = 4;
/// Days by which a source block's place in the year may differ.
pub const SEASON_DAYS: f64 = 21.0;
/// A mean Gregorian year.
const DAYS_PER_YEAR: f64 = 365.2425;
/// Streams of the generator, one a use.
pub const WEATHER_STREAM: u32 = 0x5745_4154;

/// Which weeks of a zone have records.
#[derive(Clone, Debug, PartialEq)]
pub struct ZoneRecord {
    pub name: String,
    /// One a source week.
    pub on_record: Vec<bool>,
}

/// What to draw from, and how much.
#[derive(Clone, Debug, PartialEq)]
pub struct DrawPlan<'a> {
    pub zones: &'a [ZoneRecord],
    /// First of the source weeks.
    pub first_week: i32,
    /// Last day of the past.
    pub as_of_day: i32,
    pub horizon_weeks: usize,
    /// Weather of each path: paths with the same number live through the same.
    pub weather: &'a [u32],
    pub seed: u64,
}

/// What was drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Drawn {
    /// `[(zone * paths + path) * weeks + week]`.
    pub source_week: Vec<u16>,
    /// Of each zone: whether some block found none of its season.
    pub season_missing: Vec<bool>,
    /// `[zone][block]`: the first weeks of the source blocks that may be drawn.
    pub sources: Vec<Vec<Vec<u16>>>,
}

/// Draws every path. With no week on record at all, the first source week is replayed.
pub fn draw(plan: &DrawPlan) -> Drawn {
    let weeks = plan.zones.first().map_or(0, |zone| zone.on_record.len());
    let blocks = plan.horizon_weeks.div_ceil(BLOCK_WEEKS);
    let fleet: Vec<bool> = (0..weeks).map(|week| plan.zones.iter().any(|zone| zone.on_record[week])).collect();
    let of_fleet = starts(&fleet);
    let mut drawn = Drawn {
        source_week: Vec::with_capacity(plan.zones.len() * plan.weather.len() * plan.horizon_weeks),
        season_missing: Vec::with_capacity(plan.zones.len()),
        sources: Vec::with_capacity(plan.zones.len()),
    };
    for zone in plan.zones {
        let of_zone = starts(&zone.on_record);
        let mut missing = false;
        let candidates: Vec<Vec<u16>> = (0..blocks)
            .map(|block| {
                let target = f64::from(plan.as_of_day) + 1.0 + (block * BLOCK_WEEKS) as f64 * 7.0;
                let near = |start: &u16| {
                    let day = f64::from(first_day(plan.first_week.saturating_add(i32::from(*start))));
                    season_distance_days(target - day) <= SEASON_DAYS
                };
                let season: Vec<u16> = of_zone.iter().copied().filter(near).collect();
                if !season.is_empty() {
                    return season;
                }
                missing = true;
                [&of_zone, &of_fleet].into_iter().find(|starts| !starts.is_empty()).cloned().unwrap_or_default()
            })
            .collect();
        drawn.season_missing.push(missing);
        let key = [fold(plan.seed), WEATHER_STREAM ^ name_word(&zone.name)];
        for &weather in plan.weather {
            for week in 0..plan.horizon_weeks {
                let (block, place) = (week / BLOCK_WEEKS, week % BLOCK_WEEKS);
                let start = pick(&candidates[block], threefry2x32(key, [weather, block as u32])[0]);
                // Shorter records than a block repeat.
                drawn.source_week.push(((usize::from(start) + place) % weeks.max(1)) as u16);
            }
        }
        drawn.sources.push(candidates);
    }
    drawn
}

/// Where a block of weeks on record begins; shorter stretches only where there is no whole block.
fn starts(on_record: &[bool]) -> Vec<u16> {
    for length in (1..=BLOCK_WEEKS).rev() {
        let starts: Vec<u16> = on_record
            .windows(length)
            .enumerate()
            .filter(|(_, weeks)| weeks.iter().all(|&week| week))
            .map(|(start, _)| start as u16)
            .collect();
        if !starts.is_empty() {
            return starts;
        }
    }
    Vec::new()
}

/// How far two days that many days apart stand from each other in the year.
fn season_distance_days(days: f64) -> f64 {
    let years = days / DAYS_PER_YEAR;
    (years - libm::rint(years)).abs() * DAYS_PER_YEAR
}

/// One of the candidates by 32 random bits; the first week where there is none.
fn pick(candidates: &[u16], random: u32) -> u16 {
    let place = (u64::from(random) * candidates.len() as u64) >> 32;
    candidates.get(place as usize).copied().unwrap_or(0)
}

/// A seed as one word of a key.
pub fn fold(seed: u64) -> u32 {
    threefry2x32([seed as u32, (seed >> 32) as u32], [0, 0])[0]
}

/// A word that stands for a name.
fn name_word(name: &str) -> u32 {
    let hash = blake3::hash(name.as_bytes());
    let [a, b, c, d, ..] = *hash.as_bytes();
    u32::from_le_bytes([a, b, c, d])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two zones with 104 weeks of records that end on a Sunday, 2024-12-29.
    const LAST_DAY: i32 = 20_086;
    const FIRST_WEEK: i32 = 2_870 - 104;

    fn zone(name: &str, on_record: Vec<bool>) -> ZoneRecord {
        ZoneRecord { name: name.into(), on_record }
    }

    fn plan<'a>(zones: &'a [ZoneRecord], weather: &'a [u32], seed: u64) -> DrawPlan<'a> {
        DrawPlan { zones, first_week: FIRST_WEEK, as_of_day: LAST_DAY, horizon_weeks: 53, weather, seed }
    }

    #[test]
    fn blocks_keep_the_season_and_their_order() {
        assert_eq!(super::super::weeks::week_of(LAST_DAY + 1), FIRST_WEEK + 104);
        let zones = [zone("cold", vec![true; 104]), zone("warm", vec![true; 104])];
        let weather: Vec<u32> = (0..64).collect();
        let drawn = draw(&plan(&zones, &weather, 7));
        assert_eq!(drawn.source_week.len(), 2 * 64 * 53);
        assert_eq!(drawn.season_missing, [false, false]);
        let mut sources = std::collections::BTreeSet::new();
        for (at, &source) in drawn.source_week.iter().enumerate() {
            let week = at % 53;
            let future = LAST_DAY + 1 + 7 * (week as i32 / 4 * 4);
            let past = first_day(FIRST_WEEK + i32::from(source) - week as i32 % 4);
            assert!(season_distance_days(f64::from(future - past)) <= 21.0, "{week} {source}");
            if week % 4 > 0 {
                assert_eq!(source, drawn.source_week[at - 1] + 1);
            }
            sources.insert((week, source));
        }
        // Both years and several offsets are drawn, and zones differ.
        assert!(sources.iter().filter(|(week, _)| *week == 20).count() >= 10);
        assert_ne!(drawn.source_week[..64 * 53], drawn.source_week[64 * 53..]);
    }

    #[test]
    fn a_draw_depends_on_what_it_is_for_alone() {
        let zones = [zone("cold", vec![true; 104]), zone("warm", vec![true; 104])];
        let all = draw(&plan(&zones, &[0, 1, 2, 3], 7));
        let one = draw(&plan(&zones[1..], &[2], 7));
        assert_eq!(all.source_week[(4 + 2) * 53..(4 + 3) * 53], one.source_week[..]);
        assert_ne!(draw(&plan(&zones[1..], &[2], 8)).source_week, one.source_week);
        let twice = draw(&plan(&zones[1..], &[2, 2], 7));
        assert_eq!(twice.source_week[..53], twice.source_week[53..]);
        // As drawn when this was written: whoever changes the draws changes every forecast, and should know.
        assert_eq!(one.source_week[..8], KNOWN);
    }

    const KNOWN: [u16; 8] = [50, 51, 52, 53, 54, 55, 56, 57];

    #[test]
    fn poor_records_still_draw() {
        let none = zone("none", vec![false; 104]);
        let half: Vec<bool> = (0..104).map(|week| week >= 80).collect();
        let zones = [none, zone("half", half), zone("week", (0..104).map(|week| week == 50).collect())];
        let drawn = draw(&plan(&zones, &[0, 1], 7));
        assert_eq!(drawn.season_missing, [true; 3]);
        assert!(drawn.source_week[..106].iter().all(|&week| (80..104).contains(&week) || week == 50));
        assert!(drawn.source_week[106..212].iter().all(|&week| (80..104).contains(&week)));
        let nothing = draw(&plan(&[zone("", vec![false])], &[0], 7));
        assert!(nothing.source_week.iter().all(|&week| week == 0));
        let empty = draw(&plan(&[zone("", Vec::new())], &[0], 7));
        assert!(empty.source_week.iter().all(|&week| week == 0));
    }
}
