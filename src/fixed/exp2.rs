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

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    use super::{INCREMENT_CAP_Q48, exp2_fraction_q31, increment_q48};

    /// Worst relative error 4.5e-6 over all fractions, rising from each to the next and into the next octave.
    #[test]
    fn exp2_fraction_is_close_and_monotone() {
        let worst = (0..65536u32)
            .map(|fraction| {
                let exact = libm::exp2(f64::from(fraction) / 65536.0);
                (f64::from(exp2_fraction_q31(fraction)) / 2_147_483_648.0 / exact - 1.0).abs()
            })
            .fold(0.0, f64::max);
        assert!(worst < 4.5e-6, "{worst:e}");
        assert!(worst > 4.0e-6, "{worst:e}: better than stated, say so");
        assert_eq!(exp2_fraction_q31(0), 1 << 31);
        assert!((0..65535).all(|fraction| exp2_fraction_q31(fraction) < exp2_fraction_q31(fraction + 1)));
        assert!(u64::from(exp2_fraction_q31(65535)) <= 1 << 32);
    }

    proptest! {
        /// Increments rise with the sum, stay below the cap, and are within one unit and 4.5e-6 of the power.
        #[test]
        fn increment_is_monotone_and_close(sum_q18 in -(70i32 << 18)..8, step in 0i32..1 << 20) {
            let (increment, capped) = increment_q48(sum_q18);
            let (larger, _) = increment_q48(sum_q18.saturating_add(step));
            prop_assert!(increment <= larger && larger <= INCREMENT_CAP_Q48);
            prop_assert_eq!(capped, sum_q18 >= 0);
            // The two bits below a fraction are dropped: up to 3 in 2^18 octaves.
            let exact = libm::exp2(f64::from(sum_q18.min(0)) / 262_144.0 + 48.0);
            let dropped = exact * (1.0 - libm::exp2(-3.0 / 262_144.0));
            prop_assert!((increment as f64 - exact).abs() <= 4.5e-6 * exact + dropped + 1.0);
        }
    }
}
