//! Where a drifting channel is going: Theil–Sen slope of the recent samples, and the day on which it meets the limit.
//!
//! Key idea: the median of all pairwise slopes (Theil 1950, Sen 1968) shrugs off spikes; its interval comes from the
//! order statistics of the same slopes, Kendall's variance n(n−1)(2n+5)/18 of the count being widened by
//! (1+ρ)/(1−ρ) for residuals with memory ρ (Yue & Wang 2004). Each slope carries the level that belongs to it.
//! Units: the channel's a day; days. Nothing is ever NaN: what cannot be said is `None`.

use super::baseline::median;

/// Two-sided probability of the interval.
pub const INTERVAL: f64 = 0.9;
/// The normal quantile that belongs to it.
const INTERVAL_SDS: f64 = 1.644_853_626_951_472_2;
/// Fewest samples that make a slope.
pub const LEAST_SAMPLES: usize = 4;

/// A line through recent samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trend {
    /// Of the line, on the last sample's day.
    pub level: f64,
    pub slope_per_day: f64,
    pub slope_lower: f64,
    pub slope_upper: f64,
    /// Levels that belong to the bounds of the slope.
    pub level_at_lower: f64,
    pub level_at_upper: f64,
}

/// Days from the last sample to the limit: zero where it is met already, `None` where this slope never meets it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DaysToLimit {
    pub days: Option<f64>,
    pub lower: Option<f64>,
    pub upper: Option<f64>,
}

impl DaysToLimit {
    /// In days, where the samples' days are units of so many days each.
    pub fn scaled(self, days_per_unit: f64) -> Self {
        let scaled = |units: f64| units * days_per_unit;
        Self { days: self.days.map(scaled), lower: self.lower.map(scaled), upper: self.upper.map(scaled) }
    }
}

impl Trend {
    /// Of samples (day, value) on rising days. `lag1`: correlation of neighbouring residuals.
    pub fn of(samples: &[(i32, f32)], lag1: f64) -> Option<Self> {
        let &(last_day, _) = samples.last()?;
        if samples.len() < LEAST_SAMPLES {
            return None;
        }
        let mut slopes = Vec::with_capacity(samples.len() * (samples.len() - 1) / 2);
        for (index, &(day, value)) in samples.iter().enumerate() {
            for &(earlier_day, earlier) in &samples[..index] {
                let days = f64::from(day) - f64::from(earlier_day);
                if days > 0.0 {
                    slopes.push((f64::from(value) - f64::from(earlier)) / days);
                }
            }
        }
        if slopes.is_empty() {
            return None;
        }
        slopes.sort_unstable_by(f64::total_cmp);
        let samples_count = samples.len() as f64;
        let inflation = (1.0 + lag1) / (1.0 - lag1);
        let kendall_sd =
            libm::sqrt(samples_count * (samples_count - 1.0) * (2.0 * samples_count + 5.0) / 18.0 * inflation);
        let reach = INTERVAL_SDS * kendall_sd;
        let last = slopes.len() - 1;
        let place = |rank: f64| slopes[(rank.max(0.0) as usize).min(last)];
        let slope_lower = place(libm::floor((slopes.len() as f64 - reach) / 2.0) - 1.0);
        let slope_upper = place(libm::ceil((slopes.len() as f64 + reach) / 2.0));
        let slope_per_day = median(&mut slopes);
        let level = |slope: f64| {
            let on_last_day =
                |&(day, value): &(i32, f32)| f64::from(value) + slope * (f64::from(last_day) - f64::from(day));
            median(&mut samples.iter().map(on_last_day).collect::<Vec<f64>>())
        };
        Some(Self {
            level: level(slope_per_day),
            slope_per_day,
            slope_lower,
            slope_upper,
            level_at_lower: level(slope_lower),
            level_at_upper: level(slope_upper),
        })
    }

    /// Days until `limit` is met, from below where `rising`.
    pub fn days_to(&self, limit: f64, rising: bool) -> DaysToLimit {
        let sign = if rising { 1.0 } else { -1.0 };
        let days = |level: f64, slope: f64| {
            let left = sign * (limit - level);
            if left <= 0.0 {
                return Some(0.0);
            }
            let days = left / (sign * slope);
            (sign * slope > 0.0 && days.is_finite()).then_some(days)
        };
        let fast = days(self.level_at_upper, self.slope_upper);
        let slow = days(self.level_at_lower, self.slope_lower);
        let middle = days(self.level, self.slope_per_day);
        let (first, second) = if rising { (fast, slow) } else { (slow, fast) };
        // Levels move against slopes, so close to the limit the bounds may change places with the middle.
        let lower = [first, middle, second].into_iter().flatten().min_by(f64::total_cmp);
        let upper = match (first, middle, second) {
            (Some(a), Some(b), Some(c)) => Some(a.max(b).max(c)),
            _ => None,
        };
        DaysToLimit { days: middle, lower, upper }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixed::threefry::threefry2x32;

    #[test]
    fn a_straight_line_is_found_exactly_in_spite_of_spikes() {
        let mut samples: Vec<(i32, f32)> = (0..30).map(|day| (100 + 2 * day, 1.0 + 0.125 * day as f32)).collect();
        samples[3].1 = 900.0;
        samples[25].1 = -900.0;
        let trend = Trend::of(&samples, 0.0).unwrap();
        assert_eq!((trend.slope_per_day, trend.level), (0.0625, 1.0 + 0.125 * 29.0));
        let days = trend.days_to(6.625, true);
        assert_eq!(days.days, Some(32.0));
        assert!(days.lower.unwrap() <= 32.0 && days.upper.unwrap() >= 32.0);
        assert_eq!(trend.days_to(2.0, true).days, Some(0.0), "met already");
        assert_eq!(trend.days_to(0.0, false).days, None, "it rises away from it");
    }

    #[test]
    fn what_cannot_be_said_is_none() {
        assert_eq!(Trend::of(&[], 0.0), None);
        assert_eq!(Trend::of(&[(1, 1.0), (2, 2.0), (3, 3.0)], 0.0), None);
        assert_eq!(Trend::of(&[(1, 1.0); 9], 0.0), None, "all on one day");
        let flat = Trend::of(&[(1, 1.0), (2, 1.0), (3, 1.0), (4, 1.0)], 0.9).unwrap();
        assert_eq!(flat.days_to(2.0, true), DaysToLimit::default());
        assert_eq!(flat.days_to(1.0, true).days, Some(0.0), "exactly on the limit");
        let far = Trend::of(&[(i32::MIN, 0.0), (-1, 1.0), (0, 2.0), (i32::MAX, 3.0)], 0.0).unwrap();
        assert!(far.slope_per_day.is_finite() && far.level.is_finite());
    }

    /// How often the interval holds the true day, over fresh noisy drifts.
    fn coverage(assumed_lag1: f64, shrink: f64) -> f64 {
        let (lag1, vehicles) = (0.3, 600);
        let mut held = 0;
        for vehicle in 0..vehicles {
            let mut noise = 0.0;
            let mut samples = Vec::new();
            for day in 0..50_u32 {
                let unit = |counter: u32| {
                    let [a, b] = threefry2x32([9, counter], [vehicle, day]);
                    (f64::from(a) + f64::from(b)) / 4_294_967_296.0 - 1.0
                };
                // Three triangles: close to normal, variance 1/2; shocks of a series with standard deviation 0.25.
                noise = lag1 * noise + 0.25 * 0.953_9 * std::f64::consts::SQRT_2 * (unit(0) + unit(1) + unit(2));
                if day >= 15 {
                    samples.push((day as i32, (1.0 + 0.045 * f64::from(day) + noise) as f32));
                }
            }
            let mut trend = Trend::of(&samples, assumed_lag1).unwrap();
            trend.slope_lower = trend.slope_per_day + shrink * (trend.slope_lower - trend.slope_per_day);
            trend.slope_upper = trend.slope_per_day + shrink * (trend.slope_upper - trend.slope_per_day);
            trend.level_at_lower = trend.level + shrink * (trend.level_at_lower - trend.level);
            trend.level_at_upper = trend.level + shrink * (trend.level_at_upper - trend.level);
            let days = trend.days_to(4.0, true);
            let truth = 3.0 / 0.045 - 49.0;
            held += u32::from(days.lower.unwrap() <= truth && days.upper.is_none_or(|upper| upper >= truth));
        }
        f64::from(held) / f64::from(vehicles)
    }

    #[test]
    fn the_interval_covers_what_it_says() {
        // Two standard errors of 600 are 2.4 points.
        let covered = coverage(0.3, 1.0);
        assert!((0.86..=0.95).contains(&covered), "{covered}");
        // Memory forgotten, or an interval of half the width: the check objects.
        assert!(coverage(0.0, 1.0) < 0.86, "{}", coverage(0.0, 1.0));
        assert!(coverage(0.3, 0.5) < 0.7);
    }
}
