//! A model laid over a dataset: integers for the kernels, names for the host.
//!
//! Mechanism `m` of the model stands in group `m / 8`, lane `m % 8` of [`DamageTables`]; a mode's mechanisms stand
//! together. Everything is in a fixed order, so the same model and schema always give the same tables.

use std::ops::Range;

use super::spec::Alert;
use super::tables::{DamageTables, TableInput};

/// What [`super::compile::compile`] makes.
#[derive(Clone, Debug, PartialEq)]
pub struct CompiledModel {
    pub name: String,
    pub version: String,
    /// [`super::spec::Model::hash`].
    pub hash: String,
    pub tables: DamageTables,
    /// How the code of each table input is formed; as long as [`DamageTables::input_rows`].
    pub inputs: Vec<TableInput>,
    /// Indices into [`super::channel::Schema::channels`] to request from the reader, sorted by channel name;
    /// [`TableInput`] indices point into this list.
    pub channels: Vec<usize>,
    /// Names of [`Self::channels`].
    pub channel_names: Vec<String>,
    pub modes: Vec<CompiledMode>,
    pub mechanisms: Vec<CompiledMechanism>,
    /// What each column of the driver sums is.
    pub drivers: Vec<Driver>,
    /// `interactions[group][bit]`.
    pub interactions: Vec<Vec<CompiledInteraction>>,
}

/// A failure mode as the host needs it.
#[derive(Clone, Debug, PartialEq)]
pub struct CompiledMode {
    pub id: String,
    pub component: String,
    /// Empty: one part without a position.
    pub positions: Vec<String>,
    /// Shape (beta) of the Weibull law on the damage.
    pub weibull_shape: f64,
    /// Into [`CompiledModel::mechanisms`] and the kernel's clocks.
    pub mechanisms: Range<usize>,
    pub alert: Option<Alert>,
    /// [`super::spec::FailureMode::competes`].
    pub competes: bool,
}

/// A mechanism as the host needs it.
#[derive(Clone, Debug, PartialEq)]
pub struct CompiledMechanism {
    pub id: String,
    /// Index into [`CompiledModel::modes`].
    pub mode: usize,
    /// Damage = clock^exponent.
    pub clock_exponent: f64,
    pub exposure: CompiledExposure,
    /// In units of the exposure, at the reference conditions.
    pub characteristic_life: f64,
}

/// Where a mechanism's exposure comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum CompiledExposure {
    /// This many units of exposure a record, whatever the channels (days of a period of fixed length, or records).
    Constant(f64),
    /// Index into [`CompiledModel::channels`] (also for `days` where a channel holds the length of the period).
    /// "Not available" there means no increment, to be counted.
    Channel(usize),
}

/// One column of [`crate::backend::DamageSums::drivers`].
#[derive(Clone, Debug, PartialEq)]
pub struct Driver {
    /// Index into [`CompiledModel::mechanisms`].
    pub mechanism: usize,
    /// The channel's name; two joined by ` × ` for a pair term.
    pub channel: String,
    pub kind: DriverKind,
}

/// What a driver column sums over the records where the channel is available.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum DriverKind {
    /// Log2 ratios in 2^-18.
    Ratio,
    /// Raw codes; the exposure of a record is `offset + factor * raw` in the channel's unit.
    Exposure { offset: f64, factor: f64 },
}

/// One bit of a group's interaction masks.
#[derive(Clone, Debug, PartialEq)]
pub struct CompiledInteraction {
    /// (index into [`CompiledModel::mechanisms`], id, ratio): mechanisms that ask for the same conditions share a bit.
    pub uses: Vec<(usize, String, f64)>,
    /// (attribute, accepted values): all must be met.
    pub attributes: Vec<(String, Vec<String>)>,
}

impl CompiledModel {
    /// One mask a group: bit `b` is set where the vehicle meets every attribute condition of interaction `b`
    /// (those without attribute conditions are always set). `lookup` gives an attribute's value; a missing attribute
    /// clears the bit.
    pub fn masks<'v>(&self, lookup: &dyn Fn(&str) -> Option<&'v str>) -> Vec<u32> {
        let met = |interaction: &CompiledInteraction| {
            interaction.attributes.iter().all(|(attribute, accepted)| {
                lookup(attribute).is_some_and(|value| accepted.iter().any(|candidate| candidate == value))
            })
        };
        self.interactions
            .iter()
            .map(|bits| bits.iter().enumerate().fold(0, |mask, (bit, one)| mask | (u32::from(met(one)) << bit)))
            .collect()
    }

    /// Attributes that any interaction asks for, sorted, each once.
    pub fn attributes(&self) -> Vec<&str> {
        let mut names: Vec<&str> =
            self.interactions.iter().flatten().flat_map(|i| &i.attributes).map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}
