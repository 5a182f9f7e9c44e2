//! Where a part stands today, in logarithms: computed once a part and draw on the host, for every kernel.
//!
//! Units: logarithms in 2^-20 of lives or damage.

use crate::fixed::knots::{log2_sum_q20, scale_q20};
use crate::fixed::log2::log2_clock_q20;
use crate::model::survival::SurvivalTables;

/// A base and its product with the exponent of the table that it enters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Start {
    pub base_q20: i32,
    pub power_q20: i32,
}

/// Log2 of the part's damage in a draw, and of each mechanism's clock where it has an exponent.
pub fn start_of_part(
    tables: &SurvivalTables,
    mode: usize,
    draw: usize,
    clocks_q48: &[u64],
    mechanism_starts: &mut [Start],
) -> Start {
    let mode = &tables.modes[mode];
    let mut base_q20 = 0;
    for (mechanism, clock_q48) in clocks_q48.iter().enumerate() {
        let mut one_q20 = log2_clock_q20(*clock_q48) + mode.rates_q20[draw * clocks_q48.len() + mechanism];
        if let Some(table) = &mode.exponents[mechanism] {
            let start = &mut mechanism_starts[mechanism];
            start.base_q20 = one_q20;
            // Nothing to some power is nothing.
            one_q20 = if *clock_q48 == 0 { one_q20 } else { scale_q20(one_q20, table.exponent_q24) };
            start.power_q20 = one_q20;
        }
        base_q20 = match mechanism {
            0 => one_q20,
            _ => log2_sum_q20(&tables.knots, tables.sum_first as usize, base_q20, one_q20),
        };
    }
    Start { base_q20, power_q20: scale_q20(base_q20, mode.shapes[draw].exponent_q24) }
}
