//! Why a back-test was refused.

/// Any failure that is the back-test's own.
#[derive(Debug, thiserror::Error)]
pub enum BacktestError {
    #[error("--{option}: got {got}, expected {expected}")]
    Option { option: &'static str, got: String, expected: &'static str },
    #[error("--from {from} is after --to {to}: no day is left to stand on")]
    FromAfterTo { from: String, to: String },
    #[error("months have no place among integer periods: give --step in days or weeks")]
    MonthsWithoutCalendar,
    #[error("--step {step} puts {got} cut days between --from and --to, at most {most} are taken")]
    TooManyCuts { step: String, got: usize, most: usize },
    /// Follow-up is too short: not failed and not followed look alike.
    #[error(
        "the records end on {until}: of a cut on {cut} nobody knows what came within {horizon_days} days; the last day that can be judged is {last}, or say with --events-until how far the events reach"
    )]
    FollowUp { until: String, cut: String, horizon_days: u32, last: String },
    #[error(
        "the dataset has no events: name the table of work orders under [events] in dataset.toml, with kind, failure and replacement"
    )]
    NoEvents,
    #[error(
        "no event of the model's components is a failure: name under kind = {{ column = …, failure = […] }} of [events] in dataset.toml what the table calls one, or give --outcome replacements where a replacement is all that the table has"
    )]
    NoFailures,
    #[error("--outcome replacements: no event of the model's components is a replacement")]
    NoReplacements,
    #[error("--split vehicle:{folds} judges vehicles that the fit has not seen: it needs --fit")]
    SplitWithoutFit { folds: u32 },
}
