//! The drifting sensor lot: which vehicles carry it, which of them drift, when, and how fast.
//!
//! The fact as it is known: a lot of 1,600 vehicles, 1,247 of them with a sensor whose temperature spread drifts from
//! 1 K past 3 K, and about 21 days later the pack's overheat protection cuts in. In fleets below 20,000 vehicles both
//! counts shrink in proportion. Onsets spread over a quarter; slopes have median 0.048 K a day, so that the limit of
//! 4 K is met 21 days (median) after the threshold. Noise: standard deviation 0.25 K, lag-1 correlation 0.3.

use super::draw::{Draws, NORMAL, Stream, TABLE_BITS, TABLE_SIZE};

pub const LOT_VEHICLES: u32 = 1_600;
pub const DRIFTING_VEHICLES: u32 = 1_247;
/// The smallest fleet that has the whole lot.
pub const FULL_FLEET_VEHICLES: u32 = 20_000;
pub const BASELINE_K: f64 = 1.0;
pub const NOISE_SD_K: f64 = 0.25;
pub const NOISE_LAG1: f64 = 0.3;
pub const THRESHOLD_K: f64 = 3.0;
pub const PROTECTION_LIMIT_K: f64 = 4.0;
pub const LEAD_MEDIAN_DAYS: f64 = 21.0;
pub const SLOPE_MEDIAN_K_PER_DAY: f64 = (PROTECTION_LIMIT_K - THRESHOLD_K) / LEAD_MEDIAN_DAYS;
pub const SLOPE_LOG_SD: f64 = 0.25;
pub const ONSET_SPREAD_DAYS: u32 = 91;
/// Component of the events, and the symptom of a protection event.
pub const COMPONENT: &str = "pack_temp_sensor";
pub const SYMPTOM: &str = "OVERHEAT-PROTECTION";

/// Terms of the moving average that stands for the autoregressive noise: the next would weigh 0.3^8 < 1e-4.
const NOISE_TERMS: usize = 8;
/// Twelve-bit draws of one 64-bit word.
const DRAWS_A_WORD: i32 = (64 / TABLE_BITS) as i32;

/// Who carries the lot: a fixed permutation of the vehicles, of which the first are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lot {
    vehicles: u64,
    multiplier: u64,
    shift: u64,
    pub size: u32,
    pub drifting: u32,
    /// First day on which a drift may begin.
    pub first_onset_day: i32,
}

impl Lot {
    pub fn new(vehicles: u32, days: u32, start_day: i32, draws: &Draws) -> Self {
        let scaled = |count: u32| {
            (u64::from(count) * u64::from(vehicles.min(FULL_FLEET_VEHICLES)) + u64::from(FULL_FLEET_VEHICLES) / 2)
                / u64::from(FULL_FLEET_VEHICLES)
        };
        let modulus = u64::from(vehicles);
        // x -> (m x + s) mod n permutes 0 .. n where m and n share no factor.
        let mut multiplier = draws.bits(Stream::Fleet, 0, 1) % modulus;
        while greatest_common_divisor(multiplier, modulus) != 1 {
            multiplier += 1;
        }
        Self {
            vehicles: modulus,
            multiplier,
            shift: draws.bits(Stream::Fleet, 0, 2) % modulus,
            size: scaled(LOT_VEHICLES) as u32,
            drifting: scaled(DRIFTING_VEHICLES) as u32,
            // A third of the history is left as baseline.
            first_onset_day: start_day + (days / 3) as i32,
        }
    }

    fn place(&self, vehicle: u32) -> u64 {
        (u64::from(vehicle) * self.multiplier + self.shift) % self.vehicles
    }

    /// Whether the vehicle carries a sensor of the lot.
    pub fn carries(&self, vehicle: u32) -> bool {
        self.place(vehicle) < u64::from(self.size)
    }

    /// The drift of a vehicle's sensor, if it has one.
    pub fn drift(&self, vehicle: u32, draws: &Draws) -> Option<Drift> {
        if self.place(vehicle) >= u64::from(self.drifting) {
            return None;
        }
        let onset = draws.uniform(Stream::Fleet, vehicle, 3) * f64::from(ONSET_SPREAD_DAYS);
        let slope_k_per_day =
            SLOPE_MEDIAN_K_PER_DAY * libm::exp(SLOPE_LOG_SD * draws.normal(Stream::Fleet, vehicle, 4));
        let reaches = |level_k: f64| {
            libm::ceil((level_k - BASELINE_K) / slope_k_per_day) as i32 + self.first_onset_day + onset as i32
        };
        Some(Drift {
            onset_day: self.first_onset_day + onset as i32,
            slope_k_per_day,
            crossing_day: reaches(THRESHOLD_K),
            protection_day: reaches(PROTECTION_LIMIT_K),
            repaired_day: i32::MAX,
        })
    }
}

fn greatest_common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

/// One sensor's drift.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Drift {
    pub onset_day: i32,
    pub slope_k_per_day: f64,
    /// The day on which the drift alone, without noise, has passed 3 K.
    pub crossing_day: i32,
    /// The day on which it reaches the protection limit.
    pub protection_day: i32,
    /// From the day after this one the sensor is a good one.
    pub repaired_day: i32,
}

impl Drift {
    /// What the drift adds on a day, in kelvin.
    pub fn added_k(&self, day: i32) -> f64 {
        if day <= self.onset_day || day > self.repaired_day {
            0.0
        } else {
            self.slope_k_per_day * f64::from(day - self.onset_day)
        }
    }
}

/// The sensor noise of one vehicle, day after day. Started anywhere, it gives the same values.
#[derive(Clone, Debug)]
pub struct Noise {
    vehicle: u32,
    /// Weight of each past shock, scaled to variance one.
    weights: [f64; NOISE_TERMS],
    /// Shocks of the last days; `shocks[0]` is today's.
    shocks: [f64; NOISE_TERMS],
    word: u64,
    word_index: i32,
}

impl Noise {
    /// Ready for [`Noise::next`] on `day`.
    pub fn before(vehicle: u32, day: i32, draws: &Draws) -> Self {
        let mut weights = [1.0; NOISE_TERMS];
        for term in 1..NOISE_TERMS {
            weights[term] = weights[term - 1] * NOISE_LAG1;
        }
        let scale = 1.0 / libm::sqrt(weights.iter().map(|weight| weight * weight).sum());
        let mut noise = Self {
            vehicle,
            weights: weights.map(|weight| weight * scale),
            shocks: [0.0; NOISE_TERMS],
            word: 0,
            word_index: i32::MIN,
        };
        for past in (1..NOISE_TERMS as i32).rev() {
            noise.next(day - past, draws);
        }
        noise
    }

    /// The noise of a day in kelvin; days must follow each other.
    #[inline]
    pub fn next(&mut self, day: i32, draws: &Draws) -> f64 {
        let (index, place) = (day.div_euclid(DRAWS_A_WORD), day.rem_euclid(DRAWS_A_WORD));
        if index != self.word_index {
            self.word = draws.bits(Stream::Sensor, self.vehicle, index as u32);
            self.word_index = index;
        }
        self.shocks.rotate_right(1);
        self.shocks[0] = f64::from(NORMAL[(self.word >> (place as u32 * TABLE_BITS)) as usize % TABLE_SIZE]);
        let mut sum = 0.0;
        for (weight, shock) in self.weights.iter().zip(&self.shocks) {
            sum += weight * shock;
        }
        NOISE_SD_K * sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lot_is_counted_exactly() {
        let draws = Draws::new(3);
        for (vehicles, size, drifting) in [(20_000, 1600, 1247), (100_000, 1600, 1247), (2_000, 160, 125), (1, 0, 0)] {
            let lot = Lot::new(vehicles, 730, 19_000, &draws);
            assert_eq!((lot.size, lot.drifting), (size, drifting), "{vehicles}");
            assert_eq!((0..vehicles).filter(|&vehicle| lot.carries(vehicle)).count() as u32, size);
            let drifts = (0..vehicles).filter(|&vehicle| lot.drift(vehicle, &draws).is_some()).count() as u32;
            assert_eq!(drifts, drifting);
        }
    }

    #[test]
    fn threshold_and_limit_are_those_of_the_shipped_monitor() {
        let model = crate::model::spec::Model::load("ev-passenger").unwrap();
        let monitor = model.monitors.iter().find(|monitor| monitor.component == COMPONENT).unwrap();
        assert_eq!((monitor.threshold, monitor.limit), (Some(THRESHOLD_K), Some(PROTECTION_LIMIT_K)));
    }

    #[test]
    fn half_the_drifts_give_21_days() {
        let draws = Draws::new(3);
        let lot = Lot::new(20_000, 730, 19_000, &draws);
        let mut leads: Vec<i32> = (0..20_000)
            .filter_map(|vehicle| lot.drift(vehicle, &draws))
            .map(|drift| drift.protection_day - drift.crossing_day)
            .collect();
        leads.sort_unstable();
        assert!((20..=22).contains(&leads[leads.len() / 2]), "{}", leads[leads.len() / 2]);
        assert!(leads[0] >= 5 && leads[leads.len() - 1] <= 60, "{leads:?}");
    }

    #[test]
    fn noise_has_its_spread_and_memory_and_no_start() {
        let draws = Draws::new(5);
        let mut whole = Noise::before(9, 19_000, &draws);
        let series: Vec<f64> = (19_000..29_000).map(|day| whole.next(day, &draws)).collect();
        let mut later = Noise::before(9, 19_503, &draws);
        assert_eq!(later.next(19_503, &draws), series[503]);
        let variance = series.iter().map(|x| x * x).sum::<f64>() / series.len() as f64;
        let covariance = series.windows(2).map(|pair| pair[0] * pair[1]).sum::<f64>() / series.len() as f64;
        assert!((libm::sqrt(variance) / NOISE_SD_K - 1.0).abs() < 0.04, "{variance}");
        assert!((covariance / variance - NOISE_LAG1).abs() < 0.05, "{}", covariance / variance);
    }
}
