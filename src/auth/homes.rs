//! Where each user was right lately. A few networks a user, so that nobody takes the places of others by being
//! right from everywhere; where a place has to be made, the oldest goes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Networks of one user.
const OF_ONE: usize = 16;
/// Networks of all users together.
const ALL: usize = 65_536;
/// How long one is kept after it was last right: over a long weekend.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// A user and a network, each as its keyed hash.
pub(super) type Home = (u64, u64);

/// Every home.
#[derive(Debug, Default)]
pub(super) struct Homes {
    /// When he was last right there.
    homes: BTreeMap<Home, Instant>,
    by_age: BTreeSet<(Instant, Home)>,
}

impl Homes {
    /// Was he right there lately?
    #[must_use]
    pub(super) fn know(&self, home: Home, now: Instant) -> bool {
        self.homes.get(&home).is_some_and(|right| now.saturating_duration_since(*right) < KEPT)
    }

    /// He was right there now.
    pub(super) fn note(&mut self, home: Home, now: Instant) {
        if !self.forget(home) {
            self.make_room(home.0);
        }
        self.homes.insert(home, now);
        self.by_age.insert((now, home));
    }

    fn make_room(&mut self, user: u64) {
        let of_user = || self.homes.range((user, 0)..=(user, u64::MAX));
        let goes = if of_user().count() >= OF_ONE {
            of_user().min_by_key(|(_, right)| **right).map(|(home, _)| *home)
        } else if self.homes.len() >= ALL {
            self.by_age.first().map(|(_, home)| *home)
        } else {
            None
        };
        if let Some(home) = goes {
            self.forget(home);
        }
    }

    /// False when there was nothing to forget.
    fn forget(&mut self, home: Home) -> bool {
        let right = self.homes.remove(&home);
        right.is_some_and(|right| self.by_age.remove(&(right, home)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_is_known_for_days_after_it_was_last_right() {
        let (mut homes, now) = (Homes::default(), Instant::now());
        homes.note((1, 1), now);
        homes.note((1, 1), now + KEPT / 2);
        assert!(homes.know((1, 1), now + KEPT));
        assert!(!homes.know((1, 1), now + KEPT * 2));
        assert!(!homes.know((1, 2), now) && !homes.know((2, 1), now));
        assert_eq!(homes.by_age.len(), 1);
    }

    #[test]
    fn who_is_right_from_everywhere_takes_his_own_places_and_nobody_elses() {
        let (mut homes, now) = (Homes::default(), Instant::now());
        homes.note((1, 0), now);
        for network in 0..1000 {
            homes.note((2, network), now + Duration::from_secs(network));
        }
        assert!(homes.know((1, 0), now));
        let known: Vec<u64> = (0..1000).filter(|network| homes.know((2, *network), now)).collect();
        assert_eq!(known, (984..1000).collect::<Vec<_>>());
    }

    #[test]
    fn the_oldest_of_all_makes_room_when_every_place_is_taken() {
        let (mut homes, now) = (Homes::default(), Instant::now());
        for user in 0..=ALL as u64 {
            homes.note((user, 0), now + Duration::from_millis(user));
        }
        assert!(!homes.know((0, 0), now));
        assert!(homes.know((1, 0), now) && homes.know((ALL as u64, 0), now));
        assert_eq!((homes.homes.len(), homes.by_age.len()), (ALL, ALL));
    }
}
