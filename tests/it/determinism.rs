//! Ring 4: the same data give the same content, on any number of threads, in chunks of any size, from files cut and
//! ordered in any way, on any backend; and other data do not.

use std::path::Path;

use fleetwear::backend::Choice;
use fleetwear::engine::{ScorePlan, ScoreReport, VerifyPlan, score, verify};
use fleetwear::fleet::scan::ScanKind;
use fleetwear::run::Control;

use crate::small_fleet::{FIRST_DAY, Layout, Order, SmallFleet};

fn plan(folder: &Path, out: &str) -> ScorePlan {
    let model = folder.join("model.toml").to_string_lossy().into_owned();
    let mut plan = ScorePlan::new(folder.to_path_buf(), model, folder.join(out));
    plan.backend = Choice::Cpu;
    plan.threads = 2;
    plan.keep = vec!["model".into()];
    plan
}

/// Scores a fleet in a fresh folder.
fn score_of(fleet: &SmallFleet, layout: Layout, change: impl Fn(&mut ScorePlan)) -> ScoreReport {
    let folder = tempfile::tempdir().unwrap();
    fleet.write(folder.path(), layout);
    let mut plan = plan(folder.path(), "out");
    change(&mut plan);
    score(&plan, &Control::silent()).unwrap()
}

/// The bytes of the parts: they hold no trace of how they were made.
fn part_hashes(report: &ScoreReport) -> Vec<(String, String)> {
    report.manifest.parts.iter().map(|part| (part.path.clone(), part.blake3.clone())).collect()
}

#[test]
fn threads_chunks_files_and_order_do_not_matter() {
    for text_ids in [true, false] {
        let fleet = SmallFleet { text_ids, ..SmallFleet::new(60) };
        let first = score_of(&fleet, Layout::ByVehicle(1), |plan| plan.threads = 1);
        assert_eq!((first.vehicles, first.rows, first.scan_kind), (60, 180, ScanKind::ByVehicle));
        assert_eq!(first.account.scored as usize, fleet.days.len());
        let layouts = [Layout::ByVehicle(3), Layout::ByDay(1), Layout::ByDay(30), Layout::Shuffled(2)];
        for (index, layout) in layouts.into_iter().enumerate() {
            for (threads, chunk_rows, reversed) in
                [(1, 1, false), (2, 1_000, true), (8, 65_536, false), (3, 7_919, true)]
            {
                // Chunks of one row are slow; one layout shows them.
                if chunk_rows == 1 && index > 0 {
                    continue;
                }
                let report = score_of(&fleet, layout, |plan| {
                    (plan.threads, plan.chunk_rows, plan.reversed) = (threads, chunk_rows, reversed);
                });
                let way = format!("{layout:?}, {threads} threads, chunks of {chunk_rows}, reversed {reversed}");
                assert_eq!(report.content_hash, first.content_hash, "{way}");
                assert_eq!(part_hashes(&report), part_hashes(&first), "{way}");
            }
        }
    }
}

#[test]
fn other_data_have_another_hash() {
    let fleet = SmallFleet::new(40);
    let layout = Layout::ByVehicle(2);
    let hash = |fleet: &SmallFleet| score_of(fleet, layout, |_| ()).content_hash;
    let first = hash(&fleet);
    assert_eq!(hash(&fleet), first);

    let mut other = fleet.clone();
    let distance = &mut other.days[1234].distance;
    *distance = if *distance > 400 { *distance - 1 } else { *distance + 1 };
    assert_ne!(hash(&other), first, "one record differs by half a kilometre");

    let mut other = fleet.clone();
    let order = other.orders.iter().position(|order| {
        order.kind == "R"
            && order.component == "brake_pad"
            && order.vehicle < fleet.listed
            && order.day < FIRST_DAY + 150
    });
    other.orders[order.unwrap()].day += 1;
    assert_ne!(hash(&other), first, "a replacement is a day later");

    let mut other = fleet.clone();
    other.days.pop();
    assert_ne!(hash(&other), first, "a record is missing");

    let mut other = fleet;
    other.listed -= 1;
    assert_ne!(hash(&other), first, "a vehicle is not listed");
}

#[test]
fn as_of_leaves_out_what_came_later() {
    let fleet = SmallFleet::new(30);
    let day = FIRST_DAY + 120;
    let early = score_of(&fleet, Layout::ByVehicle(1), |plan| plan.as_of_day = Some(day));
    let mut cut = fleet.clone();
    cut.days.retain(|record| record.day <= day);
    cut.orders.retain(|order| order.day <= day);
    let alone = score_of(&cut, Layout::ByDay(7), |plan| plan.as_of_day = Some(day));
    assert_eq!(early.content_hash, alone.content_hash);
    assert_eq!(early.manifest.as_of.as_deref(), Some("2022-05-08"));
    assert_eq!(early.account.scored as usize, cut.days.len());

    // Without a day the latest record's is taken, and named it gives the same.
    let latest = score_of(&fleet, Layout::Shuffled(3), |_| ());
    assert_eq!(latest.as_of_day, fleet.days.iter().map(|record| record.day).max().unwrap());
    let named = score_of(&fleet, Layout::Shuffled(3), |plan| plan.as_of_day = Some(latest.as_of_day));
    assert_eq!(named.content_hash, latest.content_hash);
    assert_ne!(early.content_hash, latest.content_hash);
}

/// A GPU wherever the build has one to offer.
#[cfg(feature = "gpu")]
#[test]
fn every_gpu_run_equals_the_processor() {
    let Some(device) = crate::gpu::required_device("determinism::every_gpu_run_equals_the_processor") else { return };
    let fleet = SmallFleet::new(40);
    let processor = score_of(&fleet, Layout::ByVehicle(2), |_| ());
    for layout in [Layout::ByVehicle(1), Layout::ByDay(3), Layout::Shuffled(2)] {
        let gpu = score_of(&fleet, layout, |plan| {
            (plan.backend, plan.device, plan.fallback) = (Choice::Gpu, Some(device.to_owned()), false);
        });
        assert_eq!(gpu.content_hash, processor.content_hash, "{layout:?}");
        assert_ne!(gpu.device, processor.device);
    }
}

#[test]
fn a_date_without_its_dashes_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    SmallFleet::new(3).write(folder.path(), Layout::ByVehicle(1));
    let mut plan = plan(folder.path(), "out");
    plan.as_of_day = Some(20_261_031);
    let error = score(&plan, &Control::silent()).unwrap_err();
    assert!(matches!(error, fleetwear::engine::EngineError::AsOf { day: 20_261_031 }), "{error}");
    assert!(error.to_string().contains("--as-of 2026-10-31"));
}

#[test]
fn verify_makes_all_runs_and_agrees() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = SmallFleet::new(50);
    let model = fleet.write(folder.path(), Layout::ByVehicle(2));
    let plan = VerifyPlan {
        data: folder.path().to_path_buf(),
        model: model.to_string_lossy().into_owned(),
        backend: Choice::Cpu,
        device: None,
        threads: 2,
        memory_limit_bytes: 256 << 20,
        spill_folder: None,
        as_of_day: None,
    };
    let report = verify(&plan, &Control::silent()).unwrap();
    assert_eq!(report.difference, None);
    // The GPU is left out twice: for scores and for futures.
    assert_eq!((report.runs.len(), report.skipped.len(), report.vehicles, report.rows), (9, 2, 50, 150));
    let hash = score_of(&fleet, Layout::ByDay(5), |plan| plan.keep.clear()).content_hash;
    assert!(report.runs.iter().all(|run| run.content_hash == hash));
}

/// The acceptance command, on the device that tests have.
#[cfg(feature = "gpu")]
#[test]
fn verify_takes_a_device_in() {
    let Some(device) = crate::gpu::required_device("determinism::verify_takes_a_device_in") else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut fleet = SmallFleet::new(30);
    fleet.orders.push(Order { vehicle: 3, component: "brake_pad", position: None, kind: "R", day: FIRST_DAY + 10 });
    let plan = VerifyPlan {
        data: folder.path().to_path_buf(),
        model: fleet.write(folder.path(), Layout::ByVehicle(2)).to_string_lossy().into_owned(),
        backend: Choice::Gpu,
        device: Some(device.to_owned()),
        threads: 2,
        memory_limit_bytes: 256 << 20,
        spill_folder: None,
        as_of_day: None,
    };
    let report = verify(&plan, &Control::silent()).unwrap();
    assert!(report.agrees(), "{:?}", report.difference);
    assert_eq!((report.runs.len(), report.skipped.len()), (10, 0));
    assert!(report.late.iter().all(|late| late.starts_with("a re")), "both must come late: {:?}", report.late);

    let mut wrong = report.clone();
    wrong.runs[4].content_hash = "another".to_owned();
    assert!(!wrong.agrees(), "another hash is a difference, whether or not a row is found");
}

#[test]
fn an_order_of_a_vehicle_that_has_no_records() {
    let mut fleet = SmallFleet::new(20);
    fleet.days.retain(|record| record.vehicle != 3);
    fleet.orders.push(Order { vehicle: 3, component: "brake_pad", position: None, kind: "R", day: FIRST_DAY + 10 });
    let report = score_of(&fleet, Layout::ByVehicle(1), |_| ());
    assert_eq!((report.vehicles, report.rows), (20, 60));
}

#[test]
fn an_inspected_vehicle_has_the_clocks_of_its_scores() {
    use arrow::array::{Array, AsArray};
    use arrow::datatypes::{Float64Type, Int64Type};
    use fleetwear::engine::{EngineError, InspectPlan, inspect_vehicle};
    let folder = tempfile::tempdir().unwrap();
    let fleet = SmallFleet::new(20);
    let model = fleet.write(folder.path(), Layout::ByDay(9));
    let mut plan = plan(folder.path(), "out");
    plan.as_of_day = Some(FIRST_DAY + 150);
    let report = score(&plan, &Control::silent()).unwrap();
    let part = std::fs::File::open(report.out.join("scores/part-00000.parquet")).unwrap();
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(part).unwrap();
    let batch = reader.with_batch_size(100).build().unwrap().next().unwrap().unwrap();
    assert_eq!(batch.num_rows(), 60);

    let inspect = |vehicle: &str| {
        let plan = InspectPlan {
            data: folder.path().to_path_buf(),
            model: model.to_string_lossy().into_owned(),
            vehicle: vehicle.to_owned(),
            threads: 2,
            memory_limit_bytes: 256 << 20,
            spill_folder: None,
            as_of_day: Some(FIRST_DAY + 150),
        };
        inspect_vehicle(&plan, &Control::silent())
    };
    let ids = batch.column(0).as_string::<i32>();
    let clocks = batch.column_by_name("clocks").unwrap().as_list::<i32>();
    let damage = batch.column_by_name("damage").unwrap().as_primitive::<Float64Type>();
    for first in (0..60).step_by(3) {
        let inspection = inspect(ids.value(first)).unwrap();
        assert_eq!(inspection.parts.len(), 3);
        for (row, part) in (first..).zip(&inspection.parts) {
            let of_row = clocks.value(row);
            let of_row = of_row.as_struct().column(1).as_primitive::<Int64Type>().values().to_vec();
            let inspected: Vec<i64> = part.mechanisms.iter().map(|mechanism| mechanism.clock_q48 as i64).collect();
            assert_eq!(inspected, of_row, "vehicle {}, row {row}", ids.value(row));
            assert_eq!(part.damage, damage.value(row));
        }
    }
    assert_eq!(clocks.null_count(), 0);
    assert!(matches!(inspect("VIN-nobody"), Err(EngineError::UnknownVehicle { .. })));
}
