//! Messages under a MAC: what of them is handed on, which key they may name, and what may not stand beside it.

use super::*;
use crate::wire::derivation::{Derivation, PartKey};
use crate::wire::evidence::{KeyedMessage, MacAlgorithm};

const BINARY: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#Base64Binary";
const WSS11: &str = "http://docs.oasis-open.org/wss/oasis-wss-soap-message-security-1.1";
const SHA256: &str = "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256";
/// Base64 of the SHA-1 of the octets 0, 1 and 2.
const SHA1: &str = "DHpiP9K7wFsGQjvjWeQCHTbnIa0=";

const KEY: &str = "<x:EncryptedKey Id='ek'><x:EncryptionMethod \
Algorithm='http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p'/><ds:KeyInfo><ds:X509Data><ds:X509SKI>AAEC</ds:X509SKI>\
</ds:X509Data></ds:KeyInfo><x:CipherData><x:CipherValue>AAEC</x:CipherValue></x:CipherData></x:EncryptedKey>";
const USER: &str =
    "<o:UsernameToken u:Id='ut'><o:Username>alice</o:Username><o:Password>secret</o:Password></o:UsernameToken>";

fn reference(id: &str) -> String {
    format!(
        "<ds:Reference URI='#{id}'><ds:Transforms><ds:Transform Algorithm='http://www.w3.org/2001/10/xml-exc-c14n#'/>\
         </ds:Transforms><ds:DigestMethod Algorithm='http://www.w3.org/2001/04/xmlenc#sha256'/>\
         <ds:DigestValue>47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=</ds:DigestValue></ds:Reference>"
    )
}

fn signature(method: &str, ids: &[&str], key_info: &str) -> String {
    let references: String = ids.iter().map(|id| reference(id)).collect();
    format!(
        "<ds:Signature><ds:SignedInfo><ds:CanonicalizationMethod Algorithm='http://www.w3.org/2001/10/xml-exc-c14n#'/>\
         {method}{references}</ds:SignedInfo><ds:SignatureValue>AAECAwQF</ds:SignatureValue><ds:KeyInfo>{key_info}\
         </ds:KeyInfo></ds:Signature>"
    )
}

fn hmac(algorithm: &str) -> String {
    format!("<ds:SignatureMethod Algorithm='{algorithm}'/>")
}

fn token(inside: &str) -> String {
    format!("<o:SecurityTokenReference>{inside}</o:SecurityTokenReference>")
}

fn direct() -> String {
    token(&format!("<o:Reference URI='#ek' ValueType='{WSS11}#EncryptedKey'/>"))
}

fn good() -> String {
    signature(&hmac(SHA256), &["_0", "to", "b", "ut"], &direct())
}

fn message(security: &str) -> Result<Request, Rejection> {
    let plain = Message::default();
    let addressing = plain.addressing.replace("<a:To ", "<a:To u:Id='to' ");
    let xml = Message { username: security.to_owned(), addressing, ..plain }.xml();
    let xml = xml.replace("<s:Body>", "<s:Body u:Id='b'>");
    let xml =
        xml.replacen("<s:Envelope ", &format!("<s:Envelope xmlns:x='{}' xmlns:ds='{}' ", names::XENC, names::DS), 1);
    let endpoint = Endpoint { credential: Credential::UsernameSymmetric, encryption: true, ..generic() };
    read(&endpoint, &Incoming { content_type: Some(SOAP12), soap_action: None, body: xml.as_bytes() })
}

fn accepted(security: &str) -> (String, KeyedMessage) {
    let request = message(security).unwrap_or_else(|why| panic!("{}: {security}", why.reason()));
    let Evidence::KeyedPassword { username, password, message } = request.evidence else { panic!("under a MAC") };
    assert_eq!(password.expose(), b"secret");
    (username.to_string(), message)
}

#[test]
fn the_octets_under_a_mac_are_handed_on_and_the_key_is_not_among_them() {
    let (name, message) = accepted(&format!("{KEY}{USER}{}", good()));
    assert_eq!((name.as_str(), message.algorithm), ("alice", MacAlgorithm::HmacSha256));
    assert_eq!(*message.value, [0, 1, 2, 3, 4, 5]);
    let parts: Vec<&str> = message.parts.iter().map(|part| std::str::from_utf8(part.expose()).unwrap()).collect();
    let begins = ["<u:Timestamp xmlns:u=", "<a:To xmlns:a=", "<s:Body xmlns:s=", "<o:UsernameToken xmlns:o="];
    assert!(parts.len() == 4 && parts.iter().zip(begins).all(|(part, begin)| part.starts_with(begin)), "{parts:?}");
    for (named, algorithm) in [
        ("http://www.w3.org/2000/09/xmldsig#hmac-sha1", MacAlgorithm::HmacSha1),
        ("http://www.w3.org/2001/04/xmldsig-more#hmac-sha384", MacAlgorithm::HmacSha384),
        ("http://www.w3.org/2001/04/xmldsig-more#hmac-sha512", MacAlgorithm::HmacSha512),
    ] {
        assert_eq!(accepted(&format!("{KEY}{USER}{}", good().replace(SHA256, named))).1.algorithm, algorithm);
    }
}

#[test]
fn the_key_is_the_one_of_this_message_r_w045() {
    let with = |key_info: &str| format!("{KEY}{USER}{}", signature(&hmac(SHA256), &["_0"], key_info));
    let sha1 =
        |text: &str| token(&format!("<o:KeyIdentifier ValueType='{WSS11}#EncryptedKeySHA1'>{text}</o:KeyIdentifier>"));
    for key_info in [
        direct(),
        token("<o:Reference URI='#ek'/>"),
        sha1(SHA1),
        sha1(&format!("{}\n{}", &SHA1[..9], &SHA1[9..])),
        token(&format!(
            "<o:KeyIdentifier EncodingType='{BINARY}' ValueType='{WSS11}#EncryptedKeySHA1'>{SHA1}</o:KeyIdentifier>"
        )),
    ] {
        accepted(&with(&key_info));
    }
    for (key_info, fault) in [
        (String::new(), Fault::InvalidSecurity),
        (direct().repeat(2), Fault::InvalidSecurity),
        (token(""), Fault::InvalidSecurity),
        (token("<o:Reference URI='ek'/>"), Fault::InvalidSecurity),
        (token("<o:Reference/>"), Fault::InvalidSecurity),
        (token("<o:Reference URI='#ut'/>"), Fault::SecurityTokenUnavailable),
        (token("<o:Reference URI='#nothing'/>"), Fault::SecurityTokenUnavailable),
        (token("<o:Reference URI='#ek' ValueType='urn:other'/>"), Fault::UnsupportedSecurityToken),
        (sha1("AAECAwQFBgcICQoLDA0ODxAREhM="), Fault::SecurityTokenUnavailable),
        (sha1("AAEC"), Fault::SecurityTokenUnavailable),
        (sha1(""), Fault::InvalidSecurity),
        (sha1(&SHA1[..27]), Fault::InvalidSecurity),
        (sha1(SHA1).replace("EncryptedKeySHA1", "ThumbprintSHA1"), Fault::UnsupportedSecurityToken),
        ("<ds:KeyName>ek</ds:KeyName>".to_owned(), Fault::UnsupportedSecurityToken),
        ("<ds:KeyValue/>".to_owned(), Fault::UnsupportedSecurityToken),
    ] {
        assert_eq!(message(&with(&key_info)).map(drop).unwrap_err().fault(), fault, "{key_info}");
    }
}

#[test]
fn a_mac_is_whole_and_a_signature_is_none_r_w040() {
    let with = |method: &str| format!("{KEY}{USER}{}", signature(method, &["_0"], &direct()));
    let length = |bits: &str| {
        format!(
            "<ds:SignatureMethod Algorithm='{SHA256}'><ds:HMACOutputLength>{bits}</ds:HMACOutputLength></ds:SignatureMethod>"
        )
    };
    for (method, fault) in [
        (length("0"), Fault::InvalidSecurity),
        (length("128"), Fault::InvalidSecurity),
        (length("256"), Fault::InvalidSecurity),
        (hmac("http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"), Fault::UnsupportedAlgorithm),
        (hmac("http://www.w3.org/2001/04/xmldsig-more#hmac-md5"), Fault::UnsupportedAlgorithm),
    ] {
        assert_eq!(message(&with(&method)).map(drop).unwrap_err().fault(), fault, "{method}");
    }
    let sha1 = good().replace("http://www.w3.org/2001/04/xmlenc#sha256", "http://www.w3.org/2000/09/xmldsig#sha1");
    let sha1 = sha1.replace("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", "2jmj7l5rSw0yVb/vlWAYkK/YBwk=");
    // Whether what it covers may be digested by SHA-1 is auth's to say.
    assert_eq!(accepted(&format!("{KEY}{USER}{sha1}")).1.algorithm, MacAlgorithm::HmacSha256);
}

#[test]
fn one_of_each_stands_in_the_header_and_nothing_else() {
    let mac = good();
    let digest = USER.replace(
        "<o:Password>",
        "<o:Nonce>AAECAwQFBgcICQoLDA0ODw==</o:Nonce><u:Created>2026-01-02T03:04:05Z</u:Created><o:Password \
         Type='http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordDigest'>",
    );
    let digest = digest.replace("secret", "qdX2HuWZ9A5NzaJNVYu9pDpaaBw=");
    for (what, security, fault) in [
        ("no key", format!("{USER}{mac}"), Fault::InvalidSecurity),
        ("no token", format!("{KEY}{mac}"), Fault::InvalidSecurity),
        ("no MAC", format!("{KEY}{USER}"), Fault::InvalidSecurity),
        ("nothing", String::new(), Fault::InvalidSecurity),
        ("two keys", format!("{KEY}{}{USER}{mac}", KEY.replace("'ek'", "'ek2'")), Fault::InvalidSecurity),
        ("two tokens", format!("{KEY}{USER}{}{mac}", USER.replace("'ut'", "'ut2'")), Fault::InvalidSecurity),
        ("two MACs", format!("{KEY}{USER}{mac}{mac}"), Fault::InvalidSecurity),
        ("an id twice", format!("{KEY}{USER}{mac}").replace("'ut'>", "'ek'>"), Fault::InvalidSecurity),
        ("a digest", format!("{KEY}{digest}{mac}"), Fault::UnsupportedSecurityToken),
        ("a certificate", format!("{KEY}<o:BinarySecurityToken/>{USER}{mac}"), Fault::UnsupportedSecurityToken),
        (
            "an assertion",
            format!("{KEY}<m:Assertion xmlns:m='{}'/>{USER}{mac}", names::SAML20),
            Fault::UnsupportedSecurityToken,
        ),
        ("what is sealed", format!("{KEY}<x:EncryptedData/>{USER}{mac}"), Fault::UnsupportedSecurityToken),
        ("another element", format!("{KEY}<a:other/>{USER}{mac}"), Fault::InvalidSecurity),
        ("text", format!("{KEY}text{USER}{mac}"), Fault::InvalidSecurity),
        (
            "a part of the token",
            format!("{KEY}{}{mac}", USER.replace("<o:Username>", "<o:Username u:Id='n'>").replace("'ut'", "'x'")),
            Fault::InvalidSecurity,
        ),
    ] {
        assert_eq!(message(&security).map(drop).unwrap_err().fault(), fault, "{what}");
    }
    // Where passwords come without a MAC none comes with one.
    let plain = Message {
        username: format!(
            "{USER}{}",
            mac.replace("<ds:Signature>", &format!("<ds:Signature xmlns:ds='{}'>", names::DS))
        ),
        ..Message::default()
    };
    assert_eq!(plain.refused(&generic()), Fault::UnsupportedSecurityToken);
    assert_eq!(plain.refused(&Endpoint { credential: Credential::Any, ..generic() }), Fault::UnsupportedSecurityToken);
}

/// A key derived from another, with this of its own.
fn derived_from(source: &str, id: &str, more: &str) -> String {
    format!(
        "<c:DerivedKeyToken xmlns:c='{}' u:Id='{id}'>{source}{more}<c:Nonce>AAECAwQFBgcICQoLDA0ODw==</c:Nonce>\
         </c:DerivedKeyToken>",
        names::WSC13
    )
}

const NUMBERS: &str = "<c:Offset>16</c:Offset><c:Length>24</c:Length>";

#[test]
fn a_key_derived_from_the_one_of_this_message_is_named_by_its_token() {
    let nonce: Vec<u8> = (0..16).collect();
    let by = |id: &str, more: &str| {
        let reference = token(&format!("<o:Reference URI='#{id}'{more}/>"));
        signature(&hmac(SHA256), &["_0"], &reference)
    };
    let kind = format!(" ValueType='{}/dk'", names::WSC13);
    let sha1 = token(&format!("<o:KeyIdentifier ValueType='{WSS11}#EncryptedKeySHA1'>{SHA1}</o:KeyIdentifier>"));
    for source in [direct(), token("<o:Reference URI='#ek'/>"), sha1] {
        let key = derived_from(&source, "dk", NUMBERS);
        let other = derived_from(&source, "dk2", "");
        for kind in ["", &kind] {
            let (_, message) = accepted(&format!("{KEY}{key}{other}{USER}{}", by("dk", kind)));
            assert_eq!(message.key, PartKey::Derived(Derivation::new(None, nonce.clone(), 16, 24).unwrap()));
            let (_, message) = accepted(&format!("{KEY}{key}{other}{USER}{}", by("dk2", kind)));
            assert_eq!(message.key, PartKey::Derived(Derivation::new(None, nonce.clone(), 0, 32).unwrap()));
        }
    }
    let old = derived_from(&direct(), "dk", NUMBERS).replace(names::WSC13, names::WSC05);
    assert!(matches!(accepted(&format!("{KEY}{old}{USER}{}", by("dk", ""))).1.key, PartKey::Derived(_)));
    let label = derived_from(&direct(), "dk", "<c:Label>ours</c:Label>");
    let labelled = Derivation::new(Some(crate::wire::Text::new("ours").unwrap()), nonce, 0, 32).unwrap();
    assert_eq!(accepted(&format!("{KEY}{label}{USER}{}", by("dk", ""))).1.key, PartKey::Derived(labelled));
}

#[test]
fn what_is_derived_is_bounded_and_from_the_session_key_alone_r_c010_r_c011() {
    let mac = signature(&hmac(SHA256), &["_0"], &token("<o:Reference URI='#dk'/>"));
    let of = |more: &str| derived_from(&direct(), "dk", more);
    let from = |source: &str| derived_from(&token(source), "dk", "");
    let many = |count: usize| (0..count).map(|n| derived_from(&direct(), &format!("dk{n}"), "")).collect::<String>();
    accepted(&format!("{KEY}{}{}{USER}{mac}", of(""), many(15)));
    for (what, keys, fault) in [
        ("too many", format!("{}{}", of(""), many(16)), Fault::InvalidSecurity),
        ("too long", of("<c:Length>65</c:Length>"), Fault::InvalidSecurity),
        ("nothing", of("<c:Length>0</c:Length>"), Fault::InvalidSecurity),
        ("too far", of("<c:Offset>4065</c:Offset>"), Fault::InvalidSecurity),
        ("a generation too far", of("<c:Generation>128</c:Generation>"), Fault::InvalidSecurity),
        ("one that overflows", of("<c:Generation>134217728</c:Generation>"), Fault::InvalidSecurity),
        ("two places", of("<c:Generation>1</c:Generation><c:Offset>0</c:Offset>"), Fault::InvalidSecurity),
        ("a long label", of(&format!("<c:Label>{}</c:Label>", "l".repeat(129))), Fault::InvalidSecurity),
        ("a short nonce", of("").replace("AAECAwQFBgcICQoLDA0ODw==", "AAECAwQFBg=="), Fault::InvalidSecurity),
        ("itself", from("<o:Reference URI='#dk'/>"), Fault::SecurityTokenUnavailable),
        (
            "another derived key",
            format!("{}{}", derived_from(&direct(), "dk2", ""), from("<o:Reference URI='#dk2'/>")),
            Fault::SecurityTokenUnavailable,
        ),
        ("the token", from("<o:Reference URI='#ut'/>"), Fault::SecurityTokenUnavailable),
        ("something else", from("<o:Reference URI='#ek' ValueType='urn:other'/>"), Fault::UnsupportedSecurityToken),
        ("an id twice", of("").repeat(2), Fault::InvalidSecurity),
        ("no key", String::new(), Fault::SecurityTokenUnavailable),
    ] {
        assert_eq!(message(&format!("{KEY}{keys}{USER}{mac}")).map(drop).unwrap_err().fault(), fault, "{what}");
    }
    // R-C012.
    for implied in [
        direct().replace("<o:SecurityTokenReference>", "<o:SecurityTokenReference c:Nonce='AAECAwQFBgc='>"),
        direct().replace("<o:Reference ", "<o:Reference c:Length='16' "),
    ] {
        let declared = format!("<o:SecurityTokenReference xmlns:c='{}'", names::WSC13);
        let implied = implied.replacen("<o:SecurityTokenReference", &declared, 1);
        let mac = signature(&hmac(SHA256), &["_0"], &implied);
        let refused = message(&format!("{KEY}{USER}{mac}")).map(drop).unwrap_err();
        assert_eq!(refused.fault(), Fault::UnsupportedSecurityToken, "{implied}");
    }
}
