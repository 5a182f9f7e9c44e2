//! fleetwear reads the histories of millions of vehicles, computes how much of each component's life has been
//! used, and writes Parquet. **Same data, same bytes**: every number computed in a kernel is an integer, so one
//! thread, all cores and any GPU give the same content, in one run or night by night.
//!
//! # Bird's-eye view
//!
//! ```text
//! cli ──► engine ──► fleet::reader ──► backend (cpu | gpu) ──► score ──► fleet::writer
//!                        ▲                  ▲
//!                  dataset.toml        model.toml ──► model::tables (integers)
//! ```
//!
//! A *record* is one row of a vehicle's history. The reader turns it into `u16` channel codes; the model is compiled
//! once into one table per channel, whose entries are log2 rates; a backend sums the entries of a record, raises two
//! to the sum in integers and adds the *increment* (Q48 lives) to the *clock* of the record's *slot*. A slot is one
//! vehicle between two of its boundary days (a part's start, the start of the recent window), so a clock since any
//! boundary is a sum of slots, and additions commute: any order, any split, any device.
//!
//! # Night by night
//!
//! `--state DIR` is one folder for `score` and for `simulate`; each keeps what is its own there, may begin when the other
//! long has, and runs beside it. Files are taken by content ([`fleet::state`]): one that has changed is refused, one that
//! is gone is not missed. `score` keeps sums ([`score::state`]): under another model, or for an earlier day, it must begin
//! anew. `simulate` keeps the records themselves, packed ([`fleet::kept`]), for weeks of increments would take as much
//! room and follow from them: it may stand on any day, under any model that reads the same channels, and late records,
//! replacements and corrected side tables are nothing special to it, nor to its monitors, which go over the stored codes.
//!
//! # Code map
//!
//! | room | what it knows |
//! |---|---|
//! | [`fixed`] | integer arithmetic: `exp2`, Threefry. Twins in `shaders/` |
//! | [`model`] | what a failure mode is: TOML, curves (f64 physics), compiled tables, life law |
//! | [`fleet`] | the dataset: dictionary, planner, reader, account, state, writer |
//! | [`backend`] | one trait; `cpu` and `gpu` implement it |
//! | [`score`] | clocks → damage, hazard, drivers; slots |
//! | [`monitor`] | drift and fluctuation of a channel, vehicle by vehicle; cohorts with more alarms than their share |
//! | [`simulate`] | the fleet's futures: week profiles, paths, forecasts of parts and groups, alerts, scenarios |
//! | [`fit`] | what life laws' parameters are, and how well they are known |
//! | [`backtest`] | how good stated chances were: outcomes, measures, what is written of them |
//! | [`discover`] | conditions on pairs of channels under which more fails than the model says |
//! | [`recall`] | how many will fail, how surely that is known, what it costs |
//! | [`synth`] | a fleet with planted facts and its truth |
//! | [`engine`] | the conductor: reader → batches → backend → reducers → writer |
//! | [`run`] | cancellation and events of a run |
//! | [`svg`] | drawings |
//! | [`cli`] | the only room that prints and knows clap |
//!
//! # Invariants
//!
//! - `model` and `fixed` know no other room; only `backend::gpu` names wgpu; only `cli` prints.
//! - No result depends on thread count, chunk size, file split or order, dense vehicle index, hash order, or the clock.
//! - Rows in = scored + quarantined + skipped, checked by the program itself.
//! - Every `f64` that reaches a result goes through `libm`, the same on every platform.

pub mod backend;
pub mod backtest;
pub mod cli;
pub mod discover;
pub mod engine;
pub mod fit;
pub mod fixed;
pub mod fleet;
pub mod model;
pub mod monitor;
pub mod recall;
pub mod run;
pub mod score;
pub mod simulate;
pub mod svg;
pub mod synth;
