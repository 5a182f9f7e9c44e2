//! What a fit leaves: the model with its values, and tables of estimates, their covariances and what became of the lives.
//!
//! Key idea: the covariance that a model carries speaks of shapes and lives alone, and a forecast moves these for the
//! whole fleet. So a life's error there is that at the conditions that the fleet lives in: the errors of the curves and
//! ratios around it are carried along, as the mean of the fleet's clocks feels them. The table `covariance` holds that
//! of the parameters themselves.
//!
//! Units: the file's; covariances on the working scale: logarithms, but for exponents, coefficients, energies (their
//! temperature in kelvin), midpoints, widths and optima.

#![allow(clippy::needless_range_loop, reason = "rows and columns index several matrices at once")]

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};

use super::estimate::{Estimate, Status};
use super::law::MOST_PARAMETERS;
use super::matrix::{Matrix, zeros};
use super::plan::HistoryFit;
use crate::fleet::writer::WriteError;
use crate::model::error::ModelError;
use crate::model::free::{FreeParameter, ParameterPath};
use crate::model::rewrite::Rewrite;
use crate::model::spec::Model;
use crate::simulate::table::{Columns, texts};

/// Added to the diagonal, so that a matrix of dependent rows stays a covariance after rounding.
const RIDGE: f64 = 1e-11;

impl HistoryFit {
    /// All estimates, in the order of the model.
    pub fn estimates(&self) -> impl Iterator<Item = &Estimate> {
        self.groups.iter().flat_map(|group| &group.estimates)
    }

    /// The model with the fitted values and their covariance, as `simulate` takes it; `given` is the model as it was.
    pub fn fitted(&self, given: &Model) -> Model {
        let mut model = given.clone();
        for (path, value) in self.values() {
            path.set(&mut model, value);
        }
        let (names, matrix) = self.covariance(given);
        let parameter = |name: &String| {
            let path = self.carried(given).into_iter().find(|(_, own)| own == name)?.0;
            Some(match path {
                ParameterPath::WeibullShape { mode } => crate::model::covariance::Parameter::WeibullShape { mode },
                ParameterPath::Mechanism { mode, mechanism, .. } => {
                    let before: usize = given.modes[..mode].iter().map(|mode| mode.mechanisms.len()).sum();
                    crate::model::covariance::Parameter::CharacteristicLife { mechanism: before + mechanism }
                }
            })
        };
        let parameters: Vec<_> = names.iter().filter_map(parameter).collect();
        model.covariance = crate::model::covariance::cholesky(&matrix)
            .filter(|_| !parameters.is_empty())
            .map(|cholesky| crate::model::covariance::Covariance { parameters, cholesky });
        model
    }

    /// The text of the model with the fitted values, their errors in a heading.
    ///
    /// # Errors
    ///
    /// A text that is not that of `given`.
    pub fn model_text(&self, text: &str, given: &Model, as_of: &str) -> Result<String, ModelError> {
        let mut heading = vec![format!("Fitted by fleetwear {} to data up to {as_of}.", env!("CARGO_PKG_VERSION"))];
        for group in &self.groups {
            let ids: Vec<&str> = group.modes.iter().map(|&mode| given.modes[mode].id.as_str()).collect();
            heading.push(format!(
                "{}: {} lives, {} failures, log-likelihood {:.3} (as given {:.3})",
                ids.join(", "),
                group.counts.lives,
                group.failures,
                group.log_likelihood,
                group.given_log_likelihood
            ));
            for one in &group.estimates {
                let name = one.path.name(given);
                heading.push(match (&one.status, one.standard_error) {
                    (Status::Estimated, Some(error)) => format!("  {name} = {} ± {}", short(one.value), short(error)),
                    (Status::BoundOnly, _) => match one.lower {
                        Some(lower) => {
                            format!("  {name}: at least {} (95 %), left at {}", short(lower), short(one.value))
                        }
                        None => format!("  {name}: left at {}", short(one.value)),
                    },
                    (status, _) => format!("  {name}: {} ({})", short(one.value), status.reason().unwrap_or_default()),
                });
            }
        }
        let rewrite = Rewrite { heading, values: self.values().collect(), covariance: self.covariance(given) };
        rewrite.apply(text, given)
    }

    fn values(&self) -> impl Iterator<Item = (ParameterPath, f64)> {
        let fitted = |one: &&Estimate| matches!(one.status, Status::Estimated | Status::NotIdentifiable(_));
        self.estimates().filter(fitted).map(|one| (one.path, one.value))
    }

    /// Shapes and lives that a forecast is to move, by name.
    fn carried(&self, given: &Model) -> Vec<(ParameterPath, String)> {
        self.rows(given).into_iter().map(|(path, _, _)| (path, path.name(given))).collect()
    }

    /// Of each carried number: the group, and how it answers the group's parameters.
    fn rows(&self, given: &Model) -> Vec<(ParameterPath, usize, [f64; MOST_PARAMETERS])> {
        let mut rows = Vec::new();
        for (number, group) in self.groups.iter().enumerate() {
            let known: Vec<bool> =
                (0..group.estimates.len()).map(|place| group.covariance[place][place] > 0.0).collect();
            for (place, one) in group.estimates.iter().enumerate() {
                if matches!(one.path, ParameterPath::WeibullShape { .. }) && known[place] {
                    let mut row = [0.0; MOST_PARAMETERS];
                    row[place] = 1.0;
                    rows.push((one.path, number, row));
                }
            }
            for (mechanism, row) in &group.life_slopes {
                if (0..known.len()).any(|place| known[place] && row[place] != 0.0) {
                    rows.push((life_of(given, &group.modes, *mechanism), number, *row));
                }
            }
        }
        rows
    }

    /// Names and matrix of the covariance that the model carries.
    pub fn covariance(&self, given: &Model) -> (Vec<String>, Matrix) {
        let rows = self.rows(given);
        let mut matrix = zeros(rows.len());
        for (i, (_, group, a)) in rows.iter().enumerate() {
            for (j, (_, other, b)) in rows.iter().enumerate().filter(|(_, (_, other, _))| other == group) {
                let own = &self.groups[*other].covariance;
                let times_b = |row: &Vec<f64>| -> f64 { row.iter().zip(b).map(|(x, b)| x * b).sum() };
                matrix[i][j] = own.iter().zip(a).map(|(row, a)| a * times_b(row)).sum();
            }
        }
        for i in 0..rows.len() {
            matrix[i][i] *= 1.0 + RIDGE;
            for j in 0..i {
                matrix[i][j] = matrix[j][i];
            }
        }
        (rows.iter().map(|(path, ..)| path.name(given)).collect(), matrix)
    }

    /// One row a free parameter.
    pub fn estimates_table(&self, given: &Model) -> Result<RecordBatch, WriteError> {
        let rows: Vec<&Estimate> = self.estimates().collect();
        let names: Vec<String> = rows.iter().map(|one| one.path.name(given)).collect();
        let modes = rows.iter().map(|one| Some(given.modes[one.path.mode()].id.as_str()));
        let mechanisms = rows.iter().map(|one| match one.path {
            ParameterPath::WeibullShape { .. } => None,
            ParameterPath::Mechanism { mode, mechanism, .. } => {
                Some(given.modes[mode].mechanisms[mechanism].id.as_str())
            }
        });
        let numbers = |of: &dyn Fn(&Estimate) -> Option<f64>| -> ArrayRef {
            Arc::new(rows.iter().map(|one| of(one).filter(|value| value.is_finite())).collect::<Float64Array>())
        };
        let mut columns = Columns::new();
        columns.add("failure_mode", false, texts(modes));
        columns.add("mechanism", true, texts(mechanisms));
        columns.add("parameter", false, texts(names.iter().map(|name| Some(name.as_str()))));
        columns.add("given", true, numbers(&|one| Some(one.given)));
        columns.add("estimate", true, numbers(&|one| Some(one.value).filter(|_| one.status != Status::BoundOnly)));
        columns.add("standard_error", true, numbers(&|one| one.standard_error));
        columns.add("bootstrap_error", true, numbers(&|one| one.bootstrap_error));
        columns.add("lower_95", true, numbers(&|one| one.lower));
        columns.add("upper_95", true, numbers(&|one| one.upper));
        columns.add("status", false, texts(rows.iter().map(|one| Some(one.status.name()))));
        columns.add("reason", true, texts(rows.iter().map(|one| one.status.reason())));
        columns.batch()
    }

    /// One row for every two parameters of a group, on the working scale.
    pub fn covariance_table(&self, given: &Model) -> Result<RecordBatch, WriteError> {
        let (mut first, mut second, mut values, mut boot) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for group in &self.groups {
            for (i, a) in group.estimates.iter().enumerate() {
                for (j, b) in group.estimates.iter().enumerate() {
                    if group.covariance[i][i] > 0.0 && group.covariance[j][j] > 0.0 {
                        first.push(a.path.name(given));
                        second.push(b.path.name(given));
                        values.push(group.covariance[i][j]);
                        boot.push(group.bootstrap.as_ref().map(|own| own[i][j]));
                    }
                }
            }
        }
        let mut columns = Columns::new();
        columns.add("parameter", false, Arc::new(StringArray::from(first)) as ArrayRef);
        columns.add("other", false, Arc::new(StringArray::from(second)) as ArrayRef);
        columns.add("covariance", false, Arc::new(Float64Array::from(values)) as ArrayRef);
        columns.add("bootstrap_covariance", true, Arc::new(Float64Array::from(boot)) as ArrayRef);
        columns.batch()
    }

    /// One row for what became of the lives of a group: used, or left out for a reason; and the orders passed over.
    pub fn lives_table(&self, given: &Model) -> Result<RecordBatch, WriteError> {
        let mut rows: Vec<(String, &str, Option<&str>, u64, u64)> = Vec::new();
        for group in &self.groups {
            let ids: Vec<&str> = group.modes.iter().map(|&mode| given.modes[mode].id.as_str()).collect();
            let counts = &group.counts;
            rows.push((ids.join(", "), "used", None, counts.lives, counts.failures));
            for (reason, out) in &counts.left_out {
                rows.push((ids.join(", "), "left_out", Some(reason), out.lives, out.failures));
            }
            for (reason, &orders) in &counts.orders {
                rows.push((ids.join(", "), "orders_passed_over", Some(reason), orders, 0));
            }
        }
        let numbers = |of: fn(&(String, &str, Option<&str>, u64, u64)) -> u64| -> ArrayRef {
            Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| of(row) as i64)))
        };
        let mut columns = Columns::new();
        columns.add("failure_modes", false, texts(rows.iter().map(|row| Some(row.0.as_str()))));
        columns.add("outcome", false, texts(rows.iter().map(|row| Some(row.1))));
        columns.add("reason", true, texts(rows.iter().map(|row| row.2)));
        columns.add("number", false, numbers(|row| row.3));
        columns.add("failures", false, numbers(|row| row.4));
        columns.batch()
    }
}

/// The characteristic life of a mechanism, given by its place among those of a group's modes. Places were counted in the
/// model of the fitted modes alone.
fn life_of(given: &Model, modes: &[usize], place: usize) -> ParameterPath {
    let mut own = modes.iter().flat_map(|&mode| (0..given.modes[mode].mechanisms.len()).map(move |own| (mode, own)));
    let (mode, mechanism) = own.nth(place).unwrap_or((modes[0], 0));
    ParameterPath::Mechanism { mode, mechanism, parameter: FreeParameter::CharacteristicLife }
}

/// Six digits.
fn short(value: f64) -> String {
    let rounded: f64 = format!("{value:.5e}").parse().unwrap_or(value);
    if rounded != 0.0 && !(1e-4..1e9).contains(&rounded.abs()) { format!("{rounded:e}") } else { format!("{rounded}") }
}
