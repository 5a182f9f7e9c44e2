//! `fleetwear fit`: what a life law's parameters are, and how well they are known. One source a run: a table of lives.

use std::path::PathBuf;

use super::console::Console;
use super::exit::{CliError, Exit};
use super::table::{Table, count};
use super::values::MaxBad;
use super::words::Word;
use crate::fit::lives::rows::{self, RowAccount};
use crate::fit::lives::{LivesPlan, columns::Columns, table::Source};

/// Fit life distributions to a table of lives
#[derive(Debug, clap::Args)]
#[command(
    group = clap::ArgGroup::new("source").required(true).args(["lifetimes"]),
    after_help = "\
Examples:
  fleetwear fit --lifetimes lives.csv
  fleetwear fit --lifetimes warranty.xlsx --time 里程 --event 状态 --failed 失效"
)]
pub struct FitArgs {
    #[command(flatten)]
    pub lives: LivesArgs,
}

/// A table of lives.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "From a table of lives")]
pub struct LivesArgs {
    /// A table of lives: CSV, xlsx or Parquet; the first row names the columns
    #[arg(long, value_name = "FILE")]
    pub lifetimes: Option<PathBuf>,
    /// Sheet of the workbook [default: the first]
    #[arg(long, value_name = "NAME", requires = "lifetimes")]
    pub sheet: Option<String>,
    /// Column with the age at failure, or at the last look; with --upper the age of the look before the failure
    /// [default: looked for by its name: time, hours, miles, 里程 …]
    #[arg(long, value_name = "COLUMN", requires = "lifetimes")]
    pub time: Option<String>,
    /// Column with the age by which a failure had happened: the failure lies between --time and it. Where no event column
    /// says otherwise, an empty cell means that the life outlived --time
    #[arg(long, value_name = "COLUMN", requires = "lifetimes")]
    pub upper: Option<String>,
    /// Column that says failed or censored [default: looked for: event, status, 状态 …; without one all have failed]
    #[arg(long, value_name = "COLUMN", requires = "lifetimes")]
    pub event: Option<String>,
    /// Codes of the event column that mean failed; all others then mean censored, unless --censored is given too
    #[arg(long, value_delimiter = ',', value_name = "CODE,…", requires = "lifetimes")]
    pub failed: Vec<String>,
    /// Codes of the event column that mean censored; all others then mean failed, unless --failed is given too
    #[arg(long, value_delimiter = ',', value_name = "CODE,…", requires = "lifetimes")]
    pub censored: Vec<String>,
    /// Column with the age from which a life was watched (left truncation) [default: looked for: entry, tstart …]
    #[arg(long, value_name = "COLUMN", requires = "lifetimes")]
    pub entry: Option<String>,
    /// Column with the number of lives that a row stands for [default: looked for: count, quantity, 数量 …]
    #[arg(long, value_name = "COLUMN", requires = "lifetimes")]
    pub count: Option<String>,
    /// Column with the failure mode: each mode is fitted with the others as censoring, and all together
    #[arg(long, value_name = "COLUMN", requires = "lifetimes")]
    pub mode: Option<String>,
    /// Column that splits the table: each of its values gets fits of its own
    #[arg(long, value_name = "COLUMN", requires = "lifetimes")]
    pub by: Option<String>,
    /// Exit with code 5 if more rows than this are set aside: a number of rows, or a share such as 0.5%
    #[arg(long, value_name = "ROWS|SHARE%", default_value = "1%")]
    pub max_bad: MaxBad,
}

pub fn run(args: FitArgs, console: &Console) -> Result<Exit, CliError> {
    let max_bad = args.lives.max_bad;
    let plan = plan(args.lives);
    let source = Source::open(&plan.file, plan.sheet.as_deref())?;
    let columns = Columns::find(&source, &plan.names)?;
    let lives = rows::lives(&source, &columns, &plan)?;
    console.data(&account(&lives.account, console));
    Ok(verdict(&lives.account, max_bad, console))
}

fn plan(args: LivesArgs) -> LivesPlan {
    let mut plan = LivesPlan::new(args.lifetimes.unwrap_or_default());
    plan.sheet = args.sheet;
    plan.names.time = args.time;
    plan.names.upper = args.upper;
    plan.names.event = args.event;
    plan.names.entry = args.entry;
    plan.names.count = args.count;
    plan.names.mode = args.mode;
    plan.names.by = args.by;
    plan.codes.failed = args.failed;
    plan.codes.censored = args.censored;
    plan
}

/// Where the rows went, as lines.
fn account(account: &RowAccount, console: &Console) -> String {
    let mut rows = Table::new(&[console.word(Word::Rows), "", ""]);
    let mut line = |what: Word, reason: &str, number: u64| {
        rows.row([console.word(what).to_owned(), reason.to_owned(), count(number)]);
    };
    line(Word::RowsIn, "", account.rows_in);
    line(Word::Used, "", account.used);
    for (reason, (number, first)) in &account.set_aside {
        line(Word::SetAside, &format!("{} ({} {first} …)", reason.text(), console.word(Word::From)), *number);
    }
    rows.text()
}

fn verdict(account: &RowAccount, max_bad: MaxBad, console: &Console) -> Exit {
    let bad = account.set_aside_rows();
    if !max_bad.exceeded(bad, account.rows_in) {
        return Exit::Ok;
    }
    console.warning(&format!(
        "{} of {} rows are set aside: more than --max-bad {max_bad}",
        count(bad),
        count(account.rows_in)
    ));
    Exit::BadRows
}
