//! From usable rows to codes: quantises columns, looks joined channels up, computes derived ones.

use super::chunk::Chunk;
use super::decode::{Batch, Context};
use super::dictionary::ChannelSource;
use super::error::FleetError;
use super::quantise::CellCounts;
use super::tally::Tally;
use super::time::days_of_month;

/// Turns rows of batches into rows of chunks: quantises, looks up and computes channels. One a thread.
pub(crate) struct Packer<'a> {
    context: &'a Context<'a>,
    /// Codes of channels that are filled but not asked for, and of derived ones on their way.
    filled: Vec<Vec<u16>>,
}

impl<'a> Packer<'a> {
    pub fn new(context: &'a Context<'a>) -> Self {
        Self { context, filled: vec![Vec::new(); context.fill.len()] }
    }

    /// Appends the rows `from .. to` of a batch of this file to a chunk whose columns are the requested channels.
    pub fn append(
        &mut self,
        file: usize,
        batch: &Batch,
        from: usize,
        to: usize,
        chunk: &mut Chunk,
        tally: &mut Tally,
    ) -> Result<(), FleetError> {
        let start = chunk.len();
        chunk.vehicle.extend_from_slice(&batch.vehicle[from..to]);
        chunk.tick.extend_from_slice(&batch.tick[from..to]);
        tally.cells.resize(self.context.fill.len(), CellCounts::default());
        for (place, &channel) in self.context.fill.iter().enumerate() {
            let definition = &self.context.dictionary.channels[channel];
            // A channel that is asked for is filled in its place in the chunk, any other in a buffer of its own.
            let target = self.context.wanted.iter().position(|&wanted| wanted == place);
            let mut codes = std::mem::take(match target {
                Some(column) => &mut chunk.codes[column],
                None => &mut self.filled[place],
            });
            if target.is_none() {
                codes.clear();
            }
            let cells = &mut tally.cells[place];
            match &definition.source {
                ChannelSource::Column { .. } => {
                    let columns = &self.context.columns[file];
                    if let (Some((_, quantiser)), Some(array)) = (&columns.channels[place], &batch.columns[place]) {
                        quantiser.quantise(&array.slice(from, to - from), &mut codes, cells)?;
                    }
                }
                ChannelSource::PeriodDays => {
                    let (first, count) = (definition.channel.first, i64::from(definition.channel.codes));
                    let mut last = (None, definition.channel.not_available());
                    codes.extend(batch.tick[from..to].iter().map(|&tick| {
                        let day = self.context.axis.day(tick);
                        if last.0 != Some(day) {
                            let code = days_of_month(day).map(|days| i64::from(days) - first);
                            let code = code.filter(|code| (0..count).contains(code));
                            last = (Some(day), code.map_or(definition.channel.not_available(), |code| code as u16));
                        }
                        last.1
                    }));
                }
                ChannelSource::Join { .. } | ChannelSource::Derived { .. } => {
                    return Err(FleetError::Internal { what: "joins and derived channels".to_string() });
                }
            }
            *match target {
                Some(column) => &mut chunk.codes[column],
                None => &mut self.filled[place],
            } = codes;
        }
        // A channel asked for twice has its codes copied.
        for column in 1..self.context.wanted.len() {
            let first = self.context.wanted.iter().position(|place| *place == self.context.wanted[column]);
            if let Some(first) = first.filter(|first| *first < column) {
                let (before, after) = chunk.codes.split_at_mut(column);
                after[0].extend_from_slice(&before[first][start..]);
            }
        }
        Ok(())
    }
}
