//! From files to files: a synthetic fleet whose noise is likelier in cold wet air on one vehicle model, which the model
//! file does not know of.

use std::path::Path;

use fleetwear::discover::error::DiscoverError;
use fleetwear::engine::{DiscoverPlan, DiscoverReport, EngineError, discover};
use fleetwear::fleet::scan::ScanKind;
use fleetwear::model::spec::Model;
use fleetwear::run::Control;

use crate::fit_history::Planted;

/// A ratio of six, so that a small fleet shows it.
const NOISE: &str = r#"
[model]
name = "noise"
version = "1"

[[failure_mode]]
id = "motor_noise"
component = "drive_motor_seal"
weibull_shape = 1.4
  [[failure_mode.mechanism]]
  id = "running"
  exposure = "days"
  characteristic_life = 250
  terms = [{ channel = "motor_load_pct", curve = "power", exponent = 1.5, reference = 40.0, floor = 5.0 }]
  interactions = [{ id = "cold_humid", when = { ambient_temp_c = "< 5", humidity_pct = "> 80", model = "M2" }, ratio = 6.0 }]
"#;

fn planted() -> Planted {
    Planted::new(450, 900, 3, NOISE, &["helsinki", "shanghai", "chengdu"])
}

fn plan(planted: &Planted, out: &Path) -> DiscoverPlan {
    let model = planted.folder.path().join("laws.toml");
    let mut plan = DiscoverPlan::new(planted.data(), model.to_string_lossy(), "motor_noise", out.to_path_buf());
    plan.request.without_interactions = true;
    plan.request.replicates = 99;
    plan.request.channels =
        Some(["ambient_temp_c", "humidity_pct", "motor_load_pct", "distance_km"].map(str::to_owned).to_vec());
    plan.reading.hash_inputs = false;
    plan
}

fn run(planted: &Planted, name: &str, change: impl FnOnce(&mut DiscoverPlan)) -> Result<DiscoverReport, EngineError> {
    let mut plan = plan(planted, &planted.folder.path().join(name));
    change(&mut plan);
    discover(&plan, &Control::silent())
}

#[test]
fn a_rule_planted_in_files_is_found_again_and_so_on_any_number_of_threads() {
    let planted = planted();
    let one = run(&planted, "one", |plan| {
        plan.reading.threads = 1;
        plan.emit_model = true;
    })
    .unwrap();
    let told = (one.events, one.p_value, &one.manifest.warnings);
    let first = one.findings.first().unwrap_or_else(|| panic!("nothing found: {told:?}"));
    let [temp, humidity] = &first.conditions;
    assert_eq!((temp.channel.as_str(), temp.is), ("ambient_temp_c", "<"));
    assert_eq!((humidity.channel.as_str(), humidity.is), ("humidity_pct", ">"));
    assert!(temp.lowest <= 5.0 && temp.highest >= 5.0 && humidity.lowest <= 80.0 && humidity.highest >= 80.0);
    assert_eq!(first.attribute, Some(("model".to_owned(), "M2".to_owned())));
    assert!(first.ratio_lower < 6.0 && first.ratio_upper > 6.0 && first.ratio_lower > 1.5);
    assert_eq!(first.p_value, 0.01);
    // Zones and months are known, whatever the files' statistics say.
    let zones: Vec<&str> = first.left_out_zone.iter().map(|(zone, _)| zone.as_str()).collect();
    assert_eq!(zones, ["chengdu", "helsinki", "shanghai"]);
    let years: Vec<i32> = first.left_out_year.iter().map(|(year, _)| *year).collect();
    assert_eq!(years, [2023, 2024, 2025]);
    assert!(one.manifest.warnings.iter().all(|text| !text.contains("rescaled")), "{:?}", one.manifest.warnings);
    // With clocks recomputed, too.
    let fitted = first.by_fit.unwrap();
    assert!(fitted.lower < 6.0 && fitted.upper > 6.0 && fitted.lower > 2.0, "{fitted:?}");
    let other = run(&planted, "other", |plan| {
        plan.reading.threads = 3;
        plan.reading.reversed = true;
        plan.reading.chunk_rows = 777;
        plan.reading.scan_kind = Some(ScanKind::Spill);
    })
    .unwrap();
    assert_eq!(one.content_hash, other.content_hash);
    let coarser = run(&planted, "coarser", |plan| plan.request.replicates = 49).unwrap();
    assert!(coarser.content_hash != one.content_hash, "the comparison can fail");
    // The line for a model file is one that a model takes.
    let line = std::fs::read_to_string(one.out.join("finding_1.toml")).unwrap();
    let (head, _) = NOISE.split_once("  interactions").unwrap();
    let text = format!("{head}  interactions = [\n{line}]\n");
    let model = Model::parse(&text, "found.toml").unwrap();
    let interaction = &model.modes[0].mechanisms[0].interactions[0];
    assert!((interaction.ratio / first.ratio - 1.0).abs() < 1e-4);
    let map = std::fs::read_to_string(one.out.join("finding_1.svg")).unwrap();
    assert!(map.contains("ambient_temp_c") && map.contains("M2"));
}

#[cfg(feature = "gpu")]
#[test]
fn a_device_finds_the_same() {
    let Some(device) = crate::gpu::required_device("a_device_finds_the_same") else { return };
    let planted = Planted::new(60, 200, 5, NOISE, &["helsinki"]);
    let cpu = run(&planted, "cpu", |plan| plan.request.level = 1.0).unwrap();
    let gpu = run(&planted, "gpu", |plan| {
        plan.request.level = 1.0;
        plan.backend = fleetwear::backend::Choice::Gpu;
        plan.device = Some(device.to_owned());
    })
    .unwrap();
    assert!(gpu.manifest.device.contains(device), "{}", gpu.manifest.device);
    assert_eq!((cpu.manifest.device.as_str(), cpu.content_hash), ("cpu", gpu.content_hash));
}

#[test]
fn what_cannot_be_searched_is_refused_with_what_to_do() {
    let planted = Planted::new(40, 60, 5, NOISE, &["helsinki"]);
    let refused = |name: &str, change: &dyn Fn(&mut DiscoverPlan)| match run(&planted, name, change) {
        Err(EngineError::Discover(error)) => error,
        other => panic!("{name}: {other:?}"),
    };
    let error = refused("mode", &|plan| plan.request.mode = "motor_noice".to_owned());
    assert!(error.to_string().contains("did you mean \"motor_noise\""), "{error}");
    let error = refused("channel", &|plan| plan.request.channels = Some(vec!["humidty_pct".to_owned()]));
    assert!(error.to_string().contains("humidity_pct"), "{error}");
    let error = refused("attribute", &|plan| plan.request.attributes = Some(vec!["modle".to_owned()]));
    assert!(error.to_string().contains("did you mean \"model\""), "{error}");
    let first_days = refused("events", &|plan| plan.as_of_day = Some(19_358 + 2));
    assert!(matches!(first_days, DiscoverError::TooFewEvents { .. }), "{first_days}");
    assert!(first_days.to_string().contains("at least"), "{first_days}");
    let one = refused("one", &|plan| plan.request.channels = Some(vec!["humidity_pct".to_owned()]));
    assert!(matches!(one, DiscoverError::TooFewChannels { .. } | DiscoverError::TooFewEvents { .. }), "{one}");
    assert!(!planted.folder.path().join("mode").exists(), "nothing is left behind");
}
