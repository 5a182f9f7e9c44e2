//! Detectors of drift and fluctuation in one channel, and the cohorts in which they find more than their share.
//!
//! A [`crate::model::spec::Monitor`] is watched vehicle by vehicle in one pass over records in time order. A record's
//! value, less what all lots do on that day ([`mod@reference`]), is compared with the vehicle's own baseline
//! ([`baseline`]: median and MAD of its first days). Three detectors look at it ([`detectors`]): a one-sided CUSUM for
//! drift, another on squared day-to-day differences for rising variance, and the model's threshold. The limits of the
//! first two are simulated ([`calibrate`]) from the fleet's own residuals ([`law`]), the baseline estimated as in use.
//! What an alarm means is fitted at the end of the episode ([`slope`]: level, slope, days to the limit).
//!
//! Units: values in the channel's unit, deviations in the vehicle's own scale, days on the dataset's axis.
//!
//! No result depends on threads or order: what is summed over vehicles is counts, and every float belongs to one
//! vehicle (in time order), to one simulated path, or to a sorted list.

pub mod alarm;
pub mod baseline;
pub mod calibrate;
pub mod cohort;
pub mod detectors;
pub mod error;
pub mod law;
pub mod lots;
pub mod output;

pub mod panel;
pub mod reference;
pub mod rules;
pub mod slope;
pub mod watch;
