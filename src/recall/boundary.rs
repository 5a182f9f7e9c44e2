//! Where a defect begins and ends: the lot, plant or stretch of build dates that holds more of the marked vehicles than
//! its share.
//!
//! Candidates are every value of every attribute and every stretch of neighbouring build dates; each has the log-likelihood
//! ratio of one chance inside and a smaller one outside against one chance for all (Bernoulli scan statistic, Kulldorff,
//! Communications in Statistics 26 (1997), 1481–1496). p is that of the largest ratio anywhere: the marks are dealt out
//! anew many times over all vehicles, and p is the share of deals whose largest ratio, of all candidates, is as large. So
//! however many are looked at, one deal in twenty shows one with p below 0.05 where nothing is to be found.

use rayon::prelude::*;
use serde::Serialize;

use super::draws::{Draws, Purpose};
use crate::fleet::vehicles::{Vehicles, day_of};

/// Deals: p is at least one in a thousand.
pub const DEALS: usize = 999;
/// Candidates of fewer vehicles say nothing.
const FEWEST_VEHICLES: u64 = 5;
/// Stretches of build dates begin and end on borders of at most so many equal lengths.
const MOST_BINS: i32 = 120;
const DAYS_PER_WEEK: i32 = 7;
/// An attribute with more values than a fifth of the vehicles is more likely an id.
const VEHICLES_PER_VALUE: usize = 5;
/// The most striking that are told.
const TOLD: usize = 20;
/// Name of the stretches.
pub const BUILD_DATE: &str = "build_date";

/// A lot, a plant, a stretch of build dates.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Boundary {
    /// Attribute, or `build_date`.
    pub attribute: String,
    /// Its value; of build dates: the first and the last day, on the dataset's axis.
    pub value: Option<String>,
    pub from_day: Option<i32>,
    pub to_day: Option<i32>,
    pub vehicles: u64,
    pub marked: u64,
    /// By its share of the vehicles.
    pub expected: f64,
    /// Share marked inside over outside; `None`: none outside.
    pub ratio: Option<f64>,
    pub log_likelihood_ratio: f64,
    /// Corrected for all candidates.
    pub p: f64,
}

/// One way to divide the vehicles.
struct Axis<'a> {
    attribute: String,
    values: Option<&'a [String]>,
    /// First day of each bin, of build dates.
    bins: Vec<(i32, i32)>,
    /// By vehicle; at or beyond `cells`: of none.
    cell: Vec<u32>,
    cells: usize,
    vehicles: Vec<u64>,
}

/// The most striking boundaries of the marked vehicles, most striking first.
pub fn scan(vehicles: &Vehicles, in_service: &[bool], marked: &[bool], seed: u64) -> Vec<Boundary> {
    let members: Vec<u32> = (0..vehicles.known as u32).filter(|&one| in_service[one as usize]).collect();
    let marks: Vec<u32> = (0..members.len() as u32).filter(|&place| marked[members[place as usize] as usize]).collect();
    let (all, all_marked) = (members.len() as u64, marks.len() as u64);
    if all_marked == 0 || all_marked == all {
        return Vec::new();
    }
    let axes = axes(vehicles, &members);
    let ratios = Ratios::new(all, all_marked);
    let mut found: Vec<Boundary> =
        axes.iter().flat_map(|axis| axis.boundaries(&ratios, &axis.counts(&marks))).collect();
    found.sort_by(|a, b| {
        b.log_likelihood_ratio.total_cmp(&a.log_likelihood_ratio).then_with(|| {
            (&a.attribute, &a.value, a.from_day, a.to_day).cmp(&(&b.attribute, &b.value, b.from_day, b.to_day))
        })
    });
    keep_apart(&mut found);
    found.truncate(TOLD);
    let largest: Vec<f64> = (0..DEALS)
        .into_par_iter()
        .map_init(
            || (0..members.len() as u32).collect::<Vec<u32>>(),
            |places, deal| {
                let dealt = deal_out(places, marks.len(), &mut Draws::new(seed, Purpose::Deal, deal as u32));
                axes.iter().map(|axis| axis.largest(&ratios, &axis.counts(&dealt))).fold(0.0, f64::max)
            },
        )
        .collect();
    for one in &mut found {
        // Equal ratios may differ by rounding.
        let as_large = largest.iter().filter(|&&other| other >= one.log_likelihood_ratio - 1e-9).count();
        one.p = (1 + as_large) as f64 / (1 + DEALS) as f64;
    }
    found
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

/// So many of the places, without repeats; the places are left as they were.
fn deal_out(places: &mut [u32], count: usize, draws: &mut Draws) -> Vec<u32> {
    let mut swaps = Vec::with_capacity(count);
    for at in 0..count {
        let other = at + (draws.uniform() * (places.len() - at) as f64) as usize;
        places.swap(at, other);
        swaps.push(other);
    }
    let dealt = places[..count].to_vec();
    for (at, other) in swaps.into_iter().enumerate().rev() {
        places.swap(at, other);
    }
    dealt
}

fn axes<'a>(vehicles: &'a Vehicles, members: &[u32]) -> Vec<Axis<'a>> {
    let mut axes = Vec::new();
    for attribute in &vehicles.attributes {
        if attribute.values.len() * VEHICLES_PER_VALUE > members.len().max(VEHICLES_PER_VALUE * 2) {
            continue;
        }
        let cell: Vec<u32> =
            members.iter().map(|&one| attribute.code.get(one as usize).copied().unwrap_or(u32::MAX)).collect();
        axes.push(Axis::new(attribute.name.clone(), Some(&attribute.values), Vec::new(), cell, attribute.values.len()));
    }
    let days: Vec<Option<i32>> = members.iter().map(|&one| day_of(&vehicles.build_day, one as usize)).collect();
    let (first, last) = (days.iter().flatten().min(), days.iter().flatten().max());
    if let (Some(&first), Some(&last)) = (first, last) {
        let span = last.saturating_sub(first).saturating_add(1);
        // Whole weeks, as many as keep the stretches few.
        let length = DAYS_PER_WEEK * (span / (DAYS_PER_WEEK * MOST_BINS) + 1);
        let bins = (span - 1) / length + 1;
        let cell = days.iter().map(|day| day.map_or(u32::MAX, |day| ((day - first) / length) as u32)).collect();
        let borders = (0..bins).map(|bin| (first + bin * length, (first + (bin + 1) * length - 1).min(last))).collect();
        axes.push(Axis::new(BUILD_DATE.to_owned(), None, borders, cell, bins as usize));
    }
    axes
}

impl<'a> Axis<'a> {
    fn new(
        attribute: String,
        values: Option<&'a [String]>,
        bins: Vec<(i32, i32)>,
        cell: Vec<u32>,
        cells: usize,
    ) -> Self {
        let mut vehicles = vec![0; cells];
        for &cell in &cell {
            if let Some(count) = vehicles.get_mut(cell as usize) {
                *count += 1;
            }
        }
        Self { attribute, values, bins, cell, cells, vehicles }
    }

    fn counts(&self, marks: &[u32]) -> Vec<u64> {
        let mut counts = vec![0; self.cells];
        for &place in marks {
            if let Some(count) = counts.get_mut(self.cell[place as usize] as usize) {
                *count += 1;
            }
        }
        counts
    }

    /// Every candidate: its first and last cell, its vehicles and its marks.
    fn candidates<'s>(&'s self, marks: &'s [u64]) -> impl Iterator<Item = (usize, usize, u64, u64)> + 's {
        (0..self.cells).flat_map(move |first| {
            let last = if self.bins.is_empty() { first } else { self.cells - 1 };
            let (mut vehicles, mut marked) = (0, 0);
            (first..=last).map(move |end| {
                vehicles += self.vehicles[end];
                marked += marks[end];
                (first, end, vehicles, marked)
            })
        })
    }

    fn largest(&self, ratios: &Ratios, marks: &[u64]) -> f64 {
        self.candidates(marks).map(|(_, _, vehicles, marked)| ratios.of(vehicles, marked)).fold(0.0, f64::max)
    }

    fn boundaries(&self, ratios: &Ratios, marks: &[u64]) -> Vec<Boundary> {
        let striking = self.candidates(marks).filter(|&(_, _, vehicles, marked)| ratios.of(vehicles, marked) > 0.0);
        striking
            .map(|(first, last, vehicles, marked)| {
                let (outside, marked_outside) = (ratios.all - vehicles, ratios.marked - marked);
                let share_outside = marked_outside as f64 / outside as f64;
                Boundary {
                    attribute: self.attribute.clone(),
                    value: self.values.map(|values| values[first].clone()),
                    from_day: self.bins.get(first).map(|bin| bin.0),
                    to_day: self.bins.get(last).map(|bin| bin.1),
                    vehicles,
                    marked,
                    expected: ratios.marked as f64 * vehicles as f64 / ratios.all as f64,
                    ratio: (marked_outside > 0).then(|| marked as f64 / vehicles as f64 / share_outside),
                    log_likelihood_ratio: ratios.of(vehicles, marked),
                    p: 1.0,
                }
            })
            .collect()
    }
}

/// Log-likelihood ratios from a table of x ln x.
struct Ratios {
    all: u64,
    marked: u64,
    x_ln_x: Vec<f64>,
    of_all: f64,
}

impl Ratios {
    fn new(all: u64, marked: u64) -> Self {
        let x_ln_x: Vec<f64> = (0..=all).map(|x| if x == 0 { 0.0 } else { x as f64 * libm::log(x as f64) }).collect();
        let of_all = x_ln_x[marked as usize] + x_ln_x[(all - marked) as usize] - x_ln_x[all as usize];
        Self { all, marked, x_ln_x, of_all }
    }

    /// 0 for a candidate that is too small, is everybody, or holds no more than its share.
    fn of(&self, vehicles: u64, marked: u64) -> f64 {
        let (outside, marked_outside) = (self.all - vehicles, self.marked - marked);
        if vehicles < FEWEST_VEHICLES || outside == 0 || marked * self.all <= self.marked * vehicles {
            return 0.0;
        }
        let bernoulli = |all: u64, marked: u64| {
            self.x_ln_x[marked as usize] + self.x_ln_x[(all - marked) as usize] - self.x_ln_x[all as usize]
        };
        bernoulli(vehicles, marked) + bernoulli(outside, marked_outside) - self.of_all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixed::threefry::threefry2x32;
    use crate::fleet::vehicles::Attribute;

    /// 2,000 vehicles over 400 days, 10 lots in turn, 4 plants; marks by a rule of (index, lot, day).
    fn fleet(rule: impl Fn(u32, u32, i32) -> bool) -> (Vehicles, Vec<bool>) {
        let day = |one: u32| (one / 5) as i32 + 19_000;
        let attribute = |name: &str, values: u32, of: &dyn Fn(u32) -> u32| Attribute {
            name: name.to_owned(),
            values: (0..values).map(|value| format!("{name}{value}")).collect(),
            code: (0..2_000).map(of).collect(),
        };
        let vehicles = Vehicles {
            known: 2_000,
            attributes: vec![attribute("lot", 10, &|one| one % 10), attribute("plant", 4, &|one| one / 7 % 4)],
            build_day: (0..2_000).map(|one| Some(day(one))).collect(),
            ..Vehicles::default()
        };
        let marked = (0..2_000).map(|one| rule(one, one % 10, day(one) - 19_000)).collect();
        (vehicles, marked)
    }

    fn noise(one: u32, key: u32) -> f64 {
        f64::from(threefry2x32([key, 77], [one, 0])[0]) / 4_294_967_296.0
    }

    #[test]
    fn a_bad_lot_is_named() {
        let (vehicles, marked) = fleet(|one, lot, _| noise(one, 1) < if lot == 3 { 0.3 } else { 0.02 });
        let found = scan(&vehicles, &[true; 2_000], &marked, 1);
        assert_eq!((found[0].attribute.as_str(), found[0].value.as_deref()), ("lot", Some("lot3")));
        assert_eq!((found[0].p, found[0].vehicles), (0.001, 200));
        // By hand: the ratio of shares, and the log-likelihoods of three Bernoulli laws.
        let (inside, outside) =
            (found[0].marked as f64, marked.iter().filter(|&&one| one).count() as f64 - found[0].marked as f64);
        assert!((found[0].ratio.unwrap() - (inside / 200.0) / (outside / 1_800.0)).abs() < 1e-12);
        let ln =
            |marked: f64, all: f64| marked * libm::log(marked / all) + (all - marked) * libm::log(1.0 - marked / all);
        let wanted = ln(inside, 200.0) + ln(outside, 1_800.0) - ln(inside + outside, 2_000.0);
        assert!((found[0].log_likelihood_ratio - wanted).abs() < 1e-8);
        assert!(found.iter().all(|one| one.value.as_deref() == Some("lot3") || one.p > 0.01), "{found:?}");
    }

    #[test]
    fn change_points_in_build_date_are_found() {
        let (vehicles, marked) =
            fleet(|one, _, day| noise(one, 2) < if (140..210).contains(&day) { 0.25 } else { 0.02 });
        let found = scan(&vehicles, &[true; 2_000], &marked, 1);
        assert_eq!((found[0].attribute.as_str(), found[0].p), (BUILD_DATE, 0.001));
        let (from, to) = (found[0].from_day.unwrap() - 19_000, found[0].to_day.unwrap() - 19_000);
        assert!((133..=147).contains(&from) && (202..=216).contains(&to), "{from} {to}");
        assert!(found.iter().skip(1).all(|one| one.attribute != BUILD_DATE
            || one.to_day < Some(19_000 + from)
            || one.from_day > Some(19_000 + to)));
    }

    /// Of 60 fleets in which nothing is to be found about 3 have a p below 0.05 somewhere; without the correction, hardly
    /// any has none.
    #[test]
    fn nothing_is_found_where_nothing_is() {
        let mut striking = 0;
        for key in 0..60 {
            let (vehicles, marked) = fleet(|one, _, _| noise(one, 100 + key) < 0.04);
            let found = scan(&vehicles, &[true; 2_000], &marked, u64::from(key));
            striking += u32::from(found.first().is_some_and(|one| one.p < 0.05));
            assert!(found[0].log_likelihood_ratio > 1.92, "by chi-square alone, p < 0.05");
        }
        // 99.9 % of a binomial law of 60 and 0.05 lie at 9 or below.
        assert!(striking <= 9, "{striking}");
    }

    #[test]
    fn nobody_or_everybody_has_no_boundary() {
        for share in [0.0, 1.0] {
            let (vehicles, marked) = fleet(|one, _, _| noise(one, 3) < share);
            assert!(scan(&vehicles, &[true; 2_000], &marked, 1).is_empty());
        }
        let (vehicles, marked) = fleet(|_, lot, _| lot == 1);
        assert_eq!(scan(&vehicles, &[true; 2_000], &marked, 1)[0].ratio, None, "none outside");
    }
}
