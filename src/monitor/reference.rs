//! What is normal beside a vehicle's own past: the day, as lot-mates saw it, and the lot.
//!
//! Key idea: weather and software move a whole fleet on one day, and that is no defect. But the lot's median must not
//! be taken off its vehicles: where most of a lot drifts, its median drifts along and would hide exactly what is
//! sought. So each lot's day median is compared with that lot's own normal, and the day's effect is the *median over
//! lots* of these differences: one bad lot among three or more cannot move it. A lot's normal is that of its first year:
//! a round of all seasons, after which no night that is read later changes what earlier days were like. Units: the
//! channel's.

use rayon::prelude::*;

use super::baseline::{Baseline, median};
use super::panel::Series;

/// Fewest vehicles of a lot whose median on a day says something.
const LEAST_LOT_VEHICLES: usize = 5;
/// Fewest lots that outvote a bad one.
pub const LEAST_LOTS: usize = 3;

/// Days from a lot's first on which its normal is taken.
const NORMAL_DAYS: i32 = 365;

/// Day effects and normal levels.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reference {
    first_day: i32,
    /// By day from the first; zero where too few lots have a median.
    effects: Vec<f32>,
    /// Whether any day has an effect taken off.
    pub has_effects: bool,
    /// By lot; `None` for lots that the panel does not know.
    lots: Vec<Option<Baseline>>,
    /// Over all vehicles of the panel.
    pub fleet: Option<Baseline>,
}

impl Reference {
    /// Learns from the panel. Each vehicle's first `baseline_samples` make its own normal; shorter series count as far
    /// as they go.
    pub fn learn(panel: &[Series], lots: usize, baseline_samples: usize, floor: f64) -> Self {
        let mut reference = Self::day_effects(panel, lots);
        let own: Vec<(u32, Baseline)> = panel
            .par_iter()
            .filter(|series| !series.values.is_empty())
            .map_init(Vec::new, |room, series| {
                let values: Vec<f32> =
                    reference.less_effects(series).take(baseline_samples).map(|(_, value)| value).collect();
                (series.lot, Baseline::of(&values, |_| true, floor, room))
            })
            .collect();
        let typical = |chosen: &dyn Fn(u32) -> bool| {
            let of = |what: fn(&Baseline) -> f64| {
                let mut values: Vec<f64> = own.iter().filter(|one| chosen(one.0)).map(|one| what(&one.1)).collect();
                (!values.is_empty()).then(|| median(&mut values))
            };
            let (level, scale) = (of(|one| one.level)?, of(|one| one.scale)?);
            let difference_scale = of(|one| one.difference_scale)?;
            Some(Baseline { level, scale, difference_scale, constant: scale <= floor })
        };
        reference.fleet = typical(&|_| true);
        reference.lots = (0..lots as u32).into_par_iter().map(|lot| typical(&|other| other == lot)).collect();
        reference
    }

    fn day_effects(panel: &[Series], lots: usize) -> Self {
        let days = || panel.iter().flat_map(|series| series.days.first().into_iter().chain(series.days.last()));
        let (Some(&first_day), Some(&last_day)) = (days().min(), days().max()) else { return Self::default() };
        let mut cells: Vec<(i32, u32, f32)> = Vec::with_capacity(panel.iter().map(|series| series.days.len()).sum());
        for series in panel {
            cells.extend(series.days.iter().zip(&series.values).map(|(&day, &value)| (day, series.lot, value)));
        }
        cells.par_sort_unstable_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)).then(a.2.total_cmp(&b.2)));
        // (day, lot, median), by day and lot.
        let medians: Vec<(i32, u32, f64)> = cells
            .chunk_by(|a, b| (a.0, a.1) == (b.0, b.1))
            .filter(|cell| cell.len() >= LEAST_LOT_VEHICLES)
            .map(|cell| {
                let middle = |index: usize| f64::from(cell[index].2);
                (cell[0].0, cell[0].1, 0.5 * (middle((cell.len() - 1) / 2) + middle(cell.len() / 2)))
            })
            .collect();
        let mut of_lots: Vec<(i32, Vec<f64>)> = vec![(i32::MAX, Vec::new()); lots];
        for &(day, lot, middle) in &medians {
            if let Some((first, of_lot)) = of_lots.get_mut(lot as usize) {
                *first = day.min(*first);
                if day < first.saturating_add(NORMAL_DAYS) {
                    of_lot.push(middle);
                }
            }
        }
        let normal: Vec<f64> = of_lots.iter_mut().map(|(_, of_lot)| median(of_lot)).collect();
        let known: Vec<(i32, f32)> = medians
            .chunk_by(|a, b| a.0 == b.0)
            .filter(|day| day.len() >= LEAST_LOTS)
            .map(|day| {
                let less_normal =
                    |cell: &(i32, u32, f64)| cell.2 - normal.get(cell.1 as usize).copied().unwrap_or(cell.2);
                (day[0].0, median(&mut day.iter().map(less_normal).collect::<Vec<f64>>()) as f32)
            })
            .collect();
        let has_effects = !known.is_empty();
        // A date far off would ask for a table of ages: then only the stretch that has effects is kept.
        let (first_day, last_day) = match (known.first(), known.last()) {
            (Some(first), Some(last)) => (first.0, last.0),
            _ => (first_day, last_day.min(first_day)),
        };
        let mut effects = vec![0.0; (i64::from(last_day) - i64::from(first_day) + 1).clamp(0, LONGEST_DAYS) as usize];
        for (day, effect) in known {
            if let Some(entry) = effects.get_mut((i64::from(day) - i64::from(first_day)) as usize) {
                *entry = effect;
            }
        }
        Self { first_day, effects, has_effects, ..Self::default() }
    }

    /// What the whole fleet does on a day.
    #[inline]
    pub fn effect(&self, day: i32) -> f64 {
        let index = i64::from(day) - i64::from(self.first_day);
        usize::try_from(index).ok().and_then(|index| self.effects.get(index)).copied().map_or(0.0, f64::from)
    }

    /// A vehicle's samples with the day effects taken off.
    pub fn less_effects<'a>(&'a self, series: &'a Series) -> impl Iterator<Item = (i32, f32)> + 'a {
        let samples = series.days.iter().zip(&series.values);
        samples.map(|(&day, &value)| (day, (f64::from(value) - self.effect(day)) as f32))
    }

    /// What is normal for a vehicle of this lot that has no baseline of its own.
    pub fn of_lot(&self, lot: u32) -> Option<Baseline> {
        self.lots.get(lot as usize).copied().flatten().or(self.fleet)
    }
}

/// A hundred years of days.
const LONGEST_DAYS: i64 = 36_525;

#[cfg(test)]
mod tests {
    use super::*;

    /// Vehicles of `lots` lots, all of which feel a cold week; most of lot 0 drifts from day 50 on.
    fn panel(lots: u32) -> Vec<Series> {
        let value = |vehicle: u32, day: i32| {
            let cold = if (60..67).contains(&day) { 0.8 } else { 0.0 };
            let drift = if vehicle.is_multiple_of(lots) { 0.1 * f64::from((day - 50).max(0)) } else { 0.0 };
            let noise = f64::from((vehicle * 7919 + day as u32 * 104_729) % 101) / 1000.0;
            (f64::from(vehicle % lots) + cold + drift + noise) as f32
        };
        (0..lots * 20)
            .map(|vehicle| Series {
                vehicle,
                lot: vehicle % lots,
                days: (0..100).collect(),
                values: (0..100).map(|day| value(vehicle, day)).collect(),
            })
            .collect()
    }

    #[test]
    fn the_day_is_taken_off_and_the_drifting_lot_is_not() {
        let reference = Reference::learn(&panel(5), 5, 30, 0.001);
        assert!(reference.has_effects);
        for day in 60..67 {
            assert!((reference.effect(day) - 0.8).abs() < 0.05, "{day}: {}", reference.effect(day));
        }
        for day in (0..60).chain(67..100) {
            assert!(reference.effect(day).abs() < 0.05, "{day}: {}", reference.effect(day));
        }
        assert_eq!((reference.effect(-1), reference.effect(100), reference.effect(i32::MAX)), (0.0, 0.0, 0.0));
        assert!((reference.of_lot(3).unwrap().level - 3.05).abs() < 0.02);
        assert_eq!(reference.of_lot(99), reference.fleet, "an unknown lot is like the fleet");
    }

    #[test]
    fn too_few_lots_take_nothing_off() {
        let two = Reference::learn(&panel(2), 2, 30, 0.001);
        assert!(!two.has_effects && two.effect(63) == 0.0);
        let none = Reference::learn(&[], 4, 30, 0.001);
        assert_eq!((none.effect(5), none.of_lot(0), none.fleet), (0.0, None, None));
        // Lots of one vehicle each have no median.
        let mut single = panel(5);
        single.iter_mut().for_each(|series| series.lot = series.vehicle);
        assert!(!Reference::learn(&single, 100, 30, 0.001).has_effects);
    }

    #[test]
    fn a_date_far_off_does_no_harm() {
        let mut panel = panel(5);
        panel[7].days[99] = i32::MAX;
        panel[8].days[0] = i32::MIN;
        assert!((Reference::learn(&panel, 5, 30, 0.001).effect(63) - 0.8).abs() < 0.05);
    }
}
