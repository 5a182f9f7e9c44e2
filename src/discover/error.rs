//! Why a discovery was refused.

use crate::fit::history::HistoryFitError;
use crate::model::error::ModelError;

/// Fewest events that are searched.
pub const FEWEST_EVENTS: usize = 10;

/// Any failure that is the search's own.
#[derive(Debug, thiserror::Error)]
pub enum DiscoverError {
    #[error("--mode: the model has no failure mode {name:?}{}; it has {}", near(nearest), known.join(", "))]
    UnknownMode { name: String, nearest: Option<String>, known: Vec<String> },
    #[error("--channels: the dataset has no channel {name:?}{}; it has {}", near(nearest), known.join(", "))]
    UnknownChannel { name: String, nearest: Option<String>, known: Vec<String> },
    #[error("{option}: the dataset has no attribute {name:?}{}; it has {}", near(nearest), known.join(", "))]
    UnknownAttribute { option: &'static str, name: String, nearest: Option<String>, known: Vec<String> },
    #[error("an interaction needs two channels that vary, and the search has {got}: {}", what(known))]
    TooFewChannels { got: usize, known: Vec<String> },
    #[error(
        "failure mode {mode}: {got} failures of the component {component:?} whose part's whole use is on record, and a search needs {FEWEST_EVENTS} at least; a threefold rate on a tenth of the use is found for sure with about 250, of which 60 inside"
    )]
    TooFewEvents { mode: String, component: String, got: usize },
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Fit(#[from] HistoryFitError),
}

fn near(nearest: &Option<String>) -> String {
    nearest.as_ref().map(|name| format!(" (did you mean {name:?}?)")).unwrap_or_default()
}

fn what(known: &[String]) -> String {
    if known.is_empty() { "none varies".to_owned() } else { format!("only {} varies", known.join(", ")) }
}
