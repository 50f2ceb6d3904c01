//! A user name and a password under a MAC. auth has kept the session key; its element stands in the header, and here it
//! is looked only which key the signature names. A MAC proves nobody. That the token is covered, and whether any of it
//! is true, is auth's to say. Where the body was sealed before the MAC was made, that covers it so, and what was in it
//! is read all the same.

use super::earlier;
use super::envelope::Envelope;
use super::fault::Fault;
use super::opened::Were;
use super::protected::Keyed;
use super::rejection::Problem;
use super::security::read_username;
use super::session::Session;
use super::shape::Shape;
use super::signed::{self, Covered, Place, invalid};
use crate::config::worker::Endpoint;
use crate::trust::{parts, timestamp};
use crate::wire::Octets;
use crate::wire::evidence::{Evidence, KeyedMessage, Timestamp};
use crate::xml::encryption::EncryptedKey;
use crate::xml::{Element, Ids, Tree, derived, names};

fn unsupported(reason: &'static str) -> Problem {
    Problem::new(Fault::UnsupportedSecurityToken, reason)
}

/// Reads the header of a message that is open; `text` is the same before its body was, where that was sealed.
pub(super) fn read(
    tree: &Tree,
    envelope: &Envelope<'_>,
    endpoint: &Endpoint,
    shape: &mut Shape,
    text: Option<&str>,
) -> Result<(Evidence, Timestamp), Problem> {
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
            _ if derived::is_one(child) => continue,
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
    let place = Place { envelope, security: *security, tokens: &[], assertion: None, references: &[], ids: &ids };
    let before = text.and_then(|text| {
        earlier::read(text, shape, |signature, place| {
            let key = place.security.children().find(|child| child.is(names::XENC, "EncryptedKey"))?;
            Some(under(signed::over_sealed(signature, place)?, key, place, endpoint))
        })
    });
    let (message, keyed) = match before {
        Some(before) => before?,
        None => under(signed::covered(signature, &place)?, key, &place, endpoint)?,
    };
    shape.keyed = Some(Box::new(keyed));
    Ok((Evidence::KeyedPassword { username, password, message }, at))
}

/// What the MAC covers, and how it is made.
fn under<'t>(
    covered: Covered<'t>,
    key: Element<'t>,
    place: &Place<'_, 't>,
    endpoint: &Endpoint,
) -> Result<(KeyedMessage, Keyed), Problem> {
    let Covered { signature, signed_info, parts, addressing, .. } = signed::under_mac(covered)?;
    let algorithm = parts::mac(signature.info.method);
    let algorithm = algorithm.ok_or(signed::algorithm("signature: no MAC where one is due"))?;
    let bad = invalid("signature: bad key information");
    let encrypted = EncryptedKey::read(key).map_err(|_| invalid("encryption: not of the grammar"))?;
    let named = signature.key_info.and_then(Element::only_child).ok_or(bad)?;
    let session = Session::read(place.security, &encrypted)?;
    let key = session.named(named)?;
    let confirmed = endpoint.signature_confirmation.then(|| signature.value.clone());
    let (sha1, conversation) = (session.sha1().to_vec(), session.conversation);
    let keyed = Keyed { sha1, conversation, confirmed, were: Were::default() };
    let value = Octets::new(signature.value).map_err(|_| invalid("signature: bad MAC"))?;
    Ok((KeyedMessage { key, algorithm, signed_info, value, parts, addressing }, keyed))
}
