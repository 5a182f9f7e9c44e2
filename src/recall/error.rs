//! Why a recall cannot be sized: what was asked, what is there, and what to do.

use std::path::PathBuf;

use crate::fit::lives::LivesError;
use crate::fleet::writer::WriteError;
use crate::run::Interrupted;

#[derive(Debug, thiserror::Error)]
pub enum RecallError {
    #[error("{option}: {problem}")]
    Option { option: &'static str, problem: String },
    /// Two free parameters and not two failures.
    #[error(
        "{group}{failures} of {lives} lives failed, which determines no shape: hold it with --shape β, known from elsewhere, \
         or take --law exponential; bounds then follow from the likelihood"
    )]
    TooFewFailures { group: String, failures: f64, lives: f64 },
    /// The likelihood has no maximum.
    #[error(
        "{group}the {law} law does not fit these lives: {problem}; hold the shape with --shape, or take another --law"
    )]
    NoFit { group: String, law: &'static str, problem: &'static str },
    /// Hardly any sample drawn from the fitted law can be fitted.
    #[error(
        "{group}of {drawn} samples drawn from the fitted law only {fitted} could be fitted: these lives bear no calibration; \
         hold the shape with --shape"
    )]
    NoReplicates { group: String, drawn: usize, fitted: usize },
    /// A condition that cannot be read.
    #[error("--cohort, character {column}: {problem}, in: {text}")]
    Cohort { text: String, column: usize, problem: String },
    #[error("--cohort: no attribute {name:?}{}; the vehicles have {known}", did_you_mean(.nearest))]
    NoAttribute { name: String, nearest: Option<String>, known: String },
    #[error("--cohort {asked}: none of {vehicles} vehicles belongs to it: {why}")]
    Nobody { asked: String, vehicles: usize, why: String },
    #[error("{file:?}: no column is called {wanted:?} or like ids of vehicles; it has {known}")]
    NoIdColumn { file: PathBuf, wanted: String, known: String },
    #[error(
        "--defect: {name:?} is no failure mode, monitor or component of the model{}; it has {known}",
        did_you_mean(.nearest)
    )]
    UnknownDefect { name: String, nearest: Option<String>, known: String },
    #[error("{file:?}: {problem}")]
    Economics { file: PathBuf, problem: String },
    #[error(transparent)]
    Lives(#[from] LivesError),
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

fn did_you_mean(nearest: &Option<String>) -> String {
    nearest.as_ref().map(|name| format!(" (did you mean {name:?}?)")).unwrap_or_default()
}
