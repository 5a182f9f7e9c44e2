//! `fleetwear fit`: what a life law's parameters are, and how well they are known. One source a run: histories, or a table
//! of lives.

use std::path::PathBuf;

use super::console::Console;
use super::exit::{CliError, Exit};
use super::fit_histories::{self, HistoriesArgs};
use super::fit_lives;
use super::values::MaxBad;
use crate::fit::lives::LivesPlan;
use crate::fit::lives::law::Law;

/// Fit a model's free parameters to histories and work orders, or life distributions to a table of lives
#[derive(Debug, clap::Args)]
#[command(
    group = clap::ArgGroup::new("source").required(true).args(["lifetimes", "data"]),
    after_help = "\
Examples:
  fleetwear fit --data fleet/ --model model.toml --out fitted/
  fleetwear fit --data fleet/ --model ev-passenger --free lives-and-shapes --modes tyre_wear --out fitted/ --bootstrap 200
  fleetwear fit --lifetimes lives.csv
  fleetwear fit --lifetimes bearings.csv --time hours --event event --count count --at 8000 --out fits/
  fleetwear fit --lifetimes warranty.xlsx --time 里程 --event 状态 --failed 失效 --mode 失效模式 --by 车型
  fleetwear fit --lifetimes repairs.csv --unit engine --time days --event event
  fleetwear fit --lifetimes sales_and_returns.xlsx --nevada"
)]
pub struct FitArgs {
    #[command(flatten)]
    pub histories: HistoriesArgs,
    #[command(flatten)]
    pub lives: LivesArgs,
}

/// A table of lives.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "From a table of lives")]
pub struct LivesArgs {
    /// A table of lives: CSV (UTF-8, GBK or UTF-16; apart by comma, semicolon or tab), xlsx or Parquet; the first row names
    /// the columns
    #[arg(long, value_name = "FILE")]
    pub lifetimes: Option<PathBuf>,
    #[command(flatten)]
    pub columns: LifeColumnsArgs,
    /// Column with the failure mode: each mode is fitted with the others as censoring, and all together
    #[arg(long, value_name = "COLUMN", requires = "lifetimes", conflicts_with_all = ["unit", "nevada"])]
    pub mode: Option<String>,
    /// Column that splits the table: each of its values gets fits of its own
    #[arg(long, value_name = "COLUMN", requires = "lifetimes", conflicts_with = "nevada")]
    pub by: Option<String>,
    /// Recurrent events: the column that names the unit. Its rows are its events, and one that says censored (or end)
    /// tells until when it was watched; the mean cumulative function comes out
    #[arg(long, value_name = "COLUMN", requires = "lifetimes", conflicts_with = "nevada")]
    pub unit: Option<String>,
    /// Column with what a recurrent event cost: the mean cumulative cost instead of the number
    #[arg(long, value_name = "COLUMN", requires = "unit")]
    pub cost: Option<String>,
    /// A row is a period of sale with the number sold (--count), a column a period of return (Nevada table)
    #[arg(long, requires = "lifetimes")]
    pub nevada: bool,
    /// Laws to fit; the defective ones hold for a share of the lives, the others never fail
    #[arg(long, value_enum, value_delimiter = ',', value_name = "LAW,…", requires = "lifetimes",
        default_values_t = [LawArg::Weibull, LawArg::Lognormal, LawArg::Exponential])]
    pub law: Vec<LawArg>,
    /// Hold the Weibull shape at this value, known from elsewhere: for few failures, or none
    #[arg(long, value_name = "β", requires = "lifetimes")]
    pub shape: Option<f64>,
    /// Confidence of intervals, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 95.0, requires = "lifetimes")]
    pub confidence: f64,
    /// The ages by which these percents have failed: B10 is the age for 10
    #[arg(long, value_delimiter = ',', value_name = "PERCENT,…", default_values_t = [1.0, 10.0, 50.0], requires = "lifetimes")]
    pub percent: Vec<f64>,
    /// The share failed by these ages, with its interval
    #[arg(long, value_delimiter = ',', value_name = "AGE,…", requires = "lifetimes")]
    pub at: Vec<f64>,
    /// Folder to write: Parquet and, from a table, report.json and probability plots; must be empty or not there
    #[arg(long, value_name = "FOLDER")]
    pub out: Option<PathBuf>,
    /// Exit with code 5 if more rows than this are set aside: a number of rows, or a share such as 0.5%
    #[arg(long, value_name = "ROWS|SHARE%", default_value = "1%")]
    pub max_bad: MaxBad,
}

/// Which column of a table of lives is what.
#[derive(Debug, clap::Args)]
pub struct LifeColumnsArgs {
    /// Sheet of the workbook [default: the first]
    #[arg(long, value_name = "NAME", requires = "lifetimes")]
    pub sheet: Option<String>,
    /// Column with the age at failure, or at the last look; with --upper the age of the last look before the failure
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
}

impl LifeColumnsArgs {
    /// Into the plan that reads the table.
    pub fn settle(self, plan: &mut LivesPlan) {
        plan.sheet = self.sheet;
        plan.names.time = self.time;
        plan.names.upper = self.upper;
        plan.names.event = self.event;
        plan.names.entry = self.entry;
        plan.names.count = self.count;
        plan.codes.failed = self.failed;
        plan.codes.censored = self.censored;
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LawArg {
    Weibull,
    Lognormal,
    Exponential,
    WeibullDefective,
    LognormalDefective,
}

impl From<LawArg> for Law {
    fn from(law: LawArg) -> Self {
        match law {
            LawArg::Weibull => Self::Weibull,
            LawArg::Lognormal => Self::Lognormal,
            LawArg::Exponential => Self::Exponential,
            LawArg::WeibullDefective => Self::WeibullDefective,
            LawArg::LognormalDefective => Self::LognormalDefective,
        }
    }
}

pub fn run(args: FitArgs, console: &Console) -> Result<Exit, CliError> {
    if args.histories.data.is_some() {
        return fit_histories::run(args.histories, args.lives.out, args.lives.max_bad, console);
    }
    fit_lives::run(args.lives, console)
}
