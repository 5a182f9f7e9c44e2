//! The work that the benches share with their peers (`benches/peers/`): vehicle-days with ten channels, eight
//! mechanisms with 28 terms. Channels 0 and 1 swing with the season, the others are gamma(2, 0.1) of their range.
//! Mechanism m uses channels (3m + 2k) mod 10 for k < 4 (m even) or 3 (m odd); its rate is 2^(-12 + Σ(2 c/n − 1)).

use fleetwear::fixed::threefry::threefry2x32;
use fleetwear::model::tables::{DamageTables, GROUP_LANES, GroupInput, GroupTables};

/// Codes of each channel.
pub const CODES: [u32; 10] = [1251, 201, 8001, 256, 256, 512, 101, 201, 256, 201];
pub const MECHANISMS: usize = 8;

/// Columns in memory.
pub struct Records {
    pub slot: Vec<u32>,
    pub codes: Vec<Vec<u16>>,
}

/// One record a vehicle and day, by vehicle and then by day, or the other way round.
pub fn records(vehicles: u32, days: u32, by_vehicle: bool) -> Records {
    let (mut slot, mut day_of) = (Vec::new(), Vec::new());
    let (outer, inner) = if by_vehicle { (vehicles, days) } else { (days, vehicles) };
    for a in 0..outer {
        for b in 0..inner {
            let (vehicle, day) = if by_vehicle { (a, b) } else { (b, a) };
            slot.push(vehicle);
            day_of.push(day);
        }
    }
    let codes = (0..CODES.len())
        .map(|channel| {
            (slot.iter().zip(&day_of)).map(|(vehicle, day)| code(channel, *vehicle, *day)).collect::<Vec<u16>>()
        })
        .collect();
    Records { slot, codes }
}

fn code(channel: usize, vehicle: u32, day: u32) -> u16 {
    let unit = |word: u32| (f64::from(word) + 0.5) / 4_294_967_296.0;
    let [a, b] = threefry2x32([7, channel as u32], [vehicle, day]);
    let share = if channel < 2 {
        0.5 + 0.3 * libm::sin(std::f64::consts::TAU * f64::from(day) / 365.25) + 0.2 * (unit(a) - 0.5)
    } else {
        -0.1 * (libm::log(unit(a)) + libm::log(unit(b)))
    };
    let codes = f64::from(CODES[channel]);
    (share * codes).clamp(0.0, codes - 1.0) as u16
}

/// The recipe's model as a compiler would lay it out.
pub fn tables() -> DamageTables {
    let one = f64::from(1 << 18);
    let inputs = (0..CODES.len())
        .map(|channel| {
            let uses: [bool; GROUP_LANES] =
                std::array::from_fn(|m| (0..if m % 2 == 0 { 4 } else { 3 }).any(|k| (3 * m + 2 * k) % 10 == channel));
            let rows = |scale: f64| {
                let row = |code: u32| {
                    let log2 = 2.0 * f64::from(code) / f64::from(CODES[channel]) - 1.0;
                    uses.map(|used| if used { libm::rint(scale * log2) as i32 } else { 0 })
                };
                (0..CODES[channel]).map(row).chain([[0; GROUP_LANES]]).collect::<Vec<_>>()
            };
            let driver_lanes = (0..8).fold(0, |lanes, lane| lanes | u8::from(uses[lane]) << lane);
            GroupInput { input: channel, rows_q18: rows(one), masks: None, driver_rows: rows(one), driver_lanes }
        })
        .collect();
    DamageTables {
        input_rows: CODES.iter().map(|codes| codes + 1).collect(),
        groups: vec![GroupTables { base_q18: [-12 << 18; GROUP_LANES], inputs, interactions_q18: Vec::new() }],
        mechanisms: MECHANISMS,
    }
}
