//! The passes of a discovery over whole vehicles, and the fits of what it finds.
//!
//! Each is repeated from nothing where the reader has to begin again. Units: as in [`crate::discover`].

use std::sync::{Mutex, PoisonError, RwLock};

use super::discover::DiscoverPlan;
use super::error::EngineError;
use super::fit::{Reading, fit_histories};
use crate::backend::cube::CubeSums;
use crate::backend::open_cube;
use crate::discover::by_fit;
use crate::discover::close_up::{CloseUp, Seen, View};
use crate::discover::findings::{Finding, RatioByFit};
use crate::discover::history::{Histories, Walked};
use crate::discover::passes::CubePass;
use crate::discover::pool::Pool;
use crate::discover::request::DiscoverRequest;
use crate::discover::survey::{EventRow, Settled, Survey};
use crate::fit::history::lives::LifeCounts;
use crate::fleet::chunk::{Chunk, Order};
use crate::fleet::dataset::Dataset;
use crate::fleet::scan::{ScanReport, ScanRequest, SinkError, scan};
use crate::model::spec::Model;
use crate::run::{Control, Event};
use crate::simulate::whole::{BatchSize, WholeVehicles};

/// Whole vehicles that are walked through at a time.
const BATCH: BatchSize = BatchSize { rows: 1 << 16, vehicles: 1 << 12 };

/// The passes over the records.
pub(super) struct Passes<'a> {
    pub dataset: &'a Dataset,
    pub histories: &'a Histories<'a>,
    pub request: &'a DiscoverRequest,
    pub plan: &'a DiscoverPlan,
    pub control: &'a Control<'a>,
}

/// What the first pass tells.
pub(super) struct Learnt {
    pub survey: Survey,
    pub events: Vec<EventRow>,
    pub counts: LifeCounts,
    pub without_record: u64,
    pub dropped: u64,
    pub unknown_vehicles: u64,
    pub latest_day: Option<i32>,
}

impl Passes<'_> {
    /// One pass: every vehicle is walked through, and `take` gets what came of it; `void` forgets it all.
    fn pass(
        &self,
        take: &(dyn Fn(Walked) -> Result<(), SinkError> + Sync),
        void: &(dyn Fn() -> Result<(), SinkError> + Sync),
        hash_inputs: bool,
    ) -> Result<ScanReport, EngineError> {
        let walk = |chunk: &Chunk| take(self.histories.walk(chunk));
        let whole = WholeVehicles::new(self.plan.reading.threads, BATCH, &walk, void);
        let asked = ScanRequest {
            channels: self.histories.channels.clone(),
            order: Order::WholeVehicles,
            as_of_day: Some(self.request.as_of_day),
            threads: self.plan.reading.threads,
            memory_limit_bytes: self.plan.reading.memory_limit_bytes,
            chunk_rows: self.plan.reading.chunk_rows,
            reversed: self.plan.reading.reversed,
            shard: None,
            kind: self.plan.reading.scan_kind,
            hash_inputs: hash_inputs && self.plan.reading.hash_inputs,
            files: None,
        };
        let report = scan(self.dataset, &asked, self.control, &whole)?;
        whole.finish()?;
        Ok(report)
    }

    pub fn learn(&self, codes: Vec<u32>) -> Result<(Learnt, ScanReport), EngineError> {
        let fresh = || Learnt {
            survey: Survey::new(&codes),
            events: Vec::new(),
            counts: LifeCounts::default(),
            without_record: 0,
            dropped: 0,
            unknown_vehicles: 0,
            latest_day: None,
        };
        let held = Mutex::new(fresh());
        let lock = || held.lock().unwrap_or_else(PoisonError::into_inner);
        let take = |walked: Walked| {
            let mut own = Survey::new(&codes);
            own.push(&walked.block);
            let mut held = lock();
            held.survey.merge(own);
            held.events.extend(walked.events);
            held.counts.add(&walked.counts);
            held.without_record += walked.without_record;
            held.dropped += walked.dropped;
            held.unknown_vehicles += walked.unknown_vehicles;
            held.latest_day = held.latest_day.max(walked.latest_day);
            Ok(())
        };
        let void = || {
            *lock() = fresh();
            Ok(())
        };
        let report = self.pass(&take, &void, true)?;
        let mut learnt = held.into_inner().unwrap_or_else(PoisonError::into_inner);
        learnt.events.sort_by(|a, b| (a.id, a.stratum, &a.codes).cmp(&(b.id, b.stratum, &b.codes)));
        Ok((learnt, report))
    }

    pub fn sum(&self, settled: &Settled, events: usize) -> Result<(CubeSums, Pool, String), EngineError> {
        self.control.emit(Event::Stage { name: "sum", total_rows: None });
        let limit_bytes = self.plan.reading.memory_limit_bytes;
        let fresh = || -> Result<CubePass, EngineError> {
            let opened = open_cube(self.plan.backend, self.plan.device.as_deref(), &settled.cube, limit_bytes)?;
            Ok(CubePass::new(settled, opened.backend, self.request.seed, events))
        };
        let held = RwLock::new(fresh()?);
        let take = |walked: Walked| {
            held.read().unwrap_or_else(PoisonError::into_inner).push(&walked.block).map_err(SinkError::from)
        };
        let void = || {
            *held.write().unwrap_or_else(PoisonError::into_inner) = fresh()?;
            Ok(())
        };
        self.pass(&take, &void, false)?;
        let done = held.into_inner().unwrap_or_else(PoisonError::into_inner);
        let device = done.description();
        let (sums, sample) = done.finish()?;
        Ok((sums, sample, device))
    }

    /// Looks at the views, in as many passes as their sums' memory asks for.
    pub fn look(
        &self,
        settled: &Settled,
        views: &[View],
        events: &[EventRow],
    ) -> Result<Vec<(View, Seen)>, EngineError> {
        let mut seen = Vec::with_capacity(views.len());
        while seen.len() < views.len() {
            let mut bytes = 0;
            let left = &views[seen.len()..];
            let fit = left.iter().take_while(|view| {
                bytes += view.bytes(settled);
                bytes <= self.plan.reading.memory_limit_bytes
            });
            let number = fit.count().max(1);
            seen.extend(self.look_at(settled, &left[..number], events)?);
        }
        Ok(seen)
    }

    /// A finding's ratio as a fit has it; `None` where it has none.
    pub fn fitted(&self, model: &Model, finding: &Finding) -> Result<Option<RatioByFit>, EngineError> {
        let given = self.request.model(model)?;
        let Some(model) = by_fit::model(&given, self.request, finding) else { return Ok(None) };
        let reading = Reading { hash_inputs: false, ..self.plan.reading.clone() };
        let request = by_fit::request(self.request, reading.memory_limit_bytes);
        match fit_histories(self.dataset, &model, &request, &reading, self.control) {
            Ok((fitted, _)) => Ok(by_fit::ratio(&fitted.fit)),
            // The finding stands without it.
            Err(EngineError::Fit(error)) => {
                self.control.emit(Event::Warning(format!("no ratio by a fit: {error}")));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn look_at(
        &self,
        settled: &Settled,
        views: &[View],
        events: &[EventRow],
    ) -> Result<Vec<(View, Seen)>, EngineError> {
        let fresh = || views.iter().map(|view| CloseUp::new(settled, view.clone())).collect::<Vec<CloseUp>>();
        let held = RwLock::new(fresh());
        let take = |walked: Walked| {
            let held = held.read().unwrap_or_else(PoisonError::into_inner);
            held.iter().for_each(|one| one.push(&walked.block));
            Ok(())
        };
        let void = || {
            *held.write().unwrap_or_else(PoisonError::into_inner) = fresh();
            Ok(())
        };
        self.pass(&take, &void, false)?;
        let seen = held.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(seen.into_iter().map(|one| one.finish(events)).collect())
    }
}
