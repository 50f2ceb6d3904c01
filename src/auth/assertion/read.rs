//! What an assertion says, whichever version it is in, and the few steps by which both are read: children in the
//! order of the schema, attributes that are known, text that is nothing but text. What is not known is refused and
//! never passed over: it might have narrowed what the rest means.

use std::collections::BTreeMap;

use crate::trust::{instant, parts, recipient};
use crate::wire::Millis;
use crate::wire::key::PublicKey;
use crate::wire::unwrap::{KeyTransport, Recipient, Sealed};
use crate::xml::chars::trim;
use crate::xml::encryption::EncryptedKey;
use crate::xml::signature::base64;
use crate::xml::{Element, names};

/// Confirmations of a subject, and keys of one, at most.
pub(super) const MOST_CONFIRMATIONS: usize = 8;

/// There are more.
pub(super) const MANY: &str = "more confirmations than are read";

/// The largest certificate that is read, octets.
const LARGEST_CERTIFICATE: usize = 8 * 1024;

/// Why there is nothing to read: for the operator.
pub(super) type Read<T> = Result<T, &'static str>;

/// An assertion.
#[derive(Debug)]
pub(in crate::auth) struct Assertion {
    /// `ID`, `AssertionID`.
    pub(super) id: String,
    /// `Issuer`.
    pub(super) issuer: String,
    /// `IssueInstant`.
    pub(super) issued: Millis,
    /// Whom it speaks of, and who may present it.
    pub(super) subject: Subject,
    /// When and for whom it holds.
    pub(super) conditions: Conditions,
    /// Is it good once (`OneTimeUse`, `DoNotCacheCondition`)?
    pub(super) one_time: bool,
    /// `AuthnInstant`, `AuthenticationInstant`.
    pub(in crate::auth) authenticated: Millis,
    /// `SessionNotOnOrAfter`.
    pub(super) session_until: Option<Millis>,
    /// Attributes by name; none instead of values where one of them is not plain text.
    pub(super) attributes: Attributes,
}

/// Attributes by name.
pub(super) type Attributes = BTreeMap<String, Option<Vec<String>>>;

/// `Conditions`.
#[derive(Debug)]
pub(super) struct Conditions {
    pub(super) not_before: Option<Millis>,
    pub(super) not_on_or_after: Millis,
    /// Each must name us; so much as one must be there.
    pub(super) audiences: Vec<Vec<String>>,
}

/// `Subject`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Subject {
    /// None where attributes alone say who it is, as AD FS leaves it.
    pub(super) name: Option<String>,
    /// Attributes of the name, to tell two subjects apart.
    pub(super) qualifiers: Vec<(String, String)>,
    pub(super) confirmations: Vec<Confirmation>,
}

/// `SubjectConfirmation`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Confirmation {
    pub(super) method: ConfirmationMethod,
    pub(super) not_before: Option<Millis>,
    pub(super) not_on_or_after: Option<Millis>,
    pub(super) recipient: Option<String>,
    pub(super) address: Option<String>,
    pub(super) in_response_to: bool,
    /// By the key of any of which a holder proves himself.
    pub(super) keys: Vec<Named>,
    /// Is there something in it that is not read? It asks for more than is known here.
    pub(super) asks_more: bool,
}

/// How a `ds:KeyInfo` names its one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Named {
    /// By a certificate, DER.
    Certificate(Vec<u8>),
    /// It writes the key out.
    Value(PublicKey),
    /// Both: whether they are one is to be seen.
    Both(Vec<u8>, PublicKey),
    /// It is shared, and sealed.
    Sealed(SealedKey),
}

/// A shared key, as it is sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::auth) struct SealedKey {
    /// For whom.
    pub(in crate::auth) recipient: Recipient,
    /// How.
    pub(in crate::auth) transport: KeyTransport,
    /// What is sealed.
    pub(in crate::auth) sealed: Sealed,
}

/// Who may present it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ConfirmationMethod {
    /// Whoever has it.
    Bearer,
    /// Whoever proves that he has its key, by signing the message.
    HolderOfKey,
    /// Somebody who vouches for its subject, and says who he is himself.
    SenderVouches,
    /// Somebody who has to prove something else, too.
    Other,
}

impl Confirmation {
    /// Without a bound of its own, by these keys; none where they are not read.
    pub(super) fn unbound(method: ConfirmationMethod, keys: Option<Vec<Named>>) -> Self {
        let (not_before, not_on_or_after, recipient, address) = (None, None, None, None);
        let (asks_more, keys) = (keys.is_none(), keys.unwrap_or_default());
        Self { method, not_before, not_on_or_after, recipient, address, in_response_to: false, keys, asks_more }
    }
}

/// The key of each `ds:KeyInfo`; none where one of them names its key in another way, or is something else.
pub(super) fn keys(elements: &[Element<'_>]) -> Option<Vec<Named>> {
    if elements.len() > MOST_CONFIRMATIONS {
        return None;
    }
    elements.iter().map(|element| key(*element)).collect()
}

/// It means one key, whatever it says of it (XMLDSig 4.5): so much of that as is not read could be another.
fn key(key_info: Element<'_>) -> Option<Named> {
    if !key_info.is(names::DS, "KeyInfo") {
        return None;
    }
    let inside = children(key_info).ok()?;
    if let [sealed] = inside[..]
        && sealed.is(names::XENC, "EncryptedKey")
    {
        return sealed_key(sealed).map(Named::Sealed);
    }
    let find = |local: &str| inside.iter().copied().find(|child| child.is(names::DS, local));
    Some(match (find("X509Data"), find("KeyValue"), inside.len()) {
        (Some(data), None, 1) => Named::Certificate(certificate(data)?),
        (None, Some(value), 1) => Named::Value(parts::public_key(value)?),
        (Some(data), Some(value), 2) => Named::Both(certificate(data)?, parts::public_key(value)?),
        _ => return None,
    })
}

/// One that is sealed by RSA-OAEP for a certificate that is named, and seals nothing itself. No token is beside it that
/// could be meant: what stands in the message the partner has not signed.
fn sealed_key(element: Element<'_>) -> Option<SealedKey> {
    let key = EncryptedKey::read(element).ok().filter(|key| key.references.is_empty())?;
    let recipient = recipient::read(key.key_info, |_| None).ok()?;
    Some(SealedKey { recipient, transport: parts::transport(key.oaep)?, sealed: Sealed::new(key.value).ok()? })
}

fn certificate(data: Element<'_>) -> Option<Vec<u8>> {
    // What else it says of the certificate adds nothing.
    let mut certificates = data.children().filter(|child| child.is(names::DS, "X509Certificate"));
    match (certificates.next(), certificates.next()) {
        (Some(certificate), None) => base64(certificate.text()?, LARGEST_CERTIFICATE),
        _ => None,
    }
}

/// Its attributes, none of them without a namespace but these. What stands in a namespace of somebody's own may say
/// more and narrows nothing; that it is of another type than its name says may narrow it.
pub(super) fn only(element: Element<'_>, known: &[&str]) -> Read<()> {
    if element.attribute(names::XSI, "type").is_some() { Err("of a type of its own") } else { typed(element, known) }
}

/// The same, where a type is read by itself.
pub(super) fn typed(element: Element<'_>, known: &[&str]) -> Read<()> {
    let mut attributes = element.attributes();
    if attributes.any(|attribute| attribute.uri.is_empty() && !known.contains(&attribute.local)) {
        return Err("an attribute that is not known");
    }
    Ok(())
}

/// A condition, of those that are known.
pub(super) enum Condition {
    /// It is made for one of these.
    Audiences,
    /// It is good once.
    Once,
}

/// The conditions of a version, by its namespace, and whether they say that it is good once. `kind` says what a
/// condition is; one that it does not know is refused.
pub(super) fn conditions(
    version: &str,
    element: Element<'_>,
    kind: impl Fn(Element<'_>) -> Read<Condition>,
) -> Read<(Conditions, bool)> {
    if !element.is(version, "Conditions") {
        return Err("no conditions");
    }
    only(element, &["NotBefore", "NotOnOrAfter"])?;
    let (mut audiences, mut one_time) = (Vec::new(), false);
    let audience = |audience: Element<'_>| {
        if audience.is(version, "Audience") { uri(audience) } else { Err("something else than audiences") }
    };
    for condition in children(element)? {
        let kind = kind(condition)?;
        only(condition, &[])?;
        match kind {
            Condition::Audiences => {
                audiences.push(children(condition)?.into_iter().map(audience).collect::<Read<_>>()?);
            }
            Condition::Once => one_time = true,
        }
    }
    let not_on_or_after = moment(element, "NotOnOrAfter")?.ok_or("no end of its conditions")?;
    Ok((Conditions { not_before: moment(element, "NotBefore")?, not_on_or_after, audiences }, one_time))
}

/// Its child elements, with nothing but white space between them.
pub(super) fn children(element: Element<'_>) -> Read<Vec<Element<'_>>> {
    if element.holds_only_elements() { Ok(element.children().collect()) } else { Err("text among elements") }
}

/// Its text, which is not empty and holds nothing else.
pub(super) fn text(element: Element<'_>) -> Read<String> {
    let text = element.text().ok_or("something else in a text")?;
    if text.is_empty() { Err("an empty text") } else { Ok(text.to_owned()) }
}

/// A text whose white space means nothing: an address, a URI.
pub(super) fn uri(element: Element<'_>) -> Read<String> {
    only(element, &[])?;
    let text = element.text().map(trim).ok_or("something else in a text")?;
    if text.is_empty() { Err("an empty text") } else { Ok(text.to_owned()) }
}

/// An attribute that must be there.
pub(super) fn required<'t>(element: Element<'t>, local: &str) -> Read<&'t str> {
    element.attribute("", local).filter(|value| !value.is_empty()).ok_or("an attribute missing")
}

/// What a name says besides itself.
pub(super) fn qualifiers(name: Option<Element<'_>>) -> Vec<(String, String)> {
    let attributes = name.into_iter().flat_map(Element::attributes);
    attributes.map(|attribute| (attribute.local.to_owned(), attribute.value.to_owned())).collect()
}

/// An instant that may be left out.
pub(super) fn moment(element: Element<'_>, local: &str) -> Read<Option<Millis>> {
    let parse = |value| instant::parse(trim(value)).ok_or("an instant that is none");
    element.attribute("", local).map(parse).transpose()
}

/// Adds the values of an attribute.
pub(super) fn add(attributes: &mut Attributes, name: String, values: &[Element<'_>]) {
    let values: Option<Vec<String>> = values.iter().map(|value| value.text().map(str::to_owned)).collect();
    let all = attributes.entry(name).or_insert_with(|| Some(Vec::new()));
    match (all.as_mut(), values) {
        (Some(all), Some(values)) => all.extend(values),
        _ => *all = None,
    }
}
