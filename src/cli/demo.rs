//! `fleetwear demo`: a small fleet from nothing to scores, forecasts and the recall of what its monitor found, in under a
//! minute, without GPU or network.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::args::DemoArgs;
use super::console::Console;
use super::exit::{CliError, Exit};
use super::progress::with_progress;
use super::words::Word;
use super::{check, discover, recall_fleet, score, simulate, synth, worst};
use crate::discover::error::DiscoverError;
use crate::engine::{self, DiscoverPlan, EngineError, RecallPlan, ScorePlan, SimulatePlan, SimulateReport};
use crate::fleet::check::{CheckPlan, check as check_dataset};
use crate::fleet::dataset::Dataset;
use crate::recall::cohort::Asked;
use crate::synth::{SynthPlan, generate};

const MODEL: &str = "ev-passenger";
/// The attribute of the lots that are called back.
const LOT: &str = "sensor_lot";
/// Rows of the table of the most worn parts.
const WORST: usize = 8;
/// The failure mode whose causes are looked for, and how often chance is asked.
const DISCOVERED: &str = "motor_noise";
const REPLICATES: u32 = 199;

pub fn run(args: DemoArgs, console: &Console) -> Result<Exit, CliError> {
    let folder = args.out.clone().unwrap_or_else(free_folder);
    let (fleet, scores) = (folder.join("fleet"), folder.join("scores"));
    let threads = args.host.threads();
    let say = |word: Word| console.note(&format!("— {}", console.word(word)));

    let mut plan = SynthPlan::new(args.vehicles, args.days, args.seed);
    plan.threads = threads;
    plan.model = MODEL.to_owned();
    say(Word::DemoSynth);
    let made = with_progress(console, |control| generate(&plan, &fleet, control))?;

    say(Word::DemoCheck);
    let plan = CheckPlan { threads, memory_limit_bytes: args.host.memory_limit.0, as_of_day: None };
    let checked =
        with_progress(console, |control| check_dataset(&Dataset::open(&fleet, threads, control)?, &plan, control))?;

    say(Word::DemoScore);
    let mut plan = ScorePlan::new(fleet.clone(), MODEL, scores.clone());
    let scored_on = (score::choice(&args.compute)?, args.compute.device);
    plan.backend = scored_on.0;
    plan.device = scored_on.1.clone();
    plan.threads = threads;
    plan.memory_limit_bytes = args.host.memory_limit.0;
    plan.spill_folder = args.host.spill_folder();
    let scored = with_progress(console, |control| engine::score(&plan, control))?;

    say(Word::DemoSimulate);
    let futures = folder.join("futures");
    let mut plan = SimulatePlan::new(fleet.clone(), MODEL, futures.clone());
    plan.backend = scored_on.0;
    plan.device = scored_on.1;
    plan.threads = threads;
    plan.memory_limit_bytes = args.host.memory_limit.0;
    plan.spill_folder = args.host.spill_folder();
    let simulated = with_progress(console, |control| engine::simulate(&plan, control))?;

    let recalled = match recall_of(&simulated, &plan, folder.join("recall")) {
        None => None,
        Some(plan) => {
            say(Word::DemoRecall);
            Some(with_progress(console, |control| engine::recall(&plan, control))?)
        }
    };

    say(Word::DemoDiscover);
    let found = folder.join("found");
    let mut plan = DiscoverPlan::new(fleet.clone(), MODEL, DISCOVERED, found.clone());
    // The shipped model knows what the fleet was made with: it must be found again.
    plan.request.without_interactions = true;
    plan.request.replicates = REPLICATES;
    plan.reading.threads = threads;
    plan.reading.memory_limit_bytes = args.host.memory_limit.0;
    plan.spill_folder = args.host.spill_folder();
    let discovered = match with_progress(console, |control| engine::discover(&plan, control)) {
        Ok(report) => Some(report),
        Err(EngineError::Discover(DiscoverError::TooFewEvents { .. })) => None,
        Err(error) => return Err(error.into()),
    };

    if console.json() {
        console.data_json(&json!({
            "fleet": fleet,
            "scores": scores,
            "synth": synth::json(&made, &fleet),
            "check": checked,
            "score": scored.manifest,
            "futures": futures,
            "simulate": simulated.manifest,
            "found": discovered.as_ref().map(|_| found),
            "discover": discovered.map(|report| report.manifest),
            "recall": recalled.map(|recalled| recalled.cohort),
        }));
        return Ok(Exit::Ok);
    }
    let heading = |word: Word| format!("\n── {}\n", console.word(word));
    let mut text = heading(Word::DemoSynth) + &synth::text(&made, &fleet, console);
    text += &(heading(Word::DemoCheck) + &check::summary(&checked, console));
    text += &(heading(Word::DemoScore) + &score::summary(&scored, console));
    text += &(heading(Word::DemoWorst) + &worst::text(&scores, WORST, console)?);
    text += &(heading(Word::DemoSimulate) + &simulate::summary(&simulated, console));
    text += &(heading(Word::DemoUrgent) + &simulate::urgent(&simulated, console));
    text += &(heading(Word::DemoAlarms) + &simulate::alarms(&simulated, console));
    text += &(heading(Word::DemoCounts) + &simulate::counts(&simulated, console));
    if let Some(recalled) = &recalled {
        text += &(heading(Word::DemoRecall) + &recall_fleet::who(recalled, console));
    }
    text += &heading(Word::DemoDiscover);
    text += &match &discovered {
        Some(report) => discover::sentences(report, DISCOVERED, console),
        None => format!("{}\n", console.word(Word::TooFewToDiscover)),
    };
    text += &(heading(Word::DemoNext) + &next_steps(&fleet, &scores));
    console.data(&text);
    Ok(Exit::Ok)
}

/// The recall of the lot that a monitor's alarms point to; nothing where they point to none.
fn recall_of(simulated: &SimulateReport, plan: &SimulatePlan, out: PathBuf) -> Option<RecallPlan> {
    let lots = simulated.monitors.iter().filter_map(|found| Some((found, found.cohort.as_ref()?)));
    let (found, lot) = lots.into_iter().find(|(_, cohort)| cohort.attribute == LOT)?;
    let cohort = Asked::Condition(format!("{} == {:?}", lot.attribute, lot.value));
    let mut recall = RecallPlan::new(plan.data.clone(), MODEL, out.clone(), cohort);
    // The model forecasts no failures of sensors: who is suspect is told, and no future has to be followed for that.
    let simulation = SimulatePlan { out, paths: 2, ..plan.clone() };
    (recall.simulation, recall.horizons_days, recall.defect) = (simulation, vec![7], Some(found.monitor.clone()));
    Some(recall)
}

/// `fleetwear-demo`, or with a number behind it if that is taken.
fn free_folder() -> PathBuf {
    let name = |number: u32| if number == 1 { "fleetwear-demo".to_owned() } else { format!("fleetwear-demo-{number}") };
    (1..).map(|number| PathBuf::from(name(number))).find(|folder| !folder.exists()).unwrap_or_default()
}

fn next_steps(fleet: &Path, scores: &Path) -> String {
    format!(
        "fleetwear inspect {MODEL} --data {fleet}\n\
         fleetwear verify --data {fleet} --model {MODEL}\n\
         duckdb -c \"SELECT failure_mode, count(*), avg(damage) FROM '{scores}/scores/*.parquet' GROUP BY ALL\"\n",
        fleet = fleet.display(),
        scores = scores.display()
    )
}
