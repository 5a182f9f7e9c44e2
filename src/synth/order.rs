//! Work orders: what the workshops wrote down about the lives, with the untidiness of real tables.
//!
//! One row is one line of a work order. A failure is opened when it is reported, a replacement on the day of repair.
//! Besides the truth there are false alarms (complaints that the workshop could not confirm), inspections, notices
//! with what came of them, repeated rows and rows with faults. Faults are extra rows or touch inspections only, so
//! that the lives can still be read off the table.

use std::collections::BTreeSet;

use super::draw::{Draws, Stream, pick};
use super::fleet::Profile;
use super::life::Life;
use super::sensor;
use super::truth::Counts;
use super::wear::Wear;

/// Of the failures on record, with the finding not filled in.
const NO_FINDING_SHARE: f64 = 0.05;
/// Complaints that are not confirmed, per vehicle and year.
const FALSE_ALARMS_PER_YEAR: f64 = 0.12;
const INSPECTIONS_PER_YEAR: f64 = 1.0;
/// Reminders by date that name no part's state, per vehicle and year; and what customers do.
pub const ROUTINE_NOTICES_PER_YEAR: f64 = 0.3;
pub const ROUTINE_RESPONDED_SHARE: f64 = 0.31;
pub const ROUTINE_ACCEPTED_SHARE: f64 = 0.08;
/// Rows that stand in the table twice.
const DUPLICATE_SHARE: f64 = 0.01;
/// Faulty rows of each kind, per good row.
const FAULT_SHARE: f64 = 0.001;
/// Mean days from a protection event to the visit: the vehicle stands.
const PROTECTION_DELAY_DAYS: i32 = 2;
/// Numbers of one vehicle's orders start at a multiple of this.
const ORDERS_PER_VEHICLE: i64 = 10_000;
const WEIGHTS: [f64; 4] = [0.5, 0.25, 0.15, 0.1];

/// Codes of the table's `type` column.
pub const FAILURE: &str = "F";
pub const REPLACEMENT: &str = "R";
pub const INSPECTION: &str = "I";
pub const OUTCOME: &str = "O";
pub const UNKNOWN_KIND: &str = "X";
/// Codes of the table's `result` column.
pub const CONFIRMED: &str = "C";
pub const NOT_FOUND: &str = "N";

/// One row of `work_orders.parquet`.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    pub order_id: i64,
    /// `None` where the fault is that nobody wrote it down.
    pub vehicle: Option<u32>,
    pub component: Option<String>,
    pub position: Option<String>,
    pub kind: &'static str,
    pub occurred_day: Option<i32>,
    pub reported_day: i32,
    pub odometer_km: i32,
    pub symptom: Option<String>,
    pub finding: Option<&'static str>,
    /// RMB.
    pub cost: f64,
    pub responded: Option<bool>,
    pub accepted: Option<bool>,
}

/// What the orders of one vehicle are written from.
pub struct Workshop<'a> {
    pub profile: &'a Profile,
    pub wear: &'a Wear,
    pub draws: &'a Draws,
    pub service_days: std::ops::Range<i32>,
    /// Days with a record, and the odometer at the end of each, in 0.1 km.
    pub day: &'a [i32],
    pub odometer_steps: &'a [u64],
    pub odometer_before_km: f64,
}

impl Workshop<'_> {
    /// All rows of a vehicle in the order of the day they were opened; what was planted is added to `counts`.
    pub fn orders(&self, lives: &[Life], counts: &mut Counts) -> Vec<Order> {
        let mut orders = Vec::new();
        for life in lives {
            self.life_orders(life, &mut orders);
        }
        self.sensor_orders(&mut orders);
        self.other_orders(&mut orders);
        // A false alarm that happens to meet a true failure would be miscounted as a planted duplicate; the truth, which
        // comes first, stays.
        let mut seen = BTreeSet::new();
        orders.retain(|order| {
            seen.insert((order.occurred_day, order.component.clone(), order.position.clone(), order.kind))
        });
        orders.sort_by(|a, b| {
            let key = |order: &Order| (order.reported_day, order.occurred_day, order.kind);
            key(a).cmp(&key(b)).then_with(|| (&a.component, &a.position).cmp(&(&b.component, &b.position)))
        });
        for order in &orders {
            counts.order(order.kind);
        }
        self.untidy(orders, counts)
    }

    fn order(&self, kind: &'static str, component: &str, occurred_day: i32, reported_day: i32) -> Order {
        Order {
            order_id: 0,
            vehicle: Some(self.profile.vehicle),
            component: Some(component.to_owned()),
            position: None,
            kind,
            occurred_day: Some(occurred_day),
            reported_day,
            odometer_km: self.odometer_km(occurred_day),
            symptom: None,
            finding: None,
            cost: 0.0,
            responded: None,
            accepted: None,
        }
    }

    fn odometer_km(&self, day: i32) -> i32 {
        let rows = self.day.partition_point(|&row_day| row_day <= day);
        let since_km = rows.checked_sub(1).map_or(0.0, |row| self.odometer_steps[row] as f64 * 0.1);
        (self.odometer_before_km + since_km) as i32
    }

    fn life_orders(&self, life: &Life, orders: &mut Vec<Order>) {
        let mode = &self.wear.model.modes[life.mode];
        let position = mode.positions.get(life.position).cloned();
        let counter = (life.mode as u32) << 20 | (life.position as u32) << 12 | life.number & 0xfff;
        let uniform = |purpose: u32| self.draws.uniform(Stream::Order, !self.profile.vehicle, counter * 8 + purpose);
        let cost = part_cost(&mode.component) * libm::exp(0.2 * (2.0 * uniform(0) - 1.0));
        if let Some((failure, reported_day)) = life.failed.and_then(|f| Some((f, f.reported_day?))) {
            let mut order = self.order(FAILURE, &mode.component, failure.day, reported_day);
            order.position = position.clone();
            order.symptom = Some(symptom(&mode.component, pick(uniform(1), WEIGHTS)));
            order.finding = (uniform(2) >= NO_FINDING_SHARE).then_some(CONFIRMED);
            orders.push(order);
        }
        if let Some(day) = life.replaced_day {
            let mut order = self.order(REPLACEMENT, &mode.component, day, day);
            order.position = position.clone();
            order.cost = cents(cost);
            // A part taken out on a warning was looked at: found worn or not.
            order.finding = life
                .notice
                .and_then(|notice| notice.confirmed)
                .filter(|_| life.failed.is_none())
                .map(|worn| if worn { CONFIRMED } else { NOT_FOUND });
            orders.push(order);
        }
        if let Some(notice) = life.notice {
            let mut order = self.order(OUTCOME, &mode.component, notice.day, notice.day);
            order.position = position;
            order.symptom = Some("MODEL-NOTICE".to_owned());
            order.responded = Some(notice.responded);
            order.accepted = Some(notice.accepted);
            order.finding = notice.confirmed.map(|worn| if worn { CONFIRMED } else { NOT_FOUND });
            orders.push(order);
        }
    }

    fn sensor_orders(&self, orders: &mut Vec<Order>) {
        let Some(drift) = self.profile.drift else { return };
        if drift.repaired_day == i32::MAX {
            return;
        }
        let mut failure = self.order(FAILURE, sensor::COMPONENT, drift.protection_day, drift.repaired_day);
        failure.symptom = Some(sensor::SYMPTOM.to_owned());
        failure.finding = Some(CONFIRMED);
        let mut replacement = self.order(REPLACEMENT, sensor::COMPONENT, drift.repaired_day, drift.repaired_day);
        replacement.cost = part_cost(sensor::COMPONENT);
        orders.extend([failure, replacement]);
    }

    fn other_orders(&self, orders: &mut Vec<Order>) {
        let days = self.service_days.end - self.service_days.start;
        let modes = &self.wear.model.modes;
        if days <= 0 || modes.is_empty() {
            return;
        }
        let rates = [(0, FALSE_ALARMS_PER_YEAR), (1, INSPECTIONS_PER_YEAR), (2, ROUTINE_NOTICES_PER_YEAR)];
        for (what, per_year) in rates {
            let uniform = |number: u32, purpose: u32| {
                let counter = 1 << 31 | what << 24 | number << 3 | purpose;
                self.draws.uniform(Stream::Order, !self.profile.vehicle, counter)
            };
            // Gaps of a Poisson process.
            let mut day = 0.0;
            for number in 0..1 << 20 {
                day += -libm::log(uniform(number, 0)) * 365.25 / per_year;
                if day >= f64::from(days) {
                    break;
                }
                let occurred_day = self.service_days.start + day as i32;
                let mode =
                    &modes[pick(uniform(number, 1), modes.iter().map(|mode| mode.positions.len().max(1) as f64))];
                let place = (uniform(number, 2) * mode.positions.len() as f64) as usize;
                let mut order = match what {
                    0 => {
                        let reported_day = occurred_day + (uniform(number, 3) * 42.0) as i32;
                        let mut order = self.order(FAILURE, &mode.component, occurred_day, reported_day);
                        let code = WEIGHTS.len() - 1 - pick(uniform(number, 4), WEIGHTS);
                        order.symptom = Some(symptom(&mode.component, code));
                        order.finding = Some(NOT_FOUND);
                        order.cost = 150.0;
                        order
                    }
                    1 => {
                        let mut order = self.order(INSPECTION, &mode.component, occurred_day, occurred_day);
                        order.cost = 80.0;
                        order
                    }
                    _ => {
                        let mut order = self.order(OUTCOME, &mode.component, occurred_day, occurred_day);
                        let answer = uniform(number, 3);
                        order.symptom = Some("ROUTINE-NOTICE".to_owned());
                        order.responded = Some(answer < ROUTINE_RESPONDED_SHARE);
                        order.accepted = Some(answer < ROUTINE_ACCEPTED_SHARE);
                        order
                    }
                };
                order.position = mode.positions.get(place).cloned();
                if order.reported_day < self.service_days.end {
                    orders.push(order);
                }
            }
        }
    }

    /// Numbers the rows and adds repetitions and faults.
    fn untidy(&self, orders: Vec<Order>, counts: &mut Counts) -> Vec<Order> {
        let mut rows = Vec::with_capacity(orders.len() + 1);
        for (number, mut order) in orders.into_iter().enumerate() {
            let counter = 3 << 30 | number as u32;
            let roll = self.draws.uniform(Stream::Order, !self.profile.vehicle, counter);
            // Bands of the same draw, so that a row has one oddity at most.
            let band = |index: f64| {
                let low = DUPLICATE_SHARE + index * FAULT_SHARE;
                roll >= low && roll < low + FAULT_SHARE
            };
            let mut extra = None;
            if roll < DUPLICATE_SHARE {
                counts.duplicates += 1;
                extra = Some(order.clone());
            } else if band(0.0) {
                counts.faults_unknown_kind += 1;
                extra = Some(Order { kind: UNKNOWN_KIND, ..order.clone() });
            } else if band(1.0) {
                counts.faults_no_component += 1;
                extra = Some(Order { component: None, ..order.clone() });
            } else if band(2.0) {
                counts.faults_no_vehicle += 1;
                extra = Some(Order { vehicle: None, ..order.clone() });
            } else if band(3.0) {
                counts.faults_no_day += 1;
                extra = Some(Order { occurred_day: None, ..order.clone() });
            } else if order.kind == INSPECTION && roll >= 1.0 - 20.0 * FAULT_SHARE {
                counts.faults_reported_before_occurred += 1;
                order.reported_day -= 5;
            }
            rows.push(order);
            rows.extend(extra);
        }
        for (number, order) in rows.iter_mut().enumerate() {
            order.order_id = i64::from(self.profile.vehicle) * ORDERS_PER_VEHICLE + number as i64;
        }
        counts.work_orders += rows.len() as u64;
        rows
    }
}

/// The day on which a protected vehicle's sensor was replaced, if that is within its service.
pub fn sensor_repair_day(profile: &Profile, draws: &Draws, service_days: &std::ops::Range<i32>) -> Option<i32> {
    let drift = profile.drift?;
    let delay = 1 + (draws.uniform(Stream::Fleet, profile.vehicle, 5) * f64::from(2 * PROTECTION_DELAY_DAYS)) as i32;
    let day = drift.protection_day + delay;
    (drift.protection_day >= service_days.start && day < service_days.end).then_some(day)
}

/// A symptom code: initials of the component and a number.
fn symptom(component: &str, code: usize) -> String {
    let initials: String = component.split('_').filter_map(|word| word.chars().next()).collect();
    format!("{}-{:02}", initials.to_uppercase(), code + 1)
}

/// What a part costs fitted, in RMB. Plausible figures, not anyone's price list.
fn part_cost(component: &str) -> f64 {
    match component {
        "brake_pad" => 450.0,
        "tyre" => 700.0,
        "traction_battery" => 38_000.0,
        "wheel_bearing" => 900.0,
        "drive_motor_seal" => 1_600.0,
        "drive_motor_housing_seal" => 1_200.0,
        sensor::COMPONENT => 260.0,
        _ => 800.0,
    }
}

/// To whole cents.
fn cents(amount: f64) -> f64 {
    libm::round(amount * 100.0) / 100.0
}
