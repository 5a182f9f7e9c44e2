//! The compiled model: integer tables that a kernel adds up. Everything else about a model stays on the host.
//!
//! Units: entries are log2 rates in 2^-18 ([`crate::fixed::exp2`]). Mechanisms are laid out in groups of
//! [`GROUP_LANES`]; one record costs one 256-bit load and add per channel and group, whatever the number of terms.

use crate::fixed::exp2::increment_q48;

/// Mechanisms of a group: eight `i32` lanes, 256 bits.
pub const GROUP_LANES: usize = 8;
/// Interactions of a group: bits of a `u32` mask.
pub const GROUP_INTERACTIONS: usize = 32;
/// Base of a lane without a mechanism: the increment underflows to zero. (An exposure of zero has an entry 96 octaves
/// below its input's largest, which underflows for the same reason.)
pub const FLOOR_Q18: i32 = -(96 << crate::fixed::exp2::LOG2_BITS);

/// One lane a mechanism.
pub type Lanes = [i32; GROUP_LANES];

/// What the damage kernel needs, and nothing else.
#[derive(Clone, Debug, PartialEq)]
pub struct DamageTables {
    /// Rows of each table input: the codes of its channel and one for "not available". A code lies below it.
    pub input_rows: Vec<u32>,
    pub groups: Vec<GroupTables>,
    /// Mechanisms in use; the lanes beyond it in the last group are padding.
    pub mechanisms: usize,
}

/// The tables of up to eight mechanisms.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupTables {
    /// Log2 rate of a record before any channel: reference rate, constant exposure.
    pub base_q18: Lanes,
    /// The inputs that any of the group's mechanisms reads, by rising input index.
    pub inputs: Vec<GroupInput>,
    /// Row `b` is added where bit `b` of the record's mask survives. At most [`GROUP_INTERACTIONS`].
    pub interactions_q18: Vec<Lanes>,
}

/// One channel as a group sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupInput {
    /// Index into [`DamageTables::input_rows`] and the batch's columns.
    pub input: usize,
    /// One row a code, the last for "not available".
    pub rows_q18: Vec<Lanes>,
    /// One mask a code, where an interaction asks for this channel: bit `b` is set where its conditions on the
    /// channel hold, or where interaction `b` does not ask. `None`: no interaction of the group asks.
    pub masks: Option<Vec<u32>>,
    /// What is summed per vehicle to explain its rate, one row a code: the log2 ratio of a term in 2^-18, the code
    /// itself (plus [`crate::model::channel::Channel::first`] where that keeps it within the bound) for an exposure, 0
    /// for "not available". At most 2^24 in magnitude, so 64 of them fit an `i32`.
    pub driver_rows: Vec<Lanes>,
    /// Lanes whose driver rows are summed, one bit each; in the others every row holds 0. Of a vehicle's driver sums
    /// there is one column for each bit, over groups in order, inputs in order, rising lanes.
    pub driver_lanes: u8,
}

impl DamageTables {
    /// Of each mechanism: what a record adds at most, Q48 lives.
    pub fn greatest_increments_q48(&self) -> Vec<u64> {
        (0..self.mechanisms)
            .map(|mechanism| {
                let Some(group) = self.groups.get(mechanism / GROUP_LANES) else { return 0 };
                let lane = mechanism % GROUP_LANES;
                let greatest = |rows: &[Lanes]| rows.iter().map(|row| i64::from(row[lane])).max().unwrap_or(0);
                let inputs: i64 = group.inputs.iter().map(|input| greatest(&input.rows_q18)).sum();
                let interactions: i64 = group.interactions_q18.iter().map(|row| i64::from(row[lane].max(0))).sum();
                let sum_q18 = (i64::from(group.base_q18[lane]) + inputs + interactions).min(0);
                increment_q48(sum_q18.max(i64::from(FLOOR_Q18)) as i32).0
            })
            .collect()
    }

    /// Columns of a vehicle's driver sums.
    pub fn driver_columns(&self) -> usize {
        let inputs = self.groups.iter().flat_map(|group| &group.inputs);
        inputs.map(|input| input.driver_lanes.count_ones() as usize).sum()
    }
}

/// How the code of a table input is formed from the codes of the dataset's channels.
#[derive(Clone, Debug, PartialEq)]
pub enum TableInput {
    /// The code of this channel: an index into the compiled model's list of channels it reads (the columns of a
    /// chunk requested with that list).
    Channel(usize),
    /// `bins_a[code_a] + bins_b[code_b]`: two binned channels (same kind of index) as one
    /// synthetic channel of at most 4,096 rows.
    Pair { channel_a: usize, channel_b: usize, bins_a: Vec<u16>, bins_b: Vec<u16> },
}
