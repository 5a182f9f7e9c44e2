//! The tables of a cohort's recall: `vehicles`, `bounds`, `defects`, `boundaries`, `incidents`, `money`.
//!
//! | table | a row is |
//! |---|---|
//! | `vehicles` | a vehicle of the cohort, by rising id: whether it is in service, what speaks against it, its attributes |
//! | `bounds` | a failure mode and a horizon: expected, calibrated and plug-in bounds with what each covers |
//! | `defects` | a monitor or component: how many show it, inside and outside |
//! | `boundaries` | a lot, plant or stretch of build dates that holds more than its share |
//! | `incidents` | a month in service, of the cohort and of all others |
//! | `money` | a measure and a figure of it: mean and quantiles |
//!
//! The same rows go into the workbook.

use super::boundary::Boundary;
use super::fleet_report::CohortReport;
use super::incidents::MonthInService;
use super::money::{Outcome, Spread};

/// A cell, of whatever table.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Text(Option<String>),
    Number(Option<f64>),
    Whole(Option<i64>),
    Truth(bool),
}

/// A table of few or many rows, to be written in more than one form.
#[derive(Clone, Debug, PartialEq)]
pub struct Sheet {
    pub name: &'static str,
    pub headings: Vec<String>,
    pub rows: Vec<Vec<Value>>,
}

impl Sheet {
    fn new(name: &'static str, headings: &[&str]) -> Self {
        Self { name, headings: headings.iter().map(|&heading| heading.to_owned()).collect(), rows: Vec::new() }
    }
}

fn text(text: impl Into<String>) -> Value {
    Value::Text(Some(text.into()))
}

fn whole(number: u64) -> Value {
    Value::Whole(i64::try_from(number).ok())
}

fn number(number: f64) -> Value {
    Value::Number(Some(number))
}

/// All tables; `money` where there is any.
pub fn sheets(report: &CohortReport, vehicle_column: &str, attributes: &[String]) -> Vec<Sheet> {
    let mut sheets = vec![
        vehicles(report, vehicle_column, attributes),
        ranges(report),
        bounds(report),
        defects(report),
        boundaries(report),
        incidents(report),
    ];
    if let Some(money) = report.money.as_ref().filter(|money| !money.outcomes.is_empty()) {
        sheets.push(outcomes(&money.outcomes));
    }
    sheets
}

fn vehicles(report: &CohortReport, vehicle_column: &str, attributes: &[String]) -> Sheet {
    let mut sheet = Sheet::new(
        "vehicles",
        &[
            vehicle_column,
            "in_service",
            "suspect",
            "suspect_of",
            "replaced",
            "first_alarm_on",
            "last_failure_on",
            "built_on",
            "sold_on",
        ],
    );
    // An attribute may be called like a column of ours.
    let taken: Vec<String> = sheet.headings.clone();
    sheet.headings.extend(attributes.iter().map(|name| match taken.contains(name) {
        true => format!("attribute_{name}"),
        false => name.clone(),
    }));
    for one in &report.listed {
        let mut row = vec![
            text(one.id.clone()),
            Value::Truth(one.in_service),
            Value::Truth(!one.suspect_of.is_empty()),
            text(one.suspect_of.clone()),
            Value::Truth(one.replaced),
            Value::Text(one.first_alarm.clone()),
            Value::Text(one.last_failure.clone()),
            Value::Text(one.build.clone()),
            Value::Text(one.sale.clone()),
        ];
        row.extend(one.attributes.iter().cloned().map(Value::Text));
        sheet.rows.push(row);
    }
    sheet
}

fn ranges(report: &CohortReport) -> Sheet {
    let mut sheet = Sheet::new(
        "ranges",
        &["attribute", "value", "vehicles", "first_build", "last_build", "first_id", "last_id", "share_of_sales"],
    );
    sheet.rows.extend(report.ranges.iter().map(|one| {
        vec![
            text(one.attribute.clone()),
            Value::Text(one.value.clone()),
            whole(one.vehicles),
            Value::Text(one.first_build.clone()),
            Value::Text(one.last_build.clone()),
            text(one.first_id.clone()),
            text(one.last_id.clone()),
            number(one.share_of_sales),
        ]
    }));
    sheet
}

fn bounds(report: &CohortReport) -> Sheet {
    let mut sheet = Sheet::new(
        "bounds",
        &[
            "failure_mode",
            "horizon_days",
            "expected",
            "confidence",
            "lower",
            "upper",
            "plug_in_lower",
            "plug_in_upper",
            "lower_plug_in_cover",
            "upper_plug_in_cover",
            "lower_cover",
            "upper_cover",
            "calibrated",
            "share_weather",
            "share_parameters",
            "share_chance",
        ],
    );
    sheet.rows.extend(report.forecasts.iter().map(|one| {
        let (lower, upper) = (one.bounds.lower, one.bounds.upper);
        vec![
            text(one.failure_mode.clone()),
            Value::Whole(Some(i64::from(one.horizon_days))),
            number(one.expected),
            number(report.confidence),
            Value::Whole(Some(one.lower)),
            Value::Whole(Some(one.upper)),
            Value::Whole(Some(lower.plug_in)),
            Value::Whole(Some(upper.plug_in)),
            number(lower.plug_in_cover),
            number(upper.plug_in_cover),
            number(lower.cover),
            number(upper.cover),
            Value::Truth(one.calibrated),
            number(one.share_weather),
            number(one.share_parameters),
            number(one.share_chance),
        ]
    }));
    sheet
}

fn defects(report: &CohortReport) -> Sheet {
    let mut sheet = Sheet::new(
        "defects",
        &[
            "defect",
            "shows_as",
            "vehicles",
            "share",
            "share_lower",
            "share_upper",
            "vehicles_of_others",
            "share_of_others",
        ],
    );
    sheet.rows.extend(report.defects.iter().map(|one| {
        vec![
            text(one.name.clone()),
            text(one.shows_as),
            whole(one.vehicles),
            number(one.share),
            number(one.share_lower),
            number(one.share_upper),
            whole(one.vehicles_of_others),
            number(one.share_of_others),
        ]
    }));
    sheet
}

fn boundaries(report: &CohortReport) -> Sheet {
    let mut sheet = Sheet::new(
        "boundaries",
        &["defect", "attribute", "value", "vehicles", "marked", "expected", "ratio", "log_likelihood_ratio", "p"],
    );
    let row = |(defect, one): &(String, Boundary)| {
        vec![
            text(defect.clone()),
            text(one.attribute.clone()),
            Value::Text(one.value.clone()),
            whole(one.vehicles),
            whole(one.marked),
            number(one.expected),
            Value::Number(one.ratio),
            number(one.log_likelihood_ratio),
            number(one.p),
        ]
    };
    sheet.rows.extend(report.boundaries.iter().map(row));
    sheet
}

fn incidents(report: &CohortReport) -> Sheet {
    let mut sheet = Sheet::new(
        "incidents",
        &[
            "vehicles_of",
            "month_in_service",
            "vehicles",
            "incidents",
            "incidents_per_1000",
            "cumulative_per_1000",
            "cost_per_1000",
        ],
    );
    let row = |of: &str, one: &MonthInService| {
        vec![
            text(of),
            Value::Whole(Some(i64::from(one.month))),
            whole(one.vehicles),
            whole(one.incidents),
            number(one.incidents_per_1000),
            number(one.cumulative_per_1000),
            Value::Number(one.cost_per_1000),
        ]
    };
    sheet.rows.extend(report.incidents.months.iter().map(|one| row("cohort", one)));
    sheet.rows.extend(report.incidents_of_others.months.iter().map(|one| row("others", one)));
    sheet
}

fn outcomes(outcomes: &[Outcome]) -> Sheet {
    let mut sheet = Sheet::new("money", &["measure", "figure", "mean", "p05", "p50", "p95"]);
    for one in outcomes {
        let named: [(&str, Option<Spread>); 8] = [
            ("spend", Some(one.spend)),
            ("failures", Some(one.failures)),
            ("cost", Some(one.cost)),
            ("avoided", Some(one.avoided)),
            ("net_value", Some(one.net_value)),
            ("benefit_over_cost", one.benefit_over_cost),
            ("net_roi", one.net_roi),
            ("payback_days", one.payback),
        ];
        for (figure, spread) in named.into_iter().filter_map(|(figure, spread)| Some((figure, spread?))) {
            let values = [spread.mean, spread.p05, spread.p50, spread.p95].map(number);
            sheet.rows.push([text(one.measure.name()), text(figure)].into_iter().chain(values).collect());
        }
        for (figure, share) in [("p_net_value_above_0", one.positive), ("p_pays_back", one.pays_back)] {
            let none = || Value::Number(None);
            sheet.rows.push(vec![text(one.measure.name()), text(figure), number(share), none(), none(), none()]);
        }
    }
    sheet
}
