//! The row account: rows in = scored + quarantined + skipped, by reason.

use std::collections::BTreeMap;

/// Counts of one scan. Accounts of parts add up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Rows that the inputs hold, by their metadata.
    pub rows_in: u64,
    pub scored: u64,
    pub quarantined: BTreeMap<Quarantine, u64>,
    pub skipped: BTreeMap<Skip, u64>,
    /// Values, not rows: cells that became "not available", by (channel, reason). Their rows are scored.
    pub not_available: BTreeMap<(String, CellReason), u64>,
}

/// Why a row cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Quarantine {
    NullVehicle,
    NullTime,
    TimeOutOfRange,
    /// The file that holds it cannot be decoded.
    UnreadableFile,
}

/// Why a good row was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Skip {
    /// Another row with the same vehicle and time was taken.
    Duplicate,
    AfterAsOf,
    /// An earlier night took it from the same file.
    TakenBefore,
    OtherShard,
}

/// Why a cell has no code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CellReason {
    Missing,
    NotFinite,
    OutOfRange,
    /// The side table has no row for it.
    NoJoin,
}

impl Account {
    pub fn add(&mut self, other: &Account) {
        self.rows_in += other.rows_in;
        self.scored += other.scored;
        for (reason, rows) in &other.quarantined {
            *self.quarantined.entry(*reason).or_default() += rows;
        }
        for (reason, rows) in &other.skipped {
            *self.skipped.entry(*reason).or_default() += rows;
        }
        for (cell, count) in &other.not_available {
            *self.not_available.entry(cell.clone()).or_default() += count;
        }
    }

    /// Whether every row is accounted for.
    pub fn balances(&self) -> bool {
        let quarantined: u64 = self.quarantined.values().sum();
        let skipped: u64 = self.skipped.values().sum();
        self.rows_in == self.scored + quarantined + skipped
    }
}
