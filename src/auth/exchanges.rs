//! Session keys of messages that were opened for a channel and are not answered yet, each by the request it came with.
//! A worker names the request and never has the key. One is good for one submission at the path it was opened for, and
//! where that was vouched for, for one answer; each within so many seconds, and gone with the channel. So is whom an
//! answer is sealed for, where a certificate's key signed the request.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, digest};
use zeroize::Zeroizing;

use super::derive::derived;
use super::reason::Reason;
use super::recipient::Recipient;
use crate::wire::derivation::PartKey;
use crate::wire::evidence::{KeyedMessage, MacAlgorithm};
use crate::wire::unwrap::PartCipher;
use crate::wire::{Correlation, Text};

/// Of one channel at one time, that were opened before anything was verified; as many again that were verified first,
/// and as many that wait for their answer: strangers have messages opened, and take no place from those who have proved
/// themselves.
const MOST: usize = 1024;
/// From the opening of a message to its submission, which an honest worker sends at once.
const TO_SUBMIT: Duration = Duration::from_secs(10);
/// From there to its answer.
const TO_ANSWER: Duration = Duration::from_secs(60);

/// The keys of one channel. Clones are one.
#[derive(Debug, Clone, Default)]
pub(super) struct Exchanges(Arc<Mutex<HashMap<Correlation, (Kept, Instant)>>>);

#[derive(Debug)]
enum Kept {
    Opened(Exchange),
    Vouched(Exchange, Manner),
    For(Recipient),
}

/// One of them.
pub(super) struct Exchange {
    /// The path it was opened for.
    pub(super) endpoint: Text<128>,
    /// The key; a random one where what was sealed did not open, so that every MAC by it is wrong.
    pub(super) key: Zeroizing<Vec<u8>>,
    /// SHA-1 of what was sealed: what an answer calls the key.
    pub(super) sha1: [u8; 20],
    /// How parts were sealed, where any was, and whether by a derived key.
    pub(super) sealing: Option<(PartCipher, bool)>,
    /// Which octets were opened by it before anything was verified, each by its SHA-256, and by which key; none where that
    /// was one of their own. Never by CBC.
    pub(super) opened: Vec<([u8; 32], Option<PartKey>)>,
    /// What is good once, where that is not in the store yet.
    pub(super) unseen: Option<[u8; 32]>,
    /// Which message it is of, where its signature was verified before it was opened: the key opens that and no other,
    /// and whoever signed it was held to his pace.
    pub(super) verified: Option<[u8; 32]>,
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl Exchange {
    /// The key by which these octets were opened.
    ///
    /// # Errors
    /// [`Reason::NoSession`] where they were not, [`Reason::Cipher`] where it was one of their own, which is not kept.
    pub(super) fn opens(&self, octets: &[u8]) -> Result<Zeroizing<Vec<u8>>, Reason> {
        let name = digest(&SHA256, octets);
        let opened = self.opened.iter().find(|(opened, _)| opened == name.as_ref());
        let (_, by) = opened.ok_or(Reason::NoSession)?;
        match by {
            Some(PartKey::Session) => Ok(self.key.clone()),
            Some(PartKey::Derived(by)) => Ok(derived(&self.key, by)),
            None => Err(Reason::Cipher),
        }
    }
}

/// How a request makes its MAC, which is how it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Manner {
    /// The algorithm.
    pub(super) algorithm: MacAlgorithm,
    /// Octets of the derived key, where it is one.
    pub(super) derived: Option<u8>,
}

impl Manner {
    /// Of this one.
    pub(super) fn of(message: &KeyedMessage) -> Self {
        let derived = match &message.key {
            PartKey::Session => None,
            PartKey::Derived(by) => u8::try_from(by.length()).ok(),
        };
        Self { algorithm: message.algorithm, derived }
    }
}

/// Why a key is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotKept {
    /// There is one of this request.
    Twice,
    /// As many as there may be wait for their submission.
    Full,
}

impl Exchanges {
    /// Keeps a key for a request.
    pub(super) fn keep(&self, correlation: Correlation, exchange: Exchange, now: Instant) -> Result<(), NotKept> {
        let mut kept = self.lock();
        kept.retain(|_, (_, until)| now < *until);
        let verified = exchange.verified.is_some();
        let alike = |kept: &Kept| matches!(kept, Kept::Opened(other) if other.verified.is_some() == verified);
        let full = kept.values().filter(|(kept, _)| alike(kept)).count() >= MOST;
        match kept.entry(correlation) {
            Entry::Occupied(_) => Err(NotKept::Twice),
            Entry::Vacant(_) if full => Err(NotKept::Full),
            Entry::Vacant(place) => {
                place.insert((Kept::Opened(exchange), now + TO_SUBMIT));
                Ok(())
            }
        }
    }

    /// Gives the key of a request to its submission, once.
    pub(super) fn take(&self, correlation: Correlation, now: Instant) -> Option<Exchange> {
        match self.lock().remove(&correlation)? {
            (Kept::Opened(exchange), until) if now < until => Some(exchange),
            _ => None,
        }
    }

    /// Keeps it on for the answer.
    pub(super) fn vouched(&self, correlation: Correlation, exchange: Exchange, manner: Manner, now: Instant) {
        self.to_answer(correlation, Kept::Vouched(exchange, manner), now);
    }

    /// Keeps for whom the answer is.
    pub(super) fn vouched_for(&self, correlation: Correlation, recipient: Recipient, now: Instant) {
        self.to_answer(correlation, Kept::For(recipient), now);
    }

    /// Where there is no room the oldest goes: an honest worker asks at once, and who has tokens made and never asks
    /// for their answers keeps nobody else from his.
    fn to_answer(&self, correlation: Correlation, one: Kept, now: Instant) {
        let mut kept = self.lock();
        let waiting = kept.iter().filter(|(_, (kept, _))| !matches!(kept, Kept::Opened(_)));
        let (count, oldest) =
            waiting.fold((0, None), |(count, oldest): (usize, Option<(Instant, Correlation)>), one| {
                let (name, (_, until)) = one;
                let older = oldest.filter(|(before, _)| before <= until).unwrap_or((*until, *name));
                (count + 1, Some(older))
            });
        if count >= MOST
            && let Some((_, oldest)) = oldest
        {
            kept.remove(&oldest);
        }
        kept.insert(correlation, (one, now + TO_ANSWER));
    }

    /// Gives it to the answer, once.
    pub(super) fn answered(&self, correlation: Correlation, now: Instant) -> Option<(Exchange, Manner)> {
        match self.lock().remove(&correlation)? {
            (Kept::Vouched(exchange, manner), until) if now < until => Some((exchange, manner)),
            _ => None,
        }
    }

    /// Gives for whom the answer is, once.
    pub(super) fn answered_for(&self, correlation: Correlation, now: Instant) -> Option<Recipient> {
        match self.lock().remove(&correlation)? {
            (Kept::For(recipient), until) if now < until => Some(recipient),
            _ => None,
        }
    }

    /// Forgets those that nobody asked for.
    pub(super) fn sweep(&self, now: Instant) {
        self.lock().retain(|_, (_, until)| now < *until);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Correlation, (Kept, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange(first: u8) -> Exchange {
        Exchange {
            endpoint: Text::new("/sts").unwrap(),
            key: Zeroizing::new(vec![first; 32]),
            sha1: [0; 20],
            sealing: None,
            opened: Vec::new(),
            unseen: None,
            verified: None,
        }
    }

    #[test]
    fn a_key_is_not_written_out() {
        assert_eq!(format!("{:?}", exchange(7)), r#"Exchange { endpoint: "/sts", .. }"#);
    }

    #[test]
    fn a_key_is_good_once_and_for_so_long() {
        let (exchanges, now, name) = (Exchanges::default(), Instant::now(), |octet| Correlation([octet; 16]));
        exchanges.keep(name(1), exchange(1), now).unwrap();
        assert_eq!(exchanges.keep(name(1), exchange(2), now), Err(NotKept::Twice));
        assert!(exchanges.take(name(2), now).is_none());
        assert_eq!(exchanges.take(name(1), now + TO_SUBMIT - Duration::from_millis(1)).unwrap().key[0], 1);
        assert!(exchanges.take(name(1), now).is_none());
        exchanges.keep(name(1), exchange(1), now).unwrap();
        assert!(exchanges.take(name(1), now + TO_SUBMIT).is_none());
        exchanges.keep(name(1), exchange(1), now).unwrap();
        exchanges.sweep(now + TO_SUBMIT);
        assert!(exchanges.lock().is_empty());
    }

    #[test]
    fn an_answer_has_the_key_of_what_was_vouched_for_once_and_a_submission_has_not() {
        let (exchanges, now, name) = (Exchanges::default(), Instant::now(), Correlation([1; 16]));
        let manner = Manner { algorithm: MacAlgorithm::HmacSha256, derived: Some(24) };
        exchanges.keep(name, exchange(1), now).unwrap();
        assert!(exchanges.answered(name, now).is_none(), "not submitted");
        let keep = || exchanges.vouched(name, exchange(1), manner, now);
        keep();
        assert_eq!(exchanges.keep(name, exchange(2), now), Err(NotKept::Twice));
        assert!(exchanges.take(name, now).is_none(), "submitted already");
        assert!(exchanges.answered(name, now).is_none(), "gone by then");
        keep();
        assert_eq!(exchanges.answered(name, now).unwrap().1, manner);
        assert!(exchanges.answered(name, now).is_none());
        keep();
        assert!(exchanges.answered(name, now + TO_ANSWER).is_none());
    }

    #[test]
    fn of_answers_that_nobody_asks_for_the_oldest_goes() {
        let (exchanges, now) = (Exchanges::default(), Instant::now());
        let name = |number: usize| Correlation((number as u128).to_be_bytes());
        let manner = Manner { algorithm: MacAlgorithm::HmacSha256, derived: None };
        exchanges.keep(name(0), exchange(0), now).unwrap();
        for number in 1..=MOST + 1 {
            let at = now + Duration::from_micros(number as u64);
            exchanges.vouched(name(number), exchange(1), manner, at);
        }
        assert!(exchanges.answered(name(1), now).is_none());
        assert!(exchanges.answered(name(2), now).is_some() && exchanges.answered(name(MOST + 1), now).is_some());
        assert!(exchanges.take(name(0), now).is_some(), "what was opened has room of its own");
    }

    #[test]
    fn an_answer_for_somebody_is_for_him_once_and_for_so_long() {
        let (exchanges, now, name) = (Exchanges::default(), Instant::now(), Correlation([1; 16]));
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
        let pem = rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&pair).unwrap().pem();
        let certificate = crate::config::auth::certificate::Certificate::from_pem(&pem).unwrap();
        let keep = || exchanges.vouched_for(name, Recipient::of(&certificate).unwrap(), now);
        keep();
        assert!(exchanges.take(name, now).is_none() && exchanges.answered_for(name, now).is_none(), "gone by then");
        keep();
        assert!(exchanges.answered(name, now).is_none() && exchanges.answered_for(name, now).is_none(), "no MAC");
        keep();
        assert!(exchanges.answered_for(name, now).is_some() && exchanges.answered_for(name, now).is_none());
        keep();
        assert!(exchanges.answered_for(name, now + TO_ANSWER).is_none());
    }

    #[test]
    fn a_channel_has_so_many_and_room_again_when_they_are_past() {
        let (exchanges, now) = (Exchanges::default(), Instant::now());
        let keep = |number: u128, at| exchanges.keep(Correlation(number.to_be_bytes()), exchange(0), at);
        for number in 0..MOST as u128 {
            keep(number, now).unwrap();
        }
        assert_eq!(keep(MOST as u128, now), Err(NotKept::Full));
        // Nor does a stranger take the place of a message that was verified first.
        let verified = Exchange { verified: Some([1; 32]), ..exchange(0) };
        let name = Correlation([254; 16]);
        exchanges.keep(name, verified, now).unwrap();
        assert!(exchanges.take(name, now).is_some());
        // Who was vouched for has a place all the same.
        let (name, manner) = (Correlation([255; 16]), Manner { algorithm: MacAlgorithm::HmacSha256, derived: None });
        exchanges.vouched(name, exchange(0), manner, now);
        assert!(exchanges.answered(name, now).is_some());
        keep(MOST as u128, now + TO_SUBMIT).unwrap();
        assert_eq!(exchanges.lock().len(), 1);
    }
}
