//! The cohort scan: which lot, plant or build window holds more alarms than its share.
//!
//! Key idea: given how many of the watched vehicles alarmed, a cohort that has nothing to do with it holds a
//! hypergeometric number of them (Fisher's exact test, one-sided). Its tail is summed exactly in logarithms, since the
//! p of a bad lot is smaller than any float. All cohorts of all monitors looked at count: p is corrected by Holm
//! (1979), step-down, which holds whatever the cohorts' overlap.

/// Smaller cohorts say nothing and only dilute the correction.
pub const LEAST_VEHICLES: u64 = 5;
/// Name of the correction.
pub const ADJUSTMENT: &str = "holm";

/// Vehicles that share a value.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    pub attribute: String,
    pub value: String,
    pub vehicles: Vec<u32>,
}

/// What a monitor found in a group.
#[derive(Clone, Debug, PartialEq)]
pub struct Cohort {
    /// Index of the monitor.
    pub monitor: usize,
    pub attribute: String,
    pub value: String,
    /// Watched vehicles, and those of them with an alarm.
    pub vehicles: u64,
    pub alarms: u64,
    /// Alarms by its share of all watched vehicles.
    pub expected: f64,
    /// Alarms against expected; `None` where none are expected.
    pub ratio: Option<f64>,
    /// Chance of so many alarms or more in a cohort of no interest; may underflow to zero, its logarithm does not.
    pub p: f64,
    pub log10_p: f64,
    /// Corrected for all cohorts looked at.
    pub p_adjusted: f64,
}

/// Looks at one monitor's cohorts. `watched` and `alarmed` by vehicle. Corrected later, by [`adjust`].
pub fn scan(monitor: usize, groups: &[Group], watched: &[bool], alarmed: &[bool]) -> Vec<Cohort> {
    let has = |list: &[bool], vehicle: u32| list.get(vehicle as usize).copied().unwrap_or(false);
    let all = watched.iter().filter(|&&one| one).count() as u64;
    let all_alarms = watched.iter().zip(alarmed).filter(|(watched, alarmed)| **watched && **alarmed).count() as u64;
    let look = |group: &Group| {
        let members = || group.vehicles.iter().copied().filter(|&vehicle| has(watched, vehicle));
        let vehicles = members().count() as u64;
        if vehicles < LEAST_VEHICLES || vehicles == all {
            return None;
        }
        let alarms = members().filter(|&vehicle| has(alarmed, vehicle)).count() as u64;
        let expected = all_alarms as f64 * vehicles as f64 / all as f64;
        let ln_p = ln_upper_tail(all, all_alarms, vehicles, alarms);
        Some(Cohort {
            monitor,
            attribute: group.attribute.clone(),
            value: group.value.clone(),
            vehicles,
            alarms,
            expected,
            ratio: (expected > 0.0).then(|| alarms as f64 / expected),
            p: libm::exp(ln_p),
            log10_p: ln_p / std::f64::consts::LN_10,
            p_adjusted: 1.0,
        })
    };
    groups.iter().filter_map(look).collect()
}

/// Corrects by Holm and sorts: most striking first, then by monitor, attribute and value.
pub fn adjust(cohorts: &mut [Cohort]) {
    cohorts.sort_by(|a, b| {
        let names = |one: &Cohort| (one.monitor, one.attribute.clone(), one.value.clone());
        a.log10_p.total_cmp(&b.log10_p).then_with(|| names(a).cmp(&names(b)))
    });
    let looks = cohorts.len() as f64;
    let mut reached: f64 = 0.0;
    for (rank, cohort) in cohorts.iter_mut().enumerate() {
        reached = reached.max((looks - rank as f64) * cohort.p).min(1.0);
        cohort.p_adjusted = reached;
    }
}

/// ln P(X >= drawn), X hypergeometric: of `all`, `marked` are marked and `chosen` are chosen.
pub fn ln_upper_tail(all: u64, marked: u64, chosen: u64, drawn: u64) -> f64 {
    let least = (marked + chosen).saturating_sub(all);
    let most = marked.min(chosen);
    if drawn <= least {
        return 0.0;
    }
    if drawn > most {
        return f64::NEG_INFINITY;
    }
    let ln_choose = |n: u64, k: u64| {
        let ln_factorial = |n: u64| libm::lgamma(n as f64 + 1.0);
        ln_factorial(n) - ln_factorial(k) - ln_factorial(n - k)
    };
    let ln_mass = |x: u64| ln_choose(marked, x) + ln_choose(all - marked, chosen - x) - ln_choose(all, chosen);
    // P(x + 1) / P(x).
    let ratio = |x: u64| {
        let (up, down) = ((marked - x) as f64 * (chosen - x) as f64, (x + 1) as f64);
        up / (down * (all + x + 1 - marked - chosen) as f64)
    };
    let mean = marked as f64 * chosen as f64 / all as f64;
    // Summed away from the mean, terms only shrink.
    if drawn as f64 > mean {
        let (mut sum, mut term) = (0.0, 1.0);
        for x in drawn..=most {
            sum += term;
            if x == most || term < 1e-18 * sum {
                break;
            }
            term *= ratio(x);
        }
        return (ln_mass(drawn) + libm::log(sum)).min(0.0);
    }
    let (mut sum, mut term) = (0.0, 1.0);
    for x in (least..drawn).rev() {
        sum += term;
        if x == least || term < 1e-18 * sum {
            break;
        }
        term /= ratio(x - 1);
    }
    let lower = libm::exp(ln_mass(drawn - 1)) * sum;
    libm::log1p(-lower.min(1.0 - f64::EPSILON))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counted: every way to choose, for small numbers.
    fn counted(all: u64, marked: u64, chosen: u64, drawn: u64) -> f64 {
        let choose = |n: u64, k: u64| -> f64 {
            if k > n { 0.0 } else { (0..k).map(|i| (n - i) as f64 / (i + 1) as f64).product() }
        };
        (drawn..=chosen.min(marked)).map(|x| choose(marked, x) * choose(all - marked, chosen - x)).sum::<f64>()
            / choose(all, chosen)
    }

    #[test]
    fn tails_agree_with_counting() {
        let mut compared = 0;
        for (all, marked, chosen) in [(20, 7, 6), (50, 3, 40), (60, 55, 20), (40, 40, 9), (33, 0, 8), (200, 30, 25)] {
            for drawn in 0..=chosen + 1 {
                let (got, wanted) =
                    (libm::exp(ln_upper_tail(all, marked, chosen, drawn)), counted(all, marked, chosen, drawn));
                assert!(
                    (got - wanted).abs() <= 1e-10 * wanted.max(1e-12),
                    "{all} {marked} {chosen} {drawn}: {got} {wanted}"
                );
                compared += 1;
            }
        }
        assert!(compared > 90);
        // Known: all ten marked of a thousand fall into one hundred; 100! 990! / (90! 1000!) = 6.57e-11.
        let p = libm::exp(ln_upper_tail(1000, 10, 100, 10));
        assert!((p / 6.571_5e-11 - 1.0).abs() < 1e-3, "{p}");
    }

    #[test]
    fn a_p_below_every_float_still_has_a_logarithm() {
        let ln = ln_upper_tail(20_000, 1_300, 1_600, 1_247);
        assert!(ln < -2_000.0 && ln.is_finite(), "{ln}");
        assert!(ln_upper_tail(20_000, 1_300, 1_600, 1_246) > ln);
        assert!(ln_upper_tail(10_000_000, 50_000, 2_000_000, 9_000) <= 0.0);
    }

    fn fleet() -> (Vec<Group>, Vec<bool>, Vec<bool>) {
        let group = |attribute: &str, value: &str, vehicles: Vec<u32>| Group {
            attribute: attribute.into(),
            value: value.into(),
            vehicles,
        };
        let groups = vec![
            group("plant", "P1", (0..500).collect()),
            group("plant", "P2", (500..1000).collect()),
            group("lot", "bad", (0..60).collect()),
            group("lot", "few", (60..64).collect()),
            group("all", "all", (0..1000).collect()),
        ];
        let alarmed = (0..1000).map(|vehicle| vehicle < 50 || vehicle % 199 == 0).collect();
        (groups, vec![true; 1000], alarmed)
    }

    #[test]
    fn the_bad_lot_comes_first_and_its_plant_after_it() {
        let (groups, watched, alarmed) = fleet();
        let mut cohorts = scan(0, &groups, &watched, &alarmed);
        adjust(&mut cohorts);
        let names: Vec<&str> = cohorts.iter().map(|cohort| cohort.value.as_str()).collect();
        assert_eq!(names, ["bad", "P1", "P2"], "too few vehicles, or all of them, are no cohort");
        assert_eq!((cohorts[0].vehicles, cohorts[0].alarms), (60, 50));
        assert!((cohorts[0].expected - 55.0 * 0.06).abs() < 1e-12);
        assert!(cohorts[0].p_adjusted < 1e-30 && cohorts[0].p_adjusted > 2.9 * cohorts[0].p);
        assert!(cohorts[2].p > 0.999 && cohorts[2].p_adjusted > 0.999);
    }

    #[test]
    fn vehicles_that_are_not_watched_do_not_count() {
        let (groups, mut watched, alarmed) = fleet();
        watched[..56].fill(false);
        let cohorts = scan(0, &groups, &watched, &alarmed);
        assert!(cohorts.iter().all(|cohort| cohort.value != "bad"), "four of it are left");
        let none = scan(0, &groups, &[], &[]);
        assert!(none.is_empty());
    }

    #[test]
    fn noise_is_corrected_away() {
        // Alarms spread by a rule that no cohort knows: of 200 cohorts of 50 the luckiest is not significant.
        let hash = |vehicle: u32| crate::fixed::threefry::threefry2x32([3, 1], [vehicle, 0])[0];
        let alarmed: Vec<bool> = (0..10_000).map(|vehicle| hash(vehicle).is_multiple_of(50)).collect();
        let groups: Vec<Group> = (0..200)
            .map(|group| Group {
                attribute: "g".into(),
                value: format!("{group:03}"),
                vehicles: (0..50).map(|member| group * 50 + member).collect(),
            })
            .collect();
        let mut cohorts = scan(0, &groups, &vec![true; 10_000], &alarmed);
        adjust(&mut cohorts);
        assert!(cohorts[0].p < 0.05, "uncorrected, the luckiest looks striking: {}", cohorts[0].p);
        assert!(cohorts[0].p_adjusted > 0.05, "{:?}", cohorts[0]);
        assert!(cohorts.windows(2).all(|pair| pair[0].p_adjusted <= pair[1].p_adjusted));
    }
}
