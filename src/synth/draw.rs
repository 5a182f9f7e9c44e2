//! Random numbers of the fleet: functions of the seed and of what they are for.
//!
//! A stream is a purpose; within it two counters say for which vehicle (or zone) and day (or part). Nobody holds a
//! generator, so threads, blocks and layouts cannot change a draw. Normal deviates for daily noise come from a table
//! of 4,096 quantiles (largest 3.67), twelve bits a draw; the few per vehicle are exact transforms of 64 bits.
//! Source of the generator: [`crate::fixed::threefry`].

use std::sync::LazyLock;

use crate::fixed::threefry::threefry2x32;
use crate::model::normal;

/// What a number is for. The discriminant is part of the generator's key: append, never renumber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Stream {
    /// (zone, day).
    Weather = 1,
    /// (vehicle, which trait).
    Vehicle = 2,
    /// (vehicle, day and block).
    Day = 3,
    /// (vehicle, three weeks): whether the telematics were off.
    Outage = 4,
    /// (vehicle, part and life): the hazard at which the part fails.
    Life = 5,
    /// (vehicle, part and life, or a running number): work orders.
    Order = 6,
    /// (vehicle, day): the temperature sensor's noise.
    Sensor = 7,
    /// (0, purpose): traits of the whole fleet.
    Fleet = 8,
    /// (vehicle, part and month): notices and what came of them.
    Notice = 9,
}

const STREAMS: usize = 10;

/// All streams of one seed.
#[derive(Clone, Debug)]
pub struct Draws {
    keys: [[u32; 2]; STREAMS],
}

impl Draws {
    pub fn new(seed: u64) -> Self {
        let seed_key = [seed as u32, (seed >> 32) as u32];
        Self { keys: std::array::from_fn(|stream| threefry2x32(seed_key, [stream as u32, 0])) }
    }

    /// 64 random bits for a purpose.
    #[inline]
    pub fn bits(&self, stream: Stream, first: u32, second: u32) -> u64 {
        let [low, high] = threefry2x32(self.keys[stream as usize], [first, second]);
        u64::from(low) | u64::from(high) << 32
    }

    /// Uniform on (0, 1).
    pub fn uniform(&self, stream: Stream, first: u32, second: u32) -> f64 {
        uniform(self.bits(stream, first, second))
    }

    /// Standard normal.
    pub fn normal(&self, stream: Stream, first: u32, second: u32) -> f64 {
        let [low, high] = threefry2x32(self.keys[stream as usize], [first, second]);
        // Box and Muller (1958), one of the pair.
        let radius = libm::sqrt(-2.0 * libm::log((f64::from(low) + 0.5) / 4_294_967_296.0));
        radius * libm::cos(2.0 * std::f64::consts::PI * (f64::from(high) / 4_294_967_296.0))
    }
}

/// Uniform on (0, 1): the midpoint of one of 2^53 equal steps.
pub fn uniform(bits: u64) -> f64 {
    ((bits >> 11) as f64 + 0.5) / (1u64 << 53) as f64
}

/// Picks an index by weight.
pub fn pick(uniform: f64, weights: impl IntoIterator<Item = f64> + Clone) -> usize {
    let total: f64 = weights.clone().into_iter().sum();
    let mut left = uniform * total;
    let mut last = 0;
    for (index, weight) in weights.into_iter().enumerate() {
        last = index;
        left -= weight;
        if left < 0.0 {
            break;
        }
    }
    last
}

/// Bits that a table draw takes.
pub const TABLE_BITS: u32 = 12;
pub const TABLE_SIZE: usize = 1 << TABLE_BITS;

/// Standard normal quantiles at the midpoints of 4,096 equal steps, scaled to variance one.
pub static NORMAL: LazyLock<[f32; TABLE_SIZE]> = LazyLock::new(|| {
    let quantiles: Vec<f64> =
        (0..TABLE_SIZE).map(|step| normal::quantile((step as f64 + 0.5) / TABLE_SIZE as f64)).collect();
    let variance = quantiles.iter().map(|z| z * z).sum::<f64>() / TABLE_SIZE as f64;
    let scale = 1.0 / libm::sqrt(variance);
    std::array::from_fn(|step| (quantiles[step] * scale) as f32)
});

/// Factors `exp(log_sd * z)` by the same twelve bits as [`NORMAL`], scaled to mean one.
pub fn lognormal_table(log_sd: f64) -> Box<[f32; TABLE_SIZE]> {
    let factors: Vec<f64> = NORMAL.iter().map(|&z| libm::exp(log_sd * f64::from(z))).collect();
    let mean = factors.iter().sum::<f64>() / TABLE_SIZE as f64;
    let mut table = Box::new([0.0; TABLE_SIZE]);
    for (entry, factor) in table.iter_mut().zip(factors) {
        *entry = (factor / mean) as f32;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_standard_normal() {
        let mean = NORMAL.iter().map(|&z| f64::from(z)).sum::<f64>() / TABLE_SIZE as f64;
        let variance = NORMAL.iter().map(|&z| f64::from(z) * f64::from(z)).sum::<f64>() / TABLE_SIZE as f64;
        assert!(mean.abs() < 1e-6 && (variance - 1.0).abs() < 1e-6, "{mean} {variance}");
        let factors = lognormal_table(0.4);
        let mean = factors.iter().map(|&factor| f64::from(factor)).sum::<f64>() / TABLE_SIZE as f64;
        assert!((mean - 1.0).abs() < 1e-6);
    }

    #[test]
    fn draws_differ_by_seed_stream_and_counter() {
        let draws = Draws::new(7);
        let one = draws.bits(Stream::Day, 3, 4);
        assert_eq!(one, Draws::new(7).bits(Stream::Day, 3, 4));
        for other in [
            Draws::new(8).bits(Stream::Day, 3, 4),
            Draws::new(7 + (1 << 32)).bits(Stream::Day, 3, 4),
            draws.bits(Stream::Life, 3, 4),
            draws.bits(Stream::Day, 4, 3),
            draws.bits(Stream::Day, 3, 5),
        ] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn normals_and_picks_have_their_moments() {
        let draws = Draws::new(1);
        let n = 100_000;
        let normals: Vec<f64> = (0..n).map(|i| draws.normal(Stream::Vehicle, i, 0)).collect();
        let mean = normals.iter().sum::<f64>() / f64::from(n);
        let variance = normals.iter().map(|z| z * z).sum::<f64>() / f64::from(n);
        // Five standard errors.
        assert!(mean.abs() < 0.016 && (variance - 1.0).abs() < 0.023, "{mean} {variance}");
        let ones = (0..n).filter(|&i| pick(draws.uniform(Stream::Vehicle, i, 1), [1.0, 3.0]) == 1).count() as f64;
        assert!((ones / f64::from(n) - 0.75).abs() < 0.007);
        assert_eq!(pick(1.0 - 1e-16, [0.5, 0.5]), 1);
        assert_eq!(pick(0.0, [0.5, 0.5]), 0);
    }
}
