//! `model.toml` → [`Model`]: each table is read key by key, so that every error names its line and key.

mod canonical;
mod covariance;
mod free;
mod interaction;
mod scenario;
mod section;
mod term;

use toml::de::DeTable;

use self::section::{Document, Section};
use super::error::ModelError;
use super::shipped::SHIPPED;
use super::spec::{Alert, Direction, Exposure, FailureMode, Mechanism, Model, Monitor};

impl Model {
    /// A shipped model by name, or the model file at a path. A name with a slash or ending in `.toml` is a path.
    pub fn load(name_or_path: &str) -> Result<Model, ModelError> {
        if let Some((name, text)) = SHIPPED.iter().find(|(name, _)| *name == name_or_path) {
            return Model::parse(text, &format!("{name}.toml"));
        }
        match std::fs::read_to_string(name_or_path) {
            Ok(text) => Model::parse(&text, name_or_path),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(ModelError::UnknownModel {
                name: name_or_path.to_owned(),
                shipped: SHIPPED.iter().map(|(name, _)| (*name).to_owned()).collect(),
            }),
            Err(source) => Err(ModelError::Unreadable { file: name_or_path.to_owned(), source }),
        }
    }

    /// Reads a model file's text; `file` is its name in error messages.
    pub fn parse(text: &str, file: &str) -> Result<Model, ModelError> {
        let document = Document { file, text };
        let parsed = DeTable::parse(text).map_err(|error| {
            let offset = error.span().map_or(0, |span| span.start);
            ModelError::Syntax { place: document.place(offset, "TOML".to_owned()), message: error.message().to_owned() }
        })?;
        let root = Section::new(document, parsed.get_ref(), 0, "");
        root.only(&["model", "failure_mode", "monitor", "covariance"])?;
        let head =
            root.section("model")?.ok_or_else(|| root.missing("model", "begin with [model], name and version"))?;
        head.only(&["name", "version", "description"])?;
        let modes: Vec<FailureMode> =
            root.sections("failure_mode")?.into_iter().map(failure_mode).collect::<Result<_, _>>()?;
        let covariance = root.section("covariance")?.map(|section| covariance::covariance(section, &modes));
        let model = Model {
            name: head.required_text("name", "add name = \"…\"")?.to_owned(),
            version: head.required_text("version", "add version = \"…\"")?.to_owned(),
            description: head.text("description")?.map(str::to_owned),
            file: file.to_owned(),
            hash: blake3::hash(canonical::canonical(parsed.get_ref()).as_bytes()).to_hex().to_string(),
            modes,
            monitors: root.sections("monitor")?.into_iter().map(monitor).collect::<Result<_, _>>()?,
            covariance: covariance.transpose()?,
        };
        if model.modes.is_empty() {
            return Err(root.missing("failure_mode", "a model has at least one [[failure_mode]]"));
        }
        unique("failure_mode", model.modes.iter().map(|mode| (mode.id.as_str(), &mode.places.own)))?;
        unique("monitor", model.monitors.iter().map(|monitor| (monitor.id.as_str(), &monitor.places.own)))?;
        Ok(model)
    }
}

fn failure_mode(mut section: Section) -> Result<FailureMode, ModelError> {
    section.only(&[
        "id",
        "component",
        "positions",
        "weibull_shape",
        "free",
        "alert",
        "competes",
        "mechanism",
        "source",
    ])?;
    let id = identifier(&section, "id")?;
    section.rename(format!("failure_mode.{id}"));
    let positions = section.texts("positions")?;
    if section.has("positions") && positions.is_empty() {
        return Err(section.value_error("positions", "no position", "name at least one or drop the key"));
    }
    if let Some(twice) = positions.iter().enumerate().find(|(i, one)| positions[..*i].contains(one)) {
        return Err(section.value_error("positions", format!("{:?} stands there twice", twice.1), "name each once"));
    }
    let mechanisms: Vec<Mechanism> =
        section.sections("mechanism")?.into_iter().map(|one| mechanism(one, &id)).collect::<Result<_, _>>()?;
    if mechanisms.is_empty() {
        return Err(section.missing("mechanism", "a failure mode has at least one [[failure_mode.mechanism]]"));
    }
    unique("mechanism", mechanisms.iter().map(|mechanism| (mechanism.id.as_str(), &mechanism.places.own)))?;
    Ok(FailureMode {
        component: section.required_text("component", "add component = \"…\" as the events table names it")?.to_owned(),
        positions: positions.into_iter().map(str::to_owned).collect(),
        weibull_shape: section.required_positive("weibull_shape", "add weibull_shape, e.g. 1.4 (1 = random)")?,
        free_shape: free::of_mode(&section)?,
        alert: section.section("alert")?.map(alert).transpose()?,
        competes: section.boolean("competes")?.unwrap_or(false),
        source: source(&section)?,
        places: section.places(),
        mechanisms,
        id,
    })
}

fn alert(section: Section) -> Result<Alert, ModelError> {
    section.only(&["horizon_days", "probability", "cost_false_call", "cost_missed"])?;
    let by_cost = section.has("cost_false_call") || section.has("cost_missed");
    if by_cost && section.has("probability") {
        let problem = "a probability and costs, which give one too";
        return Err(section.value_error("probability", problem, "keep either"));
    }
    let probability = if by_cost {
        // A call costs less than silence from the probability at which both are expected to cost the same.
        let called = section.required_positive("cost_false_call", "add cost_false_call beside cost_missed")?;
        called / (called + section.required_positive("cost_missed", "add cost_missed beside cost_false_call")?)
    } else {
        section.required_positive("probability", "add probability, e.g. 0.2, or cost_false_call and cost_missed")?
    };
    if probability >= 1.0 {
        return Err(section.value_error(
            "probability",
            format!("{probability} is not below 1"),
            "give a share, e.g. 0.2",
        ));
    }
    Ok(Alert { horizon_days: section.required_positive("horizon_days", "add horizon_days, e.g. 30")?, probability })
}

fn mechanism(mut section: Section, mode: &str) -> Result<Mechanism, ModelError> {
    section.only(&[
        "id",
        "exposure",
        "characteristic_life",
        "clock_exponent",
        "free",
        "terms",
        "interactions",
        "source",
    ])?;
    let id = identifier(&section, "id")?;
    section.rename(format!("failure_mode.{mode}.{id}"));
    let exposure = section.required_text("exposure", "add exposure = \"days\", \"records\" or a channel")?;
    let interactions =
        section.sections("interactions")?.into_iter().map(interaction::interaction).collect::<Result<Vec<_>, _>>()?;
    unique("interaction", interactions.iter().map(|interaction| (interaction.id.as_str(), &interaction.places.own)))?;
    let read = Mechanism {
        exposure: match exposure {
            "days" => Exposure::Days,
            "records" => Exposure::Records,
            channel => Exposure::Channel(channel.to_owned()),
        },
        characteristic_life: section
            .required_positive("characteristic_life", "add characteristic_life in units of the exposure")?,
        clock_exponent: section.positive("clock_exponent")?.unwrap_or(1.0),
        terms: section.sections("terms")?.into_iter().map(term::term).collect::<Result<_, _>>()?,
        interactions,
        free: Vec::new(),
        source: source(&section)?,
        places: section.places(),
        id,
    };
    Ok(Mechanism { free: free::of_mechanism(&section, &read)?, ..read })
}

fn monitor(mut section: Section) -> Result<Monitor, ModelError> {
    section.only(&[
        "id",
        "component",
        "channel",
        "threshold",
        "limit",
        "direction",
        "baseline_days",
        "false_alarms_per_100000_days",
        "lot",
        "source",
    ])?;
    let id = identifier(&section, "id")?;
    section.rename(format!("monitor.{id}"));
    let direction = match section.text("direction")? {
        None | Some("rising") => Direction::Rising,
        Some("falling") => Direction::Falling,
        Some("both") => Direction::Both,
        Some(other) => {
            let problem = format!("{other:?} is no direction");
            return Err(section.value_error("direction", problem, "write \"rising\", \"falling\" or \"both\""));
        }
    };
    Ok(Monitor {
        component: section.required_text("component", "add component = \"…\" as the events table names it")?.to_owned(),
        channel: section.required_text("channel", "add channel = \"…\"")?.to_owned(),
        threshold: section.number("threshold")?,
        limit: section.number("limit")?,
        direction,
        baseline_days: section.required_positive("baseline_days", "add baseline_days, e.g. 180")?,
        false_alarms_per_100000_days: section
            .required_positive("false_alarms_per_100000_days", "add false_alarms_per_100000_days, e.g. 1")?,
        lot: section.text("lot")?.map(str::to_owned),
        source: source(&section)?,
        places: section.places(),
        id,
    })
}

/// An id: it becomes a value in outputs and a step of a key path.
fn identifier(section: &Section, key: &str) -> Result<String, ModelError> {
    let id = section.required_text(key, "add id = \"…\"")?;
    if id.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-') {
        return Ok(id.to_owned());
    }
    Err(section.value_error(key, format!("{id:?} is no id"), "use letters, digits, _ and - only"))
}

fn source(section: &Section) -> Result<Option<String>, ModelError> {
    Ok(section.text("source")?.map(str::to_owned))
}

fn unique<'a>(what: &str, ids: impl Iterator<Item = (&'a str, &'a super::error::Place)>) -> Result<(), ModelError> {
    let mut seen = std::collections::BTreeMap::new();
    for (id, place) in ids {
        if let Some(first) = seen.insert(id, place.line) {
            return Err(ModelError::Value {
                place: Box::new(place.clone()),
                problem: format!("a second {what} is called {id:?}, the first on line {first}"),
                remedy: "give each its own id".to_owned(),
            });
        }
    }
    Ok(())
}
