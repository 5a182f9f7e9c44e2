//! What to do, and what each way costs: nothing, inspect, replace now, replace at the next service.
//!
//! Reckoned over equally likely numbers of failures to come, so that every figure is a distribution:
//!
//! | figure | in words |
//! |---|---|
//! | spend | what the measure itself costs |
//! | failures | those that come all the same |
//! | cost | spend, and the repair and liability of the failures that come all the same |
//! | avoided | repair and liability of the failures that the measure prevents |
//! | net value | avoided less spend |
//! | benefit/cost | avoided over spend |
//! | net ROI | net value over spend |
//! | payback | the first time by which the failures prevented so far would have cost as much as the whole spend |
//!
//! All within the horizon: what is spent and what is avoided beyond it counts on neither side. Inspecting finds a share of
//! the parts that would fail, and replaces those; inspections and replacements at once happen today. At the next service a
//! vehicle comes some time within an interval, evenly: of those whose service lies beyond the horizon nothing is spent and
//! nothing is prevented, and of the others what fails before their service is not prevented, so that what is avoided comes
//! later than the failures do. Vehicles that come are like those that do not, and a part that is replaced does not fail
//! within the horizon.
//! Units: money in the user's currency; time in the horizon's unit.

use serde::Serialize;

use super::economics::RecallCosts;

/// Steps in which the next service is spread over its interval.
const VISITS: usize = 200;
/// Steps of the course of what is prevented at services.
const COURSE: usize = 200;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    DoNothing,
    Inspect,
    ReplaceNow,
    ReplaceAtService,
}

pub const MEASURES: [Measure; 4] =
    [Measure::DoNothing, Measure::Inspect, Measure::ReplaceNow, Measure::ReplaceAtService];

impl Measure {
    pub fn name(self) -> &'static str {
        match self {
            Self::DoNothing => "do_nothing",
            Self::Inspect => "inspect",
            Self::ReplaceNow => "replace_now",
            Self::ReplaceAtService => "replace_at_service",
        }
    }
}

/// What is to come, whatever is done.
#[derive(Clone, Debug, PartialEq)]
pub struct ToCome<'a> {
    pub vehicles: f64,
    /// Equally likely numbers of failures within the horizon.
    pub failures: &'a [f64],
    pub horizon: f64,
    /// Times, rising to the horizon, and the share of the horizon's failures that come by then.
    pub by: &'a [(f64, f64)],
}

/// A figure over the numbers of failures.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    pub mean: f64,
    pub p05: f64,
    pub p50: f64,
    pub p95: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcome {
    pub measure: Measure,
    /// Vehicles that come within the horizon.
    pub treated: f64,
    pub spend: Spread,
    pub failures: Spread,
    pub cost: Spread,
    pub avoided: Spread,
    pub net_value: Spread,
    /// `None` where nothing is spent.
    pub benefit_over_cost: Option<Spread>,
    pub net_roi: Option<Spread>,
    /// Of those that pay back within the horizon.
    pub payback: Option<Spread>,
    /// Share that pays back within the horizon.
    pub pays_back: f64,
    /// P(net value > 0).
    pub positive: f64,
}

/// Every measure, against doing nothing.
pub fn outcomes(to_come: &ToCome, costs: &RecallCosts) -> Vec<Outcome> {
    MEASURES.iter().map(|&measure| outcome(measure, to_come, costs)).collect()
}

fn outcome(measure: Measure, to_come: &ToCome, costs: &RecallCosts) -> Outcome {
    let each = costs.failure_repair + costs.failure_liability;
    // The share of vehicles that comes within the horizon, and by when which share of the horizon's failures is prevented.
    let (comes, prevented): (f64, Vec<(f64, f64)>) = match measure {
        Measure::DoNothing => (0.0, Vec::new()),
        Measure::Inspect => (costs.completion_inspect, to_come.at_once(costs.completion_inspect * costs.detection)),
        Measure::ReplaceNow => (costs.completion_replace_now, to_come.at_once(costs.completion_replace_now)),
        Measure::ReplaceAtService => {
            let completion = costs.completion_replace_at_service;
            let in_time = (to_come.horizon / costs.service_interval).min(1.0);
            (completion * in_time, to_come.at_service(costs.service_interval, completion))
        }
    };
    let prevented_share = prevented.last().map_or(0.0, |last| last.1);
    let treated = comes * to_come.vehicles;
    let spend = |failures: f64| match measure {
        Measure::DoNothing => 0.0,
        Measure::Inspect => costs.campaign_fixed + treated * costs.inspect + prevented_share * failures * costs.replace,
        Measure::ReplaceNow | Measure::ReplaceAtService => costs.campaign_fixed + treated * costs.replace,
    };
    let spread = |of: &dyn Fn(f64) -> f64| Spread::of(to_come.failures.iter().map(|&failures| of(failures)).collect());
    let avoided = |failures: f64| prevented_share * failures * each;
    let net = |failures: f64| avoided(failures) - spend(failures);
    let spends = to_come.failures.iter().all(|&failures| spend(failures) > 0.0);
    let payback = |failures: f64| reached(&prevented, spend(failures) / (failures * each));
    let paid: Vec<f64> = match spends {
        true => to_come.failures.iter().filter_map(|&failures| payback(failures)).collect(),
        false => Vec::new(),
    };
    let count = to_come.failures.len().max(1) as f64;
    Outcome {
        measure,
        treated,
        spend: spread(&spend),
        failures: spread(&|failures| (1.0 - prevented_share) * failures),
        cost: spread(&|failures| spend(failures) + (1.0 - prevented_share) * failures * each),
        avoided: spread(&avoided),
        net_value: spread(&net),
        benefit_over_cost: spends.then(|| spread(&|failures| avoided(failures) / spend(failures))),
        net_roi: spends.then(|| spread(&|failures| net(failures) / spend(failures))),
        pays_back: paid.len() as f64 / count,
        payback: (!paid.is_empty()).then(|| Spread::of(paid)),
        positive: to_come.failures.iter().filter(|&&failures| net(failures) > 0.0).count() as f64 / count,
    }
}

impl ToCome<'_> {
    /// The share of the horizon's failures that come by a time.
    fn share_by(&self, time: f64) -> f64 {
        let (mut before, mut share) = (0.0, 0.0);
        for &(at, by) in self.by {
            if time <= at {
                return share + (by - share) * (time - before) / (at - before);
            }
            (before, share) = (at, by);
        }
        1.0
    }

    /// What is prevented from today on: this share of whatever comes.
    fn at_once(&self, share: f64) -> Vec<(f64, f64)> {
        self.by.iter().map(|&(at, by)| (at, share * by)).collect()
    }

    /// What is prevented by vehicles that come evenly within an interval: of each, what comes after its visit.
    fn at_service(&self, interval: f64, completion: f64) -> Vec<(f64, f64)> {
        let visits: Vec<(f64, f64)> = (0..VISITS)
            .map(|visit| interval * (visit as f64 + 0.5) / VISITS as f64)
            .map(|visit| (visit, self.share_by(visit)))
            .collect();
        let prevented = |at: f64| {
            let by = self.share_by(at);
            let after = visits.iter().filter(|visit| visit.0 < at).map(|visit| by - visit.1);
            completion * after.sum::<f64>() / VISITS as f64
        };
        // Between two weeks of the course a fine enough grid.
        let times = (1..=COURSE).map(|step| self.horizon * step as f64 / COURSE as f64);
        times.map(|at| (at, prevented(at))).collect()
    }
}

/// When a course reaches a share; `None`: not at all, or what is wanted is no number.
fn reached(course: &[(f64, f64)], wanted: f64) -> Option<f64> {
    let (mut before, mut share) = (0.0, 0.0);
    for &(at, by) in course {
        if wanted <= by {
            return Some(if by > share { before + (at - before) * (wanted - share) / (by - share) } else { at });
        }
        (before, share) = (at, by);
    }
    None
}

impl Spread {
    /// Of equally likely values, at least one; quantiles as the smallest value that is not exceeded with that chance.
    fn of(mut values: Vec<f64>) -> Self {
        let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
        values.sort_by(f64::total_cmp);
        let quantile = |level: f64| {
            let place = libm::ceil(level * values.len() as f64 - 1e-9) as usize;
            values.get(place.clamp(1, values.len().max(1)) - 1).copied().unwrap_or(0.0)
        };
        Self { mean, p05: quantile(0.05), p50: quantile(0.5), p95: quantile(0.95) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COSTS: RecallCosts = RecallCosts {
        failure_repair: 4_000.0,
        failure_liability: 6_000.0,
        campaign_fixed: 10_000.0,
        inspect: 50.0,
        replace: 500.0,
        detection: 0.9,
        completion_inspect: 0.8,
        completion_replace_now: 0.7,
        completion_replace_at_service: 1.0,
        service_interval: 200.0,
    };

    #[test]
    fn figures_are_those_of_the_words() {
        let failures = [10.0, 20.0, 30.0, 40.0];
        let to_come =
            ToCome { vehicles: 100.0, failures: &failures, horizon: 400.0, by: &[(200.0, 0.5), (400.0, 1.0)] };
        let found = outcomes(&to_come, &COSTS);
        let [nothing, inspect, now, service] = found.as_slice() else { panic!() };
        assert_eq!((nothing.cost.mean, nothing.spend.mean, nothing.positive), (250_000.0, 0.0, 0.0));
        assert_eq!((nothing.benefit_over_cost, nothing.payback), (None, None));
        // 0.72 prevented: spend 10,000 + 80 × 50 + 0.72 K 500 = 14,000 + 360 K; avoided 7,200 K.
        assert!((inspect.spend.mean - 23_000.0).abs() < 1e-9 && (inspect.avoided.mean - 180_000.0).abs() < 1e-9);
        assert!((inspect.net_value.p05 - (72_000.0 - 17_600.0)).abs() < 1e-9);
        assert!((inspect.benefit_over_cost.unwrap().p95 - 288_000.0 / 28_400.0).abs() < 1e-9);
        assert!((inspect.cost.mean - (23_000.0 + 0.28 * 250_000.0)).abs() < 1e-9);
        // Spend 45,000; avoided 7,000 K: 10 gains 25,000. ROI of 20: 95/45.
        assert!((now.net_value.p05 - 25_000.0).abs() < 1e-9 && now.positive == 1.0);
        assert!((now.net_roi.unwrap().p50 - 95.0 / 45.0).abs() < 1e-12);
        // 45,000 of 70,000 over an even course of 400: 257 days; of 40: 45/280 of it.
        assert!((now.payback.unwrap().p95 - 400.0 * 45.0 / 70.0).abs() < 1e-9);
        assert!((now.payback.unwrap().p05 - 400.0 * 45.0 / 280.0).abs() < 1e-9);
        // A quarter of the failures comes before an even visit within 200 of 400 days.
        assert!((service.failures.mean - 0.25 * 25.0).abs() < 1e-9, "{:?}", service.failures);
        assert!((service.spend.mean - 60_000.0).abs() < 1e-9);
    }

    #[test]
    fn what_does_not_pay_is_told() {
        let failures = [0.0, 2.0, 4.0, 100.0];
        let to_come = ToCome { vehicles: 1_000.0, failures: &failures, horizon: 100.0, by: &[(100.0, 1.0)] };
        let now = outcomes(&to_come, &COSTS).remove(2);
        assert_eq!((now.positive, now.pays_back), (0.25, 0.25));
        assert!(now.net_value.p50 < 0.0 && now.net_value.p95 > 0.0);
    }

    /// Services every 200 days, looked at for 100: half the vehicles come, nothing is spent on the others, and of those that
    /// come half the failures come before.
    #[test]
    fn services_beyond_the_horizon_cost_nothing_and_prevent_nothing() {
        let failures = [400.0];
        let to_come = ToCome { vehicles: 1_000.0, failures: &failures, horizon: 100.0, by: &[(100.0, 1.0)] };
        let service = outcomes(&to_come, &COSTS).remove(3);
        assert!((service.failures.mean / 400.0 - 0.75).abs() < 0.01, "{:?}", service.failures);
        assert_eq!(service.treated, 500.0);
        assert!((service.spend.mean - 260_000.0).abs() < 1e-9, "{:?}", service.spend);
        let now = outcomes(&to_come, &COSTS).remove(2);
        assert_eq!(now.treated, 700.0);
        // 260,000 of 10,000 each: 26 prevented. By day t it is 400 (t/100)² / 4, a quarter of all by the end: 51 days. What is
        // prevented at once pays sooner.
        let days = service.payback.unwrap().p50;
        assert!((days - 100.0 * libm::sqrt(26.0 / 100.0)).abs() < 1.0, "{days}");
        assert!((now.payback.unwrap().p50 - 100.0 * 36.0 / 280.0).abs() < 1e-9, "{now:?}");
        assert!((outcomes(&to_come, &RecallCosts { campaign_fixed: 2e6, ..COSTS })[3].pays_back).abs() < 1e-12);
    }
}
