//! Model files: what is refused and how it is said, what the hash covers, what the shipped models promise.

use fleetwear::model::channel::{Channel, PeriodLength, Schema};
use fleetwear::model::compile::compile;
use fleetwear::model::compiled::CompiledModel;
use fleetwear::model::explain::{TermTable, explain};
use fleetwear::model::life;
use fleetwear::model::shipped::{SHIPPED, standard_schema};
use fleetwear::model::spec::{Comparison, Exposure, Model, Test};
use fleetwear::model::tables::{GROUP_LANES, TableInput};
use fleetwear::model::waterfall::Waterfall;

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

// ---- what kernels rely on ----

/// The stated bounds of all tables.
fn check_bounds(model: &CompiledModel) {
    for (rows, input) in model.tables.input_rows.iter().zip(&model.inputs) {
        if matches!(input, TableInput::Pair { .. }) {
            assert!(*rows <= 4096);
        }
    }
    for group in &model.tables.groups {
        for lane in 0..GROUP_LANES {
            let (mut most, mut least) = (i64::from(group.base_q18[lane]), i64::from(group.base_q18[lane]));
            for input in &group.inputs {
                assert_eq!(input.rows_q18.len(), model.tables.input_rows[input.input] as usize);
                assert_eq!(input.driver_rows.len(), input.rows_q18.len());
                let entries = || input.rows_q18.iter().map(|row| i64::from(row[lane]));
                let (low, high) = (entries().min().unwrap(), entries().max().unwrap());
                assert!(high - low <= 96 << 18);
                assert!(input.driver_rows.iter().all(|row| row[lane].unsigned_abs() <= 1 << 24));
                most += high;
                least += low;
            }
            assert!(most < 16 << 18);
            assert!(least > i64::from(i32::MIN));
        }
        assert!(group.interactions_q18.len() <= 32);
        let positions: Vec<usize> = group.inputs.iter().map(|input| input.input).collect();
        assert!(positions.is_sorted());
    }
}

#[test]
fn bounds_hold_even_for_steep_curves() {
    for (name, _) in SHIPPED {
        check_bounds(&compile(&Model::load(name).unwrap(), &standard_schema()).unwrap());
    }
    // 1,500 km against a reference of 1 to the 20th power: entries 200 octaves apart, cut to 96.
    let steep = GOOD.replace(
        "{ channel = \"motor_load_pct\", curve = \"power\", exponent = 1.5, reference = 40.0, floor = 5.0 }",
        "{ channel = \"distance_km\", curve = \"power\", exponent = 20, reference = 1500, floor = 0.1 }",
    );
    let compiled = compile(&Model::parse(&steep, "steep.toml").unwrap(), &standard_schema()).unwrap();
    check_bounds(&compiled);
    let position = compiled.channel_names.iter().position(|name| name == "distance_km").unwrap();
    let input = compiled.tables.groups[0].inputs.iter().find(|input| input.input == position).unwrap();
    assert_eq!(input.rows_q18[1][0], -(96 << 18), "0.1 km lies 277 octaves below 1,500 km");
}

#[test]
fn exposures_far_from_zero_keep_driver_rows_small() {
    let far = Channel {
        name: "odometer".into(),
        unit: "km".into(),
        factor: 0.001,
        offset: 0.0,
        first: 20_000_000,
        codes: 60_000,
    };
    let schema = Schema { channels: vec![far], period_length: PeriodLength::Constant(1.0), attributes: vec![] };
    let text = "[model]\nname='m'\nversion='1'\n[[failure_mode]]\nid='a'\ncomponent='a'\nweibull_shape=1\n[[failure_mode.mechanism]]\nid='m'\nexposure='odometer'\ncharacteristic_life=1e9\n";
    let compiled = compile(&Model::parse(text, "far.toml").unwrap(), &schema).unwrap();
    check_bounds(&compiled);
    match compiled.drivers[0].kind {
        fleetwear::model::compiled::DriverKind::Exposure { offset, factor } => {
            let raw = compiled.tables.groups[0].inputs[0].driver_rows[7][0];
            assert_eq!(offset + factor * f64::from(raw), schema.channels[0].value(7));
        }
        kind => panic!("{kind:?}"),
    }
}

#[test]
fn hostile_channels_do_not_panic() {
    let model = Model::parse(GOOD, "good.toml").unwrap();
    for (factor, offset, first, codes) in [
        (0.1, 0.0, 0, 0),
        (0.0, 5.0, 0, 10),
        (f64::NAN, 0.0, 0, 10),
        (f64::INFINITY, 0.0, 0, 3),
        (-1.0, 50.0, 0, 40),
        (1e300, 1e300, i64::MAX, 65_535),
    ] {
        let mut schema = standard_schema();
        for channel in &mut schema.channels {
            (channel.factor, channel.offset, channel.first, channel.codes) = (factor, offset, first, codes);
        }
        // Accepted or refused, in words.
        if let Err(error) = compile(&model, &schema) {
            assert!(error.to_string().starts_with("good.toml:"), "{error}");
        }
    }
}

#[test]
fn masks_follow_the_attributes() {
    let compiled = compile(&Model::parse(GOOD, "good.toml").unwrap(), &standard_schema()).unwrap();
    assert_eq!(compiled.attributes(), ["model"]);
    assert_eq!(compiled.masks(&|_| Some("M2")), [1]);
    assert_eq!(compiled.masks(&|_| Some("M1")), [0]);
    assert_eq!(compiled.masks(&|_| None), [0]);
}

// ---- the shipped models ----

/// Passenger car's typical day as its model file states it, by name.
const PASSENGER_DAY: [(&str, f64); 14] = [
    ("ambient_temp_c", 15.0),
    ("humidity_pct", 60.0),
    ("distance_km", 35.0),
    ("energy_kwh", 6.0),
    ("motor_load_pct", 40.0),
    ("hard_brakes", 2.0),
    ("hard_accelerations", 3.0),
    ("fast_charge_kwh", 1.5),
    ("soc_mean_pct", 60.0),
    ("depth_of_discharge_pct", 35.0),
    ("pack_temp_c", 20.0),
    ("pack_temp_spread_c", 1.0),
    ("vehicle_load_kg", 150.0),
    ("tyre_pressure_kpa", 250.0),
];

fn codes(day: &[(&str, f64)], compiled: &CompiledModel) -> Vec<u16> {
    let schema = standard_schema();
    let code = |index: &usize| {
        let channel = &schema.channels[*index];
        let value = day.iter().find(|(name, _)| *name == channel.name).unwrap().1;
        (((value - channel.offset) / channel.factor).round() as i64 - channel.first) as u16
    };
    compiled.channels.iter().map(code).collect()
}

/// Lives by (mode, mechanism) after `days` of the same day, by the kernel's arithmetic.
fn lives_after(days: u64, day: &[(&str, f64)], compiled: &CompiledModel) -> Vec<(String, f64)> {
    let mut waterfall = Waterfall::new(compiled, compiled.masks(&|_| Some("M2")));
    waterfall.push(&codes(day, compiled));
    let name =
        |one: &fleetwear::model::waterfall::MechanismWaterfall| format!("{}.{}", one.failure_mode, one.mechanism);
    waterfall.finish().iter().map(|one| (name(one), life::lives(one.clock_q48 * days))).collect()
}

fn lives_of(lives: &[(String, f64)], name: &str) -> f64 {
    lives.iter().find(|(own, _)| own == name).unwrap().1
}

#[test]
fn a_typical_passenger_car_lives_plausibly() {
    let compiled = compile(&Model::load("ev-passenger").unwrap(), &standard_schema()).unwrap();
    let lives = lives_after(365, &PASSENGER_DAY, &compiled);
    let distance_km = 365.0 * 35.0;
    let pads_km =
        distance_km / (lives_of(&lives, "brake_pad_wear.rolling") + lives_of(&lives, "brake_pad_wear.hard_braking"));
    let tyre =
        ["rolling", "hard_acceleration", "hard_braking"].map(|one| lives_of(&lives, &format!("tyre_wear.{one}")));
    let tyres_km = distance_km / tyre.iter().sum::<f64>();
    assert!((40_000.0..170_000.0).contains(&pads_km), "{pads_km}");
    assert!((64_000.0..68_000.0).contains(&tyres_km), "{tyres_km}");
    // Five years of fade; damage 1 is 20 % of capacity.
    let five = lives_after(5 * 365, &PASSENGER_DAY, &compiled);
    let damage = libm::pow(lives_of(&five, "battery_fade.calendar"), 0.526)
        + libm::pow(lives_of(&five, "battery_fade.cycle"), 0.828);
    let fade_per_year = 0.2 * damage / 5.0;
    assert!((0.020..0.025).contains(&fade_per_year), "{fade_per_year}");
    // 2.3 times as many hard brakes wear the pads 40 % faster at the same distance (ten times the day, for whole counts).
    let wear = |hard_brakes: f64| {
        let mut day = PASSENGER_DAY;
        (day[2].1, day[5].1) = (350.0, hard_brakes);
        let lives = lives_after(1, &day, &compiled);
        lives_of(&lives, "brake_pad_wear.rolling") + lives_of(&lives, "brake_pad_wear.hard_braking")
    };
    let faster = wear(46.0) / wear(20.0);
    assert!((1.39..1.41).contains(&faster), "{faster}");
    println!("pads {pads_km:.0} km, tyres {tyres_km:.0} km, fade {fade_per_year:.4} a year, hard style x {faster:.3}");
}

#[test]
fn cold_humid_days_hurt_one_model_3_2_times() {
    let compiled = compile(&Model::load("ev-passenger").unwrap(), &standard_schema()).unwrap();
    let day = |temp_c: f64, humidity_pct: f64| {
        let mut day = PASSENGER_DAY;
        (day[0].1, day[1].1) = (temp_c, humidity_pct);
        codes(&day, &compiled)
    };
    let clock = |model: &str, codes: &[u16]| {
        let mut waterfall = Waterfall::new(&compiled, compiled.masks(&|_| Some(model)));
        waterfall.push(codes);
        waterfall.finish().into_iter().find(|one| one.failure_mode == "motor_noise").unwrap().clock_q48 as f64
    };
    let plain = clock("M2", &day(15.0, 60.0));
    let ratio = |model: &str, temp_c: f64, humidity_pct: f64| clock(model, &day(temp_c, humidity_pct)) / plain;
    assert!((ratio("M2", 4.9, 80.5) - 3.2).abs() < 1e-4);
    // Both thresholds are sharp, and exactly on them the rule does not hold; temperature alone changes nothing.
    for (model, temp_c, humidity_pct) in
        [("M2", 5.0, 80.5), ("M2", 4.9, 80.0), ("M1", 4.9, 80.5), ("M2", -30.0, 40.0), ("M2", 40.0, 100.0)]
    {
        assert_eq!(ratio(model, temp_c, humidity_pct), 1.0, "{model} {temp_c} {humidity_pct}");
    }
}

#[test]
fn every_number_of_a_shipped_model_has_its_source() {
    for (name, text) in SHIPPED {
        let model = Model::load(name).unwrap();
        unsourced(&model).unwrap();
        // Shown to object: the same model with one source taken away.
        let first = text.find("source = ").unwrap();
        let end = first + text[first..].find('\n').unwrap();
        let bare = Model::parse(&(text[..first].to_owned() + &text[end..]), "bare.toml").unwrap();
        unsourced(&bare).unwrap_err();
    }
}

fn unsourced(model: &Model) -> Result<(), String> {
    let need = |source: &Option<String>, what: String| source.as_ref().map(|_| ()).ok_or(what);
    for mode in &model.modes {
        need(&mode.source, mode.id.clone())?;
        for mechanism in &mode.mechanisms {
            need(&mechanism.source, mechanism.id.clone())?;
            mechanism.terms.iter().try_for_each(|term| need(&term.source, format!("{:?}", term.places.own)))?;
            mechanism.interactions.iter().try_for_each(|one| need(&one.source, one.id.clone()))?;
        }
    }
    model.monitors.iter().try_for_each(|monitor| need(&monitor.source, monitor.id.clone()))
}

// ---- explanations ----

#[test]
fn an_explanation_has_beta_eta_and_tables_with_the_reference() {
    let explanation = explain(&Model::load("ev-passenger").unwrap(), Some(&standard_schema()));
    let noise = explanation.modes.iter().find(|mode| mode.id == "motor_noise").unwrap();
    assert_eq!(noise.weibull_shape, 1.4);
    assert_eq!(noise.shape_words, "wear-out: risk grows with use");
    assert_eq!(
        noise.mechanisms[0].words,
        "characteristic life eta = 1600 days at the reference conditions; lives are Weibull with shape beta = 1.4"
    );
    assert_eq!(noise.mechanisms[0].interactions[0].when, "ambient_temp_c < 5 and humidity_pct > 80 and model is M2");
    for term in explanation.modes.iter().flat_map(|mode| &mode.mechanisms).flat_map(|mechanism| &mechanism.terms) {
        match term {
            TermTable::Curve { reference, rows, .. } => {
                assert!(rows.is_sorted_by(|a, b| a.0 < b.0) && rows.len() >= 9);
                assert_eq!(rows.iter().find(|(value, _)| value == reference).unwrap().1, 1.0);
            }
            TermTable::Surface { rows, columns, ratios, .. } => {
                assert_eq!((ratios.len(), ratios[0].len()), (rows.len(), columns.len()));
                assert!(ratios.iter().flatten().all(|ratio| ratio.is_finite() && *ratio > 0.0));
            }
        }
    }
    // Without a schema, channels that are not standard are shown around their reference.
    let unknown = GOOD.replace("motor_load_pct", "my_load");
    let explanation = explain(&Model::parse(&unknown, "x.toml").unwrap(), None);
    assert!(matches!(&explanation.modes[0].mechanisms[0].terms[0], TermTable::Curve { rows, .. } if rows.len() >= 9));
}

#[test]
fn a_waterfall_multiplies_to_the_clock() {
    let compiled = compile(&Model::load("ev-passenger").unwrap(), &standard_schema()).unwrap();
    let mut waterfall = Waterfall::new(&compiled, compiled.masks(&|_| Some("M2")));
    for i in 0..200u16 {
        let mut day = PASSENGER_DAY;
        day[0].1 = f64::from(i % 30) - 5.0;
        day[1].1 = 40.0 + f64::from(i * 7 % 60);
        day[2].1 = f64::from(i % 7) * 20.0;
        day[12].1 = f64::from(i % 10) * 100.0;
        waterfall.push(&codes(&day, &compiled));
    }
    // Nothing is known of this day.
    waterfall.push(&[u16::MAX; 14]);
    for one in waterfall.finish() {
        let product: f64 = one.reference_lives * one.steps.iter().map(|step| step.ratio).product::<f64>();
        assert!((product / one.lives - 1.0).abs() < 1e-12, "{one:?}");
        assert!((life::lives(one.clock_q48) / one.lives - 1.0).abs() < 2e-5, "{one:?}");
        assert_eq!(one.records, 201);
        let missing = if one.failure_mode.starts_with("motor") || one.mechanism == "calendar" { 0 } else { 1 };
        assert_eq!(one.exposure_missing, missing, "{one:?}");
        if one.failure_mode == "motor_noise" {
            let rule = one.steps.iter().find(|step| step.interaction).unwrap();
            assert_eq!(rule.factor, "cold_humid");
            assert!(rule.active_records > 0 && rule.ratio > 1.0 && rule.ratio < 3.2);
        }
        assert!(one.steps.iter().all(|step| step.interaction || step.factor != "hard_brakes"));
    }
}
