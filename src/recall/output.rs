//! The output folder of `recall --lifetimes`: `bounds` as Parquet, `report.json`, the manifest.
//!
//! A row of `bounds` is a group and a horizon: the number expected, and each tail's plug-in and calibrated bound with the
//! share of the time that it covers. Numbers of units; horizons in the table's own unit.

use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray};

use super::error::RecallError;
use super::plan::RecallLivesPlan;
use super::prediction::Tail;
use super::report::{GroupForecast, HorizonForecast, RecallLivesReport};
use crate::fit::lives::table::Source;
use crate::fleet::manifest::{Manifest, StageTiming};
use crate::fleet::writer::OutputFolder;
use crate::simulate::table::{Columns, texts, write as write_table};

/// Writes everything and makes the folder visible.
pub fn write(
    folder: OutputFolder,
    plan: &RecallLivesPlan,
    source: &Source,
    report: &RecallLivesReport,
    begun: Instant,
) -> Result<(), RecallError> {
    let sized_s = begun.elapsed().as_secs_f64();
    let provenance = vec![("fleetwear.input_blake3".to_owned(), source.blake3.clone())];
    let hash = write_table(&folder, "bounds", &[], &provenance, [bounds(report).batch()])?;
    folder.write_json("report.json", report)?;
    let total_s = begun.elapsed().as_secs_f64();
    let timing = |stage: &str, seconds| StageTiming { stage: stage.to_owned(), seconds };
    let of_groups = report.groups.iter().flat_map(|group| &group.notes);
    folder.finish(Manifest {
        command: "recall".to_owned(),
        options: plan.options(),
        inputs: vec![source.manifest_input(report.rows_in)],
        content_hash: Some(hash),
        warnings: report.notes.iter().chain(of_groups).cloned().collect(),
        device: "cpu".to_owned(),
        threads: rayon::current_num_threads(),
        timings: vec![timing("size", sized_s), timing("write", total_s - sized_s)],
        ..Manifest::default()
    })?;
    Ok(())
}

fn bounds(report: &RecallLivesReport) -> Columns {
    let rows: Vec<(&GroupForecast, &HorizonForecast)> =
        report.groups.iter().flat_map(|group| group.horizons.iter().map(move |one| (group, one))).collect();
    let mut columns = Columns::new();
    columns.add(
        "group",
        false,
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| &row.0.group))) as ArrayRef,
    );
    columns.add("law", false, texts(rows.iter().map(|row| Some(row.0.law.name()))));
    let mut number = |name: &str, of: &dyn Fn(&GroupForecast, &HorizonForecast) -> Option<f64>| {
        let values: Float64Array = rows.iter().map(|(group, one)| of(group, one)).collect();
        columns.add(name, true, Arc::new(values) as ArrayRef);
    };
    number("lives", &|group, _| Some(group.lives));
    number("failures", &|group, _| Some(group.failures));
    number("at_risk", &|group, _| Some(group.at_risk));
    number("shape", &|group, _| group.shape);
    number("characteristic_life", &|group, _| group.characteristic_life);
    number("horizon", &|_, one| Some(one.horizon));
    number("expected", &|_, one| one.expected);
    number("expected_upper", &|_, one| one.expected_upper);
    number("confidence", &|_, _| Some(report.confidence));
    let mut whole = |name: &str, of: &dyn Fn(&HorizonForecast) -> Option<i64>| {
        let values: Int64Array = rows.iter().map(|(_, one)| of(one)).collect();
        columns.add(name, true, Arc::new(values) as ArrayRef);
    };
    whole("lower", &|one| Some(one.lower));
    whole("upper", &|one| Some(one.upper));
    whole("plug_in_lower", &|one| one.tails.map(|tails| tails.lower.plug_in));
    whole("plug_in_upper", &|one| one.tails.map(|tails| tails.upper.plug_in));
    let shares: [(&str, fn(&Tail) -> f64); 3] = [
        ("plug_in_cover", |tail| tail.plug_in_cover),
        ("calibrated_level", |tail| tail.calibrated_level),
        ("cover", |tail| tail.cover),
    ];
    for (what, of) in shares {
        for side in ["lower", "upper"] {
            let values: Float64Array = rows
                .iter()
                .map(|(_, one)| one.tails.map(|tails| of(if side == "lower" { &tails.lower } else { &tails.upper })))
                .collect();
            columns.add(&format!("{side}_{what}"), true, Arc::new(values) as ArrayRef);
        }
    }
    let calibrated: BooleanArray =
        rows.iter().map(|(_, one)| one.tails.map(|tails| tails.lower.calibrated && tails.upper.calibrated)).collect();
    columns.add("calibrated", true, Arc::new(calibrated) as ArrayRef);
    columns.add("method", false, texts(rows.iter().map(|row| Some(row.0.method.text()))));
    columns
}
