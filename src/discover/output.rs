//! Findings as a table, in words, and as a piece of a model file.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int32Array, RecordBatch, StringArray};

use super::findings::{Condition, Finding};
use super::numbers::rounded;
use super::singles::MainEffect;
use crate::fleet::writer::WriteError;
use crate::simulate::table::Columns;

impl Condition {
    /// As a model file has it.
    pub fn text(&self) -> String {
        format!("{} {}", self.is, rounded(self.threshold))
    }
}

impl Finding {
    /// In one line.
    pub fn sentence(&self) -> String {
        format!("{}: {:.2} times as likely", self.where_it_holds(), self.ratio)
    }

    /// Its conditions in one line.
    pub fn where_it_holds(&self) -> String {
        let [a, b] = &self.conditions;
        let of = |one: &Condition| format!("{} {} {}", one.channel, one.text(), one.unit).trim_end().to_owned();
        let whom = self.attribute.as_ref().map(|(name, value)| format!(" where {name} is {value}")).unwrap_or_default();
        format!("{} and {}{whom}", of(a), of(b))
    }

    /// The interaction as `score` and `fit` take it: to be put into every mechanism of the failure mode.
    pub fn snippet(&self, number: usize, mode: &str) -> String {
        let mut when: Vec<String> =
            self.conditions.iter().map(|one| format!("{} = {}", key(&one.channel), quoted(&one.text()))).collect();
        when.extend(self.attribute.iter().map(|(name, value)| format!("{} = {}", key(name), quoted(value))));
        let source = format!(
            "found by discover: 95 % interval {:.2} to {:.2}, p {:.3}, {} events",
            self.ratio_lower, self.ratio_upper, self.p_value, self.observed
        );
        format!(
            "# Put this line into interactions = [ … ] of every mechanism of the failure mode {mode}.\n\
             {{ id = \"discovered_{number}\", when = {{ {} }}, ratio = {}, source = {} }},\n",
            when.join(", "),
            rounded(self.ratio),
            quoted(&source)
        )
    }
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

/// As TOML has it: bare where it may be.
fn key(name: &str) -> String {
    let bare = |one: char| one.is_ascii_alphanumeric() || one == '_' || one == '-';
    if !name.is_empty() && name.chars().all(bare) { name.to_owned() } else { quoted(name) }
}

/// What single channels and attributes do alone, the clearest first.
///
/// # Errors
///
/// A mistake of the program: columns that do not fit each other.
pub fn main_effects_table(effects: &[MainEffect]) -> Result<RecordBatch, WriteError> {
    let mut columns = Columns::new();
    let numbers = |of: fn(&MainEffect) -> f64| -> ArrayRef {
        Arc::new(effects.iter().map(|one| Some(of(one))).collect::<Float64Array>())
    };
    let texts = |of: fn(&MainEffect) -> &str| -> ArrayRef {
        Arc::new(effects.iter().map(|one| Some(of(one))).collect::<StringArray>())
    };
    columns.add("name", false, texts(|one| &one.name));
    columns.add("is", false, texts(|one| one.is));
    columns.add("value", false, texts(|one| &one.value));
    columns.add("ratio", false, numbers(|one| one.ratio));
    columns.add("ratio_lower", false, numbers(|one| one.ratio_lower));
    columns.add("ratio_upper", false, numbers(|one| one.ratio_upper));
    columns.add("observed", false, numbers(|one| one.observed));
    columns.add("expected", false, numbers(|one| one.expected));
    columns.add("score", false, numbers(|one| one.score));
    columns.add("p_value", false, numbers(|one| one.p_value));
    columns.batch()
}

/// One row a finding, in the order of their likelihood.
///
/// # Errors
///
/// A mistake of the program: columns that do not fit each other.
pub fn table(findings: &[Finding]) -> Result<RecordBatch, WriteError> {
    let mut columns = Columns::new();
    let numbers = |of: &dyn Fn(&Finding) -> f64| -> ArrayRef {
        Arc::new(findings.iter().map(|one| Some(of(one))).collect::<Float64Array>())
    };
    let maybe = |of: &dyn Fn(&Finding) -> Option<f64>| -> ArrayRef {
        Arc::new(findings.iter().map(of).collect::<Float64Array>())
    };
    let texts = |of: &dyn Fn(&Finding) -> Option<String>| -> ArrayRef {
        Arc::new(findings.iter().map(of).collect::<StringArray>())
    };
    let ranks: ArrayRef = Arc::new((1..=findings.len() as i32).collect::<Int32Array>());
    columns.add("rank", false, ranks);
    for (place, side) in [(0, "a"), (1, "b")] {
        let name = |what: &str| format!("{what}_{side}");
        columns.add(&name("channel"), false, texts(&|one| Some(one.conditions[place].channel.clone())));
        columns.add(&name("is"), false, texts(&|one| Some(one.conditions[place].is.to_owned())));
        columns.add(&name("threshold"), false, numbers(&|one| one.conditions[place].threshold));
        columns.add(&name("threshold_lowest"), false, numbers(&|one| one.conditions[place].lowest));
        columns.add(&name("threshold_highest"), false, numbers(&|one| one.conditions[place].highest));
    }
    columns.add("attribute", true, texts(&|one| one.attribute.as_ref().map(|(name, _)| name.clone())));
    columns.add("attribute_value", true, texts(&|one| one.attribute.as_ref().map(|(_, value)| value.clone())));
    for (name, of) in [
        ("ratio", (|one| one.ratio) as fn(&Finding) -> f64),
        ("ratio_lower", |one| one.ratio_lower),
        ("ratio_upper", |one| one.ratio_upper),
        ("crude_ratio", |one| one.crude_ratio),
        ("crude_ratio_lower", |one| one.crude_lower),
        ("crude_ratio_upper", |one| one.crude_upper),
        ("observed", |one| one.observed),
        ("expected", |one| one.expected),
        ("attributable", |one| one.attributable),
        ("p_value", |one| one.p_value),
        ("score", |one| one.score),
        ("log_likelihood_ratio", |one| one.log_likelihood_ratio),
        ("ebgm", |one| one.ebgm),
        ("eb05", |one| one.eb05),
        ("eb95", |one| one.eb95),
        ("interaction_score", |one| one.interaction_score),
    ] {
        columns.add(name, false, numbers(&of));
    }
    let half = |half: usize| maybe(&|one: &Finding| one.halves[half].as_ref().map(|other| other.ratio));
    columns.add("ratio_first_half", true, half(0));
    columns.add("ratio_second_half", true, half(1));
    columns.add("ratio_by_fit", true, maybe(&|one| one.by_fit.map(|fit| fit.ratio)));
    columns.add("ratio_by_fit_lower", true, maybe(&|one| one.by_fit.map(|fit| fit.lower)));
    columns.add("ratio_by_fit_upper", true, maybe(&|one| one.by_fit.map(|fit| fit.upper)));
    let lowest = |ratios: &mut dyn Iterator<Item = Option<f64>>| ratios.flatten().reduce(f64::min);
    columns.add(
        "lowest_ratio_in_a_left_out_zone",
        true,
        maybe(&|one| lowest(&mut one.left_out_zone.iter().map(|z| z.1))),
    );
    columns.add(
        "lowest_ratio_in_a_left_out_year",
        true,
        maybe(&|one| lowest(&mut one.left_out_year.iter().map(|y| y.1))),
    );
    columns.batch()
}
