//! Where each user was right lately. A few networks a user, so that nobody takes the places of others by being
//! right from everywhere. Where a place has to be made, what came through the same worker goes first: a hijacked
//! one that knows a password and invents addresses pushes out little but its own.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use crate::wire::Peer;

/// Networks of one user.
const OF_ONE: usize = 16;
/// Networks of all users together.
const ALL: usize = 65_536;
/// Homes that came through one worker, before the next puts out one of these when every place is taken. So a hijacked
/// worker pushes out as many of the others' as this, and those longest not used, and then its own.
const SHARE: usize = ALL / super::WORKERS;
/// How long one is kept after it was last right: over a long weekend.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// A user and a network, each as its keyed hash.
pub(super) type Home = (u64, u64);

/// Every home.
#[derive(Debug, Default)]
pub(super) struct Homes {
    homes: BTreeMap<Home, Lately>,
    by_age: BTreeSet<(Instant, Home)>,
    by_worker: HashMap<Peer, BTreeSet<(Instant, Home)>>,
}

#[derive(Debug, Clone, Copy)]
struct Lately {
    right: Instant,
    /// The worker it first came through.
    through: Peer,
}

impl Homes {
    /// Was he right there lately?
    #[must_use]
    pub(super) fn know(&self, home: Home, now: Instant) -> bool {
        self.homes.get(&home).is_some_and(|lately| now.saturating_duration_since(lately.right) < KEPT)
    }

    /// He was right there now.
    pub(super) fn note(&mut self, home: Home, through: Peer, now: Instant) {
        let through = match self.forget(home) {
            Some(before) => before.through,
            None => {
                self.make_room(home.0, through, now);
                through
            }
        };
        self.homes.insert(home, Lately { right: now, through });
        self.by_age.insert((now, home));
        self.by_worker.entry(through).or_default().insert((now, home));
    }

    fn make_room(&mut self, user: u64, through: Peer, now: Instant) {
        let of_user = || self.homes.range((user, 0)..=(user, u64::MAX));
        let goes = if of_user().count() >= OF_ONE {
            of_user().min_by_key(|(_, lately)| (lately.through != through, lately.right)).map(|(home, _)| *home)
        } else if self.homes.len() >= ALL {
            let past = |(right, _): &&(Instant, Home)| now.saturating_duration_since(*right) >= KEPT;
            let own = self.by_worker.get(&through).filter(|own| own.len() >= SHARE);
            let oldest = self.by_age.first();
            oldest.filter(past).or(own.and_then(BTreeSet::first)).or(oldest).map(|(_, home)| *home)
        } else {
            None
        };
        if let Some(home) = goes {
            self.forget(home);
        }
    }

    fn forget(&mut self, home: Home) -> Option<Lately> {
        let lately = self.homes.remove(&home)?;
        self.by_age.remove(&(lately.right, home));
        if let Some(through) = self.by_worker.get_mut(&lately.through) {
            through.remove(&(lately.right, home));
            if through.is_empty() {
                self.by_worker.remove(&lately.through);
            }
        }
        Some(lately)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Peer = Peer(41);
    const OTHER: Peer = Peer(42);

    #[test]
    fn a_home_is_known_for_days_after_it_was_last_right() {
        let (mut homes, now) = (Homes::default(), Instant::now());
        homes.note((1, 1), ONE, now);
        homes.note((1, 1), OTHER, now + KEPT / 2);
        assert!(homes.know((1, 1), now + KEPT));
        assert!(!homes.know((1, 1), now + KEPT * 2));
        assert!(!homes.know((1, 2), now) && !homes.know((2, 1), now));
        assert_eq!(homes.by_age.len(), 1);
    }

    #[test]
    fn who_is_right_from_everywhere_takes_his_own_places_and_nobody_elses() {
        let (mut homes, now) = (Homes::default(), Instant::now());
        homes.note((1, 0), ONE, now);
        for network in 0..1000 {
            homes.note((2, network), ONE, now + Duration::from_secs(network));
        }
        assert!(homes.know((1, 0), now));
        let known: Vec<u64> = (0..1000).filter(|network| homes.know((2, *network), now)).collect();
        assert_eq!(known, (984..1000).collect::<Vec<_>>());
    }

    #[test]
    fn a_worker_that_invents_networks_pushes_out_its_own() {
        let (mut homes, now) = (Homes::default(), Instant::now());
        for network in 0..4 {
            homes.note((1, network), ONE, now);
            // Saying a name does not make it his.
            homes.note((1, network), OTHER, now);
        }
        for network in 100..1000 {
            homes.note((1, network), OTHER, now + Duration::from_secs(network));
        }
        assert!((0..4).all(|network| homes.know((1, network), now)));
        assert_eq!(homes.homes.len(), OF_ONE);
    }

    #[test]
    fn the_oldest_of_all_makes_room_when_every_place_is_taken() {
        let (mut homes, now) = (Homes::default(), Instant::now());
        for user in 0..=ALL as u64 {
            homes.note((user, 0), ONE, now + Duration::from_millis(user));
        }
        assert!(!homes.know((0, 0), now));
        assert!(homes.know((1, 0), now) && homes.know((ALL as u64, 0), now));
        assert_eq!((homes.homes.len(), homes.by_age.len()), (ALL, ALL));
    }

    #[test]
    fn a_worker_that_takes_every_place_keeps_few_of_those_others_had() {
        let (mut homes, now) = (Homes::default(), Instant::now());
        let at = |user: u64| now + Duration::from_millis(user);
        for user in 0..ALL as u64 {
            homes.note((user, 0), ONE, at(user));
        }
        for user in 0..2 * ALL as u64 {
            homes.note((1_000_000 + user, 0), OTHER, at(100_000 + user));
        }
        let later = at(300_000);
        assert_eq!((0..ALL as u64).filter(|user| !homes.know((*user, 0), later)).count(), SHARE);
        assert!(homes.know((SHARE as u64, 0), later) && homes.know((1_000_000 + 2 * ALL as u64 - 1, 0), later));
        // Of the others a new one still finds its place: its own oldest goes.
        homes.note((2_000_000, 0), ONE, later);
        assert!(homes.know((2_000_000, 0), later) && !homes.know((SHARE as u64, 0), later));
        assert_eq!((homes.homes.len(), homes.by_age.len()), (ALL, ALL));
        assert_eq!(homes.by_worker.values().map(BTreeSet::len).sum::<usize>(), ALL);
        // What is past is nobody's any more.
        let past = at(ALL as u64) + KEPT;
        homes.note((3_000_000, 0), OTHER, past);
        assert_eq!(homes.by_worker[&OTHER].len(), SHARE + 1);
    }
}
