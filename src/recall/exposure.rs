//! How long vehicles were at risk of their first mark, and how many marks are to be expected of each.
//!
//! A vehicle is at risk from its sale, or from the day of the fleet's first mark where it was sold before, to its mark, its
//! retirement, or the day on which one stands. A month in service has the rate of first marks that its stratum had in it:
//! marks over days at risk. What is to be expected of a vehicle is the sum over its days, so that a stratum's expected
//! marks add up to its marks (as in the log-rank test; Mantel, Cancer Chemotherapy Reports 50 (1966), 163–170).
//!
//! Units: ages in days of service; months are twelfths of a mean Gregorian year.

use super::incidents::DAYS_PER_MONTH;

/// Whatever is older than fifty years is as old as this.
const LAST_MONTH: usize = 600;

/// A vehicle at risk of its first mark.
pub struct AtRisk {
    pub vehicle: u32,
    /// Days of age, both included.
    pub from: i32,
    pub to: i32,
    pub marked: bool,
}

/// What is to be expected of each vehicle, by its stratum's rates.
pub fn expected(at_risk: &[AtRisk], stratum: &[usize]) -> Vec<f64> {
    let strata = stratum.iter().max().map_or(0, |last| last + 1);
    let months = at_risk.iter().map(|one| month(one.to)).max().map_or(0, |last| last + 1);
    let (mut days, mut marks) = (vec![0.0; strata * months], vec![0.0; strata * months]);
    for (one, stratum) in at_risk.iter().zip(stratum) {
        one.each_month(|month, own| days[stratum * months + month] += own);
        if one.marked {
            marks[stratum * months + month(one.to)] += 1.0;
        }
    }
    let of = |(one, stratum): (&AtRisk, &usize)| {
        let mut expected = 0.0;
        one.each_month(|month, own| {
            let place = stratum * months + month;
            expected += own * marks[place] / days[place];
        });
        expected
    };
    at_risk.iter().zip(stratum).map(of).collect()
}

/// Of an age in days.
fn month(age: i32) -> usize {
    ((f64::from(age.max(0)) / DAYS_PER_MONTH) as usize).min(LAST_MONTH)
}

impl AtRisk {
    /// Months in service with the days at risk in each, at least a day in all.
    fn each_month(&self, mut with: impl FnMut(usize, f64)) {
        let mut from = self.from;
        while from <= self.to {
            let of = month(from);
            // The last day of this month.
            let mut last = ((of + 1) as f64 * DAYS_PER_MONTH) as i32;
            while month(last) > of && of < LAST_MONTH {
                last -= 1;
            }
            let until = if of == LAST_MONTH { self.to } else { last.max(from).min(self.to) };
            with(of, f64::from(until) - f64::from(from) + 1.0);
            let Some(next) = until.checked_add(1) else { return };
            from = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: three vehicles, from day 0 of service. The first month holds 31 days; marks on the 10th day and the 20th.
    #[test]
    fn expected_counts_are_rates_times_days() {
        let one = |to: i32, marked: bool| AtRisk { vehicle: 0, from: 0, to, marked };
        let at_risk = [one(9, true), one(19, true), one(40, false)];
        let found = expected(&at_risk, &[0; 3]);
        // Of 10 + 20 + 31 days at risk in the first month.
        for (found, wanted) in found.iter().zip([2.0 * 10.0 / 61.0, 2.0 * 20.0 / 61.0, 2.0 * 31.0 / 61.0]) {
            assert!((found - wanted).abs() < 1e-12, "{found} {wanted}");
        }
        // Strata stand by themselves, and each adds up to its marks.
        let found = expected(&at_risk, &[0, 1, 1]);
        assert!((found[0] - 1.0).abs() < 1e-12 && (found[1] + found[2] - 1.0).abs() < 1e-12);
        let mut days = Vec::new();
        AtRisk { vehicle: 0, from: 25, to: 95, marked: false }.each_month(|month, own| days.push((month, own)));
        assert_eq!(days, [(0, 6.0), (1, 30.0), (2, 31.0), (3, 4.0)], "months begin on days 0, 31, 61, 92");
    }
}
