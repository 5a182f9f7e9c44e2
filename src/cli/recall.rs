//! `fleetwear recall`: how many will fail, with calibrated bounds. One source a run: a table of lives.

use super::console::Console;
use super::exit::{CliError, Exit};
use super::recall_lives::{self, RecallLivesArgs};

/// Say how many more will fail, with calibrated prediction bounds
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fleetwear recall --lifetimes bearings.csv --time hours --event event --count count --horizon 300
  fleetwear recall --lifetimes warranty.xlsx --time 里程 --event 状态 --failed 失效 --by 车型 --horizon 10000,20000 --out sized/
  fleetwear recall --lifetimes nothing_failed.csv --shape 2 --horizon 500")]
pub struct RecallArgs {
    #[command(flatten)]
    pub lives: RecallLivesArgs,
}

pub fn run(args: RecallArgs, console: &Console) -> Result<Exit, CliError> {
    recall_lives::run(args.lives, console)
}
