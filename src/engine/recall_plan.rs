//! What a recall is about, and what came of sizing it.

use std::path::PathBuf;

use super::simulate_plan::SimulatePlan;
use crate::fleet::account::Account;
use crate::fleet::manifest::Manifest;
use crate::fleet::scan::UnreadableFile;
use crate::recall::cohort::Asked;
use crate::recall::fleet_report::CohortReport;
use crate::recall::page::PageLanguage;

/// A recall of vehicles. [`RecallPlan::new`] fills in what hardly anybody changes.
#[derive(Clone, Debug)]
pub struct RecallPlan {
    /// Data, model, output, and how to simulate. Groups, horizon and windows are the recall's own.
    pub simulation: SimulatePlan,
    pub cohort: Asked,
    /// One to three, rising.
    pub horizons_days: Vec<u32>,
    /// Of each one-sided bound.
    pub confidence: f64,
    /// A failure mode, monitor or component that the recall is about; `None`: everything is told, and nobody is suspect.
    pub defect: Option<String>,
    /// The user's `economics.toml`.
    pub economics: Option<PathBuf>,
    pub language: PageLanguage,
}

impl RecallPlan {
    /// 90, 180 and 365 days, one-sided bounds of 95 %, 128 futures.
    pub fn new(data: PathBuf, model: impl Into<String>, out: PathBuf, cohort: Asked) -> Self {
        Self {
            simulation: SimulatePlan { paths: 128, ..SimulatePlan::new(data, model, out) },
            cohort,
            horizons_days: vec![90, 180, 365],
            confidence: 0.95,
            defect: None,
            economics: None,
            language: PageLanguage::En,
        }
    }
}

/// A finished recall. The folder is in place.
#[derive(Clone, Debug)]
pub struct RecallReport {
    pub out: PathBuf,
    pub cohort: CohortReport,
    pub account: Account,
    pub unreadable: Vec<UnreadableFile>,
    pub device: String,
    pub device_reason: String,
    pub content_hash: String,
    pub seconds: f64,
    pub manifest: Manifest,
}
