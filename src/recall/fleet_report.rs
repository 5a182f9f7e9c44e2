//! What `recall` found of a cohort of vehicles. Counts are of vehicles or of failures; days stand as texts on the dataset's
//! own calendar; horizons are days from the day on which one stands.

use serde::Serialize;

use super::boundary::Boundary;
use super::economics::ProgrammeValue;
use super::incidents::Incidents;
use super::money::Outcome;
use super::prediction::Bounds;

#[derive(Clone, Debug, Serialize)]
pub struct CohortReport {
    /// As it was asked for.
    pub cohort: String,
    pub as_of: String,
    pub model: String,
    /// What the recall is about; `None`: nothing in particular, and nobody is suspect.
    pub defect: Option<AskedDefect>,
    /// Of each one-sided bound.
    pub confidence: f64,
    pub vehicles: u64,
    /// Neither retired nor unsold: whom a recall would call.
    pub affected: u64,
    /// Of those, vehicles that show the defect asked for: by a monitor of its component, or by a failure of it.
    pub suspects: Option<Share>,
    /// Of those affected, vehicles whose component has failed by a known work order.
    pub failed: Option<u64>,
    /// Of the suspects, those whose parts that alarmed are all replaced already.
    pub replaced: u64,
    /// Of the whole fleet in service.
    pub share_of_fleet: f64,
    /// Vehicles of which it is not known whether they belong to the cohort: an attribute is missing.
    pub undecided: u64,
    /// Ids of a list that the data do not have.
    pub unknown: Vec<String>,
    pub repeated: u64,
    pub defects: Vec<Defect>,
    /// `failures`, by the day a part fails, or `reports`.
    pub counts: &'static str,
    pub method: Method,
    pub forecasts: Vec<CohortForecast>,
    /// Most striking first.
    pub boundaries: Vec<Boundary>,
    /// Attributes within whose values alone vehicles were compared for the boundaries.
    pub strata: Vec<String>,
    pub ranges: Vec<Range>,
    pub incidents: Incidents,
    pub incidents_of_others: Incidents,
    pub money: Option<Money>,
    pub notes: Vec<Note>,
    /// Not in the report, which would be as long as the fleet.
    #[serde(skip)]
    pub listed: Vec<Listed>,
    /// Ids that are not counted, and why.
    #[serde(skip)]
    pub not_counted: Vec<(String, NotCounted)>,
}

impl CohortReport {
    /// Whether bounds allow for what is not known of the model's parameters.
    pub fn is_calibrated(&self) -> bool {
        self.method == Method::Calibrated
    }
}

/// A failure mode, a monitor or a component of the model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AskedDefect {
    pub name: String,
    /// Its failures and its monitors' alarms make a vehicle suspect.
    pub component: String,
}

/// So many of those affected, with the interval of Clopper and Pearson (1934) at 2c − 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Share {
    pub vehicles: u64,
    pub share: f64,
    pub lower: f64,
    pub upper: f64,
}

impl Share {
    pub fn of(vehicles: u64, all: u64, confidence: f64) -> Self {
        let (lower, upper) = share_interval(vehicles, all, confidence);
        Self { vehicles, share: vehicles as f64 / all.max(1) as f64, lower, upper }
    }
}

/// What a reader must know, in both languages of the page; in English elsewhere.
#[derive(Clone, Debug, PartialEq)]
pub struct Note {
    pub english: String,
    pub chinese: String,
}

impl Serialize for Note {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.english)
    }
}

/// How the bounds came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Escobar & Meeker (1999), over the errors of the model's parameters.
    Calibrated,
    /// The model's parameters are taken as known.
    PlugIn,
}

impl Method {
    pub fn english(self) -> &'static str {
        match self {
            Self::Calibrated => {
                "law over drawn weather, calibrated tail by tail over drawn errors of the model's parameters (Escobar & Meeker 1999)"
            }
            Self::PlugIn => "law over drawn weather, the model's parameters taken as known: not calibrated, too narrow",
        }
    }

    pub fn chinese(self) -> &'static str {
        match self {
            Self::Calibrated => "对天气抽样的分布,按模型参数误差逐侧校准(Escobar & Meeker 1999)",
            Self::PlugIn => "对天气抽样的分布,模型参数视为已知:未校准,区间偏窄",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotCounted {
    /// The list names it, the data do not have it.
    NotInTheData,
    /// An attribute that the condition asks for is missing.
    Undecided,
}

impl NotCounted {
    pub fn name(self) -> &'static str {
        match self {
            Self::NotInTheData => "not in the data",
            Self::Undecided => "an attribute or date that the condition asks for is missing",
        }
    }
}

/// A defect as it shows: alarms of a monitor, or failures of a component.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Defect {
    /// Of the monitor, or of the component.
    pub name: String,
    /// `alarms` or `failures`.
    pub shows_as: &'static str,
    /// Vehicles of the cohort in service that show it.
    #[serde(flatten)]
    pub inside: Share,
    /// Of the vehicles in service outside of the cohort.
    pub vehicles_of_others: u64,
    pub share_of_others: f64,
}

/// Failures to come.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CohortForecast {
    pub failure_mode: String,
    pub horizon_days: u32,
    pub expected: f64,
    pub lower: i64,
    pub upper: i64,
    pub bounds: Bounds,
    /// Both tails. False: the model's parameters are taken as known, or no level covers what is asked; bounds are too narrow.
    pub calibrated: bool,
    /// Of the count's variance.
    pub share_weather: f64,
    /// `None`: they were taken as known.
    pub share_parameters: Option<f64>,
    pub share_chance: f64,
}

/// Vehicles of the cohort that share the value of an attribute.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Range {
    pub attribute: String,
    pub value: Option<String>,
    pub vehicles: u64,
    pub first_build: Option<String>,
    pub last_build: Option<String>,
    pub first_id: String,
    pub last_id: String,
    /// Of all vehicles with this value.
    pub share_of_sales: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Money {
    pub currency: String,
    pub example: bool,
    /// Whose failures cost; `None`: no measures were reckoned.
    pub failure_mode: Option<String>,
    pub horizon_days: Option<u32>,
    /// Equally likely numbers of failures that the outcomes are reckoned over.
    pub draws: usize,
    pub outcomes: Vec<Outcome>,
    pub programmes: Vec<ProgrammeValue>,
}

/// A vehicle of the cohort.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    pub id: String,
    pub in_service: bool,
    /// By the defect asked for; `None`: none was.
    pub suspect: Option<bool>,
    /// Monitors and components that speak against it, joined by `; `.
    pub shows: String,
    /// What alarmed is replaced already.
    pub replaced: bool,
    pub first_alarm: Option<String>,
    pub last_failure: Option<String>,
    pub build: Option<String>,
    pub sale: Option<String>,
    /// In the order of the dataset's attributes.
    pub attributes: Vec<Option<String>>,
}

/// The interval of a share: counts that so many of so many are not surprising under, each end at `confidence`.
pub fn share_interval(marked: u64, all: u64, confidence: f64) -> (f64, f64) {
    if all == 0 {
        return (0.0, 1.0);
    }
    let alpha = 1.0 - confidence;
    // P(X ≥ marked) rises with the share, P(X ≤ marked) falls.
    let solve = |at_end: &dyn Fn(f64) -> bool| {
        let (mut low, mut high) = (0.0, 1.0);
        for _ in 0..60 {
            let middle = 0.5 * (low + high);
            if at_end(middle) { low = middle } else { high = middle }
        }
        0.5 * (low + high)
    };
    let lower = if marked == 0 { 0.0 } else { solve(&|share| 1.0 - at_most(marked - 1, all, share) < alpha) };
    let upper = if marked == all { 1.0 } else { solve(&|share| at_most(marked, all, share) > alpha) };
    (lower, upper)
}

/// P(X ≤ k) of n trials, summed from the nearer end outwards.
fn at_most(k: u64, n: u64, share: f64) -> f64 {
    if share <= 0.0 {
        return 1.0;
    }
    if share >= 1.0 {
        return if k >= n { 1.0 } else { 0.0 };
    }
    let (n_f, odds) = (n as f64, share / (1.0 - share));
    let ln_term = |x: f64| {
        libm::lgamma(n_f + 1.0) - libm::lgamma(x + 1.0) - libm::lgamma(n_f - x + 1.0)
            + x * libm::log(share)
            + (n_f - x) * libm::log1p(-share)
    };
    let mean = n_f * share;
    let (mut sum, mut term) = (0.0, 1.0);
    if (k as f64) < mean {
        for x in (0..=k).rev() {
            sum += term;
            if term < 1e-18 * sum {
                break;
            }
            term *= x as f64 / ((n - x + 1) as f64 * odds);
        }
        return (libm::exp(ln_term(k as f64)) * sum).min(1.0);
    }
    for x in k + 1..=n {
        sum += term;
        if term < 1e-18 * sum {
            break;
        }
        term *= (n - x) as f64 * odds / (x + 1) as f64;
    }
    let beyond = if k < n { libm::exp(ln_term(k as f64 + 1.0)) * sum } else { 0.0 };
    (1.0 - beyond).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of R's `binom.test(x, n, conf.level = 0.9)`, which are quantiles of beta laws: 0 of n has 1 − 0.05^(1/n).
    #[test]
    fn intervals_are_those_of_clopper_and_pearson() {
        let (lower, upper) = share_interval(0, 20, 0.95);
        assert!(lower == 0.0 && (upper - (1.0 - libm::pow(0.05, 1.0 / 20.0))).abs() < 1e-9);
        let (lower, upper) = share_interval(20, 20, 0.95);
        assert!(upper == 1.0 && (lower - libm::pow(0.05, 1.0 / 20.0)).abs() < 1e-9);
        // By their definition, summed plainly.
        for (marked, all) in [(3_u64, 17_u64), (9, 10), (40, 90), (5, 400)] {
            let choose = |k: u64| (0..k).fold(1.0, |product, i| product * (all - i) as f64 / (i + 1) as f64);
            let plain = |k: u64, share: f64| {
                (0..=k)
                    .map(|x| choose(x) * libm::pow(share, x as f64) * libm::pow(1.0 - share, (all - x) as f64))
                    .sum::<f64>()
            };
            let (lower, upper) = share_interval(marked, all, 0.95);
            assert!((plain(marked, upper) - 0.05).abs() < 1e-9, "{marked} of {all}");
            assert!((1.0 - plain(marked - 1, lower) - 0.05).abs() < 1e-9, "{marked} of {all}");
        }
        let (lower, upper) = share_interval(1_247, 1_600, 0.95);
        assert!(lower > 0.76 && upper < 0.80, "{lower} {upper}");
        assert_eq!(share_interval(0, 0, 0.95), (0.0, 1.0));
    }
}
