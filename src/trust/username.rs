//! `wsse:UsernameToken` (R-W020): a name and a password, as text or as the digest of a secret. Whether it is his is
//! auth's to say.

use crate::wire::evidence::{Evidence, Nonce, PasswordDigest};
use crate::wire::{Secret, Text};
use crate::xml::signature::base64;
use crate::xml::{Element, names};

/// `EncodingType` of base64.
pub const BASE64: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#Base64Binary";
const PASSWORD_TEXT: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordText";
const PASSWORD_DIGEST: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordDigest";

/// Why a token is none to prove anybody with, and what our log says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unusable {
    /// Not of the grammar.
    Malformed(&'static str),
    /// Of a kind that is not taken.
    Unsupported(&'static str),
    /// Nothing that could be right.
    Unproven(&'static str),
}

/// Reads one. A nonce beside a text password proves nothing and is not read.
///
/// # Errors
/// [`Unusable`].
pub fn read(element: Element<'_>) -> Result<Evidence, Unusable> {
    let malformed = Unusable::Malformed("security: bad user name token");
    let (mut name, mut password, mut nonce, mut created) = (None, None, None, None);
    if !element.holds_only_elements() {
        return Err(malformed);
    }
    for child in element.children() {
        match (child.uri(), child.local()) {
            (names::WSSE, "Username") if name.is_none() => name = Some(child),
            (names::WSSE, "Password") if password.is_none() => password = Some(child),
            (names::WSSE, "Nonce") if nonce.is_none() => nonce = Some(child),
            (names::WSU, "Created") if created.is_none() => created = Some(child),
            (names::WSSE11, "Salt" | "Iteration") => {
                return Err(Unusable::Unsupported("security: key from a password"));
            }
            _ => return Err(malformed),
        }
    }
    let name = name.and_then(Element::text).ok_or(malformed)?;
    let unproven = Unusable::Unproven("security: no usable password");
    let password = password.ok_or(unproven)?;
    let username = Text::new(name).map_err(|_| unproven)?;
    let text = password.text().ok_or(malformed)?;
    match password.attribute("", "Type") {
        None | Some(PASSWORD_TEXT) => {
            Ok(Evidence::Password { username, password: Secret::new(text.as_bytes()).map_err(|_| unproven)? })
        }
        Some(PASSWORD_DIGEST) => Ok(Evidence::Digest(digest(username, text, nonce, created)?)),
        Some(_) => Err(Unusable::Unsupported("security: password type")),
    }
}

/// A digest, which is nothing without the nonce and the instant that make it good once (R-W022).
fn digest(
    username: Text<256>,
    text: &str,
    nonce: Option<Element<'_>>,
    created: Option<Element<'_>>,
) -> Result<PasswordDigest, Unusable> {
    let bad = Unusable::Malformed("security: bad password digest");
    let bad_nonce = Unusable::Malformed("security: bad nonce");
    let (nonce, created) =
        nonce.zip(created).ok_or(Unusable::Malformed("security: digest without nonce or instant"))?;
    // R4220, R4221.
    if !matches!(nonce.attribute("", "EncodingType"), None | Some(BASE64)) {
        return Err(Unusable::Malformed("security: nonce in another encoding"));
    }
    let octets = nonce.text().and_then(|text| base64(text, 128)).ok_or(bad_nonce)?;
    Ok(PasswordDigest {
        username,
        nonce: Nonce::new(octets).map_err(|_| bad_nonce)?,
        created: created.text().and_then(|text| Text::new(text).ok()).ok_or(bad)?,
        digest: base64(text, 20).and_then(|octets| octets.try_into().ok()).ok_or(bad)?,
    })
}
