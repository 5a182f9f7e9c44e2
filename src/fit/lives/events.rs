//! What an event column's codes say: the usual words and numbers in English and Chinese, and those that options add.

use super::columns::Columns;
use super::error::LivesError;
use super::plan::EventCodes;
use super::table::{Cell, Source};
use crate::fleet::error::nearest;

/// What a code says of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    Failed,
    Censored,
    /// Had failed at the time; nobody knows when.
    FailedBefore,
    /// Failed between the time and the upper time.
    FailedBetween,
    /// A unit's watch began.
    Start,
}

const FAILED: &[&str] = &[
    "1",
    "f",
    "fail",
    "failed",
    "failure",
    "event",
    "exact",
    "dead",
    "death",
    "died",
    "broken",
    "defect",
    "defective",
    "replacement",
    "replaced",
    "true",
    "yes",
    "y",
    "失效",
    "故障",
    "失败",
    "损坏",
    "更换",
    "已失效",
    "是",
];
const CENSORED: &[&str] = &[
    "0",
    "s",
    "c",
    "r",
    "censored",
    "censor",
    "right",
    "right censored",
    "right-censored",
    "suspended",
    "suspension",
    "running",
    "survived",
    "survivor",
    "alive",
    "ok",
    "end",
    "false",
    "no",
    "n",
    "截尾",
    "删失",
    "右删失",
    "右截尾",
    "未失效",
    "在用",
    "正常",
    "完好",
    "否",
];
/// The numbers are those of R's `Surv`.
const BEFORE: &[&str] = &["2", "left", "left censored", "left-censored", "左删失", "左截尾"];
const BETWEEN: &[&str] = &["3", "interval", "interval censored", "interval-censored", "区间", "区间删失"];
const START: &[&str] = &["start", "begin", "entry", "开始", "投用"];
/// Codes that mean the opposite in a column called "censored".
const DOUBTFUL: &[&str] = &["0", "1", "true", "false", "yes", "no", "y", "n", "是", "否"];

/// Tells codes apart, each distinct one once.
pub struct Codes<'a> {
    asked: &'a EventCodes,
    /// The column's name says "censored", so 1 may mean that.
    doubtful: bool,
    known: std::collections::HashMap<String, Code>,
}

impl<'a> Codes<'a> {
    pub fn new(asked: &'a EventCodes, columns: &Columns) -> Result<Self, LivesError> {
        if let Some(both) =
            asked.failed.iter().find(|code| asked.censored.iter().any(|other| folded(other) == folded(code)))
        {
            return Err(LivesError::Option { option: "--failed", problem: format!("{both:?} is in --censored too") });
        }
        Ok(Self { asked, doubtful: columns.says_censored(), known: std::collections::HashMap::new() })
    }

    /// What the cell in `column` of a row says; `None` for an empty cell.
    pub fn code(&mut self, source: &Source, row: u64, column: usize, cell: &Cell) -> Result<Option<Code>, LivesError> {
        if cell.is_empty() {
            return Ok(None);
        }
        let text = folded(&cell.shown());
        if let Some(&code) = self.known.get(&text) {
            return Ok(Some(code));
        }
        let code = self.look_up(&text).map_err(|problem| source.cell_error(row, column, problem))?;
        self.known.insert(text, code);
        Ok(Some(code))
    }

    fn look_up(&self, text: &str) -> Result<Code, String> {
        let asked = |codes: &[String]| codes.iter().any(|code| folded(code) == text);
        if asked(&self.asked.failed) {
            return Ok(Code::Failed);
        }
        if asked(&self.asked.censored) {
            return Ok(Code::Censored);
        }
        // Whoever names one side's codes means all others to be the other side.
        match (self.asked.failed.is_empty(), self.asked.censored.is_empty()) {
            (false, true) => return Ok(Code::Censored),
            (true, false) => return Ok(Code::Failed),
            _ => {}
        }
        if self.doubtful && DOUBTFUL.contains(&text) {
            return Err(format!(
                "{text:?} in a column of this name may mean a failure or a censored life: say which with --failed {text} or --censored {text}"
            ));
        }
        let tables = [
            (FAILED, Code::Failed),
            (CENSORED, Code::Censored),
            (BEFORE, Code::FailedBefore),
            (BETWEEN, Code::FailedBetween),
            (START, Code::Start),
        ];
        if let Some((_, code)) = tables.iter().find(|(words, _)| words.contains(&text)) {
            return Ok(*code);
        }
        let words = tables.iter().flat_map(|(words, _)| words.iter().copied()).filter(|word| word.len() > 2);
        let like = nearest(text, words).map(|word| format!(" (did you mean {word:?}?)")).unwrap_or_default();
        Err(format!(
            "{text:?} says neither failed nor censored{like}: name it with --failed {text:?} or --censored {text:?}"
        ))
    }
}

/// Lower case; a number as it is shortest.
fn folded(code: &str) -> String {
    let code = code.trim().to_lowercase();
    code.parse::<f64>().map_or(code, |number| number.to_string())
}
