//! A synthetic fleet whose true model is known: the fitted one ranks parts as well as that, its chances are right, and its
//! warnings come near the best that the truth itself could give.

use fleetwear::backend::Choice;
use fleetwear::engine::{BacktestPlan, BacktestReport, backtest};
use fleetwear::fit::history::FitRequest;
use fleetwear::run::Control;
use fleetwear::synth::SynthPlan;

use super::value;
use crate::fit_history::{PLANTED, Planted};

/// The planted model with a level of alert for both modes.
fn with_alerts(level: f64) -> String {
    let alert = format!("alert = {{ horizon_days = 60, probability = {level} }}\nweibull_shape");
    PLANTED.replace("weibull_shape = ", &format!("{alert} = "))
}

/// The same with every free number off by a quarter or a third.
fn moved(text: &str) -> String {
    text.replace("weibull_shape = 1.8", "weibull_shape = 1.2")
        .replace("weibull_shape = 2.5", "weibull_shape = 1.9")
        .replace("characteristic_life = 420", "characteristic_life = 600")
        .replace("coefficient = -0.04", "coefficient = -0.02")
        .replace("ratio = 3.0", "ratio = 1.5")
        .replace("characteristic_life = 800", "characteristic_life = 1200")
        .replace("characteristic_life = 15000", "characteristic_life = 25000")
}

struct Size {
    vehicles: u32,
    days: u32,
    zones: &'static [&'static str],
    cuts: i32,
}

/// By the true model, by one fitted on each cut day, and by the wrong one that the fit began with.
fn three(size: &Size, folds: Option<u32>) -> [BacktestReport; 3] {
    // Nobody in this fleet is warned of anything: what comes is what was to come.
    let fleet = Planted::new(size.vehicles, size.days, 3, &with_alerts(0.999), size.zones);
    let here = tempfile::tempdir().unwrap();
    let first = SynthPlan::new(1, size.days, 3).start_day + size.days as i32 - 60 * (size.cuts + 1);
    let run = |name: &str, model: &str, fit: bool| {
        let path = here.path().join(format!("{name}.toml"));
        std::fs::write(&path, model).unwrap();
        let out = here.path().join(name);
        let mut plan = BacktestPlan::new(fleet.data(), path.to_string_lossy(), out, first);
        plan.to_day = Some(first + 60 * (size.cuts - 1));
        (plan.horizons_days, plan.pilot) = (vec![30, 60], Some(200));
        (plan.simulation.backend, plan.simulation.paths, plan.simulation.hash_inputs) = (Choice::Cpu, 32, false);
        plan.fit = fit.then(|| FitRequest::new(i32::MAX, 1));
        plan.folds = folds.filter(|_| fit);
        let report = backtest(&plan, &Control::silent()).unwrap();
        println!("{name}: {:.1} s, {} predictions", report.seconds, report.rows);
        report
    };
    let truth = with_alerts(0.2);
    [run("true", &truth, false), run("fitted", &moved(&truth), true), run("wrong", &moved(&truth), false)]
}

/// Prints and holds what was promised; `slack`: what a small fleet's own errors add.
fn check(reports: &[BacktestReport; 3], slack: f64) {
    let [truth, fitted, wrong] = reports;
    for mode in ["seal", "bearing"] {
        for days in [30, 60] {
            let of = |report: &BacktestReport, name: &str| value(report, mode, Some(days), name).unwrap();
            let auc = [truth, fitted, wrong].map(|report| of(report, "auc"));
            let slope = [truth, fitted, wrong].map(|report| of(report, "calibration_slope"));
            let ratio = [truth, fitted, wrong].map(|report| of(report, "failed_over_expected"));
            let skill = [truth, fitted, wrong].map(|report| of(report, "log_skill"));
            println!(
                "  {mode} {days} d: {} parts, {} failed; AUC {auc:.4?}, slope {slope:.3?}, came/expected {ratio:.3?}, log skill {skill:.4?}",
                of(fitted, "parts"),
                of(fitted, "failed"),
            );
            assert!((auc[1] - auc[0]).abs() < 0.01, "{mode} {days}: area {auc:?}");
            for slope in &slope[..2] {
                assert!((0.9 - slack..=1.1 + slack).contains(slope), "{mode} {days}: slope {slope}");
            }
            // The year's weather moves what comes under any model: held against the true one, not against 1.
            assert!((ratio[1] / ratio[0] - 1.0).abs() < 0.05 && ratio[2] / ratio[0] > 1.5, "{mode} {days}: {ratio:?}");
            assert!(skill[1] > skill[2], "{mode} {days}: the wrong model is as good: {skill:?}");
        }
        let of = |report: &BacktestReport, name: &str| value(report, mode, Some(60), name).unwrap();
        let names = ["precision", "recall", "accuracy", "accuracy_of_never_warning", "balanced_accuracy"];
        println!("  {mode}: of the fitted, {:?}", names.map(|name| (name, of(fitted, name))));
        let best = [truth, fitted].map(|report| of(report, "best_balanced_accuracy"));
        println!("  {mode}: best balanced accuracy in hindsight, true and fitted: {best:.4?}");
        assert!((best[0] - best[1]).abs() < 0.01 + 0.1 * slack, "{mode}: {best:?}");
        assert!(of(fitted, "balanced_accuracy") <= best[1] + 1e-12);
        let lead = value(fitted, mode, None, "lead_time_p50_days");
        println!("  {mode}: median lead {lead:?} d, {:?} alarms a day", value(fitted, mode, None, "alarms_per_day"));
        assert!(lead.is_some_and(|days| days > 0.0));
    }
}

#[test]
fn a_small_fleets_fitted_model_is_as_good_as_the_true_one() {
    let size = Size { vehicles: 700, days: 560, zones: &["helsinki", "shanghai"], cuts: 3 };
    let reports = three(&size, None);
    check(&reports, 0.08);
    for report in &reports {
        for mode in ["seal", "bearing"] {
            let p = value(report, mode, Some(60), "reliability_p").unwrap();
            let is_wrong = std::ptr::eq(report, &reports[2]);
            assert!(if is_wrong { p < 1e-3 } else { p > 1e-3 }, "{mode}: p {p}");
        }
    }
}

/// Run by name: `cargo test --release --test it backtest::synthetic -- --ignored --nocapture`.
#[test]
#[ignore = "6,000 vehicles, eighteen fits: minutes"]
fn a_fitted_model_is_as_good_as_the_true_one() {
    let zones = &["helsinki", "shenyang", "shanghai", "guangzhou"];
    let size = Size { vehicles: 6_000, days: 730, zones, cuts: 6 };
    check(&three(&size, None), 0.0);
    println!("three folds");
    check(&three(&size, Some(3)), 0.0);
}
