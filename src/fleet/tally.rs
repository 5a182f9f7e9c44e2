//! What a thread counts while it reads, and the row account that the counts add up to.

use super::account::{Account, CellReason, Quarantine, Skip};
use super::dictionary::Dictionary;
use super::quantise::CellCounts;

/// What one thread has counted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub scored: u64,
    pub duplicates: u64,
    pub after_as_of: u64,
    pub taken_before: u64,
    pub other_shard: u64,
    pub null_vehicle: u64,
    pub null_time: u64,
    pub time_out_of_range: u64,
    /// By place among the channels to fill.
    pub cells: Vec<CellCounts>,
}

impl Tally {
    pub fn add(&mut self, other: &Tally) {
        self.scored += other.scored;
        self.duplicates += other.duplicates;
        self.after_as_of += other.after_as_of;
        self.taken_before += other.taken_before;
        self.other_shard += other.other_shard;
        self.null_vehicle += other.null_vehicle;
        self.null_time += other.null_time;
        self.time_out_of_range += other.time_out_of_range;
        self.cells.resize(self.cells.len().max(other.cells.len()), CellCounts::default());
        for (sum, cells) in self.cells.iter_mut().zip(&other.cells) {
            sum.add(cells);
        }
    }

    /// The account without the files that could not be read; reasons that did not occur are left out. `fill` are the
    /// channels' indices in the dictionary.
    pub fn account(&self, dictionary: &Dictionary, fill: &[usize]) -> Account {
        let mut account = Account { scored: self.scored, ..Account::default() };
        let quarantined = [
            (Quarantine::NullVehicle, self.null_vehicle),
            (Quarantine::NullTime, self.null_time),
            (Quarantine::TimeOutOfRange, self.time_out_of_range),
        ];
        account.quarantined.extend(quarantined.into_iter().filter(|(_, rows)| *rows > 0));
        let skipped = [
            (Skip::Duplicate, self.duplicates),
            (Skip::AfterAsOf, self.after_as_of),
            (Skip::TakenBefore, self.taken_before),
            (Skip::OtherShard, self.other_shard),
        ];
        account.skipped.extend(skipped.into_iter().filter(|(_, rows)| *rows > 0));
        for (&channel, cells) in fill.iter().zip(&self.cells) {
            let name = &dictionary.channels[channel].channel.name;
            let counts = [
                (CellReason::Missing, cells.missing),
                (CellReason::NotFinite, cells.not_finite),
                (CellReason::OutOfRange, cells.out_of_range),
                (CellReason::NoJoin, cells.no_join),
            ];
            for (reason, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
                account.not_available.insert((name.clone(), reason), count);
            }
        }
        account
    }
}
