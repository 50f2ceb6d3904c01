//! `wsu:Timestamp` (R-W010): `Created`, then perhaps a later `Expires`. Whether the time is right is auth's
//! to say.

use super::{Kind, Oddity, Pass, Wrong, instant, tolerate};
use crate::wire::Millis;
use crate::wire::evidence::Timestamp;
use crate::xml::chars::trim;
use crate::xml::{Element, names};

/// Reads one.
///
/// # Errors
/// [`Wrong`] for everything that the profile does not have.
pub fn read(element: Element<'_>, pass: Pass<'_>) -> Result<Timestamp, Wrong> {
    let wrong = Wrong::new(Kind::Security, "security: bad timestamp");
    if !element.is(names::WSU, "Timestamp") {
        return Err(wrong);
    }
    for attribute in element.attributes() {
        match (attribute.uri, attribute.local) {
            (names::WSU, "Id") => {}
            ("", "Id") => tolerate(&mut *pass, Oddity::UnqualifiedTimestampId, wrong)?,
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
