//! From kept columns to the channels that somebody asks for: side tables are looked up and derived channels computed
//! whenever rows are read, so a corrected side table, or a vehicle with other attributes, needs nothing to be read anew.

use crate::fleet::chunk::Chunk;
use crate::fleet::dataset::Dataset;
use crate::fleet::derived::period_days;
use crate::fleet::dictionary::{ChannelSource, Dictionary};
use crate::fleet::error::FleetError;
use crate::fleet::pack::Filling;
use crate::fleet::quantise::CellCounts;
use crate::fleet::time::TimeAxis;

/// The channels that come from columns of the files, operands of derived ones among them.
pub fn from_columns(dictionary: &Dictionary, channels: &[usize]) -> Vec<usize> {
    let is_column = |channel: &usize| matches!(dictionary.channels[*channel].source, ChannelSource::Column { .. });
    dictionary.with_operands(channels).into_iter().filter(is_column).collect()
}

/// How the channels of a request are made.
#[derive(Debug)]
pub struct Refill<'a> {
    axis: TimeAxis,
    /// Channels to fill, operands before what is derived from them.
    fill: Vec<usize>,
    fillings: Vec<Filling<'a>>,
    /// Of each: its place among the kept columns that were read.
    column: Vec<Option<usize>>,
    /// Of each requested channel: its place in `fill`.
    wanted: Vec<usize>,
}

impl<'a> Refill<'a> {
    /// `columns` are the channels of the kept columns that will be at hand.
    pub fn new(dataset: &'a Dataset, channels: &[usize], columns: &[usize]) -> Result<Self, FleetError> {
        let fill = dataset.dictionary.with_operands(channels);
        Ok(Self {
            axis: dataset.axis,
            fillings: Filling::of(&dataset.dictionary, &fill, &dataset.joins)?,
            column: fill.iter().map(|channel| columns.iter().position(|kept| kept == channel)).collect(),
            wanted: channels.iter().filter_map(|channel| fill.iter().position(|other| other == channel)).collect(),
            fill,
        })
    }

    /// Replaces the codes of rows, the kept columns, by those of the requested channels. Vehicles are tonight's indices.
    pub fn fill(&self, rows: &mut Chunk) -> Result<(), FleetError> {
        let lacks = |place: usize| FleetError::Internal { what: format!("channel {} is not kept", self.fill[place]) };
        let mut filled: Vec<Vec<u16>> = Vec::with_capacity(self.fill.len());
        let mut joined: Vec<(usize, Vec<u32>)> = Vec::new();
        let mut cells = CellCounts::default();
        for (place, filling) in self.fillings.iter().enumerate() {
            let mut codes = Vec::new();
            match filling {
                Filling::Column => {
                    let column = self.column[place].and_then(|column| rows.codes.get_mut(column));
                    codes = std::mem::take(column.ok_or_else(|| lacks(place))?);
                }
                Filling::PeriodDays => period_days(self.axis, &rows.tick, &mut codes, &mut cells),
                Filling::Join(join, table) => {
                    let at = match joined.iter().position(|(known, _)| known == join) {
                        Some(at) => at,
                        None => {
                            let mut side_rows = Vec::new();
                            table.rows(&rows.vehicle, &rows.tick, &mut side_rows);
                            joined.push((*join, side_rows));
                            joined.len() - 1
                        }
                    };
                    table.codes(self.fill[place], &joined[at].1, &mut codes, &mut cells);
                }
                Filling::Derived(derived, a, b) => derived.fill(&filled[*a], &filled[*b], &mut codes, &mut cells),
            }
            filled.push(codes);
        }
        // A channel asked for twice is copied.
        rows.codes.clear();
        for (number, &place) in self.wanted.iter().enumerate() {
            let again = self.wanted[number + 1..].contains(&place);
            rows.codes.push(if again { filled[place].clone() } else { std::mem::take(&mut filled[place]) });
        }
        Ok(())
    }
}
