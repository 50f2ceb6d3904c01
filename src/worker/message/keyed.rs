//! A user name and a password under a MAC, and the session key that the MAC is made with, which auth has kept: the
//! key's element stands in the header, and here it is looked only whether the signature names it. A MAC proves nobody.
//! That the token is covered, and whether any of it is true, is auth's to say.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

use super::envelope::Envelope;
use super::fault::Fault;
use super::rejection::Problem;
use super::security::read_username;
use super::shape::Shape;
use super::signed::{self, Covered, Place, encoded, invalid, only_child};
use crate::trust::{parts, timestamp};
use crate::wire::Octets;
use crate::wire::evidence::{Evidence, KeyedMessage, Timestamp};
use crate::xml::encryption::EncryptedKey;
use crate::xml::signature::base64;
use crate::xml::{Element, Ids, Tree, names};

const ENCRYPTED_KEY: &str = "http://docs.oasis-open.org/wss/oasis-wss-soap-message-security-1.1#EncryptedKey";
const ENCRYPTED_KEY_SHA1: &str = "http://docs.oasis-open.org/wss/oasis-wss-soap-message-security-1.1#EncryptedKeySHA1";

fn unsupported(reason: &'static str) -> Problem {
    Problem::new(Fault::UnsupportedSecurityToken, reason)
}

/// Reads the header of a message that is open.
pub(super) fn read(tree: &Tree, envelope: &Envelope<'_>, shape: &mut Shape) -> Result<(Evidence, Timestamp), Problem> {
    let mut ours = envelope.headers.iter().filter(|block| block.is(names::WSSE, "Security"));
    let (Some(security), None) = (ours.next(), ours.next()) else {
        return Err(invalid("security: not one header"));
    };
    if !security.holds_only_elements() {
        return Err(invalid("security: text in the header"));
    }
    let ids = Ids::of(tree).map_err(|_| invalid("security: duplicate id"))?;
    let (mut at, mut username, mut signature, mut key) = (None, None, None, None);
    for child in security.children() {
        let place = match (child.uri(), child.local()) {
            (names::WSU, "Timestamp") => &mut at,
            (names::WSSE, "UsernameToken") => &mut username,
            (names::DS, "Signature") => &mut signature,
            (names::XENC, "EncryptedKey") => &mut key,
            (names::WSSE | names::WSSE11 | names::XENC | names::SAML11 | names::SAML20, _) => {
                return Err(unsupported("security: unsupported token"));
            }
            _ => return Err(invalid("security: unknown element")),
        };
        if place.replace(child).is_some() {
            return Err(invalid("security: token twice"));
        }
    }
    shape.timestamp = at.is_some();
    let at = timestamp::read(at.ok_or(invalid("security: no timestamp"))?, &mut |_| false)?;
    let Some(key) = key else { return Err(invalid("security: no session key")) };
    let (Some(username), Some(signature)) = (username, signature) else {
        return Err(invalid("security: no credential"));
    };
    let Evidence::Password { username, password } = read_username(username)? else {
        return Err(unsupported("security: digest under a MAC"));
    };
    let place = Place { envelope, security: *security, tokens: &[], assertion: None, ids: &ids };
    let Covered { signature, signed_info, parts } = signed::covered(signature, &place)?;
    let algorithm = parts::mac(signature.info.method);
    let algorithm = algorithm.ok_or(signed::algorithm("signature: no MAC where one is due"))?;
    names_key(signature.key_info, key)?;
    let value = Octets::new(signature.value).map_err(|_| invalid("signature: bad MAC"))?;
    let message = KeyedMessage { algorithm, signed_info, value, parts };
    Ok((Evidence::KeyedPassword { username, password, message }, at))
}

/// Is the key that `ds:KeyInfo` names the one of this message: by its id, or by the digest of what is sealed (R-W045)?
fn names_key(key_info: Option<Element<'_>>, key: Element<'_>) -> Result<(), Problem> {
    let bad = invalid("signature: bad key information");
    let unavailable = Problem::new(Fault::SecurityTokenUnavailable, "signature: no such key");
    let key = EncryptedKey::read(key).map_err(|_| invalid("encryption: not of the grammar"))?;
    let named = key_info.and_then(only_child).ok_or(bad)?;
    if !named.is(names::WSSE, "SecurityTokenReference") {
        return Err(unsupported("signature: key not named by a token"));
    }
    let reference = only_child(named).ok_or(bad)?;
    let kind = reference.attribute("", "ValueType");
    let is = match (reference.uri(), reference.local()) {
        (names::WSSE, "Reference") if matches!(kind, None | Some(ENCRYPTED_KEY)) => {
            let id = reference.attribute("", "URI").and_then(|uri| uri.strip_prefix('#')).ok_or(bad)?;
            key.id == Some(id)
        }
        (names::WSSE, "KeyIdentifier") if kind == Some(ENCRYPTED_KEY_SHA1) => {
            let octets = base64(encoded(reference)?, 20).ok_or(bad)?;
            digest(&SHA1_FOR_LEGACY_USE_ONLY, &key.value).as_ref() == octets
        }
        _ => return Err(unsupported("signature: reference to another kind of token")),
    };
    if is { Ok(()) } else { Err(unavailable) }
}
