//! `free`: the names of the numbers that a fit may change.

use super::section::Section;
use crate::model::curve::Curve;
use crate::model::error::{ModelError, nearest};
use crate::model::free::{CurveKey, FreeParameter};
use crate::model::spec::{Law, Mechanism};

const SHAPE: &str = "weibull_shape";

/// Of a failure mode: whether its shape is free.
pub(super) fn of_mode(section: &Section) -> Result<bool, ModelError> {
    let names = section.texts("free")?;
    for name in &names {
        if *name != SHAPE {
            let near = nearest(name, [SHAPE]).map(|near| format!(" (did you mean {near:?}?)")).unwrap_or_default();
            let problem = format!("a failure mode has no parameter {name:?}{near}");
            let remedy = "write free = [\"weibull_shape\"] here, and what a mechanism frees with the mechanism";
            return Err(section.value_error("free", problem, remedy));
        }
    }
    twice(section, &names)?;
    Ok(!names.is_empty())
}

/// Of a mechanism that is read but for this.
pub(super) fn of_mechanism(section: &Section, mechanism: &Mechanism) -> Result<Vec<FreeParameter>, ModelError> {
    let names = section.texts("free")?;
    twice(section, &names)?;
    let known: Vec<(String, FreeParameter)> = FreeParameter::all(mechanism)
        .into_iter()
        .filter(|parameter| is_written(section, mechanism, *parameter))
        .map(|parameter| (parameter.name(mechanism), parameter))
        .collect();
    let mut free = Vec::with_capacity(names.len());
    for name in names {
        let mut found = known.iter().filter(|(known, _)| known == name).map(|(_, parameter)| *parameter);
        let Some(parameter) = found.next() else {
            let near = nearest(name, known.iter().map(|(known, _)| known.as_str()));
            let near = near.map(|near| format!(" (did you mean {near:?}?)")).unwrap_or_default();
            let all: Vec<&str> = known.iter().map(|(known, _)| known.as_str()).collect();
            let problem = format!("no parameter of the mechanism that can be free is called {name:?}{near}");
            return Err(section.value_error("free", problem, format!("name some of {}", all.join(", "))));
        };
        if found.next().is_some() {
            let problem = format!("{name:?} stands for two terms");
            return Err(section.value_error("free", problem, "join the two terms on that channel, or free neither"));
        }
        if let FreeParameter::Curve { term, key: CurveKey::Optimum } = parameter
            && let Some(Law::One(_, Curve::UShape { .. })) = mechanism.terms.get(term).map(|term| &term.law)
            && !mechanism.terms[term].places.lines.iter().any(|(key, _)| key == "reference")
        {
            let problem = format!("{name:?} would move the reference, which is the optimum unless given");
            return Err(section.value_error("free", problem, "add reference to the term"));
        }
        free.push(parameter);
    }
    Ok(free)
}

/// Whether the file writes the number under this very key: what a fit finds is put in its place.
fn is_written(section: &Section, mechanism: &Mechanism, parameter: FreeParameter) -> bool {
    match parameter {
        FreeParameter::CharacteristicLife | FreeParameter::Ratio { .. } => true,
        FreeParameter::ClockExponent => section.has("clock_exponent"),
        FreeParameter::Curve { term, key } => {
            let lines = mechanism.terms.get(term).map(|term| &term.places.lines);
            lines.is_some_and(|lines| lines.iter().any(|(written, _)| written == key.name()))
        }
    }
}

fn twice(section: &Section, names: &[&str]) -> Result<(), ModelError> {
    match names.iter().enumerate().find(|(place, name)| names[..*place].contains(name)) {
        Some((_, name)) => {
            Err(section.value_error("free", format!("{name:?} stands there twice"), "name each parameter once"))
        }
        None => Ok(()),
    }
}
