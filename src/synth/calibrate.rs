//! Sets customer A's hard brakes so that its pads wear 40 % faster per kilometre than the other vehicles', whatever
//! the model says of pads: a small pilot fleet is worn, and the rate found by bisection.

use super::day::{Columns, DayMaker};
use super::error::SynthError;
use super::fleet::{Fleet, Profile};
use super::style::{CUSTOMER_A, CUSTOMER_A_PAD_WEAR_RATIO, STYLES};
use super::wear::{RunningClocks, Wear};
use crate::model::channel::Schema;

/// Component whose wear is planted.
pub const PAD_COMPONENT: &str = "brake_pad";
const PILOT_VEHICLES: u32 = 150;
const PILOT_DAYS: i32 = 60;
/// Hard brakes per 100 km beyond which no customer goes; reached where a model's pads hardly mind hard brakes.
const MOST_BRAKES_PER_100KM: f64 = 80.0;

/// Mechanisms of the brake pads.
pub fn pad_mechanisms(wear: &Wear) -> Vec<usize> {
    let pads = wear.model.modes.iter().filter(|mode| mode.component == PAD_COMPONENT);
    pads.flat_map(|mode| mode.mechanisms.clone()).collect()
}

/// Changes [`Fleet::brakes_per_100km`] of customer A.
pub fn settle_customer_a(fleet: &mut Fleet, schema: &Schema, wear: &Wear) -> Result<(), SynthError> {
    let pads = pad_mechanisms(wear);
    if pads.is_empty() {
        return Ok(());
    }
    let (mut others, mut weights) = (0.0, 0.0);
    for (index, style) in STYLES.iter().enumerate().filter(|(index, _)| *index != CUSTOMER_A) {
        others += style.share * pad_wear_per_km(fleet, schema, wear, &pads, index);
        weights += style.share;
    }
    let wanted = CUSTOMER_A_PAD_WEAR_RATIO * others / weights;
    let (mut low, mut high) = (0.0, MOST_BRAKES_PER_100KM);
    for _ in 0..12 {
        let middle = 0.5 * (low + high);
        fleet.brakes_per_100km[CUSTOMER_A] = middle;
        if pad_wear_per_km(fleet, schema, wear, &pads, CUSTOMER_A) < wanted { low = middle } else { high = middle }
    }
    fleet.brakes_per_100km[CUSTOMER_A] = 0.5 * (low + high);
    Ok(())
}

/// Mean over pilot vehicles of their pad wear per kilometre, if all of them drove in one style.
fn pad_wear_per_km(fleet: &Fleet, schema: &Schema, wear: &Wear, pads: &[usize], style: usize) -> f64 {
    let maker = DayMaker::new(fleet, schema);
    let days = fleet.plan.start_day..fleet.plan.end_day().min(fleet.plan.start_day + PILOT_DAYS);
    let (mut columns, mut clocks) = (Columns::default(), RunningClocks::default());
    let (mut sum, mut driven) = (0.0, 0.0);
    for pilot in 0..PILOT_VEHICLES {
        // The same pilots for every style, apart from the fleet's own vehicles.
        let profile = Profile::draw_as(fleet, u32::MAX - pilot, style);
        columns.clear();
        maker.append(&profile, days.clone(), &mut columns);
        wear.run(&columns, &[], false, &mut clocks);
        let (wear_lives, distance_km) = pad_wear(&columns, &clocks, pads);
        if distance_km > 0.0 {
            sum += wear_lives / distance_km;
            driven += 1.0;
        }
    }
    sum / f64::max(driven, 1.0)
}

/// Pad wear in lives and kilometres of one vehicle's rows.
pub fn pad_wear(columns: &Columns, clocks: &RunningClocks, pads: &[usize]) -> (f64, f64) {
    let rows = columns.day.len();
    let wear = pads.iter().map(|&pad| crate::model::life::lives(clocks.between_q48(pad, 0, rows))).sum();
    let steps: u64 = columns.odometer_steps.iter().map(|&steps| u64::from(steps)).sum();
    (wear, steps as f64 * 0.1)
}
