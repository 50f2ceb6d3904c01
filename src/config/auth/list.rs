//! A certificate revocation list: what its issuer took back, from when until when it holds, for which certificates it
//! speaks, and by which keys it is signed. A list may be large and anybody may show a certificate that it is about, so
//! its signature is verified once for each key; what came of that is kept in mind as long as this configuration is.
//! webpki reads lists, and refuses delta and indirect ones and those for some reasons only; all else is done here.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};
use webpki::{CertRevocationList, OwnedCertRevocationList};
use x509_parser::der_parser::asn1_rs::Tag;
use x509_parser::num_bigint::BigUint;
use x509_parser::oid_registry::OID_X509_EXT_CRL_DISTRIBUTION_POINTS;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::revocation_list::CertificateRevocationList;

use super::der::{Signed, elements};
use crate::wire::Millis;

/// Keys that only messages bring, kept in mind for one list. More than an issuer has for its name.
const BROUGHT: usize = 16;
/// A general name that is a URI.
const URI: Tag = Tag(6);

/// A certificate revocation list.
#[derive(Debug)]
pub struct List {
    read: CertRevocationList<'static>,
    this_update: Millis,
    /// Until when it holds.
    pub next_update: Millis,
    /// Which of its issuer's lists it is: of two of one instant the higher is newer.
    number: Option<BigUint>,
    part: Option<Part>,
    signed: Signed,
    verdicts: Mutex<Verdicts>,
}

/// Where in a path a certificate stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Whose key signs messages.
    Leaf,
    /// An authority's, below an anchor.
    Between,
}

/// The certificates a list is for, when not for all of its issuer's.
#[derive(Debug, Default)]
struct Part {
    leaves_only: bool,
    authorities_only: bool,
    /// URIs of the distribution point.
    uris: Vec<Vec<u8>>,
}

/// Does a key verify the signature? By SHA-256 of the key as a certificate has it.
#[derive(Debug, Default)]
struct Verdicts {
    configured: Vec<([u8; 32], bool)>,
    brought: VecDeque<([u8; 32], bool)>,
}

impl List {
    /// Reads a list, DER.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn from_der(der: &[u8]) -> Result<Self, String> {
        let read = OwnedCertRevocationList::from_der(der).map_err(|error| format!("not usable: {error:?}"))?;
        let read = CertRevocationList::from(read);
        let (_, dates) = CertificateRevocationList::from_der(der).map_err(|error| error.to_string())?;
        let instant = |seconds: i64| Millis(seconds.saturating_mul(1000));
        let next_update = dates.next_update().ok_or("it does not say until when it holds")?;
        let part = read.issuing_distribution_point().map(|point| Part::read(point).ok_or("not usable: which part?"));
        Ok(Self {
            part: part.transpose()?,
            this_update: instant(dates.last_update().timestamp()),
            next_update: instant(next_update.timestamp()),
            number: dates.crl_number().cloned(),
            signed: Signed::read(der).ok_or("not usable: what was signed?")?,
            verdicts: Mutex::default(),
            read,
        })
    }

    /// Is this signed by one of these, of whom it says it is? Names as [`Self::issuer`] has them, and keys. Nothing
    /// else of it is read: of what strangers send, a list that is read takes many times the room.
    pub(super) fn is_genuine<K: AsRef<[u8]>>(der: &[u8], signers: impl IntoIterator<Item = (Vec<u8>, K)>) -> bool {
        let Some(signed) = Signed::read(der) else { return false };
        let Some(name) = signed.issuer() else { return false };
        signers.into_iter().any(|(issuer, key)| issuer == name && signed.by(key.as_ref()))
    }

    /// The name of its issuer: the content of the sequence, DER.
    #[must_use]
    pub fn issuer(&self) -> &[u8] {
        self.read.issuer()
    }

    /// Does the certificate with this number, the content of the integer, stand on it?
    #[must_use]
    pub fn names(&self, serial: &[u8]) -> bool {
        // An error is not what an honest list gives.
        !matches!(self.read.find_serial(serial), Ok(None))
    }

    /// Is it from the future?
    #[must_use]
    pub fn is_early(&self, now: Millis) -> bool {
        now < self.this_update
    }

    /// Should there be a newer one?
    #[must_use]
    pub fn is_past(&self, now: Millis) -> bool {
        self.next_update <= now
    }

    /// Later ones are greater.
    pub(super) fn age(&self) -> (Millis, &Option<BigUint>) {
        (self.this_update, &self.number)
    }

    /// Is the other one for the same certificates of the same issuer?
    pub(super) fn is_for_the_same(&self, other: &Self) -> bool {
        self.read.issuing_distribution_point() == other.read.issuing_distribution_point()
    }

    /// Does it speak for every certificate of its issuer?
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.part.is_none()
    }

    /// Is it published there? One that does not say where is published anywhere.
    pub(super) fn is_published_at(&self, url: &str) -> bool {
        self.part.as_ref().is_none_or(|part| part.uris.is_empty() || part.has(url.as_bytes()))
    }

    /// Is a certificate of its issuer among those it is for? Where this one is the part of a place, the certificate must say
    /// that its list is there: of one that says nothing it is not known in which part it would stand (RFC 5280 6.3.3).
    #[must_use]
    pub fn speaks_for(&self, certificate: &X509Certificate<'_>, place: Place) -> bool {
        let Some(part) = &self.part else { return true };
        if part.authorities_only && place != Place::Between || part.leaves_only && place != Place::Leaf {
            return false;
        }
        let mut extensions = certificate.extensions().iter();
        match extensions.find(|extension| extension.oid == OID_X509_EXT_CRL_DISTRIBUTION_POINTS) {
            None => part.uris.is_empty(),
            Some(points) => uris_of_points(points.value).is_some_and(|uris| uris.iter().any(|uri| part.has(uri))),
        }
    }

    /// Has this key signed it? A `SubjectPublicKeyInfo`, DER, of an issuer that has its name. Cheap but the first time.
    #[must_use]
    pub fn is_signed_by(&self, key: &[u8]) -> bool {
        let named = fingerprint(key);
        if let Some(verdict) = self.lock().of(&named) {
            return verdict;
        }
        // Not under the lock: nobody else waits while a large list is hashed.
        let verdict = self.signed.by(key);
        let mut verdicts = self.lock();
        if verdicts.of(&named).is_none() {
            if verdicts.brought.len() >= BROUGHT {
                verdicts.brought.pop_front();
            }
            verdicts.brought.push_back((named, verdict));
        }
        verdict
    }

    /// Has this key of the configuration signed it? Verified once and for all.
    pub(super) fn verify(&self, key: &[u8]) -> bool {
        let named = fingerprint(key);
        if let Some(verdict) = self.lock().of(&named) {
            return verdict;
        }
        let verdict = self.signed.by(key);
        self.lock().configured.push((named, verdict));
        verdict
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Verdicts> {
        self.verdicts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Verdicts {
    fn of(&self, key: &[u8; 32]) -> Option<bool> {
        self.configured.iter().chain(&self.brought).find(|(known, _)| known == key).map(|(_, verdict)| *verdict)
    }
}

fn fingerprint(key: &[u8]) -> [u8; 32] {
    let mut fingerprint = [0; 32];
    fingerprint.copy_from_slice(digest(&SHA256, key).as_ref());
    fingerprint
}

impl Part {
    /// Reads an issuing distribution point that webpki has found in order.
    fn read(der: &[u8]) -> Option<Self> {
        let [point] = elements(der)?[..] else { return None };
        let mut part = Self::default();
        for field in elements(point.content)? {
            match field.context()? {
                0 => part.uris = uris(field.content)?.into_iter().map(<[u8]>::to_vec).collect(),
                1 => part.leaves_only = field.content != [0],
                2 => part.authorities_only = field.content != [0],
                // Indirect, or for attribute certificates: webpki takes neither.
                4 | 5 => {}
                _ => return None,
            }
        }
        Some(part)
    }

    fn has(&self, uri: &[u8]) -> bool {
        self.uris.iter().any(|own| own == uri)
    }
}

/// The URIs of the distribution points of a certificate, but of those where another one issues the list, or where it
/// is for some reasons only.
fn uris_of_points(der: &[u8]) -> Option<Vec<&[u8]>> {
    let [points] = elements(der)?[..] else { return None };
    let mut all = Vec::new();
    for point in elements(points.content)? {
        if let [name] = elements(point.content)?[..]
            && name.context() == Some(0)
        {
            all.extend(uris(name.content)?);
        }
    }
    Some(all)
}

/// The URIs of a `DistributionPointName`; none of one that is relative to the issuer.
fn uris(name: &[u8]) -> Option<Vec<&[u8]>> {
    let [full] = elements(name)?[..] else { return None };
    if full.context()? != 0 {
        return Some(Vec::new());
    }
    let names = elements(full.content)?;
    Some(names.into_iter().filter(|name| name.context() == Some(URI.0)).map(|name| name.content).collect())
}

#[cfg(test)]
pub(super) mod tests;
