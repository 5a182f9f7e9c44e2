//! Two to the power of a sum of log2 rates, in `u32` arithmetic only.
//!
//! Units: input log2 in 2^-18, output lives in 2^-48 ("Q48"). A quadratic with a linear correction in the fraction
//! approximates 2^f to 4.5e-6 relative, monotone over all fractions. Twin: `shaders/fixed.wgsl`.

/// Bits after the binary point of a log2 rate.
pub const LOG2_BITS: u32 = 18;
/// Bits after the binary point of an increment or a clock.
pub const CLOCK_BITS: u32 = 48;
/// The largest increment a record may add: one life less one unit. A rate at or above one life a record is capped
/// to it and flagged.
pub const INCREMENT_CAP_Q48: u64 = (1 << CLOCK_BITS) - 1;

/// 2^(fraction / 65536) in Q31, for a fraction of 0 ..= 65535.
#[inline(always)]
pub const fn exp2_fraction_q31(fraction: u32) -> u32 {
    let g = fraction * (65536 - fraction);
    let s = 34387 + ((7107 * fraction) >> 16);
    let r = 40235 + ((s * fraction + (1 << 17)) >> 18);
    (1 << 31) + (fraction << 15) - ((((g + (1 << 13)) >> 14) * r + 8) >> 4)
}

/// The increment in Q48 lives of a record whose log2 rate is `sum_q18`, and whether it was capped.
#[inline(always)]
pub const fn increment_q48(sum_q18: i32) -> (u64, bool) {
    if sum_q18 >= 0 {
        return (INCREMENT_CAP_Q48, true);
    }
    let log2_q16 = sum_q18 >> 2;
    let mantissa_q31 = exp2_fraction_q31((log2_q16 & 0xffff) as u32);
    let shift = (-(log2_q16 >> 16)) as u32;
    let shift = if shift > 63 { 63 } else { shift };
    (((mantissa_q31 as u64) << 17) >> shift, false)
}
