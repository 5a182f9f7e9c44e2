//! One vehicle's scores as waterfalls: what the exposure alone would have used up, and every factor on it.

use super::console::Console;
use super::inspect::number;
use super::table::{Table, count};
use super::words::Word;
use crate::engine::inspect::{Inspection, PartInspection};
use crate::model::waterfall::MechanismWaterfall;

/// The inspection as lines.
pub fn text(inspection: &Inspection, console: &Console) -> String {
    let mut head = Table::new(&["", ""]);
    let mut line = |name: &str, value: String| head.row([name.to_owned(), value]);
    line(console.word(Word::Vehicle), inspection.vehicle.clone());
    line(console.word(Word::AsOf), inspection.as_of.clone());
    line(console.word(Word::Records), count(inspection.records));
    for (name, value) in &inspection.attributes {
        line(name, value.clone());
    }
    let mut text = head.lines();
    for part in &inspection.parts {
        text += &part_text(part, console);
    }
    text
}

fn part_text(part: &PartInspection, console: &Console) -> String {
    let position = part.position.as_ref().map(|position| format!(", {position}")).unwrap_or_default();
    let start = part.clock_start.as_deref().unwrap_or(console.word(Word::FirstRecord));
    let mut text = format!(
        "\n── {} ({}{position}): {} {}, {} {}\n",
        part.failure_mode,
        part.component,
        console.word(Word::Damage),
        number(part.damage),
        console.word(Word::Since),
        start
    );
    for mechanism in &part.mechanisms {
        text += &mechanism_text(mechanism, console);
    }
    text
}

fn mechanism_text(mechanism: &MechanismWaterfall, console: &Console) -> String {
    let mut table = Table::new(&[&mechanism.mechanism, "", console.word(Word::Records)]);
    table.row([
        format!("{} {}", console.word(Word::Exposure), number(mechanism.exposure)),
        format!("{} {}", number(mechanism.reference_lives), console.word(Word::Lives)),
        count(mechanism.records),
    ]);
    for step in &mechanism.steps {
        table.row([step.factor.clone(), format!("× {}", number(step.ratio)), count(step.active_records)]);
    }
    table.row([
        console.word(Word::Total).to_owned(),
        format!("{} {}", number(mechanism.lives), console.word(Word::Lives)),
        String::new(),
    ]);
    if mechanism.exposure_missing > 0 {
        let missing = console.word(Word::NotAvailable).to_owned();
        table.row([
            format!("{} {missing}", console.word(Word::Exposure)),
            String::new(),
            count(mechanism.exposure_missing),
        ]);
    }
    table.text().lines().map(|line| format!("  {line}\n")).collect()
}
