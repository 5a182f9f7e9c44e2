//! Counts of groups against their forecasts: where each count that came stands in the law that was stated for it.
//!
//! Key idea: the probability integral transform of a right forecast is uniform. A count's own chance is divided by a draw,
//! or small counts would look calibrated whatever is wrong (a closed 90 % interval of a count of mean one covers 97 %). So
//! coverage is stated for groups with at least [`FEWEST_EXPECTED`] failures expected apart.
//!
//! Counts of one day's groups share their weather, and windows of one forecast overlap: they are not independent, so no
//! p-value is given. Source: Czado, Gneiting & Held (2009), Biometrics 65, 1254–1261.

/// Below this many failures expected, an interval of a count is too coarse to be judged.
pub const FEWEST_EXPECTED: f64 = 20.0;
/// Bars of the histogram.
pub const BARS: usize = 10;

/// One count.
#[derive(Clone, Debug, PartialEq)]
pub struct PlacedCount {
    /// Which of the cut days.
    pub cut: usize,
    /// Of the vehicles that were judged together.
    pub fold: Option<u32>,
    pub group_by: String,
    pub group: Option<String>,
    pub failure_mode: String,
    /// `week` or `to_date`, with its calendar days, both included.
    pub window: &'static str,
    pub days: (i32, i32),
    pub expected: f64,
    pub variance: f64,
    pub came: i64,
    /// The randomised transform.
    pub place: f64,
}

/// How uniform places are.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Uniformity {
    pub counts: usize,
    /// Places in each tenth.
    pub bars: [u64; BARS],
    /// Share of the places between 5 and 95 %.
    pub in_90: f64,
    /// Of the places: 0.5 if forecasts are right on the whole.
    pub mean: f64,
    /// Of the places: 1/12 if the forecasts' widths are right.
    pub variance: f64,
}

/// `None` without places.
pub fn uniformity(places: impl IntoIterator<Item = f64>) -> Option<Uniformity> {
    let mut found = Uniformity::default();
    let (mut sum, mut squares, mut inside) = (0.0, 0.0, 0_usize);
    for place in places {
        found.counts += 1;
        found.bars[((place * BARS as f64) as usize).min(BARS - 1)] += 1;
        inside += usize::from((0.05..=0.95).contains(&place));
        sum += place;
        squares += place * place;
    }
    if found.counts == 0 {
        return None;
    }
    let counts = found.counts as f64;
    found.in_90 = inside as f64 / counts;
    found.mean = sum / counts;
    found.variance = (squares / counts - found.mean * found.mean).max(0.0);
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixed::threefry::threefry2x32;

    #[test]
    fn an_even_spread_is_uniform() {
        let even = uniformity((0..1_000).map(|place| (f64::from(place) + 0.5) / 1_000.0)).unwrap();
        assert_eq!((even.counts, even.bars, even.in_90), (1_000, [100; BARS], 0.9));
        assert!((even.mean - 0.5).abs() < 1e-12 && (even.variance - 1.0 / 12.0).abs() < 1e-6);
        assert_eq!(uniformity([]), None);
        assert_eq!(uniformity([1.0]).unwrap().bars[BARS - 1], 1);
    }

    /// Poisson counts of mean 3 placed in their own law, and in one of mean 4.5.
    #[test]
    fn right_laws_cover_as_stated_even_at_small_means_and_wrong_ones_do_not() {
        let up_to = |mean: f64, count: i64| -> f64 {
            (0..=count).map(|k| libm::exp(k as f64 * libm::log(mean) - mean - libm::lgamma(k as f64 + 1.0))).sum()
        };
        let places = |stated: f64| {
            (0..4_000_u32).map(move |at| {
                let uniform = |what: u32| f64::from(threefry2x32([1, what], [at, 0])[0]) / 4_294_967_296.0;
                let came = (0..).find(|&count| up_to(3.0, count) > uniform(0)).unwrap_or(0);
                let below = up_to(stated, came - 1);
                below + uniform(1) * (up_to(stated, came) - below)
            })
        };
        let right = uniformity(places(3.0)).unwrap();
        assert!((right.in_90 - 0.9).abs() < 0.015 && (right.mean - 0.5).abs() < 0.015, "{right:?}");
        let wrong = uniformity(places(4.5)).unwrap();
        assert!(wrong.in_90 < 0.85 && wrong.mean < 0.35, "{wrong:?}");
    }
}
