//! Adapters and the device opened on one: every way in which a device fails becomes a typed error.
//!
//! wgpu reports most faults through callbacks, later than the call that caused them; [`Gpu::check`] turns what the
//! callbacks left behind into an error at the next step that asks.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::limits::GpuLimits;
use crate::backend::BackendError;
use crate::backend::devices::AdapterEntry;
use crate::run::Stop;

/// All adapters of this machine, software rasterisers included, in the loader's order: found once in the life of the
/// process, since drivers load slowly and some print when they do.
pub fn adapters() -> &'static [wgpu::Adapter] {
    static FOUND: OnceLock<Vec<wgpu::Adapter>> = OnceLock::new();
    FOUND.get_or_init(|| {
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
            backends: wgpu::Backends::VULKAN | wgpu::Backends::DX12 | wgpu::Backends::METAL,
            flags: wgpu::InstanceFlags::empty(),
            ..wgpu::InstanceDescriptor::new_without_display_handle()
        });
        pollster::block_on(instance.enumerate_adapters(wgpu::Backends::all()))
    })
}

/// Whether an adapter computes on the processor: taken only when its name is given.
pub fn is_software(info: &wgpu::AdapterInfo) -> bool {
    info.device_type == wgpu::DeviceType::Cpu
}

/// Whether `wanted` names this adapter: part of its name, its PCI bus id, or its PCI vendor and device as
/// `10de:2684`. Case does not matter.
pub fn matches(info: &wgpu::AdapterInfo, wanted: &str) -> bool {
    let wanted = wanted.trim().to_lowercase();
    let pci = format!("{:04x}:{:04x}", info.vendor, info.device);
    !wanted.is_empty()
        && (info.name.to_lowercase().contains(&wanted)
            || info.device_pci_bus_id.to_lowercase() == wanted
            || pci == wanted)
}

/// The adapter that `wanted` names, or without a name the first hardware one: discrete before integrated.
pub fn pick(wanted: Option<&str>) -> Result<&'static wgpu::Adapter, BackendError> {
    let found = adapters();
    let names = found.iter().map(|adapter| adapter.get_info().name).collect::<Vec<_>>().join(", ");
    let picked = match wanted {
        Some(wanted) => found.iter().find(|adapter| matches(&adapter.get_info(), wanted)),
        None => found.iter().filter(|adapter| !is_software(&adapter.get_info())).min_by_key(|adapter| {
            match adapter.get_info().device_type {
                wgpu::DeviceType::DiscreteGpu => 0,
                wgpu::DeviceType::IntegratedGpu => 1,
                _ => 2,
            }
        }),
    };
    picked.ok_or_else(|| BackendError::NoDevice {
        wanted: wanted.map(str::to_owned),
        why: match (names.is_empty(), wanted) {
            (true, _) => "no driver offers any".to_owned(),
            (false, Some(_)) => format!("there is {names}"),
            (false, None) => format!("a software rasteriser is taken only by name, and there is {names}"),
        },
    })
}

/// The adapter that `auto` may try out, or why there is none.
pub fn hardware(wanted: Option<&str>) -> Result<&'static wgpu::Adapter, String> {
    let adapter = pick(wanted).map_err(|error| error.to_string())?;
    let info = adapter.get_info();
    if is_software(&info) {
        return Err(format!("{:?} is a software rasteriser: --backend gpu takes it", info.name));
    }
    Ok(adapter)
}

/// The adapters as the `devices` command lists them.
pub fn entries() -> Vec<AdapterEntry> {
    let taken = pick(None).ok().map(|adapter| identity(&adapter.get_info()));
    adapters()
        .iter()
        .map(|adapter| {
            let (info, limits) = (adapter.get_info(), adapter.limits());
            let taken = taken.as_ref() == Some(&identity(&info));
            AdapterEntry {
                interface: info.backend.to_string(),
                kind: match info.device_type {
                    wgpu::DeviceType::DiscreteGpu => "discrete",
                    wgpu::DeviceType::IntegratedGpu => "integrated",
                    wgpu::DeviceType::VirtualGpu => "virtual",
                    wgpu::DeviceType::Cpu => "software",
                    wgpu::DeviceType::Other => "other",
                },
                driver: format!("{} {}", info.driver, info.driver_info).trim().to_owned(),
                pci_vendor: format!("{:04x}", info.vendor),
                pci_device: format!("{:04x}", info.device),
                max_buffer_bytes: limits.max_buffer_size,
                max_binding_bytes: limits.max_storage_buffer_binding_size,
                max_workgroup_invocations: limits.max_compute_invocations_per_workgroup,
                max_workgroup_memory_bytes: limits.max_compute_workgroup_storage_size,
                why: match (taken, is_software(&info)) {
                    (true, _) => "the first hardware adapter; `auto` takes it where a short trial says it pays",
                    (false, true) => "a software rasteriser: taken only when named with --device",
                    (false, false) => "another hardware adapter comes first: name this one with --device",
                }
                .to_owned(),
                taken,
                name: info.name,
                pci_bus: info.device_pci_bus_id,
            }
        })
        .collect()
}

/// What tells two adapters apart.
fn identity(info: &wgpu::AdapterInfo) -> (wgpu::Backend, String, String) {
    (info.backend, info.device_pci_bus_id.clone(), info.name.clone())
}

/// What the callbacks left behind.
#[derive(Default)]
struct Faults {
    lost: Option<String>,
    error: Option<wgpu::Error>,
}

/// An open device and its queue.
pub struct Gpu {
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
    name: String,
    faults: Arc<Mutex<Faults>>,
    held_bytes: AtomicU64,
    limits: GpuLimits,
    stop: Stop,
}

impl Gpu {
    /// Opens `adapter` with the limits that WebGPU guarantees, or the adapter's own where they are lower.
    pub fn open(adapter: &wgpu::Adapter, limits: GpuLimits) -> Result<Self, BackendError> {
        let name = adapter.get_info().name;
        let opened = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor {
            label: Some("fleetwear"),
            required_limits: wgpu::Limits::defaults().or_worse_values_from(&adapter.limits()),
            ..Default::default()
        }));
        let (device, queue) = opened.map_err(|error| BackendError::Refused {
            device: name.clone(),
            what: "to open",
            reason: error.to_string(),
        })?;
        let faults = Arc::new(Mutex::new(Faults::default()));
        let uncaptured = Arc::clone(&faults);
        device.on_uncaptured_error(Arc::new(move |error| {
            lock(&uncaptured).error.get_or_insert(error);
        }));
        let lost = Arc::clone(&faults);
        device.set_device_lost_callback(move |reason, message| {
            lock(&lost).lost.get_or_insert(format!("{reason:?}: {message}"));
        });
        Ok(Self { device, queue, name, faults, held_bytes: AtomicU64::new(0), limits, stop: Stop::default() })
    }

    /// Waits end where the run is asked to stop.
    pub fn watch(&mut self, stop: &Stop) {
        self.stop = stop.clone();
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn limits(&self) -> &GpuLimits {
        &self.limits
    }

    /// An error if the device is lost or refused something since the last check. `what` and `asked_bytes` say what
    /// was tried.
    pub fn check(&self, what: &'static str, asked_bytes: u64) -> Result<(), BackendError> {
        if lock(&self.faults).error.is_some() {
            // A lost device refuses everything: give its callback the chance to say so first.
            self.poll(wgpu::PollType::Poll)?;
        }
        let mut faults = lock(&self.faults);
        let device = self.name.clone();
        if let Some(reason) = faults.lost.clone() {
            return Err(BackendError::Lost { device, reason });
        }
        match faults.error.take() {
            None => Ok(()),
            Some(wgpu::Error::OutOfMemory { .. }) => Err(BackendError::OutOfMemory { device, what, asked_bytes }),
            Some(error) => Err(BackendError::Refused { device, what, reason: error.to_string() }),
        }
    }

    /// A buffer on the device, within the memory that this backend may hold.
    pub fn buffer(
        &self,
        what: &'static str,
        bytes: u64,
        usage: wgpu::BufferUsages,
    ) -> Result<wgpu::Buffer, BackendError> {
        let held_bytes = self.held_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if held_bytes > self.limits.memory_bytes {
            return Err(BackendError::OutOfMemory { device: self.name.clone(), what, asked_bytes: bytes });
        }
        let mappable = usage.intersects(wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::MAP_WRITE);
        let usage = if mappable { usage } else { usage | wgpu::BufferUsages::COPY_DST };
        let buffer = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(what),
            size: bytes,
            usage,
            mapped_at_creation: false,
        });
        self.check(what, bytes)?;
        if self.limits.poison && !mappable {
            self.queue.write_buffer(&buffer, 0, &vec![0xA5; bytes as usize]);
        }
        Ok(buffer)
    }

    /// Bytes that are held no longer.
    pub fn release(&self, bytes: u64) {
        self.held_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Lets the device make progress, and waits at most as long as asked for. wgpu panics where a driver answers with
    /// an error it does not expect: that is a lost device, too.
    pub fn poll(&self, poll: wgpu::PollType) -> Result<(), BackendError> {
        match catch_unwind(AssertUnwindSafe(|| self.device.poll(poll))) {
            Ok(Ok(_) | Err(wgpu::PollError::Timeout)) => Ok(()),
            Ok(Err(error)) => Err(BackendError::Lost { device: self.name.clone(), reason: error.to_string() }),
            Err(_) => {
                let reason = "the driver failed while waiting for it".to_owned();
                Err(BackendError::Lost { device: self.name.clone(), reason })
            }
        }
    }

    /// Waits until `done`, until the device stays silent for too long, or until the run is asked to stop.
    pub fn wait_until(&self, done: impl FnMut() -> bool) -> Result<(), BackendError> {
        let waited = self.wait(done);
        if let Err(BackendError::Timeout { .. } | BackendError::Interrupted(_)) = waited {
            // Dropping the last handle of a queue waits for all that it holds, without an end: keep one for good.
            std::mem::forget(self.queue.clone());
        }
        waited
    }

    /// Waits until all that was submitted is done.
    pub fn wait_for_work(&self) -> Result<(), BackendError> {
        let done = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&done);
        self.queue.on_submitted_work_done(move || told.store(true, Ordering::Release));
        self.wait_until(|| done.load(Ordering::Acquire))
    }

    fn wait(&self, mut done: impl FnMut() -> bool) -> Result<(), BackendError> {
        /// Of a wait: nobody notices how long the program takes to see that it should stop.
        const SLICE: Duration = Duration::from_millis(100);
        let started = Instant::now();
        while !done() {
            self.poll(wgpu::PollType::Wait { submission_index: None, timeout: Some(SLICE) })?;
            self.check("a wait", 0)?;
            self.stop.check()?;
            if !done() && started.elapsed() > self.limits.timeout {
                let waited_s = self.limits.timeout.as_secs();
                return Err(BackendError::Timeout { device: self.name.clone(), waited_s });
            }
            if !done() {
                std::thread::sleep(Duration::from_micros(50));
            }
        }
        Ok(())
    }
}

/// A panic in a callback leaves nothing half-written here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_adapter_is_named_by_part_of_its_name_or_by_its_pci_ids() {
        let card = wgpu::AdapterInfo {
            name: "NVIDIA RTX 4090".to_owned(),
            vendor: 0x10de,
            device: 0x2684,
            device_pci_bus_id: "0000:0A:00.0".to_owned(),
            ..wgpu::AdapterInfo::new(wgpu::DeviceType::DiscreteGpu, wgpu::Backend::Vulkan)
        };
        for wanted in ["rtx", " nvidia rtx 4090 ", "10DE:2684", "0000:0a:00.0"] {
            assert!(matches(&card, wanted), "{wanted:?}");
        }
        // Of ids no part will do: `0` would take the first card that comes.
        for wanted in ["", " ", "10de", "2684", "0000:0a", "0a:00.0", "rtx 5090"] {
            assert!(!matches(&card, wanted), "{wanted:?}");
        }
    }
}
