//! `terms`: one channel with a curve, or two channels with a surface.

use super::section::Section;
use super::source;
use crate::model::curve::{BOLTZMANN_EV_PER_K, Curve, GAS_CONSTANT_KJ_PER_MOL_K};
use crate::model::error::{ModelError, nearest};
use crate::model::spec::{Law, Term, Variable};
use crate::model::surface::{PAIR_ROWS, Surface};

/// Keys of each curve besides channel, curve, reference, floor, ceiling and source.
const CURVES: [(&str, &[&str]); 7] = [
    ("power", &["exponent"]),
    ("exponential", &["coefficient", "doubles_every"]),
    ("arrhenius", &["activation_energy_ev", "activation_energy_kj_per_mol", "kelvin"]),
    ("logistic", &["low", "high", "midpoint", "width"]),
    ("piecewise", &["points"]),
    ("u_shape", &["optimum", "cold_coefficient", "hot_coefficient"]),
    ("table", &["edges", "ratios"]),
];

/// Keys of each surface besides channels, curve, reference, floor, ceiling and source.
const SURFACES: [(&str, &[&str]); 4] = [
    ("table", &["edges_a", "edges_b", "ratios"]),
    ("plane", &["intercept", "slope_a", "slope_b", "exponent", "bins"]),
    ("arrhenius_linear", &["temperature_k", "slope_k", "bins"]),
    ("arrhenius_anode", &["temperature_k", "slope_k_per_v", "bins"]),
];

pub(super) fn term(section: Section) -> Result<Term, ModelError> {
    let law = if section.has("channels") { two(&section)? } else { one(&section)? };
    Ok(Term { law, source: source(&section)?, places: section.places() })
}

/// The curve's name, once all keys are known to be its own.
fn chosen<'d>(section: &Section<'d>, kinds: &[(&str, &[&str])], channel_key: &str) -> Result<&'d str, ModelError> {
    let names = || kinds.iter().map(|(name, _)| *name).collect::<Vec<_>>();
    let remedy = format!("add curve = one of {}", names().join(", "));
    let curve = section.required_text("curve", &remedy)?;
    let Some((_, own)) = kinds.iter().find(|(name, _)| *name == curve) else {
        let near = nearest(curve, names()).map(|name| format!(" (did you mean {name:?}?)")).unwrap_or_default();
        let of = if channel_key == "channels" { " of two channels" } else { "" };
        return Err(section.value_error(
            "curve",
            format!("{curve:?} is no curve{of}{near}"),
            format!("write one of {}", names().join(", ")),
        ));
    };
    let shared = [channel_key, "curve", "reference", "floor", "ceiling", "source"];
    section.only(&[shared.as_slice(), own].concat())?;
    Ok(curve)
}

fn one(section: &Section) -> Result<Law, ModelError> {
    if !section.has("channel") {
        // A misspelt `channel` is likelier than none at all: the unknown key says more than the missing one.
        let all: Vec<&str> = CURVES.iter().chain(&SURFACES).flat_map(|(_, keys)| keys.iter().copied()).collect();
        let shared = ["channel", "channels", "curve", "reference", "floor", "ceiling", "source"];
        section.only(&[shared.as_slice(), &all].concat())?;
    }
    let channel = section.required_text("channel", "add channel = \"…\" (or channels = [\"…\", \"…\"])")?;
    let variable =
        Variable { channel: channel.to_owned(), floor: section.number("floor")?, ceiling: section.number("ceiling")? };
    let name = chosen(section, &CURVES, "channel")?;
    let reference = match (name, section.number("reference")?) {
        (_, Some(reference)) => reference,
        ("u_shape", None) => section.required_number("optimum", "add optimum, where the rate is least")?,
        (_, None) => return Err(section.missing("reference", "add reference, where the ratio is 1")),
    };
    check_clamp(section, &variable, reference)?;
    let curve = match name {
        "power" => {
            if reference <= 0.0 {
                return Err(section.value_error(
                    "reference",
                    format!("{reference} is not above zero"),
                    "a power needs a reference above zero",
                ));
            }
            Curve::Power { exponent: section.required_number("exponent", "add exponent")?, reference }
        }
        "exponential" => Curve::Exponential { coefficient: exponential_coefficient(section)?, reference },
        "arrhenius" => Curve::Arrhenius {
            theta_k: activation_temperature_k(section)?,
            reference,
            kelvin: section.boolean("kelvin")?.unwrap_or(false),
        },
        "logistic" => {
            let width = section.required_number("width", "add width: the step's 12 % to 88 % take four widths")?;
            if width == 0.0 {
                return Err(section.value_error(
                    "width",
                    "0",
                    "give a width other than 0; a sharp step is a table or an interaction",
                ));
            }
            Curve::Logistic {
                low: section.positive("low")?.unwrap_or(1.0),
                high: section.required_positive("high", "add high, the ratio beyond the step")?,
                midpoint: section.required_number("midpoint", "add midpoint, where the step is half done")?,
                width,
                reference,
            }
        }
        "piecewise" => Curve::Piecewise { points: points(section)?, reference },
        "u_shape" => Curve::UShape {
            optimum: section.required_number("optimum", "add optimum, where the rate is least")?,
            cold: section
                .required_positive("cold_coefficient", "add cold_coefficient, growth per unit below the optimum")?,
            hot: section
                .required_positive("hot_coefficient", "add hot_coefficient, growth per unit above the optimum")?,
            reference,
        },
        _ => {
            let edges = rising(section, "edges", section.numbers("edges")?)?;
            let ratios = above_zero(section, section.numbers("ratios")?)?;
            if !edges.is_empty() && ratios.len() != edges.len() + 1 {
                let problem = format!("{} ratios for {} edges", ratios.len(), edges.len());
                return Err(section.value_error(
                    "ratios",
                    problem,
                    "give one more ratio than edges, or no edges and a ratio a code",
                ));
            }
            if ratios.is_empty() {
                return Err(section.missing("ratios", "add ratios = [ … ]"));
            }
            Curve::Table { edges, ratios, reference }
        }
    };
    check_reference(
        section,
        curve.log2_ratio(reference, 0.0),
        matches!(curve, Curve::Table { ref edges, .. } if edges.is_empty()),
    )?;
    Ok(Law::One(variable, curve))
}

fn two(section: &Section) -> Result<Law, ModelError> {
    let channels = section.texts("channels")?;
    let [a, b] = channels.as_slice() else {
        let problem = format!("{} channels instead of two", channels.len());
        return Err(section.value_error("channels", problem, "name two channels, or one with channel = \"…\""));
    };
    if a == b {
        return Err(section.value_error("channels", format!("{a:?} twice"), "name two different channels"));
    }
    let name = chosen(section, &SURFACES, "channels")?;
    let reference = section.two_numbers("reference", "give reference = [a, b], where the ratio is 1")?;
    let limits = |key: &str| match section.has(key) {
        true => section.two_numbers(key, "give a number for each channel").map(|[a, b]| [Some(a), Some(b)]),
        false => Ok([None, None]),
    };
    let (floor, ceiling) = (limits("floor")?, limits("ceiling")?);
    let variable = |side: usize, channel: &str| Variable {
        channel: channel.to_owned(),
        floor: floor[side],
        ceiling: ceiling[side],
    };
    let variables = [variable(0, a), variable(1, b)];
    for (variable, reference) in variables.iter().zip(reference) {
        check_clamp(section, variable, reference)?;
    }
    let surface = match name {
        "plane" => Surface::Plane {
            intercept: section.required_number("intercept", "add intercept")?,
            slope_a: section.required_number("slope_a", "add slope_a")?,
            slope_b: section.required_number("slope_b", "add slope_b")?,
            exponent: section.number("exponent")?.unwrap_or(1.0),
            bins: bins(section)?,
            reference,
        },
        "arrhenius_linear" => Surface::ArrheniusLinear {
            theta_k: section
                .required_number("temperature_k", "add temperature_k, activation energy over Boltzmann's constant")?,
            slope_k: section.required_number("slope_k", "add slope_k, its change per unit of the second channel")?,
            bins: bins(section)?,
            reference,
        },
        "arrhenius_anode" => Surface::ArrheniusAnode {
            theta_k: section
                .required_number("temperature_k", "add temperature_k, activation energy over Boltzmann's constant")?,
            slope_k_per_v: section
                .required_number("slope_k_per_v", "add slope_k_per_v, its change per volt of anode potential")?,
            bins: bins(section)?,
            reference,
        },
        _ => {
            let edges_a = rising(section, "edges_a", section.numbers("edges_a")?)?;
            let edges_b = rising(section, "edges_b", section.numbers("edges_b")?)?;
            let ratios = section.number_rows("ratios")?;
            let (rows, columns) = (edges_a.len() + 1, edges_b.len() + 1);
            if ratios.len() != rows || ratios.iter().any(|row| row.len() != columns) {
                let problem = format!("not {rows} rows of {columns} ratios");
                return Err(section.value_error(
                    "ratios",
                    problem,
                    "give one row a bin of the first channel, one ratio a bin of the second",
                ));
            }
            if (rows + 1) * (columns + 1) > PAIR_ROWS {
                let problem =
                    format!("{rows} × {columns} bins and those for \"not available\" need more than {PAIR_ROWS} rows");
                return Err(section.value_error("ratios", problem, "merge bins"));
            }
            for row in &ratios {
                above_zero(section, row.clone())?;
            }
            Surface::Table { edges: [edges_a, edges_b], ratios, reference }
        }
    };
    check_reference(section, surface.log2_ratio(reference, [0.0; 2]), false)?;
    Ok(Law::Two(variables, surface))
}

/// A reference that a clamp hides would not have ratio 1.
fn check_clamp(section: &Section, variable: &Variable, reference: f64) -> Result<(), ModelError> {
    if let (Some(floor), Some(ceiling)) = (variable.floor, variable.ceiling)
        && floor >= ceiling
    {
        return Err(section.value_error(
            "floor",
            format!("{floor} is not below the ceiling {ceiling}"),
            "give a lower floor or a higher ceiling",
        ));
    }
    if variable.clamp(reference) != reference {
        return Err(section.value_error(
            "reference",
            format!("{reference} lies beyond floor or ceiling of {}", variable.channel),
            "choose a reference between them",
        ));
    }
    Ok(())
}

fn check_reference(section: &Section, log2_ratio: f64, later: bool) -> Result<(), ModelError> {
    if later || log2_ratio == 0.0 {
        return Ok(());
    }
    Err(section.value_error("reference", "the curve is not defined there", "choose a reference where it is"))
}

fn exponential_coefficient(section: &Section) -> Result<f64, ModelError> {
    match (section.number("coefficient")?, section.number("doubles_every")?) {
        (Some(coefficient), None) => Ok(coefficient),
        (None, Some(0.0)) => Err(section.value_error("doubles_every", "0", "give the units in which the rate doubles")),
        (None, Some(units)) => Ok(std::f64::consts::LN_2 / units),
        (None, None) => Err(section.missing("coefficient", "add coefficient (per unit) or doubles_every (units)")),
        (Some(_), Some(_)) => Err(section.value_error("doubles_every", "coefficient is there too", "keep one of them")),
    }
}

/// Activation energy over Boltzmann's constant.
fn activation_temperature_k(section: &Section) -> Result<f64, ModelError> {
    match (section.number("activation_energy_ev")?, section.number("activation_energy_kj_per_mol")?) {
        (Some(ev), None) => Ok(ev / BOLTZMANN_EV_PER_K),
        (None, Some(kj_per_mol)) => Ok(kj_per_mol / GAS_CONSTANT_KJ_PER_MOL_K),
        (None, None) => {
            Err(section.missing("activation_energy_ev", "add activation_energy_ev or activation_energy_kj_per_mol"))
        }
        (Some(_), Some(_)) => Err(section.value_error(
            "activation_energy_ev",
            "activation_energy_kj_per_mol is there too",
            "keep one of them",
        )),
    }
}

fn points(section: &Section) -> Result<Vec<(f64, f64)>, ModelError> {
    let remedy = "write points = [[x, ratio], [x, ratio]] with rising x and ratios above zero";
    let rows = section.number_rows("points")?;
    let mut points: Vec<(f64, f64)> = Vec::with_capacity(rows.len());
    for row in rows {
        match (row.as_slice(), points.last()) {
            ([x, _], Some((before, _))) if x <= before => {
                return Err(section.value_error("points", format!("{x} follows {before}"), remedy));
            }
            ([_, ratio], _) if *ratio <= 0.0 => {
                return Err(section.value_error("points", format!("the ratio {ratio}"), remedy));
            }
            ([x, ratio], _) => points.push((*x, *ratio)),
            (other, _) => {
                return Err(section.value_error("points", format!("{} numbers in a point", other.len()), remedy));
            }
        }
    }
    if points.is_empty() { Err(section.missing("points", remedy)) } else { Ok(points) }
}

/// Bins of both channels; by default as many as fit, shared evenly.
fn bins(section: &Section) -> Result<[usize; 2], ModelError> {
    const DEFAULT: usize = 63;
    if !section.has("bins") {
        return Ok([DEFAULT, DEFAULT]);
    }
    let wanted = section.two_numbers("bins", "give bins = [a, b]")?;
    // One more row and column hold "not available".
    let whole = wanted.iter().all(|bins| *bins >= 1.0 && *bins <= PAIR_ROWS as f64 && bins.fract() == 0.0);
    if !whole || (wanted[0] + 1.0) * (wanted[1] + 1.0) > PAIR_ROWS as f64 {
        let problem = format!("{} × {} bins", wanted[0], wanted[1]);
        let remedy = format!("give whole numbers with (a + 1)(b + 1) at most {PAIR_ROWS}");
        return Err(section.value_error("bins", problem, remedy));
    }
    Ok(wanted.map(|bins| bins as usize))
}

fn rising(section: &Section, key: &str, edges: Vec<f64>) -> Result<Vec<f64>, ModelError> {
    match edges.windows(2).find(|pair| pair[0] >= pair[1]) {
        Some(pair) => {
            Err(section.value_error(key, format!("{} follows {}", pair[1], pair[0]), "give edges in rising order"))
        }
        None => Ok(edges),
    }
}

fn above_zero(section: &Section, ratios: Vec<f64>) -> Result<Vec<f64>, ModelError> {
    match ratios.iter().find(|ratio| **ratio <= 0.0) {
        Some(ratio) => Err(section.value_error("ratios", format!("the ratio {ratio}"), "give ratios above zero")),
        None => Ok(ratios),
    }
}
