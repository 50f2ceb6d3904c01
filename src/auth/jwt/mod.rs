//! JWTs that others made. First the signature, by a key that is registered for the issuer who is said to have made it
//! and as that key signs; only then are header and claims read, in the octets that were signed. What they say of the
//! key and of the issuer must be what they were verified by. A header brings no key along, and names none that is
//! fetched.

mod account;
mod holder;
mod judge;
#[cfg(test)]
mod tests;

use aws_lc_rs::digest;

pub(super) use self::account::named_by;
pub(super) use self::holder::For;
use super::reason::Reason;
use super::signature::proves;
use crate::config::auth::Auth;
use crate::config::auth::jwks::Key;
use crate::config::auth::jwt::{self, JwtIssuer};
use crate::jose::Unreadable;
use crate::jose::claims::{self, Claims};
use crate::jose::compact::{self, Compact};
use crate::jose::header::{self, Header};
use crate::wire::evidence::{SignatureAlgorithm, SignedJwt};

/// Why a JWT proves nothing here.
#[derive(Debug)]
pub(super) struct Refused<'a> {
    /// The word.
    pub(super) reason: Reason,
    /// Whose JWT it is said to be, where that is somebody's.
    pub(super) issuer: Option<&'a JwtIssuer>,
    /// For the operator.
    pub(super) why: String,
}

/// A JWT that its issuer made.
#[derive(Debug)]
pub(super) struct Verified<'a> {
    /// Who made it.
    pub(super) issuer: &'a JwtIssuer,
    /// What it says.
    pub(super) claims: Claims,
}

/// Did an issuer make this JWT?
///
/// # Errors
/// [`Refused`] where none did, or where it is none that we read.
pub(super) fn verify<'a>(config: &'a Auth, signed: &SignedJwt) -> Result<Verified<'a>, Refused<'a>> {
    let Some(issuer) = jwt::find(&config.issuers, &signed.issuer) else {
        let why = format!("no issuer calls itself {:?}", signed.issuer.as_str());
        return Err(Refused { reason: Reason::UnknownIssuer, issuer: None, why });
    };
    let refused = |(reason, why): (Reason, &str)| Refused { reason, issuer: Some(issuer), why: why.to_owned() };
    let unreadable = |why| refused((Reason::UnreadableJwt, why));
    let parts = compact::apart(signed.octets.expose()).map_err(unreadable)?;
    let keys = issuer.keys.now();
    let key = signer(&keys, signed.algorithm, &parts).map_err(|why| {
        // By a key that its issuer has published since, perhaps.
        if let Some(source) = issuer.keys.source() {
            source.asked.notify_one();
        }
        refused(why)
    })?;
    let header = header::read(&parts.header).map_err(|why| match why {
        Unreadable::Shape(why) => unreadable(why),
        Unreadable::Algorithm => unreadable("a header that says it is signed as nothing is"),
    })?;
    // One key may be published by several names, each with its own algorithm.
    let named =
        |other: &&Key| other.key == key.key && other.id == header.key && other.algorithms.contains(&signed.algorithm);
    fits(issuer, keys.iter().find(named).unwrap_or(key), signed.algorithm, &header).map_err(refused)?;
    let claims = claims::read(&parts.claims).map_err(unreadable)?;
    // Whose keys were tried was the worker's word.
    if claims.issuer != issuer.issuer {
        return Err(refused((Reason::UnknownIssuer, "another issuer than the one whose key signed it")));
    }
    Ok(Verified { issuer, claims })
}

/// The key of this issuer that has signed it, in a way in which that key signs. Of several any may have.
fn signer<'a>(
    keys: &'a [Key],
    algorithm: SignatureAlgorithm,
    parts: &Compact<'_>,
) -> Result<&'a Key, (Reason, &'static str)> {
    let why = if keys.is_empty() { "its keys are not there yet" } else { "no key of this issuer signs so" };
    let mut closest = (Reason::SignatureAlgorithm, why);
    for key in keys.iter().filter(|key| key.algorithms.contains(&algorithm)) {
        match proves(&key.key, algorithm, parts.signed, &parts.signature) {
            Ok(()) => return Ok(key),
            Err(reason) => closest = (reason, "no key of this issuer signed it"),
        }
    }
    Err(closest)
}

/// Is the header that of a JWT signed so by this key, and of the kind that is taken from its issuer (R-J022)?
fn fits(
    issuer: &JwtIssuer,
    key: &Key,
    algorithm: SignatureAlgorithm,
    header: &Header,
) -> Result<(), (Reason, &'static str)> {
    if header.algorithm != algorithm {
        return Err((Reason::SignatureAlgorithm, "another algorithm than the one it was verified by"));
    }
    if header.key.is_some() && header.key != key.id {
        return Err((Reason::WrongSignature, "another key than the one it names has signed it"));
    }
    let kind = header.kind.as_deref();
    let taken = match &issuer.kind {
        Some(typ) => kind == Some(typ),
        None => kind.is_none_or(|kind| kind == "jwt"),
    };
    if taken { Ok(()) } else { Err((Reason::JwtType, "another typ than is taken from this issuer")) }
}

impl<'a> Verified<'a> {
    /// Of this one.
    pub(super) fn refused(&self, reason: Reason, why: impl Into<String>) -> Refused<'a> {
        Refused { reason, issuer: Some(self.issuer), why: why.into() }
    }

    /// What of it may be used once: its id, with its issuer. None where it has no id.
    pub(super) fn once(&self) -> Option<[u8; 32]> {
        let id = self.claims.id.as_ref()?;
        let mut context = digest::Context::new(&digest::SHA256);
        for text in [&self.claims.issuer, id] {
            context.update(&(text.len() as u64).to_be_bytes());
            context.update(text.as_bytes());
        }
        context.finish().as_ref().try_into().ok()
    }
}
