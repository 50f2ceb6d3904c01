//! A JWT in the security header, handed on as evidence: its octets, who it says has issued it and how it says that it
//! is signed. Whether the signature holds, and what the JWT means, is auth's to say. Beside it goes what may confirm
//! that it is for whoever presents it.

use super::fault::Fault;
use super::rejection::Problem;
use super::signed::encoded;
use crate::jose::{self, Unreadable};
use crate::trust::binary::JWT;
use crate::wire::evidence::{MOST_JWT_OCTETS, SignedJwt};
use crate::wire::{Secret, Text};
use crate::xml::Element;
use crate::xml::signature::base64;

fn invalid(reason: &'static str) -> Problem {
    Problem::new(Fault::InvalidSecurity, reason)
}

/// Is it a `wsse:BinarySecurityToken` with a JWT?
pub(super) fn is_one(token: &Element<'_>) -> bool {
    token.attribute("", "ValueType") == Some(JWT)
}

/// Reads the JWT. Without an encoding it is base64, of the compact serialisation.
pub(super) fn read(token: Element<'_>) -> Result<SignedJwt, Problem> {
    let octets = base64(encoded(token)?, MOST_JWT_OCTETS).ok_or(invalid("jwt: bad binary token"))?;
    let (issuer, algorithm) = jose::said(&octets).map_err(|why| match why {
        Unreadable::Shape(_) => invalid("jwt: not of the grammar"),
        Unreadable::Algorithm => Problem::new(Fault::UnsupportedAlgorithm, "jwt: algorithm not offered"),
    })?;
    Ok(SignedJwt {
        issuer: Text::new(issuer).map_err(|_| invalid("jwt: not of the grammar"))?,
        algorithm,
        octets: Secret::new(octets).map_err(|_| invalid("jwt: bad binary token"))?,
    })
}
