//! The folder of a cohort's recall: tables as Parquet, `recall.xlsx`, `recall.html`, `report.json`, the manifest.

use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray};

use super::error::EngineError;
use super::recall_notes::of_workbook;
use super::recall_plan::{RecallPlan, RecallReport};
use super::score::warn;
use super::simulate_plan::SimulateReport;
use crate::fleet::manifest::{Manifest, ManifestInput, StageTiming};
use crate::fleet::writer::OutputFolder;
use crate::recall::fleet_report::CohortReport;
use crate::recall::fleet_tables::{Kind, Sheet, Value, VehicleColumns, sheets};
use crate::recall::page::page;
use crate::recall::workbook::workbook;
use crate::run::Control;
use crate::simulate::table::{Columns, write as write_table};

/// Writes everything and makes the folder visible. `inputs`: files beside the dataset's.
#[expect(clippy::too_many_arguments, reason = "the one place where a recall's results meet")]
pub fn write(
    folder: OutputFolder,
    plan: &RecallPlan,
    simulated: SimulateReport,
    mut report: CohortReport,
    vehicle_columns: &VehicleColumns,
    inputs: Vec<ManifestInput>,
    control: &Control,
    began: Instant,
) -> Result<RecallReport, EngineError> {
    let sheets = sheets(&report, vehicle_columns);
    let provenance = vec![
        ("fleetwear.as_of".to_owned(), report.as_of.clone()),
        ("fleetwear.cohort".to_owned(), report.cohort.clone()),
        ("fleetwear.futures".to_owned(), simulated.content_hash.clone()),
    ];
    let mut whole = blake3::Hasher::new();
    let mut details = serde_json::Map::new();
    for sheet in &sheets {
        let hash = write_table(&folder, sheet.name, &[], &provenance, [columns(sheet).batch()])?;
        whole.update(format!("{} {hash}\n", sheet.name).as_bytes());
        details.insert(format!("content_hash.{}", sheet.name), hash.into());
    }
    let (bytes, cut) = workbook(&sheets);
    folder.write_file("recall.xlsx", &bytes)?;
    report.notes.extend(of_workbook(&cut));
    folder.write_file("recall.html", page(&report, plan.language).as_bytes())?;
    folder.write_json("report.json", &report)?;
    let mut warnings = simulated.warnings.clone();
    for note in &report.notes {
        warn(&mut warnings, control, note.english.clone());
    }
    let content_hash = whole.finalize().to_hex().to_string();
    details.insert("affected".to_owned(), report.affected.into());
    details.insert("suspects".to_owned(), report.suspects.map(|suspects| suspects.vehicles).into());
    details.insert("undecided".to_owned(), report.undecided.into());
    details.insert("unknown_ids".to_owned(), report.unknown.len().into());
    let seconds = began.elapsed().as_secs_f64();
    let mut options = simulated.manifest.options.clone();
    options.insert("cohort".to_owned(), report.cohort.clone().into());
    options.insert("horizon_days".to_owned(), plan.horizons_days.clone().into());
    options.insert("confidence".to_owned(), plan.confidence.into());
    options.insert("defect".to_owned(), plan.defect.clone().into());
    options.remove("groups");
    let mut timings = simulated.manifest.timings.clone();
    timings.retain(|timing| timing.stage != "total");
    timings.push(StageTiming { stage: "total".to_owned(), seconds });
    let manifest = folder.finish(Manifest {
        command: "recall".to_owned(),
        options,
        content_hash: Some(content_hash.clone()),
        warnings,
        timings,
        details,
        parts: Vec::new(),
        inputs: simulated.manifest.inputs.iter().cloned().chain(inputs).collect(),
        ..simulated.manifest
    })?;
    Ok(RecallReport {
        out: plan.simulation.out.clone(),
        cohort: report,
        account: simulated.account,
        unreadable: simulated.unreadable,
        device: simulated.device,
        device_reason: simulated.device_reason,
        content_hash,
        seconds,
        manifest,
    })
}

/// Columns are of their own types, rows or none.
fn columns(sheet: &Sheet) -> Columns {
    let mut columns = Columns::new();
    for (place, (name, kind)) in sheet.columns.iter().enumerate() {
        let values = || sheet.rows.iter().filter_map(|row| row.get(place));
        let array: ArrayRef = match kind {
            Kind::Number => {
                let number = |value: &Value| if let Value::Number(number) = value { *number } else { None };
                Arc::new(values().map(number).collect::<Float64Array>())
            }
            Kind::Whole => {
                let number = |value: &Value| if let Value::Whole(number) = value { *number } else { None };
                Arc::new(values().map(number).collect::<Int64Array>())
            }
            Kind::Truth => {
                let truth = |value: &Value| if let Value::Truth(truth) = value { *truth } else { None };
                Arc::new(values().map(truth).collect::<BooleanArray>())
            }
            Kind::Text => {
                let text = |value: &'_ Value| if let Value::Text(text) = value { text.clone() } else { None };
                Arc::new(values().map(text).collect::<StringArray>())
            }
        };
        columns.add(name, true, array);
    }
    columns
}
