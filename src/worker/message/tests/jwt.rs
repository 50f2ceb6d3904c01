//! JWTs in the security header: what of them is handed on, what beside them, and where.

use base64ct::{Base64, Base64UrlUnpadded, Encoding};

use super::*;
use crate::wire::evidence::{MOST_JWT_OCTETS, Presenter, SignatureAlgorithm, SignedJwt, TlsVersion};
use crate::wire::{Octets, Secret};

const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
const ENCODING: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#Base64Binary";

fn jws(header: &str, claims: &str) -> String {
    let encode = |text: &str| Base64UrlUnpadded::encode_string(text.as_bytes());
    format!("{}.{}.AAEC", encode(header), encode(claims))
}

fn good() -> String {
    jws("{\"alg\":\"ES256\"}", "{\"iss\":\"urn:idp\"}")
}

fn element(attributes: &str, text: &str) -> String {
    format!("<o:BinarySecurityToken{attributes}>{text}</o:BinarySecurityToken>")
}

fn token(jws: &str) -> String {
    element(&format!(" ValueType='{JWT}' EncodingType='{ENCODING}' u:Id='j'"), &Base64::encode_string(jws.as_bytes()))
}

fn message(credential: impl Into<String>) -> Message {
    Message { username: credential.into(), ..Message::default() }
}

fn endpoint_for(credential: Credential) -> Endpoint {
    Endpoint { credential, ..generic() }
}

fn taken(credential: impl Into<String>) -> (SignedJwt, Presenter) {
    match message(credential).accepted(&endpoint_for(Credential::Jwt)).evidence {
        Evidence::Jwt(signed, presenter) => (signed, presenter),
        other => panic!("a JWT: {other:?}"),
    }
}

/// A `ds:Signature` over the body, by the key of a certificate that the message brings.
fn signature() -> String {
    let exclusive = "http://www.w3.org/2001/10/xml-exc-c14n#";
    let x509 = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0#X509v3";
    format!(
        "<o:BinarySecurityToken u:Id='x' ValueType='{x509}'>AAEC</o:BinarySecurityToken><ds:Signature xmlns:ds='{}'>\
         <ds:SignedInfo><ds:CanonicalizationMethod Algorithm='{exclusive}'/><ds:SignatureMethod \
         Algorithm='http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256'/><ds:Reference URI='#_0'><ds:Transforms>\
         <ds:Transform Algorithm='{exclusive}'/></ds:Transforms><ds:DigestMethod \
         Algorithm='http://www.w3.org/2001/04/xmlenc#sha256'/><ds:DigestValue>\
         47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=</ds:DigestValue></ds:Reference></ds:SignedInfo>\
         <ds:SignatureValue>AAEC</ds:SignatureValue><ds:KeyInfo><o:SecurityTokenReference><o:Reference URI='#x'/>\
         </o:SecurityTokenReference></ds:KeyInfo></ds:Signature>",
        names::DS
    )
}

#[test]
fn a_jwt_is_handed_on_as_it_came() {
    let base64 = Base64::encode_string(good().as_bytes());
    for credential in [
        token(&good()),
        // No encoding is base64, and white space in it means nothing.
        element(&format!(" ValueType='{JWT}'"), &base64),
        element(&format!(" ValueType='{JWT}'"), &format!("\n  {}\n{} ", &base64[..20], &base64[20..])),
    ] {
        let (signed, presenter) = taken(credential);
        assert_eq!(signed.octets.expose(), good().as_bytes());
        assert_eq!((signed.issuer.as_str(), signed.algorithm), ("urn:idp", SignatureAlgorithm::EcdsaSha256));
        assert!(matches!(presenter, Presenter::Anybody));
    }
    let largest = jws("{\"alg\":\"ES256\"}", &format!("{{\"iss\":\"urn:idp\",\"x\":\"{}\"}}", "x".repeat(12_000)));
    let largest = format!("{largest}{}", "A".repeat((MOST_JWT_OCTETS - largest.len()) / 4 * 4));
    assert!(taken(token(&largest)).0.octets.expose().len() > MOST_JWT_OCTETS - 4);
    let longer = format!("{largest}AAAA");
    let refused = message(token(&longer)).read(&endpoint_for(Credential::Jwt)).unwrap_err();
    assert_eq!((refused.fault(), refused.reason()), (Fault::InvalidSecurity, "jwt: bad binary token"));
}

#[test]
fn a_jwt_that_cannot_be_one_is_refused_by_name_r_j020_r_j021() {
    let claims = "{\"iss\":\"urn:idp\"}";
    let with = |header: &str| token(&jws(header, claims));
    let (shape, algorithm) = ("jwt: not of the grammar", "jwt: algorithm not offered");
    for (credential, fault, reason) in [
        (element(&format!(" ValueType='{JWT}'"), &good()), Fault::InvalidSecurity, "jwt: bad binary token"),
        (element(&format!(" ValueType='{JWT}'"), ""), Fault::InvalidSecurity, "jwt: bad binary token"),
        (element(&format!(" ValueType='{JWT}'"), "<x/>"), Fault::InvalidSecurity, "signature: bad binary token"),
        (
            element(&format!(" ValueType='{JWT}' EncodingType='{}'", ENCODING.replace("Base64", "Hex")), "00"),
            Fault::InvalidSecurity,
            "signature: unknown encoding",
        ),
        (token("AAEC.AAEC"), Fault::InvalidSecurity, shape),
        (token(&format!("{}.AAEC.AAEC", good())), Fault::InvalidSecurity, shape),
        (token(&format!("{}=", good())), Fault::InvalidSecurity, shape),
        (token(&format!("{} ", good())), Fault::InvalidSecurity, shape),
        (token(&jws("{\"alg\":\"none\"}", claims).replace("AAEC", "")), Fault::InvalidSecurity, shape),
        (with("{\"alg\":\"none\"}"), Fault::UnsupportedAlgorithm, algorithm),
        (with("{\"alg\":\"HS256\"}"), Fault::UnsupportedAlgorithm, algorithm),
        (with("{\"alg\":\"ES256\",\"jku\":\"https://evil.example\"}"), Fault::InvalidSecurity, shape),
        (with("{\"alg\":\"ES256\",\"crit\":[\"b64\"],\"b64\":false}"), Fault::InvalidSecurity, shape),
        (with("{\"alg\":\"ES256\",\"\\u0061lg\":\"none\"}"), Fault::InvalidSecurity, shape),
        (with("{}"), Fault::InvalidSecurity, shape),
        (token(&jws("{\"alg\":\"ES256\"}", "{}")), Fault::InvalidSecurity, shape),
        (token(&jws("{\"alg\":\"ES256\"}", "{\"iss\":\"a\",\"\\u0069ss\":\"b\"}")), Fault::InvalidSecurity, shape),
        (token(&jws("{\"alg\":\"ES256\"}", "{\"iss\":[\"a\"]}")), Fault::InvalidSecurity, shape),
        (token(&jws("{\"alg\":\"ES256\"}", "{\"iss\":\"\\u0000\"}")), Fault::InvalidSecurity, shape),
        (
            token(&jws("{\"alg\":\"ES256\"}", &format!("{{\"iss\":\"{}\"}}", "a".repeat(1025)))),
            Fault::InvalidSecurity,
            shape,
        ),
    ] {
        let refused = message(credential.as_str()).read(&endpoint_for(Credential::Jwt)).unwrap_err();
        assert_eq!((refused.fault(), refused.reason()), (fault, reason), "{credential}");
    }
}

#[test]
fn a_jwt_comes_alone_and_where_one_is_offered() {
    message(token(&good())).accepted(&endpoint_for(Credential::Any));
    for credential in [Credential::Username, Credential::Signature, Credential::Saml] {
        for message in [message(token(&good())), message(token(&good()) + &signature())] {
            let refused = message.read(&endpoint_for(credential)).unwrap_err();
            assert_eq!(refused.fault(), Fault::UnsupportedSecurityToken, "{credential:?}");
        }
    }
    let username = Message::default().username;
    let x509 = "<o:BinarySecurityToken u:Id='x'>AAEC</o:BinarySecurityToken>";
    let assertion = format!("<m:Assertion xmlns:m='{}' ID='a'/>", names::SAML20);
    let other = token(&good()).replace(JWT, "urn:ietf:params:oauth:grant-type:jwt-bearer").replace("'j'", "'k'");
    for (more, fault, reason) in [
        (username.as_str(), Fault::UnsupportedSecurityToken, "security: credential not offered here"),
        (x509, Fault::UnsupportedSecurityToken, "security: credential not offered here"),
        (&assertion, Fault::UnsupportedSecurityToken, "security: credential not offered here"),
        (&other, Fault::UnsupportedSecurityToken, "security: credential not offered here"),
        (&token(&good()).replace("'j'", "'k'"), Fault::InvalidSecurity, "security: token twice"),
    ] {
        for credential in [format!("{}{more}", token(&good())), format!("{more}{}", token(&good()))] {
            let refused = message(credential.as_str()).read(&endpoint_for(Credential::Any)).unwrap_err();
            assert_eq!((refused.fault(), refused.reason()), (fault, reason), "{credential}");
        }
    }
    let refused = message(other.as_str()).read(&endpoint_for(Credential::Jwt)).unwrap_err();
    assert_eq!(refused.fault(), Fault::UnsupportedSecurityToken);
}

#[test]
fn what_may_confirm_a_jwt_goes_with_it() {
    let credential = token(&good()) + &signature();
    let (signed, Presenter::Signed(message)) = taken(credential.as_str()) else { panic!("a signature") };
    assert_eq!((signed.octets.expose(), &*message.value), (good().as_bytes(), &[0, 1, 2][..]));
    // The JWT is none of the certificates that a signature may mean.
    let of_the_jwt = credential.replace("URI='#x'", "URI='#j'");
    let refused = self::message(of_the_jwt).read(&endpoint_for(Credential::Jwt)).unwrap_err();
    assert_eq!(refused.reason(), "signature: no such token");

    let client = ClientHandshake {
        version: TlsVersion::V13,
        messages: Octets::new([1, 2, 3]).unwrap(),
        scheme: 7,
        signature: Octets::default(),
    };
    let sent = |credential: String, endpoint: &Endpoint| {
        let body = self::message(credential).xml();
        let incoming = Incoming { content_type: Some(SOAP12), soap_action: None, body: body.as_bytes() };
        read_of(Around { client: Some(&client), ..Around::default() }, endpoint, &incoming).unwrap().evidence
    };
    let over = sent(token(&good()), &endpoint_for(Credential::Any));
    let Evidence::Jwt(_, Presenter::Connected(handshake)) = over else { panic!("a connection") };
    assert_eq!(handshake, client);
    // A signature is nearer than the connection.
    assert!(matches!(sent(credential, &endpoint_for(Credential::Jwt)), Evidence::Jwt(_, Presenter::Signed(_))));
    // Nobody else is told of the connection.
    assert!(matches!(sent(Message::default().username, &generic()), Evidence::Password { .. }));
    assert!(Secret::<MOST_JWT_OCTETS>::new(vec![0; MOST_JWT_OCTETS + 1]).is_err());
}
