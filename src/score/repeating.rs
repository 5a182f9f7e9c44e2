//! The columns of the scores that are the same for every vehicle: names, positions, the as-of day, mechanisms.
//!
//! Every vehicle has the same rows, so these columns repeat with the number of rows a vehicle. They are made once, a
//! batch long and one vehicle more; a batch that begins in the middle of a vehicle's rows is a slice of them.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Date32Array, Int32Array, StringArray};
use arrow::buffer::OffsetBuffer;

use super::parts::ScoreRow;
use super::row::Scorer;
use crate::fleet::time::TimeAxis;

/// Rows that are made in advance.
const ROWS: usize = 1 << 13;

/// The repeating columns of some rows, from a vehicle's first row on.
pub struct Repeating {
    failure_mode: ArrayRef,
    component: ArrayRef,
    position: ArrayRef,
    as_of: ArrayRef,
    /// Where the mechanisms of each row begin, and where those of the last end.
    clock_offsets: Vec<i32>,
    mechanism: ArrayRef,
}

/// Some rows of them.
pub struct RepeatingSlice {
    pub failure_mode: ArrayRef,
    pub component: ArrayRef,
    pub position: ArrayRef,
    pub as_of: ArrayRef,
    pub clock_offsets: OffsetBuffer<i32>,
    /// As many as the last offset says.
    pub mechanism: ArrayRef,
}

impl Repeating {
    /// Enough for any batch of up to `rows` rows, and for those of usual length.
    pub fn new(scorer: &Scorer, rows: usize) -> Self {
        let model = scorer.fleet.model;
        let templates = &scorer.parts.rows;
        let rows = rows.max(ROWS) + templates.len();
        let of_row = || templates.iter().cycle().take(if templates.is_empty() { 0 } else { rows });
        let count = of_row().count();
        let text = |values: Vec<Option<&str>>| -> ArrayRef {
            Arc::new(values.iter().copied().cycle().take(count).collect::<StringArray>())
        };
        let part = |row: &ScoreRow| &scorer.parts.parts[row.part];
        let mechanisms = |mode: usize| model.mechanisms[model.modes[mode].mechanisms.clone()].iter();
        let mut clock_offsets = vec![0];
        let mut end = 0;
        for row in of_row() {
            end += mechanisms(row.mode).len() as i32;
            clock_offsets.push(end);
        }
        let mechanism = of_row().flat_map(|row| mechanisms(row.mode)).map(|mechanism| mechanism.id.as_str());
        Self {
            failure_mode: text(templates.iter().map(|row| Some(model.modes[row.mode].id.as_str())).collect()),
            component: text(templates.iter().map(|row| Some(part(row).component.as_str())).collect()),
            position: text(templates.iter().map(|row| part(row).position.as_deref()).collect()),
            as_of: day_column(scorer.fleet.plan.axis, vec![Some(scorer.fleet.plan.as_of_day); count]),
            clock_offsets,
            mechanism: Arc::new(StringArray::from_iter_values(mechanism)),
        }
    }

    /// Whether [`Repeating::slice`] can give so many rows from any row on.
    pub fn holds(&self, rows: usize, templates: usize) -> bool {
        rows + templates <= self.failure_mode.len()
    }

    /// `rows` rows from row `first` of a vehicle on.
    pub fn slice(&self, first: usize, rows: usize) -> RepeatingSlice {
        let offsets = &self.clock_offsets[first..first + rows + 1];
        let (from, to) = (offsets[0], offsets[rows]);
        let rebased: Vec<i32> = offsets.iter().map(|offset| offset - from).collect();
        RepeatingSlice {
            failure_mode: self.failure_mode.slice(first, rows),
            component: self.component.slice(first, rows),
            position: self.position.slice(first, rows),
            as_of: self.as_of.slice(first, rows),
            clock_offsets: OffsetBuffer::new(rebased.into()),
            mechanism: self.mechanism.slice(from as usize, (to - from) as usize),
        }
    }
}

/// Days of the axis as its Arrow type.
pub fn day_column(axis: TimeAxis, days: Vec<Option<i32>>) -> ArrayRef {
    match axis {
        TimeAxis::Days | TimeAxis::SecondsSince2000 => Arc::new(Date32Array::from(days)),
        TimeAxis::Integer => Arc::new(Int32Array::from(days)),
    }
}
