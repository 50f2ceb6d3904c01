//! A MAC beside an assertion, by a key that the assertion has for its holder: how it names that, what else it may not
//! be, and that nothing of the message is sealed by it.

use super::super::sealed::sealed;
use super::asserted::{ASSERTION_ID, SAML_ID, endpoint_for, message, message_signature, new, old, signature, str};
use super::*;
use crate::trust::identifiers::{ENCRYPTED_KEY, ENCRYPTED_KEY_SHA1};
use crate::wire::derivation::{Derivation, PartKey};
use crate::wire::evidence::{KeyedMessage, MacAlgorithm, SignedAssertion};

const RSA: &str = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";
const HMAC: &str = "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256";

/// What an assertion has for its holder, at the place of its key.
const KEY: &str = "<ds:KeyInfo xmlns:ds='http://www.w3.org/2000/09/xmldsig#'><x:EncryptedKey Id='ek' \
xmlns:x='http://www.w3.org/2001/04/xmlenc#'><x:EncryptionMethod Algorithm='http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p'/>\
<ds:KeyInfo><ds:X509Data><ds:X509SKI>AAEC</ds:X509SKI></ds:X509Data></ds:KeyInfo><x:CipherData><x:CipherValue>AAEC</x:CipherValue>\
</x:CipherData></x:EncryptedKey></ds:KeyInfo>";

fn held() -> String {
    new("_a", &signature("_a")).replace("</m:Subject>", &format!("{KEY}</m:Subject>"))
}

fn old_held() -> String {
    old("_a", &signature("_a")).replace("<m:Conditions/>", &format!("<m:Conditions>{KEY}</m:Conditions>"))
}

/// A MAC over the timestamp by the key that this names.
fn mac(named: &str) -> String {
    message_signature(named).replace(RSA, HMAC).replace("<ds:Signature ", "<ds:Signature Id='s' ")
}

fn identifier(kind: &str, id: &str) -> String {
    str(&format!("<o:KeyIdentifier ValueType='{kind}'>{id}</o:KeyIdentifier>"))
}

fn reference(id: &str) -> String {
    str(&format!("<o:Reference URI='#{id}'/>"))
}

fn derived(source: &str) -> String {
    format!(
        "<c:DerivedKeyToken xmlns:c='{}' u:Id='d'>{source}<c:Offset>0</c:Offset><c:Length>24</c:Length>\
         <c:Nonce>AAECAwQFBgcICQoLDA0ODw==</c:Nonce></c:DerivedKeyToken>",
        names::WSC13
    )
}

fn endorsed(credential: String) -> (SignedAssertion, KeyedMessage) {
    match message(credential).accepted(&endpoint_for(Credential::Saml)).evidence {
        Evidence::EndorsedAssertion(assertion, message) => (assertion, message),
        other => panic!("an assertion and a MAC: {other:?}"),
    }
}

#[test]
fn a_mac_names_the_assertion_whose_key_it_is_by_or_one_derived_from_that_r_w060() {
    for (assertion, named) in [
        (held(), identifier(SAML_ID, "_a")),
        (held(), identifier(SAML_ID, "#_a")),
        (held(), identifier(SAML_ID, "\n _a ")),
        (held(), reference("_a")),
        (old_held(), identifier(ASSERTION_ID, "_a")),
        (old_held(), reference("_a")),
    ] {
        for credential in [format!("{assertion}{}", mac(&named)), mac(&named) + &assertion] {
            let (signed, message) = endorsed(credential);
            assert_eq!((signed.issuer.as_str(), message.key), ("urn:agency", PartKey::Session), "{named}");
            assert_eq!((message.algorithm, message.parts.len()), (MacAlgorithm::HmacSha256, 1));
            // Of the key nothing is handed on but what its partner has signed.
            assert!(std::str::from_utf8(signed.octets.expose()).unwrap().contains("<x:EncryptedKey "));
        }
        let (_, message) = endorsed(format!("{assertion}{}{}", derived(&named), mac(&reference("d"))));
        let nonce: Vec<u8> = (0..16).collect();
        assert_eq!(message.key, PartKey::Derived(Derivation::new(None, nonce, 0, 24).unwrap()), "{named}");
    }
    let sha1 = mac(&reference("_a")).replace(HMAC, "http://www.w3.org/2000/09/xmldsig#hmac-sha1");
    assert_eq!(endorsed(held() + &sha1).1.algorithm, MacAlgorithm::HmacSha1);
}

#[test]
fn a_mac_by_no_key_of_the_assertion_is_refused() {
    let (invalid, unsupported) = (Fault::InvalidSecurity, Fault::UnsupportedSecurityToken);
    let (unavailable, other) = (Fault::SecurityTokenUnavailable, "security: reference to another kind of key");
    let data = "<ds:X509Data><ds:X509Certificate>AAEC</ds:X509Certificate></ds:X509Data>";
    for (credential, fault, reason) in [
        (held() + &mac(&identifier(SAML_ID, "_b")), unavailable, "security: no such key"),
        (held() + &mac(&identifier(SAML_ID, "")), unavailable, "security: no such key"),
        (held() + &mac(&reference("_0")), unavailable, "security: no such key"),
        // The sealed key by itself is none that a message knows.
        (held() + &mac(&reference("ek")), unavailable, "security: no such key"),
        (held() + &mac(&identifier(ENCRYPTED_KEY_SHA1, "AAECAwQFBgcICQoLDA0ODxAREhM=")), unsupported, other),
        (held() + &mac(&reference("ek").replace("/>", &format!(" ValueType='{ENCRYPTED_KEY}'/>"))), unsupported, other),
        (held() + &mac(&identifier(ASSERTION_ID, "_a")), unsupported, other),
        (held() + &mac(data), unsupported, other),
        (held() + &mac("<ds:KeyName>k</ds:KeyName>"), unsupported, other),
        (held() + &mac(""), invalid, "signature: bad key information"),
        (held() + &derived(&reference("_a")), unsupported, "security: derived key of nothing here"),
        (
            held() + &derived(&reference("_a")) + &message_signature(&reference("_a")),
            unsupported,
            "security: derived key of nothing here",
        ),
        (held() + &derived(&reference("d")) + &mac(&reference("d")), unavailable, "security: no such key"),
        (held() + &derived(&reference("ek")) + &mac(&reference("d")), unavailable, "security: no such key"),
        (
            held() + &mac(&reference("_a")) + &mac(&reference("_a")).replace("'s'", "'s2'"),
            unsupported,
            "security: unsupported token",
        ),
        (mac(&reference("_a")), unavailable, "signature: no such token"),
    ] {
        let refused = message(credential.clone()).read(&endpoint_for(Credential::Any)).unwrap_err();
        assert_eq!((refused.fault(), refused.reason()), (fault, reason), "{credential}");
    }
    // A MAC is nobody's certificate: no token is bound to its key.
    let bound = Message {
        more: "<t:UseKey Sig='s'/>".to_owned(),
        key_type: format!("<t:KeyType>{}/PublicKey</t:KeyType>", names::WST13),
        ..message(held() + &mac(&reference("_a")))
    };
    assert_eq!(bound.read(&endpoint_for(Credential::Saml)).unwrap_err().reason(), UNPROVEN.reason);
}

#[test]
fn a_key_that_an_assertion_has_for_its_holder_seals_nothing_of_the_message() {
    let endpoint = Endpoint { encryption: true, ..endpoint_for(Credential::Saml) };
    let apart = |credential: &str| {
        let body = message(credential.to_owned()).xml();
        let incoming = Incoming { content_type: Some(SOAP12), soap_action: None, body: body.as_bytes() };
        sealed(&endpoint, &incoming).map(|sealed| sealed.is_some()).map_err(|rejection| rejection.reason())
    };
    for assertion in [held(), old_held()] {
        assert_eq!(apart(&(assertion + &mac(&reference("_a")))), Ok(false));
    }
    // One that stands anywhere else is still to seal something.
    let alone = KEY.replace("<ds:KeyInfo xmlns:ds='http://www.w3.org/2000/09/xmldsig#'><x:", "<x:");
    let alone = alone.strip_suffix("</ds:KeyInfo>").unwrap().replace("<ds:", "<d:").replace("</ds:", "</d:");
    let alone = alone
        .replace("<x:EncryptedKey ", &format!("<x:EncryptedKey xmlns:d='{}' ", names::DS))
        .replace("'ek'", "'ek2'");
    assert!(apart(&format!("{}{alone}", held())).is_err());
    let wrapped = format!("<w:W xmlns:w='urn:w'>{}</w:W>", held());
    assert_eq!(apart(&wrapped), Err("encryption: key at no place for one"));
}
