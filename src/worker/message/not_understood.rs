//! The header blocks that go with two faults of SOAP 1.2's own (part 1, 5.4.7 and 5.4.8): which envelopes are read here,
//! and which headers would have to be understood and are not. Those have names of the client's wording, which it gets
//! back: a few of them, none that is long, and none that could not stand there.

use super::fault::Fault;
use super::shape::{Shape, Soap};
use crate::xml::writer::escape_attribute;
use crate::xml::{Element, names};

/// So many are named at most, and this long a namespace and a local name, octets.
const MOST: usize = 4;
const LONGEST: usize = 256;

/// The name of a header.
#[derive(Debug, Clone)]
pub(super) struct Named {
    uri: String,
    local: String,
}

impl Named {
    /// None where it has no name that can be given back: without a namespace it is no header block of SOAP, and a
    /// prefix of ours may not stand for that of `xml`.
    fn of(block: Element<'_>) -> Option<Self> {
        let (uri, local) = (block.uri(), block.local());
        let short = uri.len() <= LONGEST && local.len() <= LONGEST;
        (short && !uri.is_empty() && uri != names::XML).then(|| Self { uri: uri.to_owned(), local: local.to_owned() })
    }
}

/// The names of these headers, as far as they are given back.
pub(super) fn named<'t>(blocks: impl IntoIterator<Item = Element<'t>>) -> Vec<Named> {
    blocks.into_iter().filter_map(Named::of).take(MOST).collect()
}

/// What goes into the header of the answer with this fault, whose envelope has this prefix; nothing with most.
pub(super) fn blocks(shape: &Shape, fault: Fault, soap: &str) -> String {
    let mut text = String::new();
    match (shape.soap, fault) {
        (Soap::V12, Fault::VersionMismatch) => {
            text += &format!("<{soap}:Upgrade>");
            for version in [Soap::V12, Soap::V11] {
                name(&mut text, soap, "SupportedEnvelope", version.namespace(), "Envelope");
            }
            text += &format!("</{soap}:Upgrade>");
        }
        (Soap::V12, Fault::MustUnderstand) => {
            for Named { uri, local } in &shape.not_understood {
                name(&mut text, soap, "NotUnderstood", uri, local);
            }
        }
        _ => {}
    }
    text
}

/// An element that says a name, by a prefix that it declares.
fn name(text: &mut String, soap: &str, element: &str, uri: &str, local: &str) {
    *text += &format!("<{soap}:{element} xmlns:q=\"");
    escape_attribute(uri, text);
    *text += &format!("\" qname=\"q:{local}\"></{soap}:{element}>");
}
