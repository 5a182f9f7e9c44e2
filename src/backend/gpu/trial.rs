//! The short trial behind `auto`: the same made-up records through the processor and through an adapter.
//!
//! The answer depends on the model's size and the machine alone and is kept for the life of the process. It decides
//! which device works, never what comes out.

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Instant;

use super::damage::GpuDamage;
use super::limits::GpuLimits;
use crate::backend::cpu::damage::CpuDamage;
use crate::backend::{BackendError, DamageBackend, DamageBatch, DamageRequest};

/// Records of a trial batch, and batches: about a stage of the device.
const BATCH_ROWS: usize = 1 << 16;
const BATCHES: usize = 8;
/// Records of one made-up slot.
const RUN_ROWS: usize = 512;
/// The device must win clearly: it takes the processor's time for packing, too.
const MARGIN: f64 = 1.5;

/// What both do in a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trial {
    pub cpu_per_s: f64,
    pub gpu_per_s: f64,
    /// What is counted.
    pub unit: &'static str,
}

impl Trial {
    /// What was measured before for the same question, or what `measure` finds now.
    pub(super) fn recalled(
        question: String,
        measure: impl FnOnce() -> Result<Self, BackendError>,
    ) -> Result<Self, BackendError> {
        static ANSWERS: OnceLock<Mutex<HashMap<String, Trial>>> = OnceLock::new();
        let answers = || ANSWERS.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
        let known = answers().get(&question).copied();
        if let Some(trial) = known {
            return Ok(trial);
        }
        let trial = measure()?;
        answers().insert(question, trial);
        Ok(trial)
    }

    /// Why the adapter is worth it, or why not.
    pub fn verdict(&self, name: &str) -> Result<String, String> {
        let Self { cpu_per_s, gpu_per_s, unit } = self;
        let figures = format!(
            "a trial gave {:.0} M {unit}/s on {name:?} and {:.0} M {unit}/s on the processor",
            gpu_per_s / 1e6,
            cpu_per_s / 1e6
        );
        if *gpu_per_s > MARGIN * cpu_per_s { Ok(figures) } else { Err(figures) }
    }
}

/// Measures both, or recalls what was measured for the same adapter and a model of the same size.
pub fn compare(
    adapter: &wgpu::Adapter,
    limits: GpuLimits,
    threads: usize,
    request: &DamageRequest,
) -> Result<Trial, BackendError> {
    let (groups, inputs) = (request.tables.groups.len(), request.tables.input_rows.len());
    let (info, drivers) = (adapter.get_info(), request.drivers);
    let question = format!(
        "damage on {} {}: {threads} threads, {groups} groups, {inputs} inputs, drivers {drivers}",
        info.name, info.device_pci_bus_id
    );
    Trial::recalled(question, || {
        let one_thread = records_per_s(request, || Ok(Box::new(CpuDamage::open(request)?)))?;
        Ok(Trial {
            cpu_per_s: one_thread * threads as f64,
            gpu_per_s: records_per_s(request, || Ok(Box::new(GpuDamage::open_on(request, adapter, limits)?)))?,
            unit: "records",
        })
    })
}

/// Pushes the trial's batches through a fresh backend, opening excluded, reading back included.
fn records_per_s(
    request: &DamageRequest,
    open: impl Fn() -> Result<Box<dyn DamageBackend>, BackendError>,
) -> Result<f64, BackendError> {
    let slot: Vec<u32> = (0..BATCH_ROWS).map(|row| (row / RUN_ROWS) as u32).collect();
    let columns: Vec<Vec<u16>> = (request.tables.input_rows.iter())
        .map(|table_rows| {
            // A stride that visits codes far apart, as a table's worst case would.
            (0..BATCH_ROWS as u64).map(|row| (row * 40_503 % u64::from((*table_rows).max(1))) as u16).collect()
        })
        .collect();
    let codes: Vec<&[u16]> = columns.iter().map(Vec::as_slice).collect();
    let batch = DamageBatch { slot: &slot, vehicle: &slot, codes: &codes };
    let slots = BATCH_ROWS / RUN_ROWS;
    let backend = open()?;
    let started = Instant::now();
    for _ in 0..BATCHES {
        backend.push(&batch)?;
    }
    backend.finish(slots, slots)?;
    Ok((BATCH_ROWS * BATCHES) as f64 / started.elapsed().as_secs_f64().max(1e-9))
}

#[cfg(test)]
mod tests {
    use super::Trial;

    #[test]
    fn verdict_takes_the_device_only_where_it_wins_clearly() {
        let trial = |gpu| Trial { cpu_per_s: 100e6, gpu_per_s: gpu, unit: "records" };
        assert!(trial(151e6).verdict("card").is_ok_and(|why| why.contains("151 M records/s on \"card\"")));
        assert!(trial(149e6).verdict("card").is_err());
        assert!(trial(f64::NAN).verdict("card").is_err());
    }
}
