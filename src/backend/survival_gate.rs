//! What every survival backend checks once, at its edge: the plan when it is opened, a batch when it is pushed.
//!
//! Kernels index profiles, zones, draws and groups without asking; sums cannot overflow because parts are counted.

use std::sync::{Mutex, PoisonError};

use super::survival::{GROUP_PARTS, PATHS, SurvivalBatch, SurvivalRequest};

/// A caller broke what it promised: a mistake in the program, not in the user's data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SurvivalGateError {
    #[error("survival {what}: got {got}, expected {expected}")]
    Length { what: &'static str, got: usize, expected: usize },
    #[error("survival {what} {at}: got {got}, limit {limit}")]
    Limit { what: &'static str, at: usize, got: u64, limit: u64 },
    #[error("survival group {group}, mode {mode}: more than {limit} parts, whose sum could overflow")]
    GroupParts { group: usize, mode: usize, limit: u64 },
}

fn exactly(what: &'static str, got: usize, expected: usize) -> Result<(), SurvivalGateError> {
    if got == expected { Ok(()) } else { Err(SurvivalGateError::Length { what, got, expected }) }
}

/// Every value at most `limit`, and the first that is not.
fn at_most<T: Copy + Into<u64>>(what: &'static str, values: &[T], limit: u64) -> Result<(), SurvivalGateError> {
    let largest = values.iter().fold(0, |largest, &value| u64::max(largest, value.into()));
    if largest <= limit {
        return Ok(());
    }
    let at = values.iter().position(|&value| value.into() > limit).unwrap_or(0);
    Err(SurvivalGateError::Limit { what, at, got: values[at].into(), limit })
}

/// Checks a plan once, when a backend is opened.
pub fn check_plan(request: &SurvivalRequest) -> Result<(), SurvivalGateError> {
    let SurvivalRequest { tables, plan, .. } = request;
    let count = |what, got: usize, limit: usize| at_most(what, &[got as u64], limit as u64);
    count("paths", plan.paths, PATHS)?;
    count("weeks", plan.weeks, 1 << 12)?;
    count("source weeks", plan.source_weeks, 1 << 16)?;
    exactly("source weeks of the plan", plan.source_week.len(), plan.zones * plan.paths * plan.weeks)?;
    if !plan.source_week.is_empty() {
        if plan.source_weeks == 0 {
            return Err(SurvivalGateError::Limit { what: "source weeks", at: 0, got: 0, limit: 0 });
        }
        at_most("source week of the plan", &plan.source_week, plan.source_weeks as u64 - 1)?;
    }
    exactly("draws of the paths", plan.draws.len(), plan.paths)?;
    at_most("draw of a path", &plan.draws, (tables.draws.max(1) - 1) as u64)?;
    for (at, mark) in plan.marks.iter().enumerate() {
        let last = if mark.sevenths == 0 { plan.weeks } else { plan.weeks.max(1) - 1 };
        let limit = |what, got: u32, limit: usize| {
            let (got, limit) = (u64::from(got), limit as u64);
            if got <= limit { Ok(()) } else { Err(SurvivalGateError::Limit { what, at, got, limit }) }
        };
        limit("week of mark", mark.week, last)?;
        limit("sevenths of mark", mark.sevenths, 6)?;
    }
    if let Some(at) = plan.marks.windows(2).position(|pair| pair[0] >= pair[1]) {
        return Err(SurvivalGateError::Limit { what: "order of mark", at, got: 0, limit: 0 });
    }
    Ok(())
}

/// Checks a batch, so that kernels index without asking.
pub fn check_batch(
    request: &SurvivalRequest,
    batch: &SurvivalBatch,
    parts_q48: &[u64],
) -> Result<(), SurvivalGateError> {
    let SurvivalRequest { tables, plan, groups } = request;
    let below = |what, values: &[u32], limit: usize| match limit {
        0 if values.is_empty() => Ok(()),
        0 => Err(SurvivalGateError::Limit { what, at: 0, got: values[0].into(), limit: 0 }),
        _ => at_most(what, values, limit as u64 - 1),
    };
    below("mode", &[batch.mode as u32], tables.modes.len())?;
    let (parts, profiles) = (batch.group.len(), batch.zone.len());
    let mechanisms = tables.modes[batch.mode].exponents.len();
    exactly("profile rows of the parts", batch.profile.len(), parts)?;
    exactly("clocks", batch.clocks_q48.len(), parts * mechanisms)?;
    exactly("increments", batch.increments.len(), profiles * mechanisms * plan.source_weeks)?;
    exactly("shifts", batch.shifts.len(), profiles * mechanisms)?;
    exactly("places for the parts' sums", parts_q48.len(), parts * plan.columns())?;
    below("group", batch.group, *groups)?;
    below("profile", batch.profile, profiles)?;
    below("zone", batch.zone, plan.zones)?;
    at_most("clock", batch.clocks_q48, i64::MAX as u64)?;
    at_most("shift", batch.shifts, 47)?;
    at_most("increment", batch.increments, u64::from(plan.increment_limit()))
}

/// Parts pushed so far, by group and mode.
pub struct PartCounts {
    modes: usize,
    counts: Mutex<Vec<u64>>,
}

impl PartCounts {
    pub fn new(groups: usize, modes: usize) -> Self {
        Self { modes, counts: Mutex::new(vec![0; groups * modes]) }
    }

    /// Counts a batch's parts, or none of them where a sum could overflow.
    pub fn add(&self, mode: usize, group: &[u32]) -> Result<(), SurvivalGateError> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        for (at, one) in group.iter().enumerate() {
            let count = &mut counts[*one as usize * self.modes + mode];
            if *count == GROUP_PARTS {
                for undone in &group[..at] {
                    counts[*undone as usize * self.modes + mode] -= 1;
                }
                return Err(SurvivalGateError::GroupParts { group: *one as usize, mode, limit: GROUP_PARTS });
            }
            *count += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{GROUP_PARTS, PartCounts, SurvivalGateError};

    #[test]
    fn parts_beyond_what_a_sum_holds_are_refused_and_not_counted() {
        let counts = PartCounts::new(2, 3);
        counts.counts.lock().unwrap()[3 + 1] = GROUP_PARTS - 1;
        let error = counts.add(1, &[0, 1, 0, 1]).unwrap_err();
        assert_eq!(error, SurvivalGateError::GroupParts { group: 1, mode: 1, limit: GROUP_PARTS });
        assert_eq!(counts.counts.lock().unwrap().as_slice(), [0, 0, 0, 0, GROUP_PARTS - 1, 0]);
        counts.add(1, &[1]).unwrap();
        assert!(counts.add(1, &[1]).is_err());
        assert!(GROUP_PARTS.checked_mul((1 << 40) - 1).is_some());
    }
}
