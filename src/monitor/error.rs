//! What a monitor can be refused for.

/// A monitor or a request that does not fit the dataset.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MonitorError {
    /// The model watches a channel that the dataset lacks.
    #[error("monitor {monitor:?} watches channel {channel:?}, which the dataset lacks; it has {}", known.join(", "))]
    UnknownChannel { monitor: String, channel: String, known: Vec<String> },
    /// A cohort attribute that the vehicles table lacks.
    #[error("no attribute {name:?} to look for cohorts in; the dataset has {}", known.join(", "))]
    UnknownAttribute { name: String, known: Vec<String> },
}
