//! Was a certificate of this path taken back? webpki has built the path and asks no list; what it says of several paths
//! that fail is no ground to say that one was or was not. Here every certificate of a path that holds is looked for by
//! name and number on every list of every authority, and among what responders have answered, so that the order of
//! authorities hides nothing. Then the authority of the path must know of each that it was not taken back: by a list,
//! by a responder, or by both, as its configuration says.

use std::cell::LazyCell;
use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{Cert, Error, VerifiedPath, spki_for_anchor};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::known_signatures::KnownSignatures;
use super::ocsp::{Delegate, Desk, Desks, Held, Question};
use crate::config::auth::authority::{Anchor, Authority, Enough};
use crate::config::auth::list::{List, Place};
use crate::config::auth::lists::Lists;
use crate::config::auth::responder::Issuer;
use crate::wire::Millis;

/// What paths are judged by.
pub(super) struct Court<'a> {
    /// Every authority, whichever the path ends at.
    pub(super) all: &'a [Authority],
    /// What responders have answered, and what those have who are asked no more.
    pub(super) desks: &'a [Arc<Desk>],
    pub(super) known: &'a Desks,
    /// Which signatures hold.
    pub(super) signatures: &'a KnownSignatures,
    pub(super) now: Millis,
    /// Where the path is judged for the last time, why nobody is asked any more: what nobody has answered is not known.
    pub(super) last: Option<&'static str>,
}

/// Why a path does not hold.
#[derive(Debug)]
pub(super) enum Fault {
    /// A rule that webpki has a name for.
    Path(Error),
    /// The responder says that he does not know the certificate.
    Unknown,
    /// No responder has answered.
    Silent(String),
    /// None was asked for as long as it takes, so none was silent.
    Unasked(&'static str),
    /// Responders are to be asked first.
    Ask(Vec<(Arc<Desk>, Question)>),
    /// It was not issued under policies that are asked for.
    Policies(&'static str),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Path(error)
    }
}

impl Court<'_> {
    /// Judges a path that ends at an anchor of `authority`.
    ///
    /// # Errors
    /// That a certificate was taken back, or why it is not known whether one was.
    pub(super) fn judge(&self, authority: &Authority, path: &VerifiedPath<'_>) -> Result<(), Fault> {
        let leaf: &Cert<'_> = path.end_entity();
        // From the leaf upwards: each was issued by the next.
        let certificates: Vec<&Cert<'_>> = std::iter::once(leaf).chain(path.intermediate_certificates()).collect();
        let own = |anchor: &&Anchor| anchor.trusted == *path.anchor();
        let anchors = authority.anchors.iter().filter(own).map(|anchor| (&*anchor.issuer, &*anchor.serial));
        let mut numbers = certificates.iter().map(|one| (one.issuer(), one.serial())).chain(anchors);
        if numbers.any(|(issuer, serial)| taken_back(self.all, issuer, serial)) {
            return Err(Error::CertRevoked.into());
        }
        let questions: Vec<_> = (0..certificates.len()).map(|number| question(&certificates, number, path)).collect();
        let revoked = |desk: &Arc<Desk>| questions.iter().any(|one| desk.held(one, self.now) == Held::Revoked);
        if questions.iter().any(|one| self.known.gone(one)) || self.desks.iter().any(revoked) {
            return Err(Error::CertRevoked.into());
        }
        let lists = authority.lists.as_ref().map(Lists::now);
        let by_list = |number: usize| {
            let lists = lists.as_deref().unwrap_or_default();
            self.by_list(lists, &certificates, number, &questions[number].issuer)
        };
        let desk = self.desks.iter().find(|desk| desk.authority() == authority.name.as_str());
        let desk = desk.filter(|_| !authority.responders.is_empty());
        if authority.lists.is_some() && (desk.is_none() || authority.enough == Enough::All) {
            (0..certificates.len()).try_for_each(by_list)?;
        }
        let Some(desk) = desk else {
            // One that came with a reload is not asked by who began before it.
            let gone = || Fault::Silent("responders of another configuration".to_owned());
            return if authority.responders.is_empty() { Ok(()) } else { Err(gone()) };
        };
        let mut unasked = Vec::new();
        for (number, question) in questions.iter().enumerate() {
            let why = match desk.held(question, self.now) {
                Held::Good(None) => continue,
                Held::Good(Some(delegate)) => match self.may_answer(lists.as_deref(), &delegate, &question.issuer) {
                    Ok(()) => continue,
                    Err(why) => why.to_owned(),
                },
                Held::Revoked => return Err(Error::CertRevoked.into()),
                Held::Unknown => return Err(Fault::Unknown),
                Held::Silent(why) => why,
                Held::Nothing => match self.last {
                    // No list is enough for that, and no other authority: whoever keeps the responder from having its
                    // turn could see to it.
                    Some(why) => return Err(Fault::Unasked(why)),
                    None => {
                        unasked.push((desk.clone(), question.clone()));
                        continue;
                    }
                },
            };
            if authority.lists.is_none() || authority.enough == Enough::All {
                return Err(Fault::Silent(why));
            }
            by_list(number)?;
        }
        if unasked.is_empty() { Ok(()) } else { Err(Fault::Ask(unasked)) }
    }

    /// Does a list of its issuer say that this one of them was not taken back?
    fn by_list(
        &self,
        lists: &[Arc<List>],
        certificates: &[&Cert<'_>],
        number: usize,
        by: &Issuer,
    ) -> Result<(), Error> {
        let place = if number == 0 { Place::Leaf } else { Place::Between };
        let certificate = certificates[number];
        holds(lists, (certificate.issuer(), &certificate.der()), place, &by.key, self.now)?;
        certificates.get(number + 1).map_or(Ok(()), |issuer| may_sign_lists(&issuer.der()))
    }

    /// May he answer for the issuer, as far as lists know? Where his certificate does not say that nobody is to ask, a
    /// list has to say that it was not taken back.
    fn may_answer(
        &self,
        lists: Option<&[Arc<List>]>,
        delegate: &Delegate,
        issuer: &Issuer,
    ) -> Result<(), &'static str> {
        if taken_back(self.all, &issuer.name, &delegate.serial) {
            return Err("the certificate of the responder was taken back");
        }
        let der = CertificateDer::from(&*delegate.der);
        let listed = || holds(lists.unwrap_or_default(), (&issuer.name, &der), Place::Leaf, &issuer.key, self.now);
        if delegate.nocheck || listed().is_ok() {
            return Ok(());
        }
        Err("nobody says that the certificate of the responder was not taken back, and it has no id-pkix-ocsp-nocheck")
    }
}

/// The question that a certificate of the path is asked about by.
fn question(certificates: &[&Cert<'_>], number: usize, path: &VerifiedPath<'_>) -> Question {
    let key = certificates
        .get(number + 1)
        .map_or_else(|| spki_for_anchor(path.anchor()), |issuer| issuer.subject_public_key_info());
    let (name, serial) = (certificates[number].issuer().to_vec(), certificates[number].serial().to_vec());
    Question { issuer: Issuer { name, key: key.to_vec() }, serial }
}

/// Is there a list about this certificate that holds, by the key of its issuer?
fn holds(
    lists: &[Arc<List>],
    (issuer, der): (&[u8], &CertificateDer<'_>),
    place: Place,
    key: &[u8],
    now: Millis,
) -> Result<(), Error> {
    let list = list_for(lists, (issuer, der), place, now)?;
    if !list.is_signed_by(key) {
        return Err(Error::InvalidCrlSignatureForPublicKey);
    }
    if list.is_past(now) {
        return Err(Error::CrlExpired { time: unix(now), next_update: unix(list.next_update) });
    }
    Ok(())
}

/// Does it stand on any list by an issuer of that name? Also on one that is past, is not the newest or is signed by
/// another key: an authority that says so is believed.
fn taken_back(all: &[Authority], issuer: &[u8], serial: &[u8]) -> bool {
    let mut lists = all.iter().flat_map(|authority| &authority.lists).flat_map(Lists::now);
    lists.any(|list| list.issuer() == issuer && list.names(serial))
}

/// The list that is asked about a certificate: the newest of its issuer that holds already.
fn list_for<'a>(
    lists: &'a [Arc<List>],
    (issuer, der): (&[u8], &CertificateDer<'_>),
    place: Place,
    now: Millis,
) -> Result<&'a List, Error> {
    // Few lists are for a part of the certificates, and only then it is read for which.
    let read = LazyCell::new(|| X509Certificate::from_der(der).ok().map(|(_, read)| read));
    let speaks = |list: &List| list.is_whole() || read.as_ref().is_some_and(|read| list.speaks_for(read, place));
    let its = |list: &&Arc<List>| list.issuer() == issuer && speaks(list);
    let list = lists.iter().filter(|list| !list.is_early(now)).find(its);
    list.map(|list| &**list).ok_or(Error::UnknownRevocationStatus)
}

/// Where it says what its key is for, lists must be among it.
fn may_sign_lists(der: &CertificateDer<'_>) -> Result<(), Error> {
    let (_, issuer) = X509Certificate::from_der(der).map_err(|_| Error::BadDer)?;
    let usage = issuer.key_usage().map_err(|_| Error::BadDer)?;
    if usage.is_none_or(|usage| usage.value.crl_sign()) { Ok(()) } else { Err(Error::IssuerNotCrlSigner) }
}

/// An instant as webpki has it.
pub(super) fn unix(instant: Millis) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_millis(instant.0.try_into().unwrap_or(0)))
}
