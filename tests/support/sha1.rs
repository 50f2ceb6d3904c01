//! RSA with SHA-1, as old clients and partners sign, and digests by SHA-1. What the product is built on does not sign
//! so: it is done here by the book (RFC 8017 8.2 and 9.2), by arithmetic that takes no care of a secret.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64ct::{Base64, Encoding};
use chancery::wire::Octets;
use chancery::wire::evidence::{SignatureAlgorithm, SignedMessage};
use x509_parser::der_parser::ber::BerObject;
use x509_parser::der_parser::der::parse_der;
use x509_parser::num_bigint::BigUint;

use super::signed::{Client, Part};

/// `DigestInfo` of SHA-1, up to the digest.
const DIGEST_INFO: [u8; 15] =
    [0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00, 0x04, 0x14];
const RSA_SHA256: &str = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";
const RSA_SHA1: &str = "http://www.w3.org/2000/09/xmldsig#rsa-sha1";
const SHA256: &str = "http://www.w3.org/2001/04/xmlenc#sha256";
const SHA1: &str = "http://www.w3.org/2000/09/xmldsig#sha1";

fn members(der: &[u8]) -> Vec<BerObject<'_>> {
    parse_der(der).expect("DER").1.as_sequence().expect("a sequence").clone()
}

/// The signature of these octets by an RSA key, PKCS#8.
pub(crate) fn signature(pkcs8: &[u8], octets: &[u8]) -> Vec<u8> {
    let outer = members(pkcs8);
    let key = members(outer[2].as_slice().expect("octets"));
    let [modulus, secret] = [1, 3].map(|at| BigUint::from_bytes_be(key[at].as_slice().expect("a number")));
    let length = modulus.to_bytes_be().len();
    let digest = digest(&SHA1_FOR_LEGACY_USE_ONLY, octets);
    let mut encoded = vec![0xFF; length];
    encoded[..2].copy_from_slice(&[0, 1]);
    let info = [&[0], &DIGEST_INFO[..], digest.as_ref()].concat();
    encoded[length - info.len()..].copy_from_slice(&info);
    let value = BigUint::from_bytes_be(&encoded).modpow(&secret, &modulus).to_bytes_be();
    [vec![0; length - value.len()], value].concat()
}

/// `SignedInfo` that says it is signed so.
pub(crate) fn by_rsa(info: &str) -> String {
    assert!(info.contains(RSA_SHA256), "{info}");
    info.replace(RSA_SHA256, RSA_SHA1)
}

/// `SignedInfo` whose reference to these octets, which it digests by SHA-256, digests them by SHA-1.
pub(crate) fn digesting(info: &str, octets: &str) -> String {
    let value = |function| Base64::encode_string(digest(function, octets.as_bytes()).as_ref());
    let named = |method: &str, value: &str| {
        format!("<ds:DigestMethod Algorithm=\"{method}\"></ds:DigestMethod><ds:DigestValue>{value}</ds:DigestValue>")
    };
    let before = named(SHA256, &value(&aws_lc_rs::digest::SHA256));
    assert!(info.contains(&before), "{info}");
    info.replace(&before, &named(SHA1, &value(&SHA1_FOR_LEGACY_USE_ONLY)))
}

/// How much of a message is by SHA-1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct By {
    /// Is its signature?
    pub(crate) rsa: bool,
    /// So many of its references are.
    pub(crate) references: usize,
}

/// A message of this client over these parts.
pub(crate) fn message(client: &Client, parts: &[Part], by: By) -> SignedMessage {
    let info = client.signed_info(parts);
    let info = parts.iter().take(by.references).fold(info, |info, part| digesting(&info, &part.octets));
    if by.rsa { over(client, &by_rsa(&info), parts) } else { client.over(&info, parts) }
}

/// A message by RSA with SHA-1, whatever its `SignedInfo` says.
pub(crate) fn over(client: &Client, info: &str, parts: &[Part]) -> SignedMessage {
    let value = Octets::new(signature(client.secret(), info.as_bytes())).expect("fits");
    SignedMessage { algorithm: SignatureAlgorithm::RsaSha1, value, ..client.over(info, parts) }
}
