//! The compiled tables as the host's kernels read them.
//!
//! A cache line holds two rows of eight lanes. Without drivers these are the rates of two neighbouring codes; with
//! drivers, the rates and the driver entries of one code, so that summing both costs one line a look-up.

use bytemuck::{Pod, Zeroable};

use crate::model::tables::{FLOOR_Q18, GROUP_LANES, GroupInput, GroupTables, Lanes};

/// A group laid out for the kernels. Lanes without a mechanism never leave the floor.
pub struct Group {
    pub index: usize,
    pub layout: Layout,
    pub base_q18: Row,
    pub inputs: Vec<Input>,
    pub interactions_q18: Vec<Row>,
    /// The bits that stand for an interaction.
    pub interaction_bits: u32,
}

/// Where a code's rates stand among an input's rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// In row `code`.
    Rates,
    /// In row `code << 1`, its driver entries in the row after.
    RatesAndDrivers,
}

impl Layout {
    /// How far a code is shifted to become the row of its rates.
    pub fn code_shift(self) -> u32 {
        match self {
            Layout::Rates => 0,
            Layout::RatesAndDrivers => 1,
        }
    }
}

/// One table input of a group.
pub struct Input {
    /// Which of the batch's columns.
    pub column: usize,
    lines: Vec<Line>,
    pub masks: Option<Vec<u32>>,
    /// Lanes that have a column among the driver sums, rising.
    pub driver_lanes: Vec<usize>,
}

/// Eight lanes that never straddle a cache line.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C, align(32))]
pub struct Row(pub Lanes);

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C, align(64))]
struct Line([Row; 2]);

impl Input {
    fn new(input: &GroupInput, used: usize, layout: Layout) -> Self {
        let zero = Row([0; GROUP_LANES]);
        let rates = input.rows_q18.iter().map(|lanes| only_used(lanes, used, 0));
        let lines = match layout {
            Layout::RatesAndDrivers => {
                rates.zip(&input.driver_rows).map(|(rates, drivers)| Line([rates, Row(*drivers)])).collect()
            }
            Layout::Rates => {
                let rates: Vec<Row> = rates.collect();
                rates.chunks(2).map(|pair| Line([pair[0], *pair.get(1).unwrap_or(&zero)])).collect()
            }
        };
        Self {
            column: input.input,
            lines,
            masks: input.masks.clone(),
            driver_lanes: (0..GROUP_LANES).filter(|lane| input.driver_lanes >> lane & 1 == 1).collect(),
        }
    }

    /// Rates, and with drivers their entries in between.
    #[inline(always)]
    pub fn rows(&self) -> &[Row] {
        bytemuck::cast_slice(&self.lines)
    }

    /// The driver entries of a code, of an input laid out with drivers.
    #[inline(always)]
    pub fn driver_row(&self, code: u16) -> &Row {
        &self.lines[usize::from(code)].0[1]
    }
}

impl Group {
    pub fn new(index: usize, tables: &GroupTables, mechanisms: usize, drivers: bool) -> Self {
        let layout = if drivers { Layout::RatesAndDrivers } else { Layout::Rates };
        let used = mechanisms.saturating_sub(index * GROUP_LANES).min(GROUP_LANES);
        Self {
            index,
            layout,
            base_q18: only_used(&tables.base_q18, used, FLOOR_Q18),
            inputs: tables.inputs.iter().map(|input| Input::new(input, used, layout)).collect(),
            interactions_q18: tables.interactions_q18.iter().map(|lanes| only_used(lanes, used, 0)).collect(),
            interaction_bits: (1u64 << tables.interactions_q18.len()).wrapping_sub(1) as u32,
        }
    }
}

/// The lanes of mechanisms in use; the others hold `unused`.
fn only_used(lanes: &Lanes, used: usize, unused: i32) -> Row {
    Row(std::array::from_fn(|lane| if lane < used { lanes[lane] } else { unused }))
}
