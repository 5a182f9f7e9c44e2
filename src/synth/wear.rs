//! What a vehicle's rows use up: the model's compiled tables and `exp2`, the same integers as the kernels.
//!
//! Clocks are kept as running sums over the rows, so the clock between any two rows is one wrapping subtraction.

use super::day::{CHANNELS, Columns};
use super::error::SynthError;
use crate::fixed::exp2::increment_q48;
use crate::model::channel::Schema;
use crate::model::compiled::CompiledModel;
use crate::model::tables::{GROUP_LANES, Lanes, TableInput};

/// A model laid over the synthetic fleet's columns.
pub struct Wear {
    pub model: CompiledModel,
    /// Column of [`Columns::codes`] behind each of [`CompiledModel::channels`].
    columns: Vec<usize>,
}

/// Running sums of one vehicle.
#[derive(Clone, Debug, Default)]
pub struct RunningClocks {
    mechanisms: usize,
    groups: usize,
    /// `sums[row * mechanisms + m]`: the clock of the rows before `row`; one row more than there are records.
    sums: Vec<u64>,
    /// `active[row * groups + group]`: interactions whose conditions the row and the vehicle meet.
    active: Vec<u32>,
    pair_codes: Vec<Vec<u16>>,
}

impl Wear {
    pub fn new(model: CompiledModel, schema: &Schema) -> Result<Self, SynthError> {
        for (&channel, name) in model.channels.iter().zip(&model.channel_names) {
            if channel >= CHANNELS.min(schema.channels.len()) {
                return Err(SynthError::NoChannel { model: model.name.clone(), channel: name.clone() });
            }
        }
        Ok(Self { columns: model.channels.clone(), model })
    }

    /// Sums the rows of one vehicle into `clocks`. `masks`: what its attributes meet, one a group; `planted`: whether
    /// interactions count (they are noted as active either way).
    pub fn run(&self, columns: &Columns, masks: &[u32], planted: bool, clocks: &mut RunningClocks) {
        let tables = &self.model.tables;
        let rows = columns.day.len();
        clocks.mechanisms = tables.mechanisms;
        clocks.groups = tables.groups.len();
        clocks.sums.clear();
        clocks.sums.resize((rows + 1) * tables.mechanisms, 0);
        clocks.active.clear();
        clocks.active.resize(rows * clocks.groups, 0);
        clocks.pair_codes.resize(self.model.inputs.len(), Vec::new());
        for (input, pair_codes) in self.model.inputs.iter().zip(&mut clocks.pair_codes) {
            if let TableInput::Pair { channel_a, channel_b, bins_a, bins_b } = input {
                let (a, b) = (&columns.codes[self.columns[*channel_a]], &columns.codes[self.columns[*channel_b]]);
                pair_codes.clear();
                pair_codes.extend(a.iter().zip(b).map(|(&a, &b)| bins_a[usize::from(a)] + bins_b[usize::from(b)]));
            }
        }
        for (index, group) in tables.groups.iter().enumerate() {
            let first = index * GROUP_LANES;
            let lanes = (tables.mechanisms - first).min(GROUP_LANES);
            let mask = masks.get(index).copied().unwrap_or(0);
            let inputs: Vec<&[u16]> = group
                .inputs
                .iter()
                .map(|input| match &self.model.inputs[input.input] {
                    TableInput::Channel(channel) => columns.codes[self.columns[*channel]].as_slice(),
                    TableInput::Pair { .. } => clocks.pair_codes[input.input].as_slice(),
                })
                .collect();
            for row in 0..rows {
                let mut sums: Lanes = group.base_q18;
                let mut met = mask;
                for (input, codes) in group.inputs.iter().zip(&inputs) {
                    let code = usize::from(codes[row]);
                    for (sum, entry) in sums.iter_mut().zip(&input.rows_q18[code]) {
                        *sum += entry;
                    }
                    if let Some(masks) = &input.masks {
                        met &= masks[code];
                    }
                }
                clocks.active[row * clocks.groups + index] = met;
                let mut left = if planted { met } else { 0 };
                while left != 0 {
                    let bit = left.trailing_zeros() as usize;
                    for (sum, entry) in sums.iter_mut().zip(&group.interactions_q18[bit]) {
                        *sum += entry;
                    }
                    left &= left - 1;
                }
                let here = row * tables.mechanisms + first;
                for (lane, &sum) in sums.iter().enumerate().take(lanes) {
                    let before = clocks.sums[here + lane];
                    clocks.sums[here + tables.mechanisms + lane] = before.wrapping_add(increment_q48(sum).0);
                }
            }
        }
    }
}

impl RunningClocks {
    /// The clock of a mechanism over rows `from .. to`, in Q48 lives.
    pub fn between_q48(&self, mechanism: usize, from: usize, to: usize) -> u64 {
        let at = |row: usize| self.sums[row * self.mechanisms + mechanism];
        at(to).wrapping_sub(at(from))
    }

    /// Whether interaction `bit` of `group` was met in a row.
    pub fn is_active(&self, row: usize, group: usize, bit: usize) -> bool {
        self.active[row * self.groups + group] >> bit & 1 == 1
    }
}
