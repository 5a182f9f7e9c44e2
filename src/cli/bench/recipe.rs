//! Data to measure on: ten coded channels of a fleet, two seasonal, the rest skewed, and a model of eight mechanisms
//! with 28 terms over them. `benches/peers` gives the same files to other tools.
//!
//! Every value depends on the seed, its column and its row alone. Units: codes. A column's distribution is a table
//! from 16 random bits to a code.

use std::f64::consts::{LN_2, TAU};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, UInt16Array, UInt32Array};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, SerializedFileReader};
use rayon::prelude::*;

use crate::cli::args::EncodingName;
use crate::fixed::threefry::threefry2x32;
use crate::fleet::manifest::Manifest;
use crate::fleet::writer::{OutputFolder, WriteError};
use crate::run::{Control, Event, Interrupted};

/// Codes of each channel.
pub const CODES: [u16; 10] = [1251, 201, 8001, 256, 256, 512, 101, 201, 256, 201];
/// Two years of days a vehicle.
pub const DAYS: u32 = 730;
pub const MECHANISMS: usize = 8;
const HISTORIES: &str = "histories.parquet";
const ROW_GROUP_ROWS: u64 = 1 << 20;
/// Rate of a record whose channels stand in the middle of their ranges: 2^-12 lives.
const CHARACTERISTIC_RECORDS: u32 = 1 << 12;
const SEED: u32 = 20_260_801;
/// Mean of the skewed channels' gamma distribution of shape 2 is twice this, as a share of the range.
const GAMMA_SCALE: f64 = 0.1;

/// Where the recipe stands, and how large it is.
#[derive(Clone, Debug)]
pub struct Recipe {
    pub dataset: PathBuf,
    pub model: PathBuf,
    pub histories: PathBuf,
    pub rows: u64,
    /// Bytes of the histories file.
    pub bytes: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum RecipeError {
    #[error("cannot use {path:?}")]
    Io { path: PathBuf, source: io::Error },
    #[error("cannot read {path:?} as Parquet")]
    Parquet { path: PathBuf, source: ParquetError },
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

impl Recipe {
    /// The recipe that [`write`] left in `folder`.
    pub fn at(folder: &Path) -> Result<Self, RecipeError> {
        let histories = folder.join(HISTORIES);
        let io = |source| RecipeError::Io { path: histories.clone(), source };
        let file = File::open(&histories).map_err(io)?;
        let bytes = file.metadata().map_err(io)?.len();
        let reader = SerializedFileReader::new(file)
            .map_err(|source| RecipeError::Parquet { path: histories.clone(), source })?;
        let rows = u64::try_from(reader.metadata().file_metadata().num_rows()).unwrap_or_default();
        Ok(Self { dataset: folder.join("dataset.toml"), model: folder.join("model.toml"), histories, rows, bytes })
    }
}

/// Writes the data of `vehicles` vehicles, their dictionary and the model into `folder`.
pub fn write(folder: &Path, vehicles: u32, encoding: EncodingName, control: &Control) -> Result<Recipe, RecipeError> {
    let output = OutputFolder::create(folder)?;
    write_histories(&output, u64::from(vehicles) * u64::from(DAYS), encoding, control)?;
    output.write_file("dataset.toml", dataset_toml().as_bytes())?;
    output.write_file("model.toml", model_toml().as_bytes())?;
    let mut options = serde_json::Map::new();
    options.insert("vehicles".to_owned(), vehicles.into());
    options.insert("encoding".to_owned(), format!("{encoding:?}").to_lowercase().into());
    output.finish(Manifest { command: "bench".to_owned(), options, ..Manifest::default() })?;
    Recipe::at(folder)
}

/// The channels that mechanism `mechanism` reads.
pub fn channels_of(mechanism: usize) -> Vec<usize> {
    let terms = if mechanism.is_multiple_of(2) { 4 } else { 3 };
    (0..terms).map(|term| (3 * mechanism + 2 * term) % CODES.len()).collect()
}

fn write_histories(
    output: &OutputFolder,
    rows: u64,
    encoding: EncodingName,
    control: &Control,
) -> Result<(), RecipeError> {
    let parquet = |source| RecipeError::Parquet { path: PathBuf::from(HISTORIES), source };
    let mut fields =
        vec![Field::new("vehicle_id", DataType::UInt32, false), Field::new("day", DataType::UInt16, false)];
    fields.extend((0..CODES.len()).map(|channel| Field::new(format!("c{channel}"), DataType::UInt16, false)));
    let schema = Arc::new(Schema::new(fields));
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(ROW_GROUP_ROWS as usize));
    let properties = match encoding {
        EncodingName::Zstd => properties.set_compression(Compression::ZSTD(ZstdLevel::try_new(3).unwrap_or_default())),
        EncodingName::Plain => properties.set_dictionary_enabled(false).set_encoding(Encoding::PLAIN),
        EncodingName::Delta => properties.set_dictionary_enabled(false).set_encoding(Encoding::DELTA_BINARY_PACKED),
    };
    let mut writer = output.part_writer_with(HISTORIES, &schema, properties.build())?;
    let tables: Vec<Vec<u16>> = CODES.iter().map(|&codes| skewed(codes)).collect();
    control.emit(Event::Stage { name: "recipe", total_rows: Some(rows) });
    for first in (0..rows).step_by(ROW_GROUP_ROWS as usize) {
        control.check()?;
        let end = rows.min(first + ROW_GROUP_ROWS);
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(UInt32Array::from_iter_values((first..end).map(|row| (row / u64::from(DAYS)) as u32))),
            Arc::new(UInt16Array::from_iter_values((first..end).map(|row| (row % u64::from(DAYS)) as u16))),
        ];
        columns.par_extend(tables.par_iter().enumerate().map(|(channel, table)| codes(channel, table, first..end)));
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns).map_err(|error| parquet(error.into()))?;
        writer.write(&batch)?;
        control.emit(Event::Rows(end - first));
    }
    writer.close()?;
    Ok(())
}

/// Codes of one channel for a range of rows.
fn codes(channel: usize, table: &[u16], rows: std::ops::Range<u64>) -> ArrayRef {
    let random = |row: u64| {
        let words = threefry2x32([SEED, channel as u32], [(row / 4) as u32, (row >> 34) as u32]);
        let both = u64::from(words[0]) | u64::from(words[1]) << 32;
        (both >> (16 * (row % 4))) as u16
    };
    if channel > 1 {
        let draw = |row| table.get(usize::from(random(row))).copied().unwrap_or_default();
        return Arc::new(UInt16Array::from_iter_values(rows.map(draw)));
    }
    let span = f64::from(CODES[channel] - 1);
    let season: Vec<f64> =
        (0..DAYS).map(|day| 0.5 + 0.35 * libm::sin(TAU * f64::from(day) / 365.0 + channel as f64)).collect();
    let draw = |row: u64| {
        let mean = season.get((row % u64::from(DAYS)) as usize).copied().unwrap_or(0.5);
        ((mean + 0.2 * (f64::from(random(row)) / 65_536.0 - 0.5)) * span) as u16
    };
    Arc::new(UInt16Array::from_iter_values(rows.map(draw)))
}

/// From 16 random bits to a code whose share of the range follows a gamma distribution of shape 2, whose distribution
/// function is 1 - e^-z (1 + z); what lies beyond the range is its last code.
fn skewed(codes: u16) -> Vec<u16> {
    let mut code = 0;
    let below = |code: u16| {
        let z = f64::from(code + 1) / f64::from(codes) / GAMMA_SCALE;
        1.0 - libm::exp(-z) * (1.0 + z)
    };
    let quantile = |bits: u32| {
        let share = (f64::from(bits) + 0.5) / 65_536.0;
        while code + 1 < codes && below(code) < share {
            code += 1;
        }
        code
    };
    (0..=u32::from(u16::MAX)).map(quantile).collect()
}

fn dataset_toml() -> String {
    let mut text =
        "[histories]\nfiles = \"histories.parquet\"\nvehicle = \"vehicle_id\"\ntime = \"day\"\nperiod = \"day\"\n"
            .to_owned();
    for (channel, codes) in CODES.iter().enumerate() {
        text += &format!(
            "\n[channels.c{channel}]\nunit = \"1\"\nfactor = 1.0\noffset = 0.0\nrange = [0.0, {}.0]\n",
            codes - 1
        );
    }
    text
}

/// Mechanism m: 2^(-12 + Σ (2 c/n - 1)) lives a record.
fn model_toml() -> String {
    let mut text = "[model]\nname = \"recipe\"\nversion = \"1\"\n\n[[failure_mode]]\nid = \"all\"\ncomponent = \"component\"\nweibull_shape = 1.0\n".to_owned();
    for mechanism in 0..MECHANISMS {
        text += &format!(
            "\n  [[failure_mode.mechanism]]\n  id = \"m{mechanism}\"\n  exposure = \"records\"\n  \
             characteristic_life = {CHARACTERISTIC_RECORDS}\n  terms = [\n"
        );
        for channel in channels_of(mechanism) {
            let codes = f64::from(CODES[channel]);
            text += &format!(
                "    {{ channel = \"c{channel}\", curve = \"exponential\", coefficient = {}, reference = {:?} }},\n",
                2.0 * LN_2 / codes,
                codes / 2.0
            );
        }
        text += "  ]\n";
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_has_eight_mechanisms_and_28_terms() {
        assert_eq!((0..MECHANISMS).map(|mechanism| channels_of(mechanism).len()).sum::<usize>(), 28);
        let model = crate::model::spec::Model::parse(&model_toml(), "model.toml").unwrap();
        assert_eq!(model.modes[0].mechanisms.len(), MECHANISMS);
    }

    /// Mean and median of the gamma distribution of shape 2 and scale 0.1: 0.2 and 0.1678 of the range.
    #[test]
    fn the_skewed_channels_follow_their_distribution() {
        for codes in [101, 8001] {
            let table = skewed(codes);
            let mean = table.iter().map(|&code| f64::from(code) + 0.5).sum::<f64>() / 65_536.0 / f64::from(codes);
            assert!((mean - 0.2).abs() < 2e-3, "{codes}: {mean}");
            let median = (f64::from(table[32_768]) + 0.5) / f64::from(codes);
            assert!((median - 0.167_83).abs() < 0.5 / f64::from(codes) + 1e-4, "{codes}: {median}");
            assert!(table.iter().all(|&code| code < codes));
        }
    }

    #[test]
    fn values_depend_on_the_row_alone() {
        let table = skewed(CODES[3]);
        let whole = codes(3, &table, 0..100);
        assert_eq!(&whole.slice(37, 20), &codes(3, &table, 37..57));
        assert_ne!(&whole.slice(37, 20), &codes(3, &table, 38..58));
    }
}
