//! The survival kernel: fleets of random parts that its tests share.

mod batches;
#[cfg(feature = "gpu")]
mod functions;
mod oracle;

use fleetwear::backend::survival::{Mark, PathPlan, SurvivalBatch, pack_increments};
use fleetwear::fixed::threefry::threefry2x32;
use fleetwear::model::survival::{ParameterDraw, SurvivalLaw, SurvivalTables};

/// Random numbers in a fixed order.
pub struct Words {
    seed: u32,
    next: u32,
}

impl Words {
    pub fn new(seed: u32) -> Self {
        Self { seed, next: 0 }
    }

    pub fn word(&mut self) -> u32 {
        self.next += 1;
        threefry2x32([self.seed, 77], [self.next, 0])[0]
    }

    pub fn below(&mut self, limit: usize) -> usize {
        ((u64::from(self.word()) * limit as u64) >> 32) as usize
    }

    pub fn between(&mut self, least: f64, largest: f64) -> f64 {
        least + (largest - least) * f64::from(self.word()) / 4_294_967_296.0
    }
}

/// Laws, futures and parts of every kind that the kernels must get right.
pub struct World {
    pub laws: Vec<SurvivalLaw>,
    pub draws: Vec<ParameterDraw>,
    pub tables: SurvivalTables,
    pub plan: PathPlan,
    pub groups: usize,
}

/// Parts of one mode.
#[derive(Clone, Default)]
pub struct Parts {
    pub mode: usize,
    pub group: Vec<u32>,
    pub profile: Vec<u32>,
    pub clocks_q48: Vec<u64>,
    pub zone: Vec<u32>,
    pub increments: Vec<u32>,
    pub shifts: Vec<u8>,
}

impl Parts {
    pub fn batch(&self) -> SurvivalBatch<'_> {
        SurvivalBatch {
            mode: self.mode,
            group: &self.group,
            profile: &self.profile,
            clocks_q48: &self.clocks_q48,
            zone: &self.zone,
            increments: &self.increments,
            shifts: &self.shifts,
        }
    }

    /// Some of the parts, in the order given.
    pub fn pick(&self, which: &[usize]) -> Self {
        let mechanisms = self.clocks_q48.len() / self.group.len().max(1);
        Self {
            group: which.iter().map(|part| self.group[*part]).collect(),
            profile: which.iter().map(|part| self.profile[*part]).collect(),
            clocks_q48: (which.iter())
                .flat_map(|part| self.clocks_q48[part * mechanisms..(part + 1) * mechanisms].iter().copied())
                .collect(),
            ..self.clone()
        }
    }
}

/// Modes: one mechanism; one with an exponent; two and three mechanisms with and without exponents.
pub fn world(seed: u32, paths: usize, weeks: usize, draws: usize) -> World {
    let mut words = Words::new(seed);
    let exponents: [&[f64]; 5] = [&[1.0], &[0.5], &[1.0, 1.0], &[0.5, 1.0, 0.8], &[0.7, 0.6]];
    let laws: Vec<SurvivalLaw> = (exponents.iter())
        .map(|exponents| SurvivalLaw { weibull_shape: words.between(0.5, 5.0), clock_exponents: exponents.to_vec() })
        .collect();
    let central = ParameterDraw::central(&laws);
    let draws: Vec<ParameterDraw> = (0..draws)
        .map(|draw| ParameterDraw {
            weibull_shapes: (central.weibull_shapes.iter())
                .map(|shape| if draw == 0 { *shape } else { shape * words.between(0.9, 1.0) })
                .collect(),
            rates_log2: (central.rates_log2.iter())
                .map(|_| if draw == 0 { 0.0 } else { words.between(-0.5, 0.5) })
                .collect(),
        })
        .collect();
    let (zones, source_weeks) = (3, 30);
    let mut marks = vec![Mark { week: 0, sevenths: 3 }, Mark { week: 4, sevenths: 2 }, Mark { week: 4, sevenths: 5 }];
    marks.retain(|mark| (mark.week as usize) < weeks);
    marks.push(Mark { week: weeks as u32, sevenths: 0 });
    let plan = PathPlan {
        paths,
        weeks,
        zones,
        source_weeks,
        source_week: (0..zones * paths * weeks).map(|_| words.below(source_weeks) as u16).collect(),
        draws: (0..paths).map(|_| words.below(draws.len()) as u32).collect(),
        marks,
    };
    World { tables: SurvivalTables::compile(&laws, &draws).unwrap(), laws, draws, plan, groups: 7 }
}

/// Random parts: clocks of none, of 2^-40 to 8 lives; increments from a hardly moving vehicle's to an eighth of a
/// life a week, weeks of standstill among them.
pub fn parts(world: &World, seed: u32, mode: usize, count: usize) -> Parts {
    let mut words = Words::new(seed);
    let mechanisms = world.laws[mode].clock_exponents.len();
    let profiles = count / 2 + 1;
    let mut parts = Parts { mode, ..Parts::default() };
    for _ in 0..profiles {
        parts.zone.push(words.below(world.plan.zones) as u32);
        for _ in 0..mechanisms {
            let level = words.between(-36.0, -3.0);
            let idle = words.below(8) == 0;
            let increments_q48: Vec<u64> = (0..world.plan.source_weeks)
                .map(|_| match words.below(9) {
                    0 => 0,
                    _ if idle => 0,
                    _ => libm::exp2(48.0 + level + words.between(-2.0, 0.0)) as u64,
                })
                .collect();
            let mut packed = vec![0; increments_q48.len()];
            parts.shifts.push(pack_increments(&increments_q48, world.plan.weeks, &mut packed));
            parts.increments.extend(packed);
        }
    }
    for _ in 0..count {
        parts.group.push(words.below(world.groups) as u32);
        parts.profile.push(words.below(profiles) as u32);
        for _ in 0..mechanisms {
            let clock = libm::exp2(48.0 + words.between(-40.0, 3.0)) as u64;
            parts.clocks_q48.push(if words.below(6) == 0 { 0 } else { clock });
        }
    }
    parts
}
