//! Channels that tell of a failure because they follow it: a lamp, a workshop's mode, a code that a repair sets.
//!
//! Key idea: a condition that hardly any record fulfils, but many of those at which something failed, and that did not
//! hold the day before, is no cause that lasts; it is worth a look before anything is made of the channel.
//!
//! Units: shares of the records and of the events.

use super::survey::{EventRow, Survey};
use crate::model::channel::Channel;

/// A condition of so small a share of the records …
const SHARE: f64 = 0.005;
/// … under which so many times more failed than elsewhere …
const RATIO: f64 = 30.0;
/// … by so many failures at least …
const FEWEST_EVENTS: usize = 5;
/// … of which so few had it the day before.
const BEFORE: f64 = 0.2;

/// A warning for each channel that follows the failures, in words.
pub fn leaks(survey: &Survey, rows: &[EventRow], channels: &[Channel]) -> Vec<String> {
    channels.iter().enumerate().filter_map(|(place, channel)| leak(survey, rows, place, channel)).collect()
}

fn leak(survey: &Survey, rows: &[EventRow], place: usize, channel: &Channel) -> Option<String> {
    let records = &survey.records[place];
    let codes = records.len() - 1;
    let all: u64 = records.iter().sum();
    let mut failed = vec![0_usize; records.len()];
    for row in rows {
        failed[usize::from(row.codes[place])] += 1;
    }
    // Single codes, and what lies at either end.
    let singles = (0..codes).map(|code| (code, code + 1));
    let ends = (1..codes).flat_map(|code| [(0, code), (code, codes)]);
    let before: Vec<(u64, usize)> = std::iter::once((0, 0))
        .chain((0..codes).scan((0, 0), |sum, code| {
            *sum = (sum.0 + records[code], sum.1 + failed[code]);
            Some(*sum)
        }))
        .collect();
    let (from, to) = singles
        .chain(ends)
        .filter(|(from, to)| {
            let (own, events) = (before[*to].0 - before[*from].0, before[*to].1 - before[*from].1);
            let share = own as f64 / all as f64;
            let others = (rows.len() - events) as f64 / (1.0 - share);
            own > 0 && share <= SHARE && events >= FEWEST_EVENTS && events as f64 / share >= RATIO * others
        })
        .max_by_key(|(from, to)| (before[*to].1 - before[*from].1, usize::MAX - (to - from)))?;
    let holds = |code: u16| (from..to).contains(&usize::from(code));
    let of: Vec<&EventRow> = rows.iter().filter(|row| holds(row.codes[place])).collect();
    let known = of.iter().filter_map(|row| row.earlier[0].as_ref());
    let (mut had_it, mut seen) = (0.0, 0.0);
    for codes in known {
        seen += 1.0;
        had_it += f64::from(u8::from(holds(codes[place])));
    }
    (seen > 0.0 && had_it <= BEFORE * seen).then(|| {
        let (first, last) = (channel.value(from as u32), channel.value(to as u32 - 1));
        format!(
            "channel {} from {first} to {last} holds {} of {} failures on {:.3} % of the records, and held for {had_it:.0} of them the day before: does it follow the failure?",
            channel.name,
            of.len(),
            rows.len(),
            100.0 * (before[to].0 - before[from].0) as f64 / all as f64,
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A thousand records a code; the last code is a lamp, on ten records. `before`: failures that had it lit already.
    fn told(before: usize) -> Vec<String> {
        let mut survey = Survey::new(&[4]);
        survey.records = vec![vec![10_000, 10_000, 10_000, 10, 0]];
        let lamp = |number: usize| EventRow {
            codes: vec![3],
            earlier: [Some(vec![if number < before { 3 } else { 1 }]), None, None],
            ..EventRow::default()
        };
        let other = |number: usize| EventRow { codes: vec![(number % 3) as u16], ..EventRow::default() };
        let rows: Vec<EventRow> = (0..8).map(lamp).chain((0..60).map(other)).collect();
        let channel =
            Channel { name: "lamp".to_owned(), unit: String::new(), factor: 1.0, offset: 0.0, first: 0, codes: 4 };
        leaks(&survey, &rows, &[channel])
    }

    #[test]
    fn what_starts_with_the_failure_is_warned_of() {
        let text = &told(0)[0];
        assert!(text.contains("lamp from 3 to 3 holds 8 of 68 failures on 0.033 %"), "{text}");
        assert!(told(6).is_empty(), "what lasted before may well be the cause");
    }
}
