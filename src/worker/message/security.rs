//! The `wsse:Security` header: one timestamp and one user name with a password, and nothing else yet. The
//! values are handed on as they came; whether the time is right and the password true is auth's to say.

use super::envelope::Envelope;
use super::fault::Fault;
use super::rejection::Problem;
use super::shape::Shape;
use super::{Leniency, instant};
use crate::config::worker::Endpoint;
use crate::wire::evidence::{Evidence, Timestamp};
use crate::wire::{Millis, Secret, Text};
use crate::xml::chars::trim;
use crate::xml::{Element, Ids, Tree, names};

const PASSWORD_TEXT: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordText";

fn invalid(reason: &'static str) -> Problem {
    Problem::new(Fault::InvalidSecurity, reason)
}

pub(super) fn read(
    tree: &Tree,
    envelope: &Envelope<'_>,
    endpoint: &Endpoint,
    shape: &mut Shape,
) -> Result<(Evidence, Option<Timestamp>), Problem> {
    let mut ours = envelope.headers.iter().filter(|block| block.is(names::WSSE, "Security"));
    let (Some(security), None) = (ours.next(), ours.next()) else {
        return Err(invalid("security: not one header"));
    };
    if !security.holds_only_elements() {
        return Err(invalid("security: text in the header"));
    }
    Ids::of(tree).map_err(|_| invalid("security: duplicate id"))?;

    let mut timestamp = None;
    let mut username = None;
    for child in security.children() {
        match (child.uri(), child.local()) {
            (names::WSU, "Timestamp") if timestamp.is_none() => {
                timestamp = Some(read_timestamp(child, endpoint, shape)?);
            }
            (names::WSSE, "UsernameToken") if username.is_none() => username = Some(child),
            (names::WSU, "Timestamp") | (names::WSSE, "UsernameToken") => return Err(invalid("security: token twice")),
            (names::WSSE | names::WSSE11 | names::DS | names::XENC | names::SAML11 | names::SAML20, _) => {
                return Err(Problem::new(Fault::UnsupportedSecurityToken, "security: unsupported token"));
            }
            _ => return Err(invalid("security: unknown element")),
        }
    }
    shape.timestamp = timestamp.is_some();
    if timestamp.is_none() {
        shape.tolerate(endpoint, Leniency::TimestampAbsent, invalid("security: no timestamp"))?;
    }
    let username = username.ok_or(invalid("security: no user name"))?;
    Ok((read_username(username)?, timestamp))
}

/// `wsu:Timestamp` (R-W010): `Created`, then perhaps a later `Expires`.
fn read_timestamp(element: Element<'_>, endpoint: &Endpoint, shape: &mut Shape) -> Result<Timestamp, Problem> {
    let wrong = invalid("security: bad timestamp");
    for attribute in element.attributes() {
        match (attribute.uri, attribute.local) {
            (names::WSU, "Id") => {}
            ("", "Id") => shape.tolerate(endpoint, Leniency::TimestampIdUnqualified, wrong)?,
            _ => return Err(wrong),
        }
    }
    let children: Vec<_> = element.children().collect();
    let (created, expires) = match children[..] {
        [created] => (created, None),
        [created, expires] if expires.is(names::WSU, "Expires") => (created, Some(expires)),
        _ => return Err(wrong),
    };
    if !created.is(names::WSU, "Created") || !element.holds_only_elements() {
        return Err(wrong);
    }
    let created = moment(created).ok_or(wrong)?;
    let expires = expires.map(|expires| moment(expires).ok_or(wrong)).transpose()?;
    if expires.is_some_and(|expires| expires <= created) {
        return Err(wrong);
    }
    Ok(Timestamp { created, expires })
}

/// An instant without attributes; white space around it is collapsed as `xsd:dateTime` says.
fn moment(element: Element<'_>) -> Option<Millis> {
    if element.attributes().next().is_some() {
        return None;
    }
    instant::parse(trim(element.text()?))
}

/// `wsse:UsernameToken` with a text password (R-W020). A digest would need a secret that we do not keep.
fn read_username(element: Element<'_>) -> Result<Evidence, Problem> {
    let mut seen: Vec<&str> = Vec::new();
    let (mut name, mut password) = (None, None);
    if !element.holds_only_elements() {
        return Err(invalid("security: bad user name token"));
    }
    for child in element.children() {
        match (child.uri(), child.local()) {
            (names::WSSE, "Username") if name.is_none() => name = Some(child),
            (names::WSSE, "Password") if password.is_none() => password = Some(child),
            (names::WSSE, "Nonce") | (names::WSU, "Created") if !seen.contains(&child.local()) => {}
            (names::WSSE11, "Salt" | "Iteration") => {
                return Err(Problem::new(Fault::UnsupportedSecurityToken, "security: key from a password"));
            }
            _ => return Err(invalid("security: bad user name token")),
        }
        seen.push(child.local());
    }
    let name = name.and_then(Element::text).ok_or(invalid("security: bad user name token"))?;
    let unproven = Problem::new(Fault::FailedAuthentication, "security: no usable password");
    let password = password.ok_or(unproven)?;
    if !matches!(password.attribute("", "Type"), None | Some(PASSWORD_TEXT)) {
        return Err(Problem::new(Fault::UnsupportedSecurityToken, "security: password type"));
    }
    let password = password.text().ok_or(invalid("security: bad user name token"))?;
    Ok(Evidence::Password {
        username: Text::new(name).map_err(|_| unproven)?,
        password: Secret::new(password.as_bytes()).map_err(|_| unproven)?,
    })
}
