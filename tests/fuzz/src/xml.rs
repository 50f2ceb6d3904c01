//! Octets as XML, as a signature, as a key, as a certificate.

use chancery::config::auth::certificate::Certificate;
use chancery::config::auth::{jwks, public_key};
use chancery::trust::{parts, timestamp};
use chancery::xml::signature::{Signature, SignedInfo};
use chancery::xml::{Element, Ids, Limits, Method, Tree};

/// Octets of a canonical form, at most.
const MOST: usize = 1 << 20;
const FORMS: [&str; 6] = [
    "http://www.w3.org/2001/10/xml-exc-c14n#",
    "http://www.w3.org/2001/10/xml-exc-c14n#WithComments",
    "http://www.w3.org/TR/2001/REC-xml-c14n-20010315",
    "http://www.w3.org/TR/2001/REC-xml-c14n-20010315#WithComments",
    "http://www.w3.org/2006/12/xml-c14n11",
    "http://www.w3.org/2006/12/xml-c14n11#WithComments",
];

/// The limits of a tree that is read again: canonical form may be longer than what it is of.
fn roomy() -> Limits {
    Limits { octets: MOST, value: MOST, ..Limits::default() }
}

/// A document, and every canonical form of it, each of which must be its own.
pub fn document(octets: &[u8]) {
    let Ok(tree) = Tree::parse(octets, &Limits::default()) else { return };
    let _perhaps_twice = Ids::of(&tree);
    for element in tree.elements() {
        let span = element.span();
        assert!(tree.source().get(span).is_some_and(|text| text.starts_with('<') && text.ends_with('>')));
    }
    for method in FORMS.iter().filter_map(|form| Method::named(form)) {
        let Ok(once) = tree.root().canonical(&method, None, MOST) else { continue };
        let again = Tree::parse(once.as_bytes(), &roomy()).expect("a canonical form is a document");
        let twice = again.root().canonical(&method, None, MOST).expect("and has a form");
        assert_eq!(*once, *twice, "a canonical form is its own");
    }
}

/// A document with signatures: what each says, in the octets that it signs, must be what it said.
pub fn signature(octets: &[u8]) {
    let Ok(tree) = Tree::parse(octets, &Limits::default()) else { return };
    let Ok(ids) = Ids::of(&tree) else { return };
    for element in tree.elements().filter(|element| element.local() == "Signature") {
        let Ok(signature) = Signature::read(element) else { continue };
        let Ok(signed) = signature.signed_octets(MOST) else { continue };
        let again = Tree::parse(signed.as_bytes(), &roomy()).expect("signed octets are a document");
        assert_eq!(SignedInfo::read(again.root()).as_ref(), Ok(&signature.info), "read again it says the same");
        for reference in &signature.info.references {
            let Ok(target) = signature.target(reference, &ids) else { continue };
            if let Ok(part) = signature.digested(reference, target, MOST) {
                assert!(!part.is_empty(), "nothing is never what is signed");
                part_of_a_message(&part, &reference.id);
            }
        }
    }
}

/// A document with keys that are written out: each that is one has a name, and arrives at auth as it was sent.
pub fn key_value(octets: &[u8]) {
    let Ok(tree) = Tree::parse(octets, &Limits::default()) else { return };
    for element in tree.elements() {
        let Some(written) = parts::public_key(element) else { continue };
        let sent = borsh::to_vec(&written).expect("what was read can be sent");
        assert_eq!(borsh::from_slice(&sent).ok().as_ref(), Some(&written), "and arrives");
        if let Ok(key) = public_key::of(&written) {
            assert!(jwks::thumbprint(&key).is_some(), "a key has a thumbprint");
        }
    }
}

/// What auth reads in octets that a client signed.
fn part_of_a_message(octets: &str, id: &str) {
    let Ok(tree) = Tree::parse(octets.as_bytes(), &roomy()) else { return };
    let root = tree.root();
    let Ok(ids) = Ids::of(&tree) else { return };
    let _perhaps_elsewhere = ids.element(id).map(Element::id) == Some(root.id());
    let _perhaps_no_timestamp = timestamp::read(root, &mut |_| true);
    let _perhaps_no_body = parts::wish(root);
}

/// A certificate in DER, as a stranger brings it.
pub fn certificate(octets: &[u8]) {
    if let Ok(certificate) = Certificate::from_der(octets.to_vec()) {
        assert_eq!(certificate.der, octets, "it is known by its octets");
    }
}
