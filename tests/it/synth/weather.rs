//! The weather of a zone against its normals.

use fleetwear::synth::climate::{Normals, ZoneWeather, normals, zone_weather};
use fleetwear::synth::draw::Draws;

/// z-scores of monthly mean, spread, lag-1 correlation and mutual correlation over `years` years of one city.
fn climate_z(weather: &ZoneWeather, reference: &Normals, years: f64) -> Vec<(String, f64)> {
    use chrono::Datelike;
    let mut scores = Vec::new();
    for (month, normal) in reference.months.iter().enumerate() {
        let days: Vec<usize> = (1..weather.temp_c.len())
            .filter(|&index| {
                let date = chrono::NaiveDate::from_epoch_days(weather.first_day + index as i32).unwrap();
                date.month0() as usize == month && date.day() > 1
            })
            .collect();
        let n = days.len() as f64;
        let moments = |series: &[f64]| {
            let mean = days.iter().map(|&day| series[day]).sum::<f64>() / n;
            let variance = days.iter().map(|&day| (series[day] - mean).powi(2)).sum::<f64>() / n;
            let lagged = days.iter().map(|&day| (series[day] - mean) * (series[day - 1] - mean)).sum::<f64>() / n;
            (mean, variance.sqrt(), lagged / variance)
        };
        let (temp_mean, temp_sd, temp_lag1) = moments(&weather.temp_c);
        let (humidity_mean, humidity_sd, _) = moments(&weather.humidity_pct);
        let covariance = days
            .iter()
            .map(|&day| (weather.temp_c[day] - temp_mean) * (weather.humidity_pct[day] - humidity_mean))
            .sum::<f64>()
            / n;
        // Independent days in a month of an autoregressive series; a month's own record has six years of them.
        let effective = |lag1: f64| years * (1.0 + 29.0 * (1.0 - lag1) / (1.0 + lag1));
        let (temp_n, humidity_n) = (effective(normal.temp_lag1), effective(normal.humidity_lag1));
        let mut score = |what: &str, got: f64, wanted: f64, error: f64| {
            scores.push((
                format!("{} month {} {what}: {got:.3} for {wanted:.3}", reference.city, month + 1),
                (got - wanted) / error,
            ));
        };
        score("temperature mean", temp_mean, normal.temp_mean_c, normal.temp_sd_c / temp_n.sqrt());
        // Spread: its own error and what the smooth yearly curve, the clip at 100 % and the normals' sampling add.
        let spread_error = |n: f64| (0.5 / n + 0.03f64.powi(2)).sqrt();
        score("temperature spread", (temp_sd / normal.temp_sd_c).ln(), 0.0, spread_error(temp_n));
        score(
            "humidity mean",
            humidity_mean,
            normal.humidity_mean_pct,
            (normal.humidity_sd_pct.powi(2) / humidity_n + 0.6f64.powi(2)).sqrt(),
        );
        score("humidity spread", (humidity_sd / normal.humidity_sd_pct).ln(), 0.0, spread_error(humidity_n));
        score("temperature lag 1", temp_lag1, normal.temp_lag1, 0.03);
        score(
            "correlation",
            covariance / temp_sd / humidity_sd,
            normal.correlation,
            (1.0 / humidity_n + 0.03f64.powi(2)).sqrt(),
        );
    }
    scores
}

const YEARS: u32 = 60;

fn worst(scores: &[(String, f64)]) -> &(String, f64) {
    scores.iter().max_by(|a, b| a.1.abs().total_cmp(&b.1.abs())).unwrap()
}

#[test]
fn the_weather_has_its_normals() {
    let draws = Draws::new(21);
    for (index, city) in normals().unwrap().iter().enumerate() {
        let weather = zone_weather(city, index as u32, &draws, 10_957, YEARS * 365 + 15);
        let scores = climate_z(&weather, city, f64::from(YEARS));
        let worst_score = worst(&scores);
        assert!(worst_score.1.abs() < 4.5, "{worst_score:?}");
        assert!(weather.humidity_pct.iter().all(|humidity| (0.0..=100.0).contains(humidity)));
        // The check objects to last month's climate and to the wrong sign of the correlation.
        let mut shifted = city.clone();
        shifted.months.rotate_right(1);
        assert!(worst(&climate_z(&weather, &shifted, f64::from(YEARS))).1.abs() > 9.0, "{}", city.city);
        let mut flipped = city.clone();
        flipped.months.iter_mut().for_each(|month| month.correlation *= -1.0);
        assert!(worst(&climate_z(&weather, &flipped, f64::from(YEARS))).1.abs() > 9.0, "{}", city.city);
    }
}
