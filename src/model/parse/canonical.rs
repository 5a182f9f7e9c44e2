//! The canonical text of a model: what its hash is taken over.
//!
//! Keys stand in lexicographic order, numbers as f64 in shortest form (`40` and `40.0` are the same model), strings
//! quoted. Comments, layout, `source` and `description` are for people, `free` is for fits; none of them counts.

use std::fmt::Write;

use toml::de::{DeTable, DeValue};

use super::section::number_of;

const NOT_COUNTED: [&str; 3] = ["source", "description", "free"];

pub(super) fn canonical(table: &DeTable) -> String {
    let mut text = String::new();
    write_table(&mut text, table);
    text
}

fn write_table(text: &mut String, table: &DeTable) {
    let mut entries: Vec<_> = table.iter().filter(|(key, _)| !NOT_COUNTED.contains(&key.get_ref().as_ref())).collect();
    entries.sort_by(|a, b| a.0.get_ref().cmp(b.0.get_ref()));
    text.push('{');
    for (key, value) in entries {
        let _ = write!(text, "{:?}=", key.get_ref());
        write_value(text, value.get_ref());
        text.push(',');
    }
    text.push('}');
}

fn write_value(text: &mut String, value: &DeValue) {
    let _ = match value {
        DeValue::Table(table) => {
            write_table(text, table);
            Ok(())
        }
        DeValue::Array(items) => {
            text.push('[');
            for item in items.iter() {
                write_value(text, item.get_ref());
                text.push(',');
            }
            text.push(']');
            Ok(())
        }
        DeValue::String(string) => write!(text, "{string:?}"),
        DeValue::Boolean(truth) => write!(text, "{truth}"),
        DeValue::Datetime(date) => write!(text, "{date}"),
        DeValue::Integer(_) | DeValue::Float(_) => write!(text, "{:?}", number_of(value)),
    };
}
