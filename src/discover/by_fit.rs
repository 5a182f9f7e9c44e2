//! A finding as an interaction of the model, whose ratio a fit then estimates from whole lives.
//!
//! Key idea: the search takes the clocks of the model without the interaction; in a fit the interaction speeds the
//! clocks up, so a vehicle that was often in cold wet air is older, too. Level and ratio are free, all else is held.
//! The fit knows neither zones nor months, so it stands beside the search's own estimate, not in its place.
//!
//! Units: ratios of rates inside against outside.

use super::findings::{Finding, RatioByFit};
use crate::fit::history::{FitRequest, HistoryFit};
use crate::model::free::{FreeParameter, ParameterPath};
use crate::model::spec::{Comparison, Condition, Interaction, Model, Test};

use super::request::DiscoverRequest;

/// The model with a finding in its mode; `None`: the mode has several mechanisms, and no single ratio.
pub fn model(given: &Model, request: &DiscoverRequest, finding: &Finding) -> Option<Model> {
    let mut model = given.clone();
    for mode in &mut model.modes {
        mode.free_shape = false;
        mode.mechanisms.iter_mut().for_each(|mechanism| mechanism.free.clear());
    }
    let mode = model.modes.iter_mut().find(|mode| mode.id == request.mode)?;
    let [mechanism] = mode.mechanisms.as_mut_slice() else { return None };
    let place = |name: &str| mechanism.places.of(name);
    let mut when: Vec<Condition> = (finding.conditions.iter())
        .map(|one| {
            let comparison = if one.is == "<" { Comparison::Less } else { Comparison::Greater };
            let test = Test::Compare(comparison(one.threshold));
            Condition { name: one.channel.clone(), test, place: place(&one.channel) }
        })
        .collect();
    when.extend(finding.attribute.iter().map(|(name, value)| Condition {
        name: name.clone(),
        test: Test::OneOf(vec![value.clone()]),
        place: place(name),
    }));
    when.sort_by(|a, b| a.name.cmp(&b.name));
    let interaction = mechanism.interactions.len();
    mechanism.interactions.push(Interaction {
        id: "discovered".to_owned(),
        when,
        ratio: finding.ratio.clamp(0.05, 20.0),
        source: None,
        places: mechanism.places.clone(),
    });
    mechanism.free = vec![FreeParameter::CharacteristicLife, FreeParameter::Ratio { interaction }];
    Some(model)
}

/// How to fit it: on the same lives.
pub fn request(request: &DiscoverRequest, memory_limit_bytes: usize) -> FitRequest {
    FitRequest {
        modes: Some(vec![request.mode.clone()]),
        events_since: request.events_since,
        prior_use_days: request.prior_use_days,
        memory_limit_bytes,
        ..FitRequest::new(request.as_of_day, request.seed)
    }
}

/// The ratio that a fit found.
pub fn ratio(fit: &HistoryFit) -> Option<RatioByFit> {
    let is_ratio =
        |path: ParameterPath| matches!(path, ParameterPath::Mechanism { parameter: FreeParameter::Ratio { .. }, .. });
    let estimate = fit.groups.iter().flat_map(|group| &group.estimates).find(|one| is_ratio(one.path))?;
    Some(RatioByFit { ratio: estimate.value, lower: estimate.lower?, upper: estimate.upper? })
}
