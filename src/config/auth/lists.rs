//! The revocation lists of an authority: those in the operator's files, and those that its sources give. A list in a
//! file is the operator's word. One that was fetched is taken only where a certificate of the configuration has signed
//! it, while it holds, and never in the place of a newer one: whoever is on the way can keep lists back, and no more
//! than that.

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

    /// Those there are now, newest first: the first one of an issuer is asked, and no other, for an older one says
    /// less.
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

    /// In how many milliseconds it is looked for newer ones: half of the time until one of them ends, and as long as it
    /// has ended. A list that nobody publishes any more is so asked for more and more seldom.
    #[must_use]
    pub fn patience(&self, now: Millis) -> Option<i64> {
        let left = |list: &Arc<List>| match list.next_update.0.saturating_sub(now.0) {
            left @ 0.. => left / 2,
            ended => ended.saturating_neg(),
        };
        self.fetched().iter().map(left).min()
    }

    /// Puts a list among those that were fetched. It takes the place of one that is for the same certificates and not
    /// newer, and, if it is for all of its issuer's, of older ones that are past. So for each certificate the newest
    /// that spoke for it is held, past or not, and whoever can choose among lists that are genuine puts none out of
    /// force, nor back in.
    fn add(&self, list: Arc<List>, now: Millis) -> Result<bool, String> {
        let mut fetched = self.fetched.write().unwrap_or_else(PoisonError::into_inner);
        let same = |other: &Arc<List>| other.issuer() == list.issuer() && other.is_for_the_same(&list);
        for other in fetched.iter().filter(|other| same(other)) {
            match other.age().cmp(&list.age()) {
                Ordering::Greater => return Err("an older list than before".to_owned()),
                // The same one, or signed anew: then the one that holds longer.
                Ordering::Equal if list.next_update <= other.next_update => return Ok(false),
                Ordering::Equal | Ordering::Less => {}
            }
        }
        let covered = |other: &Arc<List>| {
            list.is_whole() && other.issuer() == list.issuer() && other.is_past(now) && other.age() < list.age()
        };
        let gives_way = |other: &Arc<List>| same(other) || covered(other);
        let (out, kept): (Vec<_>, Vec<_>) = fetched.drain(..).partition(gives_way);
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

    /// Holds a list that one of our sources gave. False where it is held already. One that says where it is published
    /// is taken from there only.
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

    /// Holds those that were fetched before as they were, but for lists of nobody we know: also what is past, for who
    /// stands on it is taken back, and nothing older is taken. Nothing was fetched yet.
    pub fn keep(&self, mut lists: Vec<Arc<List>>) {
        let now = Millis::now();
        lists.retain(|list| self.has_signed(list, now));
        if let Some(own) = &self.lists {
            *own.fetched.write().unwrap_or_else(PoisonError::into_inner) = lists;
        }
    }

    fn hold(&self, list: Arc<List>, now: Millis) -> Result<bool, String> {
        let lists = self.lists.as_ref().ok_or("nobody is asked")?;
        if !self.has_signed(&list, now) {
            return Err("a list that no certificate of the configuration has signed".to_owned());
        }
        lists.add(list, now)
    }

    /// Verified by each of the keys that have its issuer's name, now and not when somebody asks.
    fn has_signed(&self, list: &List, now: Millis) -> bool {
        let signers = self.signers(now).filter(|(name, _)| name == list.issuer());
        signers.filter(|(_, key)| list.verify(key)).count() > 0
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

#[cfg(test)]
mod tests {
    use rcgen::{CrlDistributionPoint, CrlIssuingDistributionPoint, CrlScope, Issuer, KeyPair};
    use time::{Duration, OffsetDateTime};

    use super::super::list::tests::{issuer, listed};
    use super::*;

    /// A list from so many minutes from now until so many, for all certificates or for those of a scope.
    fn list(by: &Issuer<'static, KeyPair>, (from, until): (i64, i64), scope: Option<CrlScope>) -> Arc<List> {
        let part = |scope| CrlIssuingDistributionPoint {
            distribution_point: CrlDistributionPoint { uris: vec!["http://pki.example/part.crl".to_owned()] },
            scope: Some(scope),
        };
        let der = listed(by, |list| {
            let now = OffsetDateTime::now_utc();
            (list.this_update, list.next_update) = (now + Duration::minutes(from), now + Duration::minutes(until));
            list.issuing_distribution_point = scope.map(part);
        });
        Arc::new(List::from_der(&der).unwrap())
    }

    use CrlScope::{CaCertsOnly, UserCertsOnly};

    #[test]
    fn a_list_that_is_past_stays_until_a_newer_one_speaks_for_all_it_spoke_for() {
        let by = issuer(&rcgen::PKCS_ED25519);
        let (now, later) = (Millis::now(), Millis::now().plus(20 * 60_000));
        let lists = Lists::new(Vec::new(), Vec::new());
        let ages = || lists.now().iter().map(|list| list.age().0).collect::<Vec<_>>();
        let users = list(&by, (-30, 10), Some(UserCertsOnly));
        assert_eq!(lists.add(users.clone(), now), Ok(true));
        // Newer and for others, older and for all: it is the newest for users still, and says that it is past.
        for other in [list(&by, (-5, 600), Some(CaCertsOnly)), list(&by, (-60, 600), None)] {
            assert_eq!(lists.add(other, later), Ok(true));
            assert!(lists.fetched().iter().any(|held| held.age() == users.age()), "who stands on it would get in");
        }
        // Nor by an older one of its own.
        assert!(lists.add(list(&by, (-40, 600), Some(UserCertsOnly)), later).is_err());
        // A newer one for all: the past one goes, those that hold or are newer stay.
        let all = list(&by, (-10, 600), None);
        assert_eq!(lists.add(all.clone(), later), Ok(true));
        assert_eq!((ages().len(), ages()[1]), (2, all.age().0));
    }

    #[test]
    fn a_list_that_ended_is_asked_for_more_and_more_seldom() {
        let by = issuer(&rcgen::PKCS_ED25519);
        let lists = Lists::new(Vec::new(), Vec::new());
        assert_eq!(lists.patience(Millis::now()), None);
        let users = list(&by, (-30, 10), Some(UserCertsOnly));
        lists.add(users.clone(), Millis::now()).unwrap();
        let after = |minutes: i64| lists.patience(users.next_update.plus(minutes * 60_000)).unwrap() / 60_000;
        assert_eq!([-8, -2, 0, 2, 60].map(after), [4, 1, 0, 2, 60]);
        lists.add(list(&by, (-30, 70), Some(CaCertsOnly)), Millis::now()).unwrap();
        assert_eq!(after(40), 10, "another one ends");
    }

    #[test]
    fn of_two_lists_of_one_instant_the_one_that_holds_longer_is_held() {
        let by = issuer(&rcgen::PKCS_ED25519);
        let now = Millis::now();
        let lists = Lists::new(Vec::new(), Vec::new());
        let at = OffsetDateTime::now_utc() - Duration::hours(1);
        let until = |minutes| {
            let der = listed(&by, |list| {
                (list.this_update, list.next_update) = (at, at + Duration::minutes(minutes));
            });
            Arc::new(List::from_der(&der).unwrap())
        };
        assert_eq!(lists.add(until(120), now), Ok(true));
        assert_eq!((lists.add(until(120), now), lists.add(until(90), now)), (Ok(false), Ok(false)));
        assert_eq!(lists.add(until(180), now), Ok(true));
        assert_eq!(lists.fetched().len(), 1);
    }
}
