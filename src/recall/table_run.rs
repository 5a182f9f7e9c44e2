//! The conductor of `recall --lifetimes`: file → columns → lives → groups → forecasts, and the output folder.

use std::time::Instant;

use super::error::RecallError;
use super::lives::forecast;
use super::output;
use super::plan::RecallLivesPlan;
use super::report::RecallLivesReport;
use crate::fit::lives::columns::Columns;
use crate::fit::lives::life::Life;
use crate::fit::lives::report::{ColumnUsed, SetAsideRows};
use crate::fit::lives::rows::{self, Placed};
use crate::fit::lives::table::Source;
use crate::fleet::writer::OutputFolder;
use crate::run::{Control, Event};

/// Predicts how many of the units at risk fail, and writes the output folder where the plan names one.
pub fn recall_lives(plan: &RecallLivesPlan, control: &Control) -> Result<RecallLivesReport, RecallError> {
    let begun = Instant::now();
    plan.check()?;
    let folder = plan.table.out.as_deref().map(OutputFolder::create).transpose()?;
    control.emit(Event::Stage { name: "read", total_rows: None });
    let source = Source::open(&plan.table.file, plan.table.sheet.as_deref())?;
    let columns = Columns::find(&source, &plan.table.names)?;
    let lives = rows::lives(&source, &columns, &plan.table)?;
    control.emit(Event::Stage { name: "resample", total_rows: None });
    let mut groups = Vec::with_capacity(lives.groups.len());
    for (group, name) in lives.groups.iter().enumerate() {
        let of_group = |placed: &[Placed]| -> Vec<Life> {
            placed.iter().filter(|placed| placed.group == group as u32).map(|placed| placed.life).collect()
        };
        groups.push(forecast(name, of_group(&lives.lives), &of_group(&lives.unwatched), plan, control)?);
    }
    let report = RecallLivesReport {
        file: source.path.to_string_lossy().into_owned(),
        age_unit: columns.time.name.clone(),
        columns: ColumnUsed::of(&columns.listed()),
        rows_in: lives.account.rows_in,
        rows_used: lives.account.used,
        set_aside: SetAsideRows::of(&lives.account),
        confidence: plan.confidence,
        groups,
        notes: columns.all_failed().into_iter().collect(),
    };
    for note in &report.notes {
        control.emit(Event::Warning(note.clone()));
    }
    if let Some(folder) = folder {
        output::write(folder, plan, &source, &report, begun)?;
    }
    Ok(report)
}
