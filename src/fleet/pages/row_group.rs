//! The columns of one row group that are read from their pages.

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;

use super::super::columns::{FileColumns, Place};
use super::super::decode::{Context, ReadError};
use super::super::history_file::{HistoryFile, RangedFile};
use super::super::ids::IdReader;
use super::super::plan::RowGroup;
use super::super::time::TickFault;
use super::codes::{CodeTable, Coded, CodesOut};
use super::column::PageColumn;
use super::ticks::{TickTable, TicksOut};
use super::vehicles::{VehicleTable, VehiclesOut};
use super::{Consumer, suits};

/// Readers of the columns that suit; `None` for one that the Arrow reader decodes, or a partition's value.
pub(crate) struct PageColumns {
    vehicle: Option<(PageColumn, VehicleTable)>,
    time: Option<(PageColumn, TickTable)>,
    channels: Vec<Option<(PageColumn, CodeTable)>>,
    /// By place among the decoded columns: whether the Arrow reader must decode it.
    pub others: Vec<bool>,
}

impl PageColumns {
    pub fn open(
        context: &Context,
        file: &HistoryFile,
        columns: &FileColumns,
        row_group: &RowGroup,
        ranged: &RangedFile,
    ) -> Result<Self, ReadError> {
        let metadata = file.metadata.metadata().row_groups().get(row_group.index);
        let mut others = vec![false; columns.roots.len()];
        let mut open = |place: &Place, data_type: &DataType, may: bool| -> Result<Option<PageColumn>, ReadError> {
            let Place::Column(rank) = place else { return Ok(None) };
            let leaf = columns.leaves.get(*rank).copied().flatten();
            let chunk = metadata.zip(leaf).and_then(|(row_group, leaf)| row_group.columns().get(leaf));
            match chunk.filter(|chunk| may && suits(chunk, data_type)) {
                Some(chunk) => PageColumn::open(ranged.share(), chunk, row_group.rows as usize, data_type).map(Some),
                None => {
                    others[*rank] = true;
                    Ok(None)
                }
            }
        };
        // A shard is picked by whole ids.
        let vehicle = open(&columns.vehicle, &columns.vehicle_type, context.shard.is_none())?;
        let time = open(&columns.time, &columns.time_type, true)?;
        let mut channels = Vec::with_capacity(columns.channels.len());
        for channel in &columns.channels {
            channels.push(match channel {
                Some((place, quantiser)) => open(place, quantiser.column_type(), true)?,
                None => None,
            });
        }
        Ok(Self {
            vehicle: vehicle.map(|column| (column, VehicleTable::new())),
            time: time.map(|column| (column, TickTable::default())),
            channels: channels.into_iter().map(|column| column.map(|column| (column, CodeTable::default()))).collect(),
            others,
        })
    }

    /// Whether the Arrow reader has anything to do.
    pub fn are_all(&self) -> bool {
        let some = self.vehicle.is_some() || self.time.is_some() || self.channels.iter().any(Option::is_some);
        some && !self.others.contains(&true)
    }

    /// Appends the next rows' vehicles; false if they come the other way.
    pub fn vehicles(&mut self, rows: usize, ids: &mut IdReader, out: &mut Vec<u32>) -> Result<bool, ReadError> {
        let Some((column, table)) = &mut self.vehicle else { return Ok(false) };
        column.read(rows, &mut VehiclesOut { ids, table, out }).map(|()| true)
    }

    /// Appends the next rows' ticks; false if they come the other way.
    pub fn ticks(
        &mut self,
        context: &Context,
        rows: usize,
        ticks: &mut Vec<i32>,
        faults: &mut Vec<(usize, TickFault)>,
    ) -> Result<bool, ReadError> {
        let Some((column, table)) = &mut self.time else { return Ok(false) };
        column.read(rows, &mut TicksOut { axis: context.axis, table, ticks, faults }).map(|()| true)
    }

    /// Appends the next rows' codes of a channel to fill; false if they come the other way.
    pub fn codes(
        &mut self,
        columns: &FileColumns,
        channel: usize,
        rows: usize,
        out: &mut Coded,
    ) -> Result<bool, ReadError> {
        let (Some(Some((column, table))), Some(Some((_, quantiser)))) =
            (self.channels.get_mut(channel), columns.channels.get(channel))
        else {
            return Ok(false);
        };
        column.read(rows, &mut CodesOut { quantiser, table, out }).map(|()| true)
    }

    /// Reads the next rows of every column and drops them, to learn whether they can be decoded.
    pub fn skip(&mut self, rows: usize) -> Result<(), ReadError> {
        self.each(|column| column.read(rows, &mut Nothing))
    }

    /// Refuses columns that hold more rows.
    pub fn end(&mut self) -> Result<(), ReadError> {
        self.each(|column| column.end(&mut Nothing))
    }

    fn each(&mut self, act: impl FnMut(&mut PageColumn) -> Result<(), ReadError>) -> Result<(), ReadError> {
        let channels = self.channels.iter_mut().flatten().map(|(column, _)| column);
        let vehicle = self.vehicle.iter_mut().map(|(column, _)| column);
        let time = self.time.iter_mut().map(|(column, _)| column);
        vehicle.chain(time).chain(channels).try_for_each(act)
    }
}

/// Takes nothing.
struct Nothing;

impl Consumer for Nothing {
    fn dictionary(&mut self, _: &ArrayRef, _: bool) -> Result<(), ReadError> {
        Ok(())
    }

    fn indices(&mut self, _: &[u32]) -> Result<bool, ReadError> {
        Ok(true)
    }

    fn values(&mut self, _: &ArrayRef) -> Result<(), ReadError> {
        Ok(())
    }
}
