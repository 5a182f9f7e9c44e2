//! Model files: what is refused and how it is said, what the hash covers. Beside: what kernels rely on (`tables`),
//! what the shipped models promise (`shipped`).

mod shipped;
mod tables;

use fleetwear::model::channel::{PeriodLength, Schema};
use fleetwear::model::compile::compile;
use fleetwear::model::shipped::{SHIPPED, standard_schema};
use fleetwear::model::spec::{Comparison, Exposure, Model, Test};
use proptest::prelude::*;

const GOOD: &str = r#"[model]
name = "good"
version = "1"

[[failure_mode]]
id = "noise"
component = "seal"
positions = ["left", "right"]
weibull_shape = 1.4
alert = { horizon_days = 30, probability = 0.2 }

  [[failure_mode.mechanism]]
  id = "running"
  exposure = "days"
  characteristic_life = 4380
  clock_exponent = 0.5
  terms = [
    { channel = "motor_load_pct", curve = "power", exponent = 1.5, reference = 40.0, floor = 5.0 },
    { channel = "ambient_temp_c", curve = "arrhenius", activation_energy_ev = 0.5, reference = 20 },
  ]
  interactions = [
    { id = "cold_humid", when = { ambient_temp_c = "< 5", humidity_pct = "80..=90", model = "M2" }, ratio = 3.2 },
  ]

[[monitor]]
id = "spread"
component = "sensor"
channel = "pack_temp_spread_c"
threshold = 3.0
baseline_days = 180
false_alarms_per_100000_days = 1
"#;

/// The message of a model that is `GOOD` with `old` replaced.
fn refusal(old: &str, new: &str) -> String {
    assert!(GOOD.contains(old), "{old:?} is not in the good model");
    let text = GOOD.replacen(old, new, 1);
    match Model::parse(&text, "dir/bad.toml").and_then(|model| compile(&model, &standard_schema())) {
        Ok(_) => panic!("accepted: {new:?}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn the_good_model_is_accepted() {
    let model = Model::parse(GOOD, "good.toml").unwrap();
    assert_eq!(model.modes[0].positions, ["left", "right"]);
    let mechanism = &model.modes[0].mechanisms[0];
    assert_eq!((mechanism.exposure.clone(), mechanism.clock_exponent), (Exposure::Days, 0.5));
    let when = &mechanism.interactions[0].when;
    assert_eq!(when[0].test, Test::Compare(Comparison::Less(5.0)));
    assert_eq!(when[1].test, Test::Compare(Comparison::RangeInclusive(80.0, 90.0)));
    assert_eq!(when[2].test, Test::OneOf(vec!["M2".to_owned()]));
    assert_eq!(model.monitors[0].threshold, Some(3.0));
    compile(&model, &standard_schema()).unwrap();
}

/// (what is replaced, by what, line, key, fragments that the message must hold).
#[test]
fn refusals_name_file_line_key_and_remedy() {
    let running = "failure_mode.noise.running";
    let load = r#"{ channel = "motor_load_pct", curve = "power", exponent = 1.5, reference = 40.0, floor = 5.0 }"#;
    let term = format!("{running}.terms[0]");
    let interaction = format!("{running}.cold_humid");
    let when = format!("{running}.cold_humid.when");
    #[rustfmt::skip]
    let cases: Vec<(&str, &str, usize, String, &[&str])> = vec![
        // Syntax and keys.
        ("version = \"1\"", "version = ", 3, "TOML".into(), &["not valid TOML"]),
        ("version = \"1\"", "versoin = \"1\"", 3, "model.versoin".into(), &["unknown key", "did you mean \"version\"", "allowed here: name, version"]),
        ("[[monitor]]", "[[moniter]]", 25, "moniter".into(), &["did you mean \"monitor\""]),
        ("weibull_shape = 1.4", "weibul_shape = 1.4", 9, "failure_mode[0].weibul_shape".into(), &["did you mean \"weibull_shape\""]),
        ("  characteristic_life = 4380", "  characteristic_live = 4380", 15, "failure_mode.noise.mechanism[0].characteristic_live".into(), &["did you mean \"characteristic_life\""]),
        ("exponent = 1.5,", "exponnent = 1.5,", 18, format!("{term}.exponnent"), &["did you mean \"exponent\""]),
        ("channel = \"motor_load_pct\"", "chanel = \"motor_load_pct\"", 18, format!("{term}.chanel"), &["did you mean \"channel\""]),
        ("ratio = 3.2", "ratoi = 3.2", 22, format!("{running}.interactions[0].ratoi"), &["did you mean \"ratio\""]),
        ("horizon_days = 30", "horizon = 30", 10, "failure_mode.noise.alert.horizon".into(), &["did you mean \"horizon_days\""]),
        ("threshold = 3.0", "treshold = 3.0", 29, "monitor[0].treshold".into(), &["did you mean \"threshold\""]),
        // Missing.
        ("[model]\nname = \"good\"\nversion = \"1\"\n", "", 1, "model".into(), &["missing", "begin with [model]"]),
        ("name = \"good\"\n", "", 1, "model.name".into(), &["missing", "add name"]),
        ("weibull_shape = 1.4\n", "", 5, "failure_mode.noise.weibull_shape".into(), &["missing", "add weibull_shape"]),
        ("  exposure = \"days\"\n", "", 12, format!("{running}.exposure"), &["missing", "\"days\", \"records\" or a channel"]),
        ("exponent = 1.5, ", "", 18, format!("{term}.exponent"), &["missing", "add exponent"]),
        ("reference = 40.0, ", "", 18, format!("{term}.reference"), &["missing", "where the ratio is 1"]),
        ("curve = \"power\", ", "", 18, format!("{term}.curve"), &["missing", "power, exponential"]),
        ("activation_energy_ev = 0.5, ", "", 19, format!("{running}.terms[1].activation_energy_ev"), &["activation_energy_kj_per_mol"]),
        ("baseline_days = 180\n", "", 25, "monitor.spread.baseline_days".into(), &["missing"]),
        // Types and values.
        ("weibull_shape = 1.4", "weibull_shape = \"1.4\"", 9, "failure_mode.noise.weibull_shape".into(), &["got the string \"1.4\"", "wanted a number"]),
        ("weibull_shape = 1.4", "weibull_shape = 0", 9, "failure_mode.noise.weibull_shape".into(), &["0 is not above zero"]),
        ("weibull_shape = 1.4", "weibull_shape = nan", 9, "failure_mode.noise.weibull_shape".into(), &["not finite"]),
        ("weibull_shape = 1.4", "weibull_shape = inf", 9, "failure_mode.noise.weibull_shape".into(), &["not finite"]),
        ("positions = [\"left\", \"right\"]", "positions = [\"left\", \"left\"]", 8, "failure_mode.noise.positions".into(), &["\"left\" stands there twice"]),
        ("positions = [\"left\", \"right\"]", "positions = []", 8, "failure_mode.noise.positions".into(), &["drop the key"]),
        ("positions = [\"left\", \"right\"]", "positions = \"left\"", 8, "failure_mode.noise.positions".into(), &["wanted an array of strings"]),
        ("id = \"noise\"", "id = \"no ise\"", 6, "failure_mode[0].id".into(), &["\"no ise\" is no id", "letters, digits"]),
        ("id = \"noise\"", "id = \"\"", 6, "failure_mode[0].id".into(), &["empty"]),
        ("probability = 0.2", "probability = 20", 10, "failure_mode.noise.alert.probability".into(), &["not below 1"]),
        ("characteristic_life = 4380", "characteristic_life = -1", 15, format!("{running}.characteristic_life"), &["not above zero"]),
        ("curve = \"power\"", "curve = \"powre\"", 18, format!("{term}.curve"), &["did you mean \"power\"", "write one of"]),
        ("floor = 5.0", "floor = 50.0", 18, format!("{term}.reference"), &["beyond floor or ceiling of motor_load_pct"]),
        ("floor = 5.0", "floor = 5.0, ceiling = 4", 18, format!("{term}.floor"), &["not below the ceiling"]),
        ("reference = 40.0, floor = 5.0", "reference = 0", 18, format!("{term}.reference"), &["above zero"]),
        ("reference = 20 ", "reference = -300 ", 19, format!("{running}.terms[1].reference"), &["not defined there"]),
        ("activation_energy_ev = 0.5", "activation_energy_ev = 0.5, activation_energy_kj_per_mol = 50", 19, format!("{running}.terms[1].activation_energy_ev"), &["keep one"]),
        ("threshold = 3.0", "threshold = 3.0\ndirection = \"up\"", 30, "monitor.spread.direction".into(), &["\"up\" is no direction", "rising"]),
        // Curves.
        (load, "{ channel = \"motor_load_pct\", curve = \"exponential\", reference = 1 }", 18, format!("{term}.coefficient"), &["doubles_every"]),
        (load, "{ channel = \"motor_load_pct\", curve = \"exponential\", reference = 1, doubles_every = 0 }", 18, format!("{term}.doubles_every"), &["in which the rate doubles"]),
        (load, "{ channel = \"motor_load_pct\", curve = \"logistic\", reference = 1, high = 2, midpoint = 3, width = 0 }", 18, format!("{term}.width"), &["other than 0"]),
        (load, "{ channel = \"motor_load_pct\", curve = \"piecewise\", reference = 1, points = [[2, 1], [1, 1]] }", 18, format!("{term}.points"), &["1 follows 2", "rising x"]),
        (load, "{ channel = \"motor_load_pct\", curve = \"piecewise\", reference = 1, points = [[2, 0]] }", 18, format!("{term}.points"), &["the ratio 0"]),
        (load, "{ channel = \"motor_load_pct\", curve = \"piecewise\", reference = 1, points = [[2]] }", 18, format!("{term}.points"), &["1 numbers in a point"]),
        (load, "{ channel = \"motor_load_pct\", curve = \"piecewise\", reference = 1, points = [] }", 18, format!("{term}.points"), &["missing"]),
        (load, "{ channel = \"motor_load_pct\", curve = \"u_shape\", optimum = 20, cold_coefficient = 0, hot_coefficient = 1 }", 18, format!("{term}.cold_coefficient"), &["above zero"]),
        (load, "{ channel = \"motor_load_pct\", curve = \"table\", reference = 1, edges = [1, 2], ratios = [1, 2] }", 18, format!("{term}.ratios"), &["2 ratios for 2 edges", "one more ratio"]),
        (load, "{ channel = \"motor_load_pct\", curve = \"table\", reference = 1, edges = [2, 2], ratios = [1, 2, 3] }", 18, format!("{term}.edges"), &["2 follows 2"]),
        (load, "{ channel = \"motor_load_pct\", curve = \"table\", reference = 1, edges = [2], ratios = [1, -2] }", 18, format!("{term}.ratios"), &["the ratio -2"]),
        (load, "{ channel = \"motor_load_pct\", curve = \"table\", reference = 1, ratios = [1, 2] }", 18, format!("{term}.ratios"), &["2 ratios for the 201 codes"]),
        // Pairs.
        (load, "{ channels = [\"motor_load_pct\"], curve = \"plane\" }", 18, format!("{term}.channels"), &["1 channels instead of two"]),
        (load, "{ channels = [\"motor_load_pct\", \"motor_load_pct\"], curve = \"plane\" }", 18, format!("{term}.channels"), &["twice"]),
        (load, "{ channels = [\"motor_load_pct\", \"humidity_pct\"], curve = \"power\" }", 18, format!("{term}.curve"), &["no curve of two channels", "plane"]),
        (load, "{ channels = [\"motor_load_pct\", \"humidity_pct\"], curve = \"plane\", intercept = 1, slope_a = 0, slope_b = 0, reference = [1, 1], bins = [64, 63] }", 18, format!("{term}.bins"), &["(a + 1)(b + 1) at most 4096"]),
        (load, "{ channels = [\"motor_load_pct\", \"humidity_pct\"], curve = \"plane\", intercept = 1, slope_a = -1, slope_b = 0, reference = [0, 0] }", 18, format!("{term}.curve"), &["the ratio at motor_load_pct = ", "floor and ceiling"]),
        (load, "{ channels = [\"motor_load_pct\", \"humidity_pct\"], curve = \"table\", edges_a = [1], edges_b = [1], ratios = [[1, 2]], reference = [0, 0] }", 18, format!("{term}.ratios"), &["not 2 rows of 2 ratios"]),
        (load, "{ channels = [\"motor_load_pct\", \"wetness\"], curve = \"plane\", intercept = 1, slope_a = 0, slope_b = 0, reference = [1, 1] }", 18, format!("{term}.channels"), &["no channel \"wetness\""]),
        // Interactions.
        ("\"< 5\"", "\"< five\"", 22, format!("{when}.ambient_temp_c"), &["\"five\" is not a number"]),
        ("\"< 5\"", "\"5..5\"", 22, format!("{when}.ambient_temp_c"), &["no value lies in"]),
        ("\"< 5\"", "5", 22, format!("{when}.ambient_temp_c"), &["\"== 5\" for a channel"]),
        ("\"< 5\"", "true", 22, format!("{when}.ambient_temp_c"), &["got true"]),
        ("\"< 5\"", "[]", 22, format!("{when}.ambient_temp_c"), &["name at least one value"]),
        ("\"< 5\"", "\"cold\"", 22, format!("{when}.ambient_temp_c"), &["is a channel, not an attribute", "\"< 5\""]),
        ("model = \"M2\"", "model = \"< 2\"", 22, format!("{when}.model"), &["is an attribute, not a channel"]),
        ("model = \"M2\"", "modell = \"M2\"", 22, format!("{when}.modell"), &["no attribute \"modell\"", "did you mean \"model\"", "[vehicles]"]),
        ("humidity_pct = \"80", "humidty_pct = \"80", 22, format!("{when}.humidty_pct"), &["no channel \"humidty_pct\"", "did you mean \"humidity_pct\"", "[channels.humidty_pct]"]),
        ("ratio = 3.2", "ratio = 0", 22, format!("{interaction}.ratio"), &["above zero"]),
        ("{ ambient_temp_c = \"< 5\", humidity_pct = \"80..=90\", model = \"M2\" }", "{}", 22, format!("{interaction}.when"), &["no condition"]),
        // Against the dataset.
        ("channel = \"motor_load_pct\"", "channel = \"motor_lode_pct\"", 18, format!("{term}.channel"), &["the dataset has no channel \"motor_lode_pct\"", "did you mean \"motor_load_pct\""]),
        ("exposure = \"days\"", "exposure = \"day\"", 14, format!("{running}.exposure"), &["no channel \"day\""]),
        ("exposure = \"days\"", "exposure = \"ambient_temp_c\"", 14, format!("{running}.exposure"), &["reaches -40 degC", "an exposure cannot be negative"]),
        ("channel = \"pack_temp_spread_c\"", "channel = \"pack_temp\"", 28, "monitor.spread.channel".into(), &["no channel \"pack_temp\""]),
        (", floor = 5.0", "", 18, format!("{term}.curve"), &["the ratio at motor_load_pct = 0 is 0", "floor and ceiling"]),
        ("characteristic_life = 4380", "characteristic_life = 1", 15, format!("{running}.characteristic_life"), &["1 lives or more at the reference"]),
        ("exponent = 1.5,", "exponent = 30,", 17, format!("{running}.terms"), &["stay below 2^16", "floor and ceiling"]),
    ];
    let mut wrong = Vec::new();
    for (old, new, line, key, fragments) in cases {
        let message = refusal(old, new);
        let place = format!("dir/bad.toml:{line}: {key}: ");
        if !message.starts_with(&place) || !fragments.iter().all(|fragment| message.contains(fragment)) {
            wrong.push(format!("{new}\n  wanted {place}… {fragments:?}\n  got    {message}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn repeated_ids_are_refused() {
    let twice = GOOD.to_owned() + &GOOD[GOOD.find("[[failure_mode]]").unwrap()..GOOD.find("[[monitor]]").unwrap()];
    let message = Model::parse(&twice, "twice.toml").unwrap_err().to_string();
    assert!(message.contains("twice.toml:32") && message.contains("the first on line 5"), "{message}");
}

#[test]
fn days_need_a_period_and_files_a_path() {
    let model = Model::parse(GOOD, "good.toml").unwrap();
    let trips = Schema { period_length: PeriodLength::Unknown, ..standard_schema() };
    let message = compile(&model, &trips).unwrap_err().to_string();
    assert!(message.starts_with("good.toml:14: failure_mode.noise.running.exposure: ") && message.contains("period"));
    let message = Model::load("no-such-model").unwrap_err().to_string();
    assert!(message.contains("ev-passenger, ev-two-wheeler"), "{message}");
    let message = Model::load(env!("CARGO_MANIFEST_DIR")).unwrap_err().to_string();
    assert!(message.contains("cannot be read"), "{message}");
}

#[test]
fn more_interactions_than_bits_are_refused_and_equal_ones_share_a_bit() {
    let many = |count: usize, limit: &dyn Fn(usize) -> usize| {
        let one = |i: usize| format!("{{ id = 'i{i}', when = {{ ambient_temp_c = '< {}' }}, ratio = 1.01 }}", limit(i));
        let all: Vec<String> = (0..count).map(one).collect();
        let head = "[model]\nname='m'\nversion='1'\n[[failure_mode]]\nid='a'\ncomponent='a'\nweibull_shape=1\n";
        format!(
            "{head}[[failure_mode.mechanism]]\nid='m'\nexposure='days'\ncharacteristic_life=1e5\ninteractions=[{}]\n",
            all.join(",")
        )
    };
    let build = |text: &str| Model::parse(text, "many.toml").and_then(|model| compile(&model, &standard_schema()));
    assert_eq!(build(&many(32, &|i| i)).unwrap().interactions[0].len(), 32);
    let message = build(&many(33, &|i| i)).unwrap_err().to_string();
    assert!(message.starts_with("many.toml:12: failure_mode.a.m.interactions: more than 32"), "{message}");
    let shared = build(&many(40, &|_| 5)).unwrap();
    assert_eq!(shared.interactions[0].len(), 1);
    assert_eq!(shared.interactions[0][0].uses.len(), 40);
    let expected = (40.0 * libm::log2(1.01) * 262_144.0).round() as i32;
    assert_eq!(shared.tables.groups[0].interactions_q18[0][0], expected);
}

#[test]
fn the_hash_covers_meaning_alone() {
    let hash = |text: &str| Model::parse(text, "x.toml").unwrap().hash;
    let same = GOOD
        .replace("reference = 40.0", "reference = 40")
        .replace("weibull_shape = 1.4", "weibull_shape = 1.40 # steeper?")
        .replace("ratio = 3.2", "ratio = 3.2, source = \"field\"")
        .replace("version = \"1\"", "version = '1'\ndescription = \"words\"");
    assert_eq!(hash(GOOD), hash(&same));
    assert_ne!(hash(GOOD), hash(&GOOD.replace("3.2", "3.20001")));
    assert_ne!(hash(GOOD), hash(&GOOD.replace("\"M2\"", "\"M3\"")));
    assert_ne!(hash(GOOD), hash(&GOOD.replace("left", "front")));
}

#[test]
fn the_same_model_compiles_to_the_same_tables_whatever_the_order_of_channels() {
    let model = Model::load("ev-passenger").unwrap();
    let schema = standard_schema();
    let mut reversed = schema.clone();
    reversed.channels.reverse();
    let (a, b) = (compile(&model, &schema).unwrap(), compile(&model, &reversed).unwrap());
    assert_eq!(a, compile(&model, &schema).unwrap());
    assert_eq!((&a.tables, &a.inputs, &a.channel_names), (&b.tables, &b.inputs, &b.channel_names));
    assert_ne!(a.channels, b.channels);
}

#[test]
fn underflowing_rates_are_refused() {
    let message = refusal("characteristic_life = 4380", "characteristic_life = 1e18");
    let place = "dir/bad.toml:15: failure_mode.noise.running.characteristic_life: ";
    assert!(message.starts_with(place) && message.contains("would never move"), "{message}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Damaged model files are refused in words or make a model; nothing panics.
    #[test]
    fn damaged_files_do_not_panic(which in 0..3usize, cuts in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..4, any::<char>()), 1..6)) {
        let mut text: Vec<char> = [GOOD, SHIPPED[0].1, SHIPPED[1].1][which].chars().collect();
        for (at, other, kind, letter) in cuts {
            let (at, other) = (at.index(text.len()), other.index(text.len()));
            match kind {
                0 => text[at] = letter,
                1 => text.swap(at, other),
                2 => { text.drain(at..(at + 12).min(text.len())); }
                _ => { let copied: Vec<char> = text[other..(other + 20).min(text.len())].to_vec(); text.splice(at..at, copied); }
            }
            if text.is_empty() { text.push(letter); }
        }
        let text: String = text.into_iter().collect();
        match Model::parse(&text, "damaged.toml").and_then(|model| compile(&model, &standard_schema())) {
            Ok(compiled) => prop_assert!(compiled.tables.mechanisms > 0),
            Err(error) => prop_assert!(error.to_string().starts_with("damaged.toml:"), "{error}"),
        }
    }
}

#[test]
fn the_language_page_shows_a_model_that_compiles() {
    let page = include_str!("../../../datasets/models/README.md");
    let example = page.split("```").find_map(|block| block.strip_prefix("toml\n")).unwrap();
    let model = Model::parse(example, "README.md").unwrap();
    compile(&model, &standard_schema()).unwrap();
    assert_eq!(model.monitors.len(), 1);
}
