//! What a survival kernel of the host reads and adds to: the futures of a mode with one lane a path, a tile of parts
//! with where each starts, and the tile's sums.
//!
//! Lanes are padded to [`LANES`]; a lane beyond the paths reads what lane 0 reads, and nothing is added for it.
//! Units: logarithms in 2^-20, probabilities in Q48, sums over parts in Q40.

use super::survival_scalar;
use crate::backend::survival::{Mark, PathPlan, SurvivalBatch};
use crate::backend::survival_start::{Start, start_of_part};
use crate::model::survival::{MODE_MECHANISMS, PowerTable, SurvivalMode, SurvivalTables};

/// Lanes of the widest kernel.
pub const LANES: usize = 16;
/// Parts of a tile: their sums stay in the second-level cache while the lanes pass over them.
pub const TILE_PARTS: usize = 32;

/// The plan as lanes, once for all modes.
pub struct Weeks {
    /// `[(zone * weeks + week) * width + lane]`.
    pub source: Vec<u32>,
    pub width: usize,
}

impl Weeks {
    pub fn new(plan: &PathPlan) -> Self {
        let width = plan.paths.next_multiple_of(LANES);
        let mut source = Vec::with_capacity(plan.zones * plan.weeks * width);
        for zone in 0..plan.zones {
            for week in 0..plan.weeks {
                let of = |lane: usize| {
                    let path = if lane < plan.paths { lane } else { 0 };
                    u32::from(plan.source_week[(zone * plan.paths + path) * plan.weeks + week])
                };
                source.extend((0..width).map(of));
            }
        }
        Self { source, width }
    }
}

/// The constants of a mode's lanes.
pub struct ModeLanes {
    /// One a lane.
    pub shapes: Vec<PowerTable>,
    /// The same, field by field, for vector kernels.
    pub first: Vec<i32>,
    pub span_q20: Vec<i32>,
    pub exponent_q24: Vec<i32>,
    pub tail_q20: Vec<i32>,
    /// `[mechanism * width + lane]`.
    pub rates_q20: Vec<i32>,
}

impl ModeLanes {
    pub fn new(mode: &SurvivalMode, draw_of_lane: &[u32]) -> Self {
        let mechanisms = mode.exponents.len();
        let shapes: Vec<PowerTable> = draw_of_lane.iter().map(|draw| mode.shapes[*draw as usize]).collect();
        let rate = |mechanism: usize| {
            draw_of_lane.iter().map(move |draw| mode.rates_q20[*draw as usize * mechanisms + mechanism])
        };
        Self {
            first: shapes.iter().map(|shape| shape.first as i32).collect(),
            span_q20: shapes.iter().map(|shape| shape.span_q20).collect(),
            exponent_q24: shapes.iter().map(|shape| shape.exponent_q24 as i32).collect(),
            tail_q20: shapes.iter().map(|shape| shape.tail_q20).collect(),
            rates_q20: (0..mechanisms).flat_map(rate).collect(),
            shapes,
        }
    }
}

/// The futures of one mode.
pub struct Futures<'a> {
    pub tables: &'a SurvivalTables,
    pub knots: &'a [i32],
    pub sum_first: usize,
    pub probability_first: usize,
    pub mode: &'a SurvivalMode,
    pub lanes: &'a ModeLanes,
    pub draw_of_lane: &'a [u32],
    pub weeks: usize,
    pub marks: &'a [Mark],
    pub paths: usize,
    pub width: usize,
    pub source: &'a [u32],
    pub source_weeks: usize,
}

impl<'a> Futures<'a> {
    pub fn new(
        tables: &'a SurvivalTables,
        mode: usize,
        plan: &'a PathPlan,
        weeks: &'a Weeks,
        lanes: &'a ModeLanes,
        draw_of_lane: &'a [u32],
    ) -> Self {
        Self {
            tables,
            knots: &tables.knots,
            sum_first: tables.sum_first as usize,
            probability_first: tables.probability_first as usize,
            mode: &tables.modes[mode],
            lanes,
            draw_of_lane,
            weeks: plan.weeks,
            marks: &plan.marks,
            paths: plan.paths,
            width: weeks.width,
            source: &weeks.source,
            source_weeks: plan.source_weeks,
        }
    }

    #[inline(always)]
    pub fn rate_q20(&self, mechanism: usize, lane: usize) -> i32 {
        self.lanes.rates_q20[mechanism * self.width + lane]
    }

    #[inline(always)]
    pub fn shape(&self, lane: usize) -> &PowerTable {
        &self.lanes.shapes[lane]
    }

    #[inline(always)]
    pub fn source_week(&self, zone: usize, week: usize, lane: usize) -> usize {
        self.source[(zone * self.weeks + week) * self.width + lane] as usize
    }

    #[inline(always)]
    pub fn probability_q48(&self, hazard_q20: i32) -> u64 {
        survival_scalar::probability_q48(self.knots, self.probability_first, hazard_q20)
    }
}

/// Parts of one group that are computed together.
pub struct Tile<'a> {
    batch: SurvivalBatch<'a>,
    /// Indices into the batch.
    parts: &'a [u32],
    mechanisms: usize,
    width: usize,
    source_weeks: usize,
    /// Log2 damage today and its product with the shape, `[part * width + lane]`.
    pub base_q20: Vec<i32>,
    pub power_q20: Vec<i32>,
    /// The same of the mechanisms' clocks and exponents, `[(part * mechanisms + mechanism) * width + lane]`; empty
    /// where no mechanism has an exponent.
    pub mechanism_base_q20: Vec<i32>,
    pub mechanism_power_q20: Vec<i32>,
}

impl<'a> Tile<'a> {
    pub fn new(futures: &Futures, batch: &SurvivalBatch<'a>, parts: &'a [u32]) -> Self {
        let (mechanisms, width) = (futures.mode.exponents.len(), futures.width);
        let mut tile = Self {
            batch: *batch,
            parts,
            mechanisms,
            width,
            source_weeks: futures.source_weeks,
            base_q20: Vec::with_capacity(parts.len() * width),
            power_q20: Vec::with_capacity(parts.len() * width),
            mechanism_base_q20: Vec::new(),
            mechanism_power_q20: Vec::new(),
        };
        if futures.mode.exponents.iter().any(Option::is_some) {
            tile.mechanism_base_q20.resize(parts.len() * mechanisms * width, 0);
            tile.mechanism_power_q20.resize(parts.len() * mechanisms * width, 0);
        }
        for at in 0..parts.len() {
            tile.start_part(futures, at);
        }
        tile
    }

    /// Draws differ from lane to lane; neighbours with the same draw start alike.
    fn start_part(&mut self, futures: &Futures, at: usize) {
        let clocks_q48 = &self.batch.clocks_q48[self.parts[at] as usize * self.mechanisms..][..self.mechanisms];
        let mut starts = [Start::default(); MODE_MECHANISMS];
        let mut before: Option<(u32, Start)> = None;
        for lane in 0..self.width {
            let draw = futures.draw_of_lane[lane];
            let start = match before {
                Some((same, start)) if same == draw => start,
                _ => start_of_part(futures.tables, self.batch.mode, draw as usize, clocks_q48, &mut starts),
            };
            before = Some((draw, start));
            self.base_q20.push(start.base_q20);
            self.power_q20.push(start.power_q20);
            if !self.mechanism_base_q20.is_empty() {
                for (mechanism, start) in starts[..self.mechanisms].iter().enumerate() {
                    let place = (at * self.mechanisms + mechanism) * self.width + lane;
                    self.mechanism_base_q20[place] = start.base_q20;
                    self.mechanism_power_q20[place] = start.power_q20;
                }
            }
        }
    }

    pub fn parts(&self) -> usize {
        self.parts.len()
    }

    /// Where in the batch's results the part stands.
    pub fn place(&self, part: usize) -> usize {
        self.parts[part] as usize
    }

    #[inline(always)]
    fn row(&self, part: usize) -> usize {
        self.batch.profile[self.parts[part] as usize] as usize
    }

    #[inline(always)]
    pub fn zone(&self, part: usize) -> usize {
        self.batch.zone[self.row(part)] as usize
    }

    #[inline(always)]
    pub fn shift(&self, part: usize, mechanism: usize) -> i32 {
        i32::from(self.batch.shifts[self.row(part) * self.mechanisms + mechanism])
    }

    /// A mechanism's increments, one a source week.
    #[inline(always)]
    pub fn increments(&self, part: usize, mechanism: usize) -> &'a [u32] {
        let first = (self.row(part) * self.mechanisms + mechanism) * self.source_weeks;
        &self.batch.increments[first..first + self.source_weeks]
    }

    #[inline(always)]
    pub fn increment(&self, part: usize, mechanism: usize, source_week: usize) -> u32 {
        self.increments(part, mechanism)[source_week]
    }

    #[inline(always)]
    pub fn start(&self, part: usize, lane: usize) -> (i32, i32) {
        (self.base_q20[part * self.width + lane], self.power_q20[part * self.width + lane])
    }

    #[inline(always)]
    pub fn mechanism_start(&self, part: usize, mechanism: usize, lane: usize) -> (i32, i32) {
        let place = (part * self.mechanisms + mechanism) * self.width + lane;
        (self.mechanism_base_q20[place], self.mechanism_power_q20[place])
    }
}

/// What a run of tiles of one group adds to, and the sums of the tile's parts.
pub struct TileSums {
    pub width: usize,
    pub columns: usize,
    /// `[column * width + lane]`.
    pub failures_q40: Vec<u64>,
    pub squares_q40: Vec<u64>,
    /// `[(part * columns + column) * 8 + lane % 8]`.
    pub parts_q48: Vec<u64>,
}

/// Lanes that the sums of a part are kept in.
pub const PART_LANES: usize = 8;

impl TileSums {
    pub fn new(width: usize, columns: usize) -> Self {
        Self {
            width,
            columns,
            failures_q40: vec![0; columns * width],
            squares_q40: vec![0; columns * width],
            parts_q48: vec![0; TILE_PARTS * columns * PART_LANES],
        }
    }

    #[inline(always)]
    pub fn add(&mut self, part: usize, column: usize, lane: usize, p_q48: u64, p_q40: u64) {
        self.parts_q48[(part * self.columns + column) * PART_LANES + lane % PART_LANES] += p_q48;
        let place = column * self.width + lane;
        self.failures_q40[place] += p_q40;
        let p_q32 = p_q40 >> 8;
        self.squares_q40[place] += (p_q32 * p_q32) >> 24;
    }

    /// Hands out the tile's parts and forgets them.
    pub fn take_parts(&mut self, tile: &Tile, parts_q48: &mut [u64]) {
        for part in 0..tile.parts() {
            let to = &mut parts_q48[tile.place(part) * self.columns..][..self.columns];
            let from = self.parts_q48[part * self.columns * PART_LANES..].chunks_exact_mut(PART_LANES);
            for (to, lanes) in to.iter_mut().zip(from) {
                *to = lanes.iter().sum();
                lanes.fill(0);
            }
        }
    }
}
