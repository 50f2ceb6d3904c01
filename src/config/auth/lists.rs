//! The revocation lists of an authority: those in the operator's files, and those that its sources give. A list in a file is
//! the operator's word. One that was fetched is taken only where a certificate of the configuration has signed it, while
//! it holds, and never in the place of a newer one: whoever is on the way can keep lists back, and no more than that.

use std::cmp::Ordering;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use rustls_pki_types::CertificateDer;
use x509_parser::pem::Pem;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::authority::Authority;
use super::list::List;
use super::source::Fetched;
use crate::wire::Millis;

/// Lists that were fetched, at most: of every issuer of a path a few.
const MOST: usize = 64;

/// Revocation lists.
#[derive(Debug)]
pub struct Lists {
    files: Vec<Arc<List>>,
    /// Where more come from.
    pub sources: Vec<Fetched<List>>,
    /// What came from there, wherever: of each issuer, for each kind of certificates, the newest.
    fetched: RwLock<Vec<Arc<List>>>,
}

impl Lists {
    pub(super) fn new(files: Vec<Arc<List>>, sources: Vec<Fetched<List>>) -> Self {
        Self { files, sources, fetched: RwLock::default() }
    }

    /// Those there are now, newest first: the first one of an issuer is asked, and no other, for an older one says less.
    #[must_use]
    pub fn now(&self) -> Vec<Arc<List>> {
        let mut lists: Vec<_> = self.files.iter().cloned().chain(self.fetched()).collect();
        lists.sort_by(|one, other| other.age().cmp(&one.age()));
        lists
    }

    /// Those that were fetched.
    #[must_use]
    pub fn fetched(&self) -> Vec<Arc<List>> {
        self.fetched.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts a list among those that were fetched. It takes the place of an older one of its issuer for the same
    /// certificates, and of no other: whoever can choose among lists that are genuine puts none out of force.
    fn add(&self, list: Arc<List>, now: Millis) -> Result<bool, String> {
        let mut fetched = self.fetched.write().unwrap_or_else(PoisonError::into_inner);
        let same = |other: &Arc<List>| other.issuer() == list.issuer() && other.is_for_the_same(&list);
        let order = fetched.iter().find(|other| same(other)).map(|other| other.age().cmp(&list.age()));
        match order {
            Some(Ordering::Greater) => return Err("an older list than before".to_owned()),
            Some(Ordering::Equal) => return Ok(false),
            Some(Ordering::Less) | None => {}
        }
        let (out, kept): (Vec<_>, Vec<_>) =
            (fetched.drain(..)).partition(|other| same(other) || other.issuer() == list.issuer() && other.is_past(now));
        *fetched = kept;
        let full = fetched.len() >= MOST;
        if !full {
            fetched.push(list);
        }
        drop(fetched);
        // Large ones take a while, and requests do not wait for it.
        drop(out);
        if full { Err("more lists than can be held".to_owned()) } else { Ok(true) }
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

    /// Holds a list that one of our sources gave. False where it is held already. One that says where it is published is
    /// taken from there only.
    ///
    /// # Errors
    /// Why it is not taken, for the operator.
    pub fn take(&self, source: &Fetched<List>, list: Arc<List>, since: Instant) -> Result<bool, String> {
        let now = Millis::now();
        if list.is_early(now) || list.is_past(now) {
            return Err("a list that does not hold now".to_owned());
        }
        if !list.is_published_at(&source.source.url) {
            return Err("a list that is published elsewhere, as it says".to_owned());
        }
        let new = self.hold(list.clone(), now)?;
        source.hold(list, since);
        Ok(new)
    }

    /// Holds one that was fetched before, also one that is past: who stands on it is taken back, and nothing older is taken.
    pub fn keep(&self, list: Arc<List>) {
        let _one_of_nobody_we_know_is_let_go = self.hold(list, Millis::now());
    }

    fn hold(&self, list: Arc<List>, now: Millis) -> Result<bool, String> {
        let lists = self.lists.as_ref().ok_or("nobody is asked")?;
        // Each of the keys that have its issuer's name, now and not when somebody asks.
        let signers = self.signers(now).filter(|(name, _)| name == list.issuer());
        if signers.filter(|(_, key)| list.verify(key)).count() == 0 {
            return Err("a list that no certificate of the configuration has signed".to_owned());
        }
        lists.add(list, now)
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
