//! The way to the device alone, for `bench`: as many bytes as a run uploads, in pieces of a staging buffer, and no
//! kernel at the end of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::device::{Gpu, pick};
use super::limits::GpuLimits;
use crate::backend::BackendError;

/// Seconds for `bytes` bytes to the adapter that `wanted` names. The device is opened before the clock starts.
pub fn seconds(wanted: Option<&str>, bytes: u64) -> Result<f64, BackendError> {
    let limits = GpuLimits::default();
    let gpu = Gpu::open(pick(wanted)?, limits)?;
    let columns = gpu.buffer("columns", limits.stage_bytes, wgpu::BufferUsages::STORAGE)?;
    let piece = vec![1; limits.stage_bytes as usize];
    let send = |bytes: u64| -> Result<(), BackendError> {
        gpu.queue.write_buffer(&columns, 0, &piece[..bytes as usize]);
        gpu.queue.submit([]);
        let arrived = Arc::new(AtomicBool::new(false));
        let done = Arc::clone(&arrived);
        gpu.queue.on_submitted_work_done(move || done.store(true, Ordering::Release));
        gpu.wait_until(|| arrived.load(Ordering::Acquire))
    };
    // The first transfer pays for what later ones reuse.
    send(limits.stage_bytes)?;
    let began = Instant::now();
    let mut left = bytes / wgpu::COPY_BUFFER_ALIGNMENT * wgpu::COPY_BUFFER_ALIGNMENT;
    while left > 0 {
        let now = left.min(limits.stage_bytes);
        send(now)?;
        left -= now;
    }
    Ok(began.elapsed().as_secs_f64())
}
