//! The damage backend of a GPU: records gather in stages, a full stage is submitted, sums stay on the device until
//! they are read back once.
//!
//! Threads share one filling stage under a lock: they copy, the device computes. Twin: `shaders/damage.wgsl`,
//! `shaders/drivers.wgsl`; results equal [`crate::backend::cpu`]'s bit for bit.

use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroU64;
use std::sync::{Mutex, PoisonError};

use super::batch::{ColumnLayout, DAMAGE_SUMS, DRIVER_SUMS, Dispatch, TILE_ROWS, TableLayout};
use super::device::{Gpu, pick};
use super::limits::GpuLimits;
use super::shaders;
use super::stage::{Spans, Stage};
use super::sums::{SlotRange, VehicleRange, read_back};
use crate::backend::gate::{Batch, Seen, check_request};
use crate::backend::{BackendError, DamageBackend, DamageBatch, DamageRequest, DamageSums, SlotMasks};
use crate::model::tables::{DamageTables, GROUP_LANES};
use crate::run::Stop;

/// Bytes between two dispatches' uniforms: what every adapter aligns to.
const UNIFORM_STRIDE: u64 = 256;

/// The kernel on a GPU.
pub struct GpuDamage {
    gpu: Gpu,
    tables: DamageTables,
    masks: SlotMasks,
    drivers: bool,
    layout: TableLayout,
    columns: ColumnLayout,
    vehicle_bits: u32,
    damage: Kernel,
    driver_sums: Kernel,
    seen: Seen,
    state: Mutex<State>,
}

/// A pipeline and the layout of the sums it adds to.
struct Kernel {
    pipeline: wgpu::ComputePipeline,
    sums_layout: wgpu::BindGroupLayout,
}

struct State {
    filling: Bound,
    /// Longest under way first.
    waiting: VecDeque<Bound>,
    slots: BTreeMap<u32, SlotRange>,
    vehicles: BTreeMap<u32, VehicleRange>,
    /// Why an earlier call failed: part of a batch may be missing, and nothing more is taken.
    failed: Option<BackendError>,
}

/// A stage with the uniforms of its dispatches and what binds both to the kernels.
struct Bound {
    stage: Stage,
    dispatches: wgpu::Buffer,
    binding: wgpu::BindGroup,
}

impl GpuDamage {
    /// Opens the adapter that `device` names, or the first hardware one.
    pub fn open(request: &DamageRequest, device: Option<&str>, limits: GpuLimits) -> Result<Self, BackendError> {
        Self::open_on(request, pick(device)?, limits)
    }

    /// Opens an adapter.
    pub fn open_on(request: &DamageRequest, adapter: &wgpu::Adapter, limits: GpuLimits) -> Result<Self, BackendError> {
        check_request(request)?;
        let gpu = Gpu::open(adapter, limits)?;
        let layout = TableLayout::new(request.tables, request.drivers);
        let columns = ColumnLayout::within(limits.stage_bytes, request.drivers, request.tables.input_rows.len());
        let vehicle_bytes = 8 * u64::from(layout.driver_width.max(1));
        let vehicle_bits = (0..=20).rev().find(|bits| vehicle_bytes << bits <= limits.driver_range_bytes).unwrap_or(0);

        let shared_layout = shared_layout(&gpu);
        let damage = kernel(&gpu, shaders::DAMAGE, shaders::DAMAGE_ENTRY, &shared_layout, &DAMAGE_SUMS)?;
        let driver_sums = kernel(&gpu, shaders::DRIVERS, shaders::DRIVERS_ENTRY, &shared_layout, &DRIVER_SUMS)?;
        let rows = constant(&gpu, "tables", bytemuck::cast_slice(&layout.rows))?;
        let words = constant(&gpu, "inputs and masks", bytemuck::cast_slice(&layout.words))?;
        let mut stages = (0..limits.stages.max(2))
            .map(|_| Bound::new(&gpu, columns, &shared_layout, &rows, &words))
            .collect::<Result<VecDeque<_>, _>>()?;
        let Some(mut filling) = stages.pop_front() else {
            return Err(BackendError::Refused {
                device: gpu.name().to_owned(),
                what: "to open",
                reason: String::new(),
            });
        };
        filling.stage.wait_free(&gpu)?;
        Ok(Self {
            tables: request.tables.clone(),
            masks: request.masks.clone(),
            drivers: request.drivers,
            layout,
            columns,
            vehicle_bits,
            damage,
            driver_sums,
            seen: Seen::default(),
            state: Mutex::new(State {
                filling,
                waiting: stages,
                slots: BTreeMap::new(),
                vehicles: BTreeMap::new(),
                failed: None,
            }),
            gpu,
        })
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

    /// A step that leaves nothing half done: after one that failed, no other is begun.
    fn attempt(&self, step: impl FnOnce(&mut State) -> Result<(), BackendError>) -> Result<(), BackendError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.refuse_after_failure(&state)?;
        state.failed = Some(self.unfinished());
        let done = step(&mut state);
        state.failed = done.as_ref().err().cloned();
        done
    }

    /// Copies a batch into stages, and sends the full ones.
    fn take(&self, state: &mut State, batch: &Batch) -> Result<(), BackendError> {
        let slot_bits = self.gpu.limits().range_slots_bits;
        let vehicle_bits = self.drivers.then_some(self.vehicle_bits);
        let rows = batch.slot().len();
        let mut start = 0;
        while start < rows {
            if state.filling.stage.room() == 0 {
                self.submit(state)?;
                if let Some(mut next) = state.waiting.pop_front() {
                    next.stage.wait_free(&self.gpu)?;
                    let sent = std::mem::replace(&mut state.filling, next);
                    state.waiting.push_back(sent);
                }
            }
            let end = rows.min(start + state.filling.stage.room() as usize);
            state.filling.stage.append(batch, start..end, slot_bits, vehicle_bits);
            start = end;
        }
        Ok(())
    }

    /// Sends what the filling stage holds, waits until all is done, and empties it: it must not be sent again.
    fn send_and_wait(&self, state: &mut State) -> Result<(), BackendError> {
        let holds_rows = state.filling.stage.rows > 0;
        self.submit(state)?;
        self.gpu.wait_for_work()?;
        if holds_rows { state.filling.stage.wait_free(&self.gpu) } else { Ok(()) }
    }

    /// Sends the filling stage on its way.
    fn submit(&self, state: &mut State) -> Result<(), BackendError> {
        if state.filling.stage.rows == 0 {
            return Ok(());
        }
        let bits = self.gpu.limits().range_slots_bits;
        for range in state.filling.stage.slot_spans.keys() {
            if !state.slots.contains_key(range) {
                let sums = &self.damage.sums_layout;
                let made = SlotRange::new(&self.gpu, sums, &self.layout, &self.masks, *range, bits)?;
                state.slots.insert(*range, made);
            }
        }
        let mut work = Vec::new();
        for group in &self.layout.groups {
            self.plan(&mut work, &state.filling.stage.slot_spans, group, bits, Sums::Clocks);
            if self.drivers && group.inputs > 0 {
                self.plan(&mut work, &state.filling.stage.vehicle_spans, group, self.vehicle_bits, Sums::Drivers);
            }
        }
        if self.drivers && self.layout.driver_width > 0 {
            for range in state.filling.stage.vehicle_spans.keys() {
                if !state.vehicles.contains_key(range) {
                    let sums = &self.driver_sums.sums_layout;
                    let made = VehicleRange::new(&self.gpu, sums, &self.layout, self.vehicle_bits)?;
                    state.vehicles.insert(*range, made);
                }
            }
        }
        self.run(state, &work)?;
        state.filling.stage.sent();
        self.gpu.poll(wgpu::PollType::Poll)?;
        self.gpu.check("a submission", self.columns.bytes())
    }

    /// Cuts the spans into dispatches. A row whose range has a span of its own is touched once a group; see [`Spans`].
    fn plan(&self, work: &mut Vec<(Dispatch, Sums)>, spans: &Spans, group: &Dispatch, range_bits: u32, sums: Sums) {
        let step = step_rows(self.gpu.limits(), sums.lanes_a_row(group));
        for (range, span) in spans.iter().flat_map(|(range, spans)| spans.iter().map(move |span| (range, span))) {
            for first_row in span.clone().step_by(step as usize) {
                let dispatch = Dispatch {
                    first_row,
                    end_row: span.end.min(first_row + step),
                    range: *range,
                    range_bits,
                    vehicle_words: self.columns.vehicle_words(),
                    code_words: self.columns.code_words(),
                    code_stride_words: self.columns.code_stride_words(),
                    ..*group
                };
                work.push((dispatch, sums));
            }
        }
    }

    /// Records and submits copies and dispatches, as many submissions as keep a watchdog quiet.
    fn run(&self, state: &mut State, work: &[(Dispatch, Sums)]) -> Result<(), BackendError> {
        let State { filling, slots, vehicles, .. } = state;
        let mut encoder = self.gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        filling.stage.copy_over(&mut encoder);
        let mut rest = work;
        loop {
            let (now, later) = rest.split_at(submission_length(rest, self.gpu.limits().submission_rows));
            let mut uniforms = vec![0; now.len() * UNIFORM_STRIDE as usize];
            for ((dispatch, _), place) in now.iter().zip(uniforms.chunks_exact_mut(UNIFORM_STRIDE as usize)) {
                place[..size_of::<Dispatch>()].copy_from_slice(bytemuck::bytes_of(dispatch));
            }
            self.gpu.queue.write_buffer(&filling.dispatches, 0, &uniforms);
            {
                let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
                for ((dispatch, sums), at) in now.iter().zip(0..) {
                    let (kernel, binding) = match sums {
                        Sums::Clocks => (
                            &self.damage,
                            slots.get(&dispatch.range).map(|range| &range.bindings[dispatch.group as usize]),
                        ),
                        Sums::Drivers => (&self.driver_sums, vehicles.get(&dispatch.range).map(|range| &range.binding)),
                    };
                    let tiles = (dispatch.end_row - dispatch.first_row).div_ceil(TILE_ROWS);
                    pass.set_pipeline(&kernel.pipeline);
                    pass.set_bind_group(0, &filling.binding, &[at * UNIFORM_STRIDE as u32]);
                    pass.set_bind_group(1, binding, &[]);
                    pass.dispatch_workgroups(tiles, sums.lanes_a_row(dispatch), 1);
                }
            }
            self.gpu.queue.submit([encoder.finish()]);
            self.gpu.check("a submission", self.columns.bytes())?;
            if later.is_empty() {
                return Ok(());
            }
            rest = later;
            encoder = self.gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        }
    }
}

/// Rows of one dispatch: no more than a submission takes of as many lanes a row.
fn step_rows(limits: &GpuLimits, lanes_a_row: u32) -> u32 {
    let of_a_submission = limits.submission_rows / u64::from(lanes_a_row.max(1));
    let rows = u32::try_from(of_a_submission).unwrap_or(u32::MAX).min(limits.dispatch_rows);
    rows.clamp(TILE_ROWS, 1 << 23)
}

/// How many of these dispatches one submission takes, of as many lanes as `limit` says.
fn submission_length(work: &[(Dispatch, Sums)], limit: u64) -> usize {
    let mut lanes = 0;
    let within = work.iter().take(Bound::DISPATCHES as usize).take_while(|(dispatch, sums)| {
        lanes += u64::from(dispatch.end_row - dispatch.first_row) * u64::from(sums.lanes_a_row(dispatch));
        lanes <= limit
    });
    within.count().max(1).min(work.len())
}

/// What a dispatch adds to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sums {
    Clocks,
    Drivers,
}

impl Sums {
    /// Lanes that a dispatch sets to work on each of its rows.
    fn lanes_a_row(self, dispatch: &Dispatch) -> u32 {
        match self {
            Sums::Clocks => 1,
            Sums::Drivers => dispatch.inputs,
        }
    }
}

impl Bound {
    /// Dispatches of one submission.
    const DISPATCHES: u64 = 1024;

    fn new(
        gpu: &Gpu,
        columns: ColumnLayout,
        shared_layout: &wgpu::BindGroupLayout,
        rows: &wgpu::Buffer,
        words: &wgpu::Buffer,
    ) -> Result<Self, BackendError> {
        let stage = Stage::new(gpu, columns)?;
        let dispatches = gpu.buffer("dispatches", Self::DISPATCHES * UNIFORM_STRIDE, wgpu::BufferUsages::UNIFORM)?;
        let uniform =
            wgpu::BufferBinding { buffer: &dispatches, offset: 0, size: NonZeroU64::new(size_of::<Dispatch>() as u64) };
        let resources = [
            wgpu::BindingResource::Buffer(uniform),
            stage.columns.as_entire_binding(),
            rows.as_entire_binding(),
            words.as_entire_binding(),
        ];
        let entries: Vec<wgpu::BindGroupEntry> = (resources.into_iter().zip(0..))
            .map(|(resource, binding)| wgpu::BindGroupEntry { binding, resource })
            .collect();
        let binding = gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: shared_layout,
            entries: &entries,
        });
        gpu.check("bindings", 0)?;
        Ok(Self { stage, dispatches, binding })
    }
}

fn buffer_entry(binding: u32, ty: wgpu::BufferBindingType, has_dynamic_offset: bool) -> wgpu::BindGroupLayoutEntry {
    wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset, min_binding_size: None },
        count: None,
    }
}

/// Group 0 of both kernels: `shaders/batch.wgsl`.
fn shared_layout(gpu: &Gpu) -> wgpu::BindGroupLayout {
    let read_only = wgpu::BufferBindingType::Storage { read_only: true };
    gpu.device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
        label: Some("batch"),
        entries: &[
            buffer_entry(0, wgpu::BufferBindingType::Uniform, true),
            buffer_entry(1, read_only, false),
            buffer_entry(2, read_only, false),
            buffer_entry(3, read_only, false),
        ],
    })
}

/// Compiles a kernel whose group 1 holds these sums.
fn kernel(
    gpu: &Gpu,
    source: &str,
    entry: &'static str,
    shared_layout: &wgpu::BindGroupLayout,
    sums: &[(&str, bool)],
) -> Result<Kernel, BackendError> {
    let entries: Vec<_> = (sums.iter().zip(0..))
        .map(|((_, read_only), binding)| {
            buffer_entry(binding, wgpu::BufferBindingType::Storage { read_only: *read_only }, false)
        })
        .collect();
    let sums_layout =
        gpu.device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: Some(entry), entries: &entries });
    let layout = gpu.device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label: Some(entry),
        bind_group_layouts: &[Some(shared_layout), Some(&sums_layout)],
        immediate_size: 0,
    });
    let module = gpu.device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: Some(entry),
        source: wgpu::ShaderSource::Wgsl(source.into()),
    });
    let pipeline = gpu.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: Some(entry),
        layout: Some(&layout),
        module: &module,
        entry_point: Some(entry),
        compilation_options: wgpu::PipelineCompilationOptions::default(),
        cache: None,
    });
    gpu.check(entry, 0)?;
    Ok(Kernel { pipeline, sums_layout })
}

/// A buffer that never changes. An empty one keeps a few bytes, since a binding must have some.
fn constant(gpu: &Gpu, what: &'static str, bytes: &[u8]) -> Result<wgpu::Buffer, BackendError> {
    let buffer = gpu.buffer(what, bytes.len().max(16) as u64, wgpu::BufferUsages::STORAGE)?;
    gpu.queue.write_buffer(&buffer, 0, bytes);
    gpu.check(what, bytes.len() as u64)?;
    Ok(buffer)
}

impl DamageBackend for GpuDamage {
    fn push(&self, batch: &DamageBatch) -> Result<(), BackendError> {
        let batch = Batch::check(&self.tables, batch)?;
        self.seen.note(&batch, self.drivers);
        self.attempt(|state| self.take(state, &batch))
    }

    fn settle(&self) -> Result<(), BackendError> {
        self.attempt(|state| self.send_and_wait(state))
    }

    fn finish(self: Box<Self>, slots: usize, vehicles: usize) -> Result<DamageSums, BackendError> {
        self.seen.within(slots, vehicles)?;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.refuse_after_failure(&state)?;
        self.submit(&mut state)?;
        let (mechanisms, words) = (self.tables.mechanisms, self.layout.capped_words as usize);
        let width = if self.drivers { self.layout.driver_width as usize } else { 0 };
        let mut sums = DamageSums {
            clocks_q48: vec![0; slots * mechanisms],
            capped: vec![0; slots * words],
            drivers: vec![0; vehicles * width],
        };
        let slot_bits = self.gpu.limits().range_slots_bits;
        while let Some((range, buffers)) = state.slots.pop_first() {
            let first = (range as usize) << slot_bits;
            let here = (slots - first.min(slots)).min(1 << slot_bits);
            for (group, clocks) in buffers.clocks.iter().enumerate() {
                let lanes = (mechanisms - group * GROUP_LANES).min(GROUP_LANES);
                read_back(&self.gpu, clocks, (here * GROUP_LANES * 2) as u64, |word, read| {
                    for (row, clocks) in read.chunks_exact(GROUP_LANES * 2).enumerate() {
                        let slot = first + word / (GROUP_LANES * 2) + row;
                        let place = slot * mechanisms + group * GROUP_LANES;
                        for (clock, words) in
                            sums.clocks_q48[place..place + lanes].iter_mut().zip(clocks.chunks_exact(2))
                        {
                            *clock = u64::from(words[0]) | u64::from(words[1]) << 32;
                        }
                    }
                })?;
            }
            read_back(&self.gpu, &buffers.capped, (here * words) as u64, |word, read| {
                sums.capped[first * words + word..][..read.len()].copy_from_slice(read);
            })?;
        }
        while let Some((range, buffers)) = state.vehicles.pop_first() {
            let first = (range as usize) << self.vehicle_bits;
            let here = (vehicles - first.min(vehicles)).min(1 << self.vehicle_bits);
            read_back(&self.gpu, &buffers.sums, (here * width * 2) as u64, |word, read| {
                let place = first * width + word / 2;
                for (sum, words) in sums.drivers[place..].iter_mut().zip(read.chunks_exact(2)) {
                    *sum = (u64::from(words[0]) | u64::from(words[1]) << 32) as i64;
                }
            })?;
        }
        Ok(sums)
    }

    fn watch(&mut self, stop: &Stop) {
        self.gpu.watch(stop);
    }

    fn description(&self) -> String {
        let info = self.gpu.device.adapter_info();
        format!("{} ({}, {} {})", info.name, info.backend, info.driver, info.driver_info)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dispatch_is_no_larger_than_a_submission() {
        let limits = GpuLimits { dispatch_rows: 1 << 18, submission_rows: 1 << 20, ..GpuLimits::default() };
        assert_eq!([1, 4, 5, 1024].map(|lanes| step_rows(&limits, lanes)), [1 << 18, 1 << 18, (1 << 20) / 5, 1024]);
        assert_eq!(step_rows(&limits, 1 << 20), TILE_ROWS);
        for limits in [GpuLimits::default(), GpuLimits::default().smaller(), GpuLimits::default().smaller().smaller()] {
            for lanes in [1, 40, 200] {
                let lanes_at_once = u64::from(step_rows(&limits, lanes)) * u64::from(lanes);
                assert!(lanes_at_once <= limits.submission_rows, "{lanes} lanes a row: {lanes_at_once}");
            }
        }
    }

    #[test]
    fn a_submission_counts_every_lane() {
        let dispatch = |inputs| Dispatch { first_row: 1000, end_row: 1100, inputs, ..Dispatch::default() };
        let clocks = [(dispatch(7), Sums::Clocks); 5];
        assert_eq!([99, 100, 499, 500].map(|limit| submission_length(&clocks, limit)), [1, 1, 4, 5]);
        // A dispatch of driver sums has a lane for every row and input.
        let drivers = [(dispatch(7), Sums::Drivers); 5];
        assert_eq!([699, 1399, 1400, 3500].map(|limit| submission_length(&drivers, limit)), [1, 1, 2, 5]);
        let many = vec![(dispatch(1), Sums::Clocks); Bound::DISPATCHES as usize + 1];
        assert_eq!(submission_length(&many, u64::MAX), Bound::DISPATCHES as usize);
        assert_eq!(submission_length(&[], 1), 0);
    }
}
