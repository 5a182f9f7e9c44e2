//! Log2 of an integer in `u32` arithmetic only.
//!
//! Units: output log2 in 2^-20 ("Q20"). log2(1 + f) = f + f (1 - f) r(f), with r a polynomial of the fourth degree;
//! the fraction is taken whole in the first term and to 16 bits in the second, at the middle of its step.
//! Worst absolute error 7.7e-6 octaves. Twin: `shaders/log2.wgsl`.

use super::exp2::CLOCK_BITS;

/// Bits after the binary point of the logarithms of this file.
pub const LOG2_FINE_BITS: u32 = 20;
/// The logarithm of nothing: below that of anything there is, by more than any sum of them.
pub const NOTHING_Q20: i32 = -(1000 << LOG2_FINE_BITS);

/// Log2 of `x`, which is one or more.
#[inline(always)]
pub const fn log2_q20(x: u32) -> i32 {
    let zeros = x.leading_zeros();
    // The bits below the leading one, moved to the top of the word.
    let fraction_q32 = (x << zeros) << 1;
    let f = fraction_q32 >> 16;
    let g = f * (65535 - f) + 32768;
    let mut r = 12487 - ((3343 * f) >> 16);
    r = 23786 - ((r * f) >> 16);
    r = 36107 - ((r * f) >> 16);
    r = 58004 - ((r * f) >> 16);
    let bend = (((g + (1 << 13)) >> 14) * r) >> 15;
    ((31 - zeros) << LOG2_FINE_BITS) as i32 + (fraction_q32 >> 12) as i32 + bend as i32
}

/// Log2 of a clock in lives; [`NOTHING_Q20`] of zero.
#[inline]
pub const fn log2_clock_q20(clock_q48: u64) -> i32 {
    if clock_q48 == 0 {
        return NOTHING_Q20;
    }
    let zeros = clock_q48.leading_zeros();
    let top = ((clock_q48 << zeros) >> 32) as u32;
    log2_q20(top) + ((32 - zeros as i32 - CLOCK_BITS as i32) << LOG2_FINE_BITS)
}

#[cfg(test)]
mod tests {
    use super::{LOG2_FINE_BITS, NOTHING_Q20, log2_clock_q20, log2_q20};

    fn error(x: u32) -> f64 {
        f64::from(log2_q20(x)) / f64::from(1u32 << LOG2_FINE_BITS) - libm::log2(f64::from(x))
    }

    #[test]
    fn log2_is_close_everywhere() {
        let fine = (1u32 << 31..1 << 31 | 0x7fff_0000).step_by(4099);
        let edges = (0..32).flat_map(|bit| [1u32 << bit, (1 << bit) | 1, u32::MAX >> bit]);
        let worst = fine.chain(edges).chain(1..70_000).map(|x| error(x).abs()).fold(0.0, f64::max);
        assert!(worst < 7.7e-6, "{worst:e}");
        assert!(worst > 7.0e-6, "{worst:e}: better than stated, say so");
    }

    #[test]
    fn clocks_take_their_upper_bits() {
        assert_eq!(log2_clock_q20(0), NOTHING_Q20);
        assert_eq!(log2_clock_q20(1 << 48), log2_q20(1));
        assert_eq!(log2_clock_q20(1), log2_q20(1) - (48 << LOG2_FINE_BITS));
        for clock_q48 in [3u64, 0xffff_ffff, 0x1_0000_0001, 0x7fff_ffff_ffff_ffff, 12_345_678_901_234_567] {
            let exact = libm::log2(clock_q48 as f64) - 48.0;
            let got = f64::from(log2_clock_q20(clock_q48)) / f64::from(1u32 << LOG2_FINE_BITS);
            assert!((got - exact).abs() < 7.7e-6, "{clock_q48}");
        }
    }
}
