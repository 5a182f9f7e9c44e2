//! One cut day of a back-test: the dataset as it was known, the model of the day, what it states, and what came.
//!
//! Units: days of the dataset's axis, except where a name says calendar.

use std::collections::BTreeMap;
use std::time::Instant;

use super::backtest_plan::{BacktestPlan, CutReport, FittedValue};
use super::error::EngineError;
use super::fit::{Reading, fit_histories};
use super::prepare::Prepared;
use super::report::day_text;
use super::score::thread_pool;
use super::simulate::run_prepared;
use super::simulate_plan::{CountLaws, KeptForecasts, SimulatePlan, SimulateReport};
use crate::backtest::counts::PlacedCount;
use crate::backtest::judged::{ALERT_SLOT, JudgedPart, Place, SLOTS, Subject};
use crate::backtest::outcome::{Fate, Outcomes};
use crate::fit::history::FitRequest;
use crate::fixed::threefry::threefry2x32;
use crate::fleet::dataset::Dataset;
use crate::fleet::known::{Known, Share};
use crate::fleet::shard::hash_of;
use crate::fleet::tables::NO_VALUE;
use crate::fleet::vehicles::Ids;
use crate::model::spec::Model;
use crate::run::Control;
use crate::score::parts::{PartStarts, Parts};
use crate::simulate::flags::Flag;
use crate::simulate::survive::{PartForecast, VehicleForecast};
use crate::simulate::weeks::WeekAxis;

/// Keeps these numbers apart from all others of a seed.
const PLACE_STREAM: u32 = 0x706c_6163;

/// What all cut days share.
pub struct Rolling<'a> {
    pub plan: &'a BacktestPlan,
    /// With hindsight.
    pub dataset: &'a Dataset,
    pub model: &'a Model,
    pub parts: &'a Parts,
    pub subjects: &'a [Subject],
    pub places: &'a [Place],
    pub outcomes: &'a Outcomes<'a>,
    pub axis: WeekAxis,
    /// Rising, one to three.
    pub horizons: &'a [u32],
    /// The same, filled up to three.
    pub forecast_days: [u32; 3],
    pub horizon_weeks: usize,
    /// Last calendar day that the records can judge.
    pub until_day: i32,
    /// Days within which nearly all failures are reported.
    pub report_days: i32,
    /// Where the packed histories are kept from one cut day to the next.
    pub state: Option<std::path::PathBuf>,
}

/// What one cut day, or one fold of it, leaves behind.
pub struct CutDone {
    pub report: CutReport,
    pub simulated: SimulateReport,
    pub ids: Ids,
    /// Index of the vehicle, its place, and what is known of it; by rising id.
    pub parts: Vec<(u32, usize, JudgedPart)>,
    pub counts: Vec<PlacedCount>,
}

impl Rolling<'_> {
    /// Stands on a cut day.
    ///
    /// # Errors
    ///
    /// Whatever the fit or the simulation of that day ends with.
    pub fn stand(
        &self,
        cut: usize,
        calendar_day: i32,
        fold: Option<u32>,
        control: &Control,
    ) -> Result<CutDone, EngineError> {
        let began = Instant::now();
        let day = self.axis.axis_day(calendar_day);
        let known = |vehicles: Share| Known { vehicles, ..Known::on(day) };
        let shard = fold.zip(self.plan.folds);
        let (model, fitted) = match &self.plan.fit {
            None => (self.model.clone(), Vec::new()),
            Some(request) => {
                let others = shard.map_or(Share::All, |(fold, folds)| Share::AllBut(fold, folds));
                self.fitted(&self.dataset.as_known(known(others), control)?, request, day, control)?
            }
        };
        let own = shard.map_or(Share::All, |(fold, folds)| Share::Shard(fold, folds));
        let dataset = self.dataset.as_known(known(own), control)?;
        let of_tables: Vec<String> = dataset.warnings().collect();
        let prepared = Prepared::of(dataset, &model)?;
        let starts = PartStarts::new(&prepared.parts, &prepared.dataset.vehicles, day);
        let plan = SimulatePlan {
            as_of_day: Some(day),
            horizon_weeks: self.horizon_weeks,
            forecast_days: self.forecast_days,
            monitors: false,
            keep_laws: true,
            keep_forecasts: true,
            shard,
            scenario: None,
            state: self.state.clone(),
            // Anew once; the other cuts go on from it.
            rebuild_state: self.plan.simulation.rebuild_state && cut == 0 && fold.is_none_or(|fold| fold == 0),
            ..self.plan.simulation.clone()
        };
        let pool = thread_pool(plan.threads)?;
        let mut simulated = run_prepared(&plan, prepared, &model, None, control, (began, pool))?;
        // The whole tables have said so already.
        simulated.warnings.retain(|text| !of_tables.contains(text));
        let lacks = || EngineError::Internal { what: "a simulation kept no forecasts".to_owned() };
        let kept = simulated.forecasts.take().ok_or_else(lacks)?;
        let laws = std::mem::take(&mut simulated.laws);
        let mut report = CutReport {
            as_of: day_text(self.dataset.axis, day),
            fold,
            vehicles: simulated.vehicles,
            judged: 0,
            known_failed: 0,
            not_sold: 0,
            stated_hash: simulated.content_hash.clone(),
            reports_to_come: self.reports_to_come(calendar_day),
            fitted,
        };
        let judge = Judge { rolling: self, model: &model, kept: &kept, starts: &starts, day, calendar_day };
        let order = judge.order();
        let parts = judge.parts(&order, cut, &mut report);
        let counts = judge.counts(&order, &laws, cut, fold);
        report.judged = parts.len() as u64;
        Ok(CutDone { report, simulated, ids: kept.ids, parts, counts })
    }

    fn reports_to_come(&self, calendar_day: i32) -> bool {
        let longest = self.horizons.last().copied().unwrap_or(0);
        i64::from(calendar_day) + i64::from(longest) + i64::from(self.report_days) > i64::from(self.until_day)
    }

    fn fitted(
        &self,
        dataset: &Dataset,
        request: &FitRequest,
        day: i32,
        control: &Control,
    ) -> Result<(Model, Vec<FittedValue>), EngineError> {
        let simulation = &self.plan.simulation;
        let reading = Reading {
            threads: simulation.threads,
            memory_limit_bytes: simulation.memory_limit_bytes,
            chunk_rows: simulation.chunk_rows,
            reversed: simulation.reversed,
            scan_kind: simulation.scan_kind,
            hash_inputs: false,
        };
        let request = FitRequest { as_of_day: day, ..request.clone() };
        let (done, _) = fit_histories(dataset, self.model, &request, &reading, control)?;
        let values = done.fit.estimates().map(|one| FittedValue {
            parameter: one.path.name(self.model),
            value: one.value,
            standard_error: one.standard_error,
        });
        Ok((done.fit.fitted(self.model), values.collect()))
    }
}

/// One cut day's forecasts beside what came.
struct Judge<'a> {
    rolling: &'a Rolling<'a>,
    model: &'a Model,
    kept: &'a KeptForecasts,
    starts: &'a PartStarts,
    day: i32,
    calendar_day: i32,
}

impl Judge<'_> {
    /// Places of the forecast vehicles, by rising id.
    fn order(&self) -> Vec<usize> {
        let vehicles = &self.kept.forecasts.vehicles;
        let mut order: Vec<usize> = (0..vehicles.len()).collect();
        match &self.kept.ids {
            Ids::Integer(ids) => order.sort_unstable_by_key(|&place| ids[vehicles[place].vehicle as usize]),
            Ids::Text(ids) => {
                order.sort_unstable_by_key(|&place| ids[vehicles[place].vehicle as usize].as_str());
            }
        }
        order
    }

    /// A vehicle's index with hindsight, and the hash of its id.
    fn with_hindsight(&self, vehicle: u32) -> (Option<u32>, u64) {
        let known = &self.rolling.dataset.ids;
        match &self.kept.ids {
            Ids::Integer(ids) => {
                let id = ids[vehicle as usize];
                (known.index_of_integer(id), hash_of(&id.to_le_bytes()))
            }
            Ids::Text(ids) => {
                let id = ids[vehicle as usize].as_str();
                (known.index_of(id), hash_of(id.as_bytes()))
            }
        }
    }

    fn chance(&self, sum_q48: u64) -> f64 {
        self.kept.chance(sum_q48).min(1.0)
    }

    fn parts(&self, order: &[usize], cut: usize, report: &mut CutReport) -> Vec<(u32, usize, JudgedPart)> {
        let rolling = self.rolling;
        let vehicles = &rolling.dataset.vehicles;
        let rows = self.kept.parts.rows.len();
        let mut parts = Vec::with_capacity(order.len() * rolling.places.len());
        for &place in order {
            let VehicleForecast { vehicle, first, .. } = self.kept.forecasts.vehicles[place];
            let (index, hash) = self.with_hindsight(vehicle);
            if index.and_then(|index| vehicles.in_service_day(index as usize)).is_some_and(|sold| sold > self.day) {
                report.not_sold += 1;
                continue;
            }
            let fates = index.map(|index| rolling.outcomes.fates(index, self.day, (self.starts, vehicle as usize)));
            let forecasts = &self.kept.forecasts.parts[first..first + rows];
            for (number, of) in rolling.places.iter().enumerate() {
                let own: Vec<&PartForecast> = of.rows.iter().map(|&row| &forecasts[row]).collect();
                if own.iter().any(|part| part.flags.has(Flag::FailedNotReplaced)) {
                    report.known_failed += 1;
                    continue;
                }
                let fate = fates
                    .as_ref()
                    .and_then(|fates| fates[of.part])
                    .map(|fate| Fate { day: rolling.axis.calendar_day(fate.day) - self.calendar_day, ..fate });
                let part = JudgedPart {
                    vehicle: hash,
                    cut: cut as u32,
                    subject: of.subject as u32,
                    part: of.part as u32,
                    start_day: self.starts.day(vehicle as usize, of.part),
                    chances: self.chances(&own),
                    warned: self.is_warned(of, &own),
                    fate: fate.filter(|fate| {
                        i64::from(self.calendar_day) + i64::from(fate.day) <= i64::from(rolling.until_day)
                    }),
                };
                parts.push((vehicle, number, part));
            }
        }
        parts
    }

    /// By slot: of the modes of a part together, each net of the others.
    fn chances(&self, own: &[&PartForecast]) -> [f64; SLOTS] {
        let mut chances = [0.0; SLOTS];
        for (slot, days) in self.rolling.horizons.iter().enumerate() {
            let Some(at) = self.rolling.forecast_days.iter().position(|of| of == days) else { continue };
            let sum = |part: &&PartForecast| part.failed_already_q48 + part.failed_q48[at].unwrap_or(0);
            chances[slot] = own.iter().map(|part| self.chance(sum(part))).sum::<f64>().min(1.0);
        }
        let alert = own.iter().map(|part| self.chance(part.alert_q48.unwrap_or(0)));
        chances[ALERT_SLOT] = alert.sum::<f64>().min(1.0);
        chances
    }

    fn is_warned(&self, place: &Place, own: &[&PartForecast]) -> bool {
        place.rows.iter().zip(own).any(|(&row, part)| {
            let mode = &self.model.modes[self.kept.parts.rows[row].mode];
            mode.alert.zip(part.alert_q48).is_some_and(|(alert, sum)| self.chance(sum) >= alert.probability)
        })
    }

    /// Where the counts that came stand in their laws.
    fn counts(&self, order: &[usize], laws: &[CountLaws], cut: usize, fold: Option<u32>) -> Vec<PlacedCount> {
        let rolling = self.rolling;
        let longest = rolling.horizons.last().copied().unwrap_or(0) as i32;
        let last = self.calendar_day + longest;
        let came = self.came(order, laws, last);
        let seed = rolling.plan.simulation.seed;
        let mut counts = Vec::new();
        for law in laws {
            let days = law.window.days;
            let asked = match law.window.name {
                "to_date" => rolling.horizons.iter().any(|&horizon| days.1 == self.calendar_day + horizon as i32),
                _ => true,
            };
            // An event of a part with several modes does not say which it was.
            let alone = rolling.subjects.iter().any(|subject| subject.failure_mode == law.failure_mode);
            if !asked || !alone || days.1 > last || days.1 > rolling.until_day {
                continue;
            }
            let key = (law.group_by.as_str(), law.group.as_deref(), law.failure_mode.as_str());
            let own = came.get(&key).map(Vec::as_slice).unwrap_or_default();
            let came = own.partition_point(|&day| day <= days.1) - own.partition_point(|&day| day < days.0);
            let name = format!("{}\0{fold:?}\0{key:?}\0{}\0{days:?}", self.calendar_day, law.window.name);
            let word = |at: usize| {
                let hash = blake3::hash(name.as_bytes());
                hash.as_bytes()[4 * at..4 * at + 4].iter().fold(0_u32, |word, &byte| word << 8 | u32::from(byte))
            };
            let drawn = threefry2x32([seed as u32 ^ (seed >> 32) as u32, PLACE_STREAM], [word(0), word(1)])[0];
            let draw = (f64::from(drawn) + 0.5) / 4_294_967_296.0;
            counts.push(PlacedCount {
                cut,
                fold,
                group_by: law.group_by.clone(),
                group: law.group.clone(),
                failure_mode: law.failure_mode.clone(),
                window: law.window.name,
                days,
                expected: law.expected,
                variance: law.variance.weather + law.variance.parameters + law.variance.chance,
                came: came as i64,
                place: law.place(came as i64, draw),
            });
        }
        counts
    }

    /// Calendar days of the failures of the forecast vehicles up to a day, sorted, by group and failure mode.
    fn came<'l>(
        &'l self,
        order: &[usize],
        laws: &'l [CountLaws],
        last: i32,
    ) -> BTreeMap<(&'l str, Option<&'l str>, &'l str), Vec<i32>> {
        let rolling = self.rolling;
        let vehicles = &rolling.dataset.vehicles;
        let mut by: Vec<&str> = laws.iter().map(|law| law.group_by.as_str()).collect();
        by.sort_unstable();
        by.dedup();
        let mode_of: Vec<Option<&str>> = (0..rolling.parts.parts.len())
            .map(|part| {
                let place = rolling.places.iter().find(|place| place.part == part)?;
                Some(rolling.subjects[place.subject].failure_mode.as_str())
            })
            .collect();
        let window = (rolling.axis.axis_day(self.calendar_day + 1), rolling.axis.axis_day(last));
        let mut came: BTreeMap<(&str, Option<&str>, &str), Vec<i32>> = BTreeMap::new();
        for &place in order {
            let vehicle = self.kept.forecasts.vehicles[place].vehicle;
            let Some(index) = self.with_hindsight(vehicle).0 else { continue };
            for (day, part) in rolling.outcomes.failures(index, window) {
                let Some(mode) = mode_of[part as usize] else { continue };
                for &by in &by {
                    let attribute = vehicles.attributes.iter().find(|attribute| attribute.name == by);
                    let value = attribute.and_then(|attribute| {
                        let code = attribute.code.get(index as usize).copied().filter(|&code| code != NO_VALUE)?;
                        attribute.values.get(code as usize).map(String::as_str)
                    });
                    came.entry((by, value, mode)).or_default().push(rolling.axis.calendar_day(day));
                }
            }
        }
        came.values_mut().for_each(|days| days.sort_unstable());
        came
    }
}
