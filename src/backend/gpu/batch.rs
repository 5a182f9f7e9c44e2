//! How tables and columns lie in the buffers that the shaders read. Twin: `shaders/batch.wgsl`.
//!
//! Columns are channel-major: slots, vehicles (for driver sums), then codes, two `u16` a word. All rows of eight
//! lanes stand in one buffer, inputs and masks in another; a [`Dispatch`] says where its group's begin.

use bytemuck::{Pod, Zeroable};

use crate::model::tables::{DamageTables, FLOOR_Q18, GROUP_LANES, Lanes};

/// Rows of a workgroup.
pub const TILE_ROWS: u32 = 256;
/// In place of an offset into the words: the input has no masks.
pub const NO_MASKS: u32 = u32::MAX;

/// Group 0 of every kernel, by binding number.
pub const SHARED_BINDINGS: [&str; 4] = ["dispatch", "columns", "rows", "words"];
/// Group 1 of the damage kernel, by binding number, and whether the kernel only reads it.
pub const DAMAGE_SUMS: [(&str, bool); 3] = [("slot_masks", true), ("clocks", false), ("capped", false)];
/// Group 1 of the driver sums' kernel.
pub const DRIVER_SUMS: [(&str, bool); 1] = [("driver_sums", false)];

/// What one dispatch is told: see `shaders/batch.wgsl`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Dispatch {
    pub first_row: u32,
    pub end_row: u32,
    pub range: u32,
    pub range_bits: u32,
    pub vehicle_words: u32,
    pub code_words: u32,
    pub code_stride_words: u32,
    pub group: u32,
    pub groups: u32,
    pub capped_words: u32,
    pub base_row: u32,
    pub interactions_row: u32,
    pub interactions: u32,
    pub inputs_words: u32,
    pub inputs: u32,
    pub driver_width: u32,
}

/// One input of a group, six words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Input {
    pub column: u32,
    pub first_row: u32,
    pub masks_words: u32,
    pub first_driver_row: u32,
    pub first_driver: u32,
    pub driver_lanes: u32,
}

/// The tables as the device holds them.
pub struct TableLayout {
    pub rows: Vec<Lanes>,
    pub words: Vec<u32>,
    /// What a dispatch of each group is told, rows and range left open.
    pub groups: Vec<Dispatch>,
    pub capped_words: u32,
    /// Columns of a vehicle's driver sums.
    pub driver_width: u32,
}

impl TableLayout {
    /// Lays out `tables`; without `drivers` their rows are left out.
    pub fn new(tables: &DamageTables, drivers: bool) -> Self {
        let capped_words = tables.mechanisms.div_ceil(32) as u32;
        let mut layout = Self {
            rows: Vec::new(),
            words: Vec::new(),
            groups: Vec::new(),
            capped_words,
            driver_width: tables.driver_columns() as u32,
        };
        let mut first_driver = 0;
        for (index, group) in tables.groups.iter().enumerate() {
            let used = tables.mechanisms - (index * GROUP_LANES).min(tables.mechanisms);
            // Lanes without a mechanism stay at the floor, whatever the tables hold there.
            let only_used = |lanes: &Lanes, unused: i32| -> Lanes {
                std::array::from_fn(|lane| if lane < used { lanes[lane] } else { unused })
            };
            let base_row = layout.rows.len() as u32;
            layout.rows.push(only_used(&group.base_q18, FLOOR_Q18));
            let interactions_row = layout.rows.len() as u32;
            layout.rows.extend(group.interactions_q18.iter().map(|lanes| only_used(lanes, 0)));
            let mut group_inputs = Vec::with_capacity(group.inputs.len());
            for input in &group.inputs {
                let first_row = layout.rows.len() as u32;
                layout.rows.extend(input.rows_q18.iter().map(|lanes| only_used(lanes, 0)));
                let first_driver_row = layout.rows.len() as u32;
                if drivers {
                    layout.rows.extend(&input.driver_rows);
                }
                let masks_words = input.masks.as_ref().map_or(NO_MASKS, |masks| {
                    let masks_words = layout.words.len() as u32;
                    layout.words.extend(masks);
                    masks_words
                });
                group_inputs.push(Input {
                    column: input.input as u32,
                    first_row,
                    masks_words,
                    first_driver_row,
                    first_driver,
                    driver_lanes: u32::from(input.driver_lanes),
                });
                first_driver += input.driver_lanes.count_ones();
            }
            layout.groups.push(Dispatch {
                group: index as u32,
                groups: tables.groups.len() as u32,
                capped_words,
                base_row,
                interactions_row,
                interactions: group.interactions_q18.len() as u32,
                inputs_words: layout.words.len() as u32,
                inputs: group.inputs.len() as u32,
                driver_width: layout.driver_width,
                ..Dispatch::default()
            });
            layout.words.extend_from_slice(bytemuck::cast_slice(&group_inputs));
        }
        layout
    }
}

/// Where the columns of a stage lie, in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ColumnLayout {
    /// Rows that a stage holds: a multiple of a tile.
    pub rows: u32,
    pub with_vehicles: bool,
    pub inputs: u32,
}

impl ColumnLayout {
    /// As many rows as fit into `bytes`, at least one tile.
    pub fn within(bytes: u64, with_vehicles: bool, inputs: usize) -> Self {
        let row_bytes = 4 + if with_vehicles { 4 } else { 0 } + 2 * inputs as u64;
        let tiles = (bytes / row_bytes / u64::from(TILE_ROWS)).clamp(1, 1 << 14);
        Self { rows: tiles as u32 * TILE_ROWS, with_vehicles, inputs: inputs as u32 }
    }

    pub fn vehicle_words(&self) -> u32 {
        self.rows
    }

    pub fn code_words(&self) -> u32 {
        self.rows * if self.with_vehicles { 2 } else { 1 }
    }

    /// Words of one column of codes.
    pub fn code_stride_words(&self) -> u32 {
        self.rows / 2
    }

    /// Bytes of all columns.
    pub fn bytes(&self) -> u64 {
        4 * (u64::from(self.code_words()) + u64::from(self.inputs) * u64::from(self.code_stride_words()))
    }
}
