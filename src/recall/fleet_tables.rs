//! The tables of a cohort's recall, each with its columns' types whether it has rows or none.
//!
//! | table | a row is |
//! |---|---|
//! | `vehicles` | a vehicle of the cohort, by rising id: whether it is in service, what speaks against it, its attributes |
//! | `not_counted` | an id of the list that the data do not have, or a vehicle that may belong to the cohort or not |
//! | `ranges` | a vehicle model: build dates, ids, share of its sales |
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
    Truth(Option<bool>),
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    Number,
    Whole,
    Truth,
}

/// A table of few or many rows, to be written in more than one form.
#[derive(Clone, Debug, PartialEq)]
pub struct Sheet {
    pub name: &'static str,
    pub columns: Vec<(String, Kind)>,
    pub rows: Vec<Vec<Value>>,
}

impl Sheet {
    fn new(name: &'static str, columns: &[(&str, Kind)]) -> Self {
        let columns = columns.iter().map(|&(heading, kind)| (heading.to_owned(), kind)).collect();
        Self { name, columns, rows: Vec::new() }
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

/// The dataset's own columns of the table `vehicles`.
#[derive(Clone, Copy, Debug)]
pub struct VehicleColumns<'a> {
    pub vehicle: &'a str,
    /// Ids are whole numbers, not texts.
    pub is_integer: bool,
    pub attributes: &'a [String],
}

/// All tables; `money` where there is any.
pub fn sheets(report: &CohortReport, columns: &VehicleColumns) -> Vec<Sheet> {
    let mut sheets = vec![
        vehicles(report, columns),
        not_counted(report, columns.vehicle),
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

fn vehicles(report: &CohortReport, columns: &VehicleColumns) -> Sheet {
    let VehicleColumns { vehicle, is_integer, attributes } = *columns;
    let mut sheet = Sheet::new(
        "vehicles",
        &[
            (vehicle, if is_integer { Kind::Whole } else { Kind::Text }),
            ("in_service", Kind::Truth),
            ("suspect", Kind::Truth),
            ("shows", Kind::Text),
            ("replaced", Kind::Truth),
            ("first_alarm_on", Kind::Text),
            ("last_failure_on", Kind::Text),
            ("built_on", Kind::Text),
            ("sold_on", Kind::Text),
        ],
    );
    // An attribute may be called like a column of ours.
    let taken: Vec<String> = sheet.columns.iter().map(|column| column.0.clone()).collect();
    sheet.columns.extend(attributes.iter().map(|name| match taken.contains(name) {
        true => (format!("attribute_{name}"), Kind::Text),
        false => (name.clone(), Kind::Text),
    }));
    for one in &report.listed {
        let id = if is_integer { Value::Whole(one.id.parse().ok()) } else { text(one.id.clone()) };
        let mut row = vec![
            id,
            Value::Truth(Some(one.in_service)),
            Value::Truth(one.suspect),
            text(one.shows.clone()),
            Value::Truth(Some(one.replaced)),
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

fn not_counted(report: &CohortReport, vehicle_column: &str) -> Sheet {
    let mut sheet = Sheet::new("not_counted", &[(vehicle_column, Kind::Text), ("why", Kind::Text)]);
    sheet.rows.extend(report.not_counted.iter().map(|(id, why)| vec![text(id.clone()), text(why.name())]));
    sheet
}

fn ranges(report: &CohortReport) -> Sheet {
    let mut sheet = Sheet::new(
        "ranges",
        &[
            ("attribute", Kind::Text),
            ("value", Kind::Text),
            ("vehicles", Kind::Whole),
            ("first_build", Kind::Text),
            ("last_build", Kind::Text),
            ("first_id", Kind::Text),
            ("last_id", Kind::Text),
            ("share_of_sales", Kind::Number),
        ],
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
            ("failure_mode", Kind::Text),
            ("horizon_days", Kind::Whole),
            ("expected", Kind::Number),
            ("confidence", Kind::Number),
            ("lower", Kind::Whole),
            ("upper", Kind::Whole),
            ("plug_in_lower", Kind::Whole),
            ("plug_in_upper", Kind::Whole),
            ("lower_plug_in_cover", Kind::Number),
            ("upper_plug_in_cover", Kind::Number),
            ("lower_cover", Kind::Number),
            ("upper_cover", Kind::Number),
            ("calibrated", Kind::Truth),
            ("method", Kind::Text),
            ("counts", Kind::Text),
            ("share_weather", Kind::Number),
            ("share_parameters", Kind::Number),
            ("share_chance", Kind::Number),
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
            Value::Truth(Some(one.calibrated)),
            text(report.method.english()),
            text(report.counts),
            number(one.share_weather),
            Value::Number(one.share_parameters),
            number(one.share_chance),
        ]
    }));
    sheet
}

fn defects(report: &CohortReport) -> Sheet {
    let mut sheet = Sheet::new(
        "defects",
        &[
            ("defect", Kind::Text),
            ("shows_as", Kind::Text),
            ("vehicles", Kind::Whole),
            ("share", Kind::Number),
            ("share_lower", Kind::Number),
            ("share_upper", Kind::Number),
            ("vehicles_of_others", Kind::Whole),
            ("share_of_others", Kind::Number),
        ],
    );
    sheet.rows.extend(report.defects.iter().map(|one| {
        vec![
            text(one.name.clone()),
            text(one.shows_as),
            whole(one.inside.vehicles),
            number(one.inside.share),
            number(one.inside.lower),
            number(one.inside.upper),
            whole(one.vehicles_of_others),
            number(one.share_of_others),
        ]
    }));
    sheet
}

fn boundaries(report: &CohortReport) -> Sheet {
    let mut sheet = Sheet::new(
        "boundaries",
        &[
            ("defect", Kind::Text),
            ("attribute", Kind::Text),
            ("value", Kind::Text),
            ("vehicles", Kind::Whole),
            ("marked", Kind::Whole),
            ("expected", Kind::Number),
            ("ratio", Kind::Number),
            ("log10_p", Kind::Number),
            ("p", Kind::Number),
        ],
    );
    let row = |one: &Boundary| {
        vec![
            text(one.defect.clone()),
            text(one.attribute.clone()),
            Value::Text(one.value.clone()),
            whole(one.vehicles),
            whole(one.marked),
            number(one.expected),
            Value::Number(one.ratio),
            number(one.log10_p),
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
            ("vehicles_of", Kind::Text),
            ("month_in_service", Kind::Whole),
            ("vehicles", Kind::Whole),
            ("incidents", Kind::Whole),
            ("incidents_per_1000", Kind::Number),
            ("cumulative_per_1000", Kind::Number),
            ("cost_per_1000", Kind::Number),
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
    let mut sheet = Sheet::new(
        "money",
        &[
            ("measure", Kind::Text),
            ("figure", Kind::Text),
            ("mean", Kind::Number),
            ("p05", Kind::Number),
            ("p50", Kind::Number),
            ("p95", Kind::Number),
        ],
    );
    for one in outcomes {
        let none = || Value::Number(None);
        sheet.rows.push(vec![text(one.measure.name()), text("treated"), number(one.treated), none(), none(), none()]);
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
            sheet.rows.push(vec![text(one.measure.name()), text(figure), number(share), none(), none(), none()]);
        }
    }
    sheet
}
