//! A client's certificate: the octets it is known by and the key its signatures are verified with. Where it is
//! registered for an account that is all that is asked of it, as of a solution user of vCenter: it is compared
//! octet for octet, so no path is built and its names mean nothing. What else one must have that an authority
//! issued is in `authority`.

use aws_lc_rs::digest;
use aws_lc_rs::signature::{self, VerificationAlgorithm};
use x509_parser::extensions::ParsedExtension;
use x509_parser::pem::Pem;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::public_key::PublicKey;

use crate::wire::Millis;
use crate::wire::evidence::SignatureAlgorithm;

/// The smallest exponent of an RSA key that a client has.
pub(super) const LEAST_EXPONENT: u32 = 65_537;

/// A public key that verifies signatures. The key decides what kind of signature it may be, never the message
///
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VerifyingKey {
    /// RSA of 2048 to 8192 bits: `RSAPublicKey`, DER.
    Rsa(Vec<u8>),
    /// A point on P-256, as X9.62 writes it.
    P256(Vec<u8>),
    /// A point on P-384.
    P384(Vec<u8>),
    /// A point on P-521.
    P521(Vec<u8>),
    /// Ed25519.
    Ed25519(Vec<u8>),
}

/// A certificate that can verify.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// The whole of it, DER.
    pub der: Vec<u8>,
    /// `ThumbprintSHA1` of WS-Security: SHA-1 of the DER.
    pub thumbprint: [u8; 20],
    /// Its subject key identifier; where it has none, what WSS4J calls it then: SHA-1 of the key (RFC 5280 4.2.1.2, the
    /// first way).
    pub key_identifier: Vec<u8>,
    /// Its serial number, big-endian without leading zeros.
    pub serial: Vec<u8>,
    /// The key.
    pub key: VerifyingKey,
    /// From when on it may be used.
    pub not_before: Millis,
    /// Until when.
    pub not_after: Millis,
}

impl VerifyingKey {
    /// A number for its kind, and its octets.
    #[must_use]
    pub fn parts(&self) -> (u8, &[u8]) {
        match self {
            Self::Rsa(octets) => (0, octets),
            Self::P256(octets) => (1, octets),
            Self::P384(octets) => (2, octets),
            Self::P521(octets) => (3, octets),
            Self::Ed25519(octets) => (4, octets),
        }
    }

    /// How a key of this kind verifies a signature of that kind, and its octets for it. By SHA-1 none does.
    #[must_use]
    pub fn verifier(&self, algorithm: SignatureAlgorithm) -> Option<(&'static dyn VerificationAlgorithm, &[u8])> {
        use SignatureAlgorithm as By;
        Some(match (self, algorithm) {
            (Self::Rsa(key), By::RsaSha256) => (&signature::RSA_PKCS1_2048_8192_SHA256, key),
            (Self::Rsa(key), By::RsaSha384) => (&signature::RSA_PKCS1_2048_8192_SHA384, key),
            (Self::Rsa(key), By::RsaSha512) => (&signature::RSA_PKCS1_2048_8192_SHA512, key),
            (Self::Rsa(key), By::PssSha256) => (&signature::RSA_PSS_2048_8192_SHA256, key),
            (Self::Rsa(key), By::PssSha384) => (&signature::RSA_PSS_2048_8192_SHA384, key),
            (Self::Rsa(key), By::PssSha512) => (&signature::RSA_PSS_2048_8192_SHA512, key),
            (Self::P256(key), By::EcdsaSha256) => (&signature::ECDSA_P256_SHA256_FIXED, key),
            (Self::P384(key), By::EcdsaSha384) => (&signature::ECDSA_P384_SHA384_FIXED, key),
            (Self::P521(key), By::EcdsaSha512) => (&signature::ECDSA_P521_SHA512_FIXED, key),
            (Self::Ed25519(key), By::Ed25519) => (&signature::ED25519, key),
            _ => return None,
        })
    }

    /// The same, and by RSA with SHA-1 besides: for messages and assertions, where the configuration says that it may
    /// be.
    #[must_use]
    pub fn verifier_or_sha1(
        &self,
        algorithm: SignatureAlgorithm,
    ) -> Option<(&'static dyn VerificationAlgorithm, &[u8])> {
        match (self, algorithm) {
            (Self::Rsa(key), SignatureAlgorithm::RsaSha1) => {
                Some((&signature::RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, key))
            }
            _ => self.verifier(algorithm),
        }
    }
}

impl Certificate {
    /// May it be used at this instant?
    #[must_use]
    pub fn holds(&self, now: Millis) -> bool {
        self.not_before <= now && now <= self.not_after
    }

    /// Reads the one certificate of a PEM file.
    ///
    /// # Errors
    /// A clause for the operator.
    pub fn from_pem(text: &str) -> Result<Self, String> {
        let mut certificates = Pem::iter_from_buffer(text.as_bytes());
        let pem = match (certificates.next(), certificates.next()) {
            (Some(pem), None) => pem.map_err(|error| format!("not PEM: {error}"))?,
            (None, _) => return Err("holds no certificate in PEM form".to_owned()),
            (Some(_), Some(_)) => return Err("holds more than one certificate; register each in a file".to_owned()),
        };
        if pem.label != "CERTIFICATE" {
            return Err(format!("holds a {:?}, not a certificate", pem.label));
        }
        Self::from_der(pem.contents)
    }

    /// Reads the first certificate of a PEM file: the server's own, where its chain follows.
    ///
    /// # Errors
    /// A clause for the operator.
    pub fn first_of_pem(text: &str) -> Result<Self, String> {
        let pem = Pem::iter_from_buffer(text.as_bytes()).next().ok_or("holds no certificate in PEM form")?;
        let pem = pem.map_err(|error| format!("not PEM: {error}"))?;
        if pem.label != "CERTIFICATE" {
            return Err(format!("holds a {:?}, not a certificate", pem.label));
        }
        Self::from_der(pem.contents)
    }

    /// Reads a certificate.
    ///
    /// # Errors
    /// A clause for the operator.
    pub fn from_der(der: Vec<u8>) -> Result<Self, String> {
        let (rest, certificate) = X509Certificate::from_der(&der).map_err(|error| error.to_string())?;
        if !rest.is_empty() {
            return Err("octets after the certificate".to_owned());
        }
        let mut key_identifier = None;
        for extension in certificate.extensions() {
            match extension.parsed_extension() {
                ParsedExtension::KeyUsage(usage) if !usage.digital_signature() && !usage.non_repudiation() => {
                    return Err("its key usage does not allow signatures".to_owned());
                }
                ParsedExtension::SubjectKeyIdentifier(identifier) => key_identifier = Some(identifier.0.to_vec()),
                _ => {}
            }
        }
        let key = verifying_key(&certificate)?;
        let sha1 = |octets| digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, octets);
        let mut thumbprint = [0; 20];
        thumbprint.copy_from_slice(sha1(&der).as_ref());
        let spelled = &certificate.public_key().subject_public_key.data;
        let key_identifier = key_identifier.unwrap_or_else(|| sha1(spelled).as_ref().to_vec());
        let validity = certificate.validity();
        let not_before = Millis(validity.not_before.timestamp().saturating_mul(1000));
        let not_after = Millis(validity.not_after.timestamp().saturating_mul(1000));
        let serial = certificate.raw_serial().iter().copied().skip_while(|octet| *octet == 0).collect();
        Ok(Self { thumbprint, key_identifier, serial, key, not_before, not_after, der })
    }
}

fn verifying_key(certificate: &X509Certificate<'_>) -> Result<VerifyingKey, String> {
    let spki = certificate.public_key();
    let octets = spki.subject_public_key.data.to_vec();
    match spki.parsed().map_err(|error| error.to_string())? {
        PublicKey::RSA(rsa) => {
            // The leading zero of a DER INTEGER is not counted.
            let bits = rsa.modulus.iter().skip_while(|octet| **octet == 0).count() * 8;
            if !(2048..=8192).contains(&bits) {
                return Err(format!("an RSA key of {bits} bits; 2048 to 8192 are allowed"));
            }
            if rsa.try_exponent().is_ok_and(|exponent| exponent < u64::from(LEAST_EXPONENT)) {
                return Err(format!("an RSA key whose exponent is below {LEAST_EXPONENT}"));
            }
            Ok(VerifyingKey::Rsa(octets))
        }
        PublicKey::EC(_) => {
            let curve = spki.algorithm.parameters.as_ref().and_then(|oid| oid.as_oid().ok());
            let (key, length): (fn(Vec<u8>) -> VerifyingKey, _) = match curve.map(|oid| oid.to_id_string()).as_deref() {
                Some("1.2.840.10045.3.1.7") => (VerifyingKey::P256, 65),
                Some("1.3.132.0.34") => (VerifyingKey::P384, 97),
                Some("1.3.132.0.35") => (VerifyingKey::P521, 133),
                _ => return Err("an elliptic curve other than P-256, P-384 and P-521".to_owned()),
            };
            // One key is known by one form of its point.
            if octets.len() != length || octets.first() != Some(&4) {
                return Err("a point on its curve that is not written out".to_owned());
            }
            Ok(key(octets))
        }
        // What stands in front of it in another structure is no part of it: one key is known by its 32 octets.
        _ if spki.algorithm.algorithm.to_id_string() == "1.3.101.112" => match octets.len() {
            32 => Ok(VerifyingKey::Ed25519(octets)),
            _ => Err("an Ed25519 key that has not 32 octets".to_owned()),
        },
        _ => Err("a public key that is none of RSA, ECDSA and Ed25519".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, Issuer, KeyPair, PKCS_ED25519, PublicKeyData, SignatureAlgorithm};

    use super::*;

    /// These octets where a certificate has those of an Ed25519 key.
    struct Spelled(Vec<u8>);

    impl PublicKeyData for Spelled {
        fn der_bytes(&self) -> &[u8] {
            &self.0
        }

        fn algorithm(&self) -> &'static SignatureAlgorithm {
            &PKCS_ED25519
        }
    }

    #[test]
    fn an_ed25519_key_has_one_spelling() {
        let pair = KeyPair::generate_for(&PKCS_ED25519).unwrap();
        let issuer = Issuer::new(CertificateParams::default(), KeyPair::generate().unwrap());
        let of = |octets: &[u8]| {
            let spelled = CertificateParams::default().signed_by(&Spelled(octets.to_vec()), &issuer).unwrap();
            Certificate::from_der(spelled.der().to_vec())
        };
        let octets = pair.der_bytes();
        assert_eq!(of(octets).unwrap().key, VerifyingKey::Ed25519(octets.to_vec()));
        // As a whole SubjectPublicKeyInfo, which the library that verifies takes, too.
        for other in [pair.subject_public_key_info(), octets[..31].to_vec(), [octets, &[0]].concat()] {
            assert!(of(&other).is_err_and(|why| why.to_string().contains("32 octets")), "{other:x?}");
        }
    }
}
