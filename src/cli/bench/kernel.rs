//! The kernel alone: the recipe's columns in memory, pushed by all threads.

use std::fs::File;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use arrow::array::AsArray;
use arrow::datatypes::{UInt16Type, UInt32Type};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::recipe::{CODES, RecipeError};
use crate::backend::{self, Choice, DamageBatch, DamageRequest, SlotMasks};
use crate::cli::exit::CliError;
use crate::engine::plan::CHUNK_ROWS;
use crate::model::compiled::CompiledModel;
use crate::model::tables::TableInput;
use crate::run::Control;

/// Rows kept in memory at most: 512 MiB of codes and ids.
pub const MOST_ROWS: usize = 1 << 24;

/// The first rows of the recipe, column by column.
pub struct Columns {
    vehicle: Vec<u32>,
    codes: Vec<Vec<u16>>,
}

/// What one run took.
#[derive(Clone, Copy, Debug)]
pub struct KernelSeconds {
    /// From the first push until all is summed: on a device, upload and work.
    pub sum_s: f64,
    /// The way back of the sums.
    pub readback_s: f64,
    /// Bytes of the sums.
    pub readback_bytes: u64,
}

impl Columns {
    /// Reads up to [`MOST_ROWS`] rows of the recipe's histories.
    pub fn read(histories: &Path, control: &Control) -> Result<Self, RecipeError> {
        let parquet = |source| RecipeError::Parquet { path: histories.to_path_buf(), source };
        let file = File::open(histories).map_err(|source| RecipeError::Io { path: histories.to_path_buf(), source })?;
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(parquet)?;
        let wanted = (0..2 + CODES.len()).filter(|&column| column != 1);
        let mask = ProjectionMask::leaves(builder.parquet_schema(), wanted);
        let mut columns = Self { vehicle: Vec::new(), codes: vec![Vec::new(); CODES.len()] };
        let batches = builder.with_projection(mask).with_limit(MOST_ROWS).with_batch_size(1 << 16).build();
        for batch in batches.map_err(parquet)? {
            control.check()?;
            let batch = batch.map_err(|error| parquet(error.into()))?;
            columns.vehicle.extend_from_slice(batch.column(0).as_primitive::<UInt32Type>().values());
            for (codes, array) in columns.codes.iter_mut().zip(&batch.columns()[1..]) {
                codes.extend_from_slice(array.as_primitive::<UInt16Type>().values());
            }
        }
        Ok(columns)
    }

    pub fn rows(&self) -> usize {
        self.vehicle.len()
    }

    /// Bytes that the kernel reads of a row: a slot and the codes of its inputs.
    pub fn row_bytes(&self) -> u64 {
        (4 + 2 * self.codes.len()) as u64
    }

    /// Those of all rows.
    pub fn bytes(&self) -> u64 {
        self.rows() as u64 * self.row_bytes()
    }
}

/// One run over all columns. The backend is opened before the clock starts. Also gives what did the work.
pub fn run(
    columns: &Columns,
    model: &CompiledModel,
    choice: Choice,
    device: Option<&str>,
    threads: usize,
    control: &Control,
) -> Result<(KernelSeconds, String), CliError> {
    let vehicles = columns.vehicle.last().map_or(0, |&last| last as usize + 1);
    let masks = SlotMasks { masks: Vec::new(), default: model.masks(&|_| None) };
    let request = DamageRequest { tables: &model.tables, masks: &masks, drivers: false };
    let opened = backend::open(choice, device, threads, &request)?;
    let description = opened.backend.description();
    // The dictionary declares the channels in the order of the file's columns.
    let inputs: Vec<&[u16]> = model
        .inputs
        .iter()
        .filter_map(|input| match input {
            TableInput::Channel(channel) => columns.codes.get(*model.channels.get(*channel)?).map(Vec::as_slice),
            TableInput::Pair { .. } => None,
        })
        .collect();
    let (next, failure) = (AtomicUsize::new(0), Mutex::new(None));
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut codes: Vec<&[u16]> = Vec::with_capacity(inputs.len());
                loop {
                    let first = next.fetch_add(CHUNK_ROWS, Ordering::Relaxed);
                    if first >= columns.rows() || control.check().is_err() {
                        return;
                    }
                    let rows = first..columns.rows().min(first + CHUNK_ROWS);
                    codes.clear();
                    codes.extend(inputs.iter().map(|column| &column[rows.clone()]));
                    let vehicle = &columns.vehicle[rows];
                    if let Err(error) = opened.backend.push(&DamageBatch { slot: vehicle, vehicle, codes: &codes }) {
                        if let Ok(mut failure) = failure.lock() {
                            *failure = Some(error);
                        }
                        return;
                    }
                }
            });
        }
    });
    control.check()?;
    if let Some(error) = failure.into_inner().ok().flatten() {
        return Err(error.into());
    }
    opened.backend.settle()?;
    let sum_s = began.elapsed().as_secs_f64();
    let summed = Instant::now();
    let sums = opened.backend.finish(vehicles, 0)?;
    let readback_s = summed.elapsed().as_secs_f64();
    let readback_bytes = (size_of_val(&sums.clocks_q48[..]) + size_of_val(&sums.capped[..])) as u64;
    Ok((KernelSeconds { sum_s, readback_s, readback_bytes }, description))
}

/// Bytes a second that all threads together copy from memory to memory, read and written bytes both counted: the
/// best of a few runs.
pub fn copy_bytes_per_s(threads: usize) -> f64 {
    const BYTES: usize = 64 << 20;
    const RUNS: usize = 5;
    let mut buffers: Vec<(Vec<u8>, Vec<u8>)> = (0..threads).map(|_| (vec![1; BYTES], vec![0; BYTES])).collect();
    let best_s = (0..RUNS)
        .map(|_| {
            let began = Instant::now();
            std::thread::scope(|scope| {
                for (from, to) in &mut buffers {
                    scope.spawn(|| to.copy_from_slice(std::hint::black_box(from)));
                }
            });
            began.elapsed().as_secs_f64()
        })
        .fold(f64::INFINITY, f64::min);
    std::hint::black_box(&buffers);
    (2 * BYTES * threads) as f64 / best_s
}
