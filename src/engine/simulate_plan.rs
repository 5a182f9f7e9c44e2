//! What a simulation is to do, and what came of it.

use std::path::PathBuf;

use serde::Serialize;

use super::accumulate::Fallback;
use super::plan::CHUNK_ROWS;
use super::simulate_urgent::UrgentVehicle;
use crate::backend::survival::PART_BITS;
use crate::backend::{Choice, DeviceShare};
use crate::fleet::account::Account;
use crate::fleet::manifest::{Manifest, ManifestAccount};
use crate::fleet::scan::{ScanKind, UnreadableFile};
use crate::fleet::vehicles::Ids;
use crate::monitor::cohort::Cohort;
use crate::monitor::output::VehicleAlarm;
use crate::score::parts::Parts;
use crate::simulate::count_law::{CountLaw, mixture_below_and_up_to};
use crate::simulate::expected::CountKind;
use crate::simulate::fleet_forecast::{Variance, Window};
use crate::simulate::large_parts::LargeParts;
use crate::simulate::survive::{FORECAST_DAYS, Forecasts};

/// A simulation. [`SimulatePlan::new`] fills in what hardly anybody changes.
#[derive(Clone, Debug)]
pub struct SimulatePlan {
    /// `dataset.toml`, or the folder that holds it.
    pub data: PathBuf,
    /// A model file, or the name of a shipped model.
    pub model: String,
    /// Folder to write; must be empty or not there.
    pub out: PathBuf,
    pub backend: Choice,
    /// Part of an adapter's name, or its PCI id.
    pub device: Option<String>,
    pub device_share: DeviceShare,
    /// Go on with smaller batches, then on the processor, if the device fails.
    pub fallback: bool,
    pub threads: usize,
    /// For buffers; what results and the id table take comes on top.
    pub memory_limit_bytes: usize,
    /// Where rows go that do not fit; `None`: where the result is staged.
    pub spill_folder: Option<PathBuf>,
    /// The future begins after this day of the dataset's axis; `None`: after the day of the latest record.
    pub as_of_day: Option<i32>,
    pub paths: usize,
    pub horizon_weeks: usize,
    /// Days of the chances that every part's forecast names, rising.
    pub forecast_days: [u32; 3],
    /// Attributes whose values' failures are counted. `None`: `service_centre`, where the dataset has it.
    pub groups: Option<Vec<String>>,
    /// The attribute that names a vehicle's climate zone. `None`: `climate_zone`, where the dataset has it.
    pub zones: Option<String>,
    /// A scenario file.
    pub scenario: Option<PathBuf>,
    pub seed: u64,
    /// What `fleet_forecast` counts.
    pub count: CountKind,
    /// Run the model's monitors.
    pub monitors: bool,
    /// False alarms that each monitor may give in 100,000 vehicle-days; `None`: as the model says.
    pub false_alarms_per_100000_days: Option<f64>,
    /// Hand out the law of every count with the report: what came is placed in it.
    pub keep_laws: bool,
    /// Hand out every part's forecast with the report.
    pub keep_forecasts: bool,
    /// Hand out every alarm with the report.
    pub keep_alarms: bool,
    /// Simulate the vehicles of one shard of so many alone.
    pub shard: Option<(u32, u32)>,
    /// Put the BLAKE3 hashes of the inputs into the manifest.
    pub hash_inputs: bool,
    /// Keep the histories here and go on from them, night by night.
    pub state: Option<PathBuf>,
    /// Begin the state anew.
    pub rebuild_state: bool,
    /// The rest bears on speed alone; `verify` varies it to show that. Whether to read the files once and go over packed
    /// records from then on, where they would have to be sorted for every pass.
    pub pack: bool,
    pub chunk_rows: usize,
    pub batch_vehicles: usize,
    pub reversed: bool,
    pub scan_kind: Option<ScanKind>,
}

/// Vehicles of a batch at most.
pub const BATCH_VEHICLES: usize = 1 << 12;

impl SimulatePlan {
    /// 64 futures of two years.
    pub fn new(data: PathBuf, model: impl Into<String>, out: PathBuf) -> Self {
        Self {
            data,
            model: model.into(),
            out,
            backend: Choice::Auto,
            device: None,
            device_share: DeviceShare::default(),
            fallback: true,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            memory_limit_bytes: 512 << 20,
            spill_folder: None,
            as_of_day: None,
            paths: 64,
            horizon_weeks: 104,
            forecast_days: FORECAST_DAYS,
            groups: None,
            zones: None,
            scenario: None,
            seed: 1,
            count: CountKind::Failures,
            monitors: true,
            false_alarms_per_100000_days: None,
            keep_laws: false,
            keep_forecasts: false,
            keep_alarms: false,
            shard: None,
            hash_inputs: true,
            state: None,
            rebuild_state: false,
            pack: true,
            chunk_rows: CHUNK_ROWS,
            batch_vehicles: BATCH_VEHICLES,
            reversed: false,
            scan_kind: None,
        }
    }
}

impl Fallback for SimulatePlan {
    fn is_allowed(&self) -> bool {
        self.fallback
    }

    fn smaller(&self) -> Self {
        let batch_vehicles = (self.batch_vehicles / 8).max(1);
        Self { batch_vehicles, device_share: DeviceShare { small: true, ..self.device_share }, ..self.clone() }
    }

    fn on_processor(&self) -> Self {
        Self { backend: Choice::Cpu, device: None, ..self.clone() }
    }
}

/// A finished simulation. The folder is in place.
#[derive(Clone, Debug)]
pub struct SimulateReport {
    pub out: PathBuf,
    /// In service, with a forecast each.
    pub vehicles: u64,
    /// Out of service, without one.
    pub retired: u64,
    /// Rows of the forecasts.
    pub rows: u64,
    pub alerts: u64,
    /// In the order of the model; none where no monitor ran.
    pub monitors: Vec<MonitorFinding>,
    pub account: Account,
    pub unreadable: Vec<UnreadableFile>,
    pub scan_kind: ScanKind,
    pub as_of: String,
    /// The same on the dataset's axis, and on the calendar.
    pub as_of_day: i32,
    pub calendar_day: i32,
    pub content_hash: String,
    pub device: String,
    pub device_reason: String,
    pub warnings: Vec<String>,
    /// The most urgent first.
    pub urgent: Vec<UrgentVehicle>,
    /// Of every row of `fleet_forecast`, if the plan asks for them.
    pub laws: Vec<CountLaws>,
    /// Of every part, if the plan asks for it.
    pub forecasts: Option<KeptForecasts>,
    /// Of the monitors, by their index, if the plan asks for it.
    pub alarms: Vec<VehicleAlarm>,
    /// The largest counts to expect.
    pub counts: Vec<ExpectedCount>,
    /// What the scenario changes most, the largest first; none without one.
    pub differences: Vec<ExpectedDifference>,
    pub seconds: f64,
    pub manifest: Manifest,
    /// `None`: no state was kept.
    pub night: Option<SimulateNight>,
}

/// What a night did, for reports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SimulateNight {
    /// Whether the state was begun tonight: everything was read.
    pub begun: bool,
    /// History files read tonight, and since the state began.
    pub files: usize,
    #[serde(rename = "files_since_the_state_began")]
    pub files_of_state: usize,
    /// Runs of packed records that the state now consists of, and their rows.
    pub runs: usize,
    pub rows_kept: u64,
    /// Rows of all nights since then.
    #[serde(rename = "account_since_the_state_began")]
    pub account_of_state: ManifestAccount,
}

/// Forecasts as they were made, with what it takes to read them.
#[derive(Clone, Debug)]
pub struct KeptForecasts {
    pub ids: Ids,
    pub parts: Parts,
    pub forecasts: Forecasts,
    pub paths: usize,
}

impl KeptForecasts {
    /// A chance from a sum over paths.
    pub fn chance(&self, sum_q48: u64) -> f64 {
        sum_q48 as f64 / (self.paths as f64 * (1_u64 << PART_BITS) as f64)
    }
}

/// The law of one count of `fleet_forecast`.
#[derive(Clone, Debug)]
pub struct CountLaws {
    pub group_by: String,
    /// As there: null for the fleet, and for vehicles without a value.
    pub group: Option<String>,
    pub failure_mode: String,
    pub window: Window,
    pub expected: f64,
    pub variance: Variance,
    /// Equally likely.
    pub on_paths: Vec<CountLaw>,
    /// The parts that stand by themselves in them.
    pub large: LargeParts,
}

impl CountLaws {
    /// Where a count that came stands in its law: the probability integral transform, with a count's own chance divided
    /// by a draw from 0 to 1. Uniform if the forecasts are right.
    pub fn place(&self, came: i64, draw: f64) -> f64 {
        let (below, up_to) = mixture_below_and_up_to(&self.on_paths, came);
        below + draw * (up_to - below)
    }
}

/// What a monitor found.
#[derive(Clone, Debug, PartialEq)]
pub struct MonitorFinding {
    pub monitor: String,
    pub alarms: u64,
    /// Alarms that the budget grants a healthy fleet over the time watched.
    pub budgeted: f64,
    /// The cohort that most clearly holds more than its share, if any does.
    pub cohort: Option<Cohort>,
}

/// A count of a group over the longest of the forecasts' windows.
#[derive(Clone, Debug, PartialEq)]
pub struct ExpectedCount {
    pub group: String,
    pub failure_mode: String,
    pub days: i32,
    pub expected: f64,
    pub p05: i64,
    pub p95: i64,
}

/// What a scenario does to a count of a group over the longest of the forecasts' windows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExpectedDifference {
    pub group: String,
    pub failure_mode: String,
    pub days: i32,
    pub expected: f64,
    pub expected_scenario: f64,
    /// Between which nine in ten paths lie.
    pub difference_p05: f64,
    pub difference_p95: f64,
}

impl ExpectedDifference {
    /// Failures more than without the scenario.
    pub fn difference(&self) -> f64 {
        self.expected_scenario - self.expected
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_device_failed_less_is_asked_of_it_and_then_nothing() {
        let mut plan = SimulatePlan::new(PathBuf::from("fleet"), "model", PathBuf::from("out"));
        (plan.backend, plan.device, plan.batch_vehicles) = (Choice::Gpu, Some("card".to_owned()), 20);
        let smaller = plan.smaller();
        assert_eq!(
            (smaller.batch_vehicles, smaller.device_share),
            (2, DeviceShare { small: true, memory_bytes: None })
        );
        assert_eq!((smaller.backend, smaller.device.as_deref()), (Choice::Gpu, Some("card")));
        assert_eq!(smaller.smaller().batch_vehicles, 1);
        let processor = plan.on_processor();
        assert_eq!((processor.backend, processor.device, processor.batch_vehicles), (Choice::Cpu, None, 20));
        assert!(plan.is_allowed() && !SimulatePlan { fallback: false, ..plan }.is_allowed());
    }
}
