//! Why a recall cannot be sized: what was asked, what is there, and what to do.

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
    #[error(transparent)]
    Lives(#[from] LivesError),
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}
