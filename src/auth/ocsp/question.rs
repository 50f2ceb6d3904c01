//! The question whether one certificate was taken back: who issued it, its number, and how that is written (RFC 6960 4.1).

use aws_lc_rs::digest::{Algorithm, SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};

use crate::config::auth::der::{elements, row, whole_octets};
use crate::config::auth::responder::{CertIdHash, Issuer};

/// `id-sha1`, `id-sha256` and `id-pkix-ocsp-nonce`.
const SHA1_OID: &[u8] = &[0x2b, 0x0e, 0x03, 0x02, 0x1a];
const SHA256_OID: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];
pub(super) const NONCE: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x02];

const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;
const OID: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
const REQUEST_EXTENSIONS: u8 = 0xa2;

/// A certificate, as it is asked about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::auth) struct Question {
    /// Who issued it, and has signed it.
    pub(in crate::auth) issuer: Issuer,
    /// Its number there, the content of the integer.
    pub(in crate::auth) serial: Vec<u8>,
}

/// A nonce (RFC 9654: 32 octets).
pub(super) type Value = [u8; 32];

impl Question {
    /// `OCSPRequest`. None where the issuer's key is none.
    pub(super) fn written(&self, hash: CertIdHash, nonce: Option<&Value>) -> Option<Vec<u8>> {
        let (oid, by) = function(hash);
        let algorithm = value(SEQUENCE, &[&value(OID, &[oid]), &[5, 0]]);
        let (name, key) = self.hashed(by)?;
        let (name, key) = (value(OCTETS, &[&name]), value(OCTETS, &[&key]));
        let about = value(SEQUENCE, &[&algorithm, &name, &key, &value(INTEGER, &[&self.serial])]);
        let list = value(SEQUENCE, &[&value(SEQUENCE, &[&about])]);
        let extensions = nonce.map(|nonce| {
            let inner = value(OCTETS, &[&value(OCTETS, &[nonce])]);
            let one = value(SEQUENCE, &[&value(OID, &[NONCE]), &inner]);
            value(REQUEST_EXTENSIONS, &[&value(SEQUENCE, &[&one])])
        });
        Some(value(SEQUENCE, &[&value(SEQUENCE, &[&list, &extensions.unwrap_or_default()])]))
    }

    /// Is this `CertID`, the content of it, that of this certificate, written as it was asked?
    pub(super) fn is(&self, id: &[u8], hash: CertIdHash) -> bool {
        let read = || {
            let [algorithm, name, key, serial] = row(id)?;
            let (oid, by) = function(hash);
            let algorithm = elements(algorithm.content)?;
            let same = match &algorithm[..] {
                [own] => own.content == oid,
                // Parameters are NULL, or left out.
                [own, parameters] => own.content == oid && parameters.whole == [5, 0],
                _ => false,
            };
            let (own_name, own_key) = self.hashed(by)?;
            Some(same && name.content == own_name && key.content == own_key && serial.content == self.serial)
        };
        read() == Some(true)
    }

    /// Hashes of the issuer's name and of its key, the one with what is around it, the other without.
    fn hashed(&self, by: &'static Algorithm) -> Option<(Vec<u8>, Vec<u8>)> {
        let name = value(SEQUENCE, &[&self.issuer.name]);
        let key = bare(&self.issuer.key)?;
        Some((digest(by, &name).as_ref().to_vec(), digest(by, key).as_ref().to_vec()))
    }
}

/// The key in a `SubjectPublicKeyInfo`: the content of the bit string.
pub(super) fn bare(key: &[u8]) -> Option<&[u8]> {
    let [outer] = row(key)?;
    let [_, key] = row(outer.content)?;
    whole_octets(&key)
}

/// SHA-1 of a key, as a responder is named by.
pub(super) fn named(key: &[u8]) -> Option<Vec<u8>> {
    Some(digest(&SHA1_FOR_LEGACY_USE_ONLY, bare(key)?).as_ref().to_vec())
}

fn function(hash: CertIdHash) -> (&'static [u8], &'static Algorithm) {
    match hash {
        CertIdHash::Sha1 => (SHA1_OID, &SHA1_FOR_LEGACY_USE_ONLY),
        CertIdHash::Sha256 => (SHA256_OID, &SHA256),
    }
}

/// A value of DER.
fn value(tag: u8, content: &[&[u8]]) -> Vec<u8> {
    let content = content.concat();
    let octets = content.len().to_be_bytes();
    let length: Vec<u8> = octets.into_iter().skip_while(|octet| *octet == 0).collect();
    let head = match (u8::try_from(content.len()), u8::try_from(length.len())) {
        (Ok(short @ 0..=127), _) => vec![tag, short],
        (_, Ok(octets)) => [&[tag, 0x80 | octets][..], &length].concat(),
        (_, Err(_)) => Vec::new(),
    };
    [head, content].concat()
}
