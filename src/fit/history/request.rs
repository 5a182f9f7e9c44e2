//! What is asked of a fit: which modes, what is free in them, and which of them share parts.
//!
//! Units: days of the dataset's axis; vehicles; bytes.

use super::error::HistoryFitError;
use super::estimate::fits;
use super::law::MOST_RATIOS;
use crate::model::error::nearest;
use crate::model::free::{FreeParameter, ParameterPath};
use crate::model::spec::{FailureMode, Model};

/// How to fit. Only what bears on the result.
#[derive(Clone, Debug)]
pub struct FitRequest {
    /// The day on which the data are taken to end.
    pub as_of_day: i32,
    pub seed: u64,
    /// Failure modes to fit; `None`: all that free something.
    pub modes: Option<Vec<String>>,
    /// Free every characteristic life and shape, whatever the model says.
    pub lives_and_shapes: bool,
    /// Vehicles to look at, about; `None`: as many as fit into `memory_limit_bytes`.
    pub sample: Option<u64>,
    pub memory_limit_bytes: usize,
    /// Replicates of the bootstrap; 0: none.
    pub replicates: usize,
    /// Replacements are on record since this day, though the histories begin later.
    pub events_since: Option<i32>,
    /// Parts that were in use before the records: take their use to have been that of their first so many days on
    /// record. 0: leave them out.
    pub prior_use_days: u32,
}

impl FitRequest {
    pub fn new(as_of_day: i32, seed: u64) -> Self {
        Self {
            as_of_day,
            seed,
            modes: None,
            lives_and_shapes: false,
            sample: None,
            memory_limit_bytes: 512 << 20,
            replicates: 0,
            events_since: None,
            prior_use_days: 0,
        }
    }
}

/// The modes that are fitted, with what is free, and their places in the model.
pub(super) fn restricted(given: &Model, request: &FitRequest) -> Result<(Model, Vec<usize>), HistoryFitError> {
    let mut model = given.clone();
    if let Some(names) = &request.modes {
        for name in names {
            if given.modes.iter().all(|mode| mode.id != *name) {
                let known: Vec<String> = given.modes.iter().map(|mode| mode.id.clone()).collect();
                let nearest = nearest(name, known.iter().map(String::as_str));
                return Err(HistoryFitError::UnknownMode { name: name.clone(), nearest, known });
            }
        }
    }
    if request.lives_and_shapes {
        for mode in &mut model.modes {
            mode.free_shape = true;
            for mechanism in &mut mode.mechanisms {
                mechanism.free = vec![FreeParameter::CharacteristicLife];
            }
        }
    }
    let asked = |id: &str| request.modes.as_ref().is_none_or(|names| names.iter().any(|name| name == id));
    let frees = |mode: &FailureMode| mode.free_shape || mode.mechanisms.iter().any(|own| !own.free.is_empty());
    // A mode that shares the parts of a fitted one takes part, its numbers held.
    let components: Vec<String> =
        model.modes.iter().filter(|mode| asked(&mode.id) && frees(mode)).map(|mode| mode.component.clone()).collect();
    for mode in model.modes.iter_mut().filter(|mode| !asked(&mode.id)) {
        mode.free_shape = false;
        mode.mechanisms.iter_mut().for_each(|own| own.free.clear());
    }
    let places: Vec<usize> =
        (0..model.modes.len()).filter(|&mode| components.contains(&model.modes[mode].component)).collect();
    let mut place = 0;
    model.modes.retain(|_| {
        place += 1;
        places.contains(&(place - 1))
    });
    (model.monitors, model.covariance) = (Vec::new(), None);
    if model.modes.is_empty() {
        return Err(HistoryFitError::NothingFree { file: given.file.clone() });
    }
    Ok((model, places))
}

/// Modes by the parts they share.
pub(super) fn shared(model: &Model) -> Result<Vec<Vec<usize>>, HistoryFitError> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (mode, own) in model.modes.iter().enumerate() {
        match groups.iter_mut().find(|group| model.modes[group[0]].component == own.component) {
            Some(group) if model.modes[group[0]].positions == own.positions => group.push(mode),
            Some(group) => {
                return Err(HistoryFitError::OtherPositions {
                    first: model.modes[group[0]].id.clone(),
                    second: own.id.clone(),
                    component: own.component.clone(),
                });
            }
            None => groups.push(vec![mode]),
        }
    }
    // Only shared parts that nobody frees anything of are not worth a fit.
    let frees = |mode: &usize| {
        let own = &model.modes[*mode];
        own.free_shape || own.mechanisms.iter().any(|own| !own.free.is_empty())
    };
    groups.retain(|group| group.iter().any(frees));
    Ok(groups)
}

pub(super) fn check_counts(model: &Model, modes: &[usize], own: &[ParameterPath]) -> Result<(), HistoryFitError> {
    if !fits(own.len()) {
        let names: Vec<&str> = modes.iter().map(|&mode| model.modes[mode].id.as_str()).collect();
        return Err(HistoryFitError::TooMany { modes: names.join(", "), got: own.len() });
    }
    for &mode in modes {
        for mechanism in &model.modes[mode].mechanisms {
            let ratios = mechanism.free.iter().filter(|one| matches!(one, FreeParameter::Ratio { .. })).count();
            if ratios > MOST_RATIOS {
                let mechanism = format!("{}.{}", model.modes[mode].id, mechanism.id);
                return Err(HistoryFitError::TooManyRatios { mechanism, got: ratios });
            }
        }
    }
    Ok(())
}
