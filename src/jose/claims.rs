//! The claims of a JWT: those that RFC 7519 and 7800 give a meaning, each checked to be what it should, and all of them
//! by name. To be read when the octets are verified.

use super::compact::base64url;
use super::json::{self, Object, Value};
use crate::wire::Millis;

/// Audiences of one JWT, at most.
const MOST_AUDIENCES: usize = 32;
/// Octets of `jti`, at most.
const LONGEST_ID: usize = 1024;
/// Seconds: the last ones of the year 9999.
const LAST: f64 = 253_402_300_799.0;

/// Why they are not read: for the operator.
pub type Read<T> = Result<T, &'static str>;

/// The claims.
#[derive(Debug)]
pub struct Claims {
    /// `iss`.
    pub issuer: String,
    /// `aud`.
    pub audiences: Vec<String>,
    /// `exp`.
    pub expires: Millis,
    /// `nbf`.
    pub not_before: Option<Millis>,
    /// `iat`.
    pub issued: Millis,
    /// `auth_time` (OpenID Connect Core 2): when its subject proved himself.
    pub authenticated: Option<Millis>,
    /// `jti`.
    pub id: Option<String>,
    /// `cnf`.
    pub confirmation: Option<Confirmation>,
    /// All of them.
    pub all: Object,
}

/// `cnf` (RFC 7800): whoever presents it must prove that he has this key.
#[derive(Debug, Clone, PartialEq)]
pub enum Confirmation {
    /// `x5t#S256` (RFC 8705 3.1): SHA-256 of a certificate, DER.
    Certificate([u8; 32]),
    /// `jkt` (RFC 9449 6.1): the thumbprint of a key (RFC 7638), SHA-256.
    Thumbprint([u8; 32]),
    /// `jwk`: a key.
    Key(Object),
    /// Something else, or more than one of them.
    Other,
}

/// Reads the claims.
///
/// # Errors
/// A clause for the operator.
pub fn read(octets: &[u8]) -> Read<Claims> {
    let all = json::object(octets)?;
    // A token that says what happened (RFC 8417), such as that its subject has logged out, proves nobody.
    if all.contains_key("events") {
        return Err("a token of events");
    }
    let date = |name| all.get(name).map(numeric_date).transpose();
    Ok(Claims {
        issuer: text(&all, "iss")?.ok_or("no iss")?,
        audiences: all.get("aud").map_or(Err("no aud"), audiences)?,
        expires: date("exp")?.ok_or("no exp")?,
        not_before: date("nbf")?,
        issued: date("iat")?.ok_or("no iat")?,
        authenticated: date("auth_time")?,
        id: text(&all, "jti")?,
        confirmation: all.get("cnf").map(confirmation).transpose()?,
        all,
    })
}

fn text(all: &Object, name: &str) -> Read<Option<String>> {
    match all.get(name) {
        None => Ok(None),
        Some(Value::Text(text)) if !text.is_empty() && text.len() <= LONGEST_ID => Ok(Some(text.clone())),
        Some(_) => Err("an identifier that is no text, empty or too long"),
    }
}

/// A text, or several in a list.
fn audiences(value: &Value) -> Read<Vec<String>> {
    let one = |value: &Value| match value {
        Value::Text(text) => Ok(text.clone()),
        _ => Err("an aud that is not text"),
    };
    match value {
        Value::List(values) if values.len() <= MOST_AUDIENCES => values.iter().map(one).collect(),
        Value::List(_) => Err("more of aud than are read"),
        value => Ok(vec![one(value)?]),
    }
}

/// Seconds since 1970, which may have a fraction (R-J023).
#[expect(clippy::cast_possible_truncation, reason = "in these bounds milliseconds are exact integers")]
fn numeric_date(value: &Value) -> Read<Millis> {
    match value {
        Value::Number(seconds) if (0.0..=LAST).contains(seconds) => Ok(Millis((seconds * 1000.0).floor() as i64)),
        _ => Err("a date that is none"),
    }
}

fn confirmation(value: &Value) -> Read<Confirmation> {
    let Value::Object(members) = value else { return Err("a cnf that is no object") };
    let mut members = members.iter();
    // Of two each would say who may present it.
    let (Some((name, value)), None) = (members.next(), members.next()) else { return Ok(Confirmation::Other) };
    let hash = || match value {
        Value::Text(text) => base64url(text).and_then(|octets| octets.try_into().ok()).ok_or("a hash that is none"),
        _ => Err("a hash that is none"),
    };
    Ok(match (name.as_str(), value) {
        ("x5t#S256", _) => Confirmation::Certificate(hash()?),
        ("jkt", _) => Confirmation::Thumbprint(hash()?),
        ("jwk", Value::Object(key)) => Confirmation::Key(key.clone()),
        _ => Confirmation::Other,
    })
}
