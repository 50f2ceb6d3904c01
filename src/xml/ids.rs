//! Which element an id means. Ids are known by the expanded names of their attributes and by nothing else, and
//! no value may be the id of two elements, whichever attributes carry it (R-W005, A-04, A-10): a reference
//! that can mean two things is how signatures are wrapped.

use std::collections::HashMap;

use super::{Element, Tree, names};

/// The ids of one tree.
#[derive(Debug)]
pub struct Ids<'t>(HashMap<&'t str, Element<'t>>);

/// One value is an id twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DuplicateId;

impl<'t> Ids<'t> {
    /// Every id of a document.
    ///
    /// # Errors
    /// [`DuplicateId`] when one is not the only one.
    pub fn of(tree: &'t Tree) -> Result<Self, DuplicateId> {
        let mut ids = HashMap::new();
        for element in tree.elements() {
            for id in element.attributes().filter(|attribute| is_id(element, attribute.uri, attribute.local)) {
                if ids.insert(id.value, element).is_some() {
                    return Err(DuplicateId);
                }
            }
        }
        Ok(Self(ids))
    }

    /// The element with this id.
    #[must_use]
    pub fn element(&self, id: &str) -> Option<Element<'t>> {
        self.0.get(id).copied()
    }
}

fn is_id(element: Element<'_>, uri: &str, local: &str) -> bool {
    match (uri, local) {
        (names::WSU, "Id") | (names::XML, "id") => true,
        ("", "Id") => matches!(element.uri(), names::DS | names::XENC | names::XENC11),
        ("", "AssertionID") => element.is(names::SAML11, "Assertion"),
        ("", "ID") => matches!(element.uri(), names::SAML20 | names::SAML20_METADATA),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::Limits;

    fn wrapped(inside: &str) -> Tree {
        let source = format!(
            "<e xmlns:u='{}' xmlns:ds='{}' xmlns:s='{}' xmlns:t='{}' xmlns:m='{}'>{inside}</e>",
            names::WSU,
            names::DS,
            names::SAML20,
            names::SAML11,
            names::SAML20_METADATA
        );
        Tree::parse(source.as_bytes(), &Limits::default()).unwrap()
    }

    #[test]
    fn an_id_is_known_by_the_expanded_name_of_its_attribute_a_04() {
        let tree = wrapped(
            "<a u:Id='1'/><ds:b Id='2'/><s:c ID='3'/><t:Assertion AssertionID='4'/><d xml:id='5'/><m:f ID='6'/>",
        );
        let ids = Ids::of(&tree).unwrap();
        for (id, local) in [("1", "a"), ("2", "b"), ("3", "c"), ("4", "Assertion"), ("5", "d"), ("6", "f")] {
            assert_eq!(ids.element(id).unwrap().local(), local);
        }
        let tree = wrapped("<a Id='1'/><ds:b ID='2'/><s:c Id='3'/><t:d AssertionID='4'/><d ds:Id='5' u:ID='6'/>");
        let ids = Ids::of(&tree).unwrap();
        assert!(["1", "2", "3", "4", "5", "6", "", " 1"].iter().all(|id| ids.element(id).is_none()));
    }

    #[test]
    fn no_value_is_an_id_twice_a_10() {
        for twice in [
            "<a u:Id='1'/><a u:Id='1'/>",
            "<a u:Id='1'/><ds:b Id='1'/>",
            "<s:c ID='1'><s:c ID='1'/></s:c>",
            "<ds:b Id='1' u:Id='1'/>",
        ] {
            assert_eq!(Ids::of(&wrapped(twice)).err(), Some(DuplicateId), "{twice}");
        }
    }
}
