//! The survival kernel's twin for AVX-512: the same integers, sixteen paths a register.
//!
//! A part's paths leave the tables' bend together or not at all, most of the time: the straight lines beyond it are
//! computed only where a lane asks. ψ and the sum's table are flat enough for 16-bit products.
//!
//! `unsafe` stands here for two reasons only: knots and increments are gathered without asking whether their index
//! lies in the slice (tables clamp theirs, the gate has checked the plan's), and whole registers are loaded from and
//! stored to slices whose lengths are checked on the spot.
//! Units: logarithms in 2^-20, probabilities in Q48, sums over parts in Q40. Twin of [`super::survival_scalar`].

use std::arch::x86_64::{
    __m256i, __m512i, __mmask16, _mm512_abs_epi32, _mm512_add_epi32, _mm512_add_epi64, _mm512_and_si512,
    _mm512_castsi512_si256, _mm512_cmpgt_epi32_mask, _mm512_cmple_epu32_mask, _mm512_cvtepu32_epi64,
    _mm512_extracti64x4_epi64, _mm512_i32gather_epi32, _mm512_loadu_si512, _mm512_lzcnt_epi32, _mm512_madd_epi16,
    _mm512_mask_blend_epi32, _mm512_mask_max_epi32, _mm512_maskz_srlv_epi64, _mm512_max_epi32, _mm512_min_epi32,
    _mm512_min_epu32, _mm512_min_epu64, _mm512_movepi32_mask, _mm512_mul_epi32, _mm512_mul_epu32, _mm512_mulhi_epu16,
    _mm512_mullo_epi32, _mm512_set1_epi32, _mm512_set1_epi64, _mm512_setzero_si512, _mm512_slli_epi32,
    _mm512_slli_epi64, _mm512_sllv_epi32, _mm512_srai_epi32, _mm512_srli_epi32, _mm512_srli_epi64, _mm512_storeu_si512,
    _mm512_sub_epi32, _mm512_sub_epi64, _mm512_test_epi32_mask,
};

use super::survival_scalar::{IMPOSSIBLE_Q20, NO_GROWTH_Q20, sevenths_of};
use super::survival_starts::{Futures, LANES, PART_LANES, Tile, TileSums};
use super::vector::Avx512;
use crate::fixed::exp2::{CLOCK_BITS, INCREMENT_CAP_Q48};
use crate::fixed::knots::{KNOT_BITS, SUM_SPAN_Q20};
use crate::fixed::log2::{LOG2_FINE_BITS, NOTHING_Q20};
use crate::model::survival::{MODE_MECHANISMS, POWER_LOW_Q20, PROBABILITY_HIGH_Q20, PROBABILITY_LOW_Q20, PowerTable};

impl Avx512 {
    /// Adds [`LANES`] lanes, from `first` on, of every part of a tile.
    pub fn add_survival(self, futures: &Futures, tile: &Tile, first: usize, sums: &mut TileSums) {
        let single = futures.mode.exponents.len() == 1;
        // SAFETY: `self` proves that the processor has the instructions.
        unsafe {
            if single {
                add_lanes::<true>(futures, tile, first, sums)
            } else {
                add_lanes::<false>(futures, tile, first, sums)
            }
        }
    }
}

/// [`PowerTable`], one a lane.
#[derive(Clone, Copy)]
struct Power {
    first: __m512i,
    span: __m512i,
    exponent: __m512i,
    tail: __m512i,
}

/// One part in sixteen paths.
struct Start {
    /// Log2 damage today, less what lies below the first knot.
    low: __m512i,
    power: __m512i,
    /// What turns the log2 of a sum of increments into lives.
    units: [__m512i; MODE_MECHANISMS],
    mechanism_low: [__m512i; MODE_MECHANISMS],
    mechanism_power: [__m512i; MODE_MECHANISMS],
}

/// Constants of sixteen paths.
struct Paths<'a> {
    knots: &'a [i32],
    sum_first: usize,
    probability_first: usize,
    mechanisms: usize,
    exponents: [Option<Power>; MODE_MECHANISMS],
    shape: Power,
    lane_mask: __mmask16,
}

const _: () = assert!(LANES == 16 && PART_LANES == 8);

#[target_feature(enable = "avx2,avx512f,avx512bw,avx512dq,avx512vl,avx512cd")]
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
        lane_mask: ((1u32 << (futures.paths - first).min(LANES)) - 1) as __mmask16,
    };
    for part in 0..tile.parts() {
        let start = start(futures, tile, part, first, mechanisms);
        add_part::<SINGLE>(futures, &paths, &start, tile, part, first, sums);
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn everywhere(table: &PowerTable) -> Power {
    Power {
        first: _mm512_set1_epi32(table.first as i32),
        span: _mm512_set1_epi32(table.span_q20),
        exponent: _mm512_set1_epi32(table.exponent_q24 as i32),
        tail: _mm512_set1_epi32(table.tail_q20),
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn start(futures: &Futures, tile: &Tile, part: usize, first: usize, mechanisms: usize) -> Start {
    let zero = _mm512_setzero_si512();
    let below = _mm512_set1_epi32(POWER_LOW_Q20);
    let at = part * futures.width + first;
    let mut start = Start {
        low: _mm512_add_epi32(load(&tile.base_q20[at..]), below),
        power: load(&tile.power_q20[at..]),
        units: [zero; MODE_MECHANISMS],
        mechanism_low: [zero; MODE_MECHANISMS],
        mechanism_power: [zero; MODE_MECHANISMS],
    };
    for mechanism in 0..mechanisms {
        let shift = (tile.shift(part, mechanism) - CLOCK_BITS as i32) << LOG2_FINE_BITS;
        let rate = load(&futures.lanes.rates_q20[mechanism * futures.width + first..]);
        start.units[mechanism] = _mm512_add_epi32(_mm512_set1_epi32(shift), rate);
        if futures.mode.exponents[mechanism].is_some() {
            let at = (part * mechanisms + mechanism) * futures.width + first;
            start.mechanism_low[mechanism] = _mm512_add_epi32(load(&tile.mechanism_base_q20[at..]), below);
            start.mechanism_power[mechanism] = load(&tile.mechanism_power_q20[at..]);
        }
    }
    start
}

#[inline]
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512dq,avx512vl,avx512cd")]
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
    let zero = _mm512_setzero_si512();
    let increments: [&[u32]; MODE_MECHANISMS] =
        std::array::from_fn(|mechanism| if mechanism < mechanisms { tile.increments(part, mechanism) } else { &[] });
    let source = &futures.source[tile.zone(part) * futures.weeks * futures.width..];
    let (mut taken, mut next) = ([zero; MODE_MECHANISMS], [zero; MODE_MECHANISMS]);
    let mut before = _mm512_set1_epi32(IMPOSSIBLE_Q20);
    let mut before_q40 = [zero; 2];
    let mut marks = futures.marks.iter().zip(futures.weeks..).peekable();
    for week in 0..=futures.weeks {
        if week < futures.weeks {
            let source: __m512i = load_u32(&source[week * futures.width + first..]);
            for mechanism in 0..mechanisms {
                next[mechanism] = gather(increments[mechanism], source);
            }
        }
        while let Some((mark, column)) = marks.next_if(|(mark, _)| mark.week as usize == week) {
            let mut then = taken;
            if mark.sevenths > 0 {
                for mechanism in 0..mechanisms {
                    then[mechanism] = _mm512_add_epi32(taken[mechanism], part_of_week(next[mechanism], mark.sevenths));
                }
            }
            let p_q48 = probability(paths, hazard::<SINGLE>(paths, start, &then, before));
            add_column(sums, part, column, first, p_q48, p_q48.map(|p| _mm512_srli_epi64::<8>(p)));
        }
        if week == futures.weeks {
            break;
        }
        for mechanism in 0..mechanisms {
            taken[mechanism] = _mm512_add_epi32(taken[mechanism], next[mechanism]);
        }
        before = hazard::<SINGLE>(paths, start, &taken, before);
        let p_q48 = probability(paths, before);
        let p_q40 = p_q48.map(|p| _mm512_srli_epi64::<8>(p));
        let new_q40 = [_mm512_sub_epi64(p_q40[0], before_q40[0]), _mm512_sub_epi64(p_q40[1], before_q40[1])];
        add_column(sums, part, week, first, p_q48, new_q40);
        before_q40 = p_q40;
    }
}

/// [`sevenths_of`], lane by lane: marks are few.
#[inline]
#[target_feature(enable = "avx512f")]
fn part_of_week(increments: __m512i, sevenths: u32) -> __m512i {
    let mut lanes = [0u32; LANES];
    // SAFETY: sixteen u32 are one register; the store asks for no alignment.
    unsafe { _mm512_storeu_si512(lanes.as_mut_ptr().cast(), increments) };
    load_u32(&lanes.map(|increment| sevenths_of(increment, sevenths)))
}

/// Adds one column of a part to the group's sums and its own.
#[inline]
#[target_feature(enable = "avx512f")]
fn add_column(sums: &mut TileSums, part: usize, column: usize, first: usize, p_q48: [__m512i; 2], p_q40: [__m512i; 2]) {
    let part_place = (part * sums.columns + column) * PART_LANES;
    add_to(&mut sums.parts_q48[part_place..], _mm512_add_epi64(p_q48[0], p_q48[1]));
    let place = column * sums.width + first;
    for (half, p_q40) in p_q40.into_iter().enumerate() {
        let p_q32 = _mm512_srli_epi64::<8>(p_q40);
        let square = _mm512_srli_epi64::<24>(_mm512_mul_epu32(p_q32, p_q32));
        add_to(&mut sums.failures_q40[place + half * 8..], p_q40);
        add_to(&mut sums.squares_q40[place + half * 8..], square);
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn add_to(sums: &mut [u64], added: __m512i) {
    let place = sums[..8].as_mut_ptr();
    // SAFETY: eight u64 are one register; neither load nor store asks for alignment.
    unsafe { _mm512_storeu_si512(place.cast(), _mm512_add_epi64(_mm512_loadu_si512(place.cast()), added)) }
}

/// Log2 of the hazard taken on since today, never below `before`.
#[inline]
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512dq,avx512vl,avx512cd")]
fn hazard<const SINGLE: bool>(
    paths: &Paths,
    start: &Start,
    sums: &[__m512i; MODE_MECHANISMS],
    before: __m512i,
) -> __m512i {
    let (growth, grown);
    if SINGLE {
        growth = _mm512_add_epi32(log2(sums[0]), start.units[0]);
        grown = _mm512_test_epi32_mask(sums[0], sums[0]);
    } else {
        let nothing = _mm512_set1_epi32(NOTHING_Q20);
        let mut total = nothing;
        for (mechanism, sum) in sums[..paths.mechanisms].iter().copied().enumerate() {
            let mut one = _mm512_add_epi32(log2(sum), start.units[mechanism]);
            if let Some(table) = &paths.exponents[mechanism] {
                let (low, power) = (start.mechanism_low[mechanism], start.mechanism_power[mechanism]);
                one = power_growth(paths.knots, table, low, power, one);
            }
            one = _mm512_mask_blend_epi32(_mm512_test_epi32_mask(sum, sum), nothing, one);
            total = if mechanism == 0 { one } else { log2_sum(paths.knots, paths.sum_first, total, one) };
        }
        growth = total;
        grown = _mm512_cmpgt_epi32_mask(total, _mm512_set1_epi32(NO_GROWTH_Q20));
    }
    let now = power_growth(paths.knots, &paths.shape, start.low, start.power, growth);
    _mm512_mask_max_epi32(before, grown, before, now)
}

/// `low` is the base plus [`POWER_LOW_Q20`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq")]
fn power_growth(knots: &[i32], table: &Power, low: __m512i, power: __m512i, growth: __m512i) -> __m512i {
    let above = _mm512_sub_epi32(growth, low);
    let within = _mm512_cmple_epu32_mask(above, table.span);
    let at = _mm512_min_epu32(above, table.span);
    let knot = _mm512_add_epi32(table.first, _mm512_srli_epi32::<KNOT_BITS>(at));
    let (value, next) = (gather(knots, knot), gather(&knots[1..], knot));
    let fraction = _mm512_and_si512(at, _mm512_set1_epi32((1 << KNOT_BITS) - 1));
    let line = _mm512_srai_epi32::<KNOT_BITS>(_mm512_mullo_epi32(_mm512_sub_epi32(next, value), fraction));
    let bend = _mm512_add_epi32(_mm512_add_epi32(power, value), line);
    if within == __mmask16::MAX { bend } else { straight(knots, table, power, growth, above, within, bend) }
}

/// The lanes that lie beyond the bend.
#[cold]
#[target_feature(enable = "avx512f,avx512dq")]
fn straight(
    knots: &[i32],
    table: &Power,
    power: __m512i,
    growth: __m512i,
    above: __m512i,
    within: __mmask16,
    bend: __m512i,
) -> __m512i {
    let even = _mm512_srli_epi64::<24>(_mm512_mul_epi32(growth, table.exponent));
    let odd = _mm512_mul_epi32(_mm512_srli_epi64::<32>(growth), _mm512_srli_epi64::<32>(table.exponent));
    let scaled = _mm512_mask_blend_epi32(0xAAAA, even, _mm512_slli_epi64::<8>(odd));
    let high = _mm512_add_epi32(scaled, table.tail);
    let below = _mm512_add_epi32(_mm512_add_epi32(power, gather(knots, table.first)), above);
    let beyond = _mm512_mask_blend_epi32(_mm512_movepi32_mask(above), high, below);
    _mm512_mask_blend_epi32(within, beyond, bend)
}

/// The function whose knots begin at `first`, where neighbours differ by less than 2^15.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn interpolate_flat(knots: &[i32], first: usize, at: __m512i) -> __m512i {
    let knots = &knots[first..];
    let knot = _mm512_srli_epi32::<KNOT_BITS>(at);
    let (value, next) = (gather(knots, knot), gather(&knots[1..], knot));
    let fraction = _mm512_and_si512(at, _mm512_set1_epi32((1 << KNOT_BITS) - 1));
    let line = _mm512_madd_epi16(_mm512_sub_epi32(next, value), fraction);
    _mm512_add_epi32(value, _mm512_srai_epi32::<KNOT_BITS>(line))
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn log2_sum(knots: &[i32], first: usize, a: __m512i, b: __m512i) -> __m512i {
    let apart = _mm512_min_epi32(_mm512_abs_epi32(_mm512_sub_epi32(a, b)), _mm512_set1_epi32(SUM_SPAN_Q20));
    _mm512_add_epi32(_mm512_max_epi32(a, b), interpolate_flat(knots, first, apart))
}

/// Of zero, something that nobody uses.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512cd")]
fn log2(x: __m512i) -> __m512i {
    let zeros = _mm512_lzcnt_epi32(x);
    let fraction_q32 = _mm512_slli_epi32::<1>(_mm512_sllv_epi32(x, zeros));
    let f = _mm512_srli_epi32::<16>(fraction_q32);
    let middle = _mm512_mullo_epi32(f, _mm512_sub_epi32(_mm512_set1_epi32(65535), f));
    let g = _mm512_srli_epi32::<14>(_mm512_add_epi32(middle, _mm512_set1_epi32(32768 + (1 << 13))));
    let mut r = _mm512_sub_epi32(_mm512_set1_epi32(12487), _mm512_mulhi_epu16(f, _mm512_set1_epi32(3343)));
    r = _mm512_sub_epi32(_mm512_set1_epi32(23786), _mm512_mulhi_epu16(r, f));
    r = _mm512_sub_epi32(_mm512_set1_epi32(36107), _mm512_mulhi_epu16(r, f));
    r = _mm512_sub_epi32(_mm512_set1_epi32(58004), _mm512_mulhi_epu16(r, f));
    let bend = _mm512_srli_epi32::<15>(_mm512_mullo_epi32(g, r));
    let whole = _mm512_slli_epi32::<LOG2_FINE_BITS>(_mm512_sub_epi32(_mm512_set1_epi32(31), zeros));
    _mm512_add_epi32(_mm512_add_epi32(whole, _mm512_srli_epi32::<12>(fraction_q32)), bend)
}

/// p in Q48: lanes 0 to 7, lanes 8 to 15; zero beyond the paths.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq")]
fn probability(paths: &Paths, hazard: __m512i) -> [__m512i; 2] {
    let hazard = _mm512_min_epi32(hazard, _mm512_set1_epi32(PROBABILITY_HIGH_Q20));
    let above = _mm512_sub_epi32(hazard, _mm512_set1_epi32(PROBABILITY_LOW_Q20));
    let above = _mm512_max_epi32(above, _mm512_setzero_si512());
    let psi = interpolate_flat(paths.knots, paths.probability_first, above);
    let log2_q16 = _mm512_srai_epi32::<4>(_mm512_add_epi32(_mm512_add_epi32(hazard, psi), _mm512_set1_epi32(8)));
    let f = _mm512_and_si512(log2_q16, _mm512_set1_epi32(0xffff));
    let shift = _mm512_sub_epi32(_mm512_setzero_si512(), _mm512_srai_epi32::<16>(log2_q16));
    let mantissa_q31 = exp2_fraction(f);
    let half = |mask: u8, mantissa: __m256i, shift: __m256i| {
        let mantissa = _mm512_slli_epi64::<17>(_mm512_cvtepu32_epi64(mantissa));
        let p = _mm512_maskz_srlv_epi64(mask, mantissa, _mm512_cvtepu32_epi64(shift));
        // A logarithm that rounds to zero would give one whole: the reference stays one unit below.
        _mm512_min_epu64(p, _mm512_set1_epi64(INCREMENT_CAP_Q48 as i64))
    };
    [
        half(paths.lane_mask as u8, _mm512_castsi512_si256(mantissa_q31), _mm512_castsi512_si256(shift)),
        half(
            (paths.lane_mask >> 8) as u8,
            _mm512_extracti64x4_epi64::<1>(mantissa_q31),
            _mm512_extracti64x4_epi64::<1>(shift),
        ),
    ]
}

/// As in [`crate::fixed::exp2::exp2_fraction_q31`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn exp2_fraction(f: __m512i) -> __m512i {
    let g = _mm512_mullo_epi32(f, _mm512_sub_epi32(_mm512_set1_epi32(65536), f));
    let s = _mm512_add_epi32(_mm512_set1_epi32(34387), _mm512_mulhi_epu16(f, _mm512_set1_epi32(7107)));
    let s_f = _mm512_srli_epi32::<2>(_mm512_add_epi32(_mm512_mulhi_epu16(s, f), _mm512_set1_epi32(2)));
    let r = _mm512_add_epi32(_mm512_set1_epi32(40235), s_f);
    let g_q16 = _mm512_srli_epi32::<14>(_mm512_add_epi32(g, _mm512_set1_epi32(1 << 13)));
    let bend = _mm512_srli_epi32::<4>(_mm512_add_epi32(_mm512_mullo_epi32(g_q16, r), _mm512_set1_epi32(8)));
    let line = _mm512_add_epi32(_mm512_set1_epi32(i32::MIN), _mm512_slli_epi32::<15>(f));
    _mm512_sub_epi32(line, bend)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(lanes: &[i32]) -> __m512i {
    // SAFETY: sixteen i32 are one register; the load asks for no alignment.
    unsafe { _mm512_loadu_si512(lanes[..LANES].as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load_u32(lanes: &[u32]) -> __m512i {
    // SAFETY: sixteen u32 are one register; the load asks for no alignment.
    unsafe { _mm512_loadu_si512(lanes[..LANES].as_ptr().cast()) }
}

/// Sixteen entries of four bytes.
#[inline]
#[target_feature(enable = "avx512f")]
fn gather<T: Word>(entries: &[T], index: __m512i) -> __m512i {
    // SAFETY: an index is a knot, clamped to its table, or a source week, checked at the gate.
    unsafe { _mm512_i32gather_epi32::<4>(index, entries.as_ptr().cast()) }
}

/// What may be gathered: four bytes of integer.
trait Word: Copy {}
impl Word for i32 {}
impl Word for u32 {}
