//! A stage: a mapped buffer that fills with records, its twin on the device, and the way between them.
//!
//! A stage is free (mapped and empty), filling, or under way; it is free again when the device has copied it, which
//! the map callback says.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::batch::ColumnLayout;
use super::device::Gpu;
use crate::backend::BackendError;
use crate::backend::gate::Batch;

/// Rows that touch each range: the shortest span of the stage's rows that holds them all.
pub type Spans = BTreeMap<u32, Range<u32>>;

/// Records on their way to the device.
pub struct Stage {
    layout: ColumnLayout,
    staging: wgpu::Buffer,
    view: Option<wgpu::BufferViewMut>,
    mapped: Arc<AtomicBool>,
    /// The twin on the device.
    pub columns: wgpu::Buffer,
    pub rows: u32,
    pub slot_spans: Spans,
    pub vehicle_spans: Spans,
}

impl Stage {
    pub fn new(gpu: &Gpu, layout: ColumnLayout) -> Result<Self, BackendError> {
        let upload = wgpu::BufferUsages::MAP_WRITE | wgpu::BufferUsages::COPY_SRC;
        let stage = Self {
            layout,
            staging: gpu.buffer("a staging buffer", layout.bytes(), upload)?,
            view: None,
            mapped: Arc::new(AtomicBool::new(false)),
            columns: gpu.buffer("columns", layout.bytes(), wgpu::BufferUsages::STORAGE)?,
            rows: 0,
            slot_spans: Spans::new(),
            vehicle_spans: Spans::new(),
        };
        stage.ask_to_map();
        Ok(stage)
    }

    fn ask_to_map(&self) {
        self.mapped.store(false, Ordering::Relaxed);
        let mapped = Arc::clone(&self.mapped);
        // A failed mapping shows as a fault of the device, or as a stage that never comes free.
        self.staging.map_async(wgpu::MapMode::Write, .., move |result| mapped.store(result.is_ok(), Ordering::Release));
    }

    /// Waits until the stage may be filled again, and empties it.
    pub fn wait_free(&mut self, gpu: &Gpu) -> Result<(), BackendError> {
        gpu.wait_until(|| self.mapped.load(Ordering::Acquire))?;
        let view = self.staging.get_mapped_range_mut(..).map_err(|error| BackendError::Refused {
            device: gpu.name().to_owned(),
            what: "a staging buffer",
            reason: error.to_string(),
        })?;
        let view = self.view.insert(view);
        if gpu.limits().poison {
            view.slice(..).fill(0x5A);
        }
        self.rows = 0;
        self.slot_spans.clear();
        self.vehicle_spans.clear();
        Ok(())
    }

    pub fn room(&self) -> u32 {
        self.layout.rows - self.rows
    }

    /// Takes rows `from` of a batch, of which there is room for all; ranges are two to the given powers.
    pub fn append(&mut self, batch: &Batch, from: Range<usize>, slot_bits: u32, vehicle_bits: Option<u32>) {
        let first = self.rows as usize;
        let Some(view) = &mut self.view else { return };
        let mut write = |word: u32, byte: usize, bytes: &[u8]| {
            let at = word as usize * 4 + byte;
            view.slice(at..at + bytes.len()).copy_from_slice(bytes);
        };
        let slots = &batch.slot()[from.clone()];
        write(0, first * 4, bytemuck::cast_slice(slots));
        note_spans(&mut self.slot_spans, slots, self.rows, slot_bits);
        if let Some(bits) = vehicle_bits {
            let vehicles = &batch.vehicle()[from.clone()];
            write(self.layout.vehicle_words(), first * 4, bytemuck::cast_slice(vehicles));
            note_spans(&mut self.vehicle_spans, vehicles, self.rows, bits);
        }
        for (input, codes) in batch.codes().iter().enumerate() {
            let word = self.layout.code_words() + input as u32 * self.layout.code_stride_words();
            write(word, first * 2, bytemuck::cast_slice(&codes[from.clone()]));
        }
        self.rows += slots.len() as u32;
    }

    /// Hands the filled part of every column over to the device: records the copies.
    pub fn copy_over(&mut self, encoder: &mut wgpu::CommandEncoder) {
        self.view = None;
        self.staging.unmap();
        let mut copy = |word: u32, bytes: u32| {
            let at = u64::from(word) * 4;
            // Copies come in words; the last half may be old, and no row reads it.
            let bytes = u64::from(bytes.next_multiple_of(4));
            encoder.copy_buffer_to_buffer(&self.staging, at, &self.columns, at, bytes);
        };
        copy(0, self.rows * 4);
        if self.layout.with_vehicles {
            copy(self.layout.vehicle_words(), self.rows * 4);
        }
        for input in 0..self.layout.inputs {
            copy(self.layout.code_words() + input * self.layout.code_stride_words(), self.rows * 2);
        }
    }

    /// Called after the submission: asks for the staging buffer back.
    pub fn sent(&mut self) {
        self.ask_to_map();
    }
}

/// Widens the spans by rows `first..` whose keys are given.
fn note_spans(spans: &mut Spans, keys: &[u32], first: u32, bits: u32) {
    let mut start = 0;
    while start < keys.len() {
        let range = keys[start] >> bits;
        let run = keys[start..].iter().position(|key| key >> bits != range).unwrap_or(keys.len() - start);
        let (from, to) = (first + start as u32, first + (start + run) as u32);
        let span = spans.entry(range).or_insert(from..to);
        *span = span.start.min(from)..span.end.max(to);
        start += run;
    }
}
