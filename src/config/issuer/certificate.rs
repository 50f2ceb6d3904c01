//! A certificate file, read once at start: the octets that go into tokens, the public key signatures are checked with,
//! the dates, and the names clients have for it. It builds no path and trusts nothing; the certificate is our own.

use std::path::Path;

use aws_lc_rs::digest;
use base64ct::{Base64, Encoding};
use x509_parser::extensions::ParsedExtension;
use x509_parser::pem::Pem;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::public_key::PublicKey;

use crate::token::Algorithm;
use crate::wire::Millis;

/// The largest certificate file, octets.
const LARGEST: u64 = 64 * 1024;

/// The kinds of key pair Chancery signs with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// RSA, 2048 to 4096 bits.
    Rsa,
    /// ECDSA on P-256.
    P256,
    /// ECDSA on P-384.
    P384,
}

impl KeyKind {
    /// How tokens are signed with it unless the relying party's file says otherwise.
    #[must_use]
    pub fn default_algorithm(self) -> Algorithm {
        match self {
            Self::Rsa => Algorithm::RsaSha256,
            Self::P256 => Algorithm::EcdsaSha256,
            Self::P384 => Algorithm::EcdsaSha384,
        }
    }

    /// Can it sign so?
    #[must_use]
    pub fn fits(self, algorithm: Algorithm) -> bool {
        match algorithm {
            Algorithm::RsaSha256 | Algorithm::RsaSha384 | Algorithm::RsaSha512 => self == Self::Rsa,
            Algorithm::EcdsaSha256 => self == Self::P256,
            Algorithm::EcdsaSha384 => self == Self::P384,
        }
    }
}

/// The parts of a certificate that issuer uses.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// DER in base64, as `X509Certificate` holds it.
    pub base64: String,
    /// SHA-256 of the DER.
    pub sha256: [u8; 32],
    /// `ThumbprintSHA1` of WS-Security: SHA-1 of the DER.
    pub thumbprint: [u8; 20],
    /// Its subject key identifier, when it has one.
    pub key_identifier: Option<Vec<u8>>,
    /// Its serial number, big-endian without leading zeros.
    pub serial: Vec<u8>,
    /// May its key be used to encrypt keys? Also when it says nothing of usage.
    pub enciphers: bool,
    /// `SubjectPublicKeyInfo`, DER.
    pub public_key: Vec<u8>,
    /// Its kind.
    pub kind: KeyKind,
    /// `notBefore`.
    pub not_before: Millis,
    /// `notAfter`.
    pub not_after: Millis,
}

impl Certificate {
    /// Reads the first certificate of a PEM file.
    ///
    /// # Errors
    /// A clause that says what is wrong with the file.
    pub fn read(path: &Path) -> Result<Self, String> {
        let size = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
        if size > LARGEST {
            return Err("larger than 64 KiB".into());
        }
        let text = std::fs::read(path).map_err(|error| error.to_string())?;
        let (pem, _) = Pem::read(std::io::Cursor::new(text)).map_err(|error| format!("not PEM: {error}"))?;
        if pem.label != "CERTIFICATE" {
            return Err(format!("holds a {:?}, not a certificate", pem.label));
        }
        Self::from_der(&pem.contents)
    }

    fn from_der(der: &[u8]) -> Result<Self, String> {
        let (rest, certificate) = X509Certificate::from_der(der).map_err(|error| error.to_string())?;
        if !rest.is_empty() {
            return Err("octets after the certificate".into());
        }
        let spki = certificate.public_key();
        let kind = match spki.parsed().map_err(|error| error.to_string())? {
            // The leading zero of a DER INTEGER is not counted.
            PublicKey::RSA(rsa) => {
                let bits = rsa.modulus.iter().skip_while(|octet| **octet == 0).count() * 8;
                if !(2048..=4096).contains(&bits) {
                    return Err(format!("an RSA key of {bits} bits; 2048 to 4096 are allowed"));
                }
                KeyKind::Rsa
            }
            PublicKey::EC(_) => match spki.algorithm.parameters.as_ref().and_then(|oid| oid.as_oid().ok()) {
                Some(oid) if oid.to_id_string() == "1.2.840.10045.3.1.7" => KeyKind::P256,
                Some(oid) if oid.to_id_string() == "1.3.132.0.34" => KeyKind::P384,
                _ => return Err("an elliptic curve other than P-256 and P-384".into()),
            },
            _ => return Err("a public key that is neither RSA nor ECDSA".into()),
        };
        let (mut sha256, mut thumbprint) = ([0; 32], [0; 20]);
        sha256.copy_from_slice(digest::digest(&digest::SHA256, der).as_ref());
        thumbprint.copy_from_slice(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, der).as_ref());
        let (mut key_identifier, mut enciphers) = (None, true);
        for extension in certificate.extensions() {
            match extension.parsed_extension() {
                ParsedExtension::KeyUsage(usage) => enciphers = usage.key_encipherment(),
                ParsedExtension::SubjectKeyIdentifier(identifier) => key_identifier = Some(identifier.0.to_vec()),
                _ => {}
            }
        }
        let validity = certificate.validity();
        Ok(Self {
            base64: Base64::encode_string(der),
            sha256,
            thumbprint,
            key_identifier,
            serial: certificate.serial.to_bytes_be(),
            enciphers,
            public_key: spki.raw.to_vec(),
            kind,
            not_before: Millis(validity.not_before.timestamp().saturating_mul(1000)),
            not_after: Millis(validity.not_after.timestamp().saturating_mul(1000)),
        })
    }
}
