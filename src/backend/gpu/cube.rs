//! The cube backend of a GPU: a batch is sorted by slab and cut into runs of one slab; a workgroup takes a run and a
//! window of one pair's cells, sums in workgroup memory and adds to the slab's cells on the device.
//!
//! The sums stay on the device, in ranges of slabs made when first touched, and are read back once. One batch at a
//! time is on its way. Results equal [`crate::backend::cpu::cube`]'s. Units: expected events in Q40. Twin:
//! `shaders/cube.wgsl`.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Mutex, PoisonError};

use bytemuck::{Pod, Zeroable};

use super::device::{Gpu, pick};
use super::limits::GpuLimits;
use super::shaders;
use super::sums::{bind, read_back, zeros};
use super::survival::filled;
use crate::backend::BackendError;
use crate::backend::cube::{CubeBackend, CubeBatch, CubePlan, CubeSums};
use crate::backend::cube_gate::{CubeGateError, Total, check_batch, check_plan};

/// Cells that a workgroup sums at a time.
pub const WINDOW_CELLS: usize = 1024;
pub const WORKGROUP_LANES: usize = 256;
/// Words of a task and of a run.
pub const TASK_WORDS: usize = 6;
pub const RUN_WORDS: usize = 3;
/// Rows of a run at most.
const RUN_ROWS: usize = 8192;
/// What a lane takes of a run and of a window.
pub const RUN_STEPS: usize = RUN_ROWS / WORKGROUP_LANES;
pub const WINDOW_STEPS: usize = WINDOW_CELLS / WORKGROUP_LANES;
/// Rows times tasks of a submission: a watchdog must not notice it.
const SUBMISSION_STEPS: usize = 1 << 28;
/// Bytes of a cell's sums.
const CELL_BYTES: usize = 16;

/// Names of the bindings in order, and whether the kernel only reads them.
pub const CUBE_BINDINGS: [(&str, bool); 6] =
    [("cube", true), ("tasks", true), ("runs", true), ("bins", true), ("expected_q40", true), ("sums", false)];

/// The uniform of a dispatch.
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
#[repr(C)]
pub struct Cube {
    pub cells: u32,
    pub column_words: u32,
}

/// The kernel on a GPU.
pub struct GpuCube {
    gpu: Gpu,
    plan: CubePlan,
    cells: usize,
    pipeline: wgpu::ComputePipeline,
    tasks: wgpu::Buffer,
    task_count: usize,
    total: Total,
    state: Mutex<State>,
}

struct State {
    /// By range of slabs.
    sums: BTreeMap<usize, wgpu::Buffer>,
    /// An earlier call failed: part of a batch may be missing, and nothing more is taken.
    failed: bool,
}

impl GpuCube {
    /// Opens the adapter that `device` names, or the first hardware one.
    pub fn open(plan: &CubePlan, device: Option<&str>, limits: GpuLimits) -> Result<Self, BackendError> {
        Self::open_on(plan, pick(device)?, limits)
    }

    /// Opens an adapter.
    pub fn open_on(plan: &CubePlan, adapter: &wgpu::Adapter, limits: GpuLimits) -> Result<Self, BackendError> {
        check_plan(plan)?;
        let gpu = Gpu::open(adapter, limits)?;
        let module = gpu.device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some(shaders::CUBE_ENTRY),
            source: wgpu::ShaderSource::Wgsl(shaders::CUBE.into()),
        });
        let pipeline = gpu.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(shaders::CUBE_ENTRY),
            layout: None,
            module: &module,
            entry_point: Some(shaders::CUBE_ENTRY),
            compilation_options: wgpu::PipelineCompilationOptions::default(),
            cache: None,
        });
        gpu.check(shaders::CUBE_ENTRY, 0)?;
        let words = task_words(plan);
        let backend = Self {
            cells: plan.cells(),
            tasks: filled(&gpu, "cube tasks", &words)?,
            task_count: words.len() / TASK_WORDS,
            total: Total::default(),
            state: Mutex::new(State { sums: BTreeMap::new(), failed: false }),
            plan: plan.clone(),
            pipeline,
            gpu,
        };
        let (got, limit) = ((backend.cells * CELL_BYTES) as u64, u64::from(u32::MAX) / 32);
        if got > limit {
            return Err(CubeGateError::Limit { what: "bytes of a slab", at: 0, got, limit }.into());
        }
        Ok(backend)
    }

    /// The device, for fault injection: `device.destroy()` loses it.
    pub fn device(&self) -> &wgpu::Device {
        &self.gpu.device
    }

    /// Slabs whose sums share a buffer.
    fn range_slabs(&self) -> usize {
        (self.gpu.limits().driver_range_bytes as usize / (self.cells * CELL_BYTES).max(1)).max(1)
    }

    fn refuse_after_failure(&self, state: &State) -> Result<(), BackendError> {
        if !state.failed {
            return Ok(());
        }
        self.gpu.check("a batch", 0)?;
        let device = self.gpu.name().to_owned();
        Err(BackendError::Refused { device, what: "a batch", reason: "an earlier one failed".to_owned() })
    }

    /// Adds rows of the batch, in this order, whose slabs are of one range.
    fn run(&self, batch: &CubeBatch, order: &[u32], range: usize, sums: &wgpu::Buffer) -> Result<(), BackendError> {
        let gpu = &self.gpu;
        let column_words = order.len().div_ceil(4);
        let mut bins = vec![0_u32; column_words * batch.bins.len()];
        for (column, words) in batch.bins.iter().zip(bins.chunks_mut(column_words.max(1))) {
            for (at, row) in order.iter().enumerate() {
                words[at / 4] |= u32::from(column[*row as usize]) << (at % 4 * 8);
            }
        }
        let wide = order.iter().map(|row| batch.expected_q40[*row as usize]);
        let expected: Vec<u32> = wide.flat_map(|one| [one as u32, (one >> 32) as u32]).collect();
        let first_slab = range * self.range_slabs();
        let mut runs: Vec<u32> = Vec::new();
        let mut start = 0;
        for own in order.chunk_by(|a, b| batch.slab[*a as usize] == batch.slab[*b as usize]) {
            for run in own.chunks(RUN_ROWS) {
                let slab = batch.slab[run[0] as usize] as usize - first_slab;
                runs.extend([slab as u32, start as u32, (start + run.len()) as u32]);
                start += run.len();
            }
        }
        let uniform = Cube { cells: self.cells as u32, column_words: column_words as u32 };
        let uniform_bytes = bytemuck::bytes_of(&uniform);
        let uniform = gpu.buffer("a dispatch", uniform_bytes.len() as u64, wgpu::BufferUsages::UNIFORM)?;
        gpu.queue.write_buffer(&uniform, 0, uniform_bytes);
        let run_buffer = filled(gpu, "runs", &runs)?;
        let bins = filled(gpu, "bins", &bins)?;
        let expected = filled(gpu, "expected events", &expected)?;
        let layout = self.pipeline.get_bind_group_layout(0);
        let binding = bind(gpu, &layout, &[&uniform, &self.tasks, &run_buffer, &bins, &expected, sums]);
        let mut encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            pass.set_pipeline(&self.pipeline);
            pass.set_bind_group(0, &binding, &[]);
            pass.dispatch_workgroups((runs.len() / RUN_WORDS) as u32, self.task_count as u32, 1);
        }
        gpu.queue.submit([encoder.finish()]);
        gpu.check("a submission", 0)?;
        let held = [&uniform, &run_buffer, &bins, &expected];
        gpu.release(held.iter().map(|buffer| buffer.size()).sum());
        Ok(())
    }

    /// Rows of a submission at most.
    fn submission_rows(&self) -> usize {
        let row_bytes = self.plan.bins.len() + 8;
        let by_bytes = self.gpu.limits().stage_bytes as usize / row_bytes;
        let by_steps = SUBMISSION_STEPS / self.task_count.max(1);
        // A run may hold one row only, and so many workgroups go into one dimension.
        by_bytes.min(by_steps).min(self.gpu.limits().dispatch_rows as usize).clamp(1, 65_535)
    }
}

/// Windows of all pairs.
fn task_words(plan: &CubePlan) -> Vec<u32> {
    let mut words = Vec::new();
    for (pair, (a, b)) in plan.pairs.iter().enumerate() {
        let cells = plan.pair_cells(pair);
        for window in (0..cells).step_by(WINDOW_CELLS) {
            let own = [*a, *b, plan.bins[*b], plan.first_cell(pair), window, (cells - window).min(WINDOW_CELLS)];
            words.extend(own.map(|word| word as u32));
        }
    }
    words
}

impl CubeBackend for GpuCube {
    fn push(&self, batch: &CubeBatch) -> Result<(), BackendError> {
        check_batch(&self.plan, batch)?;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.refuse_after_failure(&state)?;
        self.total.add(batch)?;
        if self.task_count == 0 {
            return Ok(());
        }
        state.failed = true;
        let mut order: Vec<u32> = (0..batch.slab.len() as u32).collect();
        order.sort_by_key(|row| batch.slab[*row as usize]);
        let range_slabs = self.range_slabs();
        let range_of = |row: &u32| batch.slab[*row as usize] as usize / range_slabs;
        for own in order.chunk_by(|a, b| range_of(a) == range_of(b)) {
            let range = range_of(&own[0]);
            let sums = match state.sums.entry(range) {
                Entry::Occupied(made) => made.into_mut(),
                Entry::Vacant(place) => {
                    let slabs = range_slabs.min(self.plan.slabs - range * range_slabs);
                    place.insert(zeros(&self.gpu, "cubes", (slabs * self.cells * CELL_BYTES) as u64)?)
                }
            };
            for rows in own.chunks(self.submission_rows()) {
                self.run(batch, rows, range, sums)?;
            }
        }
        state.failed = false;
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<CubeSums, BackendError> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.refuse_after_failure(&state)?;
        let places = self.plan.slabs * self.cells;
        let mut sums = CubeSums { expected_q40: vec![0; places], records: vec![0; places] };
        for (range, buffer) in &state.sums {
            let first = range * self.range_slabs() * self.cells;
            let cells = self.range_slabs().min(self.plan.slabs - range * self.range_slabs()) * self.cells;
            read_back(&self.gpu, buffer, 4 * cells as u64, |word, read| {
                for (at, words) in read.chunks_exact(4).enumerate() {
                    let wide = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
                    sums.expected_q40[first + word / 4 + at] = wide(words[0], words[1]);
                    sums.records[first + word / 4 + at] = wide(words[2], words[3]);
                }
            })?;
        }
        Ok(sums)
    }

    fn description(&self) -> String {
        let info = self.gpu.device.adapter_info();
        format!("{} ({}, {} {})", info.name, info.backend, info.driver, info.driver_info)
    }
}
