//! Whatever a fleet may hold: drifts up, down and sideways, gaps, stuck and missing channels, replaced parts, lots of
//! one vehicle. Every result is defined, and the same however the data are read.

use std::path::Path;

use fleetwear::engine::{EngineError, MonitorRequest, Monitoring, monitor};
use fleetwear::fleet::dataset::Dataset;
use fleetwear::fleet::scan::ScanKind;
use fleetwear::model::spec::Model;
use fleetwear::monitor::alarm::{Alarm, Flag, Reason};
use fleetwear::monitor::error::MonitorError;
use fleetwear::monitor::output::VehicleId;
use fleetwear::run::Control;

use super::made::{FIRST_DAY, Made, model};
use super::watch;

const LIMITS: &str = "threshold = 3.0\nlimit = 4.0";

fn watch_made(made: &Made, model_text: &str, change: impl Fn(&mut MonitorRequest)) -> Monitoring {
    watch_as(made, model_text, (2, false), change)
}

fn watch_as(
    made: &Made,
    model_text: &str,
    (files, shuffled): (usize, bool),
    change: impl Fn(&mut MonitorRequest),
) -> Monitoring {
    let place = tempfile::tempdir().unwrap();
    made.write(place.path(), files, shuffled);
    let model_file = place.path().join("model.toml");
    std::fs::write(&model_file, model_text).unwrap();
    watch(place.path(), &model_file.to_string_lossy(), change)
}

fn alarms_of(found: &Monitoring, vehicle: i64) -> Vec<Alarm> {
    found.alarms.iter().filter(|one| one.vehicle == VehicleId::Integer(vehicle)).map(|one| one.alarm).collect()
}

/// Vehicle by vehicle something else.
fn odd_fleet() -> Made {
    let mut made = Made::healthy(120, 200);
    let drift = |day: i32, per_day: f64| per_day * f64::from((day - 100).max(0));
    made.change(3, |day, value| Some(value + drift(day, 0.05)));
    made.change(4, |day, value| Some(value - drift(day, 0.05)));
    // Swings grow threefold, the level stays.
    made.change(5, |day, value| Some(if day >= 100 { 1.0 + 3.0 * (value - 1.0) } else { value }));
    made.change(6, |day, value| (day < 30).then_some(value));
    made.change(7, |_, _| Some(1.0));
    made.change(8, |day, value| Some(if day == 150 { 15.0 } else { value }));
    made.change(9, |day, value| (day % 4 == 0).then_some(value + drift(day, 0.05)));
    made.change(10, |_, _| None);
    made.change(11, |day, value| if day < 20 { Some(value + drift(100 + 4 * day, 0.05)) } else { None });
    made.change(12, |day, _| Some(if day < 120 { 1.0 } else { 3.5 }));
    made.change(13, |day, value| Some(if day <= 150 { value + drift(day, 0.08) } else { value }));
    made.replacements.push((13, FIRST_DAY + 150));
    made.rows.retain(|row| row.0 != 14 || !(FIRST_DAY + 70..FIRST_DAY + 130).contains(&row.1));
    made
}

#[test]
fn each_oddity_has_its_defined_result() {
    let made = odd_fleet();
    let found = watch_made(&made, &model("rising", LIMITS), |request| request.as_of_day = Some(FIRST_DAY + 199));
    let only = |vehicle: i64| {
        let alarms = alarms_of(&found, vehicle);
        assert_eq!(alarms.len(), 1, "vehicle {vehicle}: {alarms:?}");
        alarms[0]
    };
    let drifting = only(3);
    assert_eq!(drifting.reason, Reason::Drift);
    let since = |day: i32| day - FIRST_DAY;
    assert!((95..115).contains(&since(drifting.onset_day)) && (105..135).contains(&since(drifting.alarm_day)));
    assert!((drifting.baseline.unwrap() - 1.0).abs() < 0.1, "{drifting:?}");
    assert!((drifting.slope_per_day.unwrap() - 0.05).abs() < 0.01, "{drifting:?}");
    assert!((drifting.level - 5.95).abs() < 0.3 && drifting.flags.has(Flag::LimitReached), "{drifting:?}");
    assert_eq!(drifting.days_to_limit.days, Some(0.0));
    assert!(drifting.threshold_day.unwrap() > drifting.alarm_day);
    assert!(alarms_of(&found, 4).is_empty(), "falling is not watched");
    let swinging = only(5);
    assert_eq!(swinging.reason, Reason::Variance, "{swinging:?}");
    assert!(swinging.alarm_day < FIRST_DAY + 125, "{swinging:?}");
    for quiet in [6, 7, 8, 10, 14] {
        assert!(alarms_of(&found, quiet).is_empty(), "vehicle {quiet}: {:?}", alarms_of(&found, quiet));
    }
    assert!(only(9).flags.has(Flag::MostlyMissing) && only(9).flags.has(Flag::Gaps), "{:?}", only(9));
    let short = only(11);
    assert_eq!(short.reason, Reason::Threshold);
    assert!(short.flags.has(Flag::BaselineIncomplete) && short.flags.has(Flag::BaselineFromLot), "{short:?}");
    assert!((short.baseline.unwrap() - 1.0).abs() < 0.1, "{short:?}");
    let stuck = only(12);
    assert!(stuck.flags.has(Flag::ConstantBaseline), "{stuck:?}");
    let replaced = only(13);
    assert_eq!(replaced.replaced_day, Some(FIRST_DAY + 150));
    assert!(replaced.flags.has(Flag::Replaced) && replaced.assessed_day == FIRST_DAY + 150, "{replaced:?}");
    // 119 vehicles with a sample, one of them with two parts.
    assert_eq!(found.monitors[0].parts, 120);
    for one in &found.alarms {
        let alarm = &one.alarm;
        let days = alarm.days_to_limit;
        let all = [Some(alarm.level), alarm.slope_per_day, alarm.slope_lower, alarm.slope_upper, days.days, days.lower];
        assert!(all.into_iter().chain([days.upper, alarm.baseline]).flatten().all(f64::is_finite), "{one:?}");
    }
    // The healthy rest keeps the budget: about four expected.
    let healthy = found.alarms.iter().filter(|one| !matches!(one.vehicle, VehicleId::Integer(3..=14))).count();
    assert!(healthy <= 12, "{healthy}");
}

#[test]
fn directions_are_those_of_the_model() {
    let made = odd_fleet();
    let falling = watch_made(&made, &model("falling", "limit = -2.0"), |_| ());
    let alarm = alarms_of(&falling, 4)[0];
    assert!(alarms_of(&falling, 3).is_empty());
    assert!((alarm.slope_per_day.unwrap() + 0.05).abs() < 0.01 && alarm.level < -3.0, "{alarm:?}");
    let both = watch_made(&made, &model("both", "limit = 4.0"), |_| ());
    assert!(!alarms_of(&both, 3).is_empty() && !alarms_of(&both, 4).is_empty());
    let upwards = alarms_of(&both, 4)[0].days_to_limit;
    assert_eq!((upwards.days, upwards.upper), (None, None), "it falls away from the limit above");
    let silent = watch_made(&made, &model("rising", ""), |_| ());
    assert_eq!(alarms_of(&silent, 3)[0].days_to_limit.days, None, "no limit, no days");
    assert!(alarms_of(&silent, 3)[0].threshold_day.is_none());
}

/// A fleet-wide cold week is taken off; a lot that drifts as one is not.
#[test]
fn a_fleet_wide_week_is_no_defect_and_a_lot_wide_drift_is_one() {
    let mut made = Made::healthy(150, 200);
    for vehicle in 0..150 {
        made.change(vehicle, |day, value| Some(value + if (120..150).contains(&day) { 0.6 } else { 0.0 }));
    }
    for vehicle in (0..150).step_by(5) {
        made.change(vehicle, |day, value| Some(value + 0.03 * f64::from((day - 150).max(0))));
    }
    let found = watch_made(&made, &model("rising", LIMITS), |_| ());
    assert!(found.monitors[0].has_day_effects);
    let in_lot =
        |one: &&fleetwear::monitor::output::VehicleAlarm| matches!(one.vehicle, VehicleId::Integer(id) if id % 5 == 0);
    let of_lot = found.alarms.iter().filter(in_lot).count();
    let others = found.alarms.len() - of_lot;
    assert!(of_lot >= 29 && others <= 12, "{of_lot} {others}");
    assert_eq!((found.cohorts[0].attribute.as_str(), found.cohorts[0].value.as_str()), ("lot", "L0"));
    // Without lots the week cannot be told from a defect: the check sees it.
    let without = model("rising", LIMITS).replace("lot = \"lot\"", "lot = \"supplier\"");
    let blind = watch_made(&made, &without, |_| ());
    assert!(blind.alarms.len() > 60 && !blind.monitors[0].has_day_effects, "{}", blind.alarms.len());
    assert!(blind.warnings.iter().any(|warning| warning.contains("supplier")), "{:?}", blind.warnings);
}

#[test]
fn however_the_data_are_read_the_rows_are_the_same() {
    let made = odd_fleet();
    let text = model("both", LIMITS);
    let first = watch_as(&made, &text, (1, false), |request| request.threads = 1);
    assert!(first.alarms.len() >= 7 && !first.cohorts.is_empty());
    let hashes = first.content_hashes().unwrap();
    let ways: [(usize, bool, usize, usize, usize, bool); 6] = [
        (3, false, 2, 100, 64 << 20, false),
        (3, false, 3, 1_000, 64 << 20, true),
        (2, true, 2, 777, 64 << 20, false),
        (4, true, 8, 50_000, 4 << 20, true),
        (1, false, 2, 5_000, 60_000, false),
        (2, true, 1, 10_000, 60_000, true),
    ];
    for (files, shuffled, threads, chunk_rows, memory_limit_bytes, reversed) in ways {
        let found = watch_as(&made, &text, (files, shuffled), |request| {
            request.threads = threads;
            request.chunk_rows = chunk_rows;
            request.memory_limit_bytes = memory_limit_bytes;
            request.reversed = reversed;
        });
        let way = format!("{files} files, shuffled {shuffled}, {threads} threads, {memory_limit_bytes} bytes");
        assert_eq!(found.alarms, first.alarms, "{way}");
        assert_eq!(found.cohorts, first.cohorts, "{way}");
        assert_eq!(found.monitors, first.monitors, "{way}");
        assert_eq!(found.content_hashes().unwrap(), hashes, "{way}");
    }
    let spilled = watch_as(&made, &text, (1, false), |request| request.scan_kind = Some(ScanKind::Spill));
    assert_eq!(spilled.content_hashes().unwrap(), hashes);
    // One value of one day changes them.
    let mut other = made.clone();
    other.change(3, |day, value| Some(if day == 199 { value + 0.4 } else { value }));
    assert_ne!(watch_made(&other, &text, |_| ()).content_hashes().unwrap()[0], hashes[0]);
}

#[test]
fn what_is_too_little_is_said() {
    // Histories shorter than a baseline; lots of one vehicle each.
    let mut short = Made::healthy(40, 50);
    short.lots = 40;
    short.change(2, |day, value| Some(value + if day >= 40 { 4.0 } else { 0.0 }));
    let found = watch_made(&short, &model("rising", LIMITS), |_| ());
    assert_eq!((found.monitors[0].parts_with_baseline, found.monitors[0].law_vehicles), (0, 0));
    assert_eq!(found.alarms.len(), 1);
    let flags = found.alarms[0].alarm.flags;
    assert!(flags.has(Flag::BaselineIncomplete) && flags.has(Flag::LawAssumed) && flags.has(Flag::NoDayReference));
    assert!(found.warnings.iter().any(|warning| warning.contains("assumed law")), "{:?}", found.warnings);
    assert!(found.warnings.iter().any(|warning| warning.contains("too few lots")), "{:?}", found.warnings);

    // One vehicle; no value at all; a constant fleet.
    let one = watch_made(&Made::healthy(1, 90), &model("rising", LIMITS), |_| ());
    assert_eq!((one.monitors[0].parts, one.cohorts.len()), (1, 0));
    let mut nothing = Made::healthy(20, 90);
    (0..20).for_each(|vehicle| nothing.change(vehicle, |_, _| None));
    let found = watch_made(&nothing, &model("rising", LIMITS), |_| ());
    assert_eq!((found.monitors[0].parts, found.alarms.len(), found.cohorts.len()), (0, 0, 0));
    let mut constant = Made::healthy(60, 120);
    (0..60).for_each(|vehicle| constant.change(vehicle, |_, _| Some(1.0)));
    let found = watch_made(&constant, &model("both", LIMITS), |_| ());
    assert_eq!((found.monitors[0].parts_with_baseline, found.alarms.len()), (60, 0));
}

#[test]
fn what_does_not_fit_the_dataset_is_refused() {
    let place = tempfile::tempdir().unwrap();
    Made::healthy(5, 20).write(place.path(), 1, false);
    let dataset = Dataset::open(place.path(), 1, &Control::silent()).unwrap();
    let model_of = |text: &str| {
        let path = place.path().join("model.toml");
        std::fs::write(&path, text).unwrap();
        Model::load(&path.to_string_lossy()).unwrap()
    };
    let refused = |model: &Model, request: &MonitorRequest| {
        let Err(EngineError::Monitor(error)) = monitor(&dataset, model, request, &Control::silent()) else {
            panic!("must be refused")
        };
        error
    };
    let wrong = model_of(&model("rising", "").replace("spread_c", "spread"));
    let error = refused(&wrong, &MonitorRequest::new(1));
    assert!(matches!(&error, MonitorError::UnknownChannel { channel, .. } if channel == "spread"));
    assert!(error.to_string().contains("spread_c"), "{error}");
    let good = model_of(&model("rising", ""));
    let request = MonitorRequest { cohorts: Some(vec!["depot".into()]), ..MonitorRequest::new(1) };
    let error = refused(&good, &request);
    assert!(error.to_string().contains("\"depot\"") && error.to_string().contains("plant"), "{error}");
    let request = MonitorRequest { cohorts: Some(vec!["plant".into()]), ..MonitorRequest::new(1) };
    assert!(monitor(&dataset, &good, &request, &Control::silent()).is_ok());
    // No monitors: nothing is read, nothing is found.
    let none = model_of(model("rising", "").split("[[monitor]]").next().unwrap());
    let found = monitor(&dataset, &none, &request, &Control::silent()).unwrap();
    assert!(found.monitors.is_empty() && found.alarms.is_empty());
}

/// The tables go into a folder that readers know, and their hashes are those that were foretold.
#[test]
fn tables_are_written_as_hashed() {
    use fleetwear::fleet::manifest::Manifest;
    use fleetwear::fleet::writer::{ContentHasher, OutputFolder};
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    let found = watch_made(&odd_fleet(), &model("rising", LIMITS), |_| ());
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("out");
    let folder = OutputFolder::create(&out).unwrap();
    let hashes = found.write(&folder, &[("fleetwear.model".to_owned(), "one 1".to_owned())]).unwrap();
    folder.finish(Manifest::default()).unwrap();
    assert_eq!(hashes, found.content_hashes().unwrap());
    let rows_of = |table: &str| {
        let path = out.join(table).join("part-00000.parquet");
        let reader = ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(Path::new(&path)).unwrap()).unwrap();
        let mut hasher = ContentHasher::new(reader.schema().clone()).unwrap();
        let mut rows = 0;
        for batch in reader.build().unwrap() {
            let batch = batch.unwrap();
            rows += batch.num_rows();
            hasher.update(&batch).unwrap();
        }
        (rows, hasher.finish())
    };
    assert_eq!(rows_of("alarms"), (found.alarms.len(), hashes[0].1.clone()));
    assert_eq!(rows_of("cohorts"), (found.cohorts.len(), hashes[1].1.clone()));
}
