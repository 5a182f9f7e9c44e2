//! Drawings of a back-test: reliability and receiver operating characteristic of each failure mode and horizon, and how
//! counts lie in their forecasts.
//!
//! Units: pixels; shares from 0 to 1. Chances of rare failures crowd at zero, so the reliability diagram has the square
//! root of the share on both axes.

use super::counts::BARS;
use super::measures::{Curve, Spread};
use crate::svg::{Anchor, Svg};

const SIZE: f64 = 420.0;
const LEFT: f64 = 64.0;
const TOP: f64 = 60.0;
const BOTTOM: f64 = 56.0;
const RIGHT: f64 = 24.0;
const GRID: &str = "#ddd";
const INK: &str = "#1f4e8c";
const BAND: &str = "#dce6f4";
const LINE: &str = "#c0392b";
/// Points of a curve that are drawn.
const MOST_POINTS: usize = 400;

/// A square with axes from 0 to `most`, in which `scale` is straight.
struct Frame {
    svg: Svg,
    most: f64,
    scale: fn(f64) -> f64,
}

impl Frame {
    fn new(title: &str, caption: &str, most: f64, scale: fn(f64) -> f64) -> Self {
        let mut svg = Svg::new(SIZE + LEFT + RIGHT, SIZE + TOP + BOTTOM);
        svg.text((LEFT, 24.0), Anchor::Start, 15.0, title);
        svg.text((LEFT, 44.0), Anchor::Start, 12.0, caption);
        Self { svg, most, scale }
    }

    fn x(&self, value: f64) -> f64 {
        LEFT + SIZE * (self.scale)(value.clamp(0.0, self.most)) / (self.scale)(self.most)
    }

    fn y(&self, value: f64) -> f64 {
        TOP + SIZE - SIZE * (self.scale)(value.clamp(0.0, self.most)) / (self.scale)(self.most)
    }

    fn axes(&mut self, across: &str, up: &str) {
        for tick in ticks(self.most) {
            let (x, y) = (self.x(tick), self.y(tick));
            self.svg.line((x, TOP), (x, TOP + SIZE), GRID, 0.6);
            self.svg.line((LEFT, y), (LEFT + SIZE, y), GRID, 0.6);
            let text = percent(tick);
            self.svg.text((x, TOP + SIZE + 17.0), Anchor::Middle, 11.0, &text);
            self.svg.text((LEFT - 6.0, y + 4.0), Anchor::End, 11.0, &text);
        }
        self.svg.line((LEFT, TOP + SIZE), (LEFT + SIZE, TOP + SIZE), "#222", 1.0);
        self.svg.line((LEFT, TOP), (LEFT, TOP + SIZE), "#222", 1.0);
        self.svg.text((LEFT + 0.5 * SIZE, TOP + SIZE + 40.0), Anchor::Middle, 12.0, across);
        self.svg.text((LEFT, TOP - 4.0), Anchor::Start, 12.0, up);
    }
}

/// Four or five round shares up to the most.
fn ticks(most: f64) -> Vec<f64> {
    let raw = most / 5.0;
    let decade = libm::pow(10.0, libm::floor(libm::log10(raw)));
    let step = [1.0, 2.0, 5.0, 10.0].map(|digit| digit * decade).into_iter().find(|&step| step >= raw * 0.999);
    let step = step.unwrap_or(raw);
    (0..=5).map(|number| f64::from(number) * step).filter(|&tick| tick <= most * 1.000_001).collect()
}

fn percent(share: f64) -> String {
    let percent = libm::round(share * 1e6) / 1e4;
    format!("{percent} %")
}

/// The reliability diagram; `None` without tenths.
pub fn reliability(curve: &Curve) -> Option<String> {
    let shares = curve.bins.iter().flat_map(|bin| [bin.expected / bin.weight, bin.failed / bin.weight]);
    let most = shares.fold(0.0, f64::max) * 1.1;
    if most <= 0.0 {
        return None;
    }
    let title = format!("{}: reliability, {} days", curve.failure_mode, curve.horizon_days);
    let slope = curve
        .slope
        .map_or("no slope".to_owned(), |slope| format!("slope {:.2} ± {:.2}", slope.value, slope.standard_error));
    let p = curve.reliability_p.map_or(String::new(), |p| format!(" · χ² p {p:.3}"));
    let mut frame = Frame::new(&title, &format!("{slope}{p} · bars: two standard errors, if right"), most, f64::sqrt);
    frame.axes("stated chance", "share that failed");
    let diagonal = [(frame.x(0.0), frame.y(0.0)), (frame.x(most), frame.y(most))];
    frame.svg.line(diagonal[0], diagonal[1], LINE, 1.2);
    let mut points = Vec::new();
    for bin in &curve.bins {
        let (mean, share) = (bin.expected / bin.weight, bin.failed / bin.weight);
        // What z is measured in, as a share.
        let error = if bin.z == 0.0 { bin.variance.sqrt() } else { (bin.failed - bin.expected) / bin.z } / bin.weight;
        let (low, high) = (frame.y(mean - 2.0 * error), frame.y(mean + 2.0 * error));
        frame.svg.line((frame.x(mean), low), (frame.x(mean), high), BAND, 6.0);
        points.push((frame.x(mean), frame.y(share)));
    }
    frame.svg.path(&points, INK, 1.0);
    points.iter().for_each(|&point| frame.svg.dot(point, 3.5, INK));
    Some(frame.svg.finish())
}

/// The receiver operating characteristic; `None` without one.
pub fn roc(curve: &Curve) -> Option<String> {
    let area = curve.auc?;
    let title = format!("{}: ROC, {} days", curve.failure_mode, curve.horizon_days);
    let mut frame = Frame::new(&title, &format!("area {area:.3}"), 1.0, |share| share);
    frame.axes("of the parts that did not fail, warned of", "of the failures, warned of");
    let corners = [(frame.x(0.0), frame.y(0.0)), (frame.x(1.0), frame.y(1.0))];
    frame.svg.line(corners[0], corners[1], GRID, 1.2);
    let thin = curve.roc.len().div_ceil(MOST_POINTS).max(1);
    let last = curve.roc.len() - 1;
    let points: Vec<(f64, f64)> = (curve.roc.iter().enumerate())
        .filter(|(at, _)| at % thin == 0 || *at == last)
        .map(|(_, point)| (frame.x(point.false_positive_rate), frame.y(point.true_positive_rate)))
        .collect();
    frame.svg.path(&points, INK, 1.6);
    Some(frame.svg.finish())
}

/// The histogram of counts' places in their forecasts.
pub fn places(spread: &Spread) -> String {
    let places = &spread.places;
    let window = spread.horizon_days.map_or("weeks".to_owned(), |days| format!("{days} days"));
    let title = format!("{}: counts in their forecasts, {window}", spread.failure_mode);
    let which = if spread.large_only { " with 20 or more expected" } else { "" };
    let caption =
        format!("{} counts{which} · {:.0} % between the 5 and 95 % points", places.counts, 100.0 * places.in_90);
    let counts = places.counts as f64;
    let most = places.bars.iter().map(|&bar| bar as f64 / counts).fold(1.0 / BARS as f64, f64::max) * 1.1;
    let mut frame = Frame::new(&title, &caption, most, |share| share);
    let width = SIZE / BARS as f64;
    for (number, &bar) in places.bars.iter().enumerate() {
        let (x, y) = (LEFT + width * number as f64, frame.y(bar as f64 / counts));
        let bottom = TOP + SIZE;
        frame.svg.area(&[(x + 1.0, bottom), (x + 1.0, y), (x + width - 1.0, y), (x + width - 1.0, bottom)], BAND);
        let place = format!("{:.1}", number as f64 / BARS as f64);
        frame.svg.text((x, bottom + 17.0), Anchor::Middle, 11.0, &place);
    }
    for tick in ticks(most) {
        frame.svg.text((LEFT - 6.0, frame.y(tick) + 4.0), Anchor::End, 11.0, &percent(tick));
    }
    let even = frame.y(1.0 / BARS as f64);
    frame.svg.line((LEFT, even), (LEFT + SIZE, even), LINE, 1.2);
    frame.svg.line((LEFT, TOP + SIZE), (LEFT + SIZE, TOP + SIZE), "#222", 1.0);
    frame.svg.text((LEFT + 0.5 * SIZE, TOP + SIZE + 40.0), Anchor::Middle, 12.0, "place in the forecast");
    frame.svg.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backtest::auc::RocPoint;
    use crate::backtest::counts::uniformity;
    use crate::backtest::reliability::Bin;

    #[test]
    fn drawings_hold_every_tenth_and_escape_names() {
        let bin = |place: f64| Bin {
            from: place,
            to: place,
            cases: 10,
            weight: 10.0,
            expected: 10.0 * place,
            failed: 10.0 * place,
            variance: 10.0 * place * (1.0 - place),
            z: 0.0,
        };
        let point = |rate: f64| RocPoint { threshold: 0.5, false_positive_rate: rate, true_positive_rate: rate };
        let curve = Curve {
            failure_mode: "a<b".to_owned(),
            horizon_days: 30,
            bins: vec![bin(0.1), bin(0.4)],
            roc: (0..=1_000).map(|at| point(f64::from(at) / 1_000.0)).collect(),
            auc: Some(0.5),
            slope: None,
            reliability_p: Some(0.2),
        };
        let drawn = reliability(&curve).unwrap();
        assert_eq!(drawn.matches("<circle").count(), 2);
        assert!(drawn.contains("a&lt;b") && !drawn.contains("a<b") && !drawn.contains("NaN"));
        let drawn = roc(&curve).unwrap();
        assert!(drawn.matches(',').count() < 2 * MOST_POINTS && !drawn.contains("NaN"));
        assert!(roc(&Curve { auc: None, ..curve.clone() }).is_none());
        assert!(reliability(&Curve { bins: Vec::new(), ..curve }).is_none());
        let places = uniformity([0.05, 0.5, 1.0]).unwrap();
        let spread = Spread { failure_mode: "x".into(), window: "week", horizon_days: None, large_only: false, places };
        assert_eq!(super::places(&spread).matches("<polygon").count(), BARS);
    }

    #[test]
    fn ticks_are_round_and_few() {
        assert_eq!(ticks(1.0), [0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0]);
        assert!((2..=6).contains(&ticks(0.013).len()) && ticks(0.013)[1] == 0.005);
        assert_eq!(percent(0.6000000000000001), "60 %");
    }
}
