//! The tables of a back-test.
//!
//! `predictions`, one row a cut day, part and horizon, in the order of cut days, folds and ids:
//!
//! | column | type | meaning |
//! |---|---|---|
//! | as_of | Date32 (Int32 for integer periods) | the cut day: the chance was stated with what was known on it |
//! | fold | Int32, null | of the vehicles whose model was fitted on the others |
//! | the histories' vehicle column | Int64 or Utf8 | vehicle id |
//! | failure_mode, component, position | Utf8 (position: null) | which part; modes that share it joined by commas |
//! | horizon_days | Int32 | |
//! | probability | Float64 | to have failed by the horizon's end, unreported before the cut day or since |
//! | warned | Boolean | whether the alert's level was reached at the alert's own horizon |
//! | outcome | Utf8 | `failed`, `survived`, `unknown` (left out) |
//! | ended_by, ended_on | Utf8, Date32, null | what became of the part, within the horizon or later |
//!
//! `measures`, `reliability` and `pit` are as [`super::measures::Measure`], [`super::reliability::Bin`] and
//! [`super::counts::PlacedCount`] say; `cut` is null for all cut days together.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int32Array, Int64Array, RecordBatch};

use super::counts::PlacedCount;
use super::judged::{JudgedPart, Place, Subject};
use super::measures::{Measured, World};
use crate::fleet::time::TimeAxis;
use crate::fleet::vehicles::Ids;
use crate::fleet::writer::{ContentHasher, OutputFolder, TableSpec, TableWriter, WriteError};
use crate::score::parts::Parts;
use crate::simulate::table::{Columns, days, ids, texts};

/// Rows of one batch.
const BATCH_ROWS: usize = 1 << 16;

/// The table of predictions while cuts come in.
pub struct Predictions<'a> {
    folder: &'a OutputFolder,
    provenance: Vec<(String, String)>,
    open: Option<(TableWriter<'a>, ContentHasher)>,
    pub rows: u64,
}

/// One cut's, or one fold's of it, parts that were judged.
pub struct CutRows<'a> {
    pub vehicle_column: &'a str,
    pub axis: TimeAxis,
    /// Of the dataset's axis.
    pub as_of_day: i32,
    pub fold: Option<u32>,
    pub ids: &'a Ids,
    /// Index of the vehicle, its place, and what is known of it.
    pub parts: &'a [(u32, usize, JudgedPart)],
    pub places: &'a [Place],
    pub of_model: (&'a [Subject], &'a Parts),
    /// Days and slots of the horizons of each subject that the records reach to.
    pub questions: &'a [Vec<(u32, usize)>],
    /// The day of the dataset's axis so many calendar days after the cut.
    pub day_after: &'a dyn Fn(i32) -> i32,
}

impl<'a> Predictions<'a> {
    pub fn new(folder: &'a OutputFolder, provenance: Vec<(String, String)>) -> Self {
        Self { folder, provenance, open: None, rows: 0 }
    }

    /// Writes the rows of a cut.
    pub fn add(&mut self, cut: &CutRows) -> Result<(), WriteError> {
        // A table without rows has its columns too.
        let chunks: Vec<&[(u32, usize, JudgedPart)]> = match cut.parts.is_empty() {
            true => vec![cut.parts],
            false => cut.parts.chunks(BATCH_ROWS).collect(),
        };
        for parts in chunks {
            let batch = cut.batch(parts)?;
            if self.open.is_none() {
                let sorted = ["as_of", "fold", cut.vehicle_column, "failure_mode", "position", "horizon_days"];
                let mut spec = TableSpec::new("predictions", batch.schema(), &sorted);
                spec.key_value_metadata = self.provenance.clone();
                self.open = Some((self.folder.table_writer(spec), ContentHasher::new(batch.schema())?));
            }
            if let Some((writer, hasher)) = &mut self.open {
                writer.write(&batch)?;
                hasher.update(&batch)?;
            }
            self.rows += batch.num_rows() as u64;
        }
        Ok(())
    }

    /// The hash of the content.
    pub fn finish(self) -> Result<String, WriteError> {
        match self.open {
            Some((writer, hasher)) => {
                writer.close()?;
                Ok(hasher.finish())
            }
            None => Ok(String::new()),
        }
    }
}

impl CutRows<'_> {
    fn batch(&self, parts: &[(u32, usize, JudgedPart)]) -> Result<RecordBatch, WriteError> {
        let rows: Vec<(u32, &Place, &JudgedPart, (u32, usize))> = parts
            .iter()
            .flat_map(|(vehicle, place, part)| {
                let questions = self.questions[part.subject as usize].iter();
                questions.map(move |&question| (*vehicle, &self.places[*place], part, question))
            })
            .collect();
        let (subjects, parts) = self.of_model;
        let part = |place: &Place| &parts.parts[place.part];
        let vehicles: Vec<u32> = rows.iter().map(|row| row.0).collect();
        let mut columns = Columns::new();
        columns.add("as_of", false, days(self.axis, vec![Some(self.as_of_day); rows.len()]));
        let fold = self.fold.map(|fold| fold as i32);
        columns.add("fold", true, array(Int32Array::from(vec![fold; rows.len()])));
        columns.add(self.vehicle_column, false, ids(self.ids, &vehicles));
        let mode = |row: &(u32, &Place, &JudgedPart, (u32, usize))| subjects[row.1.subject].failure_mode.as_str();
        columns.add("failure_mode", false, texts(rows.iter().map(|row| Some(mode(row)))));
        columns.add("component", false, texts(rows.iter().map(|row| Some(part(row.1).component.as_str()))));
        columns.add("position", true, texts(rows.iter().map(|row| part(row.1).position.as_deref())));
        let horizons = rows.iter().map(|row| row.3.0 as i32);
        columns.add("horizon_days", false, array(Int32Array::from_iter_values(horizons)));
        let chances = rows.iter().map(|row| row.2.chances[row.3.1]);
        columns.add("probability", false, array(Float64Array::from_iter_values(chances)));
        columns.add("warned", false, array(rows.iter().map(|row| Some(row.2.warned)).collect::<BooleanArray>()));
        columns.add("outcome", false, texts(rows.iter().map(|row| Some(row.2.ending(row.3.0).name()))));
        columns.add("ended_by", true, texts(rows.iter().map(|row| row.2.fate.map(|fate| fate.end.name()))));
        let ended = rows.iter().map(|row| row.2.fate.map(|fate| (self.day_after)(fate.day))).collect();
        columns.add("ended_on", true, days(self.axis, ended));
        columns.batch()
    }
}

fn array(array: impl arrow::array::Array + 'static) -> ArrayRef {
    Arc::new(array)
}

fn numbers(values: impl Iterator<Item = Option<f64>>) -> ArrayRef {
    Arc::new(values.collect::<Float64Array>())
}

/// The day of a cut on the dataset's axis.
pub type DayOf<'a> = &'a dyn Fn(usize) -> i32;

/// The table `measures`.
pub fn measures(found: &Measured, axis: TimeAxis, day_of: DayOf) -> Result<RecordBatch, WriteError> {
    let rows = &found.measures;
    let mut columns = Columns::new();
    columns.add("failure_mode", false, texts(rows.iter().map(|row| Some(row.failure_mode.as_str()))));
    columns.add("cut", true, days(axis, rows.iter().map(|row| row.cut.map(day_of)).collect()));
    let horizons = rows.iter().map(|row| row.horizon_days.map(|days| days as i32));
    columns.add("horizon_days", true, array(horizons.collect::<Int32Array>()));
    columns.add("measure", false, texts(rows.iter().map(|row| Some(row.measure))));
    columns.add("value", true, numbers(rows.iter().map(|row| row.value)));
    columns.add("lower", true, numbers(rows.iter().map(|row| row.lower)));
    columns.add("upper", true, numbers(rows.iter().map(|row| row.upper)));
    columns.add("standard_error", true, numbers(rows.iter().map(|row| row.standard_error)));
    columns.add("note", true, texts(rows.iter().map(|row| row.note.as_deref())));
    columns.batch()
}

/// The table `reliability`: tenths of the parts by their chance, over all cuts.
pub fn reliability(found: &Measured) -> Result<RecordBatch, WriteError> {
    let rows: Vec<_> = found
        .curves
        .iter()
        .flat_map(|curve| curve.bins.iter().zip(1..).map(move |(bin, number)| (curve, bin, number)))
        .collect();
    let mut columns = Columns::new();
    columns.add("failure_mode", false, texts(rows.iter().map(|row| Some(row.0.failure_mode.as_str()))));
    let horizons = rows.iter().map(|row| row.0.horizon_days as i32);
    columns.add("horizon_days", false, array(Int32Array::from_iter_values(horizons)));
    columns.add("bin", false, array(Int32Array::from_iter_values(rows.iter().map(|row| row.2))));
    let mut number = |name: &str, of: &dyn Fn(&super::reliability::Bin) -> f64| {
        columns.add(name, false, numbers(rows.iter().map(|row| Some(of(row.1)))));
    };
    number("from_probability", &|bin| bin.from);
    number("to_probability", &|bin| bin.to);
    number("mean_probability", &|bin| bin.expected / bin.weight);
    number("share_failed", &|bin| bin.failed / bin.weight);
    number("expected", &|bin| bin.expected);
    number("failed", &|bin| bin.failed);
    number("z", &|bin| bin.z);
    columns.add("parts", false, array(Int64Array::from_iter_values(rows.iter().map(|row| row.1.cases as i64))));
    columns.batch()
}

/// The table `pit`: every count of a group with its place in its forecast.
pub fn pit(
    counts: &[PlacedCount],
    axis: TimeAxis,
    day_of: DayOf,
    axis_day: &dyn Fn(i32) -> i32,
) -> Result<RecordBatch, WriteError> {
    let mut columns = Columns::new();
    columns.add("cut", false, days(axis, counts.iter().map(|row| Some(day_of(row.cut))).collect()));
    columns.add("fold", true, array(counts.iter().map(|row| row.fold.map(|fold| fold as i32)).collect::<Int32Array>()));
    columns.add("group_by", false, texts(counts.iter().map(|row| Some(row.group_by.as_str()))));
    columns.add("group", true, texts(counts.iter().map(|row| row.group.as_deref())));
    columns.add("failure_mode", false, texts(counts.iter().map(|row| Some(row.failure_mode.as_str()))));
    columns.add("window", false, texts(counts.iter().map(|row| Some(row.window))));
    columns.add("from_day", false, days(axis, counts.iter().map(|row| Some(axis_day(row.days.0))).collect()));
    columns.add("to_day", false, days(axis, counts.iter().map(|row| Some(axis_day(row.days.1))).collect()));
    columns.add("expected", false, numbers(counts.iter().map(|row| Some(row.expected))));
    columns.add("variance", false, numbers(counts.iter().map(|row| Some(row.variance))));
    columns.add("came", false, array(Int64Array::from_iter_values(counts.iter().map(|row| row.came))));
    columns.add("pit", false, numbers(counts.iter().map(|row| Some(row.place))));
    columns.batch()
}

/// The horizons of each subject that the records reach to, on one cut day.
pub fn questions(world: &World, cut: usize) -> Vec<Vec<(u32, usize)>> {
    let followed = |subject: &Subject| -> Vec<(u32, usize)> {
        world.questions(subject).into_iter().filter(|(days, _)| world.is_followed(cut, *days)).collect()
    };
    world.subjects.iter().map(followed).collect()
}
