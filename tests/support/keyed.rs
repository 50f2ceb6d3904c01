//! A client that seals a session key and makes a MAC with it. As in `signed`, the octets are canonical by hand.

use aws_lc_rs::hmac;
use chancery::wire::derivation::PartKey;
use chancery::wire::evidence::{KeyedMessage, MacAlgorithm};
use chancery::wire::{List, Octets, Secret};

use super::signed::{DS, EXCLUSIVE, Part, WSU, addressing};

const WSSE: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd";

/// The identifier of an algorithm, and its function.
pub(crate) fn algorithm(algorithm: MacAlgorithm) -> (&'static str, hmac::Algorithm) {
    match algorithm {
        MacAlgorithm::HmacSha1 => ("http://www.w3.org/2000/09/xmldsig#hmac-sha1", hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY),
        MacAlgorithm::HmacSha256 => ("http://www.w3.org/2001/04/xmldsig-more#hmac-sha256", hmac::HMAC_SHA256),
        MacAlgorithm::HmacSha384 => ("http://www.w3.org/2001/04/xmldsig-more#hmac-sha384", hmac::HMAC_SHA384),
        MacAlgorithm::HmacSha512 => ("http://www.w3.org/2001/04/xmldsig-more#hmac-sha512", hmac::HMAC_SHA512),
    }
}

/// A user name token, canonical.
pub(crate) fn username(name: &str, password: &str) -> Part {
    let octets = format!(
        "<o:UsernameToken xmlns:o=\"{WSSE}\" xmlns:u=\"{WSU}\" u:Id=\"ut\"><o:Username>{name}</o:Username>\
         <o:Password>{password}</o:Password></o:UsernameToken>"
    );
    Part { id: "ut", octets }
}

/// `ds:SignedInfo` over these parts, canonical.
pub(crate) fn signed_info(by: MacAlgorithm, parts: &[Part]) -> String {
    let references: String = parts.iter().map(Part::reference).collect();
    format!(
        "<ds:SignedInfo xmlns:ds=\"{DS}\"><ds:CanonicalizationMethod Algorithm=\"{EXCLUSIVE}\">\
         </ds:CanonicalizationMethod><ds:SignatureMethod Algorithm=\"{}\"></ds:SignatureMethod>{references}\
         </ds:SignedInfo>",
        algorithm(by).0
    )
}

/// A message over these parts by that key.
pub(crate) fn message(key: &[u8], by: MacAlgorithm, parts: &[Part]) -> KeyedMessage {
    over(key, by, &signed_info(by, parts), parts)
}

/// A message with a `SignedInfo` of one's own wording.
pub(crate) fn over(key: &[u8], by: MacAlgorithm, signed_info: &str, parts: &[Part]) -> KeyedMessage {
    let value = hmac::sign(&hmac::Key::new(algorithm(by).1, key), signed_info.as_bytes());
    let octets: Vec<_> = parts.iter().map(|part| Secret::new(part.octets.as_bytes()).expect("fits")).collect();
    KeyedMessage {
        key: PartKey::Session,
        algorithm: by,
        signed_info: Octets::new(signed_info.as_bytes()).expect("fits"),
        value: Octets::new(value.as_ref()).expect("fits"),
        parts: List::new(octets).expect("fits"),
        addressing: addressing(parts),
    }
}
