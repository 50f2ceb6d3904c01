//! Answers of an OCSP responder, honest or not, octet by octet: made from the question, signed by whoever has a key.

use rcgen::{KeyPair, SigningKey};
use time::{Duration, OffsetDateTime};
use x509_parser::der_parser::asn1_rs::{Any, FromDer};

/// `CertStatus`.
pub(crate) const GOOD: &[u8] = &[0x80, 0];
pub(crate) const UNKNOWN: &[u8] = &[0x82, 0];
/// Revoked in 2026; and on hold since then.
pub(crate) const REVOKED: &[u8] = b"\xa1\x11\x18\x0f20260101000000Z";
pub(crate) const HELD: &[u8] = b"\xa1\x16\x18\x0f20260101000000Z\xa0\x03\x0a\x01\x06";

const NONCE: &[u8] = b"\x06\x09\x2b\x06\x01\x05\x05\x07\x30\x01\x02";
const BASIC: &[u8] = b"\x06\x09\x2b\x06\x01\x05\x05\x07\x30\x01\x01";
const ECDSA_SHA256: &[u8] = b"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02";

/// A value of DER.
pub(crate) fn value(tag: u8, content: &[&[u8]]) -> Vec<u8> {
    let content = content.concat();
    let head = match (u8::try_from(content.len()), u16::try_from(content.len())) {
        (Ok(short @ 0..=127), _) => vec![tag, short],
        (Ok(octet), _) => vec![tag, 0x81, octet],
        (_, Ok(octets)) => [&[tag, 0x82][..], &octets.to_be_bytes()].concat(),
        (_, Err(_)) => panic!("larger than any answer"),
    };
    [head, content].concat()
}

/// The first value there, whole, its content, and what comes after it.
fn first(der: &[u8]) -> (&[u8], &[u8], &[u8]) {
    let (rest, any) = Any::from_der(der).expect("a value");
    (&der[..der.len() - rest.len()], any.data, rest)
}

/// What is asked: `CertID`, and the nonce where there is one.
pub(crate) fn asked(request: &[u8]) -> (Vec<u8>, Option<Vec<u8>>) {
    let (_, tbs, _) = first(first(request).1);
    let (_, list, extensions) = first(tbs);
    let (id, ..) = first(first(list).1);
    let nonce = (!extensions.is_empty()).then(|| {
        let (_, one, _) = first(first(first(extensions).1).1);
        let (_, _, octets) = first(one);
        first(first(octets).1).1.to_vec()
    });
    (id.to_vec(), nonce)
}

/// An answer in the making: about one certificate, from so many minutes from now until so many.
#[derive(Clone)]
pub(crate) struct Answer {
    pub(crate) status: Vec<u8>,
    pub(crate) from: i64,
    pub(crate) until: Option<i64>,
    pub(crate) produced: i64,
    /// The nonce of the question, another one, or none.
    pub(crate) nonce: fn(Option<Vec<u8>>) -> Option<Vec<u8>>,
    /// What becomes of the `CertID` of the question.
    pub(crate) about: fn(Vec<u8>) -> Vec<u8>,
    /// What stands beside the one response, and beside the nonce.
    pub(crate) more: Vec<u8>,
    pub(crate) extension: Vec<u8>,
    /// `ResponderID`.
    pub(crate) responder: Vec<u8>,
    /// Certificates that come along, DER.
    pub(crate) certificates: Vec<Vec<u8>>,
}

impl Answer {
    /// An honest one of the responder with this name: the whole of it, DER.
    pub(crate) fn good(name: &[u8]) -> Self {
        Self {
            status: GOOD.to_vec(),
            from: -1,
            until: Some(60),
            produced: -1,
            nonce: |sent| sent,
            about: |id| id,
            more: Vec::new(),
            extension: Vec::new(),
            responder: value(0xa1, &[name]),
            certificates: Vec::new(),
        }
    }

    /// `OCSPResponse` to this request, signed by this key (P-256).
    pub(crate) fn to(&self, request: &[u8], key: &KeyPair) -> Vec<u8> {
        let (id, nonce) = asked(request);
        let until = self.until.map(|until| value(0xa0, &[&instant(until)])).unwrap_or_default();
        let single = value(0x30, &[&(self.about)(id), &self.status, &instant(self.from), &until]);
        let nonce = (self.nonce)(nonce).map(|nonce| value(0x30, &[NONCE, &value(4, &[&value(4, &[&nonce])])]));
        let extensions = [nonce.unwrap_or_default(), self.extension.clone()].concat();
        let extensions = match extensions.is_empty() {
            true => Vec::new(),
            false => value(0xa1, &[&value(0x30, &[&extensions])]),
        };
        let list = value(0x30, &[&single, &self.more]);
        let data = value(0x30, &[&self.responder, &instant(self.produced), &list, &extensions]);
        let signature = key.sign(&data).expect("signs");
        let certificates = match self.certificates.is_empty() {
            true => Vec::new(),
            false => value(0xa0, &[&value(0x30, &[&self.certificates.concat()])]),
        };
        let basic = value(0x30, &[&data, ECDSA_SHA256, &value(3, &[&[0], &signature]), &certificates]);
        let bytes = value(0x30, &[BASIC, &value(4, &[&basic])]);
        value(0x30, &[&[0x0a, 1, 0], &value(0xa0, &[&bytes])])
    }
}

/// `OCSPResponse` with a status alone.
pub(crate) fn status(number: u8) -> Vec<u8> {
    value(0x30, &[&[0x0a, 1, number]])
}

fn instant(minutes: i64) -> Vec<u8> {
    let at = OffsetDateTime::now_utc() + Duration::minutes(minutes);
    let text = format!(
        "{:04}{:02}{:02}{:02}{:02}{:02}Z",
        at.year(),
        u8::from(at.month()),
        at.day(),
        at.hour(),
        at.minute(),
        at.second()
    );
    value(0x18, &[text.as_bytes()])
}
