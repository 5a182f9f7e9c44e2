//! The conductor of `synth`: blocks of vehicles in parallel, tables in order, everything into one output folder.
//!
//! A block is a fixed number of vehicles, whatever the threads. Its worker makes the rows, wears the parts, plays
//! their lives and, by vehicle, writes the block's own history file; the small tables come back and are written in
//! block order. By day, the histories are made a second time, some days of all vehicles at once, since a row is a
//! function of vehicle and day: nothing is held or spilled.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::Instant;

use arrow::array::RecordBatch;

use super::calibrate;
use super::day::{Columns, DayMaker};
use super::dictionary;
use super::error::SynthError;
use super::fleet::{Fleet, Profile};
use super::histories::{self, Rows};
use super::life::VehicleHistory;
use super::order::{Workshop, sensor_repair_day};
use super::plan::{Layout, SynthPlan, SynthReport};
use super::table::{self, Identity, LivesTable};
use super::truth::{self, Counts};
use super::wear::{RunningClocks, Wear};
use crate::fleet::manifest::{Manifest, ManifestModel, StageTiming};
use crate::fleet::writer::{OutputFolder, PartWriter, TableSpec};
use crate::model::channel::Schema;
use crate::model::compile::compile;
use crate::model::shipped::{STANDARD_ATTRIBUTES, standard_schema};
use crate::model::spec::Model;
use crate::run::{Control, Event};

/// Rows that are laid out at once.
const ROWS_PER_BATCH: usize = 1 << 16;
/// Rows held while files by day are made, about.
const ROWS_PER_SLICE: u64 = 1 << 22;

/// Makes the fleet in the folder `out`, which must not exist or be empty.
pub fn generate(plan: &SynthPlan, out: &Path, control: &Control) -> Result<SynthReport, SynthError> {
    let begun = Instant::now();
    let schema = standard_schema();
    plan.check()?;
    let model = Model::load(&plan.model)?;
    let mut fleet = Fleet::new(plan, &model.name)?;
    let wear = Wear::new(compile(&model, &schema)?, &schema)?;
    let folder = OutputFolder::create(out)?;
    calibrate::settle_customer_a(&mut fleet, &schema, &wear)?;
    let settled_s = begun.elapsed().as_secs_f64();

    let maker = Maker {
        days: DayMaker::new(&fleet, &schema),
        fleet: &fleet,
        schema: &schema,
        wear: &wear,
        folder: &folder,
        control,
    };
    control.emit(Event::Stage { name: "synth", total_rows: Some(u64::from(plan.vehicles) * u64::from(plan.days)) });
    let counts = maker.all_blocks()?;
    let blocks_s = begun.elapsed().as_secs_f64();
    if plan.layout == Layout::Day {
        control.emit(Event::Stage { name: "by day", total_rows: Some(counts.rows) });
        maker.all_days()?;
    }
    let days_s = begun.elapsed().as_secs_f64();

    folder.write_file("dataset.toml", dictionary::text(plan, &schema).as_bytes())?;
    let planted = truth::planted(&fleet, &wear, &counts);
    folder.write_json("truth/planted.json", &planted)?;

    let mut content = blake3::Hasher::new();
    let mut history_bytes = 0;
    for file in folder.files() {
        content.update(format!("{}\0{}\0", file.path, file.blake3).as_bytes());
        if file.path.starts_with(histories::TABLE) {
            history_bytes += file.bytes;
        }
    }
    let content_hash = content.finalize().to_hex().to_string();
    let timing = |stage: &str, seconds| StageTiming { stage: stage.to_owned(), seconds };
    folder.finish(Manifest {
        command: "synth".to_owned(),
        options: options(plan),
        model: Some(ManifestModel {
            name: wear.model.name.clone(),
            version: wear.model.version.clone(),
            blake3: wear.model.hash.clone(),
        }),
        content_hash: Some(content_hash.clone()),
        device: "cpu".to_owned(),
        threads: plan.threads,
        timings: vec![
            timing("settle", settled_s),
            timing("vehicles", blocks_s - settled_s),
            timing("days", days_s - blocks_s),
        ],
        ..Manifest::default()
    })?;
    Ok(SynthReport {
        vehicles: plan.vehicles,
        rows: counts.rows,
        work_orders: counts.work_orders,
        failures: counts.failures.into_iter().collect(),
        history_bytes,
        content_hash,
        seconds: begun.elapsed().as_secs_f64(),
    })
}

fn options(plan: &SynthPlan) -> serde_json::Map<String, serde_json::Value> {
    let mut options = serde_json::Map::new();
    options.insert("vehicles".to_owned(), plan.vehicles.into());
    options.insert("days".to_owned(), plan.days.into());
    options.insert("seed".to_owned(), plan.seed.into());
    options.insert("start_day".to_owned(), plan.start_day.into());
    options.insert("layout".to_owned(), format!("{:?}", plan.layout).to_lowercase().into());
    options.insert("without_rule".to_owned(), plan.without_rule.into());
    options.insert("ids".to_owned(), format!("{:?}", plan.ids).to_lowercase().into());
    let zones = plan.zones.iter().map(|(zone, share)| (zone.clone(), (*share).into()));
    options.insert("zones".to_owned(), serde_json::Value::Object(zones.collect()));
    options
}

/// What every worker reads.
struct Maker<'a> {
    fleet: &'a Fleet,
    schema: &'a Schema,
    wear: &'a Wear,
    days: DayMaker<'a>,
    folder: &'a OutputFolder,
    control: &'a Control<'a>,
}

/// The small tables of one block.
struct Block {
    vehicles: RecordBatch,
    orders: RecordBatch,
    truth_vehicles: RecordBatch,
    lives: RecordBatch,
    counts: Counts,
}

impl Maker<'_> {
    fn plan(&self) -> &SynthPlan {
        &self.fleet.plan
    }

    fn vehicles_per_block(&self) -> u32 {
        (self.plan().rows_per_file / self.plan().days).max(1)
    }

    /// Makes all blocks and writes the tables that have a row a vehicle, an order or a life.
    fn all_blocks(&self) -> Result<Counts, SynthError> {
        let kind = self.plan().ids;
        let blocks = self.plan().vehicles.div_ceil(self.vehicles_per_block());
        let table = |name: &str, schema, sort: &[&str]| {
            let spec = TableSpec::new(name, schema, sort);
            self.folder.part_writer(&format!("{name}.parquet"), &spec)
        };
        let id = kind.column();
        let mut vehicles = table("vehicles", table::vehicles_schema(kind), &[id])?;
        let mut orders = table("work_orders", table::orders_schema(kind), &["order_id"])?;
        let mut truth_vehicles = table("truth/vehicles", table::truth_vehicles_schema(kind), &[id])?;
        let mut lives = table("truth/lives", table::lives_schema(kind), &[id])?;
        let mut counts = Counts::new(self.wear, !self.plan().without_rule);

        self.in_order(
            blocks,
            |worker, block| self.block(worker, block),
            |block: Block| {
                for (writer, rows) in [
                    (&mut vehicles, &block.vehicles),
                    (&mut orders, &block.orders),
                    (&mut truth_vehicles, &block.truth_vehicles),
                    (&mut lives, &block.lives),
                ] {
                    writer.write(rows)?;
                }
                counts.add(&block.counts);
                Ok(())
            },
        )?;
        for writer in [vehicles, orders, truth_vehicles, lives] {
            writer.close()?;
        }
        Ok(counts)
    }

    /// Does `count` jobs on the plan's threads and takes their results in order.
    fn in_order<T: Send>(
        &self,
        count: u32,
        job: impl Fn(&mut Scratch, u32) -> Result<T, SynthError> + Sync,
        mut take: impl FnMut(T) -> Result<(), SynthError>,
    ) -> Result<(), SynthError> {
        let next = AtomicU32::new(0);
        std::thread::scope(|scope| {
            // Results wait for their turn in the map below; the bound keeps workers from running far ahead of it.
            let (sender, results) = mpsc::sync_channel(self.plan().threads);
            for _ in 0..self.plan().threads.min(count.max(1) as usize) {
                let (sender, next, job) = (sender.clone(), &next, &job);
                scope.spawn(move || {
                    let mut scratch = Scratch::default();
                    loop {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        if index >= count {
                            break;
                        }
                        let result = job(&mut scratch, index);
                        let failed = result.is_err();
                        if failed {
                            next.store(count, Ordering::Relaxed);
                        }
                        // A closed channel means that the run has failed already.
                        if sender.send((index, result)).is_err() || failed {
                            break;
                        }
                    }
                });
            }
            drop(sender);
            let mut waiting = BTreeMap::new();
            let mut expected = 0;
            for (index, result) in results {
                match result {
                    Ok(done) => drop(waiting.insert(index, done)),
                    Err(error) => {
                        next.store(count, Ordering::Relaxed);
                        return Err(error);
                    }
                }
                while let Some(done) = waiting.remove(&expected) {
                    if let Err(error) = take(done) {
                        next.store(count, Ordering::Relaxed);
                        return Err(error);
                    }
                    expected += 1;
                }
            }
            Ok(())
        })
    }

    /// Makes the vehicles of one block.
    fn block(&self, scratch: &mut Scratch, index: u32) -> Result<Block, SynthError> {
        let plan = self.plan();
        let first = index * self.vehicles_per_block();
        let last = (first + self.vehicles_per_block()).min(plan.vehicles);
        let mut counts = Counts::new(self.wear, !plan.without_rule);
        let mut vehicles = Vec::with_capacity((last - first) as usize);
        let mut orders = Vec::new();
        let mut lives_table = LivesTable::new(plan.ids);
        let spec = histories::spec(plan.ids, self.schema, &[plan.ids.column(), histories::DATE]);
        let mut part = match plan.layout {
            Layout::Vehicle => Some(self.folder.part_writer(&spec.part_path(index as usize), &spec)?),
            Layout::Day => None,
        };
        for vehicle in first..last {
            self.control.check()?;
            let (identity, profile) = self.vehicle(scratch, vehicle, &mut counts, &mut orders, &mut lives_table);
            if let Some(part) = &mut part {
                let before = scratch.rows.columns.day.len();
                scratch.rows.columns.extend(&scratch.columns);
                scratch.rows.runs.push((identity, (scratch.rows.columns.day.len() - before) as u32));
                self.flush(scratch, part, ROWS_PER_BATCH)?;
            }
            vehicles.push((identity, profile));
        }
        if let Some(mut part) = part {
            self.flush(scratch, &mut part, 1)?;
            part.close()?;
        }
        Ok(Block {
            vehicles: table::vehicles_batch(self.fleet, &vehicles)?,
            orders: table::orders_batch(plan.ids, &orders, &vehicles)?,
            truth_vehicles: table::truth_vehicles_batch(plan.ids, &vehicles)?,
            lives: lives_table.finish(self.wear)?,
            counts,
        })
    }

    /// Writes the rows that have gathered, once there are `enough`.
    fn flush(&self, scratch: &mut Scratch, part: &mut PartWriter, enough: usize) -> Result<(), SynthError> {
        let rows = scratch.rows.columns.day.len();
        if rows >= enough {
            part.write(&scratch.rows.take_batch(self.plan().ids, self.schema)?)?;
            self.control.emit(Event::Rows(rows as u64));
        }
        Ok(())
    }

    /// Makes one vehicle's rows (left in `scratch.columns`), its lives and its orders.
    fn vehicle(
        &self,
        scratch: &mut Scratch,
        vehicle: u32,
        counts: &mut Counts,
        orders: &mut Vec<super::order::Order>,
        lives_table: &mut LivesTable,
    ) -> (Identity, Profile) {
        let (plan, draws) = (self.plan(), &self.fleet.draws);
        let (profile, service_days) = self.profile(vehicle);
        let identity = Identity::of(&profile, plan.ids);
        scratch.columns.clear();
        self.days.append(&profile, service_days.clone(), &mut scratch.columns);
        let attributes = self.fleet.attributes(&profile);
        let value = |name: &str| STANDARD_ATTRIBUTES.iter().zip(&attributes).find(|(other, _)| **other == name);
        let masks = self.wear.model.masks(&|attribute| value(attribute).map(|(_, value)| value.as_str()));
        self.wear.run(&scratch.columns, &masks, !plan.without_rule, &mut scratch.clocks);
        let history = VehicleHistory {
            profile: &profile,
            day: &scratch.columns.day,
            clocks: &scratch.clocks,
            service_days: service_days.clone(),
            data_days: plan.start_day..plan.end_day(),
        };
        let lives = history.lives(self.wear, draws);
        for life in &lives {
            lives_table.push(identity, life, self.wear, &scratch.clocks);
        }
        scratch.odometer.clear();
        let mut odometer = 0;
        scratch.odometer.extend(scratch.columns.odometer_steps.iter().map(|&steps| {
            odometer += u64::from(steps);
            odometer
        }));
        let seen_days = f64::from((service_days.end - service_days.start).max(1));
        let age_days = f64::from((plan.start_day - profile.sale_day).max(0));
        let workshop = Workshop {
            profile: &profile,
            wear: self.wear,
            draws,
            service_days: service_days.clone(),
            day: &scratch.columns.day,
            odometer_steps: &scratch.odometer,
            odometer_before_km: odometer as f64 * 0.1 / seen_days * age_days,
        };
        orders.extend(workshop.orders(&lives, counts));

        let rows = scratch.columns.day.len();
        counts.vehicles += 1;
        counts.rows += rows as u64;
        counts.missing_days += (service_days.end - service_days.start) as u64 - rows as u64;
        counts.lives(&lives, self.wear, &scratch.clocks, &masks, rows);
        counts.sensor(&profile, &service_days);
        counts.driving(&profile, &scratch.columns, &scratch.clocks, self.schema, &calibrate::pad_mechanisms(self.wear));
        (identity, profile)
    }

    /// A vehicle's profile, with its sensor's repair settled, and its days in the data.
    fn profile(&self, vehicle: u32) -> (Profile, std::ops::Range<i32>) {
        let mut profile = Profile::draw(self.fleet, vehicle);
        let service_days = profile.service_days(self.plan());
        if let Some(day) = sensor_repair_day(&profile, &self.fleet.draws, &service_days)
            && let Some(drift) = &mut profile.drift
        {
            drift.repaired_day = day;
        }
        (profile, service_days)
    }

    /// Writes the histories a file a day: for some days at a time, the rows of all vehicles are made in parallel
    /// ranges, then the days' files are written in parallel.
    fn all_days(&self) -> Result<(), SynthError> {
        let plan = self.plan();
        let days_at_once = (ROWS_PER_SLICE / u64::from(plan.vehicles)).clamp(1, u64::from(plan.days)) as i32;
        let range = self.vehicles_per_block().max(plan.vehicles.div_ceil(64));
        let ranges = plan.vehicles.div_ceil(range);
        let spec = histories::spec(plan.ids, self.schema, &[plan.ids.column()]);
        let mut begin = plan.start_day;
        while begin < plan.end_day() {
            let days = begin..(begin + days_at_once).min(plan.end_day());
            let mut made: Vec<Vec<Rows>> = Vec::with_capacity(ranges as usize);
            self.in_order(
                ranges,
                |scratch, index| {
                    let vehicles = index * range..((index + 1) * range).min(plan.vehicles);
                    self.days_of(scratch, vehicles, &days)
                },
                |rows| {
                    made.push(rows);
                    Ok(())
                },
            )?;
            let made = &made;
            self.in_order(
                days.len() as u32,
                |_, offset| {
                    self.control.check()?;
                    let mut pieces =
                        made.iter().map(|days| &days[offset as usize]).filter(|rows| !rows.runs.is_empty()).peekable();
                    if pieces.peek().is_none() {
                        return Ok(());
                    }
                    let mut part = self.folder.part_writer(&histories::day_path(days.start + offset as i32), &spec)?;
                    let mut written = 0;
                    for rows in pieces {
                        let batch = rows.clone().take_batch(plan.ids, self.schema)?;
                        written += batch.num_rows() as u64;
                        part.write(&batch)?;
                    }
                    part.close()?;
                    self.control.emit(Event::Rows(written));
                    Ok(())
                },
                |()| Ok(()),
            )?;
            begin = days.end;
        }
        Ok(())
    }

    /// The rows of some vehicles on some days, day by day.
    fn days_of(
        &self,
        scratch: &mut Scratch,
        vehicles: std::ops::Range<u32>,
        days: &std::ops::Range<i32>,
    ) -> Result<Vec<Rows>, SynthError> {
        let plan = self.plan();
        let mut made = vec![Rows::default(); days.len()];
        for vehicle in vehicles {
            self.control.check()?;
            let (profile, service_days) = self.profile(vehicle);
            let identity = Identity::of(&profile, plan.ids);
            let within = service_days.start.max(days.start)..service_days.end.min(days.end);
            if within.is_empty() {
                continue;
            }
            scratch.columns.clear();
            self.days.append(&profile, within, &mut scratch.columns);
            for row in 0..scratch.columns.day.len() {
                let rows = &mut made[(scratch.columns.day[row] - days.start) as usize];
                rows.runs.push((identity, 1));
                rows.columns.push_row_of(&scratch.columns, row);
            }
        }
        Ok(made)
    }
}

/// Buffers of one worker.
#[derive(Default)]
struct Scratch {
    columns: Columns,
    clocks: RunningClocks,
    odometer: Vec<u64>,
    rows: Rows,
}
