//! What is read out of sums: rates compared with the fleet's, and clocks at the end of what their column holds.

use arrow::array::AsArray;
use arrow::datatypes::{Float64Type, Int64Type};
use fleetwear::score::output::ScoreRows;
use fleetwear::score::row::Scorer;

use super::{Record, Tiny, ids, replacement};

/// The rates that are compared are those of the damage, not of the clocks: under the exponent 0.5 four times the
/// distance is twice the damage, and an older part takes less of it.
#[test]
fn relative_rate_is_a_quotient_of_damage_rates() {
    let tiny = Tiny::new(vec![replacement(2, 0, None, 149)], 199);
    let distance = [100, 400, 100];
    let records: Vec<Record> =
        (0..3).flat_map(|vehicle| (0..200).map(move |day| (vehicle, day, distance[vehicle as usize], 40))).collect();
    let sums = tiny.sums(&[&records], ids(4));
    let scorer = Scorer::new(tiny.fleet(&sums), &tiny.vehicles, &tiny.parts, &tiny.starts);
    let pads = tiny.parts.rows.iter().find(|row| tiny.model.modes[row.mode].id == "pads").unwrap();
    let mut figures = scorer.figures();
    let rates: Vec<(f64, f64)> = (0..3)
        .map(|vehicle| {
            scorer.load(vehicle, &mut figures);
            let score = scorer.score(pads, &mut figures);
            (score.damage_per_day_recent.unwrap(), score.relative_rate.unwrap())
        })
        .collect();
    // 50 km a day on 1,000: over days 110 to 199 from sqrt(5.5) to sqrt(10), or from 0 to sqrt(2.5) in 50 days.
    let old = (10.0f64.sqrt() - 5.5f64.sqrt()) / 90.0;
    let young = 2.5f64.sqrt() / 50.0;
    let median = (2.0 * old).min(young);
    for ((rate, relative), expected) in rates.iter().zip([old, 2.0 * old, young]) {
        assert!((rate / expected - 1.0).abs() < 1e-4, "{rates:?}");
        assert!((relative / (expected / median) - 1.0).abs() < 1e-4, "{rates:?}");
    }
}

/// Sums that pass what an Int64 holds, and sums that may have wrapped, are never silent and never negative.
#[test]
fn a_clock_stands_still_at_its_limit() {
    let tiny = Tiny::new(vec![], 199);
    let good = tiny.sums(&[&(100..200).map(|day| (0, day, 80, 40)).collect::<Vec<Record>>()], ids(4));
    let rolling = tiny.model.mechanisms.iter().position(|mechanism| mechanism.clock_exponent == 0.5).unwrap();
    let mechanisms = tiny.model.mechanisms.len();
    let slots = tiny.plan.of(0);
    let one_life = 1u64 << 48;
    let read = |clocks_q48: [u64; 2], records: u32| {
        let mut sums = good.clone();
        let counted = slots.clone().filter(|&slot| sums.tally.slots[slot].records > 0).collect::<Vec<_>>();
        assert_eq!(counted.len(), 2, "before the recent window, and in it");
        for (&slot, clock_q48) in counted.iter().zip(clocks_q48) {
            sums.damage.clocks_q48[slot * mechanisms + rolling] = clock_q48;
            sums.tally.slots[slot].records = records;
        }
        let scorer = Scorer::new(tiny.fleet(&sums), &tiny.vehicles, &tiny.parts, &tiny.starts);
        let rows = ScoreRows::new(&scorer, "bus", vec![]);
        let batch = rows.batch(rows.rows() - 1..rows.rows()).unwrap();
        let clocks = batch.column_by_name("clocks").unwrap().as_list::<i32>().value(0);
        let flags = batch.column_by_name("flags").unwrap().as_string::<i32>().value(0).to_owned();
        let damage = batch.column_by_name("damage").unwrap().as_primitive::<Float64Type>().value(0);
        (clocks.as_struct().column(1).as_primitive::<Int64Type>().value(0), damage, flags.contains("clock_at_limit"))
    };
    let most = i64::MAX as u64;
    assert_eq!(read([most - 5, 5], 100), (i64::MAX, 32_768f64.sqrt(), false));
    assert_eq!(read([most - 5, 6], 100), (i64::MAX, 32_768f64.sqrt(), true));
    assert_eq!(read([1 << 63, 0], 40_000), (i64::MAX, 32_768f64.sqrt(), true));
    assert_eq!(read([u64::MAX, u64::MAX], 40_000), (i64::MAX, 32_768f64.sqrt(), true));
    // So many records as 64 bits surely hold, and one more.
    let greatest_q48 = tiny.model.tables.greatest_increments_q48();
    let fastest = tiny.sums(&[&[(0, 199, 400, 99)]], ids(4));
    let clock = |mechanism| tiny.fleet(&fastest).clock_q48(slots.clone(), mechanism);
    assert_eq!(clock(rolling), greatest_q48[rolling]);
    let surely = (u64::MAX / greatest_q48[rolling]) as u32;
    assert_eq!(read([one_life, one_life], surely), (2 * one_life as i64, 2f64.sqrt(), false));
    assert_eq!(read([one_life, one_life], surely + 1), (2 * one_life as i64, 2f64.sqrt(), true));
    assert_eq!(read([one_life, one_life], u32::MAX), (2 * one_life as i64, 2f64.sqrt(), true));
}
