//! Fitting a model to histories: whether planted values come back with errors that hold.

mod bad_input;
mod calibration;
mod same;
mod slopes;

use std::path::PathBuf;

use fleetwear::engine::fit::{Fitted, Reading};
use fleetwear::engine::fit_histories;
use fleetwear::fit::history::FitRequest;
use fleetwear::fleet::dataset::Dataset;
use fleetwear::model::spec::Model;
use fleetwear::run::Control;
use fleetwear::synth::{SynthPlan, generate};

/// Weather wears out a seal, and cold wet days most; use wears out a bearing at two places.
pub const PLANTED: &str = r#"
[model]
name = "planted"
version = "1"

[[failure_mode]]
id = "seal"
component = "door_seal"
weibull_shape = 1.8
free = ["weibull_shape"]
  [[failure_mode.mechanism]]
  id = "cold"
  exposure = "days"
  characteristic_life = 420
  free = ["characteristic_life", "ambient_temp_c.coefficient", "cold_humid.ratio"]
  terms = [{ channel = "ambient_temp_c", curve = "exponential", coefficient = -0.04, reference = 10.0 }]
  interactions = [{ id = "cold_humid", when = { ambient_temp_c = "< 8", humidity_pct = "> 70" }, ratio = 3.0 }]

[[failure_mode]]
id = "bearing"
component = "cooling_pump"
positions = ["left", "right"]
weibull_shape = 2.5
free = ["weibull_shape"]
  [[failure_mode.mechanism]]
  id = "age"
  exposure = "days"
  characteristic_life = 800
  free = ["characteristic_life"]
  [[failure_mode.mechanism]]
  id = "rolling"
  exposure = "distance_km"
  characteristic_life = 15000
  free = ["characteristic_life"]
"#;

/// A synthetic fleet whose parts fail by a model.
pub struct Planted {
    pub folder: tempfile::TempDir,
    pub model: Model,
}

impl Planted {
    pub fn new(vehicles: u32, days: u32, seed: u64, text: &str, zones: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("laws.toml");
        std::fs::write(&path, text).unwrap();
        let plan = SynthPlan {
            zones: zones.iter().map(|zone| ((*zone).to_owned(), 1.0)).collect(),
            model: path.to_string_lossy().into_owned(),
            ..SynthPlan::new(vehicles, days, seed)
        };
        generate(&plan, &folder.path().join("fleet"), &Control::silent()).unwrap();
        let model = Model::parse(text, "laws.toml").unwrap();
        Self { folder, model }
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("fleet")
    }

    pub fn dataset(&self) -> Dataset {
        Dataset::open(&self.data(), 2, &Control::silent()).unwrap()
    }

    /// A fit that begins at other values than those planted.
    pub fn fitted(&self, change: impl FnOnce(&mut FitRequest)) -> Fitted {
        let dataset = self.dataset();
        let mut request = FitRequest::new(dataset.latest_day(&Control::silent()).unwrap().unwrap(), 1);
        change(&mut request);
        let reading = Reading { hash_inputs: false, ..Reading::default() };
        fit_histories(&dataset, &moved(&self.model), &request, &reading, &Control::silent()).unwrap().0
    }
}

/// A model with its free numbers a third off.
pub fn moved(model: &Model) -> Model {
    let mut moved = model.clone();
    for (place, path) in model.free_parameters().into_iter().enumerate() {
        path.set(&mut moved, path.value(model) * if place % 2 == 0 { 1.3 } else { 0.75 });
    }
    moved
}
