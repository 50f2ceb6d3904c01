//! Certificates that nobody registered: does an authority the operator trusts vouch for one, and which account
//! does it mean? Asked only of a certificate whose key has verified a signature, before anything that was signed
//! is read. Everything it is judged by is there already, but for the answers of responders: who is to be asked is said,
//! and it is judged once more.

use std::borrow::Cow;
use std::cell::RefCell;
use std::sync::Arc;

use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor};
use webpki::{EndEntityCert, Error, ExtendedKeyUsageValidator, KeyPurposeId, KeyPurposeIdIter, VerifiedPath};
use x509_parser::der_parser::asn1_rs::{Any, Tag};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::known_signatures::KnownSignatures;
use super::ocsp::{Desk, Desks, Question};
use super::policies;
use super::reason::Reason;
use super::revocation::{self, Court, Fault};
use crate::config::auth::Auth;
use crate::config::auth::authority::{Authority, NameSource, Usage, may_issue};
use crate::config::auth::certificate::Certificate;
use crate::config::auth::users::Account;
use crate::wire::evidence::KeyReference;
use crate::wire::{Millis, Octets};

/// The largest certificate that is read, octets.
const LARGEST: usize = 8 * 1024;
/// Certificates in a path that a message brings, at most. Where a stranger gives all of them one name, webpki tries
/// every order, and a signature each time: sixteen of them here, and a hundred with two more.
pub(super) const LONGEST: usize = 4;
/// `id-ms-san-upn`.
const UPN: &str = "1.3.6.1.4.1.311.20.2.3";
/// Issued for something else.
#[expect(deprecated, reason = "the other variant names one usage, known when this is compiled")]
const USAGE: Error = Error::RequiredEkuNotFound;

/// Why a certificate means nobody here.
#[derive(Debug)]
pub(super) struct Refused<'a> {
    /// The word.
    pub(super) reason: Reason,
    /// The authority that comes closest.
    pub(super) authority: Option<&'a Authority>,
    /// For the operator.
    pub(super) why: String,
    /// Who is to be asked before it is known.
    pub(super) ask: Vec<(Arc<Desk>, Question)>,
}

/// The certificate that is said to have signed, and those that a message brings along to lead to it. None when they
/// are not written as a path is.
pub(super) fn apart(reference: &KeyReference) -> Option<(Cow<'_, KeyReference>, Vec<CertificateDer<'_>>)> {
    let KeyReference::Path(path) = reference else { return Some((Cow::Borrowed(reference), Vec::new())) };
    let (after, outer) = Any::from_der(path).ok()?;
    if !after.is_empty() || outer.tag() != Tag::Sequence {
        return None;
    }
    let mut certificates = Vec::new();
    let mut left = outer.data;
    while !left.is_empty() {
        let (rest, one) = Any::from_der(left).ok()?;
        if one.tag() != Tag::Sequence || certificates.len() == LONGEST {
            return None;
        }
        certificates.push(CertificateDer::from(left.get(..left.len() - rest.len())?));
        left = rest;
    }
    let signer = KeyReference::Certificate(Octets::new(certificates.pop()?.to_vec()).ok()?);
    Some((Cow::Owned(signer), certificates))
}

/// The last certificate of a path, which is the one that signed; none where it is not written as one is.
pub(super) fn last_of(path: &[u8]) -> Option<&[u8]> {
    let (after, outer) = Any::from_der(path).ok()?;
    let (mut left, mut last) = (outer.data, None);
    while !left.is_empty() {
        let (rest, _) = Any::from_der(left).ok()?;
        last = left.get(..left.len() - rest.len());
        left = rest;
    }
    last.filter(|_| after.is_empty())
}

/// The certificate a message brings along, when one is read that no authority has been asked about yet.
pub(super) fn presented(config: &Auth, reference: &KeyReference) -> Option<Certificate> {
    let KeyReference::Certificate(der) = reference else { return None };
    if config.authorities.is_empty() || der.len() > LARGEST {
        return None;
    }
    Certificate::from_der(der.to_vec()).ok()
}

/// The account that this certificate means, and the authority that says so. With `last`, nobody is asked any more, for
/// that reason.
///
/// # Errors
/// No path, taken back, not known whether it is, or a name that is no account's or not for this authority.
pub(super) fn account<'a>(
    config: &'a Auth,
    (known, signatures, last): (&Desks, &KnownSignatures, Option<&'static str>),
    certificate: &Certificate,
    brought: &[CertificateDer<'_>],
    now: Millis,
) -> Result<(&'a Account, &'a Authority), Refused<'a>> {
    let why = "no authority that holds now issued it".to_owned();
    let mut closest = Refused { reason: Reason::UntrustedIssuer, authority: None, why, ask: Vec::new() };
    let court = Court { all: &config.authorities, desks: &known.all(), known, signatures, now, last };
    // webpki does not ask whether a key may sign certificates; those of the configuration have been asked.
    let brought: Vec<_> = brought.iter().filter(|der| may_issue(der, now)).collect();
    let Ok((_, read)) = X509Certificate::from_der(&certificate.der) else { return Err(closest) };
    let mut vouching = None;
    for authority in &config.authorities {
        // The lists of all have been looked at; responders are asked only by the authority they are of.
        if vouching.is_some() && authority.responders.is_empty() {
            continue;
        }
        match path(&court, authority, &brought, (&certificate.der, &read)) {
            Ok(()) => vouching = vouching.or(Some(authority)),
            // Not issued below its anchors: another's, perhaps.
            Err(Fault::Path(Error::UnknownIssuer)) => {}
            Err(fault) => {
                let unasked = matches!(fault, Fault::Unasked(_));
                let refused = Refused {
                    reason: reason(&fault),
                    authority: Some(authority),
                    why: told(&fault),
                    ask: if let Fault::Ask(questions) = fault { questions } else { Vec::new() },
                };
                // What one took back no other brings back, so it is known first whether it did.
                if unasked || refused.reason == Reason::Revoked || !refused.ask.is_empty() {
                    return Err(refused);
                }
                closest = refused;
            }
        }
    }
    let Some(authority) = vouching else { return Err(closest) };
    let named = named_by(config, authority, (certificate, &read)).map(|account| (account, authority));
    named.map_err(|why| Refused { reason: Reason::NoAccount, authority: Some(authority), why, ask: Vec::new() })
}

fn reason(fault: &Fault) -> Reason {
    match fault {
        Fault::Path(Error::CertRevoked) => Reason::Revoked,
        Fault::Path(
            Error::UnknownRevocationStatus
            | Error::CrlExpired { .. }
            | Error::InvalidCrlSignatureForPublicKey
            | Error::IssuerNotCrlSigner,
        )
        | Fault::Unknown => Reason::RevocationUnknown,
        Fault::Silent(_) | Fault::Unasked(_) | Fault::Ask(_) => Reason::NoResponder,
        Fault::Path(Error::CertExpired { .. } | Error::CertNotValidYet { .. }) => Reason::CertificateDates,
        Fault::Policies(_) | Fault::Path(_) => Reason::UntrustedIssuer,
    }
}

fn told(fault: &Fault) -> String {
    match fault {
        Fault::Path(error) => format!("{error:?}"),
        Fault::Unknown => "the responder does not know it, or one that it is below".to_owned(),
        Fault::Silent(why) => format!("no responder has answered: {why}"),
        Fault::Policies(why) => (*why).to_owned(),
        Fault::Unasked(why) => format!("no responder was asked: {why}"),
        Fault::Ask(_) => "no responder was asked yet".to_owned(),
    }
}

/// Is there a path from an anchor of this authority to the certificate, and was nothing in it taken back? webpki
/// bounds what looking for it costs; it knows neither the dates nor the path length of an anchor.
fn path(
    court: &Court<'_>,
    authority: &Authority,
    brought: &[&CertificateDer<'_>],
    (der, read): (&[u8], &X509Certificate<'_>),
) -> Result<(), Fault> {
    let (der, now) = (CertificateDer::from(der), court.now);
    let certificate = EndEntityCert::try_from(&der)?;
    let anchors: Vec<TrustAnchor<'_>> = (authority.anchors.iter())
        .filter(|anchor| anchor.dates.hold(now))
        .map(|anchor| anchor.trusted.clone())
        .collect();
    let holding = authority.intermediates.iter().filter(|(_, dates)| dates.hold(now)).map(|(der, _)| der);
    let between = holding.chain(brought.iter().copied());
    let between: Vec<_> = between.map(|der| CertificateDer::from(der.as_ref())).collect();
    // webpki tells of one of the paths that failed, and not of which; a sender can see to it that it is another.
    let judged = RefCell::new(None);
    let judge = |path: &VerifiedPath<'_>| {
        let verdict = short(authority, path).map_err(Fault::from).and_then(|()| court.judge(authority, path));
        let verdict = verdict.and_then(|()| policies::judge(&authority.policies, path).map_err(Fault::Policies));
        let Err(fault) = verdict else { return Ok(()) };
        let mut judged = judged.borrow_mut();
        let told = if let Fault::Path(error) = &fault { error.clone() } else { Error::UnknownRevocationStatus };
        match &mut *judged {
            Some(Fault::Path(Error::CertRevoked)) => {}
            Some(Fault::Ask(_) | Fault::Unasked(_)) if told != Error::CertRevoked => {}
            judged => *judged = Some(fault),
        }
        Err(told)
    };
    let algorithms = court.signatures.algorithms();
    let algorithms: Vec<&dyn SignatureVerificationAlgorithm> =
        algorithms.iter().map(|algorithm| algorithm as &dyn SignatureVerificationAlgorithm).collect();
    let built = certificate.verify_for_usage(
        &algorithms,
        &anchors,
        &between,
        revocation::unix(now),
        Usages(&authority.usages),
        None,
        Some(&judge),
    );
    if let Err(error) = built {
        return Err(judged.into_inner().unwrap_or(Fault::Path(error)));
    }
    // webpki takes silence for any use.
    let silent = read.extended_key_usage().map_err(|_| Error::BadDer)?.is_none();
    if silent && !authority.usages.is_empty() { Err(USAGE.into()) } else { Ok(()) }
}

/// Does the anchor allow as many authorities below it?
fn short(authority: &Authority, path: &VerifiedPath<'_>) -> Result<(), Error> {
    let between = path.intermediate_certificates().count();
    let too_long = |most: u32| usize::try_from(most).is_ok_and(|most| between > most);
    let same = authority.anchors.iter().filter(|anchor| anchor.trusted == *path.anchor());
    let long = same.filter_map(|anchor| anchor.path_length).any(too_long);
    if long { Err(Error::PathLenConstraintViolated) } else { Ok(()) }
}

/// What a certificate must be issued for: one that says what for names each of these.
struct Usages<'a>(&'a [Usage]);

impl ExtendedKeyUsageValidator for Usages<'_> {
    fn validate(&self, present: KeyPurposeIdIter<'_, '_>) -> Result<(), Error> {
        let present = present.collect::<Result<Vec<_>, _>>()?;
        let named = |usage: &Usage| present.contains(&KeyPurposeId::new(&usage.0));
        // An authority may leave it open; the certificate itself may not, which is looked at when there is a path.
        if present.is_empty() || self.0.iter().all(named) { Ok(()) } else { Err(USAGE) }
    }
}

/// The account a certificate with a path means.
fn named_by<'a>(
    config: &'a Auth,
    authority: &Authority,
    (certificate, read): (&Certificate, &X509Certificate<'_>),
) -> Result<&'a Account, String> {
    let name = name(authority, read)?;
    let account = config.users.find(&name).ok_or_else(|| format!("there is no account {name:?}"))?;
    if account.authority.as_deref() != Some(authority.name.as_str()) {
        return Err(format!("account {name:?} is not for this authority"));
    }
    // Who has the key is known already, and it is not for an authority to say that he is somebody else.
    if let Some(owner) = config.users.owner(&certificate.key).filter(|owner| *owner != name) {
        return Err(format!("its key is registered for {owner:?}, and it names {name:?}"));
    }
    Ok(account)
}

/// The name by the first rule that gives one, which must not give two.
fn name(authority: &Authority, certificate: &X509Certificate<'_>) -> Result<String, String> {
    for rule in &authority.subjects {
        let values = values(certificate, rule.from).ok_or("a name in it is not plain text")?;
        if let Some(name) = rule.naming.one(&values)? {
            return Ok(name);
        }
    }
    Err("no rule finds a name in it".to_owned())
}

/// The values of a field; none at all when one of them is not what such a field holds: what is cut off at a NUL
/// somewhere else would be another name here.
fn values(certificate: &X509Certificate<'_>, from: NameSource) -> Option<Vec<String>> {
    let mut values = Vec::new();
    if from == NameSource::Cn {
        for name in certificate.subject().iter_common_name() {
            values.push(name.as_str().ok()?.to_owned());
        }
    } else {
        let alternatives = certificate.subject_alternative_name().ok()?;
        for name in alternatives.iter().flat_map(|names| &names.value.general_names) {
            match (from, name) {
                (NameSource::SanEmail, GeneralName::RFC822Name(name))
                | (NameSource::SanDns, GeneralName::DNSName(name)) => {
                    if !name.bytes().all(|octet| octet.is_ascii_graphic()) {
                        return None;
                    }
                    values.push((*name).to_owned());
                }
                (NameSource::SanUpn, GeneralName::OtherName(kind, value)) if kind.to_id_string() == UPN => {
                    values.push(explicit_text(value)?);
                }
                (_, GeneralName::Invalid(..)) => return None,
                _ => {}
            }
        }
    }
    values.iter().all(|value| !value.is_empty() && !value.contains(char::is_control)).then_some(values)
}

/// `[0] EXPLICIT UTF8String`.
fn explicit_text(der: &[u8]) -> Option<String> {
    let (rest, outer) = Any::from_der(der).ok()?;
    let (more, inner) = Any::from_der(outer.data).ok()?;
    let whole = rest.is_empty() && more.is_empty() && outer.tag() == Tag(0) && inner.tag() == Tag::Utf8String;
    whole.then(|| String::from_utf8(inner.data.to_vec()).ok()).flatten()
}
