//! What `check` tells of a dataset: the row account, the share of cells without a code by channel, and how far the
//! small tables reach. Plain data; printing is the command line's.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use super::chunk::{Chunk, Order};
use super::dataset::Dataset;
use super::dictionary::{ChannelSource, Operation};
use super::error::FleetError;
use super::joins::JoinAccount;
use super::manifest::ManifestAccount;
use super::scan::{ChunkSink, ScanKind, ScanRequest, SinkError, scan};
use super::tables::TablesAccount;
use super::time::TimeAxis;
use crate::run::Control;

/// Everything `check` knows.
#[derive(Clone, Debug, Serialize)]
pub struct CheckReport {
    pub dictionary: PathBuf,
    /// "days", "seconds since 2000" or "integer periods".
    pub time_axis: &'static str,
    /// "by vehicle", "by time" or "spill".
    pub scan: &'static str,
    /// Rows in = scored (what a model would see) + all quarantined + all skipped; the scan has checked it.
    pub rows: ManifestAccount,
    /// Vehicles that have a record.
    pub vehicles_with_records: u64,
    /// Vehicles of the vehicles and events tables, and those of them without a record.
    pub known_vehicles: u64,
    pub known_without_records: u64,
    /// First and last day (or integer period) of a record; `None` without any.
    pub first_day: Option<i32>,
    pub last_day: Option<i32>,
    pub channels: Vec<ChannelReport>,
    #[serde(flatten)]
    pub tables: TablesAccount,
    pub joins: Vec<JoinAccount>,
    pub unreadable_files: Vec<UnreadableReport>,
}

/// One channel over all scored rows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ChannelReport {
    pub name: String,
    pub unit: String,
    /// Where its values come from, in words.
    pub source: String,
    /// Declared range, in the channel's unit.
    pub range: [f64; 2],
    /// Smallest and largest value that occurs; `None` if none has one.
    pub lowest: Option<f64>,
    pub highest: Option<f64>,
    /// Mean of the values that occur.
    pub mean: Option<f64>,
    /// Scored rows without a value, and their share.
    pub not_available: u64,
    pub not_available_share: f64,
    /// The same by reason; over all rows read, duplicates included.
    pub reasons: BTreeMap<String, u64>,
}

/// A file of which no row counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnreadableReport {
    pub path: PathBuf,
    pub rows: Option<u64>,
    pub problem: String,
}

/// How a dataset is checked.
#[derive(Clone, Copy, Debug)]
pub struct CheckPlan {
    pub threads: usize,
    pub memory_limit_bytes: usize,
    /// Records later than this day are skipped and counted.
    pub as_of_day: Option<i32>,
}

const CHUNK_ROWS: usize = 65_536;

/// Reads the whole dataset once and accounts for it.
pub fn check(dataset: &Dataset, plan: &CheckPlan, control: &Control) -> Result<CheckReport, FleetError> {
    let channels: Vec<usize> = (0..dataset.dictionary.channels.len()).collect();
    let request = ScanRequest {
        channels: channels.clone(),
        order: Order::Any,
        as_of_day: plan.as_of_day,
        threads: plan.threads,
        memory_limit_bytes: plan.memory_limit_bytes,
        chunk_rows: CHUNK_ROWS,
        reversed: false,
        shard: None,
        kind: None,
        hash_inputs: false,
        files: None,
    };
    let sink = Summaries::new(dataset, plan.threads);
    let report = scan(dataset, &request, control, &sink)?;
    let summary = sink.merged();
    let known = dataset.vehicles.known;
    let known_with_records = summary.vehicles_below(known);
    let rows = ManifestAccount::from(&report.account);
    Ok(CheckReport {
        dictionary: dataset.dictionary.path.clone(),
        time_axis: match dataset.axis {
            TimeAxis::Days => "days",
            TimeAxis::SecondsSince2000 => "seconds since 2000",
            TimeAxis::Integer => "integer periods",
        },
        scan: match report.kind {
            ScanKind::ByVehicle => "by vehicle",
            ScanKind::ByTime => "by time",
            ScanKind::Spill => "spill",
        },
        channels: channels.iter().map(|&channel| channel_report(dataset, channel, &summary, &rows)).collect(),
        rows,
        vehicles_with_records: summary.vehicles_below(usize::MAX),
        known_vehicles: known as u64,
        known_without_records: known as u64 - known_with_records,
        first_day: summary.ticks.map(|(first, _)| dataset.axis.day(first)),
        last_day: summary.ticks.map(|(_, last)| dataset.axis.day(last)),
        tables: dataset.tables_account.clone(),
        joins: dataset.joins.iter().map(|join| join.account.clone()).collect(),
        unreadable_files: report
            .unreadable
            .into_iter()
            .map(|file| UnreadableReport { path: file.path, rows: file.rows, problem: file.problem })
            .collect(),
    })
}

/// What is summed over chunks: integers only, so that no order shows.
#[derive(Clone, Debug, Default)]
struct Summary {
    rows: u64,
    /// First and last tick.
    ticks: Option<(i32, i32)>,
    channels: Vec<Codes>,
    /// One bit a vehicle index.
    seen: Vec<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Codes {
    lowest: u16,
    highest: u16,
    available: u64,
    sum: u64,
}

impl Default for Codes {
    fn default() -> Self {
        Self { lowest: u16::MAX, highest: 0, available: 0, sum: 0 }
    }
}

impl Summary {
    fn add(&mut self, chunk: &Chunk, not_available: &[u16]) {
        self.rows += chunk.len() as u64;
        let bounds = chunk.tick.iter().copied().min().zip(chunk.tick.iter().copied().max());
        self.ticks = merged_bounds(self.ticks, bounds);
        self.channels.resize(not_available.len(), Codes::default());
        for ((codes, own), &not_available) in chunk.codes.iter().zip(&mut self.channels).zip(not_available) {
            for &code in codes.iter().filter(|code| **code < not_available) {
                own.lowest = own.lowest.min(code);
                own.highest = own.highest.max(code);
                own.available += 1;
                own.sum += u64::from(code);
            }
        }
        let mut held = None;
        for &vehicle in &chunk.vehicle {
            if held != Some(vehicle) {
                held = Some(vehicle);
                let (word, bit) = (vehicle as usize / 64, vehicle % 64);
                if self.seen.len() <= word {
                    self.seen.resize(word + 1, 0);
                }
                self.seen[word] |= 1 << bit;
            }
        }
    }

    /// Vehicles with a record, of those whose index lies below `limit`.
    fn vehicles_below(&self, limit: usize) -> u64 {
        let whole_words = (limit / 64).min(self.seen.len());
        let whole: u64 = self.seen[..whole_words].iter().map(|word| u64::from(word.count_ones())).sum();
        let rest = self.seen.get(limit / 64).map_or(0, |word| word & ((1 << (limit % 64)) - 1));
        whole + u64::from(rest.count_ones())
    }

    fn merge(&mut self, other: Summary) {
        self.rows += other.rows;
        self.ticks = merged_bounds(self.ticks, other.ticks);
        self.channels.resize(self.channels.len().max(other.channels.len()), Codes::default());
        for (own, other) in self.channels.iter_mut().zip(other.channels) {
            own.lowest = own.lowest.min(other.lowest);
            own.highest = own.highest.max(other.highest);
            own.available += other.available;
            own.sum += other.sum;
        }
        self.seen.resize(self.seen.len().max(other.seen.len()), 0);
        for (own, other) in self.seen.iter_mut().zip(other.seen) {
            *own |= other;
        }
    }
}

fn merged_bounds(one: Option<(i32, i32)>, other: Option<(i32, i32)>) -> Option<(i32, i32)> {
    match (one, other) {
        (Some((first, last)), Some((earlier, later))) => Some((first.min(earlier), last.max(later))),
        (one, other) => one.or(other),
    }
}

/// One summary a lane.
struct Summaries {
    not_available: Vec<u16>,
    lanes: Vec<Mutex<Summary>>,
}

impl Summaries {
    fn new(dataset: &Dataset, threads: usize) -> Self {
        let not_available =
            dataset.dictionary.channels.iter().map(|definition| definition.channel.not_available()).collect();
        Self { not_available, lanes: (0..threads.max(1)).map(|_| Mutex::default()).collect() }
    }

    fn merged(self) -> Summary {
        let mut all = Summary { channels: vec![Codes::default(); self.not_available.len()], ..Summary::default() };
        for lane in self.lanes {
            all.merge(lane.into_inner().unwrap_or_else(PoisonError::into_inner));
        }
        all
    }
}

impl ChunkSink for Summaries {
    fn push(&self, lane: usize, chunk: &Chunk) -> Result<(), SinkError> {
        let lane = self.lanes.get(lane).ok_or_else(|| format!("there is no lane {lane}"))?;
        lane.lock().unwrap_or_else(PoisonError::into_inner).add(chunk, &self.not_available);
        Ok(())
    }

    fn restart(&self) -> Result<(), SinkError> {
        for lane in &self.lanes {
            *lane.lock().unwrap_or_else(PoisonError::into_inner) = Summary::default();
        }
        Ok(())
    }
}

fn channel_report(dataset: &Dataset, index: usize, summary: &Summary, account: &ManifestAccount) -> ChannelReport {
    let definition = &dataset.dictionary.channels[index];
    let channel = &definition.channel;
    let codes = summary.channels.get(index).copied().unwrap_or_default();
    let of = |code: u16| (codes.available > 0).then(|| channel.value(u32::from(code)));
    let name = |index: usize| dataset.dictionary.channels[index].channel.name.as_str();
    let source = match &definition.source {
        ChannelSource::Column { column, .. } => format!("column {column}"),
        ChannelSource::Join { join, column, .. } => {
            format!("column {column} of join {}", dataset.dictionary.joins[*join].name)
        }
        ChannelSource::Derived { operation, a, b } => {
            let sign = match operation {
                Operation::Difference => '-',
                Operation::Sum => '+',
                Operation::Product => '*',
                Operation::Ratio => '/',
            };
            format!("{} {sign} {}", name(*a), name(*b))
        }
        ChannelSource::PeriodDays => "the calendar".to_string(),
    };
    let not_available = summary.rows - codes.available;
    ChannelReport {
        name: channel.name.clone(),
        unit: channel.unit.clone(),
        source,
        range: [channel.value(0), channel.value(channel.codes.saturating_sub(1))],
        lowest: of(codes.lowest),
        highest: of(codes.highest),
        mean: (codes.available > 0).then(|| {
            let mean_code = codes.sum as f64 / codes.available as f64;
            channel.offset + channel.factor * (channel.first as f64 + mean_code)
        }),
        not_available,
        not_available_share: if summary.rows == 0 { 0.0 } else { not_available as f64 / summary.rows as f64 },
        reasons: account.not_available.get(&channel.name).cloned().unwrap_or_default(),
    }
}
