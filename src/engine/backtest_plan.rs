//! What a back-test is to do, and what came of it.

use std::path::PathBuf;

use serde::Serialize;

use super::simulate_plan::SimulatePlan;
use crate::backtest::counts::PlacedCount;
use crate::backtest::cuts::Step;
use crate::backtest::measures::Measured;
use crate::backtest::outcome::OutcomeKind;
use crate::backtest::warnings::Costs;
use crate::fit::history::FitRequest;
use crate::fleet::account::Account;
use crate::fleet::manifest::Manifest;
use crate::fleet::scan::UnreadableFile;

/// A back-test. [`BacktestPlan::new`] fills in what hardly anybody changes.
#[derive(Clone, Debug)]
pub struct BacktestPlan {
    /// Data, model, output, and how to simulate. Days, horizon and monitors are the back-test's own.
    pub simulation: SimulatePlan,
    /// Of the dataset's axis.
    pub from_day: i32,
    /// `None`: the last day whose horizons and reports the records hold.
    pub to_day: Option<i32>,
    /// `None`: the longest horizon, so that no failure is looked for twice.
    pub step: Option<Step>,
    /// One to three.
    pub horizons_days: Vec<u32>,
    /// Fit the model's free parameters on every cut day; `None`: take the model as it is.
    pub fit: Option<FitRequest>,
    /// Judge each of so many parts of the fleet by a model fitted to the others.
    pub folds: Option<u32>,
    pub outcome: OutcomeKind,
    /// The day up to which events are on record; `None`: that of the latest record.
    pub events_until: Option<i32>,
    pub pilot: Option<usize>,
    pub costs: Option<Costs>,
}

impl BacktestPlan {
    /// 30, 60 and 90 days with the model as it is.
    pub fn new(data: PathBuf, model: impl Into<String>, out: PathBuf, from_day: i32) -> Self {
        Self {
            simulation: SimulatePlan::new(data, model, out),
            from_day,
            to_day: None,
            step: None,
            horizons_days: vec![30, 60, 90],
            fit: None,
            folds: None,
            outcome: OutcomeKind::Failures,
            events_until: None,
            pilot: None,
            costs: None,
        }
    }
}

/// One cut day, or one fold of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CutReport {
    pub as_of: String,
    pub fold: Option<u32>,
    /// With a forecast.
    pub vehicles: u64,
    /// Parts whose chances are held against what came.
    pub judged: u64,
    /// Parts known on the day to have failed, not judged.
    pub known_failed: u64,
    /// Vehicles with records before they were sold, not judged.
    pub not_sold: u64,
    /// Content of everything that was stated on the day: that of `simulate` on files that end there.
    pub stated_hash: String,
    /// Whether failures within the longest horizon may not all be reported yet.
    pub reports_to_come: bool,
    pub fitted: Vec<FittedValue>,
}

/// A parameter as it was fitted on a cut day.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FittedValue {
    pub parameter: String,
    pub value: f64,
    pub standard_error: Option<f64>,
}

/// A finished back-test. The folder is in place.
#[derive(Clone, Debug)]
pub struct BacktestReport {
    pub out: PathBuf,
    pub cuts: Vec<CutReport>,
    pub measured: Measured,
    /// Of every group, with its place in its forecast.
    pub counts: Vec<PlacedCount>,
    /// Rows of the predictions.
    pub rows: u64,
    /// Of the last cut.
    pub account: Account,
    pub unreadable: Vec<UnreadableFile>,
    pub content_hash: String,
    pub device: String,
    pub device_reason: String,
    pub warnings: Vec<String>,
    pub seconds: f64,
    pub manifest: Manifest,
}
