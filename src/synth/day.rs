//! A vehicle's days: what its channels record, as codes of [`crate::model::shipped::standard_schema`].
//!
//! Key idea: a row is a function of the vehicle's profile, the zone's weather and a few hundred random bits counted by
//! (vehicle, day), so any range of days can be made anywhere. The physics is coarse (heating and cooling load, pack
//! warmed by driving and fast charging, tyre pressure by the ideal gas law with a slow leak); its constants are
//! this project's choice and matter only in that the channels move together as they do on a road.

use super::draw::{NORMAL, Stream, TABLE_BITS, TABLE_SIZE};
use super::fleet::{Fleet, Profile};
use super::sensor::{BASELINE_K, Noise};
use super::style::STYLES;
use crate::model::channel::{Channel, Schema};

/// Columns of a row, in the order of the standard schema.
pub const CHANNELS: usize = 14;
const AMBIENT_TEMP_C: usize = 0;
const HUMIDITY_PCT: usize = 1;
const DISTANCE_KM: usize = 2;
const ENERGY_KWH: usize = 3;
const MOTOR_LOAD_PCT: usize = 4;
const HARD_BRAKES: usize = 5;
pub const HARD_ACCELERATIONS: usize = 6;
const FAST_CHARGE_KWH: usize = 7;
const SOC_MEAN_PCT: usize = 8;
const DEPTH_OF_DISCHARGE_PCT: usize = 9;
const PACK_TEMP_C: usize = 10;
const PACK_TEMP_SPREAD_C: usize = 11;
const VEHICLE_LOAD_KG: usize = 12;
const TYRE_PRESSURE_KPA: usize = 13;

/// Of the days, without a record at random (out of 65,536).
const MISSING_OF_65536: u64 = 1_200;
/// Of the three-week spans, without any record (telematics off).
const OUTAGE_DAYS: i32 = 21;
const OUTAGE_SHARE: f64 = 0.004;
/// Of the rows, with one cell not available (out of 4,096).
const EMPTY_CELL_OF_4096: u64 = 16;
/// Tyres are filled up every so many days and lose so much a day between.
const REFILL_DAYS: i32 = 90;
const LEAK_KPA_PER_DAY: f64 = 0.2;
const ATMOSPHERE_KPA: f64 = 101.325;
const ZERO_C_K: f64 = 273.15;

/// Rows of one vehicle, or of several one after the other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Columns {
    /// Days since 1970-01-01.
    pub day: Vec<i32>,
    /// By channel of the standard schema; a channel's number of codes means "not available".
    pub codes: [Vec<u16>; CHANNELS],
    /// Distance in 0.1 km as the odometer counts it, whether or not the cell was recorded.
    pub odometer_steps: Vec<u16>,
}

impl Columns {
    pub fn clear(&mut self) {
        self.day.clear();
        self.odometer_steps.clear();
        self.codes.iter_mut().for_each(Vec::clear);
    }

    /// Appends all rows of another.
    pub fn extend(&mut self, other: &Columns) {
        self.day.extend_from_slice(&other.day);
        self.odometer_steps.extend_from_slice(&other.odometer_steps);
        for (column, codes) in self.codes.iter_mut().zip(&other.codes) {
            column.extend_from_slice(codes);
        }
    }

    /// Appends one row of another.
    pub fn push_row_of(&mut self, other: &Columns, row: usize) {
        self.day.push(other.day[row]);
        self.odometer_steps.push(other.odometer_steps[row]);
        for (column, codes) in self.codes.iter_mut().zip(&other.codes) {
            column.push(codes[row]);
        }
    }
}

/// Turns values into codes: nearest code, clipped to the range.
#[derive(Clone, Copy, Debug)]
struct Coder {
    per_unit: f64,
    shift: f64,
    last: f64,
    not_available: u16,
}

impl Coder {
    fn new(channel: &Channel) -> Self {
        let per_unit = 1.0 / channel.factor;
        Self {
            per_unit,
            // The half rounds to nearest when the conversion below truncates.
            shift: 0.5 - channel.offset * per_unit - channel.first as f64,
            last: f64::from(channel.codes - 1),
            not_available: channel.not_available(),
        }
    }

    #[inline(always)]
    fn code(&self, value: f64) -> u16 {
        (value * self.per_unit + self.shift).clamp(0.0, self.last) as u16
    }
}

/// Makes rows.
pub struct DayMaker<'f> {
    fleet: &'f Fleet,
    coders: [Coder; CHANNELS],
}

impl<'f> DayMaker<'f> {
    /// `schema` must be the standard one.
    pub fn new(fleet: &'f Fleet, schema: &Schema) -> Self {
        let coder = |index: usize| {
            schema
                .channels
                .get(index)
                .map_or(Coder { per_unit: 0.0, shift: 0.0, last: 0.0, not_available: 0 }, Coder::new)
        };
        Self { fleet, coders: std::array::from_fn(coder) }
    }

    /// Appends the recorded days of a vehicle within `days`, which must lie within its service days.
    pub fn append(&self, profile: &Profile, days: std::ops::Range<i32>, out: &mut Columns) {
        let (fleet, draws) = (self.fleet, &self.fleet.draws);
        let style = &STYLES[profile.style];
        let weather = &fleet.zones[profile.zone].weather;
        let day_factors = &fleet.day_factors[profile.style];
        let parked_of_65536 = (style.parked_share * 65_536.0) as u64;
        let fast_of_4096 = (style.fast_charge_share * 4_096.0) as u64;
        let vehicle = profile.vehicle;
        let normal: &[f32; TABLE_SIZE] = &NORMAL;
        let mut noise = Noise::before(vehicle, days.start, draws);
        let mut outage = (i32::MIN, false);

        for day in days {
            let spread_noise_k = noise.next(day, draws);
            let span = day.div_euclid(OUTAGE_DAYS);
            if span != outage.0 {
                outage = (span, draws.uniform(Stream::Outage, vehicle, span as u32) < OUTAGE_SHARE);
            }
            let mut bits = draws.bits(Stream::Day, vehicle, 3 * day as u32);
            let missing = bits & 0xffff < MISSING_OF_65536;
            if missing || outage.1 {
                continue;
            }
            bits >>= 16;
            let take = |bits: &mut u64| {
                let index = *bits as usize % TABLE_SIZE;
                *bits >>= TABLE_BITS;
                index
            };
            let distance_factor = f64::from(day_factors[take(&mut bits)]);
            let load_z = f64::from(normal[take(&mut bits)]);
            let consumption_z = f64::from(normal[take(&mut bits)]);
            let soc_z = f64::from(normal[take(&mut bits)]);
            let mut bits = draws.bits(Stream::Day, vehicle, 3 * day as u32 + 1);
            let parked = bits & 0xffff < parked_of_65536;
            bits >>= 16;
            let brake_factor = f64::from(fleet.count_factors[take(&mut bits)]);
            let acceleration_factor = f64::from(fleet.count_factors[take(&mut bits)]);
            let cargo_factor = f64::from(fleet.load_factors[take(&mut bits)]);
            let depth_z = f64::from(normal[take(&mut bits)]);
            let mut bits = draws.bits(Stream::Day, vehicle, 3 * day as u32 + 2);
            let brake_rounding = (bits & 0xff) as f64 / 256.0;
            let acceleration_rounding = (bits >> 8 & 0xff) as f64 / 256.0;
            bits >>= 16;
            let fast = (take(&mut bits) as u64) < fast_of_4096;
            let pack_z = f64::from(normal[take(&mut bits)]);
            let pressure_z = f64::from(normal[take(&mut bits)]);
            let empty_cell = take(&mut bits) as u64;

            let index = (day - weather.first_day) as usize;
            let ambient_temp_c = weather.temp_c[index] + profile.site_temp_c;
            let humidity_pct = weather.humidity_pct[index] + profile.site_humidity_pct;
            // 1970-01-01 was a Thursday.
            let weekend = (day + 3).rem_euclid(7) >= 5;
            let usual_km = if weekend { profile.weekend_km } else { profile.weekday_km };
            let distance_km = if parked { 0.0 } else { usual_km * distance_factor };
            // Heating below 18 °C costs up to 45 %, cooling above 25 °C less.
            let climate_ratio =
                1.0 + (0.012 * (18.0 - ambient_temp_c)).clamp(0.0, 0.45) + (0.008 * (ambient_temp_c - 25.0)).max(0.0);
            let energy_kwh =
                distance_km * profile.consumption_kwh_per_km * climate_ratio * (1.0 + 0.08 * consumption_z);
            let fast_charge_kwh = if fast { energy_kwh * 1.05 * fleet.kind.fast_charge_ratio } else { 0.0 };
            let motor_load_pct = if parked { 0.0 } else { profile.motor_load_pct + 5.0 * load_z };
            // Rounded at random, so that the mean of the counts is exact.
            let hard_brakes = distance_km * profile.brakes_per_km * brake_factor + brake_rounding - 0.5;
            let hard_accelerations =
                distance_km * profile.accelerations_per_km * acceleration_factor + acceleration_rounding - 0.5;
            let battery_share = energy_kwh / fleet.kind.battery_kwh;
            let depth_pct = (100.0 * battery_share).min(75.0) + 3.0 + 4.0 * depth_z;
            let soc_pct = profile.soc_mean_pct - 12.0 * battery_share.min(1.5) + 4.0 * soc_z;
            let warmed_c = 0.75 * ambient_temp_c
                + 8.0
                + 5.0 * battery_share.min(1.5)
                + 9.0 * (fast_charge_kwh / fleet.kind.battery_kwh).min(1.0)
                + 1.2 * pack_z;
            // Liquid cooling holds most of what would rise above 35 °C.
            let pack_temp_c = if warmed_c > 35.0 { 35.0 + 0.4 * (warmed_c - 35.0) } else { warmed_c };
            let spread_k = BASELINE_K + spread_noise_k + profile.drift.map_or(0.0, |drift| drift.added_k(day));
            let load_kg = if parked { 0.0 } else { profile.load_kg * cargo_factor };
            let since_refill = (day + profile.refill_phase).rem_euclid(REFILL_DAYS);
            let filled_kpa = profile.tyre_pressure_kpa - LEAK_KPA_PER_DAY * f64::from(since_refill) + 1.5 * pressure_z;
            // Filled at 20 °C; tyres run warm by 8 K on driving days.
            let tyre_k = ambient_temp_c + ZERO_C_K + if parked { 0.0 } else { 8.0 };
            let tyre_pressure_kpa = (filled_kpa + ATMOSPHERE_KPA) * tyre_k / (ZERO_C_K + 20.0) - ATMOSPHERE_KPA;

            let mut values = [0.0; CHANNELS];
            values[AMBIENT_TEMP_C] = ambient_temp_c;
            values[HUMIDITY_PCT] = humidity_pct;
            values[DISTANCE_KM] = distance_km;
            values[ENERGY_KWH] = energy_kwh;
            values[MOTOR_LOAD_PCT] = motor_load_pct;
            values[HARD_BRAKES] = hard_brakes;
            values[HARD_ACCELERATIONS] = hard_accelerations;
            values[FAST_CHARGE_KWH] = fast_charge_kwh;
            values[SOC_MEAN_PCT] = soc_pct;
            values[DEPTH_OF_DISCHARGE_PCT] = if parked { 0.0 } else { depth_pct };
            values[PACK_TEMP_C] = pack_temp_c;
            values[PACK_TEMP_SPREAD_C] = spread_k;
            values[VEHICLE_LOAD_KG] = load_kg;
            values[TYRE_PRESSURE_KPA] = tyre_pressure_kpa;
            let mut codes = [0u16; CHANNELS];
            for (code, (coder, value)) in codes.iter_mut().zip(self.coders.iter().zip(values)) {
                *code = coder.code(value);
            }
            out.day.push(day);
            out.odometer_steps.push(codes[DISTANCE_KM]);
            if empty_cell < EMPTY_CELL_OF_4096 {
                let channel = empty_cell as usize % CHANNELS;
                codes[channel] = self.coders[channel].not_available;
            }
            for (column, code) in out.codes.iter_mut().zip(codes) {
                column.push(code);
            }
        }
    }
}
