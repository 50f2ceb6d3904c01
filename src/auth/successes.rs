//! What is remembered of passwords that were right: for at most a minute, under a keyed MAC that says nothing of
//! them. A failure is never remembered, so that trying a wrong password twice costs twice.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;

use crate::config::auth::PasswordRules;

/// Names a guess without saying anything of it.
pub(super) type Mac = [u8; 32];

/// A MAC key that lives and dies with this process.
#[derive(Debug)]
pub(super) struct Key(hmac::Key);

impl Key {
    /// A new one.
    ///
    /// # Panics
    /// When the kernel has no randomness to give.
    #[must_use]
    pub(super) fn random() -> Self {
        let mut octets = [0; 32];
        getrandom::fill(&mut octets).expect("the kernel's random number generator answers");
        let key = hmac::Key::new(hmac::HMAC_SHA256, &octets);
        zeroize::Zeroize::zeroize(&mut octets);
        Self(key)
    }

    /// Names what consists of these parts.
    #[must_use]
    pub(super) fn mac(&self, parts: &[&[u8]]) -> Mac {
        let mut context = hmac::Context::with_key(&self.0);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut mac = [0; 32];
        mac.copy_from_slice(context.sign().as_ref());
        mac
    }
}

/// Guesses that were right, what is known of whom, and until when they hold.
#[derive(Debug)]
pub(super) struct Successes<T> {
    known: HashMap<Mac, (Instant, T)>,
    swept: Option<Instant>,
}

/// When there is no room, what has run out is looked for this often.
const SWEEP: Duration = Duration::from_secs(1);

impl<T> Default for Successes<T> {
    fn default() -> Self {
        Self { known: HashMap::new(), swept: None }
    }
}

impl<T> Successes<T> {
    /// Was this guess right lately?
    pub(super) fn recall(&self, mac: &Mac, now: Instant) -> Option<&T> {
        self.known.get(mac).filter(|(until, _)| *until > now).map(|(_, known)| known)
    }

    /// It was. Where there is no room, one of the others goes: somebody who is right in many spellings keeps nobody
    /// out.
    pub(super) fn remember(&mut self, mac: Mac, known: T, memory: &PasswordRules, now: Instant) {
        if memory.cache == Duration::ZERO {
            return;
        }
        if self.known.len() >= memory.cache_entries && self.swept.is_none_or(|swept| now - swept >= SWEEP) {
            self.swept = Some(now);
            self.known.retain(|_, (until, _)| *until > now);
        }
        if self.known.len() >= memory.cache_entries
            && !self.known.contains_key(&mac)
            && let Some(any) = self.known.keys().next().copied()
        {
            self.known.remove(&any);
        }
        self.known.insert(mac, (now + memory.cache, known));
    }

    /// Forgets them all.
    pub(super) fn clear(&mut self) {
        self.known.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(cache_s: u64, cache_entries: usize) -> PasswordRules {
        PasswordRules { threads: 1, queue: 1, cache: Duration::from_secs(cache_s), cache_entries }
    }

    #[test]
    fn a_success_is_remembered_for_its_minute_and_no_longer() {
        let (mut successes, now) = (Successes::default(), Instant::now());
        successes.remember([1; 32], 7, &rules(60, 8), now);
        assert_eq!(successes.recall(&[1; 32], now + Duration::from_millis(59_999)), Some(&7));
        assert_eq!(successes.recall(&[1; 32], now + Duration::from_secs(60)), None);
        assert_eq!(successes.recall(&[2; 32], now), None);
    }

    #[test]
    fn no_memory_is_kept_where_none_is_wanted_and_a_new_one_takes_the_place_of_another() {
        let (mut successes, now) = (Successes::default(), Instant::now());
        successes.remember([1; 32], (), &rules(0, 8), now);
        assert_eq!(successes.recall(&[1; 32], now), None);
        successes.remember([1; 32], (), &rules(60, 1), now);
        successes.remember([2; 32], (), &rules(60, 1), now);
        assert!(successes.recall(&[1; 32], now).is_none() && successes.recall(&[2; 32], now).is_some());
        // Those that have run out make room before any that has not.
        let later = now + Duration::from_secs(60);
        let mut successes = Successes::default();
        successes.remember([1; 32], (), &rules(60, 3), now);
        successes.remember([2; 32], (), &rules(60, 3), now);
        for number in 3..5 {
            successes.remember([number; 32], (), &rules(60, 3), later);
            successes.remember([number; 32], (), &rules(60, 3), later);
        }
        assert!((3..5).all(|number| successes.recall(&[number; 32], later).is_some()));
        assert_eq!(successes.known.len(), 2);
    }

    #[test]
    fn a_guess_is_named_by_where_its_parts_end() {
        let key = Key::random();
        assert_eq!(key.mac(&[b"ab", b"c"]), key.mac(&[b"ab", b"c"]));
        assert_ne!(key.mac(&[b"ab", b"c"]), key.mac(&[b"a", b"bc"]));
        assert_ne!(key.mac(&[b"ab", b"c"]), Key::random().mac(&[b"ab", b"c"]));
    }
}
