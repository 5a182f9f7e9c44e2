//! The survival kernel's reference: plain loops over one path after another. What it computes is the definition;
//! every other kernel, on any device, must give the same bits.
//!
//! Units: logarithms in 2^-20, probabilities in Q48, sums over parts in Q40. Twin: `shaders/survival.wgsl`.

use super::survival_starts::{Futures, Tile, TileSums};
use crate::fixed::exp2::{CLOCK_BITS, increment_q48};
use crate::fixed::knots::{interpolate, log2_sum_q20, scale_q20};
use crate::fixed::log2::{LOG2_FINE_BITS, NOTHING_Q20, log2_q20};
use crate::model::survival::{MODE_MECHANISMS, POWER_LOW_Q20, PROBABILITY_HIGH_Q20, PROBABILITY_LOW_Q20, PowerTable};

/// A growth below this is none: what log2 of zero leaves after sums.
pub const NO_GROWTH_Q20: i32 = -(900 << LOG2_FINE_BITS);
/// Log2 of a hazard that gives p = 0.
pub const IMPOSSIBLE_Q20: i32 = -(64 << LOG2_FINE_BITS);

/// log2((2^base + 2^growth)^exponent − 2^(base · exponent)), where `power_q20` is base times exponent.
#[inline(always)]
pub fn power_growth_q20(knots: &[i32], table: &PowerTable, base_q20: i32, power_q20: i32, growth_q20: i32) -> i32 {
    let above = growth_q20.wrapping_sub(base_q20).wrapping_sub(POWER_LOW_Q20);
    if above < 0 {
        power_q20.wrapping_add(knots[table.first as usize]).wrapping_add(above)
    } else if above <= table.span_q20 {
        power_q20.wrapping_add(interpolate(knots, table.first as usize, above))
    } else {
        scale_q20(growth_q20, table.exponent_q24).wrapping_add(table.tail_q20)
    }
}

/// 1 − exp(−2^y) in Q48, for y of [`IMPOSSIBLE_Q20`] or more.
#[inline(always)]
pub fn probability_q48(knots: &[i32], first: usize, hazard_q20: i32) -> u64 {
    let hazard_q20 = hazard_q20.min(PROBABILITY_HIGH_Q20);
    let above = (hazard_q20 - PROBABILITY_LOW_Q20).max(0);
    // Eight: half of the four bits that `increment_q48` drops.
    increment_q48((hazard_q20 + interpolate(knots, first, above) + 8) >> 2).0
}

/// Log2 of what increments add to a part's damage in one path.
fn growth_q20(futures: &Futures, tile: &Tile, part: usize, lane: usize, sums: &[u32; MODE_MECHANISMS]) -> i32 {
    let mechanisms = futures.mode.exponents.len();
    let mut total_q20 = NOTHING_Q20;
    for (mechanism, sum) in sums[..mechanisms].iter().copied().enumerate() {
        let mut one_q20 = NOTHING_Q20;
        if sum != 0 {
            let shift = tile.shift(part, mechanism) - CLOCK_BITS as i32;
            one_q20 = log2_q20(sum) + (shift << LOG2_FINE_BITS) + futures.rate_q20(mechanism, lane);
            if let Some(table) = &futures.mode.exponents[mechanism] {
                let (base_q20, power_q20) = tile.mechanism_start(part, mechanism, lane);
                one_q20 = power_growth_q20(futures.knots, table, base_q20, power_q20, one_q20);
            }
        }
        total_q20 =
            if mechanism == 0 { one_q20 } else { log2_sum_q20(futures.knots, futures.sum_first, total_q20, one_q20) };
    }
    total_q20
}

/// Log2 of the hazard that a part has taken on since today, never below `before_q20`.
fn hazard_q20(
    futures: &Futures,
    tile: &Tile,
    part: usize,
    lane: usize,
    sums: &[u32; MODE_MECHANISMS],
    before_q20: i32,
) -> i32 {
    let growth_q20 = growth_q20(futures, tile, part, lane, sums);
    if growth_q20 <= NO_GROWTH_Q20 {
        return before_q20;
    }
    let (base_q20, power_q20) = tile.start(part, lane);
    power_growth_q20(futures.knots, futures.shape(lane), base_q20, power_q20, growth_q20).max(before_q20)
}

/// Adds lanes `first .. first + lanes` of every part of a tile.
pub fn add_lanes(futures: &Futures, tile: &Tile, first: usize, lanes: usize, sums: &mut TileSums) {
    let end = futures.paths.min(first + lanes);
    for part in 0..tile.parts() {
        for lane in first..end {
            add_path(futures, tile, part, lane, sums);
        }
    }
}

fn add_path(futures: &Futures, tile: &Tile, part: usize, lane: usize, sums: &mut TileSums) {
    let mechanisms = futures.mode.exponents.len();
    let mut taken = [0u32; MODE_MECHANISMS];
    let mut before_q20 = IMPOSSIBLE_Q20;
    let mut before_q40 = 0;
    let mut marks = futures.marks.iter().enumerate().peekable();
    for week in 0..=futures.weeks {
        let source = (week < futures.weeks).then(|| futures.source_week(tile.zone(part), week, lane));
        let next: [u32; MODE_MECHANISMS] = std::array::from_fn(|mechanism| match source {
            Some(source) if mechanism < mechanisms => tile.increment(part, mechanism, source),
            _ => 0,
        });
        while let Some((at, mark)) = marks.next_if(|(_, mark)| mark.week as usize == week) {
            let then = std::array::from_fn(|mechanism| taken[mechanism] + sevenths_of(next[mechanism], mark.sevenths));
            let p_q48 = futures.probability_q48(hazard_q20(futures, tile, part, lane, &then, before_q20));
            sums.add(part, futures.weeks + at, lane, p_q48, p_q48 >> 8);
        }
        if source.is_none() {
            break;
        }
        for (taken, next) in taken.iter_mut().zip(next) {
            *taken += next;
        }
        before_q20 = hazard_q20(futures, tile, part, lane, &taken, before_q20);
        let p_q48 = futures.probability_q48(before_q20);
        sums.add(part, week, lane, p_q48, (p_q48 >> 8) - before_q40);
        before_q40 = p_q48 >> 8;
    }
}

/// So many sevenths of an increment, rounded down. An increment of the only week of a plan has 31 bits.
#[inline(always)]
pub fn sevenths_of(increment: u32, sevenths: u32) -> u32 {
    increment / 7 * sevenths + increment % 7 * sevenths / 7
}
