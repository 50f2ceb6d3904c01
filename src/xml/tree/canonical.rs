//! Canonical XML of an element: exclusive 1.0, inclusive 1.0, and inclusive 1.1 for verification. The subset is
//! always one whole element, less at most one element within it (the enveloped signature): what XPath could
//! select besides is refused long before. It never gives an empty or partial answer, never
//! recurses, and bounds what it writes: a namespace name of a kilobyte that is declared once and used
//! by twenty thousand elements would otherwise be written twenty thousand times.

use std::fmt;

use zeroize::Zeroizing;

use super::{AttributeRecord, Element, ElementRecord, Kind, NodeId, Tree, Uri, slice, tag};
use crate::xml::chars::{is_ncname, is_space};

/// Exclusive canonicalisation, <http://www.w3.org/TR/xml-exc-c14n/>.
const EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
/// Canonical XML 1.0, <http://www.w3.org/TR/xml-c14n>.
const INCLUSIVE: &str = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315";
/// Canonical XML 1.1, <http://www.w3.org/TR/xml-c14n11/>.
const INCLUSIVE_1_1: &str = "http://www.w3.org/2006/12/xml-c14n11";

/// Which canonical form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Exclusive,
    Inclusive,
    Inclusive11,
}

/// A canonicalisation algorithm with its parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Method {
    form: Form,
    comments: bool,
    prefixes: PrefixList,
    /// Does an apex say that it has no default namespace, where it has none?
    undeclares: bool,
}

impl Method {
    /// Exclusive, without comments and without a list: what everything here is signed with.
    #[must_use]
    pub fn exclusive() -> Self {
        Self { form: Form::Exclusive, comments: false, prefixes: PrefixList::default(), undeclares: false }
    }

    /// The algorithm with this identifier; `None` when it is not a canonicalisation we know.
    #[must_use]
    pub fn named(algorithm: &str) -> Option<Self> {
        let (form, comments) = match algorithm {
            EXCLUSIVE => (Form::Exclusive, false),
            INCLUSIVE => (Form::Inclusive, false),
            INCLUSIVE_1_1 => (Form::Inclusive11, false),
            "http://www.w3.org/2001/10/xml-exc-c14n#WithComments" => (Form::Exclusive, true),
            "http://www.w3.org/TR/2001/REC-xml-c14n-20010315#WithComments" => (Form::Inclusive, true),
            "http://www.w3.org/2006/12/xml-c14n11#WithComments" => (Form::Inclusive11, true),
            _ => return None,
        };
        Some(Self { form, comments, prefixes: PrefixList::default(), undeclares: false })
    }

    /// The same with an `InclusiveNamespaces` `PrefixList`; `None` when the form is inclusive, which has none.
    #[must_use]
    pub fn with_prefixes(self, prefixes: PrefixList) -> Option<Self> {
        (self.form == Form::Exclusive).then_some(Self { prefixes, ..self })
    }

    /// The same for a token that stands in for the reference to it (WSS 1.1 8.3): its apex declares the default
    /// namespace whatever is around it, an empty one where there is none, as WSS4J writes it. `None` when the form is
    /// inclusive.
    #[must_use]
    pub fn of_token(mut self) -> Option<Self> {
        if !self.prefixes.has("") {
            self.prefixes.0.push(String::new());
        }
        (self.form == Form::Exclusive).then_some(Self { undeclares: true, ..self })
    }

    /// The same, leaving comments out.
    #[must_use]
    pub fn without_comments(self) -> Self {
        Self { comments: false, ..self }
    }

    /// Is what it gives the same wherever the element stands, but for the prefixes that are listed?
    #[must_use]
    pub fn is_exclusive(&self) -> bool {
        self.form == Form::Exclusive
    }

    /// Are comments written?
    #[must_use]
    pub fn keeps_comments(&self) -> bool {
        self.comments
    }
}

/// The prefixes that exclusive canonicalisation treats as inclusive does; the default namespace is empty text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PrefixList(Vec<String>);

impl PrefixList {
    /// More than any client sends; each costs a look-up at the apex.
    const MOST: usize = 32;

    /// Reads the attribute's value: names and `#default` in any order, white space between them (BSP R5415).
    /// `None` when a token is neither, or when there are too many.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        let mut prefixes = Vec::new();
        for token in value.split(is_space).filter(|token| !token.is_empty()) {
            let prefix = if token == "#default" { "" } else { token };
            if !prefix.is_empty() && !is_ncname(prefix) {
                return None;
            }
            if !prefixes.iter().any(|known| known == prefix) {
                prefixes.push(prefix.to_owned());
            }
            if prefixes.len() > Self::MOST {
                return None;
            }
        }
        Some(Self(prefixes))
    }

    fn has(&self, prefix: &str) -> bool {
        self.0.iter().any(|listed| listed == prefix)
    }
}

/// Why there is no canonical form: for our log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Uncanonical {
    /// It would be longer than the caller allows.
    TooLarge,
    /// Canonical XML 1.1 of an element below an `xml:base`, which would have to be joined (section 2.4). No
    /// client is known to need it.
    Base,
}

impl fmt::Display for Uncanonical {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLarge => "a canonical form larger than allowed",
            Self::Base => "canonical xml 1.1 below an xml:base",
        })
    }
}

impl std::error::Error for Uncanonical {}

impl Element<'_> {
    /// The canonical form of this element with all it holds, less the element `without`. At most `most` octets.
    /// Wiped when dropped: it may hold a password.
    ///
    /// # Errors
    /// [`Uncanonical`]; nothing is given then, not even a part.
    pub fn canonical(
        self,
        method: &Method,
        without: Option<NodeId>,
        most: usize,
    ) -> Result<Zeroizing<String>, Uncanonical> {
        // Rarely longer than this; a string that grows leaves its old place behind unwiped.
        let likely = (2 * self.span().len()).min(most);
        let mut writer = Canonicaliser {
            tree: self.tree,
            method,
            scope: Vec::new(),
            rendered: Vec::new(),
            candidates: Vec::new(),
            out: Zeroizing::new(String::with_capacity(likely)),
            most,
        };
        writer.element(self, without)?;
        Ok(writer.out)
    }

    fn ancestors(self) -> impl Iterator<Item = Self> {
        std::iter::successors(self.parent(), |element| element.parent())
    }
}

/// A prefix and what it stands for; [`Uri::NONE`] only with the empty prefix.
type Binding<'t> = (&'t str, Uri);

struct Canonicaliser<'t, 'm> {
    tree: &'t Tree,
    method: &'m Method,
    /// What is declared, innermost last. Both are as long as [`super::Limits::declarations`] at the most.
    scope: Vec<Binding<'t>>,
    /// What the output declares, innermost last.
    rendered: Vec<Binding<'t>>,
    /// Room for the prefixes of an element.
    candidates: Vec<&'t str>,
    out: Zeroizing<String>,
    most: usize,
}

/// An element whose end tag is not written yet, and how much was known before it.
struct Open {
    id: NodeId,
    scope: usize,
    rendered: usize,
}

fn bound(bindings: &[Binding<'_>], prefix: &str) -> Option<Uri> {
    let found = bindings.iter().rev().find(|(declared, _)| *declared == prefix).map(|(_, uri)| *uri);
    found.or_else(|| prefix.is_empty().then_some(Uri::NONE))
}

impl<'t> Canonicaliser<'t, '_> {
    fn element(&mut self, apex: Element<'t>, without: Option<NodeId>) -> Result<(), Uncanonical> {
        let mut outer: Vec<_> = apex.ancestors().collect();
        outer.reverse();
        for element in outer {
            self.declare(element.record);
        }
        let mut open: Vec<Open> = Vec::new();
        let mut next = Some(apex.id);
        loop {
            let Some(id) = next else {
                let Some(Open { id, scope, rendered }) = open.pop() else { return Ok(()) };
                self.scope.truncate(scope);
                self.rendered.truncate(rendered);
                if let Kind::Element(record) = &self.tree.record(id).kind {
                    self.end(record)?;
                }
                // What comes after the apex is none of ours.
                next = if open.is_empty() { None } else { self.tree.record(id).next };
                continue;
            };
            let node = self.tree.record(id);
            match &node.kind {
                _ if Some(id) == without && id != apex.id => next = node.next,
                Kind::Element(record) => {
                    open.push(Open { id, scope: self.scope.len(), rendered: self.rendered.len() });
                    self.start(apex, id, record)?;
                    next = record.first_child;
                }
                Kind::Text(value) => {
                    self.escaped(slice(&self.tree.values, value), text_escape)?;
                    next = node.next;
                }
                Kind::Comment => {
                    if self.method.comments {
                        let mut comment = String::new();
                        tag::push_text(slice(&self.tree.source, &node.span), &mut comment);
                        self.push(&comment)?;
                    }
                    next = node.next;
                }
            }
        }
    }

    fn start(&mut self, apex: Element<'t>, id: NodeId, record: &'t ElementRecord) -> Result<(), Uncanonical> {
        let at_apex = id == apex.id;
        let tree = self.tree;
        let attributes = &tree.attributes[record.attributes.start as usize..record.attributes.end as usize];
        self.declare(record);
        self.push("<")?;
        self.name(record)?;
        for (prefix, uri) in self.namespaces(at_apex, record, attributes) {
            self.push(if prefix.is_empty() { " xmlns" } else { " xmlns:" })?;
            self.push(prefix)?;
            self.value(tree.uri(uri))?;
            self.rendered.push((prefix, uri));
        }
        let mut attributes: Vec<&AttributeRecord> = attributes.iter().collect();
        if at_apex {
            self.inherit(apex, &mut attributes)?;
        }
        // By namespace name, then local name, code point by code point: which is what UTF-8 octets compare as.
        attributes.sort_by_key(|attribute| (tree.uri(attribute.uri), slice(&tree.source, &attribute.local)));
        for attribute in attributes {
            let prefix = slice(&tree.source, &attribute.prefix);
            self.push(" ")?;
            self.push(prefix)?;
            self.push(if prefix.is_empty() { "" } else { ":" })?;
            self.push(slice(&tree.source, &attribute.local))?;
            self.value(slice(&tree.values, &attribute.value))?;
        }
        self.push(">")
    }

    fn end(&mut self, record: &'t ElementRecord) -> Result<(), Uncanonical> {
        self.push("</")?;
        self.name(record)?;
        self.push(">")
    }

    fn name(&mut self, record: &'t ElementRecord) -> Result<(), Uncanonical> {
        let prefix = slice(&self.tree.source, &record.prefix);
        if !prefix.is_empty() {
            self.push(prefix)?;
            self.push(":")?;
        }
        self.push(slice(&self.tree.source, &record.local))
    }

    fn declare(&mut self, record: &'t ElementRecord) {
        self.scope.extend(self.declared(record));
    }

    fn declared(&self, record: &ElementRecord) -> impl Iterator<Item = Binding<'t>> + use<'t> {
        let tree = self.tree;
        let declarations = &tree.declarations[record.declarations.start as usize..record.declarations.end as usize];
        declarations.iter().map(|declaration| (slice(&tree.source, &declaration.prefix), declaration.uri))
    }

    /// The namespace nodes to write on an element, sorted: those of its candidates that the output does not
    /// declare yet, or declares as something else.
    fn namespaces(
        &mut self,
        at_apex: bool,
        record: &ElementRecord,
        attributes: &'t [AttributeRecord],
    ) -> Vec<Binding<'t>> {
        let tree = self.tree;
        let mut candidates = std::mem::take(&mut self.candidates);
        candidates.clear();
        if self.method.form == Form::Exclusive {
            candidates.push(slice(&tree.source, &record.prefix));
            let prefixes = attributes.iter().map(|attribute| slice(&tree.source, &attribute.prefix));
            candidates.extend(prefixes.filter(|prefix| !prefix.is_empty()));
            // A listed prefix that is in scope at the apex is written there, so that further in only its own
            // declarations can change it.
            let listed = |prefix: &&str| self.method.prefixes.has(prefix);
            if at_apex {
                candidates.extend(self.scope.iter().map(|(prefix, _)| *prefix).filter(listed));
            } else {
                candidates.extend(self.declared(record).map(|(prefix, _)| prefix).filter(listed));
            }
        } else if at_apex {
            candidates.extend(self.scope.iter().map(|(prefix, _)| *prefix));
        } else {
            candidates.extend(self.declared(record).map(|(prefix, _)| prefix));
        }
        candidates.sort_unstable();
        candidates.dedup();
        let wanted = candidates.iter().filter(|prefix| **prefix != "xml").filter_map(|prefix| {
            let uri = bound(&self.scope, prefix)?;
            (bound(&self.rendered, prefix) != Some(uri)).then_some((*prefix, uri))
        });
        let undeclared = at_apex && self.method.undeclares && bound(&self.scope, "") == Some(Uri::NONE);
        let namespaces = undeclared.then_some(("", Uri::NONE)).into_iter().chain(wanted).collect();
        self.candidates = candidates;
        namespaces
    }

    /// The attributes of the `xml` namespace that an apex takes over from the elements around it (Canonical XML
    /// 1.0, section 2.4; 1.1, section 2.4). Exclusive canonicalisation takes none.
    fn inherit(&self, apex: Element<'t>, attributes: &mut Vec<&'t AttributeRecord>) -> Result<(), Uncanonical> {
        let tree = self.tree;
        if self.method.form == Form::Exclusive {
            return Ok(());
        }
        for element in apex.ancestors() {
            let range = &element.record.attributes;
            for attribute in &tree.attributes[range.start as usize..range.end as usize] {
                if attribute.uri != Uri::XML {
                    continue;
                }
                let local = |attribute: &AttributeRecord| slice(&tree.source, &attribute.local);
                if self.method.form == Form::Inclusive11 {
                    match local(attribute) {
                        "lang" | "space" => {}
                        "base" => return Err(Uncanonical::Base),
                        _ => continue,
                    }
                }
                let has = |known: &&AttributeRecord| known.uri == Uri::XML && local(known) == local(attribute);
                if !attributes.iter().any(has) {
                    attributes.push(attribute);
                }
            }
        }
        Ok(())
    }

    fn value(&mut self, value: &str) -> Result<(), Uncanonical> {
        self.push("=\"")?;
        self.escaped(value, attribute_escape)?;
        self.push("\"")
    }

    fn escaped(&mut self, text: &str, escape: impl Fn(u8) -> Option<&'static str>) -> Result<(), Uncanonical> {
        let mut plain = 0;
        // Everything that is escaped is one ASCII octet, which is never part of a longer character.
        for (at, octet) in text.bytes().enumerate() {
            if let Some(escape) = escape(octet) {
                self.push(&text[plain..at])?;
                self.push(escape)?;
                plain = at + 1;
            }
        }
        self.push(&text[plain..])
    }

    fn push(&mut self, text: &str) -> Result<(), Uncanonical> {
        if text.len() > self.most - self.out.len() {
            return Err(Uncanonical::TooLarge);
        }
        self.out.push_str(text);
        Ok(())
    }
}

fn text_escape(octet: u8) -> Option<&'static str> {
    Some(match octet {
        b'&' => "&amp;",
        b'<' => "&lt;",
        b'>' => "&gt;",
        b'\r' => "&#xD;",
        _ => return None,
    })
}

fn attribute_escape(octet: u8) -> Option<&'static str> {
    Some(match octet {
        b'&' => "&amp;",
        b'<' => "&lt;",
        b'"' => "&quot;",
        b'\t' => "&#x9;",
        b'\n' => "&#xA;",
        b'\r' => "&#xD;",
        _ => return None,
    })
}
