//! A scenario laid over a dataset: new codes for changed channels, and what the change does to counts.
//!
//! Codes are re-quantised: the code nearest to `value * multiply + add`, half to even, within the channel's declared
//! range. A channel derived from a changed one does not follow. Both futures meet the same paths, so what they differ
//! by is the scenario's doing alone, and its interval is far narrower than that of either.
//!
//! Table `scenario_difference`: the keys of `fleet_forecast`, then `expected` and `expected_scenario`, `difference`,
//! and `difference_p05`, `difference_p95`: between which nine in ten paths lie.

use std::sync::Arc;

use arrow::array::{Float64Array, RecordBatch};
use rayon::prelude::*;

use super::error::SimulateError;
use super::expected::FleetSums;
use super::fleet_forecast::{Counting, Group, Window, add_keys, windows};
use super::table::Columns;
use super::weeks::WeekAxis;
use crate::fleet::writer::WriteError;
use crate::model::channel::{Channel, Schema};
use crate::model::compiled::CompiledModel;
use crate::model::error::nearest;
use crate::model::scenario::{ChannelChange, Scenario};

const BATCH_ROWS: usize = 1 << 14;

/// New codes of each of the model's channels; `None`: as they are.
pub fn recoded(
    scenario: &Scenario,
    model: &CompiledModel,
    schema: &Schema,
) -> Result<Vec<Option<Vec<u16>>>, SimulateError> {
    let mut codes = vec![None; model.channels.len()];
    for change in &scenario.changes {
        let place = change.place.to_string();
        let Some(index) = schema.channels.iter().position(|channel| channel.name == change.channel) else {
            let known = schema.channels.iter().map(|channel| channel.name.as_str());
            let nearest = nearest(&change.channel, known);
            return Err(SimulateError::UnknownChannel { place, channel: change.channel.clone(), nearest });
        };
        let Some(column) = model.channels.iter().position(|&channel| channel == index) else {
            let (channel, read) = (change.channel.clone(), model.channel_names.clone());
            return Err(SimulateError::UnusedChannel { place, channel, read });
        };
        codes[column] = Some(new_codes(&schema.channels[index], change));
    }
    Ok(codes)
}

fn new_codes(channel: &Channel, change: &ChannelChange) -> Vec<u16> {
    let last = f64::from(channel.codes.max(1) - 1);
    let new = |code: u32| {
        let value = channel.value(code) * change.multiply + change.add;
        let nearest = libm::rint((value - channel.offset) / channel.factor) - channel.first as f64;
        nearest.clamp(0.0, last) as u16
    };
    (0..channel.codes).map(new).chain([channel.not_available()]).collect()
}

/// What a scenario does to one count.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    pub key: (usize, usize, Window),
    pub expected: f64,
    pub expected_scenario: f64,
    /// At 5 and 95 % of the paths.
    pub bounds: [f64; 2],
}

/// The differences of all groups, modes and windows, on the current rayon pool.
pub fn differences((base, changed): (&FleetSums, &FleetSums), counting: &Counting) -> Vec<Difference> {
    let windows = windows(counting.plan, counting.as_of_day);
    let (paths, modes) = (counting.plan.paths.max(1), counting.modes);
    (0..counting.groups.len() * modes)
        .into_par_iter()
        .flat_map_iter(|at| {
            let (group, mode) = (at / modes, at % modes);
            let windows = &windows;
            let of = |sums| counting.counts(sums, group, mode);
            let (base, changed) = (of(base), of(changed));
            windows.iter().map(move |&window| {
                let (base, changed) = (base.moments(window.column), changed.moments(window.column));
                let mut by_path: Vec<f64> = base.iter().zip(changed).map(|(a, b)| b.mean - a.mean).collect();
                by_path.sort_unstable_by(f64::total_cmp);
                let bound = |share: f64| {
                    let place = (share * (paths - 1) as f64 + 0.5) as usize;
                    by_path.get(place).copied().unwrap_or(0.0)
                };
                let mean = |of: &[super::count_law::Moments]| of.iter().map(|one| one.mean).sum::<f64>() / paths as f64;
                Difference {
                    key: (group, mode, window),
                    expected: mean(base),
                    expected_scenario: mean(changed),
                    bounds: [bound(0.05), bound(0.95)],
                }
            })
        })
        .collect()
}

/// The table of some differences.
pub fn batches<'r>(
    rows: &'r [Difference],
    groups: &'r [Group],
    mode_ids: &'r [String],
    axis: WeekAxis,
) -> impl Iterator<Item = Result<RecordBatch, WriteError>> + 'r {
    (0..rows.len().max(1)).step_by(BATCH_ROWS).map(move |from| {
        let rows = &rows[from..rows.len().min(from + BATCH_ROWS)];
        let keys: Vec<(usize, usize, Window)> = rows.iter().map(|row| row.key).collect();
        let mut columns = Columns::new();
        add_keys(&mut columns, &keys, groups, mode_ids, axis);
        let mut add = |name: &str, of: &dyn Fn(&Difference) -> f64| {
            let values = Float64Array::from_iter_values(rows.iter().map(of));
            columns.add(name, false, Arc::new(values) as arrow::array::ArrayRef);
        };
        add("expected", &|row| row.expected);
        add("expected_scenario", &|row| row.expected_scenario);
        add("difference", &|row| row.expected_scenario - row.expected);
        add("difference_p05", &|row| row.bounds[0]);
        add("difference_p95", &|row| row.bounds[1]);
        columns.batch()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_move_and_stay_in_range() {
        let channel =
            Channel { name: "t".into(), unit: String::new(), factor: 0.5, offset: -40.0, first: 0, codes: 201 };
        let change = |multiply, add| ChannelChange { channel: "t".into(), multiply, add, place: Default::default() };
        let warmer = new_codes(&channel, &change(1.0, 2.0));
        assert_eq!((warmer[0], warmer[100], warmer[199], warmer[200], warmer[201]), (4, 104, 200, 200, 201));
        // 60 degrees: code 200; tenfold of -40 is far below the range.
        let tenfold = new_codes(&channel, &change(10.0, 0.0));
        assert_eq!((tenfold[0], tenfold[80], tenfold[82], tenfold[201]), (0, 80, 100, 201));
    }
}
