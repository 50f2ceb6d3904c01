//! Answers that may be signed: where auth has said so of a voucher, once, within a minute from when its token left, and
//! over a channel of the worker that was given it. A worker that asks without has no signature, and has done nothing
//! wrong: it may have asked the issuer before this one, or over a channel that broke.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::wire::{Correlation, Peer};

/// From the release of a token to the question for its answer's signature, which an honest worker asks at once.
const LIFE: Duration = Duration::from_secs(60);
/// Of one worker at one time.
const MOST_OF_ONE: usize = 2048;

/// Those of each worker, until when.
#[derive(Debug, Default)]
pub(super) struct Answers(HashMap<Peer, HashMap<Correlation, Instant>>);

impl Answers {
    /// This worker may have the answer to this request signed. Where too many of its are open, the oldest no more: an
    /// honest worker asks at once.
    pub(super) fn grant(&mut self, worker: Peer, correlation: Correlation, now: Instant) {
        let granted = self.0.entry(worker).or_default();
        granted.retain(|_, until| now < *until);
        if granted.len() >= MOST_OF_ONE
            && let Some(oldest) = granted.iter().min_by_key(|(_, until)| **until).map(|(name, _)| *name)
        {
            granted.remove(&oldest);
        }
        granted.insert(correlation, now + LIFE);
    }

    /// Takes that away. Did it have it?
    #[must_use]
    pub(super) fn take(&mut self, worker: Peer, correlation: Correlation, now: Instant) -> bool {
        let granted = self.0.get_mut(&worker);
        granted.and_then(|granted| granted.remove(&correlation)).is_some_and(|until| now < until)
    }

    /// Forgets those of a worker that is gone.
    pub(super) fn bereave(&mut self, worker: Peer) {
        self.0.remove(&worker);
    }

    /// Forgets those that nobody asked for.
    pub(super) fn expire(&mut self, now: Instant) {
        self.0.retain(|_, granted| {
            granted.retain(|_, until| now < *until);
            !granted.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORKER: Peer = Peer(41);

    #[test]
    fn an_answer_is_signed_once_for_its_worker_and_in_time() {
        let (mut answers, now, name) = (Answers::default(), Instant::now(), |octet| Correlation([octet; 16]));
        answers.grant(WORKER, name(1), now);
        assert!(!answers.take(WORKER, name(2), now) && !answers.take(Peer(42), name(1), now));
        assert!(answers.take(WORKER, name(1), now + LIFE - Duration::from_millis(1)));
        assert!(!answers.take(WORKER, name(1), now));
        answers.grant(WORKER, name(1), now);
        assert!(!answers.take(WORKER, name(1), now + LIFE));
        answers.grant(WORKER, name(1), now);
        answers.bereave(WORKER);
        assert!(!answers.take(WORKER, name(1), now));
        answers.grant(WORKER, name(1), now);
        answers.expire(now + LIFE);
        assert!(answers.0.is_empty());
    }

    #[test]
    fn a_worker_has_so_many_open_and_of_those_beyond_the_oldest_goes() {
        let (mut answers, now) = (Answers::default(), Instant::now());
        let name = |number: usize| Correlation((number as u128).to_be_bytes());
        answers.grant(WORKER, name(0), now);
        for number in 1..=MOST_OF_ONE {
            answers.grant(WORKER, name(number), now + Duration::from_millis(1));
        }
        assert!(!answers.take(WORKER, name(0), now), "the oldest went");
        assert!(answers.take(WORKER, name(MOST_OF_ONE), now) && answers.take(WORKER, name(1), now));
        answers.grant(Peer(42), name(0), now);
        assert!(answers.take(Peer(42), name(0), now));
        answers.grant(WORKER, name(MOST_OF_ONE), now + LIFE + Duration::from_millis(1));
        assert_eq!(answers.0[&WORKER].len(), 1);
    }
}
