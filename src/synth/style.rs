//! Driving styles: who drives how far, how hard, and how the battery is treated.
//!
//! Shares and figures are this project's choice (plausible for Chinese private cars and ride-hailing); two of them are
//! planted facts: customer A accelerates hard 2.3 times as often per kilometre as the fleet's mean and brakes hard so
//! often that its pads wear 40 % faster ([`super::calibrate`]), customer B drives 6,000 km a year in short city trips.

/// Hard accelerations per kilometre of customer A over the mean of the whole fleet's vehicles.
pub const CUSTOMER_A_ACCELERATION_RATIO: f64 = 2.3;
/// Pad wear per kilometre of customer A over the mean of the other vehicles.
pub const CUSTOMER_A_PAD_WEAR_RATIO: f64 = 1.4;

/// How one kind of customer drives. Counts are per 100 km.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Style {
    pub name: &'static str,
    /// Of the fleet's vehicles.
    pub share: f64,
    /// Median over vehicles, and log-sd between them.
    pub annual_km: f64,
    pub annual_km_log_sd: f64,
    /// Log-sd of a day's distance.
    pub day_log_sd: f64,
    /// Distance on Saturdays and Sundays over that on weekdays.
    pub weekend_ratio: f64,
    /// Chance that the vehicle stands on a day.
    pub parked_share: f64,
    pub hard_brakes_per_100km: f64,
    /// `None`: set so that the ratio to the fleet's mean is [`CUSTOMER_A_ACCELERATION_RATIO`].
    pub hard_accelerations_per_100km: Option<f64>,
    pub motor_load_pct: f64,
    pub consumption_kwh_per_100km: f64,
    /// Chance that a day's energy is charged at a fast charger.
    pub fast_charge_share: f64,
    pub soc_mean_pct: f64,
    pub load_kg: f64,
}

const COMMUTER: Style = Style {
    name: "commuter",
    share: 0.46,
    annual_km: 13_000.0,
    annual_km_log_sd: 0.35,
    day_log_sd: 0.5,
    weekend_ratio: 0.7,
    parked_share: 0.10,
    hard_brakes_per_100km: 5.0,
    hard_accelerations_per_100km: Some(6.0),
    motor_load_pct: 34.0,
    consumption_kwh_per_100km: 14.0,
    fast_charge_share: 0.10,
    soc_mean_pct: 62.0,
    load_kg: 95.0,
};

/// The passenger car fleet. Customer A and B come last.
pub const STYLES: [Style; 6] = [
    COMMUTER,
    Style {
        name: "family",
        share: 0.25,
        annual_km: 10_500.0,
        weekend_ratio: 1.5,
        hard_brakes_per_100km: 4.0,
        hard_accelerations_per_100km: Some(4.5),
        load_kg: 190.0,
        ..COMMUTER
    },
    Style {
        name: "highway",
        share: 0.12,
        annual_km: 27_000.0,
        day_log_sd: 0.7,
        weekend_ratio: 0.9,
        hard_brakes_per_100km: 2.0,
        hard_accelerations_per_100km: Some(2.5),
        motor_load_pct: 48.0,
        consumption_kwh_per_100km: 17.0,
        fast_charge_share: 0.35,
        ..COMMUTER
    },
    Style {
        name: "ride_hailing",
        share: 0.08,
        annual_km: 65_000.0,
        annual_km_log_sd: 0.2,
        day_log_sd: 0.25,
        weekend_ratio: 1.0,
        parked_share: 0.03,
        hard_brakes_per_100km: 7.0,
        hard_accelerations_per_100km: Some(7.5),
        motor_load_pct: 38.0,
        fast_charge_share: 0.75,
        soc_mean_pct: 52.0,
        load_kg: 160.0,
        ..COMMUTER
    },
    Style {
        name: "customer_a",
        share: 0.04,
        annual_km: 15_000.0,
        annual_km_log_sd: 0.2,
        hard_brakes_per_100km: 5.0,
        hard_accelerations_per_100km: None,
        motor_load_pct: 40.0,
        consumption_kwh_per_100km: 16.0,
        ..COMMUTER
    },
    Style {
        name: "customer_b",
        share: 0.05,
        annual_km: 6_000.0,
        annual_km_log_sd: 0.1,
        day_log_sd: 0.35,
        weekend_ratio: 0.8,
        parked_share: 0.15,
        hard_brakes_per_100km: 5.5,
        hard_accelerations_per_100km: Some(5.0),
        motor_load_pct: 28.0,
        consumption_kwh_per_100km: 13.0,
        fast_charge_share: 0.02,
        soc_mean_pct: 68.0,
        load_kg: 85.0,
    },
];

/// Index of customer A in [`STYLES`].
pub const CUSTOMER_A: usize = 4;
/// Index of customer B in [`STYLES`].
pub const CUSTOMER_B: usize = 5;

/// What makes a fleet of one kind of vehicle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kind {
    pub battery_kwh: f64,
    /// On the styles' figures.
    pub distance_ratio: f64,
    pub consumption_ratio: f64,
    pub load_ratio: f64,
    pub fast_charge_ratio: f64,
    pub tyre_pressure_kpa: f64,
}

pub const PASSENGER: Kind = Kind {
    battery_kwh: 60.0,
    distance_ratio: 1.0,
    consumption_ratio: 1.0,
    load_ratio: 1.0,
    fast_charge_ratio: 1.0,
    tyre_pressure_kpa: 240.0,
};

pub const TWO_WHEELER: Kind = Kind {
    battery_kwh: 2.0,
    distance_ratio: 0.5,
    consumption_ratio: 0.18,
    load_ratio: 0.75,
    fast_charge_ratio: 0.3,
    tyre_pressure_kpa: 225.0,
};

/// Hard accelerations per 100 km of customer A: the ratio times the mean over all vehicles, customer A included.
pub fn customer_a_accelerations_per_100km() -> f64 {
    let others: f64 =
        STYLES.iter().filter_map(|style| style.hard_accelerations_per_100km.map(|rate| rate * style.share)).sum();
    let own_share = STYLES[CUSTOMER_A].share;
    CUSTOMER_A_ACCELERATION_RATIO * others / (1.0 - CUSTOMER_A_ACCELERATION_RATIO * own_share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_and_customer_a_is_planted() {
        let total: f64 = STYLES.iter().map(|style| style.share).sum();
        assert!((total - 1.0).abs() < 1e-12);
        assert_eq!((STYLES[CUSTOMER_A].name, STYLES[CUSTOMER_B].name), ("customer_a", "customer_b"));
        let own = customer_a_accelerations_per_100km();
        let mean: f64 =
            STYLES.iter().map(|style| style.share * style.hard_accelerations_per_100km.unwrap_or(own)).sum();
        assert!((own / mean - CUSTOMER_A_ACCELERATION_RATIO).abs() < 1e-12);
    }
}
