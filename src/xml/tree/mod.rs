//! The one tree a message is read into: flat, bounded, owning its text, with every prefix, declaration and
//! place in the source kept for canonicalisation. What is verified later is these very nodes (A-00a); there
//! is no second parse and no way back to octets but the spans. Nothing here recurses.
//!
//! Comments are kept as nodes, because canonical form must leave them out and nobody may read past one:
//! [`Element::text`] refuses an element that holds anything but text (R-S037, A-06).

mod build;
mod canonical;
mod limits;
mod malformed;
mod tag;
#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::Range;

use zeroize::Zeroize;

use super::names;
pub use canonical::{Method, PrefixList, Uncanonical};
pub use limits::Limits;
pub use malformed::Malformed;

/// Names a node within its tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(u32);

/// A place in the source, octets.
type Span = Range<u32>;

/// A well-formed, namespace-well-formed document. Wiped when dropped: it may hold a password.
pub struct Tree {
    source: String,
    nodes: Vec<Record>,
    attributes: Vec<AttributeRecord>,
    declarations: Vec<Declaration>,
    /// Attribute values and texts with references replaced and line ends normalised.
    values: String,
    /// Namespace names; the first two are none and that of `xml`.
    uris: Vec<String>,
}

#[derive(Debug)]
struct Record {
    kind: Kind,
    parent: Option<NodeId>,
    next: Option<NodeId>,
    span: Span,
}

#[derive(Debug)]
enum Kind {
    Element(ElementRecord),
    Text(Span),
    Comment,
}

#[derive(Debug)]
struct ElementRecord {
    prefix: Span,
    local: Span,
    uri: Uri,
    attributes: Span,
    declarations: Span,
    first_child: Option<NodeId>,
}

/// Index into `Tree::uris`: equal names have equal indices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Uri(u32);

impl Uri {
    const NONE: Self = Self(0);
    const XML: Self = Self(1);
}

#[derive(Debug)]
struct AttributeRecord {
    prefix: Span,
    local: Span,
    uri: Uri,
    value: Span,
}

#[derive(Debug)]
struct Declaration {
    prefix: Span,
    uri: Uri,
}

fn slice<'t>(text: &'t str, span: &Span) -> &'t str {
    &text[span.start as usize..span.end as usize]
}

impl Tree {
    /// Reads a whole document.
    ///
    /// # Errors
    /// [`Malformed`] for anything that is not a small, DTD-less, namespace-well-formed UTF-8 document.
    pub fn parse(octets: &[u8], limits: &Limits) -> Result<Self, Malformed> {
        build::build(octets, limits)
    }

    /// The document element.
    ///
    /// # Panics
    /// Never: a tree is only made with its root.
    #[must_use]
    pub fn root(&self) -> Element<'_> {
        // Nothing outside the root is kept, so it is the first node.
        self.element(NodeId(0)).expect("a tree is only made with its root")
    }

    /// The element of that name, when it is one of this tree.
    #[must_use]
    pub fn element(&self, id: NodeId) -> Option<Element<'_>> {
        match &self.nodes.get(id.0 as usize)?.kind {
            Kind::Element(record) => Some(Element { tree: self, id, record }),
            Kind::Text(_) | Kind::Comment => None,
        }
    }

    /// The document as it came, without a byte order mark.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// How many elements, texts and comments there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Never: there is always a root.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Every element, in document order.
    pub fn elements(&self) -> impl Iterator<Item = Element<'_>> {
        (0..self.nodes.len()).filter_map(|at| self.element(NodeId(u32::try_from(at).ok()?)))
    }

    fn record(&self, id: NodeId) -> &Record {
        &self.nodes[id.0 as usize]
    }

    fn uri(&self, uri: Uri) -> &str {
        &self.uris[uri.0 as usize]
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        // What is in a string is wiped an octet at a time, and the room of an empty one at once.
        for text in [&mut self.source, &mut self.values] {
            text.clear();
            text.zeroize();
        }
    }
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<tree of {} nodes>", self.nodes.len())
    }
}

/// An element of a tree.
#[derive(Clone, Copy)]
pub struct Element<'t> {
    tree: &'t Tree,
    id: NodeId,
    record: &'t ElementRecord,
}

/// A child of an element.
#[derive(Debug, Clone, Copy)]
pub enum Node<'t> {
    /// An element.
    Element(Element<'t>),
    /// Character data, references replaced. No two are neighbours.
    Text(&'t str),
    /// A comment, which nobody reads.
    Comment,
}

/// An attribute that is not a namespace declaration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attribute<'t> {
    /// Empty when there is none.
    pub prefix: &'t str,
    /// The namespace name, empty when there is no prefix.
    pub uri: &'t str,
    /// The local name.
    pub local: &'t str,
    /// The value, references replaced and white space normalised (section 3.3.3, as CDATA).
    pub value: &'t str,
}

impl<'t> Element<'t> {
    /// Its name within the tree.
    #[must_use]
    pub fn id(self) -> NodeId {
        self.id
    }

    /// The namespace name, empty when there is none.
    #[must_use]
    pub fn uri(self) -> &'t str {
        self.tree.uri(self.record.uri)
    }

    /// The local name.
    #[must_use]
    pub fn local(self) -> &'t str {
        slice(&self.tree.source, &self.record.local)
    }

    /// The prefix as written, empty when there is none.
    #[must_use]
    pub fn prefix(self) -> &'t str {
        slice(&self.tree.source, &self.record.prefix)
    }

    /// Has it this expanded name?
    #[must_use]
    pub fn is(self, uri: &str, local: &str) -> bool {
        self.uri() == uri && self.local() == local
    }

    /// The element around it.
    #[must_use]
    pub fn parent(self) -> Option<Element<'t>> {
        self.tree.element(self.tree.record(self.id).parent?)
    }

    /// Its children of every kind, in order.
    pub fn nodes(self) -> impl Iterator<Item = Node<'t>> {
        std::iter::successors(self.record.first_child, move |id| self.tree.record(*id).next).map(move |id| match &self
            .tree
            .record(id)
            .kind
        {
            Kind::Element(record) => Node::Element(Element { tree: self.tree, id, record }),
            Kind::Text(value) => Node::Text(slice(&self.tree.values, value)),
            Kind::Comment => Node::Comment,
        })
    }

    /// Its child elements, in order.
    pub fn children(self) -> impl Iterator<Item = Element<'t>> {
        self.nodes().filter_map(|node| match node {
            Node::Element(element) => Some(element),
            Node::Text(_) | Node::Comment => None,
        })
    }

    /// Its attributes in the order they were written, without namespace declarations.
    pub fn attributes(self) -> impl Iterator<Item = Attribute<'t>> {
        let Range { start, end } = self.record.attributes;
        self.tree.attributes[start as usize..end as usize].iter().map(move |record| Attribute {
            prefix: slice(&self.tree.source, &record.prefix),
            uri: self.tree.uri(record.uri),
            local: slice(&self.tree.source, &record.local),
            value: slice(&self.tree.values, &record.value),
        })
    }

    /// The value of the attribute with this expanded name; an empty `uri` means one without a prefix.
    #[must_use]
    pub fn attribute(self, uri: &str, local: &str) -> Option<&'t str> {
        self.attributes().find(|attribute| attribute.uri == uri && attribute.local == local).map(|found| found.value)
    }

    /// The prefixes declared on this very element and what they stand for; `xmlns=""` gives two empty strings.
    pub fn declarations(self) -> impl Iterator<Item = (&'t str, &'t str)> {
        let Range { start, end } = self.record.declarations;
        self.tree.declarations[start as usize..end as usize]
            .iter()
            .map(move |record| (slice(&self.tree.source, &record.prefix), self.tree.uri(record.uri)))
    }

    /// What a prefix stands for here; the empty prefix gives the default namespace.
    #[must_use]
    pub fn resolve(self, prefix: &str) -> Option<&'t str> {
        if prefix == "xml" {
            return Some(names::XML);
        }
        std::iter::successors(Some(self), |element| element.parent())
            .find_map(|element| element.declarations().find(|(declared, _)| *declared == prefix))
            .map(|(_, uri)| uri)
            .filter(|uri| !uri.is_empty())
    }

    /// Its text, when it holds nothing else: no element and no comment.
    #[must_use]
    pub fn text(self) -> Option<&'t str> {
        let mut nodes = self.nodes();
        match (nodes.next(), nodes.next()) {
            (None, _) => Some(""),
            (Some(Node::Text(text)), None) => Some(text),
            _ => None,
        }
    }

    /// Is there nothing between its child elements but white space and comments?
    #[must_use]
    pub fn holds_only_elements(self) -> bool {
        self.nodes().all(|node| match node {
            Node::Text(text) => text.chars().all(super::chars::is_space),
            Node::Element(_) | Node::Comment => true,
        })
    }

    /// Its child element, where it holds one and no text besides.
    #[must_use]
    pub fn only_child(self) -> Option<Self> {
        let mut children = self.children();
        match (children.next(), children.next()) {
            (Some(child), None) if self.holds_only_elements() => Some(child),
            _ => None,
        }
    }

    /// Where it stands in [`Tree::source`], octets.
    #[must_use]
    pub fn span(self) -> Range<usize> {
        let span = &self.tree.record(self.id).span;
        span.start as usize..span.end as usize
    }
}

impl PartialEq for Element<'_> {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.tree, other.tree) && self.id == other.id
    }
}

impl fmt::Debug for Element<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{}}}{}", self.uri(), self.local())
    }
}
