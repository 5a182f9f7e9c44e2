//! Vehicles whose last day is announced: nothing of them fails after it. A day that the records have passed was not
//! known then.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, RecordBatch, StringArray, UInt16Array};
use fleetwear::engine::SimulatePlan;
use parquet::arrow::ArrowWriter;

use super::{DAYS, add_vehicle_column, assert_defined, numbers, simulated, steady_fleet, table, texts};
use crate::small_fleet::{FIRST_DAY, Layout, SmallFleet};

const TODAY: i32 = FIRST_DAY + DAYS - 1;
const LEAVES: usize = 2;

/// Adds a column of end dates: of one vehicle the given day, of another one years away.
fn announce(plan: &SimulatePlan, end_day: i32) {
    let end = |vehicle: usize| match vehicle {
        LEAVES => Some(end_day),
        5 => Some(TODAY + 4_000),
        _ => None,
    };
    let vehicles = 12;
    let ends: ArrayRef = Arc::new((0..vehicles).map(end).collect::<Date32Array>());
    let named = "sale_date = \"sold_on\"\nend_date = \"leaves_on\"";
    add_vehicle_column(plan, "leaves_on", ends, "sale_date = \"sold_on\"", named);
}

/// By row: id and flags; chances of 30, 60 and 90 days and the median life left.
type Rows = (Vec<[Option<String>; 2]>, Vec<[Option<f64>; 4]>);

fn forecasts(out: &Path) -> Rows {
    assert_defined(out);
    let rows = table(out, "forecasts");
    let [ids, flags] = ["vin", "flags"].map(|name| texts(&rows, name));
    let columns = ["p_fail_30d", "p_fail_60d", "p_fail_90d", "rul_p50_days"].map(|name| numbers(&rows, name));
    let values = (0..ids.len()).map(|row| [0, 1, 2, 3].map(|at: usize| columns[at][row])).collect();
    (ids.into_iter().zip(flags).map(|(id, flags)| [id, flags]).collect(), values)
}

#[test]
fn nothing_fails_after_the_announced_end() {
    let run = |end_day: Option<i32>| {
        let change = |plan: &mut SimulatePlan| end_day.iter().for_each(|&day| announce(plan, day));
        simulated(&steady_fleet(12), Layout::ByVehicle(1), change, |out, report| {
            assert_eq!(report.vehicles, 12);
            let rows = table(out, "fleet_forecast");
            let [by, windows] = ["group_by", "window"].map(|name| texts(&rows, name));
            let first = numbers(&rows, "expected_first");
            let to_date =
                |row: &usize| by[*row].as_deref() == Some("fleet") && windows[*row].as_deref() == Some("to_date");
            let counts: Vec<f64> = (0..by.len()).filter(to_date).map(|row| first[row].unwrap()).collect();
            // Of both modes 30, 60, 90 and 91 days: the third of each.
            (forecasts(out), counts[2] + counts[6])
        })
    };
    let ((_, stays), stays_count) = run(None);
    let ((keys, leaves), leaves_count) = run(Some(TODAY + 30));
    let mut seen = 0;
    for ((key, with), without) in keys.iter().zip(&leaves).zip(&stays) {
        if key[0] != Some(format!("VIN{}", SmallFleet::id(LEAVES))) {
            let flagged = key[1].as_deref().is_some_and(|flags| flags.contains("leaves_service"));
            assert!(with == without && !flagged, "{key:?} {with:?} {without:?}");
            continue;
        }
        seen += 1;
        assert_eq!(key[1].as_deref(), Some("leaves_service"));
        let [until_end, two_months, quarter, median] = *with;
        assert!((until_end.unwrap() / without[0].unwrap() - 1.0).abs() < 2e-3, "{with:?} {without:?}");
        for later in [two_months, quarter] {
            assert!((later.unwrap() / until_end.unwrap() - 1.0).abs() < 2e-3, "{with:?}");
        }
        assert!(quarter.unwrap() < 0.6 * without[2].unwrap() && median.is_none(), "{with:?} {without:?}: no end");
    }
    assert_eq!(seen, 3);
    // The quarter's pads and bearings are fewer by just those.
    let of_parts: f64 = stays.iter().zip(&leaves).map(|(stays, leaves)| stays[2].unwrap() - leaves[2].unwrap()).sum();
    let lost = stays_count - leaves_count;
    assert!(of_parts > 0.1 && (lost / of_parts - 1.0).abs() < 1e-3, "{lost} {of_parts}");
}

#[test]
fn an_end_that_the_records_have_passed_was_not_known() {
    let run = |end_day: Option<i32>| {
        let change = |plan: &mut SimulatePlan| {
            end_day.iter().for_each(|&day| announce(plan, day));
            plan.as_of_day = Some(TODAY - 60);
        };
        simulated(&steady_fleet(12), Layout::ByVehicle(1), change, |out, _| forecasts(out))
    };
    let without = run(None);
    assert_eq!(run(Some(TODAY - 40)), without);
    assert_eq!(run(Some(TODAY)), without);
    assert_ne!(run(Some(TODAY + 1)), without, "this one was announced");
}

/// A file of one row that cannot be used, for nobody knows whose it is.
fn nobodys_row(plan: &SimulatePlan, day: i32) {
    let code = || -> ArrayRef { Arc::new(UInt16Array::from(vec![60])) };
    let columns: [(&str, ArrayRef); 5] = [
        ("vin", Arc::new(StringArray::from(vec![None::<&str>]))),
        ("date", Arc::new(Date32Array::from(vec![day]))),
        ("temp_c", code()),
        ("humidity_pct", code()),
        ("distance_km", code()),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let file = std::fs::File::create(plan.data.join("histories/part-900.parquet")).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

#[test]
fn a_row_that_cannot_be_used_says_nothing_of_what_was_known() {
    let run = |row_day: Option<i32>| {
        let change = |plan: &mut SimulatePlan| {
            announce(plan, TODAY + 1);
            row_day.iter().for_each(|&day| nobodys_row(plan, day));
            plan.as_of_day = Some(TODAY - 60);
        };
        simulated(&steady_fleet(12), Layout::ByVehicle(1), change, |out, _| forecasts(out))
    };
    let announced = run(None);
    let flagged = |rows: &Rows| rows.0.iter().filter_map(|key| key[1].as_deref()).any(|one| one.contains("leaves"));
    assert!(flagged(&announced));
    assert_eq!(run(Some(TODAY + 30)), announced);
}
