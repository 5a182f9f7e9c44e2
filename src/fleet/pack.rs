//! From usable rows to a chunk's: copies codes, looks joined channels up, computes derived ones.

use super::chunk::Chunk;
use super::decode::{Batch, Context};
use super::derived::{Derived, period_days};
use super::dictionary::{ChannelSource, Dictionary};
use super::error::FleetError;
use super::joins::JoinTable;
use super::quantise::CellCounts;
use super::tally::Tally;

/// How a channel is filled, settled once a scan.
#[derive(Debug)]
pub(crate) enum Filling<'a> {
    Column,
    /// From the table of this place among the joins.
    Join(usize, &'a JoinTable),
    /// With the places of its operands among the channels to fill.
    Derived(Box<Derived>, usize, usize),
    PeriodDays,
}

impl<'a> Filling<'a> {
    /// For each channel of `fill`, operands of derived ones standing before them.
    pub fn of(dictionary: &Dictionary, fill: &[usize], joins: &'a [JoinTable]) -> Result<Vec<Self>, FleetError> {
        let place = |channel: usize| {
            fill.iter().position(|&other| other == channel).ok_or_else(|| FleetError::Internal {
                what: format!("channel {channel} is an operand that is not filled"),
            })
        };
        fill.iter()
            .map(|&channel| match dictionary.channels.get(channel).map(|definition| &definition.source) {
                Some(ChannelSource::Column { .. }) => Ok(Filling::Column),
                Some(ChannelSource::PeriodDays) => Ok(Filling::PeriodDays),
                Some(ChannelSource::Join { join, .. }) => match joins.get(*join) {
                    Some(table) => Ok(Filling::Join(*join, table)),
                    None => Err(FleetError::Internal { what: format!("there is no join {join}") }),
                },
                Some(ChannelSource::Derived { .. }) => match Derived::new(dictionary, channel)? {
                    Some(derived) => {
                        let (a, b) = derived.operands;
                        Ok(Filling::Derived(Box::new(derived), place(a)?, place(b)?))
                    }
                    None => Err(FleetError::Internal { what: format!("channel {channel} is not derived") }),
                },
                None => Err(FleetError::Internal { what: format!("there is no channel {channel}") }),
            })
            .collect()
    }
}

/// Turns rows of batches into rows of chunks. One a thread.
pub(crate) struct Packer<'a> {
    context: &'a Context<'a>,
    /// Column of a chunk that each filled channel goes to; operands that nobody asked for go to `spare`.
    column_of: Vec<Option<usize>>,
    /// Columns that repeat an earlier one: (column, the earlier one).
    repeats: Vec<(usize, usize)>,
    spare: Vec<Vec<u16>>,
    /// Rows of the side tables, by join; empty until the first channel of a join asks.
    join_rows: Vec<Vec<u32>>,
}

impl<'a> Packer<'a> {
    pub fn new(context: &'a Context<'a>) -> Self {
        let wanted = context.wanted;
        let first = |place: usize| wanted.iter().position(|&other| other == place);
        let repeats = wanted
            .iter()
            .enumerate()
            .filter_map(|(column, &place)| first(place).filter(|first| *first < column).map(|first| (column, first)));
        Self {
            context,
            column_of: (0..context.fill.len()).map(first).collect(),
            repeats: repeats.collect(),
            spare: vec![Vec::new(); context.fill.len()],
            join_rows: vec![Vec::new(); context.dictionary.joins.len()],
        }
    }

    /// Appends the rows `from .. to` of a batch to a chunk whose columns are the requested channels.
    pub fn append(
        &mut self,
        batch: &Batch,
        (from, to): (usize, usize),
        chunk: &mut Chunk,
        tally: &mut Tally,
    ) -> Result<(), FleetError> {
        let start = chunk.len();
        let (vehicle, tick) = (&batch.vehicle[from..to], &batch.tick[from..to]);
        chunk.vehicle.extend_from_slice(vehicle);
        chunk.tick.extend_from_slice(tick);
        tally.cells.resize(self.context.fill.len(), CellCounts::default());
        self.join_rows.iter_mut().for_each(Vec::clear);
        for (place, filling) in self.context.fillings.iter().enumerate() {
            let mut codes = match self.column_of[place] {
                Some(column) => std::mem::take(&mut chunk.codes[column]),
                None => std::mem::take(&mut self.spare[place]),
            };
            if self.column_of[place].is_none() {
                codes.clear();
            }
            let cells = &mut tally.cells[place];
            match filling {
                Filling::Column => {
                    let Some(column) = batch.columns.get(place) else {
                        return Err(FleetError::Internal { what: format!("channel {place} was not decoded") });
                    };
                    codes.extend_from_slice(&column.codes[from..to]);
                    column.count(from, to, cells);
                }
                Filling::PeriodDays => period_days(self.context.axis, tick, &mut codes, cells),
                Filling::Join(join, table) => {
                    let rows = &mut self.join_rows[*join];
                    if rows.is_empty() {
                        table.rows(vehicle, tick, rows);
                    }
                    table.codes(self.context.fill[place], rows, &mut codes, cells);
                }
                Filling::Derived(derived, a, b) => {
                    let operand = |place: usize| match self.column_of[place] {
                        Some(column) => &chunk.codes[column][start..],
                        None => &self.spare[place][..],
                    };
                    derived.fill(operand(*a), operand(*b), &mut codes, cells);
                }
            }
            match self.column_of[place] {
                Some(column) => chunk.codes[column] = codes,
                None => self.spare[place] = codes,
            }
        }
        for &(column, first) in &self.repeats {
            let (before, after) = chunk.codes.split_at_mut(column);
            after[0].extend_from_slice(&before[first][start..]);
        }
        Ok(())
    }
}
