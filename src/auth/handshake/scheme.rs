//! How a key verifies a TLS signature. The key decides what kind it may be; in TLS 1.3 the curve decides the hash
//! too, and RSA is PSS only (RFC 8446 4.2.3). TLS 1.2 leaves the hash to the client (RFC 8422 5.4). SHA-1 is nowhere.

use aws_lc_rs::signature::{self, VerificationAlgorithm};

use crate::config::auth::certificate::VerifyingKey;
use crate::wire::evidence::TlsVersion;

/// The algorithm for a `SignatureScheme`, if this key has it, and the key as it wants it.
pub(super) fn fitting(
    version: TlsVersion,
    key: &VerifyingKey,
    scheme: u16,
) -> Option<(&'static dyn VerificationAlgorithm, &[u8])> {
    use VerifyingKey as Key;
    let older = version == TlsVersion::V12;
    Some(match (key, scheme) {
        (Key::Rsa(key), 0x0804) => (&signature::RSA_PSS_2048_8192_SHA256, key),
        (Key::Rsa(key), 0x0805) => (&signature::RSA_PSS_2048_8192_SHA384, key),
        (Key::Rsa(key), 0x0806) => (&signature::RSA_PSS_2048_8192_SHA512, key),
        (Key::Rsa(key), 0x0401) if older => (&signature::RSA_PKCS1_2048_8192_SHA256, key),
        (Key::Rsa(key), 0x0501) if older => (&signature::RSA_PKCS1_2048_8192_SHA384, key),
        (Key::Rsa(key), 0x0601) if older => (&signature::RSA_PKCS1_2048_8192_SHA512, key),
        (Key::P256(key), 0x0403) => (&signature::ECDSA_P256_SHA256_ASN1, key),
        (Key::P384(key), 0x0503) => (&signature::ECDSA_P384_SHA384_ASN1, key),
        (Key::P521(key), 0x0603) => (&signature::ECDSA_P521_SHA512_ASN1, key),
        (Key::P256(key), 0x0503) if older => (&signature::ECDSA_P256_SHA384_ASN1, key),
        (Key::P384(key), 0x0403) if older => (&signature::ECDSA_P384_SHA256_ASN1, key),
        (Key::P521(key), 0x0403) if older => (&signature::ECDSA_P521_SHA256_ASN1, key),
        (Key::P521(key), 0x0503) if older => (&signature::ECDSA_P521_SHA384_ASN1, key),
        (Key::Ed25519(key), 0x0807) => (&signature::ED25519, key),
        _ => return None,
    })
}
