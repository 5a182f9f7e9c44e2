//! The same data give the same fit, however they are read.

use fleetwear::engine::fit::Reading;
use fleetwear::engine::fit_histories;
use fleetwear::fit::history::FitRequest;
use fleetwear::fleet::scan::ScanKind;
use fleetwear::run::Control;

use super::{PLANTED, Planted, moved};

#[test]
fn threads_chunks_and_order_of_reading_change_nothing() {
    let fleet = Planted::new(300, 500, 3, PLANTED, &["shanghai"]);
    let dataset = fleet.dataset();
    let mut request = FitRequest::new(dataset.latest_day(&Control::silent()).unwrap().unwrap(), 5);
    (request.sample, request.replicates) = (Some(90), 5);
    let fit = |reading: Reading| {
        fit_histories(&dataset, &moved(&fleet.model), &request, &reading, &Control::silent()).unwrap().0.fit
    };
    let plain = Reading { hash_inputs: false, threads: 1, ..Reading::default() };
    let first = fit(plain.clone());
    assert!(first.sampled < first.vehicles);
    for reading in [
        Reading { threads: 3, ..plain.clone() },
        Reading { threads: 2, reversed: true, chunk_rows: 97, ..plain.clone() },
        Reading { threads: 2, scan_kind: Some(ScanKind::Spill), ..plain },
    ] {
        let other = fit(reading);
        for (a, b) in first.groups.iter().zip(&other.groups) {
            assert_eq!(a.estimates, b.estimates);
            assert!(a.log_likelihood == b.log_likelihood && a.covariance == b.covariance && a.counts == b.counts);
        }
    }
    request.seed = 6;
    let other =
        fit_histories(&dataset, &moved(&fleet.model), &request, &Reading::default(), &Control::silent()).unwrap();
    assert!(other.0.fit.groups[0].estimates != first.groups[0].estimates, "another seed is another sample");
}
