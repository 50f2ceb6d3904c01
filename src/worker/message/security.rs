//! The `wsse:Security` header: one timestamp and one credential, a user name with a password or its digest, a
//! signature, an assertion, a JWT or a ticket, or one of these three and a signature by the key that it confirms or
//! brings. The values are handed on as they came; whether the time is right and the credential true is auth's to say.

use super::earlier::Before;
use super::envelope::Envelope;
use super::fault::Fault;
use super::rejection::Problem;
use super::shape::Shape;
use super::{Leniency, asserted, jwt, signed, ticket};
use crate::config::worker::Endpoint;
use crate::trust::timestamp;
use crate::trust::username::{self, Unusable};
use crate::wire::evidence::{ClientHandshake, Evidence, Presenter, Timestamp};
use crate::xml::{Element, Ids, Tree, derived, names};

/// Binary tokens in one header, at most (A-00d).
const MOST_TOKENS: usize = 8;

fn invalid(reason: &'static str) -> Problem {
    Problem::new(Fault::InvalidSecurity, reason)
}

fn unsupported(reason: &'static str) -> Problem {
    Problem::new(Fault::UnsupportedSecurityToken, reason)
}

/// Gives the credential, the timestamp, and the id of the signature when that is one of a certificate's key. `client`
/// is who has proved a certificate on this connection, which an assertion or a JWT may ask for; `server` the
/// certificate that he was shown; `before` what the signature covers, where it is not what stands here now that the
/// message is open.
pub(super) fn read(
    tree: &Tree,
    envelope: &Envelope<'_>,
    endpoint: &Endpoint,
    shape: &mut Shape,
    (client, server, before): (Option<&ClientHandshake>, [u8; 32], Option<Before>),
) -> Result<(Evidence, Option<Timestamp>, Option<String>), Problem> {
    let mut ours = envelope.headers.iter().filter(|block| block.is(names::WSSE, "Security"));
    let (Some(security), None) = (ours.next(), ours.next()) else {
        return Err(invalid("security: not one header"));
    };
    if !security.holds_only_elements() {
        return Err(invalid("security: text in the header"));
    }
    let ids = Ids::of(tree).map_err(|_| invalid("security: duplicate id"))?;

    let mut at = None;
    let (mut username, mut signature, mut assertion, mut token) = (None, None, None, None);
    let (mut tokens, mut references) = (Vec::new(), Vec::new());
    let (mut ticket, mut derives) = (None, false);
    let derivable = endpoint.credential.takes_ticket() || endpoint.credential.takes_assertion();
    for child in security.children() {
        match (child.uri(), child.local()) {
            (names::WSU, "Timestamp") if at.is_none() => {
                at = Some(timestamp::read(child, &mut |oddity| shape.passes(endpoint, oddity))?);
            }
            (names::WSSE, "UsernameToken") if username.is_none() => username = Some(child),
            (names::DS, "Signature") if signature.is_none() => signature = Some(child),
            (names::WSSE, "BinarySecurityToken") if jwt::is_one(&child) && token.is_none() => token = Some(child),
            (names::WSSE, "BinarySecurityToken") if ticket::is_one(&child) && ticket.is_none() => ticket = Some(child),
            (names::WSSE, "BinarySecurityToken") if is_other(&child) && tokens.len() < MOST_TOKENS => {
                tokens.push(child)
            }
            _ if derived::is_one(child) && derivable => derives = true,
            (names::WSSE, "SecurityTokenReference") if references.len() < MOST_TOKENS => references.push(child),
            (names::SAML11 | names::SAML20, "Assertion") if assertion.is_none() => assertion = Some(child),
            (names::WSU, "Timestamp")
            | (names::WSSE, "UsernameToken" | "BinarySecurityToken")
            | (names::SAML11 | names::SAML20, "Assertion") => return Err(invalid("security: token twice")),
            (names::SAML20, "EncryptedAssertion") => return Err(unsupported("security: encrypted assertion")),
            (names::WSSE | names::WSSE11 | names::DS | names::XENC | names::SAML11 | names::SAML20, _) => {
                return Err(unsupported("security: unsupported token"));
            }
            _ => return Err(invalid("security: unknown element")),
        }
    }
    shape.timestamp = at.is_some();
    if at.is_none() {
        shape.tolerate(endpoint, Leniency::TimestampAbsent, invalid("security: no timestamp"))?;
    }
    let place =
        signed::Place { envelope, security: *security, tokens: &tokens, assertion, references: &references, ids: &ids };
    let others = (username, token, ticket) != (None, None, None);
    let unread = match before {
        Some(Before::Verified(_)) => others || assertion.is_some(),
        Some(Before::Unverified(_)) => others,
        None => false,
    };
    if unread {
        return Err(unsupported("security: another credential beside a signature over what is sealed"));
    }
    if let Some(element) = ticket {
        let alone = tokens.is_empty() && username.is_none() && assertion.is_none() && token.is_none();
        if !alone || !endpoint.credential.takes_ticket() {
            return Err(unsupported("security: credential not offered here"));
        }
        let ticket = ticket::read(element, server)?;
        let evidence = match signature {
            Some(signature) => {
                let message = ticket::endorsing(signature, (element, &ticket), &place)?;
                Evidence::EndorsedTicket(ticket, message)
            }
            None if !references.is_empty() => return Err(unsupported("security: unsupported token")),
            None if derives => return Err(invalid("security: a derived key without a signature")),
            None => Evidence::Ticket(ticket),
        };
        return Ok((evidence, at, None));
    }
    // Beside an assertion that depends on its signature.
    if derives && (signature.is_none() || assertion.is_none()) {
        return Err(unsupported("security: derived key of nothing here"));
    }
    let alone = tokens.is_empty() && references.is_empty();
    let evidence = match (username, signature, assertion, token) {
        (Some(username), None, None, None) if alone && endpoint.credential.takes_username() => read_username(username)?,
        (None, Some(signature), None, None) if endpoint.credential.takes_signature() => {
            Evidence::Signature(match before {
                Some(before) => before.message(),
                None => signed::read(signature, &place)?,
            })
        }
        (None, Some(signature), Some(assertion), None) if endpoint.credential.takes_assertion() => match before {
            Some(_) if derives => return Err(unsupported("security: derived key of nothing here")),
            Some(before) => Evidence::Attested(asserted::read(assertion, &ids)?, before.message()),
            None => asserted::attested(assertion, signature, &place, derives)?,
        },
        (None, None, Some(assertion), None) if alone && endpoint.credential.takes_assertion() => {
            let assertion = asserted::read(assertion, &ids)?;
            match client {
                Some(client) => Evidence::Connected(assertion, client.clone()),
                None => Evidence::Assertion(assertion),
            }
        }
        (None, Some(signature), None, Some(token)) if endpoint.credential.takes_jwt() => {
            Evidence::Jwt(jwt::read(token)?, Presenter::Signed(signed::read(signature, &place)?))
        }
        (None, None, None, Some(token)) if alone && endpoint.credential.takes_jwt() => {
            let presenter = client.map_or(Presenter::Anybody, |client| Presenter::Connected(client.clone()));
            Evidence::Jwt(jwt::read(token)?, presenter)
        }
        (None, None, None, None) if tokens.is_empty() => return Err(invalid("security: no credential")),
        _ => return Err(unsupported("security: credential not offered here")),
    };
    // A MAC proves no key that a token could be bound to.
    let certified = !matches!(evidence, Evidence::EndorsedAssertion(..));
    let signature = signature.filter(|_| certified).and_then(|signature| signature.attribute("", "Id"));
    let signature = signature.map(str::to_owned);
    Ok((evidence, at, signature))
}

/// Is it a binary token that proves nobody by itself, as that of a certificate?
pub(super) fn is_other(token: &Element<'_>) -> bool {
    !jwt::is_one(token) && !ticket::is_one(token)
}

/// `wsse:UsernameToken` (R-W020).
pub(super) fn read_username(element: Element<'_>) -> Result<Evidence, Problem> {
    username::read(element).map_err(|unusable| match unusable {
        Unusable::Malformed(reason) => invalid(reason),
        Unusable::Unsupported(reason) => unsupported(reason),
        Unusable::Unproven(reason) => Problem::new(Fault::FailedAuthentication, reason),
    })
}
