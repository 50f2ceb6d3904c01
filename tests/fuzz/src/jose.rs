//! Octets as what JOSE writes: a JWT, its header, its claims, or a set of keys. What is read has one spelling where it
//! must have one, and means what another reader of JSON finds in it.

use base64ct::{Base64UrlUnpadded, Encoding};
use chancery::config::auth::jwks;
use chancery::jose::json::{DEEPEST, MOST, Object, Value};
use chancery::jose::{claims, compact, header, json, said};

/// A JWT; and the same octets as any piece of one.
pub fn jwt(octets: &[u8]) {
    let said = said(octets);
    match compact::apart(octets) {
        Ok(parts) => {
            let segments =
                [&parts.header, &parts.claims, &parts.signature].map(|part| Base64UrlUnpadded::encode_string(part));
            assert_eq!(segments.join(".").as_bytes(), octets, "a JWT has one spelling");
            assert!(octets.starts_with(parts.signed), "what is signed is what came");
            piece(&parts.header);
            piece(&parts.claims);
            let algorithm = header::read(&parts.header).map(|header| header.algorithm);
            assert!(said.is_err() || said.map(|(_, algorithm)| algorithm) == algorithm);
        }
        Err(_) => assert!(said.is_err(), "who is asked of pieces says nothing of what has none"),
    }
    piece(octets);
}

fn piece(octets: &[u8]) {
    let object = json::object(octets);
    if let Ok(object) = &object {
        let other: serde_json::Value = serde_json::from_slice(octets).expect("JSON to one reader is JSON to another");
        let mut left = MOST;
        same_object(object, &other, 1, &mut left);
        if let Ok(key) = jwks::public(object) {
            assert!(jwks::thumbprint(&key).is_some(), "what is a key is called by its content");
        }
    }
    for is_read in [header::read(octets).is_ok(), claims::read(octets).is_ok(), jwks::read(octets).is_ok()] {
        assert!(object.is_ok() || !is_read, "nothing is read of what is no object");
    }
    if let Ok(claims) = claims::read(octets) {
        assert!(claims.expires.0 >= 0 && claims.issued.0 >= 0 && !claims.issuer.is_empty());
    }
}

fn same_object(object: &Object, other: &serde_json::Value, depth: usize, left: &mut usize) {
    let members = other.as_object().expect("an object");
    assert_eq!(object.len(), members.len(), "no member is passed over");
    assert!(depth <= DEEPEST && *left > 0, "within its bounds");
    *left -= 1;
    object.iter().for_each(|(name, value)| same(value, &members[name], depth, left));
}

fn same(value: &Value, other: &serde_json::Value, depth: usize, left: &mut usize) {
    match value {
        Value::Object(object) => return same_object(object, other, depth + 1, left),
        Value::List(values) => {
            let others = other.as_array().expect("a list");
            assert!(values.len() == others.len() && depth < DEEPEST);
            values.iter().zip(others).for_each(|(value, other)| same(value, other, depth + 1, left));
        }
        Value::Null => assert!(other.is_null()),
        Value::Bool(value) => assert_eq!(other.as_bool(), Some(*value)),
        Value::Number(value) => assert_eq!(other.as_f64(), Some(*value)),
        Value::Text(value) => assert_eq!(other.as_str(), Some(value.as_str())),
    }
    *left = left.checked_sub(1).expect("within its bounds");
}
