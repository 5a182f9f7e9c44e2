//! Which backend is taken: `auto` never takes a software rasteriser, a trial remembers, an unknown device is an error.

#[cfg(feature = "gpu")]
use fleetwear::backend::gpu::{damage::GpuDamage, device::pick, limits::GpuLimits, trial::compare as compare_devices};
use fleetwear::backend::survival::SurvivalRequest;
use fleetwear::backend::{BackendError, Choice, DamageRequest, DeviceShare, open, open_for, open_survival};

use crate::batches::model;

/// `auto` stays on the processor where the only adapter is a software one, even a named one, and says why.
#[cfg(feature = "gpu")]
#[test]
fn auto_never_takes_a_software_rasteriser() {
    let Some(device) = crate::gpu::required_device("choice::auto") else { return };
    let (tables, masks) = model(1, 3, 2, 0);
    let request = DamageRequest { tables: &tables, masks: &masks, drivers: false };
    let auto = open(Choice::Auto, Some(device), 2, &request).unwrap();
    assert!(auto.backend.description().starts_with("cpu"), "{}", auto.backend.description());
    assert!(auto.why.contains("software rasteriser"), "{}", auto.why);
    let named = open(Choice::Gpu, Some(device), 2, &request).unwrap();
    assert!(named.backend.description().contains(device), "{}", named.backend.description());
    let cpu = open(Choice::Cpu, None, 2, &request).unwrap();
    assert!(cpu.backend.description().starts_with("cpu"));
}

/// A night's single day is not worth looking for a device; the same of a whole history is.
#[test]
fn auto_leaves_few_records_to_the_processor() {
    let (tables, masks) = model(1, 3, 2, 0);
    let request = DamageRequest { tables: &tables, masks: &masks, drivers: false };
    let auto = |records| open_for(records, DeviceShare::default(), Choice::Auto, None, 2, &request).unwrap().why;
    assert!(auto(1_000_000).starts_with("1000000 records are summed before"), "{}", auto(1_000_000));
    assert!(!auto(365_000_000).contains("are summed before"), "{}", auto(365_000_000));
}

/// The trial measures both sides once, and then remembers.
#[cfg(feature = "gpu")]
#[test]
fn trial_measures_and_remembers() {
    let Some(device) = crate::gpu::required_device("choice::trial") else { return };
    let (tables, masks) = model(3, 12, 5, 7);
    let request = DamageRequest { tables: &tables, masks: &masks, drivers: true };
    let adapter = pick(Some(device)).unwrap();
    let first = compare_devices(adapter, GpuLimits::default(), 2, &request).unwrap();
    assert!(first.cpu_per_s > 1e4 && first.gpu_per_s > 1e4, "{first:?}");
    assert_eq!(compare_devices(adapter, GpuLimits::default(), 2, &request).unwrap(), first);
    assert_ne!(compare_devices(adapter, GpuLimits::default(), 1, &request).unwrap(), first);
}

/// Survival is opened by the same rules.
#[test]
fn survival_has_the_same_choice() {
    let world = crate::survival::world(1, 16, 10, 1);
    let request = SurvivalRequest { tables: &world.tables, plan: &world.plan, groups: world.groups };
    let open = |parts, choice, device| open_survival(parts, DeviceShare::default(), choice, device, 2, &request);
    let auto = |parts| open(parts, Choice::Auto, None).unwrap().why;
    assert!(auto(1_000).starts_with("1000 parts are followed before"), "{}", auto(1_000));
    assert!(!auto(1_000_000_000).contains("are followed before"), "{}", auto(1_000_000_000));
    let missing = open(1, Choice::Gpu, Some("no such card")).err().unwrap();
    assert!(matches!(missing, BackendError::NoDevice { wanted: Some(_), .. }), "{missing}");
    assert_eq!(open(u64::MAX, Choice::Cpu, None).unwrap().why, "--backend cpu");
}

#[cfg(feature = "gpu")]
#[test]
fn survival_auto_never_takes_a_software_rasteriser_and_its_trial_remembers() {
    use fleetwear::backend::gpu::survival_trial::compare;

    let Some(device) = crate::gpu::required_device("choice::survival") else { return };
    let world = crate::survival::world(1, 16, 10, 1);
    let request = SurvivalRequest { tables: &world.tables, plan: &world.plan, groups: world.groups };
    let open = |choice| open_survival(u64::MAX, DeviceShare::default(), choice, Some(device), 2, &request).unwrap();
    let auto = open(Choice::Auto);
    assert!(auto.backend.description().starts_with("cpu") && auto.why.contains("software rasteriser"), "{}", auto.why);
    assert!(open(Choice::Gpu).backend.description().contains(device));
    let adapter = pick(Some(device)).unwrap();
    let first = compare(adapter, GpuLimits::default(), 2, &request).unwrap();
    assert!(first.cpu_per_s > 1e4 && first.gpu_per_s > 1e4, "{first:?}");
    assert_eq!(compare(adapter, GpuLimits::default(), 2, &request).unwrap(), first);
}

#[cfg(feature = "gpu")]
#[test]
fn unknown_device_is_an_error_that_names_what_there_is() {
    let (tables, masks) = model(1, 3, 2, 0);
    let request = DamageRequest { tables: &tables, masks: &masks, drivers: false };
    let error = GpuDamage::open(&request, Some("no such card"), GpuLimits::default()).err().unwrap();
    assert!(matches!(error, BackendError::NoDevice { wanted: Some(_), .. }), "{error}");
}

#[cfg(not(feature = "gpu"))]
#[test]
fn build_without_gpu_says_so() {
    let (tables, masks) = model(1, 3, 2, 0);
    let request = DamageRequest { tables: &tables, masks: &masks, drivers: false };
    let error = open(Choice::Gpu, None, 2, &request).err().unwrap();
    assert!(error.to_string().contains("lacks the feature `gpu`"), "{error}");
    assert!(open(Choice::Auto, None, 2, &request).unwrap().backend.description().starts_with("cpu"));
}
