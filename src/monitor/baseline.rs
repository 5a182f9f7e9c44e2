//! A vehicle's own normal: median and MAD of its first samples.
//!
//! Key idea: medians, so that a few spikes in the first weeks neither blind the monitor nor set it off. The spread of
//! day-to-day differences is kept beside the spread of the values: drift moves the values, not the differences. It is a
//! root mean square, the differences cut where the detector cuts them: the variance detector lives on its precision.
//! Units: the channel's. Source of the factor 1.4826: the standard normal's MAD is its 0.75 quantile, 0.67449
//! (Rousseeuw & Croux 1993).

use serde::{Deserialize, Serialize};

use super::detectors::CLIP;

/// Standard deviation of a normal distribution in MADs.
pub const SD_PER_MAD: f64 = 1.482_602_218_505_602;

/// Where a vehicle's values lie when all is well.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// Median.
    pub level: f64,
    /// Spread as a standard deviation, at least the floor.
    pub scale: f64,
    /// Root mean square of the differences of neighbouring samples, cut at [`CLIP`] of their robust spread.
    pub difference_scale: f64,
    /// The values did not vary: the scale is the floor.
    pub constant: bool,
}

impl Baseline {
    /// Of values in time order; `follows(i)` says that sample `i` came right after sample `i - 1`. `floor` is the
    /// smallest scale that means anything, such as the step of the channel. No values: a baseline of zero at the floor.
    pub fn of(values: &[f32], follows: impl Fn(usize) -> bool, floor: f64, room: &mut Vec<f64>) -> Self {
        room.clear();
        room.extend(values.iter().map(|&value| f64::from(value)));
        let level = median(room);
        room.iter_mut().for_each(|value| *value = (*value - level).abs());
        let spread = SD_PER_MAD * median(room);
        room.clear();
        room.extend(
            values
                .windows(2)
                .enumerate()
                .filter(|(index, _)| follows(*index + 1))
                .map(|(_, pair)| (f64::from(pair[1]) - f64::from(pair[0])).abs()),
        );
        let cut = CLIP * SD_PER_MAD * median(room);
        let squares = room.iter().map(|difference| difference.min(cut)).map(|difference| difference * difference);
        let difference_spread = libm::sqrt(squares.sum::<f64>() / room.len().max(1) as f64);
        Self {
            level,
            scale: spread.max(floor),
            difference_scale: difference_spread.max(floor),
            constant: spread < floor,
        }
    }
}

/// The median; the mean of the middle two of an even number; 0 of none. Reorders the values.
pub fn median(values: &mut [f64]) -> f64 {
    let count = values.len();
    if count == 0 {
        return 0.0;
    }
    let (below, &mut upper, _) = values.select_nth_unstable_by(count / 2, f64::total_cmp);
    if count % 2 == 1 {
        return upper;
    }
    let lower = below.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    0.5 * (lower + upper)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_of_any_number() {
        assert_eq!(median(&mut []), 0.0);
        assert_eq!(median(&mut [3.0]), 3.0);
        assert_eq!(median(&mut [5.0, 1.0]), 3.0);
        assert_eq!(median(&mut [9.0, 1.0, 2.0, 4.0]), 3.0);
        assert_eq!(median(&mut [9.0, 1.0, 2.0, 4.0, 3.0]), 3.0);
    }

    #[test]
    fn spikes_do_not_move_it_and_a_constant_is_said_to_be_one() {
        let mut room = Vec::new();
        let mut values: Vec<f32> = (0..99).map(|day| (day % 3) as f32).collect();
        let plain = Baseline::of(&values, |_| true, 0.01, &mut room);
        assert_eq!((plain.level, plain.constant), (1.0, false));
        values[10] = 5_000.0;
        values[70] = -5_000.0;
        let spiked = Baseline::of(&values, |_| true, 0.01, &mut room);
        assert_eq!((spiked.level, spiked.scale), (plain.level, plain.scale));
        assert!(spiked.difference_scale < 1.5 * plain.difference_scale, "{spiked:?} {plain:?}");
        let constant = Baseline::of(&[2.0; 40], |_| true, 0.01, &mut room);
        assert_eq!(constant, Baseline { level: 2.0, scale: 0.01, difference_scale: 0.01, constant: true });
        let none = Baseline::of(&[], |_| true, 0.01, &mut room);
        assert!(none.level == 0.0 && none.scale == 0.01 && none.constant);
    }

    #[test]
    fn differences_over_a_gap_do_not_count() {
        let mut room = Vec::new();
        let values = [0.0, 1.0, 100.0, 101.0, 200.0, 201.0];
        let gaps = Baseline::of(&values, |index| index % 2 == 1, 0.0, &mut room);
        assert_eq!(gaps.difference_scale, 1.0);
        let none = Baseline::of(&values, |_| true, 0.0, &mut room);
        assert!(none.difference_scale > 1.0, "the check sees the gap");
    }
}
