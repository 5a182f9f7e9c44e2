//! Gaps: which weeks without a record were driven and lost, and which were weeks of rest.
//!
//! Key idea: nobody can tell a vehicle that stood still from one whose records were lost, but the vehicle's own habit
//! says which is likelier. One on record on a share p of its days leaves k weeks empty by chance with (1 − p)^(7k): where
//! that is below [`REST_CHANCE`], the weeks were lost, and count as the futures count them, with the cohort's mean at the
//! vehicle's own pace ([`super::future`]); else they were rest, on record as weeks without use. So a fleet that records
//! driven days or trips alone is not given use that it did not have.
//!
//! Tables of weeks or months have a record for every period, so there a period without one is lost. Records that state
//! their own length are judged as days are, by the days that they cover: only a week of which no day is covered is empty.
//! Nothing is missing up to a vehicle's sale. Records that end for good are more likely those of a vehicle or a unit that
//! went away unreported than of one that goes on for ever: after [`SILENT_WEEKS`] its clocks stand still.
//!
//! Units: days since 1970-01-01.

use super::profile::Calendar;
use super::weeks::{DAYS_PER_WEEK, RecordLength, first_day, week_of};

/// A run of weeks that is empty by chance less often than this was lost.
pub const REST_CHANCE: f64 = 0.01;
/// Whole weeks after the last record for which clocks go on: half a year, longer than owners lay a vehicle up for a
/// season. A fleet that replaces its units or loses vehicles has some silent for years, and going on with all of them
/// would make its oldest parts out of vehicles that are no longer there.
pub const SILENT_WEEKS: usize = 26;

/// When one vehicle is on record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OnRecord<'a> {
    /// First and last days that records cover, each day once, rising; for days and trips, days with a record.
    pub spans: &'a [(i32, i32)],
    /// Nothing is missing up to this day.
    pub sold_day: Option<i32>,
}

/// What became of one vehicle's weeks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Weeks {
    /// Whether a week says what the vehicle does in such a week: on record, or rest.
    pub covered: Vec<bool>,
    /// Days of weeks that are not covered whose use was lost.
    pub missing_days: Vec<u8>,
    /// The same of the days after the last whole week.
    pub missing_after: u8,
    /// The last day that counts: today, or the end of [`SILENT_WEEKS`] without a record.
    pub until_day: i32,
    /// Silent for [`SILENT_WEEKS`] or longer.
    pub is_long_silent: bool,
}

impl OnRecord<'_> {
    /// The first and the last day; none without a record.
    fn ends(&self) -> Option<(i32, i32)> {
        Some((self.spans.first()?.0, self.spans.last()?.1))
    }

    /// The first day on which something may be missing.
    pub fn in_service_from(&self) -> i32 {
        let first = self.spans.first().map_or(i32::MAX, |span| span.0);
        self.sold_day.map_or(first, |sold| first.max(sold.saturating_add(1)))
    }

    /// Days on record from one to another.
    pub fn days(&self, from: i32, to: i32) -> i64 {
        let inside = |&(first, last): &(i32, i32)| i64::from(last.min(to)) - i64::from(first.max(from)) + 1;
        self.spans.iter().map(inside).map(|days| days.max(0)).sum()
    }

    /// The share of the days with a record, of those in service from the first record to the last.
    fn share_of_days(&self) -> f64 {
        let Some((first, last)) = self.ends() else { return 0.0 };
        let from = Some(self.in_service_from()).filter(|&from| from <= last).unwrap_or(first);
        // One day more than were seen, so that a history of a day or two claims no habit.
        self.days(from, last) as f64 / (f64::from(last) - f64::from(from) + 2.0)
    }

    /// `[week]`: how many of its days are on record.
    fn by_week(&self, calendar: &Calendar) -> Vec<u8> {
        let mut days = vec![0_u8; calendar.weeks];
        let (from, to) = (first_day(calendar.first_week), first_day(calendar.first_week + calendar.weeks as i32) - 1);
        for &(first, last) in self.spans {
            // A record may say that it covers a thousand years.
            let (first, last) = (first.max(from), last.min(to));
            for week in week_of(first)..=week_of(last) {
                let place = (week - calendar.first_week) as usize;
                if let Some(sum) = days.get_mut(place).filter(|_| first <= last) {
                    let monday = first_day(week);
                    *sum += ((monday + DAYS_PER_WEEK).min(last + 1) - monday.max(first)) as u8;
                }
            }
        }
        days
    }
}

impl Weeks {
    pub fn of(vehicle: &OnRecord, calendar: &Calendar) -> Self {
        let weeks = calendar.weeks;
        let mut found = Self {
            covered: vec![false; weeks],
            missing_days: vec![0; weeks],
            missing_after: 0,
            until_day: calendar.as_of_day,
            is_long_silent: false,
        };
        let Some((first, last)) = vehicle.ends() else { return found };
        let on_record = vehicle.by_week(calendar);
        let in_service_from = vehicle.in_service_from();
        let monday = |week: usize| first_day(calendar.first_week) + DAYS_PER_WEEK * week as i32;
        let days_from = |week: usize, from: i32| (monday(week + 1) - from.max(monday(week))).max(0);
        let in_whole_periods = matches!(calendar.length, RecordLength::Week | RecordLength::CalendarMonth);
        for (week, &days) in on_record.iter().enumerate().filter(|(_, days)| **days > 0) {
            // The week in which a history begins counts if it begins on Monday.
            found.covered[week] = match in_whole_periods {
                true => i32::from(days) == DAYS_PER_WEEK,
                false => monday(week) >= first,
            };
            if in_whole_periods {
                let missing = days_from(week, first) - i32::from(days);
                found.missing_days[week] = missing.min(days_from(week, in_service_from)) as u8;
            }
        }
        let is_empty =
            |week: usize| on_record[week] == 0 && monday(week) > first && days_from(week, in_service_from) > 0;
        let share = vehicle.share_of_days();
        let mut week = 0;
        while week < weeks {
            let length = (week..weeks).take_while(|&week| is_empty(week)).count();
            let run = week..week + length;
            week = run.end.max(week + 1);
            if length > 0 && !in_whole_periods && !is_lost(share, length) {
                run.for_each(|week| found.covered[week] = monday(week) >= in_service_from);
            } else if length > 0 {
                let is_tail = last < monday(run.start);
                let counted = if is_tail { length.min(SILENT_WEEKS) } else { length };
                let lost = run.clone().take(counted);
                lost.for_each(|week| found.missing_days[week] = days_from(week, in_service_from) as u8);
                if is_tail && length >= SILENT_WEEKS {
                    (found.is_long_silent, found.until_day) = (true, monday(run.start + counted) - 1);
                } else if run.end == weeks && last < monday(weeks) {
                    // With a record after the last whole week the days around it are rest.
                    let after = calendar.as_of_day + 1 - in_service_from.max(monday(weeks));
                    found.missing_after = after.clamp(0, DAYS_PER_WEEK) as u8;
                }
            }
        }
        found
    }

    /// Of the days from one to another those that are not lost: on record, or rest.
    pub fn days_known(&self, from: i32, to: i32, calendar: &Calendar) -> i32 {
        let monday = |week: usize| first_day(calendar.first_week) + DAYS_PER_WEEK * week as i32;
        let to = to.min(self.until_day);
        let missing = |week: usize| {
            // Where in its week a day is missing is not known.
            let inside = (monday(week + 1).min(to + 1) - monday(week).max(from)).max(0);
            i32::from(self.missing_days[week]).min(inside)
        };
        let missing: i32 = (0..self.missing_days.len()).map(missing).sum();
        (to - from + 1 - missing - i32::from(self.missing_after)).max(0)
    }
}

fn is_lost(share: f64, weeks: usize) -> bool {
    let days = (DAYS_PER_WEEK as usize * weeks) as f64;
    // A day more than were seen keeps the share below 1.
    days * libm::log1p(-share) < libm::log(REST_CHANCE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::time::TimeAxis;
    use crate::fleet::vehicles::Vehicles;
    use crate::score::parts::PartStarts;
    use crate::simulate::weeks::WeekAxis;

    const WEEKS: usize = 60;
    /// A Monday.
    const FIRST: i32 = 19_723;

    /// The weeks of a vehicle on record on these days since the first Monday, as of so many days after the last Sunday.
    fn weeks(length: RecordLength, spans: &[(i32, i32)], sold: Option<i32>, after: i32) -> (Weeks, [i32; 2]) {
        let spans: Vec<(i32, i32)> = spans.iter().map(|&(first, last)| (FIRST + first, FIRST + last)).collect();
        let calendar = Calendar {
            axis: WeekAxis { axis: TimeAxis::Days, ticks_are_weeks: false },
            length,
            length_channel: None,
            distance: None,
            starts: &PartStarts::default(),
            vehicles: &Vehicles::default(),
            as_of_day: FIRST + DAYS_PER_WEEK * WEEKS as i32 - 1 + after,
            first_week: week_of(FIRST),
            weeks: WEEKS,
        };
        let vehicle = OnRecord { spans: &spans, sold_day: sold.map(|day| FIRST + day) };
        let weeks = Weeks::of(&vehicle, &calendar);
        let known = weeks.days_known(FIRST, calendar.as_of_day, &calendar);
        let missing = weeks.missing_days.iter().map(|&days| i32::from(days)).sum::<i32>();
        (weeks, [missing, known])
    }

    fn days(days: impl Iterator<Item = i32>) -> Vec<(i32, i32)> {
        days.map(|day| (day, day)).collect()
    }

    const ALL: std::ops::Range<i32> = 0..DAYS_PER_WEEK * WEEKS as i32;

    #[test]
    fn an_empty_week_was_lost_where_the_vehicle_does_not_rest_so_long() {
        let every_day = |gap: std::ops::Range<i32>| days(ALL.filter(move |day| !gap.contains(day)));
        assert_eq!(weeks(RecordLength::Day, &every_day(0..0), None, 0).1, [0, 420]);
        let (lost, sums) = weeks(RecordLength::Day, &every_day(70..84), None, 0);
        assert_eq!(sums, [14, 406]);
        assert!(!lost.covered[10] && !lost.covered[11] && lost.covered[12]);
        // Half a week missing is rest.
        assert_eq!(weeks(RecordLength::Day, &every_day(70..74), None, 0).1, [0, 420]);
        // One day in seven: (6 / 7)^28 = 0.013 and (6 / 7)^35 = 0.005.
        let weekly = |gap: std::ops::Range<i32>| days(ALL.step_by(7).filter(move |day| !gap.contains(day)));
        let (rest, sums) = weeks(RecordLength::Day, &weekly(70..91), None, 0);
        assert_eq!(sums, [0, 420]);
        assert!(rest.covered.iter().all(|&covered| covered));
        assert_eq!(weeks(RecordLength::Day, &weekly(70..140), None, 0).1, [70, 350]);
        // Once a month: eleven weeks are nothing, a year is.
        let monthly = |until: i32| days((0..until).step_by(28));
        assert_eq!(weeks(RecordLength::Day, &monthly(350), None, 0).1, [0, 420]);
        assert_eq!(weeks(RecordLength::Day, &monthly(30), None, 0).1[0], 26 * 7);
    }

    #[test]
    fn records_of_weeks_and_months_have_none_missing_and_those_with_a_length_are_judged_by_their_days() {
        let spans: Vec<(i32, i32)> = (0..WEEKS as i32).map(|week| (7 * week - 3, 7 * week + 3)).collect();
        let without = |week: usize| [&spans[..week], &spans[week + 1..]].concat();
        let (whole, sums) = weeks(RecordLength::Week, &spans, None, 0);
        // The last week is covered half.
        assert_eq!(sums, [3, 417]);
        assert!(whole.covered[..WEEKS - 1].iter().all(|&covered| covered) && !whole.covered[WEEKS - 1]);
        let (gap, sums) = weeks(RecordLength::Week, &without(20), None, 0);
        assert_eq!((sums[0], &gap.missing_days[18..22]), (10, &[0, 3, 4, 0][..]));
        let column = RecordLength::Column(0);
        assert_eq!(weeks(column, &without(20), None, 0).1, [0, 420], "no week without a covered day");
        let (gap, sums) = weeks(column, &[&spans[..20], &spans[23..]].concat(), None, 0);
        assert_eq!((sums[0], gap.covered[20], gap.covered[21]), (14, false, false));
        assert_eq!(
            weeks(RecordLength::CalendarMonth, &[(0, 30), (62, 92)], None, 0).0.missing_days[4..9],
            [4, 7, 7, 7, 6]
        );
    }

    #[test]
    fn nothing_is_missing_up_to_the_sale() {
        let drives = || days([0, 1].into_iter().chain(212..420));
        assert_eq!(weeks(RecordLength::Day, &drives(), None, 0).1[0], 203);
        assert_eq!(weeks(RecordLength::Day, &drives(), Some(-9), 0).1[0], 203);
        // Sold on the second day of its week, and on record from the last day of another.
        let (sold, sums) = weeks(RecordLength::Day, &drives(), Some(197), 0);
        assert_eq!(sums[0], 5 + 7);
        assert!(!sold.covered[10] && sold.missing_days[28] == 5);
        assert_eq!(weeks(RecordLength::Day, &drives(), Some(500), 0).1[0], 0);
        assert_eq!(weeks(RecordLength::Week, &[(0, 6), (210, 419)], Some(197), 0).1[0], 12);
    }

    #[test]
    fn a_silent_tail_counts_for_half_a_year() {
        let until = |day: i32, after: i32| weeks(RecordLength::Day, &days(0..day), None, after);
        let (fresh, sums) = until(420, 3);
        assert_eq!((fresh.missing_after, sums[1]), (0, 423), "rest: the last whole week has records");
        let (week, sums) = until(413, 3);
        assert_eq!((week.missing_after, sums), (3, [7, 413]));
        let (long, sums) = until(420 - 26 * 7, 3);
        assert_eq!((long.is_long_silent, long.missing_after, sums), (true, 0, [182, 238]));
        assert_eq!(long.until_day, FIRST + 419);
        let (longer, sums) = until(70, 3);
        assert_eq!((longer.is_long_silent, sums), (true, [182, 70]));
        assert_eq!(longer.until_day, FIRST + 70 + 181);
        let (shorter, sums) = until(420 - 25 * 7, 3);
        assert_eq!((shorter.is_long_silent, shorter.missing_after, sums), (false, 3, [175, 245]));
        // A record today ends the silence.
        let (back, sums) = weeks(RecordLength::Day, &days((0..70).chain([421])), None, 3);
        assert_eq!((back.is_long_silent, back.missing_after, sums), (false, 0, [350, 73]));
        let (month, _) = weeks(RecordLength::CalendarMonth, &[(0, 415)], None, 6);
        assert_eq!((month.missing_after, month.missing_days[59]), (0, 4), "its next record is not due yet");
        assert_eq!(weeks(RecordLength::Day, &[], None, 0).0.covered, vec![false; WEEKS]);
    }
}
