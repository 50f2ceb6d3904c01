//! Was a certificate of this path taken back? webpki has built the path and asks no list; what it says of several
//! paths that fail is no ground to say that one was or was not. Here every certificate of a path that holds is looked
//! for by name and number on every list of every authority, so that the order of authorities hides nothing. Then the
//! authority of the path must know of each that it was not taken back.

use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{Cert, Error, VerifiedPath, spki_for_anchor};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::config::auth::authority::{Anchor, Authority};
use crate::config::auth::list::{List, Place};
use crate::config::auth::lists::Lists;
use crate::wire::Millis;

/// Judges a path that ends at an anchor of `authority`, one of `all`.
///
/// # Errors
/// [`Error::CertRevoked`], or why it is not known whether a certificate was.
pub(super) fn judge(
    all: &[Authority],
    authority: &Authority,
    path: &VerifiedPath<'_>,
    now: Millis,
) -> Result<(), Error> {
    let leaf: &Cert<'_> = path.end_entity();
    // From the leaf upwards: each was issued by the next.
    let certificates: Vec<&Cert<'_>> = std::iter::once(leaf).chain(path.intermediate_certificates()).collect();
    let own = |anchor: &&Anchor| anchor.trusted == *path.anchor();
    let anchors = authority.anchors.iter().filter(own).map(|anchor| (&*anchor.issuer, &*anchor.serial));
    let mut numbers = certificates.iter().map(|one| (one.issuer(), one.serial())).chain(anchors);
    if numbers.any(|(issuer, serial)| taken_back(all, issuer, serial)) {
        return Err(Error::CertRevoked);
    }
    let Some(lists) = authority.lists.as_ref().map(Lists::now) else { return Ok(()) };
    for (number, certificate) in certificates.iter().enumerate() {
        let place = if number == 0 { Place::Leaf } else { Place::Between };
        let list = list_for(&lists, certificate, place, now)?;
        let issuer = certificates.get(number + 1);
        let key = issuer.map_or_else(|| spki_for_anchor(path.anchor()), |issuer| issuer.subject_public_key_info());
        if !list.is_signed_by(&key) {
            return Err(Error::InvalidCrlSignatureForPublicKey);
        }
        if list.is_past(now) {
            return Err(Error::CrlExpired { time: unix(now), next_update: unix(list.next_update) });
        }
        if let Some(issuer) = issuer {
            may_sign_lists(&issuer.der())?;
        }
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
fn list_for<'a>(lists: &'a [Arc<List>], certificate: &Cert<'_>, place: Place, now: Millis) -> Result<&'a List, Error> {
    let der = certificate.der();
    let (_, read) = X509Certificate::from_der(&der).map_err(|_| Error::BadDer)?;
    let its = |list: &&Arc<List>| list.issuer() == certificate.issuer() && list.speaks_for(&read, place);
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
