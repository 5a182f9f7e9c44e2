//! What of a vehicle, beside its records, bears on their increments: which interactions its attributes allow, and what
//! the side tables say of its days. Both are kept as hashes; where one has changed since the state was made, past
//! increments are no longer right and the vehicle is formed anew.

use crate::backend::SlotMasks;
use crate::fleet::joins::JoinTable;
use crate::score::slots::SlotPlan;

/// Hashes of one vehicle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traits {
    /// Of its interaction masks.
    pub masks: u64,
    /// Of what side tables supply up to the as-of day: behind this stand the codes themselves.
    pub side_tables: u64,
}

/// The traits of a fleet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FleetTraits {
    /// Of the known vehicles, by index.
    pub of_vehicle: Vec<Traits>,
    /// Of the others.
    pub default: Traits,
}

impl FleetTraits {
    /// Side tables count up to the end of `through_day`.
    pub fn new(masks: &SlotMasks, plan: &SlotPlan, joins: &[&JoinTable], through_day: i32) -> Self {
        let groups = masks.default.len();
        let known = plan.known();
        let mut result = Self {
            of_vehicle: vec![Traits { masks: mix_words(&masks.default), side_tables: 0 }; known],
            default: Traits { masks: mix_words(&masks.default), side_tables: 0 },
        };
        for (vehicle, traits) in result.of_vehicle.iter_mut().enumerate() {
            // Slots beyond the masks have the default.
            if let Some(own) = masks.masks.get(plan.of(vehicle).start * groups..).and_then(|masks| masks.get(..groups))
            {
                traits.masks = mix_words(own);
            }
        }
        for join in joins {
            let (of_vehicle, default) = join.content_hashes(known, through_day);
            for (traits, hash) in result.of_vehicle.iter_mut().zip(of_vehicle) {
                traits.side_tables = mix(traits.side_tables, hash);
            }
            result.default.side_tables = mix(result.default.side_tables, default);
        }
        result
    }

    pub fn of(&self, vehicle: usize) -> Traits {
        self.of_vehicle.get(vehicle).copied().unwrap_or(self.default)
    }
}

fn mix_words(words: &[u32]) -> u64 {
    words.iter().fold(words.len() as u64, |hash, &word| mix(hash, u64::from(word)))
}

/// Takes one more word into a hash: the finaliser of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom
/// number generators", OOPSLA 2014), a permutation for each earlier hash.
fn mix(hash: u64, word: u64) -> u64 {
    let mut mixed = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ word;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::time::TimeAxis;
    use crate::score::parts::PartStarts;

    #[test]
    fn only_other_masks_give_other_traits() {
        let plan = SlotPlan::new(TimeAxis::Days, 100, 3, &PartStarts::default()).unwrap();
        let masks = SlotMasks { masks: vec![1, 9, 1, 9, 2, 9, 2, 9, 1, 9, 1, 9], default: vec![2, 9] };
        let traits = FleetTraits::new(&masks, &plan, &[], 100);
        assert_eq!(traits.of(0), traits.of(2));
        assert_ne!(traits.of(0), traits.of(1));
        assert_eq!(traits.of(1), traits.of(7), "a vehicle that only the histories know has the default");
        let none = FleetTraits::new(&SlotMasks { masks: vec![], default: vec![2, 9] }, &plan, &[], 100);
        assert_eq!(none.of(0), traits.of(7));
        assert_ne!(mix_words(&[0]), mix_words(&[]));
        assert_ne!(mix_words(&[1, 2]), mix_words(&[2, 1]));
    }
}
