//! `interactions`: `when = { channel = "< 5", other = "5..10", attribute = "M2" }`.

use toml::de::DeValue;

use super::section::Section;
use super::source;
use crate::model::error::ModelError;
use crate::model::spec::{Comparison, Condition, Interaction, Test};

const WANTED: &str =
    "a comparison (\"< 5\", \"<= 5\", \"> 5\", \">= 5\", \"== 5\", \"5..10\", \"5..=10\") or values of an attribute";

pub(super) fn interaction(mut section: Section) -> Result<Interaction, ModelError> {
    section.only(&["id", "when", "ratio", "source"])?;
    let id = super::identifier(&section, "id")?;
    let parent = section.path().rsplit_once(".interactions").map_or("", |(parent, _)| parent).to_owned();
    section.rename(format!("{parent}.{id}"));
    let remedy = "add when = { channel = \"< 5\", attribute = \"value\" }";
    let when = section.section("when")?.ok_or_else(|| section.missing("when", remedy))?;
    let mut conditions: Vec<Condition> =
        when.keys().into_iter().map(|name| condition(&when, name)).collect::<Result<_, _>>()?;
    conditions.sort_by(|a, b| a.name.cmp(&b.name));
    if conditions.is_empty() {
        return Err(section.value_error("when", "no condition", remedy));
    }
    Ok(Interaction {
        ratio: section.required_positive("ratio", "add ratio, e.g. 3.2")?,
        source: source(&section)?,
        places: section.places(),
        when: conditions,
        id,
    })
}

fn condition(when: &Section, name: &str) -> Result<Condition, ModelError> {
    let test = match when.get(name).map(|value| value.get_ref()) {
        Some(DeValue::String(text)) => match comparison(text) {
            Some(Ok(comparison)) => Test::Compare(comparison),
            Some(Err(problem)) => return Err(when.value_error(name, problem, format!("write {WANTED}"))),
            None => Test::OneOf(vec![when.required_text(name, "")?.to_owned()]),
        },
        Some(DeValue::Array(_)) => {
            let values = when.texts(name)?;
            if values.is_empty() {
                return Err(when.value_error(name, "no value would ever do", "name at least one value"));
            }
            Test::OneOf(values.into_iter().map(str::to_owned).collect())
        }
        Some(DeValue::Integer(_) | DeValue::Float(_)) => {
            let problem = "a bare number is neither a comparison nor a value of an attribute";
            return Err(when.value_error(name, problem, "write \"== 5\" for a channel, \"5\" for an attribute"));
        }
        Some(other) => return Err(when.wrong_type(name, other, WANTED)),
        None => return Err(when.missing(name, "")),
    };
    Ok(Condition { name: name.to_owned(), test, place: *when.place(name) })
}

/// `None`: the text does not look like a comparison, so it is a value of an attribute.
fn comparison(text: &str) -> Option<Result<Comparison, String>> {
    let text = text.trim();
    type Make = fn(f64) -> Comparison;
    // Longer operators first: "<=" begins with "<".
    let operators: [(&str, Make); 5] = [
        ("<=", Comparison::LessOrEqual),
        (">=", Comparison::GreaterOrEqual),
        ("==", Comparison::Equal),
        ("<", Comparison::Less),
        (">", Comparison::Greater),
    ];
    for (operator, make) in operators {
        if let Some(rest) = text.strip_prefix(operator) {
            return Some(limit(rest).map(make).ok_or_else(|| format!("{:?} is not a number", rest.trim())));
        }
    }
    let (low, high) = text.split_once("..")?;
    let (high, inclusive) = high.strip_prefix('=').map_or((high, false), |high| (high, true));
    let (low, high) = (limit(low)?, limit(high)?);
    Some(match inclusive {
        _ if low > high || (low == high && !inclusive) => Err(format!("no value lies in {text:?}")),
        true => Ok(Comparison::RangeInclusive(low, high)),
        false => Ok(Comparison::Range(low, high)),
    })
}

fn limit(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|number: &f64| number.is_finite())
}
