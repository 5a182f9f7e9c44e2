//! Parts that were judged: what was stated of each on a cut day, and what became of it.
//!
//! Key idea: an event names a part, not the way in which it failed. So failure modes that share a part are judged
//! together, under all their names; their chances, each net of the others, add up.
//!
//! Units: calendar days; chances to have failed by a day, unreported before the cut day or since.

use super::followed::Followed;
use super::outcome::{End, Fate};
use crate::model::spec::Model;
use crate::score::parts::Parts;

/// Horizons that one run may state chances for.
pub const MOST_HORIZONS: usize = 3;
/// Chances of a part: at each horizon, and at that of the alert.
pub const SLOTS: usize = MOST_HORIZONS + 1;
/// Place of the alert's own horizon among them.
pub const ALERT_SLOT: usize = MOST_HORIZONS;

/// What is asked of the parts of some failure modes.
#[derive(Clone, Debug, PartialEq)]
pub struct Subject {
    /// Ids of the modes, joined by commas.
    pub failure_mode: String,
    /// Indices of the model's modes.
    pub modes: Vec<usize>,
    /// Days that the alert looks ahead; `None`: there is none, or the modes look ahead differently far.
    pub alert_days: Option<u32>,
}

/// A part of every vehicle, with its rows in the forecasts.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    pub subject: usize,
    /// Index into [`Parts::parts`].
    pub part: usize,
    /// Indices into [`Parts::rows`].
    pub rows: Vec<usize>,
}

/// Subjects by name, and the places of a vehicle in the order of subjects and positions.
pub fn subjects(model: &Model, parts: &Parts) -> (Vec<Subject>, Vec<Place>) {
    let rows_of =
        |part: usize| -> Vec<usize> { (0..parts.rows.len()).filter(|&row| parts.rows[row].part == part).collect() };
    let name_of = |rows: &[usize]| -> Vec<usize> { rows.iter().map(|&row| parts.rows[row].mode).collect() };
    let of_part = (0..parts.parts.len()).map(|part| (part, rows_of(part))).filter(|(_, rows)| !rows.is_empty());
    let mut named: Vec<(String, usize, Vec<usize>)> = of_part
        .map(|(part, rows)| {
            let ids: Vec<&str> = name_of(&rows).into_iter().map(|mode| model.modes[mode].id.as_str()).collect();
            (ids.join(", "), part, rows)
        })
        .collect();
    // Parts stand by position already.
    named.sort();
    let mut subjects: Vec<Subject> = Vec::new();
    let mut places = Vec::with_capacity(named.len());
    for (failure_mode, part, rows) in named {
        if subjects.last().is_none_or(|last| last.failure_mode != failure_mode) {
            let modes = name_of(&rows);
            let days = |mode: usize| Some(libm::ceil(model.modes[mode].alert?.horizon_days) as u32);
            let alert_days = modes.first().and_then(|&first| days(first));
            let alert_days = alert_days.filter(|_| modes.iter().all(|&mode| days(mode) == alert_days));
            subjects.push(Subject { failure_mode, modes, alert_days });
        }
        places.push(Place { subject: subjects.len() - 1, part, rows });
    }
    (subjects, places)
}

/// One part on one cut day.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct JudgedPart {
    /// Hash of the vehicle's id.
    pub vehicle: u64,
    pub cut: u32,
    pub subject: u32,
    pub part: u32,
    /// Day on which it was put in, as far as the cut day knew.
    pub start_day: Option<i32>,
    /// By slot; zero where the slot is not asked for.
    pub chances: [f64; SLOTS],
    pub warned: bool,
    /// With its day as days after the cut; below zero for a failure that was reported late.
    pub fate: Option<Fate>,
}

/// How a case ended within a horizon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Failed,
    Survived,
    /// Nobody knows whether it would have failed within the horizon.
    Unknown,
}

impl Ending {
    pub fn name(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Survived => "survived",
            Self::Unknown => "unknown",
        }
    }
}

impl JudgedPart {
    /// How it ended within so many days after the cut. A part that was warned of, replaced, and found to be sound was a
    /// false alarm; any other replacement without a failure leaves open what would have come.
    pub fn ending(&self, horizon_days: u32) -> Ending {
        match self.fate {
            Some(fate) if i64::from(fate.day) <= i64::from(horizon_days) => match fate.end {
                End::Failed | End::FoundDefective => Ending::Failed,
                End::FoundSound if self.warned => Ending::Survived,
                End::FoundSound | End::Replaced | End::NotPlaced | End::LeftService => Ending::Unknown,
            },
            _ => Ending::Survived,
        }
    }

    /// The same as [`super::followed::weights`] takes it.
    pub fn followed(&self, horizon_days: u32) -> Followed {
        let days = self.fate.map_or(horizon_days, |fate| fate.day.max(0).unsigned_abs().min(horizon_days));
        Followed { days, lost: self.ending(horizon_days) == Ending::Unknown, warned: self.warned }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(warned: bool, fate: Option<(i32, End)>) -> JudgedPart {
        JudgedPart {
            vehicle: 1,
            cut: 0,
            subject: 0,
            part: 0,
            start_day: None,
            chances: [0.1; SLOTS],
            warned,
            fate: fate.map(|(day, end)| Fate { day, end }),
        }
    }

    #[test]
    fn a_warned_and_replaced_part_counts_by_its_finding() {
        use End::{Failed, FoundDefective, FoundSound, LeftService, Replaced};
        let ending = |warned, day, end| part(warned, Some((day, end))).ending(30);
        assert_eq!(ending(true, 30, FoundDefective), Ending::Failed, "a hit");
        assert_eq!(ending(true, 30, FoundSound), Ending::Survived, "a false alarm");
        assert_eq!(ending(true, 30, Replaced), Ending::Unknown, "left out and counted");
        assert_eq!(ending(false, 30, FoundSound), Ending::Unknown, "replaced for another reason");
        assert_eq!(ending(false, 30, LeftService), Ending::Unknown);
        assert_eq!(ending(false, 31, Failed), Ending::Survived, "after the horizon");
        assert_eq!(ending(false, -5, Failed), Ending::Failed, "before the cut, reported after it");
        assert_eq!(part(true, None).ending(30), Ending::Survived);
        let followed = part(false, Some((-5, Failed))).followed(30);
        assert_eq!((followed.days, followed.lost), (0, false));
        assert_eq!(part(false, Some((40, Replaced))).followed(30), part(false, None).followed(30));
        assert!(part(true, Some((12, Replaced))).followed(30).lost);
    }

    #[test]
    fn modes_that_share_a_part_are_one_subject() {
        let text = |id: &str, component: &str, more: &str| {
            format!(
                "[[failure_mode]]\nid = \"{id}\"\ncomponent = \"{component}\"\nweibull_shape = 2.0\n{more}\n[[failure_mode.mechanism]]\nid = \"use\"\nexposure = \"days\"\ncharacteristic_life = 1000\n"
            )
        };
        let positions = "positions = [\"left\", \"right\"]";
        let toml = format!(
            "[model]\nname = \"m\"\nversion = \"1\"\n{}{}{}",
            text("noise", "bearing", &format!("{positions}\nalert = {{ horizon_days = 30, probability = 0.2 }}")),
            text("crack", "bearing", &format!("{positions}\nalert = {{ horizon_days = 60, probability = 0.2 }}")),
            text("wear", "pads", "alert = { horizon_days = 29.5, probability = 0.2 }")
        );
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.toml");
        std::fs::write(&path, toml).unwrap();
        let model = Model::load(&path.to_string_lossy()).unwrap();
        let (subjects, places) = subjects(&model, &Parts::of(&model));
        let names: Vec<(&str, Option<u32>)> =
            subjects.iter().map(|subject| (subject.failure_mode.as_str(), subject.alert_days)).collect();
        assert_eq!(names, [("crack, noise", None), ("wear", Some(30))]);
        let rows: Vec<(usize, usize)> = places.iter().map(|place| (place.subject, place.rows.len())).collect();
        assert_eq!(rows, [(0, 2), (0, 2), (1, 1)]);
    }
}
