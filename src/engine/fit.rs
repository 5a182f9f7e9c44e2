//! Fitting a model to histories: one scan for the records of the sample, then the fit, then the folder.
//!
//! [`fit_histories`] is the fit alone, for whoever has a dataset open and wants a model as of a day.

use std::path::PathBuf;
use std::time::Instant;

use super::error::EngineError;
use super::plan::CHUNK_ROWS;
use super::report::day_text;
use super::score::{thread_pool, warn};
use crate::fit::history::sample::Collector;
use crate::fit::history::{FitRequest, HistoryFit, SettledFit};
use crate::fleet::account::Account;
use crate::fleet::chunk::Order;
use crate::fleet::dataset::Dataset;
use crate::fleet::manifest::{Manifest, ManifestAccount, ManifestModel, StageTiming};
use crate::fleet::scan::{ScanKind, ScanReport, ScanRequest, UnreadableFile, scan};
use crate::fleet::writer::OutputFolder;
use crate::model::rewrite;
use crate::model::spec::Model;
use crate::run::{Control, Event};
use crate::simulate::table;

/// File of the output folder with the fitted model.
pub const MODEL_FILE: &str = "model.toml";

/// A fit. [`FitPlan::new`] fills in what hardly anybody changes.
#[derive(Clone, Debug)]
pub struct FitPlan {
    /// `dataset.toml`, or the folder that holds it.
    pub data: PathBuf,
    /// A model file, or the name of a shipped model.
    pub model: String,
    /// Folder to write; must be empty or not there.
    pub out: PathBuf,
    /// The day on which the data are taken to end; `None`: that of the latest record.
    pub as_of_day: Option<i32>,
    /// All but `as_of_day`, which is settled later.
    pub request: FitRequest,
    pub reading: Reading,
    /// Where rows go that do not fit; `None`: where the result is staged.
    pub spill_folder: Option<PathBuf>,
}

/// How to read. Nothing of the result depends on it.
#[derive(Clone, Debug)]
pub struct Reading {
    pub threads: usize,
    /// For buffers; the sample's records come on top.
    pub memory_limit_bytes: usize,
    pub chunk_rows: usize,
    pub reversed: bool,
    pub scan_kind: Option<ScanKind>,
    pub hash_inputs: bool,
}

impl Default for Reading {
    fn default() -> Self {
        Self {
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            memory_limit_bytes: 512 << 20,
            chunk_rows: CHUNK_ROWS,
            reversed: false,
            scan_kind: None,
            hash_inputs: true,
        }
    }
}

impl FitPlan {
    pub fn new(data: PathBuf, model: impl Into<String>, out: PathBuf) -> Self {
        let request = FitRequest::new(i32::MAX, 1);
        let reading = Reading::default();
        Self { data, model: model.into(), out, as_of_day: None, request, reading, spill_folder: None }
    }
}

/// A finished fit. The folder is in place.
#[derive(Clone, Debug)]
pub struct FitReport {
    pub out: PathBuf,
    pub fit: HistoryFit,
    /// As it was given.
    pub model: Model,
    pub account: Account,
    pub unreadable: Vec<UnreadableFile>,
    pub as_of: String,
    pub content_hash: String,
    pub warnings: Vec<String>,
    pub seconds: f64,
    pub manifest: Manifest,
}

/// Fits a model's free parameters to the histories and events of a dataset, and writes the folder `plan.out`: the model
/// with its values, the tables `estimates`, `covariance` and `lives`, a manifest and `_SUCCESS`.
///
/// # Errors
///
/// Whatever is wrong with dictionary, tables, histories, model or output folder; a model that frees nothing; a dataset
/// without failures on record; interruption.
pub fn fit(plan: &FitPlan, control: &Control) -> Result<FitReport, EngineError> {
    let began = Instant::now();
    control.emit(Event::Stage { name: "plan", total_rows: None });
    let folder = OutputFolder::create(&plan.out)?;
    let model = Model::load(&plan.model)?;
    let text = rewrite::text(&plan.model)?;
    let mut dataset = Dataset::open(&plan.data, plan.reading.threads, control)?;
    dataset.spill_to(plan.spill_folder.as_deref().or(Some(folder.staging())));
    let mut warnings = Vec::new();
    let mut request = plan.request.clone();
    request.as_of_day = match plan.as_of_day {
        Some(day) => day,
        None => dataset.latest_day(control)?.ok_or(EngineError::NoRecords)?,
    };
    let (mut done, mut scan) = fit_histories(&dataset, &model, &request, &plan.reading, control)?;
    if plan.as_of_day.is_none()
        && let Some(latest) = done.latest_day.filter(|&latest| latest != request.as_of_day)
    {
        let text = "the latest row cannot be used, or the files' statistics are wrong: reading again as of the latest record that counts";
        warn(&mut warnings, control, text.to_owned());
        request.as_of_day = latest;
        (done, scan) = fit_histories(&dataset, &model, &request, &plan.reading, control)?;
    }
    for text in dataset.warnings().chain(done.fit.warnings.clone()) {
        warn(&mut warnings, control, text);
    }
    control.emit(Event::Stage { name: "write", total_rows: None });
    let as_of = day_text(dataset.axis, request.as_of_day);
    let fit = done.fit;
    let provenance = [
        ("fleetwear.as_of".to_owned(), as_of.clone()),
        ("fleetwear.dictionary_blake3".to_owned(), dataset.dictionary.blake3.clone()),
        ("fleetwear.model".to_owned(), format!("{} {}", model.name, model.version)),
        ("fleetwear.model_blake3".to_owned(), model.hash.clone()),
        ("fleetwear.seed".to_owned(), request.seed.to_string()),
    ];
    let mut whole = blake3::Hasher::new();
    for (name, batch) in [
        ("estimates", fit.estimates_table(&model)?),
        ("covariance", fit.covariance_table(&model)?),
        ("lives", fit.lives_table(&model)?),
    ] {
        let hash = table::write(&folder, name, &[], &provenance, [Ok(batch)])?;
        whole.update(format!("{name} {hash}\n").as_bytes());
    }
    let fitted = fit.model_text(&text, &model, &as_of)?;
    whole.update(fitted.as_bytes());
    folder.write_file(MODEL_FILE, fitted.as_bytes())?;
    let content_hash = whole.finalize().to_hex().to_string();
    let seconds = began.elapsed().as_secs_f64();
    let manifest = Manifest {
        command: "fit".to_owned(),
        options: options(plan, &request),
        model: Some(ManifestModel {
            name: model.name.clone(),
            version: model.version.clone(),
            blake3: model.hash.clone(),
        }),
        dictionary_blake3: Some(dataset.dictionary.blake3.clone()),
        as_of: Some(as_of.clone()),
        inputs: dataset.manifest_inputs(&scan.inputs),
        table_rows: dataset.table_rows(),
        account: Some(ManifestAccount::from(&scan.account)),
        content_hash: Some(content_hash.clone()),
        warnings: warnings.clone(),
        device: "processor".to_owned(),
        threads: plan.reading.threads,
        timings: vec![
            StageTiming { stage: "read".to_owned(), seconds: done.read_seconds },
            StageTiming { stage: "fit".to_owned(), seconds: done.fit_seconds },
            StageTiming { stage: "total".to_owned(), seconds },
        ],
        details: details(&fit, &model)?,
        ..Manifest::default()
    };
    let manifest = folder.finish(manifest)?;
    Ok(FitReport {
        out: plan.out.clone(),
        fit,
        model,
        account: scan.account,
        unreadable: scan.unreadable,
        as_of,
        content_hash,
        warnings,
        seconds,
        manifest,
    })
}

/// A fit with the times it took.
#[derive(Clone, Debug)]
pub struct Fitted {
    pub fit: HistoryFit,
    /// Day of the latest record that was read.
    pub latest_day: Option<i32>,
    pub read_seconds: f64,
    pub fit_seconds: f64,
}

/// Fits a model to what a dataset knows on `request.as_of_day`. [`HistoryFit::fitted`] gives the model with its
/// covariance.
///
/// # Errors
///
/// As [`fit`].
pub fn fit_histories(
    dataset: &Dataset,
    model: &Model,
    request: &FitRequest,
    reading: &Reading,
    control: &Control,
) -> Result<(Fitted, ScanReport), EngineError> {
    let pool = thread_pool(reading.threads)?;
    let began = Instant::now();
    let settled = SettledFit::new(dataset, model, request)?;
    let collector = Collector::new(&settled.wanted, reading.threads);
    let asked = ScanRequest {
        channels: settled.channels.clone(),
        order: Order::TimeOrderedPerVehicle,
        as_of_day: Some(request.as_of_day),
        threads: reading.threads,
        memory_limit_bytes: reading.memory_limit_bytes,
        chunk_rows: reading.chunk_rows,
        reversed: reading.reversed,
        shard: None,
        kind: reading.scan_kind,
        hash_inputs: reading.hash_inputs,
        files: None,
    };
    let report = scan(dataset, &asked, control, &collector)?;
    let read_seconds = began.elapsed().as_secs_f64();
    let collected = collector.finish();
    let latest_day = collected.ticks.map(|(_, last)| dataset.axis.day(last));
    control.emit(Event::Stage { name: "fit", total_rows: None });
    let fit = pool.install(|| settled.finish(collected, control))?;
    let fit_seconds = began.elapsed().as_secs_f64() - read_seconds;
    Ok((Fitted { fit, latest_day, read_seconds, fit_seconds }, report))
}

/// The options that bear on the content.
fn options(plan: &FitPlan, request: &FitRequest) -> serde_json::Map<String, serde_json::Value> {
    let mut options = serde_json::Map::new();
    options.insert("model".to_owned(), plan.model.clone().into());
    options.insert("as_of_day".to_owned(), request.as_of_day.into());
    options.insert("seed".to_owned(), request.seed.into());
    options.insert("modes".to_owned(), request.modes.clone().into());
    options.insert("lives_and_shapes".to_owned(), request.lives_and_shapes.into());
    options.insert("sample".to_owned(), request.sample.into());
    options.insert("memory_limit_bytes".to_owned(), request.memory_limit_bytes.into());
    options.insert("bootstrap".to_owned(), request.replicates.into());
    options.insert("events_since".to_owned(), request.events_since.into());
    options.insert("prior_use_days".to_owned(), request.prior_use_days.into());
    options
}

fn details(fit: &HistoryFit, model: &Model) -> Result<serde_json::Map<String, serde_json::Value>, EngineError> {
    let mut details = serde_json::Map::new();
    details.insert("candidates".to_owned(), fit.vehicles.into());
    details.insert("sampled".to_owned(), fit.sampled.into());
    details.insert("report_delay_mean_days".to_owned(), fit.delay.as_ref().map(|law| law.mean_days).into());
    let groups: Vec<serde_json::Value> = fit
        .groups
        .iter()
        .map(|group| {
            let ids: Vec<&str> = group.modes.iter().map(|&mode| model.modes[mode].id.as_str()).collect();
            serde_json::json!({
                "failure_modes": ids,
                "log_likelihood": group.log_likelihood,
                "log_likelihood_as_given": group.given_log_likelihood,
                "expected_failures": group.expected,
                "expected_failures_as_given": group.given_expected,
                "failures": group.failures,
                "converged": group.converged,
                "likelihood_sums": group.sums,
                "strata": group.strata,
                "lives": group.counts,
                "estimates": group.estimates.iter().map(|one| serde_json::json!({
                    "parameter": one.path.name(model),
                    "given": one.given,
                    "estimate": one.value,
                    "standard_error": one.standard_error,
                    "bootstrap_error": one.bootstrap_error,
                    "lower_95": one.lower,
                    "upper_95": one.upper,
                    "status": one.status.name(),
                    "reason": one.status.reason(),
                })).collect::<Vec<_>>(),
            })
        })
        .collect();
    details.insert("groups".to_owned(), groups.into());
    Ok(details)
}
