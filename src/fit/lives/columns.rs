//! Which column is what: as the options say, else by the names that such columns usually have.
//!
//! A name that an option gives must be there. What is guessed is shown to the user with the result: a table whose
//! column `start` is no age of entry would otherwise be fitted wrong in silence.

use super::error::LivesError;
use super::plan::ColumnNames;
use super::table::Source;
use crate::fleet::error::nearest;

/// A column of the header that has a part to play.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    pub at: usize,
    pub name: String,
    /// Found by its name, not asked for.
    pub guessed: bool,
}

/// The columns found.
#[derive(Clone, Debug)]
pub struct Columns {
    pub time: Column,
    pub upper: Option<Column>,
    pub event: Option<Column>,
    pub entry: Option<Column>,
    pub count: Option<Column>,
    pub mode: Option<Column>,
    pub by: Option<Column>,
}

const TIME: &[&str] = &[
    "time",
    "t",
    "lower",
    "left",
    "age",
    "life",
    "lifetime",
    "life_time",
    "duration",
    "exit",
    "stop",
    "tstop",
    "hours",
    "hour",
    "days",
    "day",
    "weeks",
    "months",
    "month",
    "years",
    "miles",
    "mileage",
    "kilomiles",
    "km",
    "kilometers",
    "kilometres",
    "odometer",
    "odometer_km",
    "cycles",
    "kilocycles",
    "kcycles",
    "distance",
    "寿命",
    "时间",
    "失效时间",
    "使用时间",
    "工作时间",
    "运行时间",
    "里程",
    "行驶里程",
    "公里数",
    "小时",
    "小时数",
    "天数",
    "月数",
    "年数",
    "次数",
    "循环次数",
    "使用月数",
    "下限",
];
const UPPER: &[&str] = &["upper", "right", "time2", "time_upper", "by", "上限", "区间上限"];
const EVENT: &[&str] = &[
    "event",
    "status",
    "state",
    "failed",
    "failure",
    "fail",
    "censor",
    "censored",
    "censoring",
    "suspended",
    "delta",
    "事件",
    "状态",
    "失效",
    "是否失效",
    "是否故障",
    "故障",
    "截尾",
    "删失",
    "是否删失",
    "是否截尾",
];
const ENTRY: &[&str] = &[
    "entry",
    "entry_time",
    "entry_age",
    "truncation",
    "left_truncation",
    "tstart",
    "进入时间",
    "起始时间",
    "左截断",
    "截断时间",
];
const COUNT: &[&str] = &[
    "count",
    "counts",
    "n",
    "number",
    "quantity",
    "qty",
    "freq",
    "frequency",
    "weight",
    "weights",
    "num",
    "数量",
    "件数",
    "台数",
    "频数",
    "个数",
];
/// Event columns in which 1 says "censored", not "failed".
const CENSORED: &[&str] = &["censor", "censored", "censoring", "suspended", "截尾", "删失", "是否删失", "是否截尾"];

impl Columns {
    pub fn find(source: &Source, asked: &ColumnNames) -> Result<Self, LivesError> {
        let search = Search { source, folded: source.columns.iter().map(|name| folded(name)).collect() };
        let time = search.one("--time", asked.time.as_deref(), TIME)?.ok_or_else(|| LivesError::NotFound {
            file: source.path.clone(),
            what: "a time",
            option: "--time",
            known: source.known(),
        })?;
        let columns = Self {
            time,
            upper: search.one("--upper", asked.upper.as_deref(), UPPER)?,
            event: search.one("--event", asked.event.as_deref(), EVENT)?,
            entry: search.one("--entry", asked.entry.as_deref(), ENTRY)?,
            count: search.one("--count", asked.count.as_deref(), COUNT)?,
            mode: search.one("--mode", asked.mode.as_deref(), &[])?,
            by: search.one("--by", asked.by.as_deref(), &[])?,
        };
        columns.apart(source)
    }

    /// Whether 1 in the event column may mean "censored".
    pub fn says_censored(&self) -> bool {
        self.event.as_ref().is_some_and(|event| CENSORED.contains(&folded(&event.name).as_str()))
    }

    /// Every column with its option, in a fixed order.
    pub fn listed(&self) -> Vec<(&'static str, &Column)> {
        let optional = [
            ("--upper", &self.upper),
            ("--event", &self.event),
            ("--entry", &self.entry),
            ("--count", &self.count),
            ("--mode", &self.mode),
            ("--by", &self.by),
        ];
        let found = optional.into_iter().filter_map(|(option, column)| Some((option, column.as_ref()?)));
        std::iter::once(("--time", &self.time)).chain(found).collect()
    }

    /// What is to be said where nothing tells failed lives from others.
    pub fn all_failed(&self) -> Option<String> {
        let none_tells = self.event.is_none() && self.upper.is_none();
        none_tells.then(|| "no column says which lives failed: all are taken to have failed at their time".to_owned())
    }

    /// A column has one part; a guess gives way to what was asked for.
    fn apart(mut self, source: &Source) -> Result<Self, LivesError> {
        let taken: Vec<(&'static str, Column)> =
            self.listed().into_iter().map(|(option, column)| (option, column.clone())).collect();
        for (place, (second, column)) in taken.iter().enumerate() {
            let Some((first, other)) = taken[..place].iter().find(|(_, other)| other.at == column.at) else { continue };
            if column.guessed && *second != "--time" {
                self.forget(second);
            } else if other.guessed && *first != "--time" {
                self.forget(first);
            } else {
                return Err(LivesError::Twice {
                    file: source.path.clone(),
                    first,
                    second,
                    column: column.name.clone(),
                });
            }
        }
        Ok(self)
    }

    fn forget(&mut self, option: &str) {
        match option {
            "--upper" => self.upper = None,
            "--event" => self.event = None,
            "--entry" => self.entry = None,
            "--count" => self.count = None,
            _ => {}
        }
    }
}

struct Search<'a> {
    source: &'a Source,
    folded: Vec<String>,
}

impl Search<'_> {
    /// The column that an option names, or the first that is called like one of `usual`, best name first.
    fn one(&self, option: &'static str, asked: Option<&str>, usual: &[&str]) -> Result<Option<Column>, LivesError> {
        if let Some(asked) = asked {
            let at = exact(self.source, option, asked)?;
            return Ok(Some(Column { at, name: self.source.columns[at].clone(), guessed: false }));
        }
        let at = usual.iter().find_map(|name| self.folded.iter().position(|column| column == name));
        Ok(at.map(|at| Column { at, name: self.source.columns[at].clone(), guessed: true }))
    }
}

/// The place of the column that `option` names; letter case and spaces may differ where that leaves one.
pub fn exact(source: &Source, option: &'static str, asked: &str) -> Result<usize, LivesError> {
    let columns = &source.columns;
    if let Some(at) = columns.iter().position(|column| column == asked) {
        return Ok(at);
    }
    let mut alike = (0..columns.len()).filter(|&at| folded(&columns[at]) == folded(asked));
    match (alike.next(), alike.next()) {
        (Some(at), None) => Ok(at),
        _ => Err(LivesError::NoColumn {
            file: source.path.clone(),
            option,
            column: asked.to_owned(),
            nearest: nearest(asked, columns.iter().map(String::as_str)),
            known: source.known(),
        }),
    }
}

/// A name without its unit in brackets, in lower case, words apart by `_`: "Time (h)" is "time".
fn folded(name: &str) -> String {
    let open = name.find(['(', '[', '（', '【']).filter(|&at| at > 0).unwrap_or(name.len());
    name[..open].trim().to_lowercase().replace([' ', '-'], "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fold() {
        for name in ["Time (h)", "TIME", " time [km] ", "time（小时）"] {
            assert_eq!(folded(name), "time", "{name}");
        }
        assert_eq!(folded("Entry age"), "entry_age");
        assert_eq!(folded("(odd)"), "(odd)");
    }
}
