//! Back-test: a date is rolled forward; on each cut day the model states chances from what was known by then, and what
//! came is held against them. A model that was not back-tested is an opinion.
//!
//! - [`cuts`]: the days, from dates and a step.
//! - [`outcome`]: what became of a part that was in service on a cut day, from the events; [`followed`]: weights for
//!   those parts whose fate nobody will know.
//! - [`case`]: a question with what came of it. Measures are functions of cases: [`auc`] (the curve with it),
//!   [`warnings`] (precision, recall, accuracies, a pilot's intervals, cost), [`scores`] (Brier, log), [`reliability`],
//!   [`recalibration`]; and of counts: [`counts`].
//! - [`measures`]: all of them by failure mode, horizon and cut, as the rows that are written.
//! - [`judged`]: what is known of every part that was judged; [`tables`] and [`plots`]: what is written of it.
//!
//! What a cut day knows, [`crate::fleet::known`] decides: no measure here could tell a look ahead from a good model. The
//! conductor is [`mod@crate::engine::backtest`].
//!
//! Everything here is f64 on the host, in an order that no thread or index shows.

pub mod auc;
pub mod case;
pub mod counts;
pub mod cuts;
pub mod error;
pub mod followed;
pub mod judged;
pub mod measures;
pub mod outcome;
pub mod plots;
pub mod recalibration;
pub mod reliability;
pub mod scores;
pub mod tables;
pub mod warnings;

pub use error::BacktestError;
