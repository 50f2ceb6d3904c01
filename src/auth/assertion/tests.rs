//! What a partner may have signed and is not read, each for its own reason: it may mean less than it seems to.

use super::read::{ConfirmationMethod, MANY, MOST_CONFIRMATIONS, Named};
use super::*;
use crate::config::auth::partner::HolderProofs;
use crate::config::auth::vouching::Bounds;
use crate::wire::key::PublicKey;
use crate::wire::unwrap::{KeyTransport, Recipient};
use crate::wire::{Octets, Secret, Text};
use crate::xml::{Limits, Tree};

const NEW: &str = concat!(
    "<Assertion xmlns=\"urn:oasis:names:tc:SAML:2.0:assertion\" ID=\"_a\" IssueInstant=\"2026-01-01T00:00:00Z\" ",
    "Version=\"2.0\"><Issuer>urn:agency</Issuer><Subject><NameID Format=\"urn:f\">sam</NameID>",
    "<SubjectConfirmation Method=\"urn:oasis:names:tc:SAML:2.0:cm:bearer\"><SubjectConfirmationData ",
    "NotOnOrAfter=\"2026-01-01T01:00:00Z\" Recipient=\"urn:r\"></SubjectConfirmationData></SubjectConfirmation>",
    "</Subject><Conditions NotOnOrAfter=\"2026-01-01T01:00:00Z\"><AudienceRestriction><Audience>urn:us</Audience>",
    "</AudienceRestriction></Conditions><AuthnStatement AuthnInstant=\"2026-01-01T00:00:00Z\"></AuthnStatement>",
    "<AttributeStatement><Attribute Name=\"a\"><AttributeValue>1</AttributeValue><AttributeValue>2</AttributeValue>",
    "</Attribute></AttributeStatement></Assertion>",
);
const OLD: &str = concat!(
    "<Assertion xmlns=\"urn:oasis:names:tc:SAML:1.0:assertion\" AssertionID=\"_a\" ",
    "IssueInstant=\"2026-01-01T00:00:00Z\" Issuer=\"urn:agency\" MajorVersion=\"1\" MinorVersion=\"1\">",
    "<Conditions NotOnOrAfter=\"2026-01-01T01:00:00Z\"><AudienceRestrictionCondition><Audience>urn:us</Audience>",
    "</AudienceRestrictionCondition></Conditions><AuthenticationStatement AuthenticationMethod=\"urn:m\" ",
    "AuthenticationInstant=\"2026-01-01T00:00:00Z\"><Subject><NameIdentifier>sam</NameIdentifier>",
    "<SubjectConfirmation><ConfirmationMethod>urn:oasis:names:tc:SAML:1.0:cm:bearer</ConfirmationMethod>",
    "</SubjectConfirmation></Subject></AuthenticationStatement><AttributeStatement><Subject>",
    "<NameIdentifier>sam</NameIdentifier><SubjectConfirmation><ConfirmationMethod>",
    "urn:oasis:names:tc:SAML:1.0:cm:bearer</ConfirmationMethod></SubjectConfirmation></Subject>",
    "<Attribute AttributeName=\"a\" AttributeNamespace=\"urn:n\"><AttributeValue>1</AttributeValue></Attribute>",
    "</AttributeStatement></Assertion>",
);

/// As if these octets had been signed by that id.
fn read_as(text: &str, id: &str) -> Result<Assertion, &'static str> {
    let signed = SignedAssertion {
        issuer: Text::new("urn:agency").unwrap(),
        algorithm: crate::wire::evidence::SignatureAlgorithm::Ed25519,
        signed_info: Octets::default(),
        value: Octets::default(),
        octets: Secret::new(text.as_bytes()).unwrap(),
    };
    read(&signed, id)
}

#[track_caller]
fn refused(text: &str, from: &str, to: &str, why: &str) {
    assert!(text.contains(from), "{from}");
    let text = text.replace(from, to);
    assert!(Tree::parse(text.as_bytes(), &Limits::default()).is_ok(), "{text}");
    assert_eq!(read_as(&text, "_a").unwrap_err(), why, "{from} {to}");
}

#[test]
fn both_versions_say_the_same() {
    for (text, attribute) in [(NEW, "a"), (OLD, "urn:n/a")] {
        let assertion = read_as(text, "_a").unwrap();
        assert_eq!((assertion.id.as_str(), assertion.issuer.as_str()), ("_a", "urn:agency"));
        assert_eq!((assertion.subject.name.as_deref(), assertion.one_time), (Some("sam"), false));
        assert_eq!(assertion.conditions.audiences, [["urn:us"]]);
        assert_eq!(assertion.conditions.not_on_or_after.0 - assertion.authenticated.0, 3_600_000);
        assert_eq!(assertion.attributes[attribute].as_ref().unwrap()[0], "1");
    }
}

#[test]
fn a_subject_may_be_named_by_its_attributes_alone() {
    let unnamed = NEW.replace("<NameID Format=\"urn:f\">sam</NameID>", "");
    assert_eq!(read_as(&unnamed, "_a").unwrap().subject.name, None);
    let unnamed = OLD.replace("<NameIdentifier>sam</NameIdentifier>", "");
    assert_eq!(read_as(&unnamed, "_a").unwrap().subject.name, None);
    // In every statement, or it is about two.
    refused(OLD, "Z\"><Subject><NameIdentifier>sam</NameIdentifier>", "Z\"><Subject>", TWO);
}

#[test]
fn what_is_not_known_in_an_assertion_is_not_passed_over_r_s035() {
    for (from, to, why) in [
        ("Version=\"2.0\"", "Version=\"2.1\"", "another version"),
        ("Version=\"2.0\"", "", "an attribute missing"),
        (" ID=\"_a\"", " ID=\"_a\" Valid=\"no\"", "an attribute that is not known"),
        (" ID=\"_a\"", " xmlns:u=\"urn:u\" u:ID=\"_a\"", "signed by another id than its own"),
        ("SAML:2.0:assertion", "SAML:2.0:protocol", "signed by another id than its own"),
        ("<Issuer>urn:agency</Issuer>", "<Advice/>", "no issuer that is an entity"),
        ("<Issuer>", "<Issuer Format=\"urn:f\">", "no issuer that is an entity"),
        ("<Issuer>", "<Issuer NameQualifier=\"urn:x\">", "an attribute that is not known"),
        ("urn:agency</", "</", "an empty text"),
        ("urn:agency</", "urn:agency<x/></", "something else in a text"),
        ("</Issuer>", "</Issuer><Issuer>urn:agency</Issuer>", "no conditions"),
        ("</Issuer>", "</Issuer>text", "text among elements"),
        ("sam</", "sam<!-- -->.evil</", "a comment in it"),
        ("<Audience>", "<!-- --><Audience>", "a comment in it"),
        ("NameID", "EncryptedID", "something else than confirmations of a subject"),
        ("NameID", "BaseID", "something else than confirmations of a subject"),
        ("sam</NameID>", "</NameID>", "an empty text"),
        ("sam</", "sam<x/></", "something else in a text"),
        ("</NameID>", "</NameID><NameID>bob</NameID>", "something else than confirmations of a subject"),
        ("<SubjectConfirmationData", "<NameID>bob</NameID><SubjectConfirmationData", "a confirmation by somebody else"),
        ("SubjectConfirmationData", "NameID", "a confirmation by somebody else"),
        (" Recipient=", " Until=", "an attribute that is not known"),
        ("</AudienceRestriction>", "</AudienceRestriction><Condition/>", "a condition that is not known"),
        ("</AudienceRestriction>", "</AudienceRestriction><x xmlns=\"urn:x\"/>", "a condition that is not known"),
        (
            "</AudienceRestriction>",
            "</AudienceRestriction><ProxyRestriction Count=\"1\"/>",
            "a restriction on what may be issued for it",
        ),
        ("</Audience>", "</Audience><x/>", "something else than audiences"),
        ("<Conditions NotOnOrAfter=\"2026-01-01T01:00:00Z\">", "<Conditions>", "no end of its conditions"),
        ("01:00:00Z\"><Aud", "01:00:00+00:00\"><Aud", "an instant that is none"),
        (
            "</AuthnStatement>",
            "</AuthnStatement><AuthnStatement AuthnInstant=\"2026-01-01T00:00:00Z\"/>",
            "two authentications",
        ),
        ("<AuthnStatement AuthnInstant=\"2026-01-01T00:00:00Z\"></AuthnStatement>", "", "no authentication"),
        (" AuthnInstant=\"2026-01-01T00:00:00Z\"", "", "an attribute missing"),
        ("</AttributeStatement>", "</AttributeStatement><AuthzDecisionStatement/>", "a statement that is not taken"),
        ("</AttributeStatement>", "</AttributeStatement><Advice/>", "a statement that is not taken"),
        (
            "</Conditions>",
            "</Conditions><d:Signature xmlns:d=\"http://www.w3.org/2000/09/xmldsig#\"/>",
            "a statement that is not taken",
        ),
        (
            "<Attribute Name=\"a\">",
            "<EncryptedAttribute/><Attribute Name=\"a\">",
            "an attribute that is encrypted or none",
        ),
        ("<AttributeValue>1", "<Value/><AttributeValue>1", "something else than values in an attribute"),
        (" Name=\"a\"", "", "an attribute missing"),
        ("<Audience>", "<Audience ID=\"_a\">", "an id twice"),
    ] {
        refused(NEW, from, to, why);
    }
}

#[test]
fn nor_is_it_in_an_old_one() {
    for (from, to, why) in [
        ("MinorVersion=\"1\"", "MinorVersion=\"0\"", "another version"),
        ("MajorVersion=\"1\"", "MajorVersion=\"2\"", "another version"),
        (" Issuer=\"urn:agency\"", "", "an attribute missing"),
        (
            "</AudienceRestrictionCondition>",
            "</AudienceRestrictionCondition><Condition/>",
            "a condition that is not known",
        ),
        ("<Conditions NotOnOrAfter=\"2026-01-01T01:00:00Z\">", "<Conditions>", "no end of its conditions"),
        ("NameIdentifier", "BaseID", "a subject without a name or a confirmation"),
        ("</Subject></AuthenticationStatement>", "</Subject><AuthorityBinding/></AuthenticationStatement>", MORE),
        ("Z\"><Subject><NameIdentifier>sam", "Z\"><Subject><NameIdentifier>bob", TWO),
        ("Z\"><Subject><NameIdentifier>", "Z\"><Subject><NameIdentifier NameQualifier=\"q\">", TWO),
        ("<Attribute ", "<Action/><Attribute ", "something else than attributes"),
        (" AttributeNamespace=\"urn:n\"", "", "an attribute missing"),
        ("sam</", "sam<!-- --></", "a comment in it"),
    ] {
        refused(OLD, from, to, why);
    }
    let first = OLD.find("<AuthenticationStatement").unwrap();
    let statement = &OLD[first..OLD.find("<AttributeStatement>").unwrap()];
    refused(OLD, statement, "", "no authentication");
    refused(OLD, statement, &statement.repeat(2), "two authentications");
}

#[test]
fn an_element_of_a_type_of_its_own_may_say_less_than_its_name() {
    let typed =
        |element: &str| format!("<{element} xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"t\"");
    for (base, elements) in [
        (NEW, "AudienceRestriction Subject NameID SubjectConfirmation AttributeStatement Attribute"),
        (OLD, "AudienceRestrictionCondition Subject NameIdentifier SubjectConfirmation AttributeStatement Attribute"),
    ] {
        for element in elements.split(' ').chain(["Assertion", "Conditions", "Audience"]) {
            let ends = if base.contains(&format!("<{element} ")) { " " } else { ">" };
            refused(base, &format!("<{element}{ends}"), &format!("{}{ends}", typed(element)), TYPE);
        }
    }
    let once = |base: &str, after: &str, element: &str| {
        refused(base, after, &format!("{after}{}/>", typed(element)), TYPE);
    };
    once(NEW, "</AudienceRestriction>", "OneTimeUse");
    once(OLD, "</AudienceRestrictionCondition>", "DoNotCacheCondition");
    refused(NEW, "<AuthnStatement ", &format!("{} ", typed("AuthnStatement")), TYPE);
    refused(OLD, "<AuthenticationStatement ", &format!("{} ", typed("AuthenticationStatement")), TYPE);
    refused(NEW, "Name=\"a\"", "Name=\"a\" Scope=\"b\"", "an attribute that is not known");
}

const TYPE: &str = "of a type of its own";

#[test]
fn so_many_confirmations_are_read_and_no_more() {
    let start = OLD.find("<ConfirmationMethod>").unwrap();
    let method = &OLD[start..OLD.find("</ConfirmationMethod>").unwrap() + "</ConfirmationMethod>".len()];
    assert!(read_as(&OLD.replace(method, &method.repeat(MOST_CONFIRMATIONS)), "_a").is_ok());
    refused(OLD, method, &method.repeat(MOST_CONFIRMATIONS + 1), MANY);
    let start = NEW.find("<SubjectConfirmation ").unwrap();
    let whole = &NEW[start..NEW.find("</SubjectConfirmation>").unwrap() + "</SubjectConfirmation>".len()];
    assert!(read_as(&NEW.replace(whole, &whole.repeat(MOST_CONFIRMATIONS)), "_a").is_ok());
    refused(NEW, whole, &whole.repeat(MOST_CONFIRMATIONS + 1), MANY);
}

/// The keys of the one confirmation, where this stands in it and nothing in it asks for more.
fn keys_of(inside: &str) -> [Option<Vec<Named>>; 2] {
    let data = "</SubjectConfirmationData>";
    let new = NEW.replace("cm:bearer", "cm:holder-of-key").replace(data, &format!("{inside}{data}"));
    let method = "</ConfirmationMethod>";
    let old = OLD.replace("cm:bearer", "cm:holder-of-key").replace(method, &format!("{method}{inside}"));
    [new, old].map(|text| {
        let confirmation = read_as(&text, "_a").unwrap().subject.confirmations.remove(0);
        assert_eq!(confirmation.method, ConfirmationMethod::HolderOfKey);
        (!confirmation.asks_more).then_some(confirmation.keys)
    })
}

#[test]
fn a_key_is_named_by_a_certificate_written_out_or_both_and_in_no_other_way() {
    let named =
        |inside: &str| format!("<d:KeyInfo xmlns:d=\"http://www.w3.org/2000/09/xmldsig#\">{inside}</d:KeyInfo>");
    let data = "<d:X509Data><d:X509Certificate>AAEC</d:X509Certificate></d:X509Data>";
    let value = "<d:KeyValue><d:RSAKeyValue><d:Modulus>AAEC</d:Modulus><d:Exponent>AQAB</d:Exponent></d:RSAKeyValue>\
                 </d:KeyValue>";
    let der = vec![0, 1, 2];
    let key = PublicKey::Rsa { modulus: Octets::new(der.clone()).unwrap(), exponent: Octets::new([1, 0, 1]).unwrap() };
    let (certificate, written) = (Named::Certificate(der.clone()), Named::Value(key.clone()));
    for (inside, expected) in [
        (named(data), vec![certificate.clone()]),
        (named(value), vec![written.clone()]),
        (named(&format!("{data}{value}")), vec![Named::Both(der.clone(), key.clone())]),
        (named(&format!("{value}\n{data}")), vec![Named::Both(der, key)]),
        (named(value) + &named(data), vec![written, certificate]),
    ] {
        assert_eq!(keys_of(&inside), [Some(expected.clone()), Some(expected)], "{inside}");
    }
    for inside in [
        named(""),
        named(&value.repeat(2)),
        named(&data.repeat(2)),
        named(&format!("{value}{data}{value}")),
        named(&format!("{value}<d:KeyName>k</d:KeyName>")),
        named(&format!("{value}x")),
        named(&value.replace("RSAKeyValue", "DSAKeyValue")),
        named(&value.replace("<d:Exponent>AQAB</d:Exponent>", "")),
        named(data) + &named(&value.replace("AQAB", "AQA")),
        value.replace("<d:KeyValue>", "<d:KeyValue xmlns:d=\"http://www.w3.org/2000/09/xmldsig#\">"),
    ] {
        assert_eq!(keys_of(&inside), [None, None], "{inside}");
    }
}

#[test]
fn a_shared_key_is_sealed_by_oaep_for_one_certificate_and_seals_nothing_r_s036() {
    let xenc = "http://www.w3.org/2001/04/xmlenc#";
    let sealed = format!(
        "<d:KeyInfo xmlns:d=\"http://www.w3.org/2000/09/xmldsig#\"><e:EncryptedKey xmlns:e=\"{xenc}\">\
         <e:EncryptionMethod Algorithm=\"{xenc}rsa-oaep-mgf1p\"><d:DigestMethod \
         Algorithm=\"http://www.w3.org/2000/09/xmldsig#sha1\"/></e:EncryptionMethod><d:KeyInfo><d:X509Data><d:X509SKI>AAEC\
         </d:X509SKI></d:X509Data></d:KeyInfo><e:CipherData><e:CipherValue>AwQF</e:CipherValue></e:CipherData>\
         </e:EncryptedKey></d:KeyInfo>"
    );
    let key = Named::Sealed(SealedKey {
        recipient: Recipient::KeyIdentifier(Octets::new([0, 1, 2]).unwrap()),
        transport: KeyTransport::OaepSha1,
        sealed: Octets::new([3, 4, 5]).unwrap(),
    });
    assert_eq!(keys_of(&sealed), [Some(vec![key.clone()]), Some(vec![key])]);
    let reference = "<o:SecurityTokenReference xmlns:o=\"http://docs.oasis-open.org/wss/2004/01/\
                     oasis-200401-wss-wssecurity-secext-1.0.xsd\"><o:Reference URI=\"#_k\"/></o:SecurityTokenReference>";
    let data = "<d:X509Data><d:X509SKI>AAEC</d:X509SKI></d:X509Data>";
    for (from, to) in [
        ("rsa-oaep-mgf1p", "rsa-1_5"),
        ("rsa-oaep-mgf1p", "kw-aes128"),
        ("2000/09/xmldsig#sha1\"", "2001/04/xmlenc#sha512\""),
        ("<e:EncryptionMethod", "<e:EncryptionMethod x=\"y\""),
        (data, ""),
        (data, "<d:KeyName>us</d:KeyName>"),
        (data, reference),
        ("AwQF", ""),
        ("AwQF", "AwQ"),
        ("e:CipherValue>", "e:CipherReference>"),
        ("</e:CipherData>", "</e:CipherData><e:ReferenceList><e:DataReference URI=\"#_a\"/></e:ReferenceList>"),
        ("</e:CipherData>", "</e:CipherData><e:CarriedKeyName>k</e:CarriedKeyName>"),
        ("</e:EncryptedKey>", "</e:EncryptedKey><d:KeyName>k</d:KeyName>"),
        ("e:EncryptedKey", "e:AgreementMethod"),
    ] {
        assert!(sealed.contains(from), "{from}");
        assert_eq!(keys_of(&sealed.replace(from, to)), [None, None], "{to}");
    }
}

const MORE: &str = "more in an authentication than where it was";
const TWO: &str = "statements about two subjects";

#[test]
fn an_assertion_is_known_by_the_id_that_was_signed() {
    assert_eq!(read_as(NEW, "_b").unwrap_err(), "signed by another id than its own");
    let wsu = "xmlns:u=\"http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd\"";
    let two = NEW.replace(" ID=\"_a\"", &format!(" {wsu} ID=\"_a\" u:Id=\"_b\""));
    assert!(read_as(&two, "_a").is_ok());
    assert_eq!(read_as(&two, "_b").unwrap_err(), "signed by another id than its own");
    let inner = NEW.replace("<Subject>", "<Subject ID=\"_b\">");
    assert_eq!(read_as(&inner, "_b").unwrap_err(), "signed by another id than its own");
}

#[test]
fn a_use_is_remembered_as_long_as_the_assertion_is_taken_and_an_hour_in_any_case() {
    let partner = |minutes: i64| Partner {
        name: Text::new("agency").unwrap(),
        issuer: "urn:agency".to_owned(),
        certificates: Vec::new(),
        algorithms: Vec::new(),
        reference_sha1: false,
        audiences: vec!["urn:us".to_owned()],
        bounds: Bounds { skew_ms: 0, max_age_ms: minutes * 60_000, max_session_ms: 3_600_000 },
        once: true,
        subjects: Vec::new(),
        attributes: Vec::new(),
        intermediaries: Vec::new(),
        proofs: HolderProofs { signature: true, ..HolderProofs::default() },
    };
    let remembered = |minutes, end: &str| {
        let assertion = read_as(&NEW.replace("2026-01-01T01:00:00Z", end), "_a").unwrap();
        let issued = assertion.issued.0;
        let partner = &partner(minutes);
        Verified { partner, assertion, rsa_sha1: false, reference_sha1: false }.until().0 - issued
    };
    // Its own end or ours, the largest difference of clocks, and a minute.
    let (minute, hour) = (60_000, 3_600_000);
    assert_eq!(remembered(1440, "2026-01-01T01:00:00Z"), hour + 6 * minute);
    assert_eq!(remembered(1, "2027-01-01T00:00:00Z"), hour + 6 * minute);
    assert_eq!(remembered(90, "2027-01-01T00:00:00Z"), 96 * minute);
}

#[test]
fn the_values_of_an_attribute_are_all_text_or_none() {
    let values = |from: &str, to: &str| read_as(&NEW.replace(from, to), "_a").unwrap().attributes["a"].clone();
    assert_eq!(values("a", "a"), Some(vec!["1".to_owned(), "2".to_owned()]));
    assert_eq!(values("<AttributeValue>2", "<AttributeValue>2<x/>"), None);
    let again = "</Attribute><Attribute Name=\"a\"><AttributeValue><x/></AttributeValue></Attribute>";
    assert_eq!(values("</Attribute>", again), None);
    let again = "</Attribute><Attribute Name=\"a\"><AttributeValue>3</AttributeValue></Attribute>";
    assert_eq!(values("</Attribute>", again).unwrap(), ["1", "2", "3"]);
}
