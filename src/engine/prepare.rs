//! What scoring needs before it reads a record: the dataset, the compiled model, parts and slots.

use std::collections::BTreeSet;
use std::path::Path;

use super::error::EngineError;
use crate::backend::SlotMasks;
use crate::fleet::dataset::Dataset;
use crate::fleet::dictionary::Period;
use crate::fleet::time::TimeAxis;
use crate::fleet::vehicles::{Attribute, EventKind};
use crate::model::compile::compile;
use crate::model::compiled::CompiledModel;
use crate::model::spec::Model;
use crate::run::Control;
use crate::score::fleet::Fleet;
use crate::score::masks::slot_masks;
use crate::score::output;
use crate::score::pack::{ExposureColumn, exposure_columns};
use crate::score::parts::{PartStarts, Parts};
use crate::score::slots::SlotPlan;
use crate::score::sums::FleetSums;

/// A dataset with a model laid over it.
#[derive(Debug)]
pub struct Prepared {
    pub dataset: Dataset,
    pub model: CompiledModel,
    /// Indices into the dictionary's channels, in the order of the model's.
    pub channels: Vec<usize>,
    pub exposures: Vec<ExposureColumn>,
    pub parts: Parts,
    /// Typical length of a record in days, for rates.
    pub period_days: f64,
    /// Whether every record is that long.
    pub regular: bool,
    /// BLAKE3 of `dataset.toml`.
    pub dictionary_blake3: String,
}

/// What follows from the day on which the scores stand.
#[derive(Clone, Debug)]
pub struct Cut {
    pub as_of_day: i32,
    pub starts: PartStarts,
    pub slots: SlotPlan,
    pub masks: SlotMasks,
}

impl Prepared {
    /// Opens the dataset and compiles the model for it.
    pub fn open(data: &Path, model: &str, threads: usize, control: &Control) -> Result<Self, EngineError> {
        Self::of(Dataset::open(data, threads, control)?, &Model::load(model)?)
    }

    /// The same of a dataset and a model that are at hand.
    pub fn of(dataset: Dataset, model: &Model) -> Result<Self, EngineError> {
        let schema = dataset.dictionary.schema();
        let parts = Parts::of(model);
        let model = compile(model, &schema)?;
        let codes: Vec<u32> = model.channels.iter().map(|&channel| schema.channels[channel].codes).collect();
        Ok(Self {
            channels: model.channels.clone(),
            exposures: exposure_columns(&model, &codes),
            parts,
            period_days: match dataset.axis {
                // Where time is an integer, a day of this program is one of its steps.
                TimeAxis::Integer => 1.0,
                TimeAxis::Days | TimeAxis::SecondsSince2000 => dataset.dictionary.histories.period.usual_days(),
            },
            regular: matches!(dataset.dictionary.histories.period, Period::Day | Period::Week | Period::Month),
            dictionary_blake3: dataset.dictionary.blake3.clone(),
            model,
            dataset,
        })
    }

    /// Lets go of the events that restart no part: scoring reads replacements only, and a fleet has millions of events.
    pub fn keep_replacements(&mut self) {
        let of_component = self.parts.by_component(&self.dataset.vehicles);
        let events = &mut self.dataset.vehicles.events;
        events
            .retain(|event| event.kind == EventKind::Replacement && !of_component[event.component as usize].is_empty());
        events.shrink_to_fit();
        self.dataset.vehicles.event_costs = Vec::new();
    }

    /// The day of the latest row, a guess: that row may be unusable, and statistics may be wrong.
    pub fn latest_day(&self, control: &Control) -> Result<i32, EngineError> {
        self.dataset.latest_day(control)?.ok_or(EngineError::NoRecords)
    }

    /// How sums of this dataset are read.
    pub fn fleet<'a>(&'a self, cut: &'a Cut, sums: &'a FleetSums) -> Fleet<'a> {
        Fleet {
            model: &self.model,
            plan: &cut.slots,
            exposures: &self.exposures,
            sums,
            period_days: self.period_days,
            regular: self.regular,
        }
    }

    /// Parts, slots and masks as of a day.
    ///
    /// # Errors
    ///
    /// A day beyond the years that timestamps can have (1932 to 2068), in a dataset of dates: `20261031` was meant
    /// as a date. More slots than there can be.
    pub fn cut(&self, as_of_day: i32) -> Result<Cut, EngineError> {
        let years = TimeAxis::SecondsSince2000.day(i32::MIN)..=TimeAxis::SecondsSince2000.day(i32::MAX);
        if self.dataset.axis != TimeAxis::Integer && !years.contains(&as_of_day) {
            return Err(EngineError::AsOf { day: as_of_day });
        }
        let vehicles = &self.dataset.vehicles;
        let starts = PartStarts::new(&self.parts, vehicles, as_of_day);
        let slots = SlotPlan::new(self.dataset.axis, as_of_day, vehicles.known, &starts)?;
        let masks = slot_masks(&self.model, vehicles, &slots);
        Ok(Cut { as_of_day, starts, slots, masks })
    }

    /// The attributes of these names. Refused: unknown ones, and names that the scores need themselves.
    pub fn keep(&self, names: &[String]) -> Result<Vec<&Attribute>, EngineError> {
        let vehicle_column = &self.dataset.dictionary.histories.vehicle;
        let twice = |column: &str, remedy: &'static str| EngineError::ColumnTwice {
            dictionary: self.dataset.dictionary.path.clone(),
            column: column.to_owned(),
            remedy,
        };
        let mut taken: BTreeSet<String> = output::COLUMNS.iter().map(|&column| column.to_owned()).collect();
        if !taken.insert(vehicle_column.clone()) {
            return Err(twice(vehicle_column, "give the histories' vehicle column another name"));
        }
        let attributes = &self.dataset.vehicles.attributes;
        let mut kept = Vec::with_capacity(names.len());
        for name in names {
            let Some(attribute) = attributes.iter().find(|attribute| &attribute.name == name) else {
                let known = attributes.iter().map(|attribute| attribute.name.clone()).collect();
                return Err(EngineError::UnknownAttribute { name: name.clone(), known });
            };
            if !taken.insert(name.clone()) {
                return Err(twice(name, "leave it out of --keep"));
            }
            kept.push(attribute);
        }
        Ok(kept)
    }
}
