//! Handshakes in which a client was asked for a certificate. auth asks of each that is brought to it whether it was
//! signed here, for that worker, lately: what a client proved to another server, through another worker or yesterday
//! is not found. It is known by its signature too. A worker can have an old handshake signed again, and gets another
//! signature than the one its client saw; a key that gives the same one twice is never used here.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, digest};

use crate::wire::links::SignedHandshake;
use crate::wire::{KeyId, Peer};

/// How long a handshake proves who its client is. Workers end such connections before.
const LIFE: Duration = Duration::from_secs(3600);
/// Handshakes at a time, of all workers and of one. Beyond these the oldest of that worker is forgotten, or of the one
/// that has most, and its client has to connect again.
const MOST: usize = 65_536;
const MOST_OF_ONE: usize = 8192;

/// When a key that signs the same octets in the same way is tried again.
const AGAIN: Duration = Duration::from_secs(60);

/// SHA-256 of a handshake.
type Name = [u8; 32];

/// Those of each worker.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    of: HashMap<Peer, OfOne>,
    count: usize,
    /// Keys that have been seen to sign the same octets in two ways.
    random: HashSet<KeyId>,
    /// Keys that have been seen to sign them in the same way, and when.
    alike: HashMap<KeyId, Instant>,
}

#[derive(Debug, Default)]
struct OfOne {
    signed: HashMap<Name, Instant>,
    /// In the order they were signed.
    by_age: VecDeque<Name>,
}

fn name(handshake: &SignedHandshake) -> Name {
    let octets = borsh::to_vec(handshake).expect("bounded types serialise into memory");
    let mut name = [0; 32];
    name.copy_from_slice(digest(&SHA256, &octets).as_ref());
    name
}

impl Remembered {
    /// Remembers a handshake that was signed now.
    pub(super) fn note(&mut self, worker: Peer, handshake: &SignedHandshake, now: Instant) {
        self.expire(now);
        let full = self.of.get(&worker).is_some_and(|one| one.signed.len() >= MOST_OF_ONE);
        let loser = if full {
            self.of.get_mut(&worker)
        } else if self.count >= MOST {
            self.of.values_mut().max_by_key(|one| one.signed.len())
        } else {
            None
        };
        if let Some(one) = loser
            && let Some(oldest) = one.by_age.pop_front()
        {
            one.signed.remove(&oldest);
            self.count -= 1;
        }
        let one = self.of.entry(worker).or_default();
        let name = name(handshake);
        if one.signed.insert(name, now).is_none() {
            one.by_age.push_back(name);
            self.count += 1;
        }
    }

    /// How long it may still prove a client, if it was signed for that worker.
    pub(super) fn left(&self, worker: Peer, handshake: &SignedHandshake, now: Instant) -> Option<Duration> {
        let signed = self.of.get(&worker)?.signed.get(&name(handshake))?;
        LIFE.checked_sub(now.saturating_duration_since(*signed)).filter(|left| !left.is_zero())
    }

    /// Forgets those of a worker that is gone.
    pub(super) fn bereave(&mut self, worker: Peer) {
        if let Some(one) = self.of.remove(&worker) {
            self.count -= one.signed.len();
        }
    }

    /// Forgets what is too old.
    pub(super) fn expire(&mut self, now: Instant) {
        for one in self.of.values_mut() {
            while let Some(oldest) = one.by_age.front()
                && one.signed.get(oldest).is_none_or(|signed| now.saturating_duration_since(*signed) >= LIFE)
            {
                one.signed.remove(oldest);
                one.by_age.pop_front();
                self.count -= 1;
            }
        }
        self.of.retain(|_, one| !one.signed.is_empty());
    }

    /// Is it known that this key does not sign the same octets in the same way?
    pub(super) fn knows_random(&self, key: &KeyId) -> bool {
        self.random.contains(key)
    }

    /// It has not.
    pub(super) fn note_random(&mut self, key: KeyId) {
        self.random.insert(key);
    }

    /// Was it seen lately that it does? Then it is not worth two signatures to see it again.
    pub(super) fn knows_alike(&self, key: &KeyId, now: Instant) -> bool {
        self.alike.get(key).is_some_and(|seen| now.saturating_duration_since(*seen) < AGAIN)
    }

    /// It does.
    pub(super) fn note_alike(&mut self, key: KeyId, now: Instant) {
        self.alike.insert(key, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Octets;
    use crate::wire::links::Transcript;

    const ONE: Peer = Peer(41);
    const OTHER: Peer = Peer(42);

    fn handshake(number: u32) -> SignedHandshake {
        let hash = Octets::new([&number.to_be_bytes()[..], &[0; 28]].concat()).unwrap();
        SignedHandshake {
            certificate: [1; 32],
            transcript: Transcript::Tls13 { hash },
            signature: Octets::new([9; 64]).unwrap(),
        }
    }

    #[test]
    fn a_handshake_is_good_for_its_worker_and_an_hour() {
        let (mut remembered, now) = (Remembered::default(), Instant::now());
        remembered.note(ONE, &handshake(1), now);
        assert_eq!(remembered.left(ONE, &handshake(1), now), Some(LIFE));
        assert_eq!(remembered.left(OTHER, &handshake(1), now), None);
        assert_eq!(remembered.left(ONE, &handshake(2), now), None);
        let second = Duration::from_secs(1);
        assert_eq!(remembered.left(ONE, &handshake(1), now + LIFE - second), Some(second));
        assert_eq!(remembered.left(ONE, &handshake(1), now + LIFE), None);
        remembered.bereave(ONE);
        assert_eq!((remembered.left(ONE, &handshake(1), now), remembered.count), (None, 0));
    }

    #[test]
    fn every_part_of_a_handshake_is_part_of_its_name() {
        let (mut remembered, now) = (Remembered::default(), Instant::now());
        remembered.note(ONE, &handshake(1), now);
        let resigned = SignedHandshake { signature: Octets::new([8; 64]).unwrap(), ..handshake(1) };
        let shown = SignedHandshake { certificate: [2; 32], ..handshake(1) };
        for other in [resigned, shown] {
            assert_eq!(remembered.left(ONE, &other, now), None, "{other:?}");
        }
    }

    #[test]
    fn when_all_places_are_taken_the_worker_with_most_gives_one_to_another() {
        let (mut remembered, now) = (Remembered::default(), Instant::now());
        let workers = i32::try_from(MOST / MOST_OF_ONE).unwrap();
        for worker in 0..workers {
            for number in 0..MOST_OF_ONE as u32 {
                remembered.note(Peer(100 + worker), &handshake(number), now);
            }
        }
        assert_eq!(remembered.count, MOST);
        for number in 0..3 {
            remembered.note(ONE, &handshake(number), now);
            assert!(remembered.left(ONE, &handshake(number), now).is_some());
        }
        assert_eq!(remembered.count, MOST);
    }

    #[test]
    fn a_key_that_signs_alike_is_tried_again_in_a_minute() {
        let (mut remembered, now) = (Remembered::default(), Instant::now());
        let key = KeyId::default();
        assert!(!remembered.knows_alike(&key, now));
        remembered.note_alike(key.clone(), now);
        assert!(remembered.knows_alike(&key, now) && !remembered.knows_alike(&key, now + AGAIN));
    }

    #[test]
    fn asking_for_the_same_again_makes_it_no_older_and_no_more() {
        let (mut remembered, now) = (Remembered::default(), Instant::now());
        remembered.note(ONE, &handshake(1), now);
        remembered.note(ONE, &handshake(1), now);
        assert_eq!((remembered.count, remembered.of[&ONE].by_age.len()), (1, 1));
    }

    #[test]
    fn a_worker_that_shakes_hands_without_end_forgets_its_own_oldest() {
        let (mut remembered, now) = (Remembered::default(), Instant::now());
        remembered.note(OTHER, &handshake(0), now);
        for number in 0..MOST_OF_ONE as u32 + 10 {
            remembered.note(ONE, &handshake(number), now);
        }
        assert_eq!(remembered.count, MOST_OF_ONE + 1);
        assert!(remembered.left(OTHER, &handshake(0), now).is_some());
        assert!(remembered.left(ONE, &handshake(9), now).is_none());
        assert!(remembered.left(ONE, &handshake(10), now).is_some());
        remembered.expire(now + LIFE);
        assert_eq!((remembered.count, remembered.of.len()), (0, 0));
    }
}
