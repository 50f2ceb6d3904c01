//! The SOAP envelope: its version, its header blocks that are for us, the one child of its body (R-T001), and
//! the rule that a mandatory header not understood stops everything (R-T154).

use super::fault::Fault;
use super::rejection::Problem;
use super::shape::{Shape, Soap};
use super::{Leniency, addressing, not_understood};
use crate::xml::{Element, Tree, names};

/// A message taken apart.
#[derive(Debug)]
pub(super) struct Envelope<'t> {
    /// The header blocks that are for us, in order.
    pub(super) headers: Vec<Element<'t>>,
    /// What the body holds.
    pub(super) body: Element<'t>,
}

/// A message of whose body nothing is known yet.
#[derive(Debug)]
pub(super) struct Opened<'t> {
    /// The header blocks that are for us, in order.
    pub(super) headers: Vec<Element<'t>>,
    /// The body.
    pub(super) body: Element<'t>,
}

pub(super) fn read<'t>(tree: &'t Tree, shape: &mut Shape) -> Result<Envelope<'t>, Problem> {
    let Opened { headers, body } = open(tree, shape)?;
    let body = only(body).ok_or(Problem::new(Fault::InvalidRequest, "soap: not one element in the body"))?;
    Ok(Envelope { headers, body })
}

/// The one child there is.
pub(super) fn only(body: Element<'_>) -> Option<Element<'_>> {
    let mut content = body.children();
    match (content.next(), content.next()) {
        (Some(child), None) if body.holds_only_elements() => Some(child),
        _ => None,
    }
}

pub(super) fn open<'t>(tree: &'t Tree, shape: &mut Shape) -> Result<Opened<'t>, Problem> {
    let root = tree.root();
    let soap = [Soap::V11, Soap::V12].into_iter().find(|version| root.is(version.namespace(), "Envelope"));
    shape.soap = soap.ok_or_else(|| match root.local() {
        "Envelope" => Problem::new(Fault::VersionMismatch, "soap: unknown version"),
        _ => Problem::new(Fault::Malformed, "soap: not an envelope"),
    })?;
    let namespace = shape.soap.namespace();
    let malformed = || Problem::new(Fault::Malformed, "soap: malformed envelope");

    let children: Vec<_> = root.children().collect();
    let (header, body) = match children[..] {
        [body] => (None, body),
        [header, body] if header.is(namespace, "Header") => (Some(header), body),
        _ => return Err(malformed()),
    };
    if !body.is(namespace, "Body") || !root.holds_only_elements() {
        return Err(malformed());
    }
    let headers = match header {
        Some(header) if header.holds_only_elements() => ours(header, shape)?,
        Some(_) => return Err(malformed()),
        None => Vec::new(),
    };
    Ok(Opened { headers, body })
}

fn ours<'t>(header: Element<'t>, shape: &mut Shape) -> Result<Vec<Element<'t>>, Problem> {
    let mut headers = Vec::new();
    for block in header.children() {
        if !is_for_us(block, shape.soap) {
            continue;
        }
        if understood(block) {
            headers.push(block);
        } else if mandatory(block, shape.soap)? {
            let soap = shape.soap;
            let stops = |block: &Element<'_>| matches!(mandatory(*block, soap), Ok(true));
            let blocks = header.children().filter(|block| is_for_us(*block, soap) && !understood(*block));
            shape.not_understood = not_understood::named(blocks.filter(stops));
            return Err(Problem::new(Fault::MustUnderstand, "soap: mandatory header not understood"));
        } else if addressing::is_misspelt_message_id(block) {
            headers.push(block);
        } else {
            // SOAP says to pass it over; it is counted, because some clients' say something they rely on.
            shape.note(Leniency::UnknownHeader);
        }
    }
    Ok(headers)
}

fn understood(block: Element<'_>) -> bool {
    block.is(names::WSSE, "Security") || addressing::knows(block)
}

fn is_for_us(block: Element<'_>, soap: Soap) -> bool {
    match soap {
        Soap::V11 => matches!(
            block.attribute(names::SOAP11, "actor"),
            None | Some("" | "http://schemas.xmlsoap.org/soap/actor/next")
        ),
        Soap::V12 => matches!(
            block.attribute(names::SOAP12, "role"),
            None | Some(
                "" | "http://www.w3.org/2003/05/soap-envelope/role/next"
                    | "http://www.w3.org/2003/05/soap-envelope/role/ultimateReceiver"
            )
        ),
    }
}

pub(super) fn mandatory(block: Element<'_>, soap: Soap) -> Result<bool, Problem> {
    match block.attribute(soap.namespace(), "mustUnderstand").map(crate::xml::chars::trim) {
        None | Some("0" | "false") => Ok(false),
        Some("1" | "true") => Ok(true),
        Some(_) => Err(Problem::new(Fault::Malformed, "soap: mustUnderstand is neither true nor false")),
    }
}
