//! Columns of eight mechanisms → the integers of one group, with the proofs that a kernel relies on.
//!
//! Units: log2 rates in 2^-18. Proved for each mechanism: no entry lies more than [`SPAN_OCTAVES`] below its input's
//! largest; the largest entries of all inputs and interactions add up to less than [`TOP_OCTAVES`]; every partial sum
//! fits an i32. So an exposure of zero always gives an increment of zero (16 - 96 octaves lie below 2^-48), and a sum
//! never wraps. Driver entries lie within ±[`DRIVER_LIMIT`], so 64 of them fit an i32.

use std::collections::BTreeMap;

use super::Dataset;
use super::columns::{Column, InputKey};
use super::masks::{Bit, channel_masks};
use crate::fixed::exp2::{CLOCK_BITS, LOG2_BITS};
use crate::model::compiled::{CompiledExposure, CompiledMechanism, Driver, DriverKind};
use crate::model::error::ModelError;
use crate::model::spec::Mechanism;
use crate::model::tables::{FLOOR_Q18, GROUP_LANES, GroupInput, GroupTables};

/// How far an entry may lie below its input's largest.
const SPAN_OCTAVES: i64 = 96;
/// What the sum of a mechanism's largest entries stays below.
const TOP_OCTAVES: i64 = 16;
/// Bound of the driver entries' magnitude.
pub const DRIVER_LIMIT: i64 = 1 << 24;

/// The tables of up to eight mechanisms with their columns by input.
pub(super) fn group(
    members: &[&Mechanism],
    columns: &[BTreeMap<InputKey, Column>],
    compiled: &[CompiledMechanism],
    bits: &[Bit],
    keys: &[InputKey],
    dataset: &Dataset,
) -> Result<GroupTables, ModelError> {
    let mut base_q18 = [FLOOR_Q18; GROUP_LANES];
    for ((base, mechanism), one) in base_q18.iter_mut().zip(members).zip(compiled) {
        let constant = match one.exposure {
            CompiledExposure::Constant(exposure) => exposure,
            CompiledExposure::Channel(_) => 1.0,
        };
        *base = clamped(q18(libm::log2(constant) - libm::log2(mechanism.characteristic_life)));
    }
    let mut inputs = Vec::new();
    for (input, key) in keys.iter().enumerate() {
        let masks = channel_masks(bits, key, dataset);
        let rows = key.rows(dataset) as usize;
        if masks.is_none() && columns.iter().all(|own| !own.contains_key(key)) {
            continue;
        }
        let mut rows_q18 = vec![[0; GROUP_LANES]; rows];
        let mut driver_rows = vec![[0; GROUP_LANES]; rows];
        let mut driver_lanes = 0;
        for (lane, own) in columns.iter().enumerate() {
            if let Some(column) = own.get(key) {
                fill_rate(&mut rows_q18, lane, column);
                fill_driver(&mut driver_rows, lane, column, key, dataset);
                driver_lanes |= 1 << lane;
            }
        }
        inputs.push(GroupInput { input, rows_q18, masks, driver_rows, driver_lanes });
    }
    let interactions_q18 = bits.iter().map(|bit| bit.log2.map(|log2| clamped(q18(log2)))).collect();
    let built = GroupTables { base_q18, inputs, interactions_q18 };
    for (lane, mechanism) in members.iter().enumerate() {
        prove(&built, lane, mechanism)?;
    }
    Ok(built)
}

/// What the driver columns of a group are, in their order.
pub(super) fn drivers(
    group: &GroupTables,
    columns: &[BTreeMap<InputKey, Column>],
    first: usize,
    keys: &[InputKey],
    dataset: &Dataset,
) -> Vec<Driver> {
    let mut drivers = Vec::new();
    for input in &group.inputs {
        let Some(key) = keys.get(input.input) else { continue };
        for (lane, own) in columns.iter().enumerate() {
            let Some(column) = own.get(key) else { continue };
            let kind = match key {
                InputKey::Channel(channel) if !column.exposure_log2.is_empty() => exposure_kind(*channel, dataset),
                _ => DriverKind::Ratio,
            };
            drivers.push(Driver { mechanism: first + lane, channel: key.name(dataset), kind });
        }
    }
    drivers
}

fn fill_rate(rows_q18: &mut [[i32; GROUP_LANES]], lane: usize, column: &Column) {
    let entries: Vec<Option<i64>> = (0..rows_q18.len()).map(|row| column.log2(row).map(q18)).collect();
    let largest = entries.iter().flatten().copied().max().unwrap_or(0);
    let floor = largest - (SPAN_OCTAVES << LOG2_BITS);
    for (row, entry) in rows_q18.iter_mut().zip(entries) {
        row[lane] = clamped(entry.map_or(floor, |entry| entry.max(floor)));
    }
}

fn fill_driver(rows: &mut [[i32; GROUP_LANES]], lane: usize, column: &Column, key: &InputKey, dataset: &Dataset) {
    let not_available = rows.len().saturating_sub(1);
    let shift = match key {
        InputKey::Channel(channel) if !column.exposure_log2.is_empty() => Some(exposure_shift(*channel, dataset)),
        _ => None,
    };
    for (code, row) in rows.iter_mut().enumerate().take(not_available) {
        row[lane] = match shift {
            Some(shift) => (shift + code as i64) as i32,
            None => {
                let log2 = column.terms_log2.get(code).copied().unwrap_or(0.0);
                q18(log2).clamp(-DRIVER_LIMIT, DRIVER_LIMIT) as i32
            }
        };
    }
}

/// What is added to a code before it is summed: the channel's first raw code, unless raw codes would be too large.
fn exposure_shift(channel: usize, dataset: &Dataset) -> i64 {
    let Some(channel) = dataset.channels.get(channel) else { return 0 };
    let within = |raw: Option<i64>| raw.is_some_and(|raw| (-DRIVER_LIMIT..=DRIVER_LIMIT).contains(&raw));
    let first = Some(channel.first);
    if within(first) && within(channel.first.checked_add(i64::from(channel.codes))) { channel.first } else { 0 }
}

fn exposure_kind(index: usize, dataset: &Dataset) -> DriverKind {
    let shift = exposure_shift(index, dataset);
    match dataset.channels.get(index) {
        Some(channel) => DriverKind::Exposure {
            offset: channel.offset + channel.factor * (channel.first - shift) as f64,
            factor: channel.factor,
        },
        None => DriverKind::Ratio,
    }
}

fn prove(group: &GroupTables, lane: usize, mechanism: &Mechanism) -> Result<(), ModelError> {
    let base = i64::from(group.base_q18[lane]);
    // Sums of what is above and below zero bound every partial sum, in whatever order a kernel adds.
    let (mut most, mut least) = (base, base);
    let (mut above, mut below_zero) = (base.max(0), base.min(0));
    for input in &group.inputs {
        let entries = || input.rows_q18.iter().map(|row| i64::from(row[lane]));
        let (low, high) = (entries().min().unwrap_or(0), entries().max().unwrap_or(0));
        most += high;
        least += low;
        above += high.max(0);
        below_zero += low.min(0);
    }
    for row in &group.interactions_q18 {
        let entry = i64::from(row[lane]);
        most += entry.max(0);
        least += entry.min(0);
        above += entry.max(0);
        below_zero += entry.min(0);
    }
    let place = || Box::new(mechanism.places.of("terms"));
    let octaves = |sum_q18: i64| sum_q18 as f64 / (1i64 << LOG2_BITS) as f64;
    if most >= TOP_OCTAVES << LOG2_BITS || above >= i64::from(i32::MAX) {
        return Err(ModelError::TooFast { place: place(), octaves: octaves(most), limit: TOP_OCTAVES as u32 });
    }
    if most < -(i64::from(CLOCK_BITS) << LOG2_BITS) {
        let place = Box::new(mechanism.places.of("characteristic_life"));
        return Err(ModelError::NeverMoves { place, octaves: octaves(most) });
    }
    if least <= i64::from(i32::MIN) || below_zero <= i64::from(i32::MIN) {
        return Err(ModelError::TooSlow { place: place(), octaves: octaves(least) });
    }
    Ok(())
}

/// Rounded to 2^-18, half to even. A value beyond i64 saturates and then fails the proofs.
fn q18(log2: f64) -> i64 {
    (log2 * (1i64 << LOG2_BITS) as f64).round_ties_even() as i64
}

/// Saturates: a sum with such an entry fails the proofs, which want less than the ends of i32.
fn clamped(entry: i64) -> i32 {
    entry.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32
}
