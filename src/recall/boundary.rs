//! Where a defect begins and ends: the lot, plant or stretch of build dates that holds more of the marked vehicles than is
//! to be expected there.
//!
//! What is to be expected of a vehicle follows the fleet's own rate of first marks by month in service ([`super::exposure`]),
//! in its stratum (vehicle model and climate zone; without the attribute that is looked at): a lot that is older, or that
//! drives in the cold, holds more marks and is not to blame for it.
//!
//! Candidates are every value of every attribute, and every stretch of neighbouring weeks of build. Given all N marks, a
//! candidate of no interest that expects e of them holds a binomial number of N with chance e/N, or one of less spread
//! (Hoeffding, Annals of Mathematical Statistics 27 (1956), 713–721), so that p, its upper tail, is rather too large. It is
//! multiplied by the number of candidates that its dimension has, and over all dimensions of all defects corrected by Holm
//! (1979): however much is looked at, one run in twenty at most shows a p below 0.05 where nothing is to be found.
//!
//! Units: days of the dataset's axis; months in service are twelfths of a mean Gregorian year.

use std::collections::BTreeMap;

use serde::Serialize;

use super::exposure::{AtRisk, expected};
use crate::fleet::vehicles::{Attribute, Vehicles, day_of};

/// Candidates of fewer vehicles say nothing.
const FEWEST_VEHICLES: u64 = 5;
/// Stretches of build dates begin and end on borders of at most so many equal lengths.
const MOST_BINS: i32 = 120;
const DAYS_PER_WEEK: i32 = 7;
/// An attribute with more values than a fifth of the vehicles is more likely an id.
const VEHICLES_PER_VALUE: usize = 5;
/// The most striking of a dimension that are told.
const TOLD: usize = 20;
/// Name of the stretches.
pub const BUILD_DATE: &str = "build_date";

/// A lot, a plant, a stretch of build dates.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Boundary {
    /// What the marked vehicles show.
    pub defect: String,
    /// Attribute, or `build_date`.
    pub attribute: String,
    /// Its value; of build dates both days, once [`super::fleet_report`] has them as text.
    pub value: Option<String>,
    pub from_day: Option<i32>,
    pub to_day: Option<i32>,
    /// At risk of the mark at some time.
    pub vehicles: u64,
    pub marked: u64,
    /// By the fleet's rates in the same strata and months in service.
    pub expected: f64,
    /// Marked against expected, inside over outside; `None`: none outside.
    pub ratio: Option<f64>,
    /// Uncorrected; the p itself may be smaller than any float.
    pub log10_p: f64,
    /// Corrected for all candidates of all dimensions and defects.
    pub p: f64,
}

/// What was looked at of one defect along one attribute, or along the build dates.
#[derive(Clone, Debug, PartialEq)]
pub struct Dimension {
    pub candidates: u64,
    /// Most striking first.
    pub found: Vec<Boundary>,
}

/// Whose boundaries are looked for, and how long each was watched.
#[derive(Clone, Debug)]
pub struct Scan<'a> {
    pub vehicles: &'a Vehicles,
    pub as_of_day: i32,
    /// Attributes within whose values alone vehicles are compared.
    pub strata: Vec<&'a Attribute>,
}

/// One way to divide the vehicles at risk.
struct Axis<'a> {
    attribute: String,
    values: Option<&'a [String]>,
    /// First and last day of each bin, of build dates.
    bins: Vec<(i32, i32)>,
    /// By vehicle at risk; at or beyond `cells`: of none.
    cell: Vec<u32>,
    cells: usize,
}

/// Of a cell, or of cells together.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    vehicles: u64,
    marked: u64,
    expected: f64,
}

/// The most striking boundaries of all that was looked at, most striking first, their p corrected.
pub fn adjusted(mut dimensions: Vec<Dimension>) -> Vec<Boundary> {
    let ln_10 = std::f64::consts::LN_10;
    // The smallest p of a dimension, corrected within it.
    let log10_best = |one: &Dimension| {
        one.found.first().map_or(0.0, |best| (best.log10_p + libm::log10(one.candidates as f64)).min(0.0))
    };
    dimensions.sort_by(|a, b| log10_best(a).total_cmp(&log10_best(b)));
    let looks = dimensions.len();
    let (mut found, mut reached) = (Vec::new(), 0.0_f64);
    for (rank, dimension) in dimensions.into_iter().enumerate() {
        let factor = (looks - rank) as f64 * dimension.candidates as f64;
        let corrected = |one: &Boundary| (factor * libm::exp(ln_10 * one.log10_p)).min(1.0);
        let before = reached;
        reached = dimension.found.first().map_or(before, |best| corrected(best).max(before));
        found.extend(dimension.found.into_iter().map(|one| Boundary { p: corrected(&one).max(before), ..one }));
    }
    found.sort_by(|a, b| {
        let names = |one: &Boundary| (one.defect.clone(), one.attribute.clone(), one.value.clone(), one.from_day);
        a.log10_p.total_cmp(&b.log10_p).then_with(|| names(a).cmp(&names(b)))
    });
    found
}

impl Scan<'_> {
    /// Every attribute and the build dates, for the vehicles' first marks by vehicle.
    pub fn dimensions(&self, defect: &str, marks: &BTreeMap<u32, i32>) -> Vec<Dimension> {
        let Some(&first) = marks.values().min() else { return Vec::new() };
        let at_risk = self.at_risk(first, marks);
        let all = at_risk.iter().filter(|one| one.marked).count() as u64;
        if all == 0 {
            return Vec::new();
        }
        let expected = expected(&at_risk, &self.strata_without(None, &at_risk));
        let axes = self.axes(&at_risk).into_iter();
        axes.map(|axis| {
            let own = self.strata.iter().any(|stratum| stratum.name == axis.attribute);
            let without = || expected_without(self, &axis.attribute, &at_risk);
            match own {
                true => axis.dimension(defect, &at_risk, &without(), all),
                false => axis.dimension(defect, &at_risk, &expected, all),
            }
        })
        .filter(|dimension| dimension.candidates > 0)
        .collect()
    }

    fn at_risk(&self, first_mark: i32, marks: &BTreeMap<u32, i32>) -> Vec<AtRisk> {
        let one = |vehicle: u32| {
            let begin = self.vehicles.in_service_day(vehicle as usize).unwrap_or(first_mark);
            let mark = marks.get(&vehicle).copied();
            let end =
                day_of(&self.vehicles.end_day, vehicle as usize).map_or(self.as_of_day, |end| end.min(self.as_of_day));
            let from = begin.max(first_mark);
            // A mark before the sale counts as one on its first day.
            let to = mark.map_or(end, |mark| mark.max(from));
            let age = |day: i32| day.saturating_sub(begin);
            (begin <= self.as_of_day && from <= to).then(|| AtRisk {
                vehicle,
                from: age(from),
                to: age(to),
                marked: mark.is_some(),
            })
        };
        (0..self.vehicles.known as u32).filter_map(one).collect()
    }

    /// A number of each vehicle's stratum; vehicles of which it is not known since when they serve are their own.
    fn strata_without(&self, left_out: Option<&str>, at_risk: &[AtRisk]) -> Vec<usize> {
        let mut numbers: BTreeMap<Vec<u32>, usize> = BTreeMap::new();
        let key = |one: &AtRisk| -> Vec<u32> {
            let held = self.strata.iter().filter(|stratum| left_out != Some(stratum.name.as_str()));
            let is_dated = self.vehicles.in_service_day(one.vehicle as usize).is_some();
            held.map(|stratum| code(stratum, one.vehicle)).chain([u32::from(is_dated)]).collect()
        };
        at_risk
            .iter()
            .map(|one| {
                let next = numbers.len();
                *numbers.entry(key(one)).or_insert(next)
            })
            .collect()
    }

    fn axes(&self, at_risk: &[AtRisk]) -> Vec<Axis<'_>> {
        let mut axes = Vec::new();
        for attribute in &self.vehicles.attributes {
            if attribute.values.len() * VEHICLES_PER_VALUE > at_risk.len().max(VEHICLES_PER_VALUE * 2) {
                continue;
            }
            axes.push(Axis {
                attribute: attribute.name.clone(),
                values: Some(&attribute.values),
                bins: Vec::new(),
                cell: at_risk.iter().map(|one| code(attribute, one.vehicle)).collect(),
                cells: attribute.values.len(),
            });
        }
        let built = |one: &AtRisk| day_of(&self.vehicles.build_day, one.vehicle as usize);
        let days = || at_risk.iter().filter_map(built);
        if let (Some(first), Some(last)) = (days().min(), days().max()) {
            let span = last.saturating_sub(first).saturating_add(1);
            // Whole weeks, as many as keep the stretches few.
            let length = DAYS_PER_WEEK * (span / (DAYS_PER_WEEK * MOST_BINS) + 1);
            let bins = (span - 1) / length + 1;
            axes.push(Axis {
                attribute: BUILD_DATE.to_owned(),
                values: None,
                bins: (0..bins)
                    .map(|bin| (first + bin * length, first.saturating_add((bin + 1) * length - 1).min(last)))
                    .collect(),
                cell: at_risk
                    .iter()
                    .map(|one| built(one).map_or(u32::MAX, |day| ((day - first) / length) as u32))
                    .collect(),
                cells: bins as usize,
            });
        }
        axes
    }
}

fn code(attribute: &Attribute, vehicle: u32) -> u32 {
    attribute.code.get(vehicle as usize).copied().unwrap_or(u32::MAX)
}

fn expected_without(scan: &Scan, attribute: &str, at_risk: &[AtRisk]) -> Vec<f64> {
    expected(at_risk, &scan.strata_without(Some(attribute), at_risk))
}

impl Axis<'_> {
    fn dimension(&self, defect: &str, at_risk: &[AtRisk], expected: &[f64], all: u64) -> Dimension {
        let mut tallies = vec![Tally::default(); self.cells];
        for ((one, &expected), &cell) in at_risk.iter().zip(expected).zip(&self.cell) {
            if let Some(tally) = tallies.get_mut(cell as usize) {
                tally.add(&Tally { vehicles: 1, marked: u64::from(one.marked), expected });
            }
        }
        let (mut candidates, mut found) = (0, Vec::new());
        for first in 0..self.cells {
            let last = if self.bins.is_empty() { first } else { self.cells - 1 };
            let mut inside = Tally::default();
            for (end, tally) in tallies.iter().enumerate().take(last + 1).skip(first) {
                inside.add(tally);
                if inside.vehicles < FEWEST_VEHICLES || inside.vehicles == at_risk.len() as u64 {
                    continue;
                }
                candidates += 1;
                if inside.marked as f64 > inside.expected {
                    found.push(self.boundary(defect, (first, end), &inside, all));
                }
            }
        }
        found.sort_by(|a: &Boundary, b| {
            a.log10_p
                .total_cmp(&b.log10_p)
                .then_with(|| (&a.value, a.from_day, a.to_day).cmp(&(&b.value, b.from_day, b.to_day)))
        });
        keep_apart(&mut found);
        found.truncate(TOLD);
        Dimension { candidates, found }
    }

    fn boundary(&self, defect: &str, (first, last): (usize, usize), inside: &Tally, all: u64) -> Boundary {
        let (marked_outside, expected_outside) = (all - inside.marked, all as f64 - inside.expected);
        let own = inside.marked as f64 / inside.expected;
        Boundary {
            defect: defect.to_owned(),
            attribute: self.attribute.clone(),
            value: self.values.map(|values| values[first].clone()),
            from_day: self.bins.get(first).map(|bin| bin.0),
            to_day: self.bins.get(last).map(|bin| bin.1),
            vehicles: inside.vehicles,
            marked: inside.marked,
            expected: inside.expected,
            ratio: (marked_outside > 0).then(|| own * expected_outside / marked_outside as f64),
            log10_p: ln_upper_tail(all, inside.expected / all as f64, inside.marked) / std::f64::consts::LN_10,
            p: 1.0,
        }
    }
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.vehicles += other.vehicles;
        self.marked += other.marked;
        self.expected += other.expected;
    }
}

/// Of stretches of build dates that lie within each other, the most striking one; the list is sorted.
fn keep_apart(found: &mut Vec<Boundary>) {
    let mut stretches: Vec<(i32, i32)> = Vec::new();
    found.retain(|one| {
        let Some(own) = one.from_day.zip(one.to_day) else { return true };
        let apart = stretches.iter().all(|held| own.1 < held.0 || held.1 < own.0);
        if apart {
            stretches.push(own);
        }
        apart
    });
}

/// ln P(X ≥ k) of n trials with chance p, k above np: summed upwards, where terms only shrink.
fn ln_upper_tail(n: u64, p: f64, k: u64) -> f64 {
    if p >= 1.0 || k == 0 {
        return 0.0;
    }
    let ln_choose = libm::lgamma(n as f64 + 1.0) - libm::lgamma(k as f64 + 1.0) - libm::lgamma((n - k) as f64 + 1.0);
    let ln_first = ln_choose + k as f64 * libm::log(p) + (n - k) as f64 * libm::log1p(-p);
    let odds = p / (1.0 - p);
    let (mut sum, mut term) = (0.0, 1.0);
    for x in k..=n {
        sum += term;
        term *= (n - x) as f64 / (x + 1) as f64 * odds;
        if term < 1e-18 * sum {
            break;
        }
    }
    (ln_first + libm::log(sum)).min(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixed::threefry::threefry2x32;

    const AS_OF: i32 = 19_600;

    /// 2,000 vehicles built over 400 days, 10 lots in turn, 4 plants, 2 zones; a vehicle marked by a rule of (index, lot, day
    /// of build) with a chance a day: its first mark, if it comes.
    fn fleet(chance_per_day: impl Fn(u32, u32, i32) -> f64, key: u32) -> (Vehicles, BTreeMap<u32, i32>) {
        let day = |one: u32| (one / 5) as i32 + 19_000;
        let attribute = |name: &str, values: u32, of: &dyn Fn(u32) -> u32| Attribute {
            name: name.to_owned(),
            values: (0..values).map(|value| format!("{name}{value}")).collect(),
            code: (0..2_000).map(of).collect(),
        };
        let vehicles = Vehicles {
            known: 2_000,
            attributes: vec![
                attribute("lot", 10, &|one| one % 10),
                attribute("plant", 4, &|one| one / 7 % 4),
                attribute("zone", 2, &|one| one / 3 % 2),
            ],
            build_day: (0..2_000).map(|one| Some(day(one))).collect(),
            ..Vehicles::default()
        };
        let marks = (0..2_000).filter_map(|one| {
            let lives = -libm::log(noise(one, key)) / chance_per_day(one, one % 10, day(one) - 19_000);
            (lives < f64::from(AS_OF - day(one))).then(|| (one, day(one) + lives as i32))
        });
        (vehicles.clone(), marks.collect())
    }

    fn noise(one: u32, key: u32) -> f64 {
        (f64::from(threefry2x32([key, 77], [one, 0])[0]) + 0.5) / 4_294_967_296.0
    }

    fn scanned(vehicles: &Vehicles, marks: &BTreeMap<u32, i32>, strata: &[&str]) -> Vec<Boundary> {
        let strata = vehicles.attributes.iter().filter(|one| strata.contains(&one.name.as_str())).collect();
        adjusted(Scan { vehicles, as_of_day: AS_OF, strata }.dimensions("d", marks))
    }

    #[test]
    fn a_bad_lot_is_named() {
        let (vehicles, marks) = fleet(|_, lot, _| if lot == 3 { 9e-4 } else { 6e-5 }, 1);
        let found = scanned(&vehicles, &marks, &[]);
        let first = &found[0];
        assert_eq!((first.attribute.as_str(), first.value.as_deref()), ("lot", Some("lot3")));
        assert!(first.p < 1e-9 && first.vehicles == 200 && first.ratio.unwrap() > 8.0, "{first:?}");
        // Lots are alike in age: each expects about a tenth of the marks, the worst one less as its vehicles leave the risk.
        let share = first.expected / marks.len() as f64;
        assert!((0.08..0.105).contains(&share), "{share}");
        assert!(found.iter().skip(1).all(|one| one.p > 0.01), "{found:?}");
    }

    #[test]
    fn change_points_in_build_date_are_found() {
        let (vehicles, marks) = fleet(|_, _, day| if (140..210).contains(&day) { 1e-3 } else { 5e-5 }, 2);
        let found = scanned(&vehicles, &marks, &[]);
        assert!(found[0].attribute == BUILD_DATE && found[0].p < 1e-9, "{:?}", found[0]);
        let (from, to) = (found[0].from_day.unwrap() - 19_000, found[0].to_day.unwrap() - 19_000);
        assert!((126..=154).contains(&from) && (195..=223).contains(&to), "{from} {to}");
        assert!(found.iter().skip(1).all(|one| one.attribute != BUILD_DATE
            || one.to_day < Some(19_000 + from)
            || one.from_day > Some(19_000 + to)));
    }

    /// Older vehicles hold more marks and a cold zone holds more: neither is a boundary once both are allowed for, and the
    /// lots of that zone alone are not either.
    #[test]
    fn age_and_strata_are_no_defects() {
        let zone = |one: u32| one / 3 % 2;
        let (mut vehicles, marks) = fleet(|one, _, _| if zone(one) == 1 { 9e-4 } else { 1e-4 }, 4);
        // Lots of the cold zone only.
        vehicles.attributes[0].code =
            (0..2_000).map(|one| if zone(one) == 1 { one % 5 } else { 5 + one % 5 }).collect();
        let plain = scanned(&vehicles, &marks, &[]);
        assert!(
            plain.iter().any(|one| one.attribute == "lot" && one.p < 0.01),
            "unstratified, a lot is blamed: {plain:?}"
        );
        let held = scanned(&vehicles, &marks, &["zone"]);
        assert!(held.iter().all(|one| one.attribute == "zone" || one.p > 0.05), "{held:?}");
        let zones = held.iter().find(|one| one.attribute == "zone").unwrap();
        assert!(zones.value.as_deref() == Some("zone1") && zones.p < 1e-6, "by itself the zone is told: {zones:?}");
        assert!(held.iter().all(|one| one.attribute != BUILD_DATE || one.p > 0.05), "the old ones: {held:?}");
    }

    /// Of 200 fleets in which nothing is to be found, at most one in twenty shows a p below 0.05, over two defects; without
    /// the correction hardly any has none.
    #[test]
    fn nothing_is_found_where_nothing_is() {
        let (mut striking, mut uncorrected) = (0, 0);
        for key in 0..200 {
            let mut dimensions = Vec::new();
            for defect in 0..2 {
                let (vehicles, marks) = fleet(|_, _, _| 2e-4, 100 + 2 * key + defect);
                let strata = vec![&vehicles.attributes[2]];
                dimensions.extend(Scan { vehicles: &vehicles, as_of_day: AS_OF, strata }.dimensions("d", &marks));
            }
            let found = adjusted(dimensions);
            striking += u32::from(found.iter().any(|one| one.p < 0.05));
            uncorrected += u32::from(found[0].log10_p < -1.301);
        }
        // 99.9 % of a binomial law of 200 and 0.05 lie at 20 or below.
        assert!(striking <= 20 && uncorrected > 150, "{striking} {uncorrected}");
    }

    #[test]
    fn nobody_has_no_boundary_and_tails_are_those_of_counting() {
        let (vehicles, _) = fleet(|_, _, _| 1e-9, 3);
        assert!(scanned(&vehicles, &BTreeMap::new(), &[]).is_empty());
        // By counting: 3 of 4 fair coins or more; and one p far below every float.
        assert!((libm::exp(ln_upper_tail(4, 0.5, 3)) - 5.0 / 16.0).abs() < 1e-14);
        assert!((libm::exp(ln_upper_tail(10, 0.1, 4)) - 0.012_795_2).abs() < 1e-7);
        let far = ln_upper_tail(2_000, 0.05, 1_247);
        assert!(far < -2_000.0 && far.is_finite(), "{far}");
        let (vehicles, marks) = fleet(|_, lot, _| if lot == 1 { 1e-3 } else { 1e-12 }, 5);
        assert_eq!(scanned(&vehicles, &marks, &[])[0].ratio, None, "none outside");
    }

    /// Holm over dimensions: the best of five is multiplied by five, the next by four, and none is below one before it.
    #[test]
    fn corrections_step_down() {
        let boundary = |attribute: &str, log10_p: f64| Boundary {
            defect: "d".into(),
            attribute: attribute.into(),
            value: None,
            from_day: None,
            to_day: None,
            vehicles: 9,
            marked: 5,
            expected: 1.0,
            ratio: None,
            log10_p,
            p: 1.0,
        };
        let one = |attribute: &str, candidates, log10_p: &[f64]| Dimension {
            candidates,
            found: log10_p.iter().map(|&p| boundary(attribute, p)).collect(),
        };
        let found = adjusted(vec![one("b", 10, &[-4.0, -2.0]), one("a", 2, &[-6.0]), one("c", 1, &[-3.1])]);
        // By rising p within their dimension: a 2e-6, c 7.9e-4, b 1e-3. The last may not fall below c.
        let of_c = 2.0 * libm::pow(10.0, -3.1);
        let told: Vec<(&str, f64)> = found.iter().map(|one| (one.attribute.as_str(), one.p)).collect();
        for (told, wanted) in told.iter().zip([("a", 3.0 * 2e-6), ("b", of_c), ("c", of_c), ("b", 0.1)]) {
            assert!(told.0 == wanted.0 && (told.1 / wanted.1 - 1.0).abs() < 1e-9, "{told:?} {wanted:?}");
        }
    }
}
