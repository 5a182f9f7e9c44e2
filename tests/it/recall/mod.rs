//! `recall`: bounds of the number that will fail, against published numbers, closed forms and their own coverage.

mod commands;
mod few;
mod fleet;
mod lives;

use std::path::Path;

use fleetwear::recall::plan::RecallLivesPlan;
use fleetwear::recall::report::{GroupForecast, RecallLivesReport};
use fleetwear::recall::{RecallError, recall_lives};
use fleetwear::run::Control;

pub fn run(
    path: &Path,
    horizons: &[f64],
    change: impl FnOnce(&mut RecallLivesPlan),
) -> Result<RecallLivesReport, RecallError> {
    let mut plan = RecallLivesPlan::new(path.to_path_buf(), horizons.to_vec());
    change(&mut plan);
    recall_lives(&plan, &Control::silent())
}

/// Writes a table and predicts its one group.
pub fn sized(
    table: &str,
    horizons: &[f64],
    change: impl FnOnce(&mut RecallLivesPlan),
) -> Result<GroupForecast, RecallError> {
    let here = tempfile::tempdir().unwrap();
    let path = here.path().join("lives.csv");
    std::fs::write(&path, table).unwrap();
    run(&path, horizons, change).map(|mut report| report.groups.remove(0))
}
