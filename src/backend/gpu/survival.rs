//! The survival backend of a GPU: a batch is cut into pieces, a piece into runs of one group's parts, a workgroup
//! takes a run and has a slab of its own; the host adds the slabs to the groups' sums.
//!
//! One batch at a time is on the device. Results equal [`crate::backend::cpu`]'s bit for bit. Units: p of a part in
//! Q48, sums over parts in Q40. Twin: `shaders/survival.wgsl`.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use super::device::{Gpu, pick};
use super::limits::GpuLimits;
use super::shaders;
use super::sums::{bind, read_back};
use super::survival_words::{Piece, PlanWords, Survival, mode_words};
use crate::backend::BackendError;
use crate::backend::survival::{PathPlan, SurvivalBackend, SurvivalBatch, SurvivalRequest, SurvivalSums};
use crate::backend::survival_gate::{PartCounts, check_batch, check_plan};
use crate::model::survival::SurvivalTables;
use crate::run::Stop;

/// Bytes of a piece's slabs, sums or profiles at most, in stages: half of what every adapter binds.
const PIECE_STAGES: u64 = 2;
/// Parts times paths times columns of a dispatch: a watchdog must not notice it.
const PIECE_STEPS: usize = 1 << 28;
/// Runs that keep a device busy.
const PIECE_RUNS: usize = 512;

/// The kernel on a GPU.
pub struct GpuSurvival {
    gpu: Gpu,
    tables: SurvivalTables,
    plan: PathPlan,
    groups: usize,
    width: usize,
    pipeline: wgpu::ComputePipeline,
    plan_buffer: wgpu::Buffer,
    modes: Vec<(wgpu::Buffer, Survival)>,
    counts: PartCounts,
    state: Mutex<State>,
}

struct State {
    sums: SurvivalSums,
    /// Why an earlier call failed: part of a batch may be missing, and nothing more is taken.
    failed: Option<BackendError>,
}

impl GpuSurvival {
    /// Opens the adapter that `device` names, or the first hardware one.
    pub fn open(request: &SurvivalRequest, device: Option<&str>, limits: GpuLimits) -> Result<Self, BackendError> {
        Self::open_on(request, pick(device)?, limits)
    }

    /// Opens an adapter.
    pub fn open_on(
        request: &SurvivalRequest,
        adapter: &wgpu::Adapter,
        limits: GpuLimits,
    ) -> Result<Self, BackendError> {
        check_plan(request)?;
        let SurvivalRequest { tables, plan, groups } = request;
        let gpu = Gpu::open(adapter, limits)?;
        let words = PlanWords::new(plan);
        let module = gpu.device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some(shaders::SURVIVAL_ENTRY),
            source: wgpu::ShaderSource::Wgsl(shaders::SURVIVAL.into()),
        });
        let pipeline = gpu.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(shaders::SURVIVAL_ENTRY),
            layout: None,
            module: &module,
            entry_point: Some(shaders::SURVIVAL_ENTRY),
            compilation_options: wgpu::PipelineCompilationOptions::default(),
            cache: None,
        });
        gpu.check(shaders::SURVIVAL_ENTRY, 0)?;
        let plan_buffer = filled(&gpu, "the plan", &words.words)?;
        let mut modes = Vec::new();
        for mode in 0..tables.modes.len() {
            let mut uniform = words.uniform;
            let words = mode_words(tables, mode, &mut uniform);
            modes.push((filled(&gpu, "survival tables", bytemuck::cast_slice(&words))?, uniform));
        }
        let places = groups * tables.modes.len() * plan.columns() * plan.paths;
        let sums = SurvivalSums { failures_q40: vec![0; places], squares_q40: vec![0; places] };
        Ok(Self {
            width: words.width,
            pipeline,
            plan_buffer,
            modes,
            counts: PartCounts::new(*groups, tables.modes.len()),
            state: Mutex::new(State { sums, failed: None }),
            tables: (*tables).clone(),
            plan: (*plan).clone(),
            groups: *groups,
            gpu,
        })
    }

    fn request(&self) -> SurvivalRequest<'_> {
        SurvivalRequest { tables: &self.tables, plan: &self.plan, groups: self.groups }
    }

    /// The device, for fault injection: `device.destroy()` loses it.
    pub fn device(&self) -> &wgpu::Device {
        &self.gpu.device
    }

    fn refuse_after_failure(&self, state: &State) -> Result<(), BackendError> {
        state.failed.clone().map_or(Ok(()), Err)
    }

    /// What stands while a batch is taken, so that a driver's panic is not forgotten.
    fn unfinished(&self) -> BackendError {
        let device = self.gpu.name().to_owned();
        BackendError::Refused { device, what: "a batch", reason: "an earlier one was not finished".to_owned() }
    }

    /// Follows a batch's parts, piece by piece.
    fn take(&self, state: &mut State, batch: &SurvivalBatch, parts_q48: &mut [u64]) -> Result<(), BackendError> {
        let mut order: Vec<u32> = (0..batch.group.len() as u32).collect();
        order.sort_by_key(|part| batch.group[*part as usize]);
        let uniform = &self.modes[batch.mode].1;
        for (parts, runs) in self.pieces(batch, &order, uniform) {
            let order = &order[parts];
            let piece = Piece::new(&self.tables, batch, order, &runs, uniform);
            self.run(state, batch, order, &piece, &runs, parts_q48)?;
        }
        Ok(())
    }

    /// Parts and runs of a piece at most.
    fn piece_limits(&self, uniform: &Survival) -> (usize, usize) {
        let piece_bytes = (PIECE_STAGES * self.gpu.limits().stage_bytes) as usize;
        let columns = self.plan.columns().max(1);
        let part_words = uniform.part_width as usize;
        let profile_words = (uniform.mechanisms * (uniform.source_weeks + 1)) as usize;
        let widest_words = part_words.max(profile_words).max(2 * columns);
        let parts = (piece_bytes / (4 * widest_words)).min(PIECE_STEPS / (columns * self.width.max(1)));
        let runs = (piece_bytes / (16 * columns * self.width.max(1))).min(PIECE_RUNS);
        (parts.min(self.gpu.limits().dispatch_rows as usize).max(1), runs.max(1))
    }

    /// Cuts parts sorted by group into pieces of runs, ranges of `order` within the piece.
    fn pieces(
        &self,
        batch: &SurvivalBatch,
        order: &[u32],
        uniform: &Survival,
    ) -> Vec<(Range<usize>, Vec<Range<usize>>)> {
        let (most_parts, most_runs) = self.piece_limits(uniform);
        let run_parts = most_parts.min(order.len()).div_ceil(most_runs);
        let mut pieces: Vec<(Range<usize>, Vec<Range<usize>>)> = Vec::new();
        let mut start = 0;
        for group in order.chunk_by(|a, b| batch.group[*a as usize] == batch.group[*b as usize]) {
            for run in group.chunks(run_parts.max(1)) {
                let (mut from, to) = (start, start + run.len());
                while from < to {
                    if pieces.last().is_none_or(|(parts, runs)| parts.len() >= most_parts || runs.len() >= most_runs) {
                        pieces.push((from..from, Vec::new()));
                    }
                    if let Some((parts, runs)) = pieces.last_mut() {
                        let end = to.min(parts.start + most_parts);
                        runs.push(from - parts.start..end - parts.start);
                        parts.end = end;
                        from = end;
                    }
                }
                start = to;
            }
        }
        pieces
    }

    fn run(
        &self,
        state: &mut State,
        batch: &SurvivalBatch,
        order: &[u32],
        piece: &Piece,
        runs: &[Range<usize>],
        parts_q48: &mut [u64],
    ) -> Result<(), BackendError> {
        let columns = self.plan.columns();
        let gpu = &self.gpu;
        let storage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC;
        let uniform_bytes = bytemuck::bytes_of(&piece.uniform);
        let uniform = gpu.buffer("a dispatch", uniform_bytes.len() as u64, wgpu::BufferUsages::UNIFORM)?;
        gpu.queue.write_buffer(&uniform, 0, uniform_bytes);
        let parts = filled(gpu, "parts", &piece.words)?;
        let profiles = filled(gpu, "profiles", &piece.profiles)?;
        let (slab_words, sum_words) = (piece.runs * columns * self.width * 4, order.len() * columns * 2);
        let slabs = gpu.buffer("slabs", 4 * slab_words as u64, storage)?;
        let sums = gpu.buffer("the parts' sums", 4 * sum_words as u64, storage)?;
        let tables = &self.modes[batch.mode].0;
        let layout = self.pipeline.get_bind_group_layout(0);
        let binding = bind(gpu, &layout, &[&uniform, &self.plan_buffer, tables, &parts, &profiles, &slabs, &sums]);
        let mut encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            pass.set_pipeline(&self.pipeline);
            pass.set_bind_group(0, &binding, &[]);
            pass.dispatch_workgroups(piece.runs as u32, 1, 1);
        }
        gpu.queue.submit([encoder.finish()]);
        gpu.check("a submission", 4 * slab_words as u64)?;
        read_back(gpu, &sums, sum_words as u64, |word, read| {
            for (at, words) in read.chunks_exact(2).enumerate() {
                let place = word / 2 + at;
                let part = order[place / columns] as usize;
                parts_q48[part * columns + place % columns] = wide(words[0], words[1]);
            }
        })?;
        let modes = self.tables.modes.len();
        read_back(gpu, &slabs, slab_words as u64, |word, read| {
            for (at, words) in read.chunks_exact(4).enumerate() {
                let place = word / 4 + at;
                let (path, column) = (place % self.width, place / self.width % columns);
                if path >= self.plan.paths {
                    continue;
                }
                let run = &runs[place / self.width / columns];
                let group = batch.group[order[run.start] as usize] as usize;
                let to = ((group * modes + batch.mode) * columns + column) * self.plan.paths + path;
                state.sums.failures_q40[to] += wide(words[0], words[1]);
                state.sums.squares_q40[to] += wide(words[2], words[3]);
            }
        })?;
        let held = [&uniform, &parts, &profiles, &slabs, &sums];
        gpu.release(held.iter().map(|buffer| buffer.size()).sum());
        Ok(())
    }
}

fn wide(low: u32, high: u32) -> u64 {
    u64::from(low) | u64::from(high) << 32
}

/// A buffer with these words. An empty one keeps a few bytes, since a binding must have some.
pub fn filled(gpu: &Gpu, what: &'static str, words: &[u32]) -> Result<wgpu::Buffer, BackendError> {
    let buffer = gpu.buffer(what, 4 * words.len().max(4) as u64, wgpu::BufferUsages::STORAGE)?;
    gpu.queue.write_buffer(&buffer, 0, bytemuck::cast_slice(words));
    gpu.check(what, 4 * words.len() as u64)?;
    Ok(buffer)
}

impl SurvivalBackend for GpuSurvival {
    fn push(&self, batch: &SurvivalBatch, parts_q48: &mut [u64]) -> Result<(), BackendError> {
        check_batch(&self.request(), batch, parts_q48)?;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.refuse_after_failure(&state)?;
        self.counts.add(batch.mode, batch.group)?;
        if self.plan.columns() == 0 || self.plan.paths == 0 {
            parts_q48.fill(0);
            return Ok(());
        }
        state.failed = Some(self.unfinished());
        let taken = self.take(&mut state, batch, parts_q48);
        state.failed = taken.as_ref().err().cloned();
        taken
    }

    fn finish(self: Box<Self>) -> Result<SurvivalSums, BackendError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.refuse_after_failure(&state)?;
        Ok(std::mem::take(&mut state.sums))
    }

    fn watch(&mut self, stop: &Stop) {
        self.gpu.watch(stop);
    }

    fn description(&self) -> String {
        let info = self.gpu.device.adapter_info();
        format!("{} ({}, {} {})", info.name, info.backend, info.driver, info.driver_info)
    }
}
