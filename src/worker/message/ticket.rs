//! A ticket of Kerberos in the security header, handed on as evidence: its octets, and in which form they are said to
//! be. Nothing of them is read here. Beside it may stand a signature, which is a MAC by the key that the client shares
//! with the service by the ticket (R-W071): of that it is looked only which key it names. Whose ticket it is, and
//! whether the MAC holds, is auth's to say.

use super::fault::Fault;
use super::rejection::Problem;
use super::session::Session;
use super::signed::{self, Covered, Place, encoded, invalid};
use crate::trust::identifiers::{KERBEROS_SHA1, ticket_form};
use crate::trust::parts;
use crate::wire::evidence::{BinaryTicket, KeyedMessage, MOST_NEGOTIATED_OCTETS};
use crate::wire::{Octets, Secret};
use crate::xml::signature::base64;
use crate::xml::{Element, names};

/// Is it a `wsse:BinarySecurityToken` with a ticket?
pub(super) fn is_one(token: &Element<'_>) -> bool {
    token.attribute("", "ValueType").is_some_and(|kind| ticket_form(kind).is_some())
}

/// Reads the ticket. Without an encoding it is base64. `server` is the certificate that its client was shown.
pub(super) fn read(token: Element<'_>, server: [u8; 32]) -> Result<BinaryTicket, Problem> {
    let bad = invalid("ticket: bad binary token");
    let form = token.attribute("", "ValueType").and_then(ticket_form).ok_or(bad)?;
    let octets = base64(encoded(token)?, MOST_NEGOTIATED_OCTETS).filter(|octets| !octets.is_empty()).ok_or(bad)?;
    Ok(BinaryTicket { form, token: Secret::new(octets).map_err(|_| bad)?, server })
}

/// Reads the MAC beside it.
pub(super) fn endorsing<'t>(
    signature: Element<'t>,
    (token, ticket): (Element<'t>, &BinaryTicket),
    place: &Place<'_, 't>,
) -> Result<KeyedMessage, Problem> {
    let Covered { signature, signed_info, parts, addressing, .. } =
        signed::under_mac(signed::covered(signature, place)?)?;
    let algorithm = parts::mac(signature.info.method);
    let unsupported = Problem::new(Fault::UnsupportedSecurityToken, "ticket: a signature that is no MAC beside it");
    let algorithm = algorithm.ok_or(unsupported)?;
    let bad = invalid("signature: bad key information");
    let named = signature.key_info.and_then(Element::only_child).ok_or(bad)?;
    let kind = token.attribute("", "ValueType").ok_or(bad)?;
    let id = token.attribute(names::WSU, "Id");
    let session = Session::of(place.security, id, ticket.token.expose(), [kind, KERBEROS_SHA1])?;
    let key = session.named(named)?;
    let value = Octets::new(signature.value).map_err(|_| invalid("signature: bad MAC"))?;
    Ok(KeyedMessage { key, algorithm, signed_info, value, parts, addressing })
}
