//! The monitors: the planted sensor lot found in time and named, healthy vehicles left alone within the budget, the
//! same rows however the data are read, and defined results for whatever a fleet may hold.

#![allow(clippy::disallowed_methods)] // Statistics with tolerances need not be the same on every platform.

mod made;
mod nights;
mod odd;
mod oracle;
mod sensor_lot;

use std::path::Path;

use fleetwear::engine::{MonitorRequest, Monitoring, monitor};
use fleetwear::fleet::dataset::Dataset;
use fleetwear::model::spec::Model;
use fleetwear::run::Control;

/// Watches a dataset with a model, in a way that the caller may change.
fn watch(data: &Path, model: &str, change: impl Fn(&mut MonitorRequest)) -> Monitoring {
    let mut request = MonitorRequest::new(1);
    request.threads = 2;
    change(&mut request);
    let dataset = Dataset::open(data, request.threads, &Control::silent()).unwrap();
    monitor(&dataset, &Model::load(model).unwrap(), &request, &Control::silent()).unwrap()
}
