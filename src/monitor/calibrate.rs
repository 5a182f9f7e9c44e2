//! The detectors' limits: chosen by simulation so that healthy vehicles alarm no more often than the budget allows.
//!
//! Key idea: a baseline from 180 days is wrong by a tenth of a scale, and a wrong baseline alarms for ever, so no
//! formula for known parameters will do (a limit for one alarm in 100,000 days gives 7 to 170). Whole vehicles are
//! simulated: baseline samples, estimated by [`Baseline::of`], then the watched samples of a fixed horizon, through [`Detectors::add`]. The limit is the value that so many paths exceed as the budget has alarms.
//! Half of the budget goes to drift, half to variance. Random numbers: Threefry, counted by (path, draw).
//! Units: limits in the detectors' own sums; the budget in alarms per sample.

use rayon::prelude::*;

use super::baseline::Baseline;
use super::detectors::Detectors;
use super::law::Law;
use crate::fixed::threefry::threefry2x32;
use crate::model::spec::Direction;

/// Alarms that a limit is read from, if paths suffice: a standard error of 6 % in the rate.
const WANTED_ALARMS: f64 = 256.0;
const FEWEST_PATHS: usize = 2_000;
/// About one second on two cores at 730 samples.
const MOST_PATHS: usize = 120_000;
/// With fewer alarms than this the limit follows from the tail's exponential shape.
const TAIL_PATHS: usize = 128;
/// Samples before a path begins, so that its start has the law's own distribution.
const BURN_IN: usize = 24;
/// Share of the budget that goes to drift; the rest goes to variance.
const DRIFT_SHARE: f64 = 0.5;

/// What to simulate.
#[derive(Clone, Debug)]
pub struct Calibration<'a> {
    pub law: &'a Law,
    pub direction: Direction,
    pub baseline_samples: usize,
    /// Samples that a vehicle is watched for after its baseline; not none.
    pub watched_samples: u32,
    /// False alarms a sample.
    pub budget: f64,
    pub key: [u32; 2],
}

/// When a sum means an alarm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    pub drift: f64,
    pub variance: f64,
    /// Paths that were simulated.
    pub paths: usize,
}

/// The greatest sums of one simulated vehicle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Path {
    pub drift: f64,
    pub variance: f64,
}

impl Calibration<'_> {
    /// Simulates and reads off the limits.
    pub fn limits(&self) -> Limits {
        let wanted = WANTED_ALARMS / (self.budget * DRIFT_SHARE * f64::from(self.watched_samples.max(1)));
        let paths = (wanted.min(MOST_PATHS as f64) as usize).clamp(FEWEST_PATHS, MOST_PATHS);
        let simulated: Vec<Path> =
            (0..paths as u32).into_par_iter().map_init(Room::default, |room, path| self.path(path, room)).collect();
        let samples = paths as f64 * f64::from(self.watched_samples);
        let alarms = |share: f64| self.budget * share * samples;
        let drift = simulated.iter().map(|path| path.drift).collect();
        let variance = simulated.iter().map(|path| path.variance).collect();
        Limits {
            drift: exceeded_by(drift, alarms(DRIFT_SHARE)),
            variance: exceeded_by(variance, alarms(1.0 - DRIFT_SHARE)),
            paths,
        }
    }

    /// One healthy vehicle.
    fn path(&self, path: u32, room: &mut Room) -> Path {
        let mut word = [0; 2];
        let mut value = 0.0;
        let mut drawn = 0;
        let mut next = || {
            if drawn % 4 == 0 {
                word = threefry2x32(self.key, [path, drawn / 4]);
            }
            let bits = word[(drawn / 2 % 2) as usize] >> (drawn % 2 * 16) & 0xffff;
            drawn += 1;
            value = self.law.lag1 * value + f64::from(self.law.shocks[bits as usize]);
            value
        };
        for _ in 0..BURN_IN {
            next();
        }
        room.values.clear();
        room.values.extend((0..self.baseline_samples).map(|_| next() as f32));
        let baseline = Baseline::of(&room.values, |_| true, f64::MIN_POSITIVE, &mut room.sorted);
        let mut detectors = Detectors::default();
        let mut greatest = Path { drift: 0.0, variance: 0.0 };
        for day in 0..self.watched_samples as i32 {
            detectors.add(&baseline, self.direction, day, next(), day > 0);
            greatest.drift = greatest.drift.max(detectors.drift().sum);
            greatest.variance = greatest.variance.max(detectors.variance.sum);
        }
        greatest
    }
}

#[derive(Default)]
struct Room {
    values: Vec<f32>,
    sorted: Vec<f64>,
}

/// The value that `wanted` of the sums exceed. Where that is fewer than [`TAIL_PATHS`], sums beyond that many are
/// taken to fall off exponentially, as those of a CUSUM do.
fn exceeded_by(mut sums: Vec<f64>, wanted: f64) -> f64 {
    sums.sort_unstable_by(|a, b| b.total_cmp(a));
    let Some(&largest) = sums.first() else { return f64::INFINITY };
    let tail = TAIL_PATHS.min(sums.len() / 2).max(1);
    if wanted >= tail as f64 {
        // Between the sums of these two ranks; a budget that all paths keep asks for no limit at all.
        let rank = (wanted as usize).min(sums.len());
        let above = sums.get(rank.wrapping_sub(1)).copied().unwrap_or(largest);
        return 0.5 * (above + sums.get(rank).copied().unwrap_or(above));
    }
    let start = sums.get(tail).copied().unwrap_or(largest);
    let scale = sums[..tail.min(sums.len())].iter().map(|sum| sum - start).sum::<f64>() / tail as f64;
    start + scale * libm::log(tail as f64 / wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::normal;
    use crate::monitor::law::{BaselineSeries, QUANTILES};

    fn normal(lag1: f64) -> Law {
        let sd = libm::sqrt(1.0 - lag1 * lag1);
        let shock = |step: usize| (sd * normal::quantile((step as f64 + 0.5) / QUANTILES as f64)) as f32;
        Law { lag1, shocks: (0..QUANTILES).map(shock).collect(), vehicles: 1 }
    }

    fn calibration(law: &Law, baseline_samples: usize, watched_samples: u32) -> Calibration<'_> {
        Calibration { law, direction: Direction::Rising, baseline_samples, watched_samples, budget: 1e-5, key: [1, 2] }
    }

    /// Independent: another generator, plain loops, sorted medians; alarms among fresh healthy vehicles.
    fn false_alarms(limits: Limits, lag1: f64, baseline_samples: usize, watched: usize, vehicles: usize) -> (u32, u32) {
        let mut state = 88_172_645_463_325_252_u64;
        let mut uniform = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 11) as f64 / (1_u64 << 53) as f64
        };
        let sd = libm::sqrt(1.0 - lag1 * lag1);
        let (mut drift, mut variance) = (0, 0);
        for _ in 0..vehicles {
            let mut x = 0.0;
            let mut series = Vec::new();
            for _ in 0..20 + baseline_samples + watched {
                // Twelve uniforms: normal to the fourth moment and a little light in the tail, as sensors are.
                let shock: f64 = (0..12).map(|_| uniform()).sum::<f64>() - 6.0;
                x = lag1 * x + sd * shock;
                series.push(x);
            }
            let (own, later) = series[20..].split_at(baseline_samples);
            let middle = |mut list: Vec<f64>| {
                list.sort_by(f64::total_cmp);
                (list[(list.len() - 1) / 2] + list[list.len() / 2]) / 2.0
            };
            let level = middle(own.to_vec());
            let scale = 1.4826 * middle(own.iter().map(|v| (v - level).abs()).collect());
            let differences: Vec<f64> = own.windows(2).map(|pair| (pair[1] - pair[0]).abs()).collect();
            let cut = 4.0 * 1.4826 * middle(differences.clone());
            let squares: f64 = differences.iter().map(|difference| difference.min(cut) * difference.min(cut)).sum();
            let step = (squares / differences.len() as f64).sqrt();
            let (mut s, mut v) = (0.0_f64, 0.0_f64);
            let (mut s_max, mut v_max) = (0.0_f64, 0.0_f64);
            for (index, value) in later.iter().enumerate() {
                s = (s + ((value - level) / scale).clamp(-4.0, 4.0) - 0.5).max(0.0);
                s_max = s_max.max(s);
                if index > 0 {
                    let d = ((value - later[index - 1]) / step).clamp(-4.0, 4.0);
                    v = (v + d * d - 1.65).max(0.0);
                    v_max = v_max.max(v);
                }
            }
            drift += u32::from(s_max >= limits.drift);
            variance += u32::from(v_max >= limits.variance);
        }
        (drift, variance)
    }

    #[test]
    fn limits_grow_with_memory_and_with_a_shorter_baseline() {
        let limits = |lag1: f64, baseline: usize| {
            Calibration { budget: 1e-4, ..calibration(&normal(lag1), baseline, 365) }.limits()
        };
        let (plain, memory, short) = (limits(0.0, 180), limits(0.3, 180), limits(0.0, 60));
        // One alarm in 20,000 samples: known parameters alone need h = ln(10,000) - 1.166 = 8.04 (Siegmund 1985).
        assert!(plain.drift > 8.04, "{plain:?}");
        assert!(memory.drift > 1.3 * plain.drift && short.drift > 1.2 * plain.drift, "{plain:?} {memory:?} {short:?}");
        assert!(plain.variance > 10.0);
    }

    #[test]
    fn fresh_healthy_vehicles_keep_the_budget() {
        // A generous budget, so that the count is large: 40 alarms of each kind expected among 4,000 vehicles.
        let law = normal(0.3);
        let limits = Calibration { budget: 2e-4, ..calibration(&law, 90, 100) }.limits();
        let (drift, variance) = false_alarms(limits, 0.3, 90, 100, 4_000);
        // The 99.8 % Poisson interval of 40, widened by the limit's own 9 %.
        assert!((20..=68).contains(&drift), "{drift} {limits:?}");
        assert!((12..=68).contains(&variance), "{variance} {limits:?}");
        // A limit for independent residuals would not do, and the check sees it.
        let wrong = Calibration { budget: 2e-4, ..calibration(&normal(0.0), 90, 100) }.limits();
        assert!(false_alarms(wrong, 0.3, 90, 100, 4_000).0 > 100);
    }

    #[test]
    fn a_tail_is_continued() {
        // Exponential sums with mean 2: one in 10^6 exceeds 2 ln 10^6 = 27.6.
        let sums: Vec<f64> = (0..20_000).map(|rank| -2.0 * libm::log((f64::from(rank) + 0.5) / 20_000.0)).collect();
        assert!((exceeded_by(sums.clone(), 0.02) - 27.63).abs() < 0.5, "{}", exceeded_by(sums.clone(), 0.02));
        assert!((exceeded_by(sums.clone(), 200.0) - 9.21).abs() < 0.02);
        assert_eq!(exceeded_by(sums, 1e9), 0.0 - 2.0 * libm::log(19_999.5 / 20_000.0));
        assert_eq!(exceeded_by(Vec::new(), 1.0), f64::INFINITY);
        let law = Law::estimate(&[BaselineSeries::default()], 1.0);
        let limits = Calibration { budget: 1e-9, ..calibration(&law, 5, 1) }.limits();
        assert!(limits.drift.is_finite() && limits.variance.is_finite(), "{limits:?}");
    }
}
