//! Models that come with the program, and the channels they are written for.

use super::channel::{Channel, PeriodLength, Schema};

/// Name and text of the shipped models.
pub const SHIPPED: [(&str, &str); 2] = [
    ("ev-passenger", include_str!("../../datasets/models/ev-passenger.toml")),
    ("ev-two-wheeler", include_str!("../../datasets/models/ev-two-wheeler.toml")),
];

/// Vehicle attributes of a standard fleet.
pub const STANDARD_ATTRIBUTES: [&str; 6] =
    ["model", "plant", "sensor_lot", "climate_zone", "service_centre", "customer_tier"];

/// (name, unit, factor, offset, lowest, highest value): every range holds its two ends exactly.
const STANDARD_CHANNELS: [(&str, &str, f64, f64, f64, f64); 14] = [
    ("ambient_temp_c", "degC", 0.1, -40.0, -40.0, 85.0),
    ("humidity_pct", "%", 0.5, 0.0, 0.0, 100.0),
    ("distance_km", "km", 0.1, 0.0, 0.0, 1500.0),
    ("energy_kwh", "kWh", 0.1, 0.0, 0.0, 400.0),
    ("motor_load_pct", "%", 0.5, 0.0, 0.0, 100.0),
    ("hard_brakes", "count", 1.0, 0.0, 0.0, 500.0),
    ("hard_accelerations", "count", 1.0, 0.0, 0.0, 500.0),
    ("fast_charge_kwh", "kWh", 0.1, 0.0, 0.0, 400.0),
    ("soc_mean_pct", "%", 0.5, 0.0, 0.0, 100.0),
    ("depth_of_discharge_pct", "%", 0.5, 0.0, 0.0, 100.0),
    ("pack_temp_c", "degC", 0.1, -40.0, -40.0, 85.0),
    ("pack_temp_spread_c", "K", 0.01, 0.0, 0.0, 20.0),
    ("vehicle_load_kg", "kg", 10.0, 0.0, 0.0, 1000.0),
    ("tyre_pressure_kpa", "kPa", 1.0, 0.0, 150.0, 400.0),
];

/// The channels and attributes of a standard fleet of daily records: what `synth` writes and the shipped models read.
pub fn standard_schema() -> Schema {
    let channel = |(name, unit, factor, offset, low, high): (&str, &str, f64, f64, f64, f64)| {
        let raw = |value: f64| ((value - offset) / factor).round() as i64;
        Channel {
            name: name.to_owned(),
            unit: unit.to_owned(),
            factor,
            offset,
            first: raw(low),
            codes: (raw(high) - raw(low) + 1) as u32,
        }
    };
    Schema {
        channels: STANDARD_CHANNELS.into_iter().map(channel).collect(),
        period_length: PeriodLength::Constant(1.0),
        attributes: STANDARD_ATTRIBUTES.map(str::to_owned).to_vec(),
    }
}
