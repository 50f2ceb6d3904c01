//! `wsc:DerivedKeyToken`, of WS-SecureConversation 1.3 and of February 2005: which key it is derived from, and which
//! octets of what. It names a key and brings none. No properties, no other function than P_SHA1.

use super::chars::{is_ncname, trim};
use super::signature::base64;
use super::{Element, Node, names};

/// What is said of a derived key. Whether it is within bounds is not asked here.
#[derive(Debug, Clone)]
pub struct DerivedKey<'t> {
    /// `wsu:Id`.
    pub id: &'t str,
    /// `wsse:SecurityTokenReference`: the key it is derived from.
    pub source: Element<'t>,
    /// What stands in the place of the usual label.
    pub label: Option<&'t str>,
    /// Octets.
    pub nonce: Vec<u8>,
    /// Octets before the key.
    pub offset: u32,
    /// Octets of the key, where that is said.
    pub length: Option<u32>,
}

/// Not of the grammar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unreadable;

/// Is this one?
#[must_use]
pub fn is_one(element: Element<'_>) -> bool {
    matches!(element.uri(), names::WSC13 | names::WSC05) && element.local() == "DerivedKeyToken"
}

impl<'t> DerivedKey<'t> {
    /// Reads one; where no length is said, generations are of `usual` octets.
    ///
    /// # Errors
    /// [`Unreadable`] for everything that the grammar above does not have.
    pub fn read(element: Element<'t>, usual: u32) -> Result<Self, Unreadable> {
        let namespace = element.uri();
        if !is_one(element) || !element.holds_only_elements() {
            return Err(Unreadable);
        }
        let mut id = None;
        for attribute in element.attributes() {
            match (attribute.uri, attribute.local) {
                (names::WSU, "Id") if is_ncname(attribute.value) => id = Some(attribute.value),
                ("", "Algorithm") if attribute.value.strip_prefix(namespace) == Some("/dk/p_sha1") => {}
                _ => return Err(Unreadable),
            }
        }
        let (mut source, mut label, mut nonce) = (None, None, None);
        let (mut offset, mut length, mut generation) = (None, None, None);
        for child in element.children() {
            let twice = match (child.uri(), child.local()) {
                (names::WSSE, "SecurityTokenReference") => source.replace(child).is_some(),
                (uri, "Label") if uri == namespace => label.replace(leaf(child)?).is_some(),
                (uri, "Nonce") if uri == namespace => nonce.replace(leaf(child)?).is_some(),
                (uri, "Offset") if uri == namespace => offset.replace(number(child)?).is_some(),
                (uri, "Length") if uri == namespace => length.replace(number(child)?).is_some(),
                (uri, "Generation") if uri == namespace => generation.replace(number(child)?).is_some(),
                _ => return Err(Unreadable),
            };
            if twice {
                return Err(Unreadable);
            }
        }
        let offset = match (offset, generation) {
            (offset, None) => offset.unwrap_or(0),
            (None, Some(generation)) => length.unwrap_or(usual).checked_mul(generation).ok_or(Unreadable)?,
            (Some(_), Some(_)) => return Err(Unreadable),
        };
        Ok(Self {
            id: id.ok_or(Unreadable)?,
            source: source.ok_or(Unreadable)?,
            label,
            nonce: nonce.and_then(|text| base64(text, 128)).ok_or(Unreadable)?,
            offset,
            length,
        })
    }
}

/// The text of an element that has nothing else to say.
fn leaf(element: Element<'_>) -> Result<&str, Unreadable> {
    let plain = element.nodes().all(|node| matches!(node, Node::Text(_)));
    if !plain || element.attributes().next().is_some() {
        return Err(Unreadable);
    }
    element.text().ok_or(Unreadable)
}

/// A number of at most six digits, which is more than any may be.
fn number(element: Element<'_>) -> Result<u32, Unreadable> {
    let text = trim(leaf(element)?);
    let digits = !text.is_empty() && text.len() <= 6 && text.bytes().all(|octet| octet.is_ascii_digit());
    if digits { text.parse().map_err(|_| Unreadable) } else { Err(Unreadable) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::{Limits, Tree};

    const INSIDE: &str = "<o:SecurityTokenReference/><c:Offset>32</c:Offset><c:Length> 16 </c:Length>\
                          <c:Label>label</c:Label><c:Nonce>AAEC\nAwQFBgc=</c:Nonce>";

    fn tree(namespace: &str, attributes: &str, inside: &str) -> Tree {
        let source = format!(
            "<c:DerivedKeyToken xmlns:c='{namespace}' xmlns:o='{}' xmlns:u='{}'{attributes}>{inside}</c:DerivedKeyToken>",
            names::WSSE,
            names::WSU
        );
        Tree::parse(source.as_bytes(), &Limits::default()).unwrap()
    }

    #[test]
    fn a_derived_key_says_from_what_and_which_octets_in_both_namespaces() {
        for namespace in [names::WSC13, names::WSC05] {
            for more in [String::new(), format!(" Algorithm='{namespace}/dk/p_sha1'")] {
                let tree = tree(namespace, &format!(" u:Id='d'{more}"), INSIDE);
                let key = DerivedKey::read(tree.root(), 32).unwrap();
                assert_eq!((key.id, key.label, key.offset, key.length), ("d", Some("label"), 32, Some(16)));
                assert_eq!(
                    (key.source.local(), &*key.nonce),
                    ("SecurityTokenReference", &[0, 1, 2, 3, 4, 5, 6, 7][..])
                );
            }
        }
        let of = |numbers: &str| {
            let inside = format!("<o:SecurityTokenReference/>{numbers}<c:Nonce>AAECAwQFBgc=</c:Nonce>");
            let tree = tree(names::WSC13, " u:Id='d'", &inside);
            DerivedKey::read(tree.root(), 32).map(|key| (key.offset, key.length)).ok()
        };
        assert_eq!(of(""), Some((0, None)));
        assert_eq!(of("<c:Generation>1</c:Generation><c:Length>16</c:Length>"), Some((16, Some(16))));
        assert_eq!(of("<c:Generation>2</c:Generation>"), Some((64, None)));
        // R-C010, R-C011.
        assert_eq!(of("<c:Generation>1</c:Generation><c:Offset>0</c:Offset>"), None);
        assert_eq!(of("<c:Generation>999999</c:Generation><c:Length>999999</c:Length>"), None);
        for number in ["", "-1", "+1", "0x10", "1 2", "1.0", "1000000", "99999999999999999999", "<c:a/>", "1<!-- -->"] {
            assert_eq!(of(&format!("<c:Offset>{number}</c:Offset>")), None, "{number}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for (what, namespace, attributes, inside) in [
            ("no id", names::WSC13, "", INSIDE.to_owned()),
            ("another id", names::WSC13, " Id='d'", INSIDE.to_owned()),
            ("another function", names::WSC13, " u:Id='d' Algorithm='urn:other'", INSIDE.to_owned()),
            ("an attribute", names::WSC13, " u:Id='d' a='b'", INSIDE.to_owned()),
            ("another namespace", names::WST13, " u:Id='d'", INSIDE.to_owned()),
            ("no source", names::WSC13, " u:Id='d'", INSIDE.replace("<o:SecurityTokenReference/>", "")),
            ("two sources", names::WSC13, " u:Id='d'", format!("<o:SecurityTokenReference/>{INSIDE}")),
            ("no nonce", names::WSC13, " u:Id='d'", INSIDE.replace("Nonce>", "Other>")),
            ("two labels", names::WSC13, " u:Id='d'", format!("{INSIDE}<c:Label>a</c:Label>")),
            ("an empty nonce", names::WSC13, " u:Id='d'", INSIDE.replace("AAEC\nAwQFBgc=", "")),
            ("no base64", names::WSC13, " u:Id='d'", INSIDE.replace("AAEC", "A*EC")),
            ("text", names::WSC13, " u:Id='d'", format!("{INSIDE}text")),
            ("properties", names::WSC13, " u:Id='d'", format!("{INSIDE}<c:Properties/>")),
        ] {
            assert!(DerivedKey::read(tree(namespace, attributes, &inside).root(), 32).is_err(), "{what}");
        }
    }
}
