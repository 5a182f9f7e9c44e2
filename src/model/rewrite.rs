//! A model file with other numbers: the text as its author wrote it, comments and layout kept, with what a fit found
//! in place of what stood there.
//!
//! Key idea: the parser says where in the text each value stands; those bytes alone are replaced. A covariance goes into
//! the `[covariance]` that is there, or to the end.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{ModelError, Place};
use super::free::{FreeParameter, ParameterPath};
use super::shipped::SHIPPED;
use super::spec::Model;

/// Digits that are written: an estimate has fewer to be sure of.
const DIGITS: usize = 10;

/// What to write into a model's text.
#[derive(Clone, Debug, Default)]
pub struct Rewrite {
    /// Lines of a comment at the top, without `#`.
    pub heading: Vec<String>,
    /// In the file's units.
    pub values: Vec<(ParameterPath, f64)>,
    /// Names and rows of `[covariance]`; empty: that of the file, if there is one, no longer holds and is emptied.
    pub covariance: (Vec<String>, Vec<Vec<f64>>),
}

/// The text of a shipped model or of the file at a path.
pub fn text(name_or_path: &str) -> Result<String, ModelError> {
    if let Some((_, text)) = SHIPPED.iter().find(|(name, _)| *name == name_or_path) {
        return Ok((*text).to_owned());
    }
    std::fs::read_to_string(name_or_path)
        .map_err(|source| ModelError::Unreadable { file: name_or_path.to_owned(), source })
}

impl Rewrite {
    /// The text with its values replaced; `model` is what the text parses to.
    ///
    /// # Errors
    ///
    /// A text that is not the model's.
    pub fn apply(&self, text: &str, model: &Model) -> Result<String, ModelError> {
        let refused = |what: String| ModelError::Value {
            place: Box::new(Place { file: model.file.clone(), line: 1, key: what }),
            problem: "the text is not that of the model".to_owned(),
            remedy: "fit again: the file has changed meanwhile".to_owned(),
        };
        let parsed = DeTable::parse(text).map_err(|_| refused("TOML".to_owned()))?;
        let root = parsed.get_ref();
        let mut edits: Vec<(Range<usize>, String)> = Vec::new();
        for (path, value) in &self.values {
            let span = span_of(root, *path).ok_or_else(|| refused(path.name(model)))?;
            edits.push((span, number(*value)));
        }
        let (names, matrix) = &self.covariance;
        let names = format!("[{}]", names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", "));
        let row =
            |row: &Vec<f64>| format!("[{}]", row.iter().map(|one| format!("{one:e}")).collect::<Vec<_>>().join(", "));
        let matrix = format!("[{}]", matrix.iter().map(row).collect::<Vec<_>>().join(", "));
        let mut behind = String::new();
        match table(root, "covariance") {
            Some(own) => {
                for (key, new) in [("parameters", names), ("matrix", matrix)] {
                    let value = own.get(key).ok_or_else(|| refused(format!("covariance.{key}")))?;
                    edits.push((value.span(), new));
                }
            }
            None if self.covariance.0.is_empty() => {}
            None => {
                behind = format!(
                    "\n# Of the natural logarithms of the parameters, as `fleetwear fit` found it.\n[covariance]\n\
                     parameters = {names}\nmatrix = {matrix}\n"
                );
            }
        }
        edits.sort_by_key(|(span, _)| std::cmp::Reverse(span.start));
        let mut body = text.to_owned();
        for (span, new) in edits {
            body.replace_range(span, &new);
        }
        let heading: String = self.heading.iter().map(|line| format!("# {line}\n")).collect();
        let gap = if heading.is_empty() { "" } else { "\n" };
        let end = if body.ends_with('\n') { "" } else { "\n" };
        Ok(format!("{heading}{gap}{body}{end}{behind}"))
    }
}

fn number(value: f64) -> String {
    let rounded: f64 = format!("{value:.*e}", DIGITS - 1).parse().unwrap_or(value);
    let plain = format!("{rounded}");
    if plain.len() <= 2 * DIGITS { plain } else { format!("{rounded:e}") }
}

type Value<'i> = Spanned<DeValue<'i>>;

fn table<'t, 'i>(table: &'t DeTable<'i>, key: &str) -> Option<&'t DeTable<'i>> {
    as_table(table.get(key)?)
}

fn as_table<'t, 'i>(value: &'t Value<'i>) -> Option<&'t DeTable<'i>> {
    match value.get_ref() {
        DeValue::Table(table) => Some(table),
        _ => None,
    }
}

/// The table at a place of an array of tables.
fn item<'t, 'i>(table: &'t DeTable<'i>, key: &str, place: usize) -> Option<&'t DeTable<'i>> {
    match table.get(key)?.get_ref() {
        DeValue::Array(items) => as_table(items.get(place)?),
        _ => None,
    }
}

fn span_of(root: &DeTable, path: ParameterPath) -> Option<Range<usize>> {
    let mode = item(root, "failure_mode", path.mode())?;
    let value = match path {
        ParameterPath::WeibullShape { .. } => mode.get("weibull_shape"),
        ParameterPath::Mechanism { mechanism, parameter, .. } => {
            let own = item(mode, "mechanism", mechanism)?;
            match parameter {
                FreeParameter::CharacteristicLife => own.get("characteristic_life"),
                FreeParameter::ClockExponent => own.get("clock_exponent"),
                FreeParameter::Ratio { interaction } => item(own, "interactions", interaction)?.get("ratio"),
                FreeParameter::Curve { term, key } => item(own, "terms", term)?.get(key.name()),
            }
        }
    };
    value.map(Spanned::span)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"# mine
[model]
name = "m"
version = "1"

[[failure_mode]]
id = "seal"
component = "door_seal"
weibull_shape = 1.5            # guessed
free = ["weibull_shape"]
  [[failure_mode.mechanism]]
  id = "cold"
  exposure = "days"
  characteristic_life = 450
  free = ["characteristic_life", "ambient_temp_c.coefficient", "cold_humid.ratio"]
  terms = [{ channel = "ambient_temp_c", curve = "exponential", coefficient = -0.06, reference = 5.0 }]
  interactions = [{ id = "cold_humid", when = { ambient_temp_c = "< 5", humidity_pct = "> 80" }, ratio = 4.0 }]
"#;

    #[test]
    fn values_take_the_place_of_values_and_nothing_else_moves() {
        let model = Model::parse(TEXT, "m.toml").unwrap();
        let paths = model.free_parameters();
        let values: Vec<_> = paths.into_iter().zip([1.25, 1e-12, -0.071234567891234, 3.0]).collect();
        let names = vec!["seal.weibull_shape".to_owned(), "seal.cold.characteristic_life".to_owned()];
        let covariance = (names.clone(), vec![vec![0.01, 0.002], vec![0.002, 1e-3]]);
        let rewrite = Rewrite { heading: vec!["fitted".to_owned()], values, covariance };
        let text = rewrite.apply(TEXT, &model).unwrap();
        assert!(
            text.starts_with("# fitted\n\n# mine\n") && text.contains("weibull_shape = 1.25            # guessed\n")
        );
        assert!(
            text.contains("coefficient = -0.07123456789, reference = 5.0 }") && text.contains("ratio = 3 }"),
            "{text}"
        );
        let again = Model::parse(&text, "m.toml").unwrap();
        assert_eq!(again.modes[0].mechanisms[0].characteristic_life, 1e-12);
        assert_eq!(again.covariance.as_ref().map(|one| one.parameters.len()), Some(2));
        // A covariance that is there is replaced.
        let last = Rewrite { covariance: (names[..1].to_vec(), vec![vec![0.5]]), ..Rewrite::default() };
        let text = last.apply(&text, &again).unwrap();
        assert_eq!(Model::parse(&text, "m.toml").unwrap().covariance.map(|one| one.parameters.len()), Some(1));
        assert_eq!(text.matches("[covariance]").count(), 1);
    }

    #[test]
    fn unknown_names_are_refused_with_the_nearest() {
        for (old, new, problem) in [
            ("\"cold_humid.ratio\"", "\"cold_humidd.ratio\"", "did you mean \"cold_humid.ratio\"?"),
            ("[\"weibull_shape\"]", "[\"shape\"]", "a failure mode has no parameter \"shape\""),
            ("\"ambient_temp_c.coefficient\"", "\"characteristic_life\"", "stands there twice"),
            ("\"ambient_temp_c.coefficient\"", "\"clock_exponent\"", "can be free is called \"clock_exponent\""),
        ] {
            let text = TEXT.replacen(old, new, 1);
            let error = Model::parse(&text, "m.toml").unwrap_err().to_string();
            assert!(error.contains(problem) && error.contains("m.toml:"), "{error}");
        }
        let without = TEXT.replace("free = [\"weibull_shape\"]\n", "");
        assert_eq!(
            Model::parse(&without, "m").unwrap().hash,
            Model::parse(TEXT, "m").unwrap().hash,
            "free is for fits"
        );
    }
}
