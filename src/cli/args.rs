//! What may be typed. Options that several commands share stand in groups, so that a command takes only what it
//! uses and a meaningless option is a usage error.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

use super::backtest::BacktestArgs;
use super::discover::DiscoverArgs;
use super::fit::FitArgs;
use super::recall::RecallArgs;
use super::simulate::SimulateArgs;
use super::values::{AsOf, MaxBad, MemoryLimit, SpillFolder, ZoneShare};
use crate::backend::DeviceShare;

const EXIT_CODES: &str = "\
Exit codes: 0 ok · 1 internal · 2 usage · 3 configuration or model invalid · 4 input unreadable or contract violated
  5 finished, but more bad rows than --max-bad, or (inspect, verify) a file left out · 6 output conflict
  7 device required but not there or lost · 8 resource limit · 9 verification failed
  130/143 interrupted after a clean stop

Examples:
  fleetwear demo
  fleetwear init histories/ > dataset.toml
  fleetwear check --data dataset.toml
  fleetwear score --data dataset.toml --model ev-passenger --out scores/
  fleetwear simulate --data dataset.toml --model ev-passenger --out futures/";

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
    Demo(DemoArgs),
    Init(InitArgs),
    Check(CheckArgs),
    Synth(SynthArgs),
    Score(ScoreArgs),
    Simulate(SimulateArgs),
    Fit(Box<FitArgs>),
    Backtest(Box<BacktestArgs>),
    Discover(Box<DiscoverArgs>),
    Recall(Box<RecallArgs>),
    Verify(VerifyArgs),
    Bench(BenchArgs),
    /// List the graphics adapters, with their limits and why each would or would not be taken
    #[command(after_help = "Examples:\n  fleetwear devices\n  fleetwear devices --json")]
    Devices,
    Inspect(InspectArgs),
}

/// Make a small fleet, check it, score it, and show what came of it
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  fleetwear demo\n  fleetwear demo --lang zh --out /data/demo")]
pub struct DemoArgs {
    /// Folder to write [default: fleetwear-demo, or the next free name]
    #[arg(long, value_name = "FOLDER")]
    pub out: Option<PathBuf>,
    #[arg(long, default_value_t = 2_000, value_name = "N")]
    pub vehicles: u32,
    #[arg(long, default_value_t = 730, value_name = "N")]
    pub days: u32,
    #[arg(long, default_value_t = 7, value_name = "N")]
    pub seed: u64,
    #[command(flatten)]
    pub compute: ComputeArgs,
    #[command(flatten)]
    pub host: HostArgs,
}

/// Draft a data dictionary from Parquet files; it goes to stdout
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  fleetwear init histories/ > dataset.toml\n  fleetwear init fleet.parquet")]
pub struct InitArgs {
    /// A Parquet file, or a folder of them
    #[arg(value_name = "FILE|FOLDER")]
    pub source: PathBuf,
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

/// Make a synthetic fleet with planted facts: histories, vehicles, work orders, and the truth
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fleetwear synth --vehicles 20000 --days 730 --seed 7 --out fleet/
  fleetwear synth --vehicles 1000 --days 365 --zones shenyang=2,guangzhou=1 --layout day --out fleet/")]
pub struct SynthArgs {
    /// Folder to write; must be empty or not there
    #[arg(long, value_name = "FOLDER")]
    pub out: PathBuf,
    #[arg(long, default_value_t = 20_000, value_name = "N")]
    pub vehicles: u32,
    #[arg(long, default_value_t = 730, value_name = "N")]
    pub days: u32,
    #[arg(long, default_value_t = 7, value_name = "N")]
    pub seed: u64,
    /// First day of the histories
    #[arg(long, default_value = "2023-01-01", value_name = "DATE")]
    pub start: AsOf,
    /// Files of some vehicles each, or a file a day
    #[arg(long, value_enum, default_value_t = LayoutName::Vehicle, value_name = "LAYOUT")]
    pub layout: LayoutName,
    /// What identifies a vehicle
    #[arg(long, value_enum, default_value_t = IdName::Vin, value_name = "IDS")]
    pub ids: IdName,
    /// Climate zones and their shares [default: all nine, evenly]
    #[arg(long, value_delimiter = ',', value_name = "ZONE[=SHARE],…")]
    pub zones: Vec<ZoneShare>,
    /// The life laws by which parts fail: a model file, or the name of a shipped model
    #[arg(long, default_value = "ev-passenger", value_name = "FILE|NAME")]
    pub model: String,
    /// Plant no interaction: a fleet in which nothing is to be discovered
    #[arg(long)]
    pub without_rule: bool,
    #[command(flatten)]
    pub threads: ThreadArgs,
}

/// Compute every component's clocks and damage, and write them as Parquet
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fleetwear score --data fleet/ --model ev-passenger --out scores/
  fleetwear score --data dataset.toml --model model.toml --out scores/ --as-of 2026-10-31 --keep model,plant
  fleetwear score --data fleet/ --model ev-passenger --out scores/ --backend gpu --device 0000:01:00.0
  fleetwear score --data fleet/ --model ev-passenger --out scores/2026-10-31 --state state/")]
pub struct ScoreArgs {
    #[command(flatten)]
    pub data: DataArgs,
    #[command(flatten)]
    pub model: ModelArgs,
    /// Folder to write; must be empty or not there
    #[arg(long, value_name = "FOLDER")]
    pub out: PathBuf,
    /// Vehicle attributes to carry into the scores
    #[arg(long, value_delimiter = ',', value_name = "NAME,…")]
    pub keep: Vec<String>,
    /// Keep a state here and go on from it: a night reads only new files, and the scores are those of a whole run
    #[arg(long, value_name = "FOLDER")]
    pub state: Option<PathBuf>,
    /// Begin the state anew from the files that are there: where it is damaged, or files that it has read have changed
    #[arg(long, requires = "state")]
    pub rebuild_state: bool,
    #[command(flatten)]
    pub failure: DeviceFailureArgs,
    /// Do not sum what explains each vehicle's rate: the driver columns are null
    #[arg(long)]
    pub no_drivers: bool,
    #[command(flatten)]
    pub compute: ComputeArgs,
    #[command(flatten)]
    pub host: HostArgs,
}

/// Show on your own data and device that every way to compute a score gives the same content
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  fleetwear verify --data fleet/ --model ev-passenger --device llvmpipe")]
pub struct VerifyArgs {
    /// The data dictionary `dataset.toml`, or the folder that holds it
    #[arg(long, value_name = "FILE|FOLDER")]
    pub data: PathBuf,
    /// Leave out what is dated later than this day [default: the latest record]
    #[arg(long, value_name = "DATE", allow_hyphen_values = true)]
    pub as_of: Option<AsOf>,
    #[command(flatten)]
    pub model: ModelArgs,
    #[command(flatten)]
    pub compute: ComputeArgs,
    #[command(flatten)]
    pub host: HostArgs,
}

/// Measure each stage on data that it makes itself
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fleetwear bench
  fleetwear bench --scale 10 --runs 5 --export-json bench.json --backend gpu
  fleetwear bench --write-recipe recipe/")]
pub struct BenchArgs {
    /// Vehicles in thousands; each has 730 days
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub scale: u32,
    /// Runs before the measured ones
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub warmup: u32,
    /// Measured runs
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub runs: u32,
    /// Write every run's figures to this file
    #[arg(long, value_name = "FILE")]
    pub export_json: Option<PathBuf>,
    /// Only write the data, its dictionary and its model to this folder
    #[arg(long, value_name = "FOLDER")]
    pub write_recipe: Option<PathBuf>,
    /// Use the data of this folder, written there before, instead of making them
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["write_recipe", "scale"])]
    pub recipe: Option<PathBuf>,
    /// How the data are stored
    #[arg(long, value_enum, default_value_t = EncodingName::Zstd, value_name = "ENCODING")]
    pub encoding: EncodingName,
    #[command(flatten)]
    pub compute: ComputeArgs,
    #[command(flatten)]
    pub host: HostArgs,
}

/// Explain a model in words and tables, or one vehicle's scores as waterfalls of ratios
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fleetwear inspect ev-passenger
  fleetwear inspect model.toml --data fleet/
  fleetwear inspect ev-passenger --data fleet/ --vehicle LFW00000000000042")]
pub struct InspectArgs {
    /// A model file, or the name of a shipped model
    #[arg(value_name = "MODEL")]
    pub model: String,
    /// The data dictionary, or the folder that holds it: its channels' ranges, and with --vehicle its records
    #[arg(long, value_name = "FILE|FOLDER")]
    pub data: Option<PathBuf>,
    /// Explain the scores of this vehicle
    #[arg(long, value_name = "ID", requires = "data")]
    pub vehicle: Option<String>,
    /// Leave out what is dated later than this day [default: the latest record]
    #[arg(long, value_name = "DATE", allow_hyphen_values = true, requires = "vehicle")]
    pub as_of: Option<AsOf>,
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
    /// Exit with code 5 if more rows than this are quarantined, of the histories or of any of the tables vehicles, events
    /// and joins, each by itself: a number of rows, or a share such as 0.5%
    #[arg(long, value_name = "ROWS|SHARE%", default_value = "1%")]
    pub max_bad: MaxBad,
}

/// By which model.
#[derive(Debug, clap::Args)]
pub struct ModelArgs {
    /// A model file, or the name of a shipped model: ev-passenger, ev-two-wheeler
    #[arg(long, value_name = "FILE|NAME")]
    pub model: String,
}

/// How many threads.
#[derive(Debug, clap::Args)]
pub struct ThreadArgs {
    /// Threads to use [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
}

/// What of this computer a command that reads may use.
#[derive(Debug, clap::Args)]
pub struct HostArgs {
    #[command(flatten)]
    threads: ThreadArgs,
    /// Memory for buffers, beside what results and the id table take: bytes, or with KiB, MiB, GiB. Fewer threads are
    /// used where it leaves less than 4 MiB to each
    #[arg(long, value_name = "SIZE", default_value = "512MiB")]
    pub memory_limit: MemoryLimit,
    /// Folder for temporary files, which rows go to that must be sorted and exceed the memory limit [default: beside
    /// the output; where there is none, the system's folder for temporary files]
    #[arg(long, value_name = "FOLDER")]
    pub spill: Option<SpillFolder>,
}

/// Least memory of a thread that reads.
const THREAD_BYTES: usize = 4 << 20;

impl HostArgs {
    /// The number of threads to use: each has pages and dictionaries to decode beside its share of the buffers.
    pub fn threads(&self) -> usize {
        self.threads.threads().min(self.memory_limit.0 / THREAD_BYTES).max(1)
    }

    /// Where temporary files go, if the user says.
    pub fn spill_folder(&self) -> Option<PathBuf> {
        self.spill.as_ref().map(|folder| folder.0.clone())
    }
}

impl ThreadArgs {
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

/// What may be had of a device, and what happens where that is not enough.
#[derive(Debug, clap::Args)]
pub struct DeviceFailureArgs {
    /// Memory of the device for the buffers of one kernel at most, where others need it too [default: all of it].
    /// Where it is not enough, the run starts over with smaller batches, then on the processor
    #[arg(long, value_name = "SIZE")]
    pub device_memory: Option<MemoryLimit>,
    /// End with code 7 if the device is lost, 8 if it is out of memory, instead of going on without it
    #[arg(long)]
    pub no_fallback: bool,
}

impl DeviceFailureArgs {
    pub fn share(&self) -> DeviceShare {
        let memory_bytes = self.device_memory.map(|limit| limit.0 as u64);
        DeviceShare { small: false, memory_bytes }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BackendName {
    Auto,
    Cpu,
    Gpu,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LayoutName {
    Vehicle,
    Day,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum IdName {
    Vin,
    Integer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EncodingName {
    /// Dictionary and zstd level 3, as most exports are
    Zstd,
    /// Plain values, no compression
    Plain,
    /// DELTA_BINARY_PACKED, no compression
    Delta,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_leave_each_other_memory() {
        let threads = |options: &[&str]| {
            let line = [&["fleetwear", "check", "--data", "fleet"], options].concat();
            match Args::try_parse_from(line).unwrap().command {
                Command::Check(args) => args.host.threads(),
                other => unreachable!("{other:?}"),
            }
        };
        assert_eq!(threads(&["--threads", "64"]), 64);
        assert_eq!(threads(&["--threads", "64", "--memory-limit", "64MiB"]), 16);
        assert_eq!(threads(&["--threads", "2", "--memory-limit", "16MiB"]), 2);
        assert_eq!(threads(&["--threads", "300"]), 128);
    }
}
