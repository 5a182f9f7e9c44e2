//! The `dataset.toml` of a synthetic fleet.

use std::fmt::Write;

use super::histories::DATE;
use super::order;
use super::plan::SynthPlan;
use crate::model::channel::Schema;
use crate::model::shipped::STANDARD_ATTRIBUTES;

/// Complete for the files that [`generate`](super::generate()) writes.
pub fn text(plan: &SynthPlan, schema: &Schema) -> String {
    let id = plan.ids.column();
    let mut text = format!(
        "# A synthetic fleet: {} vehicles over {} days, seed {}. What was planted stands in truth/.\n\n\
         [histories]\nfiles = \"histories/*.parquet\"\nvehicle = \"{id}\"\ntime = \"{DATE}\"\nperiod = \"day\"\n",
        plan.vehicles, plan.days, plan.seed
    );
    for channel in &schema.channels {
        let last = i64::from(channel.codes) - 1;
        let value = |raw: i64| decimal(channel.offset + channel.factor * raw as f64);
        let _ = write!(
            text,
            "\n[channels.{}]\nunit = \"{}\"\nfactor = {}\noffset = {}\nrange = [{}, {}]\n",
            channel.name,
            channel.unit,
            decimal(channel.factor),
            decimal(channel.offset),
            value(channel.first),
            value(channel.first + last),
        );
    }
    let attributes = STANDARD_ATTRIBUTES.map(|name| format!("\"{name}\"")).join(", ");
    let _ = write!(
        text,
        "\n[vehicles]\nfiles = \"vehicles.parquet\"\nvehicle = \"{id}\"\nbuild_date = \"build_date\"\n\
         sale_date = \"sale_date\"\nend_date = \"retired_on\"\nattributes = [{attributes}]\n\
         \n[events]\nfiles = \"work_orders.parquet\"\nvehicle = \"{id}\"\noccurred_on = \"failed_on\"\n\
         reported_on = \"opened_on\"\ncomponent = \"component\"\nposition = \"position\"\n\
         kind = {{ column = \"type\", failure = [\"{}\"], replacement = [\"{}\"], inspection = [\"{}\"], outcome = [\"{}\"] }}\n\
         finding = {{ column = \"result\", confirmed = [\"{}\"], not_found = [\"{}\"] }}\n\
         odometer_km = \"odo_km\"\ncost = \"amount\"\n",
        order::FAILURE,
        order::REPLACEMENT,
        order::INSPECTION,
        order::OUTCOME,
        order::CONFIRMED,
        order::NOT_FOUND,
    );
    text
}

/// A number of at most four decimals, without what binary arithmetic leaves behind.
fn decimal(value: f64) -> String {
    let text = format!("{value:.4}");
    let trimmed = text.trim_end_matches('0');
    if trimmed.ends_with('.') { format!("{trimmed}0") } else { trimmed.to_owned() }
}
