//! The simulation from files to tables: against an oracle, by every way of computing, and on poor data.

mod alarms;
mod bad_input;
mod calibration;
mod course;
mod exact;
mod failed;
mod gaps;
mod leaving;
mod net;
mod oracle;
mod successors;
mod ways;
mod zones;

use std::collections::BTreeMap;
use std::path::Path;

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{Float64Type, Int64Type};
use fleetwear::backend::Choice;
use fleetwear::engine::{SimulatePlan, SimulateReport, simulate};
use fleetwear::run::Control;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::small_fleet::{Day, FIRST_DAY, Layout, Order, SmallFleet};

/// Days of the long fleet: 60 whole weeks and a bit.
pub const DAYS: i32 = 424;

/// Vehicles with a record a day, all the time, and replacements in three of four.
pub fn steady_fleet(vehicles: usize) -> SmallFleet {
    use fleetwear::fixed::threefry::threefry2x32;
    let draw = |vehicle: usize, day: i32, what: u32, below: u32| {
        threefry2x32([11, what], [vehicle as u32, day as u32])[0] % below
    };
    let mut days = Vec::new();
    let mut orders = Vec::new();
    for vehicle in 0..vehicles {
        for day in 0..DAYS {
            // Colder in the year's first half, wetter at night.
            let season = if (day / 180) % 2 == 0 { 60 } else { 110 };
            days.push(Day {
                vehicle,
                day: FIRST_DAY + day,
                temp: (season + draw(vehicle, day, 2, 60)) as u16,
                humidity: draw(vehicle, day, 3, 101) as u16,
                distance: draw(vehicle, day, 4, 300 + 40 * (vehicle as u32 % 10)) as u16,
            });
        }
        for (what, component, position) in [(5, "brake_pad", None), (6, "bearing", Some("left"))] {
            if draw(vehicle, what, 9, 4) > 0 {
                let day = FIRST_DAY + draw(vehicle, what, 10, DAYS as u32) as i32;
                orders.push(Order { vehicle, component, position, kind: "R", day });
            }
        }
    }
    SmallFleet { text_ids: true, listed: vehicles, days, orders }
}

/// Simulates in a fresh folder and hands the folder of the result on.
pub fn simulated<T>(
    fleet: &SmallFleet,
    layout: Layout,
    change: impl FnOnce(&mut SimulatePlan),
    look: impl FnOnce(&Path, &SimulateReport) -> T,
) -> T {
    let folder = tempfile::tempdir().unwrap();
    let model = fleet.write(folder.path(), layout).to_string_lossy().into_owned();
    let mut plan = SimulatePlan::new(folder.path().to_path_buf(), model, folder.path().join("out"));
    (plan.backend, plan.threads, plan.paths, plan.horizon_weeks) = (Choice::Cpu, 2, 16, 30);
    (plan.groups, plan.zones) = (Some(vec!["model".into()]), Some("model".into()));
    change(&mut plan);
    let report = simulate(&plan, &Control::silent()).unwrap();
    look(&plan.out, &report)
}

/// Adds a column to the vehicles on disk; `names` stands in the dictionary instead of `instead_of`.
pub fn add_vehicle_column(plan: &SimulatePlan, name: &str, value: ArrayRef, instead_of: &str, names: &str) {
    let path = plan.data.join("vehicles.parquet");
    let reader = ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(&path).unwrap()).unwrap();
    let batch = reader.build().unwrap().next().unwrap().unwrap();
    let schema = batch.schema();
    let columns = schema.fields().iter().zip(batch.columns()).map(|(f, c)| (f.name().clone(), c.clone()));
    let batch = RecordBatch::try_from_iter(columns.chain([(name.to_owned(), value)]).collect::<Vec<_>>()).unwrap();
    let mut writer = ArrowWriter::try_new(std::fs::File::create(&path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let dictionary = plan.data.join("dataset.toml");
    let text = std::fs::read_to_string(&dictionary).unwrap();
    std::fs::write(&dictionary, text.replace(instead_of, names)).unwrap();
}

/// All rows of a table.
pub fn table(out: &Path, name: &str) -> Vec<RecordBatch> {
    let mut files: Vec<_> = std::fs::read_dir(out.join(name)).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let read = |path: &std::path::PathBuf| -> Vec<RecordBatch> {
        let file = std::fs::File::open(path).unwrap();
        ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap().map(Result::unwrap).collect()
    };
    files.iter().flat_map(read).collect()
}

pub fn texts(batches: &[RecordBatch], column: &str) -> Vec<Option<String>> {
    let values = |batch: &RecordBatch| -> Vec<Option<String>> {
        batch.column_by_name(column).unwrap().as_string::<i32>().iter().map(|text| text.map(str::to_owned)).collect()
    };
    batches.iter().flat_map(values).collect()
}

pub fn numbers(batches: &[RecordBatch], column: &str) -> Vec<Option<f64>> {
    let values = |batch: &RecordBatch| -> Vec<Option<f64>> {
        batch.column_by_name(column).unwrap().as_primitive::<Float64Type>().iter().collect()
    };
    batches.iter().flat_map(values).collect()
}

pub fn counts(batches: &[RecordBatch], column: &str) -> Vec<i64> {
    let values = |batch: &RecordBatch| -> Vec<i64> {
        batch.column_by_name(column).unwrap().as_primitive::<Int64Type>().values().to_vec()
    };
    batches.iter().flat_map(values).collect()
}

/// No number of any table is not one, and chances are chances. Three tables are there only where monitors or a scenario
/// ask for them.
pub fn assert_defined(out: &Path) {
    let asked = ["alarms", "cohorts", "scenario_difference"].into_iter().filter(|name| out.join(name).exists());
    for name in ["forecasts", "fleet_forecast", "alerts"].into_iter().chain(asked) {
        for batch in table(out, name) {
            for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
                if let Some(values) = column.as_primitive_opt::<Float64Type>() {
                    let finite = values.iter().flatten().all(f64::is_finite);
                    assert!(finite, "{name}.{}", field.name());
                    let chance = ["p_fail", "share", "p_value", "p_adjusted"];
                    let chance = chance.iter().any(|chance| field.name().starts_with(chance));
                    assert!(!chance || values.iter().flatten().all(|p| (0.0..=1.0).contains(&p)), "{}", field.name());
                }
            }
        }
    }
}

/// Expected counts of the whole fleet from today to a day, by mode.
pub fn fleet_counts(out: &Path, group_by: &str, window: &str) -> Vec<BTreeMap<&'static str, f64>> {
    let rows = table(out, "fleet_forecast");
    let (by, windows) = (texts(&rows, "group_by"), texts(&rows, "window"));
    let columns = ["expected", "variance", "share_weather", "share_parameters", "share_chance"];
    let values = columns.map(|name| numbers(&rows, name));
    (0..by.len())
        .filter(|&row| by[row].as_deref() == Some(group_by) && windows[row].as_deref() == Some(window))
        .map(|row| columns.iter().zip(&values).map(|(name, values)| (*name, values[row].unwrap())).collect())
        .collect()
}

#[test]
fn counts_add_up_to_the_parts_chances_and_shares_to_one() {
    simulated(
        &steady_fleet(30),
        Layout::ByVehicle(2),
        |_| (),
        |out, report| {
            assert_eq!((report.vehicles, report.rows), (30, 90));
            assert_defined(out);
            let forecasts = table(out, "forecasts");
            let modes = texts(&forecasts, "failure_mode");
            let chances = numbers(&forecasts, "p_fail_90d");
            let rows = table(out, "fleet_forecast");
            let (by, mode) = (texts(&rows, "group_by"), texts(&rows, "failure_mode"));
            let window = texts(&rows, "window");
            let (expected, share) = (numbers(&rows, "expected_first"), ["weather", "parameters", "chance"]);
            let with_successors = numbers(&rows, "expected");
            assert!(with_successors.iter().zip(&expected).all(|(all, first)| all.unwrap() > first.unwrap() - 1e-12));
            assert!(with_successors.iter().flatten().sum::<f64>() > 1.001 * expected.iter().flatten().sum::<f64>());
            let shares = share.map(|name| numbers(&rows, &format!("share_{name}")));
            for wanted in ["pads", "noise"] {
                let of_parts: f64 = (0..modes.len())
                    .filter(|&row| modes[row].as_deref() == Some(wanted))
                    .map(|row| chances[row].unwrap())
                    .sum();
                let to_date: Vec<usize> = (0..by.len())
                    .filter(|&row| mode[row].as_deref() == Some(wanted) && window[row].as_deref() == Some("to_date"))
                    .collect();
                // 30, 60, 90 and 91 days: the third.
                let of_fleet: Vec<usize> =
                    to_date.iter().copied().filter(|&row| by[row].as_deref() == Some("fleet")).collect();
                assert_eq!(of_fleet.len(), 4);
                let fleet = expected[of_fleet[2]].unwrap();
                assert!(of_parts > 0.01 && (fleet / of_parts - 1.0).abs() < 1e-6, "{wanted}: {fleet} {of_parts}");
                let of_models: f64 = to_date
                    .iter()
                    .filter(|&&row| by[row].as_deref() == Some("model"))
                    .skip(2)
                    .step_by(4)
                    .map(|&row| expected[row].unwrap())
                    .sum();
                assert!((of_models / fleet - 1.0).abs() < 1e-9, "{wanted}: {of_models} {fleet}");
            }
            for row in 0..by.len() {
                let sum: f64 = shares.iter().map(|share| share[row].unwrap()).sum();
                assert!((sum - 1.0).abs() < 1e-12, "row {row}: {sum}");
                let quantiles = ["p05", "p50", "p95"].map(|name| counts(&rows, name)[row]);
                assert!(quantiles.is_sorted() && quantiles[0] >= 0, "{quantiles:?}");
            }
        },
    );
}

#[test]
fn many_paths_differ_from_few_within_their_error() {
    let fleet = steady_fleet(24);
    let expected = |paths: usize, seed: u64| -> Vec<f64> {
        let change = |plan: &mut SimulatePlan| (plan.paths, plan.seed) = (paths, seed);
        let rows = simulated(&fleet, Layout::ByVehicle(1), change, |out, _| fleet_counts(out, "fleet", "to_date"));
        rows.into_iter().map(|row| row["expected"]).collect()
    };
    let seeds: Vec<Vec<f64>> = (100..108).map(|seed| expected(64, seed)).collect();
    let many = expected(1024, 1);
    for (row, &many) in many.iter().enumerate() {
        let few: Vec<f64> = seeds.iter().map(|of_seed| of_seed[row]).collect();
        let mean = few.iter().sum::<f64>() / 8.0;
        // What means of 64 paths differ by among themselves: the variance in the table is wider, for years are few.
        let variance = few.iter().map(|one| (one - mean) * (one - mean)).sum::<f64>() / 7.0;
        let error = (variance * (1.0 / 8.0 + 1.0 / 16.0)).sqrt();
        let is_near = |mean: f64| (mean - many).abs() < 5.0 * error;
        println!("{mean} of 8 x 64 paths, {many} of 1,024: {:.2} errors", (mean - many) / error);
        assert!(error > 0.0 && is_near(mean), "row {row}: {mean} {many} {error:e}");
        assert!(!is_near(1.02 * mean) && !is_near(0.98 * mean), "row {row}: a biased mean would pass, {error:e}");
    }
}

#[test]
fn parameter_errors_widen_counts_and_take_their_share() {
    let fleet = steady_fleet(24);
    let covariance = "\n[covariance]\nparameters = [\"pads.rolling.characteristic_life\"]\nmatrix = [[0.09]]\n";
    let counts = |extra: &'static str| {
        let change = |plan: &mut SimulatePlan| {
            let text = std::fs::read_to_string(&plan.model).unwrap();
            std::fs::write(&plan.model, text + extra).unwrap();
        };
        simulated(&fleet, Layout::ByVehicle(1), change, |out, _| fleet_counts(out, "fleet", "to_date"))
    };
    let (sure, unsure) = (counts(""), counts(covariance));
    // Modes stand in the order of the model: pads first.
    assert!(sure[..4].iter().all(|row| row["share_parameters"] == 0.0));
    for (sure, unsure) in sure[..4].iter().zip(&unsure) {
        assert!(unsure["share_parameters"] > 0.01 && unsure["variance"] > sure["variance"], "{sure:?} {unsure:?}");
    }
    assert!(unsure[4..].iter().all(|row| row["share_parameters"] < 1e-9), "no parameter of noise is drawn");
}
