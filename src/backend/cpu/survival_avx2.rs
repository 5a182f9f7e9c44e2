//! The survival kernel's twin for AVX2: the same integers, eight paths a register.
//!
//! As [`super::survival_avx512`], with leading zeros counted by a conversion to f32 that cannot round up: the bit after
//! each leading one is cleared first.
//!
//! `unsafe` stands here for two reasons only: knots and increments are gathered without asking whether their index
//! lies in the slice (tables clamp theirs, the gate has checked the plan's), and whole registers are loaded from and
//! stored to slices whose lengths are checked on the spot.
//! Units: logarithms in 2^-20, probabilities in Q48, sums over parts in Q40. Twin of [`super::survival_scalar`].

use std::arch::x86_64::{
    __m128i, __m256i, _mm256_abs_epi32, _mm256_add_epi32, _mm256_add_epi64, _mm256_and_si256, _mm256_andnot_si256,
    _mm256_blend_epi32, _mm256_blendv_epi8, _mm256_castps_si256, _mm256_castsi256_si128, _mm256_cmpeq_epi32,
    _mm256_cmpgt_epi32, _mm256_cmpgt_epi64, _mm256_cvtepi32_ps, _mm256_cvtepu32_epi64, _mm256_extracti128_si256,
    _mm256_i32gather_epi32, _mm256_loadu_si256, _mm256_madd_epi16, _mm256_max_epi32, _mm256_min_epi32,
    _mm256_min_epu32, _mm256_movemask_epi8, _mm256_mul_epi32, _mm256_mul_epu32, _mm256_mulhi_epu16, _mm256_mullo_epi32,
    _mm256_set1_epi32, _mm256_set1_epi64x, _mm256_setr_epi64x, _mm256_setzero_si256, _mm256_slli_epi32,
    _mm256_slli_epi64, _mm256_sllv_epi32, _mm256_srai_epi32, _mm256_srli_epi32, _mm256_srli_epi64, _mm256_srlv_epi64,
    _mm256_storeu_si256, _mm256_sub_epi32, _mm256_sub_epi64,
};

use super::survival_scalar::{IMPOSSIBLE_Q20, NO_GROWTH_Q20, sevenths_of};
use super::survival_starts::{Futures, LANES, PART_LANES, Tile, TileSums};
use super::vector::Avx2;
use crate::fixed::exp2::CLOCK_BITS;
use crate::fixed::knots::{KNOT_BITS, SUM_SPAN_Q20};
use crate::fixed::log2::{LOG2_FINE_BITS, NOTHING_Q20};
use crate::model::survival::{MODE_MECHANISMS, POWER_LOW_Q20, PROBABILITY_HIGH_Q20, PROBABILITY_LOW_Q20, PowerTable};

impl Avx2 {
    /// Adds [`LANES`] lanes, from `first` on, of every part of a tile.
    pub fn add_survival(self, futures: &Futures, tile: &Tile, first: usize, sums: &mut TileSums) {
        let single = futures.mode.exponents.len() == 1;
        // SAFETY: `self` proves that the processor has the instructions.
        unsafe {
            for first in [first, first + EIGHT] {
                if first >= futures.paths {
                    break;
                }
                if single {
                    add_lanes::<true>(futures, tile, first, sums);
                } else {
                    add_lanes::<false>(futures, tile, first, sums);
                }
            }
        }
    }
}

/// [`PowerTable`], one a lane.
#[derive(Clone, Copy)]
struct Power {
    first: __m256i,
    span: __m256i,
    exponent: __m256i,
    tail: __m256i,
}

/// One part in eight paths.
struct Start {
    /// Log2 damage today, less what lies below the first knot.
    low: __m256i,
    power: __m256i,
    /// What turns the log2 of a sum of increments into lives.
    units: [__m256i; MODE_MECHANISMS],
    mechanism_low: [__m256i; MODE_MECHANISMS],
    mechanism_power: [__m256i; MODE_MECHANISMS],
}

/// Constants of eight paths.
struct Paths<'a> {
    knots: &'a [i32],
    sum_first: usize,
    probability_first: usize,
    mechanisms: usize,
    exponents: [Option<Power>; MODE_MECHANISMS],
    shape: Power,
    /// Lanes 0 to 3, lanes 4 to 7: all ones where there is a path.
    lane_mask: [__m256i; 2],
}

const _: () = assert!(LANES == 2 * EIGHT && PART_LANES == EIGHT);
/// Lanes of a register.
const EIGHT: usize = 8;

#[target_feature(enable = "avx2")]
fn add_lanes<const SINGLE: bool>(futures: &Futures, tile: &Tile, first: usize, sums: &mut TileSums) {
    let lanes = futures.lanes;
    let mechanisms = if SINGLE { 1 } else { futures.mode.exponents.len() };
    let mut exponents = [None; MODE_MECHANISMS];
    for (to, from) in exponents.iter_mut().zip(&futures.mode.exponents) {
        *to = from.as_ref().map(|table| everywhere(table));
    }
    let paths = Paths {
        knots: futures.knots,
        sum_first: futures.sum_first,
        probability_first: futures.probability_first,
        mechanisms,
        exponents,
        shape: Power {
            first: load(&lanes.first[first..]),
            span: load(&lanes.span_q20[first..]),
            exponent: load(&lanes.exponent_q24[first..]),
            tail: load(&lanes.tail_q20[first..]),
        },
        lane_mask: [0, 4].map(|half| {
            let beyond = (futures.paths - first - half.min(futures.paths - first)) as i64;
            _mm256_cmpgt_epi64(_mm256_set1_epi64x(beyond), _mm256_setr_epi64x(0, 1, 2, 3))
        }),
    };
    for part in 0..tile.parts() {
        let start = start(futures, tile, part, first, mechanisms);
        add_part::<SINGLE>(futures, &paths, &start, tile, part, first, sums);
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn everywhere(table: &PowerTable) -> Power {
    Power {
        first: _mm256_set1_epi32(table.first as i32),
        span: _mm256_set1_epi32(table.span_q20),
        exponent: _mm256_set1_epi32(table.exponent_q24 as i32),
        tail: _mm256_set1_epi32(table.tail_q20),
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn start(futures: &Futures, tile: &Tile, part: usize, first: usize, mechanisms: usize) -> Start {
    let zero = _mm256_setzero_si256();
    let below = _mm256_set1_epi32(POWER_LOW_Q20);
    let at = part * futures.width + first;
    let mut start = Start {
        low: _mm256_add_epi32(load(&tile.base_q20[at..]), below),
        power: load(&tile.power_q20[at..]),
        units: [zero; MODE_MECHANISMS],
        mechanism_low: [zero; MODE_MECHANISMS],
        mechanism_power: [zero; MODE_MECHANISMS],
    };
    for mechanism in 0..mechanisms {
        let shift = (tile.shift(part, mechanism) - CLOCK_BITS as i32) << LOG2_FINE_BITS;
        let rate = load(&futures.lanes.rates_q20[mechanism * futures.width + first..]);
        start.units[mechanism] = _mm256_add_epi32(_mm256_set1_epi32(shift), rate);
        if futures.mode.exponents[mechanism].is_some() {
            let at = (part * mechanisms + mechanism) * futures.width + first;
            start.mechanism_low[mechanism] = _mm256_add_epi32(load(&tile.mechanism_base_q20[at..]), below);
            start.mechanism_power[mechanism] = load(&tile.mechanism_power_q20[at..]);
        }
    }
    start
}

#[inline]
#[target_feature(enable = "avx2")]
fn add_part<const SINGLE: bool>(
    futures: &Futures,
    paths: &Paths,
    start: &Start,
    tile: &Tile,
    part: usize,
    first: usize,
    sums: &mut TileSums,
) {
    let mechanisms = if SINGLE { 1 } else { paths.mechanisms };
    let zero = _mm256_setzero_si256();
    let increments: [&[u32]; MODE_MECHANISMS] =
        std::array::from_fn(|mechanism| if mechanism < mechanisms { tile.increments(part, mechanism) } else { &[] });
    let source = &futures.source[tile.zone(part) * futures.weeks * futures.width..];
    let (mut taken, mut next) = ([zero; MODE_MECHANISMS], [zero; MODE_MECHANISMS]);
    let mut before = _mm256_set1_epi32(IMPOSSIBLE_Q20);
    let mut before_q40 = [zero; 2];
    let mut marks = futures.marks.iter().zip(futures.weeks..).peekable();
    for week in 0..=futures.weeks {
        if week < futures.weeks {
            let source: __m256i = load_u32(&source[week * futures.width + first..]);
            for mechanism in 0..mechanisms {
                next[mechanism] = gather(increments[mechanism], source);
            }
        }
        while let Some((mark, column)) = marks.next_if(|(mark, _)| mark.week as usize == week) {
            let mut then = taken;
            if mark.sevenths > 0 {
                for mechanism in 0..mechanisms {
                    then[mechanism] = _mm256_add_epi32(taken[mechanism], part_of_week(next[mechanism], mark.sevenths));
                }
            }
            let p_q48 = probability(paths, hazard::<SINGLE>(paths, start, &then, before));
            add_column(sums, part, column, first, p_q48, p_q48.map(|p| _mm256_srli_epi64::<8>(p)));
        }
        if week == futures.weeks {
            break;
        }
        for mechanism in 0..mechanisms {
            taken[mechanism] = _mm256_add_epi32(taken[mechanism], next[mechanism]);
        }
        before = hazard::<SINGLE>(paths, start, &taken, before);
        let p_q48 = probability(paths, before);
        let p_q40 = p_q48.map(|p| _mm256_srli_epi64::<8>(p));
        let new_q40 = [_mm256_sub_epi64(p_q40[0], before_q40[0]), _mm256_sub_epi64(p_q40[1], before_q40[1])];
        add_column(sums, part, week, first, p_q48, new_q40);
        before_q40 = p_q40;
    }
}

/// [`sevenths_of`], lane by lane: marks are few.
#[inline]
#[target_feature(enable = "avx2")]
fn part_of_week(increments: __m256i, sevenths: u32) -> __m256i {
    let mut lanes = [0u32; EIGHT];
    // SAFETY: eight u32 are one register; the store asks for no alignment.
    unsafe { _mm256_storeu_si256(lanes.as_mut_ptr().cast(), increments) };
    load_u32(&lanes.map(|increment| sevenths_of(increment, sevenths)))
}

/// Adds one column of a part to the group's sums and its own.
#[inline]
#[target_feature(enable = "avx2")]
fn add_column(sums: &mut TileSums, part: usize, column: usize, first: usize, p_q48: [__m256i; 2], p_q40: [__m256i; 2]) {
    let part_place = (part * sums.columns + column) * PART_LANES;
    add_to(&mut sums.parts_q48[part_place..], _mm256_add_epi64(p_q48[0], p_q48[1]));
    let place = column * sums.width + first;
    for (half, p_q40) in p_q40.into_iter().enumerate() {
        let p_q32 = _mm256_srli_epi64::<8>(p_q40);
        let square = _mm256_srli_epi64::<24>(_mm256_mul_epu32(p_q32, p_q32));
        add_to(&mut sums.failures_q40[place + half * 4..], p_q40);
        add_to(&mut sums.squares_q40[place + half * 4..], square);
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn add_to(sums: &mut [u64], added: __m256i) {
    let place = sums[..4].as_mut_ptr();
    // SAFETY: four u64 are one register; neither load nor store asks for alignment.
    unsafe { _mm256_storeu_si256(place.cast(), _mm256_add_epi64(_mm256_loadu_si256(place.cast()), added)) }
}

/// Log2 of the hazard taken on since today, never below `before`.
#[inline]
#[target_feature(enable = "avx2")]
fn hazard<const SINGLE: bool>(
    paths: &Paths,
    start: &Start,
    sums: &[__m256i; MODE_MECHANISMS],
    before: __m256i,
) -> __m256i {
    let (growth, grown);
    let zero = _mm256_setzero_si256();
    if SINGLE {
        growth = _mm256_add_epi32(log2(sums[0]), start.units[0]);
        grown = _mm256_cmpgt_epi32(sums[0], zero);
    } else {
        let nothing = _mm256_set1_epi32(NOTHING_Q20);
        let mut total = nothing;
        for (mechanism, sum) in sums[..paths.mechanisms].iter().copied().enumerate() {
            let mut one = _mm256_add_epi32(log2(sum), start.units[mechanism]);
            if let Some(table) = &paths.exponents[mechanism] {
                let (low, power) = (start.mechanism_low[mechanism], start.mechanism_power[mechanism]);
                one = power_growth(paths.knots, table, low, power, one);
            }
            one = _mm256_blendv_epi8(nothing, one, _mm256_cmpgt_epi32(sum, zero));
            total = if mechanism == 0 { one } else { log2_sum(paths.knots, paths.sum_first, total, one) };
        }
        growth = total;
        grown = _mm256_cmpgt_epi32(total, _mm256_set1_epi32(NO_GROWTH_Q20));
    }
    let now = power_growth(paths.knots, &paths.shape, start.low, start.power, growth);
    _mm256_blendv_epi8(before, _mm256_max_epi32(before, now), grown)
}

/// `low` is the base plus [`POWER_LOW_Q20`].
#[inline]
#[target_feature(enable = "avx2")]
fn power_growth(knots: &[i32], table: &Power, low: __m256i, power: __m256i, growth: __m256i) -> __m256i {
    let above = _mm256_sub_epi32(growth, low);
    let at = _mm256_min_epu32(above, table.span);
    let within = _mm256_cmpeq_epi32(above, at);
    let knot = _mm256_add_epi32(table.first, _mm256_srli_epi32::<{ KNOT_BITS as i32 }>(at));
    let (value, next) = (gather(knots, knot), gather(&knots[1..], knot));
    let fraction = _mm256_and_si256(at, _mm256_set1_epi32((1 << KNOT_BITS) - 1));
    let line = _mm256_srai_epi32::<{ KNOT_BITS as i32 }>(_mm256_mullo_epi32(_mm256_sub_epi32(next, value), fraction));
    let bend = _mm256_add_epi32(_mm256_add_epi32(power, value), line);
    if _mm256_movemask_epi8(within) == -1 { bend } else { straight(knots, table, power, growth, above, within, bend) }
}

/// The lanes that lie beyond the bend.
#[cold]
#[target_feature(enable = "avx2")]
fn straight(
    knots: &[i32],
    table: &Power,
    power: __m256i,
    growth: __m256i,
    above: __m256i,
    within: __m256i,
    bend: __m256i,
) -> __m256i {
    let even = _mm256_srli_epi64::<24>(_mm256_mul_epi32(growth, table.exponent));
    let odd = _mm256_mul_epi32(_mm256_srli_epi64::<32>(growth), _mm256_srli_epi64::<32>(table.exponent));
    let scaled = _mm256_blend_epi32::<0xAA>(even, _mm256_slli_epi64::<8>(odd));
    let high = _mm256_add_epi32(scaled, table.tail);
    let below = _mm256_add_epi32(_mm256_add_epi32(power, gather(knots, table.first)), above);
    let beyond = _mm256_blendv_epi8(high, below, _mm256_srai_epi32::<31>(above));
    _mm256_blendv_epi8(beyond, bend, within)
}

/// The function whose knots begin at `first`, where neighbours differ by less than 2^15.
#[inline]
#[target_feature(enable = "avx2")]
fn interpolate_flat(knots: &[i32], first: usize, at: __m256i) -> __m256i {
    let knots = &knots[first..];
    let knot = _mm256_srli_epi32::<{ KNOT_BITS as i32 }>(at);
    let (value, next) = (gather(knots, knot), gather(&knots[1..], knot));
    let fraction = _mm256_and_si256(at, _mm256_set1_epi32((1 << KNOT_BITS) - 1));
    let line = _mm256_madd_epi16(_mm256_sub_epi32(next, value), fraction);
    _mm256_add_epi32(value, _mm256_srai_epi32::<{ KNOT_BITS as i32 }>(line))
}

#[inline]
#[target_feature(enable = "avx2")]
fn log2_sum(knots: &[i32], first: usize, a: __m256i, b: __m256i) -> __m256i {
    let apart = _mm256_min_epi32(_mm256_abs_epi32(_mm256_sub_epi32(a, b)), _mm256_set1_epi32(SUM_SPAN_Q20));
    _mm256_add_epi32(_mm256_max_epi32(a, b), interpolate_flat(knots, first, apart))
}

/// Of zero, something that nobody uses.
#[inline]
#[target_feature(enable = "avx2")]
fn log2(x: __m256i) -> __m256i {
    let leading = _mm256_castps_si256(_mm256_cvtepi32_ps(_mm256_andnot_si256(_mm256_srli_epi32::<1>(x), x)));
    // The exponent of an f32 is 127 above the logarithm.
    let zeros = _mm256_sub_epi32(_mm256_set1_epi32(31 + 127), _mm256_srli_epi32::<23>(leading));
    let fraction_q32 = _mm256_slli_epi32::<1>(_mm256_sllv_epi32(x, zeros));
    let f = _mm256_srli_epi32::<16>(fraction_q32);
    let middle = _mm256_mullo_epi32(f, _mm256_sub_epi32(_mm256_set1_epi32(65535), f));
    let g = _mm256_srli_epi32::<14>(_mm256_add_epi32(middle, _mm256_set1_epi32(32768 + (1 << 13))));
    let mut r = _mm256_sub_epi32(_mm256_set1_epi32(12487), _mm256_mulhi_epu16(f, _mm256_set1_epi32(3343)));
    r = _mm256_sub_epi32(_mm256_set1_epi32(23786), _mm256_mulhi_epu16(r, f));
    r = _mm256_sub_epi32(_mm256_set1_epi32(36107), _mm256_mulhi_epu16(r, f));
    r = _mm256_sub_epi32(_mm256_set1_epi32(58004), _mm256_mulhi_epu16(r, f));
    let bend = _mm256_srli_epi32::<15>(_mm256_mullo_epi32(g, r));
    let whole = _mm256_slli_epi32::<{ LOG2_FINE_BITS as i32 }>(_mm256_sub_epi32(_mm256_set1_epi32(31), zeros));
    _mm256_add_epi32(_mm256_add_epi32(whole, _mm256_srli_epi32::<12>(fraction_q32)), bend)
}

/// p in Q48: lanes 0 to 7, lanes 8 to 15; zero beyond the paths.
#[inline]
#[target_feature(enable = "avx2")]
fn probability(paths: &Paths, hazard: __m256i) -> [__m256i; 2] {
    let hazard = _mm256_min_epi32(hazard, _mm256_set1_epi32(PROBABILITY_HIGH_Q20));
    let above = _mm256_sub_epi32(hazard, _mm256_set1_epi32(PROBABILITY_LOW_Q20));
    let above = _mm256_max_epi32(above, _mm256_setzero_si256());
    let psi = interpolate_flat(paths.knots, paths.probability_first, above);
    let log2_q16 = _mm256_srai_epi32::<4>(_mm256_add_epi32(_mm256_add_epi32(hazard, psi), _mm256_set1_epi32(8)));
    let f = _mm256_and_si256(log2_q16, _mm256_set1_epi32(0xffff));
    let shift = _mm256_sub_epi32(_mm256_setzero_si256(), _mm256_srai_epi32::<16>(log2_q16));
    let mantissa_q31 = exp2_fraction(f);
    let half = |mask: __m256i, mantissa: __m128i, shift: __m128i| {
        let mantissa = _mm256_slli_epi64::<17>(_mm256_cvtepu32_epi64(mantissa));
        let p = _mm256_and_si256(mask, _mm256_srlv_epi64(mantissa, _mm256_cvtepu32_epi64(shift)));
        // A logarithm that rounds to zero would give one whole: the reference stays one unit below.
        _mm256_sub_epi64(p, _mm256_srli_epi64::<{ CLOCK_BITS as i32 }>(p))
    };
    [
        half(paths.lane_mask[0], _mm256_castsi256_si128(mantissa_q31), _mm256_castsi256_si128(shift)),
        half(paths.lane_mask[1], _mm256_extracti128_si256::<1>(mantissa_q31), _mm256_extracti128_si256::<1>(shift)),
    ]
}

/// As in [`crate::fixed::exp2::exp2_fraction_q31`].
#[inline]
#[target_feature(enable = "avx2")]
fn exp2_fraction(f: __m256i) -> __m256i {
    let g = _mm256_mullo_epi32(f, _mm256_sub_epi32(_mm256_set1_epi32(65536), f));
    let s = _mm256_add_epi32(_mm256_set1_epi32(34387), _mm256_mulhi_epu16(f, _mm256_set1_epi32(7107)));
    let s_f = _mm256_srli_epi32::<2>(_mm256_add_epi32(_mm256_mulhi_epu16(s, f), _mm256_set1_epi32(2)));
    let r = _mm256_add_epi32(_mm256_set1_epi32(40235), s_f);
    let g_q16 = _mm256_srli_epi32::<14>(_mm256_add_epi32(g, _mm256_set1_epi32(1 << 13)));
    let bend = _mm256_srli_epi32::<4>(_mm256_add_epi32(_mm256_mullo_epi32(g_q16, r), _mm256_set1_epi32(8)));
    let line = _mm256_add_epi32(_mm256_set1_epi32(i32::MIN), _mm256_slli_epi32::<15>(f));
    _mm256_sub_epi32(line, bend)
}

#[inline]
#[target_feature(enable = "avx2")]
fn load(lanes: &[i32]) -> __m256i {
    // SAFETY: eight i32 are one register; the load asks for no alignment.
    unsafe { _mm256_loadu_si256(lanes[..EIGHT].as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn load_u32(lanes: &[u32]) -> __m256i {
    // SAFETY: eight u32 are one register; the load asks for no alignment.
    unsafe { _mm256_loadu_si256(lanes[..EIGHT].as_ptr().cast()) }
}

/// Eight entries of four bytes.
#[inline]
#[target_feature(enable = "avx2")]
fn gather<T: Word>(entries: &[T], index: __m256i) -> __m256i {
    // SAFETY: an index is a knot, clamped to its table, or a source week, checked at the gate.
    unsafe { _mm256_i32gather_epi32::<4>(entries.as_ptr().cast(), index) }
}

/// What may be gathered: four bytes of integer.
trait Word: Copy {}
impl Word for i32 {}
impl Word for u32 {}
