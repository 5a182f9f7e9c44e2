//! Scores against a plain computation from the definition: clocks restart at replacements, attributes switch
//! interactions, partial results merge, rows say what they should.

mod reading;
mod restart;

use std::collections::BTreeMap;

use fleetwear::backend::{self, Choice, DamageRequest};
use fleetwear::fixed::exp2::increment_q48;
use fleetwear::fleet::chunk::Chunk;
use fleetwear::fleet::scan::ChunkSink;
use fleetwear::fleet::time::TimeAxis;
use fleetwear::fleet::vehicles::{Attribute, EventKind, FleetEvent, Ids, Vehicles};
use fleetwear::model::channel::{Channel, PeriodLength, Schema};
use fleetwear::model::compile::compile;
use fleetwear::model::compiled::CompiledModel;
use fleetwear::model::spec::Model;
use fleetwear::model::tables::{GROUP_LANES, TableInput};
use fleetwear::score::fleet::Fleet;
use fleetwear::score::masks::slot_masks;
use fleetwear::score::output::ScoreRows;
use fleetwear::score::pack::{ExposureColumn, Packer, exposure_columns};
use fleetwear::score::parts::{ModeParts, PartStarts, Parts};
use fleetwear::score::row::Scorer;
use fleetwear::score::slots::SlotPlan;
use fleetwear::score::sums::FleetSums;

mod gaps;

const MODEL: &str = r#"
[model]
name = "tiny"
version = "1"

[[failure_mode]]
id = "pads"
component = "brake_pad"
weibull_shape = 2.0
  [[failure_mode.mechanism]]
  id = "rolling"
  exposure = "distance_km"
  characteristic_life = 1000
  clock_exponent = 0.5
  terms = [{ channel = "temp_c", curve = "power", exponent = 1.5, reference = 20.0, floor = 1.0 }]

[[failure_mode]]
id = "noise"
component = "bearing"
positions = ["left", "right"]
weibull_shape = 1.5
  [[failure_mode.mechanism]]
  id = "age"
  exposure = "days"
  characteristic_life = 400
  interactions = [{ id = "cold", when = { temp_c = "< 5", model = "M2" }, ratio = 3.2, source = "made up" }]
  [[failure_mode.mechanism]]
  id = "rolling"
  exposure = "distance_km"
  characteristic_life = 2000
"#;

fn channel(name: &str, codes: u32) -> Channel {
    Channel { name: name.into(), unit: String::new(), factor: 0.5, offset: 0.0, first: 0, codes }
}

fn schema() -> Schema {
    Schema {
        channels: vec![channel("temp_c", 100), channel("unused", 7), channel("distance_km", 401)],
        period_length: PeriodLength::Constant(1.0),
        attributes: vec!["model".into()],
    }
}

/// (vehicle, day, distance code, temperature code).
type Record = (u32, i32, u16, u16);

struct Tiny {
    model: CompiledModel,
    vehicles: Vehicles,
    parts: Parts,
    starts: PartStarts,
    plan: SlotPlan,
    exposures: Vec<ExposureColumn>,
}

fn replacement(vehicle: u32, component: u32, position: Option<u32>, occurred_day: i32) -> FleetEvent {
    FleetEvent {
        vehicle,
        component,
        position,
        kind: EventKind::Replacement,
        occurred_day,
        reported_day: None,
        finding: None,
    }
}

impl Tiny {
    /// Four known vehicles of models M1, M2, M2 and one without, with the given replacements of component 0
    /// (brake_pad) and 1 (bearing; position 0: left).
    fn new(mut events: Vec<FleetEvent>, as_of_day: i32) -> Self {
        let schema = schema();
        let model = compile(&Model::parse(MODEL, "tiny.toml").unwrap(), &schema).unwrap();
        events.sort_by_key(|event| (event.vehicle, event.occurred_day, event.component, event.position));
        let vehicles = Vehicles {
            known: 4,
            attributes: vec![Attribute {
                name: "model".into(),
                values: vec!["M1".into(), "M2".into()],
                code: vec![0, 1, 1, u32::MAX],
            }],
            build_day: vec![None; 4],
            sale_day: vec![Some(0), None, Some(-500), None],
            end_day: vec![None, Some(as_of_day), None, None],
            events,
            event_costs: Vec::new(),
            components: vec!["brake_pad".into(), "bearing".into()],
            positions: vec!["left".into(), "right".into()],
        };
        let modes: Vec<ModeParts> = model
            .modes
            .iter()
            .map(|mode| ModeParts { id: &mode.id, component: &mode.component, positions: &mode.positions })
            .collect();
        let parts = Parts::new(&modes);
        let starts = PartStarts::new(&parts, &vehicles, as_of_day);
        let plan = SlotPlan::new(TimeAxis::Days, as_of_day, vehicles.known, &starts).unwrap();
        let codes: Vec<u32> = model.channels.iter().map(|&channel| schema.channels[channel].codes).collect();
        let exposures = exposure_columns(&model, &codes);
        Self { model, vehicles, parts, starts, plan, exposures }
    }

    fn chunk(&self, records: &[Record]) -> Chunk {
        let column = |name: &str| {
            let pick = |record: &Record| if name == "distance_km" { record.2 } else { record.3 };
            records.iter().map(pick).collect()
        };
        Chunk {
            vehicle: records.iter().map(|record| record.0).collect(),
            tick: records.iter().map(|record| record.1).collect(),
            codes: self.model.channel_names.iter().map(|name| column(name)).collect(),
        }
    }

    fn sums(&self, chunks: &[&[Record]], ids: Ids) -> FleetSums {
        let masks = slot_masks(&self.model, &self.vehicles, &self.plan);
        let request = DamageRequest { tables: &self.model.tables, masks: &masks, drivers: true };
        let open = || Ok(backend::open(Choice::Cpu, None, 1, &request)?.backend);
        let packer = Packer::new(&self.plan, &self.model.inputs, &self.exposures, 2, &open).unwrap();
        for (lane, records) in chunks.iter().enumerate() {
            packer.push(lane % 2, &self.chunk(records)).unwrap();
        }
        packer.finish(ids).unwrap()
    }

    fn fleet<'a>(&'a self, sums: &'a FleetSums) -> Fleet<'a> {
        Fleet {
            model: &self.model,
            plan: &self.plan,
            exposures: &self.exposures,
            sums,
            period_days: 1.0,
            regular: true,
        }
    }

    /// The increment of a record by the definition: base, rows, interactions.
    fn increment_q48(&self, mechanism: usize, record: &Record, attribute: Option<&str>) -> u64 {
        let (group, lane) = (mechanism / GROUP_LANES, mechanism % GROUP_LANES);
        let tables = &self.model.tables.groups[group];
        let mut sum = tables.base_q18[lane];
        let mut mask = self.model.masks(&|name| attribute.filter(|_| name == "model"))[group];
        for input in &tables.inputs {
            let TableInput::Channel(column) = self.model.inputs[input.input] else { panic!("no pairs in this model") };
            let code = if self.model.channel_names[column] == "distance_km" { record.2 } else { record.3 };
            sum += input.rows_q18[usize::from(code)][lane];
            mask &= input.masks.as_ref().map_or(u32::MAX, |masks| masks[usize::from(code)]);
        }
        for (bit, row) in tables.interactions_q18.iter().enumerate() {
            sum += if mask >> bit & 1 == 1 { row[lane] } else { 0 };
        }
        increment_q48(sum).0
    }
}

fn ids(vehicles: usize) -> Ids {
    Ids::Integer((0..vehicles as i64).map(|id| 1000 - id).collect())
}

/// A few hundred records of six vehicles, the last two unknown to the vehicles table, days 0 to 199.
fn records() -> Vec<Record> {
    let mut state = 12345u32;
    let mut next = |below: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) % below
    };
    let mut records = Vec::new();
    for vehicle in 0..6 {
        for day in 0..200 {
            if next(10) > 0 {
                records.push((vehicle, day, next(402) as u16, next(101) as u16));
            }
        }
    }
    records
}

fn replacements() -> Vec<FleetEvent> {
    vec![
        replacement(0, 0, None, 50),
        replacement(0, 0, None, 90),
        replacement(0, 1, Some(0), 90),
        replacement(1, 1, Some(1), 199),
        replacement(2, 1, Some(0), 109),
        replacement(2, 0, None, 150),
        replacement(3, 0, None, 400),
    ]
}

/// Clocks of every (vehicle, row, mechanism) by brute force.
fn expected(tiny: &Tiny, records: &[Record], as_of_day: i32) -> BTreeMap<(u32, usize, usize), u64> {
    let attribute = |vehicle: u32| [Some("M1"), Some("M2"), Some("M2"), None, None, None][vehicle as usize];
    let mut clocks = BTreeMap::new();
    for vehicle in 0..6 {
        for (index, row) in tiny.parts.rows.iter().enumerate() {
            let part = &tiny.parts.parts[row.part];
            let start = tiny
                .vehicles
                .events
                .iter()
                .filter(|event| event.vehicle == vehicle && event.occurred_day <= as_of_day)
                .filter(|event| tiny.vehicles.components[event.component as usize] == part.component)
                .filter(|event| {
                    let position = event.position.map(|position| &tiny.vehicles.positions[position as usize]);
                    part.position.is_none() || part.position.as_ref() == position
                })
                .map(|event| event.occurred_day)
                .max();
            for mechanism in tiny.model.modes[row.mode].mechanisms.clone() {
                let clock = records
                    .iter()
                    .filter(|record| record.0 == vehicle && start.is_none_or(|start| record.1 > start))
                    .fold(0u64, |sum, record| {
                        sum.wrapping_add(tiny.increment_q48(mechanism, record, attribute(vehicle)))
                    });
                clocks.insert((vehicle, index, mechanism), clock);
            }
        }
    }
    clocks
}

fn clocks(tiny: &Tiny, sums: &FleetSums) -> BTreeMap<(u32, usize, usize), u64> {
    let fleet = tiny.fleet(sums);
    let scorer = Scorer::new(fleet, &tiny.vehicles, &tiny.parts, &tiny.starts);
    let mut clocks = BTreeMap::new();
    for vehicle in 0..sums.vehicles {
        for (index, row) in tiny.parts.rows.iter().enumerate() {
            let slots = fleet.plan.since(vehicle, scorer.starts.day(vehicle, row.part));
            for mechanism in tiny.model.modes[row.mode].mechanisms.clone() {
                let clock = fleet.clock_q48(slots.clone(), mechanism);
                clocks.insert((vehicle as u32, index, mechanism), clock);
            }
        }
    }
    clocks
}

#[test]
fn clocks_restart_at_replacements() {
    let as_of = 199;
    let tiny = Tiny::new(replacements(), as_of);
    let records = records();
    let expected = expected(&tiny, &records, as_of);
    let sums = tiny.sums(&[&records], ids(6));
    assert_eq!(clocks(&tiny, &sums), expected);
    assert!(expected.values().filter(|&&clock| clock > 0).count() > 20, "hardly anything was summed");

    // The same records one by one, by time, and in reverse: nothing changes.
    let single: Vec<&[Record]> = records.chunks(1).collect();
    assert_eq!(tiny.sums(&single, ids(6)), sums);
    let mut by_time = records.clone();
    by_time.sort_by_key(|record| record.1);
    assert_eq!(tiny.sums(&[&by_time], ids(6)), sums);
    by_time.reverse();
    assert_eq!(tiny.sums(&by_time.chunks(77).collect::<Vec<_>>(), ids(6)), sums);

    // A record less, or a replacement a day later, is noticed.
    assert_ne!(clocks(&tiny, &tiny.sums(&[&records[1..]], ids(6))), expected);
    let mut shifted = replacements();
    shifted[1].occurred_day += 1;
    let shifted = Tiny::new(shifted, as_of);
    assert_ne!(clocks(&shifted, &shifted.sums(&[&records], ids(6))), expected);
}

#[test]
fn an_attribute_switches_an_interaction() {
    let cold = |vehicle: u32| -> Record { (vehicle, 10, 40, 4) };
    let tiny = Tiny::new(vec![], 100);
    let sums = tiny.sums(&[&[cold(0), cold(1), cold(3), cold(4)]], ids(5));
    let fleet = tiny.fleet(&sums);
    let age = tiny.model.mechanisms.iter().position(|mechanism| mechanism.id == "age").unwrap();
    let clock = |vehicle: usize| fleet.clock_q48(tiny.plan.of(vehicle), age) as f64;
    assert!((clock(1) / clock(0) / 3.2 - 1.0).abs() < 1e-4);
    assert_eq!(clock(3), clock(0), "no attribute: the condition does not hold");
    assert_eq!(clock(4), clock(0), "unknown vehicle: the condition does not hold");
}

#[test]
fn shards_merge_into_the_whole() {
    let tiny = Tiny::new(replacements(), 199);
    let records = records();
    let whole = tiny.sums(&[&records], ids(6));
    // The second shard met the unknown vehicles in another order.
    let (first, second): (Vec<Record>, Vec<Record>) = records.iter().partition(|record| record.1 % 3 == 0);
    let swapped: Vec<Record> = second
        .iter()
        .map(|&(vehicle, day, distance, temp)| ([0, 1, 2, 3, 5, 4][vehicle as usize], day, distance, temp))
        .collect();
    let mut merged = tiny.sums(&[&first], ids(6));
    let other = tiny.sums(&[&swapped], Ids::Integer(vec![1000, 999, 998, 997, 995, 996]));
    merged.merge(&other, &tiny.plan).unwrap();
    assert_eq!(merged, whole);

    // A part that never met some vehicles.
    let known_only: Vec<Record> = records.iter().copied().filter(|record| record.0 < 4).collect();
    let rest: Vec<Record> = records.iter().copied().filter(|record| record.0 >= 4).collect();
    let mut merged = tiny.sums(&[&known_only], ids(4));
    merged.merge(&tiny.sums(&[&rest], ids(6)), &tiny.plan).unwrap();
    assert_eq!(merged, whole);

    let stranger = tiny.sums(&[&records], Ids::Integer((0..6).collect()));
    assert!(merged.merge(&stranger, &tiny.plan).is_err());
    assert!(merged.merge(&FleetSums { ids: Ids::Text(vec![]), ..stranger }, &tiny.plan).is_err());
}

#[test]
fn rows_say_what_they_should() {
    use arrow::array::{Array, AsArray};
    use arrow::datatypes::{Date32Type, Float64Type, Int64Type};
    let tiny =
        Tiny::new(vec![replacement(0, 0, None, 150), replacement(2, 1, None, 20), replacement(1, 0, None, 199)], 199);
    // Vehicle 0: twice the distance of vehicle 1 on 100 days; vehicle 2: no distance on file; 3: no record; 4: unlisted.
    let mut records: Vec<Record> = Vec::new();
    for day in 100..200 {
        records.push((0, day, 160, 40));
        records.push((1, day, 80, 40));
        records.push((2, day, 401, 40));
        records.push((4, day - 100, 80, 40));
    }
    records.sort();
    let sums = tiny.sums(&[&records], ids(5));
    let scorer = Scorer::new(tiny.fleet(&sums), &tiny.vehicles, &tiny.parts, &tiny.starts);
    let rows = ScoreRows::new(&scorer, "bus", tiny.vehicles.attributes.iter().collect());
    assert_eq!(rows.rows(), 5 * 3);
    let batch = rows.batch(0..15).unwrap();
    let text = |column: &str, row: usize| {
        let column = batch.column_by_name(column).unwrap().as_string::<i32>();
        column.is_valid(row).then(|| column.value(row).to_owned())
    };
    let number = |column: &str, row: usize| {
        let column = batch.column_by_name(column).unwrap().as_primitive::<Float64Type>();
        column.is_valid(row).then(|| column.value(row))
    };
    // Ids fall with the index, so the unlisted vehicle stands first, vehicle 0 last.
    let id = batch.column(0).as_primitive::<Int64Type>();
    assert_eq!(id.values()[..], [996, 996, 996, 997, 997, 997, 998, 998, 998, 999, 999, 999, 1000, 1000, 1000]);
    let mode_and_position: Vec<_> = (0..3).map(|row| (text("failure_mode", row), text("position", row))).collect();
    assert_eq!(
        mode_and_position,
        [
            (Some("noise".into()), Some("left".into())),
            (Some("noise".into()), Some("right".into())),
            (Some("pads".into()), None)
        ]
    );
    let flags: Vec<String> = (0..15).map(|row| text("flags", row).unwrap()).collect();
    let not_placed = "history_starts_late,exposure_missing,replacement_not_placed";
    assert_eq!(
        flags,
        [
            "no_recent_records,start_unknown,unlisted_vehicle",
            "no_recent_records,start_unknown,unlisted_vehicle",
            "no_recent_records,start_unknown,unlisted_vehicle",
            "no_records,start_unknown",
            "no_records,start_unknown",
            "no_records,start_unknown",
            not_placed,
            not_placed,
            "history_starts_late,exposure_missing",
            "start_unknown,retired",
            "start_unknown,retired",
            "no_records_since_start,retired",
            "history_starts_late",
            "history_starts_late",
            "",
        ]
    );
    let pads = 14;
    let start = batch.column_by_name("clock_start").unwrap().as_primitive::<Date32Type>();
    assert_eq!((start.is_null(0), start.value(pads)), (true, 150));
    let count = batch.column_by_name("records").unwrap().as_primitive::<Int64Type>();
    assert_eq!((count.value(12), count.value(pads), count.value(11), count.value(3)), (100, 49, 0, 0));

    // Pads: 49 days of 80 km at the reference temperature on a life of 1,000 km, exponent 0.5, shape 2.
    let damage = number("damage", pads).unwrap();
    assert!((damage / (49.0f64 * 0.08).sqrt() - 1.0).abs() < 1e-4, "{damage}");
    assert!((number("cumulative_hazard", pads).unwrap() / (49.0 * 0.08) - 1.0).abs() < 1e-4);
    assert!((number("damage_per_day_recent", pads).unwrap() / (damage / 49.0) - 1.0).abs() < 1e-12);
    // Noise: 100 days; the recent 90 of them add nine tenths.
    let noise = number("damage", 12).unwrap();
    assert!((number("damage_per_day_recent", 12).unwrap() / (noise / 100.0) - 1.0).abs() < 1e-4);
    assert_eq!(number("damage_per_day_recent", 0), None, "no recent record, no recent rate");
    assert_eq!(number("damage", 3), Some(0.0));
    // Noise a day: 1/400 of age on every part, and 80, 40 and 0 km on 2,000. Of six parts the third is the median.
    for (row, rate) in [(12, 0.0425 / 0.0225), (9, 1.0), (6, 0.0025 / 0.0225)] {
        assert!((number("relative_rate", row).unwrap() / rate - 1.0).abs() < 1e-4, "{row}");
    }
    assert_eq!((number("relative_rate", 0), number("relative_rate", 3)), (None, None));
    assert_eq!(number("relative_rate", pads), None, "the median pads are those without distance, and do not wear");
    // Mean distance of the records that have one: (80 + 40 + 40) / 3 km.
    assert_eq!(text("driver_1", pads).as_deref(), Some("distance_km"));
    assert!((number("driver_1_ratio", pads).unwrap() - 1.5).abs() < 1e-9);
    assert_eq!((text("driver_2", pads), number("driver_2_ratio", pads)), (None, None));
    assert_eq!((text("driver_1", 2), text("driver_1", 3)), (None, None));
    assert_eq!((text("model", 0), text("model", 6), text("model", 12)), (None, Some("M2".into()), Some("M1".into())));

    let clocks = batch.column_by_name("clocks").unwrap().as_list::<i32>().value(12);
    let clocks = clocks.as_struct();
    assert_eq!(clocks.column(0).as_string::<i32>().iter().flatten().collect::<Vec<_>>(), ["age", "rolling"]);
    let age_q48 = clocks.column(1).as_primitive::<Int64Type>().value(0);
    assert!((age_q48 as f64 / (1u64 << 48) as f64 / 0.25 - 1.0).abs() < 1e-4);

    // Any cut of the rows gives the same rows.
    for cut in [1, 2, 7, 14] {
        let pieces = [rows.batch(0..cut).unwrap(), rows.batch(cut..15).unwrap()];
        assert_eq!(arrow::compute::concat_batches(rows.schema(), &pieces).unwrap(), batch);
    }
    assert_eq!(rows.batch(3..3).unwrap().num_rows(), 0);
}

#[test]
fn an_empty_fleet_has_no_rows() {
    let tiny = Tiny::new(vec![], 5);
    let sums = tiny.sums(&[&[]], ids(4));
    let scorer = Scorer::new(tiny.fleet(&sums), &tiny.vehicles, &tiny.parts, &tiny.starts);
    let rows = ScoreRows::new(&scorer, "vin", vec![]);
    assert_eq!((rows.rows(), rows.batch(0..12).unwrap().num_rows()), (12, 12));
    assert_eq!(scorer.median_rate, [None, None]);
}

/// What `verify` compares with: it must name the vehicle, mode and position where one bit differs, and rows too many.
#[test]
fn the_first_difference_is_named() {
    use fleetwear::engine::verify::first_difference;
    let tiny = Tiny::new(vec![replacement(0, 0, None, 150)], 199);
    let records: Vec<Record> = (100..200).flat_map(|day| (0..3).map(move |vehicle| (vehicle, day, 80, 40))).collect();
    let sums = tiny.sums(&[&records], ids(4));
    let compare = |other: &FleetSums| {
        let scorers =
            [&sums, other].map(|sums| Scorer::new(tiny.fleet(sums), &tiny.vehicles, &tiny.parts, &tiny.starts));
        let rows = scorers.each_ref().map(|scorer| ScoreRows::new(scorer, "bus", vec![]));
        first_difference(("one", &rows[0]), ("other", &rows[1])).unwrap()
    };
    assert_eq!(compare(&sums), None);

    let mut wrong = sums.clone();
    *wrong.damage.clocks_q48.iter_mut().rev().find(|clock| **clock > 0).unwrap() ^= 1;
    let found = compare(&wrong).unwrap();
    assert_eq!(found.runs, ("one".to_owned(), "other".to_owned()));
    assert_eq!(found.column, "clocks");
    assert_ne!(found.values.0, found.values.1);
    assert!(!found.vehicle.is_empty() && !found.failure_mode.is_empty());

    // A vehicle that stands first, since its id is the smallest, with records like all others'.
    let more: Vec<Record> = (100..200).flat_map(|day| [0, 1, 2, 4].map(|vehicle| (vehicle, day, 80, 40))).collect();
    let longer = tiny.sums(&[&more], ids(5));
    let found = compare(&longer).unwrap();
    assert_eq!((found.column.as_str(), found.values.1.as_str()), ("bus", "996"));
    // One that stands last: all rows of the shorter table agree.
    let longer = tiny.sums(&[&more], Ids::Integer(vec![1000, 999, 998, 997, 5000]));
    let found = compare(&longer).unwrap();
    assert_eq!((found.column.as_str(), found.vehicle.as_str()), ("rows of the table", "5000"));
    // A name without a record that counts is no vehicle.
    assert_eq!(compare(&tiny.sums(&[&records], ids(5))), None);
}
