//! The one step by which signatures and encryption are read: an element is what it says, and nothing besides.

use super::chars::is_space;
use super::tree::{Element, Node};

/// The child elements of an element that must have this name, these attributes at the most, and nothing but white
/// space between its children. None where it is something else.
pub(super) fn elements<'t>(
    element: Element<'t>,
    uri: &str,
    local: &str,
    attributes: &[&str],
) -> Option<Vec<Element<'t>>> {
    if !element.is(uri, local) || !has_only(element, attributes) {
        return None;
    }
    let mut children = Vec::new();
    for node in element.nodes() {
        match node {
            Node::Element(child) => children.push(child),
            Node::Text(text) if text.chars().all(is_space) => {}
            Node::Text(_) | Node::Comment => return None,
        }
    }
    Some(children)
}

/// Has it these attributes at the most?
pub(super) fn has_only(element: Element<'_>, attributes: &[&str]) -> bool {
    element.attributes().all(|found| found.uri.is_empty() && attributes.contains(&found.local))
}
