//! The weather of a zone: daily mean temperature and relative humidity, shared by all its vehicles.
//!
//! Means run through the year so that each month has its own mean: a piecewise linear curve whose nodes are solved for,
//! flattened towards monthly steps where it would be steeper than the month's own spread allows. Around it both
//! quantities are first-order autoregressive with the month's spread, lag-1 correlation and mutual correlation, less
//! what the curve contributes to them within a month; humidity is clipped. Figures: `datasets/climate/normals.csv`.

use super::draw::{Draws, Stream};
use super::error::SynthError;

const NORMALS_CSV: &str = include_str!("../../datasets/climate/normals.csv");
/// Of a month's variance, what the curve through the year may make up at most.
const CURVE_SHARE: f64 = 0.5;
/// Points at which the curve's moments within a month are taken.
const MONTH_POINTS: usize = 60;
/// Relative humidity is physical: fog saturates at 100 %, and no day of the records is drier than 3 %.
const HUMIDITY_RANGE_PCT: (f64, f64) = (3.0, 100.0);

/// One city's figures, January first.
#[derive(Clone, Debug, PartialEq)]
pub struct Normals {
    pub city: String,
    pub months: [Month; 12],
}

/// Of the daily values of one calendar month.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Month {
    pub temp_mean_c: f64,
    pub temp_sd_c: f64,
    pub temp_lag1: f64,
    pub humidity_mean_pct: f64,
    pub humidity_sd_pct: f64,
    pub humidity_lag1: f64,
    pub correlation: f64,
}

/// The cities of `normals.csv`, in its order.
pub fn normals() -> Result<Vec<Normals>, SynthError> {
    let mut cities: Vec<Normals> = Vec::new();
    for (index, line) in NORMALS_CSV.lines().enumerate().skip(1) {
        let problem = |problem: &str| SynthError::Climate { line: index + 1, problem: problem.to_owned() };
        let fields: Vec<&str> = line.split(',').collect();
        let [city, month, _days, numbers @ ..] = fields.as_slice() else {
            return Err(problem("too few fields"));
        };
        let month: usize = month.parse().map_err(|_| problem("month is no number"))?;
        let numbers: Vec<f64> = numbers
            .iter()
            .map(|number| number.parse().map_err(|_| problem("not a number")))
            .collect::<Result<_, _>>()?;
        let [temp_mean_c, temp_sd_c, temp_lag1, humidity_mean_pct, humidity_sd_pct, humidity_lag1, correlation, _] =
            numbers[..]
        else {
            return Err(problem("not eleven fields"));
        };
        if cities.last().is_none_or(|last| last.city != *city) {
            cities.push(Normals { city: (*city).to_owned(), months: [Month::default(); 12] });
        }
        let slot = cities.last_mut().and_then(|last| last.months.get_mut(month.wrapping_sub(1)));
        let slot = slot.ok_or_else(|| problem("month is not 1 to 12"))?;
        *slot =
            Month { temp_mean_c, temp_sd_c, temp_lag1, humidity_mean_pct, humidity_sd_pct, humidity_lag1, correlation };
    }
    Ok(cities)
}

/// Daily weather of one zone.
#[derive(Clone, Debug, PartialEq)]
pub struct ZoneWeather {
    pub first_day: i32,
    pub temp_c: Vec<f64>,
    pub humidity_pct: Vec<f64>,
}

/// The weather of a zone over `days` days. `zone` is its index in `normals.csv`, so that a city has the same weather
/// whichever other cities take part.
pub fn zone_weather(normals: &Normals, zone: u32, draws: &Draws, first_day: i32, days: u32) -> ZoneWeather {
    let temp_curve =
        YearCurve::new(normals.months.map(|month| month.temp_mean_c), normals.months.map(|month| month.temp_sd_c));
    let humidity_curve = YearCurve::new(
        normals.months.map(|month| month.humidity_mean_pct),
        normals.months.map(|month| month.humidity_sd_pct),
    );
    let anomalies: [Anomaly; 12] =
        std::array::from_fn(|month| Anomaly::of(&normals.months[month], &temp_curve, &humidity_curve, month));
    let mut weather = ZoneWeather { first_day, temp_c: Vec::new(), humidity_pct: Vec::new() };
    let (mut temp_z, mut humidity_z) = (0.0, 0.0);
    for offset in 0..days as i32 {
        let day = first_day + offset;
        let place = year_place(day);
        let anomaly = &anomalies[(place as usize).min(11)];
        let shock_temp = draws.normal(Stream::Weather, zone, 2 * day as u32);
        let shock_other = draws.normal(Stream::Weather, zone, 2 * day as u32 + 1);
        if offset == 0 {
            temp_z = shock_temp;
            humidity_z = anomaly.correlation * shock_temp + complement(anomaly.correlation) * shock_other;
        } else {
            let shock_humidity =
                anomaly.shock_correlation * shock_temp + complement(anomaly.shock_correlation) * shock_other;
            temp_z = anomaly.temp_lag1 * temp_z + complement(anomaly.temp_lag1) * shock_temp;
            humidity_z = anomaly.humidity_lag1 * humidity_z + complement(anomaly.humidity_lag1) * shock_humidity;
        }
        weather.temp_c.push(temp_curve.at(place) + anomaly.temp_sd_c * temp_z);
        let humidity_pct = humidity_curve.at(place) + anomaly.humidity_sd_pct * humidity_z;
        weather.humidity_pct.push(humidity_pct.clamp(HUMIDITY_RANGE_PCT.0, HUMIDITY_RANGE_PCT.1));
    }
    weather
}

/// What fluctuates around the curve in one month.
#[derive(Clone, Copy, Debug)]
struct Anomaly {
    temp_sd_c: f64,
    temp_lag1: f64,
    humidity_sd_pct: f64,
    humidity_lag1: f64,
    correlation: f64,
    /// Between the two innovations, so that the processes correlate as asked.
    shock_correlation: f64,
}

impl Anomaly {
    fn of(month: &Month, temp_curve: &YearCurve, humidity_curve: &YearCurve, index: usize) -> Self {
        let (temp_sd_c, temp_lag1) =
            without_curve(month.temp_sd_c, month.temp_lag1, temp_curve.covariance(temp_curve, index));
        let (humidity_sd_pct, humidity_lag1) =
            without_curve(month.humidity_sd_pct, month.humidity_lag1, humidity_curve.covariance(humidity_curve, index));
        let covariance =
            month.correlation * month.temp_sd_c * month.humidity_sd_pct - temp_curve.covariance(humidity_curve, index);
        let correlation = (covariance / (temp_sd_c * humidity_sd_pct)).clamp(-0.95, 0.95);
        // Two AR(1) processes with innovations correlated by r have correlation
        // r sqrt((1 - a²)(1 - b²)) / (1 - a b).
        let shock_correlation =
            correlation * (1.0 - temp_lag1 * humidity_lag1) / (complement(temp_lag1) * complement(humidity_lag1));
        let shock_correlation = shock_correlation.clamp(-0.99, 0.99);
        Self { temp_sd_c, temp_lag1, humidity_sd_pct, humidity_lag1, correlation, shock_correlation }
    }
}

/// sqrt(1 - x²).
fn complement(x: f64) -> f64 {
    libm::sqrt(1.0 - x * x)
}

/// Spread and lag-1 correlation of what remains of a month's daily values once the curve is taken out. The curve is
/// smooth, so its lagged covariance is its variance.
fn without_curve(sd: f64, lag1: f64, curve_variance: f64) -> (f64, f64) {
    let variance = sd * sd - curve_variance;
    (libm::sqrt(variance), ((lag1 * sd * sd - curve_variance) / variance).clamp(0.0, 0.97))
}

/// The mean through the year.
#[derive(Clone, Debug)]
struct YearCurve {
    means: [f64; 12],
    nodes: [f64; 12],
    /// 1: piecewise linear; 0: monthly steps.
    smoothness: f64,
}

impl YearCurve {
    fn new(means: [f64; 12], sds: [f64; 12]) -> Self {
        let mut curve = Self { means, nodes: nodes(&means), smoothness: 1.0 };
        let mut smoothness = 1.0f64;
        for (month, sd) in sds.iter().enumerate() {
            let variance = curve.covariance(&curve, month);
            if variance > 0.0 {
                smoothness = smoothness.min(libm::sqrt(CURVE_SHARE * sd * sd / variance));
            }
        }
        curve.smoothness = smoothness;
        curve
    }

    /// The curve at a place in the year (0 .. 12, whole numbers at month ends).
    fn at(&self, place: f64) -> f64 {
        let shifted = place + 11.5;
        let left = shifted as usize;
        let fraction = shifted - left as f64;
        let linear = self.nodes[left % 12] * (1.0 - fraction) + self.nodes[(left + 1) % 12] * fraction;
        self.smoothness * linear + (1.0 - self.smoothness) * self.means[(place as usize).min(11)]
    }

    /// Covariance of two curves over the days of a month.
    fn covariance(&self, other: &YearCurve, month: usize) -> f64 {
        let place = |point: usize| month as f64 + (point as f64 + 0.5) / MONTH_POINTS as f64;
        let sum: f64 = (0..MONTH_POINTS)
            .map(|point| (self.at(place(point)) - self.means[month]) * (other.at(place(point)) - other.means[month]))
            .sum();
        sum / MONTH_POINTS as f64
    }
}

/// Values at mid-months whose linear interpolation has the given monthly means: (left + 6 own + right) / 8 = mean.
fn nodes(means: &[f64; 12]) -> [f64; 12] {
    let mut nodes = *means;
    // Gauss and Seidel's iteration; the matrix is strongly diagonally dominant.
    for _ in 0..60 {
        for month in 0..12 {
            nodes[month] = (8.0 * means[month] - nodes[(month + 11) % 12] - nodes[(month + 1) % 12]) / 6.0;
        }
    }
    nodes
}

/// Months gone of the calendar year in the middle of a day, with the day's place in its month.
fn year_place(day: i32) -> f64 {
    use chrono::Datelike;
    let date = chrono::NaiveDate::from_epoch_days(day).unwrap_or_default();
    let days_in_month = f64::from(date.num_days_in_month());
    f64::from(date.month0()) + (f64::from(date.day0()) + 0.5) / days_in_month
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_keep_monthly_means() {
        let means: [f64; 12] =
            std::array::from_fn(|month| if month < 6 { month as f64 * 5.0 } else { 60.0 - month as f64 * 5.0 });
        for sd in [1_000.0, 2.0] {
            let curve = YearCurve::new(means, [sd; 12]);
            assert_eq!(curve.smoothness == 1.0, sd == 1_000.0);
            for (month, wanted) in means.iter().enumerate() {
                let steps = 1000;
                let place = |step: i32| month as f64 + (f64::from(step) + 0.5) / f64::from(steps);
                let mean = (0..steps).map(|step| curve.at(place(step))).sum::<f64>() / f64::from(steps);
                assert!((mean - wanted).abs() < 1e-4, "month {month}: {mean} for {wanted}");
                assert!(curve.covariance(&curve, month) <= 0.5 * sd * sd + 1e-9);
            }
        }
    }

    #[test]
    fn all_nine_cities_are_read() {
        let cities = normals().unwrap();
        assert_eq!(cities.len(), 9);
        assert!(cities.iter().all(|city| city.months.iter().all(|month| month.temp_sd_c > 0.0)));
        assert_eq!(cities[0].city, "beijing");
        assert_eq!(cities[0].months[0].temp_mean_c, -4.02);
    }
}
