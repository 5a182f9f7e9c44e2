//! What is asked of a search, and what follows from it before a record is read.
//!
//! Units: days of the dataset's axis.

use super::error::DiscoverError;
use crate::fleet::dataset::Dataset;
use crate::fleet::vehicles::Attribute;
use crate::model::error::nearest;
use crate::model::spec::Model;

/// Attribute that names a vehicle's climate zone, unless another is given.
const ZONE_ATTRIBUTE: &str = "climate_zone";
/// Values of an attribute that is crossed with pairs without being asked for.
const CROSSED_VALUES: std::ops::RangeInclusive<usize> = 2..=12;

/// How to search.
#[derive(Clone, Debug)]
pub struct DiscoverRequest {
    /// Id of the failure mode.
    pub mode: String,
    pub as_of_day: i32,
    /// `None`: all channels of the dataset.
    pub channels: Option<Vec<String>>,
    /// Attributes to cross with pairs; `None`: those with a dozen values or fewer, but the zone.
    pub attributes: Option<Vec<String>>,
    /// `None`: `climate_zone`, where there is one.
    pub zone: Option<String>,
    /// What chance may give in all.
    pub level: f64,
    pub replicates: u32,
    pub seed: u64,
    /// Search as if the model had no interactions.
    pub without_interactions: bool,
    /// As in a fit.
    pub events_since: Option<i32>,
    pub prior_use_days: u32,
    /// A failure on a day without use on record belongs to the nearest record within so many days.
    pub event_window_days: u32,
}

/// [`DiscoverRequest::event_window_days`], unless another is given.
pub const EVENT_WINDOW_DAYS: u32 = 7;

impl DiscoverRequest {
    pub fn new(mode: impl Into<String>) -> Self {
        Self {
            mode: mode.into(),
            as_of_day: i32::MAX,
            channels: None,
            attributes: None,
            zone: None,
            level: 0.05,
            replicates: 999,
            seed: 1,
            without_interactions: false,
            events_since: None,
            prior_use_days: 0,
            event_window_days: EVENT_WINDOW_DAYS,
        }
    }

    /// The mode with those that share its parts, without the rest of the model.
    pub fn model(&self, given: &Model) -> Result<Model, DiscoverError> {
        let Some(mode) = given.modes.iter().find(|mode| mode.id == self.mode) else {
            let known: Vec<String> = given.modes.iter().map(|mode| mode.id.clone()).collect();
            let near = nearest(&self.mode, known.iter().map(String::as_str));
            return Err(DiscoverError::UnknownMode { name: self.mode.clone(), nearest: near, known });
        };
        let mut model = given.clone();
        model.modes.retain(|other| other.component == mode.component && other.positions == mode.positions);
        (model.monitors, model.covariance) = (Vec::new(), None);
        if self.without_interactions {
            let mechanisms = model.modes.iter_mut().flat_map(|mode| &mut mode.mechanisms);
            mechanisms.for_each(|mechanism| mechanism.interactions.clear());
        }
        Ok(model)
    }

    /// Indices of the dictionary's channels that are looked at.
    pub fn channels(&self, dataset: &Dataset) -> Result<Vec<usize>, DiscoverError> {
        let dictionary = &dataset.dictionary;
        let Some(names) = &self.channels else { return Ok((0..dictionary.channels.len()).collect()) };
        let index = |name: &String| {
            dictionary.channel_index(name).ok_or_else(|| {
                let known: Vec<String> = dictionary.channels.iter().map(|one| one.channel.name.clone()).collect();
                let near = nearest(name, known.iter().map(String::as_str));
                DiscoverError::UnknownChannel { name: name.clone(), nearest: near, known }
            })
        };
        names.iter().map(index).collect()
    }

    /// The attribute that names zones, if there is one.
    pub fn zone<'a>(&self, dataset: &'a Dataset) -> Result<Option<&'a Attribute>, DiscoverError> {
        match &self.zone {
            Some(name) => attribute(dataset, "--zones", name).map(Some),
            None => Ok(dataset.vehicles.attributes.iter().find(|one| one.name == ZONE_ATTRIBUTE)),
        }
    }

    /// The attributes whose values are crossed with pairs.
    pub fn crossed<'a>(
        &self,
        dataset: &'a Dataset,
        zone: Option<&Attribute>,
    ) -> Result<Vec<&'a Attribute>, DiscoverError> {
        match &self.attributes {
            Some(names) => names.iter().map(|name| attribute(dataset, "--attributes", name)).collect(),
            None => {
                let all = dataset.vehicles.attributes.iter();
                let is_zone = |one: &Attribute| zone.is_some_and(|zone| zone.name == one.name);
                Ok(all.filter(|one| !is_zone(one) && CROSSED_VALUES.contains(&one.values.len())).collect())
            }
        }
    }
}

fn attribute<'a>(dataset: &'a Dataset, option: &'static str, name: &str) -> Result<&'a Attribute, DiscoverError> {
    let all = &dataset.vehicles.attributes;
    all.iter().find(|one| one.name == name).ok_or_else(|| {
        let known: Vec<String> = all.iter().map(|one| one.name.clone()).collect();
        let near = nearest(name, known.iter().map(String::as_str));
        DiscoverError::UnknownAttribute { option, name: name.to_owned(), nearest: near, known }
    })
}
