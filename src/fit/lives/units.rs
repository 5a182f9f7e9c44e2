//! Recurrent events from a table: rows of a unit are its events, and one row says until when it was watched.

use super::columns::{Column, Columns, exact};
use super::error::LivesError;
use super::events::{Code, Codes};
use super::plan::LivesPlan;
use super::recurrent::{Units, mean_cumulative};
use super::report::{ColumnUsed, LivesReport, MeanReport};
use super::rows::{RowAccount, SetAside};
use super::run::begun_report;
use super::table::{Cell, Source};
use crate::model::normal;
use std::collections::BTreeMap;

/// Reads the units and forms the mean cumulative function of each group.
pub fn report(source: &Source, plan: &LivesPlan) -> Result<LivesReport, LivesError> {
    let columns = Columns::find(source, &plan.names)?;
    let unit_name = plan.unit.clone().unwrap_or_default();
    let unit = Column { at: exact(source, "--unit", &unit_name)?, name: unit_name, guessed: false };
    let Some(event) = &columns.event else {
        return Err(LivesError::NotFound {
            file: source.path.clone(),
            what: "an event",
            option: "--event",
            known: source.known(),
        });
    };
    let cost = plan.cost.as_deref().map(|name| exact(source, "--cost", name)).transpose()?;
    let mut wanted = vec![unit.at, columns.time.at, event.at];
    let place = |wanted: &mut Vec<usize>, at: Option<usize>| {
        at.map(|at| {
            wanted.push(at);
            wanted.len() - 1
        })
    };
    let entry = place(&mut wanted, columns.entry.as_ref().map(|column| column.at));
    let by = place(&mut wanted, columns.by.as_ref().map(|column| column.at));
    let cost = place(&mut wanted, cost);
    let rows = source.cells(&wanted)?;
    let mut reader = Reader {
        source,
        codes: Codes::new(&plan.codes, &columns)?,
        event_at: event.at,
        account: RowAccount { rows_in: rows.numbers.len() as u64, ..RowAccount::default() },
        groups: BTreeMap::new(),
    };
    for (at, &number) in rows.numbers.iter().enumerate() {
        let cell = |place: usize| &rows.cells[place][at];
        let group = by.map(|place| cell(place).shown()).unwrap_or_default();
        let row =
            Row { number, unit: cell(0), age: cell(1), event: cell(2), entry: entry.map(cell), cost: cost.map(cell) };
        match reader.take(&row, group)? {
            Ok(()) => reader.account.used += 1,
            Err(reason) => reader.account.set_aside.entry(reason).or_insert((0, number)).0 += 1,
        }
    }
    let z = normal::quantile(0.5 + 0.5 * plan.confidence);
    let mut reports = Vec::new();
    let Reader { groups, mut account, .. } = reader;
    for (group, units) in groups {
        reports.push(of_group(group, units, z, &mut account));
    }
    if account.used == 0 {
        let reasons: Vec<String> =
            account.set_aside.iter().map(|(why, (rows, _))| format!("{} ({rows})", why.text())).collect();
        return Err(LivesError::NoLives { file: source.path.clone(), reasons: reasons.join(", ") });
    }
    let mut report = begun_report(source, "recurrent", &columns.time.name, &account, plan);
    let mut listed = vec![("--unit", &unit)];
    listed.extend(
        columns.listed().into_iter().filter(|(option, _)| ["--time", "--event", "--entry", "--by"].contains(option)),
    );
    report.columns = ColumnUsed::of(&listed);
    report.mean_cumulative = reports;
    Ok(report)
}

struct Row<'a> {
    number: u64,
    unit: &'a Cell,
    age: &'a Cell,
    event: &'a Cell,
    entry: Option<&'a Cell>,
    cost: Option<&'a Cell>,
}

struct Reader<'a> {
    source: &'a Source,
    codes: Codes<'a>,
    event_at: usize,
    account: RowAccount,
    groups: BTreeMap<String, Units>,
}

impl Reader<'_> {
    fn take(&mut self, row: &Row, group: String) -> Result<Result<(), SetAside>, LivesError> {
        let Some(code) = self.codes.code(self.source, row.number, self.event_at, row.event)? else {
            return Ok(Err(SetAside::NoEvent));
        };
        let age = match (row.age, self.source.number(row.age)) {
            (Cell::Empty, _) => return Ok(Err(SetAside::NoTime)),
            (_, None) => return Ok(Err(SetAside::TimeNotANumber)),
            (_, Some(age)) if age < 0.0 => return Ok(Err(SetAside::NegativeTime)),
            (_, Some(age)) => age,
        };
        let weight = match row.cost {
            None => 1.0,
            Some(cell) => match self.source.number(cell) {
                Some(cost) if cost >= 0.0 => cost,
                None if cell.is_empty() => 0.0,
                _ => return Ok(Err(SetAside::CostNotANumber)),
            },
        };
        if row.unit.is_empty() {
            return Ok(Err(SetAside::NoUnit));
        }
        let unit = self.groups.entry(group).or_default().entry(row.unit.shown()).or_default();
        if unit.rows == 0 {
            unit.first_row = row.number;
        }
        unit.rows += 1;
        if let Some(entry) = row.entry.and_then(|cell| self.source.number(cell)) {
            unit.entry = unit.entry.max(entry);
        }
        match code {
            Code::Start => unit.entry = unit.entry.max(age),
            Code::Censored => unit.ends.push(age),
            _ => unit.events.push((age, weight)),
        }
        Ok(Ok(()))
    }
}

fn of_group(group: String, units: Units, z: f64, account: &mut RowAccount) -> MeanReport {
    let mut sound = Vec::new();
    let mut notes = Vec::new();
    for (name, rows) in units {
        let (count, first) = (rows.rows, rows.first_row);
        match rows.unit() {
            Ok(unit) => sound.push(unit),
            Err(fault) => {
                notes.push(format!("unit {name:?} is set aside: {}", fault.text()));
                account.used -= count;
                account.set_aside.entry(SetAside::UnitUnsound).or_insert((0, first)).0 += count;
            }
        }
    }
    let more = notes.len().saturating_sub(10);
    if more > 0 {
        notes.truncate(10);
        notes.push(format!("and {more} more units"));
    }
    let steps = mean_cumulative(&sound, z);
    let events = sound.iter().flat_map(|unit| &unit.events).count() as f64;
    MeanReport { group, units: sound.len() as u64, events, steps, notes }
}
