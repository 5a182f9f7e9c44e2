//! `fleetwear inspect`: a model in words and tables, or one vehicle's scores as waterfalls of ratios.

use super::account;
use super::args::InspectArgs;
use super::console::Console;
use super::exit::{CliError, Exit};
use super::progress::with_progress;
use super::table::Table;
use super::waterfall;
use super::words::Word;
use crate::engine::inspect::{InspectPlan, inspect_vehicle};
use crate::fleet::dictionary::Dictionary;
use crate::model::compile::compile;
use crate::model::explain::{Explanation, MechanismWords, ModeWords, TermTable, explain};
use crate::model::spec::Model;

pub fn run(args: InspectArgs, console: &Console) -> Result<Exit, CliError> {
    if let (Some(data), Some(vehicle)) = (&args.data, &args.vehicle) {
        let plan = InspectPlan {
            data: data.clone(),
            model: args.model.clone(),
            vehicle: vehicle.clone(),
            threads: args.host.threads(),
            memory_limit_bytes: args.host.memory_limit.0,
            spill_folder: args.host.spill_folder(),
            as_of_day: args.as_of.map(|day| day.0),
        };
        let inspection = with_progress(console, |control| inspect_vehicle(&plan, control))?;
        if console.json() {
            console.data_json(&inspection);
        } else {
            console.data(&waterfall::text(&inspection, console));
        }
        return Ok(account::left_out(&inspection.unreadable, console));
    }
    let model = Model::load(&args.model)?;
    let schema = args.data.as_deref().map(|path| Dictionary::load(path).map(|dictionary| dictionary.schema()));
    let schema = schema.transpose()?;
    if let Some(schema) = &schema {
        // A model that cannot be laid over these data is not explained as if it could.
        compile(&model, schema)?;
    }
    let explanation = explain(&model, schema.as_ref());
    if console.json() {
        console.data_json(&explanation);
    } else {
        console.data(&text(&explanation, console));
    }
    Ok(Exit::Ok)
}

/// The model as lines.
fn text(model: &Explanation, console: &Console) -> String {
    let mut text = format!("{} {}\n", model.name, model.version);
    if let Some(description) = &model.description {
        text += &format!("{description}\n");
    }
    text += &format!("hash {}\n", model.hash);
    for mode in &model.modes {
        text += &mode_text(mode, console);
    }
    for monitor in &model.monitors {
        text += &format!(
            "\n── {}: {} ({})\n{}\n",
            console.word(Word::Monitor),
            monitor.id,
            monitor.component,
            monitor.words
        );
        text += &source(monitor.source.as_deref(), "", console);
    }
    text
}

fn mode_text(mode: &ModeWords, console: &Console) -> String {
    let positions = if mode.positions.is_empty() { String::new() } else { format!(": {}", mode.positions.join(", ")) };
    let mut text = format!("\n── {}: {} ({}{positions})\n", console.word(Word::FailureMode), mode.id, mode.component);
    text += &format!("β = {}: {}\n", mode.weibull_shape, mode.shape_words);
    text += &source(mode.source.as_deref(), "", console);
    if let Some(alert) = &mode.alert {
        text += &format!("{alert}\n");
    }
    for mechanism in &mode.mechanisms {
        text += &mechanism_text(mechanism, console);
    }
    text
}

fn mechanism_text(mechanism: &MechanismWords, console: &Console) -> String {
    let mut text = format!("\n  {}: {}\n", mechanism.id, mechanism.words);
    text += &source(mechanism.source.as_deref(), "  ", console);
    for term in &mechanism.terms {
        text += &match term {
            TermTable::Curve { channel, unit, formula, rows, source: from, .. } => {
                let ratios = curve(channel, unit, rows, console);
                format!("\n    {channel}: {formula}\n{}{}", source(from.as_deref(), "    ", console), indented(&ratios))
            }
            TermTable::Surface { channels, units, formula, rows, columns, ratios, source: from, .. } => {
                let heading = format!("{} [{}] ↓  {} [{}] →", channels[0], units[0], channels[1], units[1]);
                let ratios = surface(&heading, rows, columns, ratios);
                let name = channels.join(" × ");
                format!("\n    {name}: {formula}\n{}{}", source(from.as_deref(), "    ", console), indented(&ratios))
            }
        };
    }
    for interaction in &mechanism.interactions {
        text += &format!(
            "\n    {}: × {} {} {}\n",
            interaction.id,
            interaction.ratio,
            console.word(Word::When),
            interaction.when
        );
        text += &source(interaction.source.as_deref(), "    ", console);
    }
    text
}

fn source(source: Option<&str>, indent: &str, console: &Console) -> String {
    source.map(|source| format!("{indent}{}: {source}\n", console.word(Word::Source))).unwrap_or_default()
}

fn curve(channel: &str, unit: &str, rows: &[(f64, f64)], console: &Console) -> String {
    let heading = format!("{channel} [{unit}]");
    let mut table = Table::new(&[&heading, console.word(Word::Ratio)]);
    for (value, ratio) in rows {
        table.row([number(*value), number(*ratio)]);
    }
    table.text()
}

fn surface(heading: &str, rows: &[f64], columns: &[f64], ratios: &[Vec<f64>]) -> String {
    let columns: Vec<String> = columns.iter().map(|value| number(*value)).collect();
    let headings: Vec<&str> = std::iter::once(heading).chain(columns.iter().map(String::as_str)).collect();
    let mut table = Table::new(&headings);
    for (value, ratios) in rows.iter().zip(ratios) {
        table.row(std::iter::once(value).chain(ratios).map(|value| number(*value)));
    }
    table.text()
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("      {line}\n")).collect()
}

/// Four significant digits, without an exponent where that stays short.
pub fn number(value: f64) -> String {
    let magnitude = value.abs();
    if value == 0.0 {
        "0".to_owned()
    } else if !(1e-4..1e6).contains(&magnitude) {
        format!("{value:.3e}")
    } else {
        let whole_digits = (libm::log10(magnitude) as i32 + 1).max(1);
        let decimals =
            if magnitude < 1.0 { 4 - libm::floor(libm::log10(magnitude)) as i32 - 1 } else { 4 - whole_digits };
        let text = format!("{value:.*}", decimals.max(0) as usize);
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
    }
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn four_digits() {
        let cases = [(0.0, "0"), (1.0, "1"), (3.2, "3.2"), (0.052_37, "0.05237"), (1234.6, "1235"), (-40.0, "-40")];
        for (value, text) in cases {
            assert_eq!(number(value), text);
        }
        assert_eq!([number(1.5e-7), number(2.5e9), number(99.999)], ["1.500e-7", "2.500e9", "100"]);
    }
}
