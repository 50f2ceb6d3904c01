//! What a client signs in TLS 1.3 is the hash of the messages so far, and rustls does not show these. So on listeners
//! that ask for certificates the cipher suites hash with a function that keeps what it hashed, up to a limit. rustls
//! takes a hash and hands it to the verifier in one go, on one thread: the last transcript that was hashed on this
//! thread is the one, and that its hash is the one signed is looked at.

use std::cell::RefCell;

use rustls::crypto::hash::{Context, Hash, HashAlgorithm, Output};
use rustls::crypto::{CipherSuiteCommon, CryptoProvider};
use rustls::{SupportedCipherSuite, Tls13CipherSuite};

use crate::wire::evidence::MOST_HANDSHAKE_OCTETS;

thread_local! {
    static LAST: RefCell<Option<Hashed>> = const { RefCell::new(None) };
}

struct Hashed {
    hash: Vec<u8>,
    octets: Vec<u8>,
}

/// The octets whose hash was taken last on this thread, when this was it and they are within the limit.
pub(super) fn last(hash: &[u8]) -> Option<Vec<u8>> {
    let last = LAST.take()?;
    (last.hash == hash).then_some(last.octets)
}

/// The same suites, those of TLS 1.3 with a hash function that keeps what it hashed. Made once: they live as long as
/// the process.
pub(super) fn keeping(provider: CryptoProvider) -> CryptoProvider {
    let cipher_suites = provider.cipher_suites.into_iter().map(suite).collect();
    CryptoProvider { cipher_suites, ..provider }
}

fn suite(suite: SupportedCipherSuite) -> SupportedCipherSuite {
    let SupportedCipherSuite::Tls13(plain) = suite else { return suite };
    let function: &'static Keeping = Box::leak(Box::new(Keeping(plain.common.hash_provider)));
    SupportedCipherSuite::Tls13(Box::leak(Box::new(Tls13CipherSuite {
        common: CipherSuiteCommon { hash_provider: function, ..plain.common },
        hkdf_provider: plain.hkdf_provider,
        aead_alg: plain.aead_alg,
        quic: None,
    })))
}

/// A hash function that keeps what it hashed.
struct Keeping(&'static dyn Hash);

impl Hash for Keeping {
    fn start(&self) -> Box<dyn Context> {
        Box::new(Transcript { inner: self.0.start(), octets: Some(Vec::new()) })
    }

    fn hash(&self, data: &[u8]) -> Output {
        self.0.hash(data)
    }

    fn output_len(&self) -> usize {
        self.0.output_len()
    }

    fn algorithm(&self) -> HashAlgorithm {
        self.0.algorithm()
    }

    fn fips(&self) -> bool {
        self.0.fips()
    }
}

struct Transcript {
    inner: Box<dyn Context>,
    /// None when there were more than are kept.
    octets: Option<Vec<u8>>,
}

impl Context for Transcript {
    fn fork_finish(&self) -> Output {
        let hash = self.inner.fork_finish();
        let hashed = |octets: &Vec<u8>| Hashed { hash: hash.as_ref().to_vec(), octets: octets.clone() };
        LAST.set(self.octets.as_ref().map(hashed));
        hash
    }

    fn fork(&self) -> Box<dyn Context> {
        Box::new(Self { inner: self.inner.fork(), octets: self.octets.clone() })
    }

    fn finish(self: Box<Self>) -> Output {
        self.inner.finish()
    }

    fn update(&mut self, data: &[u8]) {
        self.inner.update(data);
        match &mut self.octets {
            Some(octets) if octets.len() + data.len() <= MOST_HANDSHAKE_OCTETS => octets.extend_from_slice(data),
            over => *over = None,
        }
    }
}

#[cfg(test)]
mod tests {
    use rustls::crypto::aws_lc_rs::default_provider;

    use super::*;

    fn functions() -> impl Iterator<Item = &'static dyn Hash> {
        keeping(default_provider()).cipher_suites.into_iter().filter_map(|suite| match suite {
            SupportedCipherSuite::Tls13(suite) => Some(suite.common.hash_provider),
            SupportedCipherSuite::Tls12(_) => None,
        })
    }

    #[test]
    fn the_octets_behind_a_hash_are_given_once_and_for_that_hash_alone() {
        for function in functions() {
            let mut context = function.start();
            context.update(b"client hello");
            let mut other = context.fork();
            context.update(b", server hello");
            let hash = context.fork_finish();
            assert_eq!(hash.as_ref(), function.hash(b"client hello, server hello").as_ref());
            assert_eq!(last(hash.as_ref()).as_deref(), Some(&b"client hello, server hello"[..]));
            assert_eq!(last(hash.as_ref()), None);
            other.update(b"!");
            let other = other.fork_finish();
            assert_eq!(last(hash.as_ref()), None);
            assert_ne!(other.as_ref(), hash.as_ref());
        }
    }

    #[test]
    fn more_octets_than_are_handed_on_are_not_kept() {
        for function in functions() {
            let mut context = function.start();
            context.update(&vec![7; MOST_HANDSHAKE_OCTETS]);
            let hash = context.fork_finish();
            assert_eq!(last(hash.as_ref()).map(|octets| octets.len()), Some(MOST_HANDSHAKE_OCTETS));
            context.update(b"x");
            let hash = context.fork_finish();
            assert_eq!(last(hash.as_ref()), None);
        }
    }
}
