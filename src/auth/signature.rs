//! Verifies a signed message, and reads it. First the signature or the MAC over the octets of `SignedInfo`; then,
//! elsewhere, whether its certificate means somebody, or the password that came with it is right; then the digests of
//! the parts: that makes a [`Verified`], and only one of those is read, once it is known not to have been here before.
//! No XML parser here runs over octets that nobody we trust has signed (A-00b); what is read is read from those octets,
//! and nothing else of the message is.

use aws_lc_rs::digest::{self, digest};
use aws_lc_rs::hmac;
use aws_lc_rs::signature::{UnparsedPublicKey, VerificationAlgorithm};
use zeroize::Zeroizing;

use super::addressing::Coverage;
use super::derive::derived;
use super::reason::Reason;
use super::sealed::Whole;
use super::{issued, named};
use crate::config::auth::certificate::{Certificate, VerifyingKey};
use crate::config::auth::endpoint::Endpoint;
use crate::trust::identifiers::ticket_form;
use crate::trust::parts::{self, Part};
use crate::trust::{binary, timestamp, username};
use crate::wire::derivation::PartKey;
use crate::wire::evidence::{
    AddressingHeader, Evidence, KeyReference, KeyedMessage, MOST_JWT_OCTETS, MOST_SIGNED_OCTETS, MacAlgorithm,
    NamedToken, SignatureAlgorithm, SignedMessage, Timestamp, Wish,
};
use crate::wire::reply::SIGNED_IDS;
use crate::wire::{Millis, Secret};
use crate::xml::chars::trim;
use crate::xml::signature::{Hash, Reference, SignatureMethod, SignedInfo};
use crate::xml::{Element, Ids, Limits, Tree};

/// What a signature proves.
#[derive(Debug)]
pub(super) struct Proof<'m> {
    /// When the message was made.
    pub(super) timestamp: Timestamp,
    /// What it asks for, when the body is signed.
    pub(super) wish: Option<Wish>,
    /// The user name token, when one is signed.
    pub(super) username: Option<Evidence>,
    /// The assertion, when one is signed, with its own signature. Nothing is read in it but that it is one.
    pub(super) assertion: Option<&'m [u8]>,
    /// The JWT, when one is signed: as it came, with its own signature.
    pub(super) jwt: Option<Secret<MOST_JWT_OCTETS>>,
    /// Is a user name token signed, whether or not it says anything?
    pub(super) covers_username: bool,
    /// Is a ticket of Kerberos signed?
    pub(super) covers_ticket: bool,
    /// Was it let pass without a signed `wsa:To`?
    pub(super) to_absent: bool,
    /// Was it let pass with a transform that leaves nothing out?
    pub(super) enveloped_transform: bool,
    /// Was it with WS-Addressing headers that are not signed, though the body is?
    pub(super) unsigned_addressing: bool,
    /// Is one signed that the worker does not speak of?
    pub(super) left_out: bool,
    /// Was the wish sealed when it was signed, so that it was read in another place than the worker has read it?
    pub(super) opened: bool,
    /// Was it let pass with a signature by RSA with SHA-1?
    pub(super) rsa_sha1: bool,
    /// Was it let pass with a part that is digested by SHA-1?
    pub(super) reference_sha1: bool,
}

/// A message that is signed in a way in which its endpoint takes it. What is refused here is so whoever signed, and the
/// client hears why: so this comes before it is asked whose key or assertion that is, and nobody learns that by it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Admitted<'m>(&'m SignedMessage);

impl<'m> Admitted<'m> {
    /// Is it?
    ///
    /// # Errors
    /// [`Reason::Sha1`].
    pub(super) fn at(endpoint: &Endpoint, message: &'m SignedMessage) -> Result<Self, Reason> {
        match message.algorithm {
            SignatureAlgorithm::RsaSha1 if !endpoint.rsa_sha1 => Err(Reason::Sha1),
            _ => Ok(Self(message)),
        }
    }

    /// Which key is said to have signed.
    pub(super) fn key(self) -> &'m KeyReference {
        &self.0.key
    }
}

/// A message whose signature and digests hold. Nothing of it is read yet but what it covers.
#[derive(Debug)]
pub(super) struct Verified<'m> {
    info: SignedInfo,
    parts: &'m [Secret<MOST_SIGNED_OCTETS>],
    used: Option<Used>,
    addressing: &'m [AddressingHeader],
    /// Was a certificate that is only named digested by SHA-1?
    named_by_sha1: bool,
    once: [u8; 32],
}

/// What the body of a verified message holds.
#[derive(Debug, Clone, Copy)]
pub(super) enum Content<'c> {
    /// What was signed.
    Plain,
    /// What is not open yet, so that it is not read.
    Sealed,
    /// What was in the part that was signed.
    Opened(&'c Whole),
}

impl<'c> Content<'c> {
    /// What is read in the place of the part of that number.
    fn instead_of(self, number: usize) -> Option<&'c [u8]> {
        match self {
            Self::Opened(whole) => whole.of(number),
            Self::Plain | Self::Sealed => None,
        }
    }

    /// Is what is read there a token that was sealed whole?
    fn is_token(self, number: usize) -> bool {
        matches!(self, Self::Opened(whole) if whole.is_token(number))
    }
}

/// A message whose signature holds by a key of which it does not say whose it is.
#[derive(Debug)]
#[must_use]
pub(super) struct Signed<'m> {
    signed_info: &'m [u8],
    by: By,
    parts: &'m [Secret<MOST_SIGNED_OCTETS>],
    used: Option<Used>,
    addressing: &'m [AddressingHeader],
    /// Which reference means the certificate, and the token that stands for it.
    written: Option<(usize, String)>,
    once: [u8; 32],
}

/// The certificate that a signature was verified by; none where a session key made a MAC.
#[derive(Debug)]
struct Used {
    der: Vec<u8>,
    key: VerifyingKey,
}

impl Used {
    /// Is a signed certificate, or the last one of a path, another one of the same key?
    fn has_another_in(&self, (kind, octets): &(&'static str, Vec<u8>)) -> bool {
        let der = match *kind {
            binary::PKI_PATH => issued::last_of(octets),
            _ => Some(&**octets),
        };
        let other = der.filter(|der| **der != *self.der).and_then(|der| Certificate::from_der(der.to_vec()).ok());
        other.is_some_and(|other| other.key == self.key)
    }
}

/// What was verified.
#[derive(Debug, Clone, Copy)]
enum By {
    Signature(SignatureAlgorithm),
    Mac(MacAlgorithm),
}

impl By {
    /// Does `SignedInfo` say so, too?
    fn is(self, method: SignatureMethod) -> bool {
        match self {
            Self::Signature(algorithm) => parts::algorithm_or_sha1(method) == Some(algorithm),
            Self::Mac(algorithm) => parts::mac(method) == Some(algorithm),
        }
    }
}

/// Has this certificate's key signed this message?
///
/// # Errors
/// The reason it has not.
pub(super) fn verify<'m>(
    certificate: &Certificate,
    Admitted(message): Admitted<'m>,
    now: Millis,
) -> Result<Signed<'m>, Reason> {
    if !certificate.holds(now) {
        return Err(Reason::CertificateDates);
    }
    // Written of the certificate that was found by its name, never of one that a worker sends.
    let token = |named: &NamedToken| (named.reference.into(), named::token(&named.prefix, &certificate.der));
    let written = message.named.as_ref().map(token);
    let used = Some(Used { der: certificate.der.clone(), key: certificate.key.clone() });
    Ok(Signed { used, written, ..by(&certificate.key, Admitted(message))? })
}

/// Has this key, whatever is around it?
///
/// # Errors
/// The reason it has not.
pub(super) fn by<'m>(key: &VerifyingKey, Admitted(message): Admitted<'m>) -> Result<Signed<'m>, Reason> {
    proves_or_by_sha1(key, message.algorithm, &message.signed_info, &message.value)?;
    let SignedMessage { signed_info, parts, addressing, .. } = message;
    let once = once(key.parts(), signed_info);
    let by = By::Signature(message.algorithm);
    Ok(Signed { signed_info, by, parts, used: None, addressing, written: None, once })
}

/// Is this the MAC of this message by that key? It proves no more than that whoever made it knew the key.
///
/// # Errors
/// [`Reason::WrongMac`], and [`Reason::MacAlgorithm`] where its key is too short.
pub(super) fn authentic<'m>(session: &[u8], message: &'m KeyedMessage) -> Result<Signed<'m>, Reason> {
    let KeyedMessage { key, algorithm, signed_info, value, parts, addressing } = message;
    let key = match key {
        PartKey::Session => Zeroizing::new(session.to_vec()),
        PartKey::Derived(by) if by.length() >= LEAST_OF_A_MAC => derived(session, by),
        PartKey::Derived(_) => return Err(Reason::MacAlgorithm),
    };
    let key = hmac::Key::new(function_of(*algorithm), &key);
    // In constant time, and whole.
    hmac::verify(&key, signed_info, value).map_err(|_| Reason::WrongMac)?;
    // A MAC can be made again by whoever knows its key and by nobody else, and another key is another message.
    let once = once((MAC, value), signed_info);
    Ok(Signed { signed_info, by: By::Mac(*algorithm), parts, used: None, addressing, written: None, once })
}

/// Octets of a key for a MAC, at least: as many as the shortest session key has.
const LEAST_OF_A_MAC: usize = 16;

/// Tells MACs from kinds of keys, which are 0 to 4.
const MAC: u8 = 0xFF;

/// The function that a MAC is made with.
pub(super) fn function_of(algorithm: MacAlgorithm) -> hmac::Algorithm {
    match algorithm {
        MacAlgorithm::HmacSha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        MacAlgorithm::HmacSha256 => hmac::HMAC_SHA256,
        MacAlgorithm::HmacSha384 => hmac::HMAC_SHA384,
        MacAlgorithm::HmacSha512 => hmac::HMAC_SHA512,
    }
}

/// Has this key signed these octets so? By SHA-1 no key has.
///
/// # Errors
/// [`Reason::SignatureAlgorithm`] where such a key does not sign so, [`Reason::WrongSignature`] where it did not.
pub(super) fn proves(
    key: &VerifyingKey,
    algorithm: SignatureAlgorithm,
    octets: &[u8],
    value: &[u8],
) -> Result<(), Reason> {
    verified(key.verifier(algorithm), octets, value)
}

/// The same, and by RSA with SHA-1 besides: for what a leniency has let pass, and for nothing else.
///
/// # Errors
/// As above.
pub(super) fn proves_or_by_sha1(
    key: &VerifyingKey,
    algorithm: SignatureAlgorithm,
    octets: &[u8],
    value: &[u8],
) -> Result<(), Reason> {
    verified(key.verifier_or_sha1(algorithm), octets, value)
}

fn verified(
    verifier: Option<(&'static dyn VerificationAlgorithm, &[u8])>,
    octets: &[u8],
    value: &[u8],
) -> Result<(), Reason> {
    let (algorithm, key) = verifier.ok_or(Reason::SignatureAlgorithm)?;
    UnparsedPublicKey::new(algorithm, key).verify(octets, value).map_err(|_| Reason::WrongSignature)
}

impl<'m> Signed<'m> {
    /// Is each part what was signed? Ask once it is known that whoever signed may be believed.
    ///
    /// # Errors
    /// The reason it is not, and which part.
    pub(super) fn covers(self, endpoint: &Endpoint) -> Result<Verified<'m>, Unproven> {
        let Self { signed_info, by, parts, used, addressing, written, once } = self;
        let mut named_by_sha1 = false;
        let tree = parsed(signed_info)?;
        let mut info = SignedInfo::read(tree.root()).map_err(|_| Reason::UnreadableSignature)?;
        if !by.is(info.method) {
            return Err(Reason::SignatureAlgorithm.into());
        }
        // It is judged first and then forgotten: nothing is read in a token that we have written.
        if let Some((at, token)) = written {
            let count = Unproven::by(Reason::WrongDigest, "more references than parts, or fewer");
            let reference = (at < info.references.len()).then(|| info.references.remove(at)).ok_or(count)?;
            if !reference.transform.dereferenced {
                return Err(Unproven::by(Reason::Transform, &format!("reference {:?}", reference.id)));
            }
            is_digested(&reference, token.as_bytes(), endpoint)?;
            named_by_sha1 = reference.hash == Hash::Sha1;
        }
        if info.references.len() != parts.len() {
            return Err(Unproven::by(Reason::WrongDigest, "more references than parts, or fewer"));
        }
        for (reference, octets) in info.references.iter().zip(parts) {
            is_digested(reference, octets.expose(), endpoint)?;
        }
        Ok(Verified { info, parts, used, addressing, named_by_sha1, once })
    }
}

/// Are these the octets that a reference of a request digests?
fn is_digested(reference: &Reference, octets: &[u8], endpoint: &Endpoint) -> Result<(), Unproven> {
    let refused = |reason| Err(Unproven::by(reason, &format!("reference {:?}", reference.id)));
    // Or whoever can have an answer signed here could pass it off as a request, if ever a certificate of ours named
    // somebody.
    if reference.id.starts_with(SIGNED_IDS) {
        return Err(Unproven::by(Reason::UnreadableSignature, &format!("{:?} is for answers", reference.id)));
    }
    let by_sha1 = || Unproven::by(Reason::Sha1, &format!("reference {:?} is digested by SHA-1", reference.id));
    let function = function(reference.hash, endpoint.reference_sha1).ok_or_else(by_sha1)?;
    if digest(function, octets).as_ref() != reference.digest {
        return refused(Reason::WrongDigest);
    }
    // What is left out of a digest is not read, for it is the digested octets that are; node-soap leaves nothing
    // out and says it would.
    if reference.transform.enveloped && !endpoint.enveloped_transform {
        return refused(Reason::Transform);
    }
    Ok(())
}

/// Why a message that somebody signed proves nothing, and what of it, for the log: his words, so not more than a line.
#[derive(Debug)]
pub(super) struct Unproven {
    pub(super) reason: Reason,
    pub(super) why: String,
}

impl Unproven {
    pub(super) fn by(reason: Reason, why: &str) -> Self {
        Self { reason, why: why[..why.floor_char_boundary(256)].to_owned() }
    }
}

impl From<Reason> for Unproven {
    fn from(reason: Reason) -> Self {
        Self { reason, why: String::new() }
    }
}

/// What of a message may be used once: what was signed, and the key by kind and octets. Not the value of the signature,
/// for of an ECDSA signature everybody can make another one that holds; and not the certificate, for the message names
/// it where nothing is signed, and a key may have two.
fn once((kind, octets): (u8, &[u8]), signed_info: &[u8]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(&[kind]);
    context.update(digest(&digest::SHA256, octets).as_ref());
    context.update(signed_info);
    let mut name = [0; 32];
    name.copy_from_slice(context.finish().as_ref());
    name
}

impl<'m> Verified<'m> {
    /// What may be used once.
    pub(super) fn once(&self) -> &[u8; 32] {
        &self.once
    }

    /// What it covers, each as it was signed.
    pub(super) fn parts(&self) -> impl Iterator<Item = (&Reference, &'m [u8])> {
        self.info.references.iter().zip(self.parts.iter().map(Secret::expose))
    }

    /// Reads the parts, in the octets that were signed.
    ///
    /// # Errors
    /// The reason they prove nothing here, and what of them.
    pub(super) fn read(&self, endpoint: &Endpoint) -> Result<Proof<'m>, Unproven> {
        self.read_with(endpoint, Content::Plain)
    }

    /// The same where something of it was sealed when it was signed.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub(super) fn read_with(&self, endpoint: &Endpoint, content: Content<'_>) -> Result<Proof<'m>, Unproven> {
        let mut seen = Seen::default();
        for (number, (reference, octets)) in self.parts().enumerate() {
            let tree = parsed(content.instead_of(number).unwrap_or(octets))?;
            let root = tree.root();
            let ids = Ids::of(&tree).map_err(|_| Reason::UnreadableSignature)?;
            let refused = |reason| Unproven::by(reason, &format!("reference {:?}", reference.id));
            let part = Part::of(root);
            if reference.transform.dereferenced {
                // The id is that of the reference, and what stood for it is known by its digest alone: it is a token or
                // nothing. Whoever signed did not mean the body of a message, say, to be one (R-W063).
                if !matches!(part, Part::Assertion | Part::Token) {
                    return Err(refused(Reason::Transform));
                }
            } else if !content.is_token(number) {
                // An element has an id of each kind, and one that two references mean would count as two.
                let means = |reference: &Reference| ids.element(&reference.id).map(Element::id) == Some(root.id());
                if !means(reference) || self.info.references.iter().filter(|other| means(other)).count() > 1 {
                    return Err(refused(Reason::UnreadableSignature));
                }
            }
            if part == Part::Token {
                seen.token(root).map_err(refused)?;
            }
            if part == Part::Assertion && seen.assertion.replace(octets).is_some() {
                return Err(refused(Reason::UnreadableSignature));
            }
            if part == Part::Body && matches!(content, Content::Sealed) {
                if std::mem::replace(&mut seen.sealed, true) {
                    return Err(refused(Reason::UnreadableSignature));
                }
                continue;
            }
            seen.take(part, root)?;
        }
        // Of one key there may be several, and whose they are said to be is for whoever signed to say.
        if let Some(used) = &self.used
            && seen.certificates.iter().any(|signed| used.has_another_in(signed))
        {
            return Err(Unproven::by(Reason::UnknownCertificate, "another certificate than is signed was handed on"));
        }
        let timestamp = seen.timestamp.ok_or(Reason::UnsignedTimestamp)?;
        match &seen.to {
            Some(to) if endpoint.addresses.iter().any(|address| address == to) => {}
            // A timestamp alone says neither what is asked nor of whom, and could be anybody's to pass on.
            None if endpoint.to_absent && (seen.wish.is_some() || seen.sealed) => {}
            Some(to) => return Err(Unproven::by(Reason::Misaddressed, &format!("wsa:To is {to:?}"))),
            None => return Err(Unproven::by(Reason::Misaddressed, "no wsa:To is signed")),
        }
        let coverage = Coverage::of(self.addressing, &seen.addressing);
        let unsigned_addressing = coverage.judge(endpoint, seen.wish.is_some())?;
        let any = |is: fn(&Reference) -> bool| self.info.references.iter().any(is);
        let enveloped_transform = any(|reference| reference.transform.enveloped);
        let reference_sha1 = self.named_by_sha1 || any(|reference| reference.hash == Hash::Sha1);
        let rsa_sha1 = parts::algorithm_or_sha1(self.info.method) == Some(SignatureAlgorithm::RsaSha1);
        let Seen { wish, username, assertion, jwt, to, covers_username, ticket: covers_ticket, .. } = seen;
        let (to_absent, left_out) = (to.is_none(), coverage == Coverage::LeftOut);
        Ok(Proof {
            timestamp,
            wish,
            username,
            assertion,
            jwt,
            covers_username,
            covers_ticket,
            to_absent,
            enveloped_transform,
            unsigned_addressing,
            left_out,
            opened: matches!(content, Content::Opened(whole) if whole.has_body()),
            rsa_sha1,
            reference_sha1,
        })
    }
}

/// The parts that mean something, each once.
#[derive(Default)]
struct Seen<'m> {
    timestamp: Option<Timestamp>,
    wish: Option<Wish>,
    to: Option<String>,
    /// No id is referred to twice, so each is a header of its own.
    addressing: Vec<AddressingHeader>,
    username: Option<Evidence>,
    covers_username: bool,
    assertion: Option<&'m [u8]>,
    jwt: Option<Secret<MOST_JWT_OCTETS>>,
    ticket: bool,
    /// Certificates and paths, by kind.
    certificates: Vec<(&'static str, Vec<u8>)>,
    /// Is there a body that is not read?
    sealed: bool,
}

impl Seen<'_> {
    /// What a token brings along by which somebody may be known. One that is not read proves nobody: it was handed on
    /// by nobody who is honest, either.
    fn token(&mut self, token: Element<'_>) -> Result<(), Reason> {
        match token.attribute("", "ValueType") {
            Some(binary::JWT) => {
                let octets = binary::octets(token, MOST_JWT_OCTETS).ok_or(Reason::UnreadableSignature)?;
                let octets = Secret::new(octets).map_err(|_| Reason::UnreadableSignature)?;
                if self.jwt.replace(octets).is_some() { Err(Reason::UnreadableSignature) } else { Ok(()) }
            }
            Some(kind) if ticket_form(kind).is_some() => {
                self.ticket = true;
                Ok(())
            }
            kind => {
                let kind = [binary::X509V3, binary::PKI_PATH].into_iter().find(|own| Some(*own) == kind);
                let octets = kind.and_then(|kind| Some((kind, binary::octets(token, MOST_SIGNED_OCTETS)?)));
                self.certificates.extend(octets);
                Ok(())
            }
        }
    }

    fn take(&mut self, part: Part, root: Element<'_>) -> Result<(), Reason> {
        let twice = match part {
            Part::Timestamp => {
                let read = timestamp::read(root, &mut |_| true).map_err(|_| Reason::MalformedTimestamp)?;
                self.timestamp.replace(read).is_some()
            }
            Part::Body => {
                let read = parts::wish(root).map_err(|_| Reason::UnreadableRequest)?;
                self.wish.replace(read).is_some()
            }
            Part::Addressing(header) => {
                if header == AddressingHeader::To {
                    self.to = Some(root.text().map(trim).ok_or(Reason::Misaddressed)?.to_owned());
                }
                let again = header != AddressingHeader::RelatesTo && self.addressing.contains(&header);
                self.addressing.push(header);
                again
            }
            Part::Username => {
                // One that cannot be read proves nobody, and where a certificate does, nobody asks for one.
                let again = std::mem::replace(&mut self.covers_username, true);
                self.username = username::read(root).ok();
                again
            }
            Part::Assertion | Part::Token | Part::Other => false,
        };
        if twice { Err(Reason::UnreadableSignature) } else { Ok(()) }
    }
}

/// Parses octets that are verified.
pub(super) fn parsed(octets: &[u8]) -> Result<Tree, Reason> {
    let limits = Limits { octets: octets.len(), ..Limits::default() };
    Tree::parse(octets, &limits).map_err(|_| Reason::UnreadableSignature)
}

/// The function with which a digest is made; none for SHA-1 where that is not taken.
pub(super) fn function(hash: Hash, sha1: bool) -> Option<&'static digest::Algorithm> {
    match hash {
        Hash::Sha1 => sha1.then_some(&digest::SHA1_FOR_LEGACY_USE_ONLY),
        Hash::Sha256 => Some(&digest::SHA256),
        Hash::Sha384 => Some(&digest::SHA384),
        Hash::Sha512 => Some(&digest::SHA512),
    }
}

#[cfg(test)]
mod tests;
