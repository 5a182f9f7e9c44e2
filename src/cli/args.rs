//! What may be typed. Options that several commands share stand in groups, so that a command takes only what it
//! uses and a meaningless option is a usage error.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

use super::values::{AsOf, MaxBad, MemoryLimit};

const EXIT_CODES: &str = "\
Exit codes: 0 ok · 1 internal · 2 usage · 3 configuration or model invalid · 4 input unreadable or contract violated
  5 finished, but more bad rows than --max-bad · 6 output conflict · 7 device required but not there or lost
  8 resource limit · 9 verification failed · 130/143 interrupted after a clean stop

Examples:
  fleetwear demo
  fleetwear init histories/ > dataset.toml
  fleetwear check --data dataset.toml
  fleetwear score --data dataset.toml --model ev-passenger --out scores/";

/// Reads the histories of a fleet from Parquet, computes how much of each component's life has been used, and writes
/// Parquet: the same data give the same bytes on one thread, on all cores and on any GPU.
#[derive(Debug, Parser)]
#[command(name = "fleetwear", version, after_help = EXIT_CODES, max_term_width = 110)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
    #[command(flatten)]
    pub talk: TalkArgs,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Check(CheckArgs),
    /// List the graphics adapters, with their limits and why each would or would not be taken
    #[command(after_help = "Examples:\n  fleetwear devices\n  fleetwear devices --json")]
    Devices,
}

/// Read a dataset and account for every row, without scoring it
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  fleetwear check --data fleet/\n  fleetwear check --data dataset.toml --json --max-bad 0"
)]
pub struct CheckArgs {
    #[command(flatten)]
    pub data: DataArgs,
    #[command(flatten)]
    pub host: HostArgs,
}

/// How the program talks.
#[derive(Debug, clap::Args)]
pub struct TalkArgs {
    /// Print the report as one JSON document on stdout
    #[arg(long, global = true)]
    pub json: bool,
    /// Print nothing on stderr but errors
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Language of headings and reports
    #[arg(long, global = true, value_enum, default_value_t = Language::En, value_name = "LANGUAGE")]
    pub lang: Language,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Language {
    En,
    Zh,
}

/// Which records.
#[derive(Debug, clap::Args)]
pub struct DataArgs {
    /// The data dictionary `dataset.toml`, or the folder that holds it
    #[arg(long, value_name = "FILE|FOLDER")]
    pub data: PathBuf,
    /// Leave out what is dated later than this day (for integer periods: this period) [default: the latest record]
    #[arg(long, value_name = "DATE", allow_hyphen_values = true)]
    pub as_of: Option<AsOf>,
    /// Exit with code 5 if more rows than this are quarantined: a number of rows, or a share such as 0.5%
    #[arg(long, value_name = "ROWS|SHARE%", default_value = "1%")]
    pub max_bad: MaxBad,
}

/// What of this computer may be used.
#[derive(Debug, clap::Args)]
pub struct HostArgs {
    /// Threads to use [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: Option<u16>,
    /// Memory for buffers, beside what results and the id table take: bytes, or with KiB, MiB, GiB
    #[arg(long, value_name = "SIZE", default_value = "512MiB")]
    pub memory_limit: MemoryLimit,
}

impl HostArgs {
    /// The number of threads to use.
    pub fn threads(&self) -> usize {
        match self.threads {
            Some(threads) => usize::from(threads),
            None => std::thread::available_parallelism().map_or(1, usize::from),
        }
    }
}

/// Where increments are computed.
#[derive(Debug, clap::Args)]
pub struct ComputeArgs {
    /// auto takes a hardware GPU where a short trial says that it pays; results are the same
    #[arg(long, value_enum, default_value_t = BackendName::Auto, value_name = "BACKEND")]
    pub backend: BackendName,
    /// Adapter, by part of its name or by PCI id; the only way to a software adapter
    #[arg(long, value_name = "NAME|PCI")]
    pub device: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BackendName {
    Auto,
    Cpu,
    Gpu,
}
