//! The fleet as a whole: its weather, its styles, its lot; and each vehicle's profile, drawn from its number alone.

use std::sync::Arc;

use super::climate::{self, ZoneWeather};
use super::draw::{Draws, Stream, TABLE_SIZE, lognormal_table, pick};
use super::error::SynthError;
use super::plan::SynthPlan;
use super::sensor::{Drift, Lot};
use super::style::{self, Kind, STYLES};
use crate::model::shipped::STANDARD_ATTRIBUTES;

pub const MODELS: [(&str, f64); 3] = [("M1", 0.45), ("M2", 0.35), ("M3", 0.20)];
pub const PLANTS: [(&str, f64); 3] = [("P1", 0.40), ("P2", 0.35), ("P3", 0.25)];
pub const TIERS: [(&str, f64); 3] = [("standard", 0.65), ("silver", 0.25), ("gold", 0.10)];
/// Service centres of a zone: at least three, at least twelve in all.
const CENTRES: usize = 12;
const CENTRES_PER_ZONE: usize = 3;
/// Service centres where warnings were tried out.
pub const PILOT_CENTRES: usize = 2;
/// Their customers that took part, about: a pilot has 500 to 1,000 vehicles, however large the fleet.
const PILOT_VEHICLES: f64 = 750.0;
/// Oldest vehicles at the start of the data, in days: the fleet has been on sale for six years.
const OLDEST_DAYS: f64 = 2_190.0;
/// Of the vehicles, sold while the data run, at most; less in short histories.
const NEW_SHARE: f64 = 0.25;
/// Vehicles that leave the fleet, per year.
const RETIRED_PER_YEAR: f64 = 0.02;
/// Vehicles of a zone do not stand at its weather station: standard deviations between them (city and outskirts,
/// garage and kerb). An assumption; small against the day-to-day spread of 2 to 4 degC and 10 to 20 %.
const SITE_TEMP_SD_C: f64 = 0.6;
const SITE_HUMIDITY_SD_PCT: f64 = 2.0;

/// What all vehicles share.
pub struct Fleet {
    pub plan: SynthPlan,
    pub draws: Draws,
    pub zones: Vec<Zone>,
    pub kind: Kind,
    pub lot: Lot,
    /// Hard accelerations and hard brakes per 100 km, by style, with customer A's settled.
    pub accelerations_per_100km: [f64; STYLES.len()],
    pub brakes_per_100km: [f64; STYLES.len()],
    /// Day-to-day factors of the distance, by style, and of the two counts.
    pub day_factors: Vec<Arc<[f32; TABLE_SIZE]>>,
    pub count_factors: Arc<[f32; TABLE_SIZE]>,
    pub load_factors: Arc<[f32; TABLE_SIZE]>,
    pub centres: usize,
}

/// A climate zone.
#[derive(Clone, Debug, PartialEq)]
pub struct Zone {
    pub name: String,
    pub share: f64,
    pub weather: ZoneWeather,
}

impl Fleet {
    /// Settles a plan: weather, lot, styles. Customer A's brakes are set by [`super::calibrate`].
    pub fn new(plan: &SynthPlan, model_name: &str) -> Result<Self, SynthError> {
        let normals = climate::normals()?;
        let draws = Draws::new(plan.seed);
        let wanted: Vec<(String, f64)> = if plan.zones.is_empty() {
            normals.iter().map(|city| (city.city.clone(), 1.0)).collect()
        } else {
            plan.zones.clone()
        };
        let mut zones = Vec::with_capacity(wanted.len());
        for (name, share) in wanted {
            let index = normals.iter().position(|city| city.city == name).ok_or_else(|| SynthError::UnknownZone {
                zone: name.clone(),
                known: normals.iter().map(|city| city.city.as_str()).collect::<Vec<_>>().join(", "),
            })?;
            let weather = climate::zone_weather(&normals[index], index as u32, &draws, plan.start_day, plan.days);
            zones.push(Zone { name, share, weather });
        }
        let customer_a = style::customer_a_accelerations_per_100km();
        Ok(Self {
            draws: draws.clone(),
            kind: if model_name.contains("two-wheeler") { style::TWO_WHEELER } else { style::PASSENGER },
            lot: Lot::new(plan.vehicles, plan.days, plan.start_day, &draws),
            accelerations_per_100km: STYLES.map(|style| style.hard_accelerations_per_100km.unwrap_or(customer_a)),
            brakes_per_100km: STYLES.map(|style| style.hard_brakes_per_100km),
            day_factors: STYLES.iter().map(|style| Arc::from(lognormal_table(style.day_log_sd))).collect(),
            count_factors: Arc::from(lognormal_table(0.5)),
            load_factors: Arc::from(lognormal_table(0.35)),
            centres: CENTRES.div_ceil(zones.len()).max(CENTRES_PER_ZONE),
            zones,
            plan: plan.clone(),
        })
    }

    /// What a vehicle's table says of it, in the order of [`STANDARD_ATTRIBUTES`].
    pub fn attributes(&self, profile: &Profile) -> [String; STANDARD_ATTRIBUTES.len()] {
        [
            MODELS[profile.model].0.to_owned(),
            PLANTS[profile.plant].0.to_owned(),
            profile.sensor_lot.clone(),
            self.zones[profile.zone].name.clone(),
            self.centre_name(profile.zone, profile.centre),
            TIERS[profile.tier].0.to_owned(),
        ]
    }

    /// Name of a service centre.
    pub fn centre_name(&self, zone: usize, centre: usize) -> String {
        format!("SC-{}-{}", self.zones[zone].name, centre + 1)
    }
}

/// One vehicle: who it is and how it is driven.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    pub vehicle: u32,
    pub style: usize,
    pub zone: usize,
    pub centre: usize,
    pub model: usize,
    pub plant: usize,
    pub tier: usize,
    pub sensor_lot: String,
    pub build_day: i32,
    pub sale_day: i32,
    /// Last day in the fleet.
    pub end_day: Option<i32>,
    /// Whether its service centre tried out warnings.
    pub pilot: bool,
    pub drift: Option<Drift>,
    pub weekday_km: f64,
    pub weekend_km: f64,
    pub brakes_per_km: f64,
    pub accelerations_per_km: f64,
    pub motor_load_pct: f64,
    pub consumption_kwh_per_km: f64,
    pub soc_mean_pct: f64,
    pub load_kg: f64,
    pub site_temp_c: f64,
    pub site_humidity_pct: f64,
    pub tyre_pressure_kpa: f64,
    /// Days into the cycle of tyre refills when the data begin.
    pub refill_phase: i32,
}

/// Traits of a vehicle: second counter of [`Stream::Vehicle`].
#[repr(u32)]
enum Trait {
    Style,
    Zone,
    Centre,
    Model,
    Plant,
    Tier,
    Sale,
    Build,
    Retirement,
    Distance,
    Brakes,
    Accelerations,
    Load,
    Consumption,
    StateOfCharge,
    Cargo,
    SiteTemp,
    SiteHumidity,
    Pressure,
    Phase,
    SubLot,
    Pilot,
}

impl Fleet {
    /// Of the vehicles of the pilot's service centres, those that take part.
    fn pilot_share(&self) -> f64 {
        let all: f64 = self.zones.iter().map(|zone| zone.share).sum();
        let first = self.zones.first().map_or(0.0, |zone| zone.share) / all;
        let candidates = f64::from(self.plan.vehicles) * first * PILOT_CENTRES as f64 / self.centres as f64;
        (PILOT_VEHICLES / candidates).min(1.0)
    }
}

impl Profile {
    /// The profile of a vehicle of the fleet.
    pub fn draw(fleet: &Fleet, vehicle: u32) -> Self {
        let chosen = fleet.draws.uniform(Stream::Vehicle, vehicle, Trait::Style as u32);
        Self::draw_as(fleet, vehicle, pick(chosen, STYLES.iter().map(|style| style.share)))
    }

    /// The profile of a vehicle if it were driven in this style.
    pub fn draw_as(fleet: &Fleet, vehicle: u32, style_index: usize) -> Self {
        let draws = &fleet.draws;
        let uniform = |purpose: Trait| draws.uniform(Stream::Vehicle, vehicle, purpose as u32);
        let normal = |purpose: Trait| draws.normal(Stream::Vehicle, vehicle, purpose as u32);
        let style = &STYLES[style_index];
        let zone = pick(uniform(Trait::Zone), fleet.zones.iter().map(|zone| zone.share));
        let in_lot = fleet.lot.carries(vehicle);
        let plant = if in_lot { 1 } else { pick(uniform(Trait::Plant), PLANTS.iter().map(|plant| plant.1)) };
        let plan = &fleet.plan;

        let new_share = NEW_SHARE.min(f64::from(plan.days) / OLDEST_DAYS);
        let sale = uniform(Trait::Sale);
        let sale_day = if in_lot {
            // The lot was built within a quarter and sold before the data begin, so that every drift is on record.
            plan.start_day - 30 - (sale * 60.0) as i32
        } else if sale < new_share {
            plan.start_day + (sale / new_share * f64::from(plan.days)) as i32
        } else {
            plan.start_day - 1 - ((sale - new_share) / (1.0 - new_share) * OLDEST_DAYS) as i32
        };
        let build_day = sale_day - 20 - (uniform(Trait::Build) * if in_lot { 30.0 } else { 100.0 }) as i32;
        let retirement = uniform(Trait::Retirement);
        let retired_share = RETIRED_PER_YEAR * f64::from(plan.days) / 365.25;
        let end_day = (!in_lot && retirement < retired_share)
            .then(|| plan.start_day + (retirement / retired_share * f64::from(plan.days)) as i32)
            .filter(|&day| day > sale_day);

        // Mean over a week and over days on which it stands, so that the year comes out as the style says.
        let week_factor = (5.0 + 2.0 * style.weekend_ratio) / 7.0;
        let annual_km =
            style.annual_km * fleet.kind.distance_ratio * libm::exp(style.annual_km_log_sd * normal(Trait::Distance));
        let weekday_km = annual_km / 365.25 / week_factor / (1.0 - style.parked_share);
        // Factors between vehicles have mean one: a style's figures are means over its vehicles.
        let spread = |log_sd: f64, z: f64| libm::exp(log_sd * z - 0.5 * log_sd * log_sd);
        let centre = (uniform(Trait::Centre) * fleet.centres as f64) as usize;
        Self {
            vehicle,
            style: style_index,
            zone,
            centre,
            model: pick(uniform(Trait::Model), MODELS.iter().map(|model| model.1)),
            plant,
            tier: pick(uniform(Trait::Tier), TIERS.iter().map(|tier| tier.1)),
            sensor_lot: if in_lot {
                lot_name(build_quarter(plan.start_day - 90), 'D')
            } else {
                lot_name(build_quarter(build_day), if uniform(Trait::SubLot) < 0.5 { 'A' } else { 'B' })
            },
            build_day,
            sale_day,
            end_day,
            pilot: zone * fleet.centres + centre < PILOT_CENTRES && uniform(Trait::Pilot) < fleet.pilot_share(),
            drift: fleet.lot.drift(vehicle, draws),
            weekday_km,
            weekend_km: weekday_km * style.weekend_ratio,
            brakes_per_km: fleet.brakes_per_100km[style_index] / 100.0 * spread(0.3, normal(Trait::Brakes)),
            accelerations_per_km: fleet.accelerations_per_100km[style_index] / 100.0
                * spread(0.25, normal(Trait::Accelerations)),
            motor_load_pct: style.motor_load_pct + 4.0 * normal(Trait::Load),
            consumption_kwh_per_km: style.consumption_kwh_per_100km / 100.0
                * fleet.kind.consumption_ratio
                * spread(0.08, normal(Trait::Consumption)),
            soc_mean_pct: style.soc_mean_pct + 6.0 * normal(Trait::StateOfCharge),
            load_kg: style.load_kg * fleet.kind.load_ratio * spread(0.2, normal(Trait::Cargo)),
            site_temp_c: SITE_TEMP_SD_C * normal(Trait::SiteTemp),
            site_humidity_pct: SITE_HUMIDITY_SD_PCT * normal(Trait::SiteHumidity),
            tyre_pressure_kpa: fleet.kind.tyre_pressure_kpa + 6.0 * normal(Trait::Pressure),
            refill_phase: (uniform(Trait::Phase) * 90.0) as i32,
        }
    }

    /// The days of the data on which the vehicle was in the fleet.
    pub fn service_days(&self, plan: &SynthPlan) -> std::ops::Range<i32> {
        let first = self.sale_day.max(plan.start_day);
        let last = self.end_day.map_or(plan.end_day(), |day| (day + 1).min(plan.end_day()));
        first..last.max(first)
    }

    pub fn build_year(&self) -> i32 {
        use chrono::Datelike;
        chrono::NaiveDate::from_epoch_days(self.build_day).unwrap_or_default().year()
    }
}

fn build_quarter(day: i32) -> (i32, u32) {
    use chrono::Datelike;
    let date = chrono::NaiveDate::from_epoch_days(day).unwrap_or_default();
    (date.year(), date.month0() / 3 + 1)
}

/// Supplier lots are named by the quarter in which they were fitted; the drifting one is the only `D`.
fn lot_name((year, quarter): (i32, u32), letter: char) -> String {
    format!("SL-{year}Q{quarter}{letter}")
}

/// Name of the drifting lot.
pub fn drifting_lot_name(plan: &SynthPlan) -> String {
    lot_name(build_quarter(plan.start_day - 90), 'D')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pilot_has_the_size_of_a_pilot() {
        for (vehicles, zones, wanted) in
            [(20_000, &[][..], 500..=1000), (60_000, &["shenyang"][..], 500..=1000), (1_000, &[][..], 40..=110)]
        {
            let mut plan = SynthPlan::new(vehicles, 30, 7);
            if !zones.is_empty() {
                plan.zones = zones.iter().map(|zone| ((*zone).to_owned(), 1.0)).collect();
            }
            let fleet = Fleet::new(&plan, "ev-passenger").unwrap();
            let pilots = (0..vehicles).filter(|vehicle| Profile::draw(&fleet, *vehicle).pilot).count();
            assert!(wanted.contains(&pilots), "{pilots} of {vehicles}");
        }
    }
}
