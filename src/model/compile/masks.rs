//! Interactions as bits: one mask a code and channel, ANDed over channels by the kernel.

use super::Dataset;
use super::columns::InputKey;
use crate::model::compiled::CompiledInteraction;
use crate::model::error::ModelError;
use crate::model::spec::{Comparison, Condition, Mechanism, Test};
use crate::model::tables::{GROUP_INTERACTIONS, GROUP_LANES};

/// One bit of a group: conditions, and the log2 ratio for each lane that asks for them.
pub(super) struct Bit {
    /// (channel, comparison), all to be met.
    pub comparisons: Vec<(String, Comparison)>,
    pub log2: [f64; GROUP_LANES],
    pub compiled: CompiledInteraction,
}

/// The bits of a group of mechanisms, in the order of the file; equal conditions share a bit. `first`: index of the
/// group's first mechanism.
pub(super) fn bits(members: &[&Mechanism], first: usize) -> Result<Vec<Bit>, ModelError> {
    let mut bits: Vec<Bit> = Vec::new();
    for (lane, mechanism) in members.iter().enumerate() {
        for interaction in &mechanism.interactions {
            let comparisons = comparisons(&interaction.when);
            let attributes = attributes(&interaction.when);
            let same = |bit: &Bit| bit.comparisons == comparisons && bit.compiled.attributes == attributes;
            let index = bits.iter().position(same).unwrap_or(bits.len());
            if index == bits.len() {
                let compiled = CompiledInteraction { uses: Vec::new(), attributes };
                bits.push(Bit { comparisons, log2: [0.0; GROUP_LANES], compiled });
            }
            if bits.len() > GROUP_INTERACTIONS {
                let place = Box::new(mechanism.places.of("interactions"));
                return Err(ModelError::TooManyInteractions { place, limit: GROUP_INTERACTIONS });
            }
            if let Some(bit) = bits.get_mut(index) {
                bit.log2[lane] += libm::log2(interaction.ratio);
                bit.compiled.uses.push((first + lane, interaction.id.clone(), interaction.ratio));
            }
        }
    }
    Ok(bits)
}

/// One mask a code of a channel; `None`: no bit asks for it. "Not available" meets no condition.
pub(super) fn channel_masks(bits: &[Bit], key: &InputKey, dataset: &Dataset) -> Option<Vec<u32>> {
    let InputKey::Channel(index) = key else { return None };
    let channel = dataset.channels.get(*index)?;
    let asks = |bit: &Bit| bit.comparisons.iter().any(|(name, _)| *name == channel.name);
    if !bits.iter().any(asks) {
        return None;
    }
    let tolerance = channel.tolerance();
    let mask = |holds: &dyn Fn(&Comparison) -> bool| {
        bits.iter().enumerate().fold(0u32, |mask, (index, bit)| {
            let met = bit.comparisons.iter().all(|(name, comparison)| *name != channel.name || holds(comparison));
            mask | (u32::from(met) << index)
        })
    };
    let mut masks: Vec<u32> =
        (0..channel.codes).map(|code| mask(&|comparison| comparison.holds(channel.value(code), tolerance))).collect();
    masks.push(mask(&|_| false));
    Some(masks)
}

fn comparisons(when: &[Condition]) -> Vec<(String, Comparison)> {
    let comparison = |condition: &Condition| match &condition.test {
        Test::Compare(comparison) => Some((condition.name.clone(), *comparison)),
        Test::OneOf(_) => None,
    };
    when.iter().filter_map(comparison).collect()
}

fn attributes(when: &[Condition]) -> Vec<(String, Vec<String>)> {
    let attribute = |condition: &Condition| match &condition.test {
        Test::OneOf(values) => Some((condition.name.clone(), values.clone())),
        Test::Compare(_) => None,
    };
    when.iter().filter_map(attribute).collect()
}
