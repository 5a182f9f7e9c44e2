//! The language of `--cohort`: conditions on a vehicle's attributes and dates.
//!
//! ```text
//! sensor_lot == "L0417" and build_date < 2025-03-01
//! plant in ("P1", "P3") and not (model == "M2" or odo_class >= 3)
//! ```
//!
//! | | |
//! |---|---|
//! | comparison | `==` `!=` `<` `<=` `>` `>=`, `in (…)`, `not in (…)`; a name on the left, a value on the right |
//! | value | `"text"` or `'text'`, a number, a date such as 2025-03-01 |
//! | joined by | `not`, `and`, `or`, in this order of binding, and parentheses |
//!
//! A number compares attributes as numbers, a date as dates, a text as texts (by code point). A missing value, or one that
//! is no number where a number is asked, makes a comparison neither true nor false, and `not` leaves it so (Kleene's
//! logic): only vehicles of which the whole condition is true belong to the cohort. Dates are days since 1970-01-01, or
//! whole numbers where the dataset counts its periods.

use chrono::NaiveDate;

use super::error::RecallError;
use crate::fleet::error::nearest;

/// What a condition may speak of.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    pub name: String,
    pub kind: FieldKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldKind {
    Text,
    /// Days since 1970-01-01.
    Date,
    /// A period that is counted, not dated.
    Period,
}

/// What a vehicle has in a field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Held<'a> {
    Missing,
    Text(&'a str),
    Day(i32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Less,
    AtMost,
    More,
    AtLeast,
}

const OPERATORS: [(&str, Operator); 6] = [
    ("==", Operator::Equal),
    ("!=", Operator::NotEqual),
    ("<=", Operator::AtMost),
    (">=", Operator::AtLeast),
    ("<", Operator::Less),
    (">", Operator::More),
];

#[derive(Clone, Debug, PartialEq)]
enum Value {
    Text(String),
    Number(f64),
    Day(i32),
}

/// A condition, its names settled.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    Compare(Comparison),
    Not(Box<Condition>),
    All(Vec<Condition>),
    Any(Vec<Condition>),
}

/// A field against a value.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    field: usize,
    operator: Operator,
    value: Value,
}

/// Parentheses and `not`s within each other, at most: a condition deeper than this is no one's.
const DEEPEST: usize = 100;

/// Parses a condition on these fields.
pub fn parse(text: &str, fields: &[Field]) -> Result<Condition, RecallError> {
    let tokens = tokens(text)?;
    let mut parser = Parser { text, tokens, at: 0, depth: 0, fields };
    let condition = parser.any()?;
    match parser.tokens.get(parser.at) {
        None => Ok(condition),
        Some(_) => Err(parser.wrong("`and`, `or` or the end")),
    }
}

impl Condition {
    /// Whether it is true of a vehicle; `None`: neither true nor false.
    pub fn holds<'a>(&self, held: &impl Fn(usize) -> Held<'a>) -> Option<bool> {
        match self {
            Self::Compare(comparison) => comparison.holds(held(comparison.field)),
            Self::Not(inner) => inner.holds(held).map(|holds| !holds),
            Self::All(parts) => joined(parts.iter().map(|part| part.holds(held)), false),
            Self::Any(parts) => joined(parts.iter().map(|part| part.holds(held)), true),
        }
    }

    /// Fields and texts that it asks to be equal: what is to be looked at where nobody matches.
    pub fn texts(&self) -> Vec<(usize, &str)> {
        match self {
            Self::Compare(Comparison { field, operator: Operator::Equal, value: Value::Text(text) }) => {
                vec![(*field, text.as_str())]
            }
            Self::Compare(_) => Vec::new(),
            Self::Not(inner) => inner.texts(),
            Self::All(parts) | Self::Any(parts) => parts.iter().flat_map(Self::texts).collect(),
        }
    }
}

/// One that decides, if there is any; else unknown, if there is any; else the other.
fn joined(parts: impl Iterator<Item = Option<bool>>, decides: bool) -> Option<bool> {
    let mut whole = Some(!decides);
    for part in parts {
        match part {
            Some(part) if part == decides => return Some(decides),
            None => whole = None,
            Some(_) => {}
        }
    }
    whole
}

impl Comparison {
    fn holds(&self, held: Held) -> Option<bool> {
        let order = match (held, &self.value) {
            (Held::Missing, _) => None,
            (Held::Text(own), Value::Text(asked)) => Some(own.cmp(asked.as_str())),
            (Held::Text(own), Value::Number(asked)) => own.trim().parse::<f64>().ok()?.partial_cmp(asked),
            (Held::Text(own), Value::Day(asked)) => day(own.trim().get(..10)?).map(|own| own.cmp(asked)),
            (Held::Day(own), Value::Day(asked)) => Some(own.cmp(asked)),
            (Held::Day(own), Value::Number(asked)) => f64::from(own).partial_cmp(asked),
            (Held::Day(_), Value::Text(_)) => None,
        }?;
        Some(match self.operator {
            Operator::Equal => order.is_eq(),
            Operator::NotEqual => order.is_ne(),
            Operator::Less => order.is_lt(),
            Operator::AtMost => order.is_le(),
            Operator::More => order.is_gt(),
            Operator::AtLeast => order.is_ge(),
        })
    }
}

/// Days since 1970-01-01.
fn day(text: &str) -> Option<i32> {
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    i32::try_from(date.signed_duration_since(NaiveDate::default()).num_days()).ok()
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Name(String),
    Value(Value),
    Operator(Operator),
    Open,
    Close,
    Comma,
}

fn problem(text: &str, at: usize, problem: String) -> RecallError {
    let column = text[..at].chars().count() + 1;
    RecallError::Cohort { text: text.to_owned(), column, problem }
}

/// Tokens, each with its place.
fn tokens(text: &str) -> Result<Vec<(usize, Token)>, RecallError> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        let (length, token) = if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        } else if let Some((sign, operator)) = OPERATORS.iter().find(|(sign, _)| rest.starts_with(sign)) {
            (sign.len(), Token::Operator(*operator))
        } else {
            match first {
                '(' | '[' => (1, Token::Open),
                ')' | ']' => (1, Token::Close),
                ',' => (1, Token::Comma),
                '=' => return Err(problem(text, at, "a single `=`; write `==` for is equal to".to_owned())),
                '"' | '\'' => {
                    let inside = &rest[1..];
                    let length = inside
                        .find(first)
                        .ok_or_else(|| problem(text, at, format!("a text that {first} opens is not closed")))?;
                    (length + 2, Token::Value(Value::Text(inside[..length].to_owned())))
                }
                _ => word(text, at)?,
            }
        };
        tokens.push((at, token));
        at += length;
    }
    Ok(tokens)
}

/// A name, a number or a date.
fn word(text: &str, at: usize) -> Result<(usize, Token), RecallError> {
    let rest = &text[at..];
    let belongs = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '.' | '-' | '+');
    let length = rest.find(|letter| !belongs(letter)).unwrap_or(rest.len());
    let word = &rest[..length];
    if length == 0 {
        let letter: String = rest.chars().take(1).collect();
        return Err(problem(text, at, format!("{letter:?} means nothing here")));
    }
    if let Some(day) = day(word) {
        return Ok((length, Token::Value(Value::Day(day))));
    }
    if word.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '-' | '+' | '.')) {
        return match word.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok((length, Token::Value(Value::Number(number)))),
            _ => Err(problem(
                text,
                at,
                format!("{word:?} is neither a number nor a date such as 2025-03-01; texts stand in quotes"),
            )),
        };
    }
    Ok((length, Token::Name(word.to_owned())))
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<(usize, Token)>,
    at: usize,
    depth: usize,
    fields: &'a [Field],
}

impl Parser<'_> {
    fn place(&self) -> usize {
        self.tokens.get(self.at).map_or(self.text.len(), |(place, _)| *place)
    }

    fn wrong(&self, expected: &str) -> RecallError {
        problem(self.text, self.place(), format!("expected {expected}"))
    }

    fn is_word(&self, at: usize, word: &str) -> bool {
        matches!(self.tokens.get(at), Some((_, Token::Name(name))) if name.eq_ignore_ascii_case(word))
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = self.is_word(self.at, word);
        self.at += usize::from(found);
        found
    }

    fn take(&mut self, token: &Token) -> bool {
        let found = self.tokens.get(self.at).is_some_and(|(_, next)| next == token);
        self.at += usize::from(found);
        found
    }

    fn any(&mut self) -> Result<Condition, RecallError> {
        let mut parts = vec![self.all()?];
        while self.take_word("or") {
            parts.push(self.all()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Condition::Any(parts) })
    }

    fn all(&mut self) -> Result<Condition, RecallError> {
        let mut parts = vec![self.one()?];
        while self.take_word("and") {
            parts.push(self.one()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Condition::All(parts) })
    }

    fn one(&mut self) -> Result<Condition, RecallError> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(self.wrong("fewer parentheses within each other"));
        }
        let found = if self.take_word("not") {
            Condition::Not(Box::new(self.one()?))
        } else if self.take(&Token::Open) {
            let inner = self.any()?;
            if !self.take(&Token::Close) {
                return Err(self.wrong("`)`"));
            }
            inner
        } else {
            self.comparison()?
        };
        self.depth -= 1;
        Ok(found)
    }

    fn comparison(&mut self) -> Result<Condition, RecallError> {
        let Some((_, Token::Name(name))) = self.tokens.get(self.at).cloned() else {
            return Err(self.wrong("the name of an attribute"));
        };
        let field = self.field(&name)?;
        self.at += 1;
        let refused = self.is_word(self.at, "not") && self.is_word(self.at + 1, "in");
        self.at += usize::from(refused);
        if self.take_word("in") {
            let equal = self.list(field)?;
            return Ok(if refused { Condition::Not(Box::new(equal)) } else { equal });
        }
        let Some((_, Token::Operator(operator))) = self.tokens.get(self.at).cloned() else {
            return Err(self.wrong("`==`, `!=`, `<`, `<=`, `>`, `>=` or `in`"));
        };
        self.at += 1;
        let value = self.value(field)?;
        Ok(Condition::Compare(Comparison { field, operator, value }))
    }

    fn list(&mut self, field: usize) -> Result<Condition, RecallError> {
        if !self.take(&Token::Open) {
            return Err(self.wrong("`(` and a list of values"));
        }
        let mut parts = Vec::new();
        loop {
            let value = self.value(field)?;
            parts.push(Condition::Compare(Comparison { field, operator: Operator::Equal, value }));
            if self.take(&Token::Close) {
                return Ok(Condition::Any(parts));
            }
            if !self.take(&Token::Comma) {
                return Err(self.wrong("`,` or `)`"));
            }
        }
    }

    fn field(&self, name: &str) -> Result<usize, RecallError> {
        let names = || self.fields.iter().map(|field| field.name.as_str());
        names().position(|known| known == name).ok_or_else(|| RecallError::NoAttribute {
            name: name.to_owned(),
            nearest: nearest(name, names()),
            known: names().collect::<Vec<_>>().join(", "),
        })
    }

    /// A value that the field can be compared with.
    fn value(&mut self, field: usize) -> Result<Value, RecallError> {
        let Some((_, Token::Value(value))) = self.tokens.get(self.at).cloned() else {
            return Err(self.wrong("a value: \"text\" in quotes, a number, or a date such as 2025-03-01"));
        };
        let Field { name, kind } = &self.fields[field];
        let value = match (kind, value) {
            (FieldKind::Date, Value::Text(text)) => match day(&text) {
                Some(day) => Value::Day(day),
                None => return Err(self.wrong(&format!("a date such as 2025-03-01, which {name} holds"))),
            },
            (FieldKind::Date, Value::Number(_)) => {
                return Err(self.wrong(&format!("a date such as 2025-03-01, which {name} holds")));
            }
            (FieldKind::Period, Value::Text(_) | Value::Day(_)) => {
                return Err(self.wrong(&format!("a whole number, which {name} holds")));
            }
            (_, value) => value,
        };
        self.at += 1;
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields() -> Vec<Field> {
        let field = |name: &str, kind| Field { name: name.to_owned(), kind };
        vec![
            field("sensor_lot", FieldKind::Text),
            field("size", FieldKind::Text),
            field("build_date", FieldKind::Date),
            field("period", FieldKind::Period),
            field("车型", FieldKind::Text),
        ]
    }

    /// Of a vehicle of lot L0417, size 12, built on 2025-02-28, period 7, without a 车型.
    fn holds(text: &str) -> Option<bool> {
        let held = |field: usize| match field {
            0 => Held::Text("L0417"),
            1 => Held::Text("12"),
            2 => Held::Day(day("2025-02-28").unwrap()),
            3 => Held::Day(7),
            _ => Held::Missing,
        };
        parse(text, &fields()).unwrap_or_else(|error| panic!("{text}: {error}")).holds(&held)
    }

    #[test]
    fn conditions_hold_as_they_read() {
        for text in [
            "sensor_lot == \"L0417\" and build_date < 2025-03-01",
            "sensor_lot=='L0417'",
            "build_date >= \"2025-02-28\" and build_date <= 2025-02-28",
            "size > 9 and size < 100 and size == 12.0",
            "size < \"9\"",
            "sensor_lot in ('A', \"L0417\") and sensor_lot not in ['B']",
            "not (sensor_lot == 'A' or size != 12)",
            "sensor_lot == 'A' and size == 1 or period == 7",
            "NOT sensor_lot == 'A' AND period >= 7",
            "not not period == 7",
            "车型 == 'x' or period == 7",
        ] {
            assert_eq!(holds(text), Some(true), "{text}");
        }
        for text in [
            "sensor_lot == 'l0417'",
            "sensor_lot == 'A' and (size == 12 or period == 7)",
            "车型 == 'x' and period == 8",
        ] {
            assert_eq!(holds(text), Some(false), "{text}");
        }
        // Missing, or no number: neither true nor false, whichever way it is turned.
        for text in [
            "车型 == 'x'",
            "车型 != 'x'",
            "not 车型 == 'x'",
            "sensor_lot < 5",
            "车型 not in ('x')",
            "车型 == 'x' and period == 7",
        ] {
            assert_eq!(holds(text), None, "{text}");
        }
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        let deep = "(".repeat(200);
        for (text, column, words) in [
            ("sensor_lot = 'A'", 12, "`==`"),
            ("sensor_lot == 'A", 15, "not closed"),
            ("sensor_lot == A", 15, "in quotes"),
            ("sensor_lot", 11, "`in`"),
            ("sensor_lot == 'A' size == 1", 19, "`and`"),
            ("(sensor_lot == 'A'", 19, "`)`"),
            ("sensor_lot in 'A'", 15, "a list"),
            ("sensor_lot in ('A' 'B')", 20, "`,` or `)`"),
            ("build_date < 5", 14, "a date"),
            ("build_date < 'soon'", 14, "a date"),
            ("period == 2025-01-01", 11, "whole number"),
            ("build_date < 2025-13-01", 14, "neither a number nor a date"),
            ("sensor_lot == 'A' & size == 1", 19, "means nothing"),
            ("车型 == 'x' and", 14, "name of an attribute"),
            ("", 1, "name of an attribute"),
            (deep.as_str(), 101, "fewer parentheses"),
        ] {
            match parse(text, &fields()) {
                Err(RecallError::Cohort { column: got, problem, .. }) => {
                    assert!(got == column && problem.contains(words), "{text}: {got} {problem}");
                }
                other => panic!("{text}: {other:?}"),
            }
        }
        let error = parse("sensr_lot == 'A'", &fields()).unwrap_err().to_string();
        assert!(error.contains("did you mean \"sensor_lot\"?") && error.contains("build_date"), "{error}");
    }

    #[test]
    fn texts_that_must_be_equal_are_told() {
        let condition = parse("sensor_lot in ('A','B') and not (size == '3' or size < 4)", &fields()).unwrap();
        assert_eq!(condition.texts(), [(0, "A"), (0, "B"), (1, "3")]);
    }
}
