//! What is asked of a table of lives, settled once.

use std::path::PathBuf;

use super::error::LivesError;
use super::law::{Law, USUAL};

/// Which column is what; those not named are looked for by their usual names.
#[derive(Clone, Debug, Default)]
pub struct ColumnNames {
    /// The age at failure or at the last look; with `upper` the lower end of an interval.
    pub time: Option<String>,
    /// The age by which a failure had happened.
    pub upper: Option<String>,
    pub event: Option<String>,
    /// The age from which a life was watched.
    pub entry: Option<String>,
    /// How many lives a row stands for.
    pub count: Option<String>,
    /// What it failed of, where several modes compete. Never guessed.
    pub mode: Option<String>,
    /// What splits the table into fits of their own. Never guessed.
    pub by: Option<String>,
}

/// Codes of the event column that are not self-evident.
#[derive(Clone, Debug, Default)]
pub struct EventCodes {
    pub failed: Vec<String>,
    pub censored: Vec<String>,
}

/// How the table is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// A row is a life, or several alike.
    Lives,
    /// A row is an event of a unit that can fail again, or the end of its watch.
    Recurrent,
    /// A row is a period of sale, a column a period of return.
    Nevada,
}

#[derive(Clone, Debug)]
pub struct LivesPlan {
    pub file: PathBuf,
    /// Of a workbook; the first otherwise.
    pub sheet: Option<String>,
    pub layout: Layout,
    pub names: ColumnNames,
    pub codes: EventCodes,
    /// Of recurrent events: the column that names the unit, and the one that says what an event cost.
    pub unit: Option<String>,
    pub cost: Option<String>,
    pub laws: Vec<Law>,
    /// Holds the Weibull shape.
    pub shape: Option<f64>,
    pub confidence: f64,
    /// Percents p of the B_p lives.
    pub percents: Vec<f64>,
    /// Ages by which the share failed is wanted.
    pub ages: Vec<f64>,
    pub out: Option<PathBuf>,
}

impl LivesPlan {
    pub fn new(file: PathBuf) -> Self {
        Self {
            file,
            sheet: None,
            layout: Layout::Lives,
            names: ColumnNames::default(),
            codes: EventCodes::default(),
            unit: None,
            cost: None,
            laws: USUAL.to_vec(),
            shape: None,
            confidence: 0.95,
            percents: vec![1.0, 10.0, 50.0],
            ages: Vec::new(),
            out: None,
        }
    }

    /// Refuses numbers that make no sense.
    pub fn check(&self) -> Result<(), LivesError> {
        let refuse = |option, problem: String| Err(LivesError::Option { option, problem });
        if !(self.confidence > 0.5 && self.confidence < 0.9999) {
            return refuse("--confidence", format!("{} is not between 50 and 99.99 %", 100.0 * self.confidence));
        }
        if let Some(percent) = self.percents.iter().find(|percent| !(**percent > 0.0 && **percent < 100.0)) {
            return refuse("--percent", format!("{percent} is not between 0 and 100"));
        }
        if let Some(age) = self.ages.iter().find(|age| !(**age > 0.0 && age.is_finite())) {
            return refuse("--at", format!("{age} is no age above zero"));
        }
        if let Some(shape) = self.shape {
            if !(0.01..=100.0).contains(&shape) {
                return refuse("--shape", format!("{shape} is not between 0.01 and 100"));
            }
            if !self.laws.iter().any(|law| matches!(law, Law::Weibull | Law::WeibullDefective)) {
                return refuse("--shape", "only the Weibull law has a shape to hold".to_owned());
            }
        }
        Ok(())
    }

    /// The settled options that bear on the content, for the manifest.
    pub fn options(&self) -> serde_json::Map<String, serde_json::Value> {
        let mut options = serde_json::Map::new();
        options.insert("layout".to_owned(), format!("{:?}", self.layout).to_lowercase().into());
        options.insert("laws".to_owned(), self.laws.iter().map(|law| law.name()).collect::<Vec<_>>().into());
        options.insert("confidence".to_owned(), self.confidence.into());
        options.insert("percents".to_owned(), self.percents.clone().into());
        options.insert("ages".to_owned(), self.ages.clone().into());
        options.insert("shape".to_owned(), self.shape.into());
        options
    }
}
