//! Lays a model over a dataset and turns it into integer tables.
//!
//! Key idea: everything that a mechanism says about one input (a channel, or a pair as a synthetic channel) is merged
//! into one column of log2 ratios in f64, then rounded once to 2^-18 (half to even). What cannot overflow or saturate
//! at run time is proved in `groups`. The same model and schema always give the same tables: channels and
//! inputs stand in the order of their names, mechanisms and interactions in the order of the file.

mod columns;
mod groups;
mod masks;

use std::collections::{BTreeMap, BTreeSet};

use self::columns::{Column, InputKey, exposure_column, term_columns};
use super::channel::{Channel, PeriodLength, Schema};
use super::compiled::{CompiledExposure, CompiledMechanism, CompiledMode, CompiledModel};
use super::error::{ModelError, Place, nearest};
use super::spec::{Exposure, Law, Mechanism, Model, Test};
use super::tables::{DamageTables, GROUP_LANES, TableInput};

/// Compiles a model for the channels and attributes of a dataset.
///
/// Refused: channels and attributes that the dataset lacks, curves that are not finite over a channel's range,
/// exposures that can be negative, a reference rate of one life a record or more, rates beyond what a kernel can add.
pub fn compile(model: &Model, schema: &Schema) -> Result<CompiledModel, ModelError> {
    let dataset = Dataset::of(model, schema)?;
    let mechanisms: Vec<(usize, &Mechanism)> =
        model.modes.iter().enumerate().flat_map(|(mode, one)| one.mechanisms.iter().map(move |m| (mode, m))).collect();

    // All columns of all mechanisms first: which inputs there are follows from them.
    let mut columns: Vec<BTreeMap<InputKey, Column>> = Vec::with_capacity(mechanisms.len());
    let mut compiled = Vec::with_capacity(mechanisms.len());
    for (mode, mechanism) in &mechanisms {
        let (exposure, own) = mechanism_columns(mechanism, &dataset)?;
        columns.push(own);
        compiled.push(CompiledMechanism {
            id: mechanism.id.clone(),
            mode: *mode,
            clock_exponent: mechanism.clock_exponent,
            exposure,
            characteristic_life: mechanism.characteristic_life,
        });
    }
    let asked = mechanisms.iter().flat_map(|(_, mechanism)| &mechanism.interactions).flat_map(|one| &one.when);
    let asked = asked.filter(|condition| matches!(condition.test, Test::Compare(_)));
    let asked: BTreeSet<InputKey> =
        asked.filter_map(|condition| dataset.position(&condition.name)).map(InputKey::Channel).collect();
    let keys: Vec<InputKey> =
        columns.iter().flat_map(BTreeMap::keys).cloned().chain(asked).collect::<BTreeSet<_>>().into_iter().collect();

    let mut groups = Vec::new();
    let mut interactions = Vec::new();
    let mut drivers = Vec::new();
    for (group, members) in mechanisms.chunks(GROUP_LANES).enumerate() {
        let first = group * GROUP_LANES;
        let members: Vec<&Mechanism> = members.iter().map(|(_, mechanism)| *mechanism).collect();
        let bits = masks::bits(&members, first)?;
        let own = columns.get(first..first + members.len()).unwrap_or_default();
        let built = groups::group(&members, own, &compiled[first..first + members.len()], &bits, &keys, &dataset)?;
        drivers.extend(groups::drivers(&built, own, first, &keys, &dataset));
        groups.push(built);
        interactions.push(bits.into_iter().map(|bit| bit.compiled).collect());
    }

    let mut next = 0;
    let modes = model.modes.iter().map(|mode| {
        let first = next;
        next += mode.mechanisms.len();
        CompiledMode {
            id: mode.id.clone(),
            component: mode.component.clone(),
            positions: mode.positions.clone(),
            weibull_shape: mode.weibull_shape,
            mechanisms: first..next,
            alert: mode.alert,
            competes: mode.competes,
        }
    });
    Ok(CompiledModel {
        name: model.name.clone(),
        version: model.version.clone(),
        hash: model.hash.clone(),
        modes: modes.collect(),
        tables: DamageTables {
            input_rows: keys.iter().map(|key| key.rows(&dataset)).collect(),
            groups,
            mechanisms: mechanisms.len(),
        },
        inputs: keys.into_iter().map(TableInput::from).collect(),
        channels: dataset.schema_indices.clone(),
        channel_names: dataset.names.clone(),
        mechanisms: compiled,
        drivers,
        interactions,
    })
}

/// The dataset's channels that the model reads, sorted by name.
pub(super) struct Dataset<'s> {
    pub channels: Vec<&'s Channel>,
    pub names: Vec<String>,
    pub schema_indices: Vec<usize>,
    pub period_length: &'s PeriodLength,
    /// The channel that holds the length of a record, as an index into `channels`.
    pub period_channel: Option<usize>,
}

impl<'s> Dataset<'s> {
    /// Refuses channels and attributes that the schema lacks.
    pub fn of(model: &Model, schema: &'s Schema) -> Result<Self, ModelError> {
        let mut used: BTreeMap<&str, usize> = BTreeMap::new();
        let mut days = false;
        for mechanism in model.modes.iter().flat_map(|mode| &mode.mechanisms) {
            match &mechanism.exposure {
                Exposure::Days => days = true,
                Exposure::Records => {}
                Exposure::Channel(channel) => {
                    used.insert(channel, channel_index(schema, channel, &mechanism.places.of("exposure"))?);
                }
            }
            for term in &mechanism.terms {
                let variables = match &term.law {
                    Law::One(variable, _) => std::slice::from_ref(variable),
                    Law::Two(variables, _) => variables.as_slice(),
                };
                let key = if variables.len() == 1 { "channel" } else { "channels" };
                for variable in variables {
                    let index = channel_index(schema, &variable.channel, &term.places.of(key))?;
                    used.insert(&variable.channel, index);
                }
            }
            for condition in mechanism.interactions.iter().flat_map(|interaction| &interaction.when) {
                match &condition.test {
                    Test::Compare(_) => {
                        used.insert(&condition.name, channel_index(schema, &condition.name, &condition.place)?);
                    }
                    Test::OneOf(_) => check_attribute(schema, &condition.name, &condition.place)?,
                }
            }
        }
        for monitor in &model.monitors {
            channel_index(schema, &monitor.channel, &monitor.places.of("channel"))?;
        }
        let period = match schema.period_length {
            PeriodLength::Channel(index) if days => schema.channels.get(index).map(|channel| (channel, index)),
            _ => None,
        };
        if let Some((channel, index)) = period {
            used.insert(&channel.name, index);
        }
        let names: Vec<String> = used.keys().map(|name| (*name).to_owned()).collect();
        Ok(Self {
            channels: used.values().filter_map(|index| schema.channels.get(*index)).collect(),
            schema_indices: used.into_values().collect(),
            period_length: &schema.period_length,
            period_channel: period.and_then(|(channel, _)| names.binary_search(&channel.name).ok()),
            names,
        })
    }

    /// Index into [`Self::channels`].
    pub fn position(&self, name: &str) -> Option<usize> {
        self.names.binary_search_by(|known| known.as_str().cmp(name)).ok()
    }
}

fn channel_index(schema: &Schema, name: &str, place: &Place) -> Result<usize, ModelError> {
    if let Some(index) = schema.channels.iter().position(|channel| channel.name == name) {
        return Ok(index);
    }
    if schema.attributes.iter().any(|attribute| attribute == name) {
        return Err(ModelError::Value {
            place: Box::new(place.clone()),
            problem: format!("{name:?} is an attribute, not a channel"),
            remedy: "compare an attribute with its values: \"M2\" or [\"M1\", \"M2\"]".to_owned(),
        });
    }
    Err(ModelError::UnknownChannel {
        place: Box::new(place.clone()),
        channel: name.to_owned(),
        nearest: nearest(name, schema.channels.iter().map(|channel| channel.name.as_str())),
    })
}

fn check_attribute(schema: &Schema, name: &str, place: &Place) -> Result<(), ModelError> {
    if schema.attributes.iter().any(|attribute| attribute == name) {
        return Ok(());
    }
    if schema.channels.iter().any(|channel| channel.name == name) {
        return Err(ModelError::Value {
            place: Box::new(place.clone()),
            problem: format!("{name:?} is a channel, not an attribute"),
            remedy: "compare a channel with a number: \"< 5\" or \"5..10\"".to_owned(),
        });
    }
    Err(ModelError::UnknownAttribute {
        place: Box::new(place.clone()),
        attribute: name.to_owned(),
        nearest: nearest(name, schema.attributes.iter().map(String::as_str)),
    })
}

/// Everything that a mechanism says, merged by input.
fn mechanism_columns(
    mechanism: &Mechanism,
    dataset: &Dataset,
) -> Result<(CompiledExposure, BTreeMap<InputKey, Column>), ModelError> {
    let mut columns: BTreeMap<InputKey, Column> = BTreeMap::new();
    let exposure_place = mechanism.places.of("exposure");
    let channel = match (&mechanism.exposure, dataset.period_length) {
        (Exposure::Channel(name), _) => dataset.position(name),
        (Exposure::Days, PeriodLength::Channel(_)) => dataset.period_channel,
        _ => None,
    };
    let (exposure, least) = match (channel, &mechanism.exposure, dataset.period_length) {
        (Some(channel), ..) => {
            let (column, least) = exposure_column(channel, dataset, &exposure_place)?;
            columns.insert(InputKey::Channel(channel), column);
            (CompiledExposure::Channel(channel), least)
        }
        (None, Exposure::Records, _) => (CompiledExposure::Constant(1.0), 1.0),
        (None, _, PeriodLength::Constant(days)) => (CompiledExposure::Constant(*days), *days),
        (None, ..) => {
            return Err(ModelError::Value {
                place: Box::new(exposure_place),
                problem: "the dataset does not say how many days a record covers".to_owned(),
                remedy: "set period in dataset.toml to day, week, month or column:<channel in days>, or use another exposure"
                    .to_owned(),
            });
        }
    };
    let lives_per_record = least / mechanism.characteristic_life;
    if lives_per_record.is_nan() || lives_per_record >= 1.0 {
        return Err(ModelError::ReferenceRate {
            place: Box::new(mechanism.places.of("characteristic_life")),
            lives_per_record,
        });
    }
    for term in &mechanism.terms {
        for (key, log2) in term_columns(term, dataset)? {
            columns.entry(key).or_default().add_terms(&log2);
        }
    }
    Ok((exposure, columns))
}
