//! The columns of one history file: where the vehicle, the time and each wanted channel stand, and how each is read.
//! A column is looked for in the file first, then among the `key=value` folders of its path.

use arrow::array::{Array, ArrayRef, UInt32Array};
use arrow::datatypes::DataType;

use super::dictionary::{ChannelSource, Dictionary};
use super::error::FleetError;
use super::history_file::HistoryFile;
use super::ids::IdKind;
use super::partition::{self, PartitionUse};
use super::quantise::Quantiser;
use super::time::TimeAxis;

/// Where a column comes from.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// This column of the projected batches.
    Column(usize),
    /// A partition's value: one row that stands for all.
    Partition(ArrayRef),
}

/// A file's columns, found and checked once a file.
#[derive(Clone, Debug)]
pub(crate) struct FileColumns {
    pub vehicle: Place,
    pub vehicle_type: DataType,
    pub time: Place,
    pub time_type: DataType,
    pub axis: TimeAxis,
    /// One a channel to fill, `None` where it is not read from a column.
    pub channels: Vec<Option<(Place, Quantiser)>>,
    /// The columns to decode, by their place in the schema, rising.
    pub roots: Vec<usize>,
    /// The leaf of each, where it has no children.
    pub leaves: Vec<Option<usize>>,
}

impl Place {
    /// The column for a batch of this many rows.
    pub fn array(&self, columns: &[ArrayRef], rows: usize) -> Result<ArrayRef, FleetError> {
        match self {
            Place::Column(index) => columns
                .get(*index)
                .cloned()
                .ok_or_else(|| FleetError::Internal { what: format!("column {index} was not decoded") }),
            Place::Partition(value) => {
                let first = UInt32Array::from(vec![0; rows]);
                arrow::compute::take(value, &first, None)
                    .map_err(|error| FleetError::Internal { what: error.to_string() })
            }
        }
    }
}

impl FileColumns {
    /// Finds the columns of the histories and of the channels `fill` (indices into the dictionary's). `ids` is what
    /// a partition that names the vehicle holds.
    pub fn find(file: &HistoryFile, dictionary: &Dictionary, fill: &[usize], ids: IdKind) -> Result<Self, FleetError> {
        let histories = &dictionary.histories;
        let vehicle = find(file, &histories.vehicle, PartitionUse::Id(ids))?;
        let by_value = file.source.partition(&histories.time).and_then(Option::as_deref);
        let partition_axis = by_value.and_then(partition::time_axis).unwrap_or(TimeAxis::Days);
        let time = find(file, &histories.time, PartitionUse::Time(partition_axis))?;
        let axis = TimeAxis::of(&time.data_type).ok_or_else(|| FleetError::WrongType {
            file: file.path().clone(),
            column: histories.time.clone(),
            got: time.data_type.to_string(),
            accepted: super::time::ACCEPTED,
        })?;
        let mut channels = Vec::with_capacity(fill.len());
        for &index in fill {
            let Some(definition) = dictionary.channels.get(index) else {
                return Err(FleetError::Internal { what: format!("channel {index} does not exist") });
            };
            channels.push(match &definition.source {
                ChannelSource::Column { column, .. } => {
                    let found = find(file, column, PartitionUse::Channel)?;
                    let quantiser = Quantiser::new(definition, &found.data_type, file.path(), column)?;
                    Some((found, quantiser))
                }
                _ => None,
            });
        }
        let read = [&vehicle, &time].into_iter().chain(channels.iter().flatten().map(|(found, _)| found));
        let mut roots: Vec<usize> = read.filter_map(|found| found.root).collect();
        roots.sort_unstable();
        roots.dedup();
        let place = |found: Found| match (found.root, found.value) {
            (None, Some(value)) => Place::Partition(value),
            // Projected columns keep the file's order, so the place is the rank.
            (root, _) => Place::Column(roots.partition_point(|&other| Some(other) < root)),
        };
        Ok(Self {
            axis,
            time_type: time.data_type.clone(),
            vehicle_type: vehicle.data_type.clone(),
            vehicle: place(vehicle),
            time: place(time),
            channels: channels
                .into_iter()
                .map(|channel| channel.map(|(found, quantiser)| (place(found), quantiser)))
                .collect(),
            leaves: roots.iter().map(|&root| leaf(file, root)).collect(),
            roots,
        })
    }
}

fn leaf(file: &HistoryFile, root: usize) -> Option<usize> {
    let schema = file.metadata.parquet_schema();
    let is_it = |&leaf: &usize| schema.get_column_root_idx(leaf) == root && schema.get_column_root(leaf).is_primitive();
    (0..schema.num_columns()).find(is_it)
}

/// A column of a file, or its partition's value.
struct Found {
    root: Option<usize>,
    value: Option<ArrayRef>,
    data_type: DataType,
}

fn find(file: &HistoryFile, column: &str, used_as: PartitionUse) -> Result<Found, FleetError> {
    let schema = file.metadata.schema();
    if let Some((root, field)) = schema.column_with_name(column) {
        return Ok(Found { root: Some(root), value: None, data_type: field.data_type().clone() });
    }
    let Some(value) = partition::scalar(&file.source, column, used_as)? else {
        let partitions = file.source.partitions.iter().map(|(key, _)| key.as_str());
        let known = schema.fields().iter().map(|field| field.name().as_str()).chain(partitions);
        return Err(FleetError::missing_column(file.path(), column, known));
    };
    Ok(Found { root: None, data_type: value.data_type().clone(), value: Some(value) })
}
