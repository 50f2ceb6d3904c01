//! How a message under a MAC names its keys: the one session key, by its id or by the digest of what is sealed
//! (R-W045), or that of a ticket, likewise (R6904), or that of an assertion, by the assertion's id; and those that are
//! derived from it. A name picks a key that auth has, and proves nothing.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

use super::asserted;
use super::fault::Fault;
use super::rejection::Problem;
use super::signed::{encoded, invalid};
use crate::trust::identifiers::{ENCRYPTED_KEY, ENCRYPTED_KEY_SHA1, key_identifier_type};
use crate::wire::Text;
use crate::wire::derivation::{Derivation, PartKey, USUAL_LENGTH};
use crate::wire::order::TokenType;
use crate::wire::reply::Conversation;
use crate::xml::chars::trim;
use crate::xml::derived::{self, DerivedKey};
use crate::xml::encryption::EncryptedKey;
use crate::xml::signature::base64;
use crate::xml::{Element, names};

/// Derived keys in one header (R-C010).
const MOST_DERIVED: usize = 16;

/// The keys of one message.
pub(super) struct Session<'t> {
    id: Option<&'t str>,
    /// `ValueType` of a reference to what brings the key, and of an identifier of it.
    kinds: [&'t str; 2],
    identifier: Identifier,
    /// As the first derived key has it.
    pub(super) conversation: Conversation,
    derived: Vec<(&'t str, Derivation)>,
}

/// What an identifier of the key says.
enum Identifier {
    /// SHA-1 of what brings it.
    Sha1(Vec<u8>),
    /// The id of that.
    Id,
}

impl<'t> Session<'t> {
    /// Reads the derived keys beside this one.
    pub(super) fn read(security: Element<'t>, key: &EncryptedKey<'t>) -> Result<Self, Problem> {
        Self::of(security, key.id, &key.value, [ENCRYPTED_KEY, ENCRYPTED_KEY_SHA1])
    }

    /// The same beside a key that comes with these octets, and how references to it say of what kind they are.
    pub(super) fn of(
        security: Element<'t>,
        id: Option<&'t str>,
        octets: &[u8],
        kinds: [&'t str; 2],
    ) -> Result<Self, Problem> {
        let sha1 = digest(&SHA1_FOR_LEGACY_USE_ONLY, octets).as_ref().to_vec();
        Self::identified(security, id, kinds, Identifier::Sha1(sha1))
    }

    /// The same beside the key that an assertion has for its holder.
    pub(super) fn of_assertion(security: Element<'t>, assertion: Element<'t>) -> Result<Self, Problem> {
        let version = if assertion.uri() == names::SAML20 { TokenType::Saml20 } else { TokenType::Saml11 };
        let kind = key_identifier_type(version);
        Self::identified(security, asserted::id(assertion), [kind; 2], Identifier::Id)
    }

    fn identified(
        security: Element<'t>,
        id: Option<&'t str>,
        kinds: [&'t str; 2],
        identifier: Identifier,
    ) -> Result<Self, Problem> {
        let mut session = Self { id, kinds, identifier, conversation: Conversation::V13, derived: Vec::new() };
        let mut found = Vec::new();
        for element in security.children().filter(|child| derived::is_one(*child)) {
            if found.len() == MOST_DERIVED {
                return Err(invalid("security: too many derived keys"));
            }
            if found.is_empty() && element.uri() == names::WSC05 {
                session.conversation = Conversation::V2005;
            }
            found.push(session.derivation(element)?);
        }
        // Not before all are read: none is derived from another (R-C011).
        session.derived = found;
        Ok(session)
    }

    fn derivation(&self, element: Element<'t>) -> Result<(&'t str, Derivation), Problem> {
        let bad = invalid("security: bad derived key");
        let key = DerivedKey::read(element, USUAL_LENGTH).map_err(|_| bad)?;
        self.named(key.source)?;
        let label = key.label.map(Text::new).transpose().map_err(|_| bad)?;
        let length = key.length.unwrap_or(USUAL_LENGTH);
        Ok((key.id, Derivation::new(label, key.nonce, key.offset, length).map_err(|_| bad)?))
    }

    /// SHA-1 of what brings the key; nothing where it is not known by that.
    pub(super) fn sha1(&self) -> &[u8] {
        match &self.identifier {
            Identifier::Sha1(sha1) => sha1,
            Identifier::Id => &[],
        }
    }

    /// The key that a `wsse:SecurityTokenReference` names.
    pub(super) fn named(&self, reference: Element<'_>) -> Result<PartKey, Problem> {
        let bad = invalid("security: bad reference to a key");
        let unavailable = Problem::new(Fault::SecurityTokenUnavailable, "security: no such key");
        let unsupported = Problem::new(Fault::UnsupportedSecurityToken, "security: reference to another kind of key");
        if !reference.is(names::WSSE, "SecurityTokenReference") {
            return Err(unsupported);
        }
        // Derived without a token of its own (R-C012): not offered, and not passed over.
        let implied = |attribute: crate::xml::tree::Attribute<'_>| matches!(attribute.uri, names::WSC13 | names::WSC05);
        let named = reference.only_child().ok_or(bad)?;
        if reference.attributes().any(implied) || named.attributes().any(implied) {
            return Err(unsupported);
        }
        let kind = named.attribute("", "ValueType");
        let [by_id, identified] = self.kinds;
        let direct = kind.is_none_or(|kind| kind == by_id);
        match (named.uri(), named.local()) {
            (names::WSSE, "Reference") => {
                let id = named.attribute("", "URI").and_then(|uri| uri.strip_prefix('#')).ok_or(bad)?;
                let derived = self.derived.iter().find(|(other, _)| *other == id);
                match (kind, derived) {
                    (_, None) if direct && self.id == Some(id) => Ok(PartKey::Session),
                    (None, Some((_, derivation))) => Ok(PartKey::Derived(derivation.clone())),
                    (Some(kind), Some((_, derivation))) if derives(kind) => Ok(PartKey::Derived(derivation.clone())),
                    (_, None) if direct => Err(unavailable),
                    _ => Err(unsupported),
                }
            }
            (names::WSSE, "KeyIdentifier") if kind == Some(identified) => {
                let means = match &self.identifier {
                    Identifier::Sha1(sha1) => *sha1 == base64(encoded(named)?, 20).ok_or(bad)?,
                    Identifier::Id => {
                        let id = named.text().map(trim).ok_or(bad)?;
                        // Older clients write it as a reference (saml.md 4.5).
                        self.id == Some(id.strip_prefix('#').unwrap_or(id))
                    }
                };
                if means { Ok(PartKey::Session) } else { Err(unavailable) }
            }
            _ => Err(unsupported),
        }
    }
}

/// Is this how a reference says that it means a derived key?
fn derives(kind: &str) -> bool {
    [names::WSC13, names::WSC05].iter().any(|namespace| kind.strip_prefix(namespace) == Some("/dk"))
}
