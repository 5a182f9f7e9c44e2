//! The end of a night: the next generation, staged beside the current one.
//!
//! The log folder and the generation are placed before the scores, the pointer is swapped after them
//! ([`crate::fleet::state::folder`]), so that a run killed in between leaves either yesterday's state or one that only lacks the
//! pointer.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::collect::{Collected, Tonight};
use super::night::{Next, NightFleet};
use super::record::{MadeFrom, STATE_VERSION, ScoresOfState, StateRecord};
use super::traits::FleetTraits;
use crate::fleet::manifest::{Manifest, ManifestAccount};
use crate::fleet::scan::ScanReport;
use crate::fleet::state::consumed::{added, consumed};
use crate::fleet::state::error::StateError;
use crate::fleet::state::folder::STATE_JSON;
use crate::fleet::state::stock::Stock;
use crate::fleet::writer::OutputFolder;
use crate::run::Control;
use crate::score::sums::FleetSums;

/// What a night has to tell the next ones, beside its sums.
pub struct Keeping<'a> {
    pub made_from: MadeFrom,
    /// Day of the latest record summed.
    pub latest_day: Option<i32>,
    /// Of tonight's files.
    pub report: &'a ScanReport,
    /// Files that may hold rows after the as-of day.
    pub pending: &'a BTreeSet<PathBuf>,
    pub scores: ScoresOfState,
}

impl Next<'_> {
    /// Writes and places tonight's log and the next generation; `channels` is the number of code columns. It counts once
    /// [`crate::fleet::state::folder::StateFolder::commit`] is called.
    pub fn stage(
        self,
        night: &NightFleet,
        channels: usize,
        stock: &Stock,
        sums: &FleetSums,
        keeping: Keeping,
        control: &Control,
    ) -> Result<StateRecord, StateError> {
        let traits = FleetTraits::new(night.masks, night.plan, night.joins, night.plan.as_of_day);
        let tonight =
            Tonight { sums, plan: night.plan, ordinals: &self.ordinals, presence: &self.presence, traits: &traits };
        let stored = self.before.map(|before| &before.stored);
        let next = Collected::new(stored, tonight, night.widths());
        let before = self.before.map(|before| &before.record);
        let covered_from_tick = night.log_from_tick().max(before.map_or(i32::MIN, |before| before.covered_from_tick));
        let mut log: Vec<_> = before.iter().flat_map(|before| before.log.clone()).collect();
        log.extend(self.log.finish()?);
        log.retain(|file| file.to_tick >= covered_from_tick);

        let tonight_account = ManifestAccount::from(&keeping.report.account);
        let generation = night.folder.next();
        let path = night.folder.generation(generation);
        let folder = OutputFolder::create(&path)?;
        let text_ids = next.write(&folder, control)?;
        let record = StateRecord {
            version: STATE_VERSION,
            generation,
            made_from: keeping.made_from,
            as_of_day: night.plan.as_of_day,
            latest_day: keeping.latest_day.max(before.and_then(|before| before.latest_day)),
            covered_from_tick,
            dimensions: next.dimensions(channels),
            text_ids,
            consumed: consumed(
                before.map_or(&[][..], |_| &stock.consumed),
                keeping.report,
                keeping.pending,
                &night.dataset.dictionary.histories.files.base,
            ),
            log,
            account: match before {
                Some(before) => added(&before.account, &tonight_account),
                None => tonight_account,
            },
            scores: keeping.scores,
        };
        folder.write_json(STATE_JSON, &record)?;
        folder.finish(Manifest { command: "score --state".to_owned(), ..Manifest::default() })?;
        Ok(record)
    }
}
