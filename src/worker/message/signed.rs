//! A signature over parts of the message, handed on as evidence: the octets it speaks of and the certificate it
//! names. Whether it holds is auth's to say. What is checked here is that every reference means an element at
//! a place where a message has one, so that nobody's signed element is taken for another's (threats.md 2).

use aws_lc_rs::digest::{self, digest};

use super::envelope::Envelope;
use super::fault::Fault;
use super::rejection::Problem;
use super::{addressing, asserted, jwt, ticket};
use crate::trust::binary::{PKI_PATH, X509V3};
use crate::trust::identifiers::{KEY_IDENTIFIER, THUMBPRINT, key_identifier_type};
use crate::trust::username::BASE64;
use crate::trust::{parts, recipient};
use crate::wire::evidence::{
    AddressingHeader, KeyReference, MOST_ADDRESSING_HEADERS, MOST_SIGNED_OCTETS, NamedToken, SignedMessage,
};
use crate::wire::order::TokenType;
use crate::wire::{List, Octets, Secret, Text};
use crate::xml::chars::trim;
use crate::xml::signature::{Hash, Signature, Unreadable, base64};
use crate::xml::{Element, Ids, names};

/// Octets of a certificate, or of several in a path, at most.
const LARGEST_CERTIFICATE: usize = 16 * 1024;
/// Octets of `ds:SignedInfo`, at most.
const LARGEST_SIGNED_INFO: usize = 32 * 1024;

pub(super) fn invalid(reason: &'static str) -> Problem {
    Problem::new(Fault::InvalidSecurity, reason)
}

pub(super) fn algorithm(reason: &'static str) -> Problem {
    Problem::new(Fault::UnsupportedAlgorithm, reason)
}

fn unreadable(why: Unreadable) -> Problem {
    match why {
        Unreadable::Shape(_) => invalid("signature: not of the grammar"),
        Unreadable::Algorithm(_) => algorithm("signature: unknown algorithm"),
        Unreadable::Target => invalid("signature: reference to nothing here"),
    }
}

/// The header that a signature stands in, and what else it may speak of.
#[derive(Debug)]
pub(super) struct Place<'a, 't> {
    pub(super) envelope: &'a Envelope<'t>,
    pub(super) security: Element<'t>,
    /// `wsse:BinarySecurityToken` of that header.
    pub(super) tokens: &'a [Element<'t>],
    /// The assertion of that header.
    pub(super) assertion: Option<Element<'t>>,
    /// `wsse:SecurityTokenReference` of that header. Each must be one that the signature covers the token of: there is
    /// no other use for one here.
    pub(super) references: &'a [Element<'t>],
    pub(super) ids: &'a Ids<'t>,
}

impl<'t> Place<'_, 't> {
    /// Is this the id of the assertion?
    fn asserts(&self, id: &str) -> bool {
        self.assertion.is_some_and(|assertion| asserted::id(assertion) == Some(id))
    }

    /// Is this the body, a header block for us, or a child of the security header?
    fn has(&self, element: Element<'t>) -> bool {
        let is = |other: Element<'t>| other.id() == element.id();
        self.envelope.body.parent().is_some_and(is)
            || self.envelope.headers.iter().copied().any(is)
            || element.parent().is_some_and(|parent| parent.id() == self.security.id())
    }

    /// The token of this header that a reference names by its id; none where it names one in another way.
    fn named(&self, reference: Element<'t>) -> Result<Option<Element<'t>>, Problem> {
        let unavailable = Problem::new(Fault::SecurityTokenUnavailable, "signature: no such token");
        match (reference.uri(), reference.local()) {
            (names::WSSE, "Reference") => {
                let id = reference.attribute("", "URI").and_then(|uri| uri.strip_prefix('#'));
                let id = id.ok_or(invalid("signature: bad key information"))?;
                let token = self.ids.element(id).filter(|token| self.tokens.contains(token));
                let token = token.or(self.assertion.filter(|_| self.asserts(id)));
                token.ok_or(unavailable).map(Some)
            }
            (names::WSSE, "KeyIdentifier") if of_assertion(reference) => {
                let id = reference.text().map(trim).unwrap_or_default();
                // Older clients write it as a reference (saml.md 4.5).
                let ours = self.asserts(id.strip_prefix('#').unwrap_or(id));
                self.assertion.filter(|_| ours).ok_or(unavailable).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// The token that is digested in the place of a reference to it (R-W063): one of this header. The reference stands
    /// in the header, too, or is how the signature names its key. None where that names a certificate which is not
    /// here: auth, which knows it, writes the token. Of another certificate that is not offered, and one within the
    /// reference need not be referred to (BSP R6612).
    fn stood_for(&self, reference: Element<'t>, signature: &Signature<'t>) -> Result<Option<Element<'t>>, Problem> {
        let of_key = signature.key_info.and_then(Element::only_child) == Some(reference);
        if !of_key && !self.references.contains(&reference) {
            return Err(invalid("signature: reference to an element at no place for one"));
        }
        let bad = invalid("signature: bad reference to a token");
        let inside =
            reference.only_child().filter(|_| reference.is(names::WSSE, "SecurityTokenReference")).ok_or(bad)?;
        match self.named(inside)? {
            None if !(of_key && names_certificate(inside)) => Err(algorithm("signature: transform not offered")),
            token => Ok(token),
        }
    }
}

/// A signature, and the octets that it speaks of.
pub(super) struct Covered<'t> {
    pub(super) signature: Signature<'t>,
    /// `ds:SignedInfo`, canonical.
    pub(super) signed_info: Octets<LARGEST_SIGNED_INFO>,
    /// What the references mean, in their order.
    pub(super) parts: List<Secret<MOST_SIGNED_OCTETS>, 10>,
    /// Which headers there are of WS-Addressing.
    pub(super) addressing: List<AddressingHeader, MOST_ADDRESSING_HEADERS>,
    /// Which reference means a certificate that is not here.
    pub(super) named: Option<NamedToken>,
}

const TOO_LARGE: &str = "signature: too much is signed";

/// Reads the signature of a certificate's key, or of the one that an assertion confirms. Whether SHA-1 is let pass is
/// auth's to say.
pub(super) fn read<'t>(element: Element<'t>, place: &Place<'_, 't>) -> Result<SignedMessage, Problem> {
    message(covered(element, place)?, place)
}

/// The message of whoever made this signature.
pub(super) fn message<'t>(covered: Covered<'t>, place: &Place<'_, 't>) -> Result<SignedMessage, Problem> {
    let Covered { signature, signed_info, parts, addressing, named } = covered;
    Ok(SignedMessage {
        key: key(signature.key_info, place)?,
        algorithm: parts::algorithm_or_sha1(signature.info.method)
            .ok_or(algorithm("signature: algorithm not offered"))?,
        signed_info,
        value: Octets::new(signature.value).map_err(|_| invalid(TOO_LARGE))?,
        parts,
        addressing,
        named,
    })
}

/// What a MAC covers: by it no certificate is meant. Whether SHA-1 is let pass is auth's to say here, too.
pub(super) fn under_mac(covered: Covered<'_>) -> Result<Covered<'_>, Problem> {
    if covered.named.is_some() {
        return Err(algorithm("signature: transform not offered"));
    }
    Ok(covered)
}

/// Reads a signature, whatever it was made with.
pub(super) fn covered<'t>(element: Element<'t>, place: &Place<'_, 't>) -> Result<Covered<'t>, Problem> {
    let signature = Signature::read(element).map_err(unreadable)?;
    let too_large = invalid(TOO_LARGE);
    let mut signed_info = signature.signed_octets(LARGEST_SIGNED_INFO).map_err(|_| too_large)?;
    let mut left = MOST_SIGNED_OCTETS;
    let (mut parts, mut unmeant, mut named) = (Vec::new(), place.references.to_vec(), None);
    let mut seen = Vec::new();
    for (at, reference) in (0..).zip(&signature.info.references) {
        let target = signature.target(reference, place.ids).map_err(unreadable)?;
        // Beside the signature the enveloped transform leaves nothing out; whether it is let pass is auth's to say.
        if reference.transform.enveloped && holds(target, element) {
            return Err(algorithm("signature: transform not offered"));
        }
        let target = if reference.transform.dereferenced {
            unmeant.retain(|other| *other != target);
            match place.stood_for(target, &signature)? {
                Some(token) => token,
                None => {
                    let prefix = Text::new(target.prefix()).ok().filter(|prefix| !prefix.is_empty());
                    let prefix = prefix.ok_or(algorithm("signature: transform not offered"))?;
                    named = Some(NamedToken { reference: at, prefix });
                    continue;
                }
            }
        } else if place.has(target) {
            target
        } else {
            return Err(invalid("signature: reference to an element at no place for one"));
        };
        // By another of its ids, as it has one of each kind: it would count as two.
        if !reference.transform.dereferenced {
            if seen.contains(&target) {
                return Err(invalid("signature: two references to one element"));
            }
            seen.push(target);
        }
        let mut octets = signature.digested(reference, target, left).map_err(|_| too_large)?;
        left -= octets.len();
        // Moved, so that there is no second copy to wipe.
        parts.push(Secret::new(std::mem::take(&mut *octets)).map_err(|_| too_large)?);
    }
    if !unmeant.is_empty() {
        return Err(Problem::new(Fault::UnsupportedSecurityToken, "security: unsupported token"));
    }
    let signed_info = Octets::new(std::mem::take(&mut *signed_info)).map_err(|_| too_large)?;
    let addressing = addressing::present(&place.envelope.headers)?;
    Ok(Covered { signature, signed_info, parts: List::new(parts).map_err(|_| too_large)?, addressing, named })
}

/// What is signed of this message as it is sealed: one signature in its header, and of what it covers, the body as it
/// stands there. None where it covers no such body, or the one that was there before it was sealed: then it is read
/// when that is open.
pub(super) fn signs_sealed<'t>(envelope: &Envelope<'t>, security: Element<'t>, ids: &Ids<'t>) -> Option<SignedMessage> {
    let of = |uri, local| security.children().filter(move |child| child.is(uri, local)).collect::<Vec<_>>();
    // Whatever else proves somebody is read when the message is open, so there it is not this that is asked.
    let alone = security.children().all(|child| match (child.uri(), child.local()) {
        (names::WSU, "Timestamp") | (names::DS, "Signature") | (names::WSSE, "SecurityTokenReference") => true,
        (names::WSSE, "BinarySecurityToken") => !jwt::is_one(&child) && !ticket::is_one(&child),
        (uri, _) => uri == names::XENC,
    });
    let [element] = of(names::DS, "Signature")[..] else { return None };
    let (tokens, references) = (of(names::WSSE, "BinarySecurityToken"), of(names::WSSE, "SecurityTokenReference"));
    let place = Place { envelope, security, tokens: &tokens, assertion: None, references: &references, ids };
    if alone { message(over_sealed(element, &place)?, &place).ok() } else { None }
}

/// What a signature covers, where it covers what is sealed as it is: the body, or an element of the security header.
pub(super) fn over_sealed<'t>(element: Element<'t>, place: &Place<'_, 't>) -> Option<Covered<'t>> {
    let is_data = |element: Element<'_>| element.is(names::XENC, "EncryptedData");
    let within = place.envelope.body;
    let body = within.parent().filter(|_| is_data(within));
    let is_sealed = |element: Element<'t>| is_data(element) || Some(element) == body;
    let all = covered(element, place).ok()?;
    // One that means a certificate has no part.
    let absent = all.named.as_ref().map(|named| usize::from(named.reference));
    let references = all.signature.info.references.iter().enumerate().filter(|(at, _)| Some(*at) != absent);
    let covers = references.zip(all.parts.iter()).any(|((_, reference), part)| {
        let function = match reference.hash {
            // auth opens nothing that is digested so.
            Hash::Sha1 => return false,
            Hash::Sha256 => &digest::SHA256,
            Hash::Sha384 => &digest::SHA384,
            Hash::Sha512 => &digest::SHA512,
        };
        place.ids.element(&reference.id).is_some_and(is_sealed)
            && !reference.transform.dereferenced
            && digest(function, part.expose()).as_ref() == reference.digest
    });
    covers.then_some(all)
}

/// Is one element within the other?
fn holds(outer: Element<'_>, inner: Element<'_>) -> bool {
    std::iter::successors(Some(inner), |element| element.parent()).any(|element| element == outer)
}

/// The key that `ds:KeyInfo` names: one way of naming it (R-W034), and nothing that has to be fetched.
fn key<'t>(key_info: Option<Element<'t>>, place: &Place<'_, 't>) -> Result<KeyReference, Problem> {
    let bad = invalid("signature: bad key information");
    let named = key_info.ok_or(bad)?.only_child().ok_or(bad)?;
    if named.is(names::DS, "X509Data") {
        return from_data(named);
    }
    // A key alone is nobody's, unless an assertion confirms it.
    if named.is(names::DS, "KeyValue") && place.assertion.is_some() {
        return parts::public_key(named).map(KeyReference::Value).ok_or(invalid("signature: bad key value"));
    }
    if !named.is(names::WSSE, "SecurityTokenReference") {
        return Err(Problem::new(Fault::UnsupportedSecurityToken, "signature: key not named by a token"));
    }
    let reference = named.only_child().ok_or(bad)?;
    if let Some(token) = place.named(reference)? {
        return if place.assertion == Some(token) { Ok(KeyReference::Assertion) } else { from_token(token) };
    }
    match (reference.uri(), reference.local()) {
        (names::WSSE, "KeyIdentifier") => from_identifier(reference),
        (names::DS, "X509Data") => from_data(reference),
        _ => Err(Problem::new(Fault::UnsupportedSecurityToken, "signature: reference to another kind of token")),
    }
}

/// Does this name a token by the id of an assertion?
fn of_assertion(identifier: Element<'_>) -> bool {
    let kinds = [TokenType::Saml11, TokenType::Saml20].map(key_identifier_type);
    identifier.attribute("", "ValueType").is_some_and(|kind| kinds.contains(&kind))
}

/// `wsse:BinarySecurityToken` with a certificate, or with others that lead to it (R-W030). Without an encoding it is
/// base64. What is in the octets is auth's to see.
fn from_token(token: Element<'_>) -> Result<KeyReference, Problem> {
    match token.attribute("", "ValueType") {
        Some(X509V3) => Ok(KeyReference::Certificate(certificate(encoded(token)?)?)),
        Some(PKI_PATH) => Ok(KeyReference::Path(certificate(encoded(token)?)?)),
        _ => Err(Problem::new(Fault::UnsupportedSecurityToken, "signature: not an X.509 certificate")),
    }
}

/// Does it name a certificate in a way that auth knows one by?
fn names_certificate(reference: Element<'_>) -> bool {
    let kind = reference.attribute("", "ValueType");
    let by_number = || matches!(from_data(reference), Ok(KeyReference::Serial(_) | KeyReference::KeyIdentifier(_)));
    (reference.is(names::WSSE, "KeyIdentifier") && [Some(THUMBPRINT), Some(KEY_IDENTIFIER)].contains(&kind))
        || (reference.is(names::DS, "X509Data") && by_number())
}

fn from_identifier(identifier: Element<'_>) -> Result<KeyReference, Problem> {
    let unavailable = Problem::new(Fault::SecurityTokenUnavailable, "signature: bad key identifier");
    let octets = base64(encoded(identifier)?, 64).ok_or(unavailable)?;
    match identifier.attribute("", "ValueType") {
        Some(THUMBPRINT) => Ok(KeyReference::Thumbprint(octets.try_into().map_err(|_| unavailable)?)),
        Some(KEY_IDENTIFIER) => Ok(KeyReference::KeyIdentifier(Octets::new(octets).map_err(|_| unavailable)?)),
        _ => Err(Problem::new(Fault::UnsupportedSecurityToken, "signature: unknown kind of key identifier")),
    }
}

/// `ds:X509Data` with the one certificate that signed, or one name of it; what else it says of that certificate adds
/// nothing.
fn from_data(data: Element<'_>) -> Result<KeyReference, Problem> {
    let unavailable = Problem::new(Fault::SecurityTokenUnavailable, "signature: not one certificate");
    let one = |local| {
        let mut found = data.children().filter(move |child| child.is(names::DS, local));
        (found.next(), found.next().is_some())
    };
    match (one("X509Certificate"), one("X509IssuerSerial"), one("X509SKI")) {
        ((Some(found), false), ..) => {
            let text = found.text().ok_or(invalid("signature: bad certificate"))?;
            Ok(KeyReference::Certificate(certificate(text)?))
        }
        ((None, _), (Some(said), false), _) => recipient::serial(said).map(KeyReference::Serial).ok_or(unavailable),
        ((None, _), (None, _), (Some(said), false)) => {
            let octets = said.text().and_then(|text| base64(text, 64)).ok_or(unavailable)?;
            Octets::new(octets).map(KeyReference::KeyIdentifier).map_err(|_| unavailable)
        }
        _ => Err(unavailable),
    }
}

/// The text of an element that says how its octets are written.
pub(super) fn encoded(element: Element<'_>) -> Result<&str, Problem> {
    match element.attribute("", "EncodingType") {
        None | Some(BASE64) => element.text().map(trim).ok_or(invalid("signature: bad binary token")),
        Some(_) => Err(invalid("signature: unknown encoding")),
    }
}

fn certificate(text: &str) -> Result<Octets<LARGEST_CERTIFICATE>, Problem> {
    let bad = invalid("signature: bad certificate");
    let der = base64(text, LARGEST_CERTIFICATE).ok_or(bad)?;
    Octets::new(der).map_err(|_| bad)
}
