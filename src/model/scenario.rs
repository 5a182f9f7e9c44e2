//! A changed future: channels shifted or scaled, interactions taken out. The past stays as it was.
//!
//! ```toml
//! [scenario]
//! name = "two degrees warmer, sealed against cold wet air"
//!
//! [[change]]
//! channel = "ambient_temp_c"
//! add = 2.0                     # or multiply = 1.1, or both: value × multiply + add
//!
//! [[remove]]
//! interaction = "cold_humid"    # wherever it stands, or in one failure_mode = "motor_noise" alone
//! ```
//!
//! Units: those of the channels.

use super::error::{ModelError, Place, nearest};
use super::spec::Model;

/// What a scenario file says.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    pub name: String,
    /// Hex BLAKE3 of the canonical text, as [`Model::hash`].
    pub hash: String,
    pub changes: Vec<ChannelChange>,
    pub removals: Vec<Removal>,
}

/// What becomes of a channel's values: `value * multiply + add`.
#[derive(Clone, Debug, PartialEq)]
pub struct ChannelChange {
    pub channel: String,
    pub multiply: f64,
    pub add: f64,
    pub place: Place,
}

/// An interaction that no longer counts.
#[derive(Clone, Debug, PartialEq)]
pub struct Removal {
    pub interaction: String,
    /// `None`: in every mode.
    pub failure_mode: Option<String>,
    pub place: Place,
}

impl Scenario {
    /// The model without the interactions that the scenario removes.
    ///
    /// # Errors
    ///
    /// An interaction or a failure mode that the model lacks, with the nearest it has.
    pub fn apply(&self, model: &Model) -> Result<Model, ModelError> {
        let mut changed = model.clone();
        for removal in &self.removals {
            let wanted = |mode: &str| removal.failure_mode.as_deref().is_none_or(|only| only == mode);
            let mut found = false;
            for mode in changed.modes.iter_mut().filter(|mode| wanted(&mode.id)) {
                for mechanism in &mut mode.mechanisms {
                    let before = mechanism.interactions.len();
                    mechanism.interactions.retain(|one| one.id != removal.interaction);
                    found |= mechanism.interactions.len() < before;
                }
            }
            if !found {
                return Err(removal.unknown(model));
            }
        }
        Ok(changed)
    }
}

impl Removal {
    fn unknown(&self, model: &Model) -> ModelError {
        let modes = || model.modes.iter().map(|mode| mode.id.as_str());
        let (what, name, near) = match &self.failure_mode {
            Some(mode) if modes().all(|known| known != mode) => ("failure mode", mode, nearest(mode, modes())),
            _ => {
                let known = model.modes.iter().flat_map(|mode| &mode.mechanisms).flat_map(|one| &one.interactions);
                let near = nearest(&self.interaction, known.map(|one| one.id.as_str()));
                ("interaction", &self.interaction, near)
            }
        };
        let remedy = match near {
            Some(near) => format!("did you mean {near:?}?"),
            None => "`fleetwear inspect` lists what the model has".to_owned(),
        };
        ModelError::Value {
            place: Box::new(self.place.clone()),
            problem: format!("the model {:?} has no {what} {name:?}", model.name),
            remedy,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scenario(text: &str) -> Result<Scenario, ModelError> {
        Scenario::parse(text, "warm.toml")
    }

    #[test]
    fn a_scenario_takes_out_an_interaction() {
        let model = Model::load("ev-passenger").unwrap();
        let mechanisms = |model: &Model| -> Vec<String> {
            let all = model.modes.iter().flat_map(|mode| &mode.mechanisms).flat_map(|one| &one.interactions);
            all.map(|one| one.id.clone()).collect()
        };
        let first = mechanisms(&model)[0].clone();
        let removed = scenario(&format!("[[remove]]\ninteraction = {first:?}\n")).unwrap();
        let changed = removed.apply(&model).unwrap();
        assert!(!mechanisms(&changed).contains(&first) && mechanisms(&model).contains(&first));
        let error = scenario(&format!("[[remove]]\ninteraction = \"{first}x\"\n")).unwrap().apply(&model).unwrap_err();
        assert!(error.to_string().contains(&format!("did you mean {first:?}?")), "{error}");
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_its_line() {
        for (text, problem) in [
            ("", "neither [[change]] nor [[remove]]"),
            ("[[change]]\nchannel = \"a\"\n", "neither add nor multiply"),
            ("[[change]]\nchannel = \"a\"\nmultiply = -1.0\n", "not above zero"),
            ("[[change]]\nchannel = \"a\"\nad = 1.0\n", "did you mean \"add\""),
            ("[[change]]\nadd = 1.0\n", "missing"),
            ("[[change]]\nchannel = \"a\"\nadd = 1.0\n[[change]]\nchannel = \"a\"\nadd = 2.0\n", "changed twice"),
        ] {
            let error = scenario(text).unwrap_err().to_string();
            assert!(error.contains(problem) && error.contains("warm.toml:"), "{error}");
        }
        let both =
            scenario("[scenario]\nname = \"w\"\n[[change]]\nchannel = \"a\"\nmultiply = 1.1\nadd = 2\n").unwrap();
        assert_eq!((both.changes[0].multiply, both.changes[0].add, both.name.as_str()), (1.1, 2.0, "w"));
    }
}
