//! A message with sealed parts, before they are open: one `xenc:EncryptedKey` in the security header and the
//! `xenc:EncryptedData` it is for, each at a place where something may be sealed; or an assertion in that header which
//! its partner has sealed, with its key in it (`saml2:EncryptedAssertion`, or `xenc:EncryptedData` alone). What auth gives for them is put
//! where they were, the key is cut out, and the whole is read again as if it had come so: by the same parser with
//! the same limits. Where a MAC is made with the key it stays where it is. It must be what it says, and only there: a content that ends the element around it, or is not
//! the one element that was sealed, is refused (R-W050 to R-W053, A-24, A-25).

use std::ops::Range;

use aws_lc_rs::digest::{SHA256, digest};
use zeroize::Zeroizing;

use super::envelope::{self, Envelope};
use super::fault::Fault;
use super::rejection::{Problem, Rejection};
use super::session::Session;
use super::shape::Shape;
use super::signed::{self, encoded, only_child};
use super::{Incoming, OCTETS, addressing, jwt, media};
use crate::config::worker::{Credential, Endpoint};
use crate::trust::parts;
use crate::wire::derivation::PartKey;
use crate::wire::unwrap::{
    KeyTransport, MOST_PART_OCTETS, MOST_PARTS, PartCipher, Recipient, Sealed as SealedKey, SealedPart,
};
use crate::wire::{List, Octets, Secret};
use crate::xml::chars::trim;
use crate::xml::encryption::{self, EncryptedData, EncryptedKey, Extent, Unreadable};
use crate::xml::signature::base64;
use crate::xml::{Element, Ids, Limits, Tree, names};

fn invalid(reason: &'static str) -> Problem {
    Problem::new(Fault::InvalidSecurity, reason)
}

fn unreadable(why: Unreadable) -> Problem {
    match why {
        Unreadable::Shape(_) => invalid("encryption: not of the grammar"),
        Unreadable::Algorithm(_) => Problem::new(Fault::UnsupportedAlgorithm, "encryption: unknown algorithm"),
    }
}

/// What auth is asked to open.
pub type Question = (Recipient, KeyTransport, SealedKey, List<SealedPart, MOST_PARTS>);

/// A message with sealed parts.
#[derive(Debug)]
pub struct Sealed {
    shape: Shape,
    source: Zeroizing<String>,
    /// Where something is replaced, in order.
    places: Vec<Place>,
    question: Option<Question>,
    /// How it is sealed, where any part is.
    by: Option<(KeyTransport, PartCipher)>,
}

/// A piece of the source that is replaced.
#[derive(Debug)]
struct Place {
    span: Range<usize>,
    what: What,
}

#[derive(Debug)]
enum What {
    /// The key and its list, which are not needed any more.
    Cut,
    /// The part of this number, in the order they are asked for, within the element around.
    Part { number: usize, around: Range<usize>, one: bool, of: Of },
}

/// What a part may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    /// Whatever may be sealed there.
    Any,
    /// A SAML 2.0 assertion, for an element says so.
    Saml20,
    /// An assertion of either version.
    Assertion,
}

/// Takes the message apart as far as it can be read.
///
/// # Errors
/// [`Rejection`] for what cannot be read, or is sealed as nobody should.
pub fn sealed(endpoint: &Endpoint, incoming: &Incoming<'_>) -> Result<Option<Sealed>, Rejection> {
    let mut shape = Shape::new(endpoint, incoming.content_type);
    match apart(endpoint, incoming, &mut shape) {
        Ok(None) => Ok(None),
        Ok(Some((source, places, question))) => {
            let (_, transport, _, parts) = &question;
            let by = parts.first().map(|part| (*transport, part.cipher));
            Ok(Some(Sealed { shape, source, places, question: Some(question), by }))
        }
        Err(problem) => Err(Rejection::new(shape, problem)),
    }
}

type Apart = (Zeroizing<String>, Vec<Place>, Question);

fn apart(endpoint: &Endpoint, incoming: &Incoming<'_>, shape: &mut Shape) -> Result<Option<Apart>, Problem> {
    let media = media::read(incoming.content_type)?;
    let tree = parsed(incoming.body)?;
    if !tree.elements().any(|element| element.is(names::XENC, "EncryptedKey")) {
        return Ok(None);
    }
    // Whatever is wrong outside of what is sealed costs no key of ours.
    let envelope = envelope::read(&tree, shape)?;
    media.agrees_with(endpoint, shape)?;
    let action = addressing::read(&envelope.headers, endpoint, shape)?;
    addressing::reconcile(action, &[incoming.soap_action, media.action()])?;
    let ids = Ids::of(&tree).map_err(|_| invalid("security: duplicate id"))?;
    let mut ours = envelope.headers.iter().filter(|block| block.is(names::WSSE, "Security"));
    let (Some(security), None) = (ours.next(), ours.next()) else {
        return Err(invalid("security: not one header"));
    };
    tokens_fit(endpoint.credential, *security)?;
    let keyed = endpoint.credential == Credential::UsernameSymmetric;
    let asserts = endpoint.credential.takes_assertion();
    let read = Read { tree: &tree, envelope: &envelope, security: *security, ids: &ids, keyed, asserts };
    let (places, question) = read.all()?;
    Ok(Some((Zeroizing::new(tree.source().to_owned()), places, question)))
}

/// Could the message be taken with the certificates and the JWT that it brings? Certificates stand beside a signature,
/// which may be sealed, and beside nothing else: a key would be spent on what is refused whatever was sealed.
fn tokens_fit(credential: Credential, security: Element<'_>) -> Result<(), Problem> {
    let brings = |uri, local| security.children().any(|child| child.is(uri, local));
    let signed = brings(names::DS, "Signature") || brings(names::XENC, "EncryptedData");
    let sealed = brings(names::SAML20, "EncryptedAssertion");
    let asserted = sealed || brings(names::SAML11, "Assertion") || brings(names::SAML20, "Assertion");
    let tokens = security.children().filter(|child| child.is(names::WSSE, "BinarySecurityToken"));
    let (jwts, certificates): (Vec<_>, Vec<_>) = tokens.partition(jwt::is_one);
    let taken = match (asserted, jwts.is_empty()) {
        (false, true) => credential.takes_signature(),
        (true, true) => credential.takes_assertion(),
        (false, false) => credential.takes_jwt(),
        (true, false) => false,
    };
    let username = brings(names::WSSE, "UsernameToken");
    if !jwts.is_empty() && (!taken || username) {
        return Err(Problem::new(Fault::UnsupportedSecurityToken, "encryption: JWT where none is taken"));
    }
    if !certificates.is_empty() && (!signed || !taken || username) {
        return Err(Problem::new(Fault::UnsupportedSecurityToken, "encryption: certificate beside no signature"));
    }
    Ok(())
}

fn parsed(octets: &[u8]) -> Result<Tree, Problem> {
    Tree::parse(octets, &Limits { octets: OCTETS, ..Limits::default() }).map_err(Problem::unreadable)
}

struct Read<'a, 't> {
    tree: &'t Tree,
    envelope: &'a Envelope<'t>,
    security: Element<'t>,
    ids: &'a Ids<'t>,
    /// Does a MAC speak of the key? Then it stays, and may seal nothing.
    keyed: bool,
    /// May an assertion prove a client?
    asserts: bool,
}

impl<'t> Read<'_, 't> {
    fn all(&self) -> Result<(Vec<Place>, Question), Problem> {
        let named = |local| self.tree.elements().filter(move |element| element.is(names::XENC, local));
        let in_header = |element: Element<'t>| element.parent() == Some(self.security);
        let (mut keys, mut lists) = (named("EncryptedKey"), named("ReferenceList"));
        let (Some(found), None) = (keys.next(), keys.next()) else {
            return Err(invalid("encryption: not one key"));
        };
        if let Some((data, around)) = self.carrier(found) {
            return self.carried(found, data, around);
        }
        if !in_header(found) {
            return Err(invalid("encryption: key at no place for one"));
        }
        let key = EncryptedKey::read(found).map_err(unreadable)?;
        let mut places = Vec::new();
        if !self.keyed {
            places.push(Place { span: found.span(), what: What::Cut });
        }
        // The list is in the key, or beside it.
        let listed = match (lists.next(), lists.next()) {
            (Some(list), None) if list.parent() == Some(found) => key.references.clone(),
            (Some(list), None) if in_header(list) => {
                places.push(Place { span: list.span(), what: What::Cut });
                encryption::references(list).map_err(unreadable)?
            }
            (None, None) if self.keyed => Vec::new(),
            _ => return Err(invalid("encryption: not one list of what is sealed")),
        };
        let session = if self.keyed { Some(Session::read(self.security, &key)?) } else { None };
        let mut parts = Vec::new();
        for element in named("EncryptedData") {
            let data = EncryptedData::read(element).map_err(unreadable)?;
            let meant = data.id.is_some_and(|id| listed.contains(&id) && self.ids.element(id) == Some(element));
            // BSP R3208: what comes first can be read first.
            if !meant || element.span().start < found.span().start {
                return Err(invalid("encryption: sealed by no key before it"));
            }
            let by = by(&key, session.as_ref(), &data)?;
            places.push(Place { span: element.span(), what: self.part(element, data.extent, parts.len())? });
            let octets = Octets::new(data.value).map_err(|_| invalid("encryption: too much is sealed"))?;
            parts.push(SealedPart { key: by, cipher: parts::cipher(data.cipher), octets });
        }
        if parts.len() != listed.len() {
            return Err(invalid("encryption: reference to nothing sealed here"));
        }
        places.sort_by_key(|place| place.span.start);
        Ok((places, self.question(key, parts)?))
    }

    fn question(&self, key: EncryptedKey<'t>, parts: Vec<SealedPart>) -> Result<Question, Problem> {
        let unoffered = Problem::new(Fault::UnsupportedAlgorithm, "encryption: key transport not offered");
        let transport = parts::transport(key.oaep).ok_or(unoffered)?;
        let recipient = self.recipient(key.key_info)?;
        let sealed = SealedKey::new(key.value).map_err(|_| invalid("encryption: bad key"))?;
        Ok((recipient, transport, sealed, List::new(parts).map_err(|_| invalid("encryption: too many parts"))?))
    }

    /// The sealed assertion that this key is in or beside, and the element in whose place it is put.
    fn carrier(&self, key: Element<'t>) -> Option<(Element<'t>, Element<'t>)> {
        let parent = key.parent()?;
        let encloses = |element: Element<'t>| {
            element.is(names::SAML20, "EncryptedAssertion") && element.parent() == Some(self.security)
        };
        let data = if parent.is(names::DS, "KeyInfo") { parent.parent()? } else { parent.children().next()? };
        let around = data.parent()?;
        let alone = parent.is(names::DS, "KeyInfo") && around == self.security;
        if !data.is(names::XENC, "EncryptedData") {
            None
        } else if alone {
            Some((data, data))
        } else {
            encloses(around).then_some((data, around))
        }
    }

    /// An assertion that its partner has sealed: one part, with its own key and nothing else that is sealed (SAML 2.0
    /// 2.3.4, 6.2). A MAC by a key of the client's is another thing.
    fn carried(
        &self,
        key: Element<'t>,
        data: Element<'t>,
        around: Element<'t>,
    ) -> Result<(Vec<Place>, Question), Problem> {
        let bad = invalid("encryption: bad encrypted assertion");
        let inside = data != around;
        let children: Vec<_> = around.children().collect();
        let shaped = match children[..] {
            _ if !inside => true,
            [one] => one == data,
            [one, other] => one == data && other == key,
            _ => false,
        };
        let mut sealed = self.tree.elements().filter(|element| element.is(names::XENC, "EncryptedData"));
        let sole = sealed.next() == Some(data) && sealed.next().is_none();
        if !self.asserts {
            return Err(Problem::new(Fault::UnsupportedSecurityToken, "encryption: assertion where none is taken"));
        }
        if self.keyed || !shaped || !sole || (inside && !around.holds_only_elements()) {
            return Err(bad);
        }
        let found = EncryptedKey::read(key).map_err(unreadable)?;
        let read = EncryptedData::read(data).map_err(unreadable)?;
        // Beside it the key may be pointed to, and may say what it is for.
        let named = match read.key_info {
            Some(info) => only_child(info).is_some_and(|named| named == key || points(named, found.id)),
            None => key.parent() == Some(around),
        };
        let listed = found.references.iter().all(|id| read.id == Some(id));
        let mut lists = self.tree.elements().filter(|element| element.is(names::XENC, "ReferenceList"));
        if !named || !listed || lists.any(|list| list.parent() != Some(key)) || read.extent != Some(Extent::Element) {
            return Err(bad);
        }
        let of = if inside { Of::Saml20 } else { Of::Assertion };
        let what = What::Part { number: 0, around: self.security.span(), one: true, of };
        let octets = Octets::new(read.value).map_err(|_| invalid("encryption: too much is sealed"))?;
        let part = SealedPart { key: PartKey::Session, cipher: parts::cipher(read.cipher), octets };
        Ok((vec![Place { span: around.span(), what }], self.question(found, vec![part])?))
    }

    /// What may be sealed: the one element in the body, whole or as the body's content, and children of the security
    /// header.
    fn part(&self, element: Element<'t>, extent: Option<Extent>, number: usize) -> Result<What, Problem> {
        let around = element.parent().ok_or(invalid("encryption: sealed at no place for it"))?;
        let in_body = element == self.envelope.body;
        let one = match extent {
            Some(Extent::Element) if in_body || around == self.security => true,
            Some(Extent::Content) if in_body => false,
            _ => return Err(invalid("encryption: sealed at no place for it")),
        };
        Ok(What::Part { number, around: around.span(), one, of: Of::Any })
    }

    /// Whom the key is sealed for: one way of naming a certificate, and nothing that has to be fetched.
    fn recipient(&self, info: Element<'t>) -> Result<Recipient, Problem> {
        let bad = invalid("encryption: bad key information");
        let unsupported = Problem::new(Fault::UnsupportedSecurityToken, "encryption: key not named by a certificate");
        let named = only_child(info).ok_or(bad)?;
        let reference = match (named.uri(), named.local()) {
            (names::DS, "X509Data") => named,
            (names::WSSE, "SecurityTokenReference") => only_child(named).ok_or(bad)?,
            _ => return Err(unsupported),
        };
        match (reference.uri(), reference.local()) {
            (names::WSSE, "Reference") => {
                let id = reference.attribute("", "URI").and_then(|uri| uri.strip_prefix('#')).ok_or(bad)?;
                let token = self.ids.element(id).filter(|token| {
                    token.is(names::WSSE, "BinarySecurityToken") && token.parent() == Some(self.security)
                });
                let token = token.ok_or(Problem::new(Fault::SecurityTokenUnavailable, "encryption: no such token"))?;
                match token.attribute("", "ValueType") {
                    Some(signed::X509V3) => certificate(encoded(token)?).ok_or(bad),
                    _ => Err(unsupported),
                }
            }
            (names::WSSE, "KeyIdentifier") => {
                let octets = base64(encoded(reference)?, 64).ok_or(bad)?;
                match reference.attribute("", "ValueType") {
                    Some(signed::THUMBPRINT) => Ok(Recipient::Thumbprint(octets.try_into().map_err(|_| bad)?)),
                    Some(signed::KEY_IDENTIFIER) => Ok(Recipient::KeyIdentifier(Octets::new(octets).map_err(|_| bad)?)),
                    _ => Err(unsupported),
                }
            }
            (names::DS, "X509Data") => from_data(reference).ok_or(bad),
            _ => Err(unsupported),
        }
    }
}

/// Does this `ds:RetrievalMethod` point to the key with this id, and do nothing else?
fn points(named: Element<'_>, id: Option<&str>) -> bool {
    let uri = named.attribute("", "URI").and_then(|uri| uri.strip_prefix('#'));
    let kind = named.attribute("", "Type");
    named.is(names::DS, "RetrievalMethod")
        && id.is_some()
        && uri == id
        && kind.is_none_or(|kind| kind == "http://www.w3.org/2001/04/xmlenc#EncryptedKey")
        && named.nodes().next().is_none()
}

/// Where the part names its key, it is this one, or one derived from it where a MAC speaks of those, too.
fn by(key: &EncryptedKey<'_>, session: Option<&Session<'_>>, data: &EncryptedData<'_>) -> Result<PartKey, Problem> {
    let other = invalid("encryption: sealed by another key");
    let Some(info) = data.key_info else { return Ok(PartKey::Session) };
    let reference = only_child(info).filter(|token| token.is(names::WSSE, "SecurityTokenReference")).ok_or(other)?;
    if let Some(session) = session {
        return session.named(reference);
    }
    let reference = only_child(reference).filter(|child| child.is(names::WSSE, "Reference"));
    let id = reference.and_then(|child| child.attribute("", "URI")).and_then(|uri| uri.strip_prefix('#'));
    if id.is_some() && id == key.id { Ok(PartKey::Session) } else { Err(other) }
}

/// `ds:X509Data` that says one thing.
fn from_data(data: Element<'_>) -> Option<Recipient> {
    let said = only_child(data)?;
    match (said.uri(), said.local()) {
        (names::DS, "X509Certificate") => certificate(said.text()?),
        (names::DS, "X509SKI") => Some(Recipient::KeyIdentifier(Octets::new(base64(said.text()?, 64)?).ok()?)),
        (names::DS, "X509IssuerSerial") => {
            let mut children = said.children();
            let (name, number) = (children.next()?, children.next()?);
            let fit = name.is(names::DS, "X509IssuerName") && number.is(names::DS, "X509SerialNumber");
            if !fit || children.next().is_some() || !said.holds_only_elements() {
                return None;
            }
            Some(Recipient::Serial(Octets::new(decimal(trim(number.text()?))?).ok()?))
        }
        _ => None,
    }
}

fn certificate(text: &str) -> Option<Recipient> {
    let der = base64(text, 16 * 1024)?;
    Some(Recipient::Certificate(digest(&SHA256, &der).as_ref().try_into().ok()?))
}

/// A number of at most 160 bits, big-endian without leading zeros.
fn decimal(text: &str) -> Option<Vec<u8>> {
    if text.is_empty() || text.len() > 49 || !text.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let mut octets: Vec<u8> = vec![0; 21];
    for digit in text.bytes() {
        let mut carry = u32::from(digit - b'0');
        for octet in octets.iter_mut().rev() {
            carry += u32::from(*octet) * 10;
            *octet = u8::try_from(carry & 0xFF).ok()?;
            carry >>= 8;
        }
    }
    let first = octets.iter().position(|octet| *octet != 0).unwrap_or(octets.len());
    Some(octets.split_off(first)).filter(|octets| octets.len() <= 20)
}

impl Sealed {
    /// What auth is to open, once.
    #[must_use]
    pub fn question(&mut self) -> Option<Question> {
        self.question.take()
    }

    /// The answer when it opens nothing.
    #[must_use]
    pub fn into_shape(self) -> Shape {
        self.shape
    }

    /// The message with its parts in their places, and which of them an answer may be sealed like.
    ///
    /// # Errors
    /// [`Rejection`] when a part is not what belongs there.
    pub fn opened(
        self,
        within: &List<Secret<MOST_PART_OCTETS>, MOST_PARTS>,
    ) -> Result<(Zeroizing<String>, Were), Rejection> {
        let (message, were) =
            whole(&self.source, &self.places, within).map_err(|problem| Rejection::new(self.shape, problem))?;
        Ok((message, Were { by: self.by, ..were }))
    }
}

/// Puts the parts in their places and looks that they have stayed there.
fn whole(
    source: &str,
    places: &[Place],
    within: &[Secret<MOST_PART_OCTETS>],
) -> Result<(Zeroizing<String>, Were), Problem> {
    let bad = invalid("encryption: content that is not what was sealed there");
    let mut message = Zeroizing::new(String::with_capacity(OCTETS));
    let mut moved = Moved::default();
    let mut done = 0;
    let mut parts = Vec::new();
    for Place { span, what } in places {
        // Neither within the other: elements that are read are of the header or the body.
        message.push_str(source.get(done..span.start).ok_or(bad)?);
        let start = message.len();
        if let What::Part { number, around, one, of } = what {
            let text = std::str::from_utf8(within.get(*number).ok_or(bad)?.expose()).map_err(|_| bad)?;
            if message.len() + text.len() > OCTETS {
                return Err(invalid("encryption: too much is sealed"));
            }
            let text = trim(text);
            message.push_str(text);
            parts.push((start..message.len(), around.clone(), *one, *of));
        }
        done = span.end;
        moved.note(span.end, message.len());
    }
    message.push_str(source.get(done..).ok_or(bad)?);
    let tree = parsed(message.as_bytes())?;
    let mut were = Were::default();
    for (span, around, one, of) in parts {
        let around = moved.to(around.start)..moved.to(around.end);
        let around = tree.elements().find(|element| element.span() == around).ok_or(bad)?;
        let mut there =
            around.children().filter(|child| span.start <= child.span().start && child.span().start < span.end);
        match (there.next(), there.next()) {
            (Some(element), None) if !one || element.span() == span => {
                may_be(element, around, of)?;
                were.note(element, around);
            }
            _ => return Err(bad),
        }
    }
    Ok((message, were))
}

/// Which parts of a request were sealed that an answer has, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Were {
    /// The body.
    pub body: bool,
    /// The signature.
    pub signature: bool,
    /// How.
    pub by: Option<(KeyTransport, PartCipher)>,
}

impl Were {
    fn note(&mut self, element: Element<'_>, around: Element<'_>) {
        if around.is(names::WSSE, "Security") {
            self.signature |= element.is(names::DS, "Signature");
        } else {
            self.body = true;
        }
    }
}

/// Nothing is sealed twice, and in the header only what proves a client.
fn may_be(element: Element<'_>, around: Element<'_>, of: Of) -> Result<(), Problem> {
    let new = element.is(names::SAML20, "Assertion");
    let assertion = new || element.is(names::SAML11, "Assertion");
    let proof = match of {
        Of::Any => assertion || element.is(names::WSSE, "UsernameToken") || element.is(names::DS, "Signature"),
        Of::Saml20 => new,
        Of::Assertion => assertion,
    };
    if around.is(names::WSSE, "Security") && !proof {
        return Err(invalid("encryption: sealed what need not be"));
    }
    Ok(())
}

/// Where places of the source are in the whole message.
#[derive(Debug, Default)]
struct Moved(Vec<(usize, usize)>);

impl Moved {
    fn note(&mut self, from: usize, to: usize) {
        self.0.push((from, to));
    }

    /// Of a place that is not within one that was replaced.
    fn to(&self, place: usize) -> usize {
        let (from, to) = self.0.iter().rev().find(|(from, _)| *from <= place).copied().unwrap_or_default();
        place - from + to
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_serial_number_is_read_in_decimal_and_bounded() {
        assert_eq!(decimal("0"), Some(vec![]));
        assert_eq!(decimal("255"), Some(vec![255]));
        assert_eq!(decimal("0000256"), Some(vec![1, 0]));
        // The one of W3C's vector for RSA-2048.
        assert_eq!(decimal("3945509604227456005"), Some(3_945_509_604_227_456_005_u64.to_be_bytes().to_vec()));
        let most = "1461501637330902918203684832716283019655932542975";
        assert_eq!(decimal(most), Some(vec![0xFF; 20]));
        for bad in ["", "-1", "+1", "0x10", "1 2", "1461501637330902918203684832716283019655932542976", &"9".repeat(50)]
        {
            assert_eq!(decimal(bad), None, "{bad}");
        }
    }
}
