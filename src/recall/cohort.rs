//! Whom a recall is about: vehicles picked by a condition on their attributes, or by a list of ids.
//!
//! `--cohort 'sensor_lot == "L0417"'` or `--cohort @vins.csv|xlsx`. A list names vehicles in one column: that which is
//! called as the dataset calls its vehicles, or one of the usual names, or the only one. Ids that the dataset does not have
//! are told, never skipped in silence, and so are vehicles of which a condition can not be said to be true or false.

use std::path::{Path, PathBuf};

use super::error::RecallError;
use super::expression::{Field, FieldKind, Held, parse};
use crate::fit::lives::table::{Cell, Source};
use crate::fleet::error::nearest;
use crate::fleet::manifest::ManifestInput;
use crate::fleet::time::TimeAxis;
use crate::fleet::vehicles::{Vehicles, day_of};

/// Names of the dates that a condition may use.
const DATES: [&str; 3] = ["build_date", "sale_date", "end_date"];
/// What a column of vehicle ids is usually called.
const USUAL: [&str; 8] = ["vin", "vehicle", "vehicle_id", "id", "车架号", "车辆识别代号", "车辆识别码", "车辆编号"];

/// What was asked for.
#[derive(Clone, Debug, PartialEq)]
pub enum Asked {
    Condition(String),
    List(PathBuf),
}

impl Asked {
    /// `@FILE` is a list, all else a condition.
    pub fn of(text: &str) -> Self {
        match text.strip_prefix('@') {
            Some(file) => Self::List(PathBuf::from(file)),
            None => Self::Condition(text.to_owned()),
        }
    }

    /// As it was typed.
    pub fn text(&self) -> String {
        match self {
            Self::Condition(text) => text.clone(),
            Self::List(file) => format!("@{}", file.display()),
        }
    }
}

/// Vehicles of a cohort.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cohort {
    /// Dense indices, rising.
    pub vehicles: Vec<u32>,
    /// Of which the condition is neither true nor false, as an attribute that it asks for is missing; rising.
    pub undecided: Vec<u32>,
    /// Ids of a list that the dataset does not have, in the list's order.
    pub unknown: Vec<String>,
    /// Rows of a list that name a vehicle again.
    pub repeated: u64,
    /// What a manifest says of the list.
    pub input: Option<ManifestInput>,
}

/// The vehicles of which a condition is true.
pub fn by_condition(text: &str, vehicles: &Vehicles, axis: TimeAxis) -> Result<Cohort, RecallError> {
    let days = [&vehicles.build_day, &vehicles.sale_day, &vehicles.end_day];
    let dated = if axis == TimeAxis::Integer { FieldKind::Period } else { FieldKind::Date };
    let attributes = vehicles.attributes.iter();
    let mut fields: Vec<Field> =
        attributes.map(|attribute| Field { name: attribute.name.clone(), kind: FieldKind::Text }).collect();
    let mut columns = Vec::new();
    for (name, days) in DATES.iter().zip(days) {
        let is_known = days.iter().any(Option::is_some) && fields.iter().all(|field| field.name != *name);
        if is_known {
            fields.push(Field { name: (*name).to_owned(), kind: dated });
            columns.push(days);
        }
    }
    let condition = parse(text, &fields)?;
    let of_attributes = vehicles.attributes.len();
    let holds = |vehicle: usize| {
        condition.holds(&|field: usize| match vehicles.attributes.get(field) {
            Some(attribute) => {
                let code = attribute.code.get(vehicle).copied().unwrap_or(u32::MAX);
                attribute.values.get(code as usize).map_or(Held::Missing, |value| Held::Text(value))
            }
            None => day_of(columns[field - of_attributes], vehicle).map_or(Held::Missing, Held::Day),
        })
    };
    let (mut found, mut undecided) = (Vec::new(), Vec::new());
    for vehicle in 0..vehicles.known {
        match holds(vehicle) {
            Some(true) => found.push(vehicle as u32),
            None => undecided.push(vehicle as u32),
            Some(false) => {}
        }
    }
    if !found.is_empty() {
        return Ok(Cohort { vehicles: found, undecided, ..Cohort::default() });
    }
    // Which text that was asked for nobody has.
    let unheard = condition.texts().into_iter().find_map(|(field, text)| {
        let attribute = vehicles.attributes.get(field)?;
        let is_held = attribute.values.iter().any(|value| value == text);
        let hint = || match nearest(text, attribute.values.iter().map(String::as_str)) {
            Some(near) => format!("no vehicle has {} {text:?}; did you mean {near:?}?", attribute.name),
            None => format!("no vehicle has {} {text:?}", attribute.name),
        };
        (!is_held).then(hint)
    });
    Err(RecallError::Nobody {
        asked: text.to_owned(),
        vehicles: vehicles.known,
        why: unheard.unwrap_or_else(|| match undecided.len() {
            0 => "no vehicle meets the whole condition".to_owned(),
            unknown => format!(
                "no vehicle is known to meet the whole condition; {unknown} lack an attribute or date that it asks for"
            ),
        }),
    })
}

/// The vehicles that a file lists; `index_of` finds an id.
pub fn by_list(
    file: &Path,
    vehicle_column: &str,
    known: usize,
    index_of: impl Fn(&str) -> Option<u32>,
) -> Result<Cohort, RecallError> {
    let source = Source::open(file, None)?;
    let named = |wanted: &str| source.columns.iter().position(|name| name.trim().eq_ignore_ascii_case(wanted));
    let column = named(vehicle_column).or_else(|| USUAL.iter().find_map(|usual| named(usual)));
    // A list without a header: its first id was taken for one.
    let header = column.is_none().then(|| source.columns.first().cloned().unwrap_or_default());
    let headless = header.filter(|_| source.columns.len() == 1);
    let column = column.or(headless.as_ref().map(|_| 0)).ok_or_else(|| RecallError::NoIdColumn {
        file: file.to_path_buf(),
        wanted: vehicle_column.to_owned(),
        known: source.columns.join(", "),
    })?;
    let rows = source.cells(&[column])?;
    let listed = rows.cells.iter().flatten().map(cell_text);
    let first = headless.filter(|name| index_of(name.trim()).is_some());
    let numbers = rows.numbers.len() as u64;
    let input = ManifestInput { table: "cohort".to_owned(), ..source.manifest_input(numbers) };
    let mut cohort = Cohort { input: Some(input), ..Cohort::default() };
    for id in first.into_iter().chain(listed) {
        let id = id.trim();
        if id.is_empty() {
            continue;
        }
        match index_of(id) {
            Some(vehicle) => cohort.vehicles.push(vehicle),
            None => cohort.unknown.push(id.to_owned()),
        }
    }
    let rows = cohort.vehicles.len();
    cohort.vehicles.sort_unstable();
    cohort.vehicles.dedup();
    cohort.repeated = (rows - cohort.vehicles.len()) as u64;
    if cohort.vehicles.is_empty() {
        let shown: Vec<&str> = cohort.unknown.iter().take(3).map(String::as_str).collect();
        return Err(RecallError::Nobody {
            asked: format!("@{}", file.display()),
            vehicles: known,
            why: match cohort.unknown.len() {
                0 => "the list is empty".to_owned(),
                unknown => format!("none of its {unknown} ids is in the data: {} …", shown.join(", ")),
            },
        });
    }
    Ok(cohort)
}

/// A whole number without its decimal point, as ids are written.
fn cell_text(cell: &Cell) -> String {
    match cell {
        Cell::Number(number) if number.fract() == 0.0 && number.abs() < 9e15 => format!("{number:.0}"),
        cell => cell.shown(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::vehicles::Attribute;

    fn vehicles() -> Vehicles {
        Vehicles {
            known: 4,
            attributes: vec![Attribute {
                name: "lot".into(),
                values: vec!["L1".into(), "L2".into()],
                code: vec![0, 1, u32::MAX, 1],
            }],
            build_day: vec![Some(100), Some(200), Some(300), None],
            ..Vehicles::default()
        }
    }

    #[test]
    fn conditions_pick_vehicles() {
        let of = |text: &str| by_condition(text, &vehicles(), TimeAxis::Days).map(|cohort| cohort.vehicles);
        assert_eq!(of("lot == 'L2'").unwrap(), [1, 3]);
        assert_eq!(of("lot == 'L2' and build_date > 1970-05-01").unwrap(), [1]);
        assert_eq!(of("lot != 'L2'").unwrap(), [0], "without a lot it is not known to be of another");
        let undecided = |text: &str| by_condition(text, &vehicles(), TimeAxis::Days).unwrap().undecided;
        assert_eq!(undecided("lot == 'L2'"), [2]);
        assert_eq!(undecided("lot == 'L2' and build_date > 1970-05-01"), [2, 3]);
        assert_eq!(undecided("lot == 'L1' or build_date < 1980-01-01"), [3]);
        let error = of("lot == 'L22'").unwrap_err().to_string();
        assert!(error.contains("did you mean \"L2\"?") && error.contains("none of 4 vehicles"), "{error}");
        let error = of("lot == 'L1' and build_date > 1980-01-01").unwrap_err().to_string();
        assert!(error.ends_with("meets the whole condition"), "{error}");
        let error = of("lot == 'L1' and build_date > 1970-07-01").unwrap_err().to_string();
        assert!(error.contains("1 lack an attribute"), "{error}");
        // No vehicle has a sale date: it is no attribute.
        assert!(of("sale_date > 1970-01-01").unwrap_err().to_string().contains("\"sale_date\""));
        let periods = by_condition("build_date >= 200", &vehicles(), TimeAxis::Integer).unwrap();
        assert_eq!(periods.vehicles, [1, 2]);
    }

    #[test]
    fn lists_pick_vehicles_and_tell_whom_they_do_not_find() {
        let here = tempfile::tempdir().unwrap();
        let file = here.path().join("vins.csv");
        let index_of = |id: &str| id.strip_prefix('V')?.parse::<u32>().ok().filter(|&index| index < 4);
        let of = |text: &str| {
            std::fs::write(&file, text).unwrap();
            by_list(&file, "fin", 4, index_of)
        };
        let cohort = of("VIN,note\nV2,a\n V0 ,b\nX9,c\nV2,d\n,e\n").unwrap();
        assert_eq!((cohort.vehicles, cohort.unknown, cohort.repeated), (vec![0, 2], vec!["X9".to_owned()], 1));
        assert_eq!(of("note,FIN\nV1,V3\n").unwrap().vehicles, [3], "the dataset's own name comes first");
        assert_eq!(of("V1\nV3\n").unwrap().vehicles, [1, 3], "no header");
        let error = of("a,b\nV1,V2\n").unwrap_err().to_string();
        assert!(error.contains("\"fin\"") && error.contains("a, b"), "{error}");
        let error = of("vin\nX1\nX2\n").unwrap_err().to_string();
        assert!(error.contains("none of its 2 ids") && error.contains("X1"), "{error}");
        assert!(of("vin\n").unwrap_err().to_string().contains("empty"));
    }
}
