//! The fleet's futures: who fails when, how many where, and whom to warn.
//!
//! The order of work: [`whole`] collects whole vehicles from a scan; [`profile`] sums what each used up in every
//! calendar week ([`weeks`]) with the damage kernel; a first pass adds vehicles up to [`cohort`]s, from whose records
//! [`paths`] draws futures; a second fills the gaps of each vehicle ([`future`]), says what its parts have used up
//! ([`part_use`], [`earlier_use`]) and has the survival kernel follow every part along every path ([`survive`]).
//! [`settle`] makes of a part's chances what a forecast says: it may have failed, reported ([`failed_parts`]) or not
//! ([`report_delay`]), competes or retires ([`retirement`]), and its successors fail too ([`course`]); [`expected`] adds
//! that up by group, and [`successors`] says in which weeks and on which paths successors fail. [`forecast`] makes the
//! rows of the parts, [`fleet_forecast`] counts of groups by [`count_law`] and [`large_parts`], as wide as so short a
//! record asks for ([`few_years`]), [`alerts`] the list of whom to warn, alarms of [`crate::monitor`]
//! among them. [`scenario`] changes the future and nothing else.

pub mod alerts;
pub mod cohort;
pub mod count_law;
pub mod course;
pub mod earlier_use;
pub mod error;
pub mod expected;
pub mod failed_parts;
pub mod few_years;
pub mod flags;
pub mod fleet_forecast;
pub mod forecast;
pub mod future;
pub mod gaps;
pub mod large_parts;
pub mod parameters;
pub mod part_use;
pub mod paths;
pub mod profile;
pub mod report_delay;
pub mod retirement;
pub mod scenario;
pub mod settle;
pub mod successors;
pub mod survive;
pub mod table;
pub mod weeks;
pub mod whole;
