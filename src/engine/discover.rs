//! Discovering interactions: three passes over whole vehicles, then the folder.
//!
//! Key idea: the first pass learns how often each code occurs and what is expected of each zone's month, and keeps the
//! failures; the second sums the cubes and samples the pool; the third looks at the accepted candidates code by code, and
//! is left out where there is none. Each vehicle is walked through by itself, so memory does not grow with the records;
//! all that is summed is integer or sampled by number, so neither order nor threads show.

use std::path::PathBuf;
use std::time::Instant;

use super::discover_passes::{Learnt, Passes};
use super::error::EngineError;
use super::fit::Reading;
use super::report::day_text;
use super::score::{thread_pool, warn};
use crate::backend::Choice;
use crate::discover::close_up::View;
use crate::discover::error::{DiscoverError, FEWEST_EVENTS};
use crate::discover::findings::{Finding, Names, Searched, accepted, finding, prior};
use crate::discover::heat_map::{self, Axis};
use crate::discover::history::Histories;
use crate::discover::leak::leaks;
use crate::discover::output;
use crate::discover::passes::{event_places, without_copies};
use crate::discover::request::DiscoverRequest;
use crate::discover::search::{Found, SearchRequest, Space, search};
use crate::discover::singles::{MainEffect, main_effects};
use crate::discover::survey::Settled;
use crate::fit::history::lives::LifeCounts;
use crate::fleet::account::Account;
use crate::fleet::dataset::Dataset;
use crate::fleet::manifest::{Manifest, ManifestAccount, ManifestModel, StageTiming};
use crate::fleet::scan::{ScanReport, UnreadableFile};
use crate::fleet::writer::OutputFolder;
use crate::model::spec::Model;
use crate::run::{Control, Event};
use crate::simulate::table;

/// A discovery. [`DiscoverPlan::new`] fills in what hardly anybody changes.
#[derive(Clone, Debug)]
pub struct DiscoverPlan {
    /// `dataset.toml`, or the folder that holds it.
    pub data: PathBuf,
    /// A model file, or the name of a shipped model.
    pub model: String,
    /// Folder to write; must be empty or not there.
    pub out: PathBuf,
    /// The day on which the data are taken to end; `None`: that of the latest record.
    pub as_of_day: Option<i32>,
    /// All but `as_of_day`, which is settled later.
    pub request: DiscoverRequest,
    /// Write each finding as a piece of a model file.
    pub emit_model: bool,
    pub reading: Reading,
    /// Where cubes are summed.
    pub backend: Choice,
    /// Part of an adapter's name, or its PCI id.
    pub device: Option<String>,
    pub spill_folder: Option<PathBuf>,
}

impl DiscoverPlan {
    pub fn new(data: PathBuf, model: impl Into<String>, mode: impl Into<String>, out: PathBuf) -> Self {
        Self {
            data,
            model: model.into(),
            out,
            as_of_day: None,
            request: DiscoverRequest::new(mode),
            emit_model: false,
            reading: Reading::default(),
            backend: Choice::Auto,
            device: None,
            spill_folder: None,
        }
    }
}

/// A finished discovery. The folder is in place.
#[derive(Clone, Debug)]
pub struct DiscoverReport {
    pub out: PathBuf,
    pub findings: Vec<Finding>,
    /// Found by the search, but the interval of its close look holds 1: left out.
    pub not_borne_out: usize,
    /// What single channels and attributes do alone.
    pub main_effects: Vec<MainEffect>,
    pub events: usize,
    pub rectangles: u64,
    /// How often chance does as well as the clearest pair.
    pub p_value: f64,
    pub account: Account,
    pub unreadable: Vec<UnreadableFile>,
    pub as_of: String,
    pub content_hash: String,
    pub seconds: f64,
    pub manifest: Manifest,
}

/// Looks for interactions of the mode `plan.request.mode`, and writes the folder `plan.out`: the table `findings`,
/// `findings.json`, a heat map a finding, a manifest and `_SUCCESS`.
///
/// # Errors
///
/// Whatever is wrong with dictionary, tables, histories, model or output folder; fewer than ten failures; fewer than
/// two channels that vary; interruption.
pub fn discover(plan: &DiscoverPlan, control: &Control) -> Result<DiscoverReport, EngineError> {
    let began = Instant::now();
    control.emit(Event::Stage { name: "plan", total_rows: None });
    let folder = OutputFolder::create(&plan.out)?;
    let model = Model::load(&plan.model)?;
    let mut dataset = Dataset::open(&plan.data, plan.reading.threads, control)?;
    dataset.spill_to(plan.spill_folder.as_deref().or(Some(folder.staging())));
    let mut request = plan.request.clone();
    request.as_of_day = match plan.as_of_day {
        Some(day) => day,
        None => dataset.latest_day(control)?.ok_or(EngineError::NoRecords)?,
    };
    let mut warnings = Vec::new();
    let mut done = discover_interactions(&dataset, &model, &request, plan, control)?;
    if plan.as_of_day.is_none()
        && let Some(latest) = done.latest_day.filter(|&latest| latest != request.as_of_day)
    {
        let text = "the latest row cannot be used, or the files' statistics are wrong: reading again as of the latest record that counts";
        warn(&mut warnings, control, text.to_owned());
        request.as_of_day = latest;
        done = discover_interactions(&dataset, &model, &request, plan, control)?;
    }
    for text in dataset.warnings().chain(done.warnings.clone()) {
        warn(&mut warnings, control, text);
    }
    control.emit(Event::Stage { name: "write", total_rows: None });
    let as_of = day_text(dataset.axis, request.as_of_day);
    let provenance = [
        ("fleetwear.as_of".to_owned(), as_of.clone()),
        ("fleetwear.dictionary_blake3".to_owned(), dataset.dictionary.blake3.clone()),
        ("fleetwear.model".to_owned(), format!("{} {}", model.name, model.version)),
        ("fleetwear.model_blake3".to_owned(), model.hash.clone()),
        ("fleetwear.seed".to_owned(), request.seed.to_string()),
    ];
    let hash = table::write(&folder, "findings", &[], &provenance, [output::table(&done.findings)])?;
    let effects = [output::main_effects_table(&done.main_effects)];
    let effects_hash = table::write(&folder, "main_effects", &[], &provenance, effects)?;
    let json = serde_json::to_value(&done.findings).map_err(|error| internal(&error))?;
    let text = serde_json::to_string_pretty(&json).map_err(|error| internal(&error))?;
    folder.write_file("findings.json", text.as_bytes())?;
    for (number, (finding, map)) in (1..).zip(done.findings.iter().zip(&done.heat_maps)) {
        folder.write_file(&format!("finding_{number}.svg"), map.as_bytes())?;
        if plan.emit_model {
            let snippet = finding.snippet(number, &request.mode);
            folder.write_file(&format!("finding_{number}.toml"), snippet.as_bytes())?;
        }
    }
    let content_hash =
        blake3::hash(format!("findings {hash}\nmain_effects {effects_hash}\n{text}").as_bytes()).to_hex().to_string();
    let seconds = began.elapsed().as_secs_f64();
    let timing = |stage: &str, seconds: f64| StageTiming { stage: stage.to_owned(), seconds };
    let mut details = serde_json::Map::new();
    details.insert("failure_mode".to_owned(), request.mode.clone().into());
    details.insert("events".to_owned(), done.events.into());
    details.insert("rectangles_searched".to_owned(), done.rectangles.into());
    details.insert("p_value".to_owned(), done.p_value.into());
    details.insert("lives".to_owned(), serde_json::to_value(&done.counts).map_err(|error| internal(&error))?);
    details.insert("failures_without_a_record_that_day".to_owned(), done.without_record.into());
    details.insert("of_these_dropped".to_owned(), done.dropped.into());
    let effects = serde_json::to_value(&done.main_effects).map_err(|error| internal(&error))?;
    details.insert("main_effects".to_owned(), effects);
    details.insert("findings_not_borne_out".to_owned(), done.not_borne_out.into());
    details.insert("findings".to_owned(), json);
    let manifest = Manifest {
        command: "discover".to_owned(),
        options: options(plan, &request),
        model: Some(ManifestModel {
            name: model.name.clone(),
            version: model.version.clone(),
            blake3: model.hash.clone(),
        }),
        dictionary_blake3: Some(dataset.dictionary.blake3.clone()),
        as_of: Some(as_of.clone()),
        inputs: dataset.manifest_inputs(&done.scan.inputs),
        table_rows: dataset.table_rows(),
        account: Some(ManifestAccount::from(&done.scan.account)),
        content_hash: Some(content_hash.clone()),
        warnings,
        device: done.device.clone(),
        threads: plan.reading.threads,
        timings: vec![
            timing("read", done.read_seconds),
            timing("search", done.search_seconds),
            timing("total", seconds),
        ],
        details,
        ..Manifest::default()
    };
    let manifest = folder.finish(manifest)?;
    Ok(DiscoverReport {
        out: plan.out.clone(),
        findings: done.findings,
        not_borne_out: done.not_borne_out,
        main_effects: done.main_effects,
        events: done.events,
        rectangles: done.rectangles,
        p_value: done.p_value,
        account: done.scan.account,
        unreadable: done.scan.unreadable,
        as_of,
        content_hash,
        seconds,
        manifest,
    })
}

fn internal(error: &dyn std::error::Error) -> EngineError {
    EngineError::Internal { what: error.to_string() }
}

/// What came of a search over a dataset.
struct Discovered {
    findings: Vec<Finding>,
    not_borne_out: usize,
    main_effects: Vec<MainEffect>,
    latest_day: Option<i32>,
    heat_maps: Vec<String>,
    events: usize,
    rectangles: u64,
    p_value: f64,
    counts: LifeCounts,
    without_record: u64,
    dropped: u64,
    warnings: Vec<String>,
    device: String,
    scan: ScanReport,
    read_seconds: f64,
    search_seconds: f64,
}

fn discover_interactions(
    dataset: &Dataset,
    model: &Model,
    request: &DiscoverRequest,
    plan: &DiscoverPlan,
    control: &Control,
) -> Result<Discovered, EngineError> {
    let pool = thread_pool(plan.reading.threads)?;
    let began = Instant::now();
    let histories = Histories::new(dataset, model, request)?;
    let channels = histories.looked_at();
    let attributes = histories.attributes();
    let passes = Passes { dataset, histories: &histories, request, plan, control };
    control.emit(Event::Stage { name: "learn", total_rows: None });
    let (learnt, report) = passes.learn(channels.iter().map(|one| one.codes).collect())?;
    let Learnt { survey, events, counts, without_record, dropped, unknown_vehicles, latest_day } = learnt;
    if events.len() < FEWEST_EVENTS {
        let mode = request.model(model)?.modes;
        let component = mode.first().map(|mode| mode.component.clone()).unwrap_or_default();
        return Err(DiscoverError::TooFewEvents { mode: request.mode.clone(), component, got: events.len() }.into());
    }
    let values: Vec<usize> = attributes.iter().map(|(_, values)| values.len()).collect();
    let settled = Settled::new(&survey, &events, &values);
    if settled.channels.len() < 2 {
        let known: Vec<String> = settled.channels.iter().map(|place| channels[*place].name.clone()).collect();
        return Err(DiscoverError::TooFewChannels { got: known.len(), known }.into());
    }
    let (sums, sample, device) = passes.sum(&settled, events.len())?;
    let (pairs, copies) = without_copies(&settled, &sample);
    let mut warnings = Vec::new();
    for (channel, records) in channels.iter().zip(&survey.records) {
        if records.iter().take(records.len() - 1).filter(|count| **count > 0).count() < 2 {
            warnings.push(format!("channel {} is constant: left out", channel.name));
        }
    }
    for (copy, of) in &copies {
        let name = |place: usize| &channels[settled.channels[place]].name;
        warnings.push(format!("channel {} says the same as {}: left out", name(*copy), name(*of)));
    }
    warnings.extend(histories.what_strata_lack().map(str::to_owned));
    if without_record > 0 {
        warnings.push(format!(
            "{without_record} failures lie on a day without use on record: {} were placed at the nearest record within {} days, {dropped} dropped",
            without_record - dropped,
            request.event_window_days
        ));
    }
    warnings.extend(leaks(&survey, &events, &channels));
    if unknown_vehicles > 0 {
        warnings.push(format!("{unknown_vehicles} vehicles are in no table: nothing is known of their parts' starts"));
    }
    let mut read_seconds = began.elapsed().as_secs_f64();
    control.emit(Event::Stage { name: "search", total_rows: None });
    let places = event_places(&settled, &events);
    let space = Space {
        plan: &settled.cube,
        pairs: &pairs,
        sums: &sums,
        levels: &settled.levels,
        attribute: &settled.attribute,
        events: &places,
        pool: &sample,
    };
    let searching = Instant::now();
    let asked = SearchRequest { replicates: request.replicates, seed: request.seed };
    let found: Found = pool.install(|| search(&space, &asked, control))?;
    let taken = accepted(&found, &space, request.level);
    let strata: Vec<(String, Option<i32>)> = settled.strata.iter().map(|key| histories.stratum_name(*key)).collect();
    let names = Names { channels: &channels, attributes: &attributes, strata: &strata };
    let main_effects = pool.install(|| main_effects(&settled, &space, &names, &asked, request.level, control))?;
    let mut search_seconds = searching.elapsed().as_secs_f64();
    let mut findings = Vec::new();
    let (mut heat_maps, mut not_borne_out) = (Vec::new(), 0);
    if !taken.is_empty() {
        control.emit(Event::Stage { name: "look closely", total_rows: None });
        let looking = Instant::now();
        let views: Vec<View> = taken.iter().map(|(one, _)| View::new(&settled, &survey, one)).collect();
        let seen = passes.look(&settled, &views, &events)?;
        read_seconds += looking.elapsed().as_secs_f64();
        let describing = Instant::now();
        let prior = prior(&space, &found);
        let searched = Searched { settled: &settled, space: &space, events: &events, names: &names, prior };
        for ((view, seen), (candidate, alternatives)) in seen.iter().zip(&taken) {
            control.check()?;
            let mut one = pool.install(|| finding(&searched, view, seen, alternatives));
            if !one.is_borne_out() {
                not_borne_out += 1;
                let what = one.sentence();
                warnings.push(format!("{what}: not borne out by a close look, whose 95 % interval holds 1: left out"));
                continue;
            }
            one.by_fit = passes.fitted(model, &one)?;
            let (a, b) = settled.cube.pairs[candidate.pair];
            let axis =
                |place: usize| Axis { channel: &channels[settled.channels[place]], binning: &settled.binnings[place] };
            let cells = space.observed(candidate.slab, candidate.pair);
            heat_maps.push(heat_map::draw(&cells, &candidate.rectangle, axis(a), axis(b), &one));
            findings.push(one);
        }
        search_seconds += describing.elapsed().as_secs_f64();
    }
    let as_great = found.chance.iter().filter(|chance| **chance >= found.greatest).count();
    Ok(Discovered {
        findings,
        not_borne_out,
        main_effects,
        latest_day,
        heat_maps,
        events: events.len(),
        rectangles: found.rectangles,
        p_value: (1 + as_great) as f64 / (1 + found.chance.len()) as f64,
        counts,
        without_record,
        dropped,
        warnings,
        device,
        scan: report,
        read_seconds,
        search_seconds,
    })
}

/// The options that bear on the content.
fn options(plan: &DiscoverPlan, request: &DiscoverRequest) -> serde_json::Map<String, serde_json::Value> {
    let mut options = serde_json::Map::new();
    options.insert("model".to_owned(), plan.model.clone().into());
    options.insert("mode".to_owned(), request.mode.clone().into());
    options.insert("as_of_day".to_owned(), request.as_of_day.into());
    options.insert("channels".to_owned(), request.channels.clone().into());
    options.insert("attributes".to_owned(), request.attributes.clone().into());
    options.insert("zones".to_owned(), request.zone.clone().into());
    options.insert("level".to_owned(), request.level.into());
    options.insert("replicates".to_owned(), request.replicates.into());
    options.insert("seed".to_owned(), request.seed.into());
    options.insert("without_interactions".to_owned(), request.without_interactions.into());
    options.insert("events_since".to_owned(), request.events_since.into());
    options.insert("prior_use_days".to_owned(), request.prior_use_days.into());
    options.insert("event_window_days".to_owned(), request.event_window_days.into());
    options
}
