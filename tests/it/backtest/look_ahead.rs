//! Nothing that was not known on a cut day bears on what is stated on it: whatever came later, and with files that end
//! there, every stated number is the same to the byte.

use std::path::Path;

use fleetwear::backend::Choice;
use fleetwear::engine::{BacktestPlan, BacktestReport, FitPlan, SimulatePlan, backtest, fit, simulate};
use fleetwear::fit::history::FitRequest;
use fleetwear::run::Control;

use super::two_futures::{CUT, Fork, WHOLE};

/// One cut, at the fork.
fn judged(fork: Fork, change: impl FnOnce(&mut BacktestPlan)) -> BacktestReport {
    let here = tempfile::tempdir().unwrap();
    let data = here.path().join("fleet");
    fork.write(&data);
    let model = data.join("model.toml").to_string_lossy().into_owned();
    let mut plan = BacktestPlan::new(data, model, here.path().join("out"), CUT);
    plan.to_day = Some(CUT);
    (plan.simulation.backend, plan.simulation.paths, plan.simulation.threads) = (Choice::Cpu, 8, 2);
    change(&mut plan);
    backtest(&plan, &Control::silent()).unwrap()
}

fn with_fit(plan: &mut BacktestPlan) {
    plan.fit = Some(FitRequest::new(i32::MAX, 1));
}

fn stated(report: &BacktestReport) -> Vec<String> {
    let words = |cut: &fleetwear::engine::backtest_plan::CutReport| format!("{} {:?}", cut.stated_hash, cut.fitted);
    report.cuts.iter().map(words).collect()
}

#[test]
fn another_future_changes_what_came_and_nothing_that_was_stated() {
    for change in [
        |_: &mut BacktestPlan| {},
        with_fit,
        |plan: &mut BacktestPlan| {
            with_fit(plan);
            plan.folds = Some(2);
        },
    ] {
        let one = judged(WHOLE, change);
        let other = judged(Fork { future: 2, ..WHOLE }, change);
        assert_eq!(stated(&one), stated(&other));
        assert_ne!(one.content_hash, other.content_hash, "what came is another");
        let past = judged(Fork { past: 1, ..WHOLE }, change);
        assert_ne!(stated(&one), stated(&past), "another past would not be seen either");
    }
}

/// What `simulate` states of files that end on the cut day, and what `fit` finds in them.
fn of_files_that_end(data: &Path) -> (String, Vec<(String, f64)>) {
    let out = tempfile::tempdir().unwrap();
    let model = data.join("model.toml").to_string_lossy().into_owned();
    let mut plan = SimulatePlan::new(data.to_path_buf(), model.clone(), out.path().join("futures"));
    (plan.backend, plan.paths, plan.threads) = (Choice::Cpu, 8, 2);
    (plan.as_of_day, plan.horizon_weeks, plan.monitors) = (Some(CUT), 13, false);
    let hash = simulate(&plan, &Control::silent()).unwrap().content_hash;
    let mut plan = FitPlan::new(data.to_path_buf(), model, out.path().join("fitted"));
    (plan.as_of_day, plan.request) = (Some(CUT), FitRequest::new(CUT, 1));
    let report = fit(&plan, &Control::silent()).unwrap();
    let named = report.fit.estimates().map(|one| (one.path.name(&report.model), one.value));
    (hash, named.collect())
}

#[test]
fn files_that_end_on_the_cut_day_state_the_same() {
    let here = tempfile::tempdir().unwrap();
    Fork { until: CUT, ..WHOLE }.write(here.path());
    let (hash, estimates) = of_files_that_end(here.path());
    let report = judged(WHOLE, |_| {});
    assert_eq!(report.cuts[0].stated_hash, hash);
    let fitted = judged(WHOLE, with_fit);
    let values: Vec<(String, f64)> =
        fitted.cuts[0].fitted.iter().map(|one| (one.parameter.clone(), one.value)).collect();
    assert_eq!(values, estimates);
    assert!(values.len() == 4 && fitted.cuts[0].stated_hash != hash, "{values:?}");
    // Dealers' cars with records before their sale have no owner to tell, and are not judged.
    assert!(report.cuts[0].not_sold == 5 && report.cuts[0].known_failed > 0, "{:?}", report.cuts[0]);
}

#[test]
fn a_state_and_any_number_of_threads_give_the_same() {
    let plain = judged(WHOLE, |plan| plan.step = None);
    let state = tempfile::tempdir().unwrap();
    let folder = state.path().join("state");
    let kept = judged(WHOLE, |plan| {
        (plan.simulation.state, plan.simulation.threads) = (Some(folder.clone()), 1);
    });
    assert_eq!(plain.content_hash, kept.content_hash);
    assert_eq!(plain.cuts, kept.cuts);
}
