//! Why a fit from histories was refused or ended.

use super::law::{MOST_PARAMETERS, MOST_RATIOS};
use crate::model::error::ModelError;
use crate::simulate::error::SimulateError;

/// Any failure that is the fit's own.
#[derive(Debug, thiserror::Error)]
pub enum HistoryFitError {
    #[error(
        "{file}: no parameter is free; write free = [\"weibull_shape\"] with a failure mode and free = [\"characteristic_life\"] with a mechanism, or give --free lives-and-shapes"
    )]
    NothingFree { file: String },
    #[error("--modes: the model has no failure mode {name:?}{}; it has {}", near(nearest), known.join(", "))]
    UnknownMode { name: String, nearest: Option<String>, known: Vec<String> },
    #[error(
        "the dataset has no events: name the table of work orders under [events] in dataset.toml, with kind, failure and replacement"
    )]
    NoEvents,
    #[error(
        "no event of the dataset is a failure: name under kind = {{ column = …, failure = […] }} of [events] in dataset.toml what the table calls one"
    )]
    NoFailures,
    #[error(
        "failure modes {first:?} and {second:?} share the component {component:?} but not its positions: an event does not say which of them it was; give them the same positions or fit a model with one of them"
    )]
    OtherPositions { first: String, second: String, component: String },
    #[error("failure modes {modes}: {got} free parameters, at most {MOST_PARAMETERS} can be free together")]
    TooMany { modes: String, got: usize },
    #[error("mechanism {mechanism}: {got} interactions with a free ratio, at most {MOST_RATIOS} can be free together")]
    TooManyRatios { mechanism: String, got: usize },
    #[error("{option}: got {got}, expected {expected}")]
    Option { option: &'static str, got: String, expected: String },
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Simulate(#[from] SimulateError),
}

fn near(nearest: &Option<String>) -> String {
    nearest.as_ref().map(|name| format!(" (did you mean {name:?}?)")).unwrap_or_default()
}
