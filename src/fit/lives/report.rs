//! What came of a table of lives: for each group, and each failure mode in it, the laws and the curve.

use serde::Serialize;

use super::columns::Column;
use super::curve::Curve;
use super::estimate::{Fitted, Parameter};
use super::law::Law;
use super::recurrent::MeanStep;
use super::rows::{RowAccount, SetAside};

/// Everything that is printed and written.
#[derive(Clone, Debug, Serialize)]
pub struct LivesReport {
    pub file: String,
    /// "lives", "recurrent" or "nevada".
    pub layout: &'static str,
    /// What ages are counted in: the time column's name.
    pub age_unit: String,
    pub columns: Vec<ColumnUsed>,
    pub rows_in: u64,
    pub rows_used: u64,
    pub set_aside: Vec<SetAsideRows>,
    /// Of all two-sided intervals; one-sided bounds have it on their one side.
    pub confidence: f64,
    pub groups: Vec<GroupReport>,
    /// Whether the groups differ at all, law by law; empty where there is one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub between_groups: Vec<BetweenGroups>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mean_cumulative: Vec<MeanReport>,
    pub notes: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct ColumnUsed {
    pub option: &'static str,
    pub column: String,
    /// Found by its name, not asked for.
    pub guessed: bool,
}

impl ColumnUsed {
    pub fn of(columns: &[(&'static str, &Column)]) -> Vec<Self> {
        let used = |&(option, column): &(&'static str, &Column)| Self {
            option,
            column: column.name.clone(),
            guessed: column.guessed,
        };
        columns.iter().map(used).collect()
    }
}

#[derive(Clone, Debug, Serialize)]
pub struct SetAsideRows {
    pub reason: &'static str,
    pub rows: u64,
    /// The reader's number of the first.
    pub first: u64,
}

impl SetAsideRows {
    pub fn of(account: &RowAccount) -> Vec<Self> {
        let rows = |(reason, &(rows, first)): (&SetAside, &(u64, u64))| Self { reason: reason.text(), rows, first };
        account.set_aside.iter().map(rows).collect()
    }
}

/// The lives of one group, as one failure mode sees them.
#[derive(Clone, Debug, Serialize)]
pub struct GroupReport {
    /// Empty where the table is not split.
    pub group: String,
    /// `None`: any failure.
    pub mode: Option<String>,
    pub lives: f64,
    pub failures: f64,
    /// Of them, known to an interval.
    pub interval_failures: f64,
    /// Lives watched from an age above zero.
    pub late_entries: f64,
    /// The latest age at which any life was watched.
    pub last_age: f64,
    pub laws: Vec<LawReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub constant_hazard: Option<HazardTest>,
    pub curve: Curve,
    /// Of several modes together, law by law; empty in reports of one mode.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub joint: Vec<Joint>,
    pub notes: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LawReport {
    Fitted(Fitted),
    Bound(Bound),
    Refused(Refused),
}

impl LawReport {
    pub fn law(&self) -> Law {
        match self {
            Self::Fitted(fitted) => fitted.law,
            Self::Bound(bound) => bound.law,
            Self::Refused(refused) => refused.law,
        }
    }

    pub fn fitted(&self) -> Option<&Fitted> {
        match self {
            Self::Fitted(fitted) => Some(fitted),
            _ => None,
        }
    }
}

/// Without failures: what the lives rule out.
#[derive(Clone, Debug, Serialize)]
pub struct Bound {
    pub law: Law,
    pub shape: f64,
    /// One-sided lower bounds at the report's confidence; upper ones of shares failed.
    pub parameters: Vec<Parameter>,
    pub shares_failed: Vec<Parameter>,
    pub note: String,
}

/// No estimate, and why.
#[derive(Clone, Debug, Serialize)]
pub struct Refused {
    pub law: Law,
    pub reason: String,
}

/// The exponential inside the Weibull law: is the hazard constant?
#[derive(Clone, Debug, Serialize)]
pub struct HazardTest {
    /// Twice the difference of the log-likelihoods.
    pub likelihood_ratio: f64,
    /// Chi-square, one degree of freedom.
    pub p: f64,
}

/// One law for all groups against one for each.
#[derive(Clone, Debug, Serialize)]
pub struct BetweenGroups {
    pub law: Law,
    /// Twice the difference of the log-likelihoods.
    pub likelihood_ratio: f64,
    pub degrees: usize,
    /// Chi-square.
    pub p: f64,
}

/// Competing modes as a series system.
#[derive(Clone, Debug, Serialize)]
pub struct Joint {
    pub law: Law,
    /// The sum over the modes.
    pub ln_likelihood: f64,
    pub aic: f64,
    /// The ages by which the wanted percents have failed of any mode.
    pub ages: Vec<(String, f64)>,
}

/// The mean cumulative function of one group.
#[derive(Clone, Debug, Serialize)]
pub struct MeanReport {
    pub group: String,
    pub units: u64,
    pub events: f64,
    pub steps: Vec<MeanStep>,
    pub notes: Vec<String>,
}
