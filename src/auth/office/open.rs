//! Opening what a client has sealed, so that its worker can read it. The session key never leaves this process, and is
//! gone when its parts are open, unless a MAC is to be judged by it, or a signature that covers what was sealed.
//! Whatever is wrong has one answer: without a key a random one is tried, so that a padding that was wrong looks like a
//! tag that was (R-W051, A-20).

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use zeroize::Zeroizing;

use super::super::cipher;
use super::super::derive::derived;
use super::super::exchanges::{Exchange, Exchanges, NotKept};
use super::super::reason::Reason;
use super::super::store::Kind;
use super::super::throttle::{Budgets, Pace, network};
use super::super::timestamp;
use super::Office;
use crate::config::auth::{Auth, ThrottleRules};
use crate::sys::failpoint::failpoint;
use crate::wire::derivation::PartKey;
use crate::wire::evidence::Refused;
use crate::wire::frame::Violation;
use crate::wire::ids::Peer;
use crate::wire::links::AuthToWorker;
use crate::wire::unwrap::{MOST_PART_OCTETS, MOST_PARTS, NotUnwrapped, Open, Opened, SealedPart, Unwrap};
use crate::wire::{List, Millis, Secret, Text};

/// Where a session key is, so that its account is known: a partner uses up none of those in what an account signs
/// itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Found {
    /// Beside a message that the account has signed.
    Message,
    /// In an assertion about it that its partner has signed.
    Assertion,
}

/// How many session keys come from where, or from whom where that is known. Nothing is paid back.
#[derive(Debug, Default)]
pub(super) struct Unwraps {
    hasher: RandomState,
    /// Each worker has a table of its own: one that invents addresses fills no other's.
    budgets: Mutex<HashMap<Peer, Budgets>>,
}

impl Unwraps {
    /// May one more be opened? An address is a worker's word, so its budget belongs to that worker.
    pub(super) fn admit(&self, rules: &ThrottleRules, from: (Peer, IpAddr), now: Instant) -> bool {
        self.pay(rules, (from.0, self.hasher.hash_one(network(from.1))), now)
    }

    /// The same for one that is found so, of this account. Such have a table of their own, for anybody can seal one.
    pub(super) fn admit_proven(
        &self,
        rules: &ThrottleRules,
        (worker, found, account): (Peer, Found, &Text<256>),
        now: Instant,
    ) -> bool {
        self.pay(rules, (worker, self.hasher.hash_one((found, account.as_str()))), now)
    }

    fn pay(&self, rules: &ThrottleRules, (worker, key): (Peer, u64), now: Instant) -> bool {
        let pace = Pace::new(rules.unwrap_burst, rules.unwrap_per_minute);
        let mut budgets = self.budgets.lock().unwrap_or_else(PoisonError::into_inner);
        budgets.entry(worker).or_default().pay(key, pace, now).is_some()
    }

    /// The worker's last channel is over. What issuer lets its process have opened does not begin anew.
    pub(super) fn gone(&self, worker: Peer) {
        self.budgets.lock().unwrap_or_else(PoisonError::into_inner).remove(&worker);
    }
}

type Parts = List<Secret<MOST_PART_OCTETS>, MOST_PARTS>;

impl Office {
    /// Opens the parts of one message.
    ///
    /// # Errors
    /// A violation when one of this request was opened before and has not been submitted yet.
    pub(in crate::auth) async fn open(
        &self,
        worker: Peer,
        exchanges: &Exchanges,
        open: Open,
    ) -> Result<AuthToWorker, Violation> {
        let (correlation, source) = (open.correlation, open.source);
        let opened = self.parts(&self.config(), worker, open).await;
        let kept = opened.and_then(|(parts, exchange)| {
            let kept = exchange.map(|(exchange, is_needed)| {
                exchanges.keep(correlation, exchange, Instant::now()).map_err(|why| (why, is_needed))
            });
            let kept = kept.transpose();
            match kept {
                // Most of those that are signed were so before they were sealed.
                Ok(_) | Err((NotKept::Full, false)) => Ok(Some(parts)),
                Err((NotKept::Full, true)) => Err(Reason::TooManyKeys),
                Err((NotKept::Twice, _)) => Ok(None),
            }
        });
        match kept {
            Ok(None) => Err(Violation::Rule("a second message opened for one request")),
            Ok(Some(parts)) => {
                self.gauges.opened.inc();
                Ok(AuthToWorker::Opened(Opened { correlation, parts }))
            }
            Err(reason) => {
                self.strangers.note(source, reason, correlation, None);
                self.gauges.decisions.with_label_values(&[reason.word()]).inc();
                Ok(AuthToWorker::Refused(Refused { correlation, refusal: reason.refusal() }))
            }
        }
    }

    /// What is in the parts, and the key where it is kept, and whether the message is nothing without.
    async fn parts(
        &self,
        config: &Auth,
        worker: Peer,
        open: Open,
    ) -> Result<(Parts, Option<(Exchange, bool)>), Reason> {
        let Open { endpoint, source, recipient, transport, sealed, parts, .. } = open;
        let rules = config.endpoints.get(endpoint.as_str()).ok_or(Reason::Endpoint)?;
        if !rules.encryption {
            return Err(Reason::Credential);
        }
        if !self.unwraps.admit(&config.throttle, (worker, source), Instant::now()) {
            return Err(Reason::TooManyKeys);
        }
        let once = sha256(&sealed);
        let mut sha1 = [0; 20];
        sha1.copy_from_slice(digest(&SHA1_FOR_LEGACY_USE_ONLY, &sealed).as_ref());
        let unwrap = Unwrap { serial: 0, worker, proven: false, recipient, transport, sealed };
        let key = match self.vouchers.unwrap(unwrap, config.limits.issuer_deadline).await {
            Ok(key) => Some(key),
            Err(NotUnwrapped::Unopened) => None,
            Err(NotUnwrapped::Rate) => return Err(Reason::TooManyKeys),
            Err(NotUnwrapped::Unavailable | NotUnwrapped::NotYet) => return Err(Reason::NotUnwrapped),
        };
        let key = key.as_ref().map(|key| key.expose());
        if rules.password_symmetric && parts.is_empty() {
            // Nothing shows yet whether the key is right. The MAC does, and then what is good once is remembered: what
            // did not open goes the same way until then.
            let mut other = Zeroizing::new(vec![0; 32]);
            getrandom::fill(&mut other).map_err(|_| Reason::NotUnwrapped)?;
            let key = key.map_or(other, |key| Zeroizing::new(key.to_vec()));
            let (sealing, opened, unseen) = (None, Vec::new(), Some(once));
            let exchange = Exchange { endpoint, key, sha1, sealing, opened, unseen, verified: None };
            return Ok((Parts::default(), Some((exchange, true))));
        }
        let within = opened(&parts, key)?;
        // Whatever covers the body may cover it as it was sealed, and nobody who has not the key could say what was in
        // it.
        let kept = rules.password_symmetric || rules.signature || rules.saml || rules.sender_vouches;
        let kept = key.filter(|_| kept).map(|key| Zeroizing::new(key.to_vec()));
        let by = |part: &SealedPart| Some(part.key.clone()).filter(|_| part.wrapped.is_none());
        let opened = parts.iter().map(|part| (sha256(&part.octets), by(part))).collect();
        let sealing = parts.first().map(|part| (part.cipher, part.key != PartKey::Session));
        let exchange = kept.map(|key| Exchange { endpoint, key, sha1, sealing, opened, unseen: None, verified: None });
        let kept = exchange.map(|exchange| (exchange, rules.password_symmetric));
        // Last, so that only what was sealed for us takes a place in the store, and no faster than keys are opened.
        match self.first_seen(Kind::CipherValue, &once, timestamp::until(Millis::now())).await {
            Ok(()) => {
                failpoint("unsealed");
                Ok((within, kept))
            }
            Err(Reason::Replayed) => Err(Reason::ReplayedKey),
            Err(reason) => Err(reason),
        }
    }
}

fn sha256(octets: &[u8]) -> [u8; 32] {
    let mut name = [0; 32];
    name.copy_from_slice(digest(&SHA256, octets).as_ref());
    name
}

/// What is in every part, or nothing. All of them are tried whatever became of the first.
fn opened(parts: &[SealedPart], key: Option<&[u8]>) -> Result<Parts, Reason> {
    let mut other = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *other).map_err(|_| Reason::NotUnwrapped)?;
    let mut within = Vec::new();
    for SealedPart { key: by, wrapped, cipher, octets } in parts {
        let length = cipher.key_length();
        let key = match by {
            PartKey::Session => {
                Zeroizing::new(key.filter(|key| key.len() == length).unwrap_or(&other[..length]).to_vec())
            }
            // Derived from whatever there is: what did not open takes as long. One of another length opens nothing.
            PartKey::Derived(by) => derived(key.unwrap_or(&*other), by),
        };
        // One of another length wraps nothing here either, and what cannot be unwrapped takes as long, too.
        let random = || Zeroizing::new(other[..length].to_vec());
        let key = match wrapped {
            Some(wrapped) => {
                let key = if key.len() == length { key } else { random() };
                cipher::unwrap(&key, wrapped).unwrap_or_else(random)
            }
            None => key,
        };
        within.push(cipher::open(*cipher, &key, octets));
    }
    if within.is_empty() {
        return Err(Reason::Unopened);
    }
    let within = within.into_iter().map(|part| Secret::new(part?.as_slice()).ok()).collect::<Option<Vec<_>>>();
    within.and_then(|within| List::new(within).ok()).ok_or(Reason::Unopened)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Octets;
    use crate::wire::derivation::Derivation;
    use crate::wire::unwrap::PartCipher;
    use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, Algorithm, LessSafeKey, Nonce, UnboundKey};

    fn sealed(algorithm: &'static Algorithm, cipher: PartCipher, key: &[u8], plain: &[u8]) -> SealedPart {
        let key = LessSafeKey::new(UnboundKey::new(algorithm, key).unwrap());
        let mut octets = plain.to_vec();
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key([7; 12]), Aad::empty(), &mut octets).unwrap();
        let octets = Octets::new([&[7; 12][..], &octets].concat()).unwrap();
        SealedPart { key: PartKey::Session, wrapped: None, cipher, octets }
    }

    #[test]
    fn every_part_opens_or_none_is_given() {
        let key = [5; 32];
        let part = |plain: &[u8]| sealed(&AES_256_GCM, PartCipher::Aes256Gcm, &key, plain);
        let both = opened(&[part(b"one"), part(b"")], Some(&key)).unwrap();
        assert_eq!(both.iter().map(|part| part.expose().to_vec()).collect::<Vec<_>>(), [b"one".to_vec(), Vec::new()]);
        let short = sealed(&AES_128_GCM, PartCipher::Aes128Gcm, &key[..16], b"one");
        let spoilt = |at: usize| {
            let mut octets = part(b"one").octets.into_vec();
            octets[at] ^= 1;
            SealedPart { octets: Octets::new(octets).unwrap(), ..part(b"") }
        };
        let cut = |length: usize| {
            let octets = Octets::new(&part(b"one").octets[..length]).unwrap();
            SealedPart { octets, ..part(b"") }
        };
        for bad in [
            vec![],
            vec![part(b"one"), short],
            vec![part(b"one"), spoilt(0)],
            vec![spoilt(12), part(b"one")],
            vec![part(b"one"), spoilt(30)],
            vec![cut(0)],
            vec![cut(12)],
            vec![cut(27)],
            vec![cut(30)],
        ] {
            assert_eq!(opened(&bad, Some(&key)).unwrap_err(), Reason::Unopened, "{bad:?}");
        }
        for key in [None, Some(&[6; 32][..]), Some(&key[..16]), Some(&key[..24])] {
            assert_eq!(opened(&[part(b"one")], key).unwrap_err(), Reason::Unopened);
        }
    }

    #[test]
    fn a_part_opens_by_the_key_that_is_derived_for_it_and_by_no_other() {
        let session = [5; 16];
        let by = |first: u8, length| Derivation::new(None, [first; 16], 0, length).unwrap();
        let part = |made: Derivation, told: Derivation| {
            let part = sealed(&AES_256_GCM, PartCipher::Aes256Gcm, &derived(&session, &made), b"one");
            SealedPart { key: PartKey::Derived(told), ..part }
        };
        let good = opened(&[part(by(1, 32), by(1, 32)), part(by(2, 32), by(2, 32))], Some(&session)).unwrap();
        assert!(good.iter().all(|part| part.expose() == b"one"));
        for bad in [part(by(1, 32), by(2, 32)), part(by(1, 32), by(1, 16)), part(by(1, 32), by(1, 33))] {
            assert_eq!(opened(&[bad], Some(&session)).unwrap_err(), Reason::Unopened);
        }
        assert_eq!(opened(&[part(by(1, 32), by(1, 32))], None).unwrap_err(), Reason::Unopened);
        let direct = SealedPart { key: PartKey::Session, ..part(by(1, 32), by(1, 32)) };
        assert_eq!(opened(&[direct], Some(&session)).unwrap_err(), Reason::Unopened);
    }

    #[test]
    fn a_part_opens_by_its_own_key_where_the_right_one_wraps_that() {
        use aws_lc_rs::key_wrap::{AES_128, AES_256, AesKek, KeyWrap};
        let wrap = |by: &[u8], key: &[u8]| {
            let algorithm = if by.len() == 16 { &AES_128 } else { &AES_256 };
            let mut octets = vec![0; key.len() + 8];
            AesKek::new(algorithm, by).unwrap().wrap(key, &mut octets).unwrap();
            Some(Octets::new(octets).unwrap())
        };
        let (session, own) = ([5; 32], [9; 32]);
        let part = |wrapped| SealedPart { wrapped, ..sealed(&AES_256_GCM, PartCipher::Aes256Gcm, &own, b"one") };
        let good = opened(&[part(wrap(&session, &own))], Some(&session)).unwrap();
        assert_eq!(good[0].expose(), b"one");
        let by = Derivation::new(None, [1; 16], 0, 32).unwrap();
        let derives = SealedPart { key: PartKey::Derived(by.clone()), ..part(wrap(&derived(&session, &by), &own)) };
        assert_eq!(opened(&[derives], Some(&session)).unwrap()[0].expose(), b"one");
        let short = Derivation::new(None, [1; 16], 0, 16).unwrap();
        let wrapped = wrap(&derived(&session, &short), &own);
        let derives_short = SealedPart { key: PartKey::Derived(short), ..part(wrapped) };
        let spoilt = {
            let mut octets = wrap(&session, &own).unwrap().into_vec();
            octets[39] ^= 1;
            Some(Octets::new(octets).unwrap())
        };
        for (what, bad, session) in [
            ("no key", part(wrap(&session, &own)), None),
            ("another session key", part(wrap(&session, &own)), Some(&[6; 32][..])),
            ("a shorter one", part(wrap(&session[..16], &own)), Some(&session[..16])),
            ("wrapped by another", part(wrap(&own, &own)), Some(&session)),
            ("another is wrapped", part(wrap(&session, &session)), Some(&session)),
            ("a shorter is wrapped", part(wrap(&session, &own[..16])), Some(&session)),
            ("spoilt", part(spoilt), Some(&session)),
            ("by a derived key of another length", derives_short, Some(&session)),
            ("nothing is wrapped", part(Some(Octets::new([]).unwrap())), Some(&session)),
            ("its own key is told to be the session key", part(None), Some(&session)),
        ] {
            assert_eq!(opened(&[bad], session).unwrap_err(), Reason::Unopened, "{what}");
        }
    }

    #[test]
    fn an_address_has_so_many_opened_through_one_worker() {
        let mut rules = crate::auth::throttle::tests::RULES;
        (rules.unwrap_burst, rules.unwrap_per_minute) = (3, 60);
        let (unwraps, now) = (Unwraps::default(), Instant::now());
        let at = |last: u8| IpAddr::from([192, 0, 2, last]);
        assert!((0..3).all(|_| unwraps.admit(&rules, (Peer(1), at(1)), now)));
        assert!(!unwraps.admit(&rules, (Peer(1), at(1)), now));
        assert!(unwraps.admit(&rules, (Peer(1), at(2)), now) && unwraps.admit(&rules, (Peer(2), at(1)), now));
        assert!(unwraps.admit(&rules, (Peer(1), at(1)), now + std::time::Duration::from_secs(1)));
        unwraps.gone(Peer(1));
        assert_eq!(unwraps.budgets.lock().unwrap().len(), 1);
        let account = |name| Text::new(name).unwrap();
        let admit = |found, name| unwraps.admit_proven(&rules, (Peer(3), found, &account(name)), now);
        assert!((0..3).all(|_| admit(Found::Assertion, "a")));
        assert!(!admit(Found::Assertion, "a"));
        assert!(admit(Found::Assertion, "b") && admit(Found::Message, "a"));
    }
}
