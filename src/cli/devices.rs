//! `fleetwear devices`: the adapters, their limits, and why each would or would not be taken.

use super::console::Console;
use super::exit::{CliError, Exit};
use super::table::Table;
use super::words::Word;
use crate::backend::devices::{AdapterEntry, DeviceList, list};

pub fn run(console: &Console) -> Result<Exit, CliError> {
    let devices = list();
    if console.json() {
        console.data_json(&devices);
    } else {
        console.data(&text(&devices, console));
    }
    Ok(Exit::Ok)
}

fn text(devices: &DeviceList, console: &Console) -> String {
    let mut text =
        if devices.adapters.is_empty() { format!("{}\n", console.word(Word::NoAdapter)) } else { String::new() };
    for adapter in &devices.adapters {
        text += &format!("{}\n{}\n", adapter.name, adapter_text(adapter, console));
    }
    for hint in &devices.hints {
        text += &format!("{}: {hint}\n", console.word(Word::Hint));
    }
    text
}

fn adapter_text(adapter: &AdapterEntry, console: &Console) -> String {
    let mut table = Table::new(&["", ""]);
    let mut line = |word: Word, value: String| table.row([format!("  {}", console.word(word)), value]);
    let taken = if adapter.taken { Word::Yes } else { Word::No };
    line(Word::Taken, format!("{}: {}", console.word(taken), adapter.why));
    line(Word::Kind, format!("{}, {}", adapter.kind, adapter.interface));
    line(Word::DriverVersion, adapter.driver.clone());
    line(
        Word::PciId,
        format!("{}:{} {}", adapter.pci_vendor, adapter.pci_device, adapter.pci_bus).trim_end().to_owned(),
    );
    line(
        Word::Limits,
        format!(
            "buffer {} MiB, binding {} MiB, workgroup {} lanes, {} KiB shared",
            adapter.max_buffer_bytes >> 20,
            adapter.max_binding_bytes >> 20,
            adapter.max_workgroup_invocations,
            adapter.max_workgroup_memory_bytes >> 10
        ),
    );
    table.lines()
}
