//! `[covariance]` of a model file: the parameters by their paths, and a symmetric matrix.

use super::section::Section;
use crate::model::covariance::{Covariance, Parameter, cholesky};
use crate::model::error::{ModelError, nearest};
use crate::model::spec::FailureMode;

pub(super) fn covariance(section: Section, modes: &[FailureMode]) -> Result<Covariance, ModelError> {
    section.only(&["parameters", "matrix", "source"])?;
    let mut known: Vec<(String, Parameter)> = Vec::new();
    let mut mechanism = 0;
    for (mode, one) in modes.iter().enumerate() {
        known.push((format!("{}.weibull_shape", one.id), Parameter::WeibullShape { mode }));
        for own in &one.mechanisms {
            let path = format!("{}.{}.characteristic_life", one.id, own.id);
            known.push((path, Parameter::CharacteristicLife { mechanism }));
            mechanism += 1;
        }
    }
    let names = section.texts("parameters")?;
    let mut parameters = Vec::with_capacity(names.len());
    for name in names {
        let Some((_, parameter)) = known.iter().find(|(path, _)| path == name) else {
            let near = nearest(name, known.iter().map(|(path, _)| path.as_str()));
            let near = near.map(|near| format!(" (did you mean {near:?}?)")).unwrap_or_default();
            let problem = format!("the model has no parameter {name:?}{near}");
            let remedy = "name <mode>.weibull_shape or <mode>.<mechanism>.characteristic_life";
            return Err(section.value_error("parameters", problem, remedy));
        };
        if parameters.contains(parameter) {
            return Err(section.value_error("parameters", format!("{name:?} stands there twice"), "name each once"));
        }
        parameters.push(*parameter);
    }
    let matrix = section.number_rows("matrix")?;
    let size = parameters.len();
    let square = matrix.len() == size && matrix.iter().all(|row| row.len() == size);
    let symmetric = square && (0..size).all(|row| (0..row).all(|column| matrix[row][column] == matrix[column][row]));
    if !symmetric {
        let problem = format!("not a symmetric matrix of {size} by {size}");
        return Err(section.value_error("matrix", problem, "give a row and a column a parameter"));
    }
    let remedy = "give the covariance of the parameters' natural logarithms, as `fleetwear fit` writes it";
    let factor = cholesky(&matrix)
        .ok_or_else(|| section.value_error("matrix", "no variables have these variances and covariances", remedy))?;
    Ok(Covariance { parameters, cholesky: factor })
}
