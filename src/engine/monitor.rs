//! Watches the fleet: a first scan of a share of the vehicles learns what is normal, a second one watches all.
//!
//! Key idea: both scans hand out each vehicle's records in time order, so that a watch is a fold over them. What a
//! lane holds is one bounded state a vehicle; where all of them would not fit, the fleet is read in shards. Sums over
//! vehicles are counts, and rows are sorted by id at the end, so nothing depends on lanes or shards.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use hashbrown::HashMap;

use super::error::EngineError;
use super::histories::Histories;
use super::monitor_report::{MonitorSummary, Monitoring};
use super::score::thread_pool;
use crate::fleet::chunk::{Chunk, Order};
use crate::fleet::dataset::Dataset;
use crate::fleet::scan::{ChunkSink, ScanKind, ScanRequest, SinkError};
use crate::fleet::time::TimeAxis;
use crate::fleet::vehicles::{Attribute, Ids};
use crate::model::spec::{Model, Monitor};
use crate::monitor::alarm::Reason;
use crate::monitor::cohort::{self, Cohort};
use crate::monitor::error::MonitorError;
use crate::monitor::lots::{Lots, Replacements, groups};
use crate::monitor::output::{Names, VehicleAlarm, VehicleId, sort_alarms};
use crate::monitor::panel::{PanelRecord, Series, series};
use crate::monitor::rules::{Rules, Steps};
use crate::monitor::watch::{Ended, RECENT_SAMPLES, Watch};
use crate::run::{Control, Event};

/// Records of the panel, about: 32 MiB a monitored channel.
const PANEL_RECORDS: u64 = 1 << 22;
/// Most shards that the fleet is read in for want of memory.
const MOST_SHARDS: u32 = 64;

/// How to watch. Only `as_of_day`, `seed` and `cohorts` bear on the result.
#[derive(Clone, Debug)]
pub struct MonitorRequest {
    /// Last day that counts; `None`: all records.
    pub as_of_day: Option<i32>,
    pub seed: u64,
    /// Attributes to look for cohorts in; `None`: all that the dataset has. Build months are looked at in any case.
    pub cohorts: Option<Vec<String>>,
    pub threads: usize,
    pub memory_limit_bytes: usize,
    pub chunk_rows: usize,
    pub reversed: bool,
    pub scan_kind: Option<ScanKind>,
    /// Dictionary indices of channels that are read before the monitors' own: where records are repeated, it is by all
    /// of them that one is chosen.
    pub settled_by: Vec<usize>,
}

impl MonitorRequest {
    /// All records, all cohorts, all cores.
    pub fn new(seed: u64) -> Self {
        Self {
            as_of_day: None,
            seed,
            cohorts: None,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            memory_limit_bytes: 512 << 20,
            chunk_rows: super::plan::CHUNK_ROWS,
            reversed: false,
            scan_kind: None,
            settled_by: Vec::new(),
        }
    }

    fn scan(&self, channels: &[usize], shard: Option<(u32, u32)>) -> ScanRequest {
        ScanRequest {
            channels: channels.to_vec(),
            order: Order::TimeOrderedPerVehicle,
            as_of_day: self.as_of_day,
            threads: self.threads,
            memory_limit_bytes: self.memory_limit_bytes,
            chunk_rows: self.chunk_rows,
            reversed: self.reversed,
            shard,
            kind: self.scan_kind,
            hash_inputs: false,
            files: None,
        }
    }
}

/// One monitor laid over the dataset.
struct Laid<'a> {
    monitor: &'a Monitor,
    /// Index into the dictionary's channels, and into a chunk's columns.
    channel: usize,
    column: usize,
    lots: Lots,
    replacements: Replacements,
}

/// Watches every monitor of `model` over the histories of `dataset`: alarms, cohorts, and what the watch went by.
/// A model without monitors gives an empty result without reading anything.
///
/// # Errors
///
/// A channel or attribute that the dataset lacks; whatever is wrong with the histories; interruption.
pub fn monitor(
    dataset: &Dataset,
    model: &Model,
    request: &MonitorRequest,
    control: &Control,
) -> Result<Monitoring, EngineError> {
    watch(Histories { dataset, kept: None }, model, request, control)
}

/// The same, wherever the records come from.
pub(super) fn watch(
    histories: Histories,
    model: &Model,
    request: &MonitorRequest,
    control: &Control,
) -> Result<Monitoring, EngineError> {
    let dataset = histories.dataset;
    let attributes = cohort_attributes(dataset, request)?;
    let mut monitoring = Monitoring::new(dataset);
    if model.monitors.is_empty() {
        return Ok(monitoring);
    }
    let (laid, channels) = lay(dataset, model, request, &mut monitoring.warnings)?;
    let pool = thread_pool(request.threads)?;
    let steps = Steps::new(dataset.axis, dataset.dictionary.histories.period.usual_days());

    control.emit(Event::Stage { name: "learn", total_rows: None });
    let shares = histories.rows().div_ceil(PANEL_RECORDS).clamp(1, u64::from(u32::MAX)) as u32;
    let columns = laid.iter().map(|one| one.column).collect();
    let panel = Panel { axis: dataset.axis, columns, records: Mutex::default() };
    let shard = (shares > 1).then_some((0, shares));
    histories.scan(&request.scan(&channels, shard), control, &panel)?;
    let mut records = panel.records.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut rules = Vec::with_capacity(laid.len());
    let mut panel_vehicles = 0;
    for (number, one) in laid.iter().enumerate() {
        control.check()?;
        let last_use = laid[number + 1..].iter().all(|later| later.column != one.column);
        let rows = match records.get_mut(one.column) {
            Some(rows) if last_use => std::mem::take(rows),
            Some(rows) => rows.clone(),
            None => Vec::new(),
        };
        let channel = &dataset.dictionary.channels[one.channel].channel;
        rules.push(pool.install(|| {
            let lot_of = |vehicle| one.lots.of(vehicle);
            let panel: Vec<Series> = series(rows, channel, lot_of, |vehicle| one.replacements.from(vehicle, i32::MIN));
            panel_vehicles = panel_vehicles.max(panel.len());
            Rules::learn(one.monitor, channel, steps, &panel, one.lots.count, (request.seed, number as u32))
        }));
    }

    let names: Vec<Names> =
        laid.iter().map(|one| Names { monitor: &one.monitor.id, component: &one.monitor.component }).collect();
    let mut summaries: Vec<MonitorSummary> =
        laid.iter().zip(&rules).map(|(one, rules)| MonitorSummary::new(one.monitor, rules)).collect();
    let known = dataset.vehicles.known;
    let mut watched = vec![vec![false; known]; laid.len()];
    let mut alarmed = vec![vec![false; known]; laid.len()];
    let vehicles = known.max(panel_vehicles.saturating_mul(shares as usize));
    let shards = shards(&rules, vehicles, request.memory_limit_bytes);
    control.emit(Event::Stage { name: "watch", total_rows: None });
    for shard in 0..shards {
        let watchers = Watchers {
            axis: dataset.axis,
            laid: &laid,
            rules: &rules,
            lanes: (0..request.threads.max(1)).map(|_| Mutex::default()).collect(),
        };
        let shard = (shards > 1).then_some((shard, shards));
        let report = histories.scan(&request.scan(&channels, shard), control, &watchers)?;
        for (vehicle, monitor, ended) in watchers.finish(request.as_of_day.is_some()) {
            summaries[monitor].count(&ended);
            if let Some(entry) = watched[monitor].get_mut(vehicle as usize) {
                *entry |= ended.samples > 0;
            }
            let Some(alarm) = ended.alarm else { continue };
            if let Some(entry) = alarmed[monitor].get_mut(vehicle as usize) {
                *entry = true;
            }
            let Some(vehicle) = VehicleId::of(&report.ids, vehicle) else {
                return Err(EngineError::Internal { what: format!("vehicle {vehicle} has no id") });
            };
            monitoring.alarms.push(VehicleAlarm { vehicle, monitor, alarm });
        }
        monitoring.rows += report.account.scored;
        monitoring.text_ids = matches!(report.ids, Ids::Text(_));
    }
    sort_alarms(&mut monitoring.alarms, &names);
    let groups = groups(&dataset.vehicles, &attributes, dataset.axis);
    let mut cohorts: Vec<Cohort> = Vec::new();
    for (number, (watched, alarmed)) in watched.iter().zip(&alarmed).enumerate() {
        cohorts.extend(cohort::scan(number, &groups, watched, alarmed));
    }
    cohort::adjust(&mut cohorts);
    monitoring.cohorts = cohorts;
    for (one, rules) in laid.iter().zip(&rules) {
        monitoring.warn_of(one.monitor, rules);
    }
    monitoring.monitors = summaries;
    Ok(monitoring)
}

fn lay<'a>(
    dataset: &Dataset,
    model: &'a Model,
    request: &MonitorRequest,
    warnings: &mut Vec<String>,
) -> Result<(Vec<Laid<'a>>, Vec<usize>), EngineError> {
    let mut channels = request.settled_by.clone();
    let mut laid = Vec::with_capacity(model.monitors.len());
    for monitor in &model.monitors {
        let Some(channel) = dataset.dictionary.channel_index(&monitor.channel) else {
            let known = dataset.dictionary.channels.iter().map(|known| known.channel.name.clone()).collect();
            let (monitor, channel) = (monitor.id.clone(), monitor.channel.clone());
            return Err(MonitorError::UnknownChannel { monitor, channel, known }.into());
        };
        let column = channels.iter().position(|known| *known == channel).unwrap_or_else(|| {
            channels.push(channel);
            channels.len() - 1
        });
        let lot = monitor.lot.as_ref().and_then(|name| attribute(dataset, name));
        if let (Some(name), None) = (&monitor.lot, lot) {
            warnings.push(format!(
                "monitor {}: the dataset has no attribute {name:?}, so all vehicles count as one lot, and what the \
                 whole fleet does on a day is not taken off",
                monitor.id
            ));
        }
        laid.push(Laid {
            monitor,
            channel,
            column,
            lots: Lots::by(lot),
            replacements: Replacements::of(&dataset.vehicles, &monitor.component, request.as_of_day),
        });
    }
    Ok((laid, channels))
}

fn attribute<'a>(dataset: &'a Dataset, name: &str) -> Option<&'a Attribute> {
    dataset.vehicles.attributes.iter().find(|attribute| attribute.name == name)
}

fn cohort_attributes<'a>(dataset: &'a Dataset, request: &MonitorRequest) -> Result<Vec<&'a Attribute>, MonitorError> {
    let all = &dataset.vehicles.attributes;
    let Some(names) = &request.cohorts else { return Ok(all.iter().collect()) };
    let find = |name: &String| {
        attribute(dataset, name).ok_or_else(|| MonitorError::UnknownAttribute {
            name: name.clone(),
            known: all.iter().map(|attribute| attribute.name.clone()).collect(),
        })
    };
    names.iter().map(find).collect()
}

/// In how many shards the watches fit into memory.
fn shards(rules: &[Rules], vehicles: usize, memory_limit_bytes: usize) -> u32 {
    let sample_bytes = std::mem::size_of::<(i32, f32)>();
    let watch_bytes =
        |rules: &Rules| std::mem::size_of::<Held>() + 2 * sample_bytes * RECENT_SAMPLES.max(rules.baseline_samples);
    let bytes = vehicles.saturating_mul(rules.iter().map(watch_bytes).sum());
    (bytes.div_ceil(memory_limit_bytes.max(1)) as u64).clamp(1, u64::from(MOST_SHARDS)) as u32
}

/// Keeps the records of a share of the fleet.
struct Panel {
    axis: TimeAxis,
    /// The columns that are watched.
    columns: BTreeSet<usize>,
    /// By column; of others, nothing.
    records: Mutex<Vec<Vec<PanelRecord>>>,
}

impl ChunkSink for Panel {
    fn push(&self, _lane: usize, chunk: &Chunk) -> Result<(), SinkError> {
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        records.resize(chunk.codes.len(), Vec::new());
        for &column in &self.columns {
            let (records, codes) = (&mut records[column], &chunk.codes[column]);
            let rows = chunk.vehicle.iter().zip(&chunk.tick).zip(codes);
            records.extend(rows.map(|((&vehicle, &tick), &code)| PanelRecord {
                vehicle,
                day: self.axis.day(tick),
                code,
            }));
        }
        Ok(())
    }

    fn restart(&self) -> Result<(), SinkError> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner).clear();
        Ok(())
    }
}

/// A watch with the day on which its part was, or will have been, replaced.
struct Held {
    watch: Watch,
    replaced_day: Option<i32>,
}

/// What one lane of the scan holds.
#[derive(Default)]
struct Lane {
    /// One entry a monitor.
    vehicles: HashMap<u32, Vec<Held>>,
    ended: Vec<(u32, usize, Ended)>,
}

/// Feeds every vehicle's watches.
struct Watchers<'a> {
    axis: TimeAxis,
    laid: &'a [Laid<'a>],
    rules: &'a [Rules],
    lanes: Vec<Mutex<Lane>>,
}

impl Watchers<'_> {
    /// Ends all watches. `up_to_date`: replacements after the last record have happened by the as-of day.
    fn finish(self, up_to_date: bool) -> Vec<(u32, usize, Ended)> {
        let mut all = Vec::new();
        for lane in self.lanes {
            let mut lane = lane.into_inner().unwrap_or_else(PoisonError::into_inner);
            all.append(&mut lane.ended);
            for (vehicle, held) in lane.vehicles {
                for (monitor, held) in held.into_iter().enumerate() {
                    let lot = self.laid[monitor].lots.of(vehicle);
                    let replaced_day = held.replaced_day.filter(|_| up_to_date);
                    all.push((vehicle, monitor, held.watch.end(&self.rules[monitor], lot, replaced_day)));
                }
            }
        }
        all
    }

    fn begin(&self, vehicle: u32, day: i32) -> Vec<Held> {
        let held = |one: &Laid| Held {
            watch: Watch::since(one.replacements.before(vehicle, day)),
            replaced_day: one.replacements.from(vehicle, day),
        };
        self.laid.iter().map(held).collect()
    }
}

impl ChunkSink for Watchers<'_> {
    fn push(&self, lane: usize, chunk: &Chunk) -> Result<(), SinkError> {
        let Some(lane) = self.lanes.get(lane) else { return Err("a scan has more lanes than threads".into()) };
        let mut guard = lane.lock().unwrap_or_else(PoisonError::into_inner);
        let Lane { vehicles, ended } = &mut *guard;
        let mut from = 0;
        while from < chunk.len() {
            let vehicle = chunk.vehicle[from];
            let rows = chunk.vehicle[from..].iter().take_while(|other| **other == vehicle).count();
            let first_day = self.axis.day(chunk.tick[from]);
            let held = vehicles.entry(vehicle).or_insert_with(|| self.begin(vehicle, first_day));
            for (monitor, (held, rules)) in held.iter_mut().zip(self.rules).enumerate() {
                let one = &self.laid[monitor];
                let codes = &chunk.codes[one.column];
                for (&tick, &code) in chunk.tick[from..from + rows].iter().zip(&codes[from..from + rows]) {
                    let day = self.axis.day(tick);
                    if let Some(replaced_day) = held.replaced_day.filter(|&replaced| day > replaced) {
                        let watch =
                            std::mem::replace(&mut held.watch, Watch::since(one.replacements.before(vehicle, day)));
                        ended.push((vehicle, monitor, watch.end(rules, one.lots.of(vehicle), Some(replaced_day))));
                        held.replaced_day = one.replacements.from(vehicle, day);
                    }
                    held.watch.record(rules, day, code);
                }
            }
            from += rows;
        }
        Ok(())
    }

    fn restart(&self) -> Result<(), SinkError> {
        for lane in &self.lanes {
            *lane.lock().unwrap_or_else(PoisonError::into_inner) = Lane::default();
        }
        Ok(())
    }
}

impl MonitorSummary {
    fn count(&mut self, ended: &Ended) {
        self.parts += u64::from(ended.samples > 0);
        self.parts_with_baseline += u64::from(ended.has_baseline);
        self.samples_watched += u64::from(ended.watched);
        if let Some(alarm) = &ended.alarm {
            match alarm.reason {
                Reason::Threshold => self.threshold_alarms += 1,
                Reason::Drift => self.drift_alarms += 1,
                Reason::Variance => self.variance_alarms += 1,
            }
        }
    }
}
