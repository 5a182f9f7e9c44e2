//! Why a simulation was refused or ended.

use super::report_delay::FEWEST_EVENTS;
use crate::backend::BackendError;
use crate::model::error::ModelError;
use crate::model::survival::SurvivalLawError;

/// Any failure that is the simulation's own.
#[derive(Debug, thiserror::Error)]
pub enum SimulateError {
    /// `--groups` or `--zones` names an attribute that the vehicles table lacks.
    #[error("{option}: no attribute {name:?}{}; {}", near(nearest), known(attributes))]
    UnknownGroup { option: &'static str, name: String, nearest: Option<String>, attributes: Vec<String> },
    /// A scenario changes a channel that the dataset lacks.
    #[error("{place}: the dataset has no channel {channel:?}{}", near(nearest))]
    UnknownChannel { place: String, channel: String, nearest: Option<String> },
    /// A scenario changes a channel that the model does not read: nothing would come of it.
    #[error("{place}: the model reads no channel {channel:?}, so the scenario would change nothing; it reads {}", read.join(", "))]
    UnusedChannel { place: String, channel: String, read: Vec<String> },
    #[error(
        "time is an integer and the period neither a day nor a week: such periods have no place in a year; give dates"
    )]
    NoCalendar,
    #[error("{what}: got {got}, expected {expected}")]
    Option { what: &'static str, got: u64, expected: String },
    #[error("--false-alarms-per-100k-days: got {got}, expected a number above zero")]
    FalseAlarms { got: f64 },
    #[error(
        "{groups} combinations of the groups' values need {bytes} bytes for their counts, more than the memory limit of {limit}: name fewer --groups, paths or weeks"
    )]
    TooManyGroups { groups: usize, bytes: u64, limit: u64 },
    #[error(
        "{cohorts} cohorts (a climate zone and what the model asks of a vehicle) need {bytes} bytes for their weeks, more than half of the memory limit, {limit}: raise it, or name --zones with fewer values"
    )]
    TooManyCohorts { cohorts: usize, bytes: u64, limit: u64 },
    #[error(
        "--count reports: fewer than {FEWEST_EVENTS} failures of the model's components say when they occurred and when they were reported; name reported_on under [events] in dataset.toml, or count failures"
    )]
    NoReportDays,
    #[error("the model's {0}")]
    Law(#[from] SurvivalLawError),
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Backend(#[from] BackendError),
}

fn near(nearest: &Option<String>) -> String {
    nearest.as_ref().map(|name| format!(" (did you mean {name:?}?)")).unwrap_or_default()
}

fn known(attributes: &[String]) -> String {
    if attributes.is_empty() {
        "the dataset has none: list them under [vehicles] attributes in dataset.toml".to_owned()
    } else {
        format!("the dataset has {}", attributes.join(", "))
    }
}
