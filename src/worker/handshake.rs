//! The server's TLS key, as far as this process has one: a signer that reads what rustls is about to have
//! signed, and asks issuer for a signature over *that handshake*. Issuer builds the octets itself; nothing
//! that is not a server handshake can be asked for. Where the client is asked for a certificate, issuer is to remember
//! the handshake; then RSA signs by PSS alone, for by PKCS#1 it signs the same octets alike twice.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustls::sign::{Signer, SigningKey};
use rustls::{Error, SignatureAlgorithm, SignatureScheme};
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::counters::Counters;
use super::peers::Issuer;
use crate::config::worker::Kind;
use crate::wire::Octets;
use crate::wire::links::{Handshake, Scheme, Transcript};

/// What a TLS 1.3 server signs begins with this, then the transcript hash (RFC 8446 4.4.3).
const TLS13: &[u8; 98] =
    b"                                                                TLS 1.3, server CertificateVerify\0";
/// `ECCurveType.named_curve` (RFC 8422 5.4).
const NAMED_CURVE: u8 = 3;
/// Threads that may be blocked in [`Signer::sign`] at once. The queue in front of handshakes lets no more in.
pub(super) const BLOCKED: u32 = 256;

/// A key in the token, known to issuer by its certificate.
#[derive(Clone)]
pub(super) struct RemoteKey {
    shared: Arc<Shared>,
    /// Is issuer to remember what it signs?
    remembered: bool,
}

struct Shared {
    certificate: [u8; 32],
    kind: Kind,
    issuer: Issuer,
    timeout: Duration,
    blocked: AtomicU32,
    counters: Counters,
}

impl Kind {
    /// Schemes this kind can sign with, best first.
    fn schemes(self) -> &'static [(SignatureScheme, Scheme)] {
        match self {
            Self::Rsa => &[
                (SignatureScheme::RSA_PSS_SHA256, Scheme::RsaPssSha256),
                (SignatureScheme::RSA_PSS_SHA384, Scheme::RsaPssSha384),
                (SignatureScheme::RSA_PKCS1_SHA256, Scheme::RsaPkcs1Sha256),
            ],
            Self::P256 => &[(SignatureScheme::ECDSA_NISTP256_SHA256, Scheme::EcdsaP256Sha256)],
            Self::P384 => &[(SignatureScheme::ECDSA_NISTP384_SHA384, Scheme::EcdsaP384Sha384)],
        }
    }
}

impl RemoteKey {
    /// The key of the certificate with this SHA-256; each signature may take `timeout`.
    pub(super) fn new(
        certificate: [u8; 32],
        kind: Kind,
        issuer: Issuer,
        timeout: Duration,
        counters: Counters,
    ) -> Self {
        let shared = Shared { certificate, kind, issuer, timeout, blocked: AtomicU32::new(0), counters };
        Self { shared: Arc::new(shared), remembered: false }
    }

    /// The same key, for handshakes that issuer is to remember.
    pub(super) fn remembered(&self) -> Self {
        Self { remembered: true, ..self.clone() }
    }
}

impl std::fmt::Debug for RemoteKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("RemoteKey").field(&self.shared.kind).finish()
    }
}

impl SigningKey for RemoteKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let alike = |scheme: &Scheme| self.remembered && *scheme == Scheme::RsaPkcs1Sha256;
        let mut schemes = self.shared.kind.schemes().iter().filter(|(_, asked)| !alike(asked));
        let chosen = schemes.find(|(scheme, _)| offered.contains(scheme))?;
        Some(Box::new(RemoteSigner { key: self.clone(), scheme: chosen.0, asked: chosen.1 }))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        match self.shared.kind {
            Kind::Rsa => SignatureAlgorithm::RSA,
            Kind::P256 | Kind::P384 => SignatureAlgorithm::ECDSA,
        }
    }
}

#[derive(Debug)]
struct RemoteSigner {
    key: RemoteKey,
    scheme: SignatureScheme,
    asked: Scheme,
}

thread_local! {
    /// Was a signature asked for on this thread, since somebody looked?
    static ASKED: Cell<bool> = const { Cell::new(false) };
}

/// Was one asked for by what has just been polled on this thread? rustls asks once for each handshake.
pub(super) fn was_asked() -> bool {
    ASKED.take()
}

/// A thread's place among the blocked; given back when dropped.
struct Blocked<'a>(&'a AtomicU32);

impl<'a> Blocked<'a> {
    fn enter(count: &'a AtomicU32) -> Option<Self> {
        if count.fetch_add(1, Ordering::Relaxed) >= BLOCKED {
            count.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        Some(Self(count))
    }
}

impl Drop for Blocked<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Signer for RemoteSigner {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        ASKED.set(true);
        let Shared { certificate, issuer, timeout, blocked, counters, .. } = &*self.key.shared;
        let transcript = transcript(message).ok_or_else(|| Error::General("not a server handshake".to_owned()))?;
        let busy = || Error::General("too many handshakes".to_owned());
        let _place = Blocked::enter(blocked).ok_or_else(busy)?;
        let started = std::time::Instant::now();
        let handshake = Handshake { serial: 0, certificate: *certificate, scheme: self.asked, transcript };
        let signing = issuer.sign(handshake, self.key.remembered, Instant::now() + *timeout);
        // rustls signs inside a synchronous call. The thread gives its other tasks away before it waits,
        // here and not around the acceptor: a second ClientHello is signed in a later poll.
        let signature = tokio::task::block_in_place(|| Handle::current().block_on(signing));
        counters.handshake_signature.observe(started.elapsed().as_secs_f64());
        signature.ok_or_else(|| Error::General("no signature from issuer".to_owned()))
    }

    fn scheme(&self) -> SignatureScheme {
        self.scheme
    }
}

/// Reads back what rustls put together to be signed.
fn transcript(message: &[u8]) -> Option<Transcript> {
    if let Some(hash) = message.strip_prefix(TLS13) {
        return match hash.len() {
            32 | 48 => Some(Transcript::Tls13 { hash: Octets::new(hash).ok()? }),
            _ => None,
        };
    }
    let (client_random, rest) = message.split_first_chunk::<32>()?;
    let (server_random, rest) = rest.split_first_chunk::<32>()?;
    let [NAMED_CURVE, high, low, length, point @ ..] = rest else { return None };
    if point.len() != usize::from(*length) || point.is_empty() {
        return None;
    }
    Some(Transcript::Tls12 {
        client_random: *client_random,
        server_random: *server_random,
        curve: u16::from_be_bytes([*high, *low]),
        point: Octets::new(point).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tls_1_3_transcript_is_read_back() {
        for length in [32, 48] {
            let message = [&TLS13[..], &vec![7; length]].concat();
            let Some(Transcript::Tls13 { hash }) = transcript(&message) else { panic!("{length}") };
            assert_eq!(&hash[..], &vec![7; length][..]);
        }
        for length in [0, 31, 33, 64] {
            assert!(transcript(&[&TLS13[..], &vec![7; length]].concat()).is_none());
        }
    }

    #[test]
    fn a_tls_1_2_exchange_is_read_back_and_nothing_else() {
        let point = [4; 65];
        let message = [&[1; 32][..], &[2; 32], &[3, 0, 23, 65], &point].concat();
        let Some(Transcript::Tls12 { client_random, server_random, curve, point }) = transcript(&message) else {
            panic!("no transcript")
        };
        assert_eq!((client_random, server_random, curve, point.len()), ([1; 32], [2; 32], 23, 65));
        for cut in [0, 32, 64, 67, message.len() - 1] {
            assert!(transcript(&message[..cut]).is_none());
        }
        assert!(transcript(&[&message[..], &[0]].concat()).is_none());
        let mut explicit = message.clone();
        explicit[64] = 1;
        assert!(transcript(&explicit).is_none());
    }
}
