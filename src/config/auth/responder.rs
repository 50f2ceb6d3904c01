//! `[[certificate_authority.ocsp]]`: who is asked about a single certificate, and how (RFC 6960). Where it is stands in
//! the configuration and never in a certificate: whoever shows one would have us ask whom he likes.

use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use super::source::{Source, SourceFile, Way};
use crate::config::beneath::Directory;
use crate::config::load::{ConfigError, Loaded};

/// Milliseconds until there is an answer, and seconds for which one is kept, at most.
const DEADLINE_MS: (u32, u32, u32) = (100, 2000, 5000);
const KEPT_S: (u32, u32, u32) = (60, 3600, 86_400);

/// Somebody who answers whether a certificate was taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Responder {
    /// Where he is.
    pub source: Source,
    /// For whose certificates he answers, where not for all of the authority's.
    pub issuer: Option<Issuer>,
    /// With what name and key of the issuer are hashed in a question.
    pub hash: CertIdHash,
    /// What a nonce is good for.
    pub nonce: Nonce,
    /// How long an answer is waited for.
    pub deadline: Duration,
    /// How long one is kept, at most.
    pub kept: Duration,
}

/// Who issued a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Issuer {
    /// Its name: the content of the sequence, DER.
    pub name: Vec<u8>,
    /// Its key: `SubjectPublicKeyInfo`, DER.
    pub key: Vec<u8>,
}

/// `hashAlgorithm` of a `CertID`. It protects nothing: the answer is about what was asked, or is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CertIdHash {
    /// What every responder knows.
    Sha1,
    /// What newer ones know.
    Sha256,
}

/// Does an answer have to be made for the question?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Nonce {
    /// An answer without it is none.
    Required,
    /// An answer that has one has ours; many responders sign their answers beforehand, without.
    WhenAnswered,
    /// None is sent.
    Never,
}

/// How a responder is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ResponderFile {
    pub(super) url: Spanned<String>,
    address: Spanned<String>,
    anchors: Option<Spanned<String>>,
    pub(super) issuer: Option<Spanned<String>>,
    hash: Option<CertIdHash>,
    nonce: Option<Nonce>,
    deadline_ms: Option<Spanned<u32>>,
    kept_s: Option<Spanned<u32>>,
}

impl Responder {
    /// Does he answer for certificates of this issuer?
    #[must_use]
    pub fn speaks_for(&self, issuer: &Issuer) -> bool {
        self.issuer.as_ref().is_none_or(|own| own == issuer)
    }

    pub(super) fn read<T>(
        directory: &Directory,
        file: &Loaded<T>,
        written: &ResponderFile,
        issuer: Option<Issuer>,
    ) -> Result<Self, ConfigError> {
        let source = SourceFile::of(&written.url, &written.address, written.anchors.as_ref());
        let within = |name: &str, value: Option<&Spanned<u32>>, (least, usual, most): (u32, u32, u32)| match value {
            None => Ok(u64::from(usual)),
            Some(value) if (least..=most).contains(value.get_ref()) => Ok(u64::from(*value.get_ref())),
            Some(value) => Err(file.error(value.span(), format!("{name} must be from {least} to {most}"))),
        };
        Ok(Self {
            source: Source::read(directory, file, &source, Way::Any)?,
            issuer,
            hash: written.hash.unwrap_or(CertIdHash::Sha1),
            nonce: written.nonce.unwrap_or(Nonce::WhenAnswered),
            deadline: Duration::from_millis(within("deadline_ms", written.deadline_ms.as_ref(), DEADLINE_MS)?),
            kept: Duration::from_secs(within("kept_s", written.kept_s.as_ref(), KEPT_S)?),
        })
    }
}
