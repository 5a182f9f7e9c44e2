//! From rows to lives: every row becomes a life of its group and mode, or is set aside by reason.

use std::collections::{BTreeMap, HashMap};

use super::columns::{Column, Columns};
use super::error::LivesError;
use super::events::{Code, Codes};
use super::life::{End, Life};
use super::plan::LivesPlan;
use super::table::{Cell, Source};

/// Groups beyond this are more likely a column of ids.
const MOST_GROUPS: usize = 1000;
/// Modes beyond this, likewise.
const MOST_MODES: usize = 100;
/// What failures without a mode are called: failures of another kind, which censor every named mode.
pub const UNNAMED_MODE: &str = "(unnamed)";

/// Why a row holds no life that a law of positive ages could be fitted to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SetAside {
    NoTime,
    TimeNotANumber,
    TimeIsADate,
    NegativeTime,
    FailedAtZero,
    NotWatched,
    FailedBeforeEntry,
    UpperBelowTime,
    EntryNotANumber,
    CountNotWhole,
    CountZero,
    NoEvent,
    NoUnit,
    UnitUnsound,
    CostNotANumber,
    Total,
}

impl SetAside {
    pub fn text(self) -> &'static str {
        match self {
            Self::NoTime => "no time",
            Self::TimeNotANumber => "time is not a number",
            Self::TimeIsADate => "time is a date, not an age: take the days since the sale",
            Self::NegativeTime => "time below zero",
            Self::FailedAtZero => "failed at age zero, to which these laws give no chance",
            Self::NotWatched => "censored at or before its entry: watched for no time",
            Self::FailedBeforeEntry => "failed at or before its entry: not watched then",
            Self::UpperBelowTime => "upper time below the time",
            Self::EntryNotANumber => "entry is not a number of zero or more",
            Self::CountNotWhole => "count is not a whole number of zero or more",
            Self::CountZero => "count zero",
            Self::NoEvent => "no event",
            Self::NoUnit => "no unit",
            Self::UnitUnsound => "its unit's watch is unsound",
            Self::CostNotANumber => "cost is not a number of zero or more",
            Self::Total => "a total",
        }
    }
}

/// Rows in = used + set aside.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RowAccount {
    pub rows_in: u64,
    pub used: u64,
    /// By reason: how many, and the first of them by the reader's number.
    pub set_aside: BTreeMap<SetAside, (u64, u64)>,
}

impl RowAccount {
    pub fn set_aside_rows(&self) -> u64 {
        self.set_aside.values().map(|(rows, _)| rows).sum()
    }
}

/// A life with its place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Placed {
    pub life: Life,
    /// Index into [`Lives::groups`].
    pub group: u32,
    /// Index into [`Lives::modes`]; of no meaning for a survivor.
    pub mode: u32,
}

/// All lives of a table.
#[derive(Clone, Debug)]
pub struct Lives {
    pub lives: Vec<Placed>,
    /// Units still running at the very age at which their watch began: they say nothing of the law, so they are set aside, but
    /// they can fail.
    pub unwatched: Vec<Placed>,
    /// Sorted; one empty name where the table is not split.
    pub groups: Vec<String>,
    /// Sorted; empty where no column names modes.
    pub modes: Vec<String>,
    pub account: RowAccount,
}

/// Reads the lives of `source`.
pub fn lives(source: &Source, columns: &Columns, plan: &LivesPlan) -> Result<Lives, LivesError> {
    let listed = columns.listed();
    let wanted: Vec<usize> = listed.iter().map(|(_, column)| column.at).collect();
    let rows = source.cells(&wanted)?;
    let cells_of = |column: &Option<Column>| {
        let place = column.as_ref().and_then(|column| wanted.iter().position(|&at| at == column.at))?;
        rows.cells.get(place)
    };
    let reader = RowReader {
        source,
        time: cells_of(&Some(columns.time.clone())),
        upper: cells_of(&columns.upper),
        event: columns.event.as_ref().map(|column| column.at).zip(cells_of(&columns.event)),
        entry: cells_of(&columns.entry),
        count: cells_of(&columns.count),
    };
    let (mode_cells, group_cells) = (cells_of(&columns.mode), cells_of(&columns.by));
    let mut codes = Codes::new(&plan.codes, columns)?;
    let (mut groups, mut modes) = (Names::default(), Names::default());
    let (mut lives, mut unwatched) = (Vec::with_capacity(rows.numbers.len()), Vec::new());
    let mut account = RowAccount { rows_in: rows.numbers.len() as u64, ..RowAccount::default() };
    for (at, &number) in rows.numbers.iter().enumerate() {
        match reader.life(at, number, &mut codes)? {
            Ok(life) => {
                let name = |cells: Option<&Vec<Cell>>| cells.and_then(|cells| cells.get(at)).map(Cell::shown);
                let group = groups.code(name(group_cells).unwrap_or_default());
                let mode = match (life.is_failure(), name(mode_cells)) {
                    (true, Some(mode)) => modes.code(if mode.is_empty() { UNNAMED_MODE.to_owned() } else { mode }),
                    _ => 0,
                };
                if life.last_age() <= life.entry {
                    unwatched.push(Placed { life, group, mode });
                    account.set_aside.entry(SetAside::NotWatched).or_insert((0, number)).0 += 1;
                } else {
                    lives.push(Placed { life, group, mode });
                    account.used += 1;
                }
            }
            Err(reason) => account.set_aside.entry(reason).or_insert((0, number)).0 += 1,
        }
    }
    let too_many = |option, most, found: usize| {
        let problem = format!("the column holds {found} different values; {most} are allowed");
        if found > most { Err(LivesError::Option { option, problem }) } else { Ok(()) }
    };
    too_many("--by", MOST_GROUPS, groups.names.len())?;
    too_many("--mode", MOST_MODES, modes.names.len())?;
    if lives.is_empty() {
        let reasons: Vec<String> =
            account.set_aside.iter().map(|(why, (rows, _))| format!("{} ({rows})", why.text())).collect();
        let reasons =
            if reasons.is_empty() { "it has no rows below the header".to_owned() } else { reasons.join(", ") };
        return Err(LivesError::NoLives { file: source.path.clone(), reasons });
    }
    let (groups, group_places) = groups.sorted();
    let (modes, mode_places) = modes.sorted();
    for placed in lives.iter_mut().chain(&mut unwatched) {
        placed.group = group_places.get(placed.group as usize).copied().unwrap_or(0);
        placed.mode = mode_places.get(placed.mode as usize).copied().unwrap_or(0);
    }
    Ok(Lives { lives, unwatched, groups, modes, account })
}

/// The columns of a row's life.
struct RowReader<'a> {
    source: &'a Source,
    time: Option<&'a Vec<Cell>>,
    upper: Option<&'a Vec<Cell>>,
    event: Option<(usize, &'a Vec<Cell>)>,
    entry: Option<&'a Vec<Cell>>,
    count: Option<&'a Vec<Cell>>,
}

impl RowReader<'_> {
    fn life(&self, at: usize, number: u64, codes: &mut Codes) -> Result<Result<Life, SetAside>, LivesError> {
        let code = match self.event {
            None => Some(Code::Failed),
            Some((column, cells)) => codes.code(self.source, number, column, &cells[at])?,
        };
        let Some(code) = code else { return Ok(Err(SetAside::NoEvent)) };
        if code == Code::Start {
            let column = self.event.map_or(0, |(column, _)| column);
            let problem = "a start is an event of a unit: name its column with --unit".to_owned();
            return Err(self.source.cell_error(number, column, problem));
        }
        if code == Code::FailedBetween && self.upper.is_none() {
            let (column, problem) =
                (self.event.map_or(0, |(column, _)| column), "an interval needs --upper NAME".to_owned());
            return Err(self.source.cell_error(number, column, problem));
        }
        Ok(self.settled(at, code))
    }

    fn settled(&self, at: usize, code: Code) -> Result<Life, SetAside> {
        let count = self.cell(self.count, at, SetAside::CountNotWhole)?.unwrap_or(1.0);
        let count = match self.count {
            Some(cells) if cells[at].is_empty() => return Err(SetAside::CountNotWhole),
            _ => count,
        };
        if count < 0.0 || count != count.trunc() {
            return Err(SetAside::CountNotWhole);
        }
        if count == 0.0 {
            return Err(SetAside::CountZero);
        }
        let entry = self.cell(self.entry, at, SetAside::EntryNotANumber)?.unwrap_or(0.0);
        if entry < 0.0 {
            return Err(SetAside::EntryNotANumber);
        }
        let end = self.end(at, code)?;
        let end = match end {
            End::Failed(0.0) => return Err(SetAside::FailedAtZero),
            End::Failed(age) if age <= entry => return Err(SetAside::FailedBeforeEntry),
            End::Between { by: 0.0, .. } => return Err(SetAside::FailedAtZero),
            End::Between { by, .. } if by <= entry => return Err(SetAside::FailedBeforeEntry),
            // Alive at entry is more than alive at an earlier look.
            End::Between { after, by } => End::Between { after: after.max(entry), by },
            End::Survived(age) if age < entry => return Err(SetAside::NotWatched),
            end => end,
        };
        Ok(Life { entry, end, count })
    }

    fn end(&self, at: usize, code: Code) -> Result<End, SetAside> {
        let time = self.cell(self.time, at, SetAside::TimeNotANumber)?;
        let upper = self.cell(self.upper, at, SetAside::TimeNotANumber)?;
        if time.is_some_and(|time| time < 0.0) {
            return Err(SetAside::NegativeTime);
        }
        match (code, time, upper) {
            (Code::Censored, Some(time), _) => Ok(End::Survived(time)),
            (Code::FailedBefore, time, upper) => {
                upper.or(time).map(|by| End::Between { after: 0.0, by }).ok_or(SetAside::NoTime)
            }
            (_, Some(time), Some(upper)) if upper < time => Err(SetAside::UpperBelowTime),
            (_, Some(time), Some(upper)) if upper > time => Ok(End::Between { after: time, by: upper }),
            // An open upper end says "later than the time" where no event column says otherwise.
            (_, Some(time), None) if self.upper.is_some() && self.event.is_none() => Ok(End::Survived(time)),
            (_, Some(time), _) => Ok(End::Failed(time)),
            (Code::Failed | Code::FailedBetween, None, Some(upper)) => Ok(End::Between { after: 0.0, by: upper }),
            (_, None, _) => Err(SetAside::NoTime),
        }
    }

    /// A cell's number: `None` where the table lacks the column or the cell is empty. An infinite upper end is no end.
    fn cell(&self, cells: Option<&Vec<Cell>>, at: usize, wrong: SetAside) -> Result<Option<f64>, SetAside> {
        match cells.map(|cells| &cells[at]) {
            None | Some(Cell::Empty) => Ok(None),
            Some(Cell::Text(text)) if is_absent(text) => Ok(None),
            Some(Cell::Text(text)) if wrong == SetAside::TimeNotANumber && is_date(text) => Err(SetAside::TimeIsADate),
            Some(cell) => self.source.number(cell).map(Some).ok_or(wrong),
        }
    }
}

/// How exports write "no value".
fn is_absent(text: &str) -> bool {
    ["na", "n/a", "nan", "null", "none", "inf", "infinity", "-", "∞"].contains(&text.to_lowercase().as_str())
}

/// Whether a text begins as a date does: `2024-01-31`, `2024/1/31`, `2024年1月`.
fn is_date(text: &str) -> bool {
    let mut parts = text.splitn(3, ['-', '/', '.', '年']);
    let number = |part: Option<&str>| part.and_then(|part| part.parse::<u32>().ok());
    let year = number(parts.next()).is_some_and(|year| (1900..2200).contains(&year));
    let month = parts.next().and_then(|month| month.trim_end_matches('月').parse::<u32>().ok());
    year && month.is_some_and(|month| (1..=12).contains(&month)) && (text.contains('年') || parts.next().is_some())
}

/// Names as numbers, in order of appearance until sorted.
#[derive(Default)]
struct Names {
    codes: HashMap<String, u32>,
    names: Vec<String>,
}

impl Names {
    fn code(&mut self, name: String) -> u32 {
        if let Some(&code) = self.codes.get(&name) {
            return code;
        }
        let code = self.names.len() as u32;
        self.codes.insert(name.clone(), code);
        self.names.push(name);
        code
    }

    /// The names sorted, and the place of each code among them. Numbers sort as numbers.
    fn sorted(self) -> (Vec<String>, Vec<u32>) {
        let mut order: Vec<usize> = (0..self.names.len()).collect();
        let number = |at: usize| self.names[at].parse::<f64>().unwrap_or(f64::INFINITY);
        order.sort_by(|&a, &b| number(a).total_cmp(&number(b)).then_with(|| self.names[a].cmp(&self.names[b])));
        let mut places = vec![0; self.names.len()];
        for (place, &at) in order.iter().enumerate() {
            places[at] = place as u32;
        }
        (order.into_iter().map(|at| self.names[at].clone()).collect(), places)
    }
}
