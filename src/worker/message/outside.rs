//! What proves a client who is proved by nothing in the message: the handshake of his TLS connection, as the front saw
//! it, or what the head of the request negotiates by. The security header is not needed then. Where there is one it has
//! a timestamp or nothing, for a second credential would be one that nobody looks at.

use super::envelope::Envelope;
use super::fault::Fault;
use super::rejection::Problem;
use super::shape::Shape;
use crate::config::worker::Endpoint;
use crate::trust::timestamp;
use crate::wire::evidence::{ClientHandshake, Evidence, Negotiation, Timestamp};
use crate::xml::{Ids, Tree, names};

/// The handshake.
pub(super) fn connected(client: Option<&ClientHandshake>) -> Result<Evidence, Problem> {
    let client = client.ok_or(Problem::new(Fault::FailedAuthentication, "tls: no client certificate"))?;
    Ok(Evidence::TlsCertificate(client.clone()))
}

/// What is negotiated by. A request without any is not read: the front asks for it.
pub(super) fn negotiated(negotiation: Option<Negotiation>) -> Result<Evidence, Problem> {
    let negotiation = negotiation.ok_or(Problem::new(Fault::FailedAuthentication, "negotiate: nothing"))?;
    Ok(Evidence::Negotiation(negotiation))
}

/// Gives the timestamp, if there is one.
pub(super) fn read(
    tree: &Tree,
    envelope: &Envelope<'_>,
    endpoint: &Endpoint,
    shape: &mut Shape,
) -> Result<Option<Timestamp>, Problem> {
    let invalid = |reason| Problem::new(Fault::InvalidSecurity, reason);
    let mut ours = envelope.headers.iter().filter(|block| block.is(names::WSSE, "Security"));
    let (security, None) = (ours.next(), ours.next()) else {
        return Err(invalid("security: not one header"));
    };
    if security.is_some_and(|security| !security.holds_only_elements()) {
        return Err(invalid("security: text in the header"));
    }
    Ids::of(tree).map_err(|_| invalid("security: duplicate id"))?;
    let mut at = None;
    for child in security.iter().flat_map(|security| security.children()) {
        match (child.uri(), child.local()) {
            (names::WSU, "Timestamp") if at.is_none() => {
                at = Some(timestamp::read(child, &mut |oddity| shape.passes(endpoint, oddity))?);
            }
            (names::WSU, "Timestamp") => return Err(invalid("security: token twice")),
            (names::WSSE | names::WSSE11 | names::DS | names::XENC | names::SAML11 | names::SAML20, _) => {
                let reason = "security: credential not offered here";
                return Err(Problem::new(Fault::UnsupportedSecurityToken, reason));
            }
            _ => return Err(invalid("security: unknown element")),
        }
    }
    shape.timestamp = at.is_some();
    Ok(at)
}
