//! The inside of tags and of the XML declaration, by the letter of the grammar. The tokenizer only says where
//! a tag ends; it lets pass missing white space, `<` in values and names that are none.

use super::Malformed;
use crate::xml::chars::{is_char, is_space, is_space_octet};

/// A start tag or an empty-element tag, taken apart.
#[derive(Debug)]
pub(super) struct Tag<'s> {
    /// The qualified name.
    pub(super) name: &'s str,
    /// Qualified name and raw value of each attribute.
    pub(super) attributes: Vec<Pair<'s>>,
}

/// Takes apart what stands between `<` and `>` or `/>`. What was found in another tag makes room for what is in this
/// one.
pub(super) fn take_apart<'s>(
    inside: &'s str,
    most: usize,
    mut attributes: Vec<Pair<'s>>,
) -> Result<Tag<'s>, Malformed> {
    let end = inside.bytes().position(is_space_octet).unwrap_or(inside.len());
    let (name, mut rest) = inside.split_at(end);
    attributes.clear();
    while let Some((attribute, after)) = next_attribute(rest)? {
        if attributes.len() == most {
            return Err(Malformed::TooLarge("attributes"));
        }
        attributes.push(attribute);
        rest = after;
    }
    Ok(Tag { name, attributes })
}

/// A qualified name and a raw value.
pub(super) type Pair<'s> = (&'s str, &'s str);

/// `S Name Eq AttValue`, or `S?` and the end.
fn next_attribute(rest: &str) -> Result<Option<(Pair<'_>, &str)>, Malformed> {
    let trimmed = rest.trim_start_matches(is_space);
    if trimmed.is_empty() {
        return Ok(None);
    }
    if trimmed.len() == rest.len() {
        return Err(Malformed::Tag);
    }
    let (name, after) = trimmed.split_once('=').ok_or(Malformed::Tag)?;
    let after = after.trim_start_matches(is_space);
    let quote = after.chars().next().filter(|c| matches!(c, '"' | '\'')).ok_or(Malformed::Tag)?;
    let (value, after) = after[1..].split_once(quote).ok_or(Malformed::Tag)?;
    if value.contains('<') {
        return Err(Malformed::Text);
    }
    Ok(Some(((name.trim_end_matches(is_space), value), after)))
}

/// `</name S? >`.
pub(super) fn end_name(tag: &str) -> Option<&str> {
    Some(tag.strip_prefix("</")?.strip_suffix('>')?.trim_end_matches(is_space))
}

/// The XML declaration at the start, if there is one, and the rest. Version 1.0, UTF-8, nothing else.
pub(super) fn declaration(source: &str) -> Result<usize, Malformed> {
    let Some(after) = source.strip_prefix("<?xml") else { return Ok(0) };
    if !after.starts_with(is_space) {
        return Err(Malformed::Instruction);
    }
    let inside = &after[..after.find("?>").ok_or(Malformed::Declaration)?];
    let tag = take_apart(inside, 3, Vec::new()).map_err(|_| Malformed::Declaration)?;
    let mut attributes = tag.attributes.into_iter().peekable();
    if attributes.next() != Some(("version", "1.0")) {
        return Err(Malformed::Declaration);
    }
    if let Some((_, encoding)) = attributes.next_if(|(name, _)| *name == "encoding")
        && !encoding.eq_ignore_ascii_case("utf-8")
    {
        return Err(Malformed::Encoding);
    }
    attributes.next_if(|(name, value)| *name == "standalone" && matches!(*value, "yes" | "no"));
    if !tag.name.is_empty() || attributes.next().is_some() {
        return Err(Malformed::Declaration);
    }
    Ok("<?xml".len() + inside.len() + "?>".len())
}

/// What `&name;` stands for.
pub(super) fn reference(name: &str) -> Result<char, Malformed> {
    let number = match name {
        "lt" => return Ok('<'),
        "gt" => return Ok('>'),
        "amp" => return Ok('&'),
        "apos" => return Ok('\''),
        "quot" => return Ok('"'),
        _ => name.strip_prefix('#').ok_or(Malformed::Reference)?,
    };
    let (digits, radix) = number.strip_prefix('x').map_or((number, 10), |digits| (digits, 16));
    if digits.is_empty() {
        return Err(Malformed::Reference);
    }
    let mut value = 0_u32;
    for digit in digits.chars() {
        let digit = digit.to_digit(radix).ok_or(Malformed::Reference)?;
        value = value.saturating_mul(radix).saturating_add(digit);
    }
    char::from_u32(value).filter(|c| is_char(*c)).ok_or(Malformed::Character)
}

/// Appends an attribute value with references replaced and white space made spaces.
pub(super) fn push_attribute(raw: &str, out: &mut String) -> Result<(), Malformed> {
    let mut rest = raw;
    // All four are one octet, which is never part of a longer character.
    while let Some(at) = rest.bytes().position(|octet| matches!(octet, b'&' | b'\t' | b'\n' | b'\r')) {
        out.push_str(&rest[..at]);
        let tail = &rest[at..];
        rest = if let Some(after) = tail.strip_prefix('&') {
            let (name, after) = after.split_once(';').ok_or(Malformed::Reference)?;
            out.push(reference(name)?);
            after
        } else {
            out.push(' ');
            tail.strip_prefix("\r\n").unwrap_or(&tail[1..])
        };
    }
    out.push_str(rest);
    Ok(())
}

/// Appends character data with line ends made line feeds.
pub(super) fn push_text(raw: &str, out: &mut String) {
    let mut rest = raw;
    while let Some((before, after)) = rest.split_once('\r') {
        out.push_str(before);
        out.push('\n');
        rest = after.strip_prefix('\n').unwrap_or(after);
    }
    out.push_str(rest);
}

/// Is this namespace name an absolute URI (RFC 3986)? Canonical XML has no answer for relative ones, and
/// libxml2 has none for what is no URI.
pub(super) fn is_absolute(uri: &str) -> bool {
    let Some((scheme, rest)) = uri.split_once(':') else { return false };
    let scheme_is_one = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
    let (authority, rest) = match rest.strip_prefix("//") {
        Some(after) => after.split_at(after.find(['/', '?']).unwrap_or(after.len())),
        None => ("", rest),
    };
    scheme_is_one && is_authority(authority) && [rest, fragment].iter().all(|part| is_written_of(part, b":@/?"))
}

/// Perhaps somebody at it, a host, perhaps a port, which has digits if it has a colon.
fn is_authority(authority: &str) -> bool {
    let (user, place) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (host, after) = match place.strip_prefix('[').map(|literal| literal.split_once(']')) {
        Some(Some((address, after))) if address.parse::<std::net::Ipv6Addr>().is_ok() => ("", after),
        Some(_) => return false,
        None => place.split_at(place.find(':').unwrap_or(place.len())),
    };
    let port = after.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok() && !port.starts_with('+'));
    (after.is_empty() || port) && is_written_of(user, b":") && is_written_of(host, b"")
}

/// Unreserved characters, and delimiters within parts.
const WRITTEN: [bool; 256] = {
    let mut written = [false; 256];
    let mut octet = 0_u8;
    while octet < 128 {
        written[octet as usize] = octet.is_ascii_alphanumeric()
            || matches!(
                octet,
                b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'='
            );
        octet += 1;
    }
    written
};

/// Are these unreserved characters, delimiters within parts, escapes, and those of `more`?
fn is_written_of(part: &str, more: &[u8]) -> bool {
    let allowed = |octet: u8| WRITTEN[usize::from(octet)] || more.contains(&octet);
    let hex = |digit: Option<u8>| digit.is_some_and(|digit| digit.is_ascii_hexdigit());
    let mut octets = part.bytes();
    while let Some(octet) = octets.next() {
        let escape = octet == b'%' && hex(octets.next()) && hex(octets.next());
        if !escape && !allowed(octet) {
            return false;
        }
    }
    true
}
