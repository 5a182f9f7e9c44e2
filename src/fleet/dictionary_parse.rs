//! Reads `dataset.toml` into a [`Dictionary`]: every key known, every reference resolved, every range turned into
//! codes. What a file must then hold (columns, types) is checked where the file is opened.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::dictionary::{
    ChannelDefinition, ChannelSource, Dictionary, EventsTable, Files, FindingColumn, Histories, Join, KindColumn,
    MAX_CODES, Operation, PERIOD_DAYS, Period, Stored, VehiclesTable,
};
use super::error::{FleetError, nearest};
use super::toml_section::{Entry, Section, Source, parse};
use crate::model::channel::Channel;

/// Parses the text of `file`; relative paths in it refer to the file's folder.
pub(super) fn dictionary(file: &Path, text: &str) -> Result<Dictionary, FleetError> {
    let source = Source { file, text };
    let (span, table) = parse(source)?;
    let base = file.parent().map_or_else(PathBuf::new, Path::to_path_buf);
    let top = Section::new(source, "", span.start, &table);
    let histories = top
        .section("histories")?
        .ok_or_else(|| top.error(0, "histories", "is missing", "add [histories] with files, vehicle and time"))?;
    let vehicles = top.section("vehicles")?.map(|section| vehicles_table(section, &histories, &base)).transpose()?;
    let events = top.section("events")?.map(|section| events_table(section, &histories, &base)).transpose()?;
    let (joins, supplied) = joins(&top, vehicles.as_ref(), &base)?;
    let period = period(&histories)?;
    let mut channels = channels(&top, &supplied)?;
    let period = match period {
        Declared::Plain(period) => period,
        Declared::Column(name, at) => {
            let known = || channels.iter().map(|definition| definition.channel.name.as_str());
            let index = known().position(|channel| channel == name).ok_or_else(|| {
                let problem = format!("names the channel {name:?}, which is not declared");
                histories.error(at, "period", problem, suggestion(&name, known(), "declare it in [channels]"))
            })?;
            Period::Channel(index)
        }
    };
    if period == Period::Month {
        if channels.iter().any(|definition| definition.channel.name == PERIOD_DAYS) {
            return Err(histories.error(
                histories.at(),
                "period",
                format!("is \"month\", whose length is the built-in channel {PERIOD_DAYS}, but that name is declared"),
                "rename the declared channel, or write period = \"column:period_days\"",
            ));
        }
        channels.push(Dictionary::period_days());
    }
    let histories = histories_table(histories, period, &base)?;
    top.finish()?;
    let blake3 = blake3::hash(text.as_bytes()).to_hex().to_string();
    Ok(Dictionary { path: file.to_path_buf(), blake3, histories, channels, joins, vehicles, events })
}

fn files(section: &Section, base: &Path) -> Result<Files, FleetError> {
    let spec = section.required_text("files", "name a file, a glob, a folder or \"@list.txt\"")?;
    if spec.trim().is_empty() {
        return Err(section.error(section.at(), "files", "is empty", "name a file, a glob, a folder or \"@list.txt\""));
    }
    Ok(Files { spec, base: base.to_path_buf() })
}

/// A period as written; a channel's name is resolved once the channels are known.
enum Declared {
    Plain(Period),
    Column(String, usize),
}

fn period(section: &Section) -> Result<Declared, FleetError> {
    const CHOICES: [&str; 5] = ["day", "week", "month", "trip", "column:<channel in days>"];
    let Some(entry) = section.get("period") else { return Ok(Declared::Plain(Period::Day)) };
    let text = entry.text(&section.dotted("period"))?;
    Ok(match text.as_str() {
        "day" => Declared::Plain(Period::Day),
        "week" => Declared::Plain(Period::Week),
        "month" => Declared::Plain(Period::Month),
        "trip" => Declared::Plain(Period::Trip),
        other => match other.strip_prefix("column:") {
            Some(channel) => Declared::Column(channel.to_string(), entry.at),
            None => {
                let remedy = suggestion(other, CHOICES, &format!("write one of {}", CHOICES.join(", ")));
                return Err(section.error(entry.at, "period", format!("is {other:?}"), remedy));
            }
        },
    })
}

fn histories_table(section: Section, period: Period, base: &Path) -> Result<Histories, FleetError> {
    let table = Histories {
        files: files(&section, base)?,
        vehicle: section.required_text("vehicle", "name the column of vehicle ids")?,
        time: section.required_text("time", "name the column of dates, timestamps or integer periods")?,
        period,
    };
    section.finish()?;
    Ok(table)
}

/// The `vehicle` column of another table; by default it is named as in the histories.
fn vehicle_column(section: &Section, histories: &Section) -> Result<String, FleetError> {
    match section.text("vehicle")? {
        Some(column) => Ok(column),
        None => histories.required_text("vehicle", "name the column of vehicle ids"),
    }
}

fn vehicles_table(section: Section, histories: &Section, base: &Path) -> Result<VehiclesTable, FleetError> {
    let table = VehiclesTable {
        files: files(&section, base)?,
        vehicle: vehicle_column(&section, histories)?,
        build_date: section.text("build_date")?,
        sale_date: section.text("sale_date")?,
        end_date: section.text("end_date")?,
        attributes: section.texts("attributes")?.unwrap_or_default(),
    };
    if let Some(repeated) = repeated(&table.attributes) {
        let problem = format!("names {repeated:?} twice");
        return Err(section.error(section.at(), "attributes", problem, "name each attribute once"));
    }
    section.finish()?;
    Ok(table)
}

fn repeated(names: &[String]) -> Option<&String> {
    names.iter().enumerate().find(|(index, name)| names[..*index].contains(name)).map(|(_, name)| name)
}

fn events_table(section: Section, histories: &Section, base: &Path) -> Result<EventsTable, FleetError> {
    let table = EventsTable {
        files: files(&section, base)?,
        vehicle: vehicle_column(&section, histories)?,
        occurred_on: section.required_text("occurred_on", "name the column of the day it happened")?,
        reported_on: section.text("reported_on")?,
        component: section.required_text("component", "name the column of components")?,
        position: section.text("position")?,
        kind: section.section("kind")?.map(kind_column).transpose()?,
        finding: section.section("finding")?.map(finding_column).transpose()?,
        odometer_km: section.text("odometer_km")?,
        cost: section.text("cost")?,
    };
    section.finish()?;
    Ok(table)
}

/// The raw values of each meaning. Where none is given at all, each meaning is written as its own name.
fn meanings<const N: usize>(section: &Section, names: [&'static str; N]) -> Result<[Vec<String>; N], FleetError> {
    let mut all: [Vec<String>; N] = [const { Vec::new() }; N];
    let mut given = false;
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    for (values, name) in all.iter_mut().zip(names) {
        let Some(listed) = section.texts(name)? else { continue };
        given = true;
        for value in &listed {
            if let Some(other) = seen.insert(value.clone(), name) {
                let problem = format!("lists {value:?}, which {other} lists too");
                return Err(section.error(section.at(), name, problem, "list each raw value once"));
            }
        }
        *values = listed;
    }
    if !given {
        all = names.map(|name| vec![name.to_string()]);
    }
    Ok(all)
}

fn kind_column(section: Section) -> Result<KindColumn, FleetError> {
    let column = section.required_text("column", "name the column of kinds")?;
    let [failure, replacement, inspection, outcome, other] =
        meanings(&section, ["failure", "replacement", "inspection", "outcome", "other"])?;
    section.finish()?;
    Ok(KindColumn { column, failure, replacement, inspection, outcome, other })
}

fn finding_column(section: Section) -> Result<FindingColumn, FleetError> {
    let column = section.required_text("column", "name the column of findings")?;
    let [confirmed, not_found] = meanings(&section, ["confirmed", "not_found"])?;
    section.finish()?;
    Ok(FindingColumn { column, confirmed, not_found })
}

/// What the joins supply: channel name to (join, where it was named).
type Supplied = BTreeMap<String, (usize, usize)>;

fn joins(top: &Section, vehicles: Option<&VehiclesTable>, base: &Path) -> Result<(Vec<Join>, Supplied), FleetError> {
    let mut joins = Vec::new();
    let mut supplied = Supplied::new();
    let Some(all) = top.section("joins")? else { return Ok((joins, supplied)) };
    for (name, entry) in all.named() {
        let section = entry.section(&all.dotted(name))?;
        let mut join = Join { name: name.to_string(), files: files(&section, base)?, attributes: vec![], time: None };
        let on = section.section("on")?.ok_or_else(|| {
            section.error(entry.at, "on", "is missing", "write on = { attribute = \"column\", time = \"column\" }")
        })?;
        for (key, column) in on.named() {
            let column_name = column.text(&on.dotted(key))?;
            if key == "time" {
                join.time = Some(column_name);
                continue;
            }
            let attributes = vehicles.map_or(&[][..], |table| &table.attributes);
            if !attributes.iter().any(|attribute| attribute == key) {
                let known = attributes.iter().map(String::as_str);
                let remedy = suggestion(key, known, "list it in vehicles.attributes");
                return Err(on.error(column.at, key, "is not an attribute of the vehicles table", remedy));
            }
            join.attributes.push((key.to_string(), column_name));
        }
        if join.attributes.is_empty() && join.time.is_none() {
            return Err(section.error(entry.at, "on", "is empty", "key the join by an attribute, by time, or both"));
        }
        let channels = section.texts("channels")?.unwrap_or_default();
        if channels.is_empty() {
            return Err(section.error(entry.at, "channels", "names no channel", "name the channels it supplies"));
        }
        for channel in channels {
            if supplied.insert(channel.clone(), (joins.len(), entry.at)).is_some() {
                let problem = format!("names {channel:?}, which is supplied already");
                return Err(section.error(entry.at, "channels", problem, "let one join supply it, once"));
            }
        }
        section.finish()?;
        joins.push(join);
    }
    Ok((joins, supplied))
}

fn channels(top: &Section, supplied: &Supplied) -> Result<Vec<ChannelDefinition>, FleetError> {
    let all = top
        .section("channels")?
        .ok_or_else(|| top.error(0, "channels", "is missing", "declare a channel: [channels.name] with its range"))?;
    let named = all.named();
    let names: Vec<&str> = named.iter().map(|(name, _)| *name).collect();
    if let Some((channel, (_, at))) = supplied.iter().find(|(channel, _)| !names.contains(&channel.as_str())) {
        let remedy = suggestion(channel, names.iter().copied(), "declare it: [channels.name] with its range");
        return Err(top.error(*at, "joins", format!("supplies {channel:?}, which is not declared"), remedy));
    }
    let mut channels = Vec::with_capacity(named.len());
    for (name, entry) in &named {
        let section = entry.section(&all.dotted(name))?;
        channels.push(channel(section, name, &names, supplied.get(*name).map(|(join, _)| *join))?);
    }
    refuse_cycles(&all, &named, &channels)?;
    Ok(channels)
}

fn channel(section: Section, name: &str, names: &[&str], join: Option<usize>) -> Result<ChannelDefinition, FleetError> {
    let channel = Channel {
        name: name.to_string(),
        unit: section.text("unit")?.unwrap_or_default(),
        factor: section.number("factor")?.unwrap_or(1.0),
        offset: section.number("offset")?.unwrap_or(0.0),
        first: 0,
        codes: 0,
    };
    let channel = with_range(&section, channel)?;
    let missing = section.numbers("missing")?.unwrap_or_default();
    let stored = match section.text("stored")?.as_deref() {
        None => Stored::ByType,
        Some("code") => Stored::Code,
        Some("value") => Stored::Value,
        Some(other) => {
            let problem = format!("is {other:?}");
            return Err(section.error(section.at(), "stored", problem, "write \"code\" or \"value\""));
        }
    };
    let column = section.text("column")?;
    let source = match (section.section("derived")?, join) {
        (Some(derived), _) if column.is_some() || join.is_some() || stored != Stored::ByType => {
            let remedy = "give it no column, no join and no `stored`";
            return Err(section.error(derived.at(), "derived", "is computed and read at once", remedy));
        }
        (Some(derived), _) => derived_source(derived, names)?,
        (None, Some(join)) => ChannelSource::Join { join, column: column.unwrap_or_else(|| name.to_string()), stored },
        (None, None) => ChannelSource::Column { column: column.unwrap_or_else(|| name.to_string()), stored },
    };
    section.finish()?;
    Ok(ChannelDefinition { channel, source, missing })
}

/// Turns `range` into codes: the nearest code to either end, half to even.
fn with_range(section: &Section, mut channel: Channel) -> Result<Channel, FleetError> {
    const EXAMPLE: &str = "write range = [lowest, highest] in the channel's unit";
    let at = section.get("range").map_or(section.at(), |entry| entry.at);
    let Some(range) = section.numbers("range")? else { return Err(section.error(at, "range", "is missing", EXAMPLE)) };
    let &[low, high] = range.as_slice() else {
        return Err(section.error(at, "range", format!("has {} numbers", range.len()), EXAMPLE));
    };
    if !(channel.factor.is_finite() && channel.factor > 0.0 && channel.offset.is_finite()) {
        let problem = format!("with factor {} and offset {} gives no values", channel.factor, channel.offset);
        return Err(section.error(section.at(), "factor", problem, "write a factor above zero and a finite offset"));
    }
    if !(low.is_finite() && high.is_finite() && low <= high) {
        return Err(section.error(at, "range", format!("is [{low}, {high}]"), EXAMPLE));
    }
    let code = |value: f64| ((value - channel.offset) / channel.factor).round_ties_even();
    let (first, last) = (code(low), code(high));
    // Beyond 2^51 the rounding of the reader would no longer be exact.
    const LARGEST: f64 = (1_i64 << 51) as f64;
    if first.abs() >= LARGEST || last.abs() >= LARGEST {
        let problem = format!("reaches raw codes {first} to {last}");
        return Err(section.error(at, "range", problem, "use a larger factor or an offset nearer to the range"));
    }
    let codes = last - first + 1.0;
    if codes > f64::from(MAX_CODES) {
        let coarser = (high - low) / f64::from(MAX_CODES - 1);
        let problem = format!("holds {codes} codes of {}, and at most {MAX_CODES} fit", channel.factor);
        return Err(section.error(
            at,
            "range",
            problem,
            format!("narrow it, or use a factor of {coarser:.3e} or more"),
        ));
    }
    channel.first = first as i64;
    channel.codes = codes as u32;
    Ok(channel)
}

fn derived_source(section: Section, names: &[&str]) -> Result<ChannelSource, FleetError> {
    let operations = [
        ("difference", Operation::Difference),
        ("sum", Operation::Sum),
        ("product", Operation::Product),
        ("ratio", Operation::Ratio),
    ];
    let mut found: Option<(&'static str, Operation, Entry)> = None;
    for (key, operation) in operations {
        if let Some(entry) = section.get(key)
            && found.replace((key, operation, entry)).is_some()
        {
            return Err(section.error(entry.at, key, "is a second operation", "derive by one operation"));
        }
    }
    let Some((key, operation, entry)) = found else {
        let missing = section.error(
            section.at(),
            "difference",
            "or another operation is missing",
            "write { difference = [\"a\", \"b\"] }",
        );
        section.finish()?;
        return Err(missing);
    };
    let operands = entry.list(&section.dotted(key))?;
    let mut indices = Vec::with_capacity(2);
    for operand in &operands {
        let name = operand.text(&section.dotted(key))?;
        let index = names.iter().position(|known| *known == name).ok_or_else(|| {
            let remedy = suggestion(&name, names.iter().copied(), "declare it in [channels]");
            section.error(operand.at, key, format!("names {name:?}, which is not a declared channel"), remedy)
        })?;
        indices.push(index);
    }
    let &[a, b] = indices.as_slice() else {
        let problem = format!("has {} channels", indices.len());
        return Err(section.error(entry.at, key, problem, "name two: [\"a\", \"b\"]"));
    };
    section.finish()?;
    Ok(ChannelSource::Derived { operation, a, b })
}

/// A derived channel may use another, but never, over however many steps, itself.
fn refuse_cycles(all: &Section, named: &[(&str, Entry)], channels: &[ChannelDefinition]) -> Result<(), FleetError> {
    let mut settled = vec![false; channels.len()];
    // Each pass settles every channel whose operands are settled; a pass that settles none has found a circle.
    loop {
        let mut progress = false;
        let mut stuck = None;
        for (index, definition) in channels.iter().enumerate() {
            let ready = match definition.source {
                ChannelSource::Derived { a, b, .. } => settled[a] && settled[b],
                _ => true,
            };
            progress |= ready && !settled[index];
            settled[index] |= ready;
            if !settled[index] {
                stuck = stuck.or(named.get(index));
            }
        }
        match stuck {
            None => return Ok(()),
            Some((name, entry)) if !progress => {
                let problem = "is derived from itself or from a circle of channels";
                return Err(all.error(entry.at, name, problem, "derive it from columns"));
            }
            Some(_) => {}
        }
    }
}

fn suggestion<'a>(wanted: &str, known: impl IntoIterator<Item = &'a str>, otherwise: &str) -> String {
    match nearest(wanted, known) {
        Some(name) => format!("did you mean {name:?}?"),
        None => otherwise.to_string(),
    }
}
