//! Tickets of Kerberos in the security header: what of them is handed on, what may stand beside them, and where.

use base64ct::{Base64, Encoding};

use super::*;
use crate::wire::derivation::{Derivation, PartKey};
use crate::wire::evidence::{BinaryTicket, KeyedMessage, MOST_NEGOTIATED_OCTETS, MacAlgorithm, TicketForm};

const PROFILE: &str = "http://docs.oasis-open.org/wss/oasis-wss-kerberos-token-profile-1.1#";
const ENCODING: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#Base64Binary";
const HMAC: &str = "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256";

fn element(attributes: &str, text: &str) -> String {
    format!("<o:BinarySecurityToken u:Id='k'{attributes}>{text}</o:BinarySecurityToken>")
}

fn token(kind: &str, octets: &[u8]) -> String {
    element(&format!(" ValueType='{PROFILE}{kind}' EncodingType='{ENCODING}'"), &Base64::encode_string(octets))
}

fn framed() -> String {
    token("GSS_Kerberosv5_AP_REQ", b"a ticket")
}

fn endpoint_for(credential: Credential) -> Endpoint {
    Endpoint { credential, ..generic() }
}

fn evidence(credential: &str) -> Evidence {
    let body = Message { username: credential.to_owned(), ..Message::default() }.xml();
    let incoming = Incoming { content_type: Some(SOAP12), soap_action: None, body: body.as_bytes() };
    let around = Around { server: [7; 32], ..Around::default() };
    read_of(around, &endpoint_for(Credential::KerberosToken), &incoming).unwrap().evidence
}

fn taken(credential: &str) -> BinaryTicket {
    match evidence(credential) {
        Evidence::Ticket(ticket) => ticket,
        other => panic!("a ticket: {other:?}"),
    }
}

#[track_caller]
fn refused(credential: &str, at: Credential, fault: Fault, reason: &str) {
    let message = Message { username: credential.to_owned(), ..Message::default() };
    let refused = message.read(&endpoint_for(at)).unwrap_err();
    assert_eq!((refused.fault(), refused.reason()), (fault, reason), "{credential}");
}

/// A signature over the timestamp by the key that this names.
fn signature(method: &str, named: &str) -> String {
    let exclusive = "http://www.w3.org/2001/10/xml-exc-c14n#";
    format!(
        "<ds:Signature xmlns:ds='{}' Id='s'><ds:SignedInfo><ds:CanonicalizationMethod Algorithm='{exclusive}'/>\
         <ds:SignatureMethod Algorithm='{method}'/><ds:Reference URI='#_0'><ds:Transforms><ds:Transform \
         Algorithm='{exclusive}'/></ds:Transforms><ds:DigestMethod Algorithm='http://www.w3.org/2001/04/xmlenc#sha256'/>\
         <ds:DigestValue>47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=</ds:DigestValue></ds:Reference></ds:SignedInfo>\
         <ds:SignatureValue>AAEC</ds:SignatureValue><ds:KeyInfo><o:SecurityTokenReference>{named}\
         </o:SecurityTokenReference></ds:KeyInfo></ds:Signature>",
        names::DS
    )
}

fn reference(kind: &str) -> String {
    format!("<o:Reference URI='#k'{kind}/>")
}

/// A reference by SHA-1 of these octets.
fn identifier(octets: &[u8]) -> String {
    let sha1 = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, octets);
    format!(
        "<o:KeyIdentifier ValueType='{PROFILE}Kerberosv5APREQSHA1' EncodingType='{ENCODING}'>{}</o:KeyIdentifier>",
        Base64::encode_string(sha1.as_ref())
    )
}

fn derived(of: &str) -> String {
    format!(
        "<c:DerivedKeyToken xmlns:c='{}' u:Id='d'><o:SecurityTokenReference>{of}</o:SecurityTokenReference>\
         <c:Offset>0</c:Offset><c:Length>24</c:Length><c:Nonce>AAECAwQFBgcICQoLDA0ODw==</c:Nonce></c:DerivedKeyToken>",
        names::WSC13
    )
}

#[test]
fn a_ticket_is_handed_on_as_it_came_in_the_form_that_it_is_said_to_have() {
    let gss = "GSS_Kerberosv5_AP_REQ";
    for (kind, form) in [(gss, TicketForm::Framed), ("Kerberosv5_AP_REQ", TicketForm::Bare)] {
        for version in ["", "1510", "4120"] {
            let ticket = taken(&token(&format!("{kind}{version}"), b"a ticket"));
            assert_eq!((ticket.form, ticket.token.expose(), ticket.server), (form, &b"a ticket"[..], [7; 32]));
        }
    }
    // No encoding is base64, and white space in it means nothing.
    for text in ["YSB0aWNrZXQ=", "\n YSB0\naWNrZXQ= "] {
        assert_eq!(taken(&element(&format!(" ValueType='{PROFILE}{gss}'"), text)).token.expose(), b"a ticket");
    }
    // As long as a text may be, which is more than Windows makes them.
    let largest = vec![0x60; 48 * 1024];
    assert_eq!(taken(&token(gss, &largest)).token.expose(), largest);
}

#[test]
fn what_cannot_be_a_ticket_is_refused_by_name() {
    let here = Credential::KerberosToken;
    let kind = format!(" ValueType='{PROFILE}GSS_Kerberosv5_AP_REQ'");
    let bad = "ticket: bad binary token";
    for (credential, reason) in [
        (element(&kind, ""), bad),
        (element(&kind, "="), bad),
        (element(&kind, "YSB0aWNrZXQ"), bad),
        (element(&kind, "YSB0_WNrZXQ="), bad),
        (element(&kind, "<x/>"), "signature: bad binary token"),
        (
            element(&format!("{kind} EncodingType='{}'", ENCODING.replace("Base64", "Hex")), "00"),
            "signature: unknown encoding",
        ),
        (element(&format!("{kind} EncodingType=''"), "AAEC"), "signature: unknown encoding"),
    ] {
        refused(&credential, here, Fault::InvalidSecurity, reason);
    }
    refused(
        &token("GSS_Kerberosv5_AP_REQ", &vec![0; MOST_NEGOTIATED_OCTETS + 1]),
        here,
        Fault::Malformed,
        "xml: too large",
    );
    // Of a kind that is none of the profile's.
    for kind in ["GSS_Kerberosv5_AP_REQ4121", "gss_kerberosv5_ap_req", "Kerberosv5_AP_REP", "", "41204120"] {
        refused(&token(kind, b"x"), here, Fault::UnsupportedSecurityToken, "security: credential not offered here");
    }
    let elsewhere = framed().replace("kerberos-token-profile", "kerberos-tokenprofile");
    refused(&elsewhere, here, Fault::UnsupportedSecurityToken, "security: credential not offered here");
}

#[test]
fn a_ticket_is_taken_where_it_is_due_and_alone() {
    let not_here = "security: credential not offered here";
    for at in [Credential::Username, Credential::Signature, Credential::Saml, Credential::Jwt] {
        refused(&framed(), at, Fault::UnsupportedSecurityToken, not_here);
        refused(&(framed() + &signature(HMAC, &reference(""))), at, Fault::UnsupportedSecurityToken, not_here);
    }
    for at in [Credential::TlsCertificate, Credential::Kerberos] {
        refused(&framed(), at, Fault::UnsupportedSecurityToken, not_here);
    }
    let password = Message::default().username;
    let jwt = "<o:BinarySecurityToken ValueType='urn:ietf:params:oauth:token-type:jwt'>AAEC</o:BinarySecurityToken>";
    let certificate = "<o:BinarySecurityToken u:Id='x' ValueType='http://docs.oasis-open.org/wss/2004/01/\
                       oasis-200401-wss-x509-token-profile-1.0#X509v3'>AAEC</o:BinarySecurityToken>";
    let assertion = format!("<s2:Assertion xmlns:s2='{}' ID='a'/>", names::SAML20);
    for at in [Credential::KerberosToken, Credential::Any] {
        for other in [&password[..], jwt, certificate, &assertion] {
            for credential in [format!("{}{other}", framed()), format!("{other}{}", framed())] {
                refused(&credential, at, Fault::UnsupportedSecurityToken, not_here);
            }
        }
        let second = token("Kerberosv5_AP_REQ", b"another").replace("'k'", "'l'");
        refused(&(framed() + &second), at, Fault::InvalidSecurity, "security: token twice");
    }
    for credential in [&password[..], jwt, certificate, &assertion] {
        refused(credential, Credential::KerberosToken, Fault::UnsupportedSecurityToken, not_here);
    }
    refused("", Credential::KerberosToken, Fault::InvalidSecurity, "security: no credential");
    let any = Message { username: framed(), ..Message::default() }.accepted(&endpoint_for(Credential::Any));
    assert!(matches!(any.evidence, Evidence::Ticket(_)));
}

fn endorsed(credential: &str) -> KeyedMessage {
    match evidence(credential) {
        Evidence::EndorsedTicket(ticket, message) => {
            assert_eq!(ticket.token.expose(), b"a ticket");
            message
        }
        other => panic!("a ticket and a MAC: {other:?}"),
    }
}

#[test]
fn a_mac_names_the_ticket_by_its_id_or_its_digest_or_a_key_derived_from_it_r6904() {
    let kind = format!(" ValueType='{PROFILE}GSS_Kerberosv5_AP_REQ'");
    for named in [reference(""), reference(&kind), identifier(b"a ticket")] {
        let message = endorsed(&(framed() + &signature(HMAC, &named)));
        assert_eq!((message.key, message.algorithm), (PartKey::Session, MacAlgorithm::HmacSha256), "{named}");
        assert_eq!((&*message.value, message.parts.len()), (&[0, 1, 2][..], 1));
        let by_derived = signature(HMAC, "<o:Reference URI='#d'/>");
        let message = endorsed(&(framed() + &derived(&named) + &by_derived));
        let nonce: Vec<u8> = (0..16).collect();
        assert_eq!(message.key, PartKey::Derived(Derivation::new(None, nonce, 0, 24).unwrap()), "{named}");
    }
    let sha1 = "http://www.w3.org/2000/09/xmldsig#hmac-sha1";
    assert_eq!(endorsed(&(framed() + &signature(sha1, &reference("")))).algorithm, MacAlgorithm::HmacSha1);
}

#[test]
fn a_mac_by_no_key_of_the_ticket_is_refused() {
    let here = Credential::KerberosToken;
    let with = |more: String| framed() + &more;
    let (unsupported, unavailable) = (Fault::UnsupportedSecurityToken, Fault::SecurityTokenUnavailable);
    for (credential, fault, reason) in [
        (
            with(signature("http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256", &reference(""))),
            unsupported,
            "ticket: a signature that is no MAC beside it",
        ),
        (with(signature(HMAC, "<o:Reference URI='#j'/>")), unavailable, "security: no such key"),
        (with(signature(HMAC, "<o:Reference URI='#_0'/>")), unavailable, "security: no such key"),
        (with(signature(HMAC, &identifier(b"another"))), unavailable, "security: no such key"),
        (
            with(signature(HMAC, &reference(&format!(" ValueType='{PROFILE}Kerberosv5_AP_REQ'")))),
            unsupported,
            "security: reference to another kind of key",
        ),
        (
            with(signature(HMAC, &identifier(b"a ticket").replace("Kerberosv5APREQSHA1", "x"))),
            unsupported,
            "security: reference to another kind of key",
        ),
        (with(signature(HMAC, "")), Fault::InvalidSecurity, "security: bad reference to a key"),
        (with(derived(&reference(""))), Fault::InvalidSecurity, "security: a derived key without a signature"),
        (
            with(derived("<o:Reference URI='#d'/>") + &signature(HMAC, "<o:Reference URI='#d'/>")),
            unavailable,
            "security: no such key",
        ),
        (
            with(signature(HMAC, &reference("")) + &signature(HMAC, &reference("")).replace("'s'", "'s2'")),
            unsupported,
            "security: unsupported token",
        ),
    ] {
        refused(&credential, here, fault, reason);
    }
    // No ticket, no key; and elsewhere nothing is derived.
    let mac = signature(HMAC, &reference(""));
    refused(&mac, here, unsupported, "security: credential not offered here");
    let password = derived(&reference("")) + &Message::default().username;
    refused(&password, Credential::Any, unsupported, "security: derived key of nothing here");
    refused(&password, Credential::Username, Fault::InvalidSecurity, "security: unknown element");
    // Whoever proves a key by a certificate may have his token bound to it; a MAC is nobody's certificate.
    let bound = Message {
        username: framed() + &signature(HMAC, &reference("")),
        more: "<t:UseKey Sig='s'/>".to_owned(),
        key_type: format!("<t:KeyType>{}/PublicKey</t:KeyType>", names::WST13),
        ..Message::default()
    };
    assert_eq!(bound.read(&endpoint_for(here)).unwrap_err().reason(), UNPROVEN.reason);
}
