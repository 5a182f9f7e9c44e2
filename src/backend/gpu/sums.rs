//! What the kernels add to: ranges of clocks, capped flags and driver sums on the device, made when first touched
//! and read back once.

use super::batch::TableLayout;
use super::device::Gpu;
use crate::backend::{BackendError, SlotMasks};

/// Bytes of a readback at a time.
const READBACK_BYTES: u64 = 16 << 20;

/// The sums of one range of slots.
pub struct SlotRange {
    /// One a group: eight clocks a slot.
    pub clocks: Vec<wgpu::Buffer>,
    pub capped: wgpu::Buffer,
    /// One a group, for the damage kernel.
    pub bindings: Vec<wgpu::BindGroup>,
}

/// The driver sums of one range of vehicles.
pub struct VehicleRange {
    pub sums: wgpu::Buffer,
    pub binding: wgpu::BindGroup,
}

/// A buffer of zeros that kernels add to.
pub fn zeros(gpu: &Gpu, what: &'static str, bytes: u64) -> Result<wgpu::Buffer, BackendError> {
    let buffer = gpu.buffer(what, bytes.max(4), wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC)?;
    let mut encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    encoder.clear_buffer(&buffer, 0, None);
    gpu.queue.submit([encoder.finish()]);
    Ok(buffer)
}

impl SlotRange {
    /// Range number `range` of slots, of two to the power of `bits`, with the masks that its slots have.
    pub fn new(
        gpu: &Gpu,
        layout: &wgpu::BindGroupLayout,
        tables: &TableLayout,
        masks: &SlotMasks,
        range: u32,
        bits: u32,
    ) -> Result<Self, BackendError> {
        let slots = 1u64 << bits;
        let groups = tables.groups.len();
        let with_interactions = tables.groups.iter().any(|group| group.interactions > 0);
        let slot_masks = if with_interactions {
            let first = (u64::from(range) << bits) as usize * groups;
            let own = masks.masks.get(first..).unwrap_or_default().iter();
            let all: Vec<u32> =
                own.chain(masks.default.iter().cycle()).copied().take(slots as usize * groups).collect();
            let buffer = gpu.buffer("slot masks", 4 * all.len() as u64, wgpu::BufferUsages::STORAGE)?;
            gpu.queue.write_buffer(&buffer, 0, bytemuck::cast_slice(&all));
            buffer
        } else {
            gpu.buffer("slot masks", 4, wgpu::BufferUsages::STORAGE)?
        };
        let capped = zeros(gpu, "capped flags", 4 * slots * u64::from(tables.capped_words))?;
        let clocks = (0..groups).map(|_| zeros(gpu, "clocks", 64 * slots)).collect::<Result<Vec<_>, _>>()?;
        let bindings = clocks.iter().map(|clocks| bind(gpu, layout, &[&slot_masks, clocks, &capped])).collect();
        Ok(Self { clocks, capped, bindings })
    }
}

impl VehicleRange {
    pub fn new(
        gpu: &Gpu,
        layout: &wgpu::BindGroupLayout,
        tables: &TableLayout,
        bits: u32,
    ) -> Result<Self, BackendError> {
        let sums = zeros(gpu, "driver sums", (8 * u64::from(tables.driver_width)) << bits)?;
        Ok(Self { binding: bind(gpu, layout, &[&sums]), sums })
    }
}

/// Buffers in the order of their binding numbers.
pub fn bind(gpu: &Gpu, layout: &wgpu::BindGroupLayout, buffers: &[&wgpu::Buffer]) -> wgpu::BindGroup {
    let entries: Vec<wgpu::BindGroupEntry> = (buffers.iter().zip(0..))
        .map(|(buffer, binding)| wgpu::BindGroupEntry { binding, resource: buffer.as_entire_binding() })
        .collect();
    gpu.device.create_bind_group(&wgpu::BindGroupDescriptor { label: None, layout, entries: &entries })
}

/// Reads the first `words` words of a buffer, a piece at a time, and hands each to `take` with its first word.
pub fn read_back(
    gpu: &Gpu,
    buffer: &wgpu::Buffer,
    words: u64,
    mut take: impl FnMut(usize, &[u32]),
) -> Result<(), BackendError> {
    let bytes = 4 * words;
    if bytes == 0 {
        return Ok(());
    }
    let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
    let readback = gpu.buffer("a readback buffer", bytes.min(READBACK_BYTES), usage)?;
    let mut at = 0;
    while at < bytes {
        let piece = (bytes - at).min(READBACK_BYTES);
        let mut encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        encoder.copy_buffer_to_buffer(buffer, at, &readback, 0, piece);
        gpu.queue.submit([encoder.finish()]);
        let (sender, receiver) = std::sync::mpsc::channel();
        readback.map_async(wgpu::MapMode::Read, ..piece, move |result| {
            // Nobody listens any more if the wait has failed.
            let _ = sender.send(result.is_ok());
        });
        let mut answer = None;
        gpu.wait_until(|| {
            answer = answer.or(receiver.try_recv().ok());
            answer.is_some()
        })?;
        gpu.check("a readback", piece)?;
        let view = readback.get_mapped_range(..piece).map_err(|error| BackendError::Refused {
            device: gpu.name().to_owned(),
            what: "a readback",
            reason: error.to_string(),
        })?;
        take((at / 4) as usize, bytemuck::cast_slice(&view));
        drop(view);
        readback.unmap();
        at += piece;
    }
    gpu.release(bytes.min(READBACK_BYTES));
    Ok(())
}
