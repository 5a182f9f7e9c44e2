//! Paths: which past weeks each climate zone lives through again, in every future.
//!
//! Key idea: historical simulation in blocks of [`BLOCK_WEEKS`] weeks. For every path, zone and future block a source
//! block is drawn whose first day lies within [`SEASON_DAYS`] of the future block's in the year, from all years on
//! record; every vehicle of the zone replays its own increments of that block, so the zone's weather hits them all at
//! once. Draws are *balanced*: a record begins and ends somewhere in the year, so its blocks of a season lie on the mean
//! days before or after the future block, and in spring and autumn a few days are a few per cent of wear. A block's chance
//! is in proportion to exp(λ · days it lies off), with the λ for which the mean is none, or as near to it as [`MOST_TILT_PER_DAY`]
//! goes. Where no block of the season is on record, any block of the zone stands in, then any of the fleet.
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
/// Of two blocks so many days apart the likelier is drawn at most exp(this · days) times as often: four times for three
/// weeks and three more.
pub const MOST_TILT_PER_DAY: f64 = 0.033;
/// Steps of a bisection down to the last bits.
const BISECTIONS: usize = 60;
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
    /// `[zone][block]`: what may be drawn.
    pub sources: Vec<Vec<Vec<SourceBlock>>>,
}

/// A block on record that stands for a future one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SourceBlock {
    pub first_week: u16,
    /// To be drawn; those of a future block add up to one.
    pub chance: f64,
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
        let candidates: Vec<Vec<SourceBlock>> = (0..blocks)
            .map(|block| {
                let target = f64::from(plan.as_of_day) + 1.0 + (block * BLOCK_WEEKS) as f64 * 7.0;
                let off_season = |start: u16| {
                    let day = f64::from(first_day(plan.first_week.saturating_add(i32::from(start))));
                    off_season_days(day - target)
                };
                let season: Vec<(u16, f64)> = (of_zone.iter().map(|&start| (start, off_season(start))))
                    .filter(|(_, days)| days.abs() <= SEASON_DAYS)
                    .collect();
                if !season.is_empty() {
                    return balanced(&season);
                }
                missing = true;
                let any = [&of_zone, &of_fleet].into_iter().find(|starts| !starts.is_empty());
                let each = 1.0 / any.map_or(1.0, |any| any.len() as f64);
                any.into_iter().flatten().map(|&first_week| SourceBlock { first_week, chance: each }).collect()
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

/// How much later in the year a day stands than one that many days before it.
fn off_season_days(days: f64) -> f64 {
    let years = days / DAYS_PER_YEAR;
    (years - libm::rint(years)) * DAYS_PER_YEAR
}

/// Blocks that lie so many days off their season, with the chances that balance them.
fn balanced(blocks: &[(u16, f64)]) -> Vec<SourceBlock> {
    let weight = |tilt: f64, days: f64| libm::exp(tilt * days);
    // Grows with the tilt.
    let off = |tilt: f64| blocks.iter().map(|&(_, days)| days * weight(tilt, days)).sum::<f64>();
    let (mut low, mut high) = (-MOST_TILT_PER_DAY, MOST_TILT_PER_DAY);
    for _ in 0..BISECTIONS {
        let middle = 0.5 * (low + high);
        if off(middle) < 0.0 { low = middle } else { high = middle }
    }
    let tilt = 0.5 * (low + high);
    let sum: f64 = blocks.iter().map(|&(_, days)| weight(tilt, days)).sum();
    blocks.iter().map(|&(first_week, days)| SourceBlock { first_week, chance: weight(tilt, days) / sum }).collect()
}

/// One of the candidates by 32 random bits; the first week where there is none.
fn pick(candidates: &[SourceBlock], random: u32) -> u16 {
    let place = f64::from(random) / 4_294_967_296.0;
    let mut sum = 0.0;
    let drawn = candidates.iter().find(|block| {
        sum += block.chance;
        place < sum
    });
    // Rounding may leave the sum below one.
    drawn.or(candidates.last()).map_or(0, |block| block.first_week)
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
            assert!(off_season_days(f64::from(future - past)).abs() <= 21.0, "{week} {source}");
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

    #[test]
    fn blocks_lie_on_their_season_on_the_mean() {
        // Records that begin in the midst of a season, and in the midst of a week of the year.
        let mut unbalanced = 0.0_f64;
        for weeks in [104, 101, 90, 110, 157] {
            let zones = [zone("cold", vec![true; weeks])];
            let first_week = FIRST_WEEK + 104 - weeks as i32;
            let drawn = draw(&DrawPlan { first_week, ..plan(&zones, &[0], 7) });
            for (number, blocks) in drawn.sources[0].iter().enumerate() {
                let target = LAST_DAY + 1 + 28 * number as i32;
                let off = |block: &SourceBlock| {
                    off_season_days(f64::from(first_day(first_week + i32::from(block.first_week)) - target))
                };
                let mean: f64 = blocks.iter().map(|block| block.chance * off(block)).sum();
                assert!((blocks.iter().map(|block| block.chance).sum::<f64>() - 1.0).abs() < 1e-12);
                assert!(mean.abs() < 0.01, "{weeks} weeks, block {number}: {mean} days off");
                unbalanced = unbalanced.max((blocks.iter().map(off).sum::<f64>() / blocks.len() as f64).abs());
            }
        }
        assert!(unbalanced > 2.0, "equal chances would do: {unbalanced} days");
        // One side alone: as near as the limit goes, and nothing is shut out.
        let aside = balanced(&[(0, 7.0), (1, 14.0), (2, 21.0)]);
        assert!(aside[0].chance > aside[1].chance && aside[2].chance > 0.1, "{aside:?}");
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
