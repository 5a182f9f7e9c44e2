//! The folder of a cohort's recall: tables as Parquet, `recall.xlsx`, `recall.html`, `report.json`, the manifest.

use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray};

use super::error::EngineError;
use super::recall_plan::{RecallPlan, RecallReport};
use super::simulate_plan::SimulateReport;
use crate::fleet::manifest::{Manifest, StageTiming};
use crate::fleet::writer::{OutputFolder, WriteError};
use crate::recall::fleet_report::CohortReport;
use crate::recall::fleet_tables::{Sheet, Value, sheets};
use crate::recall::page::page;
use crate::recall::workbook::workbook;
use crate::simulate::table::{Columns, write as write_table};

/// Writes everything and makes the folder visible.
pub fn write(
    folder: OutputFolder,
    plan: &RecallPlan,
    simulated: SimulateReport,
    report: CohortReport,
    warnings: Vec<String>,
    (vehicle_column, attributes): (&str, &[String]),
    began: Instant,
) -> Result<RecallReport, EngineError> {
    let sheets = sheets(&report, vehicle_column, attributes);
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
    folder.write_file("recall.xlsx", &workbook(&sheets))?;
    folder.write_file("recall.html", page(&report, plan.language).as_bytes())?;
    let mut json = serde_json::to_vec_pretty(&report)
        .map_err(|source| WriteError::Json { path: folder.target().join("report.json"), source })?;
    json.push(b'\n');
    folder.write_file("report.json", &json)?;
    let content_hash = whole.finalize().to_hex().to_string();
    details.insert("affected".to_owned(), report.affected.into());
    details.insert("suspects".to_owned(), report.suspects.into());
    details.insert("unknown_ids".to_owned(), report.unknown.len().into());
    let seconds = began.elapsed().as_secs_f64();
    let mut options = simulated.manifest.options.clone();
    options.insert("cohort".to_owned(), report.cohort.clone().into());
    options.insert("horizon_days".to_owned(), plan.horizons_days.clone().into());
    options.insert("confidence".to_owned(), plan.confidence.into());
    options.insert("failure_mode".to_owned(), plan.failure_mode.clone().into());
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

/// A column is of the type of its first value; a table without rows has texts.
fn columns(sheet: &Sheet) -> Columns {
    let mut columns = Columns::new();
    for (place, name) in sheet.headings.iter().enumerate() {
        let values = || sheet.rows.iter().filter_map(|row| row.get(place));
        let array: ArrayRef = match values().next() {
            Some(Value::Number(_)) => {
                let number = |value: &Value| if let Value::Number(number) = value { *number } else { None };
                Arc::new(values().map(number).collect::<Float64Array>())
            }
            Some(Value::Whole(_)) => {
                let number = |value: &Value| if let Value::Whole(number) = value { *number } else { None };
                Arc::new(values().map(number).collect::<Int64Array>())
            }
            Some(Value::Truth(_)) => {
                let truth = |value: &Value| if let Value::Truth(truth) = value { Some(*truth) } else { None };
                Arc::new(values().map(truth).collect::<BooleanArray>())
            }
            Some(Value::Text(_)) | None => {
                let text = |value: &'_ Value| if let Value::Text(text) = value { text.clone() } else { None };
                Arc::new(values().map(text).collect::<StringArray>())
            }
        };
        columns.add(name, true, array);
    }
    columns
}
