//! The command line: the only room that prints and knows clap.
//!
//! [`args::Args`] is what was typed; each command turns its part into a plan, checked once; the library runs the plan;
//! the command prints the report. stdout carries data, stderr everything else. [`exit`] alone knows exit codes and
//! hints, `signals` what Ctrl-C and SIGTERM do, `words` the two languages.

mod account;
pub mod args;
mod backtest;
mod bench;
mod check;
mod console;
mod demo;
mod devices;
mod discover;
pub mod exit;
mod fit;
mod fit_histories;
mod fit_lives;
mod init;
mod inspect;
mod progress;
mod recall;
mod recall_fleet;
mod recall_lives;
mod score;
mod signals;
mod simulate;
mod synth;
mod table;
mod values;
mod verify;
mod waterfall;
mod words;
mod worst;

use std::process::ExitCode;

use clap::Parser;

use args::{Args, Command};
use console::Console;
use exit::{CliError, Exit};

/// Parses the arguments, runs the command, and gives the process its exit code.
pub fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(refusal) => {
            // Printing help into a closed pipe is no reason to fail differently.
            let _ = refusal.print();
            return if refusal.use_stderr() { Exit::Usage.into() } else { Exit::Ok.into() };
        }
    };
    let console = Console::new(args.talk.json, args.talk.quiet, args.talk.lang);
    let outcome = exit::guarded(|| {
        let exit = run(args.command, &console)?;
        console.unwritten().map_or(Ok(exit), |source| Err(CliError::Unwritten { source }))
    });
    match outcome {
        Ok(exit) => exit.into(),
        Err(error) => {
            let code = signals::exit_code().filter(|_| error.is_interruption()).unwrap_or_else(|| exit::of(&error));
            console.error(&error, exit::hint(&error));
            code.into()
        }
    }
}

fn run(command: Command, console: &Console) -> Result<Exit, CliError> {
    match command {
        Command::Init(_) | Command::Devices => signals::end_at_once()?,
        _ => signals::listen()?,
    }
    match command {
        Command::Demo(args) => demo::run(args, console),
        Command::Init(args) => init::run(&args, console),
        Command::Check(args) => check::run(args, console),
        Command::Synth(args) => synth::run(args, console),
        Command::Score(args) => score::run(args, console),
        Command::Simulate(args) => simulate::run(args, console),
        Command::Discover(args) => discover::run(*args, console),
        Command::Fit(args) => fit::run(*args, console),
        Command::Backtest(args) => backtest::run(*args, console),
        Command::Recall(args) => recall::run(*args, console),
        Command::Verify(args) => verify::run(args, console),
        Command::Bench(args) => bench::run(args, console),
        Command::Devices => devices::run(console),
        Command::Inspect(args) => inspect::run(args, console),
    }
}
