//! `fit --lifetimes`: agreement with R, lifelines and others on published tables; independent formulas; tables in every
//! form that people keep them in; lives that determine nothing.

mod agreements;
mod commands;
mod degenerate;
mod nonparametric;
mod oracle;
mod reading;
mod workbook;

use std::path::{Path, PathBuf};

use fleetwear::fit::lives::estimate::{Fitted, Parameter};
use fleetwear::fit::lives::law::Law;
use fleetwear::fit::lives::report::{GroupReport, LawReport, LivesReport};
use fleetwear::fit::lives::{LivesError, LivesPlan, fit_lives};
use fleetwear::run::Control;

/// A file of the published data, unless the data are allowed to be missing and are.
pub fn outside(test: &str, file: &str) -> Option<PathBuf> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data"));
    if std::env::var("FLEETWEAR_OUTSIDE_DATA").as_deref() == Ok("skip") && !folder.exists() {
        crate::skipped::say(test, &format!("{} is not there, and FLEETWEAR_OUTSIDE_DATA=skip", folder.display()));
        return None;
    }
    Some(folder.join(file))
}

/// Writes a table and fits it.
pub fn fitted(table: &[u8], name: &str, change: impl FnOnce(&mut LivesPlan)) -> Result<LivesReport, LivesError> {
    let here = tempfile::tempdir().unwrap();
    let path = here.path().join(name);
    std::fs::write(&path, table).unwrap();
    run(&path, change)
}

pub fn run(path: &Path, change: impl FnOnce(&mut LivesPlan)) -> Result<LivesReport, LivesError> {
    let mut plan = LivesPlan::new(path.to_path_buf());
    change(&mut plan);
    fit_lives(&plan, &Control::silent())
}

pub fn law(group: &GroupReport, law: Law) -> &Fitted {
    let found = group.laws.iter().find(|report| report.law() == law);
    found.and_then(LawReport::fitted).unwrap_or_else(|| panic!("{law:?}: {:?}", found))
}

pub fn parameter<'a>(fitted: &'a Fitted, name: &str) -> &'a Parameter {
    let all = fitted.parameters.iter().chain(&fitted.shares_failed);
    all.clone().find(|one| one.name == name).unwrap_or_else(|| panic!("no {name} in {:?}", fitted.parameters))
}

/// Whether two numbers agree to a share of the second.
pub fn close(got: f64, want: f64, relative: f64) -> bool {
    (got - want).abs() <= relative * want.abs()
}
