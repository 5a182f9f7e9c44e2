//! What was planted and what came of it: counts that add up over blocks of vehicles, and `truth/planted.json`.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::json;

use super::calibrate::pad_wear;
use super::day::{Columns, HARD_ACCELERATIONS};
use super::fleet::{Fleet, Profile, drifting_lot_name};
use super::life::{Law, Life};
use super::order;
use super::sensor;
use super::style::{self, STYLES};
use super::wear::{RunningClocks, Wear};
use crate::model::channel::Schema;

/// Counts of a block of vehicles, or of the fleet.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Counts {
    pub vehicles: u64,
    /// Rows of the histories.
    pub rows: u64,
    /// Days in service without a record.
    pub missing_days: u64,
    pub not_available_cells: u64,
    /// Parts that failed, reported or not, by failure mode.
    pub failures: BTreeMap<String, u64>,
    /// Of them, not reported before the data end.
    pub unreported: BTreeMap<String, u64>,
    pub preventive_replacements: u64,
    pub rules: Vec<RuleCounts>,
    pub drifting_sensors: u64,
    /// Drifting sensors that passed the threshold, and that cut in, within the data.
    pub crossings: u64,
    pub protections: u64,
    /// Good rows of the work order table, by the code of their type.
    pub orders: BTreeMap<String, u64>,
    /// All rows of the work order table.
    pub work_orders: u64,
    pub duplicates: u64,
    pub faults_unknown_kind: u64,
    pub faults_no_component: u64,
    pub faults_no_vehicle: u64,
    pub faults_no_day: u64,
    pub faults_reported_before_occurred: u64,
    /// Kilometres and hard accelerations by style.
    pub styles: Vec<StyleCounts>,
}

/// One interaction of one mode, over the vehicles that it can apply to.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RuleCounts {
    pub mode: String,
    pub interaction: String,
    pub ratio: f64,
    pub planted: bool,
    /// Vehicle-days inside the rule.
    pub days_inside: u64,
    /// Failures on days inside the rule, and on other days.
    pub failures_inside: u64,
    pub failures_outside: u64,
    /// Sum over parts at risk of the growth of their cumulative hazard (what the counts are Poisson draws of).
    pub hazard_inside: f64,
    pub hazard_outside: f64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct StyleCounts {
    pub style: String,
    pub vehicles: u64,
    pub distance_km: f64,
    pub hard_accelerations: f64,
    /// Sum over vehicles of hard accelerations per km, each vehicle counting once.
    pub accelerations_per_km: f64,
    /// Pad wear in lives, and its sum over vehicles per km.
    pub pad_wear_per_km: f64,
    /// Vehicles that drove at all: what the two sums are over.
    pub driven: u64,
}

impl Counts {
    /// Zero of everything, with a place for every rule of the model and every style.
    pub fn new(wear: &Wear, planted: bool) -> Self {
        let mut counts = Self::default();
        for bits in &wear.model.interactions {
            for interaction in bits {
                for (mechanism, id, ratio) in &interaction.uses {
                    let mode = &wear.model.modes[wear.model.mechanisms[*mechanism].mode];
                    counts.rules.push(RuleCounts {
                        mode: mode.id.clone(),
                        interaction: id.clone(),
                        ratio: *ratio,
                        planted,
                        ..RuleCounts::default()
                    });
                }
            }
        }
        for mode in &wear.model.modes {
            counts.failures.insert(mode.id.clone(), 0);
            counts.unreported.insert(mode.id.clone(), 0);
        }
        counts.styles =
            STYLES.iter().map(|style| StyleCounts { style: style.name.to_owned(), ..StyleCounts::default() }).collect();
        counts
    }

    pub fn order(&mut self, kind: &str) {
        *self.orders.entry(kind.to_owned()).or_default() += 1;
    }

    /// Counts one vehicle's lives and sensor, and its exposure to each rule. `masks`: the interactions its attributes
    /// allow, one mask a group.
    pub fn lives(&mut self, lives: &[Life], wear: &Wear, clocks: &RunningClocks, masks: &[u32], rows: usize) {
        for life in lives {
            let mode = &wear.model.modes[life.mode];
            if let Some(failure) = life.failed {
                *self.failures.entry(mode.id.clone()).or_default() += 1;
                if failure.reported_day.is_none() {
                    *self.unreported.entry(mode.id.clone()).or_default() += 1;
                }
            } else if life.replaced_day.is_some() {
                self.preventive_replacements += 1;
            }
        }
        let mut rule = 0;
        for (group, bits) in wear.model.interactions.iter().enumerate() {
            for (bit, interaction) in bits.iter().enumerate() {
                for (mechanism, _, _) in &interaction.uses {
                    let allowed = masks.get(group).is_some_and(|mask| mask >> bit & 1 == 1);
                    if allowed && let Some(counts) = self.rules.get_mut(rule) {
                        counts.days_inside += (0..rows).filter(|&row| clocks.is_active(row, group, bit)).count() as u64;
                        let mode = wear.model.mechanisms[*mechanism].mode;
                        for life in lives.iter().filter(|life| life.mode == mode) {
                            counts.expose(life, wear, clocks, group, bit);
                        }
                    }
                    rule += 1;
                }
            }
        }
    }

    /// Counts one vehicle's drifting sensor.
    pub fn sensor(&mut self, profile: &Profile, service_days: &std::ops::Range<i32>) {
        if let Some(drift) = profile.drift {
            self.drifting_sensors += 1;
            self.crossings += u64::from(service_days.contains(&drift.crossing_day));
            self.protections += u64::from(service_days.contains(&drift.protection_day));
        }
    }

    /// Counts one vehicle's driving by its style. `pads`: the mechanisms of the brake pads.
    pub fn driving(
        &mut self,
        profile: &Profile,
        columns: &Columns,
        clocks: &RunningClocks,
        schema: &Schema,
        pads: &[usize],
    ) {
        for (channel, codes) in schema.channels.iter().zip(&columns.codes) {
            let not_available = channel.not_available();
            self.not_available_cells += codes.iter().filter(|&&code| code == not_available).count() as u64;
        }
        let (pad_wear, distance_km) = pad_wear(columns, clocks, pads);
        let accelerations: f64 = columns.codes[HARD_ACCELERATIONS]
            .iter()
            .filter(|&&code| code != schema.channels[HARD_ACCELERATIONS].not_available())
            .map(|&code| f64::from(code))
            .sum();
        if let Some(style) = self.styles.get_mut(profile.style) {
            style.vehicles += 1;
            style.distance_km += distance_km;
            style.hard_accelerations += accelerations;
            if distance_km > 0.0 {
                style.driven += 1;
                style.accelerations_per_km += accelerations / distance_km;
                style.pad_wear_per_km += pad_wear / distance_km;
            }
        }
    }

    pub fn add(&mut self, other: &Counts) {
        let merge = |into: &mut BTreeMap<String, u64>, from: &BTreeMap<String, u64>| {
            for (key, count) in from {
                *into.entry(key.clone()).or_default() += count;
            }
        };
        merge(&mut self.failures, &other.failures);
        merge(&mut self.unreported, &other.unreported);
        merge(&mut self.orders, &other.orders);
        for (into, from) in [
            (&mut self.vehicles, other.vehicles),
            (&mut self.rows, other.rows),
            (&mut self.missing_days, other.missing_days),
            (&mut self.not_available_cells, other.not_available_cells),
            (&mut self.preventive_replacements, other.preventive_replacements),
            (&mut self.drifting_sensors, other.drifting_sensors),
            (&mut self.crossings, other.crossings),
            (&mut self.protections, other.protections),
            (&mut self.work_orders, other.work_orders),
            (&mut self.duplicates, other.duplicates),
            (&mut self.faults_unknown_kind, other.faults_unknown_kind),
            (&mut self.faults_no_component, other.faults_no_component),
            (&mut self.faults_no_vehicle, other.faults_no_vehicle),
            (&mut self.faults_no_day, other.faults_no_day),
            (&mut self.faults_reported_before_occurred, other.faults_reported_before_occurred),
        ] {
            *into += from;
        }
        for (into, from) in self.rules.iter_mut().zip(&other.rules) {
            into.days_inside += from.days_inside;
            into.failures_inside += from.failures_inside;
            into.failures_outside += from.failures_outside;
            into.hazard_inside += from.hazard_inside;
            into.hazard_outside += from.hazard_outside;
        }
        for (into, from) in self.styles.iter_mut().zip(&other.styles) {
            into.vehicles += from.vehicles;
            into.distance_km += from.distance_km;
            into.hard_accelerations += from.hard_accelerations;
            into.accelerations_per_km += from.accelerations_per_km;
            into.pad_wear_per_km += from.pad_wear_per_km;
            into.driven += from.driven;
        }
    }
}

impl RuleCounts {
    /// Splits one part's growth of cumulative hazard into days inside and outside the rule, run by run.
    fn expose(&mut self, life: &Life, wear: &Wear, clocks: &RunningClocks, group: usize, bit: usize) {
        let law = Law::of(&wear.model.modes[life.mode], wear);
        let end = life.failed.map_or(life.end_row, |failure| failure.row + 1);
        let hazard = |row: usize| law.hazard(clocks, &life.prior_q48, life.first_row, row);
        let mut row = life.first_row;
        let mut before = if row < end { hazard(row) } else { 0.0 };
        while row < end {
            let inside = clocks.is_active(row, group, bit);
            let mut next = row + 1;
            while next < end && clocks.is_active(next, group, bit) == inside {
                next += 1;
            }
            let after = hazard(next);
            *(if inside { &mut self.hazard_inside } else { &mut self.hazard_outside }) += after - before;
            before = after;
            row = next;
        }
        if let Some(failure) = life.failed {
            let inside = clocks.is_active(failure.row, group, bit);
            *(if inside { &mut self.failures_inside } else { &mut self.failures_outside }) += 1;
        }
    }
}

/// `truth/planted.json`: the parameters, and the counts of what they led to.
pub fn planted(fleet: &Fleet, wear: &Wear, counts: &Counts) -> serde_json::Value {
    let plan = &fleet.plan;
    let styles: Vec<serde_json::Value> = STYLES
        .iter()
        .enumerate()
        .map(|(index, style)| {
            json!({
                "name": style.name,
                "share": style.share,
                "annual_km_median": style.annual_km * fleet.kind.distance_ratio,
                "hard_brakes_per_100km": fleet.brakes_per_100km[index],
                "hard_accelerations_per_100km": fleet.accelerations_per_100km[index],
            })
        })
        .collect();
    let life_laws: Vec<serde_json::Value> = wear
        .model
        .modes
        .iter()
        .map(|mode| {
            let mechanisms: Vec<serde_json::Value> = wear.model.mechanisms[mode.mechanisms.clone()]
                .iter()
                .map(|mechanism| {
                    json!({
                        "id": mechanism.id,
                        "characteristic_life": mechanism.characteristic_life,
                        "clock_exponent": mechanism.clock_exponent,
                    })
                })
                .collect();
            json!({
                "id": mode.id,
                "component": mode.component,
                "weibull_shape": mode.weibull_shape,
                "mechanisms": mechanisms,
            })
        })
        .collect();
    json!({
        "plan": {
            "vehicles": plan.vehicles,
            "days": plan.days,
            "start_day": plan.start_day,
            "seed": plan.seed,
            "zones": fleet.zones.iter().map(|zone| json!({ "name": zone.name, "share": zone.share })).collect::<Vec<_>>(),
            "without_rule": plan.without_rule,
        },
        "model": { "name": wear.model.name, "version": wear.model.version, "blake3": wear.model.hash },
        "life_laws": life_laws,
        "styles": styles,
        "customer_a": {
            "hard_acceleration_ratio": style::CUSTOMER_A_ACCELERATION_RATIO,
            "pad_wear_ratio": style::CUSTOMER_A_PAD_WEAR_RATIO,
        },
        "report_delay_mean_days": super::life::REPORT_DELAY_MEAN_DAYS,
        "notices": {
            "responded_share": super::life::RESPONDED_SHARE,
            "accepted_share": super::life::ACCEPTED_SHARE,
            "routine_responded_share": order::ROUTINE_RESPONDED_SHARE,
            "routine_accepted_share": order::ROUTINE_ACCEPTED_SHARE,
        },
        "sensor_lot": {
            "name": drifting_lot_name(plan),
            "vehicles": fleet.lot.size,
            "drifting": fleet.lot.drifting,
            "baseline_k": sensor::BASELINE_K,
            "noise_sd_k": sensor::NOISE_SD_K,
            "noise_lag1": sensor::NOISE_LAG1,
            "threshold_k": sensor::THRESHOLD_K,
            "protection_limit_k": sensor::PROTECTION_LIMIT_K,
            "slope_median_k_per_day": sensor::SLOPE_MEDIAN_K_PER_DAY,
            "lead_median_days": sensor::LEAD_MEDIAN_DAYS,
            "first_onset_day": fleet.lot.first_onset_day,
            "onset_spread_days": sensor::ONSET_SPREAD_DAYS,
        },
        "counts": counts,
    })
}
