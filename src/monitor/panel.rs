//! Samples: what a monitor sees of a vehicle, and the panel of vehicles from which it learns what is normal.
//!
//! Key idea: a sample is the mean of a day's records, so trips and days look alike; it is a sum of integers until the
//! day is over. The panel is a bounded share of the fleet, chosen by a hash of the vehicle's id, kept whole for the
//! time of learning. Units: codes, then the channel's unit; days on the dataset's axis.

use serde::{Deserialize, Serialize};

use crate::model::channel::Channel;

/// The records of the day in progress.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DaySum {
    day: i32,
    codes: u64,
    records: u32,
}

impl DaySum {
    /// Adds a record; days must not fall. Gives the day before with its mean code once that day is over.
    #[inline]
    pub fn add(&mut self, day: i32, code: u16) -> Option<(i32, f64)> {
        let done = if day == self.day { None } else { self.take() };
        self.day = day;
        self.codes += u64::from(code);
        self.records += 1;
        done
    }

    /// Ends the day in progress.
    #[inline]
    pub fn take(&mut self) -> Option<(i32, f64)> {
        let Self { day, codes, records } = std::mem::take(self);
        (records > 0).then(|| (day, codes as f64 / f64::from(records)))
    }
}

/// The value of a mean code, in the channel's unit.
#[inline]
pub fn value_of(channel: &Channel, mean_code: f64) -> f64 {
    channel.offset + channel.factor * (channel.first as f64 + mean_code)
}

/// The samples of one vehicle of the panel, up to the first replacement of the part.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    pub vehicle: u32,
    /// Index of the vehicle's lot; vehicles of no lot share one.
    pub lot: u32,
    pub days: Vec<i32>,
    pub values: Vec<f32>,
}

/// Records of the panel, in any order, become series by rising vehicle. `lot_of` and `replaced` answer for a vehicle.
pub fn series(
    mut records: Vec<PanelRecord>,
    channel: &Channel,
    lot_of: impl Fn(u32) -> u32,
    replaced: impl Fn(u32) -> Option<i32>,
) -> Vec<Series> {
    use rayon::prelude::*;
    records.par_sort_unstable();
    let not_available = channel.not_available();
    let one = |rows: &[PanelRecord]| {
        let vehicle = rows[0].vehicle;
        let last_day = replaced(vehicle).unwrap_or(i32::MAX);
        let mut series = Series { vehicle, lot: lot_of(vehicle), ..Series::default() };
        let mut today = DaySum::default();
        let mut push = |(day, mean_code): (i32, f64)| {
            series.days.push(day);
            series.values.push(value_of(channel, mean_code) as f32);
        };
        for row in rows.iter().filter(|row| row.code != not_available && row.day <= last_day) {
            today.add(row.day, row.code).into_iter().for_each(&mut push);
        }
        today.take().into_iter().for_each(&mut push);
        series
    };
    records.chunk_by(|a, b| a.vehicle == b.vehicle).map(one).collect()
}

/// One record of the panel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PanelRecord {
    pub vehicle: u32,
    pub day: i32,
    pub code: u16,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_the_mean_of_its_records() {
        let mut today = DaySum::default();
        let codes = [(-3, 10), (-3, 11), (0, 7), (1, 1), (1, 2), (1, 6)];
        let mut days: Vec<(i32, f64)> = codes.iter().filter_map(|&(day, code)| today.add(day, code)).collect();
        days.extend(today.take());
        assert_eq!(days, [(-3, 10.5), (0, 7.0), (1, 3.0)]);
        assert_eq!(today.take(), None);
    }

    #[test]
    fn series_stop_at_the_replacement_and_skip_what_is_missing() {
        let channel = Channel { name: "c".into(), unit: "K".into(), factor: 0.5, offset: 1.0, first: 2, codes: 100 };
        let record = |vehicle, day, code| PanelRecord { vehicle, day, code };
        let records = vec![record(4, 9, 2), record(1, 8, 0), record(4, 7, 100), record(4, 8, 1), record(4, 10, 3)];
        let found = series(records, &channel, |vehicle| vehicle + 1, |vehicle| (vehicle == 4).then_some(9));
        let wanted = [
            Series { vehicle: 1, lot: 2, days: vec![8], values: vec![2.0] },
            Series { vehicle: 4, lot: 5, days: vec![8, 9], values: vec![2.5, 3.0] },
        ];
        assert_eq!(found, wanted);
    }
}
