//! Assertions in the security header: what of them is handed on, and every way in which a signature may be beside
//! an assertion and not over it.

use super::*;
use crate::wire::Octets;
use crate::wire::evidence::{KeyReference, SignatureAlgorithm, SignedAssertion, SignedMessage};
use crate::wire::key::{Curve, PublicKey};

const DIGEST: &str = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
const EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";

/// A `ds:Signature` over that id, enveloped.
pub(super) fn signature(id: &str) -> String {
    let ds = names::DS;
    format!(
        "<ds:Signature xmlns:ds='{ds}'><ds:SignedInfo><ds:CanonicalizationMethod Algorithm='{EXCLUSIVE}'/>\
         <ds:SignatureMethod Algorithm='http://www.w3.org/2001/04/xmldsig-more#rsa-sha256'/>\
         <ds:Reference URI='#{id}'><ds:Transforms><ds:Transform Algorithm='{ds}enveloped-signature'/>\
         <ds:Transform Algorithm='{EXCLUSIVE}'/></ds:Transforms>\
         <ds:DigestMethod Algorithm='http://www.w3.org/2001/04/xmlenc#sha256'/>\
         <ds:DigestValue>{DIGEST}</ds:DigestValue></ds:Reference></ds:SignedInfo>\
         <ds:SignatureValue>AAECAwQF</ds:SignatureValue><ds:KeyInfo><ds:X509Data/></ds:KeyInfo></ds:Signature>"
    )
}

pub(super) fn new(id: &str, signature: &str) -> String {
    format!(
        "<m:Assertion xmlns:m='{}' Version='2.0' ID='{id}'><m:Issuer>urn:agency</m:Issuer>{signature}\
         <m:Subject><m:NameID>sam</m:NameID></m:Subject></m:Assertion>",
        names::SAML20
    )
}

pub(super) fn old(id: &str, signature: &str) -> String {
    format!(
        "<m:Assertion xmlns:m='{}' Issuer='urn:agency' AssertionID='{id}'><m:Conditions/>{signature}</m:Assertion>",
        names::SAML11
    )
}

pub(super) fn message(credential: String) -> Message {
    Message { username: credential, ..Message::default() }
}

pub(super) fn endpoint_for(credential: Credential) -> Endpoint {
    Endpoint { credential, ..generic() }
}

fn taken(credential: String) -> SignedAssertion {
    match message(credential).accepted(&endpoint_for(Credential::Saml)).evidence {
        Evidence::Assertion(signed) => signed,
        other => panic!("an assertion: {other:?}"),
    }
}

fn text(octets: &[u8]) -> &str {
    std::str::from_utf8(octets).unwrap()
}

#[test]
fn an_assertion_is_handed_on_without_its_signature_and_its_surroundings() {
    let signed = taken(new("_a", &signature("_a")));
    assert_eq!(
        text(signed.octets.expose()),
        format!(
            "<m:Assertion xmlns:m=\"{}\" ID=\"_a\" Version=\"2.0\"><m:Issuer>urn:agency</m:Issuer><m:Subject>\
             <m:NameID>sam</m:NameID></m:Subject></m:Assertion>",
            names::SAML20
        )
    );
    assert!(text(&signed.signed_info).starts_with(&format!("<ds:SignedInfo xmlns:ds=\"{}\">", names::DS)));
    assert_eq!((signed.issuer.as_str(), signed.algorithm), ("urn:agency", SignatureAlgorithm::RsaSha256));
    assert_eq!(&*signed.value, [0, 1, 2, 3, 4, 5]);
    let signed = taken(old("_a", &signature("_a")));
    assert_eq!(signed.issuer.as_str(), "urn:agency");
    assert!(text(signed.octets.expose()).ends_with("<m:Conditions></m:Conditions></m:Assertion>"));
}

#[test]
fn an_assertion_comes_alone_and_where_one_is_offered() {
    let one = || new("_a", &signature("_a"));
    message(one()).accepted(&endpoint_for(Credential::Any));
    for credential in [Credential::Username, Credential::Signature] {
        let refused = message(one()).read(&endpoint_for(credential)).unwrap_err();
        assert_eq!(refused.fault(), Fault::UnsupportedSecurityToken, "{credential:?}");
    }
    let username = Message::default().username;
    let token = "<o:BinarySecurityToken u:Id='x'>AAEC</o:BinarySecurityToken>";
    for (more, fault, reason) in [
        (username.as_str(), Fault::UnsupportedSecurityToken, "security: credential not offered here"),
        (token, Fault::UnsupportedSecurityToken, "security: credential not offered here"),
        (&new("_b", &signature("_b")), Fault::InvalidSecurity, "security: token twice"),
        (&old("_b", &signature("_b")), Fault::InvalidSecurity, "security: token twice"),
        (&new("_a", ""), Fault::InvalidSecurity, "security: duplicate id"),
    ] {
        for credential in [format!("{}{more}", one()), format!("{more}{}", one())] {
            let refused = message(credential).read(&endpoint_for(Credential::Any)).unwrap_err();
            assert_eq!((refused.fault(), refused.reason()), (fault, reason), "{more}");
        }
    }
    let encrypted = format!("<m:EncryptedAssertion xmlns:m='{}'/>", names::SAML20);
    let refused = message(encrypted).read(&endpoint_for(Credential::Any)).unwrap_err();
    assert_eq!((refused.fault(), refused.reason()), (Fault::UnsupportedSecurityToken, "security: encrypted assertion"));
}

/// The shapes of threats.md 9.1, with a signature that is right for something.
#[test]
fn a_signature_that_is_not_over_the_assertion_it_stands_in_is_none() {
    const PLACE: &str = "assertion: not one signature at its place";
    const OTHER: &str = "assertion: signature over something else";
    const GRAMMAR: &str = "assertion: signature not of the grammar";
    let (ours, inner) = (signature("_a"), new("_b", &signature("_b")));
    let in_object =
        |what: &str| ours.replace("</ds:Signature>", &format!("<ds:Object>{what}</ds:Object></ds:Signature>"));
    let signed = new("_a", &ours);
    for (what, credential, reason) in [
        ("no signature", new("_a", ""), PLACE),
        ("two signatures", new("_a", &ours.repeat(2)), PLACE),
        (
            "a signature behind",
            signed.replace(&ours, "").replace("</m:Assertion>", &format!("{ours}</m:Assertion>")),
            PLACE,
        ),
        (
            "a signature before",
            signed.replace(&ours, "").replace("<m:Issuer>", &format!("{ours}<m:Issuer>")),
            "assertion: no issuer",
        ),
        (
            "a signature further down",
            signed.replace(&ours, "").replace("</m:Subject>", &format!("{ours}</m:Subject>")),
            PLACE,
        ),
        (
            "an old one before",
            old("_a", &ours).replace(&ours, "").replace("<m:Conditions/>", &format!("{ours}<m:Conditions/>")),
            PLACE,
        ),
        ("two old ones", old("_a", &ours.repeat(2)), PLACE),
        ("over the one inside (XSW4)", new("_a", &format!("{}{inner}", signature("_b"))), OTHER),
        ("over the one in its object (XSW8)", new("_a", &in_object(&inner)), GRAMMAR),
        ("over the one in it (XSW6)", new("_a", &signature("_b").replace("<ds:X509Data/>", &new("_b", ""))), OTHER),
        ("over the timestamp", new("_a", &signature("_0")), OTHER),
        ("over the whole document", new("_a", &signature("_a").replace("#_a", "")), OTHER),
        ("over nothing", new("_a", &signature("_c")), OTHER),
        ("by another id of it", new("_a", &signature("_w")).replace(" ID=", " u:Id='_w' ID="), OTHER),
        ("over it and more", new("_a", &two_references(&ours)), OTHER),
        ("two SignedInfo (XSW9)", new("_a", &two_infos(&ours)), GRAMMAR),
        ("no issuer", signed.replace("m:Issuer>", "m:Other>"), "assertion: no issuer"),
        ("a comment in the issuer", signed.replace("urn:agency<", "urn:<!-- -->agency<"), "assertion: no issuer"),
        ("a comment in the name", signed.replace("sam<", "sam<!-- -->.evil<"), "assertion: a comment in it"),
        (
            "a comment in the signature",
            signed.replace("<ds:KeyInfo>", "<ds:KeyInfo><!-- -->"),
            "assertion: a comment in it",
        ),
    ] {
        let refused =
            message(credential).read(&endpoint_for(Credential::Any)).map(|_| panic!("taken: {what}")).unwrap_err();
        assert_eq!((refused.fault(), refused.reason()), (Fault::InvalidSecurity, reason), "{what}");
    }
    let enveloped = format!("<ds:Transform Algorithm='{}enveloped-signature'/>", names::DS);
    let exclusive = format!("<ds:Transform Algorithm='{EXCLUSIVE}'/></ds:Transforms>");
    for (from, to) in [
        (enveloped.as_str(), ""),
        (&exclusive, "<ds:Transform Algorithm='http://www.w3.org/TR/2001/REC-xml-c14n-20010315'/></ds:Transforms>"),
        ("#rsa-sha256", "#hmac-sha256"),
        ("#rsa-sha256", "#ecdsa-sha1"),
    ] {
        let changed = ours.replace(from, to);
        assert_ne!(changed, ours);
        let refused = message(new("_a", &changed)).refused(&endpoint_for(Credential::Any));
        assert_eq!(refused, Fault::UnsupportedAlgorithm, "{to}");
    }
}

#[test]
fn an_assertion_by_sha1_is_handed_on_by_name_for_auth_to_judge() {
    let by = |signature: bool, digest: bool, ours: &str| {
        let ours = if signature {
            ours.replace("2001/04/xmldsig-more#rsa-sha256", "2000/09/xmldsig#rsa-sha1")
        } else {
            ours.to_owned()
        };
        if !digest {
            return ours;
        }
        ours.replace("2001/04/xmlenc#sha256", "2000/09/xmldsig#sha1").replace(DIGEST, "2jmj7l5rSw0yVb/vlWAYkK/YBwk=")
    };
    for digest in [false, true] {
        let (rsa_sha1, rsa_sha256) = (by(true, digest, &signature("_a")), by(false, digest, &signature("_a")));
        for written in [new, old] {
            assert_eq!(taken(written("_a", &rsa_sha1)).algorithm, SignatureAlgorithm::RsaSha1);
            assert_eq!(taken(written("_a", &rsa_sha256)).algorithm, SignatureAlgorithm::RsaSha256);
        }
    }
}

fn two_references(signature: &str) -> String {
    let from = signature.find("<ds:Reference ").unwrap();
    let reference = &signature[from..signature.find("</ds:SignedInfo>").unwrap()];
    signature.replace(reference, &format!("{reference}{}", reference.replace("#_a", "#_0")))
}

fn two_infos(signature: &str) -> String {
    let from = signature.find("<ds:SignedInfo>").unwrap();
    let info = &signature[from..signature.find("<ds:SignatureValue>").unwrap()];
    signature.replace(info, &info.repeat(2))
}

#[test]
fn an_assertion_is_no_larger_than_auth_takes_it() {
    let name = "x".repeat(crate::wire::evidence::MOST_ASSERTED_OCTETS);
    let refused = message(new("_a", &signature("_a")).replace(">sam<", &format!(">{name}<")));
    let refused = refused.read(&endpoint_for(Credential::Any)).unwrap_err();
    assert!(["assertion: too large", "xml: too large"].contains(&refused.reason()), "{}", refused.reason());
}

pub(super) const SAML_ID: &str = "http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.1#SAMLID";
pub(super) const ASSERTION_ID: &str = "http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.0#SAMLAssertionID";

/// A signature over the timestamp, whose key is named so.
pub(super) fn message_signature(key_info: &str) -> String {
    let enveloped = format!("<ds:Transform Algorithm='{}enveloped-signature'/>", names::DS);
    signature("_0").replace(&enveloped, "").replace("<ds:X509Data/>", key_info)
}

pub(super) fn str(inside: &str) -> String {
    format!("<o:SecurityTokenReference>{inside}</o:SecurityTokenReference>")
}

fn attested(credential: String) -> Result<(SignedAssertion, SignedMessage), (Fault, &'static str)> {
    let request = message(credential).read(&endpoint_for(Credential::Saml));
    match request.map_err(|refused| (refused.fault(), refused.reason()))?.evidence {
        Evidence::Attested(assertion, message) => Ok((assertion, message)),
        other => panic!("an assertion and a signature: {other:?}"),
    }
}

#[test]
fn a_signature_beside_an_assertion_names_the_key_that_it_confirms_r_w060() {
    let (new, old) = (new("_a", &signature("_a")), old("_a", &signature("_a")));
    let identifier = |kind: &str, id: &str| str(&format!("<o:KeyIdentifier ValueType='{kind}'>{id}</o:KeyIdentifier>"));
    let reference = |id: &str| str(&format!("<o:Reference URI='#{id}'/>"));
    for (assertion, key_info) in [
        (&new, identifier(SAML_ID, "_a")),
        (&new, identifier(SAML_ID, "#_a")),
        (&new, identifier(SAML_ID, "\n _a ")),
        (&old, identifier(ASSERTION_ID, "_a")),
        (&new, reference("_a")),
        (&old, reference("_a")),
    ] {
        for credential in
            [format!("{assertion}{}", message_signature(&key_info)), message_signature(&key_info) + assertion]
        {
            let (signed, message) = attested(credential).unwrap();
            assert_eq!((signed.issuer.as_str(), message.key), ("urn:agency", KeyReference::Assertion), "{key_info}");
            assert!(text(message.parts[0].expose()).starts_with("<u:Timestamp "));
        }
    }
    for (key_info, reason) in [
        (identifier(SAML_ID, "_b"), "signature: no such token"),
        (identifier(SAML_ID, ""), "signature: no such token"),
        (reference("_b"), "signature: no such token"),
        (reference("_0"), "signature: no such token"),
    ] {
        let refused = attested(format!("{new}{}", message_signature(&key_info))).unwrap_err();
        assert_eq!(refused, (Fault::SecurityTokenUnavailable, reason), "{key_info}");
    }
    // By a certificate: whether that is the key is auth's to say.
    let data = "<ds:X509Data><ds:X509Certificate>AAEC</ds:X509Certificate></ds:X509Data>";
    let (_, message) = attested(format!("{new}{}", message_signature(data))).unwrap();
    assert!(matches!(message.key, KeyReference::Certificate(_)));
}

const RSA_VALUE: &str = "<ds:KeyValue><ds:RSAKeyValue><ds:Modulus>wAEC</ds:Modulus><ds:Exponent>AQAB</ds:Exponent>\
                         </ds:RSAKeyValue></ds:KeyValue>";

#[test]
fn a_key_that_a_message_writes_out_beside_an_assertion_is_handed_on_and_alone_it_names_nobody() {
    let new = new("_a", &signature("_a"));
    let point = "<ds:KeyValue><k:ECKeyValue xmlns:k='http://www.w3.org/2009/xmldsig11#'>\
                 <k:NamedCurve URI='urn:oid:1.3.132.0.34'/><k:PublicKey>BAEC</k:PublicKey></k:ECKeyValue></ds:KeyValue>";
    let octets = |octets: &[u8]| Octets::new(octets).unwrap();
    let rsa = PublicKey::Rsa { modulus: octets(&[0xC0, 1, 2]), exponent: Octets::new([1, 0, 1]).unwrap() };
    let on_curve = PublicKey::Point { curve: Curve::P384, octets: Octets::new([4, 1, 2]).unwrap() };
    for (written, key) in [(RSA_VALUE, rsa), (point, on_curve)] {
        let (_, signed) = attested(format!("{new}{}", message_signature(written))).unwrap();
        assert_eq!(signed.key, KeyReference::Value(key));
        for credential in [Credential::Any, Credential::Signature] {
            let alone = message_signature(written);
            let refused = message(alone).read(&endpoint_for(credential)).unwrap_err();
            let why = (Fault::UnsupportedSecurityToken, "signature: key not named by a token");
            assert_eq!((refused.fault(), refused.reason()), why);
        }
    }
    for (from, to, why) in [
        ("AQAB", "AQA", "signature: bad key value"),
        ("RSAKeyValue", "DSAKeyValue", "signature: bad key value"),
        ("</ds:KeyValue>", "</ds:KeyValue><ds:KeyValue/>", "signature: bad key information"),
        ("</ds:KeyValue>", "</ds:KeyValue><ds:KeyName>k</ds:KeyName>", "signature: bad key information"),
    ] {
        let refused = attested(format!("{new}{}", message_signature(&RSA_VALUE.replace(from, to)))).unwrap_err();
        assert_eq!(refused, (Fault::InvalidSecurity, why), "{to}");
    }
    // In a reference there is no place for one.
    let refused = attested(format!("{new}{}", message_signature(&str(RSA_VALUE)))).unwrap_err();
    assert_eq!(refused.0, Fault::UnsupportedSecurityToken);
}

#[test]
fn of_a_reference_to_an_assertion_the_assertion_is_handed_on_with_its_signature() {
    let (new, old) = (new("_a", &signature("_a")), old("_a", &signature("_a")));
    let identifier = |kind: &str, id: &str| format!("<o:KeyIdentifier ValueType='{kind}'>{id}</o:KeyIdentifier>");
    let exclusive = format!("<ds:Transform Algorithm='{EXCLUSIVE}'/></ds:Transforms>");
    let dereferencing = format!(
        "<ds:Transform Algorithm='{}'><o:TransformationParameters><ds:CanonicalizationMethod \
         Algorithm='{EXCLUSIVE}'/></o:TransformationParameters></ds:Transform></ds:Transforms>",
        names::STR_TRANSFORM
    );
    let over = |reference: &str| {
        let key = "<ds:X509Data><ds:X509Certificate>AAEC</ds:X509Certificate></ds:X509Data>";
        let signature = message_signature(key).replacen("#_0", "#str", 1).replacen(&exclusive, &dereferencing, 1);
        format!("<o:SecurityTokenReference u:Id='str'>{reference}</o:SecurityTokenReference>{signature}")
    };
    for (assertion, reference, local) in [
        (&new, identifier(SAML_ID, "_a"), "ID=\"_a\""),
        (&old, identifier(ASSERTION_ID, "_a"), "AssertionID=\"_a\""),
        (&new, "<o:Reference URI='#_a'/>".to_owned(), "ID=\"_a\""),
    ] {
        let (signed, message) = attested(format!("{assertion}{}", over(&reference))).unwrap();
        let whole = text(message.parts[0].expose());
        assert!(whole.starts_with("<m:Assertion xmlns=\"\" xmlns:m=") && whole.contains(local), "{whole}");
        assert!(whole.contains("<ds:Signature ") && !text(signed.octets.expose()).contains("<ds:Signature "));
    }
    for reference in [identifier(SAML_ID, "_b"), identifier(ASSERTION_ID, ""), "<o:Reference URI='#_b'/>".to_owned()] {
        let refused = attested(format!("{new}{}", over(&reference))).unwrap_err();
        assert_eq!(refused, (Fault::SecurityTokenUnavailable, "signature: no such token"), "{reference}");
    }
}

#[test]
fn a_key_of_an_assertion_that_is_not_there_is_none() {
    let key_info = str(&format!("<o:KeyIdentifier ValueType='{SAML_ID}'>_a</o:KeyIdentifier>"));
    let alone = message(message_signature(&key_info)).read(&endpoint_for(Credential::Any)).unwrap_err();
    assert_eq!(alone.fault(), Fault::SecurityTokenUnavailable);
    let both = format!("{}{}", new("_a", &signature("_a")), message_signature(&key_info));
    let elsewhere = message(both).read(&endpoint_for(Credential::Signature)).unwrap_err();
    assert_eq!(elsewhere.fault(), Fault::UnsupportedSecurityToken);
}

#[test]
fn beside_an_assertion_goes_the_certificate_of_its_connection() {
    let client = ClientHandshake {
        version: crate::wire::evidence::TlsVersion::V13,
        messages: Octets::new([1, 2, 3]).unwrap(),
        scheme: 0x0403,
        signature: Octets::new([4, 5, 6]).unwrap(),
    };
    let over = |credential: String| {
        let body = message(credential).xml();
        let incoming = Incoming { content_type: Some(SOAP12), soap_action: None, body: body.as_bytes() };
        let around = Around { client: Some(&client), ..Around::default() };
        read_of(around, &endpoint_for(Credential::Saml), &incoming).unwrap().evidence
    };
    let assertion = new("_a", &signature("_a"));
    match over(assertion.clone()) {
        Evidence::Connected(signed, handshake) => {
            assert_eq!((signed.issuer.as_str(), handshake), ("urn:agency", client.clone()));
        }
        other => panic!("both: {other:?}"),
    }
    // Whoever has signed has said more than that he is there.
    let key = str("<o:Reference URI='#_a'/>");
    let signed = over(format!("{assertion}{}", message_signature(&key)));
    assert!(matches!(signed, Evidence::Attested(_, message) if message.key == KeyReference::Assertion));
}
