//! WS-Addressing headers of a request. Addresses in them are compared and never opened (A-18, R-T152).
//!
//! `wsa:To` may say anything here: the connection already names the server, and only where a message is
//! signed does the header prove something, which is auth's to check (R-T154).

use super::Leniency;
use super::fault::Fault;
use super::rejection::Problem;
use super::shape::{Addressing, Shape};
use crate::config::worker::Endpoint;
use crate::trust::parts::Part;
use crate::wire::List;
use crate::wire::evidence::{AddressingHeader, MOST_ADDRESSING_HEADERS};
use crate::xml::Element;
use crate::xml::chars::trim;

/// The longest header value that is echoed.
const LONGEST: usize = 1024;

fn version(block: Element<'_>) -> Option<Addressing> {
    [Addressing::W3c, Addressing::Submission].into_iter().find(|version| version.namespace() == block.uri())
}

/// Is this an addressing header?
pub(super) fn knows(block: Element<'_>) -> bool {
    version(block).is_some() && AddressingHeader::named(block.local()).is_some()
}

/// MSAL for Go and Java and ADAL for Node send it so. AD FS takes it for no header at all, and so do we.
pub(super) fn is_misspelt_message_id(block: Element<'_>) -> bool {
    version(block).is_some() && block.local() == "messageID"
}

/// Reads the headers and gives `wsa:Action`.
pub(super) fn read(headers: &[Element<'_>], endpoint: &Endpoint, shape: &mut Shape) -> Result<Option<String>, Problem> {
    let invalid = |reason| Problem::new(Fault::InvalidAddressingHeader, reason);
    let mut seen: Vec<&str> = Vec::new();
    let mut action = None;
    for block in headers {
        let Some(version) = version(*block) else { continue };
        if shape.addressing.is_some_and(|other| other != version) {
            return Err(invalid("addressing: two versions"));
        }
        shape.addressing = Some(version);
        let name = block.local();
        if name != "RelatesTo" && seen.contains(&name) {
            return Err(invalid("addressing: header twice"));
        }
        seen.push(name);
        match name {
            "messageID" => {
                shape.misspelt_id = value(*block).ok();
                shape.tolerate(endpoint, Leniency::MessageIdCase, invalid("addressing: unknown header"))?;
            }
            "Action" => action = Some(value(*block)?),
            "MessageID" => shape.message_id = Some(value(*block)?),
            "ReplyTo" | "FaultTo" => reply_address(*block, version)?,
            "To" => drop(value(*block)?),
            _ => {}
        }
    }
    if action.is_none() {
        let missing = Problem::new(Fault::AddressingRequired, "addressing: no action");
        shape.tolerate(endpoint, Leniency::AddressingAbsent, missing)?;
    }
    Ok(action)
}

/// Which there are, for auth, which wants each under the signature (R-W042). Those that are for another are not read
/// here, and `messageID` is none.
pub(super) fn present(headers: &[Element<'_>]) -> Result<List<AddressingHeader, MOST_ADDRESSING_HEADERS>, Problem> {
    let header = |block: &Element<'_>| match Part::of(*block) {
        Part::Addressing(header) => Some(header),
        _ => None,
    };
    let present: Vec<_> = headers.iter().filter_map(header).collect();
    List::new(present).map_err(|_| Problem::new(Fault::InvalidAddressingHeader, "addressing: too many headers"))
}

fn value(block: Element<'_>) -> Result<String, Problem> {
    let value = block.text().map(trim).filter(|text| !text.is_empty() && text.len() <= LONGEST);
    value.map(str::to_owned).ok_or(Problem::new(Fault::InvalidAddressingHeader, "addressing: bad header value"))
}

/// We answer on the connection the request came over, and nowhere else. Reference parameters would be echoed
/// as headers of a stranger's choice, so they are refused (R-T153).
fn reply_address(block: Element<'_>, version: Addressing) -> Result<(), Problem> {
    let namespace = version.namespace();
    let mut address = None;
    for child in block.children() {
        if child.is(namespace, "Address") && address.is_none() {
            address = Some(value(child)?);
        } else if !child.is(namespace, "Metadata") {
            return Err(Problem::new(Fault::InvalidAddressingHeader, "addressing: bad reply endpoint"));
        }
    }
    match address.as_deref() {
        Some(
            "http://www.w3.org/2005/08/addressing/anonymous"
            | "http://www.w3.org/2005/08/addressing/none"
            | "http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous",
        ) => Ok(()),
        Some(_) => Err(Problem::new(Fault::OnlyAnonymousAddressSupported, "addressing: reply to elsewhere")),
        None => Err(Problem::new(Fault::InvalidAddressingHeader, "addressing: bad reply endpoint")),
    }
}

/// Holds `wsa:Action` against what the transport said, where it said anything (R-T002, A-44).
pub(super) fn reconcile(action: Option<String>, transport: &[Option<&str>]) -> Result<Option<String>, Problem> {
    let mut agreed = action;
    for said in transport.iter().flatten() {
        let said = said.trim();
        let said = said.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(said);
        match &agreed {
            _ if said.is_empty() => {}
            Some(action) if action != said => {
                return Err(Problem::new(Fault::ActionMismatch, "addressing: actions do not agree"));
            }
            Some(_) => {}
            None => agreed = Some(said.to_owned()),
        }
    }
    Ok(agreed)
}

impl Addressing {
    /// `wsa:Action` of a fault; the codes of WS-Addressing itself have their own.
    pub(super) fn fault_action(self, own: bool) -> &'static str {
        match (self, own) {
            (Self::W3c, false) => "http://www.w3.org/2005/08/addressing/soap/fault",
            (Self::W3c, true) => "http://www.w3.org/2005/08/addressing/fault",
            (Self::Submission, _) => "http://schemas.xmlsoap.org/ws/2004/08/addressing/fault",
        }
    }

    /// The address of the back channel.
    pub(super) fn anonymous(self) -> &'static str {
        match self {
            Self::W3c => "http://www.w3.org/2005/08/addressing/anonymous",
            Self::Submission => "http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous",
        }
    }
}
