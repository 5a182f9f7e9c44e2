//! The conductor of `fit --lifetimes`: file → columns → lives → groups → laws → report, and the output folder.

use std::time::Instant;

use super::columns::Columns;
use super::error::LivesError;
use super::estimate::{Wanted, plot_ages};
use super::fitted_group::{between_groups, joint, report};
use super::life::Life;
use super::nevada;
use super::output;
use super::plan::{Layout, LivesPlan};
use super::report::{ColumnUsed, GroupReport, LivesReport, SetAsideRows};
use super::rows::{self, Lives, RowAccount};
use super::table::Source;
use super::units;
use crate::fleet::writer::OutputFolder;
use crate::run::{Control, Event, Interrupted};

/// Fits the laws that `plan` asks for, and writes the output folder where it names one.
pub fn fit_lives(plan: &LivesPlan, control: &Control) -> Result<LivesReport, LivesError> {
    let begun = Instant::now();
    plan.check()?;
    let folder = plan.out.as_deref().map(OutputFolder::create).transpose()?;
    control.emit(Event::Stage { name: "read", total_rows: None });
    let source = Source::open(&plan.file, plan.sheet.as_deref())?;
    let report = match plan.layout {
        Layout::Lives => of_lives(&source, plan, control)?,
        Layout::Nevada => of_nevada(&source, plan, control)?,
        Layout::Recurrent => units::report(&source, plan)?,
    };
    for note in &report.notes {
        control.emit(Event::Warning(note.clone()));
    }
    if let Some(folder) = folder {
        output::write(folder, plan, &source, &report, begun)?;
    }
    Ok(report)
}

fn of_lives(source: &Source, plan: &LivesPlan, control: &Control) -> Result<LivesReport, LivesError> {
    let columns = Columns::find(source, &plan.names)?;
    let lives = rows::lives(source, &columns, plan)?;
    control.emit(Event::Stage { name: "fit", total_rows: None });
    let mut groups = Vec::new();
    for (group, name) in lives.groups.iter().enumerate() {
        of_group(group as u32, name, &lives, plan, control, &mut groups)?;
    }
    let mut report = begun_report(source, "lives", &columns.time.name, &lives.account, plan);
    report.columns = ColumnUsed::of(&columns.listed());
    if lives.groups.len() > 1 {
        control.check()?;
        let whole: Vec<GroupReport> = groups.iter().filter(|group| group.mode.is_none()).cloned().collect();
        let all = lives.lives.iter().map(|placed| placed.life).collect();
        let asked = Wanted { percents: Vec::new(), ..wanted(plan, std::iter::empty()) };
        report.between_groups = between_groups(&whole, all, &plan.laws, &asked);
    }
    report.groups = groups;
    report.notes.extend(columns.all_failed());
    let others = [("mode", &columns.mode), ("by", &columns.by)];
    let looks_like = |name: &str, kind: &str| match kind {
        "mode" => ["mode", "failure_mode", "cause", "失效模式", "故障模式", "失效原因"]
            .contains(&name.to_lowercase().as_str()),
        _ => false,
    };
    for (kind, column) in others {
        let like = source.columns.iter().find(|name| column.is_none() && looks_like(name, kind));
        if let Some(name) = like {
            report.notes.push(format!("column {name:?} is not used: --{kind} {name} fits each failure mode by itself"));
        }
    }
    Ok(report)
}

/// Any failure first, then mode by mode with the others as censoring.
fn of_group(
    group: u32,
    name: &str,
    lives: &Lives,
    plan: &LivesPlan,
    control: &Control,
    reports: &mut Vec<GroupReport>,
) -> Result<(), Interrupted> {
    let members: Vec<&rows::Placed> = lives.lives.iter().filter(|placed| placed.group == group).collect();
    let wanted = wanted(plan, members.iter().map(|placed| &placed.life));
    let all: Vec<Life> = members.iter().map(|placed| placed.life).collect();
    let mut whole = report(name, None, all, &plan.laws, &wanted, control)?;
    let mut modes = Vec::new();
    for (mode, mode_name) in lives.modes.iter().enumerate() {
        let is_other = |placed: &rows::Placed| placed.life.is_failure() && placed.mode != mode as u32;
        let seen: Vec<Life> = members
            .iter()
            .filter_map(|placed| if is_other(placed) { placed.life.spared() } else { Some(placed.life) })
            .collect();
        if seen.is_empty() {
            continue;
        }
        modes.push(report(name, Some(mode_name), seen, &plan.laws, &wanted, control)?);
    }
    // A mode that nobody in this group failed of adds nothing to the joint likelihood.
    let failed: Vec<GroupReport> = modes.iter().filter(|mode| mode.failures > 0.0).cloned().collect();
    if failed.len() > 1 {
        whole.joint = joint(&failed, &plan.laws, &wanted);
        whole.notes.push(
            "the log-likelihood of the modes together counts the mode of each failure too: it is not to be compared with that of any failure".to_owned(),
        );
        if whole.interval_failures > 0.0 {
            whole.notes.push(
                "failures known to an interval censor the other modes at its beginning: mode by mode the fits are \
                 approximate, the wider the intervals the more so"
                    .to_owned(),
            );
        }
    }
    reports.push(whole);
    reports.extend(modes);
    Ok(())
}

fn of_nevada(source: &Source, plan: &LivesPlan, control: &Control) -> Result<LivesReport, LivesError> {
    let table = nevada::read(source, plan)?;
    control.emit(Event::Stage { name: "fit", total_rows: None });
    let mut report_ = begun_report(source, "nevada", "periods since sale", &table.account, plan);
    let column = |option, column: &str, guessed| ColumnUsed { option, column: column.to_owned(), guessed };
    report_.columns = vec![
        column("--time", &table.sale_column, plan.names.time.is_none()),
        column("--count", &table.sold_column, plan.names.count.is_none()),
    ];
    let wanted = wanted(plan, table.lives.iter());
    report_.groups = vec![report("", None, table.lives, &plan.laws, &wanted, control)?];
    Ok(report_)
}

/// The wishes of a plan for one group: where plots are to be drawn, at which ages.
fn wanted<'a>(plan: &LivesPlan, lives: impl Iterator<Item = &'a Life> + Clone) -> Wanted {
    Wanted {
        confidence: plan.confidence,
        percents: plan.percents.clone(),
        ages: plan.ages.clone(),
        shape: plan.shape,
        plot_ages: if plan.out.is_some() { plot_ages(lives) } else { Vec::new() },
    }
}

/// A report without its results.
pub fn begun_report(
    source: &Source,
    layout: &'static str,
    age_unit: &str,
    account: &RowAccount,
    plan: &LivesPlan,
) -> LivesReport {
    LivesReport {
        file: source.path.to_string_lossy().into_owned(),
        layout,
        age_unit: age_unit.to_owned(),
        columns: Vec::new(),
        rows_in: account.rows_in,
        rows_used: account.used,
        set_aside: SetAsideRows::of(account),
        confidence: plan.confidence,
        groups: Vec::new(),
        between_groups: Vec::new(),
        mean_cumulative: Vec::new(),
        notes: Vec::new(),
    }
}
