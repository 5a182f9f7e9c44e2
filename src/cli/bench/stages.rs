//! The stages of scoring, each run apart on the same data, and all of them together.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use serde::Serialize;
use tempfile::TempDir;

use super::kernel::{self, Columns};
use super::recipe::{Recipe, RecipeError};
use super::sample::Sample;
use crate::backend::{Choice, upload};
use crate::cli::exit::CliError;
use crate::engine::plan::CHUNK_ROWS;
use crate::engine::{self, EngineError, ScorePlan};
use crate::fleet::chunk::{Chunk, Order};
use crate::fleet::dataset::Dataset;
use crate::fleet::scan::{ChunkSink, ScanRequest, SinkError, scan};
use crate::fleet::writer::WriteError;
use crate::model::compile::compile;
use crate::model::compiled::CompiledModel;
use crate::model::spec::Model;
use crate::run::{Control, Event};

/// What is measured, and on what.
pub struct Bench<'a> {
    pub recipe: &'a Recipe,
    pub choice: Choice,
    pub device: Option<&'a str>,
    pub threads: usize,
    pub memory_limit_bytes: usize,
    /// Where stages work; `None`: beside the data.
    pub spill_folder: Option<PathBuf>,
}

/// One stage over all runs.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Stage {
    pub rows: u64,
    /// Bytes that the stage reads, or writes where that is its work; 0 where nobody counts them.
    pub bytes: u64,
    #[serde(flatten)]
    pub sample: Sample,
}

/// Everything that was measured.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Measured {
    /// In the order of the work.
    pub stages: Vec<(&'static str, Stage)>,
    /// What ran the kernel, alone and in the whole job.
    pub device: String,
    /// Of the scores: the same in every run.
    pub content_hash: String,
}

impl Measured {
    fn add(&mut self, name: &'static str, rows: u64, bytes: u64, seconds: f64) {
        let at = self.stages.iter().position(|(known, _)| *known == name).unwrap_or_else(|| {
            self.stages.push((name, Stage { rows, bytes, sample: Sample::default() }));
            self.stages.len() - 1
        });
        if let Some((_, stage)) = self.stages.get_mut(at) {
            stage.sample.push(seconds);
        }
    }
}

impl Bench<'_> {
    /// Runs everything `warmup + runs` times and keeps the figures of the last `runs`.
    pub fn measure(&self, warmup: u32, runs: u32, control: &Control) -> Result<Measured, CliError> {
        control.emit(Event::Stage { name: "bench", total_rows: Some(u64::from(warmup + runs)) });
        let columns = Columns::read(&self.recipe.histories, control)?;
        let mut dataset = Dataset::open(&self.recipe.dataset, self.threads, control)?;
        // Kept until the end: dropping it removes whatever a stage left.
        let scratch = self.scratch()?;
        dataset.spill_folder = scratch.path().to_path_buf();
        let model = Model::load(&self.recipe.model.to_string_lossy())?;
        let model = compile(&model, &dataset.dictionary.schema())?;
        let mut measured = Measured::default();
        for run in 0..warmup + runs {
            if run == warmup {
                measured = Measured { content_hash: std::mem::take(&mut measured.content_hash), ..Measured::default() };
            }
            self.turn(&columns, &dataset, &model, &mut measured, control)?;
            control.emit(Event::Rows(1));
            control.check()?;
        }
        Ok(measured)
    }

    /// A folder beside the data, if nobody says otherwise, so that results go to the same disk.
    fn scratch(&self) -> Result<TempDir, RecipeError> {
        let beside = self.recipe.dataset.parent().unwrap_or(Path::new("."));
        let beside = self.spill_folder.as_deref().unwrap_or(beside);
        tempfile::Builder::new()
            .prefix(".bench-")
            .tempdir_in(beside)
            .map_err(|source| RecipeError::Io { path: beside.to_path_buf(), source })
    }

    fn turn(
        &self,
        columns: &Columns,
        dataset: &Dataset,
        model: &CompiledModel,
        measured: &mut Measured,
        control: &Control,
    ) -> Result<(), CliError> {
        let (rows, bytes) = (self.recipe.rows, self.recipe.bytes);
        measured.add("read", rows, bytes, read_s(&self.recipe.histories, control)?);
        measured.add("decode", rows, bytes, self.decode_s(dataset, model, control)?);
        let (seconds, device) = kernel::run(columns, model, self.choice, self.device, self.threads, control)?;
        let kernel_rows = columns.rows() as u64;
        // The processor's kernel reads the columns where they are.
        if !device.starts_with("cpu") {
            measured.add("upload", kernel_rows, columns.bytes(), upload::seconds(self.device, columns.bytes())?);
        }
        measured.add("kernel", kernel_rows, columns.bytes(), seconds.sum_s + seconds.readback_s);
        measured.add("· sum", kernel_rows, columns.bytes(), seconds.sum_s);
        measured.add("· readback", kernel_rows, seconds.readback_bytes, seconds.readback_s);
        measured.device = device;
        let out = dataset.spill_folder.join("scores");
        let mut plan = ScorePlan::new(self.recipe.dataset.clone(), self.recipe.model.to_string_lossy(), out);
        plan.backend = self.choice;
        plan.device = self.device.map(str::to_owned);
        plan.threads = self.threads;
        plan.memory_limit_bytes = self.memory_limit_bytes;
        plan.drivers = false;
        let began = Instant::now();
        let report = engine::score(&plan, &control.unheard())?;
        measured.add("score", rows, bytes, began.elapsed().as_secs_f64());
        let timings = &report.timings;
        let packed = rows * columns.row_bytes();
        let written = report.manifest.parts.iter().map(|part| part.bytes).sum();
        for (name, bytes, time) in [
            ("· plan", 0, timings.plan),
            ("· read, decode", bytes, timings.read),
            ("· pack", packed, timings.pack),
            ("· kernel", packed, timings.kernel),
            ("· finish", 0, timings.finish),
            ("· write", written, timings.write),
        ] {
            measured.add(name, rows, bytes, time.as_secs_f64());
        }
        if !measured.content_hash.is_empty() && measured.content_hash != report.content_hash {
            return Err(
                EngineError::Internal { what: "two runs on the same data gave different content".to_owned() }.into()
            );
        }
        measured.content_hash = report.content_hash;
        fs::remove_dir_all(&plan.out).map_err(|source| {
            EngineError::Write(WriteError::Io { path: plan.out.clone(), action: "remove", source }).into()
        })
    }

    /// Our reader alone: decoded, quantised, indexed, and dropped.
    fn decode_s(&self, dataset: &Dataset, model: &CompiledModel, control: &Control) -> Result<f64, CliError> {
        struct Drop(AtomicU64);
        impl ChunkSink for Drop {
            fn push(&self, _lane: usize, chunk: &Chunk) -> Result<(), SinkError> {
                self.0.fetch_add(chunk.len() as u64, Ordering::Relaxed);
                Ok(())
            }
            fn restart(&self) -> Result<(), SinkError> {
                self.0.store(0, Ordering::Relaxed);
                Ok(())
            }
        }
        let request = ScanRequest {
            channels: model.channels.clone(),
            order: Order::Any,
            as_of_day: None,
            threads: self.threads,
            memory_limit_bytes: self.memory_limit_bytes,
            chunk_rows: CHUNK_ROWS,
            reversed: false,
            shard: None,
            kind: None,
            hash_inputs: false,
            files: None,
        };
        let began = Instant::now();
        let sink = Drop(AtomicU64::new(0));
        scan(dataset, &request, &control.unheard(), &sink)?;
        let seconds = began.elapsed().as_secs_f64();
        match sink.0.into_inner() {
            rows if rows == self.recipe.rows => Ok(seconds),
            rows => {
                Err(EngineError::Internal { what: format!("the reader gave {rows} of {} rows", self.recipe.rows) }
                    .into())
            }
        }
    }
}

/// The file's bytes, from disk or the system's cache into memory, block by block.
fn read_s(histories: &Path, control: &Control) -> Result<f64, RecipeError> {
    const BLOCK_BYTES: usize = 4 << 20;
    let io = |source| RecipeError::Io { path: histories.to_path_buf(), source };
    let mut block = vec![0; BLOCK_BYTES];
    let began = Instant::now();
    let mut file = File::open(histories).map_err(io)?;
    while file.read(&mut block).map_err(io)? > 0 {
        std::hint::black_box(&block);
        control.check()?;
    }
    Ok(began.elapsed().as_secs_f64())
}

/// The stages by name, as the exported report holds them.
pub fn by_name(stages: &[(&'static str, Stage)], copy_bytes_per_s: f64) -> BTreeMap<&'static str, serde_json::Value> {
    let entry = |stage: &Stage| {
        let median_s = stage.sample.median_s();
        let (counted, bytes_per_s) = (stage.bytes > 0, stage.bytes as f64 / median_s);
        serde_json::json!({
            "rows": stage.rows,
            "bytes": stage.bytes,
            "seconds": stage.sample.seconds,
            "median_s": median_s,
            "spread": stage.sample.spread(),
            "rows_per_s": stage.rows as f64 / median_s,
            "bytes_per_s": counted.then_some(bytes_per_s),
            "share_of_copy": counted.then_some(bytes_per_s / copy_bytes_per_s),
        })
    };
    stages.iter().map(|(name, stage)| (*name, entry(stage))).collect()
}
