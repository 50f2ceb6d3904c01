//! The certificates the worker shows, and the kind of key that has to sign for the first of them. The key
//! itself is in the token.

use std::path::Path;

use aws_lc_rs::digest;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer, alg_id};

/// The certificates this server shows.
#[derive(Debug)]
pub struct Chain {
    /// The server's own first.
    pub certificates: Vec<CertificateDer<'static>>,
    /// The kind of key of the first.
    pub kind: Kind,
}

impl Chain {
    /// Reads a PEM file, the server's own certificate first.
    ///
    /// # Errors
    /// A clause, when it holds none, or one whose key TLS cannot use here.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let certificates: Vec<_> =
            CertificateDer::pem_file_iter(path).and_then(Iterator::collect).map_err(|error| error.to_string())?;
        let first = certificates.first().ok_or("no certificate in it")?;
        let kind = Kind::of(first).ok_or("its key is neither RSA nor ECDSA on P-256 or P-384")?;
        Ok(Self { certificates, kind })
    }

    /// SHA-256 of the server's own certificate: how issuer knows the key.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(digest::digest(&digest::SHA256, &self.certificates[0]).as_ref());
        fingerprint
    }
}

/// Kinds of key a handshake can be signed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// RSA.
    Rsa,
    /// ECDSA on P-256.
    P256,
    /// ECDSA on P-384.
    P384,
}

impl Kind {
    /// The kind of key in this certificate, if it is one of these.
    #[must_use]
    pub fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let parsed = rustls::server::ParsedCertificate::try_from(certificate).ok()?;
        Self::of_key(&parsed.subject_public_key_info())
    }

    fn of_key(key: &SubjectPublicKeyInfoDer<'_>) -> Option<Self> {
        let (algorithm, _) = sequence(sequence(key)?.0)?;
        [(alg_id::RSA_ENCRYPTION, Self::Rsa), (alg_id::ECDSA_P256, Self::P256), (alg_id::ECDSA_P384, Self::P384)]
            .into_iter()
            .find_map(|(id, kind)| (id.as_ref() == algorithm).then_some(kind))
    }
}

/// The content of a DER SEQUENCE and what follows it.
fn sequence(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let [0x30, first, rest @ ..] = der else { return None };
    let (length, rest) = match *first {
        short @ 0..=0x7F => (usize::from(short), rest),
        0x81 => (usize::from(*rest.first()?), rest.get(1..)?),
        0x82 => (usize::from(u16::from_be_bytes([*rest.first()?, *rest.get(1)?])), rest.get(2..)?),
        _ => return None,
    };
    rest.split_at_checked(length)
}

#[cfg(feature = "signer")]
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_of_key_is_read_from_the_certificate() {
        for (algorithm, kind) in [
            (&rcgen::PKCS_ECDSA_P256_SHA256, Some(Kind::P256)),
            (&rcgen::PKCS_ECDSA_P384_SHA384, Some(Kind::P384)),
            (&rcgen::PKCS_ED25519, None),
        ] {
            let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
            let certificate = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap().self_signed(&key);
            assert_eq!(Kind::of(certificate.unwrap().der()), kind);
        }
    }
}
