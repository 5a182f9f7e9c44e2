//! How long a failure stays unreported, from the events that say when it occurred and when it was reported.
//!
//! A part counts as working as long as no failure of it is *reported*; with a mean delay of three weeks the failures
//! nobody has reported yet are a good part of those of the next month. The law of the delay is estimated from the
//! failures of the model's components reported on or before the as-of day. Recent failures are among them only if
//! they were reported quickly (right truncation: a plain mean is too short), so the law is the reverse product limit:
//! G(x − 1) = G(x) (1 − d/n), where of the n failures that could have been seen with a delay of x and had at most x,
//! d had exactly x. It starts at the longest delay that enough failures could have shown, half of them or
//! [`FEWEST_EVENTS`], and runs down to the shortest seen; longer ones are as if they did not occur. Failures reported
//! before they occurred, found to be none, or older than a year when reported do not count.
//!
//! Units: days, then *lags*: whole calendar weeks between the week of the failure and that of the report, a failure
//! falling on any day of its week alike. Source: Lagakos, Barraj & De Gruttola (1988), Biometrika 75, 515–523.

use super::weeks::{DAYS_PER_WEEK, WeekAxis};
use crate::fleet::vehicles::{EventKind, Finding, Vehicles};
use crate::score::parts::Parts;

/// Delays beyond count as mistakes.
pub const MOST_DAYS: usize = 364;
/// Failures without which there is no law.
pub const FEWEST_EVENTS: usize = 30;

/// The law of the delay.
#[derive(Clone, Debug, PartialEq)]
pub struct ReportDelay {
    /// Failures it was estimated from.
    pub events: usize,
    pub mean_days: f64,
    /// `[day]`: the chance of a delay of so many days; they add up to one.
    pub days: Vec<f64>,
    /// `[lag]`: the chance of it; they add up to one.
    pub lags: Vec<f64>,
}

impl ReportDelay {
    /// The law of the failures known on the as-of day (of the dataset's axis); `None`: too few of them say both days.
    pub fn estimate(vehicles: &Vehicles, parts: &Parts, axis: WeekAxis, as_of_day: i32) -> Option<Self> {
        let is_modelled: Vec<bool> = (vehicles.components.iter())
            .map(|component| parts.parts.iter().any(|part| &part.component == component))
            .collect();
        let known = vehicles.events.iter().filter_map(|event| {
            let reported = event.reported_day?;
            let counts = event.kind == EventKind::Failure
                && event.finding != Some(Finding::NotFound)
                && is_modelled.get(event.component as usize) == Some(&true)
                && (event.occurred_day..=as_of_day).contains(&reported);
            let between = |from: i32, to: i32| axis.calendar_day(to).abs_diff(axis.calendar_day(from)) as usize;
            counts.then(|| (between(event.occurred_day, reported), between(event.occurred_day, as_of_day)))
        });
        Self::of_delays(known)
    }

    /// From (delay, longest delay that would be known), in days.
    fn of_delays(known: impl Iterator<Item = (usize, usize)>) -> Option<Self> {
        let (mut exactly, mut could_be_longest) = (vec![0_usize; MOST_DAYS + 1], vec![0_usize; MOST_DAYS + 2]);
        let mut events = 0;
        // `at_risk[x]`: delay of at most x, and a delay of x would be known.
        let mut starts = vec![0_usize; MOST_DAYS + 1];
        for (delay, longest) in known.filter(|(delay, _)| *delay <= MOST_DAYS) {
            exactly[delay] += 1;
            starts[delay] += 1;
            could_be_longest[longest.min(MOST_DAYS) + 1] += 1;
            events += 1;
        }
        if events < FEWEST_EVENTS {
            return None;
        }
        let mut at_risk = Vec::with_capacity(MOST_DAYS + 1);
        let mut now = 0;
        for day in 0..=MOST_DAYS {
            now += starts[day];
            now -= could_be_longest[day];
            at_risk.push(now);
        }
        let mut chances = vec![0.0; MOST_DAYS + 1];
        let mut at_most = 1.0;
        // Few are at risk of long delays because of truncation, and of the shortest because few are that short: only the
        // former leaves the law open.
        let enough = FEWEST_EVENTS.min(events / 2);
        let longest = at_risk.iter().rposition(|&at_risk| at_risk >= enough)?;
        for day in (0..=longest).rev().filter(|&day| at_risk[day] > 0) {
            let shorter = at_most * (1.0 - exactly[day] as f64 / at_risk[day] as f64);
            chances[day] = at_most - shorter;
            at_most = shorter;
        }
        // What is left belongs to the shortest delay seen, where nothing shorter can be told.
        let shortest = chances.iter().position(|&chance| chance > 0.0).unwrap_or(0);
        chances[shortest] += at_most;
        let mean_days = chances.iter().zip(0_u32..).map(|(chance, day)| chance * f64::from(day)).sum();
        let week = DAYS_PER_WEEK as usize;
        let mut lags = vec![0.0; MOST_DAYS / week + 2];
        for (day, chance) in chances.iter().enumerate() {
            for weekday in 0..week {
                lags[(day + weekday) / week] += chance / week as f64;
            }
        }
        while lags.last() == Some(&0.0) {
            lags.pop();
        }
        while chances.last() == Some(&0.0) {
            chances.pop();
        }
        Some(Self { events, mean_days, days: chances, lags })
    }

    /// Reports on the day itself.
    pub fn none() -> Self {
        Self { events: 0, mean_days: 0.0, days: vec![1.0], lags: vec![1.0] }
    }

    /// `[weeks]`: the chance that a failure of the week that ended so many weeks ago is not yet reported.
    pub fn not_yet(&self) -> Vec<f64> {
        let mut left = 1.0;
        let shares = self.lags.iter().map(|lag| {
            left -= lag;
            f64::max(left, 0.0)
        });
        shares.collect()
    }

    /// What is reported in each week of what fails in each.
    pub fn reported(&self, failed: &[f64]) -> Vec<f64> {
        let in_week = |week: usize| -> f64 {
            self.lags.iter().zip(failed[..=week].iter().rev()).map(|(chance, failed)| chance * failed).sum()
        };
        (0..failed.len()).map(in_week).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixed::threefry::threefry2x32;
    use crate::model::life::exponential_draw;

    /// Failures spread over so many days, reported after a gamma delay of mean 21 days, of which those are known that
    /// were reported by the last day.
    fn known(days: u32, count: u32) -> Vec<(usize, usize)> {
        let drawn = (0..count).filter_map(|event| {
            let [a, b] = threefry2x32([9, 1], [event, 0]);
            let stage = |bits: u32| exponential_draw(u64::from(bits) << 32);
            let delay = (10.5 * (stage(a) + stage(b))) as usize;
            let longest = (event % days) as usize;
            (delay <= longest).then_some((delay, longest))
        });
        drawn.collect()
    }

    #[test]
    fn truncation_is_undone_where_a_plain_mean_is_too_short() {
        for days in [60, 400] {
            let known = known(days, 20_000);
            let plain = known.iter().map(|one| one.0 as f64).sum::<f64>() / known.len() as f64;
            let law = ReportDelay::of_delays(known.into_iter()).unwrap();
            // Whole days are rounded down: half a day less than 21. Nobody saw a delay beyond 60 days there.
            let truth = if days == 60 { 19.0 } else { 20.5 };
            assert!((law.mean_days - truth).abs() < 0.8, "{days}: {}", law.mean_days);
            assert!(days > 60 || plain < 16.0, "{plain}: the plain mean would pass too");
            assert!((law.lags.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn few_varied_delays_keep_their_mean() {
        for events in [30, 31, 40, 60, 100] {
            // All old enough to be known: the law is that of the delays themselves.
            let old: Vec<(usize, usize)> = known(4_000, 4_000).into_iter().rev().take(events).collect();
            let plain = old.iter().map(|one| one.0 as f64).sum::<f64>() / events as f64;
            let law = ReportDelay::of_delays(old.into_iter()).unwrap();
            assert!((law.mean_days - plain).abs() < 1e-9, "{events}: {} instead of {plain}", law.mean_days);
            // Spread over the last year, some of them too recent to be known.
            let recent = known(365, 200 * events as u32);
            let (mut sum, mut worst, mut laws) = (0.0, 0.0_f64, 0.0);
            for place in 0..recent.len() / events {
                let own = recent.iter().skip(place).step_by(recent.len() / events).take(events).copied();
                let law = ReportDelay::of_delays(own).unwrap();
                assert!((law.lags.iter().sum::<f64>() - 1.0).abs() < 1e-12);
                (sum, laws, worst) = (sum + law.mean_days, laws + 1.0, worst.max((law.mean_days - 20.5).abs()));
            }
            // Gamma delays deviate by 15 days: five standard errors of one law.
            let error = 15.0 / f64::sqrt(events as f64);
            assert!((sum / laws - 20.5).abs() < 0.8 && worst < 5.0 * error, "{events}: {} {worst}", sum / laws);
        }
    }

    #[test]
    fn failures_that_show_no_delay_long_enough_are_no_law() {
        // Each could have shown a delay of its own day alone.
        assert_eq!(ReportDelay::of_delays((0..40).map(|day| (day, day))), None);
    }

    #[test]
    fn few_events_are_no_law_and_one_delay_is() {
        assert_eq!(ReportDelay::of_delays([(3, 9); 29].into_iter()), None);
        assert_eq!(ReportDelay::of_delays([(900, 999); 99].into_iter()), None);
        let law = ReportDelay::of_delays([(14, 300); 40].into_iter()).unwrap();
        assert_eq!((law.events, law.mean_days), (40, 14.0));
        assert!((law.lags[2] - 1.0).abs() < 1e-12 && law.lags[..2] == [0.0; 2]);
        assert_eq!(law.not_yet()[..2], [1.0, 1.0]);
        assert!(law.not_yet()[2] < 1e-12);
    }

    #[test]
    fn reports_follow_failures() {
        let law = ReportDelay { events: 0, mean_days: 0.0, days: vec![1.0], lags: vec![0.5, 0.25, 0.25] };
        assert_eq!(law.reported(&[4.0, 0.0, 8.0, 0.0]), [2.0, 1.0, 5.0, 2.0]);
        assert_eq!(ReportDelay::none().reported(&[4.0, 1.0]), [4.0, 1.0]);
        assert_eq!(law.not_yet(), [0.5, 0.25, 0.0]);
    }
}
