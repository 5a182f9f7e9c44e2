//! `fleetwear recall`: how many will fail, with calibrated bounds. One source a run: a cohort of a dataset's vehicles, or a
//! table of lives.

use super::console::Console;
use super::exit::{CliError, Exit};
use super::recall_fleet::{self, RecallFleetArgs};
use super::recall_lives::{self, RecallLivesArgs};

/// Size a recall: who is affected, how many will fail, with calibrated prediction bounds, and what it costs
#[derive(Debug, clap::Args)]
#[command(
    group = clap::ArgGroup::new("source").required(true).args(["lifetimes", "data"]),
    after_help = "\
Examples:
  fleetwear recall --data fleet/ --model fitted/model.toml --cohort 'sensor_lot == \"L0417\" and build_date < 2025-03-01' --defect pack_temp_spread --out recall/
  fleetwear recall --data fleet/ --model fitted/model.toml --cohort @vins.xlsx --defect tyre_wear --economics economics.toml --out recall/
  fleetwear recall --lifetimes bearings.csv --time hours --event event --count count --horizon 300
  fleetwear recall --lifetimes warranty.xlsx --time 里程 --event 状态 --failed 失效 --by 车型 --horizon 10000,20000 --out sized/
  fleetwear recall --lifetimes nothing_failed.csv --shape 2 --horizon 500"
)]
pub struct RecallArgs {
    #[command(flatten)]
    pub fleet: RecallFleetArgs,
    #[command(flatten)]
    pub lives: RecallLivesArgs,
    #[command(flatten)]
    pub shared: RecallSharedArgs,
}

/// What both sources take.
#[derive(Debug, clap::Args)]
pub struct RecallSharedArgs {
    /// Confidence of each one-sided bound, in percent; two of 95 make an interval of 90
    #[arg(long, value_name = "PERCENT", default_value_t = 95.0)]
    pub confidence: f64,
    /// The same seed gives the same samples, futures and deals
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub seed: u64,
    /// Folder to write; must be empty or not there. Of a cohort: Parquet, recall.xlsx, recall.html, report.json; of a table of
    /// lives: the bounds as Parquet, and report.json
    #[arg(long, value_name = "FOLDER", required_unless_present = "lifetimes")]
    pub out: Option<std::path::PathBuf>,
    /// Exit with code 5 if more rows than this are set aside or quarantined, of each table by itself: a number of rows, or a
    /// share such as 0.5%
    #[arg(long, value_name = "ROWS|SHARE%", default_value = "1%")]
    pub max_bad: super::values::MaxBad,
}

pub fn run(args: RecallArgs, console: &Console) -> Result<Exit, CliError> {
    if args.fleet.data.is_some() {
        return recall_fleet::run(args.fleet, args.shared, console);
    }
    recall_lives::run(args.lives, args.shared, console)
}
