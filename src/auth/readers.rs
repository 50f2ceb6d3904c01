//! What auth reads of octets that no worker has read before, as functions of octets: for whoever hunts for those that a
//! reader does not stand (`tests/fuzz`). Each says whether they are what it reads.

use super::directory::is_answer;
use super::{handshake, issued, ocsp, sealed};
use crate::config::auth::certificate::Certificate;
use crate::wire::Octets;
use crate::wire::evidence::{ClientHandshake, KeyReference, TlsVersion};

/// An answer of a directory's server to the question of number 1: what is in an `LDAPMessage` (RFC 4511 4.1.1).
#[must_use]
pub fn answer(octets: &[u8]) -> bool {
    is_answer(octets, 1)
}

/// An answer of an OCSP responder (RFC 6960 4.2), as it comes over the wire, or what is signed in one, as if somebody
/// had: then it is read to its end.
#[must_use]
pub fn revocation(octets: &[u8]) -> bool {
    ocsp::is_answer(octets)
}

/// The messages of a TLS handshake in which a client proves a certificate (RFC 8446 4.4.3, RFC 5246 7.4.8). What it
/// shows lies in them.
///
/// # Panics
/// When a certificate that it shows is not in them.
#[must_use]
pub fn messages(version: TlsVersion, octets: &[u8]) -> bool {
    let Ok(messages) = Octets::new(octets) else { return false };
    let signature = Octets::new([7; 64]).unwrap_or_default();
    let handshake = ClientHandshake { version, messages, scheme: 0x0403, signature };
    let Some(shown) = handshake::read(&handshake) else { return false };
    let within = |der: &[u8]| !der.is_empty() && octets.windows(der.len()).any(|window| window == der);
    assert!(within(shown.server), "the server's certificate is in the messages");
    for der in &shown.certificates {
        assert!(within(der), "the client's certificates are in the messages");
        if let Ok(certificate) = Certificate::from_der(der.to_vec()) {
            let _hardly = shown.proven_by(&certificate);
        }
    }
    true
}

/// What was in a body that was signed as it was sealed: whoever sealed it may have signed what he has not read.
#[must_use]
pub fn body(octets: &[u8]) -> bool {
    sealed::is_content(octets)
}

/// Certificates one behind the other, the last of which signed: `X509PKIPathv1` (R-W033).
#[must_use]
pub fn path(octets: &[u8]) -> bool {
    let Ok(path) = Octets::new(octets) else { return false };
    let reference = KeyReference::Path(path);
    let Some((signer, brought)) = issued::apart(&reference) else { return false };
    let length = |reference: &KeyReference| match reference {
        KeyReference::Certificate(der) => der.len(),
        _ => 0,
    };
    let all: usize = brought.iter().map(|der| der.len()).sum();
    assert!(all + length(&signer) < octets.len(), "they lie in the path one behind the other");
    true
}
