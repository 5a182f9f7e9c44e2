//! The reading contract: whatever the layout, the way of reading, threads, chunks and order of files, exactly the
//! same records come out, each once, and every row is accounted for.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use fleetwear::fleet::account::{CellReason, Quarantine, Skip};
use fleetwear::fleet::chunk::{Chunk, Order};
use fleetwear::fleet::dataset::Dataset;
use fleetwear::fleet::error::FleetError;
use fleetwear::fleet::scan::{ChunkSink, ScanKind, ScanReport, ScanRequest, SinkError, scan};
use fleetwear::fleet::vehicles::Ids;
use fleetwear::run::{Control, Stop};

use crate::fleet_files::{
    Draws, Expected, IdType, Layout, Record, Row, Writing, expected, fleet, id_text, row_groups, write_dataset,
};

/// Keeps everything that is pushed and watches over the sink's part of the contract.
pub struct Collector {
    rows: Mutex<Vec<(usize, Chunk)>>,
    busy: Vec<AtomicBool>,
    chunk_rows: usize,
}

impl Collector {
    pub fn new(threads: usize, chunk_rows: usize) -> Self {
        let busy = (0..threads).map(|_| AtomicBool::new(false)).collect();
        Self { rows: Mutex::default(), busy, chunk_rows }
    }

    fn records(&self, ids: &Ids) -> Vec<Record> {
        let rows = self.rows.lock().unwrap();
        let mut records: Vec<Record> = Vec::new();
        for (_, chunk) in rows.iter() {
            for row in 0..chunk.len() {
                let id = match ids {
                    Ids::Integer(ids) => ids[chunk.vehicle[row] as usize].to_string(),
                    Ids::Text(ids) => ids[chunk.vehicle[row] as usize].clone(),
                };
                records.push((id, chunk.tick[row], [chunk.codes[0][row], chunk.codes[1][row]]));
            }
        }
        records.sort_unstable();
        records
    }

    /// Whether every vehicle came through one lane in strictly rising time.
    fn in_time_order(&self) -> bool {
        let mut last: HashMap<u32, (usize, i32)> = HashMap::new();
        self.rows.lock().unwrap().iter().all(|(lane, chunk)| {
            let rows = chunk.vehicle.iter().zip(&chunk.tick);
            let mut in_order = true;
            for (&vehicle, &tick) in rows {
                let before = last.insert(vehicle, (*lane, tick));
                in_order &= before.is_none_or(|(other, earlier)| other == *lane && earlier < tick);
            }
            in_order
        })
    }
}

impl Collector {
    /// Whether no vehicle comes back once another one has followed it, on whatever lane.
    fn vehicles_are_whole(&self) -> bool {
        let rows = self.rows.lock().unwrap();
        let lanes: BTreeMap<usize, Vec<u32>> = rows.iter().fold(BTreeMap::new(), |mut lanes, (lane, chunk)| {
            lanes.entry(*lane).or_insert_with(Vec::new).extend(&chunk.vehicle);
            lanes
        });
        let mut seen = HashSet::new();
        lanes.into_values().all(|mut vehicles| {
            vehicles.dedup();
            vehicles.into_iter().all(|vehicle| seen.insert(vehicle))
        })
    }
}

impl ChunkSink for Collector {
    fn push(&self, lane: usize, chunk: &Chunk) -> Result<(), SinkError> {
        assert!(!self.busy[lane].swap(true, Ordering::SeqCst), "two pushes at once into lane {lane}");
        assert!(!chunk.is_empty());
        assert!(chunk.tick.len() == chunk.len() && chunk.codes.iter().all(|column| column.len() == chunk.len()));
        let runs = 1 + chunk.vehicle.windows(2).filter(|pair| pair[0] != pair[1]).count();
        let vehicles: HashSet<&u32> = chunk.vehicle.iter().collect();
        assert_eq!(runs, vehicles.len(), "a vehicle's rows do not stand together");
        assert!(chunk.len() <= self.chunk_rows || runs == 1, "{} rows in a chunk", chunk.len());
        self.rows.lock().unwrap().push((lane, chunk.clone()));
        self.busy[lane].store(false, Ordering::SeqCst);
        Ok(())
    }

    fn restart(&self) -> Result<(), SinkError> {
        self.rows.lock().unwrap().clear();
        Ok(())
    }
}

pub fn request() -> ScanRequest {
    ScanRequest {
        channels: vec![0, 1],
        order: Order::Any,
        as_of_day: None,
        threads: 2,
        memory_limit_bytes: 256 << 20,
        chunk_rows: 1000,
        reversed: false,
        shard: None,
        kind: None,
        hash_inputs: false,
        files: None,
    }
}

/// What came out of a scan.
pub fn outcome(toml: &Path, request: &ScanRequest) -> Result<(Expected, ScanReport), FleetError> {
    let control = Control::silent();
    let dataset = Dataset::open(toml, 2, &control)?;
    outcome_of(&dataset, request)
}

pub fn outcome_of(dataset: &Dataset, request: &ScanRequest) -> Result<(Expected, ScanReport), FleetError> {
    let sink = Collector::new(request.threads, request.chunk_rows);
    let report = scan(dataset, request, &Control::silent(), &sink)?;
    let account = &report.account;
    assert!(account.balances(), "{account:?}");
    if request.order != Order::Any {
        assert!(sink.in_time_order());
    }
    if request.order == Order::WholeVehicles {
        assert!(sink.vehicles_are_whole());
    }
    let quarantined = |reason| account.quarantined.get(&reason).copied().unwrap_or(0);
    let skipped = |reason| account.skipped.get(&reason).copied().unwrap_or(0);
    let found = Expected {
        records: sink.records(&report.ids),
        null_vehicle: quarantined(Quarantine::NullVehicle),
        null_time: quarantined(Quarantine::NullTime),
        after_as_of: skipped(Skip::AfterAsOf),
        duplicates: skipped(Skip::Duplicate),
    };
    assert_eq!(account.scored, found.records.len() as u64);
    Ok((found, report))
}

/// Every layout that the contract names, of the same rows.
fn layouts(rows: &[Row]) -> Vec<(&'static str, Layout)> {
    let mut draws = Draws::new(5);
    let mut shuffled = rows.to_vec();
    draws.shuffle(&mut shuffled);
    // Days, and the rows without one in the first.
    let mut by_day: BTreeMap<i32, Vec<Row>> = BTreeMap::new();
    for row in rows {
        by_day.entry(row.day.unwrap_or(-10)).or_default().push(*row);
    }
    let mut by_month: BTreeMap<i32, Vec<Row>> = BTreeMap::new();
    for row in rows {
        by_month.entry(row.day.unwrap_or(-10).div_euclid(30)).or_default().push(*row);
    }
    // Vehicles stand together, but neither they nor their days in order.
    let mut by_vehicle: BTreeMap<Option<i64>, Vec<Row>> = BTreeMap::new();
    for row in rows {
        by_vehicle.entry(row.vehicle).or_default().push(*row);
    }
    let mut clustered: Vec<Vec<Row>> = by_vehicle.into_values().collect();
    draws.shuffle(&mut clustered);
    clustered.iter_mut().for_each(|rows| draws.shuffle(rows));
    let mut descending = rows.to_vec();
    descending.reverse();
    vec![
        ("one row group", vec![row_groups(rows, rows.len())]),
        ("vehicles across row groups", vec![row_groups(rows, 97)]),
        ("vehicles across files", rows.chunks(211).map(|file| row_groups(file, 53)).collect()),
        (
            "row groups of one row",
            vec![row_groups(&rows[..300.min(rows.len())], 1), row_groups(&rows[300.min(rows.len())..], 400)],
        ),
        ("descending", vec![row_groups(&descending, 120)]),
        ("clustered, unsorted", vec![row_groups(&clustered.concat(), rows.len())]),
        ("a file a day", by_day.values().map(|day| row_groups(day, 1000)).collect()),
        ("days in row groups", vec![by_day.values().cloned().collect()]),
        ("a file a month", by_month.values().map(|month| row_groups(month, 64)).collect()),
        ("random", vec![row_groups(&shuffled, 150), Vec::new()]),
        ("random in one row group", vec![row_groups(&shuffled, rows.len())]),
        ("the same rows twice", vec![row_groups(rows, 128), vec![Vec::new()], row_groups(rows, 300)]),
    ]
}

fn check_layouts(ids: IdType, statistics: bool, threads: &[usize], chunk_rows: &[usize]) {
    let rows = fleet(11, 20, 30, 300);
    for (name, layout) in layouts(&rows) {
        let folder = tempfile::tempdir().unwrap();
        let toml = write_dataset(folder.path(), &layout, Writing { ids, statistics });
        let dataset = Dataset::open(&toml, 2, &Control::silent()).unwrap();
        for as_of_day in [None, Some(150)] {
            let wanted = expected(layout.iter().flatten().flatten().copied(), as_of_day, ids);
            assert!(wanted.duplicates > 10 && wanted.null_vehicle > 5 && wanted.null_time > 5);
            for kind in [None, Some(ScanKind::ByVehicle), Some(ScanKind::ByTime), Some(ScanKind::Spill)] {
                for order in [Order::Any, Order::TimeOrderedPerVehicle, Order::WholeVehicles] {
                    for &threads in threads {
                        for &chunk_rows in chunk_rows {
                            let reversed = (threads + chunk_rows) % 2 == 0;
                            let request =
                                ScanRequest { kind, order, threads, chunk_rows, reversed, as_of_day, ..request() };
                            let (found, _) = outcome_of(&dataset, &request).unwrap();
                            assert!(found == wanted, "{name}, {ids:?}, {request:?}: {}", difference(&found, &wanted));
                        }
                    }
                }
            }
        }
    }
}

fn difference(found: &Expected, wanted: &Expected) -> String {
    let (has, had): (HashSet<_>, HashSet<_>) = (found.records.iter().collect(), wanted.records.iter().collect());
    let missing: Vec<_> = had.difference(&has).take(3).collect();
    let extra: Vec<_> = has.difference(&had).take(3).collect();
    let counts =
        |side: &Expected| (side.records.len(), side.null_vehicle, side.null_time, side.after_as_of, side.duplicates);
    format!("missing {missing:?}, extra {extra:?}, {:?} instead of {:?}", counts(found), counts(wanted))
}

#[test]
fn every_layout_gives_the_same_records() {
    check_layouts(IdType::Int64, true, &[1, 2, 8], &[100]);
    check_layouts(IdType::Int64, true, &[2], &[7]);
}

#[test]
fn chunks_of_one_row_and_of_everything() {
    check_layouts(IdType::Utf8, true, &[2], &[1, 65_536]);
}

#[test]
fn dictionaries_of_ids_and_files_without_statistics() {
    check_layouts(IdType::Dictionary, true, &[2], &[1000]);
    check_layouts(IdType::LargeUtf8, false, &[2], &[1000]);
    check_layouts(IdType::Int32, false, &[1], &[100]);
}

#[test]
fn a_wrong_answer_is_noticed() {
    let rows = fleet(11, 25, 40, 500);
    let wanted = expected(rows.iter().copied(), None, IdType::Int64);
    let mut changed = rows.clone();
    let row = changed.iter().position(|row| row.load == Some(50)).unwrap();
    changed[row].load = Some(51);
    assert!(expected(changed, None, IdType::Int64) != wanted);
    assert!(expected(rows[1..].iter().copied(), None, IdType::Int64) != wanted);

    let out_of_order = Chunk { vehicle: vec![1, 1], tick: vec![5, 5], codes: Vec::new() };
    let sink = Collector::new(2, 10);
    sink.push(0, &out_of_order).unwrap();
    assert!(!sink.in_time_order());
    let sink = Collector::new(2, 10);
    sink.push(0, &Chunk { vehicle: vec![1], tick: vec![5], codes: Vec::new() }).unwrap();
    assert!(sink.in_time_order());
    sink.push(1, &Chunk { vehicle: vec![1], tick: vec![6], codes: Vec::new() }).unwrap();
    assert!(!sink.in_time_order());
}

#[test]
fn the_planner_picks_by_the_statistics() {
    let rows = fleet(11, 25, 40, 500);
    let kinds = [
        ("one row group", ScanKind::ByVehicle),
        ("vehicles across row groups", ScanKind::ByVehicle),
        ("vehicles across files", ScanKind::ByVehicle),
        ("descending", ScanKind::ByVehicle),
        ("clustered, unsorted", ScanKind::ByVehicle),
        ("a file a day", ScanKind::ByTime),
        ("a file a month", ScanKind::ByTime),
    ];
    for (name, layout) in layouts(&rows) {
        let Some((_, kind)) = kinds.iter().find(|(wanted, _)| *wanted == name) else { continue };
        let folder = tempfile::tempdir().unwrap();
        let toml = write_dataset(folder.path(), &layout, Writing { ids: IdType::Int64, statistics: true });
        let (_, report) = outcome(&toml, &request()).unwrap();
        assert_eq!((report.kind, report.restarts), (*kind, 0), "{name}");
    }
}

#[test]
fn little_memory_goes_to_disk_and_gives_the_same() {
    let rows = fleet(23, 40, 60, 4000);
    let mut shuffled = rows.clone();
    Draws::new(9).shuffle(&mut shuffled);
    let folder = tempfile::tempdir().unwrap();
    let layout = vec![row_groups(&shuffled, 500)];
    let toml = write_dataset(folder.path(), &layout, Writing { ids: IdType::Int64, statistics: true });
    let wanted = expected(rows.iter().copied(), None, IdType::Int64);
    for memory_limit_bytes in [0, 3000, 20_000, 100_000, 400_000] {
        for (threads, order) in [(1, Order::TimeOrderedPerVehicle), (2, Order::Any), (2, Order::TimeOrderedPerVehicle)]
        {
            let request = ScanRequest { memory_limit_bytes, threads, order, ..request() };
            let (found, report) = outcome(&toml, &request).unwrap();
            assert!(found == wanted, "{request:?}: {}", difference(&found, &wanted));
            assert!(memory_limit_bytes > 100_000 || report.kind == ScanKind::Spill, "{request:?}: {:?}", report.kind);
        }
    }
    // One vehicle whose rows do not rise and are more than a thread may hold.
    let mut one: Vec<Row> = fleet(3, 1, 1, 5000);
    Draws::new(1).shuffle(&mut one);
    let folder = tempfile::tempdir().unwrap();
    let toml =
        write_dataset(folder.path(), &vec![row_groups(&one, 5000)], Writing { ids: IdType::Utf8, statistics: true });
    let request = ScanRequest { memory_limit_bytes: 20_000, order: Order::TimeOrderedPerVehicle, ..request() };
    let (found, report) = outcome(&toml, &request).unwrap();
    assert_eq!((report.kind, report.restarts), (ScanKind::Spill, 1));
    assert_eq!(found, expected(one, None, IdType::Utf8));
}

/// Slices that are applied one after the other must not wait for the room that later ones have taken: more threads
/// than slices that fit, over and over.
#[test]
fn a_file_a_day_flows_through_room_for_one() {
    let mut days = vec![Vec::new(); 40];
    for row in fleet(31, 300, 40, 40).into_iter().filter(|row| row.vehicle.is_some()) {
        if let Some(day) = row.day.filter(|day| (-10..30).contains(day)) {
            days[(day + 10) as usize].push(row);
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let layout: Vec<_> = days.iter().map(|rows| row_groups(rows, 50)).collect();
    let toml = write_dataset(folder.path(), &layout, Writing { ids: IdType::Int64, statistics: true });
    let wanted = expected(days.iter().flatten().copied(), None, IdType::Int64);
    let dataset = Dataset::open(&toml, 2, &Control::silent()).unwrap();
    let mut by_time = 0;
    for memory_limit_bytes in (10..21).map(|bits| 1 << bits) {
        let order = Order::TimeOrderedPerVehicle;
        let request = ScanRequest { memory_limit_bytes, threads: 8, order, chunk_rows: 20, ..request() };
        for _ in 0..20 {
            let sink = Collector::new(request.threads, request.chunk_rows);
            let stuck = Stop::default();
            let report = std::thread::scope(|scope| {
                let (done, waiting) = std::sync::mpsc::channel::<()>();
                let stuck = &stuck;
                scope.spawn(move || {
                    let patience = std::time::Duration::from_secs(60);
                    if waiting.recv_timeout(patience) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                        stuck.raise();
                    }
                });
                let report = scan(&dataset, &request, &Control::new(stuck, &|_| {}), &sink);
                drop(done);
                report.unwrap_or_else(|error| panic!("stuck with {memory_limit_bytes} bytes: {error}"))
            });
            assert!(sink.in_time_order());
            assert_eq!(sink.records(&report.ids), wanted.records, "{memory_limit_bytes}");
            by_time += usize::from(report.kind == ScanKind::ByTime);
            if report.kind == ScanKind::Spill {
                break;
            }
        }
    }
    assert!(by_time >= 40, "{by_time} scans were by time: the limits miss what the test is about");
}

#[test]
fn shards_share_the_vehicles_out() {
    let rows = fleet(11, 50, 40, 500);
    for (ids, layout) in [
        (IdType::Utf8, vec![row_groups(&rows, 97)]),
        (IdType::Dictionary, vec![row_groups(&rows, 97)]),
        (IdType::Int32, vec![row_groups(&rows, 97)]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let toml = write_dataset(folder.path(), &layout, Writing { ids, statistics: true });
        let wanted = expected(rows.iter().copied(), None, ids);
        let mut merged = Expected { null_vehicle: wanted.null_vehicle, ..Expected::default() };
        let mut vehicles = HashSet::new();
        for shard in 0..3 {
            let (found, report) = outcome(&toml, &ScanRequest { shard: Some((shard, 3)), ..request() }).unwrap();
            assert_eq!(found.null_vehicle, wanted.null_vehicle);
            let own: HashSet<String> = found.records.iter().map(|record| record.0.clone()).collect();
            assert!(own.len() > 5, "{} vehicles in shard {shard}", own.len());
            assert!(vehicles.is_disjoint(&own));
            let known = match &report.ids {
                Ids::Integer(ids) => ids.len(),
                Ids::Text(ids) => ids.len(),
            };
            assert_eq!(known, own.len());
            vehicles.extend(own);
            merged.records.extend(found.records);
            merged.null_time += found.null_time;
            merged.duplicates += found.duplicates;
        }
        merged.records.sort_unstable();
        assert_eq!(merged, wanted);
    }
}

#[test]
fn cells_are_counted_by_channel_and_reason_whatever_the_order() {
    let row = |day, load, temp| Row { vehicle: Some(4), day: Some(day), load, temp };
    let rows = vec![
        row(0, Some(100), Some(85.0)),
        row(1, Some(101), Some(85.3)),
        row(2, None, Some(f64::NAN)),
        row(3, Some(0), Some(-999.0)),
        row(4, Some(1), None),
        row(5, Some(2), Some(f64::INFINITY)),
        row(6, Some(3), Some(-40.3)),
        // Skipped: its cells do not count.
        row(9, None, None),
    ];
    let folder = tempfile::tempdir().unwrap();
    let toml =
        write_dataset(folder.path(), &vec![row_groups(&rows, 3)], Writing { ids: IdType::Int64, statistics: true });
    for kind in [ScanKind::ByVehicle, ScanKind::ByTime, ScanKind::Spill] {
        let request = ScanRequest { kind: Some(kind), as_of_day: Some(8), chunk_rows: 2, ..request() };
        let (_, report) = outcome(&toml, &request).unwrap();
        let counts: Vec<(&str, CellReason, u64)> = report
            .account
            .not_available
            .iter()
            .map(|((channel, reason), count)| (channel.as_str(), *reason, *count))
            .collect();
        assert_eq!(
            counts,
            [
                ("load_pct", CellReason::Missing, 1),
                ("load_pct", CellReason::OutOfRange, 1),
                ("temp_c", CellReason::Missing, 2),
                ("temp_c", CellReason::NotFinite, 2),
                ("temp_c", CellReason::OutOfRange, 2),
            ]
        );
    }
}

#[test]
fn nothing_and_one_row() {
    let one = Row { vehicle: Some(7), day: Some(0), load: Some(100), temp: Some(-40.0) };
    for (layout, rows) in [
        (vec![Vec::new()], 0),
        (vec![vec![Vec::new()], vec![vec![Row { day: None, ..one }]]], 0),
        (vec![vec![Vec::new()], vec![vec![one]]], 1),
        (vec![vec![vec![Row { vehicle: None, ..one }; 3]], vec![vec![one], vec![one]]], 1),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let toml = write_dataset(folder.path(), &layout, Writing { ids: IdType::Int64, statistics: true });
        for kind in [None, Some(ScanKind::ByVehicle), Some(ScanKind::ByTime), Some(ScanKind::Spill)] {
            for order in [Order::Any, Order::TimeOrderedPerVehicle] {
                let (found, report) = outcome(&toml, &ScanRequest { kind, order, ..request() }).unwrap();
                let wanted = expected(layout.iter().flatten().flatten().copied(), None, IdType::Int64);
                assert_eq!(found, wanted);
                assert_eq!(found.records.len(), rows);
                assert!(rows == 0 || found.records[0] == (id_text(7, IdType::Int64), 0, [100, 0]));
                assert_eq!(report.inputs.len(), layout.len());
            }
        }
    }
}

#[test]
fn the_latest_day_with_and_without_statistics() {
    let rows = fleet(11, 25, 40, 500);
    let latest = rows.iter().filter_map(|row| row.day).max();
    for statistics in [true, false] {
        for (layout, latest) in [(vec![row_groups(&rows, 97)], latest), (vec![Vec::new()], None)] {
            let folder = tempfile::tempdir().unwrap();
            let toml = write_dataset(folder.path(), &layout, Writing { ids: IdType::Int64, statistics });
            let dataset = Dataset::open(&toml, 2, &Control::silent()).unwrap();
            assert_eq!(dataset.latest_day(&Control::silent()).unwrap(), latest);
        }
    }
}

#[test]
fn channels_in_any_order_and_twice() {
    let rows = fleet(11, 25, 40, 500);
    let folder = tempfile::tempdir().unwrap();
    let toml =
        write_dataset(folder.path(), &vec![row_groups(&rows, 97)], Writing { ids: IdType::Int64, statistics: true });
    let wanted = expected(rows.iter().copied(), None, IdType::Int64);
    let (found, _) = outcome(&toml, &ScanRequest { channels: vec![1, 0, 1], ..request() }).unwrap();
    // The smallest codes are those in the order of the request, so only days without repeats compare.
    let repeated: HashSet<(String, i32)> = {
        let mut seen = HashSet::new();
        let keys = rows.iter().filter_map(|row| Some((row.vehicle?.to_string(), row.day?)));
        keys.filter(|key| !seen.insert(key.clone())).collect()
    };
    let single = |records: &[Record]| -> Vec<Record> {
        records.iter().filter(|record| !repeated.contains(&(record.0.clone(), record.1))).cloned().collect()
    };
    let turned: Vec<Record> = single(&wanted.records).into_iter().map(|(id, day, [a, b])| (id, day, [b, a])).collect();
    assert_eq!(single(&found.records), turned);
    assert_eq!(found.duplicates, wanted.duplicates);
}
