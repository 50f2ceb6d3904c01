//! Messages over a connection whose client proved a certificate in the handshake.

use super::*;
use crate::wire::Octets;
use crate::wire::evidence::TlsVersion;

fn connected(profile: Profile) -> Endpoint {
    Endpoint { credential: Credential::TlsCertificate, ..endpoint(profile, Trust::Any) }
}

fn handshake() -> ClientHandshake {
    ClientHandshake {
        version: TlsVersion::V13,
        messages: Octets::new([1, 2, 3]).unwrap(),
        scheme: 0x0403,
        signature: Octets::new([4, 5, 6]).unwrap(),
    }
}

fn read_over(
    client: Option<&ClientHandshake>,
    endpoint: &Endpoint,
    security: Option<&str>,
) -> Result<Request, Rejection> {
    let whole = Message { timestamp: "@".to_owned(), username: String::new(), ..Message::default() }.xml();
    let header = "<o:Security s:mustUnderstand='1'>@</o:Security>";
    assert!(whole.contains(header));
    let body = match security {
        Some(inside) => whole.replacen('@', inside, 1),
        None => whole.replacen(header, "", 1),
    };
    let incoming = Incoming { content_type: Some(SOAP12), soap_action: None, body: body.as_bytes() };
    read_of(Around { client, ..Around::default() }, endpoint, &incoming)
}

#[test]
fn the_handshake_is_the_evidence_and_a_timestamp_may_stand_beside_it() {
    let timestamp = Message::default().timestamp;
    for endpoint in [connected(Profile::Generic), connected(Profile::Adfs)] {
        for security in [None, Some(""), Some(timestamp.as_str())] {
            let request = read_over(Some(&handshake()), &endpoint, security).unwrap();
            let (shape, evidence, at, _) = request.into_parts();
            assert!(matches!(evidence, Evidence::TlsCertificate(proof) if proof == handshake()));
            assert_eq!((at.is_some(), shape.leniencies()), (security == Some(&timestamp), &[][..]));
        }
    }
}

#[test]
fn without_a_certificate_nothing_else_helps() {
    let endpoint = connected(Profile::Generic);
    for security in [None, Some(""), Some(Message::default().timestamp.as_str())] {
        assert_eq!(read_over(None, &endpoint, security).unwrap_err().fault(), Fault::FailedAuthentication);
    }
    let username = Message::default().username;
    assert_eq!(read_over(None, &endpoint, Some(&username)).unwrap_err().fault(), Fault::UnsupportedSecurityToken);
}

#[test]
fn a_second_credential_is_not_passed_over() {
    let endpoint = connected(Profile::Adfs);
    let (username, timestamp) = (Message::default().username, Message::default().timestamp);
    let signature = format!("<d:Signature xmlns:d='{}'/>", names::DS);
    let assertion = format!("<l:Assertion xmlns:l='{}'/>", names::SAML20);
    for (inside, fault) in [
        (username.as_str(), Fault::UnsupportedSecurityToken),
        (&*format!("{timestamp}{username}"), Fault::UnsupportedSecurityToken),
        ("<o:BinarySecurityToken/>", Fault::UnsupportedSecurityToken),
        (&signature, Fault::UnsupportedSecurityToken),
        (&assertion, Fault::UnsupportedSecurityToken),
        (&timestamp.repeat(2), Fault::InvalidSecurity),
        ("text", Fault::InvalidSecurity),
        ("<x/>", Fault::InvalidSecurity),
    ] {
        let refused = read_over(Some(&handshake()), &endpoint, Some(inside)).unwrap_err();
        assert_eq!(refused.fault(), fault, "{inside}");
    }
    let two = "</o:Security><o:Security s:mustUnderstand='1'>";
    assert_eq!(read_over(Some(&handshake()), &endpoint, Some(two)).unwrap_err().fault(), Fault::InvalidSecurity);
}

#[test]
fn elsewhere_a_certificate_changes_nothing() {
    let over = |message: &Message, endpoint: &Endpoint| {
        let body = message.xml();
        let incoming = Incoming { content_type: Some(SOAP12), soap_action: None, body: body.as_bytes() };
        read_of(Around { client: Some(&handshake()), ..Around::default() }, endpoint, &incoming)
            .map(|request| request.into_parts().1)
    };
    assert!(matches!(over(&Message::default(), &generic()), Ok(Evidence::Password { .. })));
    let none = Message { username: String::new(), ..Message::default() };
    assert_eq!(over(&none, &generic()).unwrap_err().fault(), Fault::InvalidSecurity);
}

#[test]
fn a_key_to_bind_is_the_one_of_the_handshake_and_no_other_r_t031() {
    let public = format!("<t:KeyType>{}/PublicKey</t:KeyType>", names::WST13);
    let with = |more: &str| {
        let message = Message {
            key_type: public.clone(),
            username: String::new(),
            timestamp: String::new(),
            ..Message::with(more)
        };
        let body = message.xml();
        let incoming = Incoming { content_type: Some(SOAP12), soap_action: None, body: body.as_bytes() };
        read_of(Around { client: Some(&handshake()), ..Around::default() }, &connected(Profile::Generic), &incoming)
    };
    assert!(with("").is_ok());
    for named in ["<t:UseKey Sig='s1'/>", "<t:UseKey Sig='#u1'/>", "<t:UseKey/>"] {
        assert_eq!(with(named).unwrap_err().fault(), Fault::InvalidRequest, "{named}");
    }
}
