//! Signatures over certificates that were found to hold. Whether one holds follows from the key, the octets and the
//! value and from nothing else, so it is verified once, and known afterwards by a hash of the three. That is all that
//! is remembered: paths are built anew for each request, and dates, purposes, names, policies, anchors and what was
//! taken back judged anew. What does not hold is verified each time.
//!
//! webpki verifies from the anchor down, so only what was issued below an anchor comes here: whoever would fill this
//! needs an authority of the operator's that issues for him. Then what was not used lately goes, and costs its owner a
//! verification.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use aws_lc_rs::digest::{Context, SHA256};
use rustls_pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm};
use webpki::ALL_VERIFICATION_ALGS;

use crate::metrics::IntCounterVec;

/// Signatures that are remembered for longer than half of them are used again, and twice as many are remembered at all.
const HALF: usize = 4096;
/// How a signature was found to hold, for the counter.
pub(super) const OUTCOMES: [&str; 2] = ["verified", "known"];

/// SHA-256 of the algorithm, the key, the octets and the value.
type Name = [u8; 32];

/// What is remembered.
#[derive(Debug)]
pub(super) struct KnownSignatures {
    halves: Mutex<Halves>,
    counted: IntCounterVec,
}

/// What was used since the newer half was begun, and what was used while the older one was filled.
#[derive(Debug, Default)]
struct Halves {
    newer: HashSet<Name>,
    older: HashSet<Name>,
}

impl Halves {
    fn has(&mut self, name: &Name) -> bool {
        self.newer.contains(name) || (self.older.contains(name) && self.put(*name))
    }

    /// Puts a name into the newer half, whose turn it is to grow old when it is full.
    fn put(&mut self, name: Name) -> bool {
        if self.newer.len() == HALF {
            self.older = std::mem::take(&mut self.newer);
        }
        self.newer.insert(name)
    }
}

impl KnownSignatures {
    /// None yet. Those that hold are counted there, by [`OUTCOMES`].
    pub(super) fn new(counted: IntCounterVec) -> Self {
        Self { halves: Mutex::default(), counted }
    }

    /// Every algorithm that webpki has, each of which asks here first.
    pub(super) fn algorithms(&self) -> Vec<Remembering<'_>> {
        ALL_VERIFICATION_ALGS.iter().map(|algorithm| Remembering { algorithm: *algorithm, known: self }).collect()
    }

    /// Forgets all of them. What holds holds whoever is trusted, but then nobody need think about it.
    pub(super) fn forget(&self) {
        *self.halves() = Halves::default();
    }

    fn halves(&self) -> MutexGuard<'_, Halves> {
        self.halves.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An algorithm that verifies what is not known to hold.
#[derive(Debug)]
pub(super) struct Remembering<'k> {
    algorithm: &'k dyn SignatureVerificationAlgorithm,
    known: &'k KnownSignatures,
}

impl SignatureVerificationAlgorithm for Remembering<'_> {
    fn verify_signature(&self, public_key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        let (of_key, of_signature) = (self.public_key_alg_id(), self.signature_alg_id());
        let name = named([of_key.as_ref(), of_signature.as_ref(), public_key, message, signature]);
        let [verified, known] = OUTCOMES;
        if self.known.halves().has(&name) {
            self.known.counted.with_label_values(&[known]).inc();
            return Ok(());
        }
        self.algorithm.verify_signature(public_key, message, signature)?;
        self.known.halves().put(name);
        self.known.counted.with_label_values(&[verified]).inc();
        Ok(())
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.algorithm.public_key_alg_id()
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.algorithm.signature_alg_id()
    }
}

/// Each part with its length, so that no two lists of parts are one.
fn named(parts: [&[u8]; 5]) -> Name {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut name = [0; 32];
    name.copy_from_slice(context.finish().as_ref());
    name
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use rustls_pki_types::alg_id;

    use super::*;
    use crate::metrics::Metrics;

    /// Says of everything but `wrong` that it holds, and how often it was asked.
    #[derive(Debug, Default)]
    struct Counting(AtomicUsize);

    impl SignatureVerificationAlgorithm for Counting {
        fn verify_signature(&self, _: &[u8], _: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
            self.0.fetch_add(1, Ordering::Relaxed);
            if signature == b"wrong" { Err(InvalidSignature) } else { Ok(()) }
        }

        fn public_key_alg_id(&self) -> AlgorithmIdentifier {
            alg_id::RSA_ENCRYPTION
        }

        fn signature_alg_id(&self) -> AlgorithmIdentifier {
            alg_id::RSA_PKCS1_SHA256
        }
    }

    fn none() -> KnownSignatures {
        KnownSignatures::new(Metrics::new("test").counters("signatures_total", "-", "outcome", &OUTCOMES))
    }

    /// How often something is verified when these are asked about.
    fn verified(known: &KnownSignatures, asked: &[[&[u8]; 3]]) -> usize {
        let counting = Counting::default();
        let algorithm = Remembering { algorithm: &counting, known };
        for [key, message, signature] in asked {
            let holds = algorithm.verify_signature(key, message, signature);
            assert_eq!(holds.is_ok(), *signature != b"wrong");
        }
        counting.0.into_inner()
    }

    #[test]
    fn one_that_holds_is_verified_once_and_one_that_does_not_each_time() {
        let known = none();
        let (good, bad): ([&[u8]; 3], [&[u8]; 3]) = ([b"key", b"octets", b"value"], [b"key", b"octets", b"wrong"]);
        assert_eq!((verified(&known, &[good; 3]), verified(&known, &[bad; 3])), (1, 3));
        assert_eq!(verified(&known, &[good]), 0);
        known.forget();
        assert_eq!(verified(&known, &[good]), 1);
    }

    #[test]
    fn another_key_other_octets_and_another_value_are_verified() {
        let known = none();
        let first: [&[u8]; 3] = [b"key", b"octets", b"value"];
        let others: [[&[u8]; 3]; 6] = [
            [b"other", b"octets", b"value"],
            [b"key", b"other", b"value"],
            [b"key", b"octets", b"other"],
            // The same octets, cut elsewhere.
            [b"keyo", b"ctets", b"value"],
            [b"key", b"octetsv", b"alue"],
            [b"", b"keyoctets", b"value"],
        ];
        assert_eq!(verified(&known, &[first]), 1);
        assert_eq!(verified(&known, &others), others.len());
    }

    #[test]
    fn there_is_an_end_to_them_and_what_is_used_stays() {
        let known = none();
        let used: [&[u8]; 3] = [b"key", b"octets", b"used"];
        assert_eq!(verified(&known, &[used]), 1);
        for number in 0..u32::try_from(4 * HALF).unwrap() {
            assert_eq!(verified(&known, &[[b"key", b"octets", &number.to_be_bytes()]]), 1);
            if number % 1000 == 0 {
                assert_eq!(verified(&known, &[used]), 0, "{number}");
            }
        }
        let halves = known.halves();
        assert!(halves.newer.len() <= HALF && halves.older.len() <= HALF);
        drop(halves);
        assert_eq!(verified(&known, &[[b"key", b"octets", &[0; 4]]]), 1, "what was not used is forgotten");
    }
}
