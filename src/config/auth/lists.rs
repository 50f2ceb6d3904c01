//! The revocation lists of an authority: those in the operator's files, and those that its sources give. A list in a file is
//! the operator's word. One that was fetched is taken only where a certificate of the configuration has signed it, while
//! it holds, and never in the place of a newer one: whoever is on the way can keep lists back, and no more than that.

use std::cmp::Ordering;
use std::sync::Arc;
use std::time::Instant;

use rustls_pki_types::CertificateDer;
use x509_parser::pem::Pem;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::authority::Authority;
use super::list::List;
use super::source::Fetched;
use crate::wire::Millis;

/// Revocation lists.
#[derive(Debug)]
pub struct Lists {
    pub(super) files: Vec<Arc<List>>,
    /// Where more come from.
    pub sources: Vec<Fetched<List>>,
}

impl Lists {
    /// Those there are now, newest first: the first one of an issuer is asked, and no other, for an older one says less.
    #[must_use]
    pub fn now(&self) -> Vec<Arc<List>> {
        let fetched = self.sources.iter().filter_map(Fetched::held);
        let mut lists: Vec<_> = self.files.iter().cloned().chain(fetched).collect();
        lists.sort_by(|one, other| other.age().cmp(&one.age()));
        lists
    }
}

impl Authority {
    /// Reads a list that one of our sources gave, if a certificate of the configuration has signed it.
    ///
    /// # Errors
    /// Why it is none, for the operator.
    pub fn read_list(&self, octets: Vec<u8>) -> Result<Arc<List>, String> {
        let der = der(octets)?;
        if !List::is_genuine(&der, self.signers(Millis::now())) {
            return Err("a list that no certificate of the configuration has signed".to_owned());
        }
        List::from_der(&der).map(Arc::new)
    }

    /// Who may sign its lists now: names and keys.
    fn signers(&self, now: Millis) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
        let anchors = self.anchors.iter().filter(move |anchor| anchor.dates.hold(now));
        let anchors =
            anchors.map(|anchor| (anchor.trusted.subject.to_vec(), webpki::spki_for_anchor(&anchor.trusted).to_vec()));
        let between = self.intermediates.iter().filter(move |(_, dates)| dates.hold(now));
        anchors.chain(between.filter_map(|(der, _)| signer(der)))
    }

    /// Holds a list that one of our sources gave. False where it is the one that is held already.
    ///
    /// # Errors
    /// Why it is not taken, for the operator.
    pub fn take(&self, source: &Fetched<List>, list: Arc<List>, since: Instant) -> Result<bool, String> {
        let now = Millis::now();
        if list.is_early(now) || list.is_past(now) {
            return Err("a list that does not hold now".to_owned());
        }
        // Also by those of a configuration that is newer than the list.
        if !self.signers(now).any(|(name, key)| name == list.issuer() && list.verify(&key)) {
            return Err("a list that no certificate of the configuration has signed".to_owned());
        }
        let held = source.held();
        let mut others = self.lists.iter().flat_map(Lists::now).filter(|other| other.issuer() == list.issuer());
        let before = |other: &Arc<List>| held.as_ref().is_some_and(|held| Arc::ptr_eq(held, other));
        if others.any(|other| !before(&other) && !other.is_for_the_same(&list)) {
            return Err("a list that is not for the same certificates as another of its issuer".to_owned());
        }
        let order = held.as_ref().map(|held| (held.issuer() == list.issuer(), held.age().cmp(&list.age())));
        let new = match order {
            Some((false, _)) => return Err("a list of another issuer than before".to_owned()),
            Some((true, Ordering::Greater)) => return Err("an older list than before".to_owned()),
            Some((true, Ordering::Equal)) => false,
            Some((true, Ordering::Less)) | None => true,
        };
        // The same one, too: that nothing newer is there is known anew.
        source.hold(list, since);
        Ok(new)
    }
}

/// The name and the key of who may sign lists.
fn signer(der: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let usage = certificate.key_usage().ok()?;
    let may = usage.is_none_or(|usage| usage.value.crl_sign());
    let der = CertificateDer::from(der);
    let anchor = webpki::anchor_from_trusted_cert(&der).ok()?;
    may.then(|| (anchor.subject.to_vec(), webpki::spki_for_anchor(&anchor).to_vec()))
}

/// A list as it lies in a file or comes over the wire: DER, or PEM with one.
///
/// # Errors
/// A clause for the operator.
pub(super) fn read(octets: Vec<u8>) -> Result<List, String> {
    List::from_der(&der(octets)?)
}

fn der(octets: Vec<u8>) -> Result<Vec<u8>, String> {
    if octets.first() == Some(&0x30) {
        return Ok(octets);
    }
    let mut lists = Pem::iter_from_buffer(&octets);
    match (lists.next(), lists.next()) {
        (Some(Ok(pem)), None) if pem.label == "X509 CRL" => Ok(pem.contents),
        _ => Err("neither DER nor PEM with one \"X509 CRL\"".to_owned()),
    }
}
