//! Which interactions each vehicle's attributes allow, as the kernels' masks.

use std::collections::HashMap;

use super::slots::SlotPlan;
use crate::backend::SlotMasks;
use crate::fleet::vehicles::{Attribute, Vehicles};
use crate::model::compiled::CompiledModel;

/// The masks of all slots of the known vehicles. A model whose interactions ask for no attribute needs only the
/// default, and so do vehicles without attributes.
pub fn slot_masks(model: &CompiledModel, vehicles: &Vehicles, plan: &SlotPlan) -> SlotMasks {
    let default = model.masks(&|_| None);
    let asked: Vec<&Attribute> = model
        .attributes()
        .into_iter()
        .filter_map(|name| vehicles.attributes.iter().find(|attribute| attribute.name == name))
        .collect();
    if asked.is_empty() {
        return SlotMasks { masks: Vec::new(), default };
    }
    // Few combinations of the asked attributes occur, so each is looked up once.
    let mut by_combination: HashMap<Vec<u32>, Vec<u32>> = HashMap::new();
    let mut combination = vec![0; asked.len()];
    let mut masks = Vec::with_capacity(plan.known_slots() * default.len());
    for vehicle in 0..plan.known() {
        for (code, attribute) in combination.iter_mut().zip(&asked) {
            *code = attribute.code.get(vehicle).copied().unwrap_or(u32::MAX);
        }
        if !by_combination.contains_key(&combination) {
            let value = |name: &str| -> Option<&str> {
                let index = asked.iter().position(|attribute| attribute.name == name)?;
                asked[index].values.get(combination[index] as usize).map(String::as_str)
            };
            by_combination.insert(combination.clone(), model.masks(&value));
        }
        let of_vehicle = by_combination.get(&combination).unwrap_or(&default);
        for _ in plan.of(vehicle) {
            masks.extend_from_slice(of_vehicle);
        }
    }
    SlotMasks { masks, default }
}
