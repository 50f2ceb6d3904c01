//! Reads the TLS handshake in which a client proved the key of its certificate, and verifies both signatures in it:
//! ours, by the server certificate it shows, and the client's. A worker hands the messages on and could have made
//! them up; nothing in them is believed but what one of the signatures covers. The reader takes the messages of a
//! full handshake in their one order and nothing else: no resumption, no message twice, no octet left over.

mod reader;
mod scheme;
#[cfg(all(feature = "worker", feature = "signer"))]
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use aws_lc_rs::digest::{self, digest};
use aws_lc_rs::signature::UnparsedPublicKey;

use self::reader::{Messages, Reader};
use super::reason::Reason;
use crate::config::auth::certificate::Certificate;
use crate::wire::Octets;
use crate::wire::evidence::{ClientHandshake, TlsVersion};
use crate::wire::links::{SignedHandshake, Transcript};

// `HandshakeType` (RFC 8446 4, RFC 5246 7.4).
const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
const ENCRYPTED_EXTENSIONS: u8 = 8;
const CERTIFICATE: u8 = 11;
const SERVER_KEY_EXCHANGE: u8 = 12;
const CERTIFICATE_REQUEST: u8 = 13;
const SERVER_HELLO_DONE: u8 = 14;
const CERTIFICATE_VERIFY: u8 = 15;
const CLIENT_KEY_EXCHANGE: u8 = 16;
const FINISHED: u8 = 20;
/// Stands for the first ClientHello where there were two (RFC 8446 4.4.1).
const MESSAGE_HASH: u8 = 254;

// `ExtensionType`.
const PRE_SHARED_KEY: u16 = 41;
const SUPPORTED_VERSIONS: u16 = 43;
const RENEGOTIATION_INFO: u16 = 0xFF01;

/// `ServerHello.random` of a HelloRetryRequest (RFC 8446 4.1.3).
const RETRY: [u8; 32] = [
    0xCF, 0x21, 0xAD, 0x74, 0xE5, 0x9A, 0x61, 0x11, 0xBE, 0x1D, 0x8C, 0x02, 0x1E, 0x65, 0xB8, 0x91, 0xC2, 0xA2, 0x11,
    0x16, 0x7A, 0xBB, 0x8C, 0x5E, 0x07, 0x9E, 0x09, 0xE2, 0xC8, 0xA8, 0x33, 0x9C,
];
/// `ECCurveType.named_curve` (RFC 8422 5.4).
const NAMED_CURVE: u8 = 3;
const V12: u16 = 0x0303;
const V13: [u8; 2] = [3, 4];

/// What a handshake shows, if its signatures hold.
#[derive(Debug)]
pub(super) struct Shown<'m> {
    version: TlsVersion,
    /// The server's certificate, DER.
    pub(super) server: &'m [u8],
    /// The client's certificates, DER, its own first; there is one.
    pub(super) certificates: Vec<&'m [u8]>,
    transcript: Transcript,
    by_server: Signed<'m>,
    by_client: Signed<'m>,
}

#[derive(Debug)]
struct Signed<'m> {
    octets: Cow<'m, [u8]>,
    scheme: u16,
    value: &'m [u8],
}

impl Signed<'_> {
    fn verify(&self, version: TlsVersion, by: &Certificate) -> Result<(), Reason> {
        let (algorithm, key) = scheme::fitting(version, &by.key, self.scheme).ok_or(Reason::SignatureAlgorithm)?;
        let key = UnparsedPublicKey::new(algorithm, key);
        key.verify(&self.octets, self.value).map_err(|_| Reason::WrongSignature)
    }
}

impl Shown<'_> {
    /// Has this server completed the handshake? Which one it was, for issuer.
    ///
    /// # Errors
    /// [`Reason::ForeignHandshake`].
    pub(super) fn completed_by(&self, server: &Certificate) -> Result<SignedHandshake, Reason> {
        if server.der != self.server {
            return Err(Reason::ForeignHandshake);
        }
        self.by_server.verify(self.version, server).map_err(|_| Reason::ForeignHandshake)?;
        let mut certificate = [0; 32];
        certificate.copy_from_slice(digest(&digest::SHA256, self.server).as_ref());
        let signature = Octets::new(self.by_server.value).map_err(|_| Reason::ForeignHandshake)?;
        Ok(SignedHandshake { certificate, transcript: self.transcript.clone(), signature })
    }

    /// Has this certificate's key signed the handshake?
    ///
    /// # Errors
    /// The reason it has not.
    pub(super) fn proven_by(&self, client: &Certificate) -> Result<(), Reason> {
        self.by_client.verify(self.version, client)
    }
}

/// Reads a handshake. None when it is not written as one in which a client proves a certificate.
pub(super) fn read(handshake: &ClientHandshake) -> Option<Shown<'_>> {
    let mut messages = Messages::of(&handshake.messages);
    let shown = match handshake.version {
        TlsVersion::V13 => v13(handshake, &mut messages)?,
        TlsVersion::V12 => v12(handshake, &mut messages)?,
    };
    messages.end()?;
    Some(shown)
}

fn v13<'m>(handshake: &'m ClientHandshake, messages: &mut Messages<'m>) -> Option<Shown<'m>> {
    if messages.next_is(MESSAGE_HASH) {
        messages.take(MESSAGE_HASH)?;
        ServerHello::read(messages.take(SERVER_HELLO)?).filter(|hello| hello.random == RETRY)?;
    }
    messages.take(CLIENT_HELLO)?;
    let hello = ServerHello::read(messages.take(SERVER_HELLO)?)?;
    if hello.random == RETRY || hello.version != Some(&V13) || hello.resumes {
        return None;
    }
    let function = match hello.suite {
        0x1301 | 0x1303 => &digest::SHA256,
        0x1302 => &digest::SHA384,
        _ => return None,
    };
    messages.take(ENCRYPTED_EXTENSIONS)?;
    messages.take(CERTIFICATE_REQUEST)?;
    let server = *certificates13(messages.take(CERTIFICATE)?)?.first()?;
    let hash = digest(function, messages.so_far());
    let (scheme, value) = digitally_signed(messages.take(CERTIFICATE_VERIFY)?)?;
    messages.take(FINISHED)?;
    let certificates = certificates13(messages.take(CERTIFICATE)?)?;
    let client_hash = digest(function, messages.so_far());
    Some(Shown {
        version: TlsVersion::V13,
        server,
        certificates,
        transcript: Transcript::Tls13 { hash: Octets::new(hash.as_ref()).ok()? },
        by_server: Signed { octets: context(b"TLS 1.3, server CertificateVerify", hash.as_ref()), scheme, value },
        by_client: Signed {
            octets: context(b"TLS 1.3, client CertificateVerify", client_hash.as_ref()),
            scheme: handshake.scheme,
            value: &handshake.signature,
        },
    })
}

/// What is signed in TLS 1.3 (RFC 8446 4.4.3).
fn context(words: &[u8], hash: &[u8]) -> Cow<'static, [u8]> {
    [&[0x20; 64][..], words, &[0], hash].concat().into()
}

fn v12<'m>(handshake: &'m ClientHandshake, messages: &mut Messages<'m>) -> Option<Shown<'m>> {
    let mut hello = messages.take(CLIENT_HELLO)?;
    hello.u16()?;
    let client_random = hello.array()?;
    let hello = ServerHello::read(messages.take(SERVER_HELLO)?)?;
    if hello.version.is_some() || hello.resumes || hello.renegotiates {
        return None;
    }
    let server = *certificates12(messages.take(CERTIFICATE)?)?.first()?;
    let mut exchange = messages.take(SERVER_KEY_EXCHANGE)?;
    if exchange.u8()? != NAMED_CURVE {
        return None;
    }
    let curve = exchange.u16()?;
    let point = exchange.short()?;
    let (scheme, value) = digitally_signed(exchange)?;
    messages.take(CERTIFICATE_REQUEST)?;
    messages.take(SERVER_HELLO_DONE)?.end()?;
    let certificates = certificates12(messages.take(CERTIFICATE)?)?;
    messages.take(CLIENT_KEY_EXCHANGE)?;
    let [high, low] = curve.to_be_bytes();
    let length = u8::try_from(point.len()).ok()?;
    let params = [&client_random[..], &hello.random, &[NAMED_CURVE, high, low, length], point].concat();
    let transcript =
        Transcript::Tls12 { client_random, server_random: hello.random, curve, point: Octets::new(point).ok()? };
    Some(Shown {
        version: TlsVersion::V12,
        server,
        certificates,
        transcript,
        by_server: Signed { octets: params.into(), scheme, value },
        by_client: Signed { octets: messages.so_far().into(), scheme: handshake.scheme, value: &handshake.signature },
    })
}

/// As much of a ServerHello as matters.
struct ServerHello<'m> {
    random: [u8; 32],
    suite: u16,
    /// What `supported_versions` says; none in TLS 1.2.
    version: Option<&'m [u8; 2]>,
    /// Is there a pre-shared key? Then nobody showed a certificate.
    resumes: bool,
    /// Is it within a connection that was made before (RFC 5746 3.2)? Its client may have made that with somebody else.
    renegotiates: bool,
}

impl<'m> ServerHello<'m> {
    fn read(mut hello: Reader<'m>) -> Option<Self> {
        if hello.u16()? != V12 {
            return None;
        }
        let random = hello.array()?;
        hello.short()?;
        let suite = hello.u16()?;
        if hello.u8()? != 0 {
            return None;
        }
        let mut extensions = Reader::of(hello.long()?);
        hello.end()?;
        let (mut version, mut resumes, mut renegotiates) = (None, false, false);
        while !extensions.is_empty() {
            let kind = extensions.u16()?;
            let value = extensions.long()?;
            match kind {
                SUPPORTED_VERSIONS if version.is_none() => version = Some(value.try_into().ok()?),
                SUPPORTED_VERSIONS => return None,
                PRE_SHARED_KEY => resumes = true,
                RENEGOTIATION_INFO => renegotiates |= value != [0],
                _ => {}
            }
        }
        Some(Self { random, suite, version, resumes, renegotiates })
    }
}

/// Certificates of one side, at most.
const MOST: usize = 10;

/// `Certificate` of TLS 1.3, in a handshake: without a context.
fn certificates13(mut message: Reader<'_>) -> Option<Vec<&[u8]>> {
    if !message.short()?.is_empty() {
        return None;
    }
    let mut list = Reader::of(message.longest()?);
    message.end()?;
    let mut certificates = Vec::new();
    while !list.is_empty() {
        certificates.push(list.longest().filter(|der| !der.is_empty() && certificates.len() < MOST)?);
        list.long()?;
    }
    (!certificates.is_empty()).then_some(certificates)
}

/// `Certificate` of TLS 1.2.
fn certificates12(mut message: Reader<'_>) -> Option<Vec<&[u8]>> {
    let mut list = Reader::of(message.longest()?);
    message.end()?;
    let mut certificates = Vec::new();
    while !list.is_empty() {
        certificates.push(list.longest().filter(|der| !der.is_empty() && certificates.len() < MOST)?);
    }
    (!certificates.is_empty()).then_some(certificates)
}

/// A scheme and a signature, and nothing after them.
fn digitally_signed(mut rest: Reader<'_>) -> Option<(u16, &[u8])> {
    let scheme = rest.u16()?;
    let value = rest.long()?;
    rest.end()?;
    Some((scheme, value))
}
