use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256};
use base64ct::{Base64, Encoding};

use super::*;
use crate::wire::{List, Octets};

const KEY: [u8; 32] = [7; 32];
const PART: &str = "<a id=\"x\"></a>";

/// A message under a MAC, whose one part is digested so.
fn keyed(method: &str, function: &'static digest::Algorithm) -> KeyedMessage {
    let ds = "http://www.w3.org/2000/09/xmldsig#";
    let exclusive = "http://www.w3.org/2001/10/xml-exc-c14n#";
    let value = Base64::encode_string(digest(function, PART.as_bytes()).as_ref());
    let signed_info = format!(
        "<ds:SignedInfo xmlns:ds=\"{ds}\"><ds:CanonicalizationMethod Algorithm=\"{exclusive}\"></ds:CanonicalizationMethod>\
         <ds:SignatureMethod Algorithm=\"http://www.w3.org/2001/04/xmldsig-more#hmac-sha256\"></ds:SignatureMethod>\
         <ds:Reference URI=\"#x\"><ds:Transforms><ds:Transform Algorithm=\"{exclusive}\"></ds:Transform></ds:Transforms>\
         <ds:DigestMethod Algorithm=\"{method}\"></ds:DigestMethod><ds:DigestValue>{value}</ds:DigestValue></ds:Reference>\
         </ds:SignedInfo>"
    );
    let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &KEY), signed_info.as_bytes());
    KeyedMessage {
        key: PartKey::Session,
        algorithm: MacAlgorithm::HmacSha256,
        signed_info: Octets::new(signed_info).unwrap(),
        value: Octets::new(mac.as_ref()).unwrap(),
        parts: List::new([Secret::new(PART).unwrap()]).unwrap(),
        addressing: List::default(),
    }
}

#[test]
fn under_a_mac_too_sha1_digests_where_that_leniency_is_named_and_by_no_other() {
    let covers = |endpoint: &Endpoint, message: &KeyedMessage| {
        let signed = authentic(&KEY, message).unwrap();
        signed.covers(endpoint).map(drop).map_err(|unproven| unproven.reason)
    };
    let others = Endpoint { rsa_sha1: true, hmac_sha1: true, ..Endpoint::default() };
    let named = Endpoint { reference_sha1: true, ..Endpoint::default() };
    let sha256 = keyed("http://www.w3.org/2001/04/xmlenc#sha256", &SHA256);
    let sha1 = keyed("http://www.w3.org/2000/09/xmldsig#sha1", &SHA1_FOR_LEGACY_USE_ONLY);
    assert_eq!((covers(&others, &sha256), covers(&named, &sha256)), (Ok(()), Ok(())));
    assert_eq!((covers(&others, &sha1), covers(&named, &sha1)), (Err(Reason::Sha1), Ok(())));
    let other = KeyedMessage { parts: List::new([Secret::new("<a id=\"y\"></a>").unwrap()]).unwrap(), ..sha1 };
    assert_eq!(covers(&named, &other), Err(Reason::WrongDigest));
}
