//! From a back-test's sums to its tables, drawings, manifest and report.

use std::time::Instant;

use serde_json::json;

use super::backtest_cut::{CutDone, Rolling};
use super::backtest_plan::{BacktestPlan, BacktestReport, CutReport};
use super::error::EngineError;
use crate::backtest::counts::PlacedCount;
use crate::backtest::judged::JudgedPart;
use crate::backtest::measures::{DEFINITIONS, Measured};
use crate::backtest::outcome::OutcomeKind;
use crate::backtest::tables;
use crate::backtest::{plots, scores};
use crate::fleet::manifest::{Manifest, ManifestAccount, ManifestModel, StageTiming};
use crate::fleet::writer::{OutputFolder, WriteError};
use crate::simulate::table;

/// The predictions, written.
pub struct Stated {
    pub rows: u64,
    pub content_hash: String,
    pub provenance: Vec<(String, String)>,
}

/// What the cuts left behind.
pub struct Done {
    /// Calendar days.
    pub days: Vec<i32>,
    /// In service, by cut.
    pub vehicles: Vec<u64>,
    pub parts: Vec<JudgedPart>,
    pub counts: Vec<PlacedCount>,
    pub reports: Vec<CutReport>,
    /// Of the latest cut, without what was kept.
    last: Option<super::simulate_plan::SimulateReport>,
}

impl Done {
    pub fn new(days: &[i32]) -> Self {
        Self {
            days: days.to_vec(),
            vehicles: vec![0; days.len()],
            parts: Vec::new(),
            counts: Vec::new(),
            reports: Vec::new(),
            last: None,
        }
    }

    pub fn take(&mut self, cut: CutDone) {
        self.parts.extend(cut.parts.into_iter().map(|(_, _, part)| part));
        self.counts.extend(cut.counts);
        self.reports.push(cut.report);
        self.last = Some(cut.simulated);
    }
}

/// How cases are counted, in words that go out with the numbers.
pub fn conventions(kind: OutcomeKind) -> Vec<String> {
    let failure = match kind {
        OutcomeKind::Failures => {
            "a part fails by a failure on record that was not found to be none; one that was replaced without a failure counts by its finding: confirmed, it failed; not found, it was a false alarm if it was warned of; without a finding it is left out and counted"
        }
        OutcomeKind::Replacements => "every replacement on record is taken for the failure of its part",
    };
    vec![
        failure.to_owned(),
        "a failure that had occurred by the cut day and was not reported by then counts as to come, and its chance is part of what was stated".to_owned(),
        "a part that left service or was replaced for another reason within the horizon neither failed nor survived: it is left out, and those that were followed count for it by the inverse chance of having been followed (product limit, parts warned of and parts not apart)".to_owned(),
        "intervals are for 95 % and come from the spread between vehicles; weather that all share on a cut day is not in them".to_owned(),
        format!("chances nearer than {:e} to 0 or 1 count as that far from it in the log score and the slope", scores::LEAST_CHANCE),
        "a count of a group holds the failures of vehicles that had a forecast, those of successor parts too".to_owned(),
    ]
}

/// Writes everything and makes the folder visible.
pub fn written(
    rolling: &Rolling,
    folder: OutputFolder,
    stated: Stated,
    (done, measured, counts): (Done, Measured, Vec<PlacedCount>),
    warnings: Vec<String>,
    began: Instant,
) -> Result<BacktestReport, EngineError> {
    let (plan, axis, dataset) = (rolling.plan, rolling.axis, rolling.dataset);
    let day_of = |cut: usize| axis.axis_day(done.days[cut]);
    let Stated { rows, content_hash, provenance } = stated;
    let mut hashes = vec![("predictions", content_hash)];
    let axis_day = |day: i32| axis.axis_day(day);
    let small = [
        ("measures", tables::measures(&measured, dataset.axis, &day_of)),
        ("reliability", tables::reliability(&measured)),
        ("pit", tables::pit(&counts, dataset.axis, &day_of, &axis_day)),
    ];
    for (name, batch) in small {
        hashes.push((name, table::write(&folder, name, &[], &provenance, [batch])?));
    }
    let report = json!({
        "conventions": conventions(plan.outcome),
        "definitions": DEFINITIONS.iter().map(|(name, words)| json!({ "measure": name, "means": words })).collect::<Vec<_>>(),
        "cuts": done.reports,
        "measures": measured.measures.iter().map(|one| {
            let mut row = json!(one);
            row["cut"] = json!(one.cut.map(|cut| super::report::day_text(dataset.axis, day_of(cut))));
            row
        }).collect::<Vec<_>>(),
    });
    folder.write_json("report.json", &report)?;
    draw(&folder, &measured)?;

    let mut whole = blake3::Hasher::new();
    let mut details = serde_json::Map::new();
    for (name, hash) in &hashes {
        whole.update(format!("{name} {hash}\n").as_bytes());
        details.insert(format!("content_hash.{name}"), hash.clone().into());
    }
    let content_hash = whole.finalize().to_hex().to_string();
    details.insert("cuts".to_owned(), json!(done.reports));
    let of_all: Vec<_> = measured.measures.iter().filter(|one| one.cut.is_none()).collect();
    details.insert("measures".to_owned(), json!(of_all));
    details.insert(
        "records_until".to_owned(),
        super::report::day_text(dataset.axis, axis.axis_day(rolling.until_day)).into(),
    );
    details.insert("report_delay_p95_days".to_owned(), rolling.report_days.into());
    let last = done.last.ok_or_else(|| EngineError::Internal { what: "a back-test without a cut".to_owned() })?;
    let seconds = began.elapsed().as_secs_f64();
    let manifest = Manifest {
        command: "backtest".to_owned(),
        options: options(plan, &done.days),
        model: Some(ManifestModel {
            name: rolling.model.name.clone(),
            version: rolling.model.version.clone(),
            blake3: rolling.model.hash.clone(),
        }),
        dictionary_blake3: Some(dataset.dictionary.blake3.clone()),
        inputs: last.manifest.inputs.clone(),
        table_rows: dataset.table_rows(),
        account: Some(ManifestAccount::from(&last.account)),
        content_hash: Some(content_hash.clone()),
        warnings: warnings.clone(),
        device: last.device.clone(),
        device_reason: last.device_reason.clone(),
        threads: plan.simulation.threads,
        timings: vec![StageTiming { stage: "total".to_owned(), seconds }],
        details,
        ..Manifest::default()
    };
    let manifest = folder.finish(manifest)?;
    Ok(BacktestReport {
        out: plan.simulation.out.clone(),
        cuts: done.reports,
        measured,
        counts,
        rows,
        account: last.account,
        unreadable: last.unreadable,
        content_hash,
        device: last.device,
        device_reason: last.device_reason,
        warnings,
        seconds,
        manifest,
    })
}

/// Drawings by failure mode and horizon.
fn draw(folder: &OutputFolder, measured: &Measured) -> Result<(), WriteError> {
    let plain = |name: &str| -> String {
        name.chars().map(|letter| if letter.is_alphanumeric() { letter } else { '_' }).take(60).collect()
    };
    for curve in &measured.curves {
        let name = format!("{}-{}d", plain(&curve.failure_mode), curve.horizon_days);
        for (kind, drawn) in [("reliability", plots::reliability(curve)), ("roc", plots::roc(curve))] {
            if let Some(svg) = drawn {
                folder.write_file(&format!("plots/{kind}-{name}.svg"), svg.as_bytes())?;
            }
        }
    }
    for spread in &measured.spreads {
        let window = spread.horizon_days.map_or("weeks".to_owned(), |days| format!("{days}d"));
        let path = format!("plots/pit-{}-{window}.svg", plain(&spread.failure_mode));
        folder.write_file(&path, plots::places(spread).as_bytes())?;
    }
    Ok(())
}

/// The options that bear on the content.
fn options(plan: &BacktestPlan, days: &[i32]) -> serde_json::Map<String, serde_json::Value> {
    let simulation = &plan.simulation;
    let mut options = serde_json::Map::new();
    options.insert("model".to_owned(), simulation.model.clone().into());
    options.insert("from_day".to_owned(), plan.from_day.into());
    options.insert("cuts".to_owned(), days.len().into());
    options.insert("step".to_owned(), plan.step.map(|step| step.to_string()).into());
    options.insert("horizon_days".to_owned(), plan.horizons_days.clone().into());
    options.insert("fit".to_owned(), plan.fit.is_some().into());
    if let Some(fit) = &plan.fit {
        options.insert("fit_modes".to_owned(), fit.modes.clone().into());
        options.insert("fit_lives_and_shapes".to_owned(), fit.lives_and_shapes.into());
        options.insert("fit_sample".to_owned(), fit.sample.into());
        options.insert("fit_seed".to_owned(), fit.seed.into());
    }
    options.insert("folds".to_owned(), plan.folds.into());
    let outcome = match plan.outcome {
        OutcomeKind::Failures => "failures",
        OutcomeKind::Replacements => "replacements",
    };
    options.insert("outcome".to_owned(), outcome.into());
    options.insert("events_until".to_owned(), plan.events_until.into());
    options.insert("pilot".to_owned(), plan.pilot.into());
    options.insert("costs".to_owned(), json!(plan.costs));
    options.insert("paths".to_owned(), simulation.paths.into());
    options.insert("groups".to_owned(), simulation.groups.clone().into());
    options.insert("zones".to_owned(), simulation.zones.clone().into());
    options.insert("seed".to_owned(), simulation.seed.into());
    options
}
