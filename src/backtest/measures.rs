//! All measures of a back-test: by failure mode and horizon, over all cuts together and for each.
//!
//! Key idea: one list of rows, each a name with its value, its 95 % interval where it has one, and how many parts stand
//! behind it. What a name means stands in [`DEFINITIONS`], and goes out with the rows.
//!
//! Units: days; shares; the user's money.

use std::collections::BTreeMap;

use serde::Serialize;

use super::auc::{RocPoint, auc, best_point, roc};
use super::case::{Case, Cases, Estimate};
use super::counts::{self, PlacedCount, Uniformity};
use super::followed;
use super::judged::{ALERT_SLOT, Ending, JudgedPart, Subject};
use super::outcome::End;
use super::recalibration::{came_over_expected, recalibration};
use super::reliability::{Bin, reliability};
use super::scores::{brier, log_score, prevalence};
use super::warnings::{self, Confusion, Costs};

/// What each name means.
pub const DEFINITIONS: &[(&str, &str)] = &[
    (
        "parts",
        "parts judged: in service on the cut day, not known to have failed, followed for the whole horizon by the records",
    ),
    (
        "failed",
        "parts that failed by the end of the horizon: a failure that occurred by then and was not reported by the cut day, or a replacement whose finding confirms the defect",
    ),
    (
        "left_out",
        "parts whose fate nobody knows: the vehicle left service, or the part was replaced without a failure (found sound without a warning, or without a finding); those that were followed count for them, by the inverse chance of having been followed, warned of and not apart",
    ),
    ("warned_without_finding", "of those left out, parts that were warned of and replaced without a finding"),
    ("prevalence", "share of the parts that failed"),
    (
        "auc",
        "chance that of a part that failed and one that did not the former had the larger chance; ties count half; interval by DeLong, between vehicles",
    ),
    ("brier_score", "mean square of chance minus fate; small is good"),
    (
        "brier_skill",
        "1 minus the score over that of the best constant, known in hindsight; above zero is better than the constant",
    ),
    ("log_score", "mean of minus the logarithm of the chance given to what came; small is good"),
    ("log_skill", "as brier_skill"),
    ("failed_over_expected", "failures that came over failures expected"),
    (
        "calibration_slope",
        "slope of the logistic line through fate against log odds: below one, chances are too far apart",
    ),
    ("calibration_intercept", "intercept of that line"),
    (
        "reliability_p",
        "chance of a chi-square as large as that of the tenths, if the stated chances are right; the design effect of vehicles is taken out",
    ),
    ("warned", "parts warned of: the chance at the alert's horizon reached the alert's level"),
    (
        "precision",
        "of the parts warned of, the share that failed within the alert's horizon, or was replaced and found defective",
    ),
    ("recall", "of the parts that failed, the share that was warned of"),
    (
        "accuracy",
        "share of the parts that were warned of and failed, or neither; never warning has one minus the prevalence",
    ),
    ("accuracy_of_never_warning", "one minus the prevalence: what plain accuracy is to be held against"),
    (
        "balanced_accuracy",
        "mean of the share of failures warned of and the share of the others left alone; never warning has 0.5",
    ),
    ("best_balanced_accuracy", "at the threshold that would have been best, known only in hindsight"),
    (
        "pilot_accuracy",
        "the interval in which 95 % of pilots of so many vehicles find the accuracy: vehicles of the record drawn with replacement",
    ),
    ("pilot_balanced_accuracy", "the same for the balanced one"),
    ("cost_as_warned", "missed failures, false alarms and replaced parts at the costs given, warnings as they were"),
    ("cost_without_warnings", "with every failure missed"),
    ("cost_of_perfect_warnings", "with every failure warned of and nothing else"),
    ("cost_at_best_threshold", "at the threshold that would have cost least, known only in hindsight"),
    ("alarms_per_day", "parts newly warned of per day, after the first cut day"),
    ("alarms_per_day_and_1000_vehicles", "the same for a thousand vehicles in service"),
    (
        "lead_time_p10_days",
        "of parts warned of that failed later: days from the first cut day that warned to the failure, 10 % have less",
    ),
    ("lead_time_p50_days", "the median"),
    ("lead_time_p90_days", "90 % have less"),
    (
        "counts_in_90",
        "share of the groups' counts between the 5 and 95 % points of their forecasts (randomised, so 0.9 is right at any size)",
    ),
    ("counts_place_mean", "mean place of a count in its forecast: 0.5 is right, above it more came than stated"),
    ("counts_place_variance", "variance of the places: 0.083 is right, above it forecasts are too narrow"),
];

/// One row.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Measure {
    pub failure_mode: String,
    /// `None`: all cuts together.
    pub cut: Option<usize>,
    pub horizon_days: Option<u32>,
    pub measure: &'static str,
    /// `None`: there is none; the note says why.
    pub value: Option<f64>,
    pub lower: Option<f64>,
    pub upper: Option<f64>,
    pub standard_error: Option<f64>,
    pub note: Option<String>,
}

/// What to measure besides.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Vehicles of a pilot.
    pub pilot: Option<usize>,
    pub costs: Option<Costs>,
    pub seed: u64,
}

/// A cut as measures need it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CutDay {
    /// Calendar day.
    pub day: i32,
    /// Vehicles in service.
    pub vehicles: u64,
}

/// Everything that is measured.
#[derive(Debug)]
pub struct World<'a> {
    pub subjects: &'a [Subject],
    /// Horizons asked for, in the order of the slots.
    pub horizons: &'a [u32],
    pub cuts: &'a [CutDay],
    /// Last calendar day that the records can judge.
    pub until_day: i32,
    pub parts: &'a [JudgedPart],
    pub counts: &'a [PlacedCount],
    pub options: Options,
}

/// One question over all cuts, with what is drawn of it.
#[derive(Clone, Debug)]
pub struct Curve {
    pub failure_mode: String,
    pub horizon_days: u32,
    pub bins: Vec<Bin>,
    pub roc: Vec<RocPoint>,
    pub auc: Option<f64>,
    pub slope: Option<Estimate>,
    pub reliability_p: Option<f64>,
}

/// Places of the counts of one failure mode in one kind of window.
#[derive(Clone, Debug, PartialEq)]
pub struct Spread {
    pub failure_mode: String,
    pub window: &'static str,
    pub horizon_days: Option<u32>,
    /// Whether only counts with enough failures expected are among them.
    pub large_only: bool,
    pub places: Uniformity,
}

/// All that comes of it.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    pub measures: Vec<Measure>,
    pub curves: Vec<Curve>,
    pub spreads: Vec<Spread>,
}

impl World<'_> {
    pub fn measured(&self) -> Measured {
        let mut found = Measured::default();
        for (number, subject) in self.subjects.iter().enumerate() {
            let own: Vec<&JudgedPart> = self.parts.iter().filter(|part| part.subject == number as u32).collect();
            for (horizon_days, slot) in self.questions(subject) {
                for cut in std::iter::once(None).chain((0..self.cuts.len()).map(Some)) {
                    self.question(&own, subject, (horizon_days, slot), cut, &mut found);
                }
            }
            self.alarms(&own, subject, &mut found.measures);
            self.spreads(subject, &mut found);
        }
        found
    }

    /// Horizons of a subject with their slots: those asked for, and that of its alert.
    pub fn questions(&self, subject: &Subject) -> Vec<(u32, usize)> {
        let mut questions: Vec<(u32, usize)> = self.horizons.iter().copied().zip(0..).collect();
        if let Some(days) = subject.alert_days.filter(|days| !self.horizons.contains(days)) {
            questions.push((days, ALERT_SLOT));
        }
        questions.sort_unstable();
        questions
    }

    /// Whether the records reach to the end of this horizon.
    pub fn is_followed(&self, cut: usize, horizon_days: u32) -> bool {
        i64::from(self.cuts[cut].day) + i64::from(horizon_days) <= i64::from(self.until_day)
    }

    fn question(
        &self,
        parts: &[&JudgedPart],
        subject: &Subject,
        (horizon_days, slot): (u32, usize),
        cut: Option<usize>,
        found: &mut Measured,
    ) {
        let own: Vec<&JudgedPart> = (parts.iter().copied())
            .filter(|part| cut.is_none_or(|cut| part.cut == cut as u32))
            .filter(|part| self.is_followed(part.cut as usize, horizon_days))
            .collect();
        if own.is_empty() {
            return;
        }
        let is_alert = subject.alert_days == Some(horizon_days);
        let followed: Vec<_> = own.iter().map(|part| part.followed(horizon_days)).collect();
        let weights = followed::weights(&followed);
        let cases = Cases::new(
            (own.iter().zip(&weights).filter(|(_, weight)| **weight > 0.0))
                .map(|(part, &weight)| Case {
                    vehicle: part.vehicle,
                    probability: part.chances[slot],
                    warned: part.warned,
                    failed: part.ending(horizon_days) == Ending::Failed,
                    weight,
                })
                .collect(),
        );
        let mut rows = Rows {
            failure_mode: &subject.failure_mode,
            cut,
            horizon_days: Some(horizon_days),
            found: &mut found.measures,
        };
        let ended = |ending: Ending| own.iter().filter(move |part| part.ending(horizon_days) == ending);
        rows.count("parts", own.len());
        rows.count("failed", ended(Ending::Failed).count());
        rows.count("left_out", ended(Ending::Unknown).count());
        let no_finding = |part: &&&JudgedPart| part.warned && part.fate.is_some_and(|fate| fate.end == End::Replaced);
        rows.count("warned_without_finding", ended(Ending::Unknown).filter(no_finding).count());
        let drawn = self.of_chances(&cases, &mut rows);
        if is_alert {
            self.of_warnings(&cases, &drawn.1, &mut rows);
        }
        if cut.is_none() {
            let (bins, roc, auc, slope, reliability_p) = drawn;
            let failure_mode = subject.failure_mode.clone();
            found.curves.push(Curve { failure_mode, horizon_days, bins, roc, auc, slope, reliability_p });
        }
    }

    fn of_chances(&self, cases: &Cases, rows: &mut Rows) -> Drawn {
        rows.share("prevalence", prevalence(cases), cases.vehicles() as f64, "no part was followed");
        let area = auc(cases);
        let one_side = if cases.failed_and_not().0 > 0.0 { "every part failed" } else { "no part failed" };
        rows.between("auc", area, (0.0, 1.0), one_side);
        for (score, skill, of) in
            [("brier_score", "brier_skill", brier(cases)), ("log_score", "log_skill", log_score(cases))]
        {
            rows.between(score, of.map(|of| of.score), (0.0, f64::INFINITY), one_side);
            let gained = of.map(|of| Estimate { value: of.skill, standard_error: of.skill_error });
            rows.between(skill, gained, (f64::NEG_INFINITY, 1.0), one_side);
        }
        rows.between(
            "failed_over_expected",
            came_over_expected(cases),
            (0.0, f64::INFINITY),
            "no failure was expected",
        );
        let line = recalibration(cases);
        let ends = (f64::NEG_INFINITY, f64::INFINITY);
        let no_line = "there is no line: one fate, one chance, or fates separated by the chance";
        rows.between("calibration_slope", line.map(|line| line.slope), ends, no_line);
        rows.between("calibration_intercept", line.map(|line| line.intercept), ends, no_line);
        let (bins, chi_square) = reliability(cases);
        rows.add(
            "reliability_p",
            chi_square.map(|found| found.p),
            match chi_square {
                Some(found) => format!(
                    "chi-square {:.2} on {} degrees, design effect {:.2}",
                    found.value, found.degrees, found.design_effect
                ),
                None => "fewer than five failures were expected".to_owned(),
            },
        );
        let slope = line.map(|line| line.slope);
        (bins, roc(cases), area.map(|area| area.value), slope, chi_square.map(|found| found.p))
    }

    fn of_warnings(&self, cases: &Cases, curve: &[RocPoint], rows: &mut Rows) {
        let all = Confusion::of(cases.all());
        rows.count("warned", cases.all().iter().filter(|case| case.warned).count());
        rows.share("precision", warnings::precision(cases), all.right + all.false_alarms, "no part was warned of");
        rows.share("recall", warnings::recall(cases), all.right + all.missed, "no part failed");
        rows.share("accuracy", warnings::accuracy(cases), cases.vehicles() as f64, "no part was followed");
        let never = prevalence(cases).map(|share| 1.0 - share.value);
        rows.add("accuracy_of_never_warning", never, String::new());
        let one_side = "no part failed, or every one did";
        rows.between("balanced_accuracy", warnings::balanced_accuracy(cases), (0.0, 1.0), one_side);
        let best = best_point(curve);
        let at = best.map_or_else(|| one_side.to_owned(), |best| format!("at a chance of {:.4}", best.threshold));
        rows.add("best_balanced_accuracy", best.map(|best| best.balanced_accuracy()), at);
        if let Some(vehicles) = self.options.pilot
            && let Some(pilot) = warnings::pilot(cases, vehicles, self.options.seed)
        {
            rows.interval("pilot_accuracy", all.accuracy(), Some(pilot.accuracy), format!("{vehicles} vehicles"));
            let seen = format!("{vehicles} vehicles; {:.1} % of the pilots saw a failure", 100.0 * pilot.with_failures);
            rows.interval("pilot_balanced_accuracy", all.balanced_accuracy(), pilot.balanced, seen);
        }
        if let Some(costs) = self.options.costs {
            let outlay = costs.outlay(cases);
            rows.add("cost_as_warned", Some(outlay.as_warned), String::new());
            rows.add("cost_without_warnings", Some(outlay.without_warnings), String::new());
            rows.add("cost_of_perfect_warnings", Some(outlay.perfect), String::new());
            let best = outlay.best_threshold;
            let at = if best.is_finite() {
                format!("at a chance of {best:.4}")
            } else {
                "best not to warn at all".to_owned()
            };
            rows.add("cost_at_best_threshold", Some(outlay.at_best_threshold), at);
        }
    }

    /// Alarms: parts warned of for the first time.
    fn alarms(&self, parts: &[&JudgedPart], subject: &Subject, found: &mut Vec<Measure>) {
        if subject.alert_days.is_none() {
            return;
        }
        let mut first: BTreeMap<(u64, u32, Option<i32>), &JudgedPart> = BTreeMap::new();
        for part in parts.iter().filter(|part| part.warned) {
            let kept = first.entry((part.vehicle, part.part, part.start_day)).or_insert(part);
            if part.cut < kept.cut {
                *kept = part;
            }
        }
        let mut rows = Rows { failure_mode: &subject.failure_mode, cut: None, horizon_days: None, found };
        let (Some(from), Some(to)) = (self.cuts.first(), self.cuts.last()) else { return };
        let days = f64::from(to.day) - f64::from(from.day);
        let fresh = first.values().filter(|part| part.cut > 0).count() as f64;
        let per_day = (days > 0.0).then(|| fresh / days);
        let one_cut = if days > 0.0 { String::new() } else { "one cut day alone: no rate".to_owned() };
        rows.add("alarms_per_day", per_day, one_cut.clone());
        let vehicles = self.cuts.iter().map(|cut| cut.vehicles as f64).sum::<f64>() / self.cuts.len() as f64;
        let per_thousand = per_day.filter(|_| vehicles > 0.0).map(|per_day| 1_000.0 * per_day / vehicles);
        rows.add("alarms_per_day_and_1000_vehicles", per_thousand, one_cut);
        let mut leads: Vec<i32> = (first.values())
            .filter_map(|part| part.fate.filter(|fate| fate.end.is_failure()).map(|fate| fate.day))
            .collect();
        leads.sort_unstable();
        for (name, level) in [("lead_time_p10_days", 0.1), ("lead_time_p50_days", 0.5), ("lead_time_p90_days", 0.9)] {
            let at = leads.get((leads.len().saturating_sub(1) as f64 * level) as usize).map(|&days| f64::from(days));
            rows.add(name, at, format!("{} parts warned of failed later", leads.len()));
        }
    }

    fn spreads(&self, subject: &Subject, found: &mut Measured) {
        let horizons = self.horizons.iter().map(|&days| ("to_date", Some(days)));
        for (window, horizon_days) in std::iter::once(("week", None)).chain(horizons) {
            let own = || {
                self.counts.iter().filter(move |count| {
                    let days = (count.days.1 - count.days.0 + 1).unsigned_abs();
                    count.failure_mode == subject.failure_mode
                        && count.window == window
                        && horizon_days.is_none_or(|horizon| horizon == days)
                })
            };
            let large = |count: &&PlacedCount| count.expected >= counts::FEWEST_EXPECTED;
            let large_only = own().any(|count| large(&count));
            let places = counts::uniformity(own().filter(|count| !large_only || large(count)).map(|count| count.place));
            let Some(places) = places else { continue };
            let mut rows =
                Rows { failure_mode: &subject.failure_mode, cut: None, horizon_days, found: &mut found.measures };
            let which = if large_only { "with 20 or more expected" } else { "none with 20 or more expected" };
            let kind = if window == "week" { "weeks of groups" } else { "groups" };
            let note = format!("{} {kind}, {which}", places.counts);
            rows.add("counts_in_90", Some(places.in_90), note.clone());
            rows.add("counts_place_mean", Some(places.mean), note.clone());
            rows.add("counts_place_variance", Some(places.variance), note);
            let failure_mode = subject.failure_mode.clone();
            found.spreads.push(Spread { failure_mode, window, horizon_days, large_only, places });
        }
    }
}

type Drawn = (Vec<Bin>, Vec<RocPoint>, Option<f64>, Option<Estimate>, Option<f64>);

/// Rows of one question.
struct Rows<'a> {
    failure_mode: &'a str,
    cut: Option<usize>,
    horizon_days: Option<u32>,
    found: &'a mut Vec<Measure>,
}

impl Rows<'_> {
    fn add(&mut self, measure: &'static str, value: Option<f64>, note: String) {
        let Self { failure_mode, cut, horizon_days, .. } = *self;
        self.found.push(Measure {
            failure_mode: failure_mode.to_owned(),
            cut,
            horizon_days,
            measure,
            value,
            lower: None,
            upper: None,
            standard_error: None,
            note: (!note.is_empty()).then_some(note),
        });
    }

    fn count(&mut self, measure: &'static str, count: usize) {
        self.add(measure, Some(count as f64), String::new());
    }

    fn interval(&mut self, measure: &'static str, value: Option<f64>, ends: Option<(f64, f64)>, note: String) {
        self.add(measure, value, note);
        if let Some(last) = self.found.last_mut() {
            (last.lower, last.upper) = (ends.map(|ends| ends.0), ends.map(|ends| ends.1));
        }
    }

    fn between(&mut self, measure: &'static str, of: Option<Estimate>, (least, most): (f64, f64), why_none: &str) {
        let note = if of.is_some() { String::new() } else { why_none.to_owned() };
        self.interval(measure, of.map(|of| of.value), of.map(|of| of.between(least, most)), note);
        if let Some(last) = self.found.last_mut() {
            last.standard_error = of.map(|of| of.standard_error);
        }
    }

    /// A share of so many.
    fn share(&mut self, measure: &'static str, of: Option<Estimate>, whole: f64, why_none: &str) {
        let note = if of.is_some() { String::new() } else { why_none.to_owned() };
        let ends = of.map(|of| of.wilson(whole));
        self.interval(measure, of.map(|of| of.value), ends, note);
        if let Some(last) = self.found.last_mut() {
            last.standard_error = of.map(|of| of.standard_error);
        }
    }
}
