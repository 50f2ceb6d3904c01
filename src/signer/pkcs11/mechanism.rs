//! From issuer's mechanism to what the module is asked: which keys it fits, what stands around the digest,
//! how long the answer must be.

use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsPssParams};
use cryptoki::mechanism::{Mechanism as Asked, MechanismType};

use super::spki::Kind;
use crate::config::profile;
use crate::wire::links::Mechanism;

/// `DigestInfo` up to the digest (RFC 8017 9.2, note 1).
const SHA256: &[u8] =
    &[0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20];
const SHA384: &[u8] =
    &[0x30, 0x41, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02, 0x05, 0x00, 0x04, 0x30];
const SHA512: &[u8] =
    &[0x30, 0x51, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03, 0x05, 0x00, 0x04, 0x40];

/// One `C_Sign`, ready to be asked for.
pub(crate) struct Question {
    /// The mechanism with its parameters.
    pub(crate) mechanism: Asked<'static>,
    /// What is signed.
    pub(crate) data: Vec<u8>,
    /// Octets the signature must have.
    pub(crate) length: usize,
}

/// Puts a request into the module's terms; none when the digest has the wrong length, the key is of another
/// type, or the profile says that the token does not do it.
pub(crate) fn question(mechanism: Mechanism, key: Kind, digest: &[u8], profile: &profile::Sign) -> Option<Question> {
    if digest.len() != mechanism.digest_length() {
        return None;
    }
    let pss = |hash_alg, mgf, s_len: std::ffi::c_ulong| {
        Asked::RsaPkcsPss(PkcsPssParams { hash_alg, mgf, s_len: s_len.into() })
    };
    let (allowed, mechanism, prefix, length) = match (mechanism, key) {
        (Mechanism::RsaPkcs1Sha256, Kind::Rsa { octets }) => (profile.rsa_pkcs1, Asked::RsaPkcs, SHA256, octets),
        (Mechanism::RsaPkcs1Sha384, Kind::Rsa { octets }) => (profile.rsa_pkcs1, Asked::RsaPkcs, SHA384, octets),
        (Mechanism::RsaPkcs1Sha512, Kind::Rsa { octets }) => (profile.rsa_pkcs1, Asked::RsaPkcs, SHA512, octets),
        (Mechanism::RsaPssSha256, Kind::Rsa { octets }) => {
            (profile.rsa_pss, pss(MechanismType::SHA256, PkcsMgfType::MGF1_SHA256, 32), &[][..], octets)
        }
        (Mechanism::RsaPssSha384, Kind::Rsa { octets }) => {
            (profile.rsa_pss, pss(MechanismType::SHA384, PkcsMgfType::MGF1_SHA384, 48), &[][..], octets)
        }
        (Mechanism::EcdsaP256Sha256, Kind::P256) => (profile.ecdsa, Asked::Ecdsa, &[][..], 64),
        (Mechanism::EcdsaP384Sha384, Kind::P384) => (profile.ecdsa, Asked::Ecdsa, &[][..], 96),
        _ => return None,
    };
    allowed.then(|| Question { mechanism, data: [prefix, digest].concat(), length })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Mechanism; 7] = [
        Mechanism::RsaPkcs1Sha256,
        Mechanism::RsaPkcs1Sha384,
        Mechanism::RsaPkcs1Sha512,
        Mechanism::RsaPssSha256,
        Mechanism::RsaPssSha384,
        Mechanism::EcdsaP256Sha256,
        Mechanism::EcdsaP384Sha384,
    ];

    #[test]
    fn a_mechanism_fits_keys_of_its_own_type_and_digests_of_its_own_length() {
        let profile = profile::Sign::default();
        let fits = |mechanism: Mechanism, key, length| {
            question(mechanism, key, &vec![7; length], &profile).map(|question| question.length)
        };
        for mechanism in ALL {
            let rsa = fits(mechanism, Kind::Rsa { octets: 384 }, mechanism.digest_length());
            let p256 = fits(mechanism, Kind::P256, mechanism.digest_length());
            let p384 = fits(mechanism, Kind::P384, mechanism.digest_length());
            match mechanism {
                Mechanism::EcdsaP256Sha256 => assert_eq!((rsa, p256, p384), (None, Some(64), None)),
                Mechanism::EcdsaP384Sha384 => assert_eq!((rsa, p256, p384), (None, None, Some(96))),
                _ => assert_eq!((rsa, p256, p384), (Some(384), None, None)),
            }
            for length in [0, mechanism.digest_length() - 1, mechanism.digest_length() + 1] {
                assert_eq!(fits(mechanism, Kind::Rsa { octets: 256 }, length), None);
            }
        }
    }

    #[test]
    fn what_a_profile_excludes_is_not_asked() {
        let profile = profile::Sign { ecdsa: false, ..profile::Sign::default() };
        assert!(question(Mechanism::EcdsaP256Sha256, Kind::P256, &[0; 32], &profile).is_none());
    }
}
