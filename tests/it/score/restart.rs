//! A scan that starts over: what was summed is forgotten, and there are never two backends at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fleetwear::backend::{self, BackendError, Choice, DamageBackend, DamageBatch, DamageRequest, DamageSums};
use fleetwear::fleet::scan::ChunkSink;
use fleetwear::score::masks::slot_masks;
use fleetwear::score::pack::Packer;

use super::{Tiny, ids, records, replacements};

/// Counts how many of its kind are open.
struct Counted {
    backend: Option<Box<dyn DamageBackend>>,
    open: Arc<AtomicUsize>,
}

impl DamageBackend for Counted {
    fn push(&self, batch: &DamageBatch) -> Result<(), BackendError> {
        self.backend.as_ref().unwrap().push(batch)
    }

    fn finish(mut self: Box<Self>, slots: usize, vehicles: usize) -> Result<DamageSums, BackendError> {
        self.backend.take().unwrap().finish(slots, vehicles)
    }

    fn description(&self) -> String {
        "counted".to_owned()
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[test]
fn a_restarted_scan_forgets() {
    let tiny = Tiny::new(replacements(), 199);
    let records = records();
    let whole = tiny.sums(&[&records], ids(6));
    let masks = slot_masks(&tiny.model, &tiny.vehicles, &tiny.plan);
    let request = DamageRequest { tables: &tiny.model.tables, masks: &masks, drivers: true };
    let open_backends = Arc::new(AtomicUsize::new(0));
    let open = || -> Result<Box<dyn DamageBackend>, BackendError> {
        assert_eq!(open_backends.fetch_add(1, Ordering::Relaxed), 0, "two backends at once, on one device");
        let backend = backend::open(Choice::Cpu, None, 1, &request)?.backend;
        Ok(Box::new(Counted { backend: Some(backend), open: Arc::clone(&open_backends) }))
    };
    let packer = Packer::new(&tiny.plan, &tiny.model.inputs, &tiny.exposures, 1, &open).unwrap();
    packer.push(0, &tiny.chunk(&records[..300])).unwrap();
    packer.restart().unwrap();
    packer.push(0, &tiny.chunk(&records)).unwrap();
    assert_eq!(packer.finish(ids(6)).unwrap(), whole);
}
