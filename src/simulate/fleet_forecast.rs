//! The table `fleet_forecast`: how many parts of a group fail in a window, with honest width.
//!
//! Given a path, parts fail independently and the count follows the law of [`super::count_law`]; over paths it is
//! their mixture, so weather that hits many at once widens it. A path's count is the mean path's first failures times
//! the path's own against their mean (for reports: of those that are reported then), plus failures of successors as they
//! come on the path ([`super::successors`]), plus reports of what has failed already, which no path moves. The count's
//! variance on a path takes renewals as they are on the mean path, pairs of failures in one place included, but never
//! above the Poisson law's; where successors are more than a hundredth of the first failures the law is that of these
//! moments. Windows are the weeks to come, and from today to each mark (30, 60, 90 days, 13 weeks, the alerts'
//! horizons). Counts of each climate zone on paths are moved apart as far as its record of few years asks for
//! ([`super::few_years`]).
//!
//! The count's variance has three parts that add up: *chance* is the mean over paths of the law's own variance;
//! *weather* and *parameters* divide the variance of the law's mean between paths. Where no parameter is drawn all of
//! it is weather; else two paths share each weather, what differs within a pair is parameters (and what they do to
//! weather's effect), and what differs between pairs beyond that is weather.
//!
//! | column | type | meaning |
//! |---|---|---|
//! | group_by, group | Utf8 (group: null) | attribute and value; `fleet` and null for all vehicles together |
//! | failure_mode | Utf8 | id of the failure mode |
//! | window | Utf8 | `week` or `to_date` |
//! | from_day, to_day | Date32 (Int32) | both included |
//! | counts | Utf8 | `failures`, by the day a part fails, or `reports`, by the day that is reported |
//! | expected_first | Float64 | of the parts in service today, those failed already and not reported among the reports |
//! | expected | Float64 | of the count: those and all failures of parts that replace them |
//! | p05, p50, p95 | Int64 | quantiles of the count |
//! | variance | Float64 | of the count |
//! | share_weather, share_parameters, share_chance | Float64 | of the variance; they add to 1 |

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Float64Array, Int64Array, RecordBatch};
use rayon::prelude::*;

use super::count_law::{CountLaw, Moments, quantile};
use super::expected::{CountKind, ExpectedRow, FleetSums, by_column, sevenths};
use super::few_years;
use super::large_parts::LargeParts;
use super::parameters::PATHS_PER_WEATHER;
use super::report_delay::ReportDelay;
use super::table::{self, Columns};
use super::weeks::{DAYS_PER_WEEK, WeekAxis};
use crate::backend::survival::{GROUP_BITS, Mark, PART_BITS, PathPlan};
use crate::fleet::writer::WriteError;

pub const SORT_COLUMNS: [&str; 6] = ["group_by", "group", "failure_mode", "window", "from_day", "to_day"];
/// Failures of successors against first failures from which a part's failures are looked at together.
const WORTH_PAIRING: f64 = 0.01;
/// Rows of one record batch.
const BATCH_ROWS: usize = 1 << 14;

/// Vehicles counted together: cells of the survival sums.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    pub group_by: String,
    /// `None`: vehicles without a value, or all.
    pub value: Option<String>,
    pub cells: Vec<u32>,
}

/// A stretch of the future.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Window {
    pub name: &'static str,
    /// Calendar days, both included.
    pub days: (i32, i32),
    pub column: usize,
}

/// One row.
#[derive(Clone, Debug, PartialEq)]
pub struct CountForecast {
    pub group: usize,
    pub mode: usize,
    pub window: Window,
    pub expected_first: f64,
    pub expected: f64,
    /// At 5, 50 and 95 %.
    pub quantiles: [i64; 3],
    pub variance: Variance,
    /// Of the count on each path, equally likely; empty unless they are kept.
    pub laws: Vec<CountLaw>,
    /// The parts that stand by themselves in these laws.
    pub large: LargeParts,
}

/// Where a count's variance comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Variance {
    pub weather: f64,
    pub parameters: f64,
    pub chance: f64,
}

/// The levels of [`CountForecast::quantiles`].
pub const LEVELS: [f64; 3] = [0.05, 0.5, 0.95];

/// All windows of a plan in the order of the table.
pub fn windows(plan: &PathPlan, as_of_day: i32) -> Vec<Window> {
    let mark_days = |mark: &Mark| (mark.week as i32) * DAYS_PER_WEEK + mark.sevenths as i32;
    let marks = plan.marks.iter().enumerate().map(|(at, mark)| Window {
        name: "to_date",
        days: (as_of_day + 1, as_of_day + mark_days(mark)),
        column: plan.weeks + at,
    });
    let weeks = (0..plan.weeks).map(|week| Window {
        name: "week",
        days: (as_of_day + 1 + week as i32 * DAYS_PER_WEEK, as_of_day + (week as i32 + 1) * DAYS_PER_WEEK),
        column: week,
    });
    let mut windows: Vec<Window> = marks.chain(weeks).collect();
    windows.sort_unstable();
    windows
}

/// What is counted, and how.
#[derive(Clone, Copy, Debug)]
pub struct Counting<'a> {
    pub plan: &'a PathPlan,
    pub modes: usize,
    pub groups: &'a [Group],
    /// The calendar's.
    pub as_of_day: i32,
    pub kind: CountKind,
    pub delay: &'a ReportDelay,
    /// [`few_years::factors`] of each zone, one a column.
    pub widening: &'a [Vec<f64>],
    pub zone_of_cell: &'a [u32],
    /// Two paths share each weather, and what they differ by is parameters.
    pub parameters_drawn: bool,
    /// Keep the laws of [`CountForecast::laws`].
    pub keep_laws: bool,
}

/// A group's counts of one mode.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GroupCounts {
    /// `[column]`: expected, of the parts of today.
    pub first: Vec<f64>,
    /// `[column * paths + path]`.
    moments: Vec<Moments>,
    /// `[column]`; none: moments say enough.
    large: Vec<LargeParts>,
    paths: usize,
}

/// A group's counts in one climate zone, by column and, `moments`, path.
struct ZoneCounts {
    /// Of the parts of today.
    first: Vec<f64>,
    /// Of their successors.
    renewed: Vec<f64>,
    moments: Vec<Moments>,
    expected: ExpectedRow,
}

impl GroupCounts {
    /// What is known on each path.
    pub fn moments(&self, column: usize) -> &[Moments] {
        &self.moments[column * self.paths..(column + 1) * self.paths]
    }

    /// The count's law on each path.
    fn laws(&self, column: usize) -> Vec<CountLaw> {
        let all = self.moments(column);
        let centre = mean(all.iter().map(|one| one.mean));
        let large = &self.large[column];
        let expected = large.sum();
        let law = |&moments: &Moments| match large.is_empty() {
            true => CountLaw::of(moments),
            false => large.law(expected * moments.mean / centre, moments),
        };
        all.iter().map(law).collect()
    }
}

impl Counting<'_> {
    /// Sums over a group's cells, one climate zone after another: what one replays says nothing of the other's weather.
    pub fn counts(&self, sums: &FleetSums, group: usize, mode: usize) -> GroupCounts {
        let columns = self.plan.columns();
        let mut by_zone: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for &cell in &self.groups[group].cells {
            by_zone.entry(self.zone_of_cell[cell as usize]).or_default().push(cell);
        }
        let mut all = GroupCounts {
            first: vec![0.0; columns],
            moments: vec![Moments { mean: 0.0, squares: 0.0 }; columns * self.plan.paths],
            large: vec![LargeParts::default(); columns],
            paths: self.plan.paths,
        };
        let (mut renewed, mut expected) = (vec![0.0; columns], ExpectedRow::new(columns));
        for (&zone, cells) in &by_zone {
            let of_zone = self.in_zone(sums, zone as usize, cells, mode);
            for (all, one) in all.moments.iter_mut().zip(&of_zone.moments) {
                (all.mean, all.squares) = (all.mean + one.mean, all.squares + one.squares);
            }
            let add = |all: &mut [f64], own: &[f64]| all.iter_mut().zip(own).for_each(|(all, own)| *all += own);
            add(&mut all.first, &of_zone.first);
            add(&mut renewed, &of_zone.renewed);
            expected.add(&of_zone.expected);
        }
        for (column, mut large) in expected.large.into_iter().enumerate() {
            large.sort();
            if renewed[column] <= WORTH_PAIRING * all.first[column] {
                all.large[column] = large;
            }
        }
        all
    }

    fn in_zone(&self, sums: &FleetSums, zone: usize, cells: &[u32], mode: usize) -> ZoneCounts {
        let (plan, columns) = (self.plan, self.plan.columns());
        let place = |cell: u32| cell as usize * self.modes + mode;
        let total = |of: &[u64]| -> Vec<f64> {
            let places = columns * plan.paths;
            let mut total = vec![0_u128; places];
            for &cell in cells {
                let of_cell = &of[place(cell) * places..][..places];
                total.iter_mut().zip(of_cell).for_each(|(total, &sum)| *total += u128::from(sum));
            }
            total.into_iter().map(|sum| sum as f64 / (1_u64 << GROUP_BITS) as f64).collect()
        };
        let mut failures = total(&sums.survival.failures_q40);
        let squares = total(&sums.survival.squares_q40);
        if self.kind == CountKind::Reports {
            failures = self.reported(&failures);
        }
        let mut expected = ExpectedRow::new(columns);
        for row in cells.iter().filter_map(|&cell| sums.expected.get(place(cell))?.as_ref()) {
            expected.add(row);
        }
        let renewed_on_paths = self.renewed(&sums.successors.spread(plan, zone, mode, &expected.renewed_q48));
        let (mut moments, mut all_first, mut all_renewed) = (Vec::new(), Vec::new(), Vec::new());
        for column in 0..columns {
            let of = |counts: &[i128]| counts[column] as f64 / (1_u64 << PART_BITS) as f64;
            let (first, standing) = (of(&expected.first_q48), of(&expected.standing_q48));
            let on_paths = column * plan.paths..(column + 1) * plan.paths;
            let centre = mean(failures[on_paths.clone()].iter().copied());
            all_renewed.push(mean(renewed_on_paths[on_paths.clone()].iter().copied()));
            all_first.push(first + standing);
            for at in on_paths {
                let against_mean = if centre > 0.0 { failures[at] / centre } else { 1.0 };
                let mean = standing + first * against_mean + renewed_on_paths[at];
                let squares = (squares[at] + of(&expected.squares_q48)).clamp(0.0, mean);
                moments.push(Moments { mean, squares });
            }
            let on_paths = &mut moments[column * plan.paths..];
            let paths_per_weather = if self.parameters_drawn { PATHS_PER_WEATHER } else { 1 };
            few_years::widen(on_paths, self.widening[zone][column], paths_per_weather);
        }
        ZoneCounts { first: all_first, renewed: all_renewed, moments, expected }
    }

    /// Successors' failures, or reports of them, by column and path; from weeks on paths.
    fn renewed(&self, failures: &[f64]) -> Vec<f64> {
        let plan = self.plan;
        let mut on_paths = vec![0.0; plan.columns() * plan.paths];
        for (path, weekly) in failures.chunks(plan.weeks).enumerate() {
            let reported = (self.kind == CountKind::Reports).then(|| self.delay.reported(weekly));
            let weekly = reported.as_deref().unwrap_or(weekly);
            for (column, count) in by_column(weekly, plan, &|at| sevenths(plan.marks[at])).into_iter().enumerate() {
                on_paths[column * plan.paths + path] = count;
            }
        }
        on_paths
    }

    /// What is reported of a path's failures by column.
    fn reported(&self, failures: &[f64]) -> Vec<f64> {
        let plan = self.plan;
        let mut reported = vec![0.0; failures.len()];
        for path in 0..plan.paths {
            let weekly: Vec<f64> = (0..plan.weeks).map(|week| failures[week * plan.paths + path]).collect();
            let weekly = self.delay.reported(&weekly);
            for (column, count) in by_column(&weekly, plan, &|at| sevenths(plan.marks[at])).into_iter().enumerate() {
                reported[column * plan.paths + path] = count;
            }
        }
        reported
    }

    /// The rows of all groups and modes, on the current rayon pool.
    pub fn rows(&self, sums: &FleetSums) -> Vec<CountForecast> {
        let windows = windows(self.plan, self.as_of_day);
        (0..self.groups.len() * self.modes)
            .into_par_iter()
            .flat_map_iter(|at| {
                let (group, mode) = (at / self.modes, at % self.modes);
                let counts = self.counts(sums, group, mode);
                windows.iter().map(move |&window| {
                    let moments = counts.moments(window.column);
                    let laws = counts.laws(window.column);
                    CountForecast {
                        group,
                        mode,
                        window,
                        expected_first: counts.first[window.column],
                        expected: mean(moments.iter().map(|one| one.mean)),
                        quantiles: LEVELS.map(|level| quantile(&laws, level)),
                        variance: Variance::of(moments, self.parameters_drawn),
                        laws: if self.keep_laws { laws } else { Vec::new() },
                        large: if self.keep_laws { counts.large[window.column].clone() } else { LargeParts::default() },
                    }
                })
            })
            .collect()
    }
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len().max(1) as f64;
    values.sum::<f64>() / count
}

impl Variance {
    /// Divides the variance of a count over paths.
    pub fn of(paths: &[Moments], parameters_drawn: bool) -> Self {
        let chance = mean(paths.iter().map(|one| one.variance()));
        let means: Vec<f64> = paths.iter().map(|one| one.mean).collect();
        if !parameters_drawn {
            return Self { weather: sample_variance(&means), parameters: 0.0, chance };
        }
        let pairs: Vec<&[f64]> = means.chunks_exact(PATHS_PER_WEATHER).collect();
        let parameters = mean(pairs.iter().map(|pair| sample_variance(pair)));
        let of_pairs: Vec<f64> = pairs.iter().map(|pair| mean(pair.iter().copied())).collect();
        let between = sample_variance(&of_pairs);
        Self { weather: (between - parameters / PATHS_PER_WEATHER as f64).max(0.0), parameters, chance }
    }

    pub fn total(self) -> f64 {
        self.weather + self.parameters + self.chance
    }

    /// Weather, parameters, chance; all chance where nothing varies.
    pub fn shares(self) -> [f64; 3] {
        let total = self.total();
        if total > 0.0 { [self.weather, self.parameters, self.chance].map(|one| one / total) } else { [0.0, 0.0, 1.0] }
    }
}

fn sample_variance(values: &[f64]) -> f64 {
    if values.len() < 2 {
        return 0.0;
    }
    let centre = mean(values.iter().copied());
    values.iter().map(|value| (value - centre) * (value - centre)).sum::<f64>() / (values.len() - 1) as f64
}

/// The table of some rows.
pub fn batches<'r>(
    rows: &'r [CountForecast],
    groups: &'r [Group],
    mode_ids: &'r [String],
    axis: WeekAxis,
    kind: CountKind,
) -> impl Iterator<Item = Result<RecordBatch, WriteError>> + 'r {
    (0..rows.len().max(1)).step_by(BATCH_ROWS).map(move |from| {
        let rows = &rows[from..rows.len().min(from + BATCH_ROWS)];
        let mut columns = Columns::new();
        let keys = rows.iter().map(|row| (row.group, row.mode, row.window)).collect::<Vec<_>>();
        add_keys(&mut columns, &keys, groups, mode_ids, axis);
        columns.add("counts", false, table::texts(rows.iter().map(|_| Some(kind.name()))));
        let numbers =
            |of: &dyn Fn(&CountForecast) -> f64| Arc::new(Float64Array::from_iter_values(rows.iter().map(of)));
        columns.add("expected_first", false, numbers(&|row| row.expected_first) as arrow::array::ArrayRef);
        columns.add("expected", false, numbers(&|row| row.expected) as arrow::array::ArrayRef);
        for (at, name) in ["p05", "p50", "p95"].into_iter().enumerate() {
            let counts = Int64Array::from_iter_values(rows.iter().map(|row| row.quantiles[at]));
            columns.add(name, false, Arc::new(counts) as arrow::array::ArrayRef);
        }
        columns.add("variance", false, numbers(&|row| row.variance.total()) as arrow::array::ArrayRef);
        for (at, name) in ["share_weather", "share_parameters", "share_chance"].into_iter().enumerate() {
            columns.add(name, false, numbers(&|row| row.variance.shares()[at]) as arrow::array::ArrayRef);
        }
        columns.batch()
    })
}

/// The columns that say which count a row is about.
pub fn add_keys(
    columns: &mut Columns,
    keys: &[(usize, usize, Window)],
    groups: &[Group],
    mode_ids: &[String],
    axis: WeekAxis,
) {
    columns.add("group_by", false, table::texts(keys.iter().map(|key| Some(groups[key.0].group_by.as_str()))));
    columns.add("group", true, table::texts(keys.iter().map(|key| groups[key.0].value.as_deref())));
    columns.add("failure_mode", false, table::texts(keys.iter().map(|key| Some(mode_ids[key.1].as_str()))));
    columns.add("window", false, table::texts(keys.iter().map(|key| Some(key.2.name))));
    let days = |of: &dyn Fn(Window) -> i32| {
        table::days(axis.axis, keys.iter().map(|key| Some(axis.axis_day(of(key.2)))).collect())
    };
    columns.add("from_day", false, days(&|window| window.days.0));
    columns.add("to_day", false, days(&|window| window.days.1));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(mean: f64, squares: f64) -> Moments {
        Moments { mean, squares }
    }

    #[test]
    fn shares_add_to_one_and_find_their_cause() {
        let weather: Vec<Moments> = (0..64).map(|at| path(10.0 + 4.0 * f64::from(at % 2), 0.5)).collect();
        let variance = Variance::of(&weather, false);
        assert!((variance.shares().iter().sum::<f64>() - 1.0).abs() < 1e-15);
        assert!((variance.weather - 4.0 * 64.0 / 63.0).abs() < 1e-12 && variance.parameters == 0.0);
        assert!((variance.chance - 11.5).abs() < 1e-12);
        // The same means, paired so that weather agrees and parameters differ.
        let variance = Variance::of(&weather, true);
        assert!(variance.weather < 1e-12 && (variance.parameters - 8.0).abs() < 1e-12);
        let pairs: Vec<Moments> = (0..64).map(|at| path(10.0 + 4.0 * f64::from(at / 2 % 2), 0.5)).collect();
        let variance = Variance::of(&pairs, true);
        assert!(variance.parameters == 0.0 && (variance.weather - 4.0 * 32.0 / 31.0).abs() < 1e-12);
        assert!((variance.shares().iter().sum::<f64>() - 1.0).abs() < 1e-15);
    }

    #[test]
    fn nothing_to_vary_and_a_single_path_are_all_chance() {
        assert_eq!(Variance::of(&[path(0.0, 0.0); 5], false).shares(), [0.0, 0.0, 1.0]);
        assert_eq!(Variance::of(&[path(3.0, 1.0)], false).shares(), [0.0, 0.0, 1.0]);
        assert_eq!(Variance::of(&[path(3.0, 1.0)], true).shares(), [0.0, 0.0, 1.0]);
        assert_eq!(Variance::of(&[], true).shares(), [0.0, 0.0, 1.0]);
    }

    #[test]
    fn windows_stand_in_the_order_of_the_table() {
        let marks = vec![Mark { week: 1, sevenths: 2 }, Mark { week: 2, sevenths: 0 }];
        let plan = PathPlan { weeks: 3, marks, ..PathPlan::default() };
        let windows = windows(&plan, 100);
        let days: Vec<(&str, (i32, i32), usize)> =
            windows.iter().map(|window| (window.name, window.days, window.column)).collect();
        assert_eq!(
            days,
            [
                ("to_date", (101, 109), 3),
                ("to_date", (101, 114), 4),
                ("week", (101, 107), 0),
                ("week", (108, 114), 1),
                ("week", (115, 121), 2)
            ]
        );
    }
}
