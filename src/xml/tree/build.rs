//! From octets to the tree. The tokenizer (quick-xml) cuts the source into tokens and is believed in nothing
//! else: every token is looked at again here, by its place in the source, against the whole grammar.

use std::collections::HashMap;
use std::ops::Range;

use quick_xml::Reader;
use quick_xml::events::Event;

use super::tag::{self, Pair, Tag};
use super::{AttributeRecord, Declaration, ElementRecord, Kind, Limits, Malformed, NodeId, Record, Span, Tree, Uri};
use crate::xml::chars::{is_char, is_space, split_qname};
use crate::xml::names;

const BYTE_ORDER_MARK: char = '\u{FEFF}';
/// Namespace names that are compared one after the other. Nearly every message has no more, and is read without a hash.
pub(super) const FEW: usize = 16;
/// Nodes that there is room for at first: those of a request of nearly every client.
const ROOM: usize = 64;

pub(super) fn build(octets: &[u8], limits: &Limits) -> Result<Tree, Malformed> {
    if octets.len() > limits.octets.min(u32::MAX as usize) {
        return Err(Malformed::TooLarge("octets"));
    }
    let source = std::str::from_utf8(octets).map_err(|_| Malformed::Encoding)?;
    // One mark is an encoding signature (some clients' files begin with it). A second one would be text
    // before the root, and the tokenizer would swallow it.
    let source = source.strip_prefix(BYTE_ORDER_MARK).unwrap_or(source);
    if source.starts_with(BYTE_ORDER_MARK) {
        return Err(Malformed::Structure);
    }
    // Nearly every message is of plain characters throughout, which is seen without decoding them.
    let is_plain = |octet: u8| matches!(octet, b'\t' | b'\n' | b'\r' | b' '..=b'~');
    // All of it in any case: without an end on the way many octets are looked at together.
    let plain = source.bytes().fold(true, |plain, octet| plain & is_plain(octet));
    if !plain && !source.chars().all(is_char) {
        return Err(Malformed::Character);
    }

    let mut builder = Builder::new(source, limits);
    let mut from = tag::declaration(source)?;
    if source[from..].starts_with(BYTE_ORDER_MARK) {
        return Err(Malformed::Structure);
    }
    let mut reader = Reader::from_str(&source[from..]);
    let offset = from;
    loop {
        let event = reader.read_event().map_err(|_| Malformed::Tag)?;
        let to = offset + usize::try_from(reader.buffer_position()).map_err(|_| Malformed::Structure)?;
        let token = source.get(from..to).ok_or(Malformed::Structure)?;
        if matches!(event, Event::Eof) {
            if !token.is_empty() || to != source.len() {
                return Err(Malformed::Structure);
            }
            return builder.finish();
        }
        builder.token(&event, token, from)?;
        from = to;
    }
}

struct Builder<'s> {
    source: &'s str,
    limits: &'s Limits,
    tree: Tree,
    /// Those namespace names that are not among the [`FEW`]. SipHash, with a key of this process: a stranger cannot
    /// choose collisions.
    uris: HashMap<String, Uri>,
    /// The elements that are open, with the last child of each.
    open: Vec<Open>,
    /// Indices into `tree.declarations`, innermost last.
    scope: Vec<u32>,
    seen_root: bool,
    /// Room for the attributes of a tag, and for a namespace name.
    attributes: Vec<Pair<'s>>,
    uri: String,
}

struct Open {
    id: NodeId,
    last_child: Option<NodeId>,
    scope: usize,
}

fn index(value: usize) -> u32 {
    u32::try_from(value).expect("the source is smaller than 4 GiB, and nothing is longer than the source")
}

impl<'s> Builder<'s> {
    fn new(source: &'s str, limits: &'s Limits) -> Self {
        let known = ["", names::XML];
        let tree = Tree {
            source: source.to_owned(),
            nodes: Vec::with_capacity(ROOM),
            attributes: Vec::with_capacity(ROOM / 4),
            declarations: Vec::with_capacity(ROOM / 4),
            // No value is longer than what stands for it in the source, so this never moves and never
            // leaves a copy of a password behind.
            values: String::with_capacity(source.len()),
            uris: known.map(str::to_owned).to_vec(),
        };
        let (uris, open, scope) = (HashMap::new(), Vec::with_capacity(ROOM / 4), Vec::with_capacity(ROOM / 4));
        let (attributes, uri) = (Vec::with_capacity(ROOM / 4), String::new());
        Self { source, limits, tree, uris, open, scope, seen_root: false, attributes, uri }
    }

    fn finish(self) -> Result<Tree, Malformed> {
        if self.open.is_empty() && self.seen_root { Ok(self.tree) } else { Err(Malformed::Structure) }
    }

    fn token(&mut self, event: &Event<'_>, token: &'s str, from: usize) -> Result<(), Malformed> {
        let span = index(from)..index(from + token.len());
        match event {
            Event::Start(_) => self.start(token.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')), span),
            Event::Empty(_) => {
                self.start(token.strip_prefix('<').and_then(|rest| rest.strip_suffix("/>")), span)?;
                self.end(index(from + token.len()))
            }
            Event::End(_) => {
                let name = tag::end_name(token).ok_or(Malformed::Tag)?;
                if self.open.last().is_none_or(|open| self.qualified(open.id) != name) {
                    return Err(Malformed::Tag);
                }
                self.end(span.end)
            }
            // Hardly any text has a bracket, and one octet is found sooner than three.
            Event::Text(_) if token.as_bytes().contains(&b']') && token.contains("]]>") => Err(Malformed::Text),
            Event::Text(_) if self.open.is_empty() => {
                if token.chars().all(is_space) {
                    Ok(())
                } else {
                    Err(Malformed::Structure)
                }
            }
            Event::Text(_) => self.text(span, |out| tag::push_text(token, out)),
            Event::CData(_) => {
                let inside = token.strip_prefix("<![CDATA[").and_then(|rest| rest.strip_suffix("]]>"));
                let inside = inside.ok_or(Malformed::Tag)?;
                self.text(span, |out| tag::push_text(inside, out))
            }
            Event::GeneralRef(_) => {
                let name = token.strip_prefix('&').and_then(|rest| rest.strip_suffix(';'));
                let stands_for = tag::reference(name.ok_or(Malformed::Reference)?)?;
                self.text(span, |out| out.push(stands_for))
            }
            Event::Comment(_) => {
                let inside = token.strip_prefix("<!--").and_then(|rest| rest.strip_suffix("-->"));
                let inside = inside.ok_or(Malformed::Comment)?;
                if inside.contains("--") || inside.ends_with('-') {
                    return Err(Malformed::Comment);
                }
                if self.open.is_empty() { Ok(()) } else { self.add(Kind::Comment, span).map(drop) }
            }
            Event::Decl(_) => Err(Malformed::Declaration),
            Event::PI(_) => Err(Malformed::Instruction),
            Event::DocType(_) => Err(Malformed::DocumentType),
            Event::Eof => Err(Malformed::Structure),
        }
    }

    fn start(&mut self, inside: Option<&'s str>, span: Span) -> Result<(), Malformed> {
        let room = std::mem::take(&mut self.attributes);
        let tag = tag::take_apart(inside.ok_or(Malformed::Tag)?, self.limits.attributes, room)?;
        if self.open.is_empty() && self.seen_root {
            return Err(Malformed::Structure);
        }
        if self.open.len() == self.limits.depth {
            return Err(Malformed::TooLarge("depth"));
        }
        let scope = self.scope.len();
        let declarations = self.declare(&tag)?;
        let attributes = self.attributes(&tag)?;
        let (prefix, local) = split_qname(tag.name).ok_or(Malformed::Name)?;
        let uri = self.resolve(prefix).ok_or(Malformed::Namespace)?;
        let record = ElementRecord {
            prefix: self.place(prefix),
            local: self.place(local),
            uri,
            attributes,
            declarations,
            first_child: None,
        };
        let id = self.add(Kind::Element(record), span)?;
        self.open.push(Open { id, last_child: None, scope });
        self.seen_root = true;
        self.attributes = tag.attributes;
        Ok(())
    }

    fn end(&mut self, to: u32) -> Result<(), Malformed> {
        let open = self.open.pop().ok_or(Malformed::Structure)?;
        self.tree.nodes[open.id.0 as usize].span.end = to;
        self.scope.truncate(open.scope);
        Ok(())
    }

    /// Adds to the text that is being read, or begins one.
    fn text(&mut self, span: Span, push: impl FnOnce(&mut String)) -> Result<(), Malformed> {
        let last = self.open.last().ok_or(Malformed::Structure)?.last_child;
        let from = self.tree.values.len();
        push(&mut self.tree.values);
        let to = index(self.tree.values.len());
        let last = last.map(|id| &mut self.tree.nodes[id.0 as usize]);
        let length = if let Some(Record { kind: Kind::Text(value), span: whole, .. }) = last {
            // Attributes come between texts only together with an element, so this one is still the last value.
            value.end = to;
            whole.end = span.end;
            value.end - value.start
        } else {
            let value = index(from)..to;
            let length = value.end - value.start;
            if length > 0 {
                self.add(Kind::Text(value), span)?;
            }
            length
        };
        if length as usize > self.limits.value { Err(Malformed::TooLarge("text")) } else { Ok(()) }
    }

    fn add(&mut self, kind: Kind, span: Span) -> Result<NodeId, Malformed> {
        if self.tree.nodes.len() == self.limits.nodes {
            return Err(Malformed::TooLarge("nodes"));
        }
        let id = NodeId(index(self.tree.nodes.len()));
        let parent = self.open.last_mut();
        self.tree.nodes.push(Record { kind, parent: parent.as_ref().map(|open| open.id), next: None, span });
        if let Some(open) = parent {
            match open.last_child.replace(id) {
                Some(last) => self.tree.nodes[last.0 as usize].next = Some(id),
                None => {
                    if let Kind::Element(parent) = &mut self.tree.nodes[open.id.0 as usize].kind {
                        parent.first_child = Some(id);
                    }
                }
            }
        }
        Ok(id)
    }

    /// The namespace declarations of a tag (Namespaces in XML 1.0, section 3).
    fn declare(&mut self, tag: &Tag<'_>) -> Result<Range<u32>, Malformed> {
        let first = self.tree.declarations.len();
        for (name, raw) in &tag.attributes {
            let Some(prefix) = declared_prefix(name)? else { continue };
            let mut uri = std::mem::take(&mut self.uri);
            uri.clear();
            tag::push_attribute(raw, &mut uri)?;
            let known = self.known(&uri);
            let allowed = match (prefix, uri.as_str()) {
                ("xmlns", _) => false,
                ("xml", uri) => uri == names::XML,
                (_, names::XML | names::XMLNS) => false,
                (prefix, "") => prefix.is_empty(),
                // What is known was asked.
                (_, uri) => known.is_some() || tag::is_absolute(uri),
            };
            if !allowed {
                return Err(Malformed::Namespace);
            }
            let prefix_place = self.place(prefix);
            let twice =
                self.tree.declarations[first..].iter().any(|other| super::slice(self.source, &other.prefix) == prefix);
            if twice {
                return Err(Malformed::DuplicateAttribute);
            }
            if self.scope.len() == self.limits.declarations {
                return Err(Malformed::TooLarge("declarations"));
            }
            if uri.len() > self.limits.uri {
                return Err(Malformed::TooLarge("namespace name"));
            }
            self.scope.push(index(self.tree.declarations.len()));
            let id = known.unwrap_or_else(|| self.intern(&uri));
            self.tree.declarations.push(Declaration { prefix: prefix_place, uri: id });
            self.uri = uri;
        }
        Ok(index(first)..index(self.tree.declarations.len()))
    }

    fn attributes(&mut self, tag: &Tag<'_>) -> Result<Range<u32>, Malformed> {
        let first = self.tree.attributes.len();
        for (name, raw) in &tag.attributes {
            if declared_prefix(name)?.is_some() {
                continue;
            }
            let (prefix, local) = split_qname(name).ok_or(Malformed::Name)?;
            // The default namespace is not for attributes.
            let uri = if prefix.is_empty() { Uri::NONE } else { self.resolve(prefix).ok_or(Malformed::Namespace)? };
            let from = self.tree.values.len();
            tag::push_attribute(raw, &mut self.tree.values)?;
            let value = index(from)..index(self.tree.values.len());
            if self.tree.values.len() - from > self.limits.value {
                return Err(Malformed::TooLarge("attribute value"));
            }
            let twice = self.tree.attributes[first..]
                .iter()
                .any(|other| other.uri == uri && super::slice(self.source, &other.local) == local);
            if twice {
                return Err(Malformed::DuplicateAttribute);
            }
            let record = AttributeRecord { prefix: self.place(prefix), local: self.place(local), uri, value };
            self.tree.attributes.push(record);
        }
        Ok(index(first)..index(self.tree.attributes.len()))
    }

    fn resolve(&self, prefix: &str) -> Option<Uri> {
        if prefix == "xml" {
            return Some(Uri::XML);
        }
        let found = self.scope.iter().rev().map(|at| &self.tree.declarations[*at as usize]);
        let found = found.into_iter().find(|declared| super::slice(self.source, &declared.prefix) == prefix);
        match found {
            Some(declared) => Some(declared.uri),
            None => prefix.is_empty().then_some(Uri::NONE),
        }
    }

    /// A namespace name that was taken in before.
    fn known(&self, uri: &str) -> Option<Uri> {
        let few = self.tree.uris.iter().take(FEW).position(|known| known == uri).map(|at| Uri(index(at)));
        few.or_else(|| if self.uris.is_empty() { None } else { self.uris.get(uri).copied() })
    }

    /// Takes in a namespace name that is not known.
    fn intern(&mut self, uri: &str) -> Uri {
        let id = Uri(index(self.tree.uris.len()));
        if self.tree.uris.len() >= FEW {
            self.uris.insert(uri.to_owned(), id);
        }
        self.tree.uris.push(uri.to_owned());
        id
    }

    /// Where a part of the source stands in it.
    fn place(&self, part: &str) -> Span {
        if part.is_empty() {
            return 0..0;
        }
        let from = part.as_ptr() as usize - self.source.as_ptr() as usize;
        debug_assert_eq!(self.source.get(from..from + part.len()), Some(part));
        index(from)..index(from + part.len())
    }

    /// An open element's name as it was written.
    fn qualified(&self, id: NodeId) -> &'s str {
        match &self.tree.nodes[id.0 as usize].kind {
            Kind::Element(record) if record.prefix.is_empty() => super::slice(self.source, &record.local),
            Kind::Element(record) => super::slice(self.source, &(record.prefix.start..record.local.end)),
            Kind::Text(_) | Kind::Comment => "",
        }
    }
}

/// The prefix that an attribute declares, when it is a declaration; the empty one for `xmlns`.
fn declared_prefix(name: &str) -> Result<Option<&str>, Malformed> {
    match split_qname(name).ok_or(Malformed::Name)? {
        ("", "xmlns") => Ok(Some("")),
        ("xmlns", prefix) => Ok(Some(prefix)),
        _ => Ok(None),
    }
}
