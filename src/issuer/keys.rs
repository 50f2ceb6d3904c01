//! The keys issuer may have used, each for its one purpose, and their public halves, with which every
//! signature is checked before anybody sees it. No private key is anywhere near. A key that opens session keys
//! is used for as long as clients may still seal for it: its previous one, too.

use aws_lc_rs::error::KeyRejected;
use aws_lc_rs::signature::{self, ParsedPublicKey, VerificationAlgorithm};

use crate::config::issuer::{Certificate, Issuer, Key, KeyKind, KeyState, Purpose};
use crate::wire::links::{KeyReport, Mechanism};
use crate::wire::unwrap::Recipient;
use crate::wire::{KeyId, Millis};

/// A key in use, with a public key.
#[derive(Debug)]
pub(super) struct ActiveKey {
    pub(super) name: String,
    pub(super) purpose: Purpose,
    pub(super) id: KeyId,
    pub(super) certificate: Certificate,
    verifiers: Vec<(Mechanism, ParsedPublicKey)>,
}

/// The keys in use.
#[derive(Debug)]
pub(super) struct Keys(Vec<ActiveKey>);

/// The public key of a certificate is not one.
#[derive(Debug)]
pub(super) struct BadKey {
    name: String,
}

impl std::fmt::Display for BadKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the public key in the certificate of key {:?} is not usable", self.name)
    }
}

impl std::error::Error for BadKey {}

impl Keys {
    /// Those of the configuration that are in use and have a certificate.
    pub(super) fn load(issuer: &Issuer) -> Result<Self, BadKey> {
        let active = issuer.keys.iter().filter(|key| is_in_use(key));
        let keys = active.filter_map(|key| {
            let certificate = key.certificate.clone()?;
            let bad = |_| BadKey { name: key.name.clone() };
            Some(verifiers(&certificate).map_err(bad).map(|verifiers| ActiveKey {
                name: key.name.clone(),
                purpose: key.purpose,
                id: key.id.clone(),
                certificate,
                verifiers,
            }))
        });
        Ok(Self(keys.collect::<Result<_, _>>()?))
    }

    /// Every key in use.
    pub(super) fn iter(&self) -> impl Iterator<Item = &ActiveKey> {
        self.0.iter()
    }

    /// The key in use of that id.
    pub(super) fn find(&self, id: &KeyId) -> Option<&ActiveKey> {
        self.0.iter().find(|key| key.id == *id)
    }

    /// The key that a client has sealed a session key for.
    pub(super) fn recipient(&self, recipient: &Recipient) -> Option<&ActiveKey> {
        let is = |certificate: &Certificate| match recipient {
            Recipient::Certificate(sha256) => certificate.sha256 == *sha256,
            Recipient::Thumbprint(sha1) => certificate.thumbprint == *sha1,
            Recipient::KeyIdentifier(octets) => certificate.key_identifier.as_deref() == Some(&**octets),
            Recipient::Serial(octets) => certificate.serial == **octets,
        };
        self.0.iter().find(|key| key.purpose == Purpose::Unwrap && is(&key.certificate))
    }

    /// The key that signs answers.
    pub(super) fn message(&self) -> Option<&ActiveKey> {
        self.0.iter().find(|key| key.purpose == Purpose::Message)
    }

    /// The key in use, for whatever purpose, whose certificate has that SHA-256.
    pub(super) fn certified(&self, certificate: &[u8; 32]) -> Option<&ActiveKey> {
        self.0.iter().find(|key| key.certificate.sha256 == *certificate)
    }
}

fn is_in_use(key: &Key) -> bool {
    key.state == KeyState::Active || (key.purpose == Purpose::Unwrap && key.state == KeyState::Previous)
}

impl ActiveKey {
    /// Is `signature` this key's over `octets`? ECDSA as r‖s.
    #[must_use]
    pub(super) fn verifies(&self, mechanism: Mechanism, octets: &[u8], signature: &[u8]) -> bool {
        let verifier = self.verifiers.iter().find(|(of, _)| *of == mechanism);
        verifier.is_some_and(|(_, key)| key.verify_sig(octets, signature).is_ok())
    }

    /// Does a signer's report speak of the key pair in the certificate?
    #[must_use]
    pub(super) fn is(&self, report: &KeyReport) -> bool {
        report.id == self.id && *report.public_key == *self.certificate.public_key
    }
}

fn verifiers(certificate: &Certificate) -> Result<Vec<(Mechanism, ParsedPublicKey)>, KeyRejected> {
    let algorithms: &[(Mechanism, &'static dyn VerificationAlgorithm)] = match certificate.kind {
        KeyKind::Rsa => &[
            (Mechanism::RsaPkcs1Sha256, &signature::RSA_PKCS1_2048_8192_SHA256),
            (Mechanism::RsaPkcs1Sha384, &signature::RSA_PKCS1_2048_8192_SHA384),
            (Mechanism::RsaPkcs1Sha512, &signature::RSA_PKCS1_2048_8192_SHA512),
            (Mechanism::RsaPssSha256, &signature::RSA_PSS_2048_8192_SHA256),
            (Mechanism::RsaPssSha384, &signature::RSA_PSS_2048_8192_SHA384),
        ],
        KeyKind::P256 => &[(Mechanism::EcdsaP256Sha256, &signature::ECDSA_P256_SHA256_FIXED)],
        KeyKind::P384 => &[(Mechanism::EcdsaP384Sha384, &signature::ECDSA_P384_SHA384_FIXED)],
    };
    algorithms
        .iter()
        .map(|(mechanism, algorithm)| Ok((*mechanism, ParsedPublicKey::new(*algorithm, &certificate.public_key)?)))
        .collect()
}

/// What is worth a warning about a key's dates.
pub(super) fn doubts(key: &Key, now: Millis) -> Option<&'static str> {
    const MONTH_MS: i64 = 30 * 24 * 3600 * 1000;
    let certificate = key.certificate.as_ref().filter(|_| key.state == KeyState::Active)?;
    if now < certificate.not_before {
        Some("certificate is not valid yet")
    } else if now > certificate.not_after {
        Some("certificate has expired")
    } else if now.plus(MONTH_MS) > certificate.not_after {
        Some("certificate expires within 30 days")
    } else {
        None
    }
}
