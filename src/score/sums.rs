//! What a scan leaves behind: exact integer sums per slot and vehicle. Partial results of disjoint records add up to
//! the same sums, so a fleet may be scored in shards and merged.

use std::collections::HashMap;
use std::hash::Hash;

use super::slots::{SlotPlan, TooManySlots};
use super::tally::Tally;
use crate::backend::DamageSums;
use crate::fleet::vehicles::Ids;

/// The sums of a fleet, or of a part of it, under one [`SlotPlan`].
#[derive(Clone, Debug, PartialEq)]
pub struct FleetSums {
    /// In the order of the vehicle index; the known vehicles first.
    pub ids: Ids,
    pub vehicles: usize,
    pub damage: DamageSums,
    pub tally: Tally,
}

/// Partial sums that do not belong together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    #[error("the vehicle ids of one part are integers, those of the other text; both must come from one dataset")]
    IdTypes,
    #[error("the two parts know different vehicles before the histories; both must come from one dataset")]
    KnownVehicles,
    #[error(transparent)]
    Slots(#[from] TooManySlots),
}

impl FleetSums {
    /// Adds the sums of other records of the same dataset, model and as-of day, both made under `plan`. Vehicles that
    /// only the histories know are matched by id.
    pub fn merge(&mut self, other: &FleetSums, plan: &SlotPlan) -> Result<(), MergeError> {
        let known = plan.known();
        let index = match (&mut self.ids, &other.ids) {
            (Ids::Integer(ids), Ids::Integer(others)) => match_ids(ids, others, known)?,
            (Ids::Text(ids), Ids::Text(others)) => match_ids(ids, others, known)?,
            (Ids::Integer(_), Ids::Text(_)) | (Ids::Text(_), Ids::Integer(_)) => return Err(MergeError::IdTypes),
        };
        let slots_before = self.tally.slots.len();
        let columns = |values: usize, things: usize| values.checked_div(things).unwrap_or(0);
        let mechanisms = columns(self.damage.clocks_q48.len(), slots_before)
            .max(columns(other.damage.clocks_q48.len(), other.tally.slots.len()));
        let words = columns(self.damage.capped.len(), slots_before)
            .max(columns(other.damage.capped.len(), other.tally.slots.len()));
        let drivers =
            columns(self.damage.drivers.len(), self.vehicles).max(columns(other.damage.drivers.len(), other.vehicles));
        self.vehicles = self.ids.len().max(self.vehicles);
        let slots = plan.slots(self.vehicles)?;
        self.damage.clocks_q48.resize(slots * mechanisms, 0);
        self.damage.capped.resize(slots * words, 0);
        self.damage.drivers.resize(self.vehicles * drivers, 0);
        self.tally.slots.resize(slots, super::tally::SlotTally::EMPTY);
        self.tally.missing.resize(slots * self.tally.exposures, 0);
        for (from_vehicle, &to_vehicle) in index.iter().enumerate() {
            for (from, to) in plan.of(from_vehicle).zip(plan.of(to_vehicle)) {
                for mechanism in 0..mechanisms {
                    let clock = &mut self.damage.clocks_q48[to * mechanisms + mechanism];
                    *clock = clock.wrapping_add(other.damage.clocks_q48[from * mechanisms + mechanism]);
                }
                for word in 0..words {
                    self.damage.capped[to * words + word] |= other.damage.capped[from * words + word];
                }
                self.tally.add_slot(to, &other.tally, from);
            }
            for driver in 0..drivers {
                let sum = &mut self.damage.drivers[to_vehicle * drivers + driver];
                *sum = sum.wrapping_add(other.damage.drivers[from_vehicle * drivers + driver]);
            }
        }
        Ok(())
    }
}

/// The index in `ids` of each of `others`; new ones are appended. The first `known` must agree.
fn match_ids<T: Clone + Eq + Hash>(ids: &mut Vec<T>, others: &[T], known: usize) -> Result<Vec<usize>, MergeError> {
    if ids.get(..known) != others.get(..known) {
        return Err(MergeError::KnownVehicles);
    }
    let mut indices: HashMap<T, usize> = ids.iter().cloned().enumerate().map(|(index, id)| (id, index)).collect();
    let mut matched = Vec::with_capacity(others.len());
    for id in others {
        let index = *indices.entry(id.clone()).or_insert(ids.len());
        if index == ids.len() {
            ids.push(id.clone());
        }
        matched.push(index);
    }
    Ok(matched)
}
