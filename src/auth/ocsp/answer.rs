//! What a responder answers (RFC 6960 4.2). Of it no more is read than what is signed and by whom, until the issuer of
//! the certificate, or whom he delegated for nothing but that, has signed it; and then it must be about that
//! certificate, of this moment and, where a nonce counts, for this question.

use std::time::Duration;

use x509_parser::der_parser::asn1_rs::Tag;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::question::{NONCE, Question, Value, named};
use super::times;
use crate::config::auth::der::{Element, Elements, Signed, elements, few, row};
use crate::config::auth::responder::{CertIdHash, Issuer, Nonce, Responder};
use crate::wire::Millis;

/// `id-pkix-ocsp-basic` and `id-pkix-ocsp-nocheck`.
const BASIC: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x01];
const NOCHECK: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x05];
/// What may be critical in the certificate of a responder: basic constraints, key usage, extended key usage. All are
/// looked at.
const UNDERSTOOD: [&[u8]; 3] = [&[0x55, 0x1d, 0x13], &[0x55, 0x1d, 0x0f], &[0x55, 0x1d, 0x25]];
/// Certificates that an answer brings, certificates that it is about, and extensions in one place, at most.
const CERTIFICATES: usize = 4;
const SINGLES: usize = 16;
const EXTENSIONS: usize = 16;
/// How far a responder's clock may be ahead.
const SKEW_MS: i64 = 60_000;
/// How long an answer counts that does not say until when: it says that there is always a newer one.
const SHORT_MS: i64 = 300_000;
/// How long a responder may not know what it may know later.
const UNKNOWN_MS: i64 = 60_000;
/// `certificateHold`, the only reason that may pass.
const HOLD: &[u8] = &[6];

/// What holds for answers of a responder.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    pub(super) hash: CertIdHash,
    pub(super) nonce: Nonce,
    pub(super) kept: Duration,
}

impl Rules {
    pub(super) fn of(responder: &Responder) -> Self {
        Self { hash: responder.hash, nonce: responder.nonce, kept: responder.kept }
    }
}

/// What is said of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Good,
    Revoked { for_good: bool },
    Unknown,
}

/// Somebody other than the issuer, who has signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::auth) struct Delegate {
    /// His certificate.
    pub(in crate::auth) der: Vec<u8>,
    /// Its number, the content of the integer.
    pub(in crate::auth) serial: Vec<u8>,
    /// Does it say that nobody is to ask whether it was taken back itself?
    pub(in crate::auth) nocheck: bool,
    not_after: Millis,
}

/// An answer that is believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: Status,
    pub(super) this_update: Millis,
    /// Until when it counts here.
    pub(super) until: Millis,
    /// For how long it counts here, whatever the clock says.
    pub(super) kept: Duration,
    pub(super) delegate: Option<Delegate>,
}

/// Reads the answer to this question.
///
/// # Errors
/// Why it is none.
pub(super) fn read(
    octets: &[u8],
    question: &Question,
    (rules, nonce): (Rules, Option<&Value>),
    now: Millis,
) -> Result<Answer, &'static str> {
    let basic = successful(octets)?;
    let fields = few(basic.content, 4).unwrap_or_default();
    let (signed, certificates) = match &fields[..] {
        [octets, algorithm, signature] => (Signed::of(octets, algorithm, signature), None),
        [octets, algorithm, signature, more] if more.context() == Some(0) => {
            (Signed::of(octets, algorithm, signature), Some(more))
        }
        _ => (None, None),
    };
    let signed = signed.ok_or("an answer that says not what is signed")?;
    let delegate = if signed.by(&question.issuer.key) {
        None
    } else {
        let certificates = certificates.ok_or("an answer that its issuer has not signed")?;
        Some(delegate(certificates, &signed, &question.issuer, now)?)
    };
    // From here on all is the word of the issuer.
    let signer = match &delegate {
        None => question.issuer.clone(),
        Some(delegate) => named_in(&delegate.der).ok_or("a responder's certificate that is not read")?,
    };
    let mut answer = said(&signed.octets, &signer, question, (rules, nonce), now)?;
    if let Some(delegate) = delegate {
        answer.until = answer.until.min(delegate.not_after);
        answer.delegate = Some(delegate);
    }
    Ok(answer)
}

/// What of the certificate is said in a signed `ResponseData`.
pub(super) fn said(
    octets: &[u8],
    signer: &Issuer,
    question: &Question,
    (rules, nonce): (Rules, Option<&Value>),
    now: Millis,
) -> Result<Answer, &'static str> {
    let unread = "a signed answer that is not read";
    let [data] = row(octets).ok_or(unread)?;
    let data = Data::read(data.content).ok_or(unread)?;
    if !data.is_by(signer) {
        return Err("an answer that names another responder than has signed it");
    }
    if data.produced > now.plus(SKEW_MS) {
        return Err("an answer from the future");
    }
    let answered = extensions(data.extensions)?;
    match (rules.nonce, nonce, answered) {
        (Nonce::Never, ..) | (Nonce::WhenAnswered, _, None) => {}
        (_, Some(sent), Some(answered)) if answered == sent => {}
        (_, _, Some(_)) => return Err("an answer to another question: its nonce is another"),
        (Nonce::Required, _, None) => return Err("an answer without the nonce of the question"),
    }
    let single = single(data.responses, question, rules).ok_or("an answer that is not about this certificate, once")?;
    judged(&single, rules, now)
}

/// `BasicOCSPResponse`, where the response is one.
fn successful(octets: &[u8]) -> Result<Element<'_>, &'static str> {
    let [response] = row(octets).ok_or("no answer that is read")?;
    let fields = few(response.content, 2).ok_or("no answer that is read")?;
    let (status, bytes) = match &fields[..] {
        [status] => (status, None),
        [status, bytes] if bytes.context() == Some(0) => (status, Some(bytes)),
        _ => return Err("no answer that is read"),
    };
    match (status.tag, status.content, bytes) {
        (Tag::Enumerated, [0], Some(bytes)) => {
            let basic = || {
                let [bytes] = row(bytes.content)?;
                let [kind, octets] = row(bytes.content)?;
                let [basic] = row(octets.content)?;
                (kind.content == BASIC && octets.tag == Tag::OctetString).then_some(basic)
            };
            basic().ok_or("an answer of another kind")
        }
        (Tag::Enumerated, [1], None) => Err("answers malformedRequest"),
        (Tag::Enumerated, [2], None) => Err("answers internalError"),
        (Tag::Enumerated, [3], None) => Err("answers tryLater"),
        (Tag::Enumerated, [5], None) => Err("answers sigRequired"),
        (Tag::Enumerated, [6], None) => Err("answers unauthorized"),
        _ => Err("no answer that is read"),
    }
}

/// The one of these certificates that the issuer has given for answering, and that has signed.
fn delegate(
    certificates: &Element<'_>,
    signed: &Signed,
    issuer: &Issuer,
    now: Millis,
) -> Result<Delegate, &'static str> {
    let [list] = row(certificates.content).ok_or("certificates that are none")?;
    let all = few(list.content, CERTIFICATES).ok_or("an answer with more certificates than are looked at")?;
    let der = all.iter().map(|one| one.whole).find(|der| {
        let by_issuer = || {
            let certificate = Signed::read(der)?;
            let named = shallow(&certificate.octets)?;
            Some(named.issuer == issuer.name && certificate.by(&issuer.key) && signed.by(named.key))
        };
        by_issuer() == Some(true)
    });
    let der = der.ok_or("an answer that neither its issuer has signed nor whom he certified")?;
    let unread = "a responder's certificate that is not read";
    let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| unread)?;
    if !rest.is_empty() {
        return Err(unread);
    }
    let usages = certificate.extended_key_usage().map_err(|_| unread)?;
    if !usages.is_some_and(|usages| usages.value.ocsp_signing) {
        return Err("a responder whose certificate is not for answering (id-kp-OCSPSigning)");
    }
    let usage = certificate.key_usage().map_err(|_| unread)?;
    if usage.is_some_and(|usage| !usage.value.digital_signature()) {
        return Err("a responder whose key is not for signatures");
    }
    let mut extensions = certificate.extensions().iter();
    if extensions.any(|one| one.critical && !UNDERSTOOD.contains(&one.oid.as_bytes())) {
        return Err("a responder whose certificate has a critical extension that nobody here knows");
    }
    let instant = |seconds: i64| Millis(seconds.saturating_mul(1000));
    let not_after = instant(certificate.validity().not_after.timestamp());
    if now < instant(certificate.validity().not_before.timestamp()) || not_after < now {
        return Err("a responder whose certificate does not hold now");
    }
    let nocheck = certificate.extensions().iter().any(|one| one.oid.as_bytes() == NOCHECK);
    Ok(Delegate { der: der.to_vec(), serial: certificate.raw_serial().to_vec(), nocheck, not_after })
}

/// What a certificate says of issuer, subject and key.
struct Shallow<'a> {
    issuer: &'a [u8],
    subject: &'a [u8],
    key: &'a [u8],
}

/// Reads no more than that.
fn shallow(certificate: &[u8]) -> Option<Shallow<'_>> {
    let [inner] = row(certificate)?;
    let mut fields = Elements(inner.content).take(7).skip_while(|field| field.context() == Some(0));
    let [_serial, _algorithm, issuer] = [fields.next()?, fields.next()?, fields.next()?];
    let [_validity, subject, key] = [fields.next()?, fields.next()?, fields.next()?];
    Some(Shallow { issuer: issuer.content, subject: subject.content, key: key.whole })
}

/// A certificate's own name and key.
fn named_in(der: &[u8]) -> Option<Issuer> {
    let signed = Signed::read(der)?;
    let Shallow { subject, key, .. } = shallow(&signed.octets)?;
    Some(Issuer { name: subject.to_vec(), key: key.to_vec() })
}

/// `ResponseData`.
struct Data<'a> {
    responder: Element<'a>,
    produced: Millis,
    responses: Element<'a>,
    extensions: Option<Element<'a>>,
}

impl<'a> Data<'a> {
    fn read(content: &'a [u8]) -> Option<Self> {
        let fields = elements(content)?;
        let fields = match &fields[..] {
            [version, rest @ ..] if version.context() == Some(0) => (version.content == [2, 1, 0]).then_some(rest)?,
            rest => rest,
        };
        let (responder, produced, responses, extensions) = match fields {
            [responder, produced, responses] => (responder, produced, responses, None),
            [responder, produced, responses, more] if more.context() == Some(1) => {
                (responder, produced, responses, Some(*more))
            }
            _ => return None,
        };
        let (responder, responses) = (*responder, *responses);
        Some(Self { responder, produced: times::instant(produced)?, responses, extensions })
    }

    /// `ResponderID`: by name, or by SHA-1 of the key.
    fn is_by(&self, signer: &Issuer) -> bool {
        let Some([named_by]) = row(self.responder.content) else { return false };
        match self.responder.context() {
            Some(1) => named_by.content == signer.name,
            Some(2) => named(&signer.key).is_some_and(|hash| hash == named_by.content),
            _ => false,
        }
    }
}

/// `SingleResponse`, its fields.
type Single<'a> = Vec<Element<'a>>;

/// The one that is about this certificate.
fn single<'a>(responses: Element<'a>, question: &Question, rules: Rules) -> Option<Single<'a>> {
    let all = few(responses.content, SINGLES)?;
    let read = all.iter().map(|one| elements(one.content)).collect::<Option<Vec<_>>>()?;
    let about = |fields: &Single<'_>| fields.first().is_some_and(|id| question.is(id.content, rules.hash));
    let mut its = read.into_iter().filter(about);
    its.next().filter(|_| its.next().is_none())
}

fn judged(single: &[Element<'_>], rules: Rules, now: Millis) -> Result<Answer, &'static str> {
    let unread = "an answer about this certificate that is not read";
    let [_, status, this_update, more @ ..] = single else { return Err(unread) };
    let (next_update, more) = match more {
        [next, more @ ..] if next.context() == Some(0) => {
            let [next] = row(next.content).ok_or(unread)?;
            (Some(times::instant(&next).ok_or(unread)?), more)
        }
        more => (None, more),
    };
    match more {
        [] => {}
        [one] if one.context() == Some(1) => {
            extensions(Some(*one))?;
        }
        _ => return Err(unread),
    }
    let this_update = times::instant(this_update).ok_or(unread)?;
    let status = match (status.whole, elements(status.content).as_deref()) {
        ([0x80, 0], _) => Status::Good,
        ([0x82, 0], _) => Status::Unknown,
        ([0xa1, ..], Some([_at])) => Status::Revoked { for_good: true },
        ([0xa1, ..], Some([_at, reason])) => {
            let [reason] = row(reason.content).ok_or(unread)?;
            Status::Revoked { for_good: reason.content != HOLD }
        }
        _ => return Err(unread),
    };
    if this_update > now.plus(SKEW_MS) {
        return Err("an answer from the future");
    }
    let until = next_update.unwrap_or_else(|| this_update.plus(SHORT_MS));
    if until <= now || until < this_update {
        return Err("an answer that is past");
    }
    let kept = i64::try_from(rules.kept.as_millis()).unwrap_or(i64::MAX);
    let kept = if status == Status::Unknown { kept.min(UNKNOWN_MS) } else { kept };
    Ok(Answer { status, this_update, until: until.min(now.plus(kept)), kept: rules.kept, delegate: None })
}

/// What is in `Extensions` that counts here: the nonce. None may be critical that is not known.
fn extensions<'a>(field: Option<Element<'a>>) -> Result<Option<&'a [u8]>, &'static str> {
    let Some(field) = field else { return Ok(None) };
    let unread = "extensions that are not read";
    let [list] = row(field.content).ok_or(unread)?;
    let all = few(list.content, EXTENSIONS).ok_or(unread)?;
    let mut nonce = None;
    for one in all {
        let fields = elements(one.content).ok_or(unread)?;
        let (id, critical, value) = match &fields[..] {
            [id, value] => (id, false, value),
            [id, critical, value] if critical.tag == Tag::Boolean => (id, critical.content != [0], value),
            _ => return Err(unread),
        };
        if id.content == NONCE {
            let [octets] = row(value.content).ok_or(unread)?;
            if nonce.replace(octets.content).is_some() {
                return Err(unread);
            }
        } else if critical {
            return Err("a critical extension that nobody here knows");
        }
    }
    Ok(nonce)
}
