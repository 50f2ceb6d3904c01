//! A message with sealed parts, before they are open: one `xenc:EncryptedKey` in the security header and the
//! `xenc:EncryptedData` it is for, each at a place where something may be sealed; or an assertion in that header which
//! its partner has sealed, with its key in it (`saml2:EncryptedAssertion`, or `xenc:EncryptedData` alone). What auth
//! gives for them is put where they were, the key is cut out, and the whole is read again as if it had come so: by the
//! same parser with the same limits. Where a MAC is made with the key it stays where it is. It must be what it says,
//! and only there: a content that ends the element around it, or is not the one element that was sealed, is refused
//! (R-W050 to R-W053, A-24, A-25). Where a signature covers the body as it is sealed, auth is given that and no part:
//! it verifies before it opens anything, and by CBC it opens nothing else. Where the signature or a token beside it is
//! sealed, too, what it covers shows when that is open: so all of it is opened, and none of it by CBC.

use std::fmt;

use zeroize::Zeroizing;

use super::envelope::{self, Envelope};
use super::fault::Fault;
use super::opened::{Of, Place, Sealed as Where, Were, What, Whole, whole};
use super::rejection::{Problem, Rejection};
use super::session::Session;
use super::shape::Shape;
use super::signed::signs_sealed;
use super::{Incoming, OCTETS, addressing, asserted, jwt, media};
use crate::config::worker::{Credential, Endpoint};
use crate::trust::parts;
use crate::trust::recipient::{self, Unnamed};
use crate::wire::derivation::PartKey;
use crate::wire::evidence::SignedMessage;
use crate::wire::unwrap::{
    KeyTransport, MOST_PART_OCTETS, MOST_PARTS, MOST_WRAPPED_OCTETS, PartCipher, Recipient, Sealed as SealedKey,
    SealedPart,
};
use crate::wire::{List, Octets, Secret};
use crate::xml::encryption::{self, EncryptedData, EncryptedKey, Extent, Unreadable, WrappedKey};
use crate::xml::{Element, Ids, Limits, Tree, names};

pub(super) fn invalid(reason: &'static str) -> Problem {
    Problem::new(Fault::InvalidSecurity, reason)
}

fn unreadable(why: Unreadable) -> Problem {
    match why {
        Unreadable::Shape(_) => invalid("encryption: not of the grammar"),
        Unreadable::Algorithm(_) => Problem::new(Fault::UnsupportedAlgorithm, "encryption: unknown algorithm"),
    }
}

fn unnamed(why: Unnamed) -> Problem {
    match why {
        Unnamed::Malformed => invalid("encryption: bad key information"),
        Unnamed::Unsupported => {
            Problem::new(Fault::UnsupportedSecurityToken, "encryption: key not named by a certificate")
        }
        Unnamed::Absent => Problem::new(Fault::SecurityTokenUnavailable, "encryption: no such token"),
    }
}

/// What auth is asked to open: by the key that is sealed for that recipient so, this.
pub type Question = (Recipient, KeyTransport, SealedKey, Within);

/// What the key is for.
#[derive(Debug)]
pub enum Within {
    /// These parts.
    Parts(List<SealedPart, MOST_PARTS>),
    /// What is sealed of this message, which is signed as it is.
    Signed(SignedMessage),
}

/// A message with sealed parts.
pub struct Sealed {
    shape: Shape,
    source: Zeroizing<String>,
    /// Where something is replaced, in order.
    places: Vec<Place>,
    question: Option<Question>,
    /// How it is sealed, where any part is.
    by: Option<(KeyTransport, PartCipher)>,
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealed").field("by", &self.by).finish_non_exhaustive()
    }
}

/// Takes the message apart as far as it can be read.
///
/// # Errors
/// [`Rejection`] for what cannot be read, or is sealed as nobody should.
pub fn sealed(endpoint: &Endpoint, incoming: &Incoming<'_>) -> Result<Option<Sealed>, Rejection> {
    let mut shape = Shape::new(endpoint, incoming.content_type);
    match apart(endpoint, incoming, &mut shape) {
        Ok(None) => Ok(None),
        Ok(Some(Apart { source, places, question, cipher })) => {
            let by = cipher.map(|cipher| (question.1, cipher));
            Ok(Some(Sealed { shape, source, places, question: Some(question), by }))
        }
        Err(problem) => Err(Rejection::new(shape, problem)),
    }
}

struct Apart {
    source: Zeroizing<String>,
    places: Vec<Place>,
    question: Question,
    /// How it is sealed, where an answer may be.
    cipher: Option<PartCipher>,
}

/// Lists of what is sealed, in one message.
const MOST_LISTS: usize = 2;

type Found = (Vec<Place>, Question, Option<PartCipher>);

fn apart(endpoint: &Endpoint, incoming: &Incoming<'_>, shape: &mut Shape) -> Result<Option<Apart>, Problem> {
    let media = media::read(incoming.content_type)?;
    let tree = parsed(incoming.body)?;
    if !tree.elements().any(seals) {
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
    let signs = endpoint.credential.takes_signature();
    let read = Read { tree: &tree, envelope: &envelope, security: *security, ids: &ids, keyed, asserts, signs };
    let (places, question, cipher) = read.all()?;
    let source = Zeroizing::new(tree.source().to_owned());
    Ok(Some(Apart { source, places, question, cipher }))
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

pub(super) fn parsed(octets: &[u8]) -> Result<Tree, Problem> {
    Tree::parse(octets, &Limits { octets: OCTETS, ..Limits::default() }).map_err(Problem::unreadable)
}

/// Is it a key that seals something of the message?
fn seals(element: Element<'_>) -> bool {
    let is_one = element.is(names::XENC, "EncryptedKey") && !WrappedKey::is_one(element);
    is_one && !asserted::has_for_holder(element)
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
    /// May a signature alone?
    signs: bool,
}

impl<'t> Read<'_, 't> {
    fn all(&self) -> Result<Found, Problem> {
        let in_header = |element: Element<'t>| element.parent() == Some(self.security);
        let mut keys = self.tree.elements().filter(|element| seals(*element));
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
        let listed = self.listed((&key, found), &mut places)?;
        let mut sealed = self.named("EncryptedData");
        let sole = sealed.next() == Some(self.envelope.body) && sealed.next().is_none();
        let signed = if self.signs && sole { signs_sealed(self.envelope, self.security, self.ids) } else { None };
        if let Some(message) = signed {
            return self.signed((key, found), &listed, places, message);
        }
        let session = if self.keyed { Some(Session::read(self.security, &key)?) } else { None };
        let mut parts = Vec::new();
        for element in self.named("EncryptedData") {
            let data = EncryptedData::read(element).map_err(unreadable)?;
            let meant = data.id.is_some_and(|id| listed.contains(&id) && self.ids.element(id) == Some(element));
            // BSP R3208: what comes first can be read first.
            if !meant || element.span().start < found.span().start {
                return Err(invalid("encryption: sealed by no key before it"));
            }
            let (by, wrapped) = key_of(&key, session.as_ref(), &data)?;
            places.push(Place { span: element.span(), what: self.part(element, &data, parts.len())? });
            let octets = Octets::new(data.value).map_err(|_| invalid("encryption: too much is sealed"))?;
            parts.push(SealedPart { key: by, wrapped, cipher: parts::cipher(data.cipher), octets });
        }
        if parts.len() != listed.len() {
            return Err(invalid("encryption: reference to nothing sealed here"));
        }
        places.sort_by_key(|place| place.span.start);
        let cipher = parts.first().map(|part| part.cipher);
        Ok((places, self.question(key, within(parts)?)?, cipher))
    }

    /// Those with this name, but for what an assertion of this header has sealed itself: that is for whomever its
    /// issuer meant, neither opened nor read here, and no list or signature may mean it.
    fn named(&self, local: &'static str) -> impl Iterator<Item = Element<'t>> {
        let ours = |element: &Element<'t>| asserted::header_around(*element) != Some(self.security);
        self.tree.elements().filter(move |element| element.is(names::XENC, local)).filter(ours)
    }

    /// The ids of what is sealed. The list is in the key, or beside it; there is another one beside it where something
    /// was sealed when the rest was signed.
    fn listed(
        &self,
        (key, found): (&EncryptedKey<'t>, Element<'t>),
        places: &mut Vec<Place>,
    ) -> Result<Vec<&'t str>, Problem> {
        let bad = invalid("encryption: not one list of what is sealed, or two");
        let mut ids = key.references.clone();
        let lists: Vec<_> = self.named("ReferenceList").collect();
        if lists.len() > MOST_LISTS || lists.is_empty() && !self.keyed {
            return Err(bad);
        }
        for list in lists.into_iter().filter(|list| list.parent() != Some(found)) {
            if list.parent() != Some(self.security) {
                return Err(bad);
            }
            places.push(Place { span: list.span(), what: What::Cut });
            ids.extend(encryption::references(list).map_err(unreadable)?);
        }
        Ok(ids)
    }

    /// A message that is signed as it is sealed. The one thing that is, is what the body holds: where more is, it is
    /// not known yet what was signed.
    fn signed(
        &self,
        (key, found): (EncryptedKey<'t>, Element<'t>),
        listed: &[&str],
        mut places: Vec<Place>,
        message: SignedMessage,
    ) -> Result<Found, Problem> {
        let element = self.envelope.body;
        let data = EncryptedData::read_signed(element).map_err(unreadable)?;
        let meant = matches!(listed, [id] if data.id == Some(*id)) && found.span().start < element.span().start;
        if !meant || by(&key, None, data.key_info)? != PartKey::Session {
            return Err(invalid("encryption: sealed by no key before it"));
        }
        places.push(Place { span: element.span(), what: self.part(element, &data, 0)? });
        places.sort_by_key(|place| place.span.start);
        let cipher = data.cipher.gcm().map(parts::cipher);
        Ok((places, self.question(key, Within::Signed(message))?, cipher))
    }

    fn question(&self, key: EncryptedKey<'t>, within: Within) -> Result<Question, Problem> {
        let unoffered = Problem::new(Fault::UnsupportedAlgorithm, "encryption: key transport not offered");
        let transport = parts::transport(key.oaep).ok_or(unoffered)?;
        let token = |id: &str| {
            let token = self.ids.element(id);
            token.filter(|token| token.is(names::WSSE, "BinarySecurityToken") && token.parent() == Some(self.security))
        };
        let recipient = recipient::read(key.key_info, token).map_err(unnamed)?;
        let sealed = SealedKey::new(key.value).map_err(|_| invalid("encryption: bad key"))?;
        Ok((recipient, transport, sealed, within))
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
    fn carried(&self, key: Element<'t>, data: Element<'t>, around: Element<'t>) -> Result<Found, Problem> {
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
            Some(info) => info.only_child().is_some_and(|named| named == key || points(named, found.id)),
            None => key.parent() == Some(around),
        };
        let listed = found.references.iter().all(|id| read.id == Some(id));
        let mut lists = self.tree.elements().filter(|element| element.is(names::XENC, "ReferenceList"));
        if !named || !listed || lists.any(|list| list.parent() != Some(key)) || read.extent != Some(Extent::Element) {
            return Err(bad);
        }
        let of = if inside { Of::Saml20 } else { Of::Assertion };
        let what = What::Part { number: 0, around: self.security.span(), one: true, of, sealed: Where::InHeader(None) };
        let octets = Octets::new(read.value).map_err(|_| invalid("encryption: too much is sealed"))?;
        let part = SealedPart { key: PartKey::Session, wrapped: None, cipher: parts::cipher(read.cipher), octets };
        let (cipher, within) = (Some(part.cipher), within(vec![part])?);
        Ok((vec![Place { span: around.span(), what }], self.question(found, within)?, cipher))
    }

    /// What may be sealed: the one element in the body, whole or as the body's content, and children of the security
    /// header.
    fn part<C>(&self, element: Element<'t>, data: &EncryptedData<'t, C>, number: usize) -> Result<What, Problem> {
        let around = element.parent().ok_or(invalid("encryption: sealed at no place for it"))?;
        let in_body = element == self.envelope.body;
        let EncryptedData { id, extent, .. } = *data;
        let one = match extent {
            Some(Extent::Element) if in_body || around == self.security => true,
            Some(Extent::Content) if in_body => false,
            _ => return Err(invalid("encryption: sealed at no place for it")),
        };
        let sealed = if in_body { Where::InBody } else { Where::InHeader(id.map(str::to_owned)) };
        Ok(What::Part { number, around: around.span(), one, of: Of::Any, sealed })
    }
}

fn within(parts: Vec<SealedPart>) -> Result<Within, Problem> {
    List::new(parts).map(Within::Parts).map_err(|_| invalid("encryption: too many parts"))
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
fn by(
    key: &EncryptedKey<'_>,
    session: Option<&Session<'_>>,
    key_info: Option<Element<'_>>,
) -> Result<PartKey, Problem> {
    let other = invalid("encryption: sealed by another key");
    let Some(info) = key_info else { return Ok(PartKey::Session) };
    let reference = info.only_child().filter(|token| token.is(names::WSSE, "SecurityTokenReference")).ok_or(other)?;
    if let Some(session) = session {
        return session.named(reference);
    }
    let reference = reference.only_child().filter(|child| child.is(names::WSSE, "Reference"));
    let id = reference.and_then(|child| child.attribute("", "URI")).and_then(|uri| uri.strip_prefix('#'));
    if id.is_some() && id == key.id { Ok(PartKey::Session) } else { Err(other) }
}

/// The key of a part; or that by which the part's own is wrapped, and that.
fn key_of(
    key: &EncryptedKey<'_>,
    session: Option<&Session<'_>>,
    data: &EncryptedData<'_>,
) -> Result<(PartKey, Option<Octets<MOST_WRAPPED_OCTETS>>), Problem> {
    let wrapped = data.key_info.and_then(|info| info.only_child()).filter(|within| WrappedKey::is_one(*within));
    let Some(wrapped) = wrapped else { return Ok((by(key, session, data.key_info)?, None)) };
    let wrapped = WrappedKey::read(wrapped).map_err(unreadable)?;
    // Answers are sealed as the request was, by the key that wraps.
    if wrapped.cipher != data.cipher {
        return Err(unreadable(Unreadable::Algorithm("key wrap")));
    }
    let by = by(key, session, Some(wrapped.key_info))?;
    let octets = Octets::new(wrapped.value).map_err(|_| invalid("encryption: bad key"))?;
    Ok((by, Some(octets)))
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
    pub fn opened(self, within: &List<Secret<MOST_PART_OCTETS>, MOST_PARTS>) -> Result<Whole, Rejection> {
        let whole = whole(&self.source, &self.places, within).map_err(|problem| Rejection::new(self.shape, problem))?;
        Ok(Whole { were: Were { by: self.by, ..whole.were }, ..whole })
    }
}
