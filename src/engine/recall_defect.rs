//! What a recall is about: a failure mode, a monitor or a component of the model, and what of the model that brings along.
//!
//! A vehicle is suspect if it shows *this* defect: by an alarm of a monitor of its component, or by a failure of it. What
//! another monitor says, or what else has failed, makes nobody suspect.

use super::recall_plan::RecallPlan;
use crate::fleet::error::nearest;
use crate::model::spec::Model;
use crate::recall::RecallError;
use crate::recall::economics::Economics;
use crate::recall::fleet_report::AskedDefect;

/// Ids of the model that a recall looks at; without a defect asked for, all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefectOf {
    pub asked: Option<String>,
    /// Whose failures make a vehicle suspect, sorted.
    pub components: Vec<String>,
    pub modes: Vec<String>,
    pub monitors: Vec<String>,
}

impl DefectOf {
    /// Settles what `plan.defect` names.
    pub fn of(plan: &RecallPlan, model: &Model) -> Result<Self, RecallError> {
        let modes: Vec<(&str, &str)> =
            model.modes.iter().map(|mode| (mode.id.as_str(), mode.component.as_str())).collect();
        let monitors: Vec<(&str, &str)> =
            model.monitors.iter().map(|monitor| (monitor.id.as_str(), monitor.component.as_str())).collect();
        let both = || modes.iter().chain(&monitors);
        let asked = plan.defect.as_deref();
        let is_mode = modes.iter().any(|(id, _)| Some(*id) == asked);
        let component = both()
            .find(|(id, _)| Some(*id) == asked)
            .or_else(|| both().find(|(_, component)| Some(*component) == asked))
            .map(|(_, component)| *component);
        if let (Some(name), None) = (asked, component) {
            let ids: Vec<&str> = both().map(|(id, _)| *id).collect();
            return Err(RecallError::UnknownDefect {
                name: name.to_owned(),
                nearest: nearest(name, both().flat_map(|(id, component)| [*id, *component])),
                known: ids.join(", "),
            });
        }
        let is_own = |of: &str| component.is_none_or(|component| component == of);
        // A mode named by its id leaves out the component's other modes.
        let is_meant = |id: &str| !is_mode || Some(id) == asked;
        let mut components: Vec<String> = both().map(|(_, of)| (*of).to_owned()).filter(|of| is_own(of)).collect();
        components.sort_unstable();
        components.dedup();
        let own = |of: &[(&str, &str)]| -> Vec<String> {
            of.iter().filter(|(_, of)| is_own(of)).map(|(id, _)| (*id).to_owned()).collect()
        };
        Ok(Self {
            asked: asked.map(str::to_owned),
            components,
            modes: own(&modes).into_iter().filter(|id| is_meant(id)).collect(),
            monitors: own(&monitors),
        })
    }

    /// As the report names it.
    pub fn told(&self) -> Option<AskedDefect> {
        let component = self.components.first().cloned().unwrap_or_default();
        self.asked.clone().map(|name| AskedDefect { name, component })
    }

    /// The failure mode whose failures cost; `None`: no costs are given, or the model forecasts no such failures.
    pub fn money_mode(&self, economics: Option<&Economics>) -> Result<Option<&str>, RecallError> {
        let is_costed = economics.is_some_and(|economics| economics.recall.is_some());
        match self.modes.as_slice() {
            _ if !is_costed => Ok(None),
            [] => Ok(None),
            [one] => Ok(Some(one)),
            several => Err(RecallError::Option {
                option: "--defect",
                problem: format!("say whose failures cost: one of {}", several.join(", ")),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recall::cohort::Asked;

    fn of(defect: Option<&str>) -> Result<DefectOf, RecallError> {
        let model = Model::load("ev-passenger").unwrap();
        let mut plan = RecallPlan::new("d".into(), "ev-passenger", "o".into(), Asked::of("a == 1"));
        plan.defect = defect.map(str::to_owned);
        DefectOf::of(&plan, &model)
    }

    #[test]
    fn a_defect_brings_its_component_and_no_other() {
        let found = of(Some("pack_temp_spread")).unwrap();
        assert_eq!(
            (found.components.as_slice(), found.monitors.as_slice()),
            (&["pack_temp_sensor".to_owned()][..], &["pack_temp_spread".to_owned()][..])
        );
        assert!(found.modes.is_empty(), "the model forecasts no failures of sensors");
        assert_eq!(
            found,
            DefectOf { asked: Some("pack_temp_spread".to_owned()), ..of(Some("pack_temp_sensor")).unwrap() }
        );
        let found = of(Some("tyre_wear")).unwrap();
        assert!(found.modes == ["tyre_wear"] && found.components == ["tyre"] && found.monitors.is_empty(), "{found:?}");
        let found = of(None).unwrap();
        assert!(found.modes.len() > 4 && found.monitors.len() == 1 && found.told().is_none());
        let error = of(Some("tire_wear")).unwrap_err().to_string();
        assert!(error.contains("did you mean \"tyre_wear\"?") && error.contains("pack_temp_spread"), "{error}");
    }
}
