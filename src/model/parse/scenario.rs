//! A scenario file → [`Scenario`], with the line and key of whatever is wrong.

use toml::de::DeTable;

use super::canonical;
use super::section::{Document, Section};
use crate::model::error::ModelError;
use crate::model::scenario::{ChannelChange, Removal, Scenario};

impl Scenario {
    /// Reads a scenario file.
    pub fn load(path: &str) -> Result<Self, ModelError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| ModelError::Unreadable { file: path.to_owned(), source })?;
        Self::parse(&text, path)
    }

    /// Reads a scenario's text; `file` is its name in error messages.
    pub fn parse(text: &str, file: &str) -> Result<Self, ModelError> {
        let document = Document { file, text };
        let parsed = DeTable::parse(text).map_err(|error| {
            let offset = error.span().map_or(0, |span| span.start);
            ModelError::Syntax { place: document.place(offset, "TOML".to_owned()), message: error.message().to_owned() }
        })?;
        let root = Section::new(document, parsed.get_ref(), 0, "");
        root.only(&["scenario", "change", "remove"])?;
        let head = root.section("scenario")?;
        if let Some(head) = &head {
            head.only(&["name", "source"])?;
        }
        let name = head.as_ref().map(|head| head.text("name")).transpose()?.flatten();
        let changes: Vec<ChannelChange> = root.sections("change")?.iter().map(change).collect::<Result<_, _>>()?;
        let removals: Vec<Removal> = root.sections("remove")?.iter().map(removal).collect::<Result<_, _>>()?;
        if changes.is_empty() && removals.is_empty() {
            let problem = "neither [[change]] nor [[remove]]";
            return Err(root.value_error("change", problem, "say what is different in this future"));
        }
        for (at, change) in changes.iter().enumerate() {
            if changes[..at].iter().any(|earlier| earlier.channel == change.channel) {
                return Err(ModelError::Value {
                    place: Box::new(change.place.clone()),
                    problem: format!("{:?} is changed twice", change.channel),
                    remedy: "give one change a channel: multiply comes before add".to_owned(),
                });
            }
        }
        Ok(Self {
            name: name.unwrap_or(file).to_owned(),
            hash: blake3::hash(canonical::canonical(parsed.get_ref()).as_bytes()).to_hex().to_string(),
            changes,
            removals,
        })
    }
}

fn change(section: &Section) -> Result<ChannelChange, ModelError> {
    section.only(&["channel", "add", "multiply", "source"])?;
    if !section.has("add") && !section.has("multiply") {
        let problem = "neither add nor multiply";
        return Err(section.value_error("channel", problem, "add one, e.g. add = 2.0"));
    }
    Ok(ChannelChange {
        channel: section.required_text("channel", "add channel = \"…\"")?.to_owned(),
        multiply: section.positive("multiply")?.unwrap_or(1.0),
        add: section.number("add")?.unwrap_or(0.0),
        place: *section.place("channel"),
    })
}

fn removal(section: &Section) -> Result<Removal, ModelError> {
    section.only(&["interaction", "failure_mode", "source"])?;
    Ok(Removal {
        interaction: section.required_text("interaction", "add interaction = \"…\"")?.to_owned(),
        failure_mode: section.text("failure_mode")?.map(str::to_owned),
        place: *section.place("interaction"),
    })
}
