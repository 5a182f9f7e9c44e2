//! What is asked of a recall from a table of lives, settled once.

use std::path::PathBuf;

use serde::Serialize;

use super::error::RecallError;
use crate::fit::lives::LivesPlan;
use crate::fit::lives::law::Law;

/// Fewer failures than this, and samples drawn from the fitted law too often hold none or one: of a Poisson number of
/// mean 4 it is 9 %, of 5 it is 4 %.
pub const ENOUGH_TO_DRAW: f64 = 5.0;

/// How it is found out what else could have been seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Resampling {
    Parametric,
    FractionalWeights,
}

/// More failures than this are not drawn one by one: with so many, random weights say the same.
pub const MOST_DRAWN: f64 = 50_000.0;

#[derive(Clone, Debug)]
pub struct RecallLivesPlan {
    /// The file and its columns; law, shape and output folder are there too.
    pub table: LivesPlan,
    /// How far to look ahead, in the table's own unit.
    pub horizons: Vec<f64>,
    /// Of each one-sided bound; an interval of both has 2c − 1.
    pub confidence: f64,
    /// `None`: drawn from the law where that does not lose the failures.
    pub resampling: Option<Resampling>,
    pub replicates: usize,
    /// Tables drawn to see how often the calibrated bounds cover; 0: not looked at.
    pub nested: usize,
    pub seed: u64,
}

impl RecallLivesPlan {
    pub fn new(file: PathBuf, horizons: Vec<f64>) -> Self {
        let mut table = LivesPlan::new(file);
        table.laws = vec![Law::Weibull];
        Self { table, horizons, confidence: 0.95, resampling: None, replicates: 4_000, nested: 0, seed: 1 }
    }

    pub fn law(&self) -> Law {
        self.table.laws.first().copied().unwrap_or(Law::Weibull)
    }

    /// The number that the law's steepness is held at.
    pub fn held_shape(&self) -> Option<f64> {
        match self.law() {
            Law::Exponential => Some(1.0),
            Law::Weibull => self.table.shape,
            _ => None,
        }
    }

    pub fn check(&self) -> Result<(), RecallError> {
        let refuse = |option, problem: String| Err(RecallError::Option { option, problem });
        self.table.check()?;
        if self.horizons.is_empty() {
            return refuse("--horizon", "say how far to look ahead, in the unit of the table's ages".to_owned());
        }
        if let Some(one) = self.horizons.iter().find(|one| !(**one > 0.0 && one.is_finite())) {
            return refuse("--horizon", format!("{one} is no length above zero"));
        }
        if !(self.confidence > 0.5 && self.confidence < 0.9999) {
            return refuse("--confidence", format!("{} is not between 50 and 99.99 %", 100.0 * self.confidence));
        }
        if !(100..=1_000_000).contains(&self.replicates) {
            return refuse("--replicates", format!("{} is not between 100 and 1,000,000", self.replicates));
        }
        if self.table.shape.is_some() && self.law() != Law::Weibull {
            let law = self.law().name();
            return refuse("--shape", format!("the law is {law}, and only that of the Weibull law is held"));
        }
        if self.nested > 100_000 {
            return refuse("--nested", format!("{} is more than 100,000", self.nested));
        }
        Ok(())
    }

    /// The settled options that bear on the content, for the manifest.
    pub fn options(&self) -> serde_json::Map<String, serde_json::Value> {
        let mut options = serde_json::Map::new();
        options.insert("law".to_owned(), self.law().name().into());
        options.insert("shape".to_owned(), self.table.shape.into());
        options.insert("horizons".to_owned(), self.horizons.clone().into());
        options.insert("confidence".to_owned(), self.confidence.into());
        let named = self.resampling.map_or("auto", |one| match one {
            Resampling::Parametric => "parametric",
            Resampling::FractionalWeights => "fractional_weights",
        });
        options.insert("method".to_owned(), named.into());
        options.insert("replicates".to_owned(), self.replicates.into());
        options.insert("nested".to_owned(), self.nested.into());
        options.insert("seed".to_owned(), self.seed.into());
        options
    }
}
