//! A stage: a mapped buffer that fills with records, its twin on the device, and the way between them.
//!
//! A stage is free (mapped and empty), filling, or under way; it is free again when the device has copied it, which
//! the map callback says.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::batch::ColumnLayout;
use super::device::Gpu;
use crate::backend::BackendError;
use crate::backend::gate::Batch;

/// Where the rows of each range lie in the stage: spans that rise and do not meet. A span may hold rows of other
/// ranges, which its dispatch passes over.
pub type Spans = BTreeMap<u32, Vec<Range<u32>>>;

/// Rows of other ranges that cost less to pass over than another dispatch.
const GAP_ROWS: u32 = 1 << 10;

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
        let vehicles = vehicle_bits.map(|bits| (&batch.vehicle()[from.clone()], bits));
        let order = order_of((&batch.slot()[from.clone()], slot_bits), vehicles);
        let order = order.as_deref();
        let slots = in_order(&batch.slot()[from.clone()], order);
        write(0, first * 4, bytemuck::cast_slice(&slots));
        note_spans(&mut self.slot_spans, &slots, self.rows, slot_bits);
        if let Some(bits) = vehicle_bits {
            let vehicles = in_order(&batch.vehicle()[from.clone()], order);
            write(self.layout.vehicle_words(), first * 4, bytemuck::cast_slice(&vehicles));
            note_spans(&mut self.vehicle_spans, &vehicles, self.rows, bits);
        }
        for (input, codes) in batch.codes().iter().enumerate() {
            let word = self.layout.code_words() + input as u32 * self.layout.code_stride_words();
            write(word, first * 2, bytemuck::cast_slice(&in_order(&codes[from.clone()], order)));
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

/// The order that serves the sums of slots and, if there are any, those of vehicles; keys come with the bits of their
/// ranges. A vehicle's slots stand together, and so do the slots of neighbours: the order of vehicles serves both,
/// and where all vehicles are of one range and their slots are not, so does that of slots.
fn order_of(slots: (&[u32], u32), vehicles: Option<(&[u32], u32)>) -> Option<Vec<u32>> {
    vehicles.and_then(|(keys, bits)| grouped(keys, bits)).or_else(|| grouped(slots.0, slots.1))
}

/// The rows of these keys range by range, where as they stand the dispatches would touch over twice as many rows as
/// there are: a batch that mixes many ranges would cost as many times its rows.
fn grouped(keys: &[u32], bits: u32) -> Option<Vec<u32>> {
    let (low, high) = keys.iter().fold((u32::MAX, 0), |(low, high), &key| (low.min(key), high.max(key)));
    if low >> bits >= high >> bits {
        return None;
    }
    let mut spans = Spans::new();
    note_spans(&mut spans, keys, 0, bits);
    let touched: usize = spans.values().flatten().map(Range::len).sum();
    (touched > 2 * keys.len()).then(|| {
        let mut order: Vec<u32> = (0..keys.len() as u32).collect();
        order.sort_by_key(|&row| keys[row as usize] >> bits);
        order
    })
}

/// A column in that order.
fn in_order<'a, T: Copy>(column: &'a [T], order: Option<&[u32]>) -> Cow<'a, [T]> {
    match order {
        None => Cow::Borrowed(column),
        Some(order) => Cow::Owned(order.iter().map(|&row| column[row as usize]).collect()),
    }
}

/// Widens the spans by rows `first..` whose keys are given.
fn note_spans(spans: &mut Spans, keys: &[u32], first: u32, bits: u32) {
    let mut start = 0;
    while start < keys.len() {
        let range = keys[start] >> bits;
        let run = keys[start..].iter().position(|key| key >> bits != range).unwrap_or(keys.len() - start);
        let (from, to) = (first + start as u32, first + (start + run) as u32);
        let of_range = spans.entry(range).or_default();
        match of_range.last_mut() {
            Some(last) if from - last.end <= GAP_ROWS => last.end = to,
            _ => of_range.push(from..to),
        }
        start += run;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BITS: u32 = 20;

    /// Rows that the dispatches of a batch touch, and how many dispatches there are.
    fn touched(keys: &[u32]) -> (usize, usize) {
        let order = grouped(keys, BITS);
        let keys = in_order(keys, order.as_deref());
        let mut spans = Spans::new();
        note_spans(&mut spans, &keys, 0, BITS);
        for (row, key) in (0..).zip(keys.iter()) {
            let of_range = &spans[&(key >> BITS)];
            assert_eq!(of_range.iter().filter(|span| span.contains(&row)).count(), 1, "row {row} is summed once");
        }
        (spans.values().flatten().map(Range::len).sum(), spans.values().map(Vec::len).sum())
    }

    #[test]
    fn a_batch_that_mixes_many_ranges_touches_its_rows_once() {
        let rows = 1 << 16;
        let shuffled: Vec<u32> = (0..rows).map(|row: u32| row.wrapping_mul(0x9e37_79b1) % (96 << BITS)).collect();
        assert_eq!(touched(&shuffled), (rows as usize, 96));
        let mut sorted = shuffled.clone();
        sorted.sort_unstable();
        assert!(grouped(&sorted, BITS).is_none(), "nothing to be gained");
        assert_eq!(touched(&sorted), (rows as usize, 96));
        // Two threads' batches of one range each, in turn.
        let taking_turns: Vec<u32> = (0..rows).map(|row| (row / 4096 % 2) << BITS).collect();
        assert_eq!(touched(&taking_turns), (rows as usize, 16));
        assert_eq!(touched(&[5; 300]), (300, 1));
        assert_eq!(touched(&[]), (0, 0));
    }

    #[test]
    fn slots_are_grouped_where_vehicles_need_not_be() {
        let vehicles: Vec<u32> = (0..1 << 16).map(|row: u32| row.wrapping_mul(0x9e37_79b1) % (1 << BITS)).collect();
        let slots: Vec<u32> = vehicles.iter().map(|vehicle| vehicle * 16 + vehicle % 3).collect();
        let order = order_of((&slots, BITS), Some((&vehicles, BITS))).unwrap();
        let mut spans = Spans::new();
        note_spans(&mut spans, &in_order(&slots, Some(&order)), 0, BITS);
        let touched: usize = spans.values().flatten().map(Range::len).sum();
        assert_eq!((touched, spans.len()), (slots.len(), 16));
        assert_eq!(order_of((&[1, 2], BITS), Some((&[1, 2], BITS))), None);
    }
}
