//! Handshakes of one worker that issuer has confirmed. A connection brings its handshake with each request, and
//! issuer is asked about it once: so connections live on when issuer is restarted. Gone with the worker's last channel.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use aws_lc_rs::digest::{SHA256, digest};

use crate::wire::links::SignedHandshake;

/// Handshakes at a time. Beyond these the one that ends soonest is forgotten: issuer is asked about it again.
const MOST: usize = 8192;

/// The handshakes, each until when it may prove a client. Clones are one.
#[derive(Debug, Clone, Default)]
pub(super) struct Confirmed(Arc<Mutex<HashMap<Name, Instant>>>);

/// SHA-256 of a handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Name([u8; 32]);

impl Name {
    /// Of this one.
    pub(super) fn of(handshake: &SignedHandshake) -> Self {
        let octets = borsh::to_vec(handshake).expect("bounded types serialise into memory");
        let mut name = [0; 32];
        name.copy_from_slice(digest(&SHA256, &octets).as_ref());
        Self(name)
    }
}

impl Confirmed {
    /// May it prove a client now?
    pub(super) fn knows(&self, name: Name, now: Instant) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&name).is_some_and(|until| now < *until)
    }

    /// Issuer has said so.
    pub(super) fn note(&self, name: Name, until: Instant, now: Instant) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.retain(|_, until| now < *until);
        }
        if known.len() >= MOST
            && let Some(soonest) = known.iter().min_by_key(|(_, until)| **until).map(|(name, _)| *name)
        {
            known.remove(&soonest);
        }
        known.insert(name, until);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_was_confirmed_is_known_until_it_ends_and_no_more_than_so_many_are() {
        let (confirmed, now) = (Confirmed::default(), Instant::now());
        let name = |number: usize| {
            let mut octets = [0; 32];
            octets[..8].copy_from_slice(&number.to_be_bytes());
            Name(octets)
        };
        let second = Duration::from_secs(1);
        confirmed.note(name(0), now + second, now);
        assert!(confirmed.knows(name(0), now) && !confirmed.knows(name(1), now));
        assert!(!confirmed.knows(name(0), now + second));
        for number in 0..MOST + 100 {
            confirmed.note(name(number), now + second, now);
        }
        assert_eq!(confirmed.0.lock().unwrap().len(), MOST);
        confirmed.note(name(MOST), now + 3 * second, now + 2 * second);
        assert!(confirmed.knows(name(MOST), now + 2 * second));
        assert_eq!(confirmed.0.lock().unwrap().len(), 1);
    }
}
