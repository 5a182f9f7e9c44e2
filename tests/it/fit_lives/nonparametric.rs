//! Curves without a law: against counts done by hand and by brute force.

use fleetwear::fit::lives::curve::Curve;
use fleetwear::fit::lives::life::{End, Life};
use fleetwear::fit::lives::plan::Layout;
use fleetwear::fit::lives::recurrent::{MeanStep, Unit, mean_cumulative};

use super::{close, fitted, outside, run};

const Z: f64 = 1.959_963_984_540_054;

/// Survival, its Greenwood error and the cumulative hazard at an age, life by life.
fn by_hand(lives: &[Life], age: f64) -> (f64, f64, f64) {
    let mut ages: Vec<f64> = lives.iter().filter(|life| life.is_failure()).map(Life::last_age).collect();
    ages.sort_by(f64::total_cmp);
    ages.dedup();
    let (mut survival, mut greenwood, mut hazard) = (1.0, 0.0, 0.0);
    for at in ages.into_iter().filter(|at| *at <= age) {
        let sum = |of: &dyn Fn(&Life) -> bool| lives.iter().filter(|life| of(life)).map(|life| life.count).sum::<f64>();
        let at_risk = sum(&|life| life.entry < at && life.last_age() >= at);
        let failed = sum(&|life| life.is_failure() && life.last_age() == at);
        survival *= 1.0 - failed / at_risk;
        greenwood += failed / (at_risk * (at_risk - failed));
        hazard += failed / at_risk;
    }
    (survival, survival * greenwood.sqrt(), hazard)
}

#[test]
fn the_product_limit_curve_counts_late_entries_and_ties() {
    let life = |entry: f64, age: f64, failed: bool, count: f64| {
        let end = if failed { End::Failed(age) } else { End::Survived(age) };
        Life { entry, end, count }
    };
    let lives = [
        life(0.0, 3.0, true, 1.0),
        life(0.0, 3.0, false, 2.0),
        life(2.0, 5.0, true, 2.0),
        life(3.0, 5.0, true, 1.0),
        life(5.0, 9.0, true, 1.0),
        life(0.0, 7.0, false, 4.0),
        life(1.0, 8.0, true, 1.0),
        life(0.0, 12.0, false, 3.0),
    ];
    let curve = Curve::of(&lives, Z);
    assert_eq!(curve.steps.iter().map(|step| step.age).collect::<Vec<_>>(), [3.0, 5.0, 8.0, 9.0]);
    // At age 5: entered before it and watched at it; the life that enters at 5 is not.
    assert_eq!((curve.steps[1].at_risk, curve.steps[1].failures), (11.0, 3.0));
    for step in &curve.steps {
        let (survival, error, hazard) = by_hand(&lives, step.age);
        assert!(close(step.survival, survival, 1e-12) && close(step.cumulative_hazard, hazard, 1e-12), "{step:?}");
        assert!(close(step.survival_standard_error.unwrap(), error, 1e-12), "{step:?} {error}");
        // Bounds of ln(−ln S), turned back.
        let ln = libm::log(-libm::log(survival));
        let reach = Z * error / (survival * -libm::log(survival));
        assert!(close(step.survival_lower.unwrap(), libm::exp(-libm::exp(ln + reach)), 1e-10), "{step:?}");
        assert!(close(step.survival_upper.unwrap(), libm::exp(-libm::exp(ln - reach)), 1e-10), "{step:?}");
    }
    assert_eq!(curve.note, None);
    // Everybody watched at age 1 fails there, long before others enter.
    let early = [life(0.0, 1.0, true, 1.0), life(2.0, 3.0, true, 1.0), life(2.0, 4.0, false, 1.0)];
    let curve = Curve::of(&early, Z);
    assert!(curve.note.as_deref().is_some_and(|note| note.contains("age 1")), "{curve:?}");
    assert_eq!((curve.steps[0].survival, curve.steps[0].survival_lower), (0.0, None));
}

/// Lives of one grid of looks have the curve of grouped lives; intervals across each other have none, and it says so.
#[test]
fn intervals_have_a_curve_where_they_do_not_cross() {
    let between = |after: f64, by: f64, count: f64| Life { entry: 0.0, end: End::Between { after, by }, count };
    let survived = |age: f64, count: f64| Life { entry: 0.0, end: End::Survived(age), count };
    let grid = [between(0.0, 10.0, 3.0), between(10.0, 20.0, 2.0), survived(10.0, 1.0), survived(20.0, 4.0)];
    let curve = Curve::of(&grid, Z);
    let steps: Vec<_> = curve.steps.iter().map(|step| (step.age, step.at_risk, step.survival)).collect();
    assert_eq!(steps.len(), 2);
    assert!(close(steps[0].2, 0.7, 1e-12) && close(steps[1].2, 0.7 * (1.0 - 2.0 / 6.0), 1e-12), "{steps:?}");
    let crossed = Curve::of(&[between(0.0, 10.0, 1.0), between(5.0, 20.0, 1.0)], Z);
    assert!(crossed.steps.is_empty() && crossed.note.is_some_and(|note| note.contains("(0, 10]")));
}

/// Var M(t) = Σ over units of [Σ over ages of (own events − mean)/at risk]², added up literally.
#[test]
fn the_mean_cumulative_function_has_its_variance() {
    let unit = |entry: f64, end: f64, events: &[f64]| Unit {
        entry,
        end,
        events: events.iter().map(|&age| (age, 1.0)).collect(),
    };
    let units = [
        unit(0.0, 10.0, &[2.0, 5.0, 5.0]),
        unit(0.0, 7.0, &[]),
        unit(3.0, 12.0, &[5.0, 11.0]),
        unit(0.0, 11.0, &[2.0, 9.0]),
    ];
    let steps = mean_cumulative(&units, Z);
    assert_eq!(
        steps.iter().map(|step| (step.age, step.at_risk, step.events)).collect::<Vec<_>>(),
        [(2.0, 3.0, 2.0), (5.0, 4.0, 3.0), (9.0, 3.0, 1.0), (11.0, 2.0, 1.0)]
    );
    let literal = |steps: &[MeanStep], units: &[Unit], last: usize| -> f64 {
        units
            .iter()
            .map(|unit| {
                let departure: f64 = steps[..=last]
                    .iter()
                    .filter(|at| unit.entry < at.age && at.age <= unit.end)
                    .map(|at| {
                        let own = unit.events.iter().filter(|(age, _)| *age == at.age).count() as f64;
                        (own - at.events / at.at_risk) / at.at_risk
                    })
                    .sum();
                departure * departure
            })
            .sum()
    };
    for (last, step) in steps.iter().enumerate() {
        let variance = literal(&steps, &units, last);
        assert!(close(step.standard_error, variance.sqrt(), 1e-12), "{step:?} {variance}");
        let mean: f64 = steps[..=last].iter().map(|at| at.events / at.at_risk).sum();
        assert!(close(step.mean, mean, 1e-12), "{step:?}");
    }
    // Many units that come and go, some of whose events cost more.
    let mut state = 7_u64;
    let mut draw = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) % below) as f64
    };
    let many: Vec<Unit> = (0..60)
        .map(|_| {
            let entry = draw(20);
            let end = entry + 1.0 + draw(40);
            let mut ages: Vec<f64> = (0..draw(6) as u64).map(|_| entry + 1.0 + draw((end - entry) as u64)).collect();
            ages.sort_by(f64::total_cmp);
            Unit { entry, end, events: ages.into_iter().map(|age| (age, 1.0)).collect() }
        })
        .collect();
    let steps = mean_cumulative(&many, Z);
    assert!(steps.len() > 30, "{}", steps.len());
    for (last, step) in steps.iter().enumerate() {
        let variance = literal(&steps, &many, last);
        assert!(close(step.standard_error, variance.sqrt(), 1e-10), "{step:?} {variance}");
    }
}

/// Units without an end, with two, or with an event after it are set aside with all their rows, and named.
#[test]
fn unsound_units_are_set_aside_with_their_rows() {
    let table = "unit,time,event\na,3,1\na,5,0\nb,4,1\nc,2,0\nc,9,0\nd,6,0\nd,7,1\ne,1,start\ne,8,end\n\
                 f,5,start\nf,5,1\nf,9,0\ng,0,1\ng,2,0\n";
    let report = fitted(table.as_bytes(), "units.csv", |plan| {
        (plan.layout, plan.unit) = (Layout::Recurrent, Some("unit".to_owned()));
    })
    .unwrap();
    let group = &report.mean_cumulative[0];
    assert_eq!((report.rows_in, report.rows_used, group.units, group.events), (14, 6, 3, 2.0));
    assert_eq!(report.set_aside.iter().map(|one| (one.rows, one.first)).collect::<Vec<_>>(), [(8, 4)]);
    assert_eq!(group.notes.len(), 4);
    // Dead on arrival: of the two units watched from their beginning one fails at age 0.
    let steps: Vec<_> = group.steps.iter().map(|step| (step.age, step.at_risk, step.mean)).collect();
    assert_eq!(steps, [(0.0, 2.0, 0.5), (3.0, 2.0, 1.0)]);
}

/// The valve seats and the automobiles with a code, as recurrent events, from tables as they were published.
#[test]
fn published_tables_of_units_are_read_as_they_are() {
    let test = "published_tables_of_units_are_read_as_they_are";
    let Some(folder) = outside(test, "lifetimes") else { return };
    let seats = run(&folder.join("valveseat.csv"), |plan| {
        (plan.layout, plan.unit) = (Layout::Recurrent, Some("engine".to_owned()));
    })
    .unwrap();
    let group = &seats.mean_cumulative[0];
    assert_eq!((group.units, group.events, seats.rows_in, seats.rows_used), (41, 48.0, 89, 89));
    // Two events of engine E328 on day 653 are two.
    let both = group.steps.iter().find(|step| step.age == 653.0).unwrap();
    assert!(both.events >= 2.0, "{both:?}");
}

/// Sales by returns: lives between half periods, none lost.
#[test]
fn a_nevada_table_becomes_lives() {
    let table =
        "sale,sold,2024-01,2024-02,2024-03\n2024-01,100,1,2,3\n2024-02,80,,1,2\n2024-03,60,,,1\n合计,240,1,3,6\n";
    let report = fitted(table.as_bytes(), "nevada.csv", |plan| plan.layout = Layout::Nevada).unwrap();
    let group = &report.groups[0];
    assert_eq!((group.lives, group.failures, group.interval_failures), (240.0, 10.0, 10.0));
    assert_eq!((report.rows_in, report.rows_used), (4, 3));
    // Age classes ½, 1½, 2½: failures 1+1+1, 2+2, 3; survivors of the classes 59, 77, 94.
    let steps: Vec<_> = group.curve.steps.iter().map(|step| (step.age, step.at_risk, step.failures)).collect();
    assert_eq!(steps, [(0.5, 240.0, 3.0), (1.5, 178.0, 4.0), (2.5, 97.0, 3.0)]);
    let wrong = [
        ("sale,sold,2024-01,2024-02\n2024-01,5,3,3\n2024-02,9,,1\n", "6 came back of 5 sold"),
        ("sale,sold,2024-01,2024-02\n2024-01,5,1,\n2024-02,9,2,1\n", "before they were sold"),
        ("sale,sold,2024-01,2024-02\n2024-01,5,1,x\n2024-02,9,,1\n", "is no number of units"),
        ("sale,sold,2024-01,week 7\n2024-01,5,1,\n2024-02,9,,1\n", "named alike"),
        ("sale,2024-01,2024-02\n2024-01,1,\n2024-02,,1\n", "--count"),
    ];
    for (table, words) in wrong {
        let error =
            fitted(table.as_bytes(), "nevada.csv", |plan| plan.layout = Layout::Nevada).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

/// On the paper of its own law the fitted line is straight, with a dot for each step of the curve, and the band around it.
#[test]
fn the_plot_is_straight_on_its_own_paper() {
    let here = tempfile::tempdir().unwrap();
    let table = here.path().join("lives.csv");
    std::fs::write(&table, "hours,event\n410,1\n560,1\n700,0\n820,1\n905,1\n1100,0\n1240,1\n1300,0\n").unwrap();
    let out = here.path().join("out");
    run(&table, |plan| {
        plan.out = Some(out.clone());
        plan.laws.push(fleetwear::fit::lives::law::Law::WeibullDefective);
    })
    .unwrap();
    for law in ["weibull", "lognormal", "exponential"] {
        let svg = std::fs::read_to_string(out.join(format!("plots/0001-{law}.svg"))).unwrap();
        let points = |element: &str| -> Vec<(f64, f64)> {
            let (_, rest) = svg.split_once(&format!("<{element} points=\"")).unwrap();
            let (list, _) = rest.split_once('"').unwrap();
            let pairs = list.split(' ').map(|pair| pair.split_once(',').unwrap());
            pairs.map(|(x, y)| (x.parse().unwrap(), y.parse().unwrap())).collect()
        };
        // Within the frame: at its edges the line is cut off.
        let line: Vec<(f64, f64)> = points("polyline").into_iter().filter(|(_, y)| (70.0..455.0).contains(y)).collect();
        assert!(line.len() > 6, "{law}: {line:?}");
        let ((x0, y0), (x1, y1)) = (line[0], line[line.len() - 1]);
        for (x, y) in &line {
            let straight = y0 + (y1 - y0) * (x - x0) / (x1 - x0);
            assert!((y - straight).abs() < 0.3, "{law}: {y}, not {straight}");
        }
        assert_eq!(svg.matches("<circle").count(), 5, "{law}");
        let band = points("polygon");
        let middle = line[line.len() / 2];
        let at: Vec<f64> = band.iter().filter(|(x, _)| *x == middle.0).map(|(_, y)| *y).collect();
        assert!(at.len() == 2 && at[0] > middle.1 && at[1] < middle.1, "{law}: {at:?} {middle:?}");
    }
    assert!(std::fs::read_to_string(out.join("plots/0001-weibull-defective.svg")).is_ok());
}
