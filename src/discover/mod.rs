//! Finding the conditions on two channels, for all vehicles or for those with one value of an attribute, under which
//! more fails than the model says.
//!
//! ```text
//! records ──► bins ──► cubes (backend::cube) ──► search ──► findings ──► thresholds, ratio, replication ──► output
//!    │                                             ▲
//!    └──► pool (weighted sample) ──► replicates ───┘
//! ```
//!
//! Key idea: a cell of a pair's cube knows what was expected there, by the life law and the vehicles' clocks, rescaled
//! within each zone and month so that shared weather and anything else that moves a zone's month as a whole drops out.
//! Every threshold rectangle of every pair is scored against main effects of both channels that are fitted along with
//! it ([`main_effects`], [`rectangles`]); what survives that bound is fitted jointly. How often chance does as well is
//! counted by repeating the whole search on events drawn from the model ([`replicates`], from records that [`pool`]
//! keeps). The rectangles that remain get thresholds by raw codes ([`close_up`]), an interval of their ratio, and a look
//! at whether what one half of the vehicles says holds for the other, and so for left-out zones and years ([`refine`]).
//! What single channels and attributes do alone is told apart ([`singles`]); channels that follow the failures are
//! warned of ([`leak`]).
//!
//! Rates are shrunk towards what is usual ([`shrinkage`]) to tell an interaction from the main effects that it is made
//! of. What overlaps is merged.
//!
//! Units: expected events, numbers of events; ratios of rates inside against outside.

pub mod binning;
pub mod by_fit;
pub mod climb;
pub mod close_up;
pub mod error;
pub mod factor;
pub mod findings;
pub mod heat_map;
pub mod history;
pub mod leak;
pub mod main_effects;
pub mod numbers;
pub mod output;
pub mod passes;
pub mod pool;
pub mod rectangles;
pub mod refine;
pub mod replicates;
pub mod request;
pub mod search;
pub mod shrinkage;
pub mod singles;
pub mod survey;
