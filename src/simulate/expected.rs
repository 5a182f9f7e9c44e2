//! Expected counts of groups on the mean path: what the parts' courses add up to.
//!
//! The survival kernel's sums say how the first failures of a group spread over paths. These sums say what a count has
//! beyond them: failures of successors, parts that may have failed already, reports that lag behind. Both are joined in
//! [`super::fleet_forecast`]. Sums are integers, so neither order nor threads show.
//!
//! Units: counts and squares in 2^-48.

use std::sync::{Mutex, PoisonError};

use super::course::{Course, Courses};
use super::large_parts::LargeParts;
use super::successors::Successors;
use super::weeks::DAYS_PER_WEEK;
use crate::backend::survival::{Mark, PART_BITS, PathPlan, SurvivalSums};

/// What `fleet_forecast` counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum CountKind {
    /// By the day on which a part fails, whenever that is reported.
    #[default]
    Failures,
    /// By the day on which a failure is reported.
    Reports,
}

impl CountKind {
    /// As outputs name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Failures => "failures",
            Self::Reports => "reports",
        }
    }
}

/// The sums of one group cell's parts of one mode, one a column of the plan.
#[derive(Clone, Debug, PartialEq)]
pub struct ExpectedRow {
    /// The parts of today.
    pub first_q48: Vec<i128>,
    /// Where reports are counted, failures of the parts of today; by week, without marks, as the two that follow.
    pub failed_q48: Vec<i128>,
    /// Failures of their successors, whatever is counted.
    pub renewed_q48: Vec<i128>,
    /// Parts put in for what has failed already.
    pub returned_q48: Vec<i128>,
    /// Reports of what has failed already: no path moves them.
    pub standing_q48: Vec<i128>,
    /// Σ (m² − E[N (N − 1)] − p²) with a part's expected count m and first chance p: what the sum of squares has beyond
    /// the kernel's.
    pub squares_q48: Vec<i128>,
    /// Of each column the parts with more than [`super::large_parts::LARGE_CHANCE`] in it, by their expected counts
    /// without successors.
    pub large: Vec<LargeParts>,
}

/// Sums of all cells and modes while parts are added.
#[derive(Debug)]
pub struct ExpectedSums {
    columns: usize,
    /// `[cell * modes + mode]`; `None`: no part.
    rows: Vec<Mutex<Option<ExpectedRow>>>,
}

/// What a side of a simulation has summed up.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FleetSums {
    pub survival: SurvivalSums,
    /// `[cell * modes + mode]`.
    pub expected: Vec<Option<ExpectedRow>>,
    pub successors: Successors,
}

impl ExpectedRow {
    pub fn new(columns: usize) -> Self {
        let zero = || vec![0; columns];
        Self {
            first_q48: zero(),
            failed_q48: zero(),
            renewed_q48: zero(),
            returned_q48: zero(),
            standing_q48: zero(),
            squares_q48: zero(),
            large: vec![LargeParts::default(); columns],
        }
    }

    /// Adds another's counts.
    pub fn add(&mut self, other: &Self) {
        for (to, from) in [
            (&mut self.first_q48, &other.first_q48),
            (&mut self.failed_q48, &other.failed_q48),
            (&mut self.renewed_q48, &other.renewed_q48),
            (&mut self.returned_q48, &other.returned_q48),
            (&mut self.standing_q48, &other.standing_q48),
            (&mut self.squares_q48, &other.squares_q48),
        ] {
            to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
        }
        self.large.iter_mut().zip(&other.large).for_each(|(to, from)| to.merge(from));
    }
}

impl ExpectedSums {
    pub fn new(places: usize, columns: usize) -> Self {
        Self { columns, rows: (0..places).map(|_| Mutex::new(None)).collect() }
    }

    /// Adds a part's counts to a cell and mode.
    pub fn add(&self, place: usize, counts: &PartCounts) {
        let Some(row) = self.rows.get(place) else { return };
        let mut row = row.lock().unwrap_or_else(PoisonError::into_inner);
        let row = row.get_or_insert_with(|| ExpectedRow::new(self.columns));
        for (to, from) in [
            (&mut row.first_q48, &counts.first),
            (&mut row.failed_q48, &counts.failed),
            (&mut row.renewed_q48, &counts.renewed),
            (&mut row.returned_q48, &counts.returned),
            (&mut row.standing_q48, &counts.standing),
            (&mut row.squares_q48, &counts.squares),
        ] {
            to.iter_mut().zip(from).for_each(|(to, from)| *to += fixed(*from));
        }
        let standing = counts.standing.iter().copied().chain(std::iter::repeat(0.0));
        for ((large, first), standing) in row.large.iter_mut().zip(&counts.first).zip(standing) {
            large.add(first + standing);
        }
    }

    /// Forgets the sums.
    pub fn restart(&self) {
        self.rows.iter().for_each(|row| *row.lock().unwrap_or_else(PoisonError::into_inner) = None);
    }

    pub fn finish(self) -> Vec<Option<ExpectedRow>> {
        self.rows.into_iter().map(|row| row.into_inner().unwrap_or_else(PoisonError::into_inner)).collect()
    }
}

fn fixed(count: f64) -> i128 {
    libm::rint(count * (1_u64 << PART_BITS) as f64) as i128
}

/// A part's counts by column of the plan, or by week alone as in [`ExpectedRow`]; empty: zero everywhere.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PartCounts {
    pub first: Vec<f64>,
    pub failed: Vec<f64>,
    pub renewed: Vec<f64>,
    pub returned: Vec<f64>,
    pub standing: Vec<f64>,
    pub squares: Vec<f64>,
}

impl PartCounts {
    /// From a part's course. `chances` are the kernel's, by column, cumulative from today.
    pub fn new(course: &Course, chances: &[f64], plan: &PathPlan, courses: &Courses) -> Self {
        let kind = courses.count();
        let in_service = |at: usize, share: f64| course.service.share_at_mark(plan.marks[at].week as usize, share);
        let by_days = |at: usize| in_service(at, sevenths(plan.marks[at]));
        let by_chances = |at: usize| in_service(at, share_at_mark(chances, plan, at));
        let counts = |weekly: &[f64]| match (weekly, kind) {
            ([], _) => Vec::new(),
            (weekly, CountKind::Failures) => by_column(weekly, plan, &by_days),
            (weekly, CountKind::Reports) => by_column(&courses.delay().reported(weekly), plan, &by_days),
        };
        let (first, standing) = match kind {
            CountKind::Failures => (by_column(&course.first, plan, &by_chances), Vec::new()),
            CountKind::Reports => (counts(&course.first), by_column(&course.standing, plan, &by_days)),
        };
        let (renewed, pairs) = (counts(&course.renewed), counts(&course.pairs));
        let at = |of: &[f64], column: usize| of.get(column).copied().unwrap_or(0.0);
        let squares = (0..plan.columns()).map(|column| {
            let count = at(&first, column) + at(&renewed, column) + at(&standing, column);
            let week = column < plan.weeks;
            let before = if week && column > 0 { chances[column - 1] } else { 0.0 };
            let chance = chances[column] - before;
            // Nothing fails twice in a week.
            let pairs = if week { 0.0 } else { at(&pairs, column) };
            count * count - 2.0 * pairs - chance * chance
        });
        let failed = if kind == CountKind::Reports { course.first.clone() } else { Vec::new() };
        let returned = course.returned.clone();
        Self { squares: squares.collect(), first, failed, renewed: course.renewed.clone(), returned, standing }
    }
}

/// The chance of a course's part of today to have failed since, cumulative, by column of the plan.
pub fn failed_since(course: &Course, chances: &[f64], plan: &PathPlan) -> Vec<f64> {
    let share =
        |at: usize| course.service.share_at_mark(plan.marks[at].week as usize, share_at_mark(chances, plan, at));
    let mut columns = by_column(&course.first, plan, &share);
    let mut sum = 0.0;
    for week in &mut columns[..plan.weeks] {
        sum += *week;
        *week = sum;
    }
    columns
}

/// The share of a mark's week that the chances put before the mark.
fn share_at_mark(chances: &[f64], plan: &PathPlan, at: usize) -> f64 {
    let week = plan.marks[at].week as usize;
    let before = if week > 0 { chances[week - 1] } else { 0.0 };
    match chances[..plan.weeks].get(week) {
        Some(after) if *after > before => (chances[plan.weeks + at] - before) / (after - before),
        _ => 0.0,
    }
}

/// The part of a mark's week that lies before it.
pub fn sevenths(mark: Mark) -> f64 {
    f64::from(mark.sevenths) / f64::from(DAYS_PER_WEEK)
}

/// Weeks, then from today to each mark.
pub fn by_column(weekly: &[f64], plan: &PathPlan, share: &dyn Fn(usize) -> f64) -> Vec<f64> {
    let mut columns = weekly.to_vec();
    if weekly.is_empty() {
        return columns;
    }
    for (at, mark) in plan.marks.iter().enumerate() {
        let week = mark.week as usize;
        let whole: f64 = weekly[..week].iter().sum();
        let rest = if mark.sevenths > 0 { weekly.get(week).map_or(0.0, |next| next * share(at)) } else { 0.0 };
        columns.push(whole + rest);
    }
    columns
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::count_law::{Moments, exact, tests::worst};

    #[test]
    fn a_window_has_the_exact_law_however_likely_failures_are_in_a_longer_one() {
        // 30 days, and the 365 of an alert, within which half of the healthy parts are likely to fail.
        let healthy = |part: usize| if part.is_multiple_of(2) { [0.002, 0.3] } else { [0.001, 0.02] };
        let parts: Vec<[f64; 2]> = (0..297).map(healthy).chain([[0.999, 1.0]; 3]).collect();
        let sums = ExpectedSums::new(1, 2);
        for part in &parts {
            sums.add(0, &PartCounts { first: part.to_vec(), ..PartCounts::default() });
        }
        let rows = sums.finish();
        let Some(row) = &rows[0] else { panic!("nothing was added") };
        for column in 0..2 {
            let chances: Vec<f64> = parts.iter().map(|part| part[column]).collect();
            let all = Moments { mean: chances.iter().sum(), squares: chances.iter().map(|p| p * p).sum() };
            let large = &row.large[column];
            let off = worst(&large.law(large.sum(), all), &exact(&chances));
            assert!(off < 5e-4, "column {column}: {off}");
        }
    }
}
