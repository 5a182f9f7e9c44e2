//! A probability plot: the share failed against age, on the paper of the fitted law, where that law is a straight line.
//! Dots stand at the middle of each step of the product-limit curve; the band holds the law's pointwise
//! likelihood-ratio intervals (Wald's for a law of a share, which is no straight line).

use super::estimate::Fitted;
use super::law::Law;
use super::report::GroupReport;
use crate::svg::{Anchor, Svg};

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 520.0;
const LEFT: f64 = 76.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 64.0;
const BOTTOM: f64 = 60.0;
/// Percents with a line across the paper.
const PERCENTS: [f64; 17] =
    [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 5.0, 10.0, 20.0, 30.0, 50.0, 70.0, 90.0, 99.0, 99.9];

/// The paper of one law.
struct Paper {
    law: Law,
    ages: (f64, f64),
    heights: (f64, f64),
}

impl Paper {
    fn x(&self, age: f64) -> f64 {
        let (low, high) = (libm::log(self.ages.0), libm::log(self.ages.1));
        LEFT + (WIDTH - LEFT - RIGHT) * (libm::log(age) - low) / (high - low)
    }

    fn y(&self, share: f64) -> f64 {
        let (low, high) = self.heights;
        let height = self.law.quantile(share).clamp(low, high);
        HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (height - low) / (high - low)
    }
}

/// The plot of one law for one group; `None` where there is nothing to draw.
pub fn probability(group: &GroupReport, fitted: &Fitted, age_unit: &str, confidence: f64) -> Option<String> {
    if fitted.band.len() < 2 {
        return None;
    }
    // The middle of each step: the curve's height is no estimate at the failure itself.
    let mut before = 0.0;
    let mut dots: Vec<(f64, f64)> = Vec::new();
    for step in &group.curve.steps {
        let after = 1.0 - step.survival;
        dots.push((step.age, 0.5 * (before + after)));
        before = after;
    }
    let law = if fitted.law.is_normal() { Law::Lognormal } else { Law::Weibull };
    let paper = paper(law, fitted, &dots)?;
    let mut svg = Svg::new(WIDTH, HEIGHT);
    band(&mut svg, &paper, fitted);
    axes(&mut svg, &paper, age_unit);
    for &(age, share) in dots.iter().filter(|(_, share)| *share > 0.0 && *share < 1.0) {
        svg.dot((paper.x(age), paper.y(share)), 3.0, "#1f4e8c");
    }
    svg.text((LEFT, 24.0), Anchor::Start, 15.0, &heading(group));
    svg.text((LEFT, 44.0), Anchor::Start, 12.0, &caption(group, fitted, confidence));
    Some(svg.finish())
}

fn heading(group: &GroupReport) -> String {
    let parts = [group.group.as_str(), group.mode.as_deref().unwrap_or_default()];
    let named: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    if named.is_empty() { "all lives".to_owned() } else { named.join(" · ") }
}

fn caption(group: &GroupReport, fitted: &Fitted, confidence: f64) -> String {
    let values: Vec<String> = fitted
        .parameters
        .iter()
        .take(2 + usize::from(fitted.share.is_some()))
        .map(|parameter| match parameter.estimate {
            Some(value) => format!("{} {}", parameter.name, figures(value)),
            None => format!("{} not determined", parameter.name),
        })
        .collect();
    let kind = if fitted.share.is_some() { "Wald" } else { "likelihood-ratio" };
    format!(
        "{}: {} · {} of {} failed · {} % pointwise {kind} band",
        fitted.law.name(),
        values.join(", "),
        group.failures,
        group.lives,
        100.0 * confidence
    )
}

/// Four figures.
fn figures(value: f64) -> String {
    if value != 0.0 && !(1e-3..1e6).contains(&value.abs()) {
        return format!("{value:.3e}");
    }
    let digits = 3 - libm::floor(libm::log10(value.abs().max(1e-3))) as i32;
    format!("{value:.*}", digits.clamp(0, 6) as usize)
}

fn paper(law: Law, fitted: &Fitted, dots: &[(f64, f64)]) -> Option<Paper> {
    let ages = (fitted.band.first()?.0, fitted.band.last()?.0);
    let estimates = fitted.band.iter().filter_map(|(_, share)| share.estimate);
    let shares = dots.iter().map(|(_, share)| *share).chain(estimates).filter(|share| *share > 1e-5 && *share < 0.999);
    let (least, most) = shares.fold((1.0_f64, 0.0_f64), |(least, most), share| (least.min(share), most.max(share)));
    if least >= most || ages.0 >= ages.1 {
        return None;
    }
    let ends = (law.quantile((least * 0.5).max(1e-5)), law.quantile((most + 0.5 * (1.0 - most)).min(0.9995)));
    Some(Paper { law, ages, heights: ends })
}

fn band(svg: &mut Svg, paper: &Paper, fitted: &Fitted) {
    let along = |end: &dyn Fn(&super::estimate::Parameter) -> Option<f64>| -> Vec<(f64, f64)> {
        fitted
            .band
            .iter()
            .filter_map(|(age, share)| Some((paper.x(*age), paper.y(end(share)?.clamp(1e-12, 1.0 - 1e-12)))))
            .collect()
    };
    let lower = along(&|share| share.lower.or(share.wald_lower));
    let upper = along(&|share| share.upper.or(share.wald_upper));
    let edge: Vec<(f64, f64)> = lower.iter().copied().chain(upper.into_iter().rev()).collect();
    svg.area(&edge, "#dce6f4");
    svg.path(&along(&|share| share.estimate), "#c0392b", 1.6);
}

fn axes(svg: &mut Svg, paper: &Paper, age_unit: &str) {
    let (bottom, top, right) = (HEIGHT - BOTTOM, TOP, WIDTH - RIGHT);
    for percent in PERCENTS {
        let height = paper.law.quantile(percent / 100.0);
        if height < paper.heights.0 || height > paper.heights.1 {
            continue;
        }
        let y = paper.y(percent / 100.0);
        svg.line((LEFT, y), (right, y), "#ddd", 0.6);
        svg.text((LEFT - 6.0, y + 4.0), Anchor::End, 11.0, &format!("{percent} %"));
    }
    let mut last_label = f64::NEG_INFINITY;
    for age in round_ages(paper.ages) {
        let x = paper.x(age);
        svg.line((x, top), (x, bottom), "#ddd", 0.6);
        if x - last_label > 46.0 {
            svg.text((x, bottom + 17.0), Anchor::Middle, 11.0, &short(age));
            last_label = x;
        }
    }
    svg.line((LEFT, bottom), (right, bottom), "#222", 1.0);
    svg.line((LEFT, top), (LEFT, bottom), "#222", 1.0);
    svg.text((0.5 * (LEFT + right), HEIGHT - 18.0), Anchor::Middle, 12.0, age_unit);
    svg.text((LEFT, top - 6.0), Anchor::End, 11.0, "failed");
}

/// 1, 2, 5, 10, 20 … between the ends.
fn round_ages((low, high): (f64, f64)) -> Vec<f64> {
    let first = libm::floor(libm::log10(low)) as i32;
    let last = libm::ceil(libm::log10(high)) as i32;
    (first..=last)
        .flat_map(|decade| [1.0, 2.0, 5.0].map(|digit| digit * libm::pow(10.0, f64::from(decade))))
        .filter(|age| (low..=high).contains(age))
        .collect()
}

fn short(age: f64) -> String {
    if (1e-3..1e7).contains(&age) {
        let rounded = libm::round(age * 1e4) / 1e4;
        return rounded.to_string();
    }
    format!("{age:e}")
}
