//! Functions of a logarithm as knots with straight lines between them.
//!
//! Units: arguments and values in 2^-20 ("Q20"); 128 knots an octave. A line's product stays within `i32` where
//! neighbouring knots differ by less than 2^18, a slope of 32. Twin: `shaders/log2.wgsl`.

use super::log2::LOG2_FINE_BITS;

/// Bits of the argument between two knots.
pub const KNOT_BITS: u32 = 13;
/// Knots of an octave.
pub const OCTAVE_KNOTS: usize = 1 << (LOG2_FINE_BITS - KNOT_BITS);
/// How far apart two terms of a sum may lie before the lesser is lost.
pub const SUM_SPAN_Q20: i32 = 24 << LOG2_FINE_BITS;

/// The function whose knots begin at `first`, at `at_q20` above its first knot. Its last knot stands twice.
#[inline(always)]
pub fn interpolate(knots: &[i32], first: usize, at_q20: i32) -> i32 {
    let knot = first + (at_q20 >> KNOT_BITS) as usize;
    let (value, next) = (knots[knot], knots[knot + 1]);
    value + (((next - value) * (at_q20 & ((1 << KNOT_BITS) - 1))) >> KNOT_BITS)
}

/// A logarithm times an exponent, rounded down.
#[inline(always)]
pub const fn scale_q20(log2_q20: i32, exponent_q24: u32) -> i32 {
    ((log2_q20 as i64 * exponent_q24 as i64) >> 24) as i32
}

/// log2(2^a + 2^b); `first` is where the knots of log2(1 + 2^-d) begin.
#[inline(always)]
pub fn log2_sum_q20(knots: &[i32], first: usize, a_q20: i32, b_q20: i32) -> i32 {
    let apart = (a_q20 - b_q20).abs().min(SUM_SPAN_Q20);
    a_q20.max(b_q20) + interpolate(knots, first, apart)
}
