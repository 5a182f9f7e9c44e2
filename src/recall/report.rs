//! What `recall` found in a table of lives. Lives and failures are numbers of units; horizons are in the table's unit.

use serde::Serialize;

use super::few::Exposure;
use super::plan::Resampling;
use super::prediction::Bounds;
use crate::fit::lives::law::Law;
use crate::fit::lives::report::{ColumnUsed, SetAsideRows};

#[derive(Clone, Debug, Serialize)]
pub struct RecallLivesReport {
    pub file: String,
    /// Name of the column of ages, which stands for its unit.
    pub age_unit: String,
    pub columns: Vec<ColumnUsed>,
    pub rows_in: u64,
    pub rows_used: u64,
    pub set_aside: Vec<SetAsideRows>,
    /// Of each one-sided bound.
    pub confidence: f64,
    pub groups: Vec<GroupForecast>,
    pub notes: Vec<String>,
}

/// One group of the table, or all of it.
#[derive(Clone, Debug, Serialize)]
pub struct GroupForecast {
    pub group: String,
    pub lives: f64,
    pub failures: f64,
    pub at_risk: f64,
    pub law: Law,
    /// σ of ln T inverted: the Weibull shape.
    pub shape: Option<f64>,
    /// e^μ; `None` where nothing failed.
    pub characteristic_life: Option<f64>,
    pub method: Method,
    pub horizons: Vec<HorizonForecast>,
    pub notes: Vec<String>,
}

/// How the bounds came about.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum Method {
    /// Escobar & Meeker (1999).
    Calibrated {
        resampling: Resampling,
        replicates: usize,
        /// Samples that held fewer than two failures or could not be fitted, and were drawn again.
        drawn_again: usize,
    },
    /// Nelson (1982): the shape is held, failures are Poisson.
    Conditional,
    /// Nobody can fail any more.
    NobodyAtRisk,
}

impl Method {
    /// In words.
    pub fn text(&self) -> &'static str {
        match self {
            Self::Calibrated { resampling: Resampling::Parametric, .. } => {
                "plug-in bounds calibrated by a parametric bootstrap (Escobar & Meeker 1999)"
            }
            Self::Calibrated { resampling: Resampling::FractionalWeights, .. } => {
                "plug-in bounds calibrated by a fractional-random-weight bootstrap (Xu et al. 2020)"
            }
            Self::Conditional => "exact bounds given the total, the shape held (Nelson 1982)",
            Self::NobodyAtRisk => "nobody is at risk",
        }
    }
}

#[derive(Clone, Debug, Serialize)]
pub struct HorizonForecast {
    pub horizon: f64,
    /// `None` where nothing failed: the likelihood bounds the number, but names none.
    pub expected: Option<f64>,
    /// Where nothing failed: the one-sided upper bound of the number expected, by the likelihood. Never zero.
    pub expected_upper: Option<f64>,
    /// The calibrated interval's ends: one-sided bounds.
    pub lower: i64,
    pub upper: i64,
    /// How each tail was calibrated.
    pub tails: Option<Bounds>,
    /// What the conditional bounds rest on.
    pub exposure: Option<Exposure>,
    pub nested: Option<Nested>,
}

/// Shares of tables drawn from the fitted law whose bounds cover a count of their own units, each given exactly.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Nested {
    pub tables: usize,
    pub plug_in_lower: f64,
    pub plug_in_upper: f64,
    pub plug_in_interval: f64,
    pub lower: f64,
    pub upper: f64,
    pub interval: f64,
    /// Of the calibrated interval's cover.
    pub interval_standard_error: f64,
}
