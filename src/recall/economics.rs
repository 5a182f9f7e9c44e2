//! What failures and measures cost: the user's `economics.toml`, and nothing that is not in it.
//!
//! ```toml
//! currency = "RMB"
//! example = false                  # true: wherever its money is shown, it is called an example
//!
//! [recall]
//! failure_repair = 4200            # a failure that nobody prevented: the repair …
//! failure_liability = 18000        # … and what it costs besides
//! campaign_fixed = 150000          # once, for any measure
//! inspect = 120                    # a vehicle inspected
//! replace = 900                    # a part replaced
//! detection = 0.9                  # of parts that would fail, the share that an inspection finds
//! completion_inspect = 0.85        # of the vehicles called, the share that comes
//! completion_replace_now = 0.75
//! completion_replace_at_service = 0.95
//! service_interval = 180           # between two services, in the unit of the horizon (days for vehicles)
//!
//! [[programme]]                    # a programme as a whole, beside any cohort
//! name = "early warning"
//! cost = 4200000                   # once
//! benefit_per_year = { recalls_avoided = 12000000, retention = 6500000 }
//! benefit_once = 0
//! ```
//!
//! Money is in the user's currency; shares are between 0 and 1.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::error::RecallError;
use crate::fleet::manifest::{ManifestInput, ReadBy};

const MONTHS_PER_YEAR: f64 = 12.0;

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Economics {
    pub currency: String,
    #[serde(default)]
    pub example: bool,
    pub recall: Option<RecallCosts>,
    #[serde(default)]
    pub programme: Vec<Programme>,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RecallCosts {
    pub failure_repair: f64,
    pub failure_liability: f64,
    pub campaign_fixed: f64,
    pub inspect: f64,
    pub replace: f64,
    pub detection: f64,
    pub completion_inspect: f64,
    pub completion_replace_now: f64,
    pub completion_replace_at_service: f64,
    pub service_interval: f64,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Programme {
    pub name: String,
    pub cost: f64,
    #[serde(default)]
    pub benefit_per_year: BTreeMap<String, f64>,
    #[serde(default)]
    pub benefit_once: f64,
}

/// What a programme is worth, of its first year.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProgrammeValue {
    pub name: String,
    pub cost: f64,
    /// In the first year, what comes once included.
    pub benefit: f64,
    /// Benefit / cost.
    pub benefit_over_cost: f64,
    /// (Benefit − cost) / cost.
    pub net_roi: f64,
    /// Months until the yearly benefits, spread evenly, have paid for what the benefit that comes once leaves; `None`: never.
    pub payback_months: Option<f64>,
}

impl Economics {
    /// Of a file, and what a manifest says of it.
    pub fn load(file: &Path) -> Result<(Self, ManifestInput), RecallError> {
        let wrong = |problem: String| RecallError::Economics { file: file.to_path_buf(), problem };
        let text = std::fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
        let economics: Self = toml::from_str(&text).map_err(|error| {
            let line = error.span().map(|span| 1 + text[..span.start.min(text.len())].matches('\n').count());
            let place = line.map(|line| format!("line {line}: ")).unwrap_or_default();
            wrong(format!("{place}{}", error.message()))
        })?;
        economics.check().map_err(wrong)?;
        let input = ManifestInput {
            table: "economics".to_owned(),
            path: file.to_string_lossy().into_owned(),
            bytes: text.len() as u64,
            rows: 0,
            blake3: blake3::hash(text.as_bytes()).to_hex().to_string(),
            read: ReadBy::ThisRun,
        };
        Ok((economics, input))
    }

    /// No cost is below zero, no share beyond one.
    fn check(&self) -> Result<(), String> {
        let money = |name: String, value: f64| match value.is_finite() && value >= 0.0 {
            true => Ok(()),
            false => Err(format!("{name} is {value}: a cost or a benefit is zero or more")),
        };
        if let Some(costs) = &self.recall {
            for (name, value) in [
                ("failure_repair", costs.failure_repair),
                ("failure_liability", costs.failure_liability),
                ("campaign_fixed", costs.campaign_fixed),
                ("inspect", costs.inspect),
                ("replace", costs.replace),
            ] {
                money(format!("recall.{name}"), value)?;
            }
            for (name, value) in [
                ("detection", costs.detection),
                ("completion_inspect", costs.completion_inspect),
                ("completion_replace_now", costs.completion_replace_now),
                ("completion_replace_at_service", costs.completion_replace_at_service),
            ] {
                if !(0.0..=1.0).contains(&value) {
                    return Err(format!("recall.{name} is {value}: a share lies between 0 and 1"));
                }
            }
            if !(costs.service_interval.is_finite() && costs.service_interval > 0.0) {
                return Err(format!(
                    "recall.service_interval is {}: it is longer than nothing",
                    costs.service_interval
                ));
            }
        }
        for programme in &self.programme {
            let name = &programme.name;
            money(format!("programme {name:?}: cost"), programme.cost)?;
            money(format!("programme {name:?}: benefit_once"), programme.benefit_once)?;
            for (what, value) in &programme.benefit_per_year {
                money(format!("programme {name:?}: benefit_per_year.{what}"), *value)?;
            }
            if programme.cost == 0.0 {
                return Err(format!("programme {name:?}: a programme that costs nothing has no benefit/cost"));
            }
        }
        if self.recall.is_none() && self.programme.is_empty() {
            return Err("neither [recall] nor [[programme]] is there: no money to reckon with".to_owned());
        }
        Ok(())
    }

    pub fn programmes(&self) -> Vec<ProgrammeValue> {
        self.programme.iter().map(Programme::value).collect()
    }
}

impl Programme {
    fn value(&self) -> ProgrammeValue {
        let yearly: f64 = self.benefit_per_year.values().sum();
        let benefit = yearly + self.benefit_once;
        let open = (self.cost - self.benefit_once).max(0.0);
        ProgrammeValue {
            name: self.name.clone(),
            cost: self.cost,
            benefit,
            benefit_over_cost: benefit / self.cost,
            net_roi: (benefit - self.cost) / self.cost,
            payback_months: match (open > 0.0, yearly > 0.0) {
                (false, _) => Some(0.0),
                (true, true) => Some(MONTHS_PER_YEAR * open / yearly),
                (true, false) => None,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOUND: &str = "currency = \"RMB\"\n[recall]\nfailure_repair = 1\nfailure_liability = 2\ncampaign_fixed = 3\ninspect = 4\nreplace = 5\ndetection = 0.9\ncompletion_inspect = 0.8\ncompletion_replace_now = 0.7\ncompletion_replace_at_service = 0.9\nservice_interval = 180\n";

    fn load(text: &str) -> Result<Economics, RecallError> {
        let here = tempfile::tempdir().unwrap();
        let file = here.path().join("economics.toml");
        std::fs::write(&file, text).unwrap();
        Economics::load(&file).map(|(economics, _)| economics)
    }

    #[test]
    fn costs_that_make_no_sense_are_named() {
        assert!(load(SOUND).is_ok());
        for (text, words) in [
            (SOUND.replace("inspect = 4", "inspect = -4"), "recall.inspect is -4"),
            (SOUND.replace("replace = 5\n", ""), "missing field `replace`"),
            (SOUND.replace("detection = 0.9", "detection = 1.9"), "between 0 and 1"),
            (SOUND.replace("service_interval = 180", "service_interval = 0"), "longer than nothing"),
            (SOUND.replace("replace = 5", "replace = nan"), "recall.replace is NaN"),
            (SOUND.replace("replace = 5", "replaces = 5"), "line 7: unknown field `replaces`"),
            ("currency = \"RMB\"".to_owned(), "neither [recall] nor [[programme]]"),
            ("currency = \"RMB\"\n[[programme]]\nname = \"x\"\ncost = 0".to_owned(), "costs nothing"),
        ] {
            let error = load(&text).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }

    /// The figures that the project's scenario states: 80 million avoided for 3.2 million, 25 × gross and 24 × net; 26.5
    /// million a year for 4.2 million, 530 % net, paid back in 1.9 months.
    #[test]
    fn the_shipped_example_says_what_it_says() {
        let file = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/datasets/examples/economics.toml"));
        let (economics, input) = Economics::load(file).unwrap();
        assert!(input.bytes > 500 && input.blake3.len() == 64 && input.path.ends_with("economics.toml"));
        assert!(economics.example, "an example is called one");
        let values = economics.programmes();
        assert_eq!((values[0].benefit_over_cost, values[0].net_roi), (25.0, 24.0));
        assert!((values[1].net_roi - 22.3 / 4.2).abs() < 1e-12 && (values[1].net_roi - 5.3).abs() < 0.01);
        assert!((values[1].payback_months.unwrap() - 1.9).abs() < 0.01);
    }
}
