//! How plan, tables and parts are laid out for the survival shader. Twin: `shaders/survival.wgsl`, whose structs,
//! bindings and constants tests compare with these.
//!
//! Units: logarithms in 2^-20; every buffer holds words of 32 bits.

use bytemuck::{Pod, Zeroable};

use crate::backend::survival::{PathPlan, SurvivalBatch};
use crate::backend::survival_start::{Start, start_of_part};
use crate::model::survival::{MODE_MECHANISMS, PowerTable, SurvivalTables};

/// Paths of a workgroup.
pub const PATH_LANES: usize = 64;
/// Columns whose chances wait in workgroup memory.
pub const STAGED_COLUMNS: usize = 16;
/// Sevenths of an event that ends a week.
pub const WHOLE_WEEK: u32 = 7;
/// In place of a table's first knot: the clock counts as it is.
pub const NO_EXPONENT: i32 = -1;

/// Bindings of group 0, and whether the kernel only reads them.
pub const SURVIVAL_BINDINGS: [(&str, bool); 7] = [
    ("survival", true),
    ("plan", true),
    ("tables", true),
    ("parts", true),
    ("profiles", true),
    ("slabs", false),
    ("sums", false),
];

/// The uniform of a dispatch.
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
#[repr(C)]
pub struct Survival {
    pub weeks: u32,
    pub columns: u32,
    pub column_stages: u32,
    pub paths: u32,
    pub path_blocks: u32,
    pub mechanisms: u32,
    pub source_weeks: u32,
    pub run_parts: u32,
    pub draws_words: u32,
    pub events_words: u32,
    pub sum_first: u32,
    pub probability_first: u32,
    pub shapes_words: u32,
    pub exponents_words: u32,
    pub rates_words: u32,
    pub parts_words: u32,
    pub part_width: u32,
    pub start_width: u32,
    pub shifts_words: u32,
}

/// The plan's words, and where they begin.
pub struct PlanWords {
    pub words: Vec<u32>,
    pub uniform: Survival,
    pub width: usize,
}

impl PlanWords {
    pub fn new(plan: &PathPlan) -> Self {
        let width = plan.paths.next_multiple_of(PATH_LANES);
        let path = |lane: usize| if lane < plan.paths { lane } else { 0 };
        let mut words = Vec::with_capacity(plan.zones * plan.weeks * width + width + plan.columns() * 3);
        for zone in 0..plan.zones {
            for week in 0..plan.weeks {
                let of = |lane| plan.source_week[(zone * plan.paths + path(lane)) * plan.weeks + week];
                words.extend((0..width).map(|lane| u32::from(of(lane))));
            }
        }
        let draws_words = words.len() as u32;
        words.extend((0..width).map(|lane| plan.draws[path(lane)]));
        let events_words = words.len() as u32;
        words.extend(events(plan).iter().flatten());
        let uniform = Survival {
            weeks: plan.weeks as u32,
            columns: plan.columns() as u32,
            column_stages: plan.columns().div_ceil(STAGED_COLUMNS) as u32,
            paths: plan.paths as u32,
            path_blocks: (width / PATH_LANES) as u32,
            source_weeks: plan.source_weeks as u32,
            draws_words,
            events_words,
            ..Survival::default()
        };
        Self { words, uniform, width }
    }
}

/// Column, week and sevenths, in the order of time: marks come before the end of the week they lie in.
fn events(plan: &PathPlan) -> Vec<[u32; 3]> {
    let weeks = (0..plan.weeks as u32).map(|week| [week, week, WHOLE_WEEK]);
    let marks = plan.marks.iter().zip(plan.weeks as u32..).map(|(mark, column)| [column, mark.week, mark.sevenths]);
    let mut events: Vec<[u32; 3]> = weeks.chain(marks).collect();
    events.sort_by_key(|[_, week, sevenths]| (*week, *sevenths));
    events
}

/// A mode's words: all knots, its power tables and rates. Fills in where they begin.
pub fn mode_words(tables: &SurvivalTables, mode: usize, uniform: &mut Survival) -> Vec<i32> {
    let mode = &tables.modes[mode];
    let mut words = tables.knots.clone();
    let four = |table: &PowerTable| [table.first as i32, table.span_q20, table.exponent_q24 as i32, table.tail_q20];
    uniform.sum_first = tables.sum_first;
    uniform.probability_first = tables.probability_first;
    uniform.mechanisms = mode.exponents.len() as u32;
    uniform.shapes_words = words.len() as u32;
    words.extend(mode.shapes.iter().flat_map(four));
    uniform.exponents_words = words.len() as u32;
    words.extend(mode.exponents.iter().flat_map(|table| table.as_ref().map_or([NO_EXPONENT, 0, 0, 0], four)));
    uniform.rates_words = words.len() as u32;
    words.extend(&mode.rates_q20);
    uniform.start_width = 2 * (1 + uniform.mechanisms);
    uniform.part_width = 2 + tables.draws as u32 * uniform.start_width;
    words
}

/// Parts of one dispatch.
pub struct Piece {
    pub runs: usize,
    pub words: Vec<u32>,
    pub profiles: Vec<u32>,
    pub uniform: Survival,
}

impl Piece {
    /// `runs` are ranges of `order`, places in the batch. Rows of profiles that the parts ask for are copied.
    pub fn new(
        tables: &SurvivalTables,
        batch: &SurvivalBatch,
        order: &[u32],
        runs: &[std::ops::Range<usize>],
        uniform: &Survival,
    ) -> Self {
        let (mechanisms, source_weeks) = (uniform.mechanisms as usize, uniform.source_weeks as usize);
        let mut uniform = *uniform;
        uniform.run_parts = runs.iter().map(|run| run.len() as u32).max().unwrap_or(0);
        uniform.parts_words = 2 * runs.len() as u32;
        let mut words: Vec<u32> = runs.iter().flat_map(|run| [run.start as u32, run.end as u32]).collect();
        let mut used: Vec<u32> = order.iter().map(|part| batch.profile[*part as usize]).collect();
        used.sort_unstable();
        used.dedup();
        let mut starts = [Start::default(); MODE_MECHANISMS];
        for part in order {
            let part = *part as usize;
            let profile = batch.profile[part];
            // Every profile of a part is in the list.
            let row = used.binary_search(&profile).unwrap_or(0);
            words.extend([batch.zone[profile as usize], row as u32]);
            let clocks_q48 = &batch.clocks_q48[part * mechanisms..(part + 1) * mechanisms];
            for draw in 0..tables.draws {
                let whole = start_of_part(tables, batch.mode, draw, clocks_q48, &mut starts);
                let all = std::iter::once(&whole).chain(&starts[..mechanisms]);
                words.extend(all.flat_map(|start| [start.base_q20 as u32, start.power_q20 as u32]));
            }
        }
        let row_words = mechanisms * source_weeks;
        let mut profiles = Vec::with_capacity(used.len() * (row_words + mechanisms));
        for row in &used {
            profiles.extend(&batch.increments[*row as usize * row_words..][..row_words]);
        }
        uniform.shifts_words = profiles.len() as u32;
        for row in &used {
            let shifts = &batch.shifts[*row as usize * mechanisms..][..mechanisms];
            profiles.extend(shifts.iter().map(|shift| u32::from(*shift)));
        }
        Self { runs: runs.len(), words, profiles, uniform }
    }
}
