//! Records that are missing: what a vehicle used up meanwhile is its cohort's mean at its own pace; what it did not
//! drive is rest, and no day without a reading counts as a day without distance.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array};
use chrono::{Datelike, NaiveDate};
use fleetwear::engine::SimulatePlan;

use super::{DAYS, add_vehicle_column, numbers, simulated, steady_fleet, table, texts};
use crate::small_fleet::{Day, FIRST_DAY, Layout, Order, SmallFleet};

const VEHICLES: usize = 24;
/// Four months missing in the middle, or at the end.
const GAP: [usize; 2] = [5, 7];
const SILENT: usize = 10;
/// A bearing is put in in the midst of the gap.
const REPLACED: usize = GAP[1];
const TODAY: i32 = FIRST_DAY + DAYS - 1;

/// What one record covers.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Records {
    Days,
    Weeks,
    /// Up to three days early.
    UnevenWeeks,
    Months,
    /// Of a length that they state: four weeks.
    Lengths,
    /// The same, and on every fifth it cannot be read.
    UnreadLengths,
}

impl Records {
    fn period(self) -> &'static str {
        match self {
            Self::Days => "day",
            Self::Weeks | Self::UnevenWeeks => "week",
            Self::Months => "month",
            // Humidity plays the length in days: up to 80 % the model does not ask for it.
            Self::Lengths | Self::UnreadLengths => "column:humidity_pct",
        }
    }

    /// A number that the days of a record share.
    fn of(self, day: i32) -> i32 {
        let date = NaiveDate::default() + chrono::Duration::days(i64::from(day));
        match self {
            Self::Days => day,
            Self::Months => 12 * date.year() + date.month0() as i32,
            Self::Lengths | Self::UnreadLengths => (day + 3).div_euclid(28),
            Self::Weeks | Self::UnevenWeeks => (day + 3).div_euclid(7),
        }
    }

    /// The fleet's days, whole periods of them, as such records.
    fn group(self, fleet: &SmallFleet) -> SmallFleet {
        if self == Self::Days {
            return fleet.clone();
        }
        let mut records: BTreeMap<(usize, i32), Vec<Day>> = BTreeMap::new();
        let begun = self.of(TODAY + 1);
        for day in fleet.days.iter().filter(|day| self.of(day.day) < begun) {
            records.entry((day.vehicle, self.of(day.day))).or_default().push(*day);
        }
        let record = |(&(vehicle, period), days): (&(usize, i32), &Vec<Day>)| {
            let last = days.iter().map(|day| day.day).max().unwrap();
            let early = if self == Self::UnevenWeeks { (5 * period + vehicle as i32).rem_euclid(4) } else { 0 };
            let is_fifth = period > self.of(FIRST_DAY) && (period + vehicle as i32).rem_euclid(5) == 0;
            Day {
                vehicle,
                day: last - early,
                temp: (days.iter().map(|day| u32::from(day.temp)).sum::<u32>() / days.len() as u32) as u16,
                // Outside of the channel's range nothing is read.
                humidity: if self == Self::UnreadLengths && is_fifth { 200 } else { 28 },
                distance: days.iter().map(|day| day.distance).sum(),
            }
        };
        SmallFleet { days: records.iter().map(record).collect(), ..fleet.clone() }
    }

    /// A steep law, so that a clock shows in the chances; use by distance alone where lengths are not always read.
    fn plan(self, plan: &mut SimulatePlan) {
        edit(&plan.model, "weibull_shape = 1.5", "weibull_shape = 4.0");
        if self == Self::UnreadLengths {
            by_distance(plan);
        }
        let dictionary = plan.data.join("dataset.toml").to_string_lossy().into_owned();
        edit(&dictionary, "period = \"day\"", &format!("period = \"{}\"", self.period()));
        edit(&dictionary, "range = [0.0, 400.0]", "range = [0.0, 30000.0]");
    }
}

fn edit(path: &str, from: &str, to: &str) {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{path}: {from}");
    std::fs::write(path, text.replace(from, to)).unwrap();
}

fn by_distance(plan: &SimulatePlan) {
    let by_days = "exposure = \"days\"\n  characteristic_life = 2000";
    edit(&plan.model, by_days, "exposure = \"distance_km\"\n  characteristic_life = 150000");
}

/// The days of the gap, and the last ones of the record.
fn is_missing(day: &Day) -> bool {
    // From 2022-06 to 2022-09, Monday to Sunday within a week's error, and from 2022-11 on.
    let in_gap = (FIRST_DAY + 149..FIRST_DAY + 149 + 17 * 7).contains(&day.day);
    GAP.contains(&day.vehicle) && in_gap || day.vehicle == SILENT && day.day >= FIRST_DAY + 303
}

fn whole() -> SmallFleet {
    let mut fleet = steady_fleet(VEHICLES);
    fleet.orders.retain(|order| !GAP.contains(&order.vehicle) && order.vehicle != SILENT);
    let day = FIRST_DAY + 149 + 60;
    fleet.orders.push(Order { vehicle: REPLACED, component: "bearing", position: Some("left"), kind: "R", day });
    fleet
}

fn with_gaps(fleet: &SmallFleet) -> SmallFleet {
    let mut fleet = fleet.clone();
    fleet.days.retain(|day| !is_missing(day));
    fleet
}

/// Of each row (vehicle, mode, position): values of some columns, and flags.
type Rows = BTreeMap<[Option<String>; 3], (Vec<Option<f64>>, String)>;

fn forecasts(fleet: &SmallFleet, change: impl FnOnce(&mut SimulatePlan), columns: &[&str]) -> Rows {
    simulated(fleet, Layout::ByVehicle(1), change, |out, _| {
        let rows = table(out, "forecasts");
        let [ids, modes, positions, flags] =
            ["vin", "failure_mode", "position", "flags"].map(|name| texts(&rows, name));
        let values: Vec<Vec<Option<f64>>> = columns.iter().map(|name| numbers(&rows, name)).collect();
        let row = |row: usize| {
            let key = [ids[row].clone(), modes[row].clone(), positions[row].clone()];
            (key, (values.iter().map(|values| values[row]).collect(), flags[row].clone().unwrap()))
        };
        (0..ids.len()).map(row).collect()
    })
}

fn id(vehicle: usize) -> Option<String> {
    Some(format!("VIN{}", SmallFleet::id(vehicle)))
}

/// The chances of some rows against those of others: the smallest and the largest ratio.
fn ratios(found: &Rows, expected: &Rows, of: impl Fn(&Option<String>) -> bool) -> [f64; 2] {
    let ratio = |(key, row): (&[Option<String>; 3], &(Vec<Option<f64>>, String))| {
        of(&key[0]).then(|| row.0[0].unwrap() / expected[key].0[0].unwrap())
    };
    let ratios: Vec<f64> = found.iter().filter_map(ratio).collect();
    [ratios.iter().copied().fold(f64::INFINITY, f64::min), ratios.iter().copied().fold(0.0, f64::max)]
}

#[test]
fn parts_wear_on_while_nobody_writes() {
    for records in
        [Records::Days, Records::Weeks, Records::UnevenWeeks, Records::Months, Records::Lengths, Records::UnreadLengths]
    {
        let whole = records.group(&whole());
        let gaps = match records {
            Records::Days => with_gaps(&whole),
            _ => {
                let is_missing = |record: &Day| {
                    let half = match records {
                        Records::Weeks | Records::UnevenWeeks => 3,
                        _ => 14,
                    };
                    let day = Day { day: record.day - half, ..*record };
                    is_missing(&day)
                };
                let days = whole.days.iter().filter(|day| !is_missing(day)).copied().collect();
                SmallFleet { days, ..whole.clone() }
            }
        };
        let change = |plan: &mut SimulatePlan| records.plan(plan);
        let (whole, gaps) = (forecasts(&whole, change, &["p_fail_90d"]), forecasts(&gaps, change, &["p_fail_90d"]));
        let is_in = |vehicles: &[usize], key: &Option<String>| vehicles.iter().any(|&vehicle| *key == id(vehicle));
        let poor = [GAP[0], GAP[1], SILENT];
        let of_poor = ratios(&gaps, &whole, |key| is_in(&poor, key));
        let of_others = ratios(&gaps, &whole, |key| !is_in(&poor, key));
        println!("{records:?}: with gaps {of_poor:.3?}, without {of_others:.3?}");
        assert!(of_others[0] > 0.98 && of_others[1] < 1.02, "{records:?}: {of_others:?}");
        assert!(of_poor[0] > 0.88 && of_poor[1] < 1.12, "{records:?}: {of_poor:?}");
        for (key, (_, flags)) in &gaps {
            let expected = match () {
                () if key[0] == id(SILENT) => "no_recent_records",
                () if is_in(&GAP, &key[0]) => "gaps_from_cohort",
                () => continue,
            };
            assert!(flags.contains(expected), "{records:?} {key:?}: {flags}");
        }
    }
}

#[test]
fn weeks_need_not_end_on_the_same_day_and_a_length_that_cannot_be_read_is_the_time_since_the_last_record() {
    for (even, uneven) in [(Records::Weeks, Records::UnevenWeeks), (Records::Lengths, Records::UnreadLengths)] {
        let change = |records: Records| {
            move |plan: &mut SimulatePlan| {
                records.plan(plan);
                if records != Records::UnreadLengths {
                    by_distance(plan);
                }
            }
        };
        // No replacement, for a record counts on either side of one as a whole.
        let fleet = SmallFleet { orders: Vec::new(), ..whole() };
        let rows = |records: Records| forecasts(&records.group(&fleet), change(records), &["p_fail_90d"]);
        let off = ratios(&rows(uneven), &rows(even), |_| true);
        println!("{uneven:?} against {even:?}: {off:.4?}");
        assert!(off[0] > 0.97 && off[1] < 1.03, "{uneven:?}: {off:?}");
    }
}

#[test]
fn days_that_nobody_drove_need_no_record() {
    let mut driven = steady_fleet(VEHICLES);
    // On three days of every other week, and on the first and the last of all.
    let drives = |day: &Day| {
        let monday = (day.day + 3).div_euclid(7);
        let is_on = (monday + day.vehicle as i32) % 2 == 0 && [0, 1, 4].contains(&((day.day + 3) % 7));
        is_on || [FIRST_DAY, TODAY].contains(&day.day)
    };
    let mut every_day = driven.clone();
    every_day.days.iter_mut().filter(|day| !drives(day)).for_each(|day| day.distance = 0);
    driven.days.retain(drives);
    for period in ["day", "trip"] {
        let change = |plan: &mut SimulatePlan| {
            by_distance(plan);
            let dictionary = plan.data.join("dataset.toml").to_string_lossy().into_owned();
            edit(&dictionary, "period = \"day\"", &format!("period = \"{period}\""));
        };
        let columns = ["p_fail_90d", "rul_p10_days", "rul_p10_km"];
        let (found, expected) = (forecasts(&driven, change, &columns), forecasts(&every_day, change, &columns));
        let mut lives = 0;
        for (key, (values, flags)) in &found {
            assert!(!flags.contains("gaps") && !flags.contains("silent"), "{key:?}: {flags}");
            for (found, expected) in values.iter().zip(&expected[key].0) {
                match (found, expected) {
                    (Some(found), Some(expected)) => {
                        assert!((found - expected).abs() <= 1e-9 * expected, "{period} {key:?}: {found} {expected}");
                        lives += 1;
                    }
                    _ => assert_eq!(found, expected, "{period} {key:?}"),
                }
            }
        }
        assert!(lives > 3 * VEHICLES, "{lives}");
    }
}

#[test]
fn nothing_wears_between_a_test_drive_and_the_sale() {
    const SOLD: i32 = FIRST_DAY + 200;
    let change = |plan: &mut SimulatePlan| {
        edit(&plan.model, "weibull_shape = 1.5", "weibull_shape = 4.0");
        let sold = (0..VEHICLES).map(|vehicle| Some(if vehicle == 9 { SOLD } else { FIRST_DAY - vehicle as i32 }));
        let sold: ArrayRef = Arc::new(sold.collect::<Date32Array>());
        add_vehicle_column(plan, "bought_on", sold, "sale_date = \"sold_on\"", "sale_date = \"bought_on\"");
    };
    let mut tested = steady_fleet(VEHICLES);
    tested.orders.retain(|order| order.vehicle != 9);
    tested.days.retain(|day| day.vehicle != 9 || day.day < FIRST_DAY + 2 || day.day > SOLD);
    let mut sold = tested.clone();
    sold.days.retain(|day| day.vehicle != 9 || day.day > SOLD);
    let (found, expected) = (forecasts(&tested, change, &["p_fail_90d"]), forecasts(&sold, change, &["p_fail_90d"]));
    let off = ratios(&found, &expected, |key| *key == id(9));
    println!("with a test drive {off:.3?}");
    // Two days of 225 to the third power.
    assert!(off[0] > 0.99 && off[1] < 1.08, "{off:?}");
}

#[test]
fn whoever_is_silent_for_half_a_year_is_not_called() {
    let mut fleet = steady_fleet(VEHICLES);
    let (long, short) = (SILENT, 4);
    fleet.days.retain(|day| match day.vehicle {
        vehicle if vehicle == long => day.day < TODAY - 7 * 40,
        vehicle if vehicle == short => day.day < TODAY - 7 * 20,
        _ => true,
    });
    let change = |plan: &mut SimulatePlan| {
        let alert = "weibull_shape = 1.5\nalert = { horizon_days = 30, probability = 1e-6 }";
        edit(&plan.model, "weibull_shape = 1.5", alert);
    };
    let flags = forecasts(&fleet, change, &["p_fail_90d"]);
    let is_flagged = |vehicle: usize| {
        let mut of_vehicle = flags.iter().filter(|(key, _)| key[0] == id(vehicle));
        of_vehicle.all(|(_, (_, flags))| flags.contains("long_silent"))
    };
    assert!(is_flagged(long) && !is_flagged(short) && !is_flagged(0));
    simulated(&fleet, Layout::ByVehicle(1), change, |out, report| {
        let rows = table(out, "alerts");
        let (called, reasons) = (texts(&rows, "vin"), texts(&rows, "reason"));
        let is_called = |vehicle: usize| {
            (0..called.len()).any(|row| called[row] == id(vehicle) && reasons[row].as_deref() == Some("probability"))
        };
        assert!((0..VEHICLES).all(|vehicle| is_called(vehicle) == (vehicle != long)));
        assert!(report.urgent.iter().all(|one| Some(&one.vehicle) != id(long).as_ref()));
    });
}

#[test]
fn kilometres_a_day_are_those_of_days_that_were_read() {
    let mut fleet = with_gaps(&whole());
    // Out of range: the day was read, its distance was not.
    fleet.days.iter_mut().filter(|day| day.vehicle == 3 && day.day % 5 == 0).for_each(|day| day.distance = 900);
    let steep = |plan: &mut SimulatePlan| edit(&plan.model, "weibull_shape = 1.5", "weibull_shape = 4.0");
    let rows = forecasts(&fleet, steep, &["rul_p10_days", "rul_p10_km"]);
    let mut compared = 0;
    for (key, (values, _)) in &rows {
        let (Some(days), Some(km)) = (values[0], values[1]) else { continue };
        let Some(vehicle) = (0..VEHICLES).find(|&vehicle| id(vehicle) == key[0]) else { panic!("{key:?}") };
        let read = |day: &&Day| day.vehicle == vehicle && day.distance <= 800 && day.day > TODAY - 365;
        let read: Vec<f64> = fleet.days.iter().filter(read).map(|day| 0.5 * f64::from(day.distance)).collect();
        let per_day = read.iter().sum::<f64>() / read.len() as f64;
        if days > 0.0 {
            assert!((km / (days * per_day) - 1.0).abs() < 1e-6, "{key:?}: {km} in {days} at {per_day}");
            compared += usize::from([3, SILENT].contains(&vehicle) || GAP.contains(&vehicle));
        }
    }
    assert!(compared >= 4, "{compared}");
}
