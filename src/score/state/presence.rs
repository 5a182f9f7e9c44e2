//! On which of its last 128 days a vehicle has records: what tells new records from repeated ones without reading
//! anything, and where a part of its time begins and ends after a boundary was moved through it.
//!
//! 128 days hold the recent window and the log of packed records, so that whatever is split from the log has its
//! first and last day here. Units: days of the dataset's axis (periods, where time is an integer).

/// Days that a mask reaches back, the last one included.
pub const PRESENCE_DAYS: i32 = 128;

/// The days with records of one vehicle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Presence {
    /// Day of the latest record; meaningless where `mask` is zero, which means: no record at all.
    pub last_day: i32,
    /// Bit `k`: a record on `last_day - k`.
    pub mask: u128,
}

impl Presence {
    pub const NONE: Presence = Presence { last_day: i32::MIN, mask: 0 };

    /// Adds a record's day. Any order gives the same.
    pub fn add(&mut self, day: i32) {
        self.merge(&Presence { last_day: day, mask: 1 });
    }

    /// Adds the days of another mask.
    pub fn merge(&mut self, other: &Presence) {
        if other.mask == 0 {
            return;
        }
        if self.mask == 0 || other.last_day > self.last_day {
            let mine = std::mem::replace(self, *other);
            if mine.mask != 0 {
                self.mask |= shifted(mine.mask, self.last_day, mine.last_day);
            }
        } else {
            self.mask |= shifted(other.mask, self.last_day, other.last_day);
        }
    }

    /// Whether there is a record on this day; `None`: too long ago to say.
    pub fn on(&self, day: i32) -> Option<bool> {
        if self.mask == 0 || day > self.last_day {
            return Some(false);
        }
        let age = i64::from(self.last_day) - i64::from(day);
        (age < i64::from(PRESENCE_DAYS)).then(|| self.mask >> age & 1 == 1)
    }

    /// The first day with a record on or after `day`, as far as the mask reaches back.
    pub fn first_from(&self, day: i32) -> Option<i32> {
        if self.mask == 0 || day > self.last_day {
            return None;
        }
        let age = (i64::from(self.last_day) - i64::from(day)).min(i64::from(PRESENCE_DAYS) - 1);
        let oldest = u128::BITS - 1 - age as u32;
        let within = self.mask << oldest >> oldest;
        // The latest record's own bit is always set.
        Some(self.last_day - (u128::BITS - 1 - within.leading_zeros()) as i32)
    }

    /// The last day with a record on or before `day`, if the mask holds one.
    pub fn last_to(&self, day: i32) -> Option<i32> {
        if self.mask == 0 || day >= self.last_day {
            return (self.mask != 0).then_some(self.last_day);
        }
        let age = i64::from(self.last_day) - i64::from(day);
        if age >= i64::from(PRESENCE_DAYS) {
            return None;
        }
        let within = self.mask >> age;
        (within != 0).then(|| day - within.trailing_zeros() as i32)
    }
}

/// A mask as seen from a later day.
fn shifted(mask: u128, later_day: i32, day: i32) -> u128 {
    let days = i64::from(later_day) - i64::from(day);
    if days < i64::from(PRESENCE_DAYS) { mask << days } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_order_gives_the_same_and_agrees_with_a_set_of_days() {
        let days = [-5, 100, 99, 40, -27, -28, 3, 100, 64];
        let mut reference = Presence::NONE;
        days.iter().for_each(|&day| reference.add(day));
        for turn in 0..days.len() {
            let mut turned = days;
            turned.rotate_left(turn);
            let mut presence = Presence::NONE;
            turned.iter().for_each(|&day| presence.add(day));
            assert_eq!(presence, reference);
        }
        let reach = 100 - (PRESENCE_DAYS - 1);
        assert_eq!(reach, -27);
        for day in -200..200 {
            let known = (day >= reach).then(|| days.contains(&day));
            assert_eq!(reference.on(day), known, "day {day}");
            let within = days.iter().copied().filter(|&day| day >= reach);
            assert_eq!(reference.first_from(day), within.clone().filter(|&other| other >= day).min(), "from {day}");
            assert_eq!(reference.last_to(day), within.filter(|&other| other <= day).max(), "to {day}");
        }
    }

    #[test]
    fn nothing_and_the_ends_of_the_axis() {
        assert_eq!(
            (Presence::NONE.on(0), Presence::NONE.first_from(i32::MIN), Presence::NONE.last_to(9)),
            (Some(false), None, None)
        );
        let mut presence = Presence::NONE;
        presence.add(i32::MIN);
        assert_eq!((presence.on(i32::MIN), presence.on(i32::MAX)), (Some(true), Some(false)));
        presence.add(i32::MAX);
        assert_eq!((presence.on(i32::MIN), presence.last_to(i32::MIN)), (None, None));
        assert_eq!(presence.first_from(i32::MIN), Some(i32::MAX));
        presence.merge(&Presence::NONE);
        assert_eq!(presence, Presence { last_day: i32::MAX, mask: 1 });
    }
}
