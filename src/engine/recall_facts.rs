//! What is on record of a cohort: who is in service, who is marked by a monitor or has failed, and where such vehicles are
//! to be found in the fleet.
//!
//! A vehicle is *marked* by a monitor if its part alarmed, by a component if it failed; it stays marked when the part was
//! replaced, which is told apart. Only what the defect asked for brings along marks ([`super::recall_defect`]). Counts are of
//! vehicles in service as of the day on which one stands; boundaries are looked for among all that ever served.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::recall::STRATUM_MODEL;
use super::recall_defect::DefectOf;
use super::recall_plan::RecallPlan;
use super::report::day_text;
use super::simulate_plan::SimulateReport;
use crate::fleet::time::TimeAxis;
use crate::fleet::vehicles::{Attribute, Ids, Vehicles, day_of};
use crate::model::spec::Model;
use crate::monitor::output::VehicleId;
use crate::recall::boundary::{Boundary, Scan, adjusted};
use crate::recall::cohort::Cohort;
use crate::recall::fleet_report::{CohortReport, Defect, Listed, Method, NotCounted, Range, Share};
use crate::recall::incidents::{by_months, is_known_failure};

const ALARMS: &str = "alarms";
const FAILURES: &str = "failures";
/// Boundaries of a higher corrected p are not told.
const NOTABLE_P: f64 = 0.05;

/// The fleet's small tables, and whom the recall is about.
pub struct Facts<'a> {
    pub vehicles: &'a Vehicles,
    pub ids: &'a Ids,
    pub axis: TimeAxis,
    pub as_of_day: i32,
    pub cohort: &'a Cohort,
    /// Attributes within whose values alone vehicles are compared.
    pub strata: Vec<&'a Attribute>,
}

/// Vehicles marked by one defect.
pub struct Marks {
    name: String,
    shows_as: &'static str,
    /// First and last alarm or failure, by vehicle.
    days: BTreeMap<u32, (i32, i32)>,
    /// Vehicles with a part that alarmed and is still there.
    open: BTreeSet<u32>,
}

impl Marks {
    fn add(&mut self, vehicle: u32, day: i32) {
        let days = self.days.entry(vehicle).or_insert((day, day));
        *days = (days.0.min(day), days.1.max(day));
    }
}

impl Facts<'_> {
    fn is_in_service(&self, vehicle: usize) -> bool {
        self.vehicles.in_service_day(vehicle).is_none_or(|sold| sold <= self.as_of_day)
            && day_of(&self.vehicles.end_day, vehicle).is_none_or(|end| end > self.as_of_day)
    }

    /// Of every monitor and every component of the defect.
    pub fn marks(&self, defect: &DefectOf, simulated: &SimulateReport) -> Vec<Marks> {
        let mut marks: Vec<Marks> = simulated
            .monitors
            .iter()
            .map(|monitor| Marks {
                name: monitor.monitor.clone(),
                shows_as: ALARMS,
                days: BTreeMap::new(),
                open: BTreeSet::new(),
            })
            .collect();
        let index: HashMap<VehicleId, u32> = match simulated.alarms.is_empty() {
            true => HashMap::new(),
            false => {
                let known = 0..self.vehicles.known as u32;
                known.filter_map(|vehicle| Some((VehicleId::of(self.ids, vehicle)?, vehicle))).collect()
            }
        };
        for one in &simulated.alarms {
            if let (Some(&vehicle), Some(marks)) = (index.get(&one.vehicle), marks.get_mut(one.monitor)) {
                marks.add(vehicle, one.alarm.alarm_day);
                if one.alarm.replaced_day.is_none() {
                    marks.open.insert(vehicle);
                }
            }
        }
        // Alarms name monitors by their place in the model: those of other components go only now.
        marks.retain(|marks| defect.monitors.contains(&marks.name));
        for component in &defect.components {
            let known = self.vehicles.components.iter().position(|name| name == component);
            let mut failures =
                Marks { name: component.clone(), shows_as: FAILURES, days: BTreeMap::new(), open: BTreeSet::new() };
            for event in self.vehicles.events.iter().filter(|event| Some(event.component as usize) == known) {
                if is_known_failure(event, self.as_of_day) {
                    failures.add(event.vehicle, event.occurred_day);
                }
            }
            marks.push(failures);
        }
        marks
    }

    /// Everything but forecasts, money and notes.
    pub fn report(
        &self,
        marks: &[Marks],
        defect: &DefectOf,
        plan: &RecallPlan,
        simulated: &SimulateReport,
        model: &Model,
    ) -> CohortReport {
        let known = self.vehicles.known;
        let in_service: Vec<bool> = (0..known).map(|vehicle| self.is_in_service(vehicle)).collect();
        let mut inside = vec![false; known];
        self.cohort.vehicles.iter().for_each(|&vehicle| inside[vehicle as usize] = true);
        let affected = (0..known).filter(|&vehicle| inside[vehicle] && in_service[vehicle]).count() as u64;
        let serving = in_service.iter().filter(|&&serves| serves).count() as u64;
        let is_asked = defect.asked.is_some();
        let listed = self.listed(marks, &in_service, is_asked);
        let serving_of = |of: &dyn Fn(&&Listed) -> bool| {
            listed.iter().filter(|one| one.in_service).filter(|one| of(one)).count() as u64
        };
        let suspects = serving_of(&|one| one.suspect == Some(true));
        CohortReport {
            cohort: plan.cohort.text(),
            as_of: simulated.as_of.clone(),
            model: format!("{} {}", model.name, model.version),
            confidence: plan.confidence,
            vehicles: self.cohort.vehicles.len() as u64,
            affected,
            defect: defect.told(),
            suspects: is_asked.then(|| Share::of(suspects, affected, plan.confidence)),
            failed: is_asked.then(|| serving_of(&|one| one.last_failure.is_some())),
            replaced: serving_of(&|one| one.replaced),
            share_of_fleet: affected as f64 / serving.max(1) as f64,
            undecided: self.cohort.undecided.len() as u64,
            unknown: self.cohort.unknown.clone(),
            repeated: self.cohort.repeated,
            defects: marks
                .iter()
                .map(|marks| self.defect(marks, &inside, &in_service, (affected, serving - affected), plan.confidence))
                .collect(),
            counts: plan.simulation.count.name(),
            method: Method::PlugIn,
            forecasts: Vec::new(),
            boundaries: self.boundaries(marks),
            strata: self.strata.iter().map(|stratum| stratum.name.clone()).collect(),
            ranges: self.ranges(&inside),
            incidents: by_months(self.vehicles, &inside, self.as_of_day),
            incidents_of_others: {
                let others: Vec<bool> = inside.iter().map(|inside| !inside).collect();
                by_months(self.vehicles, &others, self.as_of_day)
            },
            money: None,
            notes: Vec::new(),
            not_counted: {
                let strangers = self.cohort.unknown.iter().cloned().map(|id| (id, NotCounted::NotInTheData));
                let undecided = self.in_order(self.cohort.undecided.iter().copied()).into_iter();
                undecided.map(|vehicle| (self.id(vehicle), NotCounted::Undecided)).chain(strangers).collect()
            },
            listed,
        }
    }

    fn defect(
        &self,
        marks: &Marks,
        inside: &[bool],
        in_service: &[bool],
        (affected, others): (u64, u64),
        confidence: f64,
    ) -> Defect {
        let serving = || marks.days.keys().filter(|&&vehicle| in_service[vehicle as usize]);
        let vehicles = serving().filter(|&&vehicle| inside[vehicle as usize]).count() as u64;
        let vehicles_of_others = serving().count() as u64 - vehicles;
        Defect {
            name: marks.name.clone(),
            shows_as: marks.shows_as,
            inside: Share::of(vehicles, affected, confidence),
            vehicles_of_others,
            share_of_others: vehicles_of_others as f64 / others.max(1) as f64,
        }
    }

    /// Of all defects, the places that hold more than is to be expected; most striking first.
    fn boundaries(&self, marks: &[Marks]) -> Vec<Boundary> {
        let scan = Scan { vehicles: self.vehicles, as_of_day: self.as_of_day, strata: self.strata.clone() };
        let dimensions = marks.iter().flat_map(|marks| {
            let first: BTreeMap<u32, i32> = marks.days.iter().map(|(&vehicle, days)| (vehicle, days.0)).collect();
            scan.dimensions(&marks.name, &first)
        });
        let notable = adjusted(dimensions.collect()).into_iter().filter(|one| one.p < NOTABLE_P);
        notable
            .map(|one| {
                let days = one.from_day.zip(one.to_day);
                let text =
                    days.map(|(from, to)| format!("{} … {}", day_text(self.axis, from), day_text(self.axis, to)));
                Boundary { value: one.value.clone().or(text), ..one }
            })
            .collect()
    }

    fn id(&self, vehicle: u32) -> String {
        match self.ids {
            Ids::Integer(ids) => ids.get(vehicle as usize).map(i64::to_string).unwrap_or_default(),
            Ids::Text(ids) => ids.get(vehicle as usize).cloned().unwrap_or_default(),
        }
    }

    /// Vehicles by rising id: integers by value, texts bytewise.
    fn in_order(&self, vehicles: impl Iterator<Item = u32>) -> Vec<u32> {
        let mut order: Vec<u32> = vehicles.collect();
        match self.ids {
            Ids::Integer(ids) => order.sort_unstable_by_key(|&vehicle| ids[vehicle as usize]),
            Ids::Text(ids) => order.sort_unstable_by(|&a, &b| ids[a as usize].cmp(&ids[b as usize])),
        }
        order
    }

    fn listed(&self, marks: &[Marks], in_service: &[bool], is_asked: bool) -> Vec<Listed> {
        let day = |day: Option<i32>| day.map(|day| day_text(self.axis, day));
        let order = self.in_order(self.cohort.vehicles.iter().copied());
        let row = |vehicle: u32| {
            let own = || marks.iter().filter_map(|marks| marks.days.get(&vehicle).map(|&days| (marks, days)));
            let of = |shows_as: &'static str| {
                own().filter(move |(marks, _)| marks.shows_as == shows_as).map(|(_, days)| days)
            };
            let names: Vec<&str> = own().map(|(marks, _)| marks.name.as_str()).collect();
            let is_alarmed = of(ALARMS).next().is_some();
            Listed {
                id: self.id(vehicle),
                in_service: in_service[vehicle as usize],
                suspect: is_asked.then_some(!names.is_empty()),
                shows: names.join("; "),
                replaced: is_alarmed && !own().any(|(marks, _)| marks.open.contains(&vehicle)),
                first_alarm: day(of(ALARMS).map(|days| days.0).min()),
                last_failure: day(of(FAILURES).map(|days| days.1).max()),
                build: day(day_of(&self.vehicles.build_day, vehicle as usize)),
                sale: day(day_of(&self.vehicles.sale_day, vehicle as usize)),
                attributes: self
                    .vehicles
                    .attributes
                    .iter()
                    .map(|attribute| {
                        let code = attribute.code.get(vehicle as usize)?;
                        attribute.values.get(*code as usize).cloned()
                    })
                    .collect(),
            }
        };
        order.into_iter().map(row).collect()
    }

    /// By the values of the attribute that names vehicle models, where there is one; else of all.
    fn ranges(&self, inside: &[bool]) -> Vec<Range> {
        let by = self.vehicles.attributes.iter().find(|attribute| attribute.name == STRATUM_MODEL);
        let code = |vehicle: u32| by.and_then(|by| by.code.get(vehicle as usize).copied()).unwrap_or(u32::MAX);
        let mut members: BTreeMap<u32, (u64, Vec<u32>)> = BTreeMap::new();
        for vehicle in 0..self.vehicles.known as u32 {
            let of_value = members.entry(code(vehicle)).or_default();
            of_value.0 += 1;
            if inside[vehicle as usize] {
                of_value.1.push(vehicle);
            }
        }
        let range = |(code, (all, own)): (u32, (u64, Vec<u32>))| {
            let days = || own.iter().filter_map(|&vehicle| day_of(&self.vehicles.build_day, vehicle as usize));
            let count = own.len() as u64;
            let (first_build, last_build) = (days().min(), days().max());
            let order = self.in_order(own.into_iter());
            let (first, last) = order.first().zip(order.last())?;
            Some(Range {
                attribute: by.map_or("all", |by| by.name.as_str()).to_owned(),
                value: by.and_then(|by| by.values.get(code as usize).cloned()),
                vehicles: count,
                first_build: first_build.map(|day| day_text(self.axis, day)),
                last_build: last_build.map(|day| day_text(self.axis, day)),
                first_id: self.id(*first),
                last_id: self.id(*last),
                share_of_sales: count as f64 / all as f64,
            })
        };
        members.into_iter().filter_map(range).collect()
    }
}
