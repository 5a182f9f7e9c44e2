//! Time that no record covers.

use fleetwear::score::fleet::Fleet;
use fleetwear::score::row::Scorer;
use fleetwear::score::tally::SlotTally;

use super::{Record, Tiny, ids, replacement};

/// Time that no record covers is missing from clocks that run with time, and the rows say so.
#[test]
fn gaps_between_the_records_are_flagged() {
    let tiny = Tiny::new(vec![replacement(0, 0, None, 149)], 199);
    // Of the 100 days: every one; four of five; three of four; the first and the last of a weekend's trip.
    let kept: [fn(i32) -> bool; 4] =
        [|_| true, |day| day % 5 != 3 || day == 199, |day| day % 4 != 2, |day| [100, 102].contains(&day)];
    let records: Vec<Record> = (100..200)
        .flat_map(|day| (0..4).map(move |vehicle| (vehicle, day, 80, 40)))
        .filter(|record| kept[record.0 as usize](record.1))
        .collect();
    let sums = tiny.sums(&[&records], ids(4));
    let scorer = Scorer::new(tiny.fleet(&sums), &tiny.vehicles, &tiny.parts, &tiny.starts);
    let mut figures = scorer.figures();
    let mut flagged = |vehicle: usize, mode: &str| {
        scorer.load(vehicle, &mut figures);
        let row = tiny.parts.rows.iter().find(|row| tiny.model.modes[row.mode].id == mode).unwrap();
        scorer.score(row, &mut figures).flags.to_string().contains("history_has_gaps")
    };
    assert_eq!([0, 1, 2, 3].map(|vehicle| flagged(vehicle, "noise")), [false, false, true, true]);
    // Pads wear by distance alone.
    assert_eq!([0, 1, 2, 3].map(|vehicle| flagged(vehicle, "pads")), [false; 4]);
    // Where records have no usual length, nothing is said; a month of 28 days is a whole one.
    let share = |period_days, regular, first_tick, last_tick, records| {
        let fleet = Fleet { period_days, regular, ..tiny.fleet(&sums) };
        fleet.covered_share(&SlotTally { records, first_tick, last_tick })
    };
    assert_eq!(share(1.0, false, 0, 100, 2), None);
    assert_eq!(share(30.436875, true, 0, 28, 2), Some(1.0));
    assert_eq!(share(30.436875, true, 0, 365, 13), Some(1.0));
    assert_eq!(share(7.0, true, 0, 28, 4), Some(0.8));
    assert_eq!(share(1.0, true, 5, 5, 1), Some(1.0));
    assert_eq!(share(1.0, true, i32::MAX, i32::MIN, 0), None);
}
