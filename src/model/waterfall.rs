//! Why one vehicle's clock stands where it stands: a waterfall of ratios whose product is the clock.
//!
//! Key idea: the factors of a rate are switched on one after the other, in the order of the tables: exposure at the
//! reference conditions first, then each channel, then each interaction. A step's ratio is the sum of all records'
//! rates with it over the sum without, so the steps multiply exactly to the clock in f64 (which differs from the
//! kernel's clock by the rounding of its exp2 alone). Units: lives.

use serde::Serialize;

use super::compiled::{CompiledExposure, CompiledModel, DriverKind};
use super::tables::{GROUP_LANES, GroupInput, TableInput};
use crate::fixed::exp2::{LOG2_BITS, increment_q48};

/// Adds up one vehicle's records; see [`Waterfall::push`].
#[derive(Clone, Debug)]
pub struct Waterfall<'m> {
    model: &'m CompiledModel,
    /// [`CompiledModel::masks`] of the vehicle.
    masks: Vec<u32>,
    mechanisms: Vec<Sums>,
    records: u64,
}

/// Sums of one mechanism.
#[derive(Clone, Debug, Default)]
struct Sums {
    clock_q48: u64,
    exposure: f64,
    exposure_missing: u64,
    /// Lives at the reference, then after each factor.
    lives: Vec<f64>,
    /// Records in which each factor was not 1.
    active: Vec<u64>,
}

/// One mechanism's waterfall.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MechanismWaterfall {
    pub failure_mode: String,
    pub mechanism: String,
    pub records: u64,
    /// Sum of the exposure in its unit, and records in which it was not available.
    pub exposure: f64,
    pub exposure_missing: u64,
    /// What the exposure would have used up at the reference conditions, in lives.
    pub reference_lives: f64,
    /// In the order in which they multiply. A channel that is the exposure and nothing else is left out.
    pub steps: Vec<WaterfallStep>,
    /// Reference lives times all ratios.
    pub lives: f64,
    /// The kernel's clock over the same records.
    pub clock_q48: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WaterfallStep {
    /// A channel, two channels joined by ` × `, or the id of an interaction.
    pub factor: String,
    pub interaction: bool,
    /// Mean ratio over the records, weighted with the rate before this step; 1 where there is no rate.
    pub ratio: f64,
    /// Records in which the ratio was not 1.
    pub active_records: u64,
}

impl<'m> Waterfall<'m> {
    /// `masks`: [`CompiledModel::masks`] of the vehicle.
    pub fn new(model: &'m CompiledModel, masks: Vec<u32>) -> Self {
        Self { model, masks, mechanisms: vec![Sums::default(); model.mechanisms.len()], records: 0 }
    }

    /// Adds a record: one code a channel of [`CompiledModel::channels`]. Codes beyond a channel's range count as not
    /// available.
    pub fn push(&mut self, codes: &[u16]) {
        self.records += 1;
        for (index, sums) in self.mechanisms.iter_mut().enumerate() {
            let (group, lane) = (index / GROUP_LANES, index % GROUP_LANES);
            let (Some(tables), Some(mechanism)) =
                (self.model.tables.groups.get(group), self.model.mechanisms.get(index))
            else {
                continue;
            };
            let mut mask = self.masks.get(group).copied().unwrap_or(0);
            let mut sum_q18 = tables.base_q18[lane];
            let mut exposure = match mechanism.exposure {
                CompiledExposure::Constant(exposure) => Some(exposure),
                CompiledExposure::Channel(_) => None,
            };
            let mut ratios_log2 = Vec::new();
            for (position, input) in tables.inputs.iter().enumerate() {
                let row = self.model.row(input.input, codes);
                let entry_q18 = input.rows_q18.get(row).map_or(0, |lanes| lanes[lane]);
                sum_q18 = sum_q18.wrapping_add(entry_q18);
                if let Some(masks) = &input.masks {
                    mask &= masks.get(row).copied().unwrap_or(0);
                }
                match self.model.driver_kind(group, position, lane) {
                    None => {}
                    Some(DriverKind::Ratio) => ratios_log2.push(from_q18(entry_q18)),
                    Some(DriverKind::Exposure { offset, factor }) => {
                        let available = row + 1 < input.rows_q18.len();
                        let raw = input.driver_rows.get(row).map_or(0, |lanes| lanes[lane]);
                        let value = offset + factor * f64::from(raw);
                        exposure = available.then_some(value);
                        // What the column holds beyond the exposure is a term on the same channel.
                        let beyond = from_q18(entry_q18) - libm::log2(value);
                        let term = available && value > 0.0 && beyond.abs() > ROUNDING;
                        ratios_log2.push(if term { beyond } else { 0.0 });
                    }
                }
            }
            for (bit, row) in tables.interactions_q18.iter().enumerate() {
                if row[lane] != 0 {
                    let met = mask >> bit & 1 == 1;
                    ratios_log2.push(if met { from_q18(row[lane]) } else { 0.0 });
                    sum_q18 = sum_q18.wrapping_add(if met { row[lane] } else { 0 });
                }
            }
            sums.add(exposure, mechanism.characteristic_life, &ratios_log2, sum_q18);
        }
    }

    /// One waterfall a mechanism, in the model's order.
    pub fn finish(self) -> Vec<MechanismWaterfall> {
        let model = self.model;
        let records = self.records;
        let one = |(index, sums): (usize, Sums)| {
            let mechanism = model.mechanisms.get(index)?;
            let steps = model.factors(index).into_iter().enumerate().map(|(step, (factor, interaction))| {
                let before = sums.lives.get(step).copied().unwrap_or(0.0);
                let after = sums.lives.get(step + 1).copied().unwrap_or(0.0);
                WaterfallStep {
                    factor,
                    interaction,
                    ratio: if before > 0.0 { after / before } else { 1.0 },
                    active_records: sums.active.get(step).copied().unwrap_or(0),
                }
            });
            Some(MechanismWaterfall {
                failure_mode: model.modes.get(mechanism.mode)?.id.clone(),
                mechanism: mechanism.id.clone(),
                records,
                exposure: sums.exposure,
                exposure_missing: sums.exposure_missing,
                reference_lives: sums.lives.first().copied().unwrap_or(0.0),
                steps: steps
                    .filter(|step| step.factor != exposure_name(model, index) || step.active_records > 0)
                    .collect(),
                lives: sums.lives.last().copied().unwrap_or(0.0),
                clock_q48: sums.clock_q48,
            })
        };
        self.mechanisms.into_iter().enumerate().filter_map(one).collect()
    }
}

impl Sums {
    fn add(&mut self, exposure: Option<f64>, characteristic_life: f64, ratios_log2: &[f64], sum_q18: i32) {
        self.clock_q48 = self.clock_q48.wrapping_add(increment_q48(sum_q18).0);
        self.lives.resize(ratios_log2.len() + 1, 0.0);
        self.active.resize(ratios_log2.len(), 0);
        let Some(exposure) = exposure else {
            self.exposure_missing += 1;
            return;
        };
        self.exposure += exposure;
        let mut log2 = 0.0;
        self.lives[0] += exposure / characteristic_life;
        for (step, ratio_log2) in ratios_log2.iter().enumerate() {
            log2 += ratio_log2;
            // A record never uses up more than one life.
            self.lives[step + 1] += (exposure / characteristic_life * libm::exp2(log2)).min(1.0);
            self.active[step] += u64::from(*ratio_log2 != 0.0);
        }
    }
}

/// The name of the channel that a mechanism's exposure is read from; empty if there is none.
fn exposure_name(model: &CompiledModel, mechanism: usize) -> &str {
    match model.mechanisms.get(mechanism).map(|mechanism| &mechanism.exposure) {
        Some(CompiledExposure::Channel(channel)) => model.channel_names.get(*channel).map_or("", String::as_str),
        _ => "",
    }
}

/// Log2 ratios up to this are the rounding of a table entry, and count as no term at all.
const ROUNDING: f64 = 1.0 / (1u64 << LOG2_BITS) as f64;

fn from_q18(log2_q18: i32) -> f64 {
    f64::from(log2_q18) / (1u64 << LOG2_BITS) as f64
}

impl CompiledModel {
    /// The row of a table input for a record's codes, one a channel of [`CompiledModel::channels`]. A code beyond its
    /// channel's range, or missing, counts as not available.
    pub fn row(&self, input: usize, codes: &[u16]) -> usize {
        let last = self.tables.input_rows.get(input).map_or(0, |rows| (*rows as usize).saturating_sub(1));
        match self.inputs.get(input) {
            None => 0,
            Some(TableInput::Channel(channel)) => codes.get(*channel).map_or(last, |code| usize::from(*code).min(last)),
            Some(TableInput::Pair { channel_a, channel_b, bins_a, bins_b }) => {
                let bin = |bins: &[u16], channel: &usize| {
                    let code = codes.get(*channel).map_or(usize::MAX, |code| usize::from(*code));
                    bins.get(code).or(bins.last()).copied().map_or(0, usize::from)
                };
                bin(bins_a, channel_a) + bin(bins_b, channel_b)
            }
        }
    }

    /// What the driver column of a lane sums, if it has one; `position` counts the group's inputs.
    fn driver_kind(&self, group: usize, position: usize, lane: usize) -> Option<DriverKind> {
        let lanes = |input: &GroupInput| input.driver_lanes.count_ones() as usize;
        let inputs = &self.tables.groups.get(group)?.inputs;
        let input = inputs.get(position)?;
        if input.driver_lanes >> lane & 1 == 0 {
            return None;
        }
        let earlier = self.tables.groups.iter().take(group).flat_map(|group| &group.inputs);
        let before: usize = earlier.chain(inputs.iter().take(position)).map(lanes).sum();
        let below = (input.driver_lanes & ((1 << lane) - 1)).count_ones() as usize;
        self.drivers.get(before + below).map(|driver| driver.kind)
    }

    /// Names of the factors of a mechanism in the order of the tables, and whether each is an interaction.
    fn factors(&self, mechanism: usize) -> Vec<(String, bool)> {
        let own = self.drivers.iter().filter(|driver| driver.mechanism == mechanism);
        let channels = own.map(|driver| (driver.channel.clone(), false));
        let bits = self.interactions.get(mechanism / GROUP_LANES).into_iter().flatten();
        let rows = self.tables.groups.get(mechanism / GROUP_LANES).map(|group| group.interactions_q18.as_slice());
        let used = bits.zip(rows.unwrap_or_default()).filter(|(_, row)| row[mechanism % GROUP_LANES] != 0);
        let named = used.map(|(interaction, _)| {
            let own = interaction.uses.iter().filter(|(index, ..)| *index == mechanism);
            (own.map(|(_, id, _)| id.as_str()).collect::<Vec<_>>().join(" + "), true)
        });
        channels.chain(named).collect()
    }
}
