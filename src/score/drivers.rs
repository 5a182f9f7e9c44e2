//! What raises a vehicle's rate against the fleet: the channels of a failure mode by their ratio.
//!
//! A term's ratio is two to the difference of the vehicle's and the fleet's mean log2 ratio; an exposure's the
//! quotient of the mean exposures. Over the mechanisms of a mode the log2 ratios are averaged, each weighted by its
//! share in the part's damage. Interactions are not among the drivers: only sums per channel are kept, and how often
//! conditions met cannot be told from them.

use crate::model::compiled::{CompiledMode, CompiledModel};

/// Drivers of a row at most.
pub const DRIVERS: usize = 3;
/// Ratios up to this are not worth a name.
pub const LEAST_RATIO: f64 = 1.01;

/// The channels that a failure mode's rate depends on, sorted by name.
#[derive(Clone, Debug, PartialEq)]
pub struct ModeDrivers {
    channels: Vec<ChannelDriver>,
}

#[derive(Clone, Debug, PartialEq)]
struct ChannelDriver {
    name: String,
    /// (index into [`CompiledModel::drivers`], index of the mechanism within the mode).
    parts: Vec<(usize, usize)>,
}

/// A channel and by how much it raises a rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RankedDriver<'a> {
    pub channel: &'a str,
    pub ratio: f64,
}

impl ModeDrivers {
    pub fn new(model: &CompiledModel, mode: &CompiledMode) -> Self {
        let mut channels: Vec<ChannelDriver> = Vec::new();
        for (index, driver) in model.drivers.iter().enumerate() {
            if !mode.mechanisms.contains(&driver.mechanism) {
                continue;
            }
            let part = (index, driver.mechanism - mode.mechanisms.start);
            match channels.binary_search_by(|known| known.name.cmp(&driver.channel)) {
                Ok(known) => channels[known].parts.push(part),
                Err(place) => {
                    channels.insert(place, ChannelDriver { name: driver.channel.clone(), parts: vec![part] });
                }
            }
        }
        Self { channels }
    }

    /// The strongest drivers, greatest first (of equals the first by name). `excess_log2` is the vehicle's mean less
    /// the fleet's for each of the model's drivers, `share` each mechanism's share in the damage.
    pub fn rank(&self, excess_log2: &[Option<f64>], share: &[f64]) -> [Option<RankedDriver<'_>>; DRIVERS] {
        let mut best: [Option<(f64, &str)>; DRIVERS] = [None; DRIVERS];
        let least_log2 = libm::log2(LEAST_RATIO);
        for channel in &self.channels {
            let log2: f64 = channel
                .parts
                .iter()
                .map(|&(driver, mechanism)| excess_log2[driver].map_or(0.0, |excess| excess * share[mechanism]))
                .sum();
            if log2 <= least_log2 {
                continue;
            }
            if let Some(place) = best.iter().position(|held| held.is_none_or(|(held, _)| log2 > held)) {
                best[place..].rotate_right(1);
                best[place] = Some((log2, &channel.name));
            }
        }
        best.map(|held| held.map(|(log2, channel)| RankedDriver { channel, ratio: libm::exp2(log2) }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(names: &[(&str, &[(usize, usize)])]) -> ModeDrivers {
        let channels = names.iter().map(|(name, parts)| ChannelDriver { name: (*name).into(), parts: parts.to_vec() });
        ModeDrivers { channels: channels.collect() }
    }

    #[test]
    fn drivers_are_ranked_and_weighted() {
        let mode =
            mode(&[("a", &[(0, 0)]), ("b", &[(1, 0), (2, 1)]), ("c", &[(3, 1)]), ("d", &[(4, 1)]), ("e", &[(5, 0)])]);
        let excess = [Some(1.0), Some(2.0), Some(-1.0), Some(4.0), None, Some(0.5)];
        let ranked = mode.rank(&excess, &[0.75, 0.25]);
        let ranked: Vec<_> = ranked.iter().flatten().map(|driver| (driver.channel, driver.ratio)).collect();
        assert_eq!(ranked, [("b", libm::exp2(1.25)), ("c", 2.0), ("a", libm::exp2(0.75))]);
    }

    #[test]
    fn equals_stand_by_name_and_small_ratios_have_none() {
        let mode = mode(&[("a", &[(0, 0)]), ("b", &[(1, 0)]), ("c", &[(2, 0)])]);
        let ranked = mode.rank(&[Some(0.5), Some(0.5), Some(0.01)], &[1.0]);
        assert_eq!(ranked.map(|driver| driver.map(|driver| driver.channel)), [Some("a"), Some("b"), None]);
        assert_eq!(mode.rank(&[Some(-1.0), None, Some(0.0)], &[1.0]), [None; 3]);
    }
}
