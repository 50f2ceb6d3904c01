//! Writes XML that is in exclusive canonical form as it stands: start and end tags in full, namespace
//! declarations and attributes sorted, everything escaped the canonical way, no white space of its own.
//! Names come from the program and never from input, so only values need escaping. It reads nothing.
//!
//! Exclusive canonical form also wants each prefix declared where it is visibly used and not before, and not
//! again below. [`Writer::new`] holds its caller to that in debug builds; [`Writer::for_envelope`] does not,
//! for documents that are never signed and whose readers look for a declaration in a certain place.

use std::fmt;
use std::ops::Range;

use super::{chars, names};

/// The canonical writer. Values are escaped and otherwise written as given; a value with a character that
/// XML forbids is the caller's mistake (`wire::Text` cannot hold one) and stops a debug build.
#[derive(Debug, Default)]
pub struct Writer {
    out: String,
    open: Vec<Name>,
    scope: Vec<Binding>,
    start: Option<StartTag>,
    /// Escaped attribute values of the start tag that is still open.
    values: String,
    strict: bool,
}

#[derive(Debug)]
struct Binding {
    depth: usize,
    prefix: &'static str,
    uri: &'static str,
}

/// A start tag that waits for its first content.
#[derive(Debug)]
struct StartTag {
    first_binding: usize,
    attributes: Vec<(Name, Range<usize>)>,
}

/// A qualified name; the prefix may be empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Name {
    prefix: &'static str,
    local: &'static str,
}

impl Name {
    fn new(qualified: &'static str) -> Self {
        let (prefix, local) = qualified.split_once(':').unwrap_or(("", qualified));
        Self { prefix, local }
    }

    fn push_to(self, out: &mut String) {
        if !self.prefix.is_empty() {
            out.push_str(self.prefix);
            out.push(':');
        }
        out.push_str(self.local);
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut name = String::new();
        self.push_to(&mut name);
        f.write_str(&name)
    }
}

/// Octets that an assertion has, without growing on the way.
const ROOM: usize = 4096;

impl Writer {
    /// For octets that will be signed: a stray or missing declaration stops a debug build.
    #[must_use]
    pub fn new() -> Self {
        Self { out: String::with_capacity(ROOM), strict: true, ..Self::default() }
    }

    /// For octets that nobody signs: a prefix may be declared above its first use.
    #[must_use]
    pub fn for_envelope() -> Self {
        Self { out: String::with_capacity(ROOM), ..Self::default() }
    }

    /// Opens an element; `name` is its qualified name, `saml:Assertion` or `Assertion`.
    pub fn open(&mut self, name: &'static str) -> &mut Self {
        self.open_name(Name::new(name))
    }

    /// Opens an element whose prefix depends on the reader.
    pub fn open_in(&mut self, prefix: &'static str, local: &'static str) -> &mut Self {
        self.open_name(Name { prefix, local })
    }

    fn open_name(&mut self, name: Name) -> &mut Self {
        self.flush();
        debug_assert!(chars::split_qname(&name.to_string()).is_some(), "{name} is not a qualified name");
        self.open.push(name);
        self.start = Some(StartTag { first_binding: self.scope.len(), attributes: Vec::new() });
        self
    }

    /// Declares a prefix on the element just opened; the empty prefix declares the default namespace.
    pub fn namespace(&mut self, prefix: &'static str, uri: &'static str) -> &mut Self {
        debug_assert!(self.start.is_some(), "xmlns:{prefix} comes after the content began");
        debug_assert!(prefix.is_empty() || chars::is_ncname(prefix), "{prefix:?} is not a prefix");
        debug_assert!(!uri.is_empty(), "the writer undeclares nothing");
        debug_assert!(
            !self.strict || self.resolve(prefix) != Some(uri),
            "{prefix:?} already stands for {uri}: canonical form does not say so twice"
        );
        self.scope.push(Binding { depth: self.open.len(), prefix, uri });
        self
    }

    /// Adds an attribute to the element just opened, in any order.
    pub fn attribute(&mut self, name: &'static str, value: &str) -> &mut Self {
        self.attribute_name(Name::new(name), value)
    }

    /// Adds an attribute whose prefix depends on the reader.
    pub fn attribute_in(&mut self, prefix: &'static str, local: &'static str, value: &str) -> &mut Self {
        self.attribute_name(Name { prefix, local }, value)
    }

    fn attribute_name(&mut self, name: Name, value: &str) -> &mut Self {
        let from = self.values.len();
        escape_attribute(value, &mut self.values);
        let range = from..self.values.len();
        match &mut self.start {
            Some(start) => {
                debug_assert!(start.attributes.iter().all(|(other, _)| *other != name), "{name} twice");
                start.attributes.push((name, range));
            }
            None => debug_assert!(false, "{name} comes after the content began"),
        }
        self
    }

    /// Text content.
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.flush();
        escape_text(text, &mut self.out);
        self
    }

    /// Octets that are already XML, verbatim: a token in its envelope, a signature in its token.
    pub fn verbatim(&mut self, xml: &str) -> &mut Self {
        self.flush();
        self.out.push_str(xml);
        self
    }

    /// Closes the element opened last.
    pub fn close(&mut self) -> &mut Self {
        self.flush();
        let name = self.open.pop();
        debug_assert!(name.is_some(), "nothing is open");
        if let Some(name) = name {
            self.out.push_str("</");
            name.push_to(&mut self.out);
            self.out.push('>');
        }
        let depth = self.open.len();
        while self.scope.last().is_some_and(|binding| binding.depth > depth) {
            self.scope.pop();
        }
        self
    }

    /// `<name>text</name>`.
    pub fn leaf(&mut self, name: &'static str, text: &str) -> &mut Self {
        self.open(name).text(text).close()
    }

    /// `<prefix:local>text</prefix:local>`.
    pub fn leaf_in(&mut self, prefix: &'static str, local: &'static str, text: &str) -> &mut Self {
        self.open_in(prefix, local).text(text).close()
    }

    /// Where the next content will begin, in octets from the start of the document.
    pub fn position(&mut self) -> usize {
        self.flush();
        self.out.len()
    }

    /// The document.
    #[must_use]
    pub fn finish(mut self) -> String {
        self.flush();
        debug_assert!(self.open.is_empty(), "still open: {:?}", self.open);
        self.out
    }

    fn resolve(&self, prefix: &str) -> Option<&'static str> {
        match prefix {
            "xml" => Some(names::XML),
            _ => self.scope.iter().rev().find(|binding| binding.prefix == prefix).map(|binding| binding.uri),
        }
    }

    /// Namespace name and local name of an attribute: the order of canonical XML 1.0, section 2.2.
    fn attribute_key(&self, name: Name) -> (&'static str, &'static str) {
        if name.prefix.is_empty() {
            return ("", name.local);
        }
        let uri = self.resolve(name.prefix);
        debug_assert!(uri.is_some(), "{name}: the prefix is not declared");
        (uri.unwrap_or_default(), name.local)
    }

    fn flush(&mut self) {
        let (Some(start), Some(name)) = (self.start.take(), self.open.last().copied()) else { return };
        let mut attributes = start.attributes;
        attributes.sort_by_key(|(name, _)| self.attribute_key(*name));
        self.check(name, start.first_binding, &attributes);
        self.scope[start.first_binding..].sort_by_key(|binding| binding.prefix);

        self.out.push('<');
        name.push_to(&mut self.out);
        for binding in &self.scope[start.first_binding..] {
            self.out.push_str(if binding.prefix.is_empty() { " xmlns" } else { " xmlns:" });
            self.out.push_str(binding.prefix);
            self.out.push_str("=\"");
            escape_attribute(binding.uri, &mut self.out);
            self.out.push('"');
        }
        for (name, value) in attributes {
            self.out.push(' ');
            name.push_to(&mut self.out);
            self.out.push_str("=\"");
            self.out.push_str(&self.values[value]);
            self.out.push('"');
        }
        self.out.push('>');
        self.values.clear();
    }

    /// The rules a caller can break: every used prefix is declared, and (strictly) every declared one used here.
    fn check(&self, name: Name, first: usize, attributes: &[(Name, Range<usize>)]) {
        if cfg!(debug_assertions) {
            let own = name.prefix;
            assert!(own.is_empty() || self.resolve(own).is_some(), "{name}: the prefix is not declared");
            for (at, binding) in self.scope[first..].iter().enumerate() {
                let twice = self.scope[first..first + at].iter().any(|other| other.prefix == binding.prefix);
                assert!(!twice, "{name} declares {:?} twice", binding.prefix);
                let used = binding.prefix == own
                    || (!binding.prefix.is_empty() && attributes.iter().any(|(name, _)| name.prefix == binding.prefix));
                assert!(!self.strict || used, "{name} declares {:?} and does not use it", binding.prefix);
            }
        }
    }
}

/// Appends `text` to `out` as canonical XML writes character data.
pub fn escape_text(text: &str, out: &mut String) {
    escape(text, out, |octet| match octet {
        b'&' => Some("&amp;"),
        b'<' => Some("&lt;"),
        b'>' => Some("&gt;"),
        b'\r' => Some("&#xD;"),
        _ => None,
    });
}

/// Appends `value` to `out` as canonical XML writes it between the quotation marks of an attribute.
pub fn escape_attribute(value: &str, out: &mut String) {
    escape(value, out, |octet| match octet {
        b'&' => Some("&amp;"),
        b'<' => Some("&lt;"),
        b'"' => Some("&quot;"),
        b'\t' => Some("&#x9;"),
        b'\n' => Some("&#xA;"),
        b'\r' => Some("&#xD;"),
        _ => None,
    });
}

fn escape(text: &str, out: &mut String, replacement: impl Fn(u8) -> Option<&'static str>) {
    debug_assert!(text.chars().all(chars::is_char), "a character that xml does not allow");
    // Nearly every text stands as it is, and without an end on the way many octets are looked at together.
    if text.bytes().fold(true, |plain, octet| plain & replacement(octet).is_none()) {
        return out.push_str(text);
    }
    let mut from = 0;
    for (at, octet) in text.bytes().enumerate() {
        if let Some(replacement) = replacement(octet) {
            out.push_str(&text[from..at]);
            out.push_str(replacement);
            from = at + 1;
        }
    }
    out.push_str(&text[from..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declarations_come_before_attributes_and_both_are_sorted() {
        let mut writer = Writer::new();
        writer
            .open("b:root")
            .attribute("z", "1")
            .attribute("b:a", "2")
            .attribute("a:z", "3")
            .attribute("xml:lang", "en")
            .attribute("m", "4")
            .namespace("b", "urn:x")
            .namespace("a", "urn:y")
            .close();
        assert_eq!(
            writer.finish(),
            r#"<b:root xmlns:a="urn:y" xmlns:b="urn:x" m="4" z="1" xml:lang="en" b:a="2" a:z="3"></b:root>"#
        );
    }

    #[test]
    fn an_empty_element_has_two_tags() {
        let mut writer = Writer::new();
        writer.open("a").close();
        assert_eq!(writer.finish(), "<a></a>");
    }

    #[test]
    fn text_and_attributes_are_escaped_the_canonical_way() {
        let mut writer = Writer::new();
        writer.open("a").attribute("v", "&<>\"'\t\r\n").text("&<>\"'\t\r\n").close();
        assert_eq!(writer.finish(), "<a v=\"&amp;&lt;>&quot;'&#x9;&#xD;&#xA;\">&amp;&lt;&gt;\"'\t&#xD;\n</a>");
    }

    #[test]
    fn the_default_namespace_sorts_first_and_ends_with_its_element() {
        let mut writer = Writer::new();
        writer.open("r").open("c").namespace("", "urn:d").namespace("p", "urn:p").attribute("p:x", "").close();
        writer.open("c").close().close();
        assert_eq!(writer.finish(), r#"<r><c xmlns="urn:d" xmlns:p="urn:p" p:x=""></c><c></c></r>"#);
    }

    #[test]
    #[should_panic = "does not use it"]
    fn a_declaration_that_canonical_form_would_drop_stops_a_debug_build() {
        Writer::new().open("a").namespace("p", "urn:p").close();
    }

    #[test]
    #[should_panic = "does not say so twice"]
    fn a_declaration_that_canonical_form_would_not_repeat_stops_a_debug_build() {
        Writer::new().open("p:a").namespace("p", "urn:p").open("p:b").namespace("p", "urn:p");
    }

    #[test]
    #[should_panic = "not declared"]
    fn an_undeclared_prefix_stops_a_debug_build() {
        Writer::new().open("p:a").close();
    }

    #[test]
    fn an_envelope_may_declare_early() {
        let mut writer = Writer::for_envelope();
        writer.open("a").namespace("p", "urn:p").leaf("p:b", "1").close();
        assert_eq!(writer.finish(), r#"<a xmlns:p="urn:p"><p:b>1</p:b></a>"#);
    }
}
