//! How much wider the weather to come is than the paths that replay the weather on record.
//!
//! Of two years on record a season has a dozen weeks, and futures are drawn from those alone: they know neither how far
//! the mean of so few lies from the climate's own nor how rare the weather was. Counts forecast from them are too narrow
//! (90 % intervals of 13-week totals held 80 % on the nine climates of `datasets/climate`, of 4-week totals 76 %). So the
//! departures of a zone's count from its mean over paths are multiplied, in logarithms of its hazard, by a factor for each
//! window, for the zone's own record:
//! what a prediction from so small a sample needs, as for a normal law whose mean and variance are estimated,
//!
//! ```text
//! factor² = (Σ f + Σ Σ f f' 4 Σ s s') / Σ f (1 − 4 Σ s²) × (t / z)²
//! ```
//!
//! over the window's blocks, f being the part of a block inside the window and s the share of each week on record in what
//! the block may replay, by the chances of the stretches it is in. The first sum
//! is the weather to come; the second the error of the mean, common to neighbouring blocks as far as they replay the same
//! weeks; the denominator what the paths show. t and z are the 95 % points of Student's law, with a degree of freedom for
//! every four weeks that may be replayed but one, and of the normal law. A single week replays one week of each block that
//! may be drawn, and those count one by one, as many as 1 / Σ chance². With many years the factor is 1.
//!
//! Units: weeks, pure numbers. Source: prediction intervals, e.g. Meeker, Hahn & Escobar, Statistical Intervals (2017),
//! section 4.7; Student's quantile by Abramowitz & Stegun 26.7.5.

use super::count_law::Moments;
use super::paths::{BLOCK_WEEKS, SourceBlock};
use super::weeks::DAYS_PER_WEEK;
use crate::backend::survival::PathPlan;

/// Where a season has hardly been seen nothing can be said of its spread: no factor is larger.
pub const MOST: f64 = 3.0;
/// A chance beyond which a hazard is hardly a number.
const MOST_CHANCE: f64 = 1.0 - 1e-9;
/// Newton's steps at most; a handful do.
const STEPS: usize = 64;
/// 95 % point of the normal law.
const Z95: f64 = 1.644_853_626_951_472_2;

/// The factors of every zone, one a column of the plan. `sources` are [`super::paths::Drawn::sources`], `weights` the
/// zones' vehicles. A zone that lacks a season (`season_missing`) replays what there is, which says nothing of the season's
/// own spread: it takes the mean of the other zones, weighted by vehicles, if there are any.
pub fn factors(
    sources: &[Vec<Vec<SourceBlock>>],
    season_missing: &[bool],
    weights: &[f64],
    plan: &PathPlan,
) -> Vec<Vec<f64>> {
    let mut factors: Vec<Vec<f64>> = sources.iter().map(|blocks| of_zone(blocks, plan)).collect();
    let known = || (0..sources.len()).filter(|&zone| !season_missing[zone] && weights[zone] > 0.0);
    let total: f64 = known().map(|zone| weights[zone]).sum();
    if total > 0.0 {
        let mean = |column: usize| known().map(|zone| weights[zone] * factors[zone][column]).sum::<f64>() / total;
        let pooled: Vec<f64> = (0..plan.columns()).map(mean).collect();
        for (factors, _) in factors.iter_mut().zip(season_missing).filter(|(_, missing)| **missing) {
            factors.clone_from(&pooled);
        }
    }
    factors
}

fn of_zone(blocks: &[Vec<SourceBlock>], plan: &PathPlan) -> Vec<f64> {
    let weeks: Vec<Vec<(u16, f64)>> = blocks.iter().map(|sources| weeks_of(sources)).collect();
    let of_column = |column: usize| match column.checked_sub(plan.weeks) {
        None => of_week(&blocks[column / BLOCK_WEEKS]),
        Some(mark) => {
            let mark = plan.marks[mark];
            of_blocks(&weeks, f64::from(mark.week) + f64::from(mark.sevenths) / f64::from(DAYS_PER_WEEK))
        }
    };
    (0..plan.columns()).map(of_column).collect()
}

/// The weeks on record that blocks cover, rising, and each one's share in them.
fn weeks_of(sources: &[SourceBlock]) -> Vec<(u16, f64)> {
    let each = |source: &SourceBlock| {
        let (first, share) = (source.first_week, source.chance / BLOCK_WEEKS as f64);
        (0..BLOCK_WEEKS as u16).map(move |week| (first.saturating_add(week), share))
    };
    let mut weeks: Vec<(u16, f64)> = sources.iter().flat_map(each).collect();
    weeks.sort_by_key(|week| week.0);
    weeks.chunk_by(|a, b| a.0 == b.0).map(|same| (same[0].0, same.iter().map(|week| week.1).sum())).collect()
}

/// The sum of the products of two blocks' shares.
fn common(a: &[(u16, f64)], b: &[(u16, f64)]) -> f64 {
    let share = |week: u16| b.binary_search_by_key(&week, |other| other.0).map_or(0.0, |place| b[place].1);
    a.iter().map(|&(week, own)| own * share(week)).sum()
}

fn of_week(sources: &[SourceBlock]) -> f64 {
    let common: f64 = sources.iter().map(|source| source.chance * source.chance).sum();
    let common = if sources.is_empty() { 1.0 } else { common };
    of(1.0 + common, 1.0 - common, 1.0 / common - 1.0)
}

fn of_blocks(weeks: &[Vec<(u16, f64)>], until_week: f64) -> f64 {
    let inside = |block: usize| ((until_week - (block * BLOCK_WEEKS) as f64) / BLOCK_WEEKS as f64).clamp(0.0, 1.0);
    let blocks: Vec<(f64, &Vec<(u16, f64)>)> =
        weeks.iter().enumerate().map(|(block, weeks)| (inside(block), weeks)).filter(|block| block.0 > 0.0).collect();
    let of_mean = |a: &[(u16, f64)], b: &[(u16, f64)]| BLOCK_WEEKS as f64 * common(a, b);
    let (mut needed, mut shown) = (0.0, 0.0);
    for (part, own) in &blocks {
        needed += part;
        shown += part * (1.0 - of_mean(own, own)).max(0.0);
        needed += blocks.iter().map(|(other_part, other)| part * other_part * of_mean(own, other)).sum::<f64>();
    }
    let mut all: Vec<u16> = blocks.iter().flat_map(|(_, weeks)| weeks.iter().map(|week| week.0)).collect();
    all.sort_unstable();
    all.dedup();
    of(needed, shown, all.len() as f64 / BLOCK_WEEKS as f64 - 1.0)
}

/// Of the variance that is needed, that which is shown, and its degrees of freedom.
fn of(needed: f64, shown: f64, degrees: f64) -> f64 {
    if shown <= 0.0 {
        return MOST;
    }
    (libm::sqrt(needed / shown) * student95(degrees) / Z95).clamp(1.0, MOST)
}

/// The 95 % point of Student's law, within 1 % from two degrees of freedom on; fewer count as two.
fn student95(degrees: f64) -> f64 {
    let (n, z) = (degrees.max(2.0), Z95);
    let z2 = z * z;
    let terms = [
        (z2 + 1.0) / 4.0,
        ((5.0 * z2 + 16.0) * z2 + 3.0) / 96.0,
        (((3.0 * z2 + 19.0) * z2 + 17.0) * z2 - 15.0) / 384.0,
    ];
    z * (1.0 + terms[0] / n + terms[1] / (n * n) + terms[2] / (n * n * n))
}

/// Moves a count's hazard on all paths away from its mean by a factor, in logarithms; the count's mean stays. Weather
/// multiplies hazards, and what is nearly sure to fail gets no surer: a count stays below the number of equal parts that
/// would have its moments. Paths that share their weather stand next to each other and move together: what they differ
/// by is no weather.
pub fn widen(paths: &mut [Moments], factor: f64, paths_per_weather: usize) {
    let mean = |of: &dyn Fn(&Moments) -> f64, paths: &[Moments]| paths.iter().map(of).sum::<f64>() / paths.len() as f64;
    let centre = mean(&|one| one.mean, paths);
    if factor <= 1.0 || centre <= 0.0 {
        return;
    }
    // Infinite where chances are too small to be squared.
    let parts = centre * centre / mean(&|one| one.squares, paths);
    let chance = |one: &Moments| (one.mean / parts).min(MOST_CHANCE);
    let hazard = |one: &Moments| if parts.is_finite() { -libm::log1p(-chance(one)) } else { one.mean };
    let hazard_centre = mean(&hazard, paths);
    let mut moved: Vec<f64> = Vec::with_capacity(paths.len());
    for shared in paths.chunks(paths_per_weather.max(1)) {
        let by = libm::pow(mean(&hazard, shared) / hazard_centre, factor - 1.0);
        moved.extend(shared.iter().map(|one| hazard(one) * by));
    }
    if parts.is_finite() {
        let level = level(&moved, paths.iter().map(chance).sum());
        moved.iter_mut().for_each(|hazard| *hazard = parts * -libm::expm1(-*hazard * level));
    } else {
        let level = centre * paths.len() as f64 / moved.iter().sum::<f64>();
        moved.iter_mut().for_each(|hazard| *hazard *= level);
    }
    for (one, mean) in paths.iter_mut().zip(moved) {
        scale(one, mean / one.mean, parts);
    }
}

/// What all hazards are multiplied by for their chances to have this sum: by Newton's steps, which rise to it once they
/// are below.
fn level(hazards: &[f64], chances: f64) -> f64 {
    let mut level = 1.0;
    for _ in 0..STEPS {
        let (mut excess, mut slope) = (-chances, 0.0);
        for hazard in hazards {
            excess -= libm::expm1(-hazard * level);
            slope += hazard * libm::exp(-hazard * level);
        }
        let next = (level - excess / slope).max(level / 16.0);
        if !next.is_finite() || (next - level).abs() <= 1e-13 * level {
            break;
        }
        level = next;
    }
    level
}

/// Multiplies a count, as far as there are parts.
fn scale(one: &mut Moments, by: f64, parts: f64) {
    let mean = (one.mean * by).min(parts);
    if one.mean > 0.0 && mean > 0.0 {
        one.squares = (one.squares * (mean / one.mean) * (mean / one.mean)).min(mean);
        one.mean = mean;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::survival::Mark;
    use crate::fixed::threefry::threefry2x32;
    use crate::simulate::paths::{DrawPlan, Drawn, ZoneRecord, draw};

    const HORIZON: usize = 26;
    const PATHS: usize = 100;
    const FIRST_WEEK: i32 = 2_766;

    /// Standard normal weather of a zone's week.
    fn weather(zone: usize, week: usize) -> f64 {
        let [a, b] = threefry2x32([77, zone as u32], [week as u32, 0]);
        let uniform = |bits: u32| (f64::from(bits) + 0.5) / 4_294_967_296.0;
        libm::sqrt(-2.0 * libm::log(uniform(a))) * libm::cos(std::f64::consts::TAU * uniform(b))
    }

    fn plan() -> PathPlan {
        let marks = [(4, 2), (8, 4), (13, 0), (26, 0)];
        let marks = marks.map(|(week, sevenths)| Mark { week, sevenths }).to_vec();
        PathPlan { paths: PATHS, weeks: HORIZON, marks, ..PathPlan::default() }
    }

    fn drawn(zones: usize, years: usize) -> Drawn {
        let weeks = years * 52;
        let zones: Vec<ZoneRecord> =
            (0..zones).map(|zone| ZoneRecord { name: zone.to_string(), on_record: vec![true; weeks] }).collect();
        let weather: Vec<u32> = (0..PATHS as u32).collect();
        let as_of_day = 7 * (FIRST_WEEK + weeks as i32) - 4;
        let (first_week, horizon_weeks) = (FIRST_WEEK, HORIZON);
        draw(&DrawPlan { zones: &zones, first_week, as_of_day, horizon_weeks, weather: &weather, seed: 3 })
    }

    /// The share of zones whose own future lies within the 90 % interval of its paths, by column: as drawn, widened.
    fn covered(years: usize) -> Vec<[f64; 2]> {
        const ZONES: usize = 1_500;
        let (plan, drawn) = (plan(), drawn(ZONES, years));
        let factors = factors(&drawn.sources, &[false; ZONES], &vec![1.0; ZONES], &plan);
        let mut covered = vec![[0.0; 2]; plan.columns()];
        for (zone, factors) in factors.iter().enumerate() {
            let sums = |of: &dyn Fn(usize) -> f64| -> Vec<f64> {
                let weeks: Vec<f64> = (0..HORIZON).map(|week| libm::exp(0.1 * of(week))).collect();
                let to = |mark: &Mark| {
                    let whole: f64 = weeks[..mark.week as usize].iter().sum();
                    whole + weeks.get(mark.week as usize).map_or(0.0, |next| next * f64::from(mark.sevenths) / 7.0)
                };
                weeks.iter().copied().chain(plan.marks.iter().map(to)).collect()
            };
            let truth = sums(&|week| weather(zone, years * 52 + week));
            let paths: Vec<Vec<f64>> = (0..PATHS)
                .map(|path| {
                    let source = &drawn.source_week[(zone * PATHS + path) * HORIZON..][..HORIZON];
                    sums(&|week| weather(zone, usize::from(source[week])))
                })
                .collect();
            for (column, covered) in covered.iter_mut().enumerate() {
                let mut moments: Vec<Moments> =
                    paths.iter().map(|path| Moments { mean: path[column], squares: 0.0 }).collect();
                for covered in covered {
                    let mut means: Vec<f64> = moments.iter().map(|one| one.mean).collect();
                    means.sort_unstable_by(f64::total_cmp);
                    let inside = (means[PATHS / 20 - 1]..=means[PATHS - PATHS / 20]).contains(&truth[column]);
                    *covered += f64::from(u8::from(inside)) / ZONES as f64;
                    widen(&mut moments, factors[column], 1);
                }
            }
        }
        covered
    }

    #[test]
    fn intervals_from_few_years_hold_what_they_promise() {
        for years in [2, 3, 6] {
            let covered = covered(years);
            let weeks = |which: usize| covered[..HORIZON].iter().map(|one| one[which]).sum::<f64>() / HORIZON as f64;
            assert!((0.875..0.925).contains(&weeks(1)), "{years} years, weeks: {} {}", weeks(0), weeks(1));
            for (mark, [drawn, widened]) in covered[HORIZON..].iter().enumerate() {
                assert!((0.86..0.94).contains(widened), "{years} years, mark {mark}: {drawn} {widened}");
                assert!(years > 2 || *drawn < 0.85, "mark {mark}: {drawn}: paths as drawn would do");
            }
        }
    }

    #[test]
    fn a_long_record_needs_hardly_any_factor_and_none_gets_more_than_the_most() {
        let of = |years: usize| factors(&drawn(1, years).sources, &[false], &[1.0], &plan()).remove(0);
        let (short, long) = (of(2), of(40));
        assert!(long.iter().all(|&factor| (1.0..1.03).contains(&factor)), "{long:?}");
        assert!(short.iter().zip(&long).all(|(short, long)| short > long), "{short:?}");
        for starts in [vec![], vec![0], vec![0, 1], vec![0, 1, 2, 3, 4]] {
            let chance = 1.0 / starts.len() as f64;
            let starts: Vec<SourceBlock> =
                starts.into_iter().map(|first_week| SourceBlock { first_week, chance }).collect();
            let blocks = vec![starts; HORIZON.div_ceil(BLOCK_WEEKS)];
            let factors = factors(&[blocks], &[false], &[0.0], &plan()).remove(0);
            assert!(factors.iter().all(|factor| (1.0..=MOST).contains(factor)), "{factors:?}");
        }
    }

    #[test]
    fn a_zone_has_the_factors_of_its_own_record_and_one_without_a_season_those_of_the_others() {
        let [short, long, none] = [2, 40, 2].map(|years| drawn(1, years).sources.remove(0));
        let own = |sources: &[Vec<SourceBlock>]| factors(&[sources.to_vec()], &[false], &[1.0], &plan()).remove(0);
        let (of_short, of_long) = (own(&short), own(&long));
        let all = [short, long, none];
        let found = factors(&all, &[false, false, true], &[3.0, 1.0, 9.0], &plan());
        assert!(found[0] == of_short && found[1] == of_long && of_short != of_long);
        for (at, factor) in found[2].iter().enumerate() {
            assert!((factor - (0.75 * of_short[at] + 0.25 * of_long[at])).abs() < 1e-12);
        }
        // Nobody to ask.
        assert_eq!(factors(&all[..1], &[true], &[3.0], &plan()), [of_short]);
    }

    #[test]
    fn student_has_its_quantiles() {
        for (degrees, quantile) in [(2.0, 2.920), (4.0, 2.132), (9.0, 1.833), (30.0, 1.697), (1e9, Z95)] {
            assert!((student95(degrees) / quantile - 1.0_f64).abs() < 0.013, "{degrees}: {}", student95(degrees));
        }
    }

    #[test]
    fn what_shares_its_weather_moves_together_and_the_mean_stays() {
        let rare = |squares: f64| [9.0, 11.0, 19.0, 21.0].map(|mean| Moments { mean, squares: squares * mean * mean });
        for squares in [0.0, 1e-9] {
            let mut paths = rare(squares);
            widen(&mut paths, 2.0, 2);
            let means = paths.map(|one| one.mean);
            assert!((means.iter().sum::<f64>() - 60.0).abs() < 1e-9 && (means[1] / means[0] - 11.0 / 9.0).abs() < 1e-6);
            assert!(((means[2] + means[3]) / (means[0] + means[1]) - 4.0).abs() < 1e-6, "{means:?}");
            assert!(paths.iter().all(|one| (one.squares - squares * one.mean * one.mean).abs() < 1e-12));
        }
        for (factor, mean) in [(1.0, 5.0), (2.0, 0.0)] {
            let mut paths = [Moments { mean, squares: 0.0 }; 3];
            widen(&mut paths, factor, 2);
            assert_eq!(paths, [Moments { mean, squares: 0.0 }; 3]);
        }
    }

    #[test]
    fn what_is_nearly_sure_gets_no_surer_than_that() {
        // Three parts of these chances each; a sure one, which no weather moves.
        let of = |parts: f64, chance: f64| Moments { mean: parts * chance, squares: parts * chance * chance };
        let mut paths = [0.9, 0.94, 0.97, 0.99].map(|chance| of(3.0, chance));
        let before = paths.map(|one| one.mean);
        widen(&mut paths, 3.0, 1);
        let [least, .., most] = paths.map(|one| one.mean);
        assert!(least < before[0] - 0.1 && most > before[3] && most <= 3.0, "{paths:?}");
        assert!((paths.iter().map(|one| one.mean).sum::<f64>() / before.iter().sum::<f64>() - 1.0).abs() < 0.01);
        assert!(paths.iter().all(|one| one.squares <= one.mean));
        let mut sure = [of(1.0, 1.0); 4];
        widen(&mut sure, 3.0, 1);
        assert!(sure.iter().all(|one| (one.mean - 1.0).abs() < 1e-6 && one.mean <= 1.0), "{sure:?}");
        let mut mixed = [of(2.0, 1e-300), of(2.0, 0.0), of(2.0, 0.5)];
        widen(&mut mixed, 3.0, 1);
        assert!(mixed.iter().all(|one| one.mean.is_finite() && one.squares.is_finite()), "{mixed:?}");
    }
}
