//! The watch against an oracle written from the formulas alone: whole series in memory, sorted medians, plain loops.

use fleetwear::fleet::time::TimeAxis;
use fleetwear::model::channel::Channel;
use fleetwear::model::spec::Model;
use fleetwear::monitor::alarm::Alarm;
use fleetwear::monitor::panel::Series;
use fleetwear::monitor::rules::{Rules, Steps};
use fleetwear::monitor::watch::Watch;

use super::made::{FIRST_DAY, model, noise};

const DAYS: i32 = 240;
const BASELINE: usize = 60;

fn channel() -> Channel {
    Channel { name: "spread_c".into(), unit: "K".into(), factor: 0.01, offset: 0.0, first: -1_000, codes: 3_001 }
}

/// One lot, so that no day effect is taken off.
fn rules() -> Rules {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("model.toml");
    std::fs::write(&file, model("rising", "limit = 4.0")).unwrap();
    let model = Model::load(&file.to_string_lossy()).unwrap();
    let panel: Vec<Series> = (0..60)
        .map(|vehicle| Series {
            vehicle,
            lot: 0,
            days: (0..DAYS).map(|day| FIRST_DAY + day).collect(),
            values: (0..DAYS).map(|day| (1.0 + noise(i64::from(vehicle), day)) as f32).collect(),
        })
        .collect();
    Rules::learn(&model.monitors[0], &channel(), Steps::new(TimeAxis::Days, 1.0), &panel, 1, (1, 0))
}

/// Codes of a vehicle that drifts from day 100 on at its own slope.
fn codes(vehicle: i64) -> Vec<u16> {
    let slope = 0.01 * (vehicle % 7) as f64;
    let value = |day: i32| 1.0 + noise(1_000 + vehicle, day) + slope * f64::from((day - 100).max(0));
    (0..DAYS).map(|day| (value(day) * 100.0).round() as i64 + 1_000).map(|code| code as u16).collect()
}

fn middle(mut list: Vec<f64>) -> f64 {
    list.sort_by(f64::total_cmp);
    (list[(list.len() - 1) / 2] + list[list.len() / 2]) / 2.0
}

/// (alarm day, onset day, slope, level) by drift alone, or none; `allowance` is the CUSUM's.
fn oracle(codes: &[u16], limit: f64, allowance: f64) -> Option<(i32, i32, f64, f64)> {
    let values: Vec<f64> = codes.iter().map(|&code| 0.01 * (f64::from(code) - 1_000.0)).collect();
    let level = middle(values[..BASELINE].to_vec());
    let scale = 1.482_602_218_505_602 * middle(values[..BASELINE].iter().map(|value| (value - level).abs()).collect());
    let mut sums = vec![0.0_f64];
    for value in &values[BASELINE..] {
        let deviation = ((value - level) / scale).clamp(-4.0, 4.0);
        sums.push((sums[sums.len() - 1] + deviation - allowance).max(0.0));
    }
    let hit = sums.iter().position(|&sum| sum >= limit)?;
    let zero = sums[..hit].iter().rposition(|&sum| sum == 0.0).unwrap();
    // sums[i] belongs to sample BASELINE + i - 1.
    let (alarm, onset) = (BASELINE + hit - 1, BASELINE + zero);
    let from = onset.max(values.len() - 42);
    let mut slopes = Vec::new();
    for a in from..values.len() {
        for b in a + 1..values.len() {
            slopes.push((values[b] - values[a]) / (b - a) as f64);
        }
    }
    let slope = middle(slopes);
    let last = values.len() - 1;
    let on_last_day = middle((from..values.len()).map(|at| values[at] + slope * (last - at) as f64).collect());
    Some((FIRST_DAY + alarm as i32, FIRST_DAY + onset as i32, slope, on_last_day))
}

fn watched(rules: &Rules, codes: &[u16]) -> Option<Alarm> {
    let mut watch = Watch::since(None);
    codes.iter().enumerate().for_each(|(day, &code)| watch.record(rules, FIRST_DAY + day as i32, code));
    watch.end(rules, 0, None).alarm
}

#[test]
fn drift_alarms_are_the_oracles() {
    let rules = rules();
    assert!(!rules.reference.has_effects);
    let (mut alarms, mut quiet, mut other) = (0, 0, 0);
    for vehicle in 0..70 {
        let codes = codes(vehicle);
        let got = watched(&rules, &codes).filter(|alarm| alarm.drift_day.is_some());
        let wanted = oracle(&codes, rules.limits.drift, 0.5);
        assert_eq!(got.and_then(|alarm| alarm.drift_day), wanted.map(|wanted| wanted.0), "vehicle {vehicle}");
        other += u32::from(oracle(&codes, rules.limits.drift, 0.45).map(|it| it.0) != wanted.map(|it| it.0));
        let (Some(alarm), Some((_, onset, slope, level))) = (got, wanted) else {
            quiet += 1;
            continue;
        };
        alarms += 1;
        if alarm.drift_day == Some(alarm.alarm_day) {
            assert_eq!(alarm.onset_day, onset, "vehicle {vehicle}");
        }
        // Samples are kept in single precision.
        assert!((alarm.slope_per_day.unwrap() - slope).abs() < 1e-6, "vehicle {vehicle}: {alarm:?} {slope}");
        assert!((alarm.level - level).abs() < 1e-5, "vehicle {vehicle}: {alarm:?} {level}");
    }
    assert!(alarms >= 50 && quiet >= 5, "{alarms} {quiet}");
    assert!(other >= 5, "an oracle with another allowance must differ: {other}");
}

#[test]
fn a_watch_goes_on_from_what_was_stored() {
    let rules = rules();
    for cut in [0, 1, 59, 60, 61, 150, 239] {
        let codes = codes(6);
        let mut whole = Watch::since(Some(7));
        let mut stored = Watch::since(Some(7));
        for (day, &code) in codes.iter().enumerate() {
            whole.record(&rules, FIRST_DAY + day as i32, code);
            if day == cut {
                stored = serde_json::from_value(serde_json::to_value(&stored).unwrap()).unwrap();
            }
            stored.record(&rules, FIRST_DAY + day as i32, code);
        }
        assert_eq!(whole, stored, "cut at {cut}");
        let (whole, stored) = (whole.end(&rules, 0, None), stored.end(&rules, 0, None));
        assert_eq!(whole, stored);
        assert_eq!(whole.alarm.unwrap().part_started_day, Some(7));
    }
}
